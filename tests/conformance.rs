//! Conformance: every elementwise op of the table × every dtype it takes × every engine × every layout.
//!
//! The expected value is the scalar function of the row (`apply`): the same bits for exact rows, and within the
//! row's bound of the exact result for functions. Nothing is optimized away: the functions are compiled with
//! `OptLevel::None`. Reductions have their own file.

mod common;

use common::{Argument, Layout, call_scalars, difference, engines, nasty, plain, same, steps};
use kroton::expr::{apply_binary, apply_ternary, apply_unary};
use kroton::ops::{BinaryOp, Row, TernaryOp, UnaryOp};
use kroton::{Compiler, DType, Device, Expr, Function, InstructionSet, Scalar};

/// Lengths around the widths of vectors and of unrolled bodies.
const LENGTHS: [usize; 13] = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 67];

/// What a function is expected to do to its arguments, element by element.
type Definition<'a> = &'a dyn Fn(&[Scalar]) -> Scalar;

/// The name by which [`bound`] knows the instruction set without fused multiply-add.
const BASELINE: &str = "Baseline";

/// The bound of a row on an engine or an instruction set.
fn bound(engine: &str, row: &Row, dtype: DType) -> f32 {
    let has_fma = engine != BASELINE || cfg!(not(target_arch = "x86_64"));
    if has_fma { row.ulp_bound(dtype) } else { row.baseline_bound(dtype) }
}

/// The definition lies within the row's bound of the exact result, what an engine gives within the engine's.
fn agree(name: &str, row: &Row, dtype: DType, got: Scalar, expected: Scalar) -> bool {
    let engine = name.split(':').next().unwrap_or_default();
    let sum = row.ulp_bound(dtype) + bound(engine, row, dtype);
    if sum == 0.0 || same(got, expected) {
        return same(got, expected);
    }
    let both_zero = got.to_f64() == 0.0 && expected.to_f64() == 0.0;
    !both_zero && steps(got, expected) <= sum as u64
}

fn check_call(name: &str, row: Option<&Row>, f: &Function, arguments: &[&Argument], define: Definition<'_>) {
    let got = call_scalars(f, arguments).unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"));
    let operands = |i: usize| arguments.iter().map(|x| x.values[i]).collect::<Vec<_>>();
    let expected: Vec<Scalar> = (0..arguments[0].values.len()).map(|i| define(&operands(i))).collect();
    assert_eq!(got.len(), expected.len(), "{name}: {arguments:?}");
    for (i, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
        let equal = match row {
            Some(row) => agree(name, row, arguments[arguments.len() - 1].dtype, got, expected),
            None => same(got, expected),
        };
        let layouts: Vec<_> = arguments.iter().map(|x| x.layout).collect();
        assert!(equal, "{name}({:?}) is {got:?}, not {expected:?} (element {i}, {layouts:?})", operands(i));
    }
}

/// Calls a function on tuples of values in every layout, whole and in short windows.
fn check_layouts(name: &str, row: Option<&Row>, f: &Function, tuples: &[Vec<Scalar>], define: Definition<'_>) {
    let arity = tuples[0].len();
    let column = |k: usize, range: std::ops::Range<usize>, layout: Layout| {
        let values: Vec<Scalar> = tuples[range].iter().map(|tuple| tuple[k]).collect();
        Argument::vector(values.first().map_or(tuples[0][k].dtype(), |value| value.dtype()), &values, layout)
    };
    let check = |range: std::ops::Range<usize>, layouts: &dyn Fn(usize) -> Layout| {
        let columns: Vec<Argument> = (0..arity).map(|k| column(k, range.clone(), layouts(k))).collect();
        check_call(name, row, f, &columns.iter().collect::<Vec<_>>(), define);
    };
    let all = 0..tuples.len();
    check(all.clone(), &|_| Layout::Contiguous);
    check(all.clone(), &|_| Layout::Strided);
    check(all.clone(), &|_| Layout::Reversed);
    check(all, &|k| [Layout::Strided, Layout::Contiguous, Layout::Reversed][k % 3]);
    for (i, length) in LENGTHS.into_iter().enumerate() {
        let length = length.min(tuples.len());
        let start = (i * 29) % (tuples.len() - length + 1);
        check(start..start + length, &|_| Layout::Contiguous);
        check(start..start + length, &|k| if k % 2 == 0 { Layout::Reversed } else { Layout::Strided });
        // One operand repeats with stride zero, the others move; then all repeat.
        for repeated in 0..=arity {
            check(start..start + length, &|k| {
                if k == repeated || repeated == arity { Layout::Repeated } else { Layout::Contiguous }
            });
        }
    }
}

fn input(name: &str, dtype: DType) -> Expr {
    kroton::input(name, dtype, [None])
}

fn every_dtype(row: &Row) -> impl Iterator<Item = DType> {
    DType::ALL.into_iter().filter(|&dtype| row.class.contains(dtype))
}

