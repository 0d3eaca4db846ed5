//! The shader library: the functions that kernels call, of which a kernel includes those that it reaches.
//!
//! The files under `shaders/` hold nothing but functions, constants and structures at the top level. A kernel's text
//! names what it needs; what that needs follows. Items come in the order of the files, so a text is always the same.
//! A kernel itself supplies `hidden_zero`, a zero that no compiler knows.

use std::sync::OnceLock;

use rustc_hash::{FxHashMap, FxHashSet};

/// For which devices a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// All.
    Always,
    /// Those with 64-bit integers.
    NativeI64,
    /// Those without.
    PairsOfWords,
    /// Those with f64 (and then 64-bit integers).
    F64,
}

macro_rules! files {
    ($($name:literal $availability:ident,)*) => {
        /// Name, availability and text of every file.
        pub const FILES: &[(&str, Availability, &str)] =
            &[$(($name, Availability::$availability, include_str!(concat!("../../../../shaders/", $name)))),*];
    };
}
files! {
    "casts.wgsl" Always,
    "casts_f64.wgsl" F64,
    "casts_native.wgsl" NativeI64,
    "casts_pairs.wgsl" PairsOfWords,
    "f32_basic.wgsl" Always,
    "f32_exponential.wgsl" Always,
    "f32_hyperbolic.wgsl" Always,
    "f32_logarithm.wgsl" Always,
    "f32_pair.wgsl" Always,
    "f32_power.wgsl" Always,
    "f32_special.wgsl" Always,
    "f32_trigonometric.wgsl" Always,
    "f64_arithmetic.wgsl" F64,
    "f64_core.wgsl" F64,
    "f64_digamma.wgsl" F64,
    "f64_erf.wgsl" F64,
    "f64_exp.wgsl" F64,
    "f64_gamma.wgsl" F64,
    "f64_hyperbolic.wgsl" F64,
    "f64_inverse_trig.wgsl" F64,
    "f64_log.wgsl" F64,
    "f64_pair.wgsl" F64,
    "f64_power.wgsl" F64,
    "f64_trig.wgsl" F64,
    "int64_native.wgsl" NativeI64,
    "int64_pairs.wgsl" PairsOfWords,
    "integer.wgsl" Always,
    "random.wgsl" Always,
    "random_f64.wgsl" F64,
    "random_native.wgsl" NativeI64,
    "random_pairs.wgsl" PairsOfWords,
    "subgroup.wgsl" Always,
    "words64.wgsl" NativeI64,
    "words_f64.wgsl" F64,
}

/// The items that a device of some kind may call.
#[derive(Debug)]
pub struct Library {
    items: Vec<Item>,
    by_name: FxHashMap<&'static str, usize>,
}

#[derive(Debug)]
struct Item {
    name: &'static str,
    text: &'static str,
}

/// The library for devices with or without 64-bit integers and f64.
pub fn library(has_i64: bool, has_f64: bool) -> &'static Library {
    static LIBRARIES: [OnceLock<Library>; 3] = [const { OnceLock::new() }; 3];
    let kind = usize::from(has_i64) + usize::from(has_i64 && has_f64);
    LIBRARIES[kind].get_or_init(|| {
        Library::of(|availability| match availability {
            Availability::Always => true,
            Availability::NativeI64 => has_i64,
            Availability::PairsOfWords => !has_i64,
            Availability::F64 => has_i64 && has_f64,
        })
    })
}

impl Item {
    fn is_constant(&self) -> bool {
        self.text.starts_with("const ")
    }
}

impl Library {
    fn of(available: impl Fn(Availability) -> bool) -> Library {
        let files = FILES.iter().filter(|(_, availability, _)| available(*availability));
        let items: Vec<Item> = files.flat_map(|(_, _, text)| split(text)).collect();
        let by_name = items.iter().enumerate().map(|(index, item)| (item.name, index)).collect();
        Library { items, by_name }
    }

