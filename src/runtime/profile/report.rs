//! A profile as data, and as a table.

use std::fmt;
use std::time::Duration;

/// What a function has cost since it was compiled: data, and a table through `Display`.
///
/// Made by [`Function::profile`](crate::Function::profile), which says what is measured. With the crate's feature `serde`
/// it can be serialized.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Profile {
    /// The name of the function.
    pub function: String,
    /// What runs it.
    pub device: &'static str,
    /// Calls that came to an end without an error.
    pub calls: u64,
    /// What they took, from the arguments' checks to the results.
    pub time: Duration,
    /// What compiling took, in order. Code that calls made on demand is part of `emit`.
    pub stages: Vec<StageTime>,
    /// Kernels and library calls, in order.
    pub kernels: Vec<KernelProfile>,
    /// The same by class, the dearest first.
    pub classes: Vec<ClassProfile>,
}

/// What a stage of a compilation took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StageTime {
    /// The name of the stage.
    pub stage: &'static str,
    /// Its time.
    pub time: Duration,
}

/// What a kernel, or another step of a function, has cost.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KernelProfile {
    /// Its name in the dumps.
    pub name: String,
    /// What it is: `map`, `reduce`, `loop`, `matmul`, `host function`, `transfer`; an op where nodes run one by one.
    pub class: &'static str,
    /// Launches. A kernel that shares rows with others is launched once for each range of these.
    pub calls: u64,
    /// The time of all launches; of launches that run at once on several threads, the sum.
    pub time: Duration,
    /// Its part of the time of all kernels, 0 to 1.
    pub share: f64,
    /// The bytes it had to read and write: every element of every operand once.
    pub bytes: u64,
    /// These bytes over the time, in 10⁹ per second.
    pub gigabytes_per_second: f64,
}

/// What all kernels of a class have cost.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ClassProfile {
    /// The class.
    pub class: &'static str,
    /// How many kernels are of it.
    pub kernels: usize,
    /// Launches.
    pub calls: u64,
    /// Time.
    pub time: Duration,
    /// Part of the time of all kernels, 0 to 1.
    pub share: f64,
    /// Bytes read and written.
    pub bytes: u64,
    /// Bytes over time, in 10⁹ per second.
    pub gigabytes_per_second: f64,
}

impl Profile {
    pub(super) fn new(
        function: &str,
        device: &'static str,
        (calls, time): (u64, Duration),
        stages: Vec<StageTime>,
        mut kernels: Vec<KernelProfile>,
    ) -> Profile {
        let total: Duration = kernels.iter().map(|kernel| kernel.time).sum();
        let mut classes: Vec<ClassProfile> = Vec::new();
        for kernel in &mut kernels {
            kernel.share = part(kernel.time, total);
            kernel.gigabytes_per_second = rate(kernel.bytes, kernel.time);
            let known = classes.iter().position(|class| class.class == kernel.class);
            let place = known.unwrap_or_else(|| {
                classes.push(ClassProfile::empty(kernel.class));
                classes.len() - 1
            });
            classes[place].add(kernel);
        }
        for class in &mut classes {
            class.share = part(class.time, total);
            class.gigabytes_per_second = rate(class.bytes, class.time);
        }
        classes.sort_by_key(|class| std::cmp::Reverse(class.time));
        Profile { function: function.to_string(), device, calls, time, stages, kernels, classes }
    }
}

impl ClassProfile {
    fn empty(class: &'static str) -> ClassProfile {
        let (time, share, gigabytes_per_second) = (Duration::ZERO, 0.0, 0.0);
        ClassProfile { class, kernels: 0, calls: 0, time, share, bytes: 0, gigabytes_per_second }
    }

    fn add(&mut self, kernel: &KernelProfile) {
        self.kernels += 1;
        self.calls += kernel.calls;
        self.time += kernel.time;
        self.bytes = self.bytes.saturating_add(kernel.bytes);
    }
}

/// A share of nothing is none.
fn part(time: Duration, total: Duration) -> f64 {
    if total.is_zero() { 0.0 } else { time.as_nanos() as f64 / total.as_nanos() as f64 }
}

/// Bytes per nanosecond are 10⁹ bytes per second.
fn rate(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { bytes as f64 / time.as_nanos() as f64 }
}

/// A time in the unit that suits it.
fn time_text(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    format!("{value:.1} {unit}")
}

