//! From programs to Cranelift's IR, some consecutive elements at a time.
//!
//! A [`Lanes`] value holds `Emitter::lanes` elements: one scalar if there is one, else so many 128-bit vectors as they
//! fill. A bool is 0 or 1 as a scalar and a mask, all ones or all zeros, in vectors, as wide as what it came from. Both
//! shapes give the same bits for an element. `ops`, `convert` and `memory` hold the pieces, `map` and `reduce` the
//! functions built from them. Must not know: addresses, sizes, threads.

mod columns;
mod convert;
mod loops;
mod map;
mod memory;
mod ops;
mod reduce;

pub(super) use columns::columns_function;
pub(super) use map::map_function;
pub(super) use memory::Class;
pub(super) use reduce::{blocks_function, merge_function};

use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, ExtFuncData, ExternalName, InstBuilder, MemFlagsData, Signature, StackSlotData,
    StackSlotKind, Type, UserExternalName, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use smallvec::{SmallVec, smallvec};

use super::isa::{Features, Isa};
use super::lanes::{Code, Values};
use super::math::{Function, Symbol};
use crate::dtype::{DType, Scalar};
use crate::elementary::kernel::Level;
use crate::error::{Error, Result};
use crate::loops::OperandId;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use memory::Place;

/// Bytes of a vector.
const VECTOR: usize = 16;

/// A function in Cranelift's IR and what it calls: external name `k + 1` is symbol `k`.
pub(super) struct Unit {
    /// The function; it has the external name 0.
    pub function: ir::Function,
    /// What it calls.
    pub symbols: Vec<Symbol>,
}

/// Some consecutive elements.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    /// The dtype of the elements.
    dtype: DType,
    /// Bytes of a lane.
    width: usize,
    /// One scalar, or vectors.
    parts: SmallVec<[ir::Value; 8]>,
}

/// Which element code is being made of: `index + offset`.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    index: ir::Value,
    offset: usize,
}

/// Makes the code of one function.
pub(super) struct Emitter<'a> {
    b: FunctionBuilder<'a>,
    target: &'a dyn TargetIsa,
    features: Features,
    symbols: Vec<Symbol>,
    places: Vec<Place>,
    lanes: usize,
    cursor: Option<Cursor>,
    /// Whether nothing that is read can be written meanwhile, so that loads may stand where their values are used.
    pure_loads: bool,
    /// The position of index 0 within the reduction.
    first: Option<ir::Value>,
    /// The position of all lanes, where these are results.
    row: Option<ir::Value>,
}

