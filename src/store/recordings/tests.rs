//! Is a recorded answer what it was when it was recorded, or an error that says where?

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::reply::{StopReason, Usage};
use crate::model::request::Block;
use crate::store::Store;
use crate::store::answers::NewAnswer;
use crate::store::recordings::write::{Needed, write};

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn reply(text: &str) -> Reply {
    Reply {
        id: Some("msg_1".to_owned()),
        request_id: Some("req_1".to_owned()),
        model: "claude-haiku-4-5".to_owned(),
        content: vec![Block::text(text)],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        refusal: None,
        usage: Usage { input_tokens: 12, output_tokens: 3, ..Usage::default() },
        answered_at: "2026-11-20T10:11:12.123456789Z".parse().unwrap(),
        latency_ms: 812,
        attempts: Vec::new(),
        simulated: false,
    }
}

fn line(number: u8, text: &str) -> String {
    format!("{}\n", line::write(&format!("suite::case-{number}::prompt@1::model"), 0, &key(number), &reply(text)))
}

struct World {
    folder: TempDir,
}

impl World {
    fn of(text: &str) -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        fs::create_dir_all(world.folder.path().join("recordings")).unwrap();
        fs::write(world.file().path, text).unwrap();
        world
    }

    fn file(&self) -> RecordingFile {
        RecordingFile { path: self.folder.path().join("recordings/suite.jsonl"), name: "recordings/suite.jsonl".to_owned() }
    }

    fn open(&self) -> Result<Recordings, Vec<String>> {
        Recordings::open([self.file()]).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file().path).unwrap()
    }
}

#[test]
fn a_line_is_for_people_first_and_holds_nothing_volatile() {
    insta::assert_snapshot!(line(7, "Paris \"the\" 🌍"), @r#"{"cell":"suite::case-7::prompt@1::model","sample":0,"content":[{"type":"text","text":"Paris \"the\" 🌍"}],"stop_reason":"end_turn","model":"claude-haiku-4-5","usage":{"input_tokens":12,"cache_write_5m_tokens":0,"cache_write_1h_tokens":0,"cache_read_tokens":0,"output_tokens":3,"thinking_tokens":0,"web_searches":0},"answered_at":"2026-11-20T10:11:12.123456789Z","latency_ms":812,"key":"0707070707070707070707070707070707070707070707070707070707070707","checksum":"03d9367e3205ae0b5177447ed6a014e0"}"#);
}

#[test]
fn an_answer_comes_back_as_it_was_without_the_ids_of_its_request() {
    let recordings = World::of(&line(1, "Paris")).open().unwrap();
    assert_eq!(recordings.get(&key(1)).unwrap(), Some(Reply { id: None, request_id: None, ..reply("Paris") }));
    assert_eq!(recordings.get(&key(2)).unwrap(), None);
}

#[test]
fn every_edit_of_a_line_is_an_error_with_its_place() {
    let (first, second) = (line(1, "Paris"), line(2, "Tokyo"));
    for (old, new) in
        [("Tokyo", "Kyoto"), ("\"output_tokens\":3", "\"output_tokens\":4"), ("case-2", "case-3"), ("}\n", " }\n"), ("0202", "0203")]
    {
        assert!(second.contains(old), "{old}");
        let errors = World::of(&format!("{first}{}", second.replacen(old, new, 1))).open().unwrap_err();
        assert_eq!(errors.len(), 1, "{old} -> {new}: {errors:?}");
        assert!(errors[0].starts_with("recordings/suite.jsonl:2: "), "{old} -> {new}: {errors:?}");
    }
}

#[test]
fn any_flipped_bit_is_found() {
    let text = line(1, "Paris");
    for place in 0..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 4;
        let world = World::of("");
        fs::write(world.file().path, &bytes).unwrap();
        world.open().unwrap_err();
    }
}

