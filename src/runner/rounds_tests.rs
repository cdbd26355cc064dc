//! Do exactly the touched cells run, and is the whole the same as if everything had run?

use std::sync::Arc;

use chrono::DateTime;

use super::*;
use crate::gate::judge::RunFacts;
use crate::model::assertion::{Assertion, AssertionSeverity};
use crate::model::run::{RunInfo, SampleResult, TurnFacts};
use crate::model::suite::{Case, Suite};
use crate::model::verdict::{AssertionResult, Outcome};
use crate::runner::assemble::{self, Parts};
use crate::runner::testing::{cell, planned, suite};

fn marks(plan: &Plan) -> HashMap<Address, Mark> {
    plan.cells.iter().map(|cell| (cell.address(), mark(cell, None))).collect()
}

/// A result of this cell, with one assertion where the case has it and its own text as the request.
fn result(planned: &PlannedCell, number: u32) -> CellResult {
    let site = planned.case.assertions[0].site.clone();
    let passed =
        AssertionResult { name: "contains".to_owned(), severity: AssertionSeverity::Fail, outcome: Outcome::Pass, site: Some(site) };
    let blank = cell(&planned.case.id, Verdict::Pass);
    let samples = blank.samples.iter().map(|sample| SampleResult { assertions: vec![passed.clone()], ..sample.clone() }).collect();
    let turns = vec![TurnFacts { role: crate::model::request::Role::User, content: vec![number] }];
    let request = RequestFacts { system: Vec::new(), turns, parameters: number };
    CellResult { address: planned.address(), request: Some(request), samples, ..blank }
}

fn texts(plan: &Plan) -> Vec<Arc<str>> {
    plan.cells.iter().map(|cell| Arc::from(cell.address().to_string())).collect()
}

fn ran(plan: &Plan) -> Ran {
    Ran { cells: (0..).zip(&plan.cells).map(|(number, cell)| result(cell, number)).collect(), texts: texts(plan) }
}

fn report(ran: Ran) -> RunReport {
    let info = RunInfo {
        id: "1".to_owned(),
        started_at: DateTime::UNIX_EPOCH,
        duration_ms: 0,
        tool: String::new(),
        revision: None,
        endpoints: Vec::new(),
        simulated: false,
        shard: None,
        filtered: false,
    };
    let Ran { cells, texts } = ran;
    let (policies, orphans, problems) = (Vec::new(), Vec::new(), Vec::new());
    let parts = Parts { info, policies, cells, texts, orphans, problems, baselines: Vec::new(), carried: Vec::new() };
    assemble::report(parts, &RunFacts::default())
}

fn plan(suite: Suite) -> Plan {
    planned(suite, None).unwrap()
}

fn picture(suite: Suite) -> Picture {
    let plan = plan(suite);
    Picture::of(marks(&plan), report(ran(&plan)))
}

fn edited(suite: &mut Suite, case: usize, edit: impl FnOnce(&mut Case)) {
    edit(Arc::make_mut(&mut suite.cases[case]));
}

fn assertion(case: &mut Case) -> &mut Assertion {
    Arc::make_mut(&mut case.assertions[0])
}

/// What runs after an edit, and all results together.
fn after(before: &Picture, suite: Suite, also: Also) -> (Vec<String>, RunReport) {
    let mut plan = plan(suite);
    let marks = marks(&plan);
    let held = before.split(&mut plan, &marks, also);
    let runs = plan.cells.iter().map(|cell| cell.address().to_string()).collect();
    (runs, report(held.whole(ran(&plan))))
}

#[test]
fn only_touched_cells_run_and_the_whole_keeps_its_order_and_its_texts() {
    let names = ["ada", "bob", "amy"];
    let before = picture(suite(&names));
    let mut edit = suite(&names);
    edited(&mut edit, 1, |case| Arc::make_mut(&mut case.variables).insert("name".to_owned(), "Bo".into()).map_or((), drop));
    let (runs, report) = after(&before, edit, Also::Nothing);
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|address| address.contains("::bob::")), "{runs:?}");
    let addresses: Vec<String> = report.cells.iter().map(|cell| cell.address.to_string()).collect();
    let wanted: Vec<String> = plan(suite(&names)).cells.iter().map(|cell| cell.address().to_string()).collect();
    assert_eq!(addresses, wanted);
    for cell in &report.cells {
        let request = cell.request.as_ref().unwrap();
        assert_eq!(*report.texts[request.turns[0].content[0] as usize], cell.address.to_string());
        assert_eq!(*report.texts[request.parameters as usize], cell.address.to_string());
    }
}

