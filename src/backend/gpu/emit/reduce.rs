//! Shaders of reductions, in the order of merges that `ops::reduction` defines, so that every device gives the same.
//!
//! A block of elements belongs to 16 invocations, one for each virtual lane, whose states merge as a halving tree; a
//! workgroup takes several blocks. The blocks' states merge as a tree of pairs of neighbors: the states of blocks
//! that a binary counter holds in the end are the right edge of that tree.

use crate::backend::gpu::emit::body::{Body, indices, state_dtypes};
use crate::backend::gpu::emit::layout::{Layout, Role};
use crate::backend::gpu::emit::ops::name;
use crate::backend::gpu::emit::params::{Word, word};
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::writer::Writer;
use crate::dtype::DType;
use crate::error::Result;
use crate::loops::{Block, Kernel, Nest, Reduction, ValueId};
use crate::ops::reduction::{BLOCK, LANES};

/// A kernel with a reduction, taken apart.
pub struct Reducer<'a> {
    pub kernel: &'a Kernel,
    pub layout: &'a Layout,
    pub types: Types,
    /// What lifts an element.
    pub body: &'a Block,
    /// What is reduced.
    pub reductions: &'a [Reduction],
    /// What follows.
    pub rest: &'a [Nest],
    /// Invocations of a workgroup, a power of two of at least 16.
    pub invocations: u32,
    /// The fewest invocations of a subgroup; 1 if they cannot exchange values.
    pub subgroup: u32,
}

