//! Derivatives of loops beside those of the same steps written out: two roads to one function, of which only one knows loops.

use kroton::{
    Array, Compiler, Device, Expr, Result, constant, grad, hessian_vector_product, iterate, iterate_indexed,
    iterate_while_at_most, jvp, matrix, scan, vector,
};
use ndarray::{Array1, Array2};

type Outcome = Result<()>;

/// A body: from a state of 3 elements, a weight matrix of 3 × 3 and a vector of 3 to the next state.
type Step = fn(&Expr, &Expr, &Expr) -> Expr;

/// Bodies that are elementwise, reduce, multiply, choose, hold loops, and have steps without a slope.
const STEPS: [(&str, Step); 10] = [
    ("elementwise", |s, _, v| (s * v).sin() + 0.5 * s),
    ("logistic", |s, _, v| v * s * (1.0 - s)),
    ("cell", |s, w, v| (w.dot(s) + v).tanh()),
    ("normalized", |s, w, _| w.dot(s) / (1.0 + s.square().sum(..))),
    ("softmax", |s, _, v| {
        let e = (s - s.max(..)).exp();
        &e / e.sum(..) + v * s
    }),
    ("chosen", |s, _, v| s.gt(v).select(s * 0.5, (s + 2.0).sqrt() * v)),
    ("views", |s, w, v| s.flip(0) * 0.3 + w.transpose().slice(ndarray::s![1, ..]) * v),
    ("nested", |s, w, v| {
        let inner = iterate(2, [s], |[t]| [w.dot(&t) * 0.5 + v.cos()]);
        inner.map_or_else(|_| s.clone(), |[last]| last)
    }),
    ("captured only", |s, w, v| v * w.sum(..) + 0.0 * s),
    ("rounded", |s, _, v| (s * 2.0).floor() * v + s * v),
];

/// The compilers that results are compared on.
fn everywhere() -> Vec<Compiler> {
    let engine = |device: Device, threads: usize| Compiler::new().device(device).threads(threads);
    vec![engine(Device::Interpreter, 1), engine(Device::Loops, 1), engine(Device::Cpu, 1), engine(Device::Cpu, 2)]
}

struct Program {
    state: Expr,
    weights: Expr,
    drive: Expr,
}

impl Program {
    fn new() -> Program {
        let fixed = |name: &str, rank: usize| kroton::input(name, kroton::DType::F64, vec![Some(3); rank]);
        Program { state: fixed("state", 1), weights: fixed("weights", 2), drive: fixed("drive", 1) }
    }

    /// Gradients, a tangent and a product with second derivatives of a weighted sum of the outputs.
    fn derivatives(&self, outputs: &[Expr]) -> Result<Vec<Expr>> {
        let weighted = |(index, output): (usize, &Expr)| (output * (1.0 + index as f64)).sum(..);
        let loss = outputs.iter().enumerate().map(weighted).reduce(|a, b| a + b).unwrap_or_else(|| constant(0.0));
        let mut derivatives = vec![loss.clone()];
        derivatives.extend(grad(&loss, [&self.state, &self.weights, &self.drive])?);
        derivatives.push(jvp(&outputs[0], [(&self.state, &self.drive), (&self.drive, &self.state)])?);
        derivatives.push(hessian_vector_product(&loss, &self.weights, self.weights.transpose())?);
        derivatives.push(hessian_vector_product(&loss, &self.drive, &self.state)?);
        Ok(derivatives)
    }

    fn compare(&self, title: &str, looped: &[Expr], written_out: &[Expr]) -> Outcome {
        let inputs = [&self.state, &self.weights, &self.drive];
        let weights = Array2::from_shape_fn((3, 3), |(i, j)| 0.4 - 0.3 * i as f64 + 0.2 * j as f64);
        let [state, drive] = [[0.3, -0.2, 0.7], [0.9, 0.4, -0.6]].map(|values| Array1::from_vec(values.to_vec()));
        let (looped, expected) = (self.derivatives(looped)?, self.derivatives(written_out)?);
        let quiet = |compiler: Compiler| compiler.on_unused_input(kroton::OnUnused::Ignore);
        let interpreter = quiet(Compiler::new().device(Device::Interpreter)).compile(inputs, expected)?;
        let expected: Vec<Array> = interpreter.call((&state, &weights, &drive))?;
        for compiler in everywhere() {
            let f = quiet(compiler).compile(inputs, looped.clone())?;
            let found: Vec<Array> = f.call((&state, &weights, &drive))?;
            for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
                near(&format!("{title}, derivative {number}"), found.as_slice()?, expected.as_slice()?);
            }
        }
        Ok(())
    }
}

/// Sums are taken in other orders, so a few roundings of the largest element are allowed.
fn near(title: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{title}");
    let largest = expected.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-12 * largest, "{title}: {found} instead of {expected}");
    }
}

