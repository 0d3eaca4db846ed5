//! Recording and submitting commands.

use super::super::{Range, Shader, ShaderAccess, testing};
use super::{add_words, bytes, download, record_add, whole};
use crate::error::Error;

#[test]
fn a_dispatch_computes_and_is_counted() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let before = gpu.dispatches();
    let from: Vec<u32> = (0..1000).collect();
    let memory = gpu.upload(&bytes(&from)).unwrap();
    let to = gpu.allocate(4000).unwrap();
    let mut recorder = gpu.recorder();
    record_add(&mut recorder, &pipeline, &memory, &to, 5);
    recorder.submit().unwrap();
    assert!(gpu.dispatches() > before);
    let expected: Vec<u32> = (5..1005).collect();
    assert_eq!(download(&gpu, &to), bytes(&expected));
}

#[test]
fn commands_of_one_submission_run_in_order() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let memory: Vec<_> = (0..4).map(|_| gpu.allocate(4 * 100_000).unwrap()).collect();
    let mut recorder = gpu.recorder();
    recorder.write(&memory[0], &bytes(&vec![1; 100_000])).unwrap();
    // More uniform data than one buffer holds.
    for _ in 0..100 {
        record_add(&mut recorder, &pipeline, &memory[0], &memory[1], 10);
        record_add(&mut recorder, &pipeline, &memory[1], &memory[2], 100);
        recorder.copy(&memory[2], 0, &memory[0], 0, 4 * 50_000).unwrap();
    }
    let early = recorder.read(&memory[2]).unwrap();
    record_add(&mut recorder, &pipeline, &memory[2], &memory[3], 7);
    let late = recorder.read(&memory[3]).unwrap();
    recorder.submit().unwrap();
    let mut found = vec![0; 400_000];
    let value = |i: usize| 1 + if i < 50_000 { 100 * 110 } else { 110 };
    recorder.fetch(early, &mut found).unwrap();
    assert!(found == bytes(&(0..100_000).map(value).collect::<Vec<u32>>()));
    recorder.fetch(late, &mut found).unwrap();
    assert!(found == bytes(&(0..100_000).map(|i| value(i) + 7).collect::<Vec<u32>>()));
}

#[test]
fn a_recorder_goes_on_after_a_submission() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let (a, b) = (gpu.upload(&bytes(&[1; 64])).unwrap(), gpu.allocate(256).unwrap());
    let mut recorder = gpu.recorder();
    recorder.submit().unwrap();
    for round in 0..10 {
        record_add(&mut recorder, &pipeline, &a, &b, round);
        let reading = recorder.read(&b).unwrap();
        recorder.submit().unwrap();
        let mut found = [0; 256];
        recorder.fetch(reading, &mut found).unwrap();
        assert_eq!(found[..4], (1 + round).to_le_bytes());
    }
}

#[test]
fn a_write_comes_after_what_was_recorded() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let (a, b) = (gpu.upload(&bytes(&[1; 64])).unwrap(), gpu.allocate(256).unwrap());
    let mut recorder = gpu.recorder();
    record_add(&mut recorder, &pipeline, &a, &b, 1);
    recorder.write(&a, &bytes(&[50; 32])).unwrap();
    let reading = recorder.read(&b).unwrap();
    recorder.submit().unwrap();
    let mut found = [0; 256];
    recorder.fetch(reading, &mut found).unwrap();
    assert_eq!(found.to_vec(), bytes(&[2; 64]));
    // The rest of the memory stays as it was.
    assert_eq!(download(&gpu, &a), bytes(&[[50; 32], [1; 32]].concat()));
}

#[test]
fn ranges_start_where_they_say() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let step = u64::from(gpu.target().shaders.unwrap().offset_alignment);
    let words: Vec<u32> = (0..step as u32).collect();
    let (from, to) = (gpu.upload(&bytes(&words)).unwrap(), gpu.upload(&bytes(&words)).unwrap());
    let mut recorder = gpu.recorder();
    let operands = [Range { memory: &from, offset: step, bytes: 8 }, Range { memory: &to, offset: 2 * step, bytes: 8 }];
    recorder.dispatch(&pipeline, &[1000, 2, 0, 0], &operands, [1; 3]).unwrap();
    recorder.submit().unwrap();
    let mut expected = words;
    let place = step as usize / 2;
    expected[place..place + 2].copy_from_slice(&[1000 + step as u32 / 4, 1001 + step as u32 / 4]);
    assert_eq!(download(&gpu, &to), bytes(&expected));
}

