//! Calls as users write them, type-checked and run against a function that stands in for a compiled one.

use ndarray::{Array0, Array1, Array2, ArrayD, ArrayRef1, ArrayView1, ArrayView2, Ix2, array, s};

use crate::array::Array;
use crate::dtype::{DType, Scalar};
use crate::error::{Error, Result};
use crate::runtime::memory::Memory;
use crate::runtime::site::Site;
use crate::runtime::{Arg, Args, FromOutputs, OutArgs, OutPlace, OutputSpec};

const fn spec(dtype: DType, shape: &[usize]) -> OutputSpec<'_> {
    OutputSpec { title: "", dtype, shape, site: &Site::Host, donor: None }
}

/// A function with these outputs, all filled with 1, 2, 3, … in row-major order.
struct Stub<'s>(&'s [OutputSpec<'s>]);

impl Stub<'_> {
    fn call<'a, R: FromOutputs>(&self, args: impl Args<'a>) -> Result<R> {
        args.with(|args| {
            assert!(args.iter().all(|arg| arg.shape().len() == arg.strides().len()));
            R::produce(self.0, count)
        })
    }

    fn call_into<'a, 'b>(&self, args: impl Args<'a>, outputs: impl OutArgs<'b>) -> Result<()> {
        args.with(|_| {
            outputs.with(|places| {
                let mut fits = places.iter().zip(self.0).enumerate();
                fits.try_for_each(|(index, (place, spec))| place.fit(index, spec))?;
                count(places)
            })
        })
    }
}

fn count(places: &mut [OutPlace]) -> Result<()> {
    for place in places {
        let total: usize = place.shape().iter().product();
        let Some(Memory { pointer, .. }) = place.host() else { panic!("a place on the host is on a device") };
        for number in 0..total {
            let mut rest = number;
            let mut offset = 0;
            for (&size, &stride) in place.shape().iter().zip(place.strides()).rev() {
                offset += (rest % size) as isize * stride;
                rest /= size;
            }
            // SAFETY: the offset stays within the shape of the place, which is memory of this dtype.
            unsafe {
                match place.dtype() {
                    DType::F64 => pointer.cast::<f64>().offset(offset).write(number as f64 + 1.0),
                    DType::I64 => pointer.cast::<i64>().offset(offset).write(number as i64 + 1),
                    dtype => return Err(Error::Unsupported(dtype.to_string())),
                }
            }
        }
    }
    Ok(())
}

fn passed<'a>(args: impl Args<'a>) -> Vec<(DType, Vec<usize>)> {
    args.with(|args| args.iter().map(|arg| (arg.dtype(), arg.shape().to_vec())).collect())
}

const NUMBER: OutputSpec<'static> = spec(DType::F64, &[]);
const TRIPLE: OutputSpec<'static> = spec(DType::F64, &[3]);
const GRID: OutputSpec<'static> = spec(DType::I64, &[2, 2]);