#[test]
fn what_a_merge_leaves_is_read_or_told() {
    let (first, second) = (line(1, "Paris"), line(2, "Tokyo"));
    let recordings = World::of(&format!("{second}{first}\r\n\n{second}{}", first.trim_end())).open().unwrap();
    assert_eq!(recordings.len(), 2, "twice the same, in any order, and the last without its end");
    let windows = World::of(&first.replace('\n', "\r\n")).open().unwrap();
    assert!(windows.get(&key(1)).unwrap().is_some());
    insta::assert_debug_snapshot!(World::of(&format!("{first}{second}{}", line(1, "Lyon"))).open().unwrap_err(), @r#"
    [
        "recordings/suite.jsonl:3: another answer than line 1 has under the same key",
    ]
    "#);
    insta::assert_debug_snapshot!(World::of(&format!("<<<<<<< HEAD\n{first}=======\n{second}>>>>>>> theirs\n")).open().unwrap_err(), @r#"
    [
        "recordings/suite.jsonl:1: a merge conflict that nobody resolved",
        "recordings/suite.jsonl:3: a merge conflict that nobody resolved",
        "recordings/suite.jsonl:5: a merge conflict that nobody resolved",
    ]
    "#);
}

#[test]
fn what_is_no_recording_is_told_in_bounded_words() {
    for text in ["{}\n", "[1]\n", "\u{feff}{}\n", "null", "{\"checksum\":\"\"}"] {
        assert_eq!(World::of(text).open().unwrap_err(), ["recordings/suite.jsonl:1: no recorded answer: it does not end with a checksum"]);
    }
    assert_eq!(World::of(&"x\n".repeat(100_000)).open().unwrap_err().len(), MOST_TOLD + 1);
    let world = World::of("");
    fs::remove_file(world.file().path).unwrap();
    assert!(world.open().unwrap().is_empty(), "no file, no recordings");
    fs::create_dir(world.file().path).unwrap();
    assert_eq!(world.open().unwrap_err(), ["the recordings `recordings/suite.jsonl`: it is no regular file"]);
}

#[test]
fn a_line_that_changed_since_it_was_opened_is_no_answer() {
    let world = World::of(&line(1, "Paris"));
    let recordings = world.open().unwrap();
    fs::write(world.file().path, "x".repeat(2_000)).unwrap();
    assert!(recordings.get(&key(1)).unwrap_err().to_string().starts_with("recordings/suite.jsonl:1: "));
}

#[test]
fn ten_thousand_answers_are_open_in_a_moment_and_keep_none_of_them() {
    let text: String = (0..10_000_u32)
        .map(|number| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            let key = Key::from_bytes(bytes);
            format!("{}\n", line::write(&format!("suite::case-{number}::prompt@1::model"), 0, &key, &reply("Paris")))
        })
        .collect();
    let world = World::of(&text);
    let recordings = world.open().unwrap();
    assert_eq!(recordings.len(), 10_000);
    assert!(size_of::<(Key, Entry)>() <= 80, "{} bytes for each answer", size_of::<(Key, Entry)>());
}

fn needed(number: u8, from_store: bool) -> Needed {
    Needed { cell: format!("suite::case-{number}::prompt@1::model").into(), sample: 0, key: key(number), from_store }
}

#[test]
fn what_is_written_is_sorted_pruned_and_the_same_each_time() {
    let world = World::of(&format!("{}{}{}", line(3, "Rome"), line(2, "Tokyo"), line(1, "Paris")));
    let store = Store::open(world.folder.path()).unwrap();
    let write = |needed: Vec<Needed>| write(&world.file(), needed, &store, world.folder.path()).unwrap();
    let written = write(vec![needed(3, true), needed(1, false), needed(9, true)]);
    assert_eq!((written.answers, written.added, written.changed, written.gone), (2, 0, 0, 1));
    assert_eq!(written.missing, [key(9)]);
    assert_eq!(world.text(), format!("{}{}", line(1, "Paris"), line(3, "Rome")));
    let before = fs::metadata(world.file().path).unwrap().modified().unwrap();
    write(vec![needed(1, false), needed(3, true)]);
    assert_eq!(fs::metadata(world.file().path).unwrap().modified().unwrap(), before, "nothing is written where nothing is different");
    assert_eq!(write(Vec::new()).gone, 2);
    assert!(!world.file().path.exists());
}

#[test]
fn a_recorded_answer_goes_only_where_another_takes_its_place_or_its_cell_is_gone() {
    let world = World::of(&format!("{}{}{}{}", line(1, "Paris"), line(2, "Tokyo"), line(3, "Rome"), line(4, "Oslo")));
    let store = Store::open(world.folder.path()).unwrap();
    // All cells but the fourth ask something else by now, and only the second was answered.
    let now = |number: u8, from_store| Needed { key: key(number + 100), ..needed(number, from_store) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let request = crate::endpoint::testing::call(1).request;
    let reply = reply("Kyoto");
    let row = NewAnswer { key: key(102), endpoint: "main", sample: 0, request: &request, reply: &reply };
    runtime.block_on(store.put(row)).unwrap();
    let write = |needed: Vec<Needed>| write(&world.file(), needed, &store, world.folder.path()).unwrap();
    let kyoto = format!("{}\n", line::write("suite::case-2::prompt@1::model", 0, &key(102), &reply));
    for from_store in [false, true] {
        let written = write(vec![now(1, from_store), now(2, true), now(3, from_store)]);
        assert_eq!((written.answers, written.earlier), (3, 2), "{written:?}");
        assert_eq!(world.text(), format!("{}{kyoto}{}", line(1, "Paris"), line(3, "Rome")));
    }
    // Where none of what is looked at is stored, as little goes.
    assert_eq!(write(vec![now(1, false), now(3, false)]).gone, 1);
    assert_eq!(world.text(), format!("{}{}", line(1, "Paris"), line(3, "Rome")));
}

#[test]
fn a_damaged_line_that_is_needed_is_not_written_over() {
    let text = format!("{}{}", line(1, "Paris"), line(2, "Tokyo").replace("Tokyo", "Kyoto"));
    let world = World::of(&text);
    let store = Store::open(world.folder.path()).unwrap();
    let error = write(&world.file(), vec![needed(1, true), needed(2, true)], &store, world.folder.path()).unwrap_err();
    assert!(error.to_string().starts_with("recordings/suite.jsonl:2: edited or damaged"), "{error}");
    assert_eq!(world.text(), text);
}
