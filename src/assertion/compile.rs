//! What must be known of an assertion before any reply comes: its texts rendered, its patterns read, and that it can fail at all?

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::assertion::behaviour::{RefusalCheck, StopReasonCheck};
use crate::assertion::cost::{CostCheck, LatencyCheck};
use crate::assertion::json::JsonCheck;
use crate::assertion::json_path::{self, PathCheck, ValueCheck};
use crate::assertion::pattern::RegexCheck;
use crate::assertion::similar::SimilarCheck;
use crate::assertion::size::{LengthCheck, OutputTokens};
use crate::assertion::text::{Text, TextCheck};
use crate::assertion::xml::XmlShape;
use crate::assertion::{Check, CompileCache, Compiled};
use crate::model::assertion::{Assertion, AssertionKind, JsonPathCheck, RefusalRule, TextMatch, TextSet};
use crate::model::reply::StopReason;
use crate::model::suite::Variables;
use crate::template::{Template, TemplateError, is_template};

/// Why an assertion cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Lower case, one sentence without a full stop and without a place.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
    /// The variable of a template that the case does not give, for `did you mean`.
    pub undefined: Option<String>,
    /// A template of it takes too many steps: to try it with many cases takes long.
    pub too_much: bool,
    /// Bytes of the regexes that were compiled before this was known.
    pub(super) compiled: usize,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, undefined: None, too_much: false, compiled: 0 }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn compiled(mut self, bytes: usize) -> Self {
        self.compiled = bytes;
        self
    }
}

impl From<TemplateError> for CompileError {
    fn from(error: TemplateError) -> Self {
        Self { message: error.message, hint: error.hint, undefined: error.undefined, too_much: error.too_much, compiled: 0 }
    }
}

/// Makes an assertion ready for replies: renders its templates over the case's variables, reads its patterns, paths and schema.
///
/// # Errors
/// Where something in it is invalid, a variable is undefined, or it can never fail or never hold.
pub fn compile(assertion: &Assertion, variables: &Variables, cache: &CompileCache) -> Result<Compiled, CompileError> {
    let render = Render { variables, cache };
    let check = check(&assertion.kind, &render)?;
    let constant = match (&assertion.kind, &check) {
        (_, Check::Text(check)) => check.constant(),
        (_, Check::Regex(check)) => check.pattern.matches_everything().then_some(true),
        (_, Check::Length(check)) => check.constant(),
        (_, Check::Json(JsonCheck::Schema { schema, .. })) => schema.constant,
        (AssertionKind::StopReason(reasons), _) if reasons.is_empty() => Some(false),
        (AssertionKind::StopReason(reasons), _) => {
            StopReason::KNOWN.iter().all(|known| reasons.iter().any(|reason| reason == known)).then_some(true)
        }
        _ => None,
    };
    let key = assertion.kind.key();
    if let Some(holds) = constant {
        let written = if assertion.negated { format!("not: {{{key}: ...}}") } else { key.to_owned() };
        return Err(if holds == assertion.negated {
            CompileError::new(format!("`{written}` cannot hold: {}", why(&assertion.kind, holds))).hint("no reply could ever pass")
        } else {
            CompileError::new(format!("`{written}` cannot fail: {}", why(&assertion.kind, holds))).hint(match &assertion.kind {
                AssertionKind::JsonSchema(_) => "say in it what the value has to be; where any JSON will do, write `json: true`",
                _ => "an assertion that every reply passes proves nothing; give it something to look for or remove it",
            })
        });
    }
    if assertion.negated && assertion.kind == AssertionKind::Refusal(RefusalRule::Allowed) {
        return Err(CompileError::new("`not: {refusal: allowed}` says nothing").hint("write `refusal: never` or `refusal: always`"));
    }
    let name = match &assertion.name {
        Some(name) => cache.text(name),
        None if assertion.negated => cache.text(&format!("not {key}")),
        None => cache.text(key),
    };
    Ok(Compiled { name, severity: assertion.severity, site: assertion.site.clone(), negated: assertion.negated, check })
}

