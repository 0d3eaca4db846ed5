//! What an engine can do, as plain data: scheduling and lowering obey it, and nothing else about an engine.

/// Capabilities and limits of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name in dumps.
    pub name: &'static str,
    /// The most statements of a kernel's blocks.
    pub max_statements: usize,
    /// The most operands of a kernel.
    pub max_operands: usize,
    /// Whether `mul_add` is one instruction.
    pub has_fma: bool,
}

impl Target {
    /// The limits of the CPU engine and of the loop interpreter.
    pub const fn host(has_fma: bool) -> Target {
        Target { name: "cpu", max_statements: 512, max_operands: 48, has_fma }
    }
}
