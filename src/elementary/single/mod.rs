//! Elementary functions on `f32`, a file for each family.
