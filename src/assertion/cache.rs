//! What do compiled assertions of many cases share?

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::assertion::compile::CompileError;
use crate::assertion::deadline::Allowed;
use crate::assertion::filter::Asked;
use crate::assertion::held::Held;
use crate::assertion::json::CompiledSchema;
use crate::assertion::path::Path;
use crate::assertion::pattern::Pattern;
use crate::assertion::work::{self, Work};
use crate::assertion::{json, path};
use crate::model::assertion::SchemaSource;
use crate::template::{Template, TemplateError};

/// Everything that was compiled from a text of the suite and not of a case: a schema or a regex of the suite is compiled once,
/// however many cases there are. For any number of threads; one for a run is right.
#[derive(Debug, Default)]
pub struct CompileCache {
    texts: Mutex<HashSet<Arc<str>>>,
    templates: Mutex<HashMap<Arc<str>, Arc<Template>>>,
    patterns: Mutex<HashMap<Arc<str>, Arc<Pattern>>>,
    held: Arc<Held>,
    /// What compiling regexes may come to; without it, what was read before is compiled again.
    work: Option<Work>,
    /// What its checks may take.
    allowed: Allowed,
    /// What reading its schemas may take, counted apart: a reply that lets checks be given up says nothing of what can be read.
    reading: Allowed,
    paths: Mutex<HashMap<Arc<str>, Arc<Path>>>,
    /// By the address of the schema, which stays taken as long as the schema is kept here.
    schemas: Mutex<HashMap<usize, Schema>>,
}

/// What was compiled, and from what.
type Schema = (Arc<Value>, Arc<CompiledSchema>);

impl CompileCache {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one for reading a project: all its regexes together are bounded.
    #[must_use]
    pub fn bounded() -> Self {
        Self::up_to(work::MOST)
    }

    pub(super) fn up_to(most: usize) -> Self {
        Self { work: Some(Work::up_to(most)), ..Self::default() }
    }

    /// An empty one, of whose checks each may take so long.
    #[cfg(test)]
    pub(super) fn taking(longest: std::time::Duration) -> Self {
        Self { allowed: Allowed::from(longest), ..Self::default() }
    }

    /// The regexes took more together than they may, which was said: nothing is compiled here any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.work.as_ref().is_some_and(Work::is_over)
    }

    pub(super) fn text(&self, text: &str) -> Arc<str> {
        let mut texts = lock(&self.texts);
        if let Some(known) = texts.get(text) {
            return Arc::clone(known);
        }
        let text = Arc::<str>::from(text);
        texts.insert(Arc::clone(&text));
        text
    }

    pub(super) fn template(&self, text: &str) -> Result<Arc<Template>, TemplateError> {
        get_or(&self.templates, text, || Template::compile(text))
    }

    /// `shared`: other cases may ask for the same one.
    pub(super) fn pattern(&self, text: &str, shared: bool) -> Result<Arc<Pattern>, CompileError> {
        let compiled = || self.counted(text, shared, || Pattern::compile_for(text, &self.held, self.allowed.clone()));
        if shared { get_or(&self.patterns, text, compiled) } else { compiled().map(Arc::new) }
    }

    fn counted(&self, text: &str, shared: bool, compile: impl FnOnce() -> Result<Pattern, CompileError>) -> Result<Pattern, CompileError> {
        let Some(work) = &self.work else { return compile() };
        work.on(text, shared, || {
            let made = compile()?;
            let bytes = made.bytes();
            Ok((made, bytes))
        })
    }

    pub(super) fn path(&self, text: &str, shared: bool) -> Result<Arc<Path>, CompileError> {
        let parsed = || path::parse(text, self.allowed.clone(), |asked| self.in_filter(asked, shared));
        if shared { get_or(&self.paths, text, parsed) } else { parsed().map(Arc::new) }
    }

    pub(super) fn in_filter(&self, asked: &Asked, shared: bool) -> Result<Arc<Pattern>, CompileError> {
        let compiled = || self.counted(&asked.regex, shared, || Pattern::compile_in_filter(asked, &self.held));
        // As it is compiled it stands among the others: many paths may ask for the same.
        if shared { get_or(&self.patterns, &asked.written(), compiled) } else { compiled().map(Arc::new) }
    }

    pub(super) fn schema(&self, source: &SchemaSource) -> Result<Arc<CompiledSchema>, CompileError> {
        let address = Arc::as_ptr(&source.schema) as usize;
        if let Some((_, compiled)) = lock(&self.schemas).get(&address) {
            return Ok(Arc::clone(compiled));
        }
        let patterns = json::patterns(source)?;
        if let Some(work) = &self.work {
            for pattern in patterns {
                let counted = self.pattern(&pattern, true).and_then(|known| work.again(&pattern, known.bytes()));
                match counted {
                    Err(error) if error.compiled > 0 || self.is_over() => return Err(json::about_pattern(&source.label, error)),
                    // What is no regex is refused by the library, in its own words.
                    Ok(()) | Err(_) => {}
                }
            }
        }
        // Compiled without the lock: a large schema takes milliseconds, and twice is better than waiting.
        let compiled = Arc::new(json::compile(source, self.reading.clone(), self.allowed.clone())?);
        lock(&self.schemas).insert(address, (Arc::clone(&source.schema), Arc::clone(&compiled)));
        Ok(compiled)
    }
}

fn get_or<T, E>(map: &Mutex<HashMap<Arc<str>, Arc<T>>>, text: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
    if let Some(known) = lock(map).get(text) {
        return Ok(Arc::clone(known));
    }
    let made = Arc::new(make()?);
    lock(map).insert(text.into(), Arc::clone(&made));
    Ok(made)
}

/// A thread that panicked left the map whole: every change is one insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
