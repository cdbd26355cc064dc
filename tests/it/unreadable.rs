//! What if nobody may read a file or look into a folder, or a link leads out, in a circle or to nothing? It is said, and nothing is sent.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::disks::by_nobody;
use crate::harness::{CAPITALS, Project, Ran};
use crate::hostile_files::guarded;

fn set_modes(folder: &Path, folders: u32, files: u32) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            set_modes(&entry.path(), folders, files);
        } else if kind.is_file() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(files)).unwrap();
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(folders)).unwrap();
}

/// The command by somebody who may do everything in the project, but read this file or look into this folder.
fn without(project: &Project, path: &str, arguments: &[&str]) -> Ran {
    let (_elsewhere, mut command) = by_nobody(project, arguments);
    set_modes(project.root(), 0o777, 0o666);
    fs::set_permissions(project.path(path), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = Ran::of(&mut command, project.root());
    set_modes_back(project, path);
    ran
}

fn set_modes_back(project: &Project, path: &str) {
    let mode = if project.path(path).is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(project.path(path), fs::Permissions::from_mode(mode)).unwrap();
    set_modes(project.root(), 0o755, 0o644);
}

/// A project that reads a file of every kind.
fn full() -> Project {
    let project = Project::passing()
        .write("fixtures/japan.txt", "Japan")
        .write("fixtures/text.schema.json", "{\"type\": \"string\"}")
        .write("suites/more/deep/other.yaml", &CAPITALS.replace("suite: capitals", "suite: others"))
        .write("keys", "SOME_KEY=x\n");
    project.edit("suites/capitals.yaml", "country: Japan", "country: {file: fixtures/japan.txt}");
    project.edit(
        "suites/capitals.yaml",
        "- contains: Tokyo",
        "- contains: Tokyo\n      - {json_schema: fixtures/text.schema.json, severity: warn}",
    );
    project.edit("promptkeel.toml", "[run]", "[run]\nenv_file = \"keys\"");
    project
}

#[test]
fn what_nobody_may_read_is_named_with_the_next_step_and_never_passed_over() {
    let project = full();
    for path in [
        "suites/capitals.yaml",
        "suites/prompts/capital/1.md",
        "fixtures/japan.txt",
        "fixtures/text.schema.json",
        "promptkeel.toml",
        "keys",
        "suites",
        "suites/more",
        "suites/more/deep",
        "suites/prompts",
        "suites/prompts/capital",
        "fixtures",
    ] {
        let ran = without(&project, path, &["check"]);
        let shown = ran.stderr.replace("[PROJECT]/", "");
        assert_eq!(ran.code, 2, "{path}: {ran:?}");
        assert!(shown.contains("ermission denied") && shown.contains("hint: "), "{path}: {shown}");
        assert!(shown.contains(path) || path == "fixtures", "{path} is not named: {shown}");
        assert!(!ran.stderr.contains("promptkeel init"), "{path}: {shown}");
    }
    assert_eq!(project.run(&["check"]).code, 0);
}

#[test]
fn a_snapshot_or_store_that_nobody_may_read_is_no_new_one() {
    let project = full();
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    let snapshot = "snapshots/capitals/france/claude-haiku-4-5.snap";
    let before = project.read(snapshot);
    for arguments in [&["run"][..], &["run", "--update"]] {
        let ran = without(&project, snapshot, arguments);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains("ermission denied"), "{ran:?}");
        assert_eq!(project.read(snapshot), before);
    }
    let ran = without(&project, "snapshots/capitals", &["run"]);
    assert!(ran.code != 0 && format!("{}{}", ran.stdout, ran.stderr).contains("ermission denied"), "{ran:?}");
    let ran = without(&project, "fixtures/sim/script.yaml", &["run"]);
    assert!(ran.code == 2 && ran.stderr.contains("fixtures/sim/script.yaml") && ran.stderr.contains("ermission denied"), "{ran:?}");
    for path in [".promptkeel/store.db", ".promptkeel"] {
        let ran = without(&project, path, &["run"]);
        assert!(ran.code == 2 && ran.stderr.contains("hint: "), "{path}: {ran:?}");
    }
    assert_eq!(project.run(&["run"]).code, 0);
}

