//! Expressions as texts: an infix formula, capped in depth and in length.
//!
//! What lies too deep, or comes after many nodes, is written `…`; so the recursion is bounded and a shared part
//! that occurs a million times does no harm.

use std::cell::Cell;
use std::fmt::{self, Write};

use rustc_hash::FxHashMap;

use crate::array::Array;
use crate::expr::{Expr, Operands, names};
use crate::graph::{Node, SliceRange, describe};
use crate::ops::{BinaryOp, UnaryOp};
use crate::shape::{Dim, InputId, Measure, Symbol};

/// The deepest nesting that is written.
const DEPTH: usize = 32;

/// The most nodes that are written.
const NODES: usize = 200;

/// The largest constant array that is written out.
const ELEMENTS: usize = 8;

/// How tightly a text binds: an operand that binds less than its place demands goes into parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Compare,
    Or,
    Xor,
    And,
    Shift,
    Sum,
    Product,
    Prefix,
    Atom,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.error().is_some() { "ill-typed " } else { "" };
        write!(f, "Expr({state}{} {})", self.node().name(), describe(self.ty()))
    }
}

/// An infix formula with the inputs' names; long ones are cut with `…`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Formula { names: input_names(self), left: Cell::new(NODES) }.write(f, self, Binding::Compare, 0)
    }
}

/// The names of the inputs among the first nodes below an expression.
fn input_names(expr: &Expr) -> FxHashMap<InputId, String> {
    let mut names = FxHashMap::default();
    let mut pending = std::collections::VecDeque::from([expr]);
    for _ in 0..NODES * 4 {
        let Some(expr) = pending.pop_front() else {
            break;
        };
        if let Node::Input(input) = expr.node() {
            names.insert(input.id, input.name.clone());
        }
        expr.node().for_each_operand(|operand| pending.push_back(operand));
    }
    names
}

/// What writing one formula knows.
struct Formula {
    names: FxHashMap<InputId, String>,
    left: Cell<usize>,
}

impl Formula {
    fn write(&self, f: &mut fmt::Formatter<'_>, expr: &Expr, place: Binding, depth: usize) -> fmt::Result {
        if depth > DEPTH || self.left.get() == 0 {
            return f.write_char('…');
        }
        self.left.set(self.left.get() - 1);
        let binding = binding(expr.node());
        if binding < place {
            f.write_char('(')?;
            self.write_node(f, expr, depth)?;
            return f.write_char(')');
        }
        self.write_node(f, expr, depth)
    }

    fn write_node(&self, f: &mut fmt::Formatter<'_>, expr: &Expr, depth: usize) -> fmt::Result {
        let node = expr.node();
        match node {
            Node::Input(input) => f.write_str(&input.name),
            Node::Parameter(id, _) => write!(f, "parameter_{}", id.0),
            Node::Scalar(value) => write!(f, "{value}"),
            Node::Dense(array) => write_array(f, &array.0),
            Node::Iota(length) => write!(f, "arange({})", self.dim(length)),
            Node::Size(size) => write!(f, "{}", self.dim(size)),
            Node::Unary(UnaryOp::Neg, x) => self.prefix(f, '-', x, depth),
            Node::Unary(UnaryOp::Not, x) => self.prefix(f, '!', x, depth),
            Node::Binary(op, [a, b]) if infix(*op).is_some() => self.write_infix(f, *op, a, b, depth),
            Node::Unary(_, x) | Node::Project(_, x) => self.call(f, node.name(), &[x], None, depth),
            Node::Binary(_, [a, b]) | Node::MatMul([a, b]) | Node::Barrier([a, b]) => {
                self.call(f, node.name(), &[a, b], None, depth)
            }
            Node::Ternary(_, [a, b, c]) => self.call(f, node.name(), &[a, b, c], None, depth),
            // What stands for an expression that cannot be built; see `Expr::invalid`.
            Node::Cast(_, x) if expr.error().is_some() => self.call(f, "ill_typed", &[x], None, depth),
            Node::Concat(_, parts) if expr.error().is_some() => {
                self.call(f, "ill_typed", &parts.iter().collect::<Vec<_>>(), None, depth)
            }
            Node::Cast(dtype, x) => self.call(f, dtype.name(), &[x], None, depth),
            Node::Reduce(_, axes, x) if axes.len() == x.rank() => self.call(f, node.name(), &[x], None, depth),
            Node::Reduce(_, axes, x) | Node::Permute(axes, x) => {
                self.call(f, node.name(), &[x], Some(format!("{:?}", axes.as_slice())), depth)
            }
            Node::Reshape(shape, x) | Node::Broadcast(shape, x) => {
                self.call(f, node.name(), &[x], Some(self.dims(shape)), depth)
            }
            Node::Slice(ranges, x) => {
                self.write(f, x, Binding::Atom, depth + 1)?;
                let ranges: Vec<String> =
                    ranges.iter().zip(x.dims()).map(|(range, size)| self.range(range, size)).collect();
                write!(f, "[{}]", ranges.join(", "))
            }
            Node::Concat(axis, parts) => {
                self.call(f, "concat", &parts.iter().collect::<Vec<_>>(), Some(axis.to_string()), depth)
            }
            // Its number of steps is one, which says nothing.
            Node::Loop(inner) if inner.is_branch(&Operands) => {
                self.call(f, "branch", &inner.outside().skip(1).collect::<Vec<_>>(), None, depth)
            }
            Node::Loop(inner) => self.call(f, "loop", &inner.outside().collect::<Vec<_>>(), None, depth),
            Node::Custom(custom, operands) => {
                self.call(f, &custom.0.name, &operands.iter().collect::<Vec<_>>(), None, depth)
            }
        }
    }

