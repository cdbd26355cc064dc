//! What if the disk is full, read-only, or holds a store that is damaged, foreign, or suddenly gone?

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{CAPITALS_SCRIPT, Project, Ran, Server};

/// Nobody: permissions bind this one also where the tests are root's.
const NOBODY: u32 = 65534;

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name} in {}", report["totals"]))
}

fn json(project: &Project, path: &str) -> Value {
    serde_json::from_str(&project.read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Many cells, all answered `Paris`.
pub(crate) fn many(cells: usize) -> Project {
    let project = Project::passing();
    let cases: String = (0..cells).map(|index| format!("  - id: case-{index}\n    vars: {{country: \"France {index}\"}}\n")).collect();
    project.rewrite(
        "suites/capitals.yaml",
        &format!("suite: capitals\nprompt: capital\nmodels: [claude-haiku-4-5]\nassert:\n  - contains: Paris\nsnapshot: {{compare: 'off'}}\ncases:\n{cases}"),
    );
    project
}

pub(crate) fn asking(mut project: Project, server: &Server) -> Project {
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\nmax_concurrency = 2\n");
    project.ask(&server.url());
    project
}

/// Both cases answered and stored; the server was asked twice.
fn answered(server: &Server) -> Project {
    let project = asking(Project::passing(), server);
    let ran = project.run(&["run"]);
    assert_eq!((ran.code, server.requests()), (0, 2), "{ran:?}");
    project
}

/// The same command under a shell that lets no file grow beyond so many blocks of 512 bytes, as a full disk would.
pub(crate) fn on_a_full_disk(project: &Project, blocks: u32, arguments: &[&str]) -> Ran {
    let plain = project.command(arguments);
    #[expect(clippy::disallowed_methods, reason = "only a shell sets this limit without unsafe code")]
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(project.root()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(&mut command, project.root())
}

fn set_modes(folder: &Path, folders: u32, files: u32) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            set_modes(&entry.path(), folders, files);
        } else {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(files)).unwrap();
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(folders)).unwrap();
}

/// The command by somebody who owns nothing, where the tests are run by root; the folder holds the program as long as it is needed.
pub(crate) fn by_nobody(project: &Project, arguments: &[&str]) -> (tempfile::TempDir, Command) {
    let plain = project.command(arguments);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The built binary may lie where nobody else may look.
    let program = elsewhere.path().join("promptkeel");
    if fs::hard_link(plain.get_program(), &program).is_err() {
        // Copied by another process: what another test begins at this moment would hold our file open for writing, and it could not be run.
        #[expect(clippy::disallowed_methods, reason = "a test uses what a system has")]
        let copied = Command::new("cp").arg(plain.get_program()).arg(&program).status().unwrap();
        assert!(copied.success());
    }
    #[expect(clippy::disallowed_methods, reason = "a test uses the built binary as a person does")]
    let mut command = Command::new(&program);
    command.args(plain.get_args()).current_dir(project.root()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if fs::metadata(project.root()).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    (elsewhere, command)
}

/// The command by somebody who may read the project and write nothing in it.
pub(crate) fn read_only(project: &Project, arguments: &[&str]) -> Ran {
    let (_elsewhere, mut command) = by_nobody(project, arguments);
    set_modes(project.root(), 0o555, 0o444);
    let ran = Ran::of(&mut command, project.root());
    set_modes(project.root(), 0o755, 0o644);
    ran
}

#[test]
fn a_disk_that_fills_up_ends_the_asking_and_what_is_paid_is_judged_and_billed() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = asking(many(40), &server);
    let ran = on_a_full_disk(&project, 300, &["run", "--json", "report.json"]);
    let report = json(&project, "report.json");
    let (asked, passed, skipped) = (server.requests(), total(&report, "passed"), total(&report, "skipped"));
    assert_eq!((ran.code, total(&report, "failed"), total(&report, "errored")), (3, 0, 0), "{ran:?}");
    assert_eq!((passed, passed + skipped), (asked, 40), "whatever was paid has its verdict");
    assert!(passed > 0 && skipped > 0, "{passed} passed, {skipped} skipped");
    assert!(ran.stderr.contains("could not be stored") || ran.stdout.contains("could not be stored"), "{ran:?}");
    assert!(report.to_string().contains("check free disk space"), "{report}");
    // With space again everything that was stored counts. Two were on the wire, and two on their way into the store.
    let (again, report) = project.report(&[]);
    assert_eq!((again.code, total(&report, "passed")), (0, 40), "{again:?}");
    assert!(server.requests() <= 40 + 2 * 2, "{} requests", server.requests());
}

