//! How many tokens does the API say that a prompt has? (`POST /v1/messages/count_tokens`, wire reference, 6.1: free, and an estimate too.)
//!
//! A count goes the way of a request, with its limits, retries and secrets kept; only the body, the address and the answer are others.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::endpoint::http::Http;
use crate::endpoint::limit::Limited;
use crate::endpoint::messages::{self, Message};
use crate::endpoint::retry::Retrying;
use crate::endpoint::router::Router;
use crate::endpoint::secret::Scrubber;
use crate::endpoint::{Clock, EndpointConfig, EndpointError};
use crate::model::prefix::Marks;
use crate::model::reply::{StopReason, Usage};
use crate::model::request::Request;

/// What counts tokens: no store and no budget, because a count is no answer and costs nothing.
pub type Counters = Router<Retrying<Limited<Http>>>;

/// What the endpoint takes; everything else of a request is refused there.
const MEMBERS: [&str; 7] = ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"];

/// Counters at these endpoints, with the system's clock.
///
/// # Errors
/// As [`crate::endpoint::build`].
pub fn build(configs: Vec<EndpointConfig>, seed: u64) -> Result<Counters, EndpointError> {
    #[expect(clippy::disallowed_methods, reason = "the limits that headers tell are reset at times of day")]
    let clock: Clock = chrono::Utc::now;
    let scrubber = Scrubber::new(configs.iter().filter_map(EndpointConfig::secret));
    let mut endpoints = Vec::with_capacity(configs.len());
    for config in configs {
        let http = Http::new(&config, clock)?.scrubbing(scrubber.clone()).counting();
        endpoints.push((Arc::from(config.name.as_str()), Retrying::new(Limited::new(http, &config), &config, seed)));
    }
    Router::new(endpoints)
}

/// The body of a count.
pub(super) fn body(request: &Request) -> Vec<u8> {
    let whole: Map<String, Value> =
        serde_json::from_slice(&messages::body(request, &Marks::AsWritten, false)).expect("the body of a request is an object");
    let kept: Map<String, Value> = whole.into_iter().filter(|(name, _)| MEMBERS.contains(&name.as_str())).collect();
    serde_json::to_vec(&kept).expect("JSON values always serialise")
}

#[derive(Deserialize)]
struct Counted {
    input_tokens: u64,
}

/// The count, as a reply that says nothing.
pub(super) fn read(text: &str, model: &str) -> Result<Box<Message>, String> {
    let counted: Counted = serde_json::from_str(text).map_err(|error| messages::words(&error))?;
    Ok(Box::new(Message {
        id: None,
        model: model.to_owned(),
        content: Vec::new(),
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        refusal: None,
        usage: Usage { input_tokens: counted.input_tokens, ..Usage::default() },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::testing::request;

    #[test]
    fn a_count_is_asked_for_without_what_only_an_answer_needs() {
        let mut request = request("claude-haiku-4-5", "Hi");
        request.params.temperature = serde_json::Number::from_f64(0.5);
        request.params.thinking = Some(serde_json::json!({"type": "adaptive"}));
        let body: Value = serde_json::from_slice(&body(&request)).unwrap();
        let names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["model", "messages", "thinking"], "{body}");
    }

    #[test]
    fn a_count_is_read_and_nothing_else_is() {
        assert_eq!(read(r#"{"input_tokens": 2095, "context_management": null}"#, "m").unwrap().usage.input_tokens, 2_095);
        for wrong in ["{}", r#"{"input_tokens": -1}"#, r#"{"input_tokens": "7"}"#, "[]", ""] {
            assert!(read(wrong, "m").is_err(), "{wrong}");
        }
    }
}
