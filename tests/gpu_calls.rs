//! Calls of functions on a GPU: arrays that stay there, layouts, host steps, lost devices. Without an adapter each test
//! prints that it is skipped, unless `KROTON_TEST_GPU=required`.

#![cfg(feature = "gpu")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kroton::backend::gpu::{Gpu, GpuMask, testing};
use kroton::{
    Array, Compiler, DType, Device, DeviceArray, Error, Expr, Function, IntoOutputs, Stage, compile, constant, matrix,
    scalar, vector,
};
use ndarray::{Array1, Array2, array, s};

fn on_gpu(inputs: &[&Expr], outputs: impl IntoOutputs) -> Function {
    let inputs: Vec<Expr> = inputs.iter().map(|&input| input.clone()).collect();
    Compiler::new().device(Device::Gpu).compile(&inputs, outputs).unwrap()
}

/// The device, which one test has for itself, so that what it dispatched can be counted.
struct Watched {
    gpu: Arc<Gpu>,
    before: u64,
    _turn: MutexGuard<'static, ()>,
}

fn device() -> Option<Watched> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let gpu = testing::device()?;
    Some(Watched { before: gpu.dispatches(), gpu, _turn: turn })
}

impl Watched {
    fn dispatched(&self) -> u64 {
        self.gpu.dispatches() - self.before
    }
}

#[track_caller]
fn says<T>(result: kroton::Result<T>, parts: &[&str]) -> Error {
    let Err(error) = result else { panic!("no error; expected one that says {parts:?}") };
    for part in parts {
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    }
    error
}

#[test]
fn arguments_of_any_layout_and_results_of_any_kind() {
    let Some(gpu) = device() else { return };
    let (x, w) = (matrix::<f32>("x"), vector::<f32>("w"));
    let f = on_gpu(&[&x, &w], (&x * &w, x.sum(0), x.len() + 1));
    let (data, weights) = (array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]], array![10.0_f32, 0.0, -1.0]);
    let expected = (&data * &weights, data.sum_axis(ndarray::Axis(0)), 7_i64);
    let run = |x: ndarray::ArrayView2<'_, f32>, w: ndarray::ArrayView1<'_, f32>| {
        f.call::<(Array2<f32>, Array1<f32>, i64)>((x, w)).unwrap()
    };
    assert_eq!(run(data.view(), weights.view()), expected);
    let column_major = data.t().as_standard_layout().into_owned();
    assert_eq!(run(column_major.t(), weights.slice(s![..])), expected);
    let mut wide = Array2::<f32>::zeros((4, 6));
    wide.slice_mut(s![1..;2, ..;-2]).assign(&data);
    let reversed: Array1<f32> = weights.iter().rev().copied().collect();
    assert_eq!(run(wide.slice(s![1..;2, ..;-2]), reversed.slice(s![..;-1])), expected);
    let row = array![1.0_f32, 2.0, 3.0];
    let repeated = row.broadcast((2, 3)).unwrap();
    let (products, sums, _) = run(repeated, weights.view());
    assert_eq!((products, sums), (&repeated * &weights, 2.0 * &row));
    // Into memory of any strides.
    let (mut out, mut sums, mut size) = (Array2::<f32>::zeros((3, 4)), vec![0.0_f32; 3], 0_i64);
    f.call_into((&data, &weights), (out.slice_mut(s![..;-1, ..;2]).reversed_axes(), &mut sums, &mut size)).unwrap();
    assert_eq!(out.slice(s![..;-1, ..;2]).t(), expected.0);
    assert_eq!((out.column(1).sum(), sums, size), (0.0, expected.1.to_vec(), 7));
    // Empty.
    let (none, zeros, one) = run(Array2::zeros((0, 3)).view(), weights.view());
    assert_eq!((none.dim(), zeros, one), ((0, 3), Array1::zeros(3), 1));
    assert!(gpu.dispatched() > 0);
}

