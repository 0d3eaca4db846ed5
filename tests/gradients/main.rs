//! Derivatives are held against differences of the function: every row of the op table, every reduction, every view.
//!
//! A new op cannot miss this: the lists are those of the table. Where a derivative is a convention (at a tie, at a
//! kink, in a branch that is not taken) the value is named.

#[path = "../common/mod.rs"]
mod common;

mod conventions;
mod difference;
mod documented;
mod elementwise;
mod limits;
mod loops;
mod random;
mod stable;
mod structure;
