//! The programs of a chapter on parallel processing, as a user would write them, against plain Rust.
//!
//! Every function runs on the oracle, on the loop interpreter, as machine code with one thread and with several, and on a GPU
//! that has f64, if there is one.

use std::time::Duration;

use kroton::{
    Arg, Compiler, Device, Error, Function, Pending, as_completed, compile, constant, iterate, matrix, random, scalar,
    scan, shared, vector, wait_all,
};
use ndarray::{Array1, Array2, array};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// All ways to run a function.
fn everywhere() -> impl Iterator<Item = Compiler> {
    let hosts = [
        Compiler::new().device(Device::Interpreter),
        Compiler::new().device(Device::Loops),
        Compiler::new().threads(1),
        Compiler::new().threads(2).parallel_threshold(1),
        Compiler::new().threads(8).parallel_threshold(1),
    ];
    hosts.into_iter().chain(on_a_gpu())
}

/// A GPU that has f64, where there is one.
#[cfg(feature = "gpu")]
fn on_a_gpu() -> Option<Compiler> {
    let has_f64 = kroton::backend::gpu::testing::device().is_some_and(|gpu| gpu.target().has_f64);
    has_f64.then(|| Compiler::new().device(Device::Gpu))
}

#[cfg(not(feature = "gpu"))]
fn on_a_gpu() -> Option<Compiler> {
    None
}

#[test]
fn iterate_gives_the_last_state() -> Outcome {
    let x = vector::<f64>("x");
    let [y] = iterate(3, [&x], |[x]| [&x * 2.0 + 1.0])?;
    for compiler in everywhere() {
        let f = compiler.compile([&x], &y)?;
        assert_eq!(f.call::<Vec<f64>>((&[0.0, 1.0, -1.0],))?, [7.0, 15.0, -1.0]);
        assert_eq!(f.call::<Vec<f64>>((&[0.0; 0],))?, [0.0; 0]);
    }
    Ok(())
}

#[test]
fn the_number_of_steps_is_an_argument() -> Outcome {
    let (n, x) = (scalar::<i64>("n"), scalar::<f64>("x"));
    let [y] = iterate(&n, [&x], |[x]| [x * 0.5])?;
    for compiler in everywhere() {
        let f = compiler.compile([&n, &x], &y)?;
        for steps in [0, 1, 2, 10, 1000] {
            assert_eq!(f.call::<f64>((steps, 1.0))?, 0.5_f64.powi(steps));
        }
        let error = f.call::<f64>((-1, 1.0)).unwrap_err();
        assert!(error.to_string().contains("-1"), "{error}");
    }
    Ok(())
}

#[test]
fn states_change_places() -> Outcome {
    let (a, b) = (vector::<i64>("a"), vector::<i64>("b"));
    let [a1, b1] = iterate(91, [&a, &b], |[a, b]| [b.clone(), a + b])?;
    for compiler in everywhere() {
        let f = compiler.compile([&a, &b], [&a1, &b1])?;
        let (mut low, mut high) = (0_i64, 1_i64);
        (0..91).for_each(|_| (low, high) = (high, low + high));
        let [x, y]: [Vec<i64>; 2] = f.call((&[0_i64, 0, 5], &[1_i64, 1, 5]))?;
        assert_eq!((x[0], y[1]), (low, high));
        assert_eq!((x.len(), y.len()), (3, 3));
    }
    Ok(())
}

#[test]
fn particles_turn_as_in_a_plain_loop() -> Outcome {
    let [x, y, speed] = ["x", "y", "speed"].map(vector::<f64>);
    let steps = scalar::<i64>("steps");
    let end = iterate(&steps, [&x, &y], |[x, y]| {
        let norm = (&x * &x + &y * &y).sqrt();
        let (vx, vy) = (-&y / &norm, &x / &norm);
        [&x + 0.01 * &speed * vx, &y + 0.01 * &speed * vy]
    })?;
    let n = 37;
    let xs: Vec<f64> = (0..n).map(|i| 1.0 + i as f64).collect();
    let ys: Vec<f64> = (0..n).map(|i| 0.5 - i as f64).collect();
    let speeds: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
    let expected: Vec<(f64, f64)> = (0..n)
        .map(|i| {
            let (mut x, mut y) = (xs[i], ys[i]);
            for _ in 0..100 {
                let norm = (x * x + y * y).sqrt();
                (x, y) = (x + 0.01 * speeds[i] * (-y / norm), y + 0.01 * speeds[i] * (x / norm));
            }
            (x, y)
        })
        .collect();
    for compiler in everywhere() {
        let f = compiler.compile([&steps, &x, &y, &speed], &end)?;
        let (x, y): (Vec<f64>, Vec<f64>) = f.call((100, &xs, &ys, &speeds))?;
        for (i, (a, b)) in expected.iter().enumerate() {
            assert!((x[i] - a).abs() < 1e-12 && (y[i] - b).abs() < 1e-12, "particle {i}");
        }
    }
    Ok(())
}

