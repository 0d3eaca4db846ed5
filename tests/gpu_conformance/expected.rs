//! What a GPU may make of an operation: the promises of docs/gpu.md, as a predicate.
//!
//! Exact is exact: integers, bools, comparisons, casts, and + − × of floats. Other floats lie within the row's GPU bound of
//! the correctly rounded result. A subnormal operand may count as a zero, a subnormal result may be one.

use kroton::ops::{BinaryOp, TernaryOp};
use kroton::{DType, Scalar};

use crate::common::{same, steps};
use crate::operation::Operation;

/// A result as it should be, and how far a GPU's may lie away.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Rounded to the dtype of the result.
    pub value: Scalar,
    /// As exact as is known.
    pub exact: f64,
    /// Numbers of the type between `value` and a result that is accepted.
    pub steps: u64,
    /// An absolute error that is accepted as well.
    pub slack: f64,
}

impl Expected {
    /// This value and no other.
    fn exactly(value: Scalar) -> Expected {
        Expected { value, exact: value.to_f64(), steps: 0, slack: 0.0 }
    }

    /// Whether a result is accepted.
    pub fn accepts(&self, got: Scalar) -> bool {
        if same(got, self.value) {
            return true;
        }
        if !got.dtype().is_float() || got.dtype() != self.value.dtype() {
            return false;
        }
        let (result, value) = (got.to_f64(), self.value.to_f64());
        let both_zero = result == 0.0 && value == 0.0;
        let near = !both_zero && self.steps > 0 && steps(got, self.value) <= self.steps;
        near || self.vanishes(result) || (self.slack > 0.0 && (result - value).abs() <= self.slack)
    }

    /// A zero of either sign for what is no zero but no normal number either.
    fn vanishes(&self, result: f64) -> bool {
        result == 0.0 && self.exact != 0.0 && self.value.to_f64().abs() <= smallest_normal(self.value.dtype())
    }
}

/// The smallest normal number.
fn smallest_normal(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE }
}

/// Whether a GPU may take it for a zero.
pub fn is_subnormal(x: Scalar) -> bool {
    x.dtype().is_float() && x.to_f64() != 0.0 && x.to_f64().abs() < smallest_normal(x.dtype())
}

/// The operands, in every way that a GPU may see them.
fn seen(operands: &[Scalar]) -> Vec<Vec<Scalar>> {
    let mut ways = vec![Vec::new()];
    for &operand in operands {
        let zeros = [0.0, -0.0].map(|zero| Scalar::F64(zero).cast(operand.dtype()));
        let values = if is_subnormal(operand) { vec![operand, zeros[0], zeros[1]] } else { vec![operand] };
        ways =
            ways.iter().flat_map(|way| values.iter().map(move |&value| [way.as_slice(), &[value]].concat())).collect();
    }
    ways
}

/// Whether a GPU may make this of an operation.
pub fn accepts(operation: Operation, operands: &[Scalar], got: Scalar) -> bool {
    // Almost always the whole check.
    let is_plain = !operands.iter().any(|&operand| is_subnormal(operand));
    if is_plain {
        return expected(operation, operands).iter().any(|expected| expected.accepts(got));
    }
    seen(operands).iter().flat_map(|operands| expected(operation, operands)).any(|expected| expected.accepts(got))
}

/// The results that may be expected of operands as they are seen.
pub fn expected(operation: Operation, operands: &[Scalar]) -> Vec<Expected> {
    let value = operation.apply(operands);
    if operation == Operation::Ternary(TernaryOp::MulAdd) {
        return vec![Expected::exactly(value), Expected::exactly(unfused(operands))];
    }
    let Some(row) = operation.row().filter(|row| row.gpu_bound(value.dtype()) > 0.0) else {
        return vec![Expected::exactly(value)];
    };
    let (gpu, own) = (row.gpu_bound(value.dtype()).ceil(), row.ulp_bound(value.dtype()).ceil());
    if value.dtype() == DType::F64 {
        return vec![reference(row.name, operands, value.to_f64(), DType::F64, (gpu + own) as u64)];
    }
    let wide: Vec<Scalar> = operands.iter().map(|x| x.cast(DType::F64)).collect();
    vec![reference(row.name, operands, operation.apply(&wide).to_f64(), DType::F32, gpu as u64)]
}

/// What is expected of a function whose exact result is known.
pub fn reference(name: &str, operands: &[Scalar], exact: f64, dtype: DType, steps: u64) -> Expected {
    let epsilon = if dtype == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    // The gamma family counts in units of max(|result|, 1) where its roots crowd.
    let from_one = ["gamma", "lgamma", "digamma"].contains(&name) && operands[0].to_f64() <= 0.0 && exact.abs() < 1.0;
    let slack = if from_one { 4.0 * epsilon } else { 0.0 };
    Expected { value: Scalar::F64(exact).cast(dtype), exact, steps, slack }
}

/// The product, rounded, and the sum, rounded.
fn unfused(operands: &[Scalar]) -> Scalar {
    let product = BinaryOp::Mul.apply(operands[0], operands[1]).unwrap();
    BinaryOp::Add.apply(product, operands[2]).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kroton::ops::UnaryOp;

    #[test]
    fn only_what_is_promised_is_accepted() {
        let (add, mul) = (Operation::Binary(BinaryOp::Add), Operation::Binary(BinaryOp::Mul));
        let (exp, lt) = (Operation::Unary(UnaryOp::Exp), Operation::Binary(BinaryOp::Lt));
        let f = Scalar::F32;
        assert!(accepts(add, &[f(1.0), f(2.0)], f(3.0)) && !accepts(add, &[f(1.0), f(2.0)], f(3.0_f32.next_up())));
        assert!(accepts(mul, &[f(1e-20), f(1e-20)], f(0.0)) && !accepts(mul, &[f(1e-15), f(1e-15)], f(0.0)));
        assert!(!accepts(mul, &[f(-0.0), f(1.0)], f(0.0)) && accepts(mul, &[f(-1e-20), f(1e-20)], f(-0.0)));
        let e = 1.0_f64.exp() as f32;
        let off = |steps: u32| f(f32::from_bits(e.to_bits() + steps));
        assert!(accepts(exp, &[f(1.0)], off(4)) && !accepts(exp, &[f(1.0)], off(5)));
        assert!(!accepts(exp, &[f(1.0)], Scalar::F64(f64::from(e))) && !accepts(exp, &[f(f32::NAN)], f(0.0)));
        let tiny = f(f32::from_bits(7));
        assert!(accepts(lt, &[f(0.0), tiny], Scalar::Bool(true)) && accepts(lt, &[f(0.0), tiny], Scalar::Bool(false)));
        assert!(!accepts(lt, &[f(0.0), f(1e-30)], Scalar::Bool(false)));
    }
}
