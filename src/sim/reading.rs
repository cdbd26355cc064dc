//! From YAML to a script: what does each key mean, and what is wrong with it?

mod answer;
mod batches;
mod condition;
mod fields;

use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig};

use super::fault::Fault;
use super::script::{BEHAVIOUR, Batches, Faults, Rule, Script, ScriptProblem};
use super::tree::{Node, Value};
use crate::template::{bounds, walk};
use fields::{Fields, Problems};

/// Steps that one template may take: far above any honest one, and bounded.
const TEMPLATE_FUEL: u64 = 1_000_000;

/// Reads a script or returns every mistake in it.
pub(super) fn script(name: &str, text: &str) -> Result<Script, Vec<ScriptProblem>> {
    let mut problems = Problems::new(name);
    let root = match Node::read(text) {
        Ok(root) => root,
        Err((line, column, message)) => {
            problems.at(line, column, message, Some("the script is YAML 1.2; docs/simulator.md shows one".to_owned()));
            return Err(problems.into_list());
        }
    };
    let mut script = Script {
        name: name.to_owned(),
        digest: digest(text),
        rules: Vec::new(),
        otherwise: None,
        faults: None,
        requests_per_minute: None,
        models: Vec::new(),
        batches: Batches::default(),
        templates: environment(),
    };
    let known = ["rules", "otherwise", "faults", "requests_per_minute", "models", "batches"];
    if let Some(fields) = Fields::of(&root, "a script", &known, &mut problems) {
        script.models = fields.texts("models", &mut problems);
        let none = fields.get("rules").is_none_or(|rules| matches!(&rules.value, Value::List(items) if items.is_empty()));
        if none && fields.get("otherwise").is_none() {
            problems.node(
                fields.get("rules").unwrap_or(&root),
                "a script without `rules` answers nothing",
                Some("add `rules:` with at least one `{when: ..., then: ...}`".to_owned()),
            );
        }
        let mut all: Option<(u64, u64)> = None;
        for (index, item) in (0..).zip(fields.list("rules", &mut problems)) {
            let before = problems.count();
            let rule = rule(item, &script.models, &mut script.templates, &mut problems);
            // A rule with a mistake may have a condition that nobody could read. Once is enough to be told.
            let reaches_all = problems.count() == before && rule.as_ref().is_some_and(|rule| rule.when.holds_always());
            match all {
                Some((line, last)) if last + 1 == index => {
                    let message = format!("this rule is never reached: the one at line {line} answers everything");
                    problems.node(item, message, Some("move it up, or give that rule a condition".to_owned()));
                }
                None if reaches_all => all = rule.as_ref().map(|rule| (rule.line, index)),
                _ => {}
            }
            script.rules.extend(rule);
        }
        script.otherwise = fields.get("otherwise").and_then(|node| answer::then(node, &mut script.templates, &mut problems));
        if let Some(node) = fields.get("batches") {
            script.batches = batches::batches(node, &mut script.templates, &mut problems);
        }
        script.faults = fields.get("faults").and_then(|node| faults(node, &mut problems));
        script.requests_per_minute =
            fields.whole("requests_per_minute", 1, u64::from(u32::MAX), &mut problems).and_then(|count| u32::try_from(count).ok());
    }
    if problems.is_empty() { Ok(script) } else { Err(problems.into_list()) }
}

fn digest(text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(BEHAVIOUR.as_bytes()).update(&[0]).update(text.as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    walk::equip(&mut environment);
    environment.set_formatter(|output, state, value| {
        bounds::charge(state, value)?;
        minijinja::escape_formatter(output, state, value)
    });
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    environment.set_syntax(syntax.build().expect("the usual delimiters do not clash"));
    environment
}

fn rule(node: &Node, models: &[String], templates: &mut Environment<'static>, problems: &mut Problems) -> Option<Rule> {
    let fields = Fields::of(node, "a rule", &["when", "then"], problems)?;
    let when = match fields.get("when") {
        Some(node) => condition::when(node, models, problems),
        None => Some(super::script::When::default()),
    };
    let Some(node_then) = fields.get("then") else {
        problems.node(node, "a rule needs `then`", Some("say what to answer, for example `then: {text: Hello}`".to_owned()));
        return None;
    };
    let then = answer::then(node_then, templates, problems);
    Some(Rule { line: node.line, when: when?, then: then? })
}

fn faults(node: &Node, problems: &mut Problems) -> Option<Faults> {
    let fields = Fields::of(node, "`faults`", &["rate", "kinds", "retry_after", "in_a_row"], problems)?;
    let mut faults = Faults::default();
    match fields.get("rate").map(|rate| (rate, &rate.value)) {
        Some((_, Value::Float(rate))) if (0.0..=1.0).contains(rate) => faults.rate = *rate,
        Some((_, Value::Int(rate @ 0..=1))) => faults.rate = *rate as f64,
        Some((rate, _)) => {
            problems.node(rate, "`rate` must be a number from 0 to 1", Some("0.33 makes a third of all requests fail".to_owned()))
        }
        None => problems.node(node, "`faults` needs `rate`", Some("0.33 makes a third of all requests fail".to_owned())),
    }
    if let Some(kinds) = fields.get("kinds") {
        if matches!(&kinds.value, Value::List(items) if items.is_empty()) {
            problems.node(kinds, "`kinds` is empty, so no request would ever fail", Some(known_faults()));
        }
        faults.kinds = fields.items("kinds").filter_map(|item| fault(item, problems)).collect();
    }
    if let Some(seconds) = fields.whole("retry_after", 0, 86_400, problems) {
        faults.retry_after = seconds;
    }
    if let Some(count) = fields.whole("in_a_row", 1, 1_000_000, problems) {
        faults.in_a_row = u32::try_from(count).unwrap_or(u32::MAX);
    }
    Some(faults)
}

/// A fault by its name.
fn fault(node: &Node, problems: &mut Problems) -> Option<Fault> {
    let Value::Text(name) = &node.value else {
        problems.node(node, format!("a fault is a name, not {}", node.kind()), Some(known_faults()));
        return None;
    };
    let fault = Fault::from_name(name);
    if fault.is_none() {
        let names: Vec<&str> = Fault::NAMES.iter().map(|(name, _)| *name).collect();
        let hint = fields::nearest(name, &names).map_or_else(known_faults, |near| format!("did you mean `{near}`?"));
        problems.node(node, format!("unknown fault `{name}`"), Some(hint));
    }
    fault
}

fn known_faults() -> String {
    let names: Vec<&str> = Fault::NAMES.iter().map(|(name, _)| *name).collect();
    format!("faults are {}", names.join(", "))
}
