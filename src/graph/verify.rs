//! Whether a graph keeps its invariants: the check after every pass.
//!
//! A violation is always a bug of whoever made the graph, so every error is `Internal` and shows the node.
//! Nothing here changes a graph.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::{Error, Result};
use crate::graph::regions::enclosing;
use crate::graph::text::describe_node;
use crate::graph::{Constraint, Graph, Node, NodeId, Type, describe, infer};
use crate::shape::{Dim, InputId, Measure};

/// Checks a graph: operands come before users, types are what inference says, inputs and outputs exist and no
/// input is listed twice, sizes refer to listed inputs, and regions own their parameters.
///
/// # Errors
/// `Internal` with the text of the first node that is wrong; `Unsupported` if regions nest too deep.
pub fn verify(graph: &Graph) -> Result<()> {
    for id in graph.ids() {
        check_order(graph, id)?;
    }
    check_ends(graph)?;
    let live = graph.live();
    let inputs = listed_inputs(graph)?;
    for id in graph.ids().filter(|id| live[id.index()]) {
        check_type(graph, id)?;
        check_symbols(graph, id, &inputs)?;
    }
    check_regions(graph, &live)
}

fn broken(graph: &Graph, id: NodeId, complaint: &str) -> Error {
    Error::Internal(format!("{complaint}: {}", describe_node(graph, id)))
}

fn check_order(graph: &Graph, id: NodeId) -> Result<()> {
    let mut ordered = true;
    graph.node(id).for_each_operand(|operand| ordered &= *operand < id);
    if ordered { Ok(()) } else { Err(broken(graph, id, "an operand does not come before its user")) }
}

/// Whether the inputs and the outputs exist.
fn check_ends(graph: &Graph) -> Result<()> {
    match graph.inputs.iter().chain(&graph.outputs).find(|id| id.index() >= graph.len()) {
        Some(id) => {
            Err(Error::Internal(format!("%{} is an input or output, but there are {} nodes", id.0, graph.len())))
        }
        None => Ok(()),
    }
}

/// The ids of the inputs with their types.
fn listed_inputs(graph: &Graph) -> Result<FxHashMap<InputId, Type>> {
    let mut inputs = FxHashMap::default();
    for &id in &graph.inputs {
        let Node::Input(input) = graph.node(id) else {
            return Err(broken(graph, id, "not an input, but listed as one"));
        };
        if inputs.insert(input.id, input.ty.clone()).is_some() {
            return Err(broken(graph, id, "an input listed twice"));
        }
        let is_size = |dim: &Dim| match (dim.constant(), dim.as_symbol()) {
            (Some(size), _) => size >= 0,
            // Its own, or one of another input that must be equal.
            (None, Some(symbol)) => matches!(symbol.measure, Measure::Extent(_)),
            (None, None) => false,
        };
        if !input.ty.shape.iter().all(is_size) {
            return Err(broken(graph, id, "the size of an input is neither open nor a number"));
        }
    }
    Ok(inputs)
}

fn check_type(graph: &Graph, id: NodeId) -> Result<()> {
    let mut constraints = Vec::new();
    let inferred = infer(graph.node(id), graph, &mut constraints).map_err(|reason| broken(graph, id, &reason))?;
    let ty = graph.ty(id);
    let fits = ty.dtype == inferred.dtype
        && ty.rank() == inferred.rank()
        && ty.shape.iter().zip(&inferred.shape).all(|(have, wanted)| may_be_equal(have, wanted, &constraints));
    if fits {
        return Ok(());
    }
    Err(broken(graph, id, &format!("the type {} should be {}", describe(ty), describe(&inferred))))
}

/// Whether two sizes are the same, or made so by a constraint of the node.
fn may_be_equal(left: &Dim, right: &Dim, constraints: &[Constraint]) -> bool {
    left == right
        || constraints.iter().any(|constraint| match constraint {
            Constraint::Equal(a, b) => (a == left && b == right) || (a == right && b == left),
            Constraint::SameCount(..)
            | Constraint::NonNegative(_)
            | Constraint::Steps(_)
            | Constraint::NonEmpty(..)
            | Constraint::InBounds { .. } => false,
        })
}

