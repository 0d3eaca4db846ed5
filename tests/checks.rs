//! Numeric checks of calls: `Check::Nan` names the expression that ends numbers, `Check::Differential` the node at which an
//! engine goes its own way.

use std::sync::Arc;

use kroton::backend::{Backend, Executable, interpreter};
use kroton::loops::{Block, Kernel, Nest, Operation, Statement, Target};
use kroton::ops::{BinaryOp, UnaryOp};
use kroton::{
    Array, Check, Compiler, Device, Error, Expr, OptLevel, Result, cond, iterate, iterate_while, iterate_while_at_most,
    matrix, scalar, vector, vmap,
};
use ndarray::{Array2, array};

const DEVICES: [Device; 3] = [Device::Cpu, Device::Loops, Device::Interpreter];

fn checked(check: Check) -> Compiler {
    Compiler::new().name("f").check(check)
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) {
    let Err(Error::NumericCheck(text)) = result else { panic!("{result:?}; expected an error that says {parts:?}") };
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
}

/// This file and a line of it, as errors name them.
fn at(line: u32) -> String {
    format!("built at {}:{line}:", file!())
}

#[test]
fn the_first_expression_that_ends_numbers_is_named() {
    let (x, y) = (matrix::<f64>("x"), vector::<f64>("y"));
    let (root, line) = (x.sqrt(), line!());
    let quotient = &root / &y;
    let later = quotient.sum(1).ln();
    for device in DEVICES {
        let f = checked(Check::Nan).device(device).compile([&x, &y], (&later, &root)).unwrap();
        let call = |x: &Array2<f64>, y: [f64; 2]| f.call::<(Vec<f64>, Array)>((x, &y));
        let good = array![[4.0, 9.0], [1.0, 16.0]];
        assert_eq!(call(&good, [1.0, 1.0]).unwrap().0, [5_f64.ln(), 5_f64.ln()]);
        let bad = array![[4.0, 9.0], [1.0, -16.0]];
        says(call(&bad, [1.0, 1.0]), &["the check of `f`: `sqrt` gives NaN at index [1, 1] from -16.0", &at(line)]);
        says(call(&good, [1.0, 0.0]), &["`div` gives inf at index [0, 1] from 3.0, 0.0", &at(line + 1)]);
        says(call(&good, [1.0, -1.0]), &["`ln` gives NaN at index [0] from -1.0", &at(line + 2)]);
        // The same function goes on.
        assert!(call(&good, [1.0, 1.0]).is_ok());
    }
}

#[test]
fn what_was_not_finite_before_does_not_count() {
    let x = vector::<f64>("x");
    let mask = x.gt(0.0).select(&x, f64::NEG_INFINITY).exp();
    let f = checked(Check::Nan).compile([&x], (x.ln(), x.sum(..), &mask)).unwrap();
    let call = |x: &[f64]| f.call::<(Vec<f64>, f64, Vec<f64>)>((x,));
    let (logarithms, sum, masked) = call(&[f64::NAN, f64::INFINITY, 1.0]).unwrap();
    assert!(logarithms[0].is_nan() && sum.is_nan());
    assert_eq!((logarithms[1..].to_vec(), masked[2]), (vec![f64::INFINITY, 0.0], 1_f64.exp()));
    // Each element counts for itself, also beside others that were lost.
    says(call(&[f64::NAN, 1.0, -1.0]), &["`ln` gives NaN at index [2] from -1.0"]);
}

