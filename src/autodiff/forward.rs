//! Forward mode: from the inputs onwards, each node once, adding up what its operands contribute to its tangent.
//!
//! Many directions are pushed at once: a tangent has the axes of its expression behind those of the `directions`.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::autodiff::partial::Partial;
use crate::autodiff::reverse::{no_rule, too_deep};
use crate::autodiff::tape::{Entry, Role, Tape};
use crate::autodiff::{derived, reductions, rules, stable, steps_forward, views, zeros};
use crate::error::Result;
use crate::expr::Expr;
use crate::graph::Node;
use crate::shape::Shape;

/// The tangent of `f` from those of some inputs; `None` if `f` does not depend on them. An input that is made of
/// others moves by its own direction and with them.
#[track_caller]
pub(super) fn push_forward(f: &Expr, seeds: &[(Expr, Expr)], directions: &Shape) -> Result<Option<Expr>> {
    let moving: Vec<Expr> = seeds.iter().map(|(input, _)| input.clone()).collect();
    let (roots, moving) = stable::stabilized(Tape::default(), std::slice::from_ref(f), &moving);
    let mut tape = Tape::default();
    let outputs: Vec<usize> = roots.iter().map(|root| tape.add(root)).collect();
    let seeds: Vec<(usize, Expr)> =
        moving.iter().zip(seeds).map(|(input, (_, seed))| (tape.add(input), seed.clone())).collect();
    tape.open();
    Ok(sweep(&tape, &outputs, seeds, directions)?.remove(0))
}

/// The tangents of nodes on a tape from those of others.
#[track_caller]
pub(super) fn sweep(
    tape: &Tape,
    outputs: &[usize],
    seeds: Vec<(usize, Expr)>,
    directions: &Shape,
) -> Result<Vec<Option<Expr>>> {
    let targets: Vec<usize> = seeds.iter().map(|(target, _)| *target).collect();
    let (active, reached) = (tape.active(&targets), tape.reached(outputs));
    let mut tangents: Vec<Option<Expr>> = vec![None; tape.entries.len()];
    for (target, seed) in seeds {
        add(&mut tangents[target], seed);
    }
    // The tangents of the results of loops, and of values that have a derivation.
    let mut results: FxHashMap<usize, Vec<Option<Expr>>> = FxHashMap::default();
    let wanted = |number: &usize| active[*number] && reached[*number] && !tape.entries[*number].is_leaf;
    for number in (0..tape.entries.len()).filter(wanted) {
        let entry = &tape.entries[number];
        let result = |index: usize| results.get(&entry.operands[0]).and_then(|results| results.get(index)?.clone());
        let tangent = match (&entry.role, entry.expr.node()) {
            (Role::Values(derivation), _) => {
                let operands: Vec<Option<Expr>> = entry.operands.iter().map(|&x| tangents[x].clone()).collect();
                results.insert(number, derived::push(tape, number, derivation, &operands, directions)?);
                None
            }
            (Role::Value(index), _) => result(*index),
            (Role::Node, Node::Loop(_)) => {
                let Some(body) = tape.body(number) else { return Err(too_deep(&entry.expr)) };
                let outer: Vec<Option<Expr>> = body.outer.iter().map(|&outer| tangents[outer].clone()).collect();
                results.insert(number, steps_forward::push(&body, &outer, directions)?);
                None
            }
            (Role::Node, Node::Project(index, _)) => result(*index as usize),
            (Role::Node, _) => tangent_of(entry, tape, &tangents, directions)?,
        };
        if let Some(tangent) = tangent {
            add(&mut tangents[number], tangent);
        }
    }
    Ok(outputs.iter().map(|&output| tangents[output].clone()).collect())
}

#[track_caller]
fn add(sum: &mut Option<Expr>, term: Expr) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + term,
        None => term,
    });
}