/// Why a check says the same of every reply.
fn why(kind: &AssertionKind, holds: bool) -> &'static str {
    match kind {
        AssertionKind::Regex(_) => "the regex matches the empty text, which is in every reply",
        AssertionKind::JsonSchema(_) if holds => "its schema accepts every JSON value",
        AssertionKind::JsonSchema(_) => "its schema rejects every JSON value",
        AssertionKind::Length(_) if holds => "it gives no bound above zero",
        AssertionKind::Length(_) => "the least is more than the most",
        AssertionKind::StopReason(_) if holds => "the list holds every reason that there is",
        AssertionKind::StopReason(_) | AssertionKind::OneOf(_) => "the list is empty",
        AssertionKind::ContainsAny(set) | AssertionKind::ContainsAll(set) if set.values.is_empty() => "the list is empty",
        _ => "an empty text is in every reply",
    }
}

fn check(kind: &AssertionKind, render: &Render<'_>) -> Result<Check, CompileError> {
    Ok(match kind {
        AssertionKind::Equals(text) => Check::Text(TextCheck::Equals(render.matched(text)?)),
        AssertionKind::Contains(text) => Check::Text(TextCheck::Contains(render.matched(text)?)),
        AssertionKind::ContainsAny(set) => Check::Text(TextCheck::ContainsAny(render.set(set)?)),
        AssertionKind::ContainsAll(set) => Check::Text(TextCheck::ContainsAll(render.set(set)?)),
        AssertionKind::StartsWith(text) => Check::Text(TextCheck::StartsWith(render.matched(text)?)),
        AssertionKind::EndsWith(text) => Check::Text(TextCheck::EndsWith(render.matched(text)?)),
        AssertionKind::OneOf(set) => Check::Text(TextCheck::OneOf(render.set(set)?)),
        AssertionKind::Regex(pattern) => {
            let shown = render.text(pattern)?;
            Check::Regex(RegexCheck { pattern: render.cache.pattern(&shown, !is_template(pattern))?, shown })
        }
        AssertionKind::Similar { to, threshold } => Check::Similar(similar(render.text(to)?, *threshold)?),
        AssertionKind::Json => Check::Json(JsonCheck::Any),
        AssertionKind::JsonSchema(source) => {
            Check::Json(JsonCheck::Schema { label: Arc::clone(&source.label), schema: render.cache.schema(source)? })
        }
        AssertionKind::JsonPath(path) => Check::JsonPath(Arc::new(path_check(path, render)?)),
        AssertionKind::Xml(shape) => Check::Xml(XmlShape(shape.clone())),
        AssertionKind::Length(bounds) => Check::Length(LengthCheck::new(bounds)),
        AssertionKind::MaxOutputTokens(most) => Check::MaxOutputTokens(OutputTokens(*most)),
        AssertionKind::Refusal(rule) => Check::Refusal(RefusalCheck(*rule)),
        AssertionKind::StopReason(reasons) => Check::StopReason(StopReasonCheck(reasons.iter().cloned().map(StopReason::from).collect())),
        AssertionKind::MaxCostUsd(most) => Check::MaxCost(CostCheck(*most)),
        AssertionKind::MaxLatencyMs(most) => Check::MaxLatency(LatencyCheck(*most)),
    })
}

fn similar(to: Arc<str>, threshold: f64) -> Result<SimilarCheck, CompileError> {
    if threshold <= 0.0 {
        return Err(CompileError::new(format!("`similar` cannot fail: every text has a similarity of at least {threshold}"))
            .hint("give a `threshold` above 0 and up to 1"));
    }
    if threshold > 1.0 || threshold.is_nan() {
        return Err(CompileError::new(format!("`similar` cannot hold: no text has a similarity of {threshold}"))
            .hint("give a `threshold` above 0 and up to 1"));
    }
    if to.trim().is_empty() {
        return Err(CompileError::new("`similar` has an empty text to compare with").hint("`equals: \"\"` asks for an empty reply"));
    }
    Ok(SimilarCheck { to, threshold })
}

