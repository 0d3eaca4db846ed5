//! NumPy as a second source: every line of `data/numpy_cases.txt` on the CPU engine and on the oracle.
//!
//! The file says what an operation of NumPy gives and how exactly; here each is written with the public interface.
//! How the lines look, and where the bound of an inexact one comes from, is told by `data/numpy_cases.py`.

mod common;

use std::collections::HashMap;

use common::{same, scalars, with_element};
use kroton::{Arg, Array, Axes, Compiler, DType, Device, Element, Expr, IntoAxes, NewAxis, Scalar, input, s};

const CASES: &str = include_str!("data/numpy_cases.txt");

struct Value {
    dtype: DType,
    shape: Vec<usize>,
    elements: Vec<Scalar>,
}

/// How exactly a result is what NumPy says.
#[derive(Clone, Copy)]
enum Relation {
    Equal,
    /// Zeros of both signs are the same.
    EqualUpToZeros,
    /// Within so many units in the last place.
    Roundings(f64),
}

fn dtype(name: &str) -> DType {
    let all =
        [DType::Bool, DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64, DType::F32, DType::F64];
    all.into_iter().find(|dtype| dtype.name() == name).unwrap()
}

fn scalar(dtype: DType, text: &str) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(text == "1"),
        DType::F32 => Scalar::F32(text.parse().unwrap()),
        DType::F64 => Scalar::F64(text.parse().unwrap()),
        DType::U64 => Scalar::U64(text.parse().unwrap()),
        _ => Scalar::I64(text.parse().unwrap()).cast_exact(dtype).unwrap(),
    }
}

fn value(text: &str) -> Value {
    let mut words = text.split(' ');
    let dtype = dtype(words.next().unwrap());
    let shape: Vec<usize> = match words.next().unwrap() {
        "-" => vec![],
        sizes => sizes.split('x').map(|size| size.parse().unwrap()).collect(),
    };
    let elements: Vec<Scalar> = words.filter(|word| !word.is_empty()).map(|word| scalar(dtype, word)).collect();
    assert_eq!(elements.len(), shape.iter().product::<usize>(), "{text}");
    Value { dtype, shape, elements }
}

/// The integers of an argument such as `0,2`.
fn integers(text: &str) -> Vec<i64> {
    text.split(',').map(|number| number.parse().unwrap()).collect()
}

fn axes(text: &str) -> Axes {
    if text == "all" { (..).into_axes() } else { integers(text).into_axes() }
}

/// The method of a name on an expression, if it is listed.
macro_rules! named {
    ($name:expr, $x:expr, $arguments:tt: $($method:ident)*) => {
        match $name {
            $(stringify!($method) => Some($x.$method $arguments),)*
            _ => None,
        }
    };
}

fn elementwise(op: &str, x: &[Expr]) -> Option<Expr> {
    if let [x] = x {
        return named!(op, x, (): neg abs sign square not round floor ceil trunc is_nan is_inf is_finite nan_to_num
            deg2rad rad2deg recip sqrt exp exp2 expm1 ln log2 log10 log1p tanh cbrt asinh atan cosh transpose);
    }
    let [a, b] = x else { return None };
    let operator = match op {
        "add" => Some(a + b),
        "sub" => Some(a - b),
        "mul" => Some(a * b),
        "div" => Some(a / b),
        "rem" => Some(a % b),
        "and" => Some(a & b),
        "or" => Some(a | b),
        "xor" => Some(a ^ b),
        "shl" => Some(a << b),
        "shr" => Some(a >> b),
        _ => None,
    };
    operator.or_else(|| {
        named!(op, a, (b): floor_div pow lt le gt ge eq ne maximum minimum fmax fmin copysign hypot atan2 logaddexp matmul)
    })
}

fn reduction(op: &str, x: &Expr, arguments: &[&str]) -> Option<Expr> {
    let along = axes(arguments.first().copied()?.trim());
    match op {
        "var_ddof" => Some(x.var_ddof(along, integers(arguments[1])[0] as usize)),
        "std_ddof" => Some(x.std_ddof(along, integers(arguments[1])[0] as usize)),
        _ => named!(op, x, (along): sum sum_keepdims prod prod_keepdims min min_keepdims max max_keepdims
            all all_keepdims any any_keepdims argmin argmin_keepdims argmax argmax_keepdims mean mean_keepdims
            norm norm_keepdims logsumexp logsumexp_keepdims var std softmax flip),
    }
}

