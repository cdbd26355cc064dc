//! promptkeel: prompt regression testing.

pub mod model;
