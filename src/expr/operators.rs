//! Rust's operators on expressions, by value and by reference, with scalars on either side.
//!
//! Left of an expression stand `f64` and `i64` (arithmetic), `bool` and `i64` (bits): more types would make
//! `1.0 + &x` ambiguous. Each operator is the method of the same name.

use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul, MulAssign,
    Neg, Not, Rem, RemAssign, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign,
};

use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::elementwise::{binary, unary};
use crate::expr::shared::Shared;
use crate::ops::{BinaryOp, UnaryOp};

/// For one type of expression on the left, or right of a Rust number.
macro_rules! binary_on {
    ($operand:ty: $trait:ident $method:ident $op:ident, $($left:ty)*) => {
        impl<R: IntoExpr> $trait<R> for $operand {
            type Output = Expr;
            #[track_caller]
            fn $method(self, right: R) -> Expr {
                binary(BinaryOp::$op, self.as_ref(), &right.into_expr())
            }
        }

        $(
            impl $trait<$operand> for $left {
                type Output = Expr;
                #[track_caller]
                fn $method(self, right: $operand) -> Expr {
                    binary(BinaryOp::$op, &self.into_expr(), right.as_ref())
                }
            }
        )*
    };
}

macro_rules! binary_operator {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident $op:ident, $($left:ty)*;)*) => { $(
        binary_on!(Expr: $trait $method $op, $($left)*);
        binary_on!(&Expr: $trait $method $op, $($left)*);
        binary_on!(Shared: $trait $method $op, $($left)*);
        binary_on!(&Shared: $trait $method $op, $($left)*);

        impl<R: IntoExpr> $assign<R> for Expr {
            #[track_caller]
            fn $assign_method(&mut self, right: R) {
                *self = binary(BinaryOp::$op, self, &right.into_expr());
            }
        }
    )* };
}

binary_operator! {
    Add add AddAssign add_assign Add, f64 i64;
    Sub sub SubAssign sub_assign Sub, f64 i64;
    Mul mul MulAssign mul_assign Mul, f64 i64;
    Div div DivAssign div_assign Div, f64 i64;
    Rem rem RemAssign rem_assign Rem, f64 i64;
    BitAnd bitand BitAndAssign bitand_assign And, bool i64;
    BitOr bitor BitOrAssign bitor_assign Or, bool i64;
    BitXor bitxor BitXorAssign bitxor_assign Xor, bool i64;
    Shl shl ShlAssign shl_assign Shl,;
    Shr shr ShrAssign shr_assign Shr,;
}

macro_rules! unary_on {
    ($operand:ty: $trait:ident $method:ident $op:ident) => {
        impl $trait for $operand {
            type Output = Expr;
            #[track_caller]
            fn $method(self) -> Expr {
                unary(UnaryOp::$op, self.as_ref())
            }
        }
    };
}

macro_rules! unary_operator {
    ($($trait:ident $method:ident $op:ident;)*) => { $(
        unary_on!(Expr: $trait $method $op);
        unary_on!(&Expr: $trait $method $op);
        unary_on!(Shared: $trait $method $op);
        unary_on!(&Shared: $trait $method $op);
    )* };
}

unary_operator! {
    Neg neg Neg;
    Not not Not;
}
