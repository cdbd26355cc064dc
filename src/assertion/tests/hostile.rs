//! Does a schema, a path or a pattern that nobody should write get an answer, and is one that was given up never a pass?

use std::time::Duration;

use super::*;
use crate::model::assertion::SchemaSource;

fn schema(schema: Value) -> Assertion {
    assertion(json!({"json_schema": {"label": "inline", "schema": schema}}))
}

fn refusal_of(assertion: &Assertion) -> String {
    let error = compile(assertion, &Variables::new(), &CompileCache::new()).unwrap_err();
    assert!(error.hint.is_some(), "{error}");
    error.message
}

/// The same assertion with another check in it.
fn with(check: Check, negated: bool) -> Compiled {
    Compiled { check, negated, ..compiled(&assertion(json!("json"))) }
}

fn judged(check: &Check, negated: bool, text: &str) -> String {
    let reply = reply(text);
    words(&evaluate(&with(check.clone(), negated), &subject(&reply, Parse::default(), None)))
}

#[test]
fn a_regex_whose_time_has_passed_is_an_error_whatever_it_was_to_show() {
    let text = format!("{}b", "a".repeat(1_000));
    let check = |longest| {
        let pattern = Arc::new(pattern::Pattern::compile_for("(?=a)ab", longest).unwrap());
        Check::Regex(pattern::RegexCheck { pattern, shown: "(?=a)ab".into() })
    };
    let in_time = check(Duration::MAX);
    assert_eq!(
        (judged(&in_time, false, &text).as_str(), judged(&in_time, false, "b")),
        ("pass", judged(&check(Duration::ZERO), false, "b"))
    );
    assert!(judged(&in_time, true, &text).starts_with("expected no match"));
    let too_late = check(Duration::ZERO);
    for negated in [false, true] {
        let judged = judged(&too_late, negated, &text);
        assert!(judged.starts_with("error: the regex `(?=a)ab` was given up after 0 seconds"), "{judged}");
    }
    // A short text needs no deadline.
    assert_eq!(judged(&too_late, false, "aab"), "pass");
    // What was given up on a text is not tried on as long a one again.
    let Check::Regex(regex) = &too_late else { unreachable!() };
    assert!(regex.pattern.is_match(&text).is_err());
}

