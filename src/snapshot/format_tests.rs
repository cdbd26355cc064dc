//! Does every output come back from its file as it was, and does the file stay readable?

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn snapshot(outputs: Vec<Output>) -> Snapshot {
    Snapshot { prompt: "ticket-triage@3".to_owned(), model: "claude-haiku-4-5".to_owned(), simulated: false, outputs }
}

fn output(parts: Vec<Part>) -> Output {
    Output { stop_reason: "end_turn".to_owned(), parts }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

/// The file of one text, read back on the way.
fn file(content: &str) -> String {
    written(&snapshot(vec![output(vec![text(content)])]))
}

fn written(snapshot: &Snapshot) -> String {
    let file = write(snapshot);
    assert_eq!(&read(&file).unwrap(), snapshot);
    file
}

#[test]
fn one_text_is_a_small_head_and_the_text() {
    insta::assert_snapshot!(file("{\n  \"queue\": \"billing\"\n}"), @r#"
    ---
    prompt: ticket-triage@3
    model: claude-haiku-4-5
    stop_reason: end_turn
    ---
    {
      "queue": "billing"
    }
    "#);
}

#[test]
fn a_final_newline_is_added_and_taken_away_once() {
    assert!(file("").ends_with("---\n\n"));
    assert!(file("a").ends_with("---\na\n"));
    assert!(file("a\n").ends_with("---\na\n\n"));
    assert!(file("\n\n").ends_with("---\n\n\n\n"));
}

#[test]
fn an_output_may_look_like_a_head_or_a_fence() {
    for content in ["---", "---\n", "---\nprompt: x@1\n---\n", "---- text\nx", "---- variant", "-----", "fence: ----", "\n---\n"] {
        file(content);
        written(&snapshot(vec![output(vec![text(content), text(content)]), output(vec![text(content)])]));
    }
}

#[test]
fn what_nobody_sees_is_stored_escaped() {
    insta::assert_snapshot!(file("one\r\ntwo \u{202e}three\0\u{feff} C:\\x"), @r"
    ---
    prompt: ticket-triage@3
    model: claude-haiku-4-5
    stop_reason: end_turn
    encoding: escaped
    ---
    one\r
    two \u{202e}three\u{0}\u{feff} C:\\x
    ");
    assert!(!file("back\\slash, tab\t, café, 👩‍👩‍👧").contains("encoding"));
}

#[test]
fn several_parts_and_variants_stand_between_fences() {
    let call = json!({"type": "tool_use", "name": "look_up", "input": {"q": "\u{7f}----"}});
    let calling = Output { stop_reason: "tool_use".to_owned(), parts: vec![text("I look.\n"), Part::Json(call)] };
    insta::assert_snapshot!(written(&snapshot(vec![calling.clone()])), @r#"
    ---
    prompt: ticket-triage@3
    model: claude-haiku-4-5
    stop_reason: tool_use
    fence: -----
    ---
    ----- text
    I look.

    ----- json
    {
      "type": "tool_use",
      "name": "look_up",
      "input": {
        "q": "\u007f----"
      }
    }
    "#);
    insta::assert_snapshot!(written(&snapshot(vec![output(vec![text("")]), calling, output(vec![text("no")])])), @r#"
    ---
    prompt: ticket-triage@3
    model: claude-haiku-4-5
    stop_reason: end_turn
    fence: -----
    ---
    ----- variant
    ----- text

    ----- variant tool_use
    ----- text
    I look.

    ----- json
    {
      "type": "tool_use",
      "name": "look_up",
      "input": {
        "q": "\u007f----"
      }
    }
    ----- variant
    ----- text
    no
    "#);
}

#[test]
fn a_simulated_reply_says_so() {
    let mut simulated = snapshot(vec![output(vec![text("x")])]);
    simulated.simulated = true;
    insta::assert_snapshot!(written(&simulated), @"
    ---
    prompt: ticket-triage@3
    model: claude-haiku-4-5
    stop_reason: end_turn
    simulated: true
    ---
    x
    ");
}

#[test]
fn odd_ids_are_quoted() {
    let mut odd = snapshot(vec![output(vec![text("x")])]);
    odd.prompt = "a: b\n---\n".to_owned();
    odd.model = "\"\u{202e}".to_owned();
    odd.outputs[0].stop_reason = String::new();
    insta::assert_snapshot!(written(&odd), @r#"
    ---
    prompt: "a: b\n---\n"
    model: "\"\u202e"
    stop_reason: ""
    ---
    x
    "#);
}

#[test]
fn what_editors_and_git_do_to_line_ends_is_undone() {
    let snapshot = snapshot(vec![output(vec![text("one\ntwo\n")])]);
    let file = write(&snapshot);
    assert_eq!(read(&file.replace('\n', "\r\n")).unwrap(), snapshot);
    assert_eq!(read(&format!("\u{feff}{file}")).unwrap(), snapshot);
    assert_eq!(read("---\nprompt: p@1\nmodel: m\nstop_reason: end_turn\n---").unwrap().outputs[0].parts, [text("")]);
    assert_eq!(read("---\nprompt: p@1\nmodel: m\nstop_reason: end_turn\n---\nx").unwrap().outputs[0].parts, [text("x")]);
}

#[test]
fn a_broken_file_says_which_line_and_what_was_expected() {
    const HEAD: &str = "---\nprompt: p@1\nmodel: m\nstop_reason: end_turn\n";
    let files = [
        String::new(),
        "{}".to_owned(),
        "---\nprompt: p@1\n".to_owned(),
        "---\nmodel: m\nstop_reason: end_turn\n---\nx\n".to_owned(),
        "---\nprompt: p@1\nstop_reason: end_turn\n---\nx\n".to_owned(),
        "---\nprompt: p@1\nmodel: m\n---\nx\n".to_owned(),
        "---\n<<<<<<< HEAD\nprompt: p@1\n".to_owned(),
        format!("{HEAD}latency: 5\n---\nx\n"),
        format!("{HEAD}model: m\n---\nx\n"),
        format!("{HEAD}simulated: false\n---\nx\n"),
        format!("{HEAD}encoding: base64\n---\nx\n"),
        format!("{HEAD}nonsense\n---\nx\n"),
        format!("{HEAD}fence: ---\n---\nx\n"),
        format!("{HEAD}encoding: escaped\n---\na \\n b\n"),
        format!("{HEAD}fence: ----\n---\nx\n"),
        format!("{HEAD}fence: ----\n---\n"),
        format!("{HEAD}fence: ----\n---\n---- picture\nx\n"),
        format!("{HEAD}fence: ----\n---\n---- json\n{{\n"),
        "---\nprompt: \"p\n---\n".to_owned(),
    ];
    insta::assert_snapshot!(files.map(|file| read(&file).unwrap_err().to_string()).join("\n"), @r"
    line 1: a snapshot begins with a line `---`
    line 1: a snapshot begins with a line `---`
    line 3: the head is not closed by a line `---`
    line 4: the head has no `prompt`
    line 4: the head has no `model`
    line 4: the head has no `stop_reason`
    line 2: a merge conflict is not resolved
    line 5: unknown key `latency`: a newer promptkeel may have written it
    line 5: `model` stands twice
    line 5: `simulated` can only be `true`; a real reply has no such line
    line 5: `encoding` can only be `escaped`
    line 5: a line of the head is `key: value`
    line 5: `fence` is a run of at least 4 dashes
    line 7: the output is escaped, and `\n` is no escape: `\\`, `\r` and `\u{hex}` are
    line 7: a fence `---- text` or `---- json` was expected
    line 7: there is no output
    line 7: after a fence stands `text`, `json` or `variant`, not `picture`
    line 8: a part that is called json cannot be read: EOF while parsing an object at line 1 column 1
    line 2: the quoted value cannot be read: EOF while parsing a string at line 1 column 2
    ");
}

#[test]
fn white_space_at_the_end_of_a_stop_reason_is_kept() {
    for space in ["\u{202f}", "\u{a0}", "\t", " ", "\u{3000}"] {
        let reason = |name: &str| Output { stop_reason: format!("{name}{space}"), parts: vec![text("an answer")] };
        written(&snapshot(vec![reason("a"), reason("b")]));
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "-{1,6}",
        "(---- text|---- json|---- variant|prompt: p@1|encoding: escaped|fence: ----)",
        "[\n\r\t \u{a0}\u{202f}\u{3000}\\\\]{1,3}",
        "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{feff}]",
        "\\\\u\\{[0-9a-f]{1,6}\\}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_part() -> impl Strategy<Value = Part> {
    let member = prop_oneof![any_text().prop_map(serde_json::Value::from), any::<i64>().prop_map(serde_json::Value::from)];
    let object = prop::collection::vec((any_text(), member), 0..4);
    prop_oneof![3 => any_text().prop_map(Part::Text), 1 => object.prop_map(|members| Part::Json(members.into_iter().collect()))]
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let output = (any_text(), prop::collection::vec(any_part(), 0..4)).prop_map(|(stop_reason, parts)| Output { stop_reason, parts });
    let outputs = prop_oneof![
        any_text().prop_map(|content| vec![Output { stop_reason: "end_turn".to_owned(), parts: vec![Part::Text(content)] }]),
        prop::collection::vec(output, 1..4),
    ];
    (any_text(), any_text(), any::<bool>(), outputs).prop_map(|(prompt, model, simulated, outputs)| Snapshot {
        prompt,
        model,
        simulated,
        outputs,
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(snapshot in any_snapshot()) {
        let file = write(&snapshot);
        prop_assert_eq!(read(&file).unwrap(), snapshot.clone());
        prop_assert_eq!(write(&read(&file).unwrap()), file.clone());
        prop_assert!(file.ends_with('\n'));
        prop_assert!(!file.chars().any(escape::is_concealed), "a reviewer sees every character");
        prop_assert_eq!(read(&file.replace('\n', "\r\n")).unwrap(), snapshot);
    }

    #[test]
    fn no_file_makes_the_reader_panic(file in any_text(), head in any::<bool>()) {
        let file = if head { format!("---\nprompt: p@1\nmodel: m\nstop_reason: s\nfence: ----\n---\n{file}") } else { file };
        let _ = read(&file);
    }
}
