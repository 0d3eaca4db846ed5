//! Functions that look numbers up: piecewise polynomials, whose coefficients depend on where the argument lies, and their like.
//!
//! A loop over scalar code would fetch every coefficient of every number by itself. So the source of such a function is
//! generic over [`Lanes`]: a single number, or a vector, of which all lanes find their coefficients by a permutation of
//! registers (AVX-512, and AVX2 on `f32`) or by transposing the rows of their pieces. Invariants: every element has the same
//! bits wherever it stands and, with fused multiply-add, at every level. Must not know: which functions there are.

mod number;
#[cfg(target_arch = "x86_64")]
mod vector;
#[cfg(target_arch = "x86_64")]
mod vector_double;
#[cfg(target_arch = "x86_64")]
mod vector_single;

pub(super) use number::single;
#[cfg(target_arch = "x86_64")]
pub(super) use vector_double::kernel as double_kernel;
#[cfg(target_arch = "x86_64")]
pub(super) use vector_single::kernel as single_kernel;

use number::Number;

use super::Unary;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use super::kernel::{chunk_kernel as double_kernel, chunk_kernel as single_kernel};

/// How many pieces and coefficients a table has room for.
const ROOM: usize = 16;

/// The coefficients of polynomials on up to 16 pieces.
pub(super) struct Table<T> {
    /// Each piece's, the constant one first.
    by_piece: [[T; ROOM]; ROOM],
    /// Each power's, in all pieces.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    by_power: [[T; ROOM]; ROOM],
}

impl<T: Number> Table<T> {
    /// The polynomials of pieces, the constant coefficient first.
    pub(super) const fn new<const POWERS: usize, const PIECES: usize>(pieces: &[[T; POWERS]; PIECES]) -> Self {
        let (mut by_piece, mut by_power) = ([[T::ZERO; ROOM]; ROOM], [[T::ZERO; ROOM]; ROOM]);
        let mut piece = 0;
        while piece < PIECES {
            let mut power = 0;
            while power < POWERS {
                by_piece[piece][power] = pieces[piece][power];
                by_power[power][piece] = pieces[piece][power];
                power += 1;
            }
            piece += 1;
        }
        Self { by_piece, by_power }
    }

    /// The coefficients of the piece whose number is in the low four bits.
    #[inline(always)]
    fn row(&self, bits: u64) -> &[T; ROOM] {
        &self.by_piece[bits as usize % ROOM]
    }
}

/// A positive normal number as 2ᵏ·m.
#[derive(Clone, Copy)]
pub(super) struct Split<L> {
    /// k and the sixteenth of its binade in which m lies, as a multiple of 1/16, plus [`SPLIT`]; the low four bits are
    /// those of the sixteenth.
    pub(super) sixteenths: L,
    pub(super) m: L,
    /// 2⁻ᵏ, where that is a normal number.
    pub(super) inverse: L,
}

/// One number or several, on which all operations work alike.
pub(super) trait Lanes<T: Number>: Copy {
    /// Whether `mul_add` rounds once.
    const FUSED: bool;
    /// The value in all lanes.
    fn splat(self, value: T) -> Self;
    /// `self + other`.
    fn plus(self, other: Self) -> Self;
    /// `self − other`.
    fn minus(self, other: Self) -> Self;
    /// `self · other`.
    fn times(self, other: Self) -> Self;
    /// `self · factor + addend`.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// |self|, or the bound where it is larger; NaN stays.
    fn magnitude(self, bound: T) -> Self;
    /// This with the sign of the other.
    fn copysign(self, other: Self) -> Self;
    /// The first half of its bits.
    fn upper(self) -> Self;
    /// Coefficients 2 · `pair` and the one after it, of the pieces whose numbers are in the low four bits.
    fn coefficients(self, table: &'static Table<T>, pair: usize) -> [Self; 2];

    /// `self · factor + addend`, rounded once but for the last bits, where the product is close to −`addend`.
    #[inline(always)]
    fn product_plus(self, factor: Self, addend: Self) -> Self {
        if Self::FUSED {
            return self.mul_add(factor, addend);
        }
        let (a, b) = (self.upper(), factor.upper());
        let (a_low, b_low) = (self.minus(a), factor.minus(b));
        // The first sum is exact.
        let rest = a.mul_add(b_low, a_low.mul_add(b, a_low.times(b_low)));
        a.mul_add(b, addend).plus(rest)
    }
}

/// What lanes of `f64` have besides.
pub(super) trait Wide: Lanes<f64> {
    /// `then` where this is less than the bound, `otherwise` elsewhere, and where it is NaN.
    fn if_less(self, bound: f64, then: Self, otherwise: Self) -> Self;
    /// Whether this is not less than the one bound and less than the other in all lanes.
    fn all_within(self, low: f64, high: f64) -> bool;
    /// This as 2ᵏ·m with m from `start` to its double, if it is positive and normal.
    fn split(self, start: f64) -> Split<Self>;
    /// This kept between bounds; NaN stays.
    fn clamp(self, low: f64, high: f64) -> Self;
    /// `self`·2^⌊k⌋, rounded once, for 1/2 < `self` < 2 and |k| < 1100, where `sixteenths` is [`SIXTEENTHS`] + k.
    fn times_power(self, sixteenths: Self) -> Self;
}

/// What is added to the exponent when a number is split.
pub(super) const SPLIT: f64 = 281_474_976_710_656.0 + 1023.5;

/// Added to a number below 2⁴⁶ it leaves the nearest multiple of 1/16 in the low bits of the sum.
pub(super) const SIXTEENTHS: f64 = 422_212_465_065_984.0;

macro_rules! piecewise {
    ($(#[$doc:meta])* $name:ident $number:ident $lanes:path) => {
        $(#[$doc])*
        pub(super) trait $name: Unary<$number> {
            /// Its values.
            fn on<L: $lanes>(x: L) -> L;

            /// Whether `on_usual` serves all arguments.
            #[inline(always)]
            fn are_usual<L: $lanes>(_: L) -> bool {
                true
            }

            /// The bits of `on` for less, where all arguments are usual.
            #[inline(always)]
            fn on_usual<L: $lanes>(x: L) -> L {
                Self::on(x)
            }
        }
    };
}
piecewise! {
    /// A function on lanes of `f64`, which is its `Unary::fast` on one.
    Piecewise f64 Wide
}
piecewise! {
    /// A function on lanes of `f32`, which is its `Unary::fast` on one.
    PiecewiseSingle f32 Lanes<f32>
}

/// A function on lanes of one kind.
trait On<L> {
    /// Its values.
    fn values(x: L) -> L;
    /// Whether `usual_values` serves all.
    fn are_usual(x: L) -> bool;
    /// Its values where all arguments are usual.
    fn usual_values(x: L) -> L;
}
