//! The two kernel shapes that the engine runs, as programs with their own operand lists.
//!
//! A map is one program over some axes, straight-line code or with loops over steps (`nested`). A reduction is a program over outer and inner axes that yields the lifted
//! states, the folds that merge these, and an epilogue, a map over the outer axes that reads the merged states as
//! ordinary operands. Invariant: the operand numbers in a program's statements index the program's own list.
//! Must not know: how code is made or run.

use smallvec::SmallVec;

use super::math::{Function, Symbol};
use super::nested;
use super::parallel::{moved_weight, op_weight};
use crate::dtype::{DType, Scalar};
use crate::elementary::kernel::Level;
use crate::error::{Error, Result};
use crate::loops::{
    Access, Append, Axis, Block, Kernel, Merge, Nest, Operand, OperandId, Operation, Reduction, State, Statement,
    ValueId,
};
use crate::ops::{Cost, TernaryOp};

/// Where an operand of a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An operand of the kernel.
    Kernel(OperandId),
    /// A slot of the state of the reductions.
    State(usize),
}

/// An operand of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Port {
    /// Its dtype and use.
    pub operand: Operand,
    /// Where it comes from.
    pub source: Source,
}

impl Port {
    /// Whether it is memory, rather than positions.
    pub fn is_memory(&self) -> bool {
        self.operand.access != Access::Index
    }
}

/// Code for one element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Program {
    /// What it loads and stores.
    pub ports: Vec<Port>,
    /// The dtype of each value of the kernel.
    pub types: Vec<DType>,
    /// The straight-line code that it begins with.
    pub statements: Vec<Statement>,
    /// What follows: loops over steps, and blocks. Nothing in a reduction.
    pub loops: Vec<Nest>,
    /// The kernel's axes of these loops; an axis in `loops` is the index into this list.
    pub steps: Vec<Axis>,
}

/// A reduction of a kernel with the place of its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fold {
    /// The state of no elements.
    pub init: SmallVec<[Scalar; 3]>,
    /// The values of the body that are folded.
    pub lifted: State,
    /// How two states become one.
    pub merge: Merge,
    /// How a lane takes its next element, where that is less work.
    pub append: Option<Append>,
    /// The first 8-byte slot of its state.
    pub slot: usize,
}

/// A reduction kernel.
#[derive(Debug)]
pub(super) struct ReduceForm {
    /// The axes of the results.
    pub outer: Vec<Axis>,
    /// The axes that are reduced.
    pub inner: Vec<Axis>,
    /// What computes the lifted states.
    pub body: Program,
    /// What is folded.
    pub folds: Vec<Fold>,
    /// The number of 8-byte slots of all states.
    pub slots: usize,
    /// What is done with the results.
    pub epilogue: Program,
}

/// A kernel that the engine runs.
#[derive(Debug)]
pub(super) enum Form {
    /// Independent elements.
    Map {
        /// The axes.
        axes: Vec<Axis>,
        /// What each element does.
        program: Program,
    },
    /// Reductions.
    Reduce(ReduceForm),
}

/// The form of a kernel.
///
/// # Errors
/// `Unsupported`, naming the nest, for any other tree.
pub(super) fn classify(kernel: &Kernel) -> Result<Form> {
    let [Nest::Map { axes, body }] = kernel.body.as_slice() else {
        return Err(unsupported(kernel, kernel.body.first()));
    };
    match body.as_slice() {
        [Nest::Block(block)] => {
            Ok(Form::Map { axes: axes.clone(), program: map_program(kernel, &block.statements, &[])? })
        }
        [Nest::Reduce { axes: inner, body, reductions }, Nest::Block(epilogue)] => {
            reduce_form(kernel, axes, inner, body, reductions, epilogue)
        }
        [] => Err(unsupported(kernel, None)),
        nests => match (nested::other(nests), nests) {
            (Some(other), _) => Err(unsupported(kernel, Some(other))),
            (None, [Nest::Block(first), loops @ ..]) => {
                Ok(Form::Map { axes: axes.clone(), program: map_program(kernel, &first.statements, loops)? })
            }
            (None, loops) => Ok(Form::Map { axes: axes.clone(), program: map_program(kernel, &[], loops)? }),
        },
    }
}

