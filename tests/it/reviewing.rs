//! Can outputs be reviewed in a real terminal, left at any time, and taken up again?
#![cfg(unix)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};

use crate::harness::{CAPITALS_SCRIPT, Project, Server};

/// Longer than anything takes on a busy machine; nothing waits so long but a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// Forty outputs of one prompt, of which seven become others with its second version: three go to another queue, two others to a third
/// one, one is worded anew, and one fails its assertion.
const CHANGED: [(u32, &str, &str); 7] = [
    (3, "refunds", "Case 3 was charged twice."),
    (7, "refunds", "Case 7 was charged twice."),
    (11, "refunds", "Case 11 was charged twice."),
    (15, "billing", "Case 15 wants its money back, and soon."),
    (19, "sales", "Case 19 was charged twice."),
    (23, "sales", "Case 23 was charged twice."),
    (31, "nowhere", "Case 31 was charged twice."),
];

fn answer(queue: &str, summary: &str) -> String {
    format!(r#"{{"queue": "{queue}", "summary": "{summary}"}}"#)
}

fn project() -> Project {
    let mut script = "rules:\n".to_owned();
    for (case, queue, summary) in CHANGED {
        script.push_str(&format!(
            "  - when: {{text: Exactly where does case {case} go}}\n    then: {{text: '{}'}}\n",
            answer(queue, summary)
        ));
    }
    let mut suite = "\
suite: triage
prompt: triage
models: [claude-haiku-4-5]
snapshot: {compare: json}
assert:
  - json_path: {path: $.queue, matches: '^(billing|refunds|sales)$'}
cases:
"
    .to_owned();
    for case in 1..=40 {
        let text = answer("billing", &format!("Case {case} was charged twice."));
        script.push_str(&format!("  - when: {{text: here does case {case} go}}\n    then: {{text: '{text}'}}\n"));
        suite.push_str(&format!("  - {{id: case-{case:02}, vars: {{n: {case}}}}}\n"));
    }
    let project = Project::new()
        .write("suites/triage.yaml", &suite)
        .write("suites/prompts/triage/1.md", "Where does case {{ n }} go? Answer with JSON.\n")
        .write("fixtures/sim/script.yaml", &script);
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    project.rewrite("suites/prompts/triage/2.md", "Exactly where does case {{ n }} go? Answer with JSON.\n");
    let ran = project.run(&["run"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    project
}

fn snapshot(case: u32) -> String {
    format!("snapshots/triage/case-{case:02}/claude-haiku-4-5.snap")
}

fn at_least_one(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

/// A terminal with a person who reads before pressing a key.
struct Terminal {
    pty: Arc<pty_process::blocking::Pty>,
    child: std::process::Child,
    screen: vt100::Parser,
    bytes: Receiver<Vec<u8>>,
}

impl Terminal {
    fn open(project: &Project, arguments: &[&str], (rows, columns): (u16, u16)) -> Self {
        Self::with(project, arguments, (rows, columns), &[])
    }

    fn with(project: &Project, arguments: &[&str], (rows, columns): (u16, u16), variables: &[(&str, &str)]) -> Self {
        let (pty, terminal) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(rows, columns)).unwrap();
        let mut command = project.command(arguments);
        command.env("TERM", "xterm-256color").env_remove("COLUMNS").envs(variables.iter().copied());
        let child = pty_process::blocking::Command::from(command).spawn(terminal).unwrap();
        let pty = Arc::new(pty);
        let (sender, bytes) = channel();
        let reader = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The other end is gone: Linux says EIO.
            while let Ok(count @ 1..) = (&*reader).read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, child, screen: vt100::Parser::new(at_least_one(rows), at_least_one(columns), 0), bytes }
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
        self.pty.resize(pty_process::Size::new(rows, columns)).unwrap();
    }

    fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen holds all of these texts.
    fn wait(&mut self, texts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen.screen().contents();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(why) => panic!("{texts:?} never came ({why}); on the screen:\n{screen}"),
            }
        }
    }

    /// Waits for the end, and for the terminal to be what it was.
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.bytes.recv_timeout(Duration::from_millis(500)) {
            self.screen.process(&bytes);
        }
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the shell's screen is back");
        assert!(!screen.hide_cursor(), "the cursor is back");
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "lines are read and echoed again: {modes:?}");
        (status, screen.contents())
    }
}

