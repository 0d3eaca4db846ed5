//! Elementwise operations: a method for every row of the op table, and the dtype rules in front of them.
//!
//! The rows give names and sentences; this file says only which dtype the operands are taken to. Operands
//! broadcast along dimensions that are statically 1.

use std::panic::Location;

use crate::dtype::{DType, Element};
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::promote::{common_dtype, convert, convert_all, float_of};
use crate::graph::Node;
use crate::ops::binary::binary_table;
use crate::ops::unary::unary_table;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// What happens to the dtype in front of an op.
enum Rule {
    /// The op runs in this dtype.
    In(DType),
    /// Another op does the same for bools.
    Instead(BinaryOp),
    /// There is nothing to do for this dtype.
    Identity,
    /// The op makes no sense; the text says what to write.
    Refused(&'static str),
}

fn unary_rule(op: UnaryOp, dtype: DType) -> Rule {
    match op {
        UnaryOp::Neg if dtype == DType::Bool => Rule::Refused("`-x` of a bool; write `!x`, or cast it first"),
        UnaryOp::Abs if dtype == DType::Bool => Rule::Identity,
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Not => Rule::In(dtype),
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::Round | UnaryOp::StopGradient
            if !dtype.is_float() =>
        {
            Rule::Identity
        }
        UnaryOp::Sqrt
        | UnaryOp::Cbrt
        | UnaryOp::Exp
        | UnaryOp::Exp2
        | UnaryOp::Expm1
        | UnaryOp::Ln
        | UnaryOp::Log2
        | UnaryOp::Log10
        | UnaryOp::Log1p
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tan
        | UnaryOp::Asin
        | UnaryOp::Acos
        | UnaryOp::Atan
        | UnaryOp::Sinh
        | UnaryOp::Cosh
        | UnaryOp::Tanh
        | UnaryOp::Asinh
        | UnaryOp::Acosh
        | UnaryOp::Atanh
        | UnaryOp::Erf
        | UnaryOp::Erfc
        | UnaryOp::Erfinv
        | UnaryOp::Gamma
        | UnaryOp::Lgamma
        | UnaryOp::Digamma
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Trunc
        | UnaryOp::Round
        | UnaryOp::IsNan
        | UnaryOp::IsInf
        | UnaryOp::IsFinite
        | UnaryOp::StopGradient => Rule::In(float_of(dtype)),
    }
}

fn binary_rule(op: BinaryOp, dtype: DType) -> Rule {
    let bools = dtype == DType::Bool;
    match op {
        BinaryOp::Add | BinaryOp::Maximum | BinaryOp::Fmax if bools => Rule::Instead(BinaryOp::Or),
        BinaryOp::Mul | BinaryOp::Minimum | BinaryOp::Fmin if bools => Rule::Instead(BinaryOp::And),
        BinaryOp::Sub if bools => Rule::Refused("the difference of two bools; write `a ^ b` (xor), or cast them first"),
        BinaryOp::FloorDiv | BinaryOp::Rem | BinaryOp::Pow if bools => Rule::In(DType::I64),
        BinaryOp::Div | BinaryOp::Atan2 | BinaryOp::Hypot | BinaryOp::Copysign => Rule::In(float_of(dtype)),
        BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey
            if dtype.is_integer() =>
        {
            Rule::In(DType::U64)
        }
        BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => {
            Rule::Refused("random numbers of what are no u64 counters and keys; cast them with `.cast::<u64>()`")
        }
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::Pow
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
        | BinaryOp::Shr => Rule::In(dtype),
    }
}

#[track_caller]
pub(crate) fn unary(op: UnaryOp, x: &Expr) -> Expr {
    let origin = Location::caller();
    let dtype = match unary_rule(op, x.dtype()) {
        Rule::In(dtype) => dtype,
        Rule::Identity => return x.clone(),
        Rule::Instead(_) => x.dtype(),
        Rule::Refused(message) => return Expr::failed(Node::Unary(op, x.clone()), message.to_string(), origin),
    };
    match convert(x, dtype, origin) {
        Ok(converted) => Expr::build_at(Node::Unary(op, converted), x.is_weak(), origin),
        Err(message) => Expr::failed(Node::Unary(op, x.clone()), message, origin),
    }
}

#[track_caller]
pub(crate) fn binary(op: BinaryOp, a: &Expr, b: &Expr) -> Expr {
    let origin = Location::caller();
    let common = common_dtype(&[a, b]);
    if common == DType::F64 && a.dtype().is_integer() && b.dtype().is_integer() {
        if b.dtype() == DType::U64
            && let Some(result) = compare_with_unsigned(op, a, b)
        {
            return result;
        }
        if a.dtype() == DType::U64
            && let Some(result) = compare_with_unsigned(swapped(op), b, a)
        {
            return result;
        }
    }
    let (op, dtype) = match binary_rule(op, common) {
        Rule::In(dtype) => (op, dtype),
        Rule::Instead(op) => (op, common),
        Rule::Identity => (op, common),
        Rule::Refused(message) => {
            return Expr::failed(Node::Binary(op, [a.clone(), b.clone()]), message.to_string(), origin);
        }
    };
    match convert_all([a, b], dtype, origin) {
        Ok(operands) => Expr::build_at(Node::Binary(op, operands), a.is_weak() && b.is_weak(), origin),
        Err(message) => Expr::failed(Node::Binary(op, [a.clone(), b.clone()]), message, origin),
    }
}

/// A signed integer compared with a u64 by value, as NumPy does: f64, to which the two promote, is too coarse.
#[track_caller]
fn compare_with_unsigned(op: BinaryOp, signed: &Expr, unsigned: &Expr) -> Option<Expr> {
    let below_zero = signed.lt(0);
    match op {
        BinaryOp::Lt | BinaryOp::Le | BinaryOp::Ne => Some(below_zero | binary(op, &signed.cast::<u64>(), unsigned)),
        BinaryOp::Gt | BinaryOp::Ge | BinaryOp::Eq => Some(!below_zero & binary(op, &signed.cast::<u64>(), unsigned)),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::Hypot
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => None,
    }
}

/// The comparison that says the same of its operands in the other order.
fn swapped(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::FloorDiv
        | BinaryOp::Rem
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::Hypot
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::Eq
        | BinaryOp::Ne
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => op,
    }
}

