//! Blocks at 512 bits by hand: vectors of blocks and, beside them, blocks in scalar registers.
//!
//! The ports of vectors are what the generator waits for; those of scalar products are idle, and six vectors, which a
//! compiler does not keep in 32 registers, leave few gaps. Invariant: the bits are those of `Rounds::words`. Must not know:
//! draws, levels.

use std::arch::naked_asm;
use std::mem::MaybeUninit;

use super::philox_rounds::{Shared, Stream};
use super::philox_vector::Words;

/// Blocks of a step: six vectors of eight, and six scalar ones.
const BLOCKS: usize = 54;
/// Bytes of a step.
pub(super) const STEP: usize = BLOCKS * 16;

/// What all blocks share, and room for the kernel's own words.
#[repr(C, align(64))]
struct Work {
    shared: Shared,
    room: MaybeUninit<[u64; 24]>,
}

/// Where the assembly expects them.
const _: () = assert!(size_of::<Shared>() == 64 && size_of::<Work>() == 256);

/// The kernel `(out, work, steps, first block)`. It reads the start of `out`, which it has yet to write, as any words; all blocks
/// are below 2³².
type Kernel = unsafe extern "sysv64" fn(*mut u8, *mut Work, usize, u64);

impl Words {
    fn kernel(self) -> Kernel {
        match self {
            Words::Bits => bits,
            Words::Fractions32 => fractions32,
            Words::Fractions64 => fractions64,
        }
    }
}

/// Writes blocks of a stream from a number on, in whole steps; how many bytes they are.
///
/// # Safety
/// The processor has the level of the machine `Avx512`.
// Of its own, so that what it shares with nothing else is not computed where there is no step.
#[inline(never)]
pub(super) unsafe fn steps(stream: Stream, of: Words, out: &mut [u8], first: u64) -> usize {
    let steps = out.len() / STEP;
    let mut work = Work { shared: Shared::new(stream), room: MaybeUninit::uninit() };
    // SAFETY: `out` has the bytes of so many steps; the processor has the level by the caller's word.
    unsafe { of.kernel()(out.as_mut_ptr(), &raw mut work, steps, first) }
    steps * STEP
}

macro_rules! kernels {
    ($($name:ident $convert:literal;)*) => {
        $(#[unsafe(naked)]
        unsafe extern "sysv64" fn $name(_: *mut u8, _: *mut Work, _: usize, _: u64) {
            naked_asm!(
                ".macro convert words", $convert, ".endm", include_str!("philox_avx512.s"),
                options(raw),
            )
        })*
    };
}
kernels! {
    bits "";
    fractions32 "
        vpsrld \\words, \\words, 8
        vcvtdq2ps \\words, \\words
        vmulps \\words, \\words, [rip + 3f]";
    fractions64 "
        vpsrlq \\words, \\words, 11
        vcvtqq2pd \\words, \\words
        vmulpd \\words, \\words, [rip + 4f]";
}
