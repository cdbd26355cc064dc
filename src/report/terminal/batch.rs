//! What is said of a message batch while it is waited for?

use super::paint::{DIM, NAME, ODD, PLAIN, Span, span};
use crate::model::event::{BatchNews, BatchStage};
use crate::report::{figures, visible};

/// A line about it; `None` where nothing is new but the time.
pub(super) fn line(news: &BatchNews) -> Option<Vec<Span<'static>>> {
    let requests = figures::counted(news.requests, "request", "requests");
    let (name, endpoint) = (name(news), visible::name(&news.endpoint));
    let (word, text) = match news.stage {
        BatchStage::Created => {
            (NAME, format!("{name} of {requests} to {endpoint}: most end within an hour, all within a day; Ctrl-C leaves it running"))
        }
        BatchStage::Joined => {
            (NAME, format!("{name} of {requests} to {endpoint} is under way already, and waited for; Ctrl-C leaves it running"))
        }
        BatchStage::Sought => {
            (ODD, format!("whether {endpoint} created a batch of {requests} is not known: it is looked for before anything is asked again"))
        }
        BatchStage::Waiting => return None,
        BatchStage::Ended => (NAME, format!("{name} has ended after {}: {}", figures::duration(news.waited_ms), counts(news))),
    };
    Some(vec![span(word, "batch"), span(PLAIN, " "), span(DIM, text)])
}

/// What the bar says beside its numbers.
pub(super) fn note(news: &BatchNews) -> String {
    match news.stage {
        // Until the end the API says of every request that it is in processing: that is no progress, and not shown as any.
        BatchStage::Created | BatchStage::Joined | BatchStage::Waiting => {
            format!("{} in a batch for {}", figures::count(news.processing), figures::duration(news.waited_ms))
        }
        BatchStage::Sought => "looking for a batch".to_owned(),
        BatchStage::Ended => String::new(),
    }
}

fn name(news: &BatchNews) -> String {
    news.id.as_deref().map_or_else(|| "a batch".to_owned(), visible::name)
}

/// `196 succeeded, 2 errored, 1 expired, 1 canceled`.
fn counts(news: &BatchNews) -> String {
    let all = [
        (news.processing, "in processing"),
        (news.succeeded, "succeeded"),
        (news.errored, "errored"),
        (news.expired, "expired"),
        (news.canceled, "canceled"),
    ];
    let told: Vec<String> =
        all.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{} {what}", figures::count(*number))).collect();
    told.join(", ")
}
