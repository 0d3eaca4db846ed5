//! Graphs saved in files and loaded: what comes back, how an older file is replaced, and what damaged files say.
//!
//! `KROTON_CASES=20000 cargo test --test saved` damages more files.
#![cfg(feature = "files")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use common::Random;
use kroton::{
    Array, Compiler, DType, Error, Expr, Scalar, compile, constant, load, save, scalar, shared, shared_with_dims,
    vector,
};
use ndarray::{Array2, array};

/// A folder for the files of one test, which goes with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The file of arrays that was written with `model`.
    fn arrays(&self) -> PathBuf {
        self.path(self.names().iter().find(|name| name.ends_with(".safetensors")).unwrap())
    }
}

fn says<T>(result: Result<T, Error>, parts: &[&str]) -> Error {
    let error = result.err().unwrap_or_else(|| panic!("no error that says {parts:?}"));
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}\ndoes not say {parts:?}");
    error
}

/// A long constant of each dtype.
fn long(dtype: DType) -> Array {
    let mut values = Array::zeros(DType::F64, &[13, 9]).unwrap();
    for (i, value) in values.as_mut_slice::<f64>().unwrap().iter_mut().enumerate() {
        *value = (i as f64 * 0.75 - 20.0) * if i % 5 == 0 { -1.0 } else { 1.0 };
    }
    let f = compile([], constant(&values).cast_to(dtype)).unwrap();
    f.call(()).unwrap()
}

#[test]
fn graphs_come_back_with_their_names() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let (x, rate) = (vector::<f64>("x"), scalar::<f64>("rate"));
    let loss = (x.square() * &rate).sum(..);
    let slope = kroton::grad(&loss, [&x])?.remove(0);
    save(&path, [&x, &rate], [("loss", &loss), ("slope of \"loss\"\n", &slope)])?;
    assert_eq!(folder.names(), ["model.kroton"], "no file for no arrays");
    let saved = load(&path)?;
    assert_eq!(saved.output_names(), ["loss", "slope of \"loss\"\n"]);
    assert_eq!((saved.inputs().len(), saved.outputs().len(), saved.variables().len()), (2, 2, 0));
    assert_eq!(saved.input("rate")?.to_string(), "rate");
    let f = Compiler::new().output_names(saved.output_names()).compile(saved.inputs(), saved.outputs())?;
    assert_eq!(f.fetch(["loss"])?.call::<f64>((&[1.0, 2.0], 0.5))?, 2.5);
    let slope = compile(saved.inputs(), saved.output("slope of \"loss\"\n")?)?;
    assert_eq!(slope.call::<Vec<f64>>((&[1.0, 2.0], 0.5))?, [1.0, 2.0]);
    says(saved.output("los"), &["model.kroton has no output \"los\"; it has \"loss\", \"slope of"]);
    says(saved.input("y"), &["no input \"y\"; it has \"x\", \"rate\""]);
    says(saved.variable("w"), &["no shared variable \"w\"; it has none"]);
    // Inputs may share a name; then only their places tell them apart.
    let other = vector::<f64>("x");
    save(&path, [&x, &other], [("sum", &x + &other)])?;
    says(load(&path)?.input("x"), &["2 inputs named \"x\"; take them by their places"]);
    says(save(&path, [&x], [("a", &x), ("a", &x)]), &["two outputs are named \"a\""]);
    // Nothing at all is a graph too.
    save(&path, (), Vec::<(String, Expr)>::new())?;
    assert!(load(&path)?.outputs().is_empty());
    Ok(())
}

