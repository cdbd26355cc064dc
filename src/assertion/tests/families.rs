//! What does each kind find, and what does its failure look like?

use super::*;

#[test]
fn equals_ignores_white_space_at_the_ends_alone() {
    passes(json!({"equals": "billing"}), "  billing\n");
    fails(json!({"equals": "billing"}), "Billing");
    fails(json!({"equals": "a b"}), "a  b");
    passes(json!({"equals": {"value": "STRASSE", "ignore_case": true}}), "straße");
    passes(json!({"equals": ""}), " \n");
    insta::assert_snapshot!(of(json!({"equals": "billing"}), "refunds\nplease"), @r"
    expected the text `billing`
    got `refunds\nplease`
    (text diff)
    ");
    insta::assert_snapshot!(of(json!({"equals": "billing"}), ""), @r"
    expected the text `billing`
    got an empty reply
    ");
}

#[test]
fn contains_shows_where_it_nearly_holds() {
    passes(json!({"contains": "refund"}), "We refund you.");
    fails(json!({"contains": "refund"}), "We pay you back.");
    passes(json!({"contains": {"value": "İstanbul ΣΊΣΥΦΟΣ", "ignore_case": true}}), "in i̇stanbul σίσυφος now");
    insta::assert_snapshot!(of(json!({"contains": "refund"}), "Your Refund is on its way."), @r"
    expected a text that contains `refund`
    got `Your Refund is on its way.`, which differs in upper and lower case
    ");
    insta::assert_snapshot!(of_not(json!({"contains": {"value": "AS AN AI", "ignore_case": true}}), "Größe: as an ai, I cannot say."), @r"
    expected a text without `AS AN AI`, in upper or lower case
    got `Größe: as an ai, I cannot say.`
    ");
}

#[test]
fn several_texts_are_all_or_any() {
    passes(json!({"contains_any": ["x", "b"]}), "abc");
    fails(json!({"contains_any": ["x", "y"]}), "abc");
    passes(json!({"contains_all": ["a", "b"]}), "abc");
    fails(json!({"contains_all": ["a", "x"]}), "abc");
    passes(json!({"one_of": ["yes", "no"]}), " no ");
    fails(json!({"one_of": ["yes", "no"]}), "no.");
    insta::assert_snapshot!(of(json!({"contains_all": ["refund", "14 days", "receipt"]}), "A refund takes 14 days."), @r"
    expected a text that contains all of `refund`, `14 days`, `receipt`
    got nothing of `receipt` in `A refund takes 14 days.`
    ");
    insta::assert_snapshot!(of(json!({"one_of": ["yes", "no"]}), "maybe"), @r"
    expected one of `yes`, `no`
    got `maybe`
    ");
}

#[test]
fn beginning_and_end_leave_white_space_out() {
    passes(json!({"starts_with": "Dear"}), "\n Dear Ms Weber");
    fails(json!({"starts_with": "Dear"}), "Hello dear");
    passes(json!({"ends_with": "regards"}), "Kind regards\n\n");
    fails(json!({"ends_with": "regards"}), "regards, me");
    passes(json!({"ends_with": {"value": "REGARDS", "ignore_case": true}}), "Kind regards ");
    insta::assert_snapshot!(of(json!({"ends_with": "Kind regards"}), "Bye!"), @r"
    expected a text that ends with `Kind regards`
    got `Bye!`
    ");
}

#[test]
fn regexes_match_anywhere_with_look_around_within_a_bound() {
    passes(json!({"regex": r"\d{4}-\d{2}"}), "on 2026-11");
    fails(json!({"regex": r"^\d+$"}), "on 2026-11");
    passes(json!({"regex": r"(?<!un)paid"}), "was paid");
    fails(json!({"regex": r"(?<!un)paid"}), "was unpaid");
    passes(json!({"regex": r"\b(\w+) \1\b"}), "the the");
    insta::assert_snapshot!(of_not(json!({"regex": r"(?i)as an ai"}), "Well, as an AI I cannot."), @r"
    expected no match for the regex `(?i)as an ai`
    got a match: `Well, as an AI I cannot.`
    ");
    let (pattern, hard) = (json!({"regex": "(a|b|ab)*(?>c)"}), "ab".repeat(40));
    let judged = of(pattern.clone(), &hard);
    assert!(judged.starts_with("error: the regex") && judged.contains("given up"), "{judged}");
    assert_eq!(of_not(pattern, &hard), judged);
}

#[test]
fn similarity_counts_words_and_names_its_metric() {
    passes(json!({"similar": {"to": "the cat sat down", "threshold": 0.7}}), "The cat sat down".replace('T', "t").as_str());
    insta::assert_snapshot!(of(json!({"similar": {"to": "the cat sat down", "threshold": 0.8}}), "the dog sat down"), @r"
    expected word similarity at least 0.8 to `the cat sat down`
    got word similarity 0.750: `the dog sat down`
    (text diff)
    ");
}

#[test]
fn json_is_one_value_with_unique_keys_and_nothing_behind() {
    passes(json!("json"), " {\"a\": [1, 2.5e3, \"\\u00e9\", null, true]} ");
    passes(json!("json"), "```json\n{\"a\": 1}\n```");
    fails(json!("json"), "");
    fails(json!("json"), "NaN");
    insta::assert_snapshot!(of(json!("json"), "{\"queue\": \"billing\",\n \"queue\": \"refunds\"}"), @r#"
    expected one JSON value
    got no JSON: duplicate key `queue` at line 2, column 8: `{"queue": "billing",\n "queue": "refunds"}`
    "#);
    insta::assert_snapshot!(of(json!("json"), "{\"a\": 1}\nIs that all right?"), @r#"
    expected one JSON value
    got no JSON: trailing characters at line 2, column 1: `{"a": 1}\nIs that all right?`
    "#);
    insta::assert_snapshot!(of(json!("json"), "Here it is: {\"a\": 1}"), @r#"
    expected one JSON value
    got no JSON: expected value at line 1, column 1: `Here it is: {"a": 1}`
    "#);
    insta::assert_snapshot!(of(json!("json"), r#"["\ud800"]"#), @r#"
    expected one JSON value
    got no JSON: unexpected end of hex escape at line 1, column 9: `["\ud800"]`
    "#);
    assert!(of(json!("json"), &"[".repeat(100_000)).contains("recursion limit exceeded"));
    let not_fenced = reply("```json\n1\n```");
    let result = evaluate(&compiled(&assertion(json!("json"))), &subject(&not_fenced, Parse::default(), None));
    assert!(words(&result).contains("hint: `parse: {fenced: true}`"), "{result:?}");
}

#[test]
fn a_schema_lists_all_violations_with_their_places() {
    let schema = json!({
        "type": "object",
        "properties": {
            "queue": {"enum": ["billing", "refunds"]},
            "summary": {"type": "string", "maxLength": 10},
            "on": {"type": "string", "format": "date"},
            "odd key": {"type": "array", "items": {"type": "integer"}}
        },
        "required": ["queue", "summary"],
        "additionalProperties": false
    });
    passes(json!({"json_schema": schema}), r#"{"queue": "billing", "summary": "short", "on": "2026-11-22"}"#);
    fails(json!({"json_schema": schema}), "{}");
    is_unreachable(json!({"json_schema": schema}), "no JSON at all");
    insta::assert_snapshot!(
        of(json!({"json_schema": schema}), r#"{"queue": "refund", "on": "tomorrow", "odd key": [1, "two"], "extra": 1}"#), @r#"
    expected JSON that the inline schema accepts
    got $: "summary" is a required property
    $.queue: "refund" is not one of "billing" or "refunds"
    $.on: "tomorrow" is not a "date"
    $['odd key'][1]: "two" is not of type "integer"
    $: Additional properties are not allowed ('extra' was unexpected)
    "#);
    insta::assert_snapshot!(of_not(json!({"json_schema": schema}), "not JSON"), @r"
    expected JSON that the inline schema rejects
    got no JSON: expected ident at line 1, column 2: `not JSON`
    ");
    let many = Value::from((0..500).map(|n| format!("item {n}")).collect::<Vec<_>>()).to_string();
    assert!(of(json!({"json_schema": {"items": {"type": "integer"}}}), &many).ends_with("and 490 more violations"));
}

#[test]
fn schemas_of_all_drafts_are_read_and_patterns_are_bounded() {
    for (draft, schema, good, bad) in [
        ("http://json-schema.org/draft-04/schema#", json!({"minimum": 1, "exclusiveMinimum": true}), "2", "1"),
        ("http://json-schema.org/draft-06/schema#", json!({"exclusiveMinimum": 1}), "2", "1"),
        ("http://json-schema.org/draft-07/schema#", json!({"if": {"type": "integer"}, "then": {"minimum": 5}}), "5", "4"),
        ("https://json-schema.org/draft/2019-09/schema", json!({"dependentRequired": {"a": ["b"]}}), "{}", r#"{"a": 1}"#),
        ("https://json-schema.org/draft/2020-12/schema", json!({"prefixItems": [{"type": "string"}]}), r#"["a"]"#, "[1]"),
    ] {
        let mut schema = schema;
        schema["$schema"] = json!(draft);
        passes(json!({"json_schema": schema}), good);
        fails(json!({"json_schema": schema}), bad);
    }
    let hard = json!({"json_schema": {"pattern": "^(?:(?:a|b|ab)(?=.))*c$"}});
    let judged = of(hard, &format!("\"{}\"", "ab".repeat(40)));
    assert!(judged.starts_with("error: a `pattern`"), "{judged}");
}

#[test]
fn json_path_checks_every_value_at_the_path() {
    let reply = r#"{"queue": "refunds", "items": [{"id": "A-1", "n": 3}, {"id": "B-2", "n": 12}], "none": null}"#;
    passes(json!({"json_path": {"path": "$.queue", "equals": "refunds"}}), reply);
    passes(json!({"json_path": {"path": "$.items[*].id", "matches": r"^[A-Z]-\d$"}}), reply);
    passes(json!({"json_path": {"path": "$.items", "min_length": 2, "max_length": 2}}), reply);
    passes(json!({"json_path": {"path": "$.items[*].n", "min": 3, "max": 12.0}}), reply);
    passes(json!({"json_path": {"path": "$.gone", "exists": false}}), reply);
    passes(json!({"json_path": {"path": "$.none"}}), reply);
    passes(json!({"json_path": {"path": "$.items[0]", "equals": {"n": 3.0, "id": "A-1"}}}), reply);
    fails(json!({"json_path": {"path": "$.items[*].n", "max": 11}}), reply);
    fails(json!({"json_path": {"path": "$.queue", "exists": false}}), reply);
    fails(json!({"json_path": {"path": "$.gone", "exists": true}}), reply);
    is_unreachable(json!({"json_path": {"path": "$.gone", "equals": 1}}), reply);
    is_unreachable(json!({"json_path": {"path": "$.queue", "min": 1}}), reply);
    is_unreachable(json!({"json_path": {"path": "$.queue", "equals": "refunds"}}), "refunds?");
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.queue", "equals": "billing"}}), reply), @r#"
    expected every value at `$.queue` equals "billing"
    got $.queue is "refunds"
    "#);
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.items[*].n", "max": 11}}), reply), @r"
    expected every value at `$.items[*].n` is at most 11
    got $.items[1].n is 12
    ");
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.items", "max_length": 1}}), reply), @r#"
    expected every value at `$.items` has a length of at most 1
    got $.items is [{"id":"A-1","n":3},{"id":"B-2","n":12}] (length 2)
    "#);
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.items[0]", "equals": {"id": "A-1", "n": 4}}}), reply), @r#"
    expected every value at `$.items[0]` equals {"id":"A-1","n":4}
    got $.items[0] is {"id":"A-1","n":3}
    (json diff)
    "#);
    insta::assert_snapshot!(of_not(json!({"json_path": {"path": "$.gone", "equals": 1}}), r#"{"a": 1}"#), @r#"
    expected not every value at `$.gone` equals 1
    got nothing at `$.gone` in {"a":1}
    "#);
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.queue", "min": 1}}), reply), @r#"
    expected every value at `$.queue` is at least 1
    got $.queue is "refunds", which is not a number
    "#);
    insta::assert_snapshot!(of(json!({"json_path": {"path": "$.queue", "exists": false}}), reply), @r#"
    expected nothing at `$.queue`
    got $.queue is "refunds"
    "#);
}

#[test]
fn large_integers_are_compared_exactly_or_not_at_all() {
    let path = |value: Value| json!({"json_path": {"path": "$.id", "equals": value}});
    fails(path(json!(9_007_199_254_740_993_u64)), r#"{"id": 9007199254740992}"#);
    passes(path(json!(18_446_744_073_709_551_615_u64)), r#"{"id": 18446744073709551615}"#);
    let beyond: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
    let judged = of(path(beyond), r#"{"id": 123456789012345678901234567891}"#);
    assert!(judged.starts_with("error: the reply has an integer beyond 64 bits"), "{judged}");
    passes(path(json!(6.022e23)), r#"{"note": "12345678901234567890", "id": 6.022e23}"#);
}

#[test]
fn what_hangs_on_digits_that_were_not_kept_is_an_error_and_nothing_else_is() {
    let property = |rule: Value| json!({"json_schema": {"type": "object", "required": ["n"], "properties": {"n": rule}}});
    let path = |path: &str, rule: Value| {
        let mut rule = rule;
        rule["path"] = path.into();
        json!({"json_path": rule})
    };
    let reply = r#"{"note": "5 [1, \"", "m": [1, -2.5e3, true], "n": 10000000000000000000001}"#;
    let by_digits = [
        property(json!({"const": 1e22})),
        property(json!({"enum": ["x", [1e22], 1e22]})),
        property(json!({"maximum": 1e22})),
        property(json!({"exclusiveMinimum": 1e22})),
        property(json!({"multipleOf": 10})),
        path("$.n", json!({"equals": 1e22})),
        path("$.n", json!({"max": 1e22})),
        path("$.n", json!({"min": 1e22})),
        path("$[?@ > 1e22]", json!({"exists": false})),
        path("$[?@==1e22]", json!({"exists": true})),
        path("$[?$.n != @]", json!({"exists": true})),
        path("$[?@['=1'] <= $.n]", json!({"exists": false})),
    ];
    for kind in by_digits {
        let why = "error: the reply has an integer beyond 64 bits ($.n), which cannot be compared exactly; let the prompt ask for a string";
        assert_eq!((of(kind.clone(), reply).as_str(), of_not(kind.clone(), reply).as_str()), (why, why), "{kind}");
    }
    let unique = json!({"json_schema": {"items": {"uniqueItems": true}}});
    let twice = of(unique, "[[1], [10000000000000000000001, 10000000000000000000000]]");
    assert!(twice.starts_with("error: the reply has an integer beyond 64 bits ($[1][0])"), "{twice}");
    let least = of(path("$", json!({"min": i64::MIN})), "-9223372036854775809");
    assert!(least.starts_with("error: the reply has an integer beyond 64 bits ($)"), "{least}");
    passes(property(json!({"type": "integer", "minimum": 5})), reply);
    fails(property(json!({"maximum": u32::MAX, "enum": ["x", 3]})), reply);
    passes(path("$.n", json!({"min": 5, "max": 2e22})), reply);
    fails(path("$.n", json!({"max": 5})), reply);
    passes(path("$[?@ > 5]", json!({"min": 6})), reply);
    passes(path("$[?5 <@ || @ == '> 1e22']", json!({"exists": true})), reply);
    passes(path("$[?@ == \"<\"]", json!({"exists": false})), reply);
    // Exact integers beside a float that is large.
    passes(path("$[?@ > 1e22]", json!({"equals": 6.022e23})), r#"{"id": 1000000000000000000, "n": 6.022e23, "m": 18446744073709551615}"#);
}

#[test]
fn xml_is_well_formed_and_has_its_elements() {
    let reply = "<?xml version=\"1.0\"?>\n<ticket xmlns:x=\"urn:x\"><x:queue>billing</x:queue></ticket>";
    passes(json!({"xml": {"root": "ticket", "contains": ["queue"]}}), reply);
    passes(json!({"xml": {}}), "```xml\n<a/>\n```");
    fails(json!({"xml": {"root": "tickets", "contains": ["queue", "summary"]}}), reply);
    fails(json!({"xml": {}}), "plain text");
    fails(json!({"xml": {}}), "");
    is_unreachable(json!({"xml": {"root": "ticket"}}), "<ticket>");
    insta::assert_snapshot!(of(json!({"xml": {"root": "tickets", "contains": ["queue", "summary"]}}), reply), @r"
    expected well-formed XML with the root element `tickets` that has `queue`, `summary`
    got the root element `ticket`, no element `summary`
    ");
    insta::assert_snapshot!(of(json!({"xml": {}}), "<a>\n  <b></c>\n</a>"), @r"
    expected well-formed XML
    got no XML: expected 'b' tag, not 'c' at 2:6: `  <b></c>`
    ");
    let bomb = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;\">]><a>&y;</a>";
    assert!(of(json!({"xml": {}}), bomb).contains("DTD"), "{}", of(json!({"xml": {}}), bomb));
    passes(json!({"xml": {}}), &format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)));
}

#[test]
fn lengths_are_counted_as_unicode_separates_them() {
    let text = "Dr. Weber paid 3.50 euros. It's fine!\nBye 👋🏽";
    passes(json!({"length": {"min_words": 8, "max_words": 8}}), text);
    passes(json!({"length": {"min_lines": 2, "max_lines": 2}}), "a\nb\n");
    passes(json!({"length": {"max_lines": 0}}), "");
    passes(json!({"length": {"min_chars": 2, "max_chars": 2, "min_bytes": 8, "max_bytes": 8}}), "👋🏽");
    passes(json!({"length": {"min_sentences": 2, "max_sentences": 2}}), "It works. It is fast!");
    insta::assert_snapshot!(of(json!({"length": {"max_words": 3, "min_lines": 1, "max_chars": 1000}}), text), @r"
    expected at most 1,000 characters, at most 3 words, at least 1 line
    got 8 words: `Dr. Weber paid 3.50 euros. It's fine!\nBye 👋🏽`
    ");
    insta::assert_snapshot!(of_not(json!({"length": {"max_words": 60}}), text), @r"
    expected any length but at most 60 words
    got 8 words: `Dr. Weber paid 3.50 euros. It's fine!\nBye 👋🏽`
    ");
}

#[test]
fn tokens_cost_and_latency_are_those_of_the_paid_call() {
    passes(json!({"max_output_tokens": 340}), "x");
    passes(json!({"max_latency_ms": 1840}), "x");
    passes(json!({"max_cost_usd": "0.0123"}), "x");
    insta::assert_snapshot!(of(json!({"max_output_tokens": 300}), "x"), @r"
    expected at most 300 output tokens
    got 340 output tokens, 40 of them thinking
    ");
    insta::assert_snapshot!(of(json!({"max_latency_ms": 1000}), "x"), @r"
    expected at most 1,000 ms
    got 1,840 ms when the reply was asked
    ");
    insta::assert_snapshot!(of(json!({"max_cost_usd": "0.01"}), "x"), @r"
    expected at most $0.01, priced without cache and batch discount
    got $0.0123: 1,200 prompt and 340 output tokens
    ");
    let simulated = Reply { simulated: true, ..reply("x") };
    assert!(say(&assertion(json!({"max_cost_usd": "0.01"})), &simulated).contains("at list price (simulated)"));
    let unpriced = evaluate(&compiled(&assertion(json!({"max_cost_usd": "0.01"}))), &subject(&simulated, Parse::default(), None));
    insta::assert_snapshot!(words(&unpriced), @r#"error: the reply of `claude-haiku-4-5` has no price, so `max_cost_usd` cannot be judged (hint: give the model a price under `[prices."..."]` in promptkeel.toml, or drop the assertion)"#);
}

#[test]
fn both_kinds_of_refusal_are_seen_and_told_apart() {
    let textual = "I'm sorry, but I can't help with that.";
    fails(json!({"refusal": "never"}), textual);
    passes(json!({"refusal": "always"}), textual);
    passes(json!({"refusal": "never"}), "I cannot recommend the blue one; take the red one.");
    insta::assert_snapshot!(of(json!({"refusal": "never"}), textual), @r"
    expected no refusal
    got a reply that opens with a refusal: `I'm sorry, but I can't help with that`
    ");
    insta::assert_snapshot!(of(json!({"refusal": "always"}), "Gladly."), @r"
    expected a refusal
    got no refusal: `Gladly.`
    ");
    insta::assert_snapshot!(say(&assertion(json!({"refusal": "never"})), &refused(Some("bio"), "")), @r"
    expected no refusal
    got a refusal by the API (stop reason `refusal`, category `bio`)
    ");
    assert_eq!(say(&assertion(json!({"refusal": "always"})), &refused(None, "")), "pass");
}

#[test]
fn stop_reasons_are_named_as_the_api_names_them() {
    passes(json!({"stop_reason": ["end_turn", "stop_sequence"]}), "x");
    insta::assert_snapshot!(say(&assertion(json!({"stop_reason": ["end_turn"]})), &cut("and so it en")), @r"
    expected the stop reason `end_turn`
    got `max_tokens` after `and so it en`
    ");
    let newer = Reply { stop_reason: StopReason::from("brand_new".to_owned()), ..reply("x") };
    assert_eq!(say(&assertion(json!({"stop_reason": ["brand_new"]})), &newer), "pass");
}

#[test]
fn a_pattern_that_steps_back_gives_up_instead_of_reading_a_long_text_over_and_over() {
    let refunds = "you get a refund, of course, ".repeat(36_000 / 29);
    let crosses = "x".repeat(40_000);
    let megabytes = "a word and ".repeat(500_000);
    for (pattern, text) in [
        ("(?i)(?!.*sorry)refund.*days", &refunds),
        ("(?!z)(x|xx)+y", &crosses),
        ("(?=x)(x+x+)+y", &crosses),
        (r"(\w+) \1 x", &megabytes),
        (r"(?=(?~zz)q)", &megabytes),
    ] {
        let said = of(json!({"regex": pattern}), text);
        assert!(said.contains("is too long for the regex") && said.contains("linear time"), "{pattern}: {said}");
        assert_eq!(of_not(json!({"regex": pattern}), text), said);
        assert!(of(json!({"json_schema": {"pattern": pattern}}), &format!("\"{text}\"")).contains("too long for a `pattern`"));
    }
    // Steps that go back and forth within a bounded stretch are no reason to give up.
    passes(json!({"regex": r"\$\d{1,9}(?! USD)"}), &format!("{refunds}{refunds} $12"));
    passes(json!({"regex": "(?!z)y$"}), &format!("{crosses}y"));
    passes(json!({"regex": r"(?!a\+)y\*$"}), &format!("{}y*", "x".repeat(20_000)));
    passes(json!({"json_schema": {"pattern": "^x+y$"}}), &format!("\"{crosses}y\""));
    fails(json!({"regex": r"\d+(?= days)"}), &"30 dags, ".repeat(3_000));
}
