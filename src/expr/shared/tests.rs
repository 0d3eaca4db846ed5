//! Updates by functions of the host, which fail, panic and look at variables; and where new values are made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::graph::{Custom, HostFunction};
use crate::{Compiler, Device, vector};

/// A host function that gives its operand, or whatever `call` does.
fn host(x: &Expr, call: impl Fn(&Array) -> Result<Array> + Send + Sync + 'static) -> Expr {
    let function = HostFunction {
        name: "host".to_string(),
        infer: Box::new(|types| Ok(types[0].clone())),
        call: Box::new(move |operands| call(&operands[0])),
    };
    Expr::build(Node::Custom(Custom(Arc::new(function)), vec![x.clone()]))
}

fn address(shared: &Shared) -> usize {
    shared.variable().unwrap().address()
}

#[test]
fn a_host_function_that_fails_or_panics_changes_nothing() {
    for device in [Device::Interpreter, Device::Loops, Device::Cpu] {
        let (w, n) = (shared("w", [1.0, 2.0]), shared("n", 0_i64));
        let calls = Arc::new(AtomicU32::new(0));
        let count = calls.clone();
        let checked = host(&(&w * 2), move |x| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::NumericCheck("refused".to_string())),
            1 => panic!("out of reach"),
            _ => Ok(x.clone()),
        });
        let f = Compiler::new().device(device).updates([(&n, &n + 1), (&w, &checked + 1)]).compile([], ()).unwrap();
        assert!(f.call::<()>(()).unwrap_err().to_string().contains("refused"));
        assert!(catch_unwind(AssertUnwindSafe(|| f.call::<()>(()))).is_err());
        assert_eq!((w.get::<Vec<f64>>().unwrap(), n.get::<i64>().unwrap()), (vec![1.0, 2.0], 0), "{device:?}");
        f.call::<()>(()).unwrap();
        assert_eq!((w.get::<Vec<f64>>().unwrap(), n.get::<i64>().unwrap()), (vec![3.0, 5.0], 1), "{device:?}");
    }
}

/// A host function may use the very variable: no lock is held, and the call starts over.
#[test]
fn a_host_function_may_set_the_variable() {
    let w = shared("w", 1.0);
    let (other, left) = (w.clone(), AtomicU32::new(7));
    let meddled = host(&w, move |x| {
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            other.set(other.get::<f64>()? + 10.0)?;
        }
        Ok(x.clone())
    });
    let f = Compiler::new().updates([(&w, &meddled + 1)]).compile([], ()).unwrap();
    f.call::<()>(()).unwrap();
    assert_eq!(w.get::<f64>().unwrap(), 72.0);
}

/// Another variable that is read but not replaced counts as well: a new value of it makes the call start over.
#[test]
fn a_new_value_of_what_is_read_makes_a_call_start_over() {
    let (w, v) = (shared("w", 0.0), shared("v", 1.0));
    let (other, calls) = (v.clone(), Arc::new(AtomicU32::new(0)));
    let count = calls.clone();
    let meddled = host(&v, move |x| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            other.set(5.0)?;
        }
        Ok(x.clone())
    });
    let f = Compiler::new().updates([(&w, &meddled + 0)]).compile([], &w + 0).unwrap();
    f.call::<f64>(()).unwrap();
    assert_eq!((w.get::<f64>().unwrap(), calls.load(Ordering::Relaxed)), (5.0, 2));
}

#[test]
fn recorded_updates_are_made_in_place_unless_somebody_holds_the_value() {
    let x = vector::<f64>("x");
    for w in [shared("w", vec![1.0; 3_000]), shared("w", vec![1.0; 3])] {
        let f = Compiler::new().threads(1).updates([(&w, &w + 0.5 * &x)]).compile([&x], ()).unwrap();
        let step = || f.call::<()>((&vec![2.0; w.get::<Vec<f64>>().unwrap().len()],)).unwrap();
        (0..3).for_each(|_| step());
        let place = address(&w);
        (0..3).for_each(|_| step());
        assert_eq!(address(&w), place);
        let held = w.variable().unwrap().held();
        step();
        assert_ne!(address(&w), place);
        assert_eq!(held.as_slice::<f64>().unwrap()[..3], [7.0; 3]);
        assert_eq!(w.get::<Vec<f64>>().unwrap()[..3], [8.0; 3]);
    }
    let n = shared("n", 0_i64);
    let tick = Compiler::new().updates([(&n, &n + 1)]).compile([], ()).unwrap();
    (0..3).for_each(|_| tick.call::<()>(()).unwrap());
    let place = address(&n);
    (0..3).for_each(|_| tick.call::<()>(()).unwrap());
    assert_eq!((address(&n), n.get::<i64>().unwrap()), (place, 6));
}

/// Two launches: the one that fails last must not find a value written.
#[test]
fn what_an_earlier_launch_writes_is_no_value_yet() {
    let (w, total) = (shared("w", vec![1.0; 100]), shared("total", 0.0));
    let updates = [(&w, &w + 1), (&total, w.sum(..))];
    let f = Compiler::new().threads(1).updates(updates).compile([], ()).unwrap();
    (0..4).for_each(|_| f.call::<()>(()).unwrap());
    let places = [address(&w), address(&total)];
    f.call::<()>(()).unwrap();
    let kept = [address(&w), address(&total)].into_iter().zip(places).filter(|(now, then)| now == then).count();
    // Where all is one launch both stay; where they are two, only what the last one writes.
    assert!(kept >= f.kernel_count().min(1) && (f.kernel_count() == 1 || kept == 1), "{kept} of {}", f.kernel_count());
    assert_eq!((w.get::<Vec<f64>>().unwrap()[99], total.get::<f64>().unwrap()), (6.0, 500.0));
}
