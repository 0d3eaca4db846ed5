//! Runs a function at all levels over many arguments and finds its greatest errors.

use crate::elementary::kernel::{Level, binary_kernel, unary_kernel};
use crate::elementary::{Binary, Emulated, Separate, Unary, binary, unary};
use crate::number::{self, Number, Scale};
use crate::samples::{self, Arguments, Domain};
use rug::Float;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments that are worked on at once; no multiple of a chunk, so that padding is tried too.
const BATCH: usize = 4099;

/// The error of the plain `f64` function that spares most of the exhaustive arguments a look into MPFR, in ULPs of
/// `f32`.
const ESTIMATE: f64 = 1e-3;

pub struct Options {
    pub count: u64,
    pub exhaustive: bool,
}

/// The greatest error and where it is, as the bits of the arguments' `f64` values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worst {
    pub error: f64,
    pub arguments: (f64, f64),
}

impl Worst {
    fn include(&mut self, error: f64, arguments: (f64, f64)) {
        if error > self.error {
            *self = Self { error, arguments };
        }
    }
}

/// What is found out of a function.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// With fused multiply-add.
    pub fused: Worst,
    /// Without.
    pub separate: Worst,
    pub count: u64,
    /// Places where two forms differ that must not.
    pub differences: Vec<String>,
}

impl Findings {
    fn merge(&mut self, other: Self) {
        self.fused.include(other.fused.error, other.fused.arguments);
        self.separate.include(other.separate.error, other.separate.arguments);
        self.count += other.count;
        self.differences.extend(other.differences);
    }
}

type Kernel<T> = Box<dyn Fn(&mut [T], &[T], &[T]) + Sync>;

/// A function in all forms.
pub struct Subject<T: Number> {
    pub name: &'static str,
    pub kernels: Vec<(Level, Kernel<T>)>,
    emulated: fn(T, T) -> T,
    separate: fn(T, T) -> T,
    pub exact: fn(&Float, &Float) -> Float,
    /// A good approximation.
    pub plain: Option<fn(f64) -> f64>,
    pub domain: Domain,
    pub scale: Scale,
}

/// The levels that this processor has.
fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Baseline];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Level::Avx2);
        }
        let parts = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
        if parts && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            levels.push(Level::Avx512);
        }
    }
    levels
}

fn is_fused(level: Level) -> bool {
    level != Level::Baseline || cfg!(target_arch = "aarch64")
}

