//! Which files are there, and what is in them: on disk, or in a commit?

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::model::key::digest;
use crate::model::suite::SourceFile;
use crate::source::git::{GitError, Objects};

/// Largest file that is read: 100 MiB.
pub const LARGEST_FILE: u64 = 100 << 20;

/// Where a project's files are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// The project's folder as it is now.
    Disk(PathBuf),
    /// The same folder as a commit has it.
    Git {
        /// The project's folder.
        root: PathBuf,
        /// Anything that names a commit.
        revision: String,
    },
}

/// Why a file could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing is there.
    #[error("there is no file `{0}`")]
    Missing(String),
    /// A folder is there.
    #[error("`{0}` is a folder, not a file")]
    Folder(String),
    /// The path leads out of the project.
    #[error("`{0}` leads out of the project")]
    Outside(String),
    /// The path is no path.
    #[error("`{0}` is not a path")]
    NotAPath(String),
    /// More than [`LARGEST_FILE`].
    #[error("`{0}` is larger than the limit of {limit} MiB", limit = LARGEST_FILE >> 20)]
    TooLarge(String),
    /// The system refused.
    #[error("`{path}` cannot be read: {reason}")]
    Unreadable {
        /// The path.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl ReadError {
    /// What helps whatever named the path.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outside(_) => Some("move the file into the project: a suite must find the same inputs on every machine"),
            Self::TooLarge(_) => Some("split the file, or keep only the rows that matter"),
            Self::Unreadable { .. } => Some("name a regular file, and look at its permissions"),
            Self::Missing(_) => Some("it is a link to nothing, or was deleted meanwhile"),
            Self::Folder(_) | Self::NotAPath(_) => None,
        }
    }
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct File {
    /// Path and digest.
    pub source: SourceFile,
    /// What is in it.
    pub bytes: Arc<[u8]>,
}

/// Reads the files of a [`Tree`], each once, and keeps every path inside of it.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    allow_outside: bool,
    read: RefCell<HashMap<String, Result<File, ReadError>>>,
    /// What was found in folders: a thousand files that are missing in one are looked for in one listing.
    listed: RefCell<Listed>,
}

/// Names in folders, sorted.
type Listed = HashMap<(String, Child), Rc<[String]>>;

#[derive(Debug)]
enum Place {
    Disk { root: PathBuf, canonical: PathBuf },
    Git(RefCell<Objects>),
}

impl Tree {
    /// The bytes of one file, by its path relative to the project root.
    ///
    /// # Errors
    /// Where it is missing, unreadable, too large or outside.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let reader = Reader::open(self, false).map_err(|error| unreadable(path, &error))?;
        Ok(reader.read(path)?.bytes.to_vec())
    }

    /// The paths of all files below a folder, sorted; hidden and git-ignored ones left out.
    ///
    /// # Errors
    /// Where the commit or a folder cannot be listed.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, ReadError> {
        Reader::open(self, false).map_err(|error| unreadable(folder, &error))?.list(folder, None)
    }
}

/// What is looked for in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Child {
    File,
    Folder,
}

impl Reader {
    /// # Errors
    /// Where git cannot answer for the commit.
    pub fn open(tree: &Tree, allow_outside: bool) -> Result<Self, GitError> {
        let place = match tree {
            Tree::Disk(root) => Place::Disk { root: root.clone(), canonical: std::fs::canonicalize(root).unwrap_or_else(|_| root.clone()) },
            Tree::Git { root, revision } => Place::Git(RefCell::new(Objects::open(root, revision)?)),
        };
        Ok(Self { place, allow_outside, read: RefCell::default(), listed: RefCell::default() })
    }

    /// The file at a path relative to the project root.
    ///
    /// # Errors
    /// Where it is missing, unreadable, too large or outside.
    pub fn read(&self, path: &str) -> Result<File, ReadError> {
        let path = self.admitted(path)?;
        if let Some(known) = self.read.borrow().get(&path) {
            return known.clone();
        }
        let result = self
            .bytes(&path)
            .map(|bytes| File { source: SourceFile { path: path.as_str().into(), digest: digest(&bytes) }, bytes: bytes.into() });
        self.read.borrow_mut().insert(path, result.clone());
        result
    }

