//! What is wrong with a suite as a whole? Everything that can be found without asking: undefined and unused variables, rejected
//! parameters, assertions that cannot be compiled, cases that cannot fail.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use crate::assertion::{CompileCache, CompileError, compile};
use crate::model::assertion::{Assertion, AssertionKind, AssertionSeverity, JsonPathCheck};
use crate::model::parameters::{Rejection, rejected, rejected_turns};
use crate::model::problem::{Place, Problem, Severity, Site};
use crate::model::request::Params;
use crate::model::suite::{PromptCache, SnapshotPolicy, Variables};
use crate::source::assertion::Resolved;
use crate::source::case::Draft;
use crate::source::decode::nearest;
use crate::source::document::Document;
use crate::source::enough::ENOUGH;
use crate::source::known::Known;
use crate::source::marks::Marked;
use crate::source::node::Node;
use crate::source::prompt::PromptFile;
use crate::source::suite::ModelDraft;
use crate::source::vacuous;
use crate::template::{LARGEST_OUTPUT, TemplateError};

/// So many cases show that a template makes too much.
const TRIES: u32 = 3;

/// Bytes of prompts that are rendered again to find a second mistake behind the first.
const MOST_AGAIN: usize = 4 << 20;

/// A suite that was read.
pub(crate) struct Subject<'a> {
    pub(crate) document: &'a Document,
    pub(crate) known: &'a Known<'a>,
    /// What is compiled for any suite of the project.
    pub(crate) compiled: &'a CompileCache,
    pub(crate) prompts: &'a [Arc<PromptFile>],
    pub(crate) models: &'a [ModelDraft],
    pub(crate) request: Option<&'a Params>,
    pub(crate) request_node: Option<&'a Node>,
    pub(crate) inherited: &'a [Arc<Resolved>],
    pub(crate) drafts: &'a [Draft],
    pub(crate) tables: &'a [(Place, BTreeMap<String, ()>)],
    pub(crate) snapshot: &'a SnapshotPolicy,
    pub(crate) cache: PromptCache,
    /// Where `min_pass_rate: 0` stands.
    pub(crate) no_pass_rate: Option<Place>,
}

/// `whole` says that nothing was left out of the suite, so that what seems to be missing is.
/// The problems from `before` on are this suite's.
pub(crate) fn check(subject: &Subject<'_>, whole: bool, before: usize, problems: &mut Vec<Problem>) {
    parameters(subject, problems);
    let mut undefined = BTreeSet::new();
    let sound = sound(subject, whole, &problems[before..]);
    render(subject, &sound, &mut undefined, problems);
    assertions(subject, whole, &mut undefined, problems);
    if whole {
        unused(subject, &undefined, problems);
        vacuous::check(subject, problems);
    }
}

/// Findings that many cases share are said once, with the first of them.
#[derive(Default)]
struct Shared {
    order: Vec<(Problem, String, usize)>,
    known: HashMap<(Arc<str>, u32, u32, String), usize>,
    /// Not every case was looked at for all of them.
    is_cut: bool,
}

impl Shared {
    /// `hint` is asked once for findings that are the same: it may compare a name with very many.
    fn add(&mut self, problem: Problem, case: &str, hint: impl FnOnce() -> Option<String>) {
        let Some(place) = &problem.place else { return };
        let key = (Arc::clone(&place.file), place.line, place.column, problem.message.clone());
        match self.known.get(&key) {
            Some(index) => self.order[*index].2 += 1,
            // Each is an error, so that what is left out makes nothing look sound.
            None if self.order.len() >= ENOUGH => {}
            None => {
                let problem = if let Some(hint) = hint() { problem.hint(hint) } else { problem };
                self.known.insert(key, self.order.len());
                self.order.push((problem, case.to_owned(), 0));
            }
        }
    }

    fn push_into(self, problems: &mut Vec<Problem>) {
        let least = if self.is_cut { "at least " } else { "" };
        for (mut problem, case, others) in self.order {
            problem.message = match others {
                0 => format!("{} in case `{case}`", problem.message),
                1 => format!("{} in case `{case}` and {least}one more", problem.message),
                others => format!("{} in case `{case}` and {least}{others} more", problem.message),
            };
            problems.push(problem);
        }
    }
}

