//! Ownership of machine code, and the calls into it: all that is unsafe about a JIT.
//!
//! [`Code`] owns one finished function: a module of Cranelift's, or pages of its own with the bytes of the wide emitter.
//! Neither is touched again until it is dropped with the code, and its memory is then freed. Must not know: kernels,
//! what the functions compute.

use std::mem::ManuallyDrop;
use std::ops::Range;

use memmap2::{Mmap, MmapMut};

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Signature;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};

use super::emit::{Unit, symbol_signature};
use super::generate::Made;
use super::isa::Isa;
use super::wide::Assembled;
use crate::error::{Error, Result};

/// A function in machine code.
pub(super) struct Code {
    memory: Memory,
    entry: *const u8,
    bytes: usize,
}

/// What holds a function.
enum Memory {
    /// A module of Cranelift's.
    Module(ManuallyDrop<Box<JITModule>>),
    /// Pages of its own.
    Pages(#[allow(dead_code, reason = "held for its memory")] Mmap),
}

// SAFETY: the module is finalised, or the pages are executable and no longer writable, when a `Code` is made. From then
// on it is only dropped, by whoever owns it; what `entry` points to is immutable code, which any number of threads may
// run.
unsafe impl Send for Code {}
// SAFETY: as above; no method reads the module or the pages through a shared reference.
unsafe impl Sync for Code {}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("entry", &self.entry).finish()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let Memory::Module(module) = &mut self.memory else { return };
        // SAFETY: `module` is taken once, here, and not used afterwards.
        let module = unsafe { ManuallyDrop::take(module) };
        // SAFETY: calls borrow the `Code`, so none is running, and `entry` dies with it.
        unsafe { module.free_memory() };
    }
}

impl Code {
    /// Makes machine code of Cranelift's IR.
    fn link(isa: &Isa, unit: Unit) -> Result<Code> {
        let mut builder = JITBuilder::with_isa(isa.target.clone(), default_libcall_names());
        for symbol in &unit.symbols {
            if let Some(address) = symbol.kernel(isa.level).or_else(|| symbol.address()) {
                builder.symbol(symbol.name(), address);
            }
        }
        let mut module = ManuallyDrop::new(Box::new(JITModule::new(builder)));
        let defined = define(&mut module, isa, unit);
        let (entry, bytes) = *defined.as_ref().unwrap_or(&(std::ptr::null(), 0));
        let code = Code { memory: Memory::Module(module), entry, bytes };
        defined.map_err(failed)?;
        Ok(code)
    }

    /// Makes a function runnable.
    pub fn new(isa: &Isa, made: Made) -> Result<Code> {
        match made {
            Made::Wide(assembled) => Code::place(&assembled),
            Made::Narrow(unit) => Code::link(isa, *unit),
        }
    }

    /// Makes finished code runnable.
    fn place(assembled: &Assembled) -> Result<Code> {
        let pages = place(&assembled.bytes).map_err(|error| Error::Memory(format!("no memory for code: {error}")))?;
        Ok(Code { entry: pages.as_ptr(), bytes: assembled.bytes.len(), memory: Memory::Pages(pages) })
    }

    /// The bytes of the machine code.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Runs a map function on one row.
    ///
    /// # Safety
    /// The code is a map function; the tables have an entry for each of its operands, `strides` then has extent and
    /// strides of each axis of its loops, and all elements of the row may be accessed as the operands' uses say.
    pub unsafe fn call_map(&self, bases: &[i64], strides: &[i64], count: usize) {
        // SAFETY: `entry` is a finished function of this signature, by the caller's word and both `map_function`s.
        let function: extern "C" fn(*const i64, *const i64, i64) = unsafe { std::mem::transmute(self.entry) };
        function(bases.as_ptr(), strides.as_ptr(), count as i64);
    }

    /// Runs a blocks function.
    ///
    /// # Safety
    /// As for `call_map`, of a blocks function; `states` has room for the states of all blocks.
    pub unsafe fn call_blocks(&self, bases: &[i64], strides: &[i64], elements: Range<usize>, states: &mut [u64]) {
        // SAFETY: as in `call_map`, by both `blocks_function`s.
        let function: extern "C" fn(*const i64, *const i64, i64, i64, *mut u64) =
            unsafe { std::mem::transmute(self.entry) };
        let (first, count) = (elements.start as i64, elements.len() as i64);
        function(bases.as_ptr(), strides.as_ptr(), count, first, states.as_mut_ptr());
    }

