//! Does the plan say what a run will cost, and does nobody pay more than they said yes to?

use serde_json::Value;

use crate::harness::{Project, Server};

const SUITE: &str = "\
suite: questions
prompt: question
models: [claude-haiku-4-5, claude-sonnet-5-5]
request: {max_tokens: 2000}
assert: [contains: answer]
snapshot: {compare: \"off\"}
cases:
  - {id: one, vars: {topic: rivers}}
  - {id: two, vars: {topic: mountains}}
  - {id: three, vars: {topic: lakes}}
  - {id: four, vars: {topic: a rather long name of a desert that nobody has ever heard of}}
";

/// Answers of 36 bytes.
const SCRIPT: &str = "otherwise: {text: \"the answer is always of this length\"}\n";

fn project(server: &Server) -> Project {
    let mut project = Project::new()
        .write("suites/questions.yaml", SUITE)
        .write("suites/prompts/question/1.md", "What do you know about {{ topic }}? Answer briefly, and name your sources.\n");
    project.ask(&server.url());
    project
}

fn plan(project: &Project, arguments: &[&str]) -> Value {
    let mut all = vec!["plan", "--json", "--endpoint", "anthropic"];
    all.extend(arguments);
    let ran = project.run(&all);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn dollars(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

#[test]
fn without_history_the_estimate_takes_answers_at_their_most_and_says_so() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let told = plan(&project, &[]);
    let estimate = &told["estimate"];
    assert_eq!(estimate["output_tokens"], 8 * 2_000, "{told}");
    assert_eq!((&estimate["outputs_from_answers"], &estimate["prompts_counted"]), (&0.into(), &0.into()));
    assert!(dollars(&estimate["usd"]) < dollars(&told["upper_bound_usd"]), "{told}");
    assert_eq!(told["models"].as_array().unwrap().len(), 2);
    let text = project.run(&["plan", "--endpoint", "anthropic"]).stdout;
    assert!(text.contains("answers at max_tokens, because none is known yet"), "{text}");
    assert_eq!(server.requests(), 0, "a plan asks nothing");
}

#[test]
fn a_new_prompt_version_is_estimated_by_the_answers_to_the_old_one() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let (_, first) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!(plan(&project, &[])["estimate"]["usd"], "0.00", "nothing is left to ask");
    project.rewrite("suites/prompts/question/1.md", "What is there to say about {{ topic }}? Answer briefly, name your sources.\n");
    let told = plan(&project, &[]);
    assert_eq!((&told["answered"], &told["estimate"]["outputs_from_answers"]), (&0.into(), &8.into()), "{told}");
    let output: u64 = first["totals"]["tokens"]["output"].as_u64().unwrap();
    assert_eq!(told["estimate"]["output_tokens"], output, "as long as the answers to the same cases: {told}");
    let (_, second) = project.report(&["--endpoint", "anthropic"]);
    let (about, paid) = (dollars(&told["estimate"]["usd"]), dollars(&second["bill"]["simulated_usd"]));
    assert!((about / paid - 1.0).abs() < 0.2, "about {about}, paid {paid}");
    assert!(paid <= dollars(&told["upper_bound_usd"]));
}

#[test]
fn exact_counts_are_those_that_the_run_is_billed_for() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let told = plan(&project, &["--exact"]);
    assert_eq!(told["estimate"]["prompts_counted"], 8, "{told}");
    let stats = server.stats();
    assert_eq!(stats["bill"]["usd"], "0.00", "counts are free: {stats}");
    let (_, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!(report["totals"]["tokens"]["input"], told["estimate"]["input_tokens"], "{told}");
    let text = project.run(&["plan", "--exact", "--endpoint", "anthropic", "--cache", "refresh"]);
    assert!(text.stderr.contains("asking anthropic for the tokens of 8 prompts: counts are free"), "{text:?}");
    assert!(text.stdout.contains("prompts as their endpoint counts them, answers as long as earlier ones"), "{text:?}");
}

#[test]
fn what_cannot_be_counted_stays_estimated_and_is_told() {
    let server = Server::start(SCRIPT);
    let mut project = project(&server);
    project.ask(&format!("{}/nowhere", server.url()));
    let ran = project.run(&["plan", "--exact", "--endpoint", "anthropic"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("8 prompts could not be counted, and stay estimated by their size"), "{}", ran.stderr);
    assert!(ran.stdout.contains("prompts by their size"), "{}", ran.stdout);
}

#[test]
fn the_plan_tells_what_prompt_caching_is_expected_to_save() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let policy = "Every word of this policy is read. ".repeat(200);
    project.rewrite(
        "suites/prompts/question/1.yaml",
        &format!("system: \"{policy}\"\nmessages: [{{role: user, content: \"What do you know about {{{{ topic }}}}?\"}}]\n"),
    );
    std::fs::remove_file(project.path("suites/prompts/question/1.md")).unwrap();
    let told = plan(&project, &["--model", "claude-sonnet-5-5"]);
    assert!(dollars(&told["estimate"]["saved_by_prompt_cache_usd"]) > 0.0, "{told}");
    assert_eq!(told["prompt_cache"][0]["requests"], 4, "{told}");
    let text = project.run(&["plan", "--endpoint", "anthropic", "--model", "claude-sonnet-5-5"]).stdout;
    assert!(text.contains("prompt caching is expected to save $0."), "{text}");
}

#[test]
fn nobody_is_asked_where_nobody_can_answer() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    project.edit("promptkeel.toml", "[run]\n", "[run]\nconfirm_above = \"0\"\n");
    let (ran, report) = project.report(&["--endpoint", "anthropic"]);
    assert_eq!(report["totals"]["passed"], 8, "{ran:?}");
    assert!(!ran.stderr.contains("Go on?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("0 already answered, about $"), "{}", ran.stderr);
}

/// A terminal, and what was said in it after `answer` was typed.
#[cfg(unix)]
pub(crate) fn at_a_terminal(project: &Project, arguments: &[&str], answer: &[u8]) -> (Option<i32>, String) {
    use std::io::{Read, Write};

    let (pty, terminal) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(40, 120)).unwrap();
    let mut command = project.command(arguments);
    command.env("TERM", "xterm-256color");
    let mut child = pty_process::blocking::Command::from(command).spawn(terminal).unwrap();
    let mut pty = pty;
    let mut said = Vec::new();
    let mut is_answered = answer.is_empty();
    let mut bytes = [0; 4096];
    // The end of a terminal that nobody holds any more is an error on Linux.
    while let Ok(read @ 1..) = pty.read(&mut bytes) {
        said.extend_from_slice(&bytes[..read]);
        if !is_answered && String::from_utf8_lossy(&said).contains("Go on? [y/N]") {
            pty.write_all(answer).unwrap();
            is_answered = true;
        }
    }
    (child.wait().unwrap().code(), String::from_utf8_lossy(&said).into_owned())
}

#[cfg(unix)]
#[test]
fn at_a_terminal_a_dear_run_asks_first_and_no_means_that_nothing_is_sent() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    project.edit("promptkeel.toml", "[run]\n", "[run]\nconfirm_above = \"0.01\"\n");
    let run = ["run", "--endpoint", "anthropic"];
    // Ctrl-D at last: nobody said yes.
    for answer in [&b"n\n"[..], b"\n", b"\x04"] {
        let (code, said) = at_a_terminal(&project, &run, answer);
        assert_eq!((code, server.requests()), (Some(130), 0), "{said}");
        assert!(said.contains("8 requests to pay for: about $0.") && said.contains("nothing was sent, and nothing was paid"), "{said}");
    }
    let (code, said) = at_a_terminal(&project, &run, b"y\n");
    assert_eq!((code, server.requests()), (Some(0), 8), "{said}");
    // Everything is answered now; and where it is not, `--yes` has said it.
    let (code, said) = at_a_terminal(&project, &run, b"");
    assert!(code == Some(0) && !said.contains("Go on?"), "{said}");
    let (code, said) = at_a_terminal(&project, &["run", "--endpoint", "anthropic", "--cache", "refresh", "--yes"], b"");
    assert!(code == Some(0) && !said.contains("Go on?"), "{said}");
    assert_eq!(server.requests(), 16);
}

