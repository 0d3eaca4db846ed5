//! An opened device: its queue, its pools, its compiled shaders, and what became of it.
//!
//! Every command to wgpu that can fail runs within `guard`, so that its failure comes back from the call that met it. A
//! lost device stays lost: all that belongs to it answers with `Error::Device`, and `open` makes a fresh one.
//! The CPU waits in one place, `wait`, which holds no lock of this engine.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wgpu::{Buffer, BufferDescriptor, BufferSize, BufferUsages, CommandBuffer, Device, ErrorFilter, Instance, Queue};

use super::adapter::Adapter;
use super::memory::DeviceMemory;
use super::pipeline::{Pipeline, Pipelines};
use super::pool::{Pool, capacity};
use super::recorder::Recorder;
use super::shader::Shader;
use crate::error::{Error, Result};
use crate::loops::Target;

/// The most bytes of memory that wait for their next use.
const IDLE_BYTES: u64 = 1 << 30;

/// The same for the buffers that results are read through.
const IDLE_READ_BYTES: u64 = 256 << 20;

/// An upload goes in pieces of this many bytes, each through a piece of memory that the host writes.
const PIECE: usize = 16 << 20;

/// The most bytes that are on their way to the device before the host waits for it.
const BACKLOG: u64 = 128 << 20;

/// What a submission counts for in the backlog, for its commands: the device runs at most so far behind.
const SUBMISSION: u64 = 1 << 20;

/// An opened device.
pub struct Gpu {
    /// No two have the same. (wgpu's own identities are unique per instance only.)
    pub(super) serial: u64,
    adapter: Adapter,
    target: Target,
    /// Its own: `Instance::poll_all` waits for all devices of an instance.
    instance: Instance,
    pub(super) device: Device,
    queue: Queue,
    memory: Pool,
    pub(super) readable: Pool,
    pipelines: Pipelines,
    fate: Arc<Fate>,
    dispatches: AtomicU64,
    backlog: AtomicU64,
}

/// What wgpu's callbacks tell of a device.
#[derive(Debug, Default)]
struct Fate {
    /// Why it was lost.
    loss: OnceLock<String>,
    /// An error that no call was there to take.
    stray: Mutex<Option<wgpu::Error>>,
}

/// The device of an adapter: one per process, until it is lost.
///
/// # Errors
/// `Device` if the driver refuses to open it.
pub fn open(adapter: &Adapter) -> Result<Arc<Gpu>> {
    static OPEN: Mutex<Vec<Arc<Gpu>>> = Mutex::new(Vec::new());
    // Held while opening, so that two calls do not open it twice.
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|gpu| !gpu.is_lost());
    if let Some(gpu) = open.iter().find(|gpu| gpu.adapter == *adapter) {
        return Ok(gpu.clone());
    }
    let gpu = Gpu::connect(adapter)?;
    open.push(gpu.clone());
    Ok(gpu)
}

impl Gpu {
    /// A device beside the one of `open`.
    pub(super) fn connect(adapter: &Adapter) -> Result<Arc<Gpu>> {
        let (instance, handle) = adapter.locate()?;
        let (device, queue) = pollster::block_on(handle.request_device(&wgpu::DeviceDescriptor {
            label: Some("kroton"),
            required_features: adapter.features(),
            required_limits: adapter.limits().clone(),
            ..Default::default()
        }))
        .map_err(|error| Error::Device(format!("the GPU adapter `{adapter}` cannot be opened: {error}")))?;
        let fate = Arc::new(Fate::default());
        fate.watch(&device);
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        Ok(Arc::new(Gpu {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            adapter: adapter.clone(),
            target: adapter.target(),
            instance,
            device,
            queue,
            memory: Pool::new(MEMORY, IDLE_BYTES),
            readable: Pool::new(READABLE, IDLE_READ_BYTES),
            pipelines: Pipelines::default(),
            fate,
            dispatches: AtomicU64::new(0),
            backlog: AtomicU64::new(0),
        }))
    }

