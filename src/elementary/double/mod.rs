//! Elementary functions on `f64`, a file for each family.
