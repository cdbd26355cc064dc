//! Which compiled patterns are kept, so that all of a run's together stay within a bound?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of all compiled patterns of a run together, by the sizes that [`Held::engine`] is told. What is beyond is compiled again when it
/// is needed: ordinary patterns take some ten thousand bytes, and one such as `\w{100}` six million. All large ones of a project that was
/// loaded have room.
const MOST: usize = super::work::MOST;

/// A pattern in the form in which it searches.
#[derive(Debug)]
pub(super) enum Engine {
    /// What the `regex` crate is made of.
    Linear(regex_automata::meta::Regex),
    /// With a limit of steps back.
    Bounded(fancy_regex::Regex),
}

/// Of which pattern, and with which limit of steps back.
pub(super) type Key = (u64, usize);

/// The compiled patterns that were used last.
#[derive(Debug)]
pub(super) struct Held {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    engines: HashMap<Key, Entry>,
    /// Of all that are held.
    bytes: usize,
    /// Counts uses.
    now: u64,
    patterns: u64,
}

#[derive(Debug)]
struct Entry {
    engine: Arc<Engine>,
    bytes: usize,
    used: u64,
}

impl Default for Held {
    fn default() -> Self {
        Self::up_to(MOST)
    }
}

impl Held {
    pub(super) fn up_to(most: usize) -> Self {
        Self { most, inner: Mutex::default() }
    }

    /// A number for a pattern, which no other has here.
    pub(super) fn number(&self) -> u64 {
        self.within(|inner| {
            inner.patterns += 1;
            inner.patterns
        })
    }

    /// The engine that is held, or one that is compiled and takes so many bytes at the most.
    pub(super) fn engine<E>(&self, key: Key, bytes: usize, compile: impl FnOnce() -> Result<Engine, E>) -> Result<Arc<Engine>, E> {
        let held = self.within(|inner| {
            inner.now += 1;
            let now = inner.now;
            inner.engines.get_mut(&key).map(|entry| {
                entry.used = now;
                Arc::clone(&entry.engine)
            })
        });
        // Compiled without the lock: twice is better than waiting.
        held.map_or_else(|| compile().map(|engine| self.hold(key, bytes, engine)), Ok)
    }

    /// Takes an engine in, and lets go of those that were not used for longest.
    pub(super) fn hold(&self, key: Key, bytes: usize, engine: Engine) -> Arc<Engine> {
        let engine = Arc::new(engine);
        self.within(|inner| {
            inner.now += 1;
            let entry = Entry { engine: Arc::clone(&engine), bytes, used: inner.now };
            inner.bytes += bytes;
            inner.bytes -= inner.engines.insert(key, entry).map_or(0, |before| before.bytes);
            while inner.bytes > self.most && inner.engines.len() > 1 {
                let Some(oldest) = inner.engines.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else { break };
                inner.bytes -= inner.engines.remove(&oldest).map_or(0, |entry| entry.bytes);
            }
        });
        engine
    }

    /// Lets go of all forms of a pattern.
    pub(super) fn forget(&self, number: u64) {
        self.within(|inner| {
            let mut bytes = 0;
            inner.engines.retain(|key, entry| {
                let stays = key.0 != number;
                bytes += if stays { 0 } else { entry.bytes };
                stays
            });
            inner.bytes -= bytes;
        });
    }

    /// Of all patterns that are held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.within(|inner| inner.bytes)
    }

    /// A thread that panicked left it whole: nothing in here panics between two changes.
    fn within<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_is_let_go_of_and_compiled_again() {
        let held = Held::up_to(10);
        let compiled = std::cell::RefCell::new(Vec::new());
        let get = |number| {
            let compile = || {
                compiled.borrow_mut().push(number);
                regex_automata::meta::Regex::new("a").map(Engine::Linear).map_err(Box::new)
            };
            held.engine((number, 0), 4, compile).unwrap();
        };
        [1, 2, 1, 3].into_iter().for_each(get);
        assert_eq!(held.within(|inner| (inner.engines.len(), inner.bytes)), (2, 8));
        [1, 3, 2, 2].into_iter().for_each(get);
        assert_eq!(*compiled.borrow(), [1, 2, 3, 2]);
        held.forget(2);
        assert_eq!(held.within(|inner| (inner.engines.len(), inner.bytes)), (1, 4));
        // One that is larger than all may be is held alone.
        held.engine((9, 0), 40, || regex_automata::meta::Regex::new("a").map(Engine::Linear).map_err(Box::new)).unwrap();
        assert_eq!(held.within(|inner| (inner.engines.len(), inner.bytes)), (1, 40));
    }
}