#[test]
fn a_shader_may_do_without_uniform_data() {
    let Some(gpu) = testing::device() else { return };
    let source = "
        @group(0) @binding(1) var<storage, read_write> values: array<u32>;
        @compute @workgroup_size(1)
        fn main(@builtin(workgroup_id) id: vec3<u32>) { values[id.x + 3u * id.y] = 10u * id.x + id.y; }";
    let shader = Shader { source: source.to_string(), buffers: vec![ShaderAccess::ReadWrite], words: 0 };
    let pipeline = gpu.pipeline(&shader).unwrap();
    let to = gpu.allocate(24).unwrap();
    let mut recorder = gpu.recorder();
    recorder.dispatch(&pipeline, &[], &[whole(&to)], [3, 0, 1]).unwrap();
    recorder.dispatch(&pipeline, &[], &[whole(&to)], [3, 2, 1]).unwrap();
    recorder.submit().unwrap();
    assert_eq!(download(&gpu, &to), bytes(&[0, 10, 20, 1, 11, 21]));
}

#[test]
fn readings_that_nobody_fetches_do_no_harm() {
    let Some(gpu) = testing::device() else { return };
    let memory = gpu.upload(&bytes(&[3; 100])).unwrap();
    let mut recorder = gpu.recorder();
    drop(recorder.read(&memory).unwrap());
    recorder.submit().unwrap();
    let kept = recorder.read(&memory).unwrap();
    recorder.submit().unwrap();
    drop(recorder);
    // Recorded, never submitted.
    let mut abandoned = gpu.recorder();
    let reading = abandoned.read(&memory).unwrap();
    drop(abandoned);
    let mut found = vec![0; 400];
    let error = gpu.recorder().fetch(reading, &mut found).unwrap_err();
    assert!(matches!(&error, Error::Internal(text) if text.contains("not submitted")), "{error}");
    gpu.recorder().fetch(kept, &mut found).unwrap();
    assert_eq!(found, bytes(&[3; 100]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let (from, to) = (gpu.upload(&bytes(&[1; 64])).unwrap(), gpu.allocate(256).unwrap());
    let mut recorder = gpu.recorder();
    let part = |offset, bytes| Range { memory: &from, offset, bytes };
    let wrong = [
        recorder.dispatch(&pipeline, &[0; 8], &[whole(&from), whole(&to)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[whole(&from)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[part(0, 260), whole(&to)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[part(1, 4), whole(&to)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[part(0, 0), whole(&to)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[part(0, 6), whole(&to)], [1; 3]),
        recorder.dispatch(&pipeline, &[0; 4], &[whole(&from), whole(&to)], [1, u32::MAX, 1]),
        recorder.copy(&from, 2, &to, 0, 4),
        recorder.copy(&from, 0, &to, 4, 256),
        recorder.copy(&from, u64::MAX - 3, &to, 0, 4),
        recorder.copy(&from, 0, &from, 128, 4),
        recorder.write(&to, &[0; 257]),
    ];
    for (index, result) in wrong.into_iter().enumerate() {
        assert!(matches!(result, Err(Error::Internal(_))), "{index}: {result:?}");
    }
    let reading = recorder.read(&from).unwrap();
    let early = recorder.fetch(reading, &mut [0; 256]);
    assert!(matches!(early, Err(Error::Internal(_))), "{early:?}");
    let reading = recorder.read(&from).unwrap();
    recorder.submit().unwrap();
    let short = recorder.fetch(reading, &mut [0; 255]);
    assert!(matches!(short, Err(Error::Internal(_))), "{short:?}");
}

#[test]
fn what_wgpu_refuses_comes_back_from_the_submission() {
    let Some(gpu) = testing::device() else { return };
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let memory = gpu.upload(&bytes(&[1; 64])).unwrap();
    let mut recorder = gpu.recorder();
    // One buffer both as read-only and as writable.
    record_add(&mut recorder, &pipeline, &memory, &memory, 1);
    let error = recorder.submit().unwrap_err();
    assert!(matches!(&error, Error::Internal(text) if text.starts_with("submitting commands: ")), "{error}");
    // The recorder and the device go on.
    let to = gpu.allocate(256).unwrap();
    record_add(&mut recorder, &pipeline, &memory, &to, 1);
    recorder.submit().unwrap();
    assert_eq!(download(&gpu, &to), bytes(&[2; 64]));
}
