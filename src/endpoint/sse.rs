//! Which events are in these bytes? Server-sent events, byte by byte, whatever the pieces in which they arrive (wire reference, 4).
//!
//! Pure: no clock, no network, no JSON. The format is that of the HTML standard, read tolerantly where the standard would lose something that
//! was paid for: an event that lacks only its final blank line is an event.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty where there is none.
    pub name: String,
    /// The `data` lines, joined with line feeds.
    pub data: String,
}

/// Why bytes are no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One event exceeds the bound.
    #[error("an event of the stream is longer than {0} bytes")]
    TooLong(usize),
    /// The data of an event.
    #[error("an event of the stream is not UTF-8")]
    NotUtf8,
}

/// The byte-order mark, which may stand before the first line.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Takes bytes, gives events. It holds at most one event, so its memory is bounded by the longest one that it was told to take.
#[derive(Debug, Clone)]
pub struct Decoder {
    longest: usize,
    /// The line so far.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    first_line: bool,
    name: Vec<u8>,
    /// The data so far; `None` where no `data` line came.
    data: Option<Vec<u8>>,
}

impl Decoder {
    /// Refuses events longer than so many bytes.
    #[must_use]
    pub const fn new(longest: usize) -> Self {
        Self { longest, line: Vec::new(), after_return: false, first_line: true, name: Vec::new(), data: None }
    }

