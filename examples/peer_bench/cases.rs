//! The workloads as calls that can be timed: what is compiled, with which arguments, and where results go.

use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use kroton::{
    Arg, Array, Compiler, DType, Error, Expr, FromOutputs, Result, grad, input, iterate, matrix, random, s, scalar,
    vector,
};
use ndarray::Array1;

use crate::data::Float;
use crate::{Refusal, formulas};

/// What all workloads of a worker share.
pub struct Setup {
    pub threads: usize,
    pub style: Style,
}

/// What arguments and results are.
#[derive(Clone, Copy, PartialEq)]
pub enum Style {
    /// `kroton::Array`, results fresh; W1out writes into one that is there.
    Array,
    /// `Vec`, into a `Vec`; only W1.
    Vec,
    /// Every other element of an ndarray array, into the same; only W1.
    Strided,
}

impl FromStr for Style {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Style, String> {
        match name {
            "array" => Ok(Style::Array),
            "vec" => Ok(Style::Vec),
            "strided" => Ok(Style::Strided),
            _ => Err(format!("no style {name}")),
        }
    }
}

/// One call; gives its results if asked to keep them.
pub type Case = Box<dyn FnMut(bool) -> Result<Option<Vec<Array>>>>;

/// What a call gives, as arrays.
pub trait Results: FromOutputs + 'static {
    fn into_arrays(self) -> Result<Vec<Array>>;
}

impl Results for Array {
    fn into_arrays(self) -> Result<Vec<Array>> {
        Ok(vec![self])
    }
}

impl Results for (Array, Array) {
    fn into_arrays(self) -> Result<Vec<Array>> {
        Ok(vec![self.0, self.1])
    }
}

macro_rules! single_values {
    ($($type:ty)*) => { $(
        impl Results for $type {
            fn into_arrays(self) -> Result<Vec<Array>> {
                Ok(vec![Array::from([self]).reshape(&[])?])
            }
        }
    )* };
}
single_values!(f32 f64 i64);

fn case<R: Results>(mut call: impl FnMut() -> Result<R> + 'static) -> Case {
    Box::new(move |keep| {
        let results = black_box(call()?);
        if keep { results.into_arrays().map(Some) } else { Ok(None) }
    })
}

/// Compiles a workload for its inputs.
pub fn make<T: Float + Results>(
    setup: &Setup,
    workload: &str,
    inputs: Vec<Array>,
) -> std::result::Result<Case, Refusal> {
    if setup.style != Style::Array && !matches!(workload, "W1" | "W1out") {
        return Err(Refusal::Unsupported("this style is for W1 alone".into()));
    }
    let compiler = Compiler::new().threads(setup.threads);
    let case = match workload {
        "W1" | "W1out" => squares::<T>(&compiler, setup.style, workload == "W1", inputs)?,
        "W2" => of_vectors::<T, f64, 2>(&compiler, |[x, y]| formulas::pi(x, y), inputs)?,
        "W3" => drawn_pi::<T>(&compiler)?,
        "W4" => of_vectors::<T, Array, 1>(&compiler, |[x]| formulas::horner(x), inputs)?,
        "W5" => of_vectors::<T, Array, 1>(&compiler, |[x]| formulas::transcendental(x), inputs)?,
        "W6" => {
            let price = |[s, k, t]: [&Expr; 3]| formulas::black_scholes(s, k, t, formulas::RATE);
            of_vectors::<T, Array, 3>(&compiler, price, inputs)?
        }
        "W7sum" => of_vectors::<T, T, 1>(&compiler, |[x]| x.sum(..), inputs)?,
        "W7argmax" => of_vectors::<T, i64, 1>(&compiler, |[x]| x.argmax(..), inputs)?,
        "W7lse" => of_matrix::<T>(&compiler, |x| x.logsumexp(1), inputs)?,
        "W7meanvar" => mean_and_variance::<T>(&compiler, inputs)?,
        "W8softmax" => of_matrix::<T>(&compiler, |x| x.softmax(1), inputs)?,
        "W8layernorm" => layer_norm::<T>(&compiler, inputs)?,
        "W9" => distances::<T>(&compiler, inputs)?,
        "W10" => particles::<T>(&compiler, inputs)?,
        "W11" => product::<T>(&compiler, inputs)?,
        "W12" => logistic::<T>(&compiler, inputs)?,
        "W13chain" => of_vectors::<T, Array, 1>(&compiler, |[x]| formulas::chain(x, 0), inputs)?,
        other => return Err(format!("no workload {other}").into()),
    };
    Ok(case)
}

