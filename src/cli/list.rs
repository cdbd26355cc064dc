//! `promptkeel list`: which suites, cases, tags and models are there?

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::cli::arguments::{AnswerArguments, ListArguments};
use crate::cli::console::{Console, counted};
use crate::cli::project::{Failure, Project};
use crate::cli::session;
use crate::model::gate::Exit;
use crate::model::problem::Problem;

#[derive(Serialize)]
struct ListedSuite<'a> {
    suite: &'a str,
    file: &'a str,
    description: Option<&'a str>,
    prompts: Vec<String>,
    models: Vec<&'a str>,
    cases: Vec<ListedCase<'a>>,
}

#[derive(Serialize)]
struct ListedCase<'a> {
    id: &'a str,
    place: String,
    tags: &'a [String],
    cells: Vec<String>,
}

/// Prints what the selection matches.
pub(crate) fn run(project: &Project, arguments: &ListArguments, console: &Console) -> Result<Exit, Failure> {
    let session = session::open(project, &arguments.selection, &AnswerArguments::default(), session::now())?;
    let mut cells: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for cell in &session.plan.cells {
        cells.entry((&cell.variant.suite.name, &cell.case.id)).or_default().push(cell.address().to_string());
    }
    let listed: Vec<ListedSuite<'_>> = session
        .plan
        .suites
        .iter()
        .map(|suite| ListedSuite {
            suite: &suite.name,
            file: &suite.site.file,
            description: suite.description.as_deref(),
            prompts: suite
                .prompts
                .iter()
                .flat_map(|prompt| prompt.versions.iter().map(|version| format!("{}@{}", prompt.name, version.version)))
                .collect(),
            models: suite.models.iter().map(|model| model.name()).collect(),
            cases: suite
                .cases
                .iter()
                .filter_map(|case| {
                    let cells = cells.remove(&(suite.name.as_str(), case.id.as_str()))?;
                    Some(ListedCase { id: &case.id, place: case.site.to_string(), tags: &case.tags, cells })
                })
                .collect(),
        })
        .collect();
    if arguments.json {
        console.json(&listed)?;
    } else {
        print(&listed, console)?;
    }
    console.problems(&session.problems);
    Ok(Exit::Holds)
}

fn print(listed: &[ListedSuite<'_>], console: &Console) -> Result<(), Failure> {
    let mut out = String::new();
    let mut write = || -> std::fmt::Result {
        for suite in listed {
            writeln!(out, "{}  ({})", suite.suite, suite.file)?;
            if let Some(description) = suite.description {
                writeln!(out, "  {description}")?;
            }
            writeln!(out, "  prompts: {}", suite.prompts.join(", "))?;
            writeln!(out, "  models:  {}", suite.models.join(", "))?;
            for case in &suite.cases {
                let tags = if case.tags.is_empty() { String::new() } else { format!("  [{}]", case.tags.join(", ")) };
                let cells = counted(case.cells.len(), "cell");
                writeln!(out, "    {}{tags}  {cells}  {}", case.id, case.place)?;
            }
        }
        let cases: usize = listed.iter().map(|suite| suite.cases.len()).sum();
        let cells: usize = listed.iter().flat_map(|suite| &suite.cases).map(|case| case.cells.len()).sum();
        writeln!(out, "{}, {}, {}", counted(listed.len(), "suite"), counted(cases, "case"), counted(cells, "cell"))
    };
    write().map_err(|error| Problem::error(format!("a name cannot be written: {error}")))?;
    console.text(&out)
}