    /// Whether there is an item of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The names of the items that a file declares, in order.
    #[cfg(test)]
    pub fn names_in(&self, file: &'static str) -> Vec<&'static str> {
        split(file).into_iter().map(|item| item.name).collect()
    }

    /// How many of the names in a text are functions with loops of their own, or that reach some.
    pub fn loops_in(&self, text: &str) -> u64 {
        let has_loop = |name: &&str| {
            let reached = self.reached_by(name);
            identifiers(&reached).any(|word| word == "for" || word == "while" || word == "loop")
        };
        identifiers(text).filter(has_loop).count() as u64
    }

    /// The text of everything that a text reaches.
    pub fn reached_by(&self, text: &str) -> String {
        let mut reached: FxHashSet<usize> = FxHashSet::default();
        let mut texts = vec![text];
        while let Some(text) = texts.pop() {
            for item in identifiers(text).filter_map(|name| self.by_name.get(name)) {
                if reached.insert(*item) {
                    texts.push(self.items[*item].text);
                }
            }
        }
        let mut reached: Vec<usize> = reached.into_iter().collect();
        reached.sort_unstable();
        let is_constant = |item: usize| self.items[item].is_constant();
        let mut text = String::new();
        for (place, &item) in reached.iter().enumerate() {
            let is_run = is_constant(item) && reached.get(place + 1).is_some_and(|&next| is_constant(next));
            text.push_str(self.items[item].text);
            text.push_str(if is_run { "\n" } else { "\n\n" });
        }
        text
    }
}

/// The words of a text that are no part of a number or a comment.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words = code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// The items of a file, with the comments right before them.
fn split(file: &'static str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut rest = file;
    while let Some(start) = item_start(rest) {
        rest = &rest[start..];
        let end = item_end(rest);
        // A comment on the item's last line is its own.
        let line = &rest[end..end + rest[end..].find('\n').unwrap_or(rest.len() - end)];
        let end = if line.trim_start().starts_with("//") { end + line.len() } else { end };
        let text = rest[..end].trim_end();
        let name = identifiers(text).nth(1).unwrap_or_default();
        items.push(Item { name, text });
        rest = &rest[end..];
    }
    items
}

/// Where the next line begins that is neither empty nor a comment, or the comment that it follows without a gap.
fn item_start(text: &str) -> Option<usize> {
    let (mut next, mut comment) = (0, None);
    for line in text.split_inclusive('\n') {
        let start = next;
        next += line.len();
        if line.trim_start().starts_with("//") {
            comment = comment.or(Some(start));
        } else if line.trim().is_empty() {
            comment = None;
        } else {
            return Some(comment.unwrap_or(start));
        }
    }
    None
}

/// Where an item ends: after the brace that closes its body, or after its semicolon.
fn item_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut in_comment = false;
    for (index, c) in text.char_indices() {
        match c {
            '\n' => in_comment = false,
            '/' if text[index..].starts_with("//") => in_comment = true,
            _ if in_comment => {}
            '{' => depth += 1,
            '}' if depth <= 1 => return index + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_split_into_items_with_their_names() {
        let items = split(
            "// head\n\n// one\nconst A: u32 = 1u; // a\nfn f(x: u32) -> u32 {\n    if (x > A) { return 1u; } // }\n    return A;\n}\nstruct S { x: u32 }\n",
        );
        let names: Vec<&str> = items.iter().map(|item| item.name).collect();
        assert_eq!(names, ["A", "f", "S"]);
        assert!(items[0].text.starts_with("// one") && items[0].text.ends_with("; // a"));
        assert!(items[1].text.starts_with("fn f") && items[1].text.ends_with('}'));
    }

    #[test]
    fn a_text_includes_what_it_reaches_and_nothing_else() {
        let library = library(true, true);
        let text = library.reached_by("let x = keep_f32(1.0); // shuffle_down_u32");
        assert!(text.contains("fn keep_f32") && !text.contains("shuffle_down_u32"), "{text}");
        assert!(library.reached_by("let x = 1u;").is_empty());
    }

    #[test]
    fn every_file_is_listed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let there = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let listed: Vec<&str> = FILES.iter().map(|(name, _, _)| *name).collect();
        let missing: Vec<String> = there.filter(|name| !listed.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "not in the library: {missing:?}");
    }

    #[test]
    fn names_are_unique_for_every_kind_of_device() {
        for (has_i64, has_f64) in [(false, false), (true, false), (true, true)] {
            let library = library(has_i64, has_f64);
            let mut seen = FxHashSet::default();
            let twice: Vec<&str> =
                library.items.iter().map(|item| item.name).filter(|name| !seen.insert(*name)).collect();
            assert!(twice.is_empty(), "declared twice: {twice:?}");
        }
    }
}
