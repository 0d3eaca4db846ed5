//! What products are summed in: multiplication and addition of each dtype.
//!
//! Integers wrap, bools are or-of-ands; floats round each operation, or a product and its sum at once.

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::round::{Lanes, Round};

/// A number type of matrix products.
pub(super) trait Number: Copy + Send + Sync + 'static {
    /// What any processor sums in.
    type Plain: Round<Self>;

    /// What a processor with AVX2 and fused multiply-adds sums in.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Round<Self>;

    /// The sum of no products.
    const ZERO: Self;

    /// Whether sums have the same bits in any order.
    const IN_ANY_ORDER: bool;

    /// `self · b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;

    /// `self · b + c`, each rounded.
    fn separate(self, b: Self, c: Self) -> Self;

    /// `self + other`.
    fn plus(self, other: Self) -> Self;
}

/// AArch64 always has fused multiply-adds.
const FUSED: bool = cfg!(target_arch = "aarch64");

macro_rules! floats {
    ($($type:ty, $lanes:literal, $avx2:ident;)*) => { $(
        impl Number for $type {
            type Plain = Lanes<$type, $lanes, FUSED>;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = avx2::$avx2;

            const ZERO: $type = 0.0;
            const IN_ANY_ORDER: bool = false;

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
floats!(f32, 16, Singles; f64, 8, Doubles;);

macro_rules! integers {
    ($($type:ty, $lanes:literal;)*) => { $(
        impl Number for $type {
            type Plain = Lanes<$type, $lanes, false>;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = Self::Plain;

            const ZERO: $type = 0;
            const IN_ANY_ORDER: bool = true;

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
integers!(i8, 16; u8, 16; i32, 16; u32, 16; i64, 8; u64, 8;);

impl Number for bool {
    type Plain = Lanes<bool, 16, false>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Self::Plain;

    const ZERO: bool = false;
    const IN_ANY_ORDER: bool = true;

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

/// Lines of a matrix from this one on, so many elements apart.
#[derive(Clone, Copy)]
pub(super) struct Lines<T> {
    pub first: *const T,
    pub step: isize,
    /// How many elements further on than each of theirs is one that will be read next, if that is known.
    pub ahead: Option<isize>,
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

/// A function for this processor.
macro_rules! for_processor {
    ($name:ident, $generic:ident, $doc:literal) => {
        #[doc = $doc]
        pub(super) fn $name<T: Number>() -> Sum<T> {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2<T: Number>(sums: &mut [T], lines: Lines<T>, factors: *const T, count: usize) {
                    // SAFETY: by the caller's word.
                    unsafe { $generic::<T, T::Avx2>(sums, lines, factors, count) }
                }

                if std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2") {
                    return avx2::<T>;
                }
            }
            $generic::<T, T::Plain>
        }
    };
}
pub(super) use for_processor;
