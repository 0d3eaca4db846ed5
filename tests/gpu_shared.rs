//! Shared variables of functions on a GPU: their values stay there between calls, and are one with those that functions
//! of the host see.

#![cfg(feature = "gpu")]

use std::sync::Barrier;
use std::thread;

use kroton::backend::gpu::testing;
use kroton::{Compiler, Device, DeviceArray, Function, Shared, matrix, scalar, shared, vector};
use ndarray::{Array2, array};

fn on(device: Device) -> Compiler {
    Compiler::new().device(device)
}

fn adding(device: Device, total: &Shared) -> Function {
    let x = vector::<f32>("x");
    on(device).updates([(total, total + &x)]).compile([&x], ()).unwrap()
}

/// Memory that is taken and given back again and again is the same few buffers, however many calls there are; on the
/// host the same calls would upload and download every time.
#[test]
fn values_stay_on_the_device() {
    let Some(_gpu) = testing::device() else { return };
    let total = shared("total", vec![0.0_f32; 1000]);
    let add = adding(Device::Gpu, &total);
    let ones = DeviceArray::upload(&vec![1.0_f32; 1000]).unwrap();
    for _ in 0..200 {
        add.call::<()>((&ones,)).unwrap();
    }
    assert_eq!(total.get::<Vec<f32>>().unwrap(), vec![200.0_f32; 1000]);
    // What `get` brought does not stay behind.
    add.call::<()>((&ones,)).unwrap();
    assert_eq!(total.get::<Vec<f32>>().unwrap(), vec![201.0_f32; 1000]);
    total.set(vec![5.0_f32; 3]).unwrap();
    add.call::<()>((&[1.0_f32, 2.0, 3.0],)).unwrap();
    assert_eq!(total.get::<Vec<f32>>().unwrap(), [6.0, 7.0, 8.0]);
    assert!(add.call::<()>((&[1.0_f32],)).is_err());
    assert_eq!(total.get::<Vec<f32>>().unwrap(), [6.0, 7.0, 8.0]);
}

/// The functions of both engines, also those that write in place, see each other's values.
#[test]
fn both_engines_see_the_same_value() {
    let Some(_gpu) = testing::device() else { return };
    let total = shared("total", [0.0_f32, 100.0]);
    let adds = [Device::Cpu, Device::Gpu, Device::Loops, Device::Interpreter].map(|device| adding(device, &total));
    let reads = [Device::Gpu, Device::Cpu].map(|device| on(device).compile([], &total * 2.0).unwrap());
    let mut expected = 0.0;
    // Runs of one engine, so that its calls are recorded and made in place, and changes after each.
    for round in 0..12 {
        for add in [&adds[round % 4], &adds[round % 4], &adds[(round / 2) % 4], &adds[0], &adds[1]] {
            add.call::<()>((&[1.0_f32, 10.0],)).unwrap();
            expected += 1.0;
            if round % 3 == 0 {
                assert_eq!(total.get::<Vec<f32>>().unwrap(), [expected, 100.0 + 10.0 * expected]);
            }
        }
        for read in &reads {
            assert_eq!(read.call::<Vec<f32>>(()).unwrap(), [2.0 * expected, 200.0 + 20.0 * expected]);
        }
    }
}

/// What a call gave before stays what it was when the variable moves on.
#[test]
fn results_are_not_the_variables_memory() {
    let Some(_gpu) = testing::device() else { return };
    let state = shared("state", array![[1_i32, 2], [3, 4]]);
    let m = matrix::<i32>("m");
    let step =
        on(Device::Gpu).updates([(&state, state.matmul(&m))]).compile([&m], (&*state, state.transpose())).unwrap();
    let twice = array![[2_i32, 0], [0, 2]];
    let (first, turned): (DeviceArray, DeviceArray) = step.call((&twice,)).unwrap();
    let (second, _): (DeviceArray, DeviceArray) = step.call((&twice,)).unwrap();
    step.call::<(Array2<i32>, Array2<i32>)>((&twice,)).unwrap();
    assert_eq!(first.download::<Array2<i32>>().unwrap(), array![[1, 2], [3, 4]]);
    assert_eq!(turned.download::<Array2<i32>>().unwrap(), array![[1, 3], [2, 4]]);
    assert_eq!(second.download::<Array2<i32>>().unwrap(), array![[2, 4], [6, 8]]);
    assert_eq!(state.get::<Array2<i32>>().unwrap(), array![[8, 16], [24, 32]]);
}

/// Values of rank 0, which sizes may depend on, empty ones, and all that shapes can do.
#[test]
fn scalars_and_empty_values() {
    let Some(_gpu) = testing::device() else { return };
    let count = shared("count", 0_i64);
    let n = scalar::<i64>("n");
    let grow = on(Device::Gpu).updates([(&count, &count + &n)]).compile([&n], kroton::arange(&count)).unwrap();
    let lengths: Vec<usize> = (0..4).map(|_| grow.call::<Vec<i64>>((2_i64,)).unwrap().len()).collect();
    assert_eq!(lengths, [0, 2, 4, 6]);
    assert_eq!(count.get::<i64>().unwrap(), 8);
    let flags = shared("flags", [true, false, true]);
    let flip = on(Device::Gpu).updates([(&flags, !&flags)]).compile([], ()).unwrap();
    flip.call::<()>(()).unwrap();
    assert_eq!(flags.get::<Vec<bool>>().unwrap(), [false, true, false]);
    flags.set([false; 0]).unwrap();
    flip.call::<()>(()).unwrap();
    assert_eq!(flags.get::<Vec<bool>>().unwrap(), [false; 0]);
}

/// No increment is lost, whichever engine makes it.
#[test]
fn threads_of_both_engines_count_together() {
    let Some(_gpu) = testing::device() else { return };
    let counter = shared("counter", [0_i32; 4]);
    let tick = |device| on(device).updates([(&counter, &counter + 1)]).compile([], ()).unwrap();
    let ticks = [tick(Device::Cpu), tick(Device::Gpu), tick(Device::Gpu)];
    let start = Barrier::new(ticks.len());
    thread::scope(|scope| {
        for tick in &ticks {
            let (start, counter) = (&start, &counter);
            scope.spawn(move || {
                start.wait();
                for round in 0..40 {
                    tick.call::<()>(()).unwrap();
                    if round % 10 == 0 {
                        counter.get::<Vec<i32>>().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(counter.get::<Vec<i32>>().unwrap(), [120; 4]);
}
