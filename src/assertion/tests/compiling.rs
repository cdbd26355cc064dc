//! What is refused before any reply comes, and what do templates become?

use super::*;

fn variables() -> Variables {
    json!({"expected": "billing", "count": 3, "row": {"id": "A-1"}, "empty": ""}).as_object().unwrap().clone()
}

/// Why an assertion does not compile, and the hint.
fn refused_with(assertion: &Assertion) -> String {
    let error = compile(assertion, &variables(), &CompileCache::new()).unwrap_err();
    format!("{error}\nhint: {}", error.hint.as_deref().unwrap_or_default())
}

#[test]
fn strings_are_templates_over_the_variables() {
    let check = |kind: Value, text: &str| {
        let compiled = compile(&assertion(kind), &variables(), &CompileCache::new()).unwrap();
        let reply = reply(text);
        evaluate(&compiled, &subject(&reply, Parse::default(), None)).outcome == Outcome::Pass
    };
    assert!(check(json!({"equals": "{{ expected }}"}), "billing"));
    assert!(check(json!({"contains_all": ["{{ expected }}", "{{ count }}"]}), "billing 3"));
    assert!(check(json!({"regex": "^{{ row.id }}$"}), "A-1"));
    assert!(check(json!({"json_path": {"path": "$.queue", "equals": "{{ expected }}"}}), r#"{"queue": "billing"}"#));
    assert!(check(json!({"json_path": {"path": "$.{{ expected }}", "matches": "{{ row.id }}"}}), r#"{"billing": "A-1"}"#));
    // A string that is one variable has the variable's own value.
    assert!(check(json!({"json_path": {"path": "$.n", "equals": "{{ count }}"}}), r#"{"n": 3.0}"#));
    assert!(check(
        json!({"json_path": {"path": "$", "equals": {"n": ["{{count}}", "{{ row.id }}", "is {{ count }}"]}}}),
        r#"{"n": [3, "A-1", "is 3"]}"#
    ));
}

#[test]
fn an_undefined_variable_is_named() {
    let error = compile(&assertion(json!({"equals": "{{ expcted }}"})), &variables(), &CompileCache::new()).unwrap_err();
    assert_eq!(error.undefined.as_deref(), Some("expcted"), "{error:?}");
    let error = compile(&assertion(json!({"json_path": {"path": "$", "equals": "{{ expcted }}"}})), &variables(), &CompileCache::new())
        .unwrap_err();
    assert_eq!(error.undefined.as_deref(), Some("expcted"), "{error:?}");
}

#[test]
fn the_variables_of_an_assertion_are_known() {
    let used = |kind: Value| variables_of(&assertion(kind));
    assert_eq!(used(json!({"contains_any": ["{{ a }}", "b", "{{ c | upper }}"]})), ["a", "c"]);
    assert_eq!(used(json!({"json_path": {"path": "$.{{ p }}", "matches": "{{ m }}", "equals": {"x": ["{{ e }}"]}}})), ["e", "m", "p"]);
    assert_eq!(used(json!({"max_latency_ms": 5})), [""; 0]);
}

fn variables_of(assertion: &Assertion) -> Vec<String> {
    crate::assertion::variables(assertion).unwrap().into_iter().collect()
}

#[test]
fn an_assertion_that_cannot_fail_does_not_compile() {
    for kind in [
        json!({"contains": ""}),
        json!({"contains": "{{ empty }}"}),
        json!({"starts_with": " "}),
        json!({"ends_with": ""}),
        json!({"contains_any": ["a", ""]}),
        json!({"contains_all": []}),
        json!({"length": {"min_chars": 0}}),
        json!({"length": {}}),
        json!({"similar": {"to": "text", "threshold": 0}}),
        json!({"regex": ""}),
        json!({"regex": "a*"}),
        json!({"regex": "^"}),
        json!({"regex": ".*$"}),
        json!({"regex": r"\z|x"}),
        json!({"regex": "(?x) a? # verbose"}),
        json!({"regex": r"\b|\B"}),
        json!({"regex": "(?=)"}),
        json!({"regex": "(?=a?)"}),
        json!({"stop_reason": [
            "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
        ]}),
    ] {
        let error = refused_with(&assertion(kind.clone()));
        assert!(error.contains("cannot fail"), "{kind}: {error}");
    }
    for kind in [
        json!({"one_of": []}),
        json!({"contains_any": []}),
        json!({"stop_reason": []}),
        json!({"length": {"min_words": 5, "max_words": 4}}),
    ] {
        assert!(refused_with(&assertion(kind.clone())).contains("cannot hold"), "{kind}");
        assert!(refused_with(&not(kind.clone())).contains("cannot fail"), "not {kind}");
    }
    assert!(refused_with(&not(json!({"contains": ""}))).contains("cannot hold"));
    insta::assert_snapshot!(refused_with(&assertion(json!({"contains": ""}))), @r"
    `contains` cannot fail: an empty text is in every reply
    hint: an assertion that every reply passes proves nothing; give it something to look for or remove it
    ");
}

#[test]
fn a_schema_that_says_the_same_of_every_value_is_no_assertion() {
    for any in [json!({}), json!({"$ref": "#/$defs/any", "$defs": {"any": {}}}), json!({"$defs": {"any": {"type": "integer"}}})] {
        let schema = json!({"json_schema": {"label": "inline", "schema": any}});
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused_with(&assertion(schema.clone())), @r"
            `json_schema` cannot fail: its schema accepts every JSON value
            hint: say in it what the value has to be; where any JSON will do, write `json: true`
            ");
        }
        assert!(refused_with(&not(schema)).contains("cannot hold: its schema accepts every JSON value"), "{any}");
    }
    let none = json!({"json_schema": {"label": "inline", "schema": {"not": {}}}});
    assert!(refused_with(&assertion(none.clone())).contains("cannot hold: its schema rejects every JSON value"));
    assert!(refused_with(&not(none)).contains("cannot fail: its schema rejects every JSON value"));
}

#[test]
fn a_regex_that_can_fail_compiles_even_if_it_matches_the_empty_text() {
    for pattern in [
        r"^$",
        r"^\s*$",
        r"^.*$",
        r"\A[^@]*\z",
        r"(?s)\A.{0,500}\z",
        r"\b",
        r"\B",
        r"(?m)^$",
        r"(?:foo)?bar|^$",
        r"^(?!.*secret)",
        r"(?=a)|(?=)b",
        r"(?=^$)",
        r"(?s)^(?:(?!foo).)*$",
    ] {
        assert!(compile(&assertion(json!({"regex": pattern})), &Variables::new(), &CompileCache::new()).is_ok(), "{pattern}");
    }
}

#[test]
fn what_is_invalid_says_how_to_mend_it() {
    insta::assert_snapshot!(refused_with(&assertion(json!({"regex": "a(b"}))), @r"
    invalid regex `a(b`: unclosed group
    hint: the syntax is that of Rust's `regex` crate, with look-around; in YAML single quotes keep backslashes as they are
    ");
    insta::assert_snapshot!(refused_with(&assertion(json!({"regex": r"(?<=a+)b(?"}))), @r"
    invalid regex `(?<=a+)b(?`: Parsing error at position 10: Opening parenthesis without closing parenthesis
    hint: the syntax is that of Rust's `regex` crate, with look-around; in YAML single quotes keep backslashes as they are
    ");
    insta::assert_snapshot!(refused_with(&assertion(json!({"regex": r"(\w{1000}){1000}"}))), @r"
    the regex `(\w{1000}){1000}` is too large when compiled
    hint: make counted repetitions such as `{1,1000}` smaller
    ");
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_path": {"path": "queue"}}))), @r#"
    invalid JSONPath `queue`: parser error at character 1
    hint: a path begins with `$`: `$.queue`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_path": {"path": "$.a", "exists": false, "equals": 1}}))), @r#"
    `json_path` cannot hold: `exists: false` leaves no value for the other checks
    hint: drop `exists: false`, or write two assertions
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_schema": {"type": "strin"}}))), @r#"
    the inline schema is not valid at `$.type`: "strin" is not valid under any of the schemas listed in the 'anyOf' keyword
    hint: drafts 4, 6, 7, 2019-09 and 2020-12 are read; name one with `$schema`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_schema": {"properties": {"a": {"$ref": "https://example.com/a.json"}}}}))), @r#"
    the inline schema refers to `https://example.com/a.json`, which is not part of it
    hint: nothing is fetched: copy the definition under `$defs` and refer to it as `#/$defs/NAME`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_schema": {"properties": {"a": {"$ref": "#/$defs/missing"}}}}))), @r#"
    the inline schema refers to what it does not hold: Pointer '/$defs/missing' does not exist
    hint: nothing is fetched: copy the definition under `$defs` and refer to it as `#/$defs/NAME`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_schema": {"properties": {"on": {"format": "date-tme"}}}}))), @r#"
    the inline schema is not valid at `$.properties.on.format`: unknown format `date-tme`
    hint: formats are asserted: use one of the draft's (`date`, `date-time`, `email`, `uri`, `uuid`, ...), or a `pattern`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"json_schema": {"pattern": "a(b"}}))), @r#"
    the inline schema is not valid at `$.pattern`: "a(b" is not a "regex"
    hint: drafts 4, 6, 7, 2019-09 and 2020-12 are read; name one with `$schema`
    "#);
    insta::assert_snapshot!(refused_with(&assertion(json!({"similar": {"to": "text", "threshold": 1.5}}))), @r#"
    `similar` cannot hold: no text has a similarity of 1.5
    hint: give a `threshold` above 0 and up to 1
    "#);
    insta::assert_snapshot!(refused_with(&not(json!({"refusal": "allowed"}))), @r#"
    `not: {refusal: allowed}` says nothing
    hint: write `refusal: never` or `refusal: always`
    "#);
    assert!(
        compile(&assertion(json!({"json_schema": {"format": "int32", "type": "integer"}})), &Variables::new(), &CompileCache::new())
            .is_ok()
    );
}

#[test]
fn what_cases_share_is_compiled_once() {
    let cache = CompileCache::new();
    let schema = assertion(json!({"json_schema": {"type": "object"}}));
    let (first, second) = (compile(&schema, &variables(), &cache).unwrap(), compile(&schema, &variables(), &cache).unwrap());
    let validator = |compiled: &Compiled| match &compiled.check {
        Check::Json(json::JsonCheck::Schema { schema, .. }) => Arc::clone(schema),
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&validator(&first), &validator(&second)));
}
