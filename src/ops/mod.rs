//! The op table: every elementwise op and every reduction, declared once.
//!
//! `unary.rs`, `binary.rs` and `ternary.rs` hold one row per op; `reduction.rs` one per reduction; `scalar/` the
//! scalar functions that define them. Enum variants, inference, folding, the oracle, the `Expr` methods, the
//! conformance suite and docs/ops.md are all derived from the rows. This module knows dtypes and nothing of
//! graphs, shapes or engines.

pub mod binary;
pub mod reduction;
pub mod row;
pub mod scalar;
pub mod stable;
pub mod ternary;
pub mod unary;

pub use binary::BinaryOp;
pub use reduction::ReduceOp;
pub use row::{Class, Cost, Domain, Facts, Outcome, Row, UlpBound};
pub use ternary::TernaryOp;
pub use unary::UnaryOp;
