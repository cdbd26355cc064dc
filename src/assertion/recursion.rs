//! Does a schema reach itself without going into a property or an item? Then judging a value by it never ends, or says nothing of it.

use std::collections::HashMap;

use serde_json::Value;

/// Keywords with schemas for the same value: a list of them.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// The same under names.
const NAMED: [&str; 2] = ["dependentSchemas", "dependencies"];

/// Keywords with a schema, or several, for a part of the value.
const INTO: [&str; 11] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "items",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];

/// Keywords that refer.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// The reference that leads back to where the judging of the same value began, such as `#`; JSON Schema leaves undefined what that means
/// (2020-12, core, section 9.4.1). A schema with an `$id` inside of it, whose references mean something else, is not looked into.
pub(super) fn endless(schema: &Value) -> Option<&str> {
    let mut anchors = HashMap::new();
    if !collect(schema, true, &mut anchors) {
        return None;
    }
    let old = schema.get("$schema").and_then(Value::as_str).is_some_and(|draft| draft.contains("draft-0"));
    let walk = Walk { root: schema, anchors, old };
    let mut marks: HashMap<*const Value, Mark> = HashMap::new();
    let mut starts = vec![schema];
    while let Some(start) = starts.pop() {
        if marks.contains_key(&std::ptr::from_ref(start)) {
            continue;
        }
        // Without recursion: a chain of references may be thousands long.
        let mut open = vec![walk.step(start, None, &mut marks, &mut starts)];
        while let Some(step) = open.last_mut() {
            let Some((next, reference)) = step.same.pop() else {
                marks.insert(std::ptr::from_ref(step.schema), Mark::Done);
                open.pop();
                continue;
            };
            let reference = reference.or(step.reference);
            match marks.get(&std::ptr::from_ref(next)) {
                Some(Mark::Done) => {}
                Some(Mark::Open) => return reference,
                None => open.push(walk.step(next, reference, &mut marks, &mut starts)),
            }
        }
    }
    None
}

/// What became of a schema.
enum Mark {
    /// The way to where we are goes through it.
    Open,
    /// It leads nowhere.
    Done,
}

/// A schema on the way to where we are.
struct Step<'a> {
    schema: &'a Value,
    /// The last reference on the way.
    reference: Option<&'a str>,
    /// What is still to be looked at of the schemas that judge the same value, with the reference that leads there.
    same: Vec<(&'a Value, Option<&'a str>)>,
}

struct Walk<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    /// Up to draft 7 nothing beside a `$ref` counts.
    old: bool,
}

impl<'a> Walk<'a> {
    fn step(
        &self,
        schema: &'a Value,
        reference: Option<&'a str>,
        marks: &mut HashMap<*const Value, Mark>,
        starts: &mut Vec<&'a Value>,
    ) -> Step<'a> {
        marks.insert(std::ptr::from_ref(schema), Mark::Open);
        let mut same = Vec::new();
        for reference in REFERENCES.iter().filter_map(|key| schema.get(key)?.as_str()) {
            same.extend(self.target(reference).map(|target| (target, Some(reference))));
        }
        if !(self.old && schema.get("$ref").is_some()) {
            let inside = LISTS.iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
            let named = NAMED.iter().filter_map(|key| schema.get(key)?.as_object()).flat_map(|schemas| schemas.values());
            // Without `if` the other two are not looked at.
            let conditional: &[&str] = if schema.get("if").is_some() { &["not", "if", "then", "else"] } else { &["not"] };
            let single = conditional.iter().filter_map(|key| schema.get(key));
            same.extend(inside.chain(named).chain(single).filter(|schema| schema.is_object()).map(|schema| (schema, None)));
            for part in INTO.iter().filter_map(|key| schema.get(key).map(|value| (*key, value))) {
                match part {
                    ("properties" | "patternProperties", Value::Object(schemas)) => starts.extend(schemas.values()),
                    (_, Value::Array(schemas)) => starts.extend(schemas),
                    (_, schema) => starts.push(schema),
                }
            }
        }
        Step { schema, reference, same }
    }

    /// What a reference into the schema itself names.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        let fragment = reference.strip_prefix('#')?;
        if fragment.contains('%') {
            // Spelled in a way that nobody writes by hand.
            return None;
        }
        if fragment.is_empty() || fragment.starts_with('/') { self.root.pointer(fragment) } else { self.anchors.get(fragment).copied() }
    }
}

