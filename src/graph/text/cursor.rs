//! Reading one line of a text, token by token, with errors that say what was expected and what was found.

use std::str::FromStr;

use super::literal::unquote;
use crate::error::{Error, Result};

/// The rest of a line.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    line: usize,
    /// The whole line.
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: usize, text: &'a str) -> Cursor<'a> {
        Cursor { line, text, rest: text.trim_start() }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        let before = &self.text[..self.text.len() - self.rest.len()];
        Error::Parse { line: self.line, column: before.chars().count() + 1, message: message.into() }
    }

    /// The error that something else stands here.
    pub(super) fn expected(&self, what: &str) -> Error {
        const SHOWN: usize = 24;
        let found: String = self.rest.chars().take(SHOWN).collect();
        let more = if found.len() < self.rest.len() { "…" } else { "" };
        match self.is_done() {
            true => self.error(format!("expected {what}, found the end of the line")),
            false => self.error(format!("expected {what}, found `{}{more}`", found.trim_end())),
        }
    }

    /// Whether nothing but a comment is left.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with("//")
    }

    /// Whether the rest starts so.
    pub(super) fn sees(&self, token: &str) -> bool {
        self.rest.starts_with(token)
    }

    /// Takes a token if it is there.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// Takes a token that must be there.
    pub(super) fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    /// Checks that nothing is left.
    pub(super) fn finish(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    /// The longest run of bytes that `accept` takes, without the space after it.
    fn run(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A word of letters, digits and underscores; empty if there is none.
    pub(super) fn word(&mut self) -> &'a str {
        let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
        self.rest = self.rest.trim_start();
        word
    }

    /// The text of a constant: a number, a truth value or a NaN with its bits.
    pub(super) fn literal(&mut self) -> &'a str {
        let word = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '(' | ')'));
        self.rest = self.rest.trim_start();
        word
    }

    /// The digits that come next, directly.
    pub(super) fn digits(&mut self) -> &'a str {
        self.run(|c| c.is_ascii_digit())
    }

    /// An integer with an optional sign.
    pub(super) fn integer<T: FromStr>(&mut self, what: &str) -> Result<T> {
        let before = self.rest;
        let sign = usize::from(before.starts_with(['-', '+']));
        self.rest = &before[sign..];
        let digits = self.digits();
        match before[..sign + digits.len()].parse() {
            Ok(value) if !digits.is_empty() => {
                self.rest = self.rest.trim_start();
                Ok(value)
            }
            _ => {
                self.rest = before;
                Err(self.expected(what))
            }
        }
    }

    /// A name in quotes.
    pub(super) fn quoted(&mut self) -> Result<String> {
        let (name, length) = unquote(self.rest).ok_or_else(|| self.expected("a name in quotes"))?;
        self.rest = self.rest[length..].trim_start();
        Ok(name)
    }

    /// `[item, item, …]`, maybe empty.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat("]") {
                return Ok(items);
            }
            if !self.eat(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }
}
