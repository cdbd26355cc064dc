//! Which settings hold? The embedded defaults, then `promptkeel.toml`, then the environment, then flags.

pub(crate) mod gate;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::cli::environment::Environment;
use crate::model::catalog::PriceOverride;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::model::suite::BatchPolicy;
use crate::source::decode::decode_all;
use crate::source::document::{Document, Span as Bytes};
use crate::source::node::Node;
use crate::source::toml;

/// Layer 0, and what `promptkeel settings` prints.
pub(crate) const DEFAULTS: &str = include_str!("../default.toml");

/// Largest settings file, env file and script of a simulator; all of them are written by hand.
pub(crate) const LARGEST: u64 = 8 << 20;

/// Most endpoints of a project: whoever has more has written a loop, and each is resolved for every command.
const MOST_ENDPOINTS: usize = 500;

/// The file's name; it marks the root of a project.
pub(crate) const FILE: &str = "promptkeel.toml";

/// `promptkeel.toml`: every key is optional; `promptkeel settings` prints all of them with their defaults.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SettingsFile {
    /// How suites run.
    run: RunSection,
    /// The comparisons of all suites.
    gate: gate::GateSettings,
    /// Named places that answer.
    endpoints: BTreeMap<String, EndpointSection>,
    /// Prices of models that the catalog does not know, or other prices than the catalog's.
    prices: BTreeMap<String, PriceOverride>,
}

/// How suites run.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RunSection {
    /// The endpoint of models that name none.
    endpoint: Option<String>,
    /// Files and folders that are searched when a command names none.
    suites: Option<Vec<String>>,
    /// `max_tokens` of requests that give none.
    max_tokens: Option<NonZeroU64>,
    /// Requests under way at once, per endpoint and model.
    max_concurrency: Option<NonZeroU32>,
    /// Requests per minute, per endpoint and model.
    requests_per_minute: Option<NonZeroU32>,
    /// Input tokens per minute, per endpoint and model; what a prompt cache served does not count.
    input_tokens_per_minute: Option<NonZeroU64>,
    /// Output tokens per minute, per endpoint and model, as they are written.
    output_tokens_per_minute: Option<NonZeroU64>,
    /// Tries of one request, the first included.
    max_attempts: Option<NonZeroU32>,
    /// One answer with all its attempts and waits, such as `10m`.
    case_timeout: Option<Span>,
    /// The whole run, such as `30m`: then nothing more is started, and what is under way is finished.
    run_timeout: Option<Span>,
    /// One attempt, such as `5m`.
    attempt_timeout: Option<Span>,
    /// The longest wait that a server may ask for, such as `2m`.
    max_retry_after: Option<Span>,
    /// An endpoint that gives no usable answer for so long is given up, such as `30s`.
    give_up_after: Option<Span>,
    /// Whether replies are asked for as streams of events.
    stream: Option<StreamSection>,
    /// A run that will probably cost more dollars asks first, where somebody sits at a terminal: `"5.00"`.
    confirm_above: Option<Money>,
    /// Whether requests are asked in message batches, where a suite does not say it.
    batch: Option<BatchPolicy>,
    /// Paths in suites may leave the project.
    allow_outside: Option<bool>,
    /// A file with further environment variables.
    env_file: Option<String>,
}

/// A named place that answers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct EndpointSection {
    /// The protocol that is spoken.
    dialect: Option<Dialect>,
    /// `https://host` without the API's own path.
    base_url: Option<String>,
    /// The environment variable that holds the key.
    api_key_env: Option<String>,
    /// The header that carries the key.
    auth: Option<AuthSection>,
    /// The `anthropic-version` header.
    api_version: Option<String>,
    /// The `anthropic-beta` headers.
    beta: Option<Vec<String>>,
    /// The simulator's rules, project-relative.
    script: Option<String>,
    /// See `run.max_concurrency`.
    max_concurrency: Option<NonZeroU32>,
    /// See `run.requests_per_minute`.
    requests_per_minute: Option<NonZeroU32>,
    /// See `run.input_tokens_per_minute`.
    input_tokens_per_minute: Option<NonZeroU64>,
    /// See `run.output_tokens_per_minute`.
    output_tokens_per_minute: Option<NonZeroU64>,
    /// See `run.max_attempts`.
    max_attempts: Option<NonZeroU32>,
    /// See `run.attempt_timeout`.
    attempt_timeout: Option<Span>,
    /// See `run.max_retry_after`.
    max_retry_after: Option<Span>,
    /// See `run.give_up_after`.
    give_up_after: Option<Span>,
    /// Where its provider says how it is; told when the endpoint is given up.
    status_page: Option<String>,
    /// See `run.stream`.
    stream: Option<StreamSection>,
}

