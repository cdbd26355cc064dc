//! The run as one page for a browser, without a network: what is its shell, and how does the report get into it?
//!
//! ```html
//! <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-...'; ...">
//! ...
//! <script type="application/json" id="report">{
//! "schema": "promptkeel.run/1",
//! ...
//! }</script>
//! <script>the page</script>
//! ```
//! The shell is the same for every run; the report stands in it as JSON, written a cell at a time, and the page's own script draws what is looked
//! at. Three things keep an output from running as script: the JSON holds no `<`, the script makes nodes and texts but never parses HTML, and the
//! policy runs nothing but the one script whose hash it names.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::LazyLock;

use ring::digest::{SHA256, digest};

use crate::model::right_size::RightSize;
use crate::model::run::RunReport;
use crate::report::{json, right_size, visible, words};

pub(super) mod compared;
mod plot;

const PAGE: &str = include_str!("html/page.html");

static STYLE: LazyLock<String> = LazyLock::new(|| {
    lean(concat!(
        include_str!("html/style.css"),
        include_str!("html/matrix.css"),
        include_str!("html/case.css"),
        include_str!("html/compared.css")
    ))
});

static SCRIPT: LazyLock<String> = LazyLock::new(|| lean(SOURCE));

/// One function around all files, so that none of their names is global.
const SOURCE: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("html/dom.js"),
    include_str!("html/words.js"),
    include_str!("html/run.js"),
    include_str!("html/diff.js"),
    include_str!("html/route.js"),
    include_str!("html/overview.js"),
    include_str!("html/charts.js"),
    include_str!("html/trends.js"),
    include_str!("html/filter.js"),
    include_str!("html/matrix.js"),
    include_str!("html/output.js"),
    include_str!("html/strange.js"),
    include_str!("html/case.js"),
    include_str!("html/decide.js"),
    include_str!("html/start.js"),
    "})();\n"
);

/// Without indents, empty lines and whole lines of comment: they are for who reads the source, and would stand in every page. No text of
/// ours goes over several lines, so that no line begins within one.
fn lean(source: &str) -> String {
    let mut lean = String::with_capacity(source.len());
    for line in source.lines().map(str::trim_start) {
        let comment = line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"));
        if !line.is_empty() && !comment {
            lean.push_str(line);
            lean.push('\n');
        }
    }
    lean
}

/// Nothing is loaded, nothing is sent, one style and one script count, and no text can become HTML by way of the script either.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(&STYLE),
        hash(&SCRIPT)
    )
});

/// Writes the page, the report in it a cell at a time.
///
/// # Errors
///
/// Only what `out` answers.
pub(super) fn write(report: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let mut pieces = PAGE.split("{{");
    out.write_all(pieces.next().unwrap_or_default().as_bytes())?;
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("every mark of the shell is closed: a test writes it");
        match name {
            "policy" => out.write_all(POLICY.as_bytes())?,
            "style" => out.write_all(STYLE.as_bytes())?,
            "script" => out.write_all(SCRIPT.as_bytes())?,
            "title" => out.write_all(attribute(&title(report)).as_bytes())?,
            "code" => write!(out, "{}", report.exit.code())?,
            "headline" => out.write_all(attribute(words::headline(report.exit)).as_bytes())?,
            "meaning" => out.write_all(attribute(words::exit(report.exit)).as_bytes())?,
            "compared" => compared::of_run(&report.comparisons, out)?,
            "hints" => hints(&report.right_size, out)?,
            "report" => {
                let mut island = Island { out: &mut *out, held: Vec::with_capacity(2) };
                json::write(report, &mut island)?;
                island.end()?;
            }
            other => unreachable!("the shell has no mark `{other}`: a test writes it"),
        }
        out.write_all(rest.as_bytes())?;
    }
    Ok(())
}

/// What could be smaller; nothing where there is no hint.
fn hints(hints: &[RightSize], out: &mut dyn Write) -> io::Result<()> {
    if hints.is_empty() {
        return Ok(());
    }
    write!(out, "<section class=\"panel attention\" id=\"hints\"><h2>Could be smaller</h2>")?;
    for hint in hints.iter().take(right_size::MOST) {
        write!(out, "<p>{}</p>", attribute(&visible::brief(&right_size::line(hint), 1_000)))?;
    }
    if hints.len() > right_size::MOST {
        write!(out, "<p>{} more in the JSON report</p>", hints.len() - right_size::MOST)?;
    }
    write!(out, "</section>")
}

/// `FAILED (simulated) · 20261122-143120-9f3a · promptkeel`: the verdict first, because a tab shows no more.
fn title(report: &RunReport) -> String {
    let simulated = if report.run.simulated { " (simulated)" } else { "" };
    format!("{}{simulated} · {} · promptkeel", words::headline(report.exit), visible::name(&report.run.id))
}

/// Text that can stand in an element and between the double quotes of an attribute.
fn attribute(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"))
}

/// JSON on its way into a page. What could end the element or begin another one stands only within strings, where an escape says the same.
struct Island<'a> {
    out: &'a mut dyn Write,
    /// The first bytes of a character that may be U+2028 or U+2029, which older scripts take for the end of a line.
    held: Vec<u8>,
}