/// Elementwise steps run inside one kernel on a GPU, too; without one there is nothing to test.
#[cfg(feature = "gpu")]
#[test]
fn steps_run_inside_a_kernel_of_a_gpu() -> Outcome {
    let [x, y] = ["x", "y"].map(vector::<f32>);
    let steps = scalar::<i64>("steps");
    let end = iterate(&steps, [&x, &y], |[x, y]| [&y + 1.0, x * 0.5])?;
    let (rows, start) = (matrix::<f32>("rows"), vector::<f32>("start"));
    let ([last], [history]) = scan(&rows, [&start], |row, [state]| ([&state * 0.5 + &row], [state]))?;
    let grown = kroton::iterate_while(|[x]| x.lt(100.0), [&x], |[x]| [x * 2.0])?;
    let on_gpu = Compiler::new().device(Device::Gpu);
    let (xs, ys): (Vec<f32>, Vec<f32>) = (0..1000).map(|i| (i as f32 + 0.5, -(i as f32))).unzip();
    let table = Array2::from_shape_fn((5, 40), |(i, j)| (i * 40 + j) as f32);
    let walk = match on_gpu.compile([&steps, &x, &y], &end) {
        Err(Error::Device(_)) if std::env::var("KROTON_TEST_GPU").is_err() => return Ok(()),
        walk => walk?,
    };
    for count in [0, 1, 7, 40_000] {
        let expected: [Vec<f32>; 2] = compile([&steps, &x, &y], &end)?.call((count, &xs, &ys))?;
        assert_eq!(walk.call::<[Vec<f32>; 2]>((count, &xs, &ys))?, expected, "{count} steps");
    }
    let arguments = (&table, &vec![1.0_f32; 40]);
    let expected: (Vec<f32>, Array2<f32>) = compile([&rows, &start], (&last, &history))?.call(arguments)?;
    assert_eq!(
        on_gpu.compile([&rows, &start], (&last, &history))?.call::<(Vec<f32>, Array2<f32>)>(arguments)?,
        expected
    );
    let expected: Vec<f32> = compile([&x], &grown)?.call((&xs,))?;
    assert_eq!(on_gpu.compile([&x], &grown)?.call::<Vec<f32>>((&xs,))?, expected);
    Ok(())
}

/// A row that no step looks at may be of any shape.
#[test]
fn rows_that_are_not_used_have_any_shape() -> Outcome {
    let (x, wide, short) = (vector::<f64>("x"), matrix::<f64>("wide"), matrix::<f64>("short"));
    let ([sum], [sums]) = scan((&x, &wide), [&constant(0.0)], |(x, _), [s]| ([&s + &x], [s + x]))?;
    let start = vector::<f64>("start");
    let ([total], []) = scan((&wide, &short), [&start], |(row, _), [s]| ([s + row], []))?;
    for compiler in everywhere() {
        let f = compiler.clone().on_unused_input(kroton::OnUnused::Ignore).compile([&x, &wide], (&sum, &sums))?;
        let (sum, sums): (f64, Vec<f64>) = f.call((&[1.0, 2.0], &array![[5.0, 5.0, 5.0], [6.0, 6.0, 6.0]]))?;
        assert_eq!((sum, sums), (3.0, vec![1.0, 3.0]));
        let f = compiler.on_unused_input(kroton::OnUnused::Ignore).compile([&wide, &short, &start], &total)?;
        let wide = Array2::<f64>::ones((3, 5000));
        let total: Vec<f64> = f.call((&wide, &array![[1.0], [2.0], [3.0]], &vec![0.0; 5000]))?;
        assert_eq!(total, vec![3.0; 5000]);
    }
    Ok(())
}

