//! Calls that run in the background: what [`Function::submit`] gives, and how to wait for many.
//!
//! A task owns its arguments and holds the function. Whatever becomes of it, a result, an error or a panic, is told to
//! the one `Pending` that it belongs to, and never to the pool. Must not know: what a call does.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::runtime::owned::Owned;
use crate::runtime::task_pool::TaskPool;
use crate::runtime::waiting::Awaited;
use crate::runtime::{Arg, Args, FromOutputs, Function};

/// A call that runs in the background, made by [`Function::submit`]. Dropping it lets the call run to its end.
///
/// It is a `Future` too: `pending.await` in any async runtime gives what [`wait`](Pending::wait) does, and blocks nobody.
#[must_use = "the result, or the error, is only seen by who waits for it"]
pub struct Pending<R>(Arc<Task<R>>);

/// What a `Pending` and its task share.
struct Task<R> {
    name: String,
    progress: Awaited<Progress<R>>,
}

/// How far a task is, and who wants to know.
struct Progress<R> {
    stage: Stage<R>,
    waker: Option<Waker>,
    /// The number of the task for those who wait for one of several.
    queue: Option<(usize, Arc<Finished>)>,
}

enum Stage<R> {
    Queued,
    Running,
    Done(Result<R>),
    /// The result was handed over.
    Taken,
}

/// The numbers of tasks that are done, in the order in which they were.
type Finished = Awaited<std::collections::VecDeque<usize>>;

impl Function {
    /// Calls the function in the background, on the rayon pool of this thread, else on the pool that the function was
    /// compiled for with [`threads`](crate::Compiler::threads), or the global one; where the system refuses to start threads for
    /// it, at once.
    ///
    /// Borrowed arguments are copied, since the call may outlive them; a [`kroton::Array`](crate::Array) by value is moved.
    /// Errors of the call, those about its arguments too, come from [`Pending::wait`].
    ///
    /// ```
    /// use kroton::{Pending, compile, vector};
    /// let x = vector::<f64>("x");
    /// let f = compile([&x], x.sum(..))?;
    /// let tasks: Vec<Pending<f64>> = (1..4).map(|n| f.submit((&vec![1.0; n],))).collect();
    /// assert_eq!(kroton::wait_all(tasks)?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn submit<'a, R: FromOutputs + Send + 'static>(&self, arguments: impl Args<'a>) -> Pending<R> {
        let task = Arc::new(Task::new(self.name()));
        let owned = arguments.with(|arguments| arguments.iter().map(Owned::of).collect::<Result<Vec<_>>>());
        match owned {
            Err(error) => task.finish(Err(error)),
            Ok(owned) => {
                let (function, own) = (self.clone(), Arc::clone(&task));
                self.spawn(move || own.run(move || function.call_owned(&owned)));
            }
        }
        Pending(task)
    }

    fn call_owned<R: FromOutputs>(&self, owned: &[Owned]) -> Result<R> {
        let arguments: Vec<Arg<'_>> = owned.iter().map(Owned::view).collect();
        self.call(arguments.as_slice())
    }

    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        match self.task_pool() {
            TaskPool::Own(pool) => pool.spawn(task),
            TaskPool::Callers => rayon::spawn(task),
            TaskPool::Nobody => task(),
        }
    }
}

impl<R> Task<R> {
    fn new(name: &str) -> Task<R> {
        let progress = Progress { stage: Stage::Queued, waker: None, queue: None };
        Task { name: name.to_string(), progress: Awaited::new(progress) }
    }

    /// Runs the task, unless it was canceled. The call owns all that it needs, so that it is dropped before anybody hears of
    /// the result: memory goes back to where it is kept under a lock, which must be free if who waited forks the process. What
    /// a canceled call owns is dropped when its turn comes.
    fn run(&self, call: impl FnOnce() -> Result<R> + 'static) {
        let begins = self.progress.look(|progress| {
            let is_queued = matches!(progress.stage, Stage::Queued);
            if is_queued {
                progress.stage = Stage::Running;
            }
            is_queued
        });
        if begins {
            self.finish(caught(&self.name, call));
        }
    }

    /// Tells everybody.
    fn finish(&self, result: Result<R>) {
        let (waker, queue) = self.progress.change(|progress| {
            progress.stage = Stage::Done(result);
            (progress.waker.take(), progress.queue.take())
        });
        // Outside the lock, as a waker may be anybody's code.
        if let Some((number, queue)) = queue {
            queue.change(|numbers| numbers.push_back(number));
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn canceled(&self) -> Error {
        Error::Canceled(format!("the call of `{}` was canceled before it began", self.name))
    }
}

impl<R> Progress<R> {
    /// The result, once.
    fn take(&mut self) -> Option<Result<R>> {
        match std::mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Done(result) => Some(result),
            stage @ (Stage::Queued | Stage::Running) => {
                self.stage = stage;
                None
            }
            Stage::Taken => Some(Err(Error::Argument(
                "the result of this task has been handed over already; keep what the first `await` gives".to_string(),
            ))),
        }
    }
}

/// Runs a call; a panic becomes an error.
pub(super) fn caught<R>(name: &str, call: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|panic| Err(Error::Panic(format!("a call of `{name}` panicked: {}", text_of(panic.as_ref())))))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

impl<R> Pending<R> {
    /// Waits for the result. On a thread of a rayon pool, other tasks of that pool run meanwhile, so that tasks may
    /// submit tasks and wait for them, in a pool of one thread too.
    ///
    /// # Errors
    /// Those of [`Function::call`]; `Panic` if the call panicked, `Canceled` after [`cancel`](Pending::cancel).
    pub fn wait(self) -> Result<R> {
        self.0.progress.wait(Progress::take)
    }

