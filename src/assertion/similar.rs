//! Is the reply much like a text?

use std::sync::Arc;

use crate::assertion::{Finding, Subject, excerpt};
use crate::diff::{similarity, text_diff};
use crate::model::verdict::{Diff, Failure};

/// `similar`: share of common words, at least a threshold.
#[derive(Debug, Clone)]
pub(super) struct SimilarCheck {
    pub(super) to: Arc<str>,
    pub(super) threshold: f64,
}

impl SimilarCheck {
    pub(super) fn find(&self, subject: &Subject<'_>) -> Finding {
        Finding::of(similarity(&self.to, subject.text()) >= self.threshold)
    }

    pub(super) fn failure(&self, subject: &Subject<'_>, negated: bool) -> Failure {
        let share = similarity(&self.to, subject.text());
        let bound = if negated { "less than" } else { "at least" };
        Failure {
            expected: format!("word similarity {bound} {} to {}", self.threshold, excerpt::quoted(&self.to)),
            // Rounded towards the failure: 0.8996 is not shown as the 0.9 that it did not reach.
            got: format!(
                "word similarity {:.3}: {}",
                if negated { share } else { (share * 1000.0).floor() / 1000.0 },
                excerpt::opening(subject.text())
            ),
            diff: (!negated).then(|| Diff::Text(text_diff(self.to.trim(), subject.text().trim()))),
        }
    }
}
