//! How does a tree become typed data, with every mistake named at the value or key that makes it?
//!
//! The shapes are plain `#[derive(Deserialize)]` types with `deny_unknown_fields`. serde stops at the first mistake; [`decode_all`]
//! goes on by leaving out the entry that failed and decoding again, so that an author sees all mistakes of a file at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::model::problem::Problem;
use crate::source::document::{Document, Span};
use crate::source::node::{Key, Kind, Node, shortened};
use crate::source::spanned::{NODE, SPANNED, hand_over};

/// Most mistakes that one value reports; more help nobody and cost a decoding each.
const MOST_PROBLEMS: usize = 100;

/// Longest name that is compared with others: comparing takes the product of both lengths, and nobody mistypes so long a word.
const LONGEST_NAME: usize = 300;

/// Most names that a wrong one is compared with: a folder may hold any number of them, and each may be missed.
const MOST_NAMES: usize = 5_000;

/// One value; the first mistake is the error.
///
/// # Errors
/// The first mistake, at its place.
pub fn decode<T: DeserializeOwned>(node: &Node, document: &Document) -> Result<T, Problem> {
    T::deserialize(Decoder { node, left_out: &RefCell::default() }).map_err(|mistake| mistake.into_problem(document, node))
}

/// One value; every mistake is pushed. What comes back lacks the entries that were wrong, and is `None` where too much is missing.
pub fn decode_all<T: DeserializeOwned>(node: &Node, document: &Document, problems: &mut Vec<Problem>) -> Option<T> {
    let left_out: RefCell<HashSet<usize>> = RefCell::default();
    let enough = problems.len() + MOST_PROBLEMS;
    loop {
        let mistake = match T::deserialize(Decoder { node, left_out: &left_out }) {
            Ok(value) => return Some(value),
            Err(mistake) => mistake,
        };
        let unit = mistake.unit;
        // Where an entry was left out, that it is missing is our doing, not the author's.
        if !mistake.consequence {
            problems.push(mistake.into_problem(document, node));
        }
        let unit = unit?;
        if problems.len() >= enough || !left_out.borrow_mut().insert(unit) {
            return None;
        }
    }
}

/// Why a value could not be decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    message: String,
    hint: Option<String>,
    span: Option<Span>,
    /// Whether `message` begins with a verb that wants the key before it.
    wants_key: bool,
    key: Option<String>,
    /// Whether it is an item of a list that is wrong.
    item: bool,
    /// The entry or item to leave out for the next try.
    unit: Option<usize>,
    missing: bool,
    consequence: bool,
}

impl Mistake {
    fn into_problem(self, document: &Document, root: &Node) -> Problem {
        let message = match self.key {
            Some(key) if self.wants_key && self.item => format!("an item of `{key}` {}", self.message),
            Some(key) if self.wants_key => format!("`{key}` {}", self.message),
            None if self.wants_key => format!("this {}", self.message),
            Some(_) | None => self.message,
        };
        let problem = Problem::error(message).at(document.place(self.span.unwrap_or_else(|| root.head())));
        if let Some(hint) = self.hint { problem.hint(hint) } else { problem }
    }

    fn of_type(found: &str, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        let hint = (expected == "`true` or `false`" && found.starts_with("the text"))
            .then(|| "YAML 1.2 knows only `true` and `false`, without quotes".to_owned());
        Self { message: format!("must be {expected}, but it is {found}"), hint, wants_key: true, ..Self::default() }
    }
}

/// Rust's words for a type, in the words of someone who writes YAML.
fn in_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" | "a JSON number" => "a number".to_owned(),
        "a string" | "string" | "str" => "a text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        other if other.starts_with("struct ") => "a mapping".to_owned(),
        other => other.to_owned(),
    }
}

/// `did you mean`, or all that would be right.
#[must_use]
pub fn suggestion<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let right: Vec<&str> = right.into_iter().collect();
    if let Some(name) = nearest(wrong, right.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names = || right.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    (1..=30).contains(&right.len()).then(|| format!("use one of {}", names()))
}

