//! How is nothing but well-formed XML written, whatever the texts in it are?

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::report::visible;

/// Attributes are read with line breaks as blanks, so none is written; nothing that XML 1.0 forbids passes [`visible`].
pub(super) fn attribute(element: &mut BytesStart<'_>, name: &str, value: &str) {
    element.push_attribute((name, &*visible::one_line(value)));
}

/// The document as far as it is written.
pub(super) struct Xml<'a> {
    writer: Writer<&'a mut dyn io::Write>,
    /// Only what the Jenkins schema knows.
    pub(super) strict: bool,
}

impl<'a> Xml<'a> {
    pub(super) fn new(out: &'a mut dyn io::Write, strict: bool) -> io::Result<Self> {
        let mut xml = Self { writer: Writer::new_with_indent(out, b' ', 2), strict };
        xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        Ok(xml)
    }

    /// A text file ends with a line break.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.writer.get_mut().write_all(b"\n")
    }

    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        self.writer.write_event(event)
    }

    pub(super) fn start(&mut self, element: BytesStart<'_>) -> io::Result<()> {
        self.event(Event::Start(element))
    }

    pub(super) fn end(&mut self, name: &'static str) -> io::Result<()> {
        self.event(Event::End(BytesEnd::new(name)))
    }

    pub(super) fn property(&mut self, name: &str, value: &str) -> io::Result<()> {
        let mut element = BytesStart::new("property");
        attribute(&mut element, "name", name);
        attribute(&mut element, "value", value);
        self.event(Event::Empty(element))
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) -> io::Result<()> {
        self.start(BytesStart::new(name))?;
        self.event(Event::Text(BytesText::new(&visible::lines(text))))?;
        self.end(name)
    }

    /// The element that decides what a CI system shows: a line in `message`, everything in the body.
    pub(super) fn verdict(&mut self, name: &'static str, kind: &str, message: &str, body: &str) -> io::Result<()> {
        let mut element = BytesStart::new(name);
        attribute(&mut element, "type", kind);
        attribute(&mut element, "message", message);
        if body.is_empty() {
            return self.event(Event::Empty(element));
        }
        self.start(element)?;
        self.event(Event::Text(BytesText::new(&visible::lines(body))))?;
        self.end(name)
    }
}

/// As JUnit writes a time.
pub(super) fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}
