//! Calls in the background and over lists: from plain threads, inside pools, in an async runtime; errors, cancellation.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use kroton::{
    Arg, Array, CancelToken, Compiler, Device, Error, Function, MapOptions, Pending, Result, as_completed, compile,
    scalar, shared, vector, wait_all,
};
use ndarray::{Array2, array, s};

fn square() -> Function {
    let x = scalar::<f64>("x");
    compile([&x], &x * &x).unwrap()
}

/// A function whose calls take a while.
fn slow(threads: usize) -> Function {
    let x = vector::<f64>("x");
    let y = (0..8).fold(x.clone(), |y, _| y.sin() + &x);
    Compiler::new().threads(threads).parallel_threshold(1).compile([&x], y.sum(..)).unwrap()
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Fails instead of hanging.
fn within_minutes<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(run()));
    receiver.recv_timeout(Duration::from_secs(180)).expect("a deadlock or a panic")
}

#[test]
fn submitted_calls_own_their_arguments() {
    let (x, y) = (kroton::matrix::<f64>("x"), scalar::<f64>("y"));
    let f = compile([&x, &y], &x * &y).unwrap();
    let task: Pending<Array2<f64>> = {
        let base = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
        f.submit((base.slice(s![..;-2, 1..;2]), 2))
    };
    let expected = array![[62.0, 66.0, 70.0], [22.0, 26.0, 30.0]];
    assert_eq!(task.wait().unwrap(), expected);
    let whole = Array::from(&expected);
    let tasks: Vec<Pending<Array2<f64>>> = vec![f.submit((&whole, &2.0)), f.submit((whole.clone(), 2.0))];
    drop(whole);
    for result in wait_all(tasks).unwrap() {
        assert_eq!(result, &expected * 2.0);
    }
    let both = [Arg::from(&expected), Arg::from(0.5)];
    assert_eq!(f.submit::<Array2<f64>>(&both).wait().unwrap(), &expected * 0.5);
    let empty: Pending<Array2<f64>> = f.submit((&Array2::<f64>::zeros((0, 3)), 1.0));
    assert_eq!(empty.wait().unwrap().shape(), [0, 3]);
    let flags = kroton::vector::<bool>("flags");
    let any = compile([&flags], flags.any(..)).unwrap();
    assert!(any.submit::<bool>((&[false, true],)).wait().unwrap());
}

#[test]
fn an_array_by_value_is_moved() {
    let x = vector::<f64>("x");
    let f = Compiler::new().threads(1).compile([&x], &x + 1).unwrap();
    let array = Array::from_slice(&[1.0; 1_000]);
    let place = array.as_slice::<f64>().unwrap().as_ptr();
    let result: Array = f.submit((array,)).wait().unwrap();
    assert_eq!(result.as_slice::<f64>().unwrap().as_ptr(), place);
    assert_eq!(result.as_slice::<f64>().unwrap(), [2.0; 1_000]);
}

#[test]
fn errors_reach_their_owner_only() {
    let f = square();
    let x = vector::<f64>("x");
    let max = compile([&x], x.max(..)).unwrap();
    let good: Pending<f64> = f.submit((3,));
    let wrong: Pending<f64> = f.submit((&[1.0],));
    let missing: Pending<f64> = f.submit(());
    let empty: Pending<f64> = max.submit((&[0.0; 0],));
    assert!(matches!(wrong.wait(), Err(Error::Argument(_))));
    assert!(matches!(missing.wait(), Err(Error::Argument(_))));
    assert!(matches!(empty.wait(), Err(Error::Shape(_))));
    assert_eq!(good.wait().unwrap(), 9.0);
    let many_axes = ndarray::ArrayD::<f64>::zeros(vec![1; 8]);
    assert!(f.submit::<f64>((many_axes.view(),)).wait().unwrap_err().to_string().contains("rank 8"));
    let error = wait_all([f.submit::<f64>((1,)), f.submit((&[1.0],)), f.submit((2,))]).unwrap_err();
    assert!(matches!(error, Error::Argument(_)));
}

#[test]
fn tasks_are_given_as_they_are_done() {
    let f = slow(2);
    let tasks: Vec<Pending<f64>> = (0..20).map(|n| f.submit((&vec![0.5; 1 + 997 * (n % 7)],))).collect();
    let each = f.call::<f64>((&[0.5],)).unwrap();
    let mut seen = vec![false; 20];
    let completed = as_completed(tasks);
    assert_eq!(completed.len(), 20);
    for (number, result) in completed {
        assert!(!std::mem::replace(&mut seen[number], true));
        let expected = each * (1 + 997 * (number % 7)) as f64;
        assert!((result.unwrap() - expected).abs() < 1e-9 * expected);
    }
    assert!(seen.into_iter().all(|seen| seen));
    assert_eq!(as_completed(Vec::<Pending<f64>>::new()).count(), 0);
    // Tasks that were over before anybody asked come too.
    let done: Vec<Pending<f64>> = (0..3).map(|i| square().submit((i,))).collect();
    while !done.iter().all(Pending::is_done) {
        thread::yield_now();
    }
    assert_eq!(as_completed(done).map(|(_, result)| result.unwrap()).sum::<f64>(), 5.0);
}

