//! Does a person who sits here want to pay for this run?

use std::io::{self, BufRead, IsTerminal, Write};

use tokio_util::sync::CancellationToken;

use crate::cli::environment::Environment;
use crate::cli::project::{Failure, Project};
use crate::model::gate::Exit;
use crate::model::money::Money;
use crate::model::problem::Problem;
use crate::model::request::Dialect;
use crate::runner::price::{ModelPrice, PlanPrice};

/// Asks before a run that will probably cost more than the settings let pass unasked. Where nobody can answer (no terminal, a CI job) nobody
/// is asked: `--max-cost` is the limit that holds there.
///
/// # Errors
/// Where the answer is no. Nothing was sent then.
///
/// Returns whether somebody was asked, and said yes.
pub(crate) async fn ask(project: &Project, price: &PlanPrice, interrupted: &CancellationToken) -> Result<bool, Failure> {
    let Some((about, at_most)) = dear(project, price) else { return Ok(false) };
    let question = format!("{} requests to pay for: about {about}, at most {at_most}. Go on? [y/N] ", price.to_ask());
    if is_agreed(&question, interrupted).await {
        return Ok(true);
    }
    let more = if price.under_way > 0 { " more" } else { "" };
    let problem = Problem::note(format!("nothing{more} was sent, and nothing{more} was paid"))
        .hint("`--yes` does not ask, `confirm_above` in the settings sets the amount, `--max-cost` a limit");
    Err(Failure::of(Exit::Interrupted, problem))
}

/// Asks in the middle of a run, before what batches gave back without an answer is asked singly. Says whether it may be.
pub(crate) async fn ask_again(project: &Project, price: &PlanPrice, interrupted: &CancellationToken) -> bool {
    let Some((about, at_most)) = dear(project, price) else { return true };
    let requests = price.to_ask();
    // Below the bar.
    let question =
        format!("\n{requests} requests that no batch answered, to pay for singly: about {about}, at most {at_most}. Go on? [y/N] ");
    is_agreed(&question, interrupted).await
}

/// About and at most, where somebody is to be asked.
fn dear(project: &Project, price: &PlanPrice) -> Option<(String, String)> {
    let (about, at_most) = paid(project, price);
    (about > project.settings.confirm_above && somebody_is_there()).then(|| (about.display(2), at_most.display(2)))
}

async fn is_agreed(question: &str, interrupted: &CancellationToken) -> bool {
    let _ = io::stderr().write_all(question.as_bytes()).and_then(|()| io::stderr().flush());
    let (answer, mut answered) = tokio::sync::mpsc::channel(1);
    // A thread of its own: nothing can end a read of a terminal, and an interrupted command must not wait for one.
    std::thread::spawn(move || {
        let mut line = String::new();
        // At the end of the input nobody said yes.
        let read = io::stdin().lock().read_line(&mut line);
        let _ = answer.blocking_send(read.is_ok() && is_yes(&line));
    });
    tokio::select! {
        said = answered.recv() => said.unwrap_or(false),
        () = interrupted.cancelled() => false,
    }
}

/// What real endpoints would be paid, about and at most: nobody is asked about what a simulator answers.
fn paid(project: &Project, price: &PlanPrice) -> (Money, Money) {
    let is_real = |model: &&ModelPrice| project.settings.endpoints.get(&model.endpoint).is_none_or(|one| one.dialect != Dialect::Simulated);
    let real = || price.models.iter().filter(is_real);
    (real().map(|model| model.estimate.usd).sum(), real().map(|model| model.upper_bound_usd).sum())
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !Environment::is_ci()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y", "Y", "yes\n", " YES \r\n"].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "no", "yep", "y n"].into_iter().any(is_yes));
    }
}
