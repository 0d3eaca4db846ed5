//! Kroton.
pub mod array;
pub mod backend;
pub mod dtype;
pub mod error;
pub mod graph;
pub mod loops;
pub mod ops;
pub mod optimize;
pub mod shape;
pub use array::Array;
pub use dtype::{DType, Element, Scalar};
pub use error::{Error, Result};
