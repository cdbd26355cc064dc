//! Does a run write what its requests share into the provider's prompt cache once, and pay no more than it must? By the simulator's books.

use serde_json::Value;

use crate::harness::{Project, Server};

/// 5,395 tokens on models with the newer tokenizer.
fn policy(name: &str) -> String {
    format!("{name}: {}", "every word of this policy is read. ".repeat(480)).chars().take(16_600).collect()
}

const ECHO: &str = "otherwise: {text: \"{{ prompt }}\", delay: 50ms}\n";

/// So many cases that ask for a number, below a long policy; `keys` are further keys of the suite.
fn project(url: &str, cases: usize, keys: &str) -> Project {
    let cases: String = (0..cases).map(|number| format!("  - {{id: case-{number}, vars: {{number: {number}}}}}\n")).collect();
    let models = if keys.contains("models:") { "" } else { "models: [claude-sonnet-5-5]\n" };
    let suite = format!(
        "suite: bills\nprompt: bill\n{models}{keys}request: {{max_tokens: 50}}\nassert: [contains: number]\nsnapshot: {{compare: \"off\"}}\ncases:\n{cases}"
    );
    let prompt = format!("system:\n{}\n\nuser:\nnumber {{{{ number }}}}\n", policy("all"));
    let mut project = Project::new().write("suites/bills.yaml", &suite).write("suites/prompts/bill/1.md", &prompt);
    project.ask(url);
    project
}

const ASK: [&str; 4] = ["--endpoint", "anthropic", "--max-concurrency", "20"];

