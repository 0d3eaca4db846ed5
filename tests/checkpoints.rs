//! Checkpoints: the same results and derivatives, from less memory.

use kroton::{
    Check, Compiler, Expr, OnUnused, Stage, checkpoint, compile, from_text, grad, hessian, input, iterate, jvp, matrix,
    random, scalar, to_text, vector, vmap,
};
use ndarray::{Array1, Array2};

/// So many layers, as many of them to a block, each block a checkpoint or not.
fn network(x: &Expr, weights: &[Expr], layers: usize, in_checkpoints: bool) -> Expr {
    let mut y = x.clone();
    for block in weights.chunks(layers) {
        let body = |y: Expr| block.iter().fold(y, |y, w| y.matmul(w).tanh());
        y = if in_checkpoints {
            checkpoint([&y], |[y]| [body(y)]).unwrap().into_iter().next().unwrap()
        } else {
            body(y)
        };
    }
    y
}

fn loss(y: &Expr) -> Expr {
    y.square().sum(..)
}

fn small(rows: usize, columns: usize, seed: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| (((i * 7 + j * 3 + seed) % 11) as f64 - 5.0) * 0.09)
}

fn numbers(inputs: &[Expr], output: &Expr, args: &[Array2<f64>]) -> Vec<f64> {
    let compiler = Compiler::new().on_unused_input(OnUnused::Ignore).check(Check::Differential);
    let f = compiler.compile(inputs, output).unwrap();
    let args: Vec<kroton::Arg<'_>> = args.iter().map(kroton::Arg::from).collect();
    let result: kroton::Array = f.call(args.as_slice()).unwrap();
    result.as_slice::<f64>().unwrap().to_vec()
}

