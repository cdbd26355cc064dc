//! Does a correct project load as its author meant it?

use serde_json::json;

use super::{Project, known, plain};
use crate::model::assertion::{AssertionKind, AssertionSeverity, RefusalRule, TextMatch};
use crate::model::money::Money;
use crate::model::request::Role;
use crate::model::suite::{BlockTemplate, Compare, OnChange, PassRule};
use crate::source::load;
use crate::source::tree::Tree;

const WHOLE: &str = r#"# yaml-language-server: $schema=../schemas/suite.schema.json
suite: ticket-triage
description: Routes a support ticket to a queue and writes a one-line summary.

prompt: [triage, triage@2]
models: [claude-haiku-4-5, {id: claude-sonnet-4-6, label: sonnet, endpoint: simulated, gate: false, request: {max_tokens: 256}}, {id: mine, price: unpriced}]

request:
  max_tokens: 512
parse: {fenced: true}
samples: 3
pass: {at_least: 2}

assert:
  - refusal: never
  - json_schema: fixtures/triage.schema.json
  - length: {max_words: 60}

snapshot:
  compare: json
  ignore: [$.summary]
  on_change: warn
gate:
  min_pass_rate: 0.95
  max_cost_usd: 0.50

cases:
  - id: double-charge
    tags: [billing]
    vars:
      ticket: I was charged twice for March.
    assert:
      - json_path: {path: $.queue, equals: billing}
      - not: {contains: "as an AI"}
        name: no talk of itself
        severity: critical
      - json
  - id: long-thread
    cluster: threads
    inherit: false
    samples: 1
    vars:
      ticket: {file: fixtures/long-thread.txt}
    assert:
      - max_cost_usd: 0.0123
      - similar: {to: "{{ ticket }}"}
  - from: fixtures/tickets.jsonl
    tags: [table]
    cluster_from: lang
    assert:
      - equals: "{{ expected }}"
      - refusal: allowed
"#;

fn whole() -> Project {
    Project::with(&[
        ("suites/ticket-triage.yaml", WHOLE),
        ("suites/prompts/triage/2.md", "---\ndescription: two\nrequest: {stop_sequences: [END]}\n---\n{{ ticket }}"),
        ("suites/prompts/triage/10.md", "user:\nten {{ ticket }}\r\nassistant:\nI see.\nuser:\n  and?\n\n"),
        ("suites/prompts/triage/README.md", "not a version"),
        ("suites/prompts/not-a-suite.yaml", "a: 1"),
        ("suites/.hidden.yaml", "a: 1"),
        (".gitignore", "scratch*.yaml\n"),
        ("suites/scratch-1.yaml", "a: 1"),
        ("suites/notes.md", "a: 1"),
        ("fixtures/triage.schema.json", r#"{"type": "object"}"#),
        ("fixtures/long-thread.txt", "a long\nthread\n"),
        (
            "fixtures/tickets.jsonl",
            "{\"id\": \"one\", \"ticket\": \"t1\", \"expected\": \"a\", \"lang\": \"en\", \"tags\": [\"x\"]}\n\n{\"id\": 2, \"ticket\": \"t2\", \"expected\": \"b\", \"assert\": [{\"contains\": \"z\"}], \"lang\": \"de\", \"other\": 1}\n",
        ),
    ])
}

#[test]
fn every_key_of_the_suite_file_is_understood() {
    let project = whole();
    assert_eq!(
        project.problems(),
        "note: column `other` of this table is not used\n --> suites/ticket-triage.yaml:47:11\n  |   - from: fixtures/tickets.jsonl\n  |           ^^^^^^^^^^^^^^^^^^^^^^\n"
    );
    let suite = project.suite();
    assert_eq!((suite.name.as_str(), suite.site.line, suite.samples, suite.pass), ("ticket-triage", 2, 3, PassRule::AtLeast(2)));
    assert_eq!(suite.request.max_tokens, Some(512));
    assert!(suite.parse.fenced);
    assert_eq!((suite.snapshot.compare, suite.snapshot.on_change), (Compare::Json, OnChange::Warn));
    assert_eq!(suite.snapshot.ignore, ["$.summary"]);
    assert!((suite.gate.min_pass_rate - 0.95).abs() < f64::EPSILON);
    assert_eq!(suite.gate.max_cost_usd, Some("0.50".parse::<Money>().unwrap()));
    let models: Vec<_> = suite.models.iter().map(|model| (model.name(), model.endpoint.as_deref(), model.gate, model.unpriced)).collect();
    assert_eq!(models, [("claude-haiku-4-5", None, true, false), ("sonnet", Some("simulated"), false, false), ("mine", None, true, true)]);
    assert_eq!(suite.models[1].request.max_tokens, Some(256));
    let clusters: Vec<_> = suite.cases.iter().map(|case| case.cluster.as_deref()).collect();
    assert_eq!(clusters, [None, Some("threads"), Some("en"), Some("de")]);
    let files: Vec<_> = suite.files.iter().map(|file| &*file.path).collect();
    assert_eq!(
        files,
        [
            "suites/ticket-triage.yaml",
            "fixtures/long-thread.txt",
            "fixtures/tickets.jsonl",
            "fixtures/triage.schema.json",
            "suites/prompts/triage/10.md",
            "suites/prompts/triage/2.md",
        ]
    );
}

#[test]
fn versions_are_numbers_and_turns_are_split_at_their_lines() {
    let suite = whole().suite();
    assert_eq!(suite.prompts.len(), 1);
    let versions = &suite.prompts[0].versions;
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 10]);
    assert_eq!(versions[0].description.as_deref(), Some("two"));
    assert_eq!(versions[0].request.stop_sequences.as_deref(), Some(["END".to_owned()].as_slice()));
    let text = |template: &str, line| BlockTemplate::Text { template: template.to_owned(), line };
    assert_eq!(versions[0].turns[0].content, [text("{{ ticket }}", 5)]);
    let turns: Vec<_> = versions[1].turns.iter().map(|turn| (turn.role, turn.content[0].clone())).collect();
    assert_eq!(turns, [(Role::User, text("ten {{ ticket }}", 2)), (Role::Assistant, text("I see.", 4)), (Role::User, text("  and?", 6))]);
}

