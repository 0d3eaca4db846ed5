#![doc = include_str!("../README.md")]
// Whether a function is `Send` is asked through graphs, shared variables and all of wgpu.
#![recursion_limit = "256"]

#[doc(hidden)]
pub mod array;
#[doc(hidden)]
pub mod autodiff;
#[doc(hidden)]
pub mod backend;
#[doc(hidden)]
pub mod batching;
#[doc(hidden)]
pub mod check;
#[doc(hidden)]
pub mod dtype;
mod elementary;
pub mod error;
#[doc(hidden)]
pub mod eval;
#[doc(hidden)]
pub mod expr;
#[doc(hidden)]
pub mod graph;
pub mod inspect;
#[doc(hidden)]
pub mod loops;
#[doc(hidden)]
pub mod lower;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod optimize;
#[doc(hidden)]
pub mod runtime;
#[doc(hidden)]
pub mod schedule;
#[doc(hidden)]
pub mod shape;

/// The examples of the page about GPUs.
#[cfg(all(doctest, feature = "gpu"))]
#[doc = include_str!("../docs/gpu.md")]
struct GpuPage;

pub use array::Array;
pub use autodiff::{grad, hessian, hessian_vector_product, jacobian, jvp, vjp};
pub use backend::cpu::InstructionSet;
pub use batching::vmap;
pub use dtype::{DType, Element, Kind, Scalar};
pub use error::{Error, Result};
pub use expr::Expr;
pub use expr::axes::{Axes, IntoAxes, IntoAxis};
pub use expr::checkpoint::checkpoint;
pub use expr::compile::compile;
pub use expr::compiler::Compiler;
pub use expr::conditional::cond;
pub use expr::constant::{IntoConstant, constant};
pub use expr::constructors::{arange, full, input, matrix, ones, scalar, tensor, vector, zeros};
pub use expr::convert::{IntoExpr, IntoExprs, IntoInputs, IntoOutputs, IntoShape};
pub use expr::custom_gradient::custom_gradient;
pub use expr::functions::*;
pub use expr::iterate::{iterate, iterate_indexed, iterate_while, iterate_while_at_most};
pub use expr::join::{concat, stack};
pub use expr::linear::{dot, matmul};
pub use expr::random;
pub use expr::results::IntoResults;
#[cfg(feature = "files")]
pub use expr::saved::{Saved, load, save};
pub use expr::scan::{Sequences, scan, scan_until};
pub use expr::settings::{Check, Device, OnUnused, OptLevel};
pub use expr::shared::{Shared, shared, shared_with_dims};
pub use expr::text_form::{from_text, to_text};
pub use ndarray::{NewAxis, s};
#[cfg(feature = "gpu")]
pub use runtime::DeviceArray;
pub use runtime::{Arg, Args, FromOutput, FromOutputs, Function, IntoArg, IntoOutPlace, OutArgs, Stage};
pub use runtime::{AsCompleted, CancelToken, MapOptions, Pending, as_completed, wait_all};
pub use runtime::{ClassProfile, KernelProfile, Profile, StageTime};
pub use runtime::{DeviceInfo, DeviceKind, DeviceLimits, devices};
