//! What is judged: a reply, its text, and the JSON in it, read once for all assertions?

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::assertion::path::Found;
use crate::assertion::{excerpt, refusal};
use crate::diff::JsonPathText;
use crate::model::cost::Cost;
use crate::model::reply::Reply;
use crate::model::request::Block;
use crate::model::suite::Parse;

/// A reply under judgement. What several assertions need of it is worked out once, when the first one asks.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The reply.
    pub reply: &'a Reply,
    /// What it cost; `None` for an unpriced model.
    pub cost: Option<Cost>,
    text: Cow<'a, str>,
    parse: Parse,
    json: OnceLock<Result<Json, NotJson>>,
    folded: OnceLock<String>,
    textual_refusal: OnceLock<Option<String>>,
    /// What paths found in the JSON, those that may take long.
    pub(super) found: Found,
}

#[derive(Debug)]
struct Json {
    value: Value,
    /// The place of the first integer beyond 64 bits, which could only be kept rounded.
    rounded: Option<String>,
}

/// Why a reply is not one JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    /// What is wrong and where, with an excerpt of the place.
    pub message: String,
}

/// A reply to be judged. `parse` is the suite's.
#[must_use]
pub fn subject(reply: &Reply, parse: Parse, cost: Option<Cost>) -> Subject<'_> {
    let mut texts = reply.content.iter().filter_map(Block::as_text);
    let text = match (texts.next(), texts.next()) {
        (None, _) => Cow::Borrowed(""),
        (Some(only), None) => Cow::Borrowed(only),
        _ => Cow::Owned(reply.text()),
    };
    Subject {
        reply,
        cost,
        text,
        parse,
        json: OnceLock::new(),
        folded: OnceLock::new(),
        textual_refusal: OnceLock::new(),
        found: Found::default(),
    }
}

impl Subject<'_> {
    /// All text of the reply, thinking left out.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one JSON value that the reply is.
    ///
    /// # Errors
    /// Where it is none: other text, two values, a key twice in one object, nested deeper than 128 levels.
    pub fn json(&self) -> Result<&Value, &NotJson> {
        self.parsed().as_ref().map(|json| &json.value)
    }

    /// Why nobody can know what hangs on the digits of the JSON's large integers, where one of them could only be kept rounded.
    pub(super) fn inexact(&self) -> Option<String> {
        let place = self.parsed().as_ref().ok()?.rounded.as_ref()?;
        Some(format!(
            "the reply has an integer beyond 64 bits ({place}), which cannot be compared exactly; let the prompt ask for a string"
        ))
    }

    /// The text without upper and lower case.
    pub(super) fn folded(&self) -> &str {
        self.folded.get_or_init(|| fold(&self.text))
    }

    /// The words in which the reply refuses, if its opening does.
    pub(super) fn textual_refusal(&self) -> Option<&str> {
        self.textual_refusal.get_or_init(|| refusal::textual(&self.text)).as_deref()
    }

    /// The text without the one fence that may stand around all of it.
    pub(super) fn unfenced(&self) -> &str {
        self.parse.json_text(&self.text)
    }

    fn parsed(&self) -> &Result<Json, NotJson> {
        self.json.get_or_init(|| {
            let text = self.unfenced();
            parse(text).map_err(|mut not_json| {
                if !self.parse.fenced && self.text.trim_start().starts_with("```") {
                    not_json.message.push_str("; it stands in a code fence (hint: `parse: {fenced: true}` in the suite takes it off)");
                }
                not_json
            })
        })
    }
}

/// Upper and lower case made one: `Straße` is `STRASSE`, and a final sigma is a sigma.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(fold_character).collect()
}

fn fold_character(character: char) -> impl Iterator<Item = char> {
    character.to_uppercase().flat_map(char::to_lowercase)
}

/// The place in `text` of what stands at `offset` in its folded form.
pub(super) fn unfold(text: &str, offset: usize) -> usize {
    let mut folded = 0;
    for (index, character) in text.char_indices() {
        if folded >= offset {
            return index;
        }
        folded += fold_character(character).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

fn parse(text: &str) -> Result<Json, NotJson> {
    if text.trim().is_empty() {
        return Err(NotJson { message: excerpt::opening(text) });
    }
    let rounded = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { rounded: &rounded }.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(value) => {
            let rounded = rounded.get().then(|| long_integer(text)).flatten().map(|nth| place_of_number(&value, nth));
            Ok(Json { value, rounded })
        }
        Err(error) => Err(NotJson { message: describe(text, &error) }),
    }
}

/// `trailing characters at line 2, column 1: `…``.
fn describe(text: &str, error: &serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let full = error.to_string();
    let message = full.strip_suffix(&position).unwrap_or(&full);
    let start = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    // serde_json counts the bytes of the line that it has read; the last of them is the one that is wrong.
    let column = error.column().saturating_sub(1);
    let offset = text.floor_char_boundary((start + column).min(text.len()));
    let shown = text[start.min(offset)..offset].chars().count() + 1;
    format!("{message} at line {}, column {shown}: {}", error.line().max(1), excerpt::around(text, offset..offset))
}

/// Which of the numbers of a JSON text, counted from 0, is the first integer beyond 64 bits. Only asked where a number was too large to be
/// kept exactly.
fn long_integer(json: &str) -> Option<usize> {
    let (mut in_string, mut escaped) = (false, false);
    let (mut begun, mut numbers) = (None, 0);
    for (at, byte) in json.bytes().chain(*b" ").enumerate() {
        if in_string {
            (in_string, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match (byte, begun) {
            (b'0'..=b'9' | b'-', None) => begun = Some(at),
            (b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E', Some(_)) => {}
            (_, Some(start)) => {
                let number = &json[start..at];
                let is_integer = number.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(numbers);
                }
                (begun, numbers) = (None, numbers + 1);
            }
            (_, None) => in_string = byte == b'"',
        }
    }
    None
}

/// Where the number stands that is the `nth` of a value, which holds them in the order of its text.
fn place_of_number(value: &Value, nth: usize) -> String {
    /// A member or an item.
    type Step<'v> = (Option<&'v str>, usize);
    fn find<'v>(value: &'v Value, left: &mut usize, way: &mut Vec<Step<'v>>) -> bool {
        match value {
            Value::Number(_) if *left == 0 => true,
            Value::Number(_) => {
                *left -= 1;
                false
            }
            Value::Array(items) => items.iter().enumerate().any(|(index, item)| into((None, index), item, left, way)),
            Value::Object(members) => members.iter().any(|(key, member)| into((Some(key), 0), member, left, way)),
            Value::Null | Value::Bool(_) | Value::String(_) => false,
        }
    }
    fn into<'v>(step: Step<'v>, value: &'v Value, left: &mut usize, way: &mut Vec<Step<'v>>) -> bool {
        way.push(step);
        let found = find(value, left, way);
        if !found {
            way.pop();
        }
        found
    }
    let (mut left, mut way, mut path) = (nth, Vec::new(), JsonPathText::default());
    find(value, &mut left, &mut way);
    for step in way {
        match step {
            (Some(key), _) => path.push_member(key),
            (None, index) => path.push_index(index),
        }
    }
    excerpt::clipped(path.as_str(), excerpt::LONGEST_PATH)
}

/// Reads any JSON value; a key that stands twice in one object is an error, where serde_json alone would keep the last one in silence.
#[derive(Clone, Copy)]
struct Strict<'a> {
    rounded: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= 9.2e18 {
            self.rounded.set(true);
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {}", excerpt::quoted(&key))));
            }
            let value = members.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
