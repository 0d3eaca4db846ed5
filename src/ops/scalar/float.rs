//! Elementwise operations on `f32` and `f64`.
//!
//! Invariants: no function panics; a NaN operand gives NaN unless the method says otherwise (the sign and the payload
//! of a NaN are unspecified). Arithmetic is done in the type itself.
//!
//! Must not know: which engine asks, nor how an approximation works (that is `elementary`).

use crate::elementary::{Divide, define_binary, define_unary, functions};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type with the definition of every elementwise operation on it.
///
/// Sealed: `f32` and `f64` only. On a concrete type call `Float::exp(x)`, because `x.exp()` would pick the standard
/// library's method.
pub trait Float: Copy + PartialOrd + sealed::Sealed + 'static {
    /// −x; flips the sign of zeros and NaN too.
    fn neg(self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// −1, 1, or x itself where x is ±0 or NaN.
    fn sign(self) -> Self;
    /// √x, correctly rounded; NaN below zero, and √−0 = −0.
    fn sqrt(self) -> Self;
    /// The real cube root, of negative numbers too.
    fn cbrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// 2ˣ.
    fn exp2(self) -> Self;
    /// eˣ − 1 without cancellation near 0.
    fn expm1(self) -> Self;
    /// Natural logarithm; −inf at ±0, NaN below.
    fn ln(self) -> Self;
    /// Logarithm to base 2.
    fn log2(self) -> Self;
    /// Logarithm to base 10.
    fn log10(self) -> Self;
    /// ln(1 + x) without cancellation near 0.
    fn log1p(self) -> Self;
    /// Sine of x radians, with full argument reduction; NaN at ±inf.
    fn sin(self) -> Self;
    /// Cosine of x radians, with full argument reduction; NaN at ±inf.
    fn cos(self) -> Self;
    /// Tangent of x radians, with full argument reduction; NaN at ±inf.
    fn tan(self) -> Self;
    /// Inverse sine in radians; NaN outside [−1, 1].
    fn asin(self) -> Self;
    /// Inverse cosine in radians; NaN outside [−1, 1].
    fn acos(self) -> Self;
    /// Inverse tangent in radians.
    fn atan(self) -> Self;
    /// Hyperbolic sine.
    fn sinh(self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Inverse hyperbolic sine.
    fn asinh(self) -> Self;
    /// Inverse hyperbolic cosine; NaN below 1.
    fn acosh(self) -> Self;
    /// Inverse hyperbolic tangent; ±inf at ±1, NaN beyond.
    fn atanh(self) -> Self;
    /// Error function.
    fn erf(self) -> Self;
    /// Complementary error function 1 − erf(x).
    fn erfc(self) -> Self;
    /// Inverse of the error function; ±inf at ±1, NaN beyond.
    fn erfinv(self) -> Self;
    /// Gamma function; ±inf at ±0, NaN at the negative integers and at −inf.
    fn gamma(self) -> Self;
    /// ln|Γ(x)|; +inf at the non-positive integers.
    fn lgamma(self) -> Self;
    /// Digamma function Γ′/Γ; −inf at +0, +inf at −0, NaN at the negative integers and at −inf.
    fn digamma(self) -> Self;
    /// The largest integer ≤ x.
    fn floor(self) -> Self;
    /// The smallest integer ≥ x.
    fn ceil(self) -> Self;
    /// The integer part of x.
    fn trunc(self) -> Self;
    /// The nearest integer, the even one of two equally near.
    fn round(self) -> Self;
    /// Whether x is NaN.
    fn is_nan(self) -> bool;
    /// Whether x is +inf or −inf.
    fn is_inf(self) -> bool;
    /// Whether x is neither NaN nor infinite.
    fn is_finite(self) -> bool;
    /// x + y.
    fn add(self, y: Self) -> Self;
    /// x − y.
    fn sub(self, y: Self) -> Self;
    /// x · y.
    fn mul(self, y: Self) -> Self;
    /// x / y.
    fn div(self, y: Self) -> Self;
    /// The remainder with the sign of y, as Python's `%` and NumPy's `remainder`: a zero result takes the sign of y
    /// too, NaN if y = 0 or x is infinite; −1 rem inf is inf.
    fn rem(self, y: Self) -> Self;
    /// ⌊x / y⌋ as NumPy's `floor_divide`: x / y itself if y = 0, NaN if x is infinite, −1 for −1 over inf.
    fn floor_div(self, y: Self) -> Self;
    /// x to the power y with the special cases of C99 (1 to any power and any x to the power 0 are 1, even for NaN).
    fn pow(self, y: Self) -> Self;
    /// The angle of the point (y, x) in radians, where `self` is y; signed zeros and infinities as in C99.
    fn atan2(self, x: Self) -> Self;
    /// √(x² + y²) without intermediate overflow; +inf if either is infinite, even beside NaN.
    fn hypot(self, y: Self) -> Self;
    /// The magnitude of x with the sign of y.
    fn copysign(self, y: Self) -> Self;
    /// The larger one, NaN if either is NaN, with −0 < +0 (IEEE 754-2019 `maximum`).
    fn maximum(self, y: Self) -> Self;
    /// The smaller one, NaN if either is NaN, with −0 < +0 (IEEE 754-2019 `minimum`).
    fn minimum(self, y: Self) -> Self;
    /// The larger one, ignoring a NaN beside a number, with −0 < +0 (IEEE 754-2019 `maximumNumber`).
    fn fmax(self, y: Self) -> Self;
    /// The smaller one, ignoring a NaN beside a number, with −0 < +0 (IEEE 754-2019 `minimumNumber`).
    fn fmin(self, y: Self) -> Self;
    /// x · b + c, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
}

/// Methods of one argument that are elementary functions.
macro_rules! elementary {
    ($t:ty: $($name:ident = $function:ident),* $(,)?) => {
        $(#[inline]
        fn $name(self) -> Self {
            define_unary::<functions::$function, $t>(self)
        })*
    };
}

/// Methods that the standard library has under another path, all of them exact.
macro_rules! exact {
    ($t:ty: $($name:ident = $function:ident -> $result:ty),* $(,)?) => {
        $(#[inline]
        fn $name(self) -> $result {
            <$t>::$function(self)
        })*
    };
}

macro_rules! binary {
    ($t:ty: $($name:ident = |$x:ident, $y:ident| $body:expr),* $(,)?) => {
        $(#[inline]
        fn $name(self, $y: Self) -> Self {
            let $x = self;
            $body
        })*
    };
}

macro_rules! float {
    ($t:ty, $fma:path) => {
        impl Float for $t {
            exact! { $t:
                abs = abs -> Self, sqrt = sqrt -> Self,
                floor = floor -> Self, ceil = ceil -> Self, trunc = trunc -> Self, round = round_ties_even -> Self,
                is_nan = is_nan -> bool, is_inf = is_infinite -> bool, is_finite = is_finite -> bool,
            }

            elementary! { $t:
                cbrt = Cbrt,
                exp = Exp, exp2 = Exp2, expm1 = Expm1,
                ln = Ln, log2 = Log2, log10 = Log10, log1p = Log1p,
                sin = Sin, cos = Cos, tan = Tan,
                asin = Asin, acos = Acos, atan = Atan,
                sinh = Sinh, cosh = Cosh, tanh = Tanh,
                asinh = Asinh, acosh = Acosh, atanh = Atanh,
                erf = Erf, erfc = Erfc, erfinv = Erfinv,
                gamma = Gamma, lgamma = Lgamma, digamma = Digamma,
            }

            binary! { $t:
                add = |x, y| x + y,
                sub = |x, y| x - y,
                mul = |x, y| x * y,
                div = |x, y| x / y,
                pow = |x, y| define_binary::<functions::Pow, $t>(x, y),
                atan2 = |y, x| define_binary::<functions::Atan2, $t>(y, x),
                hypot = |x, y| define_binary::<functions::Hypot, $t>(x, y),
                floor_div = |x, y| Divide::floor_div(x, y),
                rem = |x, y| Divide::rem(x, y),
                copysign = |x, y| <$t>::copysign(x, y),
                fmax = |x, y| if x.is_nan() { y } else if y.is_nan() { x } else { Float::maximum(x, y) },
                fmin = |x, y| if x.is_nan() { y } else if y.is_nan() { x } else { Float::minimum(x, y) },
            }

            #[inline]
            fn neg(self) -> Self {
                -self
            }

            #[inline]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else {
                    self
                }
            }

            #[inline]
            fn maximum(self, y: Self) -> Self {
                if self.is_nan() || self > y || (self == y && y.is_sign_negative()) { self } else { y }
            }

            #[inline]
            fn minimum(self, y: Self) -> Self {
                if self.is_nan() || self < y || (self == y && y.is_sign_positive()) { self } else { y }
            }

            #[inline]
            fn mul_add(self, b: Self, c: Self) -> Self {
                $fma(self, b, c)
            }
        }
    };
}

