//! `promptkeel plan`: what would a run ask, and what would it cost, about and at most?

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::run::BatchArgument;
use crate::cli::arguments::{CacheArgument, PlanArguments};
use crate::cli::console::Console;
use crate::cli::project::{Failure, Project};
use crate::cli::session::{self, Session};
use crate::cli::{answers, batching, earlier, exact, recordings};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::report::figures;
use crate::runner::estimate::Earlier;
use crate::runner::plan::{Plan, PlannedCell};
use crate::runner::prefixes::{Asked, Conditions, Group, Prefixes};
use crate::runner::price::{self, PlanPrice};
use crate::runner::select;
use crate::store::Store;

/// What a plan begins with.
pub(crate) struct Begun {
    session: Session,
    stored: Stored,
    now: DateTime<Utc>,
}

/// Reads what would be asked, and what is answered already.
pub(crate) fn load(project: &Project, arguments: &PlanArguments) -> Result<Begun, Failure> {
    let now = session::now();
    let session = session::open(project, &arguments.selection, &arguments.answers, now)?;
    let stored = stored(project, &session, arguments)?;
    Ok(Begun { session, stored, now })
}

/// Prints the plan and its price.
pub(crate) async fn run(
    project: &Project,
    arguments: &PlanArguments,
    console: &Console,
    interrupted: &CancellationToken,
    begun: Begun,
) -> Result<Exit, Failure> {
    let Begun { mut session, stored: Stored { known, under_way, recorded, mut earlier, told }, now } = begun;
    session.problems.extend(told);
    if arguments.exact {
        let is_known = |key: &Key| known.contains(key) || under_way.contains(key);
        let noticed = exact::count(project, &session.plan, is_known, &mut earlier, now, interrupted, console).await?;
        session.problems.extend(noticed);
    }
    let there = There { known: &known, under_way: &under_way };
    let (price, groups) = priced(project, &session.plan, there, &earlier, &answers::conditions(project, None, now), arguments.batch);
    let missing_keys = missing_keys(project, &price);
    if arguments.json {
        console.json(&Printed { price: &price, recorded, prompt_cache: &groups, missing_keys: &missing_keys })?;
    } else {
        console.text(&text(&session, &price, recorded)?)?;
    }
    console.problems(&session.problems);
    if arguments.answers.cache != CacheArgument::Only {
        let missing = missing_keys.iter().map(|name| {
            Problem::warning(format!("`{name}` is not set: a run would end before its first request"))
                .hint("set it, or judge what is stored with `--cache only`")
        });
        console.problems(&missing.collect::<Vec<_>>());
    }
    Ok(Exit::Holds)
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    price: &'a PlanPrice,
    /// Of the answered samples those that are recorded with the project.
    recorded: u64,
    /// Requests that share a beginning which the provider's prompt cache is to keep.
    prompt_cache: &'a [Group],
    /// Environment variables that hold no key, of endpoints that something must be asked of.
    missing_keys: &'a BTreeSet<&'a str>,
}

/// Environment variables that hold no key, of endpoints that something must be asked of, a batch under way or an answer.
pub(crate) fn missing_keys<'a>(project: &'a Project, price: &PlanPrice) -> BTreeSet<&'a str> {
    let asked = price.models.iter().filter(|model| model.to_ask + model.under_way > 0);
    let endpoints = asked.filter_map(|model| project.settings.endpoints.get(&model.endpoint));
    let variables = endpoints.filter_map(|endpoint| endpoint.api_key_env.as_deref());
    variables.filter(|name| project.environment.secret(name).is_none()).collect()
}

/// What is paid for already.
#[derive(Clone, Copy)]
pub(crate) struct There<'a> {
    /// Answers.
    pub(crate) known: &'a HashSet<Key>,
    /// What batches hold that have not ended.
    pub(crate) under_way: &'a HashSet<Key>,
}

/// What a plan costs, and where the provider's prompt cache is to take something off.
pub(crate) fn priced(
    project: &Project,
    plan: &Plan,
    there: There<'_>,
    earlier: &Earlier,
    conditions: &Conditions,
    batch: Option<BatchArgument>,
) -> (PlanPrice, Vec<Group>) {
    let (catalog, day) = (&project.catalog, conditions.day);
    let There { known, under_way } = there;
    let is_paid = |key: &Key| known.contains(key) || under_way.contains(key);
    let is_batched = batching::expected(project, batch, plan, &is_paid);
    let guess = |cell: &PlannedCell| earlier.guess(catalog, cell, day);
    let mut price = price::price(plan, |key| known.contains(key), |key| under_way.contains(key), guess, &is_batched);
    let marked = |asked: Asked| {
        let is_so = |cell: &PlannedCell| is_batched(cell) == (asked == Asked::InBatches);
        Prefixes::asked(plan, asked, is_so, is_paid, catalog, conditions)
    };
    let groups = marked(Asked::Singly).groups_with(marked(Asked::InBatches));
    price.save(plan, &groups, catalog, day);
    price.halve();
    (price, groups)
}

/// What is there before anything is asked.
#[derive(Default)]
struct Stored {
    known: HashSet<Key>,
    under_way: HashSet<Key>,
    recorded: u64,
    earlier: Earlier,
    /// What is worth knowing of it.
    told: Vec<Problem>,
}

