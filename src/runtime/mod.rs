//! What a user calls: functions, their arguments and results, and the programs behind them.
//!
//! `arg`, `args`, `outputs`, `out_args` and `place` are the types of a call's two ends; `memory` is strided memory
//! as the engines' drivers see it; `program` runs a lowered plan; `function` ties them together. Everything is
//! checked before anything is written. This module knows arrays, plans and engines; no graphs.

pub mod arg;
pub mod args;
pub mod function;
pub mod memory;
pub mod out_args;
pub mod outputs;
pub mod place;
pub mod program;

pub use arg::Arg;
pub use args::{Args, IntoArg};
pub use function::{Function, Stage};
pub use out_args::{IntoOutPlace, OutArgs};
pub use outputs::{FromOutput, FromOutputs};
pub use place::{OutPlace, OutputSpec};

#[cfg(test)]
mod tests;
