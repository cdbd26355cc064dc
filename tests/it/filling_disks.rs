//! What if there is no room for what would be paid, or only for a part of it?

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use promptkeel::store::Store;

use crate::disks::{asking, many, on_a_full_disk};
use crate::harness::{Project, Server};

/// Cells of the projects here, and bytes of each answer: more than fits on the small disks.
const CELLS: usize = 300;
const ANSWER: usize = 4_000;

fn server() -> Server {
    Server::start(&format!("rules:\n  - {{when: {{text: France}}, then: {{text: 'Paris, {}'}}}}\n", "x".repeat(ANSWER)))
}

#[test]
fn without_room_for_what_would_be_under_way_nothing_is_asked_and_the_room_is_named() {
    let server = server();
    let project = asking(many(2), &server);
    assert_eq!((project.run(&["run"]).code, server.requests()), (0, 2));
    // The store is there and as long as it may become; it can be opened, read and written.
    let blocks = fs::metadata(project.path(".promptkeel/store.db")).unwrap().len().div_ceil(512);
    let all = many(40).read("suites/capitals.yaml");
    project.rewrite("suites/capitals.yaml", &all);
    for times in 0..3 {
        let ran = on_a_full_disk(&project, u32::try_from(blocks).unwrap(), &["run", "--max-concurrency", "8", "--json", "report.json"]);
        assert_eq!((ran.code, server.requests()), (2, 2), "run {times}: {ran:?}");
        let told = "/.promptkeel`: the answers that are under way at once take 0.8 MB there, which cannot be written: ";
        assert!(ran.stderr.contains("error: no room in `") && ran.stderr.contains(told), "{}", ran.stderr);
        let hint = "hint: nothing was asked: free as much disk space, or ask for fewer at once with `--max-concurrency`";
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    }
    // What is answered needs no room.
    project.rewrite("suites/capitals.yaml", &many(2).read("suites/capitals.yaml"));
    let ran = on_a_full_disk(&project, u32::try_from(blocks).unwrap(), &["run", "--max-concurrency", "8", "-q"]);
    assert_eq!(server.requests(), 2, "{ran:?}");
    project.rewrite("suites/capitals.yaml", &all);
    let ran = project.run(&["run"]);
    assert_eq!((ran.code, server.requests()), (0, 40), "with room again: {ran:?}");
}

/// What three runs came to whose store lies on a disk of its own.
struct OnADisk {
    codes: Vec<i32>,
    told: String,
    stored: u64,
}

/// Runs with the store on a file system of so many kilobytes, which nobody else sees; `None` where the system lets nobody make one.
fn on_a_disk_of(kilobytes: u32, project: &Project) -> Option<OnADisk> {
    fs::create_dir_all(project.path(".promptkeel")).unwrap();
    fs::create_dir_all(project.path("kept")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs .promptkeel || exit 1\n\
         for run in 1 2 3; do \"$0\" run -q >told 2>&1; echo $? >>codes; done\n\
         cp .promptkeel/store.db* kept/ || true\n"
    );
    let plain = project.command(&[]);
    let is_root = fs::metadata(project.root()).unwrap().uid() == 0;
    let ways: &[&str] = if is_root { &["-m", "-rm"] } else { &["-rm"] };
    let made = ways.iter().any(|way| {
        #[expect(clippy::disallowed_methods, reason = "a file system of its own needs a name space of its own")]
        let mut command = Command::new("unshare");
        command.arg(way).args(["sh", "-c", &script]).arg(plain.get_program()).current_dir(project.root()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    made.then(|| OnADisk {
        codes: project.read("codes").lines().map(|code| code.parse().unwrap()).collect(),
        told: project.read("told"),
        stored: Store::open(&project.path("kept")).and_then(|store| store.stored()).unwrap_or(0),
    })
}

#[test]
fn whatever_is_paid_on_a_disk_that_fills_up_is_stored_and_then_nothing_more_is_asked() {
    let mut went_on = 0;
    for kilobytes in [60, 300, 600, 800, 1_200] {
        let server = server();
        let project = asking(many(CELLS), &server);
        let Some(OnADisk { codes, told, stored }) = on_a_disk_of(kilobytes, &project) else {
            // As where containers forbid it, and on systems that have no such thing. The limit of a file's size above is tried everywhere.
            println!("NOT TRIED: this system lets a test have no file system of its own");
            return;
        };
        println!("{kilobytes} kB: exit codes {codes:?}, {} asked, {stored} stored", server.requests());
        assert_eq!(server.requests(), stored, "{kilobytes} kB, {codes:?}: what is paid is stored: {told}");
        assert_eq!(codes.last(), Some(&2), "{kilobytes} kB, {codes:?}: {told}");
        assert!(told.contains("hint: "), "{told}");
        went_on += u64::from(stored > 0);
        assert!(
            stored < CELLS as u64 && codes.iter().all(|code| [2, 3].contains(code)),
            "{kilobytes} kB, {codes:?}: {stored} stored: {told}"
        );
    }
    assert!(went_on >= 2, "on some of them there was room for some");
}
