//! Is the reply JSON, and does a schema accept it?

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::assertion::compile::CompileError;
use crate::assertion::deadline::{Allowed, Bound, GaveUp};
use crate::assertion::json_path::is_huge;
use crate::assertion::pattern::{self, LONGEST_TEXT};
use crate::assertion::reach::Reach;
use crate::assertion::{Finding, Subject, claims, excerpt, recursion, schema};
use crate::diff::JsonPathText;
use crate::model::assertion::SchemaSource;
use crate::model::size;
use crate::model::verdict::Failure;

/// The label of a schema that stands in the suite.
const INLINE: &str = "inline";

/// Violations that one failure lists.
const MOST_SHOWN: usize = 10;

/// Steps back that a `pattern` with look-around may take, each of which may read a text of [`LONGEST_TEXT`] bytes.
const BACKTRACK_LIMIT: usize = 1 << 15;

/// References of one schema: each may be followed from the one before, a few calls deeper.
const MOST_REFERENCES: usize = 5_000;

/// Bytes of a schema times those of a reply, up to which it is judged at once: each alternative may be held against each item.
const AT_ONCE: u64 = 100_000_000;

/// Formats that OpenAPI adds to JSON Schema. They describe a width or an encoding and assert nothing of a JSON value's text.
pub(super) const OPENAPI_FORMATS: [&str; 7] = ["int32", "int64", "float", "double", "byte", "binary", "password"];

/// `json` or `json_schema`.
#[derive(Debug, Clone)]
pub(super) enum JsonCheck {
    /// One JSON value.
    Any,
    /// One that a schema accepts.
    Schema { label: Arc<str>, schema: Arc<CompiledSchema> },
}

/// A schema that was compiled.
#[derive(Debug)]
pub(super) struct CompiledSchema {
    validator: Validator,
    /// What its patterns with look-around or back-references may read, which take more than linear time.
    reach: Option<Reach>,
    /// Whether it refers to parts of itself: then a few lines may ask the same of a value any number of times.
    refers: bool,
    /// About so many bytes it has.
    bytes: u64,
    /// Whether it may ask for digits that an integer beyond 64 bits has lost.
    by_digits: bool,
    /// `true` where it accepts every value, `false` where it rejects every value.
    pub(super) constant: Option<bool>,
    /// What judging one value by it may take.
    pub(super) bound: Bound,
}

/// What a schema says of a value.
enum Said {
    Accepts,
    Rejects(String),
    /// With the place of the value or the pattern.
    Undecided(String),
}

impl CompiledSchema {
    /// A pattern that was given up is nothing that did not match: the library tries both, also below `not` and `anyOf`, and what they do not
    /// agree on is an error of the pattern.
    fn says(&self, json: &Value) -> Said {
        if self.validator.is_valid(json) {
            return Said::Accepts;
        }
        match self.validator.iter_errors(json).find(|error| is_undecided(error.kind())) {
            Some(error) => Said::Undecided(undecided_at(&error)),
            None => Said::Rejects(violations(&self.validator, json)),
        }
    }

    /// The same, unless it takes too long.
    fn says_in_time(self: &Arc<Self>, json: &Value, subject: &Subject<'_>) -> Result<Said, GaveUp> {
        let is_much = self.bytes.saturating_mul(subject.unfenced().len() as u64) > AT_ONCE;
        if !self.refers && self.reach.is_none() && !is_much {
            return Ok(self.says(json));
        }
        let (schema, json) = (Arc::clone(self), json.clone());
        self.bound.within(subject.unfenced().len(), move || schema.says(&json))
    }
}

