//! Requests that the real API refuses, and those that it takes.

use serde_json::{Value, json};

use super::{HEADERS, asking, post, send, start};

const SCRIPT: &str = "otherwise: {text: fine}";

fn with(changes: Value) -> Value {
    let mut body = asking("x");
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn model(id: &str, changes: Value) -> Value {
    let mut body = with(changes);
    body["model"] = id.into();
    body
}

/// Sends every body and writes down what each is answered.
async fn told(version: &str, bodies: &[Value]) -> String {
    let simulator = start(SCRIPT).await;
    let mut lines = Vec::new();
    for body in bodies {
        let headers = [("authorization", "Bearer sk-ant-test"), ("anthropic-version", version)];
        let answered = send(&simulator, "POST", "/v1/messages", &headers, body.to_string().as_bytes()).await.unwrap();
        let error = answered.json();
        if answered.status == 200 {
            lines.push("200".to_owned());
            continue;
        }
        assert_eq!(error["type"], "error");
        assert_eq!(error["request_id"].as_str(), answered.header("request-id"));
        lines.push(format!(
            "{} {}: {}",
            answered.status,
            error["error"]["type"].as_str().unwrap(),
            error["error"]["message"].as_str().unwrap()
        ));
    }
    lines.join("\n")
}

#[tokio::test]
async fn authentication_and_version_are_required() {
    let simulator = start(SCRIPT).await;
    let body = asking("x").to_string();
    let mut seen = Vec::new();
    for headers in [
        &[("x-api-key", "k"), ("anthropic-version", "2026-10-21")][..],
        &[("authorization", "Bearer k"), ("anthropic-version", "2023-06-01")],
        &[("anthropic-version", "2026-10-21")],
        &[("authorization", "Bearer "), ("anthropic-version", "2026-10-21")],
        &[("authorization", "Basic abc"), ("anthropic-version", "2026-10-21")],
        &[("x-api-key", " "), ("anthropic-version", "2026-10-21")],
        &[("x-api-key", "k")],
        &[("x-api-key", "k"), ("anthropic-version", "2027-01-01")],
        &[("x-api-key", "k"), ("anthropic-version", "2026-10-21"), ("content-encoding", "gzip")],
    ] {
        let answered = send(&simulator, "POST", "/v1/messages", headers, body.as_bytes()).await.unwrap();
        assert!(answered.header("request-id").is_some());
        seen.push(format!("{} {}", answered.status, if answered.status == 200 { String::new() } else { answered.message() }));
    }
    insta::assert_snapshot!(seen.join("\n"));
}

#[tokio::test]
async fn fields_are_checked_as_the_api_checks_them() {
    let user = json!([{"role": "user", "content": "x"}]);
    let bodies = [
        json!([]),
        json!({"max_tokens": 1, "messages": user}),
        json!({"model": 3, "max_tokens": 1, "messages": user}),
        json!({"model": "claude-haiku-4-5", "messages": user}),
        json!({"model": "claude-haiku-4-5", "max_tokens": 1}),
        model("claude-3-opus-20240229", json!({})),
        with(json!({"max_tokens": "5"})),
        with(json!({"max_tokens": -1})),
        with(json!({"max_tokens": 1.5})),
        with(json!({"max_tokens": 64_001})),
        with(json!({"messages": []})),
        with(json!({"messages": "x"})),
        with(json!({"messages": [{"role": "robot", "content": "x"}]})),
        with(json!({"messages": [{"content": "x"}]})),
        with(json!({"messages": [{"role": "user"}]})),
        with(json!({"messages": [{"role": "user", "content": ""}]})),
        with(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]})),
        with(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]})),
        with(json!({"messages": [{"role": "user", "content": [{"type": "text", "txt": "a"}]}]})),
        with(json!({"messages": [{"role": "user", "content": [{"type": "poem"}]}]})),
        with(json!({"messages": [{"role": "user", "content": 5}]})),
        with(json!({"messages": [{"role": "user", "content": "x", "name": "me"}]})),
        with(json!({"messages": [{"role": "assistant", "content": "x"}]})),
        with(json!({"system": 5})),
        with(json!({"system": [{"type": "image"}]})),
        with(json!({"stream": "yes"})),
        with(json!({"stop_sequences": [" "]})),
        with(json!({"metadata": {"user": "x"}})),
        with(json!({"metadata": {"user_id": "x".repeat(257)}})),
        with(json!({"service_tier": "gold"})),
        with(json!({"cache_control": {"type": "ephemeral", "ttl": "2h"}})),
        with(json!({"top_logprobs": 3})),
        with(json!({"context_management": {}})),
        with(json!({"inference_geo": "us"})),
        with(json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]})),
        with(json!({"tools": [{"name": "a", "input_schema": {"type": "array"}}]})),
        with(json!({"tool_choice": {"type": "tool", "name": "a"}})),
        with(json!({"output_config": {"format": {"type": "json_object"}}})),
        with(json!({"output_config": {"effort": "low"}})),
        with(
            json!({"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}], "stop_sequences": ["a"], "metadata": {"user_id": null}, "service_tier": "auto"}),
        ),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies).await);
}

