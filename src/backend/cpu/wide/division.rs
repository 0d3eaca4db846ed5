//! Quotients, rounded down, and remainders of integers by a positive constant: a shift, or a multiplication by its reciprocal
//! (Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994).
//!
//! For n < 2ᵇ and m = ⌈2³²⁺ˢ / d⌉ with m·d − 2³²⁺ˢ ≤ 2³²⁺ˢ⁻ᵇ, ⌊n / d⌋ is ⌊n·m / 2³²⁺ˢ⌋. With b = 31 some m has 32 bits; with b = 32
//! it may have one more, which is a sum besides. A negative n is flipped, ⌊n / d⌋ = ~⌊~n / d⌋: so 31 bits are enough for signed
//! numbers. Must not know: registers, memory.

use super::instruction::{AND, BLENDPS, PADDD, PCMPGTD, PCMPGTQ, PMULLD, PMULUDQ, PSRLVD, PSRLVQ, PSUBD, PSUBQ, XOR};
use super::ops::shift_right;
use super::step::Value;
use super::trace::{Lanes, Tracer};
use crate::backend::cpu::form::{Program, calls_kernel};
use crate::dtype::{Kind, Scalar};
use crate::error::Result;
use crate::loops::{Operation, Statement, ValueId};
use crate::ops::BinaryOp;

/// The lanes in the upper halves of words, as `vblendps` chooses them.
const UPPER: u8 = 0b1010_1010;

/// Whether a program calls kernels here: not those of divisions that are made of other instructions.
pub(super) fn calls_kernels(program: &Program) -> bool {
    let statements = program.all_statements();
    let constant = |value: ValueId| {
        statements.iter().find_map(|statement| match statement {
            Statement::Let(defined, Operation::Constant(scalar)) if *defined == value => Some(*scalar),
            Statement::Let(..) | Statement::Store(..) => None,
        })
    };
    let is_inline = |statement: &Statement| match statement {
        Statement::Let(_, Operation::Binary(BinaryOp::FloorDiv | BinaryOp::Rem, [_, divisor])) => {
            constant(*divisor).and_then(divisor_of).is_some()
        }
        Statement::Let(..) | Statement::Store(..) => false,
    };
    statements.iter().any(|statement| calls_kernel(statement, &program.types) && !is_inline(statement))
}

/// Whether a program calls kernels elsewhere, but none here.
pub(super) fn spares_kernels(program: &Program) -> bool {
    program.calls_kernels() && !calls_kernels(program)
}

/// The divisor that a constant is, if there is code for it.
fn divisor_of(constant: Scalar) -> Option<u64> {
    let divisor = match constant {
        Scalar::I8(x) => i64::from(x),
        Scalar::U8(x) => i64::from(x),
        Scalar::I32(x) => i64::from(x),
        Scalar::U32(x) => i64::from(x),
        Scalar::I64(x) => x,
        Scalar::U64(x) => i64::try_from(x).ok()?,
        Scalar::Bool(_) | Scalar::F32(_) | Scalar::F64(_) => return None,
    };
    let divisor = u64::try_from(divisor).ok()?;
    (divisor.is_power_of_two() || divisor > 0 && constant.dtype().size() <= 4).then_some(divisor)
}

/// How a number below 2ᵇ is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reciprocal {
    /// The low 32 bits of m.
    multiplier: u32,
    /// s.
    shift: u32,
    /// Whether m has 33 bits.
    adds: bool,
}

/// For a divisor that is no power of two.
fn reciprocal(divisor: u32, bits: u32) -> Reciprocal {
    let divisor = u128::from(divisor);
    let last = divisor.next_power_of_two().ilog2();
    let exact = |shift: u32| {
        let multiplier = (1u128 << (32 + shift)).div_ceil(divisor);
        (multiplier * divisor - (1 << (32 + shift)) <= 1 << (32 + shift - bits)).then_some((multiplier, shift))
    };
    let (multiplier, shift) = (0..=last).find_map(exact).unwrap_or((0, last));
    Reciprocal { multiplier: multiplier as u32, shift, adds: multiplier >> 32 != 0 }
}

/// The quotient or the remainder, if the divisor is a constant that there is code for.
pub(super) fn by_constant(t: &mut Tracer<'_>, op: BinaryOp, x: &Lanes, divisor: &Lanes) -> Result<Option<Lanes>> {
    let Some(divisor) = t.scalar_of(divisor).and_then(divisor_of) else { return Ok(None) };
    if divisor.is_power_of_two() {
        return by_power_of_two(t, op, x, divisor).map(Some);
    }
    let quotient = by_reciprocal(t, x, divisor as u32);
    if op == BinaryOp::FloorDiv {
        return Ok(Some(quotient));
    }
    let divisor = t.like(x, divisor);
    let product = t.each([&PMULLD, &PMULLD], &quotient, &divisor);
    Ok(Some(t.each([&PSUBD, &PSUBQ], x, &product)))
}

fn by_power_of_two(t: &mut Tracer<'_>, op: BinaryOp, x: &Lanes, divisor: u64) -> Result<Lanes> {
    if op == BinaryOp::Rem {
        let below = t.like(x, divisor - 1);
        return Ok(t.each([&AND, &AND], x, &below));
    }
    let amount = t.like(x, divisor.ilog2().into());
    shift_right(t, x, &amount)
}

