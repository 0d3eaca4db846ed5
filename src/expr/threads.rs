//! Pools of threads of the sizes that functions ask for, shared between functions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::backend::Pool;
use crate::error::{Error, Result};

static POOLS: Mutex<Option<HashMap<usize, Weak<Pool>>>> = Mutex::new(None);

/// The most threads that a function may ask for.
const MOST_THREADS: usize = 1024;

/// The pool of this many threads; it lives as long as a function that uses it.
///
/// # Errors
/// `Argument` for no threads or absurdly many.
pub fn pool(threads: usize) -> Result<Arc<Pool>> {
    if threads == 0 || threads > MOST_THREADS {
        return Err(Error::Argument(format!("threads({threads}): a function runs on 1 to {MOST_THREADS} threads")));
    }
    let mut guard = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let pools = guard.get_or_insert_with(HashMap::new);
    if let Some(pool) = pools.get(&threads).and_then(Weak::upgrade) {
        return Ok(pool);
    }
    let pool = Arc::new(Pool::new(threads));
    pools.insert(threads, Arc::downgrade(&pool));
    Ok(pool)
}