#[test]
fn anything_viewable_is_an_argument() -> Result<()> {
    let f = Stub(&[TRIPLE]);
    let (xs, grid) = (vec![0.0, 1.0, 2.0], array![[1_i64, 2], [3, 4]]);
    let y: Array1<f64> = f.call((&[0.0, 1.0, 2.0], &[3.0, 4.0, 5.0]))?;
    assert_eq!(y, array![1.0, 2.0, 3.0]);
    let own = Array::from(&xs);
    let flat: &ArrayRef1<f64> = &y;
    let float = |shape: &[usize]| (DType::F64, shape.to_vec());
    assert_eq!(passed((&xs, &xs[1..], &y, y.view(), flat, &own)), [3, 2, 3, 3, 3, 3].map(|n| float(&[n])));
    assert_eq!(passed((&grid, grid.view(), grid.t(), &grid.slice(s![.., 0])))[3], (DType::I64, vec![2]));
    assert_eq!(passed((5, 5_u8, true, 2.5_f32, &2.5, xs.len()))[0], (DType::I32, vec![]));
    assert_eq!(passed((own.clone(), own, 1.0)), [float(&[3]), float(&[3]), float(&[])]);
    assert_eq!(passed(()), []);
    assert_eq!(passed((&xs,)), [float(&[3])]);
    let list = [Arg::from(&xs), Arg::from(1.0)];
    let by_reference = &list;
    assert_eq!(passed(by_reference), passed(&list[..]));
    assert_eq!(passed(&list.to_vec()), passed((list[0], list[1])));
    let named: [(&str, Arg<'_>); 2] = [("x", Arg::from(&xs)), ("y", Arg::from(&y))];
    assert_eq!(passed([named[0].1]).len(), 1);
    let sixteen = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    assert_eq!(passed(sixteen).len(), 16);
    Ok(())
}

#[test]
fn the_caller_names_the_containers() -> Result<()> {
    let scalar: f64 = Stub(&[NUMBER]).call(())?;
    assert_eq!(scalar, 1.0);
    assert_eq!(Stub(&[NUMBER]).call::<Array0<f64>>(())?.into_scalar(), 1.0);
    assert_eq!(Stub(&[TRIPLE]).call::<Vec<f64>>(())?, [1.0, 2.0, 3.0]);
    assert_eq!(Stub(&[GRID]).call::<Array2<i64>>(())?, array![[1, 2], [3, 4]]);
    assert_eq!(Stub(&[GRID]).call::<ArrayD<i64>>(())?.into_dimensionality::<Ix2>().unwrap()[[1, 0]], 3);
    assert_eq!(Stub(&[GRID]).call::<Array>(())?.as_slice::<i64>()?, [1, 2, 3, 4]);
    let (number, grid): (f64, Array) = Stub(&[NUMBER, GRID]).call((1.0,))?;
    assert_eq!((number, grid.shape()), (1.0, [2, 2].as_slice()));
    let [a, b]: [f64; 2] = Stub(&[NUMBER, NUMBER]).call(())?;
    assert_eq!((a, b), (1.0, 1.0));
    assert_eq!(Stub(&[NUMBER, GRID]).call::<Vec<Array>>(())?[1].rank(), 2);
    Stub(&[]).call::<()>(())?;
    let (vector,): (Vec<f64>,) = Stub(&[TRIPLE]).call(())?;
    assert_eq!(vector.len(), 3);
    assert_eq!(Stub(&[spec(DType::F64, &[0])]).call::<Vec<f64>>(())?, [0.0; 0]);
    assert_eq!(Stub(&[spec(DType::F64, &[0, 4])]).call::<Array2<f64>>(())?.dim(), (0, 4));
    Ok(())
}

#[test]
fn mismatched_results_are_refused_before_anything_runs() {
    let text =
        |specs: &[OutputSpec<'_>], check: fn(&[OutputSpec<'_>]) -> Result<()>| check(specs).unwrap_err().to_string();
    assert_eq!(
        text(&[TRIPLE], <i64 as FromOutputs>::check),
        "output 0 is f64 of rank 1; the caller asked for i64 of rank 0; \
         name `Vec<f64>` or `ndarray::Array1<f64>`, or `kroton::Array` for any"
    );
    assert!(text(&[NUMBER], <Vec<f64> as FromOutputs>::check).contains("name `f64`, or"));
    let named = OutputSpec { title: "the loss", ..GRID };
    assert_eq!(
        text(&[NUMBER, named], <(f64, ArrayD<f32>)>::check),
        "the loss is i64 of rank 2; the caller asked for f32 of any rank; \
         name `ndarray::Array2<i64>`, or `kroton::Array` for any"
    );
    assert!(text(&[NUMBER], <(f64, f64)>::check).starts_with("the function has 1 output; the caller asked for 2"));
    assert!(text(&[NUMBER], <()>::check).contains("asked for 0"));
    let ran = <[f64; 2]>::produce(&[NUMBER, GRID], |_| panic!("ran"));
    assert!(matches!(ran, Err(Error::Argument(_))));
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    for shape in [[1 << 60, 1], [usize::MAX, 1], [1 << 40, 1 << 40]] {
        let specs = [spec(DType::F64, &shape)];
        for result in [
            Array2::<f64>::produce(&specs, |_| panic!("ran")).map(|_| ()),
            <Array as FromOutputs>::produce(&specs, |_| panic!("ran")).map(|_| ()),
            Vec::<f64>::produce(&[spec(DType::F64, &shape[..1])], |_| panic!("ran")).map(|_| ()),
        ] {
            if let Err(error) = result {
                assert!(matches!(error, Error::Memory(_)), "{error}");
            } else {
                assert_eq!(shape[0], 1 << 40, "only the vector of 2^43 bytes may exist, if the system overcommits");
            }
        }
    }
}

#[test]
fn call_into_writes_to_the_callers_memory() -> Result<()> {
    let (mut vector, mut fixed, mut number) = (vec![0.0; 3], [0.0; 3], 0.0);
    let mut grid = Array2::<i64>::zeros((2, 4));
    let f = Stub(&[TRIPLE, TRIPLE, NUMBER, GRID]);
    f.call_into((1.0,), (&mut vector, &mut fixed, &mut number, grid.slice_mut(s![..;-1, ..;2])))?;
    assert_eq!((vector.as_slice(), fixed, number), ([1.0, 2.0, 3.0].as_slice(), [1.0, 2.0, 3.0], 1.0));
    assert_eq!(grid, array![[3, 0, 4, 0], [1, 0, 2, 0]]);
    let (mut own, mut flat, mut shared) = (Array::from(&[0.0; 3]), Array1::zeros(3), Array1::zeros(3).into_shared());
    let (before, other) = (own.clone(), shared.clone());
    Stub(&[TRIPLE; 4]).call_into((), (&mut own, &mut flat, &mut shared, &mut vector[..]))?;
    assert_eq!(own.as_slice::<f64>()?, [1.0, 2.0, 3.0]);
    assert_eq!((before.as_slice::<f64>()?, other[2], shared[2], flat[2]), ([0.0; 3].as_slice(), 0.0, 3.0, 3.0));
    Stub(&[]).call_into((&vector,), ())
}

#[test]
fn places_that_do_not_fit_are_left_untouched() {
    let mut short = vec![7.0; 2];
    let error = Stub(&[TRIPLE]).call_into((), (&mut short,)).unwrap_err().to_string();
    assert_eq!(error, "output 0 is f64 of shape [3]; the place given for it is f64 of shape [2]");
    assert_eq!(short, [7.0, 7.0]);
}

#[test]
fn views_of_every_lifetime_meet_in_one_tuple() {
    fn run(xs: ArrayView1<'_, f64>, table: &'static [f64; 2]) -> usize {
        let local = vec![1_i32];
        let grid: ArrayView2<'_, f64> = ndarray::aview2(&[[1.0, 2.0]]);
        passed((xs, table, &local, grid, Array::from_scalar(Scalar::Bool(true)))).len()
    }
    assert_eq!(run(array![1.0].view(), &[1.0, 2.0]), 5);
}
