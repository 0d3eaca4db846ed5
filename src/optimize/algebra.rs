//! Exact algebra of numbers: neutral and absorbing elements, signs, roundings, comparisons, selects, casts.
//!
//! Every rule gives the same bits for every input. What looks like algebra and is not exact for floats (x + 0,
//! x·0, x − x, x / x, −(a − b)) is restricted to integers, whose arithmetic wraps.

use crate::dtype::{DType, Kind};
use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};

const NEUTRAL: &str = "the element is neutral, −0.0, infinities and NaN included";
const WRAPPING: &str = "holds in the ring of integers modulo 2^width";
const SIGN: &str = "negation flips the sign bit and nothing else, and the op is symmetric in it";
const CHOICE: &str = "select takes one of its values, unchanged";
const ORDER: &str = "an integer or a bool is always comparable, and equal to itself";
const NAN: &str = "a float is unordered with itself exactly if it is NaN";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("share_commuted", When::Any, ["(f ?x ?y)", "(f ?y ?x)"], "commutative ops give the same bits both ways").by(
        "f commutative, and (f ?y ?x) is an older node",
        &["binary"],
        share_commuted,
    ),
    Rule::exact("constant_right", When::Any, ["(f c ?x)", "(f ?x c)"], "commutative ops give the same bits both ways").by(
        "f commutative, c constant, ?x not",
        &["binary"],
        constant_right,
    ),
    Rule::exact("add_zero", When::Integer, ["(add ?x 0)", "?x"], WRAPPING),
    Rule::exact("add_negative_zero", When::Float, ["(add ?x -0.0)", "?x"], "IEEE 754 §6.3: +0 + −0 = +0 and −0 + −0 = −0"),
    Rule::exact("sub_zero", When::Any, ["(sub ?x 0)", "?x"], "IEEE 754 §6.3: −0 − +0 = −0 and +0 − +0 = +0"),
    Rule::exact("zero_sub", When::Integer, ["(sub 0 ?x)", "(neg ?x)"], WRAPPING),
    Rule::exact("negative_zero_sub", When::Float, ["(sub -0.0 ?x)", "(neg ?x)"], "−0 − +0 = −0 and −0 − −0 = +0; else the sign flips"),
    Rule::exact("sub_self", When::Integer, ["(sub ?x ?x)", "0"], WRAPPING),
    Rule::exact("add_neg", When::Any, ["(add ?x (neg ?y))", "(sub ?x ?y)"], "IEEE 754 defines x − y as x + (−y)"),
    Rule::exact("sub_neg", When::Any, ["(sub ?x (neg ?y))", "(add ?x ?y)"], "IEEE 754 defines x − y as x + (−y)"),
    Rule::exact("neg_sub", When::Integer, ["(neg (sub ?x ?y))", "(sub ?y ?x)"], WRAPPING),
    Rule::exact("mul_one", When::Any, ["(mul ?x 1)", "?x"], NEUTRAL),
    Rule::exact("mul_zero", When::Integer, ["(mul ?x 0)", "0"], WRAPPING),
    Rule::exact("mul_minus_one", When::Any, ["(mul ?x -1)", "(neg ?x)"], "only the sign changes; integers: −1 is all ones"),
    Rule::exact("mul_neg_neg", When::Any, ["(mul (neg ?x) (neg ?y))", "(mul ?x ?y)"], "the sign is the exclusive or of both signs"),
    Rule::exact("div_one", When::Float, ["(div ?x 1)", "?x"], NEUTRAL),
    Rule::exact("div_minus_one", When::Float, ["(div ?x -1)", "(neg ?x)"], "only the sign changes"),
    Rule::exact("div_neg_neg", When::Float, ["(div (neg ?x) (neg ?y))", "(div ?x ?y)"], "the sign is the exclusive or of both signs"),
    Rule::exact("floor_div_one", When::Integer, ["(floor_div ?x 1)", "?x"], "an exact quotient"),
    Rule::exact("floor_div_zero", When::Integer, ["(floor_div ?x 0)", "0"], "integer division by zero is 0 by definition"),
    Rule::exact("zero_floor_div", When::Integer, ["(floor_div 0 ?x)", "0"], "0 divided by anything, 0 included, is 0"),
    Rule::exact("rem_one", When::Integer, ["(rem ?x 1)", "0"], "1 divides everything"),
    Rule::exact("rem_zero", When::Integer, ["(rem ?x 0)", "0"], "the remainder by integer zero is 0 by definition"),
    Rule::exact("zero_rem", When::Integer, ["(rem 0 ?x)", "0"], "everything divides 0"),
    Rule::exact("rem_self", When::Integer, ["(rem ?x ?x)", "0"], "x divides x, and the remainder by 0 is 0"),
    Rule::exact("idempotent", When::Any, ["(f ?x ?x)", "?x"], "f(x, x) = x, a fact of the op's row").by(
        "f idempotent",
        &["binary"],
        idempotent,
    ),
    Rule::exact("maximum_lowest", When::Float, ["(maximum ?x -inf)", "?x"], "nothing is below −∞, and NaN stays NaN").guarded(
        "no axis of ?x has the constant size 0: the bound says what the largest of no elements is",
        |rewriter, variables| rewriter.ty(variables[0]).shape.iter().all(|size| size.constant() != Some(0)),
    ),
    Rule::exact("stop_gradient", When::Float, ["(stop_gradient ?x)", "?x"], "the identity; what takes derivatives has run before"),
    Rule::exact("involution", When::Any, ["(f (f ?x))", "?x"], "f(f(x)) = x, a fact of the op's row").by(
        "f an involution",
        &["unary"],
        involution,
    ),
    Rule::exact("even", When::Signed, ["(f (neg ?x))", "(f ?x)"], "f(−x) = f(x), a fact of the op's row; abs gives x or −x").by(
        "f even; also (f (abs ?x))",
        &["unary"],
        even,
    ),
    Rule::exact("abs_unsigned", When::Unsigned, ["(abs ?x)", "?x"], "an unsigned integer is its own magnitude"),
    Rule::exact("abs_square", When::Float, ["(abs (mul ?x ?x))", "(mul ?x ?x)"], "the sign of a square is plus"),
    Rule::exact("abs_exp", When::Float, ["(abs (exp ?x))", "(exp ?x)"], "an exponential has the sign plus, also when it vanishes"),
    Rule::exact("square_abs", When::Any, ["(mul (abs ?x) (abs ?x))", "(mul ?x ?x)"], "the sign of a square is plus; integers wrap alike"),
    Rule::exact("round_rounded", When::Float, ["(f (g ?x))", "(g ?x)"], "an integer, −0, an infinity or NaN is its own rounding").by(
        "f and g among floor, ceil, trunc, round",
        &["floor", "ceil", "trunc", "round"],
        round_rounded,
    ),
    Rule::exact("sign_sign", When::Any, ["(sign (sign ?x))", "(sign ?x)"], "−1, 0, 1 and NaN are their own signs"),
    Rule::exact("classify_sign", When::Float, ["(f (neg ?x))", "(f ?x)"], SIGN).by(
        "f among is_nan, is_inf, is_finite; also (f (abs ?x))",
        &["is_nan", "is_inf", "is_finite"],
        classify_sign,
    ),
    Rule::exact("copysign_neg", When::Float, ["(copysign (neg ?x) ?y)", "(copysign ?x ?y)"], "the sign of the first is not looked at"),
    Rule::exact("copysign_abs", When::Float, ["(copysign (abs ?x) ?y)", "(copysign ?x ?y)"], "the sign of the first is not looked at"),
    Rule::exact("copysign_self", When::Float, ["(copysign ?x ?x)", "?x"], "a number has its own sign"),
    Rule::exact("pow_zero", When::Any, ["(pow ?x 0)", "1"], "C99 F.9.4.4: 1 for every base, NaN included; integers by definition"),
    Rule::exact("one_pow", When::Any, ["(pow 1 ?x)", "1"], "C99 F.9.4.4: 1 for every exponent, NaN included; integers by definition"),
    Rule::exact("pow_one_integer", When::Integer, ["(pow ?x 1)", "?x"], "one factor"),
    Rule::exact("select_true", When::Any, ["(select true ?x ?y)", "?x"], CHOICE),
    Rule::exact("select_false", When::Any, ["(select false ?x ?y)", "?y"], CHOICE),
    Rule::exact("select_same", When::Any, ["(select ?c ?x ?x)", "?x"], CHOICE),
    Rule::exact("select_select_then", When::Any, ["(select ?c (select ?c ?x ?y) ?z)", "(select ?c ?x ?z)"], CHOICE),
    Rule::exact("select_select_else", When::Any, ["(select ?c ?x (select ?c ?y ?z))", "(select ?c ?x ?z)"], CHOICE),
    Rule::exact("select_not", When::Any, ["(select (not ?c) ?x ?y)", "(select ?c ?y ?x)"], CHOICE),
    Rule::exact("select_truth", When::Bool, ["(select ?c true false)", "?c"], CHOICE),
    Rule::exact("select_falsehood", When::Bool, ["(select ?c false true)", "(not ?c)"], CHOICE),
    Rule::exact("lt_self", When::Any, ["(lt ?x ?x)", "false"], "nothing is below itself, NaN included"),
    Rule::exact("gt_self", When::Any, ["(gt ?x ?x)", "false"], "nothing is above itself, NaN included"),
    Rule::exact("le_self", When::Logical, ["(le ?x ?x)", "true"], ORDER),
    Rule::exact("ge_self", When::Logical, ["(ge ?x ?x)", "true"], ORDER),
    Rule::exact("eq_self", When::Logical, ["(eq ?x ?x)", "true"], ORDER),
    Rule::exact("ne_self", When::Logical, ["(ne ?x ?x)", "false"], ORDER),
    Rule::exact("ne_self_float", When::Float, ["(ne ?x ?x)", "(is_nan ?x)"], NAN),
    Rule::exact("eq_self_float", When::Float, ["(eq ?x ?x)", "(not (is_nan ?x))"], NAN),
    Rule::exact("le_self_float", When::Float, ["(le ?x ?x)", "(not (is_nan ?x))"], NAN),
    Rule::exact("ge_self_float", When::Float, ["(ge ?x ?x)", "(not (is_nan ?x))"], NAN),
    Rule::exact("not_eq", When::Any, ["(not (eq ?x ?y))", "(ne ?x ?y)"], "ne is the complement of eq, also with NaN"),
    Rule::exact("not_ne", When::Any, ["(not (ne ?x ?y))", "(eq ?x ?y)"], "ne is the complement of eq, also with NaN"),
    Rule::exact("not_lt", When::Logical, ["(not (lt ?x ?y))", "(ge ?x ?y)"], ORDER),
    Rule::exact("not_le", When::Logical, ["(not (le ?x ?y))", "(gt ?x ?y)"], ORDER),
    Rule::exact("not_gt", When::Logical, ["(not (gt ?x ?y))", "(le ?x ?y)"], ORDER),
    Rule::exact("not_ge", When::Logical, ["(not (ge ?x ?y))", "(lt ?x ?y)"], ORDER),
    Rule::exact("merge_constants", When::Any, ["(f (f ?x c) d)", "(f ?x (f c d))"], "f is associative for this dtype: a fact of the row, or wrapping").by(
        "c and d constants; f associative, or add or mul of integers",
        &["binary"],
        merge_constants,
    ),
    Rule::exact("cast_same", When::Any, ["(cast<T> ?x:T)", "?x"], "a cast to its own dtype is the identity").by("", &["cast"], cast_same),
    Rule::exact("cast_cast", When::Any, ["(cast<T> (cast<M> ?x))", "(cast<T> ?x)"], "a cast depends on the value alone, which the first cast keeps, or on its low bits").by(
        "M holds every value of ?x, and does not saturate where ?x would wrap; or integers throughout, T no wider than M",
        &["cast"],
        cast_cast,
    ),
];

