//! What stands on the screen?
//!
//! ```text
//! review 3 of 7   5 left, 1 accepted, 1 rejected
//! CHANGED ticket-triage::double-charge::ticket-triage@3::claude-haiku-4-5
//! ────────────────────────────────────────────────────────────────────────
//! suites/triage.yaml:31:5, ticket-triage@2 -> ticket-triage@3
//! passes: contains, json_schema
//! 4 outputs share this change: `A` accepts, `R` rejects all of them
//!
//! ~ $.queue: "billing" -> "refunds"
//! ────────────────────────────────────────────────────────────────────────
//! a accept  r reject  s skip  n next  p previous  u undo  ? help  q quit
//! ```

use anstyle::Style;

use crate::model::verdict::Verdict;
use crate::report::terminal::paint::{BAD, BOLD, DIM, GOOD, NAME, ODD, PLAIN, Span, span};
use crate::report::visible;
use crate::review::body::{self, Layout, Line, plain, wrapped};
use crate::review::item::{Item, Judged, Kind};
use crate::review::state::{Entry, Mode, Review, ShownAs, Status, Tone, Typing, WIDE};

/// Fewer rows than this have no room for lines between the parts.
const LOW: usize = 16;

/// A screen, and what can be scrolled to.
#[derive(Debug)]
pub(crate) struct Frame {
    /// From the first row on; as many as the terminal has, or fewer.
    pub(crate) rows: Vec<Line>,
    /// All lines of the part that scrolls.
    pub(crate) body: Vec<Line>,
    /// How many of them are seen.
    pub(crate) room: usize,
}

/// Lays the screen out.
pub(crate) fn frame(review: &Review) -> Frame {
    let width = review.size.width.max(20);
    let height = review.size.height.max(5);
    let low = height < LOW;
    let mut rows = head(review, width);
    let body = match (&review.mode, review.current()) {
        (Mode::Help, _) => help(width),
        (Mode::Browse | Mode::Typing(..), Some(entry)) => content(review, entry, width),
        (Mode::Browse | Mode::Typing(..), None) => Vec::new(),
    };
    let told = told(review, width, if low { 2 } else { 3 });
    let keys = keys(review, width);
    let foot = match (low, told.is_empty()) {
        (true, false) => told,
        (true, true) => vec![keys],
        (false, _) => told.into_iter().chain([keys]).collect(),
    };
    if !low {
        rows.push(rule("", width));
    }
    let between = usize::from(!low);
    let room = height.saturating_sub(rows.len() + foot.len() + between).max(1);
    let from = review.scroll.min(body.len().saturating_sub(room));
    let to = (from + room).min(body.len());
    if low
        && to - from < body.len()
        && let Some(first) = rows.first_mut()
    {
        let place = format!("   lines {}-{to}/{}", from + 1, body.len());
        let used: usize = first.iter().map(|piece| visible::width(&piece.text)).sum();
        if used + visible::width(&place) <= width {
            first.push(span(DIM, place));
        }
    }
    rows.extend(body[from..to].iter().map(|line| marked(line, &review.search, review.colour)));
    rows.resize_with(height.saturating_sub(foot.len() + between).max(rows.len()), Vec::new);
    if !low {
        rows.push(rule(&position(review, &body, from, to), width));
    }
    rows.extend(foot);
    Frame { rows, body, room }
}

