//! The models that the simulator knows: what does each accept, and what is it called?
//!
//! Written down from docs/wire-reference.md sections 7.1 and 7.2, apart from the catalogue that prices: a mistake in one must not hide in the other.

/// One model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub(super) id: &'static str,
    /// The dated id that the alias stands for, or the alias of a dated id.
    pub(super) alias: Option<&'static str>,
    pub(super) name: &'static str,
    pub(super) line: &'static str,
    pub(super) created: &'static str,
    pub(super) lifecycle: &'static str,
    pub(super) context: u64,
    pub(super) max_output: u64,
    pub(super) generation: Generation,
    pub(super) thinking: Thinking,
    pub(super) effort: Effort,
    pub(super) forced_tools: bool,
    pub(super) system_turns: bool,
    pub(super) fast: Fast,
    /// A shorter prefix is silently not cached (docs/wire-reference.md 6.3).
    pub(super) cache_minimum: u64,
}

impl Model {
    /// What leaving out the effort means (7.2).
    pub(super) fn default_effort(&self) -> &'static str {
        if self.id == "claude-opus-5-5" || self.id == "claude-haiku-5-5" { "medium" } else { "high" }
    }

    /// The most output with the beta header that raises it inside batches (2.1).
    pub(super) fn max_output_in_batches(&self) -> u64 {
        let large = self.context >= 1_000_000 && ["haiku", "sonnet", "opus"].contains(&self.line);
        if large { 300_000 } else { self.max_output }
    }
}

/// What came with which generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// Prefill works, and `temperature` or `top_p` (on the older API version).
    Four5,
    /// No prefill.
    Four6,
    /// No sampling parameters, the newer tokenizer, thinking omitted from the reply.
    Four7,
}

/// Which `thinking` a model takes, and what it does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// Always on: only `adaptive`.
    Always,
    /// As before, but `enabled` is taken as well.
    AlwaysOrBudget,
    /// On unless disabled, which effort above `high` forbids.
    OnUnlessDisabledLow,
    /// On unless disabled.
    OnUnlessDisabled,
    /// On; `between_tools` at effort up to `high`, never disabled.
    OnOrBetweenTools,
    /// Off unless `adaptive`.
    OffOrAdaptive,
    /// Off unless `adaptive` or `enabled`.
    OffOrEither,
    /// Off unless `enabled`.
    OffOrEnabled,
}

impl Thinking {
    pub(super) fn on_by_default(self) -> bool {
        match self {
            Self::Always | Self::AlwaysOrBudget | Self::OnUnlessDisabledLow | Self::OnUnlessDisabled | Self::OnOrBetweenTools => true,
            Self::OffOrAdaptive | Self::OffOrEither | Self::OffOrEnabled => false,
        }
    }
}

/// The effort levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    None,
    UpToHigh,
    /// low, medium, high, max.
    WithoutXhigh,
    All,
}

impl Effort {
    pub(super) fn levels(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::UpToHigh => &["low", "medium", "high"],
            Self::WithoutXhigh => &["low", "medium", "high", "max"],
            Self::All => &["low", "medium", "high", "xhigh", "max"],
        }
    }
}

/// Whether `speed: fast` is taken (section 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fast {
    No,
    WithBeta,
    Yes,
}

const fn newest(
    id: &'static str,
    name: &'static str,
    line: &'static str,
    created: &'static str,
    thinking: Thinking,
    effort: Effort,
) -> Model {
    Model {
        id,
        alias: None,
        name,
        line,
        created,
        lifecycle: "active",
        context: 1_000_000,
        max_output: 128_000,
        generation: Generation::Four7,
        thinking,
        effort,
        forced_tools: true,
        system_turns: false,
        fast: Fast::No,
        cache_minimum: 512,
    }
}

const fn older(
    id: &'static str,
    alias: &'static str,
    name: &'static str,
    line: &'static str,
    created: &'static str,
    effort: Effort,
) -> Model {
    Model {
        alias: Some(alias),
        context: 200_000,
        max_output: 64_000,
        cache_minimum: 4_096,
        generation: Generation::Four5,
        ..newest(id, name, line, created, Thinking::OffOrEnabled, effort)
    }
}

