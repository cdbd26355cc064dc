//! Does every leaf of a whole request, and every order that the model sees, have its part in the key; and no order of the API's own members?

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

/// A request that has everything: every parameter, the usual kinds of block, and objects that the model reads as they stand.
fn whole() -> Value {
    json!({
        "model": "claude-sonnet-4-6",
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
        "turns": [
            {"role": "user", "content": [
                {"type": "text", "text": "Read."},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                {"type": "document", "title": "Terms", "context": "c", "citations": {"enabled": true},
                 "source": {"type": "content", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}}
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1.0, "a": [null, true, {"d": 1, "c": 2}]}}
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [{"type": "text", "text": "ok"}, {"type": "text", "text": "so"}]}
            ]}
        ],
        "params": {
            "max_tokens": 512, "stop_sequences": ["\n\n", "END"], "temperature": 0.5, "top_p": 0.9, "top_k": 5,
            "tools": [
                {"name": "f", "description": "d", "strict": true, "input_examples": [{"y": 1, "x": 2}, {"x": 3}],
                 "input_schema": {"type": "object", "properties": {"b": {"enum": ["p", "q"]}, "a": {}}, "required": ["b", "a"]}},
                {"type": "bash_20250124", "name": "bash"}
            ],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object", "properties": {"z": {}, "y": {}}}}},
            "inference_geo": "us", "service_tier": "standard_only", "speed": "fast"
        }
    })
}

fn key_of(request: &Value) -> Option<Key> {
    let identity =
        EndpointIdentity { dialect: Dialect::Messages, identity: "i".to_owned(), api_version: "2026-10-21".to_owned(), beta: Vec::new() };
    Some(key(&serde_json::from_value(request.clone()).ok()?, &identity, 0))
}

/// The pointers of a value and of everything in it.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{at}/{index}"), into)),
        Value::Object(members) => members.iter().for_each(|(name, item)| pointers(item, &format!("{at}/{name}"), into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The request with one place changed; `None` where there is nothing of that kind, or what comes of it is no request.
fn changed(pointer: &str, change: impl Fn(&mut Value) -> bool) -> Option<Value> {
    let mut request = whole();
    let is_changed = change(request.pointer_mut(pointer).unwrap());
    (is_changed && key_of(&request).is_some()).then_some(request)
}

fn all_pointers() -> Vec<String> {
    let mut all = Vec::new();
    pointers(&whole(), "", &mut all);
    all
}

#[test]
fn every_leaf_that_changes_changes_the_key_in_its_own_way() {
    let other = |value: &mut Value| {
        *value = match value {
            Value::Null => Value::from(0),
            Value::Bool(flag) => Value::from(!*flag),
            Value::Number(number) => number.as_u64().map_or_else(|| Value::from(0.25), |number| Value::from(number + 1)),
            Value::String(text) if text == "user" => Value::from("assistant"),
            Value::String(text) if text == "assistant" => Value::from("user"),
            Value::String(text) => Value::from(format!("{text} ")),
            Value::Array(_) | Value::Object(_) => return false,
        };
        true
    };
    let requests: Vec<Value> = all_pointers().iter().filter_map(|pointer| changed(pointer, other)).collect();
    assert!(requests.len() > 60, "{}", requests.len());
    let keys: BTreeSet<Key> = requests.iter().chain([&whole()]).filter_map(key_of).collect();
    assert_eq!(keys.len(), requests.len() + 1);
}

#[test]
fn every_member_and_item_that_is_left_out_changes_the_key() {
    let original = key_of(&whole());
    let mut tried = 0;
    for pointer in all_pointers() {
        let Some((parent, name)) = pointer.rsplit_once('/') else { continue };
        let without = changed(parent, |value| match value {
            Value::Array(items) => {
                items.remove(name.parse().unwrap());
                true
            }
            Value::Object(members) => members.shift_remove(name).is_some(),
            _ => false,
        });
        let Some(without) = without else { continue };
        tried += 1;
        assert_ne!(key_of(&without), original, "{pointer}");
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn every_list_is_kept_in_its_order() {
    let lists: Vec<Value> = all_pointers()
        .iter()
        .filter_map(|pointer| {
            changed(pointer, |value| {
                let Value::Array(items) = value else { return false };
                items.reverse();
                items.len() > 1
            })
        })
        .collect();
    assert!(lists.len() >= 12, "{}", lists.len());
    let keys: BTreeSet<Key> = lists.iter().chain([&whole()]).filter_map(key_of).collect();
    assert_eq!(keys.len(), lists.len() + 1);
}

/// The objects whose members the model reads in the order in which they are sent.
fn is_read_by_the_model(pointer: &str) -> bool {
    ["/input", "/input_schema", "/input_examples", "/format/schema"]
        .iter()
        .any(|part| pointer.ends_with(part) || pointer.contains(&format!("{part}/")))
}

#[test]
fn the_order_of_members_counts_where_the_model_reads_it_and_nowhere_else() {
    let original = key_of(&whole());
    let (mut read, mut free) = (0, 0);
    for pointer in all_pointers() {
        let turned = changed(&pointer, |value| {
            let Value::Object(members) = value else { return false };
            *members = std::mem::take(members).into_iter().rev().collect();
            members.len() > 1
        });
        let Some(turned) = turned else { continue };
        let is_read = is_read_by_the_model(&pointer);
        *(if is_read { &mut read } else { &mut free }) += 1;
        assert_eq!(key_of(&turned) != original, is_read, "{pointer}");
    }
    assert!(read >= 6 && free >= 15, "{read} {free}");
}

/// The same value with the members of every object that the model does not read in an order that `dice` chooses.
fn shuffled(value: &Value, at: &str, dice: &mut impl FnMut(usize) -> usize) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| (name.clone(), shuffled(value, &format!("{at}/{name}"), dice))).collect();
            if !is_read_by_the_model(at) {
                for end in (1..members.len()).rev() {
                    members.swap(end, dice(end + 1));
                }
            }
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => {
            Value::Array(items.iter().enumerate().map(|(index, item)| shuffled(item, &format!("{at}/{index}"), dice)).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn no_order_of_the_apis_own_members_changes_the_key(rolls in prop::collection::vec(any::<usize>(), 200)) {
        let mut rolls = rolls.iter().cycle();
        let request = shuffled(&whole(), "", &mut |below| rolls.next().map_or(0, |roll| roll % below));
        prop_assert_eq!(key_of(&request), key_of(&whole()));
    }
}
