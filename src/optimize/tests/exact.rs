//! Exact rules give the same bits over nasty floats, all bytes and all bools, and fire where they should.

use super::evaluate::{Value, evaluate, same};
use super::{apply, build, input, rule};
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node};
use crate::optimize::pattern::{self, Literal, Term};
use crate::optimize::rule::Apply;
use crate::optimize::{Class, Rule, rules};

/// Values of a dtype: all of the small ones, the boundaries of the large ones and some random ones.
fn grid(dtype: DType, dense: bool) -> Vec<Scalar> {
    let edges =
        [0_i64, 1, 2, 3, 7, 8, 31, 32, 63, 64, 100, 127, 128, 255, -1, -2, -3, -7, -8, -127, -128, i64::MAX, i64::MIN];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let count = if dense { 120 } else { 4 };
    let mut values: Vec<Scalar> = match dtype {
        DType::Bool => return vec![Scalar::Bool(false), Scalar::Bool(true)],
        DType::I8 | DType::U8 if dense => return (0..256).map(|bits| Scalar::from_bits(dtype, bits)).collect(),
        DType::F32 | DType::F64 => floats(dtype),
        _ => edges.iter().map(|&edge| Scalar::I64(edge).cast(dtype)).collect(),
    };
    values.extend((0..count).map(|_| Scalar::from_bits(dtype, random())));
    values.sort_by_key(|value| value.bits());
    values.dedup();
    values
}

fn floats(dtype: DType) -> Vec<Scalar> {
    let magnitudes = match dtype {
        DType::F32 => {
            [f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(0x007f_ffff), f32::MAX, f32::EPSILON].map(f64::from)
        }
        _ => [f64::MIN_POSITIVE, f64::from_bits(1), f64::from_bits(0x000f_ffff_ffff_ffff), f64::MAX, f64::EPSILON],
    };
    let common = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.0,
        3.0,
        2.5,
        10.0,
        88.8,
        710.0,
        1e10,
        1e30,
        1e-30,
        f64::INFINITY,
        f64::NAN,
        0.1,
        4503599627370497.5,
    ];
    let all = magnitudes.into_iter().chain(common).flat_map(|value| [value, -value]);
    all.map(|value| Scalar::F64(value).cast(dtype)).collect()
}

/// Arguments for variables of these dtypes: every combination of grid values, of more than three variables of a part.
fn arguments(dtypes: &[DType]) -> Vec<Value> {
    let mut grids: Vec<Vec<Scalar>> = dtypes.iter().map(|&dtype| grid(dtype, dtypes.len() < 3)).collect();
    if dtypes.len() > 3 {
        for grid in &mut grids {
            *grid = grid.iter().copied().step_by(grid.len().div_ceil(10)).collect();
        }
    }
    let total: usize = grids.iter().map(Vec::len).product();
    let column = |variable: usize| {
        let period: usize = grids[variable + 1..].iter().map(Vec::len).product();
        Value::vector((0..total).map(|row| grids[variable][row / period % grids[variable].len()]).collect())
    };
    (0..dtypes.len()).map(column).collect()
}

/// The graph of a term whose numbers have a dtype, and the dtypes of its variables: bool where that is needed.
pub fn graph_of(term: &Term, variables: usize, dtype: DType) -> Option<(Graph, Vec<DType>)> {
    (0..1_usize << variables).find_map(|bools| {
        let dtypes: Vec<DType> =
            (0..variables).map(|variable| if bools >> variable & 1 == 1 { DType::Bool } else { dtype }).collect();
        if !dtypes.contains(&dtype) {
            return None;
        }
        let length = arguments(&dtypes).first().map_or(1, |value| value.shape[0]);
        let mut graph = Graph::new();
        let ids: Vec<_> = (dtypes.iter().enumerate())
            .map(|(variable, &dtype)| input(&mut graph, &format!("v{variable}"), dtype, &[Some(length)]))
            .collect();
        let output = build(&mut graph, term, &ids, dtype)?;
        graph.outputs.push(output);
        Some((graph, dtypes))
    })
}