    /// The adapter it was opened from.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What kernels for it may use.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it is gone, with all its memory.
    pub fn is_lost(&self) -> bool {
        self.fate.loss.get().is_some()
    }

    /// How many dispatches have been recorded since it was opened.
    pub fn dispatches(&self) -> u64 {
        self.dispatches.load(Ordering::Relaxed)
    }

    /// Memory of so many bytes, with arbitrary contents.
    ///
    /// # Errors
    /// `Memory` if there is not so much, `Device` if the device is lost.
    pub fn allocate(self: &Arc<Self>, bytes: usize) -> Result<DeviceMemory> {
        let buffer = self.buffer(&self.memory, bytes as u64)?;
        Ok(DeviceMemory::new(self.clone(), buffer, bytes))
    }

    /// Memory with these bytes.
    ///
    /// # Errors
    /// `Memory` if there is not so much, `Device` if the device is lost.
    pub fn upload(self: &Arc<Self>, bytes: &[u8]) -> Result<DeviceMemory> {
        let memory = self.allocate(bytes.len())?;
        self.write(memory.buffer(), bytes)?;
        Ok(memory)
    }

    /// The compiled form of a shader: compiled once per device, whichever threads ask.
    ///
    /// # Errors
    /// `Internal` if the shader is not valid, `Device` if the device is lost.
    pub fn pipeline(&self, shader: &Shader) -> Result<Arc<Pipeline>> {
        self.check()?;
        self.pipelines.get(self, shader)
    }

    /// Starts to record commands.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        Recorder::new(self.clone())
    }

    /// Loses the device on purpose, as a driver may at any time. For tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        // wgpu tells only once the queue is empty, and refuses all work from now on.
        let _ = self.fate.loss.set("destroyed".to_string());
        self.device.destroy();
        self.instance.poll_all(true);
    }

    /// How many buffers of wgpu there are, in use or waiting. For tests.
    #[doc(hidden)]
    pub fn live_buffers(&self) -> usize {
        self.instance.generate_report().map_or(0, |report| report.hub.buffers.num_kept_from_user)
    }
}

/// Storage of shaders, their uniform data, and both ends of copies.
const MEMORY: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::UNIFORM).union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

/// What the host reads.
const READABLE: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// For the other files of the engine.
impl Gpu {
    /// Whether it works.
    pub(super) fn check(&self) -> Result<()> {
        match self.fate.loss.get() {
            None => Ok(()),
            Some(reason) => Err(Error::Device(format!(
                "the GPU `{}` was lost ({reason}), and with it the arrays it held: make them again, \
                 the next call opens the device afresh",
                self.adapter
            ))),
        }
    }

    /// Runs commands to wgpu and returns their failure, if any.
    pub(super) fn guard<T>(&self, culprit: &dyn Fn() -> String, work: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
        let filters = [ErrorFilter::Internal, ErrorFilter::Validation, ErrorFilter::OutOfMemory];
        let [first, second, third] = filters.map(|filter| self.device.push_error_scope(filter));
        let value = work();
        let errors = [third, second, first].map(|scope| pollster::block_on(scope.pop()));
        // A loss makes what comes after it invalid too.
        self.check()?;
        let stray = self.fate.stray.lock().unwrap_or_else(PoisonError::into_inner).take();
        match errors.into_iter().flatten().chain(stray).next() {
            None => Ok(value),
            Some(error) => Err(self.explain(&culprit(), error)),
        }
    }

