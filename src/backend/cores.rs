//! The processor cores that a thread may run on, where the system tells.
//!
//! A helper keeps off one core at a time. Invariants: it runs nowhere but where its crew may; who is told from outside where
//! to run stays there. Must not know: what threads do.

#[cfg(all(target_os = "linux", not(miri)))]
pub(super) use linux::{Cores, Elsewhere, current};
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(super) use unknown::{Cores, Elsewhere, current};

/// A core that no thread is on.
pub(super) const NONE: usize = usize::MAX;

#[cfg(all(target_os = "linux", not(miri)))]
mod linux {
    use std::fmt;

    use libc::{CPU_CLR, CPU_EQUAL, CPU_ISSET, cpu_set_t, pid_t};
    use libc::{getpid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use super::NONE;

    /// The core that this thread is on right now.
    pub fn current() -> usize {
        // SAFETY: it takes nothing.
        usize::try_from(unsafe { sched_getcpu() }).unwrap_or(NONE)
    }

    /// Some cores; none where the system does not tell.
    #[derive(Clone, Copy)]
    pub struct Cores(cpu_set_t);

    /// How many cores a set has room for.
    const MOST: usize = 8 * size_of::<cpu_set_t>();

    impl fmt::Debug for Cores {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_set().entries((0..MOST).filter(|&core| self.has(core))).finish()
        }
    }

    impl Cores {
        /// Where this thread may run.
        pub fn of_this_thread() -> Cores {
            Cores::of(0)
        }

        /// Where the thread may run that the process began with.
        pub fn of_the_process() -> Cores {
            // SAFETY: it takes nothing.
            Cores::of(unsafe { getpid() })
        }

        fn none() -> Cores {
            // SAFETY: a set is plain bits.
            Cores(unsafe { std::mem::zeroed() })
        }

        fn of(thread: pid_t) -> Cores {
            let mut cores = Cores::none();
            // SAFETY: the set is of this size.
            let result = unsafe { sched_getaffinity(thread, size_of::<cpu_set_t>(), &raw mut cores.0) };
            if result == 0 { cores } else { Cores::none() }
        }

        /// Says that this thread may run there; nowhere at all is refused.
        fn allow(&self) -> bool {
            // SAFETY: the set is of this size; 0 is this thread.
            unsafe { sched_setaffinity(0, size_of::<cpu_set_t>(), &raw const self.0) == 0 }
        }

        fn has(&self, core: usize) -> bool {
            // SAFETY: the set has room for it.
            core < MOST && unsafe { CPU_ISSET(core, &self.0) }
        }

        fn count(&self) -> usize {
            (0..MOST).filter(|&core| self.has(core)).count()
        }

        fn without(mut self, core: usize) -> Cores {
            if core < MOST {
                // SAFETY: the set has room for it.
                unsafe { CPU_CLR(core, &mut self.0) };
            }
            self
        }
    }

    impl PartialEq for Cores {
        fn eq(&self, other: &Cores) -> bool {
            // SAFETY: sets are plain bits.
            unsafe { CPU_EQUAL(&self.0, &other.0) }
        }
    }

    /// Where this thread may run: on the cores of its crew, but for one.
    #[derive(Debug)]
    pub struct Elsewhere {
        all: Cores,
        avoided: usize,
        /// What the system made of what was said last.
        now: Cores,
    }

    impl Elsewhere {
        /// Lets this thread run on these cores, whoever started it.
        pub fn within(all: Cores) -> Elsewhere {
            if all.count() > 0 {
                all.allow();
            }
            Elsewhere { all, avoided: NONE, now: Cores::of_this_thread() }
        }

        /// Keeps this thread off another core than before, if there are others.
        pub fn than(&mut self, core: usize) {
            if core == self.avoided || self.all.count() < 2 {
                return;
            }
            self.avoided = core;
            if Cores::of_this_thread() != self.now {
                // Somebody else has said where it may run.
                self.all = Cores::none();
                return;
            }
            if !self.all.without(core).allow() {
                self.all.allow();
            }
            self.now = Cores::of_this_thread();
        }

        /// Whether it may run there.
        #[cfg(test)]
        pub fn may_be_on(&self, core: usize) -> bool {
            self.now.has(core)
        }
    }

    #[cfg(test)]
    mod tests {
        use std::thread;

        use super::*;

        /// Runs on a thread of its own, whose mask is its own.
        fn apart(test: impl FnOnce() + Send + 'static) {
            thread::spawn(test).join().unwrap();
        }

        fn first_two(cores: &Cores) -> Option<[usize; 2]> {
            let mut some = (0..MOST).filter(|&core| cores.has(core));
            Some([some.next()?, some.next()?])
        }

        #[test]
        fn a_thread_keeps_off_one_core_of_its_crews_at_a_time() {
            apart(|| {
                let all = Cores::of_this_thread();
                let Some([a, b]) = first_two(&all) else { return };
                let mut place = Elsewhere::within(all);
                for core in [a, b, a, NONE, MOST, b] {
                    place.than(core);
                    assert_eq!(Cores::of_this_thread(), all.without(core), "off {core}");
                    assert_ne!(current(), core);
                }
            });
        }

        #[test]
        fn who_starts_a_thread_does_not_say_where_it_runs() {
            apart(|| {
                let all = Cores::of_this_thread();
                let Some([a, b]) = first_two(&all) else { return };
                // As inherited from a caller that is pinned to `a`.
                assert!(Elsewhere::within(all.without(b)).all.has(a));
                let mut place = Elsewhere::within(all);
                assert_eq!(Cores::of_this_thread(), all);
                place.than(a);
                assert_eq!(Cores::of_this_thread(), all.without(a));
            });
        }

        #[test]
        fn no_core_is_added_that_the_crew_may_not_run_on() {
            apart(|| {
                let all = Cores::of_this_thread();
                let Some([a, b]) = first_two(&all) else { return };
                let mut one = all;
                (0..MOST).filter(|&core| core != a).for_each(|core| one = one.without(core));
                let mut place = Elsewhere::within(one);
                for core in [a, b, a] {
                    place.than(core);
                    assert_eq!(Cores::of_this_thread(), one);
                }
            });
        }

        #[test]
        fn who_is_told_from_outside_where_to_run_stays_there() {
            apart(|| {
                let all = Cores::of_this_thread();
                let Some([a, b]) = first_two(&all) else { return };
                let mut place = Elsewhere::within(all);
                place.than(a);
                let told = all.without(b);
                assert!(told.allow());
                for core in [b, a, NONE] {
                    place.than(core);
                    assert_eq!(Cores::of_this_thread(), told);
                }
            });
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod unknown {
    /// Nothing is known of cores.
    #[derive(Debug, Clone, Copy)]
    pub struct Cores;

    impl Cores {
        pub fn of_this_thread() -> Cores {
            Cores
        }

        pub fn of_the_process() -> Cores {
            Cores
        }
    }

    pub fn current() -> usize {
        super::NONE
    }

    #[derive(Debug)]
    pub struct Elsewhere;

    impl Elsewhere {
        pub fn within(_all: Cores) -> Elsewhere {
            Elsewhere
        }

        pub fn than(&mut self, _core: usize) {}

        #[cfg(test)]
        pub fn may_be_on(&self, _core: usize) -> bool {
            true
        }
    }
}
