//! One device, many threads.

use std::sync::Arc;

use super::super::{Gpu, Shader, testing};
use super::{add_words, bytes, record_add};

/// Uploads, computes in two steps and reads back, again and again; what it gets must be its own.
fn work(gpu: &Arc<Gpu>, seed: u32) {
    let shader = Shader { source: format!("{}\n// {}", add_words().source, seed % 3), ..add_words() };
    for round in 0..40 {
        let len = 1 + (seed * 7919 + round * 104_729) as usize % 5000;
        let start = seed * 1_000_000 + round * 1000;
        let from: Vec<u32> = (0..len as u32).map(|i| start + i).collect();
        let pipeline = gpu.pipeline(&shader).unwrap();
        let memory = gpu.upload(&bytes(&from)).unwrap();
        let (half, whole) = (gpu.allocate(4 * len).unwrap(), gpu.allocate(4 * len).unwrap());
        let mut recorder = gpu.recorder();
        record_add(&mut recorder, &pipeline, &memory, &half, seed);
        record_add(&mut recorder, &pipeline, &half, &whole, round);
        // Freed while recorded: nobody else may get them before they are submitted.
        drop((memory, half));
        let reading = recorder.read(&whole).unwrap();
        recorder.submit().unwrap();
        let mut found = vec![0; 4 * len];
        recorder.fetch(reading, &mut found).unwrap();
        let expected: Vec<u32> = from.iter().map(|value| value + seed + round).collect();
        assert!(found == bytes(&expected), "thread {seed}, round {round}");
    }
}

#[test]
fn threads_share_a_device() {
    let Some(gpu) = testing::device() else { return };
    let start = |seed| {
        let gpu = gpu.clone();
        std::thread::spawn(move || work(&gpu, seed))
    };
    let threads: Vec<_> = (0..8).map(start).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
