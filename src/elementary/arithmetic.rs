//! How a·b + c is computed: the only thing in which instruction sets differ.

/// A way to compute a·b + c.
pub(crate) trait Arithmetic: Copy + 'static {
    /// Whether it rounds once.
    const FUSED: bool;
    /// a·b + c.
    fn mul_add(a: f64, b: f64, c: f64) -> f64;
    /// a·b + c in single precision.
    fn mul_add_single(a: f32, b: f32, c: f32) -> f32;
}

/// One instruction that rounds once; only in code compiled for an instruction set that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fused;

/// The same bits as [`Fused`], on any machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Emulated;

/// A product and a sum, each rounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Separate;

impl Arithmetic for Fused {
    const FUSED: bool = true;
    #[inline(always)]
    fn mul_add(a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn mul_add_single(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Emulated {
    const FUSED: bool = true;
    fn mul_add(a: f64, b: f64, c: f64) -> f64 {
        libm::fma(a, b, c)
    }
    fn mul_add_single(a: f32, b: f32, c: f32) -> f32 {
        libm::fmaf(a, b, c)
    }
}

impl Arithmetic for Separate {
    const FUSED: bool = false;
    #[inline(always)]
    fn mul_add(a: f64, b: f64, c: f64) -> f64 {
        a * b + c
    }
    #[inline(always)]
    fn mul_add_single(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
