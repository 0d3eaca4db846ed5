//! A function that is checked while it runs: every call is evaluated by the oracle as well, node by node.
//!
//! `Check::Nan` looks at what each node makes of finite operands. `Check::Differential` runs each node on the function's own
//! device, on the oracle's values of its operands, and then the whole function. Either comes before anything is written.
//! Must not know: how results are compared (`check`), or how an engine works.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::array::Array;
use crate::check::estimate::Estimate;
use crate::check::finite::{covers, first_lost, mixes};
use crate::check::looping::Carrier;
use crate::check::rounding::Rounding;
use crate::check::widened;
use crate::dtype::Scalar;
use crate::error::{Error, Result};
use crate::eval;
use crate::expr::compile::Source;
use crate::expr::compiler::Compiler;
use crate::expr::engine::gathered;
use crate::expr::sizes::SizeChecks;
use crate::graph::regions::{Enclosing, enclosing};
use crate::graph::{Graph, Input, Node, NodeId, Type, text};
use crate::runtime::implementation::Implementation;
use crate::runtime::memory::{Memory, Operand};
use crate::runtime::profile::{Profiler, Stopwatch};
use crate::runtime::site::Site;
use crate::runtime::{OutPlace, Stage};
use crate::shape::{Dim, InputId, Shape, Symbols};

/// What is checked of each call.
pub enum Kind {
    /// That finite operands give finite results.
    Nan,
    /// That the engine does as the oracle does.
    Differential(Box<Differential>),
}

/// How nodes are run on their own.
pub struct Differential {
    /// Makes a function of a node, on the device of the whole function.
    pub compiler: Compiler,
    /// What the device promises.
    pub rounding: Rounding,
}

/// A function with its check.
pub struct Checked {
    name: String,
    implementation: Box<dyn Implementation>,
    kind: Kind,
    /// What is evaluated.
    graph: Graph,
    enclosing: Vec<Enclosing>,
}

impl Checked {
    /// Checks a function of a name by a graph.
    ///
    /// # Errors
    /// `Unsupported` for loops that nest too deep.
    pub fn new(name: String, implementation: Box<dyn Implementation>, kind: Kind, graph: Graph) -> Result<Checked> {
        let enclosing = enclosing(&graph)?;
        Ok(Checked { name, implementation, kind, graph, enclosing })
    }

    /// An error at a node, with the user's source line.
    fn error(&self, id: NodeId, message: &str) -> Error {
        let place =
            self.graph.origin(id).map_or(String::new(), |origin| format!("\n  in the expression built at {origin}"));
        Error::NumericCheck(format!("the check of `{}`: {message}{place}", self.name))
    }

    fn check_call(&self, arguments: &[Array], symbols: &Symbols) -> Result<()> {
        match &self.kind {
            Kind::Nan => self.check_finite(arguments, symbols),
            Kind::Differential(how) => {
                let values = self.values(arguments, symbols)?;
                self.check_nodes(how, &values, symbols)?;
                self.check_outputs(how, &values, arguments, symbols)
            }
        }
    }

    fn check_finite(&self, arguments: &[Array], symbols: &Symbols) -> Result<()> {
        let guards = self.guards_of_elements();
        let mixed = if guards.is_empty() { vec![false; self.graph.len()] } else { self.mixed() };
        // Where the elements of each such loop go on, at the step that is under way.
        let mut open: FxHashMap<NodeId, Array> = FxHashMap::default();
        let check = &mut |id: NodeId, operands: &[Array], value: &Array| {
            if let Some(&region) = guards.get(&id) {
                open.insert(region, value.clone());
            }
            let mut masks: SmallVec<[Array; 1]> = SmallVec::new();
            for mask in self.enclosing[id.index()].iter().filter_map(|region| open.get(region)) {
                if !mixed[id.index()] && covers(mask.shape(), value.shape()) {
                    masks.push(widened(mask, value.shape())?);
                } else if !(0..mask.len()).all(|position| mask.get(position) == Scalar::Bool(true)) {
                    return Ok(());
                }
            }
            let counts = |position: usize| masks.iter().all(|mask| mask.get(position) == Scalar::Bool(true));
            match first_lost(self.graph.node(id), operands, value, &counts)? {
                None => Ok(()),
                Some(message) => Err(self.error(id, &message)),
            }
        };
        eval::observe(&self.graph, arguments, symbols, check).map(drop)
    }

