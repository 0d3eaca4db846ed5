//! Reductions: every row × dtype × choice of axes × length, against the oracle, which merges in the defined order.
//!
//! The bits are the same, but for squared deviations, where a product may be fused into a sum. Values keep clear of
//! subnormal numbers, which a GPU may take for zeros; elementwise ops are tested with them.

use kroton::expr::apply_reduce;
use kroton::ops::ReduceOp;
use kroton::{Compiler, DType, Device, Expr, Function, OnUnused, Scalar, constant};

use crate::common::gpu::{Engine, SMALL, WHOLE};
use crate::common::{Argument, Layout, Random, difference, nasty, plain, scalars};

/// Which axes are reduced, and the shape for a length.
struct Case {
    name: &'static str,
    axes: &'static [i64],
    rank: usize,
    shape: fn(usize) -> Vec<usize>,
    view: fn(&Expr) -> Expr,
}

const CASES: [Case; 10] = [
    Case { name: "full", axes: &[0], rank: 1, shape: |n| vec![n], view: Expr::clone },
    Case { name: "inner", axes: &[1], rank: 2, shape: |n| vec![3, n], view: Expr::clone },
    Case { name: "outer", axes: &[0], rank: 2, shape: |n| vec![n, 3], view: Expr::clone },
    Case { name: "outer of wide rows", axes: &[0], rank: 2, shape: |n| vec![n.min(1100), 7], view: Expr::clone },
    Case { name: "inner of many rows", axes: &[1], rank: 2, shape: |n| vec![n, 5], view: Expr::clone },
    Case { name: "middle", axes: &[1], rank: 3, shape: |n| vec![2, n, 3], view: Expr::clone },
    Case { name: "first and last", axes: &[0, 2], rank: 3, shape: |n| vec![3, 2, n.div_ceil(3)], view: Expr::clone },
    Case { name: "all of three", axes: &[0, 1, 2], rank: 3, shape: |n| vec![2, n.div_ceil(4), 2], view: Expr::clone },
    Case { name: "all of a transposed", axes: &[0, 1], rank: 2, shape: |n| vec![n.div_ceil(5), 5], view: turned },
    Case { name: "inner of a repeated row", axes: &[0], rank: 1, shape: |n| vec![n], view: repeated },
];

fn turned(x: &Expr) -> Expr {
    x.transpose().slice(kroton::s![..;-1, ..])
}

fn repeated(x: &Expr) -> Expr {
    x.broadcast_to((constant(3_i64), x.len()))
}

const SHORT: [usize; 6] = [1, 2, 15, 16, 17, 50];
const LONG: [usize; 4] = [1023, 1024, 1025, 5000];

/// Values of moderate size, or any with NaN, infinities and negative zeros strewn in.
fn values(dtype: DType, count: usize, wild: bool, random: &mut Random) -> Vec<Scalar> {
    let mut draw = || match (dtype.is_float(), wild) {
        (true, false) => Scalar::F64((random.unit() + 3.0).copysign(random.unit()) / 3.0).cast(dtype),
        (true, true) | (false, _) => random.scalar(dtype),
    };
    let mut values: Vec<Scalar> = (0..count).map(|_| draw()).collect();
    let special: Vec<Scalar> = nasty(dtype).into_iter().filter(|x| !is_small(*x)).collect();
    if wild && count > 0 {
        for _ in 0..1 + count / 9 {
            values[random.below(count)] = special[random.below(special.len())];
        }
    }
    values
}

/// Whether products of such values may be subnormal.
fn is_small(x: Scalar) -> bool {
    x.dtype().is_float() && x.to_f64() != 0.0 && x.to_f64().abs() < 1e-3
}

/// All reductions of a dtype in one function, on the device and by the oracle.
struct Reductions {
    ops: Vec<ReduceOp>,
    functions: [Function; 2],
}

impl Reductions {
    fn new(engine: &Engine, case: &Case, dtype: DType, takes: impl Fn(ReduceOp) -> bool) -> Reductions {
        let ops: Vec<ReduceOp> = ReduceOp::ALL.iter().copied().filter(|op| op.accepts(dtype) && takes(*op)).collect();
        let x = kroton::input("x", dtype, vec![None; case.rank]);
        let view = (case.view)(&x);
        let axes: Vec<i64> = case.axes.iter().map(|axis| axis + (view.rank() - case.rank) as i64).collect();
        let outputs: Vec<Expr> = ops.iter().map(|&op| apply_reduce(op, &view, &axes[..])).collect();
        let functions =
            [engine.compiler(), plain(Device::Interpreter)].map(|compiler| compiler.compile([&x], &outputs).unwrap());
        Reductions { ops, functions }
    }

