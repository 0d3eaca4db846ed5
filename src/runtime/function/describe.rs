//! What a function tells of itself: its signature, its stages of compilation, its profile.
//!
//! Must not know: how a call runs.

use super::{Function, Stage};
use crate::error::{Error, Result};
use crate::runtime::profile::Profile;
use crate::shape::Shape;

impl Function {
    /// Inputs and outputs with dtype and shape, and the names of shared variables; `?` is a size that each call decides.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// let f = kroton::compile([&x], x.sum(..))?;
    /// assert_eq!(f.signature(), "function(x: f64[?]) -> (f64[])");
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn signature(&self) -> String {
        let sizes = |shape: &Shape| {
            let sizes = shape.iter().map(|dim| dim.constant().map_or("?".to_string(), |size| size.to_string()));
            sizes.collect::<Vec<_>>().join(", ")
        };
        let inputs =
            self.inputs().iter().map(|input| format!("{}: {}[{}]", input.name, input.dtype, sizes(&input.shape)));
        let names = self.0.parts.as_ref().map_or(&[][..], |parts| parts.names());
        let outputs = self.outputs().iter().enumerate().map(|(index, output)| {
            let name = names.get(index).map_or(String::new(), |name| format!("{name}: "));
            format!("{name}{}[{}]", output.dtype, sizes(&output.shape))
        });
        let (inputs, outputs) = (inputs.collect::<Vec<_>>().join(", "), outputs.collect::<Vec<_>>().join(", "));
        let mut text = format!("{}({inputs}) -> ({outputs})", self.0.name);
        for (names, verb) in self.0.state.names().into_iter().zip(["reads", "updates"]) {
            if !names.is_empty() {
                text.push_str(&format!(" {verb} {}", names.join(", ")));
            }
        }
        text
    }

    /// The text of a stage of compilation.
    ///
    /// # Errors
    /// `Unsupported` for a stage that the device does not have.
    ///
    /// ```
    /// let x = kroton::vector::<f64>("x");
    /// let f = kroton::compile([&x], &x + &x)?;
    /// assert!(f.dump(kroton::Stage::Graph)?.starts_with("kroton 1"));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn dump(&self, stage: Stage) -> Result<String> {
        if stage != Stage::All {
            return self.0.implementation.dump(stage);
        }
        let mut text = String::new();
        for stage in Stage::EACH {
            match self.0.implementation.dump(stage) {
                Ok(part) => text.push_str(&format!("=== {stage:?}\n{}\n\n", part.trim_end())),
                Err(Error::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    }

    /// What calls have cost so far, and what compiling did, of a function compiled with
    /// [`Compiler::profile`](crate::Compiler::profile): data, and a table through `Display`.
    ///
    /// Kernels and library calls are timed where they run. On a GPU each is submitted on its own and waited for, so that
    /// a profiled call takes longer than others; the first one includes uploads.
    /// [`Device::Interpreter`](crate::Device) lists nodes of the graph instead.
    ///
    /// # Errors
    /// `Argument` for a function that was compiled without a profile.
    ///
    /// ```
    /// use kroton::{Compiler, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().name("norm").profile(true).compile([&x], (&x * &x).sum(..).sqrt())?;
    /// assert_eq!(f.call::<f64>((&[3.0, 4.0],))?, 5.0);
    /// let profile = f.profile()?;
    /// assert_eq!((profile.calls, profile.kernels[0].class, profile.kernels[0].bytes), (1, "reduce", 3 * 8));
    /// assert!(profile.to_string().starts_with("`norm` on cpu: 1 call in "));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn profile(&self) -> Result<Profile> {
        let profiler = self.0.profiler.as_ref().ok_or_else(|| {
            Error::Argument(format!(
                "{} was compiled without a profile; ask for one with Compiler::new().profile(true), or with \
                 KROTON_FLAGS=profile=true in the environment",
                self.title()
            ))
        })?;
        Ok(profiler.report())
    }

    /// How many kernels a call runs.
    #[doc(hidden)]
    pub fn kernel_count(&self) -> usize {
        self.0.implementation.kernel_count()
    }

    /// How many variants of machine code have been made so far.
    #[doc(hidden)]
    pub fn compilations(&self) -> usize {
        self.0.implementation.compilations()
    }
}
