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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_stage_has_its_words_and_an_id_commands_nothing() {
        let all = [BatchStage::Created, BatchStage::Joined, BatchStage::Sought, BatchStage::Waiting, BatchStage::Ended];
        let told: Vec<String> = all
            .into_iter()
            .map(|stage| {
                let over = stage == BatchStage::Ended;
                let news = BatchNews {
                    endpoint: Arc::from("anthropic"),
                    id: Some(Arc::from("msgbatch_01\u{1b}[2J")),
                    stage,
                    requests: 1_200,
                    processing: if over { 0 } else { 1_200 },
                    succeeded: if over { 1_197 } else { 0 },
                    errored: 0,
                    canceled: u64::from(over),
                    expired: if over { 2 } else { 0 },
                    waited_ms: 724_000,
                };
                let line: String = line(&news).iter().flatten().map(|span| span.text.as_ref()).collect();
                format!("{line}\n  bar: {}", note(&news))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        batch msgbatch_01\u{1b}[2J of 1,200 requests to anthropic: most end within an hour, all within a day; Ctrl-C leaves it running
          bar: 1,200 in a batch for 12 min 04 s
        batch msgbatch_01\u{1b}[2J of 1,200 requests to anthropic is under way already, and waited for; Ctrl-C leaves it running
          bar: 1,200 in a batch for 12 min 04 s
        batch whether anthropic created a batch of 1,200 requests is not known: it is looked for before anything is asked again
          bar: looking for a batch
        
          bar: 1,200 in a batch for 12 min 04 s
        batch msgbatch_01\u{1b}[2J has ended after 12 min 04 s: 1,197 succeeded, 2 expired, 1 canceled
          bar:
        ");
    }
}
