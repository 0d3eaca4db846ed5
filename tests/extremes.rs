//! Sizes, steps and layouts at the edge of what numbers hold: results or errors, never a panic or a stray access.

use kroton::{
    Array, Compiler, DType, Device, Expr, IntoOutPlace, Scalar, arange, compile, concat, constant, full, matrix, s,
    scalar, tensor, vector, zeros,
};
use ndarray::IxDyn;

const DEVICES: [Device; 3] = [Device::Interpreter, Device::Loops, Device::Cpu];

/// Calls a function of all three devices, each of which must give the same shapes.
fn shapes(inputs: &[Expr], outputs: &[Expr], arguments: &[Array]) -> Vec<Vec<usize>> {
    let arguments: Vec<kroton::Arg<'_>> = arguments.iter().map(kroton::Arg::from).collect();
    let mut all = DEVICES.map(|device| {
        let f = Compiler::new().device(device).compile(inputs, outputs).unwrap();
        let results: Vec<Array> = f.call(arguments.as_slice()).unwrap();
        results.iter().map(|result| result.shape().to_vec()).collect::<Vec<_>>()
    });
    assert!(all.iter().all(|shapes| *shapes == all[0]), "{all:?}");
    std::mem::take(&mut all[0])
}

#[test]
fn empty_arrays_may_have_any_other_sizes() {
    let huge = 1_i64 << 40;
    let z = zeros::<f64>([0, huge, huge]) + 1.0;
    assert_eq!(shapes(&[], &[z.flip(..), z.sum([1, 2])], &[])[1], [0]);
    let x = tensor::<f64>("x", 3);
    let argument = Array::zeros(DType::F64, &[1 << 40, 0, 1 << 40]).unwrap();
    let outputs = [x.slice(s![5..;3, .., -5..]) * 2.0, x.permute([2, 1, 0]).exp()];
    assert_eq!(shapes(&[x], &outputs, &[argument])[1], [1 << 40, 0, 1 << 40]);
}

#[test]
fn steps_may_be_longer_than_the_axis() {
    let x = vector::<f64>("x");
    let far = x.slice_axis(0, 0, 1, i64::MAX).slice_axis(0, 0, 1, i64::MAX).flip(0);
    assert_eq!(shapes(&[x], &[far], &[Array::from([1.0, 2.0])]), [vec![1]]);
}

#[test]
fn an_empty_range_may_start_anywhere() {
    let (m, n, k) = (matrix::<f64>("m"), scalar::<i64>("n"), scalar::<i64>("k"));
    let none = m.slice_axis(0, &n, &k, -1);
    let number = |value| Array::from_scalar(Scalar::I64(value));
    for far in [i64::MIN, i64::MAX] {
        let arguments = [Array::zeros(DType::F64, &[2, 3]).unwrap(), number(far), number(far)];
        let outputs = [none.clone(), concat([&none, &m], 0), none.sum(0)];
        assert_eq!(shapes(&[m.clone(), n.clone(), k.clone()], &outputs, &arguments), [vec![0, 3], vec![2, 3], vec![3]]);
    }
}

#[test]
fn a_reshaped_sum_may_be_read_along_its_new_axes() {
    let x = matrix::<f64>("x");
    let row = x.exp().sum(0);
    let outputs = [row.clone(), row.reshape((1, row.len(), 1, 1)) * 2.0, x.sum(..).reshape([1, 1, 1]) + 1.0];
    let result = shapes(&[x], &outputs, &[Array::zeros(DType::F64, &[2, 3]).unwrap()]);
    assert_eq!(result, [vec![3], vec![1, 3, 1, 1], vec![1, 1, 1]]);
    let (x, n) = (vector::<f64>("x"), scalar::<i64>("n"));
    let total = (&x + x.flip(0)).sum(0).reshape((&n, 1)).expand_dims(0);
    let arguments = [Array::from([1.0, 2.0]), Array::from_scalar(Scalar::I64(1))];
    assert_eq!(shapes(&[x, n], &[total.slice(s![.., -1, ..])], &arguments), [vec![1, 1]]);
}

