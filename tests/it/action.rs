//! Do the scripts of the GitHub action keep their promises: one comment that is replaced, a verdict that no failure of the API costs, nothing run that is an input?

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Project, Ran};
use crate::raw_server::{RawServer, response};

/// A script of `scripts/action`, in the folder of a project, with these variables and no others.
fn script(project: &Project, name: &str, variables: &[(&str, &str)]) -> Ran {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/action").join(name);
    #[expect(clippy::disallowed_methods, reason = "a test runs the script as GitHub does")]
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(path).current_dir(project.root()).env_clear();
    #[expect(clippy::disallowed_methods, reason = "bash, curl and jq must be found")]
    let path = std::env::var_os("PATH").unwrap();
    command.env("PATH", path).env("HOME", project.root()).env("GITHUB_ACTIONS", "true").env("CI", "true");
    command.envs(variables.iter().copied());
    Ran::of(&mut command, project.root())
}

// ---- comment.sh ----

/// What the fake of GitHub's API holds, and how it misbehaves.
#[derive(Default)]
struct Github {
    comments: Vec<Value>,
    /// The status of every answer to this method, where it is not the right one.
    refuses: Option<(&'static str, &'static str)>,
}

fn github(state: Github) -> (RawServer, Arc<Mutex<Github>>) {
    let state = Arc::new(Mutex::new(state));
    let shared = Arc::clone(&state);
    let server = RawServer::start(move |heard, stream| {
        let mut state = shared.lock().unwrap();
        let mut words = heard.head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (status, body) = match (method, path) {
            (method, _) if state.refuses.is_some_and(|(refused, _)| refused == method) && path != "/user" => {
                (state.refuses.unwrap().1, json!({"message": "Resource not accessible by integration"}))
            }
            ("GET", "/user") => ("403 Forbidden", json!({"message": "Resource not accessible by integration"})),
            ("GET", path) if path.starts_with("/repos/team/prompts/issues/7/comments?per_page=100&page=") => {
                let page: usize = path.rsplit('=').next().unwrap().parse().unwrap();
                ("200 OK", Value::from(state.comments.iter().skip((page - 1) * 100).take(100).cloned().collect::<Vec<_>>()))
            }
            ("POST", "/repos/team/prompts/issues/7/comments") => {
                let comment = comment(1_000 + state.comments.len(), "github-actions[bot]", "Bot", &sent(heard.body.as_str()));
                state.comments.push(comment.clone());
                ("201 Created", comment)
            }
            ("PATCH", path) => {
                let id: u64 = path.strip_prefix("/repos/team/prompts/issues/comments/").unwrap().parse().unwrap();
                let text = sent(&heard.body);
                match state.comments.iter_mut().find(|comment| comment["id"] == id) {
                    Some(comment) => {
                        comment["body"] = json!(text);
                        ("200 OK", comment.clone())
                    }
                    None => ("404 Not Found", json!({"message": "Not Found"})),
                }
            }
            _ => panic!("{method} {path}"),
        };
        stream.write_all(&response(status, "content-type: application/json\r\n", body.to_string().as_bytes()))
    });
    (server, state)
}

fn sent(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["body"].as_str().unwrap().to_owned()
}

fn comment(id: usize, login: &str, kind: &str, body: &str) -> Value {
    json!({"id": id, "user": {"login": login, "type": kind}, "body": body, "html_url": format!("https://example.com/{id}")})
}

