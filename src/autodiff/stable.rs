//! What is differentiated in the place of a formula that over- or underflows.
//!
//! The slope of ln(1 + eˣ) is eˣ/(1 + eˣ), which is NaN for large x though the slope is 1; that of ln σ(x) is 0/0 far to
//! the left. The optimizer gives such formulas another form, but no rewriting of a derivative finds its way back from
//! what the chain rule made of them. So they are given that form here, before. The forms are those of the optimizer, so
//! that value and gradient share them, and made of branches that are smooth, so that they can be differentiated
//! again.
//!
//! Invariants: the same function; what the caller asks derivatives by stays what it is, and a formula of which such an
//! expression is an inner part is left alone. Each node is looked at once.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::autodiff::number;
use crate::autodiff::tape::{Role, Tape};
use crate::autodiff::views::keep_axes;
use crate::dtype::Scalar;
use crate::expr::Expr;
use crate::expr::substitute::rebuilt;
use crate::graph::Node;
use crate::ops::{BinaryOp, ReduceOp, TernaryOp, UnaryOp, stable};
use crate::shape::{Dim, Shape};

/// Expressions and what they are differentiated by, in stable forms; `tape` says where to stop.
pub(super) fn stabilized(tape: Tape, roots: &[Expr], inputs: &[Expr]) -> (Vec<Expr>, Vec<Expr>) {
    let mut tape = tape;
    let roots: Vec<usize> = roots.iter().map(|root| tape.add(root)).collect();
    let targets: Vec<usize> = inputs.iter().map(|input| tape.add(input)).collect();
    let mut fixed: Vec<bool> = tape.entries.iter().map(|entry| entry.is_leaf).collect();
    for &target in &targets {
        fixed[target] = true;
    }
    let mut forms = Forms { tape, fixed, stable: Vec::new(), values: FxHashMap::default() };
    for number in 0..forms.tape.entries.len() {
        let stable = forms.form(number).unwrap_or_else(|| forms.rebuilt(number));
        forms.stable.push(stable);
    }
    let found = |numbers: Vec<usize>| numbers.into_iter().map(|number| forms.stable[number].clone()).collect();
    (found(roots), found(targets))
}

/// What a leaf looks like, and a value with a derivation: no form has it.
const OPAQUE: Node<Expr> = Node::Scalar(Scalar::F64(f64::NAN));

struct Forms {
    tape: Tape,
    /// What derivatives are asked by.
    fixed: Vec<bool>,
    /// The stable forms of the nodes so far.
    stable: Vec<Expr>,
    /// The values of derivations over stable forms, by the number of the entry of all values.
    values: FxHashMap<usize, Vec<Expr>>,
}

/// A logistic function: of the argument, or of its negative.
#[derive(Clone, Copy)]
struct Logistic {
    argument: usize,
    mirrored: bool,
}

impl Forms {
    fn node(&self, number: usize) -> &Node<Expr> {
        let entry = &self.tape.entries[number];
        let node = entry.expr.node();
        if !matches!(entry.role, Role::Node) {
            return &OPAQUE;
        }
        match node {
            _ if !entry.is_leaf => node,
            // The operands of a leaf have no numbers.
            Node::Scalar(_) => node,
            Node::Broadcast(_, x) if matches!(x.node(), Node::Scalar(_)) => x.node(),
            _ => &OPAQUE,
        }
    }

    fn operand(&self, number: usize, position: usize) -> usize {
        self.tape.entries[number].operands[position]
    }

    /// The same node over the stable forms of its operands.
    fn rebuilt(&mut self, number: usize) -> Expr {
        let entry = &self.tape.entries[number];
        let pairs = || entry.operands.iter().map(|&at| (&self.tape.entries[at].expr, &self.stable[at]));
        if entry.is_leaf || pairs().all(|(old, new)| old.key() == new.key()) {
            return self.value(number).unwrap_or_else(|| entry.expr.clone());
        }
        if let Role::Values(derivation) = &entry.role {
            let operands: Vec<Expr> = entry.operands.iter().map(|&at| self.stable[at].clone()).collect();
            let values = Arc::new(derivation.over_operands(&operands)).values();
            let expr = entry.expr.clone();
            self.values.insert(number, values);
            return expr;
        }
        let (mut old, new): (Vec<Expr>, Vec<Expr>) = pairs().map(|(old, new)| (old.clone(), new.clone())).unzip();
        if let Node::Loop(_) = entry.expr.node() {
            old = self.tape.loop_operands(&entry.expr).to_vec();
        }
        rebuilt(&entry.expr, &old, &new)
    }

    /// A value of a derivation that was rebuilt.
    fn value(&self, number: usize) -> Option<Expr> {
        let entry = &self.tape.entries[number];
        let Role::Value(index) = entry.role else { return None };
        self.values.get(&entry.operands[0])?.get(index).cloned()
    }