/// The name that `wrong` was probably meant to be.
#[must_use]
pub fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > LONGEST_NAME {
        return None;
    }
    let lower = wrong.to_lowercase();
    right
        .into_iter()
        .take(MOST_NAMES)
        .filter(|name| name.len() <= LONGEST_NAME)
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1.max(name.chars().count().min(lower.chars().count()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

impl serde::de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), ..Self::default() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of_type(&found_in_words(&found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of_type(&found_in_words(&found), expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            message: format!("unknown key `{}`", shortened(field)),
            hint: suggestion(field, expected.iter().copied()),
            ..Self::default()
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self {
            message: format!("cannot be `{}`", shortened(variant)),
            hint: suggestion(variant, expected.iter().copied()),
            wants_key: true,
            ..Self::default()
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            message: format!("the key `{field}` is missing"),
            hint: Some(format!("add `{field}:` to this mapping")),
            missing: true,
            ..Self::default()
        }
    }
}

fn found_in_words(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("the text `{}`", shortened(text)),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// serde's view of a [`Node`].
#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    left_out: &'a RefCell<HashSet<usize>>,
}

fn identity(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl<'a> Decoder<'a> {
    fn of(self, node: &'a Node) -> Self {
        Self { node, left_out: self.left_out }
    }

    fn is_left_out(&self, node: &Node) -> bool {
        let left_out = self.left_out.borrow();
        !left_out.is_empty() && left_out.contains(&identity(node))
    }

    fn located<T>(self, result: Result<T, Mistake>) -> Result<T, Mistake> {
        result.map_err(|mut mistake| {
            if mistake.span.is_none() {
                mistake.span = Some(self.node.head());
                if mistake.missing {
                    mistake.consequence = self.node.entries().iter().any(|(_, value)| self.is_left_out(value));
                }
            }
            mistake
        })
    }

    fn wrong_type(self, expected: &dyn Expected) -> Mistake {
        let mut mistake = if matches!(self.node.kind, Kind::Null) {
            Mistake {
                message: "has no value".to_owned(),
                hint: Some(format!("write {}, or take the key away", in_words(&expected.to_string()))),
                wants_key: true,
                ..Mistake::default()
            }
        } else {
            Mistake::of_type(&self.node.describe(), expected)
        };
        mistake.span = Some(self.node.head());
        mistake
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool { value, .. } => visitor.visit_bool(*value),
            Kind::Number { value, .. } => match (value.as_u64(), value.as_i64(), value.as_f64()) {
                (Some(value), ..) => visitor.visit_u64(value),
                (None, Some(value), _) => visitor.visit_i64(value),
                (None, None, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { decoder: self, items: items.iter() }),
            Kind::Mapping(entries) => visitor.visit_map(Entries { decoder: self, entries: entries.iter(), value: None }),
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let result = self.any(visitor);
        self.located(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        // A key without a value is more often a slip than a wish for the default.
        visitor.visit_some(self)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        // `contains: 42` and `contains: 1.10` mean the texts as they are written.
        let result = match &self.node.kind {
            Kind::Text(text) => visitor.visit_str(text),
            Kind::Bool { text, .. } | Kind::Number { text, .. } => visitor.visit_str(text),
            Kind::Null | Kind::List(_) | Kind::Mapping(_) => return Err(self.wrong_type(&visitor)),
        };
        self.located(result)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    /// Asked for by `by_kind`: a scalar is its text, anything else is what it is.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.kind {
            Kind::Null => Err(self.wrong_type(&visitor)),
            Kind::Text(_) | Kind::Bool { .. } | Kind::Number { .. } => self.deserialize_str(visitor),
            Kind::List(_) | Kind::Mapping(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if matches!(self.node.kind, Kind::List(_)) { self.deserialize_any(visitor) } else { Err(self.wrong_type(&visitor)) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if matches!(self.node.kind, Kind::Mapping(_)) { self.deserialize_any(visitor) } else { Err(self.wrong_type(&visitor)) }
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let result = match &self.node.kind {
            Kind::Text(text) => visitor.visit_enum(Variant { name: text, decoder: self, content: None }),
            Kind::Mapping(entries) if entries.len() == 1 => {
                let (key, value) = &entries[0];
                visitor.visit_enum(Variant { name: &key.name, decoder: self, content: Some(value) })
            }
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::List(_) | Kind::Mapping(_) => {
                let names: Vec<String> = variants.iter().map(|name| format!("`{name}`")).collect();
                return Err(self.wrong_type(&format!("one of {}", names.join(", ")).as_str()));
            }
        };
        self.located(result)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, name: &'static str, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        if name == SPANNED { visitor.visit_seq(SpannedParts { decoder: self, part: 0 }) } else { self.deserialize_seq(visitor) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mistake> {
        if name == NODE {
            hand_over(self.node.clone());
        }
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if matches!(self.node.kind, Kind::Bool { .. }) { self.deserialize_any(visitor) } else { Err(self.wrong_type(&visitor)) }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if let Kind::Number { value, .. } = &self.node.kind {
            // `samples: 3.0` is the whole number that it says.
            if let Some(float) = value.as_f64().filter(|float| value.is_f64() && float.fract() == 0.0 && (0.0..9e15).contains(float)) {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number between 0 and 2^53")]
                return self.located(visitor.visit_u64(float as u64));
            }
            return self.deserialize_any(visitor);
        }
        Err(self.wrong_type(&visitor))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if matches!(self.node.kind, Kind::Number { .. }) { self.deserialize_any(visitor) } else { Err(self.wrong_type(&visitor)) }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char bytes byte_buf unit
    }
}

struct Items<'a> {
    decoder: Decoder<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let decoder = self.decoder;
        let Some(item) = self.items.by_ref().find(|item| !decoder.is_left_out(item)) else { return Ok(None) };
        seed.deserialize(decoder.of(item)).map(Some).map_err(|mut mistake| {
            mistake.unit.get_or_insert(identity(item));
            mistake.item |= mistake.key.is_none();
            mistake
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a> {
    decoder: Decoder<'a>,
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let decoder = self.decoder;
        self.value = self.entries.by_ref().find(|(_, value)| !decoder.is_left_out(value));
        let Some((key, value)) = self.value else { return Ok(None) };
        let name: StrDeserializer<'_, Mistake> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|mut mistake| {
            mistake.span = Some(key.span);
            mistake.unit = Some(identity(value));
            mistake
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mistake> {
        let Some((key, value)) = self.value else { return Err(Mistake::custom("a value was asked for before its key")) };
        seed.deserialize(self.decoder.of(value)).map_err(|mut mistake| {
            mistake.unit.get_or_insert(identity(value));
            mistake.key.get_or_insert_with(|| key.name.clone());
            mistake.span.get_or_insert_with(|| value.head());
            mistake
        })
    }
}

struct Variant<'a> {
    name: &'a str,
    decoder: Decoder<'a>,
    content: Option<&'a Node>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let name: StrDeserializer<'_, Mistake> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        self.content.map_or(Ok(()), |content| Err(self.decoder.of(content).wrong_type(&"a name without a value")))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        let Some(content) = self.content else {
            return Err(Mistake {
                message: format!("`{0}` needs a value", self.name),
                hint: Some(format!("write `{{{}: ...}}`", self.name)),
                ..Mistake::default()
            });
        };
        seed.deserialize(self.decoder.of(content)).map_err(|mut mistake| {
            mistake.key.get_or_insert_with(|| self.name.to_owned());
            mistake
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.decoder.of(self.content.unwrap_or(self.decoder.node)).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Mistake> {
        self.decoder.of(self.content.unwrap_or(self.decoder.node)).deserialize_map(visitor)
    }
}

/// The three parts by which a [`Spanned`] is handed over: value, start, end.
struct SpannedParts<'a> {
    decoder: Decoder<'a>,
    part: u8,
}

impl<'de> SeqAccess<'de> for SpannedParts<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        self.part += 1;
        let span = self.decoder.node.head();
        match self.part {
            1 => seed.deserialize(self.decoder).map(Some),
            2 => seed.deserialize(span.start.into_deserializer()).map(Some),
            3 => seed.deserialize(span.end.into_deserializer()).map(Some),
            _ => Ok(None),
        }
    }
}
