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

/// A path that may take so long.
fn path_for(path: &str, longest: Duration) -> Result<path::Path, CompileError> {
    let cache = CompileCache::new();
    path::parse(path, longest, |asked| cache.in_filter(asked, true))
}

fn judged(check: &Check, negated: bool, text: &str) -> String {
    let reply = reply(text);
    words(&evaluate(&with(check.clone(), negated), &subject(&reply, Parse::default(), None)))
}

#[test]
fn a_regex_whose_time_has_passed_is_an_error_whatever_it_was_to_show() {
    let text = format!("{}b", "a".repeat(1_000));
    let check = |longest| {
        let pattern = Arc::new(pattern::Pattern::compile_for("(?=a)ab", &Arc::default(), longest).unwrap());
        Check::Regex(pattern::RegexCheck { pattern, shown: "(?=a)ab".into() })
    };
    let in_time = check(Duration::MAX);
    assert_eq!(
        (judged(&in_time, false, &text).as_str(), judged(&in_time, false, "b")),
        ("pass", judged(&check(Duration::ZERO), false, "b"))
    );
    assert!(judged(&in_time, true, &text).starts_with("expected no match"));
    let too_late = check(Duration::ZERO);
    assert!(judged(&too_late, false, &text).starts_with("error: the regex `(?=a)ab` was given up after 0 seconds of computing; write"));
    // A short text needs no deadline.
    assert_eq!(judged(&too_late, false, "aab"), "pass");
    // What was given up on a text is not tried on as long a one again.
    let again = judged(&too_late, true, &text);
    assert!(again.starts_with("error: the regex `(?=a)ab` was not tried: on a text that is no longer than this one it was"), "{again}");
    assert!(judged(&check(Duration::ZERO), true, &text).starts_with("error: "));
}

