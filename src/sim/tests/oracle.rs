//! Does the prompt cache agree with a slow, literal reading of the documented rules, whatever is asked in whatever order?

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::caching::PromptCache;
use super::super::caching::prefix::Prefix;
use super::super::models;
use super::super::prompt::Prompt;

const MODELS: [&str; 2] = ["claude-sonnet-4-5", "claude-sonnet-4-6"];
/// The minimum of both; the texts weigh so many tokens.
const MINIMUM: u64 = 1_024;
const TEXTS: [u64; 5] = [1_100, 500, 1, 1, 2];

/// One request: texts, of which the first so many are the system prompt, and marks (place, for an hour).
#[derive(Debug, Clone)]
struct Asked {
    model: usize,
    texts: Vec<usize>,
    in_system: usize,
    marks: Vec<(usize, bool)>,
    seconds_later: i64,
}

impl Asked {
    fn body(&self) -> Value {
        let block = |(at, text): (usize, &usize)| {
            let words = (char::from(b'a' + u8::try_from(*text).unwrap())).to_string().repeat(usize::try_from(TEXTS[*text] * 4).unwrap());
            match self.marks.iter().find(|(place, _)| *place == at) {
                Some((_, hour)) => {
                    json!({"type": "text", "text": words, "cache_control": {"type": "ephemeral", "ttl": if *hour { "1h" } else { "5m" }}})
                }
                None => json!({"type": "text", "text": words}),
            }
        };
        let blocks: Vec<Value> = self.texts.iter().enumerate().map(block).collect();
        let (system, turn) = blocks.split_at(self.in_system);
        json!({"model": MODELS[self.model], "system": system, "messages": [{"role": "user", "content": turn}]})
    }

    /// Tokens up to and with a place.
    fn tokens(&self, at: usize) -> u64 {
        self.texts[..=at].iter().map(|text| TEXTS[*text]).sum::<u64>() + if at >= self.in_system { 3 } else { 0 }
    }

    /// What has to be the same for the prefix up to `at` to be the same.
    fn prefix(&self, at: usize) -> Vec<(usize, bool)> {
        self.texts[..=at].iter().enumerate().map(|(place, text)| (*text, place >= self.in_system)).collect()
    }
}

/// An entry with all that it depends on, as it is.
#[derive(Debug)]
struct Entry {
    model: usize,
    prefix: Vec<(usize, bool)>,
    until: i64,
    lasts: i64,
}

/// Read, written for an hour, written for five minutes.
fn expected(entries: &mut Vec<Entry>, asked: &Asked, now: i64) -> (u64, u64, u64) {
    let alive = |entries: &[Entry], at: usize| {
        let prefix = asked.prefix(at);
        entries.iter().position(|entry| entry.model == asked.model && entry.prefix == prefix && now < entry.until)
    };
    let marks: Vec<(usize, bool)> = asked.marks.iter().copied().filter(|(at, _)| asked.tokens(*at) >= MINIMUM).collect();
    let mut hits = Vec::new();
    for (mark, _) in &marks {
        for steps in 0..20 {
            let Some(at) = mark.checked_sub(steps) else { break };
            if let Some(found) = alive(entries, at) {
                entries[found].until = entries[found].until.max(now + entries[found].lasts);
                hits.push(at);
                break;
            }
        }
    }
    let highest = hits.iter().max().copied();
    let behind: Vec<(usize, bool)> = marks.iter().copied().filter(|(at, _)| highest.is_none_or(|highest| *at > highest)).collect();
    let read = highest.map_or(0, |at| asked.tokens(at));
    let hour = behind.iter().filter(|(_, hour)| *hour).map(|(at, _)| asked.tokens(*at)).max().unwrap_or(read);
    let last = behind.iter().map(|(at, _)| asked.tokens(*at)).max().unwrap_or(read);
    for (at, hour) in &marks {
        if alive(entries, *at).is_none() {
            let lasts = if *hour { 3600 } else { 300 };
            entries.push(Entry { model: asked.model, prefix: asked.prefix(*at), until: now + lasts, lasts });
        }
    }
    (read, hour - read, last - hour)
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    let base = (proptest::collection::vec(0..TEXTS.len(), 45), 0..4_usize);
    base.prop_flat_map(|(base, in_system)| {
        let one = (0..MODELS.len(), in_system + 1..=45, proptest::option::of((0..45_usize, 0..TEXTS.len())), marks(), 0..400_i64);
        let one = one.prop_map(move |(model, length, change, marks, seconds_later)| {
            let mut texts = base[..length].to_vec();
            if let Some((at, text)) = change {
                texts[at % length] = text;
            }
            let mut marks: Vec<(usize, bool)> = marks.into_iter().map(|(at, hour)| (at % length, hour)).collect();
            marks.sort_unstable();
            marks.dedup_by_key(|(at, _)| *at);
            marks.truncate(4);
            let mut short = false;
            for (_, hour) in &mut marks {
                short |= !*hour;
                *hour = !short;
            }
            Asked { model, texts, in_system, marks, seconds_later }
        });
        proptest::collection::vec(one, 1..12)
    })
}

fn marks() -> impl Strategy<Value = Vec<(usize, bool)>> {
    proptest::collection::vec((0..45_usize, any::<bool>()), 1..5)
}

proptest! {
    #[test]
    fn every_split_is_the_one_that_the_rules_give(asked in requests()) {
        let cache = PromptCache::default();
        let mut entries = Vec::new();
        let start = "2026-11-22T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let mut now = 0;
        for request in asked {
            now += request.seconds_later;
            let body = request.body();
            let model = models::find(MODELS[request.model], &[]).unwrap();
            let prefix = Prefix::of(&body, &model, MODELS[request.model], b"").unwrap();
            let split = cache.look_up(&prefix, &model, start + TimeDelta::seconds(now), true);
            cache.write(&split);
            prop_assert_eq!((split.read, split.written_1h, split.written_5m), expected(&mut entries, &request, now), "{:?}", request);
            prop_assert!(split.cached() <= Prompt::of(&body).weight.tokens(&model) - 4);
        }
    }
}