#[test]
fn long_constants_of_every_dtype_are_stored_beside_the_text() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let arrays: Vec<Array> = DType::ALL.into_iter().map(long).collect();
    let outputs = arrays.iter().map(|array| (array.dtype().name(), constant(array)));
    let short = [("short", constant([1.5, -0.0])), ("empty", constant(Array::zeros(DType::U8, &[0, 9])?))];
    save(&path, (), outputs.chain(short))?;
    let text = fs::read_to_string(&path).unwrap();
    let name = folder.arrays().file_name().unwrap().to_str().unwrap().to_string();
    assert!(
        text.starts_with(&format!("kroton 1\narrays \"{name}\"\n%0 = constant [13, 9] stored \"%0\" crc32=")),
        "{text}"
    );
    assert!(text.contains(" = constant [2] [1.5, -0.0] : f64[2]\n"), "{text}");
    let saved = load(&path)?;
    for array in &arrays {
        let f = compile([], saved.output(array.dtype().name())?)?;
        assert_eq!(common::scalars(&f.call::<Array>(())?), common::scalars(array), "{:?}", array.dtype());
    }
    // Equal arrays are one constant, and NaNs keep their bits.
    let mut odd = Array::zeros(DType::F64, &[100])?;
    odd.as_mut_slice::<f64>()?[7] = f64::from_bits(0x7ff8_0000_0000_0123);
    save(&path, (), [("a", constant(&odd)), ("b", constant(odd.clone()))])?;
    let saved = load(&path)?;
    let got: Array = compile([], saved.output("b")?)?.call(())?;
    assert_eq!(got.as_slice::<f64>()?[7].to_bits(), 0x7ff8_0000_0000_0123);
    assert_eq!(fs::metadata(folder.arrays()).unwrap().len() / 800, 1);
    Ok(())
}

#[test]
fn shared_variables_keep_their_values_and_their_declared_sizes() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let x = kroton::matrix::<f64>("x");
    let bias = shared_with_dims("bias", array![[0.5, 1.0]], [Some(1), None]);
    let weights = shared("weights", Array2::from_shape_fn((2, 50), |(i, j)| (i * 50 + j) as f64));
    let count = shared("count", 7_i64);
    let line = x.matmul(&weights).sum_keepdims(1) + &bias;
    let next = &count + 1;
    save(&path, [&x], [("line", &line), ("next", &next)])?;
    let step = Compiler::new().updates([(&count, &next)]).compile([], &next)?;
    let saved = load(&path)?;
    step.call::<i64>(())?;
    let names: Vec<&str> = saved.variables().iter().map(|variable| variable.name()).collect();
    assert_eq!(names, ["bias", "weights", "count"], "in the order of their making");
    let f = compile(saved.inputs(), saved.output("line")?)?;
    assert_eq!(f.call::<Array2<f64>>((&array![[1.0, 1.0]],))?, array![[4950.5, 4951.0]]);
    assert_eq!(count.get::<i64>()?, 8);
    assert_eq!(saved.variable("count")?.get::<i64>()?, 7, "the value when it was saved");
    // What is loaded is trained on, and the variable that was saved does not change.
    let again = Compiler::new().updates([(saved.variable("count")?, saved.output("next")?)]).compile([], ())?;
    again.call::<()>(())?;
    assert_eq!((saved.variable("count")?.get::<i64>()?, count.get::<i64>()?), (8, 8));
    says(saved.variable("bias")?.set(array![[1.0], [2.0]]), &["`bias`", "axis 0", "declared as 1"]);
    // A variable of which only a size is used.
    save(&path, (), [("columns", weights.shape(1))])?;
    let saved = load(&path)?;
    saved.variable("weights")?.set(Array2::<f64>::zeros((3, 4)))?;
    assert_eq!(compile([], saved.output("columns")?)?.call::<i64>(())?, 4);
    Ok(())
}

#[test]
fn an_older_file_is_replaced_in_one_step() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let model = |factor: f64| [("y", constant(long(DType::F64)) * constant(factor))];
    save(&path, (), model(1.0))?;
    let first = folder.names();
    save(&path, (), model(2.0))?;
    let second = folder.names();
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_ne!(first, second, "the arrays are under a name that belongs to the text");
    let before = fs::read(&path).unwrap();
    // What fails leaves everything as it was: a graph that is none, a folder that is none, a target that is a folder.
    let x = vector::<f64>("x");
    says(save(&path, (), [("y", &x)]), &["\"x\""]);
    says(save(folder.path("none/model"), (), model(3.0)), &["cannot write", "none/model"]);
    fs::create_dir(folder.path("folder")).unwrap();
    assert!(matches!(save(folder.path("folder"), (), [("y", constant(1.0))]), Err(Error::File(_))));
    fs::remove_dir(folder.path("folder")).unwrap();
    assert_eq!((fs::read(&path).unwrap(), folder.names()), (before, second));
    // A graph without arrays needs no second file, and another file of that kind is not touched.
    fs::write(folder.path("mine.safetensors"), "mine").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    save(&path, (), [("y", constant(1.0))])?;
    assert_eq!(folder.names(), ["mine.safetensors", "model.kroton"]);
    let foreign = text.lines().nth(1).unwrap();
    fs::write(&path, text.replace(foreign, "arrays \"mine.safetensors\"")).unwrap();
    save(&path, (), [("y", constant(1.0))])?;
    assert_eq!(folder.names(), ["mine.safetensors", "model.kroton"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::write(folder.path("usual"), "").unwrap();
        let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode("model.kroton"), mode("usual"), "readable as files are");
    }
    Ok(())
}

