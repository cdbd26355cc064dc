//! Do the screens look right, at every size and for every kind of output?

use std::sync::Arc;

use crate::diff::text_diff;
use crate::model::assertion::AssertionSeverity;
use crate::model::hidden;
use crate::model::problem::Site;
use crate::model::run::{Address, CellDigests, CellResult, PromptChange, SampleResult};
use crate::model::suite::{Compare, Parse, SnapshotPolicy};
use crate::model::verdict::{AssertionResult, Failure, Outcome as Judgement, Verdict};
use crate::report::visible;
use crate::review::body::plain;
use crate::review::item::Item;
use crate::review::state::{Decision, Effect, Key, Mode, Outcome, Review, Size, Status, Typing};
use crate::review::view::{self, Frame};
use crate::snapshot::accept::Variants;
use crate::snapshot::compare::compare;
use crate::snapshot::format;
use crate::snapshot::output::{Output, Part, Snapshot};
use crate::snapshot::pending::Pending;

fn snapshot(prompt: &str, text: &str) -> Snapshot {
    let output = Output { stop_reason: "end_turn".to_owned(), parts: vec![Part::Text(text.to_owned())] };
    Snapshot { prompt: prompt.to_owned(), model: "claude-haiku-4-5".to_owned(), simulated: false, outputs: vec![output] }
}

fn said(name: &str, outcome: Judgement) -> AssertionResult {
    let site = Some(Site { file: "suites/ticket-triage.yaml".into(), line: 12 });
    AssertionResult { name: name.to_owned(), severity: AssertionSeverity::Fail, outcome, site }
}

fn cell(case: &str, new: &Snapshot, verdict: Verdict, assertions: Vec<AssertionResult>) -> CellResult {
    let sample = SampleResult { index: 0, key: String::new(), verdict, reply: None, assertions, error: None, skipped: None };
    CellResult {
        address: Address {
            suite: "ticket-triage".into(),
            case: case.into(),
            prompt: "ticket-triage".into(),
            version: 3,
            model: "claude-haiku-4-5".into(),
        },
        model_id: "claude-haiku-4-5".into(),
        endpoint: "anthropic".into(),
        verdict,
        gated: true,
        side_by_side: false,
        cluster: None,
        tags: Arc::from([]),
        site: Site { file: "suites/ticket-triage.yaml".into(), line: 31 },
        snapshot: crate::model::verdict::SnapshotState::None,
        snapshot_path: None,
        candidate: Some(format::write(new).into()),
        digests: CellDigests::default(),
        request: None,
        samples: vec![sample],
        sampled: None,
        attempt_at_most_usd: None,
    }
}

fn pending(case: &str, accepted: Option<&Snapshot>, new: Snapshot, mode: Compare) -> Pending {
    let policy = SnapshotPolicy { compare: mode, ..SnapshotPolicy::default() };
    let state = compare(accepted, &new, &policy, Parse::default()).unwrap();
    Pending {
        path: format!("snapshots/ticket-triage/{case}/claude-haiku-4-5.snap"),
        suite: "ticket-triage".to_owned(),
        case: case.to_owned(),
        model: "claude-haiku-4-5".to_owned(),
        prompt: None,
        variants: Variants { accepted: usize::from(accepted.is_some()), replaced: 1, added: 1 + usize::from(accepted.is_some()) },
        content: Ok(new),
        state,
    }
}

fn json(case: &str, queue: &str) -> Item {
    let document = |queue: &str| format!("{{\n  \"queue\": \"{queue}\",\n  \"urgency\": \"high\"\n}}");
    let (accepted, new) = (snapshot("ticket-triage@2", &document("billing")), snapshot("ticket-triage@3", &document(queue)));
    let waiting = pending(case, Some(&accepted), new.clone(), Compare::Json);
    let assertions = vec![said("json_schema", Judgement::Pass), said("max_length", Judgement::Pass)];
    Item::waiting(&waiting, Some(&accepted), Ok(&cell(case, &new, Verdict::Pass, assertions)))
}

