//! The simulator's books: does the bill name every reply once, at its price?

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::clock::Clock;
use super::super::server::Options;
use super::{HEADERS, post, send, start_with};

fn at(time: &str) -> Options {
    Options { clock: Clock::standing_at(time.parse::<DateTime<Utc>>().unwrap()), ..Options::default() }
}

fn asking(model: &str, prompt: &str) -> Value {
    json!({"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]})
}

#[tokio::test]
async fn every_reply_is_on_the_bill_to_the_last_pico_dollar() {
    let script = "
models: [my-model]
rules:
  - {when: {text: long}, then: {text: x, usage: {input_tokens: 90001, cache_read_input_tokens: 10000, output_tokens: 3}}}
  - {when: {text: cached}, then: {text: x, usage: {input_tokens: 1, cache_read_input_tokens: 7, ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 5, output_tokens: 11}}}
  - {when: {text: broken}, then: {fault: lost, text: x, usage: {input_tokens: 100, output_tokens: 10}}}
  - {when: {text: cyber}, then: {refusal: {category: cyber}, usage: {input_tokens: 100}}}
  - {when: {text: bio}, then: {refusal: {category: bio}, usage: {input_tokens: 100}}}
  - {when: {text: own}, then: {text: x, usage: {input_tokens: 100, output_tokens: 10}}}";
    let simulator = start_with(script, at("2026-11-22T23:59:59Z")).await;
    for (model, prompt) in [
        ("claude-haiku-5-5", "long"),
        ("claude-haiku-5-5", "cached"),
        ("claude-sonnet-5-5", "cached"),
        ("claude-opus-4-7", "cyber"),
        ("claude-opus-4-7", "bio"),
        ("my-model", "own"),
    ] {
        assert_eq!(post(&simulator, &asking(model, prompt)).await.status, 200);
    }
    let mut in_the_us = asking("claude-haiku-5-5", "cached");
    in_the_us["inference_geo"] = "us".into();
    assert_eq!(post(&simulator, &in_the_us).await.status, 200);
    let body = asking("claude-opus-5-5", "broken").to_string();
    assert!(send(&simulator, "POST", "/v1/messages", HEADERS, body.as_bytes()).await.is_err());
    let stats = simulator.stats();
    // Haiku: over 100,000 tokens of prompt 90,001 x 0.5, 10,000 x 0.05 and 3 x 2.5 micro-dollars; then 0.1 + 7 x 0.01 + 3 x 0.125 + 5 x 0.2 + 11 x 0.5,
    // and the same times 1.1.
    let small = 100_000 + 70_000 + 375_000 + 1_000_000 + 5_500_000_u64;
    let haiku = 45_000_500_000 + 500_000_000 + 7_500_000 + small + small * 11 / 10;
    let sonnet = 2_000_000 + 700_000 + 7_500_000 + 20_000_000 + 110_000_000_u64;
    let opus = 500_000_000_u64;
    let dollars = |pico: u64| format!("0.{pico:012}").trim_end_matches('0').to_owned();
    let models = &stats["billed_by_model"];
    assert_eq!(models["claude-haiku-5-5"]["usd"], dollars(haiku));
    assert_eq!(models["claude-sonnet-5-5"]["usd"], dollars(sonnet));
    assert_eq!((&models["claude-opus-4-7"]["usd"], &models["claude-opus-4-7"]["replies"]), (&json!("0.0005"), &json!(1)), "cyber is free");
    assert_eq!((&models["(of the script)"]["usd"], &models["(of the script)"]["unpriced_replies"]), (&json!("0.00"), &json!(1)));
    let bill = &stats["bill"];
    assert_eq!(bill["usd"], dollars(haiku + sonnet + opus));
    // 100 x 4 + 10 x 20 micro-dollars, apart from the rest.
    assert_eq!((&bill["lost_on_the_way_usd"], &bill["unpriced_replies"]), (&json!("0.0006"), &json!(1)));
    assert_eq!(simulator.dollars(), (dollars(haiku + sonnet + opus), "0.0006".to_owned()));
}

#[tokio::test]
async fn prices_are_those_of_the_day_of_the_reply() {
    let script = "otherwise: {text: x, usage: {input_tokens: 0, cache_read_input_tokens: 1000000, output_tokens: 0}}";
    for (time, usd) in [("2026-10-06T23:59:59Z", "0.20"), ("2026-10-07T00:00:00Z", "0.10")] {
        let simulator = start_with(script, at(time)).await;
        post(&simulator, &asking("claude-sonnet-5-5", "x")).await;
        assert_eq!(simulator.stats()["bill"]["usd"], usd);
    }
    let refused = "otherwise: {refusal: {category: bio}, usage: {input_tokens: 1000000}}";
    for (time, usd) in [("2026-09-23T12:00:00Z", "0.00"), ("2026-09-24T00:00:00Z", "5.00")] {
        let simulator = start_with(refused, at(time)).await;
        post(&simulator, &asking("claude-opus-5", "x")).await;
        assert_eq!(simulator.stats()["bill"]["usd"], usd);
    }
}

#[tokio::test]
async fn caching_is_on_the_bill_as_it_was_accounted() {
    let simulator = start_with("otherwise: {text: x, usage: {output_tokens: 0}}", at("2026-11-22T12:00:00Z")).await;
    let mut body = asking("claude-sonnet-4-5", "hi!!");
    body["system"] = json!([{"type": "text", "text": "word".repeat(2000), "cache_control": {"type": "ephemeral"}}]);
    for _ in 0..3 {
        post(&simulator, &body).await;
    }
    // One write at 3.75, two reads at 0.30, three times 8 tokens at 3 micro-dollars.
    assert_eq!(simulator.stats()["bill"]["usd"], "0.008772");
}