#[test]
fn a_schema_whose_time_has_passed_is_an_error_whatever_it_was_to_show() {
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/text"}}, "$defs": {"text": {"type": "string"}}});
    let source = SchemaSource { label: "inline".into(), schema: Arc::new(schema) };
    let error = json::compile_for(&source, Duration::ZERO).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.hint.as_deref()),
        ("the inline schema takes too long to be read", Some("use fewer references"))
    );
    let check = |longest| {
        let mut schema = json::compile_for(&source, Duration::MAX).unwrap();
        schema.longest = longest;
        Check::Json(json::JsonCheck::Schema { label: "inline".into(), schema: Arc::new(schema) })
    };
    let in_time = check(Duration::MAX);
    assert_eq!(judged(&in_time, false, r#"{"a": "x"}"#), "pass");
    assert!(judged(&in_time, false, r#"{"a": 1}"#).contains("$.a: 1 is not of type"));
    let too_late = check(Duration::ZERO);
    for (negated, text) in [(false, r#"{"a": "x"}"#), (true, r#"{"a": "x"}"#), (false, r#"{"a": 1}"#), (true, r#"{"a": 1}"#)] {
        let judged = judged(&too_late, negated, text);
        assert!(judged.starts_with("error: the inline schema was given up after 0 seconds"), "{judged}");
    }
}

#[test]
fn paths_are_bounded_in_length_and_descents() {
    let path = |path: String| assertion(json!({"json_path": {"path": path, "exists": true}}));
    let long = |bytes: usize| format!("$.{}", "a".repeat(bytes - 2));
    compiled(&path(long(2_000)));
    assert_eq!(refusal_of(&path(long(2_001))), "a JSONPath of 2001 bytes is too long: 2000 may be");
    compiled(&path("$..a..b".to_owned()));
    assert_eq!(refusal_of(&path("$..a..b..c".to_owned())), "the JSONPath `$..a..b..c` has more than 2 descents (`..`)");
    // Filters in filters, as deep as the length allows.
    let nested = |levels: usize| path(format!("$[?{}@.a{}]", "(".repeat(levels), ")".repeat(levels)));
    compiled(&nested(19));
    assert!(refusal_of(&nested(20)).contains("is nested deeper than 20 levels"));
    for hostile in ["(".repeat(1_900), "!".repeat(1_900), "! ".repeat(900), "!(".repeat(900), "@[?".repeat(600), "length(".repeat(250)] {
        assert!(refusal_of(&path(format!("$[?{hostile}"))).contains("is nested deeper than 20 levels"), "{}", &hostile[..6]);
    }
    // Side by side is not in each other.
    compiled(&path(format!("$[?@.a != 1{}]", " && !(@.b == 2)".repeat(50))));
    // Two descents over a nested value end.
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    assert_eq!(of(json!({"json_path": {"path": "$..*..*", "exists": true}}), &deep), "pass");
}

#[test]
fn references_in_a_chain_a_loop_or_to_elsewhere_are_read_or_refused() {
    let chain = |links: usize| {
        let defs = (0..links).map(|link| {
            let next = if link + 1 == links { json!({"type": "integer"}) } else { json!({"$ref": format!("#/$defs/d{}", link + 1)}) };
            (format!("d{link}"), next)
        });
        schema(json!({"$ref": "#/$defs/d0", "$defs": defs.collect::<serde_json::Map<_, _>>()}))
    };
    assert_eq!((say(&chain(1_000), &reply("1")), say(&chain(1_000), &reply("1.5")) == "pass"), ("pass".to_owned(), false));
    assert_eq!(refusal_of(&chain(10_000)), "the inline schema has more than 5000 references");
    for (endless, reference) in [
        (json!({"$ref": "#"}), "#"),
        (json!({"allOf": [{"$ref": "#"}]}), "#"),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}), "#/$defs/a"),
        (json!({"properties": {"x": {"$ref": "#/properties/x"}}}), "#/properties/x"),
        (json!({"$dynamicAnchor": "me", "anyOf": [{"type": "string"}, {"$dynamicRef": "#me"}]}), "#me"),
    ] {
        assert_eq!(
            refusal_of(&schema(endless)),
            format!("the inline schema comes back to itself by `{reference}` without going into a property or an item")
        );
    }
    let tree = json!({"$dynamicAnchor": "node", "required": ["name"], "properties": {"children": {"items": {"$dynamicRef": "#node"}}}});
    assert_eq!(say(&schema(tree.clone()), &reply(r#"{"name": 1, "children": [{"name": 2}]}"#)), "pass");
    assert!(say(&schema(tree), &reply(r#"{"name": 1, "children": [{}]}"#)).contains("$.children[0]"));
    for elsewhere in ["https://example.com/a", "http://127.0.0.1:1/a", "file:///etc/passwd", "other.json", "#/$defs/missing"] {
        for key in ["$ref", "$dynamicRef"] {
            let refusal = refusal_of(&schema(json!({key: elsewhere})));
            assert!(refusal.contains("refers to"), "{key} {elsewhere}: {refusal}");
        }
    }
}

#[test]
fn numbers_at_the_edge_of_what_is_a_number_are_judged_or_refused() {
    // What JSON cannot hold never becomes a schema; the least and the greatest that it can do.
    for (keyword, value) in [("multipleOf", 1e-300), ("minLength", 1e300), ("maximum", -1e308), ("multipleOf", 1e308)] {
        let assertion = schema(json!({keyword: value}));
        if let Ok(compiled) = compile(&assertion, &Variables::new(), &CompileCache::new()) {
            for text in ["1", "0.1", "1e300", "123456789012345678901234567890", "\"x\""] {
                let reply = reply(text);
                words(&evaluate(&compiled, &subject(&reply, Parse::default(), None)));
            }
        }
    }
    assert!(refusal_of(&schema(json!({"multipleOf": 0}))).contains("$.multipleOf"));
    assert!(refusal_of(&schema(json!({"minLength": -1}))).contains("$.minLength"));
    assert!(refusal_of(&schema(json!({"minLength": 1.5}))).contains("$.minLength"));
}

#[test]
fn large_lists_are_judged_whole() {
    let entries: Vec<String> = (0..100_000).map(|entry| format!("entry {entry}")).collect();
    let choice = schema(json!({"enum": entries}));
    assert_eq!(say(&choice, &reply("\"entry 99999\"")), "pass");
    let other = say(&choice, &reply("\"entry\""));
    assert!(other.starts_with("expected") && other.len() < 1_000, "{} bytes", other.len());
    let unique = schema(json!({"uniqueItems": true}));
    let list = |last: usize| format!("[{}{last}]", (0..200_000).map(|item| format!("{item},")).collect::<String>());
    assert_eq!(say(&unique, &reply(&list(200_000))), "pass");
    let twice = say(&unique, &reply(&list(7)));
    assert!(twice.contains("non-unique") && twice.len() < 1_000, "{} bytes", twice.len());
}

#[test]
fn a_pattern_of_a_schema_that_steps_back_without_end_is_an_error() {
    let hard = format!("\"{}\"", "ab".repeat(40));
    let given_up = "error: a `pattern` of the inline schema was given up";
    // Also where a branch of the schema turns "it did not match" into something else.
    let pattern = json!({"pattern": "^(a|b|ab)*(?=c)$"});
    for schema in
        [pattern.clone(), json!({"not": pattern}), json!({"anyOf": [pattern, {"type": "integer"}]}), json!({"if": pattern, "else": true})]
    {
        for negated in [false, true] {
            let judged = say(&Assertion { negated, ..self::schema(schema.clone()) }, &reply(&hard));
            assert!(judged.starts_with(given_up), "{schema} {negated}: {judged}");
        }
        assert!(!say(&self::schema(schema.clone()), &reply("\"abc\"")).starts_with("error"), "{schema}");
    }
    // The same without look-around runs in linear time.
    assert!(say(&schema(json!({"pattern": "^(a|b|ab)*c$"})), &reply(&hard)).starts_with("expected"));
}
