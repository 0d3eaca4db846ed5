//! Tests of the CPU engine: kernels built by hand, run on slices, against the op table's scalar functions.

mod columns;
mod engine;
mod forms;
mod loops;
mod maps;
mod ops;
mod quotients;
mod reductions;
mod roots;
mod stepped;
mod steps;
mod targets;

use smallvec::SmallVec;

use super::{InstructionSet, engine as cpu};
use crate::backend::{Executable, Parallelism, Pool};
use crate::dtype::{DType, Scalar, with_element};
use crate::loops::{
    Access, Axis, Base, Binding, Block, Kernel, Launch, Nest, Operand, OperandId, Operation, Statement, ValueId,
};
use std::sync::Arc;

/// A kernel that is being built.
struct Build {
    kernel: Kernel,
    block: Block,
}

impl Build {
    fn new(axes: u32) -> Build {
        let kernel = Kernel { name: "test".into(), axes, operands: vec![], types: vec![], body: vec![] };
        Build { kernel, block: Block::default() }
    }

    fn operand(&mut self, dtype: DType, access: Access) -> OperandId {
        self.kernel.operands.push(Operand { dtype, access });
        OperandId(self.kernel.operands.len() as u32 - 1)
    }

    fn define(&mut self, dtype: DType, operation: Operation) -> ValueId {
        let value = self.kernel.new_value(dtype);
        self.block.statements.push(Statement::Let(value, operation));
        value
    }

    fn read(&mut self, dtype: DType) -> ValueId {
        let operand = self.operand(dtype, Access::Read);
        self.define(dtype, Operation::Load(operand))
    }

    fn write(&mut self, value: ValueId) {
        let operand = self.operand(self.kernel.ty(value), Access::Write);
        self.block.statements.push(Statement::Store(operand, value));
    }

    fn take_block(&mut self) -> Block {
        std::mem::take(&mut self.block)
    }

    /// The map of the block over all axes.
    fn map(mut self) -> Kernel {
        let body = vec![Nest::Block(self.take_block())];
        self.kernel.body = vec![Nest::Map { axes: (0..self.kernel.axes).map(Axis).collect(), body }];
        self.kernel
    }
}

/// Elements in memory, by their bytes.
#[derive(Debug, Clone)]
struct Memory {
    dtype: DType,
    words: Vec<u64>,
    length: usize,
}

impl Memory {
    fn of(dtype: DType, elements: &[Scalar]) -> Memory {
        let mut memory = Memory { dtype, words: vec![0; elements.len() + 8], length: elements.len() };
        elements.iter().enumerate().for_each(|(index, &element)| memory.set(index, element));
        memory
    }

    fn zeros(dtype: DType, length: usize) -> Memory {
        Memory::of(dtype, &vec![Scalar::I64(0).cast(dtype); length])
    }

    fn address(&self) -> *mut u8 {
        self.words.as_ptr().cast_mut().cast()
    }

    fn bytes(&mut self) -> &mut [u8] {
        let length = self.words.len() * 8;
        // SAFETY: the words are so many initialized bytes, borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), length) }
    }

    fn set(&mut self, index: usize, element: Scalar) {
        let size = self.dtype.size();
        assert_eq!(element.dtype(), self.dtype);
        self.bytes()[index * size..(index + 1) * size].copy_from_slice(&element.bits().to_le_bytes()[..size]);
    }

    fn get(&self, index: usize) -> Scalar {
        let size = self.dtype.size();
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&self.clone().bytes()[index * size..(index + 1) * size]);
        if self.dtype == DType::Bool {
            assert!(bytes[0] < 2, "a stored bool is 0 or 1");
        }
        Scalar::from_bits(self.dtype, u64::from_le_bytes(bytes))
    }

    fn all(&self) -> Vec<Scalar> {
        let mut copy = self.clone();
        let size = self.dtype.size();
        let bytes = copy.bytes();
        let element = |index: usize| {
            let mut word = [0; 8];
            word[..size].copy_from_slice(&bytes[index * size..(index + 1) * size]);
            assert!(self.dtype != DType::Bool || word[0] < 2, "a stored bool is 0 or 1");
            Scalar::from_bits(self.dtype, u64::from_le_bytes(word))
        };
        (0..self.length).map(element).collect()
    }

    /// Bound from an element on, with strides in elements.
    fn bind(&self, first: isize, strides: &[isize]) -> Binding {
        let size = self.dtype.size() as isize;
        let base = Base::Host(self.address().wrapping_offset(first * size));
        Binding { base, strides: strides.iter().map(|stride| stride * size).collect() }
    }
}

fn positions(first: i64, strides: &[isize]) -> Binding {
    Binding { base: Base::Position(first), strides: SmallVec::from_slice(strides) }
}