    /// The operand of an inner node with this op.
    fn inner(&self, number: usize, op: UnaryOp) -> Option<usize> {
        (!self.fixed[number]).then(|| self.unary(number, op)).flatten()
    }

    fn unary(&self, number: usize, op: UnaryOp) -> Option<usize> {
        matches!(self.node(number), Node::Unary(found, _) if *found == op).then(|| self.operand(number, 0))
    }

    fn binary(&self, number: usize, op: BinaryOp) -> Option<[usize; 2]> {
        let found = matches!(self.node(number), Node::Binary(found, _) if *found == op);
        found.then(|| [self.operand(number, 0), self.operand(number, 1)])
    }

    /// The operands of an inner node with this op.
    fn inner_binary(&self, number: usize, op: BinaryOp) -> Option<[usize; 2]> {
        (!self.fixed[number]).then(|| self.binary(number, op)).flatten()
    }

    fn is_number(&self, number: usize, value: f64) -> bool {
        match self.node(number) {
            Node::Scalar(found) => found.to_f64() == value,
            Node::Broadcast(_, x) => matches!(x.node(), Node::Scalar(found) if found.to_f64() == value),
            _ => false,
        }
    }

    /// e of a sum 1 + e.
    fn above_one(&self, number: usize) -> Option<usize> {
        let [a, b] = self.inner_binary(number, BinaryOp::Add)?;
        if self.is_number(a, 1.0) { Some(b) } else { self.is_number(b, 1.0).then_some(a) }
    }

    /// x, if the node is `select(x ≥ 0, −x, x)`, which is never above zero.
    fn folded(&self, number: usize) -> Option<usize> {
        let Node::Ternary(TernaryOp::Select, _) = self.node(number) else { return None };
        let [condition, mirrored, x] = [0, 1, 2].map(|position| self.operand(number, position));
        let [compared, zero] = self.binary(condition, BinaryOp::Ge)?;
        let matches = compared == x && self.is_number(zero, 0.0) && self.unary(mirrored, UnaryOp::Neg) == Some(x);
        matches.then_some(x)
    }

    /// Whether an exponent is never above zero by construction, so that its exponential does not overflow.
    fn is_bounded(&self, number: usize) -> bool {
        match self.node(number) {
            Node::Ternary(TernaryOp::Select, _) => self.folded(number).is_some() || self.is_minus_distance(number),
            Node::Unary(UnaryOp::Neg, _) => {
                let x = self.operand(number, 0);
                self.unary(x, UnaryOp::Abs).is_some() || self.binary(x, BinaryOp::Mul).is_some_and(|[a, b]| a == b)
            }
            Node::Binary(BinaryOp::Minimum, _) => self.is_number(self.operand(number, 1), 0.0),
            _ => false,
        }
    }

    /// Whether a node is `select(a ≥ b, b − a, a − b)`.
    fn is_minus_distance(&self, number: usize) -> bool {
        let [condition, below, above] = [0, 1, 2].map(|position| self.operand(number, position));
        let Some([a, b]) = self.binary(condition, BinaryOp::Ge) else { return false };
        self.binary(below, BinaryOp::Sub) == Some([b, a]) && self.binary(above, BinaryOp::Sub) == Some([a, b])
    }

    /// Whether a node is a logistic function, as written by hand or by `Expr::sigmoid`.
    fn logistic(&self, number: usize) -> Option<Logistic> {
        let [above, below] = self.binary(number, BinaryOp::Div)?;
        let exponential = self.above_one(below)?;
        let exponent = self.inner(exponential, UnaryOp::Exp)?;
        if let Some(argument) = self.folded(exponent) {
            let is_whole = !self.fixed[exponent] && self.is_taken(above, exponential, exponent);
            return is_whole.then_some(Logistic { argument, mirrored: false });
        }
        if self.is_bounded(exponent) {
            return None;
        }
        if above == exponential {
            return Some(Logistic { argument: exponent, mirrored: false });
        }
        self.is_number(above, 1.0).then_some(Logistic { argument: exponent, mirrored: true })
    }

    /// Whether a node is `select(c, 1, e)`, c being the condition of the select in the exponent of e.
    fn is_taken(&self, number: usize, e: usize, exponent: usize) -> bool {
        let Node::Ternary(TernaryOp::Select, _) = self.node(number) else { return false };
        !self.fixed[number]
            && self.operand(number, 0) == self.operand(exponent, 0)
            && self.is_number(self.operand(number, 1), 1.0)
            && self.operand(number, 2) == e
    }