fn path_check(check: &JsonPathCheck, render: &Render<'_>) -> Result<PathCheck, CompileError> {
    let shown = render.text(&check.path)?;
    let path = render.cache.path(&shown, !is_template(&check.path))?;
    let mut checks = Vec::new();
    if let Some(value) = &check.equals {
        checks.push(ValueCheck::Equals(render.value(value)?));
    }
    if let Some(regex) = &check.matches {
        let shown = render.text(regex)?;
        let pattern = render.cache.pattern(&shown, !is_template(regex))?;
        checks.push(ValueCheck::Matches(pattern, shown));
    }
    checks.extend(check.min_length.filter(|&least| least > 0).map(ValueCheck::MinLength));
    checks.extend(check.max_length.map(ValueCheck::MaxLength));
    checks.extend(check.min.clone().map(ValueCheck::Min));
    checks.extend(check.max.clone().map(ValueCheck::Max));
    let absent = check.exists == Some(false);
    if absent && !checks.is_empty() {
        return Err(CompileError::new("`json_path` cannot hold: `exists: false` leaves no value for the other checks")
            .hint("drop `exists: false`, or write two assertions"));
    }
    if check.min_length.zip(check.max_length).is_some_and(|(least, most)| least > most) {
        return Err(CompileError::new("`json_path` cannot hold: `min_length` is more than `max_length`"));
    }
    if check.min.as_ref().zip(check.max.as_ref()).is_some_and(|(least, most)| json_path::order(least, most).is_gt()) {
        return Err(CompileError::new("`json_path` cannot hold: `min` is more than `max`"));
    }
    Ok(PathCheck { path, shown, checks, absent })
}

/// The variables that an assertion's templates use.
///
/// # Errors
/// Where one of its strings is no template.
pub fn variables(assertion: &Assertion) -> Result<BTreeSet<String>, CompileError> {
    let mut used = BTreeSet::new();
    for text in templates(&assertion.kind) {
        if is_template(text) {
            used.extend(Template::compile(text)?.variables());
        }
    }
    Ok(used)
}

/// Every string of an assertion that is rendered.
fn templates(kind: &AssertionKind) -> Vec<&str> {
    match kind {
        AssertionKind::Equals(text) | AssertionKind::Contains(text) | AssertionKind::StartsWith(text) | AssertionKind::EndsWith(text) => {
            vec![&text.value]
        }
        AssertionKind::ContainsAny(set) | AssertionKind::ContainsAll(set) | AssertionKind::OneOf(set) => {
            set.values.iter().map(String::as_str).collect()
        }
        AssertionKind::Regex(text) | AssertionKind::Similar { to: text, .. } => vec![text],
        AssertionKind::JsonPath(check) => {
            let mut texts = vec![check.path.as_str()];
            texts.extend(check.matches.as_deref());
            let mut open: Vec<_> = check.equals.iter().collect();
            while let Some(value) = open.pop() {
                match value {
                    Value::String(text) => texts.push(text),
                    Value::Array(items) => open.extend(items),
                    Value::Object(members) => open.extend(members.values()),
                    Value::Null | Value::Bool(_) | Value::Number(_) => {}
                }
            }
            texts
        }
        AssertionKind::Json
        | AssertionKind::JsonSchema(_)
        | AssertionKind::Xml(_)
        | AssertionKind::Length(_)
        | AssertionKind::MaxOutputTokens(_)
        | AssertionKind::Refusal(_)
        | AssertionKind::StopReason(_)
        | AssertionKind::MaxCostUsd(_)
        | AssertionKind::MaxLatencyMs(_) => Vec::new(),
    }
}

struct Render<'a> {
    variables: &'a Variables,
    cache: &'a CompileCache,
}

impl Render<'_> {
    /// A text as it is for this case. One without a template is shared between all cases.
    fn text(&self, text: &str) -> Result<Arc<str>, CompileError> {
        if !is_template(text) {
            return Ok(self.cache.text(text));
        }
        Ok(self.cache.template(text)?.render(self.variables)?.into())
    }

    fn matched(&self, text: &TextMatch) -> Result<Text, CompileError> {
        Ok(Text::new(self.text(&text.value)?, text.ignore_case))
    }

    fn set(&self, set: &TextSet) -> Result<Arc<[Text]>, CompileError> {
        set.values.iter().map(|value| Ok(Text::new(self.text(value)?, set.ignore_case))).collect()
    }

    /// A value with the strings in it rendered. A string that is one variable and nothing else is that variable's value: a number of
    /// a table is compared as a number.
    fn value(&self, value: &Value) -> Result<Value, CompileError> {
        Ok(match value {
            Value::String(text) => match self.sole_variable(text) {
                Some(value) => value.clone(),
                None => Value::from(self.text(text)?.as_ref()),
            },
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            Value::Object(members) => Value::Object(
                members.iter().map(|(key, value)| Ok((key.clone(), self.value(value)?))).collect::<Result<_, CompileError>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn sole_variable(&self, text: &str) -> Option<&Value> {
        let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let mut parts = name.split('.');
        let first = self.variables.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_object()?.get(part))
    }
}
