//! Expressions with some of their parts replaced.
//!
//! What does not depend on a replaced part is shared with the original. Loops that are built anew get parameters of their
//! own, since a body belongs to one loop only; derivations are rebuilt with their values. The walks are iterative, visit
//! each shared part once, and leave out what is older than everything replaced, so that the cost is that of the part
//! between the results and what is replaced. Knows nodes by their references only.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::expr::Expr;
use crate::expr::derivation::{Derivation, Derived};
use crate::graph::{Node, Region};
use crate::shape::InputId;

/// The results of a region, given its arguments.
pub(crate) fn instantiate(region: &Region<Expr>, arguments: &[Expr]) -> Vec<Expr> {
    substitute(&region.results, region.parameters.iter().cloned().zip(arguments.iter().cloned()))
}

/// Expressions in which some are replaced by others.
pub(crate) fn substitute(roots: &[Expr], replaced: impl IntoIterator<Item = (Expr, Expr)>) -> Vec<Expr> {
    let mut images = Images::default();
    replaced.into_iter().for_each(|(old, new)| images.replace(&old, new));
    let (order, affected) = images.affected(roots);
    for expr in order.iter().filter(|expr| affected.contains(&expr.key())) {
        let image = images.rebuilt(expr);
        images.made.insert(expr.key(), image);
    }
    roots.iter().map(|root| images.of(root)).collect()
}

/// What a region reads from outside: what does not depend on its parameters, without constants and sizes.
pub(crate) fn captured(region: &Region<Expr>) -> Vec<Expr> {
    let mut images = Images::default();
    region.parameters.iter().for_each(|parameter| images.replace(parameter, parameter.clone()));
    let (order, inside) = images.affected(&region.results);
    let mut captured: Vec<Expr> = Vec::new();
    let mut seen = FxHashSet::default();
    let mut read = |expr: &Expr| {
        let is_inside = inside.contains(&expr.key()) || images.replacement(expr).is_some();
        if !is_inside && !is_constant(expr) && seen.insert(expr.key()) {
            captured.push(expr.clone());
        }
    };
    for expr in order.iter().filter(|expr| inside.contains(&expr.key())) {
        for_each_reference(expr, &mut read);
    }
    region.results.iter().for_each(read);
    captured
}

/// Whether any of some expressions depends on one of these parameters.
pub(crate) fn depends(exprs: &[Expr], parameters: &[Expr]) -> bool {
    let mut images = Images::default();
    parameters.iter().for_each(|parameter| images.replace(parameter, parameter.clone()));
    let (_, affected) = images.affected(exprs);
    exprs.iter().any(|expr| affected.contains(&expr.key()) || images.replacement(expr).is_some())
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr.node(), Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_)) && expr.derived().is_none()
}

/// Everything that an expression is made of: the operands of its node, and what its derivation refers to.
fn for_each_reference<'a>(expr: &'a Expr, mut visit: impl FnMut(&'a Expr)) {
    expr.node().for_each_operand(&mut visit);
    if let Some(derived) = expr.derived() {
        derived.of.for_each_reference(visit);
    }
}

/// What stands for what.
#[derive(Default)]
struct Images {
    /// Parameters that are replaced, by identity: there may be several handles on one.
    parameters: FxHashMap<InputId, Expr>,
    /// Other expressions that are replaced, by key.
    others: FxHashMap<usize, Expr>,
    /// What was built anew, by the key of the original.
    made: FxHashMap<usize, Expr>,
    derivations: FxHashMap<usize, Arc<Derivation>>,
    /// What is replaced: kept, so that its keys stay its own.
    replaced: Vec<Expr>,
}

impl Images {
    fn replace(&mut self, old: &Expr, new: Expr) {
        match old.node() {
            Node::Parameter(id, _) if old.derived().is_none() => self.parameters.insert(*id, new),
            _ => self.others.insert(old.key(), new),
        };
        self.replaced.push(old.clone());
    }

    /// What replaces an expression as a whole.
    fn replacement(&self, expr: &Expr) -> Option<&Expr> {
        let argument = if expr.derived().is_none() { self.argument(expr) } else { None };
        argument.or_else(|| self.others.get(&expr.key()))
    }

    /// What replaces the node of an expression, if that is a parameter. A value with a derivation may be one.
    fn argument(&self, expr: &Expr) -> Option<&Expr> {
        if let Node::Parameter(id, _) = expr.node() { self.parameters.get(id) } else { None }
    }

    /// What stands for an expression.
    fn of(&self, expr: &Expr) -> Expr {
        self.replacement(expr).or_else(|| self.made.get(&expr.key())).unwrap_or(expr).clone()
    }

    /// What lies between some roots and what is replaced, operands before users, and the keys of what depends on that;
    /// loops among these get new parameters.
    fn affected(&mut self, roots: &[Expr]) -> (Vec<Expr>, FxHashSet<usize>) {
        let mut renamed = FxHashSet::default();
        loop {
            let order = self.order(roots);
            let mut affected = FxHashSet::default();
            let mut found = Vec::new();
            for expr in &order {
                let mut depends = self.argument(expr).is_some();
                for_each_reference(expr, |reference| {
                    depends |= affected.contains(&reference.key()) || self.replacement(reference).is_some();
                });
                if depends {
                    affected.insert(expr.key());
                    found.extend(matches!(expr.node(), Node::Loop(_)).then(|| expr.clone()));
                }
            }
            found.retain(|expr| renamed.insert(expr.key()));
            if found.is_empty() {
                return (order, affected);
            }
            found.iter().for_each(|expr| self.rename(expr));
        }
    }

    /// Gives a loop new parameters.
    fn rename(&mut self, expr: &Expr) {
        let Node::Loop(node) = expr.node() else { return };
        for parameter in &node.body.parameters {
            let fresh = Node::Parameter(InputId::new(), parameter.ty().clone());
            self.replace(parameter, Expr::build_at(fresh, parameter.is_weak(), parameter.origin()));
        }
    }

    /// Everything below some roots that is young enough to depend on what is replaced, operands before users.
    fn order(&self, roots: &[Expr]) -> Vec<Expr> {
        let oldest = self.replaced.iter().map(Expr::youngest).min().flatten();
        let mut order: Vec<Expr> = Vec::new();
        let mut seen = FxHashSet::default();
        // With whether its references have been put before it.
        let mut pending: Vec<(Expr, bool)> = roots.iter().rev().map(|root| (root.clone(), false)).collect();
        while let Some((expr, ready)) = pending.pop() {
            if ready {
                order.push(expr);
                continue;
            }
            if expr.youngest() < oldest || self.replacement(&expr).is_some() || !seen.insert(expr.key()) {
                continue;
            }
            pending.push((expr.clone(), true));
            for_each_reference(&expr, |reference| pending.push((reference.clone(), false)));
        }
        order
    }

    /// The same expression over what stands for its references.
    fn rebuilt(&mut self, expr: &Expr) -> Expr {
        let made = self.argument(expr).cloned().unwrap_or_else(|| {
            let node = expr.node().map(|operand| self.of(operand));
            Expr::build_at(node, expr.is_weak(), expr.origin())
        });
        let Some(Derived { of, index }) = expr.derived() else { return made };
        let key = Arc::as_ptr(of) as usize;
        if !self.derivations.contains_key(&key) {
            let derivation = of.map(&mut |reference| self.of(reference));
            self.derivations.insert(key, Arc::new(derivation));
        }
        made.with_derivation(Derived { of: self.derivations[&key].clone(), index: *index })
    }
}
