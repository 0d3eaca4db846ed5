//! Expressions whose compile time is measured: never twice the same, so that no cache answers.

#![allow(dead_code, reason = "each benchmark uses a part of these expressions")]

use std::sync::atomic::{AtomicU64, Ordering};

use kroton::graph::{Graph, text};
use kroton::{Compiler, Expr, Function, Result, matrix, optimize, vector};

/// A constant that no expression of this process had before.
fn new_constant() -> f64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    1.0 + MADE.fetch_add(1, Ordering::Relaxed) as f64 / (1_u64 << 40) as f64
}

/// a² + b² + a new constant.
pub fn squares() -> Result<Function> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    Compiler::new().threads(1).compile([&a, &b], &a * &a + &b * &b + new_constant())
}

/// A chain of so many additions and multiplications, each with a new constant.
pub fn chain(ops: usize) -> Result<Function> {
    let x = vector::<f64>("x");
    let mut y = x.clone();
    for op in 0..ops {
        y = if op % 2 == 0 { y + new_constant() } else { y * new_constant() };
    }
    Compiler::new().threads(1).compile([&x], y)
}

/// Compiles a² + b² and calls it, since machine code is made at the first call that needs it.
pub fn squares_with_first_call() -> Result<f64> {
    let mut out = [0.0; 3];
    squares()?.call_into((&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0]), (&mut out,))?;
    Ok(out[2])
}

/// Compiles a chain and calls it.
pub fn chain_with_first_call(ops: usize) -> Result<f64> {
    let mut out = [0.0; 3];
    chain(ops)?.call_into((&[0.0, 1.0, 2.0],), (&mut out,))?;
    Ok(out[2])
}

/// The price of a European call after Black and Scholes (1973), with a new constant as the rate; compiled and called.
pub fn black_scholes_with_first_call() -> Result<f64> {
    let (s, k, t) = (vector::<f64>("s"), vector::<f64>("k"), vector::<f64>("t"));
    let (rate, volatility) = (0.05 * new_constant(), 0.2);
    let normal = |x: Expr| 0.5 * (1.0 + (x * std::f64::consts::FRAC_1_SQRT_2).erf());
    let spread = volatility * t.sqrt();
    let d1 = ((&s / &k).ln() + (rate + 0.5 * volatility * volatility) * &t) / &spread;
    let d2 = &d1 - &spread;
    let price = &s * normal(d1) - &k * (-rate * &t).exp() * normal(d2);
    let f = Compiler::new().threads(1).compile([&s, &k, &t], price)?;
    let mut out = [0.0; 3];
    f.call_into((&[90.0, 100.0, 110.0], &[100.0; 3], &[1.0; 3]), (&mut out,))?;
    Ok(out[2])
}

/// A vector and the gradient by it of a chain of so many elementwise ops.
fn slope_of_chain(ops: usize) -> Result<(Expr, Expr)> {
    let x = vector::<f64>("x");
    let mut y = x.clone();
    for op in 0..ops {
        y = match op % 4 {
            0 => y + new_constant(),
            1 => y * new_constant(),
            2 => y.tanh(),
            _ => y.sin(),
        };
    }
    let slope = kroton::grad(&y.sum(..), [&x])?.remove(0);
    Ok((x, slope))
}

/// The gradient of a chain of so many elementwise ops, compiled.
pub fn gradient_of_chain(ops: usize) -> Result<Function> {
    let (x, slope) = slope_of_chain(ops)?;
    Compiler::new().threads(1).compile([&x], slope)
}

/// The gradients by weights and data of a chain of so many ops, of which every tenth is a matrix product and every tenth a
/// reduction; compiled.
pub fn gradient_of_layers(ops: usize) -> Result<Function> {
    let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
    let mut y = x.clone();
    for op in 0..ops {
        y = match op % 10 {
            0 => y.matmul(&w),
            5 => &y - y.mean_keepdims(1),
            1 | 4 | 7 => y.tanh(),
            2 | 8 => y * new_constant(),
            _ => y + new_constant(),
        };
    }
    let slopes = kroton::grad(&y.square().sum(..), [&x, &w])?;
    Compiler::new().threads(1).compile([&x, &w], slopes)
}

/// The sum of what so many loops in a row leave, and its gradient, compiled.
pub fn gradient_of_loops(count: usize) -> Result<Function> {
    let x = vector::<f64>("x");
    let mut y = x.clone();
    for _ in 0..count {
        [y] = kroton::iterate(3, [&y], |[y]| [(y * new_constant()).sin()])?;
    }
    let loss = y.sum(..);
    let slope = kroton::grad(&loss, [&x])?.remove(0);
    Compiler::new().threads(1).compile([&x], (loss, slope))
}

/// The graph of the gradient of a chain, of about so many nodes, for the optimizer.
pub fn graph_of_gradient(nodes: usize) -> Result<Graph> {
    let (x, slope) = slope_of_chain(nodes / 3)?;
    Ok(text::parse(&kroton::to_text([&x], slope)?)?.0)
}

/// Optimizes a graph.
pub fn optimized(graph: Graph) -> Result<Graph> {
    Ok(optimize::optimize(graph, &optimize::Options::default())?.0)
}