#[test]
fn a_store_that_cannot_even_be_begun_sends_nothing() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = asking(many(40), &server);
    let ran = on_a_full_disk(&project, 8, &["run"]);
    assert_eq!((ran.code, server.requests()), (2, 0), "{ran:?}");
    assert!(ran.stderr.contains("store.db` cannot be used") && ran.stderr.contains("check free disk space"), "{}", ran.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_does_not_fit_is_said_and_asks_nothing_twice() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = asking(Project::passing(), &server);
    let ran = project.run(&["run", "--json", "/dev/full", "--junit", "junit.xml"]);
    assert_eq!((ran.code, server.requests()), (5, 2), "{ran:?}");
    assert!(
        ran.stderr.contains("the report of `--json` could not be written to `/dev/full`") && ran.stderr.contains("hint: "),
        "{}",
        ran.stderr
    );
    assert!(roxmltree::Document::parse(&project.read("junit.xml")).is_ok(), "the other one is whole");
    assert_eq!((project.run(&["run", "--json", "report.json"]).code, server.requests()), (0, 2));
}

#[test]
fn a_project_that_cannot_be_written_is_planned_and_replayed_and_asks_nothing() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = answered(&server);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let report = elsewhere.path().join("report.json");
    let report = report.to_str().unwrap();
    let run = read_only(&project, &["run"]);
    assert_eq!((run.code, server.requests()), (2, 2), "{run:?}");
    assert!(run.stderr.contains("cannot use the folder") && run.stderr.contains("make the project folder writable"), "{}", run.stderr);
    let plan = read_only(&project, &["plan", "--json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert_eq!(serde_json::from_str::<Value>(&plan.stdout).unwrap()["answered"], 2);
    let replay = read_only(&project, &["run", "--cache", "only", "--json", report]);
    assert_eq!((replay.code, server.requests()), (0, 2), "{replay:?}");
    assert!(replay.stderr.contains("it is only read"), "{}", replay.stderr);
    // A killed run leaves a log beside the store: what is in it counts too.
    let held = promptkeel::store::Store::open(&project.path(".promptkeel")).unwrap();
    held.runs().unwrap();
    assert!(project.exists(".promptkeel/store.db-wal"));
    std::mem::forget(held);
    assert_eq!(read_only(&project, &["run", "--cache", "only"]).code, 0);
    // Without a store there is nothing to replay, and that is no other error than elsewhere.
    fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let replay = read_only(&project, &["run", "--cache", "only", "--json", report]);
    assert_eq!(replay.code, 3, "{replay:?}");
    assert_eq!(read_only(&project, &["plan"]).code, 0);
    assert!(!project.exists(".promptkeel"));
}

#[test]
fn a_report_or_snapshot_that_may_not_be_written_ends_with_5() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = answered(&server);
    let report = read_only(&project, &["run", "--cache", "only", "--json", "report.json"]);
    assert_eq!(report.code, 5, "{report:?}");
    assert!(report.stderr.contains("`--json` cannot write") && report.stderr.contains("hint: "), "{}", report.stderr);
    let update = read_only(&project, &["run", "--cache", "only", "--update"]);
    assert_eq!(update.code, 5, "{update:?}");
    assert!(!project.exists("snapshots/capitals/france/claude-haiku-4-5.snap"), "nothing is accepted");
}

