//! How are files of the snapshot folder read and replaced, so that nobody sees half of one and nothing outside is touched?

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use crate::snapshot::SnapshotError;
use crate::snapshot::path::FOLDER;

/// No snapshot is larger; a file that is was not written by promptkeel.
const MAX_BYTES: u64 = 64 << 20;

/// How the name of a file begins and ends that has not got its own yet: hidden, git-ignored, and never taken for an output that waits.
const TEMPORARY: (&str, &str) = (".promptkeel-", ".tmp");

/// Another process may delete a folder that just became empty while a file is put into it.
const ATTEMPTS: usize = 5;

/// Where a project-relative path of the snapshot folder is on this disk.
///
/// # Errors
/// A path that is not in the folder, as written or because of a symbolic link.
pub(super) fn locate(root: &Path, path: &str) -> Result<PathBuf, SnapshotError> {
    let outside = |reason| SnapshotError::Outside { path: path.to_owned(), reason };
    let mut components = Path::new(path).components();
    if components.next() != Some(Component::Normal(FOLDER.as_ref())) || path.contains(['\\', ':']) {
        return Err(outside("is not in the `snapshots` folder"));
    }
    let mut place = root.join(FOLDER);
    check_link(root, root, &place).map_err(outside)?;
    let folder = place.clone();
    for component in components {
        let Component::Normal(name) = component else {
            return Err(outside("is not in the `snapshots` folder"));
        };
        place.push(name);
        check_link(root, &folder, &place).map_err(outside)?;
    }
    if place == folder { Err(outside("is the `snapshots` folder itself")) } else { Ok(place) }
}

/// `place` is no symbolic link, or one that stays in `folder`.
fn check_link(root: &Path, folder: &Path, place: &Path) -> Result<(), &'static str> {
    const LEADS_OUT: &str = "is reached through a symbolic link that leads out of the `snapshots` folder or the project";
    let is_link = fs::symlink_metadata(place).is_ok_and(|metadata| metadata.is_symlink());
    if !is_link {
        return Ok(());
    }
    // A link to nothing would be followed by whoever creates its target: refused too.
    let (Ok(target), Ok(folder), Ok(root)) = (place.canonicalize(), folder.canonicalize(), root.canonicalize()) else {
        return Err(LEADS_OUT);
    };
    if target.starts_with(&folder) && folder.starts_with(&root) { Ok(()) } else { Err(LEADS_OUT) }
}

/// Whether there is something at a path, a link to nothing included.
pub(super) fn exists(root: &Path, path: &str) -> bool {
    fs::symlink_metadata(root.join(path)).is_ok()
}

/// The text of a file; `None` where there is none.
pub(super) fn read(root: &Path, path: &str) -> Result<Option<String>, SnapshotError> {
    let place = locate(root, path)?;
    let read = read_at(&place).and_then(|bytes| bytes.map(text).transpose());
    read.map_err(|source| SnapshotError::Read { path: path.to_owned(), source })
}

/// The text that the bytes of a file are.
pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

/// The bytes of a file, whatever they are; `None` where there is none.
pub(super) fn read_bytes(root: &Path, path: &str) -> Result<Option<Vec<u8>>, SnapshotError> {
    let place = locate(root, path)?;
    read_at(&place).map_err(|source| SnapshotError::Read { path: path.to_owned(), source })
}

fn read_at(place: &Path) -> io::Result<Option<Vec<u8>>> {
    let facts = match fs::metadata(place) {
        Ok(facts) => facts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A pipe that nobody writes to would be waited for without end.
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = match fs::File::open(place) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let length = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(Some(bytes))
}

/// Puts a text into a file, all of it or nothing; whether the file had another text before. An equal file is not touched.
pub(super) fn put(root: &Path, path: &str, text: &str) -> Result<bool, SnapshotError> {
    put_bytes(root, path, text.as_bytes())
}

/// The same with any bytes.
pub(super) fn put_bytes(root: &Path, path: &str, bytes: &[u8]) -> Result<bool, SnapshotError> {
    let place = locate(root, path)?;
    if read_at(&place).is_ok_and(|before| before.as_deref() == Some(bytes)) {
        return Ok(false);
    }
    let failed = |source| SnapshotError::Write { path: path.to_owned(), source };
    let parent = place.parent().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let mut attempt = 1;
    loop {
        match replace(parent, &place, bytes) {
            // Somebody else took the empty folder away, before it was written into or while it was made.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) && attempt < ATTEMPTS => {
                attempt += 1
            }
            result => return result.map(|()| true).map_err(failed),
        }
    }
}

fn replace(parent: &Path, place: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(parent)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.persist(place).map_err(|error| error.error)?;
    Ok(())
}

/// Gives a file another name in the same folder, replacing what has it; `false` where there is no such file.
pub(super) fn rename(root: &Path, from: &str, to: &str) -> Result<bool, SnapshotError> {
    let (source, target) = (locate(root, from)?, locate(root, to)?);
    match fs::rename(source, target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(SnapshotError::Write { path: to.to_owned(), source }),
    }
}

/// Deletes a file and the folders that it leaves empty; `false` where there is no such file.
pub(super) fn remove(root: &Path, path: &str) -> Result<bool, SnapshotError> {
    let place = locate(root, path)?;
    match fs::remove_file(&place) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(SnapshotError::Write { path: path.to_owned(), source }),
    }
    let folder = root.join(FOLDER);
    for parent in place.ancestors().skip(1).take_while(|parent| *parent != folder) {
        if fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(true)
}

/// Every file below the folder, project-relative with forward slashes, sorted. Links and hidden files are left out.
pub(super) fn list(root: &Path) -> Result<Vec<String>, SnapshotError> {
    walk(root, FOLDER, |_| ())
}

/// The same of one folder in it.
pub(super) fn list_in(root: &Path, folder: &str) -> Result<Vec<String>, SnapshotError> {
    locate(root, folder)?;
    walk(root, folder, |_| ())
}

/// The same, and clears away what killed processes were writing. Another run's file may be among it: whoever misses its own writes it again.
pub(super) fn list_and_tidy(root: &Path) -> Result<Vec<String>, SnapshotError> {
    walk(root, FOLDER, |entry| {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY.0)?.strip_suffix(TEMPORARY.1));
        if random.is_some_and(|random| random.len() == 6) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // One that stays is ignored by git and by us.
            let _ = fs::remove_file(entry.path());
        }
    })
}

fn walk(root: &Path, from: &str, hidden: impl Fn(&fs::DirEntry)) -> Result<Vec<String>, SnapshotError> {
    check_link(root, root, &root.join(FOLDER)).map_err(|reason| SnapshotError::Outside { path: FOLDER.to_owned(), reason })?;
    let mut files = Vec::new();
    let mut open = vec![from.to_owned()];
    while let Some(folder) = open.pop() {
        let failed = |source| SnapshotError::Read { path: folder.clone(), source };
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            // Deleted meanwhile, or never there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.')).map(str::to_owned) else {
                hidden(&entry);
                continue;
            };
            let path = format!("{folder}/{name}");
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Runs `work` while no other process of this project is in it, as far as the disk can tell.
///
/// Only reading and writing the short lock file is guarded; where folders cannot be locked, the last of two writers wins.
pub(super) fn alone<T>(root: &Path, work: impl FnOnce() -> T) -> T {
    let guard = fs::File::open(root.join(FOLDER)).ok().filter(|folder| folder.lock().is_ok());
    let result = work();
    drop(guard);
    result
}
