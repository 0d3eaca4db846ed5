//! Launches on a device against the loop interpreter, bit for bit, on the device as it is and with its limits lowered.

use smallvec::SmallVec;

use crate::backend::gpu::emit::layout::{Role, Variant, reductions};
use crate::backend::gpu::kernel::{GpuBase, GpuKernel, GpuOperand};
use crate::backend::gpu::product::GpuProduct;
use crate::backend::gpu::testing;
use crate::dtype::{DType, Scalar};
use crate::loops::samples::{binary, block, collatz, load, operands, powers, row_sums, store, sums};
use crate::loops::{Access, Axis, Base, Binding, Kernel, Launch, Nest, ShaderLimits, Target, interpret};
use crate::ops::BinaryOp;

/// An operand on the host: its elements, and how the kernel walks them.
#[derive(Debug, Clone)]
pub(super) struct Data {
    bytes: Vec<u8>,
    offset: i64,
    strides: Vec<i64>,
}

impl Data {
    pub(super) fn new(dtype: DType, count: usize, offset: i64, strides: &[i64], value: impl Fn(usize) -> i64) -> Data {
        let element = |i| Scalar::I64(value(i)).cast(dtype).bits().to_le_bytes()[..dtype.size()].to_vec();
        Data { bytes: (0..count).flat_map(element).collect(), offset, strides: strides.to_vec() }
    }
}

fn interpreted(kernel: &Kernel, extents: &[usize], data: &[Data]) -> Vec<Vec<u8>> {
    // Aligned for every dtype.
    let mut memory: Vec<Vec<u64>> = data.iter().map(|x| vec![0; x.bytes.len() / 8 + 1]).collect();
    for (words, x) in memory.iter_mut().zip(data) {
        for (i, byte) in x.bytes.iter().enumerate() {
            words[i / 8] |= u64::from(*byte) << (8 * (i % 8));
        }
    }
    let binding = |((words, x), operand): ((&mut Vec<u64>, &Data), &crate::loops::Operand)| {
        let size = operand.dtype.size() as isize;
        let strides = x.strides.iter().map(|stride| *stride as isize);
        match operand.access {
            Access::Index => Binding { base: Base::Position(x.offset), strides: strides.collect() },
            Access::Read | Access::Write => Binding {
                base: Base::Host(words.as_mut_ptr().cast::<u8>().wrapping_offset(x.offset as isize * size)),
                strides: strides.map(|stride| stride * size).collect(),
            },
        }
    };
    let bindings: Vec<Binding> = memory.iter_mut().zip(data).zip(&kernel.operands).map(binding).collect();
    // SAFETY: the tests give operands whose elements all lie in their memory.
    unsafe { interpret::run(kernel, &Launch::new(extents, &bindings)).unwrap() };
    let bytes = memory.iter().zip(data);
    bytes.map(|(words, x)| words.iter().flat_map(|word| word.to_le_bytes()).take(x.bytes.len()).collect()).collect()
}

fn on_device(kernel: &GpuKernel, extents: &[usize], data: &[Data]) -> Option<Vec<Vec<u8>>> {
    let gpu = testing::device()?;
    let before = gpu.dispatches();
    let memory: Vec<_> = data.iter().map(|x| gpu.upload(&x.bytes).unwrap()).collect();
    let operand = |((memory, x), operand): ((_, &Data), &crate::loops::Operand)| GpuOperand {
        base: if operand.access == Access::Index { GpuBase::Position } else { GpuBase::Memory(memory) },
        offset: x.offset,
        strides: SmallVec::from_slice(&x.strides),
    };
    let operands: Vec<_> = memory.iter().zip(data).zip(&kernel.kernel().operands).map(operand).collect();
    let mut recorder = gpu.recorder();
    kernel.record(&mut recorder, extents, &operands).unwrap();
    let readings: Vec<_> = memory.iter().map(|memory| recorder.read(memory).unwrap()).collect();
    recorder.submit().unwrap();
    assert!(gpu.dispatches() > before || extents.contains(&0), "nothing was dispatched");
    let mut results = Vec::new();
    for (reading, x) in readings.into_iter().zip(data) {
        let mut bytes = vec![0; x.bytes.len()];
        recorder.fetch(reading, &mut bytes).unwrap();
        results.push(bytes);
    }
    Some(results)
}