/// The dtypes for which a rule fires on a term; where it does and claims to be exact, the bits are compared.
fn fires(rule: &'static Rule, term: &Term, variables: usize) -> Vec<DType> {
    let mut fired = Vec::new();
    for dtype in DType::ALL {
        let Some((graph, dtypes)) = graph_of(term, variables, dtype) else { continue };
        let (rewritten, trace) = apply(&graph, &[rule]);
        if trace.total() == 0 {
            continue;
        }
        fired.push(dtype);
        if rule.class == Class::Exact {
            let arguments = arguments(&dtypes);
            let (before, after) = (evaluate(&graph, &arguments), evaluate(&rewritten, &arguments));
            if let Err(difference) = same(&before[0], &after[0]) {
                panic!("{} for {dtype}: {difference}", rule.name);
            }
        }
    }
    fired
}

pub fn parsed(text: &str) -> (Term, usize) {
    let mut names = Vec::new();
    let term = pattern::parse(text, &mut names).unwrap_or_else(|| panic!("{text} does not parse"));
    (term, names.len())
}

fn pattern_rules() -> impl Iterator<Item = &'static Rule> {
    rules().filter(|rule| !matches!(rule.apply, Apply::Code(..) | Apply::Whole(_)))
}

#[test]
fn pattern_rules_fire_and_exact_ones_keep_every_bit() {
    for rule in pattern_rules() {
        assert!(pattern::parse_sides(rule.left, rule.right).is_some(), "{} does not parse", rule.name);
        let (term, variables) = parsed(rule.left);
        assert!(!fires(rule, &term, variables).is_empty(), "{} never fires", rule.name);
    }
}

/// The terms that differ from this one in one literal.
fn with_another_literal(term: &Term) -> Vec<Term> {
    match term {
        Term::Variable(_) => vec![],
        Term::Literal(literal) => vec![Term::Literal(match *literal {
            Literal::Truth(value) => Literal::Truth(!value),
            Literal::Integer(value) => Literal::Integer(value + 5),
            Literal::Real(value) if value == 0.0 => Literal::Real(-value),
            Literal::Real(value) if value.is_finite() => Literal::Real(value + 0.25),
            Literal::Real(_) => Literal::Real(1.0),
        })],
        Term::Op(op, terms) => (0..terms.len())
            .flat_map(|place| {
                with_another_literal(&terms[place]).into_iter().map(move |changed| {
                    let mut terms = terms.clone();
                    terms[place] = changed;
                    Term::Op(*op, terms)
                })
            })
            .collect(),
    }
}

/// The term with the last occurrence of a variable that occurs before made another variable.
fn with_another_variable(term: &Term, seen: &mut Vec<usize>, fresh: usize) -> Option<Term> {
    match term {
        Term::Variable(number) => {
            let again = seen.contains(number);
            seen.push(*number);
            again.then_some(Term::Variable(fresh))
        }
        Term::Literal(_) => None,
        Term::Op(op, terms) => {
            let mut changed = None;
            for (place, term) in terms.iter().enumerate() {
                if let Some(other) = with_another_variable(term, seen, fresh) {
                    let mut terms = terms.clone();
                    terms[place] = other;
                    changed = Some(Term::Op(*op, terms));
                }
            }
            changed
        }
    }
}

#[test]
fn pattern_rules_do_not_fire_on_near_misses() {
    for rule in pattern_rules() {
        let (term, variables) = parsed(rule.left);
        for near in with_another_literal(&term) {
            assert_eq!(fires(rule, &near, variables), [], "{} on another constant: {near:?}", rule.name);
        }
        if let Some(near) = with_another_variable(&term, &mut Vec::new(), variables) {
            assert_eq!(fires(rule, &near, variables + 1), [], "{} on another variable", rule.name);
        }
    }
}

#[test]
fn rules_for_some_dtypes_leave_the_others_alone() {
    for rule in pattern_rules() {
        let (term, variables) = parsed(rule.left);
        for dtype in fires(rule, &term, variables) {
            assert!(rule.when.holds(dtype) || rule.left.starts_with("(select"), "{} for {dtype}", rule.name);
        }
    }
}

