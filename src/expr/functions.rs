//! The elementwise methods as free functions, where `exp(&x)` reads better than `x.exp()`.
//!
//! Generated from the op tables and the list of compositions; no rules of their own.

use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::ops::binary::binary_table;
use crate::ops::unary::unary_table;

macro_rules! unary_functions {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[doc = concat!("See [`Expr::", stringify!($text), "`].")]
            #[track_caller]
            pub fn $text(x: impl IntoExpr) -> Expr {
                x.into_expr().$text()
            }
        )*
    };
}
unary_table!(unary_functions);

macro_rules! binary_functions {
    ($($variant:ident $text:ident $class:ident -> $outcome:ident, $cost:ident, $domain:ident, ulp($($ulp:literal),*),
       $facts:ident, wgsl($wgsl:literal, $gpu32:literal, $gpu64:literal), float($($float:expr)?), int($($int:expr)?), bool($($bool:expr)?), $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[doc = concat!("See [`Expr::", stringify!($text), "`].")]
            #[track_caller]
            pub fn $text(a: impl IntoExpr, b: impl IntoExpr) -> Expr {
                a.into_expr().$text(b)
            }
        )*
    };
}
binary_table!(binary_functions);

macro_rules! compositions {
    ($($name:ident($first:ident $(, $rest:ident)*);)*) => {
        $(
            #[doc = concat!("See [`Expr::", stringify!($name), "`].")]
            #[track_caller]
            pub fn $name($first: impl IntoExpr $(, $rest: impl IntoExpr)*) -> Expr {
                $first.into_expr().$name($($rest),*)
            }
        )*
    };
}
compositions! {
    square(x);
    recip(x);
    sigmoid(x);
    softplus(x);
    relu(x);
    nan_to_num(x);
    deg2rad(x);
    rad2deg(x);
    logaddexp(a, b);
    clamp(x, lo, hi);
    mul_add(a, b, c);
    select(condition, a, b);
}

/// See [`Expr::powi`].
#[track_caller]
pub fn powi(x: impl IntoExpr, n: i32) -> Expr {
    x.into_expr().powi(n)
}
