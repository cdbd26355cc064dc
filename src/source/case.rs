//! Which cases does a suite have? Those that are written out, and one for each row of a table.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::problem::{Place, Problem, Site};
use crate::model::suite::{SourceFile, Variables};
use crate::source::assertion::{Resolved, resolve_all};
use crate::source::cluster::{self, Cluster};
use crate::source::decode::nearest;
use crate::source::document::{Document, Span};
use crate::source::enough::enough;
use crate::source::input::Inputs;
use crate::source::node::{Kind, Node};
use crate::source::shape::CaseShape;
use crate::source::spanned::Spanned;
use crate::source::table::{self, Row, Table};
use crate::source::yaml;

/// Most cases of one suite: what a machine of 2 GiB can still plan and report.
pub(crate) const MOST_CASES: usize = 250_000;

/// Most samples of one request: past that an estimate gets no better.
const MOST_SAMPLES: u32 = 10_000;

/// Most bytes of what the cases of one suite share with each other and each case holds for itself: variables of a table, files that
/// many rows name, assertions, tags. A small suite can make any number of it.
pub(crate) const MOST_WEIGHT: usize = 1 << 30;

/// A case before it is checked.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) cluster: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) variables: Variables,
    /// Its effective assertions.
    pub(crate) assertions: Vec<Arc<Resolved>>,
    pub(crate) samples: Option<u32>,
    pub(crate) site: Site,
    pub(crate) place: Placed,
    pub(crate) fixtures: Vec<SourceFile>,
    /// Variables that are written in the suite, with their places: each must be used.
    pub(crate) written: Arc<Vec<(String, Place)>>,
    /// The table that it is a row of.
    pub(crate) table: Option<usize>,
}

/// A place that is only made when a problem needs it: 100,000 rows carry none.
#[derive(Debug, Clone)]
pub(crate) enum Placed {
    Span(Span),
    Row { document: Document, line: u32 },
}

impl Placed {
    pub(crate) fn place(&self, suite: &Document) -> Place {
        match self {
            Self::Span(span) => suite.place(*span),
            Self::Row { document, line } => document.place_in_line(*line, None),
        }
    }
}

