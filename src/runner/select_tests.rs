//! Does a selection leave exactly what was meant, and is a mistyped filter never green?

use std::sync::Arc;

use super::*;
use crate::model::suite::Suite;
use crate::runner::testing::{chosen, planned, suite};

fn selected(selection: &Selection) -> Result<(Vec<String>, Selected), Vec<Problem>> {
    let mut sieve = selection.sieve(&|_| None);
    let mut plan = chosen(suite(&["ada", "bob", "amy"]), None, &mut sieve).unwrap();
    let selected = sieve.finish(&mut plan)?;
    Ok((plan.cells.iter().map(|cell| cell.address().to_string()).collect(), selected))
}

fn glob(text: &str) -> Vec<Pattern> {
    vec![Pattern::new("--flag", text).unwrap()]
}

#[test]
fn filters_of_one_kind_are_alternatives_and_different_kinds_must_all_match() {
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let all = Selection { tags: tags.clone(), ..Selection::default() };
    assert_eq!(selected(&all).unwrap().1, Selected { all: 12, filtered: 12, left: 12 });
    let narrow = Selection { tags, cases: glob("greetings::a*"), models: glob("b?g"), prompts: vec!["hello@2".to_owned()], ..all };
    assert_eq!(selected(&narrow).unwrap().0, ["greetings::ada::hello@2::big", "greetings::amy::hello@2::big"]);
}

#[test]
fn each_filter_that_matches_nothing_is_a_problem_of_its_own() {
    let wrong = Selection {
        cases: glob("adda"),
        tags: vec!["z".to_owned(), "a".to_owned()],
        prompts: vec!["hello@3".to_owned()],
        ..Selection::default()
    };
    let problems = selected(&wrong).unwrap_err();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["`--case adda` matches no cell", "`--tag z` matches no cell", "`--prompt hello@3` matches no cell"]);
    let together = Selection { cases: glob("bob"), tags: vec!["a".to_owned()], ..Selection::default() };
    assert_eq!(selected(&together).unwrap_err()[0].message, "no cell matches all filters together");
}

#[test]
fn shards_are_disjoint_and_together_everything() {
    let mut seen = Vec::new();
    for index in 1..=5 {
        seen.extend(selected(&Selection { shard: Some(Shard { index, count: 5 }), ..Selection::default() }).unwrap().0);
    }
    let (mut all, _) = selected(&Selection::default()).unwrap();
    seen.sort();
    all.sort();
    assert_eq!(seen, all);
}

#[test]
fn a_part_of_a_project_that_no_plan_could_hold_is_planned_and_the_whole_is_refused() {
    let cases: Vec<String> = (0..51).map(|case| format!("case-{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    // 51 cases, two prompt versions, two models, 10,000 samples: 2,040,000 answers.
    let huge = || Suite { samples: 10_000, ..suite(&cases) };
    let select = |selection: Selection, huge: Suite| {
        let mut sieve = selection.sieve(&|_| None);
        let mut plan = chosen(huge, None, &mut sieve)?;
        let selected = sieve.finish(&mut plan)?;
        Ok::<_, Vec<Problem>>((plan, selected))
    };
    let shard = Some(Shard { index: 12, count: 50 });
    let (plan, selected) = select(Selection { shard, ..Selection::default() }, huge()).unwrap();
    assert_eq!((selected, plan.cells.len(), plan.keys().count()), (Selected { all: 204, filtered: 204, left: 4 }, 4, 40_000));
    let (plan, _) = select(Selection { cases: glob("case-7"), ..Selection::default() }, huge()).unwrap();
    assert_eq!(plan.keys().count(), 40_000);
    let told = |selection| select(selection, huge()).unwrap_err().remove(0).message;
    assert_eq!(told(Selection::default()), "2040000 answers would be asked for, and a plan may hold 2000000");
    assert_eq!(told(Selection { cases: glob("case-*"), ..Selection::default() }), told(Selection::default()));
    // What is wrong elsewhere is told all the same.
    let mut broken = Suite { samples: 1, ..huge() };
    Arc::make_mut(&mut broken.cases[3]).variables = Arc::default();
    let problems = select(Selection { cases: glob("case-7"), ..Selection::default() }, broken).unwrap_err();
    assert!(problems.len() == 4 && problems.iter().all(|problem| problem.message.contains("case `case-3`")), "{problems:?}");
}

#[test]
fn nothing_left_after_failed_is_no_error_and_says_of_how_many() {
    let none = Selection { failed: Some(HashSet::new()), ..Selection::default() };
    let (cells, selected_of) = selected(&none).unwrap();
    assert_eq!((cells.len(), selected_of), (0, Selected { all: 12, filtered: 12, left: 0 }));
}

#[test]
fn changed_since_leaves_new_cells_and_those_whose_fingerprint_differs() {
    let plan = planned(suite(&["ada", "bob", "amy"]), None).unwrap();
    let mut before: HashMap<Address, String> =
        plan.cells.iter().map(|cell| (cell.address(), fingerprint::fingerprint(cell, None).to_string())).collect();
    before.remove(&plan.cells[0].address());
    before.insert(plan.cells[5].address(), "another".to_owned());
    let changed = Selection { changed_since: Some(before), ..Selection::default() };
    let expected = [0, 5].map(|position: usize| plan.cells[position].address().to_string());
    assert_eq!(selected(&changed).unwrap().0, expected);
}
