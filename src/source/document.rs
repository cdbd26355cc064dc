//! Where in a file does a span of bytes stand, in the lines and columns that people count?

use std::sync::Arc;

use crate::model::problem::{Place, Problem, Site};

/// Longest part of a line that a [`Place`] carries, in characters; ten times as much where what is pointed at stands further behind.
const LONGEST_LINE: usize = 400;

/// Bytes between two marks of the index: what one look-up reads at most, however long the lines and however many they are.
const STRIDE: usize = 1 << 12;

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

/// The text of one file, with its lines found. A look-up takes a bounded time: a file may have one line of 100 MiB, or as many lines
/// as bytes, and a mistake at every one of them.
#[derive(Debug, Clone)]
pub struct Document {
    path: Arc<str>,
    text: Arc<str>,
    marks: Arc<[Mark]>,
}

/// What stands before a multiple of [`STRIDE`].
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Line feeds.
    lines: u32,
    /// Characters, counted by their first bytes.
    characters: u32,
}

impl Document {
    /// `path` is relative to the project root; `text` carries no byte order mark.
    #[must_use]
    pub fn new(path: Arc<str>, text: Arc<str>) -> Self {
        let mut before = Mark { lines: 0, characters: 0 };
        let marks = text.as_bytes().chunks(STRIDE).map(|chunk| {
            let mark = before;
            before.lines += counted(chunk, is_break);
            before.characters += counted(chunk, begins_character);
            mark
        });
        let marks = marks.collect();
        Self { path, text, marks }
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
        1 + self.before(offset as usize, |mark| mark.lines, is_break)
    }

    /// How much stands before an offset: what the mark before it says, and what is counted from there.
    fn before(&self, offset: usize, at_mark: fn(&Mark) -> u32, counts: fn(u8) -> bool) -> u32 {
        let offset = offset.min(self.text.len());
        let Some(index) = (offset / STRIDE).checked_sub(usize::from(offset / STRIDE == self.marks.len())) else { return 0 };
        self.marks.get(index).map_or(0, |mark| at_mark(mark) + counted(&self.text.as_bytes()[index * STRIDE..offset], counts))
    }

    /// Characters between two offsets.
    fn characters(&self, start: usize, end: usize) -> usize {
        let before = |offset| self.before(offset, |mark| mark.characters, begins_character);
        before(end).saturating_sub(before(start)) as usize
    }

    /// The offset of a 1-based line; of the last line where there are fewer.
    fn line_start(&self, line: u32) -> usize {
        let breaks = line.max(1) - 1;
        // The last mark before which fewer breaks stand: the one that is looked for comes behind it.
        let Some(index) = self.marks.partition_point(|mark| mark.lines < breaks).checked_sub(1) else { return 0 };
        let missing = (breaks - self.marks[index].lines) as usize;
        let behind = &self.text.as_bytes()[index * STRIDE..];
        let feeds = behind.iter().enumerate().filter(|(_, byte)| is_break(**byte)).map(|(at, _)| index * STRIDE + at + 1);
        feeds.take(missing).last().unwrap_or_else(|| self.text.rfind('\n').map_or(0, |at| at + 1))
    }

    /// File and line of a span.
    #[must_use]
    pub fn site(&self, span: Span) -> Site {
        Site { file: Arc::clone(&self.path), line: self.line(span.start) }
    }

    /// The span of a 1-based line without its line break; the last line where there are fewer.
    #[must_use]
    pub fn line_span(&self, line: u32) -> Span {
        let start = self.line_start(line);
        let bytes = self.text.as_bytes();
        let end = bytes[start..].iter().position(|byte| is_break(*byte)).map_or(bytes.len(), |length| start + length);
        let end = if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        Span::new(start, end)
    }

    /// Where a byte of a line stands (both from 1); a line that is shorter gives the next one.
    #[must_use]
    pub fn byte_of_line(&self, line: u32, byte: u32) -> Span {
        let at = self.text.floor_char_boundary((self.line_start(line) + byte.max(1) as usize - 1).min(self.text.len()));
        Span::new(at, at + 1)
    }

