//! What do a run's results say about its gates? Pure policy over plain results.

pub mod against;
pub mod coverage;
pub mod exit;
pub mod gone;
pub mod judge;
pub mod models;
pub mod pairing;
pub mod side_by_side;
pub mod statistics;
