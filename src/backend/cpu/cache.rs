//! Machine code by what it was made from, for the whole process: a kernel that equals an earlier one has its code at once.
//!
//! The cache knows all code that some kernel holds, and keeps what was used last alive for a while, bounded in bytes.
//! Invariant: no lock is held while code is made or freed. Must not know: how code is made, what it computes.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustc_hash::FxHashMap;

use super::emit::Class;
use super::form::{Fold, Program};
use super::generate::Made;
use super::isa::Isa;
use super::jit::Code;
use super::variant::Classes;
use crate::error::Result;
use crate::loops::Statement;

/// The most bytes of code that are kept alive though no kernel holds them.
const LIMIT: usize = 4 << 20;

/// What a function costs beside its machine code, which fills whole pages: its module and its entry here.
const OVERHEAD: usize = 8 << 10;

/// A page of memory.
const PAGE: usize = 4 << 10;

/// An instruction set, equal to itself only: there are few, each for the length of the process.
#[derive(Debug, Clone, Copy)]
struct Instructions(&'static Isa);

impl PartialEq for Instructions {
    fn eq(&self, other: &Instructions) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Instructions {}

impl Hash for Instructions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self.0).hash(state);
    }
}

/// What code is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    isa: Instructions,
    of: Of,
    program: Arc<Program>,
    classes: Classes,
}

/// Which function of a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// A map; whether its rows only ever have one element.
    Map { single: bool },
    /// A map whose results bypass the cache.
    StreamingMap,
    /// The blocks of reductions.
    Blocks(Arc<[Fold]>),
    /// Several results of reductions at once.
    Columns(Arc<[Fold]>),
    /// The merge of reductions.
    Merge(Arc<[Fold]>),
}

/// The code of one key.
#[derive(Debug)]
struct Entry {
    code: Weak<Code>,
    /// What keeps it alive, for a while.
    kept: Option<Arc<Code>>,
    bytes: usize,
    /// When it was used last.
    used: u64,
}

/// All code that there is.
#[derive(Debug, Default)]
struct Cache {
    entries: FxHashMap<Key, Entry>,
    /// Bytes of what is kept.
    bytes: usize,
    /// Counts the uses.
    clock: u64,
}

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

impl Key {
    /// For operands of such classes.
    pub fn new(isa: &'static Isa, of: Of, program: &Arc<Program>, classes: &[Class]) -> Key {
        Key { isa: Instructions(isa), of, program: Arc::clone(program), classes: Classes::from_slice(classes) }
    }

    /// About what it occupies.
    fn bytes(&self) -> usize {
        self.program.all_statements().len() * size_of::<Statement>() + self.program.types.len()
    }
}

/// The code of a key: that of an equal one, or made now.
///
/// # Errors
/// What `make` meets, and what making machine code of it meets.
pub(super) fn shared(key: Key, make: impl FnOnce() -> Result<Made>) -> Result<Arc<Code>> {
    if let Some(code) = with_cache(|cache| cache.find(&key)) {
        return Ok(code);
    }
    let code = Arc::new(Code::new(key.isa.0, make()?)?);
    let (code, released) = with_cache(|cache| cache.insert(key, code));
    drop(released);
    Ok(code)
}

fn with_cache<R>(f: impl FnOnce(&mut Cache) -> R) -> R {
    f(CACHE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Cache::default))
}

impl Cache {
    fn find(&mut self, key: &Key) -> Option<Arc<Code>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        let code = entry.code.upgrade()?;
        entry.used = self.clock;
        if entry.kept.is_none() {
            entry.kept = Some(Arc::clone(&code));
            self.bytes += entry.bytes;
        }
        Some(code)
    }

    /// Adds code unless another thread has done so meanwhile; gives what is in the cache then, and what it no longer
    /// keeps alive.
    fn insert(&mut self, key: Key, code: Arc<Code>) -> (Arc<Code>, Vec<Arc<Code>>) {
        if let Some(earlier) = self.find(&key) {
            return (earlier, vec![code]);
        }
        let bytes = code.bytes().next_multiple_of(PAGE) + OVERHEAD + key.bytes();
        self.bytes += bytes;
        let entry = Entry { code: Arc::downgrade(&code), kept: Some(Arc::clone(&code)), bytes, used: self.clock };
        self.entries.insert(key, entry);
        let released = if self.bytes > LIMIT { self.release() } else { Vec::new() };
        (code, released)
    }

    /// Keeps the newer half of what is kept, and forgets what nobody holds any more.
    fn release(&mut self) -> Vec<Arc<Code>> {
        let mut kept: Vec<(u64, &mut Entry)> =
            self.entries.values_mut().filter(|entry| entry.kept.is_some()).map(|entry| (entry.used, entry)).collect();
        kept.sort_unstable_by_key(|(used, _)| *used);
        let mut released = Vec::new();
        for (_, entry) in kept {
            if self.bytes <= LIMIT / 2 {
                break;
            }
            self.bytes -= entry.bytes;
            if let Some(code) = entry.kept.take() {
                if Arc::strong_count(&code) == 1 {
                    entry.code = Weak::new();
                }
                released.push(code);
            }
        }
        self.entries.retain(|_, entry| entry.code.strong_count() > 0);
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::generate::Generator;
    use crate::backend::cpu::isa::native;
    use crate::dtype::{DType, Scalar};
    use crate::loops::{Access, Operand, OperandId, Operation, Statement, ValueId};

    /// Stores a constant.
    fn program(value: u64) -> Arc<Program> {
        use crate::backend::cpu::form::{Port, Source};
        let operand = Operand { dtype: DType::U64, access: Access::Write };
        let statements = vec![
            Statement::Let(ValueId(0), Operation::Constant(Scalar::U64(value))),
            Statement::Store(OperandId(0), ValueId(0)),
        ];
        let ports = vec![Port { operand, source: Source::Kernel(OperandId(0)) }];
        Arc::new(Program { ports, ..Program::straight(vec![DType::U64], statements) })
    }

    fn code(value: u64, made: &mut usize) -> Arc<Code> {
        let (isa, program) = (native().unwrap(), program(value));
        let make = || {
            *made += 1;
            Generator::new(isa).map(&program, &[Class::Contiguous], false)
        };
        shared(Key::new(isa, Of::Map { single: false }, &program, &[Class::Contiguous]), make).unwrap()
    }

    #[test]
    fn equal_programs_share_code_and_others_do_not() {
        let mut made = 0;
        let (first, second, other) = (code(1 << 40, &mut made), code(1 << 40, &mut made), code(3 << 40, &mut made));
        assert_eq!((made, Arc::ptr_eq(&first, &second), Arc::ptr_eq(&first, &other)), (2, true, false));
    }

    #[test]
    fn what_is_held_is_found_however_much_is_made_and_the_rest_is_forgotten() {
        let mut made = 0;
        let held = code(5 << 40, &mut made);
        let most = LIMIT / OVERHEAD;
        for value in 0..2 * most as u64 {
            code(value | 7 << 40, &mut made);
        }
        assert!(Arc::ptr_eq(&held, &code(5 << 40, &mut made)));
        assert_eq!(made, 1 + 2 * most);
        code(7 << 40, &mut made);
        assert_eq!(made, 2 + 2 * most, "the oldest code was kept");
        // Other tests of this process may hold some as well.
        let (entries, bytes) = with_cache(|cache| (cache.entries.len(), cache.bytes));
        assert!(bytes <= LIMIT && entries < most + 10_000, "{bytes} bytes, {entries} entries");
    }
}