#[test]
fn seven_of_forty_outputs_are_reviewed_left_and_taken_up_again() {
    let project = project();
    let third = project.read(&snapshot(3));
    let lock = project.read("snapshots/triage/prompts.toml");
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    let first = terminal.wait(&["review 1 of 7", "q quit"]);
    insta::assert_snapshot!("first_screen", first.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));

    // What changed in the prompt itself is a key away.
    terminal.press("P");
    terminal.wait(&["the prompt itself, triage@1 -> triage@2", "Where", "Exactly where"]);
    terminal.press("P");
    terminal.wait(&["3 outputs share this change"]);

    // Three are accepted one by one.
    terminal.press("a");
    terminal.wait(&["review 2 of 7", "1 accepted"]);
    assert!(project.read(&snapshot(3)).contains("refunds") && !project.exists(&format!("{}.new", snapshot(3))));
    assert_ne!(project.read("snapshots/triage/prompts.toml"), lock, "the version is noted with its text");
    terminal.press("a");
    terminal.wait(&["review 3 of 7", "2 accepted"]);
    terminal.press("a");
    terminal.wait(&["review 4 of 7", "3 accepted", "money back"]);

    // One is skipped, two share their change and are accepted together.
    terminal.press("s");
    terminal.wait(&["review 5 of 7", "2 outputs share this change"]);
    terminal.press("A");
    terminal.wait(&["review 7 of 7", "5 accepted", "fails: json_path"]);
    assert!(project.read(&snapshot(19)).contains("sales") && project.read(&snapshot(23)).contains("sales"));

    // One is rejected, and taken back.
    let rejected = project.read(&format!("{}.new", snapshot(31)));
    terminal.press("r");
    terminal.wait(&["1 rejected", "only 1 skipped are left"]);
    assert!(!project.exists(&format!("{}.new", snapshot(31))));
    terminal.press("u");
    terminal.wait(&["review 7 of 7", "took back 1 decision"]);
    assert_eq!(project.read(&format!("{}.new", snapshot(31))), rejected);
    terminal.press("q");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0));
    assert!(screen.contains("5 accepted, 0 rejected; 2 are left: `promptkeel review` goes on"), "{screen}");

    // The next review begins with what is left.
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    terminal.wait(&["review 1 of 2", "case-15"]);
    terminal.press("r");
    terminal.wait(&["review 2 of 2", "case-31"]);
    terminal.press("r");
    terminal.wait(&["2 rejected", "nothing is left"]);
    terminal.press("q");
    assert_eq!(terminal.end().0.code(), Some(0));
    assert_ne!(project.read(&snapshot(3)), third);
    assert_eq!(project.run(&["review"]).stdout, "nothing is left to review\n");
}

#[test]
fn everything_is_taken_back_to_the_byte() {
    let project = project();
    let files: Vec<String> = CHANGED.iter().map(|(case, ..)| snapshot(*case)).collect();
    let state = || {
        let texts = files.iter().flat_map(|path| [project.read(path), project.read(&format!("{path}.new"))]);
        texts.chain([project.read("snapshots/triage/prompts.toml")]).collect::<Vec<_>>()
    };
    let before = state();
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    terminal.wait(&["3 outputs share this change"]);
    terminal.press("A");
    terminal.wait(&["3 accepted", "review 4 of 7"]);
    terminal.press("r");
    terminal.wait(&["1 rejected", "review 5 of 7"]);
    terminal.press("uu");
    terminal.wait(&["took back 3 decisions", "7 left"]);
    assert_eq!(state(), before);
    terminal.press("q");
    terminal.end();
}

#[test]
fn keys_decide_only_about_what_was_on_the_screen() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    // Before the first screen: of a terminal that is not yet raw these are kept, and would accept four outputs.
    terminal.press("aaaa");
    terminal.wait(&["review 1 of 7", "7 left"]);
    // Pasted, and pressed in one burst: the first of them was about what stood there.
    terminal.press("\u{1b}[200~aaa\u{1b}[201~");
    terminal.press("?");
    terminal.wait(&["Every decision is carried out at once"]);
    terminal.press("?");
    terminal.wait(&["review 1 of 7", "7 left"]);
    terminal.press("aaaa");
    terminal.wait(&["review 2 of 7", "1 accepted"]);
    terminal.press("q");
    let (_, screen) = terminal.end();
    assert!(screen.contains("1 accepted, 0 rejected; 6 are left"), "{screen}");
}

#[test]
fn a_terminal_too_low_for_a_line_of_the_output_decides_nothing() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review"], (3, 100));
    terminal.wait(&["review 1 of 7"]);
    terminal.press("aq");
    terminal.end();
    let waiting: Vec<bool> = CHANGED.iter().map(|(case, ..)| project.exists(&format!("{}.new", snapshot(*case)))).collect();
    assert_eq!(waiting, [true; 7], "nothing was decided");
}

#[test]
fn a_resized_terminal_is_drawn_anew() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review", "*case-15*"], (24, 80));
    terminal.wait(&["review 1 of 1", "wants its money back"]);
    terminal.resize(40, 160);
    let wide = terminal.wait(&["accepted", "│", "new", "d unified", "q quit"]);
    assert!(wide.lines().any(|line| line.contains("was charged twice") && line.contains("wants its money back")), "{wide}");
    terminal.resize(10, 40);
    terminal.wait(&["review 1 of 1", "? help", "q quit"]);
    terminal.press("q");
    assert_eq!(terminal.end().0.code(), Some(0));
}

