//! The generator of the shader library on known answers.

use super::super::emit::library::library;
use super::super::{Shader, ShaderAccess, testing};
use super::{bytes, download, whole};

/// The known answers of Random123, `philox4x32` with 10 rounds: counter, key, words.
const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
    ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
    ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
    (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ),
];

/// The function of the library, given counters and keys by memory.
fn shader() -> Shader {
    let main = "
        @group(0) @binding(0) var<uniform> words: array<vec4<u32>, 1>;
        @group(0) @binding(1) var<storage, read> given: array<u32>;
        @group(0) @binding(2) var<storage, read_write> made: array<u32>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if (id.x >= words[0].x) { return; }
            let first = 6u * id.x;
            let counter = vec4<u32>(given[first], given[first + 1u], given[first + 2u], given[first + 3u]);
            let block = philox(counter, vec2<u32>(given[first + 4u], given[first + 5u]));
            for (var word = 0u; word < 4u; word++) { made[4u * id.x + word] = block[word]; }
        }";
    let source = format!("{}\n{main}", library(false, false).reached_by("philox"));
    Shader { source, buffers: vec![ShaderAccess::Read, ShaderAccess::ReadWrite], words: 4 }
}

#[test]
fn the_shader_gives_the_known_answers() {
    let Some(gpu) = testing::device() else { return };
    let given: Vec<u32> = KNOWN.iter().flat_map(|(counter, key, _)| [&counter[..], key].concat()).collect();
    let (from, to) = (gpu.upload(&bytes(&given)).unwrap(), gpu.allocate(4 * 4 * KNOWN.len()).unwrap());
    let pipeline = gpu.pipeline(&shader()).unwrap();
    let mut recorder = gpu.recorder();
    recorder.dispatch(&pipeline, &[KNOWN.len() as u32, 0, 0, 0], &[whole(&from), whole(&to)], [1; 3]).unwrap();
    recorder.submit().unwrap();
    let expected: Vec<u32> = KNOWN.iter().flat_map(|(_, _, words)| *words).collect();
    assert_eq!(download(&gpu, &to), bytes(&expected));
}
