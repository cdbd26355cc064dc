//! Where does a command print, with which colour and width? The one place that writes to the terminal.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use serde::Serialize;

use crate::cli::arguments::ColourChoice;
use crate::cli::environment::Environment;
use crate::cli::project::Failure;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::report::style::Style;
use crate::report::{problem, spelled, terminal};

/// Standard output for results, standard error for what goes wrong and what goes on.
#[derive(Debug)]
pub(crate) struct Console {
    colour_out: bool,
    colour_error: bool,
    width: u16,
    verbosity: u8,
    goes_on_unread: bool,
}

impl Console {
    /// Decides on colour once: the flag, else NO_COLOR, CLICOLOR and whether the stream is a terminal. `goes_on_unread`: it is no failure that
    /// nobody reads standard output any more.
    pub(crate) fn new(choice: ColourChoice, verbosity: u8, goes_on_unread: bool) -> Self {
        let colour = |automatic: ColorChoice| match choice {
            ColourChoice::Auto => automatic != ColorChoice::Never,
            ColourChoice::Always => true,
            ColourChoice::Never => false,
        };
        let columns = Environment::variable("COLUMNS").and_then(|columns| columns.parse().ok());
        Self {
            colour_out: colour(anstream::AutoStream::choice(&io::stdout())),
            colour_error: colour(anstream::AutoStream::choice(&io::stderr())),
            width: columns.or_else(terminal_width).unwrap_or(100).clamp(40, 240),
            verbosity,
            goes_on_unread,
        }
    }

    /// How standard output is drawn.
    pub(crate) fn style(&self) -> Style {
        Style { colour: self.colour_out, width: self.width }
    }

    /// How standard error is drawn.
    pub(crate) fn error_style(&self) -> Style {
        Style { colour: self.colour_error, width: self.width }
    }

    /// Standard error is a terminal: progress may move.
    pub(crate) fn is_interactive() -> bool {
        io::stderr().is_terminal()
    }

    /// Standard output is a terminal: it can be cleared.
    pub(crate) fn is_screen() -> bool {
        io::stdout().is_terminal()
    }

    /// How often `-v` was given.
    pub(crate) const fn verbosity(&self) -> u8 {
        self.verbosity
    }

    /// Standard output, buffered.
    pub(crate) fn out(&self) -> impl Write + use<> {
        io::BufWriter::new(self.standard())
    }

    fn standard(&self) -> impl Write + use<> {
        Standard { out: io::stdout().lock(), goes_on_unread: self.goes_on_unread }
    }

    /// A text to standard output, whole lines.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        terminal::plain(text, &mut self.out()).map_err(Self::broken)
    }

    /// One line to standard output.
    pub(crate) fn line(&self, line: Arguments<'_>) -> Result<(), Failure> {
        terminal::plain(&format!("{line}\n"), &mut self.standard()).map_err(Self::broken)
    }

    /// A line to standard error; a closed standard error stops nothing.
    pub(crate) fn tell(&self, line: Arguments<'_>) {
        let _ = terminal::plain(&format!("{line}\n"), &mut io::stderr().lock());
    }

    /// Commands to the CI system, as they are: no other line may be one. Standard error, so that standard output holds the result alone;
    /// the runner reads both.
    pub(crate) fn command(&self, lines: &[u8]) {
        let _ = io::stderr().lock().write_all(lines);
    }

    /// Pretty JSON to standard output.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut out = self.out();
        spelled::write_pretty(&mut out, value).map_err(Self::broken)?;
        writeln!(out).and_then(|()| out.flush()).map_err(Self::broken)
    }

    /// Takes everything from the screen, but nothing from what can be scrolled back to. Answers whether there is a screen.
    pub(crate) fn clear(&self) -> Result<bool, Failure> {
        let is_screen = Self::is_screen();
        if is_screen {
            let mut out = io::stdout().lock();
            out.write_all(b"\x1b[H\x1b[2J").and_then(|()| out.flush()).map_err(Self::broken)?;
        }
        Ok(is_screen)
    }

    /// Problems to standard error, with their lines and carets.
    pub(crate) fn problems(&self, problems: &[Problem]) {
        if !problems.is_empty() {
            let _ = problem::write(problems, &mut io::stderr().lock(), self.error_style());
        }
    }

    /// Standard output is gone.
    pub(crate) fn broken(error: io::Error) -> Failure {
        let problem = Problem::error(format!("cannot write to standard output: {error}"));
        Failure { is_unread: error.kind() == io::ErrorKind::BrokenPipe, ..Failure::of(Exit::NotWritten, problem) }
    }
}

/// Standard output, which may have no reader any more.
struct Standard<W> {
    out: W,
    goes_on_unread: bool,
}

impl<W> Standard<W> {
    fn read<T>(&self, done: io::Result<T>, unread: T) -> io::Result<T> {
        match done {
            Err(error) if self.goes_on_unread && error.kind() == io::ErrorKind::BrokenPipe => Ok(unread),
            done => done,
        }
    }
}

impl<W: Write> Write for Standard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.read(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.read(done, ())
    }
}

/// `1 case`, `2 cases`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// The terminal's width, as indicatif's own terminal library reports it.
fn terminal_width() -> Option<u16> {
    let width = indicatif::TermLike::width(&console::Term::stdout());
    io::stdout().is_terminal().then_some(width)
}
