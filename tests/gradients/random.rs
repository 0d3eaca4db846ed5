//! Gradients of random graphs: forward against reverse mode, against differences along a random direction, and one
//! engine against another.

use kroton::{
    Device, Expr, checkpoint, cond, custom_gradient, grad, hessian_vector_product, iterate, iterate_while_at_most, jvp,
    s, scan, vmap,
};
use ndarray::{ArrayD, IxDyn};

use crate::common::{Random, plain};
use crate::difference::{call, differentiate};

/// One more expression of 3 by 4, 3 by 1 or 4 numbers, made of earlier ones; none grows much.
fn step(pool: &[Expr], random: &mut Random) -> Expr {
    let mut any = || pool[random.below(pool.len())].clone();
    let (a, b, c) = (any(), any(), any());
    let wide = |x: &Expr| x.broadcast_to([3, 4]);
    match random.below(28) {
        0 => &a + &b,
        1 => &a * &b * 0.5,
        2 => &a / (b.abs() + 1.5),
        3 => a.sin() - &b,
        4 => a.tanh(),
        5 => (-a.square()).exp(),
        6 => a.atan2(b.square() + 1.0),
        7 => a.hypot(&b).log1p(),
        8 => a.maximum(&b),
        9 => a.gt(&b).select(a.sin(), c.sigmoid()),
        10 => a.gt(0.0).select(a.sqrt(), &b),
        11 => wide(&a).mean_keepdims(1),
        12 => wide(&a).softmax(-1),
        13 => wide(&a).var(0),
        14 => wide(&a).flip(random.below(2)).slice(s![.., ..2]).matmul(wide(&b).slice(s![..2, ..])),
        15 => kroton::concat([wide(&a).slice(s![1.., ..]), wide(&b).slice(s![..1, ..])], 0),
        16 => wide(&a).transpose().reshape((3, 4)),
        17 => wide(&a).slice(s![..;-1, ..;2]).prod_keepdims(1) * 0.1,
        18 => wide(&a).max(0) + b.logaddexp(&c),
        19..=21 => repeated(&wide(&a), &b, random),
        22..=25 => inside(&wide(&a), &wide(&b), &c, random),
        _ => a.mul_add(&b, &c) * b.cos(),
    }
}

/// A branch, a checkpoint, a value with its derivative or a batch over 3 by 4 numbers, whose body has a few steps.
fn inside(start: &Expr, other: &Expr, captured: &Expr, random: &mut Random) -> Expr {
    let kind = random.below(4);
    let length = random.below(3);
    let mut body = |operands: [Expr; 2]| {
        let mut pool = vec![operands[0].clone(), operands[1].clone(), captured.clone()];
        for _ in 0..=length {
            pool.push(step(&pool, random));
        }
        [(&operands[0] * 0.3 + pool.pop().unwrap()).tanh()]
    };
    let made = match kind {
        0 => {
            let then = body([start.clone(), other.clone()]);
            cond(start.sum(..).gt(other.sum(..)), [start, other], |[a, b]| [a.sin() * b], body)
                .map(|[x]| [x + &then[0]])
        }
        1 => checkpoint([start, other], body),
        2 => custom_gradient(
            [start, other],
            |[a, b]| [(&a * &b).sin()],
            |[a, b], _, [c]| {
                let slope = (&a * &b).cos() * c;
                [&slope * &b, &slope * &a]
            },
        ),
        _ => vmap([start], |[row]| [body([row.broadcast_to([3, 4]), other.clone()])[0].sum(0) + row]),
    };
    let [made] = made.unwrap();
    made
}