/// Definition to first result of a program that differs from all others in a constant, in seconds.
pub fn latency(setup: &Setup, kind: &str, counter: usize, inputs: &[Array]) -> std::result::Result<f64, Refusal> {
    let tiny = 1e-9 * (counter + 1) as f64;
    let start = Instant::now();
    let names: Vec<Expr> = (0..inputs.len()).map(|index| vector::<f64>(&format!("x{index}"))).collect();
    let result = match (kind, &names[..]) {
        ("w1", [a, b]) => formulas::squares(a, b) + tiny,
        ("w5", [x]) => formulas::transcendental(x) + tiny,
        ("w6", [s, k, t]) => formulas::black_scholes(s, k, t, formulas::RATE + tiny),
        ("chain", [x]) => formulas::chain(x, counter + 1),
        _ => return Err(format!("no latency of {kind} with {} inputs", inputs.len()).into()),
    };
    let f = Compiler::new().threads(setup.threads).compile(&names, result)?;
    let arguments: Vec<Arg<'_>> = inputs.iter().map(Arg::from).collect();
    black_box(f.call::<Array>(&arguments)?);
    Ok(start.elapsed().as_secs_f64())
}

/// π from samples that are drawn, other ones in each call.
fn drawn_pi<T: Float>(compiler: &Compiler) -> Result<Case> {
    /// As many as the other libraries draw.
    const SAMPLES: i64 = 20_000_000;
    let (seed, count) = (scalar::<u64>("seed"), scalar::<i64>("count"));
    let (of_x, of_y) = random::split(&random::key(&seed));
    let draw = |key: &Expr| match T::DTYPE {
        DType::F32 => random::uniform::<f32>(key, [&count]),
        _ => random::uniform::<f64>(key, [&count]),
    };
    let f = compiler.compile([&seed, &count], formulas::pi(&draw(&of_x), &draw(&of_y)))?;
    let mut seed = 0_u64;
    Ok(case(move || {
        seed += 1;
        f.call::<f64>((seed, SAMPLES))
    }))
}

/// a² + b² in the three styles, fresh or into memory that is there.
fn squares<T: Float>(compiler: &Compiler, style: Style, fresh: bool, inputs: Vec<Array>) -> Result<Case> {
    let (a, b) = (vector::<T>("a"), vector::<T>("b"));
    let f = compiler.compile([&a, &b], formulas::squares(&a, &b))?;
    let [a, b] = exactly(inputs)?;
    Ok(match style {
        Style::Array if fresh => case(move || f.call::<Array>((&a, &b))),
        Style::Array => {
            let mut out = Array::zeros(T::DTYPE, a.shape())?;
            Box::new(move |keep| {
                f.call_into((&a, &b), (&mut out,))?;
                Ok(keep.then(|| vec![out.clone()]))
            })
        }
        Style::Vec => {
            let (a, b) = (a.as_slice::<T>()?.to_vec(), b.as_slice::<T>()?.to_vec());
            let mut out = a.clone();
            Box::new(move |keep| {
                f.call_into((&a, &b), (&mut out,))?;
                Ok(keep.then(|| vec![Array::from(&out)]))
            })
        }
        Style::Strided => {
            let (a, b, mut out) = (strided::<T>(&a)?, strided::<T>(&b)?, strided::<T>(&a)?);
            Box::new(move |keep| {
                f.call_into((a.slice(s![..;2]), b.slice(s![..;2])), (out.slice_mut(s![..;2]),))?;
                Ok(keep.then(|| vec![Array::from(&out.slice(s![..;2]))]))
            })
        }
    })
}