    /// A logistic function of which one less it is taken.
    fn one_minus_logistic(&self, number: usize) -> Option<Logistic> {
        let [one, quotient] = self.inner_binary(number, BinaryOp::Sub)?;
        (self.is_number(one, 1.0) && !self.fixed[quotient]).then(|| self.logistic(quotient)).flatten()
    }

    /// The logistic function σ of which −σ is taken.
    fn minus_logistic(&self, number: usize) -> Option<Logistic> {
        let negated = self.inner(number, UnaryOp::Neg).or_else(|| {
            let [zero, x] = self.inner_binary(number, BinaryOp::Sub)?;
            self.is_number(zero, 0.0).then_some(x)
        })?;
        (!self.fixed[negated]).then(|| self.logistic(negated)).flatten()
    }

    /// The exponent and the axes of a sum of exponentials, maybe under a reshape that keeps its axes.
    fn sum_of_exponentials(&self, number: usize) -> Option<(usize, SmallVec<[u32; 3]>)> {
        let inner = if let Node::Reshape(..) = self.node(number) { self.operand(number, 0) } else { number };
        let Node::Reduce(ReduceOp::Sum, axes, _) = self.node(inner) else { return None };
        if self.fixed[number] || self.fixed[inner] || axes.is_empty() {
            return None;
        }
        let exponent = self.inner(self.operand(inner, 0), UnaryOp::Exp)?;
        let shifted = self.binary(exponent, BinaryOp::Sub).is_some_and(|[_, shift]| self.is_maximum(shift));
        (!shifted).then(|| (exponent, axes.clone()))
    }

    /// Whether a node is a maximum, under views and stops.
    fn is_maximum(&self, mut number: usize) -> bool {
        loop {
            match self.node(number) {
                Node::Reshape(..) | Node::Broadcast(..) | Node::Permute(..) | Node::Unary(UnaryOp::StopGradient, _) => {
                    number = self.operand(number, 0);
                }
                Node::Ternary(TernaryOp::Select, _) => number = self.operand(number, 1),
                Node::Reduce(ReduceOp::Max, ..) => return true,
                _ => return false,
            }
        }
    }

    /// The exponent and the axes of e^x / Σ e^x.
    fn softmax(&self, number: usize) -> Option<(usize, SmallVec<[u32; 3]>)> {
        let [above, below] = self.binary(number, BinaryOp::Div)?;
        let (exponent, axes) = self.sum_of_exponentials(below)?;
        let x = &self.tape.entries[exponent].expr;
        let size = |(axis, size): (u32, &Dim)| if axes.contains(&axis) { Dim::ONE } else { size.clone() };
        let kept: Shape = (0..).zip(x.dims()).map(size).collect();
        // Without a reshape the sum meets the right axes only if the first ones were reduced.
        let leading = axes.iter().copied().eq(0..axes.len() as u32);
        let is_sum = matches!(self.node(below), Node::Reduce(..));
        let aligned = if is_sum { leading } else { *self.tape.entries[below].expr.dims() == kept };
        (self.inner(above, UnaryOp::Exp) == Some(exponent) && aligned).then_some((exponent, axes))
    }

    /// The form to differentiate, for nodes that have another one of the same dtype and shape.
    fn form(&self, number: usize) -> Option<Expr> {
        self.form_of(number).filter(|form| form.ty() == self.tape.entries[number].expr.ty())
    }

    fn form_of(&self, number: usize) -> Option<Expr> {
        match self.node(number) {
            Node::Unary(UnaryOp::Ln, _) => self.form_of_ln(number, self.operand(number, 0)),
            Node::Unary(UnaryOp::Log1p, _) => self.form_of_log1p(self.operand(number, 0)),
            Node::Unary(UnaryOp::Sqrt, _) => {
                let [a, b] = self.inner_binary(self.operand(number, 0), BinaryOp::Mul)?;
                (a == b).then(|| self.stable[a].abs())
            }
            Node::Binary(BinaryOp::Div, _) => {
                if let Some((exponent, axes)) = self.softmax(number) {
                    return Some(softmax(&self.stable[exponent], &axes));
                }
                let Logistic { argument, mirrored } = self.logistic(number)?;
                let exponent = &self.stable[argument];
                // What `Expr::sigmoid` wrote stays.
                let is_stable = self.folded(self.operand(self.above_one(self.operand(number, 1))?, 0)).is_some();
                (!is_stable).then(|| if mirrored { (-exponent).sigmoid() } else { exponent.sigmoid() })
            }
            _ => None,
        }
    }

