//! What does an assertion of a suite or table mean, with everything that it names read?

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::assertion::variables;
use crate::model::assertion::{Assertion, AssertionKind, AssertionSeverity, JsonPathCheck, SchemaSource, TextMatch, TextSet, XmlCheck};
use crate::model::money::Money;
use crate::model::problem::{Place, Problem};
use crate::model::reply::StopReason;
use crate::source::assertion_shape::{AssertionShape, CountShape, Dollars, Given, KINDS, OneOrMany, SetShape, TextShape, Word, XmlShape};
use crate::source::decode::{decode_all, suggestion};
use crate::source::document::Document;
use crate::source::enough::enough;
use crate::source::input::Inputs;
use crate::source::node::{Kind, Node};
use crate::source::spanned::Spanned;

/// An assertion with what checking it needs to know.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) assertion: Arc<Assertion>,
    /// Where it stands.
    pub(crate) place: Place,
    /// Variables that its templates name.
    pub(crate) variables: BTreeSet<String>,
}

/// Resolves a list of assertions; what is wrong is pushed and left out.
pub(crate) fn resolve_all(nodes: &[Node], document: &Document, inputs: &Inputs<'_>, problems: &mut Vec<Problem>) -> Vec<Arc<Resolved>> {
    let mut resolved = Vec::with_capacity(nodes.len());
    for node in nodes {
        if enough(problems) {
            break;
        }
        let before = problems.len();
        let shape: Option<Spanned<AssertionShape>> = decode_all(node, document, problems);
        // An assertion of which something was left out would be blamed for lacking it.
        if let Some(shape) = shape.filter(|_| problems.len() == before) {
            resolved.extend(resolve(shape, document, inputs, problems).map(Arc::new));
        }
    }
    resolved
}

fn resolve(shape: Spanned<AssertionShape>, document: &Document, inputs: &Inputs<'_>, problems: &mut Vec<Problem>) -> Option<Resolved> {
    let place = document.place(shape.span);
    let site = document.site(shape.span);
    let mut context = Context { document, inputs, problems, place: place.clone() };
    let (kind, negated, name, severity) = match shape.value {
        AssertionShape::Word(Word::Json) => (AssertionKind::Json, false, None, AssertionSeverity::default()),
        AssertionShape::Word(Word::Xml) => (AssertionKind::Xml(XmlCheck::default()), false, None, AssertionSeverity::default()),
        AssertionShape::Fields(mut fields) => {
            let mut kinds = fields.kinds();
            let negated = fields.not.take();
            let is_negated = negated.is_some();
            if let Some(negated) = negated {
                let inner = negated.value.kinds();
                if inner.is_empty() {
                    context.problem("`not` holds no assertion".to_owned(), "write `not: {contains: text}`", document.place(negated.span));
                    return None;
                }
                kinds.extend(inner);
            }
            let severity = fields.severity.unwrap_or_default();
            let name = fields.name.take().map(|name| name.value);
            let given = context.only_kind(kinds)?;
            (context.kind(given)?, is_negated, name, severity)
        }
    };
    let assertion = Arc::new(Assertion { kind, negated, name, severity, site });
    match variables(&assertion) {
        Ok(variables) => Some(Resolved { assertion, place, variables }),
        Err(error) => {
            problems.push(Problem::error(error.message).at(place).hint("write literal braces as `{{ \"{{\" }}`"));
            None
        }
    }
}

struct Context<'a, 'b> {
    document: &'a Document,
    inputs: &'a Inputs<'b>,
    problems: &'a mut Vec<Problem>,
    place: Place,
}

impl Context<'_, '_> {
    fn problem(&mut self, message: String, hint: &str, place: Place) {
        self.problems.push(Problem::error(message).at(place).hint(hint));
    }

