//! What must hold of a plan's row blocks, so that their steps may run for any ranges of rows, in any order and at once.
//!
//! This reads windows only: it shares nothing with the passes of `schedule` that find the blocks.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Error, Result};
use crate::loops::{Access, Axis, Kernel, Nest};
use crate::lower::plan::{KernelStep, Plan, ProductOverRows, Source, Step, Window};
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
    are_alone(plan)
}

/// A step of a block, over its axes.
struct RowStep {
    extents: Vec<Dim>,
    windows: Vec<(Window, Access)>,
    /// What it writes when all rows are done.
    closes: Option<Source>,
    /// Whether a launch may have some rows only.
    by_rows: bool,
}

fn check(plan: &Plan<Kernel>, block: &RowBlock) -> Result<(), String> {
    let steps = plan.steps[block.steps.clone()].iter().map(|step| row_step(step, block.axes));
    let steps = steps.collect::<Option<Vec<_>>>().ok_or("a step that is no kernel of the engine")?;
    let rows = steps[0].extents.get(..block.axes).filter(|rows| !rows.is_empty()).ok_or("no axes")?;
    if !steps.iter().all(|step| step.extents.get(..block.axes) == Some(rows) && step.by_rows) {
        return Err("kernels that do not run over its rows".to_string());
    }
    let windows = |access: Access| {
        let windows = steps.iter().enumerate();
        let windows = windows.flat_map(|(number, step)| step.windows.iter().map(move |window| (number, window)));
        windows.filter(move |(_, (_, own))| *own == access).map(|(number, (window, _))| (number, window))
    };
    let locals: FxHashSet<usize> = block.slots.iter().copied().collect();
    let is_local = |source: &Source| matches!(source, Source::Slot(slot) if locals.contains(slot));
    let mut writers: FxHashMap<&Source, (usize, &Window)> = FxHashMap::default();
    windows(Access::Write).for_each(|(step, window)| {
        writers.entry(&window.source).or_insert((step, window));
    });
    let mut closed: FxHashMap<&Source, usize> = FxHashMap::default();
    steps.iter().filter_map(|step| step.closes.as_ref()).for_each(|source| *closed.entry(source).or_default() += 1);
    for (step, window) in windows(Access::Read).chain(windows(Access::Write)) {
        if closed.contains_key(&window.source) {
            return Err(format!("{:?} is used before all rows are done", window.source));
        }
        let Some(first) = writers.get(&window.source) else {
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
    match closed.iter().any(|(source, count)| is_local(source) || *count > 1) {
        true => Err("sums over all rows that are not alone in their memory".to_string()),
        false => Ok(()),
    }
}

/// Checks that no step outside uses a slot of a block, unless it is in a block that has this slot too.
fn are_alone(plan: &Plan<Kernel>) -> Result<()> {
    let mut owners: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
    let mut block_of = vec![None; plan.steps.len()];
    for (number, block) in plan.blocks.iter().enumerate() {
        block.slots.iter().for_each(|slot| owners.entry(*slot).or_default().push(number));
        block_of[block.steps.clone()].fill(Some(number));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        for window in step.windows() {
            let Source::Slot(slot) = window.source else { continue };
            let Some(owners) = owners.get(&slot) else { continue };
            // Owners are in the order of the blocks.
            if block_of[number].is_none_or(|own| owners.binary_search(&own).is_err()) {
                let block = &plan.blocks[owners[0]].steps;
                return Err(Error::Internal(format!(
                    "the row block of steps {block:?}: slot {slot} is used by step {number} too"
                )));
            }
        }
    }
    Ok(())
}

fn row_step(step: &Step<Kernel>, axes: usize) -> Option<RowStep> {
    match step {
        Step::Kernel(KernelStep { kernel, extents, windows, on_host: false }) => {
            let windows = windows.iter().cloned().zip(kernel.operands.iter().map(|operand| operand.access));
            let (extents, windows) = (extents.to_vec(), windows.collect());
            Some(RowStep { extents, windows, closes: None, by_rows: is_outer(kernel, axes) })
        }
        Step::MatMul(step) => {
            let ProductOverRows { extents, matrix, vector, result } = step.over_rows()?;
            let (mut windows, mut closes) = (vec![(matrix, Access::Read), (vector, Access::Read)], None);
            match step.closes {
                true => closes = Some(result.source),
                false => windows.push((result, Access::Write)),
            }
            Some(RowStep { extents: extents.into(), windows, closes, by_rows: axes == 1 })
        }
        Step::Kernel(_) | Step::Custom(_) | Step::Loop(_) => None,
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
