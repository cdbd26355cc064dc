//! Does every hostile file get a clear, bounded answer from the built binary, with nothing sent and nothing written outside?

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::harness::{CAPITALS, CAPITALS_SCRIPT, Project, Ran, Server};

/// Address space that a command may take: 3 GiB, most of which is stacks that are never used.
const MOST_KIB: u32 = 3 << 20;
/// Processor seconds: an unoptimised binary on a busy machine needs a few for the largest of these files.
const MOST_SECONDS: u32 = 120;
/// Characters of both streams: a hundred drawn problems at the most.
const MOST_OUTPUT: usize = 100_000;

const SUITE: &str = "suites/capitals.yaml";

/// Runs promptkeel under limits of memory and time; a panic, a signal or a flood of output fails the test whatever it is about.
pub(crate) fn guarded(project: &Project, arguments: &[&str]) -> Ran {
    let inner = project.command(arguments);
    let limits = format!("ulimit -v {MOST_KIB}; ulimit -t {MOST_SECONDS}; exec \"$0\" \"$@\"");
    #[expect(clippy::disallowed_methods, reason = "a shell sets the limits that the binary runs under")]
    let mut command = Command::new("sh");
    command.arg("-c").arg(limits).arg(inner.get_program()).args(inner.get_args()).current_dir(project.root()).env_clear();
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
    let length = ran.stdout.len() + ran.stderr.len();
    assert!(length < MOST_OUTPUT, "{length} bytes of output: {}", &ran.stderr.chars().take(500).collect::<String>());
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("overflowed"), "{}", ran.stderr);
    ran
}

/// `check` must refuse the project with these words, and `run` must send nothing.
pub(crate) fn refused(project: &Project, words: &[&str]) {
    let ran = guarded(project, &["check"]);
    assert_eq!(ran.code, 2, "{words:?}: {}", ran.stderr.chars().take(2_000).collect::<String>());
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr.chars().take(2_000).collect::<String>());
    }
}

fn suite(text: &str) -> Project {
    Project::passing().write(SUITE, text)
}

/// One case: what a template takes, it takes for every case again.
fn prompt(text: &str) -> Project {
    let project = Project::passing().write("suites/prompts/capital/1.md", text);
    let (first, _) = CAPITALS.split_once("  - id: japan").unwrap();
    project.write(SUITE, first)
}

fn edited(old: &str, new: &str) -> Project {
    let project = Project::passing();
    project.edit(SUITE, old, new);
    project
}

fn fixture(path: &str) -> Project {
    let project = edited("country: Japan", &format!("country: {{file: {path}}}"));
    fs::create_dir_all(project.path("fixtures")).unwrap();
    project
}

fn table(path: &str, text: &str) -> Project {
    edited("  - id: japan\n    tags: [asia]\n    vars: {country: Japan}\n", &format!("  - from: {path}\n")).write(path, text)
}

fn pipe(project: &Project, path: &str) {
    #[expect(clippy::disallowed_methods, reason = "there is no other way to make a named pipe without unsafe code")]
    let made = Command::new("mkfifo").arg(project.path(path)).status().unwrap();
    assert!(made.success());
}

#[test]
fn yaml_that_explodes_or_nests_is_refused_with_its_bound() {
    let laughs = |first: &str, each: &dyn Fn(u32) -> String| (1..12).fold(first.to_owned(), |text, level| text + &each(level));
    let nine = |level: u32| vec![format!("*a{}", level - 1); 9].join(",");
    let too_much = ["nested too deep or expands into too much", "32 levels", "4000000 values"];
    refused(&suite(&laughs("a0: &a0 [ha]\n", &|level| format!("a{level}: &a{level} [{}]\n", nine(level)))), &too_much);
    refused(
        &suite(&laughs("a0: &a0 {a: 1}\n", &|level| format!("a{level}: &a{level}\n  <<: [{}]\n  k{level}: 1\n", nine(level)))),
        &too_much,
    );
    for deep in ["x: ".to_owned() + &"[".repeat(100_000), "{a: ".repeat(100_000), format!("x:\n{}1\n", "- ".repeat(100_000))] {
        refused(&suite(&deep), &too_much);
    }
    let quadratic = format!("a: &a [{}x]\nb: [{}*a]\n", "x,".repeat(5_000), "*a,".repeat(5_000));
    refused(&suite(&quadratic), &["the aliases of this YAML file expand into too much"]);
    refused(&suite("a: &a [*a]\n"), &["this alias stands inside of its own anchor"]);
    refused(&suite(&format!("{CAPITALS}---\n{}", "a: 1\n---\n".repeat(10_000))), &["a second one begins here"]);
}

