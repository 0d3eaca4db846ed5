//! What Miri can run: arguments, results, shared variables, tasks and loops on the engines without machine code.
//!
//! `MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks" cargo +nightly miri test
//! --no-default-features --test memory_model` looks for undefined behavior and data races on the way; the threads of a
//! pool outlive the test, hence the leaks. Sizes are small: Miri takes a thousand times as long, 40 minutes for all on one core.

use kroton::{
    Array, Compiler, Device, Function, Result, as_completed, constant, iterate, iterate_while, matrix, random, scalar,
    scan, shared, vector, wait_all,
};
use ndarray::{Array1, Array2, s};

type Outcome = Result<()>;

/// The engines that are Rust all the way, and one and two threads of a pool.
fn everywhere() -> Vec<Compiler> {
    let engine = |device: Device, threads: usize| Compiler::new().device(device).threads(threads);
    vec![engine(Device::Interpreter, 1), engine(Device::Loops, 1), engine(Device::Loops, 2).parallel_threshold(4)]
}

#[test]
fn strided_arguments_and_results() -> Outcome {
    let (x, y) = (matrix::<f64>("x"), matrix::<f32>("y"));
    let data = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
    let small = Array2::from_shape_fn((3, 4), |(i, j)| (i * j) as f32);
    for compiler in everywhere() {
        let f = compiler.compile([&x, &y], (&x * 2.0 + y.transpose(), x.sum(0), x.argmax(1)))?;
        let mut product = Array2::<f64>::zeros((8, 3));
        let (mut sums, mut places) = (Array1::<f64>::zeros(3), [0_i64; 4]);
        let view = data.slice(s![.., ..;-2]);
        f.call_into((view, &small), (product.slice_mut(s![..;2, ..]), sums.slice_mut(s![..;-1]), &mut places))?;
        assert_eq!(product[[2, 1]], 2.0 * 13.0 + 1.0);
        assert_eq!(product.row(1).sum(), 0.0);
        assert_eq!(sums.to_vec(), [64.0, 72.0, 80.0]);
        assert_eq!(places, [0; 4]);
    }
    Ok(())
}

#[test]
fn all_dtypes_and_empty_arrays() -> Outcome {
    let (x, b, u) = (vector::<i8>("x"), vector::<bool>("b"), vector::<u64>("u"));
    for compiler in everywhere() {
        let f = compiler.compile([&x, &b, &u], (b.select(&x, 1_i8), x.sum(..), (&u >> 3_u64).cast::<f32>()))?;
        let (chosen, sum, shifted): (Vec<i8>, i64, Vec<f32>) =
            f.call((&[-5_i8, 7, 9], &[true, false, true], &[8_u64, 64, u64::MAX]))?;
        assert_eq!((chosen, sum), (vec![-5, 1, 9], 11));
        assert_eq!(shifted, [1.0, 8.0, (u64::MAX >> 3) as f32]);
        let nothing: (Vec<i8>, i64, Vec<f32>) = f.call((&[0_i8; 0], &[false; 0], &[0_u64; 0]))?;
        assert_eq!(nothing, (vec![], 0, vec![]));
    }
    Ok(())
}

#[test]
fn arrays_given_by_value_become_results() -> Outcome {
    let x = vector::<f64>("x");
    for compiler in everywhere() {
        let f = compiler.compile([&x], &x + 1.0)?;
        let mut array = Array::from_slice(&[1.0, 2.0, 3.0]);
        for _ in 0..3 {
            array = f.call::<Array>((array,))?;
        }
        let kept = array.clone();
        let next: Array = f.call((array,))?;
        assert_eq!(kept.as_slice::<f64>()?, [4.0, 5.0, 6.0]);
        assert_eq!(next.as_slice::<f64>()?, [5.0, 6.0, 7.0]);
    }
    Ok(())
}

#[test]
fn a_wrong_argument_leaves_results_as_they_are() -> Outcome {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    for compiler in everywhere() {
        let f = compiler.compile([&x, &y], &x + &y)?;
        let mut result = [7.0; 3];
        assert!(f.call_into((&[1.0, 2.0, 3.0], &[1.0, 2.0]), (&mut result,)).is_err());
        assert_eq!(result, [7.0; 3]);
    }
    Ok(())
}