/// What all cases of a suite need.
pub(crate) struct Cases<'a, 'b> {
    pub(crate) document: &'a Document,
    pub(crate) inputs: &'a Inputs<'b>,
    /// The suite's own assertions.
    pub(crate) inherited: &'a [Arc<Resolved>],
    pub(crate) drafts: Vec<Draft>,
    /// Where each table is named, and its columns that became variables.
    pub(crate) tables: Vec<(Place, BTreeMap<String, ()>)>,
    /// Bytes of what cases hold copies of.
    pub(crate) weight: usize,
    /// No further case is taken.
    pub(crate) is_full: bool,
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Cases<'_, '_> {
    /// One entry of `cases`.
    pub(crate) fn read(&mut self, shape: Spanned<CaseShape>) {
        let place = self.document.place(shape.span);
        let span = shape.span;
        let shape = shape.value;
        let samples = shape.samples.as_ref().and_then(|samples| at_least_one(samples, self.document, self.problems));
        match (&shape.id, &shape.from) {
            (Some(_), Some(from)) => {
                let problem = Problem::error("a case has an `id`, or comes `from` a table, not both");
                let hint = "take `id` away: each row has its own (`id_from: COLUMN` says where)";
                self.problems.push(problem.at(self.document.place(from.span)).hint(hint));
            }
            (None, None) => {
                let problem = Problem::error("this case has no `id`");
                self.problems.push(problem.at(place).hint("add `id: a-name-that-stays`, or `from: fixtures/table.csv` for one case a row"));
            }
            (Some(id), None) => {
                if let Some(id_from) = &shape.id_from {
                    let problem = Problem::error("`id_from` belongs to a table");
                    self.problems.push(problem.at(self.document.place(id_from.span)).hint("take it away, or name a table with `from`"));
                }
                if let Some(column) = &shape.cluster_from {
                    let problem = Problem::error("`cluster_from` belongs to a table");
                    self.problems
                        .push(problem.at(self.document.place(column.span)).hint("write `cluster: NAME`, or name a table with `from`"));
                }
                let id = id.clone();
                self.written(shape, &id, samples);
            }
            (None, Some(from)) => {
                let from = from.clone();
                self.table(shape, &from, span, samples);
            }
        }
    }

    /// Whether there are as many cases, or as much in them, as one suite may have; said once.
    fn full(&mut self, place: &Place) -> bool {
        if self.weight > MOST_WEIGHT && !self.is_full {
            let problem = Problem::error(format!("the cases of this suite hold more than {} MiB", MOST_WEIGHT >> 20)).at(place.clone());
            self.problems.push(
                problem.hint("what a table's `vars`, `tags` and `assert` say, each of its rows holds: make it shorter, or split the suite"),
            );
            self.is_full = true;
        }
        if self.drafts.len() == MOST_CASES && !self.is_full {
            let problem = Problem::error(format!("this suite has more than {MOST_CASES} cases")).at(place.clone());
            self.problems.push(problem.hint("split it into several suites, and run them one by one"));
            self.is_full = true;
        }
        self.is_full
    }

    fn written(&mut self, shape: CaseShape, id: &Spanned<String>, samples: Option<u32>) {
        if self.drafts.len() == MOST_CASES || self.weight > MOST_WEIGHT || self.is_full {
            self.full(&self.document.place(id.span));
            return;
        }
        if let Err(message) = well_named("a case's id", &id.value) {
            self.problems.push(Problem::error(message).at(self.document.place(id.span)).hint("give it a short name that stays"));
        }
        let cluster = cluster::named(shape.cluster.as_ref(), self.document, self.problems);
        let mut fixtures = Vec::new();
        let (variables, written) = self.variables(shape.vars.as_ref(), &mut fixtures);
        let own = resolve_all(&shape.assert.unwrap_or_default(), self.document, self.inputs, self.problems);
        let (tags, assertions) = (tags(shape.tags), effective(self.inherited, &[&own], shape.inherit));
        self.weight += held(&tags, &assertions, &fixtures);
        self.drafts.push(Draft {
            id: id.value.clone(),
            cluster,
            tags,
            variables,
            assertions,
            samples,
            site: self.document.site(id.span),
            place: Placed::Span(id.span),
            fixtures,
            written: Arc::new(written),
            table: None,
        });
    }

    fn variables(&mut self, node: Option<&Node>, fixtures: &mut Vec<SourceFile>) -> (Variables, Vec<(String, Place)>) {
        let (mut variables, mut written) = (Variables::new(), Vec::new());
        let Some(node) = node else { return (variables, written) };
        if !matches!(node.kind, Kind::Mapping(_) | Kind::Null) {
            let problem = Problem::error(format!("`vars` must be a mapping, but it is {}", node.describe()));
            self.problems.push(problem.at(node.place(self.document)).hint("write `vars: {name: value}`"));
        }
        for (key, value) in node.entries() {
            let place = self.document.place(key.span);
            // A path is shown itself, not the key before it.
            let shown = value.get("file").unwrap_or(value).place(self.document);
            let value = self.value(value.to_value(), &shown, fixtures);
            if let Some(value) = value {
                variables.insert(key.name.clone(), value);
                written.push((key.name.clone(), place));
            }
        }
        (variables, written)
    }

    /// A value, read from its file where it is `{file: path}`.
    fn value(&mut self, value: Value, place: &Place, fixtures: &mut Vec<SourceFile>) -> Option<Value> {
        let Value::Object(entries) = &value else { return Some(value) };
        let Some(Value::String(path)) = entries.get("file") else { return Some(value) };
        let as_text = match (entries.len(), entries.get("as")) {
            (1, _) => false,
            (2, Some(Value::String(form))) if form == "text" => true,
            (2, Some(form)) => {
                let problem = Problem::error(format!("a file cannot be read as {form}"));
                self.problems
                    .push(problem.at(place.clone()).hint("write `{file: path}`, or `{file: path, as: text}` to take JSON or YAML as text"));
                return None;
            }
            // A mapping of the author's own that happens to have a key `file`.
            _ => return Some(value),
        };
        match self.inputs.value(path, as_text, place) {
            Ok((file, value)) => {
                self.weight += weight(&value);
                fixtures.push(file);
                Some(value)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn table(&mut self, shape: CaseShape, from: &Spanned<String>, span: Span, samples: Option<u32>) {
        let place = self.document.place(from.span);
        let own = resolve_all(&shape.assert.unwrap_or_default(), self.document, self.inputs, self.problems);
        let mut shared_fixtures = Vec::new();
        let (defaults, written) = self.variables(shape.vars.as_ref(), &mut shared_fixtures);
        let file = match self.inputs.file(&from.value, &place) {
            Ok(file) => file,
            Err(problem) => {
                self.problems.push(problem);
                return;
            }
        };
        let table = match table::read(&file, &place) {
            Ok(table) => table,
            Err(problems) => {
                self.problems.extend(problems);
                return;
            }
        };
        if table.rows.is_empty() {
            let problem = Problem::error(format!("the table `{}` has no rows", from.value));
            self.problems.push(problem.at(place).hint("add a row, or take this entry away"));
            return;
        }
        shared_fixtures.push(file.source);
        let column = shape.id_from.as_ref().map_or("id", |column| column.value.as_str());
        if !self.has_ids(&table, column, shape.id_from.as_ref(), &self.document.place(span)) {
            return;
        }
        let asked = (shape.cluster.as_ref(), shape.cluster_from.as_ref());
        let Some(cluster) = Cluster::of_table(asked, &table, self.document, self.problems) else { return };
        let shared_tags = tags(shape.tags);
        let each = defaults.values().map(weight).sum();
        let shared = Shared {
            each,
            index: self.tables.len(),
            id_column: column.to_owned(),
            keeps_id: shape.id_from.is_some(),
            cluster,
            known_tags: shared_tags.iter().cloned().collect(),
            tags: shared_tags,
            effective: effective(self.inherited, &[&own], shape.inherit),
            own,
            inherit: shape.inherit,
            samples,
            defaults,
            fixtures: shared_fixtures,
            written: Arc::new(written),
        };
        self.tables.push((place, BTreeMap::new()));
        let Table { document, rows, texts_only } = table;
        self.drafts.reserve(rows.len());
        for row in rows {
            if enough(self.problems) || self.full(&self.tables[shared.index].0.clone()) {
                break;
            }
            self.row(row, &document, texts_only, &shared);
        }
        if self.weight > MOST_WEIGHT {
            self.full(&self.tables[shared.index].0.clone());
        }
    }

    fn has_ids(&mut self, table: &Table, column: &str, id_from: Option<&Spanned<String>>, place: &Place) -> bool {
        let first = &table.rows[0];
        if first.values.contains_key(column) {
            return true;
        }
        let columns: Vec<&str> = first.values.keys().map(String::as_str).collect();
        let place = id_from.map_or_else(|| place.clone(), |column| self.document.place(column.span));
        let problem = Problem::error(format!("the table has no column `{column}` to take the ids of its cases from")).at(place);
        self.problems.push(match (nearest(column, columns.iter().copied()), id_from) {
            (Some(near), Some(_)) => problem.hint(format!("did you mean `{near}`?")),
            _ => problem.hint(format!("name one of its columns, such as `id_from: {}`", columns.first().unwrap_or(&"COLUMN"))),
        });
        false
    }

    fn row(&mut self, row: Row, document: &Document, texts_only: bool, shared: &Shared) {
        let Row { mut values, line } = row;
        let id = match values.get(&shared.id_column) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::Bool(id)) => id.to_string(),
            _ => String::new(),
        };
        if !shared.keeps_id {
            values.shift_remove(&shared.id_column);
        }
        let place = || document.place_in_line(line, None);
        if let Err(message) = well_named("a row's id", &id) {
            let hint = format!("fill in its column `{}` with a short name that stays", shared.id_column);
            self.problems.push(Problem::error(message).at(place()).hint(hint));
            return;
        }
        let cluster = shared.cluster.of_row(&values);
        let mut tags = shared.tags.clone();
        if let Some(value) = values.shift_remove("tags") {
            match row_tags(&value) {
                Some(own) => tags.extend(own.into_iter().filter(|tag| !shared.known_tags.contains(tag))),
                None => {
                    self.problems.push(Problem::error("a row's `tags` must be a list of texts").at(place()).hint("write [\"billing\"]"))
                }
            }
        }
        let assertions = match values.shift_remove("assert") {
            None | Some(Value::Null) => shared.effective.clone(),
            Some(Value::String(text)) if text.trim().is_empty() => shared.effective.clone(),
            Some(value) => {
                let own = self.row_assertions(&value, document, line, texts_only);
                effective(self.inherited, &[&shared.own, &own], shared.inherit)
            }
        };
        let mut fixtures = shared.fixtures.clone();
        self.weight += shared.each;
        let mut variables: Map<String, Value> = shared.defaults.clone();
        for (name, value) in values {
            if !self.tables[shared.index].1.contains_key(&name) && !shared.cluster.is_column(&name) {
                self.tables[shared.index].1.insert(name.clone(), ());
            }
            let value = if value.is_object() { self.value(value, &place(), &mut fixtures) } else { Some(value) };
            if let Some(value) = value {
                variables.insert(name, value);
            }
        }
        self.weight += held(&tags, &assertions, &fixtures);
        self.drafts.push(Draft {
            id,
            cluster,
            tags,
            variables,
            assertions,
            samples: shared.samples,
            site: Site { file: Arc::clone(document.path()), line },
            place: Placed::Row { document: document.clone(), line },
            fixtures,
            written: Arc::clone(&shared.written),
            table: Some(shared.index),
        });
    }

    /// A row's own assertions: a list or one mapping; in CSV the cell holds YAML.
    fn row_assertions(&mut self, value: &Value, document: &Document, line: u32, texts_only: bool) -> Vec<Arc<Resolved>> {
        let span = document.shown_line(line);
        let node = match value {
            Value::String(text) if texts_only => {
                let cell = Document::new(Arc::clone(document.path()), text.as_str().into());
                match yaml::parse(&cell) {
                    Ok(node) => Node::from_value(&node.to_value(), span),
                    Err(problems) => {
                        let found = problems.into_iter().map(|problem| problem.at(document.place_in_line(line, None)));
                        self.problems.extend(found);
                        return Vec::new();
                    }
                }
            }
            other => Node::from_value(other, span),
        };
        let nodes = if let Kind::List(items) = node.kind { items } else { vec![node] };
        resolve_all(&nodes, document, self.inputs, self.problems)
    }
}

/// What the rows of one table share.
struct Shared {
    index: usize,
    id_column: String,
    /// A column that `id_from` names stays a variable.
    keeps_id: bool,
    cluster: Cluster,
    tags: Vec<String>,
    known_tags: HashSet<String>,
    own: Vec<Arc<Resolved>>,
    effective: Vec<Arc<Resolved>>,
    inherit: Option<bool>,
    samples: Option<u32>,
    defaults: Variables,
    /// Their bytes, of which each row has its own.
    each: usize,
    fixtures: Vec<SourceFile>,
    written: Arc<Vec<(String, Place)>>,
}

fn tags(tags: Option<Vec<Spanned<String>>>) -> Vec<String> {
    let mut known = HashSet::new();
    tags.into_iter().flatten().map(|tag| tag.value).filter(|tag| known.insert(tag.clone())).collect()
}

/// Bytes of what a case holds besides its variables; of an assertion and a file only the reference, which the planned case has again.
fn held(tags: &[String], assertions: &[Arc<Resolved>], fixtures: &[SourceFile]) -> usize {
    let tags: usize = tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
    tags + size_of_val(assertions) * 2 + size_of_val(fixtures)
}

/// Bytes of a value, about.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(key, value)| key.len() + size_of::<String>() + weight(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

/// A list of texts, or one text with commas or semicolons between.
fn row_tags(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.split([',', ';']).map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The suite's assertions and the case's own, whose `refusal` and `stop_reason` replace the suite's; `inherit: false` drops the suite's.
fn effective(inherited: &[Arc<Resolved>], own: &[&[Arc<Resolved>]], inherit: Option<bool>) -> Vec<Arc<Resolved>> {
    let replaces = |key: &str| matches!(key, "refusal" | "stop_reason");
    let mut all: Vec<Arc<Resolved>> = if inherit == Some(false) { Vec::new() } else { inherited.to_vec() };
    // The table's replace the suite's, and the row's replace both.
    for layer in own {
        all.retain(|earlier| {
            let key = earlier.assertion.kind.key();
            !replaces(key) || layer.iter().all(|own| own.assertion.kind.key() != key)
        });
        all.extend(layer.iter().cloned());
    }
    all
}

/// Whether a name can stand in addresses, reports and globs.
pub(crate) fn well_named(what: &str, name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{what} holds a control character: `{}`", name.escape_debug()));
    }
    if name.chars().any(is_invisible) {
        return Err(format!("{what} holds a character that nobody sees: `{}`", name.escape_default()));
    }
    if name.trim() != name {
        return Err(format!("{what} begins or ends with a blank: `{name}`"));
    }
    if name.chars().count() > 300 {
        return Err(format!("{what} is longer than 300 characters"));
    }
    Ok(())
}

/// Marks that turn the direction of text, breaks of lines, and blanks without a width: two names that differ in one look the same. The
/// joiners of emoji and of several scripts are letters, and stay.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `samples` must ask for something.
pub(crate) fn at_least_one(samples: &Spanned<u32>, document: &Document, problems: &mut Vec<Problem>) -> Option<u32> {
    if samples.value == 0 {
        let problem = Problem::error("`samples` must be at least 1").at(document.place(samples.span));
        problems.push(problem.hint("take the case away if it is not to run"));
        return None;
    }
    if samples.value > MOST_SAMPLES {
        let problem = Problem::error(format!("`samples` may be {MOST_SAMPLES} at most")).at(document.place(samples.span));
        problems.push(problem.hint("more cases tell more than more samples of one"));
        return None;
    }
    Some(samples.value)
}