fn other(op: &str, x: &[Expr], arguments: &[&str]) -> Option<Expr> {
    let list = || integers(arguments[0]);
    let three = || {
        let [a, b, step] = [0, 1, 2].map(|index| integers(arguments[index])[0]);
        (a as isize, b as isize, step as isize)
    };
    let part = |(start, end, step)| ndarray::SliceInfoElem::Slice { start, end: Some(end), step };
    let all = ndarray::SliceInfoElem::from(..);
    Some(match op {
        "cast" => with_element!(dtype(arguments[0]), T => x[0].cast::<T>()),
        "clamp" => x[0].clamp(integers(arguments[0])[0], integers(arguments[1])[0]),
        "slice_rows" => x[0].slice([part(three())]),
        "slice_columns" => x[0].slice([all, part(three())]),
        "slice_axis" => x[0].slice_axis(0, three().0, three().1, three().2 as i64),
        "index" => x[0].slice(s![list()[0] as isize, ..]),
        "new_axis" => x[0].slice(s![.., NewAxis, 1]),
        "permute" => x[0].permute(list()),
        "reshape" => x[0].reshape(list()),
        "broadcast_to" => x[0].broadcast_to(list()),
        "expand_dims" => x[0].expand_dims(list()[0]),
        "outer_sum" => x[0].expand_dims(-1) + &x[0],
        "concat" => kroton::concat(x, list()[0]),
        "stack" => kroton::stack(x, list()[0]),
        _ => return None,
    })
}

fn build(op: &str, x: &[Expr], arguments: &[&str]) -> Expr {
    elementwise(op, x)
        .or_else(|| other(op, x, arguments))
        .or_else(|| reduction(op, &x[0], arguments))
        .unwrap_or_else(|| panic!("`{op}` of the file is unknown here"))
}

fn epsilon(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON }
}

fn agree(got: Scalar, expected: Scalar, relation: Relation) -> bool {
    let (a, b) = (got.to_f64(), expected.to_f64());
    same(got, expected)
        || match relation {
            Relation::Equal => false,
            Relation::EqualUpToZeros => a == 0.0 && b == 0.0,
            Relation::Roundings(count) => (a - b).abs() <= count * epsilon(expected.dtype()) * b.abs(),
        }
}

fn relation(text: &str) -> Relation {
    match text {
        "=" => Relation::Equal,
        "0=" => Relation::EqualUpToZeros,
        _ => Relation::Roundings(text.strip_prefix('~').unwrap().parse().unwrap()),
    }
}

fn array<T: Element>(value: &Value) -> Array {
    let elements: Vec<T> = value.elements.iter().map(|&element| T::from_scalar(element).unwrap()).collect();
    Array::from_slice(&elements).reshape(&value.shape).unwrap()
}

/// What is wrong with a line, if anything is.
fn fault(line: &str, arrays: &HashMap<&str, Array>, device: Device) -> Option<String> {
    let (head, rest) = line.split_once(" : ").unwrap();
    let words: Vec<&str> = head.split(' ').collect();
    let at = rest.find(['=', '~']).unwrap();
    let at = rest[..at].rfind(' ').unwrap();
    let names: Vec<&str> = rest[..at].split(' ').collect();
    let (sign, expected) = rest[at + 1..].split_once(' ').unwrap();
    let (relation, expected) = (relation(sign), value(expected));
    let inputs: Vec<Expr> =
        names.iter().map(|&name| input(name, arrays[name].dtype(), vec![None; arrays[name].rank()])).collect();
    let result = build(words[0], &inputs, &words[1..]);
    let args: Vec<Arg<'_>> = names.iter().map(|&name| Arg::from(&arrays[name])).collect();
    let called = Compiler::new().device(device).compile(&inputs, &result).and_then(|f| f.call::<Array>(&args));
    let got = match called {
        Ok(got) => got,
        Err(error) => return Some(error.to_string()),
    };
    if (got.dtype(), got.shape()) != (expected.dtype, &expected.shape[..]) {
        return Some(format!("{}{:?} instead of {}{:?}", got.dtype(), got.shape(), expected.dtype, expected.shape));
    }
    let got = scalars(&got);
    let index = got.iter().zip(&expected.elements).position(|(&a, &b)| !agree(a, b, relation))?;
    Some(format!("element {index} is {} instead of {}", got[index], expected.elements[index]))
}

fn check(device: Device) {
    let mut arrays = HashMap::new();
    let (mut faults, mut cases) = (Vec::new(), 0);
    for line in CASES.lines() {
        if let Some(array_line) = line.strip_prefix("array ") {
            let (name, text) = array_line.split_once(' ').unwrap();
            let value = value(text);
            arrays.insert(name, with_element!(value.dtype, T => array::<T>(&value)));
        } else if let Some(case) = line.strip_prefix("case ") {
            cases += 1;
            faults.extend(fault(case, &arrays, device).map(|fault| format!("{case}\n    {fault}")));
        }
    }
    assert!(cases > 1800, "the file has {cases} cases");
    assert!(faults.is_empty(), "{} of {cases} cases:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_cpu_engine_is_like_numpy() {
    check(Device::Cpu);
}

#[test]
fn the_oracle_is_like_numpy() {
    check(Device::Interpreter);
}