#[test]
fn reductions_products_conversions_and_folded_constants_count() {
    let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
    let outputs = || (x.sum(1), x.matmul(&w), x.cast::<f32>().max(..));
    let f = checked(Check::Nan).compile([&x, &w], outputs()).unwrap();
    let call = |x: &Array2<f64>, w: f64| f.call::<(Vec<f64>, Array, f32)>((x, &array![[w], [w], [1.0], [1.0], [1.0]]));
    let data = |value: f64| Array2::from_shape_fn((2, 5), |(i, _)| if i == 1 { value } else { 1.0 });
    assert!(call(&data(1e3), 1.0).is_ok());
    says(
        call(&data(1e308), 1.0),
        &["`sum` gives inf at index [1] from 1e308, 1e308, 1e308, 1e308, …", "5 finite values"],
    );
    says(call(&data(-1e307), 1e307), &["`matmul` gives -inf at index [1, 0] from -1e307, 1e307, "]);
    says(call(&data(1e39), 1.0), &["`cast` gives inf at index [1, 0] from 1e39"]);
    // What is folded when compiling is looked at as it was written.
    let s = scalar::<f64>("s");
    let f = checked(Check::Nan).compile([&s], &s + kroton::constant(-1.0).ln()).unwrap();
    says(f.call::<f64>((1.0,)), &["`ln` gives NaN from -1.0"]);
}

#[test]
fn stable_forms_of_the_optimizer_are_what_is_looked_at() {
    let x = vector::<f64>("x");
    let y = (1.0 + x.exp()).ln();
    let f = checked(Check::Nan).compile([&x], &y).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[1000.0],)).unwrap(), [1000.0]);
    let f = checked(Check::Nan).optimize(OptLevel::None).compile([&x], &y).unwrap();
    says(f.call::<Vec<f64>>((&[1000.0],)), &["`exp` gives inf at index [0] from 1000.0"]);
}

#[test]
fn a_failed_check_writes_nothing_and_donates_nothing() {
    let x = vector::<f64>("x");
    let f = checked(Check::Nan).compile([&x], x.sqrt()).unwrap();
    let mut out = [7.0; 2];
    assert!(f.call_into((&[1.0, -1.0],), (&mut out,)).is_err());
    assert_eq!(out, [7.0; 2]);
    let donated = Array::from_slice(&[4.0, 9.0]);
    assert_eq!(f.call::<Vec<f64>>((donated,)).unwrap(), [2.0, 3.0]);
}

#[test]
fn a_failed_check_leaves_shared_variables_as_they_were() {
    let (w, x) = (kroton::shared("w", vec![1.0, 4.0]), vector::<f64>("x"));
    for check in [Check::Nan, Check::Differential] {
        w.set([1.0, 4.0]).unwrap();
        let step = checked(check).updates([(&w, (&*w - &x).sqrt())]).compile([&x], x.sum(..)).unwrap();
        assert_eq!(step.call::<f64>((&[0.0, 0.0],)).unwrap(), 0.0);
        assert_eq!(w.get::<Vec<f64>>().unwrap(), [1.0, 2.0]);
        if check == Check::Nan {
            says(step.call::<f64>((&[0.0, 3.0],)), &["`sqrt` gives NaN at index [1] from -1.0"]);
            assert_eq!(w.get::<Vec<f64>>().unwrap(), [1.0, 2.0]);
        }
    }
}

/// An engine that takes one op for another.
#[derive(Debug)]
struct Wrong {
    right: Arc<dyn Backend>,
    wrong: fn(Operation) -> Operation,
}

impl Backend for Wrong {
    fn target(&self) -> &Target {
        self.right.target()
    }

    fn prepare(&self, mut kernel: Kernel) -> Result<Arc<dyn Executable>> {
        kernel.body.iter_mut().for_each(|nest| self.spoil(nest));
        self.right.prepare(kernel)
    }
}

impl Wrong {
    fn spoil(&self, nest: &mut Nest) {
        match nest {
            Nest::Map { body, .. } | Nest::Sequential { body, .. } | Nest::While { body, .. } => {
                body.iter_mut().for_each(|nest| self.spoil(nest));
            }
            Nest::Block(block) | Nest::Reduce { body: block, .. } => self.spoil_block(block),
        }
    }

    fn spoil_block(&self, block: &mut Block) {
        for statement in &mut block.statements {
            if let Statement::Let(_, operation) = statement {
                *operation = (self.wrong)(*operation);
            }
        }
    }
}