fn commented(page: &str, server: &RawServer, more: &[(&str, &str)]) -> Ran {
    let project = Project::new().write("comment.md", page).write("event.json", r#"{"pull_request": {"number": 7}}"#);
    let (page, event) = (project.path("comment.md"), project.path("event.json"));
    let url = server.url();
    let mut variables = vec![
        ("COMMENT", page.to_str().unwrap()),
        ("NAME", "report"),
        ("TOKEN", "ghs_secret"),
        ("GITHUB_API_URL", &url),
        ("GITHUB_REPOSITORY", "team/prompts"),
        ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
        ("GITHUB_RUN_ID", "42"),
    ];
    variables.extend(more);
    script(&project, "comment.sh", &variables)
}

fn bodies(state: &Mutex<Github>) -> Vec<String> {
    state.lock().unwrap().comments.iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
}

const PAGE: &str = "<!-- promptkeel: report -->\n## ✅ promptkeel: the gate holds\n\n`$HOME` \"quoted\" \\ `$(id)` ::error::x\n";

#[test]
fn the_first_run_writes_a_comment_and_the_next_one_replaces_it() {
    let (server, state) = github(Github::default());
    let ran = commented(PAGE, &server, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "comment: https://example.com/1000\n"), "{ran:?}");
    let footer = "\n<sub>[Run and reports](https://github.com/team/prompts/actions/runs/42)</sub>\n";
    assert_eq!(bodies(&state), [format!("{PAGE}{footer}")]);
    let ran = commented(&PAGE.replace("holds", "fails"), &server, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(bodies(&state), [format!("{}{footer}", PAGE.replace("holds", "fails"))], "one comment, replaced");
    assert!(server.requests().iter().all(|heard| heard.head.contains("Authorization: Bearer ghs_secret")));
    // Another job of the same pull request has a comment of its own.
    assert_eq!(commented(PAGE, &server, &[("NAME", "nightly")]).code, 0);
    assert_eq!(bodies(&state).len(), 2);
    assert!(bodies(&state)[1].starts_with("<!-- promptkeel: nightly -->\n## ✅"), "{:?}", bodies(&state));
}

#[test]
fn a_comment_of_somebody_else_is_never_replaced() {
    let mut comments: Vec<Value> = (0..150).map(|id| comment(id, "reviewer", "User", "looks good")).collect();
    comments.push(comment(150, "mallory", "User", PAGE));
    comments.push(comment(151, "other[bot]", "Bot", &format!("quoting {PAGE}")));
    comments.push(comment(152, "github-actions[bot]", "Bot", PAGE));
    let (server, state) = github(Github { comments, ..Github::default() });
    assert_eq!(commented("new page\n", &server, &[]).code, 0);
    let bodies = bodies(&state);
    assert_eq!(bodies.len(), 153, "ours is on the second page, and is found");
    assert_eq!(bodies[150], PAGE);
    assert!(bodies[152].starts_with("<!-- promptkeel: report -->\nnew page\n"), "{}", bodies[152]);
}

#[test]
fn a_page_as_large_as_a_comment_can_be_goes_through() {
    let (server, state) = github(Github::default());
    let page = format!("<!-- promptkeel: report -->\n{}", "返金 \"'\\$(id)`\n".repeat(6_000));
    assert!(page.chars().count() > 60_000);
    let page: String = page.chars().take(65_000).collect();
    assert_eq!(commented(&page, &server, &[]).code, 0);
    assert!(bodies(&state)[0].starts_with(&page));
    assert!(bodies(&state)[0].chars().count() < 65_536);
}

#[test]
fn what_github_refuses_is_a_warning_with_its_cause() {
    for method in ["GET", "POST"] {
        let (server, _) = github(Github { refuses: Some((method, "403 Forbidden")), ..Github::default() });
        let ran = commented(PAGE, &server, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(
            ran.stdout,
            "::warning title=promptkeel%3A no comment::the pull request has no new comment: GitHub answered 403: Resource not accessible by integration (the job needs the permission \"pull-requests: write\"; pull requests of forks never have it); the job summary and the artifact have the report\n"
        );
    }
    let (server, _) = github(Github::default());
    let url = server.url();
    drop(server);
    let away = RawServer::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n::error::");
    for (api, cause) in [(url.as_str(), "Failed to connect"), (&away.url(), "ended in the middle")] {
        let ran = commented(PAGE, &away, &[("GITHUB_API_URL", api)]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.starts_with("::warning ") && ran.stdout.contains(cause) && ran.stdout.lines().count() == 1, "{ran:?}");
    }
}

#[test]
fn without_a_pull_request_or_a_report_there_is_no_comment() {
    let (server, _) = github(Github::default());
    let project = Project::new().write("push.json", "{}");
    let push = project.path("push.json");
    let ran = commented(PAGE, &server, &[("GITHUB_EVENT_PATH", push.to_str().unwrap())]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "no pull request belongs to this event: no comment\n"));
    let ran = commented(PAGE, &server, &[("NAME", "a --><img>")]);
    assert!(ran.code == 0 && ran.stdout.contains("comment-name may have"), "{ran:?}");
    assert_eq!(server.requests().len(), 0);
    let (server, state) = github(Github::default());
    let ran = commented("", &server, &[]);
    assert!(ran.code == 0 && ran.stdout.contains("there is no report: nothing was run"), "{ran:?}");
    assert_eq!(bodies(&state).len(), 0);
}

#[test]
fn what_an_earlier_push_came_to_does_not_stay_as_this_ones() {
    let too_large = format!("<!-- promptkeel: report -->\n{}", "x\n".repeat(40_000));
    for page in ["", &too_large] {
        let (server, state) = github(Github::default());
        assert_eq!(commented(PAGE, &server, &[]).code, 0);
        let ran = commented(page, &server, &[("GITHUB_RUN_ID", "43"), ("VERDICT", "in<va>lid")]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "comment: https://example.com/1000\n"), "{ran:?}");
        let [body] = &bodies(&state)[..] else { panic!("one comment: {:?}", bodies(&state)) };
        assert!(body.starts_with("<!-- promptkeel: report -->\n## ❌ promptkeel: no report\n"), "{body}");
        assert!(body.contains("(`invalid`)") && body.contains("/actions/runs/43)") && !body.contains("the gate holds"), "{body}");
    }
}