    /// A line as far as a [`Place`] shows it.
    #[must_use]
    pub fn shown_line(&self, line: u32) -> Span {
        let start = self.line_start(line);
        Span::new(start, start + self.beginning(start).len())
    }

    /// The beginning of a line, as much of it as a [`Place`] may carry.
    fn beginning(&self, start: usize) -> &str {
        let end = self.text.floor_char_boundary((start + LONGEST_LINE * 10 * 4 + 1).min(self.text.len()));
        let window = &self.text[start..end];
        let line = window.split('\n').next().unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// The place of a span, cut to its first line. Never panics: an offset outside the text or inside a character moves to the next good one.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let first = self.text.ceil_char_boundary((span.start as usize).min(self.text.len()));
        let line = self.line(u32::try_from(first).unwrap_or(u32::MAX));
        let line_start = self.line_start(line);
        let start = self.characters(line_start, first);
        let end = self.characters(line_start, self.text.ceil_char_boundary((span.end as usize).clamp(first, self.text.len())));
        place(&self.path, line, start, end.max(start + 1), self.beginning(line_start))
    }

    /// The place of columns `start..end` (0-based, in characters) of a 1-based line.
    #[must_use]
    pub fn place_in_line(&self, line: u32, columns: Option<(u32, u32)>) -> Place {
        let start = self.line_start(line);
        let source = self.beginning(start);
        let (first, end) = columns.map_or_else(
            || (source.chars().take_while(|character| character.is_whitespace()).count(), source.trim_end().chars().count()),
            |(column, length)| (column.max(1) as usize - 1, column.max(1) as usize - 1 + length as usize),
        );
        place(&self.path, line, first, end, source)
    }
}

fn is_break(byte: u8) -> bool {
    byte == b'\n'
}

/// Not a byte inside of a character.
fn begins_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Bytes for which `counts` says yes.
fn counted(bytes: &[u8], counts: fn(u8) -> bool) -> u32 {
    // A file is far below 4 GiB (see `tree::LARGEST_FILE`).
    u32::try_from(bytes.iter().filter(|byte| counts(**byte)).count()).unwrap_or(u32::MAX)
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

    #[test]
    fn lines_and_columns_are_right_far_into_a_large_file() {
        let text = format!("{}{}x\nend", "ä\n".repeat(3_000), "ö".repeat(9_000));
        let document = document(&text);
        let at = text.find('x').expect("it is there");
        let place = document.place(Span::new(at, at + 1));
        // The line itself is shown up to a bound only, and so is its column.
        assert_eq!((place.line, place.column, place.source.chars().count()), (3_001, 4_001, 4_000));
        assert_eq!((document.line_span(3_002), document.line_span(9_999)), (Span::new(at + 2, at + 5), Span::new(at + 2, at + 5)));
        assert_eq!(document.byte_of_line(3_002, 2), Span::new(at + 3, at + 4));
    }

    proptest! {
        #[test]
        fn lines_are_found_as_by_counting(text in "[aß\r\n]{0,30}", repeated in 1_usize..600, at in 0_usize..20_000, line in 0_u32..700) {
            let text = text.repeat(repeated);
            let document = document(&text);
            let at = text.ceil_char_boundary(at.min(text.len()));
            prop_assert_eq!(document.line(u32::try_from(at).expect("small")) as usize, text[..at].matches('\n').count() + 1);
            let lines: Vec<&str> = text.split('\n').collect();
            let wanted = lines[(line.max(1) as usize - 1).min(lines.len() - 1)];
            prop_assert_eq!(document.slice(document.line_span(line)), wanted.strip_suffix('\r').unwrap_or(wanted));
        }

        #[test]
        fn every_span_has_a_place_inside_its_line(text in "[a-zäß🦀\r\n\t ]{0,60}", start in 0_usize..80, length in 0_usize..20) {
            let place = document(&text).place(Span::new(start, start + length));
            let count = u32::try_from(place.source.chars().count()).expect("short");
            prop_assert!(place.line >= 1 && place.column >= 1 && place.length >= 1);
            prop_assert!(place.column + place.length <= count + 2);
        }
    }
}
