//! Does the API take the marks for the prompt cache that an author wrote? Four, and those of an hour first (wire reference, 6.3).

use crate::model::authored::{Authored, mark, of_blocks, of_tools, refused};
use crate::model::parameters::Rejection;
use crate::model::prefix::Place as MarkPlace;
use crate::model::problem::Place;
use crate::model::request::{Block, Params, Turn};
use crate::model::suite::{BlockTemplate, PromptCache};
use crate::source::check::{Subject, parameter_place};
use crate::source::prompt::PromptFile;
use crate::source::suite::ModelDraft;

/// A prompt whose requests carry marks of the author's.
pub(super) struct Marked<'a> {
    subject: &'a Subject<'a>,
    prompt: &'a PromptFile,
    /// The marks of the tools, each distinct list with the first model that has it.
    tools: Vec<(Vec<Authored>, &'a ModelDraft)>,
    /// The line of every marked block of the prompt.
    lines: Vec<u32>,
}

impl<'a> Marked<'a> {
    /// `None` where there are none, or none are sent.
    pub(super) fn of(prompt: &'a PromptFile, subject: &'a Subject<'a>) -> Option<Self> {
        if subject.cache == PromptCache::Off {
            return None;
        }
        let empty = Params::default();
        let mut tools: Vec<(Vec<Authored>, &ModelDraft)> = Vec::new();
        for model in subject.models {
            let params = subject.request.unwrap_or(&empty).overlaid(&prompt.version.request).overlaid(&model.spec.request);
            let marks: Vec<Authored> = of_tools(params.tools.as_deref().unwrap_or_default()).collect();
            if tools.iter().all(|(known, _)| *known != marks) {
                tools.push((marks, model));
            }
        }
        let version = &prompt.version;
        let line = |block: &BlockTemplate| match block {
            BlockTemplate::Structured { block, line } => mark(block).map(|_| *line),
            BlockTemplate::Text { .. } => None,
        };
        let lines: Vec<u32> = version.system.iter().chain(version.turns.iter().flat_map(|turn| &turn.content)).filter_map(line).collect();
        let has_any = !lines.is_empty() || tools.iter().any(|(marks, _)| !marks.is_empty());
        has_any.then_some(Self { subject, prompt, tools, lines })
    }

    /// What the API would say about these requests, and where the mark stands that is one too many.
    pub(super) fn refused(&self, system: &[Block], turns: &[Turn]) -> Option<(Rejection, Place)> {
        let own: Vec<Authored> = of_blocks(system, turns).collect();
        self.tools.iter().find_map(|(tools, model)| {
            let marks: Vec<Authored> = tools.iter().chain(&own).copied().collect();
            let (at, rejection) = refused(&marks)?;
            let place = match marks[at].place {
                MarkPlace::Tools => parameter_place("tools", model, self.prompt, self.subject),
                // A text that is empty for this case is not sent, and its mark neither: then the last one is named.
                MarkPlace::System(_) | MarkPlace::Turn(..) => {
                    let line = if own.len() == self.lines.len() { self.lines.get(at - tools.len()) } else { self.lines.last() };
                    self.prompt.document.place_in_line(line.copied().unwrap_or(1), None)
                }
            };
            Some((rejection, place))
        })
    }
}
