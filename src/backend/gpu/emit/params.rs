//! The uniform buffer as a structure of WGSL: a member for each word of a layout, named after what it holds.
//!
//! `layout` says where a word is, this file what it is called; members have 4 bytes each, so that their order is that of the
//! words.

use crate::backend::gpu::emit::layout::Layout;
use crate::backend::gpu::emit::writer::Writer;
use crate::loops::{Access, Kernel, OperandId};

/// Declares the words with their names and meanings.
macro_rules! words {
    ($($word:ident $name:ident $meaning:literal)*) => {
        /// The words at the start of the uniform buffer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Word { $(
            #[doc = $meaning]
            $word,
        )* }

        impl Word {
            /// All, in order.
            pub const ALL: &[Word] = &[$(Word::$word),*];

            /// The member's name.
            fn name(self) -> &'static str {
                match self { $(Word::$word => stringify!($name),)* }
            }

            fn meaning(self) -> &'static str {
                match self { $(Word::$word => $meaning,)* }
            }
        }
    };
}
words! {
    Zero zero "a zero that compilers do not know"
    Count count "how many points, blocks or groups of states the dispatch has"
    FirstPoint first_point "the number of the first point, or row of a product"
    Elements elements "the number of elements of a reduction"
    FirstBlock first_block "the number of the first block of elements, or of the first product"
    Blocks blocks "how many blocks of each reduction the dispatch has"
    States states "how many states each reduction has in scratch memory"
    Results results "how many reductions, or rows of a product, the dispatch has"
    GroupBits group_bits "log2 of the number of invocations that merge the states of one group"
    InnerStart inner_start "where the inner axis of a matrix product begins"
    InnerEnd inner_end "where it ends"
    Part part "the number of the dispatch, from 1 on, of those that walk the loops of the same points"
    Rounds rounds "how many rounds of loops each point makes in the dispatch"
}

/// A word as WGSL.
pub fn word(word: Word) -> String {
    format!("params.{}", word.name())
}

/// The extent of a loop as WGSL.
pub fn extent(number: usize) -> String {
    format!("params.{}", extent_name(number))
}

/// The number of the first element of an operand, within its buffer, as WGSL.
pub fn offset(operand: OperandId) -> String {
    format!("params.{operand}_offset")
}

/// The position at which an operand without memory begins, as WGSL: a pair of words.
pub fn position(operand: OperandId) -> String {
    format!("vec2<u32>(params.{operand}_low, params.{operand}_high)")
}

/// The step of an operand along a loop as WGSL.
pub fn stride(operand: OperandId, number: usize) -> String {
    format!("params.{}", stride_name(operand, number))
}

fn extent_name(number: usize) -> String {
    format!("extent{number}")
}

fn stride_name(operand: OperandId, number: usize) -> String {
    format!("{operand}_stride{number}")
}

/// Declares the structure.
pub fn declare(out: &mut Writer, kernel: &Kernel, layout: &Layout) {
    out.line("// What comes with a launch.");
    out.braces("struct Params", |out| {
        for word in Word::ALL {
            out.line(format_args!("{}: u32, // {}", word.name(), word.meaning()));
        }
        if layout.loops() > 0 {
            out.line(format_args!("// The sizes of the loops: {}.", loops(layout)));
            members(out, (0..layout.loops()).map(extent_name));
        }
        for (index, operand) in kernel.operands.iter().enumerate() {
            let id = OperandId(index as u32);
            let first = match operand.access {
                Access::Read | Access::Write => "the number of its first element",
                Access::Index => "its first position",
            };
            out.line(format_args!("// {id}: {first}, and its step along each loop."));
            members(out, operand_names(kernel, layout, id).into_iter());
        }
    });
}

/// How many loops of each kind there are.
fn loops(layout: &Layout) -> String {
    let kinds =
        [(layout.variant.outer, "over results"), (layout.variant.reduced, "reduced"), (layout.steps.len(), "of steps")];
    let kinds = kinds.iter().filter(|(count, _)| *count > 0);
    kinds.map(|(count, kind)| format!("{count} {kind}")).collect::<Vec<_>>().join(", then ")
}

/// The words of an operand, in order.
fn operand_names(kernel: &Kernel, layout: &Layout, id: OperandId) -> Vec<String> {
    let first = match kernel.operand(id).access {
        Access::Read | Access::Write => vec![format!("{id}_offset")],
        Access::Index => vec![format!("{id}_low"), format!("{id}_high")],
    };
    first.into_iter().chain((0..layout.loops()).map(|number| stride_name(id, number))).collect()
}

fn members(out: &mut Writer, names: impl Iterator<Item = String>) {
    let members: Vec<String> = names.map(|name| format!("{name}: u32,")).collect();
    out.line(members.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::emit::layout::{Role, Variant};
    use crate::loops::ShaderLimits;
    use crate::loops::samples::{powers, row_sums};

    #[test]
    fn members_are_in_the_order_of_words() {
        for kernel in [row_sums(), powers()] {
            let variant = Variant { role: Role::Direct, outer: 2, reduced: 1, results_first: false };
            let layout = Layout::new(&kernel, variant, &ShaderLimits::WEBGPU).unwrap();
            let mut out = Writer::default();
            declare(&mut out, &kernel, &layout);
            let text = out.finish();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            let names: Vec<&str> =
                code.flat_map(|line| line.split(' ')).filter_map(|word| word.strip_suffix(':')).collect();
            let at = |spelled: String| names.iter().position(|name| spelled == format!("params.{name}")).unwrap();
            assert!(Word::ALL.iter().all(|&which| at(word(which)) == which as usize));
            assert!((0..layout.loops()).all(|number| at(extent(number)) == layout.extent(number)));
            for (index, operand) in kernel.operands.iter().enumerate() {
                let id = OperandId(index as u32);
                if operand.access == Access::Index {
                    assert_eq!(at(format!("params.{id}_low")), layout.base(id));
                    assert_eq!(at(format!("params.{id}_high")), layout.base(id) + 1);
                } else {
                    assert_eq!(at(offset(id)), layout.base(id));
                }
                let in_order = (0..layout.loops()).all(|n| at(stride(id, n)) == layout.stride(&kernel, id, n));
                assert!(in_order, "{text}");
            }
        }
    }
}
