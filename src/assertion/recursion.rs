//! Does a schema reach itself without going into a property or an item? Then judging a value by it never ends, or says nothing of it.

use crate::assertion::schema::{Graph, How};

/// The reference that leads back to where the judging of the same value began, such as `#`; JSON Schema leaves undefined what that means
/// (2020-12, core, section 9.4.1).
pub(super) fn endless<'s>(graph: &Graph<'s>) -> Option<&'s str> {
    let mut marks: Vec<Mark> = graph.nodes.iter().map(|_| Mark::New).collect();
    let mut starts = vec![0];
    while let Some(start) = starts.pop() {
        if marks[start] != Mark::New {
            continue;
        }
        // Without recursion: a chain of references may be thousands long.
        let mut open = vec![step(graph, start, None, &mut marks, &mut starts)];
        while let Some(step) = open.last_mut() {
            let Some((next, reference)) = step.same.pop() else {
                marks[step.at] = Mark::Done;
                open.pop();
                continue;
            };
            let reference = reference.or(step.reference);
            match marks[next] {
                Mark::Done => {}
                // Only a reference leads back.
                Mark::Open => return reference,
                Mark::New => open.push(self::step(graph, next, reference, &mut marks, &mut starts)),
            }
        }
    }
    None
}

/// What became of a schema.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// The way to where we are goes through it.
    Open,
    /// It leads nowhere.
    Done,
}

/// A schema on the way to where we are.
struct Step<'s> {
    at: usize,
    /// The last reference on the way.
    reference: Option<&'s str>,
    /// What is still to be looked at of the schemas that judge the same value, with the reference that leads there.
    same: Vec<(usize, Option<&'s str>)>,
}

fn step<'s>(graph: &Graph<'s>, at: usize, reference: Option<&'s str>, marks: &mut [Mark], starts: &mut Vec<usize>) -> Step<'s> {
    marks[at] = Mark::Open;
    let mut same = Vec::new();
    for edge in &graph.nodes[at].edges {
        match edge.how {
            How::Reference(reference) => same.push((edge.to, Some(reference))),
            how if how.is_same() => same.push((edge.to, None)),
            // Nobody refers to it, or it is found by the reference.
            How::Kept => {}
            _ => starts.push(edge.to),
        }
    }
    Step { at, reference, same }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::assertion::schema;

    fn endless(schema: &Value) -> Option<String> {
        schema::read(schema, |graph| super::endless(graph).map(str::to_owned)).unwrap()
    }

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
            (json!({"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"}), "#"),
            // The same written in another way.
            (json!({"$ref": ""}), ""),
            (json!({"$id": "https://example.com/s", "allOf": [{"$ref": "https://example.com/s"}]}), "https://example.com/s"),
            (json!({"$id": "https://example.com/dir/s.json", "allOf": [{"$ref": "s.json"}]}), "s.json"),
            (json!({"$id": "dir/s.json", "allOf": [{"$ref": "s.json#"}]}), "s.json#"),
            (json!({"properties": {"x": {"$ref": "#/properties/%78"}}}), "#/properties/%78"),
            (json!({"properties": {"a/b": {"$ref": "#/properties/a~1b"}}}), "#/properties/a~1b"),
            // A value that looks like a schema with an address is none.
            (json!({"examples": [{"id": "7", "$id": "a"}], "$ref": "#"}), "#"),
            (json!({"default": {"$id": "a"}, "const": {"id": "b"}, "enum": [{"$id": "c"}], "allOf": [{"$ref": "#"}]}), "#"),
            (json!({"properties": {"id": {"const": 1}}, "id": "a", "anyOf": [{"id": "b", "allOf": [{"$ref": "#"}]}]}), "#"),
            // In a schema with an address of its own `#` is that one.
            (json!({"properties": {"x": {"$id": "b", "allOf": [{"$ref": "#"}]}}}), "#"),
            (json!({"$schema": "http://json-schema.org/draft-04/schema#", "items": {"id": "b", "not": {"$ref": "b"}}}), "b"),
        ] {
            assert_eq!(endless(&schema).as_deref(), Some(reference), "{schema}");
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
            // By then another schema is meant.
            json!({"$schema": "http://json-schema.org/draft-04/schema#", "allOf": [{"id": "b", "properties": {"x": {"$ref": "#"}}}]}),
            json!({"$recursiveRef": "#"}),
            json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}),
            json!({"properties": {"n": {"$ref": "https://json-schema.org/draft/2020-12/meta/validation#/$defs/nonNegativeInteger"}}}),
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
        assert_eq!(endless(&chain("#/$defs/d17")).as_deref(), Some("#/$defs/d17"));
    }
}
