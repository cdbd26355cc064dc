//! What does GitHub Actions show on the lines of the suites: which of them gets which annotation?
//!
//! ```text
//! ::error file=suites/ticket-triage.yaml,line=24,title=ticket-triage%3A%3Adouble-charge failed::ticket-triage@3::claude-haiku-4-5: the queue ...
//! ```
//! An annotation is a line of the job's log that the runner obeys. Everything in it is escaped as the runner reads it back, so what a model
//! wrote is its text and never another command; every other line that we print is disarmed where it is printed.

use std::fmt::Write as _;
use std::io;

use crate::model::gate::{Exit, GateOutcome};
use crate::model::problem::{Problem, Severity, Site};
use crate::model::run::{CellResult, RunReport};
use crate::model::verdict::SnapshotState;
use crate::report::standing::{Standing, Standings};
use crate::report::strange::{self, Noun};
use crate::report::{figures, finding, markdown, visible, words};

/// Most annotations of one kind that GitHub shows for a step; the others it drops without a word.
const MOST: usize = 10;
/// Most cells of one line that are told one by one.
const CELLS: usize = 8;
/// Most characters of a title: GitHub takes 255.
const TITLE: usize = 200;

/// Where the project lies in the repository: `Some("")` at its root, `Some("services/mail")` below, `None` elsewhere.
pub type Folder<'a> = Option<&'a str>;

/// Writes the annotations of a finished run: errors for what fails the gate, warnings for what has no verdict or waits for a decision.
///
/// # Errors
/// Only what `out` answers.
pub fn annotations(report: &RunReport, folder: Folder<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for line in lines(report) {
        if line.news.fails() { errors.push(line.annotation()) } else { warnings.push(line.annotation()) }
    }
    let (told, told_less): (Vec<_>, Vec<_>) = report.problems.iter().partition(|problem| problem.severity == Severity::Error);
    errors.extend(told.into_iter().map(Annotation::of));
    // Notes are for those who read the log.
    warnings.extend(told_less.into_iter().filter(|problem| problem.severity == Severity::Warning).map(Annotation::of));
    if errors.is_empty() && report.exit != Exit::Holds {
        errors.push(verdict(report));
    }
    write(Level::Error, errors, folder, out)?;
    write(Level::Warning, warnings, folder, out)
}

/// Writes annotations of what is wrong with settings or suites.
///
/// # Errors
/// Only what `out` answers.
pub fn problems(problems: &[Problem], folder: Folder<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let of = |severity| problems.iter().filter(move |problem| problem.severity == severity).map(Annotation::of).collect();
    write(Level::Error, of(Severity::Error), folder, out)?;
    write(Level::Warning, of(Severity::Warning), folder, out)
}

/// Writes the page of a job whose command ended early.
///
/// # Errors
/// Only what `out` answers.
pub fn page(exit: Exit, problems: &[Problem], out: &mut dyn io::Write) -> io::Result<()> {
    let mut out = visible::Unheeded::new(out);
    markdown::write_failure(exit, problems, &mut out)?;
    io::Write::flush(&mut out)
}

/// Why a run does not end with 0 although no line of a suite is to blame.
fn verdict(report: &RunReport) -> Annotation {
    let open = report.gates.iter().filter(|gate| gate.outcome != GateOutcome::Pass).take(CELLS);
    let told: Vec<String> = open.map(|gate| visible::brief(&gate.message, 400)).collect();
    let verdict = words::exit(report.exit);
    let message = if told.is_empty() { verdict.to_owned() } else { told.join("\n") };
    Annotation { at: None, title: format!("promptkeel: {verdict}"), message }
}

/// What makes a cell worth a look, what weighs most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum News {
    Failed,
    Unreadable,
    /// The flag: it fails the gate.
    Changed(bool),
    New(bool),
    Errored,
}

impl News {
    fn of(cell: &CellResult, standings: &Standings<'_>) -> Option<Self> {
        match standings.standing(cell) {
            Standing::Failed => return Some(Self::Failed),
            Standing::Errored => return Some(Self::Errored),
            // Of these the run says once what it has to say.
            Standing::Skipped | Standing::Informs(_) => return None,
            Standing::Passed | Standing::Snapshot => {}
        }
        let fails = standings.snapshot_counts(cell);
        match &cell.snapshot {
            SnapshotState::Changed { .. } => Some(Self::Changed(fails)),
            SnapshotState::New { .. } => Some(Self::New(fails)),
            SnapshotState::Unreadable { .. } => Some(Self::Unreadable),
            SnapshotState::Same | SnapshotState::None => None,
        }
    }

