//! Did something that the baseline gates go, move, or get another name?
//!
//! What is there no more fails nothing, and what has another name is new: a suite that got worse would pass by being renamed. So it is undecided,
//! until somebody says that it is meant.

use std::collections::BTreeSet;

use super::models::undecided;
use super::side_by_side::{ArmCells, cases};
use crate::model::baseline::{Baseline, ComparisonStanding, GoneSuite, How, RenamedCase, SuiteComparison};

/// One comparison that is undecided for each suite that nothing gates any more. `partial`: cells were left out on purpose; then one that is gone
/// counts only where a suite is new, which may be the same one.
pub(super) fn of(baselines: &[Baseline], compared: &[SuiteComparison], partial: bool) -> Vec<SuiteComparison> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut all = Vec::new();
    for baseline in baselines {
        let is_new = |one: &SuiteComparison| one.baseline == baseline.reference && one.standing == ComparisonStanding::New;
        let all_gone = !partial || compared.iter().any(is_new);
        let gone = baseline.gone.iter().filter(|suite| all_gone || suite.how != How::Gone);
        let is_compared = |suite: &GoneSuite| suite.how != How::Gone && compared.iter().any(|one| one.suite == suite.name);
        for suite in gone.filter(|suite| !is_compared(suite) && told.insert(&suite.name)) {
            all.push(undecided(&suite.name, &baseline.reference, message(suite, &baseline.reference)));
        }
    }
    all
}

fn message(suite: &GoneSuite, reference: &str) -> String {
    let of_it = cases(usize::try_from(suite.cases).unwrap_or(usize::MAX));
    let became = match suite.how {
        How::Gone => format!("this project has no suite of that name{}; rename it back", like(suite)),
        How::Informs => "nothing of it counts for the gate now (`gate: false`); let one of its models count".to_owned(),
        How::Uncompared => "it names no baseline now, so nothing is compared; name one under its `gate`".to_owned(),
    };
    format!(
        "undecided whether it is worse than {reference}: the baseline gates {of_it} of `{}`, and {became}, or where that is meant put it under `gone` in the [gate] section of promptkeel.toml{}",
        suite.name,
        otherwise(reference)
    )
}

/// `, but `other` has the same 30 cases`.
#[must_use]
pub fn like(suite: &GoneSuite) -> String {
    let Some(like) = &suite.like else { return String::new() };
    match like.cases {
        1 if suite.cases == 1 => format!(", but `{}` has the same case", like.name),
        all if all == suite.cases => format!(", but `{}` has the same {all} cases", like.name),
        some => format!(", but `{}` has {some} of them", like.name),
    }
}

/// Why a comparison must not pass whose cases are partly the baseline's elsewhere: they are compared with nothing.
pub(super) fn renamed(suite: &str, baseline: &Baseline, candidate: &ArmCells<'_>) -> Option<String> {
    let runs = |case: &&RenamedCase| case.suite == suite && candidate.cells.iter().any(|cell| *cell.address.case == *case.now);
    let found: Vec<&RenamedCase> = baseline.renamed.iter().filter(runs).collect();
    let first = found.first()?;
    let more = if found.len() > 1 { format!(" and {} more", found.len() - 1) } else { String::new() };
    if let Some(moved) = found.iter().find(|case| case.from.is_some()) {
        let (from, reference) = (moved.from.as_deref().unwrap_or(suite), &baseline.reference);
        let verb = if found.len() == 1 { "stands elsewhere now, and so is" } else { "stand elsewhere now, and so are" };
        return Some(format!(
            "{} of the baseline {verb} compared with nothing: `{from}::{}` is `{suite}::{}` now{more}; move back what moved, or where that is meant put \
             `{from}::{}` under `gone` in the [gate] section of promptkeel.toml, and so each{}",
            cases(found.len()),
            moved.before,
            moved.now,
            moved.before,
            otherwise(reference)
        ));
    }
    let verb = if found.len() == 1 { "has another id" } else { "have other ids" };
    Some(format!(
        "{} {verb} than in the baseline, and so nothing to be compared with: `{}` is `{}` now{more}; where that is meant put `{suite}::{}` under `gone` \
         in the [gate] section of promptkeel.toml, and so each",
        cases(found.len()),
        first.before,
        first.now,
        first.before
    ))
}

