//! Functions of rows, with kernels that run for some rows at a time, over the same with kernels that run one after the
//! other over everything.
//!
//! `cargo bench --bench rows`. Each case alternates between the two, so that whatever else the machine does meets both.

use std::hint::black_box;
use std::time::Instant;

use kroton::{Compiler, DType, Expr, Function, Result, input};
use ndarray::Array2;

/// Pairs of runs.
const PAIRS: usize = 15;

fn main() -> Result<()> {
    println!("shortest of {PAIRS} interleaved pairs of runs, and the median of their ratios\n");
    println!("{:<14}{:>6}{:>14}{:>9}{:>12}{:>12}{:>8}", "", "", "", "threads", "by rows", "apart", "ratio");
    for threads in [1, 2] {
        for dtype in [DType::F64, DType::F32] {
            for (shape, repeats) in [((4096, 2048), 1), ((3, 4), 1000)] {
                for (name, outputs) in functions(dtype) {
                    let title = format!("{name:<14}{dtype:>6}{:>14}{threads:>9}", format!("{} × {}", shape.0, shape.1));
                    case(&title, &outputs, shape, threads, repeats)?;
                }
            }
        }
    }
    Ok(())
}

/// Functions of a matrix.
fn functions(dtype: DType) -> Vec<(&'static str, (Expr, Expr))> {
    let x = input("x", dtype, [None, None]);
    let deviation = (x.var_keepdims(1) + kroton::constant(1e-5).cast_to(dtype)).sqrt();
    let functions = [
        ("softmax", x.softmax(1)),
        ("log_softmax", x.log_softmax(1)),
        ("logsumexp", x.logsumexp_keepdims(1)),
        ("layernorm", (&x - x.mean_keepdims(1)) / deviation),
        ("normalize", &x / x.norm_keepdims(1)),
    ];
    functions.into_iter().map(|(name, y)| (name, (x.clone(), y))).collect()
}

fn case(title: &str, (x, y): &(Expr, Expr), shape: (usize, usize), threads: usize, repeats: usize) -> Result<()> {
    let compiler = Compiler::new().threads(threads);
    let [by_rows, apart] = [compiler.clone(), compiler.row_bytes(0)].map(|compiler| compiler.compile([x], y));
    let (by_rows, apart) = (by_rows?, apart?);
    let array = Array2::from_shape_fn(shape, |(i, j)| ((i * 31 + j * 17) % 1000) as f64 * 0.01);
    let times = match x.dtype() {
        DType::F32 => interleave(&by_rows, &apart, &array.mapv(|value| value as f32), repeats)?,
        _ => interleave(&by_rows, &apart, &array, repeats)?,
    };
    let shortest = |times: &mut dyn Iterator<Item = f64>| format_seconds(times.fold(f64::MAX, f64::min));
    let ours = shortest(&mut times.iter().map(|(ours, _)| *ours));
    let others = shortest(&mut times.iter().map(|(_, others)| *others));
    let mut ratios: Vec<f64> = times.iter().map(|(ours, others)| ours / others).collect();
    ratios.sort_by(f64::total_cmp);
    println!("{title}{ours:>12}{others:>12}{:>8.2}", ratios[ratios.len() / 2]);
    Ok(())
}

/// Seconds per call of both, in pairs.
fn interleave<T: kroton::Element>(
    by_rows: &Function,
    apart: &Function,
    array: &Array2<T>,
    repeats: usize,
) -> Result<Vec<(f64, f64)>> {
    let shape: kroton::Array = by_rows.call((array,))?;
    let mut out = Array2::<T>::from_elem((shape.shape()[0], shape.shape()[1]), array[[0, 0]]);
    let mut time = |f: &Function| -> Result<f64> {
        let start = Instant::now();
        for _ in 0..repeats {
            f.call_into((black_box(array),), (&mut out,))?;
        }
        Ok(start.elapsed().as_secs_f64() / repeats as f64)
    };
    time(apart)?;
    (0..PAIRS).map(|_| Ok((time(by_rows)?, time(apart)?))).collect()
}

fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s => format!("{:.2} ms", s * 1e3),
    }
}