/// The device as it is, without what not all have, and with little of everything.
pub(super) fn targets() -> Vec<Target> {
    let Some(gpu) = testing::device() else { return Vec::new() };
    let own = gpu.target().clone();
    let limits = own.shaders.unwrap();
    let pairs = ShaderLimits { has_i64: false, subgroup: 1, ..limits };
    let small = ShaderLimits { storage_buffers: 3, invocations: 64, binding_bytes: 256 << 10, groups: 16, ..pairs };
    // As if other devices had smaller subgroups than this one.
    let narrow = ShaderLimits { subgroup: limits.subgroup.min(4), invocations: 32, ..limits };
    vec![own, Target::gpu(pairs, false), Target::gpu(small, false), Target::gpu(narrow, false)]
}

pub(super) fn check(name: &str, kernel: &Kernel, extents: &[usize], data: &[Data]) {
    let expected = interpreted(kernel, extents, data);
    for target in targets() {
        if kernel.types.iter().all(|dtype| target.computes(*dtype)) {
            let kernel = GpuKernel::new(kernel.clone(), &target).unwrap();
            let Some(got) = on_device(&kernel, extents, data) else { return };
            for (operand, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let first = got.iter().zip(expected).position(|(a, b)| a != b);
                assert_eq!(first, None, "{name}: operand {operand} differs at this byte, on {target:?}");
            }
        }
    }
}

fn elementwise(dtype: DType, op: BinaryOp, axes: u32) -> Kernel {
    let statements = [load(0, 0), load(1, 1), binary(2, op, 0, 1), store(2, 2)];
    Kernel {
        name: format!("{op}_{dtype}"),
        axes,
        operands: operands(dtype, 2, 1),
        types: vec![dtype; 3],
        body: vec![Nest::Map { axes: (0..axes).map(Axis).collect(), body: vec![Nest::Block(block(statements))] }],
    }
}

#[test]
fn maps_of_every_dtype_and_layout() {
    for dtype in DType::ALL {
        let op = if dtype == DType::Bool { BinaryOp::Xor } else { BinaryOp::Sub };
        let value = |i: usize| (i as i64 * 7919) % 251 - 100;
        for n in [1, 3, 4, 5, 255, 5000] {
            let data = [
                Data::new(dtype, n, 0, &[1], value),
                Data::new(dtype, 2 * n, 2 * n as i64 - 1, &[-2], value),
                Data::new(dtype, n, 0, &[1], |_| 0),
            ];
            check(&format!("{dtype} {n}"), &elementwise(dtype, op, 1), &[n], &data);
        }
        let (rows, columns) = (37, 61);
        let data = [
            Data::new(dtype, rows * columns, 0, &[1, rows as i64], value),
            Data::new(dtype, columns, 0, &[0, 1], value),
            Data::new(dtype, rows * columns + 7, 5, &[columns as i64, 1], |_| 1),
        ];
        check(&format!("{dtype} transposed"), &elementwise(dtype, op, 2), &[rows, columns], &data);
    }
}

#[test]
fn steps_and_while_loops() {
    let n = 700;
    let steps = 13;
    let data = [
        Data::new(DType::I64, n, 0, &[1, 0], |i| i as i64 - 300),
        Data::new(DType::I64, n, 0, &[1, 0], |_| 0),
        Data::new(DType::I64, n * steps, 0, &[steps as i64, 1], |_| 0),
    ];
    check("powers", &powers(), &[n, steps], &data);
    let data = [Data::new(DType::I64, n, 0, &[1], |i| i as i64 + 1), Data::new(DType::I64, n, 0, &[1], |_| 0)];
    check("collatz", &collatz(), &[n], &data);
}

