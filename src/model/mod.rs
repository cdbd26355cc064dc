//! Which nouns does promptkeel speak of? Plain data: no I/O, no async, no other room.

pub mod assertion;
pub mod baseline;
pub mod bill;
pub mod calibration;
pub mod catalog;
pub mod comparison;
pub mod cost;
pub mod event;
pub mod gate;
pub mod hidden;
pub mod key;
pub mod money;
pub(crate) mod output_format;
pub mod parameters;
pub mod prefix;
pub mod problem;
pub mod remembered;
pub mod reply;
pub mod request;
pub mod right_size;
pub mod run;
pub mod sampled;
pub mod side_by_side;
pub mod size;
pub mod suite;
pub mod verdict;
