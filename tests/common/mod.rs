//! What the acceptance tests share: values of every dtype, arguments in every memory layout, and what "equal" means.
//!
//! Only the public interface is used here, and nothing that computes an expected value of the crate.

#![allow(dead_code)] // every test binary uses its own part of this module

#[cfg(feature = "gpu")]
pub mod gpu;
pub mod statistics;

use kroton::{Arg, Array, Compiler, DType, Device, Element, Error, Function, OptLevel, Scalar};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// Runs an expression with a type alias bound to the Rust type of a dtype.
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {{
        macro_rules! arm {
            ($element:ty) => {{
                type $type = $element;
                $body
            }};
        }
        match $dtype {
            kroton::DType::Bool => arm!(bool),
            kroton::DType::I8 => arm!(i8),
            kroton::DType::U8 => arm!(u8),
            kroton::DType::I32 => arm!(i32),
            kroton::DType::U32 => arm!(u32),
            kroton::DType::I64 => arm!(i64),
            kroton::DType::U64 => arm!(u64),
            kroton::DType::F32 => arm!(f32),
            kroton::DType::F64 => arm!(f64),
            other => panic!("{other} is not covered by the tests"),
        }
    }};
}
#[allow(unused_imports)] // as above
pub(crate) use with_element;

/// Every engine, with its name for messages.
pub fn engines() -> [(&'static str, Device); 3] {
    [("interpreter", Device::Interpreter), ("loops", Device::Loops), ("cpu", Device::Cpu)]
}

/// A compiler for an engine that rewrites nothing and accepts unused inputs.
pub fn plain(device: Device) -> Compiler {
    Compiler::new().device(device).optimize(OptLevel::None).on_unused_input(kroton::OnUnused::Ignore)
}

/// The only result of a call, as scalars in row-major order.
pub fn call_scalars(f: &Function, arguments: &[&Argument]) -> kroton::Result<Vec<Scalar>> {
    let args: Vec<Arg<'_>> = arguments.iter().map(|argument| argument.arg()).collect();
    let result: Array = f.call(args.as_slice())?;
    Ok(scalars(&result))
}

/// The elements of an array in row-major order.
pub fn scalars(array: &Array) -> Vec<Scalar> {
    with_element!(array.dtype(), T => array.as_slice::<T>().unwrap().iter().map(|x| x.to_scalar()).collect())
}

/// The elements of an array of f64 in row-major order.
pub fn f64s(array: &Array) -> Vec<f64> {
    array.as_slice::<f64>().unwrap().to_vec()
}

/// What is said of an expression that is refused where it is built, in the caller's file.
#[track_caller]
pub fn refused<T>(result: kroton::Result<T>) -> String {
    let caller = std::panic::Location::caller().file();
    match result {
        Err(Error::Build { message, location }) => {
            assert_eq!(location.file(), caller, "{message}");
            message
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("accepted"),
    }
}

/// How an argument lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Row-major, without gaps.
    Contiguous,
    /// Every second element along the last axis, every third along the others.
    Strided,
    /// Backwards along every axis.
    Reversed,
    /// Column-major.
    Transposed,
    /// Stride zero along the first axis; the elements at its index 0 repeat.
    Repeated,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 5] =
        [Layout::Contiguous, Layout::Strided, Layout::Reversed, Layout::Transposed, Layout::Repeated];
}

/// An argument of a call that owns its memory.
pub struct Argument {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub layout: Layout,
    /// The elements in row-major order, as the callee sees them.
    pub values: Vec<Scalar>,
    memory: Box<dyn Memory>,
}

trait Memory: Send + Sync {
    fn arg<'a>(&'a self, shape: &[usize]) -> Arg<'a>;
}

impl<T: Element> Memory for ArrayD<T> {
    fn arg<'a>(&'a self, shape: &[usize]) -> Arg<'a> {
        Arg::from(self.broadcast(IxDyn(shape)).unwrap())
    }
}

