//! Where does the snapshot of a case and model live?
//!
//! `snapshots/<suite>/<case>/<model>.snap`, with the prompt before the model where a suite lists several prompts. Each part is a
//! function of its id alone, so that adding a case renames nothing, and no two ids share a part, not even on a disk that knows no
//! upper case.

/// The folder of all snapshots, project-relative.
pub const FOLDER: &str = "snapshots";

/// How an accepted snapshot's file ends.
pub const ACCEPTED: &str = ".snap";

/// How a pending snapshot's file ends.
pub const PENDING: &str = ".snap.new";

/// The name of a suite's lock of accepted prompt versions.
pub const LOCK: &str = "prompts.toml";

/// A portable id is kept up to this length, in bytes.
const MAX_LENGTH: usize = 80;

/// Hexadecimal digits of the hash that stands for an id which cannot be a file name.
const DIGITS: usize = 16;

/// The accepted snapshot of a case and model, project-relative with forward slashes.
///
/// `prompt` is the prompt's name where the suite lists several prompts, `model` the model's label or id.
#[must_use]
pub fn path(suite: &str, case: &str, prompt: Option<&str>, model: &str) -> String {
    let mut path = format!("{FOLDER}/{}/{}/", part(suite), part(case));
    if let Some(prompt) = prompt {
        path.push_str(&part(prompt));
        path.push('/');
    }
    path.push_str(&part(model));
    path.push_str(ACCEPTED);
    path
}

/// A suite's lock of accepted prompt versions, project-relative.
#[must_use]
pub fn lock_path(suite: &str) -> String {
    format!("{FOLDER}/{}/{LOCK}", part(suite))
}

/// The lock of the suite in whose folder a snapshot stands.
#[must_use]
pub fn lock_beside(snapshot: &str) -> String {
    let suite = snapshot.split('/').nth(1).unwrap_or_default();
    format!("{FOLDER}/{suite}/{LOCK}")
}

/// The pending snapshot beside an accepted one.
#[must_use]
pub fn pending_path(accepted: &str) -> String {
    format!("{}{PENDING}", accepted.strip_suffix(ACCEPTED).unwrap_or(accepted))
}

/// An id as a file name: itself where every disk takes it as it is, else a slug, `-` and a hash of the id.
#[must_use]
pub fn part(id: &str) -> String {
    if is_portable(id) {
        return id.to_owned();
    }
    let mut slug = String::new();
    for character in id.chars().map(|character| character.to_ascii_lowercase()) {
        let kept = character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        if slug.len() >= MAX_LENGTH - DIGITS - 1 {
            break;
        }
        if kept {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = match slug.trim_end_matches('-') {
        "" => "id",
        slug => slug,
    };
    format!("{slug}-{}", &blake3::hash(id.as_bytes()).to_hex()[..DIGITS])
}

/// Every file system keeps the name apart from every other one, and nothing else in the folder has it.
fn is_portable(id: &str) -> bool {
    let portable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_LENGTH).contains(&id.len())
        && id.bytes().all(portable)
        && !id.starts_with(['.', '-'])
        && !id.ends_with('.')
        && !is_reserved_by_windows(id)
        && ![ACCEPTED, PENDING].iter().any(|ending| id.ends_with(ending))
        && id != LOCK
        && !looks_hashed(id)
}

/// `nul`, `com1`, also with an ending, are devices.
fn is_reserved_by_windows(id: &str) -> bool {
    let stem = id.split('.').next().unwrap_or(id);
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(stem, "con" | "prn" | "aux" | "nul") || numbered.is_some_and(|digit| matches!(digit.as_bytes(), [b'0'..=b'9']))
}

/// An id that looks like a slug with a hash is hashed too: it could be the one that another id became.
fn looks_hashed(id: &str) -> bool {
    id.rsplit_once('-').is_some_and(|(_, digits)| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_portable_id_is_its_own_name() {
        assert_eq!(
            path("ticket-triage", "double-charge", None, "claude-haiku-4-5"),
            "snapshots/ticket-triage/double-charge/claude-haiku-4-5.snap"
        );
        assert_eq!(path("s", "c", Some("triage"), "gpt-4.1_mini"), "snapshots/s/c/triage/gpt-4.1_mini.snap");
        assert_eq!(part(&"x".repeat(80)), "x".repeat(80));
    }

    #[test]
    fn every_other_id_becomes_a_slug_with_a_hash() {
        insta::assert_snapshot!(
            ["", ".", "..", "../../etc/passwd", "Refund", "org/model:free", "日本語", "Ä b", "nul", "com1.txt", "dot.", ".hidden", "-rf", "prompts.toml", "a.snap", "a b ", "x-0123456789abcdef"]
                .map(part)
                .join("\n"),
            @"
        id-af1349b9f5f9a1a6
        id-a2b910880c859d38
        id-ee7fc3886dda7d9a
        etc-passwd-58374639e1651454
        refund-5d46742090efc8a6
        org-model-free-e65cdf10606ec1aa
        id-b4c93ae12a924052
        b-d2b6ac083d178717
        nul-0f90718637e63a8b
        com1-txt-e91779e877d36909
        dot-15fe4675086295c2
        hidden-f8c9ff5d199a9b89
        rf-773b10a7dcbbdc8a
        prompts-toml-2d3c42e241ef4f81
        a-snap-873deb049f781d1b
        a-b-8169d7b0bfcf5265
        x-0123456789abcdef-025576f0b1f790a0
        "
        );
        assert!(part(&"x".repeat(81)).len() <= MAX_LENGTH);
        assert!(part(&"Ä".repeat(500)).len() <= MAX_LENGTH);
    }

    #[test]
    fn a_pending_snapshot_stands_beside_the_accepted_one() {
        assert_eq!(pending_path("snapshots/s/c/m.snap"), "snapshots/s/c/m.snap.new");
        assert_eq!(pending_path("snapshots/s/c/a.snap.snap"), "snapshots/s/c/a.snap.snap.new");
    }

    /// Ids that are likely to collide: few letters, in both cases, with what gets replaced, and parts of parts.
    fn id() -> impl Strategy<Value = String> {
        prop_oneof!["[aA./ -]{0,4}", "(con|NUL|lpt1)(\\.[ab])?", "[a-b]{79,82}", any::<String>(), any::<String>().prop_map(|id| part(&id))]
    }

    proptest! {
        #[test]
        fn different_ids_have_different_names_on_any_disk(ids in prop::collection::btree_set(id(), 2..12)) {
            let names: std::collections::BTreeSet<String> = ids.iter().map(|id| part(id).to_lowercase()).collect();
            prop_assert_eq!(names.len(), ids.len());
        }

        #[test]
        fn different_cells_have_different_paths(cells in prop::collection::btree_set((id(), id(), prop::option::of(id()), id()), 2..8)) {
            let paths: std::collections::BTreeSet<String> =
                cells.iter().map(|(suite, case, prompt, model)| path(suite, case, prompt.as_deref(), model).to_lowercase()).collect();
            prop_assert_eq!(paths.len(), cells.len());
        }

        #[test]
        fn a_name_is_always_portable(id in id()) {
            let name = part(&id);
            prop_assert!(name == id || part(&name) != name, "the name as an id would have the same file");
            prop_assert!((1..=MAX_LENGTH).contains(&name.len()));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)));
            prop_assert!(!name.starts_with(['.', '-']) && !name.ends_with('.') && !is_reserved_by_windows(&name) && name != LOCK);
        }
    }
}
