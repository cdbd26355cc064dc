//! Is a regex in a filter of a JSONPath read once, counted, and refused where it is none?

use super::*;

fn absent(path: &str) -> Assertion {
    assertion(json!({"json_path": {"path": path, "exists": false}}))
}

/// The values at a path.
fn found(path: &str, json: &Value) -> Result<Vec<Value>, String> {
    let cache = CompileCache::new();
    let path = path::parse(path, std::time::Duration::MAX, |asked| cache.in_filter(asked, true)).unwrap();
    let reply = reply(&json.to_string());
    let subject = subject(&reply, Parse::default(), None);
    path.values(subject.json().unwrap(), &subject).map(|values| values.into_iter().cloned().collect())
}

fn refusal(path: &str) -> String {
    let error = compile(&absent(path), &Variables::new(), &CompileCache::bounded()).unwrap_err();
    assert!(error.hint.is_some(), "{error}");
    error.message
}

#[test]
fn a_filter_searches_and_matches_by_the_rules_of_the_specification() {
    // RFC 9535, 2.3.5.3 (the example's `o` left out) and 2.4.6 and 2.4.7.
    let given =
        json!({"a": [3, 5, 1, 2, 4, 6, {"b": "j"}, {"b": "k"}, {"b": {}}, {"b": "kilo"}], "regex": "[jk]", "none": "(", "number": 1});
    let texts = json!(["ab", "xaby", "a\nb", "a\rb", "a\u{2028}b", "", 1, null]);
    for (path, json, expected) in [
        (r#"$.a[?match(@.b, "[jk]")]"#, &given, json!([{"b": "j"}, {"b": "k"}])),
        (r#"$.a[?search(@.b, "[jk]")]"#, &given, json!([{"b": "j"}, {"b": "k"}, {"b": "kilo"}])),
        (r#"$.a[?!search(@.b, '^k') && @.b]"#, &given, json!([{"b": "j"}, {"b": {}}])),
        // Taken from the reply: another, and one that is none or no text, which matches nothing.
        ("$.a[?match(@.b, $.regex)]", &given, json!([{"b": "j"}, {"b": "k"}])),
        ("$.a[?search(@.b, $.regex)]", &given, json!([{"b": "j"}, {"b": "k"}, {"b": "kilo"}])),
        ("$.a[?search(@.b, $.none) || match(@.b, $.number) || match(@.b, $.missing)]", &given, json!([])),
        ("$.a[?search('kilo', @.b)]", &given, json!([{"b": "k"}, {"b": "kilo"}])),
        // The same regex in both, and alternatives within what must be the whole.
        ("$[?search(@, 'a|b') && !match(@, 'a|b') && match(@, 'ab|xaby')]", &texts, json!(["ab", "xaby"])),
        // A dot is any character but the ends of a line.
        ("$[?match(@, 'a.b')]", &texts, json!(["a\u{2028}b"])),
        ("$[?match(@, '')]", &texts, json!([""])),
        (r"$[?match(@, '\\w\\u0062')]", &texts, json!(["ab"])),
    ] {
        assert_eq!(found(path, json), Ok(expected.as_array().unwrap().clone()), "{path}");
    }
}

#[test]
fn what_is_no_regex_in_a_filter_is_refused_before_anything_is_asked() {
    for (path, said) in [
        ("$[?search(@.a, '(')]", "a filter of the JSONPath `$[?search(@.a, '(')]`: invalid regex `(`: unclosed group"),
        ("$[?@.b == 1 && !match(@.a, 'a)|(b')]", "invalid regex `a)|(b`: unopened group"),
        ("$[?search(@.a, '(?x)a#')]", "invalid regex `(?x)a#`: unclosed group"),
        ("$[?search(@.a, '(?=a)b')]", "look-around"),
        (r"$[?search(@.a, '(a)\\1')]", "backreferences"),
        ("$[?count(@[?match(@, '[')]) > 0]", "invalid regex `[`: unclosed character class"),
        (r"$[?search(@.a, '\\w{1000}')]", r"the regex `\w{1000}` is too large when compiled"),
        ("$[?search(@.a)]", "invalid JSONPath"),
        ("$[?match(@.*, 'a')]", "invalid JSONPath"),
        ("$[?match(@.a, 'a') == true]", "invalid JSONPath"),
    ] {
        let refusal = refusal(path);
        assert!(refusal.contains(said), "{path}: {refusal}");
    }
    // A text that only looks like one.
    for path in ["$[?@.a == \"search(@.b, '(')\"]", "$['match(@.a, \"(\")']", "$.search"] {
        compile(&absent(path), &Variables::new(), &CompileCache::bounded()).unwrap();
    }
}

#[test]
fn the_regexes_of_filters_count_with_all_others_of_a_project() {
    const MOST: usize = 3 << 20;
    let taken = |one: &dyn Fn(usize) -> (Assertion, Variables)| {
        let cache = CompileCache::up_to(MOST);
        let errors = (0..100).map(|nth| {
            let (assertion, variables) = one(nth);
            compile(&assertion, &variables, &cache).err()
        });
        errors.enumerate().find_map(|(nth, error)| Some((nth, error?.message))).unwrap()
    };
    // As many as of `regex`, each of half a megabyte.
    let (few, error) = taken(&|nth| (absent(&format!(r"$[?search(@.a, 'zz\\p{{L}}{{{}}}q')]", 10 + nth)), Variables::new()));
    assert!((3..8).contains(&few), "{few} {error}");
    let with = format!(r"with `zz\p{{L}}{{{}}}q` the regexes of this project take more than 3 MiB when compiled", 10 + few);
    assert!(error.starts_with("a filter of the JSONPath `") && error.ends_with(&with), "{error}");
    // All of one path, at any depth; and those of each case.
    let (none, _) = taken(&|_| {
        let each = (10..30).map(|times| format!(r"count(@[?match(@, '\\p{{L}}{{{times}}}')]) > 1")).collect::<Vec<_>>().join(" || ");
        (absent(&format!("$[?{each}]")), Variables::new())
    });
    assert_eq!(none, 0);
    let (cases, _) =
        taken(&|nth| (absent(r"$[?search(@.a, '\\p{L}{ {{- n -}} }')]"), Variables::from_iter([("n".to_owned(), Value::from(40 + nth))])));
    assert!((1..3).contains(&cases), "{cases}");
    // The same in many paths is compiled once.
    let cache = CompileCache::up_to(MOST);
    for nth in 0..100 {
        compile(&absent(&format!(r"$.a{nth}[?search(@.a, '\\p{{L}}{{40}}')]")), &Variables::new(), &cache).unwrap();
    }
}

#[test]
fn a_regex_is_read_once_for_all_values_of_a_query() {
    let many = Value::from((0..2_000).map(|nth| json!({"a": format!("order {nth}"), "regex": r"\d{4}"})).collect::<Vec<_>>());
    // A thread of its own counts what a query in it compiles.
    let count = |path: &'static str, many: &Value| {
        let (many, cache) = (many.clone(), CompileCache::new());
        std::thread::spawn(move || {
            let (parsed, asked) = filter::read(path);
            let regexes: filter::Regexes = asked.into_iter().map(|asked| (asked.clone(), cache.in_filter(&asked, true).unwrap())).collect();
            let read = pattern::COMPILED.get();
            let found = filter::with(&regexes, || parsed.unwrap().query(&many).len()).unwrap();
            (found, read, pattern::COMPILED.get() - read)
        })
        .join()
        .unwrap()
    };
    assert_eq!(count(r"$[?search(@.a, '\\d{4}') || match(@.a, '\\d{4}')]", &many), (1_000, 2, 0));
    assert_eq!(count("$[?search(@.a, @.regex)]", &many), (1_000, 0, 1));
}

#[test]
fn a_regex_of_the_reply_that_nobody_can_compile_is_no_verdict() {
    for (regex, why) in [("a".repeat(70_000), "too long"), (r"\w{1000}".to_owned(), "too large when compiled")] {
        let error = found("$.a[?search(@, $.regex)]", &json!({"a": ["b"], "regex": regex})).unwrap_err();
        assert!(error.starts_with("the JSONPath `$.a[?search(@, $.regex)]` was given up: the regex `"), "{error}");
        assert!(error.ends_with(&format!("that it takes from the reply is {why}; write the regex into the path")), "{error}");
        assert!(error.len() < 1_000);
    }
    // Any number of them, each another.
    let each = Value::from((0..3_000).map(|nth| json!({"a": format!("order {nth}"), "regex": format!("er {nth}$")})).collect::<Vec<_>>());
    assert_eq!(found("$[?search(@.a, @.regex)]", &each).unwrap().len(), 3_000);
}

#[test]
fn more_values_than_have_room_with_their_places_are_an_error_or_shown_without() {
    // A hundred levels, and below them as many values as a reply of a megabyte has.
    let deep = |values: usize| format!("{}{}{}", "[".repeat(100), vec!["1"; values].join(","), "]".repeat(100));
    let of = |kind: Value, text: &str| say(&assertion(kind), &reply(text));
    let each = json!({"json_path": {"path": "$..*", "equals": 2}});
    let (few, many) = (of(each.clone(), &deep(3)), of(each, &deep(100_000)));
    assert!(few.contains("[0][0][0] is ") && many.contains("$..* is "), "{few}\n{many}");
    assert!(many.contains("and 100094 more") && many.len() < 5_000, "{many}");
    let filtered = of(json!({"json_path": {"path": "$..[?@ == 1]", "exists": false}}), &deep(100_000));
    assert_eq!(
        filtered,
        "error: the JSONPath `$..[?@ == 1]` was given up: it finds 100000 values in a reply that is nested 101 levels deep; let it find fewer"
    );
    // Many that are not deep, and few that are.
    let flat = format!("[{}]", vec!["1"; 100_000].join(","));
    assert!(of(json!({"json_path": {"path": "$[?@ == 1]", "exists": false}}), &flat).contains("$[0] is 1"));
    assert_eq!(of(json!({"json_path": {"path": "$..[?@ == 2]", "exists": false}}), &deep(100_000)), "pass");
}
