//! Is any body of a server a reply that can be priced, judged, kept and shown, or refused in a few harmless words?

use std::sync::LazyLock;

use promptkeel::assertion::{Compiled, judge, subject};
use promptkeel::endpoint::messages::{Message, Parsed, parse};
use promptkeel::model::catalog::Catalog;
use promptkeel::model::cost::cost;
use promptkeel::model::money::Money;
use promptkeel::model::reply::Reply;
use promptkeel::model::suite::{Compare, Parse};
use promptkeel::snapshot::format::{read, write};
use promptkeel::snapshot::output::{Output, Snapshot};

use super::assertions::{compiled, is_fit_to_show};
use super::excerpts::is_harmless;

/// Longest account of why a body is no reply, in bytes.
pub const LONGEST_REASON: usize = 1_000;

/// One of each family that reads the reply.
static ASSERTIONS: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let of = |(kind, argument)| compiled(kind, argument).expect("this assertion is in order");
    let all = [("regex", r"(?i)\brefund"), ("json_path", "$.a[0]"), ("similar", "a b c"), ("contains", "ß"), ("xml", "a"), ("refusal", "")];
    all.into_iter().map(of).collect()
});

/// The input is the body.
pub fn holds(input: &[u8]) {
    match parse(&String::from_utf8_lossy(input)) {
        Ok(Parsed::Message(message)) => is_usable(*message),
        Ok(Parsed::Error(_)) => {}
        Err(reason) => {
            assert!(!reason.is_empty() && reason.len() <= LONGEST_REASON, "{} bytes: {reason}", reason.len());
            assert!(is_harmless(&reason), "{reason:?}");
        }
    }
}

/// What holds of every message, whole or put together from events.
pub fn is_usable(message: Message) {
    let Message { id, model, content, stop_reason, stop_sequence, refusal, usage } = message;
    let reply = Reply {
        id,
        request_id: None,
        model,
        content,
        stop_reason,
        stop_sequence,
        refusal,
        usage,
        answered_at: "2026-11-22T14:31:20Z".parse().expect("a moment"),
        latency_ms: 1,
        attempts: Vec::new(),
        simulated: false,
    };
    let kept: Reply =
        serde_json::from_str(&serde_json::to_string(&reply).expect("a reply is plain data")).expect("what was written is read");
    assert_eq!(kept, reply);

    for model in ["claude-haiku-4-5", "claude-opus-5-5", &reply.model] {
        if let Some(cost) = cost(Catalog::embedded(), model, &reply) {
            assert!(cost.total >= Money::ZERO && cost.uncached >= Money::ZERO, "{cost:?}");
            assert_eq!(cost.total.to_string().parse(), Ok(cost.total));
        }
    }
    for parse in [Parse { fenced: false }, Parse { fenced: true }] {
        judge(&ASSERTIONS, &subject(&reply, parse, None)).iter().for_each(is_fit_to_show);
        for compare in [Compare::Text, Compare::Json] {
            let output = Output::of_content(reply.stop_reason.as_str(), &reply.content, compare, parse);
            let snapshot = Snapshot { prompt: "p@1".to_owned(), model: reply.model.clone(), simulated: false, outputs: vec![output] };
            assert_eq!(read(&write(&snapshot)), Ok(snapshot));
        }
    }
}
