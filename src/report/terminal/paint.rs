//! How does a line get its colours, and how is it brought to the terminal's width?

use std::borrow::Cow;
use std::io;

use anstyle::{AnsiColor, Style};
use unicode_segmentation::UnicodeSegmentation;

use crate::report::visible;

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// Some text in one style.
#[derive(Debug, Clone)]
pub(crate) struct Span<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) style: Style,
}

/// A piece of a line.
pub(crate) fn span<'a>(style: Style, text: impl Into<Cow<'a, str>>) -> Span<'a> {
    Span { text: text.into(), style }
}

/// Where the summary is written.
pub(crate) struct Screen<'a> {
    out: &'a mut dyn io::Write,
    colour: bool,
    /// Columns that may be used.
    pub(crate) width: usize,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(out: &'a mut dyn io::Write, style: crate::report::style::Style) -> Self {
        Self { out, colour: style.colour, width: usize::from(style.width).clamp(40, 400) }
    }

    /// Changed words are marked by `[-` `-]` where no colour can do it.
    pub(crate) const fn needs_marks(&self) -> bool {
        !self.colour
    }

    pub(crate) fn blank(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    /// One line, as long as it is.
    pub(crate) fn line(&mut self, spans: &[Span<'_>]) -> io::Result<()> {
        // In a log of GitHub Actions a line that begins so, blanks apart, is a command and obeyed.
        let letters = spans.iter().flat_map(|span| span.text.chars()).skip_while(|letter| letter.is_whitespace());
        let mut is_command = letters.take(2).eq("::".chars());
        for span in spans {
            let text = match span.text.split_once(':').filter(|_| is_command) {
                Some((blanks, rest)) => Cow::Owned(format!("{blanks}\\u{{3a}}{rest}")),
                None => Cow::Borrowed(&*span.text),
            };
            is_command &= span.text.trim().is_empty();
            if self.colour && span.style != PLAIN && !span.text.trim().is_empty() {
                write!(self.out, "{}{text}{:#}", span.style, span.style)?;
            } else {
                self.out.write_all(text.as_bytes())?;
            }
        }
        self.blank()
    }

    /// A section's head.
    pub(crate) fn heading(&mut self, title: &str, detail: &str) -> io::Result<()> {
        self.blank()?;
        if detail.is_empty() {
            return self.line(&[span(BOLD, title)]);
        }
        self.line(&[span(BOLD, title), span(DIM, format!("  {detail}"))])
    }

    /// The spans broken into lines between words, the first behind `first`, the others behind blanks of the same width, and
    /// at most `most` lines. Answers how many lines did not fit into that.
    pub(crate) fn wrapped(&mut self, first: &[Span<'_>], spans: &[Span<'_>], most: usize) -> io::Result<usize> {
        let indent: usize = first.iter().map(|span| visible::width(&span.text)).sum();
        let lines = wrap(spans, self.width.saturating_sub(indent).max(16));
        for (index, line) in lines.iter().take(most).enumerate() {
            let mut whole: Vec<Span<'_>> = if index == 0 { first.to_vec() } else { vec![span(PLAIN, " ".repeat(indent))] };
            whole.extend_from_slice(line);
            // Blanks at an end can be seen by nobody and get into every copy.
            while whole.last().is_some_and(|last| last.text.trim_end().is_empty()) {
                whole.pop();
            }
            if let Some(last) = whole.last_mut() {
                let text = last.text.trim_end();
                let goes_on = index + 1 == most && lines.len() > most;
                last.text = Cow::Owned(match text.rsplit_once(' ') {
                    Some((text, _)) if goes_on => format!("{text} …"),
                    None if goes_on => "…".to_owned(),
                    _ => text.to_owned(),
                });
            }
            self.line(&whole)?;
        }
        Ok(lines.len().saturating_sub(most))
    }
}

/// Lines of at most `width` columns; breaks after blanks, else wherever a character ends. Line breaks in a span are kept.
pub(crate) fn wrap<'a>(spans: &'a [Span<'_>], width: usize) -> Vec<Vec<Span<'a>>> {
    let mut lines: Vec<Vec<Span<'a>>> = vec![Vec::new()];
    let mut used = 0;
    for piece in spans {
        for (index, line) in piece.text.split('\n').enumerate() {
            if index > 0 {
                lines.push(Vec::new());
                used = 0;
            }
            for word in words(line, width) {
                let columns = visible::width(word);
                let needed = visible::width(word.trim_end());
                if used > 0 && used + needed > width {
                    lines.push(Vec::new());
                    used = 0;
                }
                push(&mut lines, word, piece.style);
                used += columns;
            }
        }
    }
    lines
}

fn push<'a>(lines: &mut [Vec<Span<'a>>], word: &'a str, style: Style) {
    let Some(line) = lines.last_mut() else { return };
    match line.last_mut() {
        Some(last) if last.style == style => last.text.to_mut().push_str(word),
        _ => line.push(span(style, word)),
    }
}

/// Words with the blanks behind them; a word that is wider than a line is taken apart.
fn words(line: &str, width: usize) -> impl Iterator<Item = &str> {
    line.split_inclusive(' ').flat_map(move |word| {
        let mut parts = Vec::new();
        let mut rest = word;
        while visible::width(rest.trim_end()) > width {
            let mut columns = 0;
            let fits = |grapheme: &(usize, &str)| {
                columns += visible::width(grapheme.1);
                columns <= width
            };
            let end = rest.grapheme_indices(true).take_while(fits).last().map_or(0, |(at, grapheme)| at + grapheme.len());
            let end = if end == 0 { rest.graphemes(true).next().map_or(rest.len(), str::len) } else { end };
            let (part, after) = rest.split_at(end);
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(lines: &[Vec<Span<'_>>]) -> Vec<String> {
        lines.iter().map(|line| line.iter().map(|span| span.text.as_ref()).collect::<String>().trim_end().to_owned()).collect()
    }

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        let spans = [span(PLAIN, "We refunded "), span(BAD, "the second charge"), span(PLAIN, " 短い名前のモデルです")];
        assert_eq!(plain(&wrap(&spans, 12)), ["We refunded", "the second", "charge", "短い名前のモ", "デルです"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_wider_than_asked(text in "[a-z ä日👩‍👩‍👧\n]{0,200}", width in 2_usize..40) {
            let spans = [span(PLAIN, text.as_str())];
            let lines = wrap(&spans, width);
            let kept: String = lines.iter().flatten().map(|span| span.text.as_ref()).collect();
            prop_assert_eq!(kept, text.replace('\n', ""));
            for line in plain(&lines) {
                prop_assert!(visible::width(&line) <= width, "{:?}", line);
            }
        }
    }
}
