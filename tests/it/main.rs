//! One integration binary: what does the repository as a whole promise?

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod dependencies;
mod examples;
mod rust_source;
mod stack;
