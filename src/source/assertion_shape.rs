//! How is an assertion written in a suite?

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

use crate::model::assertion::{AssertionSeverity, LengthBounds, RefusalRule};
use crate::source::by_kind::by_kind;
use crate::source::node::Node;
use crate::source::spanned::Spanned;

/// Declares the keys of the kinds once, for an assertion and for what stands inside `not`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $field:ident: $kind:ident($shape:ty),)*) => {
        /// One assertion: exactly one kind, beside which `name` and `severity` may stand, or `not` around one kind.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = "AssertionMapping")]
        pub(crate) struct AssertionFields {
            $($(#[$doc])* pub(crate) $field: Option<Spanned<$shape>>,)*
            /// Inverts a comparison that was reached: `not: {contains: "as an AI"}`. What could not be compared still fails.
            pub(crate) not: Option<Spanned<NegatedFields>>,
            /// Shown in reports instead of the kind.
            pub(crate) name: Option<Spanned<String>>,
            /// What a failure does: `fail` (the default) fails the cell, `warn` is only reported, `critical` fails the gate whatever the rates say.
            pub(crate) severity: Option<AssertionSeverity>,
        }

        /// The one kind inside of `not`.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = "NegatedAssertion")]
        pub(crate) struct NegatedFields {
            $($(#[$doc])* pub(crate) $field: Option<Spanned<$shape>>,)*
        }

        /// A kind that was given.
        #[derive(Debug)]
        pub(crate) enum Given {
            $($kind(Spanned<$shape>),)*
        }

        impl AssertionFields {
            /// Every kind that was given, `not` apart.
            pub(crate) fn kinds(&mut self) -> Vec<(&'static str, Given)> {
                let mut given = Vec::new();
                $(if let Some(shape) = self.$field.take() { given.push((stringify!($field), Given::$kind(shape))); })*
                given
            }
        }

        impl NegatedFields {
            /// Every kind that was given.
            pub(crate) fn kinds(self) -> Vec<(&'static str, Given)> {
                let mut given = Vec::new();
                $(if let Some(shape) = self.$field { given.push((stringify!($field), Given::$kind(shape))); })*
                given
            }
        }

        /// The keys of all kinds.
        pub(crate) const KINDS: &[&str] = &[$(stringify!($field)),*];
    };
}

kinds! {
    /// The whole reply, white space at both ends apart, is this text.
    equals: Equals(TextShape),
    /// This text stands somewhere in the reply.
    contains: Contains(TextShape),
    /// At least one of these texts stands in the reply.
    contains_any: ContainsAny(SetShape),
    /// Each of these texts stands in the reply.
    contains_all: ContainsAll(SetShape),
    /// The reply begins with this text, after white space.
    starts_with: StartsWith(TextShape),
    /// The reply ends with this text, before white space.
    ends_with: EndsWith(TextShape),
    /// A regular expression (Rust syntax, look-around allowed) matches somewhere in the reply.
    regex: Regex(String),
    /// The whole reply is one of these texts.
    one_of: OneOf(SetShape),
    /// The reply is similar to a text, by word tokens.
    similar: Similar(SimilarShape),
    /// `true`: the reply is one JSON value.
    json: Json(bool),
    /// The reply is JSON that a JSON Schema accepts: a path from the project root, or the schema itself.
    json_schema: JsonSchema(SchemaShape),
    /// What stands at a JSONPath (RFC 9535) of the reply.
    json_path: JsonPath(JsonPathShape),
    /// `true`: the reply is well-formed XML; or what it must hold besides.
    xml: Xml(XmlShape),
    /// Bounds on the length of the reply, each inclusive.
    length: Length(LengthBounds),
    /// The reply has at most so many output tokens, by the API's own count.
    max_output_tokens: MaxOutputTokens(u64),
    /// Whether the reply may be a refusal: `never`, `always` or `allowed`.
    refusal: Refusal(RefusalRule),
    /// The stop reason is this one, or one of these, as the API spells them.
    stop_reason: StopReason(OneOrMany),
    /// The reply costs at most so many dollars, uncached and unbatched.
    max_cost_usd: MaxCostUsd(Dollars),
    /// The paid call took at most so many milliseconds.
    max_latency_ms: MaxLatencyMs(u64),
}

/// An item of `assert`: a mapping, or the bare word `json` or `xml`.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Assertion")]
pub(crate) enum AssertionShape {
    /// A kind that needs no value.
    Word(Word),
    /// A mapping.
    Fields(Box<AssertionFields>),
}

/// The kinds that need no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// The reply is one JSON value.
    Json,
    /// The reply is well-formed XML.
    Xml,
}

/// A text: itself, or with how it is compared.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Text")]
pub(crate) enum TextShape {
    /// The text, a template.
    Text(#[schemars(schema_with = "scalar")] String),
    /// The text and how it is compared.
    Fields(TextFields),
}

/// A text and how it is compared.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextFields {
    /// The text, a template.
    #[schemars(schema_with = "scalar")]
    pub(crate) value: String,
    /// Compare without regard to upper and lower case.
    pub(crate) ignore_case: Option<bool>,
}

/// Texts: a list, or with how they are compared.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Texts")]
pub(crate) enum SetShape {
    /// The texts, templates.
    Texts(#[schemars(schema_with = "scalars")] Vec<String>),
    /// The texts and how they are compared.
    Fields(SetFields),
}

/// Texts and how they are compared.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetFields {
    /// The texts, templates.
    #[schemars(schema_with = "scalars")]
    pub(crate) values: Vec<String>,
    /// Compare without regard to upper and lower case.
    pub(crate) ignore_case: Option<bool>,
}

/// Similarity to a text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimilarShape {
    /// The text, a template.
    pub(crate) to: String,
    /// Least similarity, above 0 and at most 1; 0.8 by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) threshold: Option<Spanned<f64>>,
}

