//! The error function, its complement and its inverse.

use super::exponential::{exp_reduced, reduce};
use super::logarithm::ln_positive;
use super::parts::{polynomial, power_of_two};
use super::wide::{self, polynomial as wide_polynomial};
use crate::elementary::functions::{Erf, Erfc, Erfinv};
use crate::elementary::{Arithmetic, Unary};

/// (erf x − x)/x for |x| ≤ 0.93, in x², relative error of erf x 2⁻³⁰.
const ERF: [f32; 7] = [0.128_379_17, -0.37612632, 0.11283676, -0.026858533, 0.005199148, -0.0008123187, 8.293013e-5];

/// ln(1 − erf x)/x for 0.9 ≤ x ≤ 3.95, error of erf x 2⁻²⁵.
const LN_ERFC: [f32; 8] =
    [-1.1288829, -0.63421863, -0.10775291, 0.02505942, -0.0042676376, 0.0004893698, -3.3057902e-5, 9.681457e-7];

/// erfc x·exp x² for 0 ≤ x ≤ 10.11 in 1/(x + 3), relative error 2⁻²⁹·⁴.
const ERFCX: [f64; 11] = [
    1.9375113995625633e-06,
    0.5639787579171792,
    1.7018927911754318,
    4.56664423753468,
    16.21920721186851,
    -5.100488902540203,
    316.289622432484,
    -1035.4323225721835,
    3658.8992019688285,
    -5920.241211676843,
    3378.1830864638628,
];

/// erfinv x/x less [`CENTRAL_START`] in w − 5/4 with w = −ln(1 − x²) ≤ 5, relative error 2⁻²⁷.
const CENTRAL: [f32; 10] = [
    -2.5122283e-8,
    0.24951962,
    0.0025116422,
    -0.0022537129,
    0.00014366525,
    3.1071486e-5,
    -5.076093e-6,
    -2.6748185e-7,
    1.2393454e-7,
    -8.9502805e-9,
];
const CENTRAL_START: f32 = 1.1895616;

/// The same in √w − 3 for 5 ≤ w ≤ 17, less [`TAIL_START`], relative error 2⁻²⁶.
const TAIL: [f32; 10] = [
    -1.504536e-8,
    1.0016749,
    0.009445135,
    -0.007636153,
    0.005688397,
    -0.0036021287,
    0.0014813103,
    -4.909179e-5,
    -0.00030659992,
    0.00011124993,
];
const TAIL_START: f32 = 2.8329768;

impl Unary<f32> for Erf {
    /// x + x·P(x²), or 1 − exp(x·Q(x)) (the form of the second is Juffa's, published on Stack Overflow in 2016).
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let near = A::mul_add_single(size, polynomial::<A, 7>(size * size, ERF), size);
        // Beyond, the result is 1.
        let bounded = if size > 3.95 { 3.95 } else { size };
        let (n, r) = reduce::<A>(bounded * polynomial::<A, 8>(bounded, LN_ERFC));
        let far = A::mul_add_single(-exp_reduced::<A>(r), power_of_two(n), 1.0);
        (if size < 0.92 { near } else { far }).copysign(x)
    }
}

impl Unary<f32> for Erfc {
    /// exp(−x²)·P(1/(x + 3)) in `f64`, where x² is exact: in `f32` its rounding would be magnified a hundred times.
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        // Beyond, the result is 0 or 2.
        let size = f64::from(if size > 10.1 { 10.11 } else { size });
        let scaled = wide_polynomial::<A, 11>(1.0 / (size + 3.0), ERFCX);
        let value = scaled * wide::exp2::<A>(size * size * -std::f64::consts::LOG2_E);
        (if x < 0.0 { 2.0 - value } else { value }) as f32
    }
}

impl Unary<f32> for Erfinv {
    /// Polynomials in w = −ln(1 − x²) after Giles (Approximating the erfinv function, GPU Computing Gems, Jade
    /// Edition, 2011).
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        let size = x.abs();
        let difference = if A::FUSED { A::mul_add_single(-size, size, 1.0) } else { (1.0 - size) * (1.0 + size) };
        let w = -ln_positive::<A>(difference);
        let series = size * polynomial::<A, 10>(w - 1.25, CENTRAL);
        let central = A::mul_add_single(size, CENTRAL_START, series);
        let series = size * polynomial::<A, 10>(w.sqrt() - 3.0, TAIL);
        let tail = A::mul_add_single(size, TAIL_START, series);
        let value = if w < 5.0 { central } else { tail };
        let limit = if size == 1.0 { f32::INFINITY } else { f32::NAN };
        (if size < 1.0 { value } else { limit }).copysign(x)
    }
}
