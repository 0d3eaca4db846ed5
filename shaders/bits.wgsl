// Words and values: the barrier that keeps compilers from rearranging floating-point arithmetic across it.

// x itself, through an integer operation whose other operand is only known at run time.
fn keep_f32(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ hidden_zero());
}