/// The cases that are as the author wrote them: where a part of the suite was left out because of a mistake, a case with a mistake between
/// its own line and the next case's may miss variables that it gives, and so may the rows of tables once anything below `cases` is wrong.
fn sound<'a>(subject: &Subject<'a>, whole: bool, problems: &[Problem]) -> Vec<&'a Draft> {
    if whole {
        return subject.drafts.iter().collect();
    }
    let file = subject.document.path();
    let here = |draft: &&Draft| draft.site.file == *file;
    let mut lines: Vec<u32> = subject.drafts.iter().filter(here).map(|draft| draft.site.line).collect();
    lines.sort_unstable();
    let Some(first) = lines.first().copied() else { return Vec::new() };
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let places: Vec<&Place> = errors.filter_map(|problem| problem.place.as_ref()).collect();
    let is_known = |place: &&Place| {
        let of_a_prompt = subject.prompts.iter().any(|prompt| prompt.version.file.path == place.file);
        place.file == *file || of_a_prompt || subject.drafts.iter().any(|draft| draft.site.file == place.file)
    };
    if !places.iter().all(is_known) {
        // A fixture that cannot be read does not say whose variable it was.
        return Vec::new();
    }
    let mistakes: Vec<u32> = places.iter().filter(|place| place.file == *file && place.line >= first).map(|place| place.line).collect();
    let is_sound = |draft: &&Draft| {
        if !here(draft) {
            return mistakes.is_empty() && !places.iter().any(|place| place.file == draft.site.file && place.line == draft.site.line);
        }
        let next = lines.get(lines.partition_point(|line| *line <= draft.site.line)).copied().unwrap_or(u32::MAX);
        !mistakes.iter().any(|line| (draft.site.line..next).contains(line))
    };
    subject.drafts.iter().filter(is_sound).collect()
}

/// Every template of every version for every case: what cannot be rendered must not be found after the first request.
fn render(subject: &Subject<'_>, drafts: &[&Draft], undefined: &mut BTreeSet<String>, problems: &mut Vec<Problem>) {
    let mut shared = Shared::default();
    // What makes too much takes long until it is stopped: a prompt that did so for some cases is not tried with all the others.
    let mut endless = vec![0; subject.prompts.len()];
    let mut again: usize = 0;
    let marked: Vec<Option<Marked<'_>>> = subject.prompts.iter().map(|prompt| Marked::of(prompt, subject)).collect();
    for draft in drafts {
        let prompts = subject.prompts.iter().zip(&marked).zip(&mut endless);
        for ((prompt, marked), endless) in prompts.filter(|(_, endless)| **endless < TRIES) {
            // One mistake hides the next: a name that was reported is given an empty text, and the rest is looked at.
            let mut filled: Option<Variables> = None;
            for _ in 0..20 {
                let variables = filled.as_ref().unwrap_or(&draft.variables);
                let error = match prompt.compiled.render(variables) {
                    Err(error) => error,
                    Ok((system, turns)) => {
                        if let Some((rejection, place)) = marked.as_ref().and_then(|marked| marked.refused(&system, &turns)) {
                            shared.add(Problem::error(rejection.message).at(place), &draft.id, || rejection.hint);
                        }
                        break;
                    }
                };
                let place = prompt.place(&error);
                *endless += u32::from(error.too_much);
                shared.add(Problem::error(error.message.clone()).at(place), &draft.id, || {
                    let undefined = error.undefined.as_deref().map(|name| hint_for_undefined(name, draft));
                    undefined.or_else(|| Some(hint_for_template(&error)))
                });
                let Some(name) = error.undefined else { break };
                undefined.insert(name.clone());
                again = again.saturating_add(prompt.document.text().len());
                if again > MOST_AGAIN {
                    shared.is_cut = true;
                    break;
                }
                filled.get_or_insert_with(|| draft.variables.clone()).insert(name, Value::String(" ".to_owned()));
            }
        }
    }
    shared.push_into(problems);
}

fn hint_for_template(error: &TemplateError) -> String {
    if let Some(hint) = &error.hint {
        hint.clone()
    } else if error.too_much {
        format!("make the template do less: at most a million steps and {} MiB of text", LARGEST_OUTPUT >> 20)
    } else if error.message.contains("is undefined") {
        "give the case that value, or write `{{ x | default('...') }}`".to_owned()
    } else {
        "templates are Jinja: https://jinja.palletsprojects.com/templates".to_owned()
    }
}

fn hint_for_undefined(name: &str, draft: &Draft) -> String {
    if let Some(near) = nearest(name, draft.variables.keys().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    let names: Vec<String> = draft.variables.keys().take(12).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        format!("the case gives no variables; add `vars: {{{name}: ...}}`")
    } else {
        format!("the case gives {}; add `{name}` to its variables", names.join(", "))
    }
}