    /// Every path that was read or could not be, with the digest of what was in it.
    #[must_use]
    pub fn looked_at(&self) -> BTreeMap<String, Option<Arc<str>>> {
        let digest = |result: &Result<File, ReadError>| result.as_ref().ok().map(|file| Arc::clone(&file.source.digest));
        self.read.borrow().iter().map(|(path, result)| (path.clone(), digest(result))).collect()
    }

    /// The normal form of a path that may be read.
    fn admitted(&self, path: &str) -> Result<String, ReadError> {
        if path.is_empty() || path.chars().any(char::is_control) {
            return Err(ReadError::NotAPath(path.escape_debug().to_string()));
        }
        match (inside(path), &self.place) {
            (Some(inside), _) => Ok(inside),
            (None, Place::Disk { .. }) if self.allow_outside => Ok(path.to_owned()),
            (None, _) => Err(ReadError::Outside(path.to_owned())),
        }
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        match &self.place {
            Place::Disk { root, canonical } => {
                let full = root.join(path);
                let failed = |error: &std::io::Error| match error.kind() {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => ReadError::Missing(path.to_owned()),
                    std::io::ErrorKind::IsADirectory => ReadError::Folder(path.to_owned()),
                    std::io::ErrorKind::FileTooLarge => ReadError::TooLarge(path.to_owned()),
                    _ => unreadable(path, error),
                };
                let real = std::fs::canonicalize(&full).map_err(|error| failed(&error))?;
                if !self.allow_outside && !real.starts_with(canonical) {
                    return Err(ReadError::Outside(path.to_owned()));
                }
                read_regular(&real, LARGEST_FILE).map_err(|error| failed(&error))
            }
            Place::Git(objects) => {
                let bytes = objects.borrow_mut().read(path).map_err(|error| unreadable(path, &error))?;
                let bytes = bytes.ok_or_else(|| ReadError::Missing(path.to_owned()))?;
                if bytes.len() as u64 > LARGEST_FILE { Err(ReadError::TooLarge(path.to_owned())) } else { Ok(bytes) }
            }
        }
    }

