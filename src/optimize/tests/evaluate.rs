//! A tiny evaluator of graphs over arrays, by the definitions of the ops; shares nothing with the oracle.

use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node, NodeId};
use crate::ops::{BinaryOp, ReduceOp, TernaryOp};
use crate::shape::{Dim, InputId, Measure, Symbol, Symbols};

/// A shape and elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub elements: Vec<Scalar>,
}

impl Value {
    pub fn scalar(value: Scalar) -> Value {
        Value { shape: vec![], elements: vec![value] }
    }

    pub fn vector(elements: Vec<Scalar>) -> Value {
        Value { shape: vec![elements.len()], elements }
    }

    /// Distinct small numbers.
    pub fn numbers(dtype: DType, shape: &[usize]) -> Value {
        let count = shape.iter().product::<usize>() as i64;
        let elements = (0..count).map(|i| Scalar::I64(i * 7 % 23 - 9).cast(dtype)).collect();
        Value { shape: shape.to_vec(), elements }
    }

    pub fn f64s(&self) -> Vec<f64> {
        self.elements.iter().map(|value| value.to_f64()).collect()
    }

    /// The element of this value, broadcast to a shape, at an index.
    fn at(&self, index: &[usize]) -> Scalar {
        let offset = index.len() - self.shape.len();
        let position = self
            .shape
            .iter()
            .zip(&index[offset..])
            .fold(0, |position, (&size, &i)| position * size + if size == 1 { 0 } else { i });
        self.elements[position]
    }

    fn from_fn(shape: Vec<usize>, element: impl Fn(&[usize]) -> Scalar) -> Value {
        let elements = indices(&shape).map(|index| element(&index)).collect();
        Value { shape, elements }
    }
}

fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    (0..shape.iter().product::<usize>()).map(move |mut position| {
        let mut index = vec![0; shape.len()];
        for (axis, &size) in shape.iter().enumerate().rev() {
            index[axis] = position % size;
            position /= size;
        }
        index
    })
}

/// The outputs of a graph for its inputs.
pub fn evaluate(graph: &Graph, arguments: &[Value]) -> Vec<Value> {
    let mut symbols = Symbols::default();
    for (&id, value) in graph.inputs.iter().zip(arguments) {
        let Node::Input(input) = graph.node(id) else { panic!("an input") };
        for (axis, &size) in value.shape.iter().enumerate() {
            symbols.set(symbol(input.id, axis), size as i64);
        }
    }
    let mut values: Vec<Value> = Vec::new();
    for id in graph.ids() {
        let value = match graph.inputs.iter().position(|&input| input == id) {
            Some(position) => arguments[position].clone(),
            None => compute(graph, id, &values, &symbols),
        };
        values.push(value);
    }
    graph.outputs.iter().map(|id| values[id.index()].clone()).collect()
}

pub fn symbol(input: InputId, axis: usize) -> Symbol {
    Symbol { input, measure: Measure::Extent(axis as u32) }
}

fn compute(graph: &Graph, id: NodeId, values: &[Value], symbols: &Symbols) -> Value {
    let size = |dim: &Dim| dim.evaluate(symbols).unwrap();
    let shape: Vec<usize> = graph.ty(id).shape.iter().map(|dim| size(dim) as usize).collect();
    let of = |id: &NodeId| &values[id.index()];
    match graph.node(id) {
        Node::Scalar(value) => Value::scalar(*value),
        Node::Dense(array) => Value { shape, elements: (0..array.0.len()).map(|i| array.0.get(i)).collect() },
        Node::Iota(length) => Value::vector((0..size(length)).map(Scalar::I64).collect()),
        Node::Size(dim) => Value::scalar(Scalar::I64(size(dim))),
        Node::Unary(op, x) => Value::from_fn(shape, |index| op.apply(of(x).at(index)).unwrap()),
        Node::Binary(op, [a, b]) => Value::from_fn(shape, |index| op.apply(of(a).at(index), of(b).at(index)).unwrap()),
        Node::Ternary(op, [a, b, c]) => {
            Value::from_fn(shape, |index| op.apply(of(a).at(index), of(b).at(index), of(c).at(index)).unwrap())
        }
        Node::Cast(dtype, x) => Value::from_fn(shape, |index| of(x).at(index).cast(*dtype)),
        Node::Permute(order, x) => Value::from_fn(shape, |index| {
            let mut source = vec![0; index.len()];
            order.iter().zip(index).for_each(|(&axis, &i)| source[axis as usize] = i);
            of(x).at(&source)
        }),
        Node::Reshape(_, x) => Value { shape, elements: of(x).elements.clone() },
        Node::Broadcast(_, x) => Value::from_fn(shape, |index| of(x).at(index)),
        Node::Slice(ranges, x) => Value::from_fn(shape, |index| {
            let source =
                ranges.iter().zip(index).map(|(range, &i)| (size(&range.start) + range.step * i as i64) as usize);
            of(x).at(&source.collect::<Vec<_>>())
        }),
        Node::Concat(axis, parts) => Value::from_fn(shape, |index| {
            let (axis, mut index) = (*axis as usize, index.to_vec());
            for part in parts {
                let length = of(part).shape[axis];
                if index[axis] < length {
                    return of(part).at(&index);
                }
                index[axis] -= length;
            }
            panic!("an index beyond the parts")
        }),
        Node::Reduce(op, axes, x) => reduce(*op, axes, of(x), shape),
        Node::Project(index, x) => {
            let Node::Loop(node) = graph.node(*x) else { panic!("a projection of an iteration") };
            of(&node.initial[*index as usize]).clone()
        }
        // Only iterations without steps are evaluated.
        Node::Loop(node) => of(&node.initial[0]).clone(),
        Node::Parameter(..) => Value::scalar(Scalar::I64(0)),
        other => panic!("{} is not evaluated", other.name()),
    }
}

