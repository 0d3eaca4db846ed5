//! Compiled functions give back their memory. A process of its own, so that no other test's memory is counted.

#![cfg(target_os = "linux")]

use kroton::{compile, vector};

/// Memory of this process in bytes.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

#[test]
fn thousands_of_compilations_leave_memory_flat() {
    let compile_some = |count: u32| {
        for i in 0..count {
            let x = vector::<f64>("x");
            let f = compile([&x], (&x + f64::from(i)).sum(..)).unwrap();
            let sum: f64 = f.call((&[1.0, 2.0],)).unwrap();
            assert_eq!(sum, 3.0 + 2.0 * f64::from(i));
        }
    };
    compile_some(200);
    let before = resident();
    compile_some(2000);
    let grown = resident() - before;
    // Code takes at least a page for each function: a leak would be 2000 × 4 KiB and more.
    assert!(grown < 6 << 20, "2,000 compilations added {grown} bytes");
}
