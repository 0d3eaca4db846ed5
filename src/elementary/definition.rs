//! The elementary functions one value at a time, with the same bits on every machine: what the op table defines them as.
//!
//! Where the processor has fused multiply-add it is used; else it is emulated. Must not know: ops.

use super::{Binary, Emulated, Unary, binary, unary};

/// A function of one argument.
pub(crate) fn define_unary<F: Unary<T>, T: Copy>(x: T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { fused_unary::<F, T>(x) };
    }
    unary::<F, T, Emulated>(x)
}

/// A function of two arguments.
pub(crate) fn define_binary<F: Binary<T>, T: Copy>(a: T, b: T) -> T {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { fused_binary::<F, T>(a, b) };
    }
    binary::<F, T, Emulated>(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused_unary<F: Unary<T>, T: Copy>(x: T) -> T {
    unary::<F, T, super::Fused>(x)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused_binary<F: Binary<T>, T: Copy>(a: T, b: T) -> T {
    binary::<F, T, super::Fused>(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elementary::functions;
    use crate::elementary::kernel::{Base, Element, Level, binary_kernel};
    use crate::elementary::philox::bits64;

    /// Any bits, and numbers of common sizes, in turns.
    fn arguments<T>(seed: u64, from: fn(f64) -> T) -> Vec<T> {
        let number = |i: u64| {
            let bits = bits64(i, seed);
            let common = bits & 0x800f_ffff_ffff_ffff | (1018 + bits % 12) << 52;
            from(f64::from_bits(if i.is_multiple_of(2) { bits } else { common }))
        };
        // Limits of exponentials, beyond which results are subnormal, zero or infinite.
        let edges =
            [0.0, f64::INFINITY, f64::NAN, 5e-324, 709.782_712_893_384, 709.782_712_893_384_1, 745.133_219_101_941_1];
        let edges = edges.into_iter().chain([745.133_219_101_941_2, 708.396_418_532_264_1]);
        let near = (0..400).map(|i| 708.0 + f64::from(i) * 0.1);
        let both = edges.chain(near).flat_map(|x| [from(x), from(-x)]);
        // No whole number of vectors.
        (0..2003).map(number).chain(both).collect()
    }

    fn compare<F, T: Copy + Into<f64>>(what: &str, arguments: [T; 2], a: T, b: T) {
        let ([x, y], [a, b]) = (arguments.map(Into::<f64>::into), [a, b].map(Into::<f64>::into));
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        assert!(same, "{} of ({x:e}, {y:e}): {a:e}, {what} {b:e}", std::any::type_name::<F>());
    }

    fn check_unary<F: Unary<T>, T: Element + Into<f64>>(from: fn(f64) -> T) {
        let x = arguments(1, from);
        let mut kernel = x.clone();
        // SAFETY: both have that length, and every processor has the baseline.
        unsafe { F::kernel(Level::Baseline)(kernel.as_mut_ptr(), x.as_ptr(), x.len(), x.as_ptr()) };
        for (x, kernel) in x.into_iter().zip(kernel) {
            compare::<F, T>("emulated", [x, x], define_unary::<F, T>(x), unary::<F, T, Emulated>(x));
            compare::<F, T>("in a kernel", [x, x], unary::<F, T, Base>(x), kernel);
        }
    }

    /// Every level that the processor has and that has fused multiply-add gives the bits of the definition.
    #[cfg(target_arch = "x86_64")]
    fn check_levels<F: Unary<T>, T: Element + Into<f64>>(from: fn(f64) -> T) {
        let x = arguments(3, from);
        for level in [Level::Avx2, Level::Avx512].into_iter().filter(|&level| level <= Level::native()) {
            let mut kernel = x.clone();
            // SAFETY: both have that length, and the processor has the level.
            unsafe { F::kernel(level)(kernel.as_mut_ptr(), x.as_ptr(), x.len(), x.as_ptr()) };
            for (&x, kernel) in x.iter().zip(kernel) {
                compare::<F, T>(&format!("in a kernel for {level:?}"), [x, x], define_unary::<F, T>(x), kernel);
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn check_levels<F: Unary<T>, T: Element + Into<f64>>(_: fn(f64) -> T) {}

    fn check_binary<F: Binary<T>, T: Element + Into<f64>>(from: fn(f64) -> T) {
        let (x, y) = (arguments(1, from), arguments(2, from));
        let mut kernel = x.clone();
        // SAFETY: the three have that length, and every processor has the baseline.
        unsafe { binary_kernel::<F, T>(Level::Baseline)(kernel.as_mut_ptr(), x.as_ptr(), y.as_ptr(), x.len()) };
        for (i, kernel) in kernel.into_iter().enumerate() {
            let (x, y) = (x[i], y[i]);
            compare::<F, T>("emulated", [x, y], define_binary::<F, T>(x, y), binary::<F, T, Emulated>(x, y));
            compare::<F, T>("in a kernel", [x, y], binary::<F, T, Base>(x, y), kernel);
        }
    }

    macro_rules! check {
        (unary { $($(#[$doc:meta])* $unary:ident;)* } binary { $($(#[$other:meta])* $binary:ident;)* }) => {
            $(check_unary::<functions::$unary, f64>(|x| x);
            check_levels::<functions::$unary, f64>(|x| x);
            check_unary::<functions::$unary, f32>(|x| x as f32);
            check_levels::<functions::$unary, f32>(|x| x as f32);)*
            $(check_binary::<functions::$binary, f64>(|x| x);
            check_binary::<functions::$binary, f32>(|x| x as f32);)*
        };
    }

    /// Where the processor has fused multiply-add its emulation gives the same bits, and the kernels without it are the
    /// source at its word.
    #[test]
    fn every_form_of_a_function_gives_the_bits_of_its_arithmetic() {
        functions::functions!(check);
    }
}
