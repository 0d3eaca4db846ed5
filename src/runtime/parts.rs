//! Functions of some of a function's outputs, compiled when they are first asked for.
//!
//! Must not know: how they are compiled.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::runtime::Function;

/// What compiles a function of the outputs with these numbers.
pub type CompilePart = dyn Fn(&[usize]) -> Result<Function> + Send + Sync;

/// The named outputs of a function.
pub struct Parts {
    names: Vec<String>,
    compile: Box<CompilePart>,
    known: Mutex<HashMap<Vec<usize>, Function>>,
}

impl Parts {
    /// Outputs with these names, all different.
    pub fn new(names: Vec<String>, compile: Box<CompilePart>) -> Parts {
        Parts { names, compile, known: Mutex::default() }
    }

    /// The names, in the order of the outputs.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn numbers<'n>(&self, asked: impl IntoIterator<Item = &'n str>) -> Result<Vec<usize>> {
        let mut numbers = Vec::new();
        for name in asked {
            let number = self.names.iter().position(|other| other == name).ok_or_else(|| {
                Error::Argument(format!("there is no output \"{name}\"; the outputs are {}", self.names.join(", ")))
            })?;
            if numbers.contains(&number) {
                return Err(Error::Argument(format!("the output \"{name}\" is asked for twice")));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn function(&self, numbers: Vec<usize>) -> Result<Function> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = known().get(&numbers) {
            return Ok(function.clone());
        }
        // Compiled outside the lock; of two threads that do so at once the first one's is kept.
        let function = (self.compile)(&numbers)?;
        Ok(known().entry(numbers).or_insert(function).clone())
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parts({})", self.names.join(", "))
    }
}

impl Function {
    /// A function of some of the outputs, in the order of these names, which
    /// [`Compiler::output_names`](crate::Compiler::output_names) gave: it takes those of the inputs that these outputs
    /// need, and computes nothing else. It is compiled when it is first asked for; then it is at hand.
    ///
    /// As a fetch of TensorFlow that does not name the training step, it applies no updates: looking at a part of a model
    /// does not train it. It reads shared variables as they are.
    ///
    /// # Errors
    /// `Argument` if the outputs have no names, for a name that none of them has, or one that comes twice.
    ///
    /// ```
    /// use kroton::{Arg, Compiler, shared, vector};
    /// let (x, y, w) = (vector::<f64>("x"), vector::<f64>("y"), shared("w", 2.0));
    /// let prediction = &w * &x;
    /// let loss = (&prediction - &y).square().sum(..);
    /// let step = Compiler::new()
    ///     .output_names(["prediction", "loss"])
    ///     .updates([(&w, &w - 0.1 * kroton::grad(&loss, [&w])?[0].clone())])
    ///     .compile([&x, &y], (&prediction, &loss))?;
    /// let predict = step.fetch(["prediction"])?;
    /// assert_eq!(predict.call_named::<Vec<f64>>([("x", Arg::from(&[1.0, 2.0]))])?, [2.0, 4.0]);
    /// assert_eq!(w.get::<f64>()?, 2.0);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn fetch<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Function> {
        let parts = self.0.parts.as_ref().ok_or_else(|| {
            let name = self.name();
            Error::Argument(format!(
                "the outputs of `{name}` have no names; give them some with Compiler::new().output_names([…])"
            ))
        })?;
        parts.function(parts.numbers(names)?)
    }
}
