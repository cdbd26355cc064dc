//! Which values are at a JSONPath? Found within a bounded time.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use serde_json_path::{JsonPath, NormalizedPath, PathElement};

use crate::assertion::compile::CompileError;
use crate::assertion::deadline::{Allowed, Bound};
use crate::assertion::filter::{self, Asked, Regexes};
use crate::assertion::pattern::Pattern;
use crate::assertion::{Subject, excerpt};
use crate::diff::JsonPathText;

/// Bytes of a path.
const LONGEST_PATH: usize = 2_000;

/// Descents (`..`) of a path: each looks at every value below every value that the one before gives.
const MOST_DESCENTS: usize = 2;

/// Brackets in brackets of a path: reading it takes several calls for each.
const DEEPEST: usize = 20;

/// Steps of all places together that are noted: each value has as many as it is deep, and a reply of ten megabytes may hold millions of
/// values below a hundred others.
const MOST_STEPS: usize = 4 << 20;

/// A path that was read.
#[derive(Debug)]
pub(super) struct Path {
    path: Arc<JsonPath>,
    shown: String,
    /// Those of its filters.
    regexes: Regexes,
    /// A filter may ask for the whole value for each of its items, and a filter in it again; two descents look at everything below
    /// everything.
    multiplies: bool,
    /// A filter may ask for digits that an integer beyond 64 bits has lost.
    pub(super) by_digits: bool,
    /// What looking into one reply may take.
    bound: Bound,
}

/// One step of a way down.
#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

/// Where the values of one path are in one reply.
type Places = Arc<Vec<Vec<Step>>>;

/// A path, and what looking for it came to.
type Looked = (Arc<JsonPath>, Result<Places, String>);

/// What was found in one reply by paths that may take long, so that it is looked for once: by the query, not by its text, as two threads may
/// have compiled the same.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<Vec<Looked>>);

impl Path {
    /// The values at it, in `json`, which is that of `subject`.
    ///
    /// # Errors
    /// Where that takes too long.
    pub(super) fn values<'v>(&self, json: &'v Value, subject: &Subject<'_>) -> Result<Vec<&'v Value>, String> {
        if !self.multiplies {
            return Ok(self.path.query(json).all());
        }
        Ok(self.found_in_time(json, subject)?.iter().filter_map(|location| at(json, location)).collect())
    }

    /// The values with their places; none where that takes too long, which [`Self::values`] has said before.
    pub(super) fn located<'s, 'v>(&'s self, json: &'v Value, subject: &Subject<'_>) -> Vec<(Cow<'s, str>, &'v Value)> {
        let found = if self.multiplies { self.found_in_time(json, subject) } else { found(&self.path, json).map(Arc::new) };
        match found {
            Ok(found) => found.iter().filter_map(|location| Some((shown(location).into(), at(json, location)?))).collect(),
            Err(_) if self.multiplies => Vec::new(),
            // Where so many are, none has a place of its own.
            Err(_) => self.path.query(json).all().into_iter().map(|value| (Cow::from(&self.shown), value)).collect(),
        }
    }

    /// From here on no reply of as many bytes is looked into any more.
    #[cfg(test)]
    pub(super) fn give_up(&self, length: usize) {
        self.bound.give_up(length);
    }

    /// Found once for a reply: what was answered in time might not be a second time.
    fn found_in_time(&self, json: &Value, subject: &Subject<'_>) -> Result<Places, String> {
        let known = || subject.found.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, places)) = known().iter().find(|(path, _)| Arc::ptr_eq(path, &self.path)) {
            return places.clone();
        }
        let (path, regexes, json) = (Arc::clone(&self.path), Arc::clone(&self.regexes), json.clone());
        let places = match self.bound.within(subject.unfenced().len(), move || filter::with(&regexes, || found(&path, &json))) {
            Ok(found) => found.and_then(|found| found).map(Arc::new),
            Err(gave_up) => Err(gave_up.advising(
                "its filters or descents look at the same again and again: let a filter ask for members of its item (`@.id`) instead of \
                 `$`, and name members instead of `..`",
            )),
        };
        let places = places.map_err(|why| format!("the JSONPath {} {why}", excerpt::quoted(&self.shown)));
        known().push((Arc::clone(&self.path), places.clone()));
        places
    }
}

