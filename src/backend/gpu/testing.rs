//! What tests that need a GPU start with.

use std::sync::{Arc, Once};

use super::adapter::{Selection, adapters, choose};
use super::device::{Gpu, open};

/// The device that tests run on, or none where there is no adapter; then the test is skipped, and that is printed.
///
/// # Panics
/// If there is no adapter although the environment says `KROTON_TEST_GPU=required`, and if it cannot be opened.
pub fn device() -> Option<Arc<Gpu>> {
    static SKIPPED: Once = Once::new();
    if adapters().is_empty() {
        let required = std::env::var("KROTON_TEST_GPU").is_ok_and(|value| value == "required");
        assert!(!required, "KROTON_TEST_GPU=required, but there is no GPU adapter");
        SKIPPED.call_once(|| eprintln!("skipped: no GPU adapter"));
        return None;
    }
    let opened = choose(&Selection::Default).and_then(|adapter| open(&adapter));
    Some(opened.unwrap_or_else(|error| panic!("{error}")))
}
