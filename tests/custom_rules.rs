//! Derivatives that the user gives, held against those of the same functions as Kroton makes them.

use kroton::{
    DType, Expr, IntoExpr, OnUnused, compile, constant, custom_gradient, grad, hessian, hessian_vector_product,
    iterate, jacobian, jvp, matrix, s, scalar, stack, vector, vjp, vmap,
};
use ndarray::{Array1, Array2};

const X: [f64; 4] = [-1.5, -0.25, 0.5, 2.0];

fn values(inputs: &[&Expr], output: &Expr, args: &[&[f64]]) -> Vec<f64> {
    let inputs: Vec<Expr> = inputs.iter().map(|&input| input.clone()).collect();
    let f = kroton::Compiler::new().on_unused_input(OnUnused::Ignore).compile(&inputs[..], output).unwrap();
    let args: Vec<Array1<f64>> = args.iter().map(|arg| Array1::from(arg.to_vec())).collect();
    let args: Vec<kroton::Arg<'_>> = args.iter().map(kroton::Arg::from).collect();
    let result: kroton::Array = f.call(args.as_slice()).unwrap();
    result.as_slice::<f64>().unwrap().to_vec()
}

fn ones(x: &Expr) -> Expr {
    x * 0.0 + 1.0
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    let near = |a: &f64, b: &f64| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| near(a, b)),
        "{found:?} is not {expected:?}"
    );
}

/// A hyperbolic tangent whose derivative is written with its value.
fn tanh(x: &Expr) -> Expr {
    let [y] = custom_gradient([x], |[x]| [x.tanh()], |_, [y], [c]| [c * (1.0 - &y * &y)]).unwrap();
    y
}

#[test]
fn derivatives_of_any_kind_and_order_follow_the_rule() {
    let (x, v) = (vector::<f64>("x"), vector::<f64>("v"));
    let build = |f: &dyn Fn(&Expr) -> Expr| {
        let y = f(&(&x * &x + 0.25)) * &x + f(&x).exp();
        let loss = (&y * &y).sum(..);
        let third = grad(&hessian_vector_product(&loss, &x, &v).unwrap().square().sum(..), [&x]).unwrap().remove(0);
        vec![
            y.clone(),
            grad(&loss, [&x]).unwrap().remove(0),
            vjp(&y, &v, [&x]).unwrap().remove(0),
            jvp(&y, [(&x, &v)]).unwrap(),
            jacobian(&y, &x).unwrap(),
            hessian(&loss, &x).unwrap(),
            third,
        ]
    };
    for (own, known) in build(&tanh).iter().zip(build(&|x| x.tanh())) {
        let args: [&[f64]; 2] = [&X, &[1.0, -2.0, 0.5, 0.25]];
        assert_close(&values(&[&x, &v], own, &args), &values(&[&x, &v], &known, &args));
    }
}

#[test]
fn the_rule_and_not_the_value_decides() {
    let x = vector::<f64>("x");
    let [y] = custom_gradient([&x], |[x]| [x.sin()], |[x], _, [c]| [c * 3.0 * x]).unwrap();
    assert_eq!(values(&[&x], &y, &[&X]), X.map(f64::sin));
    let g = grad(&y.sum(..), [&x]).unwrap().remove(0);
    assert_eq!(values(&[&x], &g, &[&X]), X.map(|x| 3.0 * x));
    assert_eq!(values(&[&x], &jvp(&y, [(&x, 2.0 * ones(&x))]).unwrap(), &[&X]), X.map(|x| 6.0 * x));
    // The second derivative is that of the rule.
    let second = grad(&g.sum(..), [&x]).unwrap().remove(0);
    assert_eq!(values(&[&x], &second, &[&X]), [3.0; 4]);
}

