//! Does what a small file can multiply stay within bounds, and is each bound said?

use std::fmt::Write as _;

use super::{Project, known};
use crate::model::problem::{Problem, Severity};
use crate::source::case::{Cases, MOST_CASES, MOST_WEIGHT};
use crate::source::decode::decode_all;
use crate::source::document::Document;
use crate::source::input::Inputs;
use crate::source::tree::Reader;
use crate::source::{load, yaml};

fn suite(models: &str, rest: &str) -> Project {
    let text = format!("suite: a\nprompt: triage\nmodels: [{models}]\nassert: [{{contains: x}}]\n{rest}");
    Project::with(&[("suites/a.yaml", &text)])
}

fn many(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect()
}

/// The only problem of a project.
fn only(project: &Project) -> Problem {
    let mut problems = load(&project.tree(), &[], &known()).problems;
    assert_eq!(problems.len(), 1, "{}", super::plain(&problems));
    problems.remove(0)
}

#[test]
fn models_prompts_and_cases_multiply_within_bounds() {
    let models = |count| many(count, |index| format!("{{id: claude-haiku-4-5, label: m{index}}}, "));
    let case = "cases: [{id: one, vars: {ticket: x}}]\n";
    assert!(suite(&models(300), case).load().problems.is_empty());
    let problem = only(&suite(&models(10_001), case));
    assert_eq!(problem.message, "this suite has more than 10000 pairs of a prompt version and a model");
    let rows = |count| many(count, |index| format!("r{index},x\n"));
    let table = |count| {
        let project = suite(&models(10_000), "cases: [{from: t.csv}]\n");
        project.write("t.csv", &format!("id,ticket\n{}", rows(count)));
        project
    };
    let problem = only(&table(201));
    assert_eq!(problem.message, "this suite has more than 2000000 cells: cases times prompt versions times models");
    assert!(table(3).load().problems.is_empty());
}

#[test]
fn written_cases_are_counted_before_each_is_looked_at() {
    // None of them has an id, and nobody gets as far as to say so.
    let problem = only(&suite("claude-haiku-4-5", &format!("cases:\n{}", "- {}\n".repeat(MOST_CASES + 1))));
    let place = problem.place.unwrap();
    assert_eq!((problem.message.as_str(), place.line), ("this suite has more than 250000 cases", 250_006));
}

#[test]
fn a_prompt_has_a_bounded_number_of_turns_blocks_and_templates() {
    let case = "cases: [{id: one, vars: {ticket: x}}]\n";
    let project = suite("claude-haiku-4-5", case);
    let turns = many(10_050, |index| format!("{}:\n{{{{ ticket }}}}\n", if index % 2 == 0 { "user" } else { "assistant" }));
    project.write("suites/prompts/triage/1.md", &turns);
    let problem = only(&project);
    assert_eq!(problem.message, "a prompt has 10000 turns, blocks and templates at most, and here it has more");
    // The text of the turn with the number 10,001.
    assert_eq!(problem.place.map(|place| (place.file.to_string(), place.line)), Some(("suites/prompts/triage/1.md".to_owned(), 20_002)));
    let texts = "'{{ ticket }}', ".repeat(10_001);
    std::fs::remove_file(project.root().join("suites/prompts/triage/1.md")).unwrap();
    let block = format!("messages:\n- role: user\n  content:\n  - {{type: other, texts: [{texts}]}}\n");
    project.write("suites/prompts/triage/1.yaml", &block);
    assert!(only(&project).message.starts_with("a prompt has 10000 turns"));
}

#[test]
fn names_that_stand_twice_or_are_unknown_are_looked_for_until_it_is_enough() {
    let case = "cases: [{id: one, vars: {ticket: x}}]\n";
    for models in [many(5_000, |index| format!("m{index}, ")), "claude-haiku-4-5, ".repeat(5_000)] {
        let problems = suite(&models, case).load().problems;
        assert!(problems.len() <= 1_001, "{}", problems.len());
    }
    let files = many(5_000, |index| format!("  - {{id: c{index}, vars: {{ticket: {{file: f/{index}}}}}}}\n"));
    let problems = suite("claude-haiku-4-5", &format!("cases:\n{files}")).load().problems;
    assert!(problems.len() <= 1_001, "{}", problems.len());
    let project = suite("claude-haiku-4-5", case);
    (0..200).for_each(|index| project.write(&format!("suites/prompts/triage/v{index}.md"), "x"));
    let problems = project.load().problems;
    assert_eq!((problems.len(), problems[0].severity), (20, Severity::Warning));
}

