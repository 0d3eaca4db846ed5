//! Straight-line code with calls of kernels: what is computed of their results is computed where it is needed.
//!
//! The code up to a call runs over a whole tile before the code behind it does, so what crosses a call is written to a
//! buffer and read again, as the results of calls are. A step that only reads such results and what is known from the start
//! moves to the first piece that needs it. Invariant: no value changes, and loads and stores keep their order. Must not
//! know: registers, buffers.

use super::step::{Step, Steps, Value};

impl Steps {
    /// Moves steps behind the calls that their values cross; `wanted` are needed at the end.
    pub fn sink(&mut self, wanted: impl IntoIterator<Item = Value>) {
        let pieces: Vec<usize> = self.pieces().collect();
        let Some(&last) = pieces.last() else { return };
        let movable = self.movable();
        let mut needed = vec![last; self.homes.len()];
        wanted.into_iter().for_each(|value| needed[value.0 as usize] = last);
        let mut targets = pieces;
        for (step, target) in self.steps.iter().zip(&mut targets).rev() {
            if let Some(result) = step.result().filter(|result| movable[result.0 as usize]) {
                *target = needed[result.0 as usize];
            }
            step.reads(|value| needed[value.0 as usize] = needed[value.0 as usize].min(*target));
        }
        let mut order: Vec<(usize, Step)> = targets.into_iter().zip(self.steps.drain(..)).collect();
        order.sort_by_key(|(target, _)| *target);
        self.steps.extend(order.into_iter().map(|(_, step)| step));
    }

    /// How many calls are before each step.
    fn pieces(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().scan(0, |calls, step| {
            let piece = *calls;
            *calls += usize::from(matches!(step, Step::Call { .. }));
            Some(piece)
        })
    }

    /// Which values are computed from nothing but results of calls and what is known from the start.
    fn movable(&self) -> Vec<bool> {
        let mut lasts = vec![true; self.homes.len()];
        let mut movable = vec![false; self.homes.len()];
        for step in &self.steps {
            let computes = match step {
                Step::Compute { .. } | Step::MulAdd { .. } | Step::Checked { .. } => true,
                Step::Load { .. }
                | Step::Store { .. }
                | Step::Ask { .. }
                | Step::Call { .. }
                | Step::Broadcast { .. }
                | Step::TailMask { .. }
                | Step::CopyIn { .. }
                | Step::CopyOut { .. } => false,
            };
            let mut all = computes;
            step.reads(|value| all &= lasts[value.0 as usize]);
            if let Some(result) = step.result() {
                lasts[result.0 as usize] = all;
                movable[result.0 as usize] = all;
            }
        }
        movable
    }
}

#[cfg(test)]
mod tests {
    use super::super::instruction::MULPS;
    use super::super::step::{Home, Place};
    use super::*;

    const AT: Place = Place::Port { port: 0, size: 4, offset: 0 };

    fn call(results: Value) -> Step {
        Step::Call { address: 0, name: String::new(), arguments: Vec::new(), results: vec![results] }
    }

    fn square(of: Value, result: Value) -> Step {
        Step::Compute { opcode: &MULPS, result, first: Some(of), last: of, third: None, immediate: None }
    }

    fn kinds(steps: &Steps) -> String {
        let letter = |step: &Step| match step {
            Step::Call { .. } => 'c',
            Step::Load { .. } => 'l',
            Step::Store { .. } => 's',
            _ => step.result().map_or('?', |value| char::from(b'0' + value.0 as u8)),
        };
        steps.steps.iter().map(letter).collect()
    }

    #[test]
    fn steps_move_to_the_first_piece_that_needs_them() {
        let mut steps = Steps::default();
        let [x, y, squared, fourth, loaded, of_loaded] = [(); 6].map(|()| steps.value(Home::None));
        let load = Step::Load { opcode: &MULPS, result: loaded, mask: None, from: AT };
        let store = |value| Step::Store { opcode: &MULPS, value, mask: None, to: AT };
        let all = [load, square(loaded, of_loaded), call(x), square(x, squared), square(squared, fourth), call(y)];
        steps.steps.extend(all.into_iter().chain([store(fourth), store(of_loaded)]));
        steps.sink([]);
        assert_eq!(kinds(&steps), "l5cc23ss");
    }

    #[test]
    fn what_a_call_is_given_stays_before_it() {
        let mut steps = Steps::default();
        let [x, squared, y] = [(); 3].map(|()| steps.value(Home::None));
        let arguments = vec![super::super::step::Argument::Vectors(vec![squared])];
        let second = Step::Call { address: 0, name: String::new(), arguments, results: vec![y] };
        steps.steps.extend([call(x), square(x, squared), second]);
        steps.sink([y]);
        assert_eq!(kinds(&steps), "c1c");
    }
}