#[test]
fn cases_and_rows_have_their_assertions_tags_values_and_places() {
    let suite = whole().suite();
    let ids: Vec<_> = suite.cases.iter().map(|case| (case.id.as_str(), case.site.to_string())).collect();
    assert_eq!(
        ids,
        [
            ("double-charge", "suites/ticket-triage.yaml:28".to_owned()),
            ("long-thread", "suites/ticket-triage.yaml:38".to_owned()),
            ("one", "fixtures/tickets.jsonl:1".to_owned()),
            ("2", "fixtures/tickets.jsonl:3".to_owned()),
        ]
    );
    let kinds = |case: usize| suite.cases[case].assertions.iter().map(|assertion| assertion.kind.key()).collect::<Vec<_>>();
    assert_eq!(kinds(0), ["refusal", "json_schema", "length", "json_path", "contains", "json"]);
    assert_eq!(kinds(1), ["max_cost_usd", "similar"]);
    assert_eq!(kinds(2), ["json_schema", "length", "equals", "refusal"]);
    assert_eq!(kinds(3), ["json_schema", "length", "equals", "refusal", "contains"]);
    let negated = &suite.cases[0].assertions[4];
    assert_eq!(
        (negated.negated, negated.severity, negated.name.as_deref()),
        (true, AssertionSeverity::Critical, Some("no talk of itself"))
    );
    assert_eq!(negated.kind, AssertionKind::Contains(TextMatch { value: "as an AI".to_owned(), ignore_case: false }));
    assert_eq!(suite.cases[2].assertions[3].kind, AssertionKind::Refusal(RefusalRule::Allowed));
    assert_eq!(suite.cases[1].assertions[0].kind, AssertionKind::MaxCostUsd("0.0123".parse().unwrap()));
    assert_eq!(suite.cases[1].variables["ticket"], json!("a long\nthread\n"));
    assert_eq!((suite.cases[1].samples, suite.cases[1].fixtures[0].path.as_ref()), (Some(1), "fixtures/long-thread.txt"));
    assert_eq!(suite.cases[2].tags, ["table", "x"]);
    assert_eq!(
        serde_json::Value::Object((*suite.cases[3].variables).clone()),
        json!({"ticket": "t2", "expected": "b", "lang": "de", "other": 1})
    );
    assert!(std::sync::Arc::ptr_eq(&suite.cases[2].assertions[0], &suite.cases[3].assertions[0]));
}

#[test]
fn a_selection_names_suites_or_folders() {
    let project = whole();
    for selected in ["suites/ticket-triage.yaml", "suites", "./suites/"] {
        let loaded = load(&project.tree(), &[selected.to_owned()], &known());
        assert_eq!(loaded.suites.len(), 1, "{selected}: {}", plain(&loaded.problems));
    }
    let loaded = load(&project.tree(), &["suites/tikcet-triage.yaml".to_owned()], &known());
    assert_eq!(
        plain(&loaded.problems),
        "error: there is no suite or folder `suites/tikcet-triage.yaml`\n  hint: did you mean `suites/ticket-triage.yaml`?\n"
    );
    let loaded = load(&Tree::Disk(project.root().join("nowhere")), &[], &known());
    assert!(loaded.suites.is_empty() && !loaded.problems.is_empty());
}