fn text(case: &str) -> Item {
    let accepted = snapshot("ticket-triage@3", "Dear customer,\n\nwe refunded the second charge of $20 today.\n\nKind regards\nSupport\n");
    let new = snapshot("ticket-triage@3", "Dear customer,\n\nwe will refund the second charge of $20.\u{202e}\n\nKind regards\nSupport\n");
    let failure = Failure { expected: "a text that contains `refunded`".to_owned(), got: "no such text".to_owned(), diff: None };
    let assertions = vec![said("contains", Judgement::Fail(failure)), said("length", Judgement::Pass)];
    let waiting = pending(case, Some(&accepted), new.clone(), Compare::Text);
    Item::waiting(&waiting, Some(&accepted), Ok(&cell(case, &new, Verdict::Fail, assertions)))
}

/// Two are accepted, of three new ones two match neither.
fn variants() -> Item {
    let of = |prompt: &str, texts: &[&str]| {
        let mut all = snapshot(prompt, "");
        all.outputs = texts.iter().flat_map(|text| snapshot(prompt, text).outputs).collect();
        all
    };
    let accepted = of("ticket-triage@2", &["We refund the second charge.", "The second charge goes back to your card."]);
    let texts = ["We refund the second charge.", "The second charge went back to your card.", "We refund no charge."];
    let new = of("ticket-triage@3", &texts);
    let mut waiting = pending("refund", Some(&accepted), new.clone(), Compare::Text);
    waiting.variants = Variants { accepted: 2, replaced: 3, added: 4 };
    let mut item = Item::waiting(&waiting, Some(&accepted), Ok(&cell("refund", &new, Verdict::Pass, Vec::new())));
    let change = PromptChange {
        from: "ticket-triage@2".to_owned(),
        to: "ticket-triage@3".to_owned(),
        file: "suites/prompts/ticket-triage/3.md".into(),
        diff: text_diff("Route the ticket.\nAnswer in JSON.\n", "Route the ticket to one queue.\nAnswer in JSON.\n"),
    };
    item.prompt = item.prompt_change(&[Arc::new(change)]);
    item
}

fn new(case: &str, text: &str) -> Item {
    let mut new = snapshot("ticket-triage@3", text);
    new.simulated = true;
    new.outputs[0].stop_reason = "max_tokens".to_owned();
    let waiting = pending(case, None, new, Compare::Text);
    Item::waiting(&waiting, None, Err("the store does not have its answer any more".to_owned()))
}

fn orphan() -> Item {
    let path = "snapshots/ticket-triage/renamed/claude-haiku-4-5.snap";
    Item::orphaned(path, Some(&format::write(&snapshot("ticket-triage@1", "It was a fine case."))))
}

fn long() -> Item {
    new("a-long-case", &(1..=200).map(|line| format!("line {line} of a long output\n")).collect::<String>())
}

fn review(items: Vec<Item>, width: usize, height: usize) -> Review {
    Review::new(items, Size { width, height }, false)
}

fn all() -> Vec<Item> {
    vec![
        json("double-charge", "refunds"),
        text("late-refund"),
        json("paid-twice", "refunds"),
        new("greeting", "Hello!\nHow are you?"),
        orphan(),
    ]
}

fn drawn(review: &Review) -> String {
    let Frame { rows, .. } = view::frame(review);
    assert!(rows.len() <= review.size.height, "{} rows on {:?}", rows.len(), review.size);
    let lines: Vec<String> = rows.iter().map(plain).collect();
    for line in &lines {
        assert!(visible::width(line) <= review.size.width, "{line:?} is wider than {:?}", review.size);
        assert!(!line.chars().any(hidden::is_hidden), "{line:?}");
    }
    lines.iter().map(|line| format!("|{}\n", line.trim_end())).collect()
}

/// Presses keys; what is decided succeeds.
fn press(review: &mut Review, keys: &str) {
    for key in keys.chars() {
        let frame = view::frame(review);
        let key = match key {
            '\n' => Key::Enter,
            '\u{1b}' => Key::Escape,
            letter => Key::Char(letter),
        };
        match review.press(key, &frame.body, frame.room) {
            Effect::None | Effect::Quit => {}
            Effect::Decide(decision, items) => {
                let outcomes = items.into_iter().map(|item| (item, Outcome::Done(None))).collect();
                review.carried_out(decision, outcomes);
            }
            Effect::Undo => review.undone(Ok(&[])),
        }
    }
}

#[test]
fn a_changed_json_output() {
    insta::assert_snapshot!(drawn(&review(all(), 80, 24)));
}