/// An array whose every other element is that of another.
fn strided<T: Float>(dense: &Array) -> Result<Array1<T>> {
    let dense = dense.view::<T>()?;
    let doubled: Vec<T> = dense.iter().flat_map(|&x| [x, x]).collect();
    Ok(Array1::from(doubled))
}

/// The inputs that a workload has.
fn exactly<const N: usize>(inputs: Vec<Array>) -> Result<[Array; N]> {
    let came = inputs.len();
    inputs.try_into().map_err(|_| Error::Argument(format!("{came} files for {N} inputs")))
}

fn of_vectors<T: Float, R: Results, const N: usize>(
    compiler: &Compiler,
    formula: impl FnOnce([&Expr; N]) -> Expr,
    inputs: Vec<Array>,
) -> Result<Case> {
    let names: [Expr; N] = std::array::from_fn(|index| vector::<T>(&format!("x{index}")));
    let names = names.each_ref();
    let f = compiler.compile(names, formula(names))?;
    let inputs: [Array; N] = exactly(inputs)?;
    Ok(case(move || f.call::<R>(inputs.each_ref().map(Arg::from))))
}

fn of_matrix<T: Float>(compiler: &Compiler, formula: impl FnOnce(&Expr) -> Expr, inputs: Vec<Array>) -> Result<Case> {
    let x = matrix::<T>("x");
    let f = compiler.compile([&x], formula(&x))?;
    let [x] = exactly(inputs)?;
    Ok(case(move || f.call::<Array>((&x,))))
}

fn mean_and_variance<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    let x = matrix::<T>("x");
    let f = compiler.compile([&x], (x.mean(0), x.var(0)))?;
    let [x] = exactly(inputs)?;
    Ok(case(move || f.call::<(Array, Array)>((&x,))))
}

fn layer_norm<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    let (x, scale, shift) = (matrix::<T>("x"), vector::<T>("scale"), vector::<T>("shift"));
    let f = compiler.compile([&x, &scale, &shift], formulas::layer_norm(&x, &scale, &shift))?;
    let [x, scale, shift] = exactly(inputs)?;
    Ok(case(move || f.call::<Array>((&x, &scale, &shift))))
}

fn distances<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    let column = |name| input(name, T::DTYPE, [None, Some(1)]);
    let row = |name| input(name, T::DTYPE, [Some(1), None]);
    let [xi, yi, xj, yj] = [column("xi"), column("yi"), row("xj"), row("yj")];
    let f = compiler.compile([&xi, &yi, &xj, &yj], formulas::distances(&xi, &yi, &xj, &yj))?;
    let [xi, yi, xj, yj] = exactly(inputs)?;
    Ok(case(move || f.call::<Array>((&xi, &yi, &xj, &yj))))
}

/// Where particles are after 1,000 steps.
fn particles<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    const STEPS: i64 = 1_000;
    let [x, y, speed] = ["x", "y", "speed"].map(vector::<T>);
    let steps = scalar::<i64>("steps");
    let end = iterate(&steps, [&x, &y], |[x, y]| formulas::turned(&x, &y, &speed))?;
    let f = compiler.compile([&steps, &x, &y, &speed], end)?;
    let [x, y, speed] = exactly(inputs)?;
    Ok(case(move || f.call::<(Array, Array)>((STEPS, &x, &y, &speed))))
}

fn product<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    let (a, b) = (matrix::<T>("a"), matrix::<T>("b"));
    let f = compiler.compile([&a, &b], a.dot(&b))?;
    let [a, b] = exactly(inputs)?;
    Ok(case(move || f.call::<Array>((&a, &b))))
}

/// The mean loss and its gradient by the weights.
fn logistic<T: Float>(compiler: &Compiler, inputs: Vec<Array>) -> Result<Case> {
    let (samples, classes, weights) = (matrix::<T>("samples"), vector::<T>("classes"), vector::<T>("weights"));
    let loss = formulas::logistic_loss(&samples, &classes, &weights);
    let slope = grad(&loss, [&weights])?.remove(0);
    let f = compiler.compile([&samples, &classes, &weights], (loss, slope))?;
    let [samples, classes, weights] = exactly(inputs)?;
    Ok(case(move || f.call::<(Array, Array)>((&samples, &classes, &weights))))
}
