//! Shaders of kernels without a reduction: an invocation for each point, or for four points whose bytes are one word.
//! Points whose loops are long are walked by several dispatches (`parts`).

use crate::backend::gpu::emit::body::{Body, Bytes, indices};
use crate::backend::gpu::emit::layout::{Layout, Role};
use crate::backend::gpu::emit::params::{self, Word, word};
use crate::backend::gpu::emit::parts::Parts;
use crate::backend::gpu::emit::types::Types;
use crate::backend::gpu::emit::writer::Writer;
use crate::error::Result;
use crate::loops::{Access, Kernel, Nest};

/// The entry point.
pub fn entry(
    out: &mut Writer,
    kernel: &Kernel,
    layout: &Layout,
    types: Types,
    nests: &[Nest],
    invocations: u32,
) -> Result<()> {
    out.line(format_args!("@compute @workgroup_size({invocations})"));
    let head = "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, \
                @builtin(local_invocation_index) thread: u32)";
    out.braces(head, |out| {
        out.line(format_args!("let number = (group.y * groups.x + group.x) * {invocations}u + thread;"));
        if layout.variant.role == Role::MapBytes {
            return four_points(out, kernel, layout, types, nests);
        }
        out.braces(format_args!("if (number < {})", word(Word::Count)), |out| {
            out.line(format_args!("let point = number + {};", word(Word::FirstPoint)));
            let scope = indices(out, 0, layout.variant.outer, "point");
            let mut body = Body::new(kernel, layout, types, scope);
            let Some(buffer) = layout.scratch_out else { return body.nests(out, nests) };
            let parts = Parts::new(kernel, types, buffer);
            parts.resume(out);
            body.parts = Some(parts);
            body.nests(out, nests)?;
            body.parts.iter().for_each(|parts| parts.finish(out));
            Ok(())
        })
    })
}

/// Four points in a row. A word that is whole is stored at once; bytes at an end are put into their word.
fn four_points(out: &mut Writer, kernel: &Kernel, layout: &Layout, types: Types, nests: &[Nest]) -> Result<()> {
    let bytes: Vec<usize> = (0..kernel.operands.len())
        .filter(|&index| kernel.operands[index].access == Access::Write && kernel.operands[index].dtype.size() == 1)
        .collect();
    for operand in &bytes {
        out.line(format_args!("var byte_{operand} = 0u;"));
    }
    let count = word(Word::Count);
    out.line(format_args!("let left = select(0u, min(4u, {count} - number * 4u), number * 4u < {count});"));
    out.braces("for (var quarter = 0u; quarter < left; quarter++)", |out| {
        out.line(format_args!("let point = number * 4u + quarter + {};", word(Word::FirstPoint)));
        let scope = indices(out, 0, layout.variant.outer, "point");
        Body { bytes: Bytes::Gathered, ..Body::new(kernel, layout, types, scope) }.nests(out, nests)
    })?;
    for operand in bytes {
        let id = crate::loops::OperandId(operand as u32);
        let Some((buffer, _)) = layout.storage(id) else { continue };
        let base = params::offset(id);
        let at = format!("buffer{buffer}[({base} + {}) / 4u + number]", word(Word::FirstPoint));
        out.braces("if (left == 4u)", |out| out.line(format_args!("atomicStore(&{at}, byte_{operand});")));
        out.braces("if (left > 0u && left < 4u)", |out| {
            out.line(format_args!("atomicAnd(&{at}, 0xffffffffu << (left * 8u));"));
            out.line(format_args!("atomicOr(&{at}, byte_{operand});"));
        });
    }
    Ok(())
}
