//! How does a text stand in Markdown so that none of it is Markdown, HTML, a mention, a link or a reference?

use std::fmt::Write as _;
use std::io;

use crate::report::visible;

/// Most characters of one block.
const BLOCK: usize = 6_000;

/// A comment mark in an output could pass for the mark by which a bot finds its own comment again.
fn unmarked(text: &str) -> String {
    text.replace("<!--", "<!\u{200b}--")
}

/// A code span: nothing in it is Markdown, a link or a mention.
pub(super) fn code(text: &str) -> String {
    let text = unmarked(&visible::name(text.trim()));
    if text.is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same in a table, where a bar ends a cell even inside a code span.
pub(super) fn cell_code(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A fenced block. Cut at a line where it is too long.
pub(super) fn fenced(text: &str) -> String {
    let mut text = unmarked(&unheeded(text.trim_end()));
    if let Some((end, _)) = text.char_indices().nth(BLOCK) {
        let end = text[..end].rfind('\n').unwrap_or(end);
        // What says itself how much is left out goes on to say it.
        let notice = text[end..].lines().last().filter(|line| line.trim_start().starts_with("… ")).map(str::to_owned);
        let left = text[end..].trim().lines().count() - usize::from(notice.is_some());
        text.truncate(end);
        let _ = write!(text, "\n… {left} more lines are in the JSON and JUnit reports");
        if let Some(notice) = notice {
            let _ = write!(text, "\n{notice}");
        }
    }
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}diff\n{text}\n{fence}\n")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or_default()
}

/// Without lines that are commands in the log of a job. Whoever writes the page does that too, but then it would grow beyond its limit.
fn unheeded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut unheeded = visible::Unheeded::new(&mut out);
    io::Write::write_all(&mut unheeded, text.as_bytes()).and_then(|()| io::Write::flush(&mut unheeded)).expect("memory takes every byte");
    String::from_utf8(out).expect("it puts ASCII between whole characters")
}

/// Text for inside HTML tags.
pub(super) fn html(text: &str, most: usize) -> String {
    visible::brief(text, most).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Our own sentence with a user's names in it: readable, and still neither Markdown nor a mention, a link or a reference.
pub(super) fn prose(text: &str, most: usize) -> String {
    plain(&visible::brief(text, most))
}

/// The same, with words between backticks as code where nothing in them could be anything else: `max_tokens` is read as one may write it.
pub(super) fn prose_with_code(text: &str, most: usize) -> String {
    let line = visible::brief(text, most);
    let (mut safe, mut from) = (String::with_capacity(line.len()), 0);
    while let Some(open) = line[from..].find('`').map(|at| from + at) {
        safe.push_str(&plain(&line[from..open]));
        let word = line[open + 1..].split('`').next().filter(|word| line[open + 1 + word.len()..].starts_with('`'));
        let is_word = |word: &&str| {
            !word.trim().is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b' '))
        };
        let Some(word) = word.filter(is_word) else {
            safe.push_str("\\`");
            from = open + 1;
            continue;
        };
        // Two backticks side by side would be the sign of another kind of code.
        if safe.ends_with('`') {
            safe.push(BREAK);
        }
        safe.extend(["`", word, "`"]);
        from = open + word.len() + 2;
    }
    safe + &plain(&line[from..])
}

fn plain(line: &str) -> String {
    let mut safe = String::with_capacity(line.len());
    // Hexadecimal digits in a row: seven may be a commit.
    let mut digits = 0;
    for (at, character) in line.char_indices() {
        digits = if character.is_ascii_hexdigit() { digits + 1 } else { 0 };
        if digits == 7 {
            safe.push(BREAK);
            digits = 1;
        }
        let before = &line[..at];
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // No mention and no address that links itself. The `@` of `ticket-triage@3` is neither, and stays as it can be copied.
            '@' if !before.ends_with(char::is_alphanumeric) || is_address(&line[at + 1..]) => safe.extend(['@', BREAK]),
            '#' => safe.extend(['#', BREAK]),
            '/' if before.ends_with(':') => safe.extend([BREAK, '/']),
            '.' if ends_with(before, "www") => safe.extend([BREAK, '.']),
            '-' if ends_with(before, "gh") => safe.extend([BREAK, '-']),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => safe.extend(['\\', character]),
            other => safe.push(other),
        }
    }
    safe
}

/// A zero-width space takes the meaning from what stands around it.
const BREAK: char = '\u{200b}';

fn ends_with(text: &str, letters: &str) -> bool {
    text.len().checked_sub(letters.len()).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(letters))
}

/// What stands behind an `@` could be the domain of a mail address.
fn is_address(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|domain| domain.contains('.') && text.starts_with(|first: char| !first.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_before_is_still_counted_where_the_block_is_cut() {
        let text = (0..2_000).map(|line| format!("-line {line}\n")).collect::<String>()
            + "… 3,000 more lines of the difference are in the JSON report\n";
        let block = fenced(&text);
        let shown = block.matches("\n-line").count();
        let end = format!(
            "\n… {} more lines are in the JSON and JUnit reports\n… 3,000 more lines of the difference are in the JSON report\n```\n",
            2_000 - shown
        );
        assert!(block.ends_with(&end), "{shown} {}", &block[block.len() - 300..]);
    }

    #[test]
    fn words_between_backticks_are_code_and_everything_else_stays_text() {
        let of = |text| prose_with_code(text, 400).replace(BREAK, "·");
        assert_eq!(
            of("`max_tokens` is 8,000, under `--max-cost`: `cache: off`"),
            "`max_tokens` is 8,000, under `--max-cost`: `cache: off`"
        );
        assert_eq!(of("a*b_c: `max_tokens`"), r"a\*b\_c: `max_tokens`");
        // What a name brings along is never code that hides something, and never opens code that swallows the rest.
        assert_eq!(of("a`<img>` `b"), r"a\`&lt;img&gt;\` \`b");
        assert_eq!(of("``x`` `` `y"), r"\`·`x`\` \`\` \`y");
        assert_eq!(of("`a``b`"), "`a`·`b`");
    }

    #[test]
    fn a_sentence_links_nothing() {
        let text =
            "in ticket-triage@3::a: @octocat a@b.example #12 GH-12 www.evil.example https://evil.example 4be1d2c9e0a7 <b> *x* [a](b)";
        assert_eq!(
            prose(text, 400).replace(BREAK, "·"),
            r"in ticket-triage@3::a: @·octocat a@·b.example #·12 GH·-12 www·.evil.example https:·//evil.example 4be1d2·c9e0a7 &lt;b&gt; \*x\* \[a\](b)"
        );
    }
}
