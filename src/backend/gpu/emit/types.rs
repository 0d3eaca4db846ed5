//! How values of a dtype are spelled in WGSL: types, constants, loads and stores.
//!
//! In registers a bool is `bool`, i8 is `i32` with its sign extended, u8 is `u32` below 256, and 64-bit integers are
//! `i64` and `u64` or, on devices without them, `vec2<u32>` with the low word first. In memory everything is words:
//! bytes lie four to a word, 64-bit values in two, low word first.

use crate::dtype::{DType, Scalar};

/// How a storage buffer is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// `array<u32>`.
    Words,
    /// `array<vec2<u32>>`: every operand in it has elements of 8 bytes.
    Pairs,
    /// `array<atomic<u32>>`: bytes are written to it.
    AtomicWords,
}

impl Storage {
    /// The declared type.
    pub fn spelling(self) -> &'static str {
        match self {
            Storage::Words => "array<u32>",
            Storage::Pairs => "array<vec2<u32>>",
            Storage::AtomicWords => "array<atomic<u32>>",
        }
    }

    /// How a buffer of one read operand is declared.
    pub fn read(dtype: DType) -> Storage {
        if dtype.size() == 8 { Storage::Pairs } else { Storage::Words }
    }

    /// How a buffer of one written operand is declared.
    pub fn write(dtype: DType) -> Storage {
        match dtype.size() {
            1 => Storage::AtomicWords,
            4 => Storage::Words,
            _ => Storage::Pairs,
        }
    }
}

/// Spells values for devices with or without 64-bit integers.
#[derive(Debug, Clone, Copy)]
pub struct Types {
    /// Whether `i64` and `u64` are types.
    pub has_i64: bool,
}