    /// Takes the next bytes and hands out the events that they complete.
    ///
    /// # Errors
    /// If an event is too long or not UTF-8; nothing can be read after that.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, SseError> {
        let mut events = Vec::new();
        self.feed_into(bytes, &mut events).map(|()| events)
    }

    /// The same; what was complete before an error is handed out with it, so that nothing depends on where the bytes were cut.
    ///
    /// # Errors
    /// As [`Decoder::feed`].
    pub fn feed_into(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        let mut rest = bytes;
        while let Some(&next) = rest.first() {
            if std::mem::take(&mut self.after_return) && next == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            self.take(&rest[..end.unwrap_or(rest.len())])?;
            let Some(end) = end else { break };
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            events.extend(self.end_of_line()?);
        }
        Ok(())
    }

    /// The bytes are over: the event, if one was begun and lacks only its end.
    ///
    /// # Errors
    /// As [`Decoder::feed`].
    pub fn finish(mut self) -> Result<Option<Event>, SseError> {
        let last = self.end_of_line()?;
        Ok(last.or(self.event()?))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        let held = self.line.len() + self.name.len() + self.data.as_ref().map_or(0, Vec::len);
        if held + bytes.len() > self.longest {
            return Err(SseError::TooLong(self.longest));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<Option<Event>, SseError> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.first_line) && line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        if line.is_empty() {
            return self.event();
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = value.to_vec(),
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            // Comments have an empty name; `id` and `retry` are for clients that connect again, which no reply survives.
            _ => {}
        }
        Ok(None)
    }

    /// A blank line ends an event; one without data is none.
    fn event(&mut self) -> Result<Option<Event>, SseError> {
        let name = std::mem::take(&mut self.name);
        let Some(data) = self.data.take() else { return Ok(None) };
        let text = |bytes| String::from_utf8(bytes).map_err(|_| SseError::NotUtf8);
        Ok(Some(Event { name: text(name)?, data: text(data)? }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All events of these pieces.
    fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, SseError> {
        let mut decoder = Decoder::new(1000);
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(decoder.feed(piece)?);
        }
        events.extend(decoder.finish()?);
        Ok(events)
    }

    fn told(text: &str) -> Vec<(String, String)> {
        events(&[text.as_bytes()]).unwrap().into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn an_event_has_a_name_and_its_data_lines_joined() {
        assert_eq!(told("event: a\ndata: 1\ndata: 2\n\ndata: 3\n\n"), [pair("a", "1\n2"), pair("", "3")]);
        assert_eq!(told("data:1\n\ndata:  2\n\ndata\n\n"), [pair("", "1"), pair("", " 2"), pair("", "")], "one space is not data");
        assert_eq!(told("event: a\nevent: b\ndata: x:y: z\n\n"), [pair("b", "x:y: z")], "the last name holds, a second colon is data");
    }

    #[test]
    fn lines_end_in_three_ways_and_they_may_be_mixed() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "event: a\ndata: 1\ndata: 2\n\nevent: b\ndata: 3\n\n".replace('\n', end);
            assert_eq!(told(&text), [pair("a", "1\n2"), pair("b", "3")], "{end:?}");
        }
        assert_eq!(told("event: a\rdata: 1\r\n\r\ndata: 2\n\r"), [pair("a", "1"), pair("", "2")]);
    }

    #[test]
    fn a_line_end_of_two_bytes_may_be_split() {
        assert_eq!(events(&[b"data: 1\r", b"\ndata: 2\r", b"\n\r", b"\ndata: 3\r\n\r\n"]).unwrap().len(), 2);
        assert_eq!(events(&[b"data: 1\r", b"", b"\ndata: 2\n\n"]).unwrap()[0].data, "1\n2");
    }

    #[test]
    fn comments_unknown_fields_and_events_without_data_are_passed_over() {
        assert_eq!(told(": ping\n\nevent: a\n\nid: 7\nretry: 10\n: x\nnovelty\ndata: 1\n\n"), [pair("", "1")]);
    }

    #[test]
    fn a_byte_order_mark_is_left_out_at_the_start_and_only_there() {
        assert_eq!(events(&[b"\xef", b"\xbb", b"\xbfdata: 1\n\n"]).unwrap()[0].data, "1");
        assert_eq!(told("data: \u{feff}1\n\n\u{feff}data: 2\n\n"), [pair("", "\u{feff}1")]);
    }

    #[test]
    fn an_event_without_its_last_blank_line_is_an_event() {
        for end in ["", "\n", "\r", "\r\n"] {
            assert_eq!(told(&format!("event: a\ndata: 1{end}")), [pair("a", "1")], "{end:?}");
        }
        assert_eq!(told("event: a\n"), []);
    }

    #[test]
    fn a_character_may_be_split() {
        let text = "data: ö☕\u{1d11e}\n\n".as_bytes();
        for at in 0..text.len() {
            assert_eq!(events(&[&text[..at], &text[at..]]).unwrap()[0].data, "ö☕\u{1d11e}", "{at}");
        }
        assert_eq!(events(&[b"data: \xc3\n\n"]), Err(SseError::NotUtf8));
        assert_eq!(events(&[b": \xc3\n\xff: \xff\ndata: 1\n\n"]).unwrap()[0].data, "1", "what is not used need not be text");
    }

    #[test]
    fn an_event_is_bounded_in_one_line_and_in_many() {
        let line = format!("data: {}\n\n", "x".repeat(900));
        assert_eq!(told(&line.repeat(3)).len(), 3);
        for endless in ["data: ".to_owned() + &"x".repeat(2000), "data: xxxxxxxxx\n".repeat(200), ": ".to_owned() + &"x".repeat(2000)] {
            assert_eq!(events(&[endless.as_bytes()]), Err(SseError::TooLong(1000)));
            let bytes: Vec<&[u8]> = endless.as_bytes().chunks(1).collect();
            assert_eq!(events(&bytes), Err(SseError::TooLong(1000)));
        }
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_bytes_arrive_change_nothing(
            text in "(data|event|:|id|x|[äö☕\u{feff}]| |\\r|\\n|\\r\\n){0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..60), cuts in proptest::collection::vec(0_usize..20, 0..40),
        ) {
            for whole in [text.as_bytes(), bytes.as_slice()] {
                let mut pieces = Vec::new();
                let mut rest = whole;
                for cut in &cuts {
                    let (piece, after) = rest.split_at((*cut).min(rest.len()));
                    pieces.push(piece);
                    rest = after;
                }
                pieces.push(rest);
                prop_assert_eq!(events(&pieces), events(&[whole]));
            }
        }

        #[test]
        fn what_was_written_is_read(
            list in proptest::collection::vec(("[a-z_]{1,10}", "[^\\r\\n]{0,30}(\\n[^\\r\\n]{0,30}){0,3}"), 0..6), end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        ) {
            let mut text = String::new();
            for (name, data) in &list {
                text.push_str(&format!("event: {name}{end}: a comment{end}"));
                for line in data.split('\n') {
                    text.push_str(&format!("data: {line}{end}"));
                }
                text.push_str(end);
            }
            prop_assert_eq!(told(&text), list);
        }
    }
}
