//! The choices that a compilation offers, as plain enums.

/// What runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Device {
    /// Machine code for this processor, in threads.
    #[default]
    Cpu,
    /// The graph, node by node: slow and obviously right. What every engine is held against.
    Interpreter,
    /// The loop IR, element by element: where no machine code can be made, and a second check.
    Loops,
    /// Compute shaders on a GPU of any vendor: the first of [`devices`](crate::devices()), or the one that
    /// `KROTON_FLAGS=device=gpu:…` names. Without one `compile` is an error, as it is for what the GPU cannot compute,
    /// and in a build without the feature `gpu`.
    Gpu,
    /// `Gpu` where there is one that can compute the function, else `Cpu`; `tracing` tells why.
    Auto,
}

/// How far a function is optimized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OptLevel {
    /// As it was written.
    None,
    /// Rules that keep every bit, and rules that change rounding for the better.
    #[default]
    Full,
    /// Also rules that relax rounding.
    Fast,
}

/// What to do about an input that no output uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnUnused {
    /// An error.
    #[default]
    Error,
    /// A warning through `tracing`.
    Warn,
    /// Nothing.
    Ignore,
}