    fn check(&self, engine: &Engine, case: &Case, x: &Argument) {
        let got = engine.call(&self.functions[0], &[x]).unwrap();
        let expected: Vec<kroton::Array> = self.functions[1].call(&[x.arg()][..]).unwrap();
        for ((op, got), expected) in self.ops.iter().zip(&got).zip(&expected) {
            assert_eq!((got.dtype(), got.shape()), (expected.dtype(), expected.shape()));
            let (got, expected) = (scalars(got), scalars(expected));
            let wrong = if *op == ReduceOp::SquaredDeviations {
                deviation(&got, &expected)
            } else {
                difference(&got, &expected)
            };
            if let Some(wrong) = wrong {
                panic!("{}: {op} {} {} {:?} {:?}: {wrong}", engine.name, x.dtype, case.name, x.shape, x.layout);
            }
        }
    }
}

/// The first that is further away than rounding explains.
fn deviation(got: &[Scalar], expected: &[Scalar]) -> Option<String> {
    let near = |got: Scalar, expected: Scalar| {
        let epsilon = if got.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let (x, y) = (got.to_f64(), expected.to_f64());
        // Of enormous values, whether a square overflows depends on rounding.
        let enormous = |x: f64| !x.is_finite() || x.abs() > 1e38;
        crate::common::same(got, expected) || (x - y).abs() <= 100.0 * epsilon * y.abs() || enormous(x) && enormous(y)
    };
    let i = got.iter().zip(expected).position(|(&got, &expected)| !near(got, expected))?;
    Some(format!("element {i} is {:?} instead of {:?}", got[i], expected[i]))
}

pub fn are_in_the_defined_order(engine: &Engine) {
    let mut random = Random(7);
    for dtype in engine.dtypes() {
        let is_chosen = |index: usize| match engine.mask {
            _ if engine.is_whole() => index < 4 || (index + dtype as usize).is_multiple_of(2),
            // As many shaders as results.
            SMALL => (index + dtype as usize).is_multiple_of(5),
            _ => (index + dtype as usize).is_multiple_of(3) || dtype == DType::I64,
        };
        for (index, case) in CASES.iter().enumerate().filter(|(index, _)| is_chosen(*index)) {
            let reductions = Reductions::new(engine, case, dtype, |_| true);
            let lengths = SHORT.iter().chain(&LONG).enumerate();
            for (i, &length) in lengths {
                for wild in [false, true] {
                    let shape = (case.shape)(length);
                    let elements = values(dtype, shape.iter().product(), wild, &mut random);
                    let layout = Layout::ALL[(i + index + usize::from(wild)) % 5];
                    reductions.check(engine, case, &Argument::new(dtype, &shape, elements, layout));
                }
            }
        }
        for case in CASES.iter().take(if engine.mask == SMALL { 1 } else { 3 }) {
            nothing_reduces_to_nothing(engine, case, dtype);
        }
        many_blocks(engine, dtype, &mut random);
    }
}

/// Of no elements: the start of a reduction, or an error.
fn nothing_reduces_to_nothing(engine: &Engine, case: &Case, dtype: DType) {
    let shape = (case.shape)(0);
    let nothing = Argument::new(dtype, &shape, Vec::new(), Layout::Contiguous);
    Reductions::new(engine, case, dtype, |op| !op.needs_elements()).check(engine, case, &nothing);
    // Reducing nothing to nothing is no error.
    let results: usize =
        (0..case.rank).filter(|&axis| !case.axes.contains(&(axis as i64))).map(|axis| shape[axis]).product();
    for &op in ReduceOp::ALL.iter().filter(|op| op.needs_elements() && results > 0) {
        let needy = Reductions::new(engine, case, dtype, |other| other == op);
        let error = needy.functions[0].call::<Vec<kroton::Array>>(&[nothing.arg()][..]).unwrap_err().to_string();
        assert!(error.contains("empty") && error.contains(op.name()), "{}: {op} {}: {error}", engine.name, case.name);
    }
}