    /// Runs a columns function; `strides` are those along the results, then those along the reduction, then how many rows
    /// ahead it asks for memory, and whether into the L1 cache.
    ///
    /// # Safety
    /// As for `call_blocks`, of a columns function; `states` has room for so many states.
    pub unsafe fn call_columns(
        &self,
        bases: &[i64],
        strides: &[i64],
        rows: [usize; 2],
        columns: usize,
        states: &mut [u64],
    ) {
        let [first, count] = rows.map(|row| row as i64);
        // SAFETY: as in `call_map`, by `emit::columns_function`.
        let function: extern "C" fn(*const i64, *const i64, i64, i64, i64, *mut u64) =
            unsafe { std::mem::transmute(self.entry) };
        function(bases.as_ptr(), strides.as_ptr(), count, first, columns as i64, states.as_mut_ptr());
    }

    /// Runs a merge function: merges each of so many states with the one at a distance of so many states, going on by
    /// twice that distance.
    ///
    /// # Safety
    /// The code is a merge function, and there are all these states with all their slots.
    pub unsafe fn call_merge(&self, states: &mut [u64], pairs: usize, distance: usize) {
        // SAFETY: as in `call_map`, by both `merge_function`s.
        let function: extern "C" fn(*mut u64, i64, i64) = unsafe { std::mem::transmute(self.entry) };
        function(states.as_mut_ptr(), pairs as i64, distance as i64 * 8);
    }
}

/// Defines the function with the external name 0, after declaring what it calls under the names that follow; gives
/// where it is and its size.
fn define(module: &mut JITModule, isa: &Isa, unit: Unit) -> Result<(*const u8, usize), Failure> {
    let entry = module.declare_function("kernel", Linkage::Export, &unit.function.signature)?;
    let mut expected = entry.as_u32();
    for &symbol in &unit.symbols {
        let signature: Signature = symbol_signature(&*isa.target, symbol);
        let id: FuncId = module.declare_function(&symbol.name(), Linkage::Import, &signature)?;
        expected += 1;
        if id.as_u32() != expected {
            return Err(Failure("symbols are out of order".into()));
        }
    }
    let mut context = Context::for_function(unit.function);
    module.define_function_with_control_plane(entry, &mut context, &mut ControlPlane::default())?;
    module.finalize_definitions()?;
    let bytes = context.compiled_code().map_or(0, |code| code.code_buffer().len());
    Ok((module.get_finalized_function(entry), bytes))
}

/// Copies code to pages of its own, which are then executable and no longer writable.
fn place(bytes: &[u8]) -> std::io::Result<Mmap> {
    let mut pages = MmapMut::map_anon(bytes.len())?;
    pages[..bytes.len()].copy_from_slice(bytes);
    pages.make_exec()
}

/// Why there is no code.
struct Failure(String);

impl From<cranelift_module::ModuleError> for Failure {
    fn from(error: cranelift_module::ModuleError) -> Failure {
        Failure(format!("{error:?}"))
    }
}

fn failed(failure: Failure) -> Error {
    Error::Internal(format!("code generation failed: {}", failure.0))
}

/// The machine code of a function, without making it runnable: its size in bytes and, if wanted, its text.
///
/// # Errors
/// `Internal` if the instruction set lacks something that the function uses.
pub(super) fn assemble(isa: &Isa, unit: Unit, text: bool) -> Result<(usize, Option<String>)> {
    let mut context = Context::for_function(unit.function);
    context.set_disasm(text);
    let code = context
        .compile(&*isa.target, &mut ControlPlane::default())
        .map_err(|error| failed(Failure(format!("{:?}", error.inner))))?;
    Ok((code.code_buffer().len(), code.vcode.clone()))
}

/// Orders the stores that bypassed the cache before all that follow on this thread.
pub(super) fn order_streamed_stores() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