#[test]
fn an_interrupted_review_gives_the_terminal_back() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review"], (24, 80));
    terminal.wait(&["review 1 of 7"]);
    terminal.press("a");
    terminal.wait(&["1 accepted"]);
    terminal.press("\u{3}");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(130));
    assert!(screen.contains("1 accepted, 0 rejected; 6 are left"), "{screen}");

    let mut terminal = Terminal::open(&project, &["review"], (24, 80));
    terminal.wait(&["review 1 of 6"]);
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (status, screen) = terminal.end();
    assert_eq!((status.code(), status.signal()), (Some(130), None), "it ended by itself, in good order");
    assert!(screen.contains("6 are left"), "{screen}");
}

fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn a_closed_terminal_loses_nothing() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review"], (24, 80));
    terminal.wait(&["review 1 of 7"]);
    terminal.press("a");
    terminal.wait(&["1 accepted"]);
    let pid = rustix::process::Pid::from_child(&terminal.child);
    // Whoever runs the tests under `nohup` lets no process of theirs hear of it.
    let signal = if hangup_is_ignored() { rustix::process::Signal::TERM } else { rustix::process::Signal::HUP };
    rustix::process::kill_process(pid, signal).unwrap();
    terminal.child.wait().unwrap();
    assert!(project.read(&snapshot(3)).contains("refunds"));
    let mut again = Terminal::open(&project, &["review"], (24, 80));
    again.wait(&["review 1 of 6"]);
    again.press("q");
    again.end();
}

/// A terminal that nobody reads from any more once the review is on it, and news of its end. `shell` starts the review.
fn unread(project: &Project, shell: &str) -> (pty_process::blocking::Pty, rustix::process::Pid, Receiver<ExitStatus>) {
    let (mut pty, terminal) = pty_process::blocking::open().unwrap();
    pty.resize(pty_process::Size::new(24, 80)).unwrap();
    let review = project.command(&["review"]);
    #[expect(clippy::disallowed_methods, reason = "a shell ignores signals for what it starts")]
    let mut command = std::process::Command::new("sh");
    command.args(["-c", shell]).arg(review.get_program()).args(review.get_args()).current_dir(project.root()).env_clear();
    command.envs(review.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm-256color");
    let mut child = pty_process::blocking::Command::from(command).spawn(terminal).unwrap();
    let (mut screen, mut buffer) = (vt100::Parser::new(at_least_one(24), at_least_one(80), 0), [0; 4096]);
    while !screen.screen().contents().contains("q quit") {
        let count = pty.read(&mut buffer).unwrap();
        screen.process(&buffer[..count]);
    }
    let pid = rustix::process::Pid::from_child(&child);
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait().unwrap()));
    (pty, pid, ended)
}

#[test]
fn a_terminal_that_is_closed_ends_a_review_that_no_signal_ends() {
    let project = project();
    let (pty, pid, ended) = unread(&project, "trap '' HUP; exec \"$0\" \"$@\"");
    drop(pty);
    let ended = ended.recv_timeout(PATIENCE);
    if ended.is_err() {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    ended.expect("it reads a terminal that is gone, for ever");
    assert!(project.exists(&format!("{}.new", snapshot(3))), "nothing was decided");
}

#[test]
fn a_second_signal_ends_a_review_whose_terminal_takes_nothing_and_restores_it() {
    let project = project();
    let (pty, pid, ended) = unread(&project, "exec \"$0\" \"$@\"");
    // Each draws a whole screen, more than any terminal holds back, so that the review waits for the terminal and hears of no first signal.
    (&pty).write_all("jk".repeat(200).as_bytes()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        match ended.recv_timeout(Duration::from_millis(20)) {
            Ok(status) => break status,
            Err(_) => assert!(Instant::now() < deadline, "it ends"),
        }
    };
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    let modes = tcgetattr(&pty).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "lines are read and echoed again: {modes:?}");
}

#[test]
fn what_another_shell_decided_meanwhile_is_told_kindly() {
    let project = project();
    let mut terminal = Terminal::open(&project, &["review"], (24, 80));
    terminal.wait(&["review 1 of 7"]);
    assert_eq!(project.run(&["accept", "*case-03*"]).code, 0);
    terminal.press("a");
    terminal.wait(&["it was accepted or rejected meanwhile", "review 2 of 7"]);
    terminal.press("q");
    terminal.end();
}