#[test]
fn links_that_lead_out_in_a_circle_or_to_nothing_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    for file in ["capitals.yaml", "1.md", "japan.txt", "text.schema.json"] {
        fs::create_dir_all(&secret).unwrap();
        fs::write(secret.join(file), "top secret").unwrap();
    }
    // A folder of the project that lies elsewhere.
    for (folder, words) in [
        ("suites", "leads out of the project"),
        ("suites/prompts/capital", "leads out of the project"),
        ("fixtures", "leads out of the project"),
    ] {
        let project = full();
        fs::remove_dir_all(project.path(folder)).unwrap();
        symlink(&secret, project.path(folder)).unwrap();
        let ran = guarded(&project, &["check"]);
        assert!(ran.code == 2 && ran.stderr.contains(words) && !ran.stderr.contains("top secret"), "{folder}: {ran:?}");
    }
    // A file that is a link in a circle, to nothing, or to what never ends.
    for path in
        ["suites/capitals.yaml", "suites/prompts/capital/1.md", "fixtures/japan.txt", "fixtures/text.schema.json", "promptkeel.toml"]
    {
        for target in ["here", "/nowhere/at/all", "/dev/zero", "/"] {
            if (path, target) == ("suites/capitals.yaml", "/") {
                // That is a folder, and folders behind links are not searched.
                continue;
            }
            let project = full();
            fs::remove_file(project.path(path)).unwrap();
            let own = Path::new(path).file_name().unwrap().to_str().unwrap();
            symlink(if target == "here" { own } else { target }, project.path(path)).unwrap();
            let ran = guarded(&project, &["check"]);
            assert!(ran.code == 2 && ran.stderr.contains("error: ") && ran.stderr.contains("hint: "), "{path} to {target}: {ran:?}");
        }
    }
    // A folder that holds itself is searched once.
    let project = full();
    symlink(project.path("suites"), project.path("suites/more/again")).unwrap();
    let ran = guarded(&project, &["check"]);
    assert!(ran.code == 0 && ran.stdout.contains("2 suites"), "{ran:?}");
}

#[test]
fn a_suite_that_is_no_file_is_not_passed_over() {
    let project = full();
    symlink("/nowhere", project.path("suites/gone.yaml")).unwrap();
    let ran = guarded(&project, &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("suites/gone.yaml") && ran.stderr.contains("hint: "), "{ran:?}");
    let project = full();
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make a named pipe without unsafe code")]
    let made = Command::new("mkfifo").arg(project.path("suites/pipe.yaml")).status().unwrap();
    assert!(made.success());
    let ran = guarded(&project, &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("suites/pipe.yaml") && ran.stderr.contains("not a regular file"), "{ran:?}");
    // A folder with a suite's name is a folder.
    let project = full();
    fs::create_dir(project.path("suites/folder.yaml")).unwrap();
    assert_eq!(guarded(&project, &["check"]).code, 0);
    fs::create_dir(project.path("suites/prompts/capital/2.md")).unwrap();
    assert_eq!(guarded(&project, &["check"]).code, 0);
}

#[test]
fn a_judgement_that_was_given_up_is_exit_3_and_a_schema_that_says_nothing_exit_2() {
    let reply = format!("then: {{text: \"{}\"}}", "ab".repeat(40));
    let judging = |assertion: &str| {
        let project = full();
        project.edit("fixtures/sim/script.yaml", "then: {text: Paris}", &reply);
        project.edit("suites/capitals.yaml", "- equals: Paris", assertion);
        project.edit("suites/capitals.yaml", "  - length: {max_words: 3}\n", "");
        project
    };
    for assertion in ["- regex: '(a|b|ab)*(?>c)'", "- not: {regex: '(a|b|ab)*(?>c)'}"] {
        let (ran, report) = judging(assertion).report(&["suites/capitals.yaml"]);
        assert_eq!((ran.code, &report["totals"]["errored"]), (3, &serde_json::json!(1)), "{assertion}: {ran:?}");
        assert!(report.to_string().contains("was given up"), "{assertion}");
    }
    let ran = guarded(&judging("- json_schema: {allOf: [{$ref: '#'}]}"), &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("comes back to itself by `#`") && ran.stderr.contains("hint: "), "{ran:?}");
    for schema in ["{\"minLength\": 1e400}", "{\"$dynamicRef\": \"https://example.com/a\"}"] {
        let project = full();
        project.rewrite("fixtures/text.schema.json", schema);
        let ran = guarded(&project, &["check"]);
        assert!(ran.code == 2 && ran.stderr.contains("text.schema.json") && ran.stderr.contains("hint: "), "{schema}: {ran:?}");
    }
}
