//! What does a failed response mean? Status first, then `error.type`, then the error code, never the message where it can be helped
//! (wire reference, 3.1).

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::endpoint::messages::{ApiError, Parsed, parse};
use crate::endpoint::secret::Scrubber;
use crate::endpoint::wire::Advice;
use crate::model::verdict::ErrorKind;

/// Longest excerpt of a server's words in a message, in characters.
const EXCERPT: usize = 300;

/// A failed response in our terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// One line, not scrubbed yet.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// From the body, where the header is missing.
    pub(crate) request_id: Option<String>,
}

/// Who was asked, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) address: &'a str,
    pub(crate) model: &'a str,
    /// Takes keys out of what the server says, before anything is cut.
    pub(crate) scrubber: &'a Scrubber,
}

/// Reads a response whose status is not a success.
pub(crate) fn of_status(status: u16, headers: &HeaderMap, body: &[u8], asked: Asked<'_>) -> Fault {
    let text = String::from_utf8_lossy(body);
    let error = match parse(&text) {
        Ok(Parsed::Error(error)) => Some(error),
        Ok(Parsed::Message(_)) | Err(_) => None,
    };
    let kind = kind_of_status(status, error.as_ref(), headers.contains_key(RETRY_AFTER));
    let words = match &error {
        Some(error) => words(error, asked.scrubber),
        None if text.trim().is_empty() => " with an empty body".to_owned(),
        None => format!(
            " with a body that is no API error{}: {}",
            content_type(headers, asked.scrubber),
            asked.scrubber.excerpt(&text, EXCERPT)
        ),
    };
    Fault {
        kind,
        message: format!("HTTP {status}{words}"),
        hint: hint(kind, status, headers, asked),
        request_id: error.and_then(|error| error.request_id),
    }
}

/// Reads an error body that came with a success, as some proxies send it.
pub(crate) fn of_error_body(error: &ApiError, asked: Asked<'_>) -> Fault {
    of_late_error("an error body", error, asked)
}

/// Reads an `error` event: the stream had begun well, so the status says nothing, and the type of the error everything.
pub(crate) fn of_error_event(error: &ApiError, asked: Asked<'_>) -> Fault {
    of_late_error("an `error` event in its stream", error, asked)
}

/// What an error means that came without a status of its own: its type says everything.
pub(crate) fn kind_of_late_error(error: &ApiError) -> ErrorKind {
    match error.kind.as_deref() {
        Some("invalid_request_error" | "request_too_large") => kind_of_status(400, Some(error), false),
        Some("authentication_error" | "permission_error" | "billing_error") => ErrorKind::Denied,
        Some("not_found_error") => ErrorKind::NotFound,
        Some("rate_limit_error") => kind_of_status(429, Some(error), false),
        Some("overloaded_error") => ErrorKind::Overloaded,
        Some("api_error" | "timeout_error" | "conflict_error") => ErrorKind::Server,
        Some(_) | None => ErrorKind::MalformedReply,
    }
}

fn of_late_error(what: &str, error: &ApiError, asked: Asked<'_>) -> Fault {
    let kind = kind_of_late_error(error);
    Fault {
        kind,
        message: format!("HTTP 200 with {what}{}", words(error, asked.scrubber)),
        hint: hint(kind, 200, &HeaderMap::new(), asked),
        request_id: error.request_id.clone(),
    }
}

/// Stands for what a parser says of a body in which there is a key.
const NEXT_TO_A_KEY: &str = "it cannot be read, and why is not quoted, because a key stands in it";

/// A success whose body is no message.
pub(crate) fn of_body(reason: &str, headers: &HeaderMap, body: &str, scrubber: &Scrubber) -> Fault {
    // The reason may quote a value of the body, which ends for the parser where an unescaped key has a quotation mark: half a key is found by
    // nobody, so next to a key nothing is quoted.
    let reason = if scrubber.finds(body) { NEXT_TO_A_KEY.to_owned() } else { scrubber.excerpt(reason, EXCERPT) };
    let beginning = scrubber.excerpt(body, 80);
    Fault {
        kind: ErrorKind::MalformedReply,
        message: format!("HTTP 200 with a body that is no reply{}: {reason}; it begins `{beginning}`", content_type(headers, scrubber)),
        hint: None,
        request_id: None,
    }
}

/// A success whose events add up to no message. Their text is not quoted: a key may stand in it in pieces.
pub(crate) fn of_stream(reason: &str, headers: &HeaderMap, scrubber: &Scrubber) -> Fault {
    Fault {
        kind: ErrorKind::MalformedReply,
        message: format!(
            "HTTP 200 with a stream that is no reply{}: {}",
            content_type(headers, scrubber),
            scrubber.excerpt(reason, EXCERPT)
        ),
        hint: None,
        request_id: None,
    }
}

pub(crate) fn words(error: &ApiError, scrubber: &Scrubber) -> String {
    let mut words = String::new();
    if let Some(kind) = &error.kind {
        words.push(' ');
        words.push_str(&scrubber.excerpt(kind, 80));
    }
    if let Some(code) = &error.code {
        words.push_str(&format!(" ({})", scrubber.excerpt(code, 80)));
    }
    if let Some(message) = &error.message {
        words.push_str(": ");
        words.push_str(&scrubber.excerpt(message, EXCERPT));
    }
    words
}