/// Whether every symbol is an open size, or the value, of a listed input.
fn check_symbols(graph: &Graph, id: NodeId, inputs: &FxHashMap<InputId, Type>) -> Result<()> {
    let mut known = true;
    let mut check = |dim: &Dim| {
        dim.for_each_symbol(&mut |symbol| {
            known &= inputs.get(&symbol.input).is_some_and(|ty| match symbol.measure {
                Measure::Extent(axis) => (axis as usize) < ty.rank(),
                Measure::Value => ty.rank() == 0 && ty.dtype.is_integer(),
            });
        });
    };
    graph.ty(id).shape.iter().for_each(&mut check);
    match graph.node(id) {
        Node::Input(input) if !inputs.contains_key(&input.id) => {
            return Err(broken(graph, id, "an input that is not listed"));
        }
        Node::Size(size) => check(size),
        Node::Slice(ranges, _) => ranges.iter().for_each(|range| check(&range.start)),
        // The sizes that these hold are those of their types.
        Node::Input(_)
        | Node::Parameter(..)
        | Node::Scalar(_)
        | Node::Dense(_)
        | Node::Iota(_)
        | Node::Unary(..)
        | Node::Binary(..)
        | Node::Ternary(..)
        | Node::Cast(..)
        | Node::Reduce(..)
        | Node::Permute(..)
        | Node::Reshape(..)
        | Node::Broadcast(..)
        | Node::Concat(..)
        | Node::MatMul(_)
        | Node::Loop(_)
        | Node::Project(..)
        | Node::Custom(..)
        | Node::Barrier(_) => {}
    }
    if known { Ok(()) } else { Err(broken(graph, id, "a size refers to no listed input")) }
}

/// Whether each parameter belongs to one region and is used only inside it.
fn check_regions(graph: &Graph, live: &[bool]) -> Result<()> {
    let mut owned = FxHashSet::default();
    for id in graph.ids().filter(|id| live[id.index()]) {
        if let Node::Loop(node) = graph.node(id) {
            check_parameters(graph, id, &node.body.parameters, &mut owned)?;
        }
    }
    let enclosing = enclosing(graph)?;
    for id in graph.ids().filter(|id| live[id.index()]) {
        let is_parameter = matches!(graph.node(id), Node::Parameter(..));
        if is_parameter && !owned.contains(&id) {
            return Err(broken(graph, id, "a parameter outside every region"));
        }
        if let Node::Loop(node) = graph.node(id)
            && node.outside().any(|outer| enclosing[outer.index()].contains(&id))
        {
            return Err(broken(graph, id, "a loop starts from its own parameters"));
        }
    }
    check_projected(graph, live)?;
    match graph.outputs.iter().find(|output| !enclosing[output.index()].is_empty()) {
        Some(&output) => Err(broken(graph, output, "an output depends on a parameter outside its region")),
        None => Ok(()),
    }
}

/// Whether loops are used by projections only.
fn check_projected(graph: &Graph, live: &[bool]) -> Result<()> {
    let is_loop = |id: &NodeId| matches!(graph.node(*id), Node::Loop(_));
    for id in graph.ids().filter(|id| live[id.index()] && !matches!(graph.node(*id), Node::Project(..))) {
        if graph.node(id).operands().into_iter().any(is_loop) {
            return Err(broken(graph, id, "a loop is used without a projection"));
        }
    }
    match graph.outputs.iter().find(|id| is_loop(id)) {
        Some(&output) => Err(broken(graph, output, "a loop is an output without a projection")),
        None => Ok(()),
    }
}

