//! Rust source as tokens: which paths of our own crate does a file name, and which crates?
//!
//! A real parser would bring `syn` with all its features into every test build. Comments, strings and the nesting of inline modules are
//! all that has to be understood to find paths, so this reads tokens.

use std::collections::BTreeSet;

/// One token of interest: words, and the punctuation that paths and modules are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Punctuation(char),
}

/// The paths that one file names, resolved to absolute ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// `["model", "run", "RunReport"]` for `crate::model::run::RunReport`, however it was spelled.
    pub(crate) ours: BTreeSet<Vec<String>>,
    /// First words of all other paths: crates, and modules in scope.
    pub(crate) others: BTreeSet<String>,
}

impl Paths {
    /// Reads a file whose module path within the crate is `module` (empty for `lib.rs`).
    pub(crate) fn of(source: &str, module: &[&str]) -> Self {
        let tokens = tokens(source);
        let mut paths = Self::default();
        // The modules in which a token stands: the file's own and the inline ones that are open, each with the brace depth outside it.
        let mut inside: Vec<String> = module.iter().map(|&part| part.to_owned()).collect();
        let mut inline: Vec<usize> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                Token::Word(word) if word == "mod" => {
                    if let (Some(Token::Word(name)), Some(Token::Punctuation('{'))) = (tokens.get(at + 1), tokens.get(at + 2)) {
                        inside.push(name.clone());
                        inline.push(depth);
                        depth += 1;
                        at += 2;
                    }
                }
                Token::Punctuation('{') => depth += 1,
                Token::Punctuation('}') => {
                    depth = depth.saturating_sub(1);
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        inside.pop();
                    }
                }
                Token::Word(_) if matches!(tokens.get(at + 1), Some(Token::Path)) && !continues(&tokens, at) => {
                    paths.tree(&tokens, &mut at, &inside, &[]);
                    continue;
                }
                Token::Word(_) | Token::Path | Token::Punctuation(_) => {}
            }
            at += 1;
        }
        paths
    }

    /// Reads a path from `at` on, with the groups in it, and leaves `at` behind it.
    fn tree(&mut self, tokens: &[Token], at: &mut usize, inside: &[String], before: &[String]) {
        let mut path = before.to_vec();
        loop {
            match tokens.get(*at) {
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    *at += 1;
                }
                Some(Token::Punctuation('{')) if !path.is_empty() => {
                    *at += 1;
                    while !matches!(tokens.get(*at), None | Some(Token::Punctuation('}'))) {
                        if matches!(tokens.get(*at), Some(Token::Word(_))) {
                            self.tree(tokens, at, inside, &path);
                        } else {
                            *at += 1;
                        }
                    }
                    *at += 1;
                    return;
                }
                _ => break,
            }
            if matches!(tokens.get(*at), Some(Token::Path)) {
                *at += 1;
            } else {
                break;
            }
        }
        self.note(&path, inside);
    }

    fn note(&mut self, path: &[String], inside: &[String]) {
        let supers = path.iter().take_while(|part| *part == "super" || *part == "self").filter(|part| *part == "super").count();
        let rest: Vec<String> = path.iter().skip_while(|part| *part == "super" || *part == "self").cloned().collect();
        match path.first().map(String::as_str) {
            Some("crate") => {
                self.ours.insert(path[1..].to_vec());
            }
            Some("self" | "super") => {
                let kept = inside.len().saturating_sub(supers);
                self.ours.insert(inside[..kept].iter().cloned().chain(rest).collect());
            }
            Some("Self") | None => {}
            Some(first) => {
                self.others.insert(first.to_owned());
            }
        }
    }
}

/// Whether the word at `at` begins no path: `b` in `a::b::c`, in `<T>::b::c`, and in the call `a.b::<c>()`.
fn continues(tokens: &[Token], at: usize) -> bool {
    match at.checked_sub(1).map(|before| &tokens[before]) {
        Some(Token::Punctuation('.')) => true,
        Some(Token::Path) => at > 1 && matches!(&tokens[at - 2], Token::Word(_) | Token::Punctuation('>')),
        _ => false,
    }
}

