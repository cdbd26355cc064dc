//! Is everything found that is documented to be rejected, and nothing else?

use serde_json::json;

use super::*;

const NEW: &str = "2026-10-21";
const OLD: &str = "2023-06-01";

fn found(model: &str, version: &str, beta: &[&str], params: &Value, prefill: bool) -> Vec<Rejection> {
    let params: Params = serde_json::from_value(params.clone()).unwrap();
    let beta: Vec<String> = beta.iter().map(|&header| header.to_owned()).collect();
    rejected(Catalog::embedded(), model, version, &beta, &params, prefill)
}

fn parameters(model: &str, version: &str, params: Value) -> Vec<String> {
    found(model, version, &[], &params, false).into_iter().map(|rejection| rejection.parameter).collect()
}

fn schema(schema: Value) -> Value {
    json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}})
}

/// One line a request, then what is said about it.
fn told(model: &str, version: &str, beta: &[&str], params: &Value, prefill: bool) -> String {
    let mut text = format!("{model} {version} {params}{}\n", if prefill { " + prefill" } else { "" });
    let found = found(model, version, beta, params, prefill);
    if found.is_empty() {
        text.push_str("  (nothing)\n");
    }
    for Rejection { parameter, message, hint } in found {
        text.push_str(&format!("  {parameter}: {message}\n    hint: {}\n", hint.unwrap_or_default()));
    }
    text
}

