//! Does each mistake say what a newcomer needs?

use super::Project;

/// A suite that is right but for what `rest` adds or says otherwise.
fn suite(rest: &str) -> Project {
    Project::with(&[("suites/a.yaml", &format!("suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\n{rest}"))])
}

const CASE: &str = "cases:\n  - id: one\n    vars: {ticket: x}\n    assert: [{contains: x}]\n";

#[test]
fn misspelled_keys_are_all_named_with_what_was_meant() {
    let project = suite(
        "asert:\n  - contains: x\nsampels: 3\ngate: {min_pass_rat: 0.9}\nassert:\n  - contians: x\n  - length: {max_word: 3}\n  - json_path: {path: $.a, equal: 1}\n\
         cases:\n  - id: one\n    var: {ticket: x}\n  - id: two\n    vars: {ticket: x}\n    assert:\n      - not: {contain: y}\n",
    );
    insta::assert_snapshot!(project.problems());
}

#[test]
fn wrong_types_are_said_in_words() {
    let project = suite(
        "samples: many\nparse: {fenced: yes}\ngate: {min_pass_rate: \"0.9\", max_cost_usd: 1e-3}\nsnapshot: jsn\npass: {at_least: two}\n\
         assert:\n  - length: 60\n  - contains:\n  - contains_any: x\n  - refusal: nevr\n  - json_schema: [1]\n  - just words\n  - max_output_tokens: -5\n\
         cases:\n  - id: one\n    vars: ticket\n    tags: billing\n    inherit: 0\n  - two\n",
    );
    insta::assert_snapshot!(project.problems());
}

#[test]
fn missing_keys_and_empty_files() {
    let project = Project::with(&[
        ("suites/a.yaml", "description: nothing else\n"),
        ("suites/b.yaml", ""),
        ("suites/c.yaml", "- a list\n"),
        ("suites/d.yaml", "suite: d\nprompt: triage\nmodels: []\ncases: []\n"),
        ("suites/e.yaml", "suite: e\nprompt: []\nmodels: [{label: x}]\ncases:\n  - vars: {ticket: x}\n  - {id: '', vars: {ticket: x}}\n"),
    ]);
    insta::assert_snapshot!(project.problems());
}

/// Blocks of a prompt file, of which these are marked.
fn marked(marks: &[&str]) -> String {
    let block = |mark: &&str| match *mark {
        "" => "  - {type: text, text: plain}\n".to_owned(),
        life => format!("  - {{type: text, text: kept, cache_control: {{type: ephemeral, ttl: {life}}}}}\n"),
    };
    let system: String = marks.iter().map(block).collect();
    format!(
        "system:\n{system}messages:\n  - role: user\n    content:\n      - {{type: text, text: \"{{{{ ticket }}}}\", cache_control: {{type: ephemeral}}}}\n"
    )
}

#[test]
fn marks_that_the_api_refuses() {
    let with = |keys: &str, marks: &[&str]| {
        let project = Project::with(&[
            (
                "suites/a.yaml",
                &format!(
                    "suite: a\nprompt: marked\nmodels: [claude-haiku-4-5]\n{keys}{CASE}  - id: two\n    vars: {{ticket: y}}\n    assert: [{{contains: x}}]\n"
                ),
            ),
            ("suites/prompts/marked/1.yaml", &marked(marks)),
        ]);
        project.problems()
    };
    // The turn's own mark is the fifth.
    insta::assert_snapshot!(with("", &["5m", "5m", "", "5m", "5m"]));
    assert_eq!(with("cache: explicit\n", &["5m", "5m", "", "5m", "5m"]), with("", &["5m", "5m", "", "5m", "5m"]));
    // Tools are read first, and their marks count too.
    insta::assert_snapshot!(with(
        "request: {tools: [{name: f, input_schema: {type: object}, cache_control: {type: ephemeral}}]}\n",
        &["5m", "5m", "5m"]
    ));
    insta::assert_snapshot!(with("", &["5m", "1h"]));
    for sound in [&["1h", "5m", "5m"][..], &["5m", "5m", "5m"], &[""]] {
        assert_eq!(with("", sound), "", "{sound:?}");
    }
    assert_eq!(with("cache: \"off\"\n", &["5m", "1h", "5m", "5m", "5m"]), "", "none of them is sent");
}