impl Island<'_> {
    fn end(mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.out.write_all(&held)
    }

    /// What stands for `byte` here; `None` where it stands for itself.
    fn escape(&mut self, byte: u8) -> io::Result<Option<&'static [u8]>> {
        Ok(match (self.held.as_slice(), byte) {
            ([], b'<') => Some(b"\\u003c"),
            ([], b'>') => Some(b"\\u003e"),
            ([], b'&') => Some(b"\\u0026"),
            ([], 0xe2) | ([0xe2], 0x80) => {
                self.held.push(byte);
                Some(b"")
            }
            ([0xe2, 0x80], 0xa8) => {
                self.held.clear();
                Some(b"\\u2028")
            }
            ([0xe2, 0x80], 0xa9) => {
                self.held.clear();
                Some(b"\\u2029")
            }
            ([], _) => None,
            // Another character that begins alike. What follows is never `<`: that would not be UTF-8.
            _ => {
                self.out.write_all(&self.held)?;
                self.held.clear();
                None
            }
        })
    }
}

impl Write for Island<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let plain = self.held.is_empty() && !matches!(byte, b'<' | b'>' | b'&' | 0xe2);
            if plain {
                continue;
            }
            self.out.write_all(&bytes[from..at])?;
            from = at;
            if let Some(escaped) = self.escape(*byte)? {
                self.out.write_all(escaped)?;
                from = at + 1;
            }
        }
        self.out.write_all(&bytes[from..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// As a content security policy names an inline text: `sha256-` and the digest in Base64.
fn hash(text: &str) -> String {
    format!("sha256-{}", base64(digest(&SHA256, text.as_bytes()).as_ref()))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |number, index| number << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
        for index in 0..4 {
            let digit = ALPHABET[(number >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use proptest::prelude::*;

    fn page(report: &RunReport) -> String {
        let mut out = Vec::new();
        write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        text.split_once(start).unwrap_or_else(|| panic!("no {start}")).1.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
    }

    fn island(page: &str) -> &str {
        between(page, "<script type=\"application/json\" id=\"report\">", "</script>")
    }

    #[test]
    fn the_page_holds_the_whole_report() {
        let report = sample::report();
        let page = page(&report);
        assert_eq!(json::read(island(&page).as_bytes()).unwrap(), report);
        // Its own two ends and the three elements of the shell: what an output says adds none.
        assert_eq!(page.matches("</script").count(), 2);
        assert_eq!(page.matches("<script").count(), 2);
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_that_stand_in_the_page() {
        let page = page(&sample::report());
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
        assert!(policy.contains(&format!("style-src '{}'", hash(between(&page, "<style>", "</style>")))), "{policy}");
        assert!(policy.contains(&format!("script-src '{}'", hash(between(&page, "<script>", "</script>")))), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn a_hash_is_what_a_browser_computes() {
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!([base64(b"f"), base64(b"fo"), base64(b"foo")], ["Zg==", "Zm8=", "Zm9v"]);
    }

    #[test]
    fn the_shell_loads_nothing_and_its_script_parses_no_html() {
        let shell = format!("{PAGE}{}{}", *STYLE, *SCRIPT);
        let addresses = shell.match_indices("://").map(|(at, _)| &shell[at.saturating_sub(5)..(at + 24).min(shell.len())]);
        let foreign: Vec<&str> = addresses.filter(|address| !address.contains("://www.w3.org/2000/svg")).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "@import", "url(", "fetch(", "XMLHttp"]
        {
            assert!(!shell.contains(forbidden), "{forbidden}");
        }
        assert!(shell.len() < 125_000, "{} bytes stand in every page", shell.len());
    }

    #[test]
    fn what_is_only_for_who_reads_the_source_stands_in_no_page() {
        assert_eq!(lean("// Why.\n\n  a(); // kept\n/* one */\n\tb { c: d }\n"), "a(); // kept\nb { c: d }\n");
    }

    #[test]
    fn a_simulated_run_says_so_where_a_tab_shows_it() {
        assert!(page(&sample::simulated()).contains("<title>PASSED (simulated) · 20261122-143120-9f3a · promptkeel</title>"));
        assert!(page(&sample::report()).contains("<title>FAILED · 20261122-143120-9f3a · promptkeel</title>"));
    }

    #[test]
    fn what_a_report_file_says_of_itself_cannot_break_the_shell() {
        let mut report = sample::simulated();
        report.run.id = "</title><script>alert(1)</script>\"".to_owned();
        let page = page(&report);
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(json::read(island(&page).as_bytes()).unwrap(), report);
    }

    /// Keeps nothing but the size of the largest piece and of all.
    struct Sizes {
        largest: usize,
        all: usize,
    }

    impl Write for Sizes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (self.largest, self.all) = (self.largest.max(bytes.len()), self.all + bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn ten_thousand_cells_are_never_held_a_second_time() {
        let mut sizes = Sizes { largest: 0, all: 0 };
        write(&sample::passing(10_000), &mut sizes).unwrap();
        assert!(sizes.all > 10_000_000, "{}", sizes.all);
        assert!(sizes.largest <= SCRIPT.len(), "{}", sizes.largest);
    }

    proptest! {
        #[test]
        fn the_island_reads_back_as_it_was_and_holds_nothing_of_html(text in any::<String>(), spice in "[<>&\u{2028}\u{2029}\u{2030}é/a]{0,40}", cut in 1_usize..7) {
            let json = serde_json::to_vec(&[&text, &spice, "</script><!--"]).unwrap();
            let mut written = Vec::new();
            let mut island = Island { out: &mut written, held: Vec::new() };
            // However the pieces arrive.
            for piece in json.chunks(cut) {
                island.write_all(piece).unwrap();
            }
            island.end().unwrap();
            let written = String::from_utf8(written).unwrap();
            let html = written.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(!html);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), [text, spice, "</script><!--".to_owned()]);
        }
    }
}