#[test]
fn texts_that_are_no_text_are_named() {
    refused(&suite("suite: a\0b\n"), &["NUL character", "suites/capitals.yaml:1:9"]);
    let project = Project::passing();
    fs::write(project.path(SUITE), CAPITALS.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    refused(&project, &["this is not YAML"].map(|_| "suites/capitals.yaml"));
    fs::write(project.path(SUITE), b"suite: \xff\xfe\n").unwrap();
    refused(&project, &["is not UTF-8: byte 0xff"]);
    for same in [format!("\u{feff}{CAPITALS}"), CAPITALS.replace('\n', "\r\n")] {
        let ran = guarded(&suite(&same), &["run"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn a_mistake_at_every_byte_is_told_a_hundred_times() {
    let keys: String = (0..50_000).map(|key| format!("a{key}: 1, ")).collect();
    refused(&suite(&format!("{{{keys}}}")), &["unknown key `a0`"]);
    refused(&suite(&"a: 1\n".repeat(50_000)), &["duplicate key `a`"]);
    refused(&suite(&format!("? {}\n: 1\n", "k".repeat(2_000_000))), &["unknown key `kkkk"]);
    refused(&table("fixtures/t.json", &format!("[{}1]", "1,".repeat(50_000))), &["a row must be a mapping"]);
    refused(&table("fixtures/t.csv", &format!("id,country\n{}", "a,b\n".repeat(50_000))), &["duplicate case id `a`", "more problems"]);
    refused(&edited("prompt: capital", &format!("prompt: {}", "x".repeat(100_000))), &["unknown prompt `xxx", "x…"]);
    let twice = format!("\"{}\": 1", "k".repeat(1_000_000));
    refused(&fixture("fixtures/a.json").write("fixtures/a.json", &format!("{{{twice}, {twice}}}")), &["duplicate key `kkk"]);
}

#[test]
fn large_files_are_refused_or_read_within_bounds() {
    let project = fixture("fixtures/a.txt");
    fs::File::create(project.path("fixtures/a.txt")).unwrap().set_len(10 << 30).unwrap();
    refused(&project, &["larger than the limit of 100 MiB", "split the file"]);
    refused(&fixture("fixtures/a.txt").write("fixtures/a.txt", &"x".repeat(90_000_000)), &["too many steps or makes too much text"]);
    refused(&fixture("fixtures/a.json").write("fixtures/a.json", &format!("[{}1]", "[],".repeat(5_000_000))), &["4000000 values"]);
    refused(&table("fixtures/t.csv", &format!("id,country\na,\"{}", "x,y\n".repeat(2_000_000))), &["this quote is never closed"]);
    let line = format!("{{\"id\": \"a\", \"country\": \"{}\"}}", "x".repeat(20_000_000));
    refused(&table("fixtures/t.jsonl", &line), &["the rendered text is larger than 8 MiB"]);
    refused(&edited("models:", "samples: 4294967295\nmodels:"), &["`samples` may be 10000 at most"]);
}

#[test]
fn more_cases_than_a_suite_may_have_are_refused() {
    let rows: String = (0..1_000_000).map(|row| format!("r{row}\n")).collect();
    let project = table("fixtures/t.csv", &format!("id\n{rows}"));
    project.edit("suites/prompts/capital/1.md", "{{ country }}", "this country");
    refused(&project, &["more than 250000 cases", "split it into several suites"]);
}

#[test]
fn pipes_devices_folders_and_links_are_never_waited_for_nor_followed_out() {
    let path = "fixtures/a.txt";
    let project = fixture(path);
    pipe(&project, path);
    refused(&project, &["it is not a regular file"]);
    for (target, words) in [
        ("/dev/zero", "leads out of the project"),
        ("/etc/passwd", "leads out of the project"),
        ("a.txt", "cannot be read"),
        ("/nowhere", "there is no file"),
        (".", "is a folder, not a file"),
    ] {
        let project = fixture(path);
        symlink(target, project.path(path)).unwrap();
        refused(&project, &[words]);
    }
    // Whatever else is read when a project is opened.
    for (path, arguments, code) in [
        ("promptkeel.toml", ["check", "--json"], 2),
        ("fixtures/sim/script.yaml", ["plan", "--json"], 2),
        ("run.json", ["report", "run.json"], 2),
        ("run.json", ["merge", "run.json"], 2),
    ] {
        let project = Project::passing();
        let _ = fs::remove_file(project.path(path));
        pipe(&project, path);
        let ran = guarded(&project, &arguments);
        assert_eq!(ran.code, code, "{path}: {ran:?}");
        assert!(ran.stderr.contains("not a regular file"), "{path}: {}", ran.stderr);
    }
    let project = Project::passing();
    project.edit("promptkeel.toml", "[run]", "[run]\nenv_file = \"keys\"");
    pipe(&project, "keys");
    let ran = guarded(&project, &["check"]);
    assert!(ran.code == 2 && ran.stderr.contains("env file") && ran.stderr.contains("not a regular file"), "{ran:?}");
    // The version that a suite means is the last one, whatever it is.
    let project = Project::passing();
    pipe(&project, "suites/prompts/capital/2.md");
    refused(&project, &["suites/prompts/capital/2.md", "not a regular file"]);
    // A snapshot that is a pipe is a cell that could not be compared.
    let project = Project::passing();
    fs::create_dir_all(project.path("snapshots/capitals/france")).unwrap();
    pipe(&project, "snapshots/capitals/france/claude-haiku-4-5.snap");
    let ran = guarded(&project, &["run"]);
    assert!(ran.stdout.contains("not a regular file") || ran.stderr.contains("not a regular file"), "{ran:?}");
}

#[test]
fn nothing_is_written_through_a_link_that_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    let project = Project::passing();
    symlink(outside.path(), project.path("snapshots")).unwrap();
    let ran = guarded(&project, &["run"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "a snapshot was written outside");
}

#[test]
fn ids_of_any_shape_stay_in_the_project_and_can_be_selected() {
    for id in ["../../evil", "/etc/x", "a\\b", "-rf", "CON", "nul.txt", "aux.", "a::b", "[ab]", "a{b,c}", "?", "<script>", "@", ".."] {
        let project = edited("id: japan", &format!("id: '{id}'"));
        let ran = guarded(&project, &["run", &format!("--case={id}"), "--json", "r.json", "--junit", "j.xml", "--markdown", "m.md"]);
        assert_eq!(ran.code, 0, "{id}: {ran:?}");
        let report: serde_json::Value = serde_json::from_str(&project.read("r.json")).unwrap();
        assert_eq!(report["totals"]["planned"], 1, "{id}");
        assert_eq!(report["cells"][0]["address"]["case"], id);
        let written: Vec<_> =
            ignore::WalkBuilder::new(project.path("snapshots")).hidden(false).git_ignore(false).build().flatten().collect();
        assert_eq!(written.iter().filter(|entry| entry.path().is_file()).count(), 1, "{id}");
    }
    assert!(guarded(&edited("id: japan", "id: FRANCE"), &["run", "--update"]).code == 0, "ids may differ in case alone");
    for (id, words) in [
        ("x".repeat(10_000), "longer than 300 characters"),
        ("a\\nb".to_owned(), "holds a control character"),
        ("a\\u202eb".to_owned(), "holds a character that nobody sees"),
        ("a\\u200bb".to_owned(), "holds a character that nobody sees"),
        ("a ".to_owned(), "begins or ends with a blank"),
    ] {
        refused(&edited("id: japan", &format!("id: \"{id}\"")), &[words]);
    }
    let project = edited("id: japan", "id: \"\\u00e9\"");
    project.edit(SUITE, "id: france", "id: \"e\\u0301\"");
    refused(&project, &["looks the same"]);
}

#[test]
fn templates_end_whatever_they_ask_for() {
    for (template, words) in [
        ("{{ 'x' * 1000000000 }}".to_owned(), "too many steps or makes too much text"),
        ("{{ [country] * 100000000 }}".to_owned(), "too many steps or makes too much text"),
        ("{% for i in range(1000000000) %}x{% endfor %}".to_owned(), "too many elements"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(), "too many steps"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}".to_owned(), "recursion limit"),
        ("{% include '/etc/passwd' %}".to_owned(), "cannot include other files"),
        ("{% import 'x' as y %}".to_owned(), "cannot include other files"),
        ("{{ country.__class__ }}".to_owned(), "is undefined"),
        (format!("{{{{ {}1 }}}}", "-".repeat(100_000)), "chain of more than 300"),
        (format!("{{{{ 1{} }}}}", "+1".repeat(100_000)), "chain of more than 300"),
        (format!("{{{{ 1{} }}}}", "|string".repeat(100_000)), "chain of more than 300"),
        (format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(10_000)), "`elif` are too many"),
        ("{{ [".to_owned() + &"[".repeat(100_000), "chain of more than 300"),
    ] {
        refused(&prompt(&format!("{{{{ country }}}}{template}")), &[words]);
    }
    let nested = "{% set n = namespace(x=[1]) %}{% for i in range(50000) %}{% set n.x = [n.x] %}{% endfor %}";
    refused(&prompt(&format!("{{{{ country }}}}{nested}")), &["nested deeper than 128 levels"]);
    // Small, and without an end once they are written, compared or hashed: in each command that renders. All steps that a template may
    // take are seconds of an unoptimised binary, so each command is shown by one of the two.
    for (use_of_it, command) in [("a ~ ''", "plan"), ("a == [a]", "run")] {
        let doubled = format!("{{% set a = [1] %}}{}{{{{ {use_of_it} }}}}", "{% set a = [a, a] %}".repeat(40));
        let project = prompt(&format!("{{{{ country }}}}{doubled}"));
        refused(&project, &["too many steps", "suites/prompts/capital/1.md:1"]);
        let ran = guarded(&project, &[command]);
        assert!(ran.code == 2 && ran.stderr.contains("too many steps"), "{command} {use_of_it}: {ran:?}");
    }
    refused(
        &prompt("{{ country }}{{ [1] * 100000000 == [1] * 100000000 }}"),
        &["more than 10000 items", "suites/prompts/capital/1.md:1:17"],
    );
    // What a variable holds is never a template.
    let ran = guarded(&edited("country: Japan", "country: '{{ evil }} Japan'"), &["run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_schema_reaches_nothing_outside_of_itself() {
    let server = Server::start(CAPITALS_SCRIPT);
    for reference in [&format!("{}/x.json", server.url()), "file:///etc/passwd", "ftp://x/y", "../../etc/passwd", "other.json#/a"] {
        let project = edited("contains: Tokyo", "json_schema: fixtures/s.json");
        refused(&project.write("fixtures/s.json", &format!("{{\"$ref\": \"{reference}\"}}")), &["is not part of it", "nothing is fetched"]);
    }
    assert_eq!(server.requests(), 0);
    let deep = |levels: usize| "{\"not\":".repeat(levels) + "true" + &"}".repeat(levels);
    refused(&edited("contains: Tokyo", "json_schema: fixtures/s.json").write("fixtures/s.json", &deep(10_000)), &["recursion limit"]);
}

#[test]
fn a_report_whose_totals_are_not_those_of_its_cells_is_not_believed() {
    let project = Project::passing();
    project.edit("fixtures/sim/script.yaml", "then: {text: Tokyo}", "then: {text: Kyoto}");
    let (ran, _) = project.report(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = project.read("report.json");
    for (old, new) in [("\"failed\":1", "\"failed\":0"), ("\"passed\":1", "\"passed\":2"), ("\"planned\":2", "\"planned\":1")] {
        assert!(report.contains(old), "{old}");
        project.rewrite("tampered.json", &report.replacen(old, new, 1));
        for command in ["report", "merge"] {
            let ran = guarded(&project, &[command, "tampered.json"]);
            assert!(ran.code == 2 && ran.stderr.contains("not those of its cells"), "{command} {new}: {ran:?}");
        }
    }
    for (text, words) in [
        ("[".repeat(1_000_000), "not a run report"),
        ("{\"schema\": \"promptkeel.run/99\"}".to_owned(), "promptkeel.run/99"),
        (report[..report.len() / 2].to_owned(), "not a run report"),
    ] {
        project.rewrite("tampered.json", &text);
        let ran = guarded(&project, &["report", "tampered.json"]);
        assert!(ran.code == 2 && ran.stderr.contains(words), "{words}: {ran:?}");
    }
}