/// Replies, tokens that were written, read, and neither, by the books.
fn books(server: &Server) -> [u64; 4] {
    let stats = server.stats();
    let billed = &stats["tokens"]["billed"];
    let count = |name: &str| billed[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"));
    let written = count("cache_creation_5m_input_tokens") + count("cache_creation_1h_input_tokens");
    [count("replies"), written, count("cache_read_input_tokens"), count("input_tokens")]
}

fn passes(ran: &(crate::harness::Ran, Value), cells: u64) {
    let (ran, report) = ran;
    assert_eq!((&report["totals"]["passed"], ran.code), (&cells.into(), 0), "{ran:?}");
}

#[test]
fn two_hundred_cases_that_share_a_prompt_write_it_once() {
    let server = Server::start(ECHO);
    let project = project(&server.url(), 200, "");
    passes(&project.report(&ASK), 200);
    let [replies, written, read, plain] = books(&server);
    assert_eq!((replies, read), (200, 199 * written));
    assert!((5_300..5_500).contains(&written), "{written}");
    // In dollars per million tokens: 2 plain, 2.50 written, 0.10 read. The least possible is one write, and reads for all the others.
    let bill = 250 * written + 10 * read + 200 * plain;
    let least = 250 * written + 199 * 10 * written + 200 * plain;
    assert!(bill * 100 <= least * 102, "{bill} {least}");
}

#[test]
fn a_batch_marks_what_six_requests_share_and_not_what_five_do() {
    // Dollars per million tokens: 5 at 2.00 are 10.00; 2.56 reads at 0.10 and 2.44 writes for an hour at 4.00 are 10.016. 6 are 12.00 or 11.52.
    for (cases, marked) in [(5, false), (6, true)] {
        let server = Server::start(&format!("batches: {{polls: 1}}\n{ECHO}"));
        let project = project(&server.url(), cases, "");
        let planned = project.run(&["plan", "--json", "--endpoint", "anthropic", "--batch"]);
        let planned: Value = serde_json::from_str(&planned.stdout).unwrap_or_else(|error| panic!("{error}: {planned:?}"));
        let saving = &planned["estimate"]["saved_by_prompt_cache_usd"];
        assert_eq!((saving != "0.00", saving.as_str().unwrap().starts_with('-')), (marked, false), "{planned}");
        let ran = project.report(&["--endpoint", "anthropic", "--batch"]);
        passes(&ran, cases as u64);
        let tokens = &ran.1["totals"]["tokens"];
        assert_eq!(tokens["cache_write"].as_u64() > Some(0), marked, "{cases}: {tokens}");
    }
}

#[test]
fn samples_write_each_whole_request_once_and_models_write_their_own() {
    let server = Server::start(ECHO);
    let project = project(&server.url(), 10, "samples: 4\nmodels: [claude-sonnet-5-5, claude-haiku-5-5]\n");
    passes(&project.report(&ASK), 20);
    let [replies, written, read, plain] = books(&server);
    // Of each model: the policy once, and each of ten questions once, of some ten tokens; nothing but the envelope is plain.
    assert_eq!((replies, plain), (80, 80 * 4));
    assert!((2 * 5_395..2 * 5_395 + 20 * 15).contains(&written), "{written}");
    assert!(read > 78 * 5_395, "{read}");
}

#[test]
fn a_first_request_that_fails_or_is_refused_hands_over() {
    for (script, failed) in [
        ("rules:\n  - {when: {text: number 0}, then: {status: 400, message: no}}\n", 1),
        ("rules:\n  - {when: {text: number 0}, then: {refusal: {category: cyber}}}\n", 1),
        ("faults: {rate: 0.3, kinds: [overloaded, server_error, rate_limit], in_a_row: 2}\n", 0),
    ] {
        let server = Server::start(&format!("{script}{ECHO}"));
        let project = project(&server.url(), 40, "");
        let (ran, report) = project.report(&ASK);
        assert_eq!(report["totals"]["passed"], 40 - failed, "{ran:?}");
        let [replies, written, read, _] = books(&server);
        // The reply of a refusal before any output tells of a write, which is not billed: then nothing else writes.
        let unbilled = server.stats()["tokens"]["refused_unbilled"]["replies"].as_u64().unwrap_or(0);
        assert!(written <= 5_395, "{script}: {written}");
        assert!(read >= (replies - unbilled - 1) * 5_395, "{script}: {read} read by {replies}");
    }
}

#[test]
fn a_document_that_some_share_is_read_behind_the_prompt_that_all_share() {
    let server = Server::start("otherwise: {text: number, delay: 50ms}\n");
    let cases: String = (0..30)
        .map(|number| {
            format!("  - {{id: case-{number}, vars: {{number: {number}, document: \"{}\"}}}}\n", policy(&format!("d{}", number % 3)))
        })
        .collect();
    let suite = format!(
        "suite: bills\nprompt: bill\nmodels: [claude-sonnet-5-5]\nrequest: {{max_tokens: 50}}\nassert: [contains: number]\nsnapshot: {{compare: \"off\"}}\ncases:\n{cases}"
    );
    let prompt = format!(
        "system: \"{}\"\nmessages:\n  - role: user\n    content:\n      - {{type: text, text: \"{{{{ document }}}}\"}}\n      - {{type: text, text: \"number {{{{ number }}}}\"}}\n",
        policy("all")
    );
    let mut project = Project::new().write("suites/bills.yaml", &suite).write("suites/prompts/bill/1.yaml", &prompt);
    project.ask(&server.url());
    passes(&project.report(&ASK), 30);
    let [_, written, read, _] = books(&server);
    assert!((4 * 5_300..4 * 5_500).contains(&written), "the policy and three documents: {written}");
    assert!(read > 26 * 2 * 5_300 + 3 * 5_300, "{read}");
    for received in server.journal() {
        assert_eq!(String::from_utf8_lossy(&received.body).matches("cache_control").count(), 2);
    }
}

#[test]
fn what_is_too_short_carries_no_mark_and_what_an_author_marks_goes_out_unless_it_is_off() {
    let marks = |keys: &str, text: &str| {
        let server = Server::start(ECHO);
        let project = project(&server.url(), 6, keys);
        let marked = format!(
            "system:\n  - {{type: text, text: \"{text}\"}}\nmessages:\n  - role: user\n    content:\n      - {{type: text, text: \"number {{{{ number }}}}\", cache_control: {{type: ephemeral}}}}\n"
        );
        std::fs::remove_file(project.path("suites/prompts/bill/1.md")).unwrap();
        project.rewrite("suites/prompts/bill/1.yaml", &marked);
        passes(&project.report(&ASK), 6);
        let bodies: Vec<Value> = server.journal().iter().map(|received| serde_json::from_slice(&received.body).unwrap()).collect();
        assert_eq!(bodies.len(), 6);
        let body = &bodies[5];
        (body["system"][0].get("cache_control").is_some(), body["messages"][0]["content"][0].get("cache_control").is_some())
    };
    assert_eq!(marks("", "Be brief."), (false, true));
    assert_eq!(marks("", &policy("all")), (true, true));
    assert_eq!(marks("cache: explicit\n", &policy("all")), (false, true));
    assert_eq!(marks("cache: off\n", &policy("all")), (false, false));
}

#[test]
fn marks_that_the_api_refuses_are_found_before_anything_is_sent() {
    let server = Server::start(ECHO);
    let project = project(&server.url(), 3, "");
    std::fs::remove_file(project.path("suites/prompts/bill/1.md")).unwrap();
    let prompt = |lives: &[&str]| {
        let blocks: String = lives
            .iter()
            .enumerate()
            .map(|(at, life)| format!("  - {{type: text, text: part {at}, cache_control: {{type: ephemeral, ttl: {life}}}}}\n"))
            .collect();
        format!("system:\n{blocks}messages: [{{role: user, content: \"number {{{{ number }}}}\"}}]\n")
    };
    for (lives, said) in [(&["5m"; 5][..], "suites/prompts/bill/1.yaml:6"), (&["5m", "1h"], "suites/prompts/bill/1.yaml:3")] {
        project.rewrite("suites/prompts/bill/1.yaml", &prompt(lives));
        for command in ["check", "plan", "run"] {
            let ran = project.run(&[command]);
            assert!(ran.code == 2 && ran.stderr.contains(said) && ran.stderr.contains("cache_control"), "{ran:?}");
        }
    }
    assert_eq!(server.requests(), 0);
    // What is said to be refused is refused, and what is not passes.
    project.edit("suites/bills.yaml", "prompt: bill\n", "prompt: bill\ncache: off\n");
    passes(&project.report(&ASK), 3);
    project.edit("suites/bills.yaml", "cache: off\n", "cache: explicit\n");
    project.rewrite("suites/prompts/bill/1.yaml", &prompt(&["1h", "1h", "5m", "5m"]));
    passes(&project.report(&[&ASK[..], &["--cache", "refresh"]].concat()), 3);
}

#[test]
fn a_shared_beginning_is_read_however_many_blocks_stand_behind_it() {
    // The provider looks back over twenty positions from a mark: one behind all of these would find nothing.
    let server = Server::start("otherwise: {text: number, delay: 20ms}\n");
    let project = project(&server.url(), 12, "");
    std::fs::remove_file(project.path("suites/prompts/bill/1.md")).unwrap();
    let system: String = (0..30).map(|at| format!("  - {{type: text, text: \"{}\"}}\n", &policy(&format!("part {at}"))[..600])).collect();
    let turns: String = (0..30)
        .map(|at| {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            format!("  - {{role: {role}, content: \"{at} of number {{{{ number }}}}\"}}\n")
        })
        .collect();
    let last = "  - {role: user, content: and now?}\n";
    project.rewrite("suites/prompts/bill/1.yaml", &format!("system:\n{system}messages:\n{turns}{last}"));
    passes(&project.report(&ASK), 12);
    let [replies, written, read, _] = books(&server);
    assert!((5_500..6_500).contains(&written), "{written}");
    assert_eq!((replies, read), (12, 11 * written));
}

#[test]
fn a_prompt_just_below_the_minimum_and_one_that_is_never_hit_are_told_with_their_figures() {
    let hint = |prompt: &str, keys: &str| {
        let server = Server::start(ECHO);
        let project = project(&server.url(), 12, keys);
        std::fs::remove_file(project.path("suites/prompts/bill/1.md")).unwrap();
        project.rewrite("suites/prompts/bill/1.yaml", prompt);
        let (ran, report) = project.report(&[&ASK[..], &["--markdown", "r.md", "--html", "r.html"]].concat());
        let hints = report["right_size"].as_array().unwrap_or_else(|| panic!("{ran:?}")).clone();
        assert_eq!((hints.len(), ran.stdout.contains("could be smaller")), (1, true), "{hints:?} {ran:?}");
        let page = project.read("r.html");
        assert!(page.contains("<h2>Could be smaller</h2><p>bills, bill@1, claude-sonnet-5-5: "), "the page says it too");
        (hints[0].clone(), project.read("r.md"), books(&server))
    };
    // This model keeps 512 tokens or more.
    let short = format!("system: \"{}\"\nmessages: [{{role: user, content: \"number {{{{ number }}}}\"}}]\n", &policy("all")[..1_450]);
    let (below, _, [_, written, read, _]) = hint(&short, "");
    assert_eq!((&below["kind"], &below["minimum"], &below["requests"]), (&"below_cache_minimum".into(), &512.into(), &12.into()));
    assert_eq!((written, read), (0, 0), "nothing was kept");
    let tokens = below["tokens"].as_u64().unwrap();
    assert!((440..512).contains(&tokens), "{below}");
    // What differs stands before what is marked.
    let apart = format!(
        "system:\n  - {{type: text, text: \"{{{{ number }}}} {}\", cache_control: {{type: ephemeral}}}}\nmessages: [{{role: user, content: and what number?}}]\n",
        policy("all")
    );
    let (never, markdown, [_, written, read, _]) = hint(&apart, "cache: explicit\n");
    assert_eq!((&never["kind"], &never["requests"], &never["written_tokens"]), (&"never_hit".into(), &12.into(), &written.into()));
    assert!(written > 12 * 5_300 && read == 0, "{written} {read}");
    assert!(markdown.contains(", or write `cache: off`\n"), "code is shown as code: {markdown}");
}

#[test]
fn marks_are_no_part_of_what_an_answer_is_stored_under() {
    let server = Server::start(ECHO);
    let project = project(&server.url(), 5, "");
    passes(&project.report(&ASK), 5);
    project.edit("suites/bills.yaml", "prompt: bill\n", "prompt: bill\ncache: off\n");
    passes(&project.report(&ASK), 5);
    assert_eq!(server.requests(), 5);
}

#[test]
fn of_two_runs_at_once_each_writes_once_at_most_and_nothing_is_asked_twice() {
    let server = Server::start("otherwise: {text: \"{{ prompt }}\", delay: 300ms}\n");
    let project = project(&server.url(), 40, "");
    let runs: Vec<std::process::Child> = (0..2)
        .map(|_| project.command(&[&["run", "-q"][..], &ASK].concat()).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let [replies, written, read, _] = books(&server);
    assert_eq!((replies, written + read), (40, 40 * 5_395));
    assert!(written <= 2 * 5_395, "{written}");
}

#[test]
fn a_long_reply_that_is_streamed_is_followed_from_its_first_event() {
    let server = Server::start("otherwise: {text: \"{{ prompt }}\", pace: 20ms}\n");
    let project = project(&server.url(), 20, "");
    project.edit("suites/bills.yaml", "max_tokens: 50", "max_tokens: 30000");
    passes(&project.report(&ASK), 20);
    let [replies, written, read, _] = books(&server);
    assert_eq!((replies, read), (20, 19 * written));
    assert!(server.journal().iter().all(|received| String::from_utf8_lossy(&received.body).contains("\"stream\":true")));
}
