//! `vmap`: a function of one element, on every engine, against calls of it for the elements one by one.

mod common;

use common::{Argument, Layout, Random, engines, plain, scalars, steps};
use kroton::{
    Arg, Array, Compiler, DType, Device, Error, Expr, OnUnused, OptLevel, Scalar, arange, checkpoint, compile, concat,
    cond, constant, grad, iterate, iterate_indexed, iterate_while, iterate_while_at_most, jacobian, matrix, random, s,
    scalar, scan, scan_until, tensor, vector, vjp, vmap,
};
use ndarray::{Array1, Array2, array};

/// Numbers of a small range, so that comparisons and loops go both ways; a NaN and an infinity among floats.
fn argument(dtype: DType, shape: &[usize], layout: Layout, seed: u64) -> Argument {
    let mut random = Random(seed);
    let count = shape.iter().product();
    let mut values: Vec<Scalar> = (0..count).map(|_| Scalar::F64(random.unit() * 4.0 + 1.0).cast(dtype)).collect();
    if dtype.is_float() && count > 9 {
        (values[4], values[7]) = (Scalar::F64(f64::NAN).cast(dtype), Scalar::F64(f64::INFINITY).cast(dtype));
    }
    Argument::new(dtype, shape, values, layout)
}

/// The same numbers without what is not finite.
fn finite(dtype: DType, shape: &[usize], seed: u64) -> Argument {
    let mut random = Random(seed);
    let values = (0..shape.iter().product()).map(|_| Scalar::F64(random.unit()).cast(dtype)).collect();
    Argument::new(dtype, shape, values, Layout::Contiguous)
}

fn element(batch: &Argument, number: usize) -> Argument {
    let count: usize = batch.shape[1..].iter().product();
    let values = batch.values[number * count..(number + 1) * count].to_vec();
    Argument::new(batch.dtype, &batch.shape[1..], values, Layout::Contiguous)
}

fn open(name: &str, like: &[usize], dtype: DType) -> Expr {
    kroton::input(name, dtype, vec![None; like.len()])
}