#[test]
fn a_pool_of_one_thread_waits_for_its_own_tasks() {
    within_minutes(|| {
        for threads in [1, 2] {
            let (f, parallel) = (square(), slow(threads));
            let sum = pool(threads).install(|| {
                let tasks: Vec<Pending<f64>> = (0..50).map(|i| f.submit((i,))).collect();
                let other: Vec<Pending<f64>> = (1..10).map(|n| parallel.submit((&vec![0.0; 100 * n],))).collect();
                let nested = rayon::join(
                    || wait_all(tasks).unwrap().into_iter().sum::<f64>(),
                    || as_completed(other).map(|(_, result)| result.unwrap()).sum::<f64>(),
                );
                // Tasks of the pool that submit and wait themselves.
                rayon::scope(|scope| {
                    scope.spawn(|scope| {
                        scope.spawn(|_| assert_eq!(f.submit::<f64>((7,)).wait().unwrap(), 49.0));
                        assert_eq!(f.submit::<f64>((4,)).wait().unwrap(), 16.0);
                    });
                    assert_eq!(f.submit::<f64>((1,)).wait().unwrap(), 1.0);
                });
                nested.0 + nested.1
            });
            assert_eq!(sum, (0..50).map(|i| f64::from(i * i)).sum::<f64>());
        }
    });
}

#[test]
fn a_task_that_has_not_begun_is_canceled() {
    within_minutes(|| {
        let f = square();
        let pool = pool(1);
        let (hold, held) = mpsc::channel::<()>();
        pool.spawn(move || held.recv().unwrap_or_default());
        let (sender, receiver) = mpsc::channel();
        pool.spawn(move || {
            let tasks: Vec<Pending<f64>> = (0..3).map(|i| f.submit((i,))).collect();
            let states: Vec<bool> = tasks.iter().map(Pending::is_done).collect();
            assert!(tasks[1].cancel() && tasks[1].is_done() && !tasks[1].cancel());
            assert_eq!(format!("{:?}", tasks[1]), "Pending(`function`, done)");
            let results: Vec<Result<f64>> = tasks.into_iter().map(Pending::wait).collect();
            drop(f.submit::<f64>((5,)));
            sender.send((states, results)).unwrap();
        });
        hold.send(()).unwrap();
        let (states, results) = receiver.recv().unwrap();
        assert_eq!(states, [false; 3]);
        assert!(matches!(&results[1], Err(Error::Canceled(text)) if text.contains("`function`")));
        assert_eq!((results[0].clone().unwrap(), results[2].clone().unwrap()), (0.0, 4.0));
    });
}

#[test]
fn an_async_runtime_awaits_tasks() {
    within_minutes(|| {
        let f = slow(2);
        let one = f.call::<f64>((&[0.5],)).unwrap();
        for runtime in [
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap(),
        ] {
            runtime.block_on(async {
                let handles: Vec<_> = (1..20)
                    .map(|n| {
                        let f = f.clone();
                        tokio::spawn(async move { (n, f.submit::<f64>((&vec![0.5; 500 * n],)).await) })
                    })
                    .collect();
                for handle in handles {
                    let (n, result) = handle.await.unwrap();
                    let expected = one * 500.0 * n as f64;
                    assert!((result.unwrap() - expected).abs() < 1e-9 * expected);
                }
                assert!(f.submit::<f64>((1,)).await.is_err());
            });
        }
    });
}

#[test]
fn a_map_keeps_the_order() {
    let f = square();
    let expected: Vec<f64> = (0..1_000).map(|i| f64::from(i * i)).collect();
    assert_eq!(f.map::<f64, _>((0..1_000).map(|i| (i,))).unwrap(), expected);
    assert_eq!(pool(3).install(|| f.map::<f64, _>((0..1_000).map(|i| (i,)))).unwrap(), expected);
    assert!(f.map::<f64, (f64,)>([]).unwrap().is_empty());
    let rows = Array2::from_shape_fn((9, 5), |(i, j)| (i * j) as f64);
    let x = vector::<f64>("x");
    let sum = Compiler::new().threads(2).compile([&x], x.sum(..)).unwrap();
    let sums: Vec<f64> = sum.map(rows.rows().into_iter().map(|row| (row,))).unwrap();
    assert_eq!(sums, (0..9).map(|i| f64::from(i * 10)).collect::<Vec<_>>());
}

