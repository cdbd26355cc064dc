//! Where does a review stand, and what does each key do to it?

use std::collections::HashMap;

use crate::review::body::{self, Line};
use crate::review::filter::Filter;
use crate::review::item::{Item, Kind};

/// A key, whatever terminal it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// What a person decides about an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It becomes the snapshot; an orphan is removed.
    Accept,
    /// It becomes a further variant of what is accepted.
    Add,
    /// It goes away; an orphan stays.
    Reject,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// Carry it out for these items and tell [`Review::carried_out`].
    Decide(Decision, Vec<usize>),
    /// Take the last step back and tell [`Review::undone`].
    Undo,
    Quit,
}

/// How an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Waiting,
    Skipped,
    Accepted,
    Rejected,
    /// Somebody else decided about it.
    Gone,
}

/// What came of one item that was to be decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is carried out; what is to be known about it.
    Done(Option<String>),
    /// It is not there any more.
    Gone,
    /// It is another one now; this is it.
    Anew(Box<Item>),
    /// Why not, and the next step.
    Refused(String),
}

/// How the last thing went that is told in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Odd,
}

/// What is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    Search,
    Filter,
}

/// What the keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    Browse,
    Help,
    Typing(Typing, String),
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// From so many columns on two outputs stand well side by side.
pub(crate) const WIDE: usize = 140;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) item: Item,
    pub(crate) status: Status,
}

/// A review in its course.
#[derive(Debug)]
pub(crate) struct Review {
    pub(crate) entries: Vec<Entry>,
    /// Entries that the filter lets through.
    pub(crate) shown: Vec<usize>,
    /// Place in `shown`.
    pub(crate) at: usize,
    pub(crate) mode: Mode,
    pub(crate) filter: Filter,
    pub(crate) search: String,
    pub(crate) scroll: usize,
    /// `None`: as the width allows.
    pub(crate) side_by_side: Option<bool>,
    /// The whole output instead of the difference.
    pub(crate) whole: bool,
    pub(crate) message: Option<(Tone, String)>,
    pub(crate) size: Size,
    pub(crate) colour: bool,
    /// Decisions that can be taken back, with the items of each.
    steps: Vec<Vec<usize>>,
    /// How many items share each change.
    alike: HashMap<String, Vec<usize>>,
}