/// A line of the report of costs of the optimized program.
fn cost(f: &kroton::Function, name: &str) -> u64 {
    let text = f.dump(Stage::Optimized).unwrap();
    let line = text.lines().find(|line| line.starts_with(&format!("//   {name}"))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn derivatives_are_the_same() {
    let x = matrix::<f64>("x");
    let weights: Vec<Expr> = (0..6).map(|_| matrix::<f64>("w")).collect();
    let inputs: Vec<Expr> = std::iter::once(&x).chain(&weights).cloned().collect();
    let args: Vec<Array2<f64>> =
        (0..7).map(|seed| if seed == 0 { small(2, 3, 1) } else { small(3, 3, seed) }).collect();
    let build = |kept: bool| {
        let y = network(&x, &weights, 2, kept);
        let mut all = grad(&loss(&y), &inputs).unwrap();
        all.push(jvp(&y, [(&x, x.cos()), (&weights[3], weights[3].sin())]).unwrap());
        all.push(hessian(&loss(&y), &x).unwrap());
        all.push(grad(&loss(&all[2]), [&weights[5]]).unwrap().remove(0));
        all
    };
    for (place, (own, known)) in build(true).iter().zip(&build(false)).enumerate() {
        let (own, known) = (numbers(&inputs, own, &args), numbers(&inputs, known, &args));
        let near = own.iter().zip(&known).all(|(a, b)| (a - b).abs() <= 1e-13 * b.abs().max(1e-3));
        // Gradients of the first order are made of the same operations.
        assert!(if place < 7 { own == known } else { near }, "{place}: {own:?} is not {known:?}");
    }
}

#[test]
fn a_gradient_keeps_no_more_than_the_operands() {
    let side = || [Some(1000), Some(1000)];
    let x = input("x", kroton::DType::F64, side());
    let weights: Vec<Expr> = (0..16).map(|_| input("w", kroton::DType::F64, side())).collect();
    let inputs: Vec<Expr> = std::iter::once(&x).chain(&weights).cloned().collect();
    let memory = |layers: usize, kept: bool| {
        let y = network(&x, &weights, layers, kept);
        let f = compile(&inputs, grad(&loss(&y), [&x]).unwrap().remove(0)).unwrap();
        let text = f.dump(Stage::Optimized).unwrap();
        assert_eq!(text.contains("= barrier "), kept, "{text}");
        println!(
            "{layers} layers to a block: {} bytes, {} products",
            cost(&f, "memory"),
            text.matches("= matmul ").count()
        );
        (cost(&f, "memory") / 8_000_000, text.matches("= matmul ").count())
    };
    let (without, products) = memory(4, false);
    let (with, again) = memory(4, true);
    // Sixteen layers are kept; or three operands of blocks and the inside of one.
    assert!(without >= 16, "{without}");
    assert!(with <= 10, "{with} arrays instead of {without}");
    assert_eq!((products, again), (32, 48));
}

#[test]
fn several_results_are_computed_again_once() {
    let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
    let body = |x: &Expr, w: &Expr| {
        let y = x.matmul(w).tanh();
        [y.exp(), y.matmul(w), y.gt(0.0)]
    };
    let build = |kept: bool| {
        let [a, b, positive] = if kept { checkpoint([&x], |[x]| body(&x, &w)).unwrap() } else { body(&x, &w) };
        let loss = (a * positive.select(&b, 2.0)).sum(..) + b.sum(..);
        grad(&loss, [&x, &w]).unwrap()
    };
    let (inputs, args) = ([x.clone(), w.clone()], [small(2, 3, 1), small(3, 3, 2)]);
    for (own, known) in build(true).iter().zip(&build(false)) {
        assert_eq!(numbers(&inputs, own, &args), numbers(&inputs, known, &args));
    }
    let products = |kept| {
        let f = compile(&inputs[..], &build(kept)[..]).unwrap();
        f.dump(Stage::Optimized).unwrap().matches("= matmul ").count()
    };
    assert_eq!(products(true) - products(false), 1);
}

#[test]
fn random_numbers_are_the_same_again() {
    let (x, seed) = (vector::<f64>("x"), scalar::<u64>("seed"));
    let body =
        |x: &Expr, seed: &Expr| random::uniform::<f64>(&random::key(seed), (x.len(),)).gt(0.5).select(x.exp(), 0.0);
    let [y] = checkpoint([&x, &seed], |[x, seed]| [body(&x, &seed)]).unwrap();
    let outputs = [grad(&y.sum(..), [&x]).unwrap().remove(0), grad(&body(&x, &seed).sum(..), [&x]).unwrap().remove(0)];
    let f = compile([&x, &seed], &outputs[..]).unwrap();
    let (own, known): (Vec<f64>, Vec<f64>) = f.call((&Array1::linspace(0.0, 1.0, 100), 7_u64)).unwrap();
    assert_eq!(own, known);
    assert!(own.contains(&0.0) && own.iter().any(|slope| *slope > 1.0));
}

#[test]
fn branches_that_are_not_taken_stay_silent() {
    let x = vector::<f64>("x");
    let [ln] = checkpoint([&x], |[x]| [x.ln()]).unwrap();
    let g = grad(&x.gt(0.0).select(ln, &x).sum(..), [&x]).unwrap().remove(0);
    assert_eq!(compile([&x], g).unwrap().call::<Vec<f64>>((&[0.0, 2.0, -1.0],)).unwrap(), [1.0, 0.5, 1.0]);
}

#[test]
fn checkpoints_nest_and_lie_in_loops() {
    let (x, w, n) = (matrix::<f64>("x"), matrix::<f64>("w"), scalar::<i64>("n"));
    let step = |s: &Expr, kept: bool| {
        let layer = |s: &Expr| s.matmul(&w).tanh();
        if !kept {
            return layer(&layer(&layer(s)));
        }
        let [y] = checkpoint([s], |[s]| {
            let [y] = checkpoint([&s], |[s]| [layer(&layer(&s))]).unwrap();
            [layer(&y)]
        })
        .unwrap();
        y
    };
    let build = |kept: bool| {
        let [y] = iterate(&n, [&x], |[s]| [step(&s, kept)]).unwrap();
        let mut all = grad(&loss(&y), [&x, &w]).unwrap();
        all.push(jvp(&y, [(&w, w.cos())]).unwrap());
        all.push(grad(&loss(&all[0]), [&w]).unwrap().remove(0));
        all
    };
    for (own, known) in build(true).iter().zip(&build(false)) {
        let call = |output: &Expr| {
            let compiler = Compiler::new().check(Check::Differential);
            let f = compiler.compile([&x, &w, &n], output).unwrap();
            let result: kroton::Array = f.call((&small(2, 3, 1), &small(3, 3, 2), 3)).unwrap();
            result.as_slice::<f64>().unwrap().to_vec()
        };
        let (own, known) = (call(own), call(known));
        let near = own.iter().zip(&known).all(|(a, b)| (a - b).abs() <= 1e-13 * b.abs().max(1e-3));
        assert!(near, "{own:?} is not {known:?}");
    }
}

#[test]
fn batches_of_checkpoints_and_of_their_gradients_are_checkpoints() {
    let (xs, w) = (matrix::<f64>("xs"), matrix::<f64>("w"));
    let body = |x: &Expr| x.matmul(&w).tanh().matmul(&w);
    let layer = |x: &Expr, kept: bool| {
        if !kept {
            return body(x);
        }
        let [y] = checkpoint([x], |[x]| [body(&x)]).unwrap();
        y
    };
    let build = |kept: bool| {
        let [ys] = vmap([&xs], |[x]| [layer(&x, kept)]).unwrap();
        let [own] = vmap([&xs], |[x]| Ok([grad(&loss(&layer(&x, kept)), [&w])?.remove(0)])).unwrap();
        [grad(&loss(&ys), [&w]).unwrap().remove(0), own.sum(0)]
    };
    let (inputs, args) = ([xs.clone(), w.clone()], [small(4, 3, 1), small(3, 3, 2)]);
    for (own, known) in build(true).iter().zip(&build(false)) {
        let text = compile(&inputs[..], own).unwrap().dump(Stage::Optimized).unwrap();
        assert!(text.contains("= barrier "), "{text}");
        let (own, known) = (numbers(&inputs, own, &args), numbers(&inputs, known, &args));
        let near = own.iter().zip(&known).all(|(a, b)| (a - b).abs() <= 1e-13 * b.abs().max(1e-3));
        assert!(near, "{own:?} is not {known:?}");
    }
}

#[test]
fn batches_of_chains_that_capture_take_linear_time() {
    let (xs, w) = (vector::<f64>("xs"), scalar::<f64>("w"));
    let layers = |x: &Expr, count| {
        (0..count).try_fold(x.clone(), |y, _| {
            let [y] = checkpoint([&w], |[w]| [w * &y * 0.5 + x])?;
            Ok::<_, kroton::Error>(y)
        })
    };
    for count in [2, 40] {
        let [ys] = vmap([&xs], |[x]| Ok([layers(&x, count)?])).unwrap();
        let f = compile([&xs, &w], &ys).unwrap();
        let known = |x: f64| (0..count).fold(x, |y, _| 3.0 * y * 0.5 + x);
        assert_eq!(f.call::<Vec<f64>>((&[1.0, -2.0], 3.0)).unwrap(), [known(1.0), known(-2.0)]);
    }
}

#[test]
fn checkpoints_that_nest_and_capture_take_linear_time() {
    fn nest(depth: usize, x: &Expr, a: &Expr) -> Expr {
        if depth == 0 {
            return x * a;
        }
        let [y] = checkpoint([x], |[x]| [nest(depth - 1, &x, &(a + &x)).sin()]).unwrap();
        y
    }
    let x = scalar::<f64>("x");
    for depth in [2, 25] {
        let [y] = checkpoint([&x], |[x]| [nest(depth, &x, &(&x * 2.0))]).unwrap();
        let known = (0..depth).fold((2.0 + depth as f64) * 0.7 * 0.7, |y: f64, _| y.sin());
        let own: f64 = compile([&x], &y).unwrap().call((0.7,)).unwrap();
        assert!((own - known).abs() < 1e-12, "{own} is not {known}");
    }
}

#[test]
fn gradients_with_barriers_are_saved_and_shown() {
    let (x, w) = (matrix::<f64>("x"), matrix::<f64>("w"));
    let [y] = checkpoint([&x, &w], |[x, w]| [x.matmul(&w).tanh().matmul(&w)]).unwrap();
    let g = grad(&loss(&y), [&w]).unwrap().remove(0);
    assert!(g.to_string().contains("barrier("), "{g}");
    let text = to_text([&x, &w], &g).unwrap();
    let (inputs, outputs) = from_text(&text).unwrap();
    let args = [small(2, 3, 1), small(3, 3, 2)];
    assert_eq!(numbers(&inputs, &outputs[0], &args), numbers(&[x, w], &g, &args));
}

#[test]
fn long_chains_are_differentiated() {
    let x = scalar::<f64>("x");
    let mut y = x.clone();
    for _ in 0..20_000 {
        [y] = checkpoint([&y], |[y]| [y + 1.0]).unwrap();
    }
    let g = grad(&y, [&x]).unwrap().remove(0);
    assert_eq!(compile([&x], [&y, &g]).unwrap().call::<(f64, f64)>((1.0,)).unwrap(), (20_001.0, 1.0));
}

#[test]
fn numbers_of_steps_may_be_operands() {
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let body = |x: &Expr, n: &Expr| iterate(n, [x], |[s]| [s.sin()]).unwrap();
    let [own] = checkpoint([&x, &n], |[x, n]| body(&x, &n)).unwrap();
    let [known] = body(&x, &n);
    let [own, known] = [own, known].map(|y| grad(&y.sum(..), [&x]).unwrap().remove(0));
    let f = compile([&x, &n], (&own, &known)).unwrap();
    let (own, known): (Vec<f64>, Vec<f64>) = f.call((&[0.5, 1.0, -2.0], 4_i64)).unwrap();
    assert_eq!(own, known);
}