#[test]
fn every_dtype_goes_there_and_back() {
    let Some(_gpu) = device() else { return };
    let arrays = [
        Array::from(&[true, false, true]),
        Array::from(&[-1_i8, 2, 3]),
        Array::from(&[255_u8, 2, 3]),
        Array::from(&[-1_i32, 2, 3]),
        Array::from(&[u32::MAX, 2, 3]),
        Array::from(&[i64::MIN, 2, 3]),
        Array::from(&[u64::MAX, 2, 3]),
        Array::from(&[f32::NEG_INFINITY, 2.5, -0.0]),
        Array::from(&[f64::MAX, 2.5, -0.0]),
    ];
    for array in &arrays {
        let there = DeviceArray::upload(array).unwrap();
        assert_eq!((there.dtype(), there.shape(), there.rank()), (array.dtype(), [3].as_slice(), 1));
        assert_eq!((there.len(), there.is_empty()), (3, false));
        assert_eq!(&there.download::<Array>().unwrap(), array);
        let empty = DeviceArray::upload(Array::zeros(array.dtype(), &[2, 0]).unwrap()).unwrap();
        assert_eq!((empty.download::<Array>().unwrap().shape(), empty.is_empty()), ([2, 0].as_slice(), true));
    }
    assert_eq!(DeviceArray::upload(2.5).unwrap().download::<f64>().unwrap(), 2.5);
    let grid = array![[1, 2], [3, 4]];
    let turned = DeviceArray::upload(grid.slice(s![..;-1, ..]).t()).unwrap();
    assert_eq!(turned.download::<Array2<i32>>().unwrap(), grid.slice(s![..;-1, ..]).t());
    assert_eq!(DeviceArray::upload(&turned).unwrap().download::<Array2<i32>>().unwrap(), grid.slice(s![..;-1, ..]).t());
    assert!(format!("{turned:?}").starts_with("DeviceArray<i32>[2, 2] on "));
    says(turned.download::<Array2<f32>>(), &["the array is i32 of rank 2; the caller asked for f32 of rank 2"]);
    says(turned.download::<DeviceArray>(), &["the array is made on the host"]);
}

#[test]
fn arrays_stay_on_the_device_between_calls() {
    let Some(gpu) = device() else { return };
    let (x, scale) = (vector::<f32>("x"), scalar::<f32>("scale"));
    let f = on_gpu(&[&x, &scale], (&x * &scale, x.sum(..)));
    let xs = DeviceArray::upload(&[1.0_f32, 2.0, 3.0]).unwrap();
    let (ys, sum): (DeviceArray, DeviceArray) = f.call((&xs, 2.0)).unwrap();
    // A float of rank 0 stays there too.
    let [zs, total]: [DeviceArray; 2] = f.call((ys.clone(), &sum)).unwrap();
    assert_eq!(zs.download::<Vec<f32>>().unwrap(), [12.0, 24.0, 36.0]);
    assert_eq!((sum.download::<f32>().unwrap(), total.download::<f32>().unwrap()), (6.0, 12.0));
    assert_eq!(f.call::<Vec<DeviceArray>>((&ys, 0.5)).unwrap()[0].download::<Vec<f32>>().unwrap(), [1.0, 2.0, 3.0]);
    // What it replaces keeps its values in clones, and may be the argument.
    let mut out = xs.clone();
    let argument = out.clone();
    let mut last = 0.0_f32;
    f.call_into((&argument, 3.0), (&mut out, &mut last)).unwrap();
    assert_eq!(out.download::<Vec<f32>>().unwrap(), [3.0, 6.0, 9.0]);
    assert_eq!((xs.download::<Vec<f32>>().unwrap(), last), (vec![1.0, 2.0, 3.0], 6.0));
    says(f.call_into((&xs, 3.0), (&mut DeviceArray::upload(&[0.0_f32; 2]).unwrap(), &mut last)), &["f32 of shape [2]"]);
    assert!(gpu.dispatched() >= 4);
}

#[test]
fn sizes_come_from_values_on_the_device() {
    let Some(gpu) = device() else { return };
    let (n, k) = (scalar::<i64>("n"), scalar::<i32>("k"));
    let f = on_gpu(&[&n, &k], kroton::arange(&n) * &k);
    let size = DeviceArray::upload(4_i64).unwrap();
    let factor = DeviceArray::upload(10_i32).unwrap();
    assert_eq!(f.call::<Vec<i64>>((&size, &factor)).unwrap(), [0, 10, 20, 30]);
    assert!(gpu.dispatched() > 0);
}

