//! The settings of a compilation, and how they are said.
//!
//! A `Compiler` is plain data; what it leaves open, the flags of the process fill in. What the settings lead to is the
//! business of the stages.

use std::sync::Arc;

use crate::backend::Backend;
use crate::backend::cpu::InstructionSet;
#[cfg(feature = "gpu")]
use crate::backend::gpu::GpuMask;
use crate::expr::Expr;
use crate::expr::convert::IntoExpr;
use crate::expr::flags::Flags;
use crate::expr::settings::{Check, Device, OnUnused, OptLevel};
use crate::expr::shared::Shared;
use crate::runtime::Stage;

/// Settings for a compilation.
///
/// What the code leaves open, the environment variable `KROTON_FLAGS` fills in for the whole program, as in
/// `KROTON_FLAGS=device=gpu,threads=2`. It is read once, and a key or value that is none is an error of `compile`:
///
/// | key | value | what it stands for |
/// |---|---|---|
/// | `device` | `cpu`, `interpreter`, `loops`, `gpu`, `auto` | [`device`](Compiler::device) |
/// | `device` | `gpu:1`, `gpu:radeon`, `auto:…` | that, and which GPU: its index in [`devices`](crate::devices()) or a part of its name; also for code that says [`Device::Gpu`] |
/// | `threads` | a number | [`threads`](Compiler::threads) |
/// | `parallel_threshold` | a number | [`parallel_threshold`](Compiler::parallel_threshold) |
/// | `optimize` | `none`, `full`, `fast` | [`optimize`](Compiler::optimize) |
/// | `isa` | `native`, `baseline`, `avx2`, `avx512` | [`isa`](Compiler::isa) |
/// | `check` | `none`, `nan`, `differential` | [`check`](Compiler::check) |
/// | `dump` | `graph`, `optimized`, `schedule`, `loops`, `clif`, `asm`, `wgsl`, `all`, joined by `+` | [`Function::dump`](crate::Function::dump) of these, printed to the standard error when a function is compiled |
/// | `profile` | `true`, `false` | [`profile`](Compiler::profile) |
/// | `exclude` | names joined by `+` | [`exclude`](Compiler::exclude), beside those that the code names |
///
/// ```
/// use kroton::{Compiler, Device, vector};
/// let x = vector::<f64>("x");
/// let f = Compiler::new().name("twice").threads(2).compile([&x], 2.0 * &x)?;
/// assert_eq!(f.signature(), "twice(x: f64[?]) -> (f64[?])");
/// # Ok::<(), kroton::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    pub(super) name: Option<String>,
    pub(super) device: Option<Device>,
    pub(super) threads: Option<usize>,
    pub(super) parallel_threshold: Option<usize>,
    pub(super) level: Option<OptLevel>,
    pub(super) exclude: Vec<String>,
    pub(super) isa: Option<InstructionSet>,
    pub(super) profile: Option<bool>,
    pub(super) check: Option<Check>,
    pub(super) dump: Vec<Stage>,
    pub(super) engine: Option<Arc<dyn Backend>>,
    pub(super) on_unused: OnUnused,
    pub(super) givens: Vec<(Expr, Expr)>,
    pub(super) updates: Vec<(Shared, Expr)>,
    pub(super) output_names: Vec<String>,
    pub(super) row_bytes: Option<usize>,
    #[cfg(feature = "gpu")]
    pub(super) limits: GpuMask,
}

impl Compiler {
    /// The default settings.
    pub fn new() -> Compiler {
        Compiler::default()
    }