#[test]
fn a_changed_text_on_a_wide_terminal_stands_side_by_side() {
    let mut review = review(all(), 160, 40);
    press(&mut review, "n");
    insta::assert_snapshot!(drawn(&review));
}

#[test]
fn a_changed_text_on_an_ordinary_terminal() {
    let mut review = review(all(), 80, 24);
    press(&mut review, "n");
    insta::assert_snapshot!(drawn(&review));
}

#[test]
fn a_changed_json_output_on_a_wide_terminal_and_the_key_that_toggles() {
    let mut review = review(all(), 160, 20);
    let side_by_side = drawn(&review);
    press(&mut review, "d");
    insta::assert_snapshot!(format!("{side_by_side}\n{}", drawn(&review)));
}

#[test]
fn several_variants_and_the_prompt_itself() {
    let mut review = review(vec![variants()], 100, 24);
    let first = drawn(&review);
    press(&mut review, "V");
    let asked = drawn(&review);
    press(&mut review, "\u{1b}P");
    let prompt = drawn(&review);
    press(&mut review, "Pww");
    insta::assert_snapshot!([first, asked, prompt, drawn(&review)].join("\n"));
}

#[test]
fn a_small_terminal() {
    let mut review = review(all(), 40, 10);
    let first = drawn(&review);
    press(&mut review, " ");
    let scrolled = drawn(&review);
    press(&mut review, "a");
    insta::assert_snapshot!(format!("{first}\n{scrolled}\n{}", drawn(&review)));
}

#[test]
fn a_new_output_and_an_orphan() {
    let mut review = review(all(), 80, 24);
    press(&mut review, "nnn");
    let new = drawn(&review);
    press(&mut review, "n");
    insta::assert_snapshot!(format!("{new}\n{}", drawn(&review)));
}

#[test]
fn a_long_output_pages() {
    let mut review = review(vec![long()], 80, 24);
    let first = drawn(&review);
    press(&mut review, "  j");
    let third = drawn(&review);
    press(&mut review, "G");
    insta::assert_snapshot!(format!("{first}\n{third}\n{}", drawn(&review)));
}

#[test]
fn the_help() {
    let mut review = review(all(), 80, 24);
    press(&mut review, "?");
    insta::assert_snapshot!(drawn(&review));
}

#[test]
fn a_filter_is_typed_and_holds() {
    let mut review = review(all(), 80, 16);
    press(&mut review, "fstate:new");
    let typed = drawn(&review);
    press(&mut review, "\n");
    insta::assert_snapshot!(format!("{typed}\n{}", drawn(&review)));
    press(&mut review, "\u{1b}");
    assert_eq!(review.shown.len(), 5);
    press(&mut review, "fstate:odd\n");
    assert!(review.message.as_ref().unwrap().1.contains("there is no state `odd`"), "{:?}", review.message);
    press(&mut review, "f*/nothing/*\n");
    assert!(review.message.as_ref().unwrap().1.contains("fits none of the 5 outputs"), "{:?}", review.message);
    press(&mut review, "fticket-triage/double-*\n");
    assert_eq!(review.shown, [0]);
}

#[test]
fn a_filter_that_is_typed_is_cleared_and_loses_words_as_in_a_shell() {
    let mut review = review(all(), 100, 16);
    press(&mut review, "fstate:new model:*haiku*  ");
    let mut typed = |key: Key| {
        let frame = view::frame(&review);
        review.press(key, &frame.body, frame.room);
        review.mode.clone()
    };
    assert_eq!(typed(Key::EraseWord), Mode::Typing(Typing::Filter, "state:new ".to_owned()));
    assert_eq!(typed(Key::EraseWord), Mode::Typing(Typing::Filter, String::new()));
    assert_eq!(typed(Key::Char('x')), Mode::Typing(Typing::Filter, "x".to_owned()));
    assert_eq!(typed(Key::Clear), Mode::Typing(Typing::Filter, String::new()));
    assert_eq!(typed(Key::Backspace), Mode::Browse);
}

/// `lines` lines, all of them other ones than are accepted.
fn rewritten(lines: usize) -> Item {
    let text = |word: &str| (1..=lines).map(|line| format!("{word} {line}\n")).collect::<String>();
    let (accepted, new) = (snapshot("ticket-triage@3", &text("old")), snapshot("ticket-triage@3", &text("new")));
    let waiting = pending("rewritten", Some(&accepted), new.clone(), Compare::Text);
    Item::waiting(&waiting, Some(&accepted), Ok(&cell("rewritten", &new, Verdict::Pass, Vec::new())))
}

