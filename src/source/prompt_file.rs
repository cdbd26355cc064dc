//! What turns does a prompt file hold? `.md` with turns between marker lines, `.yaml` with the API's own message blocks.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::key::digest;
use crate::model::problem::{Place, Problem};
use crate::model::request::{Params, Role};
use crate::model::suite::{BlockTemplate, PromptVersion, SourceFile, TurnTemplate};
use crate::source::decode::{decode, decode_all};
use crate::source::document::{Document, Span};
use crate::source::input::{Inputs, extension, media_type};
use crate::source::node::{Kind, Node};
use crate::source::prompt::{PromptFile, template_place};
use crate::source::spanned::Spanned;
use crate::source::yaml;
use crate::template::is_template;
use crate::template::prompt::CompiledPrompt;

/// What stands between the `---` lines of a `.md` prompt.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    /// For people.
    description: Option<String>,
    /// Parameters that belong to the prompt; they overlay the suite's.
    #[schemars(with = "Option<Params>")]
    request: Option<Node>,
}

/// A `.yaml` prompt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PromptShape {
    /// For people.
    description: Option<String>,
    /// Parameters that belong to the prompt, tools for one; they overlay the suite's.
    #[schemars(with = "Option<Params>")]
    request: Option<Node>,
    /// A text, or a list of system blocks.
    system: Option<Node>,
    /// The turns, as the API spells them.
    messages: Vec<Spanned<MessageShape>>,
}

/// One turn of a `.yaml` prompt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MessageShape {
    /// `user` or `assistant`.
    role: Role,
    /// A text, or a list of content blocks.
    content: Node,
}

/// What both kinds of file give.
struct Content {
    description: Option<String>,
    request: Option<Node>,
    system: Vec<BlockTemplate>,
    turns: Vec<TurnTemplate>,
    embedded: Vec<SourceFile>,
}

/// Reads one version; problems are pushed.
pub(crate) fn read(
    name: &str,
    version: u32,
    path: &str,
    named_at: &Place,
    inputs: &Inputs<'_>,
    problems: &mut Vec<Problem>,
) -> Option<PromptFile> {
    let file = inputs.file(path, named_at).map_err(|problem| problems.push(problem)).ok()?;
    // The line ends of a checkout must not change what a model reads.
    let document = Document::from_bytes(&file.source.path, &file.bytes).map_err(|problem| problems.push(problem)).ok()?;
    let document = if document.text().contains('\r') {
        Document::new(Arc::clone(document.path()), document.text().replace("\r\n", "\n").into())
    } else {
        document
    };
    let before = problems.len();
    let content = if extension(path) == "md" { markdown(&document, problems) } else { blocks(&document, inputs, problems) }?;
    let request = content.request.as_ref().map_or_else(|| Some(Params::default()), |node| decode_all(node, &document, problems));
    if content.turns.is_empty() {
        problems.push(
            Problem::error(format!("`{path}` has no turn"))
                .at(document.place(Span::default()))
                .hint("write `user:` on a line of its own, and the text below"),
        );
    }
    // What is locked is what the model reads: a checkout with other line ends is the same version.
    let source = SourceFile { path: file.source.path, digest: digest(document.text().as_bytes()) };
    let version = Arc::new(PromptVersion {
        prompt: name.to_owned(),
        version,
        file: source,
        description: content.description,
        system: content.system,
        turns: content.turns,
        request: request.unwrap_or_default(),
    });
    let compiled = CompiledPrompt::compile(&version).map_err(|error| {
        let is_valid = !error.message.starts_with("the template is not valid");
        let hint = error.hint.clone().unwrap_or_else(|| {
            let hint = match error.too_much {
                true => "text that is this long belongs into a fixture, and a list into the variables of the case",
                false if is_valid => {
                    "templates are Jinja, without other files and what few prompts need: https://jinja.palletsprojects.com/templates"
                }
                false => "a block (`{% if %}`) ends in the turn in which it begins; literal braces are written as `{{ \"{{\" }}`",
            };
            hint.to_owned()
        });
        problems.push(Problem::error(&error.message).at(template_place(&document, &error)).hint(hint));
    });
    if problems[before..].iter().any(|problem| problem.severity == crate::model::problem::Severity::Error) {
        return None;
    }
    Some(PromptFile { version, compiled: compiled.ok()?, document, request: content.request, embedded: content.embedded })
}

