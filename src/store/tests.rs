//! Does the store keep what it was given, and say so where it cannot?

use std::fs;

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::endpoint::testing::{call, reply, request};
use crate::model::gate::Exit;
use crate::model::run::{Address, Bill, Totals};
use crate::model::verdict::Verdict;
use crate::store::history::{Evidence, KEPT_RUNS, RunCell};

fn key(number: usize) -> Key {
    call(number).key
}

/// Stores a reply with this text.
async fn put(store: &Store, number: usize, text: &str) {
    let request = request("m", "q");
    let reply = reply(text);
    store.put(NewAnswer { key: key(number), endpoint: "anthropic", sample: 0, request: &request, reply: &reply }).await.unwrap();
}

fn text(store: &Store, number: usize) -> Option<String> {
    store.get(&key(number)).unwrap().map(|reply| reply.text())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn what_is_put_is_got_also_by_another_process_and_after_reopening() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let other = Store::open(folder.path()).unwrap();
    put(&store, 1, "hello").await;
    assert_eq!(*store.get(&key(1)).unwrap().unwrap(), reply("hello"));
    assert_eq!(text(&other, 1).as_deref(), Some("hello"));
    assert_eq!(text(&other, 2), None);
    drop((store, other));
    assert_eq!(text(&Store::open(folder.path()).unwrap(), 1).as_deref(), Some("hello"));
}

#[tokio::test]
async fn a_second_answer_is_a_new_generation_and_reads_take_the_newest() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    put(&store, 1, "old").await;
    put(&store, 1, "new").await;
    assert_eq!(text(&store, 1).as_deref(), Some("new"));
    let known = store.known(&[key(1), key(2)]).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[&key(1)], Known { generation: 2, created_at: reply("").answered_at, simulated: false });
    let rows = Connection::open(store.path()).unwrap().query_row("SELECT count(*) FROM answers", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn a_missing_folder_is_made_and_ignores_itself() {
    let folder = folder();
    let inner = folder.path().join("a/.promptkeel");
    Store::open(&inner).unwrap();
    assert_eq!(fs::read_to_string(inner.join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn a_folder_that_cannot_be_made_is_named_with_a_next_step() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = Store::open(&folder.path().join("file/.promptkeel")).unwrap_err();
    assert!(matches!(error, StoreError::Folder { .. }), "{error}");
    assert!(error.to_string().contains(".promptkeel") && error.hint().contains("writable"));
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let folder = folder();
    let path = Store::open(folder.path()).unwrap().path().to_owned();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = folder();
    let other = Connection::open(folder.path().join("store.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    assert!(matches!(Store::open(folder.path()).unwrap_err(), StoreError::Foreign { .. }));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_with_a_warning_and_a_new_one_begun() {
    let folder = folder();
    for number in 1..=2 {
        fs::write(folder.path().join("store.db"), "this is no database, whatever its name says").unwrap();
        let store = Store::open(folder.path()).unwrap();
        let warnings = store.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].message.contains(&format!("store.db.corrupt-{number}")), "{}", warnings[0].message);
        put(&store, 1, "fresh").await;
        assert_eq!(text(&store, 1).as_deref(), Some("fresh"));
        let aside = folder.path().join(format!("store.db.corrupt-{number}"));
        assert_eq!(fs::read_to_string(aside).unwrap(), "this is no database, whatever its name says");
        drop(store);
        for companion in ["store.db", "store.db-wal", "store.db-shm"] {
            let _ = fs::remove_file(folder.path().join(companion));
        }
    }
}

#[tokio::test]
async fn a_mark_of_damage_beside_a_whole_file_takes_no_answer_away() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    put(&store, 1, "kept").await;
    drop(store);
    // As by a run that still had the old, damaged file open when this one was begun.
    fs::write(folder.path().join("store.db.damaged"), "database disk image is malformed").unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(text(&store, 1).as_deref(), Some("kept"));
    assert_eq!(store.warnings(), []);
    assert!(!folder.path().join("store.db.damaged").exists());
}

#[tokio::test]
async fn damage_found_while_reading_is_an_error_and_the_next_opening_sets_the_file_aside() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    for number in 0..200 {
        put(&store, number, &"long ".repeat(200)).await;
    }
    let path = store.path().to_owned();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    for byte in &mut bytes[8192..] {
        *byte = 0xff;
    }
    fs::write(&path, bytes).unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert!((0..200).any(|number| matches!(store.get(&key(number)), Err(StoreError::Damaged { .. }))));
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.warnings().len(), 1);
    assert_eq!(text(&store, 1), None);
    put(&store, 1, "again").await;
    assert_eq!(text(&store, 1).as_deref(), Some("again"));
    drop(store);
    assert!(Store::open(folder.path()).unwrap().warnings().is_empty());
}

