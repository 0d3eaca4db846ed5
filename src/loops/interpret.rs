//! A kernel run as it is written, one element at a time.
//!
//! The second check of the engines, and what runs where no machine code can be made. Every value is a `Scalar`,
//! every op its defining function, every reduction merged in the order of `ops::reduction`. It trusts nothing but
//! the addresses of the launch: an invalid kernel is an `Internal` error. It knows the loop IR, and no engine.

use smallvec::SmallVec;

use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::loops::{
    Access, Axis, Base, Binding, Block, Carried, Kernel, Launch, Merge, Nest, OperandId, Operation, Reduction,
    Statement, ValueId,
};
use crate::ops::reduction::{BLOCK, LANES};

type Values = SmallVec<[Scalar; 3]>;

/// Runs a kernel.
///
/// # Safety
/// The launch keeps what `Launch` promises: every address reached is valid and aligned for its access.
///
/// # Errors
/// `Internal` for a launch that does not fit the kernel, before anything is written, and for an invalid kernel.
pub unsafe fn run(kernel: &Kernel, launch: &Launch<'_>) -> Result<()> {
    check_launch(kernel, launch)?;
    let unset = kernel.types.iter().map(|&dtype| Scalar::from_bits(dtype, 0)).collect();
    let mut machine = Machine { kernel, launch, indices: vec![0; kernel.axes as usize], values: unset, position: 0 };
    machine.nests(&kernel.body)
}

/// Whether a launch has an extent for each axis and a fitting binding for each operand.
///
/// # Errors
/// `Internal`, naming what is missing.
pub fn check_launch(kernel: &Kernel, launch: &Launch<'_>) -> Result<()> {
    let axes = kernel.axes as usize;
    let fits = |(operand, binding): (&crate::loops::Operand, &Binding)| {
        let base = matches!(binding.base, Base::Position(_)) == (operand.access == Access::Index);
        base && binding.strides.len() == axes
    };
    if launch.extents.len() == axes
        && launch.bindings.len() == kernel.operands.len()
        && kernel.operands.iter().zip(launch.bindings).all(fits)
    {
        return Ok(());
    }
    Err(Error::Internal(format!(
        "a launch of {} extents and {} bindings does not fit the kernel `{}` of {axes} axes and {} operands",
        launch.extents.len(),
        launch.bindings.len(),
        kernel.name,
        kernel.operands.len()
    )))
}

struct Machine<'a> {
    kernel: &'a Kernel,
    launch: &'a Launch<'a>,
    /// The current index of each axis; zero for those that no nest has bound.
    indices: Vec<usize>,
    values: Vec<Scalar>,
    /// The number of the current element of the reduction.
    position: i64,
}

