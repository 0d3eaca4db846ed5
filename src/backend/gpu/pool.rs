//! Buffers that wait for their next use.
//!
//! A buffer comes back as soon as its last user lets go, even while submitted commands still use it: commands of one queue
//! run in order, so whatever a later user submits comes after them. A user must therefore hold on to its buffers until
//! its commands are submitted. What waits is bounded in bytes; the longest-waiting buffers go first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wgpu::{Buffer, BufferUsages};

/// The smallest buffer.
const SMALLEST: u64 = 256;

/// What a waiting buffer counts for beside its bytes: the driver's and wgpu's own records of it.
const OVERHEAD: u64 = 4096;

/// The waiting buffers of one usage.
#[derive(Debug)]
pub(super) struct Pool {
    /// What its buffers are for.
    pub(super) usage: BufferUsages,
    /// The most bytes that wait.
    limit: u64,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// By capacity; the longest-waiting one in front, with the time it came.
    classes: BTreeMap<u64, VecDeque<(u64, Buffer)>>,
    bytes: u64,
    clock: u64,
}

impl Pool {
    pub(super) fn new(usage: BufferUsages, limit: u64) -> Pool {
        Pool { usage, limit, idle: Mutex::default() }
    }

    /// A waiting buffer of this capacity.
    pub(super) fn take(&self, capacity: u64) -> Option<Buffer> {
        self.lock().take(capacity)
    }

    /// Keeps a buffer for its next use, and lets others go if there are too many.
    pub(super) fn give(&self, buffer: Buffer) {
        // Dropped without the lock: freeing takes a while.
        let _surplus = self.lock().give(buffer, self.limit);
    }

    /// Lets all go.
    pub(super) fn clear(&self) {
        let _surplus = std::mem::take(&mut *self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn take(&mut self, capacity: u64) -> Option<Buffer> {
        // The latest one is the likeliest to be in a cache.
        let (_, buffer) = self.classes.get_mut(&capacity)?.pop_back()?;
        self.forget(capacity);
        Some(buffer)
    }

    fn give(&mut self, buffer: Buffer, limit: u64) -> Vec<Buffer> {
        let capacity = buffer.size();
        self.clock += 1;
        self.bytes += capacity + OVERHEAD;
        self.classes.entry(capacity).or_default().push_back((self.clock, buffer));
        let mut surplus = Vec::new();
        while self.bytes > limit {
            surplus.extend(self.take_oldest());
        }
        surplus
    }

    fn take_oldest(&mut self) -> Option<Buffer> {
        let came = |class: &VecDeque<(u64, Buffer)>| class.front().map(|(time, _)| *time);
        let (&capacity, _) = self.classes.iter().min_by_key(|(_, class)| came(class))?;
        let (_, buffer) = self.classes.get_mut(&capacity)?.pop_front()?;
        self.forget(capacity);
        Some(buffer)
    }

    /// One buffer of a class has left.
    fn forget(&mut self, capacity: u64) {
        self.bytes -= capacity + OVERHEAD;
        if self.classes.get(&capacity).is_some_and(VecDeque::is_empty) {
            self.classes.remove(&capacity);
        }
    }
}

/// The capacity of a buffer for so many bytes: eight sizes between a power of two and the next, so that few different
/// ones are made and at most an eighth is wasted.
pub(super) fn capacity(bytes: u64, limit: u64) -> u64 {
    let step = (bytes.max(SMALLEST).next_power_of_two() / 16).max(SMALLEST);
    bytes.max(1).next_multiple_of(step).min(limit & !3)
}
