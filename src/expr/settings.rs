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

/// What is checked of every call of a function, for finding bugs: a checked call is as slow as
/// [`Device::Interpreter`], or slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Check {
    /// Nothing.
    #[default]
    None,
    /// That no expression turns finite numbers into NaN or infinity. The first that does is an error of the call, with
    /// the source line that built it, the element and the operands. Elements made of others that are NaN or infinite
    /// already pass. Expressions that the optimizer writes in a stable form, as ln(1 + exp(x)), are looked at in that form.
    /// In loops whose elements stop one by one, only elements that go on count; where elements are mixed, as by a sum or a
    /// permutation, only steps in which all of them go on.
    Nan,
    /// That the engine does as the definition says: each node is run on the function's device, on the definition's values
    /// of its operands, and so is the whole function. The first that lies beyond its error bound is an error of the call.
    /// Host functions are called more often than without.
    Differential,
}
