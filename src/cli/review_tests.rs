//! Is exactly that decided which was shown, and taken back whole?

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::review::body::{self, Layout};
use crate::review::state::{Key, ShownAs, Size, Status};
use crate::snapshot::format;
use crate::snapshot::output::Output;

const SUITE: &str = "\
suite: capitals
prompt: capital
models: [claude-haiku-4-5]
cases:
  - {id: france, vars: {country: France}}
  - {id: japan, vars: {country: Japan}}
  - {id: peru, vars: {country: Peru}}
  - {id: italy, vars: {country: Italy}}
";

fn write(root: &Path, path: &str, text: &[u8]) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, text).unwrap();
}

fn snapshot(simulated: bool, text: &str) -> Vec<u8> {
    let simulated = if simulated { "simulated: true\n" } else { "" };
    format!("---\nprompt: capital@1\nmodel: claude-haiku-4-5\nstop_reason: end_turn\n{simulated}---\n{text}\n").into_bytes()
}

/// Changed, new, unreadable below, simulated beside a real one, orphaned: each of what can be decided.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "promptkeel.toml", b"");
    write(root, "suites/capitals.yaml", SUITE.as_bytes());
    write(root, "suites/prompts/capital/1.md", b"Name the capital of {{ country }}.\n");
    let path = |case: &str| format!("snapshots/capitals/{case}/claude-haiku-4-5.snap");
    let mut two = format::read(&String::from_utf8(snapshot(false, "Lyon")).unwrap()).unwrap();
    two.outputs.extend(format::read(&String::from_utf8(snapshot(false, "Pau")).unwrap()).unwrap().outputs);
    write(root, &path("france"), format::write(&two).as_bytes());
    write(root, &format!("{}.new", path("france")), &snapshot(false, "Paris"));
    write(root, &format!("{}.new", path("japan")), &snapshot(false, "Tokyo"));
    write(root, &path("peru"), b"\xff no snapshot\r\n");
    write(root, &format!("{}.new", path("peru")), &snapshot(false, "Lima"));
    write(root, &path("italy"), &snapshot(false, "Milan"));
    write(root, &format!("{}.new", path("italy")), &snapshot(true, "Rome"));
    write(root, &path("spain"), &snapshot(false, "Madrid"));
    write(root, &format!("{}.new", path("chile")), &snapshot(false, "Santiago"));
    folder
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.join("snapshots")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(path).unwrap());
            }
        }
    }
    files
}

fn sat_down(root: &Path) -> (Review, Table<'static>) {
    sat_down_while(root, |_| ())
}

/// `between` happens while what was found is judged.
fn sat_down_while(root: &Path, between: impl FnOnce(&Path)) -> (Review, Table<'static>) {
    // Whoever sits at the desk borrows the project, and a test ends before the process does.
    let project: &'static Project = Box::leak(Box::new(Project::open(Some(root)).unwrap()));
    let desk = Desk::open(project);
    let mut found = find(&desk, &[]).unwrap();
    let table = Table { desk, seen: std::mem::take(&mut found.seen) };
    between(root);
    let items = table.lay(&found, &Known { cells: Err("not looked up".to_owned()), changes: Vec::new() });
    (Review::new(items, Size { width: 80, height: 24 }, false), table)
}

fn press(key: char, review: &mut Review, table: &mut Table<'_>) {
    let frame = view::frame(review);
    let key = match key {
        '\n' => Key::Enter,
        '\u{8}' => Key::Backspace,
        letter => Key::Char(letter),
    };
    let effect = review.press(key, &frame.body, frame.room);
    carry_out(&effect, review, table);
}

#[test]
fn everything_that_can_be_decided_is_found() {
    let project = project();
    let (review, _) = sat_down(project.path());
    let kinds: Vec<String> = review.entries.iter().map(|entry| format!("{} {}", entry.item.kind.as_str(), entry.item.case)).collect();
    assert_eq!(kinds, ["changed france", "new italy", "new japan", "unreadable peru", "orphaned chile", "orphaned spain"]);
}

