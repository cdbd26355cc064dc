//! Does the folder hold exactly what was written, whoever else writes, and nothing outside of it?

use std::fs;
use std::sync::Arc;

use super::*;
use crate::model::suite::{Compare, Parse, SnapshotPolicy, SourceFile};
use crate::snapshot::output::{Output, Part};

const PATH: &str = "snapshots/triage/refund/haiku.snap";
const PENDING_PATH: &str = "snapshots/triage/refund/haiku.snap.new";

struct Project {
    root: tempfile::TempDir,
    folder: Folder,
    comparison: Comparison,
    version: PromptVersion,
}

fn project() -> Project {
    let root = tempfile::tempdir().unwrap();
    let policy = SnapshotPolicy { compare: Compare::Text, ..SnapshotPolicy::default() };
    let folder = Folder::open(root.path());
    Project { folder, root, comparison: Comparison::new(&policy, Parse::default()).unwrap(), version: version(3, "aa") }
}

fn version(version: u32, digest: &str) -> PromptVersion {
    PromptVersion {
        prompt: "triage".to_owned(),
        version,
        file: SourceFile { path: Arc::from("suites/prompts/triage/3.md"), digest: Arc::from(digest) },
        description: None,
        system: Vec::new(),
        turns: Vec::new(),
        request: crate::model::request::Params::default(),
    }
}

fn snapshot(texts: &[&str]) -> Snapshot {
    let output = |text: &&str| Output { stop_reason: "end_turn".to_owned(), parts: vec![Part::Text((*text).to_owned())] };
    Snapshot { prompt: "triage@3".to_owned(), model: "haiku".to_owned(), simulated: false, outputs: texts.iter().map(output).collect() }
}

fn simulated(texts: &[&str]) -> Snapshot {
    Snapshot { simulated: true, ..snapshot(texts) }
}

impl Project {
    fn act(&self, action: Action, new: &Snapshot) -> bool {
        let owner = Owner { suite: "triage", path: PATH, version: &self.version };
        self.folder.carry_out(action, owner, new, &self.comparison).unwrap()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.place(path).parent().unwrap()).unwrap();
        fs::write(self.place(path), text).unwrap();
    }

    /// Every file of the project, hidden ones too.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut open = vec![self.root.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else {
                    files.push(entry.path().strip_prefix(self.root.path()).unwrap().to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        files.sort();
        files
    }
}

#[test]
fn a_new_output_waits_beside_and_is_accepted_by_renaming() {
    let project = project();
    assert!(project.act(Action::WritePending, &snapshot(&["a"])));
    assert_eq!(project.files(), [PENDING_PATH]);
    assert_eq!(project.folder.read(PATH).unwrap(), None);
    assert_eq!(project.folder.pending().unwrap(), [PATH]);
    assert_eq!(project.folder.accept(PATH).unwrap(), snapshot(&["a"]));
    assert_eq!(project.files(), [PATH]);
    assert_eq!(project.folder.read(PATH).unwrap(), Some(snapshot(&["a"])));
    assert!(matches!(project.folder.accept(PATH), Err(SnapshotError::NotPending { .. })));
}

#[test]
fn a_rejected_output_leaves_no_empty_folder() {
    let project = project();
    project.act(Action::WritePending, &snapshot(&["a"]));
    project.folder.reject(PATH).unwrap();
    assert!(!project.place("snapshots/triage").exists());
    assert!(matches!(project.folder.reject(PATH), Err(SnapshotError::NotPending { .. })));
}

#[test]
fn an_equal_output_leaves_the_file_untouched_and_clears_what_waited() {
    let project = project();
    // Written by hand, under another version and without the last newline: still nobody's business.
    let by_hand = "---\nprompt: triage@1\nmodel: haiku\nstop_reason: end_turn\n---\na";
    project.put(PATH, by_hand);
    project.put(PENDING_PATH, "rubbish");
    assert!(project.act(Action::RemovePending, &snapshot(&["a"])));
    assert_eq!(project.files(), [PATH]);
    assert!(project.act(Action::Confirm, &snapshot(&["a"])), "the version is locked");
    assert_eq!(fs::read_to_string(project.place(PATH)).unwrap(), by_hand);
    assert_eq!(project.files(), ["snapshots/triage/prompts.toml", PATH]);
    assert!(!project.act(Action::Confirm, &snapshot(&["a"])));
    assert!(!project.act(Action::Leave, &snapshot(&["b"])));
}