/// Which samples are answered already, and what earlier answers tell of the others. A project without a store knows none, and none is created
/// for it.
fn stored(project: &Project, session: &Session, arguments: &PlanArguments) -> Result<Stored, Failure> {
    let mode = arguments.answers.cache;
    let folder = project.store_folder();
    let recordings = recordings::of(project, &session.plan.suites)?;
    let failed = |error: crate::store::StoreError| Failure::from(Problem::error(error.to_string()).hint(error.hint()));
    let is_recorded = |key: &Key| recordings.known(key).is_some();
    let recorded: HashSet<Key> = session.plan.keys().filter(is_recorded).collect();
    let replays = matches!(mode, CacheArgument::ReadWrite | CacheArgument::Only);
    if !folder.exists() {
        let known = if replays { recorded.clone() } else { HashSet::new() };
        return Ok(Stored { recorded: known.len() as u64, known, ..Stored::default() });
    }
    let store = Store::open_to_read(&folder).map_err(failed)?.over(recordings);
    let known: HashSet<Key> = match replays {
        true => store.known(&select::keys(&session.plan)).map_err(failed)?.into_keys().collect(),
        false => HashSet::new(),
    };
    let earlier = earlier::of(&session.plan, &known, &store);
    let under_way = batching::under_way(project, &store, arguments.batch)?;
    let told = batching::unanswered(project, &store, arguments.batch);
    Ok(Stored { recorded: known.intersection(&recorded).count() as u64, known, under_way, earlier, told })
}

fn text(session: &Session, price: &PlanPrice, recorded: u64) -> Result<String, Failure> {
    let mut text = String::new();
    write(session, price, recorded, &mut text).map_err(|error| Problem::error(format!("a figure cannot be written: {error}")))?;
    Ok(text)
}

fn write(session: &Session, price: &PlanPrice, recorded: u64, out: &mut String) -> std::fmt::Result {
    let selected = session.selected;
    writeln!(out, "{} of {} cells selected", selected.left, selected.all)?;
    let width = price.models.iter().map(|model| model.model.len()).max().unwrap_or(5).max(5);
    let (about, most) = ("about", "at most");
    writeln!(out, "\n{:width$}  {:>7}  {:>9}  {:>7}  {about:>12}  {most:>12}  endpoint", "model", "cells", "answered", "to ask")?;
    for model in &price.models {
        let (about, bound) = (figures::dollars(model.estimate.usd), figures::dollars(model.upper_bound_usd));
        writeln!(
            out,
            "{:width$}  {:>7}  {:>9}  {:>7}  {about:>12}  {bound:>12}  {}",
            model.model, model.cells, model.answered, model.to_ask, model.endpoint
        )?;
    }
    let (about, bound) = (figures::dollars(price.estimate.usd), figures::dollars(price.upper_bound_usd));
    writeln!(out, "{:width$}  {:>7}  {:>9}  {:>7}  {about:>12}  {bound:>12}", "all", price.cells, price.answered, price.to_ask())?;
    if recorded > 0 {
        writeln!(out, "\n{recorded} of the answered samples are recorded in {}/", recordings::FOLDER)?;
    }
    if price.under_way > 0 {
        let samples = figures::counted(price.under_way, "sample is", "samples are");
        writeln!(out, "\n{samples} in batches under way, paid already at half price: a run waits for them")?;
        writeln!(out, "What comes back without an answer is asked singly, at the whole price: at most counts it.")?;
    }
    if price.unpriced > 0 {
        writeln!(out, "\n{} samples to ask have no known price: they are in neither sum", price.unpriced)?;
    }
    if price.to_ask() > price.unpriced {
        writeln!(out, "\nAbout is an estimate: {}.", estimated(price))?;
    }
    writeln!(out, "At most counts every byte of a prompt as a token and every output at its max_tokens; the bill will be lower.")?;
    writeln!(out, "Nothing was asked.")
}

/// `prompts by their size (12 counted by their endpoint); answers of 150 as long as earlier ones, of 50 at max_tokens`.
fn estimated(price: &PlanPrice) -> String {
    let estimate = &price.estimate;
    let all = price.to_ask() - price.unpriced;
    let prompts = match (estimate.prompts_counted, estimate.prompts_from_answers) {
        (counted, _) if counted >= all => "prompts as their endpoint counts them".to_owned(),
        (0, 0) => "prompts by their size".to_owned(),
        (0, scaled) if scaled >= all => "prompts by their size and what earlier answers say of it".to_owned(),
        (0, scaled) => format!("prompts by their size, of {scaled} samples with what earlier answers say of it"),
        (counted, _) => format!("prompts of {counted} samples as their endpoint counts them, the others by their size"),
    };
    let answers = match estimate.outputs_from_answers {
        0 => "answers at max_tokens, because none is known yet".to_owned(),
        known if known >= all => "answers as long as earlier ones".to_owned(),
        known => format!("answers of {known} samples as long as earlier ones, of {} at max_tokens", all - known),
    };
    let cached = match estimate.saved_by_prompt_cache_usd {
        Money::ZERO => String::new(),
        loss if loss < Money::ZERO => {
            format!("; prompt caching is expected to cost {} more than it saves", figures::dollars(Money::ZERO - loss))
        }
        saving => format!("; prompt caching is expected to save {}", figures::dollars(saving)),
    };
    let batched = match estimate.saved_by_batch_usd {
        Money::ZERO => String::new(),
        saving => format!("; batches save {}", figures::dollars(saving)),
    };
    format!("{prompts}, {answers}{cached}{batched}")
}