/// Makes a function with so many register parameters.
fn emit_function(
    isa: &Isa,
    parameters: usize,
    body: impl FnOnce(&mut Emitter<'_>, &[ir::Value]) -> Result<()>,
) -> Result<Unit> {
    let mut signature = Signature::new(isa.target.default_call_conv());
    signature.params.extend((0..parameters).map(|_| AbiParam::new(types::I64)));
    let mut function = ir::Function::with_name_signature(ir::UserFuncName::user(0, 0), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params: SmallVec<[ir::Value; 8]> = SmallVec::from_slice(b.block_params(entry));
    let mut emitter = Emitter {
        b,
        target: &*isa.target,
        features: isa.features,
        symbols: Vec::new(),
        places: Vec::new(),
        lanes: 1,
        cursor: None,
        pure_loads: false,
        first: None,
        row: None,
    };
    body(&mut emitter, &params)?;
    emitter.b.ins().return_(&[]);
    emitter.b.seal_all_blocks();
    let symbols = emitter.symbols;
    emitter.b.finalize(isa.target.frontend_config());
    Ok(Unit { function, symbols })
}

/// The type of a scalar of a dtype.
fn scalar_type(dtype: DType) -> Type {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => types::I8,
        DType::I32 | DType::U32 => types::I32,
        DType::I64 | DType::U64 => types::I64,
        DType::F32 => types::F32,
        DType::F64 => types::F64,
    }
}

/// The type of an integer of so many bytes.
fn integer_type(width: usize) -> Type {
    match width {
        1 => types::I8,
        2 => types::I16,
        4 => types::I32,
        _ => types::I64,
    }
}

/// The vector of lanes of a type.
fn vector_of(lane: Type) -> Type {
    match lane {
        types::I8 => types::I8X16,
        types::I16 => types::I16X8,
        types::I32 => types::I32X4,
        types::I64 => types::I64X2,
        types::F32 => types::F32X4,
        _ => types::F64X2,
    }
}

impl Lanes {
    /// The type of a lane.
    fn lane(&self) -> Type {
        if self.dtype == DType::Bool { integer_type(self.width) } else { scalar_type(self.dtype) }
    }

    /// These parts, as elements of the same dtype and width.
    fn with(&self, parts: impl IntoIterator<Item = ir::Value>) -> Lanes {
        Lanes { dtype: self.dtype, width: self.width, parts: parts.into_iter().collect() }
    }

    /// One scalar of a dtype.
    fn scalar(dtype: DType, value: ir::Value) -> Lanes {
        Lanes { dtype, width: dtype.size(), parts: smallvec![value] }
    }

    /// The elements in equal runs of so many vectors.
    fn chunks(&self, parts: usize) -> impl Iterator<Item = Lanes> {
        self.parts.chunks(parts).map(|chunk| self.with(chunk.iter().copied()))
    }
}

impl Emitter<'_> {
    /// One part for each of the operands' parts.
    fn each<const N: usize>(
        &mut self,
        operands: [&Lanes; N],
        mut make: impl FnMut(&mut FunctionBuilder<'_>, [ir::Value; N]) -> ir::Value,
    ) -> SmallVec<[ir::Value; 8]> {
        let count = operands[0].parts.len();
        (0..count).map(|part| make(&mut self.b, operands.map(|operand| operand.parts[part]))).collect()
    }

    /// An element, as a scalar of its dtype.
    fn lane(&mut self, value: &Lanes, lane: usize) -> ir::Value {
        if self.lanes == 1 {
            return value.parts[0];
        }
        let per_part = VECTOR / value.width;
        let element = self.b.ins().extractlane(value.parts[lane / per_part], (lane % per_part) as u8);
        if value.dtype == DType::Bool { self.truth_of_mask(element, value.width) } else { element }
    }

    /// 0 or 1 of an integer that is all ones or all zeros.
    fn truth_of_mask(&mut self, mask: ir::Value, width: usize) -> ir::Value {
        let byte = if width == 1 { mask } else { self.b.ins().ireduce(types::I8, mask) };
        self.b.ins().band_imm_u(byte, 1)
    }

    /// All ones or all zeros of a 0 or 1.
    fn mask_of_truth(&mut self, truth: ir::Value, width: usize) -> ir::Value {
        let wide = if width == 1 { truth } else { self.b.ins().uextend(integer_type(width), truth) };
        self.b.ins().ineg(wide)
    }

    /// The elements from scalars of the dtype.
    fn collect(&mut self, dtype: DType, elements: &[ir::Value]) -> Lanes {
        if self.lanes == 1 {
            return Lanes::scalar(dtype, elements[0]);
        }
        let width = if dtype == DType::Bool { VECTOR / self.lanes } else { dtype.size() };
        let mut lanes = Lanes { dtype, width, parts: SmallVec::new() };
        let vector = vector_of(lanes.lane());
        for run in elements.chunks(VECTOR / width) {
            let run: SmallVec<[ir::Value; 16]> = match dtype {
                DType::Bool => run.iter().map(|&truth| self.mask_of_truth(truth, width)).collect(),
                _ => SmallVec::from_slice(run),
            };
            let first = self.b.ins().splat(vector, run[0]);
            let rest = run.iter().enumerate().skip(1);
            lanes.parts.push(rest.fold(first, |part, (lane, &x)| self.b.ins().insertlane(part, x, lane as u8)));
        }
        lanes
    }

    /// Does scalar code lane by lane.
    fn lane_by_lane<const N: usize>(
        &mut self,
        dtype: DType,
        operands: [&Lanes; N],
        mut make: impl FnMut(&mut Self, [ir::Value; N]) -> Result<ir::Value>,
    ) -> Result<Lanes> {
        let mut results: SmallVec<[ir::Value; 16]> = SmallVec::new();
        for lane in 0..self.lanes {
            let elements = operands.map(|operand| self.lane(operand, lane));
            results.push(make(self, elements)?);
        }
        Ok(self.collect(dtype, &results))
    }

    /// Calls an op's defining function lane by lane.
    fn call<const N: usize>(&mut self, function: Function, operands: [&Lanes; N]) -> Result<Lanes> {
        let dtype = operands[N - 1].dtype;
        let reference = self.import(Symbol { function, dtype })?;
        self.lane_by_lane(dtype, operands, |emitter, elements| {
            let words = elements.map(|element| emitter.widen_word(dtype, element));
            let call = emitter.b.ins().call(reference, &words);
            let result = emitter.b.inst_results(call)[0];
            let narrow = dtype.is_integer() && dtype.size() < 8;
            Ok(if narrow { emitter.b.ins().ireduce(scalar_type(dtype), result) } else { result })
        })
    }

    /// Calls an op's kernel on all lanes, which pass through memory.
    fn call_kernel<const N: usize>(&mut self, function: Function, operands: [&Lanes; N]) -> Result<Lanes> {
        let symbol = Symbol { function, dtype: operands[0].dtype };
        let reference = self.import_kernel(symbol)?;
        let dtype = symbol.result();
        let (element, count) = match self.lanes {
            1 => (scalar_type(dtype), 1),
            lanes => (vector_of(scalar_type(dtype)), lanes * dtype.size() / VECTOR),
        };
        let room = |emitter: &mut Self, bytes: usize| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes as u32, 4);
            emitter.b.create_sized_stack_slot(data)
        };
        let out = room(self, self.lanes * dtype.size());
        let mut arguments: SmallVec<[ir::Value; 4]> = smallvec![self.b.ins().stack_addr(types::I64, out, 0)];
        for operand in operands {
            let slot = room(self, self.lanes * operand.width);
            let part = if self.lanes == 1 { operand.width } else { VECTOR };
            for (index, &value) in operand.parts.iter().enumerate() {
                self.b.ins().stack_store(types::I64, value, slot, (index * part) as i32);
            }
            arguments.push(self.b.ins().stack_addr(types::I64, slot, 0));
        }
        arguments.push(self.b.ins().iconst(types::I64, self.lanes as i64));
        if symbol.asks_ahead() {
            // For what is there.
            arguments.push(arguments[1]);
        }
        self.b.ins().call(reference, &arguments);
        let load = |part: usize| self.b.ins().stack_load(types::I64, element, out, (part * VECTOR) as i32);
        let parts: SmallVec<[ir::Value; 8]> = (0..count).map(load).collect();
        Ok(Lanes { dtype, width: dtype.size(), parts })
    }

    fn widen_word(&mut self, dtype: DType, element: ir::Value) -> ir::Value {
        if !dtype.is_integer() || dtype.size() == 8 {
            return element;
        }
        self.b.ins().uextend(types::I64, element)
    }

    fn import(&mut self, symbol: Symbol) -> Result<ir::FuncRef> {
        if symbol.address().is_none() {
            return Err(Error::Internal(format!("there is no function {}", symbol.name())));
        }
        self.import_as(symbol)
    }

    fn import_kernel(&mut self, symbol: Symbol) -> Result<ir::FuncRef> {
        if symbol.kernel(Level::Baseline).is_none() {
            return Err(Error::Internal(format!("there is no kernel {}", symbol.name())));
        }
        self.import_as(symbol)
    }

    fn import_as(&mut self, symbol: Symbol) -> Result<ir::FuncRef> {
        let index = self.symbols.iter().position(|known| *known == symbol).unwrap_or_else(|| {
            self.symbols.push(symbol);
            self.symbols.len() - 1
        });
        let signature = self.b.import_signature(symbol_signature(self.target, symbol));
        let name = UserExternalName { namespace: 0, index: index as u32 + 1 };
        let name = ExternalName::user(self.b.func.declare_imported_user_function(name));
        Ok(self.b.import_function(ExtFuncData { name, signature, colocated: false, patchable: false }))
    }

    /// A loop that counts from `start` as long as `index <= last`, with carried values; gives what is left at its end.
    fn count_loop(
        &mut self,
        start: ir::Value,
        last: ir::Value,
        step: usize,
        carried: &[ir::Value],
        body: impl FnOnce(&mut Self, ir::Value, &[ir::Value]) -> Result<SmallVec<[ir::Value; 16]>>,
    ) -> Result<(ir::Value, SmallVec<[ir::Value; 16]>)> {
        let (inside, after) = (self.b.create_block(), self.b.create_block());
        for block in [inside, after] {
            self.b.append_block_param(block, types::I64);
            for &value in carried {
                let ty = self.b.func.dfg.value_type(value);
                self.b.append_block_param(block, ty);
            }
        }
        self.branch_while(start, last, carried, inside, after);
        self.b.switch_to_block(inside);
        let params: SmallVec<[ir::Value; 16]> = SmallVec::from_slice(self.b.block_params(inside));
        let next = body(self, params[0], &params[1..])?;
        let index = self.b.ins().iadd_imm_s(params[0], step as i64);
        self.branch_while(index, last, &next, inside, after);
        self.b.switch_to_block(after);
        let params = self.b.block_params(after);
        Ok((params[0], SmallVec::from_slice(&params[1..])))
    }

    fn branch_while(
        &mut self,
        index: ir::Value,
        last: ir::Value,
        carried: &[ir::Value],
        inside: ir::Block,
        after: ir::Block,
    ) {
        let again = self.b.ins().icmp(ir::condcodes::IntCC::SignedLessThanOrEqual, index, last);
        let args: SmallVec<[BlockArg; 16]> = [index].iter().chain(carried).map(|&value| value.into()).collect();
        self.b.ins().brif(again, inside, &args, after, &args);
    }
}

