//! The keys of one mapping: which are there, which are unknown, and of which type?

use std::time::Duration;

use super::super::script::ScriptProblem;
use super::super::tree::{Node, Value};

/// Mistakes that are kept: mending the first helps more than counting all.
const MOST_PROBLEMS: usize = 100;

/// Characters of one message: a name may be as long as the script.
const LONGEST_MESSAGE: usize = 400;

/// Longest name that is compared with those that would have been right.
const LONGEST_NAME: usize = 60;

const HOUR: Duration = Duration::from_secs(3600);

/// The mistakes found so far.
pub(in super::super) struct Problems {
    name: String,
    list: Vec<ScriptProblem>,
    count: usize,
}

impl Problems {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), list: Vec::new(), count: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn into_list(mut self) -> Vec<ScriptProblem> {
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        self.list
    }

    pub(super) fn at(&mut self, line: u64, column: u64, message: impl Into<String>, hint: Option<String>) {
        self.count += 1;
        if self.list.len() < MOST_PROBLEMS {
            let mut message = message.into();
            if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
                message.replace_range(end.., "…");
            }
            self.list.push(ScriptProblem { name: self.name.clone(), line, column, message, hint });
        }
    }

    pub(super) fn node(&mut self, node: &Node, message: impl Into<String>, hint: Option<String>) {
        self.at(node.line, node.column, message, hint);
    }
}

/// A mapping whose keys were checked against those that may stand there.
pub(super) struct Fields<'a> {
    entries: &'a [(super::super::tree::Key, Node)],
}

impl<'a> Fields<'a> {
    /// The fields of `node`, which messages call `what`; unknown keys are problems.
    pub(super) fn of(node: &'a Node, what: &str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            problems.node(node, format!("{what} must be a mapping, not {}", node.kind()), Some(format!("its keys are {}", listed(known))));
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                let hint = nearest(&key.name, known)
                    .map_or_else(|| format!("its keys are {}", listed(known)), |near| format!("did you mean `{near}`?"));
                problems.at(key.line, key.column, format!("unknown key `{}` in {what}", key.name), Some(hint));
            }
        }
        Some(Self { entries })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The items of a list; something else than a list is a problem.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> &'a [Node] {
        match self.get(name).map(|node| (node, &node.value)) {
            Some((_, Value::List(items))) => items,
            Some((node, _)) => {
                problems.node(node, format!("`{name}` must be a list, not {}", node.kind()), None);
                &[]
            }
            None => &[],
        }
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub(super) fn items(&self, name: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
        match self.get(name) {
            Some(Node { value: Value::List(items), .. }) => items.iter(),
            Some(node) => std::slice::from_ref(node).iter(),
            None => [].iter(),
        }
    }

    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        self.get(name).and_then(|node| text(node, name, problems))
    }

    /// Text, or a list of texts.
    pub(super) fn texts(&self, name: &str, problems: &mut Problems) -> Vec<String> {
        self.items(name).filter_map(|node| text(node, name, problems)).map(str::to_owned).collect()
    }

    pub(super) fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        match self.get(name).map(|node| (node, &node.value)) {
            Some((_, Value::Bool(value))) => Some(*value),
            Some((node, _)) => {
                problems.node(node, format!("`{name}` must be true or false, not {}", node.kind()), None);
                None
            }
            None => None,
        }
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, name: &str, least: u64, most: u64, problems: &mut Problems) -> Option<u64> {
        let node = self.get(name)?;
        if let Value::Int(value) = node.value
            && let Ok(value) = u64::try_from(value)
            && (least..=most).contains(&value)
        {
            return Some(value);
        }
        problems.node(node, format!("`{name}` must be a whole number from {least} to {most}"), None);
        None
    }

    /// A time such as `200ms`, `1.5s` or `2m`.
    pub(super) fn duration(&self, name: &str, problems: &mut Problems) -> Option<Duration> {
        self.time(name, HOUR, problems)
    }

    /// The same up to `most`, which may be hours.
    pub(super) fn time(&self, name: &str, most: Duration, problems: &mut Problems) -> Option<Duration> {
        let node = self.get(name)?;
        let parsed = if let Value::Text(text) = &node.value { duration(text, most) } else { None };
        if parsed.is_none() {
            let hint = match most.as_secs() / HOUR.as_secs() {
                0 | 1 => "write 200ms, 1.5s or 2m; at most an hour".to_owned(),
                hours => format!("write 200ms, 1.5s, 2m or 24h; at most {hours} hours"),
            };
            problems.node(node, format!("`{name}` must be a time with its unit"), Some(hint));
        }
        parsed
    }
}

fn text<'a>(node: &'a Node, name: &str, problems: &mut Problems) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    problems.node(node, format!("`{name}` must be text, not {}", node.kind()), Some("put it in quotes".to_owned()));
    None
}

fn duration(text: &str, most: Duration) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = number.parse::<f64>().ok()?
        * match unit.trim() {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
    (0.0..=most.as_secs_f64()).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// The known name that is most like this one, if one is.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Comparing takes the product of both lengths.
    if name.len() > LONGEST_NAME {
        return None;
    }
    known
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Names in backquotes, for messages.
pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
