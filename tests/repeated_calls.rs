//! Calls of layouts that came before: the same results and the same checks as the first one, and no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kroton::{
    Array, Compiler, DType, Device, Expr, Function, Result, compile, constant, input, matrix, scalar, vector,
};
use ndarray::{Array1, Array2, array, s};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of each of some calls, after enough of them for their layout to be known.
fn allocations(mut call: impl FnMut() -> Result<()>) -> Result<usize> {
    for _ in 0..4 {
        call()?;
    }
    let before = ALLOCATIONS.get();
    for _ in 0..10 {
        call()?;
    }
    Ok(ALLOCATIONS.get() - before)
}

fn squares() -> Result<Function> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    compile([&a, &b], &a * &a + &b * &b)
}

#[test]
fn small_calls_into_memory_allocate_nothing() -> Result<()> {
    let f = squares()?;
    let (a, b, mut out) = (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], vec![0.0; 3]);
    assert_eq!(allocations(|| f.call_into((&a, &b), (&mut out,)))?, 0);
    let (wide, mut gaps) = (Array1::from_iter((0..6).map(f64::from)), Array1::<f64>::zeros(9));
    let (x, y) = (wide.slice(s![..;2]), wide.slice(s![..;-2]));
    assert_eq!(allocations(|| f.call_into((x, &y), (gaps.slice_mut(s![..;-3]),)))?, 0);
    assert_eq!(gaps, array![0.0, 0.0, 17.0, 0.0, 0.0, 13.0, 0.0, 0.0, 25.0]);
    let m = matrix::<f64>("m");
    let softmax = compile([&m], m.softmax(1))?;
    let (values, mut rows) = (array![[1.0, 2.0], [3.0, 3.0]], Array2::<f64>::zeros((2, 2)));
    assert_eq!(allocations(|| softmax.call_into((&values,), (&mut rows,)))?, 0);
    assert_eq!(rows[[1, 0]], 0.5);
    let sum = compile([&m], m.sum(..))?;
    let mut total = 0.0;
    assert_eq!(allocations(|| sum.call_into((&values,), (&mut total,)))?, 0);
    assert_eq!((total, allocations(|| sum.call::<f64>((&values,)).map(|_| ()))?), (9.0, 0));
    Ok(())
}

/// Functions of two vectors, several kernels and views among them.
fn samples(a: &Expr, b: &Expr) -> [Expr; 5] {
    let shifted = a.slice(s![1..]) * b.slice(s![..-1]);
    [
        a * 2.0 + b,
        a - a.mean(..) + b.exp() / b.exp().sum(..),
        a * b + (a * b).slice(s![..;-1]),
        shifted,
        a.expand_dims(1) * b + constant(array![[0.5]]),
    ]
}

#[test]
fn repeated_calls_give_what_the_first_one_gave() -> Result<()> {
    let (a, b) = (vector::<f64>("a"), vector::<f64>("b"));
    for device in [Device::Cpu, Device::Loops] {
        for sample in samples(&a, &b) {
            let oracle = Compiler::new().device(Device::Interpreter).compile([&a, &b], &sample)?;
            let f = Compiler::new().device(device).compile([&a, &b], &sample)?;
            for round in 0..5 {
                for n in [3, 1, 7, 3, 3, 0] {
                    let x = Array1::from_iter((0..2 * n).map(|i| f64::from(i + round)));
                    let y = Array1::from_iter((0..n).map(|i| 1.0 / f64::from(i + round + 1)));
                    if n == 0 {
                        assert_eq!(f.call::<Array>((&x, &y)).is_err(), oracle.call::<Array>((&x, &y)).is_err());
                        continue;
                    }
                    for x in [x.slice(s![..;2]), x.slice(s![..;-2]), x.slice(s![n..])] {
                        let (ours, right): (Array, Array) = (f.call((&x, &y))?, oracle.call((&x, &y))?);
                        close(&ours, &right);
                    }
                }
            }
        }
    }
    Ok(())
}