impl Machine<'_> {
    fn nests(&mut self, nests: &[Nest]) -> Result<()> {
        nests.iter().try_for_each(|nest| self.nest(nest))
    }

    fn nest(&mut self, nest: &Nest) -> Result<()> {
        match nest {
            Nest::Map { axes, body } => self.each(axes, |this| this.nests(body)),
            Nest::Reduce { axes, body, reductions } => self.reduce(axes, body, reductions),
            Nest::Sequential { axis, carried, body } => {
                self.start(carried)?;
                self.each(&[*axis], |this| {
                    this.nests(body)?;
                    this.advance(carried)
                })?;
                self.finish(carried)
            }
            Nest::While { carried, condition, holds, body } => {
                self.start(carried)?;
                loop {
                    self.block(condition)?;
                    if self.get(*holds)? != Scalar::Bool(true) {
                        return self.finish(carried);
                    }
                    self.nests(body)?;
                    self.advance(carried)?;
                }
            }
            Nest::Block(block) => self.block(block),
        }
    }

    /// Runs `step` at every index of some axes, in row-major order.
    fn each(&mut self, axes: &[Axis], mut step: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let extents: SmallVec<[usize; 4]> = axes.iter().map(|axis| self.extent(*axis)).collect::<Result<_>>()?;
        if extents.contains(&0) {
            return Ok(());
        }
        loop {
            step(self)?;
            let mut wrapped = true;
            for (axis, &extent) in axes.iter().zip(&extents).rev() {
                let index = &mut self.indices[axis.0 as usize];
                *index = (*index + 1) % extent;
                wrapped = *index == 0;
                if !wrapped {
                    break;
                }
            }
            if wrapped {
                return Ok(());
            }
        }
    }

    fn extent(&self, axis: Axis) -> Result<usize> {
        let extent = self.launch.extents.get(axis.0 as usize).copied();
        extent.ok_or_else(|| Error::Internal(format!("the kernel `{}` has no axis {axis}", self.kernel.name)))
    }

    fn reduce(&mut self, axes: &[Axis], body: &Block, reductions: &[Reduction]) -> Result<()> {
        let mut folds: Vec<Fold<'_>> = reductions.iter().map(Fold::new).collect();
        self.position = 0;
        self.each(axes, |this| {
            this.block(body)?;
            for fold in &mut folds {
                let lifted = this.get_all(&fold.reduction.lifted)?;
                fold.push(this, lifted)?;
            }
            this.position += 1;
            Ok(())
        })?;
        for fold in folds {
            let results = &fold.reduction.results;
            let state = fold.finish(self)?;
            self.set_all(results, &state)?;
        }
        Ok(())
    }

    fn merge(&mut self, merge: &Merge, left: &[Scalar], right: &[Scalar]) -> Result<Values> {
        self.set_all(&merge.left, left)?;
        self.set_all(&merge.right, right)?;
        self.block(&merge.block)?;
        self.get_all(&merge.results)
    }

    fn start(&mut self, carried: &[Carried]) -> Result<()> {
        carried.iter().try_for_each(|item| {
            let initial = self.get(item.initial)?;
            self.set(item.current, initial)
        })
    }

    /// Takes the step of all carried values at once, since the next of one may be the current of another.
    fn advance(&mut self, carried: &[Carried]) -> Result<()> {
        let next: Values = carried.iter().map(|item| self.get(item.next)).collect::<Result<_>>()?;
        carried.iter().zip(next).try_for_each(|(item, value)| self.set(item.current, value))
    }

    fn finish(&mut self, carried: &[Carried]) -> Result<()> {
        carried.iter().try_for_each(|item| {
            let last = self.get(item.current)?;
            self.set(item.result, last)
        })
    }

    fn block(&mut self, block: &Block) -> Result<()> {
        block.statements.iter().try_for_each(|statement| match *statement {
            Statement::Let(value, operation) => {
                let result = self.operation(&operation)?;
                self.set(value, result)
            }
            Statement::Store(operand, value) => self.store(operand, value),
        })
    }

    fn operation(&self, operation: &Operation) -> Result<Scalar> {
        let value = match operation {
            Operation::Constant(value) => Some(*value),
            Operation::Load(operand) => Some(self.load(*operand)?),
            Operation::Position => Some(Scalar::I64(self.position)),
            Operation::Unary(op, x) => op.apply(self.get(*x)?),
            Operation::Binary(op, [a, b]) => op.apply(self.get(*a)?, self.get(*b)?),
            Operation::Ternary(op, [a, b, c]) => op.apply(self.get(*a)?, self.get(*b)?, self.get(*c)?),
            Operation::Cast(dtype, x) => Some(self.get(*x)?.cast(*dtype)),
        };
        value.ok_or_else(|| {
            Error::Internal(format!("in the kernel `{}`, `{operation}` does not take its operands", self.kernel.name))
        })
    }

    fn load(&self, id: OperandId) -> Result<Scalar> {
        let (dtype, binding) = self.binding(id)?;
        match binding.base {
            Base::Position(start) => Ok(Scalar::I64(start.wrapping_add(self.offset(binding) as i64))),
            // SAFETY: whoever called `run` vouches for every address that the launch reaches.
            Base::Host(base) => Ok(unsafe { read(base.wrapping_offset(self.offset(binding)), dtype) }),
        }
    }

    fn store(&self, id: OperandId, value: ValueId) -> Result<()> {
        let (dtype, binding) = self.binding(id)?;
        let value = self.get(value)?;
        let is_written = self.kernel.operand(id).access == Access::Write;
        match binding.base {
            Base::Host(base) if is_written && value.dtype() == dtype => {
                // SAFETY: as for `load`; the operand is one that the launch lets be written.
                unsafe { write(base.wrapping_offset(self.offset(binding)), value) };
                Ok(())
            }
            Base::Host(_) | Base::Position(_) => {
                Err(Error::Internal(format!("the kernel `{}` cannot store to {id}", self.kernel.name)))
            }
        }
    }

    fn binding(&self, id: OperandId) -> Result<(DType, &Binding)> {
        let found = self.kernel.operands.get(id.0 as usize).zip(self.launch.bindings.get(id.0 as usize));
        found
            .map(|(operand, binding)| (operand.dtype, binding))
            .ok_or_else(|| Error::Internal(format!("the kernel `{}` has no operand {id}", self.kernel.name)))
    }

    /// Σ index · stride.
    fn offset(&self, binding: &Binding) -> isize {
        let steps =
            self.indices.iter().zip(&binding.strides).map(|(&index, &stride)| stride.wrapping_mul(index as isize));
        steps.fold(0, isize::wrapping_add)
    }

    fn get(&self, value: ValueId) -> Result<Scalar> {
        self.values.get(value.0 as usize).copied().ok_or_else(|| self.unknown(value))
    }

    fn set(&mut self, value: ValueId, scalar: Scalar) -> Result<()> {
        match self.values.get_mut(value.0 as usize) {
            Some(place) => *place = scalar,
            None => return Err(self.unknown(value)),
        }
        Ok(())
    }

    fn get_all(&self, values: &[ValueId]) -> Result<Values> {
        values.iter().map(|&value| self.get(value)).collect()
    }

    fn set_all(&mut self, values: &[ValueId], scalars: &[Scalar]) -> Result<()> {
        values.iter().zip(scalars).try_for_each(|(&value, &scalar)| self.set(value, scalar))
    }

    fn unknown(&self, value: ValueId) -> Error {
        Error::Internal(format!("the kernel `{}` has no value {value}", self.kernel.name))
    }
}

