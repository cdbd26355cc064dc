//! Is any TOML read into a tree whose places are inside of it, or refused at such a place?

use promptkeel::source::document::Document;
use promptkeel::source::node::{Kind, Node};
use promptkeel::source::toml;

use super::project::stands_inside;

/// The input is a settings file.
pub fn holds(input: &[u8]) {
    let path = "promptkeel.toml".into();
    let text = String::from_utf8_lossy(input).into_owned();
    let file = |_: &str| Some(text.clone());
    match Document::from_bytes(&path, input) {
        Err(problem) => stands_inside(&problem, file),
        Ok(document) => match toml::parse(&document) {
            Ok(node) => is_inside(&node, document.text().len()),
            Err(problems) => {
                assert!(!problems.is_empty());
                problems.iter().for_each(|problem| stands_inside(problem, file));
            }
        },
    }
}

fn is_inside(node: &Node, length: usize) {
    assert!(node.span.start <= node.span.end && node.span.end as usize <= length, "{:?} of {length} bytes", node.span);
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| is_inside(item, length)),
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                assert!(key.span.start <= key.span.end && key.span.end as usize <= length, "{key:?}");
                is_inside(value, length);
            }
        }
        Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::Text(_) => {}
    }
}