/// A JSON Schema: a path from the project root, or the schema itself.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct SchemaShape(pub(crate) Node);

impl JsonSchema for SchemaShape {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SchemaOrPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "object", "boolean"] })
    }
}

/// What stands at a JSONPath; every check that is given must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonPathShape {
    /// The path, RFC 9535: `$.queue`, `$.items[*].id`.
    pub(crate) path: String,
    /// Every value at the path equals this one; strings inside are templates.
    pub(crate) equals: Option<Node>,
    /// Every value is a string that this regular expression matches.
    pub(crate) matches: Option<String>,
    /// The path leads to something (`true`) or to nothing (`false`).
    pub(crate) exists: Option<bool>,
    /// Length of every value: characters of a string, items of an array, members of an object.
    pub(crate) length: Option<CountShape>,
    /// Every value is a number of at least this.
    pub(crate) min: Option<serde_json::Number>,
    /// Every value is a number of at most this.
    pub(crate) max: Option<serde_json::Number>,
}

/// A count: exact, or between bounds.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Count")]
pub(crate) enum CountShape {
    /// Exactly so many.
    Exactly(u64),
    /// Between inclusive bounds.
    Between(CountFields),
}

/// Inclusive bounds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountFields {
    /// At least so many.
    pub(crate) min: Option<u64>,
    /// At most so many.
    pub(crate) max: Option<u64>,
}

/// Well-formed XML, and what it must hold.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "XmlRule")]
pub(crate) enum XmlShape {
    /// `true`: well-formed.
    Flag(bool),
    /// What it must hold.
    Fields(XmlFields),
}

/// What XML must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct XmlFields {
    /// Name of the root element, without a namespace.
    pub(crate) root: Option<String>,
    /// Elements, by name, each of which must appear somewhere.
    pub(crate) contains: Option<OneOrMany>,
}

/// One text or several.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
enum OneOrManyForms {
    /// One.
    One(#[schemars(schema_with = "scalar")] String),
    /// Several.
    Many(#[schemars(schema_with = "scalars")] Vec<Spanned<String>>),
}

/// One text or several, each with its place.
#[derive(Debug)]
pub(crate) struct OneOrMany(pub(crate) Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, span } = Spanned::deserialize(deserializer)?;
        Ok(match value {
            OneOrManyForms::One(value) => Self(vec![Spanned { value, span }]),
            OneOrManyForms::Many(values) => Self(values),
        })
    }
}

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrManyForms::json_schema(generator)
    }
}

/// An amount of dollars: the digits as they are written, never a float.
#[derive(Debug)]
pub(crate) struct Dollars(pub(crate) Spanned<String>);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Dollars {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,12})?$"}] })
    }
}

/// A text may be written without quotes where YAML would read a number.
pub(crate) fn scalar(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": ["string", "number", "boolean"] })
}

fn scalars(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } })
}

by_kind!(AssertionShape, "an assertion such as `contains: text`", text: |text: &str| word(text), mapping: |fields| AssertionShape::Fields(Box::new(fields)));
by_kind!(TextShape, "a text, or `{value: text, ignore_case: true}`", text: |text: &str| Ok(TextShape::Text(text.to_owned())), mapping: TextShape::Fields);
by_kind!(SetShape, "a list of texts, or `{values: [...], ignore_case: true}`", list: SetShape::Texts, mapping: SetShape::Fields);
by_kind!(OneOrManyForms, "a text or a list of texts", text: |text: &str| Ok(OneOrManyForms::One(text.to_owned())), list: OneOrManyForms::Many);
by_kind!(CountShape, "a whole number, or `{min: 1, max: 3}`", number: CountShape::Exactly, mapping: CountShape::Between);
by_kind!(XmlShape, "`true`, or `{root: name, contains: [name]}`", flag: XmlShape::Flag, mapping: XmlShape::Fields);

fn word<E: Error>(text: &str) -> Result<AssertionShape, E> {
    match text {
        "json" => Ok(AssertionShape::Word(Word::Json)),
        "xml" => Ok(AssertionShape::Word(Word::Xml)),
        other if KINDS.contains(&other) => Err(E::custom(format!("`{other}` needs a value: write `{other}: ...`"))),
        other => Err(E::invalid_type(Unexpected::Str(other), &"an assertion such as `contains: text`")),
    }
}
