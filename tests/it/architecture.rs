//! Does the source keep to the plan of the house: rooms, arrows, sizes, names, heads?
//!
//! The plan in words is in CONTRIBUTING.md. Change both in the same commit, knowingly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::rust_source::Paths;

/// Which room may import which; complete. A room may always import itself.
const ARROWS: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("template", &["model"]),
    ("diff", &["model"]),
    ("assertion", &["model", "template", "diff"]),
    ("snapshot", &["model", "diff"]),
    ("endpoint", &["model"]),
    ("gate", &["model"]),
    ("report", &["model", "diff"]),
    ("review", &["model", "diff", "snapshot", "report"]),
    ("sim", &["template"]),
    ("source", &["model", "template", "assertion"]),
    ("store", &["model", "endpoint"]),
    ("runner", &["model", "template", "assertion", "snapshot", "endpoint", "gate"]),
    (
        "cli",
        &["model", "template", "diff", "assertion", "snapshot", "endpoint", "gate", "report", "review", "sim", "source", "store", "runner"],
    ),
];

/// Crates that are an effect or a language of their own, and the rooms that speak them.
const ADDRESSES: [(&str, &[&str]); 10] = [
    ("axum", &["sim"]),
    ("hyper", &["sim"]),
    ("hyper_util", &["sim"]),
    ("reqwest", &["endpoint"]),
    ("rustls", &["endpoint"]),
    ("rusqlite", &["store"]),
    ("quick_xml", &["report"]),
    ("clap", &["cli"]),
    ("notify", &["cli"]),
    ("crossterm", &["cli"]),
];

/// Names that would collect what belongs to a room.
const BANNED_NAMES: [&str; 10] = ["util", "utils", "types", "errors", "common", "helper", "helpers", "misc", "shared", "prelude"];

const MOST_LINES: usize = 500;
const MOST_LINES_WITH_TESTS: usize = 600;

/// A source file: its place from the repository's root with forward slashes, and its text.
struct File {
    path: String,
    text: String,
}

/// Everything in one file that the plan forbids.
fn breaches(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let path = &file.path;
    if !file.text.starts_with("//! ") {
        found.push(format!("{path}: does not start with `//! ` and the question that it answers"));
    }
    let tests = file.text.contains("#[cfg(test)]") || path.starts_with("tests/");
    let (lines, most) = (file.text.lines().count(), if tests { MOST_LINES_WITH_TESTS } else { MOST_LINES });
    if lines > most {
        found.push(format!("{path}: {lines} lines, at most {most}; it answers more than one question, split it"));
    }
    for part in path.trim_end_matches(".rs").split('/') {
        if BANNED_NAMES.contains(&part) {
            found.push(format!("{path}: a module named `{part}` gathers what belongs elsewhere; name what it answers"));
        }
    }
    if let Some(inner) = path.strip_prefix("src/") {
        let module = module_of(inner);
        match module.first() {
            None => found.extend(breaches_of_the_root(file)),
            Some(room) => found.extend(breaches_of_arrows(file, room, &module)),
        }
    }
    found
}

/// `report/junit.rs` is `[report, junit]`; `lib.rs` and `main.rs` are the root.
fn module_of(inner: &str) -> Vec<&str> {
    match inner {
        "lib.rs" | "main.rs" => Vec::new(),
        _ => inner.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect(),
    }
}

/// The root names rooms, and hands the program to `cli`; it offers nothing itself.
fn breaches_of_the_root(file: &File) -> Vec<String> {
    let path = &file.path;
    let re_exports = file
        .text
        .lines()
        .filter(|line| line.trim_start().starts_with("pub use"))
        .map(|line| format!("{path}: `{}`: import from the room that owns it", line.trim()));
    re_exports.collect()
}

fn breaches_of_arrows(file: &File, room: &str, module: &[&str]) -> Vec<String> {
    let path = &file.path;
    let Some((_, may)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{path}: the room `{room}` is not in the table of arrows")];
    };
    let paths = Paths::of(&file.text, module);
    let mut found = Vec::new();
    for target in paths.ours {
        match target.first().map(String::as_str) {
            Some(to) if to == room || may.contains(&to) => {}
            Some(to) if ARROWS.iter().any(|(name, _)| *name == to) => {
                found.push(format!("{path}: `{room}` may not import `{to}` (crate::{})", target.join("::")));
            }
            Some(to) => found.push(format!("{path}: crate::{} goes through the root; `{to}` is no room", target.join("::"))),
            None => found.push(format!("{path}: imports the root of the crate; import from the room that owns it")),
        }
    }
    for other in paths.others {
        if let Some((_, rooms)) = ADDRESSES.iter().find(|(name, rooms)| *name == other && !rooms.contains(&room)) {
            found.push(format!("{path}: `{other}` belongs to {}, not to `{room}`", rooms.join(", ")));
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below the given folders, sorted.
fn files(folders: &[&str]) -> Vec<File> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).filter(|folder| folder.is_dir()).collect();
    let mut paths = BTreeSet::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                paths.insert(path);
            }
        }
    }
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| File { path: relative(path), text: fs::read_to_string(path).unwrap() }).collect()
}

