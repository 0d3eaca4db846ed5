//! A worker of the comparison with other libraries: Kroton's side of the workloads W1–W13, timed.
//!
//! `benches/peers/run.py` starts it as `peer_bench THREADS STYLE` and talks to it in lines, one reply for each:
//!
//! ```text
//! prep WORKLOAD f32|f64 RESULTS SHAPE PATH …   compile and call, results to the files RESULTS_0 …
//!   → ok COMPILE FIRST SECOND DTYPE:SHAPE …      seconds, and what the files hold
//! run ESTIMATE BUDGET                          → ok CALLS SECONDS …   samples, each the mean of so many calls
//! lat KIND COUNTER SHAPE PATH …                → ok SECONDS   from definition to first result, of a program never seen
//! drop                                         → ok
//! ```
//!
//! or `unsupported …`, `error …`. Files hold elements in row-major order, little-endian; a shape is `2x3`, or `-` for
//! none. A style says what arguments and results are: see [`cases::Style`].

mod cases;
mod data;
mod formulas;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use cases::{Case, Setup};
use kroton::Array;

/// Why a workload gives no time.
enum Refusal {
    /// Kroton, or this style, has no such thing.
    Unsupported(String),
    Failed(Box<dyn Error>),
}

impl<E: Into<Box<dyn Error>>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Failed(error.into())
    }
}

type Reply = Result<String, Refusal>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [threads, style] = &arguments[..] else {
        return Err("usage: peer_bench THREADS STYLE; see benches/peers/README.md".into());
    };
    let setup = Setup { threads: threads.parse()?, style: style.parse()? };
    println!("ok kroton {} ({style})", env!("CARGO_PKG_VERSION"));
    let mut case = None;
    for line in std::io::stdin().lock().lines() {
        let reply = match answer(&setup, &line?, &mut case) {
            Ok(text) => format!("ok {text}"),
            Err(Refusal::Unsupported(why)) => format!("unsupported {why}"),
            Err(Refusal::Failed(error)) => format!("error {}", error.to_string().replace('\n', " ")),
        };
        println!("{reply}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn answer(setup: &Setup, line: &str, case: &mut Option<Case>) -> Reply {
    let words: Vec<&str> = line.split_whitespace().collect();
    match &words[..] {
        ["prep", workload, dtype, results, files @ ..] => {
            *case = None;
            let (prepared, reply) = match *dtype {
                "f32" => prepare::<f32>(setup, workload, results, files)?,
                "f64" => prepare::<f64>(setup, workload, results, files)?,
                other => return Err(format!("no dtype {other}").into()),
            };
            *case = Some(prepared);
            Ok(reply)
        }
        ["run", estimate, budget] => {
            let case = case.as_mut().ok_or("nothing is prepared")?;
            measure(case, estimate.parse()?, budget.parse()?)
        }
        ["lat", kind, counter, files @ ..] => {
            let inputs = data::read_all::<f64>(files)?;
            Ok(format!("{:e}", cases::latency(setup, kind, counter.parse()?, &inputs)?))
        }
        ["drop"] => {
            *case = None;
            Ok(String::new())
        }
        _ => Err(format!("no such request: {line}").into()),
    }
}

/// Compiles a workload, calls it twice, and writes down its results.
fn prepare<T: data::Float + cases::Results>(
    setup: &Setup,
    workload: &str,
    results: &str,
    files: &[&str],
) -> Result<(Case, String), Refusal> {
    let inputs = data::read_all::<T>(files)?;
    let start = Instant::now();
    let mut case = cases::make::<T>(setup, workload, inputs)?;
    let made = start.elapsed().as_secs_f64();
    let (first, arrays) = timed(|| case(true))?;
    let arrays: Vec<Array> = arrays.ok_or("a call that was to keep its results did not")?;
    let (second, _) = timed(|| case(false))?;
    let mut reply = format!("{made:e} {first:e} {second:e}");
    for (index, array) in arrays.iter().enumerate() {
        reply = format!("{reply} {}", data::write(array, &format!("{results}_{index}"))?);
    }
    Ok((case, reply))
}

fn timed<R>(run: impl FnOnce() -> kroton::Result<R>) -> kroton::Result<(f64, R)> {
    let start = Instant::now();
    let result = run()?;
    Ok((start.elapsed().as_secs_f64(), result))
}

/// Samples until the budget is spent: calls shorter than 200 µs are timed in loops of about 2 ms.
fn measure(case: &mut Case, estimate: f64, budget: f64) -> Reply {
    let calls = if estimate > 2e-4 { 1 } else { ((2e-3 / estimate.max(1e-8)) as usize).max(1) };
    let fewest = if estimate < 0.5 { 3 } else { 1 + usize::from(estimate < 2.0) };
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < fewest || (start.elapsed().as_secs_f64() < budget && samples.len() < 200) {
        let start = Instant::now();
        for _ in 0..calls {
            case(false)?;
        }
        samples.push(format!("{:e}", start.elapsed().as_secs_f64() / calls as f64));
    }
    Ok(format!("{calls} {}", samples.join(" ")))
}
