//! Every op and cast on every dtype, against its scalar function, in vector bodies and tails, contiguous and strided, on
//! every instruction set that the processor has.

use super::*;
use crate::elementary::philox::bits64;
use crate::ops::{BinaryOp, Row, TernaryOp, UnaryOp};

/// What each instruction set wrote, from contiguous operands and from such at a stride of two.
type Results = Vec<(InstructionSet, [Vec<Scalar>; 2])>;

/// Runs a map of one row on operands.
fn run(kernel: Kernel, inputs: &[Vec<Scalar>], result: DType) -> Results {
    sets().map(|set| (set, run_on(&prepare_for(set, kernel.clone()), inputs, result))).collect()
}

fn run_on(executable: &Arc<dyn Executable>, inputs: &[Vec<Scalar>], result: DType) -> [Vec<Scalar>; 2] {
    let length = inputs[0].len();
    [1, 2].map(|stride: usize| {
        let spread = |values: &Vec<Scalar>| {
            let mut memory = Memory::zeros(values[0].dtype(), length * stride);
            values.iter().enumerate().for_each(|(index, &value)| memory.set(index * stride, value));
            memory
        };
        let memories: Vec<Memory> = inputs.iter().map(spread).collect();
        let output = Memory::zeros(result, length * stride);
        let mut bindings: Vec<Binding> = memories.iter().map(|memory| memory.bind(0, &[stride as isize])).collect();
        bindings.push(output.bind(0, &[stride as isize]));
        launch(executable, &[length], &bindings);
        output.all().into_iter().step_by(stride).collect()
    })
}

/// Lists of operands of equal length: all pairs (or triples of a few) of nasty values; odd, so that there is a tail.
fn operands<const N: usize>(dtypes: [DType; N], limit: usize) -> Vec<Vec<Scalar>> {
    let lists = dtypes.map(|dtype| {
        let mut list = nasty(dtype);
        list.truncate(limit);
        list
    });
    let total: usize = lists.iter().map(Vec::len).product();
    let mut columns = vec![Vec::new(); N];
    for index in 0..total.max(67) {
        let mut rest = index % total;
        for (column, list) in columns.iter_mut().zip(&lists) {
            column.push(list[rest % list.len()]);
            rest /= list.len();
        }
    }
    if columns[0].len().is_multiple_of(16) {
        columns.iter_mut().for_each(|column| column.push(column[0]));
    }
    columns
}

/// Same bits everywhere, but for functions where there is no fused multiply-add: two results within the bounds of the
/// exact one.
fn agree(set: InstructionSet, row: Option<&Row>, got: Scalar, want: Scalar) -> bool {
    let Some(row) = row.filter(|row| !row.is_exact() && !cpu(set).unwrap().target().has_fma) else {
        return same(got, want);
    };
    let bound = f64::from(row.ulp_bound(want.dtype()) + row.baseline_bound(want.dtype()));
    let (a, b) = (got.to_f64(), want.to_f64());
    let one = if want.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    // An ULP is at least half of epsilon times the size, and that of the least numbers at their lower end.
    let least = if want.dtype() == DType::F32 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    same(got, want) || (a - b).abs() <= bound * (b.abs() * one).max(least)
}

fn check(what: &str, row: Option<&Row>, inputs: &[Vec<Scalar>], got: Results, want: impl Fn(&[Scalar]) -> Scalar) {
    let want: Vec<Scalar> = (0..inputs[0].len())
        .map(|index| want(&inputs.iter().map(|column| column[index]).collect::<Vec<Scalar>>()))
        .collect();
    for (set, layout, got) in got
        .into_iter()
        .flat_map(|(set, [contiguous, strided])| [(set, "contiguous", contiguous), (set, "strided", strided)])
    {
        for (index, (got, &want)) in got.into_iter().zip(&want).enumerate() {
            let operands = || inputs.iter().map(|column| column[index]).collect::<Vec<Scalar>>();
            assert!(agree(set, row, got, want), "{set:?} {what} {layout} {:?}: {got:?}, not {want:?}", operands());
        }
    }
}

#[test]
fn unary_ops_are_their_definitions() {
    for &op in UnaryOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|dtype| op.row().class.contains(*dtype)) {
            let result = op.row().result(dtype);
            let mut build = Build::new(1);
            let x = build.read(dtype);
            let y = build.define(result, Operation::Unary(op, x));
            build.write(y);
            let inputs = operands([dtype], 99);
            let got = run(build.map(), &inputs, result);
            check(&format!("{op} {dtype}"), Some(op.row()), &inputs, got, |x| op.apply(x[0]).unwrap());
        }
    }
}

