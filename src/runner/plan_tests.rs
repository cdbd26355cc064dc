//! Are all cells planned, each once, with a key that says what is asked and of whom?

use std::collections::HashSet;

use super::*;
use crate::runner::testing::{model, planned, suite};

#[test]
fn cells_are_cases_then_versions_then_models_as_written_and_only_the_newest_version_counts() {
    let plan = planned(suite(&["ada", "bob"]), None).unwrap();
    let told = plan.cells.iter().map(|cell| (cell.address().to_string(), cell.variant.gated)).collect::<Vec<_>>();
    let expected = ["ada", "bob"].iter().flat_map(|case| {
        [(1, false), (2, true)].into_iter().flat_map(move |(version, gated)| {
            ["claude-haiku-4-5", "big"].map(|model| (format!("greetings::{case}::hello@{version}::{model}"), gated))
        })
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[test]
fn keys_differ_by_sample_and_by_endpoint_and_a_longer_run_begins_with_the_shorter_one() {
    let keys = |samples, endpoint| {
        let plan = planned(Suite { samples, ..suite(&["ada"]) }, endpoint).unwrap();
        plan.cells.iter().map(|cell| cell.keys.clone()).collect::<Vec<_>>()
    };
    let (three, two, there) = (keys(3, None), keys(2, None), keys(3, Some("there")));
    let all: HashSet<Key> = three.iter().chain(&there).flatten().copied().collect();
    assert_eq!(all.len(), 4 * 3 * 2);
    for (longer, shorter) in three.iter().zip(&two) {
        assert_eq!(longer[..2], shorter[..]);
    }
}

#[test]
fn a_model_without_a_price_has_no_worst_case_and_every_other_has_one() {
    let plan = planned(Suite { models: vec![model("claude-haiku-4-5"), model("home-grown")], ..suite(&["ada"]) }, None).unwrap();
    let priced = plan.cells.iter().map(|cell| cell.worst_case.is_some_and(|worst| worst > Money::ZERO)).collect::<Vec<_>>();
    assert_eq!(priced, [true, false, true, false]);
}

#[test]
fn more_answers_than_a_plan_may_hold_are_refused_before_anything_is_rendered() {
    // Two prompt versions, two models.
    let most = u32::try_from(MOST_ANSWERS / 4 / 50).unwrap();
    let cases: Vec<String> = (0..50).map(|case| format!("case-{case}")).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    let asking = |samples| Suite { samples, ..suite(&cases) };
    assert_eq!((u64::from(most) * 4 * 50, most), (MOST_ANSWERS, 10_000));
    let mut suite = asking(most);
    suite.cases.push(Arc::clone(&suite.cases[0]));
    let problems = planned(suite, None).unwrap_err();
    assert_eq!(problems[0].message, "2040000 answers would be asked for, and a plan may hold 2000000");
    assert_eq!(problems.len(), 1);
}

#[test]
fn every_case_that_cannot_be_rendered_is_told_in_one_go() {
    let mut suite = suite(&["ada", "bob", "cyd"]);
    for position in [0, 2] {
        let case = Arc::make_mut(&mut suite.cases[position]);
        case.variables = Arc::default();
    }
    let problems = planned(suite, None).unwrap_err();
    let about = |case: &str| problems.iter().filter(|problem| problem.message.contains(&format!("case `{case}`"))).count();
    assert_eq!((about("ada"), about("bob"), about("cyd")), (4, 0, 4));
}

#[test]
fn an_endpoint_that_the_settings_do_not_have_is_named_with_those_that_they_have() {
    let problems = planned(suite(&["ada"]), Some("nowhere")).unwrap_err();
    assert!(problems.iter().all(|problem| problem.message == "no endpoint is named `nowhere`"));
    assert_eq!(problems[0].hint.as_deref(), Some("the settings have: here, there"));
}
