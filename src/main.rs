//! The promptkeel program.
fn main() {}
