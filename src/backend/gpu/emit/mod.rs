//! Loop IR to WGSL: pure text, made from a kernel, the limits of a device and a variant. No device is needed.
//!
//! A shader's data come with the launch (`layout`): sizes, strides and offsets are words of a uniform buffer, so that
//! one shader serves all sizes. It holds the functions of the library that it reaches, and nothing else.

pub mod body;
pub mod layout;
pub mod library;
pub mod map;
pub mod ops;
pub mod params;
pub mod parts;
pub mod product;
pub mod reduce;
pub mod steps;
pub mod types;
pub mod writer;

#[cfg(test)]
mod tests;

use layout::{Home, Layout, Role, Variant};
use params::{Word, word};
use reduce::Reducer;
use types::Types;
use writer::Writer;

use crate::backend::gpu::shader::{Shader, ShaderAccess};
use crate::error::{Error, Result};
use crate::loops::{Kernel, Nest, ShaderLimits, Target};
use crate::ops::reduction::LANES;

/// The bytes of workgroup memory that every device has.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Emits a variant of a kernel.
///
/// # Errors
/// `Unsupported` for a kernel that the target cannot run.
pub fn shader(kernel: &Kernel, target: &Target, variant: Variant) -> Result<(Shader, Layout)> {
    let limits = shader_limits(target)?;
    check_dtypes(kernel, target)?;
    let layout = Layout::new(kernel, variant, &limits)?;
    let types = Types { has_i64: limits.has_i64 };
    let mut out = Writer::default();
    declare(&mut out, kernel, &layout);
    entry(&mut out, kernel, &layout, types, &limits)?;
    let text = out.finish();
    let included = library::library(limits.has_i64, target.has_f64).reached_by(&text);
    let Variant { role, .. } = variant;
    let source = format!("// {}, {role:?}: {}.\n\n{text}\n{included}", kernel.name, role.description());
    let buffers = layout.buffers.iter().map(|buffer| buffer.access).collect();
    Ok((Shader { source: source.trim_end().to_string() + "\n", buffers, words: layout.words() }, layout))
}

/// The limits of shaders that a target has.
///
/// # Errors
/// `Internal` for a target without shaders, `Unsupported` for workgroups too small for the lanes of a reduction.
pub fn shader_limits(target: &Target) -> Result<ShaderLimits> {
    let limits = target.shaders.ok_or_else(|| Error::Internal(format!("`{}` runs no shaders", target.name)))?;
    if limits.invocations < LANES as u32 {
        return Err(Error::Unsupported(format!(
            "the device has workgroups of {} invocations and kernels need {LANES}; use Device::Cpu",
            limits.invocations
        )));
    }
    Ok(limits)
}

/// The invocations of a workgroup for a kernel: a power of two, fewer where states are large.
pub fn invocations(kernel: &Kernel, limits: &ShaderLimits) -> u32 {
    let state = state_bytes(kernel);
    let mut invocations = 1 << limits.invocations.min(256).ilog2();
    while invocations > LANES as u32 && invocations as usize * state > WORKGROUP_BYTES {
        invocations /= 2;
    }
    invocations
}

/// The size of the state of a kernel's reductions in workgroup memory: every part lies at a multiple of its own size, and
/// a bool or a byte takes a word.
fn state_bytes(kernel: &Kernel) -> usize {
    let dtypes = layout::reductions(kernel).map(body::state_dtypes).unwrap_or_default();
    let sizes = dtypes.iter().map(|dtype| dtype.size().max(4));
    let end = sizes.fold(0, |end: usize, size| end.next_multiple_of(size) + size);
    end.next_multiple_of(8)
}

fn check_dtypes(kernel: &Kernel, target: &Target) -> Result<()> {
    match kernel.types.iter().find(|dtype| !target.computes(**dtype)) {
        None => Ok(()),
        Some(dtype) => Err(Error::Unsupported(format!(
            "the kernel `{}` computes in {dtype}, and the device has no {dtype} (SHADER_F64); use f32 \
             (`cast::<f32>()`), Device::Cpu or Device::Auto",
            kernel.name
        ))),
    }
}

/// The uniform buffer, the storage buffers, and the hidden zero.
fn declare(out: &mut Writer, kernel: &Kernel, layout: &Layout) {
    params::declare(out, kernel, layout);
    out.line("");
    let keeps_points = layout.variant.role == Role::MapPart;
    if keeps_points {
        out.lines(parts::STATES.lines().map(str::to_string));
        out.line("");
    }
    out.line("@group(0) @binding(0) var<uniform> params: Params;");
    for (index, buffer) in layout.buffers.iter().enumerate() {
        let access = match buffer.access {
            ShaderAccess::Read => "read",
            ShaderAccess::ReadWrite => "read_write",
        };
        out.line(format_args!(
            "@group(0) @binding({}) var<storage, {access}> buffer{index}: {}; // {}",
            index + 1,
            if keeps_points && layout.scratch_out == Some(index) { "States" } else { buffer.storage.spelling() },
            contents(kernel, layout, index)
        ));
    }
    out.line("");
    out.braces("fn hidden_zero() -> u32", |out| out.line(format_args!("return {};", word(Word::Zero))));
    out.line("");
}

/// What a buffer holds.
fn contents(kernel: &Kernel, layout: &Layout, buffer: usize) -> String {
    let operands = kernel.operands.iter().enumerate().filter(|(index, _)| layout.homes[*index] == Home::Buffer(buffer));
    let names: Vec<String> = operands.map(|(index, operand)| format!("o{index}: {}", operand.dtype)).collect();
    match names.is_empty() {
        false => names.join(", "),
        true if layout.variant.role == Role::MapPart => "how far each point is".to_string(),
        true => "states of reductions".to_string(),
    }
}

fn entry(out: &mut Writer, kernel: &Kernel, layout: &Layout, types: Types, limits: &ShaderLimits) -> Result<()> {
    let invocations = invocations(kernel, limits);
    let [Nest::Map { body: nests, .. }] = kernel.body.as_slice() else {
        return Err(Error::Unsupported(format!("the kernel `{}` is not one map; Device::Cpu runs it", kernel.name)));
    };
    match (layout.variant.role, nests.split_first()) {
        (Role::Map | Role::MapBytes | Role::MapPart, _) => map::entry(out, kernel, layout, types, nests, invocations),
        (Role::Product | Role::ProductPart | Role::ProductEnd, _) => {
            product::entry(out, kernel, layout, types, nests, limits)
        }
        (_, Some((Nest::Reduce { body, reductions, .. }, rest))) => {
            let subgroup = limits.subgroup;
            let reducer = Reducer { kernel, layout, types, body, reductions, rest, invocations, subgroup };
            reducer.declarations(out)?;
            reducer.entry(out)
        }
        (role, _) => Err(Error::Internal(format!("the kernel `{}` has no part {role:?}", kernel.name))),
    }
}
