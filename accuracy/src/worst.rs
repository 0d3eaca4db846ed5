//! The arguments that are hardest to round, from the files in `worst/`.
//!
//! A line holds one number, or two with a comma between them, as C writes them in hexadecimal; `#` begins a comment.

use crate::functions::Function;
use crate::number::Number;
use crate::samples::Arguments;

/// The hard arguments of a function; empty where none are published.
///
/// # Errors
/// A line that is neither a comment nor as many numbers as the function has arguments.
pub fn arguments<T: Number>(function: &Function) -> Result<Arguments<T>, String> {
    let mut arguments = Arguments { a: Vec::new(), b: Vec::new() };
    for (number, line) in function.worst.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let numbers: Option<Vec<f64>> = line.split(',').map(|text| hexadecimal(text.trim())).collect();
        let pair = match (function.op.is_unary(), numbers.as_deref()) {
            (true, Some(&[a])) => Some((a, a)),
            (false, Some(&[a, b])) => Some((a, b)),
            (_, _) => None,
        };
        let (a, b) = pair.ok_or_else(|| {
            let name = function.op.row().name;
            format!("worst/{name}.txt, line {}: `{line}` is not what {name} takes", number + 1)
        })?;
        arguments.a.push(T::from_wide(a));
        arguments.b.push(T::from_wide(b));
    }
    Ok(arguments)
}

/// A number as C's `%a` writes it, `-0x1.8p-3`; `None` for anything else, or what `f64` does not hold exactly.
fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = digits.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let integer = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
    let exact = rug::Float::with_val(64, integer) << exponent;
    let value = exact.to_f64();
    (exact == value).then_some(sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::functions;

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        assert_eq!(hexadecimal("0x1.921fb54442d18p+1"), Some(std::f64::consts::PI));
        assert_eq!(hexadecimal("-0x1p-1074"), Some(-f64::from_bits(1)));
        assert_eq!(hexadecimal("0x1.fffffffffffffp+1023"), Some(f64::MAX));
        for text in ["", "1.5", "0x1.8", "0x1.8q3", "0x1.921fb54442d185p+1", "0x1p-1075", "0x1p+1024", "0x1..8p0"] {
            assert_eq!(hexadecimal(text), None, "{text}");
        }
    }

    #[test]
    fn every_file_is_read_and_a_wrong_line_is_an_error() {
        for mut function in functions() {
            let count = arguments::<f64>(&function).unwrap().a.len();
            assert!(function.worst.is_empty() || count >= 32, "{}: {count}", function.op.row().name);
            function.worst = "0x1p0, 0x1p0, 0x1p0";
            assert!(arguments::<f64>(&function).is_err());
        }
    }
}
