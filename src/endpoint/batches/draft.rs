//! What is written into a batch, and how much fits (wire reference, 5)?

use bytes::Bytes;

use crate::endpoint::messages;
use crate::model::key::Key;
use crate::model::prefix::Marks;
use crate::model::request::Request;

/// How large a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes of the whole body.
    pub bytes: usize,
}

/// 100,000 requests or 256 MB, whichever comes first.
pub const API: Limits = Limits { requests: 100_000, bytes: 256_000_000 };

/// The body of a creation as it grows.
#[derive(Debug)]
pub struct Draft {
    mark: String,
    limits: Limits,
    body: Vec<u8>,
    count: usize,
}

const OPENS: &[u8] = br#"{"requests":["#;
const CLOSES: &[u8] = b"]}";

impl Draft {
    /// Nothing yet; every `custom_id` in it will begin with this mark.
    #[must_use]
    pub fn new(mark: &str, limits: Limits) -> Self {
        Self { mark: mark.to_owned(), limits, body: OPENS.to_vec(), count: 0 }
    }

    /// Adds a request as it would be sent singly, with these marks for the provider's prompt cache; says whether it fitted.
    pub fn push(&mut self, key: &Key, request: &Request, marks: &Marks) -> bool {
        let params = messages::body(request, marks, false);
        let id = custom_id(&self.mark, self.count, key);
        // `,{"custom_id":"","params":}`
        let length = id.len() + params.len() + 27;
        if self.count == self.limits.requests || self.body.len() + length + CLOSES.len() > self.limits.bytes {
            return false;
        }
        if self.count > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(br#"{"custom_id":""#);
        self.body.extend_from_slice(id.as_bytes());
        self.body.extend_from_slice(br#"","params":"#);
        self.body.extend_from_slice(&params);
        self.body.push(b'}');
        self.count += 1;
        true
    }

    /// How many requests it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.body.len() + CLOSES.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes to send.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.body.extend_from_slice(CLOSES);
        Bytes::from(self.body)
    }
}

/// Whether the API takes such a request in a batch.
#[must_use]
pub fn is_taken(request: &Request) -> bool {
    request.params.speed.is_none() && request.params.max_tokens != Some(0)
}

/// The mark says whose batch it is, the place which request, and the key that no answer is stored under another one's.
fn custom_id(mark: &str, place: usize, key: &Key) -> String {
    format!("{mark}-{place}-{}", &key.to_string()[..32])
}

/// The place that a `custom_id` names, if it is of the batch with this mark.
#[must_use]
pub fn place(mark: &str, custom_id: &str) -> Option<usize> {
    let (place, _) = custom_id.strip_prefix(mark)?.strip_prefix('-')?.split_once('-')?;
    // Only the spelling that is written.
    place.parse().ok().filter(|number: &usize| number.to_string() == place)
}

/// Whether it is that of this key.
#[must_use]
pub fn is_of(mark: &str, custom_id: &str, place: usize, key: &Key) -> bool {
    custom_id == self::custom_id(mark, place, key)
}

#[cfg(test)]
mod tests {

    use serde_json::{Value, json};

    use super::*;
    use crate::endpoint::testing::request;

    const MARK: &str = "0123456789abcdef";

    fn key(number: u8) -> Key {
        Key::from_bytes([number; 32])
    }

    #[test]
    fn a_request_stands_in_a_batch_as_it_would_be_sent_singly() {
        let request = request("claude-haiku-4-5", "hello");
        let mut draft = Draft::new(MARK, API);
        assert!(draft.push(&key(1), &request, &Marks::AsWritten) && draft.push(&key(2), &request, &Marks::AsWritten));
        let body: Value = serde_json::from_slice(&draft.finish()).unwrap();
        let single: Value = serde_json::from_slice(&messages::body(&request, &Marks::AsWritten, false)).unwrap();
        assert_eq!(body["requests"][1]["params"], single);
        assert_eq!(body["requests"][1]["custom_id"], json!(format!("{MARK}-1-{}", "02".repeat(16))));
        assert_eq!(single.get("stream"), None);
    }

    #[test]
    fn the_longest_custom_id_is_one_that_the_api_takes() {
        let id = custom_id(MARK, API.requests - 1, &key(255));
        assert!(id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
    }

    #[test]
    fn a_custom_id_names_its_place_and_no_other_batch() {
        let id = custom_id(MARK, 17, &key(3));
        assert_eq!(place(MARK, &id), Some(17));
        assert!(is_of(MARK, &id, 17, &key(3)) && !is_of(MARK, &id, 17, &key(4)) && !is_of(MARK, &id, 1, &key(3)));
        for wrong in ["", MARK, "0123456789abcdef-", "0123456789abcdef-x-00", "0123456789abcdef-017-00", "fedcba9876543210-17-00", &id[1..]]
        {
            assert_eq!(place(MARK, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_batch_takes_what_both_limits_allow_to_the_byte() {
        let request = request("claude-haiku-4-5", "hello");
        let mut one = Draft::new(MARK, API);
        assert!(one.push(&key(1), &request, &Marks::AsWritten) && one.push(&key(1), &request, &Marks::AsWritten));
        let whole = one.finish().len();
        for (bytes, fits) in [(whole, true), (whole - 1, false)] {
            let mut draft = Draft::new(MARK, Limits { requests: 9, bytes });
            assert!(draft.push(&key(1), &request, &Marks::AsWritten));
            assert_eq!(draft.push(&key(1), &request, &Marks::AsWritten), fits, "{bytes} bytes");
        }
        let mut few = Draft::new(MARK, Limits { requests: 1, bytes: 9_999 });
        assert!(few.push(&key(1), &request, &Marks::AsWritten) && !few.push(&key(1), &request, &Marks::AsWritten));
        assert_eq!(few.len(), 1);
    }
}
