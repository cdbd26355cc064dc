//! Does the bill of a report agree with the simulator's books, which are kept by code that shares nothing with it?

use crate::harness::{Project, Server};

/// Refusals that are billed and that are not, the tier of long prompts, requests that fail without being carried out.
const SCRIPT: &str = r#"
faults: {rate: 0.3, kinds: [overloaded, server_error, drop], in_a_row: 1}
rules:
  - {when: {text: number 7}, then: {refusal: {category: bio}}}
  - {when: {text: number 8}, then: {refusal: {category: cyber}}}
  - {when: {text: number 9}, then: {refusal: {category: cyber}, text: I began and}}
  - {when: {text: number 5, model: claude-haiku-5-5}, then: {text: long, usage: {input_tokens: 99999, cache_read_input_tokens: 2, output_tokens: 17}}}
batches: {polls: 1}
otherwise: {text: "{{ prompt }}"}
"#;

/// 1,000 cases with two models, whose shared prompt both of them cache: the first half asked singly, the second in message batches.
fn project(url: &str) -> Project {
    let suite = |name: &str, batch: &str, numbers: std::ops::Range<u32>| {
        let cases: String = numbers.map(|number| format!("  - {{id: case-{number}, vars: {{number: {number}}}}}\n")).collect();
        format!(
            "suite: {name}\nprompt: bill\nmodels: [claude-haiku-5-5, claude-sonnet-5-5]\nbatch: {batch}\nrequest: {{max_tokens: 50}}\n\
             assert: [contains: number]\nsnapshot: {{compare: \"off\"}}\ncases:\n{cases}"
        )
    };
    let policy = "Every word of this policy is read. ".repeat(80);
    let prompt = format!(
        "system:\n  - {{type: text, text: \"{policy}\", cache_control: {{type: ephemeral, ttl: 1h}}}}\n\
         messages:\n  - {{role: user, content: [{{type: text, text: \"number {{{{ number }}}}\", cache_control: {{type: ephemeral}}}}]}}\n"
    );
    let mut project = Project::new()
        .write("suites/singly.yaml", &suite("singly", "\"off\"", 0..500))
        .write("suites/batched.yaml", &suite("batched", "\"on\"", 500..1_000))
        .write("suites/prompts/bill/1.yaml", &prompt);
    project.ask(url);
    project
}

#[test]
fn the_bill_of_2000_cells_is_that_of_the_books_to_the_last_pico_dollar() {
    let server = Server::start(SCRIPT);
    let project = project(&server.url());
    let (ran, report) = project.report(&["--endpoint", "anthropic", "--max-concurrency", "32", "--csv", "bill.csv", "-q"]);
    let stats = server.stats();
    assert_eq!(report["totals"]["planned"], 2_000, "{ran:?}");
    assert_eq!(report["totals"]["errored"], 0, "every cell was answered in the end: {}", ran.stdout);
    let faults = stats["by_fault"].as_object().unwrap();
    assert!(faults.len() == 3 && faults.values().all(|count| count.as_u64().unwrap() > 50), "{stats}");
    assert_eq!(stats["batches"]["requests"], 1_000, "{stats}");
    // Half of the price is saved, so as much as is paid.
    assert_eq!(report["bill"]["simulated_saved"]["by_batch_usd"], stats["bill"]["batches_usd"], "{}", report["bill"]);
    let [singly, batched] = ["billed", "billed_in_batches"].map(|name| &stats["tokens"][name]);
    for kind in ["cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens", "cache_read_input_tokens"] {
        assert!(singly[kind].as_u64().unwrap() + batched[kind].as_u64().unwrap() > 0, "{kind}: {stats}");
    }
    // 8, 80 to 89 and 800 to 899, of two models.
    assert_eq!(stats["tokens"]["refused_unbilled"]["replies"], 222, "{stats}");
    assert_eq!((&stats["bill"]["lost_on_the_way_usd"], &stats["bill"]["unpriced_replies"]), (&"0.00".into(), &0.into()));
    assert_eq!((&report["bill"]["simulated_usd"], &report["bill"]["spent_usd"]), (&stats["bill"]["usd"], &"0.00".into()), "{ran:?}");
    // A connection that was dropped may have been billed, for all that the client knows.
    // A call about a batch that was dropped is none: what became of the batch is looked up.
    let unknown = report["bill"]["unknown_attempts"].as_u64().unwrap();
    let about_batches: u64 = stats["batches"]["calls"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let beyond = faults["drop"].as_u64().unwrap() - unknown;
    assert!(unknown > 50 && beyond <= about_batches, "{unknown} unknown: {stats}");
    assert!(report["bill"]["unknown_at_most_usd"].is_string());
    let total = |of: &str| report["models"].as_array().unwrap().iter().map(|model| pico(model["bill"][of].as_str().unwrap())).sum::<i128>();
    assert_eq!(total("simulated_usd"), pico(stats["bill"]["usd"].as_str().unwrap()), "the models' bills together");

    let rows = csv::Reader::from_path(project.path("bill.csv")).unwrap();
    let attempts = stats["requests"].as_u64().unwrap() + stats["batches"]["requests"].as_u64().unwrap();
    let (mut sum, mut count) = (0, 0);
    let mut rows = rows;
    let at = rows.headers().unwrap().iter().position(|name| name == "simulated_usd").unwrap();
    for row in rows.records() {
        sum += pico(&row.unwrap()[at]);
        count += 1;
    }
    assert_eq!((sum, count), (pico(stats["bill"]["usd"].as_str().unwrap()), attempts), "a row for each attempt: {stats}");
}

/// Dollars as a decimal, in pico-dollars: by digits, as no code of promptkeel does it.
fn pico(dollars: &str) -> i128 {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    format!("{whole}{part:0<12}").parse().unwrap_or_else(|error| panic!("{dollars}: {error}"))
}