#[test]
fn arrays_that_are_elsewhere_are_refused() {
    let Some(gpu) = device() else { return };
    let x = vector::<f32>("x");
    let on_host = compile([&x], 2.0 * &x).unwrap();
    let xs = DeviceArray::upload(&[1.0_f32, 2.0]).unwrap();
    let here = ["argument 0 (`x`) is on the GPU", "the function runs on the host; pass its `download()`"];
    says(on_host.call::<Vec<f32>>((&xs,)), &here);
    says(on_host.call::<DeviceArray>((&[1.0_f32],)), &["output 0 is made on the host", "compile for Device::Gpu"]);
    says(on_host.call_into((&[1.0_f32, 2.0],), (&mut xs.clone(),)), &["output 0 is made on the host"]);
    says(on_gpu(&[&x], 2.0 * &x).call::<Vec<f64>>((&xs,)), &["the caller asked for f64"]);
    let y = vector::<f64>("y");
    says(compile([&y], 2.0 * &y).unwrap().call::<Vec<f64>>((&xs,)), &["is f64 of rank 1; the call passed f32"]);
    let cpu = &kroton::devices()[0];
    says(DeviceArray::upload_to(cpu, &[1.0]), &["the device `cpu` is no GPU"]);
    for other in &kroton::devices()[1..] {
        let ys = DeviceArray::upload_to(other, &[1.0_f32, 2.0]).unwrap();
        assert_eq!(ys.download::<Vec<f32>>().unwrap(), [1.0, 2.0]);
        if other.flag != "gpu:0" {
            says(on_gpu(&[&x], 2.0 * &x).call::<Vec<f32>>((&ys,)), &["is on the GPU", "the function runs on"]);
        }
    }
    assert_eq!(gpu.dispatched(), 0);
}

#[test]
fn what_a_device_cannot_compute_the_host_does_in_between() {
    let Some(gpu) = device() else { return };
    let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
    let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
    let estimate = 4.0 * &hits / x.len();
    // A value of the host that goes on to the device, and to a result.
    let scaled = &x * estimate.cast::<f32>();
    for mask in [GpuMask::default(), GpuMask { no_f64: true, ..GpuMask::default() }] {
        let compiler = Compiler::new().device(Device::Gpu).limits(mask);
        let f = compiler.compile([&x, &y], (&estimate, &hits, &scaled)).unwrap();
        let (xs, ys) = ([0.5_f32, 0.9, 0.1, 0.2], [0.5_f32, -0.9, 0.2, 0.3]);
        let (pi, hits, scaled): (f64, i64, Vec<f32>) = f.call((&xs, &ys)).unwrap();
        assert_eq!((pi, hits), (3.0, 3));
        assert_eq!(scaled, xs.map(|x| x * 3.0));
        let (xs, ys) = (DeviceArray::upload(&xs).unwrap(), DeviceArray::upload(&ys).unwrap());
        let [pi, hits, scaled]: [DeviceArray; 3] = f.call((&xs, &ys)).unwrap();
        assert_eq!((pi.download::<f64>().unwrap(), hits.download::<i64>().unwrap()), (3.0, 3));
        assert_eq!(scaled.download::<Vec<f32>>().unwrap()[0], 1.5);
    }
    let no_f64 = Compiler::new().device(Device::Gpu).limits(GpuMask { no_f64: true, ..GpuMask::default() });
    let z = vector::<f64>("z");
    let error = says(no_f64.compile([&z], 2.0 * &z), &["f64"]);
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert!(gpu.dispatched() >= 4);
}

#[test]
fn an_element_of_a_large_array_is_read_by_the_host() {
    let Some(gpu) = device() else { return };
    let x = vector::<f32>("x");
    let doubled = &x * 2.0;
    let tail = doubled.slice(s![-3]).cast::<f64>() / 4.0 + x.slice(s![2]).cast::<f64>();
    let compiler = Compiler::new().device(Device::Gpu).limits(GpuMask { no_f64: true, ..GpuMask::default() });
    let f = compiler.compile([&x], (&tail, &doubled)).unwrap();
    let data: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let (value, all): (f64, Vec<f32>) = f.call((&data,)).unwrap();
    assert_eq!((value, all[999]), (997.0 / 2.0 + 2.0, 1998.0));
    let (value, all): (f64, DeviceArray) = f.call((&DeviceArray::upload(&data).unwrap(),)).unwrap();
    assert_eq!((value, all.len()), (997.0 / 2.0 + 2.0, 1000));
    assert!(gpu.dispatched() > 0);
}

