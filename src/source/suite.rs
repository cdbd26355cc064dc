//! What does one suite file say, with everything that it names read?

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::assertion::CompileCache;
use crate::model::problem::{Place, Problem, Severity};
use crate::model::request::Params;
use crate::model::suite::{Case, Compare, GatePolicy, ModelSpec, PassRule, Prompt, SnapshotPolicy, SourceFile, Suite};
use crate::source::assertion::{money, resolve_all};
use crate::source::case::{Cases, Draft, MOST_CASES, Placed, at_least_one, well_named};
use crate::source::check::{self, Subject};
use crate::source::decode::{decode_all, nearest, suggestion};
use crate::source::document::Document;
use crate::source::enough::enough;
use crate::source::input::Inputs;
use crate::source::known::Known;
use crate::source::node::{Key, Kind, Node};
use crate::source::prompt::{PromptFile, Prompts, reference};
use crate::source::shape::{GateShape, ModelShape, PassShape, SnapshotFields, SnapshotShape, SuiteShape};
use crate::source::spanned::Spanned;
use crate::source::tree::{File, Reader};
use crate::source::yaml;

/// Most pairs of a prompt version and a model: each is checked and kept on its own.
const MOST_VARIANTS: usize = 10_000;

/// Most cells of one suite: what a machine of 2 GiB can still plan. Each is rendered before anything is sent.
const MOST_CELLS: usize = 2_000_000;

/// A model with where its parameters stand.
pub(crate) struct ModelDraft {
    pub(crate) spec: ModelSpec,
    pub(crate) place: Place,
    pub(crate) request: Option<Node>,
}

