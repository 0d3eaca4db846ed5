//! The arguments that functions are measured on.

use crate::number::Number;

/// A small generator of random numbers (SplitMix64 of Steele, Lea and Flood).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * unit
    }
}

/// Arguments in pairs of arrays; functions of one argument use the first.
pub struct Arguments<T> {
    pub a: Vec<T>,
    pub b: Vec<T>,
}

/// Where a function is interesting.
#[derive(Debug, Clone, Copy)]
pub enum Domain {
    /// Intervals in which arguments are drawn, and whose ends, with their neighbours, are tried themselves.
    Intervals(&'static [(f64, f64)]),
    /// Pairs from a generator of the function's own.
    Pairs(fn(&mut Random) -> (f64, f64)),
}

/// A batch of random arguments; batches of different numbers differ, equal ones do not.
pub fn random<T: Number>(domain: Domain, batch: u64, count: usize) -> Arguments<T> {
    let mut random = Random(batch.wrapping_mul(0x1234_5678_9abc_def1));
    let mut result = Arguments { a: Vec::with_capacity(count), b: Vec::with_capacity(count) };
    for _ in 0..count {
        let (a, b) = match domain {
            Domain::Intervals(intervals) if !batch.is_multiple_of(intervals.len() as u64 + 1) => {
                let (low, high) = intervals[(batch % (intervals.len() as u64 + 1)) as usize - 1];
                (T::from_wide(random.uniform(low, high)), T::from_wide(1.0))
            }
            Domain::Pairs(pair) if !batch.is_multiple_of(4) => {
                let (a, b) = pair(&mut random);
                (T::from_wide(a), T::from_wide(b))
            }
            Domain::Intervals(_) | Domain::Pairs(_) => (T::from_bits64(random.bits()), T::from_bits64(random.bits())),
        };
        result.a.push(a);
        result.b.push(b);
    }
    result
}

/// The arguments that are most likely to be wrong.
pub fn critical<T: Number>(domain: Domain) -> Arguments<T> {
    match domain {
        Domain::Intervals(intervals) => {
            let a = critical_numbers(intervals);
            Arguments { b: a.clone(), a }
        }
        Domain::Pairs(_) => {
            let numbers = special_numbers::<T>();
            let pairs = numbers.iter().flat_map(|&a| numbers.iter().map(move |&b| (a, b)));
            let (a, b) = pairs.unzip();
            Arguments { a, b }
        }
    }
}

/// The number so many steps away in the order of the bits.
fn step<T: Number>(x: T, steps: i64) -> T {
    T::from_bits64(x.bits64().wrapping_add_signed(steps))
}

/// Both signs of the powers of two, of small integers and halves, of the ends of intervals, and their neighbours.
fn critical_numbers<T: Number>(intervals: &[(f64, f64)]) -> Vec<T> {
    let mut result = Vec::new();
    let mut push = |x: T, steps: &[i64]| {
        for sign in [0, 1u64 << (T::WIDTH - 1)] {
            result.extend(steps.iter().map(|&n| T::from_bits64(step(x, n).bits64() ^ sign)));
        }
    };
    for exponent in T::LEAST..T::LIMIT {
        push(T::from_wide(2f64.powi(exponent.max(-1022)) * 2f64.powi((exponent + 1022).min(0))), &[-1, 0, 1]);
    }
    for half in 0..=100 {
        push(T::from_wide(f64::from(half) / 2.0), &[-3, -2, -1, 0, 1, 2, 3]);
    }
    let near = (0..40).map(|k| 1i64 << (k * (T::WIDTH as i64 - 24) / 40)).flat_map(|n| [-n, n]).chain([0]);
    let near: Vec<i64> = near.collect();
    for &(low, high) in intervals {
        push(T::from_wide(low), &near);
        push(T::from_wide(high), &near);
    }
    push(T::from_wide(f64::INFINITY), &[-2, -1, 0, 1]);
    push(T::from_wide(f64::NAN), &[0]);
    result
}

/// Numbers of which all pairs are tried.
fn special_numbers<T: Number>() -> Vec<T> {
    let mut result = Vec::new();
    let sizes = [
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
        1.5,
        2.0,
        2.5,
        3.0,
        4.0,
        5.0,
        10.0,
        100.0,
        127.0,
        128.0,
        149.0,
        150.0,
        151.0,
        1e10,
        1e-10,
        1e30,
        1e-30,
        1023.0,
        1024.0,
        1074.0,
        1075.0,
        1076.0,
        16_777_215.0,
        16_777_216.0,
        16_777_217.0,
        4_294_967_295.0,
        4_294_967_296.0,
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        9_007_199_254_740_993.0,
        4_503_599_627_370_495.5,
        1e18,
        1e100,
        1e-100,
        1e200,
        1e-200,
        1e300,
        1e-300,
        f64::INFINITY,
    ];
    for size in sizes {
        for n in [-1, 0, 1] {
            let x = step(T::from_wide(size), n);
            result.push(x);
            result.push(T::from_bits64(x.bits64() ^ (1 << (T::WIDTH - 1))));
        }
    }
    result
}
