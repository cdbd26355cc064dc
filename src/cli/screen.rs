//! How is a whole terminal taken, drawn on, listened to, and given back as it was?

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{cursor, execute, queue};

use crate::report::terminal::paint::PLAIN;
use crate::review::body::Line;
use crate::review::state::{Key, Size};

/// So long nobody notices that a signal was not heard.
const LISTEN: Duration = Duration::from_millis(50);

/// So long a terminal that takes nothing any more is waited for.
const LAST: Duration = Duration::from_millis(200);

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

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
        let screen = Self { colour };
        // From the first question on crossterm hears of another size; the size is read after that, so that none is missed.
        is_there(Duration::ZERO)?;
        event::poll(Duration::ZERO)?;
        Ok(screen)
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
        // Of a terminal that is gone crossterm reads again and again, and never returns.
        is_there(Duration::ZERO)?;
        if !event::poll(Duration::ZERO)? {
            let rest = if is_there(LISTEN)? { Duration::ZERO } else { LISTEN };
            if !event::poll(rest)? {
                return Ok(Heard::Silence);
            }
        }
        next()
    }

    /// Forgets keys that were pressed before anything was shown that they could be about; Ctrl-C counts whenever it was pressed.
    pub(crate) fn forget(&self) -> io::Result<Heard> {
        is_there(Duration::ZERO)?;
        while event::poll(Duration::ZERO)? {
            if matches!(next()?, Heard::Interrupt) {
                return Ok(Heard::Interrupt);
            }
            is_there(Duration::ZERO)?;
        }
        Ok(Heard::Silence)
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

/// What comes next; a text that is pasted is no key.
fn next() -> io::Result<Heard> {
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => heard(key),
        Event::Resize(..) => Heard::Resized,
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => Heard::Silence,
    })
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide).inspect_err(|_| leave())
}

/// A terminal that is gone needs nothing back.
fn leave() {
    // First what cannot block: a terminal that was stopped takes no byte.
    let _ = terminal::disable_raw_mode();
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, cursor::Show, LeaveAlternateScreen);
    TAKEN.store(false, Ordering::SeqCst);
}

/// Gives the terminal back, if it is taken, from a thread that is about to end the process: nothing is dropped any more then.
pub(crate) fn give_back() {
    if !TAKEN.load(Ordering::SeqCst) {
        return;
    }
    let (sender, left) = mpsc::channel();
    // Whoever draws may hold the lock of the standard output, and wait for a terminal that takes nothing.
    std::thread::spawn(move || {
        leave();
        let _ = sender.send(());
    });
    let _ = left.recv_timeout(LAST);
}

/// Waits until the terminal has something to say; an error where it is gone, `false` where it cannot be waited for.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn is_there(most: Duration) -> io::Result<bool> {
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    let stdin = io::stdin();
    let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waited, PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return Ok(false),
    }
    let events = waited[0].revents().unwrap_or(PollFlags::empty());
    if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(!events.contains(PollFlags::POLLNVAL))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn is_there(_: Duration) -> io::Result<bool> {
    Ok(false)
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
            KeyCode::Char('u') => Heard::Key(Key::Clear),
            KeyCode::Char('w') | KeyCode::Backspace => Heard::Key(Key::EraseWord),
            KeyCode::Char('h') => Heard::Key(Key::Backspace),
            _ => Heard::Silence,
        };
    }
    Heard::Key(match key.code {
        // Shift and a letter come as the capital letter from nearly every terminal; from the others as both.
        KeyCode::Char(letter) if key.modifiers.contains(KeyModifiers::SHIFT) => Key::Char(letter.to_ascii_uppercase()),
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Backspace if key.modifiers.contains(KeyModifiers::ALT) => Key::EraseWord,
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

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the test starts itself again, in a terminal of its own")]

    use std::io::Read;
    use std::process::Command;

    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    /// Tells the process that this test starts that it is the one with the terminal.
    const INSIDE: &str = "PROMPTKEEL_TEST_PANICS_ON_ITS_SCREEN";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told_of() {
        if std::env::var_os(INSIDE).is_some() {
            let _screen = Screen::open(true).unwrap();
            panic!("a planted panic");
        }
        let (mut pty, terminal) = pty_process::blocking::open().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cli::screen::tests::a_panic_gives_the_terminal_back_before_it_is_told_of", "--nocapture"]);
        command.env(INSIDE, "1").env("TERM", "xterm-256color");
        let mut child = pty_process::blocking::Command::from(command).spawn(terminal).unwrap();
        let (mut told, mut buffer) = (Vec::new(), [0; 4096]);
        // When the other end is gone, Linux says EIO.
        while let Ok(count @ 1..) = pty.read(&mut buffer) {
            told.extend_from_slice(&buffer[..count]);
        }
        assert!(!child.wait().unwrap().success());
        let told = String::from_utf8_lossy(&told);
        let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("no {text:?} in {told:?}"));
        let (taken, given, panicked) = (place("\u{1b}[?1049h"), place("\u{1b}[?1049l"), place("a planted panic"));
        assert!(taken < given && given < panicked && place("\u{1b}[?25h") < panicked, "{told:?}");
        let modes = tcgetattr(&pty).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
    }
}
