//! Products with a vector: right for all layouts, and the same bits for any number of threads.

use std::sync::Arc;

use super::*;
use crate::backend::Pool;

/// So many numbers that are not all alike, exact in single precision.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f64 / 1024.0 - 1.0).collect()
}

/// A matrix of so many rows and columns: the memory, where it starts and its strides.
struct Placed {
    memory: Vec<f64>,
    start: usize,
    strides: [isize; 2],
}

impl Placed {
    /// In each of the layouts: dense rows or columns, with and without gaps, backwards, and neither.
    fn all(rows: usize, columns: usize, seed: usize) -> Vec<Placed> {
        let (r, c) = (rows as isize, columns as isize);
        let layouts = [[c, 1], [c + 3, 1], [1, r], [1, r + 2], [-c, 1], [1, -r], [2 * c, 2], [-1, r], [0, 1], [1, 0]];
        let place = |strides: [isize; 2]| {
            let lowest = strides[0].min(0) * (r - 1) + strides[1].min(0) * (c - 1);
            let highest = strides[0].max(0) * (r - 1) + strides[1].max(0) * (c - 1);
            Placed { memory: numbers((highest - lowest + 1) as usize, seed), start: -lowest as usize, strides }
        };
        layouts.map(place).into()
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        let offset = row as isize * self.strides[0] + column as isize * self.strides[1];
        self.memory[(self.start as isize + offset) as usize]
    }

    fn matrix(&mut self) -> Matrix {
        let pointer = self.memory[self.start..].as_mut_ptr().cast::<u8>();
        Matrix { pointer, row_stride: self.strides[0], column_stride: self.strides[1] }
    }
}

fn pools() -> Vec<Parallelism> {
    let pool = |threads| Arc::new(Pool::new(threads));
    [1, 2, 3].map(|threads| Parallelism { pool: Some(pool(threads)), threshold: Some(1) }).into()
}

/// The product by each pool, into memory whose elements are `step` apart.
fn products(sizes: [usize; 3], left: &mut Placed, right: &mut Placed, step: usize, pools: &[Parallelism]) -> Vec<f64> {
    let [rows, _, columns] = sizes;
    let mut first: Option<Vec<f64>> = None;
    for parallelism in pools {
        let mut result = vec![f64::NAN; rows * columns * step];
        let pointer = result.as_mut_ptr().cast::<u8>();
        let out = Matrix { pointer, row_stride: (columns * step) as isize, column_stride: step as isize };
        // SAFETY: all three have memory for the sizes.
        unsafe { matmul(DType::F64, sizes, left.matrix(), right.matrix(), out, parallelism) };
        let written: Vec<f64> = result.iter().copied().step_by(step).collect();
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        if let Some(first) = &first {
            assert_eq!(bits(first), bits(&written), "{sizes:?} {:?}", left.strides);
        }
        first = Some(written);
    }
    first.unwrap()
}

#[test]
fn a_vector_on_either_side_in_any_layout_on_any_threads() {
    let pools = pools();
    for [length, inner] in [[1, 1], [3, 50], [50, 3], [700, 9], [1300, 2100], [2, 9000], [5, 4096], [2049, 1]] {
        let vectors = [[1, 1], [2, 1], [-1, 1], [0, 1]];
        for (index, matrix) in Placed::all(length, inner, 1).iter_mut().enumerate() {
            let [step, _] = vectors[index % vectors.len()];
            let mut vector = Placed { memory: numbers(2 * inner, 2), start: 0, strides: [step, 1] };
            vector.start = if step < 0 { inner - 1 } else { 0 };
            let result = products([length, inner, 1], matrix, &mut vector, 1 + index % 2, &pools);
            check(&result, length, inner, |row, k| matrix.get(row, k) * vector.get(k, 0));
            matrix.strides.reverse();
            vector.strides.reverse();
            let result = products([1, inner, length], &mut vector, matrix, 1 + index % 2, &pools);
            check(&result, length, inner, |column, k| matrix.get(k, column) * vector.get(0, k));
        }
    }
}

#[track_caller]
fn check(result: &[f64], length: usize, inner: usize, term: impl Fn(usize, usize) -> f64) {
    assert_eq!(result.len(), length);
    for (row, &value) in result.iter().enumerate() {
        let terms: Vec<f64> = (0..inner).map(|k| term(row, k)).collect();
        let (sum, size) = (terms.iter().sum::<f64>(), terms.iter().map(|x| x.abs()).sum::<f64>());
        assert!((value - sum).abs() <= inner as f64 * f64::EPSILON * size, "row {row}: {value} is not {sum}");
    }
}

#[test]
fn infinities_and_nans_of_one_row_stay_in_it() {
    for strides in [[43, 1], [1, 600]] {
        let mut matrix = Placed { memory: vec![1.0; 25_800], start: 0, strides };
        for (row, column, value) in [(3, 39, f64::INFINITY), (520, 39, f64::NAN), (7, 42, f64::INFINITY)] {
            matrix.memory[row * strides[0] as usize + column * strides[1] as usize] = value;
        }
        let mut vector = Placed { memory: vec![1.0; 43], start: 0, strides: [1, 1] };
        let result = products([600, 43, 1], &mut matrix, &mut vector, 1, &pools());
        for (row, value) in result.into_iter().enumerate() {
            match row {
                3 | 7 => assert_eq!(value, f64::INFINITY),
                520 => assert!(value.is_nan()),
                _ => assert_eq!(value, 43.0, "row {row}"),
            }
        }
    }
}