/// What the function gives for each element, one after the other.
fn one_by_one<const N: usize, const M: usize>(
    batches: &[Argument; N],
    shared: &[(&Expr, &Argument)],
    body: &impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Vec<Array>> {
    let elements: [Expr; N] = std::array::from_fn(|i| open(&format!("x{i}"), &batches[i].shape[1..], batches[i].dtype));
    let inputs: Vec<&Expr> = elements.iter().chain(shared.iter().map(|(expr, _)| *expr)).collect();
    let f = plain(Device::Interpreter).compile(inputs, Vec::from(body(elements.clone()))).unwrap();
    let call = |number| {
        let own: Vec<Argument> = batches.iter().map(|batch| element(batch, number)).collect();
        let args: Vec<Arg<'_>> = own.iter().chain(shared.iter().map(|(_, value)| *value)).map(Argument::arg).collect();
        f.call(args.as_slice()).unwrap()
    };
    (0..batches[0].shape[0]).map(call).collect()
}

/// Holds the batch against single calls, on every engine, at both levels and for several threads; floats may differ by
/// so many steps of their type.
#[track_caller]
fn agree_within<const N: usize, const M: usize>(
    most: u64,
    batches: [Argument; N],
    shared: &[(&Expr, &Argument)],
    body: impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Array> {
    let expected = one_by_one(&batches, shared, &body);
    let inputs: [Expr; N] = std::array::from_fn(|i| open(&format!("xs{i}"), &batches[i].shape, batches[i].dtype));
    let results = vmap(inputs.each_ref(), body).unwrap();
    let listed: Vec<&Expr> = inputs.iter().chain(shared.iter().map(|(expr, _)| *expr)).collect();
    let args: Vec<Arg<'_>> = batches.iter().chain(shared.iter().map(|(_, value)| *value)).map(Argument::arg).collect();
    let mut last: Vec<Array> = Vec::new();
    for (name, device) in engines() {
        for (level, threads) in [(OptLevel::None, 1), (OptLevel::Full, 1), (OptLevel::Full, 2), (OptLevel::Full, 8)] {
            let compiler = Compiler::new().device(device).optimize(level).threads(threads).parallel_threshold(1);
            let compiler = compiler.exclude("accuracy").on_unused_input(OnUnused::Ignore);
            let f = compiler.compile(&listed[..], Vec::from(results.clone())).unwrap();
            last = f.call(args.as_slice()).unwrap();
            for (output, got) in last.iter().enumerate() {
                assert_eq!(got.shape()[0], batches[0].shape[0], "{name}: output {output}");
                let wanted: Vec<Scalar> = expected.iter().flat_map(|row| scalars(&row[output])).collect();
                let got = scalars(got);
                assert_eq!(got.len(), wanted.len(), "{name} {level:?}: output {output}");
                for (place, (&got, &wanted)) in got.iter().zip(&wanted).enumerate() {
                    let near = common::same(got, wanted) || (got.dtype().is_float() && steps(got, wanted) <= most);
                    let plan = || f.dump(kroton::Stage::All).unwrap();
                    assert!(near, "{name} {level:?}: {output}[{place}] is {got:?}, not {wanted:?}\n{}", plan());
                }
            }
        }
    }
    last
}

#[track_caller]
fn agree<const N: usize, const M: usize>(
    batches: [Argument; N],
    shared: &[(&Expr, &Argument)],
    body: impl Fn([Expr; N]) -> [Expr; M],
) -> Vec<Array> {
    agree_within(0, batches, shared, body)
}

fn f64s(shape: &[usize], seed: u64) -> Argument {
    argument(DType::F64, shape, Layout::Contiguous, seed)
}

/// Batches as they come: several, one, none.
const SIZES: [usize; 3] = [4, 1, 0];

#[test]
fn operands_of_any_ranks_keep_the_batch_in_front() {
    let (w, m) = (vector::<f64>("w"), matrix::<f64>("m"));
    let (w_value, m_value) = (f64s(&[3], 1), f64s(&[2, 3], 2));
    for size in SIZES {
        agree(
            [f64s(&[size], 3), f64s(&[size, 3], 4), f64s(&[size, 2, 3], 5)],
            &[(&w, &w_value), (&m, &m_value)],
            |[a, b, c]| {
                let mixed = (&a + &b) * &c - &w + (&m * &a);
                [mixed.select_less(&b), (&a * 2.0).exp(), b.mul_add(&c, &a), m.maximum(&b), w.clone() * 2.0]
            },
        );
    }
}

trait SelectLess {
    fn select_less(&self, other: &Expr) -> Expr;
}

impl SelectLess for Expr {
    fn select_less(&self, other: &Expr) -> Expr {
        self.lt(other).select(self, other)
    }
}

#[test]
fn every_dtype_and_layout() {
    for dtype in DType::ALL {
        for layout in Layout::ALL {
            let batches = [argument(dtype, &[3, 4], layout, 7), argument(dtype, &[3], layout, 8)];
            agree(batches, &[], |[row, number]| {
                let number = if dtype == DType::Bool { number & &row } else { number + &row };
                [number, row.max(..), row.eq(row.min(..)), row.cast::<f32>().sum(..)]
            });
        }
    }
}

#[test]
fn reductions_and_views_move_in_by_one_axis() {
    for size in SIZES {
        let c = f64s(&[size, 3, 4], 11);
        agree([c], &[], |[c]| {
            [
                c.sum(0),
                c.max(1),
                c.argmin(..),
                c.mean_keepdims(1) + &c,
                c.var(0),
                c.transpose(),
                c.reshape((2, -1)),
                c.sum(..).broadcast_to((2, 3)),
                c.slice(s![1.., ..;-2]),
                c.slice(s![-1, ..]).expand_dims(1),
                concat([&c, &constant(array![[1.0, 2.0, 3.0, 4.0]])], 0),
                c.flip(0) + c.shape(1) + arange(4).cast::<f64>(),
            ]
        });
    }
}

#[test]
fn matrix_products_of_batches_and_shared_matrices() {
    let (m, v) = (matrix::<f64>("m"), vector::<f64>("v"));
    for size in SIZES {
        let (m_value, v_value) = (finite(DType::F64, &[3, 3], 1), finite(DType::F64, &[3], 2));
        let batches = [finite(DType::F64, &[size, 3, 3], 3), finite(DType::F64, &[size, 3], 4)];
        agree_within(64, batches, &[(&m, &m_value), (&v, &v_value)], |[a, x]| {
            [
                a.matmul(&m),
                m.matmul(&a),
                a.matmul(&a),
                a.matmul(&x),
                x.matmul(&a),
                m.matmul(&x),
                x.matmul(&m),
                a.matmul(&v),
                x.dot(&v),
                x.dot(&x),
                m.matmul(&v),
            ]
        });
    }
    for dtype in [DType::Bool, DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::U64, DType::F32] {
        let shared = kroton::input("m", dtype, [None, None]);
        let mut random = Random(9);
        let mut draw = |shape: &[usize]| {
            let count = shape.iter().product();
            let values: Vec<Scalar> = (0..count).map(|_| random.scalar(dtype)).collect();
            Argument::new(dtype, shape, values, Layout::Contiguous)
        };
        let (value, batch) = (draw(&[4, 2]), draw(&[3, 2, 4]));
        agree_within(4096, [batch], &[(&shared, &value)], |[a]| {
            [a.matmul(&shared), shared.matmul(&a), a.matmul(a.transpose())]
        });
    }
}

#[test]
fn what_does_not_depend_on_the_element_is_shared() {
    let (xs, w) = (matrix::<f64>("xs"), vector::<f64>("w"));
    let [shared, own] = vmap([&xs], |[x]| [w.exp(), &x + w.exp()]).unwrap();
    let f = compile([&xs, &w], (&shared, &own)).unwrap();
    let (shared, _): (Array2<f64>, Array2<f64>) = f.call((&array![[1.0], [2.0]], &[0.0])).unwrap();
    assert_eq!(shared, array![[1.0], [1.0]]);
    let [literal] = vmap([&xs], |_| [constant(2.5)]).unwrap();
    assert_eq!((literal.rank(), literal.dtype()), (1, DType::F64));
    let [nothing] = vmap([&xs], |[x]| [x.len().cast::<i64>()]).unwrap();
    let sizes: Vec<i64> = compile([&xs], nothing).unwrap().call((&array![[1.0, 2.0], [2.0, 3.0]],)).unwrap();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn loops_over_batches() {
    let n = scalar::<i64>("n");
    let steps = Argument::new(DType::I64, &[], vec![Scalar::I64(3)], Layout::Contiguous);
    let w = vector::<f64>("w");
    let weights = f64s(&[3], 5);
    for size in SIZES {
        let batches = [f64s(&[size, 3], 1), f64s(&[size], 2), finite(DType::F64, &[size, 3, 3], 3)];
        agree_within(64, batches, &[(&n, &steps), (&w, &weights)], |[x, a, m]| {
            let [y] = iterate(&n, [&x], |[y]| [&y * 0.5 + &a * &w]).unwrap();
            let [z, t] = iterate_indexed(&n, [&w, &a], |i, [z, t]| [&z * &a + i, t + z.sum(..)]).unwrap();
            let [p] = iterate(2, [&w.cos()], |[p]| [m.matmul(p)]).unwrap();
            // States that the batch does not reach, and one that it reaches through another.
            let [q, _, r] = iterate(&n, [&w, &w, &w], |[_, r, k]| [r.clone(), r + &x, k * 2.0]).unwrap();
            let ([_], [h, g]) = scan((&x, &w), [&a], |(x, w), [s]| ([&s + &x * &w], [&s * &w, w + 1.0])).unwrap();
            let [outer] = iterate(2, [&x], |[x]| iterate(&n, [&x], |[y]| [y * &a + &x]).unwrap()).unwrap();
            [y, z, t, p, q, r, h, g, outer]
        });
    }
}

#[test]
fn elements_stop_on_their_own() {
    let w = vector::<f64>("w");
    let weights = finite(DType::F64, &[3], 5);
    for size in SIZES {
        agree([f64s(&[size], 1), f64s(&[size, 3], 2)], &[(&w, &weights)], |[a, x]| {
            let [scalar] = iterate_while(|[y]| y.lt(50.0), [&a.nan_to_num()], |[y]| [y * 1.5 + 1.0]).unwrap();
            // A condition of rank 0 over states of several ranks.
            let [s, k, total] = iterate_while_at_most(
                20,
                |[_, k, total]| total.lt(30.0) & k.lt(9),
                [&x, &constant(0_i32), &a],
                |[s, k, t]| [&s + &w, k + 1, t + s.abs().sum(..)],
            )
            .unwrap();
            // A condition with axes.
            let [halves] = iterate_while(|[y]| y.ge(1.0) & y.lt(1e9), [&x], |[y]| [y / 2.0]).unwrap();
            // A condition that the batch does not reach.
            let [shared, own] =
                iterate_while(|[k, _]| k.lt(3.0), [&constant(0.0), &x], |[k, y]| [k + 1.0, y * &a]).unwrap();
            let ([sum], [sums, rows], made) = scan_until(&x, [&a], |x, [sum]| {
                let sum = sum + &x;
                ([sum.clone()], [sum.clone(), &w * x], sum.gt(3.0))
            })
            .unwrap();
            [scalar, s, k, total, halves, shared, own, sum, sums, rows, made]
        });
    }
}

#[test]
fn numbers_of_steps_that_differ() {
    let count = |values: &[i64]| {
        let values: Vec<Scalar> = values.iter().map(|&value| Scalar::I64(value)).collect();
        Argument::vector(DType::I64, &values, Layout::Contiguous)
    };
    for counts in [&[3, 0, 7, 1][..], &[2], &[]] {
        let x = f64s(&[counts.len(), 2], 3);
        agree([count(counts), x], &[], |[n, x]| {
            let [power] = iterate(&n, [&x], |[y]| [y * 1.25]).unwrap();
            let [sum, _] = iterate_indexed(&n, [&constant(0_i64), &x], |i, [sum, y]| [sum + i, y]).unwrap();
            let [limited] = iterate_while_at_most(&n, |[y]| y.sum(..).lt(20.0), [&x], |[y]| [y + 3.0]).unwrap();
            [power, sum, limited]
        });
    }
    let (counts, x) = (vector::<i64>("counts"), vector::<f64>("x"));
    let [y] = vmap([&counts, &x], |[n, x]| iterate(n, [&x], |[x]| [x + 1.0])).unwrap();
    for (_, device) in engines() {
        let f = Compiler::new().device(device).compile([&counts, &x], &y).unwrap();
        let error = f.call::<Vec<f64>>((&[2_i64, -3, 5], &[0.0, 0.0, 0.0])).unwrap_err().to_string();
        assert!(error.contains("a loop of -3 steps"), "{error}");
    }
}

#[test]
fn loops_in_branches_and_loops_make_no_steps_for_other_elements() {
    let xs = || Argument::vector(DType::F64, &[1.0, -1.0, 3.0].map(Scalar::F64), Layout::Contiguous);
    let ns = || Argument::vector(DType::I64, &[2, -1, 0].map(Scalar::I64), Layout::Contiguous);
    // Bounded first: what has no end shows as a wrong result.
    agree([xs(), ns()], &[], |[x, _]| {
        let doubled = |[x]: [Expr; 1]| iterate_while_at_most(60, |[y]| y.lt(10.0), [&x], |[y]| [y * 2.0]);
        cond(x.gt(0.0), [&x], doubled, |[x]| [x]).unwrap()
    });
    // Of a batch in a batch, some elements may have stopped.
    agree([f64s(&[3, 2], 4), xs()], &[], |[row, x]| {
        let doubled = |y: &Expr| iterate_while_at_most(60, |[y]| y.abs().lt(10.0), [y], |[y]| [y * 2.0]);
        cond(
            x.gt(0.0),
            [&row, &x],
            |[row, x]| vmap([&row], |[y]| cond((&y + &x).gt(1.5), [&y], |[y]| doubled(&y), |[y]| Ok([y]))),
            |[row, _]| Ok([row]),
        )
        .unwrap()
    });
    agree([ns(), xs()], &[], |[n, x]| {
        // Neither a loop of a fixed number of steps nor a checkpoint between them changes that.
        let [branch] = cond(
            n.ge(0) & x.gt(0.0),
            [&n, &x],
            |[n, x]| {
                let [counted] = iterate(&n, [&x], |[x]| [x + 1.0])?;
                iterate(2, [&counted], |[y]| {
                    checkpoint([&y], |[y]| iterate_while(|[y]| y.lt(10.0), [&y], |[y]| [y * 2.0])).unwrap()
                })
            },
            |[_, x]| Ok([x]),
        )
        .unwrap();
        // The inner loop has an end for as long as the outer one runs; in it, a count.
        let [nested] = iterate_while_at_most(
            n.maximum(1),
            |[y]| y.gt(0.5),
            [&x],
            |[y]| {
                let [y] = iterate_while(
                    |[z]| z.lt(20.0),
                    [&y],
                    |[z]| iterate(z.cast_to(DType::I64), [&z], |[z]| [z + 1.5]).unwrap(),
                )
                .unwrap();
                [y - 20.0]
            },
        )
        .unwrap();
        [branch, nested]
    });
    let xs = vector::<f64>("xs");
    let [y] = vmap([&xs], |[x]| {
        cond(x.gt(0.0), [&x], |[x]| iterate_while(|[y]| y.lt(10.0), [&x], |[y]| [y * 2.0]), |[x]| Ok([x]))
    })
    .unwrap();
    assert_eq!(compile([&xs], &y).unwrap().call::<Vec<f64>>((&[1.0, -1.0],)).unwrap(), [16.0, -1.0]);
}

#[test]
fn random_numbers_differ_by_their_keys() {
    let key = random::key(7_u64);
    let keys = random::split_into(&key, 3);
    let [own, shared] = vmap([&keys], |[own]| {
        let sample = |key: &Expr| random::uniform::<f64>(key, [2]) + random::normal::<f64>(key, [2]);
        [sample(&own), sample(&key)]
    })
    .unwrap();
    let none: [&Expr; 0] = [];
    for (_, device) in engines() {
        let compiler = Compiler::new().device(device);
        let f = compiler.compile(none, (&own, &shared)).unwrap();
        let (own, shared): (Array2<f64>, Array2<f64>) = f.call(()).unwrap();
        let single = |key: Expr| random::uniform::<f64>(&key, [2]) + random::normal::<f64>(&key, [2]);
        for row in 0..3_usize {
            let f = compiler.compile(none, (single(keys.slice(s![row as isize])), single(key.clone()))).unwrap();
            let (one, same): (Vec<f64>, Vec<f64>) = f.call(()).unwrap();
            assert_eq!((own.row(row).to_vec(), shared.row(row).to_vec()), (one, same));
        }
        assert_ne!(own.row(0), own.row(1));
    }
}

#[test]
fn batches_of_batches() {
    for (rows, columns) in [(2, 3), (1, 1), (0, 3), (2, 0)] {
        let batches = [f64s(&[rows, columns, 2], 1), f64s(&[rows], 2)];
        agree(batches, &[], |[x, a]| {
            let [inner] = vmap([&x], |[x]| [x.sum(..) * &a + x.shape(0)]).unwrap();
            let [grown, made] = vmap([&x, &arange(x.shape(0))], |[x, i]| {
                let [y, k] = iterate_while(
                    |[y, k]| y.sum(..).lt(&a + &i) & k.lt(9),
                    [&x.nan_to_num().clamp(0.0, 9.0), &constant(0_i32)],
                    |[y, k]| [y + 1.0, k + 1],
                )?;
                Ok([y, k])
            })
            .unwrap();
            [inner, grown, made]
        });
    }
    // All pairs: the inner batch is shared by the outer one.
    let (x, y) = (vector::<f64>("x"), vector::<f64>("y"));
    let [table] = vmap([&x], |[a]| vmap([&y], |[b]| [(&a - b).abs()])).unwrap();
    let table: Array2<f64> = compile([&x, &y], table).unwrap().call((&[1.0, 5.0], &[2.0, 3.0, 4.0])).unwrap();
    assert_eq!(table, array![[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]);
}

#[test]
fn gradients_of_batches_and_batches_of_gradients() {
    let (xs, ys, w) = (matrix::<f64>("xs"), vector::<f64>("ys"), vector::<f64>("w"));
    let loss = |x: &Expr, y: &Expr| ((x.dot(&w)).tanh() - y).square();
    let [losses] = vmap([&xs, &ys], |[x, y]| [loss(&x, &y)]).unwrap();
    let total = grad(&losses.sum(..), [&w]).unwrap().remove(0);
    let [each, slopes] = vmap([&xs, &ys], |[x, y]| {
        let loss = loss(&x, &y);
        let mut gradients = grad(&loss, [&w, &x])?;
        Ok([gradients.remove(0), gradients.remove(0)])
    })
    .unwrap();
    let by_hand = grad(&(xs.dot(&w).tanh() - &ys).square().sum(..), [&w, &xs]).unwrap();
    let f = compile([&xs, &ys, &w], (&total, &each.sum(0), &by_hand[0], &slopes, &by_hand[1])).unwrap();
    let values = array![[0.5, -1.0, 2.0], [0.25, 0.75, -0.5]];
    let results: Vec<Array> = f.call((&values, &[1.0, -1.0], &[0.5, 0.25, -0.125])).unwrap();
    let [total, summed, expected, slopes, moved] = std::array::from_fn(|i| results[i].as_slice::<f64>().unwrap());
    for (got, expected) in [(total, expected), (summed, expected), (slopes, moved)] {
        assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{got:?} {expected:?}");
    }
}

#[test]
fn gradients_through_products_of_two_batches() {
    let (a, b) = (tensor::<f64>("a", 3), tensor::<f64>("b", 3));
    let small = kroton::input("small", DType::F64, [None, Some(2), Some(2)]);
    let [losses] = vmap([&a, &b, &small], |[a, b, s]| {
        let product = a.matmul(&b);
        [product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..)]
    })
    .unwrap();
    let together = grad(&losses.sum(..), [&a, &b, &small]).unwrap();
    let each = vmap([&a, &b, &small], |[a, b, s]| {
        let product = a.matmul(&b);
        let loss = product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..);
        let gradients: [Expr; 3] = grad(&loss, [&a, &b, &s])?.try_into().unwrap();
        Ok(gradients)
    })
    .unwrap();
    let outputs: Vec<Expr> = each.into_iter().chain(together).collect();
    let draw = |shape: &[usize], seed| finite(DType::F64, shape, seed);
    for size in SIZES {
        let values = [draw(&[size, 4, 3], 1), draw(&[size, 3, 2], 2), draw(&[size, 2, 2], 3)];
        let args: Vec<Arg<'_>> = values.iter().map(Argument::arg).collect();
        for (name, device) in engines() {
            let f = Compiler::new().device(device).compile([&a, &b, &small], outputs.clone()).unwrap();
            let results: Vec<Array> = f.call(args.as_slice()).unwrap();
            for (each, together) in results[..3].iter().zip(&results[3..]) {
                assert_eq!(each.shape(), together.shape());
                let (each, together) = (each.as_slice::<f64>().unwrap(), together.as_slice::<f64>().unwrap());
                assert!(each.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {each:?} {together:?}");
            }
        }
        // The same by hand, for the first element.
        let first: Vec<Argument> = values.iter().filter(|_| size > 0).map(|batch| element(batch, 0)).collect();
        let [x, y, s] = [matrix::<f64>("x"), matrix::<f64>("y"), matrix::<f64>("s")];
        let product = x.matmul(&y);
        let loss = product.sin().sum(..) + product.matmul(s.matmul(&s)).square().sum(..);
        let f = compile([&x, &y, &s], grad(&loss, [&x, &y, &s]).unwrap()).unwrap();
        let g = compile([&a, &b, &small], outputs.clone()).unwrap();
        if size > 0 {
            let single: Vec<Array> = f.call(first.iter().map(Argument::arg).collect::<Vec<_>>().as_slice()).unwrap();
            let batch: Vec<Array> = g.call(args.as_slice()).unwrap();
            for (single, batch) in single.iter().zip(&batch) {
                let (single, batch) = (single.as_slice::<f64>().unwrap(), batch.as_slice::<f64>().unwrap());
                assert!(single.iter().zip(batch).all(|(a, b)| (a - b).abs() < 1e-12), "{single:?} {batch:?}");
            }
        }
    }
}

#[test]
fn gradients_through_loops_in_a_batch() {
    let (xs, w, counts) = (matrix::<f64>("xs"), vector::<f64>("w"), vector::<i64>("counts"));
    let loss = |x: &Expr, n: &Expr| -> kroton::Result<Expr> {
        let [y] = iterate(4, [x], |[y]| [(&y * &w).sin() + x])?;
        let [z, _] =
            iterate_while_at_most(9, |[_, k]| k.lt(n), [&y, &constant(0_i64)], |[z, k]| [z * 0.5 + &w, k + 1])?;
        let ([s], [h]) = scan((&z, &w), [&constant(1.0)], |(z, w), [s]| ([&s * 0.5 + &z * w], [&s * z]))?;
        Ok(s + h.sum(..))
    };
    let each = vmap([&xs, &counts], |[x, n]| {
        let loss = loss(&x, &n)?;
        let [to_w, to_x]: [Expr; 2] = grad(&loss, [&w, &x])?.try_into().unwrap();
        Ok([loss, to_w, to_x])
    })
    .unwrap();
    let together = grad(&each[0].sum(..), [&w, &xs]).unwrap();
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let single = loss(&x, &n).unwrap();
    let by_hand: Vec<Expr> = [single.clone()].into_iter().chain(grad(&single, [&w, &x]).unwrap()).collect();
    let (rows, steps, weights) = (array![[0.5, -1.0], [0.25, 2.0], [1.0, 0.0]], [0_i64, 3, 20], [0.75, -0.5]);
    for (name, device) in engines() {
        let compiler = Compiler::new().device(device);
        let outputs: Vec<Expr> = each.iter().cloned().chain(together.clone()).collect();
        let results: Vec<Array> =
            compiler.compile([&xs, &counts, &w], outputs).unwrap().call((&rows, &steps, &weights)).unwrap();
        let flat: Vec<&[f64]> = results.iter().map(|result| result.as_slice().unwrap()).collect();
        let f = compiler.compile([&x, &n, &w], by_hand.clone()).unwrap();
        let mut summed = [0.0; 2];
        for row in 0..3 {
            let expected: Vec<Array> = f.call((&rows.row(row), steps[row], &weights)).unwrap();
            for (output, expected) in expected.iter().enumerate() {
                let expected = expected.as_slice::<f64>().unwrap();
                let got = &flat[output][row * expected.len()..(row + 1) * expected.len()];
                assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {got:?} {expected:?}");
                if output == 1 {
                    summed.iter_mut().zip(expected).for_each(|(sum, slope)| *sum += slope);
                }
            }
        }
        assert!(flat[3].iter().zip(&summed).all(|(a, b)| (a - b).abs() < 1e-12), "{name}: {:?} {summed:?}", flat[3]);
        assert!(flat[4].iter().zip(flat[2]).all(|(a, b)| (a - b).abs() < 1e-12), "{name}");
    }
}

#[test]
fn a_jacobian_is_a_batch_of_products() {
    let (x, m) = (vector::<f64>("x"), matrix::<f64>("m"));
    let y = m.matmul(x.sin()) * x.cumulated();
    let rows = y.shape(0);
    let units = arange(&rows).expand_dims(1).eq(arange(&rows)).cast::<f64>();
    let [pulled] = vmap([&units], |[unit]| Ok([vjp(&y, unit, [&x])?.remove(0)])).unwrap();
    let f = compile([&x, &m], (pulled, jacobian(&y, &x).unwrap())).unwrap();
    let values = Array2::from_shape_fn((3, 3), |(i, j)| (i * 3 + j) as f64 / 4.0);
    let (pulled, expected): (Array2<f64>, Array2<f64>) = f.call((&[0.5, -1.5, 2.0], &values)).unwrap();
    assert!(pulled.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{pulled} {expected}");
}

trait Cumulated {
    fn cumulated(&self) -> Expr;
}

impl Cumulated for Expr {
    /// The sums up to each element.
    fn cumulated(&self) -> Expr {
        let places = arange(self.len());
        places.expand_dims(1).ge(&places).select(self, 0.0).sum(1)
    }
}

#[test]
fn what_cannot_be_a_batch_is_refused() {
    let (x, y) = (scalar::<f64>("x"), vector::<f64>("y"));
    let refused = |result: kroton::Result<[Expr; 1]>| match result {
        Err(Error::Build { message, location }) => {
            assert!(location.file().ends_with("batching.rs") && location.line() > 10, "{location}");
            message
        }
        other => panic!("{other:?}"),
    };
    let message = refused(vmap([&y, &x], |[a, _]| [a]));
    assert!(message.contains("`vmap` runs along axis 0") && message.contains("input 1, `x`, is f64[]"), "{message}");
    let none: [&Expr; 0] = [];
    assert!(refused(vmap(none, |_| [x.clone()])).contains("at least one input"));
    let three = kroton::input("three", DType::F64, [Some(3), None]);
    let four = kroton::input("four", DType::I32, [Some(4)]);
    let message = refused(vmap([&y, &three, &four], |[_, a, b]| [a + b]));
    assert!(message.contains("`three` is f64[3, ?] and `four` is i32[4]"), "{message}");
    // An element is no size, nor anything else that a call must know before it begins.
    let counts = vector::<i64>("counts");
    let error = vmap([&counts], |[n]| [arange(n)]).unwrap_err().to_string();
    assert!(error.contains("is not a size"), "{error}");
    let error = vmap([&y], |[a]| [a.matmul(&y)]).unwrap_err().to_string();
    assert!(error.contains("`matmul` takes arrays of rank 1 or 2"), "{error}");
    let mut kept = None;
    let _ = vmap([&y], |[a]| {
        kept = Some(a.clone());
        [a]
    });
    assert!(compile([&y], kept.unwrap() + &y).is_err());
}

#[test]
fn batch_sizes_are_checked_by_the_call() {
    let (x, y) = (vector::<f64>("x"), matrix::<f64>("y"));
    let [a, b] = vmap([&x, &y], |[x, y]| [&x * 2.0, y.sum(..)]).unwrap();
    for (_, device) in engines() {
        let f = Compiler::new().device(device).compile([&x, &y], (&a, &b)).unwrap();
        let mut out = ([7.0; 3], [7.0; 3]);
        let error = f.call_into((&[1.0; 3], &Array2::<f64>::zeros((2, 1))), (&mut out.0, &mut out.1)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("axis 0 of `y` is 2") && error.contains("axis 0 of `x` is 3"), "{error}");
        assert!(error.contains("batching.rs"), "{error}");
        assert_eq!(out, ([7.0; 3], [7.0; 3]));
    }
    let one = kroton::input("one", DType::F64, [Some(1)]);
    let [sum] = vmap([&x, &one], |[a, b]| [a + b]).unwrap();
    let f = compile([&x, &one], sum).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[1.0], &[2.0])).unwrap(), [3.0]);
    assert!(f.call::<Vec<f64>>((&[1.0, 2.0], &[2.0])).is_err());
}

#[test]
fn long_chains_and_wide_bodies() {
    let x = vector::<f64>("x");
    let [y] = vmap([&x], |[x]| [(0..100_000).fold(x.clone(), |y, _| y * 0.5 + &x)]).unwrap();
    assert_eq!(y.rank(), 1);
    // A state that is reached after many others.
    let [first, ..] = vmap([&x], |[x]| {
        let zero = constant(0.0);
        let initial: [&Expr; 40] = std::array::from_fn(|i| if i == 39 { &x } else { &zero });
        iterate(50, initial, |states| std::array::from_fn(|i| states[(i + 1).min(39)].clone() + 1.0))
    })
    .unwrap();
    let first: Array1<f64> = compile([&x], first).unwrap().call((&[1.0, 2.0],)).unwrap();
    assert_eq!(first, array![51.0, 52.0]);
}

#[test]
fn there_is_no_loop_over_the_batch() {
    let (xs, w) = (tensor::<f64>("xs", 3), matrix::<f64>("w"));
    let [y] = vmap([&xs], |[x]| [(x.matmul(&w) + 1.0).tanh().sum(1)]).unwrap();
    let text = kroton::to_text([&xs, &w], &y).unwrap();
    assert!(!text.contains("loop") && text.matches("matmul").count() == 1, "{text}");
}

#[test]
fn many_batched_parts_are_joined_in_order() {
    let xs = vector::<f64>("xs");
    let [joined] = vmap([&xs], |[x]| {
        let parts: Vec<Expr> = (0..2_000).map(|number| (&x + number as f64).expand_dims(0)).collect();
        [kroton::concat(&parts, 0)]
    })
    .unwrap();
    let joined: ndarray::Array2<f64> = compile([&xs], joined).unwrap().call((&[0.5, 10.0],)).unwrap();
    assert_eq!(joined, ndarray::Array2::from_shape_fn((2, 2_000), |(row, part)| [0.5, 10.0][row] + part as f64));
}