impl Argument {
    /// An argument of this shape from its elements in row-major order.
    pub fn new(dtype: DType, shape: &[usize], mut values: Vec<Scalar>, layout: Layout) -> Argument {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        let layout = if shape.is_empty() { Layout::Contiguous } else { layout };
        if layout == Layout::Repeated && !values.is_empty() {
            let row = values.len() / shape[0];
            values = values[..row].iter().copied().cycle().take(values.len()).collect();
        }
        let memory = with_element!(dtype, T => {
            let elements = values.iter().map(|&value| T::from_scalar(value).unwrap()).collect();
            let array = ArrayD::<T>::from_shape_vec(IxDyn(shape), elements).unwrap();
            Box::new(lay_out(array, layout)) as Box<dyn Memory>
        });
        Argument { dtype, shape: shape.to_vec(), layout, values, memory }
    }

    /// A vector.
    pub fn vector(dtype: DType, values: &[Scalar], layout: Layout) -> Argument {
        Argument::new(dtype, &[values.len()], values.to_vec(), layout)
    }

    /// What a call takes.
    pub fn arg(&self) -> Arg<'_> {
        self.memory.arg(&self.shape)
    }
}

impl std::fmt::Debug for Argument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?} {:?} {:?}", self.dtype, self.shape, self.layout, self.values)
    }
}

fn lay_out<T: Element>(array: ArrayD<T>, layout: Layout) -> ArrayD<T> {
    let rank = array.ndim();
    match layout {
        Layout::Contiguous => array,
        Layout::Strided => {
            let step = |axis: usize| if axis + 1 == rank { 2 } else { 3 };
            let shape: Vec<usize> = array.shape().iter().enumerate().map(|(axis, n)| n * step(axis)).collect();
            let mut wide = ArrayD::from_elem(IxDyn(&shape), T::default());
            let every = |axis: Axis| Slice::new(0, None, step(axis.0) as isize);
            wide.slice_each_axis_mut(|axis| every(axis.axis)).assign(&array);
            wide.slice_each_axis_inplace(|axis| every(axis.axis));
            wide
        }
        Layout::Reversed => {
            let mut backwards = array;
            (0..rank).for_each(|axis| backwards.invert_axis(Axis(axis)));
            let mut copy = backwards.as_standard_layout().into_owned();
            (0..rank).for_each(|axis| copy.invert_axis(Axis(axis)));
            copy
        }
        Layout::Transposed => array.reversed_axes().as_standard_layout().into_owned().reversed_axes(),
        Layout::Repeated if array.is_empty() => array,
        Layout::Repeated => array.slice_axis(Axis(0), Slice::from(0..1)).into_owned(),
    }
}

/// Whether two values are equal in a test: same dtype and bits, all NaNs alike.
pub fn same(a: Scalar, b: Scalar) -> bool {
    a == b || (a.dtype() == b.dtype() && a.is_nan() && b.is_nan())
}

/// The first index at which two results are not the same.
pub fn difference(got: &[Scalar], expected: &[Scalar]) -> Option<String> {
    if got.len() != expected.len() {
        return Some(format!("{} elements instead of {}", got.len(), expected.len()));
    }
    let index = got.iter().zip(expected).position(|(&a, &b)| !same(a, b))?;
    Some(format!("element {index} is {:?} instead of {:?}", got[index], expected[index]))
}

/// How many steps of the type lie between two floats; NaN is only near NaN, and zeros of both signs coincide.
pub fn steps(a: Scalar, b: Scalar) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if same(a, b) { 0 } else { u64::MAX };
    }
    let sign = 1_u64 << (a.dtype().size() * 8 - 1);
    let place = |x: Scalar| {
        let size = (x.bits() & (sign - 1)) as i64;
        if x.bits() & sign == 0 { size } else { -size }
    };
    place(a).abs_diff(place(b))
}

/// Values that break careless code: limits, wraps, signed zeros, subnormals, infinities, NaN, halves, powers of two.
pub fn nasty(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => vec![Scalar::Bool(true), Scalar::Bool(false)],
        DType::F32 => nasty_f32().into_iter().map(Scalar::F32).collect(),
        DType::F64 => nasty_f64().into_iter().map(Scalar::F64).collect(),
        _ => nasty_integers(dtype),
    }
}