fn head(review: &Review, width: usize) -> Vec<Line> {
    let (at, all) = (review.at + 1, review.shown.len());
    let left = review.count(&Status::Waiting) + review.count(&Status::Skipped);
    let mut counts = format!("{left} left");
    for (status, word) in
        [(Status::Skipped, "skipped"), (Status::Accepted, "accepted"), (Status::Rejected, "rejected"), (Status::Gone, "decided elsewhere")]
    {
        match review.count(&status) {
            0 => {}
            count => counts.push_str(&format!(", {count} {word}")),
        }
    }
    let filter = match review.filter.text() {
        "" => String::new(),
        text => format!("   filter: {}", visible::brief(text, 60)),
    };
    let first = vec![
        span(BOLD, "review "),
        span(BOLD, if all == 0 { "0 of 0".to_owned() } else { format!("{at} of {all}") }),
        span(DIM, format!("   {counts}")),
        span(NAME, filter),
    ];
    let Some(entry) = review.current() else { return vec![fitted(first, width)] };
    let style = match entry.item.kind {
        Kind::Changed => ODD,
        Kind::New => GOOD,
        Kind::Orphaned | Kind::Unreadable => BAD,
    };
    let kind = entry.item.kind.as_str().to_uppercase();
    let mut second = vec![span(style.bold(), kind), span(PLAIN, " ")];
    if let Some((word, style)) = badge(&entry.status) {
        second.push(span(style.bold(), format!("{word} ")));
    }
    let used: usize = second.iter().map(|piece| visible::width(&piece.text)).sum();
    second.push(span(BOLD, address(&entry.item, width.saturating_sub(used))));
    vec![fitted(first, width), fitted(second, width)]
}

/// As much of the address as there is room for; the case is what a person looks for.
fn address(item: &Item, room: usize) -> String {
    let whole = visible::name(&item.address);
    let below = whole.split_once("::").map_or(&*whole, |(_, below)| below);
    let case = visible::name(&item.case);
    let fits = [&*whole, below, &*case].into_iter().find(|text| !text.is_empty() && visible::width(text) <= room);
    fits.map_or_else(|| visible::fitted(&whole, room).into_owned(), str::to_owned)
}

fn badge(status: &Status) -> Option<(&'static str, Style)> {
    match status {
        Status::Waiting => None,
        Status::Skipped => Some(("skipped", DIM)),
        Status::Accepted => Some(("ACCEPTED", GOOD)),
        Status::Rejected => Some(("REJECTED", BAD)),
        Status::Gone => Some(("GONE", ODD)),
    }
}

/// A line that may be too long, cut at its end.
fn fitted(line: Line, width: usize) -> Line {
    let mut left = width;
    let mut kept = Vec::new();
    for piece in line {
        let columns = visible::width(&piece.text);
        if columns <= left {
            left -= columns;
            kept.push(piece);
        } else {
            let text = visible::fitted(&piece.text, left).into_owned();
            kept.push(span(piece.style, text));
            break;
        }
    }
    kept
}

fn rule(title: &str, width: usize) -> Line {
    let title = if title.is_empty() { String::new() } else { visible::fitted(&format!("── {title} "), width).into_owned() };
    let rest = width.saturating_sub(visible::width(&title));
    vec![span(DIM, format!("{title}{}", "─".repeat(rest)))]
}

fn position(review: &Review, body: &[Line], from: usize, to: usize) -> String {
    let mut parts = Vec::new();
    if to - from < body.len() {
        parts.push(format!("lines {}-{to} of {}", from + 1, body.len()));
    }
    if !review.search.is_empty() {
        let hits = body::hits(body, &review.search).len();
        parts.push(format!("`{}` in {hits} of them", visible::brief(&review.search, 40)));
    }
    parts.join(", ")
}