#[test]
fn what_could_be_smaller_is_told_with_its_figures_and_not_to_those_who_want_quiet() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let cases: String = (0..20).map(|number| format!("  - {{id: case-{number}, vars: {{topic: topic {number}}}}}\n")).collect();
    let suite = SUITE.split_once("cases:").unwrap().0.replace("max_tokens: 2000", "max_tokens: 4000");
    project.rewrite("suites/questions.yaml", &format!("{suite}cases:\n{cases}"));
    let (ran, report) = project.report(&["--endpoint", "anthropic", "--markdown", "report.md"]);
    let kinds: Vec<&str> = report["right_size"].as_array().unwrap().iter().map(|hint| hint["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["max_tokens", "max_tokens", "cheaper_model"], "{report:.200}");
    let hint = &report["right_size"][2];
    assert_eq!((&hint["cheaper"], &hint["cells"], &hint["passed"]), (&"claude-haiku-4-5".into(), &20.into(), &20.into()));
    let models = report["models"].as_array().unwrap();
    assert_eq!(models[0]["bill"]["simulated_usd"], hint["cheaper_usd"], "no cache, no batch: plain rates are what it cost");
    assert!(
        ran.stdout.contains("could be smaller") && ran.stdout.contains("claude-haiku-4-5 passes all 20 cells for $0."),
        "{}",
        ran.stdout
    );
    let markdown = project.read("report.md");
    assert!(markdown.contains("**Could be smaller:**") && markdown.contains(": `max_tokens` is 4,000, "), "{markdown}");
    let quiet = project.run(&["run", "--endpoint", "anthropic", "-q"]);
    assert!(quiet.stdout.contains("20") && !quiet.stdout.contains("could be smaller"), "{}", quiet.stdout);
    // Nineteen are not enough to say anything.
    let (_, fewer) = project.report(&["--endpoint", "anthropic", "--case", "case-1*", "--case", "case-[2-9]"]);
    assert!(fewer["right_size"].is_null(), "{}", fewer["right_size"]);
}

#[test]
fn the_estimate_takes_off_what_batches_save() {
    let server = Server::start(SCRIPT);
    let project = project(&server);
    let singly = plan(&project, &[]);
    project.edit("suites/questions.yaml", "prompt: question\n", "prompt: question\nbatch: \"on\"\n");
    let batched = plan(&project, &[]);
    assert_eq!(batched["estimate"]["usd"], batched["estimate"]["saved_by_batch_usd"], "{batched}");
    let (whole, half) = (dollars(&singly["estimate"]["usd"]), dollars(&batched["estimate"]["usd"]));
    assert!((half * 2.0 - whole).abs() < 1e-6, "{whole} and {half}");
    // A few requests are not worth a batch.
    project.edit("suites/questions.yaml", "batch: \"on\"", "batch: auto");
    assert_eq!(plan(&project, &[])["estimate"]["usd"], singly["estimate"]["usd"]);
}
