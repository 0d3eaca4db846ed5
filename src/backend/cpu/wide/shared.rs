//! What all lanes of a reduction agree on, like the number of elements.
//!
//! Must not know: how code is made.

use rustc_hash::FxHashSet;

use crate::backend::cpu::form::{Fold, Program};
use crate::loops::{Operation, Statement, ValueId};

/// Whose positions an element of a lane has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Positions {
    /// Each lane has its own.
    OfLanes,
    /// All lanes are results, whose elements have the position of a row.
    OfRows,
}

/// The components of a fold's state that come from constants alone, or from what else lanes agree on, however often states are
/// merged.
pub(super) fn shared(body: &Program, fold: &Fold, positions: Positions) -> Vec<bool> {
    let own = own_values(&body.statements, FxHashSet::default(), positions);
    let start = |part| positions == Positions::OfRows || !fold.starts_with_position(part);
    let lifted = fold.lifted.iter().enumerate();
    let mut shared: Vec<bool> = lifted.map(|(part, value)| start(part) && !own.contains(value)).collect();
    loop {
        let mut next = shared.clone();
        for merge in [&fold.merge, fold.next()] {
            let states = merge.left.iter().zip(&shared).chain(merge.right.iter().zip(&shared));
            let given = states.filter(|(_, shared)| !**shared).map(|(&value, _)| value).collect();
            let own = own_values(&merge.block.statements, given, positions);
            next.iter_mut().zip(&merge.results).for_each(|(next, value)| *next &= !own.contains(value));
        }
        if next == shared {
            return shared;
        }
        shared = next;
    }
}

/// The values that may differ from lane to lane, if these do.
fn own_values(statements: &[Statement], mut own: FxHashSet<ValueId>, positions: Positions) -> FxHashSet<ValueId> {
    for statement in statements {
        if let Statement::Let(value, operation) = statement {
            let differs = match operation {
                Operation::Load(_) => true,
                Operation::Position => positions == Positions::OfLanes,
                _ => false,
            };
            if differs || operation.uses().iter().any(|used| own.contains(used)) {
                own.insert(*value);
            }
        }
    }
    own
}
