//! Does a schema say the same of every value, whatever its keywords look like?
//!
//! For each schema two things are known, each only where it is sure: the types of which it accepts every value, and those of which it
//! rejects every value. They begin with all, and are taken away until the schemas agree with each other. What is left is right also where a
//! schema refers to itself, since then it does so for a part of the value, which is smaller.

use std::sync::Arc;

use jsonschema::Draft;
use serde_json::Value;

use crate::assertion::json::{OPENAPI_FORMATS, meant};
use crate::assertion::pattern::Pattern;
use crate::assertion::schema::{Graph, How, Node};

/// Types, a bit each.
type Types = u8;
const NULL: Types = 1;
const BOOLEAN: Types = 2;
const INTEGER: Types = 4;
const FRACTION: Types = 8;
const NUMBER: Types = INTEGER | FRACTION;
const STRING: Types = 16;
const ARRAY: Types = 32;
const OBJECT: Types = 64;
const ALL: Types = 127;

/// More characters, items or members than any reply has.
const LONGEST: f64 = 1e9;

/// Schemas of an `anyOf` that are compared with each other.
const MOST_COMPARED: usize = 20;

/// Edges that are looked at; past that nothing is said.
const MOST_WORK: usize = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    accepted: Types,
    rejected: Types,
}

const NOTHING: Claim = Claim { accepted: 0, rejected: 0 };
const ACCEPTS: Claim = Claim { accepted: ALL, rejected: 0 };
const REJECTS: Claim = Claim { accepted: 0, rejected: ALL };
/// Of a value of these types anything may be said, and the others are accepted.
const fn asks(types: Types) -> Claim {
    Claim { accepted: ALL & !types, rejected: 0 }
}

impl Claim {
    const fn and(self, other: Self) -> Self {
        Self { accepted: self.accepted & other.accepted, rejected: self.rejected | other.rejected }
    }

    const fn or(self, other: Self) -> Self {
        Self { accepted: self.accepted | other.accepted, rejected: self.rejected & other.rejected }
    }

    const fn not(self) -> Self {
        Self { accepted: self.rejected, rejected: self.accepted }
    }

    /// What is true of this one and of the other.
    const fn both(self, other: Self) -> Self {
        Self { accepted: self.accepted & other.accepted, rejected: self.rejected & other.rejected }
    }
}

/// `true` where a schema accepts every value, `false` where it rejects every value.
pub(super) fn constant(graph: &Graph<'_>) -> Option<bool> {
    let own: Vec<Claim> = graph.nodes.iter().map(plainly).collect();
    let mut claims = vec![Claim { accepted: ALL, rejected: ALL }; graph.nodes.len()];
    let mut work = 0;
    let mut changed = true;
    while changed {
        changed = false;
        // Those behind are mostly those below.
        for (at, node) in graph.nodes.iter().enumerate().rev() {
            work += 1 + node.edges.len();
            if work > MOST_WORK {
                return None;
            }
            let claim = claims[at].both(of(node, own[at], &claims));
            changed |= claim != claims[at];
            claims[at] = claim;
        }
    }
    match claims.first()? {
        Claim { accepted: ALL, .. } => Some(true),
        Claim { rejected: ALL, .. } => Some(false),
        _ => None,
    }
}

/// What a schema says without those in it.
fn plainly(node: &Node<'_>) -> Claim {
    match node.schema {
        Value::Bool(true) => ACCEPTS,
        Value::Bool(false) => REJECTS,
        Value::Object(members) if node.draft <= Draft::Draft7 && members.contains_key("$ref") => ACCEPTS,
        Value::Object(members) => members.iter().fold(ACCEPTS, |claim, (key, value)| claim.and(asserted(node, key, value))),
        _ => NOTHING,
    }
}