/// The sentence about dtypes and shapes under a method.
macro_rules! dtypes {
    (Float Same) => {
        "Takes floats, and everything else as f64; the dtype stays."
    };
    (Float Truth) => {
        "Takes floats, and everything else as f64; gives bool."
    };
    (Number Same) => {
        "Takes integers and floats; the dtype stays."
    };
    (Integer Same) => {
        "Takes integers; the dtype stays."
    };
    (Logical Same) => {
        "Takes bool and integers; the dtype stays."
    };
    (Any Truth) => {
        "Takes every dtype; gives bool."
    };
    (Word Same) => {
        "Takes u64, and other integers as u64; gives u64."
    };
    (Word Bits) => {
        "Takes u64, and other integers as u64; gives u32."
    };
    (Word Single) => {
        "Takes u64, and other integers as u64; gives f32."
    };
    (Word Double) => {
        "Takes u64, and other integers as u64; gives f64."
    };
}

/// A runnable example for a method.
macro_rules! example {
    ($arity:ident $text:ident Float Same) => {
        example!(@ $arity $text "f64" "F64")
    };
    ($arity:ident $text:ident Float Truth) => {
        example!(@ $arity $text "f32" "Bool")
    };
    ($arity:ident $text:ident Number Same) => {
        example!(@ $arity $text "f32" "F32")
    };
    ($arity:ident $text:ident Integer Same) => {
        example!(@ $arity $text "i32" "I32")
    };
    ($arity:ident $text:ident Logical Same) => {
        example!(@ $arity $text "bool" "Bool")
    };
    ($arity:ident $text:ident Any Truth) => {
        example!(@ $arity $text "i64" "Bool")
    };
    ($arity:ident $text:ident Word Same) => {
        example!(@ $arity $text "u64" "U64")
    };
    ($arity:ident $text:ident Word Bits) => {
        example!(@ $arity $text "u64" "U32")
    };
    ($arity:ident $text:ident Word Single) => {
        example!(@ $arity $text "u64" "F32")
    };
    ($arity:ident $text:ident Word Double) => {
        example!(@ $arity $text "u64" "F64")
    };
    (@ unary $text:ident $from:literal $to:literal) => {
        concat!(
            "```\nlet x = kroton::vector::<", $from, ">(\"x\");\nassert_eq!(x.", stringify!($text),
            "().dtype(), kroton::DType::", $to, ");\n```"
        )
    };
    (@ binary $text:ident $from:literal $to:literal) => {
        concat!(
            "```\nlet (a, b) = (kroton::vector::<", $from, ">(\"a\"), kroton::vector::<", $from,
            ">(\"b\"));\nassert_eq!(a.", stringify!($text), "(&b).dtype(), kroton::DType::", $to, ");\n```"
        )
    };
}

