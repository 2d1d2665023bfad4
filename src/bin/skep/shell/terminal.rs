//! A terminal lent to a guest: every key goes there, and what its console
//! shows comes here as it is.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::mpsc::{self, Receiver};

/// The key that ends the loan: Ctrl-], as telnet has it.
const ESCAPE: u8 = 0x1d;

/// The terminal in raw mode; as it was when dropped.
pub struct Lent {
    before: libc::termios,
    /// Lines and columns.
    pub size: (u16, u16),
}

impl Lent {
    /// Lends the terminal, if standard input and output are one. `escape` is
    /// called when the user wants it back.
    pub fn take(escape: impl Fn() + Send + 'static) -> Option<(Self, Receiver<Vec<u8>>)> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        // SAFETY: an open terminal, and structs that the calls fill.
        let (before, size) = unsafe {
            let mut before = std::mem::zeroed::<libc::termios>();
            if libc::tcgetattr(stdin.as_raw_fd(), &mut before) != 0 {
                return None;
            }
            let mut raw = before;
            libc::cfmakeraw(&mut raw);
            libc::tcsetattr(stdin.as_raw_fd(), libc::TCSANOW, &raw);
            let mut size = std::mem::zeroed::<libc::winsize>();
            libc::ioctl(stdin.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
            (before, size)
        };
        let (sender, keys) = mpsc::channel();
        // It waits for a key when everything is over, and ends with us.
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
                if buffer[..count].contains(&ESCAPE) {
                    escape();
                    break;
                }
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some((Self { before, size: (size.ws_row, size.ws_col) }, keys))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: the settings are those that were there.
        unsafe { libc::tcsetattr(io::stdin().as_raw_fd(), libc::TCSADRAIN, &self.before) };
    }
}

/// Lines and columns of the terminals that standard output and standard error
/// end at; nothing for one that ends elsewhere.
pub fn sizes() -> [Option<(u16, u16)>; 2] {
    [io::stdout().as_fd(), io::stderr().as_fd()].map(|stream| {
        if !stream.is_terminal() {
            return None;
        }
        // SAFETY: an open terminal, and a struct that the call fills.
        unsafe {
            let mut size = std::mem::zeroed::<libc::winsize>();
            libc::ioctl(stream.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size);
            Some((size.ws_row, size.ws_col))
        }
    })
}

/// What comes on standard input, as it comes, up to its end.
pub fn input() -> Receiver<Vec<u8>> {
    // Few chunks wait for somebody to take them; the rest stays where it is.
    let (sender, chunks) = mpsc::sync_channel(4);
    // It may wait for input when everything is over, and ends with us.
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    chunks
}

/// Shows bytes of the guest's console as they are: the terminal is lent.
pub fn show(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    // Nobody is left to tell if this fails.
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}
