//! Is any problem drawn, wherever it says that it stands, with nothing in it that a terminal obeys?

use promptkeel::model::problem::{Place, Problem, Severity};
use promptkeel::report::problem::render;
use promptkeel::report::style::Style;

use super::excerpts::is_harmless;
use super::parts;

/// The input is `line column length width` in decimal, then message, hint, file and the line's text.
pub fn holds(input: &[u8]) {
    let Some([numbers, message, hint, file, source]) = parts(input) else { return };
    let mut numbers = numbers.split(' ').map(|number| number.parse::<u32>().unwrap_or(u32::MAX));
    let mut number = || numbers.next().unwrap_or(0);
    let place = Place { file: file.as_ref().into(), line: number(), column: number(), length: number(), source: source.into_owned() };
    let width = u16::try_from(number()).unwrap_or(u16::MAX);
    let severity = [Severity::Note, Severity::Warning, Severity::Error][message.len() % 3];
    let problem = Problem { severity, ..Problem::error(message).at(place) };
    let placeless = Problem { place: None, ..problem.clone() };
    let all = [problem.clone().hint(hint), problem, placeless];
    let drawn = render(&all, Style { colour: false, width });
    assert!(is_harmless(&drawn), "{drawn:?}");
    // Colours are all that is added: without them the same is read.
    let coloured = render(&all, Style { colour: true, width });
    assert_eq!(uncoloured(&coloured), drawn);
}

/// Without `ESC [ ... m`.
fn uncoloured(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    first + &pieces.map(|piece| piece.split_once('m').map_or("", |(_, rest)| rest)).collect::<String>()
}
