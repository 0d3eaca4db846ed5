//! Loops on the GPU engine that run step by step: rows that share words, guards that end at any step, loops in loops, arrays
//! that have to be put in order, steps of the host in between, and what stays on the device.
//!
//! Each program runs on the device as it is and on lesser ones made of it, beside the oracle. Without an adapter each test
//! is skipped, unless `KROTON_TEST_GPU=required`.

#![cfg(feature = "gpu")]

mod common;

use common::gpu::{Cases, Engine, MASKS, WHOLE, agree};
use kroton::{
    Arg, Array, Compiler, Device, DeviceArray, Expr, OnUnused, OptLevel, Result, Stage, arange, constant, iterate,
    iterate_indexed, iterate_while, iterate_while_at_most, matrix, random, s, scalar, scan, scan_until, shared, vector,
};
use ndarray::{Array2, array};

/// Compares all devices with the oracle for some calls; gives what it gives.
#[track_caller]
fn check(inputs: &[&Expr], outputs: &[Expr], calls: Vec<Vec<Arg<'_>>>) -> Vec<Vec<Array>> {
    let compiler = Compiler::new().device(Device::Interpreter).optimize(OptLevel::None);
    let oracle = compiler.on_unused_input(OnUnused::Ignore).compile(inputs, outputs).unwrap();
    let cases: Cases<'_> = calls
        .into_iter()
        .map(|args| {
            let expected: Vec<Array> = oracle.call(args.as_slice()).unwrap();
            (args, expected)
        })
        .collect();
    agree(inputs, outputs, &cases);
    cases.into_iter().map(|(_, expected)| expected).collect()
}

fn i64s(array: &Array) -> &[i64] {
    array.as_slice::<i64>().unwrap()
}

#[test]
fn a_recurrent_network_of_products() -> Result<()> {
    let (inputs, w, u) = (matrix::<f32>("inputs"), matrix::<f32>("w"), matrix::<f32>("u"));
    let start = vector::<f32>("start");
    let ([last], [states, means]) = scan(&inputs, [&start], |x, [h]| {
        let next = (w.dot(&h) + u.dot(&x)).tanh();
        ([next.clone()], [next.clone(), next.mean(..)])
    })?;
    // Of one sign: sums that nearly cancel have no bound relative to themselves.
    let fill = |rows, columns, by: f32| {
        Array2::from_shape_fn((rows, columns), |(i, j)| 0.2 + 0.15 * ((i * 7 + j * 3) as f32 * by).sin())
    };
    let (sequence, w_values, u_values) = (fill(9, 3, 0.9), fill(5, 5, 0.3), fill(5, 3, 0.7));
    let inputs = [&inputs, &w, &u, &start];
    let start_values = [0.1_f32, 0.2, 0.3, 0.0, 1.0];
    let sequences = [9, 1, 0].map(|steps| sequence.slice(s![..steps, ..]));
    let call = |x| vec![Arg::from(x), Arg::from(&w_values), Arg::from(&u_values), Arg::from(&start_values)];
    check(&inputs, &[last, states, means], sequences.iter().map(call).collect());
    Ok(())
}

/// Rows of bytes lie four to a word, so that a row begins and ends within words of its neighbors.
#[test]
fn rows_of_bytes_share_words() -> Result<()> {
    let (x, y, start) = (matrix::<i8>("x"), matrix::<bool>("y"), vector::<i8>("start"));
    let ([total], [totals, signs, any, mixed]) = scan((&x, &y), [&start], |(x, y), [total]| {
        let next = &total + &x - x.sum(..).cast::<i8>();
        ([next.clone()], [next.clone(), next.gt(0), next.gt(3).any(..), y ^ next.lt(0)])
    })?;
    let sizes = [(7, 1), (6, 3), (5, 5), (9, 4), (3, 130), (4, 0)];
    let data = sizes.map(|(rows, columns)| {
        let values = Array2::from_shape_fn((rows, columns), |(i, j)| (i * 37 + j * 11) as i8);
        let bools = values.mapv(|x| x % 3 == 0);
        (values, bools, vec![0_i8; rows.max(columns)])
    });
    let mut calls = Vec::new();
    for (values, bools, zeros) in &data {
        let backwards = (values.slice(s![..;-1, ..;-1]), bools.slice(s![..;-1, ..;-1]));
        // Columns as rows as well.
        let layouts = [(values.view(), bools.view()), backwards, (values.t(), bools.t())];
        for (values, bools) in layouts {
            let zeros = &zeros[..values.ncols()];
            calls.push(vec![Arg::from(values), Arg::from(bools), Arg::from(zeros)]);
        }
    }
    check(&[&x, &y, &start], &[total, totals, signs, any, mixed], calls);
    Ok(())
}

