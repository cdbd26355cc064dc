//! How much may all regexes of a project come to, so that none of them is refused and all of them are read in seconds?

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::assertion::compile::CompileError;
use crate::assertion::excerpt;

/// Bytes of all compiled regexes of a project together. Compiling so much takes some five seconds.
pub(super) const MOST: usize = 256 << 20;

/// The same with all that is small: the largest table, of 250,000 rows, may have a regex of 16 KiB in each.
const MOST_OF_ALL: u64 = 4 << 30;

/// Bytes of the patterns of all schemas together, which the library that judges by them keeps, each schema its own: small ones too.
const MOST_KEPT: u64 = 128 << 20;

/// What it takes for the smallest of them.
const LEAST_KEPT: u64 = 16 << 10;

/// A regex that takes no more counts for nothing but [`MOST_OF_ALL`]: a project may have as many as it has lines.
const SMALL: usize = 64 << 10;

/// The same for one with a variable, which is compiled for each case and let go of: a project may have as many cases as it likes.
const SMALL_FOR_A_CASE: usize = 1 << 20;

/// What is left for regexes that were not compiled yet.
#[derive(Debug)]
pub(super) struct Work {
    most: usize,
    left: AtomicUsize,
    most_of_all: u64,
    left_of_all: AtomicU64,
    left_to_keep: AtomicU64,
    /// One did not fit any more.
    is_over: AtomicBool,
    /// It was too much only with the small ones.
    are_many: AtomicBool,
    /// It was too much for schemas.
    are_kept: AtomicBool,
}

impl Work {
    pub(super) const fn up_to(most: usize) -> Self {
        Self::within(most, MOST_OF_ALL)
    }

    const fn within(most: usize, most_of_all: u64) -> Self {
        let (left, left_of_all, left_to_keep) = (AtomicUsize::new(most), AtomicU64::new(most_of_all), AtomicU64::new(MOST_KEPT));
        let (is_over, are_many, are_kept) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        Self { most, left, most_of_all, left_of_all, left_to_keep, is_over, are_many, are_kept }
    }

    /// What `compile` makes, and how many bytes that took, where it still fits.
    ///
    /// `shared`: it is compiled once, whatever the cases give.
    ///
    /// # Errors
    /// Those of `compile`, and where all together are too much. After that nothing is compiled any more.
    pub(super) fn on<T>(
        &self,
        pattern: &str,
        shared: bool,
        compile: impl FnOnce() -> Result<(T, usize), CompileError>,
    ) -> Result<T, CompileError> {
        if self.is_over() {
            return Err(self.too_much(pattern));
        }
        let made = compile();
        let bytes = made.as_ref().map_or_else(|error| error.compiled, |(_, bytes)| *bytes);
        self.take(pattern, bytes, if shared { SMALL } else { SMALL_FOR_A_CASE })?;
        made.map(|(made, _)| made)
    }

    /// The same regex is compiled once more for a schema, and kept.
    ///
    /// # Errors
    /// Where all together are too much.
    pub(super) fn again(&self, pattern: &str, bytes: usize) -> Result<(), CompileError> {
        self.take(pattern, bytes, SMALL)?;
        let kept = LEAST_KEPT.max(bytes as u64);
        let taken = self.left_to_keep.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(kept));
        if taken.is_err() {
            self.are_kept.store(true, Ordering::Relaxed);
            self.is_over.store(true, Ordering::Relaxed);
            return Err(self.too_much(pattern));
        }
        Ok(())
    }

    fn take(&self, pattern: &str, bytes: usize, small: usize) -> Result<(), CompileError> {
        let counted = if bytes > small { bytes } else { 0 };
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(counted));
        let of_all = self.left_of_all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes as u64));
        if taken.is_err() || of_all.is_err() {
            self.are_many.fetch_or(taken.is_ok(), Ordering::Relaxed);
            self.is_over.store(true, Ordering::Relaxed);
            return Err(self.too_much(pattern));
        }
        Ok(())
    }

    /// Whether all together were too much.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn too_much(&self, pattern: &str) -> CompileError {
        let pattern = excerpt::quoted(pattern);
        if self.are_kept.load(Ordering::Relaxed) {
            let (most, least) = (MOST_KEPT >> 20, LEAST_KEPT >> 10);
            return CompileError::new(format!(
                "with {pattern} the patterns of this project's schemas take more than {most} MiB when compiled"
            ))
            .hint(format!(
                "each takes {least} KiB at the least, in each schema that has it: give what is alike the same `pattern`, or refer to one \
                     (`$ref`); `\\w{{60}}` and other counted repetitions take more"
            ));
        }
        let most = if self.are_many.load(Ordering::Relaxed) { self.most_of_all >> 20 } else { self.most as u64 >> 20 };
        CompileError::new(format!("with {pattern} the regexes of this project take more than {most} MiB when compiled")).hint(
            "make counted repetitions of Unicode classes smaller, or name what they may hold: `\\w{60}` takes 3 MiB, `[A-Za-z0-9_]{60}` \
             some KiB; a regex with a variable is compiled for each case",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TEN: usize = 10 << 20;

    #[test]
    fn what_is_large_is_counted_until_it_is_too_much_and_then_nothing_is_compiled() {
        let work = Work::up_to(TEN);
        let compiled = Cell::new(0);
        let compile = |shared, bytes| {
            let compile = || {
                compiled.set(compiled.get() + 1);
                Ok(((), bytes))
            };
            work.on("a{9}", shared, compile)
        };
        // As many small ones as there are lines, and as many cases.
        for _ in 0..1_000 {
            compile(true, SMALL).unwrap();
            compile(false, SMALL_FOR_A_CASE).unwrap();
        }
        for _ in 0..5 {
            compile(true, TEN / 10).unwrap();
        }
        compile(false, TEN / 2).unwrap();
        assert!(!work.is_over());
        assert_eq!(compiled.get(), 2_006);
        let error = compile(true, SMALL + 1).unwrap_err();
        assert_eq!(error.message, "with `a{9}` the regexes of this project take more than 10 MiB when compiled");
        assert!(work.is_over());
        assert_eq!(compile(true, 1).unwrap_err(), error);
        assert_eq!(compiled.get(), 2_007, "the last one was not compiled");
    }

    #[test]
    fn what_is_small_has_a_bound_too_and_ten_thousand_ordinary_ones_are_far_from_it() {
        let work = Work::up_to(MOST);
        for _ in 0..10_000 {
            work.on("a", true, || Ok(((), 15 << 10))).unwrap();
        }
        let work = Work::within(TEN, 1 << 30);
        for _ in 0..1_024 {
            work.on("a", false, || Ok(((), SMALL_FOR_A_CASE))).unwrap();
        }
        let error = work.on("a", true, || Ok(((), 1))).unwrap_err();
        assert_eq!(error.message, "with `a` the regexes of this project take more than 1024 MiB when compiled");
        assert!(work.is_over());
    }

    #[test]
    fn what_schemas_keep_is_counted_however_small_it_is_and_hundreds_are_far_from_too_much() {
        let work = Work::up_to(MOST);
        for _ in 0..MOST_KEPT / LEAST_KEPT {
            work.again("a", 1).unwrap();
        }
        let error = work.again("a", 1).unwrap_err();
        assert_eq!(error.message, "with `a` the patterns of this project's schemas take more than 128 MiB when compiled");
        assert!(work.is_over());
        // From now on nothing is compiled at all, wherever it stands.
        assert_eq!(
            work.on("b", true, || -> Result<((), usize), CompileError> { panic!("it is not compiled") }).unwrap_err().hint,
            error.hint
        );
    }
}
