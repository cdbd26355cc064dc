//! Which nouns does promptkeel speak of? Plain data: no I/O, no async, no other room.

pub mod assertion;
pub mod gate;
pub mod money;
pub mod problem;
pub mod reply;
pub mod request;
pub mod run;
pub mod suite;
pub mod verdict;