#[test]
fn a_difference_of_thousands_of_lines_pages_to_its_end() {
    let mut review = review(vec![rewritten(1_500)], 100, 24);
    assert!(drawn(&review).contains("of 3004"), "{}", drawn(&review));
    press(&mut review, "G");
    assert!(drawn(&review).contains("|+ {+new+} 1500\n"), "{}", drawn(&review));
    press(&mut review, "a");
    assert_eq!(review.count(&Status::Accepted), 1, "all of it could be seen");
}

#[test]
fn what_is_on_no_page_is_counted_and_accepted_at_the_second_asking() {
    let mut review = review(vec![rewritten(15_000), json("double-charge", "refunds")], 100, 24);
    assert!(drawn(&review).contains("|… 10,000 more lines are not shown: 10,000 added, `w` shows"), "{}", drawn(&review));
    press(&mut review, "a");
    assert_eq!(review.count(&Status::Accepted), 0);
    assert!(drawn(&review).contains("nothing was decided: 10,000 more lines"), "{}", drawn(&review));
    press(&mut review, "ja");
    assert_eq!(review.count(&Status::Accepted), 0, "another key came between");
    press(&mut review, "aa");
    assert_eq!((review.count(&Status::Accepted), review.at), (2, 1), "and the next one is accepted as ever: {}", drawn(&review));
    press(&mut review, "uur");
    assert_eq!(review.count(&Status::Rejected), 1, "rejecting takes nothing over");
}

/// `numbers` numbers in an array, all of them other ones than are accepted.
fn renumbered(numbers: usize) -> Item {
    let text = |first: usize| serde_json::to_string_pretty(&(first..first + numbers).collect::<Vec<_>>()).unwrap();
    let (accepted, new) = (snapshot("ticket-triage@3", &text(100_000)), snapshot("ticket-triage@3", &text(200_000)));
    let waiting = pending("renumbered", Some(&accepted), new.clone(), Compare::Json);
    Item::waiting(&waiting, Some(&accepted), Ok(&cell("renumbered", &new, Verdict::Pass, Vec::new())))
}

#[test]
fn lines_of_json_that_are_on_no_page_are_accepted_at_the_second_asking_side_by_side_too() {
    let mut review = review(vec![renumbered(12_000), json("double-charge", "refunds")], 160, 50);
    assert!(drawn(&review).contains(" more lines are not shown: "), "{}", drawn(&review));
    press(&mut review, "a");
    assert_eq!(review.count(&Status::Accepted), 0, "{}", drawn(&review));
    press(&mut review, "da");
    assert_eq!(review.count(&Status::Accepted), 1, "below one another the new document stands whole: {}", drawn(&review));
}

#[test]
fn the_key_for_all_is_not_armed_by_the_key_for_one() {
    let mut review = review(vec![rewritten(15_000), json("double-charge", "refunds")], 100, 24);
    press(&mut review, "A");
    assert!(drawn(&review).contains("`A` again accepts"), "{}", drawn(&review));
    press(&mut review, "aA");
    assert_eq!(review.count(&Status::Accepted), 0, "{}", drawn(&review));
    press(&mut review, "A");
    assert_eq!(review.count(&Status::Accepted), 1);
}

#[test]
fn what_was_done_is_told_with_its_number() {
    let told = |items: Vec<Item>, keys: &str| {
        let mut review = review(items, 100, 24);
        press(&mut review, keys);
        review.message.unwrap().1
    };
    assert_eq!(told(all(), "A"), "accepted 2 outputs, `u` takes them back");
    assert_eq!(told(all(), "r"), "rejected 1 output, `u` takes it back");
    assert_eq!(told(vec![variants(), orphan()], "v"), "accepted as 2 further variants, `u` takes it back");
    assert_eq!(told(vec![variants(), orphan()], "V\n"), "accepted in place of variant 2, `u` takes it back");
}

