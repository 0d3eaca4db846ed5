//! Loops inside a point: over axes, with or without carried values, and while a condition holds.
//!
//! Carried values are variables. Where a point is walked by several dispatches (`parts`), these are declared and restored
//! at its start, and every round is counted.

use crate::backend::gpu::emit::body::Body;
use crate::backend::gpu::emit::ops::name;
use crate::backend::gpu::emit::params;
use crate::backend::gpu::emit::writer::Writer;
use crate::error::{Error, Result};
use crate::loops::{Axis, Block, Carried, Nest, ValueId};

/// What turns a loop's rounds into those of a loop that can pause: its variable, and the number of the first loop inside.
struct Kept {
    round: String,
    inner: usize,
}

impl Body<'_> {
    /// Loops over axes of their own.
    pub(super) fn map(&mut self, out: &mut Writer, axes: &[Axis], body: &[Nest]) -> Result<()> {
        let Some((first, rest)) = axes.split_first() else {
            return out.braces("", |out| self.nests(out, body));
        };
        self.steps(out, *first, &[], |this, out| this.map(out, rest, body))
    }

    pub(super) fn sequential(
        &mut self,
        out: &mut Writer,
        axis: Axis,
        carried: &[Carried],
        body: &[Nest],
    ) -> Result<()> {
        self.steps(out, axis, carried, |this, out| this.nests(out, body))
    }

    pub(super) fn while_loop(
        &mut self,
        out: &mut Writer,
        carried: &[Carried],
        condition: &Block,
        holds: ValueId,
        body: &[Nest],
    ) -> Result<()> {
        let kept = self.start(out, carried);
        out.braces("loop", |out| {
            self.block(out, condition)?;
            out.braces(format_args!("if (!{})", name(holds)), |out| out.line("break;"));
            if let Some(parts) = &self.parts {
                parts.count(out);
            }
            self.nests(out, body)?;
            self.advance(out, carried, kept.as_ref());
            Ok(())
        })?;
        self.end(out, carried);
        Ok(())
    }

    /// A loop over the extent of an axis.
    fn steps(
        &mut self,
        out: &mut Writer,
        axis: Axis,
        carried: &[Carried],
        inside: impl FnOnce(&mut Self, &mut Writer) -> Result<()>,
    ) -> Result<()> {
        let number = self.layout.step(axis).ok_or_else(|| {
            Error::Internal(format!("the kernel `{}` has no loop over the axis {axis}", self.kernel.name))
        })?;
        let kept = self.start(out, carried);
        let (step, extent) = (out.fresh("step"), params::extent(number));
        let head = match &kept {
            None => format!("for (var {step} = 0u; {step} < {extent}; {step}++)"),
            Some(_) => "loop".to_string(),
        };
        self.scope.push((number, step.clone()));
        out.braces(head, |out| {
            if let (Some(parts), Some(Kept { round, .. })) = (&self.parts, &kept) {
                out.line(format_args!("let {step} = {round} - 1u;"));
                out.braces(format_args!("if ({step} >= {extent})"), |out| out.line("break;"));
                parts.count(out);
            }
            inside(self, out)?;
            self.advance(out, carried, kept.as_ref());
            if let Some(Kept { round, .. }) = &kept {
                out.line(format_args!("{round} += 1u;"));
            }
            Ok(())
        })?;
        self.scope.pop();
        self.end(out, carried);
        Ok(())
    }

    fn start(&mut self, out: &mut Writer, carried: &[Carried]) -> Option<Kept> {
        let Some(parts) = &mut self.parts else {
            for item in carried {
                let ty = self.types.value(self.kernel.ty(item.current));
                out.line(format_args!("var {}: {ty} = {};", name(item.current), name(item.initial)));
            }
            return None;
        };
        let kept = Kept { round: parts.enter(), inner: parts.entered() };
        out.braces(format_args!("if ({} == 0u)", kept.round), |out| {
            for item in carried {
                out.line(format_args!("{} = {};", name(item.current), name(item.initial)));
            }
            out.line(format_args!("{} = 1u;", kept.round));
        });
        Some(kept)
    }

    /// All at once, since the next of one may be the current of another.
    fn advance(&self, out: &mut Writer, carried: &[Carried], kept: Option<&Kept>) {
        let next: Vec<String> = carried.iter().map(|_| out.fresh("next")).collect();
        for (item, next) in carried.iter().zip(&next) {
            out.line(format_args!("let {next} = {};", name(item.next)));
        }
        for (item, next) in carried.iter().zip(&next) {
            out.line(format_args!("{} = {next};", name(item.current)));
        }
        if let (Some(parts), Some(kept)) = (&self.parts, kept) {
            parts.leave(out, kept.inner);
        }
    }

    fn end(&self, out: &mut Writer, carried: &[Carried]) {
        for item in carried {
            out.line(format_args!("let {} = {};", name(item.result), name(item.current)));
        }
    }
}
