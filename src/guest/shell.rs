//! The little that can be done in a guest without bringing anything: a shell
//! of words, quotes, `;` and `>`, and the commands one looks around with.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the guest is alone in its machine, and its commands print"
)]

use super::network;
use super::run::{end, wait};
use super::{calls, deeds};
use crate::base::process;
use crate::wire::BROUGHT;
use libbpf_sys as sys;
use std::ffi::{CStr, CString, c_char};
use std::fs::{self, File};
use std::io::{self, BufRead as _, Read as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

/// What `help` says.
const HELP: &str = "\
bpf prog list, bpf map list  what is loaded
cat FILE...                  show files
cd DIR, pwd                  go somewhere; where am I
dmesg                        the kernel's messages
echo WORD...                 say something; `> FILE` and `>> FILE` write it
exit [CODE]                  leave, and end the machine
far COMMAND...               do it at the far end of the network
help                         this
ls [-l] [PATH...]            what is there
mount [-t TYPE SOURCE DIR]   file systems
ps                           processes
repeat N COMMAND...          do it so many times
uname [-a]                   the kernel's release
";

/// What it ends with.
const OTHERS: &str = "\
Other names are files of /bring (see `--bring`) or paths.
";

/// A command's words, or a shell if there are none; the exit code.
pub fn main(words: &[String], interactive: bool, terminal: &str) -> i32 {
    let mut shell = Shell::new(terminal);
    match words {
        [] => shell.read(interactive),
        words => shell.command(words, &mut io::stdout()),
    }
}

/// A shell: this process, as long as it is one.
pub struct Shell {
    /// The last command's exit code.
    pub code: i32,
    /// Its error number, if it failed with one.
    pub errno: i32,
    /// What the last system call gave that was called by name.
    result: i64,
    terminal: String,
}

/// Where a command's output goes.
enum Redirect {
    Over(String),
    Behind(String),
}

impl Shell {
    /// Makes this process one.
    pub fn new(terminal: &str) -> Self {
        // A brought program gets Ctrl-C, the shell goes on.
        // SAFETY: nothing but the disposition and the name is changed.
        unsafe {
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            // Programs that look see a shell, and not the first process.
            libc::prctl(libc::PR_SET_NAME, c"sh".as_ptr());
        }
        Self { code: 0, errno: 0, result: 0, terminal: terminal.to_owned() }
    }

    /// Runs the commands of a line; whether it is to end with that.
    pub fn line(&mut self, line: &str) -> bool {
        for (words, redirect) in split(line) {
            let words: Vec<String> = words.iter().map(|word| self.meant(word)).collect();
            let redirect = redirect.map(|redirect| match redirect {
                Redirect::Over(path) => Redirect::Over(self.meant(&path)),
                Redirect::Behind(path) => Redirect::Behind(self.meant(&path)),
            });
            if words.first().is_some_and(|word| word == "exit") {
                let code = words.get(1).and_then(|code| code.parse().ok());
                self.code = code.unwrap_or(self.code);
                return true;
            }
            self.errno = 0;
            self.code = self.redirected(&words, redirect);
        }
        false
    }

    /// Reads commands from standard input and runs them.
    fn read(&mut self, interactive: bool) -> i32 {
        let mut input = io::stdin().lock();
        loop {
            if interactive {
                let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                print!("{} # ", release.trim());
                drop(io::stdout().flush());
            }
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return self.code,
                Ok(_) => {}
            }
            if self.line(&String::from_utf8_lossy(&line)) {
                return self.code;
            }
        }
    }

    fn redirected(&mut self, words: &[String], redirect: Option<Redirect>) -> i32 {
        let file = match &redirect {
            None => return self.command(words, &mut io::stdout()),
            Some(Redirect::Over(path)) => {
                File::options().write(true).create(true).truncate(true).open(path)
            }
            Some(Redirect::Behind(path)) => File::options().append(true).create(true).open(path),
        };
        match file {
            Ok(mut file) => self.command(words, &mut file),
            Err(error) => {
                let (Some(Redirect::Over(path) | Redirect::Behind(path)), name) =
                    (redirect, words.first().map_or("", String::as_str))
                else {
                    return 1;
                };
                self.errno = number_of(&error);
                complain(name, &format!("{path}: {error}"))
            }
        }
    }

    /// Runs one command; its exit code.
    fn command(&mut self, words: &[String], out: &mut dyn Write) -> i32 {
        let Some((name, arguments)) = words.split_first() else { return self.code };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let result = match name.as_str() {
            "help" => out.write_all([HELP, deeds::HELP, calls::HELP, OTHERS].concat().as_bytes()),
            "cat" => cat(&arguments, out),
            "cd" => std::env::set_current_dir(arguments.first().unwrap_or(&"/")),
            "pwd" => std::env::current_dir().and_then(|dir| writeln!(out, "{}", dir.display())),
            // One call of write(2), whoever looks.
            "echo" => out.write_all(format!("{}\n", arguments.join(" ")).as_bytes()),
            "ls" => ls(&arguments, out),
            "mount" => mount(&arguments, out),
            "dmesg" => dmesg(out),
            "ps" => ps(out),
            "uname" => uname(&arguments, out),
            "bpf" => bpf(&arguments, out),
            "true" => Ok(()),
            "false" => return 1,
            "repeat" => return self.repeat(words, out),
            "far" => return self.far(&words[1..], out),
            "fork" => return self.fork(&words[1..], out),
            _ => match deeds::command(name, &arguments)
                .or_else(|| calls::command(name, &arguments, &mut self.result))
            {
                Some(result) => result,
                None => return self.program(name, &arguments),
            },
        };
        match result {
            Ok(()) => 0,
            Err(error) => {
                self.errno = number_of(&error);
                complain(name, &error.to_string())
            }
        }
    }

    /// A word with what `$?`, `$$` and `$_` stand for.
    fn meant(&self, word: &str) -> String {
        word.replace("$?", &self.code.to_string())
            .replace("$$", &std::process::id().to_string())
            .replace("$_", &self.result.to_string())
            .replace(DOLLAR, "$")
    }

    /// Runs a command in a process of its own; its exit code.
    fn fork(&mut self, command: &[String], out: &mut dyn Write) -> i32 {
        // SAFETY: the shell has one thread, so the child may go on as usual.
        match unsafe { libc::fork() } {
            ..0 => {
                let error = io::Error::last_os_error();
                self.errno = number_of(&error);
                complain("fork", &error.to_string())
            }
            0 => {
                let code = if command.is_empty() { 0 } else { self.command(command, out) };
                end(code)
            }
            child => wait(child),
        }
    }

    /// Runs a command so many times; the last exit code.
    fn repeat(&mut self, words: &[String], out: &mut dyn Write) -> i32 {
        let times = words.get(1).and_then(|times| times.parse::<u64>().ok());
        let (Some(times), [_, _, command @ ..]) = (times, words) else {
            return complain("repeat", "it is used as `repeat N COMMAND...`");
        };
        (0..times).fold(0, |_, _| self.command(command, out))
    }

    /// Runs a command in the far network namespace.
    fn far(&mut self, command: &[String], out: &mut dyn Write) -> i32 {
        if !network::is_laid() {
            return complain("far", "there is no network but this one");
        }
        let result = network::within(network::FAR_NAMESPACE, || Ok(self.command(command, out)));
        result.unwrap_or_else(|error| complain("far", &error.to_string()))
    }

    /// Runs a file: one that was brought, or at a path.
    fn program(&mut self, name: &str, arguments: &[&str]) -> i32 {
        let brought = format!("/{BROUGHT}/{name}");
        let path = if name.contains('/') { name } else { brought.as_str() };
        if !Path::new(path).exists() {
            complain(name, "no such command; `help` lists those there are");
            return 127;
        }
        let mut command = std::process::Command::new(path);
        command.arg0(name).args(arguments).env_clear();
        command.env("PATH", format!("/{BROUGHT}")).env("HOME", "/").env("TERM", &self.terminal);
        // SAFETY: only an async-signal-safe call between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        match command.status() {
            Ok(status) => process::exit_code(status),
            Err(error) => {
                self.errno = number_of(&error);
                match error.kind() {
                    // What is missing is what runs it; for what has no format
                    // that the kernel knows that is a shell (execvp(3)).
                    io::ErrorKind::NotFound => {
                        complain(
                            name,
                            "it is no program for this machine, or what runs it is not here",
                        );
                    }
                    _ => {
                        complain(name, &error.to_string());
                    }
                }
                126
            }
        }
    }
}

