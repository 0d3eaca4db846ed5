//! The threads that run calls as tasks: those of a rayon pool, where there is one.
//!
//! Must not know: what the tasks are.

use crate::backend::{Pool, is_child, watch_forks};

/// Who runs tasks.
pub enum TaskPool<'p> {
    /// The pool of the function that they call.
    Own(&'p rayon::ThreadPool),
    /// The pool of the caller, or rayon's global one.
    Callers,
    /// There is none, nor can be: the caller runs them itself.
    Nobody,
}

impl TaskPool<'_> {
    /// Who runs the tasks of this thread that call a function with that pool.
    pub fn of(own: Option<&Pool>) -> TaskPool<'_> {
        match own {
            _ if is_child() => TaskPool::Nobody,
            Some(own) if rayon::current_thread_index().is_none() => own.rayon().map_or(TaskPool::Nobody, TaskPool::Own),
            Some(_) | None => {
                watch_forks();
                TaskPool::Callers
            }
        }
    }
}