impl JsonCheck {
    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        match (self, subject.json()) {
            (Self::Any, json) => Finding::of(json.is_ok()),
            (Self::Schema { label, .. }, Err(_)) => Finding::Unreachable(no_json(subject, &accepted_by(label, false))),
            (Self::Schema { label, schema }, Ok(json)) => {
                if schema.by_digits
                    && let Some(why) = subject.inexact()
                {
                    return Finding::Unknown(why);
                }
                if let Some(place) = schema.reach.as_ref().and_then(|reach| reach.too_long(json)) {
                    return Finding::Unknown(format!(
                        "the JSON holds a text of more than {LONGEST_TEXT} bytes ({place}), too long for a `pattern` with look-around of {}; \
                         a pattern without it runs in linear time",
                        named(label)
                    ));
                }
                match schema.says_in_time(json, subject) {
                    Ok(Said::Accepts) => Finding::Holds,
                    Ok(Said::Rejects(_)) => Finding::Differs,
                    Ok(Said::Undecided(place)) => Finding::Unknown(format!(
                        "a `pattern` of {} was given up after {BACKTRACK_LIMIT} steps back ({place}); \
                         write it without look-around, which makes it linear",
                        named(label),
                    )),
                    Err(gave_up) => Finding::Unknown(format!(
                        "{} {}",
                        named(label),
                        gave_up.advising(if schema.refers {
                            "its references ask the same of a value again and again: write out what is asked, and refer to it once"
                        } else if schema.reach.is_none() {
                            "it holds each of its many alternatives against each of many values: tell them apart by one member, or write fewer"
                        } else {
                            "its patterns with look-around read the same again and again: write them without it, which makes them linear"
                        })
                    )),
                }
            }
        }
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        match (self, subject.json()) {
            (Self::Any, Ok(json)) => Failure { expected: "a text that is not JSON".to_owned(), got: excerpt::value(json), diff: None },
            (Self::Any, Err(_)) => no_json(subject, "one JSON value"),
            (Self::Schema { label, .. }, Err(_)) => no_json(subject, &accepted_by(label, negated)),
            (Self::Schema { label, schema }, Ok(json)) => Failure {
                expected: accepted_by(label, negated),
                got: if negated {
                    format!("JSON that it accepts: {}", excerpt::value(json))
                } else {
                    match schema.says_in_time(json, subject) {
                        Ok(Said::Rejects(violations)) => violations,
                        Ok(Said::Accepts | Said::Undecided(_)) | Err(_) => excerpt::value(json),
                    }
                },
                diff: None,
            },
        }
    }
}

/// Any assertion that needs JSON, and the reply is none.
pub(super) fn no_json(subject: &Subject<'_>, expected: &str) -> Failure {
    let message = subject.json().err().map_or("", |not_json| &not_json.message);
    Failure { expected: expected.to_owned(), got: format!("no JSON: {message}"), diff: None }
}

fn accepted_by(label: &str, negated: bool) -> String {
    let schema = named(label);
    if negated { format!("JSON that {schema} rejects") } else { format!("JSON that {schema} accepts") }
}

/// A schema that stands in the suite has no name.
fn named(label: &str) -> String {
    if label == INLINE { "the inline schema".to_owned() } else { format!("the schema `{label}`") }
}

