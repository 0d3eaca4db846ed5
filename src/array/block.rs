//! Aligned memory from a pool.
//!
//! A block is 64-byte aligned and always holds initialized bytes: fresh memory is zeroed by the system, recycled
//! memory holds what was written before, which is a value of every number type; `Array` clears it where it becomes
//! bools. The pool keeps blocks by size class and is bounded in bytes; what does not fit goes back to the system. Large
//! blocks are mapped: the system zeroes their pages when they are first touched, in huge pages where it has them, so that
//! nobody writes them twice.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Mutex;

use memmap2::MmapMut;

use crate::dtype::Element;
use crate::error::{Error, Result};

/// The alignment of every block: a cache line, and the widest vector register.
const ALIGNMENT: usize = 64;

/// The most that the pool keeps.
const POOL_LIMIT: usize = 1 << 30;

/// Smaller blocks are left to the allocator, which recycles them itself.
const POOLED_FROM: usize = 1 << 16;

/// Blocks of this size and more are mapped.
const MAPPED_FROM: usize = 4 << 20;

/// The size of a huge page, at multiples of which mapped blocks begin.
const HUGE_PAGE: usize = 2 << 20;

/// Owned, aligned, initialised memory.
pub struct Block {
    pointer: NonNull<u8>,
    len: usize,
    capacity: usize,
    /// What owns the memory, if it is mapped.
    mapping: Option<MmapMut>,
}

// SAFETY: a block owns its memory, and shared access is only to bytes.
unsafe impl Send for Block {}
// SAFETY: as above; writing needs `&mut`.
unsafe impl Sync for Block {}

struct Pool {
    free: HashMap<usize, Vec<Block>>,
    bytes: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

impl Block {
    /// A block of this many bytes, from the pool if it has one.
    ///
    /// # Errors
    /// `Memory` if the system has none.
    pub fn new(len: usize) -> Result<Block> {
        let capacity = capacity_for(len)?;
        if capacity >= POOLED_FROM
            && let Some(mut block) = take_from_pool(capacity)
        {
            block.len = len;
            return Ok(block);
        }
        Block::allocate(len, capacity).ok_or_else(|| {
            Error::Memory(format!(
                "no memory for an array of {len} bytes; free some, or split the work into smaller arrays"
            ))
        })
    }

    /// A block as large as memory that already exists, so that running out is as fatal as it is for `Vec`.
    pub fn for_existing(len: usize) -> Block {
        Block::new(len).unwrap_or_else(|_| {
            std::alloc::handle_alloc_error(Layout::from_size_align(len, 1).unwrap_or(Layout::new::<u8>()))
        })
    }

    fn allocate(len: usize, capacity: usize) -> Option<Block> {
        if capacity >= MAPPED_FROM {
            return Block::map(len, capacity);
        }
        let layout = Layout::from_size_align(capacity, ALIGNMENT).ok()?;
        // SAFETY: the layout has a size above zero (`capacity_for` rounds up).
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Block { pointer, len, capacity, mapping: None })
    }

    fn map(len: usize, capacity: usize) -> Option<Block> {
        let mut mapping = MmapMut::map_anon(capacity.checked_add(HUGE_PAGE)?).ok()?;
        // A system without huge pages serves small ones as well.
        #[cfg(target_os = "linux")]
        let _ = mapping.advise(memmap2::Advice::HugePage);
        let offset = mapping.as_ptr().align_offset(HUGE_PAGE);
        let pointer = NonNull::from(mapping.get_mut(offset..)?.first_mut()?);
        Some(Block { pointer, len, capacity, mapping: Some(mapping) })
    }

    /// The size in bytes.
    pub fn byte_len(&self) -> usize {
        self.len
    }

    /// Where the contents begin.
    pub fn address(&self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len <= capacity` initialised bytes are owned by `self`.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }

    /// The contents, to write to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }

    /// The contents as elements; the caller (`Array`) holds the dtype that was written.
    pub(super) fn elements<T: Element>(&self) -> &[T] {
        // SAFETY: the alignment of a block suffices for every element type, and `Array` keeps the bytes valid for T.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr().cast(), self.len / size_of::<T>()) }
    }

    /// The contents as elements, to write to.
    pub(super) fn elements_mut<T: Element>(&mut self) -> &mut [T] {
        // SAFETY: as for `elements`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr().cast(), self.len / size_of::<T>()) }
    }
}

impl Clone for Block {
    fn clone(&self) -> Block {
        let mut copy = Block::for_existing(self.len);
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.capacity >= POOLED_FROM && return_to_pool(self) {
            return;
        }
        if self.mapping.is_some() {
            return;
        }
        // SAFETY: allocated with this layout in `allocate`, not mapped, and not handed to the pool.
        unsafe { dealloc(self.pointer.as_ptr(), Layout::from_size_align_unchecked(self.capacity, ALIGNMENT)) }
    }
}

/// The bytes that the pool holds ready.
pub fn pool_bytes() -> usize {
    POOL.lock().map_or(0, |pool| pool.as_ref().map_or(0, |pool| pool.bytes))
}

/// Rounds up to a sixteenth of the power of two below, so that nearly equal sizes share blocks.
fn capacity_for(len: usize) -> Result<usize> {
    let step = (len.checked_next_power_of_two().unwrap_or(1) / 16).max(ALIGNMENT);
    len.max(1)
        .checked_next_multiple_of(step)
        .filter(|&capacity| capacity <= isize::MAX as usize - ALIGNMENT)
        .ok_or_else(|| Error::Memory(format!("an array of {len} bytes exceeds the address space")))
}

fn take_from_pool(capacity: usize) -> Option<Block> {
    let mut guard = POOL.lock().ok()?;
    let pool = guard.as_mut()?;
    let block = pool.free.get_mut(&capacity)?.pop()?;
    pool.bytes -= capacity;
    Some(block)
}

/// Hands the memory of a dropped block to the pool; false if the pool is full.
fn return_to_pool(block: &mut Block) -> bool {
    let Ok(mut guard) = POOL.lock() else { return false };
    let pool = guard.get_or_insert_with(|| Pool { free: HashMap::new(), bytes: 0 });
    if pool.bytes + block.capacity > POOL_LIMIT {
        return false;
    }
    pool.bytes += block.capacity;
    let kept = Block { pointer: block.pointer, len: 0, capacity: block.capacity, mapping: block.mapping.take() };
    pool.free.entry(block.capacity).or_default().push(kept);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_block_is_handed_out_again() {
        let len = 3_141_592;
        let address = Block::new(len).map(|block| block.pointer).unwrap();
        let again = Block::new(len).unwrap();
        assert_eq!(again.pointer, address);
        assert_eq!(again.pointer.as_ptr() as usize % ALIGNMENT, 0);
    }

    #[test]
    fn large_blocks_are_mapped_zeroed_and_recycled() {
        let len = MAPPED_FROM + 271_828;
        let mut block = Block::new(len).unwrap();
        assert!(block.mapping.is_some() && block.bytes().iter().all(|&byte| byte == 0));
        assert_eq!(block.pointer.as_ptr() as usize % HUGE_PAGE, 0);
        block.bytes_mut()[len - 1] = 7;
        let address = block.pointer;
        drop(block);
        let again = Block::new(len).unwrap();
        assert_eq!((again.pointer, again.bytes()[len - 1]), (address, 7), "recycled memory was cleared");
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(Block::new(usize::MAX).is_err());
        assert!(Block::new(1 << 60).is_err());
    }
}
