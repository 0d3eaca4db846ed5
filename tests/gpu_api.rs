//! The GPU engine as programs meet it when things get tight: few bindings, too much memory, many threads that compile.

#![cfg(feature = "gpu")]

mod common;

use common::gpu::{Engine, SMALL, WHOLE};
use kroton::{Array, Compiler, DType, Device, DeviceArray, Error, Expr, IntoOutputs, constant, full, scalar, vector};
use ndarray::IxDyn;

fn on_gpu(inputs: &[Expr], outputs: impl IntoOutputs) -> kroton::Function {
    Compiler::new().device(Device::Gpu).compile(inputs, outputs).unwrap()
}

/// Many operands and results through three bindings: the scheduler cuts, and what cannot be cut shares a binding.
#[test]
fn many_arrays_go_through_few_bindings() {
    let Some(engine) = Engine::new("small", SMALL) else { return };
    let inputs: Vec<Expr> = (0..20).map(|i| vector::<i32>(&format!("x{i}"))).collect();
    let total = inputs.iter().skip(1).fold(inputs[0].clone(), |sum, x| sum + x);
    let mut outputs: Vec<Expr> = (1..20).map(|i| &inputs[i] * &inputs[i - 1] + &total).collect();
    outputs.push(total.max(..));
    outputs.push(kroton::concat(&inputs, 0));
    // One op of three arrays and a result: one more than there are bindings.
    outputs.push(inputs[0].gt(3).select(&inputs[1], &inputs[2]));
    let on_device = engine.compiler().compile(&inputs, &outputs).unwrap();
    let on_host = Compiler::new().compile(&inputs, &outputs).unwrap();
    for length in [1, 100, 3000] {
        let data: Vec<Vec<i32>> =
            (0..20).map(|i| (0..length).map(|j| (i * 7919 + j * 31) % 1000 - 500).collect()).collect();
        let args: Vec<kroton::Arg<'_>> = data.iter().map(kroton::Arg::from).collect();
        let before = engine.gpu.dispatches();
        let got: Vec<Array> = on_device.call(args.as_slice()).unwrap();
        assert!(engine.gpu.dispatches() > before);
        assert_eq!(got, on_host.call::<Vec<Array>>(args.as_slice()).unwrap());
    }
}

#[test]
fn too_much_memory_is_an_error_and_the_next_call_works() {
    let Some(_engine) = Engine::new("gpu", WHOLE) else { return };
    let n = scalar::<i64>("n");
    let ones = on_gpu(std::slice::from_ref(&n), full([&n], 1.0_f32) + n.cast::<f32>());
    for huge in [1_i64 << 34, 1 << 38, 1 << 50] {
        let error = ones.call::<DeviceArray>((huge,)).unwrap_err();
        assert!(matches!(error, Error::Memory(_) | Error::Unsupported(_)), "{huge}: {error:?}");
    }
    let error = ones.call::<DeviceArray>((1_i64 << 38,)).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error:?}");
    assert_eq!(ones.call::<Vec<f32>>((3_i64,)).unwrap(), [4.0; 3]);
    // A view of one element that goes to the device as a whole.
    let one = ndarray::arr0(1.0_f32);
    let view = one.broadcast(IxDyn(&[1 << 45])).unwrap();
    let error = DeviceArray::upload(&view).unwrap_err();
    assert!(matches!(error, Error::Memory(_)), "{error:?}");
    assert_eq!(ones.call::<Vec<f32>>((2_i64,)).unwrap(), [3.0; 2]);
}

/// Threads that compile and call functions of their own, some of which are the same shader.
#[test]
fn many_threads_compile_at_once() {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return };
    let before = engine.gpu.dispatches();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..5 {
                    let x = vector::<f32>("x");
                    let shift = f32::from(((thread + round) % 4) as u8);
                    let f = on_gpu(std::slice::from_ref(&x), (&x + shift, (&x * shift).sum(..)));
                    let (ys, sum): (Vec<f32>, f32) = f.call((&[1.0_f32, 2.0, 3.0],)).unwrap();
                    assert_eq!((ys, sum), ([1.0, 2.0, 3.0].map(|x| x + shift).to_vec(), 6.0 * shift));
                }
            });
        }
    });
    assert!(engine.gpu.dispatches() - before >= 80);
}

/// The same function time and again with every dtype's results kept on the device.
#[test]
fn results_of_every_dtype_stay_on_the_device() {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return };
    for dtype in engine.dtypes() {
        let x = kroton::input("x", dtype, [None]);
        let f = on_gpu(std::slice::from_ref(&x), [x.flip(0), kroton::concat([&x, &x.flip(0)], 0)]);
        let values: Vec<kroton::Scalar> = common::nasty(dtype).into_iter().cycle().take(67).collect();
        let argument = common::Argument::vector(dtype, &values, common::Layout::Reversed);
        let [flipped, joined]: [DeviceArray; 2] = f.call(&[argument.arg()][..]).unwrap();
        assert_eq!((flipped.dtype(), flipped.len(), joined.len()), (dtype, 67, 134));
        let [again, _]: [DeviceArray; 2] = f.call((&flipped,)).unwrap();
        let bits = |array: DeviceArray| -> Vec<u64> {
            common::scalars(&array.download::<Array>().unwrap()).iter().map(|x| x.bits()).collect()
        };
        assert_eq!(bits(again), values.iter().map(|x| x.bits()).collect::<Vec<_>>(), "{dtype}");
        let there_and_back = values.iter().chain(values.iter().rev()).map(|x| x.bits());
        assert_eq!(bits(joined), there_and_back.collect::<Vec<_>>(), "{dtype}");
    }
}

/// Scalars of calls, by value and from the device.
#[test]
fn scalars_of_every_dtype_go_in_and_out() {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return };
    for dtype in engine.dtypes().filter(|&dtype| dtype != DType::Bool) {
        let (x, s) = (kroton::input("x", dtype, [None]), kroton::input("s", dtype, []));
        let f = on_gpu(&[x.clone(), s.clone()], [&x + &s, s.clone() + constant(1_i8).cast_to(dtype)]);
        let number = |value: i64| kroton::Scalar::I64(value).cast(dtype);
        let xs = common::Argument::vector(dtype, &[number(1), number(2)], common::Layout::Contiguous);
        let three = DeviceArray::upload(Array::from_scalar(number(3))).unwrap();
        let [sum, four]: [DeviceArray; 2] = f.call(&[xs.arg(), (&three).into()][..]).unwrap();
        let values = |array: &DeviceArray| common::scalars(&array.download::<Array>().unwrap());
        assert_eq!((values(&sum), values(&four)), (vec![number(4), number(5)], vec![number(4)]), "{dtype}");
        let [sum, _]: [DeviceArray; 2] = f.call((&sum, &four)).unwrap();
        assert_eq!(values(&sum), [number(8), number(9)], "{dtype}");
    }
}