#[test]
fn the_suite_that_the_documentation_shows_is_one() {
    let page = include_str!("../../../docs/suites.md");
    let suite = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let project = Project::with(&[
        ("suites/ticket-triage.yaml", suite),
        ("suites/prompts/ticket-triage/1.md", "{{ ticket }}"),
        ("fixtures/triage.schema.json", r#"{"type": "object"}"#),
        ("fixtures/tickets.jsonl", "{\"id\": \"one\", \"ticket\": \"t\", \"queue\": \"billing\"}\n"),
    ]);
    assert_eq!(project.problems(), "");
    assert_eq!(project.suite().cases.len(), 2);
}

#[test]
fn the_prompts_that_the_documentation_shows_are_prompts() {
    let page = include_str!("../../../docs/prompts.md");
    let block = |marker: &str| page.split(marker).nth(1).and_then(|rest| rest.split("\n```").next()).unwrap().to_owned();
    let suite = "suite: a\nprompt: [one, two]\nmodels: [claude-haiku-4-5]\ncases:\n  - id: a\n    vars: {ticket: x, number: 7, scan: {file: fixtures/terms.pdf}}\n";
    let yaml = page.split("## YAML prompts").nth(1).unwrap();
    let yaml = yaml.split("```yaml\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
    let project = Project::with(&[
        ("suites/a.yaml", suite),
        ("suites/prompts/one/1.md", &block("```markdown\n")),
        ("suites/prompts/two/1.yaml", yaml),
        ("fixtures/terms.pdf", "%PDF"),
    ]);
    assert_eq!(project.problems(), "");
    assert_eq!(project.suite().prompts.len(), 2);
}

#[test]
fn a_checkout_with_other_line_ends_is_the_same_prompt_version() {
    let digest = |text: &str| {
        let project = Project::with(&[
            ("suites/prompts/triage/1.md", text),
            ("suites/a.yaml", "suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\ncases:\n  - id: one\n    vars: {ticket: x}\n"),
        ]);
        project.suite().prompts[0].versions[0].file.digest.clone()
    };
    let accepted = digest("user:\nRoute this.\n{{ ticket }}\n");
    assert_eq!(digest("user:\r\nRoute this.\r\n{{ ticket }}\r\n"), accepted);
    assert_eq!(digest("\u{feff}user:\nRoute this.\n{{ ticket }}\n"), accepted);
    assert_ne!(digest("user:\nRoute that.\n{{ ticket }}\n"), accepted);
}

#[test]
fn the_fixtures_that_the_documentation_shows_are_read() {
    let page = include_str!("../../../docs/fixtures.md");
    let blocks = |language: &str| {
        let fence = format!("```{language}\n");
        page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [inline, files, table] = <[String; 3]>::try_from(blocks("yaml")).unwrap();
    let table = table.strip_prefix("cases:\n").unwrap();
    let suite = format!("suite: a\nprompt: all\nmodels: [claude-haiku-4-5]\n{inline}  - id: files\n{files}{table}");
    let optional = ["customer", "order", "raw_order", "scan"].map(|name| format!("{{{{ {name} | default('') }}}}")).concat();
    let project = Project::with(&[
        ("suites/a.yaml", &suite),
        ("suites/prompts/all/1.md", &format!("{{{{ ticket }}}}{optional}\n")),
        ("fixtures/long-thread.txt", "one\r\ntwo\n"),
        ("fixtures/order.json", "{\"total\": 1.10}"),
        ("fixtures/scan.png", "png"),
        ("fixtures/tickets.jsonl", &blocks("json")[0]),
    ]);
    assert_eq!(project.problems(), "");
    let suite = project.suite();
    let cases = &suite.cases;
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["double-charge", "files", "refund-de", "login"]);
    assert_eq!(cases[0].variables["customer"], json!({"name": "Ada", "orders": [17, 18]}));
    assert_eq!(cases[1].variables["ticket"], "one\r\ntwo\n", "byte for byte");
    assert_eq!(cases[1].variables["raw_order"], "{\"total\": 1.10}");
    assert_eq!(cases[1].variables["scan"], json!({"media_type": "image/png", "data": "cG5n"}));
    assert_eq!(cases[2].tags, ["table", "german"]);
    assert_eq!((cases[2].assertions.len(), cases[3].assertions.len()), (1, 2));
}

#[test]
fn a_cluster_that_cannot_be_is_an_error_with_its_place() {
    for (entry, said) in [
        ("{id: a, cluster: \"\", vars: {ticket: t}}", "a cluster's name"),
        ("{id: a, cluster_from: lang, vars: {ticket: t}}", "`cluster_from` belongs to a table"),
        ("{from: t.csv, cluster_from: langs}", "the table has no column `langs` to take the clusters of its cases from"),
        ("{from: t.csv, cluster: x, cluster_from: lang}", "rows have one `cluster`, or each the one of its column, not both"),
    ] {
        let suite = format!(
            "suite: a\nprompt: p\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: 9}}\nassert:\n  - contains: x\ncases:\n  - {entry}\n"
        );
        let project = Project::with(&[
            ("suites/a.yaml", suite.as_str()),
            ("suites/prompts/p/1.md", "{{ ticket }}"),
            ("t.csv", "id,ticket,lang\none,t,de\n"),
        ]);
        let problems = project.problems();
        assert!(problems.contains(said) && problems.contains("suites/a.yaml:8"), "{entry}: {problems}");
    }
}
