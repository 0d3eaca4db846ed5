//! What a programmer would write by hand: the loops that compiled functions are measured against.
//!
//! Each loop is written once and compiled twice, for the baseline and for AVX2 with FMA; which one runs is decided
//! by what the machine has. Nothing here uses Kroton.

#![allow(dead_code, reason = "each benchmark uses a part of these loops")]

use rayon::prelude::*;

/// Elements of one rayon chunk: some for each thread, but no fewer than pay for a task.
fn chunk(n: usize) -> usize {
    (n / (4 * rayon::current_num_threads())).clamp(4096, 1 << 16)
}

/// Defines a function that runs `$body`, compiled for AVX2 where the machine has it.
macro_rules! widest {
    ($(#[$meta:meta])* $name:ident($($argument:ident: $ty:ty),*) -> $result:ty, $avx2:ident, $body:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn $avx2($($argument: $ty),*) -> $result {
            $body($($argument),*)
        }

        $(#[$meta])*
        pub fn $name($($argument: $ty),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                // SAFETY: both features were just detected.
                return unsafe { $avx2($($argument),*) };
            }
            $body($($argument),*)
        }
    };
}

widest! {
    /// out = a² + b².
    squares(a: &[f64], b: &[f64], out: &mut [f64]) -> (), squares_avx2, squares_loop
}

widest! {
    /// a² + b² as a new vector.
    squares_fresh(a: &[f64], b: &[f64]) -> Vec<f64>, squares_fresh_avx2, squares_fresh_loop
}

widest! {
    /// How many points lie in the unit circle.
    hits(x: &[f64], y: &[f64]) -> u64, hits_avx2, hits_loop
}

#[inline(always)]
fn squares_loop(a: &[f64], b: &[f64], out: &mut [f64]) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = a * a + b * b;
    }
}

#[inline(always)]
fn squares_fresh_loop(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * a + b * b).collect()
}

#[inline(always)]
fn hits_loop(x: &[f64], y: &[f64]) -> u64 {
    x.iter().zip(y).map(|(x, y)| u64::from(x * x + y * y < 1.0)).sum()
}

/// out = a² + b² in rayon chunks.
pub fn squares_rayon(a: &[f64], b: &[f64], out: &mut [f64]) {
    let chunk = chunk(a.len());
    let inputs = a.par_chunks(chunk).zip(b.par_chunks(chunk));
    out.par_chunks_mut(chunk).zip(inputs).for_each(|(out, (a, b))| squares(a, b, out));
}

/// a² + b² as a new vector, in rayon chunks.
pub fn squares_rayon_fresh(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.par_iter().zip(b).with_min_len(chunk(a.len())).map(|(a, b)| a * a + b * b).collect()
}

/// How many points lie in the unit circle, in rayon chunks.
pub fn hits_rayon(x: &[f64], y: &[f64]) -> u64 {
    let chunk = chunk(x.len());
    x.par_chunks(chunk).zip(y.par_chunks(chunk)).map(|(x, y)| hits(x, y)).sum()
}

/// π from the number of hits.
pub fn pi(hits: u64, n: usize) -> f64 {
    4.0 * hits as f64 / n as f64
}

/// Numbers in [−1, 1), by SplitMix64.
pub fn random(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 * (2.0 / (1_u64 << 53) as f64) - 1.0
    };
    (0..n).map(|_| next()).collect()
}
