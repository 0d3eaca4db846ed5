//! a² + b² and the π hit test beside loops written by hand, for small, middling and large arrays.
//!
//! `cargo bench --bench elementwise`. Machines with other work give noisy figures: for ratios use `--bench ratios`.

mod by_hand;

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kroton::{Array, Compiler, Function, vector};

/// The sizes: the cost of a call, the cache, the memory.
const SIZES: [usize; 3] = [3, 30_000, 10_000_000];

fn main() {
    // Enough samples of the large sizes, and few enough to wait for.
    divan::Divan::default().max_time(Duration::from_secs(1)).config_with_args().main();
}

fn squares(threads: usize) -> Function {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    Compiler::new().threads(threads).compile([&a, &b], &a * &a + &b * &b).expect("a well-typed expression")
}

fn pi(threads: usize) -> Function {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    Compiler::new().threads(threads).compile([&x, &y], 4.0 * hits / x.len()).expect("a well-typed expression")
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool")
}

/// a² + b² into a given output.
mod squares_into {
    use super::*;

    #[divan::bench(args = SIZES, consts = [1, 2])]
    fn kroton<const THREADS: usize>(bencher: Bencher, n: usize) {
        let (f, a, b, mut out) = (squares(THREADS), by_hand::random(n, 1), by_hand::random(n, 2), vec![0.0; n]);
        bencher.counter(ItemsCount::new(n)).bench_local(|| f.call_into((&a, &b), (&mut out,)));
    }

    #[divan::bench(args = SIZES)]
    fn loop_by_hand(bencher: Bencher, n: usize) {
        let (a, b, mut out) = (by_hand::random(n, 1), by_hand::random(n, 2), vec![0.0; n]);
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| by_hand::squares(black_box(&a), black_box(&b), black_box(&mut out)));
    }

    #[divan::bench(args = SIZES)]
    fn rayon_2_threads(bencher: Bencher, n: usize) {
        let (pool, a, b, mut out) = (pool(2), by_hand::random(n, 1), by_hand::random(n, 2), vec![0.0; n]);
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| pool.install(|| by_hand::squares_rayon(black_box(&a), black_box(&b), &mut out)));
    }
}

/// a² + b² as a fresh result.
mod squares_fresh {
    use super::*;

    #[divan::bench(args = SIZES, consts = [1, 2])]
    fn kroton_array<const THREADS: usize>(bencher: Bencher, n: usize) {
        let (f, a, b) = (squares(THREADS), by_hand::random(n, 1), by_hand::random(n, 2));
        bencher.counter(ItemsCount::new(n)).bench_local(|| f.call::<Array>((&a, &b)));
    }

    #[divan::bench(args = SIZES, consts = [1, 2])]
    fn kroton_vec<const THREADS: usize>(bencher: Bencher, n: usize) {
        let (f, a, b) = (squares(THREADS), by_hand::random(n, 1), by_hand::random(n, 2));
        bencher.counter(ItemsCount::new(n)).bench_local(|| f.call::<Vec<f64>>((&a, &b)));
    }

    #[divan::bench(args = SIZES)]
    fn loop_by_hand(bencher: Bencher, n: usize) {
        let (a, b) = (by_hand::random(n, 1), by_hand::random(n, 2));
        bencher.counter(ItemsCount::new(n)).bench_local(|| by_hand::squares_fresh(black_box(&a), black_box(&b)));
    }

    #[divan::bench(args = SIZES)]
    fn rayon_2_threads(bencher: Bencher, n: usize) {
        let (pool, a, b) = (pool(2), by_hand::random(n, 1), by_hand::random(n, 2));
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| pool.install(|| by_hand::squares_rayon_fresh(black_box(&a), black_box(&b))));
    }
}

/// The hit test: a fused reduction to a scalar.
mod pi_hit_test {
    use super::*;

    #[divan::bench(args = SIZES, consts = [1, 2])]
    fn kroton<const THREADS: usize>(bencher: Bencher, n: usize) {
        let (f, x, y) = (pi(THREADS), by_hand::random(n, 1), by_hand::random(n, 2));
        bencher.counter(ItemsCount::new(n)).bench_local(|| f.call::<f64>((&x, &y)));
    }

    #[divan::bench(args = SIZES)]
    fn loop_by_hand(bencher: Bencher, n: usize) {
        let (x, y) = (by_hand::random(n, 1), by_hand::random(n, 2));
        bencher.counter(ItemsCount::new(n)).bench_local(|| by_hand::pi(by_hand::hits(black_box(&x), black_box(&y)), n));
    }

    #[divan::bench(args = SIZES)]
    fn rayon_2_threads(bencher: Bencher, n: usize) {
        let (pool, x, y) = (pool(2), by_hand::random(n, 1), by_hand::random(n, 2));
        bencher
            .counter(ItemsCount::new(n))
            .bench_local(|| pool.install(|| by_hand::pi(by_hand::hits_rayon(black_box(&x), black_box(&y)), n)));
    }
}