fn sums_of(dtype: DType) -> Kernel {
    let mut kernel = sums(BinaryOp::Add, Scalar::I64(0).cast(dtype));
    kernel.operands.iter_mut().for_each(|operand| operand.dtype = dtype);
    kernel.types.fill(dtype);
    kernel
}

#[test]
fn reductions_of_every_size_and_layout() {
    let kernels = [row_sums(), sums_of(DType::F32), sums_of(DType::I64), sums_of(DType::U8)];
    for kernel in kernels {
        let dtype = kernel.types[0];
        let value = |i: usize| (i as i64 * 7919) % 23;
        let sizes = [(1, 0), (3, 1), (5, 16), (2, 17), (1, 1023), (3, 1024), (2, 1025), (1, 9000), (1, 300_000)];
        for (rows, columns) in sizes {
            let result = Data::new(dtype, rows, 0, &[1, 0], |_| 0);
            let by_rows = Data::new(dtype, rows * columns, 0, &[columns as i64, 1], value);
            check(&format!("{dtype} rows {rows} {columns}"), &kernel, &[rows, columns], &[by_rows, result.clone()]);
            let by_columns = Data::new(dtype, rows * columns, 0, &[1, rows as i64], value);
            check(&format!("{dtype} columns {rows} {columns}"), &kernel, &[rows, columns], &[by_columns, result]);
        }
        let (rows, columns) = (30, 2100);
        let result = Data::new(dtype, rows, 0, &[1, 0], |_| 0);
        let data = [Data::new(dtype, rows * columns, 0, &[1, rows as i64], value), result];
        check(&format!("{dtype} many columns"), &kernel, &[rows, columns], &data);
    }
}

#[test]
fn products_are_their_loops() {
    let sizes = [(1, 1, 1, 1), (1, 3, 0, 2), (2, 5, 7, 3), (1, 70, 33, 65), (3, 64, 64, 64), (1, 130, 5, 67)];
    for target in targets() {
        for dtype in [DType::F32, DType::I64, DType::Bool, DType::F64].into_iter().filter(|x| target.computes(*x)) {
            for (batches, rows, inner, columns) in sizes {
                product(&target, dtype, [batches, rows, inner, columns]);
            }
        }
    }
}

/// Several dispatches, and more rounds of its loops than an invocation has on some drivers.
#[test]
fn products_over_a_long_inner_axis() {
    for target in targets() {
        let memory = target.shaders.unwrap().binding_bytes;
        for dtype in [DType::I32, DType::I64, DType::Bool] {
            for (batches, rows, inner, columns) in [(1, 2, 16_384, 3), (1, 2, 16_385, 1), (2, 1, 70_000, 2)] {
                if (rows.max(columns) * inner * dtype.size()) as u64 <= memory / 2 {
                    product(&target, dtype, [batches, rows, inner, columns]);
                }
            }
        }
    }
}

/// Numbers wrap in shaders, so that a launch that needs larger ones must not be.
#[test]
fn what_has_more_elements_than_words_count_is_an_error() {
    let Some(gpu) = testing::device() else { return };
    let target = Target::gpu(gpu.target().shaders.unwrap(), false);
    let kernel = GpuKernel::new(sums_of(DType::I32), &target).unwrap();
    let product = GpuProduct::new(DType::I32, "product", &target).unwrap();
    let memory = gpu.allocate(4).unwrap();
    let operand =
        || GpuOperand { base: GpuBase::Memory(&memory), offset: 0, strides: SmallVec::from_slice(&[0, 0, 0]) };
    let says = |result: crate::error::Result<()>| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("a GPU numbers at most") && error.contains("Device::Cpu"), "{error}");
    };
    // All of these repeat one element.
    for many in [70_000 * 70_000, (1 << 32) + 5, (1 << 32) - 5, (1 << 32) - 1024, usize::MAX] {
        says(kernel.record(&mut gpu.recorder(), &[1, many], &[operand(), operand()]));
        says(kernel.record(&mut gpu.recorder(), &[many, 1], &[operand(), operand()]));
        says(product.record(&mut gpu.recorder(), [1, 1, many, 1], &operand(), &operand(), &[operand()]));
    }
    // Of nothing there is nothing to number.
    kernel.record(&mut gpu.recorder(), &[0, usize::MAX], &[operand(), operand()]).unwrap();
}