    fn only_kind(&mut self, mut kinds: Vec<(&'static str, Given)>) -> Option<Given> {
        let place = self.place.clone();
        match kinds.len() {
            0 => {
                let names: Vec<String> = KINDS.iter().map(|kind| format!("`{kind}`")).collect();
                self.problem("this assertion does not say what it compares".to_owned(), &format!("add one of {}", names.join(", ")), place);
                None
            }
            1 => kinds.pop().map(|(_, given)| given),
            _ => {
                let names: Vec<String> = kinds.iter().map(|(name, _)| format!("`{name}`")).collect();
                let hint = "write one list item for each: every item begins with `- `";
                self.problem(format!("one assertion compares one thing, and this one has {}", names.join(" and ")), hint, place);
                None
            }
        }
    }

    fn kind(&mut self, given: Given) -> Option<AssertionKind> {
        Some(match given {
            Given::Equals(shape) => AssertionKind::Equals(text(shape.value)),
            Given::Contains(shape) => AssertionKind::Contains(self.not_empty("contains", text(shape.value))?),
            Given::ContainsAny(shape) => AssertionKind::ContainsAny(self.set("contains_any", shape)?),
            Given::ContainsAll(shape) => AssertionKind::ContainsAll(self.set("contains_all", shape)?),
            Given::StartsWith(shape) => AssertionKind::StartsWith(self.not_empty("starts_with", text(shape.value))?),
            Given::EndsWith(shape) => AssertionKind::EndsWith(self.not_empty("ends_with", text(shape.value))?),
            Given::Regex(shape) => AssertionKind::Regex(shape.value),
            Given::OneOf(shape) => AssertionKind::OneOf(self.set("one_of", shape)?),
            Given::Similar(shape) => {
                let threshold = shape.value.threshold.map_or(0.8, |threshold| threshold.value);
                if !(threshold > 0.0 && threshold <= 1.0) {
                    let place = self.place.clone();
                    self.problem(
                        format!("a threshold of {threshold} cannot be: it is above 0 and at most 1"),
                        "write `threshold: 0.8`",
                        place,
                    );
                    return None;
                }
                AssertionKind::Similar { to: shape.value.to, threshold }
            }
            Given::Json(flag) => {
                self.flag("json", &flag)?;
                AssertionKind::Json
            }
            Given::JsonSchema(shape) => AssertionKind::JsonSchema(self.schema(shape)?),
            Given::JsonPath(shape) => AssertionKind::JsonPath(self.json_path(shape)?),
            Given::Xml(shape) => AssertionKind::Xml(self.xml(shape)?),
            Given::Length(bounds) => {
                let it = &bounds.value;
                let pairs = [
                    (it.min_chars, it.max_chars),
                    (it.min_words, it.max_words),
                    (it.min_lines, it.max_lines),
                    (it.min_sentences, it.max_sentences),
                    (it.min_bytes, it.max_bytes),
                ];
                self.bounds("length", "max_words: 60", &pairs)?;
                AssertionKind::Length(bounds.value)
            }
            Given::MaxOutputTokens(most) => AssertionKind::MaxOutputTokens(most.value),
            Given::Refusal(rule) => AssertionKind::Refusal(rule.value),
            Given::StopReason(names) => AssertionKind::StopReason(self.stop_reasons(names)?),
            Given::MaxCostUsd(dollars) => AssertionKind::MaxCostUsd(money(&dollars.value, self.document, self.problems)?),
            Given::MaxLatencyMs(most) => AssertionKind::MaxLatencyMs(most.value),
        })
    }

    /// Every text contains the empty one: such an assertion cannot fail.
    fn not_empty(&mut self, kind: &str, text: TextMatch) -> Option<TextMatch> {
        if text.value.is_empty() {
            let place = self.place.clone();
            self.problem(format!("`{kind}` of an empty text holds for every reply"), "write the text that must be there", place);
            return None;
        }
        Some(text)
    }

    fn set(&mut self, kind: &str, shape: Spanned<SetShape>) -> Option<TextSet> {
        let set = match shape.value {
            SetShape::Texts(values) => TextSet { values, ignore_case: false },
            SetShape::Fields(fields) => TextSet { values: fields.values, ignore_case: fields.ignore_case.unwrap_or_default() },
        };
        if set.values.is_empty() || (kind != "one_of" && set.values.iter().any(String::is_empty)) {
            let message = if set.values.is_empty() { format!("`{kind}` lists nothing") } else { format!("`{kind}` lists an empty text") };
            self.problem(message, "list the texts that are meant", self.document.place(shape.span));
            return None;
        }
        Some(set)
    }

    fn flag(&mut self, kind: &str, flag: &Spanned<bool>) -> Option<()> {
        if flag.value {
            return Some(());
        }
        self.problem(format!("`{kind}: false` says nothing"), &format!("write `not: {{{kind}: true}}`"), self.document.place(flag.span));
        None
    }

    fn schema(&mut self, shape: Spanned<crate::source::assertion_shape::SchemaShape>) -> Option<SchemaSource> {
        let place = self.document.place(shape.span);
        match &shape.value.0.kind {
            Kind::Text(path) => match self.inputs.schema(path, &place) {
                Ok((file, schema)) => Some(SchemaSource { label: file.path, schema }),
                Err(problem) => {
                    self.problems.push(problem);
                    None
                }
            },
            Kind::Mapping(_) => Some(SchemaSource { label: "inline".into(), schema: Arc::new(shape.value.0.to_value()) }),
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::List(_) => {
                let message = format!("`json_schema` must be a path or a schema, but it is {}", shape.value.0.describe());
                self.problem(message, "write `json_schema: fixtures/answer.schema.json`, or the schema as a mapping", place);
                None
            }
        }
    }

    fn json_path(&mut self, shape: Spanned<crate::source::assertion_shape::JsonPathShape>) -> Option<JsonPathCheck> {
        let place = self.place.clone();
        let it = shape.value;
        let (min_length, max_length) = match it.length {
            None => (None, None),
            Some(CountShape::Exactly(count)) => (Some(count), Some(count)),
            Some(CountShape::Between(bounds)) => {
                self.bounds("length", "{min: 1, max: 3}", &[(bounds.min, bounds.max)])?;
                (bounds.min, bounds.max)
            }
        };
        let says_something = it.equals.is_some()
            || it.matches.is_some()
            || it.exists.is_some()
            || min_length.is_some()
            || it.min.is_some()
            || it.max.is_some()
            || max_length.is_some();
        if !says_something {
            let hint = "add `exists: true`, `equals`, `matches`, `length`, `min` or `max`";
            self.problem("`json_path` names a path and no check".to_owned(), hint, place);
            return None;
        }
        let others =
            it.equals.is_some() || it.matches.is_some() || min_length.or(max_length).is_some() || it.min.is_some() || it.max.is_some();
        if it.exists == Some(false) && others {
            let hint = "keep `exists: false`, or the checks on the value";
            self.problem("`exists: false` allows no other check: there is no value to look at".to_owned(), hint, place);
            return None;
        }
        if let (Some(min), Some(max)) =
            (it.min.as_ref().and_then(serde_json::Number::as_f64), it.max.as_ref().and_then(serde_json::Number::as_f64))
            && min > max
        {
            self.problem(format!("no number is at least {min} and at most {max}"), "swap `min` and `max`", place);
            return None;
        }
        Some(JsonPathCheck {
            path: it.path,
            equals: it.equals.map(|node| node.to_value()),
            matches: it.matches,
            exists: it.exists,
            min_length,
            max_length,
            min: it.min,
            max: it.max,
        })
    }

    fn xml(&mut self, shape: Spanned<XmlShape>) -> Option<XmlCheck> {
        match shape.value {
            XmlShape::Flag(value) => {
                self.flag("xml", &Spanned { value, span: shape.span })?;
                Some(XmlCheck::default())
            }
            XmlShape::Fields(fields) => Some(XmlCheck {
                root: fields.root,
                contains: fields.contains.map(|names| names.0.into_iter().map(|name| name.value).collect()).unwrap_or_default(),
            }),
        }
    }

    fn bounds(&mut self, kind: &str, example: &str, pairs: &[(Option<u64>, Option<u64>)]) -> Option<()> {
        let place = self.place.clone();
        if pairs.iter().all(|(min, max)| min.is_none() && max.is_none()) {
            self.problem(format!("`{kind}` has no bound"), &format!("write `{kind}: {{{}}}`", example.trim_matches(['{', '}'])), place);
            return None;
        }
        for (min, max) in pairs {
            if let (Some(min), Some(max)) = (min, max)
                && min > max
            {
                self.problem(format!("nothing is at least {min} and at most {max} long"), "swap the bounds", place);
                return None;
            }
        }
        Some(())
    }

    fn stop_reasons(&mut self, names: Spanned<OneOrMany>) -> Option<Vec<String>> {
        if names.value.0.is_empty() {
            self.problem("`stop_reason` lists nothing".to_owned(), "write `stop_reason: end_turn`", self.document.place(names.span));
            return None;
        }
        let known = [
            StopReason::EndTurn,
            StopReason::MaxTokens,
            StopReason::StopSequence,
            StopReason::ToolUse,
            StopReason::PauseTurn,
            StopReason::Refusal,
            StopReason::ModelContextWindowExceeded,
        ];
        for name in &names.value.0 {
            if known.iter().all(|reason| reason.as_str() != name.value) {
                // The API may learn a new one before this program does, so that it is no error.
                let problem =
                    Problem::warning(format!("`{}` is no stop reason that is known here", name.value)).at(self.document.place(name.span));
                let hint = suggestion(&name.value, known.iter().map(StopReason::as_str));
                self.problems.push(if let Some(hint) = hint { problem.hint(hint) } else { problem });
            }
        }
        Some(names.value.0.into_iter().map(|name| name.value).collect())
    }
}

fn text(shape: TextShape) -> TextMatch {
    match shape {
        TextShape::Text(value) => TextMatch { value, ignore_case: false },
        TextShape::Fields(fields) => TextMatch { value: fields.value, ignore_case: fields.ignore_case.unwrap_or_default() },
    }
}

/// An amount of dollars from its digits as they are written.
pub(crate) fn money(dollars: &Dollars, document: &Document, problems: &mut Vec<Problem>) -> Option<Money> {
    let place = document.place(dollars.0.span);
    match dollars.0.value.parse::<Money>() {
        Ok(money) if money >= Money::ZERO => Some(money),
        Ok(_) => {
            problems.push(Problem::error("a limit of dollars cannot be negative").at(place).hint("write it as 0.25"));
            None
        }
        Err(error) => {
            problems.push(Problem::error(error.to_string()).at(place).hint("write dollars as plain digits: 0.25"));
            None
        }
    }
}
