//! Shared variables: what they hold, how calls read and update them, alone and many at a time, on every engine.

use std::sync::Barrier;
use std::thread;

use kroton::{
    Array, Compiler, DType, Device, Error, Expr, Function, Result, Shared, arange, compile, concat, constant, matrix,
    scalar, shared, shared_with_dims, vector,
};
use ndarray::{Array1, Array2, array};

fn engines() -> Vec<Device> {
    let mut engines = vec![Device::Interpreter, Device::Loops, Device::Cpu];
    if kroton::devices().len() > 1 {
        engines.push(Device::Gpu);
    }
    engines
}

fn argument_error<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Argument(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_counter_counts_on_every_engine() {
    for device in engines() {
        let counter = shared("counter", 0_i32);
        let tick = Compiler::new().device(device).updates([(&counter, &counter + 1)]).compile([], ()).unwrap();
        for _ in 0..5 {
            tick.call::<()>(()).unwrap();
        }
        assert_eq!(counter.get::<i32>().unwrap(), 5, "{device:?}");
        assert_eq!(tick.signature(), "function() -> () updates counter");
        tick.call_into((), ()).unwrap();
        counter.set(40).unwrap();
        tick.call::<()>(()).unwrap();
        assert_eq!(counter.get::<i32>().unwrap(), 41);
    }
}

#[test]
fn new_values_are_computed_from_old_ones() {
    for device in engines() {
        let (a, b) = (shared("a", [1.0_f32, 2.0, 3.0]), shared("b", vec![10.0_f32, 20.0, 30.0]));
        let swap = Compiler::new().device(device).updates([(&a, &b + 0.0), (&b, &a + 0.0)]).compile([], ()).unwrap();
        let plain = Compiler::new().device(device).updates([(&a, &*b), (&b, &*a)]).compile([], ()).unwrap();
        for f in [&swap, &swap, &swap, &plain, &plain, &plain, &plain] {
            f.call::<()>(()).unwrap();
        }
        assert_eq!(a.get::<Vec<f32>>().unwrap(), [10.0, 20.0, 30.0], "{device:?}");
        assert_eq!(b.get::<Vec<f32>>().unwrap(), [1.0, 2.0, 3.0], "{device:?}");
    }
}

/// An update that reads its variable elsewhere than where it writes must not be made in place.
#[test]
fn updates_read_other_elements_and_other_variables() {
    for device in engines() {
        let x = shared("x", (0..40).map(|i| i as f32).collect::<Vec<_>>());
        let total = shared("total", 0.0_f32);
        let reverse = Compiler::new()
            .device(device)
            .updates([(&x, x.flip(0) + &total), (&total, &total + x.sum(..))])
            .compile([], x.slice(kroton::s![..2]))
            .unwrap();
        let mut expected: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let mut sum = 0.0;
        for _ in 0..4 {
            let first: Vec<f32> = reverse.call(()).unwrap();
            assert_eq!(first, expected[..2], "{device:?}");
            let total: f32 = expected.iter().sum();
            expected = expected.iter().rev().map(|x| x + sum).collect();
            sum += total;
        }
        assert_eq!(x.get::<Vec<f32>>().unwrap(), expected, "{device:?}");
        assert_eq!(total.get::<f32>().unwrap(), sum, "{device:?}");
    }
}

#[test]
fn all_dtypes_and_ranks_are_held() {
    fn check<T: kroton::Element + PartialEq>(values: [T; 4]) {
        let w = shared("w", Array2::from_shape_vec((2, 2), values.to_vec()).unwrap());
        assert_eq!((w.dtype(), w.rank()), (T::DTYPE, 2));
        let f = Compiler::new().updates([(&w, w.transpose())]).compile([], ()).unwrap();
        for _ in 0..3 {
            f.call::<()>(()).unwrap();
        }
        let [a, b, c, d] = values;
        assert_eq!(w.get::<Array2<T>>().unwrap(), array![[a, c], [b, d]]);
        let s = shared("s", values[1]);
        assert_eq!(s.get::<T>().unwrap(), values[1]);
    }
    check([true, false, true, true]);
    check([1_i8, -2, 3, 4]);
    check([1_u8, 2, 3, 4]);
    check([1_i32, -2, 3, 4]);
    check([1_u32, 2, 3, 4]);
    check([1_i64, -2, 3, 4]);
    check([1_u64, 2, 3, 4]);
    check([1_f32, -0.5, 3.0, f32::INFINITY]);
    check([1_f64, -0.5, 3.0, f64::INFINITY]);
    let nan = shared("nan", [f64::NAN, -0.0]);
    let values = nan.get::<Vec<f64>>().unwrap();
    assert!(values[0].is_nan() && values[1].is_sign_negative());
    let matrix = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let strided = shared("strided", matrix.t().slice_move(ndarray::s![..;-2, ..]));
    assert_eq!(strided.get::<Array2<f64>>().unwrap(), array![[3.0, 6.0], [1.0, 4.0]]);
    assert_eq!(strided.get::<Array>().unwrap().shape(), [2, 2]);
}

#[test]
fn sizes_change_where_they_are_not_declared() {
    for device in engines() {
        let log = shared("log", [0_i32; 0]);
        let item = scalar::<i32>("item");
        let push = Compiler::new()
            .device(device)
            .updates([(&log, concat([&*log, &item.reshape([1])], 0))])
            .compile([&item], log.len())
            .unwrap();
        for i in 0..6 {
            assert_eq!(push.call::<i64>((i,)).unwrap(), i64::from(i), "{device:?}");
        }
        assert_eq!(log.get::<Vec<i32>>().unwrap(), [0, 1, 2, 3, 4, 5], "{device:?}");
        log.set([7; 3]).unwrap();
        push.call::<i64>((8,)).unwrap();
        assert_eq!(log.get::<Vec<i32>>().unwrap(), [7, 7, 7, 8]);
    }
}

#[test]
fn a_variable_may_be_mentioned_by_its_size_or_value_only() {
    let (n, w) = (shared("n", 3_i64), shared("w", [1.0, 2.0]));
    let f = compile([], (arange(&*n), arange(w.len()), w.len())).unwrap();
    let call = || f.call::<(Vec<i64>, Vec<i64>, i64)>(()).unwrap();
    for _ in 0..3 {
        assert_eq!(call(), (vec![0, 1, 2], vec![0, 1], 2));
    }
    n.set(1).unwrap();
    w.set([0.0; 4]).unwrap();
    assert_eq!(call(), (vec![0], vec![0, 1, 2, 3], 4));
    let text = f.call::<(Vec<i64>, Vec<i64>, i64)>((1,)).unwrap_err().to_string();
    assert!(text.contains("takes 0 arguments (); the call passed 1"), "{text}");
}

#[test]
fn a_variable_outlives_its_handle_but_not_its_users() {
    let doubled = {
        let w = shared("w", 21.0);
        &w * 2
    };
    let f = compile([], &doubled).unwrap();
    drop(doubled);
    assert_eq!(f.call::<f64>(()).unwrap(), 42.0);
    let size = shared("gone", [1.0]).len();
    let text = argument_error(compile([], arange(&size)));
    assert!(text.contains("\"gone\", which is not among the inputs"), "{text}");
}

#[test]
fn declared_sizes_stay_and_broadcast() {
    for device in engines() {
        let bias = shared_with_dims("bias", array![[1.0_f32, 2.0]], [Some(1), None]);
        let x = matrix::<f32>("x");
        let f = Compiler::new().device(device).updates([(&bias, &bias * 2.0)]).compile([&x], &x + &bias).unwrap();
        for factor in [1.0, 2.0, 4.0, 8.0] {
            let y: Array2<f32> = f.call((&array![[0.0_f32, 0.0], [1.0, 1.0]],)).unwrap();
            assert_eq!(y, array![[factor, 2.0 * factor], [1.0 + factor, 1.0 + 2.0 * factor]], "{device:?}");
        }
        let text = argument_error(bias.set(array![[1.0_f32], [2.0]]));
        assert!(text.contains("`bias` has 2 along axis 0, which is declared as 1"), "{text}");
        let grow = Compiler::new().device(device).updates([(&bias, concat([&*bias, &*bias], 0))]);
        let text = argument_error(grow.compile([], ()));
        assert!(text.contains("axis 0 of the variable is declared as 1"), "{text}");
        let stretch = Compiler::new().device(device).updates([(&bias, &x)]).compile([&x], ()).unwrap();
        let text = argument_error(stretch.call::<()>((&Array2::<f32>::zeros((3, 2)),)));
        assert!(text.contains("`bias` has 3 along axis 0, which is declared as 1"), "{text}");
        stretch.call::<()>((&Array2::<f32>::zeros((1, 5)),)).unwrap();
        assert_eq!(bias.get::<Array2<f32>>().unwrap(), Array2::zeros((1, 5)));
    }
    let wrong = shared_with_dims("wrong", [1.0], [Some(2)]);
    assert!(wrong.get::<Vec<f64>>().is_err() && wrong.set([1.0]).is_err());
    let text = compile([], &wrong + 1).unwrap_err().to_string();
    assert!(text.contains("`wrong` has 1 along axis 0, which is declared as 2"), "{text}");
}

#[test]
fn what_does_not_fit_is_named() {
    let (w, x) = (shared("w", [1.0, 2.0]), vector::<f64>("x"));
    let compile_update = |value: Expr| argument_error(Compiler::new().updates([(&w, value)]).compile([], ()));
    let text = compile_update(w.cast::<f32>());
    assert!(text.contains("`w` is f32[?]") && text.contains("holds f64"), "{text}");
    let text = compile_update(w.sum(..));
    assert!(text.contains("`w` is f64[]") && text.contains("has rank 1"), "{text}");
    let text = argument_error(Compiler::new().updates([(&w, &w + 1), (&w, &w + 2)]).compile([], ()));
    assert!(text.contains("`w` is updated twice"), "{text}");
    let text = argument_error(compile([&*w], &w + 1));
    assert!(text.contains("`w` is a shared variable and cannot be an input"), "{text}");
    let text = argument_error(Compiler::new().updates([(&w, &w + &x)]).compile([], ()));
    assert!(text.contains("\"x\" (f64[?]) is used but is not among"), "{text}");
    assert!(Compiler::new().updates([(&w, &w & 1.5)]).compile([], ()).is_err());
    let text = argument_error(w.set([1.0_f32]));
    assert!(text.contains("`w` is f64 of rank 1; the value is f32 of rank 1"), "{text}");
    let text = argument_error(w.get::<Vec<f32>>());
    assert!(text.contains("the shared variable `w` is f64 of rank 1; the caller asked for f32"), "{text}");
    let n = shared("n", 1_u8);
    assert!(n.set(300).is_err() && n.set(1.5).is_err());
    n.set(200_i64).unwrap();
    // A bare number takes the dtype of the variable.
    let reset = Compiler::new().updates([(&n, 7)]).compile([], &n).unwrap();
    assert_eq!((reset.call::<u8>(()).unwrap(), n.get::<u8>().unwrap()), (200, 7));
    assert!(argument_error(Compiler::new().updates([(&n, 1.5)]).compile([], ())).contains("`n` is f64[]"));
}

#[test]
fn a_failing_call_changes_nothing() {
    for device in engines() {
        let (w, n) = (shared("w", [1.0_f32, 2.0]), shared("n", 0_i32));
        let x = vector::<f32>("x");
        let f = Compiler::new().device(device).updates([(&w, &w + &x), (&n, &n + 1)]).compile([&x], x.max(..)).unwrap();
        for _ in 0..4 {
            assert!(f.call::<f32>((&[1.0_f32, 2.0, 3.0],)).is_err());
            assert!(f.call::<f64>((&[1.0_f32, 2.0],)).is_err());
            assert!(f.call::<f32>(()).is_err());
            f.call::<f32>((&[0.5_f32, 0.5],)).unwrap();
        }
        assert_eq!(w.get::<Vec<f32>>().unwrap(), [3.0, 4.0], "{device:?}");
        assert_eq!(n.get::<i32>().unwrap(), 4, "{device:?}");
    }
}

#[test]
fn givens_replace_a_variable() {
    let (w, x) = (shared("w", [1.0, 2.0]), vector::<f64>("x"));
    let y = &w * 2;
    let f = Compiler::new().givens([(&w, &x)]).compile([&x], &y).unwrap();
    assert_eq!(f.signature(), "function(x: f64[?]) -> (f64[?])");
    assert_eq!(f.call::<Vec<f64>>((&[5.0],)).unwrap(), [10.0]);
    // By another variable, and by itself.
    let v = shared("v", [7.0, 8.0, 9.0]);
    let f = Compiler::new().givens([(&w, &v + 1)]).updates([(&w, &w * 10)]).compile([], w.len()).unwrap();
    assert_eq!(f.call::<i64>(()).unwrap(), 3);
    assert_eq!(w.get::<Vec<f64>>().unwrap(), [80.0, 90.0, 100.0]);
}

#[test]
fn operators_take_variables_on_both_sides() {
    let (w, v) = (shared("w", 3.0), shared("v", 4.0));
    let exprs: Vec<Expr> = vec![
        &w + &v,
        w.clone() + v.clone(),
        &w - v.clone(),
        1.0 - &w,
        2.0 * w.clone(),
        &w * (&v + 1),
        (&v + 1) / &w,
        -&w,
        -w.clone(),
        w.exp() + w.sqrt(),
        3 + &w,
    ];
    let f = compile([], &exprs).unwrap();
    let e = 3.0_f64.exp() + 3.0_f64.sqrt();
    let expected = [7.0, 7.0, -1.0, -2.0, 6.0, 15.0, 5.0 / 3.0, -3.0, -3.0, e, 6.0];
    for (value, expected) in f.call::<[f64; 11]>(()).unwrap().into_iter().zip(expected) {
        assert!((value - expected).abs() < 1e-14 * expected.abs(), "{value} {expected}");
    }
    let b = shared("b", true);
    assert!(compile([], !&b | (false ^ &b)).unwrap().call::<bool>(()).unwrap());
    let text = format!("{w} {w:?} {}", &w + 1);
    assert_eq!(text, "w Shared(\"w\": f64[]) w + 1.0");
}

#[test]
fn gradients_are_taken_by_variables() {
    let w = shared("w", Array1::<f64>::zeros(2));
    let (x, y) = (matrix::<f64>("x"), vector::<f64>("y"));
    let error = x.dot(&*w) - &y;
    let loss = (&error * &error).mean(..);
    let g = kroton::grad(&loss, [&w]).unwrap();
    let step = Compiler::new().updates([(&w, &w - 0.1 * &g[0])]).compile([&x, &y], &loss).unwrap();
    let (xs, ys) = (array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], array![2.0, -1.0, 1.0]);
    let mut last = f64::INFINITY;
    for _ in 0..300 {
        let loss: f64 = step.call((&xs, &ys)).unwrap();
        assert!(loss <= last);
        last = loss;
    }
    let found: Vec<f64> = w.get().unwrap();
    assert!((found[0] - 2.0).abs() < 1e-6 && (found[1] + 1.0).abs() < 1e-6, "{found:?}");
}

