//! The texts of a kernel's functions, and their code for any instruction set, without running anything.
//!
//! Must not know: launches.

use super::emit::{Class, Unit, blocks_function, columns_function, map_function, merge_function};
use super::form::{Form, Program, classify};
use super::isa::Isa;
use super::jit::assemble;
use crate::backend::EngineStage;
use crate::error::Result;
use crate::loops::{Access, Kernel};

/// The functions of a kernel as one text, for contiguous operands.
pub(super) fn dump(kernel: &Kernel, isa: &Isa, stage: EngineStage) -> Result<String> {
    let mut text = String::new();
    for (name, unit) in functions(kernel, isa, Class::Contiguous)? {
        text += &format!("; {} {name}\n", kernel.name);
        for (index, symbol) in unit.symbols.iter().enumerate() {
            text += &format!("; u0:{} is {}\n", index + 1, symbol.name());
        }
        text += &match stage {
            EngineStage::Clif => unit.function.display().to_string(),
            EngineStage::Asm => assemble(isa, unit, true)?.1.unwrap_or_default(),
        };
        text += "\n";
    }
    Ok(text)
}

/// Makes the code of all functions, for contiguous operands and for strided ones; gives its size.
pub(super) fn compile(kernel: &Kernel, isa: &Isa) -> Result<usize> {
    let mut size = 0;
    for class in [Class::Contiguous, Class::Strided] {
        for (_, unit) in functions(kernel, isa, class)? {
            size += assemble(isa, unit, false)?.0;
        }
    }
    Ok(size)
}

fn functions(kernel: &Kernel, isa: &Isa, class: Class) -> Result<Vec<(&'static str, Unit)>> {
    match classify(kernel)? {
        Form::Map { axes, program } => {
            Ok(vec![("map", map_function(isa, &program, &classes(&program, class), axes.is_empty())?)])
        }
        Form::Reduce(form) => Ok(vec![
            ("blocks", blocks_function(isa, &form.body, &form.folds, &classes(&form.body, class))?),
            ("columns", columns_function(isa, &form.body, &form.folds, &classes(&form.body, class))?),
            ("merge", merge_function(isa, &form.body, &form.folds)?),
            ("epilogue", map_function(isa, &form.epilogue, &classes(&form.epilogue, class), form.outer.is_empty())?),
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
