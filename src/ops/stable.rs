//! Numbers of the stable forms of formulas, which the optimizer and derivatives share: where a form takes over, and the
//! coefficients of its series. Knows no nodes.

use crate::dtype::DType;

/// How far from zero a maximum is taken out of exponentials in a quotient: their sum neither overflows nor vanishes
/// before, and a difference rounds, which a tiny exponential shows.
pub const fn safe_exponent(dtype: DType) -> f64 {
    if matches!(dtype, DType::F32) { 64.0 } else { 512.0 }
}

/// From where on ln erfc is computed by its asymptotic series.
pub const fn erfc_switch(dtype: DType) -> f64 {
    if matches!(dtype, DType::F32) { 8.0 } else { 25.0 }
}

/// (−1)ⁿ (2n − 1)!!, the coefficients of 1/(2x²)ⁿ in erfc(x) x √π e^x² − 1 (DLMF 7.12.1), the last one first.
pub const ERFC_SERIES: [f64; 6] = [10395.0, -945.0, 105.0, -15.0, 3.0, -1.0];

/// ln √π.
pub const LN_ROOT_PI: f64 = 0.572_364_942_924_700_1;
