//! Arrays as text: one number, listed elements, or the name of an array that is stored beside the text.
//!
//! Where arrays are stored is the caller's: this file knows what a text says of one, and no files. An array that is
//! fetched must be what the text says, which is checked here once more.

use std::fmt::Write;

use super::cursor::Cursor;
use super::literal::{quote, read_literal, write_literal};
use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};

/// An array beside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it is called there.
    pub name: String,
    /// The checksum of its bytes.
    pub checksum: u32,
}

/// Finds the array of a text that is stored in the file of this name, with this dtype and shape.
pub type Fetch<'a> = &'a dyn Fn(&str, &Stored, DType, &[usize]) -> Result<Array>;

/// The shape and the elements of a constant: `[2] [1.0, 2.0]`.
pub(super) fn listed(array: &Array, limit: usize) -> String {
    let mut text = format!("{:?} [", array.shape());
    for position in 0..array.len().min(limit) {
        if position > 0 {
            text.push_str(", ");
        }
        write_literal(&mut text, array.get(position));
    }
    text.push_str(if array.len() > limit { ", …]" } else { "]" });
    text
}

/// The shape of a stored array and where it is: `[2] stored "%1" crc32=1a2b3c4d`.
pub(super) fn stored(array: &Array, stored: &Stored) -> String {
    format!("{:?} stored {} crc32={:08x}", array.shape(), quote(&stored.name), stored.checksum)
}

/// The value of a variable: one of rank 0 is a number alone.
pub(super) fn value(array: &Array, place: Option<Stored>) -> String {
    match (array.rank(), place) {
        (_, Some(place)) => stored(array, &place),
        (0, None) => {
            let mut text = String::new();
            write_literal(&mut text, array.get(0));
            text
        }
        (_, None) => listed(array, usize::MAX),
    }
}

/// An array as a text gives it, whose dtype the text may say later.
pub(super) enum Given<'a> {
    /// A number.
    One(Cursor<'a>, &'a str),
    /// Elements, each with its place.
    Listed(Cursor<'a>, Vec<usize>, Vec<(Cursor<'a>, &'a str)>),
    /// An array beside the text.
    Stored(Cursor<'a>, Vec<usize>, Stored),
}

impl<'a> Given<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Given<'a>> {
        let start = *cursor;
        if !cursor.sees("[") {
            return Ok(Given::One(start, cursor.literal()));
        }
        let shape: Vec<usize> = cursor.list(|cursor| cursor.integer("a size"))?;
        if cursor.eat("stored") {
            let name = cursor.quoted()?;
            cursor.expect("crc32=")?;
            let checksum = checksum(cursor)?;
            return Ok(Given::Stored(start, shape, Stored { name, checksum }));
        }
        let words = cursor.list(|cursor| Ok((*cursor, cursor.literal())))?;
        Ok(Given::Listed(start, shape, words))
    }

    /// The number, if it is one.
    pub(super) fn scalar(&self, dtype: DType) -> Option<Result<Scalar>> {
        match self {
            Given::One(start, word) => Some(literal(start, word, dtype)),
            Given::Listed(..) | Given::Stored(..) => None,
        }
    }

    /// The array; `file` is where stored ones are.
    pub(super) fn array(self, dtype: DType, file: Option<&str>, fetch: Fetch<'_>) -> Result<Array> {
        match self {
            Given::One(start, word) => Ok(Array::from_scalar(literal(&start, word, dtype)?)),
            Given::Listed(start, shape, words) => elements(&start, dtype, &shape, words),
            Given::Stored(start, shape, stored) => {
                let missing =
                    || start.error("expected a line `arrays \"…\"` above that names the file of stored arrays");
                let array = fetch(file.ok_or_else(missing)?, &stored, dtype, &shape)?;
                if (array.dtype(), array.shape()) != (dtype, shape.as_slice()) {
                    return Err(Error::Internal(format!("{array:?} was fetched for {dtype} of shape {shape:?}")));
                }
                Ok(array)
            }
        }
    }
}

fn elements(start: &Cursor<'_>, dtype: DType, shape: &[usize], words: Vec<(Cursor<'_>, &str)>) -> Result<Array> {
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
    if count != Some(words.len()) {
        return Err(start.error(format!("expected as many values as {shape:?} has, found {}", words.len())));
    }
    let mut array = Array::zeros(dtype, shape)?;
    for (position, (place, word)) in words.into_iter().enumerate() {
        array.set(position, literal(&place, word, dtype)?);
    }
    Ok(array)
}

fn literal(place: &Cursor<'_>, word: &str, dtype: DType) -> Result<Scalar> {
    read_literal(word, dtype).ok_or_else(|| place.expected(&format!("a value of {dtype}")))
}

/// Eight hexadecimal digits.
fn checksum(cursor: &mut Cursor<'_>) -> Result<u32> {
    let start = *cursor;
    let word = cursor.word();
    let digits = word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sum = u32::from_str_radix(word, 16).ok().filter(|_| digits);
    sum.ok_or_else(|| start.expected("a checksum of eight hexadecimal digits"))
}

/// The line that names the file of stored arrays.
pub(super) fn write_file(text: &mut String, name: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "arrays {}", quote(name));
}