/// How an op's function is called.
pub(super) fn symbol_signature(target: &dyn TargetIsa, symbol: Symbol) -> Signature {
    let mut signature = Signature::new(target.default_call_conv());
    if symbol.kernel(Level::Baseline).is_some() {
        // Where the results go, where the arguments are, how many, and what to ask for.
        let params = symbol.arity() + 2 + usize::from(symbol.asks_ahead());
        signature.params.extend((0..params).map(|_| AbiParam::new(types::I64)));
        return signature;
    }
    let word = if symbol.dtype.is_float() { scalar_type(symbol.dtype) } else { types::I64 };
    signature.params.extend((0..symbol.arity()).map(|_| AbiParam::new(word)));
    signature.returns.push(AbiParam::new(word));
    signature
}

/// Flags of a reinterpretation between vector types.
fn reinterpreted() -> MemFlagsData {
    MemFlagsData::new().with_endianness(ir::Endianness::Little)
}

/// Flags of an access: it cannot trap, and may be unaligned.
fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

impl Code for Emitter<'_> {
    type Value = Lanes;

    fn dtype(&self, value: &Lanes) -> DType {
        value.dtype
    }

    fn constant(&mut self, value: Scalar) -> Result<Lanes> {
        Ok(self.splat_constant(value))
    }

    fn load(&mut self, operand: OperandId) -> Result<Lanes> {
        self.load_place(operand.0 as usize)
    }

    fn store(&mut self, operand: OperandId, value: &Lanes) -> Result<()> {
        self.store_place(operand.0 as usize, value)
    }

    fn position(&mut self) -> Result<Lanes> {
        self.positions()
    }

    fn unary(&mut self, op: UnaryOp, x: &Lanes) -> Result<Lanes> {
        ops::unary(self, op, x)
    }

    fn binary(&mut self, op: BinaryOp, a: &Lanes, b: &Lanes) -> Result<Lanes> {
        ops::binary(self, op, a, b)
    }

    fn ternary(&mut self, op: TernaryOp, a: &Lanes, b: &Lanes, c: &Lanes) -> Result<Lanes> {
        ops::ternary(self, op, a, b, c)
    }

    fn cast(&mut self, dtype: DType, x: &Lanes) -> Result<Lanes> {
        self.convert(dtype, x)
    }
}

/// The values of a program before its first statement.
fn no_values(types: &[DType]) -> Values<Lanes> {
    Values::new(types.len())
}
