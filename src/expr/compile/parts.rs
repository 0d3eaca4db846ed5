//! Names of outputs, and functions of some of them.

use rustc_hash::FxHashSet;

use crate::error::{Error, Result};
use crate::expr::Expr;
use crate::expr::compiler::Compiler;
use crate::expr::intern::{intern, used_inputs, used_symbols};
use crate::expr::shared::shared_inputs;
use crate::runtime::Function;
use crate::runtime::parts::Parts;

impl Compiler {
    /// Names the outputs, so that [`Function::fetch`] can ask for some of them.
    ///
    /// ```
    /// use kroton::{Compiler, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().output_names(["sum", "max"]).compile([&x], (x.sum(..), x.max(..)))?;
    /// assert_eq!(f.signature(), "function(x: f64[?]) -> (sum: f64[], max: f64[])");
    /// assert_eq!(f.fetch(["max"])?.call::<f64>((&[1.0, 3.0, 2.0],))?, 3.0);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn output_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.output_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// What compiles some of the outputs, if they have names.
    pub(super) fn parts(&self, inputs: &[Expr], outputs: &[Expr]) -> Result<Option<Parts>> {
        let names = &self.output_names;
        if names.is_empty() {
            return Ok(None);
        }
        if names.len() != outputs.len() {
            let (named, count) = (names.len(), outputs.len());
            return Err(Error::Argument(format!("output_names gives {named} names; the function has {count} outputs")));
        }
        let mut seen = FxHashSet::default();
        if let Some(twice) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(Error::Argument(format!("output_names gives the name \"{twice}\" twice")));
        }
        // Looking at a part changes nothing.
        let compiler = Compiler { updates: Vec::new(), ..self.clone() };
        let (inputs, outputs) = (inputs.to_vec(), outputs.to_vec());
        let compile = move |chosen: &[usize]| compiler.part(&inputs, &outputs, chosen);
        Ok(Some(Parts::new(names.clone(), Box::new(compile))))
    }

    /// A function of the chosen outputs and of the inputs that they need.
    fn part(&self, inputs: &[Expr], outputs: &[Expr], chosen: &[usize]) -> Result<Function> {
        let output_names = chosen.iter().map(|&index| self.output_names[index].clone()).collect();
        let outputs: Vec<Expr> = chosen.iter().map(|&index| outputs[index].clone()).collect();
        let shared = shared_inputs(inputs, &outputs, &self.givens, &[])?.inputs;
        let (graph, constraints) = intern(&[inputs, &shared].concat(), &outputs, &self.givens)?;
        let used = used_inputs(&graph, &used_symbols(&graph, &constraints), &[]);
        let inputs: Vec<Expr> = inputs.iter().zip(used).filter(|(_, used)| *used).map(|(x, _)| x.clone()).collect();
        Compiler { output_names, ..self.clone() }.build(&inputs, &outputs)
    }
}
