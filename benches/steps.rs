//! Loops over steps within kernels, against the same loops written by hand: vectors of AVX2 side by side, their state in
//! registers.
//!
//! `cargo bench --bench steps`. Each case alternates between the two, so that whatever else the machine does meets both.

#[cfg(all(target_arch = "x86_64", unix))]
mod by_hand_steps;

#[cfg(all(target_arch = "x86_64", unix))]
fn main() -> kroton::Result<()> {
    measured::main()
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn main() {
    println!("the loops to compare with need AVX2");
}

#[cfg(all(target_arch = "x86_64", unix))]
mod measured {
    use std::sync::Arc;
    use std::time::Instant;

    use kroton::backend::{Executable, Parallelism, Pool, cpu};
    use kroton::loops::{
        Access, Axis, Base, Binding, Block, Carried, Kernel, Launch, Nest, Operand, OperandId, Operation, Statement,
        ValueId,
    };
    use kroton::ops::BinaryOp::{Add, Div, Lt, Mul, Sub};
    use kroton::ops::{BinaryOp, UnaryOp};
    use kroton::{DType, Result, Scalar};

    use super::by_hand_steps::{self as by_hand, Body};

    const ELEMENTS: usize = 10_000;
    const STEPS: usize = 1_000;
    const PAIRS: usize = 15;

    /// A kernel under construction.
    struct Build {
        kernel: Kernel,
        block: Block,
    }

    impl Build {
        fn define(&mut self, dtype: DType, operation: Operation) -> ValueId {
            let value = self.kernel.new_value(dtype);
            self.block.statements.push(Statement::Let(value, operation));
            value
        }

        fn operand(&mut self, access: Access) -> OperandId {
            self.kernel.operands.push(Operand { dtype: DType::F64, access });
            OperandId(self.kernel.operands.len() as u32 - 1)
        }

        fn read(&mut self) -> ValueId {
            let operand = self.operand(Access::Read);
            self.define(DType::F64, Operation::Load(operand))
        }

        fn constant(&mut self, value: f64) -> ValueId {
            self.define(DType::F64, Operation::Constant(Scalar::F64(value)))
        }

        fn op(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
            self.define(op.row().result(DType::F64), Operation::Binary(op, [a, b]))
        }

        fn take(&mut self) -> Block {
            std::mem::take(&mut self.block)
        }
    }

    /// The kernel of a body: three arrays in, the last two states out.
    fn kernel(body: Body) -> Kernel {
        let empty = Kernel { name: format!("{body:?}"), axes: 2, operands: vec![], types: vec![], body: vec![] };
        let mut k = Build { kernel: empty, block: Block::default() };
        let (x, y, c) = (k.read(), k.read(), k.read());
        let before = k.take();
        let [a, b] = [(); 2].map(|()| k.kernel.new_value(DType::F64));
        let condition = (body == Body::Mandelbrot).then(|| {
            let (aa, bb, four) = (k.op(Mul, a, a), k.op(Mul, b, b), k.constant(4.0));
            let size = k.op(Add, aa, bb);
            let holds = k.op(Lt, size, four);
            (k.take(), holds)
        });
        let next = step(&mut k, body, [a, b], [x, y, c]);
        let results = [(); 2].map(|()| k.kernel.new_value(DType::F64));
        let carried = (0..2)
            .map(|i| Carried { initial: [x, y][i], current: [a, b][i], next: next[i], result: results[i] })
            .collect();
        let steps = vec![Nest::Block(k.take())];
        let looped = match condition {
            Some((condition, holds)) => Nest::While { carried, condition, holds, body: steps },
            None => Nest::Sequential { axis: Axis(1), carried, body: steps },
        };
        for result in results {
            let operand = k.operand(Access::Write);
            k.block.statements.push(Statement::Store(operand, result));
        }
        let after = k.take();
        let body = vec![Nest::Block(before), looped, Nest::Block(after)];
        k.kernel.body = vec![Nest::Map { axes: vec![Axis(0)], body }];
        k.kernel
    }

    /// A step of a body; the same operations in the same order as by hand.
    fn step(k: &mut Build, body: Body, [a, b]: [ValueId; 2], [x, y, c]: [ValueId; 3]) -> [ValueId; 2] {
        match body {
            Body::Particles => {
                let (aa, bb) = (k.op(Mul, a, a), k.op(Mul, b, b));
                let sum = k.op(Add, aa, bb);
                let norm = k.define(DType::F64, Operation::Unary(UnaryOp::Sqrt, sum));
                let minus = k.define(DType::F64, Operation::Unary(UnaryOp::Neg, b));
                let (vx, vy) = (k.op(Div, minus, norm), k.op(Div, a, norm));
                let (dx, dy) = (k.op(Mul, c, vx), k.op(Mul, c, vy));
                [k.op(Add, a, dx), k.op(Add, b, dy)]
            }
            Body::Logistic => {
                let one = k.constant(1.0);
                let (rest, scaled) = (k.op(Sub, one, a), k.op(Mul, c, a));
                [k.op(Mul, scaled, rest), b]
            }
            Body::Horner => {
                let scaled = k.op(Mul, a, c);
                [k.op(Add, scaled, b), b]
            }
            Body::Mandelbrot => {
                let (aa, bb, ab) = (k.op(Mul, a, a), k.op(Mul, b, b), k.op(Mul, a, b));
                let (real, twice) = (k.op(Sub, aa, bb), k.op(Add, ab, ab));
                [k.op(Add, real, x), k.op(Add, twice, y)]
            }
        }
    }

    /// Runs a kernel on these arrays.
    fn launch(executable: &Arc<dyn Executable>, arrays: &mut [Vec<f64>; 5], parallelism: &Parallelism) -> Result<()> {
        let bind = |array: &mut Vec<f64>| Binding {
            base: Base::Host(array.as_mut_ptr().cast()),
            strides: [8, 0].into_iter().collect(),
        };
        let bindings: Vec<Binding> = arrays.iter_mut().map(bind).collect();
        let launch = Launch::new(&[ELEMENTS, STEPS], &bindings);
        // SAFETY: each array has so many elements, and none is another.
        unsafe { executable.launch(&launch, parallelism) }
    }

    pub fn main() -> Result<()> {
        println!("{ELEMENTS} elements × {STEPS} steps, shortest of {PAIRS} interleaved pairs of runs\n");
        println!("{:<12}{:>8}{:>12}{:>12}{:>8}", "", "threads", "kroton", "by hand", "ratio");
        for body in [Body::Particles, Body::Logistic, Body::Horner, Body::Mandelbrot] {
            for threads in [1, 2] {
                case(body, threads)?;
            }
        }
        Ok(())
    }

    fn case(body: Body, threads: usize) -> Result<()> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| kroton::Error::Unsupported(error.to_string()))?;
        let parallelism = Parallelism { pool: Some(Arc::new(Pool::new(threads))), threshold: None };
        let executable = cpu::engine(cpu::InstructionSet::Native)?.prepare(kernel(body))?;
        let mut ours = by_hand::arrays(body, ELEMENTS);
        let mut theirs = ours.clone();
        let (mut fast, mut reference) = (f64::MAX, f64::MAX);
        for _ in 0..PAIRS {
            let start = Instant::now();
            launch(&executable, &mut ours, &parallelism)?;
            fast = fast.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            by_hand::run(body, &mut theirs, STEPS, &pool);
            reference = reference.min(start.elapsed().as_secs_f64());
        }
        assert!(ours[3..] == theirs[3..], "{body:?}: the two differ");
        let times = format!("{:>10.2}ms{:>10.2}ms{:>8.2}", fast * 1e3, reference * 1e3, fast / reference);
        println!("{:<12}{threads:>8}{times}", format!("{body:?}"));
        Ok(())
    }
}
