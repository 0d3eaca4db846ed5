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
use crate::ops::{BinaryOp, UnaryOp};

macro_rules! binary_operator {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident $op:ident, $($left:ty)*;)*) => { $(
        impl<R: IntoExpr> $trait<R> for Expr {
            type Output = Expr;
            #[track_caller]
            fn $method(self, right: R) -> Expr {
                binary(BinaryOp::$op, &self, &right.into_expr())
            }
        }

        impl<R: IntoExpr> $trait<R> for &Expr {
            type Output = Expr;
            #[track_caller]
            fn $method(self, right: R) -> Expr {
                binary(BinaryOp::$op, self, &right.into_expr())
            }
        }

        impl<R: IntoExpr> $assign<R> for Expr {
            #[track_caller]
            fn $assign_method(&mut self, right: R) {
                *self = binary(BinaryOp::$op, self, &right.into_expr());
            }
        }

        $(
            impl $trait<Expr> for $left {
                type Output = Expr;
                #[track_caller]
                fn $method(self, right: Expr) -> Expr {
                    binary(BinaryOp::$op, &self.into_expr(), &right)
                }
            }

            impl $trait<&Expr> for $left {
                type Output = Expr;
                #[track_caller]
                fn $method(self, right: &Expr) -> Expr {
                    binary(BinaryOp::$op, &self.into_expr(), right)
                }
            }
        )*
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

macro_rules! unary_operator {
    ($($trait:ident $method:ident $op:ident;)*) => { $(
        impl $trait for Expr {
            type Output = Expr;
            #[track_caller]
            fn $method(self) -> Expr {
                unary(UnaryOp::$op, &self)
            }
        }

        impl $trait for &Expr {
            type Output = Expr;
            #[track_caller]
            fn $method(self) -> Expr {
                unary(UnaryOp::$op, self)
            }
        }
    )* };
}

unary_operator! {
    Neg neg Neg;
    Not not Not;
}
