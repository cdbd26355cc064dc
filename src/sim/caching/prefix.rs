//! The prefix of a request: which positions does it have, where is it marked, and how long is it up to each?

use serde_json::{Map, Value};

use super::super::models::Model;
use super::super::prompt::Prompt;

/// What everything up to a position, in everything that it depends on, is known by.
pub(in super::super) type Key = [u8; 16];

/// How long an entry lives without being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Lifetime {
    FiveMinutes,
    Hour,
}

impl Lifetime {
    pub(super) const fn milliseconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 5 * 60 * 1000,
            Self::Hour => 60 * 60 * 1000,
        }
    }
}

/// One tool, or one block of the system prompt or of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) key: Key,
    /// Tokens of the prompt up to and with it.
    pub(super) tokens: u64,
}

/// The positions of a marked request, in the order tools, system, messages.
#[derive(Debug)]
pub(in super::super) struct Prefix {
    pub(super) positions: Vec<Position>,
    /// Places in `positions`, rising.
    pub(super) marks: Vec<(usize, Lifetime)>,
}

impl Prefix {
    /// The prefix of a validated body; `None` where nothing is marked, which costs a look at its blocks and nothing more.
    pub(in super::super) fn of(body: &Value, model: &Model, model_id: &str, workspace: &[u8]) -> Option<Self> {
        let automatic = mark(body);
        if automatic.is_none() && !any_marked(body) {
            return None;
        }
        let mut walk = Walk {
            prefix: Self { positions: Vec::new(), marks: Vec::new() },
            hasher: blake3::Hasher::new(),
            seen: Prompt::default(),
            model,
            last_cacheable: None,
        };
        // Isolated by model and workspace; another output format is another hidden system prompt (section 6.4).
        let id = if model.id.is_empty() { model_id } else { model.id };
        walk.depends_on(&[&id.into(), &String::from_utf8_lossy(workspace).into(), member(body, "output_config", "format")]);
        walk.tools(body);
        walk.depends_on(&[body.get("speed").unwrap_or(&Value::Null), &has_citations(body).into()]);
        walk.searches(body);
        walk.level(body.get("system").unwrap_or(&Value::Null), "system");
        walk.depends_on(&[&tool_choice(body), &images(body).into(), &thinking(body, model), &effort(body, model)]);
        for turn in items(body, "messages") {
            walk.seen.turn();
            walk.level(turn.get("content").unwrap_or(&Value::Null), turn.get("role").and_then(Value::as_str).unwrap_or_default());
        }
        let Walk { mut prefix, last_cacheable, .. } = walk;
        // Automatic caching marks the last block that can be marked; a mark that stands there is the same one.
        if let (Some(lifetime), Some(last)) = (automatic, last_cacheable)
            && prefix.marks.iter().all(|(at, _)| *at != last)
        {
            prefix.marks.push((last, lifetime));
            prefix.marks.sort_unstable_by_key(|(at, _)| *at);
        }
        Some(prefix)
    }
}

struct Walk<'a> {
    prefix: Prefix,
    /// Over everything so far: its value at a position is that position's key.
    hasher: blake3::Hasher,
    /// What was weighed so far.
    seen: Prompt,
    model: &'a Model,
    last_cacheable: Option<usize>,
}

