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
//! A saved graph says more. `arrays "f"`, in the second line, names the file that holds its long constants, which are
//! `constant [9, 9] stored "%1" crc32=…` then; `return %1 as "loss"` names outputs; `shared %0 = [2] [0.5, 1.0]` says that an
//! input is a shared variable and has this value.
//!
//! Sizes are expressions over `%k.axis` (an extent of input `%k`) and `%k.value` (the value of an integer input
//! of rank 0); the parts of a slice are `start:step:length`. Constants are exact: floats in their shortest form,
//! NaNs with their bits. `//` starts a comment. Texts are untrusted: parsing never panics, and its recursion is
//! bounded. Source lines and the identity of inputs are not part of the text.
//!
//! Invariant: `print(parse(print(g))) == print(g)` for every graph without host functions.

mod arrays;
mod cursor;
#[cfg(test)]
mod damaged;
mod dims;
mod document;
mod literal;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use arrays::{Fetch, Stored};
pub use document::{Document, arrays_of, parse, parse_document};
pub(crate) use literal::quote;
pub use parse::check_ranks;
pub use print::{Extras, Spelling, describe_node, print, print_body, print_head, spell_node, spell_type};

/// The first line of every text: the format, and its version.
const VERSION: (&str, u32) = ("kroton", 1);
