//! Whether this process is a fork of one where threads did work of Kroton's: then it has none of them, and gets none.
//!
//! Locks that such a thread held at that moment stay locked for ever, and a pool counts on threads that are not there. So all
//! work is done by callers. A process that had only compiled had no such threads, and its forks start their own.
//! Invariant: forks are watched before anything is changed that counts on threads. Must not know: what threads do.

#[cfg(not(all(unix, not(miri))))]
pub use nowhere::{is_child, watch_forks};
#[cfg(all(unix, not(miri)))]
pub use system::{is_child, watch_forks};

#[cfg(all(unix, not(miri)))]
mod system {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};

    static IS_CHILD: AtomicBool = AtomicBool::new(false);

    /// Notes forks from now on.
    pub fn watch_forks() {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY: the function may run at any time. Where there is no memory to register it, forks go unnoticed.
            unsafe { libc::pthread_atfork(None, None, Some(note)) };
        });
    }

    extern "C" fn note() {
        IS_CHILD.store(true, Ordering::Relaxed);
    }

    /// Whether this process was forked from one that watched.
    pub fn is_child() -> bool {
        IS_CHILD.load(Ordering::Relaxed)
    }
}

#[cfg(not(all(unix, not(miri))))]
mod nowhere {
    pub fn watch_forks() {}

    pub fn is_child() -> bool {
        false
    }
}