/// The host looks after 1, 2, 4 … 64 steps; a loop may end at any of them.
#[test]
fn guards_end_at_any_step() -> Result<()> {
    let (x, limit) = (vector::<i32>("x"), scalar::<i64>("limit"));
    let [y, n] = iterate_while(|[x, _]| x.sum(..).lt(&limit), [&x, &constant(0_i64)], |[x, n]| [x + 1, n + 1])?;
    let ([z], [rows, odd], steps) = scan_until(&arange(70), [&x], |i, [z]| {
        let z = &z + (z.sum(..).cast::<i32>() & 1) + 1;
        ([z.clone()], [&z * i.cast::<i32>(), z.gt(40)], i.ge(&limit - 1))
    })?;
    let outputs = [y, n, z, rows, odd, steps];
    let limits = [0_i64, 1, 2, 3, 4, 7, 8, 62, 63, 64, 65, 66, 127, 128, 129, 192, 300];
    let calls = limits.iter().map(|limit| vec![Arg::from(&[0_i32]), Arg::from(limit)]).collect();
    for (results, limit) in check(&[&x, &limit], &outputs, calls).iter().zip(limits) {
        assert_eq!((i64s(&results[1]), i64s(&results[5])), (&[limit][..], &[limit.clamp(1, 70)][..]));
    }
    Ok(())
}

#[test]
fn elements_stop_by_themselves_while_others_go_on() -> Result<()> {
    let x = matrix::<i32>("x");
    let none = &x - &x;
    let [y, n] = iterate_while_at_most(
        100,
        |[y, _]| y.gt(1),
        [&x, &none],
        // Each element sees what its column has come to.
        |[y, n]| [(&y - 1).minimum(y.sum(0).cast::<i32>()), n + 1],
    )?;
    let values = array![[3, 90, 1, -4], [70, 2, 200, 0], [1, 1, 64, 65]];
    let results = check(&[&x], &[y, n], vec![vec![Arg::from(&values)]]).remove(0);
    assert_eq!(results[1].as_slice::<i32>().unwrap()[1], 89);
    Ok(())
}

/// A step after the guard has ceased to hold would never end here.
#[test]
fn no_step_is_made_too_many_where_one_might_not_end() -> Result<()> {
    let x = vector::<i64>("x");
    let [y] = iterate_while(
        |[x]| x.sum(..).lt(30),
        [&x],
        |[x]| {
            let [up] = iterate_while(|[z]| z.sum(..).ne(30), [&(x + 1)], |[z]| [z + 1]).expect("a sound body");
            [up]
        },
    )?;
    let results = check(&[&x], &[y], vec![vec![Arg::from(&[3_i64])]]).remove(0);
    assert_eq!(i64s(&results[0]), [30]);
    Ok(())
}

#[test]
fn loops_in_loops_make_their_steps_too() -> Result<()> {
    let (x, k) = (vector::<f32>("x"), scalar::<i64>("k"));
    let ([y], [sums]) = scan(&arange(5), [&x], |i, [x]| {
        let ([inner], [_]) = scan(&arange(&k), [&x], |j, [z]| {
            let next = (&z + z.mean(..) * 0.5) * 0.5 + (&i * 3 + j).cast::<f32>();
            ([next.clone()], [next.sum(..)])
        })
        .expect("a sound body");
        // As many steps as those around have been made, and as the device says.
        let [more] = iterate(x.gt(1.0).sum(..) + i, [&inner], |[z]| [&z - z.max(..) * 0.25]).expect("a sound body");
        ([more.clone()], [more.sum(..)])
    })?;
    let call = |k| vec![Arg::from(&[1.0_f32, 2.0, -3.0]), Arg::from(k)];
    check(&[&x, &k], &[y, sums], [0_i64, 1, 6].iter().map(call).collect());
    Ok(())
}

