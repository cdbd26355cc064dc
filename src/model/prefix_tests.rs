//! Does a beginning count as the same exactly where the provider's cache takes it for the same, and does a mark change nothing else?

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::key::key;
use crate::model::request::{Dialect, EndpointIdentity, Role, Turn};

const MODEL: &str = "claude-haiku-5-5";

fn block(value: Value) -> Block {
    let Value::Object(map) = value else { panic!("a block is an object") };
    Block(map)
}

fn long(words: &str) -> String {
    words.repeat(8_000 / words.len())
}

/// A long system prompt, and a question.
fn request(question: &str) -> Request {
    Request {
        model: MODEL.to_owned(),
        system: vec![Block::text(long("Every word of this policy is read. "))],
        turns: vec![Turn { role: Role::User, content: vec![Block::text(question)] }],
        params: Params { max_tokens: Some(50), ..Params::default() },
    }
}

fn path(request: &Request) -> Path {
    Path::of(request, "anthropic", PromptCache::Auto, Catalog::embedded()).unwrap()
}

fn digests(request: &Request) -> Vec<Digest> {
    path(request).steps.iter().map(|step| step.digest).collect()
}

#[test]
fn what_begins_alike_shares_its_first_steps_and_no_other() {
    let (one, other) = (path(&request("one")), path(&request("other")));
    assert_eq!(one.steps.iter().map(|step| step.place).collect::<Vec<_>>(), [Place::System(0), Place::Turn(0, 0)]);
    assert_eq!(one.steps[0], other.steps[0]);
    assert_ne!(one.steps[1].digest, other.steps[1].digest);
    assert_eq!(one.steps[0].tokens, 2_594, "7,980 bytes, three tenths more than a quarter of them");
}

#[test]
fn a_mark_is_no_part_of_what_it_marks() {
    let plain = request("one");
    let mut marked = plain.clone();
    marked.system[0].0.insert("cache_control".to_owned(), json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(digests(&plain), digests(&marked));
    let marked = path(&marked);
    assert_eq!((marked.steps[0].mark, marked.authored, path(&plain).authored), (Some(Life::Hour), 1, 0));
}

#[test]
fn what_the_provider_keeps_apart_is_another_beginning() {
    let plain = request("one");
    let with = |change: &dyn Fn(&mut Request)| {
        let mut changed = plain.clone();
        change(&mut changed);
        changed
    };
    let everything: [&dyn Fn(&mut Request); 4] = [
        &|request| request.model = "claude-sonnet-5-5".to_owned(),
        &|request| request.params.output_config = Some(json!({"format": {"type": "json_schema", "schema": {}}})),
        &|request| request.params.thinking = Some(json!({"type": "adaptive"})),
        &|request| request.params.speed = Some("fast".to_owned()),
    ];
    for change in everything {
        assert_ne!(digests(&plain)[0], digests(&with(change))[0]);
    }
    assert_ne!(path(&plain).steps[0].digest, Path::of(&plain, "gateway", PromptCache::Auto, Catalog::embedded()).unwrap().steps[0].digest);
    // Citations are a matter of the system prompt too; images and the choice of a tool only of the turns (6.4).
    let cited = with(&|request| {
        request.turns[0].content.push(block(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}, "citations": {"enabled": true}})));
    });
    assert_ne!(digests(&plain)[0], digests(&cited)[0]);
    let turns_only: [&dyn Fn(&mut Request); 2] = [
        &|request| request.turns[0].content.push(block(json!({"type": "image", "source": {"type": "url", "url": "https://a.test/a.png"}}))),
        &|request| request.params.tool_choice = Some(json!({"type": "none"})),
    ];
    for change in turns_only {
        let changed = digests(&with(change));
        assert_eq!(digests(&plain)[0], changed[0]);
        assert_ne!(digests(&plain)[1], changed[1]);
    }
    // How long an answer may be, and how it is drawn, is no part of a prompt.
    let drawn = with(&|request| {
        request.params.max_tokens = Some(7);
        request.params.metadata = Some(json!({"user_id": "u"}));
        request.params.stop_sequences = Some(vec!["END".to_owned()]);
    });
    assert_eq!(digests(&plain), digests(&drawn));
}

