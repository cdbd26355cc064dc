//! Is the page of a comparison whole, quiet, and deaf to what a model wrote?

use super::*;
use crate::model::money::Money;
use crate::model::side_by_side::Cheapest;
use crate::report::compared::tests::{SENTENCE, compared};
use crate::report::sample;

fn page(side_by_side: &SideBySide) -> String {
    let mut out = Vec::new();
    write(side_by_side, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap_or_else(|| panic!("no {start}")).1.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

/// One candidate more, at this cost, with this interval.
fn several() -> SideBySide {
    let mut several = compared("not_worse", SENTENCE);
    let mut other = several.comparisons[0].clone();
    other.candidate.name = "claude-opus-4-8".to_owned();
    other.candidate.cost_per_1000_calls_usd = Some("12.5".parse().unwrap());
    several.comparisons.push(other);
    several.cheapest = Some(Cheapest {
        against: "claude-sonnet-4-6".to_owned(),
        model: Some("claude-haiku-4-5".to_owned()),
        candidates: 2,
        ..Cheapest::default()
    });
    several
}

#[test]
fn the_page_of_a_comparison() {
    let page = page(&compared("not_worse", SENTENCE));
    insta::assert_snapshot!(between(&page, "<main", "</main>"));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    for page in [page(&compared("regressed", SENTENCE)), page(&several())] {
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
        assert_eq!(policy.matches("sha256").count(), 1, "{policy}");
        assert!(policy.contains(&format!("style-src '{}'", hash(between(&page, "<style>", "</style>")))), "{policy}");
        for refused in ["<script", " style=", "<img", "<link", " src=", "<iframe", "unsafe", " onerror", " onload"] {
            assert!(!page.contains(refused), "{refused}: {page}");
        }
        assert_eq!(page.matches(" href=").count(), 1, "the one link leads to the page's own main part");
    }
}

#[test]
fn what_a_model_wrote_is_text() {
    let mut hostile = compared("undecided", SENTENCE);
    let comparison = &mut hostile.comparisons[0];
    comparison.candidate.name = format!("</title><b>{}", sample::HOSTILE);
    comparison.critical = vec!["</main>".to_owned()];
    let page = page(&hostile);
    assert_eq!((page.matches("</main>").count(), page.matches("</title>").count(), page.matches("</details>").count()), (1, 1, 2));
    assert!(!page.contains("<x a=") && !page.contains("<b>") && !page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");
}

#[test]
fn the_cheapest_that_will_do_stands_first() {
    let page = page(&several());
    assert!(page.contains("<title>claude-haiku-4-5 will do · promptkeel</title>"));
    let main = between(&page, "<main", "</main>");
    let (cheapest, first) = (main.find("the cheapest model").unwrap(), main.find("<h2><span class=\"mark").unwrap());
    assert!(cheapest < first && main.matches("<h1>").count() == 1, "{main}");
    assert_eq!(main.matches("<th scope=\"row\">").count(), 3, "the baseline and two candidates");
    assert_eq!(main.matches("<circle").count(), 3);
}

#[test]
fn a_point_stands_where_its_numbers_say() {
    let drawn = plot::of(&compared("not_worse", SENTENCE).comparisons);
    // $4.20 of a scale that ends at $5, within 4 % at both sides; $1.40 of the same.
    for told in [
        "cx=\"81.28%\"",
        "cx=\"29.76%\"",
        ">$5</text>",
        ">100 %</text>",
        ">90 %</text>",
        "claude-sonnet-4-6 (baseline): 98.3 %, interval 95.6-99.4 %, $4.20",
    ] {
        assert!(drawn.contains(told), "{told}: {drawn}");
    }
}

#[test]
fn names_do_not_stand_on_each_other() {
    let mut many = several();
    for number in 0..8 {
        let mut other = many.comparisons[0].clone();
        other.candidate.name = format!("model-{number}");
        many.comparisons.push(other);
    }
    let drawn = plot::of(&many.comparisons);
    let label = |part: &str| part.split_once("\" text-anchor").and_then(|(y, _)| y.parse::<f64>().ok());
    let labels = between(&drawn, "role=\"img\"", "</svg>");
    let mut labels: Vec<f64> = labels.split("\" y=\"").filter_map(label).collect();
    labels.sort_by(f64::total_cmp);
    assert_eq!(labels.len(), 11);
    assert!(labels.windows(2).all(|pair| pair[1] - pair[0] > 16.9), "{labels:?}");
    assert!(labels[0] > 0.0 && labels[10] < 260.0, "{labels:?}");
}

#[test]
fn without_costs_there_is_no_drawing() {
    let mut free = compared("not_worse", SENTENCE);
    free.comparisons[0].candidate.cost_per_1000_calls_usd = None;
    assert_eq!(plot::of(&free.comparisons), "");
    let mut nothing = compared("not_worse", SENTENCE);
    nothing.comparisons[0].candidate.cost_per_1000_calls_usd = Some(Money::ZERO);
    nothing.comparisons[0].baseline.cost_per_1000_calls_usd = Some(Money::ZERO);
    assert_eq!(plot::of(&nothing.comparisons), "");
    assert_eq!(plot::of(&[]), "");
}
