//! The hyperbolic tangent, by polynomials on pieces.

use super::parts::ROUND;
use crate::elementary::functions::Tanh;
use crate::elementary::kernel::{Level, UnaryKernel};
use crate::elementary::piecewise::{self, Lanes, PiecewiseSingle, Table};
use crate::elementary::{Arithmetic, Unary};

/// The width of a piece, so chosen that the middles' tangents are off by less than 0.4 ULP when rounded. Multiples of it are exact.
const WIDTH: f32 = 301.0 / 512.0;

/// From here on the result is 1.
const ONE_FROM: f32 = 9.1;

/// tanh(k·[`WIDTH`] + t) for |t| ≤ [`WIDTH`]/2, k from 0 on: least squares in the zeros of a Chebyshev polynomial, coefficients
/// rounded one after the other. Off by 0.17 ULP for k = 0, by 0.1 for others, besides the rounding of the constant coefficient.
#[rustfmt::skip]
static TANH: Table<f32> = Table::new(&[
    [0.0, 1.0, 0.0, -0.33333093, 0.0, 0.13316293, 0.0, -0.050508257],
    [0.5283768, 0.7208179, -0.38086215, -0.03903318, 0.14754547, -0.048899952, -0.031664953, 0.029308612],
    [0.8261167, 0.31753123, -0.26231736, 0.110861614, -0.0041461717, -0.026498573, 0.017184855, -0.0033196816],
    [0.9429117, 0.11091753, -0.104583435, 0.061642524, -0.023323141, 0.0038461213, 0.0023463804, -0.0018297294],
    [0.98202914, 0.035618763, -0.03497826, 0.022477137, -0.010425726, 0.003526079, -0.00066835573, -5.187912e-06],
    [0.99441993, 0.011129013, -0.011068112, 0.007295487, -0.0035315123, 0.0013615506, -0.0006671328, 9.170145e-05],
    [0.9982748, 0.0034474547, -0.0034444241, 0.002286413, -0.0010520081, 0.00044800865, -0.00076482206, 3.761867e-05],
    [0.9994673, 0.0010650781, -0.0010636087, 0.00070892065, -0.00037943048, 0.00014080679, 0.00014423835, 1.3605626e-05],
    [0.9998356, 0.00032878056, -0.00033094033, 0.00021907795, -4.6279838e-05, 4.3753917e-05, -0.00048408404, 3.980738e-06],
    [0.9999493, 0.000101465914, -0.00010313006, 6.763368e-05, 1.383308e-05, 1.3519168e-05, -0.00035848943, 1.2802738e-06],
    [0.9999843, 3.131123e-05, -2.8143857e-05, 2.0873204e-05, -0.000100817415, 4.1720955e-06, 0.00067006634, 4.151373e-07],
    [0.9999952, 9.662055e-06, -1.0140187e-05, 6.44125e-06, 1.0426725e-05, 1.2886795e-06, -0.00010182209, 1.2040266e-07],
    [0.9999985, 2.9815058e-06, -3.0810802e-06, 1.987655e-06, 1.8481894e-06, 3.976392e-07, -2.1247602e-05, 3.7446924e-08],
    [0.9999995, 9.200274e-07, 1.7064489e-06, 6.1335527e-07, -7.5265685e-05, 1.2255508e-07, 0.00055684923, 1.2544055e-08],
    [0.9999999, 2.8390014e-07, -3.8342155e-06, 1.8926643e-07, 0.000101230566, 3.786685e-08, -0.0007527846, 3.4992709e-09],
    [0.99999994, 8.7605294e-08, 2.3794187e-06, 5.8403522e-08, -7.0437505e-05, 1.16780505e-08, 0.0005230781, 1.1465239e-09],
]);

/// Two neighboring terms of a piece's polynomial in t, without the power of t² that they share.
#[inline(always)]
fn two_terms<L: Lanes<f32>>(piece: L, pair: usize, t: L) -> L {
    let [a, b] = piece.coefficients(&TANH, pair);
    b.mul_add(t, a)
}

impl PiecewiseSingle for Tanh {
    #[inline(always)]
    fn on<L: Lanes<f32>>(x: L) -> L {
        let size = x.magnitude(ONE_FROM);
        let piece = size.mul_add(x.splat(1.0 / WIDTH), x.splat(ROUND));
        let t = piece.minus(x.splat(ROUND)).mul_add(x.splat(-WIDTH), size);
        let square = t.times(t);
        let mut sum = two_terms(piece, 3, t);
        for pair in [2, 1] {
            sum = sum.mul_add(square, two_terms(piece, pair, t));
        }
        let [c0, c1] = piece.coefficients(&TANH, 0);
        t.mul_add(c1, square.times(sum)).plus(c0).copysign(x)
    }
}

impl Unary<f32> for Tanh {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f32) -> f32 {
        piecewise::single::<Self, f32, A>(x)
    }

    fn kernel(level: Level) -> UnaryKernel<f32> {
        piecewise::single_kernel::<Self>(level)
    }
}