#[test]
fn operands_of_other_shapes_get_cotangents_of_theirs() {
    let (x, w, b) = (matrix::<f64>("x"), matrix::<f64>("w"), vector::<f64>("b"));
    let layer = |x: &Expr, w: &Expr, b: &Expr| {
        let [y] = custom_gradient(
            [x, w, b],
            |[x, w, b]| [x.matmul(&w) + b],
            |[x, w, _], _, [c]| [c.matmul(w.transpose()), x.transpose().matmul(&c), c.sum(0)],
        )
        .unwrap();
        y
    };
    let by_kroton = |x: &Expr, w: &Expr, b: &Expr| x.matmul(w) + b;
    let build = |f: &dyn Fn(&Expr, &Expr, &Expr) -> Expr| {
        let y = f(&x, &w, &b).tanh();
        let loss = (&y * &y).sum(..);
        let mut all = grad(&loss, [&x, &w, &b]).unwrap();
        all.push(jvp(&y, [(&x, x.cos()), (&w, w.sin())]).unwrap());
        all.push(jacobian(&y, &w).unwrap());
        all.push(hessian(&loss, &b).unwrap());
        all
    };
    let ramp =
        |rows: usize, columns: usize| Array2::from_shape_fn((rows, columns), |(i, j)| (i * 3 + j) as f64 * 0.1 - 0.4);
    let bias = Array1::from(vec![0.1, -0.2]);
    for (own, known) in build(&layer).iter().zip(build(&by_kroton)) {
        let call = |output: &Expr| {
            let f = compile([&x, &w, &b], output).unwrap();
            let result: kroton::Array = f.call((&ramp(4, 3), &ramp(3, 2), &bias)).unwrap();
            result.as_slice::<f64>().unwrap().to_vec()
        };
        assert_close(&call(own), &call(&known));
    }
}

#[test]
fn several_values_share_one_rule() {
    let x = vector::<f64>("x");
    let both =
        |x: &Expr| custom_gradient([x], |[x]| [x.sin(), x.cos()], |_, [s, c], [ds, dc]| [ds * c - dc * s]).unwrap();
    let [s, c] = both(&x);
    for (own, known) in [
        ((&s * &c).sum(..), (x.sin() * x.cos()).sum(..)),
        (s.square().sum(..), x.sin().square().sum(..)),
        (c.exp().sum(..) + (&c * &s * &s).sum(..), x.cos().exp().sum(..) + (x.cos() * x.sin().square()).sum(..)),
    ] {
        for derivative in
            [|f: &Expr, x: &Expr| grad(f, [x]).unwrap().remove(0), |f: &Expr, x: &Expr| hessian(f, x).unwrap()]
        {
            let expected = values(&[&x], &derivative(&known, &x), &[&X]);
            assert_close(&values(&[&x], &derivative(&own, &x), &[&X]), &expected);
        }
    }
    // With respect to a value there is a derivative of what is made of it.
    let g = grad(&(&s * &s * &c).sum(..), [&s]).unwrap().remove(0);
    assert_close(&values(&[&x], &g, &[&X]), &X.map(|x| 2.0 * x.sin() * x.cos()));
}

#[test]
fn numbers_fill_and_operands_that_are_no_floats_are_left_alone() {
    let (x, n) = (vector::<f32>("x"), vector::<i64>("n"));
    let [y] =
        custom_gradient([&x, &n], |[x, n]| [x * n.cast::<f32>()], |_, _, _| [2.0.into_expr(), 0.into_expr()]).unwrap();
    let g = grad(&y.sum(..), [&x]).unwrap();
    assert_eq!((g[0].dtype(), g[0].rank()), (DType::F32, 1));
    let f = kroton::Compiler::new().on_unused_input(OnUnused::Ignore).compile([&x, &n], &g[0]).unwrap();
    assert_eq!(f.call::<Vec<f32>>((&[1.0_f32, 5.0], &[3_i64, 4])).unwrap(), [2.0, 2.0]);
    assert_eq!(f.call::<Vec<f32>>((&[0.0_f32; 0], &[0_i64; 0])).unwrap(), [0.0_f32; 0]);
}

#[test]
fn what_is_used_without_being_an_operand_is_no_silent_zero() {
    let (x, w) = (vector::<f64>("x"), vector::<f64>("w"));
    let y = |w: &Expr| {
        let scaled = w * 2.0;
        let [y] = custom_gradient([&x], |[x]| [x * scaled], |[_], _, [c]| [c * w]).unwrap();
        y.sum(..)
    };
    assert_eq!(values(&[&x, &w], &grad(&y(&w), [&x]).unwrap()[0], &[&[1.0], &[5.0]]), [5.0]);
    for error in [grad(&y(&w), [&w]).unwrap_err(), jvp(&y(&w), [(&w, ones(&w))]).unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains("`custom_gradient`") && text.contains("tests/custom_rules.rs"), "{text}");
        assert!(text.contains("with respect to `w * 2.0`") && text.contains("make it an operand"), "{text}");
    }
    let zero = grad(&y(&w.stop_gradient()), [&w]).unwrap().remove(0);
    assert_eq!(values(&[&x, &w], &zero, &[&[1.0], &[5.0]]), [0.0]);
    // The rule's own expressions have derivatives with respect to everything.
    let mixed = grad(&grad(&y(&w), [&x]).unwrap()[0].sum(..), [&w]).unwrap().remove(0);
    assert_eq!(values(&[&x, &w], &mixed, &[&[1.0], &[5.0]]), [1.0]);
}