#[test]
fn binary_ops_are_their_definitions() {
    for &op in BinaryOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|dtype| op.row().class.contains(*dtype)) {
            let result = op.row().result(dtype);
            let mut build = Build::new(1);
            let (x, y) = (build.read(dtype), build.read(dtype));
            let z = build.define(result, Operation::Binary(op, [x, y]));
            build.write(z);
            let inputs = operands([dtype, dtype], 99);
            let got = run(build.map(), &inputs, result);
            check(&format!("{op} {dtype}"), Some(op.row()), &inputs, got, |x| op.apply(x[0], x[1]).unwrap());
        }
    }
}

#[test]
fn ops_with_a_constant_are_their_definitions() {
    let extrema = [BinaryOp::Maximum, BinaryOp::Minimum, BinaryOp::Fmax, BinaryOp::Fmin];
    let quotients = [BinaryOp::FloorDiv, BinaryOp::Rem];
    let others = [BinaryOp::Shl, BinaryOp::Shr, BinaryOp::Mul, BinaryOp::Lt];
    for op in others.into_iter().chain(extrema).chain(quotients) {
        for dtype in DType::ALL.into_iter().filter(|dtype| op.row().class.contains(*dtype)) {
            let constants = [0, 1, 7, 8, 31, 33, 63, 64, -1, -9].map(|value| Scalar::I64(value).cast(dtype));
            let specials =
                [-0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| Scalar::F64(value).cast(dtype));
            for constant in constants.into_iter().chain(specials) {
                let result = op.row().result(dtype);
                let mut build = Build::new(1);
                let x = build.read(dtype);
                let y = build.define(dtype, Operation::Constant(constant));
                let z = build.define(result, Operation::Binary(op, [x, y]));
                build.write(z);
                let inputs = operands([dtype], 99);
                let got = run(build.map(), &inputs, result);
                check(&format!("{op} {dtype} {constant}"), Some(op.row()), &inputs, got, |x| {
                    op.apply(x[0], constant).unwrap()
                });
            }
        }
    }
}

#[test]
fn ternary_ops_are_their_definitions() {
    for &op in TernaryOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|dtype| op.row().class.contains(*dtype)) {
            let first = if op == TernaryOp::Select { DType::Bool } else { dtype };
            let mut build = Build::new(1);
            let (x, y, z) = (build.read(first), build.read(dtype), build.read(dtype));
            let result = build.define(dtype, Operation::Ternary(op, [x, y, z]));
            build.write(result);
            let inputs = operands([first, dtype, dtype], 19);
            let got = run(build.map(), &inputs, dtype);
            check(&format!("{op} {dtype}"), Some(op.row()), &inputs, got, |x| op.apply(x[0], x[1], x[2]).unwrap());
        }
    }
}

#[test]
fn casts_are_scalar_cast() {
    for from in DType::ALL {
        for to in DType::ALL {
            let mut build = Build::new(1);
            let x = build.read(from);
            let y = build.define(to, Operation::Cast(to, x));
            build.write(y);
            let inputs = operands([from], 99);
            let got = run(build.map(), &inputs, to);
            check(&format!("{from} to {to}"), None, &inputs, got, |x| x[0].cast(to));
        }
    }
}

/// Masks of every width meet those of every other, without bools in memory.
#[test]
fn masks_of_different_widths_meet() {
    for a in DType::ALL {
        for b in DType::ALL {
            let mut build = Build::new(1);
            let (x, y) = (build.read(a), build.read(b));
            let zeros = [a, b].map(|dtype| build.define(dtype, Operation::Constant(Scalar::I64(0).cast(dtype))));
            let p = build.define(DType::Bool, Operation::Binary(BinaryOp::Gt, [x, zeros[0]]));
            let q = build.define(DType::Bool, Operation::Binary(BinaryOp::Gt, [y, zeros[1]]));
            let p_or_q = build.define(DType::Bool, Operation::Binary(BinaryOp::Or, [p, q]));
            let chosen = build.define(DType::Bool, Operation::Ternary(TernaryOp::Select, [q, p_or_q, p]));
            let z = build.define(a, Operation::Ternary(TernaryOp::Select, [chosen, x, zeros[0]]));
            build.write(z);
            let inputs = operands([a, b], 99);
            let got = run(build.map(), &inputs, a);
            let positive =
                |x: Scalar| BinaryOp::Gt.apply(x, Scalar::I64(0).cast(x.dtype())) == Some(Scalar::Bool(true));
            check(&format!("{a} {b}"), None, &inputs, got, |x| {
                if positive(x[0]) || positive(x[1]) { x[0] } else { Scalar::I64(0).cast(a) }
            });
        }
    }
}