#[test]
fn a_number_of_steps() -> Outcome {
    let program = Program::new();
    let Program { state, weights, drive } = &program;
    for (title, step) in STEPS {
        for count in [0, 1, 2, 5] {
            let [looped] = iterate(count, [state], |[s]| [step(&s, weights, drive)])?;
            let written_out = (0..count).fold(state.clone(), |s, _| step(&s, weights, drive));
            program.compare(&format!("{title}, {count} steps"), &[looped], &[written_out])?;
        }
    }
    Ok(())
}

#[test]
fn steps_that_know_their_number() -> Outcome {
    let program = Program::new();
    let Program { state, weights, drive } = &program;
    for (title, step) in STEPS {
        let scaled = |number: &Expr, s: &Expr| step(&(s / (1.0 + number.cast::<f64>())), weights, drive);
        let [looped] = iterate_indexed(4, [state], |number, [s]| [scaled(&number, &s)])?;
        let written_out = (0..4).fold(state.clone(), |s, number| scaled(&constant(number as i64), &s));
        program.compare(title, &[looped], &[written_out])?;
    }
    Ok(())
}

#[test]
fn rows_and_histories() -> Outcome {
    let program = Program::new();
    let Program { state, weights, drive } = &program;
    for (title, step) in STEPS {
        let (last, history) = scan(weights, [state], |row, [s]| {
            let next = step(&s, weights, &(drive * &row));
            ([next.clone()], [next * row.exp()])
        })?;
        let (mut s, mut emitted) = (state.clone(), Vec::new());
        for number in 0..3 {
            let row = weights.slice(ndarray::s![number, ..]);
            s = step(&s, weights, &(drive * &row));
            emitted.push(&s * row.exp());
        }
        let history_written_out = kroton::stack(&emitted, 0);
        program.compare(title, &[history[0].clone(), last[0].clone()], &[history_written_out, s])?;
    }
    Ok(())
}

/// Up to four steps of every body, for as long as a condition on the state holds.
fn compare_guarded(kind: &str, goes_on: fn(&Expr) -> Expr) -> Outcome {
    let program = Program::new();
    let Program { state, weights, drive } = &program;
    for (title, step) in STEPS {
        let [looped] = iterate_while_at_most(4, |[s]| goes_on(&s), [state], |[s]| [step(&s, weights, drive)])?;
        let (mut s, mut open) = (state.clone(), goes_on(state));
        for _ in 0..4 {
            s = open.select(step(&s, weights, drive), &s);
            open &= goes_on(&s);
        }
        program.compare(&format!("{title}, {kind}"), &[looped], &[s])?;
    }
    Ok(())
}

#[test]
fn as_long_as_a_condition_holds() -> Outcome {
    compare_guarded("for all", |s| s.square().sum(..).lt(2.0))
}

#[test]
fn elements_that_stop_by_themselves() -> Outcome {
    compare_guarded("for each", |s| s.lt(0.5))
}

/// Many steps of a map whose sensitivity is known: x ↦ 2x modulo 1 doubles what differs.
#[test]
fn sensitivities_grow_as_they_must() -> Outcome {
    let x = vector::<f64>("x");
    let [last] = iterate(40, [&x], |[x]| {
        let twice = 2.0 * x;
        [&twice - twice.floor()]
    })?;
    let gradient = grad(&last.sum(..), [&x])?;
    for compiler in everywhere() {
        let f = compiler.compile([&x], &gradient[0])?;
        let gradient: Vec<f64> = f.call((&[0.1, 0.2, 0.7, 0.3, 0.5],))?;
        assert_eq!(gradient, [2_f64.powi(40); 5]);
        assert_eq!(f.call::<Vec<f64>>((&[0.0; 0],))?, [0.0; 0]);
    }
    Ok(())
}

/// Linear recurrences: the gradient by the matrix is known in closed form for commuting matrices.
#[test]
fn powers_of_a_matrix() -> Outcome {
    let (m, n) = (matrix::<f64>("m"), kroton::scalar::<i64>("n"));
    let identity = constant(Array2::<f64>::eye(2));
    let [power] = iterate(&n, [&identity], |[p]| [p.matmul(&m)])?;
    let trace = (&power * &identity).sum(..);
    let gradient = grad(&trace, [&m])?;
    for compiler in everywhere() {
        let f = compiler.compile([&m, &n], (&trace, &gradient[0]))?;
        let m = ndarray::array![[1.0, 2.0], [0.5, -1.0]];
        let (trace, gradient): (f64, Array2<f64>) = f.call((&m, 5))?;
        // ∂ tr(Mⁿ)/∂M = n (Mⁿ⁻¹)ᵀ.
        let expected = m.dot(&m).dot(&m).dot(&m).t().mapv(|x: f64| 5.0 * x);
        near("the trace", &[trace], &[m.dot(&m).dot(&m).dot(&m).dot(&m).diag().sum()]);
        near(
            "its gradient",
            &gradient.iter().copied().collect::<Vec<_>>(),
            &expected.iter().copied().collect::<Vec<_>>(),
        );
    }
    Ok(())
}
