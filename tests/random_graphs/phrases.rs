//! Phrases that the optimizer has rules for, so that random graphs make rules fire.
//!
//! A phrase is written as the rules write their left sides, `(ln (add ?x 1))`; the left sides of all rules that are
//! plain patterns are phrases themselves, and the list here adds what other rules look for.

use std::sync::LazyLock;

use kroton::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp};
use kroton::optimize::rules;
use kroton::{DType, Scalar};

use crate::program::{Program, Reshaping};

/// What rules that are not plain patterns look for.
const MORE: [&str; 30] = [
    "(sqrt (mul ?x ?x))",
    "(pow ?x 3)",
    "(pow ?x -2)",
    "(div ?x 4)",
    "(div ?x 3)",
    "(ln (sum (exp ?x)))",
    "(log1p (exp ?x))",
    "(ln (add (exp ?x) (exp ?y)))",
    "(ln (div (exp ?x) (keep_sum (exp ?x))))",
    "(div 1 (add 1 (exp (neg ?x))))",
    "(ln (div 1 (add 1 (exp (neg ?x)))))",
    "(sub 1 (div 1 (add 1 (exp (neg ?x)))))",
    "(div (exp ?x) (add 1 (exp ?x)))",
    "(ln (sub 1 (exp ?x)))",
    "(mul ?x 0)",
    "(add ?x 0)",
    "(sub ?x ?x)",
    "(div ?x ?x)",
    "(floor (ceil ?x))",
    "(trunc (round ?x))",
    "(is_inf (neg ?x))",
    "(add (add ?x 5) 3)",
    "(mul 3 (mul ?x 5))",
    "(and (and ?x 5) 3)",
    "(maximum (maximum ?x 1) 2)",
    "(sum (sum ?x))",
    "(max (max ?x))",
    "(all (all ?x))",
    "(sqrt (add 1 (mul ?x ?x)))",
    "(cosh (neg ?x))",
];

#[derive(Debug, Clone)]
enum Phrase {
    Variable(String),
    Number(f64),
    Truth(bool),
    Apply(String, Vec<Phrase>),
}

static PHRASES: LazyLock<Vec<Phrase>> = LazyLock::new(|| {
    let patterns = rules().map(|rule| rule.left).chain(MORE);
    patterns.filter_map(|text| parse(&mut tokens(text).iter().map(String::as_str).peekable())).collect()
});

fn tokens(text: &str) -> Vec<String> {
    text.replace('(', " ( ").replace(')', " ) ").split_whitespace().map(String::from).collect()
}

/// A phrase; none where the text is more than a pattern.
fn parse<'a>(tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Option<Phrase> {
    let token = tokens.next()?;
    let phrase = match token {
        "(" => {
            let name = tokens.next()?.to_string();
            let mut operands = Vec::new();
            while *tokens.peek()? != ")" {
                operands.push(parse(tokens)?);
            }
            tokens.next();
            Phrase::Apply(name, operands)
        }
        "true" | "false" => Phrase::Truth(token == "true"),
        _ if token.starts_with('?') => Phrase::Variable(token.to_string()),
        _ => Phrase::Number(token.parse().ok()?),
    };
    Some(phrase)
}

/// What the variables stand for.
struct Scope {
    dtype: DType,
    x: usize,
    y: usize,
    knob: usize,
}

/// Adds a phrase over two nodes, in the first dtype that it makes sense in, from the asked one on.
pub fn add(p: &mut Program, which: usize, asked: Option<DType>, x: usize, y: usize, knob: usize) {
    let phrase = &PHRASES[which % PHRASES.len()];
    let candidates = asked.into_iter().chain([p.dtype_of(x)]).chain((0..9).map(|i| DType::ALL[(knob + i) % 9]));
    let widest = p.float;
    for dtype in candidates.filter(|dtype| !dtype.is_float() || dtype.size() <= widest.size()) {
        let scope = Scope { dtype, x: p.cast(x, dtype), y: p.cast(y, dtype), knob };
        if instantiate(p, phrase, &scope).is_some() {
            return;
        }
    }
}

fn instantiate(p: &mut Program, phrase: &Phrase, scope: &Scope) -> Option<usize> {
    match phrase {
        Phrase::Variable(name) => Some(if name == "?x" || name == "?c" { scope.x } else { scope.y }),
        Phrase::Number(value) => {
            let fits = Scalar::F64(*value).cast(scope.dtype).to_f64() == *value || scope.dtype.is_float();
            fits.then(|| p.constant(scope.dtype, *value))
        }
        Phrase::Truth(value) => Some(p.constant(DType::Bool, if *value { 1.0 } else { 0.0 })),
        Phrase::Apply(name, operands) => {
            let mut ids = Vec::new();
            for operand in operands {
                ids.push(instantiate(p, operand, scope)?);
            }
            apply(p, name, &ids, scope)
        }
    }
}

fn apply(p: &mut Program, name: &str, ids: &[usize], scope: &Scope) -> Option<usize> {
    let takes = |row: &kroton::ops::Row, id: usize, p: &Program| row.class.contains(p.dtype_of(id));
    match *ids {
        [a] if name == "keep_sum" => {
            let axis = p.rank(a).checked_sub(1)?;
            let sum = p.reduce(ReduceOp::Sum, vec![axis], a);
            Some(p.reshape(Reshaping::Expand(axis), sum))
        }
        [a] => match (UnaryOp::from_name(name), ReduceOp::from_name(name)) {
            (Some(op), _) => takes(op.row(), a, p).then(|| p.unary(op, a)),
            (None, Some(op)) if op.accepts(p.dtype_of(a)) => {
                let rank = p.rank(a);
                let axes =
                    (0..rank).filter(|axis| scope.knob.is_multiple_of(4) || axis % 2 == scope.knob % 2).collect();
                Some(p.reduce(op, axes, a))
            }
            (None, _) => None,
        },
        [a, b] => {
            let op = BinaryOp::from_name(name)?;
            let fits = p.fits(a, b) && p.dtype_of(a) == p.dtype_of(b) && takes(op.row(), a, p);
            fits.then(|| p.binary(op, a, b))
        }
        [a, b, c] => {
            let op = TernaryOp::from_name(name)?;
            let a = if op == TernaryOp::Select { p.cast(a, DType::Bool) } else { a };
            let fits = p.fits(b, c) && p.fits(a, b) && p.fits(a, c) && p.dtype_of(b) == p.dtype_of(c);
            let fits = fits && takes(op.row(), b, p) && (op == TernaryOp::Select || p.dtype_of(a) == p.dtype_of(b));
            fits.then(|| p.ternary(op, [a, b, c]))
        }
        _ => None,
    }
}