/// A given may put a loop where its own first state was: two loops with one body.
#[test]
fn a_loop_may_stand_in_for_its_own_state() -> Outcome {
    let x = vector::<f64>("x");
    let [once] = iterate(3, [&x], |[x]| [x * 2.0 + 1.0])?;
    for compiler in everywhere() {
        let twice = compiler.givens([(&x, &once)]).compile([&x], &once)?;
        assert_eq!(twice.call::<Vec<f64>>((&[0.0, 1.0],))?, [63.0, 127.0]);
    }
    Ok(())
}

#[test]
fn a_body_may_reduce_and_multiply() -> Outcome {
    // The largest eigenvalue of a symmetric matrix by power iteration.
    let (a, v) = (matrix::<f64>("a"), vector::<f64>("v"));
    let [v1] = iterate(60, [&v], |[v]| {
        let w = a.dot(&v);
        let length = (&w * &w).sum(..).sqrt();
        [w / length]
    })?;
    let value = v1.dot(a.dot(&v1));
    for compiler in everywhere() {
        let f = compiler.compile([&a, &v], &value)?;
        let largest: f64 = f.call((&array![[2.0, 1.0], [1.0, 3.0]], &[1.0, 0.0]))?;
        assert!((largest - (5.0 + 5.0_f64.sqrt()) / 2.0).abs() < 1e-12, "{largest}");
    }
    Ok(())
}

#[test]
fn loops_nest() -> Outcome {
    let x = vector::<f64>("x");
    let [y] = iterate(3, [&x], |[x]| {
        let [inner] = iterate(4, [&x], |[x]| [x + 1.0]).expect("a sound body");
        [inner * 2.0]
    })?;
    for compiler in everywhere() {
        let f = compiler.compile([&x], &y)?;
        assert_eq!(f.call::<Vec<f64>>((&[0.0, 1.0],))?, [56.0, 64.0]);
    }
    Ok(())
}

#[test]
fn scan_walks_a_sequence() -> Outcome {
    let (sequence, start) = (vector::<f64>("sequence"), scalar::<f64>("start"));
    let ([last], [sums]) = scan(&sequence, [&start], |item, [total]| {
        let next = &total + &item;
        ([next.clone()], [next])
    })?;
    for compiler in everywhere() {
        let f = compiler.compile([&sequence, &start], (&last, &sums))?;
        let (last, sums): (f64, Vec<f64>) = f.call((&[1.0, 2.0, 3.0, 4.0], 10.0))?;
        assert_eq!((last, sums.as_slice()), (20.0, &[11.0, 13.0, 16.0, 20.0][..]));
        let (last, sums): (f64, Vec<f64>) = f.call((&[0.0; 0], 10.0))?;
        assert_eq!((last, sums.len()), (10.0, 0));
    }
    Ok(())
}

#[test]
fn a_scan_over_rows_keeps_a_vector() -> Outcome {
    let (rows, start) = (matrix::<f64>("rows"), vector::<f64>("start"));
    let ([last], [history]) = scan(&rows, [&start], |row, [state]| {
        let next = 0.5 * &state + &row;
        ([next.clone()], [next * 10.0])
    })?;
    let input = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [0.0, 0.0, 1.0]];
    let mut state = Array1::<f64>::ones(3);
    let mut expected = Array2::zeros((4, 3));
    for (row, mut out) in input.rows().into_iter().zip(expected.rows_mut()) {
        state = 0.5 * state + row;
        out.assign(&(&state * 10.0));
    }
    for compiler in everywhere() {
        let f = compiler.compile([&rows, &start], (&last, &history))?;
        let (last, history): (Array1<f64>, Array2<f64>) = f.call((&input, &[1.0, 1.0, 1.0]))?;
        assert_eq!((&last, &history), (&state, &expected));
        // Rows that are columns in memory.
        let transposed = input.t().as_standard_layout().into_owned();
        let (_, history): (Array1<f64>, Array2<f64>) = f.call((&transposed.t(), &[1.0, 1.0, 1.0]))?;
        assert_eq!(history, expected);
    }
    Ok(())
}