    fn form_of_ln(&self, number: usize, x: usize) -> Option<Expr> {
        if let Some(exponent) = self.inner(x, UnaryOp::Exp) {
            return Some(self.stable[exponent].clone());
        }
        if let Some(argument) = self.inner(x, UnaryOp::Erfc) {
            // What is made here is bounded.
            let bounded = matches!(self.node(argument), Node::Binary(BinaryOp::Minimum, _));
            return (!bounded).then(|| ln_erfc(&self.stable[argument]));
        }
        if let Some(e) = self.above_one(x) {
            return self.softplus_of(e);
        }
        if let Some([a, b]) = self.inner_binary(x, BinaryOp::Add) {
            let [a, b] = [self.inner(a, UnaryOp::Exp)?, self.inner(b, UnaryOp::Exp)?];
            return Some(self.stable[a].logaddexp(&self.stable[b]));
        }
        if let Some(logistic) = self.one_minus_logistic(x) {
            return Some(self.log_logistic(Logistic { mirrored: !logistic.mirrored, ..logistic }));
        }
        if !self.fixed[x] {
            if let Some(logistic) = self.logistic(x) {
                return Some(self.log_logistic(logistic));
            }
            if let Some((exponent, axes)) = self.softmax(x) {
                return Some(log_softmax(&self.stable[exponent], &axes));
            }
        }
        let (exponent, axes) = self.sum_of_exponentials(x)?;
        let result = log_sum_exp(&self.stable[exponent], &axes);
        let shape = self.tape.entries[number].expr.dims();
        Some(if result.dims() == shape { result } else { Expr::build(Node::Reshape(shape.clone(), result)) })
    }

    fn form_of_log1p(&self, x: usize) -> Option<Expr> {
        match self.minus_logistic(x) {
            Some(logistic) => Some(self.log_logistic(Logistic { mirrored: !logistic.mirrored, ..logistic })),
            None => self.softplus_of(x),
        }
    }

    /// ln(1 + e), if e is an exponential that may overflow.
    fn softplus_of(&self, e: usize) -> Option<Expr> {
        let exponent = self.inner(e, UnaryOp::Exp)?;
        (!self.is_bounded(exponent)).then(|| self.stable[exponent].softplus())
    }

    /// The logarithm of a logistic function, with the exponential that the function itself has.
    fn log_logistic(&self, Logistic { argument, mirrored }: Logistic) -> Expr {
        let x = &self.stable[argument];
        let positive = x.ge(0.0);
        let small = positive.select(-x, x).exp().log1p();
        if mirrored { positive.select(-x, 0.0) - small } else { positive.select(0.0, x) - small }
    }
}

/// Zero where a maximum is not finite; a constant for derivatives, since the function does not depend on it.
fn finite_or_zero(largest: &Expr) -> Expr {
    largest.is_finite().select(largest, 0.0).stop_gradient()
}

/// ln Σ eˣ over axes, which vanish.
fn log_sum_exp(x: &Expr, axes: &SmallVec<[u32; 3]>) -> Expr {
    let shift = finite_or_zero(&x.at_least_nothing().reduce(ReduceOp::Max, axes.clone()));
    (x - keep_axes(&shift, axes, 0)).exp().reduce(ReduceOp::Sum, axes.clone()).ln() + shift
}

/// x − m − ln Σ eˣ⁻ᵐ.
fn log_softmax(x: &Expr, axes: &SmallVec<[u32; 3]>) -> Expr {
    let shift = finite_or_zero(&x.at_least_nothing().reduce(ReduceOp::Max, axes.clone()));
    let difference = x - keep_axes(&shift, axes, 0);
    let sum = difference.exp().reduce(ReduceOp::Sum, axes.clone());
    difference - keep_axes(&sum, axes, 0).ln()
}

/// eˣ⁻ᵐ / Σ eˣ⁻ᵐ, with m = 0 where no exponential over- or underflows.
fn softmax(x: &Expr, axes: &SmallVec<[u32; 3]>) -> Expr {
    let largest = x.at_least_nothing().reduce(ReduceOp::Max, axes.clone());
    let needed = largest.abs().gt(stable::safe_exponent(x.dtype())) & largest.is_finite();
    let shift = needed.select(&largest, 0.0).stop_gradient();
    let exponential = (x - keep_axes(&shift, axes, 0)).exp();
    let sum = exponential.reduce(ReduceOp::Sum, axes.clone());
    exponential / keep_axes(&sum, axes, 0)
}

/// ln erfc(x), by the asymptotic series where erfc vanishes (DLMF 7.12.1).
fn ln_erfc(x: &Expr) -> Expr {
    let switch = stable::erfc_switch(x.dtype());
    let far = x.gt(switch);
    let z = 0.5 / (x * x);
    let [first, rest @ ..] = stable::ERFC_SERIES;
    let mut series = &z * first;
    for coefficient in rest {
        series = (series + coefficient) * &z;
    }
    let tail = series.log1p() - number(x.dtype(), stable::LN_ROOT_PI) - x.ln() - x * x;
    far.select(tail, x.minimum(switch).erfc().ln())
}