    const fn fails(self) -> bool {
        match self {
            Self::Failed | Self::Unreadable => true,
            Self::Changed(fails) | Self::New(fails) => fails,
            Self::Errored => false,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unreadable => "has an unreadable snapshot",
            Self::Changed(_) => "changed its output",
            Self::New(_) => "has a new output",
            Self::Errored => "has no verdict",
        }
    }

    fn cell(self, cell: &CellResult) -> String {
        match (self, &cell.snapshot) {
            (Self::Changed(_), SnapshotState::Changed { .. }) => {
                format!("{}; {}", strange::size(&cell.snapshot, Noun::Sample), finding::snapshot_line(cell))
            }
            (Self::Failed | Self::Errored, _) => finding::leading(cell).map(finding::headline).unwrap_or_default(),
            (Self::Unreadable | Self::Changed(_) | Self::New(_), _) => finding::snapshot_line(cell),
        }
    }
}

/// Cells of one case with the same news. A case that fails with six models is one annotation: there is room for ten.
struct Line<'a> {
    news: News,
    cells: Vec<&'a CellResult>,
}

/// What weighs most first, otherwise in plan order.
fn lines(report: &RunReport) -> Vec<Line<'_>> {
    let standings = Standings::of(report);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for cell in &report.cells {
        let Some(news) = News::of(cell, &standings) else { continue };
        let at = *known.entry((news, &cell.site, &cell.address.suite, &cell.address.case)).or_insert(lines.len());
        match lines.get_mut(at) {
            Some(line) => line.cells.push(cell),
            None => lines.push(Line { news, cells: vec![cell] }),
        }
    }
    lines.sort_by_key(|line| line.news);
    lines
}

impl Line<'_> {
    fn annotation(&self) -> Annotation {
        let first = self.cells[0];
        let mut message = String::new();
        for cell in self.cells.iter().take(CELLS) {
            let address = &cell.address;
            let who = visible::name(&format!("{}@{}::{}", address.prompt, address.version, address.model));
            let _ = writeln!(message, "{who}: {}", self.news.cell(cell));
        }
        if self.cells.len() > CELLS {
            let _ = writeln!(message, "… and {} more cells of this case", figures::count((self.cells.len() - CELLS) as u64));
        }
        let case = visible::name(&format!("{}::{}", first.address.suite, first.address.case));
        let cells = if self.cells.len() > 1 { format!(" ({} cells)", self.cells.len()) } else { String::new() };
        let title = format!("{case} {}{cells}", self.news.words());
        Annotation { at: Some(At::line(&first.site)), title, message: message.trim_end().to_owned() }
    }
}

/// A place of a file, relative to the project.
struct At {
    file: String,
    line: u32,
    /// The first column and the last one, 1-based.
    columns: Option<(u32, u32)>,
}

impl At {
    fn line(site: &Site) -> Self {
        Self { file: site.file.to_string(), line: site.line, columns: None }
    }
}

struct Annotation {
    at: Option<At>,
    title: String,
    /// Lines that are safe to show.
    message: String,
}

impl Annotation {
    fn of(problem: &Problem) -> Self {
        let at = problem.place.as_ref().map(|place| {
            let last = place.column.saturating_add(place.length.saturating_sub(1));
            At { file: place.file.to_string(), line: place.line, columns: Some((place.column, last)) }
        });
        let mut message = visible::brief(&problem.message, 1_000);
        if let Some(hint) = &problem.hint {
            let _ = write!(message, "\nhint: {}", visible::brief(hint, 1_000));
        }
        Self { at, title: "promptkeel".to_owned(), message }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Error,
    Warning,
}

fn write(level: Level, mut annotations: Vec<Annotation>, folder: Folder<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    if annotations.len() > MOST {
        // The last one says what GitHub would not.
        let left = annotations.split_off(MOST - 1).len();
        let kind = match level {
            Level::Error => "errors",
            Level::Warning => "warnings",
        };
        annotations.push(Annotation {
            at: None,
            title: format!("promptkeel: {} more {kind}", figures::count(left as u64)),
            message: format!("GitHub shows {MOST} {kind} of a step. The job summary, the log and the reports have the others."),
        });
    }
    for annotation in annotations {
        let level = match level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let mut line = format!("::{level} ");
        if let (Some(At { file, line: number, columns }), Some(folder)) = (&annotation.at, folder) {
            let path = if folder.is_empty() { file.clone() } else { format!("{folder}/{file}") };
            let _ = write!(line, "file={},line={number}", property(&visible::one_line(&path)));
            if let Some((first, last)) = columns {
                let _ = write!(line, ",col={first},endColumn={last}");
            }
            line.push(',');
        }
        let title = visible::clipped(&visible::one_line(&annotation.title), TITLE);
        writeln!(out, "{line}title={}::{}", property(&title), data(&annotation.message))?;
    }
    Ok(())
}

/// As the runner reads the text behind the second `::` (its `ActionCommand` unescapes the same): the line ends where the command ends.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As it reads a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::problem::Place;
    use crate::report::sample;