#[tokio::test]
async fn sampling_parameters_are_gone_in_the_new_version_and_limited_in_the_old() {
    let bodies = [
        with(json!({"temperature": 1.0})),
        with(json!({"top_p": 0.99})),
        with(json!({"top_k": 5})),
        with(json!({"temperature": 2})),
        with(json!({"temperature": 0.5, "top_p": 0.5})),
        model("claude-haiku-5-5", json!({"temperature": 1})),
        model("claude-haiku-5-5", json!({"temperature": 0})),
        model("claude-haiku-5-5", json!({"top_p": 0.99})),
        model("claude-haiku-5-5", json!({"top_k": 1})),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies[..3]).await, @"
    400 invalid_request_error: temperature: Extra inputs are not permitted
    400 invalid_request_error: top_p: Extra inputs are not permitted
    400 invalid_request_error: top_k: Extra inputs are not permitted
    ");
    insta::assert_snapshot!(told("2023-06-01", &bodies).await);
}

#[tokio::test]
async fn thinking_is_taken_by_the_models_of_the_matrix() {
    // docs/wire-reference.md 7.2: a, e, d, b = adaptive, enabled, disabled, between_tools; what is not named is refused.
    let matrix = [
        ("claude-fable-5-2", "a"),
        ("claude-mythos-5-1", "a"),
        ("claude-fable-5", "a"),
        ("claude-opus-5-5", "a"),
        ("claude-opus-5", "ad"),
        ("claude-opus-4-8", "ad"),
        ("claude-opus-4-7", "ad"),
        ("claude-sonnet-5-5", "ab"),
        ("claude-sonnet-5", "ad"),
        ("claude-haiku-5-5", "ad"),
        ("claude-opus-4-6", "aed"),
        ("claude-sonnet-4-6", "aed"),
        ("claude-opus-4-5", "ed"),
        ("claude-sonnet-4-5", "ed"),
        ("claude-haiku-4-5", "ed"),
    ];
    let simulator = start(SCRIPT).await;
    for (id, taken) in matrix {
        for (letter, thinking) in [
            ("a", json!({"type": "adaptive"})),
            ("e", json!({"type": "enabled", "budget_tokens": 1024})),
            ("d", json!({"type": "disabled"})),
            ("b", json!({"type": "between_tools"})),
        ] {
            let answered = post(&simulator, &model(id, json!({"thinking": thinking, "max_tokens": 2000}))).await;
            assert_eq!(answered.status == 200, taken.contains(letter), "{id} {thinking}: {}", String::from_utf8_lossy(&answered.body));
        }
    }
}

#[tokio::test]
async fn the_documented_words_of_the_model_matrix() {
    let tools = json!([{"name": "a", "input_schema": {"type": "object"}}]);
    let prefill = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]);
    let bodies = [
        model("claude-opus-5-5", json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})),
        model("claude-haiku-4-5", json!({"thinking": {"type": "adaptive"}})),
        model("claude-opus-5", json!({"thinking": {"type": "between_tools"}})),
        model("claude-opus-5", json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}})),
        model("claude-haiku-4-5", json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})),
        model("claude-haiku-4-5", json!({"thinking": {"type": "enabled", "budget_tokens": 10}})),
        model("claude-opus-4-5", json!({"output_config": {"effort": "max"}})),
        model("claude-opus-4-6", json!({"output_config": {"effort": "xhigh"}})),
        model("claude-sonnet-5-5", json!({"tools": tools, "tool_choice": {"type": "any"}})),
        model("claude-haiku-5-5", json!({"tools": tools, "tool_choice": {"type": "any"}})),
        model("claude-haiku-5-5", json!({"tools": tools, "tool_choice": {"type": "tool", "name": "b"}})),
        model("claude-haiku-4-5", json!({"messages": prefill})),
        model("claude-sonnet-4-6", json!({"messages": prefill})),
        model("claude-opus-5", json!({"speed": "fast"})),
        model("claude-opus-5-5", json!({"speed": "fast", "inference_geo": "us"})),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies).await);
}

