//! Does the bill of a report agree with the simulator's books, which are kept by code that shares nothing with it?

use crate::harness::{Project, Server};

/// Refusals that are billed and that are not, the tier of long prompts, requests that fail without being carried out.
const SCRIPT: &str = r#"
faults: {rate: 0.2, kinds: [overloaded, server_error, drop], in_a_row: 1}
rules:
  - {when: {text: number 7}, then: {refusal: {category: bio}}}
  - {when: {text: number 8}, then: {refusal: {category: cyber}}}
  - {when: {text: number 9}, then: {refusal: {category: cyber}, text: I began and}}
  - {when: {text: number 5, model: claude-haiku-5-5}, then: {text: long, usage: {input_tokens: 99999, cache_read_input_tokens: 2, output_tokens: 17}}}
otherwise: {text: "{{ prompt }}"}
"#;

#[test]
fn the_bill_of_a_run_is_that_of_the_books_to_the_last_pico_dollar() {
    let cases: String = (0..40).map(|number| format!("  - {{id: case-{number}, vars: {{number: {number}}}}}\n")).collect();
    let suite = format!(
        "suite: bills\nprompt: bill\nmodels: [claude-haiku-4-5, claude-haiku-5-5, claude-sonnet-5-5]\nrequest: {{max_tokens: 50}}\n\
         assert: [contains: number]\nsnapshot: {{compare: \"off\"}}\ncases:\n{cases}"
    );
    let policy = "Every word of this policy is read. ".repeat(520);
    let prompt = format!(
        "system:\n  - {{type: text, text: \"{policy}\", cache_control: {{type: ephemeral, ttl: 1h}}}}\n\
         messages:\n  - {{role: user, content: [{{type: text, text: \"number {{{{ number }}}}\", cache_control: {{type: ephemeral}}}}]}}\n"
    );
    let server = Server::start(SCRIPT);
    let mut project = Project::new().write("suites/bills.yaml", &suite).write("suites/prompts/bill/1.yaml", &prompt);
    project.ask(&server.url());
    let (ran, report) = project.report(&["--endpoint", "anthropic", "--max-concurrency", "8"]);
    let stats = server.stats();
    assert!(stats["by_fault"].as_object().unwrap().len() == 3, "{stats}");
    let billed = &stats["tokens"]["billed"];
    for kind in ["cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens", "cache_read_input_tokens"] {
        assert!(billed[kind].as_u64().unwrap() > 0, "{kind}: {billed}");
    }
    assert_eq!(stats["tokens"]["refused_unbilled"]["replies"], 3, "one of each model: {stats}");
    assert_eq!((&stats["bill"]["lost_on_the_way_usd"], &stats["bill"]["unpriced_replies"]), (&"0.00".into(), &0.into()));
    assert_eq!((&report["bill"]["simulated_usd"], &report["bill"]["spent_usd"]), (&stats["bill"]["usd"], &"0.00".into()), "{ran:?}");
}
