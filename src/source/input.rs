//! What is in the files that a suite names: schemas, values of variables, tables? Each file is read once and remembered with its digest.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::problem::{Place, Problem};
use crate::model::suite::SourceFile;
use crate::source::decode::nearest;
use crate::source::document::Document;
use crate::source::json::{self, NotJson};
use crate::source::tree::{File, ReadError, Reader};
use crate::source::yaml;

/// The files of one suite.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) reader: &'a Reader,
    used: RefCell<BTreeMap<Arc<str>, SourceFile>>,
    values: RefCell<HashMap<(Arc<str>, bool), Value>>,
    schemas: RefCell<HashMap<Arc<str>, Arc<Value>>>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(reader: &'a Reader) -> Self {
        Self { reader, used: RefCell::default(), values: RefCell::default(), schemas: RefCell::default() }
    }

    /// Every file that was read through this, by path.
    pub(crate) fn used(&self) -> Vec<SourceFile> {
        self.used.borrow().values().cloned().collect()
    }

    /// A file that something at `place` names.
    pub(crate) fn file(&self, path: &str, place: &Place) -> Result<File, Problem> {
        let file = self.reader.read(path).map_err(|error| self.unread(&error, place))?;
        self.remember(&file.source);
        Ok(file)
    }

    pub(crate) fn remember(&self, file: &SourceFile) {
        self.used.borrow_mut().insert(Arc::clone(&file.path), file.clone());
    }

    fn unread(&self, error: &ReadError, place: &Place) -> Problem {
        let problem = Problem::error(error.to_string()).at(place.clone());
        match error {
            ReadError::Missing(path) => {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                let names = self.reader.names(folder);
                match nearest(name, names.iter().map(String::as_str)) {
                    Some(name) if folder.is_empty() => problem.hint(format!("did you mean `{name}`?")),
                    Some(name) => problem.hint(format!("did you mean `{folder}/{name}`?")),
                    None => problem.hint("paths are relative to the project root, with forward slashes"),
                }
            }
            ReadError::Outside(_) | ReadError::TooLarge(_) | ReadError::Unreadable { .. } => match error.hint() {
                Some(hint) => problem.hint(hint),
                None => problem,
            },
            ReadError::Folder(path) => problem.hint(format!("name a file in it: `{path}/...`")),
            ReadError::NotAPath(_) => problem.hint("write a path from the project root, such as `fixtures/tickets.csv`"),
        }
    }

    /// A JSON Schema file; the same `Arc` for every assertion that names it, so that it is compiled once.
    pub(crate) fn schema(&self, path: &str, place: &Place) -> Result<(SourceFile, Arc<Value>), Problem> {
        let file = self.file(path, place)?;
        if let Some(known) = self.schemas.borrow().get(&file.source.path) {
            return Ok((file.source, Arc::clone(known)));
        }
        let value = Arc::new(self.parsed(&file, place)?);
        self.schemas.borrow_mut().insert(Arc::clone(&file.source.path), Arc::clone(&value));
        Ok((file.source, value))
    }

    /// The value that `{file: path}` stands for: JSON and YAML as what they hold, tables as lists of rows, images and PDFs as
    /// `{media_type, data}` with base64 data, everything else as text. `as_text` takes any file as text.
    pub(crate) fn value(&self, path: &str, as_text: bool, place: &Place) -> Result<(SourceFile, Value), Problem> {
        let file = self.file(path, place)?;
        let key = (Arc::clone(&file.source.path), as_text);
        if let Some(known) = self.values.borrow().get(&key) {
            return Ok((file.source, known.clone()));
        }
        let value = if as_text { Value::String(text(&file)?) } else { self.parsed(&file, place)? };
        self.values.borrow_mut().insert(key, value.clone());
        Ok((file.source, value))
    }

    fn parsed(&self, file: &File, named_at: &Place) -> Result<Value, Problem> {
        if let Some(media_type) = media_type(&file.source.path) {
            let mut value = Map::new();
            value.insert("media_type".to_owned(), Value::from(media_type));
            value.insert("data".to_owned(), Value::from(base64(&file.bytes)));
            return Ok(Value::Object(value));
        }
        match extension(&file.source.path).as_str() {
            "json" => {
                let document = Document::from_bytes(&file.source.path, &file.bytes)?;
                json::parse(document.text()).map_err(|error| json_problem(&document, &error, 0, named_at))
            }
            "yaml" | "yml" => {
                let document = Document::from_bytes(&file.source.path, &file.bytes)?;
                let node = yaml::parse(&document)
                    .map_err(|problems| first(problems).hint(format!("it is named at {}:{}", named_at.file, named_at.line)))?;
                Ok(node.to_value())
            }
            "jsonl" | "ndjson" | "csv" | "tsv" => {
                let table = crate::source::table::read(file, named_at).map_err(first)?;
                Ok(Value::Array(table.rows.into_iter().map(|row| Value::Object(row.values)).collect()))
            }
            _ => text(file).map(Value::String),
        }
    }
}

fn first(problems: Vec<Problem>) -> Problem {
    problems.into_iter().next().unwrap_or_else(|| Problem::error("this file cannot be read"))
}

/// A syntax error of a JSON file; `lines_before` is where the text began in it.
pub(crate) fn json_problem(document: &Document, error: &NotJson, lines_before: u32, named_at: &Place) -> Problem {
    let place = document.place(document.byte_of_line(error.line + lines_before, error.column));
    Problem::error(format!("`{}` is not JSON: {}", document.path(), error.message))
        .at(place)
        .hint(format!("it is named at {}:{}", named_at.file, named_at.line))
}

fn text(file: &File) -> Result<String, Problem> {
    Document::from_bytes(&file.source.path, &file.bytes).map(|document| document.text().to_string())
}

/// The lower-case extension of a path, without its dot.
pub(crate) fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// The media type of what can only be sent as base64 (wire reference, section 1.2).
pub(crate) fn media_type(path: &str) -> Option<&'static str> {
    Some(match extension(path).as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

/// Base64 with padding, RFC 4648.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = u32::from(chunk[0]) << 16 | u32::from(*chunk.get(1).unwrap_or(&0)) << 8 | u32::from(*chunk.get(2).unwrap_or(&0));
        for digit in 0..4 {
            let index = (group >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_test_vectors_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xBF]), "+/+/");
    }
}
