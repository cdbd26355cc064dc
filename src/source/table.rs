//! Which rows does a table hold? CSV (values are texts), JSON Lines, JSON and YAML lists; each row knows its line.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::model::problem::{Place, Problem};
use crate::source::document::{Document, Span};
use crate::source::enough::enough;
use crate::source::input::{extension, json_problem};
use crate::source::json;
use crate::source::node::{Kind, MOST_VALUES, Node};
use crate::source::tree::File;
use crate::source::yaml;

/// A table that was read.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) document: Document,
    pub(crate) rows: Vec<Row>,
    /// Whether every value is a text, as in CSV.
    pub(crate) texts_only: bool,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) values: Map<String, Value>,
    /// 1-based line on which it begins.
    pub(crate) line: u32,
}

/// Reads a table; every row that is wrong is a problem of its own.
pub(crate) fn read(file: &File, named_at: &Place) -> Result<Table, Vec<Problem>> {
    let path = &file.source.path;
    let document = Document::from_bytes(path, &file.bytes).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let extension = extension(path);
    let rows = match extension.as_str() {
        "csv" => separated(&document, b',', &mut problems),
        "tsv" => separated(&document, b'\t', &mut problems),
        "jsonl" | "ndjson" => lines(&document, named_at, &mut problems),
        "json" => list(&document, named_at, &mut problems),
        "yaml" | "yml" => yaml_list(&document, &mut problems),
        _ => {
            let problem = Problem::error(format!("`{path}` is not a table: its name says neither CSV, TSV, JSON Lines, JSON nor YAML"));
            problems.push(problem.at(named_at.clone()).hint("tables end in .csv, .tsv, .jsonl, .json, .yaml"));
            Vec::new()
        }
    };
    if problems.is_empty() { Ok(Table { document, rows, texts_only: matches!(extension.as_str(), "csv" | "tsv") }) } else { Err(problems) }
}

/// Quotes that the reader would take for something: an unclosed one swallows every row behind it, and what follows a closing one would
/// be joined to the field.
fn misquoted(document: &Document, separator: u8) -> Vec<Problem> {
    let bytes = document.text().as_bytes();
    let ends = |at: usize| bytes.get(at).is_none_or(|byte| [separator, b'\n', b'\r'].contains(byte));
    let mut problems = Vec::new();
    let mut at = 0;
    while at < bytes.len() && !enough(&problems) {
        if bytes[at] == b'"' {
            let opening = at;
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => break,
                    (Some(_), _) => at += 1,
                    (None, _) => {
                        let problem = Problem::error("this quote is never closed: it takes all rows behind it into one field");
                        let hint =
                            "close it with another `\"`; a quote inside of a quoted field is written twice, as in `\"he said \"\"hi\"\"\"`";
                        problems.push(problem.at(document.place(Span::new(opening, opening + 1))).hint(hint));
                        return problems;
                    }
                }
            }
            at += 1;
            if !ends(at) {
                let rest = (at..).find(|&end| ends(end)).unwrap_or(at);
                let opened = document.line(Span::new(opening, opening).start);
                let message = if opened == document.line(Span::new(at, at).start) {
                    "text after a closing quote".to_owned()
                } else {
                    format!("text after a quote that closes the one of line {opened}")
                };
                let hint = "a quote inside of a quoted field is written twice, as in `\"he said \"\"hi\"\"\"`";
                problems.push(Problem::error(message).at(document.place(Span::new(at, rest))).hint(hint));
            }
        }
        at = (at..).find(|&end| ends(end)).unwrap_or(at) + 1;
    }
    problems
}

fn separated(document: &Document, separator: u8, problems: &mut Vec<Problem>) -> Vec<Row> {
    problems.extend(misquoted(document, separator));
    if !problems.is_empty() {
        return Vec::new();
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(document.text().as_bytes());
    let columns: Vec<String> = match reader.headers() {
        Ok(columns) => columns.iter().map(|column| column.trim().to_owned()).collect(),
        Err(error) => {
            problems.push(csv_problem(document, &error));
            return Vec::new();
        }
    };
    let mut seen = BTreeSet::new();
    for (index, column) in columns.iter().enumerate() {
        if enough(problems) {
            break;
        }
        if column.is_empty() && columns.len() > 1 {
            let problem = Problem::error(format!("column {} of this table has no name", index + 1));
            problems.push(problem.at(document.place_in_line(1, None)).hint("the first line of a table names its columns"));
        } else if !seen.insert(column) {
            let problem = Problem::error(format!("this table has two columns `{column}`"));
            problems.push(problem.at(document.place_in_line(1, None)).hint("give each column its own name"));
        }
    }
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    let budget = json::Budget::default();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {
                let line = record.position().map_or(1, csv::Position::line);
                if !budget.take(columns.len()) {
                    let place = document.place_in_line(u32::try_from(line).unwrap_or(u32::MAX), None);
                    problems.push(Problem::error(json::too_many_values()).at(place).hint("split the table"));
                    break;
                }
                let values = columns.iter().zip(record.iter()).map(|(column, value)| (column.clone(), Value::from(value))).collect();
                rows.push(Row { values, line: u32::try_from(line).unwrap_or(u32::MAX) });
            }
            Ok(false) => break,
            Err(error) => {
                problems.push(csv_problem(document, &error));
                // After a ragged row the reader goes on; anything else repeats itself.
                if enough(problems) || !matches!(error.kind(), csv::ErrorKind::UnequalLengths { .. }) {
                    break;
                }
            }
        }
    }
    rows
}

