//! `promptkeel plan`: what would a run ask, and what could it cost at most?

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use crate::cli::arguments::{CacheArgument, PlanArguments};
use crate::cli::console::Console;
use crate::cli::project::{Failure, Project};
use crate::cli::recordings;
use crate::cli::session::{self, Session};
use crate::model::gate::Exit;
use crate::model::key::Key;
use crate::model::problem::Problem;
use crate::runner::price::{self, PlanPrice};
use crate::runner::select;
use crate::store::Store;

/// Prints the plan and its price.
pub(crate) fn run(project: &Project, arguments: &PlanArguments, console: &Console) -> Result<Exit, Failure> {
    let session = session::open(project, &arguments.selection, &arguments.answers, session::now())?;
    let known = match arguments.answers.cache {
        CacheArgument::ReadWrite | CacheArgument::Only => known(project, &session)?,
        CacheArgument::Refresh | CacheArgument::Off => HashSet::new(),
    };
    let price = price::price(&session.plan, |key| known.contains(key));
    let missing_keys = missing_keys(project, &price);
    if arguments.json {
        console.json(&Printed { price: &price, missing_keys: &missing_keys })?;
    } else {
        console.text(&text(&session, &price)?)?;
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
    /// Environment variables that hold no key, of endpoints that something must be asked of.
    missing_keys: &'a BTreeSet<&'a str>,
}

/// Environment variables that hold no key, of endpoints that something must be asked of.
pub(crate) fn missing_keys<'a>(project: &'a Project, price: &PlanPrice) -> BTreeSet<&'a str> {
    let asked = price.models.iter().filter(|model| model.to_ask > 0);
    let endpoints = asked.filter_map(|model| project.settings.endpoints.get(&model.endpoint));
    let variables = endpoints.filter_map(|endpoint| endpoint.api_key_env.as_deref());
    variables.filter(|name| project.environment.secret(name).is_none()).collect()
}

/// Which samples are answered already. A project without a store knows none, and none is created for it.
pub(crate) fn known(project: &Project, session: &Session) -> Result<HashSet<Key>, Failure> {
    let folder = project.store_folder();
    let recordings = recordings::of(project, &session.plan.suites)?;
    if !folder.exists() {
        return Ok(session.plan.keys().filter(|key| recordings.known(key).is_some()).collect());
    }
    let failed = |error: crate::store::StoreError| Failure::from(Problem::error(error.to_string()).hint(error.hint()));
    let store = Store::open_to_read(&folder).map_err(failed)?.over(recordings);
    let known = store.known(&select::keys(&session.plan)).map_err(failed)?;
    Ok(known.into_keys().collect())
}

fn text(session: &Session, price: &PlanPrice) -> Result<String, Failure> {
    let mut text = String::new();
    write(session, price, &mut text).map_err(|error| Problem::error(format!("a figure cannot be written: {error}")))?;
    Ok(text)
}

fn write(session: &Session, price: &PlanPrice, out: &mut String) -> std::fmt::Result {
    let selected = session.selected;
    writeln!(out, "{} of {} cells selected", selected.left, selected.all)?;
    let width = price.models.iter().map(|model| model.model.len()).max().unwrap_or(5).max(5);
    writeln!(out, "\n{:width$}  {:>7}  {:>9}  {:>7}  {:>12}  endpoint", "model", "cells", "answered", "to ask", "at most")?;
    for model in &price.models {
        let bound = model.upper_bound_usd.display(4);
        writeln!(
            out,
            "{:width$}  {:>7}  {:>9}  {:>7}  {bound:>12}  {}",
            model.model, model.cells, model.answered, model.to_ask, model.endpoint
        )?;
    }
    let bound = price.upper_bound_usd.display(4);
    writeln!(out, "{:width$}  {:>7}  {:>9}  {:>7}  {bound:>12}", "all", price.cells, price.answered, price.to_ask())?;
    if price.unpriced > 0 {
        writeln!(out, "\n{} samples to ask have no known price: they are not in the bound", price.unpriced)?;
    }
    writeln!(out, "\nThe bound counts every byte of a prompt as a token and every output at its max_tokens; the bill will be lower.")?;
    writeln!(out, "Nothing was sent.")
}
