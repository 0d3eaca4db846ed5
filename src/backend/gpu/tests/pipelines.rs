//! Compiled shaders.

use std::sync::Arc;

use super::super::{Gpu, Shader, testing};
use super::{add_words, bytes, download, record_add};
use crate::error::{Error, Result};

fn internal(result: Result<impl std::fmt::Debug>) -> String {
    match result {
        Err(Error::Internal(text)) => text,
        other => panic!("expected an internal error, got {other:?}"),
    }
}

#[test]
fn a_shader_is_compiled_once() {
    let Some(adapter) = testing::device().map(|gpu| gpu.adapter().clone()) else { return };
    let gpu = Gpu::connect(&adapter).unwrap();
    let ask = || {
        let gpu = gpu.clone();
        std::thread::spawn(move || gpu.pipeline(&add_words()).unwrap())
    };
    let threads: Vec<_> = (0..8).map(|_| ask()).collect();
    let pipelines: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(pipelines.iter().all(|pipeline| Arc::ptr_eq(pipeline, &pipelines[0])));
    let other = Shader { source: add_words().source + "\n", ..add_words() };
    assert!(!Arc::ptr_eq(&gpu.pipeline(&other).unwrap(), &pipelines[0]));
}

#[test]
fn an_invalid_shader_is_an_error_with_the_reason() {
    let Some(gpu) = testing::device() else { return };
    let broken = |from: &str, to: &str| Shader { source: add_words().source.replace(from, to), ..add_words() };
    let unparsable = internal(gpu.pipeline(&broken("fn main", "fn main main")));
    assert!(unparsable.contains("expected"), "{unparsable}");
    let unknown = internal(gpu.pipeline(&broken("from_values[id.x] +", "nowhere[id.x] +")));
    assert!(unknown.contains("nowhere"), "{unknown}");
    let mistyped = internal(gpu.pipeline(&broken("+ words[0].x", "+ 1.0f")));
    assert!(mistyped.contains("main"), "{mistyped}");
    let nameless = internal(gpu.pipeline(&broken("fn main", "fn other")));
    assert!(nameless.contains("main"), "{nameless}");
    let unbound = Shader { buffers: Vec::new(), ..add_words() };
    internal(gpu.pipeline(&unbound));
    // The device is none the worse.
    let memory = gpu.upload(&bytes(&[1, 2, 3])).unwrap();
    assert_eq!(download(&gpu, &memory), bytes(&[1, 2, 3]));
}

#[test]
fn uniform_data_has_a_limit() {
    let Some(gpu) = testing::device() else { return };
    let text = internal(gpu.pipeline(&Shader { words: 1 << 30, ..add_words() }));
    assert!(text.contains("4294967296 bytes of uniform data"), "{text}");
    internal(gpu.pipeline(&Shader { words: 3, ..add_words() }));
}

#[test]
fn a_pipeline_of_another_device_is_refused() {
    let Some(gpu) = testing::device() else { return };
    let other = Gpu::connect(gpu.adapter()).unwrap();
    let pipeline = other.pipeline(&add_words()).unwrap();
    let (from, to) = (gpu.upload(&[1; 4]).unwrap(), gpu.allocate(4).unwrap());
    let operands = [super::whole(&from), super::whole(&to)];
    let result = gpu.recorder().dispatch(&pipeline, &[0; 4], &operands, [1; 3]);
    assert!(matches!(result, Err(Error::Device(_))), "{result:?}");
    // Memory of another device likewise.
    let pipeline = gpu.pipeline(&add_words()).unwrap();
    let foreign = other.upload(&[1; 4]).unwrap();
    let operands = [super::whole(&foreign), super::whole(&to)];
    let result = gpu.recorder().dispatch(&pipeline, &[0; 4], &operands, [1; 3]);
    assert!(matches!(result, Err(Error::Device(_))), "{result:?}");
    let mut recorder = gpu.recorder();
    record_add(&mut recorder, &pipeline, &from, &to, 3);
    recorder.submit().unwrap();
    assert_eq!(download(&gpu, &to), [4, 1, 1, 1]);
}
