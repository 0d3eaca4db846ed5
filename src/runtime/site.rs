//! Where a function computes: on the host, or on a device that is open for the length of the call.

#[cfg(feature = "gpu")]
use std::sync::Arc;

#[cfg(feature = "gpu")]
use crate::backend::gpu::Gpu;

/// Where a call runs.
#[derive(Debug, Clone, Default)]
pub enum Site {
    /// On this processor.
    #[default]
    Host,
    /// On a device.
    #[cfg(feature = "gpu")]
    Device(Arc<Gpu>),
}
