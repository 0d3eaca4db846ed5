//! Reductions: one row each, as state, init, lift, merge and finish over a small builder.
//!
//! The order in which elements are merged is part of the definition, so that every engine, thread count,
//! layout and vector width gives the same bits. The elements of one reduction are numbered 0, 1, 2, … in
//! row-major order over the reduced axes. Blocks of [`BLOCK`] consecutive elements are reduced on their own:
//! element `i` of a block goes to virtual lane `i mod LANES`; each lane starts at `init` and merges its
//! elements in order; the lanes are merged as a halving tree (lane `j` with lane `j + LANES/2`, then
//! `LANES/4`, …, 1). The blocks' states are merged pairwise as a binary counter does: after block `k`, the two
//! newest states are merged once for each trailing one bit of `k`; at the end what is left is merged from the
//! newest to the oldest. A reduction of no elements is `init`.

use smallvec::{SmallVec, smallvec};

use crate::dtype::{DType, Kind, Scalar};
use crate::ops::{BinaryOp, TernaryOp};

/// Virtual lanes of a reduction.
pub const LANES: usize = 16;

/// Elements of a block of a reduction.
pub const BLOCK: usize = 1024;

/// Where a row writes its computations: the oracle computes them at once, lowering emits loop IR.
pub trait Builder {
    /// A value of any dtype.
    type Value: Clone;
    /// A constant.
    fn constant(&mut self, value: Scalar) -> Self::Value;
    /// An op of two operands.
    fn binary(&mut self, op: BinaryOp, a: Self::Value, b: Self::Value) -> Self::Value;
    /// An op of three operands.
    fn ternary(&mut self, op: TernaryOp, a: Self::Value, b: Self::Value, c: Self::Value) -> Self::Value;
    /// A conversion.
    fn cast(&mut self, dtype: DType, value: Self::Value) -> Self::Value;
}

/// The state of a reduction: a small tuple.
pub type State<V> = SmallVec<[V; 3]>;

/// A reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReduceOp {
    /// Sum; bool and signed integers in i64, unsigned in u64.
    Sum,
    /// Product; dtypes as of the sum.
    Prod,
    /// The smallest; NaN if there is one; an error when empty.
    Min,
    /// The largest; NaN if there is one; an error when empty.
    Max,
    /// The i64 position of the first smallest, or of the first NaN; an error when empty.
    ArgMin,
    /// The i64 position of the first largest, or of the first NaN; an error when empty.
    ArgMax,
    /// Whether all are true.
    All,
    /// Whether any is true.
    Any,
    /// The sum of squared deviations from the mean, in one pass (Chan, Golub, LeVeque 1983).
    SquaredDeviations,
}

