//! Arguments that a task owns, since it outlives the call that started it.
//!
//! What was borrowed is copied, an `Array` by value is moved, numbers keep being exact or not. Must not know: what runs.

use crate::array::Array;
use crate::error::Result;
use crate::runtime::Arg;
#[cfg(feature = "gpu")]
use crate::runtime::DeviceArray;
use crate::runtime::donor::Donor;
use crate::runtime::memory::Operand;

/// One argument.
#[derive(Debug)]
pub(super) enum Owned {
    /// A number.
    Number(Arg<'static>),
    /// An array, which the call may make a result of.
    Array(Donor),
    /// An array on a device.
    #[cfg(feature = "gpu")]
    Device(DeviceArray),
}

impl Owned {
    /// A copy, or the array itself if the call owns it.
    ///
    /// # Errors
    /// `Memory` if there is none for a copy, `Argument` for a view of too many axes.
    pub fn of(argument: &Arg<'_>) -> Result<Owned> {
        argument.check_layout()?;
        if let Some(number) = argument.number() {
            return Ok(Owned::Number(number));
        }
        if let Some(array) = argument.donor().and_then(Donor::take_whole) {
            return Ok(Owned::Array(Donor::new(array)));
        }
        match argument.operand(argument.dtype()) {
            Operand::Host(memory) => {
                let mut copy = Array::uninitialized(memory.dtype, memory.shape)?;
                // SAFETY: the argument borrows its memory; the copy is new and has its shape and dtype.
                unsafe { memory.gather(copy.bytes_mut().as_mut_ptr()) };
                Ok(Owned::Array(Donor::new(copy)))
            }
            #[cfg(feature = "gpu")]
            Operand::Device(array) => Ok(Owned::Device(array.clone())),
        }
    }

    /// The argument of a call.
    pub fn view(&self) -> Arg<'_> {
        match self {
            Owned::Number(number) => *number,
            Owned::Array(donor) => donor.view(),
            #[cfg(feature = "gpu")]
            Owned::Device(array) => Arg::from(array),
        }
    }
}