/// All anchors; `false` where a part of the schema has an address of its own.
fn collect<'a>(schema: &'a Value, root: bool, anchors: &mut HashMap<&'a str, &'a Value>) -> bool {
    match schema {
        Value::Array(items) => items.iter().all(|item| collect(item, false, anchors)),
        Value::Object(members) => {
            if !root && ["$id", "id"].iter().any(|key| members.get(*key).is_some_and(Value::is_string)) {
                return false;
            }
            for anchor in ["$anchor", "$dynamicAnchor"].iter().filter_map(|key| members.get(*key)?.as_str()) {
                anchors.insert(anchor, schema);
            }
            members.values().all(|value| collect(value, false, anchors))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_asks_itself_about_the_same_value_is_found() {
        for (schema, reference) in [
            (json!({"$ref": "#"}), "#"),
            (json!({"allOf": [{"$ref": "#"}]}), "#"),
            (json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]}), "#"),
            (json!({"oneOf": [{"not": {"$ref": "#"}}]}), "#"),
            (json!({"if": {"type": "object"}, "then": {"$ref": "#"}}), "#"),
            (json!({"if": {"$ref": "#/else"}, "else": {"$ref": "#"}}), "#"),
            (json!({"dependentSchemas": {"a": {"$ref": "#"}}}), "#"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}), "#/$defs/a"),
            // Below a property the same again.
            (json!({"properties": {"x": {"$ref": "#/properties/x"}}}), "#/properties/x"),
            (json!({"items": [{"allOf": [{"$ref": "#/items/0"}]}]}), "#/items/0"),
            (json!({"$anchor": "me", "allOf": [{"$ref": "#me"}]}), "#me"),
            (json!({"$dynamicAnchor": "me", "allOf": [{"$dynamicRef": "#me"}]}), "#me"),
            (json!({"$recursiveRef": "#"}), "#"),
        ] {
            assert_eq!(endless(&schema), Some(reference), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_goes_deeper_each_time_is_sound() {
        let tree = json!({"properties": {"children": {"items": {"$ref": "#"}}}, "anyOf": [{"$ref": "#/$defs/a"}, {"not": {"$ref": "#/$defs/a"}}],
            "$defs": {"a": {"additionalProperties": {"$ref": "#/$defs/a"}}}});
        for schema in [
            tree,
            json!(true),
            json!({"const": {"$ref": "#"}}),
            json!({"enum": [{"allOf": [{"$ref": "#"}]}]}),
            json!({"properties": {"$ref": {"type": "string"}, "allOf": {"$ref": "#"}}}),
            json!({"then": {"$ref": "#"}}),
            // Nobody refers to it.
            json!({"$defs": {"a": {"$ref": "#/$defs/a"}}}),
            // Beside a `$ref` nothing counted then.
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "allOf": [{"$ref": "#"}], "definitions": {"a": {}}}),
            // `#` means another schema there.
            json!({"allOf": [{"$id": "https://example.com/b", "properties": {"x": {"$ref": "#"}}, "$defs": {"c": {}}}]}),
            json!({"dependencies": {"a": ["b"]}}),
            json!({"$ref": "https://example.com/elsewhere"}),
            json!({"$ref": "#/nowhere"}),
        ] {
            assert_eq!(endless(&schema), None, "{schema}");
        }
    }

    #[test]
    fn a_long_chain_is_followed_to_its_end() {
        let chain = |last: &str| {
            let defs = (0..4_000).map(|link| {
                let next = if link == 3_999 { last.to_owned() } else { format!("#/$defs/d{}", link + 1) };
                (format!("d{link}"), json!({"allOf": [{"$ref": next}]}))
            });
            json!({"$ref": "#/$defs/d0", "$defs": defs.collect::<serde_json::Map<_, _>>()})
        };
        assert_eq!(endless(&chain("#/$defs")), None);
        assert_eq!(endless(&chain("#/$defs/d17")), Some("#/$defs/d17"));
    }
}
