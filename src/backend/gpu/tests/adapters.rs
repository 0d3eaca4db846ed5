//! The list of adapters, and choosing from it.

use super::super::adapter::pick;
use super::super::testing;
use super::super::{Selection, adapters, choose, open};
use crate::error::{Error, Result};

fn device_error(result: Result<impl std::fmt::Debug>) -> String {
    match result {
        Err(Error::Device(text)) => text,
        other => panic!("expected a device error, got {other:?}"),
    }
}

#[test]
fn without_adapters_the_error_says_what_to_do() {
    let text = device_error(pick(Vec::new(), &Selection::Default));
    assert!(text.starts_with("no GPU adapter found"), "{text}");
    assert!(text.contains("libvulkan1") && text.contains("VK_DRIVER_FILES") && text.contains("use the CPU"), "{text}");
}

#[test]
fn an_adapter_is_chosen_by_index_or_name() {
    if testing::device().is_none() {
        return;
    }
    let all = adapters();
    assert_eq!(choose(&Selection::Default).unwrap(), all[0]);
    for (index, adapter) in all.iter().enumerate() {
        assert_eq!(choose(&Selection::Index(index)).unwrap(), *adapter);
    }
    let name = all[0].name();
    let part: String = name.chars().take(5).collect();
    for name in [name.to_string(), part.to_uppercase(), part.to_lowercase()] {
        assert_eq!(choose(&Selection::Name(name)).unwrap(), all[0]);
    }
    let kinds: Vec<_> = all.iter().map(|adapter| adapter.kind()).collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
}

#[test]
fn an_unknown_adapter_is_an_error_that_lists_those_there_are() {
    if testing::device().is_none() {
        return;
    }
    let name = adapters()[0].to_string();
    let text = device_error(choose(&Selection::Index(1000)));
    assert!(text.starts_with("no GPU adapter at index 1000; there are:\n  0: "), "{text}");
    assert!(text.contains(&name), "{text}");
    let text = device_error(choose(&Selection::Name("Voodoo 2".to_string())));
    assert!(text.starts_with("no GPU adapter with a name that contains `Voodoo 2`; there are:\n  0: "), "{text}");
}

#[test]
fn an_adapter_describes_itself() {
    let Some(gpu) = testing::device() else { return };
    let adapter = gpu.adapter();
    assert!(!adapter.name().is_empty() && !adapter.driver().is_empty());
    assert!(["vulkan", "metal", "dx12"].contains(&adapter.backend()));
    let limits = adapter.target().shaders.unwrap();
    // What WebGPU promises of every device.
    assert!(limits.storage_buffers >= 8 && limits.invocations >= 64 && limits.groups >= 65_535, "{limits:?}");
    assert!(limits.binding_bytes >= 128 << 20 && limits.binding_bytes.is_multiple_of(256), "{limits:?}");
    assert!(limits.binding_bytes <= adapter.max_buffer_bytes() && limits.binding_bytes < 1 << 31, "{limits:?}");
    assert!(limits.offset_alignment.is_power_of_two() && limits.offset_alignment >= 4, "{limits:?}");
    assert!(limits.subgroup.is_power_of_two() && limits.invocations <= 256, "{limits:?}");
    assert_eq!(*gpu.target(), adapter.target());
}

#[test]
fn one_device_is_open_per_adapter() {
    let Some(gpu) = testing::device() else { return };
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(|| testing::device().unwrap())).collect();
    for thread in threads {
        assert!(std::sync::Arc::ptr_eq(&thread.join().unwrap(), &gpu));
    }
    assert!(std::sync::Arc::ptr_eq(&open(gpu.adapter()).unwrap(), &gpu));
}