    /// The guards of loops whose elements stop one by one, with their loops. The oracle computes steps of elements that have
    /// stopped, too, and drops what they give.
    fn guards_of_elements(&self) -> FxHashMap<NodeId, NodeId> {
        let guard = |id: NodeId| {
            let Node::Loop(node) = self.graph.node(id) else { return None };
            let stops_by_element = node.guarded && self.graph.ty(node.initial[0]).rank() > 0;
            stops_by_element.then(|| (node.body.parameters[0], id))
        };
        self.graph.ids().filter_map(guard).collect()
    }

    /// Of each node, whether its elements are made of others inside a loop, so that no mask says which of them count.
    fn mixed(&self) -> Vec<bool> {
        let mut mixed = vec![false; self.graph.len()];
        for id in self.graph.ids().filter(|id| !self.enclosing[id.index()].is_empty()) {
            let node = self.graph.node(id);
            let mut is_mixed = mixes(node);
            node.for_each_operand(|operand| is_mixed |= mixed[operand.index()]);
            mixed[id.index()] = is_mixed;
        }
        mixed
    }

    /// The oracle's values of all nodes outside loops, and of the outputs.
    fn values(&self, arguments: &[Array], symbols: &Symbols) -> Result<Vec<Option<Array>>> {
        // Every node is an output, so that values are kept and loops' results are among them.
        let live = self.graph.live();
        let mut graph = self.graph.clone();
        let outermost = |id: &NodeId| live[id.index()] && self.enclosing[id.index()].is_empty();
        graph.outputs = graph.ids().filter(outermost).filter(|id| !is_parameter(&self.graph, *id)).collect();
        let mut values = vec![None; graph.len()];
        for (id, value) in graph.outputs.clone().iter().zip(eval::evaluate(&graph, arguments, symbols)?) {
            values[id.index()] = Some(value);
        }
        Ok(values)
    }

    fn check_nodes(&self, how: &Differential, values: &[Option<Array>], symbols: &Symbols) -> Result<()> {
        let mut carrier = Carrier::new(&how.rounding, &self.graph, &self.enclosing, symbols);
        for id in self.graph.ids() {
            let Some(value) = &values[id.index()] else { continue };
            carrier.carry(id, Some(value.clone()))?;
            if self.stands_alone(id, values) {
                let got = self.run_alone(how, id, values, symbols)?;
                if let Some(difference) = carrier.get(id)?.refutes(&got) {
                    let node = text::describe_node(&self.graph, id);
                    return Err(self.error(id, &format!("`{node}` gives {difference}")));
                }
            }
            // The next ones are run on the oracle's values.
            carrier.set(id, Estimate::exact(value.clone()));
        }
        Ok(())
    }

    /// Whether a node computes something and can be run on its own. The maximum of nothing cannot: that it has a value follows
    /// from what was done before.
    fn stands_alone(&self, id: NodeId, values: &[Option<Array>]) -> bool {
        let node = self.graph.node(id);
        let is_empty = |x: &NodeId| values[x.index()].as_ref().is_some_and(Array::is_empty);
        !is_given(node) && !matches!(node, Node::Reduce(op, _, x) if op.needs_elements() && is_empty(x))
    }

    /// The nodes that run when a node runs: itself, and for what a loop gives, the loop and all that is in it.
    fn inside(&self, id: NodeId) -> Vec<NodeId> {
        let mut found = vec![id];
        let mut next = 0;
        while next < found.len() {
            let node = self.graph.node(found[next]);
            next += 1;
            node.for_each_operand(|&operand| {
                let is_loop = matches!(self.graph.node(operand), Node::Loop(_));
                let is_inner =
                    is_loop || is_parameter(&self.graph, operand) || !self.enclosing[operand.index()].is_empty();
                if is_inner && !found.contains(&operand) {
                    found.push(operand);
                }
            });
        }
        found.sort_unstable();
        found
    }

    /// A node run by the engine on the oracle's values of its operands. Sizes are constants of this call.
    fn run_alone(&self, how: &Differential, id: NodeId, values: &[Option<Array>], symbols: &Symbols) -> Result<Array> {
        let alone = self.isolated(id, values, symbols)?;
        let (sources, graph) = alone;
        let (shape, dtype) = (graph.ty(graph.outputs[0]).shape.clone(), graph.ty(graph.outputs[0]).dtype);
        let implementation = how.compiler.implement_graph("node", graph)?;
        let shape = shape.iter().map(|dim| Ok(dim.evaluate(symbols)? as usize)).collect::<Result<Vec<_>>>()?;
        let mut result = Array::zeros(dtype, &shape)?;
        run_on_arrays(&*implementation, &sources, std::slice::from_mut(&mut result), &Symbols::default())?;
        Ok(result)
    }

