//! Operands of any rank, dtype and layout: in maps, reductions, views, products, random numbers, and in batches of batches.

use kroton::{
    Compiler, DType, Expr, Scalar, arange, compile, concat, constant, iterate_while, matrix, random, s, vector, vmap,
};
use ndarray::{Array2, array};

use crate::common::{Argument, Layout, Random, engines};
use crate::{SIZES, agree, agree_within, argument, f64s, finite};

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
