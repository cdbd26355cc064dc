//! What do the tests of this room plan, run and merge? A small suite made by hand, and cells without a story.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::assertion::{Assertion, AssertionKind, AssertionSeverity, TextMatch};
use crate::model::catalog::Catalog;
use crate::model::problem::{Problem, Site};
use crate::model::request::{Dialect, EndpointIdentity, Params, Role};
use crate::model::run::{Address, CellDigests, CellResult, SampleResult};
use crate::model::suite::{
    BlockTemplate, Case, Compare, GatePolicy, ModelSpec, Parse, PassRule, Prompt, PromptCache, PromptVersion, SnapshotPolicy, SourceFile,
    Suite, TurnTemplate,
};
use crate::model::verdict::{SnapshotState, Verdict};
use crate::runner::plan::{self, Choice, Context, Everything, Plan};

pub(super) fn site() -> Site {
    Site { file: Arc::from("suites/greetings.yaml"), line: 1 }
}

/// The suite `greetings`: `Hello {{ name }}` in versions 1 and 2, one case a name, tagged with its first letter, which must hold `ok`.
pub(super) fn suite(names: &[&str]) -> Suite {
    let version = |version: u32| {
        let template = format!("Hello {{{{ name }}}}{}", "!".repeat(version as usize));
        Arc::new(PromptVersion {
            prompt: "hello".to_owned(),
            version,
            file: SourceFile { path: Arc::from(format!("suites/prompts/hello/{version}.md")), digest: Arc::from("") },
            description: None,
            system: Vec::new(),
            turns: vec![TurnTemplate { role: Role::User, content: vec![BlockTemplate::Text { template, line: 1 }] }],
            request: Params::default(),
        })
    };
    let case = |name: &&str| {
        Arc::new(Case {
            id: (*name).to_owned(),
            cluster: None,
            tags: vec![name.chars().take(1).collect()],
            variables: Arc::new(Map::from_iter([("name".to_owned(), Value::from(*name))])),
            assertions: vec![Arc::new(Assertion {
                kind: AssertionKind::Contains(TextMatch { value: "ok".to_owned(), ignore_case: false }),
                negated: false,
                name: None,
                severity: AssertionSeverity::Fail,
                site: site(),
            })],
            samples: None,
            site: site(),
            fixtures: Vec::new(),
        })
    };
    Suite {
        name: "greetings".to_owned(),
        description: None,
        site: site(),
        prompts: vec![Prompt { name: "hello".to_owned(), versions: vec![version(1), version(2)] }],
        models: vec![model("claude-haiku-4-5"), ModelSpec { label: Some("big".to_owned()), ..model("claude-sonnet-4-6") }],
        request: Params::default(),
        parse: Parse::default(),
        cache: PromptCache::Auto,
        samples: 1,
        pass: PassRule::All,
        snapshot: SnapshotPolicy { compare: Compare::Off, ..SnapshotPolicy::default() },
        gate: GatePolicy::default(),
        batch: None,
        cases: names.iter().map(case).collect(),
        files: Vec::new(),
    }
}

pub(super) fn model(id: &str) -> ModelSpec {
    ModelSpec { id: id.to_owned(), label: None, endpoint: None, request: Params::default(), gate: true, unpriced: false, site: site() }
}

pub(super) fn planned(suite: Suite, endpoint_override: Option<&str>) -> Result<Plan, Vec<Problem>> {
    chosen(suite, endpoint_override, &mut Everything)
}

pub(super) fn chosen(suite: Suite, endpoint_override: Option<&str>, choice: &mut dyn Choice) -> Result<Plan, Vec<Problem>> {
    let identity = |name: &str| EndpointIdentity {
        dialect: Dialect::Messages,
        identity: format!("https://{name}.test"),
        api_version: "2026-10-21".to_owned(),
        beta: Vec::new(),
    };
    let endpoints = BTreeMap::from(["here", "there"].map(|name| (name.to_owned(), identity(name))));
    let day = "2026-11-22".parse().unwrap();
    let catalog = Catalog::embedded();
    let context = Context { catalog, endpoints: &endpoints, default_endpoint: "here", endpoint_override, default_max_tokens: 100, day };
    plan::build_chosen(&[Arc::new(suite)], &context, choice)
}

/// Of `greetings`, version 2, Haiku, gated, with one sample of this verdict and nothing else to tell.
pub(super) fn cell(case: &str, verdict: Verdict) -> CellResult {
    CellResult {
        address: Address {
            suite: Arc::from("greetings"),
            case: Arc::from(case),
            prompt: Arc::from("hello"),
            version: 2,
            model: Arc::from("claude-haiku-4-5"),
        },
        model_id: Arc::from("claude-haiku-4-5"),
        endpoint: Arc::from("here"),
        verdict,
        gated: true,
        side_by_side: true,
        cluster: None,
        tags: Arc::from([]),
        site: site(),
        snapshot: SnapshotState::None,
        snapshot_path: None,
        candidate: None,
        digests: CellDigests::default(),
        request: None,
        samples: vec![SampleResult {
            index: 0,
            key: String::new(),
            verdict,
            reply: None,
            assertions: Vec::new(),
            error: None,
            skipped: None,
        }],
        sampled: None,
        attempt_at_most_usd: None,
    }
}