fn unary_on(engine: &str, compiler: &Compiler) {
    let mut count = 0;
    for &op in UnaryOp::ALL {
        for dtype in every_dtype(op.row()) {
            let x = input("x", dtype);
            let y = apply_unary(op, &x);
            assert_eq!(y.dtype(), op.row().result(dtype), "{op} {dtype}");
            let f = compiler.compile([&x], &y).unwrap();
            let mut tuples: Vec<Vec<Scalar>> = nasty(dtype).into_iter().map(|x| vec![x]).collect();
            tuples = tuples.iter().cycle().take(tuples.len().max(80)).cloned().collect();
            let name = format!("{engine}: {op} {dtype}");
            check_layouts(&name, Some(op.row()), &f, &tuples, &|x| op.apply(x[0]).unwrap());
            count += 1;
        }
    }
    assert!(count >= 2 * 30 + 6 * 3, "only {count} ops × dtypes");
}

fn pairs(dtype: DType) -> Vec<Vec<Scalar>> {
    let values = nasty(dtype);
    let mut pairs: Vec<Vec<Scalar>> = values.iter().flat_map(|&a| values.iter().map(move |&b| vec![a, b])).collect();
    pairs = pairs.iter().cycle().take(pairs.len().max(80)).cloned().collect();
    pairs
}

fn binary_on(engine: &str, compiler: &Compiler) {
    let mut count = 0;
    for &op in BinaryOp::ALL {
        for dtype in every_dtype(op.row()) {
            let (a, b) = (input("a", dtype), input("b", dtype));
            let y = apply_binary(op, &a, &b);
            assert_eq!(y.dtype(), op.row().result(dtype), "{op} {dtype}");
            let f = compiler.compile([&a, &b], &y).unwrap();
            let name = format!("{engine}: {op} {dtype}");
            check_layouts(&name, Some(op.row()), &f, &pairs(dtype), &|x| op.apply(x[0], x[1]).unwrap());
            count += 1;
        }
    }
    assert!(count >= 4 * 2 + 9 * 8 + 6 * 9, "only {count} ops × dtypes");
}

fn ternary_on(engine: &str, compiler: &Compiler) {
    for &op in TernaryOp::ALL {
        for dtype in every_dtype(op.row()) {
            let first = if op == TernaryOp::Select { DType::Bool } else { dtype };
            let operands = [input("a", first), input("b", dtype), input("c", dtype)];
            let [a, b, c] = &operands;
            let f = compiler.compile([a, b, c], apply_ternary(op, a, b, c)).unwrap();
            let firsts = nasty(first);
            let tuples: Vec<Vec<Scalar>> = pairs(dtype)
                .into_iter()
                .enumerate()
                .map(|(i, pair)| vec![firsts[(i * 7 + i / 5) % firsts.len()], pair[0], pair[1]])
                .collect();
            let name = format!("{engine}: {op} {dtype}");
            check_layouts(&name, Some(op.row()), &f, &tuples, &|x| op.apply(x[0], x[1], x[2]).unwrap());
        }
    }
}

fn casts_on(engine: &str, compiler: &Compiler) {
    for from in DType::ALL {
        for to in DType::ALL {
            let x = input("x", from);
            let f = compiler.compile([&x], x.cast_to(to)).unwrap();
            let mut tuples: Vec<Vec<Scalar>> = nasty(from).into_iter().map(|x| vec![x]).collect();
            tuples = tuples.iter().cycle().take(tuples.len().max(80)).cloned().collect();
            let name = format!("{engine}: cast {from} to {to}");
            check_layouts(&name, None, &f, &tuples, &|x| x[0].cast(to));
        }
    }
}

/// Matrices in different orders, so that no order is contiguous for all operands.
fn mixed_orders_on(engine: &str, compiler: &Compiler) {
    for dtype in DType::ALL {
        let [a, b] = ["a", "b"].map(|name| kroton::input(name, dtype, [None, None]));
        let row = kroton::input("row", dtype, [Some(1), None]);
        let y = apply_binary(BinaryOp::Eq, &a, &b).select(&row, &a);
        let f = compiler.compile([&a, &b, &row], &y).unwrap();
        for (rows, columns) in [(0, 3), (3, 0), (1, 1), (1, 37), (37, 1), (5, 37), (19, 17)] {
            for layouts in Layout::ALL.into_iter().flat_map(|a| Layout::ALL.map(|b| [a, b])) {
                let values = |shift: usize, count: usize| -> Vec<Scalar> {
                    nasty(dtype).into_iter().cycle().skip(shift).take(count).collect()
                };
                let left = Argument::new(dtype, &[rows, columns], values(0, rows * columns), layouts[0]);
                let right = Argument::new(dtype, &[rows, columns], values(1, rows * columns), layouts[1]);
                let line = Argument::new(dtype, &[1, columns], values(2, columns), layouts[0]);
                let got = call_scalars(&f, &[&left, &right, &line]).unwrap();
                let expected: Vec<Scalar> = (0..rows * columns)
                    .map(|i| {
                        let equal = BinaryOp::Eq.apply(left.values[i], right.values[i]);
                        if equal == Some(Scalar::Bool(true)) { line.values[i % columns] } else { left.values[i] }
                    })
                    .collect();
                if let Some(difference) = difference(&got, &expected) {
                    panic!("{engine}: {dtype} [{rows}, {columns}] {layouts:?}: {difference}");
                }
            }
        }
    }
}

