//! Kernels: a function over consecutive elements in memory, compiled for each level of the instruction set.
//!
//! A kernel works by chunks of fixed length, which the compiler turns into vectors; a shorter rest is padded to a chunk,
//! so every element has the same bits wherever it stands. Chunks of arguments that need nothing besides go through a loop
//! without calls, which keeps its constants in registers. Must not know: which functions there are.

use super::{Arithmetic, Binary, Fused, Separate, Unary};

/// What kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the architecture has: SSE2 without fused multiply-add, or NEON with it.
    Baseline,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with its F, DQ, BW and VL parts, and BMI2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Whether it has AVX-512.
    pub(crate) fn has_avx512(self) -> bool {
        match self {
            Level::Baseline => false,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => false,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => true,
        }
    }

    /// The highest level that the processor has.
    pub(crate) fn native() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
            let has_avx512 = std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512dq")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512vl")
                && std::is_x86_feature_detected!("bmi2");
            if has_avx2 {
                return if has_avx512 { Level::Avx512 } else { Level::Avx2 };
            }
        }
        Level::Baseline
    }
}

/// The arithmetic of the baseline.
#[cfg(target_arch = "aarch64")]
pub(super) type Base = Fused;
#[cfg(not(target_arch = "aarch64"))]
pub(super) type Base = Separate;

/// A type that kernels work on.
pub(crate) trait Element: Copy {
    /// Elements of a chunk: four 256-bit vectors of floats, or as many integers as there are `f64` in those, as which they divide.
    type Chunk: AsMut<[Self]> + AsRef<[Self]> + Copy;
    /// A chunk of ones, which are no rare arguments.
    const ONES: Self::Chunk;
}

macro_rules! elements {
    ($($type:ident $one:literal $chunk:literal;)*) => { $(
        impl Element for $type {
            type Chunk = [$type; $chunk];
            const ONES: [$type; $chunk] = [$one; $chunk];
        }
    )* };
}
elements!(f64 1.0 16; f32 1.0 32; i8 1 16; u8 1 16; i32 1 16; u32 1 16; i64 1 16; u64 1 16;);

/// The kernel `(out, x, count, ahead)` of a function of one argument; `out` may be `x`. Meanwhile it asks for the lines of
/// memory, which may be none, that lie as far from `ahead` as it is from `x`: a little with each chunk, since many at once
/// would have what it reads itself wait for them.
pub(crate) type UnaryKernel<T> = unsafe extern "C" fn(*mut T, *const T, usize, *const T);

/// The kernel `(out, a, b, count)` of a function of two arguments; `out` may be either.
pub(crate) type BinaryKernel<T> = unsafe extern "C" fn(*mut T, *const T, *const T, usize);

/// The kernel of a function by chunks for a level, which the processor that runs it must have.
pub(super) fn chunk_kernel<F: Unary<T>, T: Element>(level: Level) -> UnaryKernel<T> {
    match level {
        Level::Baseline => unary_baseline::<F, T>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unary_avx2::<F, T>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unary_avx512::<F, T>,
    }
}

/// As `chunk_kernel`, for two arguments.
pub(crate) fn binary_kernel<F: Binary<T>, T: Element>(level: Level) -> BinaryKernel<T> {
    match level {
        Level::Baseline => binary_baseline::<F, T>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => binary_avx2::<F, T>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => binary_avx512::<F, T>,
    }
}

/// A loop `(out, x, start, count, ahead)` over chunks from an element on; returns where it stopped.
type PlainLoop<T> = unsafe fn(*mut T, *const T, usize, usize, *const T) -> usize;

/// `(arguments, results)` of a chunk to the results with those of rare arguments set right. It takes copies: what it pointed to
/// would have to pass through memory in every chunk.
type UnaryRare<T> = unsafe fn(<T as Element>::Chunk, <T as Element>::Chunk) -> <T as Element>::Chunk;

/// As `UnaryRare`, for two arguments.
type BinaryRare<T> =
    unsafe fn(<T as Element>::Chunk, <T as Element>::Chunk, <T as Element>::Chunk) -> <T as Element>::Chunk;

/// Asks for the lines that a chunk fills.
#[inline(always)]
pub(super) fn ask<T>(ahead: *const T) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..2 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which takes any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast::<i8>().wrapping_add(64 * line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = ahead;
}

