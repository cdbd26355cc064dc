//! Does a smaller model that does as well hold the gate, and one that does not fail it?

use super::*;
use crate::gate::against::{compare as compare_all, gates};
use crate::gate::pairing::tests::cell;
use crate::model::comparison::{Counts, FreshSamples};
use crate::model::gate::SuitePolicy;
use crate::model::suite::OnChange;

/// So many cases of three samples of a model, at a price for a call; the first `broken` of them never pass.
fn cells(model: &str, cases: usize, broken: usize, cost: &str) -> Vec<CellResult> {
    let verdicts = |index| if index < broken { ["fail"; 3] } else { ["pass"; 3] };
    let mut cells: Vec<CellResult> = (0..cases).map(|index| cell(("s", &format!("c{index}"), 1, model), model, &verdicts(index))).collect();
    let replies = cells.iter_mut().flat_map(|cell| &mut cell.samples).filter_map(|sample| sample.reply.as_mut());
    replies.for_each(|reply| reply.cost_usd = Some(cost.parse().unwrap()));
    cells
}

fn held(cells: &[CellResult], baselines: &[Baseline], decides: bool) -> Vec<SuiteComparison> {
    let asked = ComparisonAsked { baseline: format!("{MODEL}large"), margin: 0.05, alpha: 0.05, decides };
    let policy = SuitePolicy { name: "s".to_owned(), min_pass_rate: 0.0, on_change: OnChange::Warn, comparison: Some(asked) };
    compare_all(cells, &[policy], baselines, false)
}

fn beside(models: &[&str]) -> Vec<Baseline> {
    let of = |model: &&str| Baseline { reference: format!("{MODEL}large"), model: Some((*model).to_owned()), ..Baseline::default() };
    models.iter().map(of).collect()
}

#[test]
fn the_cheapest_of_the_models_that_do_is_named_and_holds_the_gate() {
    let cells = [cells("large", 100, 0, "0.004"), cells("small", 100, 0, "0.002"), cells("tiny", 100, 40, "0.001")].concat();
    let found = held(&cells, &beside(&["small", "tiny"]), false);
    let standings: Vec<_> = found.iter().map(|one| (one.model.as_deref().unwrap(), one.standing)).collect();
    assert_eq!(standings, [("tiny", ComparisonStanding::Regressed), ("small", ComparisonStanding::NotWorse)], "the cheapest first");
    assert_eq!(
        found[0].cheapest,
        Some(Cheapest {
            against: "large".to_owned(),
            model: Some("small".to_owned()),
            candidates: 2,
            cheaper: Some(2),
            ..Cheapest::default()
        })
    );
    let alpha = found[0].compared.as_ref().unwrap().comparison.policy.alpha;
    assert!((alpha - 0.025).abs() < 1e-12, "two candidates share alpha");
    let gates = gates(&found);
    assert_eq!((gates.len(), gates[0].outcome), (1, GateOutcome::Pass));
    let said = "small is not worse than large on 100 cases x 3 samples";
    assert!(
        gates[0].message.starts_with(said) && gates[0].message.contains("1,000 calls cost $2.00 instead of $4.00"),
        "{}",
        gates[0].message
    );
    assert!(gates[0].message.contains("tiny is worse than large"), "{}", gates[0].message);
}

#[test]
fn a_worse_model_fails_the_gate_and_an_undecided_one_says_what_it_wants() {
    let worse = held(&[cells("large", 40, 0, "0.004"), cells("tiny", 40, 20, "0.001")].concat(), &beside(&["tiny"]), false);
    assert_eq!((gates(&worse)[0].outcome, worse[0].cheapest.as_ref().unwrap().model.as_deref()), (GateOutcome::Fail, None));
    let unsure = held(&[cells("large", 40, 0, "0.004"), cells("tiny", 40, 1, "0.001")].concat(), &beside(&["tiny"]), false);
    let gate = &gates(&unsure)[0];
    assert_eq!(gate.outcome, GateOutcome::Undecided);
    assert!(
        gate.message.contains("1 case looks worse") && gate.message.contains("20 more samples of 1 case, about $0.05"),
        "{}",
        gate.message
    );
}

