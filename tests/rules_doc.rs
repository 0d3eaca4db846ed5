//! docs/rewrite-rules.md is the rule tables in prose: this test generates it from the rows and compares. And what a function
//! says of the rules that fired for it.
//!
//! `KROTON_UPDATE=1 cargo test --test rules_doc` rewrites the file.

use std::fmt::Write;
use std::path::Path;

use kroton::optimize::{Class, PASSES, Rule, rules};

const HEAD: &str = "# Rewrite rules

Generated from the tables in `src/optimize/` by `KROTON_UPDATE=1 cargo test --test rules_doc`; do not edit.

The passes run in this order, over and over until no rule fires. `Compiler::exclude` leaves out a rule, a pass or a class by name;
`f.dump(Stage::Optimized)` lists what fired, each with the formula before and after and the source line, and what a call cost
before and costs after.

- **exact** rules keep every bit of every result, −0.0, infinities and NaN-ness included. Each has an argument. Pattern
  rules are also tried on all values of bool, i8 and u8 (pairs of arguments; grids for more), on all values of two small
  formats of floats (E5M2, and E4M3 with infinities), on boundary grids of the others, on near misses, and, for rules of one float, on all
  of f32 (`cargo test --release --test every_f32 -- --ignored`; a fixed part in every run). View rules are compared on examples and random graphs.
- **accuracy** rules change rounding for the better. Both sides are measured against 448-bit arithmetic: nowhere is the right one worse by
  more than one ULP (of max(|result|, 1) near roots, and where exponentials are summed), and where a rule claims to gain, the left one
  errs by more than four.
- **fast** rules are for `OptLevel::Fast`: the error may grow by more, and what is finite may overflow.

`?x` is any expression, `c` a constant; commutative ops match in both orders.
";

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

fn row(text: &mut String, rule: &Rule) {
    let fma = if rule.needs_fma { "targets with FMA" } else { "" };
    let conditions: Vec<&str> =
        [rule.when.describe(), rule.guard, fma].into_iter().filter(|part| !part.is_empty()).collect();
    let _ = writeln!(
        text,
        "| `{}` | {} | `{}` → `{}` | {} | {} |",
        rule.name,
        rule.class.name(),
        escaped(rule.left),
        escaped(rule.right),
        escaped(&conditions.join("; ")),
        escaped(rule.argument),
    );
}

fn page() -> String {
    let mut text = HEAD.to_string();
    let _ = writeln!(text, "\n| class | rules |\n|---|---|");
    for class in Class::ALL {
        let _ = writeln!(text, "| {} | {} |", class.name(), rules().filter(|rule| rule.class == class).count());
    }
    for pass in PASSES {
        let _ = writeln!(text, "\n## {}\n", pass.name);
        if pass.rules().next().is_none() {
            let _ = writeln!(text, "Removes nodes that no output needs.");
            continue;
        }
        let _ = writeln!(text, "| rule | class | before → after | for | why |\n|---|---|---|---|---|");
        pass.rules().for_each(|rule| row(&mut text, rule));
    }
    text
}

#[test]
fn the_page_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rewrite-rules.md");
    let page = page();
    if std::env::var_os("KROTON_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(written.lines()).position(|(a, b)| a != b);
    assert!(
        written == page,
        "docs/rewrite-rules.md is not what the tables say (first difference in line {:?}); run \
         `KROTON_UPDATE=1 cargo test --test rules_doc`",
        first.map(|line| line + 1)
    );
}

#[test]
fn a_function_says_which_rules_fired_where_and_what_they_saved() {
    let x = kroton::vector::<f64>("x");
    let line = line!() + 1;
    let y = -(-&x) + (1.0 + &x).ln();
    let f = kroton::Compiler::new().optimize(kroton::OptLevel::Full).compile([&x], y).unwrap();
    let text = f.dump(kroton::Stage::Optimized).unwrap();
    let (_, report) = text.split_once("\n\n").expect("a graph, an empty line, what fired");
    for fired in ["/involution: neg(neg(x)) → x", "/log1p: ln(add(x, 1.0)) → log1p(x)"] {
        let at = report.lines().find(|line| line.contains(fired)).unwrap_or_else(|| panic!("{fired}: {report}"));
        assert!(at.contains(&format!("  at tests/rules_doc.rs:{line}:")), "{at}");
    }
    let costs: Vec<String> = report
        .lines()
        .filter_map(|line| line.strip_prefix("//   "))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        costs,
        ["nodes 7 → 3", "kernels 1 → 1", "bytes 16000 → 16000", "memory 0 → 0", "operations 5000 → 2000"],
        "{report}"
    );
}