/// How the baseline itself moves on, where it is not the file that says what is gone.
fn otherwise(reference: &str) -> &'static str {
    match reference {
        "last" | "last-green" => ", or make a run as it is now with `--baseline none`: where that holds, later ones are held against it",
        "blessed" => ", or bless a run as it is now: `promptkeel run --baseline none`, then `promptkeel baseline set`",
        git if git.starts_with("git:") => "",
        _ => ", or name a run that was made so",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::against::gates;
    use crate::model::baseline::LikeSuite;
    use crate::model::gate::GateOutcome;

    fn gone(cases: u32, like: Option<(&str, u32)>) -> Baseline {
        let like = like.map(|(name, cases)| LikeSuite { name: name.to_owned(), cases });
        let suite = GoneSuite { name: "tri".to_owned(), cases, like, how: How::Gone };
        Baseline { reference: "git:main".to_owned(), gone: vec![suite], ..Baseline::default() }
    }

    #[test]
    fn a_suite_that_is_gone_is_undecided_with_the_name_that_it_may_have_now() {
        let found = of(&[gone(30, Some(("other", 30)))], &[], false);
        assert_eq!(gates(&found)[0].outcome, GateOutcome::Undecided);
        assert_eq!(
            found[0].message,
            "undecided whether it is worse than git:main: the baseline gates 30 cases of `tri`, and this project has no suite of that name, but \
             `other` has the same 30 cases; rename it back, or where that is meant put it under `gone` in the [gate] section of promptkeel.toml"
        );
        for (baseline, told) in [
            (gone(30, None), "no suite of that name; rename"),
            (gone(30, Some(("other", 20))), "but `other` has 20 of them"),
            (gone(1, Some(("other", 1))), "but `other` has the same case"),
        ] {
            let found = of(&[baseline], &[], false);
            assert!(found[0].message.contains(told), "{}", found[0].message);
        }
    }

    #[test]
    fn a_suite_that_is_there_and_gates_nothing_is_undecided_in_a_part_of_a_run_too() {
        for (how, told) in [
            (How::Informs, "and nothing of it counts for the gate now (`gate: false`); let one"),
            (How::Uncompared, "and it names no baseline now, so nothing is compared; name one"),
        ] {
            let mut baseline = gone(30, None);
            baseline.gone[0].how = how;
            let found = of(&[baseline], &[], true);
            assert_eq!(gates(&found)[0].outcome, GateOutcome::Undecided);
            assert!(found[0].message.contains(told), "{}", found[0].message);
        }
    }

    #[test]
    fn a_case_that_stands_in_another_suite_is_named_with_both_addresses() {
        use crate::gate::pairing::tests::cell;
        let cells = [cell(("other", "c1", 1, "m"), "two", &["pass"])];
        let arm = ArmCells { name: String::new(), run: String::new(), cells: cells.iter().collect() };
        let case = RenamedCase { suite: "other".to_owned(), from: Some("tri".to_owned()), before: "c1".to_owned(), now: "c1".to_owned() };
        let baseline = Baseline { reference: "blessed".to_owned(), renamed: vec![case], ..Baseline::default() };
        let told = renamed("other", &baseline, &arm).unwrap();
        let says = "1 case of the baseline stands elsewhere now, and so is compared with nothing: `tri::c1` is `other::c1` now; move back what moved";
        assert!(told.starts_with(says) && told.contains("`promptkeel baseline set`"), "{told}");
        assert_eq!(renamed("tri", &baseline, &arm), None);
    }

    #[test]
    fn it_is_told_once_and_in_a_part_of_a_run_only_where_something_is_new() {
        let twice = [gone(30, None), Baseline { reference: "last".to_owned(), ..gone(30, None) }];
        assert_eq!(of(&twice, &[], false).len(), 1);
        assert_eq!(of(&twice, &[], true), []);
        let mut new = of(&twice[..1], &[], false);
        new[0].standing = ComparisonStanding::New;
        assert_eq!(of(&twice, &new, true).len(), 1);
    }
}
