//! One integration binary: what does the repository as a whole promise?

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accidents;
mod accounts;
mod action;
mod adopting;
mod architecture;
mod batches;
mod budget;
mod caching;
mod calibrating;
mod coming_back;
mod comparing;
mod confirming;
mod corpus;
#[cfg(unix)]
mod crashing;
mod deciding;
mod dependencies;
#[cfg(unix)]
mod disks;
mod documentation;
mod documented_assertions;
mod examples;
mod faults;
#[cfg(unix)]
mod filling_disks;
mod gating;
mod github;
mod harness;
mod history;
mod hostile_files;
mod hostile_replies;
mod hostile_state;
mod limits;
mod mistakes;
mod models;
mod multipliers;
mod no_text;
mod pricing;
#[expect(unreachable_pub, reason = "the fuzz targets reach it through a library of their own")]
mod promises;
mod raw_server;
mod recorded;
mod recording;
mod recording_told;
mod renamed;
mod reviewing;
mod running;
mod rust_source;
mod sampling;
mod secrets;
mod selecting;
mod showing;
mod stack;
mod starting;
mod streaming;
mod telling;
#[cfg(unix)]
mod unreadable;
mod versions;
#[cfg(unix)]
mod watching;
