//! Does each thing that multiplies a price come out as a person computes it from the provider's table, in the report, the CSV and the simulator's
//! books alike?

use std::io::{Read, Write};
use std::net::TcpStream;

use promptkeel::model::catalog::Catalog;
use promptkeel::model::cost::of_usage;
use promptkeel::model::money::Money;
use promptkeel::model::reply::Usage;
use promptkeel::sim::clock::Clock;
use promptkeel::sim::server::Options;
use serde_json::Value;

use crate::harness::{Project, Server};

/// A thousand tokens of input, a hundred of output, and of each kind that the prompt cache knows some.
const SCRIPT: &str = r#"
batches: {polls: 1}
rules:
  - {when: {text: at the limit}, then: {text: yes, usage: {input_tokens: 85000, output_tokens: 100, ephemeral_5m_input_tokens: 2000, ephemeral_1h_input_tokens: 3000, cache_read_input_tokens: 10000}}}
  - {when: {text: above it}, then: {text: yes, usage: {input_tokens: 85001, output_tokens: 100, ephemeral_5m_input_tokens: 2000, ephemeral_1h_input_tokens: 3000, cache_read_input_tokens: 10000}}}
  - {when: {text: billed refusal}, then: {refusal: {category: bio}, usage: {input_tokens: 1000, output_tokens: 0}}}
  - {when: {text: free refusal}, then: {refusal: {category: cyber}, usage: {input_tokens: 1000, output_tokens: 0}}}
  - {when: {text: late refusal}, then: {refusal: {category: cyber}, text: "yes, but", usage: {input_tokens: 1000, output_tokens: 100}}}
otherwise: {text: yes, usage: {input_tokens: 1000, output_tokens: 100, ephemeral_5m_input_tokens: 2000, ephemeral_1h_input_tokens: 3000, cache_read_input_tokens: 10000}}
"#;

/// One suite of one model: its name, the model, more of it, the parameters, its cases.
fn suite(name: &str, model: &str, more: &str, request: &str, cases: &[&str]) -> (String, String) {
    let cases: String = cases.iter().map(|case| format!("  - {{id: {}, vars: {{what: {case}}}}}\n", case.replace(' ', "-"))).collect();
    let text = format!(
        "suite: {name}\nprompt: question\nmodels: [{model}]\n{more}request: {{max_tokens: 50{request}}}\n\
         assert: [contains: yes]\nsnapshot: {{compare: \"off\"}}\ncases:\n{cases}"
    );
    (format!("suites/{name}.yaml"), text)
}

fn project(server: &Server, suites: &[(String, String)]) -> Project {
    let mut project = Project::new().write("suites/prompts/question/1.md", "Answer {{ what }} with yes.\n");
    for (path, text) in suites {
        project.rewrite(path, text);
    }
    project.edit("promptkeel.toml", "endpoint = \"simulated\"\n", "endpoint = \"anthropic\"\n");
    project.ask(&server.url());
    project
}

/// What each case of each suite cost, by the report.
fn costs(report: &Value) -> Vec<(String, String)> {
    let name = |cell: &Value| format!("{} {}", cell["address"]["suite"].as_str().unwrap(), cell["address"]["case"].as_str().unwrap());
    let cost = |cell: &Value| cell["samples"][0]["reply"]["cost_usd"].as_str().unwrap_or("none").to_owned();
    report["cells"].as_array().unwrap().iter().map(|cell| (name(cell), cost(cell))).collect()
}

/// The column of the table that says what simulated answers cost, summed by its digits.
fn of_table(project: &Project) -> i128 {
    let mut rows = csv::Reader::from_path(project.path("bill.csv")).unwrap();
    let at = rows.headers().unwrap().iter().position(|name| name == "simulated_usd").unwrap();
    rows.records().map(|row| pico(&row.unwrap()[at])).sum()
}

fn pico(dollars: &str) -> i128 {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    format!("{whole}{part:0<12}").parse().unwrap_or_else(|error| panic!("{dollars}: {error}"))
}

