//! What must hold of the parsers for every input?

use std::process::Command;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Project, known, plain};
use crate::model::problem::Severity;
use crate::source::document::Document;
use crate::source::git::{self, Objects};
use crate::source::node::Node;
use crate::source::tree::{ReadError, Tree};
use crate::source::{load, schema, yaml};
use crate::template::prompt::CompiledPrompt;

fn read(text: &str) -> Result<Node, Vec<crate::model::problem::Problem>> {
    yaml::parse(&Document::new("a.yaml".into(), text.into()))
}

#[test]
fn yaml_means_what_yaml_1_2_says() {
    let text = "a: yes\nb: 010\nc: 1_000\nd: no\ne: true\nf: 1.10\ng: 18446744073709551615\nh: .inf\ni: 1e999\nj: ~\nk:\nl: 0x1F\nm: 2026-11-22\nn: \"on\"\n";
    let value = json!({"a": "yes", "b": "010", "c": "1_000", "d": "no", "e": true, "f": 1.1, "g": 18446744073709551615_u64, "h": ".inf",
        "i": "1e999", "j": null, "k": null, "l": 31, "m": "2026-11-22", "n": "on"});
    assert_eq!(read(text).unwrap().to_value(), value);
    assert_eq!(read("\u{feff}").unwrap().to_value(), Value::Null);
    assert_eq!(
        read("a: &x {b: 1}\nc: {<<: *x, d: 2}\ne: *x\r\nf: |\r\n  one\r\n  two\r\n").unwrap().to_value(),
        json!({"a": {"b": 1}, "c": {"d": 2, "b": 1}, "e": {"b": 1}, "f": "one\ntwo\n"})
    );
}

#[test]
fn an_integer_that_no_number_holds_is_refused_and_made_neither_a_text_nor_a_float() {
    let of = |digits: usize| "1".repeat(digits);
    let beyond = ["18446744073709551616", "-9223372036854775809", "+18446744073709551616", "-18446744073709551616"].map(str::to_owned);
    for number in beyond.into_iter().chain([of(21), of(23), of(40), of(59), of(70), of(400)]) {
        for text in [format!("a: 1\nb: [x, {number}]\n"), format!("a: &x\n  - {number}\nb: 1\n")] {
            let Err(problems) = read(&text) else { panic!("{text} was read: {:?}", read(&text)) };
            let problem = &problems[0];
            assert!(problem.message.ends_with(" is an integer beyond 64 bits, which cannot be kept exactly"), "{}", plain(&problems));
            assert!(problem.hint.as_ref().is_some_and(|hint| hint.starts_with("put quotes around it")), "{}", plain(&problems));
            assert_eq!(problem.place.as_ref().map(|place| place.line), Some(2));
        }
        assert_eq!(read(&format!("a: \"{number}\"\n")).unwrap().to_value(), json!({"a": number}));
    }
    let exact = "[9223372036854775808, 18446744073709551615, -9223372036854775808, 1e22]";
    assert_eq!(read(exact).unwrap().to_value(), serde_json::from_str::<Value>(exact).unwrap());
}

#[test]
fn yaml_is_bounded_in_depth_and_expansion() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 8].join(", ")));
    }
    for text in [bomb, "[".repeat(100_000), "- ".repeat(5_000), "{a: ".repeat(1_000)] {
        let Err(problems) = read(&text) else { panic!("this is too much: {}", &text[..40]) };
        assert!(problems[0].message.contains("nested too deep or expands"), "{}", plain(&problems));
    }
}

#[test]
fn the_committed_schema_of_the_suite_file_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/suite.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::fs::read_to_string(path).unwrap_or_default() != current {
        std::fs::write(path, current).unwrap();
        panic!("schemas/suite.schema.json was out of date and has been written again; commit it");
    }
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let suite = |rest: &str| format!("suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\n{rest}");
    let right = [
        suite(
            "assert: [json, {contains: 42}, {contains: {value: x, ignore_case: true}}, {not: {contains_any: [a, b]}, severity: warn}]\ncases: [{id: 1, vars: {ticket: x}}]",
        ),
        suite(
            "snapshot: json\ngate: {max_cost_usd: 0.50}\npass: {rate: 0.8}\nrequest: {max_tokens: 10}\ncases: [{id: a, vars: {ticket: {a: 1}}}]",
        ),
        suite(
            "assert: [{json_path: {path: $.a, length: 3}}, {json_path: {path: $.a, length: {min: 1}}}, {xml: {contains: a}}, {stop_reason: [end_turn]}, {json_schema: {type: object}}]\ncases: [{id: a, vars: {ticket: x}}]",
        ),
    ];
    for text in right {
        let project = Project::with(&[("suites/a.yaml", &text)]);
        assert_eq!(project.problems(), "", "{text}");
        let value = read(&text).unwrap().to_value();
        assert!(
            validator.is_valid(&value),
            "{text}: {:?}",
            validator.iter_errors(&value).map(|error| error.to_string()).collect::<Vec<_>>()
        );
    }
    for text in
        [suite("asert: []\ncases: [{id: a}]"), suite("assert: [{contians: x}]\ncases: [{id: a}]"), suite("snapshot: jsn\ncases: [{id: a}]")]
    {
        assert!(!validator.is_valid(&read(&text).unwrap().to_value()), "{text}");
    }
}

