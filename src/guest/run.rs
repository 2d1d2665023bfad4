//! Commands that a user runs in the guest: what is built in, or a file they
//! brought.
#![expect(clippy::disallowed_methods, reason = "the guest is alone in its machine")]

use super::channel::Channel;
use super::shell;
use crate::base::process;
use crate::wire::{Reply, Run, Terminal, frame};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Component, Path};
use std::process::ExitStatus;

/// The terminal that QEMU's console is in the guest.
const CONSOLE: &str = "/dev/ttyS0";

/// Lays a file into the root.
pub fn bring(path: &str, executable: bool, bytes: &[u8]) -> Result<(), String> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(format!("{path} is no place for a file"));
    }
    let place = Path::new("/").join(relative);
    let lay = || -> io::Result<()> {
        if let Some(dir) = place.parent() {
            fs::create_dir_all(dir)?;
        }
        // This process may run on a library of that name.
        let beside = place.with_extension("new");
        fs::write(&beside, bytes)?;
        let mode = if executable { 0o555 } else { 0o444 };
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
        fs::rename(&beside, &place)
    };
    lay().map_err(|error| format!("{path} cannot be laid into the guest: {error}"))
}

/// Makes the directories that programs count on. What cannot be made is not
/// missed before somebody looks for it.
pub(super) fn lay_out() {
    for dir in ["/tmp", "/run", "/var/tmp", "/dev/shm", "/dev/pts", "/etc"] {
        drop(fs::create_dir_all(dir));
    }
    if fs::exists("/dev/pts/ptmx").unwrap_or(false) {
        return;
    }
    // SAFETY: strings that end in a zero byte.
    unsafe {
        libc::mount(
            c"devpts".as_ptr(),
            c"/dev/pts".as_ptr(),
            c"devpts".as_ptr(),
            0,
            c"ptmxmode=666".as_ptr().cast(),
        );
    }
}

/// Runs a command in a child process; its exit code.
pub fn run(request: &Run, input: &[u8], channel: &mut Channel) -> io::Result<i32> {
    lay_out();
    match &request.terminal {
        Some(terminal) => on_console(request, terminal),
        None => piped(request, input, channel),
    }
}

/// The command has the console, which is its terminal.
fn on_console(request: &Run, terminal: &Terminal) -> io::Result<i32> {
    // SAFETY: the guest has one thread, so the child may go on as usual.
    let pid = unsafe { libc::fork() };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => {
            let code = match take_console(terminal) {
                Ok(()) => shell::main(&request.words, true, &terminal.kind),
                Err(_) => 126,
            };
            end(code)
        }
        pid => {
            let code = wait(pid);
            // What it wrote is on the wire before its end is told.
            if let Ok(console) = File::open(CONSOLE) {
                // SAFETY: a plain call on an open terminal.
                unsafe { libc::tcdrain(console.as_raw_fd()) };
            }
            Ok(code)
        }
    }
}

/// Makes the console this process's terminal, and its three streams.
fn take_console(terminal: &Terminal) -> io::Result<()> {
    // SAFETY: plain system calls with valid arguments.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        let console = File::options().read(true).write(true).open(CONSOLE)?;
        let fd = console.as_raw_fd();
        if libc::ioctl(fd, libc::TIOCSCTTY, 1) != 0 {
            return Err(io::Error::last_os_error());
        }
        let size = libc::winsize {
            ws_row: terminal.rows,
            ws_col: terminal.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size);
        for stream in 0..3 {
            if libc::dup2(fd, stream) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// The command reads what was sent along, and what it writes goes to the host
/// as it comes.
fn piped(request: &Run, input: &[u8], channel: &mut Channel) -> io::Result<i32> {
    let mut piped = Piped::start(&request.words, input)?;
    while !piped.is_silent() {
        let mut entries: Vec<libc::pollfd> =
            piped.fds().map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: an array of that many valid entries.
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as u64, -1) };
        piped.pass_on(channel)?;
    }
    Ok(piped.wait())
}

