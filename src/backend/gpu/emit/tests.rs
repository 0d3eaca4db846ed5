//! What is emitted is valid WGSL for every kind of device, and reads as it should.
//!
//! `KROTON_UPDATE=1` rewrites the texts under `golden/`.

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::layout::{Role, Variant, reductions};
use super::library::{Availability, FILES, library};
use super::*;
use crate::backend::gpu::product::GpuProduct;
use crate::dtype::{DType, Scalar};
use crate::loops::samples::{binary, block, collatz, load, operands, powers, row_sums, store, sums};
use crate::loops::{Axis, Nest, OperandId};
use crate::ops::{BinaryOp, Row, UnaryOp};

/// Devices of every kind: with f64, with 64-bit integers, with neither, and with little of everything.
fn targets() -> Vec<Target> {
    let native = ShaderLimits { has_i64: true, ..ShaderLimits::WEBGPU };
    vec![
        Target::gpu(ShaderLimits { subgroup: 32, ..native }, true),
        Target::gpu(ShaderLimits { subgroup: 4, ..native }, false),
        Target::gpu(ShaderLimits::WEBGPU, false),
        Target::gpu(ShaderLimits { storage_buffers: 3, invocations: 64, ..ShaderLimits::WEBGPU }, false),
    ]
}

fn validate(source: &str) {
    let module = naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{}\n{source}", error.emit_to_string(source)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    if let Err(error) = validator.validate(&module) {
        panic!("{}\n{source}", error.emit_to_string(source));
    }
}

fn roles(kernel: &Kernel) -> &'static [Role] {
    match reductions(kernel) {
        Some(_) => &[Role::Direct, Role::Partial, Role::Merge, Role::Finish],
        None => &[Role::Map, Role::MapBytes, Role::MapPart],
    }
}

/// Emits every variant of a kernel that a target can run.
fn every_variant(kernel: &Kernel, target: &Target) -> Vec<String> {
    let mut sources = Vec::new();
    if !kernel.types.iter().all(|dtype| target.computes(*dtype)) {
        assert!(matches!(
            shader(kernel, target, Variant { role: roles(kernel)[0], outer: 1, reduced: 1, results_first: false }),
            Err(Error::Unsupported(text)) if text.contains("SHADER_F64")
        ));
        return sources;
    }
    for &role in roles(kernel) {
        for (outer, reduced) in [(0, 0), (1, 1), (3, 2)] {
            for results_first in [false, true] {
                let variant = Variant { role, outer, reduced, results_first };
                match shader(kernel, target, variant) {
                    // What points keep needs a buffer more.
                    Err(Error::Unsupported(text)) if role == Role::MapPart && kernel.name == "powers" => {
                        assert!(text.contains("at most 3"), "{text}");
                    }
                    emitted => sources.push(emitted.unwrap().0.source),
                }
            }
        }
    }
    sources
}

/// `o3[i] = o0[i] + o1[i] · o2[i]` in some dtype.
fn sum_of_products(dtype: DType) -> Kernel {
    let statements = [
        load(0, 0),
        load(1, 1),
        load(2, 2),
        binary(3, BinaryOp::Mul, 1, 2),
        binary(4, BinaryOp::Add, 0, 3),
        store(3, 4),
    ];
    Kernel {
        name: format!("sum_of_products_{dtype}"),
        axes: 1,
        operands: operands(dtype, 3, 1),
        types: vec![dtype; 5],
        body: vec![Nest::Map { axes: vec![Axis(0)], body: vec![Nest::Block(block(statements))] }],
    }
}

fn sums_of(dtype: DType) -> Kernel {
    let mut kernel = sums(BinaryOp::Add, Scalar::I64(0).cast(dtype));
    kernel.operands.iter_mut().for_each(|operand| operand.dtype = dtype);
    kernel.types.fill(dtype);
    kernel
}

#[test]
fn every_nest_and_role_is_valid() {
    let mut kernels = vec![row_sums(), powers(), collatz()];
    let numbers = [DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64, DType::F32, DType::F64];
    kernels.extend(numbers.into_iter().flat_map(|dtype| [sum_of_products(dtype), sums_of(dtype)]));
    let mut count = 0;
    for target in targets() {
        for kernel in &kernels {
            let sources = every_variant(kernel, &target);
            count += sources.len();
            sources.iter().for_each(|source| validate(source));
        }
    }
    assert!(count > 1000, "only {count} shaders");
}

#[test]
fn operands_that_find_no_buffer_share_one() {
    let limits = ShaderLimits { storage_buffers: 3, ..ShaderLimits::WEBGPU };
    let variant = Variant { role: Role::Map, outer: 1, reduced: 0, results_first: false };
    let (shader, layout) = super::shader(&sum_of_products(DType::F32), &Target::gpu(limits, false), variant).unwrap();
    assert_eq!(shader.buffers, [ShaderAccess::Read, ShaderAccess::Read, ShaderAccess::ReadWrite]);
    assert!(!layout.is_shared(0) && layout.is_shared(1));
    let none = ShaderLimits { storage_buffers: 1, ..ShaderLimits::WEBGPU };
    let error = super::shader(&sum_of_products(DType::F32), &Target::gpu(none, false), variant).unwrap_err();
    assert!(error.to_string().contains("at most 1"), "{error}");
}