fn reduce(op: ReduceOp, axes: &[u32], x: &Value, shape: Vec<usize>) -> Value {
    let dtype = x.elements.first().map_or(DType::F64, |value| value.dtype());
    let inner: Vec<usize> = axes.iter().map(|&axis| x.shape[axis as usize]).collect();
    Value::from_fn(shape, |kept| {
        let elements = indices(&inner).map(|reduced| {
            let (mut kept, mut reduced) = (kept.iter(), reduced.iter());
            let next = |axis| if axes.contains(&axis) { *reduced.next().unwrap() } else { *kept.next().unwrap() };
            x.at(&(0..x.shape.len() as u32).map(next).collect::<Vec<_>>())
        });
        let start = op.init(dtype)[0];
        match op {
            ReduceOp::ArgMin | ReduceOp::ArgMax => {
                let better = if op == ReduceOp::ArgMax { BinaryOp::Gt } else { BinaryOp::Lt };
                let best = elements.enumerate().reduce(|best, next| {
                    if better.apply(next.1, best.1) == Some(Scalar::Bool(true)) { next } else { best }
                });
                Scalar::I64(best.unwrap().0 as i64)
            }
            ReduceOp::SquaredDeviations => panic!("not evaluated"),
            ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Min | ReduceOp::Max | ReduceOp::All | ReduceOp::Any => {
                let step = match op {
                    ReduceOp::Sum => BinaryOp::Add,
                    ReduceOp::Prod => BinaryOp::Mul,
                    ReduceOp::Min | ReduceOp::Max if dtype == DType::Bool => {
                        if op == ReduceOp::Min {
                            BinaryOp::And
                        } else {
                            BinaryOp::Or
                        }
                    }
                    ReduceOp::Min => BinaryOp::Minimum,
                    ReduceOp::Max => BinaryOp::Maximum,
                    ReduceOp::All => BinaryOp::And,
                    ReduceOp::Any => BinaryOp::Or,
                    ReduceOp::ArgMin | ReduceOp::ArgMax | ReduceOp::SquaredDeviations => unreachable!(),
                };
                elements.fold(start, |sum, next| step.apply(sum, next.cast(start.dtype())).unwrap())
            }
        }
    })
}

/// Whether two values are the same bit for bit, all NaNs being equal.
pub fn same(a: &Value, b: &Value) -> Result<(), String> {
    if a.shape != b.shape {
        return Err(format!("the shapes {:?} and {:?}", a.shape, b.shape));
    }
    let differ = |(a, b): &(&Scalar, &Scalar)| a != b && !(a.is_nan() && b.is_nan() && a.dtype() == b.dtype());
    match a.elements.iter().zip(&b.elements).enumerate().find(|(_, pair)| differ(pair)) {
        Some((position, (a, b))) => Err(format!("at {position}: {a:?} and {b:?}")),
        None => Ok(()),
    }
}

#[test]
fn the_evaluator_computes_by_the_definitions() {
    assert_eq!(TernaryOp::Select.apply(Scalar::Bool(true), Scalar::I8(1), Scalar::I8(2)), Some(Scalar::I8(1)));
    let x = Value { shape: vec![2, 2], elements: (1..=4).map(Scalar::I64).collect() };
    assert_eq!(reduce(ReduceOp::Sum, &[0], &x, vec![2]), Value::vector(vec![Scalar::I64(4), Scalar::I64(6)]));
    assert_eq!(reduce(ReduceOp::ArgMax, &[0, 1], &x, vec![]), Value::scalar(Scalar::I64(3)));
}
