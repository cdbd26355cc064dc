//! How does a plan become results? `plan` and `price` are pure; `run` is the one loop that narrates.

pub mod assemble;
pub mod doubt;
pub mod estimate;
pub mod evidence;
pub mod execute;
pub mod fingerprint;
pub mod fold;
pub mod merge;
pub mod plan;
pub mod prefixes;
pub mod price;
pub mod right_size;
pub mod rounds;
pub mod run;
pub mod sampled;
pub mod select;
#[cfg(test)]
mod testing;
mod texts;
pub mod totals;
