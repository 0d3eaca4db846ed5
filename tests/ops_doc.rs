//! docs/ops.md is the op table in prose: this test generates it from the rows and compares.
//!
//! `KROTON_UPDATE=1 cargo test --test ops_doc` rewrites the file.

use std::fmt::Write;
use std::path::Path;

use kroton::DType;
use kroton::autodiff::conventions::{self, Convention};
use kroton::ops::{BinaryOp, Cost, Outcome, ReduceOp, Row, TernaryOp, UnaryOp};

const HEAD: &str = "# Operations

Generated from the op table (`src/ops/`) by `KROTON_UPDATE=1 cargo test --test ops_doc`; do not edit.

Every op is a method of `Expr` of the same name. Operands promote and broadcast before the op runs: dtypes that an op
does not take are converted where that loses nothing (`x.exp()` of integers is in f64), else the expression is refused.

An *exact* op gives the same bits on every engine, but for what [gpu.md](gpu.md) says of GPUs. The bounds are the largest
errors against the exact result in units in the last place (ULP), on the CPU and on GPUs; in brackets, where they differ,
those of x86-64 processors without FMA (`InstructionSet::Baseline`). `gamma`, `lgamma` and `digamma` are bounded on the CPU in
ULP of max(|result|, 1) for x ≤ 0 and where |result| < 1/4, near their roots. [accuracy.md](accuracy.md) has the errors that
were measured.

The last column says what a derivative is where there is none; where it is empty, there is one wherever the value is finite.
";

fn bound(floats: bool, bound: f32) -> String {
    if floats && bound > 0.0 { bound.to_string() } else { String::new() }
}

fn rows(text: &mut String, title: &str, rows: impl Iterator<Item = (&'static Row, Convention)>) {
    let _ = write!(
        text,
        "\n## {title}\n\n| op | takes | gives | | exact | CPU f32 | CPU f64 | GPU f32 | GPU f64 | derivative |\n"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|---|");
    for (row, convention) in rows {
        let gives = match row.outcome {
            Outcome::Same => "the same",
            Outcome::Truth => "bool",
            Outcome::Bits => "u32",
            Outcome::Single => "f32",
            Outcome::Double => "f64",
        };
        let floats = row.class.contains(DType::F64);
        let exact = row.ulp.f32 == 0.0 && row.ulp.f64 == 0.0;
        let cpu = |bound: f32, baseline: f32| match bound == baseline || !floats {
            true => self::bound(floats, bound),
            false => format!("{bound} ({baseline})"),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {gives} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            row.class.describe(),
            row.doc.replace('|', "\\|"),
            if exact { "yes" } else { "" },
            cpu(row.ulp.f32, row.baseline.f32),
            cpu(row.ulp.f64, row.baseline.f64),
            bound(floats, row.gpu.f32),
            bound(floats, row.gpu.f64),
            convention.words,
        );
    }
}

fn reductions(text: &mut String) {
    let _ = write!(
        text,
        "\n## Reductions\n\nThe order in which elements are merged is part of the definition (see \
         `src/ops/reduction.rs`), so that every engine and every number\nof threads gives the same bits.\n\n\
         | reduction | takes | gives | | derivative |\n|---|---|---|---|---|\n"
    );
    for op in ReduceOp::ALL {
        let takes: Vec<DType> = DType::ALL.into_iter().filter(|&dtype| op.accepts(dtype)).collect();
        let same = takes.iter().all(|&dtype| op.result(dtype) == dtype);
        let gives: Vec<&str> = takes.iter().map(|&dtype| op.result(dtype).name()).collect();
        let gives = match gives.iter().all(|name| *name == gives[0]) {
            true => gives[0],
            false if same => "the same",
            false => "i64, u64 or the float",
        };
        let words = conventions::reduction(*op).words;
        let takes = match takes.len() {
            9 => "every dtype".to_string(),
            _ => takes.iter().map(|dtype| dtype.name()).collect::<Vec<_>>().join(", "),
        };
        let _ = writeln!(text, "| `{op}` | {takes} | {gives} | {} | {} |", op.doc().replace('|', "\\|"), words);
    }
}

fn page() -> String {
    let mut text = HEAD.to_string();
    rows(&mut text, "One operand", UnaryOp::ALL.iter().map(|&op| (op.row(), conventions::unary(op))));
    rows(&mut text, "Two operands", BinaryOp::ALL.iter().map(|&op| (op.row(), conventions::binary(op))));
    rows(&mut text, "Three operands", TernaryOp::ALL.iter().map(|&op| (op.row(), conventions::ternary(op))));
    reductions(&mut text);
    text
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ops.md");
    let page = page();
    if std::env::var_os("KROTON_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(written.lines()).position(|(a, b)| a != b);
    assert!(
        written == page,
        "docs/ops.md is not what the table says (first difference in line {:?}); run \
         `KROTON_UPDATE=1 cargo test --test ops_doc`",
        first.map(|line| line + 1)
    );
}

/// The errors with fused multiply-add and without it that docs/accuracy.md has of a function on a dtype.
fn measured(page: &str, row: &Row, dtype: DType) -> [f32; 2] {
    let start = format!("| `{}` | {dtype} | ", row.name);
    let rest = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no row {start}"));
    let mut errors = rest.split(" | ").map(|cell| cell.parse().unwrap_or_else(|_| panic!("{start}{rest}")));
    [errors.next().unwrap(), errors.next().unwrap()]
}

#[test]
fn measured_errors_are_within_the_bounds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accuracy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows = UnaryOp::ALL.iter().map(|op| op.row()).chain(BinaryOp::ALL.iter().map(|op| op.row()));
    let functions: Vec<&Row> =
        rows.filter(|row| row.class.contains(DType::F64) && row.cost == Cost::Function).collect();
    assert!(functions.len() >= 29);
    for row in functions {
        for dtype in [DType::F32, DType::F64] {
            let bounds = [row.ulp_bound(dtype), row.baseline_bound(dtype)];
            let errors = measured(&page, row, dtype);
            // No rounding errs less than half an ULP at its worst.
            let within = errors.iter().zip(bounds).all(|(&error, bound)| (0.49..=bound).contains(&error));
            assert!(within, "{} on {dtype}: {errors:?} measured, {bounds:?} promised", row.name);
        }
    }
}
