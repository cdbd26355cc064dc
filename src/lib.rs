//! promptkeel: prompt regression testing.

pub mod assertion;
pub mod cli;
pub mod diff;
pub mod endpoint;
pub mod gate;
pub mod model;
pub mod report;
pub mod runner;
pub mod sim;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod template;