/// An error about a path.
#[derive(Debug)]
struct About {
    path: String,
    error: io::Error,
}

impl std::fmt::Display for About {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.path, self.error)
    }
}

impl std::error::Error for About {}

/// Says what an error is about, without losing its number.
fn about(path: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), About { path: path.to_owned(), error })
}

/// The error's number; 0 if it has none.
fn number_of(error: &io::Error) -> i32 {
    let inner = || error.get_ref()?.downcast_ref::<About>()?.error.raw_os_error();
    error.raw_os_error().or_else(inner).unwrap_or(0)
}

/// Says what went wrong on standard error.
fn complain(name: &str, what: &str) -> i32 {
    let what = what.split(" (os error").next().unwrap_or_default();
    // Nobody is left to tell if this fails.
    drop(writeln!(io::stderr(), "{name}: {what}"));
    1
}

/// Stands for a dollar sign that is only that: no argument can have this in it.
const DOLLAR: char = '\0';

/// The commands of a line: words, and where their output goes.
fn split(line: &str) -> Vec<(Vec<String>, Option<Redirect>)> {
    let mut commands = vec![(Vec::new(), None)];
    let mut word: Option<String> = None;
    // 1: the next word is a file to write over, 2: to write behind.
    let mut arrows = 0;
    let mut quote = None;
    let mut chars = line.trim_end_matches(['\n', '\r']).chars().chain([';']).peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                let next = chars.next_if(|_| true).unwrap_or('\\');
                word.get_or_insert_default().push(if next == '$' { DOLLAR } else { next });
            }
            (Some('\''), '$') => word.get_or_insert_default().push(DOLLAR),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => {
                // A comment goes up to the end.
                while chars.next_if(|_| true).is_some() {}
                return commands;
            }
            (None, ' ' | '\t' | ';' | '>') => {
                let last = commands.last_mut();
                if let (Some(word), Some((words, redirect))) = (word.take(), last) {
                    match std::mem::take(&mut arrows) {
                        0 => words.push(word),
                        1 => *redirect = Some(Redirect::Over(word)),
                        _ => *redirect = Some(Redirect::Behind(word)),
                    }
                }
                match c {
                    '>' => arrows += 1,
                    ';' => commands.push((Vec::new(), None)),
                    _ => {}
                }
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands.retain(|(words, redirect)| !words.is_empty() || redirect.is_some());
    commands
}