/// # Errors
/// Where that is more than can be noted, as the rest of a sentence about the path.
fn found(path: &JsonPath, json: &Value) -> Result<Vec<Vec<Step>>, String> {
    let (values, depth) = extent(json);
    // Two descents may give each value as often as it is deep.
    if values.saturating_mul(depth).saturating_mul(depth) > MOST_STEPS {
        let many = path.query(json).len();
        if many.saturating_mul(depth) > MOST_STEPS {
            return Err(format!("was given up: it finds {many} values in a reply that is nested {depth} levels deep; let it find fewer"));
        }
    }
    Ok(path.query_located(json).iter().map(|node| steps(node.location())).collect())
}

/// How many values there are, and how deep the deepest of them is.
fn extent(json: &Value) -> (usize, usize) {
    let sum = |(values, depth): (usize, usize), (more, deeper): (usize, usize)| (values + more, depth.max(deeper));
    let (values, depth) = match json {
        Value::Array(items) => items.iter().map(extent).fold((0, 0), sum),
        Value::Object(members) => members.values().map(extent).fold((0, 0), sum),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (0, 0),
    };
    (values + 1, depth + 1)
}

fn steps(location: &NormalizedPath<'_>) -> Vec<Step> {
    let step = |element: &PathElement<'_>| match element {
        PathElement::Name(name) => Step::Member((*name).to_owned()),
        PathElement::Index(index) => Step::Item(*index),
    };
    location.iter().map(step).collect()
}

fn at<'v>(json: &'v Value, location: &[Step]) -> Option<&'v Value> {
    location.iter().try_fold(json, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Item(index) => value.get(index),
    })
}

/// A path of which `compile` compiles the regexes, and which may take what is `allowed` to look into one reply.
///
/// # Errors
/// Where it is no JSONPath, and those of `compile`.
pub(super) fn parse(
    path: &str,
    allowed: impl Into<Allowed>,
    compile: impl Fn(&Asked) -> Result<Arc<Pattern>, CompileError>,
) -> Result<Path, CompileError> {
    if path.len() > LONGEST_PATH {
        return Err(CompileError::new(format!("a JSONPath of {} bytes is too long: {LONGEST_PATH} may be", path.len()))
            .hint("name fewer places in one path"));
    }
    if path.matches("..").count() > MOST_DESCENTS {
        return Err(CompileError::new(format!("the JSONPath {} has more than {MOST_DESCENTS} descents (`..`)", excerpt::quoted(path)))
            .hint("each multiplies the values that are looked at; name the members instead"));
    }
    if nesting(path) > DEEPEST {
        return Err(CompileError::new(format!("the JSONPath {} is nested deeper than {DEEPEST} levels", excerpt::quoted(path)))
            .hint("take brackets away that change nothing, or write several assertions"));
    }
    let (parsed, asked) = filter::read(path);
    let parsed = parsed.map_err(|error| {
        let message = format!("invalid JSONPath {}: {} at character {}", excerpt::quoted(path), error.message(), error.position() + 1);
        let hint = if path.starts_with('$') { "RFC 9535: `$.items[*].id`, `$['odd key']`" } else { "a path begins with `$`: `$.queue`" };
        CompileError::new(message).hint(hint)
    })?;
    let compiled = asked.into_iter().map(|asked| compile(&asked).map(|pattern| (asked, pattern)));
    let regexes = compiled.collect::<Result<Regexes, CompileError>>().map_err(|error| CompileError {
        message: format!("a filter of the JSONPath {}: {}", excerpt::quoted(path), error.message),
        ..error
    })?;
    let multiplies = path.contains('?') || path.matches("..").count() > 1;
    let by_digits = filter::is_by_digits(path);
    Ok(Path { path: Arc::new(parsed), shown: path.to_owned(), regexes, multiplies, by_digits, bound: Bound::new(allowed) })
}

/// Brackets and negations in each other; those in quotes count too, for nobody has so many.
fn nesting(path: &str) -> usize {
    let (mut open, mut negations, mut deepest) = (0_usize, 0_usize, 0);
    for character in path.chars() {
        match character {
            '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            _ => {}
        }
        match character {
            '!' => negations += 1,
            ' ' | '\t' | '\n' | '\r' | '(' | '[' => {}
            _ => negations = 0,
        }
        deepest = deepest.max(open + negations);
    }
    deepest
}

/// A way down, as everything else shows it.
fn shown(location: &[Step]) -> String {
    let mut path = JsonPathText::default();
    for step in location {
        match step {
            Step::Member(name) => path.push_member(name),
            Step::Item(index) => path.push_index(*index),
        }
    }
    excerpt::clipped(path.as_str(), excerpt::LONGEST_PATH)
}