fn product(target: &Target, dtype: DType, sizes: [usize; 4]) {
    let [batches, rows, inner, columns] = sizes;
    let value = |i: usize| (i as i64 * 7919) % 17 - 8;
    let row_major = |a: usize, b: usize| [(a * b) as i64, b as i64, 1];
    let left = Data::new(dtype, batches * rows * inner, 0, &row_major(rows, inner), value);
    // The right matrix is transposed in memory.
    let right = Data::new(dtype, batches * inner * columns, 0, &[(inner * columns) as i64, 1, inner as i64], value);
    let result = Data::new(dtype, batches * rows * columns, 0, &row_major(rows, columns), |_| 0);
    let product = GpuProduct::new(dtype, "product", target).unwrap();
    let walked = |x: &Data, axes: [Option<usize>; 4]| Data {
        strides: axes.iter().map(|axis| axis.map_or(0, |axis| x.strides[axis])).collect(),
        ..x.clone()
    };
    let data = [
        walked(&left, [Some(0), Some(1), None, Some(2)]),
        walked(&right, [Some(0), None, Some(2), Some(1)]),
        walked(&result, [Some(0), Some(1), Some(2), None]),
    ];
    let expected = interpreted(product.kernel().kernel(), &[batches, rows, columns, inner], &data);
    let Some(gpu) = testing::device() else { return };
    let memory = [&left, &right, &result].map(|x| gpu.upload(&x.bytes).unwrap());
    let [left, right, out] = [0, 1, 2].map(|index| GpuOperand {
        base: GpuBase::Memory(&memory[index]),
        offset: 0,
        strides: SmallVec::from_slice(&[&left, &right, &result][index].strides),
    });
    let mut recorder = gpu.recorder();
    product.record(&mut recorder, sizes, &left, &right, &[out]).unwrap();
    let reading = recorder.read(&memory[2]).unwrap();
    recorder.submit().unwrap();
    let mut bytes = vec![0; result.bytes.len()];
    recorder.fetch(reading, &mut bytes).unwrap();
    assert_eq!(bytes, expected[2], "{dtype} {sizes:?} on {target:?}");
}

#[test]
fn an_access_that_no_window_holds_is_an_error_with_the_limit() {
    let Some(gpu) = testing::device() else { return };
    let limits = ShaderLimits { binding_bytes: 256, ..gpu.target().shaders.unwrap() };
    let kernel = GpuKernel::new(sums_of(DType::I32), &Target::gpu(limits, false)).unwrap();
    let memory = [gpu.allocate(4 * 300 * 50).unwrap(), gpu.allocate(4).unwrap()];
    let operand = |index: usize, strides: &[i64]| GpuOperand {
        base: GpuBase::Memory(&memory[index]),
        offset: 0,
        strides: SmallVec::from_slice(strides),
    };
    let operands = [operand(0, &[1, 50]), operand(1, &[1, 0])];
    let error = kernel.record(&mut gpu.recorder(), &[1, 300], &operands).unwrap_err().to_string();
    assert!(error.contains("256 bytes") && error.contains("Device::Cpu"), "{error}");
    assert!(reductions(kernel.kernel()).is_some());
    let variant = Variant { role: Role::Direct, outer: 0, reduced: 1, results_first: false };
    assert!(kernel.emitted(variant).unwrap().shader.source.contains("workgroupBarrier"));
}