#[test]
fn constants_and_products() {
    let Some(gpu) = device() else { return };
    let (x, bias) = (matrix::<f32>("x"), vector::<f32>("bias"));
    let table = constant(array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let plain = on_gpu(&[&x], x.matmul(&table));
    let fused = on_gpu(&[&x, &bias], kroton::maximum(x.matmul(&table) + &bias, 0.0));
    let data = array![[1.0_f32, -1.0], [2.0, 0.5], [0.0, 3.0]];
    let expected = data.dot(&array![[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(plain.call::<Array2<f32>>((&data,)).unwrap(), expected);
    let turned = data.t().as_standard_layout().into_owned();
    assert_eq!(plain.call::<Array2<f32>>((turned.t(),)).unwrap(), expected);
    let offsets = array![0.0_f32, 1.0, -10.0];
    let relu = (&expected + &offsets).mapv(|x| x.max(0.0));
    assert_eq!(fused.call::<Array2<f32>>((&data, &offsets)).unwrap(), relu);
    assert_eq!(plain.call::<Array2<f32>>((&Array2::<f32>::zeros((0, 2)),)).map(|y| y.dim()).ok(), Some((0, 3)));
    assert!(gpu.dispatched() >= 3);
}

#[test]
fn stages_of_the_gpu_can_be_read() {
    let Some(_gpu) = device() else { return };
    let x = vector::<f32>("x");
    let f = on_gpu(&[&x], (&x * 2.0 + 1.0).sum(..));
    assert!(f.dump(Stage::Wgsl).unwrap().contains("@compute"));
    assert!(f.dump(Stage::All).unwrap().contains("=== Wgsl"));
    assert!(f.dump(Stage::Loops).unwrap().contains("reduce"));
    says(f.dump(Stage::Clif), &["this device makes no Clif; Device::Cpu does"]);
    says(compile([&x], &x + 1.0).unwrap().dump(Stage::Wgsl), &["makes no Wgsl; Device::Gpu does"]);
    assert_eq!(f.kernel_count(), 1);
    assert!(f.compilations() > 0);
}

#[test]
fn devices_are_listed() {
    let devices = kroton::devices();
    let text = devices[0].to_string();
    assert!(text.starts_with("cpu: ") && text.contains("threads"), "{text}");
    let Some(gpu) = device() else { return };
    let text = devices[1].to_string();
    assert_eq!(devices[1].name, gpu.gpu.adapter().name());
    assert!(text.starts_with("gpu:0: ") && text.contains("storage buffers"), "{text}");
    assert_eq!(devices[1].has_f64, gpu.gpu.target().computes(DType::F64));
}

#[test]
fn automatic_choice_takes_the_gpu_where_it_can() {
    let Some(_gpu) = device() else { return };
    let (x, z) = (vector::<f32>("x"), vector::<f64>("z"));
    let auto = Compiler::new().device(Device::Auto).limits(GpuMask { no_f64: true, ..GpuMask::default() });
    assert!(auto.compile([&x], &x + 1.0).unwrap().dump(Stage::Wgsl).is_ok());
    let said = Said::default();
    let on_host = tracing::subscriber::with_default(said.clone(), || auto.compile([&z], &z + 1.0)).unwrap();
    let text = said.0.lock().unwrap().clone();
    assert!(text.contains("Device::Auto takes the CPU") && text.contains("SHADER_F64"), "{text}");
    assert!(on_host.dump(Stage::Clif).is_ok());
    assert_eq!(on_host.call::<Vec<f64>>((&[1.0],)).unwrap(), [2.0]);
}

/// Keeps what is told through `tracing`.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl tracing::field::Visit for Said {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Said {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("kroton")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn many_threads_call_one_function() {
    fn shared<T: Send + Sync>() {}
    shared::<(DeviceArray, Function)>();
    let Some(gpu) = device() else { return };
    let (x, scale) = (vector::<f32>("x"), scalar::<f32>("scale"));
    let weights = constant(Array1::from_iter((0..5000).map(|i| (i % 7) as f32)));
    let f = on_gpu(&[&x, &scale], (&x * &weights * &scale, (&x * &weights).max(..)));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let f = f.clone();
            scope.spawn(move || {
                let xs = vec![thread as f32; 5000];
                let there = DeviceArray::upload(&xs).unwrap();
                for round in 0..20 {
                    let (ys, top): (DeviceArray, f32) = f.call((&there, round as f32)).unwrap();
                    let (zs, same): (Vec<f32>, f32) = f.call((&xs, round as f32)).unwrap();
                    assert_eq!((top, same), (6.0 * thread as f32, top));
                    assert_eq!(ys.download::<Vec<f32>>().unwrap(), zs);
                    assert_eq!(zs[13], (thread * round * 6) as f32);
                }
            });
        }
    });
    assert!(gpu.dispatched() >= 8 * 20 * 2);
}
