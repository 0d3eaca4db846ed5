//! The loops over steps that a programmer would write by hand with AVX2: some vectors at a time go through all steps.
//!
//! Nothing here uses Kroton. Elements are a multiple of a group.

use std::arch::x86_64::*;

use rayon::prelude::*;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Particles on circles.
    Particles,
    /// The logistic map.
    Logistic,
    /// A polynomial by Horner's rule.
    Horner,
    /// Until a point leaves the circle of radius 2.
    Mandelbrot,
}

/// Vectors that go side by side.
const SIDE_BY_SIDE: usize = 4;

/// Elements of a group.
const GROUP: usize = SIDE_BY_SIDE * 4;

type Group = [__m256d; SIDE_BY_SIDE];

/// What a task reads and writes, as zipped chunks come.
type Share<'a> = ((((&'a [f64], &'a [f64]), &'a [f64]), &'a mut [f64]), &'a mut [f64]);

/// Inputs and results of a body.
pub fn arrays(body: Body, n: usize) -> [Vec<f64>; 5] {
    let fill = |scale: f64, offset: f64| (0..n).map(|i| (i * 7 % n) as f64 / n as f64 * scale + offset).collect();
    let (x, y, c) = match body {
        Body::Particles => (fill(2.0, 0.5), fill(1.0, -2.0), fill(0.002, 0.001)),
        Body::Logistic => (fill(0.9, 0.05), fill(1.0, 0.0), fill(0.9, 3.0)),
        Body::Horner => (fill(1.0, 0.0), fill(1.0, 0.5), fill(0.9, 0.0)),
        // All leave the circle, after a few steps or some hundred.
        Body::Mandelbrot => ((0..n).map(|i| 0.2501 + (i / 100) as f64 * 0.01).collect(), vec![0.0; n], fill(1.0, 0.0)),
    };
    [x, y, c, vec![0.0; n], vec![0.0; n]]
}

/// Runs a body on a pool.
pub fn run(body: Body, arrays: &mut [Vec<f64>; 5], steps: usize, pool: &rayon::ThreadPool) {
    let [x, y, c, a, b] = arrays;
    let chunk = (x.len() / (4 * pool.current_num_threads())).next_multiple_of(GROUP);
    let task = |((((x, y), c), a), b): Share<'_>| {
        assert!(std::arch::is_x86_feature_detected!("avx2") && x.len() % GROUP == 0);
        // SAFETY: the feature was just detected, and the parts are of one length, a multiple of a group.
        unsafe { part(body, [x, y, c], [a, b], steps) }
    };
    if pool.current_num_threads() == 1 {
        return task(((((x, y), c), a), b));
    }
    pool.install(|| {
        let read = x.par_chunks(chunk).zip(y.par_chunks(chunk)).zip(c.par_chunks(chunk));
        read.zip(a.par_chunks_mut(chunk)).zip(b.par_chunks_mut(chunk)).for_each(task);
    });
}

#[target_feature(enable = "avx2")]
unsafe fn part(body: Body, inputs: [&[f64]; 3], [a, b]: [&mut [f64]; 2], steps: usize) {
    for start in (0..a.len()).step_by(GROUP) {
        let load = |array: &[f64]| -> Group {
            // SAFETY: the group lies within the array.
            std::array::from_fn(|i| unsafe { _mm256_loadu_pd(array[start..start + GROUP].as_ptr().add(4 * i)) })
        };
        let [x, y, c] = inputs.map(load);
        // SAFETY: the feature is that of this function.
        let results = unsafe {
            match body {
                Body::Particles => particles(x, y, c, steps),
                Body::Logistic => logistic(x, y, c, steps),
                Body::Horner => horner(x, y, c, steps),
                Body::Mandelbrot => mandelbrot(x, y),
            }
        };
        for (array, result) in [&mut *a, &mut *b].into_iter().zip(results) {
            for (i, vector) in result.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { _mm256_storeu_pd(array[start..start + GROUP].as_mut_ptr().add(4 * i), vector) };
            }
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn particles(mut x: Group, mut y: Group, c: Group, steps: usize) -> [Group; 2] {
    let sign = _mm256_set1_pd(-0.0);
    for _ in 0..steps {
        for i in 0..SIDE_BY_SIDE {
            let norm = _mm256_sqrt_pd(_mm256_add_pd(_mm256_mul_pd(x[i], x[i]), _mm256_mul_pd(y[i], y[i])));
            let (vx, vy) = (_mm256_div_pd(_mm256_xor_pd(y[i], sign), norm), _mm256_div_pd(x[i], norm));
            x[i] = _mm256_add_pd(x[i], _mm256_mul_pd(c[i], vx));
            y[i] = _mm256_add_pd(y[i], _mm256_mul_pd(c[i], vy));
        }
    }
    [x, y]
}

#[target_feature(enable = "avx2")]
unsafe fn logistic(mut x: Group, y: Group, c: Group, steps: usize) -> [Group; 2] {
    let one = _mm256_set1_pd(1.0);
    for _ in 0..steps {
        for i in 0..SIDE_BY_SIDE {
            x[i] = _mm256_mul_pd(_mm256_mul_pd(c[i], x[i]), _mm256_sub_pd(one, x[i]));
        }
    }
    [x, y]
}

#[target_feature(enable = "avx2")]
unsafe fn horner(mut x: Group, y: Group, c: Group, steps: usize) -> [Group; 2] {
    for _ in 0..steps {
        for i in 0..SIDE_BY_SIDE {
            x[i] = _mm256_add_pd(_mm256_mul_pd(x[i], c[i]), y[i]);
        }
    }
    [x, y]
}

#[target_feature(enable = "avx2")]
unsafe fn mandelbrot(x: Group, y: Group) -> [Group; 2] {
    let (mut a, mut b) = (x, y);
    let four = _mm256_set1_pd(4.0);
    for i in 0..SIDE_BY_SIDE {
        loop {
            let (aa, bb, ab) = (_mm256_mul_pd(a[i], a[i]), _mm256_mul_pd(b[i], b[i]), _mm256_mul_pd(a[i], b[i]));
            let holds = _mm256_cmp_pd::<_CMP_LT_OQ>(_mm256_add_pd(aa, bb), four);
            if _mm256_movemask_pd(holds) == 0 {
                break;
            }
            let (real, imaginary) =
                (_mm256_add_pd(_mm256_sub_pd(aa, bb), x[i]), _mm256_add_pd(_mm256_add_pd(ab, ab), y[i]));
            a[i] = _mm256_blendv_pd(a[i], real, holds);
            b[i] = _mm256_blendv_pd(b[i], imaginary, holds);
        }
    }
    [a, b]
}