/// Bytes beside wider numbers have the lanes of those.
#[test]
fn bytes_beside_wider_numbers_are_their_definitions() {
    for dtype in [DType::I8, DType::U8] {
        for &op in BinaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let mut build = Build::new(1);
            let (x, y) = (build.read(dtype), build.read(dtype));
            let z = build.define(op.row().result(dtype), Operation::Binary(op, [x, y]));
            let wide = build.define(DType::I64, Operation::Cast(DType::I64, z));
            build.write(wide);
            let inputs = operands([dtype, dtype], 99);
            let got = run(build.map(), &inputs, DType::I64);
            let want = |x: &[Scalar]| op.apply(x[0], x[1]).unwrap().cast(DType::I64);
            check(&format!("{op} {dtype}"), None, &inputs, got, want);
        }
        for &op in UnaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let mut build = Build::new(1);
            let x = build.read(dtype);
            let y = build.define(op.row().result(dtype), Operation::Unary(op, x));
            let wide = build.define(DType::F32, Operation::Cast(DType::F32, y));
            build.write(wide);
            let inputs = operands([dtype], 99);
            let got = run(build.map(), &inputs, DType::F32);
            check(&format!("{op} {dtype}"), None, &inputs, got, |x| op.apply(x[0]).unwrap().cast(DType::F32));
        }
    }
}

#[test]
fn a_byte_that_all_elements_share_is_a_number() {
    let numbers: Vec<Scalar> = (0..77).map(|number| Scalar::F32(number as f32)).collect();
    for (dtype, set) in [DType::I8, DType::U8].into_iter().flat_map(|dtype| sets().map(move |set| (dtype, set))) {
        let mut build = Build::new(1);
        let (x, y) = (build.read(DType::F32), build.read(dtype));
        let wide = build.define(DType::F32, Operation::Cast(DType::F32, y));
        let sum = build.define(DType::F32, Operation::Binary(BinaryOp::Add, [x, wide]));
        build.write(sum);
        let executable = prepare_for(set, build.map());
        for shared in nasty(dtype) {
            let (x, y) = (Memory::of(DType::F32, &numbers), Memory::of(dtype, &[shared]));
            let output = Memory::zeros(DType::F32, numbers.len());
            launch(&executable, &[numbers.len()], &[x.bind(0, &[1]), y.bind(0, &[0]), output.bind(0, &[1])]);
            for (index, got) in output.all().into_iter().enumerate() {
                assert_eq!(got.to_f64(), index as f64 + shared.to_f64(), "{set:?} {shared:?}");
            }
        }
    }
}

/// Numbers around multiples of a divisor, edges, and random ones.
fn dividends(dtype: DType, divisor: i64) -> Vec<Scalar> {
    if dtype.size() == 1 {
        return (0..=255).map(|bits| Scalar::from_bits(dtype, bits)).collect();
    }
    let random = (0..500).map(|index| bits64(index, 1) as i64 >> (bits64(index, 2) % 64));
    let edges = [0, i64::from(i32::MAX), i64::from(i32::MIN), i64::from(u32::MAX)];
    let rounded = move |number: i64| number.checked_div(divisor).map_or(number, |times| times.wrapping_mul(divisor));
    let multiples = (-20..20_i64).map(|factor| factor.wrapping_mul(divisor)).chain(random.map(rounded));
    let numbers = multiples.chain(edges).flat_map(|number| [number.wrapping_sub(1), number, number.wrapping_add(1)]);
    numbers.map(|number| Scalar::I64(number).cast(dtype)).collect()
}

#[test]
fn integers_by_constants_are_their_definitions() {
    let small = [-128, -7, -1, 0, 1, 2, 3, 5, 6, 7, 8, 10, 12, 28, 60, 64, 97, 100, 125, 127, 128, 255];
    let middle = [641, 1000, 3600, 65_535, 1_000_003, 1 << 30, i64::from(i32::MAX), 1 << 31, (1 << 31) + 1];
    let large = [i64::from(i32::MIN), i64::from(u32::MAX), 1 << 32, 1 << 62, i64::MAX, i64::MIN];
    let divisors = small.into_iter().chain(middle).chain(large);
    for dtype in [DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64] {
        let fits = |divisor: &i64| Scalar::I64(*divisor).cast_exact(dtype).is_some();
        for divisor in divisors.clone().filter(fits) {
            for (op, widened) in
                [BinaryOp::FloorDiv, BinaryOp::Rem].into_iter().flat_map(|op| [(op, false), (op, true)])
            {
                let result = if widened { DType::I64 } else { dtype };
                let mut build = Build::new(1);
                let x = build.read(dtype);
                let constant = Scalar::I64(divisor).cast(dtype);
                let y = build.define(dtype, Operation::Constant(constant));
                let z = build.define(dtype, Operation::Binary(op, [x, y]));
                let z = if widened { build.define(result, Operation::Cast(result, z)) } else { z };
                build.write(z);
                let inputs = [dividends(dtype, divisor)];
                let got = run(build.map(), &inputs, result);
                let want = |x: &[Scalar]| op.apply(x[0], constant).unwrap().cast(result);
                check(&format!("{op} {constant:?}"), None, &inputs, got, want);
            }
        }
    }
}