/// The tangent of a node from those of its operands.
#[track_caller]
fn tangent_of(entry: &Entry, tape: &Tape, tangents: &[Option<Expr>], directions: &Shape) -> Result<Option<Expr>> {
    let result = &entry.expr;
    if let Node::Concat(axis, parts) = result.node() {
        return Ok(concat_tangent(*axis, parts, &entry.operands, tangents, directions));
    }
    let operands: SmallVec<[&Expr; 3]> = entry.operands.iter().map(|&operand| &tape.entries[operand].expr).collect();
    let mut sum = None;
    for (position, &operand) in entry.operands.iter().enumerate() {
        if let Some(tangent) = &tangents[operand]
            && let Some(term) = term(result, &operands, position, tangent, directions.len())?
        {
            add(&mut sum, term);
        }
    }
    let Some(sum) = sum else {
        return Ok(None);
    };
    let shape: Shape = directions.iter().chain(result.dims()).cloned().collect();
    Ok(Some(views::fill(&sum, &shape)))
}

/// What the tangent of one operand contributes to that of a node.
#[track_caller]
fn term(result: &Expr, operands: &[&Expr], position: usize, tangent: &Expr, lead: usize) -> Result<Option<Expr>> {
    let x = operands[position];
    let partial = match result.node() {
        Node::Unary(op, _) => rules::unary(*op, x, result),
        Node::Binary(op, _) => rules::binary(*op, position == 0, [operands[0], operands[1]], result),
        Node::Ternary(op, _) => rules::ternary(*op, position, [operands[0], operands[1], operands[2]]),
        Node::Reduce(op, axes, _) => {
            let partial = reductions::reduction(*op, axes, x, result);
            let axes: SmallVec<[u32; 3]> = axes.iter().map(|axis| lead as u32 + axis).collect();
            return Ok(partial.apply(tangent).map(|moved| reductions::sum_over(&moved, &axes)));
        }
        Node::Barrier(_) if position > 0 => Partial::Zero,
        Node::Barrier(_) => Partial::One,
        Node::Cast(dtype, _) => return Ok(Some(tangent.cast_to(*dtype))),
        Node::Permute(order, _) => return Ok(Some(views::permute_behind(tangent, order, lead))),
        Node::Reshape(shape, _) => return Ok(Some(views::reshape(tangent, behind(tangent, lead, shape)))),
        Node::Broadcast(shape, _) => {
            let aligned = views::align(tangent, lead, shape.len());
            return Ok(Some(views::fill(&aligned, &behind(tangent, lead, shape))));
        }
        Node::Slice(ranges, _) => return Ok(Some(views::slice_behind(tangent, ranges, lead))),
        Node::MatMul(_) => {
            return Ok(Some(views::matmul_behind(tangent, position == 0, [operands[0], operands[1]], lead)));
        }
        Node::Concat(..) | Node::Loop(_) | Node::Project(..) | Node::Custom(..) => return Err(no_rule(result)),
        Node::Input(_) | Node::Parameter(..) | Node::Scalar(_) | Node::Dense(_) | Node::Iota(_) | Node::Size(_) => {
            Partial::Zero
        }
    };
    Ok(partial.apply(&views::align(tangent, lead, result.rank())))
}

/// The directions of a tangent, and a shape behind them.
fn behind(tangent: &Expr, lead: usize, shape: &Shape) -> Shape {
    tangent.dims()[..lead].iter().chain(shape).cloned().collect()
}

/// The tangents of the parts one after the other, with zeros for parts that do not move.
#[track_caller]
fn concat_tangent(
    axis: u32,
    parts: &[Expr],
    operands: &[usize],
    tangents: &[Option<Expr>],
    directions: &Shape,
) -> Option<Expr> {
    let mut moving = Vec::new();
    let mut any = false;
    for (part, &operand) in parts.iter().zip(operands) {
        any |= tangents[operand].is_some();
        moving.push(match &tangents[operand] {
            Some(tangent) => tangent.clone(),
            None => zeros(part.dtype(), directions.iter().chain(part.dims()).cloned().collect()),
        });
    }
    any.then(|| Expr::build(Node::Concat(axis + directions.len() as u32, moving)))
}
