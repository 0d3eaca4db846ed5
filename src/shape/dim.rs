//! Sizes that may be known only at call time.
//!
//! A [`Dim`] is an affine form over *atoms*, where an atom is a [`Symbol`] (an input's extent, or the value of an
//! integer input) or a non-linear operation on two dims. The affine form is canonical, so equal sums are equal
//! values, and a chain of a hundred thousand slices is one flat form. Arithmetic never panics: what overflows stays
//! unevaluated and is reported by `evaluate`.
//!
//! Walks over a dim recurse, and shared parts are visited once for each use: whoever makes dims from dims in a chain
//! asks `is_tractable` after each link (inference does, and `Expr::to_dim`).
//!
//! Invariant: an affine form has its terms sorted, without zero coefficients, and at least one term.

mod text;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::shape::symbols::{Symbol, Symbols};

/// A non-linear operation on sizes. Division floors; division by zero is an error of `evaluate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DimOp {
    /// Product.
    Mul,
    /// Quotient, rounded down.
    FloorDiv,
    /// Remainder with the sign of the divisor.
    Rem,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// A sum that would overflow if it were folded.
    Add,
}

impl DimOp {
    /// The word in texts.
    pub const fn name(self) -> &'static str {
        match self {
            DimOp::Mul => "*",
            DimOp::FloorDiv => "/",
            DimOp::Rem => "%",
            DimOp::Min => "min",
            DimOp::Max => "max",
            DimOp::Add => "+",
        }
    }

    fn apply(self, left: i64, right: i64) -> Option<i64> {
        match self {
            DimOp::Mul => left.checked_mul(right),
            DimOp::Add => left.checked_add(right),
            DimOp::Min => Some(left.min(right)),
            DimOp::Max => Some(left.max(right)),
            DimOp::FloorDiv => {
                left.checked_div(right).map(|q| q - i64::from(left % right != 0 && (left < 0) != (right < 0)))
            }
            DimOp::Rem => left.checked_rem(right).map(|r| if r != 0 && (r < 0) != (right < 0) { r + right } else { r }),
        }
    }
}

/// A factor of an affine form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A size given by an input.
    Symbol(Symbol),
    /// An operation that is not affine.
    Op(DimOp, Dim, Dim),
}

/// `constant + Σ coefficient · atom`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Affine {
    constant: i64,
    terms: SmallVec<[(Atom, i64); 1]>,
    measure: Complexity,
}

/// How large a dim is, written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Complexity {
    /// How deep operations nest.
    depth: u32,
    /// How many operations there are.
    operations: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Constant(i64),
    Affine(Arc<Affine>),
}

/// A size: a constant, or an integer expression over symbols.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim(Form);

impl From<i64> for Dim {
    fn from(value: i64) -> Dim {
        Dim(Form::Constant(value))
    }
}

impl From<Symbol> for Dim {
    fn from(symbol: Symbol) -> Dim {
        Dim::atom(Atom::Symbol(symbol))
    }
}

impl Dim {
    /// How deep operations that are not affine may nest.
    pub const DEEPEST: u32 = 100;
    /// How many such operations a size may have.
    pub const MOST_OPERATIONS: u32 = 10_000;
    /// The size 1, along which a dimension broadcasts.
    pub const ONE: Dim = Dim(Form::Constant(1));
    /// The size 0.
    pub const ZERO: Dim = Dim(Form::Constant(0));

    /// The size of an array that exists; such sizes fit `i64` because allocations do.
    pub fn of_size(size: usize) -> Dim {
        Dim::from(i64::try_from(size).unwrap_or(i64::MAX))
    }

    fn atom(atom: Atom) -> Dim {
        Dim::affine(0, SmallVec::from_iter([(atom, 1)]))
    }

    fn affine(constant: i64, terms: SmallVec<[(Atom, i64); 1]>) -> Dim {
        if terms.is_empty() {
            return Dim::from(constant);
        }
        let mut measure = Complexity::default();
        for (atom, _) in &terms {
            if let Atom::Op(_, left, right) = atom {
                let (left, right) = (left.complexity(), right.complexity());
                let operations = left.operations.saturating_add(right.operations).saturating_add(1);
                measure.operations = measure.operations.saturating_add(operations);
                measure.depth = measure.depth.max(left.depth.max(right.depth).saturating_add(1));
            }
        }
        Dim(Form::Affine(Arc::new(Affine { constant, terms, measure })))
    }

    fn complexity(&self) -> Complexity {
        match &self.0 {
            Form::Constant(_) => Complexity::default(),
            Form::Affine(affine) => affine.measure,
        }
    }

    /// Whether this is small enough, written out, to be computed in each call and to be built upon.
    pub fn is_tractable(&self) -> bool {
        let Complexity { depth, operations } = self.complexity();
        depth <= Dim::DEEPEST && operations <= Dim::MOST_OPERATIONS
    }