fn of(node: &Node<'_>, own: Claim, claims: &[Claim]) -> Claim {
    let mut claim = own;
    let edge = |how: How<'static>| node.edges.iter().filter(move |edge| edge.how == how).map(|edge| claims[edge.to]);
    let one = |how: How<'static>| edge(how).next();
    // Of what a dynamic reference may mean one is meant.
    let mut references: Vec<(&str, Claim)> = Vec::new();
    for edge in &node.edges {
        let of = claims[edge.to];
        claim = claim.and(match edge.how {
            How::Reference(reference) => {
                match references.iter_mut().find(|(known, _)| *known == reference) {
                    Some((_, known)) => *known = known.both(of),
                    None => references.push((reference, of)),
                }
                ACCEPTS
            }
            How::AllOf => of,
            How::Not => of.not(),
            How::Dependent => asks(OBJECT & !of.accepted),
            How::Property(_) | How::Pattern | How::Other | How::Unevaluated if of.accepted != ALL => asks(OBJECT),
            How::Names if of.accepted & STRING == 0 => asks(OBJECT),
            How::Item(_) | How::Items if of.accepted != ALL => asks(ARRAY),
            How::Contains => contains(node),
            _ => ACCEPTS,
        });
    }
    claim = references.into_iter().fold(claim, |claim, (_, reference)| claim.and(reference));
    if one(How::AnyOf).is_some() && !holds_opposites(node, "anyOf") {
        claim = claim.and(edge(How::AnyOf).fold(REJECTS, Claim::or));
    }
    if one(How::OneOf).is_some() {
        let (mut known, mut once, mut twice) = (ALL, 0, 0);
        for branch in edge(How::OneOf) {
            known &= branch.accepted | branch.rejected;
            twice |= once & branch.accepted;
            once |= branch.accepted;
        }
        claim = claim.and(Claim { accepted: known & once & !twice, rejected: twice | known & !once });
    }
    if let Some(condition) = one(How::If) {
        let (then, otherwise) = (one(How::Then).unwrap_or(ACCEPTS), one(How::Else).unwrap_or(ACCEPTS));
        let either = |then: Types, otherwise: Types| condition.accepted & then | condition.rejected & otherwise | then & otherwise;
        claim =
            claim.and(Claim { accepted: either(then.accepted, otherwise.accepted), rejected: either(then.rejected, otherwise.rejected) });
    }
    claim
}

/// What a keyword without a schema says.
fn asserted(node: &Node<'_>, key: &str, value: &Value) -> Claim {
    let above = |least: f64| value.as_f64().is_none_or(|number| number > least);
    let below_all = value.as_f64().is_none_or(|most| most < LONGEST);
    let modern = node.draft >= Draft::Draft201909;
    match key {
        "type" => {
            let named = |name: &Value| match name.as_str() {
                Some("null") => NULL,
                Some("boolean") => BOOLEAN,
                Some("integer") => INTEGER,
                Some("number") => NUMBER,
                Some("string") => STRING,
                Some("array") => ARRAY,
                Some("object") => OBJECT,
                _ => 0,
            };
            let types = value.as_array().map_or_else(|| named(value), |names| names.iter().map(named).fold(0, |all, one| all | one));
            Claim { accepted: types, rejected: ALL & !types }
        }
        "enum" => value.as_array().map_or(NOTHING, |values| choice(values)),
        "const" if node.draft >= Draft::Draft6 => choice(std::slice::from_ref(value)),
        "multipleOf" | "minimum" | "maximum" => asks(NUMBER),
        "exclusiveMinimum" | "exclusiveMaximum" if value.is_number() => asks(NUMBER),
        "maxLength" if below_all => asks(STRING),
        "minLength" if above(0.0) => asks(STRING),
        "pattern" if !matches_everything(value) => asks(STRING),
        "format" if !value.as_str().is_some_and(|format| OPENAPI_FORMATS.contains(&format)) => asks(STRING),
        "contentEncoding" | "contentMediaType" if !modern => asks(STRING),
        "maxItems" if below_all => asks(ARRAY),
        "minItems" if above(0.0) => asks(ARRAY),
        "uniqueItems" if *value == true => asks(ARRAY),
        "maxProperties" if below_all => asks(OBJECT),
        "minProperties" if above(0.0) => asks(OBJECT),
        "required" if !is_empty(value) => asks(OBJECT),
        "dependentRequired" if modern && some_dependency(value) => asks(OBJECT),
        "dependencies" if some_dependency(value) => asks(OBJECT),
        _ => ACCEPTS,
    }
}

/// One of a few values.
fn choice(values: &[Value]) -> Claim {
    let (mut types, mut accepted) = (0, 0);
    let mut booleans = [false; 2];
    for value in values {
        types |= match value {
            Value::Null => {
                accepted |= NULL;
                NULL
            }
            Value::Bool(value) => {
                booleans[usize::from(*value)] = true;
                BOOLEAN
            }
            Value::Number(_) => NUMBER,
            Value::String(_) => STRING,
            Value::Array(_) => ARRAY,
            Value::Object(_) => OBJECT,
        };
    }
    if booleans == [true; 2] {
        accepted |= BOOLEAN;
    }
    Claim { accepted, rejected: ALL & !types }
}

