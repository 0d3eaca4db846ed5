//! A GPU for a long time: large arrays in chunks, very many kernels, very many calls. Memory must stay flat: that of the
//! process, of which a software device's is a part, and the number of the device's buffers.
//!
//! Short by default. `KROTON_STRESS=full cargo test --release --test gpu_stress` takes 10⁸ elements, 1,000 kernels and
//! 10,000 calls. A process of its own, so that no other test's memory is counted.

#![cfg(all(feature = "gpu", target_os = "linux"))]

use std::sync::Arc;

use kroton::backend::gpu::{Gpu, testing};
use kroton::{Compiler, Device, DeviceArray, Expr, Function, IntoOutputs, vector};

const MIB: i64 = 1 << 20;

/// How much is done.
struct Amount {
    chunks: usize,
    chunk: usize,
    kernels: usize,
    calls: usize,
}

const SHORT: Amount = Amount { chunks: 10, chunk: 100_000, kernels: 60, calls: 1_000 };
const FULL: Amount = Amount { chunks: 10, chunk: 10_000_000, kernels: 1_000, calls: 10_000 };

/// Memory of this process in bytes.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

fn on_gpu(inputs: &[Expr], outputs: impl IntoOutputs) -> Function {
    Compiler::new().device(Device::Gpu).compile(inputs, outputs).unwrap()
}

/// Runs some work a first time, and again: the second time, memory may not grow by more than so many bytes.
fn stays_flat(name: &str, gpu: &Arc<Gpu>, most: i64, mut work: impl FnMut()) {
    work();
    let (memory, buffers, dispatches) = (resident(), gpu.live_buffers(), gpu.dispatches());
    work();
    let (grown, more) = (resident() - memory, gpu.live_buffers() as i64 - buffers as i64);
    println!("{name}: {} KiB more, {more} buffers more, {} MiB in all", grown >> 10, resident() / MIB);
    assert!(gpu.dispatches() > dispatches, "{name}: nothing ran on the device");
    assert!(grown <= most, "{name}: {grown} bytes more than before");
    assert!(more <= 8, "{name}: {more} buffers more than before");
}

#[test]
fn memory_stays_flat() {
    let Some(gpu) = testing::device() else { return };
    let amount = if std::env::var("KROTON_STRESS").is_ok_and(|value| value == "full") { FULL } else { SHORT };
    chunks(&gpu, &amount);
    calls(&gpu, &amount);
    kernels(&gpu, &amount);
}

/// Sums of chunks of one large sequence, each uploaded, kept on the device for a second call, and forgotten.
fn chunks(gpu: &Arc<Gpu>, amount: &Amount) {
    let x = vector::<f32>("x");
    let f = on_gpu(std::slice::from_ref(&x), ((&x * &x).sum(..), &x * 2.0));
    let sums = on_gpu(std::slice::from_ref(&x), x.sum(..));
    let mut data = vec![0.0_f32; amount.chunk];
    stays_flat("chunks", gpu, 64 * MIB, || {
        let (mut squares, mut doubled, mut exact) = (0.0, 0.0, [0.0; 2]);
        for chunk in 0..amount.chunks {
            for (i, x) in data.iter_mut().enumerate() {
                *x = ((chunk + i) % 1000) as f32 * 0.001;
            }
            let (square, twice): (f32, DeviceArray) = f.call((&data,)).unwrap();
            squares += f64::from(square);
            doubled += f64::from(sums.call::<f32>((&twice,)).unwrap());
            exact[0] += data.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            exact[1] += data.iter().map(|&x| 2.0 * f64::from(x)).sum::<f64>();
        }
        for (sum, exact) in [squares, doubled].into_iter().zip(exact) {
            assert!((sum - exact).abs() <= 1e-6 * exact, "{sum} {exact}");
        }
    });
}

/// Very many calls, of changing sizes, with arrays of the host and of the device.
fn calls(gpu: &Arc<Gpu>, amount: &Amount) {
    let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
    let f = on_gpu(&[x.clone(), y.clone()], (&x * &y + 1.0, x.max(..)));
    let data: Vec<f32> = (0..5000).map(|i| i as f32).collect();
    stays_flat("calls", gpu, 16 * MIB, || {
        for call in 0..amount.calls {
            let xs = &data[..1 + (call * 37) % 4999];
            let (ys, top): (DeviceArray, f32) = f.call((xs, xs)).unwrap();
            assert_eq!(top, *xs.last().unwrap());
            if call % 16 == 0 {
                let (zs, _): (Vec<f32>, f32) = f.call((&ys, xs)).unwrap();
                assert_eq!(zs.last(), Some(&((top * top + 1.0) * top + 1.0)));
            }
        }
    });
}

/// Very many kernels, each with its own text. The device remembers a bounded number of them, so the second half may take
/// as much as that.
fn kernels(gpu: &Arc<Gpu>, amount: &Amount) {
    // What a driver keeps of a small shader.
    const SHADER: i64 = 512 << 10;
    let x = vector::<f32>("x");
    let mut made = 0;
    let half = amount.kernels / 2;
    stays_flat("kernels", gpu, half as i64 * SHADER, || {
        for _ in 0..half {
            made += 1;
            // Another constant is another text.
            let f = on_gpu(std::slice::from_ref(&x), (&x + made as f32) * 3.0);
            assert_eq!(f.call::<Vec<f32>>((&[1.0_f32, 2.0],)).unwrap(), [1, 2].map(|i| (i + made) as f32 * 3.0));
        }
    });
    assert_eq!(made, 2 * half);
}