    /// A graph of one node and what runs inside it, and the arrays that it reads.
    fn isolated(&self, id: NodeId, values: &[Option<Array>], symbols: &Symbols) -> Result<(Vec<Array>, Graph)> {
        let inside = self.inside(id);
        let (mut graph, mut sources) = (Graph::new(), Vec::new());
        let mut places: Vec<Option<NodeId>> = vec![None; self.graph.len()];
        for &inner in &inside {
            for &operand in self.graph.node(inner).operands() {
                if places[operand.index()].is_some() || inside.contains(&operand) {
                    continue;
                }
                let node = self.graph.node(operand);
                let value = value_of(values, operand)?;
                // Constants stay what they are: engines make other code of them.
                places[operand.index()] = Some(match node {
                    Node::Scalar(_) => graph.add(node.clone().map(|id| *id), None)?,
                    _ => {
                        let place = graph.add(Node::Input(Arc::new(input_like(&value))), None)?;
                        graph.inputs.push(place);
                        sources.push(value);
                        place
                    }
                });
            }
        }
        for inner in inside {
            let place = |id: &NodeId| places[id.index()].unwrap_or(NodeId(u32::MAX));
            let known = |dim: &Dim| dim.evaluate(symbols).map_or_else(|_| dim.clone(), Dim::from);
            let node = self.graph.node(inner).map(place).map_dims(&known);
            places[inner.index()] = Some(graph.add(node, self.graph.origin(inner))?);
        }
        graph.outputs.extend(places[id.index()]);
        Ok((sources, graph))
    }

    /// The whole function against bounds that are carried from its arguments on.
    fn check_outputs(
        &self,
        how: &Differential,
        values: &[Option<Array>],
        arguments: &[Array],
        symbols: &Symbols,
    ) -> Result<()> {
        let mut carrier = Carrier::new(&how.rounding, &self.graph, &self.enclosing, symbols);
        for id in self.graph.ids() {
            if let Some(value) = &values[id.index()] {
                carrier.carry(id, Some(value.clone()))?;
            }
        }
        let empty = |id: &NodeId| {
            let value = value_of(values, *id)?;
            Array::zeros(value.dtype(), value.shape())
        };
        let mut results = self.graph.outputs.iter().map(empty).collect::<Result<Vec<_>>>()?;
        run_on_arrays(&*self.implementation, arguments, &mut results, symbols)?;
        for (index, (id, got)) in self.graph.outputs.iter().zip(&results).enumerate() {
            if let Some(difference) = carrier.get(*id)?.refutes(got) {
                return Err(self.error(*id, &format!("output {index} is {difference}")));
            }
        }
        Ok(())
    }
}

fn is_parameter(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id), Node::Parameter(..))
}

/// Whether a node is there before a call computes anything.
fn is_given(node: &Node<NodeId>) -> bool {
    matches!(node, Node::Input(_) | Node::Scalar(_) | Node::Dense(_) | Node::Loop(_))
}

fn value_of(values: &[Option<Array>], id: NodeId) -> Result<Array> {
    values[id.index()].clone().ok_or_else(|| Error::Internal(format!("node {} was not evaluated", id.0)))
}

fn input_like(value: &Array) -> Input {
    let shape: Shape = value.shape().iter().map(|&size| Dim::of_size(size)).collect();
    Input { id: InputId::new(), name: "operand".to_string(), kept: None, ty: Type { dtype: value.dtype(), shape } }
}

