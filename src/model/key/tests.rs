//! Do equal requests share a key, and only they?

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

fn identity() -> EndpointIdentity {
    EndpointIdentity {
        dialect: Dialect::Messages,
        identity: "https://api.anthropic.com".to_owned(),
        api_version: "2026-10-21".to_owned(),
        beta: Vec::new(),
    }
}

/// A request from its JSON, with the members that every request has.
fn request(turns: Value, params: Value) -> Request {
    let request =
        json!({"model": "claude-sonnet-4-6", "system": [{"type": "text", "text": "Be brief."}], "turns": turns, "params": params});
    serde_json::from_value(request).unwrap()
}

fn of(request: &Request) -> Key {
    key(request, &identity(), 0)
}

fn with_params(params: Value) -> Key {
    of(&request(json!([{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]), params))
}

fn with_block(block: Value) -> Key {
    of(&request(json!([{"role": "user", "content": [block]}]), json!({})))
}

#[test]
fn the_key_of_a_written_down_request_stays_what_it_is() {
    // A change of this value throws away everybody's stored answers: change FORM with it, and say so in the CHANGELOG.
    let request = request(
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Grüße"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1.0, "a": null}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]}
        ]),
        json!({
            "max_tokens": 512, "stop_sequences": ["\n\n"], "top_p": 0.9,
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}],
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}}
        }),
    );
    let identity = EndpointIdentity { beta: vec!["b".to_owned(), "a".to_owned()], ..identity() };
    assert_eq!(key(&request, &identity, 3).to_string(), "e8ef7bddd136c980dc9133626db80e3af5cf25a761fa18f35e781b96d18ab936");
}

#[test]
fn a_key_reads_back_from_its_digits_and_from_nothing_else() {
    let key = with_params(json!({}));
    assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
    assert_eq!(serde_json::from_value::<Key>(serde_json::to_value(key).unwrap()).unwrap(), key);
    assert_eq!(Key::from_bytes(*key.as_bytes()), key);
    for text in ["", "12", &"g".repeat(64), &"A".repeat(64), &"0".repeat(65), &"é".repeat(32)] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
}

#[test]
fn a_default_that_is_spelled_out_is_the_same_as_none() {
    for (spelled_out, without) in [
        (json!({"service_tier": "auto"}), json!({})),
        (json!({"speed": "standard"}), json!({})),
        (json!({"stop_sequences": []}), json!({})),
        (json!({"temperature": 1.0}), json!({})),
        (json!({"tools": []}), json!({})),
        (json!({"output_config": {}}), json!({})),
        (json!({"output_config": {"effort": null, "format": null}}), json!({})),
        (json!({"output_config": {"effort": "low", "format": null}}), json!({"output_config": {"effort": "low"}})),
        (json!({"tools": [{"name": "f"}], "tool_choice": {"type": "auto"}}), json!({"tools": [{"name": "f"}]})),
        (
            json!({"tools": [{"name": "f"}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": false}}),
            json!({"tools": [{"name": "f"}]}),
        ),
        (json!({"tools": [{"name": "f", "type": "custom", "strict": false}]}), json!({"tools": [{"name": "f"}]})),
        (json!({"metadata": {"user_id": "u"}}), json!({})),
        (json!({"tools": [{"name": "f", "cache_control": {"type": "ephemeral"}}]}), json!({"tools": [{"name": "f"}]})),
        (json!({"max_tokens": 5, "temperature": 1e0, "top_p": 0.5, "top_k": 40.0}), json!({"top_k": 40, "top_p": 5e-1, "max_tokens": 5})),
    ] {
        assert_eq!(with_params(spelled_out.clone()), with_params(without), "{spelled_out}");
    }
    for (spelled_out, without) in [
        (json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}), json!({"text": "a", "type": "text"})),
        (json!({"type": "text", "text": "a", "citations": []}), json!({"type": "text", "text": "a"})),
        (json!({"type": "text", "text": "a", "citations": null}), json!({"type": "text", "text": "a"})),
        (
            json!({"type": "tool_result", "tool_use_id": "t", "content": "a", "is_error": false}),
            json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}]}),
        ),
        (
            json!({"type": "document", "source": {"type": "content", "content": "a"}, "citations": {"enabled": false}}),
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a", "cache_control": null}]}}),
        ),
    ] {
        assert_eq!(with_block(spelled_out.clone()), with_block(without), "{spelled_out}");
    }
}

