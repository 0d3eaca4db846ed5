//! What products are summed in: multiplication and addition of each dtype.
//!
//! Integers wrap, bools are or-of-ands; floats round each operation, or a product and its sum at once.

/// A number type of matrix products.
pub(super) trait Number: Copy + Send + Sync + 'static {
    /// The sum of no products.
    const ZERO: Self;

    /// `self · b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;

    /// `self · b + c`, each rounded.
    fn separate(self, b: Self, c: Self) -> Self;

    /// `self + other`.
    fn plus(self, other: Self) -> Self;
}

macro_rules! floats {
    ($($type:ty)*) => { $(
        impl Number for $type {
            const ZERO: $type = 0.0;

            #[inline(always)]
            fn fused(self, b: $type, c: $type) -> $type {
                self.mul_add(b, c)
            }

            #[inline(always)]
            fn separate(self, b: $type, c: $type) -> $type {
                self * b + c
            }

            #[inline(always)]
            fn plus(self, other: $type) -> $type {
                self + other
            }
        }
    )* };
}
floats!(f32 f64);

macro_rules! integers {
    ($($type:ty)*) => { $(
        impl Number for $type {
            const ZERO: $type = 0;

            #[inline(always)]
            fn fused(self, b: $type, c: $type) -> $type {
                self.separate(b, c)
            }

            #[inline(always)]
            fn separate(self, b: $type, c: $type) -> $type {
                self.wrapping_mul(b).wrapping_add(c)
            }

            #[inline(always)]
            fn plus(self, other: $type) -> $type {
                self.wrapping_add(other)
            }
        }
    )* };
}
integers!(i8 u8 i32 u32 i64 u64);

impl Number for bool {
    const ZERO: bool = false;

    #[inline(always)]
    fn fused(self, b: bool, c: bool) -> bool {
        self.separate(b, c)
    }

    #[inline(always)]
    fn separate(self, b: bool, c: bool) -> bool {
        (self & b) | c
    }

    #[inline(always)]
    fn plus(self, other: bool) -> bool {
        self | other
    }
}

/// `a · b + c`, fused where the processor does that in one instruction.
#[inline(always)]
pub(super) fn add_product<T: Number, const FUSED: bool>(a: T, b: T, c: T) -> T {
    if FUSED { a.fused(b, c) } else { a.separate(b, c) }
}

/// Lines of a matrix from this one on, so many elements apart.
#[derive(Clone, Copy)]
pub(super) struct Lines<T> {
    pub first: *const T,
    pub step: isize,
}

impl<T> Lines<T> {
    /// The first element of a line.
    #[inline(always)]
    pub fn line(&self, index: usize) -> *const T {
        self.first.wrapping_offset(index as isize * self.step)
    }
}

/// Code that sets each of the given sums to that of the products of a row's elements and the factors.
///
/// The matrix has as many rows as there are sums, and so many columns, as many as there are factors. The lines are its rows,
/// or its columns, whichever the code is for; the elements of a line are dense. The processor has what the code was compiled
/// for.
pub(super) type Sum<T> = unsafe fn(&mut [T], Lines<T>, *const T, usize);

/// A function for this processor, which is compiled for its vectors and fused multiply-adds.
macro_rules! for_processor {
    ($name:ident, $generic:ident, $doc:literal) => {
        #[doc = $doc]
        pub(super) fn $name<T: Number>() -> Sum<T> {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
                unsafe fn avx512<T: Number>(sums: &mut [T], lines: Lines<T>, factors: *const T, count: usize) {
                    // SAFETY: by the caller's word.
                    unsafe { $generic::<T, true>(sums, lines, factors, count) }
                }

                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2<T: Number>(sums: &mut [T], lines: Lines<T>, factors: *const T, count: usize) {
                    // SAFETY: by the caller's word.
                    unsafe { $generic::<T, true>(sums, lines, factors, count) }
                }

                let has_fma = std::is_x86_feature_detected!("fma");
                if has_fma && WIDEST && std::is_x86_feature_detected!("avx512vl") {
                    return avx512::<T>;
                }
                if has_fma && std::is_x86_feature_detected!("avx2") {
                    return avx2::<T>;
                }
            }
            // AArch64 always has fused multiply-adds.
            $generic::<T, { cfg!(target_arch = "aarch64") }>
        }
    };
}
pub(super) use for_processor;
