//! Loops: derivatives of every kind, in both modes and of second order, against differences and known formulas.

use kroton::{Expr, iterate, iterate_indexed, iterate_while_at_most, scan, scan_until};

use crate::structure::check;

const V: &[usize] = &[3];
const M: &[usize] = &[3, 3];

fn one<const N: usize>(states: kroton::Result<[Expr; N]>) -> Expr {
    states.unwrap()[0].clone()
}

#[test]
fn fixed_numbers_of_steps() {
    check("logistic map", &[V], |x| one(iterate(4, [&(&x[0] / 3)], |[s]| [3.7 * &s * (1.0 - s)])));
    check("a scalar", &[&[]], |x| one(iterate(5, [&x[0]], |[s]| [s.sin() + 0.5])));
    check("a captured vector", &[V, V], |x| one(iterate(3, [&x[0]], |[s]| [(s * &x[1]).sin()])));
    check("a captured scalar", &[V, &[]], |x| one(iterate(3, [&x[0]], |[s]| [(s * &x[1]).sin()])));
    check("a captured column", &[M, &[3, 1]], |x| one(iterate(2, [&x[0]], |[s]| [(s * &x[1]).cos()])));
    check("two states", &[V, V], |x| {
        one(iterate(3, [&x[0], &x[1]], |[p, v]| [&p + 0.1 * &v, v - 0.1 * (p + 0.1).sin()]))
    });
    check("a state that stands for another", &[V, V], |x| one(iterate(3, [&x[0], &x[1]], |[a, b]| [b.clone(), a * b])));
    check("the number of the step", &[V], |x| one(iterate_indexed(3, [&x[0]], |i, [s]| [s.tanh() * (i + 1) + 0.5])));
    check("no steps", &[V], |x| one(iterate(0, [&(&x[0] * 2.0)], |[s]| [s.sin()])));
    check("one step", &[V], |x| one(iterate(1, [&x[0]], |[s]| [s.sin() * &x[0]])));
    check("linear", &[V], |x| one(iterate(3, [&x[0]], |[s]| [s * 2.0])));
    check("as many steps as elements", &[V], |x| one(iterate(x[0].len(), [&x[0]], |[s]| [s.sin() * &x[0]])));
}

#[test]
fn bodies_that_tie_elements_together() {
    check("matrix · vector", &[V, M], |x| one(iterate(3, [&x[0]], |[h]| [(x[1].matmul(h) * 0.3).tanh()])));
    check("matrix powers", &[M], |x| one(iterate(2, [&x[0]], |[p]| [p.matmul(&x[0]) * 0.2])));
    check("a reduction", &[V], |x| one(iterate(3, [&x[0]], |[s]| [&s / s.norm(..) + s.sum(..) * 0.1])));
    check("softmax", &[M], |x| one(iterate(2, [&x[0]], |[s]| [s.softmax(1) * &x[0] + 0.5])));
    check("a state of rank 0 beside a vector", &[V, &[]], |x| {
        let [v, t] = iterate(3, [&x[0], &x[1]], |[v, t]| [(&v * &t).sin(), t * 0.5 + v.sum(..) * 0.1]).unwrap();
        v * t
    });
    check("views", &[M], |x| one(iterate(3, [&x[0]], |[s]| [s.transpose() * &x[0] + s.flip(0).sin()])));
    check("slices and joins", &[&[4]], |x| {
        one(iterate(3, [&x[0]], |[s]| {
            use kroton::s;
            [kroton::concat([&s.slice(s![2..]).sin(), &(s.slice(s![..2]) * s.slice(s![1..3]))], 0)]
        }))
    });
}

#[test]
fn sequences_and_histories() {
    check("a sum", &[&[4]], |x| {
        let ([s], [h]) = scan(&x[0], [&kroton::constant(0.5)], |x, [s]| ([&s * &x + &x], [s.sin() * x])).unwrap();
        s * h
    });
    check("a recurrent cell", &[&[3, 2], &[2], &[2, 2]], |x| {
        let ([h], [out]) = scan(&x[0], [&x[1]], |row, [h]| {
            let next = (x[2].matmul(&h) * 0.3 + row).tanh();
            ([next.clone()], [&next * &h])
        })
        .unwrap();
        out.sum(0) + h
    });
    check("rows of rank 0 and states with axes", &[&[3], V, &[]], |x| {
        let ([s], [h]) = scan(&x[0], [&x[1]], |row, [s]| ([(&s * &row).sin() + &x[2]], [s * row])).unwrap();
        h.sum(0) * s
    });
    check("histories only, of a sequence of rows", &[&[3, 2]], |x| {
        let ([_], [h]) = scan(&x[0], [&kroton::constant(0_i64)], |row, [n]| ([&n + 1], [row.exp() * n])).unwrap();
        h
    });
    check("two sequences", &[&[3, 2], &[3]], |x| {
        let ([s], []) =
            scan((&x[0], &x[1]), [&kroton::constant(1.0)], |(a, b), [s]| ([(s * b + a.sum(..)).sin()], [])).unwrap();
        s
    });
    check("no rows", &[&[0], V], |x| {
        let ([s], [h]) = scan(&x[0], [&x[1]], |row, [s]| ([&s * &row], [s])).unwrap();
        s + h.sum(0)
    });
    check("a history that is used alone", &[V], |x| {
        let ([_], [h]) = scan(&kroton::arange(4), [&x[0]], |i, [s]| ([s.sin()], [s.cos() * i])).unwrap();
        h
    });
    check("until a sum is reached", &[&[5], &[]], |x| {
        let ([s], [h], _) = scan_until(&x[0], [&x[1]], |row, [s]| {
            let next = (&s * &row).sin() + &s;
            ([next.clone()], [&next * row], next.gt(3.1))
        })
        .unwrap();
        h * s
    });
    check("until a norm is reached, whole rows", &[&[5, 2], &[2]], |x| {
        let ([s], [h], _) = scan_until(&x[0], [&x[1]], |row, [s]| {
            let next = (&s * &row) * 0.5 + &s;
            ([next.clone()], [&next * row], next.norm(..).gt(5.1))
        })
        .unwrap();
        h * s
    });
}

