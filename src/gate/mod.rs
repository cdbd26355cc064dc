//! What do a run's results say about its gates? Pure policy over plain results.

pub mod exit;
pub mod judge;
pub mod statistics;