impl Review {
    pub(crate) fn new(items: Vec<Item>, size: Size, colour: bool) -> Self {
        let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(change) = &item.change {
                alike.entry(change.clone()).or_default().push(index);
            }
        }
        Self {
            shown: (0..items.len()).collect(),
            entries: items.into_iter().map(|item| Entry { item, status: Status::Waiting }).collect(),
            at: 0,
            mode: Mode::Browse,
            filter: Filter::default(),
            search: String::new(),
            scroll: 0,
            side_by_side: None,
            whole: false,
            message: None,
            size,
            colour,
            steps: Vec::new(),
            alike,
        }
    }

    pub(crate) fn current(&self) -> Option<&Entry> {
        self.entries.get(*self.shown.get(self.at)?)
    }

    /// Whether the difference stands side by side.
    pub(crate) fn is_side_by_side(&self) -> bool {
        self.side_by_side.unwrap_or(self.size.width >= WIDE)
    }

    /// Undecided items that the filter shows and that share the current one's change, itself included.
    pub(crate) fn alike(&self) -> Vec<usize> {
        let Some(&current) = self.shown.get(self.at) else { return Vec::new() };
        let same = self.entries[current].item.change.as_ref().and_then(|change| self.alike.get(change));
        let open = |index: &usize| self.is_open(*index) && self.shown.binary_search(index).is_ok();
        match same {
            Some(same) => same.iter().copied().filter(open).collect(),
            None => Some(current).filter(|index| self.is_open(*index)).into_iter().collect(),
        }
    }

    pub(crate) fn count(&self, status: &Status) -> usize {
        self.entries.iter().filter(|entry| entry.status == *status).count()
    }

    fn is_open(&self, index: usize) -> bool {
        matches!(self.entries[index].status, Status::Waiting | Status::Skipped)
    }

    pub(crate) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    pub(crate) fn tell(&mut self, tone: Tone, message: impl Into<String>) {
        self.message = Some((tone, message.into()));
    }

    /// What a key does. `body` and `room` are what was on the screen when it was pressed: all lines, and how many of them are seen.
    pub(crate) fn press(&mut self, key: Key, body: &[Line], room: usize) -> Effect {
        self.message = None;
        match std::mem::replace(&mut self.mode, Mode::Browse) {
            Mode::Help => {
                match key {
                    Key::Escape | Key::Enter | Key::Char('?' | 'q') => self.scroll = 0,
                    _ => {
                        self.mode = Mode::Help;
                        self.scrolled(key, body, room);
                    }
                }
                Effect::None
            }
            Mode::Typing(what, text) => {
                self.typed(key, what, text, body, room);
                Effect::None
            }
            Mode::Browse => self.browsed(key, body, room),
        }
    }

    fn browsed(&mut self, key: Key, body: &[Line], room: usize) -> Effect {
        if self.scrolled(key, body, room) {
            return Effect::None;
        }
        match key {
            Key::Char('a') => return self.decide(Decision::Accept, false),
            Key::Char('A') => return self.decide(Decision::Accept, true),
            Key::Char('r') => return self.decide(Decision::Reject, false),
            Key::Char('R') => return self.decide(Decision::Reject, true),
            Key::Char('v') if self.current().is_some_and(|entry| entry.item.kind != Kind::Changed) => {
                self.tell(Tone::Odd, "there is no accepted output beside which it could stand: `a` accepts it");
            }
            Key::Char('v') => return self.decide(Decision::Add, false),
            Key::Char('s') => self.skip(),
            Key::Char('u') if self.steps.is_empty() => self.tell(Tone::Odd, "nothing was decided yet that could be taken back"),
            Key::Char('u') => return Effect::Undo,
            Key::Char('q') => return Effect::Quit,
            Key::Char('n') if !self.search.is_empty() => self.next_match(body, room, true),
            Key::Char('N') if !self.search.is_empty() => self.next_match(body, room, false),
            Key::Enter if !self.search.is_empty() => self.next_match(body, room, true),
            Key::Char('n') | Key::Right => self.step(true),
            Key::Char('p') | Key::Left => self.step(false),
            Key::Char('d') => {
                self.whole = false;
                self.side_by_side = Some(!self.is_side_by_side());
                self.scroll = 0;
            }
            Key::Char('w') => {
                self.whole = !self.whole;
                self.scroll = 0;
            }
            Key::Char('/') => self.mode = Mode::Typing(Typing::Search, String::new()),
            Key::Char('f') => self.mode = Mode::Typing(Typing::Filter, self.filter.text().to_owned()),
            Key::Char('?') => {
                self.mode = Mode::Help;
                self.scroll = 0;
            }
            Key::Escape if !self.search.is_empty() => self.search.clear(),
            Key::Escape if !self.filter.text().is_empty() => self.apply(""),
            Key::Char(other) if !other.is_whitespace() => self.tell(Tone::Odd, format!("`{other}` does nothing here; `?` lists the keys")),
            _ => {}
        }
        Effect::None
    }

    /// Whether it was a key that scrolls.
    fn scrolled(&mut self, key: Key, body: &[Line], room: usize) -> bool {
        let last = body.len().saturating_sub(room);
        let page = room.saturating_sub(1).max(1);
        let from = self.scroll.min(last);
        self.scroll = match key {
            Key::Up | Key::Char('k') => from.saturating_sub(1),
            Key::Down | Key::Char('j') => from + 1,
            Key::PageUp | Key::Char('b') => from.saturating_sub(page),
            Key::PageDown | Key::Char(' ') => from + page,
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            _ => return false,
        }
        .min(last);
        true
    }

    fn typed(&mut self, key: Key, what: Typing, mut text: String, body: &[Line], room: usize) {
        match key {
            Key::Escape => return,
            Key::Enter => {
                match what {
                    Typing::Search => {
                        self.search = text;
                        if !self.search.is_empty() {
                            self.first_match(body, room);
                        }
                    }
                    Typing::Filter => self.apply(&text),
                }
                return;
            }
            Key::Backspace if text.is_empty() => return,
            Key::Backspace => drop(text.pop()),
            Key::Char(typed) => text.push(typed),
            _ => {}
        }
        self.mode = Mode::Typing(what, text);
    }

    fn first_match(&mut self, body: &[Line], room: usize) {
        let hits = body::hits(body, &self.search);
        match hits.iter().find(|line| **line >= self.scroll).or(hits.first()) {
            Some(line) => self.reach(*line, body, room),
            None => self.tell(Tone::Odd, format!("`{}` is not in this output", self.search)),
        }
    }

    fn next_match(&mut self, body: &[Line], room: usize, forward: bool) {
        let hits = body::hits(body, &self.search);
        let from = self.scroll.min(body.len().saturating_sub(room));
        // The last match may not be able to stand in the first row.
        let reachable = |line: usize| line.min(body.len().saturating_sub(room));
        let next = if forward {
            hits.iter().find(|line| reachable(**line) > from).or(hits.first())
        } else {
            hits.iter().rev().find(|line| reachable(**line) < from).or(hits.last())
        };
        match next {
            Some(line) => self.reach(*line, body, room),
            None => self.tell(Tone::Odd, format!("`{}` is not in this output", self.search)),
        }
    }

    fn reach(&mut self, line: usize, body: &[Line], room: usize) {
        self.scroll = line.min(body.len().saturating_sub(room));
    }

    fn apply(&mut self, text: &str) {
        let filter = match Filter::parse(text) {
            Ok(filter) => filter,
            Err(wrong) => return self.tell(Tone::Odd, wrong),
        };
        let shown: Vec<usize> =
            (0..self.entries.len()).filter(|index| filter.matches(&self.entries[*index].item, &self.entries[*index].status)).collect();
        if shown.is_empty() {
            return self.tell(Tone::Odd, format!("`{}` fits none of the {} outputs", filter.text(), self.entries.len()));
        }
        let current = self.shown.get(self.at).copied().unwrap_or(0);
        self.at = shown.iter().position(|index| *index >= current).unwrap_or(0);
        self.shown = shown;
        self.filter = filter;
        self.scroll = 0;
    }

    fn step(&mut self, forward: bool) {
        let to = if forward { self.at + 1 } else { self.at.wrapping_sub(1) };
        if to < self.shown.len() {
            self.at = to;
            self.scroll = 0;
        } else {
            self.tell(Tone::Odd, if forward { "this is the last one" } else { "this is the first one" });
        }
    }

    fn skip(&mut self) {
        if let Some(&current) = self.shown.get(self.at)
            && self.is_open(current)
        {
            self.entries[current].status = Status::Skipped;
        }
        self.advance();
    }

    /// To the next item that waits, around the end; where none does, it says so.
    fn advance(&mut self) {
        let all = self.shown.len();
        let waits = |place: &usize| self.entries[self.shown[*place]].status == Status::Waiting;
        let next = (1..=all).map(|by| (self.at + by) % all).find(waits);
        match next {
            Some(next) => {
                self.at = next;
                self.scroll = 0;
            }
            None => {
                let skipped = self.shown.iter().filter(|index| self.entries[**index].status == Status::Skipped).count();
                let told = self.message.take().map(|(_, told)| format!("{told}; ")).unwrap_or_default();
                let left = if skipped == 0 { "nothing is left".to_owned() } else { format!("only {skipped} skipped are left") };
                let wider = if self.filter.text().is_empty() { "`q` quits" } else { "`Esc` takes the filter away" };
                self.tell(Tone::Good, format!("{told}{left}: {wider}"));
            }
        }
    }

    fn decide(&mut self, decision: Decision, all: bool) -> Effect {
        let Some(&current) = self.shown.get(self.at) else { return Effect::None };
        if !self.is_open(current) {
            self.tell(Tone::Odd, "this one is decided: `u` takes the last decision back, `n` goes on");
            return Effect::None;
        }
        Effect::Decide(decision, if all { self.alike() } else { vec![current] })
    }

    /// What came of a decision, item by item.
    pub(crate) fn carried_out(&mut self, decision: Decision, outcomes: Vec<(usize, Outcome)>) {
        let (mut done, mut gone, mut told) = (Vec::new(), 0, None);
        for (index, outcome) in outcomes {
            match outcome {
                Outcome::Done(warning) => {
                    told = warning.or(told);
                    self.entries[index].status = if decision == Decision::Reject { Status::Rejected } else { Status::Accepted };
                    done.push(index);
                }
                Outcome::Gone => {
                    self.entries[index].status = Status::Gone;
                    gone += 1;
                    told = Some("it was accepted or rejected meanwhile, by somebody else".to_owned());
                }
                Outcome::Anew(item) => {
                    self.replace(index, *item);
                    told = Some("it was written anew meanwhile, so nothing was decided: look again".to_owned());
                }
                Outcome::Refused(why) => told = Some(why),
            }
        }
        let word = match decision {
            Decision::Accept => "accepted",
            Decision::Add => "accepted as variants",
            Decision::Reject => "rejected",
        };
        let count = done.len();
        if count > 0 {
            self.steps.push(done);
            self.tell(Tone::Good, format!("{word} {count}, `u` takes it back"));
        }
        let moves = count + gone > 0;
        if let Some(told) = told {
            let done = if count > 0 { format!("{word} {count}; ") } else { String::new() };
            self.tell(Tone::Odd, format!("{done}{told}"));
        }
        let stays = self.shown.get(self.at).is_some_and(|current| self.is_open(*current));
        if moves && !stays {
            self.advance();
        }
    }

    fn replace(&mut self, index: usize, item: Item) {
        if let Some(same) = self.entries[index].item.change.as_ref().and_then(|change| self.alike.get_mut(change)) {
            same.retain(|other| *other != index);
        }
        if let Some(change) = &item.change {
            let same = self.alike.entry(change.clone()).or_default();
            same.push(index);
            same.sort_unstable();
        }
        self.entries[index] = Entry { item, status: Status::Waiting };
        self.scroll = 0;
    }

    /// What came of an undo. A step that cannot be taken back is forgotten, so that the one before it can.
    pub(crate) fn undone(&mut self, result: Result<(), String>) {
        let Some(step) = self.steps.pop() else { return };
        match result {
            Ok(()) => {
                for index in &step {
                    self.entries[*index].status = Status::Waiting;
                }
                if let Some(place) = step.first().and_then(|first| self.shown.iter().position(|index| index == first)) {
                    self.at = place;
                    self.scroll = 0;
                }
                self.tell(Tone::Good, format!("took back {}: every file is what it was", counted(step.len(), "decision")));
            }
            Err(why) => self.tell(Tone::Odd, format!("it cannot be taken back: {why}")),
        }
    }

    /// What a review came to, in one line.
    pub(crate) fn summary(&self) -> String {
        let (accepted, rejected) = (self.count(&Status::Accepted), self.count(&Status::Rejected));
        let mut summary = format!("{accepted} accepted, {rejected} rejected");
        let gone = self.count(&Status::Gone);
        if gone > 0 {
            summary.push_str(&format!(", {gone} decided elsewhere"));
        }
        let left = self.count(&Status::Waiting) + self.count(&Status::Skipped);
        match left {
            0 => summary.push_str("; nothing is left"),
            1 => summary.push_str("; 1 is left: `promptkeel review` goes on"),
            _ => summary.push_str(&format!("; {left} are left: `promptkeel review` goes on")),
        }
        summary
    }
}

/// `1 decision`, `2 decisions`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
