//! runtime (merged later)
pub mod memory;
pub mod program;