    fn prefix(&self, f: &mut fmt::Formatter<'_>, sign: char, x: &Expr, depth: usize) -> fmt::Result {
        f.write_char(sign)?;
        self.write(f, x, Binding::Prefix, depth + 1)
    }

    fn write_infix(&self, f: &mut fmt::Formatter<'_>, op: BinaryOp, a: &Expr, b: &Expr, depth: usize) -> fmt::Result {
        let Some((sign, binding, above)) = infix(op) else {
            return Ok(());
        };
        // Comparisons do not chain, so both of their sides bind tighter.
        let left = if binding == Binding::Compare { above } else { binding };
        self.write(f, a, left, depth + 1)?;
        write!(f, " {sign} ")?;
        self.write(f, b, above, depth + 1)
    }

    fn call(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        operands: &[&Expr],
        extra: Option<String>,
        depth: usize,
    ) -> fmt::Result {
        write!(f, "{name}(")?;
        for (index, operand) in operands.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if self.left.get() == 0 {
                f.write_char('…')?;
                break;
            }
            self.write(f, operand, Binding::Compare, depth + 1)?;
        }
        if let Some(extra) = extra {
            write!(f, ", {extra}")?;
        }
        f.write_char(')')
    }

    fn dim(&self, dim: &Dim) -> String {
        dim.formula(&|symbol| self.symbol(symbol)).to_string()
    }

    fn dims(&self, shape: &[Dim]) -> String {
        let sizes: Vec<String> = shape.iter().map(|dim| self.dim(dim)).collect();
        format!("[{}]", sizes.join(", "))
    }

    /// `start..end`, or `start..;step × length`; `..` for a whole axis.
    fn range(&self, range: &SliceRange, size: &Dim) -> String {
        let start = self.dim(&range.start);
        match range.step {
            1 if range.start == Dim::ZERO && range.length == *size => "..".to_string(),
            1 => format!("{start}..{}", self.dim(&range.start.add(&range.length))),
            step => format!("{start}..;{step} × {}", self.dim(&range.length)),
        }
    }

    fn symbol(&self, symbol: Symbol) -> String {
        let name = self.names.get(&symbol.input).cloned().unwrap_or_else(|| names::recall(symbol.input));
        match symbol.measure {
            Measure::Extent(axis) => format!("{name}.shape({axis})"),
            Measure::Value => name,
        }
    }
}

fn write_array(f: &mut fmt::Formatter<'_>, array: &Array) -> fmt::Result {
    if array.rank() != 1 || array.len() > ELEMENTS {
        return write!(f, "constant {}{:?}", array.dtype(), array.shape());
    }
    let elements: Vec<String> = (0..array.len()).map(|position| array.get(position).to_string()).collect();
    write!(f, "[{}]", elements.join(", "))
}

fn binding(node: &Node<Expr>) -> Binding {
    if let Node::Binary(op, _) = node {
        return infix(*op).map_or(Binding::Atom, |(_, binding, _)| binding);
    }
    if let Node::Size(size) = node {
        let is_one_word = size.constant().is_some() || size.as_symbol().is_some();
        return if is_one_word { Binding::Atom } else { Binding::Sum };
    }
    if matches!(node, Node::Unary(UnaryOp::Neg | UnaryOp::Not, _)) { Binding::Prefix } else { Binding::Atom }
}

/// The sign of an op that is written between its operands, how tightly it binds, and the next tighter binding.
fn infix(op: BinaryOp) -> Option<(&'static str, Binding, Binding)> {
    let sign = |sign, binding, above| Some((sign, binding, above));
    match op {
        BinaryOp::Add => sign("+", Binding::Sum, Binding::Product),
        BinaryOp::Sub => sign("-", Binding::Sum, Binding::Product),
        BinaryOp::Mul => sign("*", Binding::Product, Binding::Prefix),
        BinaryOp::Div => sign("/", Binding::Product, Binding::Prefix),
        BinaryOp::Rem => sign("%", Binding::Product, Binding::Prefix),
        BinaryOp::Lt => sign("<", Binding::Compare, Binding::Or),
        BinaryOp::Le => sign("<=", Binding::Compare, Binding::Or),
        BinaryOp::Gt => sign(">", Binding::Compare, Binding::Or),
        BinaryOp::Ge => sign(">=", Binding::Compare, Binding::Or),
        BinaryOp::Eq => sign("==", Binding::Compare, Binding::Or),
        BinaryOp::Ne => sign("!=", Binding::Compare, Binding::Or),
        BinaryOp::Or => sign("|", Binding::Or, Binding::Xor),
        BinaryOp::Xor => sign("^", Binding::Xor, Binding::And),
        BinaryOp::And => sign("&", Binding::And, Binding::Shift),
        BinaryOp::Shl => sign("<<", Binding::Shift, Binding::Sum),
        BinaryOp::Shr => sign(">>", Binding::Shift, Binding::Sum),
        BinaryOp::FloorDiv
        | BinaryOp::Pow
        | BinaryOp::Atan2
        | BinaryOp::Hypot
        | BinaryOp::Copysign
        | BinaryOp::Maximum
        | BinaryOp::Minimum
        | BinaryOp::Fmax
        | BinaryOp::Fmin
        | BinaryOp::RandomBits32
        | BinaryOp::RandomBits64
        | BinaryOp::RandomUniform32
        | BinaryOp::RandomUniform64
        | BinaryOp::RandomKey => None,
    }
}
