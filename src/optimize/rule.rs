//! What a rewrite rule is: a row of a table, with its class, its guard and the argument why it holds.
//!
//! A row knows how to recognize and build nodes, and nothing of passes, levels or the order of application.
//! Invariant: names are unique over all tables, and the text of a pattern row is what is applied.

use crate::dtype::{DType, Kind};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::optimize::rewrite::Rewriter;

/// What a rule may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Nothing: the same bits for every input, −0.0, infinities and NaN-ness included.
    Exact,
    /// Rounding: better where it claims, nowhere worse by more than one ULP (of `max(|result|, 1)` near roots).
    Accuracy,
    /// Rounding, without such a bound; infinities and NaNs of finite inputs may appear at other magnitudes.
    Fast,
}

impl Class {
    /// Every class, safest first.
    pub const ALL: [Class; 3] = [Class::Exact, Class::Accuracy, Class::Fast];

    /// The word in texts, by which all rules of the class are excluded.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Exact => "exact",
            Class::Accuracy => "accuracy",
            Class::Fast => "fast",
        }
    }
}

/// The dtypes for which a rule holds, asked of the first variable of its left side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every dtype.
    Any,
    /// f32, f64.
    Float,
    /// Signed and unsigned integers.
    Integer,
    /// bool.
    Bool,
    /// bool and integers.
    Logical,
    /// Floats and signed integers.
    Signed,
    /// Unsigned integers.
    Unsigned,
}

impl When {
    /// Whether the rule holds for this dtype.
    pub const fn holds(self, dtype: DType) -> bool {
        match (self, dtype.kind()) {
            (When::Any, _) => true,
            (When::Float, Kind::Float) => true,
            (When::Integer, Kind::Signed | Kind::Unsigned) => true,
            (When::Bool, Kind::Bool) => true,
            (When::Logical, Kind::Bool | Kind::Signed | Kind::Unsigned) => true,
            (When::Signed, Kind::Float | Kind::Signed) => true,
            (When::Unsigned, Kind::Unsigned) => true,
            (
                When::Float | When::Integer | When::Bool | When::Logical | When::Signed | When::Unsigned,
                Kind::Bool | Kind::Unsigned | Kind::Signed | Kind::Float,
            ) => false,
        }
    }

    /// The words in tables.
    pub const fn describe(self) -> &'static str {
        match self {
            When::Any => "every dtype",
            When::Float => "floats",
            When::Integer => "integers",
            When::Bool => "bool",
            When::Logical => "bool and integers",
            When::Signed => "floats and signed integers",
            When::Unsigned => "unsigned integers",
        }
    }
}

/// A condition on what the variables of a pattern are bound to, in the order of their first occurrence.
pub(super) type Guard = fn(&Rewriter, &[NodeId]) -> bool;

/// A rewrite that a pattern cannot say: the node that is to stand for the given one, if the rule fires.
pub(super) type Code = fn(&mut Rewriter, NodeId) -> Option<NodeId>;

/// A graph in which some nodes were replaced by others.
pub(super) struct Replaced {
    pub graph: Graph,
    /// Nodes of the graph before, each with the one of the graph after that stands for it.
    pub replaced: Vec<(NodeId, NodeId)>,
}

/// A rewrite of a graph as a whole, if there is anything to do.
pub(super) type Whole = fn(&Graph) -> Result<Option<Replaced>>;

/// How a rule is applied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Apply {
    /// `left` is matched and `right` is built.
    Pattern,
    /// As `Pattern`, if the guard agrees.
    Guarded(Guard),
    /// A function, tried at nodes with these names (`unary`, `binary`, `ternary`, `reduce` stand for all such).
    Code(&'static [&'static str], Code),
    /// A function, once to the graph.
    Whole(Whole),
}

/// A rewrite rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// By what it is excluded and traced; unique.
    pub name: &'static str,
    /// What it may change.
    pub class: Class,
    /// The dtypes for which it holds.
    pub when: When,
    /// What it replaces; for a pattern the text that is matched.
    pub left: &'static str,
    /// The replacement; for a pattern the text that is built.
    pub right: &'static str,
    /// Further conditions, in words; may be empty.
    pub guard: &'static str,
    /// Why it holds.
    pub argument: &'static str,
    /// Whether it is for targets with a fused multiply-add only.
    pub needs_fma: bool,
    pub(super) apply: Apply,
}

impl Rule {
    const fn pattern(
        class: Class,
        name: &'static str,
        when: When,
        [left, right]: [&'static str; 2],
        argument: &'static str,
    ) -> Rule {
        Rule { name, class, when, left, right, guard: "", argument, needs_fma: false, apply: Apply::Pattern }
    }

    /// An exact rule that a pattern says.
    pub(super) const fn exact(
        name: &'static str,
        when: When,
        sides: [&'static str; 2],
        argument: &'static str,
    ) -> Rule {
        Rule::pattern(Class::Exact, name, when, sides, argument)
    }

    /// A rule that changes rounding for the better, for floats.
    pub(super) const fn accuracy(name: &'static str, sides: [&'static str; 2], argument: &'static str) -> Rule {
        Rule::pattern(Class::Accuracy, name, When::Float, sides, argument)
    }

    /// A rule that relaxes rounding, for floats.
    pub(super) const fn fast(name: &'static str, sides: [&'static str; 2], argument: &'static str) -> Rule {
        Rule::pattern(Class::Fast, name, When::Float, sides, argument)
    }

    /// The rule with a condition on its variables.
    pub(super) const fn guarded(self, guard: &'static str, condition: Guard) -> Rule {
        Rule { guard, apply: Apply::Guarded(condition), ..self }
    }

    /// The rule applied by a function at nodes with these names; the sides are for readers only.
    pub(super) const fn by(self, guard: &'static str, heads: &'static [&'static str], code: Code) -> Rule {
        Rule { guard, apply: Apply::Code(heads, code), ..self }
    }

    /// The rule applied by a function to graphs; the sides are for readers only.
    pub(super) const fn on_graphs(self, guard: &'static str, whole: Whole) -> Rule {
        Rule { guard, apply: Apply::Whole(whole), ..self }
    }

    /// The rule for targets with a fused multiply-add only.
    pub(super) const fn with_fma(self) -> Rule {
        Rule { needs_fma: true, ..self }
    }
}
