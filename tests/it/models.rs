//! Can a suite move to a smaller model? Does `run --against` say yes or no, and does `--decide` buy what the answer needs?

use serde_json::{Value, json};

use crate::gating::flat;
use crate::harness::{Project, Server};

/// So many cases of this many samples under two models; `rules` come before those that answer right.
fn project(cases: usize, samples: u32) -> Project {
    let listed: String = (0..cases)
        .map(|n| format!("  - id: case-{n:02}\n    vars: {{n: 'item {n:02}'}}\n    assert:\n      - equals: 'item {n:02} is fine'\n"))
        .collect();
    let suite = format!(
        "suite: items\nprompt: item\nmodels: [claude-sonnet-4-6, claude-haiku-4-5]\nsamples: {samples}\nrequest:\n  max_tokens: 50\nsnapshot: off\n\
         gate:\n  min_pass_rate: 0.1\nassert:\n  - refusal: never\ncases:\n{listed}"
    );
    Project::new().write("suites/items.yaml", &suite).write("suites/prompts/item/1.md", "How is {{ n }}?\n")
}

fn script(cases: usize, rules: &str) -> String {
    crate::gating::script(cases, rules)
}

const AGAINST: [&str; 5] = ["--endpoint", "anthropic", "--against", "claude-sonnet-4-6", "--decide"];

#[test]
fn a_case_that_looks_worse_by_chance_is_cleared_and_the_cheaper_model_is_named() {
    let unlucky = "  - when: {text: 'item 00', model: claude-haiku-*, call: 2}\n    then: {text: 'item 00 is lost'}\n";
    let server = Server::start(&script(40, unlucky));
    let mut project = project(40, 3);
    project.ask(&server.url());
    let (unsure, _) = project.report(&AGAINST[..4]);
    assert_eq!(unsure.code, 7, "{unsure:?}");
    assert!(
        flat(&unsure).contains("1 case looks worse") && flat(&unsure).contains("that is 20 more samples of 1 case, about $"),
        "{unsure:?}"
    );
    let before = server.requests();
    let (ran, report) = project.report(&AGAINST);
    assert_eq!((ran.code, server.requests() - before), (0, 20), "ten fresh samples of the case under each model: {ran:?}");
    let told = flat(&ran);
    for said in [
        "the cheapest model that is not worse than claude-sonnet-4-6 by more than 5 points: claude-haiku-4-5",
        "claude-haiku-4-5 is not worse than claude-sonnet-4-6 on 40 cases x 3 samples",
    ] {
        assert!(told.contains(said), "{said:?} is missing: {}", ran.stdout);
    }
    assert_eq!(report["comparisons"][0]["cheapest"]["model"], "claude-haiku-4-5");
    let again = server.requests();
    let read = project.run(&["report", "report.json", "--markdown", "report.md"]);
    assert_eq!((read.code, server.requests()), (0, again), "the report says the same when it is read: {read:?}");
    assert!(
        project.read("report.md").contains("the cheapest model that is not worse than `claude-sonnet-4-6`"),
        "{}",
        project.read("report.md")
    );
}

#[test]
fn a_model_that_breaks_a_case_is_a_no() {
    let broken = "  - when: {text: 'item 07', model: claude-haiku-*}\n    then: {text: 'item 07 is lost'}\n";
    let server = Server::start(&script(40, broken));
    let mut project = project(40, 3);
    project.ask(&server.url());
    let (ran, report) = project.report(&AGAINST);
    assert_eq!((ran.code, &report["comparisons"][0]["standing"]), (1, &json!("regressed")), "{ran:?}");
    assert!(flat(&ran).contains("no cheaper model is shown to be not worse than claude-sonnet-4-6"), "{}", ran.stdout);
    assert!(flat(&ran).contains("items::case-07 passed 10 of 10 fresh samples before and 0 of 10 now"), "{}", ran.stdout);
}

#[test]
fn too_few_samples_are_priced_and_bought_for_a_second_look() {
    let server = Server::start(&script(20, ""));
    let mut project = project(20, 1);
    project.ask(&server.url());
    let (unsure, report) = project.report(&AGAINST[..4]);
    assert_eq!(unsure.code, 7, "twenty passes show little: {unsure:?}");
    let look = &report["comparisons"][0]["compared"]["second_look"];
    assert_eq!((&look["first"], &look["second"], &look["price"]["samples"]), (&json!(1), &json!(4), &json!(120)), "{look}");
    assert!(flat(&unsure).contains("4 samples per case are 120 more samples of 20 cases, about $"), "{}", unsure.stdout);
    let before = server.requests();
    let mut few = AGAINST.to_vec();
    few.extend(["--max-cost", "0.0001"]);
    let (poor, _) = project.report(&few);
    assert_eq!((poor.code, server.requests()), (6, before), "half a look is none: {poor:?}");
    let (ran, report) = project.report(&AGAINST);
    assert_eq!((ran.code, server.requests() - before), (0, 120), "{ran:?}");
    assert!(ran.stderr.contains("asking 120 more samples of 20 cases to look a second time"), "{}", ran.stderr);
    assert!(flat(&ran).contains("is not worse than claude-sonnet-4-6 on 20 cases x 4 samples"), "{}", ran.stdout);
    assert_eq!(report["totals"]["samples"], 40, "what was bought is in no total");
    let second = report["baselines"][0]["second"].as_array().map(Vec::len);
    assert_eq!(second, Some(20));
    let (again, _) = project.report(&AGAINST);
    assert_eq!((again.code, server.requests() - before), (0, 120), "the same samples again: {again:?}");
}

