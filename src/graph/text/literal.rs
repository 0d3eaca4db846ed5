//! Constants and names as text, exactly.

use std::fmt::Write;
use std::str::FromStr;

use crate::dtype::{DType, Scalar};

/// Appends a value: numbers in their shortest exact form, `inf`, `-inf`, and NaNs with their bits.
pub(super) fn write_literal(text: &mut String, value: Scalar) {
    // Writing to a string cannot fail.
    let _ = match value.is_nan() {
        true => write!(text, "nan(0x{:x})", value.bits()),
        false => write!(text, "{value}"),
    };
}

/// The value of a literal in a dtype, if it is one.
pub(super) fn read_literal(word: &str, dtype: DType) -> Option<Scalar> {
    match dtype {
        DType::Bool => read::<bool>(word),
        DType::I8 => read::<i8>(word),
        DType::U8 => read::<u8>(word),
        DType::I32 => read::<i32>(word),
        DType::U32 => read::<u32>(word),
        DType::I64 => read::<i64>(word),
        DType::U64 => read::<u64>(word),
        DType::F32 | DType::F64 if word.starts_with("nan") => read_nan(word, dtype),
        DType::F32 => read::<f32>(word),
        DType::F64 => read::<f64>(word),
    }
}

fn read<T: FromStr + Into<Scalar>>(word: &str) -> Option<Scalar> {
    word.parse::<T>().ok().map(Into::into)
}

/// `nan(0x…)` with all bits of the value, or `nan` for the usual one.
fn read_nan(word: &str, dtype: DType) -> Option<Scalar> {
    if word == "nan" {
        return Some(Scalar::F64(f64::NAN).cast(dtype));
    }
    let digits = word.strip_prefix("nan(0x")?.strip_suffix(')')?;
    let bits = u64::from_str_radix(digits, 16).ok()?;
    let value = Scalar::from_bits(dtype, bits);
    (value.is_nan() && value.bits() == bits).then_some(value)
}

/// A name in quotes on one line.
pub(crate) fn quote(name: &str) -> String {
    let mut text = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => text.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// The name at the start of a text, which begins with a quote, and the number of bytes it takes.
pub(super) fn unquote(text: &str) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, at + 2)),
            '\\' => match chars.next()?.1 {
                'n' => name.push('\n'),
                'u' => {
                    let digits: String =
                        chars.by_ref().map(|(_, c)| c).skip_while(|&c| c == '{').take_while(|&c| c != '}').collect();
                    name.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                c @ ('"' | '\\') => name.push(c),
                _ => return None,
            },
            c => name.push(c),
        }
    }
    None
}