/// How many references a schema has, to itself or elsewhere.
fn references(schema: &Value) -> usize {
    match schema {
        Value::Array(items) => items.iter().map(references).sum(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| usize::from(key.starts_with('$') && key.ends_with("ef")) + references(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether what a schema says of an integer beyond 64 bits may hang on digits that are not kept: only a number as large may be taken for it,
/// but whether it is a multiple, or unlike another one, is asked of any. The drafts' own schemas, which may be referred to, ask that too.
fn is_by_digits(schema: &Value) -> bool {
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Number(number) if is_huge(number) => return true,
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                let asks = |(key, value): (&String, &Value)| match key.as_str() {
                    "multipleOf" | "divisibleBy" => value.is_number(),
                    "uniqueItems" => value.as_bool() == Some(true),
                    "$ref" => value.as_str().is_some_and(|reference| reference.contains("json-schema.org")),
                    _ => false,
                };
                if members.iter().any(asks) {
                    return true;
                }
                open.extend(members.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    false
}

/// All that a schema has against a value, a line each.
fn violations(validator: &Validator, json: &Value) -> String {
    let mut shown = String::new();
    let mut count = 0_usize;
    for error in validator.iter_errors(json) {
        count += 1;
        if count > MOST_SHOWN {
            continue;
        }
        if count > 1 {
            shown.push('\n');
        }
        let message = error.masked_with(excerpt::value(error.instance())).to_string();
        let _ = write!(shown, "{}: {}", json_path(error.instance_path()), excerpt::clipped(&message, 400));
    }
    if count > MOST_SHOWN {
        let _ = write!(shown, "\nand {} more violations", count - MOST_SHOWN);
    }
    shown
}

fn is_undecided(kind: &ValidationErrorKind) -> bool {
    matches!(kind, ValidationErrorKind::BacktrackLimitExceeded { .. } | ValidationErrorKind::RegexEngineFailure { .. })
}

/// The place of the value on which a pattern was given up, or, where it only serves to decide about a larger one, of the pattern.
fn undecided_at(error: &ValidationError<'_>) -> String {
    let place = json_path(error.instance_path());
    if error.instance().is_string() || error.instance().is_object() && !error.instance_path().as_str().is_empty() {
        return place;
    }
    format!("the pattern at {} of the schema", json_path(error.schema_path()))
}

/// A JSON pointer as the path that everything else shows.
fn json_path(location: &jsonschema::paths::Location) -> String {
    let mut path = JsonPathText::default();
    for segment in location {
        match segment {
            jsonschema::paths::LocationSegment::Property(key) => path.push_member(&key),
            jsonschema::paths::LocationSegment::Index(index) => path.push_index(index),
        }
    }
    excerpt::clipped(path.as_str(), excerpt::LONGEST_PATH)
}

/// Most backslashes in one pattern of a schema: what they mean in JavaScript is translated one by one, and all is read anew after each,
/// by the library, too, so that the time grows with the square of their number.
pub(super) const MOST_ESCAPES: usize = 200;

/// A schema's pattern as a regex of ours: in JavaScript, which schemas speak, `\w` is no Unicode class.
pub(super) fn meant(pattern: &str) -> Cow<'_, str> {
    jsonschema_regex::to_rust_regex(pattern).unwrap_or(Cow::Borrowed(pattern))
}

/// Everything in a schema that the library compiles as a regex, and perhaps some texts that only look like it.
fn written_patterns(schema: &Value) -> BTreeSet<&str> {
    let mut patterns = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                patterns.extend(members.get("pattern").and_then(Value::as_str));
                let of_names = members.get("patternProperties").and_then(Value::as_object);
                patterns.extend(of_names.into_iter().flat_map(|members| members.keys()).map(String::as_str));
                open.extend(members.values());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    patterns
}

/// The patterns of a schema, as regexes of ours, each translated when it is asked for.
///
/// # Errors
/// Where one of them could not even be translated in bounded time.
pub(super) fn patterns(source: &SchemaSource) -> Result<impl Iterator<Item = Cow<'_, str>>, CompileError> {
    let written = written_patterns(&source.schema);
    for pattern in &written {
        let found = pattern.bytes().filter(|byte| *byte == b'\\').count();
        if found > MOST_ESCAPES {
            let message = format!("the regex {} has {found} backslashes: a schema's may have {MOST_ESCAPES}", excerpt::quoted(pattern));
            let error = CompileError::new(message).hint("repeat a class by its number (`\\w{60}`), or name what it holds (`[A-Za-z0-9_]`)");
            return Err(about_pattern(&source.label, error));
        }
        pattern::of_bearable_length(pattern).map_err(|error| about_pattern(&source.label, error))?;
    }
    Ok(written.into_iter().map(meant))
}

/// What is wrong with one of its patterns.
pub(super) fn about_pattern(label: &str, error: CompileError) -> CompileError {
    CompileError { message: format!("a `pattern` of {}: {}", named(label), error.message), ..error }
}

/// Compiles a schema: the draft that `$schema` names (2020-12 where there is none), formats asserted, nothing fetched. What reading it
/// may take is `reading`, and what judging one value by it may take is `allowed`.
///
/// # Errors
/// Where it is no valid schema, or refers to something outside of it.
pub(super) fn compile(
    source: &SchemaSource,
    reading: impl Into<Allowed>,
    allowed: impl Into<Allowed>,
) -> Result<CompiledSchema, CompileError> {
    let mut options = jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT));
    for format in OPENAPI_FORMATS {
        options = options.with_format(format, |_: &str| true);
    }
    let references = references(&source.schema);
    if references > MOST_REFERENCES {
        return Err(CompileError::new(format!("{} has more than {MOST_REFERENCES} references", named(&source.label)))
            .hint("write out what is referred to once only"));
    }
    let read = move |schema: &Value| {
        let validator = options.build(schema)?;
        let about = schema::read(schema, |graph| About {
            endless: recursion::endless(graph).map(str::to_owned),
            constant: claims::constant(graph),
            reach: Reach::of(graph),
        })?;
        Ok((validator, about))
    };
    let built: Result<(Validator, About), ValidationError<'static>> = if references == 0 {
        read(&source.schema)
    } else {
        // Reading follows every reference, a call each.
        let schema = Arc::clone(&source.schema);
        match reading.into().within(move || read(&schema)) {
            Ok(built) => built,
            Err(others @ GaveUp::OthersBefore) => {
                return Err(CompileError::new(format!("{} {others}", named(&source.label))).hint("mend those first"));
            }
            Err(_) => {
                return Err(CompileError::new(format!("{} takes too long to be read", named(&source.label))).hint("use fewer references"));
            }
        }
    };
    let (validator, about) = built.map_err(|error| invalid(&source.label, &error))?;
    if let Some(reference) = about.endless {
        let reference = excerpt::quoted(&reference);
        let message = format!("{} comes back to itself by {reference} without going into a property or an item", named(&source.label));
        return Err(CompileError::new(message)
            .hint("such a reference says nothing of a value: take it away, or let it stand below `properties` or `items`"));
    }
    let About { constant, reach, .. } = about;
    let by_digits = is_by_digits(&source.schema);
    Ok(CompiledSchema {
        validator,
        reach,
        refers: references > 0,
        bytes: size::bytes(&source.schema),
        by_digits,
        constant,
        bound: Bound::new(allowed),
    })
}