impl Reducer<'_> {
    fn dtypes(&self) -> Vec<DType> {
        state_dtypes(self.reductions)
    }

    /// The state's structure, its initial value, and its merge.
    ///
    /// # Errors
    /// `Internal` for a merge that is no computation alone.
    pub fn declarations(&self, out: &mut Writer) -> Result<()> {
        let dtypes = self.dtypes();
        out.braces("struct State", |out| {
            for (part, dtype) in dtypes.iter().enumerate() {
                out.line(format_args!("s{part}: {},", self.types.value(*dtype)));
            }
        });
        out.line("");
        out.braces("fn initial_state() -> State", |out| {
            let parts = self.reductions.iter().flat_map(|reduction| &reduction.init);
            let parts: Vec<String> = parts.map(|part| self.types.constant(*part)).collect();
            out.line(format_args!("return State({});", parts.join(", ")));
        });
        out.line("");
        self.merge(out)?;
        out.line("");
        out.line(format_args!("var<workgroup> states: array<State, {}>;", self.invocations));
        out.line("");
        Ok(())
    }

    fn merge(&self, out: &mut Writer) -> Result<()> {
        out.braces("fn merged(left: State, right: State) -> State", |out| {
            let mut part = 0;
            let mut results = Vec::new();
            for reduction in self.reductions {
                let merge = &reduction.merge;
                for (left, right) in merge.left.iter().zip(&merge.right) {
                    out.line(format_args!("let {} = left.s{part};", name(*left)));
                    out.line(format_args!("let {} = right.s{part};", name(*right)));
                    part += 1;
                }
                Body::new(self.kernel, self.layout, self.types, Vec::new()).block(out, &merge.block)?;
                results.extend(merge.results.iter().map(|value| name(*value)));
            }
            out.line(format_args!("return State({});", results.join(", ")));
            Ok(())
        })
    }

    /// The entry point.
    ///
    /// # Errors
    /// `Unsupported` for what follows the reduction, if it is no code for a point.
    pub fn entry(&self, out: &mut Writer) -> Result<()> {
        let subgroups = if self.shuffles() {
            ", @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_size) subgroup_size: u32, \
             @builtin(subgroup_invocation_id) own: u32"
        } else {
            ", @builtin(local_invocation_index) thread: u32"
        };
        out.line(format_args!("@compute @workgroup_size({})", self.invocations));
        let head = format!(
            "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>{subgroups})"
        );
        out.braces(head, |out| {
            out.line("let workgroup = group.y * groups.x + group.x;");
            if self.shuffles() {
                out.line("let thread = subgroup * subgroup_size + own;");
            }
            if self.merges_states() { self.merge_states(out) } else { self.reduce_blocks(out) }
        })
    }

    /// Whether invocations of a subgroup hand each other their states. Lanes of one block must be neighbors for it.
    fn shuffles(&self) -> bool {
        self.subgroup > 1 && !self.layout.variant.results_first && !self.merges_states()
    }

    fn merges_states(&self) -> bool {
        matches!(self.layout.variant.role, Role::Merge | Role::Finish)
    }

    fn reduce_blocks(&self, out: &mut Writer) -> Result<()> {
        let slots = self.invocations / LANES as u32;
        let (lane, slot) = if self.layout.variant.results_first {
            (format!("thread / {slots}u"), format!("thread % {slots}u"))
        } else {
            (format!("thread % {LANES}u"), format!("thread / {LANES}u"))
        };
        out.line(format_args!("let lane = {lane};"));
        out.line(format_args!("let number = workgroup * {slots}u + {slot};"));
        out.line(format_args!("let is_active = number < {};", word(Word::Count)));
        let blocks = word(Word::Blocks);
        if self.layout.variant.results_first {
            let results = word(Word::Results);
            out.line(format_args!("let result = number % {results};"));
            out.line(format_args!("let block = number / {results} + {};", word(Word::FirstBlock)));
        } else {
            out.line(format_args!("let result = number / {blocks};"));
            out.line(format_args!("let block = number % {blocks} + {};", word(Word::FirstBlock)));
        }
        out.line(format_args!("let point = result + {};", word(Word::FirstPoint)));
        out.line("var state = initial_state();");
        out.braces("if (is_active)", |out| self.reduce_lane(out))?;
        self.merge_lanes(out);
        let leads = "if (is_active && lane == 0u)";
        if self.layout.variant.role != Role::Partial {
            return out.braces(leads, |out| self.finish(out));
        }
        let states = word(Word::States);
        out.braces(leads, |out| self.store_state(out, &format!("result * {states} + block")));
        Ok(())
    }

    /// The elements of a lane, in order.
    fn reduce_lane(&self, out: &mut Writer) -> Result<()> {
        let (kernel, layout, types) = (self.kernel, self.layout, self.types);
        let variant = layout.variant;
        let scope = indices(out, 0, variant.outer, "point");
        out.line(format_args!("let end = min((block + 1u) * {BLOCK}u, {});", word(Word::Elements)));
        let head = format!("for (var element = block * {BLOCK}u + lane; element < end; element += {LANES}u)");
        out.braces(head, |out| {
            let mut scope = scope.clone();
            scope.extend(indices(out, variant.outer, variant.reduced, "element"));
            Body::new(kernel, layout, types, scope).block(out, self.body)?;
            let lifted = self.reductions.iter().flat_map(|reduction| &reduction.lifted);
            let lifted: Vec<String> = lifted.map(|value| name(*value)).collect();
            out.line(format_args!("state = merged(state, State({}));", lifted.join(", ")));
            Ok(())
        })
    }

    /// The halving tree over the lanes of a block; lane 0 has the result.
    fn merge_lanes(&self, out: &mut Writer) {
        let mut width = LANES as u32 / 2;
        while width > 0 {
            if self.shuffles() && 2 * width <= self.subgroup {
                let dtypes = self.dtypes();
                let parts = dtypes.iter().enumerate();
                let parts: Vec<String> =
                    parts.map(|(part, dtype)| self.types.shuffled(*dtype, &format!("state.s{part}"), width)).collect();
                out.line(format_args!("state = merged(state, State({}));", parts.join(", ")));
            } else {
                let slots = self.invocations / LANES as u32;
                let distance = if self.layout.variant.results_first { width * slots } else { width };
                out.line("states[thread] = state;");
                out.line("workgroupBarrier();");
                out.braces(format_args!("if (lane < {width}u)"), |out| {
                    out.line(format_args!("state = merged(state, states[thread + {distance}u]);"));
                });
                out.line("workgroupBarrier();");
            }
            width /= 2;
        }
    }

    /// A tree over the states of consecutive blocks; those beyond the last one are not there.
    fn merge_states(&self, out: &mut Writer) -> Result<()> {
        let bits = word(Word::GroupBits);
        let states = word(Word::States);
        let group_size = format!("(1u << {bits})");
        out.line(format_args!("let index = thread & ({group_size} - 1u);"));
        out.line(format_args!("let number = workgroup * ({}u >> {bits}) + (thread >> {bits});", self.invocations));
        out.line(format_args!("let each = ({states} + {group_size} - 1u) >> {bits};"));
        out.line("let result = number / each;");
        out.line(format_args!("let first = (number % each) << {bits};"));
        out.line(format_args!("let is_active = number < {};", word(Word::Count)));
        out.line(format_args!("let here = min({states} - min(first, {states}), {group_size});"));
        out.line("var state = initial_state();");
        out.braces("if (is_active && index < here)", |out| {
            self.load_state(out, &format!("result * {states} + first + index"));
        });
        out.braces(format_args!("for (var width = 1u; width < {group_size}; width = width << 1u)"), |out| {
            out.line("states[thread] = state;");
            out.line("workgroupBarrier();");
            out.braces("if ((index & (2u * width - 1u)) == 0u && index + width < here)", |out| {
                out.line("state = merged(state, states[thread + width]);");
            });
            out.line("workgroupBarrier();");
        });
        let leads = "if (is_active && index == 0u)";
        if self.layout.variant.role == Role::Merge {
            out.braces(leads, |out| self.store_state(out, "number"));
            return Ok(());
        }
        out.braces(leads, |out| {
            out.line(format_args!("let point = result + {};", word(Word::FirstPoint)));
            self.finish(out)
        })
    }

    /// The results of the reductions, and what follows them.
    fn finish(&self, out: &mut Writer) -> Result<()> {
        let results = self.reductions.iter().flat_map(|reduction| &reduction.results);
        for (part, value) in results.enumerate() {
            let value: ValueId = *value;
            out.line(format_args!("let {} = state.s{part};", name(value)));
        }
        let (kernel, layout, types) = (self.kernel, self.layout, self.types);
        let scope = indices(out, 0, layout.variant.outer, "point");
        Body::new(kernel, layout, types, scope).nests(out, self.rest)
    }

    /// Where the words of each part of a state begin, and how many a state has.
    fn scratch(&self) -> (Vec<usize>, usize) {
        let mut next = 0;
        let place = |dtype: &DType| {
            let place = next;
            next += self.types.scratch_words(*dtype);
            place
        };
        let places = self.dtypes().iter().map(place).collect();
        (places, next)
    }

    fn store_state(&self, out: &mut Writer, number: &str) {
        let (places, words) = self.scratch();
        let buffer = format!("buffer{}", self.layout.scratch_out.unwrap_or_default());
        for ((part, dtype), place) in self.dtypes().iter().enumerate().zip(places) {
            let at = scratch_index(out, number, words, place);
            out.lines(self.types.store_scratch(*dtype, &buffer, &at, &format!("state.s{part}")));
        }
    }

    fn load_state(&self, out: &mut Writer, number: &str) {
        let (places, words) = self.scratch();
        let buffer = format!("buffer{}", self.layout.scratch_in.unwrap_or_default());
        for ((part, dtype), place) in self.dtypes().iter().enumerate().zip(places) {
            let at = scratch_index(out, number, words, place);
            out.line(format_args!("state.s{part} = {};", self.types.load_scratch(*dtype, &buffer, &at)));
        }
    }
}

/// Declares where a part of a state lies in scratch memory.
fn scratch_index(out: &mut Writer, number: &str, words: usize, place: usize) -> String {
    let at = out.fresh("at");
    let index = if words == 1 { number.to_string() } else { format!("({number}) * {words}u + {place}u") };
    out.line(format_args!("let {at} = {index};"));
    at
}
