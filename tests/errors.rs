//! Bad input: each mistake is an `Error` whose text names the culprit, and nothing is written or run before it.

use kroton::{
    Array, Compiler, DType, Device, Error, Expr, Function, OnUnused, compile, constant, matrix, s, scalar, vector,
};
use ndarray::array;

const DEVICES: [Device; 3] = [Device::Interpreter, Device::Loops, Device::Cpu];

/// Asserts that a result is an error whose text has all these parts.
#[track_caller]
fn says<T>(result: kroton::Result<T>, parts: &[&str]) -> Error {
    let Err(error) = result else { panic!("no error; expected one that says {parts:?}") };
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert!(!matches!(error, Error::Internal(_)), "{text}");
    error
}

/// Calls in a way that must fail, and asserts that the output was not touched.
#[track_caller]
fn refuses<'a>(f: &Function, arguments: impl kroton::Args<'a>, length: usize, parts: &[&str]) {
    let mut out = vec![77.0; length];
    says(f.call_into(arguments, (&mut out,)), parts);
    assert!(out.iter().all(|&x| x == 77.0), "the output was written before the error");
}

fn on(device: Device) -> Compiler {
    Compiler::new().device(device)
}

#[test]
fn wrong_arguments_name_what_was_expected_and_what_came() {
    let (x, n) = (vector::<f64>("speed"), scalar::<i64>("count"));
    for device in DEVICES {
        let f = on(device).compile([&x, &n], &x * &n).unwrap();
        refuses(&f, (&[1.0_f32, 2.0], 1), 2, &["speed", "f64", "f32"]);
        refuses(&f, (&array![[1.0], [2.0]], 1), 2, &["speed", "rank 1", "rank 2"]);
        refuses(&f, (1.0, 1), 2, &["speed", "rank 1", "1"]);
        refuses(&f, (&[1.0, 2.0], 1.5), 2, &["count", "i64", "1.5"]);
        refuses(&f, (&[1.0, 2.0], &[1_i64]), 2, &["count", "rank 0", "rank 1"]);
        refuses(&f, (&[1.0, 2.0],), 2, &["2 arguments", "1"]);
        refuses(&f, (), 2, &["2 arguments", "speed", "count"]);
        refuses(&f, (&[1.0, 2.0], 1, 1), 2, &["2 arguments", "3"]);
    }
}

#[test]
fn unequal_sizes_name_both_inputs_and_sizes() {
    let (a, b) = (vector::<f64>("left"), vector::<f64>("right"));
    for device in DEVICES {
        let f = on(device).compile([&a, &b], &a + &b).unwrap();
        refuses(&f, (&[1.0, 2.0], &[1.0, 2.0, 3.0]), 2, &["left", "right", "2", "3", "errors.rs"]);
        // An open size of 1 does not broadcast, and the text says how to declare one that does.
        refuses(&f, (&[1.0, 2.0], &[1.0]), 2, &["left", "right", "Some(1)"]);
    }
}

#[test]
fn declared_sizes_are_checked() {
    let x = kroton::input("img", DType::F64, [None, Some(3)]);
    for device in DEVICES {
        let f = on(device).compile([&x], x.sum(1)).unwrap();
        refuses(&f, (&array![[1.0, 2.0]],), 1, &["img", "axis 1", "2", "3"]);
    }
}

#[test]
fn inputs_of_compile_are_checked() {
    let (x, y) = (vector::<f64>("speed"), vector::<f64>("height"));
    for device in DEVICES {
        says(on(device).compile([&x, &x], &x + 1.0), &["speed", "twice"]);
        says(on(device).compile([&(&x + &y)], &x + &y), &["not an input"]);
        says(on(device).compile([&x], &x + &y), &["height", "not among the inputs"]);
        says(on(device).compile([&x, &y], &x + 1.0), &["height", "no output uses", "Ignore"]);
    }
    says(Compiler::new().givens([(&x, &matrix::<f64>("m"))]).compile([&y], &x + &y), &["f64", "rank"]);
}