macro_rules! unary_methods {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($f32:literal, $f64:literal),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        impl Expr {
            $(
                #[doc = $doc]
                #[doc = ""]
                #[doc = dtypes!($class $outcome)]
                #[doc = ""]
                #[doc = example!(unary $text $class $outcome)]
                #[track_caller]
                pub fn $text(&self) -> Expr {
                    unary(UnaryOp::$variant, self)
                }
            )*
        }
    };
}
unary_table!(unary_methods);

macro_rules! binary_methods {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($f32:literal, $f64:literal),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        impl Expr {
            $(
                #[doc = $doc]
                #[doc = ""]
                #[doc = dtypes!($class $outcome)]
                #[doc = "Operands promote and broadcast."]
                #[doc = ""]
                #[doc = example!(binary $text $class $outcome)]
                #[track_caller]
                pub fn $text(&self, other: impl IntoExpr) -> Expr {
                    binary(BinaryOp::$variant, self, &other.into_expr())
                }
            )*
        }
    };
}
binary_table!(binary_methods);

impl Expr {
    /// `a` where this (a bool) is true, else `b`; a NaN in the one not taken does not matter.
    ///
    /// `a` and `b` promote; all three broadcast.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// assert_eq!(x.gt(0.0).select(&x, 0.0).dtype(), kroton::DType::F64);
    /// ```
    #[track_caller]
    pub fn select(&self, a: impl IntoExpr, b: impl IntoExpr) -> Expr {
        let (origin, a, b) = (Location::caller(), a.into_expr(), b.into_expr());
        let weak = self.is_weak() && a.is_weak() && b.is_weak();
        match convert_all([&a, &b], common_dtype(&[&a, &b]), origin) {
            Ok([a, b]) => Expr::build_at(Node::Ternary(TernaryOp::Select, [self.clone(), a, b]), weak, origin),
            Err(message) => Expr::failed(Node::Ternary(TernaryOp::Select, [self.clone(), a, b]), message, origin),
        }
    }

    /// `self · b + c`, rounded once. Takes floats, and everything else as f64; operands promote and broadcast.
    ///
    /// ```
    /// let x = kroton::vector::<f32>("x");
    /// assert_eq!(x.mul_add(2.0, 1.0).dtype(), kroton::DType::F32);
    /// ```
    #[track_caller]
    pub fn mul_add(&self, b: impl IntoExpr, c: impl IntoExpr) -> Expr {
        let (origin, b, c) = (Location::caller(), b.into_expr(), c.into_expr());
        let weak = self.is_weak() && b.is_weak() && c.is_weak();
        let dtype = float_of(common_dtype(&[self, &b, &c]));
        match convert_all([self, &b, &c], dtype, origin) {
            Ok(operands) => Expr::build_at(Node::Ternary(TernaryOp::MulAdd, operands), weak, origin),
            Err(message) => Expr::failed(Node::Ternary(TernaryOp::MulAdd, [self.clone(), b, c]), message, origin),
        }
    }

    /// The elements converted to another type: float to integer saturates and takes NaN to 0, integers wrap, to
    /// bool is `x != 0`.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// assert_eq!(x.cast::<i32>().dtype(), kroton::DType::I32);
    /// ```
    #[track_caller]
    pub fn cast<T: Element>(&self) -> Expr {
        self.cast_to(T::DTYPE)
    }

    /// As [`cast`](Expr::cast), to a dtype that is known at run time only.
    ///
    /// ```
    /// use kroton::DType;
    /// let (x, y) = (kroton::vector::<f32>("x"), kroton::vector::<f64>("y"));
    /// assert_eq!(x.cast_to(y.dtype()).dtype(), DType::F64);
    /// ```
    #[track_caller]
    pub fn cast_to(&self, dtype: DType) -> Expr {
        if let Node::Scalar(value) = self.node() {
            return Expr::build(Node::Scalar(value.cast(dtype)));
        }
        if self.dtype() == dtype && !self.is_weak() {
            return self.clone();
        }
        Expr::build(Node::Cast(dtype, self.clone()))
    }
}
