//! Where does a review stand, and what comes of each decision?

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::report::figures;
use crate::review::body::{self, Layout, Line};
use crate::review::filter::Filter;
use crate::review::item::Item;

/// A key, whatever terminal it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    /// Everything that was typed goes.
    Clear,
    /// The last word of it.
    EraseWord,
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
    /// It takes the place of the variant with this number, from 1.
    ReplaceVariant(usize),
    /// It goes away; an orphan stays.
    Reject,
}

/// What a key asked for: of one item alone, or of all that share its change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) decision: Decision,
    pub(super) all: bool,
    /// Of this item.
    pub(super) at: usize,
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
    /// The number of the variant that goes.
    Variant,
}

/// What the keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    Browse,
    Help,
    Typing(Typing, String),
}

/// What of a changed output is on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownAs {
    Difference,
    /// The whole new output.
    New,
    /// The whole accepted output, all of its variants.
    Accepted,
    /// What changed in the prompt that gave it.
    Prompt,
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

/// The lines of an entry.
#[derive(Debug)]
struct Laid {
    index: usize,
    layout: Layout,
    lines: Rc<Vec<Line>>,
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
    pub(crate) shown_as: ShownAs,
    pub(crate) message: Option<(Tone, String)>,
    /// What the last key asked for, of an item that cannot be seen whole: the same key again means it.
    pub(super) asked: Option<Asked>,
    pub(crate) size: Size,
    pub(crate) colour: bool,
    /// Decisions that can be taken back, with the items of each.
    steps: Vec<Vec<usize>>,
    /// What was laid out last: most keys move on the same lines.
    laid: RefCell<Option<Laid>>,
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
            shown_as: ShownAs::Difference,
            message: None,
            asked: None,
            size,
            colour,
            steps: Vec::new(),
            laid: RefCell::default(),
            alike,
        }
    }

    /// Everything of the current output that can be scrolled, laid out once.
    pub(super) fn laid_out(&self, layout: Layout) -> Rc<Vec<Line>> {
        let Some((&index, entry)) = self.shown.get(self.at).zip(self.current()) else { return Rc::default() };
        let mut laid = self.laid.borrow_mut();
        match &*laid {
            Some(last) if last.index == index && last.layout == layout => Rc::clone(&last.lines),
            Some(_) | None => {
                let lines = Rc::new(body::lines(&entry.item, layout));
                *laid = Some(Laid { index, layout, lines: Rc::clone(&lines) });
                lines
            }
        }
    }

    pub(crate) fn current(&self) -> Option<&Entry> {
        self.entries.get(*self.shown.get(self.at)?)
    }

    /// Whether the difference stands side by side.
    pub(crate) fn is_side_by_side(&self) -> bool {
        self.side_by_side.unwrap_or(self.size.width >= WIDE)
    }

    /// Items that wait, that the filter shows and that share the current one's change, itself included.
    pub(crate) fn alike(&self) -> Vec<usize> {
        let Some(&current) = self.shown.get(self.at) else { return Vec::new() };
        let same = self.entries[current].item.change.as_ref().and_then(|change| self.alike.get(change));
        // What was put aside for later is not decided by the way.
        let open = |index: &usize| {
            let waits = self.entries[*index].status == Status::Waiting;
            (waits || (*index == current && self.is_open(current))) && self.shown.binary_search(index).is_ok()
        };
        match same {
            Some(same) => same.iter().copied().filter(open).collect(),
            None => Some(current).filter(|index| self.is_open(*index)).into_iter().collect(),
        }
    }

    /// Shows another one, from its first line on.
    pub(super) fn turn_to(&mut self, place: usize) {
        self.at = place;
        self.scroll = 0;
        if self.shown_as == ShownAs::Prompt {
            self.shown_as = ShownAs::Difference;
        }
    }

    pub(super) const fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    pub(crate) fn count(&self, status: &Status) -> usize {
        self.entries.iter().filter(|entry| entry.status == *status).count()
    }

    pub(super) fn is_open(&self, index: usize) -> bool {
        matches!(self.entries[index].status, Status::Waiting | Status::Skipped)
    }

    pub(crate) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    pub(crate) fn tell(&mut self, tone: Tone, message: impl Into<String>) {
        self.message = Some((tone, message.into()));
    }

    /// To the next item that waits, around the end; where none does, it says so.
    pub(super) fn advance(&mut self) {
        let all = self.shown.len();
        let waits = |place: &usize| self.entries[self.shown[*place]].status == Status::Waiting;
        let next = (1..=all).map(|by| (self.at + by) % all).find(waits);
        match next {
            Some(next) => {
                self.turn_to(next);
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
        let count = done.len();
        let word = self.word(decision, &done);
        if count > 0 {
            self.steps.push(done);
            let them = if count == 1 { "it" } else { "them" };
            self.tell(Tone::Good, format!("{word}, `u` takes {them} back"));
        }
        let moves = count + gone > 0;
        if let Some(told) = told {
            let done = if count > 0 { format!("{word}; ") } else { String::new() };
            self.tell(Tone::Odd, format!("{done}{told}"));
        }
        let stays = self.shown.get(self.at).is_some_and(|current| self.is_open(*current));
        if moves && !stays {
            self.advance();
        }
    }

    /// What was done, with its number: `accepted 4 outputs`, `accepted as 2 further variants`.
    fn word(&self, decision: Decision, done: &[usize]) -> String {
        let outputs = figures::counted(done.len() as u64, "output", "outputs");
        match decision {
            Decision::Accept => format!("accepted {outputs}"),
            Decision::Reject => format!("rejected {outputs}"),
            Decision::ReplaceVariant(number) => format!("accepted in place of variant {number}"),
            Decision::Add => {
                let further = |index: &usize| {
                    let variants = self.entries[*index].item.variants;
                    variants.added.saturating_sub(variants.accepted)
                };
                match done.iter().map(further).sum() {
                    0 | 1 => "accepted as a further variant".to_owned(),
                    many => format!("accepted as {many} further variants"),
                }
            }
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
        self.laid.take();
        self.turn_to(self.at);
    }

    /// What came of an undo. A step that cannot be taken back is forgotten, so that the one before it can.
    /// `Ok` has the prompt versions that stay noted, because outputs rely on them that somebody else accepted.
    pub(crate) fn undone(&mut self, result: Result<&[String], String>) {
        let Some(step) = self.steps.pop() else { return };
        match result {
            Ok(stay) => {
                for index in &step {
                    self.entries[*index].status = Status::Waiting;
                }
                if let Some(place) = step.first().and_then(|first| self.shown.iter().position(|index| index == first)) {
                    self.turn_to(place);
                }
                let took = format!("took back {}", figures::counted(step.len() as u64, "decision", "decisions"));
                if stay.is_empty() {
                    self.tell(Tone::Good, format!("{took}: every file is what it was"));
                } else {
                    let versions = stay.iter().map(|version| format!("`{version}`")).collect::<Vec<_>>().join(", ");
                    let why = "an output that somebody else accepted meanwhile relies on it";
                    self.tell(Tone::Good, format!("{took}; {versions} stays noted in prompts.toml: {why}"));
                }
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