fn share_commuted(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(op, [a, b]) = rewriter.node(id) else { return None };
    let twin = rewriter.find(&Node::Binary(op, [b, a])).filter(|_| op.row().facts.commutative)?;
    (twin < id).then_some(twin)
}

fn constant_right(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(op, [a, b]) = rewriter.node(id) else { return None };
    let swap = op.row().facts.commutative && rewriter.constant(a).is_some() && rewriter.constant(b).is_none();
    if swap { rewriter.binary(op, b, a) } else { None }
}

fn idempotent(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(op, [a, b]) = rewriter.node(id) else { return None };
    (a == b && op.row().facts.idempotent).then_some(a)
}

/// The two ops and the operand of `f(g(x))`.
fn nested(rewriter: &Rewriter, id: NodeId) -> Option<(UnaryOp, UnaryOp, NodeId)> {
    let &Node::Unary(outer, inner) = rewriter.node(id) else { return None };
    let &Node::Unary(op, x) = rewriter.node(inner) else { return None };
    Some((outer, op, x))
}

fn involution(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (outer, inner, x) = nested(rewriter, id)?;
    (outer == inner && outer.row().facts.involution).then_some(x)
}

fn even(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (outer, inner, x) = nested(rewriter, id)?;
    // Unsigned negation wraps to another magnitude.
    let signed = When::Signed.holds(rewriter.ty(x).dtype);
    let matches = outer.row().facts.even && matches!(inner, UnaryOp::Neg | UnaryOp::Abs) && signed;
    if matches { rewriter.unary(outer, x) } else { None }
}

