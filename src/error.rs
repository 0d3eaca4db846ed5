//! The one public error type.
//!
//! Every variant belongs to one stage of the pipeline; every text names the culprit, what was expected,
//! what came, and what to do. Nothing here knows any other module.

use std::panic::Location;

/// What went wrong, by stage.
///
/// The variants say who is to act: `Build`, `Argument` and `Shape` are the caller's to mend, `Memory`, `File` and
/// `Device` the machine's, `Internal` is always a bug of Kroton.
///
/// ```
/// use kroton::{Error, compile, vector};
/// let x = vector::<f64>("x");
/// let error = compile([&x], &x & 1).unwrap_err();
/// assert!(matches!(error, Error::Build { .. }));
/// assert!(error.to_string().starts_with("`and` takes bool and integers, not f64"));
/// let error = compile([&x], x.max(..)).unwrap().call::<f64>((&[0.0; 0],)).unwrap_err();
/// assert!(matches!(error, Error::Shape(_)));
/// assert!(error.to_string().starts_with("`max` of an empty array: axis 0 of `x` is 0"));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An expression that cannot be typed; found while building, reported by `compile`.
    #[error("{message}\n  in the expression built at {location}")]
    Build {
        /// What is wrong, with the dtypes and shapes of the operands.
        message: String,
        /// The user's source line that built the ill-typed expression.
        location: &'static Location<'static>,
    },
    /// An argument (or an output) of a call or of `compile` that does not fit its place.
    #[error("{0}")]
    Argument(String),
    /// Sizes that do not fit together, found when the sizes of a call are known.
    #[error("{0}")]
    Shape(String),
    /// A device that is missing, lost, or refused the work.
    #[error("{0}")]
    Device(String),
    /// Something that this build or engine does not do.
    #[error("{0}")]
    Unsupported(String),
    /// A text that is not a graph.
    #[error("line {line}, column {column}: {message}")]
    Parse {
        /// The line of the text, from 1.
        line: usize,
        /// The character of the line, from 1.
        column: usize,
        /// What was expected and what was found.
        message: String,
    },
    /// A file that cannot be read or written, or that does not hold what it should.
    #[error("{0}")]
    File(String),
    /// A numeric check that failed.
    #[error("{0}")]
    NumericCheck(String),
    /// A task that was canceled before it was done.
    #[error("{0}")]
    Canceled(String),
    /// A panic in a task: in a function of the host that it called, or in who watched its progress.
    #[error("{0}")]
    Panic(String),
    /// Memory that cannot be had.
    #[error("{0}")]
    Memory(String),
    /// A bug in Kroton.
    #[error("internal error (a bug in Kroton, please report it): {0}")]
    Internal(String),
}

/// `Result` with Kroton's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