#[test]
fn a_text_has_variables_as_inputs() {
    let (w, x) = (shared("w", [1.0]), vector::<f64>("x"));
    let (inputs, outputs) = kroton::from_text(&kroton::to_text([&x], &w * &x).unwrap()).unwrap();
    assert_eq!((inputs.len(), outputs[0].to_string().as_str()), (2, "w * x"));
    assert!(kroton::inspect::text([&w]).unwrap().contains("\"w\""));
}

/// Runs one closure on several threads at a time.
fn on_threads(count: usize, run: impl Fn(usize) + Sync) {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        for index in 0..count {
            let (barrier, run) = (&barrier, &run);
            scope.spawn(move || {
                barrier.wait();
                run(index);
            });
        }
    });
}

#[test]
fn no_update_is_lost() {
    for device in engines() {
        let calls = if device == Device::Gpu { 20 } else { 1_000 };
        let counter = shared("counter", 0_i32);
        let tick = Compiler::new().device(device).updates([(&counter, &counter + 1)]).compile([], &counter).unwrap();
        let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
        on_threads(4, |_| {
            for _ in 0..calls {
                let before: i32 = tick.call(()).unwrap();
                assert!(seen.lock().unwrap().insert(before), "two calls saw {before}");
            }
        });
        assert_eq!(counter.get::<i32>().unwrap(), 4 * calls, "{device:?}");
    }
}

