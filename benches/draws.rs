//! Random draws against a generator written by hand: π from points that are drawn and counted, one thread.
//!
//! `cargo bench --bench draws`. The loops take turns within each run, so that whatever else the machine does meets all of
//! them; a time is the shortest of many runs, the last column the time of the loop by hand over it. All draw the same
//! points.

#[cfg(target_arch = "x86_64")]
mod by_hand_draws;

#[cfg(target_arch = "x86_64")]
fn main() -> kroton::Result<()> {
    measured::main()
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the loops to compare with need AVX2");
}

#[cfg(target_arch = "x86_64")]
mod measured {
    use std::hint::black_box;
    use std::time::Instant;

    use kroton::{Compiler, Device, Function, InstructionSet, Result, random, scalar};

    use super::by_hand_draws as by_hand;

    /// (keys of x and y, n) → hits.
    type Loop = fn([u64; 2], usize) -> u64;

    /// Samples of a run, which is so short that it is seldom interrupted, and runs.
    const SAMPLES: usize = 1 << 18;
    const RUNS: usize = 400;

    pub fn main() -> Result<()> {
        println!("{:<28}{:>14}{:>16}{:>10}", "π by drawn points", "ns a sample", "10⁶ samples/s", "by hand");
        let keys = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
        compare("f32", keys, &both_sets(hits::<f32>)?, by_hand::hits32)?;
        compare("f64", keys, &both_sets(hits::<f64>)?, by_hand::hits64)
    }

    /// A function for all that the processor has, and one for AVX2.
    fn both_sets(make: impl Fn(InstructionSet) -> Result<Function>) -> Result<[Function; 2]> {
        Ok([make(InstructionSet::Native)?, make(InstructionSet::Avx2)?])
    }

    /// (keys of x and y, n) → how many points lie in the circle.
    fn hits<T: random::Float>(set: InstructionSet) -> Result<Function> {
        let (for_x, for_y, n) = (scalar::<u64>("for x"), scalar::<u64>("for y"), scalar::<i64>("n"));
        let (x, y) = (random::uniform::<T>(&for_x, [&n]), random::uniform::<T>(&for_y, [&n]));
        let compiler = Compiler::new().device(Device::Cpu).isa(set).threads(1);
        compiler.compile([&for_x, &for_y, &n], (&x * &x + &y * &y).lt(1.0).sum(..))
    }

    fn compare(name: &str, keys: [u64; 2], [native, avx2]: &[Function; 2], loops: Loop) -> Result<()> {
        let expected = loops(keys, SAMPLES);
        let ours = |function: &Function| function.call::<i64>((black_box(keys[0]), keys[1], SAMPLES as i64));
        let plain = || by_hand::plain(black_box(keys), SAMPLES, name == "f64");
        assert_eq!([ours(native)?, ours(avx2)?].map(|hits| hits as u64), [expected; 2]);
        assert!(plain().is_none_or(|plain| plain == expected));
        let mut shortest = [f64::INFINITY; 4];
        for _ in 0..RUNS {
            let times = [
                seconds(|| loops(black_box(keys), SAMPLES)),
                seconds(|| ours(native)),
                seconds(|| ours(avx2)),
                seconds(plain),
            ];
            shortest.iter_mut().zip(times).for_each(|(shortest, time)| *shortest = shortest.min(time));
        }
        let names = ["by hand, AVX2", "kroton", "kroton, AVX2", "plain loop for AVX-512"];
        for (what, time) in names.into_iter().zip(shortest).take(if plain().is_some() { 4 } else { 3 }) {
            let time = time / SAMPLES as f64;
            let (speed, ratio) = (1e-6 / time, shortest[0] / SAMPLES as f64 / time);
            println!("{:<28}{:>14.3}{speed:>16.0}{ratio:>10.2}", format!("{name}, {what}"), time * 1e9);
        }
        Ok(())
    }

    /// Seconds of one run.
    fn seconds<T>(run: impl FnOnce() -> T) -> f64 {
        let start = Instant::now();
        black_box(run());
        start.elapsed().as_secs_f64()
    }
}
