//! Kroton.
#[doc(hidden)]
pub mod array;
#[doc(hidden)]
pub mod backend;
#[doc(hidden)]
pub mod dtype;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod eval;
#[doc(hidden)]
pub mod graph;
pub mod inspect;
#[doc(hidden)]
pub mod loops;
#[doc(hidden)]
pub mod lower;
pub mod ops;
#[doc(hidden)]
pub mod runtime;
#[doc(hidden)]
pub mod schedule;
#[doc(hidden)]
pub mod shape;
pub use array::Array;
pub use dtype::{DType, Element, Scalar};
pub use error::{Error, Result};
