//! House rules, read off the sources: which module may import which, where `unsafe` may stand, how long files are.
//!
//! The list of edges below is the architecture: data flows from expressions to engines and imports follow it.
//! Code under `#[cfg(test)]` is free to look anywhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module may import: a module, or one path in it.
const EDGES: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("dtype", &["error"]),
    ("elementary", &[]),
    ("shape", &["error"]),
    ("array", &["dtype", "shape", "error"]),
    ("ops", &["dtype", "elementary"]),
    ("graph", &["array", "dtype", "shape", "ops", "error"]),
    ("eval", &["graph", "ops", "array", "dtype", "shape", "error"]),
    ("check", &["eval", "graph", "ops", "array", "dtype", "shape", "error"]),
    ("autodiff", &["expr", "graph", "ops", "dtype", "shape", "error"]),
    ("batching", &["expr", "graph", "ops", "dtype", "shape", "error"]),
    ("optimize", &["graph", "ops", "array", "dtype", "shape", "error"]),
    ("loops", &["ops", "dtype", "error"]),
    ("schedule", &["graph", "loops::Target", "loops::Axis", "ops", "dtype", "shape", "error"]),
    ("lower", &["graph", "schedule", "loops", "ops", "array", "dtype", "shape", "error"]),
    ("backend", &["loops", "ops", "elementary", "dtype", "error"]),
    ("runtime", &["lower::plan", "schedule::Slot", "backend", "loops", "array", "dtype", "shape", "error"]),
    ("inspect", &["expr", "graph", "ops", "array", "dtype", "shape", "error"]),
    (
        "expr",
        &[
            "error", "dtype", "shape", "array", "ops", "graph", "eval", "optimize", "loops", "schedule", "lower",
            "backend", "runtime", "check",
        ],
    ),
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &[
    "src/array/block.rs",
    "src/backend/cpu/",
    "src/backend/matmul/",
    "src/backend/interpreter.rs",
    "src/backend/mod.rs",
    // Where a thread may run.
    "src/backend/cores.rs",
    // Whether the process was forked.
    "src/backend/fork.rs",
    // Work that other threads join while its owner waits.
    "src/backend/offer.rs",
    "src/backend/place.rs",
    // Code for an instruction set that the processor was seen to have, and elements behind pointers.
    "src/elementary/definition.rs",
    "src/elementary/kernel.rs",
    "src/elementary/philox_avx512.rs",
    "src/elementary/philox_kernel.rs",
    "src/elementary/philox_vector.rs",
    "src/elementary/piecewise/",
    "src/loops/interpret.rs",
    "src/runtime/",
    // Hands the memory of a call on to the oracle or to a program.
    "src/expr/engine.rs",
    // The same, after a check.
    "src/expr/checked.rs",
    // The same, to a program on a GPU.
    "src/expr/gpu.rs",
];

struct Source {
    /// Relative to the package, with `/`.
    path: String,
    text: String,
    /// Compiled for tests only.
    test_only: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let test_only: BTreeSet<PathBuf> = files.iter().flat_map(|path| test_modules(path, &read(path))).collect();
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    files
        .iter()
        .map(|path| Source { path: relative(path), text: read(path), test_only: test_only.contains(path) })
        .collect()
}

/// The files that `#[cfg(test)] mod name;` in this file stands for.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib") | None => path.parent().unwrap().to_path_buf(),
        Some(stem) => path.with_file_name(stem),
    };
    let mut previous = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let declared = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if previous == "#[cfg(test)]"
            && let Some(name) = declared.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
        {
            found.extend([folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")]);
        }
        if !line.starts_with("//") {
            previous = line;
        }
    }
    found
}

/// The lines that are compiled outside tests, without comments: everything up to the test module at the end.
fn code(source: &Source) -> String {
    if source.test_only {
        return String::new();
    }
    let body = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The paths after `crate::` in some code, with braces expanded.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        expand(&code[start + "crate::".len()..], String::new(), &mut paths);
    }
    paths
}

/// Reads one path, which may end in a braced list; returns what is left of the text.
fn expand<'a>(text: &'a str, prefix: String, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let after = expand(rest, prefix.clone(), paths).trim_start();
            if after.len() == rest.len() {
                return after;
            }
            rest = after.strip_prefix(',').unwrap_or(after);
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c.is_alphabetic() || c == '{' || c == '_') => {
            expand(rest, path, paths)
        }
        _ => {
            paths.push(path);
            let rest = rest.strip_prefix("::*").unwrap_or(rest).trim_start();
            match rest.strip_prefix("as ") {
                Some(alias) => alias.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
                None => rest,
            }
        }
    }
}

fn module(path: &str) -> &str {
    path.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn imports_follow_the_listed_edges() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources().iter().filter(|source| source.path != "src/lib.rs") {
        let own = module(&source.path);
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == own) else {
            wrong.push(format!("{}: the module `{own}` is not in the list", source.path));
            continue;
        };
        for path in crate_paths(&code(source)) {
            let top = path.split("::").next().unwrap();
            let fits = |edge: &str| path == edge || path.starts_with(&format!("{edge}::"));
            if top == own || allowed.iter().any(|edge| fits(edge)) {
                seen.insert((own.to_string(), top.to_string()));
            } else {
                wrong.push(format!("{}: crate::{path}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the list of edges:\n{}", wrong.join("\n"));
    // The reader works: edges that are there in any case are found.
    for (from, to) in [("graph", "dtype"), ("lower", "loops"), ("backend", "loops"), ("schedule", "graph")] {
        assert!(seen.contains(&(from.to_string(), to.to_string())), "{from} → {to} was not seen");
    }
}

#[test]
fn braces_and_nesting_of_imports_are_read() {
    let paths = crate_paths("use crate::{a, b::{c, d as e}, f::*};\nlet x = crate::g::H::new(crate::i);");
    assert_eq!(paths, ["a", "b::c", "b::d", "f", "g::H::new", "i"]);
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") && !source.text.starts_with("#![doc") {
            wrong.push(format!("{} does not start with `//!`", source.path));
        }
        let lines = source.text.lines().count();
        if lines > 500 {
            wrong.push(format!("{} has {lines} lines; one concept per file, at most 500", source.path));
        }
        for word in ["todo!(", "unimplemented!(", "dbg!("] {
            if source.text.contains(word) {
                wrong.push(format!("{} contains {word}…)", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| !UNSAFE.iter().any(|allowed| source.path.starts_with(allowed)))
        .flat_map(|source| {
            let path = source.path.clone();
            let code = code(source);
            let lines: Vec<String> = code
                .lines()
                .filter(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe"))
                .map(|line| format!("{path}: {}", line.trim()))
                .collect();
            lines
        })
        .collect();
    assert!(wrong.is_empty(), "unsafe outside the list:\n{}", wrong.join("\n"));
}
