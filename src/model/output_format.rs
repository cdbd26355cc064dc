//! What does structured output (`output_config.format`) reject about a schema? (Wire reference, section 1.6.)

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::parameters::Rejection;

/// Keywords that no schema of structured output may use.
const REFUSED: [&str; 9] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems"];

/// Formats of strings that it knows.
const FORMATS: [&str; 10] = ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Most places that are reported about one schema: a schema that was not written for it breaks the same rules everywhere.
const MOST: usize = 5;

/// Everything that is documented to be rejected about a format, at most five places of it.
pub(crate) fn rejected(format: &Value) -> Vec<Rejection> {
    let whole = |message: &str| vec![rejection("", message.to_owned(), "write `format: {type: json_schema, schema: {...}}`".to_owned())];
    let Some(members) = format.as_object() else { return whole("`output_config.format` must be a mapping") };
    if members.get("type").is_none_or(|kind| kind != "json_schema") {
        return whole("`output_config.format` must be of type `json_schema`");
    }
    let Some(schema) = members.get("schema").and_then(Value::as_object) else {
        return whole("`output_config.format` needs a `schema`");
    };
    if let Some(name) = members.keys().find(|name| !matches!(name.as_str(), "type" | "schema" | "name")) {
        return whole(&format!("`output_config.format` takes no `{name}`"));
    }
    let mut walk = Walk { root: schema, found: Vec::new(), open: Vec::new(), followed: BTreeSet::new() };
    walk.schema(schema, &mut String::from(".schema"));
    walk.found
}

fn rejection(at: &str, message: String, hint: String) -> Rejection {
    Rejection { parameter: format!("output_config.format{at}"), message, hint: Some(hint) }
}

/// A walk through the places of a schema where schemas stand; a property that is called `minimum` is none.
struct Walk<'a> {
    root: &'a Map<String, Value>,
    found: Vec<Rejection>,
    /// Definitions that are being followed, to see one that comes back to itself.
    open: Vec<&'a str>,
    /// Definitions that were followed to their end: once is enough, and bounds the time.
    followed: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn reject(&mut self, at: &str, message: String, hint: &str) {
        let new = rejection(at, message, hint.to_owned());
        if self.found.len() < MOST && !self.found.contains(&new) {
            self.found.push(new);
        }
    }

    fn schema(&mut self, schema: &'a Map<String, Value>, at: &mut String) {
        if self.found.len() >= MOST {
            return;
        }
        for (name, value) in schema {
            let place = at.len();
            at.push('.');
            at.push_str(name);
            self.keyword(name, value, at);
            at.truncate(place);
        }
        let is_object = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            Some(kind) => kind == "object",
            None => schema.contains_key("properties"),
        };
        if is_object && schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            let message = "structured output needs `additionalProperties: false` on every object".to_owned();
            self.reject(at, message, "add `additionalProperties: false`");
        }
    }

    fn keyword(&mut self, name: &'a str, value: &'a Value, at: &mut String) {
        let one_or_many = |value: &'a Value| match value {
            Value::Array(items) => items.iter().filter_map(Value::as_object).collect::<Vec<_>>(),
            _ => value.as_object().into_iter().collect(),
        };
        match name {
            "properties" | "$defs" | "definitions" => {
                for (member, schema) in value.as_object().into_iter().flatten() {
                    let place = at.len();
                    at.push('.');
                    at.push_str(member);
                    if let Some(schema) = schema.as_object() {
                        self.schema(schema, at);
                    }
                    at.truncate(place);
                }
            }
            "items" | "anyOf" | "allOf" | "prefixItems" => {
                for schema in one_or_many(value) {
                    self.schema(schema, at);
                }
            }
            "$ref" => self.reference(value.as_str().unwrap_or_default(), at),
            "format" if value.as_str().is_some_and(|format| !FORMATS.contains(&format)) => {
                let message = format!("structured output does not know the format `{}`", value.as_str().unwrap_or_default());
                self.reject(at, message, "remove `format`; an assertion can still check it");
            }
            "minItems" if value.as_u64().is_none_or(|least| least > 1) => {
                let message = "structured output takes `minItems` of 0 or 1 only".to_owned();
                self.reject(at, message, "lower it; an assertion can still check the number");
            }
            "enum" if value.as_array().is_some_and(|values| values.iter().any(|value| value.is_array() || value.is_object())) => {
                self.reject(at, "structured output takes only scalars in an `enum`".to_owned(), "use texts, numbers, booleans or null");
            }
            _ if REFUSED.contains(&name) => {
                let message = format!("structured output takes no `{name}`");
                self.reject(at, message, "remove it from this schema; a `json_schema` assertion can still check it");
            }
            _ => {}
        }
    }

    fn reference(&mut self, target: &'a str, at: &mut str) {
        let Some(pointer) = target.strip_prefix('#') else {
            let message = format!("structured output takes no `$ref` out of the schema (`{target}`)");
            return self.reject(at, message, "copy the definition into `$defs`");
        };
        if self.open.contains(&target) || pointer.is_empty() {
            return self.reject(at, format!("structured output takes no recursive schema (`{target}`)"), "unroll it to a fixed depth");
        }
        if !self.followed.insert(target) {
            return;
        }
        let found = pointer.strip_prefix('/').and_then(|path| {
            let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
            let first = self.root.get(&steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        });
        // A definition that is not there is left to the reader of the schema, which places it better.
        if let Some(schema) = found.and_then(Value::as_object) {
            self.open.push(target);
            let mut there = target.replacen('#', ".schema", 1).replace('/', ".");
            self.schema(schema, &mut there);
            self.open.pop();
        }
    }
}