#[test]
fn a_simulated_output_never_replaces_a_real_one() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    let before = files(project.path());
    press('n', &mut review, &mut table);
    press('a', &mut review, &mut table);
    assert_eq!(files(project.path()), before);
    assert!(review.message.as_ref().unwrap().1.contains("a simulated output never replaces a real one"), "{:?}", review.message);
    assert_eq!(review.entries[1].status, Status::Waiting);
}

#[test]
fn what_was_not_seen_is_not_decided_about() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    let path = "snapshots/capitals/france/claude-haiku-4-5.snap.new";
    write(project.path(), path, &snapshot(false, "Marseille"));
    press('a', &mut review, &mut table);
    assert!(project.path().join(path).exists());
    assert!(review.entries[0].item.new.contains("Marseille") && review.entries[0].status == Status::Waiting);
    press('a', &mut review, &mut table);
    assert!(!project.path().join(path).exists(), "now it was seen");
    fs::remove_file(project.path().join("snapshots/capitals/japan/claude-haiku-4-5.snap.new")).unwrap();
    press('n', &mut review, &mut table);
    press('r', &mut review, &mut table);
    assert_eq!(review.entries[2].status, Status::Gone);
    assert!(review.message.as_ref().unwrap().1.contains("meanwhile"), "{:?}", review.message);
}

#[test]
fn the_variant_that_is_asked_for_is_replaced_and_comes_back_with_undo() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    let before = files(project.path());
    let texts = || {
        let text = fs::read_to_string(project.path().join("snapshots/capitals/france/claude-haiku-4-5.snap")).unwrap();
        format::read(&text).unwrap().outputs.iter().map(Output::shown).collect::<Vec<_>>()
    };
    assert_eq!(texts(), ["Lyon", "Pau"]);
    assert_eq!(review.entries[0].item.nearest.map(|nearest| nearest.number), Some(1), "both differ whole, so it is the first");
    for (keys, after) in [("V\n", ["Paris", "Pau"]), ("V\u{8}2\n", ["Lyon", "Paris"])] {
        for key in keys.chars() {
            press(key, &mut review, &mut table);
        }
        assert_eq!(texts(), after, "{:?}", review.message);
        assert_eq!(review.entries[0].status, Status::Accepted);
        press('u', &mut review, &mut table);
        assert_eq!(files(project.path()), before);
    }
    for key in "V3\n".chars() {
        press(key, &mut review, &mut table);
    }
    assert!(review.message.as_ref().unwrap().1.contains("`13` is no variant: they are numbered from 1 to 2"), "{:?}", review.message);
    assert_eq!(files(project.path()), before);
}

#[test]
fn what_is_written_anew_before_the_first_screen_is_not_decided_about() {
    let project = project();
    let path = "snapshots/capitals/france/claude-haiku-4-5.snap.new";
    let (mut review, mut table) = sat_down_while(project.path(), |root| write(root, path, &snapshot(false, "Marseille")));
    assert!(review.entries[0].item.new.contains("Paris"), "what was found is shown");
    press('a', &mut review, &mut table);
    assert_eq!(fs::read(project.path().join(path)).unwrap(), snapshot(false, "Marseille"));
    assert!(review.entries[0].item.new.contains("Marseille"), "look again");
    press('a', &mut review, &mut table);
    let accepted = fs::read(project.path().join("snapshots/capitals/france/claude-haiku-4-5.snap")).unwrap();
    assert_eq!(accepted, snapshot(false, "Marseille"));
}

#[test]
fn orphans_are_removed_one_by_one_and_only_while_nobody_owns_them() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    for _ in 0..4 {
        press('n', &mut review, &mut table);
    }
    press('A', &mut review, &mut table);
    assert_eq!(review.count(&Status::Accepted), 1, "{:?}", review.message);
    let spain = "snapshots/capitals/spain/claude-haiku-4-5.snap";
    let with_spain = format!("{SUITE}  - {{id: spain, vars: {{country: Spain}}}}\n");
    write(project.path(), "suites/capitals.yaml", with_spain.as_bytes());
    press('a', &mut review, &mut table);
    assert!(project.path().join(spain).exists(), "{:?}", review.message);
    assert!(review.message.as_ref().unwrap().1.contains("may belong to a case by now"), "{:?}", review.message);
    write(project.path(), "suites/capitals.yaml", SUITE.as_bytes());
    press('a', &mut review, &mut table);
    assert!(!project.path().join(spain).exists(), "{:?}", review.message);
}

