//! How does a request begin, as the provider's prompt cache sees it, and where can it be marked? (Wire reference, 6.3, 6.4.)
//!
//! Pure: nothing here asks, and a mark is no part of a request, of its key or of what the model sees.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::model::authored::mark;
use crate::model::catalog::Catalog;
use crate::model::request::{Block, Params, Request};
use crate::model::size::bytes;
use crate::model::suite::PromptCache;

/// Marks that a request may carry, the author's included.
pub const MOST_MARKS: usize = 4;

/// The shortest prefix that is kept, of a model that the catalog does not know: that of most known ones, or more.
const UNKNOWN_MINIMUM: u64 = 1_024;

/// Steps that are kept of one request: its first and its last ones. What stands between them in a longer one is only not shared.
const FIRST_STEPS: usize = 16;
const LAST_STEPS: usize = 48;

/// Of media, and of the hidden prompt that tools add, in tokens: an estimate (wire reference, 6.1).
const IMAGE: u64 = 1_600;
const DOCUMENT: u64 = 3_000;
const TOOLS: u64 = 346;

/// How long an entry lives that nobody uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Life {
    /// What the API gives unless told otherwise.
    #[default]
    #[serde(rename = "5m")]
    FiveMinutes,
    /// Dearer to write.
    #[serde(rename = "1h")]
    Hour,
}

impl Life {
    /// In seconds, from the start of the last request that used it.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
        }
    }
}

/// Stands for everything up to a block, and for all that the provider keeps apart: two requests with the same one share an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

/// Which block of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The last tool.
    Tools,
    /// A block of the system prompt.
    System(u32),
    /// A block of a turn.
    Turn(u32, u32),
}

/// A place of a request that may carry a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What stands there and before.
    pub digest: Digest,
    /// About so many tokens.
    pub tokens: u64,
    /// Where.
    pub place: Place,
    /// The author's own mark.
    pub mark: Option<Life>,
}

/// The places of one request that may carry a mark, from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// In the order in which the provider reads them: tools, system, turns.
    pub steps: Box<[Step]>,
    /// The author's marks, wherever they stand.
    pub authored: usize,
    /// The first block that carries a mark of theirs of five minutes, itself or within: nothing behind it may live for an hour.
    pub short: Option<Place>,
    /// The last block that carries one of an hour: everything before it must.
    pub long: Option<Place>,
    /// Only the author marks.
    pub explicit: bool,
    /// The shortest prefix that the provider keeps.
    pub minimum: u64,
}

/// A mark of a request: where it stands, and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What is written, or read.
    pub digest: Digest,
    /// Which block carries it.
    pub place: Place,
    /// How long it lives.
    pub life: Life,
    /// It is ours; otherwise the author's, who wrote it into the block.
    pub added: bool,
}

/// The marks of requests that share a beginning, the shortest prefix first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Those that others share.
    pub marks: Vec<Mark>,
    /// As in [`Path::short`].
    pub short: Option<Place>,
}

/// What goes out with a request beside what the model reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Marks {
    /// The author's marks, as they stand.
    #[default]
    AsWritten,
    /// None, the author's neither.
    Off,
    /// The author's, and those that were planned.
    Planned(Arc<Prefix>),
}

impl Marks {
    /// What is shared with others; nothing where nothing is planned.
    #[must_use]
    pub fn shared(&self) -> &[Mark] {
        match self {
            Self::AsWritten | Self::Off => &[],
            Self::Planned(prefix) => &prefix.marks,
        }
    }

    /// The same marks with a life of an hour, where they are ours: what is asked in batches is answered within hours (section 5).
    #[must_use]
    pub fn lasting_an_hour(&self) -> Self {
        match self {
            Self::AsWritten => Self::AsWritten,
            Self::Off => Self::Off,
            Self::Planned(prefix) => {
                // The author's marks of five minutes must not stand before ours of an hour (6.3).
                let fits = |mark: &Mark| mark.added && prefix.short.is_none_or(|short| mark.place < short);
                let life = |mark: &Mark| if fits(mark) { Mark { life: Life::Hour, ..*mark } } else { *mark };
                Self::Planned(Arc::new(Prefix { marks: prefix.marks.iter().map(life).collect(), short: prefix.short }))
            }
        }
    }
}

/// About so many tokens have so many bytes of text: four bytes are a token, and on models with the newer tokenizer three tenths more (6.1).
#[must_use]
pub fn tokens_of(catalog: &Catalog, model: &str, bytes: u64) -> u64 {
    if catalog.find(model).is_some_and(|entry| entry.older_tokenizer) { bytes.div_ceil(4) } else { bytes.saturating_mul(13).div_ceil(40) }
}

/// The shortest prefix that the provider keeps of this model, in tokens.
#[must_use]
pub fn minimum(catalog: &Catalog, model: &str) -> u64 {
    catalog.find(model).map_or(UNKNOWN_MINIMUM, |entry| entry.min_cacheable_tokens)
}

