//! What was received: which requests came in, in which order, with which headers?

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};

/// Bodies kept altogether; beyond it the oldest requests are forgotten.
const MOST_BYTES: usize = 32 << 20;

/// One request as it came in. Credentials are replaced by `redacted`.
#[derive(Debug, Clone)]
pub struct Received {
    /// `POST`.
    pub method: String,
    /// With the query, if there was one.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl Received {
    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The last requests.
#[derive(Debug)]
pub(super) struct Journal {
    most: usize,
    kept: Mutex<(VecDeque<Received>, usize)>,
}

impl Journal {
    pub(super) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    pub(super) fn keep(&self, method: &hyper::Method, uri: &hyper::Uri, headers: &HeaderMap, body: &Bytes) {
        if self.most == 0 {
            return;
        }
        let mut headers = headers.clone();
        for name in [AUTHORIZATION.as_str(), "x-api-key"] {
            if let Some(value) = headers.get_mut(name) {
                let scheme = if value.as_bytes().starts_with(b"Bearer ") { "Bearer redacted" } else { "redacted" };
                *value = HeaderValue::from_static(scheme);
            }
        }
        let path = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
        let received = Received { method: method.to_string(), path, headers, body: body.clone() };
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (list, bytes) = &mut *kept;
        *bytes += received.body.len();
        list.push_back(received);
        while list.len() > self.most || (*bytes > MOST_BYTES && list.len() > 1) {
            *bytes -= list.pop_front().map_or(0, |oldest| oldest.body.len());
        }
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.iter().cloned().collect()
    }
}
