//! The larger and the smaller of two: instructions that give what the rows of the op table give for NaN and zeros.
//!
//! Must not know: memory, loops.

use super::instruction::{PMAXSD, PMAXUD, PMINSD, PMINUD};
use super::ops::{ADD, BITWISE_AND, BITWISE_OR, MAX, MIN, UNORDERED, bitwise, greater};
use super::trace::{Lanes, Tracer};
use crate::dtype::Kind;

/// The number that all lanes are, if they are one constant.
fn number_of(t: &Tracer<'_>, x: &Lanes) -> Option<f64> {
    let vectors = x.parts.iter().map(|&part| t.constant_of(part)).collect::<Option<Vec<_>>>()?;
    let lanes: Vec<&[u8]> = vectors.into_iter().flat_map(|bytes| bytes.chunks_exact(x.width)).collect();
    let first = lanes.iter().all(|lane| lane == &lanes[0]).then(|| lanes[0])?;
    let wide = || first.try_into().ok().map(f64::from_le_bytes);
    wide().or_else(|| first.try_into().ok().map(|lane| f64::from(f32::from_le_bytes(lane))))
}

/// `extremum` where one side is a constant that is no NaN, in fewer instructions; `None` where there are none.
fn extremum_with_number(t: &mut Tracer<'_>, largest: bool, number: &Lanes, x: &Lanes) -> Option<Lanes> {
    let pair = if largest { MAX } else { MIN };
    let value = number_of(t, number).filter(|value| !value.is_nan())?;
    if value != 0.0 || value.is_sign_negative() == largest {
        return Some(t.each(pair, number, x));
    }
    // Adding +0 makes +0 of −0 and changes nothing else; nothing makes −0 of +0 alone.
    largest.then(|| {
        let either = t.each(pair, number, x);
        t.each(ADD, &either, number)
    })
}

/// NaN if there is one; the instructions give their second operand for NaN and for two zeros.
pub(super) fn extremum(t: &mut Tracer<'_>, largest: bool, a: &Lanes, b: &Lanes) -> Lanes {
    let with_number = extremum_with_number(t, largest, a, b);
    if let Some(result) = with_number.or_else(|| extremum_with_number(t, largest, b, a)) {
        return result;
    }
    let pair = if largest { MAX } else { MIN };
    let (one, other) = (t.each(pair, a, b), t.each(pair, b, a));
    // Of two zeros the largest is +0, the smallest −0.
    let both = t.each(if largest { BITWISE_AND } else { BITWISE_OR }, &one, &other);
    let nan = t.compare(UNORDERED, a, b);
    t.each(BITWISE_OR, &both, &Lanes { dtype: a.dtype, ..nan })
}

/// As `extremum`, but a number beats NaN.
pub(super) fn extreme_number(t: &mut Tracer<'_>, largest: bool, a: &Lanes, b: &Lanes) -> Lanes {
    let both = extremum(t, largest, a, b);
    let (no_a, no_b) = (t.compare(UNORDERED, a, a), t.compare(UNORDERED, b, b));
    let without_b = t.blend(&no_b, a, &both);
    t.blend(&no_a, b, &without_b)
}

pub(super) fn extreme_integer(t: &mut Tracer<'_>, largest: bool, a: &Lanes, b: &Lanes) -> Lanes {
    match (a.dtype.kind(), a.width, largest) {
        (Kind::Bool, _, true) => bitwise(t, BITWISE_OR, a, b),
        (Kind::Bool, _, false) => bitwise(t, BITWISE_AND, a, b),
        (Kind::Signed, 4, true) => t.each([&PMAXSD, &PMAXSD], a, b),
        (Kind::Signed, 4, false) => t.each([&PMINSD, &PMINSD], a, b),
        (Kind::Unsigned, 4, true) => t.each([&PMAXUD, &PMAXUD], a, b),
        (Kind::Unsigned, 4, false) => t.each([&PMINUD, &PMINUD], a, b),
        (Kind::Signed | Kind::Unsigned | Kind::Float, _, _) => {
            let greater = greater(t, a, b);
            if largest { t.blend(&greater, a, b) } else { t.blend(&greater, b, a) }
        }
    }
}
