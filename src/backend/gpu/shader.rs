//! A compute shader as text, with what a launch must bind to it.
//!
//! Bind group 0: binding 0 is a uniform buffer of `words` 32-bit words, as any type of that size or less; the storage
//! buffers follow from binding 1 on. The entry point is `main`.

/// A compute shader.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shader {
    /// WGSL.
    pub source: String,
    /// The storage buffers, in the order of their bindings.
    pub buffers: Vec<ShaderAccess>,
    /// The size of the uniform buffer in 32-bit words, a multiple of 4.
    pub words: usize,
}

/// How a shader uses a storage buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShaderAccess {
    /// It reads only.
    Read,
    /// It writes, and may read.
    ReadWrite,
}
