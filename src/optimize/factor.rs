//! Exact factoring: common factors of integers, signs, absorption, comparisons of negated numbers.
//!
//! Integers form a ring, in which all of this holds. Of floats only signs are moved: a common factor taken out of a
//! sum of floats rounds otherwise.

use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};

const RING: &str = "the distributive law of the ring of integers modulo 2^width";
const GROUP: &str = "addition of integers modulo 2^width is a group";
const LATTICE: &str = "the absorption law of a total order; no NaN among integers and bools";
const SIGN: &str = "the sign of a product or quotient is the exclusive or of both signs, and negation flips it";
const MIRROR: &str = "negation mirrors the order of floats, and keeps NaN unordered; −0 equals +0";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("negate_constant", When::Any, ["(f (neg ?x) c)", "(f ?x −c)"], SIGN).by(
        "c constant; f mul, or div of floats",
        &["mul", "div"],
        negate_constant,
    ),
    Rule::exact("neg_of_scaled", When::Any, ["(neg (f ?x c))", "(f ?x −c)"], SIGN).by(
        "c constant, the product used only here; f mul, or div of floats",
        &["neg"],
        neg_of_scaled,
    ),
    Rule::exact("mul_neg", When::Any, ["(mul ?x (neg ?y))", "(neg (mul ?x ?y))"], SIGN)
        .guarded("the negation used only here", |rewriter, variables| negation_is_single(rewriter, variables, 1)),
    Rule::exact("div_neg_left", When::Float, ["(div (neg ?x) ?y)", "(neg (div ?x ?y))"], SIGN)
        .guarded("the negation used only here", |rewriter, variables| negation_is_single(rewriter, variables, 0)),
    Rule::exact("div_neg_right", When::Float, ["(div ?x (neg ?y))", "(neg (div ?x ?y))"], SIGN)
        .guarded("the negation used only here", |rewriter, variables| negation_is_single(rewriter, variables, 1)),
    Rule::exact("distribute", When::Integer, ["(add (mul ?x ?y) (mul ?x ?z))", "(mul ?x (add ?y ?z))"], RING),
    Rule::exact("distribute_sub", When::Integer, ["(sub (mul ?x ?y) (mul ?x ?z))", "(mul ?x (sub ?y ?z))"], RING),
    Rule::exact("distribute_one", When::Integer, ["(add (mul ?x ?y) ?x)", "(mul ?x (add ?y 1))"], RING),
    Rule::exact("twice", When::Integer, ["(add ?x ?x)", "(mul ?x 2)"], RING),
    Rule::exact("add_then_sub", When::Integer, ["(sub (add ?x ?y) ?y)", "?x"], GROUP),
    Rule::exact("sub_then_add", When::Integer, ["(add (sub ?x ?y) ?y)", "?x"], GROUP),
    Rule::exact("sub_of_sum", When::Integer, ["(sub ?x (add ?x ?y))", "(neg ?y)"], GROUP),
    Rule::exact("sub_of_difference", When::Integer, ["(sub ?x (sub ?x ?y))", "?y"], GROUP),
    Rule::exact("minimum_absorbs", When::Logical, ["(minimum ?x (maximum ?x ?y))", "?x"], LATTICE),
    Rule::exact("maximum_absorbs", When::Logical, ["(maximum ?x (minimum ?x ?y))", "?x"], LATTICE),
    Rule::exact(
        "and_of_nots",
        When::Logical,
        ["(and (not ?x) (not ?y))", "(not (or ?x ?y))"],
        "De Morgan's law, bit by bit",
    ),
    Rule::exact(
        "or_of_nots",
        When::Logical,
        ["(or (not ?x) (not ?y))", "(not (and ?x ?y))"],
        "De Morgan's law, bit by bit",
    ),
    Rule::exact(
        "xor_of_nots",
        When::Logical,
        ["(xor (not ?x) (not ?y))", "(xor ?x ?y)"],
        "two flips cancel, bit by bit",
    ),
    Rule::exact("lt_negated", When::Float, ["(lt (neg ?x) (neg ?y))", "(gt ?x ?y)"], MIRROR),
    Rule::exact("le_negated", When::Float, ["(le (neg ?x) (neg ?y))", "(ge ?x ?y)"], MIRROR),
    Rule::exact("gt_negated", When::Float, ["(gt (neg ?x) (neg ?y))", "(lt ?x ?y)"], MIRROR),
    Rule::exact("ge_negated", When::Float, ["(ge (neg ?x) (neg ?y))", "(le ?x ?y)"], MIRROR),
    Rule::exact(
        "eq_negated",
        When::Signed,
        ["(eq (neg ?x) (neg ?y))", "(eq ?x ?y)"],
        "negation is one to one; −0 equals +0",
    ),
    Rule::exact(
        "ne_negated",
        When::Signed,
        ["(ne (neg ?x) (neg ?y))", "(ne ?x ?y)"],
        "negation is one to one; −0 equals +0",
    ),
];

/// Whether −y, for the variable y of this number, has one user: a negation of many users costs less than one of each.
fn negation_is_single(rewriter: &Rewriter, variables: &[NodeId], number: usize) -> bool {
    let negation = rewriter.find(&Node::Unary(UnaryOp::Neg, variables[number]));
    negation.is_some_and(|negation| rewriter.uses(negation) <= 1)
}

/// The op, the operand and −c of a product with a constant c or a quotient by one.
fn scaled(rewriter: &mut Rewriter, id: NodeId) -> Option<(BinaryOp, NodeId, NodeId)> {
    let &Node::Binary(op @ (BinaryOp::Mul | BinaryOp::Div), [x, c]) = rewriter.node(id) else { return None };
    let negative = UnaryOp::Neg.apply(rewriter.constant(c)?)?;
    if rewriter.constant(x).is_some() {
        return None;
    }
    Some((op, x, rewriter.scalar(negative)?))
}

fn negate_constant(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(_, [x, _]) = rewriter.node(id) else { return None };
    let &Node::Unary(UnaryOp::Neg, x) = rewriter.node(x) else { return None };
    let (op, _, c) = scaled(rewriter, id)?;
    rewriter.binary(op, x, c)
}

fn neg_of_scaled(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Unary(UnaryOp::Neg, product) = rewriter.node(id) else { return None };
    if rewriter.uses(product) > 1 {
        return None;
    }
    let (op, x, c) = scaled(rewriter, product)?;
    rewriter.binary(op, x, c)
}