#[test]
fn every_multiplier_is_the_literal_figure_in_report_table_and_books() {
    let server = Server::start(SCRIPT);
    let project = project(
        &server,
        &[
            // In millionths of a dollar: 1,000 x 4 + 100 x 20 + 2,000 x 5 + 3,000 x 8 + 10,000 x 0.20 = 42,000.
            suite("a-plain", "claude-opus-5-5", "", "", &["this"]),
            // A tenth more.
            suite("b-us", "claude-opus-5-5", "", ", inference_geo: us", &["this"]),
            // 1,000 x 8 + 100 x 40 + 2,000 x 10 + 3,000 x 16 + 10,000 x 0.40 = 84,000.
            suite("c-fast", "claude-opus-5-5", "", ", speed: fast", &["this"]),
            suite("d-fast-us", "claude-opus-5-5", "", ", speed: fast, inference_geo: us", &["this"]),
            // Half of a-plain and of b-us.
            suite("e-batch", "claude-opus-5-5", "batch: \"on\"\n", "", &["this later"]),
            suite("f-batch-us", "claude-opus-5-5", "batch: \"on\"\n", ", inference_geo: us", &["this later"]),
            // 100,000 tokens of prompt: 85,000 x 0.10 + 100 x 0.50 + 2,000 x 0.125 + 3,000 x 0.20 + 10,000 x 0.01 = 9,500. One more:
            // 85,001 x 0.50 + 100 x 2.50 + 2,000 x 0.625 + 3,000 x 1 + 10,000 x 0.05 = 47,500.5.
            suite("g-tiers", "claude-haiku-5-5", "", "", &["at the limit", "above it"]),
            // 1,000 x 2 + 100 x 10 + 2,000 x 2.50 + 3,000 x 4 + 10,000 x 0.10 = 21,000.
            suite("h-dated", "claude-sonnet-5-5", "", "", &["this"]),
            // 1,000 x 4; nothing; 1,000 x 4 + 100 x 20.
            suite("i-refused", "claude-opus-5-5", "", "", &["billed refusal", "free refusal", "late refusal"]),
        ],
    );
    let (ran, report) = project.report(&["--csv", "bill.csv", "--quiet"]);
    let expected = [
        ("a-plain this", "0.042"),
        ("b-us this", "0.0462"),
        ("c-fast this", "0.084"),
        ("d-fast-us this", "0.0924"),
        ("e-batch this-later", "0.021"),
        ("f-batch-us this-later", "0.0231"),
        ("g-tiers at-the-limit", "0.0095"),
        ("g-tiers above-it", "0.0475005"),
        ("h-dated this", "0.021"),
        ("i-refused billed-refusal", "0.004"),
        ("i-refused free-refusal", "0.00"),
        ("i-refused late-refusal", "0.006"),
    ];
    let found = costs(&report);
    assert_eq!(found.iter().map(|(cell, cost)| (cell.as_str(), cost.as_str())).collect::<Vec<_>>(), expected, "{ran:?}");
    // 42,000 + 46,200 + 84,000 + 92,400 + 21,000 + 23,100 + 9,500 + 47,500.5 + 21,000 + 4,000 + 6,000.
    let stats = server.stats();
    assert_eq!((&report["bill"]["simulated_usd"], &stats["bill"]["usd"]), (&"0.3967005".into(), &"0.3967005".into()), "{stats}");
    assert_eq!(of_table(&project), 396_700_500_000);
}

/// The bill of one answer, by the simulator's books of that day.
fn of_books(day: &str) -> String {
    let clock = Clock::standing_at(format!("{day}T12:00:00Z").parse().unwrap());
    let server = Server::with(SCRIPT, Options { clock, ..Options::default() });
    let body = r#"{"model":"claude-sonnet-5-5","max_tokens":50,"messages":[{"role":"user","content":"this"}]}"#;
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: sim\r\nconnection: close\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json";
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    server.stats()["bill"]["usd"].as_str().unwrap().to_owned()
}

