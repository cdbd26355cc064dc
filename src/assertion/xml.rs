//! Is the reply well-formed XML with the elements that were asked for?

use roxmltree::{Document, ParsingOptions};

use crate::assertion::{Finding, Subject, excerpt};
use crate::model::assertion::XmlCheck;
use crate::model::verdict::Failure;

/// Nodes of a document: more is no answer to a prompt.
const MOST_NODES: u32 = 2_000_000;

/// `xml`: well-formed, its root, elements in it.
#[derive(Debug, Clone)]
pub(super) struct XmlShape(pub(super) XmlCheck);

impl XmlShape {
    fn asks_only_for_xml(&self) -> bool {
        self.0.root.is_none() && self.0.contains.is_empty()
    }

    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        match parse(text(subject)) {
            Err(_) if self.asks_only_for_xml() => Finding::Differs,
            Err(problem) => Finding::Unreachable(Failure { expected: self.expected(false), got: problem, diff: None }),
            Ok(document) => Finding::of(self.wrong(&document).is_empty()),
        }
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let got = match parse(text(subject)) {
            Err(problem) => problem,
            Ok(_) if negated => format!("that: {}", excerpt::opening(subject.text())),
            Ok(document) => self.wrong(&document).join(", "),
        };
        Failure { expected: self.expected(negated), got, diff: None }
    }

    fn expected(&self, negated: bool) -> String {
        let mut expected = if negated { "anything but well-formed XML" } else { "well-formed XML" }.to_owned();
        if let Some(root) = &self.0.root {
            expected.push_str(&format!(" with the root element {}", excerpt::quoted(root)));
        }
        if !self.0.contains.is_empty() {
            let names = self.0.contains.iter().map(|name| excerpt::quoted(name)).collect::<Vec<_>>().join(", ");
            expected.push_str(&format!(" that has {names}"));
        }
        expected
    }

    /// What the document lacks.
    fn wrong(&self, document: &Document<'_>) -> Vec<String> {
        let root = document.root_element().tag_name().name();
        let other_root =
            self.0.root.iter().filter(|expected| *expected != root).map(|_| format!("the root element {}", excerpt::quoted(root)));
        let has = |name: &str| document.descendants().any(|node| node.is_element() && node.tag_name().name() == name);
        let missing = self.0.contains.iter().filter(|name| !has(name)).map(|name| format!("no element {}", excerpt::quoted(name)));
        other_root.chain(missing).collect()
    }
}

/// The reply, without a code fence where the suite takes one off.
fn text<'a>(subject: &'a Subject<'_>) -> &'a str {
    subject.unfenced().trim()
}

/// Document type declarations are refused: entities are how a few lines of XML become gigabytes, and no answer needs them.
fn parse(text: &str) -> Result<Document<'_>, String> {
    if text.is_empty() {
        return Err(excerpt::opening(text));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        let position = error.pos();
        let line = text.split('\n').nth(usize::try_from(position.row.saturating_sub(1)).unwrap_or(0)).unwrap_or_default();
        let column = usize::try_from(position.col.saturating_sub(1)).unwrap_or(0);
        let offset = line.char_indices().nth(column).map_or(line.len(), |(index, _)| index);
        let message = excerpt::clipped(&error.to_string(), 200);
        // Some messages name their place, some do not.
        let place = if message.contains(" at ") { String::new() } else { format!(" at {}:{}", position.row, position.col) };
        format!("no XML: {message}{place}: {}", excerpt::around(line, offset..offset))
    })
}
