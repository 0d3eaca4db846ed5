//! Stabilization of elementwise formulas: no cancellation, no needless overflow.
//!
//! Each replacement computes the same mathematical function; where the formula as written loses digits or
//! overflows the replacement does not, elsewhere it is at most one ULP worse. Domains are kept: what was NaN
//! outside the domain of a logarithm or a root stays NaN. `0 − x` instead of `−x` keeps the sign of a zero.

use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::Rule;

const CANCELS: &str = "the sum rounds away what the function of the small argument keeps";
const INVERSE: &str = "inverse functions on this domain; no rounding, overflow or underflow remains";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::accuracy("ln_exp", ["(ln (exp ?x))", "?x"], INVERSE),
    Rule::accuracy("log2_exp2", ["(log2 (exp2 ?x))", "?x"], INVERSE),
    Rule::accuracy("exp2_log2", ["(exp2 (log2 ?x))", "(select (lt ?x 0) nan (abs ?x))"], "as exp_ln"),
    Rule::accuracy("log1p_expm1", ["(log1p (expm1 ?x))", "?x"], INVERSE),
    Rule::accuracy(
        "exp_ln",
        ["(exp (ln ?x))", "(select (lt ?x 0) nan (abs ?x))"],
        "inverse functions from zero up, NaN below; the exponential would blow up the logarithm's rounding",
    ),
    Rule::accuracy(
        "expm1_log1p",
        ["(expm1 (log1p ?x))", "(select (lt ?x -1) nan ?x)"],
        "inverse functions from −1 up, NaN below",
    ),
    Rule::accuracy(
        "exp_log1p",
        ["(exp (log1p ?x))", "(select (lt ?x -1) nan (add ?x 1))"],
        "inverse functions from −1 up, NaN below; one rounding remains",
    ),
    Rule::accuracy(
        "expm1_ln",
        ["(expm1 (ln ?x))", "(select (lt ?x 0) nan (sub ?x 1))"],
        "inverse functions from zero up, NaN below; one rounding remains",
    ),
    Rule::accuracy(
        "square_of_root",
        ["(mul (sqrt ?x) (sqrt ?x))", "(select (lt ?x 0) nan (abs ?x))"],
        "inverse functions from zero up, NaN below; the square would double the error of the root",
    ),
    Rule::accuracy(
        "ln_of_root",
        ["(ln (sqrt ?x))", "(mul (ln ?x) 0.5)"],
        "the factor ½ is exact, so one rounding is left out; both have the domain x ≥ 0",
    ),
    Rule::accuracy(
        "sqrt_square",
        ["(sqrt (mul ?x ?x))", "(abs ?x)"],
        "the root of a rounded square is the magnitude, unless the square overflows or underflows",
    ),
    Rule::accuracy(
        "log_sigmoid",
        ["(ln (div 1 (add (exp ?x) 1)))", "(sub 0 (log1p (exp ?x)))"],
        "−ln(1 + eˣ) without the rounding of the quotient, which is near 1 for x below zero",
    ),
    Rule::accuracy(
        "log_logistic",
        [
            "(ln (div (select (ge ?x 0) 1 (exp (select (ge ?x 0) (neg ?x) ?x))) (add (exp (select (ge ?x 0) (neg ?x) ?x)) 1)))",
            "(sub (select (ge ?x 0) 0 ?x) (log1p (exp (select (ge ?x 0) (neg ?x) ?x))))",
        ],
        "the quotient is e^min(x, 0) / (1 + e^−|x|); its logarithm needs neither quotient nor sum",
    ),
    Rule::accuracy(
        "log_one_minus_sigmoid",
        [
            "(ln (sub 1 (div 1 (add (exp ?x) 1))))",
            "(sub (select (ge ?x 0) 0 ?x) (log1p (exp (select (ge ?x 0) (neg ?x) ?x))))",
        ],
        "1 − 1/(1 + eˣ) = eˣ/(1 + eˣ), whose logarithm is min(x, 0) − ln(1 + e^−|x|)",
    ),
    Rule::accuracy(
        "log_one_minus_logistic",
        [
            "(ln (sub 1 (div (select (ge ?x 0) 1 (exp (select (ge ?x 0) (neg ?x) ?x))) (add (exp (select (ge ?x 0) (neg ?x) ?x)) 1))))",
            "(sub (select (ge ?x 0) (neg ?x) 0) (log1p (exp (select (ge ?x 0) (neg ?x) ?x))))",
        ],
        "1 − σ(x) = σ(−x), whose logarithm is −max(x, 0) − ln(1 + e^−|x|)",
    ),
    Rule::accuracy(
        "sigmoid",
        [
            "(div (exp ?x) (add (exp ?x) 1))",
            "(div (select (ge ?x 0) 1 (exp (select (ge ?x 0) (neg ?x) ?x))) (add (exp (select (ge ?x 0) (neg ?x) ?x)) 1))",
        ],
        "both sides divided by e^max(x, 0), so that no exponential overflows",
    ),
    Rule::accuracy(
        "log1mexp",
        [
            "(ln (sub 0 (expm1 ?x)))",
            "(select (lt ?x -0.6931471805599453) (log1p (sub 0 (exp ?x))) (ln (neg (expm1 ?x))))",
        ],
        "Mächler 2012: below −ln 2 the difference is near 1, above it is near 0",
    ),
    Rule::accuracy(
        "log1mexp_of_log1p",
        [
            "(log1p (neg (exp ?x)))",
            "(select (lt ?x -0.6931471805599453) (log1p (sub 0 (exp ?x))) (ln (neg (expm1 ?x))))",
        ],
        "as log1mexp",
    ),
    Rule::accuracy("log1p", ["(ln (add ?x 1))", "(log1p ?x)"], CANCELS),
    Rule::accuracy("log1p_minus", ["(ln (sub 1 ?x))", "(log1p (sub 0 ?x))"], CANCELS),
    Rule::accuracy("ln_of_log1p_sub", ["(log1p (sub ?x 1))", "(ln ?x)"], CANCELS),
    Rule::accuracy("ln_of_log1p_add", ["(log1p (add ?x -1))", "(ln ?x)"], CANCELS),
    Rule::accuracy("expm1", ["(sub (exp ?x) 1)", "(expm1 ?x)"], CANCELS),
    Rule::accuracy("expm1_add", ["(add (exp ?x) -1)", "(expm1 ?x)"], CANCELS),
    Rule::accuracy("one_minus_exp", ["(sub 1 (exp ?x))", "(sub 0 (expm1 ?x))"], CANCELS),
    Rule::accuracy(
        "softplus",
        ["(log1p (exp ?x))", "(add (select (ge ?x 0) ?x 0) (log1p (exp (select (ge ?x 0) (neg ?x) ?x))))"],
        "ln(1 + eˣ) = x + ln(1 + e⁻ˣ), so that the exponential never overflows",
    )
    .guarded("?x is not below zero by construction", may_be_positive),
];

