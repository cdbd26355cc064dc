//! How is a whole terminal taken, drawn on, listened to, and given back as it was?

use std::io::{self, Write};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{cursor, execute, queue};

use crate::report::terminal::paint::PLAIN;
use crate::review::body::Line;
use crate::review::state::{Key, Size};

/// So long nobody notices that a signal was not heard.
const LISTEN: Duration = Duration::from_millis(50);

/// A terminal in raw mode on its alternate screen, as long as this lives.
pub(crate) struct Screen {
    colour: bool,
}

/// What came from the terminal.
#[derive(Debug)]
pub(crate) enum Heard {
    Key(Key),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    Resized,
    /// Nothing for a while.
    Silence,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it is told of.
    pub(crate) fn open(colour: bool) -> io::Result<Self> {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            told(panic);
        }));
        enter()?;
        Ok(Self { colour })
    }

    pub(crate) fn size() -> Size {
        let (width, height) = terminal::size().unwrap_or((80, 24));
        Size { width: usize::from(width), height: usize::from(height) }
    }

    /// Draws all rows; what stood below them goes away.
    pub(crate) fn draw(&self, rows: &[Line]) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, line) in (0_u16..).zip(rows) {
            queue!(out, cursor::MoveTo(0, row))?;
            for piece in line {
                if self.colour && piece.style != PLAIN && !piece.text.is_empty() {
                    write!(out, "{}{}{:#}", piece.style, piece.text, piece.style)?;
                } else {
                    out.write_all(piece.text.as_bytes())?;
                }
            }
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        out.flush()
    }

    /// Waits a little for a key.
    pub(crate) fn listen(&self) -> io::Result<Heard> {
        if !event::poll(LISTEN)? {
            return Ok(Heard::Silence);
        }
        Ok(match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => heard(key),
            Event::Resize(..) => Heard::Resized,
            Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => Heard::Silence,
        })
    }

    /// Gives the terminal to the shell until the person comes back.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        leave();
        stop();
        enter()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
        // Without the hook that was there before a later panic would leave a screen that nobody took.
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, cursor::Hide).inspect_err(|_| leave())
}

/// A terminal that is gone needs nothing back.
fn leave() {
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, cursor::Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn stop() {
    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP);
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn stop() {}

fn heard(key: KeyEvent) -> Heard {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Heard::Interrupt,
            KeyCode::Char('z') => Heard::Suspend,
            KeyCode::Char('f') => Heard::Key(Key::PageDown),
            KeyCode::Char('b') => Heard::Key(Key::PageUp),
            _ => Heard::Silence,
        };
    }
    Heard::Key(match key.code {
        // Shift and a letter come as the capital letter from nearly every terminal; from the others as both.
        KeyCode::Char(letter) if key.modifiers.contains(KeyModifiers::SHIFT) => Key::Char(letter.to_ascii_uppercase()),
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left | KeyCode::BackTab => Key::Left,
        KeyCode::Right | KeyCode::Tab => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return Heard::Silence,
    })
}
