//! Tests of the device layer. Where there is no adapter they are skipped (see `testing`).