/// Assertions of every case with its variables; one without variables is looked at once.
fn assertions(subject: &Subject<'_>, whole: bool, undefined: &mut BTreeSet<String>, problems: &mut Vec<Problem>) {
    let cache = subject.compiled;
    let mut shared = Shared::default();
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let none = Variables::new();
    let mut once = |resolved: &Arc<Resolved>, problems: &mut Vec<Problem>| {
        if !cache.is_over()
            && seen.insert(Arc::as_ptr(resolved).addr())
            && let Err(error) = compile(&resolved.assertion, &none, cache)
        {
            problems.push(uncompiled(error, resolved.place.clone()));
        }
    };
    subject.inherited.iter().filter(|resolved| resolved.variables.is_empty()).for_each(|resolved| once(resolved, problems));
    // As with prompts: one that makes too much for some cases is not tried with all the others.
    let mut endless: HashMap<usize, u32> = HashMap::new();
    for draft in subject.drafts {
        for resolved in &draft.assertions {
            let address = Arc::as_ptr(resolved).addr();
            if resolved.variables.is_empty() {
                once(resolved, problems);
            } else if whole
                && !cache.is_over()
                && endless.get(&address).is_none_or(|endless| *endless < TRIES)
                && let Err(error) = compile(&resolved.assertion, &draft.variables, cache)
            {
                *endless.entry(address).or_default() += u32::from(error.too_much);
                undefined.extend(error.undefined.clone());
                let undefined = error.undefined.clone();
                let problem = uncompiled(error, resolved.place.clone());
                let own = problem.hint.clone();
                shared.add(problem, &draft.id, || undefined.map(|name| hint_for_undefined(&name, draft)).or(own));
            }
        }
    }
    shared.push_into(problems);
}

/// What the assertions' compiler says, at its place.
pub(crate) fn uncompiled(error: CompileError, place: Place) -> Problem {
    let problem = Problem::error(error.message).at(place);
    if let Some(hint) = error.hint { problem.hint(hint) } else { problem }
}

/// Whether a path may be left out of a comparison: by the rules and in the words of the `json_path` assertion, and without a filter that
/// looks at the whole, or filters, for each of its items, as nothing bounds the time of that.
pub(crate) fn ignored(path: &str, site: Site) -> Result<(), CompileError> {
    json_path(path, site)?;
    if !filters_again(path) {
        return Ok(());
    }
    Err(CompileError::new(format!("a filter of `ignore: [{path}]` looks at the whole answer, or filters, for each of its items"))
        .hint("let it ask for members of its item (`@.id`)"))
}

/// Whether a filter of a path holds another filter or begins at the root; what stands in quotes is no part of it.
fn filters_again(path: &str) -> bool {
    let (mut quote, mut escaped, mut depth, mut filter) = (None, false, 0_usize, None);
    for character in path.chars() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => {
                depth = depth.saturating_sub(1);
                filter = filter.filter(|begun| *begun <= depth);
            }
            // The next selector beside it.
            (None, ',') => filter = filter.filter(|begun| *begun < depth),
            (None, '?' | '$') if filter.is_some() => return true,
            (None, '?') => filter = Some(depth),
            (None, _) => {}
        }
    }
    false
}

/// Whether a path is one, by the rules and in the words of the `json_path` assertion.
fn json_path(path: &str, site: Site) -> Result<(), CompileError> {
    let check = JsonPathCheck { path: path.to_owned(), exists: Some(true), ..JsonPathCheck::default() };
    let kind = AssertionKind::JsonPath(check);
    let assertion = Assertion { kind, negated: false, name: None, severity: AssertionSeverity::default(), site };
    compile(&assertion, &Variables::new(), &CompileCache::new()).map(|_| ())
}

