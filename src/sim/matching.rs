//! Which rule answers this request, and for the how many-th time?

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use regex::RegexSet;

use super::chance::Chances;
use super::models::MODELS;
use super::prompt::Prompt;
use super::script::{Script, Then};

/// Above this many different texts one pass over the prompt finds all of them; below, one search each is faster.
const MANY_NEEDLES: usize = 8;

/// The rules of a script, made ready for many requests at once.
#[derive(Debug)]
pub(super) struct Matcher {
    script: Script,
    chances: Chances,
    /// How often the condition of each rule held, `call` apart.
    calls: Vec<AtomicU64>,
    /// The rules whose `model` fits, in order, by model id.
    by_model: HashMap<String, Vec<usize>>,
    /// The needles of each rule, as places in `needles`.
    needles_of: Vec<Vec<usize>>,
    needles: Vec<String>,
    needle_set: Option<RegexSet>,
}

/// The answer that was chosen.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) then: &'a Then,
    /// The how many-th request this is that the rule's condition fits.
    pub(super) call: u64,
    /// The rule, if it was one and not `otherwise`.
    pub(super) rule: Option<usize>,
}

impl Matcher {
    pub(super) fn new(script: Script, chances: Chances) -> Self {
        let mut needles: Vec<String> = Vec::new();
        let mut needles_of = Vec::with_capacity(script.rules.len());
        for rule in &script.rules {
            let places = rule.when.text.iter().map(|text| {
                needles.iter().position(|known| known == text).unwrap_or_else(|| {
                    needles.push(text.clone());
                    needles.len() - 1
                })
            });
            needles_of.push(places.collect());
        }
        // Too many or too long needles for one automaton: searching for each is slower, never wrong.
        let needle_set =
            if needles.len() > MANY_NEEDLES { RegexSet::new(needles.iter().map(|needle| regex::escape(needle))).ok() } else { None };
        let known =
            MODELS.iter().flat_map(|model| [Some((model.id, model.alias)), model.alias.map(|alias| (alias, Some(model.id)))]).flatten();
        let own = script.models.iter().map(|id| (id.as_str(), None));
        let by_model = known
            .chain(own)
            .map(|(id, other)| {
                // An alias and its dated id are one model: a rule that names either means both.
                let fits = |glob: &globset::GlobMatcher| glob.is_match(id) || other.is_some_and(|other| glob.is_match(other));
                let fitting =
                    script.rules.iter().enumerate().filter(|(_, rule)| rule.when.model.as_ref().is_none_or(fits)).map(|(index, _)| index);
                (id.to_owned(), fitting.collect())
            })
            .collect();
        Self {
            calls: script.rules.iter().map(|_| AtomicU64::new(0)).chain([AtomicU64::new(0)]).collect(),
            by_model,
            needles_of,
            needles,
            needle_set,
            script,
            chances,
        }
    }

    pub(super) fn script(&self) -> &Script {
        &self.script
    }

    /// The first rule that fits, or `otherwise`. Counts the call.
    pub(super) fn choose(&self, model: &str, stream: bool, prompt: &Prompt) -> Option<Choice<'_>> {
        let found = self.needle_set.as_ref().map(|set| set.matches(prompt.all()));
        let contains = |needle: &usize| {
            found.as_ref().map_or_else(|| prompt.all().contains(self.needles[*needle].as_str()), |found| found.matched(*needle))
        };
        for index in self.by_model.get(model).into_iter().flatten().copied() {
            let rule = &self.script.rules[index];
            let when = &rule.when;
            let fits = when.stream.is_none_or(|wanted| wanted == stream)
                && self.needles_of[index].iter().all(contains)
                && when.system.iter().all(|text| prompt.system().contains(text.as_str()))
                && when.regex.as_ref().is_none_or(|regex| regex.is_match(prompt.all()))
                && when.chance.is_none_or(|chance| self.chances.holds(chance, index, model, prompt.all()));
            if !fits {
                continue;
            }
            let call = self.calls[index].fetch_add(1, Ordering::Relaxed) + 1;
            if when.call.is_none_or(|calls| calls.holds(call)) {
                return Some(Choice { then: &rule.then, call, rule: Some(index) });
            }
        }
        let then = self.script.otherwise.as_ref()?;
        let call = self.calls[self.script.rules.len()].fetch_add(1, Ordering::Relaxed) + 1;
        Some(Choice { then, call, rule: None })
    }
}