#[test]
fn an_earlier_run_that_ends_late_replaces_nothing() {
    let (server, state) = github(Github::default());
    let newer = PAGE.replace("holds", "fails") + "<sub>[x](/actions/runs/7)</sub>\n";
    assert_eq!(commented(&newer, &server, &[("GITHUB_RUN_ID", "100")]).code, 0);
    let before = bodies(&state);
    let ran = commented(PAGE, &server, &[("GITHUB_RUN_ID", "99")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a later run has written the comment already: it stays\n"));
    assert_eq!(bodies(&state), before);
    // A second attempt has the number of the first one.
    assert_eq!(commented(PAGE, &server, &[("GITHUB_RUN_ID", "100")]).code, 0);
    assert_ne!(bodies(&state), before);
}

// ---- run.sh ----

/// The outputs of the step, as GitHub reads them.
fn ran(project: &Project, more: &[(&str, &str)]) -> (Ran, Vec<String>) {
    project.rewrite("outputs", "");
    let outputs = project.path("outputs");
    let binary = env!("CARGO_BIN_EXE_promptkeel");
    let mut variables = vec![("BINARY", binary), ("REPORTS", "reports"), ("GITHUB_OUTPUT", outputs.to_str().unwrap())];
    variables.extend(more);
    let ran = script(project, "run.sh", &variables);
    let root = project.root().canonicalize().unwrap();
    let lines = project.read("outputs").replace(root.to_str().unwrap(), "[PROJECT]").lines().map(str::to_owned).collect();
    (ran, lines)
}

#[test]
fn every_report_is_written_and_the_verdict_is_an_output() {
    let project = Project::passing();
    let (first, outputs) = ran(&project, &[]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(outputs, ["exit-code=0", "verdict=holds", "judged=2", "reports=[PROJECT]/reports"]);
    for name in ["run.json", "junit.xml", "report.html", "comment.md"] {
        assert!(project.exists(&format!("reports/{name}")), "{name}");
    }
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    let (failed, outputs) = ran(&project, &[]);
    assert_eq!(failed.code, 0, "the verdict is the last step's: {failed:?}");
    assert_eq!(outputs[..2], ["exit-code=1", "verdict=fails"]);
    project.edit("suites/capitals.yaml", "assert:\n  - refusal", "asert:\n  - refusal");
    let (invalid, outputs) = ran(&project, &[]);
    assert_eq!(invalid.code, 0, "{invalid:?}");
    assert_eq!(outputs[..2], ["exit-code=2", "verdict=invalid"]);
    assert!(!project.exists("reports/run.json"), "the reports of the run before are not this one's");
}

#[test]
fn inputs_are_words_and_never_a_program() {
    let project = Project::passing().write("suites/with blank.yaml", &crate::harness::CAPITALS.replace("suite: capitals", "suite: blank"));
    let arguments = "--case 'fra*'\n  --model \"*haiku*\"";
    let (with, outputs) = ran(&project, &[("ARGUMENTS", arguments), ("SUITES", "'suites/with blank.yaml'")]);
    assert_eq!(outputs[0], "exit-code=0", "{with:?}");
    let report: Value = serde_json::from_str(&project.read("reports/run.json")).unwrap();
    assert_eq!(report["cells"].as_array().unwrap().len(), 1);
    assert_eq!(report["cells"][0]["address"]["suite"], "blank");
    for hostile in ["$(touch owned)", "`touch owned`", "; touch owned", "suites/* & touch owned", "--quiet\n; touch owned"] {
        for input in ["ARGUMENTS", "SUITES", "ENDPOINT"] {
            let (_, outputs) = ran(&project, &[(input, hostile)]);
            assert_ne!(outputs[0], "exit-code=0", "{input}: {hostile}");
            assert!(!project.exists("owned"), "{input}: {hostile}");
        }
    }
    let (open, outputs) = ran(&project, &[("ARGUMENTS", "--max-cost 1 'never closed")]);
    assert_eq!((open.code, outputs.len()), (2, 0), "no argument is dropped in silence: {open:?}");
    assert!(open.stdout.contains("the input \"args\" has a quote that is never closed"), "{open:?}");
}

/// The event of a pull request whose branch is in this repository, and the rest of what GitHub says of it.
fn pull_request<'a>(project: &Project, event: &'a Path, head: &str) -> Vec<(&'static str, &'a str)> {
    project.rewrite("event.json", &format!(r#"{{"pull_request": {{"number": 7, "head": {{"repo": {head}}}}}}}"#));
    vec![
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
        ("GITHUB_REPOSITORY", "team/prompts"),
        ("GITHUB_ACTOR", "ada"),
    ]
}

const OURS: &str = r#"{"full_name": "team/prompts"}"#;
const FORK: &str = r#"{"full_name": "stranger/prompts"}"#;

#[test]
fn a_pull_request_of_a_fork_is_judged_by_what_is_stored() {
    let project = Project::passing();
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    let event = project.path("event.json");
    // A fork that was deleted is one all the same.
    for head in [FORK, "null"] {
        let (fork, outputs) = ran(&project, &pull_request(&project, &event, head));
        assert_eq!(outputs[..3], ["exit-code=3", "verdict=missing_verdicts", "judged=0"], "{fork:?}");
        assert!(fork.stderr.contains("::warning title=promptkeel::without `ANTHROPIC_API_KEY` only stored answers are judged"), "{fork:?}");
    }
    let mut bot = pull_request(&project, &event, OURS);
    bot.push(("GITHUB_ACTOR", "dependabot[bot]"));
    assert_eq!(ran(&project, &bot).1[0], "exit-code=3");
    let with = |name, value| {
        let mut variables = pull_request(&project, &event, FORK);
        variables.push((name, value));
        ran(&project, &variables)
    };
    let (chosen, outputs) = with("ARGUMENTS", "--cache read-write");
    assert_eq!(outputs[0], "exit-code=2", "{chosen:?}");
    // What the arguments select and ask is what counts, wherever it is said.
    for arguments in ["--endpoint simulated", "--max-cost 1 --endpoint=simulated suites"] {
        let (simulated, outputs) = with("ARGUMENTS", arguments);
        assert_eq!(outputs[0], "exit-code=0", "{simulated:?}");
        assert!(!simulated.stderr.contains("only stored answers"), "{simulated:?}");
    }
    assert_eq!(with("ENDPOINT", "simulated").1[0], "exit-code=0");
}

#[test]
fn a_mistyped_key_is_a_mistake_where_secrets_are_given() {
    let project = Project::passing();
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    let event = project.path("event.json");
    let (own, outputs) = ran(&project, &pull_request(&project, &event, OURS));
    assert_eq!(outputs[..2], ["exit-code=2", "verdict=invalid"], "{own:?}");
    let (push, outputs) = ran(&project, &[("GITHUB_EVENT_NAME", "push")]);
    assert_eq!(outputs[..2], ["exit-code=2", "verdict=invalid"], "{push:?}");
}

#[test]
fn a_run_that_ends_early_leaves_a_page_that_says_why() {
    let project = Project::passing().write("summary.md", "what another step said\n");
    project.edit("suites/capitals.yaml", "assert:\n  - refusal", "asert:\n  - refusal");
    let summary = project.path("summary.md");
    let (ran, outputs) = ran(&project, &[("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())]);
    assert_eq!(outputs[0], "exit-code=2", "{ran:?}");
    let page = project.read("reports/comment.md");
    assert!(page.starts_with("<!-- promptkeel: report -->\n## ❌ promptkeel: "), "{page}");
    assert!(page.contains("unknown key `asert`"), "{page}");
}

#[test]
fn a_binary_that_does_not_start_is_no_failed_gate() {
    let project = Project::passing();
    let (started, outputs) = ran(&project, &[("BINARY", "/no/such/promptkeel")]);
    assert_eq!(started.code, 0, "{started:?}");
    assert_eq!(outputs[..3], ["exit-code=127", "verdict=crashed", "judged=0"], "{started:?}");
    assert!(started.stdout.starts_with("::error title=promptkeel%3A the binary does not start::"), "{started:?}");
    assert!(started.stdout.contains("/no/such/promptkeel") && started.stdout.lines().count() == 1, "{started:?}");
    // A loader that misses a library ends with 1, as a gate that fails does.
    assert_eq!(ran(&project, &[("BINARY", "false")]).1[..2], ["exit-code=1", "verdict=crashed"]);
    // It starts, and says nothing.
    assert_eq!(ran(&project, &[("BINARY", "true")]).1[..2], ["exit-code=1", "verdict=crashed"]);
}

#[test]
fn the_policy_says_what_fails_the_job() {
    let project = Project::new();
    let judged = |policy: &str, exit: &str, judged: &str| {
        script(&project, "verdict.sh", &[("POLICY", policy), ("EXIT_CODE", exit), ("JUDGED", judged)]).code
    };
    let code = |policy: &str, exit: &str| judged(policy, exit, "20");
    for exit in ["0", "1", "2", "3", "4", "5", "6", "7", "130"] {
        let number: i32 = exit.parse().unwrap();
        assert_eq!(code("gate", exit), number);
        assert_eq!(code("regression", exit), if matches!(number, 3 | 6 | 7) { 0 } else { number });
        assert_eq!(code("never", exit), 0);
        assert_eq!(code("sometimes", exit), 2);
        for nothing in ["", "0"] {
            assert_eq!(judged("regression", exit, nothing), number, "who judges nothing finds no regression, ever");
        }
    }
    assert_eq!(code("gate", ""), 1, "a run that said nothing holds nothing");
}

// ---- action.yml ----

#[test]
fn a_name_does_not_find_the_answers_of_a_longer_name() {
    let action = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let of = |field: &str, name: &str| {
        let line = action.lines().map(str::trim).find(|line| line.starts_with(field) && line.contains("answers")).unwrap();
        let value = line[field.len()..].trim().trim_matches('"');
        value.replace("${{ inputs.comment-name }}", name).replace("${{ github.run_id }}", "42").replace("${{ github.run_attempt }}", "1")
    };
    let wanted = of("restore-keys:", "report");
    assert!(of("key:", "report").starts_with(&wanted), "{wanted}");
    for longer in ["report-de", "report-", "report.1", "report_1", "reports"] {
        assert!(!of("key:", longer).starts_with(&wanted), "{longer}: {wanted}");
    }
}

// ---- build.sh ----

#[test]
fn the_binary_is_called_by_its_source_and_by_what_it_is_linked_with() {
    let project = Project::new().write("action/Cargo.toml", "a").write("action/Cargo.lock", "b").write("action/src/main.rs", "c");
    // The machine's C library, as it answers.
    let project = project.write("bin/getconf", "#!/bin/sh\necho glibc 2.35\n");
    std::fs::set_permissions(project.path("bin/getconf"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let action: PathBuf = project.path("action");
    let key = |image: &str| {
        project.rewrite("outputs", "");
        let outputs = project.path("outputs");
        #[expect(clippy::disallowed_methods, reason = "the tools of the script must be found")]
        let path = format!("{}:{}", project.path("bin").display(), std::env::var("PATH").unwrap());
        let variables = [
            ("GITHUB_ACTION_PATH", action.to_str().unwrap()),
            ("GITHUB_OUTPUT", outputs.to_str().unwrap()),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("ImageOS", image),
            ("PATH", &path),
        ];
        #[expect(clippy::disallowed_methods, reason = "a test runs the script as GitHub does")]
        let mut command = Command::new("bash");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/action/build.sh")).arg("key").envs(variables);
        let ran = Ran::of(&mut command, project.root());
        assert_eq!(ran.code, 0, "{ran:?}");
        project.read("outputs")
    };
    let first = key("ubuntu24");
    assert!(first.starts_with("key=promptkeel-binary-Linux-X64-") && first.trim().len() == 64, "{first}");
    assert_eq!(first, key("ubuntu24"));
    assert_ne!(first, key("ubuntu22"));
    project.rewrite("bin/getconf", "#!/bin/sh\necho glibc 2.39\n");
    assert_ne!(first, key("ubuntu24"));
    project.rewrite("bin/getconf", "#!/bin/sh\necho glibc 2.35\n");
    assert_eq!(first, key("ubuntu24"));
    project.rewrite("action/src/main.rs", "d");
    assert_ne!(first, key("ubuntu24"));
}
