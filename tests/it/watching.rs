//! Does a watch run what an edit touches, ask nothing that is known, and rest when nothing happens?

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::{CAPITALS, CAPITALS_SCRIPT, Project, Server};
use crate::raw_server::{RawServer, saying};

/// Longer than any round takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The last line of every round.
const WAITING: &str = "Ctrl-C ends";

/// A watch in a process of its own, whose lines are read as they come.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut all = vec!["run"];
        if !arguments.contains(&"--watch=poll") {
            all.push("--watch");
        }
        all.extend(arguments);
        // One pipe for both streams, as a terminal is: their lines come in the order in which they were written.
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = project.command(&all);
        let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).stdin(Stdio::null()).spawn().unwrap();
        Self::reading(child, reader)
    }

    /// Everything up to the first line that holds `text`.
    fn until(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut heard = String::new();
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    heard.push_str(&line);
                    heard.push('\n');
                    if line.contains(text) {
                        return heard;
                    }
                }
                Err(error) => panic!("{error}: {text:?} does not come after\n{heard}"),
            }
        }
    }

    /// One whole round.
    fn round(&self) -> String {
        self.until(WAITING)
    }

    /// It has nothing to say: the next that is heard is what a person does now, which touches no cell. Twice, because an edit of its own
    /// might be looked at together with the first of the person's.
    fn rests(&self, project: &Project) {
        for _ in 0..2 {
            let suite = project.read("suites/rivers.yaml");
            project.rewrite("suites/rivers.yaml", &format!("{suite}# seen\n"));
            let heard = self.round_or_note();
            assert!(heard.ends_with("UTC  suites/rivers.yaml changed: no cell is touched\n"), "{heard}");
            assert_eq!(heard.lines().count(), 1, "the watch does not rest: {heard}");
        }
    }

    /// Ends it as Ctrl-C does, and answers with its exit code.
    fn end(mut self) -> i32 {
        #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
        let sent = std::process::Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It has ended already where the test did not fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two suites with a prompt of their own each; a server that counts.
fn project() -> (Server, Project) {
    let server = Server::start(&format!("{CAPITALS_SCRIPT}  - when: {{text: Peru}}\n    then: {{text: Lima}}\n"));
    let mut project = Project::passing()
        .write("suites/rivers.yaml", &CAPITALS.replace("capital", "river").replace("japan", "nippon"))
        .write("suites/prompts/river/1.md", "Which river runs through the capital of {{ country }}?\n");
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\n");
    project.ask(&server.url());
    (server, project)
}

#[test]
fn an_edit_runs_its_cells_alone_and_nothing_is_asked_twice() {
    let (server, project) = project();
    let watch = Watch::start(&project, &[]);
    let first = watch.round();
    assert!(first.contains("UTC ── 4 cells ─") && first.contains("1 round, "), "{first}");
    assert_eq!(server.requests(), 4);
    watch.rests(&project);

    project.edit("suites/prompts/river/1.md", "Which river", "What river");
    let second = watch.round();
    assert!(second.contains("suites/prompts/river/1.md changed: 2 of 4 cells ─"), "{second}");
    assert!(second.contains("running 2 cells"), "{second}");
    assert!(second.contains("4 planned = 4 passed"), "the summary shows the whole: {second}");
    assert!(second.contains("2 asked, 2 already answered"), "{second}");
    assert!(second.contains("every verdict, every output and every snapshot is the same"), "{second}");
    assert!(second.lines().count() <= 7 && !second.contains("pass rate"), "no terminal, so no summary of everything again: {second}");
    assert_eq!(server.requests(), 6);

    // An assertion asks nothing; the lines that it moves touch no other cell.
    project.edit("suites/capitals.yaml", "      - equals: Paris\n", "      - equals: Lyon\n      - not: {equals: Rome}\n");
    let third = watch.round();
    assert!(third.contains("suites/capitals.yaml changed: 1 of 4 cells ─"), "{third}");
    assert!(third.contains("1 newly failing") && third.contains("FAILED (exit 1)"), "{third}");
    assert!(third.contains("newly failing  capitals::france::capital@1::claude-haiku-4-5"), "{third}");

    project.edit("suites/capitals.yaml", "equals: Lyon", "equals: Paris");
    let fourth = watch.round();
    assert!(fourth.contains("1 newly passing") && fourth.contains("4 rounds, "), "{fourth}");
    assert_eq!(server.requests(), 6);
    watch.rests(&project);
    assert_eq!(watch.end(), 0);
    // The rounds are one run of the history: the last of them, with what all of them came to.
    let listed = project.run(&["history", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(
        (&runs[0]["earlier_rounds"], &runs[0]["exit_code"], &runs[0]["suites"][0]["passed"]),
        (&3.into(), &0.into(), &2.into()),
        "{runs}"
    );
    assert!(project.run(&["history"]).stdout.contains("(watch, 4 rounds)"), "{}", project.run(&["history"]).stdout);
}

#[test]
fn the_report_of_a_round_is_that_of_a_run_of_everything() {
    let (server, project) = project();
    let watch = Watch::start(&project, &["--json", "watched.json"]);
    watch.round();
    project.edit("suites/capitals.yaml", "cases:\n", "\n# The first line of all cases moved.\ncases:\n");
    let moved = watch.round_or_note();
    assert!(moved.contains("no cell is touched"), "{moved}");
    project.edit("suites/prompts/river/1.md", "Which river", "What river");
    watch.round();
    assert_eq!(watch.end(), 0);
    assert_eq!(server.requests(), 6);
    assert_eq!(project.run(&["run", "--json", "whole.json"]).code, 0);
    assert_eq!(server.requests(), 6);
    let cells = |path: &str| {
        let mut report: serde_json::Value = serde_json::from_str(&project.read(path)).unwrap();
        for cell in report["cells"].as_array_mut().unwrap() {
            // What the round paid is the one difference.
            cell["samples"][0]["reply"]["served"].take();
        }
        (report["cells"].clone(), report["texts"].clone(), report["totals"]["planned"].clone())
    };
    assert_eq!(cells("watched.json"), cells("whole.json"));
}

#[test]
fn counts_that_cannot_be_right_are_told_in_every_round_that_shows_their_cells() {
    let server = RawServer::body(saying("Paris or Tokyo").replace("_tokens\":10", "_tokens\":0"));
    let mut project = Project::passing();
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\n");
    project.edit("suites/capitals.yaml", "equals: Paris", "contains: Paris");
    project.ask(&server.url());
    let watch = Watch::start(&project, &["--json", "watched.json"]);
    let doubtful = || serde_json::from_str::<serde_json::Value>(&project.read("watched.json")).unwrap()["bill"]["doubtful_samples"].clone();
    assert!(watch.round().contains("no prompt tokens at all, and 1 answer more like it"));
    assert_eq!(doubtful(), 2);
    project.edit("suites/capitals.yaml", "contains: Tokyo", "contains: okyo");
    let second = watch.round();
    assert!(second.contains("1 of 2 cells") && second.contains("no prompt tokens at all, and 1 answer more like it"), "{second}");
    assert_eq!(doubtful(), 2, "the bill is that of the whole");
    assert_eq!((watch.end(), server.requests().len()), (0, 2));
}

#[test]
fn a_broken_suite_is_shown_and_the_watch_waits_until_it_is_mended() {
    let (server, project) = project();
    project.edit("suites/rivers.yaml", "prompt: river", "prompt: stream");
    let watch = Watch::start(&project, &[]);
    let broken = watch.round();
    assert!(broken.contains("nothing can run") && broken.contains("stream"), "{broken}");
    assert_eq!(server.requests(), 0);
    project.edit("suites/rivers.yaml", "prompt: stream", "prompt: river");
    assert!(watch.round().contains("4 planned = 4 passed"));

    // Settings can be broken too, and change everything once they are whole again.
    project.edit("promptkeel.toml", "[run]\n", "[run]\nmax_atempts = 3\n");
    let broken = watch.round();
    assert!(broken.contains("promptkeel.toml changed: nothing can run") && broken.contains("did you mean `max_attempts`?"), "{broken}");
    project.edit("promptkeel.toml", "max_atempts", "max_attempts");
    let mended = watch.round();
    assert!(mended.contains("promptkeel.toml changed: 4 cells"), "{mended}");
    assert_eq!(server.requests(), 4);

    // The prompt that a suite names may come later.
    project.edit("suites/rivers.yaml", "prompt: river", "prompt: stream");
    let waiting = watch.round();
    assert!(waiting.contains("nothing can run") && !waiting.contains("is gone"), "the other prompt is still there: {waiting}");
    project.rewrite("suites/prompts/stream/1.md", "Name a river in {{ country }}.\n");
    let found = watch.round();
    assert!(found.contains("2 of 4 cells") && found.contains("4 planned = 4 passed") && !found.contains("is gone"), "{found}");
    project.edit("suites/rivers.yaml", "prompt: stream", "prompt: [");
    let broken = watch.round();
    assert!(broken.contains("── suites/rivers.yaml changed: nothing can run"), "what it named is still there: {broken}");
    std::fs::remove_file(project.path("suites/prompts/stream/1.md")).unwrap();
    project.edit("suites/rivers.yaml", "prompt: [", "prompt: [[");
    let gone = watch.round();
    assert!(gone.contains("suites/prompts/stream/1.md is gone"), "{gone}");
    assert_eq!(watch.end(), 2, "the exit code is that of the last round");
}

#[test]
fn new_suites_moved_folders_and_files_put_in_place_are_seen() {
    let (server, project) = project();
    let watch = Watch::start(&project, &["--endpoint", "anthropic"]);
    watch.round();
    let peru = CAPITALS.replace("suite: capitals", "suite: peru").replace("France", "Peru").replace("equals: Paris", "equals: Lima");
    project.rewrite("suites/more/deep/peru.yaml", &peru);
    let new = watch.round();
    assert!(new.contains("suites/more/deep/peru.yaml is new: 2 of 6 cells"), "{new}");
    assert!(new.contains("2 new cells"), "{new}");
    // Its second case asks what another suite asked already.
    assert_eq!(server.requests(), 5);

    // As editors save: a new file takes the place of the old one.
    let prompt = project.read("suites/prompts/capital/1.md").replace("one word", "a single word");
    project.rewrite("suites/prompts/capital/.1.md.swp", &prompt);
    std::fs::rename(project.path("suites/prompts/capital/.1.md.swp"), project.path("suites/prompts/capital/1.md")).unwrap();
    let saved = watch.round();
    assert!(saved.contains("suites/prompts/capital/1.md changed: 4 of 6 cells"), "{saved}");

    std::fs::rename(project.path("suites/more"), project.path("suites/moved")).unwrap();
    // A look in the middle of that may find no suite there; the next one does.
    watch.until("suites/moved/deep/peru.yaml is new");
    project.edit("suites/moved/deep/peru.yaml", "equals: Lima", "equals: Cusco");
    watch.until("suites/moved/deep/peru.yaml changed: 1 of 6 cells");
    assert!(watch.round().contains("1 newly failing"));
    std::fs::remove_dir_all(project.path("suites/moved")).unwrap();
    let gone = watch.round();
    assert!(gone.contains("2 cells less") && gone.contains("4 planned = 4 passed"), "{gone}");
    assert_eq!(watch.end(), 0);
}

#[test]
fn what_the_watch_writes_itself_begins_no_round() {
    let (server, project) = project();
    let watch = Watch::start(&project, &["--json", "suites/run.json", "--html", "report.html", "--update"]);
    assert!(watch.round().contains("accepted 4 outputs as snapshots"));
    watch.rests(&project);
    project.edit("suites/prompts/river/1.md", "Which river", "What river");
    assert!(watch.round().contains("2 of 4 cells"));
    watch.rests(&project);
    // Somebody else's hand at a snapshot is an edit, and asks nothing.
    let snapshot = "snapshots/capitals/france/claude-haiku-4-5.snap";
    project.edit(snapshot, "Paris", "Lyon");
    let edited = watch.round();
    assert!(edited.contains(&format!("{snapshot} changed: 1 of 4 cells")) && edited.contains("accepted 1 output"), "{edited}");
    watch.rests(&project);
    assert_eq!((server.requests(), watch.end()), (6, 0));
}

#[test]
fn where_nobody_tells_of_edits_the_files_are_looked_at() {
    let (server, project) = project();
    let watch = Watch::start(&project, &["--watch=poll"]);
    watch.round();
    project.edit("suites/prompts/river/1.md", "Which river", "What river");
    assert!(watch.round().contains("suites/prompts/river/1.md changed: 2 of 4 cells"));
    assert_eq!((server.requests(), watch.end()), (6, 0));
}

#[test]
fn a_burst_of_saves_is_one_round() {
    let (server, project) = project();
    let watch = Watch::start(&project, &[]);
    watch.round();
    let mut before = "Which river".to_owned();
    for save in 0..8 {
        let after = format!("Which river {save}");
        project.edit("suites/prompts/river/1.md", &before, &after);
        before = after;
    }
    let round = watch.round();
    assert!(round.contains("2 rounds, "), "{round}");
    watch.rests(&project);
    assert_eq!((server.requests(), watch.end()), (6, 0), "what stood there for a moment was asked by nobody");
}

#[test]
fn a_cap_holds_for_all_rounds_together() {
    let (server, project) = project();
    // A request can cost about $0.0003 at most, and the simulator's short answers cost a tenth of it.
    let watch = Watch::start(&project, &["--max-cost", "0.0008", "--max-concurrency", "1"]);
    let first = watch.round();
    assert!(first.contains("are taken"), "{first}");
    let mut asked = server.requests();
    assert_eq!(asked, 4);
    for (before, after) in [("Which", "What"), ("What", "Which great"), ("Which great", "What great"), ("What great", "Whose")] {
        project.edit("suites/prompts/river/1.md", before, after);
        let round = watch.round();
        if round.contains("stopped by the budget") {
            assert!(server.requests() < asked + 2, "{round}");
            assert!(round.contains("the budget left out"), "{round}");
            // What was left out stays in the whole that is shown.
            project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
            let next = watch.round();
            assert!(next.contains("1 of 4 cells") && next.contains("the budget left out"), "{next}");
            project.edit("suites/capitals.yaml", "equals: Lyon", "equals: Paris");
            watch.round();
            assert_eq!(watch.end(), 6);
            return;
        }
        asked = server.requests();
    }
    panic!("the cap never held: {asked} requests");
}

#[test]
fn flags_that_mean_one_run_are_refused_together() {
    let project = Project::passing();
    let ran = project.run(&[
        "run",
        "--watch",
        "--shard",
        "1/2",
        "--events",
        "-",
        "--cache",
        "refresh",
        "--unreferenced",
        "delete",
        "--json",
        "-",
    ]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn at_a_terminal_each_round_takes_the_screen_and_keys_run_and_end() {
    let (server, project) = project();
    project.edit("suites/capitals.yaml", "equals: Paris", "equals: Lyon");
    // util-linux's `script` gives the command a terminal of its own, and ends as the command does.
    let binary = env!("CARGO_BIN_EXE_promptkeel");
    let environment = project.command(&[]);
    #[expect(clippy::disallowed_methods, reason = "the test plays the person at the keyboard")]
    let mut command = std::process::Command::new("script");
    command.args(["-qefc", &format!("{binary} run --watch"), "/dev/null"]).current_dir(project.root()).env_clear();
    command.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut keyboard = child.stdin.take().unwrap();
    let watch = Watch::reading(child, reader);
    let mut press = |keys: &str| keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).unwrap();

    let first = watch.until("q quits");
    assert!(first.contains("Enter runs everything, f what did not pass"), "{first}");
    assert_eq!(first.matches("\u{1b}[2J").count(), 2, "once for the progress, once for what came of it");
    assert!(!first.contains("\u{1b}[3J"), "what can be scrolled back to stays");
    press("xf");
    let failed = watch.until("q quits");
    assert!(failed.contains("1 of 4 cells") && failed.contains("4 planned = 3 passed"), "{failed}");
    press("\n");
    let everything = watch.until("q quits");
    assert!(everything.contains("── \u{1b}[0m\u{1b}[1m4 cells"), "{everything}");
    press("q");
    let mut watch = watch;
    assert_eq!((watch.child.wait().unwrap().code(), server.requests()), (Some(1), 4));
}

impl Watch {
    fn reading(child: Child, reader: std::io::PipeReader) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// What an edit came to that need not touch a cell.
    fn round_or_note(&self) -> String {
        self.until("no cell is touched")
    }
}

#[test]
fn an_edit_of_the_recordings_is_seen_and_what_we_record_is_none() {
    const FILE: &str = "recordings/capitals.jsonl";
    let (server, project) = project();
    assert_eq!(project.run(&["run", "--record", "--quiet"]).code, 0);
    let written = project.read(FILE);
    std::fs::remove_file(project.path(FILE)).unwrap();
    std::fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let watch = Watch::start(&project, &["--cache", "only"]);
    let first = watch.round();
    assert!(first.contains("2 cells without an answer"), "{first}");
    // As a pull brings it.
    project.rewrite(FILE, &written);
    let second = watch.round();
    assert!(second.contains("recordings/capitals.jsonl is new") && second.contains("4 planned = 4 passed"), "{second}");
    project.rewrite(FILE, &written.replace("Tokyo", "Kyoto, damaged"));
    let third = watch.round();
    assert!(third.contains("recordings/capitals.jsonl:2: edited or damaged"), "{third}");
    project.rewrite(FILE, &written);
    let fourth = watch.round();
    assert!(fourth.contains("4 planned = 4 passed"), "{fourth}");
    watch.rests(&project);
    assert_eq!((watch.end(), server.requests()), (0, 4));

    let watch = Watch::start(&project, &["--record"]);
    watch.round();
    project.edit("suites/prompts/capital/1.md", "Name", "Tell");
    watch.until("recorded 2 answers in recordings/capitals.jsonl: 2 new, 0 changed, 2 gone");
    watch.round();
    watch.rests(&project);
    assert_eq!((watch.end(), server.requests()), (0, 6));
}