macro_rules! level {
    ($plain:ident $unary:ident $unary_rare:ident $binary:ident $binary_rare:ident $arithmetic:ident $(#[$attribute:meta])?) => {
        $(#[$attribute])?
        #[inline(never)]
        unsafe fn $plain<F: Unary<T>, T: Element>(
            out: *mut T,
            x: *const T,
            start: usize,
            count: usize,
            ahead: *const T,
        ) -> usize {
            // SAFETY: by the caller's word.
            unsafe { plain_chunks::<F, T, $arithmetic>(out, x, start, count, ahead) }
        }

        $(#[$attribute])?
        unsafe extern "C" fn $unary<F: Unary<T>, T: Element>(
            out: *mut T,
            x: *const T,
            count: usize,
            ahead: *const T,
        ) {
            // SAFETY: by the caller's word.
            unsafe { unary_chunks::<F, T, $arithmetic>(out, x, count, ahead, $plain::<F, T>, $unary_rare::<F, T>) }
        }

        $(#[$attribute])?
        #[cold]
        #[inline(never)]
        unsafe fn $unary_rare<F: Unary<T>, T: Element>(argument: T::Chunk, result: T::Chunk) -> T::Chunk {
            unary_rare::<F, T, $arithmetic>(argument, result)
        }

        $(#[$attribute])?
        unsafe extern "C" fn $binary<F: Binary<T>, T: Element>(out: *mut T, a: *const T, b: *const T, count: usize) {
            // SAFETY: by the caller's word.
            unsafe { binary_chunks::<F, T, $arithmetic>(out, a, b, count, $binary_rare::<F, T>) }
        }

        $(#[$attribute])?
        #[cold]
        #[inline(never)]
        unsafe fn $binary_rare<F: Binary<T>, T: Element>(a: T::Chunk, b: T::Chunk, result: T::Chunk) -> T::Chunk {
            binary_rare::<F, T, $arithmetic>(a, b, result)
        }
    };
}

level!(plain_baseline unary_baseline unary_rare_baseline binary_baseline binary_rare_baseline Base);
#[cfg(target_arch = "x86_64")]
level!(plain_avx2 unary_avx2 unary_rare_avx2 binary_avx2 binary_rare_avx2 Fused #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
level!(plain_avx512 unary_avx512 unary_rare_avx512 binary_avx512 binary_rare_avx512 Fused #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]);

/// # Safety
/// `x` may be read and `out` written for `count` elements, and the processor has what `plain` and `rare` are compiled for.
#[inline(always)]
unsafe fn unary_chunks<F: Unary<T>, T: Element, A: Arithmetic>(
    out: *mut T,
    x: *const T,
    count: usize,
    ahead: *const T,
    plain: PlainLoop<T>,
    rare: UnaryRare<T>,
) {
    let chunk = T::ONES.as_ref().len();
    let mut start = 0;
    while start + chunk <= count {
        // SAFETY: as many elements as in this function; where one chunk does not fit, none is touched.
        start = unsafe { plain(out, x, start, count, ahead) };
        // SAFETY: as before.
        start = unsafe { other_chunks::<F, T, A>(out, x, start, count, ahead, rare) };
    }
    if start < count {
        let mut argument = T::ONES;
        let rest = count - start;
        // SAFETY: so many elements are left, fewer than a chunk.
        unsafe {
            std::ptr::copy_nonoverlapping(x.add(start), argument.as_mut().as_mut_ptr(), rest);
            let value = any_chunk::<F, T, A>(argument, rare);
            std::ptr::copy_nonoverlapping(value.as_ref().as_ptr(), out.add(start), rest);
        }
    }
}

/// The values of chunks up to the first that holds an argument that is rare or not usual, or to the last whole one.
///
/// # Safety
/// As of `unary_chunks`.
#[inline(always)]
unsafe fn plain_chunks<F: Unary<T>, T: Element, A: Arithmetic>(
    out: *mut T,
    x: *const T,
    mut start: usize,
    count: usize,
    ahead: *const T,
) -> usize {
    let chunk = T::ONES.as_ref().len();
    while start + chunk <= count {
        // SAFETY: a whole chunk is left; chunks are arrays without padding.
        let argument = unsafe { x.add(start).cast::<T::Chunk>().read_unaligned() };
        if !is_plain::<F, T>(argument) {
            break;
        }
        let mut result = argument;
        ask(ahead.wrapping_add(start));
        // No closure, which may become a function of its own, compiled without what this one may use.
        for x in result.as_mut() {
            *x = F::usual::<A>(*x);
        }
        // SAFETY: as of the argument.
        unsafe { out.add(start).cast::<T::Chunk>().write_unaligned(result) };
        start += chunk;
    }
    start
}

/// The values of chunks up to the first of those that `plain_chunks` serves, or to the last whole one. A loop of its own: one
/// text for both took 1.03 of the time.
///
/// # Safety
/// As of `unary_chunks`.
#[inline(always)]
unsafe fn other_chunks<F: Unary<T>, T: Element, A: Arithmetic>(
    out: *mut T,
    x: *const T,
    mut start: usize,
    count: usize,
    ahead: *const T,
    rare: UnaryRare<T>,
) -> usize {
    let chunk = T::ONES.as_ref().len();
    while start + chunk <= count {
        // SAFETY: a whole chunk is left; chunks are arrays without padding.
        let argument = unsafe { x.add(start).cast::<T::Chunk>().read_unaligned() };
        if is_plain::<F, T>(argument) {
            break;
        }
        ask(ahead.wrapping_add(start));
        // SAFETY: as of the argument.
        unsafe { out.add(start).cast::<T::Chunk>().write_unaligned(any_chunk::<F, T, A>(argument, rare)) };
        start += chunk;
    }
    start
}

/// Whether `usual` serves all arguments of a chunk. All are asked, without a branch for each.
#[inline(always)]
fn is_plain<F: Unary<T>, T: Element>(argument: T::Chunk) -> bool {
    let arguments = argument.as_ref().iter();
    if F::HAS_USUAL {
        return arguments.fold(true, |all, &x| all & F::is_usual(x));
    }
    !arguments.fold(false, |any, &x| any | F::is_rare(x))
}

/// The values of a chunk of any arguments.
///
/// # Safety
/// The processor has what `set_right` is compiled for.
#[inline(always)]
unsafe fn any_chunk<F: Unary<T>, T: Element, A: Arithmetic>(argument: T::Chunk, set_right: UnaryRare<T>) -> T::Chunk {
    let mut result = argument;
    let mut rare = false;
    for (result, &x) in result.as_mut().iter_mut().zip(argument.as_ref()) {
        *result = F::fast::<A>(x);
        rare |= F::is_rare(x);
    }
    // SAFETY: by the caller's word.
    if rare { unsafe { set_right(argument, result) } } else { result }
}

/// The values of a chunk with those of its rare arguments set right.
#[inline(always)]
fn unary_rare<F: Unary<T>, T: Element, A: Arithmetic>(argument: T::Chunk, mut result: T::Chunk) -> T::Chunk {
    for (result, &x) in result.as_mut().iter_mut().zip(argument.as_ref()) {
        if F::is_rare(x) {
            *result = F::slow::<A>(x);
        }
    }
    result
}

/// # Safety
/// `a` and `b` may be read and `out` written for `count` elements, and the processor has what `rare` is compiled for.
#[inline(always)]
unsafe fn binary_chunks<F: Binary<T>, T: Element, A: Arithmetic>(
    out: *mut T,
    a: *const T,
    b: *const T,
    count: usize,
    rare: BinaryRare<T>,
) {
    if count == 1 {
        // What narrow code calls for the last elements of a row.
        // SAFETY: one element is there, by the caller's word.
        unsafe { out.write(super::binary::<F, T, A>(a.read(), b.read())) };
        return;
    }
    let chunk = T::ONES.as_ref().len();
    let mut start = 0;
    while start + chunk <= count {
        // SAFETY: a whole chunk is left, by the caller's word; chunks are arrays without padding.
        unsafe {
            let left = a.add(start).cast::<T::Chunk>().read_unaligned();
            let right = b.add(start).cast::<T::Chunk>().read_unaligned();
            out.add(start).cast::<T::Chunk>().write_unaligned(binary_chunk::<F, T, A>(left, right, rare));
        }
        start += chunk;
    }
    if start < count {
        let (mut left, mut right) = (T::ONES, T::ONES);
        let rest = count - start;
        // SAFETY: so many elements are left, fewer than a chunk.
        unsafe {
            std::ptr::copy_nonoverlapping(a.add(start), left.as_mut().as_mut_ptr(), rest);
            std::ptr::copy_nonoverlapping(b.add(start), right.as_mut().as_mut_ptr(), rest);
            let value = binary_chunk::<F, T, A>(left, right, rare);
            std::ptr::copy_nonoverlapping(value.as_ref().as_ptr(), out.add(start), rest);
        }
    }
}

/// As `any_chunk`, for two arguments.
///
/// # Safety
/// As of `any_chunk`.
#[inline(always)]
unsafe fn binary_chunk<F: Binary<T>, T: Element, A: Arithmetic>(
    a: T::Chunk,
    b: T::Chunk,
    set_right: BinaryRare<T>,
) -> T::Chunk {
    let mut result = a;
    let mut rare = false;
    for (result, (&a, &b)) in result.as_mut().iter_mut().zip(a.as_ref().iter().zip(b.as_ref())) {
        *result = F::fast::<A>(a, b);
        rare |= F::is_rare(a, b);
    }
    // SAFETY: by the caller's word.
    if rare { unsafe { set_right(a, b, result) } } else { result }
}

/// As `unary_rare`, for two arguments.
#[inline(always)]
fn binary_rare<F: Binary<T>, T: Element, A: Arithmetic>(a: T::Chunk, b: T::Chunk, mut result: T::Chunk) -> T::Chunk {
    for (result, (&a, &b)) in result.as_mut().iter_mut().zip(a.as_ref().iter().zip(b.as_ref())) {
        if F::is_rare(a, b) {
            *result = F::slow::<A>(a, b);
        }
    }
    result
}