float!(f32, libm::fmaf);
float!(f64, libm::fma);

#[cfg(test)]
mod tests {
    use super::Float;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    fn same(a: f64, b: f64) -> bool {
        (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits()
    }

    #[test]
    fn rem_and_floor_div_are_numpys() {
        // x, y, np.remainder(x, y), np.floor_divide(x, y)
        let cases = [
            (7.0, 3.0, 1.0, 2.0),
            (-7.0, 3.0, 2.0, -3.0),
            (7.0, -3.0, -2.0, -3.0),
            (-7.0, -3.0, -1.0, 2.0),
            (6.0, -3.0, -0.0, -2.0),
            (-6.0, 3.0, 0.0, -2.0),
            (0.0, -3.0, -0.0, -0.0),
            (-0.0, 3.0, 0.0, -0.0),
            (1.0, INF, 1.0, 0.0),
            (-1.0, INF, INF, -1.0),
            (1.0, -INF, -INF, -1.0),
            (INF, 2.0, NAN, NAN),
            (1.0, 0.0, NAN, INF),
            (-1.0, 0.0, NAN, -INF),
            (0.0, 0.0, NAN, NAN),
            (1.0, 0.1, 0.09999999999999995, 9.0),
            (NAN, 1.0, NAN, NAN),
        ];
        for (x, y, rem, quotient) in cases {
            assert!(same(Float::rem(x, y), rem), "{x} rem {y}: {}", Float::rem(x, y));
            assert!(same(x.floor_div(y), quotient), "{x} floor_div {y}: {}", x.floor_div(y));
            let narrow = (x as f32).floor_div(y as f32);
            assert!(x == 1.0 && y == 0.1 || same(narrow.into(), quotient), "f32 {x} floor_div {y}");
        }
    }

    #[test]
    fn extremes_order_zeros_and_treat_nan() {
        let (maximum, minimum) = (<f64 as Float>::maximum, <f64 as Float>::minimum);
        assert!(same(maximum(0.0, -0.0), 0.0) && same(maximum(-0.0, 0.0), 0.0));
        assert!(same(minimum(0.0, -0.0), -0.0) && same(minimum(-0.0, 0.0), -0.0));
        assert!(same((0.0).fmax(-0.0), 0.0) && same((0.0).fmin(-0.0), -0.0));
        assert!(maximum(1.0, NAN).is_nan() && maximum(NAN, 1.0).is_nan());
        assert!(minimum(1.0, NAN).is_nan() && minimum(NAN, 1.0).is_nan());
        assert!(same((1.0).fmax(NAN), 1.0) && same(NAN.fmin(1.0), 1.0) && NAN.fmax(NAN).is_nan());
        assert!(same(maximum(-INF, 3.0), 3.0) && same(Float::minimum(2.0f32, 3.0).into(), 2.0));
    }

    #[test]
    fn signs_and_rounding() {
        assert!(same(Float::sign(0.0), 0.0) && same((-0.0f64).sign(), -0.0) && same((-5.0).sign(), -1.0));
        assert!(same(Float::round(2.5f64), 2.0) && same(Float::round(-0.5f64), -0.0));
        assert!(NAN.sign().is_nan() && (-INF).is_inf() && !NAN.is_inf());
        assert!(same(Float::mul_add(1e308, 10.0, -INF), -INF));
        assert!(same(Float::mul_add(1.0 + 2f64.powi(-30), 1.0 - 2f64.powi(-30), -1.0), -(2f64.powi(-60))));
    }

    #[test]
    fn pow_is_c99s() {
        assert!(same(Float::pow(NAN, 0.0), 1.0) && same(Float::pow(1.0, NAN), 1.0));
        assert!(same(Float::pow(-0.0, -3.0), -INF) && same(Float::pow(-1.0, INF), 1.0));
        assert!(Float::pow(NAN, 1e10).is_nan() && Float::pow(-0.9999999f64, 1e10 + 0.5).is_nan());
        assert!(Float::pow(-0.9999999f64, 4294967297.0) < 0.0 && same(Float::pow(-1.0, 4294967297.0), -1.0));
        assert!(same(Float::pow(1.0000001f64, 1e300), INF) && same(Float::pow(1.0000001f64, -INF), 0.0));
        assert!(Float::pow(-2.0f64, 0.5).is_nan() && same(Float::pow(-2.0f64, 3.0), -8.0));
        assert!(same(Float::hypot(NAN, INF), INF) && same(Float::atan2(0.0f64, -0.0), core::f64::consts::PI));
    }
}
