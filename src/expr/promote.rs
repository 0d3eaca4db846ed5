//! How dtypes meet in an elementwise operation.
//!
//! Strong operands promote by the lattice of `DType`; weak ones then take that dtype where their kind allows. A
//! weak literal is converted exactly here, at build time; everything else gets a `Cast` node. Nothing here knows
//! shapes.

use std::panic::Location;

use crate::dtype::{DType, Scalar};
use crate::expr::Expr;
use crate::graph::Node;

/// The dtype at which these operands meet.
pub(crate) fn common_dtype(operands: &[&Expr]) -> DType {
    let promote = |weak: bool| {
        let dtypes = operands.iter().filter(move |x| x.is_weak() == weak).map(|x| x.dtype());
        dtypes.reduce(DType::promote)
    };
    match (promote(false), promote(true)) {
        (Some(strong), Some(weak)) => strong.promote_weak(weak.kind()),
        (Some(dtype), None) | (None, Some(dtype)) => dtype,
        (None, None) => DType::F64,
    }
}

/// This dtype if it is a float, else f64.
pub(crate) fn float_of(dtype: DType) -> DType {
    if dtype.is_float() { dtype } else { DType::F64 }
}

/// An operand in another dtype.
///
/// # Errors
/// A sentence, if an integer literal does not fit.
pub(crate) fn convert(x: &Expr, dtype: DType, origin: &'static Location<'static>) -> Result<Expr, String> {
    if x.dtype() == dtype || x.error().is_some() {
        return Ok(x.clone());
    }
    if let Node::Scalar(value) = x.node()
        && x.is_weak()
    {
        return Ok(Expr::build_at(Node::Scalar(literal(*value, dtype)?), true, origin));
    }
    Ok(Expr::build_at(Node::Cast(dtype, x.clone()), x.is_weak(), origin))
}

/// A literal in the dtype of what it meets: an integer must fit an integer, a float rounds.
fn literal(value: Scalar, dtype: DType) -> Result<Scalar, String> {
    if dtype.is_float() {
        return Ok(value.cast(dtype));
    }
    value.cast_exact(dtype).ok_or_else(|| {
        format!("the literal {value} does not fit {dtype}; convert the other operand first, as in x.cast::<i64>()")
    })
}

/// Several operands in one dtype.
///
/// # Errors
/// As `convert`.
pub(crate) fn convert_all<const N: usize>(
    operands: [&Expr; N],
    dtype: DType,
    origin: &'static Location<'static>,
) -> Result<[Expr; N], String> {
    let mut converted = operands.map(Expr::clone);
    for x in &mut converted {
        *x = convert(x, dtype, origin)?;
    }
    Ok(converted)
}

impl Expr {
    /// This as floats: floats as they are, everything else as f64.
    #[track_caller]
    pub(crate) fn to_float(&self) -> Expr {
        match convert(self, float_of(self.dtype()), Location::caller()) {
            Ok(x) => x,
            Err(message) => self.invalid(message),
        }
    }
}
