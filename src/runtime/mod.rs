//! What a call takes and gives: borrowed arguments, fresh results, and places in the caller's memory.
//!
//! Everything is checked against dtype and shape before it is used, and nothing is copied. This module knows arrays
//! and dtypes; not graphs, not kernels.

pub mod arg;
pub mod args;
pub mod out_args;
pub mod outputs;
pub mod place;

pub use arg::Arg;
pub use args::{Args, IntoArg};
pub use out_args::{IntoOutPlace, OutArgs};
pub use outputs::{FromOutput, FromOutputs};
pub use place::{OutPlace, OutputSpec};

#[cfg(test)]
mod tests;