#[test]
fn every_rejection_says_what_is_wrong_and_what_to_do() {
    let tool = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let table = [
        // Sampling, sections 0.1 and 7.3.
        ("claude-haiku-4-5", NEW, json!({"temperature": 0})),
        ("claude-opus-5-5", NEW, json!({"temperature": 1, "top_p": 0.9, "top_k": 4})),
        ("some-model", NEW, json!({"top_k": 4})),
        ("claude-haiku-4-5", OLD, json!({"temperature": 0, "top_p": 0.5})),
        ("claude-haiku-5-5", OLD, json!({"temperature": 0.5})),
        ("claude-haiku-5-5", OLD, json!({"temperature": 1, "top_p": 0.99})),
        ("claude-opus-4-7", OLD, json!({"top_p": 0.5, "top_k": 1})),
        ("some-model", OLD, json!({"temperature": 1.5})),
        ("some-model", OLD, json!({"top_k": -1})),
        // Thinking, sections 1.5 and 7.2.
        ("claude-sonnet-4-6", NEW, json!({"thinking": {"budget_tokens": 2048}})),
        ("claude-opus-5-5", NEW, json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        ("claude-opus-5-5", NEW, json!({"thinking": {"type": "disabled"}})),
        ("claude-haiku-4-5", NEW, json!({"thinking": {"type": "adaptive"}})),
        ("claude-haiku-5-5", NEW, json!({"thinking": {"type": "between_tools"}})),
        ("claude-haiku-5-5", NEW, json!({"thinking": {"type": "dreaming"}})),
        ("claude-haiku-4-5", NEW, json!({"max_tokens": 4096, "thinking": {"type": "enabled"}})),
        ("claude-haiku-4-5", NEW, json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1023}})),
        ("claude-haiku-4-5", NEW, json!({"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 2048}})),
        ("claude-opus-4-8", NEW, json!({"thinking": {"type": "adaptive", "budget_tokens": 2048, "display": "all"}})),
        ("claude-opus-5", NEW, json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}})),
        ("claude-sonnet-5-5", NEW, json!({"thinking": {"type": "between_tools"}, "output_config": {"effort": "max"}})),
        ("claude-opus-4-8", NEW, json!({"thinking": {"type": "disabled", "display": "omitted"}})),
        // Effort and format, section 1.6.
        ("claude-haiku-4-5", NEW, json!({"output_config": {"effort": "low"}})),
        ("claude-opus-4-5", NEW, json!({"output_config": {"effort": "max"}})),
        ("claude-opus-4-6", NEW, json!({"output_config": {"effort": "xhigh"}})),
        ("some-model", NEW, json!({"output_config": {"effort": "most"}})),
        ("some-model", NEW, json!({"output_config": {"task_budget": {"type": "tokens", "total": 5}}})),
        ("some-model", NEW, json!({"output_config": "high"})),
        ("some-model", NEW, json!({"output_config": {"format": "json"}})),
        ("some-model", NEW, json!({"output_config": {"format": {"type": "json_object"}}})),
        ("some-model", NEW, json!({"output_config": {"format": {"type": "json_schema"}}})),
        ("some-model", NEW, json!({"output_config": {"format": {"type": "json_schema", "strict": true, "schema": {}}}})),
        ("some-model", NEW, schema(json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}))),
        (
            "some-model",
            NEW,
            schema(
                json!({"type": "array", "minItems": 2, "items": {"anyOf": [{"format": "regex"}, {"enum": [[1]]}, {"$ref": "https://example.com/s"}]}}),
            ),
        ),
        (
            "some-model",
            NEW,
            schema(
                json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "additionalProperties": false, "properties": {"next": {"$ref": "#/$defs/node"}}}}}),
            ),
        ),
        // Tools, section 1.4.
        ("some-model", NEW, json!({"tools": [{"name": "f"}, {"input_schema": {"type": "object"}}]})),
        ("some-model", NEW, json!({"tools": [tool[0], tool[0]]})),
        ("some-model", NEW, json!({"tools": [{"name": "look up", "input_schema": {"type": "object"}}]})),
        ("some-model", NEW, json!({"tools": tool, "tool_choice": "any"})),
        ("some-model", NEW, json!({"tools": tool, "tool_choice": {"type": "tool"}})),
        ("some-model", NEW, json!({"tools": tool, "tool_choice": {"type": "tool", "name": "g"}})),
        ("some-model", NEW, json!({"tool_choice": {"type": "any"}})),
        ("claude-opus-5-5", NEW, json!({"tools": tool, "tool_choice": {"type": "any"}})),
        ("claude-sonnet-5-5", NEW, json!({"tools": tool, "tool_choice": {"type": "tool", "name": "f"}})),
        (
            "claude-sonnet-4-6",
            NEW,
            json!({"max_tokens": 4096, "tools": tool, "tool_choice": {"type": "any"}, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ),
        // The rest of section 1.1, and 6.5.
        ("some-model", NEW, json!({"stop_sequences": ["END", " \n"]})),
        ("claude-haiku-4-5", NEW, json!({"max_tokens": 64_001})),
        ("claude-sonnet-4-6", NEW, json!({"max_tokens": 0, "tools": tool, "tool_choice": {"type": "any"}})),
        (
            "claude-sonnet-4-6",
            NEW,
            json!({"max_tokens": 0, "output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}}}),
        ),
        ("some-model", NEW, json!({"metadata": {"user": "me"}})),
        ("claude-haiku-4-5", NEW, json!({"inference_geo": "us"})),
        ("some-model", NEW, json!({"inference_geo": "eu"})),
        ("some-model", NEW, json!({"service_tier": "batch"})),
        ("some-model", NEW, json!({"speed": "slow"})),
        ("claude-sonnet-4-6", NEW, json!({"speed": "fast"})),
        ("claude-opus-5", NEW, json!({"speed": "fast"})),
    ];
    let mut text: String = table.iter().map(|(model, version, params)| told(model, version, &[], params, false)).collect();
    // Prefill, section 1.3.
    text += &told("claude-sonnet-4-6", NEW, &[], &json!({}), true);
    let thinking = json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}});
    text += &told("claude-haiku-4-5", NEW, &[], &thinking, true);
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_documented_to_be_accepted_is_not_rejected() {
    let tool = json!([{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}]);
    for (model, version, beta, params, prefill) in [
        ("claude-haiku-4-5", OLD, &[][..], json!({"temperature": 0, "top_k": 5}), true),
        ("claude-sonnet-4-6", OLD, &[], json!({"temperature": 0.2, "top_p": 0.5}), false),
        ("claude-opus-4-7", OLD, &[], json!({"temperature": 1.0}), false),
        ("some-model", OLD, &[], json!({"temperature": 0, "top_p": 0.5, "top_k": 5}), true),
        ("some-model", "", &[], json!({"temperature": 0}), true),
        (
            "claude-opus-5-5",
            NEW,
            &[],
            json!({"max_tokens": 128_000, "thinking": {"type": "adaptive", "display": "omitted"}, "speed": "fast"}),
            false,
        ),
        ("claude-opus-5", NEW, &["fast-mode-2026-02-01"], json!({"speed": "fast"}), false),
        ("claude-opus-5", NEW, &[], json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}), false),
        ("claude-sonnet-5", NEW, &[], json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}), false),
        ("claude-sonnet-5-5", NEW, &[], json!({"thinking": {"type": "between_tools"}, "output_config": {"effort": null}}), false),
        ("claude-haiku-5-5", NEW, &[], json!({"tools": tool, "tool_choice": {"type": "any", "disable_parallel_tool_use": true}}), false),
        ("claude-haiku-4-5", NEW, &[], json!({"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 63_999}}), false),
        (
            "claude-haiku-4-5",
            NEW,
            &["interleaved-thinking-2025-05-14"],
            json!({"max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 4096}}),
            false,
        ),
        ("claude-opus-5-5", NEW, &["output-300k-2026-03-24"], json!({"max_tokens": 300_000}), false),
        ("claude-sonnet-4-6", NEW, &["task-budgets"], json!({"output_config": {"task_budget": {"type": "tokens", "total": 5}}}), false),
        ("claude-opus-4-7", NEW, &[], json!({"max_tokens": 0, "inference_geo": "us", "service_tier": "standard_only"}), false),
        ("some-model", NEW, &[], json!({"max_tokens": 10_000_000, "thinking": {"type": "dreaming"}, "metadata": {"user_id": null}}), true),
    ] {
        assert_eq!(found(model, version, beta, &params, prefill), [], "{model} {version} {params}");
    }
    let property_called_minimum = json!({"type": "object", "additionalProperties": false, "properties": {
        "minimum": {"type": "string", "format": "date"}, "$ref": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}},
        "again": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"enum": [1, "b", null]}}});
    assert_eq!(found("claude-sonnet-4-6", NEW, &[], &schema(property_called_minimum), false), []);
}

