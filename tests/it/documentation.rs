//! Does the documentation keep its word: links that lead somewhere, commands and exit codes that exist?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use promptkeel::model::gate::Exit;

/// Every page: the Markdown files at the root and in `docs/`.
fn pages() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut paths = BTreeSet::new();
    for folder in [root.clone(), root.join("docs")] {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Targets of `[text](target)` outside of code, without the part after `#`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("_");
        for rest in prose.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                found.push(target.split('#').next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

fn is_dead(page: &Path, target: &str) -> bool {
    let elsewhere = target.is_empty() || target.contains("://");
    !elsewhere && !page.parent().unwrap().join(target).exists()
}

#[test]
fn every_link_of_the_documentation_leads_to_a_file() {
    let pages = pages();
    assert!(pages.iter().any(|(path, _)| path.ends_with("docs/index.md")));
    let dead: Vec<String> = pages
        .iter()
        .flat_map(|(path, text)| {
            links(text).into_iter().filter(|target| is_dead(path, target)).map(|target| format!("{}: {target}", path.display()))
        })
        .collect();
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn a_dead_link_is_found_and_code_is_left_alone() {
    let text = "[a](gone.md) and `[b](code.md)`, [c](https://example.com/x) [d](#here) [e](README.md#try-it)\n```\n[f](fenced.md)\n```\n";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("page.md");
    assert_eq!(links(text), ["gone.md", "https://example.com/x", "", "README.md"]);
    assert_eq!(links(text).iter().map(|target| is_dead(&page, target)).collect::<Vec<_>>(), [true, false, false, false]);
}

#[test]
fn every_exit_code_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [readme, ci] = ["README.md", "docs/ci.md"].map(|path| fs::read_to_string(root.join(path)).unwrap());
    for exit in [
        Exit::Holds,
        Exit::Fails,
        Exit::Invalid,
        Exit::MissingVerdicts,
        Exit::NothingSelected,
        Exit::NotWritten,
        Exit::Budget,
        Exit::Undecided,
        Exit::Interrupted,
    ] {
        let row = format!("\n| {} | ", exit.code());
        assert!(ci.contains(&row), "docs/ci.md lacks {exit:?}");
        assert!(readme.contains(&row), "README.md lacks {exit:?}");
    }
}

/// What the built program prints, and its exit code.
fn promptkeel(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::cargo_bin("promptkeel").unwrap().env_clear().current_dir(folder).args(arguments).output().unwrap();
    (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// What stands between backticks or in a fence.
fn code(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.split(" #").next().unwrap_or_default().to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The subcommand and the flags of each call of promptkeel in a piece of code.
fn calls(code: &str) -> Vec<(String, Vec<String>)> {
    let line = code.replace("cargo run --release --locked -- ", "promptkeel ").replace("cargo run --release -- ", "promptkeel ");
    let starts = line.match_indices("promptkeel ").map(|(start, _)| start).filter(|start| {
        // A path such as `.promptkeel` or a name such as `uses: promptkeel` is no call.
        line[..*start].chars().next_back().is_none_or(|before| before == ' ')
    });
    starts
        .filter_map(|start| {
            let mut words = line[start..].split([' ', '|', ';', '`']).skip(1);
            let command = words.next().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))?;
            let flags = words.filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or_default().to_owned());
            Some((command.to_owned(), flags.collect()))
        })
        .collect()
}

#[test]
fn every_command_and_flag_of_the_documentation_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut unknown = BTreeSet::new();
    let mut seen = 0;
    for (path, text) in pages() {
        for (command, flags) in code(&text).iter().flat_map(|code| calls(code)) {
            seen += 1;
            let (exit, help) = promptkeel(root, &[&command, "--help"]);
            if exit != Some(0) {
                unknown.insert(format!("{}: promptkeel {command}", path.display()));
                continue;
            }
            let missing = flags.iter().filter(|flag| !help.split([' ', ',', '\n']).any(|word| word == flag.as_str()));
            unknown.extend(missing.map(|flag| format!("{}: promptkeel {command} {flag}", path.display())));
        }
    }
    assert!(seen > 10, "calls are found");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn a_call_is_read_with_its_flags() {
    let text = "`promptkeel run --junit junit.xml --cache=only || x` and `path: .promptkeel`\n```sh\ncargo run --release -- check --json # --not-this\n```\n";
    let found: Vec<_> = code(text).iter().flat_map(|code| calls(code)).collect();
    let expected = [("run", vec!["--junit", "--cache"]), ("check", vec!["--json"])];
    assert_eq!(found, expected.map(|(command, flags)| (command.to_owned(), flags.into_iter().map(str::to_owned).collect())));
}

#[test]
fn the_first_suite_of_the_readme_is_valid() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let project = tempfile::tempdir().unwrap();
    let prompts = project.path().join("suites/prompts/ticket-triage");
    fs::create_dir_all(&prompts).unwrap();
    fs::write(prompts.join("1.md"), block("markdown")).unwrap();
    fs::write(project.path().join("suites/ticket-triage.yaml"), block("yaml")).unwrap();
    let (exit, printed) = promptkeel(project.path(), &["check"]);
    assert_eq!(exit, Some(0), "{printed}");
    assert!(!printed.contains("warning"), "{printed}");

    fs::write(project.path().join("suites/ticket-triage.yaml"), block("yaml").replace("assert:", "asert:")).unwrap();
    let (exit, printed) = promptkeel(project.path(), &["check"]);
    assert_eq!(exit, Some(2), "the check reads this suite: {printed}");
}
