//! A counter that several threads raise: without a lock, with one, and as a shared variable with an update.
//!
//! Reading and then writing loses what others wrote in between. An update is one step: it is computed from the value as
//! it was, and takes effect only if nobody was faster; else it is computed again.
//! `cargo run --release --example shared_counter`; `-- --help` lists the sizes.

mod presentation;

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kroton::{Compiler, shared};
use presentation::{Options, Outcome, Size, row, share_of_time, table};

fn main() -> Outcome {
    let options = Options::read(
        "shared_counter",
        &[
            Size { name: "threads", usual: 4, short: 4, counts: "threads" },
            Size { name: "increments", usual: 100_000, short: 1_000, counts: "increments of each thread" },
        ],
    )?;
    let (threads, increments) = (options.size("threads"), options.size("increments"));
    let mut results = Vec::new();

    // Without a lock: the value may change between the load and the store.
    let plain = AtomicI64::new(0);
    let duration = race(threads, increments, || {
        let value = black_box(plain.load(Ordering::Relaxed));
        plain.store(value + 1, Ordering::Relaxed);
        Ok(())
    })?;
    results.push(("load, then store", plain.into_inner(), duration));

    let locked = Mutex::new(0_i64);
    let duration = race(threads, increments, || {
        *locked.lock().map_err(|_| "a thread panicked")? += 1;
        Ok(())
    })?;
    results.push(("lock", locked.into_inner()?, duration));

    let atomic = AtomicI64::new(0);
    let duration = race(threads, increments, || {
        atomic.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })?;
    results.push(("fetch_add", atomic.into_inner(), duration));

    // A shared variable used as if it were plain memory has the same flaw …
    let counter = shared("counter", 0_i64);
    let duration = race(threads, increments, || {
        counter.set(counter.get::<i64>()? + 1)?;
        Ok(())
    })?;
    results.push(("kroton: get, then set", counter.get()?, duration));

    // … and none as an update of a function.
    let counter = shared("counter", 0_i64);
    let tick = Compiler::new().updates([(&counter, &counter + 1)]).compile([], ())?;
    let duration = race(threads, increments, || Ok(tick.call::<()>(())?))?;
    results.push(("kroton: update", counter.get()?, duration));

    report(threads, increments, &results);
    Ok(())
}

/// Calls `increment` so often in each of some threads, all at once.
fn race(threads: usize, increments: usize, increment: impl Fn() -> Outcome + Sync) -> Outcome<Duration> {
    let together = Barrier::new(threads);
    let work = || {
        together.wait();
        (0..increments).try_for_each(|_| increment()).map_err(|error| error.to_string())
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().try_for_each(|handle| handle.join().map_err(|_| "a thread panicked".to_string())?)
    })?;
    Ok(start.elapsed())
}

fn report(threads: usize, increments: usize, results: &[(&str, i64, Duration)]) {
    let expected = (threads * increments) as i64;
    println!("{threads} threads, {increments} increments each: {expected} in all");
    let mut table = table(["", "count", "lost", "per increment"]);
    for (name, count, duration) in results {
        row(&mut table, [name, count, &(expected - count), &share_of_time(*duration, threads * increments)]);
    }
    println!("{table}");
    for (name, count, _) in results.iter().filter(|(name, ..)| !name.contains("then")) {
        assert_eq!(*count, expected, "{name}");
    }
}
