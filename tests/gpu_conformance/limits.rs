//! What a lesser device does not compute: errors that name what is missing, and results where the host can help.

use kroton::ops::ReduceOp;
use kroton::{DType, Device, Error, Expr, constant, matrix, scalar, vector};

use crate::common::gpu::{Engine, NO_F64, SMALL};
use crate::operation::Operation;

#[track_caller]
fn refused<T>(result: kroton::Result<T>, parts: &[&str]) {
    let Err(error) = result else { panic!("no error; expected one that says {parts:?}") };
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    }
}

#[test]
fn every_op_of_f64_is_refused_without_f64() {
    let Some(engine) = Engine::new("no f64", NO_F64) else { return };
    let input = |name, dtype| kroton::input(name, dtype, [None]);
    let says = ["SHADER_F64", "f32", "Device::Cpu"];
    let inputs: [Expr; 4] =
        [input("condition", DType::Bool), input("a", DType::F64), input("b", DType::F64), input("c", DType::F64)];
    for operation in Operation::of(DType::F64) {
        refused(engine.compiler().compile(&inputs, operation.build(&inputs)), &says);
    }
    for from in DType::ALL.into_iter().filter(|&dtype| dtype != DType::F64) {
        let x = input("x", from);
        refused(engine.compiler().compile([&x], x.cast::<f64>()), &says);
    }
    for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(DType::F64)) {
        let x = matrix::<f64>("x");
        refused(engine.compiler().compile([&x], kroton::expr::apply_reduce(op, &x, 0)), &says);
    }
    let x = matrix::<f64>("x");
    refused(engine.compiler().compile([&x], x.matmul(&x)), &says);
}

#[test]
fn estimates_pi_without_f64() {
    let Some(engine) = Engine::new("no f64", NO_F64) else { return };
    let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
    let hit = (&x * &x + &y * &y).lt(1.0);
    let (pi, share) = (4.0 * hit.sum(..) / x.len(), hit.mean(..));
    let f = kroton::Compiler::new().device(Device::Gpu).limits(engine.mask).compile([&x, &y], (pi, share)).unwrap();
    let mut random = crate::common::Random(1);
    let points: Vec<[f32; 2]> = (0..100_000).map(|_| [random.unit() as f32, random.unit() as f32]).collect();
    let (xs, ys): (Vec<f32>, Vec<f32>) = points.iter().map(|point| (point[0], point[1])).unzip();
    let before = engine.gpu.dispatches();
    let (estimate, share): (f64, f64) = f.call((&xs, &ys)).unwrap();
    assert!(engine.gpu.dispatches() > before);
    let hits = points.iter().filter(|[x, y]| x * x + y * y < 1.0).count();
    // A product that is fused into the sum may move a point that lies on the circle.
    assert!((estimate - 4.0 * hits as f64 / 100_000.0).abs() <= 4.0 * 2.0 / 100_000.0, "{estimate} {hits}");
    assert!((4.0 * share - estimate).abs() <= 1e-15 * estimate, "{share} {estimate}");
}

#[test]
fn scalars_of_f64_are_computed_by_the_host() {
    let Some(engine) = Engine::new("no f64", NO_F64) else { return };
    let (x, s) = (vector::<i64>("x"), scalar::<f64>("s"));
    let mean = x.sum(..) / x.len();
    let outputs = [mean.clone(), (&mean + &s).exp(), mean.gt(&s), constant(2.5) * &s];
    let f = engine.compiler().compile([&x, &s], &outputs).unwrap();
    let results: Vec<kroton::Array> = f.call((&[1_i64, 2, 6], 3.0)).unwrap();
    let floats: Vec<f64> = [0, 1, 3].iter().map(|&i: &usize| results[i].as_slice::<f64>().unwrap()[0]).collect();
    assert_eq!(floats, [3.0, 6.0_f64.exp(), 7.5]);
    assert_eq!(results[2].as_slice::<bool>().unwrap(), [false]);
}

#[test]
fn an_access_that_cannot_be_cut_names_the_limit() {
    let Some(engine) = Engine::new("small", SMALL) else { return };
    let x = matrix::<f32>("x");
    let f = engine.compiler().compile([&x], x.sum(0)).unwrap();
    // A block of 1024 rows of 100 columns is more than the 64 KiB of a binding; one of 10 columns is not.
    let wide = ndarray::Array2::<f32>::ones((2000, 100));
    refused(f.call::<Vec<f32>>((&wide,)), &["65536 bytes", "Device::Cpu"]);
    let narrow = ndarray::Array2::<f32>::ones((2000, 10));
    assert_eq!(f.call::<Vec<f32>>((&narrow,)).unwrap(), [2000.0; 10]);
}