impl ReduceOp {
    /// Every reduction, in table order.
    pub const ALL: &'static [ReduceOp] = &[
        ReduceOp::Sum,
        ReduceOp::Prod,
        ReduceOp::Min,
        ReduceOp::Max,
        ReduceOp::ArgMin,
        ReduceOp::ArgMax,
        ReduceOp::All,
        ReduceOp::Any,
        ReduceOp::SquaredDeviations,
    ];

    /// The name in texts.
    pub const fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Min => "min",
            ReduceOp::Max => "max",
            ReduceOp::ArgMin => "argmin",
            ReduceOp::ArgMax => "argmax",
            ReduceOp::All => "all",
            ReduceOp::Any => "any",
            ReduceOp::SquaredDeviations => "squared_deviations",
        }
    }

    /// The sentence in docs/ops.md.
    pub const fn doc(self) -> &'static str {
        match self {
            ReduceOp::Sum => "Sum; 0 when empty. bool and signed integers accumulate in i64, unsigned in u64.",
            ReduceOp::Prod => "Product; 1 when empty. Accumulates as `sum`.",
            ReduceOp::Min => "The smallest element; NaN if there is one; an error when empty.",
            ReduceOp::Max => "The largest element; NaN if there is one; an error when empty.",
            ReduceOp::ArgMin => {
                "The position (i64) of the first smallest element, or of the first NaN; an error when empty."
            }
            ReduceOp::ArgMax => {
                "The position (i64) of the first largest element, or of the first NaN; an error when empty."
            }
            ReduceOp::All => "Whether all elements are true; true when empty.",
            ReduceOp::Any => "Whether any element is true; false when empty.",
            ReduceOp::SquaredDeviations => "Σ (x − mean)² in one pass; 0 when empty. What `var` and `std` are made of.",
        }
    }

    /// The reduction with this name.
    pub fn from_name(name: &str) -> Option<ReduceOp> {
        ReduceOp::ALL.iter().copied().find(|op| op.name() == name)
    }

    /// Whether it takes this dtype.
    pub const fn accepts(self, dtype: DType) -> bool {
        match self {
            ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Min | ReduceOp::Max | ReduceOp::ArgMin | ReduceOp::ArgMax => {
                true
            }
            ReduceOp::All | ReduceOp::Any => matches!(dtype, DType::Bool),
            ReduceOp::SquaredDeviations => dtype.is_float(),
        }
    }

    /// Whether there is no result for no elements.
    pub const fn needs_elements(self) -> bool {
        matches!(self, ReduceOp::Min | ReduceOp::Max | ReduceOp::ArgMin | ReduceOp::ArgMax)
    }

    /// The dtype of the result.
    pub const fn result(self, element: DType) -> DType {
        match self {
            ReduceOp::Sum | ReduceOp::Prod => element.accumulator(),
            ReduceOp::Min | ReduceOp::Max | ReduceOp::SquaredDeviations => element,
            ReduceOp::ArgMin | ReduceOp::ArgMax => DType::I64,
            ReduceOp::All | ReduceOp::Any => DType::Bool,
        }
    }

    /// The value of a reduction of no elements in every part of the state.
    pub fn init(self, element: DType) -> State<Scalar> {
        let number = |value: i64| Scalar::I64(value).cast(element.accumulator());
        match self {
            ReduceOp::Sum => smallvec![number(0)],
            ReduceOp::Prod => smallvec![number(1)],
            ReduceOp::Min => smallvec![highest(element)],
            ReduceOp::Max => smallvec![lowest(element)],
            ReduceOp::ArgMin => smallvec![highest(element), Scalar::I64(i64::MAX)],
            ReduceOp::ArgMax => smallvec![lowest(element), Scalar::I64(i64::MAX)],
            ReduceOp::All => smallvec![Scalar::Bool(true)],
            ReduceOp::Any => smallvec![Scalar::Bool(false)],
            ReduceOp::SquaredDeviations => smallvec![number(0), number(0), number(0)],
        }
    }

    /// The state of one element at its position.
    pub fn lift<B: Builder>(self, b: &mut B, dtype: DType, element: B::Value, position: B::Value) -> State<B::Value> {
        match self {
            ReduceOp::Sum | ReduceOp::Prod if dtype != dtype.accumulator() => {
                smallvec![b.cast(dtype.accumulator(), element)]
            }
            ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => {
                smallvec![element]
            }
            ReduceOp::ArgMin | ReduceOp::ArgMax => smallvec![element, position],
            ReduceOp::SquaredDeviations => {
                let one = b.constant(Scalar::I64(1).cast(dtype));
                let zero = b.constant(Scalar::I64(0).cast(dtype));
                smallvec![one, element, zero]
            }
        }
    }

    /// The state of two runs of elements, the left one first.
    pub fn merge<B: Builder>(self, b: &mut B, dtype: DType, left: &[B::Value], right: &[B::Value]) -> State<B::Value> {
        let mut combine = |op| smallvec![b.binary(op, left[0].clone(), right[0].clone())];
        match self {
            ReduceOp::Sum => combine(BinaryOp::Add),
            ReduceOp::Prod => combine(BinaryOp::Mul),
            ReduceOp::Min if dtype == DType::Bool => combine(BinaryOp::And),
            ReduceOp::Max if dtype == DType::Bool => combine(BinaryOp::Or),
            ReduceOp::Min => combine(BinaryOp::Minimum),
            ReduceOp::Max => combine(BinaryOp::Maximum),
            ReduceOp::All => combine(BinaryOp::And),
            ReduceOp::Any => combine(BinaryOp::Or),
            ReduceOp::ArgMin => merge_position(b, BinaryOp::Lt, dtype, left, right),
            ReduceOp::ArgMax => merge_position(b, BinaryOp::Gt, dtype, left, right),
            ReduceOp::SquaredDeviations => merge_moments(b, dtype, left, right),
        }
    }

    /// What `merge` gives where the right side is one element that comes after all those of the left, in fewer steps;
    /// `None` where `merge` has as few. A left side without elements is `init`, but for `running_position`.
    pub fn append<B: Builder>(
        self,
        b: &mut B,
        dtype: DType,
        left: &[B::Value],
        right: &[B::Value],
    ) -> Option<State<B::Value>> {
        match self {
            ReduceOp::ArgMin => Some(append_position(b, [BinaryOp::Lt, BinaryOp::Ge], dtype, left, right)),
            ReduceOp::ArgMax => Some(append_position(b, [BinaryOp::Gt, BinaryOp::Le], dtype, left, right)),
            ReduceOp::Sum
            | ReduceOp::Prod
            | ReduceOp::Min
            | ReduceOp::Max
            | ReduceOp::All
            | ReduceOp::Any
            | ReduceOp::SquaredDeviations => None,
        }
    }

    /// The part of the state that is the position of a lane's first element before that is appended, or where it would be:
    /// the lane's place in the block. An element that is no better than `init` then need not be taken, and a lane
    /// without elements loses to all others, which come earlier.
    pub const fn running_position(self) -> Option<usize> {
        match self {
            ReduceOp::ArgMin | ReduceOp::ArgMax => Some(1),
            ReduceOp::Sum
            | ReduceOp::Prod
            | ReduceOp::Min
            | ReduceOp::Max
            | ReduceOp::All
            | ReduceOp::Any
            | ReduceOp::SquaredDeviations => None,
        }
    }

    /// The result of a state.
    pub fn finish<V: Clone>(self, state: &[V]) -> V {
        match self {
            ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => {
                state[0].clone()
            }
            ReduceOp::ArgMin | ReduceOp::ArgMax => state[1].clone(),
            ReduceOp::SquaredDeviations => state[2].clone(),
        }
    }
}

