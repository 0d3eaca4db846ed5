//! Compiled functions give back their memory. A process of its own, so that no other test's memory is counted.

#![cfg(target_os = "linux")]

use kroton::{compile, vector};

/// Memory of this process in bytes.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

/// Compiles and calls functions that all differ, then as many more; gives the bytes that the latter added.
fn grown(first: u32, more: u32) -> i64 {
    let compile_some = |numbers: std::ops::Range<u32>| {
        for i in numbers {
            let x = vector::<f64>("x");
            let f = compile([&x], (&x + f64::from(i)).sum(..)).unwrap();
            let sum: f64 = f.call((&[1.0, 2.0],)).unwrap();
            assert_eq!(sum, 3.0 + 2.0 * f64::from(i));
        }
    };
    compile_some(0..first);
    let before = resident();
    compile_some(first..first + more);
    resident() - before
}

/// A page of code for each function would be 8 MB; the first ones fill what the process keeps of code.
const MOST: i64 = 6 << 20;

#[test]
fn thousands_of_compilations_leave_memory_flat() {
    let bytes = grown(600, 2000);
    assert!(bytes < MOST, "2,000 compilations added {bytes} bytes");
}

#[test]
#[ignore = "takes minutes; run it alone"]
fn many_more_compilations_leave_memory_flat() {
    let bytes = grown(1000, 200_000);
    assert!(bytes < MOST, "200,000 compilations added {bytes} bytes");
}
