//! Arguments of every kind, and what is refused.

use ndarray::{Array1, ArrayD, IxDyn, array, s};

use super::*;

fn parameter(dtype: DType, rank: usize) -> Parameter<'static> {
    Parameter { index: 1, name: "x", dtype, rank }
}

/// The address of an argument of the host.
fn pointer(arg: &Arg<'_>) -> *const u8 {
    arg.operand(arg.dtype()).host().unwrap().pointer
}

fn text(arg: Arg<'_>, dtype: DType, rank: usize) -> String {
    arg.fit(&parameter(dtype, rank)).unwrap_err().to_string()
}

#[test]
fn strides_of_either_sign_and_zero_keep_the_logical_first_element() {
    let a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let flipped = a.slice(s![.., ..;-2]);
    for arg in [Arg::from(flipped), Arg::from(&flipped)] {
        assert_eq!((arg.shape(), arg.strides()), ([2, 2].as_slice(), [3, -2].as_slice()));
        assert_eq!(pointer(&arg), ptr::from_ref(&a[[0, 2]]).cast());
    }
    let row = array![1_i32, 2];
    let repeated = row.broadcast((5, 2)).unwrap();
    let arg = Arg::from(&repeated);
    assert_eq!((arg.shape(), arg.strides()), ([5, 2].as_slice(), [0, 1].as_slice()));
    assert_eq!(pointer(&arg), row.as_ptr().cast());
    assert_eq!(Arg::from(a.t()).strides(), [1, 3]);
}

#[test]
fn scalars_by_value_convert_when_exact() {
    assert_eq!(Arg::from(5).fit(&parameter(DType::F64, 0)).unwrap(), Some(Scalar::F64(5.0)));
    assert_eq!(Arg::from(5_usize).fit(&parameter(DType::U8, 0)).unwrap(), Some(Scalar::U8(5)));
    assert_eq!(
        text(Arg::from(0.1), DType::F32, 0),
        "argument 1 (`x`) is f32 of rank 0; the call passed the f64 0.1, which f32 does not hold exactly; \
         convert it with `as f32`"
    );
    assert!(text(Arg::from(2), DType::Bool, 0).ends_with("does not hold exactly; pass `true` or `false`"));
    assert!(Arg::from(&5).fit(&parameter(DType::F64, 0)).is_err());
    assert!(text(Arg::from(5.0), DType::F64, 1).ends_with("is f64 of rank 1; the call passed f64 of rank 0"));
}

#[test]
fn arrays_are_strict() {
    let xs = [1.0_f32, 2.0];
    assert_eq!(text(Arg::from(&xs), DType::F64, 1), "argument 1 (`x`) is f64 of rank 1; the call passed f32 of rank 1");
    assert_eq!(Arg::from(&xs).fit(&parameter(DType::F32, 1)).unwrap(), None);
    assert!(text(Arg::from(&xs[..]), DType::F32, 2).contains("of rank 2; the call passed f32 of rank 1"));
}

#[test]
fn rank_zero_carries_its_value_and_its_address() {
    let (zero, own) = (ndarray::arr0(2.5), Array::from_scalar(Scalar::F64(2.5)));
    let dynamic = zero.clone().into_dyn();
    for arg in [Arg::from(&zero), Arg::from(zero.view()), Arg::from(&own), Arg::from(&2.5), Arg::from(&dynamic)] {
        assert_eq!((arg.scalar(), arg.rank(), arg.is_weak_scalar()), (Some(Scalar::F64(2.5)), 0, false));
        // SAFETY: the address is inside `arg`, which lives.
        assert_eq!(unsafe { pointer(&arg).cast::<f64>().read() }, 2.5);
    }
}

#[test]
fn views_of_many_axes_go_by_reference() {
    let many = ArrayD::<u8>::zeros(IxDyn(&[1; 7]));
    let view = many.view();
    assert!(text(Arg::from(view.clone()), DType::U8, 7).contains("rank 7 by value"));
    assert_eq!(Arg::from(&view).fit(&parameter(DType::U8, 7)).unwrap(), None);
    let own = Array::from(&many);
    assert_eq!(Arg::from(&own).strides(), [1; 7]);
}

#[test]
fn empty_arrays_are_arguments() {
    let (none, empty): (Vec<f64>, Array1<f64>) = (vec![], Array1::zeros(0));
    for arg in [Arg::from(&none), Arg::from(&empty), Arg::from(empty.view())] {
        assert_eq!((arg.shape(), arg.scalar()), ([0].as_slice(), None));
    }
    let own = Array::zeros(DType::F64, &[2, 0]).unwrap();
    assert_eq!(Arg::from(&own).shape(), [2, 0]);
}