    fn explain(&self, culprit: &str, error: wgpu::Error) -> Error {
        match error {
            wgpu::Error::OutOfMemory { .. } => Error::Memory(format!(
                "{culprit}: the GPU `{}` is out of memory; free some arrays, or split the work into smaller ones",
                self.adapter
            )),
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Error::Internal(format!("{culprit}: {description}"))
            }
        }
    }

    /// Waits until all that was submitted so far is done.
    ///
    /// # Errors
    /// `Device` if the device is lost.
    pub(super) fn wait(&self) -> Result<()> {
        self.backlog.store(0, Ordering::Relaxed);
        // Not `Device::poll`: it panics when the device is lost meanwhile.
        self.instance.poll_all(true);
        self.check()
    }

    pub(super) fn submit(&self, commands: impl FnOnce() -> CommandBuffer) -> Result<()> {
        self.queue_up(SUBMISSION)?;
        self.guard(&|| "submitting commands".to_string(), || self.queue.submit([commands()])).map(|_| ())
    }

    /// Writes to a buffer ahead of all that is submitted from now on, and behind all that has been.
    pub(super) fn write(&self, buffer: &Buffer, bytes: &[u8]) -> Result<()> {
        for (index, piece) in bytes.chunks(PIECE).enumerate() {
            self.queue_up(piece.len() as u64)?;
            let culprit = || format!("uploading {} bytes", bytes.len());
            self.guard(&culprit, || self.stage(buffer, (index * PIECE) as u64, piece))?;
        }
        Ok(())
    }

    /// Writes one piece, padded to whole words.
    fn stage(&self, buffer: &Buffer, offset: u64, piece: &[u8]) {
        let padding = piece.len().next_multiple_of(4) - piece.len();
        let size = BufferSize::new((piece.len() + padding) as u64);
        // Where there is no view, an error says why.
        if let Some(mut view) = size.and_then(|size| self.queue.write_buffer_with(buffer, offset, size)) {
            view.slice(..piece.len()).copy_from_slice(piece);
            view.slice(piece.len()..).copy_from_slice(&[0; 4][..padding]);
        }
    }

    /// Counts what is on its way to the device, and waits if it is too much: memory stays bounded however fast calls come.
    fn queue_up(&self, bytes: u64) -> Result<()> {
        if self.backlog.fetch_add(bytes, Ordering::Relaxed) + bytes > BACKLOG {
            self.wait()?;
            // Writes that no submission has taken along yet.
            self.guard(&|| "submitting uploads".to_string(), || self.queue.submit([]))?;
        }
        Ok(())
    }

    /// A buffer of a pool, for at least so many bytes.
    pub(super) fn buffer(&self, pool: &Pool, bytes: u64) -> Result<Buffer> {
        self.check()?;
        let limit = self.adapter.max_buffer_bytes();
        if bytes > limit {
            return Err(Error::Memory(format!(
                "an array of {bytes} bytes does not fit into the {limit} bytes that one allocation on the GPU `{}` \
                 may have; split the work into smaller arrays",
                self.adapter
            )));
        }
        let size = capacity(bytes, limit);
        match pool.take(size) {
            Some(buffer) => Ok(buffer),
            None => self.create(pool.usage, size).or_else(|error| self.make_room(pool, size, error)),
        }
    }

    /// A second try, after all that waits for its next use has been freed.
    fn make_room(&self, pool: &Pool, size: u64, error: Error) -> Result<Buffer> {
        let Error::Memory(_) = error else { return Err(error) };
        self.memory.clear();
        self.readable.clear();
        self.wait()?;
        self.create(pool.usage, size)
    }

    fn create(&self, usage: BufferUsages, size: u64) -> Result<Buffer> {
        let descriptor = BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.guard(&|| format!("allocating {size} bytes"), || self.device.create_buffer(&descriptor))
    }

    /// Takes memory back.
    pub(super) fn recycle(&self, buffer: &Buffer) {
        if !self.is_lost() {
            self.memory.give(buffer.clone());
        }
    }

    pub(super) fn count_dispatch(&self) {
        self.dispatches.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.adapter)
    }
}

impl Fate {
    fn watch(self: &Arc<Self>, device: &Device) {
        let fate = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let text = if message.is_empty() { format!("{reason:?}").to_lowercase() } else { message };
            // Only the first reason counts.
            let _ = fate.loss.set(text);
        });
        let fate = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            fate.stray.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }));
    }
}
