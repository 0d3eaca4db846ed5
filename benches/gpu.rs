//! The GPU engine beside the CPU engine, and beside what the device can do at best.
//!
//! `cargo bench --bench gpu`, with `-- --elements 100000000` for other sizes. For each program: the time of the CPU
//! engine, of the GPU with uploads and downloads, and of the GPU alone with arrays that stay there; the last beside a
//! copy of as many bytes on the device, and for the π hit test beside a shader written by hand. f32; times are medians of
//! runs that alternate.

use std::sync::Arc;
use std::time::Instant;

use kroton::backend::gpu::{DeviceMemory, Gpu, Pipeline, Range, Selection, Shader, ShaderAccess, choose, open};
use kroton::{Compiler, Device, DeviceArray, Error, Function, Result, matrix, vector};

/// How often a run is repeated before it is waited for, so that waiting is a small part of it.
const REPEATS: usize = 10;

fn main() -> Result<()> {
    let gpu = match choose(&Selection::Default).and_then(|adapter| open(&adapter)) {
        Ok(gpu) => gpu,
        Err(Error::Device(reason)) => {
            println!("{reason}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let n = argument("--elements").unwrap_or(10_000_000);
    let runs = argument("--runs").unwrap_or(7);
    println!("{} beside this CPU; f32, {n} elements, median of {runs} runs\n", gpu.adapter());
    println!("{:<22}{:>12}{:>16}{:>12}{:>12}{:>12}", "", "CPU", "GPU+transfers", "GPU", "GB/s", "of a copy");
    let bench = Bench { gpu: &gpu, n, runs, copy: copy_rate(&gpu, n, runs)? };
    bench.elementwise()?;
    bench.hit_test()?;
    bench.sum()?;
    bench.softmax()?;
    bench.matmul()?;
    println!("\na copy on the device moves {:.1} GB/s, counting both directions", bench.copy / 1e9);
    Ok(())
}

/// The number after an option.
fn argument(name: &str) -> Option<usize> {
    std::env::args().skip_while(|argument| argument != name).nth(1)?.parse().ok()
}

struct Bench<'a> {
    gpu: &'a Arc<Gpu>,
    n: usize,
    runs: usize,
    /// Bytes per second.
    copy: f64,
}

/// The same function for both engines.
fn both(compile: impl Fn(Compiler) -> Result<Function>) -> Result<[Function; 2]> {
    Ok([compile(Compiler::new())?, compile(Compiler::new().device(Device::Gpu))?])
}

/// Numbers of [−1, 1).
fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn seconds(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Waits for everything that was submitted before: reads some bytes that come last.
fn finish(gpu: &Arc<Gpu>) -> Result<()> {
    let memory = gpu.allocate(4)?;
    let mut recorder = gpu.recorder();
    let reading = recorder.read(&memory)?;
    recorder.submit()?;
    recorder.fetch(reading, &mut [0; 4])
}

fn copy_rate(gpu: &Arc<Gpu>, n: usize, runs: usize) -> Result<f64> {
    let [from, to] = [gpu.allocate(4 * n)?, gpu.allocate(4 * n)?];
    let run = || {
        for _ in 0..REPEATS {
            let mut recorder = gpu.recorder();
            recorder.copy(&from, 0, &to, 0, 4 * n as u64)?;
            recorder.submit()?;
        }
        finish(gpu)
    };
    run()?;
    let times = (0..runs).map(|_| seconds(run)).collect::<Result<Vec<f64>>>()?;
    Ok((2 * 4 * n * REPEATS) as f64 / median(times))
}

impl Bench<'_> {
    fn elementwise(&self) -> Result<()> {
        let (a, b) = (vector::<f32>("a"), vector::<f32>("b"));
        let functions = both(|compiler| compiler.compile([&a, &b], &a * &a + &b * &b))?;
        let (a, b) = (random(self.n, 1), random(self.n, 2));
        let mut out = vec![0.0_f32; self.n];
        let (on_a, on_b) = (DeviceArray::upload(&a)?, DeviceArray::upload(&b)?);
        let [cpu, gpu] = &functions;
        let times = self.interleave(
            || cpu.call_into((&a, &b), (&mut out,)),
            || gpu.call::<kroton::Array>((&a, &b)).map(drop),
            || gpu.call::<DeviceArray>((&on_a, &on_b)).map(drop),
        )?;
        self.row("a² + b²", times, 12 * self.n);
        Ok(())
    }

    fn hit_test(&self) -> Result<()> {
        let (x, y) = (vector::<f32>("x"), vector::<f32>("y"));
        let hits = (&x * &x + &y * &y).lt(1.0).sum(..);
        let functions = both(|compiler| compiler.compile([&x, &y], &hits))?;
        let (x, y) = (random(self.n, 3), random(self.n, 4));
        let (on_x, on_y) = (DeviceArray::upload(&x)?, DeviceArray::upload(&y)?);
        let [cpu, gpu] = &functions;
        let times = self.interleave(
            || cpu.call::<i64>((&x, &y)).map(drop),
            || gpu.call::<i64>((&x, &y)).map(drop),
            || gpu.call::<DeviceArray>((&on_x, &on_y)).map(drop),
        )?;
        self.row("π hit test", times, 8 * self.n);
        let by_hand = self.hit_test_by_hand(&x, &y)?;
        println!(
            "{:<22}{:>52}",
            "  as a shader by hand",
            format!("{} (ratio {:.2})", time(by_hand), times[2] / by_hand)
        );
        Ok(())
    }

    fn sum(&self) -> Result<()> {
        let x = vector::<f32>("x");
        let [cpu, gpu] = both(|compiler| compiler.compile([&x], x.sum(..)))?;
        let x = random(self.n, 5);
        let on_x = DeviceArray::upload(&x)?;
        let times = self.interleave(
            || cpu.call::<f32>((&x,)).map(drop),
            || gpu.call::<f32>((&x,)).map(drop),
            || gpu.call::<DeviceArray>((&on_x,)).map(drop),
        )?;
        self.row("sum", times, 4 * self.n);
        Ok(())
    }

    fn softmax(&self) -> Result<()> {
        let columns = 1000;
        let shape = (self.n / columns, columns);
        let x = matrix::<f32>("x");
        let [cpu, gpu] = both(|compiler| compiler.compile([&x], x.softmax(1)))?;
        let host = random(shape.0 * shape.1, 6);
        let x = ndarray::ArrayView2::from_shape(shape, &host).map_err(|error| Error::Shape(error.to_string()))?;
        let on_x = DeviceArray::upload(x)?;
        let times = self.interleave(
            || cpu.call::<kroton::Array>((&x,)).map(drop),
            || gpu.call::<kroton::Array>((&x,)).map(drop),
            || gpu.call::<DeviceArray>((&on_x,)).map(drop),
        )?;
        self.row("softmax of rows", times, 8 * host.len());
        Ok(())
    }

    fn matmul(&self) -> Result<()> {
        let size = 1024;
        let (x, y) = (matrix::<f32>("x"), matrix::<f32>("y"));
        let [cpu, gpu] = both(|compiler| compiler.compile([&x, &y], x.matmul(&y).relu()))?;
        let host = random(size * size, 7);
        let x =
            ndarray::ArrayView2::from_shape((size, size), &host).map_err(|error| Error::Shape(error.to_string()))?;
        let on_x = DeviceArray::upload(x)?;
        let times = self.interleave(
            || cpu.call::<kroton::Array>((&x, &x)).map(drop),
            || gpu.call::<kroton::Array>((&x, &x)).map(drop),
            || gpu.call::<DeviceArray>((&on_x, &on_x)).map(drop),
        )?;
        self.row("relu(x · y), 1024", times, 12 * size * size);
        println!("{:<22}{:>52}", "", format!("{:.1} GFLOP/s", 2.0 * (size as f64).powi(3) / times[2] / 1e9));
        Ok(())
    }

    /// Seconds of the CPU, of the GPU with transfers, and of the GPU alone.
    fn interleave(
        &self,
        mut cpu: impl FnMut() -> Result<()>,
        mut transfers: impl FnMut() -> Result<()>,
        mut resident: impl FnMut() -> Result<()>,
    ) -> Result<[f64; 3]> {
        let mut times = [const { Vec::new() }; 3];
        for run in 0..=self.runs {
            let cpu = seconds(&mut cpu)?;
            let transfers = seconds(&mut transfers)?;
            let repeated = seconds(|| {
                (0..REPEATS).try_for_each(|_| resident())?;
                finish(self.gpu)
            })?;
            // The first one compiles.
            if run > 0 {
                let all = [cpu, transfers, repeated / REPEATS as f64];
                times.iter_mut().zip(all).for_each(|(times, time)| times.push(time));
            }
        }
        Ok(times.map(median))
    }

    fn row(&self, name: &str, [cpu, transfers, resident]: [f64; 3], bytes: usize) {
        let rate = bytes as f64 / resident;
        let (cpu, transfers, resident) = (time(cpu), time(transfers), time(resident));
        let (rate, share) = (format!("{:.1}", rate / 1e9), format!("{:.0} %", 100.0 * rate / self.copy));
        println!("{name:<22}{cpu:>12}{transfers:>16}{resident:>12}{rate:>12}{share:>12}");
    }

    fn hit_test_by_hand(&self, x: &[f32], y: &[f32]) -> Result<f64> {
        let upload =
            |values: &[f32]| self.gpu.upload(&values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let (x, y, hits) = (upload(x)?, upload(y)?, self.gpu.upload(&[0; 4])?);
        let shader = Shader {
            source: HIT_TEST.to_string(),
            buffers: vec![ShaderAccess::Read, ShaderAccess::Read, ShaderAccess::ReadWrite],
            words: 4,
        };
        let pipeline = self.gpu.pipeline(&shader)?;
        let run = || {
            for _ in 0..REPEATS {
                self.dispatch_by_hand(&pipeline, &x, &y, &hits)?;
            }
            finish(self.gpu)
        };
        run()?;
        let times = (0..self.runs).map(|_| seconds(run)).collect::<Result<Vec<f64>>>()?;
        Ok(median(times) / REPEATS as f64)
    }

    fn dispatch_by_hand(
        &self,
        pipeline: &Arc<Pipeline>,
        x: &DeviceMemory,
        y: &DeviceMemory,
        hits: &DeviceMemory,
    ) -> Result<()> {
        let mut recorder = self.gpu.recorder();
        let range = |memory| Range { memory, offset: 0, bytes: 4 * self.n as u64 };
        let ranges = [range(x), range(y), Range { memory: hits, offset: 0, bytes: 4 }];
        let groups = self.n.div_ceil(256 * 16).min(65_535) as u32;
        recorder.dispatch(pipeline, &[self.n as u32, groups * 256, 0, 0], &ranges, [groups, 1, 1])?;
        recorder.submit()
    }
}

/// What one would write for this test alone: strides over the points, a count for each workgroup, one atomic addition.
const HIT_TEST: &str = "
@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> hits: atomic<u32>;
var<workgroup> total: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var count = 0u;
    for (var i = id.x; i < params.x; i += params.y) {
        count += select(0u, 1u, x[i] * x[i] + y[i] * y[i] < 1.0);
    }
    if (thread == 0u) {
        atomicStore(&total, 0u);
    }
    workgroupBarrier();
    atomicAdd(&total, count);
    workgroupBarrier();
    if (thread == 0u) {
        atomicAdd(&hits, atomicLoad(&total));
    }
}
";

/// Three digits with a unit.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}
