//! Random numbers of a counter and a key, which are 64-bit words.
//!
//! The table's rows ask for any integer type; `Class::Word` sees to it that it is u64. Must not know: which engine asks.

use crate::elementary::philox;
use crate::ops::scalar::Integer;

/// 32 bits.
pub fn bits32<T: Integer>(counter: T, key: T) -> u32 {
    philox::bits32(counter.word(), key.word())
}

/// 64 bits.
pub fn bits64<T: Integer>(counter: T, key: T) -> u64 {
    philox::bits64(counter.word(), key.word())
}

/// From [0, 1), with 24 bits.
pub fn uniform32<T: Integer>(counter: T, key: T) -> f32 {
    philox::uniform32(counter.word(), key.word())
}

/// From [0, 1), with 53 bits.
pub fn uniform64<T: Integer>(counter: T, key: T) -> f64 {
    philox::uniform64(counter.word(), key.word())
}

/// A derived key.
pub fn derived_key<T: Integer>(counter: T, key: T) -> u64 {
    philox::derived_key(counter.word(), key.word())
}
