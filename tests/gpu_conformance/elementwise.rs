//! Every op of the table and every conversion, on nasty and on random operands of every dtype.

use std::ops::Range;

use kroton::ops::{BinaryOp, UnaryOp};
use kroton::{Array, DType, Expr, Function, Scalar};

use crate::common::gpu::Engine;
use crate::common::{Argument, Layout, Random, difference, nasty, scalars};
use crate::expected::{accepts, is_subnormal, reference};
use crate::operation::{Operation, Tuple};

/// The most results of a function: many share what compiling a shader costs, but not so many that it takes forever.
const OUTPUTS: usize = 12;

/// Lengths around words of bytes, lanes, and workgroups.
const LENGTHS: [usize; 15] = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 63, 65, 257];

/// Some operations of one dtype in one function.
struct Group {
    operations: Vec<Operation>,
    function: Function,
}

fn inputs(dtype: DType) -> [Expr; 4] {
    let input = |name, dtype| kroton::input(name, dtype, [None]);
    [input("condition", DType::Bool), input("a", dtype), input("b", dtype), input("c", dtype)]
}

fn groups(engine: &Engine, dtype: DType, operations: Vec<Operation>) -> Vec<Group> {
    let inputs = inputs(dtype);
    let chunks = operations.chunks(OUTPUTS).map(<[Operation]>::to_vec);
    let group = |operations: Vec<Operation>| {
        let outputs: Vec<Expr> = operations.iter().map(|operation| operation.build(&inputs)).collect();
        Group { operations, function: engine.compiler().compile(&inputs, &outputs).unwrap() }
    };
    chunks.map(group).collect()
}

/// Columns of tuples in a layout; of a layout that repeats, the values that the callee sees are elsewhere.
fn columns(tuples: &[Tuple], dtype: DType, layouts: impl Fn(usize) -> Layout) -> Vec<Argument> {
    let column = |k: usize| {
        let values: Vec<Scalar> = tuples.iter().map(|tuple| tuple[k]).collect();
        Argument::vector(if k == 0 { DType::Bool } else { dtype }, &values, layouts(k))
    };
    (0..4).map(column).collect()
}

/// Every pair of nasty values with a third, and random ones.
fn tuples(dtype: DType) -> Vec<Tuple> {
    let (values, mut random) = (nasty(dtype), Random(u64::from(dtype as u8)));
    let mut tuples = Vec::new();
    for &a in &values {
        for &b in &values {
            let c = values[random.below(values.len())];
            tuples.push([Scalar::Bool(random.below(2) == 0), a, b, c]);
        }
    }
    for _ in 0..3000 {
        let [a, b, c] = [(); 3].map(|()| random.scalar(dtype));
        tuples.push([Scalar::Bool(random.below(2) == 0), a, b, c]);
    }
    // Small integers, which divide, shift and are powers of each other, and floats near zero.
    for _ in 0..1000 {
        let [a, b, c] = [(); 3].map(|()| {
            let small = random.unit() * if dtype.is_float() { 2.0_f64.powi(-(random.below(40) as i32)) } else { 70.0 };
            Scalar::F64(small).cast(dtype)
        });
        tuples.push([Scalar::Bool(random.below(2) == 0), a, b, c]);
    }
    tuples
}

fn check(engine: &Engine, group: &Group, arguments: &[Argument]) -> Vec<Array> {
    let results = engine.call(&group.function, &arguments.iter().collect::<Vec<_>>()).unwrap();
    let dtype = arguments[1].dtype;
    for (&operation, result) in group.operations.iter().zip(&results) {
        assert_eq!((result.dtype(), result.shape()), (operation.result(dtype), &arguments[0].shape[..]));
        for (i, got) in scalars(result).into_iter().enumerate() {
            let tuple: Tuple = std::array::from_fn(|k| arguments[k].values[i]);
            let operands = operation.operands(&tuple);
            assert!(
                accepts(operation, &operands, got),
                "{}: {operation} of {operands:?} is {got:?}, not {:?} (element {i})",
                engine.name,
                operation.apply(&operands)
            );
        }
    }
    results
}

fn same_bits(left: &[Array], right: &[Array]) -> bool {
    let bits = |array: &Array| scalars(array).iter().map(|x| x.bits()).collect::<Vec<_>>();
    left.iter().zip(right).all(|(left, right)| bits(left) == bits(right))
}

fn check_layouts(engine: &Engine, group: &Group, tuples: &[Tuple], dtype: DType) {
    let whole = check(engine, group, &columns(tuples, dtype, |_| Layout::Contiguous));
    for shift in 0..2 {
        let layouts = [Layout::Strided, Layout::Reversed, Layout::Contiguous];
        let arguments = columns(tuples, dtype, |k| layouts[(k + shift) % 3]);
        let again = engine.call(&group.function, &arguments.iter().collect::<Vec<_>>()).unwrap();
        assert!(same_bits(&whole, &again), "{}: {dtype} depends on the layout", engine.name);
    }
    for (i, length) in LENGTHS.into_iter().enumerate() {
        let start = (i * 29) % (tuples.len() - length + 1);
        let some = &tuples[start..start + length];
        check(engine, group, &columns(some, dtype, |_| Layout::Contiguous));
        check(engine, group, &columns(some, dtype, |k| if k == i % 4 { Layout::Repeated } else { Layout::Reversed }));
    }
}

/// Operations without f64 on either side where the device has none.
fn computed(engine: &Engine, dtype: DType) -> Vec<Operation> {
    let all = Operation::of(dtype).into_iter();
    all.filter(|operation| engine.computes(operation.result(dtype))).collect()
}

