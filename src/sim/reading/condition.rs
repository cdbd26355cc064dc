//! `when:` of a rule: which requests does it answer?

use super::super::models::MODELS;
use super::super::script::{Calls, When};
use super::super::tree::{Node, Value};
use super::fields::{Fields, Problems, nearest};

/// A compiled regular expression may not take more than this.
const REGEX_SIZE: usize = 4 << 20;

pub(super) fn when(node: &Node, own: &[String], problems: &mut Problems) -> Option<When> {
    let fields = Fields::of(node, "`when`", &["model", "text", "system", "regex", "call", "stream", "chance"], problems)?;
    let model = fields.text("model", problems).and_then(|glob| match globset::Glob::new(glob) {
        Ok(glob) => {
            let matcher = glob.compile_matcher();
            // A rule for a model that nobody can ask would never answer, and nobody would notice.
            let known: Vec<&str> =
                MODELS.iter().flat_map(|model| [Some(model.id), model.alias]).flatten().chain(own.iter().map(String::as_str)).collect();
            if !known.iter().any(|id| matcher.is_match(id)) {
                let near = nearest(glob.glob().trim_end_matches('*'), &known).map(|near| format!("did you mean `{near}`? "));
                let hint = format!("{}`models: [...]` at the top of the script adds models of your own", near.unwrap_or_default());
                problems.node(fields.get("model").unwrap_or(node), format!("`model` matches no known model: {}", glob.glob()), Some(hint));
            }
            Some(matcher)
        }
        Err(error) => {
            problems.node(
                fields.get("model").unwrap_or(node),
                format!("`model` is not a glob: {}", error.kind()),
                Some("write an id, or a pattern such as claude-haiku-*".to_owned()),
            );
            None
        }
    });
    let regex = fields.text("regex", problems).and_then(|pattern| match regex::RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let cause = error.to_string();
            // The last line of the parser's message says what is wrong; the lines before draw the pattern.
            let cause = cause.lines().last().unwrap_or_default().trim_start_matches("error: ");
            problems.node(
                fields.get("regex").unwrap_or(node),
                format!("`regex` does not compile: {cause}"),
                Some("the syntax is that of the regex crate: no look-around, no back-references".to_owned()),
            );
            None
        }
    });
    let call = call(&fields, problems);
    let (text, system) = (fields.texts("text", problems), fields.texts("system", problems));
    for name in ["text", "system"] {
        for item in fields.items(name) {
            if matches!(&item.value, Value::Text(text) if text.is_empty()) {
                problems.node(
                    item,
                    format!("`{name}` is empty, and everything contains the empty text"),
                    Some("leave it out, or write what must occur".to_owned()),
                );
            }
        }
    }
    let chance = fields.get("chance").and_then(|node| {
        let parsed = match &node.value {
            Value::Float(chance) => Some(*chance),
            Value::Int(0) => Some(0.0),
            Value::Int(1) => Some(1.0),
            Value::Int(_) | Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        };
        let chance = parsed.filter(|chance| (0.0..=1.0).contains(chance));
        if chance.is_none() {
            problems.node(
                node,
                "`chance` must say how often the rule answers",
                Some("write a share from 0 to 1: 0.9 is nine times of ten".to_owned()),
            );
        }
        chance
    });
    Some(When { model, text, system, regex, call, stream: fields.flag("stream", problems), chance })
}

/// `call:` of a condition.
pub(super) fn call(fields: &Fields<'_>, problems: &mut Problems) -> Option<Calls> {
    let node = fields.get("call")?;
    let parsed = calls(node);
    if parsed.is_none() {
        problems.node(
            node,
            "`call` must say which of the matching requests, counted from 1",
            Some("write 2, \"3..\", \"2..4\" (both included) or \"every 5\"".to_owned()),
        );
    }
    parsed
}

fn calls(node: &Node) -> Option<Calls> {
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|number| *number > 0);
    match &node.value {
        Value::Int(n) => u64::try_from(*n).ok().filter(|n| *n > 0).map(|n| Calls::Between(n, n)),
        Value::Text(text) => {
            if let Some(n) = text.strip_prefix("every ") {
                return number(n).map(Calls::Every);
            }
            match text.split_once("..") {
                Some((first, "")) => number(first).map(|first| Calls::Between(first, u64::MAX)),
                Some((first, last)) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some(Calls::Between(first, last))
                }
                None => number(text).map(|n| Calls::Between(n, n)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}