/// Runs what computes on whole arrays of the host.
fn run_on_arrays(
    implementation: &dyn Implementation,
    arguments: &[Array],
    results: &mut [Array],
    symbols: &Symbols,
) -> Result<()> {
    let shapes: Vec<Vec<usize>> = results.iter().map(|result| result.shape().to_vec()).collect();
    let operand = |array: &'_ Array| Memory {
        pointer: array.bytes().as_ptr().cast_mut(),
        dtype: array.dtype(),
        shape: &[],
        strides: &[],
    };
    let operands: SmallVec<[Operand<'_>; 4]> = arguments
        .iter()
        .map(|array| Operand::Host(Memory { shape: array.shape(), strides: array.strides(), ..operand(array) }))
        .collect();
    let strides: Vec<Vec<isize>> = results.iter().map(|result| result.strides().to_vec()).collect();
    let place = |((result, shape), strides): ((&mut Array, &Vec<usize>), &Vec<isize>)| {
        OutPlace::of_dtype(result.dtype(), result.bytes_mut().as_mut_ptr(), shape, strides)
    };
    let mut places: Vec<OutPlace<'_>> = results.iter_mut().zip(&shapes).zip(&strides).map(place).collect();
    let site = implementation.site()?;
    // SAFETY: operands and places are arrays that live until the end, places exclusively, of the function's types.
    unsafe { implementation.run(&site, &operands, &mut places, symbols) }
}

impl Implementation for Checked {
    fn check(&self, symbols: &Symbols) -> Result<()> {
        self.implementation.check(symbols)
    }

    fn site(&self) -> Result<Site> {
        self.implementation.site()
    }

    unsafe fn run(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on as promised by the caller.
        unsafe {
            self.check_call(&gathered(inputs)?, symbols)?;
            self.implementation.run(site, inputs, outputs, symbols)
        }
    }

    fn runs_alone(&self) -> bool {
        // Nodes on their own are run as any function is.
        matches!(self.kind, Kind::Nan) && self.implementation.runs_alone()
    }

    unsafe fn run_alone(
        &self,
        site: &Site,
        inputs: &[Operand<'_>],
        outputs: &mut [OutPlace<'_>],
        symbols: &Symbols,
    ) -> Result<()> {
        // SAFETY: passed on as promised by the caller.
        unsafe {
            self.check_call(&gathered(inputs)?, symbols)?;
            self.implementation.run_alone(site, inputs, outputs, symbols)
        }
    }

    fn dump(&self, stage: Stage) -> Result<String> {
        self.implementation.dump(stage)
    }

    fn kernel_count(&self) -> usize {
        self.implementation.kernel_count()
    }

    fn compilations(&self) -> usize {
        self.implementation.compilations()
    }

    fn profiler(&self) -> Option<Arc<Profiler>> {
        self.implementation.profiler()
    }
}

impl Compiler {
    /// What computes the outputs of a graph whose sizes are all known.
    fn implement_graph(&self, name: &str, graph: Graph) -> Result<Box<dyn Implementation>> {
        let checks = SizeChecks::new(&[], Vec::new());
        let source = Source {
            name: name.to_string(),
            built: graph.clone(),
            unified: graph,
            checks,
            stopwatch: Stopwatch::start(),
        };
        Ok(self.unchecked(source)?.1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::expr::Expr;
    use crate::graph::{Custom, HostFunction};
    use crate::{Check, vector};

    fn host(name: &str, call: impl Fn(&[Array]) -> Result<Array> + Send + Sync + 'static, x: &Expr) -> Expr {
        let infer = Box::new(|types: &[&Type]| Ok(types[0].clone()));
        let function = HostFunction { name: name.to_string(), infer, call: Box::new(call) };
        Expr::build(Node::Custom(Custom(Arc::new(function)), vec![x.clone()]))
    }

    #[test]
    fn host_functions_are_checked_too() {
        let x = vector::<f64>("x");
        let calls = AtomicU64::new(0);
        let restless = move |arrays: &[Array]| {
            let mut result = arrays[0].clone();
            result.as_mut_slice::<f64>()?[0] += calls.fetch_add(1, Ordering::Relaxed) as f64;
            Ok(result)
        };
        let f = Compiler::new().check(Check::Differential).compile([&x], host("restless", restless, &x) * 2.0).unwrap();
        let text = f.call::<Vec<f64>>((&[1.0],)).unwrap_err().to_string();
        assert!(text.contains("custom") && text.contains("gives 2.0 where the oracle has 1.0 at index [0]"), "{text}");
        let divide = |arrays: &[Array]| Ok(Array::from_slice(&[1.0 / arrays[0].as_slice::<f64>()?[0]]));
        let f = Compiler::new().check(Check::Nan).compile([&x], host("divide", divide, &x) + 1.0).unwrap();
        let text = f.call::<Vec<f64>>((&[0.0],)).unwrap_err().to_string();
        assert!(text.contains("`divide` gives inf at index [0] from 0.0") && text.contains("checked.rs:"), "{text}");
    }
}
