//! The optimizer: graph to graph, by named rules in an ordered list of passes.
//!
//! A rule is a row with a class: *exact* rules leave every bit as it is, *accuracy* rules change rounding for
//! the better, *fast* rules are opt-in. The passes are run in order, over and over until nothing fires. Types
//! of inputs and outputs, and their order, stay. Constraints on sizes are those of the graph before: a rule
//! may remove the node that a constraint came from, never add one that was not implied.
//! Must not know schedules, engines or the oracle.

mod algebra;
mod bits;
mod factor;
mod fast;
mod fold;
mod fusion;
mod index;
mod loops;
mod merge;
mod motion;
mod pattern;
mod powers;
mod rewrite;
mod rule;
mod shifted;
mod specialize;
mod stabilize;
mod sums;
mod tails;
mod trace;

#[cfg(test)]
mod tests;

pub use rule::{Class, Rule, When};
pub use trace::{Firing, Trace};

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::graph::Graph;

/// Which classes of rules are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Level {
    /// No rules, no passes: the graph as it was written.
    None,
    /// Exact and accuracy rules.
    #[default]
    Full,
    /// All rules, those that relax rounding included.
    Fast,
}

/// What to apply.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The classes of rules.
    pub level: Level,
    /// Names of rules, passes and classes that are left out.
    pub exclude: Vec<String>,
    /// Whether the target has a fused multiply-add, without which no `mul_add` is introduced.
    pub has_fma: bool,
}

/// A pass: a name and the rules it applies, in order. The pass without rules removes dead nodes.
#[derive(Debug)]
pub struct Pass {
    /// The name, by which the whole pass is excluded.
    pub name: &'static str,
    tables: &'static [&'static [Rule]],
}

/// The passes, in the order in which they run.
pub static PASSES: &[Pass] = &[
    Pass { name: "algebra", tables: &[algebra::RULES, powers::EXACT, bits::RULES, factor::RULES] },
    Pass { name: "fold", tables: &[fold::RULES] },
    Pass { name: "stabilize", tables: &[stabilize::RULES, shifted::RULES, tails::RULES] },
    Pass { name: "specialize", tables: &[specialize::RULES] },
    Pass { name: "fast", tables: &[fast::RULES, powers::FAST, sums::FAST] },
    Pass { name: "contract", tables: &[fusion::RULES, powers::ACCURATE] },
    Pass { name: "views", tables: &[merge::RULES, motion::RULES, sums::RULES] },
    Pass { name: "loops", tables: &[loops::RULES] },
    Pass { name: "dead_code", tables: &[] },
];

/// How often the list of passes is run at most. Few graphs need more than two runs; whatever is left then is right as it is.
const ROUNDS: usize = 6;

impl Pass {
    /// The rules of the pass, in the order in which they are tried.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        self.tables.iter().copied().flatten()
    }
}

/// Every rule, in the order of the passes.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    PASSES.iter().flat_map(Pass::rules)
}

/// Checks names that are to be excluded.
///
/// # Errors
/// `Argument` for a name that is neither a rule, a pass nor a class; it lists those that there are.
pub fn check_names(exclude: &[String]) -> Result<()> {
    let classes = Class::ALL.map(Class::name);
    let known = || PASSES.iter().map(|pass| pass.name).chain(classes).chain(rules().map(|rule| rule.name));
    let Some(unknown) = exclude.iter().find(|name| !known().any(|known| known == name.as_str())) else {
        return Ok(());
    };
    let names: Vec<&str> = rules().map(|rule| rule.name).collect();
    let passes: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    Err(Error::Argument(format!(
        "no optimization is named `{unknown}`; the passes are {}; the classes are {}; the rules are {}",
        passes.join(", "),
        classes.join(", "),
        names.join(", ")
    )))
}

/// Rewrites a graph by the rules that the options admit, and says which fired.
///
/// # Errors
/// `Argument` for an unknown name in `exclude`; `Internal` if a rule broke a type.
pub fn optimize(graph: Graph, options: &Options) -> Result<(Graph, Trace)> {
    check_names(&options.exclude)?;
    let mut trace = Trace::default();
    if options.level == Level::None {
        return Ok((graph, trace));
    }
    let passes = options.prepared();
    let mut graph = graph;
    // For each pass, whether the graph may have changed since it last found nothing to do.
    let mut pending = vec![true; passes.len()];
    // The use counts of the nodes of the graph, while they are known.
    let mut uses = Vec::new();
    for _ in 0..ROUNDS {
        if !pending.contains(&true) {
            break;
        }
        for (position, (pass, index)) in passes.iter().enumerate() {
            if !std::mem::take(&mut pending[position]) {
                continue;
            }
            if pass.tables.is_empty() {
                graph = rewrite::remove_dead(graph, &mut uses);
                continue;
            }
            let (rewritten, fired) = rewrite::run(graph, &mut uses, pass.name, index, &mut trace)?;
            graph = rewritten;
            if fired {
                pending.fill(true);
            }
        }
    }
    Ok((graph, trace))
}

/// A pass with its rules made ready.
type Prepared = (&'static Pass, index::Index);

impl Options {
    /// The passes that are admitted; those without exclusions are made ready once for the process.
    fn prepared(&self) -> Cow<'static, [Prepared]> {
        static READY: [OnceLock<Vec<Prepared>>; 4] = [const { OnceLock::new() }; 4];
        if !self.exclude.is_empty() {
            return self.prepare().into();
        }
        let place = 2 * usize::from(self.level == Level::Fast) + usize::from(self.has_fma);
        READY[place].get_or_init(|| self.prepare()).as_slice().into()
    }

    fn prepare(&self) -> Vec<Prepared> {
        let passes = PASSES.iter().filter(|pass| !self.excludes(pass.name));
        passes.map(|pass| (pass, index::Index::new(pass.rules().filter(|rule| self.admits(rule))))).collect()
    }

    fn excludes(&self, name: &str) -> bool {
        self.exclude.iter().any(|excluded| excluded == name)
    }

    fn admits(&self, rule: &Rule) -> bool {
        let level = match rule.class {
            Class::Exact | Class::Accuracy => self.level != Level::None,
            Class::Fast => self.level == Level::Fast,
        };
        level && (self.has_fma || !rule.needs_fma) && !self.excludes(rule.name) && !self.excludes(rule.class.name())
    }
}