fn marker(line: &str) -> Option<Option<Role>> {
    match line.trim_end() {
        "system:" => Some(None),
        "user:" => Some(Some(Role::User)),
        "assistant:" => Some(Some(Role::Assistant)),
        _ => None,
    }
}

fn markdown(document: &Document, problems: &mut Vec<Problem>) -> Option<Content> {
    let text = document.text();
    let lines: Vec<&str> = text.lines().collect();
    let (front, first) = front_matter(document, &lines, problems)?;
    let mut content =
        Content { description: front.description, request: front.request, system: Vec::new(), turns: Vec::new(), embedded: Vec::new() };
    let markers: Vec<(usize, Option<Role>)> =
        (first..lines.len()).filter_map(|index| marker(lines[index]).map(|role| (index, role))).collect();
    let number = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    let mut problem = |index: usize, message: &str, hint: &str| {
        problems.push(Problem::error(message).at(document.place_in_line(number(index), None)).hint(hint));
    };
    if let Some(stray) = markers.first().and_then(|(end, _)| (first..*end).find(|index| !lines[*index].trim().is_empty())) {
        problem(stray, "this text stands before the first turn", "put `system:` or `user:` on a line of its own above it");
    }
    let whole = [(first, Some(Role::User))];
    let starts: Vec<(usize, usize, Option<Role>)> = if markers.is_empty() {
        whole.iter().map(|(at, role)| (*at, *at, *role)).collect()
    } else {
        markers.iter().map(|(at, role)| (*at, at + 1, *role)).collect()
    };
    for (position, (marked, begin, role)) in starts.iter().enumerate() {
        let end = starts.get(position + 1).map_or(lines.len(), |(marked, ..)| *marked);
        let filled = |index: &usize| !lines[*index].trim().is_empty();
        let (Some(begin), Some(last)) = ((*begin..end).find(filled), (*begin..end).rev().find(filled)) else {
            let index = (*marked).min(lines.len().saturating_sub(1));
            problem(index, "this turn is empty", "write its text below the line, or take the line away");
            continue;
        };
        // Blank lines around a turn separate it in the file; they are not what is said.
        let block = BlockTemplate::Text { template: lines[begin..=last].join("\n"), line: number(begin) };
        match role {
            None if content.turns.is_empty() && content.system.is_empty() => content.system.push(block),
            None => problem(*marked, "`system:` stands once, before every other turn", "move the text to the first `system:`"),
            Some(role) => content.turns.push(TurnTemplate { role: *role, content: vec![block] }),
        }
    }
    Some(content)
}

/// The front matter and the index of the first line behind it.
fn front_matter(document: &Document, lines: &[&str], problems: &mut Vec<Problem>) -> Option<(FrontMatter, usize)> {
    if lines.first().map(|line| line.trim_end()) != Some("---") {
        return Some((FrontMatter::default(), 0));
    }
    let Some(end) = (1..lines.len()).find(|index| lines[*index].trim_end() == "---") else {
        let problem = Problem::error("the front matter that begins here never ends");
        problems.push(problem.at(document.place_in_line(1, None)).hint("close it with a line that is just `---`"));
        return None;
    };
    let behind = document.line_span(u32::try_from(end + 1).unwrap_or(u32::MAX)).start as usize;
    // The beginning of the same text, so that every place in it is right.
    let head = Document::new(Arc::clone(document.path()), document.text()[..behind].into());
    let node = yaml::parse_into(&head, problems)?;
    if matches!(node.kind, Kind::Null) {
        return Some((FrontMatter::default(), end + 1));
    }
    decode_all(&node, &head, problems).map(|front| (front, end + 1))
}

fn blocks(document: &Document, inputs: &Inputs<'_>, problems: &mut Vec<Problem>) -> Option<Content> {
    let node = yaml::parse_into(document, problems)?;
    let shape: PromptShape = decode_all(&node, document, problems)?;
    let mut reading = Blocks { document, inputs, problems, embedded: Vec::new() };
    let system = shape.system.map(|node| reading.content(&node)).unwrap_or_default();
    let turns = shape.messages.into_iter().map(|message| {
        let Spanned { value: MessageShape { role, content }, .. } = message;
        TurnTemplate { role, content: reading.content(&content) }
    });
    let turns = turns.collect();
    let embedded = reading.embedded;
    Some(Content { description: shape.description, request: shape.request, system, turns, embedded })
}

