//! Do the example suites of this repository show what they are there to show?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use promptkeel::model::gate::Exit;
use promptkeel::model::run::RunReport;
use promptkeel::model::verdict::{SnapshotState, Verdict};
use promptkeel::sim::script::Script;
use tempfile::TempDir;

/// A copy of the examples, so that a run writes nothing into this repository.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn new(parts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in parts {
            copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(part), &folder.path().join(part));
        }
        Self { folder }
    }

    /// Runs the built program, and gives its exit code and what it printed.
    fn promptkeel(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::cargo_bin("promptkeel").unwrap();
        let output = command.env_clear().current_dir(self.folder.path()).args(arguments).output().unwrap();
        (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    fn report(&self, name: &str) -> RunReport {
        serde_json::from_slice(&fs::read(self.folder.path().join(name)).unwrap()).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn the_script_of_the_examples_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sim/examples.yaml");
    if let Err(error) = Script::load(&path) {
        panic!("{error}");
    }
}

#[test]
fn the_examples_pass_their_check_without_a_warning() {
    let copy = Copy::new(&["promptkeel.toml", "suites", "fixtures"]);
    let (code, printed) = copy.promptkeel(&["check"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!printed.contains("warning"), "{printed}");
}

#[test]
fn the_accepted_snapshots_of_the_examples_hold_and_only_an_older_version_fails() {
    let copy = Copy::new(&["promptkeel.toml", "suites", "fixtures", "snapshots"]);
    let (code, printed) = copy.promptkeel(&["run", "--json", "run.json"]);
    let report = copy.report("run.json");
    let wrong: Vec<String> = report
        .cells
        .iter()
        .filter(|cell| cell.gated && !(cell.verdict == Verdict::Pass && matches!(cell.snapshot, SnapshotState::Same | SnapshotState::None)))
        .map(|cell| format!("{}: {:?}, {:?}", cell.address, cell.verdict, cell.snapshot))
        .collect();
    assert_eq!((code, report.exit, wrong), (Some(0), Exit::Holds, Vec::new()), "{printed}");

    assert!(report.run.simulated && printed.contains("simulated"), "{printed}");
    let mut failed: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for cell in report.cells.iter().filter(|cell| !cell.gated) {
        let (failures, cells) =
            failed.entry(format!("{}@{} {}", cell.address.prompt, cell.address.version, cell.address.model)).or_default();
        *cells += 1;
        *failures += u32::from(cell.verdict == Verdict::Fail);
    }
    let expected = [
        ("release-summary@1 claude-haiku-4-5", (10, 12)),
        ("release-summary@1 claude-sonnet-4-6", (6, 12)),
        ("ticket-triage@2 claude-haiku-4-5", (3, 28)),
        ("ticket-triage@2 claude-sonnet-4-6", (1, 28)),
    ];
    assert_eq!(failed, expected.map(|(name, counts)| (name.to_owned(), counts)).into());
}

#[test]
fn a_second_run_of_the_examples_asks_nothing_and_agrees_with_the_first() {
    let copy = Copy::new(&["promptkeel.toml", "suites", "fixtures"]);
    let (_, first) = copy.promptkeel(&["run", "--update", "--json", "first.json"]);
    let (_, second) = copy.promptkeel(&["run", "--cache", "only", "--json", "second.json"]);
    let reports = ["first.json", "second.json"].map(|name| copy.report(name));
    assert_eq!(reports[0].totals.requests_asked, reports[0].totals.samples, "{first}");
    assert_eq!((reports[1].totals.requests_asked, reports[1].totals.requests_cached), (0, reports[0].totals.samples), "{second}");
    assert_eq!(reports[1].exit, Exit::Holds, "{second}");
    let [before, after] = reports.map(|report| report.cells.into_iter().map(|cell| (cell.address, cell.verdict)).collect::<Vec<_>>());
    assert_eq!(before, after);
}
