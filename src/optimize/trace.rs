//! The record of which rules fired where, for dumps and tests.
//!
//! Every firing is counted; the texts of the first [`Trace::KEPT`] are kept, so that a graph of a hundred
//! thousand nodes does not turn into as many strings. Knows nothing of what the rules do.

use std::collections::BTreeMap;
use std::fmt;

use crate::graph::{Graph, Node, NodeId, Origin};
use crate::optimize::rule::Rule;

/// One firing of a rule.
#[derive(Debug, Clone)]
pub struct Firing {
    /// The rule.
    pub rule: &'static str,
    /// The pass in which it fired.
    pub pass: &'static str,
    /// The node before.
    pub before: String,
    /// The node that replaced it.
    pub after: String,
    /// The source line of the node.
    pub origin: Origin,
}

/// The rules that fired, in order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    firings: Vec<Firing>,
    counts: BTreeMap<&'static str, usize>,
}

impl Trace {
    /// How many firings are kept as text.
    pub const KEPT: usize = 1000;

    /// The first firings, at most [`Trace::KEPT`].
    pub fn firings(&self) -> &[Firing] {
        &self.firings
    }

    /// How often each rule fired, by name; rules that did not fire are missing.
    pub fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// How often a rule fired.
    pub fn count(&self, rule: &str) -> usize {
        self.counts.get(rule).copied().unwrap_or(0)
    }

    /// How many firings there were.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// Adds a firing; `texts` gives the nodes before and after.
    pub(super) fn record(
        &mut self,
        rule: &'static Rule,
        pass: &'static str,
        origin: Origin,
        texts: impl FnOnce() -> (String, String),
    ) {
        *self.counts.entry(rule.name).or_default() += 1;
        if self.firings.len() < Trace::KEPT {
            let (before, after) = texts();
            self.firings.push(Firing { rule: rule.name, pass, before, after, origin });
        }
    }
}

impl fmt::Display for Firing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}: {} → {}", self.pass, self.rule, self.before, self.after)?;
        match self.origin {
            Some(location) => write!(f, "  at {location}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for firing in &self.firings {
            writeln!(f, "{firing}")?;
        }
        match self.total() - self.firings.len() {
            0 => Ok(()),
            more => writeln!(f, "… and {more} more"),
        }
    }
}

/// A node as short text: its operands are spelled out, theirs are left out, inputs are names, constants values.
pub(super) fn describe(graph: &Graph, id: NodeId) -> String {
    spell(graph, id, 2)
}

/// Spells `depth` levels of nodes.
fn spell(graph: &Graph, id: NodeId, depth: usize) -> String {
    let node = graph.node(id);
    if let Node::Scalar(value) = node {
        return value.to_string();
    }
    if let Node::Input(input) = node
        && !input.name.is_empty()
    {
        return input.name.clone();
    }
    if depth == 0 {
        return "…".to_string();
    }
    let operands = node.operands();
    let shown = operands.iter().take(4).map(|&&operand| spell(graph, operand, depth - 1));
    let spelled: Vec<String> = shown.chain((operands.len() > 4).then(|| "…".to_string())).collect();
    let name = if let Node::Cast(dtype, _) = node { format!("cast<{dtype}>") } else { node.name().to_string() };
    format!("{name}({})", spelled.join(", "))
}