#[test]
fn a_relative_path_is_fine() -> kroton::Result<()> {
    let name = format!("kroton-saved-{}.kroton", std::process::id());
    save(&name, (), [("y", constant(long(DType::F32)))])?;
    let saved = load(&name);
    for entry in fs::read_dir(".").unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(&name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    saved?.output("y").map(|_| ())
}

/// A saved graph with two long constants; its text and its file of arrays.
fn two_arrays(folder: &Folder) -> (PathBuf, PathBuf) {
    let path = folder.path("model.kroton");
    let (a, b) = (constant(long(DType::F32)), constant(long(DType::Bool)));
    save(&path, (), [("y", b.select(&a, -&a)), ("b", b)]).unwrap();
    let arrays = folder.arrays();
    (path, arrays)
}

#[test]
fn damage_is_named() {
    let folder = Folder::new();
    let (path, arrays) = two_arrays(&folder);
    let (text, bytes) = (fs::read_to_string(&path).unwrap(), fs::read(&arrays).unwrap());
    let with_text = |text: &str| {
        fs::write(&path, text).unwrap();
        load(&path)
    };
    let with_bytes = |bytes: &[u8]| {
        fs::write(&arrays, bytes).unwrap();
        load(&path)
    };
    assert!(matches!(says(load(folder.path("none")), &["cannot read", "none"]), Error::File(_)));
    assert!(matches!(
        says(with_text("kroton 2\n"), &["version 2", "reads version 1", "model.kroton"]),
        Error::Parse { .. }
    ));
    says(with_text(""), &["expected a line `return …`, found the end, in "]);
    fs::write(&path, [0xff, 0xfe]).unwrap();
    says(load(&path), &["cannot read", "UTF-8"]);
    let line = text.lines().nth(1).unwrap();
    says(with_text(&text.replace(line, "")), &["expected a line `arrays \"…\"` above"]);
    for name in ["../model", "/etc/passwd", "a/b", "..", ".", ""] {
        says(with_text(&text.replace(line, &format!("arrays \"{name}\""))), &["must be in the same folder"]);
    }
    says(with_text(&text.replace(line, "arrays \"none\"")), &["cannot read", "none"]);
    says(with_text(&text.replace(line, "arrays \"model.kroton\"")), &["no whole file of arrays"]);
    says(with_text(&text.replace("stored \"%0\"", "stored \"%9\"")), &["the array \"%9\"", "is missing"]);
    says(
        with_text(&text.replace("[13, 9] stored \"%1\"", "[9, 13] stored \"%1\"")),
        &["\"%1\"", "of shape [13, 9] in 468 bytes, not f32 of shape [9, 13]"],
    );
    let huge = text.replace("[13, 9] stored \"%1\"", "[1000000000000, 1000000000000] stored \"%1\"");
    says(with_text(&huge), &["\"%1\"", "of shape [13, 9] in"]);
    let other = text.replace(" : f32[13, 9]", " : u32[13, 9]");
    says(with_text(&other), &["is f32 of shape", "not u32"]);
    let sum = text.split("crc32=").nth(1).unwrap().split(' ').next().unwrap();
    says(with_text(&text.replace(sum, "00000000")), &["not the one that was saved"]);
    says(with_text(&text.replace(sum, "0000000")), &["expected a checksum of eight hexadecimal digits"]);
    fs::write(&path, &text).unwrap();
    says(with_bytes(&bytes[..bytes.len() - 1]), &["was cut short, or damaged", ".safetensors"]);
    says(with_bytes(&bytes[..40]), &["was cut short, or damaged"]);
    says(with_bytes(&bytes[..3]), &["it has 3 bytes"]);
    says(with_bytes(&[bytes.as_slice(), &[0]].concat()), &["was cut short, or damaged"]);
    says(with_bytes(&[&[255; 8], &bytes[8..]].concat()), &["a header of 18446744073709551615 bytes"]);
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    says(with_bytes(&changed), &["not the one that was saved: its checksum is another"]);
    fs::remove_file(&arrays).unwrap();
    says(load(&path), &["cannot read", ".safetensors"]);
    // The arrays of another graph.
    let more = Folder::new();
    let third =
        [("a", constant(long(DType::F32))), ("c", constant(long(DType::I64))), ("d", constant(long(DType::U8)))];
    save(more.path("model.kroton"), (), third).unwrap();
    says(with_bytes(&fs::read(more.arrays()).unwrap()), &["\"%"]);
    fs::write(&arrays, &bytes).unwrap();
    assert!(load(&path).is_ok());
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let x = vector::<f64>("x");
    let of_rank = |rank: usize| (1..rank).fold(x.clone(), |x, _| x.expand_dims(0));
    save(&path, [&x], [("y", of_rank(64))]).unwrap();
    let text = kroton::to_text([&x], of_rank(64)).unwrap();
    assert_eq!(kroton::from_text(&text).unwrap().1[0].rank(), 64);
    says(save(&path, [&x], [("y", of_rank(65))]), &["of 65 axes; at most 64 are read"]);
    says(save(&path, [&x], [("y", of_rank(65).sum(..))]), &["of 65 axes"]);
    says(kroton::to_text([&x], of_rank(65)), &["of 65 axes"]);
    assert_eq!(load(&path).unwrap().output("y").unwrap().rank(), 64, "the older one stays");
}

#[test]
fn an_array_that_many_lines_name_is_in_memory_once() {
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    save(&path, (), [("y", constant([0.5; 200]))]).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("%0")).unwrap();
    let definitions: String = (1..500).map(|number| line.replacen("%0", &format!("%{number}"), 1) + "\n").collect();
    let head: Vec<&str> = text.lines().take(2).collect();
    let results: Vec<String> = (1..500).map(|number| format!("%{number} as \"{number}\"")).collect();
    let many = format!("{}\n{definitions}return {}\ninputs\n", head.join("\n"), results.join(", "));
    fs::write(&path, many).unwrap();
    let saved = load(&path).unwrap();
    assert_eq!(saved.outputs().len(), 499);
    // Large constants are equal by their addresses: that all of them are one node says that they are one array.
    let graph = kroton::to_text((), saved.outputs()).unwrap();
    assert_eq!(graph.matches(" = constant ").count(), 1, "{}", &graph[..200]);
}

