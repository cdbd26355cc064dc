//! The requests of a batch that ended: what was each answered?

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::accounting::Fate;
use super::super::api_error::ApiError;
use super::super::batches::intake::Item;
use super::super::batches::life::{Batch, End, Ended, Outcome};
use super::super::batches::{Shared, lock};
use super::super::caching::prefix::Prefix;
use super::super::prompt::Prompt;
use super::super::reply::{self, Asked, Message};
use super::super::script::Answer;
use super::super::validate;
use super::batching::error_of;
use super::{Service, workspace};

impl Service {
    /// Processes a batch that is over by now, and nobody noticed yet.
    pub(super) fn settle(&self, shared: &Shared) {
        let mut batch = lock(shared);
        let Some(end) = batch.end(self.clock.now(), self.matcher.script().batches.pace) else { return };
        let mut lines = Vec::with_capacity(batch.items.len());
        let mut counts = [0; 4];
        for (index, item) in batch.items.iter().enumerate() {
            let (outcome, result) = self.result(&batch, item, index, &end);
            counts[outcome as usize] += 1;
            let mut line = serde_json::to_vec(&json!({"custom_id": item.custom_id, "result": result})).expect("JSON has only text keys");
            line.push(b'\n');
            lines.push(line);
        }
        // Section 5: in any order. The same batch always gets the same.
        fastrand::Rng::with_seed(self.seed ^ batch.number).shuffle(&mut lines);
        batch.items = Vec::new();
        batch.ended = Some(Ended { at: end.at, counts, results: Bytes::from(lines.concat()) });
        self.accounting.batches.ended(counts);
    }

    fn result(&self, batch: &Batch, item: &Item, index: usize, end: &End) -> (Outcome, Value) {
        if index >= end.processed {
            return (end.rest, json!({"type": Outcome::NAMES[end.rest as usize]}));
        }
        if self.matcher.script().batches.expire.is_match(&item.custom_id) {
            return (Outcome::Expired, json!({"type": "expired"}));
        }
        // One after the other over the whole time: what is cached for five minutes does not last through a long batch.
        let passed = (end.until - batch.created).num_milliseconds() as i128 * index as i128 / end.processed as i128;
        let started = batch.created + chrono::TimeDelta::milliseconds(i64::try_from(passed).unwrap_or(i64::MAX));
        match self.answer_item(batch, item, started) {
            Ok(message) => {
                self.accounting.reply(&message, Fate::InBatch, started.date_naive());
                (Outcome::Succeeded, json!({"type": "succeeded", "message": message}))
            }
            Err(ApiError { kind, message, code, .. }) => {
                let mut error = json!({"type": kind, "message": message});
                if let Some(code) = code {
                    error["details"] = json!({"error_code": code});
                }
                (Outcome::Errored, json!({"type": "errored", "error": {"type": "error", "error": error, "request_id": null}}))
            }
        }
    }

    fn answer_item(&self, batch: &Batch, item: &Item, started: DateTime<Utc>) -> Result<Message, ApiError> {
        let body = validate::json(&item.params)?;
        let model = validate::in_batch(&body, batch.version, &batch.headers, &self.matcher.script().models)?;
        let model_id = body.get("model").and_then(Value::as_str).unwrap_or_default();
        let prompt = Prompt::of(&body);
        let split = Prefix::of(&body, &model, model_id, workspace(&batch.headers))
            .map(|prefix| self.cache.look_up(&prefix, &model, started, self.finds_the_cache(batch, item)));
        let number = self.numbers.fetch_add(1, Relaxed);
        let asked = Asked { model: &model, model_id, body: &body, prompt: &prompt, split: split.as_ref(), number };
        let choice = self.matcher.choose(model_id, false, &prompt).ok_or_else(|| self.unmatched(&prompt))?;
        self.accounting.rule(choice.rule);
        if let Some(error) = choice.then.fault.and_then(error_of) {
            return Err(error);
        }
        match &choice.then.answer {
            Answer::Error(error) => Err(error.into()),
            Answer::Message(answer) => {
                let mut message = reply::message(&asked, answer, &choice, &self.matcher)?;
                message.usage.service_tier = "batch";
                self.begin(&asked, !answer.usage.set_the_cache());
                Ok(message)
            }
        }
    }

    /// Section 5: inside a batch caching is best effort. Which requests miss is decided by the seed, the batch and the request.
    fn finds_the_cache(&self, batch: &Batch, item: &Item) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&batch.number.to_le_bytes()).update(item.custom_id.as_bytes());
        let mut drawn = [0; 4];
        hasher.finalize_xof().fill(&mut drawn);
        f64::from(u32::from_le_bytes(drawn)) < self.matcher.script().batches.cache_hits * (f64::from(u32::MAX) + 1.0)
    }
}