#[test]
fn a_bad_body_is_an_error() {
    let (x, n) = (vector::<f64>("x"), scalar::<f64>("n"));
    let dtype = iterate(3, [&x], |[x]| [x.cast::<f32>()]).and_then(|[y]| compile([&x], y));
    let shape = iterate(3, [&x], |[x]| [x.sum(..)]).and_then(|[y]| compile([&x], y));
    let count = iterate(&n, [&x], |[x]| [x]).and_then(|[y]| compile([&x, &n], y));
    for (error, words) in [(dtype, ["f64", "f32"]), (shape, ["x", "rank"]), (count, ["f64", "integer"])] {
        let error = error.expect_err(words[0]).to_string();
        assert!(words.iter().any(|word| error.contains(word)), "{error}");
        assert!(error.contains("parallel_programs.rs"), "no source line: {error}");
    }
}

#[test]
fn draws_are_the_same_everywhere() -> Outcome {
    let (seed, n) = (scalar::<u64>("seed"), scalar::<i64>("n"));
    let key = random::key(&seed);
    let (a, b) = random::split(&key);
    let draws = (
        random::bits::<u32>(&a, [&n]),
        random::bits::<u64>(&b, [&n]),
        random::uniform::<f32>(&key, [&n]),
        random::uniform::<f64>(&random::fold_in(&key, 3), [&n]),
    );
    let mut first = None;
    for compiler in everywhere() {
        let f = compiler.compile([&seed, &n], draws.clone())?;
        let result: (Vec<u32>, Vec<u64>, Vec<f32>, Vec<f64>) = f.call((42_u64, 1001))?;
        assert!(result.2.iter().all(|u| (0.0..1.0).contains(u)) && result.3.iter().all(|u| (0.0..1.0).contains(u)));
        let other: (Vec<u32>, Vec<u64>, Vec<f32>, Vec<f64>) = f.call((43_u64, 1001))?;
        assert_ne!(result.0, other.0);
        let empty: (Vec<u32>, Vec<u64>, Vec<f32>, Vec<f64>) = f.call((42_u64, 0))?;
        assert!(empty.0.is_empty());
        assert_eq!(*first.get_or_insert(result.clone()), result);
    }
    Ok(())
}

#[test]
fn a_longer_draw_begins_with_a_shorter_one() -> Outcome {
    let n = scalar::<i64>("n");
    let f = compile([&n], random::uniform::<f64>(&random::key(1), [&n]))?;
    let (long, short): (Vec<f64>, Vec<f64>) = (f.call((100,))?, f.call((33,))?);
    assert_eq!(long[..33], short[..]);
    Ok(())
}

#[test]
fn pi_is_estimated_in_a_loop_of_draws() -> Outcome {
    let key = random::key(5);
    let zero = constant(0.0_f64);
    let step = constant(0_i64);
    let [_, hits] = iterate(10, [&step, &zero], |[step, hits]| {
        let (for_x, for_y) = random::split(&random::fold_in(&key, &step));
        let (x, y) = (random::uniform::<f64>(&for_x, [10_000]), random::uniform::<f64>(&for_y, [10_000]));
        [&step + 1, hits + (&x * &x + &y * &y).lt(1.0).sum(..).cast::<f64>()]
    })?;
    let mut first = None;
    for compiler in everywhere() {
        let pi: f64 = compiler.compile([], 4.0 * &hits / 100_000.0)?.call(())?;
        assert!((pi - std::f64::consts::PI).abs() < 0.02, "{pi}");
        assert_eq!(*first.get_or_insert(pi), pi);
    }
    Ok(())
}

