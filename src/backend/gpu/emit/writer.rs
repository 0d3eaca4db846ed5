//! The text of a shader under construction: indented lines, and names that occur once.

use std::fmt::Write;

/// Indented lines.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    depth: usize,
    names: usize,
}

impl Writer {
    /// One line at the current depth.
    pub fn line(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{:width$}{line}", "", width = 4 * self.depth);
    }

    /// Several lines.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        lines.into_iter().for_each(|line| self.line(line));
    }

    /// A line that ends in an opening brace, what `body` writes one level deeper, and the closing brace.
    pub fn braces<R>(&mut self, head: impl std::fmt::Display, body: impl FnOnce(&mut Writer) -> R) -> R {
        self.line(format_args!("{head} {{"));
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        self.line("}");
        result
    }

    /// A name that no other line has.
    pub fn fresh(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }

    /// The text so far.
    pub fn finish(self) -> String {
        self.text
    }
}
