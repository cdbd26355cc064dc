//! Does every mistake of a newcomer get the right exit code and a message to act on, before anything is sent?

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

/// A project with one mistake, the exit code that it must come to, and the name of its golden file.
fn mistakes() -> Vec<(&'static str, i32, Project)> {
    let edited = |path: &str, old: &str, new: &str| {
        let project = Project::passing();
        project.edit(path, old, new);
        project
    };
    let suite = "suites/capitals.yaml";
    vec![
        ("a mistyped key", 2, edited(suite, "assert:\n  - refusal", "asert:\n  - refusal")),
        ("a mistyped assertion", 2, edited(suite, "contains: Tokyo", "contians: Tokyo")),
        ("a mistyped variable in a prompt", 2, edited("suites/prompts/capital/1.md", "{{ country }}", "{{ contry }}")),
        ("a mistyped variable in an assertion", 2, edited(suite, "contains: Tokyo", "contains: '{{ captial }}'")),
        ("an unknown model", 2, edited(suite, "claude-haiku-4-5", "claude-haiku-4-6")),
        ("a retired model", 2, edited(suite, "claude-haiku-4-5", "claude-3-5-haiku-20241022")),
        ("a duplicated id", 2, edited(suite, "id: japan", "id: france")),
        ("a duplicated key", 2, edited(suite, "prompt: capital\n", "prompt: capital\nprompt: capital\n")),
        ("an invalid regex", 2, edited(suite, "contains: Tokyo", "regex: 'Tok(yo'")),
        ("a case that cannot fail", 2, vacuous()),
        ("a missing prompt", 2, edited(suite, "prompt: capital", "prompt: capitol")),
        ("a version that is not there", 2, edited(suite, "prompt: capital", "prompt: capital@4")),
        ("a sampling parameter on the current version", 2, edited(suite, "max_tokens: 50", "max_tokens: 50\n  temperature: 0")),
        (
            "a broken schema file",
            2,
            edited(suite, "contains: Tokyo", "json_schema: fixtures/broken.json").write("fixtures/broken.json", "{\"type\": \"objekt\"}"),
        ),
        (
            "a schema file that is no JSON",
            2,
            edited(suite, "contains: Tokyo", "json_schema: fixtures/broken.json").write("fixtures/broken.json", "{\"type\": "),
        ),
        ("an unreadable fixture", 2, edited(suite, "country: Japan", "country: {file: fixtures/japan.txt}")),
        ("a path that leaves the project", 2, edited(suite, "country: Japan", "country: {file: ../secret.txt}")),
        ("no cases", 2, Project::passing().write(suite, "suite: empty\nprompt: capital\nmodels: [claude-haiku-4-5]\ncases: []\n")),
        ("a tab in the indentation", 2, edited(suite, "    tags: [europe]", "\ttags: [europe]")),
        ("many mistakes in many files", 2, many()),
        ("no suites", 2, Project::new()),
        ("a mistyped setting", 2, edited("promptkeel.toml", "endpoint = ", "endpont = ")),
        ("an unknown endpoint", 2, edited("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"simulatd\"")),
        ("a settings file that is no TOML", 2, edited("promptkeel.toml", "[run]", "[run")),
    ]
}

fn vacuous() -> Project {
    let project = Project::passing();
    project.rewrite(
        "suites/capitals.yaml",
        "suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nsnapshot: {compare: 'off'}\ncases:\n  - id: france\n    vars: {country: France}\n",
    );
    project
}

fn many() -> Project {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "equals: Paris", "equal: Paris");
    project.edit("suites/capitals.yaml", "contains: Tokyo", "regex: '('");
    project.edit("suites/capitals.yaml", "models: [claude-haiku-4-5]", "models: [claude-haiku-4-9, claude-sonet-4-6]");
    project.write("suites/second.yaml", "suite: capitals\nprompts: capital\nmodels: []\ncases:\n  - vars: {country: Peru}\n")
}

#[test]
fn every_mistake_has_its_exit_code_and_message_and_sends_nothing() {
    let server = Server::start(CAPITALS_SCRIPT);
    for (name, code, mut project) in mistakes() {
        project.ask(&server.url());
        let ran = project.run(&["run", "--endpoint", "anthropic"]);
        insta::with_settings!({ description => name, omit_expression => true }, {
            insta::assert_snapshot!(name.replace(' ', "_"), ran.transcript());
        });
        assert_eq!(ran.code, code, "{name}: {ran:?}");
        assert_eq!(server.requests(), 0, "{name} sent something");
    }
}

#[test]
fn check_finds_what_run_finds() {
    for (name, code, project) in mistakes().into_iter().filter(|(_, code, _)| *code == 2) {
        let checked = project.run(&["check"]);
        assert_eq!(checked.code, code, "{name}: {checked:?}");
    }
}

#[test]
fn a_mistyped_flag_names_the_right_one() {
    let ran = Project::passing().run(&["run", "--modle", "x"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn outputs_are_opened_before_anything_is_sent() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing().write("file", "");
    project.ask(&server.url());
    let ran = project.run(&["run", "--endpoint", "anthropic", "--junit", "file/junit.xml"]);
    assert_eq!((ran.code, server.requests()), (5, 0), "{ran:?}");
    let twice = project.run(&["run", "--endpoint", "anthropic", "--junit", "x.xml", "--json", "./x.xml"]);
    assert_eq!((twice.code, server.requests()), (2, 0), "{twice:?}");
}

#[test]
fn a_mistyped_key_hides_no_undefined_variable_and_invents_none() {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "assert:\n  - refusal", "asert:\n  - refusal");
    project.edit("suites/prompts/capital/1.md", "{{ country }}", "{{ country }} {{ tikcet }}");
    let both = project.run(&["check"]);
    assert_eq!(both.code, 2);
    assert!(both.stderr.contains("unknown key `asert`") && both.stderr.contains("undefined variable `tikcet`"), "{}", both.stderr);
    // A case whose own `vars` were left out because of a mistake says nothing about the prompt's variables.
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "vars: {country: Japan}", "var: {country: Japan}");
    let one = project.run(&["check"]);
    assert!(one.stderr.contains("unknown key `var`") && !one.stderr.contains("undefined"), "{}", one.stderr);
}
