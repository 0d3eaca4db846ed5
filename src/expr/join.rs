//! Arrays put together from several.
//!
//! The parts promote to one dtype; sizes across the joined axis must agree.

use std::panic::Location;

use crate::expr::Expr;
use crate::expr::axes::IntoAxis;
use crate::expr::convert::IntoExprs;
use crate::expr::promote::{common_dtype, convert};
use crate::graph::Node;

/// The arrays one after the other along an existing axis. They have one rank and promote to one dtype.
///
/// ```
/// let (a, b) = (kroton::vector::<f64>("a"), kroton::vector::<f64>("b"));
/// assert_eq!(kroton::concat([&a, &b], 0).rank(), 1);
/// ```
#[track_caller]
pub fn concat(parts: impl IntoExprs, axis: impl IntoAxis) -> Expr {
    let origin = Location::caller();
    let parts = parts.into_exprs();
    let Some(first) = parts.first() else {
        return Expr::failed(Node::Concat(0, parts), "`concat` of no arrays".to_string(), origin);
    };
    let joined = first.axis(axis).and_then(|axis| Ok((axis as u32, in_one_dtype(&parts, origin)?)));
    match joined {
        Ok((_, mut converted)) if converted.len() == 1 => converted.remove(0),
        Ok((axis, converted)) => Expr::build_at(Node::Concat(axis, converted), false, origin),
        Err(message) => Expr::failed(Node::Concat(0, parts), format!("`concat`: {message}"), origin),
    }
}

/// The arrays side by side along a new axis. They have one shape and promote to one dtype.
///
/// ```
/// let (a, b) = (kroton::vector::<f64>("a"), kroton::vector::<f64>("b"));
/// assert_eq!(kroton::stack([&a, &b], 0).rank(), 2);
/// ```
#[track_caller]
pub fn stack(parts: impl IntoExprs, axis: impl IntoAxis) -> Expr {
    let axis = axis.into_axis();
    let mut expanded = Vec::new();
    for part in parts.into_exprs() {
        expanded.push(part.expand_dims(axis));
    }
    concat(expanded, axis)
}

fn in_one_dtype(parts: &[Expr], origin: &'static Location<'static>) -> Result<Vec<Expr>, String> {
    let dtype = common_dtype(&parts.iter().collect::<Vec<_>>());
    parts.iter().map(|part| convert(part, dtype, origin)).collect()
}
