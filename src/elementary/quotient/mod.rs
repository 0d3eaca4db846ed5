//! Quotients rounded down and their remainders, of all types of numbers: their definitions, and the same bits in vectors.
//!
//! Kernels divide floats: instruction sets have no vectors of integer divisions, nor of exact remainders. `float` and `integer`
//! say which arguments that serves, and why it is exact; others are rare. Must not know: ops.

mod float;
mod integer;
#[cfg(test)]
mod tests;

/// A number that can be divided.
pub(crate) trait Divide: Copy {
    /// ⌊x / y⌋.
    fn floor_div(self, y: Self) -> Self;
    /// x − y·⌊x / y⌋, with the sign of y.
    fn rem(self, y: Self) -> Self;
}
