//! Lost devices.

use super::super::{Gpu, testing};
use super::{add_words, bytes, download, record_add, whole};
use crate::error::{Error, Result};

fn lost(result: Result<impl std::fmt::Debug>) {
    match result {
        Err(Error::Device(text)) if text.contains("was lost") => {}
        other => panic!("expected the loss of a device, got {other:?}"),
    }
}

#[test]
fn all_of_a_lost_device_says_so() {
    let Some(healthy) = testing::device() else { return };
    let gpu = Gpu::connect(healthy.adapter()).unwrap();
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let (from, to) = (gpu.upload(&bytes(&[1; 64])).unwrap(), gpu.allocate(256).unwrap());
    let mut recorder = gpu.recorder();
    let unsubmitted = recorder.read(&from).unwrap();
    record_add(&mut recorder, &pipeline, &from, &to, 1);
    let mut other = gpu.recorder();
    let submitted = other.read(&from).unwrap();
    other.submit().unwrap();

    assert!(!gpu.is_lost());
    gpu.lose();
    assert!(gpu.is_lost());
    gpu.lose();

    lost(recorder.submit());
    lost(recorder.fetch(unsubmitted, &mut [0; 256]));
    lost(other.fetch(submitted, &mut [0; 256]));
    lost(gpu.allocate(10));
    lost(gpu.upload(&[1, 2]));
    lost(gpu.pipeline(&add_words()));
    let mut late = gpu.recorder();
    lost(late.dispatch(&pipeline, &[0; 4], &[whole(&from), whole(&to)], [1; 3]));
    lost(late.copy(&from, 0, &to, 0, 4));
    lost(late.write(&to, &[1; 4]));
    lost(late.read(&from));
    // Its memory in a recorder of another device.
    lost(healthy.recorder().read(&from));
    drop((from, to, late, recorder, other, pipeline));
    drop(gpu);
    let memory = healthy.upload(&[1, 2, 3]).unwrap();
    assert_eq!(download(&healthy, &memory), [1, 2, 3]);
}

#[test]
fn threads_that_wait_for_a_device_learn_of_its_loss() {
    let Some(healthy) = testing::device() else { return };
    let gpu = Gpu::connect(healthy.adapter()).unwrap();
    let memory = gpu.upload(&vec![1; 1 << 20]).unwrap();
    let work = || {
        let (gpu, memory) = (gpu.clone(), memory.clone());
        std::thread::spawn(move || {
            let mut found = vec![0; 1 << 20];
            loop {
                let mut recorder = gpu.recorder();
                let mut turn = || {
                    let reading = recorder.read(&memory)?;
                    recorder.submit()?;
                    recorder.fetch(reading, &mut found)
                };
                if let Err(error) = turn() {
                    return error;
                }
            }
        })
    };
    let threads: Vec<_> = (0..4).map(|_| work()).collect();
    std::thread::sleep(std::time::Duration::from_millis(50));
    gpu.lose();
    for thread in threads {
        lost(Err::<(), _>(thread.join().unwrap()));
    }
}