#[test]
fn conditions() {
    check("for the whole loop", &[V], |x| {
        one(iterate_while_at_most(9, |[s]| s.sum(..).lt(19.3), [&x[0]], |[s]| [&s * 1.5 + s.sin() * 0.1]))
    });
    check("for a number", &[&[], &[]], |x| {
        one(iterate_while_at_most(9, |[s]| s.lt(19.3), [&x[0]], |[s]| [&s * 1.5 + s.sin() * &x[1]]))
    });
    check("for each element", &[V, &[]], |x| {
        one(iterate_while_at_most(9, |[s]| s.lt(9.3), [&x[0]], |[s]| [&s * &x[1] + s.sin() * 0.1]))
    });
    check("for each column, with states of several shapes", &[&[2, 3], V], |x| {
        // Elements make different numbers of steps, which differences do not change.
        let steps = (&x[1] * 3.0 - 1.5).floor();
        let [s, t, _] = iterate_while_at_most(
            6,
            |[_, _, n]| n.lt(&steps),
            [&x[0], &x[1], &(0.0 * &steps)],
            |[s, t, n]| {
                [(&s * &t * 0.3).sin() + s.sum_keepdims(1) * 0.1, (&t + 0.4).sin() + (s * t).sum(..) * 0.05, n + 1]
            },
        )
        .unwrap();
        s * t
    });
    check("that never hold", &[V], |x| one(iterate_while_at_most(9, |[s]| s.lt(0.0), [&x[0]], |[s]| [s.sin()])));
    check("of one step at most, made", &[V, V], |x| {
        let [s, _] = iterate_while_at_most(
            1,
            |[_, go]| go,
            [&x[0], &kroton::constant(true)],
            |[s, go]| [(s * &x[1]).sin(), !go],
        )
        .unwrap();
        s
    });
    check("of one step at most, not made", &[V, V], |x| {
        let [s, _] = iterate_while_at_most(
            1,
            |[_, go]| go,
            [&x[0], &kroton::constant(false)],
            |[s, go]| [(s * &x[1]).sin(), !go],
        )
        .unwrap();
        s
    });
    check("a select", &[V], |x| one(iterate(4, [&x[0]], |[s]| [s.gt(1.4).select(&s * &s * 0.3, &s + 0.17)])));
    check("a select of a whole", &[V], |x| {
        one(iterate(4, [&x[0]], |[s]| [s.sum(..).gt(4.7).select(&s * &s * 0.3, s.sin() + 0.9)]))
    });
}

#[test]
fn loops_in_loops() {
    check("of elements", &[V, V], |x| {
        one(iterate(2, [&x[0]], |[s]| {
            let [t] = iterate(3, [&s], |[t]| [(t * &x[1]).sin() + &s * 0.1]).unwrap();
            [t + 0.3]
        }))
    });
    check("of rows", &[&[3, 2], &[2], &[2, 2]], |x| {
        one(iterate(2, [&x[1]], |[h]| {
            let ([h], [out]) =
                scan(&x[0], [&h], |row, [h]| ([(x[2].matmul(&h) * 0.3 + &row).tanh()], [h * row])).unwrap();
            [h + out.sum(0) * 0.1]
        }))
    });
    check("along an inner state", &[&[2, 3], &[]], |x| {
        one(iterate(2, [&x[0]], |[m]| {
            let ([s], [h]) =
                scan(&m, [&x[1].broadcast_to([x[0].shape(1)])], |row, [s]| ([(&s * &row).sin()], [&s + row])).unwrap();
            [h * s]
        }))
    });
    check("with a condition in each step", &[V], |x| {
        one(iterate(2, [&x[0]], |[s]| {
            // Elements make different numbers of steps, which differences do not change.
            let steps = (&x[0] * 3.0 + 0.5).floor();
            let [t, _] = iterate_while_at_most(
                5,
                |[_, n]| n.lt(&steps),
                [&s, &(0.0 * steps.clone())],
                |[t, n]| [&t * 1.1 + (&s * t).sin() * 0.1, n + 1],
            )
            .unwrap();
            [t.sqrt()]
        }))
    });
}