    /// The value, if it does not depend on a call.
    pub fn constant(&self) -> Option<i64> {
        match &self.0 {
            Form::Constant(value) => Some(*value),
            Form::Affine(_) => None,
        }
    }

    /// Whether this is statically 1: the condition for broadcasting.
    pub fn is_one(&self) -> bool {
        self.constant() == Some(1)
    }

    /// The symbol, if this is one and nothing more.
    pub fn as_symbol(&self) -> Option<Symbol> {
        match self.parts() {
            (0, [(Atom::Symbol(symbol), 1)]) => Some(*symbol),
            _ => None,
        }
    }

    /// The constant part and the terms.
    pub fn parts(&self) -> (i64, &[(Atom, i64)]) {
        match &self.0 {
            Form::Constant(value) => (*value, &[]),
            Form::Affine(affine) => (affine.constant, &affine.terms),
        }
    }

    /// `self · factor + other`, or `None` when a coefficient overflows.
    fn scaled_sum(&self, factor: i64, other: &Dim) -> Option<Dim> {
        let (constant, terms) = self.parts();
        let (other_constant, other_terms) = other.parts();
        let constant = constant.checked_mul(factor)?.checked_add(other_constant)?;
        let mut merged: SmallVec<[(Atom, i64); 1]> = SmallVec::new();
        let (mut left, mut right) = (terms.iter().peekable(), other_terms.iter().peekable());
        loop {
            let take_left = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => a.0.cmp(&b.0),
            };
            let mut coefficient = 0_i64;
            let mut atom = None;
            if take_left.is_le() {
                let (left_atom, c) = left.next()?;
                coefficient = c.checked_mul(factor)?;
                atom = Some(left_atom);
            }
            if take_left.is_ge() {
                let (right_atom, c) = right.next()?;
                coefficient = coefficient.checked_add(*c)?;
                atom = Some(right_atom);
            }
            if coefficient != 0 {
                merged.push((atom?.clone(), coefficient));
            }
        }
        Some(Dim::affine(constant, merged))
    }

    fn operation(op: DimOp, left: &Dim, right: &Dim) -> Dim {
        if let (Some(a), Some(b)) = (left.constant(), right.constant())
            && let Some(value) = op.apply(a, b)
        {
            return Dim::from(value);
        }
        Dim::atom(Atom::Op(op, left.clone(), right.clone()))
    }

    /// The sum.
    pub fn add(&self, other: &Dim) -> Dim {
        self.scaled_sum(1, other).unwrap_or_else(|| Dim::operation(DimOp::Add, self, other))
    }

    /// The difference.
    pub fn sub(&self, other: &Dim) -> Dim {
        self.add(&other.scale(-1))
    }

    /// The product with a number.
    pub fn scale(&self, factor: i64) -> Dim {
        self.scaled_sum(factor, &Dim::ZERO).unwrap_or_else(|| Dim::operation(DimOp::Mul, self, &Dim::from(factor)))
    }

    /// The product.
    pub fn mul(&self, other: &Dim) -> Dim {
        match (self.constant(), other.constant()) {
            (_, Some(factor)) => self.scale(factor),
            (Some(factor), None) => other.scale(factor),
            (None, None) if self <= other => Dim::operation(DimOp::Mul, self, other),
            (None, None) => Dim::operation(DimOp::Mul, other, self),
        }
    }

    /// The quotient, rounded down.
    pub fn floor_div(&self, other: &Dim) -> Dim {
        match self.divide_exactly(other) {
            Some(quotient) => quotient,
            None => Dim::operation(DimOp::FloorDiv, self, other),
        }
    }

    /// The quotient where it is visible in the form: by a constant that divides all coefficients, by one, or by
    /// a factor of a single product. An equal divisor is *not* cancelled, since it may be zero.
    fn divide_exactly(&self, other: &Dim) -> Option<Dim> {
        let divisor = other.constant().filter(|&d| d > 0)?;
        let (constant, terms) = self.parts();
        let divides = constant % divisor == 0 && terms.iter().all(|(_, c)| c % divisor == 0);
        divides.then(|| {
            Dim::affine(constant / divisor, terms.iter().map(|(atom, c)| (atom.clone(), c / divisor)).collect())
        })
    }

    /// The quotient, rounded up.
    pub fn ceil_div(&self, divisor: i64) -> Dim {
        self.scale(-1).floor_div(&Dim::from(divisor)).scale(-1)
    }

    /// The remainder with the sign of the divisor.
    pub fn rem(&self, other: &Dim) -> Dim {
        if other.is_one() { Dim::ZERO } else { Dim::operation(DimOp::Rem, self, other) }
    }

    /// The smaller one.
    pub fn smaller(&self, other: &Dim) -> Dim {
        if self == other { self.clone() } else { Dim::operation(DimOp::Min, self, other) }
    }

    /// The larger one.
    pub fn larger(&self, other: &Dim) -> Dim {
        if self == other { self.clone() } else { Dim::operation(DimOp::Max, self, other) }
    }

    /// The value under an assignment of the symbols.
    ///
    /// # Errors
    /// A symbol without a value, an overflow, a division by zero.
    pub fn evaluate(&self, symbols: &Symbols) -> Result<i64> {
        let (constant, terms) = self.parts();
        match terms {
            [] => return Ok(constant),
            [(Atom::Symbol(symbol), 1)] if constant == 0 => return symbols.get(symbol),
            _ => {}
        }
        let mut total = i128::from(constant);
        for (atom, coefficient) in terms {
            let value = match atom {
                Atom::Symbol(symbol) => symbols.get(symbol)?,
                Atom::Op(op, left, right) => {
                    let (left, right) = (left.evaluate(symbols)?, right.evaluate(symbols)?);
                    op.apply(left, right).ok_or_else(|| {
                        Error::Shape(format!(
                            "a size cannot be computed: {left} {} {right} overflows or divides by zero",
                            op.name()
                        ))
                    })?
                }
            };
            // A product of two 64-bit numbers fits; a sum of several need not.
            total = total
                .checked_add(i128::from(value) * i128::from(*coefficient))
                .ok_or_else(|| Error::Shape("a size overflows 128 bits on the way".to_string()))?;
        }
        i64::try_from(total).map_err(|_| Error::Shape(format!("a size overflows 64 bits: {total}")))
    }

    /// This dim with every symbol replaced.
    pub fn substitute(&self, replace: &impl Fn(Symbol) -> Dim) -> Dim {
        let (constant, terms) = self.parts();
        terms.iter().fold(Dim::from(constant), |sum, (atom, coefficient)| {
            let value = match atom {
                Atom::Symbol(symbol) => replace(*symbol),
                Atom::Op(op, left, right) => {
                    let (left, right) = (left.substitute(replace), right.substitute(replace));
                    match op {
                        DimOp::Mul => left.mul(&right),
                        DimOp::FloorDiv => left.floor_div(&right),
                        DimOp::Rem => left.rem(&right),
                        DimOp::Min => left.smaller(&right),
                        DimOp::Max => left.larger(&right),
                        DimOp::Add => left.add(&right),
                    }
                }
            };
            sum.add(&value.scale(*coefficient))
        })
    }

    /// Calls `visit` with every symbol.
    pub fn for_each_symbol(&self, visit: &mut impl FnMut(Symbol)) {
        for (atom, _) in self.parts().1 {
            match atom {
                Atom::Symbol(symbol) => visit(*symbol),
                Atom::Op(_, left, right) => {
                    left.for_each_symbol(visit);
                    right.for_each_symbol(visit);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{InputId, Measure};

    fn symbol(axis: u32) -> Dim {
        Dim::from(Symbol { input: InputId(0), measure: Measure::Extent(axis) })
    }

    #[test]
    fn sums_are_canonical() {
        let (n, m) = (symbol(0), symbol(1));
        assert_eq!(n.add(&m).sub(&n), m);
        assert_eq!(n.sub(&n), Dim::ZERO);
        assert_eq!(n.scale(6).floor_div(&Dim::from(3)), n.scale(2));
        assert_eq!(n.mul(&m), m.mul(&n));
    }

    #[test]
    fn evaluation_floors_and_reports_overflow() {
        let mut values = Symbols::default();
        values.set(Symbol { input: InputId(0), measure: Measure::Extent(0) }, 7);
        assert_eq!(symbol(0).ceil_div(2).evaluate(&values).unwrap(), 4);
        assert_eq!(symbol(0).scale(-1).floor_div(&Dim::from(2)).evaluate(&values).unwrap(), -4);
        assert!(symbol(0).mul(&symbol(0)).mul(&Dim::from(i64::MAX)).evaluate(&values).is_err());
        assert!(symbol(0).floor_div(&Dim::ZERO).evaluate(&values).is_err());
        assert!(symbol(1).evaluate(&values).is_err());
        let input = |id| Dim::from(Symbol { input: InputId(id), measure: Measure::Value });
        (1..4).for_each(|id| values.set(Symbol { input: InputId(id), measure: Measure::Value }, i64::MAX));
        let sum = (1..4).fold(Dim::ZERO, |sum, id| sum.add(&input(id).scale(i64::MAX)));
        assert!(sum.evaluate(&values).unwrap_err().to_string().contains("overflows 128 bits"));
    }

    #[test]
    fn chains_that_nest_or_double_are_found() {
        let halved = (0..200).scan(symbol(0), |dim, _| {
            *dim = dim.ceil_div(2);
            Some(dim.is_tractable())
        });
        assert_eq!(halved.filter(|tractable| *tractable).count(), Dim::DEEPEST as usize);
        let squared = (0..20).fold(symbol(0), |dim, _| dim.mul(&dim));
        assert!(!squared.is_tractable());
    }
}