#[test]
fn a_store_that_is_deleted_in_mid_run_ends_the_asking_and_loses_nothing_in_silence() {
    let script = "rules:\n  - {when: {text: France 0}, then: {text: Paris}}\notherwise: {text: Paris, delay: 300ms}\n";
    let server = Server::start(script);
    let project = asking(many(12), &server);
    let mut command = project.command(&["run", "--json", "report.json"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while server.requests() < 3 {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended early");
        std::thread::yield_now();
    }
    fs::remove_dir_all(project.path(".promptkeel")).unwrap();
    let code = child.wait().unwrap().code();
    let report = json(&project, "report.json");
    let (asked, passed, skipped) = (server.requests(), total(&report, "passed"), total(&report, "skipped"));
    assert_eq!((code, passed, passed + skipped), (Some(3), asked, 12), "{report}");
    assert!(skipped > 0 && report.to_string().contains("was deleted or replaced while it was in use"), "{report}");
    assert!(!project.exists(".promptkeel/store.db"), "nothing is written where nobody would look");
    let (again, report) = project.report(&[]);
    assert_eq!((again.code, total(&report, "passed"), server.requests()), (0, 12, asked + 12), "{again:?}");
}

#[test]
fn a_store_of_a_later_version_or_of_another_program_is_left_alone() {
    let server = Server::start(CAPITALS_SCRIPT);
    for (sql, said) in [("PRAGMA user_version = 99", "has format 99"), ("PRAGMA application_id = 1", "is a database of another program")] {
        let project = asking(Project::passing(), &server);
        assert_eq!(project.run(&["run"]).code, 0);
        let path = project.path(".promptkeel/store.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let (before, asked) = (fs::read(&path).unwrap(), server.requests());
        for arguments in [&["run"][..], &["plan"], &["run", "--cache", "only"], &["run", "--failed"]] {
            let ran = project.run(arguments);
            assert_eq!((ran.code, server.requests()), (2, asked), "{arguments:?}: {ran:?}");
            assert!(ran.stderr.contains(said) && ran.stderr.contains("hint: "), "{}", ran.stderr);
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

/// What is wrong with a file, and how it comes to be so.
type Damage = (&'static str, fn(&Project));

/// What may be wrong with the file. Whatever it is: no crash, no wrong verdict, a warning or an error that says so, and the run after it holds.
#[test]
fn a_damaged_store_is_said_and_set_aside_and_never_makes_a_wrong_verdict() {
    let server = Server::start(CAPITALS_SCRIPT);
    let damages: [Damage; 7] = [
        ("flipped bits", |project| {
            let mut bytes = fs::read(project.path(".promptkeel/store.db")).unwrap();
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..bytes.len() / 64 {
                let place = random.usize(100..bytes.len());
                bytes[place] ^= 1 << random.u8(..8);
            }
            fs::write(project.path(".promptkeel/store.db"), bytes).unwrap();
        }),
        ("no database", |project| project.rewrite(".promptkeel/store.db", "this was a database once")),
        ("cut off", |project| {
            let bytes = fs::read(project.path(".promptkeel/store.db")).unwrap();
            fs::write(project.path(".promptkeel/store.db"), &bytes[..bytes.len() / 2 - 7]).unwrap();
        }),
        ("only its beginning", |project| {
            let bytes = fs::read(project.path(".promptkeel/store.db")).unwrap();
            fs::write(project.path(".promptkeel/store.db"), &bytes[..4096]).unwrap();
        }),
        ("a log of garbage", |project| {
            fs::write(project.path(".promptkeel/store.db-wal"), [0x5a; 70_000]).unwrap();
            fs::write(project.path(".promptkeel/store.db-shm"), [0xa5; 32_768]).unwrap();
        }),
        ("empty", |project| project.rewrite(".promptkeel/store.db", "")),
        ("one answer", |project| {
            let database = rusqlite::Connection::open(project.path(".promptkeel/store.db")).unwrap();
            let changed = database.execute("UPDATE answers SET reply = replace(reply, 'Paris', 'Lyons')", []).unwrap();
            assert_eq!(changed, 2);
        }),
    ];
    for (what, damage) in damages {
        let project = asking(Project::passing(), &server);
        assert_eq!(project.run(&["run"]).code, 0);
        damage(&project);
        let asked = server.requests();
        let ran = project.run(&["run", "--json", "report.json"]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        match ran.code {
            // Everything is answered, what was damaged again, and the verdicts are right.
            0 => {
                assert_eq!(total(&json(&project, "report.json"), "passed"), 2, "{what}: {ran:?}");
                let is_told = said.contains("set aside") || said.contains("counts as missing") || said.contains("was empty");
                // SQLite leaves a log out that makes no sense, and restores a file from a whole one: then nothing is missing.
                assert!(is_told || server.requests() == asked, "{what}: {ran:?}");
            }
            2 | 3 => assert!(said.contains("damaged") && said.contains("hint: "), "{what}: {ran:?}"),
            other => panic!("{what}: exit code {other}: {ran:?}"),
        }
        let (again, report) = project.report(&[]);
        assert_eq!((again.code, total(&report, "passed")), (0, 2), "{what}: {again:?}");
        assert!(server.requests() <= asked + 2, "{what}: {} requests", server.requests() - asked);
        println!("{what}: exit {}, {} asked again", ran.code, server.requests() - asked);
    }
}

#[test]
fn a_folder_in_the_place_of_the_store_is_said() {
    let server = Server::start(CAPITALS_SCRIPT);
    let project = asking(Project::passing(), &server);
    fs::create_dir_all(project.path(".promptkeel/store.db")).unwrap();
    for arguments in [&["run"][..], &["plan"]] {
        let ran = project.run(arguments);
        assert_eq!((ran.code, server.requests()), (2, 0), "{ran:?}");
        assert!(ran.stderr.contains("store.db` cannot be used") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
}

#[test]
fn links_are_followed_and_nothing_that_they_lead_to_is_emptied() {
    let server = Server::start(CAPITALS_SCRIPT);
    let elsewhere = tempfile::tempdir().unwrap();
    let project = asking(Project::passing(), &server);
    // A folder on another disk.
    symlink(elsewhere.path(), project.path(".promptkeel")).unwrap();
    assert_eq!((project.run(&["run"]).code, project.run(&["run"]).code, server.requests()), (0, 0, 2));
    assert!(elsewhere.path().join("store.db").exists());
    // Names of ours that lead to files of somebody.
    let project = asking(Project::passing(), &server);
    let theirs = elsewhere.path().join("theirs.txt");
    fs::write(&theirs, "precious").unwrap();
    fs::create_dir(project.path(".promptkeel")).unwrap();
    for name in ["store.db", "store.lock", "claims.lock", "store.db.damaged", ".gitignore"] {
        symlink(&theirs, project.path(".promptkeel").join(name)).unwrap();
    }
    let ran = project.run(&["run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("set aside"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "precious");
}
