//! Where in a file does a span of bytes stand, in the lines and columns that people count?

use std::sync::Arc;

use crate::model::problem::{Place, Problem, Site};

/// Longest part of a line that a [`Place`] carries, in characters.
const LONGEST_LINE: usize = 400;

/// Bytes `start..end` of a [`Document`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// From offsets; a document is far below 4 GiB (see `tree::LARGEST_FILE`).
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let offset = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { start: offset(start), end: offset(end) }
    }
}

/// The text of one file, with its lines found.
#[derive(Debug, Clone)]
pub struct Document {
    path: Arc<str>,
    text: Arc<str>,
    line_starts: Arc<[u32]>,
}

impl Document {
    /// `path` is relative to the project root; `text` carries no byte order mark.
    #[must_use]
    pub fn new(path: Arc<str>, text: Arc<str>) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| Span::new(at + 1, at + 1).start);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        Self { path, text, line_starts }
    }

    /// From the bytes of a file: UTF-8 without NUL, a byte order mark taken off.
    ///
    /// # Errors
    /// When the bytes are not such a text; the problem names the line.
    pub fn from_bytes(path: &Arc<str>, bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(Problem::error(format!("`{path}` is UTF-16, not UTF-8"))
                .at(start_of(path))
                .hint("save it as UTF-8 (in most editors: `save with encoding`)"));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("the bytes before the first bad one are UTF-8");
                let document = Self::new(Arc::clone(path), Arc::from(good));
                let bad = bytes[error.valid_up_to()];
                return Err(Problem::error(format!("`{path}` is not UTF-8: byte 0x{bad:02x} cannot stand here"))
                    .at(document.place(Span::new(good.len(), good.len())))
                    .hint("save it as UTF-8 (in most editors: `save with encoding`)"));
            }
        };
        let document = Self::new(Arc::clone(path), Arc::from(text));
        if let Some(at) = text.find('\0') {
            let span = Span::new(at, at + 1);
            return Err(Problem::error(format!("`{path}` holds a NUL character: this looks like a binary file"))
                .at(document.place(span))
                .hint("name a text file here, or remove the character"));
        }
        Ok(document)
    }

    /// Relative to the project root.
    #[must_use]
    pub const fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The whole text.
    #[must_use]
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The text of a span; empty where the span is not inside the document.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// 1-based line of an offset.
    #[must_use]
    pub fn line(&self, offset: u32) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// File and line of a span.
    #[must_use]
    pub fn site(&self, span: Span) -> Site {
        Site { file: Arc::clone(&self.path), line: self.line(span.start) }
    }

    /// The span of a 1-based line without its line break; the last line where there are fewer.
    #[must_use]
    pub fn line_span(&self, line: u32) -> Span {
        let index = (line.max(1) as usize - 1).min(self.line_starts.len() - 1);
        let start = self.line_starts[index] as usize;
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |next| *next as usize - 1);
        let end = if end > start && self.text.as_bytes()[end - 1] == b'\r' { end - 1 } else { end };
        Span::new(start, end)
    }

    /// The place of a span, cut to its first line. Never panics: an offset outside the text or inside a character moves to the next good one.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let line = self.line(span.start.min(u32::try_from(self.text.len()).unwrap_or(u32::MAX)));
        let whole = self.line_span(line);
        let source = self.slice(whole);
        let inside = |offset: u32| (offset.clamp(whole.start, whole.end) - whole.start) as usize;
        let characters_before = |offset: usize| source.char_indices().take_while(|(at, _)| *at < offset).count();
        let start = characters_before(inside(span.start));
        let end = characters_before(inside(span.end)).max(start + 1);
        place(&self.path, line, start, end, source)
    }

    /// The place of columns `start..end` (0-based, in characters) of a 1-based line.
    #[must_use]
    pub fn place_in_line(&self, line: u32, columns: Option<(u32, u32)>) -> Place {
        let source = self.slice(self.line_span(line));
        let (start, end) = columns.map_or_else(
            || (source.chars().take_while(|character| character.is_whitespace()).count(), source.trim_end().chars().count()),
            |(column, length)| (column.max(1) as usize - 1, column.max(1) as usize - 1 + length as usize),
        );
        place(&self.path, line, start, end, source)
    }
}

/// The beginning of a file whose text is not known.
#[must_use]
pub fn start_of(path: &Arc<str>) -> Place {
    Place { file: Arc::clone(path), line: 1, column: 1, length: 1, source: String::new() }
}

fn place(path: &Arc<str>, line: u32, start: usize, end: usize, source: &str) -> Place {
    let kept: String = source.chars().take(LONGEST_LINE.max(end + 40).min(LONGEST_LINE * 10)).collect();
    let count = kept.chars().count();
    let start = start.min(count);
    let end = end.clamp(start + 1, count.max(start) + 1);
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { file: Arc::clone(path), line, column: number(start + 1), length: number(end - start), source: kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(text: &str) -> Document {
        Document::new("a.yaml".into(), text.into())
    }

    #[test]
    fn columns_count_characters_and_lines_end_before_their_break() {
        let document = document("grün: ja\r\nb: [c]\n");
        let place = document.place(Span::new(7, 9));
        assert_eq!((place.line, place.column, place.length, place.source.as_str()), (1, 7, 2, "grün: ja"));
        let place = document.place(Span::new(14, 17));
        assert_eq!((place.line, place.column, place.length, place.source.as_str()), (2, 4, 3, "b: [c]"));
    }

    #[test]
    fn bytes_that_are_no_text_are_named_with_their_line() {
        let path: Arc<str> = "a.yaml".into();
        let problem = Document::from_bytes(&path, b"a: 1\nb: \xff\n").expect_err("not UTF-8");
        assert_eq!(problem.message, "`a.yaml` is not UTF-8: byte 0xff cannot stand here");
        assert_eq!(problem.place.map(|place| (place.line, place.column)), Some((2, 4)));
        assert!(Document::from_bytes(&path, b"a\0b").is_err());
        assert!(Document::from_bytes(&path, b"\xff\xfea\0").expect_err("UTF-16").message.contains("UTF-16"));
        assert_eq!(&**Document::from_bytes(&path, b"\xEF\xBB\xBFa: 1").expect("a mark is no error").text(), "a: 1");
    }

    proptest! {
        #[test]
        fn every_span_has_a_place_inside_its_line(text in "[a-zäß🦀\r\n\t ]{0,60}", start in 0_usize..80, length in 0_usize..20) {
            let place = document(&text).place(Span::new(start, start + length));
            let count = u32::try_from(place.source.chars().count()).expect("short");
            prop_assert!(place.line >= 1 && place.column >= 1 && place.length >= 1);
            prop_assert!(place.column + place.length <= count + 2);
        }
    }
}
