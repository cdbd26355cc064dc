//! Error responses: which status, which type, which words?

use std::borrow::Cow;
use std::fmt::Display;

use bytes::Bytes;
use serde::Serialize;

/// An answer that is an error of the API (docs/wire-reference.md 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) kind: Cow<'static, str>,
    pub(super) message: String,
    pub(super) code: Option<Cow<'static, str>>,
    pub(super) retry_after: Option<u64>,
    pub(super) should_retry: Option<bool>,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, kind: Cow::Borrowed(kind_of(status)), message: message.into(), code: None, retry_after: None, should_retry: None }
    }

    /// 400 with a place in the request: `messages.0.role: ...`.
    pub(super) fn at(place: impl Display, message: impl Display) -> Self {
        Self::new(400, format!("{place}: {message}"))
    }

    pub(super) fn body(&self, request_id: &str) -> Bytes {
        #[derive(Serialize)]
        struct Outer<'a> {
            r#type: &'static str,
            error: Inner<'a>,
            request_id: &'a str,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            r#type: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<Details<'a>>,
        }
        #[derive(Serialize)]
        struct Details<'a> {
            error_code: &'a str,
        }
        let details = self.code.as_deref().map(|error_code| Details { error_code });
        let outer = Outer { r#type: "error", error: Inner { r#type: &self.kind, message: &self.message, details }, request_id };
        Bytes::from(serde_json::to_vec(&outer).expect("strings serialise"))
    }
}

/// The error type that belongs to a status.
pub(super) fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// What an error response says when the script gives no words.
pub(super) fn words_of(status: u16) -> &'static str {
    match status {
        401 => "invalid bearer token",
        403 => "Your API key does not have permission to use the specified resource.",
        404 => "Not found",
        413 => "Request exceeds the maximum size",
        429 => "This request would exceed your organization's rate limit. Please try again later.",
        504 => "The request timed out while processing.",
        529 => "Overloaded",
        500.. => "Internal server error",
        _ => "Error",
    }
}
