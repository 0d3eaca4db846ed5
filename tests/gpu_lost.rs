//! A device that is lost, as drivers lose them: an error of what was under way, and the next call works. A process of its
//! own, since it loses the device that other tests would run on.

#![cfg(feature = "gpu")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kroton::backend::gpu::testing;
use kroton::{Compiler, Device, DeviceArray, Error, Function, constant, matrix, shared, vector};
use ndarray::{Array1, Array2, array};

/// A function with a constant, a reduction and a product.
fn function() -> Function {
    let (x, m) = (vector::<f32>("x"), matrix::<f32>("m"));
    let weights = constant(array![1.0_f32, 2.0, 3.0]);
    let outputs = (&x * &weights, (&x * &x).sum(..), m.matmul(&m));
    Compiler::new().device(Device::Gpu).compile([&x, &m], outputs).unwrap()
}

type Results = (Array1<f32>, f32, Array2<f32>);

fn call(f: &Function) -> kroton::Result<Results> {
    f.call((&[1.0_f32, 2.0, 3.0], &array![[1.0_f32, 2.0], [3.0, 4.0]]))
}

fn expected() -> Results {
    (array![1.0, 4.0, 9.0], 14.0, array![[7.0, 10.0], [15.0, 22.0]])
}

#[test]
fn the_next_call_works() {
    let Some(gpu) = testing::device() else { return };
    let f = function();
    assert_eq!(call(&f).unwrap(), expected());
    let kept = DeviceArray::upload(&[1.0_f32, 2.0, 3.0]).unwrap();
    let m = Array2::<f32>::zeros((2, 2));
    gpu.lose();
    assert!(matches!(kept.download::<Vec<f32>>(), Err(Error::Device(_))));
    assert_eq!(call(&f).unwrap(), expected());
    let error = f.call::<Results>((&kept, &m)).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error}");
    assert!(error.to_string().contains("`x`) was on the GPU") && error.to_string().contains("upload it again"));
    drop(kept);
    let again = DeviceArray::upload(&[1.0_f32, 2.0, 3.0]).unwrap();
    let (scaled, ..): (DeviceArray, f32, DeviceArray) = f.call((&again, &m)).unwrap();
    assert_eq!(scaled.download::<Vec<f32>>().unwrap(), [1.0, 4.0, 9.0]);
    let fresh = testing::device().unwrap();
    assert!(!fresh.is_lost() && fresh.dispatches() > 0);
    lost_again_and_again(&f);
    shared_values_are_lost_with_the_device();
}

/// A variable whose value was on the device says so until it is given another; one with a copy on the host goes on.
fn shared_values_are_lost_with_the_device() {
    let (moved, read) = (shared("moved", [1.0_f32, 2.0]), shared("read", [10.0_f32, 20.0]));
    let step = Compiler::new().device(Device::Gpu).updates([(&moved, &moved + &read)]).compile([], ()).unwrap();
    step.call::<()>(()).unwrap();
    testing::device().unwrap().lose();
    for _ in 0..2 {
        let errors = [moved.get::<Vec<f32>>().map(drop).unwrap_err(), step.call::<()>(()).unwrap_err()];
        for error in errors {
            let says = |text: &str| assert!(error.to_string().contains(text), "{error}");
            assert!(matches!(error, Error::Device(_)), "{error}");
            ["the shared variable `moved`", "was lost", "`set`"].into_iter().for_each(says);
        }
    }
    assert_eq!(read.get::<Vec<f32>>().unwrap(), [10.0, 20.0]);
    moved.set([5.0_f32, 6.0]).unwrap();
    step.call::<()>(()).unwrap();
    assert_eq!(moved.get::<Vec<f32>>().unwrap(), [15.0, 26.0]);
}

/// Calls from several threads while the device is lost time and again: each gives its result or says that it was lost.
fn lost_again_and_again(f: &Function) {
    let (done, start) = (AtomicBool::new(false), Instant::now());
    let caller = || {
        let mut worked = 0;
        while !done.load(Ordering::Relaxed) {
            match call(f) {
                Ok(results) => {
                    assert_eq!(results, expected());
                    worked += 1;
                }
                Err(Error::Device(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        worked
    };
    let worked: u32 = std::thread::scope(|scope| {
        let callers = [(); 3].map(|()| scope.spawn(caller));
        while start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(150));
            testing::device().unwrap().lose();
        }
        done.store(true, Ordering::Relaxed);
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert!(worked > 0, "no call worked in between");
    assert_eq!(call(f).unwrap(), expected());
}