#[test]
fn a_map_tells_its_progress_and_is_canceled() {
    let f = square();
    let told = Mutex::new(Vec::new());
    let options = MapOptions::new().progress(|done, total| told.lock().unwrap().push((done, total)));
    f.map_with::<f64, _>(options, (0..100).map(|i| (i,))).unwrap();
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, (1..=100).map(|done| (done, 100)).collect::<Vec<_>>());
    let (token, count) = (CancelToken::new(), AtomicUsize::new(0));
    let options = MapOptions::new().cancel(&token).progress(|done, _| {
        count.fetch_add(1, Ordering::Relaxed);
        if done == 10 {
            token.cancel();
        }
    });
    let error = f.map_with::<f64, _>(options, (0..100_000).map(|i| (i,))).unwrap_err();
    assert!(matches!(&error, Error::Canceled(text) if text.contains("of 100000 calls")), "{error}");
    assert!(count.into_inner() < 1_000);
    let error = f.map_with::<f64, _>(MapOptions::new().cancel(&token), [(1,)]).unwrap_err();
    assert!(matches!(error, Error::Canceled(_)));
}

#[test]
fn a_map_gives_the_first_error_and_panics_do_no_harm() {
    let x = vector::<f64>("x");
    let max = compile([&x], x.max(..)).unwrap();
    for _ in 0..20 {
        let items = (0..200).map(|i| (vec![1.0; usize::from(i != 50 && i != 120)], i)).collect::<Vec<_>>();
        let error = max.map::<f64, _>(items.iter().map(|(values, _)| (values,))).unwrap_err();
        assert!(matches!(error, Error::Shape(_)), "{error}");
    }
    let f = square();
    let options = MapOptions::new().progress(|done, _| assert!(done != 7, "seven"));
    let error = pool(2).install(|| f.map_with::<f64, _>(options, (0..50).map(|i| (i,)))).unwrap_err();
    assert!(matches!(&error, Error::Panic(text) if text.contains("seven")), "{error}");
    assert_eq!(f.map::<f64, _>([(2,)]).unwrap(), [4.0]);
}

/// Updates whose kernels wait for the pool in which the calls themselves are tasks, more of them than it has threads.
#[test]
fn updates_under_map_do_not_deadlock() {
    within_minutes(|| {
        for device in [Device::Cpu, Device::Interpreter] {
            let (total, w) = (shared("total", 0.0), shared("w", vec![0_i64; 4_000]));
            let x = vector::<f64>("x");
            let settings = Compiler::new().device(device).parallel_threshold(1);
            let updates = settings.updates([(&total, &total + x.sum(..))]).updates([(&w, &w + 1)]);
            let f = updates.compile([&x], x.max(..)).unwrap();
            let items: Vec<Vec<f64>> = (0..64).map(|i| vec![f64::from(i); 3_000]).collect();
            for threads in [1, 2, 4] {
                let pool = pool(threads);
                let maxima: Vec<f64> = pool.install(|| f.map(items.iter().map(|item| (item,)))).unwrap();
                assert_eq!(maxima, (0..64).map(f64::from).collect::<Vec<_>>());
                let tasks = pool.install(|| items.iter().map(|item| f.submit::<f64>((item,))).collect::<Vec<_>>());
                wait_all(tasks).unwrap();
            }
            assert_eq!(w.get::<Vec<i64>>().unwrap(), [6 * 64; 4_000]);
            assert_eq!(total.get::<f64>().unwrap(), 6.0 * 3_000.0 * 2_016.0);
        }
    });
}

/// Submitted from many plain threads at a time, waited for by others.
#[test]
fn many_threads_submit_at_a_time() {
    within_minutes(|| {
        let counter = shared("counter", 0_i64);
        let step = scalar::<i64>("step");
        let add = Compiler::new().updates([(&counter, &counter + &step)]).compile([&step], &counter).unwrap();
        let (sender, receiver) = mpsc::channel::<Pending<i64>>();
        thread::scope(|scope| {
            for _ in 0..4 {
                let (add, sender) = (add.clone(), sender.clone());
                scope.spawn(move || (0..500).for_each(|_| sender.send(add.submit((2,))).unwrap()));
            }
            drop(sender);
            let mut seen: Vec<i64> = receiver.into_iter().map(|task| task.wait().unwrap()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..2_000).map(|i| 2 * i).collect::<Vec<_>>());
        });
        assert_eq!(counter.get::<i64>().unwrap(), 4_000);
    });
}

/// Threads of one function's pool help callers inside other pools and outside of any, many at a time.
#[test]
fn callers_in_and_out_of_pools_get_the_same_bits() {
    within_minutes(|| {
        for threads in [2, 8] {
            let f = slow(threads);
            let values: Vec<f64> = (0..5_003).map(|i| f64::from(i) * 1e-3).collect();
            let expected = slow(1).call::<f64>((&values,)).unwrap().to_bits();
            let check = || (0..50).for_each(|_| assert_eq!(f.call::<f64>((&values,)).unwrap().to_bits(), expected));
            thread::scope(|scope| {
                (0..3).for_each(|_| drop(scope.spawn(check)));
                scope.spawn(|| pool(2).install(|| rayon::join(check, check)));
                scope.spawn(|| f.map::<f64, _>((0..50).map(|_| (&values,))).unwrap());
            });
        }
    });
}
