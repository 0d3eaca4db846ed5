//! What a point keeps in scratch memory between the dispatches that walk its loops.
//!
//! A dispatch makes a bounded number of rounds, whichever loops of a point they belong to. A point that has not come to
//! its end then *pauses*: it writes how far each loop is and what it carries, and returns. The next dispatch runs the
//! point from its start, but a loop that was entered goes on where it was; one that was done has no round left. What
//! lies between loops is computed again from the same values, and what it stores is stored again.
//!
//! The record of a point is a word that says whether the point is done, and for each loop, in the order of the text, a
//! word (0 before the loop is entered, then one more than the rounds that a loop over an axis has made) and the carried
//! values. What comes before and after a loop's rounds is in `steps`.

use crate::backend::gpu::emit::ops::name;
use crate::backend::gpu::emit::params::{Word, word};
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::writer::Writer;
use crate::loops::{Carried, Kernel, Nest, ValueId};

/// The structure in scratch memory: its first word is the number of the last dispatch in which a point paused.
pub const STATES: &str = "struct States {\n    paused: atomic<u32>,\n    words: array<u32>,\n}";

/// The record of a point.
#[derive(Debug)]
pub struct Parts<'a> {
    kernel: &'a Kernel,
    types: Types,
    /// As WGSL.
    buffer: String,
    /// For each loop where its word is, and where each of its carried values is.
    loops: Vec<(usize, Vec<(ValueId, usize)>)>,
    words: usize,
    /// How many loops have been entered in the text so far.
    entered: usize,
}

impl<'a> Parts<'a> {
    /// The record of the points of a kernel, in this buffer.
    pub fn new(kernel: &'a Kernel, types: Types, buffer: usize) -> Parts<'a> {
        let buffer = format!("buffer{buffer}");
        let mut parts = Parts { kernel, types, buffer, loops: Vec::new(), words: 1, entered: 0 };
        for nest in &kernel.body {
            if let Nest::Map { body, .. } = nest {
                parts.keep_all(body);
            }
        }
        parts
    }

    /// The words of the record of a point.
    pub fn words(&self) -> usize {
        self.words
    }

    fn keep_all(&mut self, nests: &[Nest]) {
        for nest in nests {
            match nest {
                Nest::Map { axes, body } => {
                    axes.iter().for_each(|_| self.keep(&[]));
                    self.keep_all(body);
                }
                Nest::Sequential { carried, body, .. } | Nest::While { carried, body, .. } => {
                    self.keep(carried);
                    self.keep_all(body);
                }
                Nest::Reduce { .. } | Nest::Block(_) => {}
            }
        }
    }

    fn keep(&mut self, carried: &[Carried]) {
        let place = self.words;
        self.words += 1;
        let mut values = Vec::with_capacity(carried.len());
        for item in carried {
            values.push((item.current, self.words));
            self.words += self.types.scratch_words(self.kernel.ty(item.current));
        }
        self.loops.push((place, values));
    }

    /// Declares what is kept, and takes it from the record of the point `number` where an earlier dispatch left it.
    pub fn resume(&self, out: &mut Writer) {
        out.line(format_args!("let record = number * {}u;", self.words));
        out.line(format_args!("var left = {};", word(Word::Rounds)));
        for (index, (_, carried)) in self.loops.iter().enumerate() {
            out.line(format_args!("var {}: u32;", round(index)));
            for (value, _) in carried {
                out.line(format_args!("var {}: {};", name(*value), self.types.value(self.kernel.ty(*value))));
            }
        }
        let words = format!("{}.words", self.buffer);
        out.braces(format_args!("if ({} > 1u)", word(Word::Part)), |out| {
            out.braces(format_args!("if ({words}[record] != 0u)"), |out| out.line("return;"));
            for (index, (place, carried)) in self.loops.iter().enumerate() {
                out.line(format_args!("{} = {words}[record + {place}u];", round(index)));
                for (value, place) in carried {
                    let at = out.fresh("at");
                    out.line(format_args!("let {at} = record + {place}u;"));
                    let loaded = self.types.load_scratch(self.kernel.ty(*value), &words, &at);
                    out.line(format_args!("{} = {loaded};", name(*value)));
                }
            }
        });
    }

    /// The next loop of the text: the variable that says how far it is.
    pub fn enter(&mut self) -> String {
        self.entered += 1;
        round(self.entered - 1)
    }

    /// How many loops have been entered.
    pub fn entered(&self) -> usize {
        self.entered
    }

    /// Counts a round, or pauses if the dispatch has none left.
    pub fn count(&self, out: &mut Writer) {
        out.braces("if (left == 0u)", |out| self.pause(out));
        out.line("left -= 1u;");
    }

    fn pause(&self, out: &mut Writer) {
        let words = format!("{}.words", self.buffer);
        out.line(format_args!("{words}[record] = 0u;"));
        for (index, (place, carried)) in self.loops.iter().enumerate() {
            out.line(format_args!("{words}[record + {place}u] = {};", round(index)));
            for (value, place) in carried {
                let at = out.fresh("at");
                out.line(format_args!("let {at} = record + {place}u;"));
                out.lines(self.types.store_scratch(self.kernel.ty(*value), &words, &at, &name(*value)));
            }
        }
        out.line(format_args!("atomicStore(&{}.paused, {});", self.buffer, word(Word::Part)));
        out.line("return;");
    }

    /// Begins the loops from `first` to the last one entered anew in the next round of the loop that they are in.
    pub fn leave(&self, out: &mut Writer, first: usize) {
        (first..self.entered).for_each(|index| out.line(format_args!("{} = 0u;", round(index))));
    }

    /// The point is done.
    pub fn finish(&self, out: &mut Writer) {
        out.line(format_args!("{}.words[record] = 1u;", self.buffer));
    }
}

fn round(index: usize) -> String {
    format!("round{index}")
}
