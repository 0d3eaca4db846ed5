//! One call for each of many arguments, over a thread pool, with the results in order.
//!
//! Calls are tasks of the pool that wait for each other nowhere. Of several errors the one of the first item is given:
//! items behind one that failed may be left out, items before it are not. Must not know: what a call does.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::runtime::pending::caught;
use crate::runtime::task_pool::TaskPool;
use crate::runtime::{Args, FromOutputs, Function};

/// Cancels what it was given to; clones are the same token.
///
/// ```
/// let token = kroton::CancelToken::new();
/// let other = token.clone();
/// other.cancel();
/// assert!(token.is_canceled());
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that cancels nothing yet.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Cancels: calls that have not begun do not begin.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was canceled.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How [`Function::map_with`] runs.
#[derive(Default)]
pub struct MapOptions<'o> {
    progress: Option<Box<dyn Fn(usize, usize) + Send + Sync + 'o>>,
    cancel: Option<CancelToken>,
}

impl<'o> MapOptions<'o> {
    /// Without progress and cancellation.
    pub fn new() -> MapOptions<'o> {
        MapOptions::default()
    }

    /// Calls this after each call with the number of calls that are done, and of all. It runs on the threads of the pool, on
    /// several at a time; each number of calls comes once.
    pub fn progress(mut self, progress: impl Fn(usize, usize) + Send + Sync + 'o) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Lets a token cancel the rest.
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }
}

impl fmt::Debug for MapOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapOptions {{ progress: {}, cancel: {:?} }}", self.progress.is_some(), self.cancel)
    }
}

impl Function {
    /// Calls the function once for each item, a tuple of arguments as [`call`](Function::call) takes it, over the rayon pool
    /// of the caller, else the one that the function was compiled for. The results come in the order of the items.
    ///
    /// # Errors
    /// The first, in the order of the items, of those that calls meet; `Panic` for a call that panicked. Items behind it may
    /// not have been called.
    ///
    /// ```
    /// use kroton::{compile, scalar};
    /// let x = scalar::<f64>("x");
    /// let square = compile([&x], &x * &x)?;
    /// let squares: Vec<f64> = square.map((0..5).map(|i| (i,)))?;
    /// assert_eq!(squares, [0.0, 1.0, 4.0, 9.0, 16.0]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn map<'a, R: FromOutputs + Send, A: Args<'a> + Send>(
        &self,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>> {
        self.map_with(MapOptions::new(), items)
    }

    /// As [`map`](Function::map), telling of its progress, and until a token cancels it.
    ///
    /// # Errors
    /// As `map`; `Canceled` if the token left out calls.
    ///
    /// ```
    /// use kroton::{CancelToken, Error, MapOptions, compile, scalar};
    /// let x = scalar::<f64>("x");
    /// let square = compile([&x], &x * &x)?;
    /// let token = CancelToken::new();
    /// let options = MapOptions::new().cancel(&token).progress(|done, total| {
    ///     println!("{done} of {total}");
    ///     token.cancel();
    /// });
    /// let result: kroton::Result<Vec<f64>> = square.map_with(options, (0..1000).map(|i| (i,)));
    /// assert!(matches!(result, Err(Error::Canceled(_))));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn map_with<'a, R: FromOutputs + Send, A: Args<'a> + Send>(
        &self,
        options: MapOptions<'_>,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>> {
        let items: Vec<A> = items.into_iter().collect();
        let (total, done, first_failed) = (items.len(), AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let is_canceled = || options.cancel.as_ref().is_some_and(CancelToken::is_canceled);
        let call = |(number, item): (usize, A)| -> Option<Result<R>> {
            if first_failed.load(Ordering::Relaxed) < number || is_canceled() {
                return None;
            }
            let result = caught(self.name(), || {
                let result = self.call(item)?;
                let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                options.progress.iter().for_each(|progress| progress(count, total));
                Ok(result)
            });
            if result.is_err() {
                first_failed.fetch_min(number, Ordering::Relaxed);
            }
            Some(result)
        };
        let shared = |items: Vec<A>| items.into_par_iter().with_max_len(1).enumerate().map(call).collect::<Vec<_>>();
        let results = match self.task_pool() {
            TaskPool::Own(pool) => pool.install(|| shared(items)),
            TaskPool::Callers => shared(items),
            TaskPool::Nobody => items.into_iter().enumerate().map(call).collect(),
        };
        self.gathered(results, done.into_inner())
    }

    fn gathered<R>(&self, results: Vec<Option<Result<R>>>, done: usize) -> Result<Vec<R>> {
        let total = results.len();
        // What was left out behind an error comes after it.
        let whole = results.into_iter().map(|result| {
            result.unwrap_or_else(|| {
                let name = self.name();
                Err(Error::Canceled(format!("`{name}` was canceled after {done} of {total} calls")))
            })
        });
        whole.collect()
    }
}