#[test]
fn lines_that_move_touch_nothing_and_are_told_as_they_are_now() {
    let before = picture(suite(&["ada", "bob"]));
    let mut edit = suite(&["ada", "bob"]);
    edited(&mut edit, 1, |case| {
        case.site.line = 9;
        assertion(case).site.line = 10;
        case.tags = vec!["new".to_owned()];
    });
    let (runs, report) = after(&before, edit, Also::Nothing);
    assert!(runs.is_empty(), "{runs:?}");
    let bob = report.cells.iter().find(|cell| &*cell.address.case == "bob").unwrap();
    let site = bob.samples[0].assertions[0].site.clone().unwrap();
    assert_eq!((bob.site.line, site.line, &*bob.tags), (9, 10, &["new".to_owned()][..]));
    assert_eq!(report.cells[0].samples[0].assertions[0].site.clone().unwrap().line, 1);
}

#[test]
fn another_assertion_another_name_and_another_snapshot_touch_their_cells() {
    let before = picture(suite(&["ada", "bob"]));
    let mut edit = suite(&["ada", "bob"]);
    edited(&mut edit, 0, |case| assertion(case).negated = true);
    assert_eq!(after(&before, edit, Also::Nothing).0.len(), 4);
    let mut edit = suite(&["ada", "bob"]);
    edited(&mut edit, 1, |case| assertion(case).name = Some("polite".to_owned()));
    assert_eq!(after(&before, edit, Also::Nothing).0.len(), 4);

    let plan = plan(suite(&["ada", "bob"]));
    let mut accepted = marks(&plan);
    assert!(!before.differs(&plan, &accepted));
    accepted.insert(plan.cells[0].address(), mark(&plan.cells[0], Some("accepted")));
    assert!(before.differs(&plan, &accepted));
}

#[test]
fn cells_that_come_and_go_are_news() {
    let before = picture(suite(&["ada", "bob"]));
    for names in [&["ada"][..], &["ada", "bob", "cy"], &["ada", "cy"]] {
        let plan = plan(suite(names));
        assert!(before.differs(&plan, &marks(&plan)), "{names:?}");
    }
    let (runs, report) = after(&before, suite(&["cy", "bob"]), Also::Nothing);
    assert!(runs.len() == 4 && runs.iter().all(|address| address.contains("::cy::")), "{runs:?}");
    assert_eq!(report.cells.len(), 8);
}

#[test]
fn what_had_no_turn_runs_next_and_what_failed_where_it_is_asked_for() {
    let plan = plan(suite(&["ada", "bob"]));
    let mut results = ran(&plan);
    results.cells[0].verdict = Verdict::Fail;
    results.cells[1].verdict = Verdict::Skipped;
    results.cells[1].samples[0].skipped = Some(SkipReason::MaxFail);
    results.cells[2].verdict = Verdict::Skipped;
    results.cells[2].samples[0].skipped = Some(SkipReason::EndpointDown("since noon".to_owned()));
    let before = Picture::of(marks(&plan), report(results));
    let runs = |also| after(&before, suite(&["ada", "bob"]), also).0;
    let address = |position: usize| plan.cells[position].address().to_string();
    assert_eq!(runs(Also::Nothing), [address(1)]);
    assert_eq!(runs(Also::Failed), [address(0), address(1), address(2)]);
    assert_eq!(runs(Also::Everything).len(), 8);
}

#[test]
fn what_an_earlier_round_paid_is_not_on_the_bill_again() {
    assert_eq!(kept(Served::Fresh), Served::Stored);
    assert_eq!(kept(Served::Shared), Served::Stored);
    assert_eq!(kept(Served::Recorded), Served::Recorded);
}