fn unsupported(kernel: &Kernel, nest: Option<&Nest>) -> Error {
    let nest = match nest {
        None => "an empty nest",
        Some(Nest::Map { .. }) => "a map in this place",
        Some(Nest::Reduce { .. }) => "a reduction in this place",
        Some(Nest::Sequential { .. }) => "a sequential nest",
        Some(Nest::While { .. }) => "a while nest",
        Some(Nest::Block(_)) => "a block in this place",
    };
    Error::Unsupported(format!("kernel {}: the CPU engine does not run {nest}", kernel.name))
}

fn map_program(kernel: &Kernel, statements: &[Statement], loops: &[Nest]) -> Result<Program> {
    let mut program = Program::new(kernel, statements);
    program.loops = loops.iter().map(|nest| program.nest(kernel, nest)).collect::<Result<_>>()?;
    let positioned = |statement: &Statement| matches!(statement, Statement::Let(_, Operation::Position));
    if program.all_statements().into_iter().any(positioned) {
        return Err(Error::Unsupported(format!("kernel {}: a position outside a reduction", kernel.name)));
    }
    Ok(program)
}

fn reduce_form(
    kernel: &Kernel,
    outer: &[Axis],
    inner: &[Axis],
    body: &Block,
    reductions: &[Reduction],
    epilogue: &Block,
) -> Result<Form> {
    let body = Program::new(kernel, &body.statements);
    if body.ports.iter().any(|port| port.operand.access == Access::Write) {
        return Err(Error::Unsupported(format!("kernel {}: a store inside a reduction", kernel.name)));
    }
    if reductions.iter().all(|reduction| reduction.init.is_empty()) {
        return Err(Error::Unsupported(format!("kernel {}: a reduction of nothing", kernel.name)));
    }
    let (mut folds, mut slots) = (Vec::new(), 0);
    for reduction in reductions {
        let Reduction { init, lifted, merge, append, .. } = reduction.clone();
        folds.push(Fold { init, lifted, merge, append, slot: slots });
        slots += reduction.init.len();
    }
    let mut epilogue = map_program(kernel, &epilogue.statements, &[])?;
    for (slot, &result) in reductions.iter().flat_map(|reduction| &reduction.results).enumerate() {
        epilogue.read_state(result, slot);
    }
    Ok(Form::Reduce(ReduceForm { outer: outer.to_vec(), inner: inner.to_vec(), body, folds, slots, epilogue }))
}

impl Program {
    /// The program of some statements of a kernel, with the operands that they use.
    fn new(kernel: &Kernel, statements: &[Statement]) -> Program {
        let mut program = Program::straight(kernel.types.clone(), Vec::new());
        program.statements = program.own(kernel, statements);
        program
    }

    /// Straight-line code without operands.
    pub fn straight(types: Vec<DType>, statements: Vec<Statement>) -> Program {
        Program { ports: Vec::new(), types, statements, loops: Vec::new(), steps: Vec::new() }
    }

    /// Statements of a kernel, with the program's numbers of operands.
    pub fn own(&mut self, kernel: &Kernel, statements: &[Statement]) -> Vec<Statement> {
        let own = |statement: &Statement| match *statement {
            Statement::Let(value, Operation::Load(id)) => Statement::Let(value, Operation::Load(self.port(kernel, id))),
            Statement::Let(value, operation) => Statement::Let(value, operation),
            Statement::Store(id, value) => Statement::Store(self.port(kernel, id), value),
        };
        statements.iter().map(own).collect()
    }

    fn port(&mut self, kernel: &Kernel, id: OperandId) -> OperandId {
        let source = Source::Kernel(id);
        let known = self.ports.iter().position(|port| port.source == source);
        let index = known.unwrap_or_else(|| {
            self.ports.push(Port { operand: kernel.operand(id), source });
            self.ports.len() - 1
        });
        OperandId(index as u32)
    }

    /// Lets a value be a slot of the state; loaded first of all.
    fn read_state(&mut self, value: ValueId, slot: usize) {
        let operand = Operand { dtype: self.ty(value), access: Access::Read };
        self.ports.push(Port { operand, source: Source::State(slot) });
        let load = Operation::Load(OperandId(self.ports.len() as u32 - 1));
        self.statements.insert(slot, Statement::Let(value, load));
    }

    /// The dtype of a value.
    pub fn ty(&self, value: ValueId) -> DType {
        self.types[value.0 as usize]
    }

    /// The size of the smallest element that it holds or moves; a bool counts only in memory. `None` if all are bools.
    pub fn smallest(&self) -> Option<usize> {
        self.types_used().map(DType::size).min()
    }

