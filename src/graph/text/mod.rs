//! The text form of a graph: prints, and parses back.
//!
//! The first line is `kroton 1`. Then one line for each live node and each input, numbered densely, inputs
//! first; then `return` with the outputs and `inputs` with the inputs in the order of the arguments:
//!
//! ```text
//! kroton 1
//! %0 = input "a" f64[?, 3]
//! %1 = sum axes=[0] %0 : f64[3]
//! %2 = slice [%0.0 - 1:-1:%0.0, 0:1:3] %0 : f64[%0.0, 3]
//! return %1, %2
//! inputs %0
//! ```
//!
//! Sizes are expressions over `%k.axis` (an extent of input `%k`) and `%k.value` (the value of an integer input
//! of rank 0); the parts of a slice are `start:step:length`. Constants are exact: floats in their shortest form,
//! NaNs with their bits. `//` starts a comment. Texts are untrusted: parsing never panics, and its recursion is
//! bounded. Source lines and the identity of inputs are not part of the text.
//!
//! Invariant: `print(parse(print(g))) == print(g)` for every graph without host functions.

mod cursor;
mod dims;
mod literal;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub(crate) use literal::quote;
pub use parse::parse;
pub use print::{Spelling, describe_node, print, spell_node, spell_type};
