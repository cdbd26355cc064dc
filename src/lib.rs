//! promptkeel: prompt regression testing.

pub mod gate;
pub mod model;