#[test]
fn what_an_author_marks_bounds_what_may_live_for_an_hour() {
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let mut request = request("one");
    request.params.tools = Some(vec![
        json!({"name": "a", "input_schema": {}, "cache_control": {"type": "ephemeral"}}),
        json!({"name": "b", "input_schema": {}}),
    ]);
    assert_eq!((path(&request).short, path(&request).long), (Some(Place::Tools), None), "not only the last tool counts");
    request.params.tools.as_mut().unwrap()[0]["cache_control"] = hour;
    request.turns[0].content.push(block(json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]})));
    assert_eq!((path(&request).short, path(&request).long), (Some(Place::Turn(0, 1)), Some(Place::Tools)));
    let mark = |place| Mark { digest: Digest(1), place, life: Life::FiveMinutes, added: true };
    let marks = [Place::System(0), Place::Turn(0, 1), Place::Turn(0, 2)].map(mark).to_vec();
    let planned = Marks::Planned(Arc::new(Prefix { marks, short: path(&request).short }));
    let lives: Vec<Life> = planned.lasting_an_hour().shared().iter().map(|mark| mark.life).collect();
    assert_eq!(lives, [Life::Hour, Life::FiveMinutes, Life::FiveMinutes], "in a batch too");
}

#[test]
fn nothing_is_planned_for_what_is_too_short_or_off() {
    let mut short = request("one");
    short.system = vec![Block::text("Be brief.")];
    let of = |request: &Request, wanted| Path::of(request, "anthropic", wanted, Catalog::embedded());
    assert_eq!(of(&short, PromptCache::Auto), None);
    assert_eq!(of(&request("one"), PromptCache::Off), None);
    assert_eq!(of(&request("one"), PromptCache::Explicit), None, "the author marked nothing");
    // The same text is too short for a model that keeps nothing below 4,096 tokens.
    let mut older = request("one");
    older.model = "claude-haiku-4-5".to_owned();
    assert_eq!(of(&older, PromptCache::Auto), None);
}

#[test]
fn what_cannot_be_marked_is_no_step() {
    let mut talk = request("one");
    talk.params.tools = Some(vec![json!({"name": "find", "input_schema": {}, "defer_loading": true})]);
    talk.turns[0].content.push(Block::text(" \n"));
    talk.turns.push(Turn {
        role: Role::Assistant,
        content: vec![block(json!({"type": "thinking", "thinking": "hm", "signature": "s"})), Block::text("Yes.")],
    });
    let places: Vec<Place> = path(&talk).steps.iter().map(|step| step.place).collect();
    assert_eq!(places, [Place::System(0), Place::Turn(0, 0), Place::Turn(1, 1)]);
}

#[test]
fn a_long_conversation_keeps_a_bounded_number_of_steps() {
    let mut talk = request("one");
    talk.turns = (0..1_000)
        .map(|turn| Turn { role: if turn % 2 == 0 { Role::User } else { Role::Assistant }, content: vec![Block::text("word")] })
        .collect();
    assert_eq!(path(&talk).steps.len(), FIRST_STEPS + LAST_STEPS);
}

#[test]
fn off_takes_every_mark_out_and_nothing_else() {
    let mut marked = request("one");
    let bare = marked.clone();
    assert!(matches!(without_marks(&bare), Cow::Borrowed(_)));
    marked.system[0].0.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
    marked.params.tools = Some(vec![
        json!({"name": "f", "input_schema": {"properties": {"cache_control": {"type": "object"}}}, "cache_control": {"type": "ephemeral"}}),
    ]);
    marked.turns[0].content.push(block(json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]})));
    let sent = serde_json::to_string(&*without_marks(&marked)).unwrap();
    assert_eq!(sent.matches("cache_control").count(), 1, "what a model reads stays: {sent}");
    assert!(sent.contains(r#"{"properties":{"cache_control":{"type":"object"}}}"#));
}

proptest! {
    #[test]
    fn marks_change_neither_key_nor_path(texts in prop::collection::vec("[a-z ]{0,12}", 1..6), marks in prop::collection::vec(any::<Option<bool>>(), 6)) {
        let mut request = request("one");
        request.turns[0].content = texts.iter().map(Block::text).collect();
        let mut marked = request.clone();
        for (block, mark) in marked.system.iter_mut().chain(&mut marked.turns[0].content).zip(&marks) {
            if let Some(long) = mark {
                let mark = if *long { json!({"type": "ephemeral", "ttl": "1h"}) } else { json!({"type": "ephemeral"}) };
                block.0.insert("cache_control".to_owned(), mark);
            }
        }
        let identity = EndpointIdentity { dialect: Dialect::Messages, identity: "https://a.test".to_owned(), api_version: "2026-10-21".to_owned(), beta: Vec::new() };
        prop_assert_eq!(key(&request, &identity, 0), key(&marked, &identity, 0));
        prop_assert_eq!(digests(&request), digests(&marked));
        let bare = without_marks(&marked);
        prop_assert_eq!(&*bare, &request);
    }
}
