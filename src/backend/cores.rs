//! The processor core that a thread is on, where the system tells.
//!
//! Must not know: what threads do.

#[cfg(all(target_os = "linux", not(miri)))]
pub(super) use linux::{Elsewhere, current};
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) use unknown::{Elsewhere, current};

/// A core that no thread is on.
const NONE: usize = usize::MAX;

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use std::fmt;

    use libc::{CPU_CLR, CPU_EQUAL, CPU_SET, cpu_set_t, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use super::NONE;

    /// The core that this thread is on right now.
    pub fn current() -> usize {
        // SAFETY: it takes nothing.
        usize::try_from(unsafe { sched_getcpu() }).unwrap_or(NONE)
    }

    /// Some cores.
    #[derive(Clone, Copy)]
    struct Cores(cpu_set_t);

    /// How many cores a set has room for.
    const MOST: usize = 8 * size_of::<cpu_set_t>();

    impl fmt::Debug for Cores {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cores")
        }
    }

    impl Cores {
        fn none() -> Cores {
            // SAFETY: a set is plain bits.
            Cores(unsafe { std::mem::zeroed() })
        }

        /// Where this thread may run, if the system tells.
        fn allowed() -> Option<Cores> {
            let mut cores = Cores::none();
            // SAFETY: the set is of this size; 0 is this thread.
            let result = unsafe { sched_getaffinity(0, size_of::<cpu_set_t>(), &raw mut cores.0) };
            (result == 0).then_some(cores)
        }

        /// Says where this thread may run, and moves it there; nowhere at all is refused.
        fn allow(&self) -> bool {
            // SAFETY: as above.
            unsafe { sched_setaffinity(0, size_of::<cpu_set_t>(), &raw const self.0) == 0 }
        }

        fn with(mut self, core: usize) -> Cores {
            assert!(core < MOST);
            // SAFETY: the set has room for it.
            unsafe { CPU_SET(core, &mut self.0) };
            self
        }

        fn without(mut self, core: usize) -> Cores {
            assert!(core < MOST);
            // SAFETY: as above.
            unsafe { CPU_CLR(core, &mut self.0) };
            self
        }
    }

    impl PartialEq for Cores {
        fn eq(&self, other: &Cores) -> bool {
            // SAFETY: sets are plain bits.
            unsafe { CPU_EQUAL(&self.0, &other.0) }
        }
    }

    /// Where a thread may run: where it might from the first, but for one core.
    #[derive(Debug)]
    pub struct Elsewhere {
        core: usize,
        rest: Cores,
    }

    impl Default for Elsewhere {
        fn default() -> Elsewhere {
            Elsewhere { core: NONE, rest: Cores::none() }
        }
    }

    impl Elsewhere {
        /// Keeps this thread off another core than before, unless it may run there alone.
        pub fn than(&mut self, core: usize) {
            if core == self.core || core >= MOST {
                return;
            }
            let Some(mut cores) = Cores::allowed() else { return };
            // If not, somebody else has said meanwhile where it may run.
            if self.core != NONE && cores == self.rest {
                cores = cores.with(self.core);
            }
            let rest = cores.without(core);
            *self = if rest.allow() { Elsewhere { core, rest } } else { Elsewhere { core: NONE, rest: cores } };
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod unknown {
    /// Nothing is known of cores.
    #[derive(Debug, Default)]
    pub struct Elsewhere;

    pub fn current() -> usize {
        super::NONE
    }

    impl Elsewhere {
        pub fn than(&mut self, _core: usize) {}
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_moves_off_one_core_and_may_return_to_the_one_before() {
        // Before it is said where the thread may run.
        let is_only = thread::available_parallelism().map_or(true, |cores| cores.get() == 1);
        let moves = move || {
            let mut place = Elsewhere::default();
            for _ in 0..3 {
                let core = current();
                place.than(core);
                assert!(core == NONE || is_only || current() != core, "still on core {core}");
            }
        };
        thread::spawn(moves).join().unwrap();
    }
}