#[test]
fn a_yaml_prompt_embeds_files_and_renders_only_its_own_templates() {
    let project = Project::with(&[
        (
            "suites/a.yaml",
            "suite: a\nprompt: doc\nmodels: [claude-haiku-4-5]\ncases:\n  - id: one\n    vars: {question: \"{{ no }}\", scan: {file: fixtures/scan.png}}\n",
        ),
        (
            "suites/prompts/doc/1.yaml",
            "description: with a document\nsystem:\n  - {type: text, text: Be brief., cache_control: {type: ephemeral}}\nrequest:\n  tools: [{name: find, input_schema: {type: object}}]\nmessages:\n  - role: user\n    content:\n      - {type: document, title: \"on {{ question }}\", source: {file: fixtures/policy.txt}}\n      - {type: image, source: {file: fixtures/scan.png}}\n      - {type: image, source: {type: base64, media_type: \"{{ scan.media_type }}\", data: \"{{ scan.data }}\"}}\n      - type: text\n        text: |\n          {{ question }}\n",
        ),
        ("fixtures/policy.txt", "a \"policy\" with {{ braces }}\n\t\u{8}"),
    ]);
    std::fs::write(project.root().join("fixtures/scan.png"), [0xFF, 0xD8]).unwrap();
    let suite = project.suite();
    let version = &suite.prompts[0].versions[0];
    assert!(version.request.tools.is_some());
    let (system, turns) = CompiledPrompt::compile(version).unwrap().render(&suite.cases[0].variables).unwrap();
    assert_eq!(Value::Object(system[0].0.clone()), json!({"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}));
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "/9g="}});
    let blocks: Vec<Value> = turns[0].content.iter().map(|block| Value::Object(block.0.clone())).collect();
    let policy = json!({"type": "text", "media_type": "text/plain", "data": "a \"policy\" with {{ braces }}\n\t\u{8}"});
    assert_eq!(
        blocks,
        [
            json!({"type": "document", "title": "on {{ no }}", "source": policy}),
            image.clone(),
            image,
            json!({"type": "text", "text": "{{ no }}\n"}),
        ]
    );
    let files: Vec<_> = suite.files.iter().map(|file| &*file.path).collect();
    assert_eq!(files, ["suites/a.yaml", "fixtures/policy.txt", "fixtures/scan.png", "suites/prompts/doc/1.yaml"]);
}

#[expect(clippy::disallowed_methods, reason = "the test makes a repository of its own")]
fn git(project: &Project, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").arg("-C").arg(project.root()).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_commit_is_read_as_the_disk_is() {
    let text = "suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\ncases:\n  - id: one\n    vars: {ticket: {file: fixtures/t.txt}}\n";
    let project = Project::with(&[("suites/a.yaml", text), ("fixtures/t.txt", "committed"), ("suites/prompts/triage/notes.yaml", "x: 1")]);
    assert!(matches!(git::commit(project.root(), "HEAD"), Err(git::GitError::NoRepository)));
    git(&project, &["init", "-q"]);
    #[cfg(unix)]
    std::os::unix::fs::symlink("t.txt", project.root().join("fixtures/link.txt")).unwrap();
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "one"]);
    assert!(!git::is_dirty(project.root()).unwrap());
    project.write("fixtures/t.txt", "edited");
    project.write("new file.txt", "x");
    assert_eq!(git::uncommitted(project.root()).unwrap(), ["fixtures/t.txt", "new file.txt"]);
    let tree = Tree::Git { root: project.root().to_owned(), revision: "HEAD".to_owned() };
    let loaded = load(&tree, &[], &known());
    assert_eq!(loaded.suites.len(), 1, "{}", plain(&loaded.problems));
    assert_eq!(loaded.suites[0].cases[0].variables["ticket"], json!("committed"));
    assert_eq!(project.suite().cases[0].variables["ticket"], json!("edited"));
    #[cfg(unix)]
    assert_eq!(Objects::open(project.root(), "HEAD").unwrap().read("fixtures/link.txt").unwrap().as_deref(), Some(b"committed".as_slice()));
    assert_eq!(tree.read("../x"), Err(ReadError::Outside("../x".to_owned())));
    assert_eq!(tree.list("fixtures").unwrap(), ["fixtures/link.txt", "fixtures/t.txt"]);
    let loaded = load(&Tree::Git { root: project.root().to_owned(), revision: "nope".to_owned() }, &[], &known());
    assert!(plain(&loaded.problems).starts_with("error: `nope` names no commit of this repository\n  hint: fetch it first"));
    git(&project, &["checkout", "-q", "--orphan", "other"]);
    git(&project, &["commit", "-qam", "unrelated"]);
    assert!(matches!(
        git::merge_base(project.root(), "HEAD", "main"),
        Err(git::GitError::Unrelated(..) | git::GitError::UnknownRevision(_))
    ));
    assert_eq!(git::merge_base(project.root(), "HEAD", "HEAD").unwrap(), git::commit(project.root(), "HEAD").unwrap());
}

