//! docs/accuracy.md: the greatest errors of the measurements that were recorded last, as a table.
//!
//! A row is a function on a type; what stands around the table is kept as it is. A measurement that is recorded takes
//! the place of the older one; every other one must find errors that are no greater.

use crate::findings::Findings;
use kroton::DType;
use kroton::ops::Row;
use std::path::PathBuf;

/// Which arguments were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of the type.
    All,
    /// Hard, critical and random ones.
    Samples,
}

/// The page.
pub struct Record {
    path: PathBuf,
    text: String,
}

impl Record {
    /// # Errors
    /// The file cannot be read.
    pub fn read() -> Result<Self, String> {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/accuracy.md"));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, text })
    }

    /// The errors without fused multiply-add and with it; `None` without a row, or one that cannot be read.
    pub fn errors(&self, name: &str, dtype: DType) -> Option<[f64; 2]> {
        let start = key(name, dtype);
        let row = self.text.lines().find_map(|line| line.strip_prefix(&start))?;
        let mut cells = row.split('|').map(|cell| cell.split_whitespace().next().unwrap_or_default().parse().ok());
        let (fused, separate) = (cells.next()??, cells.next()??);
        Some([separate, fused])
    }

    /// Writes what was found into the row of a function, in place of what stood there.
    ///
    /// # Errors
    /// The page has no such row, or cannot be written.
    pub fn enter(&mut self, row: &Row, dtype: DType, extent: Extent, found: &Findings) -> Result<(), String> {
        let start = key(row.name, dtype);
        let lines: Vec<&str> = self.text.lines().collect();
        let place = lines.iter().position(|line| line.starts_with(&start));
        let place = place.ok_or_else(|| format!("docs/accuracy.md has no row of {} on {dtype}", row.name))?;
        let [separate, fused] = found.worst.map(|worst| format!("{:.4}", worst.error));
        let arguments = match extent {
            Extent::All => "all".to_owned(),
            Extent::Samples => format!("{}", found.count),
        };
        let entry = format!("{start} {fused} | {separate} | {arguments} |");
        let lines: Vec<&str> =
            lines[..place].iter().copied().chain([&entry[..]]).chain(lines[place + 1..].iter().copied()).collect();
        self.text = lines.join("\n") + "\n";
        std::fs::write(&self.path, &self.text).map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// How a row begins.
fn key(name: &str, dtype: DType) -> String {
    format!("| `{name}` | {dtype} |")
}
