//! `batches:` of a script: how long do they take, what comes of them, and what goes wrong with calls about them?

use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use minijinja::Environment;

use super::super::script::{Answer, BatchCall, BatchRule, Batches, Pace};
use super::super::tree::{Node, Value};
use super::fields::{Fields, Problems, listed, nearest};
use super::{answer, condition};

/// Longer than the 24 hours that a batch of the API may take.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

pub(super) fn batches(node: &Node, templates: &mut Environment<'static>, problems: &mut Problems) -> Batches {
    let mut batches = Batches::default();
    let known = ["takes", "polls", "expires_after", "expire", "cache_hits", "rules"];
    let Some(fields) = Fields::of(node, "`batches`", &known, problems) else { return batches };
    let (takes, polls) = (fields.time("takes", LONGEST, problems), fields.whole("polls", 1, 1_000_000, problems));
    if let (Some(_), Some(node)) = (fields.get("takes"), fields.get("polls")) {
        let hint = "a batch ends after some time, or when it was asked for so often: leave out one of them";
        problems.node(node, "`takes` and `polls` do not go together", Some(hint.to_owned()));
    }
    batches.pace = takes.map(Pace::Takes).or(polls.map(Pace::Polls)).unwrap_or(batches.pace);
    if let Some(time) = fields.time("expires_after", LONGEST, problems) {
        batches.expires_after = time;
    }
    batches.expire = globs(&fields, problems);
    match fields.get("cache_hits").map(|node| (node, &node.value)) {
        Some((_, Value::Float(part))) if (0.0..=1.0).contains(part) => batches.cache_hits = *part,
        Some((_, Value::Int(part @ 0..=1))) => batches.cache_hits = *part as f64,
        Some((node, _)) => problems.node(
            node,
            "`cache_hits` must be a number from 0 to 1",
            Some("0.9 lets nine of ten requests find what is cached".to_owned()),
        ),
        None => {}
    }
    batches.rules = fields.list("rules", problems).iter().filter_map(|node| rule(node, templates, problems)).collect();
    batches
}

fn globs(fields: &Fields<'_>, problems: &mut Problems) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for node in fields.items("expire") {
        match &node.value {
            Value::Text(text) => match Glob::new(text) {
                Ok(glob) => drop(set.add(glob)),
                Err(error) => problems.node(
                    node,
                    format!("`expire` is not a glob: {}", error.kind()),
                    Some("write a custom_id, or a pattern such as late-*".to_owned()),
                ),
            },
            _ => problems.node(node, format!("`expire` must be text, not {}", node.kind()), Some("it names custom_ids: late-*".to_owned())),
        }
    }
    set.build().unwrap_or_else(|error| {
        problems.node(
            fields.get("expire").expect("only globs that were given can be too large"),
            format!("`expire` is too much: {error}"),
            None,
        );
        GlobSet::empty()
    })
}

fn rule(node: &Node, templates: &mut Environment<'static>, problems: &mut Problems) -> Option<BatchRule> {
    let fields = Fields::of(node, "a rule of `batches`", &["when", "then"], problems)?;
    let (mut on, mut calls) = (None, None);
    if let Some(when) = fields.get("when").and_then(|node| Fields::of(node, "`when` of a rule of `batches`", &["on", "call"], problems)) {
        if let Some(name) = when.text("on", problems) {
            on = BatchCall::from_name(name);
            if on.is_none() {
                let names = BatchCall::NAMES.map(|(name, _)| name);
                let hint =
                    nearest(name, &names).map_or_else(|| format!("one of {}", listed(&names)), |near| format!("did you mean `{near}`?"));
                problems.node(when.get("on")?, format!("unknown call `{name}`"), Some(hint));
            }
        }
        calls = condition::call(&when, problems);
    }
    let Some(then) = fields.get("then") else {
        problems.node(node, "a rule needs `then`", Some("for example `then: {status: 529}` or `then: {fault: drop}`".to_owned()));
        return None;
    };
    let read = answer::then(then, templates, problems)?;
    if matches!(read.answer, Answer::Message(_)) && read.fault.is_none() {
        problems.node(
            then,
            "a rule of `batches` gives a `status` or a `fault`: calls about batches have no message",
            Some("what requests of a batch are answered stands in `rules` at the top of the script".to_owned()),
        );
    }
    Some(BatchRule { on, calls, then: read })
}