    /// Whether the call is over, so that `wait` does not wait.
    pub fn is_done(&self) -> bool {
        self.0.progress.look(|progress| matches!(progress.stage, Stage::Done(_) | Stage::Taken))
    }

    /// Cancels the call if it has not begun; says whether it did. `wait` then gives `Canceled`. A call that has begun
    /// runs to its end.
    ///
    /// ```
    /// use kroton::{Error, Pending, compile, vector};
    /// let x = vector::<f64>("x");
    /// let f = compile([&x], x.sum(..))?;
    /// let task: Pending<f64> = f.submit((&[1.0, 2.0],));
    /// match task.cancel() {
    ///     true => assert!(matches!(task.wait(), Err(Error::Canceled(_)))),
    ///     false => assert_eq!(task.wait()?, 3.0),
    /// }
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        let is_queued = self.0.progress.look(|progress| {
            let is_queued = matches!(progress.stage, Stage::Queued);
            if is_queued {
                progress.stage = Stage::Running;
            }
            is_queued
        });
        if is_queued {
            self.0.finish(Err(self.0.canceled()));
        }
        is_queued
    }
}

impl<R> Future for Pending<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        self.0.progress.look(|progress| match progress.take() {
            Some(result) => Poll::Ready(result),
            None => {
                progress.waker = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = self.0.progress.look(|progress| match progress.stage {
            Stage::Queued => "queued",
            Stage::Running => "running",
            Stage::Done(_) | Stage::Taken => "done",
        });
        write!(f, "Pending(`{}`, {stage})", self.0.name)
    }
}

/// Waits for all tasks; gives the results in the order of the tasks.
///
/// # Errors
/// That of the first task, in their order, that has one. All tasks are over then.
///
/// ```
/// use kroton::{Pending, compile, scalar, wait_all};
/// let x = scalar::<f64>("x");
/// let square = compile([&x], &x * &x)?;
/// let tasks: Vec<Pending<f64>> = (0..5).map(|i| square.submit((i,))).collect();
/// assert_eq!(wait_all(tasks)?, [0.0, 1.0, 4.0, 9.0, 16.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn wait_all<R>(tasks: impl IntoIterator<Item = Pending<R>>) -> Result<Vec<R>> {
    let tasks: Vec<Pending<R>> = tasks.into_iter().collect();
    let results: Vec<Result<R>> = tasks.into_iter().map(Pending::wait).collect();
    results.into_iter().collect()
}

/// The results of tasks in the order in which they are done, each with the number of its task.
///
/// ```
/// use kroton::{Pending, as_completed, compile, scalar};
/// let x = scalar::<f64>("x");
/// let square = compile([&x], &x * &x)?;
/// let tasks: Vec<Pending<f64>> = (0..5).map(|i| square.submit((i,))).collect();
/// let mut results: Vec<(usize, f64)> = Vec::new();
/// for (number, result) in as_completed(tasks) {
///     results.push((number, result?));
/// }
/// results.sort_by_key(|(number, _)| *number);
/// assert_eq!(results[3], (3, 9.0));
/// # Ok::<(), kroton::Error>(())
/// ```
pub fn as_completed<R>(tasks: impl IntoIterator<Item = Pending<R>>) -> AsCompleted<R> {
    let finished = Arc::new(Finished::default());
    let tasks: Vec<Option<Pending<R>>> = tasks.into_iter().map(Some).collect();
    for (number, task) in tasks.iter().flatten().enumerate() {
        let is_done = task.0.progress.look(|progress| {
            let is_done = matches!(progress.stage, Stage::Done(_) | Stage::Taken);
            if !is_done {
                progress.queue = Some((number, Arc::clone(&finished)));
            }
            is_done
        });
        if is_done {
            finished.change(|numbers| numbers.push_back(number));
        }
    }
    AsCompleted { left: tasks.len(), tasks, finished }
}

/// What [`as_completed`] gives.
#[derive(Debug)]
pub struct AsCompleted<R> {
    tasks: Vec<Option<Pending<R>>>,
    finished: Arc<Finished>,
    left: usize,
}

impl<R> Iterator for AsCompleted<R> {
    type Item = (usize, Result<R>);

    fn next(&mut self) -> Option<(usize, Result<R>)> {
        self.left = self.left.checked_sub(1)?;
        let number = self.finished.wait(std::collections::VecDeque::pop_front);
        Some((number, self.tasks[number].take()?.wait()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<R> ExactSizeIterator for AsCompleted<R> {}
