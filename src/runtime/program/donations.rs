//! Which arguments a program may make its results in.
//!
//! Decided from windows alone, before any call.

use std::sync::Arc;

use super::{Program, windows};
use crate::backend::Executable;
use crate::loops::Nest;
use crate::lower::plan::{KernelStep, Source, Step, Window};

impl Program {
    /// For each output, the argument that it may be made in the memory of.
    pub fn donations(&self) -> Vec<Option<usize>> {
        let mut donations = Vec::new();
        for (position, step) in self.plan.steps.iter().enumerate() {
            let Step::Kernel(kernel) = step else { continue };
            // Other ranges of a row block may read what this one has written.
            if self.rows.iter().any(|rows| rows.block.steps.contains(&position)) {
                continue;
            }
            for window in kernel.windows.iter() {
                let Source::Output(output) = window.source else { continue };
                donations.resize(donations.len().max(output + 1), None);
                let earlier = self.plan.steps[..position].iter().flat_map(windows);
                if earlier.map(|window| &window.source).any(|source| *source == Source::Output(output)) {
                    continue;
                }
                let later = &self.plan.steps[position + 1..];
                let free = |input: &usize| !donations.contains(&Some(*input));
                donations[output] = in_place(kernel, window, later).filter(free);
            }
        }
        donations
    }
}

/// An argument that a kernel reads only where it writes an output through this window, and before it does, and that no
/// later step reads.
fn in_place(
    step: &KernelStep<Arc<dyn Executable>>,
    written: &Window,
    later: &[Step<Arc<dyn Executable>>],
) -> Option<usize> {
    let kernel = step.kernel.kernel();
    let blocks = |body: &[Nest]| body.iter().all(|nest| matches!(nest, Nest::Block(_)));
    let is_map = matches!(kernel.body.as_slice(), [Nest::Map { body, .. }] if blocks(body));
    let uses = |window: &Window| (window.source == written.source).then_some(());
    if !is_map || step.windows.iter().filter_map(uses).count() != 1 {
        return None;
    }
    let own = |input: usize| step.windows.iter().filter(move |window| reads(window) == Some(input));
    let same = |window: &Window| Window { source: written.source.clone(), ..window.clone() } == *written;
    let unread_later = |input: usize| !later.iter().flat_map(windows).any(|window| reads(window) == Some(input));
    // Operands are numbered in the order of their first use, and each is loaded once.
    let before = step.windows.iter().take_while(|window| window.source != written.source);
    before.filter_map(reads).find(|&input| own(input).all(same) && unread_later(input))
}

/// The argument that a window is on.
fn reads(window: &Window) -> Option<usize> {
    match window.source {
        Source::Input(argument) | Source::PackedInput(argument) => Some(argument),
        Source::Constant(_)
        | Source::Output(_)
        | Source::Slot(_)
        | Source::Positions
        | Source::Size(_)
        | Source::Product => None,
    }
}
