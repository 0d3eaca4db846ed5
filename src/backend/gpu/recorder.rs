//! The commands of one call, recorded on the CPU and submitted at once.
//!
//! Commands run in the order they were recorded. A recorder holds on to all memory that its recorded commands use until
//! they are submitted (see `pool`). What a shader reads as uniform data is gathered and written once per submission.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferAsyncError, BufferBinding,
    BufferSize, CommandBuffer, CommandEncoder, ComputePass, MapMode,
};

use super::device::Gpu;
use super::memory::DeviceMemory;
use super::pipeline::Pipeline;
use crate::error::{Error, Result};

/// The size of a buffer of uniform data, unless one dispatch needs more.
const WORDS: usize = 16 << 10;

/// So many dispatches are many: a device that a driver watches should come to an end of what it was given.
const MANY: usize = 64;

/// The commands of one call.
#[derive(Debug)]
pub struct Recorder {
    gpu: Arc<Gpu>,
    commands: Option<Commands>,
    /// How many dispatches are recorded and not submitted.
    waiting: usize,
    /// Uniform data of the recorded dispatches.
    words: Vec<Words>,
    /// The memory that recorded commands use.
    used: Vec<DeviceMemory>,
    /// What to hand to the host once the commands are done.
    maps: Vec<(Buffer, u64, SyncSender<Progress>)>,
}

#[derive(Debug)]
struct Commands {
    /// Before the encoder, because it must end before it.
    pass: Option<ComputePass<'static>>,
    encoder: CommandEncoder,
}

#[derive(Debug)]
struct Words {
    memory: DeviceMemory,
    bytes: Vec<u8>,
}

/// What becomes of a reading.
#[derive(Debug)]
enum Progress {
    Submitted,
    Mapped(Result<(), BufferAsyncError>),
}

/// A part of some memory.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// The memory.
    pub memory: &'a DeviceMemory,
    /// Where the part starts, in bytes; a multiple of the target's `offset_alignment`.
    pub offset: u64,
    /// Its size, a multiple of 4.
    pub bytes: u64,
}

/// Memory on its way to the host.
#[derive(Debug)]
pub struct Reading {
    gpu: Arc<Gpu>,
    bytes: usize,
    /// None for no bytes.
    staging: Option<(Buffer, Receiver<Progress>)>,
}

impl Recorder {
    pub(super) fn new(gpu: Arc<Gpu>) -> Recorder {
        Recorder { gpu, commands: None, waiting: 0, words: Vec::new(), used: Vec::new(), maps: Vec::new() }
    }