#[test]
fn writing_the_same_again_does_not_touch_the_file() {
    let project = project();
    assert!(project.act(Action::Accept, &snapshot(&["a"])));
    let long_ago = std::time::UNIX_EPOCH;
    fs::File::options().write(true).open(project.place(PATH)).unwrap().set_modified(long_ago).unwrap();
    assert!(!project.act(Action::Accept, &snapshot(&["a"])));
    assert_eq!(fs::metadata(project.place(PATH)).unwrap().modified().unwrap(), long_ago);
}

#[test]
fn update_replaces_the_variants_and_add_extends_them() {
    let project = project();
    project.act(Action::Accept, &snapshot(&["a", "a ", "b"]));
    assert_eq!(project.folder.read(PATH).unwrap().unwrap(), snapshot(&["a", "b"]));
    project.act(Action::Extend, &snapshot(&["b", "c"]));
    assert_eq!(project.folder.read(PATH).unwrap().unwrap(), snapshot(&["a", "b", "c"]));
    project.act(Action::WritePending, &snapshot(&["d"]));
    project.act(Action::Accept, &snapshot(&["d"]));
    assert_eq!(project.folder.read(PATH).unwrap().unwrap(), snapshot(&["d"]));
    assert_eq!(project.folder.pending().unwrap(), Vec::<String>::new());
}

#[test]
fn a_simulated_output_takes_no_real_ones_place() {
    let project = project();
    project.act(Action::WritePending, &snapshot(&["real"]));
    assert!(!project.act(Action::WritePending, &simulated(&["simulated"])), "a real one waits");
    assert!(!project.act(Action::RemovePending, &simulated(&["simulated"])));
    assert_eq!(project.folder.read_pending(PATH).unwrap(), Some(snapshot(&["real"])));
    project.folder.accept(PATH).unwrap();
    project.put(PENDING_PATH, &format::write(&simulated(&["simulated"])));
    let error = project.folder.accept(PATH).unwrap_err();
    assert!(matches!(error, SnapshotError::SimulatedOverReal { .. }), "{error}");
    assert_eq!(project.folder.read(PATH).unwrap(), Some(snapshot(&["real"])));
    project.put(PATH, "unreadable, so it may be real");
    assert!(matches!(project.folder.accept(PATH), Err(SnapshotError::MaybeReal { .. })));
    let conflict = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> other";
    project.put(PATH, &format::write(&snapshot(&["x"])).replace('x', conflict));
    assert!(matches!(project.folder.accept(PATH), Err(SnapshotError::MaybeReal { .. })), "the head of a real one says nothing");
    project.put(PATH, &format::write(&simulated(&["x"])).replace('x', conflict));
    assert!(project.folder.read(PATH).is_err());
    assert_eq!(project.folder.accept(PATH).unwrap(), simulated(&["simulated"]), "its head says that a simulator answered");
}

#[test]
fn a_person_may_accept_a_real_output_over_a_simulated_one() {
    let project = project();
    project.act(Action::Accept, &simulated(&["simulated"]));
    project.act(Action::WritePending, &snapshot(&["real"]));
    project.folder.accept(PATH).unwrap();
    assert_eq!(project.folder.read(PATH).unwrap(), Some(snapshot(&["real"])));
}

#[test]
fn an_unreadable_pending_output_is_not_accepted() {
    let project = project();
    project.put(PENDING_PATH, "---\nprompt: triage@3\n");
    insta::assert_snapshot!(project.folder.accept(PATH).unwrap_err(), @"`snapshots/triage/refund/haiku.snap.new` is no snapshot: line 3: the head is not closed by a line `---`");
    assert_eq!(project.files(), [PENDING_PATH]);
}

#[test]
fn an_unreadable_file_is_a_state_with_a_next_step() {
    let project = project();
    project.put(PATH, "---\n<<<<<<< HEAD\nprompt: triage@3\n");
    let SnapshotState::Unreadable { message } = unreadable(&project.folder.read(PATH).unwrap_err()) else { panic!() };
    insta::assert_snapshot!(message, @"`snapshots/triage/refund/haiku.snap` is no snapshot: line 2: a merge conflict is not resolved; hint: restore it (`git checkout -- snapshots/triage/refund/haiku.snap`), or delete it, run again and accept the output");
    fs::write(project.place(PATH), [0xff, 0xfe, 0x00]).unwrap();
    insta::assert_snapshot!(project.folder.read(PATH).unwrap_err(), @"`snapshots/triage/refund/haiku.snap` cannot be read: stream did not contain valid UTF-8");
}

