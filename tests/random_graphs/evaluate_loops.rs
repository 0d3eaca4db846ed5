//! The steps of a loop, one after the other, with error bounds.
//!
//! What a condition says of an element holds for the other computation too, unless its bound says that it may not: then
//! nothing is known of the element's states.

use kroton::Scalar;

use crate::bounded::Bounded;
use crate::evaluate::evaluate_nodes;
use crate::looping::{Loop, Steps};
use crate::program::values_of;
use crate::rounding::Rounding;

/// All results of a loop, from the values of what is outside.
pub fn evaluate_loop(
    rounding: &Rounding,
    of: &Loop,
    shape_of: &dyn Fn(usize) -> Vec<usize>,
    outside: &[Vec<Bounded>],
) -> Vec<Vec<Bounded>> {
    let mut states: Vec<Vec<Bounded>> = of.initial.iter().map(|&x| outside[x].clone()).collect();
    let captured = of.captured.iter().map(|&x| outside[x].clone());
    let mut history: Vec<Bounded> = Vec::new();
    let steps = match of.steps {
        Steps::Times(steps) | Steps::Indexed(steps) | Steps::While(steps) => steps,
        Steps::Scan => shape_of(of.sequence.unwrap())[0],
    };
    for step in 0..steps {
        let guard = of.condition.as_ref().map(|condition| {
            let values = evaluate_nodes(condition, rounding, states.clone());
            values.last().unwrap().clone()
        });
        if let Some(guard) = &guard {
            states = states.iter().map(|state| chosen(guard, state, state)).collect();
            if !guard.iter().any(|guard| guard.value == Scalar::Bool(true)) {
                break;
            }
        }
        let given = match of.steps {
            Steps::Times(_) | Steps::While(_) => None,
            Steps::Indexed(_) => Some(vec![Bounded::exact(Scalar::I64(step as i64))]),
            Steps::Scan => {
                let rows = &outside[of.sequence.unwrap()];
                let length = values_of(of.body.shape(of.initial.len())).iter().product::<usize>();
                Some(rows[step * length..(step + 1) * length].to_vec())
            }
        };
        let parameters = states.iter().cloned().chain(given).chain(captured.clone()).collect();
        let made = evaluate_nodes(&of.body, rounding, parameters);
        let next = of.next.iter().map(|&node| made[node].clone());
        states = match &guard {
            Some(guard) => next.zip(&states).map(|(next, state)| chosen(guard, &next, state)).collect(),
            None => next.collect(),
        };
        history.extend(of.emitted.iter().flat_map(|&node| made[node].clone()));
    }
    states.into_iter().chain(of.emitted.map(|_| history)).collect()
}

/// The new elements where the guard holds, the old ones where it does not.
fn chosen(guard: &[Bounded], new: &[Bounded], old: &[Bounded]) -> Vec<Bounded> {
    let choose = |(position, (&new, &old)): (usize, (&Bounded, &Bounded))| {
        let guard = if guard.len() == 1 { guard[0] } else { guard[position] };
        let chosen = if guard.value == Scalar::Bool(true) { new } else { old };
        if guard.is_exact() { chosen } else { Bounded::unknown(chosen.value) }
    };
    new.iter().zip(old).enumerate().map(choose).collect()
}
