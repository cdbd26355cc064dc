//! Does `promptkeel compare` find what was made worse, clear what was not, and ask nobody?

use crate::harness::Project;

/// Thirty cases, two versions of a prompt, two models; what the second version breaks is said by `broken`.
fn project(broken: usize) -> Project {
    let cases: String = (0..30)
        .map(|n| format!("  - id: case-{n:02}\n    vars: {{n: 'item {n:02}'}}\n    assert:\n      - equals: 'item {n:02} is fine'\n"))
        .collect();
    let suite = format!(
        "suite: items\nprompt: [item@1, item@2]\nmodels: [claude-sonnet-4-6, claude-haiku-4-5]\nsamples: 3\nrequest:\n  max_tokens: 50\n\
         snapshot: off\nassert:\n  - refusal: never\ncases:\n{cases}"
    );
    let mut script = "rules:\n".to_owned();
    for n in 0..broken {
        script.push_str(&format!(
            "  - when: {{text: [Please, 'item {n:02}'], model: claude-haiku-*}}\n    then: {{text: 'item {n:02} is lost'}}\n"
        ));
    }
    for n in 0..30 {
        script.push_str(&format!("  - when: {{text: 'item {n:02}'}}\n    then: {{text: 'item {n:02} is fine'}}\n"));
    }
    Project::new()
        .write("suites/items.yaml", &suite)
        .write("suites/prompts/item/1.md", "How is {{ n }}?\n")
        .write("suites/prompts/item/2.md", "Please say how {{ n }} is.\n")
        .write("fixtures/sim/script.yaml", &script)
}

#[test]
fn an_unchanged_run_is_not_worse_and_a_replayed_one_is_no_evidence() {
    let project = project(0);
    project.run(&["run", "--json", "one.json"]);
    project.run(&["run", "--json", "replayed.json"]);
    project.run(&["run", "--cache", "refresh", "--json", "two.json"]);
    let replayed = project.run(&["compare", "one.json", "replayed.json"]);
    assert_eq!(replayed.code, 2, "{replayed:?}");
    assert!(replayed.stderr.contains("the very same answers in both arms (60 cases)"), "{replayed:?}");
    let asked = project.run(&["compare", "one.json", "two.json", "--gate"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    for told in ["two.json is not worse than one.json on 60 cases x 3 samples", "in 30 units", "SIMULATED", "a loss of"] {
        assert!(asked.stdout.replace('\n', " ").contains(told), "{told:?} is missing: {}", asked.stdout);
    }
}

#[test]
fn a_planted_regression_is_found_between_models_and_between_versions() {
    let project = project(10);
    project.run(&["run", "--json", "run.json"]);
    let models = ["compare", "run.json", "--models", "claude-sonnet-4-6", "claude-haiku-4-5"];
    let informed = project.run(&models);
    assert_eq!(informed.code, 0, "without --gate it informs: {informed:?}");
    let mut gated = models.to_vec();
    gated.extend(["--gate", "--markdown", "out/compared.md", "--json", "out/compared.json"]);
    let gated = project.run(&gated);
    assert_eq!(gated.code, 1, "{gated:?}");
    assert!(gated.stdout.contains("claude-haiku-4-5 is worse than claude-sonnet-4-6 on 30 cases x 3 samples"), "{}", gated.stdout);
    assert!(gated.stdout.contains("- item 00 is [-fine-]") && gated.stdout.contains("+ item 00 is {+lost+}"), "{}", gated.stdout);
    assert!(project.read("out/compared.md").contains("## ❌ `claude-haiku-4-5` is worse than `claude-sonnet-4-6`"));
    let json: serde_json::Value = serde_json::from_str(&project.read("out/compared.json")).unwrap();
    assert_eq!(
        (&json["schema"], &json["comparisons"][0]["comparison"]["verdict"]),
        (&"promptkeel.comparison/1".into(), &"regressed".into())
    );
    assert_eq!(json["comparisons"][0]["differing"].as_array().unwrap().len(), 10);
    let versions = project.run(&["compare", "run.json", "--prompts", "item@1", "item@2", "--gate"]);
    assert_eq!(versions.code, 1, "{versions:?}");
    let back = project.run(&["compare", "run.json", "--prompts", "item@2", "item@1", "--gate"]);
    assert_eq!(back.code, 0, "what got better is not worse: {back:?}");
}

#[test]
fn what_is_too_little_to_say_is_undecided_and_says_what_would_decide() {
    let project = project(1);
    project.run(&["run", "--json", "run.json"]);
    let compared = project.run(&["compare", "run.json", "--models", "claude-sonnet-4-6", "claude-haiku-4-5", "--gate"]);
    assert_eq!(compared.code, 7, "{compared:?}");
    let told = compared.stdout.replace('\n', " ");
    assert!(told.contains("undecided whether claude-haiku-4-5 is worse") && told.contains("wants 10 fresh samples"), "{told}");
}

#[test]
fn the_cheapest_model_that_will_do_is_named() {
    let project = project(0);
    project.run(&["run", "--json", "run.json"]);
    let compared = project.run(&["compare", "run.json", "--against", "claude-sonnet-4-6"]);
    assert_eq!(compared.code, 0, "{compared:?}");
    let told = "the cheapest model that is not worse than claude-sonnet-4-6 by more than 5 points: claude-haiku-4-5";
    assert!(compared.stdout.contains(told), "{}", compared.stdout);
}

#[test]
fn what_cannot_be_compared_is_said_with_the_next_step() {
    let project = project(0);
    project.run(&["run", "--json", "run.json"]);
    let cases: [(&[&str], i32, &str); 4] = [
        (&["compare", "run.json"], 2, "it does not say what to compare"),
        (&["compare", "run.json", "--models", "gpt", "claude-haiku-4-5"], 4, "no model `gpt`"),
        (&["compare", "run.json", "--prompts", "item@1", "item@9"], 4, "no prompt version `item@9`"),
        (&["compare", "run.json", "--models", "claude-haiku-4-5", "claude-haiku-4-5"], 2, "the very same answers"),
    ];
    for (arguments, code, told) in cases {
        let ran = project.run(arguments);
        assert!(ran.code == code && ran.stderr.contains(told) && ran.stderr.contains("hint:"), "{arguments:?}: {ran:?}");
    }
    project.edit("suites/items.yaml", "refusal: never", "length: {max_words: 9}");
    project.run(&["run", "--cache", "refresh", "--json", "other.json"]);
    let ran = project.run(&["compare", "run.json", "other.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("other assertions (60 cases)"), "{ran:?}");
}
