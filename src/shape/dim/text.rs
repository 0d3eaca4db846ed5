//! How a dim is spelled: an affine form as a sum, operations that are not affine in parentheses or as calls.

use std::fmt;

use super::{Atom, Dim, DimOp};
use crate::shape::symbols::Symbol;

impl Dim {
    /// Writes the dim with symbols spelled by `name`.
    pub fn display<'a, N: Fn(Symbol) -> String>(&'a self, name: &'a N) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.write(f, name))
    }

    /// As `write`, in parentheses where an operator beside it would tear the sum apart.
    fn write_operand<N: Fn(Symbol) -> String>(&self, f: &mut fmt::Formatter<'_>, name: &N) -> fmt::Result {
        match self.parts() {
            (_, []) | (0, [(_, 1)]) => self.write(f, name),
            _ => write!(f, "({})", self.display(name)),
        }
    }

    fn write<N: Fn(Symbol) -> String>(&self, f: &mut fmt::Formatter<'_>, name: &N) -> fmt::Result {
        let (constant, terms) = self.parts();
        for (index, (atom, coefficient)) in terms.iter().enumerate() {
            if index > 0 {
                f.write_str(" + ")?;
            }
            if *coefficient != 1 {
                write!(f, "{coefficient}*")?;
            }
            match atom {
                Atom::Symbol(symbol) => f.write_str(&name(*symbol))?,
                Atom::Op(op @ (DimOp::Min | DimOp::Max), left, right) => {
                    write!(f, "{}({}, {})", op.name(), left.display(name), right.display(name))?;
                }
                Atom::Op(op, left, right) => {
                    f.write_str("(")?;
                    left.write_operand(f, name)?;
                    write!(f, " {} ", op.name())?;
                    right.write_operand(f, name)?;
                    f.write_str(")")?;
                }
            }
        }
        match (terms.is_empty(), constant) {
            (true, _) => write!(f, "{constant}"),
            (false, 0) => Ok(()),
            (false, c) if c < 0 => write!(f, " - {}", c.unsigned_abs()),
            (false, _) => write!(f, " + {constant}"),
        }
    }
}
