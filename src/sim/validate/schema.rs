//! `output_config.format.schema`: is it within the part of JSON Schema that structured output takes (docs/wire-reference.md 1.6)?

use serde_json::Value;

use super::super::api_error::ApiError;

/// Keywords that the documentation names as not supported, with the type that they belong to.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("minimum", "number"),
    ("maximum", "number"),
    ("exclusiveMinimum", "number"),
    ("exclusiveMaximum", "number"),
    ("multipleOf", "number"),
    ("minLength", "string"),
    ("maxLength", "string"),
    ("maxItems", "array"),
    ("uniqueItems", "array"),
];
const FORMATS: [&str; 10] = ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Deeper than any schema that a person writes; JSON itself ends at 128.
const DEEPEST: usize = 64;

pub(super) fn check(schema: &Value) -> Result<(), ApiError> {
    Walk { root: schema, open: Vec::new(), left: 10_000 }.visit(schema, 0)
}

struct Walk<'a> {
    root: &'a Value,
    /// The references that are being followed: meeting one again is recursion.
    open: Vec<&'a str>,
    /// Schemas that may still be looked at: references can multiply them.
    left: usize,
}

fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::at("output_config.format.schema", message.into())
}

impl<'a> Walk<'a> {
    fn visit(&mut self, schema: &'a Value, depth: usize) -> Result<(), ApiError> {
        if depth > DEEPEST || self.left == 0 {
            return Err(refuse("Schema is too complex for compilation"));
        }
        self.left -= 1;
        let Value::Object(fields) = schema else {
            return if schema.is_boolean() { Ok(()) } else { Err(refuse("a schema should be an object")) };
        };
        if let Some((keyword, kind)) = UNSUPPORTED.iter().find(|(keyword, _)| fields.contains_key(*keyword)) {
            return Err(refuse(format!("For '{kind}' type, property '{keyword}' is not supported")));
        }
        if fields.get("minItems").is_some_and(|least| least.as_u64().is_none_or(|least| least > 1)) {
            return Err(refuse("For 'array' type, 'minItems' values other than 0 or 1 are not supported"));
        }
        if let Some(Value::String(format)) = fields.get("format")
            && !FORMATS.contains(&format.as_str())
        {
            return Err(refuse(format!("For 'string' type, format '{format}' is not supported")));
        }
        let object = match fields.get("type") {
            Some(Value::String(kind)) => kind == "object",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            _ => fields.contains_key("properties"),
        };
        if object && fields.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(refuse("For 'object' type, 'additionalProperties' must be explicitly set to false"));
        }
        if let Some(Value::String(reference)) = fields.get("$ref") {
            self.follow(reference, depth)?;
        }
        for part in fields.get("properties").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values) {
            self.visit(part, depth + 1)?;
        }
        for name in ["anyOf", "allOf"] {
            for part in fields.get(name).and_then(Value::as_array).into_iter().flatten() {
                self.visit(part, depth + 1)?;
            }
        }
        match fields.get("items") {
            Some(items) => self.visit(items, depth + 1),
            None => Ok(()),
        }
    }

    fn follow(&mut self, reference: &'a str, depth: usize) -> Result<(), ApiError> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(refuse(format!("External references are not supported: '{reference}'")));
        };
        if self.open.contains(&reference) || pointer.is_empty() {
            return Err(refuse(format!("Recursive schemas are not supported: '{reference}'")));
        }
        let target = self.root.pointer(pointer).ok_or_else(|| refuse(format!("Reference '{reference}' points at nothing")))?;
        self.open.push(reference);
        let seen = self.visit(target, depth + 1);
        self.open.pop();
        seen
    }
}