/// Two variables that always change together are never seen apart, by whatever path calls run.
#[test]
fn variables_of_a_call_change_together() {
    const SIZE: usize = 700;
    let a = shared("a", vec![0_i64; SIZE]);
    let b = shared("b", vec![0_i64; SIZE]);
    let updates = |settings: Compiler| settings.updates([(&a, &a + 1), (&b, &b - 1)]).compile([], ()).unwrap();
    let parallel = updates(Compiler::new().parallel_threshold(1).threads(3));
    let alone = updates(Compiler::new().threads(1));
    let oracle = updates(Compiler::new().device(Device::Interpreter));
    let loops = updates(Compiler::new().device(Device::Loops));
    let difference = compile([], ((&a + &b).min(..), (&a + &b).max(..))).unwrap();
    on_threads(6, |index| match index {
        4 => (0..400).for_each(|_| assert_eq!(difference.call::<(i64, i64)>(()).unwrap(), (0, 0))),
        5 => {
            for _ in 0..400 {
                let values: Vec<i64> = a.get().unwrap();
                assert!(values.iter().all(|value| *value == values[0]));
            }
        }
        index => {
            let (f, calls) = [(&parallel, 100), (&alone, 2_000), (&oracle, 40), (&loops, 20)][index];
            (0..calls).for_each(|_| f.call::<()>(()).unwrap());
        }
    });
    assert_eq!(a.get::<Vec<i64>>().unwrap(), [2_160; SIZE]);
    assert_eq!(b.get::<Vec<i64>>().unwrap(), [-2_160; SIZE]);
}

