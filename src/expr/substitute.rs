//! Expressions with others in the place of some of their parts.
//!
//! Only what depends on the parameters of a *scope* is looked at, so the cost is that of the bodies concerned, whatever
//! they take from outside. Loops that change get new parameters: a body belongs to one loop, and the old one may live on.
//!
//! Invariants: what does not change stays the same handle; the recursion is as deep as loops nest.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::expr::Expr;
use crate::expr::derivation::Derived;
use crate::expr::region::{captured, fresh_parameter, parameters};
use crate::graph::{Loop, Node, Region};
use crate::shape::InputId;

/// What stands for what, and what has been replaced so far.
pub(crate) struct Substitution {
    /// Only what depends on one of these is walked.
    scope: FxHashSet<InputId>,
    parameters: FxHashMap<InputId, Expr>,
    known: FxHashMap<usize, Expr>,
    /// The values of derivations that were rebuilt, by the address of the original.
    values: FxHashMap<usize, Vec<Expr>>,
    /// What was met: the addresses of what lives stay its own.
    met: Vec<Expr>,
}

impl Substitution {
    /// One that replaces nothing yet.
    pub fn new(scope: FxHashSet<InputId>) -> Substitution {
        let (parameters, known, values) = Default::default();
        Substitution { scope, parameters, known, values, met: Vec::new() }
    }

    /// Lets an expression stand for another one; for a parameter, whichever handle it is met by.
    pub fn replace(&mut self, old: &Expr, new: Expr) {
        if let (Node::Parameter(id, _), None) = (old.node(), old.derived()) {
            self.parameters.insert(*id, new.clone());
        }
        self.remember(old, new);
    }

    fn remember(&mut self, old: &Expr, new: Expr) {
        self.met.push(old.clone());
        self.known.insert(old.key(), new);
    }

    /// An expression after the replacements.
    pub fn apply(&mut self, root: &Expr) -> Expr {
        let mut pending = vec![root.clone()];
        while let Some(expr) = pending.last().cloned() {
            let before = pending.len();
            if !self.known.contains_key(&expr.key()) {
                let found = match (expr.node(), expr.derived()) {
                    (Node::Parameter(id, _), None) => self.parameters.get(id).cloned(),
                    _ => None,
                };
                match found {
                    Some(found) => self.remember(&expr, found),
                    None if !expr.depends_on(&self.scope) => self.remember(&expr, expr.clone()),
                    None => {
                        let operands = expr.level_operands();
                        pending.extend(operands.iter().filter(|x| !self.known.contains_key(&x.key())).cloned());
                        if pending.len() == before {
                            let new: Vec<Expr> = operands.iter().map(|x| self.known[&x.key()].clone()).collect();
                            let image = self.rebuilt(&expr, &operands, &new);
                            self.remember(&expr, image);
                        }
                    }
                }
            }
            if pending.len() == before {
                pending.pop();
            }
        }
        self.known[&root.key()].clone()
    }

    fn rebuilt(&mut self, expr: &Expr, old: &[Expr], new: &[Expr]) -> Expr {
        let Some(Derived { of, index }) = expr.derived() else { return rebuilt(expr, old, new) };
        if old.iter().zip(new).all(|(old, new)| old.key() == new.key()) {
            return expr.clone();
        }
        let values = self.values.entry(Arc::as_ptr(of) as usize);
        values.or_insert_with(|| Arc::new(of.over(new)).values())[*index].clone()
    }
}

/// The same node over other operands, without its derivation, `old` being those of its level; the same handle if they are the same.
pub(crate) fn rebuilt(expr: &Expr, old: &[Expr], new: &[Expr]) -> Expr {
    if old.iter().zip(new).all(|(old, new)| old.key() == new.key()) {
        return expr.clone();
    }
    let mut operands = new.iter().cloned();
    let node = match expr.node() {
        Node::Loop(node) => Node::Loop(Box::new(rebuilt_loop(node, new))),
        node => node.map(|operand| operands.next().unwrap_or_else(|| operand.clone())),
    };
    Expr::build_at(node, expr.is_weak(), expr.origin())
}

/// A loop over other operands, those of its level, with parameters of its own.
fn rebuilt_loop(node: &Loop<Expr>, new: &[Expr]) -> Loop<Expr> {
    let fresh = |old: &Expr| fresh_parameter(old.ty().clone());
    let fresh: Vec<Expr> = node.body.parameters.iter().map(fresh).collect();
    let mut body = Substitution::new(parameters(node));
    for (old, new) in node.body.parameters.iter().zip(&fresh) {
        body.replace(old, new.clone());
    }
    let outside = node.outside().count();
    for (old, new) in captured(node).iter().zip(&new[outside..]) {
        body.replace(old, new.clone());
    }
    let results = node.body.results.iter().map(|result| body.apply(result)).collect();
    let mut new = new.iter().cloned();
    let mut take = |list: &[Expr]| new.by_ref().take(list.len()).collect::<Vec<_>>();
    let count = node.count.as_ref().and_then(|count| take(std::slice::from_ref(count)).pop());
    let (initial, sequences) = (take(&node.initial), take(&node.sequences));
    Loop { count, guarded: node.guarded, initial, sequences, body: Region { parameters: fresh, results } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compile, iterate, scalar};

    #[test]
    fn a_loop_over_something_else_lives_beside_the_first() {
        let (x, y) = (scalar::<f64>("x"), scalar::<f64>("y"));
        let product = &x * &y;
        let [first] = iterate(3, [&x], |[s]| {
            let [inner] = iterate(2, [&s], |[t]| [t * &product + &s]).unwrap();
            [inner + &product]
        })
        .unwrap();
        let Node::Project(0, made) = first.node() else { panic!("no projection") };
        let (old, sum) = (made.level_operands(), &x + &y);
        let new: Vec<Expr> =
            old.iter().map(|x| if x.key() == product.key() { sum.clone() } else { x.clone() }).collect();
        let second = Expr::build(Node::Project(0, rebuilt(made, &old, &new)));
        let f = compile([&x, &y], [&first, &second]).unwrap();
        let results: (f64, f64) = f.call((2.0, 3.0)).unwrap();
        let by_hand = |p: f64| (0..3).fold(2.0, |s: f64, _| (0..2).fold(s, |t, _| t * p + s) + p);
        assert_eq!(results, (by_hand(6.0), by_hand(5.0)));
        assert_eq!(rebuilt(made, &old, &old).key(), made.key());
    }
}
