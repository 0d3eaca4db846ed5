//! Types of nodes from those of their operands: the one place that says which nodes are well-typed.
//!
//! Works for any kind of reference, so that the user's handles and the arena share it. What can only be
//! checked when sizes are known is returned as [`Constraint`]s.

use crate::dtype::DType;
use crate::graph::node::{Node, SliceRange, Type};
use crate::ops::{BinaryOp, ReduceOp};
use crate::shape::{Dim, Mismatch, Shape, broadcast, element_count};

/// What must hold of the sizes of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// Two sizes that meet in an elementwise node, a concatenation or a matrix product.
    Equal(Dim, Dim),
    /// Two numbers of elements around a reshape.
    SameCount(Dim, Dim),
    /// A size that may not be negative.
    NonNegative(Dim),
    /// A number of steps that may not be negative.
    Steps(Dim),
    /// A reduction without a result for no elements: its name, and the number of elements.
    NonEmpty(ReduceOp, Dim),
    /// A slice of an axis: the lowest and the highest element taken, if any are, and the size of the axis.
    InBounds {
        /// The range.
        range: SliceRange,
        /// The size of the sliced axis.
        size: Dim,
    },
}

/// How inference looks at operands.
pub trait Context<R> {
    /// The type of a node.
    fn ty<'a>(&'a self, reference: &'a R) -> &'a Type;
    /// The node.
    fn node<'a>(&'a self, reference: &'a R) -> &'a Node<R>;
}

/// The type of a node; constraints on sizes are appended to `constraints`.
///
/// # Errors
/// A sentence that says what is wrong, with the dtypes and shapes of the operands.
pub fn infer<R, C: Context<R>>(node: &Node<R>, context: &C, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    let ty = infer_node(node, context, constraints)?;
    let own = if let Node::Size(size) = node { Some(size) } else { None };
    if ty.shape.iter().chain(own).all(Dim::is_tractable) {
        return Ok(ty);
    }
    Err(format!(
        "a size of `{}` is computed by too many operations (at most {} nested, {} in all); pass it as an integer input",
        node.name(),
        Dim::DEEPEST,
        Dim::MOST_OPERATIONS
    ))
}

fn infer_node<R, C: Context<R>>(
    node: &Node<R>,
    context: &C,
    constraints: &mut Vec<Constraint>,
) -> Result<Type, String> {
    let ty = |reference| context.ty(reference);
    match node {
        Node::Input(input) => Ok(input.ty.clone()),
        Node::Parameter(_, ty) => Ok(ty.clone()),
        Node::Scalar(value) => Ok(Type::scalar(value.dtype())),
        Node::Dense(array) => {
            let shape = array.0.shape().iter().map(|&size| Dim::of_size(size)).collect();
            Ok(Type { dtype: array.0.dtype(), shape })
        }
        Node::Iota(length) => {
            constraints.extend(non_negative(length)?);
            Ok(Type { dtype: DType::I64, shape: Shape::from_iter([length.clone()]) })
        }
        Node::Size(_) => Ok(Type::scalar(DType::I64)),
        Node::Unary(op, x) => {
            let x = ty(x);
            if !op.row().class.contains(x.dtype) {
                return Err(wrong_class(op.row(), x.dtype));
            }
            Ok(Type { dtype: op.row().result(x.dtype), shape: x.shape.clone() })
        }
        Node::Binary(op, [a, b]) => {
            let (a, b) = (ty(a), ty(b));
            same_dtype(op.row().name, a, b)?;
            if !op.row().class.contains(a.dtype) {
                return Err(wrong_class(op.row(), a.dtype));
            }
            let shape = broadcast_pair(op.row().name, a, b, constraints)?;
            Ok(Type { dtype: op.row().result(a.dtype), shape })
        }
        Node::Ternary(op, [a, b, c]) => infer_ternary(*op, ty(a), ty(b), ty(c), constraints),
        Node::Cast(dtype, x) => Ok(Type { dtype: *dtype, shape: ty(x).shape.clone() }),
        Node::Reduce(op, axes, x) => {
            let may_be_empty = !op.needs_elements() || (*op == ReduceOp::Max && is_bounded_below(x, context));
            infer_reduce(*op, axes, ty(x), may_be_empty, constraints)
        }
        Node::Permute(order, x) => infer_permute(order, ty(x)),
        Node::Reshape(shape, x) => infer_reshape(shape, ty(x), constraints),
        Node::Broadcast(shape, x) => infer_broadcast(shape, ty(x), constraints),
        Node::Slice(ranges, x) => infer_slice(ranges, ty(x), constraints),
        Node::Concat(axis, parts) => {
            let parts: Vec<&Type> = parts.iter().map(ty).collect();
            infer_concat(*axis as usize, &parts, constraints)
        }
        Node::MatMul([a, b]) => infer_matmul(ty(a), ty(b), constraints),
        Node::Loop(node) => node.infer(context, constraints),
        Node::Project(index, x) => {
            let missing = || format!("result {index} of `{}` does not exist", context.node(x).name());
            let Node::Loop(node) = context.node(x) else { return Err(missing()) };
            node.result_type(*index as usize, context).ok_or_else(missing)
        }
        Node::Barrier([x, _]) => Ok(ty(x).clone()),
        Node::Custom(custom, operands) => {
            let types: Vec<&Type> = operands.iter().map(ty).collect();
            (custom.0.infer)(&types).map_err(|error| error.to_string())
        }
    }
}