/// A call that takes long gets done while short ones never pause.
#[test]
fn long_updates_do_not_starve() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (w, n) = (shared("w", vec![0.0; 100_000]), shared("n", 0_i64));
    let long = (0..20).fold(&w + &n, |x, _| x.sin() + 1.0);
    let long = Compiler::new().threads(2).parallel_threshold(1).updates([(&w, long)]).compile([], ()).unwrap();
    let short = Compiler::new().updates([(&n, &n + 1)]).compile([], ()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    short.call::<()>(()).unwrap();
                }
            });
        }
        for _ in 0..3 {
            long.call::<()>(()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(n.get::<i64>().unwrap() > 0);
}

/// Calls whose kernels wait for the pool that they run in, as tasks of that pool, more of them than it has threads.
#[test]
fn parallel_updates_inside_a_pool_end() {
    let (sender, finished) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let w = shared("w", vec![0_i64; 5_000]);
        let settings = Compiler::new().parallel_threshold(1);
        let f = settings.updates([(&w, &w + 1)]).compile([], w.sum(..)).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|_| {
                    f.call::<i64>(()).unwrap();
                });
            }
        });
        sender.send(w.get::<Vec<i64>>().unwrap()).unwrap();
    });
    let values = finished.recv_timeout(std::time::Duration::from_secs(120)).expect("a deadlock");
    assert_eq!(values, [50; 5_000]);
}