/// Products of two matrices, in any layout of the operands and of the result.
#[test]
fn matrices_in_any_layout_on_any_threads() {
    let pools = pools();
    for [rows, inner, columns] in [[2, 1, 2], [3, 2, 5], [5, 40, 3], [17, 300, 33], [90, 100, 80]] {
        let mut rights = Placed::all(inner, columns, 2);
        for (index, left) in Placed::all(rows, inner, 1).iter_mut().enumerate() {
            for right in &mut rights[index % 3..] {
                let (r, c) = (rows as isize, columns as isize);
                let results = [[c, 1], [1, r], [-c, 1], [1, -r], [c, -1], [-1, r], [3 * c, 3]];
                let result = into(results[(index + rows) % results.len()], [rows, inner, columns], left, right, &pools);
                check(&result, rows * columns, inner, |at, k| left.get(at / columns, k) * right.get(k, at % columns));
            }
        }
    }
}

/// The product in row-major order, by each pool into a result of such strides.
fn into(strides: [isize; 2], sizes: [usize; 3], left: &mut Placed, right: &mut Placed, on: &[Parallelism]) -> Vec<f64> {
    let [rows, _, columns] = sizes;
    let [start, last] = [isize::min, isize::max].map(|pick: fn(isize, isize) -> isize| {
        pick(strides[0], 0) * (rows as isize - 1) + pick(strides[1], 0) * (columns as isize - 1)
    });
    let products = on.iter().map(|parallelism| {
        let memory = vec![f64::NAN; (last - start + 1) as usize];
        let mut result = Placed { memory, start: -start as usize, strides };
        // SAFETY: all three have memory for the sizes.
        unsafe { matmul(DType::F64, sizes, left.matrix(), right.matrix(), result.matrix(), parallelism) };
        (0..rows * columns).map(|at| result.get(at / columns, at % columns).to_bits()).collect::<Vec<_>>()
    });
    let products: Vec<_> = products.collect();
    assert!(products.iter().all(|bits| *bits == products[0]), "{sizes:?} {strides:?}");
    products[0].iter().map(|&bits| f64::from_bits(bits)).collect()
}

/// A sum of no products is zero, and nothing is written where there is no result.
#[test]
fn matrices_without_elements() {
    let mut operand = Placed { memory: vec![1.0; 6], start: 0, strides: [2, 1] };
    for (sizes, written) in [([2, 0, 2], 0.0), ([0, 2, 2], 7.0), ([2, 2, 0], 7.0)] {
        let mut result = Placed { memory: vec![7.0; 4], start: 0, strides: [2, 1] };
        // SAFETY: all three have memory for the sizes.
        unsafe {
            matmul(DType::F64, sizes, operand.matrix(), operand.matrix(), result.matrix(), &Parallelism::default())
        };
        assert_eq!(result.memory, [written; 4], "{sizes:?}");
    }
}

/// The products of all dtypes are those of plain loops, which wrap.
#[test]
fn integers_and_bools_wrap_in_any_layout() {
    fn check<T: Number + PartialEq + std::fmt::Debug>(dtype: DType, value: impl Fn(usize) -> T) {
        let (rows, inner) = (70, 2100);
        let mut numbers: Vec<T> = (0..2 * rows * inner).map(value).collect();
        let mut vector = numbers[5..5 + inner].to_vec();
        for [row_stride, column_stride] in [[inner as isize, 1], [1, rows as isize], [2 * inner as isize, 2]] {
            let left = Matrix { pointer: numbers.as_mut_ptr().cast(), row_stride, column_stride };
            let right = Matrix { pointer: vector.as_mut_ptr().cast(), row_stride: 1, column_stride: 1 };
            let [got, expected] = [false, true].map(|is_plain| {
                let mut result = vec![T::ZERO; rows];
                let out = Matrix { pointer: result.as_mut_ptr().cast(), row_stride: 1, column_stride: 1 };
                // SAFETY: all three have memory for the sizes.
                unsafe {
                    match is_plain {
                        true => plain::<T>([rows, inner, 1], left, right, out),
                        false => matmul(dtype, [rows, inner, 1], left, right, out, &Parallelism::none()),
                    }
                }
                result
            });
            assert_eq!(got, expected, "{dtype} {row_stride} {column_stride}");
        }
    }
    check(DType::I8, |i| (i * 37) as i8);
    check(DType::U8, |i| (i * 37) as u8);
    check(DType::I32, |i| (i as i32).wrapping_mul(1 << 20 | 7));
    check(DType::U32, |i| (i as u32).wrapping_mul(1 << 20 | 7));
    check(DType::I64, |i| (i as i64).wrapping_mul(1 << 50 | 7));
    check(DType::U64, |i| (i as u64).wrapping_mul(1 << 50 | 7));
    check(DType::Bool, |i| i % 1999 == 3);
}

