//! Scalar functions that machine code calls: for ops that are functions, and for those that an instruction set lacks.
//!
//! The one place where elementary functions come from. Each is the op's definition from the table behind the C calling
//! convention; integers travel as 64-bit registers, because platforms differ in who extends narrow ones. None unwinds.
//! Must not know: how calls are emitted.

use crate::dtype::{DType, Scalar};
use crate::elementary::kernel::{self, Level};
use crate::elementary::philox_kernel::{self, Draw, progression_kernel, random_kernel};
use crate::elementary::{Binary, Unary, functions};
use crate::ops::binary::binary_table;
use crate::ops::scalar::{Float, Integer, random};
use crate::ops::unary::unary_table;
use crate::ops::{BinaryOp, Outcome, TernaryOp, UnaryOp};

/// An op as a function of scalars of one dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Symbol {
    /// Which op.
    pub function: Function,
    /// The dtype of the operands.
    pub dtype: DType,
}

/// An op that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    /// Of one operand.
    Unary(UnaryOp),
    /// Of two operands.
    Binary(BinaryOp),
    /// Of three operands.
    Ternary(TernaryOp),
}

impl Symbol {
    /// The name that code refers to: `kroton_exp_f64`.
    pub fn name(self) -> String {
        let op = match self.function {
            Function::Unary(op) => op.row().name,
            Function::Binary(op) => op.row().name,
            Function::Ternary(op) => op.row().name,
        };
        format!("kroton_{op}_{}", self.dtype)
    }

    /// The number of operands.
    pub fn arity(self) -> usize {
        match self.function {
            Function::Unary(_) => 1,
            Function::Binary(_) => 2,
            Function::Ternary(_) => 3,
        }
    }

    /// The dtype of the result.
    pub fn result(self) -> DType {
        match self.function {
            Function::Unary(op) => op.row().result(self.dtype),
            Function::Binary(op) => op.row().result(self.dtype),
            Function::Ternary(op) => op.row().result(self.dtype),
        }
    }

    /// Where its kernel is, which computes many elements at once; `None` for what has none.
    pub fn kernel(self, level: Level) -> Option<*const u8> {
        match self.function {
            Function::Unary(op) => unary_kernel(op, self.dtype, level),
            Function::Binary(op) => binary_kernels(op, self.dtype, level)[0],
            Function::Ternary(_) => None,
        }
    }

    /// Whether its kernel takes an address ahead of its argument.
    pub fn asks_ahead(self) -> bool {
        matches!(self.function, Function::Unary(_))
    }

    /// Where its kernel is that is told an arithmetic progression of first operands and one second operand; draws have one.
    pub fn progression_kernel(self, level: Level) -> Option<*const u8> {
        match self.function {
            Function::Binary(op) => binary_kernels(op, self.dtype, level)[1],
            Function::Unary(_) | Function::Ternary(_) => None,
        }
    }

    /// Where the function is; `None` for a dtype that the op does not take, or a result of another dtype.
    pub fn address(self) -> Option<*const u8> {
        match self.function {
            Function::Unary(op) if op.row().outcome == Outcome::Same => unary_address(op, self.dtype),
            Function::Binary(op) if op.row().outcome == Outcome::Same => binary_address(op, self.dtype),
            Function::Ternary(TernaryOp::MulAdd) => mul_add_address(self.dtype),
            Function::Unary(_) | Function::Binary(_) | Function::Ternary(TernaryOp::Select) => None,
        }
    }
}

