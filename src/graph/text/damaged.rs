//! Hostile texts: damaged, shuffled, absurdly large, or noise.
//!
//! `KROTON_CASES=100000 cargo test --lib damaged` tries more.

use proptest::prelude::*;

use super::tests::{add, every_kind_saved, fetch_zeros, input};
use super::*;
use crate::dtype::{DType, Scalar};
use crate::graph::{Graph, Node};

/// So many cases, or as many as the environment says.
fn cases(usual: u32) -> ProptestConfig {
    ProptestConfig::with_cases(std::env::var("KROTON_CASES").map_or(usual, |cases| cases.parse().unwrap()))
}

/// A text whose lines and words were moved, doubled, left out or replaced by what is too large or too deep.
fn shuffled() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..8);
    prop::collection::vec(edit, 1..8).prop_map(|edits| {
        let mut lines: Vec<String> = every_kind_saved().lines().map(String::from).collect();
        for (a, b, kind) in edits {
            let (i, j) = (a.index(lines.len()), b.index(lines.len()));
            let words: Vec<&str> = lines[i].split(' ').collect();
            let k = b.index(words.len());
            let with = |word: &str| [&words[..k], &[word], &words[k + 1..]].concat().join(" ");
            match kind {
                0 => lines.swap(i, j),
                1 if lines.len() > 1 => drop(lines.remove(i)),
                2 => lines.insert(j, lines[i].clone()),
                3 => lines[i] = with(&format!("{} {}", words[k], words[k])),
                4 => lines[i] = with(""),
                5 => lines[i] = with(["1000000000000000000", "-9223372036854775808", "%4294967295", "1e999"][j % 4]),
                6 => lines[i] = with(&format!("[{}]", vec!["1000000000000000000"; j * 40].join(", "))),
                _ => lines[i] = with(&["(", "min(", "[", "-", "nan("][j % 5].repeat(5000)),
            }
        }
        lines.join("\n")
    })
}

/// A text damaged at some places.
fn damaged() -> impl Strategy<Value = String> {
    let text = every_kind_saved();
    let length = text.chars().count();
    let pieces = prop::sample::select(vec![
        "%",
        "0",
        "-",
        "[",
        "]",
        "(",
        "nan(",
        "\"",
        "\\",
        "\n",
        ",",
        "//",
        "9999999999999999999",
        " ",
        "é",
        ":",
        "min(",
        "loop",
        "return",
        "f64",
        "\u{0}",
        "*",
        "1",
        "",
        "stored",
        "shared",
        "as \"a\"",
        "crc32=",
        "arrays",
    ]);
    prop::collection::vec((0..length, 0_usize..4, pieces), 1..6).prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, removed, piece) in edits {
            let at = at.min(chars.len());
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn damaged_texts_never_panic(text in prop_oneof![damaged(), shuffled()]) {
        if let Ok(document) = parse_document(&text, &fetch_zeros) {
            let printed = print(&document.graph);
            prop_assert_eq!(print(&parse(&printed).unwrap().0), printed);
        }
    }

    #[test]
    fn noise_never_panics(noise in "\\PC*") {
        prop_assert!(parse(&noise).is_err());
        let started = format!("kroton 1\n{noise}");
        prop_assert!(parse(&started).is_err());
    }

    #[test]
    fn names_and_values_come_back(name in ".*", bits in any::<u64>()) {
        let mut graph = Graph::new();
        let (a, ..) = input(&mut graph, &name, DType::F64, 0);
        let wide = add(&mut graph, Node::Scalar(Scalar::from_bits(DType::F64, bits)));
        let narrow = add(&mut graph, Node::Scalar(Scalar::from_bits(DType::F32, bits)));
        (graph.inputs, graph.outputs) = (vec![a], vec![wide, narrow]);
        let (again, _) = parse(&print(&graph)).unwrap();
        prop_assert_eq!(again.node(again.outputs[0]), graph.node(wide));
        prop_assert_eq!(again.node(again.outputs[1]), graph.node(narrow));
        let Node::Input(input) = again.node(again.inputs[0]) else { panic!("not an input") };
        prop_assert_eq!(&input.name, &name);
    }
}
