//! Exact algebra of bools and bit patterns: and, or, xor, not, shifts.
//!
//! All of it is Boolean algebra, bit by bit; `-1` is the pattern of all ones in every integer dtype.

use crate::optimize::rule::{Rule, When};

const BOOLEAN: &str = "Boolean algebra, bit by bit";
const SHIFT: &str = "a shift by nothing keeps every bit; 0 has no bits to shift";

/// The rules, in the order in which they are tried.
pub(super) static RULES: &[Rule] = &[
    Rule::exact("and_zero", When::Integer, ["(and ?x 0)", "0"], BOOLEAN),
    Rule::exact("and_ones", When::Integer, ["(and ?x -1)", "?x"], BOOLEAN),
    Rule::exact("and_false", When::Bool, ["(and ?x false)", "false"], BOOLEAN),
    Rule::exact("and_true", When::Bool, ["(and ?x true)", "?x"], BOOLEAN),
    Rule::exact("or_zero", When::Integer, ["(or ?x 0)", "?x"], BOOLEAN),
    Rule::exact("or_ones", When::Integer, ["(or ?x -1)", "-1"], BOOLEAN),
    Rule::exact("or_false", When::Bool, ["(or ?x false)", "?x"], BOOLEAN),
    Rule::exact("or_true", When::Bool, ["(or ?x true)", "true"], BOOLEAN),
    Rule::exact("xor_zero", When::Integer, ["(xor ?x 0)", "?x"], BOOLEAN),
    Rule::exact("xor_ones", When::Integer, ["(xor ?x -1)", "(not ?x)"], BOOLEAN),
    Rule::exact("xor_false", When::Bool, ["(xor ?x false)", "?x"], BOOLEAN),
    Rule::exact("xor_true", When::Bool, ["(xor ?x true)", "(not ?x)"], BOOLEAN),
    Rule::exact("xor_self", When::Integer, ["(xor ?x ?x)", "0"], BOOLEAN),
    Rule::exact("xor_self_bool", When::Bool, ["(xor ?x ?x)", "false"], BOOLEAN),
    Rule::exact("and_not_self", When::Integer, ["(and ?x (not ?x))", "0"], BOOLEAN),
    Rule::exact("and_not_self_bool", When::Bool, ["(and ?x (not ?x))", "false"], BOOLEAN),
    Rule::exact("or_not_self", When::Integer, ["(or ?x (not ?x))", "-1"], BOOLEAN),
    Rule::exact("or_not_self_bool", When::Bool, ["(or ?x (not ?x))", "true"], BOOLEAN),
    Rule::exact("and_absorbs_or", When::Logical, ["(and ?x (or ?x ?y))", "?x"], BOOLEAN),
    Rule::exact("or_absorbs_and", When::Logical, ["(or ?x (and ?x ?y))", "?x"], BOOLEAN),
    Rule::exact("eq_true", When::Bool, ["(eq ?x true)", "?x"], BOOLEAN),
    Rule::exact("eq_false", When::Bool, ["(eq ?x false)", "(not ?x)"], BOOLEAN),
    Rule::exact("ne_true", When::Bool, ["(ne ?x true)", "(not ?x)"], BOOLEAN),
    Rule::exact("ne_false", When::Bool, ["(ne ?x false)", "?x"], BOOLEAN),
    Rule::exact("shl_zero", When::Integer, ["(shl ?x 0)", "?x"], SHIFT),
    Rule::exact("shr_zero", When::Integer, ["(shr ?x 0)", "?x"], SHIFT),
    Rule::exact("zero_shl", When::Integer, ["(shl 0 ?x)", "0"], SHIFT),
    Rule::exact("zero_shr", When::Integer, ["(shr 0 ?x)", "0"], SHIFT),
];