/// Our ends of standard output and standard error of what runs, with whether
/// it is the latter; none that was closed.
pub struct Outputs([(Option<File>, bool); 2]);

impl Outputs {
    pub fn new(out: File, error: File) -> Self {
        Self([(Some(out), false), (Some(error), true)])
    }

    /// What to poll.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.0.iter().filter_map(|(stream, _)| Some(stream.as_ref()?.as_raw_fd()))
    }

    /// Whether nothing will come any more.
    pub fn is_silent(&self) -> bool {
        self.0.iter().all(|(stream, _)| stream.is_none())
    }

    /// Hands on what can be read by now; whether there was anything.
    pub fn pass_on(&mut self, channel: &mut Channel) -> io::Result<bool> {
        let mut buffer = vec![0; 64 << 10];
        let mut happened = false;
        for (stream, error) in &mut self.0 {
            let Some(open) = stream else { continue };
            let mut entry = libc::pollfd { fd: open.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid entry.
            if unsafe { libc::poll(&mut entry, 1, 0) } <= 0 {
                continue;
            }
            happened = true;
            match open.read(&mut buffer) {
                // A terminal that nobody writes to any more fails.
                Ok(0) | Err(_) => *stream = None,
                Ok(count) => {
                    frame::write(channel, &Reply::Output { error: *error }, &buffer[..count])?;
                }
            }
        }
        Ok(happened)
    }
}

/// A command whose output is read.
pub struct Piped {
    pid: i32,
    outputs: Outputs,
}

impl Piped {
    /// Starts a command with this standard input; a shell that reads it if
    /// there are no words.
    pub fn start(words: &[String], input: &[u8]) -> io::Result<Self> {
        let mut stdin = memory_file()?;
        stdin.write_all(input)?;
        stdin.rewind()?;
        let (out, out_there) = pipe()?;
        let (err, err_there) = pipe()?;
        // SAFETY: as above.
        let pid = unsafe { libc::fork() };
        match pid {
            ..0 => return Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: plain calls; the child leads a group of its own, so
                // that all of it can be ended.
                unsafe { libc::setpgid(0, 0) };
                let streams: [RawFd; 3] =
                    [stdin.as_raw_fd(), out_there.as_raw_fd(), err_there.as_raw_fd()];
                for (number, fd) in (0..).zip(streams) {
                    // SAFETY: both are open or will be.
                    unsafe { libc::dup2(fd, number) };
                }
                drop((out, err));
                end(shell::main(words, false, "dumb"))
            }
            _ => {}
        }
        Ok(Self { pid, outputs: Outputs::new(out.into(), err.into()) })
    }

    /// What to poll.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.outputs.fds()
    }

    /// Whether nothing will come any more.
    pub fn is_silent(&self) -> bool {
        self.outputs.is_silent()
    }

    /// Hands on what can be read by now; whether there was anything.
    pub fn pass_on(&mut self, channel: &mut Channel) -> io::Result<bool> {
        self.outputs.pass_on(channel)
    }

    /// Waits for the command's end; its exit code.
    pub fn wait(self) -> i32 {
        wait(self.pid)
    }

    /// Ends the command, and what it started.
    pub fn kill(self) {
        // SAFETY: a group that is not reaped yet.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        wait(self.pid);
    }
}

/// Ends the child without running anything of the parent's.
pub(super) fn end(code: i32) -> ! {
    drop(io::stdout().flush());
    // SAFETY: always.
    unsafe { libc::_exit(code) }
}

/// Waits for a child; its exit code, as shells have it.
pub(super) fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a plain call on a child that is not reaped yet.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return 1;
        }
    }
    process::exit_code(ExitStatus::from_raw(status))
}

pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are ours afterwards.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

pub(super) fn memory_file() -> io::Result<File> {
    // SAFETY: a plain system call with a constant name; the result is ours.
    unsafe {
        match libc::memfd_create(c"input".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(File::from_raw_fd(fd)),
        }
    }
}
