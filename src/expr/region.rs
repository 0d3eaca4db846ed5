//! What the body of a loop has to do with the expressions around it.
//!
//! An expression is inside a body if it depends on one of its parameters. Each expression knows the parameters that it
//! depends on and that no loop in it owns, its *free* ones, so nobody has to walk what lies outside. A walk on one level
//! takes a loop for a node whose operands are what it starts from, what it walks along, and what its body takes from
//! outside.
//!
//! Invariant: the recursion is as deep as loops nest, at most [`DEEPEST`]; deeper loops, which no graph may have, are
//! taken for loops whose body takes nothing from outside.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::expr::Expr;
use crate::graph::regions::DEEPEST;
use crate::graph::{Loop, Node, Type};
use crate::shape::InputId;

/// Parameters that an expression depends on, sorted; most depend on none.
pub(super) type Free = Option<Arc<[InputId]>>;

/// The free parameters of a node.
pub(super) fn free(node: &Node<Expr>) -> Free {
    match node {
        Node::Parameter(id, _) => Some(Arc::from([*id])),
        Node::Loop(node) => {
            let owned = parameters(node);
            let inside = union(node.body.results.iter()).unwrap_or_else(|| Arc::from([]));
            let inside: Vec<InputId> = inside.iter().copied().filter(|id| !owned.contains(id)).collect();
            let outside = union(node.outside()).unwrap_or_else(|| Arc::from([]));
            merged(&inside, &outside)
        }
        node => {
            let mut all = Free::None;
            node.for_each_operand(|operand| join(&mut all, &operand.0.free));
            all
        }
    }
}

pub(super) fn union<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Free {
    let mut all = Free::None;
    exprs.for_each(|expr| join(&mut all, &expr.0.free));
    all
}

fn join(all: &mut Free, more: &Free) {
    let joined = match (&*all, more) {
        (_, None) => return,
        (Some(all), Some(more)) if Arc::ptr_eq(all, more) || more.iter().all(|id| all.binary_search(id).is_ok()) => {
            return;
        }
        (None, Some(more)) => Some(more.clone()),
        (Some(all), Some(more)) => merged(all, more),
    };
    *all = joined;
}

fn merged(a: &[InputId], b: &[InputId]) -> Free {
    let mut ids: Vec<InputId> = a.iter().chain(b).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then(|| Arc::from(ids))
}

/// The identities of the parameters of a loop's body.
pub(crate) fn parameters(node: &Loop<Expr>) -> FxHashSet<InputId> {
    let id = |parameter: &Expr| match parameter.node() {
        Node::Parameter(id, _) => Some(*id),
        _ => None,
    };
    node.body.parameters.iter().filter_map(id).collect()
}

/// A new parameter of a body.
pub(crate) fn fresh_parameter(ty: Type) -> Expr {
    Expr::build(Node::Parameter(InputId::new(), ty))
}

impl Expr {
    /// Whether this depends on one of these parameters.
    pub(crate) fn depends_on(&self, parameters: &FxHashSet<InputId>) -> bool {
        self.0.free.iter().flat_map(|free| free.iter()).any(|id| parameters.contains(id))
    }

    /// The parameters that this depends on and that no loop in it owns.
    pub(crate) fn free_parameters(&self) -> &[InputId] {
        self.0.free.as_deref().unwrap_or_default()
    }

    /// The operands on the level of this expression: of a loop, what it takes from outside and then what its body does; of
    /// a value with a derivation, what this is made of.
    pub(crate) fn level_operands(&self) -> Vec<Expr> {
        operands_within(self, 0)
    }
}

fn operands_within(expr: &Expr, depth: usize) -> Vec<Expr> {
    if let Some(derived) = expr.derived() {
        return derived.of.references().cloned().collect();
    }
    match expr.node() {
        Node::Loop(node) => node.outside().cloned().chain(captured_within(node, depth)).collect(),
        node => node.operands().into_iter().cloned().collect(),
    }
}

/// What the body of a loop takes from outside, each handle once.
pub(crate) fn captured(node: &Loop<Expr>) -> Vec<Expr> {
    captured_within(node, 0)
}

fn captured_within(node: &Loop<Expr>, depth: usize) -> Vec<Expr> {
    let (mut captured, mut seen) = (Vec::new(), FxHashSet::default());
    if depth >= DEEPEST {
        return captured;
    }
    let owned = parameters(node);
    let mut pending: Vec<Expr> = node.body.results.iter().rev().cloned().collect();
    while let Some(expr) = pending.pop() {
        if !seen.insert(expr.key()) {
            continue;
        }
        if expr.depends_on(&owned) {
            pending.extend(operands_within(&expr, depth + 1).into_iter().rev());
        } else {
            captured.push(expr);
        }
    }
    captured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{iterate, scalar, vector};

    fn loop_of(result: &Expr) -> &Loop<Expr> {
        match result.node() {
            Node::Project(_, made) => match made.node() {
                Node::Loop(node) => node,
                _ => panic!("no loop"),
            },
            _ => panic!("no projection"),
        }
    }

    #[test]
    fn a_body_takes_what_depends_on_no_parameter() {
        let (x, y, z) = (vector::<f64>("x"), scalar::<f64>("y"), scalar::<f64>("z"));
        let product = &y * &z;
        let [outer] = iterate(3, [&x], |[a]| {
            let inner = iterate(2, [&a], |[b]| [b * &z + &a]).unwrap();
            let [inner] = inner;
            [inner * &product]
        })
        .unwrap();
        assert!(outer.0.free.is_none());
        let keys: Vec<usize> = captured(loop_of(&outer)).iter().map(Expr::key).collect();
        // The number of steps of the inner loop is one of them.
        assert_eq!(keys.len(), 3);
        assert!(keys.contains(&product.key()) && keys.contains(&z.key()));
        let results = &loop_of(&outer).body.results;
        assert!(results[0].depends_on(&parameters(loop_of(&outer))));
    }
}
