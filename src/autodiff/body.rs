//! The body of a loop, ready to be differentiated: its nodes on a tape that ends at the parameters and at what the body
//! takes from outside.
//!
//! What is *moved* by what follows from a fixed point: a state moves if its first value does, or if its next value
//! depends on something that does.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use crate::autodiff::stable;
use crate::autodiff::tape::Tape;
use crate::expr::Expr;
use crate::graph::{Loop, Node};

/// A body, and what it has to do with the tape that its loop is on.
pub(super) struct Body {
    /// The loop, with the results of its body in stable forms.
    pub node: Loop<Expr>,
    /// The loop itself, for its source line.
    pub made: Expr,
    /// How many bodies its nodes lie in.
    pub depth: usize,
    /// The numbers, on the tape of the loop, of first states, sequences and what the body takes from outside.
    pub outer: Vec<usize>,
    /// The numbers, in the body, of states, rows and what the body takes from outside: of what `outer` lists.
    pub inner: Vec<usize>,
    /// What the body takes from outside, with the handles that stand for it.
    pub captured: Vec<(Expr, Vec<Expr>)>,
    pub tape: Tape,
    /// The numbers of the results.
    pub results: Vec<usize>,
    /// The answers of `moved`: nested loops ask again and again.
    answers: RefCell<FxHashMap<Vec<bool>, Vec<bool>>>,
}

impl Body {
    /// The body of the loop of this number.
    pub fn of(tape: &Tape, number: usize, depth: usize) -> Option<Body> {
        let entry = &tape.entries[number];
        let Node::Loop(node) = entry.expr.node() else { return None };
        let counts = usize::from(node.count.is_some());
        let states = node.initial.len() + node.sequences.len();
        let mut outer: Vec<usize> = entry.operands[counts..counts + states].to_vec();
        let mut captured: Vec<(Expr, Vec<Expr>)> = Vec::new();
        let mut places: FxHashMap<usize, usize> = FxHashMap::default();
        let handles = tape.loop_operands(&entry.expr).iter().skip(counts + states);
        for (handle, &number) in handles.zip(&entry.operands[counts + states..]) {
            let place = *places.entry(number).or_insert(captured.len());
            if place == captured.len() {
                captured.push((tape.entries[number].expr.clone(), Vec::new()));
                outer.push(number);
            }
            captured[place].1.push(handle.clone());
        }
        Some(Body::new((**node).clone(), entry.expr.clone(), outer, captured, depth))
    }

    /// A body whose captured values have the handles that are listed.
    pub fn new(
        node: Loop<Expr>,
        made: Expr,
        outer: Vec<usize>,
        captured: Vec<(Expr, Vec<Expr>)>,
        depth: usize,
    ) -> Body {
        let fixed: Vec<Expr> = node.body.parameters.iter().chain(captured.iter().map(|(x, _)| x)).cloned().collect();
        let (results, _) = stable::stabilized(Tape::of_body(&captured, depth), &node.body.results, &fixed);
        let mut node = node;
        node.body.results = results;
        let mut tape = Tape::of_body(&captured, depth);
        let parameters =
            node.state_parameters().iter().chain(node.row_parameters()).chain(captured.iter().map(|(x, _)| x));
        let inner = parameters.map(|parameter| tape.add(parameter)).collect();
        let results = node.body.results.iter().map(|result| tape.add(result)).collect();
        tape.open();
        Body { node, made, depth, outer, inner, captured, tape, results, answers: RefCell::default() }
    }

    /// Of what `outer` lists, whether it is marked on the tape of the loop.
    pub fn flags(&self, marked: &[bool]) -> Vec<bool> {
        self.outer.iter().map(|&number| marked[number]).collect()
    }

    /// The numbers in the body of what is marked.
    pub fn marked(&self, flags: &[bool]) -> Vec<usize> {
        self.inner.iter().zip(flags).filter(|(_, marked)| **marked).map(|(&number, _)| number).collect()
    }

    /// Which results of the loop move if these of what it takes from outside do; the states among the flags as well.
    pub fn moved(&self, flags: &[bool]) -> Vec<bool> {
        if let Some(known) = self.answers.borrow().get(flags) {
            return known.clone();
        }
        let mut moving = flags.to_vec();
        let moved = loop {
            let active = self.tape.active(&self.marked(&moving));
            let mut results: Vec<bool> = self.results.iter().map(|&number| active[number]).collect();
            let mut grown = false;
            for (state, result) in results[..self.node.initial.len()].iter_mut().enumerate() {
                *result &= self.node.initial[state].dtype().is_float();
                grown |= *result && !moving[state];
                moving[state] |= *result;
                *result = moving[state];
            }
            if !grown {
                // How many steps there are does not move.
                results.push(false);
                break results;
            }
        };
        self.answers.borrow_mut().insert(flags.to_vec(), moved.clone());
        moved
    }
}