/// Blocks that are computed apart, a few at a time, give the bits of the whole.
#[test]
fn blocks_apart_add_up_to_the_whole() {
    for [rows, inner] in [[1, 7000], [9, 5000], [50, 1300], [700, 333], [9000, 33]] {
        let block = block_columns(DType::F64, rows);
        let mut vector = Placed { memory: numbers(inner, 2), start: 0, strides: [1, 1] };
        for matrix in &mut Placed::all(rows, inner, 1) {
            let mut results = [vec![f64::NAN; rows], vec![f64::NAN; rows]];
            let [whole, apart] = results.each_mut().map(|result| {
                let out = Matrix { pointer: result.as_mut_ptr().cast(), row_stride: 1, column_stride: 1 };
                WithVector::new([rows, inner, 1], matrix.matrix(), vector.matrix(), out).unwrap()
            });
            let mut sums = vec![f64::NAN; rows * inner.div_ceil(block)];
            for (part, sums) in sums.chunks_mut(2 * rows).enumerate() {
                let first = 2 * part * block;
                let mut part = WithVector { inner: (2 * block).min(inner - first), ..apart };
                let ahead = first as isize * part.matrix.column_stride * 8;
                part.matrix.pointer = part.matrix.pointer.wrapping_offset(ahead);
                part.vector.pointer = part.vector.pointer.wrapping_add(first * 8);
                // SAFETY: the operands have so many columns left, and there is a sum for each row of each block.
                unsafe { part.block_sums(DType::F64, sums.as_mut_ptr().cast()) };
            }
            // SAFETY: these are the sums of all blocks; the operands have memory for the sizes.
            unsafe {
                apart.add_blocks(DType::F64, inner.div_ceil(block), sums.as_mut_ptr().cast());
                whole.run_in_blocks(DType::F64, &pools()[1]);
            }
            let [whole, apart] = results;
            assert_eq!(whole, apart, "{rows} {inner} {:?}", matrix.strides);
        }
    }
}

/// The vectors of a processor that has them round as plain lanes do that multiply and add at once.
#[test]
#[cfg(target_arch = "x86_64")]
fn vectors_give_the_bits_of_plain_lanes() {
    use super::number::{Lines, Sum};
    use super::round::Lanes;

    if !(std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx2")) {
        return;
    }
    macro_rules! check {
        ($type:ty, $lanes:literal) => {
            let values = |seed| numbers(5000, seed).into_iter().map(|x| (x * 1.1) as $type).collect::<Vec<_>>();
            let (elements, factors) = (values(1), values(2));
            let codes: [(bool, Sum<$type>, Sum<$type>); 2] = [
                (true, rows::sum_rows(), rows::sum_all::<$type, Lanes<$type, $lanes, true>>),
                (false, columns::sum_columns(), columns::sum_all::<$type, Lanes<$type, $lanes, true>>),
            ];
            for (is_row, vectors, plain) in codes {
                for (sums, count) in (0..8).flat_map(|a| (0..130).map(move |b| (a, b))) {
                    let (sums, count) = if is_row { (sums, count) } else { (count, sums + 9) };
                    let step = if is_row { count + 1 } else { sums + 1 } as isize;
                    // What is asked for need not be there.
                    let ahead = (count % 2 == 0).then_some(isize::MAX / 5);
                    let lines = Lines { first: elements.as_ptr(), step, ahead };
                    let mut results = [vec![<$type>::NAN; sums], vec![<$type>::NAN; sums]];
                    for (result, code) in results.iter_mut().zip([vectors, plain]) {
                        // SAFETY: there are as many elements; the processor has what the code is for.
                        unsafe { code(result, lines, factors.as_ptr(), count) };
                    }
                    let [vectors, plain] = results.map(|all| all.into_iter().map(|x| x.to_bits()).collect::<Vec<_>>());
                    assert_eq!(vectors, plain, "{} {is_row} {sums} {count}", stringify!($type));
                }
            }
        };
    }
    check!(f64, 8);
    check!(f32, 16);
}

/// A row has the same bits among others as by itself, however many there are.
#[test]
fn a_row_by_itself_has_the_same_bits() {
    for (rows, inner) in [(5, 3), (7, 50), (9, 17), (6, 2100)] {
        let mut matrix = Placed { memory: numbers(rows * inner, 1), start: 0, strides: [inner as isize, 1] };
        let mut vector = Placed { memory: numbers(inner, 2), start: 0, strides: [1, 1] };
        let all = products([rows, inner, 1], &mut matrix, &mut vector, 1, &pools()[..1]);
        for (row, value) in all.into_iter().enumerate() {
            matrix.start = row * inner;
            let alone = products([1, inner, 1], &mut matrix, &mut vector, 1, &pools()[..1]);
            assert_eq!(alone[0].to_bits(), value.to_bits(), "{row} of {rows} × {inner}");
        }
    }
}
