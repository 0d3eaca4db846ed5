//! Code for every op and cast on every dtype, and for loops over steps, for instruction sets other than the host's.

use super::super::{NamedTarget, compile_for};
use super::*;
use crate::ops::{BinaryOp, TernaryOp, UnaryOp};

/// A kernel for each op and dtype, and for each pair of a cast.
fn kernels() -> Vec<(String, Kernel)> {
    let mut kernels = Vec::new();
    let mut add = |name: String, operands: &[DType], result: DType, make: &dyn Fn(&[ValueId]) -> Operation| {
        let mut build = Build::new(1);
        let operands: Vec<ValueId> = operands.iter().map(|&dtype| build.read(dtype)).collect();
        let value = build.define(result, make(&operands));
        build.write(value);
        kernels.push((name, build.map()));
    };
    for dtype in DType::ALL {
        for &op in UnaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            add(format!("{op} {dtype}"), &[dtype], op.row().result(dtype), &|x| Operation::Unary(op, x[0]));
        }
        for &op in BinaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let result = op.row().result(dtype);
            add(format!("{op} {dtype}"), &[dtype; 2], result, &|x| Operation::Binary(op, [x[0], x[1]]));
        }
        for &op in TernaryOp::ALL.iter().filter(|op| op.row().class.contains(dtype)) {
            let first = if op == TernaryOp::Select { DType::Bool } else { dtype };
            add(format!("{op} {dtype}"), &[first, dtype, dtype], dtype, &|x| {
                Operation::Ternary(op, [x[0], x[1], x[2]])
            });
        }
        for to in DType::ALL {
            add(format!("{dtype} to {to}"), &[dtype], to, &|x| Operation::Cast(to, x[0]));
        }
    }
    kernels
}

fn compile_all(target: NamedTarget) {
    let mut failures = Vec::new();
    for (name, kernel) in kernels().into_iter().chain(super::stepped::kernels()) {
        match compile_for(&kernel, target) {
            Ok(size) => assert!(size > 0, "{name}"),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{target:?}:\n{}", failures.join("\n"));
}

#[test]
fn everything_compiles_for_bare_x64() {
    compile_all(NamedTarget::X64Baseline);
}

#[test]
fn everything_compiles_for_x64_with_avx2_and_fma() {
    compile_all(NamedTarget::X64Avx2Fma);
}

#[test]
fn everything_compiles_for_arm64() {
    compile_all(NamedTarget::Arm64);
}
