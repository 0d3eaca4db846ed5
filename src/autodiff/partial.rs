//! The derivative of a result with respect to one operand, element by element, and what it does to a derivative.
//!
//! The same description serves both modes: an adjoint of the result becomes a contribution to the operand's, a
//! tangent of the operand a contribution to the result's. Multiplications are avoided where nothing is to be
//! multiplied, since 0 · inf is NaN.

use crate::expr::Expr;

/// How a result changes with one operand.
pub(super) enum Partial {
    /// Not at all.
    Zero,
    /// As the operand does.
    One,
    /// As the operand does, the other way.
    Minus,
    /// By a factor.
    Factor(Expr),
    /// By the reciprocal of this.
    Over(Expr),
    /// As the operand does where the condition has this value, else not at all.
    Where { condition: Expr, is: bool },
    /// As the operand does where it wins, by half where two are equal, else not at all.
    Share { wins: Expr, ties: Expr },
    /// By one part in `count` where the mask is true, else not at all: a reduction that picks elements.
    Pick { mask: Expr, count: Expr },
}

impl Partial {
    /// The contribution of a derivative; `None` where there is none.
    #[track_caller]
    pub fn apply(&self, derivative: &Expr) -> Option<Expr> {
        match self {
            Partial::Zero => None,
            Partial::One => Some(derivative.clone()),
            Partial::Minus => Some(-derivative),
            Partial::Factor(factor) => Some(derivative * factor),
            Partial::Over(divisor) => Some(derivative / divisor),
            Partial::Where { condition, is: true } => Some(condition.select(derivative, 0.0)),
            Partial::Where { condition, is: false } => Some(condition.select(0.0, derivative)),
            Partial::Share { wins, ties } => Some(wins.select(derivative, ties.select(derivative * 0.5, 0.0))),
            Partial::Pick { mask, count } => Some(mask.select(derivative / count, 0.0)),
        }
    }

    /// Whether a zero may become NaN.
    pub fn multiplies(&self) -> bool {
        match self {
            Partial::Factor(_) | Partial::Over(_) => true,
            Partial::Zero
            | Partial::One
            | Partial::Minus
            | Partial::Where { .. }
            | Partial::Share { .. }
            | Partial::Pick { .. } => false,
        }
    }
}