#[test]
fn arrays_are_put_in_order_for_a_body_that_needs_it() -> Result<()> {
    let (a, rows) = (matrix::<i32>("a"), kroton::tensor::<i32>("rows", 3));
    let start = vector::<i32>("start");
    // A column of what is captured, repeated; the captured array and each row, in another shape.
    let ([last], [history]) = scan(&rows, [&start], |row, [state]| {
        let flat = a.transpose().reshape([-1]);
        let next = &state + flat.sum(..).cast::<i32>() - row.reshape([-1]).slice(s![..4]) * a.slice(s![0, 1]);
        let scaled = &next * flat.slice(s![1..5]);
        ([scaled], [row.transpose().reshape([2, -1]) - next.max(..)])
    })?;
    let a_values = Array2::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as i32 - 2);
    let row_values = ndarray::Array3::from_shape_fn((4, 3, 2), |(i, j, k)| (i * 5 + j * 3 + k) as i32 % 7);
    let turned = row_values.view().permuted_axes([1, 2, 0]);
    let turned = turned.as_standard_layout().into_owned().permuted_axes([2, 0, 1]);
    let layouts = [row_values.view(), turned.view(), row_values.slice(s![..;-1, ..;-1, ..])];
    let call = |rows| vec![Arg::from(&a_values), Arg::from(rows), Arg::from(&[1, 2, 3, 4])];
    check(&[&a, &rows, &start], &[last, history], layouts.iter().map(call).collect());
    Ok(())
}

/// What needs f64 and has no axes is done by the host in the middle of a step, where the device has none.
#[test]
fn the_host_helps_in_the_middle_of_steps() -> Result<()> {
    let x = vector::<f32>("x");
    let ([y, total], [totals, flags]) = scan(&arange(6), [&x, &constant(0.5_f64)], |i, [x, total]| {
        let total = total + x.gt(0.0).sum(..) / 4.0 + i.cast::<f64>();
        let x = x - total.cast::<f32>() * 0.125;
        ([x, total.clone()], [&total * 2.0, total.gt(5.0)])
    })?;
    let [z, n] = iterate_while(|[_, n]| n.lt(3.5), [&x, &constant(0.0_f64)], |[z, n]| [&z * 0.5 + z.max(..), n + 1.0])?;
    let results =
        check(&[&x], &[y, total, totals, flags, z, n], vec![vec![Arg::from(&[1.0_f32, -2.0, 7.0])]]).remove(0);
    assert_eq!(results[5].as_slice::<f64>().unwrap(), [4.0]);
    Ok(())
}

#[test]
fn draws_and_shared_variables_live_in_loops() -> Result<()> {
    let seed = scalar::<u64>("seed");
    let [mean, hits] = iterate_indexed(5, [&constant(0.0_f32), &constant(0_i64)], |i, [mean, hits]| {
        let u = random::uniform::<f32>(&random::fold_in(&random::key(&seed), i), [300]);
        [mean + u.mean(..) * 0.2, hits + u.lt(0.25).sum(..)]
    })?;
    let results = check(&[&seed], &[mean, hits], vec![vec![Arg::from(&7_u64)]]).remove(0);
    assert!((i64s(&results[1])[0] - 375).abs() < 60);

    let Some(engine) = Engine::new("gpu", WHOLE) else { return Ok(()) };
    let w = shared("w", vec![1.0_f32, 2.0, 4.0]);
    let [next] = iterate(3, [&*w], |[w]| [&w + w.sum(..)])?;
    let f = engine.compiler().updates([(&w, next)]).compile([], w.sum(..))?;
    assert_eq!((f.call::<f32>(())?, f.call::<f32>(())?), (7.0, 448.0));
    assert_eq!(w.get::<Vec<f32>>()?.iter().sum::<f32>(), 448.0 * 64.0);
    Ok(())
}

