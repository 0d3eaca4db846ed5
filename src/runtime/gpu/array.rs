//! Arrays on a device, which calls take and give without touching the host.
//!
//! A `DeviceArray` is row-major, and its elements never change: clones share memory, and a call that writes to one gives
//! it new memory. It knows devices, and nothing of graphs or functions.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::backend::gpu::{DeviceMemory, Gpu};
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::runtime::arg::{Arg, Parameter};
use crate::runtime::gpu::transfer;
use crate::runtime::memory::Operand;
use crate::runtime::place::{DevicePlace, OutPlace};
use crate::runtime::site::Site;
use crate::runtime::{FromOutput, OutputSpec};
use crate::shape::{byte_size, row_major_strides};

/// A dense array of any dtype and rank in the memory of a GPU.
///
/// It is an argument of functions that are compiled for [`Device::Gpu`](crate::Device), by reference or by value, and a
/// result of theirs where the caller names it; it may be given as a place to `call_into`, where it takes the result. Nothing
/// is copied to the host until `download`. Cheap to clone: clones share the memory, which nobody writes to.
///
/// ```
/// use kroton::{Compiler, Device, DeviceArray, vector};
/// # if kroton::devices().len() == 1 { return Ok(()); }
/// let x = vector::<f32>("x");
/// let double = Compiler::new().device(Device::Gpu).compile([&x], 2.0 * &x)?;
/// let xs = DeviceArray::upload(&[1.0_f32, 2.0])?;
/// let ys: DeviceArray = double.call((&xs,))?;
/// let zs: DeviceArray = double.call((&ys,))?;
/// assert_eq!(zs.download::<Vec<f32>>()?, [4.0, 8.0]);
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Clone)]
pub struct DeviceArray {
    dtype: DType,
    shape: SmallVec<[usize; 4]>,
    strides: SmallVec<[isize; 4]>,
    memory: DeviceMemory,
}

impl DeviceArray {
    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// A copy on the host, in whatever container the caller names: `f64`, `Vec<T>`, an ndarray array, or
    /// [`Array`](crate::Array), whose dtype need not be known.
    ///
    /// # Errors
    /// `Argument` if the container is of another dtype or rank, `Memory` if there is none for it, `Device` if the device
    /// is lost and the array with it.
    ///
    /// ```
    /// use kroton::{Array, DeviceArray};
    /// # if kroton::devices().len() == 1 { return Ok(()); }
    /// let xs = DeviceArray::upload(&ndarray::array![[1, 2], [3, 4]].t())?;
    /// assert_eq!(xs.download::<Array>()?.as_slice::<i32>()?, [1, 3, 2, 4]);
    /// assert!(xs.download::<Vec<i32>>().is_err());
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn download<R: FromOutput>(&self) -> Result<R> {
        let (dtype, shape) = (self.dtype, &self.shape);
        let spec = OutputSpec { title: "the array", dtype, shape, site: &Site::Host, donor: None };
        R::check(0, &spec)?;
        let mut recorder = self.memory.gpu().recorder();
        let reading = recorder.read(&self.memory)?;
        recorder.submit()?;
        let mut result = R::allocate(&spec)?;
        let place = result.place();
        let memory = place.host().ok_or_else(|| Error::Internal("a download to a device".to_string()))?;
        // SAFETY: the place is that of the new result, of this dtype and shape.
        unsafe { transfer::fetch(&mut recorder, reading, &memory)? };
        drop(place);
        Ok(result)
    }

    /// A copy of an argument on a device.
    pub(crate) fn upload_on(gpu: &Arc<Gpu>, source: &Arg<'_>) -> Result<DeviceArray> {
        source.check_layout()?;
        let (dtype, shape) = (source.dtype(), source.shape());
        let memory = match source.operand(dtype) {
            // SAFETY: an argument borrows memory of its shape, strides and dtype.
            Operand::Host(memory) => unsafe { transfer::upload(gpu, &memory)? },
            Operand::Device(array) if Arc::ptr_eq(array.memory.gpu(), gpu) => array.memory.clone(),
            Operand::Device(array) => gpu.upload(transfer::download(&array.memory, dtype)?.bytes())?,
        };
        Ok(DeviceArray::new(dtype, shape, memory))
    }

    /// An array whose elements are arbitrary.
    pub(in crate::runtime) fn uninitialized(gpu: &Arc<Gpu>, dtype: DType, shape: &[usize]) -> Result<DeviceArray> {
        Ok(DeviceArray::new(dtype, shape, gpu.allocate(byte_size(shape, dtype.size())?)?))
    }

    fn new(dtype: DType, shape: &[usize], memory: DeviceMemory) -> DeviceArray {
        DeviceArray { dtype, shape: SmallVec::from_slice(shape), strides: row_major_strides(shape), memory }
    }

    pub(in crate::runtime) fn strides(&self) -> &[isize] {
        &self.strides
    }

    pub(in crate::runtime) fn memory(&self) -> &DeviceMemory {
        &self.memory
    }

    /// Whether it is on this device, and that has not been lost and opened again.
    pub(in crate::runtime) fn is_on(&self, gpu: &Arc<Gpu>) -> bool {
        Arc::ptr_eq(self.memory.gpu(), gpu)
    }

    /// The place of a result that takes the place of this array.
    pub(in crate::runtime) fn replaced(&mut self) -> OutPlace<'_> {
        OutPlace::on_device(self.dtype, DevicePlace::Replaced(&mut self.memory), &self.shape, &self.strides)
    }

    /// The value of an array of rank 0, from the device.
    pub(in crate::runtime) fn scalar(&self) -> Result<Scalar> {
        let block = transfer::download(&self.memory, self.dtype)?;
        let mut bits = [0; 8];
        bits[..block.bytes().len()].copy_from_slice(block.bytes());
        Ok(Scalar::from_bits(self.dtype, u64::from_le_bytes(bits)))
    }

    /// Whether a call at `site` can read this array.
    ///
    /// # Errors
    /// `Argument` if it is elsewhere, `Device` if it is lost.
    pub(in crate::runtime) fn check_site(&self, parameter: &Parameter<'_>, site: &Site) -> Result<()> {
        let gpu = self.memory.gpu();
        if let Site::Device(own) = site
            && Arc::ptr_eq(own, gpu)
        {
            return Ok(());
        }
        let culprit = format!("argument {} (`{}`)", parameter.index, parameter.name);
        match site {
            Site::Device(own) if own.adapter() == gpu.adapter() => Err(Error::Device(format!(
                "{culprit} was on the GPU `{}`, which was lost meanwhile; upload it again",
                gpu.adapter()
            ))),
            Site::Device(own) => Err(Error::Argument(format!(
                "{culprit} is on the GPU `{}`, the function runs on `{}`; pass its `download()`, or upload it there",
                gpu.adapter(),
                own.adapter()
            ))),
            Site::Host => Err(Error::Argument(format!(
                "{culprit} is on the GPU `{}`, the function runs on the host; pass its `download()`, or compile for \
                 Device::Gpu",
                gpu.adapter()
            ))),
        }
    }
}

impl fmt::Debug for DeviceArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceArray<{}>{:?} on {}", self.dtype, self.shape(), self.memory.gpu().adapter())
    }
}