fn is_rounding(op: UnaryOp) -> bool {
    matches!(op, UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc | UnaryOp::Round)
}

fn round_rounded(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (outer, inner, x) = nested(rewriter, id)?;
    if is_rounding(outer) && is_rounding(inner) { rewriter.unary(inner, x) } else { None }
}

fn classify_sign(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (outer, inner, x) = nested(rewriter, id)?;
    if matches!(inner, UnaryOp::Neg | UnaryOp::Abs) { rewriter.unary(outer, x) } else { None }
}

fn merge_constants(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Binary(op, [inner, d]) = rewriter.node(id) else { return None };
    let &Node::Binary(inner_op, [x, c]) = rewriter.node(inner) else { return None };
    let integers = rewriter.ty(id).dtype.is_integer();
    let associative = op.row().facts.associative || (integers && matches!(op, BinaryOp::Add | BinaryOp::Mul));
    if op != inner_op || !associative {
        return None;
    }
    let merged = op.apply(rewriter.constant(c)?, rewriter.constant(d)?)?;
    let merged = rewriter.scalar(merged)?;
    rewriter.binary(op, x, merged)
}

fn cast_same(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Cast(dtype, x) = rewriter.node(id) else { return None };
    (rewriter.ty(x).dtype == dtype).then_some(x)
}