/// The header that carries the key.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum AuthSection {
    /// `x-api-key: KEY`.
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

impl From<AuthSection> for crate::endpoint::Auth {
    fn from(auth: AuthSection) -> Self {
        match auth {
            AuthSection::XApiKey => Self::XApiKey,
            AuthSection::Bearer => Self::Bearer,
        }
    }
}

/// Whether replies are asked for as streams of events.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StreamSection {
    /// Where `max_tokens` is above 21,333, as the official clients do.
    Auto,
    /// Wherever the API takes it.
    Always,
    /// Nowhere.
    Never,
}

impl From<StreamSection> for crate::endpoint::Streaming {
    fn from(stream: StreamSection) -> Self {
        match stream {
            StreamSection::Auto => Self::Auto,
            StreamSection::Always => Self::Always,
            StreamSection::Never => Self::Never,
        }
    }
}

/// A duration as people write it.
#[derive(Debug, Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A duration that is not nothing, as settings and flags take it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| format!("`{text}` is not a duration: write it like 10m, 30s or 500ms"))
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "a duration such as 10m, 30s or 500ms" })
    }
}

/// All settings, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: String,
    pub(crate) suites: Vec<String>,
    pub(crate) max_tokens: u64,
    pub(crate) case_timeout: Duration,
    pub(crate) run_timeout: Option<Duration>,
    pub(crate) confirm_above: Money,
    pub(crate) batch: BatchPolicy,
    pub(crate) gate: gate::GateSettings,
    pub(crate) allow_outside: bool,
    pub(crate) env_file: Option<String>,
    pub(crate) endpoints: BTreeMap<String, EndpointSettings>,
    pub(crate) prices: BTreeMap<String, PriceOverride>,
}

/// One endpoint, resolved.
#[derive(Debug, Clone)]
pub(crate) struct EndpointSettings {
    pub(crate) dialect: Dialect,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key_env: Option<String>,
    pub(crate) auth: crate::endpoint::Auth,
    pub(crate) api_version: String,
    pub(crate) beta: Vec<String>,
    pub(crate) script: Option<String>,
    pub(crate) max_concurrency: u32,
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) input_tokens_per_minute: Option<u64>,
    pub(crate) output_tokens_per_minute: Option<u64>,
    pub(crate) max_attempts: u32,
    pub(crate) attempt_timeout: Duration,
    pub(crate) attempt_grows: bool,
    pub(crate) max_retry_after: Duration,
    pub(crate) give_up_after: Duration,
    pub(crate) status_page: Option<String>,
    pub(crate) stream: crate::endpoint::Streaming,
}

/// Layers the defaults, the file's text and the environment.
///
/// # Errors
/// Every problem of the file at once.
pub(crate) fn load(text: Option<&[u8]>) -> Result<Settings, Vec<Problem>> {
    let (defaults, _) = parse("default.toml", DEFAULTS.as_bytes())?;
    let (file, written) = match text {
        Some(text) => {
            let (file, written) = parse(FILE, text).map_err(without_keys)?;
            (file, Some(written))
        }
        None => (SettingsFile::default(), None),
    };
    resolve(defaults, file, written.as_ref()).map_err(without_keys)
}