#[test]
fn results_do_not_alias_the_variable() {
    let w = shared("w", vec![1.0; 64]);
    let f = Compiler::new().updates([(&w, &w + 1)]).compile([], &w + 0).unwrap();
    let kept: Array = w.get().unwrap();
    let first: Array = f.call(()).unwrap();
    let given = Array::from_slice(&[5.0; 64]);
    for _ in 0..4 {
        f.call::<Array>(()).unwrap();
    }
    assert_eq!((kept.as_slice::<f64>().unwrap()[0], first.as_slice::<f64>().unwrap()[63]), (1.0, 1.0));
    w.set(&given).unwrap();
    f.call::<Array>(()).unwrap();
    assert_eq!(given.as_slice::<f64>().unwrap(), [5.0; 64]);
    assert_eq!(w.get::<Vec<f64>>().unwrap(), [6.0; 64]);
    let constant = constant(vec![2.0; 500]);
    let copy = Compiler::new().updates([(&w, &constant)]).compile([], ()).unwrap();
    for expected in [3.0, 4.0, 5.0, 3.0] {
        if expected == 3.0 {
            copy.call::<()>(()).unwrap();
        }
        f.call::<Array>(()).unwrap();
        assert_eq!(w.get::<Vec<f64>>().unwrap(), [expected; 500]);
    }
}

#[test]
fn handles_and_functions_go_between_threads() {
    fn is_send_and_sync<T: Send + Sync + Clone + std::fmt::Debug>() {}
    is_send_and_sync::<Shared>();
    is_send_and_sync::<Function>();
    assert_eq!(shared("x", 1_u8).dtype(), DType::U8);
}