/// A shape as users read it: `[3, ?]`.
pub fn describe_shape(shape: &[Dim]) -> String {
    let sizes: Vec<String> =
        shape.iter().map(|dim| dim.constant().map_or("?".to_string(), |size| size.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}

/// A type as users read it: `f64[3, ?]`.
pub fn describe(ty: &Type) -> String {
    format!("{}{}", ty.dtype, describe_shape(&ty.shape))
}

fn wrong_class(row: &crate::ops::Row, dtype: DType) -> String {
    format!("`{}` takes {}, not {dtype}; convert with `cast`", row.name, row.class.describe())
}

fn same_dtype(name: &str, a: &Type, b: &Type) -> Result<(), String> {
    if a.dtype == b.dtype {
        return Ok(());
    }
    Err(format!("`{name}` takes operands of one dtype, not {} and {}", describe(a), describe(b)))
}

fn broadcast_pair(name: &str, a: &Type, b: &Type, constraints: &mut Vec<Constraint>) -> Result<Shape, String> {
    let mut equal = Vec::new();
    let shape = broadcast(&a.shape, &b.shape, &mut equal).map_err(|Mismatch { from_end, left, right }| {
        let (left, right) = (left.constant().unwrap_or(0), right.constant().unwrap_or(0));
        format!(
            "`{name}` cannot broadcast {} with {}: axis -{from_end} has {left} and {right}; only a size that is 1 \
             when the expression is built broadcasts (keepdims, expand_dims, or declare the input with Some(1))",
            describe(a),
            describe(b)
        )
    })?;
    constraints.extend(equal.into_iter().map(|(left, right)| Constraint::Equal(left, right)));
    Ok(shape)
}

fn infer_ternary(
    op: crate::ops::TernaryOp,
    a: &Type,
    b: &Type,
    c: &Type,
    constraints: &mut Vec<Constraint>,
) -> Result<Type, String> {
    let name = op.row().name;
    same_dtype(name, b, c)?;
    match op {
        crate::ops::TernaryOp::Select if a.dtype != DType::Bool => {
            return Err(format!(
                "the condition of `select` is bool, not {}; compare first, as in x.ne(0)",
                describe(a)
            ));
        }
        crate::ops::TernaryOp::MulAdd if !a.dtype.is_float() => return Err(wrong_class(op.row(), a.dtype)),
        crate::ops::TernaryOp::MulAdd => same_dtype(name, a, b)?,
        crate::ops::TernaryOp::Select => {}
    }
    let shape = broadcast_pair(name, b, c, constraints)?;
    let value = Type { dtype: b.dtype, shape };
    let shape = broadcast_pair(name, a, &value, constraints)?;
    Ok(Type { dtype: b.dtype, shape })
}

/// Whether an expression says that its elements are at least −∞: then that is the largest of none of them.
fn is_bounded_below<R, C: Context<R>>(x: &R, context: &C) -> bool {
    let Node::Binary(BinaryOp::Maximum, [_, bound]) = context.node(x) else { return false };
    matches!(context.node(bound), Node::Scalar(bound) if bound.dtype().is_float() && bound.to_f64() == f64::NEG_INFINITY)
}

fn infer_reduce(
    op: ReduceOp,
    axes: &[u32],
    x: &Type,
    may_be_empty: bool,
    constraints: &mut Vec<Constraint>,
) -> Result<Type, String> {
    if !op.accepts(x.dtype) {
        let takes = if op == ReduceOp::SquaredDeviations { "floats" } else { "bool" };
        return Err(format!("`{op}` takes {takes}, not {}", describe(x)));
    }
    if !axes.is_sorted_by(|a, b| a < b) || axes.iter().any(|&axis| axis as usize >= x.rank()) {
        return Err(format!("`{op}` over axes {axes:?} of {}", describe(x)));
    }
    if !may_be_empty {
        let reduced: Shape = axes.iter().map(|&axis| x.shape[axis as usize].clone()).collect();
        let count = element_count(&reduced);
        match count.constant() {
            Some(0) => {
                return Err(format!("`{op}` of an empty array: {} over axes {axes:?} has no elements", describe(x)));
            }
            Some(_) => {}
            None => constraints.push(Constraint::NonEmpty(op, count)),
        }
    }
    let kept = (0..x.rank()).filter(|&axis| !axes.contains(&(axis as u32)));
    Ok(Type { dtype: op.result(x.dtype), shape: kept.map(|axis| x.shape[axis].clone()).collect() })
}

fn infer_permute(order: &[u32], x: &Type) -> Result<Type, String> {
    let mut sorted: Vec<u32> = order.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank() as u32) {
        return Err(format!("{order:?} is not an order of the {} axes of {}", x.rank(), describe(x)));
    }
    Ok(Type { dtype: x.dtype, shape: order.iter().map(|&axis| x.shape[axis as usize].clone()).collect() })
}

fn non_negative(size: &Dim) -> Result<Option<Constraint>, String> {
    match size.constant() {
        Some(value) if value < 0 => Err(format!("a size of {value} is below zero")),
        Some(_) => Ok(None),
        None if size.as_symbol().is_some_and(|symbol| matches!(symbol.measure, crate::shape::Measure::Extent(_))) => {
            Ok(None)
        }
        None => Ok(Some(Constraint::NonNegative(size.clone()))),
    }
}

fn infer_reshape(shape: &Shape, x: &Type, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    for size in shape {
        constraints.extend(non_negative(size)?);
    }
    let (before, after) = (element_count(&x.shape), element_count(shape));
    match (before.constant(), after.constant()) {
        (Some(before), Some(after)) if before != after => {
            return Err(format!(
                "{} has {before} elements and cannot take the shape {} of {after}",
                describe(x),
                describe_shape(shape)
            ));
        }
        _ if before == after => {}
        _ => constraints.push(Constraint::SameCount(before, after)),
    }
    Ok(Type { dtype: x.dtype, shape: shape.clone() })
}

fn infer_broadcast(shape: &Shape, x: &Type, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    let target = Type { dtype: x.dtype, shape: shape.clone() };
    if x.rank() > target.rank() {
        return Err(format!("{} has more axes than the shape {} to broadcast to", describe(x), describe_shape(shape)));
    }
    for size in shape {
        constraints.extend(non_negative(size)?);
    }
    let offset = target.rank() - x.rank();
    for (axis, size) in x.shape.iter().enumerate() {
        let wanted = &shape[offset + axis];
        if size.is_one() || size == wanted {
            continue;
        }
        if size.constant().is_some() && wanted.constant().is_some() {
            return Err(format!(
                "{} cannot broadcast to the shape {}: axis {axis} is not 1",
                describe(x),
                describe_shape(shape)
            ));
        }
        constraints.push(Constraint::Equal(size.clone(), wanted.clone()));
    }
    Ok(target)
}

fn infer_slice(ranges: &[SliceRange], x: &Type, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    if ranges.len() != x.rank() {
        return Err(format!("a slice of {} axes of {}", ranges.len(), describe(x)));
    }
    for (axis, (range, size)) in ranges.iter().zip(&x.shape).enumerate() {
        if range.step == 0 {
            return Err(format!("the step of a slice of axis {axis} of {} is 0", describe(x)));
        }
        let whole = range.start == Dim::ZERO && range.step == 1 && range.length == *size;
        match (range.start.constant(), range.length.constant(), size.constant()) {
            (Some(start), Some(length), Some(size)) => check_range(start, range.step, length, size)
                .map_err(|reason| format!("slice of axis {axis} of {}: {reason}", describe(x)))?,
            _ if whole => {}
            _ => constraints.push(Constraint::InBounds { range: range.clone(), size: size.clone() }),
        }
    }
    Ok(Type { dtype: x.dtype, shape: ranges.iter().map(|range| range.length.clone()).collect() })
}

/// Whether every element of a range lies in an axis of this size.
///
/// # Errors
/// A sentence with the bounds.
pub fn check_range(start: i64, step: i64, length: i64, size: i64) -> Result<(), String> {
    if length < 0 {
        return Err(format!("it starts at {start}, behind its end, in an axis of {size}"));
    }
    if length == 0 {
        return if (0..=size).contains(&start) || step < 0 {
            Ok(())
        } else {
            Err(format!("start {start} is outside an axis of {size}"))
        };
    }
    let last = i128::from(start) + i128::from(step) * i128::from(length - 1);
    let inside = |position: i128| (0..i128::from(size)).contains(&position);
    if inside(i128::from(start)) && inside(last) {
        return Ok(());
    }
    if i128::from(start) == last {
        return Err(format!("element {start} is not within an axis of {size}"));
    }
    Err(format!("elements {start} to {last} are not all within an axis of {size}"))
}

fn infer_concat(axis: usize, parts: &[&Type], constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    let Some((first, rest)) = parts.split_first() else {
        return Err("`concat` of no arrays".to_string());
    };
    if axis >= first.rank() {
        return Err(format!("`concat` along axis {axis} of {}", describe(first)));
    }
    let mut shape = first.shape.clone();
    for part in rest {
        same_dtype("concat", first, part)?;
        if part.rank() != first.rank() {
            return Err(format!("`concat` of {} and {}: the ranks differ", describe(first), describe(part)));
        }
        for (other, (size, wanted)) in part.shape.iter().zip(shape.iter_mut()).enumerate() {
            if other == axis {
                *wanted = wanted.add(size);
            } else if size != wanted {
                if size.constant().is_some() && wanted.constant().is_some() {
                    return Err(format!(
                        "`concat` along axis {axis} of {} and {}: axis {other} differs",
                        describe(first),
                        describe(part)
                    ));
                }
                constraints.push(Constraint::Equal(wanted.clone(), size.clone()));
                if size.constant().is_some() {
                    *wanted = size.clone();
                }
            }
        }
    }
    Ok(Type { dtype: first.dtype, shape })
}

fn infer_matmul(a: &Type, b: &Type, constraints: &mut Vec<Constraint>) -> Result<Type, String> {
    same_dtype("matmul", a, b)?;
    let ([rows, inner], [other, columns]) = (a.shape.as_slice(), b.shape.as_slice()) else {
        return Err(format!("`matmul` takes two arrays of rank 2, not {} and {}", describe(a), describe(b)));
    };
    match (inner.constant(), other.constant()) {
        (Some(left), Some(right)) if left != right => {
            return Err(format!("`matmul` of {} and {}: {left} columns meet {right} rows", describe(a), describe(b)));
        }
        _ if inner == other => {}
        _ => constraints.push(Constraint::Equal(inner.clone(), other.clone())),
    }
    Ok(Type { dtype: a.dtype, shape: Shape::from_iter([rows.clone(), columns.clone()]) })
}