#[test]
fn a_schema_whose_time_has_passed_is_an_error_whatever_it_was_to_show() {
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/text"}}, "$defs": {"text": {"type": "string"}}});
    let source = SchemaSource { label: "inline".into(), schema: Arc::new(schema) };
    let error = json::compile(&source, Duration::ZERO, Duration::MAX).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.hint.as_deref()),
        ("the inline schema takes too long to be read", Some("use fewer references"))
    );
    let check = |longest| {
        let mut schema = json::compile(&source, Duration::MAX, Duration::MAX).unwrap();
        schema.bound = deadline::Bound::new(longest);
        Check::Json(json::JsonCheck::Schema { label: "inline".into(), schema: Arc::new(schema) })
    };
    let in_time = check(Duration::MAX);
    assert_eq!(judged(&in_time, false, r#"{"a": "x"}"#), "pass");
    assert!(judged(&in_time, false, r#"{"a": 1}"#).contains("$.a: 1 is not of type"));
    for (negated, text) in [(false, r#"{"a": "x"}"#), (true, r#"{"a": "x"}"#), (false, r#"{"a": 1}"#), (true, r#"{"a": 1}"#)] {
        let judged = judged(&check(Duration::ZERO), negated, text);
        assert!(judged.starts_with("error: the inline schema was given up after 0 seconds of computing; its references"), "{judged}");
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
fn many_alternatives_for_many_values_are_judged_within_a_time() {
    let alternatives: Vec<Value> = (0..4_000).map(|nth| json!({"const": format!("alternative number {nth:020}")})).collect();
    let source = SchemaSource { label: "inline".into(), schema: Arc::new(json!({"items": {"anyOf": alternatives}})) };
    let mut schema = json::compile(&source, Duration::MAX, Duration::MAX).unwrap();
    schema.bound = deadline::Bound::new(Duration::ZERO);
    let check = Check::Json(json::JsonCheck::Schema { label: "inline".into(), schema: Arc::new(schema) });
    // A few are judged at once.
    assert_eq!(judged(&check, false, r#"["alternative number 00000000000000000007"]"#), "pass");
    let many = format!("[{}1]", "1,".repeat(1_000));
    let first = judged(&check, true, &many);
    assert!(first.starts_with("error: the inline schema was given up after 0 seconds of computing; it holds each of its many"), "{first}");
    let again = judged(&check, false, &many);
    assert!(again.starts_with("error: the inline schema was not tried: "), "{again}");
}

#[test]
fn a_pattern_of_a_schema_that_steps_back_without_end_is_an_error() {
    let hard = format!("\"{}\"", "ab".repeat(40));
    let given_up = "error: a `pattern` of the inline schema was given up";
    // Also where a branch of the schema turns "it did not match" into something else.
    let pattern = json!({"pattern": "^(a|b|ab)*(?=c)$"});
    for schema in
        [pattern.clone(), json!({"not": pattern}), json!({"anyOf": [pattern, {"type": "integer"}]}), json!({"if": pattern, "else": false})]
    {
        for negated in [false, true] {
            let judged = say(&Assertion { negated, ..self::schema(schema.clone()) }, &reply(&hard));
            assert!(judged.starts_with(given_up), "{schema} {negated}: {judged}");
        }
        assert!(!say(&self::schema(schema.clone()), &reply("\"abc\"")).starts_with("error"), "{schema}");
    }
    // The place is named: of the text, or of the pattern that only serves to decide about something larger.
    for (schema, place) in [
        (json!({"properties": {"code": pattern}}), "$.code"),
        (json!({"properties": {"code": {"not": pattern}}}), "the pattern at $.properties.code.not.pattern of the schema"),
    ] {
        let judged = say(&self::schema(schema), &reply(&format!("{{\"code\": {hard}}}")));
        assert!(judged.contains(&format!("steps back ({place})")), "{judged}");
    }
    // The same without look-around runs in linear time.
    assert!(say(&schema(json!({"pattern": "^(a|b|ab)*c$"})), &reply(&hard)).starts_with("expected"));
}

#[test]
fn a_pattern_that_was_given_up_and_decides_nothing_is_no_error() {
    let pattern = json!({"pattern": "^(a|b|ab)*(?=c)$"});
    let hard = format!("\"{}\"", "ab".repeat(40));
    for accepts in
        [json!({"anyOf": [pattern, {"maxLength": 1000}]}), json!({"if": pattern, "then": {"minLength": 1}, "else": {"minLength": 1}})]
    {
        assert_eq!(say(&schema(accepts.clone()), &reply(&hard)), "pass", "{accepts}");
    }
    let rejects = schema(json!({"anyOf": [pattern], "maxLength": 1}));
    assert!(say(&rejects, &reply(&hard)).starts_with("expected"));
}

#[test]
fn a_pattern_with_look_around_is_tried_where_it_stands_and_nowhere_else() {
    // Each begins that many attempts and one step back at each, so that long texts are given up.
    let code = json!({"pattern": "(?<![A-Z])[A-Z]{2}-[0-9](?![0-9])"});
    let asks = json!({"properties": {"code": code, "body": {"type": "string", "description": "(?=that) \\1"}},
        "anyOf": [{"required": ["code"]}, {"required": ["body"]}]});
    let body = |bytes: usize| "Ab-1 ".repeat(bytes / 5);
    for bytes in [21_000, 100_000] {
        let given = json!({"code": "AB-1", "body": body(bytes)}).to_string();
        assert_eq!(say(&schema(asks.clone()), &reply(&given)), "pass", "{bytes}");
    }
    let too_long = |schema: Value, given: Value| say(&self::schema(schema), &reply(&given.to_string()));
    let (long, words) = (body(40_000), "error: the JSON holds a text of more than 32768 bytes");
    // Wherever it stands, the place is named.
    let name = json!({"patternProperties": {"^(?!x)": {"type": "string"}}});
    let node = json!({"properties": {"next": {"$ref": "#"}, "code": code}});
    for (schema, given, place) in [
        (asks.clone(), json!({"code": long, "body": ""}), "$.code"),
        (json!({"not": asks}), json!({"code": long}), "$.code"),
        (
            json!({"items": {"additionalProperties": code, "properties": {"body": true}}}),
            json!([{"body": long}, {"body": "", "c d": long}]),
            "$[1]['c d']",
        ),
        (json!({"prefixItems": [true, {"allOf": [code]}]}), json!([long, long]), "$[1]"),
        (json!({"contains": code}), json!(["", long]), "$[1]"),
        (json!({"propertyNames": code}), json!({long.as_str(): 1}), "$"),
        (json!({"properties": {"a": name}}), json!({"a": {long.as_str(): 1}}), "$.a"),
        (node, json!({"next": {"next": {"code": long}}}), "$.next.next.code"),
        (json!({"$ref": "#/$defs/c", "$defs": {"c": code}}), json!(long), "$"),
    ] {
        let said = too_long(schema.clone(), given);
        assert!(said.starts_with(&format!("{words} ({place})")), "{schema}: {said}");
    }
    for (schema, given) in [
        (json!({"items": {"additionalProperties": code, "properties": {"body": {"type": "string"}}}}), json!([{"body": long}])),
        (json!({"prefixItems": [{"type": "string"}, code]}), json!([long, "AB-1"])),
        (json!({"properties": {"a": name}}), json!({"a": {"b": long}, long.as_str(): 1})),
        (json!({"minLength": 1, "$defs": {"c": code}, "examples": [code]}), json!(long)),
    ] {
        assert_eq!(too_long(schema.clone(), given), "pass", "{schema}");
    }
}

#[test]
fn a_path_whose_time_has_passed_is_an_error_whatever_it_was_to_show() {
    let check = |path: &str, longest| {
        let path = Arc::new(path_for(path, longest).unwrap());
        Check::JsonPath(Arc::new(json_path::PathCheck { path, shown: "$[?...]".into(), checks: Vec::new(), absent: true }))
    };
    for path in ["$[?$[?$[?@>0]]]", r"$[?search(@, '\\w{80}q')]", "$..*..*"] {
        let in_time = check(path, Duration::MAX);
        assert_eq!((judged(&in_time, false, "0").as_str(), judged(&in_time, true, "0") == "pass"), ("pass", false), "{path}");
        for negated in [false, true] {
            let judged = judged(&check(path, Duration::ZERO), negated, "[0]");
            assert!(
                judged.starts_with("error: the JSONPath") && judged.contains("was given up after 0 seconds of computing; its filters"),
                "{judged}"
            );
        }
    }
    // Every other path takes time linear in the reply.
    assert_eq!(judged(&check("$.a[0:2].b", Duration::ZERO), false, "[0]"), "pass");
    assert!(
        of(json!({"json_path": {"path": "$[?@.a > 1].b['c d']", "equals": 1}}), r#"[{"a": 2, "b": {"c d": 2}}]"#)
            .contains("$[0].b['c d'] is 2")
    );
}

#[test]
fn a_path_that_was_given_up_is_not_tried_again() {
    let path = path_for("$[?@ > 0]", Duration::ZERO).unwrap();
    let reply = reply("[1]");
    let subject = subject(&reply, Parse::default(), None);
    let json = subject.json().unwrap();
    assert!(path.values(json, &subject).is_err() && path.located(json, &subject).is_empty());
}

#[test]
fn what_was_given_up_on_a_long_reply_is_judged_on_a_shorter_one() {
    let (short, long) = (r#"[{"id": 1}]"#, r#"[{"id": 1}, {"name": 2}]"#);
    let path = path_for("$[?count($[?@.id == 1]) == 1]", Duration::MAX).unwrap();
    path.give_up(long.len());
    let path = Check::JsonPath(Arc::new(json_path::PathCheck {
        path: Arc::new(path),
        shown: "$[?...]".into(),
        checks: Vec::new(),
        absent: false,
    }));
    let reference = json!({"type": "array", "items": {"$ref": "#/$defs/item"}, "$defs": {"item": {"type": "object"}}});
    let source = SchemaSource { label: "inline".into(), schema: Arc::new(reference) };
    let schema = json::compile(&source, Duration::MAX, Duration::MAX).unwrap();
    schema.bound.give_up(long.len());
    let schema = Check::Json(json::JsonCheck::Schema { label: "inline".into(), schema: Arc::new(schema) });
    for check in [path, schema] {
        let not_tried = judged(&check, false, long);
        assert!(not_tried.contains(" was not tried: on a text that is no longer than this one it was given up; its "), "{not_tried}");
        assert_eq!(judged(&check, false, short), "pass", "{not_tried}");
    }
}

#[test]
fn what_a_path_found_in_time_is_looked_for_once() {
    // The second look would be one too many.
    let path = Arc::new(path_for("$[?@ > 0]", Duration::MAX).unwrap());
    let check = json_path::PathCheck { path, shown: "$[?@ > 0]".into(), checks: Vec::new(), absent: true };
    let reply = reply("[0, 7]");
    let subject = subject(&reply, Parse::default(), None);
    assert!(matches!(check.find(&subject), Finding::Differs));
    check.path.give_up(0);
    assert_eq!(check.failure(&subject, false).got, "$[1] is 7");
}

/// Assertions until one is refused because all together take too much: how many were taken, and what was said.
fn taken(most: usize, one: impl Fn(usize) -> Assertion) -> (usize, String) {
    let cache = CompileCache::up_to(most);
    // Where nothing is counted, none is refused.
    let errors = (0..64).map(|nth| compile(&one(nth), &Variables::new(), &cache).err());
    let (taken, error) = errors.enumerate().find(|(_, error)| error.is_some() && cache.is_over()).unwrap();
    (taken, error.unwrap().message)
}

#[test]
fn the_regexes_of_a_project_together_are_bounded_wherever_they_stand() {
    const MOST: usize = 3 << 20;
    let regex = |repeated: usize| format!(r"zz\p{{L}}{{{repeated}}}q");
    let too_much = |repeated| format!("with `{}` the regexes of this project take more than 3 MiB when compiled", regex(repeated));
    // Each takes some half a megabyte.
    let (few, error) = taken(MOST, |nth| assertion(json!({"regex": regex(10 + nth)})));
    assert!((3..8).contains(&few) && error == too_much(10 + few), "{few} {error}");
    let (same, error) = taken(MOST, |nth| assertion(json!({"json_path": {"path": "$", "matches": regex(10 + nth)}})));
    assert!(same == few && error == too_much(10 + few), "{same} {error}");
    // A schema keeps one more of each, and each schema its own.
    for one in [
        |pattern: &str, nth| json!({"pattern": format!("{pattern}{{{}}}", 10 + nth)}),
        |pattern: &str, nth| json!({"items": {"patternProperties": {(format!("{pattern}{{{}}}", 10 + nth)): false}}}),
        |pattern: &str, _| json!({"required": ["a"], "properties": {"a": {"pattern": format!("{pattern}{{10}}")}}}),
    ] {
        let (taken, error) = taken(MOST, |nth| schema(one(r"zz\p{L}", nth)));
        assert!((1..6).contains(&taken), "{taken}");
        assert!(error.starts_with(r"a `pattern` of the inline schema: with `zz\p{L}{"), "{error}");
    }
    // Too large ones cost as much as large ones, and are not tried for ever.
    let (tried, error) = taken(100 << 20, |nth| assertion(json!({"regex": format!(r"\p{{L}}{{{}}}", 900 + nth)})));
    assert_eq!((tried, error.as_str()), (5, r"with `\p{L}{905}` the regexes of this project take more than 100 MiB when compiled"));
    // With a variable: compiled for each case.
    let case = |nth: usize| Variables::from_iter([("n".to_owned(), Value::from(40 + nth))]);
    let cache = CompileCache::up_to(MOST);
    let of_case = assertion(json!({"regex": r"\p{L}{ {{- n -}} }"}));
    let errors: Vec<_> = (0..5).filter_map(|nth| compile(&of_case, &case(nth), &cache).err()).collect();
    assert!(errors.len() >= 3 && errors.iter().all(|error| error.message.contains("take more than 3 MiB")), "{errors:?}");
}

#[test]
fn ordinary_regexes_are_not_counted_and_a_class_of_a_schema_is_what_it_means_there() {
    let cache = CompileCache::up_to(3 << 20);
    for nth in 0..2_000 {
        for regex in [format!(r"^order {nth}$"), format!(r"(?i)\b(yes|no) {nth}")] {
            compile(&assertion(json!({"regex": regex})), &Variables::new(), &cache).unwrap();
        }
    }
    for nth in 0..50 {
        compile(&schema(json!({"pattern": format!(r"^\w{{1,64}}@{nth}$")})), &Variables::new(), &cache).unwrap();
    }
    assert!(!cache.is_over());
}

#[test]
fn a_regex_is_compiled_once_to_know_what_it_takes() {
    let cache = CompileCache::bounded();
    let compiled = compile(&assertion(json!({"regex": r"zz\w{30}q"})), &Variables::new(), &cache).unwrap();
    let Check::Regex(regex) = &compiled.check else { panic!("{compiled:?}") };
    assert!((1 << 20..2 << 20).contains(&regex.pattern.bytes()), "{}", regex.pattern.bytes());
}

#[test]
fn a_pattern_that_is_long_as_it_is_written_is_refused_before_it_is_read() {
    // Each class becomes some kilobytes before the size of the whole is known.
    assert!(refusal_of(&assertion(json!({"regex": r"\w".repeat(40_000)}))).ends_with("has 80000 bytes: 65536 are the most"));
    let list = (0..4_000).map(|nth| format!("word {nth}")).collect::<Vec<_>>().join("|");
    compile(&assertion(json!({"regex": list})), &Variables::new(), &CompileCache::new()).unwrap();
    // The library reads a schema's pattern anew for each class that it translates.
    let many = r"\w".repeat(json::MOST_ESCAPES + 1);
    for schema in [
        schema(json!({"pattern": many})),
        schema(json!({"$defs": {"a": {"patternProperties": {many.clone(): false}}}, "$ref": "#/$defs/a"})),
    ] {
        let refusal = refusal_of(&schema);
        assert!(refusal.ends_with("has 201 backslashes: a schema's may have 200"), "{refusal}");
    }
    compile(&schema(json!({"pattern": format!("^{}$", r"\d".repeat(30))})), &Variables::new(), &CompileCache::bounded()).unwrap();
    // A plain one is read twice there as well, by us and by the library.
    for cache in [CompileCache::new(), CompileCache::bounded()] {
        let error = compile(&schema(json!({"pattern": "x".repeat(65_537)})), &Variables::new(), &cache).unwrap_err();
        assert!(error.message.ends_with("has 65537 bytes: 65536 are the most"), "{error:?}");
    }
}

#[test]
fn a_schema_of_any_number_of_small_patterns_ends_and_one_of_hundreds_is_read() {
    let of = |properties: usize| {
        let patterns = (0..properties).map(|nth| (format!("p{nth}"), json!({"pattern": format!("^order {nth}$")})));
        schema(json!({"properties": patterns.collect::<serde_json::Map<_, _>>()}))
    };
    let cache = CompileCache::bounded();
    compile(&of(800), &Variables::new(), &cache).unwrap();
    assert!(!cache.is_over());
    let error = compile(&of(100_000), &Variables::new(), &cache).unwrap_err();
    assert!(error.message.starts_with("a `pattern` of the inline schema: with `^order "), "{error}");
    assert!(error.message.ends_with("` the patterns of this project's schemas take more than 128 MiB when compiled"), "{error}");
    assert!(cache.is_over());
}

#[test]
fn after_some_checks_that_were_given_up_the_run_tries_no_more_of_them() {
    let cache = CompileCache::taking(Duration::ZERO);
    let case = |nth: usize| Variables::from_iter([("n".to_owned(), Value::from(nth))]);
    let judged = |kind: Value, nth, text: &str| {
        let compiled = compile(&assertion(kind), &case(nth), &cache).unwrap();
        let reply = reply(text);
        words(&evaluate(&compiled, &subject(&reply, Parse::default(), None)))
    };
    let long = format!("{}b", "a".repeat(1_000));
    for nth in 0..1_000 {
        let said = judged(json!({"json_path": {"path": "$[?@.id == {{ n }}]", "exists": false}}), nth, "[]");
        let expected =
            if nth < 2 { "was given up after 0 seconds of computing; its filters" } else { "was not tried: 2 checks were given up" };
        assert!(said.starts_with("error: the JSONPath `$[?@.id == ") && said.contains(expected), "{nth} {said}");
    }
    // Of whatever kind.
    let said = judged(json!({"regex": "(?=a)ab"}), 0, &long);
    assert_eq!(said, "error: the regex `(?=a)ab` was not tried: 2 checks were given up before it; mend those first");
    let reference = json!({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string"}}});
    let said = judged(json!({"json_schema": reference}), 0, "[1]");
    assert_eq!(said, "error: the inline schema was not tried: 2 checks were given up before it; mend those first", "but it is read");
    // What needs no thread of its own is judged as ever.
    assert_eq!(judged(json!({"regex": "a+b$"}), 0, &long), "pass");
    assert_eq!(judged(json!({"json_path": {"path": "$.id", "equals": 1}}), 0, r#"{"id": 1}"#), "pass");
}
