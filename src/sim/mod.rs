//! The simulator: what stands in for the real Messages API when nobody wants to pay?
//!
//! A server on loopback that speaks `/v1/messages` (JSON and server-sent events), token counting and the models list, validates requests as the real
//! API does, answers from a script of rules, and injects faults on the real socket. It is an island: it imports nothing of this crate, so a mistake
//! of the client cannot hide in a type that both sides share. Everything here follows the wire, not our client.
//!
//! ```
//! use promptkeel::sim::{script::Script, server::{Options, Simulator}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let script = Script::parse("demo.yaml", "rules: [{when: {text: refund}, then: {text: A refund takes five days.}}]")?;
//! let simulator = Simulator::start(script, Options::default()).await?;
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod accounting;
mod api_error;
mod batches;
mod body;
mod caching;
mod chance;
pub mod clock;
mod fault;
pub mod journal;
mod limit;
mod matching;
mod models;
mod prices;
mod prompt;
mod reading;
mod reply;
pub mod script;
pub mod server;
mod service;
mod socket;
mod stream;
mod tokens;
mod tree;
mod validate;

#[cfg(test)]
mod tests;