#[test]
fn wrong_rules_are_named() {
    let (x, m) = (vector::<f32>("x"), matrix::<f32>("m"));
    let text = |result: kroton::Result<[Expr; 1]>| result.map(|_| ()).unwrap_err().to_string();
    let found = text(custom_gradient([&x, &m], |[x, m]| [m * x], |[x, m], _, [c]| [&c * m, c * x]));
    assert!(found.contains("operand 0 (`x`) is f32[?], and its cotangent (built at tests/custom_rules.rs"), "{found}");
    assert!(found.contains("f32[?, ?]") && found.contains("sum it over axes"), "{found}");
    let found = text(custom_gradient([&x], |[x]| [x.exp()], |_, _, [c]| [c.cast::<f64>()]));
    assert!(found.contains("operand 0 (`x`) is f32[?]") && found.contains("f64[?]; convert it"), "{found}");
    let found = text(custom_gradient([&m], |[m]| [m.exp()], |_, _, [c]| [c.sum_keepdims(0)]));
    assert!(found.contains("f32[1, ?]"), "{found}");
    let found = text(custom_gradient([&x], |[x]| [x.ge(0.0)], |_, _, [c]| [c]));
    assert!(found.contains("value 0 is bool[?]") && found.contains("floats"), "{found}");
    let found = text(custom_gradient([&x], |[x]| [x & 1.5], |_, _, [c]| [c]));
    assert!(found.contains("`and` takes bool"), "{found}");
    let found = text(custom_gradient([&x], |[x]| [x], |_, _, [c]| [c & 1.5]));
    assert!(found.contains("`and` takes bool"), "{found}");
    let crooked: [fn(&Expr) -> Expr; 6] = [
        |c| c.clamp(-1.0, 1.0),
        |c| c + 1.0,
        |c| c.sign(),
        |c| c.stop_gradient(),
        |c| c * c,
        |c| c.gt(0.0).cast::<f32>(),
    ];
    for pullback in crooked {
        let [y] = custom_gradient([&x], |[x]| [x], |_, _, [c]| [pullback(&c)]).unwrap();
        for error in [jvp(&y, [(&x, ones(&x))]).unwrap_err(), jacobian(&y, &x).unwrap_err()] {
            assert!(error.to_string().contains("not linear"), "{error}");
        }
    }
}

#[test]
fn nothing_comes_out_of_branches_that_are_not_taken() {
    let (x, p) = (vector::<f64>("x"), scalar::<f64>("p"));
    let [ln] = custom_gradient([&x], |[x]| [x.ln()], |[x], _, [c]| [c / x]).unwrap();
    let y = p.gt(0.0).select(&ln, 0.0).sum(..) + x.sum(..);
    let f = compile([&x, &p], &grad(&y, [&x]).unwrap()[0]).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&[0.0, 2.0], -1.0)).unwrap(), [1.0, 1.0]);
    assert_eq!(f.call::<Vec<f64>>((&[4.0, 2.0], 1.0)).unwrap(), [1.25, 1.5]);
}

#[test]
fn rules_nest_and_may_be_the_identity() {
    let x = vector::<f64>("x");
    let double = |x: &Expr| {
        let [y] = custom_gradient([x], |[x]| [x], |_, _, [c]| [2.0 * c]).unwrap();
        y
    };
    let y = double(&double(&x));
    assert_eq!(values(&[&x], &y, &[&X]), X);
    assert_eq!(values(&[&x], &grad(&y.sum(..), [&x]).unwrap()[0], &[&X]), [4.0; 4]);
    assert_eq!(values(&[&x], &jvp(&y, [(&x, ones(&x))]).unwrap(), &[&X]), [4.0; 4]);
    // A rule that is made of another one's derivative.
    let [z] =
        custom_gradient([&x], |[x]| [tanh(&x)], |[x], _, [c]| [vjp(&tanh(&x), c, [&x]).unwrap().remove(0)]).unwrap();
    let (own, known) = (hessian(&z.sum(..), &x).unwrap(), hessian(&x.tanh().sum(..), &x).unwrap());
    assert_close(&values(&[&x], &own, &[&X]), &values(&[&x], &known, &[&X]));
    // Operands that are put into another form before they are differentiated.
    let large = (1.0 + (&x * 400.0).exp()).ln();
    let g = grad(&tanh(&(large * 1e-3)).sum(..), [&x]).unwrap().remove(0);
    let found = values(&[&x], &g, &[&[2.0, -2.0]]);
    assert_close(&found, &[0.4 * (1.0 - 0.8_f64.tanh().powi(2)), 0.0]);
}