#[test]
fn empty_extremes_say_empty() {
    let x = vector::<f64>("x");
    let none: [f64; 0] = [];
    for device in DEVICES {
        for (name, y) in [("max", x.max(..)), ("min", x.min(..)), ("argmax", x.argmax(..)), ("argmin", x.argmin(..))] {
            let f = on(device).compile([&x], y.cast::<f64>()).unwrap();
            says(f.call::<f64>((&none,)), &["empty", name]);
        }
        let f = on(device).compile([&x], (x.sum(..), x.prod(..), x.gt(0.0).all(..), x.gt(0.0).any(..))).unwrap();
        let results: (f64, f64, bool, bool) = f.call((&none,)).unwrap();
        assert_eq!(results, (0.0, 1.0, true, false));
        // Empty along the reduced axis, but nothing to compute: no result is asked for.
        let m = matrix::<f64>("m");
        let f = on(device).compile([&m], m.sum(1)).unwrap();
        let sums: Vec<f64> = f.call((&ndarray::Array2::<f64>::zeros((3, 0)),)).unwrap();
        assert_eq!(sums, [0.0; 3]);
    }
    says(compile([], constant(&none[..]).max(..)), &["empty", "max"]);
}

#[test]
fn ill_typed_expressions_carry_the_users_line() {
    let (x, m) = (kroton::input("x", DType::F64, [Some(2)]), kroton::input("m", DType::F64, [Some(3)]));
    let (wrong, line) = (&x + &m, line!());
    let poisoned = (wrong.exp() * 2.0).sum(..);
    let error = says(compile([&x, &m], poisoned), &["[2]", "[3]", &format!("{}:{line}", file!())]);
    assert!(matches!(error, Error::Build { .. }), "{error:?}");

    let v = vector::<f64>("v");
    type Mistake = (fn(&Expr) -> Expr, &'static [&'static str]);
    let mistakes: [Mistake; 12] = [
        (|v| v.sum(1), &["axis", "1"]),
        (|v| v.sum([0, 0]), &["0"]),
        (|v| v.permute([1, 0]), &["axis 1"]),
        (|v| v.reshape([-1, -1]), &["-1"]),
        (|v| v.expand_dims(5), &["5"]),
        (|v| v.squeeze(0), &["1"]),
        (|v| v.matmul(kroton::tensor::<f64>("t", 3)), &["rank"]),
        (|v| v & 1, &["f64"]),
        (|v| v.select(1.0, 2.0), &["bool"]),
        (|v| v.shape(3), &["3"]),
        (|v| kroton::concat([v, &matrix::<f64>("m")], 0), &["rank"]),
        (|v| -v.lt(1.0), &["bool"]),
    ];
    for (mistake, parts) in mistakes {
        says(compile([&v], mistake(&v)), &[parts, &["errors.rs"]].concat());
    }
}

#[test]
fn literals_that_do_not_fit_are_refused() {
    let n = vector::<u8>("n");
    says(compile([&n], &n + 300), &["300", "u8", "errors.rs"]);
    says(compile([&n], &n + -1), &["-1", "u8"]);
    let i = vector::<i8>("i");
    says(compile([&i], i.maximum(128)), &["128", "i8"]);
}

#[test]
fn outputs_that_do_not_fit_are_refused() {
    let x = vector::<f64>("x");
    let xs = [1.0, 2.0];
    for device in DEVICES {
        let f = on(device).compile([&x], &x * 2.0).unwrap();
        refuses(&f, (&xs,), 3, &["[2]", "[3]"]);
        let mut narrow = [7.0_f32; 2];
        says(f.call_into((&xs,), (&mut narrow,)), &["f64", "f32"]);
        let mut matrix = array![[7.0], [7.0]];
        says(f.call_into((&xs,), (&mut matrix,)), &["[2]", "[2, 1]"]);
        assert_eq!((narrow, matrix), ([7.0; 2], array![[7.0], [7.0]]));
        says(f.call_into((&xs,), ()), &["output"]);
        says(f.call::<f64>((&xs,)), &["f64 of rank 1", "rank 0"]);
        says(f.call::<Vec<i64>>((&xs,)), &["f64", "i64"]);
        says(f.call::<(Vec<f64>, f64)>((&xs,)), &["1 output", "2"]);
        says(f.call::<()>((&xs,)), &["output"]);
    }
}