fn cast_cast(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let &Node::Cast(last, inner) = rewriter.node(id) else { return None };
    let &Node::Cast(middle, x) = rewriter.node(inner) else { return None };
    if skips(rewriter.ty(x).dtype, middle, last) { rewriter.add(Node::Cast(last, x)) } else { None }
}

/// Whether a cast by way of `middle` gives what a direct one does.
pub(super) fn skips(first: DType, middle: DType, last: DType) -> bool {
    let low_bits = first.is_integer() && middle.is_integer() && last.is_integer() && last.size() <= middle.size();
    // An integer wraps where the float of the same value saturates.
    let saturates = !first.is_float() && middle.is_float() && last.is_integer();
    low_bits || (holds(middle, first) && (!saturates || holds(last, first)))
}

/// Whether a dtype has every value of another.
fn holds(wide: DType, narrow: DType) -> bool {
    let (larger, no_smaller) = (wide.size() > narrow.size(), wide.size() >= narrow.size());
    match (wide.kind(), narrow.kind()) {
        (_, Kind::Bool) => true,
        (Kind::Bool, Kind::Unsigned | Kind::Signed | Kind::Float) => false,
        (Kind::Float, Kind::Float) => no_smaller,
        // The significand has fewer bits than the type.
        (Kind::Float, Kind::Unsigned | Kind::Signed) => larger,
        (Kind::Signed, Kind::Unsigned) => larger,
        (Kind::Signed, Kind::Signed) | (Kind::Unsigned, Kind::Unsigned) => no_smaller,
        (Kind::Unsigned, Kind::Signed) | (Kind::Unsigned | Kind::Signed, Kind::Float) => false,
    }
}