    fn told(report: &RunReport, folder: Folder<'_>) -> String {
        let mut out = Vec::new();
        annotations(report, folder, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn annotations_of_a_run() {
        insta::assert_snapshot!(told(&sample::report(), Some("")));
    }

    #[test]
    fn paths_begin_at_the_root_of_the_repository() {
        let text = told(&sample::report(), Some("services/mail, new"));
        assert!(text.starts_with("::error file=services/mail%2C new/suites/ticket-triage.yaml,line=24,title="), "{text}");
        let text = told(&sample::report(), None);
        assert!(!text.contains("file="), "a path that is not in the repository leads nowhere: {text}");
    }

    #[test]
    fn ten_are_shown_and_the_last_one_counts_the_others() {
        let mut report = sample::report();
        let failed = report.cells[1].clone();
        report.problems.clear();
        report.cells = (0..500)
            .map(|number| {
                let mut cell = failed.clone();
                cell.address.case = format!("case-{number}").into();
                cell.site.line = number + 1;
                cell
            })
            .collect();
        let text = told(&report, Some(""));
        assert_eq!(text.matches("::error ").count(), MOST);
        assert_eq!(
            text.lines().last().unwrap(),
            "::error title=promptkeel%3A 491 more errors::GitHub shows 10 errors of a step. The job summary, the log and the reports have the others."
        );
    }

    #[test]
    fn models_that_fail_the_same_case_are_one_annotation() {
        let mut report = sample::report();
        let failed = report.cells[1].clone();
        (report.cells, report.problems) = (vec![failed; 11], Vec::new());
        let text = told(&report, Some(""));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("double-charge failed (11 cells)::"), "{text}");
        assert!(text.ends_with("%0A… and 3 more cells of this case\n"), "{text}");
    }

    #[test]
    fn an_end_that_no_line_is_to_blame_for_is_told_all_the_same() {
        let mut report = sample::report();
        (report.cells, report.problems, report.exit) = (Vec::new(), Vec::new(), Exit::Interrupted);
        let text = told(&report, Some(""));
        assert!(text.starts_with("::error title=promptkeel%3A interrupted::"), "{text}");
        report.exit = Exit::Holds;
        assert_eq!(told(&report, Some("")), "");
    }

    #[test]
    fn a_problem_is_annotated_where_it_stands() {
        let place = Place { file: "suites/a,b.yaml".into(), line: 3, column: 5, length: 4, source: "    asert:".to_owned() };
        let found = [
            Problem::error("unknown key `asert`, 100 % wrong").at(place).hint("did you mean `assert`?\r\n::set-output name=a::b"),
            Problem::warning("no place"),
            Problem::note("not told"),
        ];
        let mut out = Vec::new();
        problems(&found, Some(""), &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn every_line_is_one_of_our_commands(text in proptest::prop_oneof![
            proptest::prelude::any::<String>(), proptest::prelude::Just(sample::HOSTILE.to_owned()),
            "[\r\n:,%#\\[a-z ]{0,40}", "\\PC{0,10}[\r\n]::(set-output|add-mask|stop-commands)::\\PC{0,10}##\\[error\\]",
        ]) {
            let mut report = sample::report();
            for cell in &mut report.cells {
                cell.address.case = text.as_str().into();
                cell.site.file = text.as_str().into();
                for sample in &mut cell.samples {
                    sample.assertions.push(sample::assertions::failed(&text, &text, &text, None));
                }
            }
            for problem in &mut report.problems {
                problem.message.clone_from(&text);
            }
            let told = told(&report, Some(&text));
            // `\r` alone ends a line for some readers.
            for line in told.trim_end_matches('\n').split(['\n', '\r']) {
                let ours = line.starts_with("::error ") || line.starts_with("::warning ");
                proptest::prop_assert!(ours && !line.contains("##["), "{line}");
                let properties = line.split_once(' ').and_then(|(_, rest)| rest.split_once("::")).map(|(properties, _)| properties);
                let names: Vec<&str> = properties.unwrap_or_default().split(',').map(|pair| pair.split_once('=').unwrap_or_default().0).collect();
                let known = [&["file", "line", "title"][..], &["file", "line", "col", "endColumn", "title"], &["title"]];
                proptest::prop_assert!(known.contains(&&names[..]), "{line}");
            }
        }
    }
}
