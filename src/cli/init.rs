//! `promptkeel init`: a first suite that runs at once.

use std::fs;
use std::path::Path;

use crate::cli::arguments::InitArguments;
use crate::cli::console::Console;
use crate::cli::project::Failure;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::snapshot::folder::{GIT_ATTRIBUTES, GIT_IGNORE};

/// The files of a new project, by project-relative path.
const FILES: [(&str, &str); 4] = [
    ("promptkeel.toml", include_str!("template/promptkeel.toml")),
    ("suites/greeting.yaml", include_str!("template/suites/greeting.yaml")),
    ("suites/prompts/greeting/1.md", include_str!("template/suites/prompts/greeting/1.md")),
    ("fixtures/sim/greeting.yaml", include_str!("template/fixtures/sim/greeting.yaml")),
];

/// The local store, which git should leave out too.
const STORE: &str = "/.promptkeel/\n";

/// Writes the files; refuses where one of them is there, and writes nothing then.
pub(crate) fn run(current: &Path, arguments: &InitArguments, console: &Console) -> Result<Exit, Failure> {
    let folder = current.join(&arguments.folder);
    let taken: Vec<Problem> = FILES
        .iter()
        .filter(|(path, _)| folder.join(path).exists())
        .map(|(path, _)| {
            Problem::error(format!("`{}` is there already, and nothing was written", arguments.folder.join(path).display()))
                .hint("name an empty folder: `promptkeel init my-prompts`")
        })
        .collect();
    if !taken.is_empty() {
        return Err(taken.into());
    }
    for (path, text) in FILES {
        write(&folder.join(path), text)?;
        console.line(format_args!("wrote {path}"))?;
    }
    append(&folder, ".gitignore", &[STORE, GIT_IGNORE], console)?;
    append(&folder, ".gitattributes", &[GIT_ATTRIBUTES], console)?;
    let place = match arguments.folder.as_os_str().to_str() {
        Some(".") | None => String::new(),
        Some(folder) => format!("cd {folder} && "),
    };
    console.line(format_args!("\nnext: {place}promptkeel run        then: promptkeel accept --all"))?;
    Ok(Exit::Holds)
}

/// Adds the lines that one of git's files lacks; what is there stays.
fn append(folder: &Path, name: &str, lines: &[&str], console: &Console) -> Result<(), Failure> {
    let path = folder.join(name);
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(&path, &error)),
    };
    let missing: Vec<&str> =
        lines.iter().flat_map(|lines| lines.lines()).filter(|line| !text.lines().any(|there| there.trim() == *line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text.push_str(line);
        text.push('\n');
    }
    write(&path, &text)?;
    console.line(format_args!("wrote {name}"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().expect("every file of the template stands in a folder");
    fs::create_dir_all(parent).and_then(|()| fs::write(path, text)).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::of(Exit::NotWritten, Problem::error(format!("cannot write `{}`: {error}", path.display())))
}