#[test]
fn the_matrix_of_models_and_thinking_is_the_documented_one() {
    // Wire reference, section 7.2, written down again: adaptive, enabled, disabled, between_tools; forced tool; prefill.
    for (model, adaptive, enabled, disabled, between_tools, forced, prefill) in [
        ("claude-fable-5-2", true, false, false, false, false, false),
        ("claude-mythos-5-1", true, false, false, false, false, false),
        ("claude-fable-5", true, false, false, false, true, false),
        ("claude-opus-5-5", true, false, false, false, false, false),
        ("claude-opus-5", true, false, true, false, true, false),
        ("claude-opus-4-8", true, false, true, false, true, false),
        ("claude-opus-4-7", true, false, true, false, true, false),
        ("claude-sonnet-5-5", true, false, false, true, false, false),
        ("claude-sonnet-5", true, false, true, false, true, false),
        ("claude-haiku-5-5", true, false, true, false, true, false),
        ("claude-opus-4-6", true, true, true, false, true, false),
        ("claude-sonnet-4-6", true, true, true, false, true, false),
        ("claude-opus-4-5", false, true, true, false, true, true),
        ("claude-sonnet-4-5", false, true, true, false, true, true),
        ("claude-haiku-4-5", false, true, true, false, true, true),
    ] {
        for (kind, is_accepted) in [("adaptive", adaptive), ("disabled", disabled), ("between_tools", between_tools)] {
            assert_eq!(parameters(model, NEW, json!({"thinking": {"type": kind}})).is_empty(), is_accepted, "{model} {kind}");
        }
        let budget = json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}});
        assert_eq!(parameters(model, NEW, budget).is_empty(), enabled, "{model} enabled");
        let tools = json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "any"}});
        assert_eq!(parameters(model, NEW, tools).is_empty(), forced, "{model} forced");
        assert_eq!(found(model, NEW, &[], &json!({}), true).is_empty(), prefill, "{model} prefill");
    }
}

#[test]
fn the_new_version_is_stricter_about_what_stands_in_turns() {
    let turns = |value: Value| -> Vec<Turn> { serde_json::from_value(value).unwrap() };
    let document =
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}, "citations": {"enabled": true}});
    let cited = json!({"type": "text", "text": "a", "citations": [{"type": "char_location"}]});
    for (value, rejected_at) in [
        (json!([{"role": "user", "content": [document]}]), None),
        (json!([{"role": "user", "content": []}, {"role": "assistant", "content": [document]}]), Some("messages[1]")),
        (json!([{"role": "user", "content": [{"type": "tool_result", "content": [document]}]}]), None),
        (json!([{"role": "user", "content": [cited]}]), Some("messages[0]")),
        (json!([{"role": "user", "content": [{"type": "search_result", "content": [cited]}]}]), Some("messages[0]")),
        (json!([{"role": "assistant", "content": [cited]}]), None),
        (json!([{"role": "user", "content": [{"type": "text", "text": "a", "citations": []}]}]), None),
    ] {
        let found = rejected_turns(NEW, &turns(value.clone()));
        assert_eq!(found.first().map(|rejection| rejection.parameter.as_str()), rejected_at, "{value}");
        assert_eq!(rejected_turns(OLD, &turns(value)), []);
    }
}

#[test]
fn a_schema_that_branches_without_end_is_checked_in_bounded_time() {
    // Each definition refers twice to the next: followed naively, 2 to the 60th steps.
    let mut definitions = Map::new();
    for level in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
    }
    definitions.insert("d60".to_owned(), json!({"minLength": 1}));
    let found = found("some-model", NEW, &[], &schema(json!({"$ref": "#/$defs/d0", "$defs": definitions})), false);
    assert!(found.iter().any(|rejection| rejection.message.contains("minLength")), "{found:?}");
}
