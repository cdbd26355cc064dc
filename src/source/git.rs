//! What does version control know about this project? The only place that starts `git`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Why version control could not answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("`git` cannot be started: {0}")]
    NotStarted(std::io::Error),
    /// The project is not in a repository.
    #[error("this project is not in a git repository")]
    NoRepository,
    /// The revision names no commit.
    #[error("`{0}` names no commit of this repository")]
    UnknownRevision(String),
    /// Two commits have no common ancestor here.
    #[error("`{0}` and `{1}` have no common ancestor in this clone")]
    Unrelated(String, String),
    /// git said something else.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// The sub-command.
        command: String,
        /// The first line of what it wrote.
        message: String,
    },
    /// What git answered could not be understood.
    #[error("`git {0}` answered something unexpected")]
    Unreadable(&'static str),
}

impl GitError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotStarted(_) => Some("install git, or leave out what needs it (`--changed-since`)"),
            Self::NoRepository => Some("run `git init`, or leave out what needs version control (`--changed-since`)"),
            Self::UnknownRevision(_) => {
                Some("fetch it first (`git fetch origin main`), or check the spelling; CI often clones without other branches")
            }
            Self::Unrelated(..) => {
                Some("a shallow clone lacks the history: fetch it all (`git fetch --unshallow`, or `fetch-depth: 0` in CI)")
            }
            Self::Failed { .. } | Self::Unreadable(_) => None,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this file is where git is started")]
fn command(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(arguments);
    // Reading must not fight with an editor or another git over the index lock, and messages are compared below.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn run(root: &Path, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
    let output = command(root, arguments).output().map_err(GitError::NotStarted)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    if message.contains("not a git repository") {
        return Err(GitError::NoRepository);
    }
    Err(GitError::Failed { command: arguments.first().copied().unwrap_or_default().to_owned(), message })
}

fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// The full id of the commit that `revision` names.
///
/// # Errors
/// Where it names none, or there is no repository.
pub fn commit(root: &Path, revision: &str) -> Result<String, GitError> {
    let wanted = format!("{revision}^{{commit}}");
    match run(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]) {
        Ok(output) => Ok(line(&output)),
        Err(GitError::Failed { .. }) => Err(GitError::UnknownRevision(revision.to_owned())),
        Err(other) => Err(other),
    }
}

/// The id of the best common ancestor of two revisions.
///
/// # Errors
/// Where a revision names no commit, or there is no common ancestor in this clone.
pub fn merge_base(root: &Path, one: &str, other: &str) -> Result<String, GitError> {
    let (first, second) = (commit(root, one)?, commit(root, other)?);
    match run(root, &["merge-base", &first, &second]) {
        Ok(output) => Ok(line(&output)),
        Err(GitError::Failed { .. }) => Err(GitError::Unrelated(one.to_owned(), other.to_owned())),
        Err(error) => Err(error),
    }
}

/// Files that differ from the last commit, untracked ones included and ignored ones not; relative to `root`, sorted.
///
/// # Errors
/// Where there is no repository.
pub fn uncommitted(root: &Path) -> Result<Vec<String>, GitError> {
    let prefix = line(&run(root, &["rev-parse", "--show-prefix"])?);
    let output = run(root, &["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", "."])?;
    let mut paths: Vec<String> = output
        .split(|byte| *byte == 0)
        .filter(|entry| entry.len() > 3)
        .map(|entry| String::from_utf8_lossy(&entry[3..]).into_owned())
        .map(|path| path.strip_prefix(&prefix).map_or(path.clone(), str::to_owned))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Whether anything is uncommitted.
///
/// # Errors
/// Where there is no repository.
pub fn is_dirty(root: &Path) -> Result<bool, GitError> {
    Ok(!uncommitted(root)?.is_empty())
}

/// Most changes of one file that are looked at.
const MOST_CHANGES: &str = "-n200";

/// What `wanted` makes of the newest earlier state of a file that it takes: the staged one, then those of the commits on the way to HEAD that
/// changed it. Bounded to its last 200 changes.
///
/// # Errors
/// Where there is no repository.
pub fn earlier<T>(root: &Path, path: &str, wanted: impl Fn(Vec<u8>) -> Option<T>) -> Result<Option<T>, GitError> {
    let blob = |revision: &str| run(root, &["cat-file", "blob", &format!("{revision}:./{path}")]);
    // A clone without any commit has no HEAD.
    let commits = match run(root, &["rev-list", MOST_CHANGES, "HEAD", "--", path]) {
        Ok(listing) => line(&listing),
        Err(GitError::Failed { .. }) => String::new(),
        Err(error) => return Err(error),
    };
    // In a commit that deleted the file there is nothing.
    let mut states = std::iter::once("").chain(commits.lines()).filter_map(|revision| blob(revision).ok());
    Ok(states.find_map(wanted))
}

/// The files of one commit, below the project root.
#[derive(Debug)]
pub struct Objects {
    files: BTreeMap<String, (Mode, String)>,
    reader: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    File,
    Link,
}

impl Objects {
    /// Lists the files of a commit and starts the program that reads them.
    ///
    /// # Errors
    /// Where the revision names no commit, or git cannot be started.
    pub fn open(root: &Path, revision: &str) -> Result<Self, GitError> {
        let commit = commit(root, revision)?;
        let listing = run(root, &["ls-tree", "-r", "-z", &commit])?;
        let mut files = BTreeMap::new();
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            let (head, path) = entry.split_once('\t').ok_or(GitError::Unreadable("ls-tree"))?;
            let mut words = head.split(' ');
            let (mode, kind, id) = (words.next(), words.next(), words.next());
            let mode = if mode == Some("120000") { Mode::Link } else { Mode::File };
            if let (Some("blob"), Some(id)) = (kind, id) {
                files.insert(path.to_owned(), (mode, id.to_owned()));
            }
        }
        let mut reader = command(root, &["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(GitError::NotStarted)?;
        let requests = reader.stdin.take();
        let answers = BufReader::new(reader.stdout.take().ok_or(GitError::Unreadable("cat-file"))?);
        Ok(Self { files, reader, requests, answers })
    }

    /// Every path of the commit, relative to the project root.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The bytes of a file; `None` where the commit has no such file. A symbolic link is followed inside of the commit.
    ///
    /// # Errors
    /// Where git stops answering.
    pub fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let Some((mode, id)) = self.files.get(&path).cloned() else { return Ok(None) };
            let bytes = self.object(&id)?;
            if mode == Mode::File {
                return Ok(Some(bytes));
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = String::from_utf8_lossy(&bytes);
            let target = if folder.is_empty() || target.starts_with('/') { target.into_owned() } else { format!("{folder}/{target}") };
            let Some(inside) = super::tree::inside(&target) else { return Ok(None) };
            path = inside;
        }
        Ok(None)
    }

    fn object(&mut self, id: &str) -> Result<Vec<u8>, GitError> {
        let unreadable = |_| GitError::Unreadable("cat-file");
        let requests = self.requests.as_mut().ok_or(GitError::Unreadable("cat-file"))?;
        writeln!(requests, "{id}").and_then(|()| requests.flush()).map_err(unreadable)?;
        let mut head = String::new();
        self.answers.read_line(&mut head).map_err(unreadable)?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or(GitError::Unreadable("cat-file"))?;
        let mut bytes = vec![0; size + 1];
        self.answers.read_exact(&mut bytes).map_err(unreadable)?;
        bytes.pop();
        Ok(bytes)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Closing its input ends `cat-file`; waiting leaves no zombie.
        drop(self.requests.take());
        let _ = self.reader.wait();
    }
}
