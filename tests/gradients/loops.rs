//! Loops: derivatives of every kind, in both modes and of second order, against differences and known formulas.

use kroton::{Expr, iterate, iterate_indexed};

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
    check("a state that stands for another", &[V, V], |x| {
        one(iterate(3, [&x[0], &x[1]], |[a, b]| [b.clone(), a * b]))
    });
    check("the number of the step", &[V], |x| {
        one(iterate_indexed(3, [&x[0]], |i, [s]| [s.tanh() * (i + 1) + 0.5]))
    });
    check("no steps", &[V], |x| one(iterate(0, [&(&x[0] * 2.0)], |[s]| [s.sin()])));
    check("one step", &[V], |x| one(iterate(1, [&x[0]], |[s]| [s.sin() * &x[0]])));
    check("linear", &[V], |x| one(iterate(3, [&x[0]], |[s]| [s * 2.0])));
    check("as many steps as elements", &[V], |x| one(iterate(x[0].len(), [&x[0]], |[s]| [s.sin() * &x[0]])));
}