fn csv_problem(document: &Document, error: &csv::Error) -> Problem {
    let line = error.position().map_or(1, csv::Position::line);
    let place = document.place_in_line(u32::try_from(line).unwrap_or(u32::MAX), None);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fields = if *len == 1 { "field" } else { "fields" };
            Problem::error(format!("this row has {len} {fields}, and the first line names {expected_len} columns"))
                .at(place)
                .hint("put a field that holds a comma or a line break into double quotes")
        }
        _ => Problem::error(format!("`{}` is not a table: {error}", document.path())).at(place),
    }
}

fn lines(document: &Document, named_at: &Place, problems: &mut Vec<Problem>) -> Vec<Row> {
    let mut rows = Vec::new();
    let budget = json::Budget::default();
    for (line, text) in (1..).zip(document.text().lines()) {
        if text.trim().is_empty() {
            continue;
        }
        match json::parse_within(text, &budget) {
            Ok(Value::Object(values)) => rows.push(Row { values, line }),
            Ok(_) => problems.push(not_a_row(document, line)),
            Err(error) => {
                let problem = json_problem(document, &error, line - 1, named_at);
                problems.push(problem.hint("each line of a JSON Lines file is one JSON object: {\"id\": \"...\", ...}"));
            }
        }
        if enough(problems) {
            break;
        }
    }
    rows
}

fn not_a_row(document: &Document, line: u32) -> Problem {
    Problem::error("a row must be a mapping of column names to values")
        .at(document.place_in_line(line, None))
        .hint("write {\"id\": \"...\", ...}")
}

fn list(document: &Document, named_at: &Place, problems: &mut Vec<Problem>) -> Vec<Row> {
    let text = document.text();
    let items = match serde_json::from_str(text) {
        Ok(Items(items)) => items,
        Err(error) if error.is_data() && !json::not_json(&error).message.eq(&json::too_many_values()) => {
            let problem = Problem::error(format!("`{}` must be a list of rows", document.path()));
            problems.push(problem.at(document.place_in_line(1, None)).hint("write [{\"id\": \"...\", ...}, ...]"));
            return Vec::new();
        }
        Err(error) => {
            problems.push(json_problem(document, &json::not_json(&error), 0, named_at));
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    let budget = json::Budget::default();
    for item in items {
        if enough(problems) {
            break;
        }
        // The raw value borrows from the text, so its address tells its offset.
        let offset = item.get().as_ptr().addr() - text.as_ptr().addr();
        let line = document.line(u32::try_from(offset).unwrap_or(u32::MAX));
        match json::parse_within(item.get(), &budget) {
            Ok(Value::Object(values)) => rows.push(Row { values, line }),
            Ok(_) => problems.push(not_a_row(document, line)),
            Err(error) => problems.push(json_problem(document, &error, line - 1, named_at)),
        }
    }
    rows
}

/// The items of a list, where each is read on its own; not more of them than a file may hold values.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;

        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() == MOST_VALUES {
                        return Err(A::Error::custom(json::too_many_values()));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(ItemsVisitor)
    }
}

fn yaml_list(document: &Document, problems: &mut Vec<Problem>) -> Vec<Row> {
    let node = match yaml::parse(document) {
        Ok(node) => node,
        Err(found) => {
            problems.extend(found);
            return Vec::new();
        }
    };
    let Kind::List(items) = &node.kind else {
        let problem = Problem::error(format!("`{}` must be a list of rows", document.path()));
        problems.push(problem.at(node.place(document)).hint("write a list: `- id: ...`"));
        return Vec::new();
    };
    let row = |item: &Node| {
        let line = document.line(item.head().start);
        let Kind::Mapping(entries) = &item.kind else { return Err(not_a_row(document, line)) };
        let values = entries.iter().map(|(key, value)| (key.name.clone(), value.to_value())).collect();
        Ok(Row { values, line })
    };
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        match row(item) {
            Ok(row) => rows.push(row),
            Err(_) if enough(problems) => break,
            Err(problem) => problems.push(problem),
        }
    }
    rows
}
