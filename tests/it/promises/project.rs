//! Which project do files of any content stand in: a folder with the examples' prompts and fixtures, made once for the process?

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use promptkeel::model::catalog::Catalog;
use promptkeel::model::problem::Problem;
use promptkeel::model::request::{Dialect, EndpointIdentity};
use promptkeel::report::problem::render;
use promptkeel::report::style::Style;
use promptkeel::runner::plan;
use promptkeel::source::known::{EndpointFacts, Known};
use promptkeel::source::tree::Tree;
use promptkeel::source::{Loaded, load};

use super::excerpts::is_harmless;

/// What the examples' suites name.
const FILES: [(&str, &str); 14] = [
    ("suites/prompts/ticket-triage/2.md", include_str!("../../../suites/prompts/ticket-triage/2.md")),
    ("suites/prompts/ticket-triage/3.md", include_str!("../../../suites/prompts/ticket-triage/3.md")),
    ("suites/prompts/release-summary/1.md", include_str!("../../../suites/prompts/release-summary/1.md")),
    ("suites/prompts/release-summary/2.md", include_str!("../../../suites/prompts/release-summary/2.md")),
    ("suites/prompts/support-answer/1.md", include_str!("../../../suites/prompts/support-answer/1.md")),
    ("suites/prompts/support-answer/2.md", include_str!("../../../suites/prompts/support-answer/2.md")),
    ("suites/prompts/plain/1.md", "{{ x }}\n"),
    ("fixtures/tickets.jsonl", "{\"id\": \"a\", \"ticket\": \"Refund!\", \"expected\": \"billing\", \"urgency\": \"high\"}\n"),
    ("fixtures/table.csv", "id,x\none,1\ntwo,2\n"),
    ("fixtures/long-thread.txt", "From: a\nTo: b\n\nHello.\n"),
    ("fixtures/support-policy.txt", "Thirty days.\n"),
    ("fixtures/support-questions.csv", "id,question,must_say,section\nwarranty,Is it covered?,30 days,1\n"),
    ("fixtures/triage.schema.json", include_str!("../../../fixtures/triage.schema.json")),
    ("fixtures/number.json", "{\"x\": 1}\n"),
];

/// Made when the first file is tried.
static PROJECT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("the machine has a folder for temporary files");
    for (path, text) in FILES {
        write(folder.path(), path, text.as_bytes());
    }
    folder
});

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("every path of the project has a folder")).expect("the folder can be made");
    std::fs::write(path, bytes).expect("the file can be written");
}

/// Loads the project's suite `suite` after `files` were written into it, and holds what every loading promises.
pub fn loaded(suite: &str, files: &[(&str, &[u8])]) -> Loaded {
    // A test runs several promises at once, each with files of its own.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let root = PROJECT.path();
    files.iter().for_each(|(path, bytes)| write(root, path, bytes));
    let loaded = load(&Tree::Disk(root.to_owned()), &[suite.to_owned()], &known());
    let text = |path: &str| std::fs::read(root.join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    for problem in &loaded.problems {
        stands_inside(problem, |path| text(path).ok());
    }
    drop(turn);
    plans(&loaded);
    loaded
}

fn known() -> Known<'static> {
    let facts = |dialect| EndpointFacts { dialect, api_version: "2026-10-21".to_owned(), beta: Vec::new() };
    let endpoints = [("anthropic", Dialect::Messages), ("simulated", Dialect::Simulated)];
    Known {
        catalog: Catalog::embedded(),
        endpoints: endpoints.into_iter().map(|(name, dialect)| (name.to_owned(), facts(dialect))).collect(),
        default_endpoint: "anthropic".to_owned(),
        allow_outside: false,
    }
}

/// A problem says something, and its place is one of the file that it names.
pub fn stands_inside(problem: &Problem, text: impl Fn(&str) -> Option<String>) {
    assert!(!problem.message.is_empty() && problem.hint.as_deref() != Some(""), "{problem:?}");
    let drawn = render(std::slice::from_ref(problem), Style::PLAIN);
    assert!(is_harmless(&drawn), "{drawn:?}");
    let Some(place) = &problem.place else { return };
    assert!(place.line >= 1 && place.column >= 1 && place.length >= 1, "{place:?}");
    assert!(place.column as usize + place.length as usize <= place.source.chars().count() + 2, "{place:?}");
    let Some(text) = text(&place.file) else { return };
    let lines = text.split('\n').count();
    assert!(place.line as usize <= lines, "line {} of {lines}: {place:?}", place.line);
    if !place.source.is_empty() {
        // A byte order mark is no part of the first line, and U+FFFD stands for what is no UTF-8.
        let line = text.strip_prefix('\u{feff}').unwrap_or(&text).split('\n').nth(place.line as usize - 1).unwrap_or_default();
        assert!(line.starts_with(&place.source), "{place:?} shows another line than {line:?}");
    }
}

/// What was loaded without an error can be planned: rendered, keyed and priced, or says what is wrong.
fn plans(loaded: &Loaded) {
    let identity = |dialect| EndpointIdentity { dialect, identity: "x".to_owned(), api_version: "2026-10-21".to_owned(), beta: Vec::new() };
    let endpoints = [("anthropic", Dialect::Messages), ("simulated", Dialect::Simulated)];
    let endpoints: BTreeMap<_, _> = endpoints.into_iter().map(|(name, dialect)| (name.to_owned(), identity(dialect))).collect();
    let context = plan::Context {
        catalog: Catalog::embedded(),
        endpoints: &endpoints,
        default_endpoint: "anthropic",
        endpoint_override: None,
        default_max_tokens: 1_024,
        day: "2026-11-22".parse().expect("a day of the calendar"),
    };
    match plan::build(&loaded.suites, &context) {
        Ok(plan) => {
            for cell in &plan.cells {
                let path = cell.snapshot_path.as_deref().unwrap_or("snapshots/");
                assert!(path.starts_with("snapshots/") && !path.split('/').any(|part| part == ".." || part == "."), "{path}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| stands_inside(problem, |_| None));
        }
    }
}
