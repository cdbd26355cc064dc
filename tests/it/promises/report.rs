//! Is any run report read back as it was written, and drawn in every format without harm; is anything else refused?

use promptkeel::model::run::RunReport;
use promptkeel::report::style::Style;
use promptkeel::report::{Format, json, terminal, write};

use super::excerpts::is_harmless;

/// The input is a file that a run may have written.
pub fn holds(input: &[u8]) {
    let report = match json::read(input) {
        Ok(report) => report,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            return;
        }
    };
    let written = drawn(&report, Format::Json);
    assert_eq!(json::read(written.as_bytes()).expect("what was written is read"), report);
    for strict in [false, true] {
        let xml = drawn(&report, Format::Junit { strict });
        assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    }
    // A comment of GitHub or GitLab that is longer is refused as a whole.
    let markdown = drawn(&report, Format::Markdown);
    // A space of no width keeps a mention, a number or an address from becoming a link.
    assert!(markdown.chars().count() < 65_536 && is_harmless(&markdown.replace('\u{200b}', "")), "{markdown:?}");
    for width in [40, 100] {
        let mut out = Vec::new();
        terminal::summary(&report, &mut out, Style { colour: false, width }).expect("memory takes every byte");
        let text = String::from_utf8(out).expect("a terminal gets text");
        assert!(is_harmless(&text), "{text:?}");
    }
}

fn drawn(report: &RunReport, format: Format) -> String {
    let mut out = Vec::new();
    write(format, report, &mut out).expect("memory takes every byte");
    String::from_utf8(out).expect("every format is a text")
}
