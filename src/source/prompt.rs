//! Which versions does a prompt have, and which of them does a suite list?

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::problem::{Place, Problem};
use crate::model::request::Role;
use crate::model::suite::PromptVersion;
use crate::source::decode::nearest;
use crate::source::document::Document;
use crate::source::input::{Inputs, extension};
use crate::source::node::Node;
use crate::source::prompt_file;
use crate::template::TemplateError;
use crate::template::prompt::CompiledPrompt;

/// Files of one folder that look like versions and are none, and are named.
const MOST_STRANGE: usize = 20;

/// A prompt version with what checking it needs.
#[derive(Debug)]
pub(crate) struct PromptFile {
    pub(crate) version: Arc<PromptVersion>,
    pub(crate) compiled: CompiledPrompt,
    pub(crate) document: Document,
    /// Where its `request` stands.
    pub(crate) request: Option<Node>,
    /// Files that were embedded into it.
    pub(crate) embedded: Vec<crate::model::suite::SourceFile>,
}

impl PromptFile {
    /// Whether the conversation ends with words put into the model's mouth.
    pub(crate) fn ends_with_assistant(&self) -> bool {
        self.version.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
    }

    /// Where a template's mistake stands.
    pub(crate) fn place(&self, error: &TemplateError) -> Place {
        template_place(&self.document, error)
    }
}

/// In a `.md` file a template stands as it is; YAML folds and indents it, so the name itself is looked for.
pub(crate) fn template_place(document: &Document, error: &TemplateError) -> Place {
    if extension(document.path()) == "md" {
        return document.place_in_line(error.line, error.column);
    }
    let Some(name) = &error.undefined else { return document.place_in_line(error.line, None) };
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    for (line, text) in (1..).zip(document.text().lines()).skip(error.line.max(1) as usize - 1) {
        let found = text.match_indices(name.as_str()).find(|(at, _)| {
            let (before, after) = (text[..*at].chars().next_back(), text[at + name.len()..].chars().next());
            before.is_none_or(|character| !is_part(character)) && after.is_none_or(|character| !is_part(character))
        });
        if let Some((at, _)) = found {
            let column = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            return document.place_in_line(line, Some((column(&text[..at]) + 1, column(name))));
        }
    }
    document.place_in_line(error.line, None)
}

/// The prompt files of a project, each read once.
#[derive(Debug, Default)]
pub(crate) struct Prompts {
    read: RefCell<HashMap<String, Option<Arc<PromptFile>>>>,
}

/// What a suite asked for: a name, and a version where one is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) version: Option<u32>,
}

/// Reads `name` or `name@2`.
pub(crate) fn reference(text: &str, place: &Place) -> Result<Reference, Problem> {
    let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
    let well_named =
        !name.is_empty() && !name.contains("..") && !name.starts_with('/') && !name.chars().any(|c| c.is_control() || c == '\\');
    if !well_named {
        let problem = Problem::error(format!("`{}` is not the name of a prompt", text.escape_debug()));
        return Err(problem.at(place.clone()).hint("write the name of a folder in `suites/prompts`, or `name@2` for its version 2"));
    }
    let version = match version.map(str::parse::<u32>) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => {
            let problem = Problem::error(format!("`{text}` does not end in a version number"));
            return Err(problem.at(place.clone()).hint(format!("write `{name}` for the newest version, or `{name}@2` for version 2")));
        }
    };
    Ok(Reference { name: name.to_owned(), version })
}