fn by_reciprocal(t: &mut Tracer<'_>, x: &Lanes, divisor: u32) -> Lanes {
    match x.dtype.kind() {
        Kind::Signed => {
            let zero = t.like(x, 0);
            let negative = t.each([&PCMPGTD, &PCMPGTQ], &zero, x);
            let flipped = t.each([&XOR, &XOR], x, &negative);
            let quotient = by_multiplier(t, &flipped, reciprocal(divisor, 31));
            t.each([&XOR, &XOR], &quotient, &negative)
        }
        Kind::Unsigned | Kind::Bool | Kind::Float => by_multiplier(t, x, reciprocal(divisor, 32)),
    }
}

fn by_multiplier(t: &mut Tracer<'_>, x: &Lanes, Reciprocal { multiplier, shift, adds }: Reciprocal) -> Lanes {
    let multiplier = t.splat(4, multiplier.into());
    let parts: Vec<Value> = x.parts.iter().map(|&part| upper_halves_of_products(t, part, multiplier)).collect();
    let high = x.with(parts);
    if !adds {
        let amount = t.like(x, shift.into());
        return t.each([&PSRLVD, &PSRLVD], &high, &amount);
    }
    // The sum may have 33 bits: half of the difference is added instead.
    let (one, amount) = (t.like(x, 1), t.like(x, u64::from(shift) - 1));
    let rest = t.each([&PSUBD, &PSUBD], x, &high);
    let half = t.each([&PSRLVD, &PSRLVD], &rest, &one);
    let sum = t.each([&PADDD, &PADDD], &half, &high);
    t.each([&PSRLVD, &PSRLVD], &sum, &amount)
}

/// The upper 32 bits of the products of unsigned lanes.
fn upper_halves_of_products(t: &mut Tracer<'_>, x: Value, multiplier: Value) -> Value {
    let half = t.splat(8, 32);
    let upper = t.compute(&PSRLVQ, Some(x), half);
    let [even, odd] = [x, upper].map(|lanes| t.compute(&PMULUDQ, Some(lanes), multiplier));
    let even = t.compute(&PSRLVQ, Some(even), half);
    t.compute_with(&BLENDPS, Some(even), odd, None, Some(UPPER))
}

impl Tracer<'_> {
    /// The number that all lanes are, if they are one constant.
    fn scalar_of(&self, x: &Lanes) -> Option<Scalar> {
        let bytes = self.constant_of(x.parts[0]).filter(|_| x.parts.iter().all(|part| *part == x.parts[0]))?;
        let lane = &bytes[..x.width];
        let same = bytes.chunks_exact(x.width).all(|other| other == lane);
        let word = lane.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        same.then(|| Scalar::from_bits(x.dtype, word))
    }
}

#[cfg(test)]
mod tests {
    use super::reciprocal;

    fn divide(n: u32, divisor: u32, bits: u32) -> u32 {
        let way = reciprocal(divisor, bits);
        let high = ((u64::from(n) * u64::from(way.multiplier)) >> 32) as u32;
        if way.adds { (((n - high) >> 1) + high) >> (way.shift - 1) } else { high >> way.shift }
    }

    /// The largest and the smallest number of a quotient, where an error would show.
    #[test]
    fn numbers_around_multiples_are_divided() {
        let near = |middle: u32| (0..40_000).flat_map(move |i| [middle.wrapping_add(i), middle.wrapping_sub(i)]);
        let powers = (1..32).flat_map(|power| near(1 << power).take(64));
        let divisors = (3..40_000).chain(near(u32::MAX)).chain(powers);
        for divisor in divisors.filter(|divisor| *divisor > 2 && !divisor.is_power_of_two()) {
            for bits in [31, 32] {
                let largest = u32::MAX >> (32 - bits);
                let last = largest / divisor;
                for quotient in [0, 1, 2, last / 2, last.saturating_sub(1), last] {
                    let multiple = u64::from(quotient) * u64::from(divisor);
                    for n in [multiple.saturating_sub(1), multiple, multiple + 1] {
                        let n = n.min(largest.into()) as u32;
                        assert_eq!(divide(n, divisor, bits), n / divisor, "{n} by {divisor} of {bits} bits");
                    }
                }
                assert_eq!(divide(largest, divisor, bits), last);
            }
        }
    }

    #[test]
    fn all_bytes_are_divided_by_all() {
        for divisor in (3..256u32).filter(|divisor| !divisor.is_power_of_two()) {
            for (n, bits) in (0..256).flat_map(|n| [(n, 31), (n, 32)]) {
                assert_eq!(divide(n, divisor, bits), n / divisor, "{n} by {divisor} of {bits} bits");
            }
        }
    }

    #[test]
    fn thirty_one_bits_need_no_sum() {
        for divisor in (3..100_000u32).chain(i32::MAX as u32 - 100..=i32::MAX as u32) {
            assert!(divisor.is_power_of_two() || !reciprocal(divisor, 31).adds, "{divisor}");
        }
    }
}