#[test]
fn sizes_that_cannot_be_counted_are_errors() {
    let n: [Expr; 3] = ["a", "b", "c"].map(scalar::<i64>);
    let sum = arange(&n[0] * i64::MAX + &n[1] * i64::MAX + &n[2] * i64::MAX);
    let most = constant(1_i64 << 40);
    let endless = full([most.clone(), most.clone()], 1.0).sum(..);
    for device in DEVICES {
        let f = Compiler::new().device(device).compile(&n, &sum).unwrap();
        let error = f.call::<Vec<i64>>((i64::MAX, i64::MAX, i64::MAX)).unwrap_err().to_string();
        assert!(error.contains("overflows 128 bits"), "{error}");
    }
    let u = scalar::<u64>("u");
    let error = compile([&u], arange(&u)).unwrap().call::<Vec<i64>>((u64::MAX,)).unwrap_err().to_string();
    assert!(error.contains("beyond 9223372036854775807"), "{error}");
    let error = compile([], &endless).unwrap().call::<f64>(()).unwrap_err().to_string();
    assert!(error.contains("more than can be counted"), "{error}");
}

#[test]
fn a_chain_of_sizes_ends_in_an_error() {
    let x = vector::<f64>("x");
    let halved = (0..100_000).fold(x.clone(), |x, _| x.slice(s![..;2]));
    assert!(compile([&x], &halved).unwrap_err().to_string().contains("too many operations"));
    let n = scalar::<i64>("n");
    let power = (0..60).fold(n.clone(), |n, _| &n * &n);
    assert!(compile([&n], arange(power)).unwrap_err().to_string().contains("too many operations"));
}

#[test]
fn a_view_larger_than_memory_is_no_constant() {
    let one = ndarray::arr0(1.0_f64);
    let view = one.broadcast(IxDyn(&[1 << 40, 1 << 22])).unwrap();
    assert!(constant(&view).error().unwrap().to_string().contains("exceeds the address space"));
    let x = matrix::<f64>("x");
    let f = compile([&x], x.slice(s![-1, -2..])).unwrap();
    assert_eq!(f.call::<Vec<f64>>((&view.into_dimensionality::<ndarray::Ix2>().unwrap(),)).unwrap(), [1.0, 1.0]);
}

#[test]
fn a_place_may_be_kept_while_its_memory_is_borrowed() {
    struct Kept<'b>(kroton::runtime::OutPlace<'b>);
    impl<'b> kroton::OutArgs<'b> for Kept<'b> {
        fn with<R>(
            self,
            f: impl FnOnce(&mut [kroton::runtime::OutPlace<'b>]) -> kroton::Result<R>,
        ) -> kroton::Result<R> {
            f(&mut [self.0])
        }
    }
    let mut out = vec![0.0; 2];
    let kept = Kept(out.place().unwrap());
    let x = vector::<f64>("x");
    compile([&x], &x * 2.0).unwrap().call_into((&[1.0, 2.0],), kept).unwrap();
    assert_eq!(out, [2.0, 4.0]);
}

#[test]
fn slices_of_nothing_merge() {
    let x = vector::<f64>("x");
    let sliced = x.slice(s![..;-3]).flip(0);
    for device in DEVICES {
        let f = Compiler::new().device(device).compile([&x], &sliced).unwrap();
        assert_eq!(f.call::<Vec<f64>>((&[0.0; 0],)).unwrap(), [0.0; 0], "{device:?}");
        assert_eq!(f.call::<Vec<f64>>((&[1.0, 2.0, 3.0, 4.0],)).unwrap(), [1.0, 4.0], "{device:?}");
    }
}

#[test]
fn results_too_large_for_the_cache_are_right_wherever_they_begin() {
    let (a, b) = (kroton::vector::<f64>("a"), kroton::vector::<f64>("b"));
    let f = Compiler::new().threads(1).compile([&a, &b], (&a + &b, &a * &b)).unwrap();
    let n = (2 << 20) + 5;
    let x: Vec<f64> = (0..n + 3).map(|i| i as f64).collect();
    for start in 0..4 {
        let (mut sums, mut products) = (vec![f64::NAN; n + 3], vec![f64::NAN; n + 3]);
        let views = (&x[start..start + n - 3], &x[3 - start..n - start]);
        let places = (&mut sums[start..start + n - 3], &mut products[start..start + n - 3]);
        f.call_into(views, places).unwrap();
        for (i, (sum, product)) in sums.iter().zip(&products).enumerate() {
            let inside = (start..start + n - 3).contains(&i);
            let (left, right) = if inside { (x[i], x[3 - start + i - start]) } else { (f64::NAN, f64::NAN) };
            let right_sum = left + right;
            assert!(*sum == right_sum || !inside && sum.is_nan(), "{start} {i}: {sum}, not {right_sum}");
            assert!(*product == left * right || !inside && product.is_nan(), "{start} {i}: {product}");
        }
    }
}
