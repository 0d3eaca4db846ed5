//! Sizes as formulas for readers.
//!
//! Unlike `Dim::display`, which is read back, this drops what a reader does not need: parentheses in products, and
//! the two minus signs by which a quotient is rounded up. Knows dims and nothing else.

use std::fmt;

use super::{Atom, Dim, DimOp, Symbol};

impl Dim {
    /// Writes the dim as a formula, with symbols spelled by `name`: `n * m - 1`, `ceil(n / 2)`.
    pub fn formula<'a, N: Fn(Symbol) -> String>(&'a self, name: &'a N) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| write_sum(self, f, name))
    }
}

fn write_sum<N: Fn(Symbol) -> String>(dim: &Dim, f: &mut fmt::Formatter<'_>, name: &N) -> fmt::Result {
    let (constant, terms) = dim.parts();
    for (index, (atom, coefficient)) in terms.iter().enumerate() {
        let rounded_up = round_up(atom, *coefficient);
        let negative = *coefficient < 0 && rounded_up.is_none();
        f.write_str(match (index > 0, negative) {
            (false, false) => "",
            (false, true) => "-",
            (true, false) => " + ",
            (true, true) => " - ",
        })?;
        if coefficient.unsigned_abs() != 1 {
            write!(f, "{} * ", coefficient.unsigned_abs())?;
        }
        match rounded_up {
            Some((dividend, divisor)) => {
                f.write_str("ceil(")?;
                write_factor(&dividend, f, name)?;
                f.write_str(" / ")?;
                write_factor(divisor, f, name)?;
                f.write_str(")")?;
            }
            None => write_atom(atom, f, name)?,
        }
    }
    match (terms.is_empty(), constant) {
        (true, _) => write!(f, "{constant}"),
        (false, 0) => Ok(()),
        (false, c) if c < 0 => write!(f, " - {}", c.unsigned_abs()),
        (false, _) => write!(f, " + {constant}"),
    }
}

/// The operands of `-floor(-a / b)`, which is a quotient rounded up.
fn round_up(atom: &Atom, coefficient: i64) -> Option<(Dim, &Dim)> {
    match atom {
        Atom::Op(DimOp::FloorDiv, dividend, divisor) if coefficient < 0 => {
            let leads_negative = dividend.parts().1.first().is_some_and(|(_, leading)| *leading < 0);
            leads_negative.then(|| (dividend.scale(-1), divisor))
        }
        Atom::Op(..) | Atom::Symbol(_) => None,
    }
}

fn write_atom<N: Fn(Symbol) -> String>(atom: &Atom, f: &mut fmt::Formatter<'_>, name: &N) -> fmt::Result {
    match atom {
        Atom::Symbol(symbol) => f.write_str(&name(*symbol)),
        Atom::Op(op @ (DimOp::Min | DimOp::Max), left, right) => {
            write!(f, "{}({}, {})", op.name(), left.formula(name), right.formula(name))
        }
        Atom::Op(DimOp::FloorDiv, left, right) => {
            f.write_str("floor(")?;
            write_factor(left, f, name)?;
            f.write_str(" / ")?;
            write_factor(right, f, name)?;
            f.write_str(")")
        }
        Atom::Op(DimOp::Mul, left, right) => {
            write_factor(left, f, name)?;
            f.write_str(" * ")?;
            write_factor(right, f, name)
        }
        Atom::Op(op @ (DimOp::Rem | DimOp::Add), left, right) => {
            f.write_str("(")?;
            write_factor(left, f, name)?;
            write!(f, " {} ", op.name())?;
            write_factor(right, f, name)?;
            f.write_str(")")
        }
    }
}

/// As a sum, in parentheses unless it is a single factor or a product of some.
fn write_factor<N: Fn(Symbol) -> String>(dim: &Dim, f: &mut fmt::Formatter<'_>, name: &N) -> fmt::Result {
    match dim.parts() {
        (_, []) | (0, [(_, 1)]) => write_sum(dim, f, name),
        _ => write!(f, "({})", dim.formula(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{InputId, Measure};

    #[test]
    fn readers_see_no_more_than_they_need() {
        let symbol = |axis| Dim::from(Symbol { input: InputId(0), measure: Measure::Extent(axis) });
        let name =
            |symbol: Symbol| if symbol.measure == Measure::Extent(0) { "n".to_string() } else { "m".to_string() };
        let (n, m, one) = (symbol(0), symbol(1), Dim::ONE);
        for (dim, text) in [
            (n.mul(&m), "n * m"),
            (n.mul(&m).mul(&n), "n * n * m"),
            (n.ceil_div(2), "ceil(n / 2)"),
            (n.sub(&one).ceil_div(2), "ceil((n - 1) / 2)"),
            (n.floor_div(&Dim::from(2)), "floor(n / 2)"),
            (n.scale(-1).floor_div(&m), "floor((-n) / m)"),
            (n.sub(&m).add(&one), "n - m + 1"),
            (n.add(&one).mul(&m).scale(3), "3 * m * (n + 1)"),
            (n.rem(&m).larger(&Dim::ZERO), "max((n % m), 0)"),
            (Dim::from(-3), "-3"),
        ] {
            assert_eq!(dim.formula(&name).to_string(), text);
        }
    }
}
