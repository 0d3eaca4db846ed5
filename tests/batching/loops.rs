//! Loops whose elements take their own numbers of steps, and branches.

use kroton::{
    Compiler, DType, Expr, Scalar, checkpoint, compile, cond, constant, iterate, iterate_indexed, iterate_while,
    iterate_while_at_most, scalar, scan, scan_until, vector, vmap,
};

use crate::common::{Argument, Layout, engines};
use crate::{SIZES, agree, agree_within, f64s, finite};

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
