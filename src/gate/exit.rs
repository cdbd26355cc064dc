//! Which exit code do several gates come to?

use crate::model::gate::{Exit, GateKind, GateOutcome, GateResult};

/// One exit for all gates, in the order of the table: interrupted, not written, fails even if every missing verdict were a pass,
/// stopped by the budget, some verdict missing, undecided, holds. (Invalid and nothing selected end a run before there are gates.)
#[must_use]
pub fn exit(gates: &[GateResult]) -> Exit {
    gates.iter().map(reason).min_by_key(|exit| rank(*exit)).unwrap_or(Exit::Holds)
}

/// What one gate alone would come to.
fn reason(gate: &GateResult) -> Exit {
    match (gate.kind, gate.outcome) {
        (_, GateOutcome::Pass) => Exit::Holds,
        (GateKind::Interrupted, _) => Exit::Interrupted,
        (GateKind::Written, _) => Exit::NotWritten,
        (GateKind::Budget, _) => Exit::Budget,
        (GateKind::PassRate | GateKind::Critical | GateKind::Snapshots | GateKind::Verdicts | GateKind::Comparison, outcome) => {
            match outcome {
                GateOutcome::Pass => Exit::Holds,
                GateOutcome::Fail => Exit::Fails,
                GateOutcome::Missing => Exit::MissingVerdicts,
                GateOutcome::Undecided => Exit::Undecided,
            }
        }
    }
}

/// Lower wins.
const fn rank(exit: Exit) -> u8 {
    match exit {
        Exit::Invalid => 0,
        Exit::NothingSelected => 1,
        Exit::Interrupted => 2,
        Exit::NotWritten => 3,
        Exit::Fails => 4,
        Exit::Budget => 5,
        Exit::MissingVerdicts => 6,
        Exit::Undecided => 7,
        Exit::Holds => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(kind: GateKind, outcome: GateOutcome) -> GateResult {
        GateResult { kind, suite: None, model: None, outcome, message: String::new() }
    }

    #[test]
    fn the_first_reason_of_the_documented_order_wins() {
        let ordered = [
            (gate(GateKind::Interrupted, GateOutcome::Missing), 130),
            (gate(GateKind::Written, GateOutcome::Fail), 5),
            (gate(GateKind::PassRate, GateOutcome::Fail), 1),
            (gate(GateKind::Budget, GateOutcome::Missing), 6),
            (gate(GateKind::Verdicts, GateOutcome::Missing), 3),
            (gate(GateKind::Comparison, GateOutcome::Undecided), 7),
            (gate(GateKind::PassRate, GateOutcome::Pass), 0),
        ];
        for first in 0..ordered.len() {
            let mut gates: Vec<GateResult> = ordered[first..].iter().map(|(gate, _)| gate.clone()).collect();
            gates.reverse();
            assert_eq!(exit(&gates).code(), ordered[first].1, "with {:?} as the strongest", ordered[first].0.kind);
        }
    }

    #[test]
    fn a_run_without_gates_holds() {
        assert_eq!(exit(&[]).code(), 0);
    }
}