pub fn ops_are_their_rows(engine: &Engine) {
    // With few operands to a kernel each result is a shader of its own, with the same code in it.
    let few = [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F32];
    let is_taken = |dtype: &DType| engine.mask.storage_buffers.is_none() || few.contains(dtype);
    for dtype in engine.dtypes().filter(is_taken) {
        let tuples = tuples(dtype);
        let operations = computed(engine, dtype);
        assert!(operations.len() >= 16, "only {} operations of {dtype}", operations.len());
        for group in groups(engine, dtype, operations) {
            check_layouts(engine, &group, &tuples, dtype);
        }
    }
}

/// Conversions that are converted again, and compared with a constant: what drivers look through.
pub fn conversions_feed_ops(engine: &Engine) {
    let dtypes: Vec<DType> = engine.dtypes().collect();
    for &from in &dtypes {
        let x = kroton::input("x", from, [None]);
        let ways: Vec<[DType; 2]> = dtypes.iter().flat_map(|&to| dtypes.iter().map(move |&last| [to, last])).collect();
        let values: Vec<Scalar> = nasty(from).into_iter().filter(|&x| !is_subnormal(x)).collect();
        let argument = Argument::vector(from, &values, Layout::Contiguous);
        for ways in ways.chunks(2 * OUTPUTS) {
            let one = |dtype| kroton::constant(1_i8).cast_to(dtype);
            let outputs: Vec<Expr> = ways.iter().map(|&[to, last]| x.cast_to(to).cast_to(last).lt(one(last))).collect();
            let again = ways.iter().map(|&[to, last]| x.cast_to(to).cast_to(last));
            let outputs: Vec<Expr> = outputs.into_iter().chain(again).collect();
            let f = engine.compiler().compile([&x], &outputs).unwrap();
            let results = engine.call(&f, &[&argument]).unwrap();
            let (less, converted) = results.split_at(ways.len());
            for (&[to, last], (less, converted)) in ways.iter().zip(less.iter().zip(converted)) {
                let expected: Vec<Scalar> = values.iter().map(|x| x.cast(to).cast(last)).collect();
                let one = Scalar::Bool(true).cast(last);
                let compared: Vec<Scalar> = expected.iter().map(|&x| BinaryOp::Lt.apply(x, one).unwrap()).collect();
                let what = format!("{}: {from} to {to} to {last}", engine.name);
                assert_eq!(difference(&scalars(converted), &expected), None, "{what}");
                assert_eq!(difference(&scalars(less), &compared), None, "{what} < 1");
            }
        }
    }
}

/// A line of tests/data/functions.csv: the operands and the correctly rounded result.
struct Reference {
    operands: Vec<f64>,
    result: f64,
}

fn references(name: &str, dtype: DType) -> Vec<Reference> {
    let text = include_str!("../data/functions.csv");
    let number = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(','));
    let numbers = lines.map(|line| line.split(',').map(number).collect::<Vec<f64>>());
    let fits = |x: &f64| Scalar::F64(*x).cast(dtype).cast(DType::F64) == Scalar::F64(*x);
    let rows = numbers.map(|mut row| Reference { result: row.pop().unwrap(), operands: row });
    rows.filter(|row| row.operands.iter().all(fits)).collect()
}

/// The elementary functions, against results of another source; each has its own stretch of the arguments.
pub fn functions_meet_their_bounds(engine: &Engine) {
    let unary = UnaryOp::ALL.iter().filter(|op| !op.row().is_exact()).map(|&op| Operation::Unary(op));
    let binary = BinaryOp::ALL.iter().filter(|op| !op.row().is_exact()).map(|&op| Operation::Binary(op));
    let functions: Vec<Operation> =
        unary.chain(binary).filter(|x| x.row().unwrap().class.contains(DType::F32)).collect();
    for dtype in engine.dtypes().filter(|dtype| dtype.is_float()) {
        for group in groups(engine, dtype, functions.clone()) {
            check_references(engine, &group, dtype);
        }
    }
}

fn check_references(engine: &Engine, group: &Group, dtype: DType) {
    let mut tuples: Vec<Tuple> = Vec::new();
    let mut stretches: Vec<(Range<usize>, Vec<Reference>)> = Vec::new();
    let number = |x: Option<&f64>| Scalar::F64(x.copied().unwrap_or(1.0)).cast(dtype);
    for operation in &group.operations {
        let rows = references(operation.row().unwrap().name, dtype);
        assert!(rows.len() >= 40, "{operation} {dtype}: {} references", rows.len());
        let start = tuples.len();
        let (a, b) = (|row: &Reference| number(row.operands.first()), |row: &Reference| number(row.operands.get(1)));
        tuples.extend(rows.iter().map(|row| [Scalar::Bool(true), a(row), b(row), number(None)]));
        stretches.push((start..tuples.len(), rows));
    }
    let arguments = columns(&tuples, dtype, |_| Layout::Contiguous);
    let results = engine.call(&group.function, &arguments.iter().collect::<Vec<_>>()).unwrap();
    for ((operation, result), (range, rows)) in group.operations.iter().zip(&results).zip(stretches) {
        let row = operation.row().unwrap();
        for (got, line) in scalars(result)[range].iter().zip(&rows) {
            let operands: Vec<Scalar> = line.operands.iter().map(|x| number(Some(x))).collect();
            let bound = row.gpu_bound(dtype) as u64;
            let expected = reference(row.name, &operands, line.result, dtype, bound);
            let as_zero = operands.iter().any(|&x| is_subnormal(x)) && accepts(*operation, &operands, *got);
            let fits = expected.accepts(*got) || as_zero;
            assert!(fits, "{}: {operation} of {operands:?} is {got:?}, not {:?}", engine.name, expected.value);
        }
    }
}