/// An array with no item at all has none that fits.
fn contains(node: &Node<'_>) -> Claim {
    let modern = node.draft >= Draft::Draft201909;
    let least = if modern { node.schema.get("minContains").and_then(Value::as_f64) } else { None };
    let bounded = modern && node.schema.get("maxContains").is_some();
    if least.unwrap_or(1.0) > 0.0 || bounded { asks(ARRAY) } else { ACCEPTS }
}

fn matches_everything(pattern: &Value) -> bool {
    let pattern = pattern.as_str().and_then(|pattern| Pattern::compile(&meant(pattern), &Arc::default()).ok());
    pattern.is_some_and(|pattern| pattern.matches_everything())
}

fn is_empty(names: &Value) -> bool {
    names.as_array().is_some_and(Vec::is_empty)
}

/// Whether a member asks for another one than itself.
fn some_dependency(value: &Value) -> bool {
    let other = |member: &String, name: &Value| name.as_str().is_some_and(|name| name != member);
    value.as_object().is_some_and(|members| {
        members.iter().any(|(member, names)| match names {
            Value::Array(names) => names.iter().any(|name| other(member, name)),
            name => other(member, name),
        })
    })
}

/// Whether one of a few schemas is another one's opposite, so that each value is accepted by one of the two and rejected by the other.
fn holds_opposites(node: &Node<'_>, keyword: &str) -> bool {
    let branches = node.schema.get(keyword).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let opposite = |branch: &Value| branch.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("not")).cloned();
    branches.len() <= MOST_COMPARED && branches.iter().filter_map(opposite).any(|opposite| branches.contains(&opposite))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assertion::schema;

    fn says(schema: &Value) -> Option<bool> {
        schema::read(schema, constant).unwrap()
    }

    const SEVENTH: &str = "http://json-schema.org/draft-07/schema#";

    #[test]
    fn a_schema_that_accepts_every_value_is_known_however_it_is_written() {
        let types = ["null", "boolean", "number", "string", "array", "object"];
        for schema in [
            json!(true),
            json!({}),
            json!({"title": "any", "description": "of no use", "x-of": 1, "default": {"type": "string"}, "examples": [1]}),
            json!({"$ref": "#/$defs/any", "$defs": {"any": {}}}),
            json!({"anyOf": [{"const": 1}, {"not": {"const": 1}}]}),
            json!({"anyOf": [{"not": {"required": ["a"]}}, {"type": "integer"}, {"required": ["a"]}]}),
            json!({"dependentRequired": {"a": ["a"]}}),
            json!({"minLength": 0, "maxProperties": 1e12, "maxItems": 1_000_000_000_000_u64, "maxLength": 1e12}),
            json!({"$defs": {"any": {"type": "integer"}}}),
            json!({"type": types}),
            json!({"anyOf": types.map(|name| json!({"type": name}))}),
            json!({"oneOf": types.map(|name| json!({"type": name}))}),
            json!({"anyOf": [{"type": "string"}, {"not": {"type": "string"}}]}),
            json!({"not": {"not": {}}}),
            json!({"not": false}),
            json!({"properties": {"a": {}, "b": true}, "additionalProperties": true, "patternProperties": {"^x": {"title": "x"}}}),
            json!({"items": {}, "prefixItems": [true], "minItems": 0, "uniqueItems": false, "contains": false, "minContains": 0}),
            json!({"minLength": 0, "pattern": ".*", "format": "int32", "required": [], "minProperties": 0, "dependentRequired": {"a": []}}),
            // It refers to itself, and nothing on the way asks for anything.
            json!({"properties": {"next": {"$ref": "#"}}, "items": {"$ref": "#"}}),
            json!({"$dynamicAnchor": "n", "items": {"$dynamicRef": "#n"}}),
            json!({"if": {"type": "string"}, "then": {}, "else": true}),
            json!({"if": {"minLength": 4}}),
            json!({"then": {"type": "string"}}),
            json!({"propertyNames": {"type": "string"}}),
            // What the draft does not know, or does not look at.
            json!({"$schema": SEVENTH, "prefixItems": [{"type": "string"}], "dependentRequired": {"a": ["b"]}, "$dynamicRef": "#x"}),
            json!({"$schema": SEVENTH, "$ref": "#/definitions/any", "type": "string", "definitions": {"any": {}}}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "const": 1, "contains": {"type": "string"}, "exclusiveMinimum": true, "if": {}, "then": false}),
            json!({"$id": "https://example.com/a", "$ref": "b", "$defs": {"b": {"$id": "b", "$comment": "any"}}}),
        ] {
            assert_eq!(says(&schema), Some(true), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_accepts_nothing_is_known() {
        for schema in [
            json!(false),
            json!({"not": {}}),
            json!({"allOf": [{"type": "string"}, {"type": "object"}]}),
            json!({"enum": []}),
            json!({"const": 1, "type": "string"}),
            json!({"oneOf": [{}, {"title": "any too"}]}),
            json!({"$ref": "#/$defs/no", "$defs": {"no": false}}),
        ] {
            assert_eq!(says(&schema), Some(false), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_can_reject_something_is_never_said_to_accept_everything() {
        let rejects = [
            (json!({"type": ["null", "boolean", "integer", "string", "array", "object"]}), json!(1.5)),
            (json!({"properties": {"a": {"items": {"type": "string"}}}}), json!({"a": [1]})),
            (json!({"properties": {"a": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"minLength": 1}}}), json!({"a": ""})),
            (json!({"properties": {"next": {"$ref": "#"}}, "required": ["next"]}), json!({})),
            (json!({"properties": {"next": {"not": {"$ref": "#"}}}}), json!({"next": 1})),
            (json!({"items": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}, "maxItems": 1}), json!([1, 2])),
            (json!({"additionalProperties": false}), json!({"a": 1})),
            (json!({"patternProperties": {"^x": false}}), json!({"x": 1})),
            (json!({"propertyNames": {"maxLength": 1}}), json!({"aa": 1})),
            (json!({"unevaluatedProperties": false}), json!({"a": 1})),
            (json!({"unevaluatedItems": {"type": "string"}}), json!([1])),
            (json!({"contains": {}}), json!([])),
            (json!({"contains": {}, "minContains": 0, "maxContains": 1}), json!([1, 2])),
            (json!({"oneOf": [{}, {"type": "string"}]}), json!("a")),
            (json!({"oneOf": [{"type": "string"}, {"minLength": 2}]}), json!("aa")),
            (json!({"anyOf": [{"type": "string"}, {"type": "number"}]}), json!(null)),
            (json!({"if": {"type": "string"}, "then": {"minLength": 1}}), json!("")),
            (json!({"if": {"type": "string"}, "else": {"type": "number"}}), json!(null)),
            (json!({"if": {"minLength": 2}, "then": {"type": "string"}, "else": {"type": "string"}}), json!(1)),
            (json!({"dependentSchemas": {"a": {"required": ["b"]}}}), json!({"a": 1})),
            (json!({"dependencies": {"a": ["b"]}}), json!({"a": 1})),
            (json!({"pattern": "a"}), json!("b")),
            (json!({"pattern": "^(?=a)"}), json!("b")),
            (json!({"format": "date"}), json!("b")),
            (json!({"enum": [null, true, false, 1, "a", [], {}]}), json!(2)),
            (json!({"not": {"const": null}}), json!(null)),
            (json!({"$schema": SEVENTH, "items": [{}], "additionalItems": false}), json!([1, 2])),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true}), json!(1)),
            (
                json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true, "items": {"$recursiveRef": "#"}, "maxItems": 1}),
                json!([[1, 2]]),
            ),
        ];
        for (schema, rejected) in rejects {
            assert_eq!(says(&schema), None, "{schema}");
            assert!(!jsonschema::options().should_validate_formats(true).build(&schema).unwrap().is_valid(&rejected), "{schema}");
        }
    }

    #[test]
    fn a_large_schema_is_read_in_a_moment() {
        let defs = (0..4_000).map(|link| (format!("d{link}"), json!({"items": {"$ref": format!("#/$defs/d{}", (link + 7) % 4_000)}})));
        let schema = json!({"$ref": "#/$defs/d0", "$defs": defs.collect::<serde_json::Map<_, _>>()});
        // It accepts everything; whether that is seen depends on how far may be looked.
        assert_ne!(says(&schema), Some(false));
    }
}