fn close(ours: &Array, right: &Array) {
    assert_eq!(ours.shape(), right.shape());
    for (a, b) in ours.as_slice::<f64>().unwrap().iter().zip(right.as_slice::<f64>().unwrap()) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn many_layouts_in_turn_give_what_each_gives_alone() -> Result<()> {
    let (m, n) = (matrix::<f64>("m"), scalar::<i64>("n"));
    let f = compile([&m, &n], (m.softmax(1).slice_axis(1, 0, &n, 1), m.sum(..)))?;
    let (whole, mut out, mut sum) = (Array2::from_elem((8, 16), 0.5), Array2::<f64>::zeros((8, 16)), 0.0);
    for _ in 0..4 {
        for rows in 1..=8 {
            for (columns, length) in [(2, 1), (2, 2), (4, 1), (16, 1), (16, 16)] {
                let (values, place) = (whole.slice(s![..rows, ..columns]), out.slice_mut(s![..rows, ..length]));
                f.call_into((values, length as i64), (place, &mut sum))?;
                assert_eq!(sum, 0.5 * (rows * columns) as f64);
                assert!(out.slice(s![..rows, ..length]).iter().all(|&share| share == 1.0 / columns as f64));
            }
        }
    }
    Ok(())
}

#[test]
fn checks_stay_when_a_layout_is_known() -> Result<()> {
    let f = squares()?;
    let (a, mut out) = (vec![1.0, 2.0, 3.0], vec![0.0; 3]);
    for _ in 0..4 {
        f.call_into((&a, &a), (&mut out,))?;
    }
    let (longer, single) = (vec![1.0; 4], vec![1.0_f32; 3]);
    assert!(f.call_into((&a, &longer), (&mut out,)).is_err());
    assert!(f.call_into((&a, &single), (&mut out,)).is_err());
    assert!(f.call_into((&a,), (&mut out,)).is_err());
    assert!(f.call_into((&a, &a), ()).is_err());
    assert!(f.call_into((&a, 1.0), (&mut out,)).is_err());
    assert!(f.call_into((&a, &a), (&mut [0.0; 4],)).is_err());
    assert!(f.call_into((&a, &a), (&mut [0_i64; 3],)).is_err());
    assert!(f.call_into((&a, &a), (&mut Array2::<f64>::zeros((1, 3)),)).is_err());
    assert!(f.call::<f64>((&a, &a)).is_err());
    assert_eq!(f.call::<Vec<f64>>((&longer, &longer))?, [2.0; 4]);
    f.call_into((&a, &a), (&mut out,))?;
    assert_eq!(out, [2.0, 8.0, 18.0]);
    Ok(())
}

#[test]
fn numbers_are_read_anew_and_sizes_checked() -> Result<()> {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let f = compile([&x, &n], x.reshape((&n, 2)).sum(1) * 1.0)?;
    let values = [1.0, 2.0, 3.0, 4.0];
    for _ in 0..4 {
        assert_eq!(f.call::<Vec<f64>>((&values, 2))?, [3.0, 7.0]);
    }
    assert!(f.call::<Vec<f64>>((&values, 3)).is_err());
    assert_eq!(f.call::<Vec<f64>>((&values[..2], 1))?, [3.0]);
    let p = scalar::<f64>("p");
    let g = compile([&x, &p], &x * &p)?;
    for factor in 0..6 {
        assert_eq!(g.call::<Vec<f64>>((&values[..2], factor))?, [f64::from(factor), 2.0 * f64::from(factor)]);
    }
    assert!(compile([&p], &p + 1.0)?.call::<f64>(((1_i64 << 53) + 1,)).is_err());
    Ok(())
}

#[test]
fn empty_matrices_come_back_in_every_container() -> Result<()> {
    let m = matrix::<f64>("m");
    let f = compile([&m], &m + 1.0)?;
    let empty = Array2::<f64>::zeros((0, 4));
    for _ in 0..4 {
        assert_eq!(f.call::<Array>((&empty,))?.shape(), [0, 4]);
        assert_eq!(f.call::<Array2<f64>>((&empty,))?.dim(), (0, 4));
    }
    Ok(())
}

#[test]
fn threads_share_what_is_known() -> Result<()> {
    let f = squares()?;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let f = &f;
            scope.spawn(move || {
                for n in (1..40).chain([5; 50]) {
                    let a = vec![f64::from(thread); n];
                    let expected = vec![f64::from(thread * thread) + 1.0; n];
                    assert_eq!(f.call::<Vec<f64>>((&a, &vec![1.0; n])).unwrap(), expected);
                }
            });
        }
    });
    Ok(())
}

fn address(array: &Array) -> Result<*const f64> {
    Ok(array.as_slice::<f64>()?.as_ptr())
}

#[test]
fn an_array_by_value_becomes_the_result_where_it_is_read_in_place() -> Result<()> {
    let x = vector::<f64>("x");
    let f = compile([&x], &x * &x + 1.0)?;
    let mut state = Array::from_slice(&[2.0; 1000]);
    let first = address(&state)?;
    for expected in [5.0, 26.0, 677.0, 458_330.0] {
        state = f.call((state,))?;
        assert_eq!(address(&state)?, first);
        assert!(state.as_slice::<f64>()?.iter().all(|&x| x == expected), "{state:?}");
    }
    let other = state.clone();
    let result: Array = f.call((state,))?;
    assert_ne!(address(&result)?, first);
    assert_eq!(other.as_slice::<f64>()?[999], 458_330.0);
    assert_eq!(f.call::<Vec<f64>>((other,))?.len(), 1000);
    Ok(())
}