/// A loop of some kind over a state of 3 by 4 numbers, whose body has a few random steps, maybe loops among them.
fn repeated(start: &Expr, other: &Expr, random: &mut Random) -> Expr {
    let kind = random.below(5);
    let length = random.below(3);
    let mut body = |state: &Expr, more: &Expr| {
        let mut pool = vec![state.clone(), more.clone(), other.clone()];
        for _ in 0..=length {
            pool.push(step(&pool, random));
        }
        (state * 0.3 + pool.pop().unwrap()).tanh()
    };
    let rows = start.sin() + other;
    let states = match kind {
        0 => iterate(length, [start], |[s]| [body(&s, other)]),
        1 => iterate_while_at_most(3, |[s]| s.sum(..).lt(1.7), [start], |[s]| [body(&s, other)]),
        2 => iterate_while_at_most(3, |[s]| s.lt(0.4), [start], |[s]| [body(&s, other)]),
        3 => scan(&rows, [start], |row, [s]| ([body(&s, &row)], [])).map(|(states, [])| states),
        _ => scan(&rows, [start], |row, [s]| ([s.clone()], [body(&s, &row)])).map(|([s], [h])| [h.sum(0) + s]),
    };
    states.unwrap()[0].clone()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn both_modes_and_differences_agree_on_random_graphs() {
    let mut smooth = 0;
    for seed in 0..50 {
        let mut random = Random(seed);
        let x = kroton::input("x", kroton::DType::F64, [Some(3), Some(4)]);
        let y = kroton::input("y", kroton::DType::F64, [Some(4)]);
        let v = kroton::input("v", kroton::DType::F64, [Some(3), Some(4)]);
        let mut pool = vec![x.clone(), y.clone(), kroton::constant(0.7) * &x + &y];
        for _ in 0..12 {
            pool.push(step(&pool, &mut random));
        }
        let loss = pool[3..].iter().skip(6).fold(kroton::constant(0.0), |loss, term| loss + term.mean(..));
        let slopes = grad(&loss, [&x, &y]).unwrap();
        let outputs = [
            loss.clone(),
            slopes[0].clone(),
            slopes[1].clone(),
            jvp(&loss, [(&x, &v)]).unwrap(),
            hessian_vector_product(&loss, &x, &v).unwrap(),
            grad(&(&slopes[0] * &v).sum(..), [&x]).unwrap().remove(0),
        ];
        let mut array = |shape: &[usize]| ArrayD::from_shape_simple_fn(IxDyn(shape), || random.unit());
        let point = [array(&[3, 4]), array(&[4]), array(&[3, 4])];
        let inputs = [&x, &y, &v];
        let compiled = [Device::Interpreter, Device::Loops, Device::Cpu]
            .map(|device| plain(device).optimize(kroton::OptLevel::Full).compile(inputs, &outputs).unwrap());
        let results = call(&compiled[2], &point);
        for f in &compiled[..2] {
            for (i, (got, expected)) in call(f, &point).iter().zip(&results).enumerate() {
                let largest = expected.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
                let close = got.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-11 * largest);
                assert!(close, "graph {seed}, output {i}: {got:?}, not {expected:?}");
            }
        }
        let direction = point[2].as_slice().unwrap();
        let scale: f64 = 1.0 + results[1].iter().map(|x| x.abs()).sum::<f64>();
        let backward = dot(&results[1], direction);
        assert!((backward - results[3][0]).abs() <= 1e-12 * scale, "graph {seed}: {backward}, {}", results[3][0]);
        let curvature = results[5].iter().map(|x| x.abs()).fold(scale, f64::max);
        let close = results[4].iter().zip(&results[5]).all(|(a, b)| (a - b).abs() <= 1e-11 * curvature);
        assert!(close, "graph {seed}: {:?}, {:?}", results[4], results[5]);
        let moved = |step: f64| {
            call(&compiled[2], &[&point[0] + &(&point[2] * step), point[1].clone(), point[2].clone()])[0][0]
        };
        let difference = differentiate(moved, 1e-14);
        // Steps across a kink do not converge.
        if difference.error < 1e-7 * scale {
            smooth += 1;
            assert!(
                (difference.value - backward).abs() <= 4.0 * difference.error + 1e-11 * scale,
                "graph {seed}: {backward}, {difference:?}"
            );
        }
    }
    assert!(smooth > 25, "{smooth}");
}
