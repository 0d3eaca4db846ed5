//! Tests of the device layer. Where there is no adapter they are skipped (see `testing`).

mod adapters;
mod failures;
mod memory;
mod philox;
mod pipelines;
mod recorders;
mod threads;

use std::sync::Arc;

use super::{DeviceMemory, Gpu, Pipeline, Range, Shader, ShaderAccess};

/// `to[i] = from[i] + words[0]` over u32, with the number of elements in `words[1]`.
fn add_words() -> Shader {
    let source = "
        @group(0) @binding(0) var<uniform> words: array<vec4<u32>, 1>;
        @group(0) @binding(1) var<storage, read> from_values: array<u32>;
        @group(0) @binding(2) var<storage, read_write> to_values: array<u32>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if (id.x < words[0].y) { to_values[id.x] = from_values[id.x] + words[0].x; }
        }";
    Shader { source: source.to_string(), buffers: vec![ShaderAccess::Read, ShaderAccess::ReadWrite], words: 4 }
}

/// The bytes of some words.
fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn whole(memory: &DeviceMemory) -> Range<'_> {
    Range { memory, offset: 0, bytes: (memory.bytes() as u64).next_multiple_of(4) }
}

/// Records `to = from + summand` with the pipeline of `add_words`.
fn record_add(
    recorder: &mut super::Recorder,
    pipeline: &Arc<Pipeline>,
    from: &DeviceMemory,
    to: &DeviceMemory,
    summand: u32,
) {
    let len = (to.bytes() / 4) as u32;
    let groups = [len.div_ceil(64), 1, 1];
    recorder.dispatch(pipeline, &[summand, len, 0, 0], &[whole(from), whole(to)], groups).unwrap();
}

/// What some memory holds.
fn download(gpu: &Arc<Gpu>, memory: &DeviceMemory) -> Vec<u8> {
    let mut recorder = gpu.recorder();
    let reading = recorder.read(memory).unwrap();
    recorder.submit().unwrap();
    let mut found = vec![0xa5; memory.bytes()];
    recorder.fetch(reading, &mut found).unwrap();
    found
}