struct Blocks<'a, 'b> {
    document: &'a Document,
    inputs: &'a Inputs<'b>,
    problems: &'a mut Vec<Problem>,
    embedded: Vec<SourceFile>,
}

impl Blocks<'_, '_> {
    fn content(&mut self, node: &Node) -> Vec<BlockTemplate> {
        let line = self.document.line(node.head().start);
        match &node.kind {
            Kind::Text(text) if text.trim().is_empty() => self.wrong(node, "this content is empty", "write a text, or take the turn away"),
            Kind::Text(text) => vec![BlockTemplate::Text { template: text.clone(), line: self.text_line(node, line) }],
            Kind::List(items) if items.is_empty() => self.wrong(node, "this content is empty", "write a text, or take the turn away"),
            Kind::List(items) => items.iter().filter_map(|item| self.block(item)).collect(),
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::Mapping(_) => {
                let message = format!("content must be a text or a list of blocks, but it is {}", node.describe());
                self.wrong(node, &message, "write `content: text`, or a list of blocks that begin with `- type: `")
            }
        }
    }

    fn wrong(&mut self, node: &Node, message: &str, hint: &str) -> Vec<BlockTemplate> {
        self.problems.push(Problem::error(message).at(node.place(self.document)).hint(hint));
        Vec::new()
    }

    /// A block scalar (`|`) begins on the line below its key.
    fn text_line(&self, node: &Node, line: u32) -> u32 {
        let above = self.document.line_span(line.saturating_sub(1).max(1));
        let is_scalar = self.document.slice(above).trim_end().ends_with(['|', '>', '-', '+']);
        if is_scalar && node.span.start >= above.end { line } else { self.document.line(node.span.start) }
    }

    fn block(&mut self, node: &Node) -> Option<BlockTemplate> {
        let line = self.document.line(node.head().start);
        let kind = node.get("type").map(|kind| &kind.kind);
        let Some(Kind::Text(kind)) = kind else {
            self.wrong(node, "a block says its `type`", "begin it with `- type: text`");
            return None;
        };
        if kind == "text"
            && let [_, _] = node.entries()
            && let Some(Node { kind: Kind::Text(text), .. }) = node.get("text")
        {
            return Some(BlockTemplate::Text { template: text.clone(), line });
        }
        let Value::Object(block) = self.embed(node)? else { return None };
        Some(BlockTemplate::Structured { block, line })
    }

    /// The value of a block, `{file: path}` replaced by what the API takes there.
    fn embed(&mut self, node: &Node) -> Option<Value> {
        match &node.kind {
            Kind::List(items) => items.iter().map(|item| self.embed(item)).collect::<Option<Vec<_>>>().map(Value::Array),
            Kind::Mapping(entries) => {
                if let [(key, path)] = entries.as_slice()
                    && key.name == "file"
                {
                    return self.file(path);
                }
                let entries = entries.iter().map(|(key, value)| Some((key.name.clone(), self.embed(value)?)));
                entries.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            Kind::Null | Kind::Bool { .. } | Kind::Number { .. } | Kind::Text(_) => Some(node.to_value()),
        }
    }

    fn file(&mut self, node: &Node) -> Option<Value> {
        let read = decode::<String>(node, self.document)
            .and_then(|path| self.inputs.value(&path, media_type(&path).is_none(), &node.place(self.document)));
        let (source, value) = read.map_err(|problem| self.problems.push(problem)).ok()?;
        self.embedded.push(source);
        let mut embedded = Map::new();
        match value {
            Value::Object(mut media) => {
                embedded.insert("type".to_owned(), Value::from("base64"));
                embedded.append(&mut media);
            }
            other => {
                embedded.insert("type".to_owned(), Value::from("text"));
                embedded.insert("media_type".to_owned(), Value::from("text/plain"));
                embedded.insert("data".to_owned(), literal(other.as_str().unwrap_or_default()).into());
            }
        }
        Some(Value::Object(embedded))
    }
}

/// A template that renders to exactly this text: a document is an input, and what looks like a template in it is not one.
fn literal(text: &str) -> String {
    if !is_template(text) {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).expect("a text is always JSON");
    format!("{{{{ {quoted} }}}}")
}