/// The kernel of arrays, and that of a progression and one element.
fn binary_kernels(op: BinaryOp, dtype: DType, level: Level) -> [Option<*const u8>; 2] {
    match op {
        BinaryOp::Pow => [of_binary::<functions::Pow>(dtype, level), None],
        BinaryOp::Atan2 => [of_binary::<functions::Atan2>(dtype, level), None],
        BinaryOp::Hypot => [of_binary::<functions::Hypot>(dtype, level), None],
        BinaryOp::FloorDiv => [of_division::<functions::FloorDiv>(dtype, level), None],
        BinaryOp::Rem => [of_division::<functions::Rem>(dtype, level), None],
        BinaryOp::RandomBits32 => of_draw::<philox_kernel::Bits32>(dtype, level),
        BinaryOp::RandomBits64 => of_draw::<philox_kernel::Bits64>(dtype, level),
        BinaryOp::RandomUniform32 => of_draw::<philox_kernel::Uniform32>(dtype, level),
        BinaryOp::RandomUniform64 => of_draw::<philox_kernel::Uniform64>(dtype, level),
        BinaryOp::RandomKey => of_draw::<philox_kernel::Key>(dtype, level),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::Lt
        | BinaryOp::Le
        | BinaryOp::Gt
        | BinaryOp::Ge
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr => [None, None],
    }
}

fn of_unary<F: Unary<f32> + Unary<f64>>(dtype: DType, level: Level) -> Option<*const u8> {
    match dtype {
        DType::F32 => Some(<F as Unary<f32>>::kernel(level) as *const u8),
        DType::F64 => Some(<F as Unary<f64>>::kernel(level) as *const u8),
        DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => None,
    }
}

fn of_binary<F: Binary<f32> + Binary<f64>>(dtype: DType, level: Level) -> Option<*const u8> {
    match dtype {
        DType::F32 => Some(kernel::binary_kernel::<F, f32>(level) as *const u8),
        DType::F64 => Some(kernel::binary_kernel::<F, f64>(level) as *const u8),
        DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => None,
    }
}

fn of_division<F>(dtype: DType, level: Level) -> Option<*const u8>
where
    F: Binary<i8> + Binary<u8> + Binary<i32> + Binary<u32> + Binary<i64> + Binary<u64> + Binary<f32> + Binary<f64>,
{
    Some(match dtype {
        DType::Bool => return None,
        DType::I8 => kernel::binary_kernel::<F, i8>(level) as *const u8,
        DType::U8 => kernel::binary_kernel::<F, u8>(level) as *const u8,
        DType::I32 => kernel::binary_kernel::<F, i32>(level) as *const u8,
        DType::U32 => kernel::binary_kernel::<F, u32>(level) as *const u8,
        DType::I64 => kernel::binary_kernel::<F, i64>(level) as *const u8,
        DType::U64 => kernel::binary_kernel::<F, u64>(level) as *const u8,
        DType::F32 => kernel::binary_kernel::<F, f32>(level) as *const u8,
        DType::F64 => kernel::binary_kernel::<F, f64>(level) as *const u8,
    })
}

/// The kernels of a draw: of counters and keys in memory, and of counters in progression under one key.
fn of_draw<D: Draw>(dtype: DType, level: Level) -> [Option<*const u8>; 2] {
    if dtype != DType::U64 {
        return [None, None];
    }
    [Some(random_kernel::<D>(level) as *const u8), Some(progression_kernel::<D>(level) as *const u8)]
}

/// A type as it travels in a register.
trait Register: Copy + Into<Scalar> {
    type Word;
    fn from_word(word: Self::Word) -> Self;
    fn to_word(result: Scalar) -> Self::Word;
}

macro_rules! integer_registers {
    ($($type:ty)*) => { $(
        impl Register for $type {
            type Word = i64;
            fn from_word(word: i64) -> $type {
                word as $type
            }
            fn to_word(result: Scalar) -> i64 {
                result.bits() as i64
            }
        }
    )* };
}
integer_registers!(i8 u8 i32 u32 i64 u64);

impl Register for f32 {
    type Word = f32;
    fn from_word(word: f32) -> f32 {
        word
    }
    fn to_word(result: Scalar) -> f32 {
        if let Scalar::F32(value) = result { value } else { f32::NAN }
    }
}

impl Register for f64 {
    type Word = f64;
    fn from_word(word: f64) -> f64 {
        word
    }
    fn to_word(result: Scalar) -> f64 {
        if let Scalar::F64(value) = result { value } else { f64::NAN }
    }
}

