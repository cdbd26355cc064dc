//! A new batch: would the API take it (docs/wire-reference.md 5)?
//!
//! Only its frame is looked at here; what stands in `params` is found out when the request is processed, as the API does it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::api_error::ApiError;

/// The most requests of a batch.
const MOST_REQUESTS: usize = 100_000;
/// The most characters of a `custom_id`.
const LONGEST_ID: usize = 64;

/// One request of a batch.
#[derive(Debug, Clone)]
pub(in super::super) struct Item {
    pub(in super::super) custom_id: String,
    /// The JSON text of a body of `/v1/messages`, as it came.
    pub(in super::super) params: Bytes,
}

/// A list whose elements beyond the limit are only counted.
struct Bounded<'a> {
    items: Vec<&'a RawValue>,
    count: usize,
}

impl<'de> Deserialize<'de> for Bounded<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Bounded<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut bounded = Bounded { items: Vec::new(), count: 0 };
                while bounded.count < MOST_REQUESTS {
                    let Some(item) = seq.next_element()? else { return Ok(bounded) };
                    bounded.items.push(item);
                    bounded.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    bounded.count += 1;
                }
                Ok(bounded)
            }
        }
        deserializer.deserialize_seq(Items)
    }
}

/// The requests of a body, or the first thing that is wrong with it.
pub(in super::super) fn items(body: &Bytes) -> Result<Vec<Item>, ApiError> {
    let whole: &RawValue =
        serde_json::from_slice(body).map_err(|error| ApiError::new(400, format!("The request body is not valid JSON: {error}")))?;
    let top = members(whole).ok_or_else(|| ApiError::new(400, "Input should be an object"))?;
    if let Some(name) = top.keys().find(|name| *name != "requests") {
        return Err(ApiError::at(name, "Extra inputs are not permitted"));
    }
    let requests = top.get("requests").ok_or_else(|| ApiError::at("requests", "Field required"))?;
    let list: Bounded<'_> = serde_json::from_str(requests.get()).map_err(|_| ApiError::at("requests", "Input should be a valid list"))?;
    if list.count == 0 {
        return Err(ApiError::at("requests", "List should have at least 1 item after validation, not 0"));
    }
    if list.count > MOST_REQUESTS {
        let count = list.count;
        return Err(ApiError::at("requests", format!("List should have at most {MOST_REQUESTS} items after validation, not {count}")));
    }
    let mut known = HashSet::with_capacity(list.count);
    let mut items = Vec::with_capacity(list.count);
    for (index, request) in list.items.into_iter().enumerate() {
        let item = item(request, body).map_err(|(place, words)| ApiError::at(format!("requests.{index}{place}"), words))?;
        if !known.insert(item.custom_id.clone()) {
            return Err(ApiError::at(
                format!("requests.{index}.custom_id"),
                format!("custom_id must be unique within a batch: '{}' stands before", item.custom_id),
            ));
        }
        items.push(item);
    }
    Ok(items)
}

fn item(request: &RawValue, body: &Bytes) -> Result<Item, (String, String)> {
    let wrong = |place: &str, words: &str| (place.to_owned(), words.to_owned());
    let members = members(request).ok_or_else(|| wrong("", "Input should be an object"))?;
    if let Some(name) = members.keys().find(|name| !["custom_id", "params"].contains(&name.as_str())) {
        return Err(wrong(&format!(".{name}"), "Extra inputs are not permitted"));
    }
    let id = members.get("custom_id").ok_or_else(|| wrong(".custom_id", "Field required"))?;
    let custom_id: String = serde_json::from_str(id.get()).map_err(|_| wrong(".custom_id", "Input should be a valid string"))?;
    let fits =
        (1..=LONGEST_ID).contains(&custom_id.len()) && custom_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !fits {
        return Err(wrong(".custom_id", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"));
    }
    let params = members.get("params").ok_or_else(|| wrong(".params", "Field required"))?;
    if !params.get().starts_with('{') {
        return Err(wrong(".params", "Input should be an object"));
    }
    Ok(Item { custom_id, params: body.slice_ref(params.get().as_bytes()) })
}

fn members(value: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(value.get()).ok()
}