impl std::fmt::Display for ReduceOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

fn highest(dtype: DType) -> Scalar {
    match dtype.kind() {
        Kind::Float => Scalar::F64(f64::INFINITY).cast(dtype),
        Kind::Bool => Scalar::Bool(true),
        Kind::Signed | Kind::Unsigned => Scalar::F64(f64::INFINITY).cast(dtype),
    }
}

fn lowest(dtype: DType) -> Scalar {
    match dtype.kind() {
        Kind::Bool => Scalar::Bool(false),
        Kind::Float | Kind::Signed | Kind::Unsigned => Scalar::F64(f64::NEG_INFINITY).cast(dtype),
    }
}

/// Takes the right pair if its value is better, or as good and earlier; a NaN is better than any number.
fn merge_position<B: Builder>(
    b: &mut B,
    better: BinaryOp,
    dtype: DType,
    left: &[B::Value],
    right: &[B::Value],
) -> State<B::Value> {
    let [(value, position), (other, other_position)] = [left, right].map(|state| (state[0].clone(), state[1].clone()));
    let wins = b.binary(better, other.clone(), value.clone());
    let equal = b.binary(BinaryOp::Eq, other.clone(), value.clone());
    let earlier = b.binary(BinaryOp::Lt, other_position.clone(), position.clone());
    let take = if dtype.is_float() {
        let nan = b.binary(BinaryOp::Ne, value.clone(), value.clone());
        let other_nan = b.binary(BinaryOp::Ne, other.clone(), other.clone());
        let wins = b.binary(BinaryOp::Or, wins, other_nan.clone());
        let not_worse = {
            let both = b.binary(BinaryOp::And, nan.clone(), other_nan);
            b.binary(BinaryOp::Or, equal, both)
        };
        let tie = b.binary(BinaryOp::And, not_worse.clone(), earlier);
        let no = b.constant(Scalar::Bool(false));
        // A NaN on the left loses only to an earlier NaN.
        let strict = b.ternary(TernaryOp::Select, nan, no, wins);
        b.ternary(TernaryOp::Select, not_worse, tie, strict)
    } else {
        let tie = b.binary(BinaryOp::And, equal, earlier);
        b.binary(BinaryOp::Or, wins, tie)
    };
    let value = b.ternary(TernaryOp::Select, take.clone(), other, value);
    let position = b.ternary(TernaryOp::Select, take, other_position, position);
    smallvec![value, position]
}