#[test]
fn orphans_are_what_no_cell_owns() {
    let project = project();
    for path in [
        PATH,
        PENDING_PATH,
        "snapshots/triage/prompts.toml",
        "snapshots/triage/refund/sonnet.snap",
        "snapshots/triage/gone/haiku.snap.new",
        "snapshots/triage/new/haiku.snap.new",
        "snapshots/renamed/prompts.toml",
        "snapshots/renamed/refund/haiku.snap",
        "snapshots/README.md",
        "snapshots/triage/refund/.promptkeel-half00.tmp",
    ] {
        project.put(path, "");
    }
    let owned = BTreeSet::from([PATH.to_owned(), "snapshots/triage/new/haiku.snap".to_owned()]);
    assert_eq!(
        project.folder.orphans(&owned).unwrap(),
        [
            "snapshots/renamed/prompts.toml",
            "snapshots/renamed/refund/haiku.snap",
            "snapshots/triage/gone/haiku.snap.new",
            "snapshots/triage/refund/sonnet.snap",
        ]
    );
    for orphan in project.folder.orphans(&owned).unwrap() {
        assert!(project.folder.remove_orphan(&orphan).unwrap());
    }
    assert!(project.folder.orphans(&owned).unwrap().is_empty());
    assert!(!project.place("snapshots/renamed").exists());
    assert!(project.place("snapshots/README.md").exists());
}

#[test]
fn a_missing_folder_is_an_empty_one() {
    let project = project();
    assert!(project.folder.pending().unwrap().is_empty());
    assert!(project.folder.orphans(&BTreeSet::new()).unwrap().is_empty());
    assert_eq!(project.folder.read(PATH).unwrap(), None);
    assert_eq!(project.files(), Vec::<String>::new(), "looking creates nothing");
}

#[test]
fn a_path_that_leads_elsewhere_is_refused() {
    let project = project();
    project.put("secret.snap.new", &format::write(&snapshot(&["x"])));
    for path in [
        "secret.snap",
        "../secret.snap",
        "/etc/passwd",
        "snapshots/../secret.snap",
        "snapshots/a/../../secret.snap",
        "snapshots",
        "snapshots/",
        "",
        "snapshots/..\\secret.snap",
        "snapshots/c:secret.snap",
    ] {
        assert!(matches!(project.folder.read(path), Err(SnapshotError::Outside { .. })), "{path}");
        assert!(matches!(project.folder.accept(path), Err(SnapshotError::Outside { .. })), "{path}");
        assert!(matches!(project.folder.remove_orphan(path), Err(SnapshotError::Outside { .. })), "{path}");
    }
    assert_eq!(project.files(), ["secret.snap.new"]);
}

#[cfg(unix)]
#[test]
fn no_link_is_followed_out_of_the_folder() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("haiku.snap"), format::write(&snapshot(&["x"]))).unwrap();
    let new = snapshot(&["y"]);

    let project = project();
    fs::create_dir_all(project.place("snapshots/triage")).unwrap();
    symlink(outside.path(), project.place("snapshots/triage/refund")).unwrap();
    let owner = Owner { suite: "triage", path: PATH, version: &project.version };
    let write = || project.folder.carry_out(Action::WritePending, owner, &new, &project.comparison);
    assert!(matches!(write(), Err(SnapshotError::Outside { .. })));
    assert!(matches!(project.folder.read(PATH), Err(SnapshotError::Outside { .. })));
    assert!(project.folder.orphans(&BTreeSet::new()).unwrap().is_empty());

    fs::remove_dir_all(project.place("snapshots")).unwrap();
    symlink(outside.path(), project.place("snapshots")).unwrap();
    assert!(matches!(write(), Err(SnapshotError::Outside { .. })));
    assert!(matches!(project.folder.pending(), Err(SnapshotError::Outside { .. })));

    fs::remove_file(project.place("snapshots")).unwrap();
    fs::create_dir_all(project.place("snapshots/triage/refund")).unwrap();
    symlink(outside.path().join("haiku.snap"), project.place(PATH)).unwrap();
    assert!(matches!(project.folder.read(PATH), Err(SnapshotError::Outside { .. })));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "nothing was written outside");

    // Within the folder a link is a link.
    fs::remove_file(project.place(PATH)).unwrap();
    project.put("snapshots/triage/other/haiku.snap", &format::write(&new));
    symlink(project.place("snapshots/triage/other/haiku.snap"), project.place(PATH)).unwrap();
    assert_eq!(project.folder.read(PATH).unwrap(), Some(new.clone()));
}