    /// The name in errors, dumps and profiles.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_string());
        self
    }

    /// What runs the function; [`Device::Cpu`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, Device, vector};
    /// let x = vector::<f64>("x");
    /// let [fast, right] = [Device::Cpu, Device::Interpreter].map(|d| Compiler::new().device(d).compile([&x], x.sqrt()));
    /// let xs = [2.0, 9.0];
    /// assert_eq!(fast?.call::<Vec<f64>>((&xs,))?, right?.call::<Vec<f64>>((&xs,))?);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// How many threads a call may use, 1 to 1024; unless said otherwise, as many as the rayon pool of the caller has, or
    /// rayon's global one. The result is the same to the last bit for any number (of a NaN, its sign and payload are open). A
    /// caller that is one of a pool's threads shares its work with the others there. Any other is one of the threads itself, so that calls of several such callers at
    /// once run on all of these; it is helped by threads of Kroton's own, which sleep when there is nothing to do. None
    /// is started before it is needed. Where the system refuses to start one, and in a process that was forked from one which
    /// had shared work (while no call was in progress), callers do the work themselves.
    ///
    /// Without a number, the first call that is worth sharing, `map` and `submit` ask rayon for the size of its global pool, and
    /// rayon starts it then if nobody has; it panics where the system refuses. With a number nothing of that happens.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// From how many elements on a kernel is run in parallel; unless said otherwise, a cost estimate decides.
    pub fn parallel_threshold(mut self, elements: usize) -> Self {
        self.parallel_threshold = Some(elements);
        self
    }

    /// How far to optimize; [`OptLevel::Full`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, OptLevel, Stage, vector};
    /// let x = vector::<f64>("x");
    /// let y = (1.0 + &x).ln();
    /// let [full, none] = [OptLevel::Full, OptLevel::None].map(|level| Compiler::new().optimize(level).compile([&x], &y));
    /// assert!(full?.dump(Stage::Optimized)?.contains("= log1p"));
    /// assert!(!none?.dump(Stage::Optimized)?.contains("= log1p"));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn optimize(mut self, level: OptLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// Which instructions machine code may use ([`Device::Cpu`]); [`InstructionSet::Native`] unless said otherwise. One
    /// that the processor lacks is an error of `compile`.
    ///
    /// ```
    /// use kroton::{Compiler, InstructionSet, compile, vector};
    /// let x = vector::<f64>("x");
    /// let y = x.sqrt() + 1.0;
    /// let bare = Compiler::new().isa(InstructionSet::Baseline).compile([&x], &y)?;
    /// let xs = [2.0, 9.0];
    /// assert_eq!(bare.call::<Vec<f64>>((&xs,))?, compile([&x], &y)?.call::<Vec<f64>>((&xs,))?);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn isa(mut self, set: InstructionSet) -> Self {
        self.isa = Some(set);
        self
    }

    /// Leaves out one rule or pass of the optimizer by name; an unknown name is an error of `compile`. The names of
    /// the rules that fired are in the dump of [`Stage::Optimized`](crate::Stage).
    ///
    /// ```
    /// use kroton::{Compiler, Stage, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().exclude("log1p").compile([&x], (1.0 + &x).ln())?;
    /// assert!(f.dump(Stage::Optimized)?.contains("= ln"));
    /// assert!(Compiler::new().exclude("no such rule").compile([&x], &x + 1).is_err());
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn exclude(mut self, name: &str) -> Self {
        self.exclude.push(name.to_string());
        self
    }

    /// Counts what calls and kernels cost, for [`Function::profile`](crate::Function::profile); some nanoseconds of each
    /// kernel's launch. Off unless said otherwise, and free then.
    ///
    /// ```
    /// use kroton::{Compiler, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().profile(true).compile([&x], x.exp())?;
    /// f.call::<Vec<f64>>((&[0.0, 1.0],))?;
    /// println!("{}", f.profile()?);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn profile(mut self, counts: bool) -> Self {
        self.profile = Some(counts);
        self
    }

    /// What is checked of every call, for finding bugs; [`Check::None`] unless said otherwise. A call that fails its check
    /// is an [`Error::NumericCheck`](crate::Error::NumericCheck); nothing has been written then.
    ///
    /// ```
    /// use kroton::{Check, Compiler, vector};
    /// let x = vector::<f64>("x");
    /// let f = Compiler::new().name("loss").check(Check::Nan).compile([&x], x.ln().sum(..))?;
    /// assert_eq!(f.call::<f64>((&[1.0, 1.0],))?, 0.0);
    /// let error = f.call::<f64>((&[1.0, -2.0],)).unwrap_err().to_string();
    /// assert!(error.starts_with("the check of `loss`: `ln` gives NaN at index [1] from -2.0"));
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// What to do about an input that no output uses; [`OnUnused::Error`] unless said otherwise.
    ///
    /// ```
    /// use kroton::{Compiler, OnUnused, compile, vector};
    /// let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    /// assert!(compile([&x, &y], x.sum(..)).is_err());
    /// let f = Compiler::new().on_unused_input(OnUnused::Ignore).compile([&x, &y], x.sum(..))?;
    /// assert_eq!(f.call::<f64>((&[1.0, 2.0], &[7.0]))?, 3.0);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn on_unused_input(mut self, action: OnUnused) -> Self {
        self.on_unused = action;
        self
    }

    /// Replaces expressions by others of the same dtype and rank wherever they occur.
    ///
    /// ```
    /// use kroton::{Compiler, constant, scalar, vector};
    /// let (x, a) = (vector::<f64>("x"), scalar::<f64>("a"));
    /// let f = Compiler::new().givens([(&a, constant(3.0))]).compile([&x], &a * &x)?;
    /// let y: Vec<f64> = f.call((&[1.0, 2.0],))?;
    /// assert_eq!(y, [3.0, 6.0]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn givens(mut self, givens: impl IntoIterator<Item = (impl AsRef<Expr>, impl IntoExpr)>) -> Self {
        self.givens.extend(givens.into_iter().map(|(old, new)| (old.as_ref().clone(), new.into_expr())));
        self
    }

    /// What each call makes of [shared variables](crate::shared()): their new values.
    ///
    /// New values are computed from the old ones, as outputs are, and all variables get theirs together. Each call is one
    /// step: of calls that run at the same time, none loses what another did. A call that fails changes nothing.
    ///
    /// ```
    /// use kroton::{Compiler, shared};
    /// let (a, b) = (shared("a", 0_i64), shared("b", 1_i64));
    /// let step = Compiler::new().updates([(&a, &b + 0), (&b, &a + &b)]).compile([], &a)?; // Fibonacci's numbers
    /// let first: Vec<i64> = (0..8).map(|_| step.call::<i64>(())).collect::<Result<_, _>>()?;
    /// assert_eq!(first, [0, 1, 1, 2, 3, 5, 8, 13]);
    /// # Ok::<(), kroton::Error>(())
    /// ```
    pub fn updates<'a>(mut self, updates: impl IntoIterator<Item = (&'a Shared, impl IntoExpr)>) -> Self {
        self.updates.extend(updates.into_iter().map(|(variable, value)| (variable.clone(), value.into_expr())));
        self
    }

    /// Lets kernels that share rows run for as many rows at a time as touch so many bytes; 0 keeps all kernels apart.
    /// For tests.
    #[doc(hidden)]
    pub fn row_bytes(mut self, bytes: usize) -> Self {
        self.row_bytes = Some(bytes);
        self
    }

    /// Another engine of the host in place of that of [`Device::Cpu`]. For tests.
    #[doc(hidden)]
    pub fn engine(mut self, engine: Arc<dyn Backend>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Compiles for a GPU as if it were a lesser one. For tests.
    #[cfg(feature = "gpu")]
    #[doc(hidden)]
    pub fn limits(mut self, limits: GpuMask) -> Self {
        self.limits = limits;
        self
    }

    /// These settings, with what they leave open as the flags have it.
    pub(super) fn or(self, flags: &Flags) -> Compiler {
        Compiler {
            device: self.device.or(flags.device),
            threads: self.threads.or(flags.threads),
            parallel_threshold: self.parallel_threshold.or(flags.parallel_threshold),
            level: self.level.or(flags.level),
            isa: self.isa.or(flags.isa),
            profile: self.profile.or(flags.profile),
            check: self.check.or(flags.check),
            dump: flags.dump.clone(),
            exclude: self.exclude.into_iter().chain(flags.exclude.iter().cloned()).collect(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_fill_in_what_code_leaves_open() {
        let flags = Flags {
            device: Some(Device::Loops),
            threads: Some(3),
            parallel_threshold: Some(4),
            level: Some(OptLevel::Fast),
            exclude: vec!["log1p".to_string()],
            isa: Some(InstructionSet::Avx2),
            profile: Some(true),
            check: Some(Check::Nan),
            ..Flags::default()
        };
        let open = Compiler::new().or(&flags);
        let code_profile = Compiler::new().profile(false).or(&flags).profile;
        assert_eq!((open.device, open.threads), (flags.device, flags.threads));
        assert_eq!((open.parallel_threshold, open.level), (flags.parallel_threshold, flags.level));
        assert_eq!(open.isa, flags.isa);
        assert_eq!((open.profile, code_profile, open.check), (Some(true), Some(false), Some(Check::Nan)));
        let code = Compiler::new().device(Device::Cpu).threads(1).parallel_threshold(2).optimize(OptLevel::None);
        let set = code.exclude("expm1").isa(InstructionSet::Baseline).or(&flags);
        assert_eq!(set.isa, Some(InstructionSet::Baseline));
        assert_eq!((set.device, set.threads), (Some(Device::Cpu), Some(1)));
        assert_eq!((set.parallel_threshold, set.level), (Some(2), Some(OptLevel::None)));
        assert_eq!(set.exclude, ["expm1", "log1p"]);
    }
}