/// Words and punctuation, without comments, strings, characters and numbers.
fn tokens(source: &str) -> Vec<Token> {
    let characters: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let next = characters.get(at + 1).copied();
        match character {
            '/' if next == Some('/') => {
                while at < characters.len() && characters[at] != '\n' {
                    at += 1;
                }
            }
            '/' if next == Some('*') => at = after_block_comment(&characters, at),
            '"' => at = after_string(&characters, at),
            '\'' => at = after_quote(&characters, at),
            ':' if next == Some(':') => {
                tokens.push(Token::Path);
                at += 2;
            }
            _ if character.is_alphanumeric() || character == '_' => {
                let start = at;
                while characters.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                    at += 1;
                }
                let word: String = characters[start..at].iter().collect();
                match (word.as_str(), characters.get(at)) {
                    ("r" | "br" | "cr", Some('"' | '#')) => at = after_raw(&characters, at, &mut tokens),
                    ("b" | "c", Some('"')) => at = after_string(&characters, at),
                    ("b", Some('\'')) => at = after_quote(&characters, at),
                    _ if word.starts_with(|c: char| c.is_ascii_digit()) => {}
                    _ => tokens.push(Token::Word(word)),
                }
            }
            _ => {
                if !character.is_whitespace() {
                    tokens.push(Token::Punctuation(character));
                }
                at += 1;
            }
        }
    }
    tokens
}

fn after_block_comment(characters: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < characters.len() {
        match (characters[at], characters.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn after_string(characters: &[char], mut at: usize) -> usize {
    at += 1;
    while at < characters.len() && characters[at] != '"' {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A character literal or a lifetime; `at` is on the quote.
fn after_quote(characters: &[char], at: usize) -> usize {
    match (characters.get(at + 1), characters.get(at + 2)) {
        (Some('\\'), _) => {
            let mut end = at + 3;
            while characters.get(end).is_some_and(|c| *c != '\'') {
                end += 1;
            }
            end + 1
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

/// A raw string, or a raw identifier (which is a word); `at` is behind the `r`.
fn after_raw(characters: &[char], mut at: usize, tokens: &mut Vec<Token>) -> usize {
    let start = at;
    while characters.get(at) == Some(&'#') {
        at += 1;
    }
    let hashes = at - start;
    if characters.get(at) != Some(&'"') {
        let word_start = at;
        while characters.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            at += 1;
        }
        tokens.push(Token::Word(characters[word_start..at].iter().collect()));
        return at;
    }
    at += 1;
    while at < characters.len() {
        if characters[at] == '"' && characters[at + 1..].iter().take_while(|c| **c == '#').take(hashes).count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::Paths;

    fn ours(source: &str, module: &[&str]) -> Vec<String> {
        Paths::of(source, module).ours.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn an_import_an_expression_and_a_group_all_count() {
        let source = "use crate::model::run::RunReport;\nfn f() -> crate::diff::TextDiff { crate::diff::text_diff() }\nuse crate::{source::{load, git::Tree}, cli};";
        assert_eq!(
            ours(source, &["report"]),
            ["cli", "diff::TextDiff", "diff::text_diff", "model::run::RunReport", "source::git::Tree", "source::load"]
        );
    }

    #[test]
    fn a_path_that_climbs_out_of_its_room_counts_as_the_room_where_it_arrives() {
        assert_eq!(ours("use super::super::store::Store;", &["report", "junit"]), ["store::Store"]);
        assert_eq!(ours("use super::terminal::Progress;", &["report", "junit"]), ["report::terminal::Progress"]);
        assert_eq!(
            ours(
                "mod tests { use super::super::files; mod deeper { fn f() { super::super::x::y() } } } use super::z::Z;",
                &["report", "junit"]
            ),
            ["report::files", "report::junit::x::y", "report::z::Z"]
        );
    }

    #[test]
    fn comments_strings_and_characters_name_nothing() {
        let source = r##"
            //! [`crate::store::Store`]
            /* use crate::store::Store; /* nested */ crate::store::x */
            const A: &str = "crate::store::Store \" crate::cli::x";
            const B: &str = r#"crate::store::Store " crate::cli"#;
            const C: char = '"'; const D: char = '\''; const E: &[u8] = b"crate::store::Store";
            fn f<'a>(x: &'a str) -> crate::diff::TextDiff { }
        "##;
        assert_eq!(ours(source, &["report"]), ["diff::TextDiff"]);
    }

    #[test]
    fn a_macro_that_names_its_crate_counts() {
        assert_eq!(ours("macro_rules! m { () => { $crate::cli::args::Args } }", &["model"]), ["cli::args::Args"]);
    }

    #[test]
    fn other_crates_are_found_by_their_first_word() {
        let found = Paths::of("use reqwest::Client; fn f() { ::rusqlite::open(); a.b::<axum::Router>() }", &["report"]).others;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["axum", "reqwest", "rusqlite"]);
    }
}