/// Code rules: the name, a term, and for how many dtypes it fires.
pub const CODE: &[(&str, &str, usize)] = &[
    ("constant_right", "(add 3 ?x)", 8),
    ("constant_right", "(and true ?x)", 1),
    ("constant_right", "(add ?x 3)", 0),
    ("constant_right", "(sub 3 ?x)", 0),
    ("share_commuted", "(sub (mul ?x ?y) (mul ?y ?x))", 8),
    ("share_commuted", "(sub (div ?x ?y) (div ?y ?x))", 0),
    ("share_commuted", "(sub (mul ?x ?y) (mul ?y ?y))", 0),
    ("idempotent", "(maximum ?x ?x)", 8),
    ("idempotent", "(fmin ?x ?x)", 8),
    ("idempotent", "(and ?x ?x)", 7),
    ("idempotent", "(xor ?x ?x)", 0),
    ("idempotent", "(maximum ?x ?y)", 0),
    ("involution", "(neg (neg ?x))", 8),
    ("involution", "(not (not ?x))", 7),
    ("involution", "(abs (neg ?x))", 0),
    ("even", "(abs (neg ?x))", 5),
    ("even", "(abs (abs ?x))", 5),
    ("even", "(cos (neg ?x))", 2),
    ("even", "(cosh (abs ?x))", 2),
    ("even", "(sin (neg ?x))", 0),
    ("even", "(cos (floor ?x))", 0),
    ("round_rounded", "(floor (ceil ?x))", 2),
    ("round_rounded", "(round (trunc ?x))", 2),
    ("round_rounded", "(floor (abs ?x))", 0),
    ("classify_sign", "(is_nan (neg ?x))", 2),
    ("classify_sign", "(is_finite (abs ?x))", 2),
    ("classify_sign", "(is_inf (sqrt ?x))", 0),
    ("merge_constants", "(add (add ?x 3) 100)", 6),
    ("merge_constants", "(mul (mul ?x 3) 100)", 6),
    ("merge_constants", "(maximum (maximum ?x 3) 2)", 8),
    ("merge_constants", "(fmax (fmax ?x nan) 2)", 2),
    ("merge_constants", "(xor (xor ?x 3) 2)", 6),
    ("merge_constants", "(sub (sub ?x 3) 100)", 0),
    ("merge_constants", "(add (mul ?x 3) 100)", 0),
    ("fold_constants", "(maximum ?x (add 1 2))", 8),
    ("fold_constants", "(mul ?x (sqrt 2))", 2),
    ("fold_constants", "(mul ?x (exp 2))", 0),
    ("fold_functions", "(mul ?x (exp 2))", 2),
    ("fold_functions", "(mul ?x (sqrt 2))", 0),
    ("divide_by_power_of_two", "(div ?x 8)", 2),
    ("divide_by_power_of_two", "(div ?x -0.25)", 2),
    ("divide_by_power_of_two", "(div ?x 3)", 0),
    ("divide_by_power_of_two", "(div ?x 0.0)", 0),
    ("divide_by_power_of_two", "(div ?x inf)", 0),
    ("divide_by_power_of_two", "(div ?x 8.98846567431158e307)", 0),
    ("divide_by_power_of_two", "(div ?x 4.49423283715579e307)", 1),
    ("divide_by_power_of_two", "(div ?x 1e-310)", 0),
    ("multiply_by_power_of_two", "(mul ?x 4)", 6),
    ("multiply_by_power_of_two", "(mul ?x 128)", 5),
    ("multiply_by_power_of_two", "(mul ?x 1)", 0),
    ("multiply_by_power_of_two", "(mul ?x 6)", 0),
    ("floor_divide_by_power_of_two", "(floor_div ?x 4)", 6),
    ("floor_divide_by_power_of_two", "(floor_div ?x 64)", 6),
    ("floor_divide_by_power_of_two", "(floor_div ?x -4)", 0),
    ("remainder_by_power_of_two", "(rem ?x 8)", 6),
    ("remainder_by_power_of_two", "(rem ?x 12)", 0),
    ("contract_polynomials", "(add (mul (add (mul (add (mul 3 ?x) 2) ?x) 1) ?x) 7)", 2),
    ("contract_polynomials", "(sub (mul ?x (add (mul ?y ?x) 1)) 7)", 2),
    ("contract_polynomials", "(add (mul 3 ?x) 2)", 0),
    ("contract_polynomials", "(add (mul (add (mul 3 ?y) 2) ?x) 1)", 0),
    ("contract_polynomials", "(add (mul (add (mul 3 ?x) ?y) ?x) 1)", 0),
    ("negate_constant", "(mul (neg ?x) 3)", 8),
    ("negate_constant", "(div (neg ?x) 3)", 2),
    ("negate_constant", "(add (neg ?x) 3)", 0),
    ("neg_of_scaled", "(neg (mul ?x 3))", 8),
    ("neg_of_scaled", "(neg (div ?x 3))", 2),
    ("neg_of_scaled", "(neg (mul ?x ?y))", 0),
    ("ln_erfc", "(ln (erfc ?x))", 2),
    ("ln_erfc", "(ln (erf ?x))", 0),
    ("reassociate", "(mul (mul ?x 3) 5)", 2),
    ("reassociate", "(add (mul ?x 3) 5)", 0),
    ("reciprocal", "(div ?x 3)", 2),
    ("reciprocal", "(div ?x 0)", 0),
    ("pow_integer", "(pow ?x 7)", 2),
    ("pow_integer", "(pow ?x 7.5)", 0),
    ("pow_integer", "(pow ?x 64)", 0),
    ("compensated_power", "(pow ?x 4)", 2),
    ("compensated_power", "(pow ?x 31)", 2),
    ("compensated_power", "(pow ?x 3)", 0),
    ("compensated_power", "(pow ?x 33)", 0),
    ("compensated_power", "(pow ?x 4.5)", 0),
    ("compensated_power", "(pow ?x -4)", 0),
    ("integer_power", "(pow ?x 2)", 6),
    ("integer_power", "(pow ?x 3)", 6),
    ("integer_power", "(pow ?x 13)", 6),
    ("integer_power", "(pow ?x 32)", 6),
    ("integer_power", "(pow ?x 33)", 0),
];