fn on_wrong_engine(wrong: fn(Operation) -> Operation) -> Compiler {
    checked(Check::Differential).engine(Arc::new(Wrong { right: interpreter::engine(), wrong }))
}

#[test]
fn a_wrong_op_of_an_engine_is_found_at_its_node() {
    let x = vector::<f64>("x");
    let small = &x * 0.5;
    let (power, line) = (small.exp(), line!());
    let y = (&power + 1.0).sum(..);
    let swap = |operation| match operation {
        Operation::Unary(UnaryOp::Exp, x) => Operation::Unary(UnaryOp::Exp2, x),
        other => other,
    };
    let f = on_wrong_engine(swap).compile([&x], &y).unwrap();
    says(f.call::<f64>((&[0.0, 2.0],)), &["exp", "gives 2.0 where the oracle has 2.718281828459045", "[1]", &at(line)]);
    // At zero both are 1.
    assert_eq!(f.call::<f64>((&[0.0],)).unwrap(), 2.0);
    // An exact op is wrong if one bit is.
    let negate = |operation| match operation {
        Operation::Binary(BinaryOp::Add, [a, b]) => Operation::Binary(BinaryOp::Maximum, [a, b]),
        other => other,
    };
    let z = (&x + 1e-16) * 3.0;
    let f = on_wrong_engine(negate).compile([&x], &z).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[1.0],)).unwrap(), [3.0]);
    says(f.call::<Vec<f64>>((&[0.5e-16],)), &["add", "gives 1e-16 where the oracle has 1.5e-16", "the same bits"]);
}

#[test]
fn what_only_goes_wrong_together_is_found_at_the_output() {
    // Right for a single node, wrong in a kernel of several.
    #[derive(Debug)]
    struct Fused(Arc<dyn Backend>);
    impl Backend for Fused {
        fn target(&self) -> &Target {
            self.0.target()
        }
        fn prepare(&self, kernel: Kernel) -> Result<Arc<dyn Executable>> {
            let swap = |operation| match operation {
                Operation::Unary(UnaryOp::Neg, x) => Operation::Unary(UnaryOp::Abs, x),
                other => other,
            };
            match kernel.to_string().contains("exp") {
                true => Wrong { right: self.0.clone(), wrong: swap }.prepare(kernel),
                false => self.0.prepare(kernel),
            }
        }
    }
    let x = vector::<f64>("x");
    let engine = Arc::new(Fused(interpreter::engine()));
    let f = checked(Check::Differential).engine(engine).compile([&x], (-x.exp(), &x + 1.0)).unwrap();
    says(f.call::<(Vec<f64>, Vec<f64>)>((&[0.0],)), &["output 0 is 1.0 where the oracle has -1.0 at index [0]"]);
}

/// Steps of functions that are not exact: bounds are carried from step to step.
#[test]
fn a_wrong_op_in_a_loop_is_found() {
    let x = vector::<f64>("x");
    let [elementwise] = iterate(3, [&x], |[y]| [(-0.5 * y).exp()]).unwrap();
    let [by_steps] = iterate(3, [&x], |[y]| [(-0.5 * &y).exp() / y.sum(..)]).unwrap();
    let [guarded] = iterate_while_at_most(9, |[y]| y.gt(0.5), [&x], |[y]| [(-0.25 * y).exp()]).unwrap();
    let swap = |operation| match operation {
        Operation::Unary(UnaryOp::Exp, x) => Operation::Unary(UnaryOp::Exp2, x),
        other => other,
    };
    for y in [&elementwise, &by_steps, &guarded] {
        let f = on_wrong_engine(swap).compile([&x], y).unwrap();
        says(f.call::<Vec<f64>>((&[1.0, 2.0],)), &["where the oracle has", "allows a difference of at most"]);
        for device in DEVICES {
            let f = checked(Check::Differential).device(device).compile([&x], y).unwrap();
            f.call::<Vec<f64>>((&[1.0, 2.0],)).unwrap();
        }
    }
}

