//! What a user calls: functions, their arguments and results, and the programs behind them.
//!
//! `arg`, `args`, `outputs`, `out_args` and `place` are the types of a call's two ends; `memory` is strided memory
//! as the engines' drivers see it, `site` where a call runs; `program` runs a lowered plan on the host and `gpu` on a
//! device, with `windows` and `custom` in common; `recorded` and `replay` make calls of known layouts cheap; `profile`
//! counts what they cost; `variable` and `stateful` are shared variables and the calls that update them; `feed` and `parts`
//! are arguments and outputs by name; `pending`, `map`, `owned`, `task_pool` and `waiting` run calls as tasks; `function` ties them
//! together; `devices` lists what there is to run on.
//! Everything is checked before anything is written. This module knows arrays, plans and engines; no graphs.

pub mod arg;
pub mod args;
mod custom;
mod devices;
mod donor;
mod feed;
pub mod function;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod implementation;
mod map;
pub mod memory;
pub mod out_args;
pub mod outputs;
mod owned;
pub mod parts;
mod pending;
pub mod place;
pub mod profile;
pub mod program;
mod recorded;
mod replay;
mod row_step;
mod rows;
mod shares;
pub mod site;
pub mod stateful;
mod task_pool;
mod value;
pub mod variable;
mod waiting;
mod windows;

pub use arg::Arg;
pub use args::{Args, IntoArg};
pub use devices::{DeviceInfo, DeviceKind, DeviceLimits, devices};
pub use function::{Function, Stage};
#[cfg(feature = "gpu")]
pub use gpu::DeviceArray;
pub use map::{CancelToken, MapOptions};
pub use out_args::{IntoOutPlace, OutArgs};
pub use outputs::{FromOutput, FromOutputs};
pub use pending::{AsCompleted, Pending, as_completed, wait_all};
pub use place::{OutPlace, OutputSpec};
pub use profile::{ClassProfile, KernelProfile, Profile, StageTime};
pub use replay::Replay;

#[cfg(test)]
mod tests;