#[test]
fn arrays_that_nobody_uses_are_an_error() {
    let folder = Folder::new();
    let (path, _) = two_arrays(&folder);
    let text = fs::read_to_string(&path).unwrap();
    let first = text.lines().find(|line| line.starts_with("%0")).unwrap();
    let head: Vec<&str> = text.lines().take(2).collect();
    fs::write(&path, format!("{}\n{first}\nreturn %0\ninputs\n", head.join("\n"))).unwrap();
    says(load(&path), &["holds an array \"%1\" that the graph does not use"]);
}

#[test]
fn bytes_that_are_no_bools_are_refused() {
    let folder = Folder::new();
    let (path, arrays) = two_arrays(&folder);
    let mut bytes = fs::read(&arrays).unwrap();
    let header = String::from_utf8_lossy(&bytes).into_owned();
    let count = 13 * 9;
    let bools_first = header.contains("\"dtype\":\"BOOL\",\"shape\":[13,9],\"data_offsets\":[0,");
    let end = if bools_first { bytes.len() - 4 * count } else { bytes.len() };
    bytes[end - 1] = 2;
    let sum = crc32fast::hash(&bytes[end - count..end]);
    fs::write(&arrays, &bytes).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let number = text.lines().find(|line| line.ends_with(": bool[13, 9]") && line.contains("stored")).unwrap();
    let old = number.split("crc32=").nth(1).unwrap().split(' ').next().unwrap();
    fs::write(&path, text.replace(old, &format!("{sum:08x}"))).unwrap();
    says(load(&path), &["neither false nor true"]);
}

#[test]
fn texts_that_refer_to_files_are_for_load() {
    let folder = Folder::new();
    let (path, _) = two_arrays(&folder);
    let error = says(kroton::from_text(&fs::read_to_string(&path).unwrap()), &["the array \"%0\"", "`load`"]);
    assert!(matches!(error, Error::Argument(_)));
    save(&path, (), [("y", shared("w", 1.0) * 2.0)]).unwrap();
    says(kroton::from_text(&fs::read_to_string(&path).unwrap()), &["shared variable \"w\"", "`load`"]);
    // Names of outputs do no harm.
    let x = vector::<f64>("x");
    save(&path, [&x], [("y", x.exp())]).unwrap();
    assert_eq!(kroton::from_text(&fs::read_to_string(&path).unwrap()).unwrap().1[0].to_string(), "exp(x)");
}