#[test]
fn what_the_model_sees_differently_has_another_key() {
    let tool = |schema: &str| json!({"tools": [{"name": "f", "input_schema": serde_json::from_str::<Value>(schema).unwrap()}]});
    let format = |schema: &str| json!({"output_config": {"format": {"type": "json_schema", "schema": serde_json::from_str::<Value>(schema).unwrap()}}});
    let different = [
        json!({}),
        json!({"max_tokens": 1}),
        json!({"max_tokens": 2}),
        json!({"stop_sequences": ["a"]}),
        json!({"stop_sequences": ["a", "b"]}),
        json!({"stop_sequences": ["ab"]}),
        json!({"temperature": 0}),
        json!({"temperature": 0.1}),
        json!({"top_p": 1}),
        json!({"top_k": 1}),
        json!({"thinking": {"type": "disabled"}}),
        json!({"thinking": {"type": "adaptive"}}),
        json!({"output_config": {"effort": "low"}}),
        json!({"output_config": {"effort": "high"}}),
        json!({"inference_geo": "global"}),
        json!({"service_tier": "standard_only"}),
        json!({"speed": "fast"}),
        json!({"tool_choice": {"type": "none"}}),
        json!({"tools": [{"name": "f", "strict": true}]}),
        tool(r#"{"a": 1, "b": 2}"#),
        tool(r#"{"b": 2, "a": 1}"#),
        tool(r#"{"a": 1.0, "b": 2}"#),
        tool(r#"{"a": 1, "b": 2, "cache_control": {}}"#),
        format(r#"{"properties": {"a": {}, "b": {}}}"#),
        format(r#"{"properties": {"b": {}, "a": {}}}"#),
    ];
    let keys: BTreeSet<Key> = different.iter().cloned().map(with_params).collect();
    assert_eq!(keys.len(), different.len());

    let blocks = [
        json!({"type": "text", "text": "a"}),
        json!({"type": "text", "text": "a "}),
        json!({"type": "text", "text": ["a"]}),
        json!({"type": "text", "text": {"a": null}}),
        json!({"type": "image", "source": {"type": "base64", "data": "AAAA"}}),
        json!({"type": "image", "source": {"type": "base64", "data": "AAAB"}}),
        json!({"type": "image", "source": {"type": "url", "data": "AAAA"}}),
        json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1, "b": 2}}),
        json!({"type": "tool_use", "id": "t", "name": "f", "input": {"b": 2, "a": 1}}),
        json!({"type": "tool_use", "id": "t", "name": "f", "input": {"b": 2.0, "a": 1}}),
        json!({"type": "tool_result", "tool_use_id": "t", "is_error": true}),
        json!({"type": "tool_result", "tool_use_id": "t"}),
        json!({"type": "tool_result", "tool_use_id": "t", "content": ""}),
        json!({"type": "unheard-of", "is_error": false}),
        json!({"type": "unheard-of"}),
    ];
    let keys: BTreeSet<Key> = blocks.iter().cloned().map(with_block).collect();
    assert_eq!(keys.len(), blocks.len());
}

#[test]
fn who_answers_and_which_sample_are_in_the_key() {
    let request = request(json!([]), json!({}));
    let beta = |beta: &[&str]| EndpointIdentity { beta: beta.iter().map(|&header| header.to_owned()).collect(), ..identity() };
    let others = [
        EndpointIdentity { dialect: Dialect::Simulated, ..identity() },
        EndpointIdentity { identity: "https://example.com".to_owned(), ..identity() },
        EndpointIdentity { api_version: "2023-06-01".to_owned(), ..identity() },
        beta(&["a"]),
        beta(&["a", "b"]),
        beta(&["a,b"]),
    ];
    let mut keys: BTreeSet<Key> = others.iter().map(|identity| key(&request, identity, 0)).collect();
    keys.extend([key(&request, &identity(), 0), key(&request, &identity(), 1), key(&request, &identity(), 256)]);
    assert_eq!(keys.len(), others.len() + 3);
    assert_eq!(key(&request, &beta(&["b", "a", "b"]), 0), key(&request, &beta(&["a", "b"]), 0));
}

#[test]
fn every_parameter_is_in_the_key_or_out_of_it_by_decision() {
    // (parameter, a value that differs from none, whether an answer depends on it). A parameter that is missing here fails below.
    let decided = [
        ("max_tokens", json!(1), true),
        ("stop_sequences", json!(["a"]), true),
        ("temperature", json!(0.5), true),
        ("top_p", json!(0.5), true),
        ("top_k", json!(5), true),
        ("tools", json!([{"name": "f"}]), true),
        ("tool_choice", json!({"type": "none"}), true),
        ("thinking", json!({"type": "adaptive"}), true),
        ("output_config", json!({"effort": "low"}), true),
        ("metadata", json!({"user_id": "u"}), false),
        ("inference_geo", json!("us"), true),
        ("service_tier", json!("standard_only"), true),
        ("speed", json!("fast"), true),
    ];
    let schema = serde_json::to_value(schemars::schema_for!(Params)).unwrap();
    let known: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(decided.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>(), known);
    let none = with_params(json!({}));
    for (name, value, is_in) in decided {
        assert_eq!(with_params(json!({ name: value })) != none, is_in, "{name}");
    }
    // The rest of a request and of an identity: `request` and `identity` name every field, without `..`.
    let whole = serde_json::to_value(request(json!([]), json!({}))).unwrap();
    assert_eq!(whole.as_object().unwrap().keys().collect::<Vec<_>>(), ["model", "system", "turns", "params"]);
    assert_eq!(serde_json::to_value(identity()).unwrap().as_object().unwrap().len(), 4);
}

#[test]
fn a_text_cannot_imitate_a_structure() {
    let turns = |turns: Value| of(&request(turns, json!({})));
    let text = |text: &str| json!({"type": "text", "text": text});
    let mut imitation = Form(Vec::new());
    imitation.text("user");
    let hostile = String::from_utf8(imitation.0).unwrap();
    let forms = [
        turns(json!([{"role": "user", "content": [text("a"), text("b")]}])),
        turns(json!([{"role": "user", "content": [text("ab")]}])),
        turns(json!([{"role": "user", "content": [text("a")]}, {"role": "user", "content": [text("b")]}])),
        turns(json!([{"role": "user", "content": [text("a")]}, {"role": "assistant", "content": [text("b")]}])),
        turns(json!([{"role": "user", "content": [text(&hostile)]}])),
        turns(json!([{"role": "user", "content": [text(r#""},{"type":"text","text":""#)]}])),
        turns(json!([{"role": "user", "content": [text("\u{0}")]}])),
        turns(json!([{"role": "user", "content": [text("\u{0}\u{0}")]}])),
        turns(json!([{"role": "user", "content": []}])),
        turns(json!([])),
    ];
    assert_eq!(forms.iter().collect::<BTreeSet<_>>().len(), forms.len());
    // Without the length of a text, `"` in it would move the border to its neighbour.
    let asked_at = |identity: &str, version: &str| EndpointIdentity {
        identity: identity.to_owned(),
        api_version: version.to_owned(),
        ..self::identity()
    };
    let request = request(json!([]), json!({}));
    assert_ne!(key(&request, &asked_at("u\"v", "w"), 0), key(&request, &asked_at("u", "v\"w"), 0));
    let stops = |one: &str, other: &str| with_params(json!({"stop_sequences": [one, other]}));
    assert_ne!(stops("a\"b", "c"), stops("a", "b\"c"));
}

/// JSON as an author could write it, deep enough for a tool in a block.
fn some_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        "[a-c\"{},\\\\]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let names = prop_oneof![Just("type"), Just("text"), Just("input"), Just("content"), Just("x"), Just("y"), Just("data")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

/// The same value with the members of every object in the opposite order.
fn turned(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(object.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(turned).collect()),
        other => other.clone(),
    }
}

/// What two blocks must agree in to have one key, spelled out in another way than `Form` does: with sorted objects, as text.
fn sorted_text(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().map(|(name, value)| format!("{name:?}:{}", sorted_text(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted_text).collect::<Vec<_>>().join(",")),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| number.to_string().trim_end_matches(".0").to_owned(), |whole| whole.to_string())
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn the_order_of_api_members_does_not_matter(value in some_json()) {
        let block = json!({"type": "unheard-of", "a": value, "b": 1});
        prop_assert_eq!(with_block(turned(&block)), with_block(block));
    }

    #[test]
    fn the_order_of_what_the_model_reads_does_matter(value in some_json()) {
        let block = |input: Value| json!({"type": "tool_use", "input": input});
        let is_same = serde_json::to_string(&value).unwrap() == serde_json::to_string(&turned(&value)).unwrap();
        prop_assert_eq!(with_block(block(turned(&value))) == with_block(block(value)), is_same);
    }

    #[test]
    fn two_blocks_have_one_key_only_if_they_say_the_same(one in some_json(), other in some_json()) {
        let block = |value: &Value| json!({"type": "unheard-of", "a": value});
        // A string in place of blocks, only inside `tool_result` and `content`, which these names never spell.
        let says_the_same = sorted_text(&one) == sorted_text(&other);
        prop_assert_eq!(with_block(block(&one)) == with_block(block(&other)), says_the_same);
    }

    #[test]
    fn one_changed_character_changes_the_key(text in "\\PC{1,40}", position: prop::sample::Index, new: char) {
        let mut characters: Vec<char> = text.chars().collect();
        let at = position.index(characters.len());
        let is_same = characters[at] == new;
        characters[at] = new;
        let changed: String = characters.into_iter().collect();
        let block = |text: &str| json!({"type": "text", "text": text});
        prop_assert_eq!(with_block(block(&text)) == with_block(block(&changed)), is_same);
    }

    #[test]
    fn numbers_are_the_same_by_value(whole in -1_000_000_i64..1_000_000, zeros in 1..6_usize) {
        let params = |text: &str| with_params(json!({"top_k": serde_json::from_str::<Value>(text).unwrap()}));
        let plain = params(&whole.to_string());
        prop_assert_eq!(params(&format!("{whole}.{}", "0".repeat(zeros))), plain);
        prop_assert_eq!(params(&format!("{whole}e0")), plain);
        prop_assert_ne!(params(&format!("{whole}.5")), plain);
        prop_assert_ne!(params(&(whole + 1).to_string()), plain);
    }
}