fn content_type(headers: &HeaderMap, scrubber: &Scrubber) -> String {
    headers
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| format!(" ({})", scrubber.excerpt(value, 80)))
        .unwrap_or_default()
}

fn kind_of_status(status: u16, error: Option<&ApiError>, asks_to_wait: bool) -> ErrorKind {
    let code = error.and_then(|error| error.code.as_deref()).unwrap_or_default();
    let says = |beginning: &str| error.and_then(|error| error.message.as_deref()).is_some_and(|message| message.starts_with(beginning));
    match status {
        // The own spending limit has no code; its message is the only mark (3.1).
        400 if says("You have reached your specified API usage limits") => ErrorKind::SpendLimit,
        400 if code == "organization_on_hold" => ErrorKind::Denied,
        402 if code == "linked_organization_spend_limit_reached" => ErrorKind::SpendLimit,
        401..=403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        408 | 409 => ErrorKind::Server,
        429 if matches!(code, "enforced_spend_limit_reached" | "contract_spend_limit_reached") => ErrorKind::SpendLimit,
        429 if !asks_to_wait && says("You have reached your") => ErrorKind::SpendLimit,
        429 => ErrorKind::RateLimited,
        529 => ErrorKind::Overloaded,
        500..=599 => ErrorKind::Server,
        // Redirects are not followed: a POST and a key must not travel to another place in silence.
        300..=399 => ErrorKind::NotFound,
        _ => ErrorKind::InvalidRequest,
    }
}

fn hint(kind: ErrorKind, status: u16, headers: &HeaderMap, asked: Asked<'_>) -> Option<String> {
    let Asked { endpoint, address, model, scrubber } = asked;
    match kind {
        ErrorKind::Denied => {
            Some(format!("check the key of endpoint `{endpoint}` (`api_key_env` in promptkeel.toml) and that it may use `{model}`"))
        }
        ErrorKind::NotFound if (300..400).contains(&status) => {
            let target =
                headers.get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok()).map(|value| scrubber.excerpt(value, 200));
            Some(format!(
                "{address} redirects{}; set `base_url` of endpoint `{endpoint}` to the final address",
                target.map(|target| format!(" to {target}")).unwrap_or_default()
            ))
        }
        ErrorKind::NotFound => {
            Some(format!("check that the model `{model}` exists and that {address} is the `base_url` of endpoint `{endpoint}`"))
        }
        ErrorKind::SpendLimit => Some("raise the spending limit or wait until it is reset; asking again cannot help".to_owned()),
        ErrorKind::RateLimited => Some(format!("lower `max_concurrency` or set `requests_per_minute` of endpoint `{endpoint}`")),
        ErrorKind::Overloaded | ErrorKind::Server => {
            Some("the provider has trouble; run again later: what was answered is stored".to_owned())
        }
        ErrorKind::InvalidRequest => Some(format!("check `request:` and the prompt against what `{model}` accepts")),
        ErrorKind::Connection
        | ErrorKind::Timeout
        | ErrorKind::MalformedReply
        | ErrorKind::Budget
        | ErrorKind::Unavailable
        | ErrorKind::Batch
        | ErrorKind::CacheMiss
        | ErrorKind::Store
        | ErrorKind::Judging
        | ErrorKind::Template => None,
    }
}

/// What the headers say about trying again (2.2, 3.2).
pub(crate) fn advice(headers: &HeaderMap, now: DateTime<Utc>) -> Advice {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|value| seconds(value, 1000.0));
    let after = milliseconds.or_else(|| text("retry-after").and_then(|value| seconds(value, 1.0).or_else(|| until(value, headers, now))));
    let should_retry = match text("x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) | None => None,
    };
    Advice { after, should_retry, ..Advice::default() }
}

fn seconds(value: &str, divisor: f64) -> Option<Duration> {
    let number: f64 = value.parse().ok()?;
    // Zero counts as absent, as in the official clients; what no duration can hold is capped later, so any large value will do.
    (number > 0.0).then(|| Duration::try_from_secs_f64(number / divisor).unwrap_or(Duration::MAX))
}

