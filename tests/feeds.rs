//! Arguments by name, and parts of the outputs by name.

use kroton::{Arg, Compiler, Device, Error, Result, compile, scalar, shared, vector};

fn argument_error<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Argument(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arguments_come_by_name_in_any_order() {
    let (x, y, k) = (vector::<f64>("x"), vector::<f64>("y"), scalar::<i64>("k"));
    let f = Compiler::new().name("mix").compile([&x, &y, &k], &x - &y * &k).unwrap();
    let (xs, ys) = ([10.0, 20.0], vec![1.0, 2.0]);
    let expected = [7.0, 14.0];
    let feeds = [("x", Arg::from(&xs)), ("y", Arg::from(&ys)), ("k", Arg::from(3))];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let y: Vec<f64> = f.call_named(order.map(|index| feeds[index])).unwrap();
        assert_eq!(y, expected);
    }
    let call = |feeds: &[(&str, Arg<'_>)]| argument_error(f.call_named::<Vec<f64>>(feeds.iter().copied()));
    assert_eq!(call(&feeds[..2]), "`mix`: the input \"k\" is missing; its inputs are x, y, k");
    let unknown = [feeds[0], ("z", feeds[1].1)];
    assert_eq!(call(&unknown), "`mix`: there is no input \"z\"; its inputs are x, y, k");
    assert!(call(&[feeds[0], feeds[0]]).contains("\"x\" is given twice"));
    assert!(call(&[feeds[1], feeds[2], ("x", Arg::from(1.0))]).contains("argument 0 (`x`)"));
    let none = compile([], kroton::constant(2.0)).unwrap();
    assert_eq!(none.call_named::<f64>([]).unwrap(), 2.0);
    let text = argument_error(none.call_named::<f64>([("x", Arg::from(1.0))]));
    assert!(text.ends_with("it has no inputs"), "{text}");
}

#[test]
fn inputs_of_one_name_are_refused() {
    let (a, b, c) = (scalar::<f64>("x"), scalar::<f64>("x"), scalar::<f64>("c"));
    let f = compile([&a, &b, &c], &a - &b + &c).unwrap();
    let (one, other) = (("x", Arg::from(1.0)), ("c", Arg::from(2.0)));
    for feeds in [vec![one, other], vec![other]] {
        let text = argument_error(f.call_named::<f64>(feeds));
        assert!(text.contains("several inputs have the name \"x\"") && text.contains("use `call`"), "{text}");
    }
}

#[test]
fn parts_take_what_they_need_and_update_nothing() {
    for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
        let (x, y, n) = (vector::<f64>("x"), vector::<f64>("y"), shared("n", 0_i64));
        let outputs = (x.sum(..), &x + &y, n.clone());
        let settings = Compiler::new().device(device).output_names(["sum", "both", "calls"]);
        let f = settings.updates([(&n, &n + 1)]).compile([&x, &y], outputs).unwrap();
        assert_eq!(
            f.signature(),
            "function(x: f64[?], y: f64[?]) -> (sum: f64[], both: f64[?], calls: i64[]) updates n"
        );
        f.call::<(f64, Vec<f64>, i64)>((&[1.0], &[2.0])).unwrap();
        let sum = f.fetch(["sum"]).unwrap();
        assert_eq!(sum.signature(), "function(x: f64[?]) -> (sum: f64[])");
        assert_eq!(sum.call::<f64>((&[1.0, 2.0],)).unwrap(), 3.0);
        let swapped = f.fetch(["calls", "both"]).unwrap();
        for _ in 0..3 {
            let (calls, both): (i64, Vec<f64>) = swapped.call((&[1.0], &[2.0])).unwrap();
            assert_eq!((calls, both), (1, vec![3.0]), "{device:?}");
        }
        assert_eq!(n.get::<i64>().unwrap(), 1);
        assert_eq!(f.fetch(["both", "sum"]).unwrap().fetch(["sum"]).unwrap().call::<f64>((&[4.0],)).unwrap(), 4.0);
        let text = argument_error(f.fetch(["loss"]));
        assert_eq!(text, "there is no output \"loss\"; the outputs are sum, both, calls");
        assert!(argument_error(f.fetch(["sum", "sum"])).contains("\"sum\" is asked for twice"));
        assert_eq!(f.fetch([]).unwrap().call::<()>(()).ok(), Some(()));
    }
}

#[test]
fn names_of_outputs_must_fit() {
    let x = vector::<f64>("x");
    let text = argument_error(compile([&x], x.sum(..)).unwrap().fetch(["sum"]));
    assert!(text.contains("have no names") && text.contains("output_names"), "{text}");
    let text = argument_error(Compiler::new().output_names(["a"]).compile([&x], (x.sum(..), x.max(..))));
    assert!(text.contains("gives 1 names; the function has 2 outputs"), "{text}");
    let text = argument_error(Compiler::new().output_names(["a", "a"]).compile([&x], (x.sum(..), x.max(..))));
    assert!(text.contains("\"a\" twice"), "{text}");
}
