//! The texts of a kernel's functions, and their code for any instruction set, without running anything.
//!
//! Must not know: launches.

use super::emit::{Class, Unit};
use super::form::{Form, Program, classify};
use super::generate::{Generator, Made};
use super::isa::Isa;
use super::jit::assemble;
use crate::backend::EngineStage;
use crate::error::Result;
use crate::loops::{Access, Kernel};

/// The functions of a kernel as one text: for contiguous operands, and, in Cranelift's IR, for operands at any strides
/// where contiguous ones have code that was made without it.
pub(super) fn dump(kernel: &Kernel, isa: &Isa, stage: EngineStage) -> Result<String> {
    let mut text = String::new();
    let generator = Generator { isa, text: true };
    let mut strided = match stage {
        EngineStage::Clif => functions(kernel, generator, Class::Strided)?.into_iter(),
        EngineStage::Asm => Vec::new().into_iter(),
    };
    for (name, made) in functions(kernel, generator, Class::Contiguous)? {
        text += &format!("; {} {name}\n", kernel.name);
        let strided = strided.next().map(|(_, made)| made);
        text += &match (made, strided) {
            (Made::Narrow(unit), _) => narrow(isa, *unit, stage)?,
            (Made::Wide(assembled), None) => assembled.text.unwrap_or_default(),
            (Made::Wide(_), Some(strided)) => {
                let note = "; contiguous operands have 256-bit code made without Cranelift: see Stage::Asm";
                match strided {
                    Made::Wide(_) => format!("{note}\n"),
                    Made::Narrow(unit) => format!("{note}; at other strides:\n{}", narrow(isa, *unit, stage)?),
                }
            }
        };
        text += "\n";
    }
    Ok(text)
}

fn narrow(isa: &Isa, unit: Unit, stage: EngineStage) -> Result<String> {
    let mut text = String::new();
    for (index, symbol) in unit.symbols.iter().enumerate() {
        text += &format!("; u0:{} is {}\n", index + 1, symbol.name());
    }
    text += &match stage {
        EngineStage::Clif => unit.function.display().to_string(),
        EngineStage::Asm => assemble(isa, unit, true)?.1.unwrap_or_default(),
    };
    Ok(text)
}

/// Makes the code of all functions, for contiguous operands and for strided ones; gives its size.
pub(super) fn compile(kernel: &Kernel, isa: &Isa) -> Result<usize> {
    let mut size = 0;
    for class in [Class::Contiguous, Class::Strided] {
        for (_, made) in functions(kernel, Generator::new(isa), class)? {
            size += match made {
                Made::Wide(assembled) => assembled.bytes.len(),
                Made::Narrow(unit) => assemble(isa, *unit, false)?.0,
            };
        }
    }
    Ok(size)
}

fn functions(kernel: &Kernel, make: Generator<'_>, class: Class) -> Result<Vec<(&'static str, Made)>> {
    match classify(kernel)? {
        Form::Map { axes, program } => {
            Ok(vec![("map", make.map(&program, &classes(&program, class), axes.is_empty())?)])
        }
        Form::Reduce(form) => Ok(vec![
            ("blocks", make.blocks(&form.body, &form.folds, &classes(&form.body, class))?),
            ("columns", make.columns(&form.body, &form.folds, &classes(&form.body, class))?),
            ("merge", make.merge(&form.body, &form.folds)?),
            ("epilogue", make.map(&form.epilogue, &classes(&form.epilogue, class), form.outer.is_empty())?),
        ]),
    }
}

/// Memory of this class; indices at any stride.
fn classes(program: &Program, class: Class) -> Vec<Class> {
    let of = |access| match access {
        Access::Index => Class::Strided,
        Access::Read | Access::Write => class,
    };
    program.ports.iter().map(|port| of(port.operand.access)).collect()
}