#[test]
fn asked_against_the_cheapest_the_answer_is_about_the_dearer_ones() {
    let dear = ["middle", "high"];
    let cells = [cells("large", 100, 0, "0.001"), cells("middle", 100, 0, "0.002"), cells("high", 100, 40, "0.004")].concat();
    let found = held(&cells, &beside(&dear), false);
    let cheapest = found[0].cheapest.as_ref().unwrap();
    assert_eq!((&cheapest.model, cheapest.cheaper, &cheapest.dearer), (&None, Some(0), &vec!["middle".to_owned()]));
    assert_eq!(gates(&found)[0].outcome, GateOutcome::Pass);
}

#[test]
fn what_lacks_verdicts_is_not_said_to_be_not_worse() {
    let mut all = [cells("large", 100, 0, "0.004"), cells("small", 100, 0, "0.002")].concat();
    all[100 + 7] = cell(("s", "c7", 1, "small"), "small", &["error", "error", "error"]);
    let found = held(&all, &beside(&["small"]), false);
    assert_eq!((found[0].standing, found[0].gap.as_deref()), (ComparisonStanding::Missing, Some("1 case lacks a verdict of small: s::c7")));
    assert!(found[0].message.starts_with("undecided: small is not worse than large on 99 cases"), "{}", found[0].message);
    assert_eq!(found[0].cheapest.as_ref().unwrap().lacking, ["small"]);
}

#[test]
fn a_run_without_another_model_is_undecided_and_never_holds() {
    for baselines in [beside(&["small"]), Vec::new()] {
        let found = held(&cells("large", 40, 0, "0.004"), &baselines, false);
        assert_eq!((found.len(), gates(&found)[0].outcome), (1, GateOutcome::Undecided));
    }
}

#[test]
fn a_critical_assertion_that_a_smaller_model_breaks_is_not_excused_by_its_price() {
    let mut all = [cells("large", 100, 0, "0.004"), cells("small", 100, 0, "0.002")].concat();
    let breaks = &mut all[100 + 7];
    *breaks = cell(("s", "c7", 1, "small"), "small", &["pass", "pass", "fail"]);
    breaks.samples[2].assertions[0].severity = crate::model::assertion::AssertionSeverity::Critical;
    let found = held(&all, &beside(&["small"]), false);
    assert_eq!((found[0].standing, gates(&found)[0].outcome), (ComparisonStanding::Regressed, GateOutcome::Fail));
    assert!(found[0].message.starts_with("small breaks a critical assertion in s::c7"), "{}", found[0].message);
}

#[test]
fn a_second_look_counts_beside_the_first_and_fresh_samples_do_not() {
    let cells = [cells("large", 12, 0, "0.004"), cells("small", 12, 0, "0.002")].concat();
    let mut baselines = beside(&["small"]);
    let first = held(&cells, &baselines, true);
    let compared = first[0].compared.as_ref().unwrap();
    let look = compared.second_look.expect("36 samples do not show it");
    assert_eq!((look.first, look.second, look.would_decide, look.price.samples), (3, 6, true, 72), "{}", compared.sentence);
    assert!(compared.sentence.contains("6 samples per case are 72 more samples of 12 cases, about $0.2160"), "{}", compared.sentence);
    let passing = Counts::new(3, 3);
    let of = |case: usize| FreshSamples { case: format!("s::c{case}"), baseline: passing, candidate: passing };
    baselines[0].second = (0..12).map(of).collect();
    let second = held(&cells, &baselines, true);
    let compared = second[0].compared.as_ref().unwrap();
    assert_eq!((second[0].standing, compared.candidate.counts), (ComparisonStanding::NotWorse, Counts::new(72, 72)));
    assert!(compared.sentence.ends_with("this was the second of two planned looks"), "{}", compared.sentence);
    baselines[0].fresh = std::mem::take(&mut baselines[0].second);
    let unplanned = held(&cells, &baselines, true);
    assert_eq!(unplanned[0].standing, ComparisonStanding::Undecided, "what confirms a case says nothing of all");
}