impl<T: Number> Subject<T> {
    pub fn unary<F: Unary<T> + 'static>(name: &'static str) -> Self {
        let kernel = |level| -> Kernel<T> {
            let kernel = unary_kernel::<F, T>(level);
            Box::new(move |out, a, _| {
                assert_eq!(out.len(), a.len());
                // SAFETY: both slices have that length, and the processor has the level.
                unsafe { kernel(out.as_mut_ptr(), a.as_ptr(), a.len()) }
            })
        };
        Self::new(name, kernel, |a, _| unary::<F, T, Emulated>(a), |a, _| unary::<F, T, Separate>(a))
    }

    pub fn binary<F: Binary<T> + 'static>(name: &'static str) -> Self {
        let kernel = |level| -> Kernel<T> {
            let kernel = binary_kernel::<F, T>(level);
            Box::new(move |out, a, b| {
                assert!(out.len() == a.len() && out.len() == b.len());
                // SAFETY: the three slices have that length, and the processor has the level.
                unsafe { kernel(out.as_mut_ptr(), a.as_ptr(), b.as_ptr(), a.len()) }
            })
        };
        Self::new(name, kernel, |a, b| binary::<F, T, Emulated>(a, b), |a, b| binary::<F, T, Separate>(a, b))
    }

    fn new(
        name: &'static str,
        kernel: impl Fn(Level) -> Kernel<T>,
        emulated: fn(T, T) -> T,
        separate: fn(T, T) -> T,
    ) -> Self {
        let function = crate::functions::function(name);
        Self {
            name,
            kernels: levels().into_iter().map(|level| (level, kernel(level))).collect(),
            emulated,
            separate,
            exact: function.exact,
            plain: function.plain,
            domain: function.domain,
            scale: function.scale,
        }
    }

    /// The errors over all arguments that the options ask for, on all threads.
    pub fn measure(&self, options: &Options) -> Findings {
        let batches = if options.exhaustive { (1u64 << 32).div_ceil(BATCH as u64) } else { options.count / 4096 + 1 };
        let mut findings = Findings::default();
        let next = AtomicU64::new(0);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let work = || self.thread(options, &next, batches);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                findings.merge(thread.join().expect("a measurement panicked"));
            }
        });
        findings
    }

    fn thread(&self, options: &Options, next: &AtomicU64, batches: u64) -> Findings {
        let mut findings = Findings::default();
        loop {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches || !findings.differences.is_empty() {
                return findings;
            }
            if options.exhaustive {
                let start = batch * BATCH as u64;
                let a: Vec<T> = (start..(start + BATCH as u64).min(1 << 32)).map(T::from_bits64).collect();
                self.batch(&Arguments { b: a.clone(), a }, batch.is_multiple_of(64), true, &mut findings);
            } else if batch == 0 {
                self.batch(&samples::critical(self.domain), true, false, &mut findings);
            } else {
                self.batch(&samples::random(self.domain, batch, BATCH), true, false, &mut findings);
            }
        }
    }

    /// Measures a batch; where `filter`, only arguments whose error may be a new record.
    fn batch(&self, arguments: &Arguments<T>, scalar: bool, filter: bool, findings: &mut Findings) {
        let Arguments { a, b } = arguments;
        let mut first: [Option<Vec<T>>; 2] = [None, None];
        for (level, kernel) in &self.kernels {
            let mut out = a.clone();
            kernel(&mut out, a, b);
            self.compare_positions(*level, kernel, arguments, &out, findings);
            let form = &mut first[usize::from(is_fused(*level))];
            match form {
                Some(other) => self.compare(&format!("{level:?}"), arguments, other, &out, findings),
                None => *form = Some(out),
            }
        }
        for (values, (name, function)) in first.iter().zip([("Separate", self.separate), ("Emulated", self.emulated)]) {
            if let Some(values) = values.as_ref().filter(|_| scalar) {
                let out: Vec<T> = a.iter().zip(b).map(|(&a, &b)| function(a, b)).collect();
                self.compare(name, arguments, values, &out, findings);
            }
        }
        findings.count += a.len() as u64;
        for (i, (&a, &b)) in a.iter().zip(b).enumerate() {
            self.errors(a, b, first.each_ref().map(|values| values.as_ref().map(|v| v[i])), filter, findings);
        }
    }

    /// The errors without and with fused multiply-add at one argument.
    fn errors(&self, a: T, b: T, values: [Option<T>; 2], filter: bool, findings: &mut Findings) {
        if filter && self.are_harmless(a, values, findings) {
            return;
        }
        let exact = (self.exact)(&a.exact(), &b.exact());
        for (value, worst) in values.into_iter().zip([&mut findings.separate, &mut findings.fused]) {
            if let Some(value) = value {
                worst.include(number::ulps(a.wide(), value, &exact, self.scale), (a.wide(), b.wide()));
            }
        }
    }

    /// Whether neither value can be the worst, as far as the plain function tells.
    fn are_harmless(&self, a: T, values: [Option<T>; 2], findings: &Findings) -> bool {
        let Some(plain) = self.plain else { return false };
        let estimate = plain(a.wide());
        // Far from the ends of the range, where an ULP is a part of the number.
        let size = estimate.abs();
        if !(size > 2f64.powi(T::LEAST + T::DIGITS) && size < 2f64.powi(T::LIMIT - 1)) {
            return false;
        }
        let ulp = f64::from_bits(size.to_bits() & 0x7ff0_0000_0000_0000) * 2f64.powi(1 - T::DIGITS);
        let worst = [findings.separate.error, findings.fused.error];
        values
            .iter()
            .zip(worst)
            .all(|(value, worst)| value.is_none_or(|value| (value.wide() - estimate).abs() / ulp + ESTIMATE <= worst))
    }

    fn compare(&self, name: &str, arguments: &Arguments<T>, expected: &[T], values: &[T], findings: &mut Findings) {
        for (i, (expected, value)) in expected.iter().zip(values).enumerate() {
            if !expected.same(*value) && findings.differences.len() < 5 {
                let (a, b) = (arguments.a[i], arguments.b[i]);
                findings.differences.push(format!("{name} of ({a:?}, {b:?}): {value:?}, not {expected:?}"));
            }
        }
    }

    /// Whether elements have the same bits at another place in a chunk, and in place.
    fn compare_positions(
        &self,
        level: Level,
        kernel: &Kernel<T>,
        arguments: &Arguments<T>,
        expected: &[T],
        findings: &mut Findings,
    ) {
        let Arguments { a, b } = arguments;
        let offset = 1 + findings.count as usize % 13;
        let mut out = a[offset..].to_vec();
        kernel(&mut out, &a[offset..], &b[offset..]);
        let shifted = Arguments { a: a[offset..].to_vec(), b: b[offset..].to_vec() };
        self.compare(&format!("{level:?} elsewhere"), &shifted, &expected[offset..], &out, findings);
    }
}