#[test]
fn a_duplicate_key_hides_no_other_mistake() {
    let said =
        suite("samples: 1\nsamples: 2\nsampels: 3\ncases:\n  - id: one\n    vars: {ticket: x}\n    assert: [{contians: x}]\n").problems();
    assert!(said.contains("duplicate key `samples`") && said.contains("`sampels`") && said.contains("`contians`"), "{said}");
    let project = suite(CASE);
    project.write("suites/prompts/triage/1.md", "---\ndescription: a\ndescription: b\nreqest: {}\n---\nuser:\n{{ ticket }}\n");
    let said = project.problems();
    assert!(said.contains("duplicate key `description`") && said.contains("`reqest`"), "{said}");
}

#[test]
fn a_suite_whose_name_ends_in_capitals_is_read() {
    let project = Project::with(&[("suites/a.YAML", &format!("suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\n{CASE}"))]);
    assert_eq!(project.suite().name, "a");
}

#[test]
fn yaml_mistakes() {
    let project = Project::with(&[
        ("suites/a.yaml", "suite: a\nmodels:\n\t- x\n"),
        ("suites/b.yaml", "suite: b\nsuite: c\ncases:\n  - {id: x, id: y}\n"),
        ("suites/c.yaml", "suite: c: d\n"),
        ("suites/d.yaml", "suite: d\ncases:\n  - id: x\n    vars: {ticket: {{ x }}}\n"),
        ("suites/e.yaml", "suite: e\nmodels: [a, b\ncases: 1\n"),
        ("suites/f.yaml", "suite: f\ndescription: @home\n"),
        ("suites/g.yaml", "suite: g\n---\nsuite: h\n"),
        ("suites/h.yaml", "suite: *x\n"),
        ("suites/i.yaml", "suite: \"x\nmodels: 1\n"),
        ("suites/j.yaml", "suite: !include x\n"),
    ]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn a_mistake_behind_lone_carriage_returns_stands_in_a_line_that_there_is() {
    // To YAML each of them ends a line, to an editor none does.
    let project = Project::with(&[("suites/a.yaml", "suite: a\nmodels:\r\r\r [claude-haiku-4-5\n")]);
    let problems = project.load().problems;
    let place = problems[0].place.clone().unwrap();
    assert_eq!(place.line, 2, "{}", super::plain(&problems));
    assert!(place.source.chars().nth(place.column as usize - 1) == Some('['), "{place:?}");
    let project = Project::with(&[("suites/a.yaml", "suite: a\n\r\rmodels: [claude-haiku-4-5}\nb: 1\n")]);
    let problems = project.load().problems;
    let place = problems[0].place.clone().unwrap();
    assert_eq!(place.line, 2, "{}", super::plain(&problems));
    assert!(place.source.chars().nth(place.column as usize - 1) == Some('['), "{place:?}");
}

#[test]
fn models_and_endpoints() {
    let project = Project::with(&[(
        "suites/a.yaml",
        "suite: a\nprompt: triage\nmodels:\n  - claude-haiku-45\n  - claude-3-5-sonnet-20241022\n  - gpt-99\n  - {id: claude-haiku-4-5, endpoint: antropic}\n  - claude-haiku-4-5\n  - {id: mine, price: unpriced, label: ' '}\n\
         cases:\n  - id: one\n    vars: {ticket: x}\n",
    )]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn undefined_and_unused_variables() {
    let project = Project::with(&[
        ("suites/prompts/triage/1.md", "system:\nBe {{ mood }}.\n\nuser:\n{{ tikcet }} {{ tikcet }}\n{{ user.name }}\n"),
        (
            "suites/a.yaml",
            "suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\nassert:\n  - contains: \"{{ expcted }}\"\n\
             cases:\n  - id: one\n    vars: {ticket: x, user: {}, expected: y, moot: z}\n  - id: two\n    vars: {ticket: x, user: {}, expected: y, moot: z}\n  - id: three\n",
        ),
    ]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn a_snapshot_that_cannot_change_is_refused() {
    let told = |snapshot: &str| suite(&format!("snapshot: {snapshot}\ncases:\n  - id: one\n    vars: {{ticket: x}}\n")).problems();
    for useless in ["{compare: json, ignore: [$]}", "{compare: json, ignore: [$.id, '$.*']}", "{compare: similar, threshold: 0}"] {
        let told = told(useless);
        assert!(told.contains("this snapshot cannot change") && told.contains("hint: "), "{useless}: {told}");
    }
    assert_eq!(told("{compare: json, ignore: [$.id, '$.items[*].id']}"), "");
    // A filter that looks at everything for each item would have no end.
    for hostile in ["$[?$[?$[?@>0]]]", "$.a[?@.b == $.c]", "$[?@.b[?@.c]]", "$[?count(@[?@.a]) > 1]", "$[?search(@.a, 'x') && $.b]"] {
        let said = told(&format!("{{compare: json, ignore: [\"{hostile}\"]}}"));
        assert!(said.contains("looks at the whole answer, or filters, for each of its items"), "{hostile}: {said}");
    }
    for path in ["$[?@.id == 1, ?@['b?$'] == '$?'].c[?search(@.a, 'x, y?$')]", "$..items[?@.kind == 'time'].at"] {
        assert_eq!(told(&format!("{{compare: json, ignore: [\"{path}\"]}}")), "", "{path}");
    }
}

#[test]
fn a_variable_that_nothing_uses_is_told_once_for_all_cases() {
    let project = suite("cases:\n  - id: one\n    vars: {ticket: x, mood: a}\n  - id: two\n    vars: {ticket: x, mood: b}\n");
    insta::assert_snapshot!(project.problems(), @"
    error: no prompt and no assertion uses the variable `mood`, which 2 cases give
     --> suites/a.yaml:6:23
      |     vars: {ticket: x, mood: a}
      |                       ^^^^
      hint: write `{{ mood }}` where it belongs, or take it away
    ");
}

#[test]
fn names_that_stand_twice() {
    let project = Project::with(&[
        (
            "suites/a.yaml",
            &format!(
                "suite: a\nprompt: [triage, triage@1]\nmodels: [claude-haiku-4-5]\n{CASE}  - id: one\n    vars: {{ticket: y}}\n  - from: fixtures/t.csv\n"
            ),
        ),
        ("suites/b.yaml", &format!("suite: b\nprompt: triage\nmodels: [claude-haiku-4-5]\n{CASE}")),
        ("suites/c.yaml", &format!("suite: b\nprompt: triage\nmodels: [claude-haiku-4-5]\n{CASE}")),
        ("fixtures/t.csv", "id,ticket\none,a\ntwo,b\ntwo,c\n"),
    ]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn assertions_that_cannot_be() {
    let project = suite(
        "assert:\n  - regex: \"(unclosed\"\n  - regex: \"\"\n  - json_path: {path: \"$.[\", exists: true}\n  - json_path: {path: $.a}\n  - json_path: {path: $.a, exists: false, equals: 1}\n  - json_schema: {type: strng}\n  - json_schema: fixtures/broken.schema.json\n  - json_schema: fixtures/missing.schema.json\n  - json_schema: fixtures/comma.json\n  - contains: \"\"\n  - contains_any: []\n  - similar: {to: x, threshold: 2}\n  - json: false\n  - length: {min_words: 5, max_words: 3}\n  - length: {}\n  - {contains: a, equals: b}\n  - {name: nothing}\n  - not: {}\n  - contains: \"{{ x\"\n  - stop_reason: end_trun\n  - max_cost_usd: free\n  - max_cost_usd: -1\n  - contains\n  - jsn\n\
         cases:\n  - id: one\n    vars: {ticket: x}\n",
    );
    project.write("fixtures/broken.schema.json", r#"{"type": "object", "properties": {"a": {"minimum": "x"}}}"#);
    project.write("fixtures/comma.json", "{\"type\": \"object\",\n \"required\": [\"a\",]}");
    insta::assert_snapshot!(project.problems());
}

#[test]
fn cases_that_cannot_fail() {
    let project = suite(
        "snapshot: off\ncases:\n  - id: one\n    vars: {ticket: x}\n  - id: two\n    vars: {ticket: x}\n    assert: [{contains: x, severity: warn}, {refusal: allowed}]\n  - id: three\n    vars: {ticket: x}\n    assert: [{contains: x}]\n",
    );
    insta::assert_snapshot!(project.problems());
}

#[test]
fn paths() {
    let project = suite(
        "assert: [{contains: x}]\ncases:\n  - id: a\n    vars: {ticket: {file: ../secret.txt}}\n  - id: b\n    vars: {ticket: {file: /etc/passwd}}\n  - id: c\n    vars: {ticket: {file: fixtures}}\n  - id: d\n    vars: {ticket: {file: fixtures/lon-thread.txt}}\n  - id: e\n    vars: {ticket: {file: fixtures/latin.txt}}\n  - id: f\n    vars: {ticket: {file: fixtures/link.txt}}\n  - id: g\n    vars: {ticket: {file: fixtures/long-thread.txt, as: json}}\n  - id: h\n    vars: {ticket: {file: fixtures/big.txt}}\n  - id: i\n    vars: {ticket: {file: C:\\x.txt}}\n  - id: j\n    vars: {ticket: {file: ''}}\n",
    );
    project.write("fixtures/long-thread.txt", "x");
    std::fs::write(project.root().join("fixtures/latin.txt"), b"caf\xe9\n").unwrap();
    std::fs::File::create(project.root().join("fixtures/big.txt")).unwrap().set_len((100 << 20) + 1).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/hostname", project.root().join("fixtures/link.txt")).unwrap();
    insta::assert_snapshot!(project.problems());
}

#[test]
fn tables() {
    let project = suite(
        "assert: [{contains: x}]\ncases:\n  - from: fixtures/ragged.csv\n  - from: fixtures/noid.csv\n  - {from: fixtures/noid.csv, id_from: nmae}\n  - from: fixtures/bad.jsonl\n  - from: fixtures/empty.csv\n  - from: fixtures/twice.csv\n  - from: fixtures/x.txt\n  - from: fixtures/nolist.json\n  - from: fixtures/rows.json\n  - from: fixtures/rows.yaml\n  - {from: fixtures/good.csv, id: x}\n  - {id: y, id_from: z}\n  - from: fixtures/good.csv\n",
    );
    project.write("fixtures/ragged.csv", "id,ticket\na,b\nc\nd,e,f\n");
    project.write("fixtures/noid.csv", "name,ticket\na,b\n");
    project.write("fixtures/bad.jsonl", "{\"id\": \"a\", \"ticket\": 1}\n{\"id\": \"b\",}\n[1]\n{\"id\": \"c\", \"id\": \"d\"}\n");
    project.write("fixtures/empty.csv", "id,ticket\n");
    project.write("fixtures/twice.csv", "id,ticket,ticket\na,b,c\n");
    project.write("fixtures/x.txt", "id,ticket\n");
    project.write("fixtures/nolist.json", "{}");
    project.write(
        "fixtures/rows.json",
        "[\n{\"id\": \"a\", \"ticket\": \"x\"},\n{\"id\": \"\", \"ticket\": \"x\"},\n{\"ticket\": \"x\", \"tags\": 1},\n 5]",
    );
    project.write(
        "fixtures/rows.yaml",
        "- {id: r1, ticket: x, tags: 1}\n- {id: r2, ticket: x, assert: [{contians: x}]}\n- {id: r3, ticket: x, assert: {regex: '('}}\n",
    );
    project.write("fixtures/good.csv", "id,ticket,assert\ng1,x,\"{contains: [}\"\ng2,x,\"{contians: x}\"\ng3,x,contains: y\n");
    insta::assert_snapshot!(project.problems());
}

#[test]
fn quotes_of_a_table_that_the_reader_would_bend_are_errors() {
    let project =
        suite("assert: [{contains: x}]\ncases:\n  - from: fixtures/open.csv\n  - from: fixtures/loose.csv\n  - from: fixtures/good.csv\n");
    project.write("fixtures/open.csv", "id,ticket\na,x\nb,\"y\nc,z\nd,z\n");
    project.write("fixtures/loose.csv", "id,ticket\na,\"x\"y\nb,\"he said \"hi\"\"\nc,\"one\nd,\"two\"\ne,fine\n");
    project.write("fixtures/good.csv", "id,ticket\na1,\"x, \"\"y\"\"\"\r\nb1,\"two\nlines\"\nc1,5\" wide\nd1,\"d\"\ne1,\"\"\"\"");
    insta::assert_snapshot!(project.problems());
    let project = suite("assert: [{contains: x}]\ncases:\n  - from: fixtures/good.csv\n");
    project.write("fixtures/good.csv", "id,ticket\na1,\"x, \"\"y\"\"\"\r\nb1,\"two\nlines\"\nc1,5\" wide\nd1,\"d\"\ne1,\"\"\"\"");
    assert_eq!(project.suite().cases.len(), 5);
}

#[test]
fn what_seems_to_check_something_and_cannot_is_said() {
    let vacuous = [
        ("snapshot: {on_change: warn}\ncases: [{id: one, vars: {ticket: x}}]\n", "nothing can fail the case `one`"),
        ("snapshot: {compare: similar, threshold: 0}\ncases: [{id: one, vars: {ticket: x}}]\n", "this snapshot cannot change"),
        ("snapshot: {compare: similar, threshold: .nan}\ncases: [{id: one, vars: {ticket: x}}]\n", "`threshold` must be a number"),
        ("snapshot: {compare: json, ignore: ['$..*']}\ncases: [{id: one, vars: {ticket: x}}]\n", "this snapshot cannot change"),
        ("assert: [{json_schema: {}}]\ncases: [{id: one, vars: {ticket: x}}]\n", "its schema accepts every JSON value"),
        (
            "assert: [{json_schema: {$ref: '#/$defs/any', $defs: {any: {title: any}}}}]\ncases: [{id: one, vars: {ticket: x}}]\n",
            "its schema accepts every JSON value",
        ),
    ];
    for (rest, message) in vacuous {
        let said = suite(rest).problems();
        assert!(said.starts_with("error: ") && said.contains(message), "{rest}: {said}");
    }
    assert_eq!(suite(&format!("snapshot: {{on_change: warn}}\n{CASE}")).problems(), "");
    assert!(suite(&format!("gate: {{min_pass_rate: .nan}}\n{CASE}")).problems().starts_with("error: "));
    let project = Project::with(&[(
        "suites/a.yaml",
        "suite: a\nprompt: triage\nmodels: [{id: claude-haiku-4-5, gate: false}]\nrequest: {max_tokens: 300}\ngate: {min_pass_rate: 0}\n\
         assert:\n  - max_output_tokens: 300\n  - max_output_tokens: 299\n  - json_schema: {typ: object, minimun: 1, x-note: 1, mine: 2, \
         properties: {typ: {enum: [{typ: 1}], items: {maxLenght: 3}}}}\ncases:\n  - id: one\n    vars: {ticket: x}\n  - id: two\n    vars: {ticket: x}\n",
    )]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn prompts() {
    let project = Project::with(&[
        (
            "suites/a.yaml",
            &format!("suite: a\nprompt: [triag, triage@7, triage@x, two, twice, none, a/../b]\nmodels: [claude-haiku-4-5]\n{CASE}"),
        ),
        (
            "suites/b.yaml",
            &format!("suite: b\nprompt: [stray, empty, system, front, open, yaml, crossing, unclosed]\nmodels: [claude-haiku-4-5]\n{CASE}"),
        ),
        ("suites/prompts/twice/1.md", "x"),
        ("suites/prompts/twice/1.yaml", "messages: []"),
        ("suites/prompts/two/v2.md", "x"),
        ("suites/prompts/none/notes.txt", "x"),
        ("suites/prompts/stray/1.md", "hello\nuser:\n{{ ticket }}\n"),
        ("suites/prompts/empty/1.md", "system:\nx\nuser:\n\nassistant:\nx\n"),
        ("suites/prompts/system/1.md", "user:\n{{ ticket }}\nsystem:\nlate\n"),
        ("suites/prompts/front/1.md", "---\ndescripton: x\nrequest: {max_token: 3}\n---\n{{ ticket }}\n"),
        ("suites/prompts/open/1.md", "---\ndescription: x\n{{ ticket }}\n"),
        (
            "suites/prompts/yaml/1.yaml",
            "messages:\n  - role: usr\n    content: x\n  - role: user\n    content: [{text: x}]\n  - role: user\n    content: ''\n  - role: user\n    content:\n      - {type: image, source: {file: fixtures/none.png}}\n",
        ),
        ("suites/prompts/crossing/1.md", "system:\n{% if ticket %}\nuser:\n{{ ticket }}\n{% endif %}\n"),
        ("suites/prompts/unclosed/1.md", "user:\nhello {{ ticket }\n"),
    ]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn parameters_that_the_api_refuses() {
    let project = Project::with(&[
        (
            "suites/a.yaml",
            &format!(
                "suite: a\nprompt: triage\nmodels: [claude-sonnet-4-6, {{id: claude-haiku-4-5, request: {{top_p: 0.5, max_tokens: 0}}}}]\nrequest:\n  max_tokens: 100\n  temperature: 0.7\n  max_tokns: 3\n{CASE}"
            ),
        ),
        ("suites/prompts/triage/1.md", "user:\n{{ ticket }}\nassistant:\n{\n"),
    ]);
    insta::assert_snapshot!(project.problems());
}

#[test]
fn numbers_out_of_range() {
    let project = suite(&format!(
        "samples: 0\npass: {{rate: 1.5}}\nsnapshot: {{compare: text, threshold: 1.5, ignore: [$.a, \"$[\"]}}\ngate: {{min_pass_rate: 95}}\n{CASE}"
    ));
    insta::assert_snapshot!(project.problems());
}

#[test]
fn a_project_without_suites() {
    let project = Project::with(&[]);
    insta::assert_snapshot!(project.problems());
    std::fs::remove_dir_all(project.root().join("suites")).unwrap();
    insta::assert_snapshot!(project.problems());
}