/// What is known of an output, and below it the output itself.
fn content(review: &Review, entry: &Entry, width: usize) -> Vec<Line> {
    let item = &entry.item;
    let mut lines = Vec::new();
    let mut say = |style: Style, text: String| wrapped(span(PLAIN, ""), &[span(style, text)], width, &mut lines);
    let simulated = match item.simulated {
        Some(true) => "simulated",
        Some(false) | None => "",
    };
    let versions = match &item.prompt {
        Some(change) if change.from == change.to => format!("{}, whose text changed since (`P` shows how)", item.versions),
        Some(_) => format!("{} (`P` shows the change)", item.versions),
        None => item.versions.clone(),
    };
    let facts = [item.place.as_deref().unwrap_or_default(), &versions, simulated];
    let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).map(visible::name).collect();
    if !facts.is_empty() {
        say(DIM, facts.join(", "));
    }
    match &item.judged {
        Judged::Unknown(why) if item.kind == Kind::Orphaned => say(ODD, why.clone()),
        Judged::Unknown(why) => say(DIM, format!("assertions: {why}")),
        Judged::Cell { verdict, failing, holding } => {
            let (word, style) = match verdict {
                Verdict::Pass => ("passes", GOOD),
                Verdict::Fail => ("fails", BAD),
                Verdict::Error | Verdict::Skipped => ("no verdict", ODD),
            };
            for line in failing {
                say(style, format!("{word}: {}", visible::one_line(&line.said)));
            }
            match (failing.is_empty(), holding.is_empty()) {
                (true, true) => say(style, format!("{word}: nothing was asserted of it")),
                (true, false) => say(style, format!("{word}: {}", holding.join(", "))),
                (false, false) => say(DIM, format!("holds: {}", holding.join(", "))),
                (false, true) => {}
            }
        }
    }
    if let Some(told) = item.not_shown(review.is_side_by_side()) {
        say(ODD, format!("{told}, `w` shows the whole outputs; `a` asks again"));
    }
    let alike = review.alike();
    if alike.len() > 1 {
        let is_more = alike.iter().any(|index| review.entries[*index].item.is_more_than_shown());
        let but = if is_more { ", but for values that `snapshot.ignore` leaves out" } else { "" };
        say(NAME, format!("{} outputs share this change{but}: `A` accepts, `R` rejects all of them", alike.len()));
    }
    lines.push(Vec::new());
    let side_by_side = review.is_side_by_side();
    let layout = Layout { width, side_by_side, shown_as: review.shown_as, colour: review.colour };
    lines.extend(review.laid_out(layout).iter().cloned());
    lines
}

/// What was done last, or what is being typed.
fn told(review: &Review, width: usize, most: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Mode::Typing(what, text) = &review.mode {
        let of = review.current().and_then(|entry| entry.item.nearest).map_or(0, |nearest| nearest.of);
        let (short, label) = match what {
            Typing::Search => ("search: ", "search: ".to_owned()),
            Typing::Filter => ("filter: ", "filter (glob, suite:, case:, model:, state:): ".to_owned()),
            Typing::Variant => ("replace: ", format!("replace which of the {of} variants (Enter does it, Esc does not): ")),
        };
        let text = visible::one_line(text);
        let label = if label.len() + 12 > width { short.to_owned() } else { label };
        // The end of a long text is what is being typed.
        let room = width.saturating_sub(label.len() + 1);
        let end = text.char_indices().rev().map(|(at, _)| &text[at..]).take_while(|end| visible::width(end) <= room).last().unwrap_or("");
        return vec![vec![span(NAME, label), span(BOLD, format!("{end}_"))]];
    }
    if let Some((tone, message)) = &review.message {
        let style = match tone {
            Tone::Good => GOOD,
            Tone::Odd => ODD,
        };
        wrapped(span(PLAIN, ""), &[span(style, visible::one_line(message))], width, &mut lines);
        lines.truncate(most);
    }
    lines
}

/// The keys that matter now, as many as fit.
fn keys(review: &Review, width: usize) -> Line {
    if review.mode == Mode::Help {
        let keys = [("Esc", "back"), ("j k", "down, up"), ("Space b", "a page down, up")];
        let line = keys.iter().flat_map(|(key, does)| [span(BOLD, (*key).to_owned()), span(DIM, format!(" {does}  "))]);
        return fitted(line.collect(), width);
    }
    let searching = !review.search.is_empty();
    let mut keys: Vec<(&str, &str)> = vec![("a", "accept"), ("r", "reject"), ("s", "skip")];
    if review.alike().len() > 1 {
        keys.push(("A", "all alike"));
    }
    if let Some(entry) = review.current() {
        if entry.item.nearest.is_some() {
            keys.extend([("v", "add variant"), ("V", "replace one")]);
        }
        if entry.item.prompt.is_some() {
            keys.push(("P", if review.shown_as == ShownAs::Prompt { "output" } else { "prompt" }));
        }
    }
    keys.extend(if searching { [("n", "next match"), ("N", "previous match")] } else { [("n", "next"), ("p", "previous")] });
    if review.has_steps() {
        keys.push(("u", "undo"));
    }
    keys.push(("/", "search"));
    keys.push(("f", "filter"));
    if review.current().is_some_and(|entry| entry.item.kind == Kind::Changed) {
        keys.push(("d", if review.is_side_by_side() { "unified" } else { "side by side" }));
        keys.push(match review.shown_as {
            ShownAs::Difference => ("w", "whole output"),
            ShownAs::New => ("w", "accepted output"),
            ShownAs::Accepted | ShownAs::Prompt => ("w", "difference"),
        });
    }
    let always = [("?", "help"), ("q", "quit")];
    let columns = |(key, does): &(&str, &str)| key.len() + 1 + does.len() + 2;
    let mut room = width.saturating_sub(always.iter().map(columns).sum::<usize>());
    let mut line = Vec::new();
    for (index, (key, does)) in keys.iter().chain(&always).enumerate() {
        let needed = columns(&(key, does));
        let must = index >= keys.len();
        if !must && needed > room {
            // What stands further behind matters less, so it does not jump the queue.
            room = 0;
            continue;
        }
        room = room.saturating_sub(if must { 0 } else { needed });
        line.push(span(BOLD, (*key).to_owned()));
        line.push(span(DIM, format!(" {does}  ")));
    }
    fitted(line, width)
}

