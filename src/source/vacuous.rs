//! What in a suite looks as if it checked something, and cannot?

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::assertion::fails_vacuously;
use crate::model::assertion::AssertionKind;
use crate::model::problem::{Place, Problem};
use crate::model::request::Params;
use crate::model::suite::{Compare, OnChange};
use crate::source::assertion::Resolved;
use crate::source::check::Subject;
use crate::source::decode::nearest;
use crate::source::enough::{ENOUGH, enough};

/// Keywords of JSON Schema, of all drafts that are read: the core, the vocabularies, and what OpenAPI adds.
const KEYWORDS: [&str; 68] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "discriminator",
    "else",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// Keywords whose value is no schema, whatever it holds.
const PLAIN: [&str; 7] = ["const", "enum", "default", "example", "examples", "required", "dependentRequired"];

/// Keywords whose value names schemas: the keys are the author's own.
const NAMED: [&str; 6] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

/// Everything, where nothing was left out of the suite.
pub(crate) fn check(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    cases(subject, problems);
    gate(subject, problems);
    output_tokens(subject, problems);
    schemas(subject, problems);
}

/// A case that cannot fail says nothing.
fn cases(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    let warns = subject.snapshot.on_change == OnChange::Warn;
    let compare = if warns { Compare::Off } else { subject.snapshot.compare };
    for draft in subject.drafts {
        if enough(problems) {
            break;
        }
        let assertions: Vec<_> = draft.assertions.iter().map(|resolved| Arc::clone(&resolved.assertion)).collect();
        if fails_vacuously(&assertions, compare) {
            let problem = Problem::error(format!("nothing can fail the case `{}`", draft.id)).at(draft.place.place(subject.document));
            let hint = if warns {
                "give it an assertion (`severity: warn` and `refusal: allowed` do not count), or take `on_change: warn` away: with it a \
                 snapshot only reports"
            } else {
                "give it an assertion (`severity: warn` and `refusal: allowed` do not count), or compare a snapshot"
            };
            problems.push(problem.hint(hint));
        }
    }
}

fn gate(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    if let Some(place) = &subject.no_pass_rate {
        let problem = Problem::warning("no failed assertion can fail the gate of this suite: every pass rate is at least 0");
        problems.push(problem.at(place.clone()).hint("write the least share of cells that must pass, as in `min_pass_rate: 0.95`"));
    }
    if let Some(first) = subject.models.first().filter(|_| subject.models.iter().all(|model| !model.spec.gate)) {
        let problem = Problem::warning("nothing can fail the gate of this suite: all its models have `gate: false`");
        problems.push(problem.at(first.place.clone()).hint("let at least one model count"));
    }
}

/// The API cuts a reply at `max_tokens`, so a bound there or above is never exceeded.
fn output_tokens(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    let empty = Params::default();
    let limits: Option<Vec<u64>> = subject
        .models
        .iter()
        .flat_map(|model| subject.prompts.iter().map(move |prompt| (model, prompt)))
        .map(|(model, prompt)| {
            let params = subject.request.unwrap_or(&empty).overlaid(&prompt.version.request).overlaid(&model.spec.request);
            params.max_tokens
        })
        .collect();
    let Some(largest) = limits.and_then(|limits| limits.into_iter().max()) else { return };
    each(subject, |resolved| {
        if let AssertionKind::MaxOutputTokens(most) = resolved.assertion.kind
            && most >= largest
            && !resolved.assertion.negated
        {
            let problem = Problem::warning(format!("`max_output_tokens: {most}` cannot fail: the requests have `max_tokens: {largest}`"));
            problems.push(problem.at(resolved.place.clone()).hint("ask for less than what the request allows"));
        }
    });
}

/// Every assertion once, however many cases have it.
fn each(subject: &Subject<'_>, mut look: impl FnMut(&Resolved)) {
    let mut seen = BTreeSet::new();
    let own = subject.drafts.iter().flat_map(|draft| &draft.assertions);
    subject.inherited.iter().chain(own).filter(|resolved| seen.insert(Arc::as_ptr(resolved).addr())).for_each(|resolved| look(resolved));
}

/// JSON Schema ignores what it does not know: a misspelled keyword accepts everything.
fn schemas(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    each(subject, |resolved| {
        if let AssertionKind::JsonSchema(source) = &resolved.assertion.kind
            && seen.insert(Arc::as_ptr(&source.schema).addr())
        {
            misspelled(&source.schema, "$", &resolved.place, problems);
        }
    });
}

fn misspelled(schema: &Value, path: &str, place: &Place, problems: &mut Vec<Problem>) {
    if problems.len() >= ENOUGH {
        return;
    }
    match schema {
        Value::Array(items) => items.iter().for_each(|item| misspelled(item, path, place, problems)),
        Value::Object(members) => {
            for (key, value) in members {
                let below = format!("{path}.{key}");
                match value {
                    _ if PLAIN.contains(&key.as_str()) => {}
                    Value::Object(members) if NAMED.contains(&key.as_str()) => {
                        members.iter().for_each(|(name, schema)| misspelled(schema, &format!("{below}.{name}"), place, problems))
                    }
                    _ if KEYWORDS.contains(&key.as_str()) => misspelled(value, &below, place, problems),
                    _ if key.starts_with("x-") => {}
                    _ => {
                        if let Some(near) = nearest(key, KEYWORDS) {
                            let problem = Problem::warning(format!("the schema has `{key}` at `{path}`, which JSON Schema ignores"));
                            problems.push(problem.at(place.clone()).hint(format!("did you mean `{near}`?")));
                        }
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