impl Types {
    /// The type of a value.
    pub fn value(self, dtype: DType) -> &'static str {
        match dtype {
            DType::Bool => "bool",
            DType::I8 | DType::I32 => "i32",
            DType::U8 | DType::U32 => "u32",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I64 if self.has_i64 => "i64",
            DType::U64 if self.has_i64 => "u64",
            DType::I64 | DType::U64 => "vec2<u32>",
        }
    }

    /// A constant. Floats whose bits a compiler may not keep go through `hidden_zero`.
    pub fn constant(self, value: Scalar) -> String {
        match value {
            Scalar::Bool(x) => x.to_string(),
            Scalar::I8(x) => format!("{x}i"),
            Scalar::U8(x) => format!("{x}u"),
            Scalar::I32(i32::MIN) => "bitcast<i32>(0x80000000u)".to_string(),
            Scalar::I32(x) => format!("{x}i"),
            Scalar::U32(x) => format!("{x}u"),
            Scalar::F32(x) if x.is_normal() => format!("{x:e}f"),
            Scalar::F32(x) if x.to_bits() == 0 => "0f".to_string(),
            Scalar::F32(x) => format!("bitcast<f32>({:#x}u ^ hidden_zero())", x.to_bits()),
            Scalar::F64(x) if x.is_normal() => format!("{x:e}lf"),
            Scalar::F64(x) if x.to_bits() == 0 => "0lf".to_string(),
            Scalar::F64(x) => format!("bitcast<f64>({:#x}lu ^ u64(hidden_zero()))", x.to_bits()),
            Scalar::I64(x) if self.has_i64 => format!("bitcast<i64>({:#x}lu)", x as u64),
            Scalar::U64(x) if self.has_i64 => format!("{x:#x}lu"),
            Scalar::I64(_) | Scalar::U64(_) => {
                let bits = value.bits();
                format!("vec2<u32>({:#x}u, {:#x}u)", bits as u32, bits >> 32)
            }
        }
    }

    /// The element at an index, an identifier, of a buffer.
    pub fn load(self, dtype: DType, storage: Storage, buffer: &str, index: &str) -> String {
        let shift = format!("(({index} & 3u) * 8u)");
        match dtype {
            DType::Bool => format!("(({buffer}[{index} >> 2u] >> {shift}) & 0xffu) != 0u"),
            DType::U8 => format!("({buffer}[{index} >> 2u] >> {shift}) & 0xffu"),
            DType::I8 => format!("bitcast<i32>({buffer}[{index} >> 2u] << (24u - {shift})) >> 24u"),
            DType::I32 => format!("bitcast<i32>({buffer}[{index}])"),
            DType::U32 => format!("{buffer}[{index}]"),
            DType::F32 => format!("bitcast<f32>({buffer}[{index}])"),
            DType::I64 | DType::U64 | DType::F64 => {
                let words = match storage {
                    Storage::Pairs => format!("{buffer}[{index}]"),
                    Storage::Words | Storage::AtomicWords => {
                        format!("vec2<u32>({buffer}[2u * {index}], {buffer}[2u * {index} + 1u])")
                    }
                };
                self.of_pair(dtype, &words)
            }
        }
    }

    /// A 64-bit value of its words.
    fn of_pair(self, dtype: DType, words: &str) -> String {
        match dtype {
            DType::F64 => format!("f64_from_pair({words})"),
            DType::I64 if self.has_i64 => format!("i64_from_pair({words})"),
            DType::U64 if self.has_i64 => format!("u64_from_pair({words})"),
            DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 => {
                words.to_string()
            }
        }
    }

    /// The words of a 64-bit value, as `vec2<u32>`.
    fn pair(self, dtype: DType, value: &str) -> String {
        match dtype {
            DType::F64 => format!("pair_from_f64({value})"),
            DType::I64 if self.has_i64 => format!("pair_from_i64({value})"),
            DType::U64 if self.has_i64 => format!("pair_from_u64({value})"),
            DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F32 => {
                value.to_string()
            }
        }
    }

    /// The 4 bytes of a value of 4 bytes or less, as `u32`; of bytes, the lowest 8 bits.
    pub fn word(self, dtype: DType, value: &str) -> String {
        match dtype {
            DType::Bool => format!("select(0u, 1u, {value})"),
            DType::I8 => format!("bitcast<u32>({value}) & 0xffu"),
            DType::I32 | DType::F32 => format!("bitcast<u32>({value})"),
            DType::U8 | DType::U32 | DType::I64 | DType::U64 | DType::F64 => value.to_string(),
        }
    }

    /// The statements that write a value to an index, an identifier, of a buffer.
    pub fn store(self, dtype: DType, buffer: &str, index: &str, value: &str) -> Vec<String> {
        match dtype.size() {
            1 => {
                let shift = format!("(({index} & 3u) * 8u)");
                vec![
                    format!("atomicAnd(&{buffer}[{index} >> 2u], ~(0xffu << {shift}));"),
                    format!("atomicOr(&{buffer}[{index} >> 2u], ({}) << {shift});", self.word(dtype, value)),
                ]
            }
            4 => vec![format!("{buffer}[{index}] = {};", self.word(dtype, value))],
            _ => vec![format!("{buffer}[{index}] = {};", self.pair(dtype, value))],
        }
    }

    /// How many words of scratch memory a value takes.
    pub fn scratch_words(self, dtype: DType) -> usize {
        dtype.size().div_ceil(4)
    }

    /// A value read from words of scratch memory; a bool or a byte lies alone in its word.
    pub fn load_scratch(self, dtype: DType, buffer: &str, index: &str) -> String {
        match dtype {
            DType::Bool => format!("{buffer}[{index}] != 0u"),
            DType::U8 | DType::U32 => format!("{buffer}[{index}]"),
            DType::I8 | DType::I32 => format!("bitcast<i32>({buffer}[{index}])"),
            DType::F32 => format!("bitcast<f32>({buffer}[{index}])"),
            DType::I64 | DType::U64 | DType::F64 => {
                self.of_pair(dtype, &format!("vec2<u32>({buffer}[{index}], {buffer}[{index} + 1u])"))
            }
        }
    }

    /// The statements that write a value to words of scratch memory.
    pub fn store_scratch(self, dtype: DType, buffer: &str, index: &str, value: &str) -> Vec<String> {
        match dtype {
            DType::I8 => vec![format!("{buffer}[{index}] = bitcast<u32>({value});")],
            DType::Bool | DType::U8 | DType::I32 | DType::U32 | DType::F32 => {
                vec![format!("{buffer}[{index}] = {};", self.word(dtype, value))]
            }
            DType::I64 | DType::U64 | DType::F64 => {
                let pair = self.pair(dtype, value);
                vec![format!("{buffer}[{index}] = ({pair}).x;"), format!("{buffer}[{index} + 1u] = ({pair}).y;")]
            }
        }
    }

    /// The value that the invocation `distance` further on in the subgroup has.
    pub fn shuffled(self, dtype: DType, value: &str, distance: u32) -> String {
        let kind = match dtype {
            DType::Bool => "bool",
            DType::I8 | DType::I32 => "i32",
            DType::U8 | DType::U32 => "u32",
            DType::F32 => "f32",
            DType::I64 | DType::U64 | DType::F64 => {
                let words = format!("shuffle_down_words({}, {distance}u)", self.pair(dtype, value));
                return self.of_pair(dtype, &words);
            }
        };
        format!("shuffle_down_{kind}({value}, {distance}u)")
    }
}