/// An HTTP date, counted from the server's own clock where it tells it.
fn until(value: &str, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let server = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(|value| DateTime::parse_from_rfc2822(value).ok());
    let now = server.map_or(now, |server| server.with_timezone(&Utc));
    let then = DateTime::parse_from_rfc2822(value).ok()?.with_timezone(&Utc);
    (then - now).to_std().ok().filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static NO_KEYS: Scrubber = Scrubber::NO_KEYS;
    const ASKED: Asked<'static> = Asked { endpoint: "anthropic", address: "https://api.anthropic.com", model: "m", scrubber: &NO_KEYS };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn body(kind: &str, message: &str, code: Option<&str>) -> String {
        serde_json::json!({"type":"error","error":{"type":kind,"message":message,"details":code.map(|code| serde_json::json!({"error_code":code}))},"request_id":"req_9"})
            .to_string()
    }

    #[test]
    fn every_status_of_the_reference_has_its_class() {
        use ErrorKind as K;
        for (status, kind, message, code, expected) in [
            (400, "invalid_request_error", "bad", None, K::InvalidRequest),
            (
                400,
                "invalid_request_error",
                "You have reached your specified API usage limits. You will regain access on",
                None,
                K::SpendLimit,
            ),
            (400, "invalid_request_error", "on hold", Some("organization_on_hold"), K::Denied),
            (401, "authentication_error", "invalid x-api-key", None, K::Denied),
            (402, "billing_error", "pay", None, K::Denied),
            (402, "billing_error", "pay", Some("linked_organization_spend_limit_reached"), K::SpendLimit),
            (403, "permission_error", "no", None, K::Denied),
            (404, "not_found_error", "model: x", None, K::NotFound),
            (408, "", "", None, K::Server),
            (409, "conflict_error", "", None, K::Server),
            (413, "request_too_large", "", None, K::InvalidRequest),
            (422, "", "", None, K::InvalidRequest),
            (429, "rate_limit_error", "slow", None, K::RateLimited),
            (429, "rate_limit_error", "ramp", Some("ramp_limit_exceeded"), K::RateLimited),
            (429, "rate_limit_error", "spent", Some("enforced_spend_limit_reached"), K::SpendLimit),
            (429, "rate_limit_error", "spent", Some("contract_spend_limit_reached"), K::SpendLimit),
            (429, "rate_limit_error", "You have reached your API usage limits: x", None, K::SpendLimit),
            (500, "api_error", "", None, K::Server),
            (501, "", "", None, K::Server),
            (503, "", "", None, K::Server),
            (504, "timeout_error", "", None, K::Server),
            (529, "overloaded_error", "Overloaded", None, K::Overloaded),
            (307, "", "", None, K::NotFound),
        ] {
            let fault = of_status(status, &HeaderMap::new(), body(kind, message, code).as_bytes(), ASKED);
            assert_eq!(fault.kind, expected, "{status} {kind} {message} {code:?}");
            assert_eq!(fault.request_id.as_deref(), Some("req_9"));
        }
    }

    #[test]
    fn a_spend_message_with_a_wait_is_a_rate_limit() {
        let fault =
            of_status(429, &headers(&[("retry-after", "3")]), body("rate_limit_error", "You have reached your x", None).as_bytes(), ASKED);
        assert_eq!(fault.kind, ErrorKind::RateLimited);
    }

    #[test]
    fn a_page_of_a_proxy_is_quoted_with_its_content_type() {
        let fault = of_status(502, &headers(&[("content-type", "text/html")]), b"<html>\n<h1>Bad Gateway</h1>", ASKED);
        assert_eq!(fault.kind, ErrorKind::Server);
        assert_eq!(fault.message, "HTTP 502 with a body that is no API error (text/html): <html> <h1>Bad Gateway</h1>");
    }

    #[test]
    fn a_redirect_names_its_target() {
        let fault = of_status(308, &headers(&[("location", "https://elsewhere.test/v1/messages")]), b"", ASKED);
        assert!(fault.hint.unwrap().contains("https://elsewhere.test/v1/messages"));
    }

    #[test]
    fn the_wait_is_read_from_milliseconds_then_seconds_then_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().with_timezone(&Utc);
        let after = |pairs: &[(&'static str, &str)]| advice(&headers(pairs), now).after;
        assert_eq!(after(&[("retry-after-ms", "200"), ("retry-after", "9")]), Some(Duration::from_millis(200)));
        assert_eq!(after(&[("retry-after", "1.5")]), Some(Duration::from_millis(1500)));
        assert_eq!(after(&[("retry-after", "Sun, 22 Nov 2026 10:00:07 GMT")]), Some(Duration::from_secs(7)));
        // The server's clock is an hour behind: only the difference counts.
        assert_eq!(
            after(&[("retry-after", "Sun, 22 Nov 2026 09:00:07 GMT"), ("date", "Sun, 22 Nov 2026 09:00:00 GMT")]),
            Some(Duration::from_secs(7))
        );
        for nothing in ["0", "-3", "soon", "NaN", "Sun, 22 Nov 2026 09:59:00 GMT"] {
            assert_eq!(after(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(after(&[("retry-after", "1e300")]), Some(Duration::MAX));
        assert_eq!(after(&[]), None);
    }

    #[test]
    fn x_should_retry_is_read() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(advice(&headers(&[("x-should-retry", "true")]), now).should_retry, Some(true));
        assert_eq!(advice(&headers(&[("x-should-retry", "false")]), now).should_retry, Some(false));
        assert_eq!(advice(&headers(&[("x-should-retry", "maybe")]), now).should_retry, None);
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_failed_response_make_the_reader_panic(status in 300u16..600, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let fault = of_status(status, &HeaderMap::new(), &bytes, ASKED);
            prop_assert!(!fault.message.contains('\n'));
        }
    }
}