impl Walk<'_> {
    /// A level begins: what follows is another prefix if one of these is another.
    fn depends_on(&mut self, values: &[&Value]) {
        self.hasher.update(b"\0level");
        for value in values {
            hash(&mut self.hasher, value);
        }
    }

    fn tools(&mut self, body: &Value) {
        for tool in items(body, "tools").iter().filter(|tool| !searches(tool)) {
            self.seen.tool(tool);
            self.position(tool, "tool");
        }
    }

    /// Section 6.4: whether the web is searched belongs to the system level; what stands in the tools stays cached.
    fn searches(&mut self, body: &Value) {
        for tool in items(body, "tools").iter().filter(|tool| searches(tool)) {
            self.seen.tool(tool);
            self.position(tool, "tool");
        }
    }

    fn level(&mut self, content: &Value, role: &str) {
        match content {
            Value::String(text) => {
                self.seen.content(content, 0);
                // The short form of one text block.
                let block = serde_json::json!({"type": "text", "text": text});
                self.position(&block, role);
            }
            Value::Array(blocks) => {
                for block in blocks {
                    self.seen.block(block, 1);
                    self.position(block, role);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }

    fn position(&mut self, block: &Value, role: &str) {
        self.hasher.update(b"\0").update(role.as_bytes()).update(b"\0");
        hash_without_mark(&mut self.hasher, block);
        let mut key = Key::default();
        self.hasher.finalize_xof().fill(&mut key);
        let at = self.prefix.positions.len();
        self.prefix.positions.push(Position { key, tokens: self.seen.weight.tokens_of_prefix(self.model) });
        self.prefix.marks.extend(mark(block).map(|lifetime| (at, lifetime)));
        if is_cacheable(block) {
            self.last_cacheable = Some(at);
        }
    }
}

/// The mark of a block or of the whole request.
fn mark(block: &Value) -> Option<Lifetime> {
    let mark = block.get("cache_control")?.as_object()?;
    Some(if mark.get("ttl").and_then(Value::as_str) == Some("1h") { Lifetime::Hour } else { Lifetime::FiveMinutes })
}

fn any_marked(body: &Value) -> bool {
    let marked = |blocks: &[Value]| blocks.iter().any(|block| mark(block).is_some());
    marked(items(body, "tools"))
        || marked(items(body, "system"))
        || items(body, "messages").iter().any(|turn| marked(items(turn, "content")))
}

fn items<'v>(body: &'v Value, name: &str) -> &'v [Value] {
    body.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn member<'v>(body: &'v Value, name: &str, key: &str) -> &'v Value {
    body.get(name).and_then(|value| value.get(key)).unwrap_or(&Value::Null)
}

/// Section 6.3: thinking and empty text cannot be cached directly.
fn is_cacheable(block: &Value) -> bool {
    match block.get("type").and_then(Value::as_str) {
        Some("thinking" | "redacted_thinking") => false,
        Some("text") => block.get("text").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty()),
        _ => true,
    }
}

fn searches(tool: &Value) -> bool {
    tool.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("web_search_"))
}

fn blocks(body: &Value) -> impl Iterator<Item = &Value> {
    items(body, "messages").iter().flat_map(|turn| items(turn, "content"))
}

fn has_citations(body: &Value) -> bool {
    blocks(body).any(|block| member(block, "citations", "enabled") == &Value::Bool(true))
}

/// Images in turns and in the results of tools.
fn images(body: &Value) -> usize {
    let is_image = |block: &&Value| block.get("type").and_then(Value::as_str) == Some("image");
    blocks(body).map(|block| usize::from(is_image(&block)) + items(block, "content").iter().filter(is_image).count()).sum()
}

fn tool_choice(body: &Value) -> Value {
    match body.get("tool_choice") {
        None | Some(Value::Null) => serde_json::json!({"type": "auto"}),
        Some(choice) => choice.clone(),
    }
}

/// To say what a model does anyway is to say nothing.
fn thinking(body: &Value, model: &Model) -> Value {
    match body.get("thinking") {
        None | Some(Value::Null) => {
            let kind = if model.thinking.on_by_default() { "adaptive" } else { "disabled" };
            serde_json::json!({"type": kind})
        }
        Some(thinking) => thinking.clone(),
    }
}

fn effort(body: &Value, model: &Model) -> Value {
    match member(body, "output_config", "effort") {
        Value::Null => model.default_effort().into(),
        effort => effort.clone(),
    }
}

fn hash(hasher: &mut blake3::Hasher, value: &Value) {
    serde_json::to_writer(&mut *hasher, value).expect("JSON has only text keys, and hashing cannot fail");
    hasher.update(b"\0");
}

/// A mark is not part of what is marked: it may move from turn to turn.
fn hash_without_mark(hasher: &mut blake3::Hasher, block: &Value) {
    match block {
        Value::Object(members) if members.contains_key("cache_control") => {
            let bare: Map<String, Value> =
                members.iter().filter(|(name, _)| *name != "cache_control").map(|(name, value)| (name.clone(), value.clone())).collect();
            hash(hasher, &Value::Object(bare));
        }
        _ => hash(hasher, block),
    }
}