/// Takes the right pair, whose position is the greater one, if its value is better; a NaN is better than any number.
fn append_position<B: Builder>(
    b: &mut B,
    [better, no_better]: [BinaryOp; 2],
    dtype: DType,
    left: &[B::Value],
    right: &[B::Value],
) -> State<B::Value> {
    let [(value, position), (other, other_position)] = [left, right].map(|state| (state[0].clone(), state[1].clone()));
    let take = if dtype.is_float() {
        // Not so with a NaN on the right; and one on the left stays.
        let loses = b.binary(no_better, other.clone(), value.clone());
        let number = b.binary(BinaryOp::Eq, value.clone(), value.clone());
        b.binary(BinaryOp::Lt, loses, number)
    } else {
        b.binary(better, other.clone(), value.clone())
    };
    let value = b.ternary(TernaryOp::Select, take.clone(), other, value);
    let position = b.ternary(TernaryOp::Select, take, other_position, position);
    smallvec![value, position]
}

/// Chan's update of (count, mean, squared deviations). The count of an empty side makes its weight zero, and
/// the deviation is multiplied by the weight before it is squared, so that 1e200 alone does not overflow.
fn merge_moments<B: Builder>(b: &mut B, dtype: DType, left: &[B::Value], right: &[B::Value]) -> State<B::Value> {
    let [(n, mean, m2), (other_n, other_mean, other_m2)] =
        [left, right].map(|state| (state[0].clone(), state[1].clone(), state[2].clone()));
    let total = b.binary(BinaryOp::Add, n.clone(), other_n.clone());
    let one = b.constant(Scalar::I64(1).cast(dtype));
    let divisor = b.binary(BinaryOp::Maximum, total.clone(), one);
    let share = b.binary(BinaryOp::Div, other_n, divisor);
    let delta = b.binary(BinaryOp::Sub, other_mean, mean.clone());
    let step = b.binary(BinaryOp::Mul, delta.clone(), share.clone());
    let mean = b.binary(BinaryOp::Add, mean, step);
    let weight = b.binary(BinaryOp::Mul, n, share);
    let scaled = b.binary(BinaryOp::Mul, delta.clone(), weight);
    let between = b.binary(BinaryOp::Mul, delta, scaled);
    let within = b.binary(BinaryOp::Add, m2, other_m2);
    smallvec![total, mean, b.binary(BinaryOp::Add, within, between)]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Now;

    impl Builder for Now {
        type Value = Scalar;
        fn constant(&mut self, value: Scalar) -> Scalar {
            value
        }
        fn binary(&mut self, op: BinaryOp, a: Scalar, b: Scalar) -> Scalar {
            op.apply(a, b).unwrap()
        }
        fn ternary(&mut self, op: TernaryOp, a: Scalar, b: Scalar, c: Scalar) -> Scalar {
            op.apply(a, b, c).unwrap()
        }
        fn cast(&mut self, dtype: DType, value: Scalar) -> Scalar {
            value.cast(dtype)
        }
    }

    fn fold(op: ReduceOp, values: &[f64]) -> Scalar {
        let mut state = op.init(DType::F64);
        for (i, &x) in values.iter().enumerate() {
            let element = op.lift(&mut Now, DType::F64, Scalar::F64(x), Scalar::I64(i as i64));
            state = op.merge(&mut Now, DType::F64, &state, &element);
        }
        op.finish(&state)
    }

    #[test]
    fn positions_take_the_first_nan_and_the_first_of_equals() {
        let nan = f64::NAN;
        assert_eq!(fold(ReduceOp::ArgMin, &[3.0, 1.0, 1.0]), Scalar::I64(1));
        assert_eq!(fold(ReduceOp::ArgMax, &[3.0, nan, 9.0, nan]), Scalar::I64(1));
        assert_eq!(fold(ReduceOp::ArgMin, &[f64::INFINITY, f64::INFINITY]), Scalar::I64(0));
        assert_eq!(fold(ReduceOp::ArgMin, &[nan, 1.0]), Scalar::I64(0));
        assert_eq!(fold(ReduceOp::ArgMax, &[-0.0, 0.0]), Scalar::I64(0));
    }

    /// All sequences of so many of a few values, in lanes of which the last may be empty.
    #[test]
    fn appending_is_merging_what_comes_later() {
        let choice = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, -0.0, 0.0, 1.0];
        for op in [ReduceOp::ArgMin, ReduceOp::ArgMax] {
            for (number, length) in (0..=5).flat_map(|length| (0..6usize.pow(length)).map(move |n| (n, length))) {
                let values: Vec<f64> = (0..length).map(|i| choice[number / 6usize.pow(i) % 6]).collect();
                let init = op.init(DType::F64);
                let (mut merged, mut appended) = (vec![init.clone(); 2], vec![init.clone(); 2]);
                for (lane, state) in appended.iter_mut().enumerate() {
                    state[op.running_position().unwrap()] = Scalar::I64(lane as i64);
                }
                for (i, &value) in values.iter().enumerate() {
                    let element = op.lift(&mut Now, DType::F64, Scalar::F64(value), Scalar::I64(i as i64));
                    merged[i % 2] = op.merge(&mut Now, DType::F64, &merged[i % 2], &element);
                    appended[i % 2] = op.append(&mut Now, DType::F64, &appended[i % 2], &element).unwrap();
                }
                if length > 0 {
                    let [merged, appended] =
                        [merged, appended].map(|lanes| op.merge(&mut Now, DType::F64, &lanes[0], &lanes[1]));
                    let same = merged[0] == appended[0] || merged[0].is_nan() && appended[0].is_nan();
                    assert!(same && merged[1] == appended[1], "{op} {values:?}: {merged:?} {appended:?}");
                }
            }
        }
    }

    #[test]
    fn merging_with_the_initial_state_changes_nothing() {
        for &op in ReduceOp::ALL.iter().filter(|op| op.accepts(DType::F64)) {
            for x in [0.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200] {
                let init = op.init(DType::F64);
                let state = op.lift(&mut Now, DType::F64, Scalar::F64(x), Scalar::I64(7));
                if op == ReduceOp::SquaredDeviations && !x.is_finite() {
                    continue;
                }
                for merged in
                    [op.merge(&mut Now, DType::F64, &init, &state), op.merge(&mut Now, DType::F64, &state, &init)]
                {
                    let (merged, alone) = (op.finish(&merged), op.finish(&state));
                    assert!(merged == alone || (merged.is_nan() && alone.is_nan()), "{op} {x}: {merged} {alone}");
                }
            }
        }
    }

    #[test]
    fn squared_deviations_are_those_of_the_mean() {
        assert_eq!(fold(ReduceOp::SquaredDeviations, &[1.0, 2.0, 3.0, 4.0]), Scalar::F64(5.0));
        assert_eq!(fold(ReduceOp::SquaredDeviations, &[1e200]), Scalar::F64(0.0));
    }
}