#[test]
fn arrays_stay_on_the_device() -> Result<()> {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return Ok(()) };
    let (a, v) = (matrix::<f32>("a"), vector::<f32>("v"));
    let [w] = iterate(12, [&v], |[v]| {
        let w = a.dot(&v);
        [&w / w.max(..)]
    })?;
    let f = engine.compiler().compile([&a, &v], w)?;
    let (a, v) = (DeviceArray::upload(&array![[2.0_f32, 1.0], [1.0, 2.0]])?, DeviceArray::upload(&[1.0_f32, 0.5])?);
    let w: DeviceArray = f.call((&a, &v))?;
    assert!(w.download::<Vec<f32>>()?.iter().all(|x| (x - 1.0).abs() < 1e-4));
    assert_eq!(v.download::<Vec<f32>>()?, [1.0, 0.5]);
    let texts = f.dump(Stage::Wgsl)?;
    assert!(texts.contains("copy") && f.dump(Stage::Loops)?.contains("kernel"), "{texts}");
    Ok(())
}

/// Thousands of steps take no more memory than a few, and each takes its two kernels and nothing else.
#[test]
fn many_steps_take_no_more_memory() -> Result<()> {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return Ok(()) };
    let (x, n) = (vector::<f32>("x"), scalar::<i64>("n"));
    let [y, t] = iterate(&n, [&x, &constant(0.0_f32)], |[x, t]| [(&x + x.mean(..)) * 0.5, t + 1.0])?;
    let f = engine.compiler().compile([&x, &n], (y, t))?;
    let run = |steps: i64| engine.call_with(&f, &[Arg::from(&[1.0_f32, 2.0, 3.0, 6.0]), Arg::from(&steps)]);
    run(200)?;
    let buffers = engine.gpu.live_buffers();
    let results = run(10_000)?;
    assert_eq!((results[0].as_slice::<f32>()?, results[1].as_slice::<f32>()?), (&[3.0; 4][..], &[10_000.0][..]));
    let after = engine.gpu.live_buffers();
    assert!(after <= buffers + 40, "{buffers} buffers, then {after}");
    Ok(())
}

#[test]
fn numbers_of_steps_that_the_device_knows_are_checked() -> Result<()> {
    for (name, mask) in MASKS {
        let Some(engine) = Engine::new(name, mask) else { return Ok(()) };
        let x = vector::<i64>("x");
        let [y] = iterate(x.sum(..), [&x], |[x]| [&x + x.max(..)])?;
        let f = engine.compiler().compile([&x], y)?;
        assert_eq!(f.call::<Vec<i64>>((&[1_i64, 2],))?, [15, 16]);
        assert_eq!(f.call::<Vec<i64>>((&[1_i64, -1],))?, [1, -1]);
        let mut out = [7_i64, 7];
        let error = f.call_into((&[1_i64, -4],), (&mut out,)).unwrap_err().to_string();
        assert!(error.contains("a loop of -3 steps"), "{name}: {error}");
        assert_eq!(out, [7, 7]);
        assert_eq!(f.call::<Vec<i64>>((&[1_i64, 0],))?, [2, 1]);
        // The step that is counted is the number of it, beyond the numbers that are in memory at once.
        let [z] = iterate_indexed(2500, [&constant(0_i64)], |i, [z]| [(&z + i) + x.sum(..).minimum(0)])?;
        let f = engine.compiler().compile([&x], z)?;
        if engine.mask == WHOLE {
            assert_eq!(i64s(&engine.call_with(&f, &[Arg::from(&[1_i64])])?[0]), [2500 * 2499 / 2]);
        }
    }
    Ok(())
}