fn cat(paths: &[&str], out: &mut dyn Write) -> io::Result<()> {
    if paths.is_empty() {
        return io::copy(&mut io::stdin(), out).map(drop);
    }
    for path in paths {
        let named = about(path);
        let mut file = File::open(path).map_err(&named)?;
        // Files of tracefs and others block or end as they please.
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer).map_err(&named)? {
                0 => break,
                count => out.write_all(&buffer[..count])?,
            }
        }
    }
    Ok(())
}

fn ls(arguments: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let long = arguments.contains(&"-l");
    let mut paths: Vec<&str> =
        arguments.iter().copied().filter(|argument| !argument.starts_with('-')).collect();
    if paths.is_empty() {
        paths.push(".");
    }
    for path in paths {
        let named = about(path);
        let mut entries = match fs::symlink_metadata(path).map_err(named)?.is_dir() {
            true => fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path()).collect(),
            false => vec![path.into()],
        };
        entries.sort();
        for entry in entries {
            let name = match entry.file_name() {
                Some(name) if entry.as_path() != Path::new(path) => name.to_string_lossy(),
                _ => entry.to_string_lossy(),
            };
            if !long {
                writeln!(out, "{name}")?;
            } else if let Ok(metadata) = fs::symlink_metadata(&entry) {
                let kind = metadata.file_type();
                let letter = match () {
                    () if kind.is_dir() => 'd',
                    () if kind.is_symlink() => 'l',
                    () if kind.is_char_device() => 'c',
                    () if kind.is_block_device() => 'b',
                    () => '-',
                };
                let mode = metadata.mode() & 0o7777;
                writeln!(out, "{letter} {mode:04o} {:>12} {name}", metadata.len())?;
            }
        }
    }
    Ok(())
}