#[test]
fn an_undo_that_the_disk_refuses_can_be_tried_again() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    let before = files(project.path());
    press('a', &mut review, &mut table);
    let folder = project.path().join("snapshots/capitals/france");
    fs::rename(&folder, project.path().join("aside")).unwrap();
    write(project.path(), "snapshots/capitals/france", b"a file where the folder belongs");
    press('p', &mut review, &mut table);
    press('u', &mut review, &mut table);
    assert_eq!(review.entries[0].status, Status::Accepted);
    assert!(review.message.as_ref().unwrap().1.contains("`u` tries again"), "{:?}", review.message);
    fs::remove_file(&folder).unwrap();
    fs::rename(project.path().join("aside"), &folder).unwrap();
    press('u', &mut review, &mut table);
    assert_eq!(review.entries[0].status, Status::Waiting);
    assert_eq!(files(project.path()), before);
}

#[test]
fn a_file_that_cannot_be_read_is_shown_as_it_stands() {
    let project = project();
    let waiting = "snapshots/capitals/japan/claude-haiku-4-5.snap.new";
    write(project.path(), waiting, b"<<<<<<< ours");
    let (review, _) = sat_down(project.path());
    let shown = |index: usize| {
        let layout = Layout { width: 80, side_by_side: false, shown_as: ShownAs::Difference, colour: false };
        let lines: Vec<String> = body::lines(&review.entries[index].item, layout).iter().map(body::plain).collect();
        lines.join("\n")
    };
    let (new, accepted) = (shown(2), shown(3));
    assert!(new.contains("the file of the new output, which cannot be read") && new.contains("<<<<<<< ours"), "{new}");
    assert!(!new.contains("puts the new output"), "{new}");
    assert!(
        accepted.contains("the accepted file, which cannot be read") && accepted.contains("no snapshot") && accepted.contains("+ Lima"),
        "{accepted}"
    );
}

#[test]
fn an_undo_overwrites_nothing_that_somebody_else_wrote() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    press('a', &mut review, &mut table);
    write(project.path(), "snapshots/capitals/france/claude-haiku-4-5.snap", b"edited by hand");
    let before = files(project.path());
    press('u', &mut review, &mut table);
    assert_eq!(files(project.path()), before);
    assert!(review.message.as_ref().unwrap().1.contains("changed meanwhile"), "{:?}", review.message);
}

#[test]
fn an_undo_leaves_the_lock_of_what_another_shell_accepted_meanwhile() {
    let project = project();
    let lock = project.path().join("snapshots/capitals/prompts.toml");
    let (mut review, mut table) = sat_down(project.path());
    press('a', &mut review, &mut table);
    assert!(fs::read_to_string(&lock).unwrap().contains("capital@1"));
    let elsewhere = Box::leak(Box::new(Project::open(Some(project.path())).unwrap()));
    let japan = "snapshots/capitals/japan/claude-haiku-4-5.snap";
    assert!(Desk::open(elsewhere).accept(&[japan], Acceptance::Replace).remove(0).is_ok());
    press('u', &mut review, &mut table);
    assert_eq!(review.entries[0].status, Status::Waiting, "{:?}", review.message);
    assert!(project.path().join("snapshots/capitals/france/claude-haiku-4-5.snap.new").exists());
    assert!(fs::read_to_string(&lock).unwrap().contains("capital@1"), "an accepted output relies on it");
    assert!(review.message.as_ref().unwrap().1.contains("`capital@1` stays noted"), "{:?}", review.message);
}

#[test]
fn nothing_is_accepted_where_its_prompt_version_cannot_be_noted() {
    let project = project();
    write(project.path(), "snapshots/capitals/prompts.toml", b"<<<<<<< ours\n");
    let before = files(project.path());
    let (mut review, mut table) = sat_down(project.path());
    press('a', &mut review, &mut table);
    assert_eq!(files(project.path()), before);
    assert_eq!(review.entries[0].status, Status::Waiting);
    assert!(review.message.as_ref().unwrap().1.contains("prompts.toml"), "{:?}", review.message);
}