#[test]
fn four_threads_count_to_four_thousand() -> Outcome {
    let counter = shared("counter", 0_i64);
    let tick = Compiler::new().updates([(&counter, &counter + 1)]).compile([], ())?;
    std::thread::scope(|scope| {
        let count = || (0..1000).try_for_each(|_| tick.call::<()>(()));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    assert_eq!(counter.get::<i64>()?, 4000);
    Ok(())
}

#[test]
fn updates_see_the_old_values() -> Outcome {
    let (a, b) = (shared("a", 1.0), shared("b", vec![2.0, 3.0]));
    let swap = Compiler::new().updates([(&a, b.sum(..)), (&b, &b * &a)]).compile([], &a + 0.0)?;
    assert_eq!(swap.call::<f64>(())?, 1.0);
    assert_eq!((a.get::<f64>()?, b.get::<Vec<f64>>()?), (5.0, vec![2.0, 3.0]));
    swap.call::<f64>(())?;
    assert_eq!((a.get::<f64>()?, b.get::<Vec<f64>>()?), (5.0, vec![10.0, 15.0]));
    Ok(())
}

#[test]
fn a_bad_update_is_an_error() {
    let w = shared("weights", Array1::<f64>::zeros(3));
    let dtype = Compiler::new().updates([(&w, w.cast::<f32>())]).compile([], ());
    let rank = Compiler::new().updates([(&w, w.sum(..))]).compile([], ());
    let twice = Compiler::new().updates([(&w, &w + 1), (&w, &w + 2)]).compile([], ());
    for error in [dtype, rank, twice] {
        let error = error.expect_err("an error").to_string();
        assert!(error.contains("weights"), "{error}");
    }
    let error = w.set([1.0_f32, 2.0, 3.0]).expect_err("a dtype").to_string();
    assert!(error.contains("weights") && error.contains("f32"), "{error}");
}

#[test]
fn tasks_give_what_calls_give() -> Outcome {
    let x = vector::<f64>("x");
    let f = compile([&x], (&x * &x).sum(..))?;
    let items: Vec<Vec<f64>> = (0..50).map(|n| (0..n).map(f64::from).collect()).collect();
    let expected: Vec<f64> = items.iter().map(|v| v.iter().map(|x| x * x).sum()).collect();
    assert_eq!(f.map::<f64, _>(items.iter().map(|v| (v,)))?, expected);
    let submit = || -> Vec<Pending<f64>> { items.iter().map(|v| f.submit((v,))).collect() };
    assert_eq!(wait_all(submit())?, expected);
    let mut completed = vec![0.0; items.len()];
    for (index, result) in as_completed(submit()) {
        completed[index] = result?;
    }
    assert_eq!(completed, expected);
    assert_eq!(f.submit::<f64>((&[3.0, 4.0],)).wait()?, 25.0);
    Ok(())
}

#[test]
fn an_error_reaches_its_owner_only() -> Outcome {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let f = compile([&x, &y], (&x + &y).sum(..))?;
    let good = f.submit::<f64>((&[1.0, 2.0], &[3.0, 4.0]));
    let bad = f.submit::<f64>((&[1.0, 2.0], &[3.0]));
    let also_good = f.submit::<f64>((&[1.0], &[3.0]));
    assert!(matches!(bad.wait(), Err(Error::Shape { .. })));
    assert_eq!((good.wait()?, also_good.wait()?), (10.0, 4.0));
    Ok(())
}

#[test]
fn updates_under_map_do_not_block_each_other() -> Outcome {
    let total = shared("total", 0.0);
    let x = vector::<f64>("x");
    let add = Compiler::new().parallel_threshold(1).updates([(&total, &total + x.sum(..))]).compile([&x], ())?;
    let (done, is_done) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        let items = vec![vec![1.0; 10_000]; 64];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let result = pool.install(|| add.map::<(), _>(items.iter().map(|v| (v,))));
        done.send(()).unwrap();
        result
    });
    is_done.recv_timeout(Duration::from_secs(120)).expect("a deadlock");
    worker.join().unwrap()?;
    assert_eq!(total.get::<f64>()?, 640_000.0);
    Ok(())
}

#[test]
fn arguments_are_fed_by_name() -> Outcome {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let f: Function = compile([&x, &y], &x - &y)?;
    let (xs, ys) = (vec![5.0, 6.0], vec![1.0, 2.0]);
    assert_eq!(f.call_named::<Vec<f64>>([("y", Arg::from(&ys)), ("x", Arg::from(&xs))])?, [4.0, 4.0]);
    let unknown = f.call_named::<Vec<f64>>([("z", Arg::from(&ys)), ("x", Arg::from(&xs))]).unwrap_err().to_string();
    assert!(unknown.contains("\"z\"") && unknown.contains("x, y"), "{unknown}");
    let missing = f.call_named::<Vec<f64>>([("x", Arg::from(&xs))]).unwrap_err().to_string();
    assert!(missing.contains("\"y\""), "{missing}");
    Ok(())
}
