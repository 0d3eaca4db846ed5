//! What a shared variable holds: its value on the host, on a device, or on both.
//!
//! A value is where the calls that made it or last asked for it ran, and is copied when a call elsewhere needs it; both
//! copies stay until the value is replaced. Must not know: variables, versions, locks.

use crate::array::Array;
#[cfg(feature = "gpu")]
use crate::error::Error;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::site::Site;
use crate::runtime::{Arg, FromOutput, OutPlace, OutputSpec};

/// A value, wherever it is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// On the host.
    Host(Array),
    /// On a device.
    #[cfg(feature = "gpu")]
    Device(DeviceArray),
    /// On both.
    #[cfg(feature = "gpu")]
    Both(Array, DeviceArray),
}

impl Value {
    /// The copy on the host, if there is one.
    #[inline]
    pub fn on_host(&self) -> Option<&Array> {
        match self {
            Value::Host(array) => Some(array),
            #[cfg(feature = "gpu")]
            Value::Both(array, _) => Some(array),
            #[cfg(feature = "gpu")]
            Value::Device(_) => None,
        }
    }

    /// The address of the copy on the host, if nobody else holds it.
    #[inline]
    pub fn own_address(&mut self) -> Option<*mut u8> {
        match self {
            Value::Host(array) => array.own_address(),
            #[cfg(feature = "gpu")]
            Value::Both(array, _) => array.own_address(),
            #[cfg(feature = "gpu")]
            Value::Device(_) => None,
        }
    }

    /// Forgets the copy on a device, because that of the host was written to.
    #[inline]
    pub fn keep_host(&mut self) {
        #[cfg(feature = "gpu")]
        if let Value::Both(array, _) = self {
            *self = Value::Host(array.clone());
        }
    }

    /// The value as an argument of a call; none if it has no copy there.
    pub fn at(&self, site: &Site) -> Option<Arg<'_>> {
        match site {
            Site::Host => self.on_host().map(Arg::from),
            #[cfg(feature = "gpu")]
            Site::Device(gpu) => match self {
                Value::Device(array) | Value::Both(_, array) if array.is_on(gpu) => Some(Arg::from(array)),
                Value::Host(_) | Value::Device(_) | Value::Both(..) => None,
            },
        }
    }

    /// The same value with a copy where a call runs.
    ///
    /// # Errors
    /// `Memory` if there is none for the copy, `Device` if the only copy was on a device that is lost.
    pub fn brought(&self, site: &Site) -> Result<Value> {
        match (self, site) {
            (Value::Host(array), Site::Host) => Ok(Value::Host(array.clone())),
            #[cfg(feature = "gpu")]
            (Value::Both(..), Site::Host) => Ok(self.clone()),
            #[cfg(feature = "gpu")]
            (Value::Device(array), Site::Host) => Ok(Value::Both(array.download()?, array.clone())),
            #[cfg(feature = "gpu")]
            (Value::Host(array) | Value::Both(array, _), Site::Device(gpu)) => {
                Ok(Value::Both(array.clone(), DeviceArray::upload_on(gpu, &Arg::from(array))?))
            }
            #[cfg(feature = "gpu")]
            (Value::Device(_), Site::Device(_)) => self.brought(&Site::Host)?.brought(site),
        }
    }

    /// Memory for a value where it is made.
    ///
    /// # Errors
    /// `Memory` if there is none, `Device` if the device is lost.
    pub fn uninitialized(spec: &OutputSpec<'_>) -> Result<Value> {
        match spec.site {
            Site::Host => Ok(Value::Host(Array::uninitialized(spec.dtype, spec.shape)?)),
            #[cfg(feature = "gpu")]
            Site::Device(gpu) => Ok(Value::Device(DeviceArray::uninitialized(gpu, spec.dtype, spec.shape)?)),
        }
    }

    /// The memory of a value that is to be made.
    ///
    /// # Errors
    /// `Internal` for a value in two places.
    pub fn place(&mut self) -> Result<OutPlace<'_>> {
        match self {
            Value::Host(array) => Ok(array.place()),
            #[cfg(feature = "gpu")]
            Value::Device(array) => Ok(array.place()),
            #[cfg(feature = "gpu")]
            Value::Both(..) => Err(Error::Internal("a new value in two places".to_string())),
        }
    }
}