    /// Whether a file or folder is there.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        let Some(path) = inside(path) else { return false };
        match &self.place {
            Place::Disk { root, .. } => root.join(&path).exists(),
            Place::Git(objects) => {
                let folder = format!("{path}/");
                objects.borrow().paths().any(|file| file == path || file.starts_with(&folder))
            }
        }
    }

    /// Names of everything directly in a folder that is no folder, sorted: reading what is no file either says so.
    #[must_use]
    pub fn names(&self, folder: &str) -> Rc<[String]> {
        self.children(folder, Child::File)
    }

    /// Names of the folders directly in a folder, sorted: for `did you mean`.
    #[must_use]
    pub fn folders(&self, folder: &str) -> Rc<[String]> {
        self.children(folder, Child::Folder)
    }

    fn children(&self, folder: &str, wanted: Child) -> Rc<[String]> {
        let Some(folder) = inside(folder) else { return Rc::from([]) };
        let key = (folder, wanted);
        if let Some(known) = self.listed.borrow().get(&key) {
            return Rc::clone(known);
        }
        let names: Rc<[String]> = self.listing(&key.0, wanted).into_iter().collect();
        self.listed.borrow_mut().insert(key, Rc::clone(&names));
        names
    }

    fn listing(&self, folder: &str, wanted: Child) -> BTreeSet<String> {
        match &self.place {
            Place::Disk { root, .. } => {
                let is_wanted = |path: &Path| match wanted {
                    Child::File => !path.is_dir(),
                    Child::Folder => path.is_dir(),
                };
                let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
                entries.filter(|entry| is_wanted(&entry.path())).filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Place::Git(objects) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let objects = objects.borrow();
                let below = objects.paths().filter_map(|path| path.strip_prefix(&prefix));
                let named = below.filter_map(|rest| match (rest.split_once('/'), wanted) {
                    (None, Child::File) => Some(rest),
                    (Some((name, _)), Child::Folder) => Some(name),
                    (None, Child::Folder) | (Some(_), Child::File) => None,
                });
                named.map(str::to_owned).collect()
            }
        }
    }

    /// Why nobody may look into a folder that is there.
    #[must_use]
    pub fn closed(&self, folder: &str) -> Option<ReadError> {
        let (Place::Disk { root, .. }, Some(folder)) = (&self.place, inside(folder)) else { return None };
        let path = root.join(&folder);
        // A folder may be listed that nothing in it can be reached of.
        let opened = std::fs::read_dir(&path).map(drop).and_then(|()| std::fs::metadata(path.join(".")).map(drop));
        opened.err().filter(|error| error.kind() == std::io::ErrorKind::PermissionDenied).map(|error| unreadable(&folder, &error))
    }

    /// Every file below a folder, sorted; hidden and git-ignored ones and folders named `without` left out. A link to a folder is not
    /// followed, as in a commit; whatever else is no folder is listed, so that reading it says what is wrong with it.
    ///
    /// # Errors
    /// Where a folder cannot be looked into: what is in it would be missing without a word.
    pub fn list(&self, folder: &str, without: Option<&'static str>) -> Result<Vec<String>, ReadError> {
        let Some(folder) = inside(folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<String> = match &self.place {
            Place::Disk { root, .. } => {
                let start = root.join(&folder);
                let mut walk = ignore::WalkBuilder::new(&start);
                // Without `require_git`, an exported tarball is searched like the clone that it came from.
                walk.require_git(false).filter_entry(move |entry| {
                    entry.depth() == 0 || without.is_none_or(|name| entry.file_name() != name || !entry.path().is_dir())
                });
                let mut files = Vec::new();
                for entry in walk.build() {
                    match entry {
                        Ok(entry) if is_no_folder(&entry) => files.extend(relative(root, entry.path())),
                        Ok(_) => {}
                        // Deleted meanwhile.
                        Err(error) if error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) => {}
                        Err(error) => return Err(unlisted(root, &folder, &error)),
                    }
                }
                files
            }
            Place::Git(objects) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let hidden = |part: &str| part.starts_with('.');
                let objects = objects.borrow();
                let below = objects.paths().filter_map(|path| path.strip_prefix(&prefix).map(|rest| (path, rest)));
                below
                    .filter(|(_, rest)| !rest.split('/').any(hidden))
                    .filter(|(_, rest)| {
                        rest.rsplit_once('/').is_none_or(|(folders, _)| !folders.split('/').any(|part| Some(part) == without))
                    })
                    .map(|(path, _)| path.to_owned())
                    .collect()
            }
        };
        paths.sort();
        Ok(paths)
    }
}

fn is_no_folder(entry: &ignore::DirEntry) -> bool {
    match entry.file_type() {
        Some(kind) if kind.is_symlink() => !entry.path().is_dir(),
        Some(kind) => !kind.is_dir(),
        None => false,
    }
}

/// With the folder that nobody may look into, where the error names it.
fn unlisted(root: &Path, folder: &str, error: &ignore::Error) -> ReadError {
    fn place(error: &ignore::Error) -> Option<&Path> {
        match error {
            ignore::Error::WithPath { path, .. } => Some(path),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => place(err),
            _ => None,
        }
    }
    let path = place(error).and_then(|path| relative(root, path)).unwrap_or_else(|| folder.to_owned());
    match error.io_error() {
        Some(reason) => unreadable(&path, reason),
        None => unreadable(&path, error),
    }
}

/// The bytes of a regular file of at most `largest`; a pipe or a device would never end, and is not even opened.
///
/// # Errors
/// What the system says, or that it is no such file.
pub fn read_regular(path: &Path, largest: u64) -> std::io::Result<Vec<u8>> {
    let facts = std::fs::metadata(path)?;
    if facts.is_dir() {
        return Err(std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !facts.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let too_large =
        || std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it is larger than the limit of {} MiB", largest >> 20));
    if facts.len() > largest {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(facts.len()).unwrap_or_default());
    std::fs::File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest { Err(too_large()) } else { Ok(bytes) }
}

fn unreadable(path: &str, reason: &dyn std::fmt::Display) -> ReadError {
    ReadError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    let parts = path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str());
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
}

/// The normal form of a project-relative path: forward slashes, no `.`, no `..`; `None` where it leaves the project.
#[must_use]
pub fn inside(path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let drive = path.len() > 1 && path.as_bytes()[1] == b':' && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with('/') || drive {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