#[test]
fn elements_that_have_stopped_may_lose_their_numbers() {
    let x = vector::<f64>("x");
    let [deep] = iterate_while(|[x]| x.gt(1.0), [&x], |[x]| [(x - 1.0).sqrt()]).unwrap();
    let (line, [deeper]) = (line!(), iterate_while(|[x]| x.gt(1.0), [&x], |[x]| [(x - 2.0).sqrt()]).unwrap());
    for device in DEVICES {
        let f = checked(Check::Nan).device(device).compile([&x], &deep).unwrap();
        let roots: Vec<f64> = f.call((&[5.0, 0.2, 3.0],)).unwrap();
        assert_eq!(roots, [1.0, 0.2, (2_f64.sqrt() - 1.0).sqrt()]);
        let f = checked(Check::Nan).device(device).compile([&x], &deeper).unwrap();
        let place = ["`sqrt` gives NaN at index [1] from -0.5", &at(line)];
        says(f.call::<Vec<f64>>((&[11.0, 1.5, 0.2],)), &place);
        // In a later step, where the first element has stopped.
        says(f.call::<Vec<f64>>((&[0.0, 4.25],)), &["at index [1] from -0.5", &at(line)]);
    }
}

#[test]
fn branches_that_elements_of_a_batch_do_not_take_may_lose_numbers() {
    let (ps, xs) = (vector::<bool>("ps"), matrix::<f64>("xs"));
    let values = array![[4.0, 9.0], [-1.0, -1.0]];
    let [roots] = vmap([&ps, &xs], |[p, x]| cond(p, [&x], |[x]| [x.sqrt()], |[x]| [x])).unwrap();
    let flipped = |[x]: [Expr; 1]| [x.flip(0).sqrt() + x.sum(..).sqrt()];
    let [others] = vmap([&ps, &xs], |[p, x]| cond(p, [&x], flipped, |[x]| [x])).unwrap();
    for device in DEVICES {
        let f = checked(Check::Nan).device(device).compile([&ps, &xs], &roots).unwrap();
        let result: Array2<f64> = f.call((&[true, false], &values)).unwrap();
        assert_eq!(result, array![[2.0, 3.0], [-1.0, -1.0]]);
        says(f.call::<Array2<f64>>((&[false, true], &values)), &["`sqrt` gives NaN at index [1, 0]"]);
        let f = checked(Check::Nan).device(device).compile([&ps, &xs], &others).unwrap();
        f.call::<Array2<f64>>((&[true, false], &values)).unwrap();
        says(f.call::<Array2<f64>>((&[true, true], &values)), &["`sqrt` gives NaN"]);
    }
}

#[test]
fn elements_that_have_stopped_may_be_elsewhere() {
    let x = vector::<f64>("x");
    let [y] = iterate_while(|[x]| x.gt(1.0), [&x], |[x]| [x.flip(0).sqrt().flip(0) - 1.5]).unwrap();
    let f = checked(Check::Nan).optimize(OptLevel::None).compile([&x], &y).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[4.0, -1.0],)).unwrap(), [0.5, -1.0]);
}

/// The optimizer subtracts the maximum of each row, also where rows are empty.
#[test]
fn empty_rows_pass() {
    let x = matrix::<f64>("x");
    let powers = x.exp();
    let f = checked(Check::Differential).compile([&x], &powers / powers.sum_keepdims(1)).unwrap();
    for shape in [(3, 0), (0, 3), (0, 0)] {
        assert_eq!(f.call::<Array2<f64>>((&Array2::<f64>::zeros(shape),)).unwrap().dim(), shape);
    }
}

/// Draws by rejection are loops in which elements stop, and compute functions of what is accepted only.
#[test]
fn gamma_and_poisson_numbers_pass() {
    let p = vector::<f64>("p");
    let key = kroton::random::key(4);
    let draws = (kroton::random::gamma::<f64>(&key, &p, [p.len()]), kroton::random::poisson(&key, &p, [p.len()]));
    let parameters: Vec<f64> = (0..600).map(|i| 0.01 * 1.05_f64.powi(i)).collect();
    for check in [Check::Nan, Check::Differential] {
        let f = checked(check).compile([&p], draws.clone()).unwrap();
        f.call::<(Vec<f64>, Vec<i64>)>((&parameters,)).unwrap();
    }
}