#[test]
fn code_rules_fire_for_the_dtypes_they_should() {
    for &(name, text, expected) in CODE {
        let (term, variables) = parsed(text);
        let fired = fires(rule(name), &term, variables);
        assert_eq!(fired.len(), expected, "{name} on {text} fires for {fired:?}");
    }
}

#[test]
fn casts_merge_exactly_where_the_value_or_its_low_bits_survive() {
    let mut merged = 0;
    for (first, middle, last) in
        DType::ALL.into_iter().flat_map(|a| DType::ALL.into_iter().flat_map(move |b| DType::ALL.map(|c| (a, b, c))))
    {
        let values = grid(first, true);
        let mut graph = Graph::new();
        let x = input(&mut graph, "x", first, &[Some(values.len())]);
        let inner = graph.add(Node::Cast(middle, x), None).unwrap();
        let outer = graph.add(Node::Cast(last, inner), None).unwrap();
        graph.outputs.push(outer);
        let (rewritten, trace) = apply(&graph, &[rule("cast_cast"), rule("cast_same")]);
        merged += trace.count("cast_cast");
        let arguments = [Value::vector(values)];
        let (before, after) = (evaluate(&graph, &arguments), evaluate(&rewritten, &arguments));
        same(&before[0], &after[0]).unwrap_or_else(|error| panic!("{first} → {middle} → {last}: {error}"));
    }
    assert!(merged > 200, "{merged}");
    assert!(!crate::optimize::algebra::skips(DType::I8, DType::F32, DType::U8));
    assert!(crate::optimize::algebra::skips(DType::F32, DType::F64, DType::F32));
}