/// All models, the newest first, as `/v1/models` lists them.
pub(super) const MODELS: [Model; 19] = [
    Model { forced_tools: false, ..newest("claude-fable-5-2", "Claude Fable 5.2", "fable", "2026-11-09", Thinking::Always, Effort::All) },
    Model {
        forced_tools: false,
        ..newest("claude-mythos-5-2", "Claude Mythos 5.2", "mythos", "2026-11-09", Thinking::Always, Effort::All)
    },
    newest("claude-haiku-5-5", "Claude Haiku 5.5", "haiku", "2026-10-07", Thinking::OnUnlessDisabledLow, Effort::All),
    Model {
        forced_tools: false,
        ..newest("claude-sonnet-5-5", "Claude Sonnet 5.5", "sonnet", "2026-09-28", Thinking::OnOrBetweenTools, Effort::All)
    },
    Model {
        forced_tools: false,
        fast: Fast::Yes,
        ..newest("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-09-22", Thinking::Always, Effort::All)
    },
    Model { forced_tools: false, ..newest("claude-fable-5-1", "Claude Fable 5.1", "fable", "2026-09-01", Thinking::Always, Effort::All) },
    Model {
        forced_tools: false,
        ..newest("claude-mythos-5-1", "Claude Mythos 5.1", "mythos", "2026-09-01", Thinking::Always, Effort::All)
    },
    Model {
        system_turns: true,
        fast: Fast::WithBeta,
        ..newest("claude-opus-5", "Claude Opus 5", "opus", "2026-07-24", Thinking::OnUnlessDisabledLow, Effort::All)
    },
    Model {
        cache_minimum: 1_024,
        ..newest("claude-sonnet-5", "Claude Sonnet 5", "sonnet", "2026-06-30", Thinking::OnUnlessDisabled, Effort::All)
    },
    Model { system_turns: true, ..newest("claude-fable-5", "Claude Fable 5", "fable", "2026-06-09", Thinking::Always, Effort::All) },
    Model { system_turns: true, ..newest("claude-mythos-5", "Claude Mythos 5", "mythos", "2026-06-09", Thinking::Always, Effort::All) },
    Model {
        lifecycle: "deprecated",
        cache_minimum: 2_048,
        ..newest("claude-mythos-preview", "Claude Mythos Preview", "mythos", "2026-06-09", Thinking::AlwaysOrBudget, Effort::WithoutXhigh)
    },
    Model {
        system_turns: true,
        fast: Fast::WithBeta,
        cache_minimum: 1_024,
        ..newest("claude-opus-4-8", "Claude Opus 4.8", "opus", "2026-05-28", Thinking::OffOrAdaptive, Effort::All)
    },
    Model {
        cache_minimum: 2_048,
        ..newest("claude-opus-4-7", "Claude Opus 4.7", "opus", "2026-04-16", Thinking::OffOrAdaptive, Effort::All)
    },
    Model {
        generation: Generation::Four6,
        cache_minimum: 1_024,
        ..newest("claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", "2026-02-17", Thinking::OffOrEither, Effort::WithoutXhigh)
    },
    Model {
        generation: Generation::Four6,
        cache_minimum: 4_096,
        ..newest("claude-opus-4-6", "Claude Opus 4.6", "opus", "2026-02-05", Thinking::OffOrEither, Effort::WithoutXhigh)
    },
    older("claude-opus-4-5-20251101", "claude-opus-4-5", "Claude Opus 4.5", "opus", "2025-11-24", Effort::UpToHigh),
    older("claude-haiku-4-5-20251001", "claude-haiku-4-5", "Claude Haiku 4.5", "haiku", "2025-10-15", Effort::None),
    Model {
        lifecycle: "deprecated",
        cache_minimum: 1_024,
        ..older("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "Claude Sonnet 4.5", "sonnet", "2025-09-29", Effort::None)
    },
];

/// A model that only the script names: it takes whatever any model takes.
const OWN: Model = Model {
    generation: Generation::Four5,
    thinking: Thinking::OffOrEither,
    system_turns: true,
    fast: Fast::Yes,
    ..newest("", "", "", "2026-01-01", Thinking::OffOrEither, Effort::All)
};

/// The model of this id or alias; `own` are those that the script adds.
pub(super) fn find(id: &str, own: &[String]) -> Option<Model> {
    match MODELS.iter().find(|model| model.id == id || model.alias == Some(id)) {
        Some(model) => Some(*model),
        None => own.iter().any(|name| name == id).then_some(OWN),
    }
}
