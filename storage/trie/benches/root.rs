//! State root kernels.
fn main() {}