/// Bytes in the decimal unit that suits them.
fn bytes_text(bytes: u64) -> String {
    let (value, unit) = match bytes as f64 {
        b if b >= 1e9 => (b / 1e9, "GB"),
        b if b >= 1e6 => (b / 1e6, "MB"),
        b if b >= 1e3 => (b / 1e3, "kB"),
        _ => return format!("{bytes} B"),
    };
    format!("{value:.1} {unit}")
}

/// The columns of a kernel or a class.
fn cells(calls: u64, time: Duration, share: f64, bytes: u64, rate: f64) -> String {
    let share = format!("{:.1} %", 100.0 * share);
    format!("{calls:>10}{:>12}{share:>9}{:>12}{rate:>8.1}", time_text(time), bytes_text(bytes))
}

/// A name, cut to fit its column.
fn name_text(name: &str) -> String {
    if name.chars().count() <= 24 { name.to_string() } else { name.chars().take(23).chain(['…']).collect() }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.time.checked_div(u32::try_from(self.calls).unwrap_or(u32::MAX)).unwrap_or_default();
        let calls = if self.calls == 1 { "call" } else { "calls" };
        let (time, mean) = (time_text(self.time), time_text(mean));
        writeln!(f, "`{}` on {}: {} {calls} in {time}, {mean} each", self.function, self.device, self.calls)?;
        let total: Duration = self.stages.iter().map(|stage| stage.time).sum();
        let stages = self.stages.iter().map(|stage| format!("{} {}", stage.stage, time_text(stage.time)));
        let stages = stages.collect::<Vec<_>>().join(", ");
        writeln!(f, "compiled in {}: {stages}", time_text(total))?;
        let head = format!("{:>10}{:>12}{:>9}{:>12}{:>8}", "calls", "time", "share", "bytes", "GB/s");
        writeln!(f, "\n{:<26}{:<14}{head}", "kernel", "class")?;
        for kernel in &self.kernels {
            let KernelProfile { name, class, calls, time, share, bytes, gigabytes_per_second } = kernel;
            let cells = cells(*calls, *time, *share, *bytes, *gigabytes_per_second);
            writeln!(f, "{:<26}{class:<14}{cells}", name_text(name))?;
        }
        writeln!(f, "\n{:<26}{:<14}{head}", "class", "kernels")?;
        for class in &self.classes {
            let cells = cells(class.calls, class.time, class.share, class.bytes, class.gigabytes_per_second);
            writeln!(f, "{:<26}{:<14}{cells}", class.class, class.kernels)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str, class: &'static str, nanoseconds: u64, bytes: u64) -> KernelProfile {
        let time = Duration::from_nanos(nanoseconds);
        KernelProfile { name: name.into(), class, calls: 2, time, share: 0.0, bytes, gigabytes_per_second: 0.0 }
    }

    #[test]
    fn shares_rates_and_classes_follow_from_the_kernels() {
        let kernels =
            vec![kernel("a", "map", 1000, 4000), kernel("b", "reduce", 5000, 0), kernel("c", "map", 2000, 2000)];
        let stages = vec![StageTime { stage: "intern", time: Duration::from_micros(3) }];
        let profile = Profile::new("f", "cpu", (2, Duration::from_micros(10)), stages, kernels);
        assert_eq!(profile.kernels.iter().map(|kernel| kernel.share).collect::<Vec<_>>(), [0.125, 0.625, 0.25]);
        assert_eq!(profile.kernels[0].gigabytes_per_second, 4.0);
        let classes: Vec<_> = profile.classes.iter().map(|class| (class.class, class.kernels, class.calls)).collect();
        assert_eq!(classes, [("reduce", 1, 2), ("map", 2, 4)]);
        assert_eq!((profile.classes[1].bytes, profile.classes[1].gigabytes_per_second), (6000, 2.0));
        let text = profile.to_string();
        assert!(text.starts_with("`f` on cpu: 2 calls in 10.0 µs, 5.0 µs each\ncompiled in 3.0 µs: intern 3.0 µs\n"));
        let row = "b                         reduce                 2      5.0 µs   62.5 %         0 B     0.0";
        assert!(text.contains(row), "{text}");
        // What has not run yet divides nothing by zero.
        let idle = Profile::new("f", "cpu", (0, Duration::ZERO), Vec::new(), vec![kernel("a", "map", 0, 0)]);
        assert_eq!((idle.kernels[0].share, idle.kernels[0].gigabytes_per_second), (0.0, 0.0));
        assert!(idle.to_string().contains("0 calls in 0.0 ns, 0.0 ns each"), "{idle}");
    }
}
