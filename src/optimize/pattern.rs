//! The pattern language of rules: s-expressions over elementwise ops, variables and literals.
//!
//! `(ln (add ?x 1))` matches a logarithm of a sum with the constant 1. `?x` binds a node, and binds the same
//! node at each occurrence. A literal matches a constant of that value in the dtype of its place, of rank 0 or
//! broadcast from it: `0` is +0.0 among floats and never −0.0; a literal with a point, `inf` or `nan` is for
//! floats only; `-1` is all ones among unsigned integers; `true` and `false` are for bools. Commutative ops
//! match in both orders. The recursion is over patterns, which are a handful of terms, never over graphs.

use smallvec::SmallVec;

use crate::dtype::{DType, Kind, Scalar};
use crate::graph::{Node, NodeId};
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};
use crate::optimize::rewrite::Rewriter;

/// A term of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// The variable of this number.
    Variable(usize),
    /// A constant.
    Literal(Literal),
    /// An op of terms.
    Op(Op, Vec<Term>),
}

/// An elementwise op of any arity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Of one operand.
    Unary(UnaryOp),
    /// Of two operands.
    Binary(BinaryOp),
    /// Of three operands.
    Ternary(TernaryOp),
}

/// A constant of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Literal {
    /// For bool.
    Truth(bool),
    /// For integers (wrapping) and floats.
    Integer(i64),
    /// For floats.
    Real(f64),
}

/// What the variables are bound to.
pub(super) type Bindings = SmallVec<[Option<NodeId>; 4]>;

impl Op {
    fn from_name(name: &str) -> Option<Op> {
        (UnaryOp::from_name(name).map(Op::Unary))
            .or_else(|| BinaryOp::from_name(name).map(Op::Binary))
            .or_else(|| TernaryOp::from_name(name).map(Op::Ternary))
    }

    /// The name of nodes with this op.
    pub fn name(self) -> &'static str {
        match self {
            Op::Unary(op) => op.row().name,
            Op::Binary(op) => op.row().name,
            Op::Ternary(op) => op.row().name,
        }
    }

    fn arity(self) -> usize {
        match self {
            Op::Unary(_) => 1,
            Op::Binary(_) => 2,
            Op::Ternary(_) => 3,
        }
    }

    fn commutes(self) -> bool {
        matches!(self, Op::Binary(op) if op.row().facts.commutative)
    }

    fn node(self, operands: &[NodeId]) -> Option<Node<NodeId>> {
        match (self, operands) {
            (Op::Unary(op), &[x]) => Some(Node::Unary(op, x)),
            (Op::Binary(op), &[a, b]) => Some(Node::Binary(op, [a, b])),
            (Op::Ternary(op), &[a, b, c]) => Some(Node::Ternary(op, [a, b, c])),
            (Op::Unary(_) | Op::Binary(_) | Op::Ternary(_), _) => None,
        }
    }
}

impl Literal {
    fn parse(text: &str) -> Option<Literal> {
        match text {
            "true" => Some(Literal::Truth(true)),
            "false" => Some(Literal::Truth(false)),
            _ => (text.parse().ok().map(Literal::Integer)).or_else(|| text.parse().ok().map(Literal::Real)),
        }
    }

    /// The value in a dtype, if the literal is for it.
    pub fn value(self, dtype: DType) -> Option<Scalar> {
        match (self, dtype.kind()) {
            (Literal::Truth(value), Kind::Bool) => Some(Scalar::Bool(value)),
            (Literal::Integer(value), Kind::Signed | Kind::Unsigned | Kind::Float) => {
                Some(Scalar::I64(value).cast(dtype))
            }
            (Literal::Real(value), Kind::Float) => Some(Scalar::F64(value).cast(dtype)),
            (Literal::Truth(_) | Literal::Integer(_) | Literal::Real(_), _) => None,
        }
    }
}

/// Parses the two sides of a rule; the right one may only use variables of the left one.
pub(super) fn parse_sides(left: &str, right: &str) -> Option<(Term, Term)> {
    let mut names = Vec::new();
    let left = parse(left, &mut names)?;
    let bound = names.len();
    let right = parse(right, &mut names)?;
    (names.len() == bound).then_some((left, right))
}

/// Parses a term; variables are numbered in the order of their first occurrence.
pub(super) fn parse(text: &str, names: &mut Vec<String>) -> Option<Term> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace();
    let term = parse_term(&mut words, names)?;
    words.next().is_none().then_some(term)
}

fn parse_term<'a>(words: &mut impl Iterator<Item = &'a str>, names: &mut Vec<String>) -> Option<Term> {
    let word = words.next()?;
    if word == "(" {
        let op = Op::from_name(words.next()?)?;
        let operands = (0..op.arity()).map(|_| parse_term(words, names)).collect::<Option<Vec<Term>>>()?;
        return (words.next()? == ")").then_some(Term::Op(op, operands));
    }
    let Some(name) = word.strip_prefix('?') else {
        return Literal::parse(word).map(Term::Literal);
    };
    let number = names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_string());
        names.len() - 1
    });
    Some(Term::Variable(number))
}

