//! What does the environment say? The one place that reads it; keys come out as secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::cli::settings;
use crate::source::tree::read_regular;

/// The environment variables of this process, and those of the file that the settings name.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// From `run.env_file`; variables of the process win.
    file: BTreeMap<String, SecretString>,
}

impl Environment {
    /// A variable of the process, if it is set, not empty and valid Unicode.
    #[expect(clippy::disallowed_methods, reason = "this is the address where the environment is read")]
    pub(crate) fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// The current folder.
    #[expect(clippy::disallowed_methods, reason = "this is the address where the environment is read")]
    pub(crate) fn current_folder() -> std::io::Result<PathBuf> {
        std::env::current_dir()
    }

    /// Checks are strict and nothing is written beside them: `CI` is set to anything but `false` or `0`.
    pub(crate) fn is_ci() -> bool {
        Self::variable("CI").is_some_and(|value| !matches!(value.as_str(), "false" | "0"))
    }

    /// GitHub Actions runs this job.
    pub(crate) fn is_github() -> bool {
        Self::variable("GITHUB_ACTIONS").is_some_and(|value| value == "true")
    }

    /// The folder that a job of GitHub Actions works in.
    pub(crate) fn github_workspace() -> Option<PathBuf> {
        Self::variable("GITHUB_WORKSPACE").map(PathBuf::from)
    }

    /// The file that becomes the page of a job of GitHub Actions, a step's part of it.
    pub(crate) fn github_summary() -> Option<PathBuf> {
        Self::variable("GITHUB_STEP_SUMMARY").map(PathBuf::from)
    }

    /// Adds the variables of an env file.
    ///
    /// # Errors
    /// When the file cannot be read; the message holds no line of it.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<(), String> {
        // A file of secrets that somebody pipes in would be read once only, and a pipe that nobody writes to never ends.
        let bytes = read_regular(path, settings::LARGEST).map_err(|error| error.to_string())?;
        let lines = dotenvy::from_read_iter(&*bytes);
        for line in lines {
            let (name, value) = line.map_err(|error| describe(&error))?;
            self.file.insert(name, SecretString::from(value));
        }
        Ok(())
    }

    /// A key, by the name of the variable that holds it.
    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        Self::variable(name).map(SecretString::from).or_else(|| self.file.get(name).cloned())
    }
}

/// dotenvy prints the offending line, which may hold a key: say what is wrong without it.
fn describe(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, position) => format!("a line cannot be read as NAME=VALUE (at its byte {position})"),
        dotenvy::Error::Io(error) => error.to_string(),
        _ => "it holds a variable that cannot be read".to_owned(),
    }
}
