//! Elementary functions: the one source from which the op table's definitions and the engines' vector kernels come.
//!
//! A function is a type that implements [`Unary`] or [`Binary`] for `f64` and `f32`. Its `fast` is scalar code without
//! branches, tables or calls, so that a loop over it vectorizes for any instruction set; the few arguments that need
//! more (huge angles, say) are `rare`, and `slow` serves them one by one. Functions that look coefficients up have kernels of
//! their own (`piecewise`). Where most arguments need less (no subnormal
//! result, say), `usual` gives the same bits for less, to chunks that hold no others. All arithmetic is IEEE 754, and products
//! are added through [`Arithmetic`]: every instruction set that has fused multiply-add gives the same bits, and so
//! does [`Emulated`], by which the op table defines its functions.
//! Must not know: ops, dtypes at run time, kernels of the loop IR.

mod arithmetic;
mod definition;
mod double;
pub(crate) mod functions;
pub(crate) mod kernel;
pub(crate) mod philox;
#[cfg(target_arch = "x86_64")]
mod philox_avx512;
pub(crate) mod philox_kernel;
mod philox_rounds;
mod philox_vector;
mod piecewise;
mod quotient;
mod single;
mod table_logarithm;

pub(crate) use arithmetic::{Arithmetic, Emulated, Fused, Separate};
pub(crate) use definition::{define_binary, define_unary};
use kernel::{Element, Level, UnaryKernel, chunk_kernel};
pub(crate) use quotient::Divide;

/// A function of one argument.
pub(crate) trait Unary<T: Copy> {
    /// Whether `usual` may differ from `fast`.
    const HAS_USUAL: bool = false;

    /// Its value where the argument is not rare; anything, but no trap, where it is.
    fn fast<A: Arithmetic>(x: T) -> T;

    /// Whether an argument is what most are: neither special nor near the ends of the range, and not rare.
    fn is_usual(_: T) -> bool {
        true
    }

    /// The bits of `fast` for less, where the argument is usual; anything, but no trap, where it is not.
    #[inline(always)]
    fn usual<A: Arithmetic>(x: T) -> T {
        Self::fast::<A>(x)
    }

    /// Whether an argument needs `slow`.
    fn is_rare(_: T) -> bool {
        false
    }

    /// Its value for a rare argument.
    fn slow<A: Arithmetic>(x: T) -> T {
        Self::fast::<A>(x)
    }

    /// Its kernel for a level of the instruction set, which the processor that runs it must have.
    fn kernel(level: Level) -> UnaryKernel<T>
    where
        T: Element,
        Self: Sized,
    {
        chunk_kernel::<Self, T>(level)
    }
}

/// A function of two arguments.
pub(crate) trait Binary<T: Copy> {
    /// Its value where the arguments are not rare; anything, but no trap, where they are.
    fn fast<A: Arithmetic>(a: T, b: T) -> T;

    /// Whether arguments need `slow`.
    fn is_rare(_: T, _: T) -> bool {
        false
    }

    /// Its value for rare arguments.
    fn slow<A: Arithmetic>(a: T, b: T) -> T {
        Self::fast::<A>(a, b)
    }
}

/// A function of one argument, at any.
#[inline(always)]
pub(crate) fn unary<F: Unary<T>, T: Copy, A: Arithmetic>(x: T) -> T {
    if F::is_rare(x) { F::slow::<A>(x) } else { F::fast::<A>(x) }
}

/// A function of two arguments, at any.
#[inline(always)]
pub(crate) fn binary<F: Binary<T>, T: Copy, A: Arithmetic>(a: T, b: T) -> T {
    if F::is_rare(a, b) { F::slow::<A>(a, b) } else { F::fast::<A>(a, b) }
}