/// Whether a prefix may be long enough to be kept. The count is an estimate, and a mark on what is too short costs nothing.
#[must_use]
pub const fn may_be_kept(tokens: u64, minimum: u64) -> bool {
    tokens.saturating_mul(4) >= minimum.saturating_mul(3)
}

impl Path {
    /// Of a request to this endpoint; `None` where nothing of it can be cached, or nothing is to be.
    #[must_use]
    pub fn of(request: &Request, endpoint: &str, wanted: PromptCache, catalog: &Catalog) -> Option<Self> {
        let explicit = match wanted {
            PromptCache::Off => return None,
            PromptCache::Explicit => true,
            PromptCache::Auto => false,
        };
        let minimum = minimum(catalog, &request.model);
        let tools = request.params.tools.as_deref().unwrap_or_default();
        let blocks = || request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.content));
        let mut weight = Weight { catalog, model: &request.model, bytes: 0, other: 0 };
        weight.tools(tools);
        blocks().for_each(|block| weight.block(block));
        let authored = tools.iter().filter_map(Value::as_object).chain(blocks().map(|block| &block.0)).map(marks_in).sum();
        if !may_be_kept(weight.tokens(), minimum) || (explicit && authored == 0) {
            return None;
        }
        let weight = Weight { bytes: 0, other: 0, ..weight };
        let mut walk = Walk { steps: Vec::new(), hasher: blake3::Hasher::new(), weight, short: None, long: None };
        walk.base(request, endpoint, explicit);
        if !tools.is_empty() {
            walk.tools(tools);
        }
        walk.depends_on(&has_citations(request));
        for (at, block) in (0..).zip(&request.system) {
            walk.block(block, Place::System(at));
        }
        walk.depends_on(&(&request.params.tool_choice, images(request)));
        for (turn, (role, content)) in (0..).zip(request.turns.iter().map(|turn| (turn.role, &turn.content))) {
            walk.depends_on(&role);
            for (at, block) in (0..).zip(content) {
                walk.block(block, Place::Turn(turn, at));
            }
        }
        let Walk { mut steps, short, long, .. } = walk;
        if steps.len() > FIRST_STEPS + LAST_STEPS {
            steps.drain(FIRST_STEPS..steps.len() - LAST_STEPS);
        }
        Some(Self { steps: steps.into(), authored, short, long, explicit, minimum })
    }
}

struct Walk<'a> {
    steps: Vec<Step>,
    hasher: blake3::Hasher,
    weight: Weight<'a>,
    short: Option<Place>,
    long: Option<Place>,
}

impl Walk<'_> {
    /// What the provider keeps apart, or may: another model, workspace, output format, speed, thinking or effort (6.3, 6.4).
    fn base(&mut self, request: &Request, endpoint: &str, explicit: bool) {
        let Params {
            max_tokens: _,
            stop_sequences: _,
            temperature: _,
            top_p: _,
            top_k: _,
            tools: _,
            tool_choice: _,
            thinking,
            output_config,
            metadata: _,
            inference_geo,
            service_tier,
            speed,
        } = &request.params;
        self.depends_on(&(endpoint, &request.model, explicit));
        self.depends_on(&(thinking, output_config, inference_geo, service_tier, speed));
    }

    /// What follows is another prefix if this is another.
    fn depends_on<T: Serialize>(&mut self, value: &T) {
        serde_json::to_writer(&mut self.hasher, value).expect("plain values always have a text, and hashing cannot fail");
        self.hasher.update(b"\0");
    }

    fn tools(&mut self, tools: &[Value]) {
        self.weight.tools(tools);
        for tool in tools {
            match tool {
                Value::Object(tool) => {
                    self.authored(tool, Place::Tools);
                    self.depends_on(&Marked { block: tool, carried: Carried::Nothing });
                }
                _ => self.depends_on(tool),
            }
        }
        let last = tools.last().and_then(Value::as_object);
        // What is loaded later is no part of the prompt yet.
        if let Some(last) = last.filter(|tool| tool.get("defer_loading") != Some(&Value::Bool(true))) {
            self.step(Place::Tools, mark(last));
        }
    }

    fn block(&mut self, block: &Block, place: Place) {
        self.weight.block(block);
        self.authored(&block.0, place);
        self.depends_on(&Marked { block: &block.0, carried: Carried::Nothing });
        if can_be_marked(block) {
            self.step(place, mark(&block.0));
        }
    }

    fn authored(&mut self, block: &Map<String, Value>, place: Place) {
        for life in mark(block).into_iter().chain(nested(block).filter_map(mark)) {
            match life {
                Life::FiveMinutes => drop(self.short.get_or_insert(place)),
                Life::Hour => self.long = Some(place),
            }
        }
    }

    fn step(&mut self, place: Place, mark: Option<Life>) {
        let mut digest = [0; 16];
        self.hasher.finalize_xof().fill(&mut digest);
        self.steps.push(Step { digest: Digest(u128::from_le_bytes(digest)), tokens: self.weight.tokens(), place, mark });
    }
}