fn check_parameters(graph: &Graph, id: NodeId, parameters: &[NodeId], owned: &mut FxHashSet<NodeId>) -> Result<()> {
    for &parameter in parameters {
        if !matches!(graph.node(parameter), Node::Parameter(..)) {
            return Err(broken(graph, id, "a region with a parameter that is none"));
        }
        if !owned.insert(parameter) {
            return Err(broken(graph, id, "a parameter of two regions"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::{DType, Scalar};
    use crate::graph::text::parse;
    use crate::graph::{Loop, Region};
    use crate::ops::{BinaryOp, UnaryOp};
    use crate::shape::Symbol;

    const LOOP: &str = "kroton 1\n%0 = input \"x\" f64[?]\n%1 = constant 3 : i64[]\n%2 = parameter f64[%0.0]\n\
        %3 = neg %2 : f64[%0.0]\n%4 = loop %1 [%0] [%2] -> [%3] : f64[%0.0]\n%5 = project 0 %4 : f64[%0.0]\n\
        return %5\ninputs %0\n";

    fn counted(count: NodeId, initial: NodeId, body: Region<NodeId>) -> Node<NodeId> {
        let (initial, sequences) = (vec![initial], Vec::new());
        Node::Loop(Box::new(Loop { count: Some(count), guarded: false, initial, sequences, body }))
    }

    fn complaint(graph: &Graph) -> String {
        match verify(graph) {
            Err(Error::Internal(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_type_is_found() {
        let mut graph = parse(LOOP).unwrap().0;
        verify(&graph).unwrap();
        graph.types[3].dtype = DType::F32;
        assert_eq!(complaint(&graph), "the type f32[?] should be f64[?]: %3 = neg %2 : f32[%0.0]");
        graph.types[3] = Type::scalar(DType::F64);
        assert!(complaint(&graph).contains("the type f64[] should be f64[?]"));
    }

    #[test]
    fn a_size_that_a_constraint_makes_equal_is_accepted() {
        let text = "kroton 1\n%0 = input \"a\" f64[?]\n%1 = input \"b\" f64[?]\n%2 = add %0, %1 : f64[%0.0]\n\
            return %2\ninputs %0, %1\n";
        let mut graph = parse(text).unwrap().0;
        graph.types[2] = graph.types[1].clone();
        verify(&graph).unwrap();
        graph.types[2].shape[0] = Dim::from(2);
        assert!(complaint(&graph).starts_with("the type"));
    }

    #[test]
    fn an_operand_after_its_user_is_found() {
        let mut graph = parse(LOOP).unwrap().0;
        graph.nodes.insert(Node::Binary(BinaryOp::Add, [NodeId(0), NodeId(900)]));
        graph.types.push(Type::scalar(DType::F64));
        graph.origins.push(None);
        assert_eq!(complaint(&graph), "an operand does not come before its user: %6 = add %0, %900 : f64[]");
    }

    #[test]
    fn inputs_and_outputs_are_checked() {
        let good = parse(LOOP).unwrap().0;
        let mut graph = good.clone();
        graph.outputs.push(NodeId(70));
        assert!(complaint(&graph).contains("%70"));
        let mut graph = good.clone();
        graph.inputs.push(NodeId(0));
        assert!(complaint(&graph).starts_with("an input listed twice"));
        let mut graph = good.clone();
        graph.inputs = vec![NodeId(1)];
        assert!(complaint(&graph).starts_with("not an input"));
        let mut graph = good;
        graph.inputs.clear();
        assert!(complaint(&graph).contains("listed"));
    }

    #[test]
    fn a_size_of_a_foreign_input_is_found() {
        let mut graph = parse(LOOP).unwrap().0;
        let foreign = Symbol { input: InputId::new(), measure: Measure::Value };
        let size = graph.add(Node::Size(foreign.into()), None).unwrap();
        graph.outputs.push(size);
        assert!(complaint(&graph).starts_with("a size refers to no listed input"));
    }

    #[test]
    fn parameters_stay_in_their_region() {
        let good = parse(LOOP).unwrap().0;
        let mut graph = good.clone();
        graph.outputs = vec![NodeId(3), NodeId(5)];
        assert!(complaint(&graph).starts_with("an output depends on a parameter"));
        let mut graph = good.clone();
        graph.outputs = vec![NodeId(3)];
        assert!(complaint(&graph).starts_with("a parameter outside every region"));
        let mut graph = good.clone();
        let body = Region { parameters: vec![NodeId(2)], results: vec![NodeId(2)] };
        let second = graph.add(counted(NodeId(1), NodeId(0), body), None).unwrap();
        let second = graph.add(Node::Project(0, second), None).unwrap();
        graph.outputs.push(second);
        assert!(complaint(&graph).starts_with("a parameter of two regions"));
        let mut graph = good;
        let body = Region { parameters: vec![NodeId(0)], results: vec![NodeId(0)] };
        let second = graph.add(counted(NodeId(1), NodeId(0), body), None).unwrap();
        let second = graph.add(Node::Project(0, second), None).unwrap();
        graph.outputs.push(second);
        assert!(complaint(&graph).starts_with("a region with a parameter that is none"));
    }

    #[test]
    fn regions_nest_only_so_deep() {
        let mut graph = Graph::new();
        let count = graph.add(Node::Scalar(Scalar::I64(1)), None).unwrap();
        let initial = graph.add(Node::Scalar(Scalar::F64(1.0)), None).unwrap();
        let parameters: Vec<NodeId> = (0..100)
            .map(|_| graph.add(Node::Parameter(InputId::new(), Type::scalar(DType::F64)), None).unwrap())
            .collect();
        let mut x = parameters[0];
        for &parameter in &parameters {
            x = graph.add(Node::Binary(BinaryOp::Add, [x, parameter]), None).unwrap();
        }
        for &parameter in &parameters {
            let result = graph.add(Node::Unary(UnaryOp::Neg, x), None).unwrap();
            let body = Region { parameters: vec![parameter], results: vec![result] };
            let node = graph.add(counted(count, initial, body), None).unwrap();
            x = graph.add(Node::Project(0, node), None).unwrap();
        }
        graph.outputs = vec![x];
        assert!(matches!(verify(&graph), Err(Error::Unsupported(_))));
    }
}
