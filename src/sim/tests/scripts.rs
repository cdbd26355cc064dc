//! Scripts: what they mean, and what a mistake in one says.

use super::start;
use crate::sim::script::{BEHAVIOUR, Script};

fn mistakes(text: &str) -> String {
    Script::parse("sim.yaml", text).unwrap_err().to_string()
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_likely_one() {
    insta::assert_snapshot!(mistakes("rules:\n  - when: {txt: refund, modle: a}\n    then: {text: ok, stopreason: end_turn}\nother: 1\n"));
}

#[test]
fn every_mistake_of_a_script_is_reported_at_once() {
    insta::assert_snapshot!(mistakes(
        "rules:
  - when: {model: 'claude-[', regex: '(', call: 0, text: '', stream: 1}
    then: {text: x, delay: 5}
  - when: {text: k}
    then: {text: 'Hello {{ nmae }}'}
  - when: {text: k}
    then: {text: '{{ prompt'}
  - when: {text: k}
    then: {text: x, blocks: []}
  - when: {text: k}
    then: {}
  - when: {text: [1]}
    then: {status: 200}
  - when: {text: k}
    then: {status: 500, text: x}
  - when: {text: k}
    then: {text: x, retry_after: 3}
  - when: {text: k}
    then: {text: x, stop_reason: endturn}
  - when: {text: k}
    then: {refusal: {category: cyberr}}
  - when: {text: k}
    then: {fault: dorp}
  - when: {text: k}
    then: {usage: {input_token: 1}, text: x}
  - when: {text: k}
    then: {blocks: [{type: tool_use, name: a}, text]}
  - {when: {text: x}}
  - 7
faults: {rate: 3, kinds: [drop, hangs], in_a_row: 0}
requests_per_minute: many
"
    ));
}

#[test]
fn a_rule_with_a_misspelled_condition_hides_no_later_mistake() {
    let said = mistakes(
        "rules:\n  - {wehn: {text: a}, then: {text: b}}\n  - {then: {text: b}}\n  - {when: {regex: '('}, then: {text: c}}\n  - {when: {text: a}, then: {txt: c, fault: dorp}}\n",
    );
    for part in ["`wehn`", "sim.yaml:4:5: this rule is never reached: the one at line 3", "`regex` does not compile", "`txt`", "`dorp`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(said.matches("never reached").count(), 1, "{said}");
}

#[test]
fn broken_yaml_says_where() {
    insta::assert_snapshot!(mistakes("rules:\n  - when: {text: a\n    then: b\n"), @"
    sim.yaml:3:9: while parsing a flow mapping, did not find expected ',' or '}'
      hint: the script is YAML 1.2; docs/simulator.md shows one
    ");
    insta::assert_snapshot!(mistakes("rules: []\nrules: []\n"), @"
    sim.yaml:2:1: duplicate mapping key: rules
      hint: the script is YAML 1.2; docs/simulator.md shows one
    ");
    insta::assert_snapshot!(mistakes(""), @"
    sim.yaml:1:1: a script must be a mapping, not nothing
      hint: its keys are `rules`, `otherwise`, `faults`, `requests_per_minute`, `models`, `batches`
    ");
    insta::assert_snapshot!(mistakes("[1, 2]"), @"
    sim.yaml:1:1: a script must be a mapping, not a list
      hint: its keys are `rules`, `otherwise`, `faults`, `requests_per_minute`, `models`, `batches`
    ");
    insta::assert_snapshot!(mistakes("models: [a]"), @"
    sim.yaml:1:1: a script without `rules` answers nothing
      hint: add `rules:` with at least one `{when: ..., then: ...}`
    ");
}

#[test]
fn a_rule_that_nothing_can_reach_is_a_mistake() {
    insta::assert_snapshot!(mistakes("rules:\n  - {when: {call: 1}, then: {text: a}}\n  - {then: {text: b}}\n  - {when: {text: x}, then: {text: c}}\n"), @"
    sim.yaml:4:5: this rule is never reached: the one at line 3 answers everything
      hint: move it up, or give that rule a condition
    ");
}

#[test]
fn what_could_never_answer_or_fail_is_a_mistake() {
    insta::assert_snapshot!(mistakes("rules: []"), @"
    sim.yaml:1:8: a script without `rules` answers nothing
      hint: add `rules:` with at least one `{when: ..., then: ...}`
    ");
    insta::assert_snapshot!(mistakes("{faults: {rate: 1, kinds: []}, models: [my-model], rules: [{when: {model: my-*}, then: {text: a}}, {when: {model: claude-hiaku-4-5}, then: {text: b}}, {when: {model: 'gpt*'}, then: {text: c}}]}"), @"
    sim.yaml:1:27: `kinds` is empty, so no request would ever fail
      hint: faults are rate_limit, server_error, overloaded, timeout, drop, reset, cut, html, invalid_json, hang, stall, error_event, early_end, unknown_event, split, line_ends, disorder, lost
    sim.yaml:1:115: `model` matches no known model: claude-hiaku-4-5
      hint: did you mean `claude-haiku-4-5`? `models: [...]` at the top of the script adds models of your own
    sim.yaml:1:167: `model` matches no known model: gpt*
      hint: `models: [...]` at the top of the script adds models of your own
    ");
}

#[test]
fn a_missing_file_is_named() {
    let error = Script::load(std::path::Path::new("no/such/script.yaml")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the simulator's script no/such/script.yaml: "), "{error}");
}

#[test]
fn the_digest_is_that_of_the_text_and_of_the_behaviour() {
    let (a, b) = ("otherwise: {text: a}", "otherwise: {text: b}");
    let digest = |text: &str| Script::parse("x", text).unwrap().digest();
    assert_eq!(digest(a), Script::parse("another name", a).unwrap().digest());
    assert_ne!(digest(a), digest(b));
    assert_eq!(digest(a), blake3::hash(format!("{BEHAVIOUR}\0{a}").as_bytes()).to_hex().to_string());
    assert_eq!(digest(a).len(), 64);
}

#[test]
fn the_scripts_of_this_repository_are_valid() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sim")).unwrap() {
        Script::load(&entry.unwrap().path()).unwrap();
    }
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let page = include_str!("../../../docs/simulator.md");
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 3, "{} examples", examples.len());
    for example in examples {
        Script::parse("docs/simulator.md", example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[tokio::test]
async fn a_template_that_fails_on_a_request_is_a_400_that_names_the_rule() {
    let simulator = start("rules:\n  - {when: {text: x}, then: {text: '{{ prompt | int }}'}}\n  - {when: {text: loop}, then: {text: '{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}'}}\n").await;
    let answered = super::post(&simulator, &super::asking("x")).await;
    assert_eq!(answered.status, 400);
    assert!(answered.message().starts_with("test.yaml: the template of the rule at line 2 failed: "), "{}", answered.message());
    let answered = super::post(&simulator, &super::asking("loop")).await;
    assert_eq!(answered.status, 400);
    assert!(answered.message().contains("fuel"), "{}", answered.message());
}

mod properties {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use crate::sim::script::Script;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = Script::parse("x", &text);
        }

        #[test]
        fn no_shape_makes_the_reader_panic(keys in proptest::collection::vec("(rules|when|then|text|call|faults|rate|kinds|blocks|usage|refusal|status|\\[|\\{|\\}|\\]|: |, |\n|- |  |x|1|\\{\\{)", 0..40)) {
            let _ = Script::parse("x", &keys.concat());
        }
    }
}

#[test]
fn a_chance_is_a_share() {
    for wrong in ["2", "-0.1", "1.5", "often", "[0.5]"] {
        let said = mistakes(&format!("rules:\n  - when: {{text: a, chance: {wrong}}}\n    then: {{text: x}}\n"));
        assert!(
            said.contains("`chance` must say how often the rule answers") && said.contains("0.9 is nine times of ten"),
            "{wrong}: {said}"
        );
    }
    assert!(Script::parse("sim.yaml", "rules:\n  - when: {chance: 0.5}\n    then: {text: x}\notherwise: {text: y}\n").is_ok());
}

#[tokio::test]
async fn a_rule_with_a_chance_leaves_the_rest_to_the_rules_below() {
    let simulator = start("rules:\n  - when: {text: ask, chance: 0.75}\n    then: {text: x}\notherwise: {text: y}\n").await;
    let mut passed = 0;
    for _ in 0..100 {
        let answered = super::post(&simulator, &super::asking("ask")).await.json();
        passed += u32::from(answered["content"][0]["text"] == "x");
    }
    assert!((60..=90).contains(&passed), "{passed} of 100");
    simulator.stop().await;
}