fn help(width: usize) -> Vec<Line> {
    let wide = format!("side by side or unified; side by side by itself from {WIDE} columns on");
    let rows: [(&str, &str); 21] = [
        ("a", "accept: the new output becomes the snapshot; an orphan is removed"),
        ("r", "reject: the new output goes away, the accepted one stays; an orphan stays"),
        ("v", "accept as a further variant, beside what is accepted (for `samples` above 1)"),
        ("V", "accept in place of one variant; it asks of which, the nearest is proposed"),
        ("s", "skip: decide later"),
        (
            "A  R",
            "accept, reject all that share the same change: the same words, or the same values at the same paths; ignored values may differ",
        ),
        ("u", "undo the last decision; every file is what it was"),
        ("n  p", "next, previous (also the arrows to the right and left)"),
        ("", ""),
        ("j  k", "down, up a line (also the arrows)"),
        ("Space  b", "down, up a page (also PageDown, PageUp)"),
        ("g  G", "to the first, last line (also Home, End)"),
        ("d", &wide),
        ("w", "the whole new output, the whole accepted one, the difference"),
        ("P", "what changed in the prompt itself since the accepted output, and back"),
        ("", ""),
        ("/", "search in this output: `n` and `N` go to the next and previous match, Esc ends it"),
        ("f", "filter: a glob as `accept` takes it, or suite:NAME case:NAME model:NAME state:STATE"),
        ("", "states: changed new orphaned unreadable waiting skipped accepted rejected passed failed simulated"),
        ("?", "this help; Esc goes back"),
        ("q", "quit (also Ctrl-C): whatever was decided is done, whatever was not waits for the next review"),
    ];
    let mut lines = Vec::new();
    wrapped(span(PLAIN, ""), &[span(BOLD, "Every decision is carried out at once.")], width, &mut lines);
    lines.push(Vec::new());
    for (key, does) in rows {
        wrapped(span(NAME, format!("{key:<10}")), &[span(PLAIN, does.to_owned())], width, &mut lines);
    }
    lines
}

/// A line whose matches stand out.
fn marked(line: &Line, search: &str, colour: bool) -> Line {
    let wanted = search.to_lowercase();
    if wanted.is_empty() || !colour || !plain(line).to_lowercase().contains(&wanted) {
        return line.clone();
    }
    line.iter().flat_map(|piece| in_piece(piece, &wanted)).collect()
}

fn in_piece(piece: &Span<'static>, wanted: &str) -> Vec<Span<'static>> {
    let text = piece.text.as_ref();
    let lower = text.to_lowercase();
    // Where lower case has other lengths, places do not fit, and nothing is marked.
    if lower.len() != text.len() {
        return vec![piece.clone()];
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(wanted) {
        let end = at + found.len();
        if !text.is_char_boundary(at) || !text.is_char_boundary(end) {
            continue;
        }
        pieces.push(span(piece.style, text[from..at].to_owned()));
        pieces.push(span(piece.style.invert(), text[at..end].to_owned()));
        from = end;
    }
    pieces.push(span(piece.style, text[from..].to_owned()));
    pieces
}