#[test]
fn sizes_that_overflow_are_refused() {
    let (n, m) = (scalar::<i64>("n"), scalar::<i64>("m"));
    for device in DEVICES {
        let f = on(device).compile([&n, &m], kroton::zeros::<f64>((&n, &m))).unwrap();
        assert!(f.call::<Array>((1_i64 << 40, 1_i64 << 40)).is_err());
        says(f.call::<Array>((-1, 2)), &["-1"]);
        assert_eq!(f.call::<Array>((2, 3)).unwrap().shape(), [2, 3]);
        let squared = on(device).compile([&n], kroton::arange(&n * &n * &n)).unwrap();
        assert!(squared.call::<Array>((1_i64 << 30,)).is_err());
    }
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let n = scalar::<i64>("n");
    let x = scalar::<f64>("x");
    for device in DEVICES {
        let f = on(device).compile([&x, &n], x.broadcast_to([&n])).unwrap();
        for call in [
            f.call::<Array>((1.0, 1_i64 << 45)).map(|_| ()),
            f.call::<Vec<f64>>((1.0, 1_i64 << 45)).map(|_| ()),
            f.call::<ndarray::Array1<f64>>((1.0, 1_i64 << 45)).map(|_| ()),
        ] {
            let error = says(call, &["memory", "bytes"]);
            assert!(matches!(error, Error::Memory(_)), "{error:?}");
        }
        assert_eq!(f.call::<Vec<f64>>((1.0, 2)).unwrap(), [1.0, 1.0]);
    }
}

#[test]
fn slices_out_of_bounds_are_refused() {
    let x = vector::<f64>("x");
    for device in DEVICES {
        for y in [x.slice(s![2..5]), x.slice(s![5]), x.slice(s![-5..]), x.slice_axis(0, 0, 5, 2)] {
            let f = on(device).compile([&x], y.sum(..)).unwrap();
            let mut out = 77.0;
            says(f.call_into((&[1.0, 2.0, 3.0, 4.0],), (&mut out,)), &["slice", "4"]);
            assert_eq!(out, 77.0);
        }
    }
    let fixed = kroton::input("x", DType::F64, [Some(4)]);
    says(compile([&fixed], fixed.slice(s![2..5])), &["slice", "4", "errors.rs"]);
    says(compile([&x], x.slice(s![.., 0])), &["slice"]);
}

#[test]
fn unknown_rules_are_refused() {
    let x = vector::<f64>("x");
    says(Compiler::new().exclude("no_such_rule").compile([&x], &x + 1.0), &["no_such_rule", "log1p"]);
    Compiler::new().exclude("log1p").compile([&x], (&x + 1.0).ln()).unwrap();
    says(Compiler::new().threads(0).compile([&x], &x + 1.0), &["threads"]);
}

#[test]
fn hostile_texts_are_parse_errors() {
    for text in ["", "kroton 2\n", "kroton 1\n%0 = ?", "kroton 1\n%0 = input \"x\" f65[?]\nreturn %0", "\u{0}\u{7f}"] {
        let error = says(kroton::from_text(text), &["line"]);
        assert!(matches!(error, Error::Parse { .. }), "{error:?}");
    }
}

/// A failed call leaves a function as good as new.
#[test]
fn functions_survive_errors() {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    let f = Compiler::new().on_unused_input(OnUnused::Ignore).compile([&a, &b], &a + &b).unwrap();
    for _ in 0..3 {
        assert!(f.call::<Vec<f64>>((&[1.0], &[1.0, 2.0])).is_err());
        assert_eq!(f.call::<Vec<f64>>((&[1.0], &[2.0])).unwrap(), [3.0]);
    }
}

#[test]
fn a_cast_that_could_wrap_is_no_size() {
    let n = kroton::scalar::<i64>("n");
    let error = kroton::compile([&n], kroton::arange(n.cast::<u8>())).unwrap_err().to_string();
    assert!(error.contains("is not a size"), "{error}");
    let small = kroton::scalar::<i32>("small");
    let f = kroton::compile([&small], kroton::arange(small.cast::<i64>()).sum(..)).unwrap();
    assert_eq!(f.call::<i64>((4,)).unwrap(), 6);
}
