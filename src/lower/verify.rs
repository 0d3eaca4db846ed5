//! What must hold of a plan's row blocks, so that kernels may run for any ranges of rows, in any order and at once.
//!
//! This reads windows only: it shares nothing with the passes of `schedule` that find the blocks.

use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Kernel, Nest};
use crate::lower::plan::{KernelStep, Plan, Source, Step, Window};
use crate::schedule::RowBlock;
use crate::shape::Dim;

/// Checks the row blocks of a plan, and those of the bodies of its loops.
///
/// # Errors
/// `Internal`, saying which rule is broken.
pub fn verify(plan: &Plan<Kernel>) -> Result<()> {
    for step in &plan.steps {
        if let Step::Loop(step) = step {
            verify(&step.body)?;
        }
    }
    let mut end = 0;
    for block in &plan.blocks {
        let fault = |what: &str| Error::Internal(format!("the row block of steps {:?}: {what}", block.steps));
        if block.steps.start < end || block.steps.end > plan.steps.len() || block.steps.len() < 2 {
            return Err(fault("not some steps after those of the block before"));
        }
        end = block.steps.end;
        check(plan, block).map_err(|what| fault(&what))?;
    }
    Ok(())
}

fn check(plan: &Plan<Kernel>, block: &RowBlock) -> Result<(), String> {
    let steps = plan.steps[block.steps.clone()].iter().map(kernel).collect::<Option<Vec<_>>>();
    let steps = steps.ok_or("a step that is no kernel of the engine")?;
    let rows = steps[0].extents.get(..block.axes).filter(|rows| !rows.is_empty()).ok_or("no axes")?;
    if !steps.iter().all(|step| step.extents.get(..block.axes) == Some(rows) && is_outer(&step.kernel, block.axes)) {
        return Err("kernels that do not run over its rows".to_string());
    }
    let windows = |access: Access| {
        let windows = steps.iter().enumerate().flat_map(|(number, step)| {
            step.windows
                .iter()
                .zip(&step.kernel.operands)
                .map(move |(window, operand)| (number, window, operand.access))
        });
        windows.filter(move |(.., own)| *own == access).map(|(number, window, _)| (number, window))
    };
    let is_local = |source: &Source| matches!(source, Source::Slot(slot) if block.slots.contains(slot));
    for (step, window) in windows(Access::Read).chain(windows(Access::Write)) {
        let Some(first) = windows(Access::Write).find(|(_, other)| other.source == window.source) else {
            if is_local(&window.source) {
                return Err(format!("{:?} is local and not written", window.source));
            }
            continue;
        };
        // Slots of the block hold one value after the other.
        if !follows(window, rows) || (window.shape != first.1.shape && !is_local(&window.source)) {
            return Err(format!("{:?} is not read or written row by row", window.source));
        }
        if is_local(&window.source) && step < first.0 {
            return Err(format!("{:?} is local and read before it is written", window.source));
        }
    }
    is_alone(plan, block)
}

/// Checks that no step outside uses a slot of a block, unless it is in a block that has this slot too.
fn is_alone(plan: &Plan<Kernel>, block: &RowBlock) -> Result<(), String> {
    for (number, step) in plan.steps.iter().enumerate() {
        for window in step.windows() {
            let Source::Slot(slot) = window.source else { continue };
            let has = |other: &RowBlock| other.steps.contains(&number) && other.slots.contains(&slot);
            if block.slots.contains(&slot) && !plan.blocks.iter().any(has) {
                return Err(format!("slot {slot} is used by step {number} too"));
            }
        }
    }
    Ok(())
}

fn kernel(step: &Step<Kernel>) -> Option<&KernelStep<Kernel>> {
    match step {
        Step::Kernel(step) => (!step.on_host).then_some(step),
        Step::MatMul(_) | Step::Custom(_) | Step::Loop(_) => None,
    }
}

/// Whether so many leading axes are loops around everything else.
fn is_outer(kernel: &Kernel, axes: usize) -> bool {
    let leading = (0..axes as u32).map(Axis);
    matches!(kernel.body.as_slice(), [Nest::Map { axes, .. }] if leading.zip(0..).all(|(axis, at)| axes.get(at) == Some(&axis)))
}

/// Whether the rows of a window are the outermost axes of what it is a window into, in order, from the first on.
fn follows(window: &Window, rows: &[Dim]) -> bool {
    let mut own = (0_u32..).zip(&window.shape).filter(|(_, dim)| !dim.is_one());
    (0..).map(Axis).zip(rows).all(|(kernel, extent)| {
        let Some((axis, size)) = own.next() else { return false };
        let mut walks = window.walks.iter().filter(|walk| walk.kernel == kernel || walk.source == axis);
        let only = walks.next().is_some_and(|walk| (walk.kernel, walk.source, walk.step) == (kernel, axis, 1));
        let starts = window.starts.iter().all(|(start, _)| *start != axis);
        only && walks.next().is_none() && starts && size == extent
    })
}
