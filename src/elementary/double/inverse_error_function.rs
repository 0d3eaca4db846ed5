//! The inverse of the error function of `f64`.
//!
//! erf⁻¹ x = x·P(w) with w = −ln(1 − x²) (Giles, "Approximating the erfinv function", GPU Computing Gems, Jade Edition,
//! 2011); the coefficients for w ≤ 5 are minimax (own, by Remez's algorithm). The tails start from Giles's polynomial in
//! single precision, or the first terms of the asymptotic expansion, and are refined by Halley's method.

use super::polynomial;
use crate::elementary::functions::{Erfc, Erfinv, Exp, Ln};
use crate::elementary::{Arithmetic, Unary};

/// P(w) in w − 2.5 for w ≤ 5, off by 0.02 · 2⁻⁵³ of itself at most: the constant and what it lacks, the linear
/// coefficient, and the others.
const MIDDLE: f64 = 1.501409351110792;
const MIDDLE_LOW: f64 = -6.547737156110174e-17;
const SLOPE: f64 = 0.246640276744167;
const CENTRAL: [f64; 21] = [
    -0.004177317724383611,
    -0.0012527079078110154,
    0.000218250264343979,
    -4.996079598907961e-06,
    -3.4166195963575504e-06,
    4.787252186157797e-07,
    1.3416803486901776e-08,
    -1.086116901857898e-08,
    9.073038517679534e-10,
    1.196070303225703e-10,
    -3.1102881659439516e-11,
    9.115521766478659e-13,
    5.356629199288673e-13,
    -7.612381438880189e-14,
    -2.8866436998980973e-15,
    1.8963634356573e-15,
    -1.359550048839556e-16,
    -2.6802608749946916e-17,
    4.8643569886778426e-18,
    1.6929704828046118e-19,
    -6.758923224164277e-20,
];

/// Beyond it w > 5.
const TAIL_FROM: f64 = 0.9966;

/// Giles's polynomial in √w − 3 for 5 ≤ w < 16.
const TAIL: [f64; 9] = [
    2.83297682,
    1.00167406,
    0.00943887047,
    -0.0076224613,
    0.00573950773,
    -0.00367342844,
    0.00134934322,
    0.000100950558,
    -0.000200214257,
];

/// √π/2.
const HALF_SQRT_PI: f64 = 0.886226925452758;

/// −ln(1 − x²).
#[inline(always)]
fn logarithm<A: Arithmetic>(x: f64) -> f64 {
    -Ln::fast::<A>((1.0 - x) * (1.0 + x))
}

impl Unary<f64> for Erfinv {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let t = logarithm::<A>(x) - 2.5;
        let line = A::mul_add(SLOPE, t, MIDDLE);
        let line_low = A::mul_add(SLOPE, t, MIDDLE - line);
        let curve = A::mul_add(t * t, polynomial::<A, 21>(t, &CENTRAL), line_low + MIDDLE_LOW);
        A::mul_add(x, line, x * curve)
    }

    #[inline(always)]
    fn is_rare(x: f64) -> bool {
        (x.abs() > TAIL_FROM) & (x.abs() <= 1.0)
    }

    #[inline(always)]
    fn slow<A: Arithmetic>(x: f64) -> f64 {
        let size = x.abs();
        if size == 1.0 {
            return f64::INFINITY.copysign(x);
        }
        let w = logarithm::<A>(size);
        let start = if w < 16.0 {
            size * polynomial::<A, 9>(w.sqrt() - 3.0, &TAIL)
        } else {
            // erfc(y) ≈ e^(−y²)/(y√π), within 0.2 % of the root: one step more.
            let log_tail = -Ln::fast::<A>(1.0 - size);
            let start = (log_tail - 0.5 * Ln::fast::<A>(core::f64::consts::PI * log_tail)).sqrt();
            halley::<A>(start, size)
        };
        halley::<A>(start, size).copysign(x)
    }
}

/// One step of Halley's method from y towards erf⁻¹ x in the tail; its error is about the cube of y's.
#[inline(always)]
fn halley<A: Arithmetic>(y: f64, x: f64) -> f64 {
    // 1 − x is exact, and erfc y is small.
    let residual = (1.0 - x) - Erfc::fast::<A>(y);
    let step = residual * HALF_SQRT_PI * Exp::fast::<A>(y * y);
    y - step / (1.0 + y * step)
}
