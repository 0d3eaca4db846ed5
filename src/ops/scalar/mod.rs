//! The scalar functions that define every elementwise operation.
//!
//! What an engine computes for one element is right exactly if it agrees with the function here (within the published
//! bound where the operation is not exact). Everything is portable: the same bits on every platform, so the system's
//! mathematical library is never called for anything that is not exactly rounded.
//!
//! Must not know: expressions, dtypes as values, engines, arrays.

mod float;
mod integer;
pub mod random;

#[cfg(test)]
mod accuracy;

pub use float::Float;
pub use integer::Integer;