#[test]
fn loops_change_buffers() -> Outcome {
    let (m, v, n) = (matrix::<f64>("m"), vector::<f64>("v"), scalar::<i64>("n"));
    for compiler in everywhere() {
        let [power] = iterate(&n, [&v], |[v]| [m.dot(&v) / m.dot(&v).abs().max(..)])?;
        let [halved] = iterate_while(|[v]| v.ge(1.0), [&v], |[v]| [v / 2.0])?;
        let (last, history) = scan(&m, [&v], |row, [v]| ([&v + &row], [(&v * &row).sum(..)]))?;
        let outputs = (power, halved, last[0].clone(), history[0].clone());
        let f = compiler.compile([&m, &v, &n], outputs)?;
        let matrix = ndarray::array![[2.0, 1.0], [1.0, 2.0]];
        let (power, halved, last, history): (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) =
            f.call((&matrix, &[1.0, 3.0], 20))?;
        assert!((power[0] - 1.0).abs() < 1e-6 && power[1] == 1.0);
        assert_eq!((halved, last, history), (vec![0.5, 0.75], vec![4.0, 6.0], vec![5.0, 11.0]));
    }
    Ok(())
}

#[test]
fn concurrent_updates_are_whole() -> Outcome {
    for compiler in everywhere() {
        let (counter, twice) = (shared("counter", 0_i64), shared("twice", Array1::<i64>::zeros(5)));
        let updates = [(&counter, &counter + 1), (&twice, &twice + 2)];
        let step = compiler.updates(updates).compile([], &twice - 2 * &counter)?;
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| (0..4).map(|_| step.call(())).collect())).collect();
            for run in runs {
                let differences: Result<Vec<Vec<i64>>> = run.join().unwrap_or_else(|_| panic!("a call panicked"));
                assert!(differences?.iter().flatten().all(|&difference| difference == 0));
            }
            Ok::<(), kroton::Error>(())
        })?;
        assert_eq!(counter.get::<i64>()?, 12);
        assert_eq!(twice.get::<Vec<i64>>()?, [24; 5]);
    }
    Ok(())
}

/// Values are handed out and replaced while others read them.
#[test]
fn variables_are_set_and_read_meanwhile() -> Outcome {
    let w = shared("w", Array1::<f64>::zeros(6));
    let f = Compiler::new().device(Device::Loops).compile([], (&w * 1.0, w.sum(..)))?;
    std::thread::scope(|scope| {
        let setter = scope.spawn(|| (0..8).try_for_each(|i| w.set(Array1::from_elem(6, f64::from(i)))));
        for _ in 0..8 {
            let (values, sum): (Vec<f64>, f64) = f.call(())?;
            assert!(values.iter().all(|&value| value == values[0]) && sum == 6.0 * values[0]);
        }
        setter.join().unwrap_or_else(|_| panic!("the setter panicked"))
    })
}

fn square(device: Device) -> Result<Function> {
    let x = scalar::<f64>("x");
    Compiler::new().device(device).compile([&x], &x * &x)
}

#[test]
fn tasks_own_what_they_need() -> Outcome {
    for device in [Device::Interpreter, Device::Loops] {
        let f = square(device)?;
        let tasks: Vec<kroton::Pending<f64>> = (0..6).map(|i| f.submit((i,))).collect();
        drop(f.submit::<f64>((9,)));
        assert_eq!(wait_all(tasks)?, [0.0, 1.0, 4.0, 9.0, 16.0, 25.0]);
        let mut done = Vec::new();
        for (number, result) in as_completed((0..4).map(|i| f.submit::<f64>((i,)))) {
            done.push((number, result?));
        }
        done.sort_by_key(|(number, _)| *number);
        assert_eq!(done[3], (3, 9.0));
        assert_eq!(f.map::<f64, _>((0..6).map(|i| (i,)))?[5], 25.0);
    }
    Ok(())
}

#[test]
fn draws_are_the_same_on_any_number_of_threads() -> Outcome {
    let seed = scalar::<u64>("seed");
    let draws = random::uniform::<f64>(&random::key(&seed), [constant(37_i64)]);
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for compiler in everywhere() {
        seen.push(compiler.compile([&seed], &draws)?.call((5_u64,))?);
    }
    assert!(seen.iter().all(|draws| *draws == seen[0] && draws.iter().all(|draw| (0.0..1.0).contains(draw))));
    Ok(())
}