#[tokio::test]
async fn turns_keep_the_rules_of_roles_tools_and_documents() {
    let user = |content: Value| json!({"role": "user", "content": content});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "a", "input": {}}]});
    let result = json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "5"}]);
    let document = json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]);
    let image = |data: &str| json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]);
    let system = json!({"role": "system", "content": "Be brief."});
    let turns = |turns: Value| with(json!({"messages": turns}));
    let bodies = [
        turns(json!([user(json!("x")), call, user(result.clone())])),
        turns(json!([user(json!("x")), call, user(json!("well?"))])),
        turns(json!([user(result)])),
        turns(json!([user(document.clone())])),
        turns(json!([user(json!("x")), {"role": "assistant", "content": document}, user(json!("y"))])),
        turns(json!([user(json!([{"type": "text", "text": "a", "citations": [{"type": "char_location"}]}]))])),
        turns(json!([user(image("aGVsbG8="))])),
        turns(json!([user(image("not base64!"))])),
        turns(json!([user(json!("x")), user(json!("y"))])),
        turns(json!([user(json!("x")), system])),
        model("claude-opus-5", json!({"messages": [user(json!("x")), system]})),
        model("claude-opus-5", json!({"messages": [system, user(json!("x"))]})),
        turns(json!([user(json!("x")), {"role": "assistant", "content": "sure "}])),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies).await);
}

#[tokio::test]
async fn cache_marks_are_at_most_four_and_long_ones_first() {
    let mark = |ttl: &str| json!({"type": "ephemeral", "ttl": ttl});
    let text = |ttl: &str| json!({"type": "text", "text": "a", "cache_control": mark(ttl)});
    let plain = json!({"type": "text", "text": "a"});
    let turn = |blocks: Value| json!([{"role": "user", "content": blocks}]);
    let bodies = [
        with(json!({"system": [text("1h"), text("5m")], "messages": turn(json!([text("5m"), text("5m")]))})),
        with(json!({"system": [text("5m"), text("5m")], "messages": turn(json!([text("5m"), text("5m"), text("5m")]))})),
        with(json!({"system": [text("5m")], "messages": turn(json!([text("1h")]))})),
        with(json!({"cache_control": mark("5m"), "messages": turn(json!([text("5m"), text("5m"), text("5m"), text("5m")]))})),
        with(json!({"cache_control": mark("5m"), "messages": turn(json!([text("5m"), text("5m"), text("5m"), text("5m"), plain]))})),
        with(json!({"cache_control": mark("1h"), "messages": turn(json!([text("5m")]))})),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies).await);
}

#[tokio::test]
async fn structured_output_takes_the_documented_part_of_json_schema() {
    let schema = |schema: Value| with(json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}));
    let object = |properties: Value| json!({"type": "object", "properties": properties, "required": [], "additionalProperties": false});
    let bodies = [
        schema(object(
            json!({"a": {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 1}, "b": {"anyOf": [{"type": "null"}, {"const": 1}]}}),
        )),
        schema(
            json!({"type": "object", "additionalProperties": false, "properties": {"b": {"$ref": "#/$defs/x"}, "c": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"enum": [1, 2]}}}),
        ),
        schema(json!({"type": "object", "properties": {}})),
        schema(object(json!({"a": {"type": "object", "properties": {}}}))),
        schema(object(json!({"a": {"type": "integer", "minimum": 1}}))),
        schema(object(json!({"a": {"type": "string", "maxLength": 5}}))),
        schema(object(json!({"a": {"type": "array", "minItems": 2}}))),
        schema(object(json!({"a": {"type": "string", "format": "phone"}}))),
        schema(object(json!({"a": {"$ref": "https://example.com/x.json"}}))),
        schema(object(json!({"a": {"$ref": "#"}}))),
        schema(json!({"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/y"}]}, "y": {"items": {"$ref": "#/$defs/x"}}}})),
    ];
    insta::assert_snapshot!(told("2026-10-21", &bodies).await);
}

