//! What a random graph is drawn as: numbers that always mean some graph, so that shrinking can take any away.
//!
//! A recipe names earlier values modulo their number and never fails; `program.rs` says what it stands for.

use kroton::DType;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::common::Layout;

/// An input of the graph.
#[derive(Debug, Clone)]
pub struct InputRecipe {
    pub dtype: DType,
    pub dims: Vec<DimRecipe>,
    pub layout: Layout,
    /// Ordinary values only, else with NaN, infinities and limits.
    pub tame: bool,
}

/// A size of an input.
#[derive(Debug, Clone, Copy)]
pub enum DimRecipe {
    /// Known when compiling.
    Fixed(usize),
    /// Open; which of the sizes of the recipe it has in the call.
    Open(usize),
}

/// What sort of node a step adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unary,
    Binary,
    BinaryWithConstant,
    Ternary,
    Cast,
    Reduce,
    Permute,
    Reshape,
    Broadcast,
    Slice,
    Concat,
    MatMul,
    Dense,
    Iota,
    Size,
    Idiom,
    Phrase,
    Loop,
    Region,
}

/// A step: a kind, and numbers that choose the op, the dtype and the operands.
#[derive(Debug, Clone)]
pub struct StepRecipe {
    pub kind: Kind,
    pub op: u16,
    pub dtype: Option<DType>,
    pub operands: [u16; 3],
    pub knob: u16,
}

/// A graph with its arguments.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub sizes: [usize; 3],
    pub inputs: Vec<InputRecipe>,
    pub steps: Vec<StepRecipe>,
    pub outputs: Vec<u16>,
    pub seed: u64,
    /// What stands for floats where nothing else is asked for.
    pub float: DType,
}

impl Recipe {
    /// The same without f64, for engines that have none.
    pub fn in_f32(&self) -> Recipe {
        let narrow = |dtype: DType| if dtype == DType::F64 { DType::F32 } else { dtype };
        let mut recipe = Recipe { float: DType::F32, ..self.clone() };
        recipe.inputs.iter_mut().for_each(|input| input.dtype = narrow(input.dtype));
        recipe.steps.iter_mut().for_each(|step| step.dtype = step.dtype.map(narrow));
        recipe
    }
}

/// How often each kind is drawn.
pub const KINDS: [(Kind, usize); 19] = {
    use Kind::*;
    [
        (Unary, 5),
        (Binary, 8),
        (BinaryWithConstant, 4),
        (Ternary, 2),
        (Cast, 2),
        (Reduce, 5),
        (Permute, 2),
        (Reshape, 2),
        (Broadcast, 1),
        (Slice, 3),
        (Concat, 2),
        (MatMul, 1),
        (Dense, 1),
        (Iota, 1),
        (Size, 1),
        (Idiom, 3),
        (Phrase, 7),
        (Loop, 2),
        (Region, 2),
    ]
};

fn kinds() -> Vec<Kind> {
    KINDS.into_iter().flat_map(|(kind, weight)| std::iter::repeat_n(kind, weight)).collect()
}

fn dim() -> impl Strategy<Value = DimRecipe> {
    prop_oneof![
        1 => Just(DimRecipe::Fixed(1)),
        1 => (0..=6_usize).prop_map(DimRecipe::Fixed),
        6 => (0..3_usize).prop_map(DimRecipe::Open),
    ]
}

fn input() -> impl Strategy<Value = InputRecipe> {
    let parts = (select(&DType::ALL[..]), vec(dim(), 0..=3), select(&Layout::ALL[..]), prop::bool::weighted(0.7));
    parts.prop_map(|(dtype, dims, layout, tame)| InputRecipe { dtype, dims, layout, tame })
}

fn step() -> impl Strategy<Value = StepRecipe> {
    let dtype = prop::option::of(select(&DType::ALL[..]));
    let parts = (select(kinds()), any::<u16>(), dtype, any::<[u16; 3]>(), any::<u16>());
    parts.prop_map(|(kind, op, dtype, operands, knob)| StepRecipe { kind, op, dtype, operands, knob })
}

/// Any recipe.
pub fn recipe() -> impl Strategy<Value = Recipe> {
    let size = || prop_oneof![1 => Just(0_usize), 9 => 1..=6_usize];
    let parts = ([size(), size(), size()], vec(input(), 1..=3), vec(step(), 1..=12), vec(any::<u16>(), 1..=3));
    (parts, any::<u64>()).prop_map(|((sizes, inputs, steps, outputs), seed)| Recipe {
        sizes,
        inputs,
        steps,
        outputs,
        seed,
        float: DType::F64,
    })
}