/// A key that somebody wrote into the settings, where none belongs, is repeated in no message: the log of a job is read by many.
fn without_keys(mut problems: Vec<Problem>) -> Vec<Problem> {
    // The value of whatever is called a key, and whatever looks like one.
    let named = Regex::new(r#"(?i)((?:key|token|secret|password)\w*["']?\s*[:=]\s*["']?)[^"'\s]+"#).expect("this is a pattern");
    let shaped = Regex::new(r#"\bsk-[A-Za-z0-9_-]{8,}[^\s"'`]*"#).expect("this is a pattern");
    let clean = |text: &str| shaped.replace_all(&named.replace_all(text, "${1}…"), "…").into_owned();
    for problem in &mut problems {
        problem.message = shaped.replace_all(&problem.message, "…").into_owned();
        problem.hint = problem.hint.take().map(|hint| shaped.replace_all(&hint, "…").into_owned());
        if let Some(place) = &mut problem.place {
            place.source = clean(&place.source);
        }
    }
    problems
}

/// The JSON Schema of `promptkeel.toml`.
pub(crate) fn schema() -> serde_json::Value {
    schemars::schema_for!(SettingsFile).to_value()
}

/// A file as it was written, for the places of what is wrong in it.
struct Written {
    document: Document,
    node: Node,
}

impl Written {
    /// The name of an endpoint, where its section begins.
    fn endpoint(&self, name: &str) -> Option<Bytes> {
        let endpoints = self.node.get("endpoints")?;
        endpoints.entries().iter().find(|(key, _)| key.name == name).map(|(key, _)| key.span)
    }

    /// The value of `run.endpoint`.
    fn default_endpoint(&self) -> Option<Bytes> {
        self.node.get("run")?.get("endpoint").map(|value| value.span)
    }

    fn mark(&self, problem: Problem, span: Option<Bytes>) -> Problem {
        match span {
            Some(span) => problem.at(self.document.place(span)),
            None => problem,
        }
    }
}

fn parse(name: &str, text: &[u8]) -> Result<(SettingsFile, Written), Vec<Problem>> {
    let path: Arc<str> = Arc::from(name);
    let document = Document::from_bytes(&path, text).map_err(|problem| vec![problem])?;
    let node = toml::parse(&document)?;
    if let Some((key, _)) = node.get("endpoints").and_then(|endpoints| endpoints.entries().get(MOST_ENDPOINTS)) {
        let problem = Problem::error(format!("the settings have more than {MOST_ENDPOINTS} endpoints")).at(document.place(key.span));
        return Err(vec![problem.hint("keep those that a suite names; models of one provider share one")]);
    }
    let mut problems = Vec::new();
    match decode_all(&node, &document, &mut problems) {
        Some(file) if problems.is_empty() => Ok((file, Written { document, node })),
        _ => Err(problems),
    }
}

fn resolve(defaults: SettingsFile, file: SettingsFile, written: Option<&Written>) -> Result<Settings, Vec<Problem>> {
    // Whoever sets a limit means it; the default is for replies of the usual length.
    let attempt_grows = file.run.attempt_timeout.is_none();
    let run = file.run.over(defaults.run);
    let mut endpoints = defaults.endpoints;
    let pages: BTreeMap<String, (Option<String>, Option<String>)> =
        endpoints.iter().map(|(name, section)| (name.clone(), (section.base_url.clone(), section.status_page.clone()))).collect();
    for (name, section) in file.endpoints {
        let section = match endpoints.remove(&name) {
            Some(default) => section.over(default),
            None => section,
        };
        endpoints.insert(name, section);
    }
    if let Some(url) = Environment::variable("ANTHROPIC_BASE_URL")
        && let Some(anthropic) = endpoints.get_mut("anthropic")
    {
        anthropic.base_url = Some(url);
    }
    for (name, (url, page)) in pages {
        // The default's status page says nothing about another address.
        if let Some(section) = endpoints.get_mut(&name)
            && section.base_url != url
            && section.status_page == page
        {
            section.status_page = None;
        }
    }
    let mut problems = Vec::new();
    let mut resolved = BTreeMap::new();
    for (name, section) in endpoints {
        match section.resolve(&name, &run, attempt_grows) {
            Ok(endpoint) => {
                resolved.insert(name, endpoint);
            }
            Err(problem) => problems.push(match written {
                Some(written) => written.mark(problem, written.endpoint(&name)),
                None => problem,
            }),
        }
    }
    let from_environment = Environment::variable("PROMPTKEEL_ENDPOINT");
    let by = if from_environment.is_some() { " (PROMPTKEEL_ENDPOINT)" } else { "" };
    let endpoint = from_environment.or(run.endpoint).unwrap_or_default();
    if problems.is_empty() && !resolved.contains_key(&endpoint) {
        let names: Vec<&str> = resolved.keys().map(String::as_str).collect();
        let problem =
            Problem::error(format!("no endpoint is named `{endpoint}`{by}")).hint(format!("the settings have: {}", named(&names)));
        problems.push(match written {
            Some(written) if by.is_empty() => written.mark(problem, written.default_endpoint()),
            Some(_) | None => problem,
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let expect = "the embedded defaults give it";
    Ok(Settings {
        endpoint,
        suites: run.suites.expect(expect),
        max_tokens: run.max_tokens.expect(expect).get(),
        case_timeout: run.case_timeout.expect(expect).0,
        run_timeout: run.run_timeout.map(|span| span.0),
        confirm_above: run.confirm_above.expect(expect),
        batch: run.batch.unwrap_or_default(),
        gate: file.gate,
        allow_outside: run.allow_outside.unwrap_or(false),
        env_file: run.env_file,
        endpoints: resolved,
        prices: file.prices,
    })
}

/// Names of endpoints, as many as one reads.
pub(crate) fn named(names: &[&str]) -> String {
    const MOST: usize = 20;
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

/// Takes each field from `self`, else from `$under`.
macro_rules! over {
    ($self:ident, $under:ident, $($field:ident),* $(,)?) => {
        Self { $($field: $self.$field.or($under.$field)),* }
    };
}

impl RunSection {
    fn over(self, under: Self) -> Self {
        over!(
            self,
            under,
            endpoint,
            suites,
            max_tokens,
            max_concurrency,
            requests_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            max_attempts,
            case_timeout,
            run_timeout,
            confirm_above,
            attempt_timeout,
            max_retry_after,
            give_up_after,
            stream,
            batch,
            allow_outside,
            env_file
        )
    }
}

impl EndpointSection {
    fn over(self, under: Self) -> Self {
        over!(
            self,
            under,
            dialect,
            base_url,
            api_key_env,
            auth,
            api_version,
            beta,
            script,
            max_concurrency,
            requests_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            max_attempts,
            attempt_timeout,
            max_retry_after,
            give_up_after,
            status_page,
            stream
        )
    }

    fn resolve(self, name: &str, run: &RunSection, attempt_grows: bool) -> Result<EndpointSettings, Problem> {
        let missing = |key: &str, example: &str| {
            Problem::error(format!("endpoint `{name}` has no `{key}`"))
                .hint(format!("add `{key} = \"{example}\"` under [endpoints.{name}]"))
        };
        let dialect = self.dialect.ok_or_else(|| missing("dialect", "messages"))?;
        match dialect {
            Dialect::Messages if self.base_url.is_none() => return Err(missing("base_url", "https://api.anthropic.com")),
            Dialect::Messages if self.api_key_env.is_none() => return Err(missing("api_key_env", "ANTHROPIC_API_KEY")),
            Dialect::Simulated if self.script.is_none() => return Err(missing("script", "fixtures/sim/examples.yaml")),
            Dialect::Messages | Dialect::Simulated => {}
        }
        let expect = "the embedded defaults give it";
        if self.api_key_env.as_deref().is_some_and(|name| !is_variable_name(name)) {
            return Err(Problem::error(format!("`api_key_env` of endpoint `{name}` is no name of an environment variable"))
                .hint("it names the variable that holds the key, and never holds the key itself"));
        }
        Ok(EndpointSettings {
            dialect,
            base_url: self.base_url,
            api_key_env: self.api_key_env,
            auth: self.auth.map_or_else(Default::default, Into::into),
            api_version: self.api_version.unwrap_or_else(|| "2026-10-21".to_owned()),
            beta: self.beta.unwrap_or_default(),
            script: self.script,
            max_concurrency: self.max_concurrency.or(run.max_concurrency).expect(expect).get(),
            requests_per_minute: self.requests_per_minute.or(run.requests_per_minute).map(NonZeroU32::get),
            input_tokens_per_minute: self.input_tokens_per_minute.or(run.input_tokens_per_minute).map(NonZeroU64::get),
            output_tokens_per_minute: self.output_tokens_per_minute.or(run.output_tokens_per_minute).map(NonZeroU64::get),
            max_attempts: self.max_attempts.or(run.max_attempts).expect(expect).get(),
            attempt_grows: attempt_grows && self.attempt_timeout.is_none(),
            attempt_timeout: self.attempt_timeout.or(run.attempt_timeout).expect(expect).0,
            max_retry_after: self.max_retry_after.or(run.max_retry_after).expect(expect).0,
            give_up_after: self.give_up_after.or(run.give_up_after).expect(expect).0,
            status_page: self.status_page,
            stream: self.stream.or(run.stream).map_or_else(Default::default, Into::into),
        })
    }
}

/// As shells know them.
fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit()) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Result<Settings, Vec<Problem>> {
        load(Some(text.as_bytes()))
    }

    #[test]
    fn an_endpoint_wins_over_the_run_section_and_that_over_the_defaults() {
        let text = "[run]\nmax_concurrency = 3\n[endpoints.simulated]\nmax_concurrency = 5\n[endpoints.mine]\ndialect = \"simulated\"\nscript = \"s.yaml\"\n";
        let settings = loaded(text).unwrap();
        let of = |name: &str| (settings.endpoints[name].max_concurrency, settings.endpoints[name].max_attempts);
        assert_eq!((of("simulated"), of("anthropic"), of("mine")), ((5, 10), (3, 10), (3, 10)));
        assert_eq!(load(None).unwrap().endpoints["anthropic"].max_concurrency, 8);
    }

    #[test]
    fn streaming_is_a_setting_of_the_run_and_of_each_endpoint() {
        use crate::endpoint::Streaming;
        let settings = loaded("[run]\nstream = \"always\"\n[endpoints.simulated]\nstream = \"never\"\n").unwrap();
        assert_eq!((settings.endpoints["anthropic"].stream, settings.endpoints["simulated"].stream), (Streaming::Always, Streaming::Never));
        assert_eq!(load(None).unwrap().endpoints["anthropic"].stream, Streaming::Auto);
    }

    #[test]
    fn the_status_page_of_a_default_goes_with_its_address() {
        let page = |text: &str| loaded(text).unwrap().endpoints["anthropic"].status_page.clone();
        assert_eq!(page("").as_deref(), Some("https://status.claude.com"));
        assert_eq!(page("[endpoints.anthropic]\nbase_url = \"https://gateway.example\"\n"), None);
        let own = "[endpoints.anthropic]\nbase_url = \"https://gateway.example\"\nstatus_page = \"ask Ada\"\n";
        assert_eq!(page(own).as_deref(), Some("ask Ada"));
    }

    #[test]
    fn many_endpoints_are_refused_before_any_is_resolved() {
        let sections = |count: usize| (0..count).map(|index| format!("[endpoints.x{index}]\n")).collect::<String>();
        let problems = loaded(&sections(MOST_ENDPOINTS)).unwrap_err();
        let lines: Vec<u32> = problems.iter().map(|problem| problem.place.as_ref().unwrap().line).collect();
        assert_eq!(problems.len(), MOST_ENDPOINTS);
        // Each at its own section, also where the name of one is the beginning of another's.
        assert!(problems.iter().zip(&lines).all(|(problem, line)| problem.message.contains(&format!("`x{}`", line - 1))), "{lines:?}");
        for count in [MOST_ENDPOINTS + 1, 20 * MOST_ENDPOINTS] {
            let problems = loaded(&sections(count)).unwrap_err();
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].message, "the settings have more than 500 endpoints");
            assert_eq!(problems[0].place.as_ref().unwrap().line, 501);
        }
    }

    #[test]
    fn every_mistake_of_the_file_is_told_with_its_place() {
        for (text, told) in [
            ("[run]\nmax_conurrency = 3\n", "max_conurrency"),
            ("[run]\ncase_timeout = \"0s\"\n", "`0s` is not a duration"),
            ("[run]\nmax_concurrency = 0\n", "nonzero"),
            ("[run]\nstream = true\n", "stream"),
            ("[gate]\nmargin = 5\n", "`margin` is a share from 0 to 1"),
            ("[gate]\nalpha = 0.5\n", "`alpha` is a share above 0 and below 0.5"),
            ("[endpoints.anthropic]\nstream = \"sometimes\"\n", "sometimes"),
            ("[prices.\"m\"]\ninput = \"-1\"\noutput = \"1\"\n", "-1"),
            ("[endpoints.mine]\ndialect = \"messages\"\n", "endpoint `mine` has no `base_url`"),
            ("[endpoints.mine]\ndialect = \"simulated\"\n", "endpoint `mine` has no `script`"),
        ] {
            let problems = loaded(text).unwrap_err();
            assert!(problems.iter().any(|problem| problem.message.contains(told) && problem.place.is_some()), "{problems:?}");
        }
    }
}