/// Thinking and empty text cannot be marked (6.3).
fn can_be_marked(block: &Block) -> bool {
    match block.kind() {
        "" | "thinking" | "redacted_thinking" => false,
        "text" => block.as_text().is_some_and(|text| !text.trim().is_empty()),
        _ => true,
    }
}

/// Lists of blocks within a block: what a tool answered, what a document is made of.
fn nested(block: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let source = block.get("source").and_then(|source| source.get("content"));
    [block.get("content"), source].into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_object)
}

fn marks_in(block: &Map<String, Value>) -> usize {
    usize::from(mark(block).is_some()) + nested(block).map(|inner| usize::from(mark(inner).is_some())).sum::<usize>()
}

fn has_citations(request: &Request) -> bool {
    let on = |block: &Block| block.0.get("citations").is_some_and(|citations| citations.get("enabled") == Some(&Value::Bool(true)));
    request.turns.iter().flat_map(|turn| &turn.content).any(on)
}

fn images(request: &Request) -> usize {
    let is_image = |block: &Map<String, Value>| block.get("type").is_some_and(|kind| kind == "image");
    let count = |block: &Block| usize::from(is_image(&block.0)) + nested(&block.0).filter(|inner| is_image(inner)).count();
    request.turns.iter().flat_map(|turn| &turn.content).map(count).sum()
}

/// What was read so far, as far as it is counted.
struct Weight<'a> {
    catalog: &'a Catalog,
    model: &'a str,
    bytes: u64,
    /// Tokens that no bytes tell of.
    other: u64,
}

impl Weight<'_> {
    fn tokens(&self) -> u64 {
        tokens_of(self.catalog, self.model, self.bytes) + self.other
    }

    fn tools(&mut self, tools: &[Value]) {
        self.bytes += tools.iter().map(bytes).sum::<u64>();
        self.other += if tools.is_empty() { 0 } else { TOOLS };
    }

    fn block(&mut self, block: &Block) {
        match block.kind() {
            "text" => self.bytes += block.as_text().map_or(0, str::len) as u64,
            "image" => self.other += IMAGE,
            "document"
                if block
                    .0
                    .get("source")
                    .is_none_or(|source| source.get("data").is_none() || source.get("media_type") == Some(&"application/pdf".into())) =>
            {
                self.other += DOCUMENT;
            }
            _ => self.bytes += block.0.values().map(bytes).sum::<u64>(),
        }
    }
}

/// A block as it is sent, with the mark that it carries there.
pub(crate) struct Marked<'a> {
    pub(crate) block: &'a Map<String, Value>,
    pub(crate) carried: Carried,
}

/// Which mark a block carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// None, not the author's either.
    Nothing,
    /// The author's, where there is one.
    Authors,
    /// The author's, or else this one.
    Added(Life),
}

impl Serialize for Marked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let added = match self.carried {
            Carried::Authors => return self.block.serialize(serializer),
            Carried::Nothing => None,
            Carried::Added(_) if mark(self.block).is_some() => return self.block.serialize(serializer),
            Carried::Added(life) => Some(life),
        };
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.block.iter().filter(|(name, _)| *name != "cache_control") {
            map.serialize_entry(name, value)?;
        }
        match added {
            None => {}
            Some(Life::FiveMinutes) => map.serialize_entry("cache_control", &serde_json::json!({"type": "ephemeral"}))?,
            Some(Life::Hour) => map.serialize_entry("cache_control", &serde_json::json!({"type": "ephemeral", "ttl": "1h"}))?,
        }
        map.end()
    }
}

/// The request without any mark.
pub(crate) fn without_marks(request: &Request) -> Cow<'_, Request> {
    let blocks = || request.system.iter().chain(request.turns.iter().flat_map(|turn| &turn.content)).map(|block| &block.0);
    let tools = request.params.tools.iter().flatten().filter_map(Value::as_object);
    if tools.chain(blocks()).all(|block| marks_in(block) == 0) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    let content = request.turns.iter_mut().flat_map(|turn| &mut turn.content);
    let blocks = request.system.iter_mut().chain(content).map(|block| &mut block.0);
    let tools = request.params.tools.iter_mut().flatten().filter_map(Value::as_object_mut);
    for block in tools.chain(blocks) {
        block.shift_remove("cache_control");
        for name in ["content", "source"] {
            let Some(inner) = block.get_mut(name) else { continue };
            let list = if name == "source" { inner.get_mut("content") } else { Some(inner) };
            for inner in list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                inner.shift_remove("cache_control");
            }
        }
    }
    Cow::Owned(request)
}

#[cfg(test)]
#[path = "prefix_tests.rs"]
mod tests;