/// Whether the first variable is not visibly −|y| or min(y, 0), for which nothing is gained.
fn may_be_positive(rewriter: &Rewriter, variables: &[NodeId]) -> bool {
    let is_zero = |id: NodeId| rewriter.constant(id).is_some_and(|value| value.to_f64() == 0.0);
    let is_negated = |id: NodeId, y: NodeId| *rewriter.node(id) == Node::Unary(UnaryOp::Neg, y);
    variables.first().is_none_or(|&x| match *rewriter.node(x) {
        Node::Unary(UnaryOp::Neg, inner) => !matches!(rewriter.node(inner), Node::Unary(UnaryOp::Abs, _)),
        Node::Binary(BinaryOp::Minimum, [a, b]) => !is_zero(a) && !is_zero(b),
        // −|y| as `sigmoid` and `softplus` write it, and a difference without its sign.
        Node::Ternary(TernaryOp::Select, [condition, a, b]) => match *rewriter.node(condition) {
            Node::Binary(BinaryOp::Ge, [y, zero]) if is_zero(zero) => !(b == y && is_negated(a, y)),
            Node::Binary(BinaryOp::Ge, [y, z]) => {
                let difference = |id, of: [NodeId; 2]| *rewriter.node(id) == Node::Binary(BinaryOp::Sub, of);
                !(difference(a, [z, y]) && difference(b, [y, z]))
            }
            _ => true,
        },
        _ => true,
    })
}