#[test]
fn ten_thousand_rows_share_what_they_share() {
    use std::fmt::Write;
    let mut rows = String::new();
    for row in 0..10_000 {
        writeln!(rows, "{{\"id\": \"row-{row}\", \"ticket\": \"text {row}\", \"expected\": \"e{row}\"}}").unwrap();
    }
    let text = "suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\nassert: [{refusal: never}, {length: {max_words: 9}}]\ncases:\n  - from: fixtures/t.jsonl\n    assert: [{equals: \"{{ expected }}\"}]\n";
    let project = Project::with(&[("suites/a.yaml", text), ("fixtures/t.jsonl", &rows)]);
    let suite = project.suite();
    assert_eq!(suite.cases.len(), 10_000);
    assert!(std::sync::Arc::ptr_eq(&suite.cases[0].assertions[0], &suite.cases[9_999].assertions[0]));
    assert!(std::sync::Arc::ptr_eq(&suite.cases[0].assertions[2], &suite.cases[9_999].assertions[2]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_yaml_makes_it_panic(text in "[a-c&*!:\\-\\[\\]{}|>'\"#?%@,\n <ß\u{0}\t0-9]{0,80}") {
        let document = Document::new("a.yaml".into(), text.as_str().into());
        match yaml::parse(&document) {
            Ok(node) => prop_assert!(node.place(&document).line >= 1),
            Err(problems) => prop_assert!(problems.iter().all(|problem| problem.place.is_some())),
        }
    }

    #[test]
    fn no_suite_makes_it_panic_and_a_failure_always_has_a_reason(key in "(suite|prompt|models|request|parse|samples|pass|assert|snapshot|gate|cases)", value in "(\\[|\\{|x|1|: |, |\\]|\\}|~|true|id|from|vars|not|regex|\"\\{\\{ a \\}\\}\"){1,12}") {
        let mut text = String::from("suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\ncases: [{id: a, vars: {ticket: x}}]\n");
        let line = text.lines().find(|line| line.starts_with(&format!("{key}:"))).map(str::to_owned);
        if let Some(line) = line { text = text.replace(&format!("{line}\n"), ""); }
        text.push_str(&format!("{key}: {value}\n"));
        let project = Project::with(&[("suites/a.yaml", &text)]);
        let loaded = project.load();
        prop_assert_eq!(loaded.suites.is_empty(), loaded.problems.iter().any(|problem| problem.severity == Severity::Error));
    }

    #[test]
    fn every_text_survives_being_embedded_in_a_prompt(text in "[{}%# \"'\\\\a-c\n\r\tß\u{8}\u{2028}]{0,40}") {
        let text = text.replace('\u{0}', "");
        let project = Project::with(&[
            ("suites/a.yaml", "suite: a\nprompt: doc\nmodels: [claude-haiku-4-5]\ncases: [{id: one}]\n"),
            ("suites/prompts/doc/1.yaml", "messages:\n  - role: user\n    content:\n      - {type: document, source: {file: fixtures/t.txt}}\n"),
            ("fixtures/t.txt", &text),
        ]);
        let suite = project.suite();
        let (_, turns) = CompiledPrompt::compile(&suite.prompts[0].versions[0]).unwrap().render(&suite.cases[0].variables).unwrap();
        prop_assert_eq!(&turns[0].content[0].0["source"]["data"], &json!(text));
    }
}