    /// The dtypes that its lanes hold: of the operands, and of the values that are not bools.
    pub fn types_used(&self) -> impl Iterator<Item = DType> {
        let moved = self.ports.iter().map(|port| port.operand.dtype);
        moved.chain(value_types(self.all_statements(), &self.types))
    }

    /// The bytes of an element of each operand in memory.
    pub fn moved(&self) -> usize {
        self.ports.iter().filter(|port| port.is_memory()).map(|port| port.operand.dtype.size()).sum()
    }

    /// Rough cost of one element but for its loops, in the units of `parallel`, where `mul_add` is one instruction or not.
    pub fn weight(&self, has_fma: bool) -> usize {
        let computed: usize = self.statements.iter().map(|statement| weight(statement, &self.types, has_fma)).sum();
        computed.max(moved_weight(self.moved()))
    }

    /// Whether it calls kernels.
    pub fn calls_kernels(&self) -> bool {
        self.all_statements().into_iter().any(|statement| calls_kernel(statement, &self.types))
    }
}

/// Whether a statement is a function that has a kernel.
pub(super) fn calls_kernel(statement: &Statement, types: &[DType]) -> bool {
    let Statement::Let(_, operation) = statement else { return false };
    let (function, first) = match *operation {
        Operation::Unary(op, x) => (Function::Unary(op), x),
        Operation::Binary(op, [x, _]) => (Function::Binary(op), x),
        Operation::Constant(_) | Operation::Load(_) | Operation::Position => return false,
        Operation::Ternary(..) | Operation::Cast(..) => return false,
    };
    Symbol { function, dtype: types[first.0 as usize] }.kernel(Level::Baseline).is_some()
}

/// Rough cost of a statement that moves nothing, among values of these dtypes.
pub(super) fn weight(statement: &Statement, types: &[DType], has_fma: bool) -> usize {
    let Statement::Let(value, operation) = statement else { return 0 };
    let is_mul_add = matches!(operation, Operation::Ternary(TernaryOp::MulAdd, _));
    let mul_add = if has_fma { Cost::Cheap } else { Cost::Function };
    let cost = if is_mul_add { Some(mul_add) } else { cost(statement) };
    cost.map_or(0, |cost| op_weight(cost, types[value.0 as usize].size()))
}

/// The dtypes of the values that are not bools.
fn value_types<'a>(
    statements: impl IntoIterator<Item = &'a Statement>,
    types: &[DType],
) -> impl Iterator<Item = DType> {
    let defined = statements.into_iter().filter_map(|statement| match statement {
        Statement::Let(value, _) => Some(types[value.0 as usize]),
        Statement::Store(..) => None,
    });
    defined.filter(|dtype| *dtype != DType::Bool)
}

/// The cost class of a statement that computes something.
fn cost(statement: &Statement) -> Option<Cost> {
    match statement {
        Statement::Let(_, operation) => match operation {
            Operation::Constant(_) | Operation::Load(_) | Operation::Position => None,
            Operation::Unary(op, _) => Some(op.row().cost),
            Operation::Binary(op, _) => Some(op.row().cost),
            Operation::Ternary(op, _) => Some(op.row().cost),
            Operation::Cast(..) => Some(Cost::Cheap),
        },
        Statement::Store(..) => None,
    }
}

impl Fold {
    /// How a lane takes its next element.
    pub fn next(&self) -> &Merge {
        self.append.as_ref().map_or(&self.merge, |append| &append.merge)
    }

    /// Whether a part of the state of a lane without elements is a position, not that of `init`.
    pub fn starts_with_position(&self, part: usize) -> bool {
        self.append.as_ref().is_some_and(|append| append.position == part)
    }

    /// The size of the smallest value of its states and merge that is not a bool.
    pub fn smallest(&self, types: &[DType]) -> Option<usize> {
        let states = self.lifted.iter().chain(&self.merge.left).chain(&self.merge.right);
        let states = states.map(|value| types[value.0 as usize]).filter(|dtype| *dtype != DType::Bool);
        states.chain(value_types(&self.merge.block.statements, types)).map(DType::size).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_no_memory() {
        let mut program = Program::straight(Vec::new(), Vec::new());
        let port = |(dtype, access)| Port { operand: Operand { dtype, access }, source: Source::State(0) };
        program.ports = [(DType::F32, Access::Read), (DType::I64, Access::Index)].map(port).to_vec();
        assert_eq!(program.moved(), 4);
    }
}
