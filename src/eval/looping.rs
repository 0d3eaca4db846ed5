//! Loops: the body is evaluated step by step on whole arrays.
//!
//! Where a guard does not hold, the values of a step are computed and thrown away.

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::eval::elementwise::map;
use crate::eval::sizes::known_sizes;
use crate::eval::{Walk, exactly};
use crate::graph::{Loop, NodeId};
use crate::ops::TernaryOp;

impl Walk<'_, '_> {
    /// Makes the steps of a loop and keeps its results. The value of the node itself is its first state.
    pub(super) fn run_loop(&mut self, id: NodeId, node: &Loop<NodeId>) -> Result<Array> {
        let most = self.most_steps(node)?;
        let mut states: Vec<Array> = node.initial.iter().map(|&state| self.value(state)).collect::<Result<_>>()?;
        let sequences: Vec<Array> = node.sequences.iter().map(|&state| self.value(state)).collect::<Result<_>>()?;
        let mut histories = self.histories(id, node)?;
        let mut steps = 0;
        while most.is_none_or(|most| steps < most) && (!node.guarded || any(&states[0])) {
            let guard = node.guarded.then(|| states[0].clone());
            let (next, emitted) = self.step(id, node, steps, states.clone(), &sequences)?;
            for (state, next) in states.iter_mut().zip(next) {
                *state = guarded(guard.as_ref(), next, state.clone())?;
            }
            for (history, emitted) in histories.iter_mut().zip(emitted) {
                let nothing = Array::zeros(emitted.dtype(), emitted.shape())?;
                set_row(history, steps, &guarded(guard.as_ref(), emitted, nothing)?);
            }
            steps += 1;
        }
        let first = states.first().cloned();
        let done = Array::from_scalar(Scalar::I64(steps as i64));
        self.results.insert(id, states.into_iter().chain(histories).chain([done]).collect());
        first.ok_or_else(|| Error::Internal("a loop without state".to_string()))
    }

    fn most_steps(&self, node: &Loop<NodeId>) -> Result<Option<usize>> {
        match (&node.count, node.sequences.first()) {
            (Some(count), _) => {
                let count = self.value(*count)?.get(0).to_i64().unwrap_or(0);
                let refused = |_| Error::Argument(format!("a loop of {count} steps; the number of steps is 0 or more"));
                usize::try_from(count).map(Some).map_err(refused)
            }
            (None, Some(&sequence)) => Ok(self.value(sequence)?.shape().first().copied()),
            (None, None) => Ok(None),
        }
    }

    /// Room for what the steps emit: zeros.
    fn histories(&self, id: NodeId, node: &Loop<NodeId>) -> Result<Vec<Array>> {
        let numbers = node.initial.len()..node.body.results.len();
        let history = |number: usize| {
            let ty = node.result_type(number, self.graph);
            let ty = ty.ok_or_else(|| Error::Internal(format!("the loop %{} has no result {number}", id.0)))?;
            Array::zeros(ty.dtype, &known_sizes(&ty.shape, self.symbols)?)
        };
        numbers.map(history).collect()
    }

    /// The next states, and what the step emits.
    fn step(
        &mut self,
        id: NodeId,
        node: &Loop<NodeId>,
        number: usize,
        states: Vec<Array>,
        sequences: &[Array],
    ) -> Result<(Vec<Array>, Vec<Array>)> {
        let rows = sequences.iter().map(|sequence| row(sequence, number)).collect::<Result<Vec<_>>>()?;
        let number = Array::from_scalar(Scalar::I64(number as i64));
        for (parameter, value) in node.body.parameters.iter().zip(states.into_iter().chain(rows).chain([number])) {
            (self.observer)(*parameter, &[], &value)?;
            self.values[parameter.index()] = Some(value);
        }
        let lifetimes = self.lifetimes;
        self.run(lifetimes.body(id))?;
        let mut next: Vec<Array> = node.body.results.iter().map(|&x| self.value(x)).collect::<Result<_>>()?;
        for &inner in lifetimes.body(id).iter().chain(&node.body.parameters) {
            self.forget(inner);
        }
        let emitted = next.split_off(node.initial.len());
        Ok((next, emitted))
    }
}

fn any(guard: &Array) -> bool {
    (0..guard.len()).any(|position| guard.get(position) == Scalar::Bool(true))
}

/// `new` where the guard holds, `old` where it does not.
fn guarded(guard: Option<&Array>, new: Array, old: Array) -> Result<Array> {
    let Some(guard) = guard else { return Ok(new) };
    let (dtype, shape) = (new.dtype(), new.shape().to_vec());
    let operands = [guard.clone(), new, old];
    map("loop", exactly(&operands)?, dtype, &shape, |[holds, new, old]: [Scalar; 3]| {
        debug_assert_eq!(holds.dtype(), DType::Bool);
        TernaryOp::Select.apply(holds, new, old)
    })
}

/// One row of an array.
fn row(array: &Array, number: usize) -> Result<Array> {
    let mut row = Array::zeros(array.dtype(), &array.shape()[1..])?;
    let first = number * row.len();
    for position in 0..row.len() {
        row.set(position, array.get(first + position));
    }
    Ok(row)
}

fn set_row(array: &mut Array, number: usize, row: &Array) {
    let first = number * row.len();
    for position in 0..row.len() {
        array.set(first + position, row.get(position));
    }
}