/// Applies a row's function; gives closures in the table their argument types.
fn call<T, R>(function: impl Fn(T, T) -> R, a: T, b: T) -> R {
    function(a, b)
}

/// The address of a row's function for one type, where the row has one.
macro_rules! unary_function {
    ($type:ty;) => {
        None
    };
    ($type:ty; $function:expr) => {{
        extern "C" fn function(x: <$type as Register>::Word) -> <$type as Register>::Word {
            let x: $type = Register::from_word(x);
            <$type as Register>::to_word(($function)(x).into())
        }
        Some(function as *const u8)
    }};
}

macro_rules! binary_function {
    ($type:ty;) => {
        None
    };
    ($type:ty; $function:expr) => {{
        type Word = <$type as Register>::Word;
        extern "C" fn function(a: Word, b: Word) -> Word {
            let (a, b): ($type, $type) = (Register::from_word(a), Register::from_word(b));
            <$type as Register>::to_word(call($function, a, b).into())
        }
        Some(function as *const u8)
    }};
}

macro_rules! addresses {
    ($name:ident, $op:ident, $function:ident:
     $($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        fn $name(op: $op, dtype: DType) -> Option<*const u8> {
            match op {
                $($op::$variant => match dtype {
                    DType::Bool => None,
                    DType::I8 => $function!(i8; $($int)?),
                    DType::U8 => $function!(u8; $($int)?),
                    DType::I32 => $function!(i32; $($int)?),
                    DType::U32 => $function!(u32; $($int)?),
                    DType::I64 => $function!(i64; $($int)?),
                    DType::U64 => $function!(u64; $($int)?),
                    DType::F32 => $function!(f32; $($float)?),
                    DType::F64 => $function!(f64; $($float)?),
                },)*
            }
        }
    };
}

macro_rules! unary_addresses {
    ($($rows:tt)*) => {
        addresses! { unary_address, UnaryOp, unary_function: $($rows)* }
    };
}

macro_rules! binary_addresses {
    ($($rows:tt)*) => {
        addresses! { binary_address, BinaryOp, binary_function: $($rows)* }
    };
}

unary_table!(unary_addresses);
binary_table!(binary_addresses);

/// The kernels of ops of one operand: a row that costs a function is one, of the variant's name.
macro_rules! unary_kernels {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        fn unary_kernel(op: UnaryOp, dtype: DType, level: Level) -> Option<*const u8> {
            match op {
                $(UnaryOp::$variant => unary_kernel_of!($cost $variant dtype level)),*
            }
        }
    };
}

macro_rules! unary_kernel_of {
    (Function $variant:ident $dtype:ident $level:ident) => {
        of_unary::<functions::$variant>($dtype, $level)
    };
    ($cost:ident $variant:ident $dtype:ident $level:ident) => {
        None
    };
}

unary_table!(unary_kernels);

fn mul_add_address(dtype: DType) -> Option<*const u8> {
    extern "C" fn single(a: f32, b: f32, c: f32) -> f32 {
        Float::mul_add(a, b, c)
    }
    extern "C" fn double(a: f64, b: f64, c: f64) -> f64 {
        Float::mul_add(a, b, c)
    }
    match dtype {
        DType::F32 => Some(single as *const u8),
        DType::F64 => Some(double as *const u8),
        DType::Bool | DType::I8 | DType::U8 | DType::I32 | DType::U32 | DType::I64 | DType::U64 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_op_and_dtype_apart() {
        let exp = Symbol { function: Function::Unary(UnaryOp::Exp), dtype: DType::F64 };
        assert_eq!((exp.name().as_str(), exp.arity()), ("kroton_exp_f64", 1));
        assert!(exp.address().is_some());
        assert_ne!(exp.address(), Symbol { dtype: DType::F32, ..exp }.address());
        assert!(Symbol { dtype: DType::I32, ..exp }.address().is_none());
        assert!(Symbol { function: Function::Binary(BinaryOp::Lt), dtype: DType::F64 }.address().is_none());
    }
}