#[test]
fn every_file_of_the_library_is_valid_on_its_own() {
    for (has_i64, has_f64) in [(false, false), (true, false), (true, true)] {
        for (name, availability, text) in FILES {
            let needed = match availability {
                Availability::Always => true,
                Availability::NativeI64 => has_i64,
                Availability::PairsOfWords => !has_i64,
                Availability::F64 => has_f64,
            };
            if needed {
                let library = library(has_i64, has_f64);
                // The items of the file itself come along with what they call.
                let names = library.names_in(text).join(" ");
                assert!(!names.is_empty(), "{name} is empty");
                let reached = library.reached_by(&names);
                validate(&format!("fn hidden_zero() -> u32 {{ return 0u; }}\n{reached}"));
            }
        }
    }
}

#[test]
fn matrix_products_are_valid() {
    for target in targets() {
        for dtype in DType::ALL.into_iter().filter(|dtype| target.computes(*dtype)) {
            validate(&GpuProduct::new(dtype, "product", &target).unwrap().kernel().text());
        }
    }
    // The product is operand 1: o3 = o0 + o1 · o2 of each element.
    let mut epilogue = sum_of_products(DType::F32);
    epilogue.axes = 2;
    let [Nest::Map { axes, .. }] = epilogue.body.as_mut_slice() else { panic!("one map") };
    axes.push(Axis(1));
    let product = GpuProduct::with_epilogue(epilogue, OperandId(1), &targets()[2]).unwrap();
    crate::loops::verify::verify(product.kernel().kernel()).unwrap();
    validate(&product.kernel().text());
    golden("product_f32.wgsl", &product.kernel().text());
}

#[test]
fn every_op_and_conversion_has_its_function() {
    let rows = UnaryOp::ALL.iter().map(|op| op.row()).chain(BinaryOp::ALL.iter().map(|op| op.row()));
    let rows: Vec<&Row> = rows.collect();
    for (has_i64, has_f64) in [(false, false), (true, false), (true, true)] {
        let library = library(has_i64, has_f64);
        let dtypes = || DType::ALL.into_iter().filter(|dtype| *dtype != DType::F64 || has_f64);
        let has = |name: String| assert!(library.contains(&name), "no file of shaders/ has `{name}`");
        for (row, dtype) in rows.iter().flat_map(|row| dtypes().map(move |dtype| (row, dtype))) {
            let function = format!("{}_{dtype}", row.name);
            let text = ops::spelled(row, dtype, &["x".to_string(), "y".to_string()]);
            // Others are operators.
            let computes = row.class.contains(dtype) && (has_f64 || row.result(dtype) != DType::F64);
            if computes && text.starts_with(&format!("{function}(")) {
                has(function);
            }
        }
        let pairs = dtypes().flat_map(|from| dtypes().map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to).for_each(|(from, to)| has(format!("cast_{from}_{to}")));
    }
}

#[test]
fn every_part_of_a_matrix_product_is_valid() {
    for target in targets() {
        for dtype in DType::ALL.into_iter().filter(|dtype| target.computes(*dtype)) {
            let product = GpuProduct::new(dtype, "product", &target).unwrap();
            for role in [Role::ProductPart, Role::ProductEnd] {
                let variant = Variant { role, outer: 3, reduced: 0, results_first: false };
                validate(&product.kernel().emitted(variant).unwrap().shader.source);
            }
        }
    }
}

/// Parts of a state that lie at multiples of 8 bytes leave gaps behind those of 4.
#[test]
fn states_of_many_reductions_fit_the_workgroup() {
    let mut kernel = sums_of(DType::I64);
    let Nest::Map { body, .. } = &mut kernel.body[0] else { panic!("one map") };
    let Nest::Reduce { reductions, .. } = &mut body[0] else { panic!("a reduction first") };
    let parts = [Scalar::F32(0.0), Scalar::I64(0)];
    let alternating = (0..10).map(|_| {
        let mut reduction = reductions[0].clone();
        reduction.init = parts.into_iter().collect();
        reduction
    });
    *reductions = alternating.collect();
    assert_eq!(state_bytes(&kernel), 160);
    assert_eq!(invocations(&kernel, &ShaderLimits::WEBGPU), 64);
}

fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/gpu/emit/golden").join(name);
    if std::env::var_os("KROTON_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, written, "{name} is not what is emitted; look at it, then run with KROTON_UPDATE=1");
}

#[test]
fn shaders_read_as_before() {
    let targets = targets();
    let text = |kernel: &Kernel, target: &Target, role, outer, results_first| {
        shader(kernel, target, Variant { role, outer, reduced: 1, results_first }).unwrap().0.source
    };
    golden("map_f32.wgsl", &text(&sum_of_products(DType::F32), &targets[2], Role::Map, 2, false));
    golden("map_bytes_u8.wgsl", &text(&sum_of_products(DType::U8), &targets[2], Role::MapBytes, 1, false));
    golden("map_i64_pairs.wgsl", &text(&sum_of_products(DType::I64), &targets[2], Role::Map, 1, false));
    golden("reduce_f32_direct.wgsl", &text(&sums_of(DType::F32), &targets[2], Role::Direct, 1, true));
    golden("reduce_f64_partial_subgroups.wgsl", &text(&row_sums(), &targets[0], Role::Partial, 1, false));
    golden("reduce_f32_finish.wgsl", &text(&sums_of(DType::F32), &targets[2], Role::Finish, 1, false));
    golden("while_i64_part.wgsl", &text(&collatz(), &targets[2], Role::MapPart, 1, false));
    golden("sequential_i64.wgsl", &text(&powers(), &targets[1], Role::Map, 1, false));
    golden("sequential_i64_part.wgsl", &text(&powers(), &targets[1], Role::MapPart, 1, false));
    golden("while_i64.wgsl", &text(&collatz(), &targets[1], Role::Map, 1, false));
}
