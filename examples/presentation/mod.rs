//! What the example programs share: sizes from the command line, times, tables and pictures' paths.

#![allow(dead_code)] // each program uses a part

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::Arg;

/// What the programs return.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A number that the command line may set: its name, what it is unless set, what it is with `--short`, what it counts.
pub struct Size {
    pub name: &'static str,
    pub usual: usize,
    pub short: usize,
    pub counts: &'static str,
}

/// What the command line says.
pub struct Options {
    sizes: Vec<(&'static str, usize)>,
    picture: Option<PathBuf>,
}

impl Options {
    /// Reads `--NAME NUMBER` for each size, `--short` for sizes that suit a build without optimizations, and
    /// `--picture PATH`. `--help` prints these and ends the program.
    pub fn read(program: &str, sizes: &[Size]) -> Outcome<Options> {
        let (mut set, mut short, mut picture) = (vec![None; sizes.len()], false, None);
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") => {
                    println!("{}", help(program, sizes));
                    std::process::exit(0);
                }
                Arg::Long("short") => short = true,
                Arg::Long("picture") => picture = Some(parser.value()?.into()),
                Arg::Long(name) => match sizes.iter().position(|size| size.name == name) {
                    Some(index) => set[index] = Some(parser.value()?.to_string_lossy().parse()?),
                    None => return Err(format!("there is no --{name}\n{}", help(program, sizes)).into()),
                },
                Arg::Short(_) | Arg::Value(_) => return Err(argument.unexpected().into()),
            }
        }
        let size = |(size, set): (&Size, Option<usize>)| {
            (size.name, set.unwrap_or(if short { size.short } else { size.usual }))
        };
        Ok(Options { sizes: sizes.iter().zip(set).map(size).collect(), picture })
    }

    /// A size by its name.
    pub fn size(&self, name: &str) -> usize {
        self.sizes.iter().find(|(other, _)| *other == name).map_or(0, |(_, value)| *value)
    }

    /// Where a picture goes: `--picture`, else a file of this name in the folder for temporary files.
    pub fn picture(&self, file: &str) -> PathBuf {
        self.picture.clone().unwrap_or_else(|| std::env::temp_dir().join(file))
    }
}

fn help(program: &str, sizes: &[Size]) -> String {
    let mut text = format!("usage: cargo run --release --example {program} -- [OPTIONS]\n");
    for Size { name, usual, counts, .. } in sizes {
        text += &format!("  --{name} NUMBER   {counts} ({usual})\n");
    }
    text + "  --short          small sizes\n  --picture PATH   where a picture goes"
}

/// The result and the median time of some runs, after one that does not count.
pub fn median<T>(runs: usize, mut run: impl FnMut() -> Outcome<T>) -> Outcome<(T, Duration)> {
    let mut result = run()?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        result = run()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok((result, times[times.len() / 2]))
}

/// A time as a reader likes it: three digits and a unit.
pub fn time(duration: Duration) -> String {
    share_of_time(duration, 1)
}

/// The time of one of so many equal parts.
pub fn share_of_time(duration: Duration, parts: usize) -> String {
    let (value, unit) = match duration.as_secs_f64() / parts.max(1) as f64 {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// How many times as fast as a reference.
pub fn speedup(reference: Duration, duration: Duration) -> String {
    let ratio = reference.as_secs_f64() / duration.as_secs_f64().max(1e-12);
    format!("{ratio:.*}×", if ratio < 10.0 { 2 } else { 0 })
}

/// An empty table; the first column is text, the others are numbers.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// Appends a row.
pub fn row<const N: usize>(table: &mut Table, cells: [&dyn Display; N]) {
    table.add_row(cells.map(|cell| cell.to_string()));
}

/// A progress line for so many steps; it shows on a terminal only.
pub fn progress(steps: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style).with_message(what)
}

/// SplitMix64 (Steele, Lea, Flood 2014), as numbers in [0, 1).
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next number.
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 * (1.0 / (1_u32 << 24) as f32)
    }
}