/// More blocks than a workgroup merges at once.
fn many_blocks(engine: &Engine, dtype: DType, random: &mut Random) {
    if engine.mask != SMALL || ![DType::I32, DType::I64, DType::F32].contains(&dtype) {
        return;
    }
    let reductions = Reductions::new(engine, &CASES[0], dtype, |_| true);
    for length in [65 * 1024, 65 * 1024 + 1, 200_000] {
        let elements = values(dtype, length, false, random);
        reductions.check(engine, &CASES[0], &Argument::new(dtype, &[length], elements, Layout::Contiguous));
    }
}

/// What methods make of reductions, with the optimizer's rules.
pub fn named_ones_have_their_values(engine: &Engine) {
    for dtype in engine.dtypes().filter(|dtype| dtype.is_float()) {
        let x = kroton::input("x", dtype, [None, None]);
        let outputs = vec![
            x.mean(..),
            x.mean(0),
            x.var_ddof(1, 1),
            x.std(..),
            x.norm(0),
            x.logsumexp(..),
            x.logsumexp_keepdims(1),
            x.softmax(1),
            x.log_softmax(0),
            x.gt(0.5).all(0),
            x.gt(0.5).any(1),
            &x - x.max_keepdims(1),
            x.sum_keepdims([0, 1]),
            x.argmin(..),
            x.argmax(0),
        ];
        let compiler = Compiler::new().on_unused_input(OnUnused::Ignore);
        let compile = |compiler: Compiler| compiler.compile([&x], &outputs).unwrap();
        let on_device = compile(compiler.clone().device(Device::Gpu).limits(engine.mask));
        let oracle = compile(compiler.device(Device::Interpreter));
        let mut random = Random(3);
        for shape in [[1, 1], [3, 5], [40, 33], [2, 1500]] {
            let elements = (0..shape[0] * shape[1]).map(|_| Scalar::F64(2.0 + random.unit()).cast(dtype)).collect();
            let argument = Argument::new(dtype, &shape, elements, Layout::Contiguous);
            let got = engine.call(&on_device, &[&argument]).unwrap();
            let expected: Vec<kroton::Array> = oracle.call(&[argument.arg()][..]).unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                assert_eq!((got.dtype(), got.shape()), (expected.dtype(), expected.shape()));
                let wrong = close(&scalars(got), &scalars(expected));
                assert!(wrong.is_none(), "{}: output {i} of {dtype} {shape:?}: {wrong:?}", engine.name);
            }
        }
    }
}

fn close(got: &[Scalar], expected: &[Scalar]) -> Option<String> {
    if got.first().is_some_and(|x| !x.dtype().is_float()) {
        return difference(got, expected);
    }
    let near = |got: Scalar, expected: Scalar| {
        let epsilon = if got.dtype() == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let (x, y) = (got.to_f64(), expected.to_f64());
        crate::common::same(got, expected) || (x - y).abs() <= 40.0 * epsilon * y.abs().max(1.0)
    };
    let i = got.iter().zip(expected).position(|(&got, &expected)| !near(got, expected))?;
    Some(format!("element {i} is {:?} instead of {:?}", got[i], expected[i]))
}

/// The sum of 10⁷ f32 lies within 10⁻⁶ of the exact one, in one window and in many.
#[test]
fn a_sum_of_ten_million_is_accurate() {
    let mut random = Random(5);
    let elements: Vec<f32> = (0..10_000_000).map(|_| (random.unit() + 1.0) as f32).collect();
    // Exact but for 10⁻¹⁶: partial sums of doubles of which none is small.
    let exact: f64 = elements.chunks(4096).map(|chunk| chunk.iter().map(|&x| f64::from(x)).sum::<f64>()).sum();
    let small = kroton::backend::gpu::GpuMask { binding_bytes: Some(1 << 20), ..SMALL };
    for (name, mask) in [("gpu", WHOLE), ("small", small)] {
        let Some(engine) = Engine::new(name, mask) else { return };
        let x = kroton::vector::<f32>("x");
        let f = engine.compiler().compile([&x], x.sum(..)).unwrap();
        let before = engine.gpu.dispatches();
        let sum: f32 = f.call((&elements,)).unwrap();
        assert!(engine.gpu.dispatches() > before);
        assert!((f64::from(sum) - exact).abs() <= 1e-6 * exact, "{name}: {sum} {exact}");
    }
}