macro_rules! on_every_engine {
    ($($module:ident $device:ident;)*) => { $(
        mod $module {
            use super::*;

            fn compiler() -> Compiler {
                plain(Device::$device)
            }

            #[test]
            fn unary_ops_are_their_rows() {
                unary_on(stringify!($module), &compiler());
            }

            #[test]
            fn binary_ops_are_their_rows() {
                binary_on(stringify!($module), &compiler());
            }

            #[test]
            fn ternary_ops_are_their_rows() {
                ternary_on(stringify!($module), &compiler());
            }

            #[test]
            fn casts_are_those_of_scalars() {
                casts_on(stringify!($module), &compiler());
            }

            #[test]
            fn operands_of_different_orders_meet() {
                mixed_orders_on(stringify!($module), &compiler());
            }
        }
    )* };
}
on_every_engine! {
    interpreter Interpreter;
    loops Loops;
    cpu Cpu;
}

/// The instruction sets that this processor has, but for its own, which the tests above are of.
fn lesser_sets() -> impl Iterator<Item = (InstructionSet, Compiler)> {
    let sets = InstructionSet::ALL.into_iter().filter(|&set| set != InstructionSet::Native);
    let compilers = sets.map(|set| (set, plain(Device::Cpu).isa(set)));
    let x = kroton::scalar::<f64>("x");
    compilers.filter(move |(_, compiler)| match compiler.compile([&x], &x) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("this processor does not have it"), "{error}");
            false
        }
    })
}

#[test]
fn every_instruction_set_keeps_the_rows() {
    for (set, compiler) in lesser_sets() {
        let name = format!("{set:?}");
        unary_on(&name, &compiler);
        ternary_on(&name, &compiler);
        mixed_orders_on(&name, &compiler);
    }
}

/// A line of tests/data/functions.csv: the operands and the correctly rounded result.
struct Reference {
    operands: Vec<f64>,
    result: f64,
}

fn references(name: &str) -> Vec<Reference> {
    let text = include_str!("data/functions.csv");
    let number = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(','));
    let numbers = lines.map(|line| line.split(',').map(number).collect::<Vec<f64>>());
    numbers.map(|mut row| Reference { result: row.pop().unwrap(), operands: row }).collect()
}

/// The gamma family is bounded by 4 ULP of max(|result|, 1) where its roots crowd, below zero.
fn counts_from_one(name: &str, reference: &Reference) -> bool {
    ["gamma", "lgamma", "digamma"].contains(&name) && reference.operands[0] <= 0.0 && reference.result.abs() < 1.0
}

fn check_references(engine: &str, row: &Row, dtype: DType, f: &Function) -> usize {
    let fits = |x: &f64| Scalar::F64(*x).cast(dtype).cast(DType::F64) == Scalar::F64(*x);
    let rows: Vec<Reference> = references(row.name).into_iter().filter(|r| r.operands.iter().all(fits)).collect();
    let columns: Vec<Argument> = (0..rows[0].operands.len())
        .map(|k| {
            let values: Vec<Scalar> = rows.iter().map(|r| Scalar::F64(r.operands[k]).cast(dtype)).collect();
            Argument::vector(dtype, &values, Layout::Contiguous)
        })
        .collect();
    let got = call_scalars(f, &columns.iter().collect::<Vec<_>>()).unwrap();
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    for (got, reference) in got.into_iter().zip(&rows) {
        let expected = Scalar::F64(reference.result).cast(dtype);
        let near = if counts_from_one(row.name, reference) {
            let bound = if engine == BASELINE { 5.0 } else { 4.0 };
            (got.to_f64() - expected.to_f64()).abs() <= bound * epsilon
        } else {
            steps(got, expected) <= bound(engine, row, dtype) as u64
        };
        assert!(near, "{engine}: {} {dtype} of {:?} is {got:?}, not {expected:?}", row.name, reference.operands);
    }
    rows.len()
}

/// The published bounds hold through compiled functions, against an independent source.
#[test]
fn functions_meet_their_published_bounds() {
    let engines = engines().map(|(engine, device)| (engine.to_string(), plain(device)));
    for (engine, compiler) in
        engines.into_iter().chain(lesser_sets().map(|(set, compiler)| (format!("{set:?}"), compiler)))
    {
        for dtype in [DType::F32, DType::F64] {
            let (a, b) = (input("a", dtype), input("b", dtype));
            let unary = UnaryOp::ALL.iter().filter(|op| !op.row().is_exact());
            for &op in unary {
                let f = compiler.compile([&a], apply_unary(op, &a)).unwrap();
                assert!(check_references(&engine, op.row(), dtype, &f) >= 40, "{op} {dtype}");
            }
            for &op in BinaryOp::ALL.iter().filter(|op| !op.row().is_exact()) {
                let f = compiler.compile([&a, &b], apply_binary(op, &a, &b)).unwrap();
                assert!(check_references(&engine, op.row(), dtype, &f) >= 40, "{op} {dtype}");
            }
        }
    }
}