#[test]
fn a_price_of_one_day_is_not_that_of_the_next_in_the_report_and_in_the_books() {
    let usage = Usage {
        input_tokens: 1_000,
        output_tokens: 100,
        cache_write_5m_tokens: 2_000,
        cache_write_1h_tokens: 3_000,
        cache_read_tokens: 10_000,
        ..Usage::default()
    };
    // 20,000 millionths and what is read: until 2026-10-06 10,000 x 0.20, then 10,000 x 0.10.
    for (day, dollars) in [("2026-10-06", "0.022"), ("2026-10-07", "0.021")] {
        let ours = of_usage(Catalog::embedded(), "claude-sonnet-5-5", &usage, day.parse().unwrap()).unwrap().total;
        assert_eq!((ours, of_books(day)), (dollars.parse::<Money>().unwrap(), dollars.to_owned()), "{day}");
    }
}

#[test]
fn each_price_of_the_settings_is_the_one_that_is_billed() {
    let server = Server::start(SCRIPT);
    let project = project(&server, &[suite("own", "claude-haiku-4-5, claude-sonnet-4-6", "", "", &["this"])]);
    // In millionths: 1,000 x 2 + 100 x 6 + 2,000 x 3 + 3,000 x 5 + 10,000 x 0.5 = 28,600, the price of the dated id being that of
    // its alias too; without cache prices 1,000 x 2 + 100 x 6 + 2,000 x 2.50 + 3,000 x 4 + 10,000 x 0.20 = 21,600.
    let settings = project.read("promptkeel.toml");
    let own = "\n[prices.\"claude-haiku-4-5-20251001\"]\ninput = \"2\"\noutput = \"6\"\ncache_write_5m = \"3\"\ncache_write_1h = \"5\"\ncache_read = \"0.5\"\n\
               [prices.\"claude-sonnet-4-6\"]\ninput = \"2\"\noutput = \"6\"\n";
    project.rewrite("promptkeel.toml", &format!("{settings}{own}"));
    let (ran, report) = project.report(&["--model", "claude-haiku-4-5", "--csv", "bill.csv"]);
    assert_eq!(costs(&report), [("own this".to_owned(), "0.0286".to_owned())], "{ran:?}");
    assert_eq!((&report["bill"]["simulated_usd"], of_table(&project)), (&"0.0286".into(), 28_600_000_000));
    let (ran, report) = project.report(&["--model", "claude-sonnet-4-6", "--csv", "bill.csv"]);
    assert_eq!(costs(&report), [("own this".to_owned(), "0.0216".to_owned())], "{ran:?}");
    assert_eq!((&report["bill"]["simulated_usd"], of_table(&project)), (&"0.0216".into(), 21_600_000_000));
}

#[test]
fn a_price_that_cannot_be_meant_is_refused_with_its_place() {
    let mut told = String::new();
    for price in [
        "input = \"2\"",
        "input = \"-2\"\noutput = \"6\"",
        "input = \"two\"\noutput = \"6\"",
        "input = \"2\"\noutput = \"2000000\"",
        "input = \"2\"\noutput = \"6\"\ncache_reads = \"1\"",
        "input = \"2\"\noutput = \"6\"\ncache_read = \"\"",
        "input = \"2\"\noutput = \"6\"\ncache_write_5m = \"0.0000000000001\"",
        "input = \"2\"\noutput = \"6\"\ncache_write_1h = \"NaN\"",
    ] {
        let project = Project::passing();
        let settings = project.read("promptkeel.toml");
        project.rewrite("promptkeel.toml", &format!("{settings}\n[prices.\"m\"]\n{price}\n"));
        let ran = project.run(&["check"]);
        assert_eq!(ran.code, 2, "{price}: {ran:?}");
        told.push_str(&format!("# {}\n{}", price.replace('\n', ", "), ran.stderr));
    }
    insta::assert_snapshot!(told);
}