#[test]
fn a_baseline_is_looked_at_a_second_time_too() {
    let server = Server::start(&script(20, ""));
    let mut project = project(20, 1);
    project.edit("suites/items.yaml", "[claude-sonnet-4-6, claude-haiku-4-5]", "[claude-haiku-4-5]");
    project.ask(&server.url());
    assert_eq!(project.run(&["run", "--endpoint", "anthropic"]).code, 0);
    crate::gating::second_version(&project);
    let run = ["--endpoint", "anthropic", "--baseline", "last-green"];
    let (unsure, _) = project.report(&run);
    assert_eq!(unsure.code, 7, "{unsure:?}");
    let (ran, report) = project.report(&[run.as_slice(), &["--decide"]].concat());
    assert_eq!((ran.code, &report["comparisons"][0]["standing"]), (0, &json!("not_worse")), "{ran:?}");
}

#[test]
fn a_model_that_no_suite_asks_is_said_with_those_that_are() {
    let project = project(2, 1).write("fixtures/sim/script.yaml", &script(2, ""));
    let unknown = project.run(&["run", "--against", "claude-opus-4-8"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(
        unknown.stderr.contains("suite `items` does not ask `claude-opus-4-8`")
            && unknown.stderr.contains("claude-haiku-4-5, claude-sonnet-4-6"),
        "{unknown:?}"
    );
    let both = project.run(&["run", "--against", "claude-haiku-4-5", "--baseline", "last"]);
    assert_eq!(both.code, 2, "{both:?}");
    let alone: Value = json!(project.run(&["run", "--against", "claude-haiku-4-5", "--model", "claude-haiku-4-5"]).stderr);
    assert!(alone.as_str().unwrap().contains("suite `items` asks no other model than `claude-haiku-4-5`"), "{alone}");
}

#[test]
fn shards_that_are_held_against_a_model_come_to_what_one_run_comes_to() {
    let broken = "  - when: {text: 'item 07', model: claude-haiku-*}\n    then: {text: 'item 07 is lost'}\n";
    for (rules, code) in [("", 0), (broken, 7)] {
        let server = Server::start(&script(40, rules));
        let mut project = project(40, 3);
        project.ask(&server.url());
        let (whole, report) = project.report(&AGAINST[..4]);
        assert_eq!(whole.code, code, "{whole:?}");
        // Two models, two shards: each has the cells of one model alone.
        for shard in ["1/2", "2/2"] {
            let file = format!("{}.json", &shard[..1]);
            let ran = project.run(&[&["run", "--shard", shard, "--json", &file], &AGAINST[..4]].concat());
            assert_eq!(ran.code, 0, "a shard compares nothing: {ran:?}");
        }
        let merged = project.run(&["merge", "1.json", "2.json", "--json", "merged.json"]);
        let told: Value = serde_json::from_str(&project.read("merged.json")).unwrap();
        assert_eq!((merged.code, &told["comparisons"]), (code, &report["comparisons"]), "{merged:?}");
        let missing = project.run(&["merge", "1.json"]);
        assert_eq!(missing.code, 3, "half of it is no answer: {missing:?}");
        // What no shard can know is still said by each.
        let alone = project.run(&["run", "--shard", "1/2", "--endpoint", "anthropic", "--against", "claude-opus-4-8"]);
        assert!(alone.code == 2 && alone.stderr.contains("suite `items` does not ask `claude-opus-4-8`"), "{alone:?}");
        let filtered = project.run(&[&["run", "--shard", "1/2", "--model", "*sonnet*"], &AGAINST[..4]].concat());
        assert!(filtered.code == 2 && filtered.stderr.contains("asks no other model than `claude-sonnet-4-6`"), "{filtered:?}");
    }
}

#[test]
fn asked_against_the_cheapest_model_the_dearer_ones_are_the_answer() {
    let server = Server::start(&script(60, ""));
    let mut project = project(60, 3);
    project.ask(&server.url());
    let (ran, _) = project.report(&["--endpoint", "anthropic", "--against", "claude-haiku-4-5", "--markdown", "page.md"]);
    let said = "no model here costs less than claude-haiku-4-5; not worse than it by more than 5 points: claude-sonnet-4-6";
    assert!(ran.code == 0 && flat(&ran).contains(said), "{ran:?}");
    assert!(project.read("page.md").contains("no model here costs less than `claude-haiku-4-5`"), "{}", project.read("page.md"));
}

#[test]
fn what_has_no_verdict_is_said_before_what_the_others_come_to() {
    let refused = "  - when: {text: 'item 07', model: claude-haiku-*}\n    then: {status: 400, message: no}\n";
    let server = Server::start(&script(60, refused));
    let mut project = project(60, 3);
    project.ask(&server.url());
    let (ran, report) = project.report(&AGAINST[..4]);
    assert_eq!((ran.code, &report["comparisons"][0]["standing"]), (3, &json!("missing")), "{ran:?}");
    let told = flat(&ran);
    assert!(told.contains("by more than 5 points; of claude-haiku-4-5 too little was answered to say it"), "{told}");
    assert!(
        told.contains(
            "undecided: 1 case lacks a verdict of claude-haiku-4-5: items::case-07; apart from that: claude-haiku-4-5 is not worse"
        ),
        "{told}"
    );
    let compared = project.run(&["compare", "report.json", "--against", "claude-sonnet-4-6"]);
    assert!(flat(&compared).contains("by more than 5 points; of claude-haiku-4-5 too little was answered to say it"), "{compared:?}");
}