#[test]
fn without_colour_there_are_marks_and_no_colours() {
    let project = project();
    let mut terminal = Terminal::with(&project, &["review", "*case-03*"], (24, 100), &[("NO_COLOR", "1")]);
    terminal.wait(&["review 1 of 1", "$.queue: \"billing\" -> \"refunds\""]);
    let screen = terminal.screen.screen();
    let coloured = (0..24).flat_map(|row| (0..100).map(move |column| (row, column))).any(|(row, column)| {
        screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default)
    });
    assert!(!coloured);
    terminal.press("q");
    terminal.end();
}

#[test]
fn what_a_review_accepts_is_recorded_where_answers_are() {
    let server = Server::start(CAPITALS_SCRIPT);
    let mut project = Project::passing();
    project.ask(&server.url());
    project.edit("promptkeel.toml", "endpoint = \"simulated\"", "endpoint = \"anthropic\"");
    std::fs::create_dir(project.path("recordings")).unwrap();
    project.run(&["run"]);
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    terminal.wait(&["review 1 of 2"]);
    terminal.press("r");
    terminal.wait(&["review 2 of 2", "1 rejected"]);
    terminal.press("a");
    terminal.wait(&["1 accepted"]);
    terminal.press("q");
    let (_, screen) = terminal.end();
    assert!(screen.contains("recorded 1 answer in recordings/capitals.jsonl: 1 new, 0 changed, 0 gone"), "{screen}");
    assert!(project.read("recordings/capitals.jsonl").contains("Tokyo"), "and nothing of what was rejected");
    assert_eq!(project.read("recordings/capitals.jsonl").lines().count(), 1);
}

#[test]
fn without_a_terminal_it_lists_what_waits_and_what_to_use_instead() {
    let project = project();
    let ran = project.run(&["review", "*case-0*"]);
    insta::assert_snapshot!(ran.transcript());
    assert_eq!(project.run(&["review", "no-such-suite"]).code, 4);
    assert!(project.exists(&format!("{}.new", snapshot(3))), "nothing was decided");
}

#[test]
fn an_orphan_is_kept_or_removed_and_comes_back_with_undo() {
    let project = project();
    assert_eq!(project.run(&["reject", "--all"]).code, 0);
    project.edit("suites/triage.yaml", "  - {id: case-40, vars: {n: 40}}\n", "");
    let text = project.read(&snapshot(40));
    let mut terminal = Terminal::open(&project, &["review"], (24, 100));
    terminal.wait(&["ORPHANED", "case-40", "Case 40 was charged twice"]);
    terminal.press("a");
    terminal.wait(&["1 accepted", "nothing is left"]);
    assert!(!project.exists(&snapshot(40)));
    terminal.press("u");
    terminal.wait(&["took back 1 decision"]);
    assert_eq!(project.read(&snapshot(40)), text);
    terminal.press("r");
    terminal.wait(&["1 rejected"]);
    assert!(project.exists(&snapshot(40)), "rejecting its removal keeps it");
    terminal.press("q");
    terminal.end();
}

#[test]
fn a_pull_request_shows_the_outputs_that_moved_and_touches_no_other_file() {
    let project = project()
        .write(".gitignore", ".promptkeel/\n*.snap.new\n.promptkeel-*.tmp\n")
        .write(".gitattributes", "snapshots/** -text -whitespace diff linguist-generated=false\nsnapshots/**/prompts.toml merge=union\n");
    project.git(&["init", "-q"]);
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "-m", "version 1 is accepted"]);
    assert_eq!(project.git(&["ls-files", "snapshots"]).lines().count(), 41, "forty outputs and the lock");
    assert_eq!(project.run(&["accept", "--all"]).code, 0);
    let mut changed: Vec<String> = CHANGED.iter().map(|(case, ..)| snapshot(*case)).collect();
    changed.push("snapshots/triage/prompts.toml".to_owned());
    assert_eq!(project.git(&["diff", "--name-only", "snapshots"]).lines().collect::<Vec<_>>(), changed);
    assert_eq!(project.git(&["status", "--porcelain", "snapshots"]).lines().count(), changed.len(), "nothing is left beside them");
    let shown = project.git(&["diff", "--no-color", "-U9", "snapshots/triage/case-03", "snapshots/triage/prompts.toml"]);
    let shown: Vec<&str> = shown.lines().filter(|line| !line.starts_with("index ")).collect();
    let shown = with_short_hashes(&shown.join("\n"));
    insta::assert_snapshot!(shown);
    // The next run finds nothing to write.
    project.run(&["run"]);
    assert_eq!(project.git(&["diff", "--name-only", "snapshots"]).lines().count(), changed.len());
}

/// The first digits of every hash: the whole ones say nothing to a reader.
fn with_short_hashes(text: &str) -> String {
    let short = |word: &str| {
        let digits = word.trim_matches('"');
        let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { format!("\"{}...\"", &digits[..4]) } else { word.to_owned() }
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}
