//! Loops over vectors, and what all vectors have.

use super::number::Number;
use super::{Lanes, On};
use crate::elementary::kernel::ask;

/// Bytes for which memory ahead is asked for at once.
const CHUNK: usize = 128;

/// A vector in memory.
pub(super) trait Vector<T: Number>: Lanes<T> {
    /// Its lanes.
    const COUNT: usize;

    /// # Safety
    /// The processor must have such vectors, and so many numbers may be read.
    unsafe fn load(from: *const T) -> Self;

    /// # Safety
    /// So many numbers may be written.
    unsafe fn store(self, to: *mut T);
}

/// A loop `(out, x, start, count, ahead)` over vectors from an element on; returns where it stopped.
pub(super) type UsualLoop<T> = unsafe fn(*mut T, *const T, usize, usize, *const T) -> usize;

/// The values of consecutive numbers; a rest is padded to a vector.
///
/// # Safety
/// The processor must have such vectors; `x` may be read and `out` written for `count` elements.
#[inline(always)]
pub(super) unsafe fn vectors<F: On<V>, V: Vector<T>, T: Number>(
    out: *mut T,
    x: *const T,
    count: usize,
    ahead: *const T,
    usual: UsualLoop<T>,
) {
    let mut start = 0;
    loop {
        // SAFETY: as many elements as in this function.
        start = unsafe { usual(out, x, start, count, ahead) };
        if start + V::COUNT > count {
            break;
        }
        // SAFETY: a whole vector is left, by the caller's word.
        unsafe { F::values(V::load(x.add(start))).store(out.add(start)) };
        start += V::COUNT;
    }
    if start < count {
        let mut padded = [T::ONE; 16];
        // SAFETY: fewer elements are left than a vector has, which has no more than the array.
        unsafe {
            std::ptr::copy_nonoverlapping(x.add(start), padded.as_mut_ptr(), count - start);
            F::values(V::load(padded.as_ptr())).store(padded.as_mut_ptr());
            std::ptr::copy_nonoverlapping(padded.as_ptr(), out.add(start), count - start);
        }
    }
}

/// The values of vectors up to the first that holds an argument that is not usual, or to the last whole one: a loop of its own,
/// which keeps its constants in registers.
///
/// # Safety
/// As of `vectors`.
#[inline(always)]
pub(super) unsafe fn usual_vectors<F: On<V>, V: Vector<T>, T: Number>(
    out: *mut T,
    x: *const T,
    start: usize,
    count: usize,
    ahead: *const T,
) -> usize {
    let whole = count - count % V::COUNT;
    for at in (start..whole).step_by(V::COUNT) {
        // SAFETY: a whole vector is left, by the caller's word.
        let argument = unsafe { V::load(x.add(at)) };
        if !F::are_usual(argument) {
            return at;
        }
        if (at * size_of::<T>()).is_multiple_of(CHUNK) {
            ask(ahead.wrapping_add(at));
        }
        // SAFETY: as before.
        unsafe { F::usual_values(argument).store(out.add(at)) };
    }
    whole
}

/// What vectors have but for the way in which they look up coefficients, and what those of `f64` have besides.
macro_rules! vector {
    ($(#[$doc:meta])* $name:ident $type:ident $number:ident $count:literal $fused:literal, $features:literal $kernel:ident $usual:ident $piecewise:ident,
     $load:ident $store:ident $splat:ident $add:ident $sub:ident $mul:ident $mul_add:ident $min:ident $or:ident $and:ident $and_not:ident,
     $float:ident $whole:ident, $half:literal,
     |$piece:ident, $table:ident, $pair:ident| $coefficients:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name($type);

        impl Vector<$number> for $name {
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn load(from: *const $number) -> Self {
                // SAFETY: by the caller's word.
                Self(unsafe { $load(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $number) {
                // SAFETY: by the caller's word.
                unsafe { $store(to, self.0) }
            }
        }

        // SAFETY, of all that follow: there is a vector, so the processor has its instructions.
        impl Lanes<$number> for $name {
            const FUSED: bool = $fused;

            #[inline(always)]
            fn splat(self, value: $number) -> Self {
                // SAFETY: as above.
                Self(unsafe { $splat(value) })
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $sub(self.0, other.0) })
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $mul(self.0, other.0) })
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $mul_add(self.0, factor.0, addend.0) })
            }

            #[inline(always)]
            fn magnitude(self, bound: $number) -> Self {
                // The second operand stands where there is a NaN.
                // SAFETY: as above.
                Self(unsafe { $min($splat(bound), $and_not($splat(-0.0), self.0)) })
            }

            #[inline(always)]
            fn copysign(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe {
                    let sign = $splat(-0.0);
                    Self($or($and_not(sign, self.0), $and(sign, other.0)))
                }
            }

            #[inline(always)]
            fn upper(self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $and(self.0, $float($whole(-1 << $half))) })
            }

            #[inline(always)]
            fn coefficients(self, $table: &'static Table<$number>, $pair: usize) -> [Self; 2] {
                let $piece = self.0;
                $coefficients
            }
        }

        impl<F: $piecewise> On<$name> for F {
            #[inline(always)]
            fn values(x: $name) -> $name {
                F::on(x)
            }

            #[inline(always)]
            fn are_usual(x: $name) -> bool {
                <F as $piecewise>::are_usual(x)
            }

            #[inline(always)]
            fn usual_values(x: $name) -> $name {
                F::on_usual(x)
            }
        }

        #[target_feature(enable = $features)]
        unsafe extern "C" fn $kernel<F: $piecewise>(
            out: *mut $number,
            x: *const $number,
            count: usize,
            ahead: *const $number,
        ) {
            // SAFETY: by the caller's word.
            unsafe { vectors::<F, $name, $number>(out, x, count, ahead, $usual::<F>) }
        }

        #[target_feature(enable = $features)]
        #[inline(never)]
        unsafe fn $usual<F: $piecewise>(
            out: *mut $number,
            x: *const $number,
            start: usize,
            count: usize,
            ahead: *const $number,
        ) -> usize {
            // SAFETY: by the caller's word.
            unsafe { usual_vectors::<F, $name, $number>(out, x, start, count, ahead) }
        }
    };
}
pub(super) use vector;