#[test]
fn loops_may_be_values_and_hold_rules() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let [root] =
        custom_gradient([&x], |[a]| iterate(&n, [&a], |[r]| [0.5 * (&r + &a / &r)]), |_, [r], [c]| [c / (2.0 * r)])
            .unwrap();
    let outputs = [root.clone(), grad(&root.sum(..), [&x]).unwrap().remove(0)];
    let f = compile([&x, &n], &outputs[..]).unwrap();
    let (roots, slopes): (Vec<f64>, Vec<f64>) = f.call((&[4.0, 9.0], 20)).unwrap();
    assert_eq!((roots, slopes), (vec![2.0, 3.0], vec![0.25, 1.0 / 6.0]));
}

#[test]
fn rules_in_loops_are_those_of_every_step() {
    let x = vector::<f64>("x");
    // The rule captures a state of the loop that it lies in.
    let scaled = |x: &Expr, s: &Expr| {
        let s = s.stop_gradient();
        let [y] = custom_gradient([x], |[x]| [x * &s], |_, _, [c]| [c * &s]).unwrap();
        y
    };
    let build = |custom: bool| {
        let step = |s: Expr| if custom { scaled(&tanh(&s), &s) } else { s.tanh() * s.stop_gradient() };
        let [y] = iterate(3, [&x], |[s]| [step(s) + &x]).unwrap();
        let loss = (&y * &y).sum(..);
        let ones = ones(&x);
        let [g] = <[Expr; 1]>::try_from(grad(&loss, [&x]).unwrap()).unwrap();
        [y.clone(), g, jvp(&y, [(&x, &ones)]).unwrap(), jacobian(&y, &x).unwrap(), hessian(&loss, &x).unwrap()]
    };
    for (own, known) in build(true).iter().zip(&build(false)) {
        assert_close(&values(&[&x], own, &[&X]), &values(&[&x], known, &[&X]));
    }
}

#[test]
fn batches_keep_the_rules() {
    let (xs, w) = (matrix::<f64>("xs"), vector::<f64>("w"));
    // Not its own derivative, so that a lost rule shows.
    let rule = |x: &Expr, scale: &Expr| {
        let [y, z] = custom_gradient(
            [x, &w],
            |[x, w]| [x.sin() * w, x.sum(..)],
            |[x, w], _, [c, d]| Ok([3.0 * &c * &w * scale + d, c * x.sin()]),
        )
        .unwrap();
        y * z
    };
    let build = |batched: bool| {
        let scale = |x: &Expr| x.abs().max(..).stop_gradient();
        let y = if batched {
            let [y] = vmap([&xs], |[x]| [rule(&x, &scale(&x))]).unwrap();
            y
        } else {
            let rows: Vec<Expr> = (0..2).map(|row| xs.slice(s![row, ..])).collect();
            stack(rows.iter().map(|x| rule(x, &scale(x))).collect::<Vec<_>>(), 0)
        };
        let g = grad(&y.square().sum(..), [&xs, &w]).unwrap();
        let mixed = grad(&g[0].sum(..), [&w]).unwrap().remove(0);
        [y.clone(), g[0].clone(), g[1].clone(), mixed, jvp(&y, [(&xs, xs.cos()), (&w, ones(&w))]).unwrap()]
    };
    for (own, known) in build(true).iter().zip(&build(false)) {
        let call = |output: &Expr| {
            let f = compile([&xs, &w], output).unwrap();
            let rows = Array2::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as f64 * 0.3 - 0.8);
            let result: kroton::Array = f.call((&rows, &[0.5, -1.0, 2.0])).unwrap();
            result.as_slice::<f64>().unwrap().to_vec()
        };
        assert_close(&call(own), &call(known));
    }
}

#[test]
fn long_chains_are_built_differentiated_and_dropped() {
    let x = scalar::<f64>("x");
    let mut y = x.clone();
    for _ in 0..100_000 {
        [y] = custom_gradient([&y], |[y]| [y + 1.0], |_, _, [c]| [c]).unwrap();
    }
    let g = grad(&y, [&x]).unwrap().remove(0);
    assert_eq!(compile([&x], [&y, &g]).unwrap().call::<(f64, f64)>((1.0,)).unwrap(), (100_001.0, 1.0));
    // What is captured by rules alone.
    let mut z = constant(1.0) * &x;
    for _ in 0..20_000 {
        let captured = z.clone();
        [z] = custom_gradient([&x], |[x]| [x + 1.0], |_, _, [c]| [c * captured]).unwrap();
    }
    assert_eq!(compile([&x], &z).unwrap().call::<f64>((1.0,)).unwrap(), 2.0);
}