/// What is known of a schema before it judges anything.
struct About {
    /// A reference that leads back to where the judging of the same value began.
    endless: Option<String>,
    /// What it says of every value.
    constant: Option<bool>,
    reach: Option<Reach>,
}

fn invalid(label: &str, error: &ValidationError<'_>) -> CompileError {
    let schema = named(label);
    let message = excerpt::clipped(&error.to_string(), 400);
    let inside = "nothing is fetched: copy the definition under `$defs` and refer to it as `#/$defs/NAME`";
    match error.kind() {
        ValidationErrorKind::Referencing(jsonschema::ReferencingError::Unretrievable { uri, .. }) => {
            return CompileError::new(format!("{schema} refers to `{}`, which is not part of it", excerpt::clipped(uri, 200))).hint(inside);
        }
        ValidationErrorKind::Referencing(_) => {
            return CompileError::new(format!("{schema} refers to what it does not hold: {message}")).hint(inside);
        }
        _ => {}
    }
    let place = json_path(error.instance_path());
    if let Some(format) = message.strip_prefix("Unknown format: '").and_then(|rest| rest.split('\'').next()) {
        return CompileError::new(format!("{schema} is not valid at `{place}`: unknown format `{format}`"))
            .hint("formats are asserted: use one of the draft's (`date`, `date-time`, `email`, `uri`, `uuid`, ...), or a `pattern`");
    }
    CompileError::new(format!("{schema} is not valid at `{place}`: {message}"))
        .hint("drafts 4, 6, 7, 2019-09 and 2020-12 are read; name one with `$schema`")
}