#[test]
fn an_undefined_variable_of_many_cases_is_one_problem() {
    let cases = many(500, |index| format!("  - {{id: c{index}, vars: {{tickt: x}}}}\n"));
    let problem = only(&suite("claude-haiku-4-5", &format!("cases:\n{cases}")));
    assert_eq!(problem.message, "undefined variable `ticket` in case `c0` and 499 more");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `tickt`?"));
}

#[test]
fn a_second_mistake_of_a_large_prompt_is_looked_for_until_it_is_enough() {
    let cases = many(100, |index| format!("  - {{id: c{index}, vars: {{other: x}}}}\n"));
    let project = suite("claude-haiku-4-5", &format!("cases:\n{cases}"));
    let counts = |size: usize| {
        let names = many(10, |index| format!("{{{{ u{index} }}}}"));
        project.write("suites/prompts/triage/1.md", &format!("{names}{{{{ other }}}}{}", " ".repeat(size)));
        let problems = load(&project.tree(), &[], &known()).problems;
        problems.into_iter().map(|problem| problem.message.split("`c0`").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(counts(0), vec![" and 99 more"; 10]);
    // Every case is looked at, and the first few for all mistakes.
    let counts = counts(1 << 20);
    assert_eq!((counts.len(), counts[0].as_str(), counts[1].as_str()), (4, " and at least 99 more", ""));
}

#[test]
fn an_assertion_that_makes_too_much_is_not_tried_with_every_case() {
    let cases = many(40, |index| format!("  - {{id: c{index}, vars: {{ticket: x}}}}\n"));
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ ticket }}";
    let text = format!("suite: a\nprompt: triage\nmodels: [claude-haiku-4-5]\nassert: [{{contains: \"{endless}\"}}]\ncases:\n{cases}");
    let problem = only(&Project::with(&[("suites/a.yaml", &text)]));
    assert_eq!(problem.message, "the template takes too many steps or makes too much text in case `c0` and 2 more");
}

/// What `entry` of `cases` weighs, beginning with a weight, and what is said about it.
fn weighed(project: &Project, entry: &str, weight: usize) -> (usize, usize, Vec<String>) {
    let document = Document::new("suites/a.yaml".into(), entry.into());
    let reader = Reader::open(&project.tree(), false).unwrap();
    let inputs = Inputs::new(&reader);
    let mut problems = Vec::new();
    let shape = decode_all(&yaml::parse(&document).unwrap(), &document, &mut problems).unwrap();
    let mut cases = Cases {
        document: &document,
        inputs: &inputs,
        inherited: &[],
        drafts: Vec::new(),
        tables: Vec::new(),
        weight,
        is_full: false,
        problems: &mut problems,
    };
    cases.read(shape);
    (cases.weight, cases.drafts.len(), problems.into_iter().map(|problem| problem.message).collect())
}

#[test]
fn what_all_rows_of_a_table_share_is_weighed_once_a_row_and_bounded() {
    let mut table = "id,own\n".to_owned();
    for row in 0..100 {
        writeln!(table, "r{row},{row}").unwrap();
    }
    let handbook = "x".repeat(50_000);
    let project = Project::with(&[("t.csv", &table), ("handbook.txt", &handbook)]);
    let entry = "{from: t.csv, vars: {handbook: {file: handbook.txt}}, tags: [a]}";
    let (weight, cases, problems) = weighed(&project, entry, 0);
    assert_eq!((cases, problems), (100, vec![]));
    assert!((5_000_000..5_300_000).contains(&weight), "{weight}");
    let (_, cases, problems) = weighed(&project, entry, MOST_WEIGHT - 1_000_000);
    assert!(cases < 25, "{cases}");
    assert_eq!(problems, ["the cases of this suite hold more than 1024 MiB"]);
    // Also where it is the last row that is too much.
    let (_, _, problems) = weighed(&project, entry, MOST_WEIGHT - weight + 10_000);
    assert_eq!(problems, ["the cases of this suite hold more than 1024 MiB"]);
    let (_, cases, problems) = weighed(&project, "{id: one, vars: {a: b}}", MOST_WEIGHT + 1);
    assert_eq!((cases, problems), (0, vec!["the cases of this suite hold more than 1024 MiB".to_owned()]));
}