#[cfg(unix)]
#[test]
fn a_written_file_has_an_ordinary_mode_and_no_leftovers() {
    use std::os::unix::fs::PermissionsExt;
    let project = project();
    project.act(Action::Accept, &snapshot(&["a"]));
    project.act(Action::Accept, &snapshot(&["b"]));
    for file in project.files() {
        let mode = fs::metadata(project.place(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0, "{file}");
        assert_eq!(mode & 0o600, 0o600, "{file}");
        assert_eq!(
            mode & 0o044,
            fs::metadata(project.root.path().join("snapshots")).unwrap().permissions().mode() & 0o044,
            "{file}: as the umask says"
        );
    }
    assert_eq!(project.files(), ["snapshots/triage/prompts.toml", PATH]);
}

#[test]
fn what_cannot_be_written_is_an_error_with_a_place_and_a_next_step() {
    let project = project();
    project.put("snapshots/triage/refund", "a file where a folder belongs");
    let owner = Owner { suite: "triage", path: PATH, version: &project.version };
    let error = project.folder.carry_out(Action::Accept, owner, &snapshot(&["a"]), &project.comparison).unwrap_err();
    assert!(matches!(&error, SnapshotError::Write { path, .. } if path == PATH), "{error}");
    assert!(error.hint().contains("a file where a folder belongs"), "{}", error.hint());
    assert_eq!(project.files(), ["snapshots/triage/refund"], "no prompt version is noted that nothing was accepted of");
    project.put("snapshots/triage/prompts.toml", "<<<<<<< ours");
    fs::remove_file(project.place("snapshots/triage/refund")).unwrap();
    let error = project.folder.carry_out(Action::Accept, owner, &snapshot(&["a"]), &project.comparison).unwrap_err();
    assert!(matches!(&error, SnapshotError::Lock { path, .. } if path == "snapshots/triage/prompts.toml"), "{error}");
    assert_eq!(project.files(), ["snapshots/triage/prompts.toml"], "no output is accepted whose version is not noted");
    for (kind, word) in [
        (std::io::ErrorKind::StorageFull, "space"),
        (std::io::ErrorKind::ReadOnlyFilesystem, "read-only"),
        (std::io::ErrorKind::PermissionDenied, "permissions"),
    ] {
        assert!(SnapshotError::Write { path: PATH.to_owned(), source: kind.into() }.hint().contains(word));
    }
}

#[test]
fn many_writers_and_cleaners_at_once_leave_a_whole_file() {
    let project = project();
    let long = "x".repeat(100_000);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (project, long) = (&project, &long);
            scope.spawn(move || {
                for round in 0..25 {
                    let new = snapshot(&[&format!("{writer} {round} {long}")]);
                    match (writer + round) % 3 {
                        0 => drop(project.folder.carry_out(
                            Action::RemovePending,
                            Owner { suite: "triage", path: PATH, version: &project.version },
                            &new,
                            &project.comparison,
                        )),
                        _ => drop(project.act(Action::WritePending, &new)),
                    }
                    assert!(project.folder.read_pending(PATH).is_ok(), "never half of a file");
                }
            });
        }
    });
    project.act(Action::WritePending, &snapshot(&["last"]));
    assert_eq!(project.files(), [PENDING_PATH]);
}

#[test]
fn locking_from_many_threads_loses_no_version() {
    let project = project();
    fs::create_dir_all(project.place("snapshots")).unwrap();
    std::thread::scope(|scope| {
        for number in 1..=8 {
            let folder = &project.folder;
            scope.spawn(move || folder.locked(&lock_path("triage"), &format!("triage@{number}"), "aa", || Ok(())).unwrap());
        }
    });
    let lock = project.folder.prompt_lock("triage").unwrap();
    assert!((1..=8).all(|number| lock.is_changed(&version(number, "bb"))));
}