/// A reduction under way: the lanes of the current block, and the states of the blocks before it.
struct Fold<'a> {
    reduction: &'a Reduction,
    lanes: Vec<Values>,
    /// The elements in the current block.
    filled: usize,
    /// The blocks that are finished.
    blocks: usize,
    /// Their states, oldest first, merged as a binary counter does.
    states: Vec<Values>,
}

impl<'a> Fold<'a> {
    fn new(reduction: &'a Reduction) -> Fold<'a> {
        let mut fold = Fold { reduction, lanes: Vec::new(), filled: 0, blocks: 0, states: Vec::new() };
        fold.open_block();
        fold
    }

    fn open_block(&mut self) {
        self.filled = 0;
        self.lanes = vec![self.reduction.init.clone(); LANES];
        if let Some(append) = &self.reduction.append {
            for (lane, state) in self.lanes.iter_mut().enumerate() {
                let position = Scalar::I64((self.blocks * BLOCK + lane) as i64);
                state.get_mut(append.position).into_iter().for_each(|part| *part = position);
            }
        }
    }

    fn push(&mut self, machine: &mut Machine<'_>, lifted: Values) -> Result<()> {
        let lane = &mut self.lanes[self.filled % LANES];
        let merge = self.reduction.append.as_ref().map_or(&self.reduction.merge, |append| &append.merge);
        *lane = machine.merge(merge, lane, &lifted)?;
        self.filled += 1;
        if self.filled == BLOCK { self.close_block(machine) } else { Ok(()) }
    }

    fn close_block(&mut self, machine: &mut Machine<'_>) -> Result<()> {
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                self.lanes[lane] =
                    machine.merge(&self.reduction.merge, &self.lanes[lane], &self.lanes[lane + width])?;
            }
            width /= 2;
        }
        self.states.push(self.lanes[0].clone());
        for _ in 0..self.blocks.trailing_ones() {
            self.merge_newest(machine)?;
        }
        self.blocks += 1;
        self.open_block();
        Ok(())
    }

    fn merge_newest(&mut self, machine: &mut Machine<'_>) -> Result<()> {
        if let (Some(newest), Some(older)) = (self.states.pop(), self.states.pop()) {
            self.states.push(machine.merge(&self.reduction.merge, &older, &newest)?);
        }
        Ok(())
    }

    fn finish(mut self, machine: &mut Machine<'_>) -> Result<Values> {
        if self.filled > 0 {
            self.close_block(machine)?;
        }
        while self.states.len() > 1 {
            self.merge_newest(machine)?;
        }
        Ok(self.states.pop().unwrap_or_else(|| self.reduction.init.clone()))
    }
}

/// Reads one element.
///
/// # Safety
/// The address is valid for reading a value of this dtype, and aligned.
unsafe fn read(address: *const u8, dtype: DType) -> Scalar {
    // SAFETY: the caller vouches for the address; every bit pattern of an unsigned integer is valid.
    let bits = unsafe {
        match dtype.size() {
            1 => u64::from(address.read()),
            4 => u64::from(address.cast::<u32>().read()),
            _ => address.cast::<u64>().read(),
        }
    };
    Scalar::from_bits(dtype, bits)
}

/// Writes one element.
///
/// # Safety
/// The address is valid for writing a value of this dtype, and aligned.
unsafe fn write(address: *mut u8, value: Scalar) {
    let bits = value.bits();
    // SAFETY: the caller vouches for the address.
    unsafe {
        match value.dtype().size() {
            1 => address.write(bits as u8),
            4 => address.cast::<u32>().write(bits as u32),
            _ => address.cast::<u64>().write(bits),
        }
    }
}

#[cfg(test)]
mod tests;