/// Variables that are written for nothing: in the suite an error, in a table a note (tables are often made for more than one use).
fn unused(subject: &Subject<'_>, undefined: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    let in_prompts: BTreeSet<&str> = subject.prompts.iter().flat_map(|prompt| prompt.compiled.variables()).map(String::as_str).collect();
    let mut in_tables: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); subject.tables.len()];
    let mut defaults: Vec<Option<&Draft>> = vec![None; subject.tables.len()];
    // Cases mostly have the same variables: one that nothing uses is one mistake, however many cases give it.
    let mut found: Vec<(Problem, usize)> = Vec::new();
    let mut places: HashMap<String, Option<usize>> = HashMap::new();
    let mut unused_written = |name: &str, place: &Place, used: &BTreeSet<&str>| {
        if let Some(known) = places.get(name) {
            if let Some(known) = known {
                found[*known].1 += 1;
            }
            return;
        }
        // Looked at or undefined, there are errors by then.
        if places.len() >= ENOUGH {
            return;
        }
        // A misspelled name in a template was reported there, with this one as what was meant.
        if nearest(name, undefined.iter().map(String::as_str)).is_some() {
            places.insert(name.to_owned(), None);
            return;
        }
        let problem = Problem::error(format!("no prompt and no assertion uses the variable `{name}`")).at(place.clone());
        let near = nearest(name, used.iter().copied());
        let hint = near.map_or_else(
            || format!("write `{{{{ {name} }}}}` where it belongs, or take it away"),
            |near| format!("did you mean `{near}`?"),
        );
        places.insert(name.to_owned(), Some(found.len()));
        found.push((problem.hint(hint), 1));
    };
    for draft in subject.drafts {
        let in_assertions = draft.assertions.iter().flat_map(|resolved| &resolved.variables).map(String::as_str);
        if let Some(index) = draft.table {
            in_tables[index].extend(in_assertions);
            defaults[index].get_or_insert(draft);
            continue;
        }
        let used: BTreeSet<&str> = in_prompts.iter().copied().chain(in_assertions).collect();
        for (name, place) in draft.written.iter().filter(|(name, _)| !used.contains(name.as_str())) {
            unused_written(name, place, &used);
        }
    }
    for (index, used) in in_tables.iter_mut().enumerate() {
        used.extend(&in_prompts);
        for (name, place) in defaults[index].iter().flat_map(|draft| draft.written.iter()).filter(|(name, _)| !used.contains(name.as_str()))
        {
            unused_written(name, place, used);
        }
    }
    for (mut problem, cases) in found {
        if cases > 1 {
            let _ = write!(problem.message, ", which {cases} cases give");
        }
        problems.push(problem);
    }
    for ((place, columns), used) in subject.tables.iter().zip(&in_tables) {
        let surplus: Vec<String> = columns.keys().filter(|name| !used.contains(name.as_str())).map(|name| format!("`{name}`")).collect();
        if !surplus.is_empty() {
            let (word, verb) = if surplus.len() == 1 { ("column", "is") } else { ("columns", "are") };
            problems.push(Problem::note(format!("{word} {} of this table {verb} not used", surplus.join(", "))).at(place.clone()));
        }
    }
}

/// Parameters that the API is known to refuse: found here they cost nothing.
fn parameters(subject: &Subject<'_>, problems: &mut Vec<Problem>) {
    let empty = Params::default();
    let rendered: Vec<_> = subject
        .prompts
        .iter()
        .map(|prompt| subject.drafts.first().and_then(|draft| prompt.compiled.render(&draft.variables).ok()).map(|(_, turns)| turns))
        .collect();
    let mut found: Vec<Problem> = Vec::new();
    for model in subject.models {
        let Some(facts) = subject.known.endpoint(model.spec.endpoint.as_deref()) else { continue };
        for (prompt, turns) in subject.prompts.iter().zip(&rendered) {
            let params = subject.request.unwrap_or(&empty).overlaid(&prompt.version.request).overlaid(&model.spec.request);
            let rejections =
                rejected(subject.known.catalog, &model.spec.id, &facts.api_version, &facts.beta, &params, prompt.ends_with_assistant());
            for rejection in rejections {
                found.push(problem(&rejection, parameter_place(&rejection.parameter, model, prompt, subject)));
            }
            for rejection in turns.iter().flat_map(|turns| rejected_turns(&facts.api_version, turns)) {
                found.push(problem(&rejection, prompt.document.place_in_line(1, None)));
            }
        }
    }
    // The same parameter of several models is one mistake.
    let said = |problem: &Problem| {
        (problem.place.as_ref().map(|place| (Arc::clone(&place.file), place.line, place.column)), problem.message.clone())
    };
    let mut known: HashSet<_> = problems.iter().map(said).collect();
    problems.extend(found.into_iter().filter(|problem| known.insert(said(problem))).take(ENOUGH));
}

fn problem(rejection: &Rejection, place: Place) -> Problem {
    let problem = Problem::error(&rejection.message).at(place);
    match &rejection.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Where a parameter was written: the innermost layer that has it; a prefill stands in the prompt.
pub(super) fn parameter_place(path: &str, model: &ModelDraft, prompt: &PromptFile, subject: &Subject<'_>) -> Place {
    let layers =
        [(model.request.as_ref(), subject.document), (prompt.request.as_ref(), &prompt.document), (subject.request_node, subject.document)];
    for (node, document) in layers {
        if let Some(place) = node.and_then(|node| key_place(node, path, document)) {
            return place;
        }
    }
    if path.starts_with("messages") {
        let lines = (1..).zip(prompt.document.text().lines());
        let line =
            lines.filter(|(_, line)| line.trim().trim_start_matches("- role:").trim() == "assistant" || line.trim_end() == "assistant:");
        return prompt.document.place_in_line(line.last().map_or(1, |(line, _)| line), None);
    }
    model.place.clone()
}

/// The deepest key of a path such as `output_config.effort` that is there.
fn key_place(node: &Node, path: &str, document: &Document) -> Option<Place> {
    let (first, rest) = path.split_once(['.', '[']).map_or((path, ""), |(first, rest)| (first, rest));
    let (key, value) = node.entries().iter().find(|(key, _)| key.name == first)?;
    Some(key_place(value, rest, document).unwrap_or_else(|| document.place(key.span)))
}
