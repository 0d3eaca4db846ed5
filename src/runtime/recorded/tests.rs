//! Which calls are recorded, and found again.

use super::{FIRST, MORE, Recordings};
use crate::dtype::DType;
use crate::runtime::implementation::InputSpec;
use crate::runtime::{Arg, OutPlace, Replay};
use crate::shape::{InputId, Shape};

fn input(dtype: DType, is_size: bool) -> InputSpec {
    InputSpec { id: InputId::new(), name: "x".to_string(), dtype, shape: Shape::default(), is_size }
}

/// A vector, and a number that sizes depend on.
fn inputs() -> [InputSpec; 2] {
    [input(DType::F64, false), input(DType::I64, true)]
}

/// Calls with so many elements and this number: whether it was known, and is noted if not.
fn call(recordings: &Recordings, inputs: &[InputSpec; 2], elements: usize, number: i64) -> bool {
    let (values, mut out) = (vec![0.0; elements], 0.0);
    let arguments = [Arg::from(&values), Arg::from(number)];
    let places = [OutPlace::new(&raw mut out, &[], &[])];
    let is_known = recordings.of_places(inputs, &arguments, &places).is_some();
    assert_eq!(is_known, recordings.of_new_memory(inputs, &arguments).is_some());
    if !is_known {
        recordings.note(inputs, &arguments, &places, |_| Ok(Some(Replay::default())));
    }
    is_known
}

#[test]
fn layouts_are_known_from_the_third_call_on_whatever_comes_between() {
    let (recordings, inputs) = (Recordings::default(), inputs());
    for round in 0..4 {
        for elements in 0..FIRST {
            for number in 0..5 {
                assert_eq!(call(&recordings, &inputs, elements, number), round > 1, "{elements} {number}");
            }
        }
    }
}

#[test]
fn layouts_that_come_once_take_no_room() {
    let (recordings, inputs) = (Recordings::default(), inputs());
    for elements in 0..1000 {
        assert!(!call(&recordings, &inputs, elements, 0));
    }
    assert!(recordings.are_none());
}

#[test]
fn without_room_calls_stay_unknown_and_known_ones_known() {
    let (recordings, inputs) = (Recordings::default(), inputs());
    for elements in 0..2 * MORE {
        for _ in 0..2 {
            assert!(!call(&recordings, &inputs, elements, 7));
        }
    }
    let known = (0..2 * MORE).filter(|&elements| call(&recordings, &inputs, elements, 7)).count();
    assert!((FIRST + MORE / 2..=FIRST + MORE).contains(&known), "{known}");
    assert!((0..FIRST).all(|elements| call(&recordings, &inputs, elements, 7)));
    assert!((0..FIRST).all(|elements| !call(&recordings, &inputs, elements, 8)));
}

#[test]
fn a_layout_is_recorded_once() {
    let (recordings, inputs) = (Recordings::default(), inputs());
    let (values, mut out) = (vec![0.0; 3], 0.0);
    let arguments = [Arg::from(&values), Arg::from(1_i64)];
    let places = [OutPlace::new(&raw mut out, &[], &[])];
    for _ in 0..20 {
        recordings.note(&inputs, &arguments, &places, |_| Ok(Some(Replay::default())));
    }
    assert_eq!(recordings.first.iter().filter(|place| place.get().is_some()).count(), 1);
}

#[test]
fn of_what_is_empty_strides_mean_nothing() {
    let (recordings, inputs) = (Recordings::default(), inputs());
    let (values, mut out) = (Vec::<f64>::new(), 0.0);
    let arguments = [Arg::from(&values), Arg::from(1_i64)];
    for _ in 0..2 {
        let places = [OutPlace::new(&raw mut out, &[0, 3], &[0, 0])];
        recordings.note(&inputs, &arguments, &places, |_| Ok(Some(Replay::default())));
    }
    assert!(recordings.of_new_memory(&inputs, &arguments).is_some());
    assert!(recordings.of_places(&inputs, &arguments, &[OutPlace::new(&raw mut out, &[0, 3], &[3, 1])]).is_some());
    assert!(recordings.of_places(&inputs, &arguments, &[OutPlace::new(&raw mut out, &[3, 0], &[0, 0])]).is_none());
}

#[test]
fn sizes_that_are_multiples_of_large_numbers_are_known() {
    for shift in [10, 13, 20, 40] {
        let (recordings, inputs) = (Recordings::default(), inputs());
        for round in 0..4 {
            for number in 1..=20 {
                assert_eq!(call(&recordings, &inputs, 3, number << shift), round > 1, "{number} << {shift}");
            }
        }
    }
}
