//! Is every assertion that `docs/assertions.md` shows one that a suite may hold?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use promptkeel::model::catalog::Catalog;
use promptkeel::model::request::Dialect;
use promptkeel::source::known::{EndpointFacts, Known};
use promptkeel::source::load;
use promptkeel::source::tree::Tree;

const SUITE: &str = "suite: documented
prompt: plain
models: [claude-haiku-4-5]
cases:
  - id: one
    vars: {input: text, expected: billing, reference: the cat sat down}
    assert:
";

#[test]
fn every_example_of_the_page_is_accepted() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assertions.md")).unwrap();
    let mut examples = blocks(&page);
    examples.extend(table_examples(&page));
    assert!(examples.len() > 15, "{examples:#?}");
    for example in examples {
        if let Some(problems) = problems_of(&example) {
            panic!("{example}\n{problems}");
        }
    }
}

/// The YAML blocks, as items of a list.
fn blocks(page: &str) -> Vec<String> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(|block| block.replace("assert:\n", "")).collect()
}

/// The example column of the tables: `` `contains: refund` ``.
fn table_examples(page: &str) -> Vec<String> {
    let column = |line: &str| line.split(" | ").nth(1).map(str::to_owned);
    let rows = page.lines().filter(|line| line.starts_with("| `")).filter_map(column);
    rows.filter_map(|cell| Some(format!("- {}\n", cell.strip_prefix('`')?.strip_suffix('`')?))).collect()
}

fn problems_of(assertions: &str) -> Option<String> {
    let project = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = project.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let indented: String = assertions.lines().map(|line| format!("      {}\n", line.trim_end())).collect();
    write("suites/documented.yaml", &format!("{SUITE}{indented}"));
    write("suites/prompts/plain/1.md", "{{ input }} {{ expected }} {{ reference }}\n");
    write("fixtures/triage.schema.json", r#"{"type": "object"}"#);
    write("fixtures/error.schema.json", r#"{"type": "object"}"#);
    let facts = EndpointFacts { dialect: Dialect::Simulated, api_version: "2026-10-21".to_owned(), beta: Vec::new() };
    let known = Known {
        catalog: Catalog::embedded(),
        endpoints: BTreeMap::from([("simulated".to_owned(), facts)]),
        default_endpoint: "simulated".to_owned(),
        allow_outside: false,
    };
    let loaded = load(&Tree::Disk(project.path().to_owned()), &[], &known);
    (loaded.suites.len() != 1 || !loaded.problems.is_empty()).then(|| format!("{:#?}", loaded.problems))
}