#[test]
fn a_search_goes_from_match_to_match() {
    let mut review = review(vec![long()], 80, 24);
    press(&mut review, "/LINE 15\n");
    let first = review.scroll;
    press(&mut review, "n");
    assert!(review.scroll > first, "line 150 stands behind line 15");
    press(&mut review, "N");
    assert_eq!(review.scroll, first);
    insta::assert_snapshot!(drawn(&review));
    press(&mut review, "\u{1b}/nowhere\n");
    assert!(review.message.as_ref().unwrap().1.contains("`nowhere` is not in this output"));
}

#[test]
fn all_that_share_a_change_are_decided_together_and_taken_back_together() {
    let mut review = review(all(), 80, 24);
    assert_eq!(review.alike(), [0, 2]);
    press(&mut review, "A");
    assert_eq!((review.count(&Status::Accepted), review.at), (2, 1));
    insta::assert_snapshot!(drawn(&review));
    press(&mut review, "u");
    assert_eq!((review.count(&Status::Waiting), review.at), (5, 0));
}

#[test]
fn outputs_that_fail_alike_share_a_change_whatever_the_failure_quotes_of_them() {
    let fails = |case: &str, number: u64, pattern: &str| {
        let document = |queue: &str| format!("{{\"queue\": \"{queue}\", \"ticket\": {number}}}");
        let (accepted, new) = (snapshot("ticket-triage@3", &document("billing")), snapshot("ticket-triage@3", &document("refunds")));
        let failure = Failure { expected: format!("a match of `{pattern}`"), got: format!("`{}`", document("refunds")), diff: None };
        let waiting = pending(case, Some(&accepted), new.clone(), Compare::Json);
        Item::waiting(&waiting, Some(&accepted), Ok(&cell(case, &new, Verdict::Fail, vec![said("regex", Judgement::Fail(failure))])))
    };
    let review = review(vec![fails("a", 3, "billing"), fails("b", 5, "billing"), fails("c", 7, "technical")], 100, 24);
    assert_eq!(review.alike(), [0, 1], "the third fails for another reason");
    assert!(drawn(&review).contains("2 outputs share this change"), "{}", drawn(&review));
}

#[test]
fn a_decided_output_is_not_decided_again_and_skipped_ones_come_back() {
    let mut review = review(all(), 80, 24);
    press(&mut review, "apr");
    assert!(review.message.as_ref().unwrap().1.contains("this one is decided"), "{:?}", review.message);
    assert_eq!(review.count(&Status::Rejected), 0);
    press(&mut review, "nssss");
    assert!(review.message.as_ref().unwrap().1.contains("only 4 skipped are left"), "{:?}", review.message);
    assert_eq!(review.summary(), "1 accepted, 0 rejected; 4 are left: `promptkeel review` goes on");
}

#[test]
fn what_somebody_else_decided_or_wrote_anew_is_told() {
    let mut review = review(all(), 80, 24);
    review.carried_out(Decision::Accept, vec![(0, Outcome::Gone)]);
    assert_eq!((review.entries[0].status.clone(), review.at), (Status::Gone, 1));
    review.carried_out(Decision::Accept, vec![(1, Outcome::Anew(Box::new(json("late-refund", "refunds"))))]);
    assert_eq!((review.entries[1].status.clone(), review.at), (Status::Waiting, 1));
    assert_eq!(review.alike(), [1, 2], "it shares another change now");
    insta::assert_snapshot!(drawn(&review));
}

#[test]
fn colours_change_nothing_but_colours() {
    let mut plain = review(all(), 100, 30);
    let mut colourful = Review::new(all(), Size { width: 100, height: 30 }, true);
    for keys in ["", "n", "n", "n", "n", "?"] {
        press(&mut plain, keys);
        press(&mut colourful, keys);
        let unmarked = |text: String| text.replace(['[', ']', '{', '}', '-', '+'], "");
        assert_eq!(unmarked(drawn(&plain)), unmarked(drawn(&colourful)));
    }
}

#[test]
fn every_size_holds_what_it_shows() {
    for width in [20, 33, 40, 79, 139, 140, 250] {
        for height in [5, 10, 15, 16, 24, 80] {
            for colour in [false, true] {
                let mut items = all();
                items.push(long());
                let mut review = Review::new(items, Size { width, height }, colour);
                for keys in ["", "n", "d", "w", "n", "n", "n", "n", " ", "/of a\n", "?", "\u{1b}f", "x"] {
                    press(&mut review, keys);
                    drawn(&review);
                }
            }
        }
    }
}
