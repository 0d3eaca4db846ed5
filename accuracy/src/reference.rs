//! Reference values from MPFR, which rounds correctly, to [`PRECISION`] bits.

use crate::number::PRECISION;
use rug::Float;
use rug::float::Constant;

/// The method of a `Float` as a function of two references, the second unused.
macro_rules! unary {
    ($($name:ident = $method:ident;)*) => {
        $(pub fn $name(x: &Float, _: &Float) -> Float {
            x.clone().$method()
        })*
    };
}

unary! {
    exp = exp;
    exp2 = exp2;
    expm1 = exp_m1;
    ln = ln;
    log2 = log2;
    log10 = log10;
    log1p = ln_1p;
    sin = sin;
    cos = cos;
    tan = tan;
    asin = asin;
    acos = acos;
    atan = atan;
    sinh = sinh;
    cosh = cosh;
    tanh = tanh;
    asinh = asinh;
    acosh = acosh;
    atanh = atanh;
    cbrt = cbrt;
    erf = erf;
    erfc = erfc;
    gamma = gamma;
    digamma = digamma;
}

pub fn lgamma(x: &Float, _: &Float) -> Float {
    x.clone().ln_abs_gamma().0
}

pub fn pow(x: &Float, y: &Float) -> Float {
    use rug::ops::Pow;
    x.clone().pow(y)
}

pub fn atan2(y: &Float, x: &Float) -> Float {
    y.clone().atan2(x)
}

pub fn hypot(x: &Float, y: &Float) -> Float {
    x.clone().hypot(y)
}

/// By Newton's method, on erf near the origin and on erfc elsewhere, from Winitzki's approximation.
pub fn erfinv(x: &Float, _: &Float) -> Float {
    let size = x.clone().abs();
    if x.is_zero() || x.is_nan() {
        return x.clone();
    }
    if size >= 1 {
        let value = if size == 1 { f64::INFINITY } else { f64::NAN };
        return Float::with_val(PRECISION, value).copysign(x);
    }
    let mut y = winitzki(&size);
    let half_root_pi: Float = Float::with_val(PRECISION, Constant::Pi).sqrt() / 2;
    let complement: Float = 1 - size.clone();
    for _ in 0..8 {
        let error: Float = if size < 0.5 { y.clone().erf() - &size } else { complement.clone() - y.clone().erfc() };
        y -= error * &half_root_pi * y.clone().square().exp();
    }
    y.copysign(x)
}

/// S. Winitzki, "A handy approximation for the error function and its inverse" (2008): within 0.4 %.
fn winitzki(x: &Float) -> Float {
    let logarithm = (-x.clone().square()).ln_1p();
    let a = Float::with_val(PRECISION, 0.147);
    let term: Float = 2 / (Float::with_val(PRECISION, Constant::Pi) * &a) + logarithm.clone() / 2;
    // √(t² − l/a) − t without the cancellation.
    let shift = -(logarithm / a);
    let root: Float = (term.clone().square() + &shift).sqrt();
    (shift / (root + term)).sqrt()
}