/// Damages bytes here and there: flips, cuts, doubles, swaps and overwrites ranges.
fn damage(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len().max(1));
        let end = (at + random.below(24)).min(bytes.len());
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => bytes[at..end].reverse(),
            _ => {
                let words =
                    ["999999999999999999", "[", "{", "\"", "-1", "stored", "%0", "shared %0 = ", "\n", "NaN", "\0"];
                bytes.splice(at..end, words[random.below(words.len())].bytes());
            }
        }
    }
    bytes
}

#[test]
fn damaged_files_give_errors_or_the_graph() {
    let cases: usize = std::env::var("KROTON_CASES").map_or(600, |cases| cases.parse().unwrap());
    let folder = Folder::new();
    let path = folder.path("model.kroton");
    let weights = shared("w", long(DType::F32));
    let x = vector::<f32>("x");
    let y = (constant(long(DType::Bool)).select(&weights, 1.5_f32) * &x).sum(0);
    save(&path, [&x], [("y", &y), ("x", &x)]).unwrap();
    let (text, arrays) = (fs::read(&path).unwrap(), folder.arrays());
    let bytes = fs::read(&arrays).unwrap();
    let value = |saved: &kroton::Saved| -> Array {
        compile(saved.inputs(), saved.output("y").unwrap()).unwrap().call((&[2.0_f32; 9],)).unwrap()
    };
    let expected = value(&load(&path).unwrap());
    let (mut random, mut loaded) = (Random(5), 0);
    for case in 0..cases {
        let of_arrays = case % 2 == 0;
        fs::write(&path, if of_arrays { text.clone() } else { damage(&text, &mut random) }).unwrap();
        fs::write(&arrays, if of_arrays { damage(&bytes, &mut random) } else { bytes.clone() }).unwrap();
        match load(&path) {
            Ok(saved) if of_arrays => {
                assert_eq!(value(&saved), expected, "case {case}: the checksums let a change through");
                loaded += 1;
            }
            Ok(_) => loaded += 1,
            Err(error) => assert!(!matches!(error, Error::Internal(_)), "case {case}: {error}"),
        }
    }
    assert!(loaded < cases / 2, "{loaded} of {cases} damaged files were loaded");
}

#[test]
fn large_graphs_and_arrays() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("large");
    let x = vector::<f64>("x");
    let chain = |count: usize| (0..count).fold(x.clone(), |y, i| if i % 2 == 0 { y.sin() } else { y + 0.5 });
    let mut times = Vec::new();
    for count in [10_000, 100_000] {
        let y = chain(count);
        let start = Instant::now();
        save(&path, [&x], [("y", &y)])?;
        let saved = load(&path)?;
        times.push(start.elapsed().as_secs_f64() / count as f64);
        let again = folder.path("again");
        save(&again, saved.inputs(), [("y", saved.output("y")?)])?;
        assert!(fs::read(&path).unwrap() == fs::read(&again).unwrap(), "{count}");
    }
    assert!(times[1] < 8.0 * times[0], "seconds a node for 10,000 and 100,000: {times:?}");
    let mut values = Array::zeros(DType::F64, &[1 << 18, 50])?;
    values.as_mut_slice::<f64>()?[12_345_678] = 7.0;
    save(&path, (), [("sum", constant(&values).sum(..))])?;
    let saved = load(&path)?;
    assert_eq!(compile([], saved.output("sum")?)?.call::<f64>(())?, 7.0);
    Ok(())
}

#[test]
fn a_scalar_of_each_dtype_is_a_shared_variable() -> kroton::Result<()> {
    let folder = Folder::new();
    let path = folder.path("scalars");
    let values = DType::ALL.map(|dtype| Scalar::F64(1.0).cast(dtype));
    let all: Vec<_> = values.iter().map(|&value| shared(value.dtype().name(), Array::from_scalar(value))).collect();
    save(&path, (), all.iter().map(|variable| (variable.name().to_string(), variable)))?;
    let saved = load(&path)?;
    for value in values {
        let array: Array = saved.variable(value.dtype().name())?.get()?;
        assert_eq!((array.dtype(), array.rank(), common::scalars(&array)), (value.dtype(), 0, vec![value]));
    }
    Ok(())
}
