//! What launches of loops over steps promise besides their results: places, costs, settled launches, registers.

use super::loops::{Bound, check, recurrence_operands};
use super::stepped::{recurrence, repeated};
use super::*;
use crate::ops::BinaryOp;

/// What sequences no step reads is not read: there may be nothing.
#[test]
fn no_steps_read_nothing() {
    for dtype in [DType::F64, DType::Bool, DType::I8] {
        for strides in [[0, 1], [1, 9], [3, 1]] {
            let mut operands = recurrence_operands(dtype, [9, 0], [1, 9], [1, 9]);
            for number in [2, 3] {
                let nowhere =
                    Binding { base: Base::Host(std::ptr::dangling_mut()), strides: strides.into_iter().collect() };
                operands.push(operands[number].clone());
                let kernel = recurrence(dtype);
                let executable = prepare(kernel);
                let mut bindings: Vec<Binding> = operands[..6].iter().map(Bound::binding).collect();
                bindings[number] = nowhere;
                launch(&executable, &[9, 0], &bindings);
                let (Bound::Memory(a, ..), Bound::Memory(last, ..)) = (&operands[0], &operands[5]) else { panic!() };
                assert_eq!(a.all(), last.all());
            }
        }
    }
}

/// A history that is written where the sequence is read, by the step that reads it.
#[test]
fn a_history_may_take_the_place_of_the_sequence() {
    let kernel = recurrence(DType::F64);
    for n in [3, 16, 37] {
        let mut operands = recurrence_operands(DType::F64, [n, 5], [1, n as isize], [1, n as isize]);
        check("apart", &kernel, &[n, 5], &operands);
        let run = |operands: &[Bound], place: usize| {
            let mut bindings: Vec<Binding> = operands.iter().map(Bound::binding).collect();
            bindings[3] = bindings[place].clone();
            launch(&prepare(kernel.clone()), &[n, 5], &bindings);
            let Bound::Memory(memory, ..) = &operands[place] else { panic!() };
            memory.all()
        };
        let apart = run(&operands.clone(), 3);
        assert_eq!(apart, run(&operands, 2));
        operands.clear();
    }
}

/// The particles of a loop go round in registers: no step of the innermost loop touches the frame or calls anything.
#[test]
fn wide_loops_keep_their_state_in_registers() {
    let executable = prepare(recurrence(DType::F64));
    let text = executable.dump(crate::backend::EngineStage::Asm).unwrap().unwrap();
    if !super::super::isa::hosted(InstructionSet::Native).unwrap().features.wide {
        return;
    }
    let start = text.find("sub r15, 1").unwrap();
    let body = &text[text[..start].rfind(":\n").unwrap()..start];
    assert!(body.contains("vaddpd ymm") && !body.contains("[rsp + ") || body.matches("[rsp + ").count() == 1, "{body}");
}

/// Elements that take many steps are worth a second thread, few of them are not.
#[test]
fn costs_count_the_steps_of_a_launch() {
    use super::super::form::{Form, classify};
    use super::super::parallel::split;
    let Form::Map { program, .. } = classify(&recurrence(DType::F64)).unwrap() else { panic!() };
    let two = Parallelism { threshold: None, ..threads(2) };
    let count = |elements: usize, steps: usize| split(&two, elements, program.loops_weight(&[steps], true)).tasks;
    assert_eq!(count(10_000, 1), 1);
    assert!(count(10_000, 1000) > 1);
    let Form::Map { program, .. } = classify(&repeated(DType::F64, BinaryOp::Sub, 7.0, 10.0)).unwrap() else {
        panic!()
    };
    assert!(split(&two, 100_000, program.loops_weight(&[], true)).tasks > 1);
    assert_eq!(split(&two, 10, program.loops_weight(&[], true)).tasks, 1);
}

/// A settled launch runs on other addresses, with the steps that it was settled for.
#[test]
fn settled_launches_keep_their_steps() {
    let executable = prepare(recurrence(DType::F64));
    let [first, second] = [3, 8].map(|t: usize| {
        let operands = recurrence_operands(DType::F64, [10, t], [1, 10], [1, 10]);
        let bindings: Vec<Binding> = operands.iter().map(Bound::binding).collect();
        let extents = [10, t];
        let launch = Launch::new(&extents, &bindings);
        let settled = Arc::clone(&executable).settle(&launch, &Parallelism::default()).unwrap().unwrap();
        let run = |by: &dyn Fn(&[Binding])| {
            let operands = recurrence_operands(DType::F64, [10, t], [1, 10], [1, 10]);
            by(&operands.iter().map(Bound::binding).collect::<Vec<_>>());
            operands
                .into_iter()
                .map(|bound| match bound {
                    Bound::Memory(memory, ..) => memory.all(),
                    Bound::Index(..) => Vec::new(),
                })
                .collect::<Vec<_>>()
        };
        let bases = |bindings: &[Binding]| -> Vec<i64> {
            bindings
                .iter()
                .map(|binding| match binding.base {
                    Base::Host(address) => address.expose_provenance() as i64,
                    Base::Position(position) => position,
                })
                .collect()
        };
        // SAFETY: the memory is that of the launch.
        let settled = run(&|bindings| unsafe { settled.run(&bases(bindings)) }.unwrap());
        let launched = run(&|bindings| super::launch(&executable, &[10, t], bindings));
        assert_eq!(settled, launched);
        settled
    });
    assert_ne!(first[5], second[5]);
    assert_eq!(executable.compilations(), 1, "the number of steps is no variant");
}
