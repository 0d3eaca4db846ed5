//! What an engine can do, as plain data: scheduling, lowering and emission obey it, and nothing else about an engine.

use crate::dtype::DType;

/// Capabilities and limits of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The name in dumps.
    pub name: &'static str,
    /// The most statements of a kernel's blocks.
    pub max_statements: usize,
    /// The most operands of a kernel.
    pub max_operands: usize,
    /// Whether `mul_add` is one instruction.
    pub has_fma: bool,
    /// Whether kernels compute in f64. Where they do not, what has no axes runs on the host, and the rest is an error.
    pub has_f64: bool,
    /// Whether a matrix product takes what is computed from its elements one by one into its own kernel.
    pub fuses_products: bool,
    /// Whether consecutive kernels may run for some indices of their leading axes at a time.
    pub runs_rows: bool,
    /// Whether kernels hold loops over steps; where they do not, a program makes one step after the other.
    pub runs_loops: bool,
    /// The limits of shaders, for engines that run them.
    pub shaders: Option<ShaderLimits>,
}

/// Capabilities and limits of a device that runs shaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShaderLimits {
    /// Whether i64 and u64 are types of the shading language; else they are pairs of words.
    pub has_i64: bool,
    /// The most storage buffers that a shader binds.
    pub storage_buffers: u32,
    /// The most invocations of a workgroup.
    pub invocations: u32,
    /// The most workgroups along an axis of a dispatch.
    pub groups: u32,
    /// The most bytes of a storage buffer that a shader sees.
    pub binding_bytes: u64,
    /// What the offset of a binding into its buffer is a multiple of, in bytes.
    pub offset_alignment: u32,
    /// The fewest invocations of a subgroup, where invocations can exchange values within one; else 1.
    pub subgroup: u32,
}

impl Target {
    /// The limits of the CPU engine and of the loop interpreter.
    pub const fn host(has_fma: bool) -> Target {
        Target {
            name: "cpu",
            max_statements: 512,
            max_operands: 48,
            has_fma,
            has_f64: true,
            fuses_products: false,
            runs_rows: true,
            runs_loops: true,
            shaders: None,
        }
    }

    /// The limits of a device that runs shaders.
    pub const fn gpu(limits: ShaderLimits, has_f64: bool) -> Target {
        let operands = limits.storage_buffers as usize;
        Target {
            name: "gpu",
            max_statements: 512,
            max_operands: if operands > 48 { 48 } else { operands },
            // Whether a driver fuses `fma` is its own affair.
            has_fma: false,
            has_f64: has_f64 && limits.has_i64,
            fuses_products: true,
            runs_rows: false,
            runs_loops: true,
            shaders: Some(limits),
        }
    }

    /// The most operands of a kernel: one fewer where it reduces in a shader, which needs memory for what groups of
    /// invocations hand on.
    pub const fn operands(&self, reduces: bool) -> usize {
        let scratch = reduces && self.shaders.is_some();
        self.max_operands.saturating_sub(scratch as usize)
    }

    /// Whether kernels compute with values of this dtype.
    pub const fn computes(&self, dtype: DType) -> bool {
        self.missing_feature(dtype).is_none()
    }

    /// The feature without which kernels do not compute with values of this dtype; none where they do.
    pub const fn missing_feature(&self, dtype: DType) -> Option<&'static str> {
        match dtype {
            DType::F64 if !self.has_f64 => Some("SHADER_F64"),
            DType::F64
            | DType::Bool
            | DType::I8
            | DType::U8
            | DType::I32
            | DType::U32
            | DType::I64
            | DType::U64
            | DType::F32 => None,
        }
    }
}

impl ShaderLimits {
    /// What WebGPU promises of every device.
    pub const WEBGPU: ShaderLimits = ShaderLimits {
        has_i64: false,
        storage_buffers: 8,
        invocations: 256,
        groups: 65_535,
        binding_bytes: 128 << 20,
        offset_alignment: 256,
        subgroup: 1,
    };
}
