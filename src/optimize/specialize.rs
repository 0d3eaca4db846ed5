//! Cheaper ops for particular constants: powers of one to three and of halves, powers of two.
//!
//! Powers are accuracy rules: the replacement rounds once or a few times where `pow` has a published bound.
//! Division by powers of two is exact, for floats by the reciprocal, for integers by shifts and masks.

use crate::dtype::Scalar;
use crate::graph::{Node, NodeId};
use crate::ops::BinaryOp;
use crate::optimize::rewrite::Rewriter;
use crate::optimize::rule::{Rule, When};

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::accuracy("pow_one", ["(pow ?x 1)", "?x"], "x¹ = x, without rounding"),
    Rule::accuracy("pow_two", ["(pow ?x 2)", "(mul ?x ?x)"], "the correctly rounded square"),
    Rule::accuracy(
        "pow_three",
        ["(pow ?x 3)", "(mul (mul ?x ?x) ?x)"],
        "two roundings: at most 1 ULP; where the square over- or underflows so does the cube",
    ),
    Rule::accuracy(
        "pow_minus_one",
        ["(pow ?x -1)", "(div 1 ?x)"],
        "the correctly rounded reciprocal; pow(±0, −1) = ±inf as in C99",
    ),
    Rule::accuracy(
        "pow_half",
        ["(pow ?x 0.5)", "(select (eq ?x -inf) inf (sqrt (add ?x 0)))"],
        "the correctly rounded root; C99: pow(−0, ½) = +0, which x + 0 gives, and pow(−inf, ½) = +inf",
    ),
    Rule::accuracy(
        "pow_minus_half",
        ["(pow ?x -0.5)", "(select (eq ?x -inf) 0 (div 1 (sqrt (add ?x 0))))"],
        "two roundings: at most 1 ULP; C99: pow(−0, −½) = +inf and pow(−inf, −½) = +0",
    ),
    Rule::accuracy("pow_of_two", ["(pow 2 ?x)", "(exp2 ?x)"], "the same function, within 1 ULP"),
    Rule::exact(
        "divide_by_power_of_two",
        When::Float,
        ["(div ?x c)", "(mul ?x 1/c)"],
        "1/c is exact, so both sides round the same number",
    )
    .by("c = ±2^k, and 1/c a normal number", &["div"], divide_by_power_of_two),
    Rule::exact(
        "multiply_by_power_of_two",
        When::Integer,
        ["(mul ?x 2^k)", "(shl ?x k)"],
        "both multiply modulo 2^width",
    )
    .by("k > 0", &["mul"], multiply_by_power_of_two),
    Rule::exact(
        "floor_divide_by_power_of_two",
        When::Integer,
        ["(floor_div ?x 2^k)", "(shr ?x k)"],
        "both round down; the shift brings in the sign",
    )
    .by("k > 0", &["floor_div"], floor_divide_by_power_of_two),
    Rule::exact(
        "remainder_by_power_of_two",
        When::Integer,
        ["(rem ?x 2^k)", "(and ?x 2^k−1)"],
        "the remainder by a positive number is not negative, also in two's complement",
    )
    .by("k > 0", &["rem"], remainder_by_power_of_two),
];

/// The operands of a node with this op whose second one is a constant.
fn by_constant(rewriter: &Rewriter, id: NodeId, op: BinaryOp) -> Option<(NodeId, Scalar)> {
    let &Node::Binary(found, [x, c]) = rewriter.node(id) else { return None };
    Some((x, rewriter.constant(c)?)).filter(|_| found == op)
}

fn divide_by_power_of_two(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, divisor) = by_constant(rewriter, id, BinaryOp::Div)?;
    let reciprocal = rewriter.scalar(exact_reciprocal(divisor)?)?;
    rewriter.binary(BinaryOp::Mul, x, reciprocal)
}

/// 1/c for a power of two c, if both are normal numbers.
fn exact_reciprocal(value: Scalar) -> Option<Scalar> {
    match value {
        Scalar::F32(c) => {
            let exact = c.is_normal() && c.to_bits() & 0x007f_ffff == 0 && (1.0 / c).is_normal();
            exact.then(|| Scalar::F32(1.0 / c))
        }
        Scalar::F64(c) => {
            let exact = c.is_normal() && c.to_bits() & 0x000f_ffff_ffff_ffff == 0 && (1.0 / c).is_normal();
            exact.then(|| Scalar::F64(1.0 / c))
        }
        Scalar::Bool(_)
        | Scalar::I8(_)
        | Scalar::U8(_)
        | Scalar::I32(_)
        | Scalar::U32(_)
        | Scalar::I64(_)
        | Scalar::U64(_) => None,
    }
}

/// The operand and k of an integer op with 2^k, k > 0.
fn by_power(rewriter: &Rewriter, id: NodeId, op: BinaryOp) -> Option<(NodeId, u32)> {
    let (x, value) = by_constant(rewriter, id, op)?;
    // The lowest signed integer has one bit, and is no power of two.
    let positive = value.dtype().is_integer() && value.to_i64().is_none_or(|value| value > 0);
    let bits = value.bits();
    (positive && bits.is_power_of_two() && bits > 1).then(|| (x, bits.trailing_zeros()))
}

fn multiply_by_power_of_two(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, power) = by_power(rewriter, id, BinaryOp::Mul)?;
    let dtype = rewriter.ty(x).dtype;
    let amount = rewriter.scalar(Scalar::U32(power).cast(dtype))?;
    rewriter.binary(BinaryOp::Shl, x, amount)
}

fn floor_divide_by_power_of_two(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, power) = by_power(rewriter, id, BinaryOp::FloorDiv)?;
    let dtype = rewriter.ty(x).dtype;
    let amount = rewriter.scalar(Scalar::U32(power).cast(dtype))?;
    rewriter.binary(BinaryOp::Shr, x, amount)
}

fn remainder_by_power_of_two(rewriter: &mut Rewriter, id: NodeId) -> Option<NodeId> {
    let (x, power) = by_power(rewriter, id, BinaryOp::Rem)?;
    let dtype = rewriter.ty(x).dtype;
    let mask = rewriter.scalar(Scalar::U64((1 << power) - 1).cast(dtype))?;
    rewriter.binary(BinaryOp::And, x, mask)
}
