//! Where a contribution to a gradient is known to be zero.
//!
//! A `select` gives its operands no cotangent where it does not take them, but 0 times an infinite derivative below
//! would be NaN. So each adjoint carries the conditions under which its node is looked at at all (its *guard*), and
//! where a contribution leaves them, for a node that is also used otherwise, it is zero where they do not hold. That
//! is exact, at any order of differentiation, unlike a test for a zero cotangent.
//!
//! Guards form a tree: each adds one condition to another. The guard of a node is where the paths of all its uses
//! meet. A condition that is not of rank 0 only holds element by element, so it is left behind where elements move.

use rustc_hash::FxHashMap;

use crate::expr::Expr;

/// The guard without conditions.
pub(super) const ALWAYS: usize = 0;

/// The deepest nesting that is followed, so that paths stay short.
const DEEPEST: usize = 64;

struct Guard {
    parent: usize,
    depth: usize,
    /// All conditions of the path.
    condition: Option<Expr>,
    /// Whether they all have rank 0.
    is_scalar: bool,
}

/// The guards of one sweep.
pub(super) struct Guards {
    guards: Vec<Guard>,
    /// By parent, condition and the value that it has.
    known: FxHashMap<(usize, usize, bool), usize>,
}

impl Guards {
    pub fn new() -> Guards {
        let always = Guard { parent: ALWAYS, depth: 0, condition: None, is_scalar: true };
        Guards { guards: vec![always], known: FxHashMap::default() }
    }

    /// A guard with one more condition.
    #[track_caller]
    pub fn enter(&mut self, parent: usize, condition: &Expr, is: bool) -> usize {
        let key = (parent, condition.key(), is);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let Guard { depth, condition: outer, is_scalar, .. } = &self.guards[parent];
        if *depth == DEEPEST {
            return parent;
        }
        let own = if is { condition.clone() } else { !condition };
        let is_scalar = *is_scalar && condition.rank() == 0;
        let condition = match outer {
            Some(outer) => outer & own,
            None => own,
        };
        self.guards.push(Guard { parent, depth: depth + 1, condition: Some(condition), is_scalar });
        self.known.insert(key, self.guards.len() - 1);
        self.guards.len() - 1
    }

    /// What two guards have in common.
    pub fn common(&self, a: usize, b: usize) -> usize {
        let (mut a, mut b) = (a, b);
        while a != b {
            if self.guards[a].depth >= self.guards[b].depth {
                a = self.guards[a].parent;
            } else {
                b = self.guards[b].parent;
            }
        }
        a
    }

    /// What is left of a guard where elements move.
    pub fn scalar_part(&self, guard: usize) -> usize {
        let mut guard = guard;
        while !self.guards[guard].is_scalar {
            guard = self.guards[guard].parent;
        }
        guard
    }

    /// A contribution that leaves a guard: zero where the guard does not hold.
    #[track_caller]
    pub fn leave(&self, guard: usize, contribution: Expr) -> Expr {
        match &self.guards[guard].condition {
            Some(condition) => condition.select(contribution, 0.0),
            None => contribution,
        }
    }
}