#[test]
fn every_file_keeps_to_the_plan_of_the_house() {
    let files = files(&["src", "tests", "benches"]);
    assert!(files.iter().any(|file| file.path == "src/model/run.rs"), "the walk finds the source");
    let found: Vec<String> = files.iter().flat_map(breaches).collect();
    assert!(found.is_empty(), "{} breaches of the plan (CONTRIBUTING.md, \"The house\"):\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_of_arrows_has_no_circle() {
    // Each room may import only rooms that stand before it, in some order: the order in which they can be taken away.
    let mut left: Vec<_> = ARROWS.to_vec();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, may)| may.iter().any(|to| names.contains(to)));
        assert!(left.len() < before, "a circle among {names:?}");
    }
}

#[test]
fn the_words_of_the_plan_and_the_table_agree() {
    let plan = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for (room, may) in ARROWS {
        let cell = if room == "cli" { "all".to_owned() } else { may.join(", ") };
        let row = format!("| `{room}` | {} |", if cell.is_empty() { "-" } else { &cell });
        assert!(plan.contains(&row), "CONTRIBUTING.md lacks the row {row}");
    }
}

#[test]
fn a_forbidden_import_is_found_however_it_is_spelled() {
    let cases = [
        ("src/report/junit.rs", "use crate::runner::plan;", "src/report/junit.rs: `report` may not import `runner` (crate::runner::plan)"),
        (
            "src/report/junit.rs",
            "use super::super::store::Store;",
            "src/report/junit.rs: `report` may not import `store` (crate::store::Store)",
        ),
        ("src/report/mod.rs", "use super::store::Store;", "src/report/mod.rs: `report` may not import `store` (crate::store::Store)"),
        (
            "src/sim/mod.rs",
            "use crate::model::request::Request;",
            "src/sim/mod.rs: `sim` may not import `model` (crate::model::request::Request)",
        ),
        (
            "src/model/run.rs",
            "fn f(d: crate::diff::TextDiff) {}",
            "src/model/run.rs: `model` may not import `diff` (crate::diff::TextDiff)",
        ),
        ("src/gate/mod.rs", "use crate::{model::run::X, cli::Y};", "src/gate/mod.rs: `gate` may not import `cli` (crate::cli::Y)"),
        ("src/gate/mod.rs", "use crate::RunReport;", "src/gate/mod.rs: crate::RunReport goes through the root; `RunReport` is no room"),
        ("src/extras/mod.rs", "", "src/extras/mod.rs: the room `extras` is not in the table of arrows"),
        ("src/runner/mod.rs", "use rusqlite::Connection;", "src/runner/mod.rs: `rusqlite` belongs to store, not to `runner`"),
        ("src/lib.rs", "pub use model::run::RunReport;", "src/lib.rs: `pub use model::run::RunReport;`: import from the room that owns it"),
    ];
    for (path, line, expected) in cases {
        let file = File { path: path.to_owned(), text: format!("//! What?\n{line}\n") };
        assert_eq!(breaches(&file), [expected]);
    }
}

#[test]
fn what_the_table_allows_passes() {
    let text = "//! What?\nuse crate::model::run::RunReport;\nuse crate::endpoint::Endpoint;\nuse super::plan::Plan;\nuse std::fs;\n";
    assert_eq!(breaches(&File { path: "src/runner/execute.rs".to_owned(), text: text.to_owned() }), Vec::<String>::new());
}

#[test]
fn a_missing_head_a_long_file_and_a_grab_bag_are_found() {
    let long =
        |lines: usize, tail: &str| File { path: "src/diff.rs".to_owned(), text: format!("//! What?\n{}{tail}", "\n".repeat(lines - 1)) };
    assert_eq!(
        breaches(&File { path: "src/diff.rs".to_owned(), text: "use std::fs;\n".to_owned() }),
        ["src/diff.rs: does not start with `//! ` and the question that it answers"]
    );
    assert_eq!(breaches(&long(500, "")), Vec::<String>::new());
    assert_eq!(breaches(&long(501, "")), ["src/diff.rs: 501 lines, at most 500; it answers more than one question, split it"]);
    assert_eq!(breaches(&long(599, "#[cfg(test)]\n")), Vec::<String>::new());
    assert_eq!(
        breaches(&long(600, "#[cfg(test)]\n")),
        ["src/diff.rs: 601 lines, at most 600; it answers more than one question, split it"]
    );
    assert_eq!(
        breaches(&File { path: "src/report/utils.rs".to_owned(), text: "//! What?\n".to_owned() }),
        ["src/report/utils.rs: a module named `utils` gathers what belongs elsewhere; name what it answers"]
    );
}
