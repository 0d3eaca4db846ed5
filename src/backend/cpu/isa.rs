//! The instruction sets that code is made for: the host's, lesser ones that it runs too, and named ones that only the
//! tests compile for.
//!
//! [`Features`] says which operations of Cranelift's IR the set lowers to instructions; everything else is done lane
//! by lane. Must not know: kernels.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::isa::{self, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use target_lexicon::Architecture;

use crate::elementary::kernel::Level;
use crate::error::{Error, Result};

/// What an instruction set can do beyond what all can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    /// `mul_add` is one instruction, for scalars and vectors.
    pub fma: bool,
    /// `floor`, `ceil`, `trunc` and `nearest` are instructions.
    pub round: bool,
    /// Vectors of bytes can be multiplied.
    pub multiply_bytes: bool,
    /// The host runs what the wide emitter makes: AVX2 and FMA, and the System V calling convention.
    pub wide: bool,
}

/// An instruction set and its features.
#[derive(Clone)]
pub(super) struct Isa {
    /// Cranelift's description.
    pub target: Arc<dyn TargetIsa>,
    /// What it can do.
    pub features: Features,
    /// The level at which it has kernels.
    pub level: Level,
}

impl std::fmt::Debug for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Isa")
            .field("target", &self.target.triple().to_string())
            .field("features", &self.features)
            .finish()
    }
}

/// What Cranelift calls the extensions of AVX2 and FMA.
const AVX2: &[&str] =
    &["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_avx", "has_avx2", "has_fma"];

/// As `AVX2`, of AVX-512.
const AVX512: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_avx",
    "has_avx2",
    "has_fma",
    "has_avx512f",
    "has_avx512dq",
    "has_avx512vl",
];

/// Instruction sets that code can be made for on any host, to see that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedTarget {
    /// x86-64 with nothing but SSE2.
    X64Baseline,
    /// x86-64 with AVX2 and FMA.
    X64Avx2Fma,
    /// 64-bit Arm.
    Arm64,
}

impl NamedTarget {
    /// All of them.
    pub const ALL: [NamedTarget; 3] = [NamedTarget::X64Baseline, NamedTarget::X64Avx2Fma, NamedTarget::Arm64];

    fn triple(self) -> &'static str {
        match self {
            NamedTarget::X64Baseline | NamedTarget::X64Avx2Fma => "x86_64-unknown-linux-gnu",
            NamedTarget::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            NamedTarget::X64Baseline | NamedTarget::Arm64 => &[],
            NamedTarget::X64Avx2Fma => AVX2,
        }
    }
}

/// The instructions that machine code of a function may use.
///
/// Results are the same to the last bit for all sets with fused multiply-add; without it, functions keep bounds of their
/// own, which `docs/ops.md` has. Products of matrices use what the processor has in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum InstructionSet {
    /// All that this processor has.
    #[default]
    Native,
    /// What every processor of the architecture has: SSE2 without fused multiply-add on x86-64, NEON with it on AArch64.
    Baseline,
    /// AVX2 and FMA, of x86-64.
    Avx2,
    /// The same, all code made by Cranelift. For tests.
    #[doc(hidden)]
    Avx2Narrow,
    /// AVX-512 (its parts F, DQ, BW and VL) and BMI2 beside AVX2 and FMA, of x86-64.
    Avx512,
}

impl InstructionSet {
    /// All of them.
    #[doc(hidden)]
    pub const ALL: [InstructionSet; 5] = [
        InstructionSet::Native,
        InstructionSet::Baseline,
        InstructionSet::Avx2,
        InstructionSet::Avx2Narrow,
        InstructionSet::Avx512,
    ];

    /// The level of its kernels; `None` if the processor lacks it.
    fn level(self) -> Option<Level> {
        let native = Level::native();
        let level = match self {
            InstructionSet::Native => native,
            InstructionSet::Baseline => Level::Baseline,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 | InstructionSet::Avx2Narrow => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Level::Avx512,
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx2Narrow | InstructionSet::Avx512 => return None,
        };
        Some(level).filter(|&level| level <= native)
    }

