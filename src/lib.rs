//! Kroton.
pub mod array;
pub mod backend;
pub mod dtype;
pub mod error;
pub mod eval;
pub mod graph;
pub mod inspect;
pub mod loops;
pub mod lower;
pub mod ops;
pub mod runtime;
pub mod schedule;
pub mod shape;
pub use array::Array;
pub use dtype::{DType, Element, Scalar};
pub use error::{Error, Result};