#[tokio::test]
async fn references_that_multiply_end_in_bounded_time() {
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        defs.insert(format!("l{level}"), json!({"anyOf": [next, next, next]}));
    }
    defs.insert("l40".to_owned(), json!({"type": "null"}));
    let body = with(json!({"output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#/$defs/l0", "$defs": defs}}}}));
    let answered = post(&start(SCRIPT).await, &body).await;
    assert_eq!((answered.status, answered.message().as_str()), (400, "output_config.format.schema: Schema is too complex for compilation"));
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_say_so() {
    let simulator = start(SCRIPT).await;
    for (method, path, status) in [
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/messages/batch", 404),
        ("GET", "/", 404),
        ("GET", "/v1/models?limit=0", 400),
    ] {
        let answered = send(&simulator, method, path, HEADERS, b"").await.unwrap();
        assert_eq!(answered.status, status, "{method} {path}");
        assert_eq!(answered.json()["type"], "error");
        assert_eq!(answered.header("promptkeel-simulated"), Some("1"));
    }
}

#[tokio::test]
async fn a_body_above_32_megabytes_is_a_413_that_the_client_can_read() {
    let simulator = start(SCRIPT).await;
    let body = asking(&"x".repeat(33 << 20)).to_string();
    let answered = send(&simulator, "POST", "/v1/messages", HEADERS, body.as_bytes()).await.unwrap();
    assert_eq!((answered.status, &answered.json()["error"]["type"]), (413, &json!("request_too_large")));
    assert!(simulator.journal().is_empty(), "what was thrown away is not kept");
}

mod properties {
    use std::sync::OnceLock;

    use proptest::prelude::{BoxedStrategy, Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
    use serde_json::{Value, json};
    use tokio::runtime::{Builder, Runtime};

    use super::super::{HEADERS, asking, send, start};
    use crate::sim::server::Simulator;

    /// Any JSON, with the names and words that requests use more often than chance would.
    fn anything() -> BoxedStrategy<Value> {
        let words = [
            "user",
            "assistant",
            "system",
            "text",
            "image",
            "tool_use",
            "tool_result",
            "base64",
            "enabled",
            "claude-haiku-4-5",
            "claude-opus-5-5",
            "ephemeral",
            "",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            any::<String>().prop_map(Value::from),
            proptest::sample::select(words.to_vec()).prop_map(Value::from),
        ];
        let names = [
            "model",
            "max_tokens",
            "messages",
            "role",
            "content",
            "type",
            "text",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "format",
            "schema",
            "effort",
            "source",
            "data",
            "media_type",
            "input",
            "id",
            "tool_use_id",
            "cache_control",
            "ttl",
            "stop_sequences",
            "metadata",
            "citations",
            "name",
            "input_schema",
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((proptest::sample::select(names.to_vec()), inner), 0..6).prop_map(|pairs| pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
        .boxed()
    }

    /// One simulator for all cases: starting one for each would take most of the time.
    fn statuses_of(bodies: Vec<Vec<u8>>) -> Vec<u16> {
        static SHARED: OnceLock<(Runtime, Simulator)> = OnceLock::new();
        let (runtime, simulator) = SHARED.get_or_init(|| {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let script = "rules: [{when: {regex: '(a)|b'}, then: {text: '{{ captures[1] }}{{ prompt }}'}}]\notherwise: {text: fine}";
            let simulator = runtime.block_on(start(script));
            (runtime, simulator)
        });
        runtime.block_on(async {
            let mut statuses = Vec::new();
            for body in bodies {
                for path in ["/v1/messages", "/v1/messages/count_tokens"] {
                    // A panic in a handler would close the connection: `send` would fail.
                    statuses.push(send(simulator, "POST", path, HEADERS, &body).await.unwrap().status);
                }
            }
            statuses
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn no_bytes_make_it_answer_500(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            assert!(statuses_of(vec![body]).iter().all(|status| (400..500).contains(status)));
        }

        #[test]
        fn no_json_makes_it_answer_500(whole in anything(), name in proptest::sample::select(vec!["messages", "system", "tools", "thinking", "tool_choice", "output_config", "max_tokens", "stop_sequences", "metadata", "cache_control"]), part in anything(), turn in anything()) {
            let mut with_part = asking("x");
            with_part[name] = part.clone();
            let mut with_turn = asking("x");
            with_turn["messages"] = json!([{"role": "user", "content": "x"}, turn.clone(), {"role": "user", "content": part}]);
            let mut with_block = asking("x");
            with_block["messages"] = json!([{"role": "user", "content": [turn]}]);
            let bodies = [whole, with_part, with_turn, with_block].iter().map(|body| body.to_string().into_bytes()).collect();
            let statuses = statuses_of(bodies);
            assert!(statuses.iter().all(|status| (200..500).contains(status)), "{statuses:?}");
        }
    }
}
