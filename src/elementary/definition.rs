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