/// Terms that are yet to be matched, each with its node.
type Goals<'a> = SmallVec<[(&'a Term, NodeId); 8]>;

/// Whether each term right below the top of a pattern fits some operand of the node: cheap, and seldom true in vain.
pub(super) fn may_match(pattern: &Term, id: NodeId, rewriter: &Rewriter) -> bool {
    let Term::Op(op, terms) = pattern else { return true };
    let Some(operands) = operands_of(*op, rewriter.node(id)) else { return false };
    let fits = |term: &Term, operand: NodeId| match term {
        Term::Variable(_) => true,
        Term::Literal(_) => rewriter.constant(operand).is_some(),
        Term::Op(op, _) => operands_of(*op, rewriter.node(operand)).is_some(),
    };
    match op.commutes() {
        true => terms.iter().all(|term| operands.iter().any(|operand| fits(term, *operand))),
        false => terms.iter().zip(operands).all(|(term, operand)| fits(term, *operand)),
    }
}

/// Binds the variables so that the pattern is the node.
pub(super) fn match_term(pattern: &Term, id: NodeId, rewriter: &Rewriter) -> Option<Bindings> {
    let mut bindings = Bindings::new();
    solve(&mut smallvec::smallvec![(pattern, id)], rewriter, &mut bindings).then_some(bindings)
}

/// Matches all goals, last one first, with backtracking over the orders of commutative ops.
fn solve(goals: &mut Goals<'_>, rewriter: &Rewriter, bindings: &mut Bindings) -> bool {
    let Some((pattern, id)) = goals.pop() else {
        return true;
    };
    let matched = match pattern {
        Term::Variable(number) => bind(*number, id, bindings) && solve(goals, rewriter, bindings),
        Term::Literal(literal) => {
            let value = rewriter.constant(id);
            value.is_some() && value == literal.value(rewriter.ty(id).dtype) && solve(goals, rewriter, bindings)
        }
        Term::Op(op, terms) => solve_op(*op, terms, id, goals, rewriter, bindings),
    };
    if !matched {
        goals.push((pattern, id));
    }
    matched
}

fn solve_op<'a>(
    op: Op,
    terms: &'a [Term],
    id: NodeId,
    goals: &mut Goals<'a>,
    rewriter: &Rewriter,
    bindings: &mut Bindings,
) -> bool {
    let Some(operands) = operands_of(op, rewriter.node(id)) else {
        return false;
    };
    let orders = if op.commutes() && operands[0] != operands[1] { 2 } else { 1 };
    (0..orders).any(|order| {
        let (depth, saved) = (goals.len(), bindings.clone());
        let target = |index: usize| if order == 1 { operands[1 - index] } else { operands[index] };
        goals.extend(terms.iter().enumerate().map(|(index, term)| (term, target(index))));
        let matched = solve(goals, rewriter, bindings);
        if !matched {
            goals.truncate(depth);
            *bindings = saved;
        }
        matched
    })
}

/// The operands, if the node has this op.
fn operands_of(op: Op, node: &Node<NodeId>) -> Option<&[NodeId]> {
    match (op, node) {
        (Op::Unary(op), Node::Unary(found, x)) if op == *found => Some(std::slice::from_ref(x)),
        (Op::Binary(op), Node::Binary(found, operands)) if op == *found => Some(operands),
        (Op::Ternary(op), Node::Ternary(found, operands)) if op == *found => Some(operands),
        (Op::Unary(_) | Op::Binary(_) | Op::Ternary(_), _) => None,
    }
}

fn bind(number: usize, id: NodeId, bindings: &mut Bindings) -> bool {
    if bindings.len() <= number {
        bindings.resize(number + 1, None);
    }
    *bindings[number].get_or_insert(id) == id
}

/// Builds a term; literals take the dtype of the operands beside them, at the top `dtype`.
pub(super) fn build(term: &Term, variables: &[NodeId], dtype: DType, rewriter: &mut Rewriter) -> Option<NodeId> {
    match term {
        Term::Variable(number) => variables.get(*number).copied(),
        Term::Literal(literal) => rewriter.scalar(literal.value(dtype)?),
        Term::Op(op, terms) => {
            let built = terms
                .iter()
                .map(|term| match term {
                    Term::Literal(_) => Some(None),
                    Term::Variable(_) | Term::Op(..) => build(term, variables, dtype, rewriter).map(Some),
                })
                .collect::<Option<SmallVec<[Option<NodeId>; 3]>>>()?;
            // The condition of a select says nothing about the dtype of its values.
            let values = if matches!(op, Op::Ternary(TernaryOp::Select)) { 1 } else { 0 };
            let beside = built[values..].iter().flatten().next().map_or(dtype, |&id| rewriter.ty(id).dtype);
            let operands = (terms.iter().zip(built))
                .map(|(term, id)| id.or_else(|| build(term, variables, beside, rewriter)))
                .collect::<Option<SmallVec<[NodeId; 3]>>>()?;
            rewriter.add(op.node(&operands)?)
        }
    }
}
