//! Is a candidate called not worse only where enough of it was answered?

use super::*;
use crate::gate::against::{compare as compare_all, gates};
use crate::gate::pairing::tests::cell;
use crate::gate::side_by_side::{against, compare, exit};
use crate::model::baseline::{ComparisonAsked, ComparisonStanding, MODEL, SuiteComparison};
use crate::model::gate::{Exit, GateOutcome, SuitePolicy};
use crate::model::suite::OnChange;

const AVERAGE: ComparisonPolicy = ComparisonPolicy { alpha: 0.05, margin: 0.05, local: None, look: None, family: 1 };

/// So many passing cases of three samples.
fn cells(model: &str, cases: usize) -> Vec<CellResult> {
    (0..cases).map(|index| cell(("s", &format!("c{index}"), 1, model), model, &["pass"; 3])).collect()
}

fn priced(mut cells: Vec<CellResult>, cost: &str) -> Vec<CellResult> {
    let replies = cells.iter_mut().flat_map(|cell| &mut cell.samples).filter_map(|sample| sample.reply.as_mut());
    replies.for_each(|reply| reply.cost_usd = Some(cost.parse().unwrap()));
    cells
}

/// The first so many cases got no answer.
fn unanswered_first(mut cells: Vec<CellResult>, count: usize) -> Vec<CellResult> {
    for (index, lost) in cells.iter_mut().enumerate().take(count) {
        *lost = cell(("s", &format!("c{index}"), 1, lost.address.model.as_ref()), "lost", &["error"; 3]);
    }
    cells
}

/// One sample of each of the first so many cases got no answer; the others are enough for a verdict.
fn partly(mut cells: Vec<CellResult>, count: usize) -> Vec<CellResult> {
    for (index, lost) in cells.iter_mut().enumerate().take(count) {
        let model = lost.address.model.to_string();
        *lost = CellResult { verdict: Verdict::Pass, ..cell(("s", &format!("c{index}"), 1, &model), &model, &["pass", "pass", "error"]) };
    }
    cells
}

fn arm(name: &str, cells: &[CellResult]) -> ArmCells<'static> {
    let cells: &'static [CellResult] = Vec::leak(cells.to_vec());
    ArmCells { name: name.to_owned(), run: name.to_owned(), cells: cells.iter().collect() }
}

fn compared(across: Across, baseline: &[CellResult], candidate: &[CellResult]) -> ArmComparison {
    let arms = [arm("large", baseline), arm("small", candidate)];
    let compared = compare(across, &arms[0], &arms[1], AVERAGE).unwrap();
    held(across, false, &arms, compared)
}

fn of_run(cells: &[CellResult]) -> SuiteComparison {
    let asked = ComparisonAsked { baseline: format!("{MODEL}large"), margin: 0.05, alpha: 0.05, decides: false };
    let policy = SuitePolicy { name: "s".to_owned(), min_pass_rate: 0.0, on_change: OnChange::Warn, comparison: Some(asked) };
    let beside = Baseline { reference: format!("{MODEL}large"), model: Some("small".to_owned()), ..Baseline::default() };
    compare_all(cells, &[policy], &[beside], false).remove(0)
}

#[test]
fn a_model_is_not_called_not_worse_by_the_cases_that_it_could_answer() {
    let lost = unanswered_first(cells("small", 100), 10);
    let got = compared(Across::Models, &cells("large", 100), &lost);
    let why = "10 cases lack a verdict of small: s::c0, s::c1, s::c2 and 7 more";
    assert_eq!((got.comparison.verdict, got.gap.as_deref()), (ComparisonVerdict::Undecided, Some(why)));
    assert!(
        got.sentence.starts_with(&format!("undecided because {why}; apart from that not worse on 90 cases x 3 samples (")),
        "{}",
        got.sentence
    );
    assert_eq!(exit(&got), Exit::MissingVerdicts);
    assert_eq!(compared(Across::Models, &cells("large", 100), &cells("small", 100)).gap, None);
    // What the base could not answer says nothing of the candidate either.
    let got = compared(Across::Models, &unanswered_first(cells("large", 100), 1), &cells("small", 100));
    assert_eq!(got.gap.as_deref(), Some("1 case lacks a verdict of large: s::c0"));
}

#[test]
fn a_cheaper_model_that_fails_to_answer_is_not_the_cheapest_that_does() {
    let large = arm("large", &priced(cells("large", 100), "0.004"));
    let tiny = arm("tiny", &unanswered_first(priced(cells("tiny", 100), "0.001"), 1));
    let small = arm("small", &priced(cells("small", 100), "0.002"));
    let (cheapest, comparisons) = against(&large, &[tiny.clone(), small], AVERAGE).unwrap();
    assert_eq!((cheapest.model.as_deref(), comparisons[0].gap.is_some()), (Some("small"), true));
    assert_eq!(against(&large, &[tiny], AVERAGE).unwrap().0.model, None);
}

