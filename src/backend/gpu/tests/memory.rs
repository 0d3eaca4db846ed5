//! Memory and its pool.

use wgpu::BufferUsages;

use super::super::pool::{Pool, capacity};
use super::super::{Gpu, testing};
use super::{bytes, download};
use crate::error::Error;

#[test]
fn uploads_come_back() {
    let Some(gpu) = testing::device() else { return };
    for len in [0, 1, 2, 3, 4, 5, 255, 256, 257, 1023, 65_536, 1_000_003] {
        let sent: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
        let memory = gpu.upload(&sent).unwrap();
        assert_eq!(memory.bytes(), len);
        assert!(download(&gpu, &memory) == sent, "{len} bytes");
    }
}

#[test]
fn a_big_upload_goes_in_pieces() {
    let Some(gpu) = testing::device() else { return };
    // More than the backlog takes, and no whole number of words.
    let sent: Vec<u8> = (0..200_000_003_u32).map(|i| (i ^ (i >> 11)) as u8).collect();
    let memory = gpu.upload(&sent).unwrap();
    assert!(download(&gpu, &memory) == sent);
}

#[test]
fn uploads_without_a_submission_stay_bounded() {
    let Some(adapter) = testing::device().map(|gpu| gpu.adapter().clone()) else { return };
    // Its own device, whose buffers no other test makes.
    let gpu = Gpu::connect(&adapter).unwrap();
    let sent = vec![7; 4 << 20];
    let memory = gpu.allocate(sent.len()).unwrap();
    let mut recorder = gpu.recorder();
    for _ in 0..500 {
        recorder.write(&memory, &sent).unwrap();
        // Vulkan and Direct3D 12 tell.
        let allocated = gpu.device.generate_allocator_report().map_or(0, |report| report.total_allocated_bytes);
        assert!(allocated <= 400 << 20, "{allocated} bytes are allocated");
    }
    assert!(download(&gpu, &memory) == sent);
}

#[test]
fn fresh_memory_is_clear_and_recycled_memory_is_whole() {
    let Some(adapter) = testing::device().map(|gpu| gpu.adapter().clone()) else { return };
    let gpu = Gpu::connect(&adapter).unwrap();
    let fresh = gpu.allocate(10_000).unwrap();
    assert_eq!(download(&gpu, &fresh), vec![0; 10_000]);
    drop(fresh);
    let before = gpu.live_buffers();
    let again = gpu.upload(&bytes(&[1, 2, 3])).unwrap();
    let large = gpu.allocate(10_001).unwrap();
    assert_eq!(download(&gpu, &again), bytes(&[1, 2, 3]));
    assert_eq!(download(&gpu, &large).len(), 10_001);
    // `large` took the place of `fresh`; `again` and what it is read through are new.
    assert_eq!(gpu.live_buffers(), before + 2);
}

#[test]
fn ten_thousand_buffers_of_a_mebibyte_stay_few() {
    let Some(adapter) = testing::device().map(|gpu| gpu.adapter().clone()) else { return };
    let gpu = Gpu::connect(&adapter).unwrap();
    let before = gpu.live_buffers();
    let mut held = std::collections::VecDeque::new();
    for i in 0..10_000_usize {
        held.push_back(gpu.allocate((1 << 20) - i % 64).unwrap());
        if held.len() > 10 {
            held.pop_front();
        }
    }
    assert!(gpu.live_buffers() <= before + 11, "{} buffers", gpu.live_buffers() - before);
}

#[test]
fn what_waits_is_bounded_and_the_oldest_goes_first() {
    let Some(gpu) = testing::device() else { return };
    let pool = Pool::new(BufferUsages::STORAGE, 98_000);
    let buffer = |size| gpu.buffer(&pool, size).unwrap();
    // Each counts for its bytes and 4,096 more.
    let (old, middle, new, small) = (buffer(32_768), buffer(16_384), buffer(32_768), buffer(256));
    for buffer in [&old, &middle, &new, &small] {
        pool.give(buffer.clone());
    }
    assert_eq!([pool.take(32_768), pool.take(32_768)], [Some(new), None]);
    assert_eq!([pool.take(16_384), pool.take(16_384)], [Some(middle), None]);
    assert_eq!([pool.take(512), pool.take(256)], [None, Some(small)]);
    // More than may wait.
    pool.give(buffer(200_000));
    assert_eq!(pool.take(capacity(200_000, u64::MAX)), None);
    pool.give(old.clone());
    assert_eq!(pool.take(32_768), Some(old));
}

#[test]
fn capacities_waste_at_most_an_eighth() {
    let limit = 1 << 31;
    for bytes in (0..100_000).chain((0..3000).map(|i| 4096 + i * 700_001)) {
        let size = capacity(bytes, limit);
        assert!(size >= bytes.max(1) && size.is_multiple_of(4), "{bytes} in {size}");
        assert!(size - bytes <= (bytes / 8).max(256), "{bytes} in {size}");
        assert_eq!(capacity(size, limit), size);
    }
    assert_eq!(capacity(0, limit), 256);
    assert_eq!(capacity((1 << 20) + 1, (1 << 20) + 6), (1 << 20) + 4);
}

#[test]
fn an_allocation_beyond_the_limit_is_an_error() {
    let Some(gpu) = testing::device() else { return };
    let limit = gpu.adapter().max_buffer_bytes();
    for bytes in [limit + 1, u64::MAX].into_iter().filter_map(|bytes| usize::try_from(bytes).ok()) {
        let Err(Error::Memory(text)) = gpu.allocate(bytes) else { panic!("{bytes} bytes were given") };
        assert!(text.contains(&bytes.to_string()) && text.contains(&limit.to_string()), "{text}");
    }
}