fn nasty_integers(dtype: DType) -> Vec<Scalar> {
    let bits = dtype.size() as u32 * 8;
    let small = [0, 1, -1, 2, -2, 3, -3, 5, -5, 7, 8, 10, -10, 31, 32, 33, 63, 64, 65, 100];
    let limits = [1_i128 << (bits - 1), (1_i128 << bits) - 1, 1_i128 << (bits / 2)];
    let near = limits.iter().flat_map(|&limit| [limit - 2, limit - 1, limit, 1 - limit, -limit]);
    let mut values: Vec<Scalar> = Vec::new();
    for value in small.into_iter().chain(near) {
        let wrapped = Scalar::from_bits(dtype, value as u64);
        if !values.contains(&wrapped) {
            values.push(wrapped);
        }
    }
    values
}

fn nasty_f64() -> Vec<f64> {
    let sizes = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        2.0,
        3.0,
        0.1,
        7.25,
        10.0,
        100.3,
        1e-300,
        709.5,
        745.2,
        127.5,
        255.5,
        2147483647.5,
        4294967296.0,
        9007199254740993.0,
        9.3e18,
        1.9e19,
        1e300,
        f64::EPSILON,
        1.0 + f64::EPSILON,
        1.0 - f64::EPSILON / 2.0,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::from_bits((1 << 52) - 1),
        f64::MAX,
        f64::INFINITY,
        std::f64::consts::PI,
    ];
    sizes.into_iter().flat_map(|x| [x, -x]).chain([f64::NAN]).collect()
}

fn nasty_f32() -> Vec<f32> {
    let sizes = [
        0.0,
        1.0,
        0.5,
        1.5,
        2.5,
        2.0,
        3.0,
        0.1,
        7.25,
        10.0,
        100.3,
        88.8,
        103.9,
        127.5,
        255.5,
        2147483648.0,
        4294967296.0,
        16777217.0,
        9.3e18,
        1.9e19,
        1e30,
        f32::EPSILON,
        1.0 + f32::EPSILON,
        1.0 - f32::EPSILON / 2.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits((1 << 23) - 1),
        f32::MAX,
        f32::INFINITY,
        std::f32::consts::PI,
    ];
    sizes.into_iter().flat_map(|x| [x, -x]).chain([f32::NAN]).collect()
}

/// Reduces states in the order that `src/ops/reduction.rs` defines in words: blocks of 1024, 16 lanes, a halving
/// tree, and a binary counter.
pub fn in_order<S: Copy>(elements: &[S], init: S, merge: impl Fn(S, S) -> S) -> S {
    let mut counter: Vec<S> = Vec::new();
    for (k, block) in elements.chunks(1024).enumerate() {
        let mut lanes = [init; 16];
        for (i, &element) in block.iter().enumerate() {
            lanes[i % 16] = merge(lanes[i % 16], element);
        }
        for width in [8, 4, 2, 1] {
            for lane in 0..width {
                lanes[lane] = merge(lanes[lane], lanes[lane + width]);
            }
        }
        counter.push(lanes[0]);
        for _ in 0..k.trailing_ones() {
            let newer = counter.pop().unwrap();
            let older = counter.pop().unwrap();
            counter.push(merge(older, newer));
        }
    }
    let Some(newest) = counter.pop() else { return init };
    counter.into_iter().rev().fold(newest, |newer, older| merge(older, newer))
}

/// A small generator of pseudo-random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number of [-1, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A value of any bits for integers and bools, of [-1, 1) times a power of two for floats.
    pub fn scalar(&mut self, dtype: DType) -> Scalar {
        if dtype.is_float() {
            let scale = f64::from(1 << self.below(12));
            Scalar::F64(self.unit() * scale).cast(dtype)
        } else {
            Scalar::from_bits(dtype, self.bits())
        }
    }
}