fn mount(arguments: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let [option, kind, source, target] = arguments else {
        if arguments.is_empty() {
            return cat(&["/proc/mounts"], out);
        }
        return Err(io::Error::other("it is used as `mount -t TYPE SOURCE DIR`"));
    };
    if *option != "-t" {
        return Err(io::Error::other("it is used as `mount -t TYPE SOURCE DIR`"));
    }
    let text = |text: &str| CString::new(text).map_err(io::Error::other);
    let (kind, source, target) = (text(kind)?, text(source)?, text(target)?);
    // SAFETY: three strings that end in a zero byte, and no data.
    let result = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, std::ptr::null())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn dmesg(out: &mut dyn Write) -> io::Result<()> {
    /// `SYSLOG_ACTION_READ_ALL` of syslog(2).
    const READ_ALL: i32 = 3;
    let mut buffer = vec![0_u8; 4 << 20];
    let size = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
    // SAFETY: the buffer has this size.
    let count = unsafe { libc::klogctl(READ_ALL, buffer.as_mut_ptr().cast(), size) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for line in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
        // `<6>` stands in front: how urgent it is.
        let start = match line.first() {
            Some(b'<') => line.iter().position(|&byte| byte == b'>').map_or(0, |at| at + 1),
            _ => 0,
        };
        out.write_all(&line[start..])?;
    }
    Ok(())
}

fn ps(out: &mut dyn Write) -> io::Result<()> {
    let mut pids: Vec<u32> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    writeln!(out, "{:>7} NAME", "PID")?;
    for pid in pids {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = if line.is_empty() { format!("[{}]", name.trim()) } else { line };
        writeln!(out, "{pid:>7} {name}")?;
    }
    Ok(())
}

fn uname(arguments: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let mut names = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `uname` fills the struct; zeroes are valid if it does not.
    let names = unsafe {
        libc::uname(names.as_mut_ptr());
        names.assume_init()
    };
    let text = |field: &[c_char]| {
        // SAFETY: a string of the kernel's, ending in a zero byte.
        unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned()
    };
    match arguments {
        [] | ["-r"] => writeln!(out, "{}", text(&names.release)),
        _ => writeln!(
            out,
            "{} {} {} {}",
            text(&names.sysname),
            text(&names.release),
            text(&names.version),
            text(&names.machine)
        ),
    }
}

fn bpf(arguments: &[&str], out: &mut dyn Write) -> io::Result<()> {
    match arguments {
        ["prog", "list" | "show"] | ["prog"] => programs(out),
        ["map", "list" | "show"] | ["map"] => maps(out),
        _ => Err(io::Error::other("it is used as `bpf prog list` or `bpf map list`")),
    }
}

