//! Naive formulas beside what the optimizer makes of them: the worst error against 448-bit arithmetic, and the time.
//!
//! ```text
//! cargo run --release --example stable_formulas
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};

use astro_float::{BigFloat, Consts, RoundingMode};
use kroton::{Compiler, Expr, Function, OptLevel, Result, Stage, vector};

const BITS: usize = 448;
const NEAREST: RoundingMode = RoundingMode::ToEven;

/// A formula, twice: as a program has it, and with hundreds of bits.
struct Formula {
    text: &'static str,
    naive: fn(&Expr) -> Expr,
    exact: fn(&mut Wide, &BigFloat) -> BigFloat,
    arguments: (f64, f64),
}

/// Arithmetic of 448 bits.
struct Wide(Consts);

impl Wide {
    fn exp(&mut self, x: &BigFloat) -> BigFloat {
        x.exp(BITS, NEAREST, &mut self.0)
    }

    fn ln(&mut self, x: &BigFloat) -> BigFloat {
        x.ln(BITS, NEAREST, &mut self.0)
    }

    fn one_plus(&self, x: &BigFloat) -> BigFloat {
        x.add(&BigFloat::from_f64(1.0, BITS), BITS, NEAREST)
    }
}

const FORMULAS: &[Formula] = &[
    Formula {
        text: "ln(1 + x)",
        naive: |x| (1.0 + x).ln(),
        exact: |wide, x| {
            let sum = wide.one_plus(x);
            wide.ln(&sum)
        },
        arguments: (1e-12, 1e-3),
    },
    Formula {
        text: "exp(x) - 1",
        naive: |x| x.exp() - 1.0,
        exact: |wide, x| wide.exp(x).sub(&BigFloat::from_f64(1.0, BITS), BITS, NEAREST),
        arguments: (1e-12, 1e-3),
    },
    Formula {
        text: "ln(1 + exp(x))",
        naive: |x| (1.0 + x.exp()).ln(),
        exact: |wide, x| {
            let sum = wide.exp(x);
            let sum = wide.one_plus(&sum);
            wide.ln(&sum)
        },
        arguments: (-30.0, 2000.0),
    },
    Formula {
        text: "exp(x) / (1 + exp(x))",
        naive: |x| x.exp() / (1.0 + x.exp()),
        exact: |wide, x| {
            let e = wide.exp(x);
            e.div(&wide.one_plus(&e), BITS, NEAREST)
        },
        arguments: (-30.0, 2000.0),
    },
    Formula {
        text: "ln(1 / (1 + exp(-x)))",
        naive: |x| (1.0 / (1.0 + (-x).exp())).ln(),
        exact: |wide, x| {
            let e = wide.exp(&-x.clone());
            let sum = wide.one_plus(&e);
            -wide.ln(&sum)
        },
        arguments: (-2000.0, 30.0),
    },
    Formula {
        text: "ln(1 - exp(x))",
        naive: |x| (1.0 - x.exp()).ln(),
        exact: |wide, x| {
            let e = wide.exp(x);
            let difference = wide.one_plus(&-e);
            wide.ln(&difference)
        },
        arguments: (-40.0, -1e-12),
    },
    Formula { text: "sqrt(x * x)", naive: |x| (x * x).sqrt(), exact: |_, x| x.abs(), arguments: (1e150, 1e200) },
];

/// Points between two arguments, evenly for arguments around zero, else in their logarithms.
fn points((low, high): (f64, f64), count: usize) -> Vec<f64> {
    let share = |i: usize| i as f64 / (count - 1) as f64;
    let geometric = low * high > 0.0;
    (0..count)
        .map(|i| if geometric { low * (high / low).powf(share(i)) } else { low + (high - low) * share(i) })
        .collect()
}

/// The error in units in the last place.
fn ulps(value: f64, exact: f64) -> f64 {
    let unit = exact.abs().next_up() - exact.abs();
    if value.is_finite() { (value - exact).abs() / unit } else { f64::INFINITY }
}

fn worst(f: &Function, xs: &[f64], exact: &[f64]) -> Result<f64> {
    let values: Vec<f64> = f.call((xs,))?;
    Ok(values.iter().zip(exact).map(|(&value, &exact)| ulps(value, exact)).fold(0.0, f64::max))
}

/// The shortest of some calls.
fn time(f: &Function, xs: &[f64]) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        black_box(f.call::<Vec<f64>>((xs,))?);
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// The names of the rules that fired, each once, in order.
fn fired(f: &Function) -> Result<String> {
    let text = f.dump(Stage::Optimized)?;
    let mut names: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("stabilize/")) {
        let name = line.split(['/', ':']).nth(1).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.join(", "))
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut wide = Wide(Consts::new().map_err(|error| format!("{error:?}"))?);
    println!(
        "{:<24} {:>12} {:>12} {:>10} {:>10}  rules",
        "formula (f64)", "naive, ULP", "stable, ULP", "naive, µs", "stable, µs"
    );
    for Formula { text, naive, exact, arguments } in FORMULAS {
        let x = vector::<f64>("x");
        let y = naive(&x);
        let plain = Compiler::new().optimize(OptLevel::None).compile([&x], &y)?;
        let stable = Compiler::new().compile([&x], &y)?;
        let few = points(*arguments, 500);
        let reference: Vec<f64> = few
            .iter()
            .map(|&x| exact(&mut wide, &BigFloat::from_f64(x, BITS)).to_string().parse())
            .collect::<std::result::Result<_, _>>()?;
        let many = points(*arguments, 100_000);
        let [before, after] = [worst(&plain, &few, &reference)?, worst(&stable, &few, &reference)?];
        let [slow, fast] = [time(&plain, &many)?, time(&stable, &many)?].map(|time| time.as_secs_f64() * 1e6);
        println!("{text:<24} {before:>12.3e} {after:>12.2} {slow:>10.0} {fast:>10.0}  {}", fired(&stable)?);
    }
    Ok(())
}
