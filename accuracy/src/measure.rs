//! Runs a function at all levels over many arguments and finds its greatest errors.

use crate::compiled::Level;
use crate::findings::Findings;
use crate::functions::Function;
use crate::number::{self, Number};
use crate::samples::{self, Arguments};
use crate::worst;
use rug::Float;
use std::sync::atomic::{AtomicU64, Ordering};

/// Arguments that are worked on at once; no multiple of a chunk, so that padding is tried too.
const BATCH: usize = 4099;

/// A function on a type, at all levels.
pub struct Subject<'a> {
    pub function: &'a Function,
    pub levels: Vec<Level>,
}

/// The values without fused multiply-add and with it, where the processor has such a level.
pub type Forms<T> = [Option<Vec<T>>; 2];

impl<'a> Subject<'a> {
    pub fn new<T: Number>(function: &'a Function) -> kroton::Result<Self> {
        Ok(Self { function, levels: Level::all(function.op, T::DTYPE)? })
    }

    /// The errors on the hard and critical arguments and on about `count` random ones.
    ///
    /// # Errors
    /// A line of the file of hard arguments that is none.
    pub fn measure<T: Number>(&self, count: u64) -> Result<Findings, String> {
        let mut findings = Findings::default();
        self.batch(&worst::arguments::<T>(self.function)?, &mut findings);
        self.batch(&samples::critical::<T>(self.function.domain), &mut findings);
        findings.merge(on_all_threads(1..count / BATCH as u64 + 2, |batch, findings| {
            self.batch(&samples::random::<T>(self.function.domain, batch, BATCH), findings);
        }));
        Ok(findings)
    }

    /// The values of all levels; those with fused multiply-add must agree.
    pub fn run<T: Number>(&self, arguments: [&[T]; 2], findings: &mut Findings) -> Forms<T> {
        let mut forms: Forms<T> = [None, None];
        for level in &self.levels {
            let out = level.values(arguments[0], arguments[1]);
            match &mut forms[usize::from(level.is_fused)] {
                Some(other) => findings.compare(&format!("{:?}", level.set), arguments, other, &out),
                None => forms[usize::from(level.is_fused)] = Some(out),
            }
        }
        forms
    }

    /// What must not matter: where an element stands and beside which others, and whether it is compiled at all where
    /// there is fused multiply-add.
    pub fn check_bits<T: Number>(&self, arguments: [&[T]; 2], forms: &Forms<T>, findings: &mut Findings) {
        let [a, b] = arguments;
        let offset = 1 + findings.count as usize % 13;
        for level in &self.levels {
            let Some(expected) = &forms[usize::from(level.is_fused)] else { continue };
            let out = level.values(&a[offset..], &b[offset..]);
            let name = format!("{:?} elsewhere", level.set);
            findings.compare(&name, [&a[offset..], &b[offset..]], &expected[offset..], &out);
            self.check_beside_nan(level, arguments, expected, findings);
        }
        if let Some(values) = &forms[1] {
            let defined: Vec<T> = a.iter().zip(b).map(|(&a, &b)| self.function.op.define(a, b)).collect();
            findings.compare("the definition", arguments, values, &defined);
        }
    }

    /// A chunk that holds a NaN is not computed as one of common arguments may be: the others must not notice.
    pub fn check_beside_nan<T: Number>(
        &self,
        level: &Level,
        [a, b]: [&[T]; 2],
        expected: &[T],
        findings: &mut Findings,
    ) {
        // Less than a chunk has.
        const EVERY: usize = 7;
        let mut mixed = a.to_vec();
        mixed.iter_mut().step_by(EVERY).for_each(|number| *number = T::from_wide(f64::NAN));
        let mut out = level.values(&mixed, b);
        for i in (0..out.len()).step_by(EVERY) {
            out[i] = expected[i];
        }
        findings.compare(&format!("{:?} beside NaN", level.set), [a, b], expected, &out);
    }

    fn batch<T: Number>(&self, arguments: &Arguments<T>, findings: &mut Findings) {
        let arguments = [&arguments.a[..], &arguments.b[..]];
        if arguments[0].is_empty() {
            return;
        }
        let forms = self.run(arguments, findings);
        self.check_bits(arguments, &forms, findings);
        for i in 0..arguments[0].len() {
            self.errors(
                arguments.map(|x| x[i]),
                forms.each_ref().map(|values| values.as_ref().map(|v| v[i])),
                findings,
            );
        }
        findings.count += arguments[0].len() as u64;
    }

    /// The errors without and with fused multiply-add at one argument; returns the exact value.
    pub fn errors<T: Number>(&self, [a, b]: [T; 2], values: [Option<T>; 2], findings: &mut Findings) -> Float {
        let exact = (self.function.exact)(&a.exact(), &b.exact());
        let error = |value| number::ulps(a.wide(), value, &exact, self.function.scale);
        let [separate, fused] = values;
        let same = separate.zip(fused).is_some_and(|(a, b)| a.bits64() == b.bits64());
        let first = separate.map_or(0.0, error);
        let errors = [first, if same { first } else { fused.map_or(0.0, error) }];
        for (error, worst) in errors.into_iter().zip(&mut findings.worst) {
            worst.include(error, (a.wide(), b.wide()));
        }
        exact
    }
}

/// Does the work of all batches on all threads; stops early once two values differ that must not.
pub fn on_all_threads(batches: std::ops::Range<u64>, work: impl Fn(u64, &mut Findings) + Sync) -> Findings {
    let next = AtomicU64::new(batches.start);
    let thread = || {
        let mut findings = Findings::default();
        loop {
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches.end || !findings.differences.is_empty() {
                return findings;
            }
            work(batch, &mut findings);
        }
    };
    let mut findings = Findings::default();
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(thread)).collect();
        for thread in threads {
            findings.merge(thread.join().expect("a measurement panicked"));
        }
    });
    findings
}