#[tokio::test]
async fn a_changed_bit_of_an_answer_makes_it_missing_never_different() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    put(&store, 1, "the answer is yes").await;
    put(&store, 2, "the answer is two").await;
    let hand = Connection::open(store.path()).unwrap();
    hand.execute("UPDATE answers SET reply = replace(reply, 'is yes', 'is noo') WHERE key = ?1", [key(1).as_bytes()]).unwrap();
    assert_eq!(text(&store, 1), None);
    assert_eq!(text(&store, 1), None);
    assert_eq!(store.warnings().len(), 1, "said once");
    assert!(store.warnings()[0].message.contains(&key(1).to_string()));
    // One row in the place of another is damage too.
    hand.execute("UPDATE answers SET key = ?1 WHERE key = ?2", [key(3).as_bytes(), key(2).as_bytes()]).unwrap();
    assert_eq!(text(&store, 3), None);
}

#[tokio::test]
async fn two_processes_write_at_the_same_time_and_both_see_everything() {
    let folder = folder();
    let one = Store::open(folder.path()).unwrap();
    let other = Store::open(folder.path()).unwrap();
    let writes = |store, from| async move {
        for number in from..from + 100 {
            put(store, number, "x").await;
        }
    };
    tokio::join!(writes(&one, 0), writes(&other, 100));
    let keys: Vec<Key> = (0..200).map(key).collect();
    assert_eq!(one.known(&keys).unwrap().len(), 200);
    assert_eq!(other.known(&keys).unwrap().len(), 200);
}

#[test]
fn many_processes_may_create_the_store_at_once() {
    let folder = folder();
    let path = folder.path();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(path).map(|_| ()))).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

fn run(number: usize, cells: usize) -> RunRecord {
    RunRecord {
        head: RunHead {
            id: format!("run-{number}"),
            started_at: DateTime::from_timestamp(1_795_000_000 + i64::try_from(number).unwrap(), 0).unwrap(),
            duration_ms: 12,
            filtered: number % 2 == 1,
            simulated: true,
            endpoints: vec!["simulated".to_owned()],
            revision: None,
            exit: Exit::Holds,
            totals: Totals { planned: cells as u64, ..Totals::default() },
            bill: Bill::default(),
            watch: None,
            models: Vec::new(),
            earlier_rounds: 0,
        },
        cells: (0..cells)
            .map(|cell| RunCell {
                address: Address {
                    suite: "s::odd".into(),
                    case: format!("case {cell}").into(),
                    prompt: "p".into(),
                    version: 3,
                    model: "m@x".into(),
                },
                verdict: if cell % 2 == 0 { Verdict::Pass } else { Verdict::Skipped },
                keys: vec![key(cell), key(cell + 1)],
                evidence: (cell % 2 == 0).then(|| Evidence { passed: true, fingerprint: "f".to_owned(), answers: [7; 32] }),
                kept: None,
            })
            .collect(),
    }
}

#[test]
fn a_run_comes_back_as_it_was_saved_and_the_last_one_is_the_last_saved() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.last_run().unwrap(), None);
    store.save_run(&run(1, 5)).unwrap();
    store.save_run(&run(2, 0)).unwrap();
    assert_eq!(store.last_run().unwrap(), Some(run(2, 0)));
    assert_eq!(store.run("run-1").unwrap(), Some(run(1, 5)));
    assert_eq!(store.run("run-9").unwrap(), None);
    assert_eq!(store.runs().unwrap(), [run(2, 0).head, run(1, 5).head]);
    // Saving again under the same id replaces.
    store.save_run(&run(1, 2)).unwrap();
    assert_eq!(store.last_run().unwrap(), Some(run(1, 2)));
    assert_eq!(store.runs().unwrap().len(), 2);
}

#[test]
fn the_history_is_bounded() {
    let folder = folder();
    let store = Store::open(folder.path()).unwrap();
    let kept = usize::try_from(KEPT_RUNS).unwrap();
    for number in 0..kept + 5 {
        store.save_run(&run(number, 2)).unwrap();
    }
    let runs = store.runs().unwrap();
    assert_eq!(runs.len(), kept);
    assert_eq!(runs.last().unwrap().id, "run-5");
    let cells =
        Connection::open(store.path()).unwrap().query_row("SELECT count(*) FROM run_cells", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(usize::try_from(cells).unwrap(), kept * 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever a file holds, opening it ends in a store that works or in an error; never in a panic.
    #[test]
    fn no_bytes_of_a_file_make_opening_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), header in any::<bool>()) {
        let folder = folder();
        let mut content = if header { b"SQLite format 3\0".to_vec() } else { Vec::new() };
        content.extend(bytes);
        fs::write(folder.path().join("store.db"), content).unwrap();
        if let Ok(store) = Store::open(folder.path()) {
            prop_assert_eq!(text(&store, 1), None);
        }
    }
}