/// Without fused multiply-add, functions have bounds of their own.
#[test]
fn every_instruction_set_is_held_to_its_own_bounds() {
    let x = vector::<f32>("x");
    let data: Vec<f32> = (1..4000).map(|i| 1e-3 * i as f32 * 1.001_f32.powi(i % 700)).collect();
    let outputs: Vec<Expr> =
        [x.erfc(), x.sinh(), x.sin(), x.ln(), x.asinh(), (-&x).exp(), x.tanh(), x.cbrt(), x.log1p()].into();
    for set in kroton::InstructionSet::ALL {
        let compiler = checked(Check::Differential).isa(set);
        let Ok(f) = compiler.compile([&x], outputs.clone()) else { continue };
        f.call::<Vec<Array>>((&data,)).unwrap();
    }
}

fn everything(x: &Expr, w: &Expr) -> Vec<Expr> {
    let row = x.slice_axis(0, 0, 1, 1).sum(0);
    let softmax = (x - x.max_keepdims(1)).exp();
    let softmax = &softmax / softmax.sum_keepdims(1);
    let parts = kroton::concat([&x.transpose(), &w.transpose()], 1);
    vec![
        softmax.matmul(w),
        x.var(..),
        x.argmax(1),
        row.tanh().sigmoid(),
        parts.flip(0),
        x.sum(..) / x.len(),
        x.logsumexp(1),
    ]
}

#[test]
fn engines_that_are_right_pass() {
    let (x, w) = (matrix::<f32>("x"), matrix::<f32>("w"));
    let data = Array2::from_shape_fn((5, 4), |(i, j)| (i as f32 - 1.7) * (j as f32 + 0.3));
    let weights = Array2::from_shape_fn((4, 4), |(i, j)| 1.0 / (1.0 + i as f32 + j as f32));
    for device in DEVICES {
        let outputs = everything(&x, &w);
        let plain = Compiler::new().device(device).compile([&x, &w], outputs.clone()).unwrap();
        let expected: Vec<Array> = plain.call((&data, &weights)).unwrap();
        for check in [Check::Differential, Check::Nan] {
            let f = checked(check).device(device).compile([&x, &w], outputs.clone()).unwrap();
            let got: Vec<Array> = f.call((&data, &weights)).unwrap();
            assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{device:?} {check:?}");
            // Nothing at all, and numbers at the edge.
            let lost: Vec<Array> = plain.call((&(&data * f32::MAX), &weights)).unwrap();
            let again = f.call::<Vec<Array>>((&(&data * f32::MAX), &weights));
            assert!(check == Check::Nan || format!("{:?}", again.unwrap()) == format!("{lost:?}"));
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_is_checked_on_the_device() {
    let Some(_) = kroton::backend::gpu::testing::device() else { return };
    let (x, w) = (matrix::<f32>("x"), matrix::<f32>("w"));
    let data = Array2::from_shape_fn((5, 4), |(i, j)| (i as f32 - 1.7) * (j as f32 + 0.3));
    let weights = Array2::from_shape_fn((4, 4), |(i, j)| 1.0 / (1.0 + i as f32 + j as f32));
    let f = checked(Check::Differential).device(Device::Gpu).compile([&x, &w], everything(&x, &w)).unwrap();
    f.call::<Vec<Array>>((&data, &weights)).unwrap();
    let [on_device, w_on_device] = [&data, &weights].map(|array| kroton::DeviceArray::upload(array).unwrap());
    f.call::<Vec<Array>>((&on_device, &w_on_device)).unwrap();
    let f = checked(Check::Nan).device(Device::Gpu).compile([&x], x.ln()).unwrap();
    says(f.call::<Array>((&on_device,)).map(drop), &["`ln` gives NaN", "from -"]);
}
