//! Blocks at 512 bits by hand: vectors of blocks and, beside them, blocks in scalar registers.
//!
//! The ports of vectors are what the generator waits for; those of scalar products are idle, and six vectors, which a
//! compiler does not keep in 32 registers, leave few gaps. Invariant: the bits are those of `Rounds::words`. Must not know:
//! draws, levels.

use std::arch::naked_asm;

use super::philox_rounds::{Shared, Stream, distance, first_products};
use super::philox_vector::{Avx512, Machine, Words};

/// Vectors of a step.
const VECTORS: usize = 6;
/// Blocks of a step, four of them scalar.
const BLOCKS: usize = VECTORS * Avx512::LANES + 4;
/// Bytes of a step.
pub(super) const STEP: usize = BLOCKS * 16;

/// What a step starts from: the first products of its vectors, and what is added to them for the next one.
#[repr(C)]
struct Products {
    vectors: [<Avx512 as Machine>::Vector; VECTORS],
    distance: <Avx512 as Machine>::Vector,
}

/// The kernel `(out, shared, products, steps, first scalar block)`.
type Kernel = unsafe extern "sysv64" fn(*mut u8, *const Shared, *mut Products, usize, u64);

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
/// The processor has the level of the machine.
// Of its own, so that what it shares with nothing else is not computed where there is no step.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn steps(machine: Avx512, stream: Stream, of: Words, out: &mut [u8], first: u64) -> usize {
    let steps = out.len() / STEP;
    let mut vectors = [first_products(machine, first, true); VECTORS];
    for (index, products) in vectors.iter_mut().enumerate() {
        *products = machine.add(*products, distance(machine, index * Avx512::LANES));
    }
    let mut products = Products { vectors, distance: distance(machine, BLOCKS) };
    let shared = Shared::new(stream);
    let scalar = first + (VECTORS * Avx512::LANES) as u64;
    // SAFETY: `out` has the bytes of so many steps; the processor has the level by the caller's word.
    unsafe { of.kernel()(out.as_mut_ptr(), &raw const shared, &raw mut products, steps, scalar) }
    steps * STEP
}

macro_rules! kernels {
    ($($name:ident $convert:literal;)*) => {
        $(#[unsafe(naked)]
        unsafe extern "sysv64" fn $name(_: *mut u8, _: *const Shared, _: *mut Products, _: usize, _: u64) {
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
        vmulps \\words, \\words, dword ptr [rip + 3f]{1to16}";
    fractions64 "
        vpsrlq \\words, \\words, 11
        vcvtqq2pd \\words, \\words
        vmulpd \\words, \\words, qword ptr [rip + 4f]{1to8}";
}
