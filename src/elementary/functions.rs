//! The names of the elementary functions, as types; `double` and `single` say what they compute.

/// Hands the functions to a macro, those of one argument and those of two: `functions!(callback)`.
macro_rules! functions {
    ($callback:ident) => {
        $callback! {
            unary {
                /// eˣ.
                Exp;
                /// 2ˣ.
                Exp2;
                /// eˣ − 1.
                Expm1;
                /// Natural logarithm.
                Ln;
                /// Logarithm to base 2.
                Log2;
                /// Logarithm to base 10.
                Log10;
                /// ln(1 + x).
                Log1p;
                /// Sine.
                Sin;
                /// Cosine.
                Cos;
                /// Tangent.
                Tan;
                /// Inverse sine.
                Asin;
                /// Inverse cosine.
                Acos;
                /// Inverse tangent.
                Atan;
                /// Hyperbolic sine.
                Sinh;
                /// Hyperbolic cosine.
                Cosh;
                /// Hyperbolic tangent.
                Tanh;
                /// Inverse hyperbolic sine.
                Asinh;
                /// Inverse hyperbolic cosine.
                Acosh;
                /// Inverse hyperbolic tangent.
                Atanh;
                /// Cube root, of negative numbers too.
                Cbrt;
                /// Error function.
                Erf;
                /// Complementary error function.
                Erfc;
                /// Inverse of the error function.
                Erfinv;
                /// Gamma function.
                Gamma;
                /// Logarithm of the size of the gamma function.
                Lgamma;
                /// Digamma function.
                Digamma;
            }
            binary {
                /// The first argument to the power of the second.
                Pow;
                /// The angle of the point (second argument, first argument).
                Atan2;
                /// √(a² + b²).
                Hypot;
                /// The quotient rounded down, of integers too.
                FloorDiv;
                /// What that leaves of the first argument, of integers too.
                Rem;
            }
        }
    };
}
#[cfg(test)]
pub(crate) use functions;

macro_rules! declare {
    ($($arity:ident { $($(#[$doc:meta])* $name:ident;)* })*) => {
        $($($(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $name;)*)*
    };
}

functions!(declare);
