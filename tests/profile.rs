//! Profiles: what is counted, on each engine, and what a function without one says.

use std::time::Duration;

use kroton::{Array, Compiler, Device, Error, Function, Profile, compile, matrix, vector};
use ndarray::Array2;

const HOST: [(Device, &str); 2] = [(Device::Cpu, "cpu"), (Device::Loops, "loops")];

fn profiled(device: Device) -> Compiler {
    Compiler::new().name("f").device(device).profile(true)
}

fn seen(f: &Function) -> Vec<(&'static str, u64, u64)> {
    let profile = f.profile().unwrap();
    profile.kernels.iter().map(|kernel| (kernel.class, kernel.calls, kernel.bytes)).collect()
}

/// Everything that must hold of any profile.
fn check(profile: &Profile) {
    let sum: f64 = profile.kernels.iter().map(|kernel| kernel.share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{profile}");
    for class in &profile.classes {
        let own = || profile.kernels.iter().filter(|kernel| kernel.class == class.class);
        assert_eq!(class.kernels, own().count());
        assert_eq!(class.calls, own().map(|kernel| kernel.calls).sum::<u64>());
        assert_eq!(class.time, own().map(|kernel| kernel.time).sum::<Duration>());
    }
    assert!(profile.time > Duration::ZERO);
    assert!(profile.stages.iter().any(|stage| stage.stage == "optimize" && stage.time > Duration::ZERO));
}

#[test]
fn kernels_are_counted_with_their_bytes() {
    let (x, w) = (matrix::<f64>("x"), vector::<f64>("w"));
    for (device, name) in HOST {
        let f = profiled(device).compile([&x, &w], ((&x * &w).exp(), (&x + 1.0).sum(1))).unwrap();
        let (data, weights) = (Array2::<f64>::ones((5, 4)), vec![1.0; 4]);
        // The first call lays out, the second settles, the others are replays: all are counted alike.
        for calls in 1..=4_u64 {
            f.call::<(Array2<f64>, Vec<f64>)>((&data, &weights)).unwrap();
            let expected = [("map", calls, calls * (20 + 4 + 20) * 8), ("reduce", calls, calls * (20 + 5) * 8)];
            let mut counted = seen(&f);
            counted.sort_unstable();
            assert_eq!(counted, expected, "{name}");
        }
        let profile = f.profile().unwrap();
        assert_eq!((profile.function.as_str(), profile.device, profile.calls), ("f", name, 4));
        assert!(profile.kernels.iter().map(|kernel| kernel.time).sum::<Duration>() <= profile.time, "{profile}");
        check(&profile);
        let stages: Vec<&str> = profile.stages.iter().map(|stage| stage.stage).collect();
        assert_eq!(stages, ["intern", "optimize", "schedule", "lower", "emit"]);
        // What does not run is not counted; results are what they are without a profile.
        assert!(f.call::<(Array2<f64>, Vec<f64>)>((&data, &[1.0, 2.0])).is_err());
        assert_eq!(f.profile().unwrap().calls, 4);
        let mut sums = vec![0.0; 5];
        f.call_into((&data, &weights), (&mut Array2::<f64>::zeros((5, 4)), &mut sums)).unwrap();
        assert_eq!((sums, f.profile().unwrap().calls), (vec![8.0; 5], 5));
    }
}

#[test]
fn code_that_calls_make_is_part_of_compiling() {
    let x = vector::<f64>("x");
    // A constant of its own, so that no equal kernel's code is found.
    let f = profiled(Device::Cpu).compile([&x], (&x * 1.012_345).tanh().sum(..)).unwrap();
    let emit = || f.profile().unwrap().stages.iter().find(|stage| stage.stage == "emit").unwrap().time;
    let before = emit();
    f.call::<f64>((&[1.0, 2.0],)).unwrap();
    let after = emit();
    assert!(after > before + Duration::from_micros(20), "{before:?} {after:?}");
    f.call::<f64>((&[1.0, 2.0],)).unwrap();
    assert_eq!(emit(), after);
    // Nor is it time of the kernel.
    assert!(f.profile().unwrap().kernels[0].time < after - before, "{}", f.profile().unwrap());
}

#[test]
fn products_and_row_blocks_are_counted() {
    let (x, y) = (matrix::<f32>("x"), matrix::<f32>("y"));
    for (device, _) in HOST {
        let f = profiled(device).compile([&x, &y], x.matmul(&y)).unwrap();
        f.call::<Array>((&Array2::<f32>::ones((3, 5)), &Array2::<f32>::ones((5, 7)))).unwrap();
        assert_eq!(seen(&f), [("matmul", 1, (15 + 35 + 21) * 4)]);
        // Rows two by two: each kernel is launched for each range.
        let largest = x.max_keepdims(1);
        let small = (&x - &largest).exp();
        let softmax = &small / small.sum_keepdims(1);
        let f = profiled(device).row_bytes(200).compile([&x], softmax).unwrap();
        f.call::<Array>((&Array2::<f32>::ones((6, 8)),)).unwrap();
        assert!(seen(&f).iter().all(|(_, calls, _)| *calls > 1), "{}", f.profile().unwrap());
    }
}

#[test]
fn the_interpreter_counts_nodes() {
    let x = vector::<f64>("x");
    let f = profiled(Device::Interpreter).compile([&x], (x.exp() + &x).sum(..)).unwrap();
    f.call::<f64>((&[1.0, 2.0, 3.0],)).unwrap();
    let expected = [("exp", 1, 48), ("add", 1, 72), ("sum", 1, 32)];
    assert_eq!(seen(&f), expected);
    check(&f.profile().unwrap());
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_counts_its_steps() {
    let Some(_) = kroton::backend::gpu::testing::device() else { return };
    let (x, y) = (matrix::<f32>("x"), matrix::<f32>("y"));
    let f = profiled(Device::Gpu).compile([&x, &y], (x.matmul(&y), x.exp().sum(1))).unwrap();
    for _ in 0..3 {
        f.call::<(Array, Vec<f32>)>((&Array2::<f32>::ones((3, 5)), &Array2::<f32>::ones((5, 7)))).unwrap();
    }
    let profile = f.profile().unwrap();
    check(&profile);
    let mut seen = seen(&f);
    seen.sort_unstable();
    let expected = [("matmul", 3, 3 * (15 + 35 + 21) * 4), ("reduce", 3, 3 * (15 + 3) * 4), ("transfer", 3, 0)];
    assert_eq!((seen.as_slice(), profile.device, profile.calls), (expected.as_slice(), "gpu", 3));
}

#[test]
fn a_function_without_a_profile_says_how_to_get_one() {
    let x = vector::<f64>("x");
    for f in [compile([&x], x.exp()).unwrap(), Compiler::new().profile(false).compile([&x], x.exp()).unwrap()] {
        let Err(Error::Argument(text)) = f.profile() else { panic!("{:?}", f.profile()) };
        assert!(text.contains("Compiler::new().profile(true)") && text.contains("KROTON_FLAGS=profile=true"), "{text}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_profile_is_data() {
    let x = vector::<f64>("x");
    let f = profiled(Device::Cpu).compile([&x], &x + 1.0).unwrap();
    f.call::<Vec<f64>>((&[1.0],)).unwrap();
    let data = serde_json::to_value(f.profile().unwrap()).unwrap();
    assert_eq!((&data["function"], &data["calls"]), (&"f".into(), &1.into()));
    assert_eq!((&data["kernels"][0]["class"], &data["kernels"][0]["bytes"]), (&"map".into(), &16.into()));
    assert_eq!(data["stages"][0]["stage"], "intern");
}
