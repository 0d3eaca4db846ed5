//! Bounds carried through whole graphs, and through loops step by step, as the oracle makes the steps.
//!
//! A loop whose steps are rounded has a bound that grows from step to step. Where a guard is not certain, neither is what its
//! element comes to, nor what was emitted, nor the number of steps.

use rustc_hash::FxHashMap;

use crate::array::Array;
use crate::check::bounded::Bounded;
use crate::check::estimate::{Estimate, estimate, repeated};
use crate::check::rounding::Rounding;
use crate::dtype::Scalar;
use crate::error::{Error, Result};
use crate::eval::evaluate_node;
use crate::graph::regions::Enclosing;
use crate::graph::{Graph, Loop, Node, NodeId};
use crate::shape::{Dim, Symbols};

/// Estimates of nodes, from those of earlier ones.
pub struct Carrier<'a> {
    rounding: &'a Rounding,
    graph: &'a Graph,
    symbols: &'a Symbols,
    /// The nodes that a step of each loop evaluates itself, in order.
    members: FxHashMap<NodeId, Vec<NodeId>>,
    estimates: Vec<Option<Estimate>>,
    /// All results of loops.
    results: FxHashMap<NodeId, Vec<Estimate>>,
}

impl<'a> Carrier<'a> {
    /// Without estimates; `enclosing` is that of the graph.
    pub fn new(rounding: &'a Rounding, graph: &'a Graph, enclosing: &[Enclosing], symbols: &'a Symbols) -> Carrier<'a> {
        let mut members: FxHashMap<NodeId, Vec<NodeId>> = FxHashMap::default();
        for id in graph.ids() {
            let is_parameter = matches!(graph.node(id), Node::Parameter(..));
            if let (Some(&innermost), false) = (enclosing[id.index()].first(), is_parameter) {
                members.entry(innermost).or_default().push(id);
            }
        }
        let estimates = vec![None; graph.len()];
        Carrier { rounding, graph, symbols, members, estimates, results: FxHashMap::default() }
    }

    /// Takes an estimate as given.
    pub fn set(&mut self, id: NodeId, estimate: Estimate) {
        self.estimates[id.index()] = Some(estimate);
    }

    /// What a node was estimated to be.
    ///
    /// # Errors
    /// `Internal` if it was not.
    pub fn get(&self, id: NodeId) -> Result<&Estimate> {
        let missing = || Error::Internal(format!("node {} was not estimated", id.0));
        self.estimates[id.index()].as_ref().ok_or_else(missing)
    }

    /// Estimates a node, of which the oracle's value may be known; that of a loop is its first state.
    ///
    /// # Errors
    /// As evaluating it.
    pub fn carry(&mut self, id: NodeId, value: Option<Array>) -> Result<()> {
        let graph = self.graph;
        let estimate = match graph.node(id) {
            Node::Loop(node) => {
                let results = self.run(id, node)?;
                let first = results.first().cloned();
                self.results.insert(id, results);
                first.ok_or_else(|| Error::Internal("a loop without state".to_string()))?
            }
            Node::Project(index, of) => {
                let missing = || Error::Internal(format!("result {index} of a loop was not estimated"));
                self.results.get(of).and_then(|results| results.get(*index as usize).cloned()).ok_or_else(missing)?
            }
            node => {
                let operands = node.operands().into_iter().map(|&operand| self.get(operand).cloned());
                let operands = operands.collect::<Result<Vec<_>>>()?;
                let value = match value {
                    Some(value) => value,
                    None => {
                        let values: Vec<Array> = operands.iter().map(|operand| operand.value.clone()).collect();
                        evaluate_node(node, &values, graph.ty(id), self.symbols)?
                    }
                };
                estimate(self.rounding, node, &operands, value, self.symbols)?
            }
        };
        self.set(id, estimate);
        Ok(())
    }

    /// The steps of a loop, and all that they come to.
    fn run(&mut self, id: NodeId, node: &Loop<NodeId>) -> Result<Vec<Estimate>> {
        let all = |ids: &[NodeId]| ids.iter().map(|&id| self.get(id).cloned()).collect::<Result<Vec<_>>>();
        let (mut states, sequences) = (all(&node.initial)?, all(&node.sequences)?);
        let (most, is_counted) = self.most_steps(node)?;
        let mut histories = self.histories(id, node)?;
        let mut steps = 0;
        while most.is_none_or(|most| steps < most) && (!node.guarded || any(&states[0].value)) {
            let guard = node.guarded.then(|| states[0].clone());
            let (next, emitted) = self.step(id, node, steps, states.clone(), &sequences)?;
            for (state, next) in states.iter_mut().zip(next) {
                *state = guarded(guard.as_ref(), next, state)?;
            }
            for (history, emitted) in histories.iter_mut().zip(emitted) {
                let zeros = Estimate::exact(Array::zeros(emitted.value.dtype(), emitted.value.shape())?);
                history.set_row(steps, &guarded(guard.as_ref(), emitted, &zeros)?)?;
            }
            steps += 1;
        }
        let guard = node.guarded.then(|| states[0].clone());
        let is_certain = is_counted && guard.as_ref().is_none_or(|guard| guard.error.is_none());
        let made = Estimate::exact(Array::from_scalar(Scalar::I64(steps as i64)));
        let rest = histories.into_iter().chain([made]);
        let rest = rest.map(|x| if is_certain { Ok(x) } else { Estimate::unknown(x.value) });
        let states = states.into_iter().map(|state| match (&guard, is_counted) {
            (_, false) => Estimate::unknown(state.value),
            // Another way may have gone on where this one stopped.
            (Some(guard), true) => guarded(Some(guard), state.clone(), &state),
            (None, true) => Ok(state),
        });
        states.chain(rest).collect()
    }

    /// The most steps, and whether that is certain.
    fn most_steps(&self, node: &Loop<NodeId>) -> Result<(Option<usize>, bool)> {
        match (&node.count, node.sequences.first()) {
            (Some(count), _) => {
                let count = self.get(*count)?;
                let steps = count.value.get(0).to_i64().and_then(|steps| usize::try_from(steps).ok());
                Ok((Some(steps.unwrap_or(0)), count.error.is_none()))
            }
            (None, Some(&sequence)) => Ok((self.get(sequence)?.value.shape().first().copied(), true)),
            (None, None) => Ok((None, true)),
        }
    }

    /// Room for what the steps emit: zeros.
    fn histories(&self, id: NodeId, node: &Loop<NodeId>) -> Result<Vec<Estimate>> {
        let history = |number: usize| {
            let ty = node.result_type(number, self.graph);
            let ty = ty.ok_or_else(|| Error::Internal(format!("the loop %{} has no result {number}", id.0)))?;
            let size = |dim: &Dim| Ok(dim.evaluate(self.symbols)? as usize);
            let shape = ty.shape.iter().map(size).collect::<Result<Vec<_>>>()?;
            Ok(Estimate::exact(Array::zeros(ty.dtype, &shape)?))
        };
        (node.initial.len()..node.body.results.len()).map(history).collect()
    }

    /// The next states, and what the step emits.
    fn step(
        &mut self,
        id: NodeId,
        node: &Loop<NodeId>,
        number: usize,
        states: Vec<Estimate>,
        sequences: &[Estimate],
    ) -> Result<(Vec<Estimate>, Vec<Estimate>)> {
        let rows = sequences.iter().map(|sequence| sequence.row(number)).collect::<Result<Vec<_>>>()?;
        let number = Estimate::exact(Array::from_scalar(Scalar::I64(number as i64)));
        for (parameter, value) in node.body.parameters.iter().zip(states.into_iter().chain(rows).chain([number])) {
            self.set(*parameter, value);
        }
        for inner in self.members.get(&id).cloned().unwrap_or_default() {
            self.carry(inner, None)?;
        }
        let results = node.body.results.iter().map(|&x| self.get(x).cloned());
        let mut next = results.collect::<Result<Vec<_>>>()?;
        let emitted = next.split_off(node.initial.len());
        Ok((next, emitted))
    }
}

fn any(guard: &Array) -> bool {
    (0..guard.len()).any(|position| guard.get(position) == Scalar::Bool(true))
}

/// `new` where the guard holds, `old` where it does not, and nothing certain where it is not.
fn guarded(guard: Option<&Estimate>, new: Estimate, old: &Estimate) -> Result<Estimate> {
    let Some(guard) = guard else { return Ok(new) };
    let guard = repeated(guard, &new.value)?;
    let choose = |position: usize| {
        let (guard, new, old) = (guard.at(position), new.at(position), old.at(position));
        let chosen = if guard.value == Scalar::Bool(true) { new } else { old };
        if guard.is_exact() { chosen } else { Bounded::unknown(chosen.value) }
    };
    let chosen: Vec<Bounded> = (0..new.value.len()).map(choose).collect();
    let mut value = Array::zeros(new.value.dtype(), new.value.shape())?;
    chosen.iter().enumerate().for_each(|(position, chosen)| value.set(position, chosen.value));
    Estimate::of(&chosen, value)
}
