//! Reductions whose elements may be merged in any order: the bits are the same, but for the sign and the payload of a NaN,
//! which no op promises.
//!
//! One state then does for all blocks of a call. Must not know: how code is made.

use super::form::{Fold, Program};
use crate::loops::{Append, Operation, Statement, ValueId};
use crate::ops::{BinaryOp, TernaryOp};

/// Whether no fold cares about the order of its elements.
pub(super) fn in_any_order(body: &Program, folds: &[Fold]) -> bool {
    folds.iter().all(|fold| is_associative(body, fold) || keeps_positions(body, fold))
}

/// Whether a fold is a single op that is associative and commutative, bit for bit.
fn is_associative(body: &Program, fold: &Fold) -> bool {
    let merge = &fold.merge;
    let [Statement::Let(result, Operation::Binary(op, operands))] = merge.block.statements[..] else { return false };
    let both = [[merge.left[0], merge.right[0]], [merge.right[0], merge.left[0]]].contains(&operands);
    let of_any = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Minimum | BinaryOp::Maximum);
    let of_integers = matches!(op, BinaryOp::Add | BinaryOp::Mul) && !body.ty(result).is_float();
    both && (of_any || of_integers) && merge.results[..] == [result]
}

/// Whether a fold chooses an element and keeps its position.
pub(super) fn keeps_positions(body: &Program, fold: &Fold) -> bool {
    let taken = |append: &Append| takes_positions(append) && is_position(body, fold.lifted[append.position]);
    fold.append.as_ref().is_some_and(taken)
}

/// What a program defines a value as.
pub(super) fn definition(statements: &[Statement], value: ValueId) -> Option<Operation> {
    statements.iter().find_map(|statement| match *statement {
        Statement::Let(defined, operation) if defined == value => Some(operation),
        Statement::Let(..) | Statement::Store(..) => None,
    })
}

fn is_position(body: &Program, value: ValueId) -> bool {
    definition(&body.statements, value) == Some(Operation::Position)
}

/// Whether positions are only ever chosen, one or the other.
fn takes_positions(append: &Append) -> bool {
    let merge = &append.merge;
    let mut positions = vec![merge.left[append.position], merge.right[append.position]];
    for statement in &merge.block.statements {
        let Statement::Let(value, operation) = statement else { return false };
        let is = |value: &ValueId| positions.contains(value);
        match operation {
            Operation::Ternary(TernaryOp::Select, [mask, yes, no]) if is(yes) && is(no) && !is(mask) => {
                positions.push(*value);
            }
            operation if operation.uses().iter().any(is) => return false,
            _ => {}
        }
    }
    merge.results.iter().enumerate().all(|(part, result)| positions.contains(result) == (part == append.position))
}
