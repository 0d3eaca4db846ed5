//! Sizes from text: sums, products, floored quotients, remainders, `min` and `max` over symbols.
//!
//! Invariant: the recursion is bounded by [`DEEPEST`], whatever the text.

use super::cursor::Cursor;
use crate::error::Result;
use crate::shape::{Dim, Symbol};

/// How deep parentheses may nest: two pairs for each operation of a size.
const DEEPEST: usize = 2 * Dim::DEEPEST as usize + 20;

/// A size; `symbol` finds the one spelled `%number.measure`.
pub(super) fn parse_dim(
    cursor: &mut Cursor<'_>,
    symbol: &dyn Fn(&Cursor<'_>, u32, &str) -> Result<Symbol>,
) -> Result<Dim> {
    DimParser { symbol, depth: 0 }.sum(cursor)
}

struct DimParser<'a> {
    symbol: &'a dyn Fn(&Cursor<'_>, u32, &str) -> Result<Symbol>,
    depth: usize,
}

impl DimParser<'_> {
    fn sum(&mut self, cursor: &mut Cursor<'_>) -> Result<Dim> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(cursor.error(format!("a size nested more than {DEEPEST} deep")));
        }
        let mut sum = self.term(cursor)?;
        loop {
            // The lowest integer has no positive counterpart.
            if cursor.eat("- 9223372036854775808") {
                sum = sum.add(&Dim::from(i64::MIN));
            } else if cursor.eat("+") {
                sum = sum.add(&self.term(cursor)?);
            } else if cursor.eat("-") {
                sum = sum.sub(&self.term(cursor)?);
            } else {
                self.depth -= 1;
                return Ok(sum);
            }
        }
    }

    fn term(&mut self, cursor: &mut Cursor<'_>) -> Result<Dim> {
        let mut term = self.factor(cursor)?;
        loop {
            if cursor.eat("*") {
                term = term.mul(&self.factor(cursor)?);
            } else if cursor.sees("//") {
                return Ok(term);
            } else if cursor.eat("/") {
                term = term.floor_div(&self.factor(cursor)?);
            } else if cursor.eat("%") {
                term = term.rem(&self.factor(cursor)?);
            } else {
                return Ok(term);
            }
        }
    }

    fn factor(&mut self, cursor: &mut Cursor<'_>) -> Result<Dim> {
        if cursor.eat("%") {
            return self.symbol(cursor);
        }
        if cursor.eat("(") {
            let dim = self.sum(cursor)?;
            cursor.expect(")")?;
            return Ok(dim);
        }
        if cursor.eat("min(") {
            return self.pair(cursor).map(|(left, right)| left.smaller(&right));
        }
        if cursor.eat("max(") {
            return self.pair(cursor).map(|(left, right)| left.larger(&right));
        }
        cursor.integer::<i64>("a size").map(Dim::from)
    }

    fn pair(&mut self, cursor: &mut Cursor<'_>) -> Result<(Dim, Dim)> {
        let left = self.sum(cursor)?;
        cursor.expect(",")?;
        let right = self.sum(cursor)?;
        cursor.expect(")")?;
        Ok((left, right))
    }

    fn symbol(&mut self, cursor: &mut Cursor<'_>) -> Result<Dim> {
        let number = cursor.integer("the number of an input")?;
        cursor.expect(".")?;
        let measure = cursor.word();
        (self.symbol)(cursor, number, measure).map(Dim::from)
    }
}
