//! What the process has of its GPU: one device per adapter, and a fresh one after a loss. Alone in its process, because
//! losing the device would spoil other tests.
#![cfg(feature = "gpu")]

use std::sync::Arc;

use kroton::Error;
use kroton::backend::gpu::{Gpu, open, testing};

fn download(gpu: &Arc<Gpu>, sent: &[u8]) -> Vec<u8> {
    let memory = gpu.upload(sent).unwrap();
    let mut recorder = gpu.recorder();
    let reading = recorder.read(&memory).unwrap();
    recorder.submit().unwrap();
    let mut found = vec![0; sent.len()];
    recorder.fetch(reading, &mut found).unwrap();
    found
}

#[test]
fn a_lost_device_is_replaced() {
    let Some(gpu) = testing::device() else { return };
    assert!(Arc::ptr_eq(&gpu, &open(gpu.adapter()).unwrap()));
    assert_eq!(download(&gpu, &[1, 2, 3]), [1, 2, 3]);
    let survivor = gpu.upload(&[4; 1000]).unwrap();
    gpu.lose();
    assert!(gpu.is_lost());

    let fresh = open(gpu.adapter()).unwrap();
    assert!(!Arc::ptr_eq(&gpu, &fresh) && !fresh.is_lost());
    assert!(Arc::ptr_eq(&fresh, &open(gpu.adapter()).unwrap()));
    assert_eq!(download(&fresh, &[5, 6, 7, 8, 9]), [5, 6, 7, 8, 9]);
    let error = fresh.recorder().read(&survivor).unwrap_err();
    assert!(matches!(&error, Error::Device(text) if text.contains("was lost")), "{error}");
    drop((gpu, survivor));
    assert_eq!(download(&fresh, &[10]), [10]);
}