impl Prompts {
    /// The file of the version that is asked for; problems are pushed.
    pub(crate) fn find(
        &self,
        reference: &Reference,
        suite: &str,
        place: &Place,
        inputs: &Inputs<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<PromptFile>> {
        let Some(folder) = folder_of(&reference.name, suite, inputs) else {
            problems.push(unknown_prompt(&reference.name, suite, place, inputs));
            return None;
        };
        if let Some(error) = inputs.reader.closed(&folder) {
            problems.push(Problem::error(error.to_string()).at(place.clone()).hint("look at the folder's permissions"));
            return None;
        }
        let versions = versions_in(&folder, inputs, place, problems);
        let wanted = reference.version.or_else(|| versions.keys().next_back().copied());
        let Some(files) = wanted.and_then(|wanted| versions.get(&wanted)) else {
            let known: Vec<String> = versions.keys().map(ToString::to_string).collect();
            let (message, hint) = match (reference.version, known.is_empty()) {
                (Some(version), false) => {
                    (format!("prompt `{}` has no version {version}", reference.name), format!("it has {} in `{folder}`", known.join(", ")))
                }
                _ => (format!("prompt `{}` has no version yet", reference.name), format!("write `{folder}/1.md`")),
            };
            problems.push(Problem::error(message).at(place.clone()).hint(hint));
            return None;
        };
        if let [one, other, ..] = files.as_slice() {
            let problem = Problem::error(format!("version {} of prompt `{}` has two files", wanted.unwrap_or_default(), reference.name));
            problems.push(problem.at(place.clone()).hint(format!("keep `{folder}/{one}` or `{folder}/{other}`")));
            return None;
        }
        self.load(&reference.name, wanted?, &format!("{folder}/{}", files.first()?), place, inputs, problems)
    }

    fn load(
        &self,
        name: &str,
        version: u32,
        path: &str,
        place: &Place,
        inputs: &Inputs<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<PromptFile>> {
        let known = self.read.borrow().get(path).cloned();
        let file = known.unwrap_or_else(|| {
            let read = prompt_file::read(name, version, path, place, inputs, problems).map(Arc::new);
            self.read.borrow_mut().insert(path.to_owned(), read.clone());
            read
        })?;
        inputs.remember(&file.version.file);
        file.embedded.iter().for_each(|file| inputs.remember(file));
        Some(file)
    }
}

/// The folder of a prompt: in the nearest `prompts` folder upwards from the suite, then in `suites/prompts`.
fn folder_of(name: &str, suite: &str, inputs: &Inputs<'_>) -> Option<String> {
    candidates(suite).into_iter().map(|folder| format!("{folder}/{name}")).find(|folder| inputs.reader.exists(folder))
}

fn candidates(suite: &str) -> Vec<String> {
    let mut folders = Vec::new();
    let mut folder = suite;
    while let Some((above, _)) = folder.rsplit_once('/') {
        folders.push(format!("{above}/prompts"));
        folder = above;
    }
    folders.push("prompts".to_owned());
    if !folders.iter().any(|folder| folder == "suites/prompts") {
        folders.push("suites/prompts".to_owned());
    }
    folders
}

fn unknown_prompt(name: &str, suite: &str, place: &Place, inputs: &Inputs<'_>) -> Problem {
    if let Some(error) = candidates(suite).iter().find_map(|folder| inputs.reader.closed(folder)) {
        return Problem::error(format!("the prompt `{name}` was not found: {error}"))
            .at(place.clone())
            .hint("look at the folder's permissions");
    }
    let names: Vec<_> = candidates(suite).iter().map(|folder| inputs.reader.folders(folder)).collect();
    let problem = Problem::error(format!("unknown prompt `{name}`")).at(place.clone());
    match nearest(name, names.iter().flat_map(|names| names.iter()).map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint(format!("write `{}/{name}/1.md`", candidates(suite).first().map_or("suites/prompts", String::as_str))),
    }
}

/// The numbers of the versions that there are, ascending; none where there is no such prompt.
pub(crate) fn numbers(name: &str, suite: &str, inputs: &Inputs<'_>) -> Vec<u32> {
    let place = crate::source::document::start_of(&Arc::from(suite));
    let folder = folder_of(name, suite, inputs);
    folder.map(|folder| versions_in(&folder, inputs, &place, &mut Vec::new()).into_keys().collect()).unwrap_or_default()
}

/// The files of each version, `1.md` as 1; anything that looks like a version and is none is a warning.
fn versions_in(folder: &str, inputs: &Inputs<'_>, place: &Place, problems: &mut Vec<Problem>) -> BTreeMap<u32, Vec<String>> {
    let mut versions: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut strange = 0;
    for name in inputs.reader.names(folder).iter() {
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_prompt = matches!(ending, "md" | "yaml" | "yml");
        match stem.parse::<u32>() {
            Ok(version) if is_prompt && stem == version.to_string() => versions.entry(version).or_default().push(name.clone()),
            _ if strange < MOST_STRANGE && stem.trim_start_matches(['v', 'V', '0', '+', '_', '-']).parse::<u32>().is_ok() => {
                let problem = Problem::warning(format!("`{folder}/{name}` is not a version of the prompt"));
                let problem = problem.at(place.clone()).hint("versions are named by their number alone: `3.md` or `3.yaml`");
                strange += 1;
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
            _ => {}
        }
    }
    versions
}
