//! The checks of a call's sizes against each other, with errors that name inputs, sizes and source lines.

use crate::error::{Error, Result};
use crate::graph::infer::check_range;
use crate::graph::{Constraint, Origin};
use crate::runtime::implementation::InputSpec;
use crate::shape::{Dim, InputId, Measure, Symbol, Symbols};

/// What must hold of the sizes of every call of a function.
#[derive(Debug, Clone)]
pub struct SizeChecks {
    constraints: Vec<(Constraint, Origin)>,
    names: Vec<(InputId, String)>,
}

impl SizeChecks {
    /// The constraints of a graph, each once.
    pub fn new(inputs: &[InputSpec], constraints: Vec<(Constraint, Origin)>) -> SizeChecks {
        let mut seen = rustc_hash::FxHashSet::default();
        let constraints = constraints.into_iter().filter(|(constraint, _)| seen.insert(constraint.clone())).collect();
        let name = |(index, input): (usize, &InputSpec)| {
            let alike = inputs.iter().filter(|other| other.name == input.name).count();
            let place = if alike > 1 { format!(" (argument {index})") } else { String::new() };
            (input.id, format!("`{}`{place}", input.name))
        };
        SizeChecks { constraints, names: inputs.iter().enumerate().map(name).collect() }
    }

    /// Checks a call.
    ///
    /// # Errors
    /// `Shape`, for the first constraint that does not hold.
    pub fn check(&self, symbols: &Symbols) -> Result<()> {
        for (constraint, origin) in &self.constraints {
            if let Some(message) = self.violation(constraint, symbols).map_err(|error| located(error, origin))? {
                return Err(located(Error::Shape(message), origin));
            }
        }
        Ok(())
    }

    fn violation(&self, constraint: &Constraint, symbols: &Symbols) -> Result<Option<String>> {
        Ok(match constraint {
            Constraint::Equal(left, right) => {
                let (a, b) = (left.evaluate(symbols)?, right.evaluate(symbols)?);
                (a != b).then(|| self.unequal((left, a), (right, b)))
            }
            Constraint::SameCount(before, after) => {
                let (a, b) = (before.evaluate(symbols)?, after.evaluate(symbols)?);
                (a != b).then(|| {
                    let (before, after) = (self.spell_computed(before), self.spell_computed(after));
                    format!("a reshape of {a} elements{before} to a shape of {b}{after}")
                })
            }
            Constraint::NonNegative(size) => {
                let value = size.evaluate(symbols)?;
                (value < 0).then(|| format!("the size {} is {value}, below zero", self.spell(size)))
            }
            Constraint::NonEmpty(op, count) => {
                let value = count.evaluate(symbols)?;
                (value == 0)
                    .then(|| format!("`{op}` of an empty array: {} is 0, and it has no value then", self.spell(count)))
            }
            Constraint::InBounds { range, size } => {
                let (start, length) = (range.start.evaluate(symbols)?, range.length.evaluate(symbols)?);
                let result = check_range(start, range.step, length, size.evaluate(symbols)?);
                result.err().map(|reason| format!("a slice of {} is out of bounds: {reason}", self.spell(size)))
            }
        })
    }

    fn unequal(&self, (left, a): (&Dim, i64), (right, b): (&Dim, i64)) -> String {
        // What depends on the call comes first.
        let ((left, a), (right, b)) =
            if left.constant().is_some() { ((right, b), (left, a)) } else { ((left, a), (right, b)) };
        let right = if right.constant().is_some() { "the other".to_string() } else { self.spell(right) };
        format!(
            "sizes that must be equal differ: {} is {a}, {right} is {b}; only a size that is 1 when the expression is \
             built broadcasts: declare the input with Some(1), or use expand_dims, keepdims or broadcast_to",
            self.spell(left),
        )
    }

    /// How a size is computed, in parentheses; nothing for a constant.
    fn spell_computed(&self, dim: &Dim) -> String {
        if dim.constant().is_some() { String::new() } else { format!(" ({})", self.spell(dim)) }
    }

    /// A size as a user knows it.
    fn spell(&self, dim: &Dim) -> String {
        let name = |id: InputId| {
            let found = self.names.iter().find(|(other, _)| *other == id);
            found.map_or_else(|| "?".to_string(), |(_, name)| name.clone())
        };
        let symbol_name = |symbol: Symbol| match symbol.measure {
            Measure::Extent(axis) => format!("axis {axis} of {}", name(symbol.input)),
            Measure::Value => name(symbol.input),
        };
        dim.formula(&symbol_name).to_string()
    }
}

fn located(error: Error, origin: &Origin) -> Error {
    match (error, origin) {
        (Error::Shape(message), Some(location)) => {
            Error::Shape(format!("{message}\n  in the expression built at {location}"))
        }
        (error, _) => error,
    }
}