/// Follows the kernel's numbers for one kind of object.
fn each(
    next: unsafe extern "C" fn(u32, *mut u32) -> i32,
    open: unsafe extern "C" fn(u32) -> i32,
    show: &mut dyn FnMut(u32, i32) -> io::Result<()>,
) -> io::Result<()> {
    let mut id = 0;
    // SAFETY: plain calls of libbpf with a pointer to a local.
    while unsafe { next(id, &mut id) } == 0 {
        // SAFETY: as above.
        let fd = unsafe { open(id) };
        if fd >= 0 {
            let result = show(id, fd);
            // SAFETY: opened above.
            unsafe { libc::close(fd) };
            result?;
        }
    }
    // The end is an error, too.
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(error) }
}

/// A name in one of libbpf's structs.
fn name(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&c| c.cast_unsigned()).collect();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn programs(out: &mut dyn Write) -> io::Result<()> {
    each(sys::bpf_prog_get_next_id, sys::bpf_prog_get_fd_by_id, &mut |id, fd| {
        // SAFETY: zeroes are a valid `bpf_prog_info`, which asks for no
        // arrays; the strings are libbpf's own or null.
        unsafe {
            let mut info = std::mem::zeroed::<sys::bpf_prog_info>();
            let mut size = size_of_val(&info) as u32;
            if sys::bpf_prog_get_info_by_fd(fd, &mut info, &mut size) != 0 {
                return Ok(());
            }
            let kind = sys::libbpf_bpf_prog_type_str(info.type_);
            let kind = match kind.is_null() {
                true => info.type_.to_string(),
                false => CStr::from_ptr(kind).to_string_lossy().into_owned(),
            };
            writeln!(
                out,
                "{id:>5} {kind:<16} {:<16} xlated {} jited {}",
                name(&info.name),
                info.xlated_prog_len,
                info.jited_prog_len
            )
        }
    })
}

fn maps(out: &mut dyn Write) -> io::Result<()> {
    each(sys::bpf_map_get_next_id, sys::bpf_map_get_fd_by_id, &mut |id, fd| {
        // SAFETY: as for programs.
        unsafe {
            let mut info = std::mem::zeroed::<sys::bpf_map_info>();
            let mut size = size_of_val(&info) as u32;
            if sys::bpf_map_get_info_by_fd(fd, &mut info, &mut size) != 0 {
                return Ok(());
            }
            let kind = sys::libbpf_bpf_map_type_str(info.type_);
            let kind = match kind.is_null() {
                true => info.type_.to_string(),
                false => CStr::from_ptr(kind).to_string_lossy().into_owned(),
            };
            writeln!(
                out,
                "{id:>5} {kind:<16} {:<16} key {} value {} entries {}",
                name(&info.name),
                info.key_size,
                info.value_size,
                info.max_entries
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        let show = |(words, redirect): (Vec<String>, Option<Redirect>)| {
            let redirect = match redirect {
                None => String::new(),
                Some(Redirect::Over(path)) => format!(">{path}"),
                Some(Redirect::Behind(path)) => format!(">>{path}"),
            };
            format!("{}{redirect}", words.join("|"))
        };
        split(line).into_iter().map(show).collect::<Vec<_>>().join(" ; ")
    }

    #[test]
    fn dollars_in_single_quotes_stay_dollars() {
        let shell = Shell { code: 3, errno: 0, result: 7, terminal: String::new() };
        let meant = |line: &str| {
            let words = split(line).into_iter().flat_map(|(words, _)| words);
            words.map(|word| shell.meant(&word)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(meant("echo $? \"$_\" '$?' \\$_ $x"), "echo 3 7 $? $_ $x");
    }

    #[test]
    fn lines_are_split_as_shells_do() {
        assert_eq!(words("cat /a  /b\n"), "cat|/a|/b");
        assert_eq!(words("echo 'a  b' \"c \\\" d\" e\\ f;ls"), "echo|a  b|c \" d|e f ; ls");
        assert_eq!(words("echo 1 > /x; echo 2>>/y"), "echo|1>/x ; echo|2>>/y");
        assert_eq!(words("echo '' # rest"), "echo|");
        assert_eq!(words("# nothing"), "");
        assert_eq!(words("  ;; "), "");
        assert_eq!(words("echo 'open"), "echo");
    }
}