fn prepare(kernel: Kernel) -> Arc<dyn Executable> {
    prepare_for(InstructionSet::Native, kernel)
}

fn prepare_for(set: InstructionSet, kernel: Kernel) -> Arc<dyn Executable> {
    cpu(set).unwrap().prepare(kernel).unwrap()
}

/// The instruction sets that this processor has; those whose code it makes by default are the first.
fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|&set| cpu(set).is_ok())
}

fn launch(executable: &Arc<dyn Executable>, extents: &[usize], bindings: &[Binding]) {
    launch_with(executable, extents, bindings, &Parallelism::default());
}

fn launch_with(executable: &Arc<dyn Executable>, extents: &[usize], bindings: &[Binding], parallelism: &Parallelism) {
    // SAFETY: the tests bind memory that is large enough.
    unsafe { executable.launch(&Launch::new(extents, bindings), parallelism) }.unwrap();
}

fn threads(count: usize) -> Parallelism {
    Parallelism { pool: Some(Arc::new(Pool::new(count))), threshold: Some(1) }
}

/// Equal bits, or both NaN.
fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype() == b.dtype() && a.is_nan() && b.is_nan())
}

/// Values at the edges of a dtype.
fn nasty(dtype: DType) -> Vec<Scalar> {
    if dtype == DType::Bool {
        return [false, true, true, false, true].map(Scalar::Bool).to_vec();
    }
    let mut values: Vec<Scalar> = match dtype {
        DType::F32 => {
            let specials = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, 1e-45, -1e-45];
            let more =
                [f32::MAX, f32::MIN, 16777217.0, 4294967040.0, 4294967296.0, 2147483520.0, 2147483648.0, -2147483648.0];
            specials.into_iter().chain(more).map(Scalar::F32).collect()
        }
        DType::F64 => {
            let specials = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE, 5e-324, -5e-324];
            let more = [f64::MAX, f64::MIN, 9007199254740993.0, 4294967295.5, 4294967296.0, 2147483647.5, 2147483648.0];
            let large = [
                -2147483648.5,
                -2147483649.0,
                1.8446744073709552e19,
                9.223372036854776e18,
                -9.223372036854776e18,
                1e300,
            ];
            specials.into_iter().chain(more).chain(large).map(Scalar::F64).collect()
        }
        _ => {
            let edges = [i64::MIN, i64::MAX, -1, 0, 1, i64::MAX - 1, 9007199254740993, 16777217, -16777217];
            edges.into_iter().map(|edge| Scalar::I64(edge).cast(dtype)).collect()
        }
    };
    let numbers = [0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.0, 2.5, -2.5, 3.0, 7.0, -7.0, 8.0, 31.0, 32.0, 63.0, 64.0];
    let bytes = [100.0, 127.0, 128.0, -128.0, -129.0, 200.5, 254.5, 255.0, 255.5, 256.0, 1e5, -1e5, 123456789.0];
    values.extend(numbers.into_iter().chain(bytes).map(|number| Scalar::F64(number).cast(dtype)));
    values
}

/// Some values, different ones for each seed.
fn sample(dtype: DType, length: usize, seed: u64) -> Vec<Scalar> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let number = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64 * 200.0 - 100.0;
    (0..length)
        .map(|_| {
            if dtype.is_float() {
                Scalar::F64(number(next())).cast(dtype)
            } else {
                Scalar::from_bits(dtype, next() >> 3)
            }
        })
        .collect()
}

/// What a processor lacks is refused by name, and what every processor has is there.
#[test]
fn instruction_sets_are_there_or_refused() {
    assert!(sets().any(|set| set == InstructionSet::Native) && sets().any(|set| set == InstructionSet::Baseline));
    #[cfg(target_arch = "x86_64")]
    {
        let has_avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
        let has_avx512 = has_avx2 && std::is_x86_feature_detected!("avx512bw");
        for (set, has) in [(InstructionSet::Avx2, has_avx2), (InstructionSet::Avx512, has_avx512)] {
            match cpu(set) {
                Ok(engine) => assert!(has && engine.target().has_fma, "{set:?}"),
                Err(error) => assert!(!has && error.to_string().contains(&format!("{set:?}")), "{error}"),
            }
        }
        assert!(!cpu(InstructionSet::Baseline).unwrap().target().has_fma);
    }
}

/// The size of an element, checked against Rust's.
#[test]
fn memory_keeps_elements() {
    for dtype in DType::ALL {
        let values = nasty(dtype);
        let memory = Memory::of(dtype, &values);
        assert!(memory.all().iter().zip(&values).all(|(a, b)| same(*a, *b)), "{dtype}");
        assert!(with_element!(dtype, T => std::mem::size_of::<T>()) == dtype.size());
    }
}