#[test]
fn what_could_not_be_accepted_leaves_no_prompt_version_noted() {
    let project = project();
    let (mut review, mut table) = sat_down(project.path());
    let before = files(project.path());
    press('n', &mut review, &mut table);
    press('a', &mut review, &mut table);
    assert_eq!(review.entries[1].status, Status::Waiting, "a simulated output replaces no real one");
    assert_eq!(files(project.path()), before);
}

#[test]
fn all_that_share_a_change_are_decided_but_for_what_was_skipped() {
    let project = project();
    for case in ["japan", "italy", "peru"] {
        let path = format!("snapshots/capitals/{case}/claude-haiku-4-5.snap");
        write(project.path(), &path, &snapshot(false, "It was there."));
        write(project.path(), &format!("{path}.new"), &snapshot(false, "It is there."));
    }
    let (mut review, mut table) = sat_down(project.path());
    assert_eq!(review.entries.iter().filter(|entry| entry.item.change == review.entries[1].item.change).count(), 3);
    // Italy, then Japan, which is put aside, then Peru.
    for key in "nnspp".chars() {
        press(key, &mut review, &mut table);
    }
    assert_eq!((review.current().unwrap().item.case.as_str(), review.count(&Status::Skipped)), ("italy", 1));
    press('A', &mut review, &mut table);
    let there = |case: &str| project.path().join(format!("snapshots/capitals/{case}/claude-haiku-4-5.snap.new")).exists();
    assert_eq!([there("italy"), there("japan"), there("peru")], [false, true, false], "{:?}", review.message);
    assert_eq!(review.entries[2].status, Status::Skipped);
}

#[test]
fn a_shared_change_says_that_ignored_values_differ_and_where() {
    let project = project();
    let suite = format!("{SUITE}snapshot: {{compare: json, ignore: [$.why]}}\n");
    write(project.path(), "suites/capitals.yaml", suite.as_bytes());
    let answer = |queue: &str, why: &str| snapshot(false, &format!("{{\"queue\": \"{queue}\", \"why\": \"{why}\"}}"));
    for case in ["italy", "japan"] {
        let path = format!("snapshots/capitals/{case}/claude-haiku-4-5.snap");
        write(project.path(), &path, &answer("billing", &format!("{case} paid twice")));
        write(project.path(), &format!("{path}.new"), &answer("refunds", &format!("{case} wants it back")));
    }
    let (mut review, mut table) = sat_down(project.path());
    press('n', &mut review, &mut table);
    let screen = |review: &Review| view::frame(review).rows.iter().map(body::plain).collect::<Vec<_>>().join("\n");
    let shown = screen(&review);
    assert!(shown.contains("2 outputs share this change, but for values that `snapshot.ignore` leaves out"), "{shown}");
    assert!(shown.contains("left out by `snapshot.ignore` (`w` shows it): $.why"), "{shown}");
    press('A', &mut review, &mut table);
    assert_eq!(review.count(&Status::Accepted), 2, "{:?}", review.message);
    press('u', &mut review, &mut table);
    // Where they do not differ, nothing is said of them.
    for case in ["italy", "japan"] {
        let path = format!("snapshots/capitals/{case}/claude-haiku-4-5.snap");
        write(project.path(), &path, &answer("billing", "paid"));
        write(project.path(), &format!("{path}.new"), &answer("refunds", "paid"));
    }
    let (mut review, mut table) = sat_down(project.path());
    press('n', &mut review, &mut table);
    let shown = screen(&review);
    assert!(shown.contains("2 outputs share this change: `A` accepts"), "{shown}");
    assert!(!shown.contains("snapshot.ignore"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_was_decided_undo_restores_every_file_byte_for_byte(keys in "[arsvVARnpu\n]{0,30}") {
        let project = project();
        let before = files(project.path());
        let (mut review, mut table) = sat_down(project.path());
        for key in keys.chars() {
            press(key, &mut review, &mut table);
        }
        let _ = review.press(Key::Escape, &[], 1);
        for _ in 0..keys.len() {
            press('u', &mut review, &mut table);
        }
        prop_assert_eq!(files(project.path()), before);
        prop_assert!(review.entries.iter().all(|entry| matches!(entry.status, Status::Waiting | Status::Skipped)));
    }
}
