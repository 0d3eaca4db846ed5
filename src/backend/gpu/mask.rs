//! A device as if it were a lesser one, for tests.

use crate::loops::{ShaderLimits, Target};

/// What to take away from a device; the default takes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GpuMask {
    /// No f64.
    pub no_f64: bool,
    /// No 64-bit integers, and so no f64 either.
    pub no_i64: bool,
    /// No exchange within subgroups.
    pub no_subgroups: bool,
    /// At most so many storage buffers.
    pub storage_buffers: Option<u32>,
    /// At most so many invocations of a workgroup.
    pub invocations: Option<u32>,
    /// At most so many bytes of a binding.
    pub binding_bytes: Option<u64>,
    /// At most so many workgroups along an axis.
    pub groups: Option<u32>,
}

impl GpuMask {
    /// What is left of a target.
    pub fn apply(&self, target: &Target) -> Target {
        let Some(limits) = target.shaders else { return target.clone() };
        let limits = ShaderLimits {
            has_i64: limits.has_i64 && !self.no_i64,
            storage_buffers: lowered(limits.storage_buffers, self.storage_buffers),
            invocations: lowered(limits.invocations, self.invocations),
            groups: lowered(limits.groups, self.groups),
            binding_bytes: lowered(limits.binding_bytes, self.binding_bytes),
            offset_alignment: limits.offset_alignment,
            subgroup: if self.no_subgroups { 1 } else { limits.subgroup },
        };
        Target::gpu(limits, target.has_f64 && !self.no_f64)
    }
}

fn lowered<T: Ord>(limit: T, mask: Option<T>) -> T {
    match mask {
        Some(mask) => limit.min(mask),
        None => limit,
    }
}