#[test]
fn derivatives_of_loops_are_loops_on_the_device() -> Result<()> {
    let (rows, start, w) = (matrix::<f32>("rows"), vector::<f32>("start"), matrix::<f32>("w"));
    let ([last], [means]) = scan(&rows, [&start], |row, [h]| {
        let next = (w.dot(&h) + row).tanh();
        ([next.clone()], [next.mean(..)])
    })?;
    let loss = (&last * &last).sum(..) + means.sum(..);
    let [length] =
        iterate_while_at_most(9, |[x]| (&x * &x).sum(..).lt(50.0), [&start], |[x]| [&x * 1.5 + w.dot(&x) * 0.25])?;
    let mut outputs = kroton::grad(&loss, [&rows, &start, &w])?;
    outputs.extend(kroton::grad(&length.sum(..), [&start, &w])?);
    outputs.push(kroton::jvp(&loss, [(&start, &start)])?);
    let fill =
        |rows, columns, by: f32| Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 3) as f32 * by).sin());
    let (data, weights, first) = (fill(6, 3, 0.9), fill(3, 3, 0.4), [0.5_f32, -0.25, 1.0]);
    let call = |rows| vec![Arg::from(rows), Arg::from(&first), Arg::from(&weights)];
    let lengths = [data.view(), data.slice(s![..1, ..]), data.slice(s![..0, ..])];
    check(&[&rows, &start, &w], &outputs, lengths.iter().map(call).collect());
    Ok(())
}

/// A loop of at most one step is a branch: the device is given none of it if it is not taken.
#[test]
fn a_branch_is_not_taken_in_vain() -> Result<()> {
    let Some(engine) = Engine::new("gpu", WHOLE) else { return Ok(()) };
    let (x, limit) = (vector::<f32>("x"), scalar::<f32>("limit"));
    let [y] = iterate_while_at_most(
        1,
        |[x]| x.sum(..).gt(&limit),
        [&x],
        |[x]| {
            let steps = (0..40).fold(x.clone(), |x, _| &x - x.mean(..));
            [steps.exp()]
        },
    )?;
    let f = engine.compiler().compile([&x, &limit], y)?;
    let call = |limit: f32| -> Result<(f32, u64)> {
        let (results, dispatches) = engine.counted(&f, &[Arg::from(&[1.0_f32, 1.0]), Arg::from(&limit)])?;
        Ok((results[0].as_slice::<f32>()?[1], dispatches))
    };
    // Tests that call without being counted raise the counter too, but not all the time.
    let least = |limit| {
        (0..20).map(|_| call(limit)).try_fold((0.0, u64::MAX), |(_, least), result| {
            let (value, dispatches) = result?;
            Ok::<_, kroton::Error>((value, least.min(dispatches)))
        })
    };
    let (taken, left) = (least(0.0)?, least(9.0)?);
    assert_eq!((taken.0, left.0), (1.0, 1.0));
    assert!(taken.1 >= 40 && left.1 < 20, "{} dispatches, and {}", taken.1, left.1);
    Ok(())
}

#[test]
fn histories_and_counts_of_loops_inside_are_rows_of_those_around_them() -> Result<()> {
    let x = matrix::<f32>("x");
    let zero = constant(0.0_f32);
    let ([total], [sums, steps]) = scan(&x, [&zero], |row, [total]| {
        let inner = scan_until(&row, [&zero], |x, [sum]| {
            let sum = sum + x;
            ([sum.clone()], [sum.clone()], sum.gt(2.5))
        });
        let ([sum], [sums], steps) = inner.expect("it is well typed");
        ([total + sum], [sums, steps])
    })?;
    let data = array![[1.0_f32, 2.0, 3.0], [1.0, 1.0, 1.0], [3.0, 1.0, 1.0]];
    let found = check(&[&x], &[total, sums, steps], vec![vec![Arg::from(&data)]]);
    assert_eq!(found[0][1].as_slice::<f32>()?, [1.0, 3.0, 0.0, 1.0, 2.0, 3.0, 3.0, 0.0, 0.0]);
    assert_eq!(i64s(&found[0][2]), [2, 3, 1]);
    Ok(())
}