#[test]
fn a_model_that_was_asked_only_some_of_the_cases_is_undecided() {
    let got = compared(Across::Models, &cells("large", 100), &cells("small", 97));
    assert_eq!(got.gap.as_deref(), Some("3 cases were never asked of small: s::c97, s::c98, s::c99"));
    // Another suite that only the base answers is another question.
    let other = cell(("t", "a", 1, "large"), "large", &["pass"; 3]);
    assert_eq!(compared(Across::Models, &[cells("large", 100), vec![other]].concat(), &cells("small", 100)).gap, None);
    // A later run need not ask what an earlier one did.
    assert_eq!(compared(Across::Runs, &cells("m", 100), &second_run(97)).gap, None);
    let run = of_run(&[cells("large", 100), cells("small", 97)].concat());
    assert_eq!((run.standing, gates(std::slice::from_ref(&run))[0].outcome), (ComparisonStanding::Missing, GateOutcome::Missing));
    assert!(
        run.message.ends_with("verdicts are missing that could change it: 3 cases were never asked of small: s::c97, s::c98, s::c99"),
        "{}",
        run.message
    );
}

#[test]
fn samples_without_a_verdict_count_as_failures_where_that_could_change_it() {
    let few = compared(Across::Models, &cells("large", 100), &partly(cells("small", 100), 2));
    assert_eq!((few.comparison.verdict, few.gap), (ComparisonVerdict::NotWorse, None));
    let many = compared(Across::Models, &cells("large", 100), &partly(cells("small", 100), 40));
    let why = "40 samples of small without a verdict could have failed, which would change it";
    assert_eq!((many.comparison.verdict, many.gap.as_deref()), (ComparisonVerdict::Undecided, Some(why)));
    let run = of_run(&[cells("large", 100), partly(cells("small", 100), 40)].concat());
    assert_eq!((run.standing, run.cheapest.unwrap().model), (ComparisonStanding::Missing, None));
    let run = of_run(&[cells("large", 100), partly(cells("small", 100), 2)].concat());
    assert_eq!(run.standing, ComparisonStanding::NotWorse);
}

#[test]
fn two_runs_are_not_compared_by_the_smaller_part_of_their_cases_or_beside_failures_that_nobody_knew() {
    let base = || cells("m", 60);
    let renamed = |index: usize| cell(("s", &format!("new{index}"), 1, "m"), "two", &["pass"; 3]);
    let got = compared(Across::Runs, &base(), &[second_run(60), (0..60).map(renamed).collect()].concat());
    assert_eq!(got.gap.as_deref(), Some("only 60 cases of 120 can be held against the baseline"));
    let failing = cell(("s", "new", 1, "m"), "two", &["fail"; 3]);
    let got = compared(Across::Runs, &base(), &[second_run(60), vec![failing]].concat());
    assert_eq!(got.gap.as_deref(), Some("1 case fails and is compared with nothing: s::new"));
    let erring = cell(("s", "new", 1, "m"), "two", &["error"; 3]);
    let got = compared(Across::Runs, &base(), &[second_run(60), vec![erring]].concat());
    assert_eq!(got.gap.as_deref(), Some("1 case lacks a verdict of small: s::new"));
}

fn second_run(cases: usize) -> Vec<CellResult> {
    (0..cases).map(|index| cell(("s", &format!("c{index}"), 1, "m"), "two", &["pass"; 3])).collect()
}

/// So many passing cases of this prompt.
fn of_prompt(prompt: &str, run: &str, cases: usize) -> Vec<CellResult> {
    let of = |index: usize| {
        let mut cell = cell(("s", &format!("c{index}"), 1, "m"), &format!("{run}{prompt}"), &["pass"; 3]);
        cell.address.prompt = prompt.into();
        cell
    };
    (0..cases).map(of).collect()
}

#[test]
fn a_prompt_of_a_list_is_no_more_new_than_a_model() {
    let before = [of_prompt("pa", "one", 40), of_prompt("pb", "one", 40), of_prompt("pc", "one", 40)].concat();
    let now = |third: &str, cases: usize| [of_prompt("pa", "two", 40), of_prompt("pb", "two", 40), of_prompt(third, "two", cases)].concat();
    let gap =
        |before: &[CellResult], now: &[CellResult]| gap(Across::Runs, &Baseline::default(), &[arm("before", before), arm("now", now)]);
    assert_eq!(gap(&before, &now("pc", 40)), None);
    assert_eq!(
        gap(&before, &now("pd", 40)).unwrap(),
        "nothing of the prompt pd is compared; the baseline has pc in its place: name it as it was, or bless a run as it is now \
         (`promptkeel baseline set`)"
    );
    assert!(
        gap(&before[..80], &now("pc", 40)).unwrap().contains("prompt pc is compared; the baseline has no such prompt: give it a suite")
    );
    // One prompt under another name is compared with what it was.
    assert_eq!(gap(&of_prompt("pa", "one", 40), &of_prompt("pb", "two", 40)), None);
    // Two of three that are compared hide no third of which little is.
    assert_eq!(gap(&before[..90], &now("pc", 40)).unwrap(), "only 10 cases of 40 of pc x m can be held against the baseline");
    assert_eq!(gap(&before[..105], &now("pc", 40)), None, "more than half of each");
    // A suite that is new is so with its prompts.
    let other =
        CellResult { address: crate::model::run::Address { suite: "t".into(), ..before[100].address.clone() }, ..before[100].clone() };
    assert_eq!(gap(&before, &[now("pc", 40), vec![other]].concat()), None);
}