    /// What Cranelift may use beside what every processor has; `None` for all that this one has.
    fn flags(self) -> Option<&'static [&'static str]> {
        match self {
            InstructionSet::Native => None,
            InstructionSet::Baseline => Some(&[]),
            InstructionSet::Avx2 | InstructionSet::Avx2Narrow => Some(AVX2),
            InstructionSet::Avx512 => Some(AVX512),
        }
    }

    fn make(self) -> Result<Isa> {
        let level = self.level().ok_or_else(|| {
            Error::Unsupported(format!(
                "InstructionSet::{self:?}: this processor does not have it; InstructionSet::Native is what it has"
            ))
        })?;
        let flags = self.flags();
        let mut builder = cranelift_native::builder_with_options(flags.is_none()).map_err(unavailable)?;
        for flag in flags.unwrap_or_default() {
            builder.enable(flag).map_err(unavailable)?;
        }
        let mut isa = finish(builder)?;
        isa.level = level;
        isa.features.wide = match self {
            InstructionSet::Native | InstructionSet::Avx2 | InstructionSet::Avx512 => runs_wide_code(),
            InstructionSet::Baseline | InstructionSet::Avx2Narrow => false,
        };
        Ok(isa)
    }
}

/// An instruction set as this host runs it, found out once.
///
/// # Errors
/// `Unsupported` on a host that Cranelift has no code generator for, or that lacks the set.
pub(super) fn hosted(set: InstructionSet) -> Result<&'static Isa> {
    static HOSTED: [OnceLock<Result<Isa>>; InstructionSet::ALL.len()] = [const { OnceLock::new() }; 5];
    HOSTED[set as usize].get_or_init(|| set.make()).as_ref().map_err(Error::clone)
}

#[cfg(all(target_arch = "x86_64", unix))]
fn runs_wide_code() -> bool {
    std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn runs_wide_code() -> bool {
    false
}

/// A named instruction set.
///
/// # Errors
/// `Unsupported` if this build of Cranelift lacks it.
pub(super) fn named(target: NamedTarget) -> Result<Isa> {
    let mut builder = isa::lookup_by_name(target.triple()).map_err(unavailable)?;
    for flag in target.flags() {
        builder.enable(flag).map_err(unavailable)?;
    }
    finish(builder)
}

fn finish(builder: isa::Builder) -> Result<Isa> {
    let mut flags = settings::builder();
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    let choices = [
        ("opt_level", "speed"),
        ("enable_verifier", verifier),
        ("is_pic", "false"),
        // Code and functions it calls may lie further apart than a short branch reaches.
        ("use_colocated_libcalls", "false"),
        ("unwind_info", "false"),
        // Frames may be larger than the guard page of a thread's stack.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
    ];
    for (name, value) in choices {
        flags.set(name, value).map_err(unavailable)?;
    }
    let target = builder.finish(settings::Flags::new(flags)).map_err(unavailable)?;
    let features = features(&*target);
    Ok(Isa { target, features, level: Level::Baseline })
}

fn features(target: &dyn TargetIsa) -> Features {
    let has = |name: &str| {
        let flags = target.isa_flags();
        flags.iter().find(|flag| flag.name == name).and_then(|flag| flag.as_bool()).unwrap_or(false)
    };
    match target.triple().architecture {
        Architecture::X86_64 => Features {
            fma: has("has_avx") && has("has_fma"),
            round: has("has_sse41"),
            multiply_bytes: false,
            wide: false,
        },
        Architecture::Aarch64(_) => Features { fma: true, round: true, multiply_bytes: true, wide: false },
        _ => Features { fma: false, round: false, multiply_bytes: false, wide: false },
    }
}

impl Isa {
    /// What code for it may use, by the names that its vendor gives: `avx2`, `fma` and the like.
    pub fn extensions(&self) -> Vec<String> {
        let flags = self.target.isa_flags();
        let on = flags.iter().filter(|flag| flag.as_bool() == Some(true));
        on.filter_map(|flag| Some(flag.name.strip_prefix("has_")?.to_string())).collect()
    }
}

fn unavailable(reason: impl std::fmt::Display) -> Error {
    Error::Unsupported(format!("no machine code for this processor: {reason}; use Device::Interpreter"))
}
