//! What does each key do to a review?

use crate::review::body::{self, Line};
use crate::review::filter::Filter;
use crate::review::item::Kind;
use crate::review::state::{Asked, Decision, Effect, Key, Mode, Review, ShownAs, Status, Tone, Typing};

const DECIDED: &str = "this one is decided: `u` takes the last decision back, `n` goes on";

impl Review {
    /// What a key does. `body` and `room` are what was on the screen when it was pressed: all lines, and how many of them are seen.
    pub(crate) fn press(&mut self, key: Key, body: &[Line], room: usize) -> Effect {
        self.message = None;
        let asked = self.asked.take();
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
                let effect = self.typed(key, what, text, body, room);
                self.insisted(effect, false, asked)
            }
            Mode::Browse => {
                let effect = self.browsed(key, body, room);
                self.insisted(effect, key == Key::Char('A'), asked)
            }
        }
    }

    /// What cannot be seen whole is accepted at the second asking.
    fn insisted(&mut self, effect: Effect, all: bool, asked: Option<Asked>) -> Effect {
        let Effect::Decide(decision, _) = &effect else { return effect };
        let key = match decision {
            Decision::Accept if all => "A",
            Decision::Accept => "a",
            Decision::Add => "v",
            Decision::ReplaceVariant(_) => "V",
            Decision::Reject => return effect,
        };
        let Some((entry, at)) = self.current().zip(self.shown.get(self.at).copied()) else { return effect };
        let now = Some(Asked { decision: *decision, all, at });
        match entry.item.not_shown(self.is_side_by_side()) {
            Some(told) if asked != now => {
                self.asked = now;
                self.tell(
                    Tone::Odd,
                    format!("nothing was decided: {}; `{key}` again accepts it all the same", told.trim_start_matches("… ")),
                );
                Effect::None
            }
            Some(_) | None => effect,
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
            Key::Char('v' | 'V') if self.current().is_some_and(|entry| entry.item.kind != Kind::Changed) => {
                self.tell(Tone::Odd, "there is no accepted output beside which it could stand: `a` accepts it");
            }
            Key::Char('v') => return self.decide(Decision::Add, false),
            Key::Char('V') => self.ask_for_variant(),
            Key::Char('s') => self.skip(),
            Key::Char('u') if !self.has_steps() => self.tell(Tone::Odd, "nothing was decided yet that could be taken back"),
            Key::Char('u') => return Effect::Undo,
            Key::Char('q') => return Effect::Quit,
            Key::Char('n') if !self.search.is_empty() => self.next_match(body, room, true),
            Key::Char('N') if !self.search.is_empty() => self.next_match(body, room, false),
            Key::Enter if !self.search.is_empty() => self.next_match(body, room, true),
            Key::Char('n') | Key::Right => self.step(true),
            Key::Char('p') | Key::Left => self.step(false),
            Key::Char('d') => {
                if self.shown_as != ShownAs::Prompt {
                    self.shown_as = ShownAs::Difference;
                }
                self.side_by_side = Some(!self.is_side_by_side());
                self.scroll = 0;
            }
            Key::Char('w') => {
                self.shown_as = match self.shown_as {
                    ShownAs::Difference => ShownAs::New,
                    ShownAs::New => ShownAs::Accepted,
                    ShownAs::Accepted | ShownAs::Prompt => ShownAs::Difference,
                };
                self.scroll = 0;
            }
            Key::Char('P') if self.shown_as == ShownAs::Prompt => self.leave_prompt(),
            Key::Escape if self.shown_as == ShownAs::Prompt => self.leave_prompt(),
            Key::Char('P') if self.current().is_some_and(|entry| entry.item.prompt.is_some()) => {
                self.shown_as = ShownAs::Prompt;
                self.scroll = 0;
            }
            Key::Char('P') => self.tell(Tone::Odd, "the prompt is what it was when the accepted output was, or its text then is not known"),
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

    fn typed(&mut self, key: Key, what: Typing, mut text: String, body: &[Line], room: usize) -> Effect {
        match key {
            Key::Escape => return Effect::None,
            Key::Enter => {
                match what {
                    Typing::Search => {
                        self.search = text;
                        if !self.search.is_empty() {
                            self.first_match(body, room);
                        }
                    }
                    Typing::Filter => self.apply(&text),
                    Typing::Variant => return self.replace_variant(&text),
                }
                return Effect::None;
            }
            Key::Backspace if text.is_empty() => return Effect::None,
            Key::Backspace => drop(text.pop()),
            Key::Clear => text.clear(),
            Key::EraseWord => {
                let before = text.trim_end();
                text.truncate(before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8)));
            }
            Key::Char(typed) => text.push(typed),
            _ => {}
        }
        self.mode = Mode::Typing(what, text);
        Effect::None
    }

    fn leave_prompt(&mut self) {
        self.shown_as = ShownAs::Difference;
        self.scroll = 0;
    }

    /// The nearest variant is what most people mean; it stands there to be confirmed.
    fn ask_for_variant(&mut self) {
        let Some(entry) = self.current() else { return };
        match (matches!(entry.status, Status::Waiting | Status::Skipped), entry.item.nearest) {
            (false, _) => self.tell(Tone::Odd, DECIDED),
            (true, Some(nearest)) => self.mode = Mode::Typing(Typing::Variant, nearest.number.to_string()),
            (true, None) => self.tell(Tone::Odd, "one output is accepted: `a` replaces it, `v` keeps both"),
        }
    }

    fn replace_variant(&mut self, typed: &str) -> Effect {
        let Some(nearest) = self.current().and_then(|entry| entry.item.nearest) else { return Effect::None };
        match typed.trim().parse::<usize>() {
            Ok(number @ 1..) if number <= nearest.of => self.decide(Decision::ReplaceVariant(number), false),
            _ => {
                self.tell(Tone::Odd, format!("`{}` is no variant: they are numbered from 1 to {}", typed.trim(), nearest.of));
                Effect::None
            }
        }
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
        let place = shown.iter().position(|index| *index >= current).unwrap_or(0);
        self.shown = shown;
        self.filter = filter;
        self.turn_to(place);
    }

    fn step(&mut self, forward: bool) {
        let to = if forward { self.at + 1 } else { self.at.wrapping_sub(1) };
        if to < self.shown.len() {
            self.turn_to(to);
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

    fn decide(&mut self, decision: Decision, all: bool) -> Effect {
        let Some(&current) = self.shown.get(self.at) else { return Effect::None };
        if !self.is_open(current) {
            self.tell(Tone::Odd, DECIDED);
            return Effect::None;
        }
        Effect::Decide(decision, if all { self.alike() } else { vec![current] })
    }
}
