//! How many tests, failures, errors and skipped ones does a suite have, as JUnit counts them?

use quick_xml::events::BytesStart;

use super::xml::attribute;
use crate::report::standing::Standing;

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) tests: u64,
    pub(super) failures: u64,
    pub(super) errors: u64,
    pub(super) skipped: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.skipped += other.skipped;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

impl Counts {
    pub(super) const fn of(standing: Standing) -> Self {
        let (failures, errors, skipped) = match standing {
            Standing::Passed => (0, 0, 0),
            Standing::Failed | Standing::Snapshot => (1, 0, 0),
            Standing::Errored => (0, 1, 0),
            Standing::Skipped | Standing::Informs(_) => (0, 0, 1),
        };
        Self { tests: 1, failures, errors, skipped }
    }

    pub(super) fn attributes(self, element: &mut BytesStart<'_>, strict_root: bool) {
        attribute(element, "tests", &self.tests.to_string());
        attribute(element, "failures", &self.failures.to_string());
        attribute(element, "errors", &self.errors.to_string());
        // The Jenkins schema knows `skipped` on a suite, not on the root.
        if !strict_root {
            attribute(element, "skipped", &self.skipped.to_string());
        }
    }
}