    /// The device that the commands are for.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Records a run of a shader over so many workgroups.
    ///
    /// # Errors
    /// `Device` if the device is lost or something belongs to another one, `Memory` if there is not enough,
    /// `Internal` if the operands do not fit the shader.
    pub fn dispatch(
        &mut self,
        pipeline: &Arc<Pipeline>,
        words: &[u32],
        buffers: &[Range<'_>],
        groups: [u32; 3],
    ) -> Result<()> {
        self.fits(pipeline, words, buffers, groups)?;
        if groups.contains(&0) {
            return Ok(());
        }
        let place = self.place(words)?;
        let bindings = bindings(place.as_ref().map(|(memory, offset)| (memory, *offset, words.len())), buffers);
        let gpu = self.gpu.clone();
        let group = gpu.guard(&|| "binding buffers".to_string(), || bind(&gpu, pipeline, &bindings))?;
        self.used.extend(buffers.iter().map(|range| range.memory.clone()));
        let pass = self.commands()?.pass();
        pass.set_pipeline(&pipeline.compute);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        self.gpu.count_dispatch();
        self.waiting += 1;
        Ok(())
    }

    /// Records a copy. Offsets and sizes are multiples of 4.
    ///
    /// # Errors
    /// `Device` if the device is lost or memory belongs to another one, `Internal` if the ranges are not within the
    /// memory or both are in the same one.
    pub fn copy(
        &mut self,
        from: &DeviceMemory,
        from_offset: u64,
        to: &DeviceMemory,
        to_offset: u64,
        bytes: u64,
    ) -> Result<()> {
        self.owns(from)?;
        self.owns(to)?;
        within("copy from", from, from_offset, bytes, 4)?;
        within("copy to", to, to_offset, bytes, 4)?;
        if from.is(to) {
            return Err(Error::Internal("a copy within the same memory".to_string()));
        }
        if bytes > 0 {
            self.used.extend([from.clone(), to.clone()]);
            let (source, target) = (from.buffer(), to.buffer());
            self.commands()?.encoder().copy_buffer_to_buffer(source, from_offset, target, to_offset, bytes);
        }
        Ok(())
    }

    /// Writes to the start of some memory: after the commands recorded so far, and before the later ones.
    ///
    /// # Errors
    /// `Device` if the device is lost or the memory belongs to another one, `Memory` if there is none to pass the bytes
    /// on, `Internal` if they are too many.
    pub fn write(&mut self, to: &DeviceMemory, bytes: &[u8]) -> Result<()> {
        self.owns(to)?;
        if bytes.len() > to.bytes() {
            return Err(Error::Internal(format!("a write of {} bytes into {to:?}", bytes.len())));
        }
        // A write comes before all that is not submitted yet.
        if self.used.iter().any(|used| used.is(to)) {
            self.submit()?;
        }
        self.gpu.write(to.buffer(), bytes)
    }

    /// Records that some memory is to be all zeros.
    ///
    /// # Errors
    /// `Device` if the device is lost or the memory belongs to another one.
    pub fn clear(&mut self, memory: &DeviceMemory) -> Result<()> {
        self.owns(memory)?;
        if memory.bytes() > 0 {
            self.used.push(memory.clone());
            self.commands()?.encoder().clear_buffer(memory.buffer(), 0, Some(memory.padded()));
        }
        Ok(())
    }

    /// Records that the host wants to read some memory as it is then.
    ///
    /// # Errors
    /// `Device` if the device is lost or the memory belongs to another one, `Memory` if there is not enough.
    pub fn read(&mut self, from: &DeviceMemory) -> Result<Reading> {
        self.owns(from)?;
        let (gpu, bytes) = (self.gpu.clone(), from.bytes());
        if bytes == 0 {
            return Ok(Reading { gpu, bytes, staging: None });
        }
        let buffer = self.gpu.buffer(&self.gpu.readable, from.padded())?;
        self.used.push(from.clone());
        self.commands()?.encoder().copy_buffer_to_buffer(from.buffer(), 0, &buffer, 0, from.padded());
        let (sender, receiver) = sync_channel(2);
        self.maps.push((buffer.clone(), from.padded(), sender));
        Ok(Reading { gpu, bytes, staging: Some((buffer, receiver)) })
    }

    /// Hands what was recorded to the device, and does not wait. The recorder can go on afterwards.
    ///
    /// # Errors
    /// `Device` if the device is lost, `Memory` if it has not enough, `Internal` if wgpu refuses the commands. What was
    /// recorded is gone then.
    pub fn submit(&mut self) -> Result<()> {
        let Some(commands) = self.commands.take() else { return Ok(()) };
        self.waiting = 0;
        let (words, maps) = (std::mem::take(&mut self.words), std::mem::take(&mut self.maps));
        // Until the commands are submitted.
        let _used = std::mem::take(&mut self.used);
        for words in &words {
            self.gpu.write(words.memory.buffer(), &words.bytes)?;
        }
        self.gpu.submit(|| commands.finish())?;
        self.gpu.guard(&|| "mapping results".to_string(), || {
            for (buffer, bytes, sender) in maps {
                // The receiver may be gone; nothing is to be told then.
                let _ = sender.send(Progress::Submitted);
                buffer.map_async(MapMode::Read, ..bytes, move |result| drop(sender.send(Progress::Mapped(result))));
            }
        })
    }

    /// Hands what was recorded to the device if it is much.
    ///
    /// # Errors
    /// As `submit`.
    pub fn submit_many(&mut self) -> Result<()> {
        if self.waiting < MANY { Ok(()) } else { self.submit() }
    }

    /// Submits what was recorded so far, and waits until it is done.
    ///
    /// # Errors
    /// As `submit`.
    pub fn complete(&mut self) -> Result<()> {
        self.submit()?;
        self.gpu.wait()
    }

    /// Waits until the memory that was read has come, and copies it.
    ///
    /// # Errors
    /// `Device` if the device is lost, `Internal` if the reading was not submitted or is of another size.
    pub fn fetch(&mut self, reading: Reading, to: &mut [u8]) -> Result<()> {
        reading.fetch(to)
    }

    fn commands(&mut self) -> Result<&mut Commands> {
        let commands = match self.commands.take() {
            Some(commands) => commands,
            None => {
                let create = || self.gpu.device.create_command_encoder(&Default::default());
                Commands { pass: None, encoder: self.gpu.guard(&|| "recording commands".to_string(), create)? }
            }
        };
        Ok(self.commands.insert(commands))
    }

    /// Room for the uniform data of a dispatch: which memory, and where in it. None for no data.
    fn place(&mut self, words: &[u32]) -> Result<Option<(DeviceMemory, u64)>> {
        if words.is_empty() {
            return Ok(None);
        }
        let alignment = self.gpu.adapter().limits().min_uniform_buffer_offset_alignment as usize;
        let size = 4 * words.len();
        let start = |block: &Words| block.bytes.len().next_multiple_of(alignment);
        let mut block = match self.words.pop_if(|block| start(block) + size <= block.memory.bytes()) {
            Some(block) => block,
            None => Words { memory: self.gpu.allocate(WORDS.max(size))?, bytes: Vec::new() },
        };
        let place = (block.memory.clone(), start(&block) as u64);
        block.bytes.resize(start(&block), 0);
        block.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self.words.push(block);
        Ok(Some(place))
    }

    fn owns(&self, memory: &DeviceMemory) -> Result<()> {
        memory.gpu().check()?;
        if Arc::ptr_eq(memory.gpu(), &self.gpu) {
            return self.gpu.check();
        }
        Err(Error::Device(format!(
            "an array lives on the GPU `{}` and is used on `{}`; download it and upload it there",
            memory.gpu().adapter(),
            self.gpu.adapter()
        )))
    }

    /// Whether operands are what a shader expects.
    fn fits(&self, pipeline: &Pipeline, words: &[u32], buffers: &[Range<'_>], groups: [u32; 3]) -> Result<()> {
        if pipeline.device != self.gpu.serial {
            return Err(Error::Device(format!("a shader compiled for another device than `{}`", self.gpu.adapter())));
        }
        if (words.len(), buffers.len()) != (pipeline.words, pipeline.buffers) {
            return Err(Error::Internal(format!(
                "a shader for {} words and {} buffers, with {} and {}",
                pipeline.words,
                pipeline.buffers,
                words.len(),
                buffers.len()
            )));
        }
        let limits = self.gpu.adapter().limits();
        if groups.iter().any(|count| *count > limits.max_compute_workgroups_per_dimension) {
            return Err(Error::Internal(format!("a dispatch of {groups:?} workgroups")));
        }
        for range in buffers {
            self.owns(range.memory)?;
            let alignment = limits.min_storage_buffer_offset_alignment.max(4);
            within("a binding", range.memory, range.offset, range.bytes, alignment)?;
            if range.bytes == 0 || range.bytes > limits.max_storage_buffer_binding_size {
                return Err(Error::Internal(format!("a binding of {} bytes", range.bytes)));
            }
        }
        Ok(())
    }
}

impl Reading {
    fn fetch(self, to: &mut [u8]) -> Result<()> {
        if to.len() != self.bytes {
            return Err(Error::Internal(format!("{} bytes were read, into {}", self.bytes, to.len())));
        }
        let Some((buffer, progress)) = self.staging else { return Ok(()) };
        arrival(&self.gpu, &progress)?;
        let size = (to.len() as u64).next_multiple_of(4);
        let view = self.gpu.guard(&|| "reading results".to_string(), || buffer.get_mapped_range(..size))?;
        let view = view.map_err(|error| Error::Internal(format!("reading results: {error}")))?;
        to.copy_from_slice(&view[..to.len()]);
        drop(view);
        self.gpu.guard(&|| "unmapping results".to_string(), || buffer.unmap())?;
        self.gpu.readable.give(buffer);
        Ok(())
    }
}

/// Waits until a buffer is mapped.
fn arrival(gpu: &Gpu, progress: &Receiver<Progress>) -> Result<()> {
    let unsubmitted = || Error::Internal("the commands of a reading were not submitted".to_string());
    match progress.try_recv() {
        Ok(Progress::Submitted) => {}
        Ok(Progress::Mapped(_)) | Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
            return gpu.check().and(Err(unsubmitted()));
        }
    }
    loop {
        gpu.wait()?;
        // Another thread that waited as well may be about to tell.
        match progress.recv_timeout(Duration::from_millis(1)) {
            Ok(Progress::Mapped(Ok(()))) => return Ok(()),
            Ok(Progress::Mapped(Err(error))) => {
                return gpu.check().and(Err(Error::Internal(format!("mapping results: {error}"))));
            }
            Ok(Progress::Submitted) | Err(RecvTimeoutError::Disconnected) => return Err(unsubmitted()),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

impl Commands {
    /// The pass that dispatches go to.
    fn pass(&mut self) -> &mut ComputePass<'static> {
        let begin = || self.encoder.begin_compute_pass(&Default::default()).forget_lifetime();
        self.pass.get_or_insert_with(begin)
    }

    fn finish(self) -> CommandBuffer {
        drop(self.pass);
        self.encoder.finish()
    }

    /// The encoder, for what is not part of a pass.
    fn encoder(&mut self) -> &mut CommandEncoder {
        self.pass = None;
        &mut self.encoder
    }
}

type Binding<'a> = (u32, &'a Buffer, u64, u64);

fn bindings<'a>(words: Option<(&'a DeviceMemory, u64, usize)>, buffers: &[Range<'a>]) -> Vec<Binding<'a>> {
    let words = words.map(|(memory, offset, words)| (0, memory.buffer(), offset, 4 * words as u64));
    let buffer =
        |(index, range): (usize, &Range<'a>)| (index as u32 + 1, range.memory.buffer(), range.offset, range.bytes);
    words.into_iter().chain(buffers.iter().enumerate().map(buffer)).collect()
}

fn bind<'a>(gpu: &Gpu, pipeline: &Pipeline, bindings: &[Binding<'a>]) -> BindGroup {
    let entry = |&(binding, buffer, offset, bytes): &Binding<'a>| BindGroupEntry {
        binding,
        resource: BindingResource::Buffer(BufferBinding { buffer, offset, size: BufferSize::new(bytes) }),
    };
    let entries: Vec<_> = bindings.iter().map(entry).collect();
    gpu.device.create_bind_group(&BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries })
}

fn within(what: &str, memory: &DeviceMemory, offset: u64, bytes: u64, alignment: u32) -> Result<()> {
    let aligned = offset.is_multiple_of(alignment.into()) && bytes.is_multiple_of(4);
    let inside = offset.checked_add(bytes).is_some_and(|end| end <= memory.padded().max(8));
    if aligned && inside {
        return Ok(());
    }
    Err(Error::Internal(format!("{what}: {bytes} bytes at {offset} of {memory:?}, alignment {alignment}")))
}