/// Reads one suite file; what is wrong is pushed, and nothing comes back where an error was.
pub(crate) fn read(
    file: &File,
    reader: &Reader,
    prompts: &Prompts,
    compiled: &CompileCache,
    known: &Known<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(Suite, Place)> {
    let before = problems.len();
    let document = Document::from_bytes(&file.source.path, &file.bytes).map_err(|problem| problems.push(problem)).ok()?;
    let root = yaml::parse_into(&document, problems)?;
    if !matches!(root.kind, Kind::Mapping(_)) {
        let problem = Problem::error(format!("a suite is a mapping, but this file holds {}", root.describe()));
        problems
            .push(problem.at(root.place(&document)).hint("begin it with `suite: a-name`; files that are no suites belong into `fixtures`"));
        return None;
    }
    let named = root.get("suite").is_some();
    if !named {
        let stem = file.source.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        let problem = Problem::error("this suite has no name").at(root.place(&document));
        problems.push(problem.hint(format!("begin the file with `suite: {}`", if stem.is_empty() { "a-name" } else { stem })));
    }
    if let Some(first) = first_too_many(&root) {
        // Before each of them is looked at.
        let problem = Problem::error(format!("this suite has more than {MOST_CASES} cases")).at(first.place(&document));
        problems.push(problem.hint("split it into several suites, and run them one by one"));
        return None;
    }
    let shape: Option<SuiteShape> = decode_all(&with_required_keys(root), &document, problems);
    // What was left out would look undefined, unused or missing below: only what stands for itself is checked then.
    let whole = !problems[before..].iter().any(|problem| problem.severity == Severity::Error);
    let inputs = Inputs::new(reader);
    let reading = Reading { document: &document, inputs: &inputs, known, compiled, before, problems };
    let suite = reading.suite(shape?, file, prompts, whole);
    let failed = problems[before..].iter().any(|problem| problem.severity == Severity::Error);
    suite.filter(|_| !failed)
}

/// The first of the written cases that is one too many.
fn first_too_many(root: &Node) -> Option<&Node> {
    let Kind::Mapping(entries) = &root.kind else { return None };
    let (_, cases) = entries.iter().find(|(key, _)| key.name == "cases")?;
    let Kind::List(cases) = &cases.kind else { return None };
    cases.get(MOST_CASES)
}

/// serde reports one missing key and stops; an empty list in its place lets everything else be looked at, and is reported for what it is.
fn with_required_keys(mut root: Node) -> Node {
    let span = root.head();
    if let Kind::Mapping(entries) = &mut root.kind {
        let unnamed = Kind::Text("?".to_owned());
        for (name, kind) in
            [("suite", unnamed), ("prompt", Kind::List(Vec::new())), ("models", Kind::List(Vec::new())), ("cases", Kind::List(Vec::new()))]
        {
            if entries.iter().all(|(key, _)| key.name != name) {
                entries.push((Key { name: name.to_owned(), span }, Node { kind, span }));
            }
        }
    }
    root
}

struct Reading<'a, 'b> {
    document: &'a Document,
    inputs: &'a Inputs<'b>,
    known: &'a Known<'a>,
    compiled: &'a CompileCache,
    /// How many problems other files had.
    before: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_, '_> {
    fn suite(mut self, shape: SuiteShape, file: &File, prompt_files: &Prompts, whole: bool) -> Option<(Suite, Place)> {
        let name_place = self.document.place(shape.suite.span);
        if let Err(message) = well_named("a suite's name", &shape.suite.value) {
            self.problems.push(Problem::error(message).at(name_place.clone()).hint("give it a short name, unique in the project"));
        }
        let listed = shape.prompt.0.len();
        if listed.saturating_mul(shape.models.len()) > MOST_VARIANTS {
            let problem = Problem::error(format!("this suite has more than {MOST_VARIANTS} pairs of a prompt version and a model"));
            self.problems.push(problem.at(name_place).hint("compare fewer of them at once"));
            return None;
        }
        let prompts = self.prompts(shape.prompt.0, prompt_files, &name_place);
        let models = self.models(shape.models, &name_place);
        let request: Option<Params> = shape.request.as_ref().and_then(|node| decode_all(node, self.document, self.problems));
        let samples = shape.samples.as_ref().map_or(Some(1), |samples| at_least_one(samples, self.document, self.problems));
        let pass = shape.pass.map_or(Some(PassRule::All), |pass| self.pass(&pass, samples.unwrap_or(1)));
        let snapshot = self.snapshot(shape.snapshot);
        let gate = shape.gate.unwrap_or_default();
        let no_pass_rate = gate.min_pass_rate.as_ref().filter(|rate| rate.value == 0.0).map(|rate| self.document.place(rate.span));
        let gate = self.gate(gate);
        let inherited = resolve_all(&shape.assert.unwrap_or_default(), self.document, self.inputs, self.problems);
        if shape.cases.is_empty() {
            let problem = Problem::error("this suite has no cases").at(name_place.clone());
            self.problems.push(problem.hint("add a case below `cases:`, such as `- id: first`"));
        }
        let mut cases = Cases {
            document: self.document,
            inputs: self.inputs,
            inherited: &inherited,
            drafts: Vec::new(),
            tables: Vec::new(),
            weight: 0,
            is_full: false,
            problems: self.problems,
        };
        for case in shape.cases {
            if enough(cases.problems) {
                break;
            }
            cases.read(case);
        }
        let (drafts, tables) = (cases.drafts, cases.tables);
        self.unique_ids(&drafts);
        if drafts.len().saturating_mul(prompts.len()).saturating_mul(models.len()) > MOST_CELLS {
            let problem = Problem::error(format!("this suite has more than {MOST_CELLS} cells: cases times prompt versions times models"));
            self.problems.push(problem.at(name_place).hint("split it into several suites, and run them one by one"));
            return None;
        }
        let subject = Subject {
            document: self.document,
            known: self.known,
            compiled: self.compiled,
            prompts: &prompts,
            models: &models,
            request: request.as_ref(),
            request_node: shape.request.as_ref(),
            inherited: &inherited,
            drafts: &drafts,
            tables: &tables,
            snapshot: &snapshot,
            no_pass_rate,
            cache: shape.cache.unwrap_or_default(),
        };
        // A prompt that another suite has reported already is missing here without a problem of ours.
        let whole =
            whole && prompts.len() == listed && !self.problems[self.before..].iter().any(|problem| problem.severity == Severity::Error);
        check::check(&subject, whole, self.before, self.problems);
        let suite = Suite {
            name: shape.suite.value,
            description: shape.description,
            site: self.document.site(shape.suite.span),
            prompts: grouped(&prompts),
            models: models.into_iter().map(|model| model.spec).collect(),
            request: request.unwrap_or_default(),
            parse: shape.parse.unwrap_or_default(),
            cache: shape.cache.unwrap_or_default(),
            samples: samples?,
            pass: pass?,
            snapshot,
            gate,
            batch: shape.batch,
            cases: drafts.into_iter().map(|draft| Arc::new(case(draft))).collect(),
            files: self.files(&file.source),
        };
        Some((suite, name_place))
    }

    fn files(&self, suite: &SourceFile) -> Vec<SourceFile> {
        std::iter::once(suite.clone()).chain(self.inputs.used().into_iter().filter(|file| file.path != suite.path)).collect()
    }

    fn prompts(&mut self, names: Vec<Spanned<String>>, prompt_files: &Prompts, name_place: &Place) -> Vec<Arc<PromptFile>> {
        let mut found: Vec<Arc<PromptFile>> = Vec::new();
        if names.is_empty() {
            let problem = Problem::error("this suite lists no prompt").at(name_place.clone());
            self.problems.push(problem.hint("write `prompt: NAME`"));
        }
        for name in names {
            if enough(self.problems) {
                break;
            }
            let place = self.document.place(name.span);
            let reference = match reference(&name.value, &place) {
                Ok(reference) => reference,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            let Some(file) = prompt_files.find(&reference, self.document.path(), &place, self.inputs, self.problems) else { continue };
            let address = |file: &PromptFile| (file.version.prompt.clone(), file.version.version);
            if found.iter().any(|earlier| address(earlier) == address(&file)) {
                let (prompt, version) = address(&file);
                let problem = Problem::error(format!("version {version} of prompt `{prompt}` is listed twice"));
                self.problems.push(problem.at(place).hint("pin the older one, as in `[name@2, name]`, or take one away"));
                continue;
            }
            found.push(file);
        }
        found
    }

    fn models(&mut self, shapes: Vec<Spanned<ModelShape>>, name_place: &Place) -> Vec<ModelDraft> {
        let mut models: Vec<ModelDraft> = Vec::new();
        let mut lines: HashMap<String, u32> = HashMap::new();
        if shapes.is_empty() {
            let problem = Problem::error("this suite lists no model").at(name_place.clone());
            self.problems.push(problem.hint("write `models: [claude-haiku-4-5]`"));
        }
        for shape in shapes {
            if enough(self.problems) {
                break;
            }
            let model = self.model(shape);
            if let Some(line) = lines.get(model.spec.name()) {
                let problem = Problem::error(format!("two models are called `{}`", model.spec.name())).at(model.place.clone());
                self.problems.push(problem.hint(format!("the other stands on line {line}; give one of them a `label`")));
                continue;
            }
            lines.insert(model.spec.name().to_owned(), model.spec.site.line);
            models.push(model);
        }
        models
    }

    fn model(&mut self, shape: Spanned<ModelShape>) -> ModelDraft {
        let span = shape.span;
        let (id, label, endpoint, request, gate, unpriced) = match shape.value {
            ModelShape::Id(value) => (Spanned { value, span }, None, None, None, true, false),
            ModelShape::Fields(fields) => {
                let unpriced = fields.price.is_some();
                (fields.id, fields.label, fields.endpoint, fields.request, fields.gate.unwrap_or(true), unpriced)
            }
        };
        let place = self.document.place(id.span);
        self.known_model(&id.value, unpriced, &place);
        if let Some(label) = &label
            && let Err(message) = well_named("a model's label", &label.value)
        {
            self.problems.push(Problem::error(message).at(self.document.place(label.span)).hint("give it a short name"));
        }
        let endpoint = endpoint.map(|endpoint| {
            if !self.known.endpoints.contains_key(&endpoint.value) {
                let problem = Problem::error(format!("unknown endpoint `{}`", endpoint.value)).at(self.document.place(endpoint.span));
                let hint = suggestion(&endpoint.value, self.known.endpoints.keys().map(String::as_str));
                self.problems.push(problem.hint(hint.unwrap_or_else(|| format!("add [endpoints.{}] to promptkeel.toml", endpoint.value))));
            }
            endpoint.value
        });
        let params = request.as_ref().and_then(|node| decode_all(node, self.document, self.problems));
        let spec = ModelSpec {
            id: id.value,
            label: label.map(|label| label.value),
            endpoint,
            request: params.unwrap_or_default(),
            gate,
            unpriced,
            site: self.document.site(id.span),
        };
        ModelDraft { spec, place, request }
    }

    fn known_model(&mut self, id: &str, unpriced: bool, place: &Place) {
        if let Err(message) = well_named("a model's id", id) {
            self.problems.push(Problem::error(message).at(place.clone()).hint("write it as the API spells it"));
            return;
        }
        let catalog = self.known.catalog;
        if unpriced || catalog.is_priced(id) {
            return;
        }
        if let Some(retired) = catalog.retired(id) {
            let problem = Problem::error(format!("model `{id}` was retired on {}", retired.retired_on)).at(place.clone());
            self.problems.push(problem.hint(format!("use `{}`", retired.replacement)));
            return;
        }
        let near = nearest(id, catalog.ids());
        let problem = if catalog.find(id).is_some() {
            Problem::error(format!("model `{id}` has no known price")).at(place.clone())
        } else {
            Problem::error(format!("unknown model `{id}`")).at(place.clone())
        };
        let own = format!("price your own in promptkeel.toml ([prices.\"{id}\"]), or write `{{id: {id}, price: unpriced}}`");
        self.problems.push(problem.hint(near.map_or_else(|| own.clone(), |near| format!("did you mean `{near}`?"))));
    }

    fn pass(&mut self, pass: &Spanned<PassShape>, samples: u32) -> Option<PassRule> {
        let place = self.document.place(pass.span);
        match pass.value {
            PassShape::All => Some(PassRule::All),
            PassShape::AtLeast(0) => {
                self.problems.push(Problem::error("`at_least: 0` can never fail").at(place).hint("write `pass: {at_least: 1}`"));
                None
            }
            PassShape::AtLeast(count) if count > samples => {
                let problem = Problem::error(format!("{count} samples cannot pass where {samples} are asked")).at(place);
                self.problems.push(problem.hint(format!("raise `samples` to {count} or more")));
                None
            }
            PassShape::AtLeast(count) => Some(PassRule::AtLeast(count)),
            PassShape::Rate(rate) if rate > 0.0 && rate <= 1.0 => Some(PassRule::Rate(rate)),
            PassShape::Rate(rate) => {
                let problem = Problem::error(format!("a rate of {rate} cannot be: it is above 0 and at most 1")).at(place);
                self.problems.push(problem.hint("write `pass: {rate: 0.8}` for 80 %"));
                None
            }
        }
    }

    fn share(&mut self, name: &str, share: Option<&Spanned<f64>>, default: f64) -> f64 {
        let Some(share) = share else { return default };
        if !(0.0..=1.0).contains(&share.value) {
            let problem = Problem::error(format!("`{name}` must be between 0 and 1, but it is {}", share.value));
            self.problems.push(problem.at(self.document.place(share.span)).hint("write 0.95 for 95 %"));
        }
        share.value
    }

    fn snapshot(&mut self, shape: Option<SnapshotShape>) -> SnapshotPolicy {
        let fields = match shape {
            None => SnapshotFields::default(),
            Some(SnapshotShape::Compare(compare)) => SnapshotFields { compare: Some(compare), ..SnapshotFields::default() },
            Some(SnapshotShape::Fields(fields)) => fields,
        };
        let default = SnapshotPolicy::default();
        let compare = fields.compare.unwrap_or(default.compare);
        let threshold = self.share("threshold", fields.threshold.as_ref(), default.threshold);
        let mut useless = |name: &str, mode: &str, span| {
            let problem = Problem::error(format!("`{name}` means nothing unless `compare` is `{mode}`")).at(self.document.place(span));
            self.problems.push(problem.hint(format!("write `compare: {mode}`, or take `{name}` away")));
        };
        if let (Some(threshold), true) = (&fields.threshold, compare != Compare::Similar) {
            useless("threshold", "similar", threshold.span);
        }
        let ignore = fields.ignore.unwrap_or_default();
        if let (Some(first), true) = (ignore.first(), compare != Compare::Json) {
            useless("ignore", "json", first.span);
        }
        if let Some(none) = fields.threshold.as_ref().filter(|threshold| threshold.value <= 0.0 && compare == Compare::Similar) {
            let problem = Problem::error("every output is similar by a threshold of 0: this snapshot cannot change");
            self.problems.push(problem.at(self.document.place(none.span)).hint("write `threshold: 0.9`, or `snapshot: off`"));
        }
        for path in &ignore {
            if let Err(error) = check::ignored(&path.value, self.document.site(path.span)) {
                self.problems.push(check::uncompiled(error, self.document.place(path.span)));
            } else if ["$", "$.*", "$[*]", "$..*", "$..[*]"].contains(&path.value.trim()) {
                let problem = Problem::error(format!("`ignore: [{}]` leaves nothing to compare: this snapshot cannot change", path.value));
                self.problems.push(problem.at(self.document.place(path.span)).hint("name what may change, or write `snapshot: off`"));
            }
        }
        SnapshotPolicy {
            compare,
            ignore: ignore.into_iter().map(|path| path.value).collect(),
            on_change: fields.on_change.unwrap_or_default(),
            threshold,
        }
    }

    fn gate(&mut self, shape: GateShape) -> GatePolicy {
        let default = GatePolicy::default();
        GatePolicy {
            min_pass_rate: self.share("min_pass_rate", shape.min_pass_rate.as_ref(), default.min_pass_rate),
            baseline: shape.baseline.map(|baseline| baseline.value),
            margin: shape.margin.as_ref().map(|margin| self.share("margin", Some(margin), 0.05)),
            alpha: shape.alpha.as_ref().and_then(|alpha| self.alpha(alpha)),
            max_cost_usd: shape.max_cost_usd.and_then(|dollars| money(&dollars, self.document, self.problems)),
        }
    }

    fn alpha(&mut self, alpha: &Spanned<f64>) -> Option<f64> {
        if alpha.value > 0.0 && alpha.value < 0.5 {
            return Some(alpha.value);
        }
        let problem = Problem::error(format!("`alpha` must be above 0 and below 0.5, but it is {}", alpha.value));
        self.problems.push(problem.at(self.document.place(alpha.span)).hint("write `alpha: 0.05`: at most 5 of 100 verdicts are wrong"));
        None
    }

    fn unique_ids(&mut self, drafts: &[Draft]) {
        let mut first: HashMap<Cow<'_, str>, &Draft> = HashMap::with_capacity(drafts.len());
        for draft in drafts {
            if enough(self.problems) {
                break;
            }
            // Two spellings of one letter look the same to whoever reads or types the id.
            let shown = || if draft.id.is_ascii() { Cow::Borrowed(draft.id.as_str()) } else { draft.id.nfc().collect() };
            if let Some(earlier) = first.insert(shown(), draft) {
                let what = if draft.id == earlier.id { "duplicate case id" } else { "another case has an id that looks the same:" };
                let problem = Problem::error(format!("{what} `{}`", draft.id)).at(draft.place.place(self.document));
                let hint = if matches!(draft.place, Placed::Row { .. }) && draft.site.file == earlier.site.file {
                    format!("it stands on line {} already; ids are unique in a suite", earlier.site.line)
                } else {
                    format!("it stands at {} already; ids are unique in a suite", earlier.site)
                };
                self.problems.push(problem.hint(hint));
                first.insert(shown(), earlier);
            }
        }
    }
}

fn case(draft: Draft) -> Case {
    Case {
        id: draft.id,
        cluster: draft.cluster.map(Arc::from),
        tags: draft.tags,
        variables: Arc::new(draft.variables),
        assertions: draft.assertions.iter().map(|resolved| Arc::clone(&resolved.assertion)).collect(),
        samples: draft.samples,
        site: draft.site,
        fixtures: draft.fixtures,
    }
}

fn grouped(files: &[Arc<PromptFile>]) -> Vec<Prompt> {
    let mut prompts: Vec<Prompt> = Vec::new();
    for file in files {
        let version = Arc::clone(&file.version);
        match prompts.iter_mut().find(|prompt| prompt.name == version.prompt) {
            Some(prompt) => prompt.versions.push(version),
            None => prompts.push(Prompt { name: version.prompt.clone(), versions: vec![version] }),
        }
    }
    prompts.iter_mut().for_each(|prompt| prompt.versions.sort_by_key(|version| version.version));
    prompts
}