/// Functions of a vector that read it in other places than they write, or more than once.
fn in_place_or_not(x: &Expr) -> [Vec<Expr>; 6] {
    [
        vec![x + x.slice(s![..;-1])],
        vec![x - x.mean(..)],
        vec![x + 1.0, x * 2.0],
        vec![x * 2.0, x.sum(..) + x],
        vec![x.sin(), x.slice(s![..;-1]) * 1.0, x + x.slice(s![..;-1]).cos()],
        vec![x.reshape((2, -1)).transpose().reshape(-1) + x, x.exp() / x.exp().sum(..)],
    ]
}

#[test]
fn results_do_not_depend_on_who_owns_the_argument() -> Result<()> {
    let x = vector::<f64>("x");
    for device in [Device::Cpu, Device::Loops, Device::Interpreter] {
        for outputs in in_place_or_not(&x) {
            let f = Compiler::new().device(device).parallel_threshold(7).compile([&x], &outputs)?;
            for n in [2, 8, 8, 8, 3000] {
                let owned = Array::from_slice(&(0..n).map(|i| f64::from(i % 11) - 3.0).collect::<Vec<_>>());
                let borrowed: Vec<Array> = f.call((&owned,))?;
                let donated: Vec<Array> = f.call((owned,))?;
                assert_eq!(borrowed, donated, "{device:?} {n}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_argument_that_is_read_after_a_result_is_written_does_not_become_it() -> Result<()> {
    let [x, y] = ["x", "y"].map(|name| input(name, DType::F64, [Some(3), Some(3)]));
    let outputs = vec![y.transpose() + 1.0, &x * 2.0];
    let numbers = |first: u8| -> Result<Array> {
        Array::from_slice(&(first..first + 9).map(f64::from).collect::<Vec<_>>()).reshape(&[3, 3])
    };
    for device in [Device::Cpu, Device::Loops, Device::Interpreter] {
        let f = Compiler::new().device(device).compile([&x, &y], &outputs)?;
        let (owned, lent) = (numbers(1)?, numbers(50)?);
        let borrowed: Vec<Array> = f.call((&owned, &lent))?;
        let donated: Vec<Array> = f.call((owned, &lent))?;
        assert_eq!(borrowed, donated, "{device:?}");
    }
    Ok(())
}

/// The first call of a layout, the one that is recorded and those that replay it give the same bits on any number of threads.
#[test]
fn what_is_known_is_split_as_the_first_call_was() -> Result<()> {
    let (x, y) = (matrix::<f64>("x"), matrix::<f64>("y"));
    let values = Array2::from_shape_fn((70, 90), |(i, j)| 1.0 / (1 + i * 90 + j) as f64);
    let other = values.mapv(|value| 1.0 - value);
    let outputs = || [&x * &y + 1.0, (&x * &y).sum(..), &x + y.sum(1).expand_dims(1)];
    for output in outputs() {
        let call = |f: &Function, turned: bool| {
            let (x, y) = if turned { (values.t(), other.t()) } else { (values.view(), other.view()) };
            f.call::<Array>((x, y))
        };
        let alone = Compiler::new().threads(1).compile([&x, &y], &output)?;
        for threads in [2, 3, 8] {
            let shared = Compiler::new().threads(threads).parallel_threshold(1).compile([&x, &y], &output)?;
            for (turned, round) in [false, true].into_iter().flat_map(|turned| (0..6).map(move |round| (turned, round)))
            {
                let (right, ours) = (call(&alone, turned)?, call(&shared, turned)?);
                assert_eq!(ours, right, "{threads} threads, round {round}");
            }
        }
    }
    Ok(())
}

/// Calls that follow each other closely are shared with a thread that comes for them; their results are the same.
#[test]
fn small_calls_in_a_row_keep_their_bits() -> Result<()> {
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let (a, b): (Vec<f64>, Vec<f64>) = (0..30_000).map(|i| (f64::from(i) / 3e4, 1.0 / f64::from(i + 1))).unzip();
    let sum = (&x * &y).sum(..);
    let right =
        Compiler::new().threads(1).compile([&x, &y], (&x * &y + 1.0, &sum))?.call::<(Vec<f64>, f64)>((&a, &b))?;
    let shared = Compiler::new().threads(2).compile([&x, &y], (&x * &y + 1.0, &sum))?;
    for _ in 0..2_000 {
        assert_eq!(shared.call::<(Vec<f64>, f64)>((&a, &b))?, right);
    }
    Ok(())
}
