//! Deeds that are one or two system calls, so that a test can say exactly what
//! happens: calls by name, and what they are made of most often.

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of_val};
use std::net::SocketAddr;
use std::path::Path;

/// What `help` says of them.
pub const HELP: &str = "\
bind, connect, listen ADDRESS:PORT
                             do just that with a TCP socket
call A B                     call the function skep_call of /init: A plus B
fork [COMMAND...]            do it in a process of its own
kill [-SIGNAL] PID           send a signal; 0 only asks
open PATH [r|w|rw|a]         open a file, which must be there, and close it
syscall NAME [ARG...]        a system call by name or number; $_ is its result
                             afterwards. ARG: a number, a text, @N for N zero bytes
";

/// Does what a command is for; nothing if there is no such command. What a
/// system call gives is left in `result`.
pub fn command(name: &str, arguments: &[&str], result: &mut i64) -> Option<io::Result<()>> {
    Some(match (name, arguments) {
        ("syscall", [call, arguments @ ..]) if arguments.len() <= 6 => {
            syscall(call, arguments).map(|value| *result = value)
        }
        ("call", [first, second]) => call(first, second),
        ("open", [path]) => open(path, "r"),
        ("open", [path, mode]) => open(path, mode),
        ("kill", [pid]) => kill("TERM", pid),
        ("kill", [signal, pid]) => kill(signal.trim_start_matches('-'), pid),
        ("bind" | "connect" | "listen", [address]) => socket(name, address),
        ("call" | "syscall" | "open" | "kill" | "bind" | "connect" | "listen", _) => {
            let usage = HELP.lines().find(|line| line.contains(name)).unwrap_or_default();
            Err(io::Error::other(format!("it is used as in: {}", usage.trim())))
        }
        _ => return None,
    })
}

/// What a system call gave, or its error.
fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(value.cast_signed().wrapping_mul(sign))
}

fn syscall(name: &str, arguments: &[&str]) -> io::Result<i64> {
    let known = CALLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let Some(call) = known.or_else(|| number(name)) else {
        return Err(io::Error::other(format!("no system call `{name}` is known; give its number")));
    };
    // What the arguments point to lives through the call.
    let mut bytes: Vec<Vec<u8>> = Vec::new();
    let mut values = [0_i64; 6];
    for (value, text) in values.iter_mut().zip(arguments) {
        if let Some(plain) = number(text) {
            *value = plain;
            continue;
        }
        let room = match text.strip_prefix('@').and_then(|size| size.parse().ok()) {
            Some(size) => vec![0; size],
            None => [text.as_bytes(), &[0]].concat(),
        };
        bytes.push(room);
        let at = bytes.last_mut().map_or(std::ptr::null_mut(), |bytes| bytes.as_mut_ptr());
        *value = at as i64;
    }
    let [a, b, c, d, e, f] = values;
    // SAFETY: what the kernel makes of these arguments is what the user asked
    // for; the process is there for nothing else.
    checked(unsafe { libc::syscall(call, a, b, c, d, e, f) })
}

/// Where the program that every guest has lies in it.
pub const PATH: &str = "/init";

/// Where its function of that name begins, in bytes from the file's beginning.
pub fn offset_of(function: &str) -> Option<u64> {
    let at = if function == "skep_call" { skep_call as *const () as u64 } else { return None };
    let maps = crate::base::fs::read_to_string(Path::new("/proc/self/maps")).ok()?;
    maps.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (start, end, offset) = (number(start)?, number(end)?, number(words.nth(1)?)?);
        (start..end).contains(&at).then(|| at - start + offset)
    })
}

/// What probes of programs can be attached to wherever there is a guest.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn skep_call(first: u64, second: u64) -> u64 {
    std::hint::black_box(first).wrapping_add(std::hint::black_box(second))
}

fn call(first: &str, second: &str) -> io::Result<()> {
    let (Some(first), Some(second)) = (number(first), number(second)) else {
        return Err(io::Error::other("two numbers are expected"));
    };
    // So that it is called as it stands there, whatever is known of it.
    let function: extern "C" fn(u64, u64) -> u64 = std::hint::black_box(skep_call);
    function(first.cast_unsigned(), second.cast_unsigned());
    Ok(())
}

fn open(path: &str, mode: &str) -> io::Result<()> {
    let flags = match mode {
        "r" => libc::O_RDONLY,
        "w" => libc::O_WRONLY,
        "rw" => libc::O_RDWR,
        "a" => libc::O_WRONLY | libc::O_APPEND,
        _ => return Err(io::Error::other(format!("`{mode}` is none of r, w, rw, a"))),
    };
    let path = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: a text that ends in a zero byte; the descriptor is ours.
    unsafe {
        let fd = checked(libc::open(path.as_ptr(), flags).into())?;
        libc::close(fd as i32);
    }
    Ok(())
}

fn kill(signal: &str, pid: &str) -> io::Result<()> {
    let name = signal.strip_prefix("SIG").unwrap_or(signal);
    let known = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let signal = known.or_else(|| signal.parse().ok());
    let (Some(signal), Ok(pid)) = (signal, pid.parse::<i32>()) else {
        return Err(io::Error::other("a signal, such as -TERM or -9, and a number are expected"));
    };
    // SAFETY: a plain call.
    checked(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

fn socket(what: &str, address: &str) -> io::Result<()> {
    let address: SocketAddr =
        address.parse().map_err(|_| io::Error::other(format!("{address} is not ADDRESS:PORT")))?;
    // SAFETY: the structures are valid when zero, and as large as is said; the
    // socket is ours.
    unsafe {
        let (family, bytes, size) = match address {
            SocketAddr::V4(address) => {
                let mut place = MaybeUninit::<libc::sockaddr_in>::zeroed().assume_init();
                place.sin_family = libc::AF_INET as u16;
                place.sin_port = address.port().to_be();
                place.sin_addr.s_addr = u32::from(*address.ip()).to_be();
                let mut room = [0_u8; 32];
                let size = size_of_val(&place);
                std::ptr::copy_nonoverlapping((&raw const place).cast(), room.as_mut_ptr(), size);
                (libc::AF_INET, room, size)
            }
            SocketAddr::V6(address) => {
                let mut place = MaybeUninit::<libc::sockaddr_in6>::zeroed().assume_init();
                place.sin6_family = libc::AF_INET6 as u16;
                place.sin6_port = address.port().to_be();
                place.sin6_addr.s6_addr = address.ip().octets();
                let mut room = [0_u8; 32];
                let size = size_of_val(&place);
                std::ptr::copy_nonoverlapping((&raw const place).cast(), room.as_mut_ptr(), size);
                (libc::AF_INET6, room, size)
            }
        };
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let socket = checked(libc::socket(family, kind, 0).into())? as i32;
        let size = size as u32;
        let done = match what {
            "connect" => checked(libc::connect(socket, bytes.as_ptr().cast(), size).into()),
            _ => checked(libc::bind(socket, bytes.as_ptr().cast(), size).into()),
        };
        let done = match what {
            "listen" => done.and_then(|_| checked(libc::listen(socket, 8).into())),
            _ => done,
        };
        libc::close(socket);
        done.map(drop)
    }
}

const SIGNALS: [(&str, i32); 14] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("ABRT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("SEGV", libc::SIGSEGV),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("CHLD", libc::SIGCHLD),
    ("STOP", libc::SIGSTOP),
];

/// The name that libc has for each number, without `SYS_`.
macro_rules! calls {
    ($($name:ident)*) => {
        &[$((stringify!($name).split_at(4).1, libc::$name)),*]
    };
}

/// System calls by name.
static CALLS: &[(&str, i64)] = calls! {
    SYS_read SYS_write SYS_open SYS_close SYS_stat SYS_fstat SYS_lstat SYS_poll SYS_lseek SYS_mmap
    SYS_mprotect SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask SYS_ioctl SYS_pread64
    SYS_pwrite64 SYS_readv SYS_writev SYS_access SYS_pipe SYS_select SYS_sched_yield SYS_mremap
    SYS_msync SYS_mincore SYS_madvise SYS_shmget SYS_shmat SYS_shmctl SYS_dup SYS_dup2 SYS_pause
    SYS_nanosleep SYS_getitimer SYS_alarm SYS_setitimer SYS_getpid SYS_sendfile SYS_socket
    SYS_connect SYS_accept SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_shutdown SYS_bind
    SYS_listen SYS_getsockname SYS_getpeername SYS_socketpair SYS_setsockopt SYS_getsockopt
    SYS_clone SYS_fork SYS_vfork SYS_execve SYS_exit SYS_wait4 SYS_kill SYS_uname SYS_semget
    SYS_msgget SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync SYS_truncate SYS_ftruncate
    SYS_getdents SYS_getcwd SYS_chdir SYS_fchdir SYS_rename SYS_mkdir SYS_rmdir SYS_creat
    SYS_link SYS_unlink SYS_symlink SYS_readlink SYS_chmod SYS_fchmod SYS_chown SYS_fchown
    SYS_lchown SYS_umask SYS_gettimeofday SYS_getrlimit SYS_getrusage SYS_sysinfo SYS_times
    SYS_ptrace SYS_getuid SYS_syslog SYS_getgid SYS_setuid SYS_setgid SYS_geteuid SYS_getegid
    SYS_setpgid SYS_getppid SYS_getpgrp SYS_setsid SYS_getgroups SYS_setgroups SYS_getpgid
    SYS_getsid SYS_capget SYS_capset SYS_utime SYS_mknod SYS_personality SYS_statfs SYS_fstatfs
    SYS_getpriority SYS_setpriority SYS_mlock SYS_munlock SYS_prctl SYS_setrlimit SYS_chroot
    SYS_sync SYS_mount SYS_umount2 SYS_sethostname SYS_gettid SYS_readahead SYS_setxattr
    SYS_getxattr SYS_removexattr SYS_tkill SYS_time SYS_futex SYS_epoll_create SYS_tgkill
    SYS_utimes SYS_waitid SYS_add_key SYS_request_key SYS_keyctl SYS_inotify_init SYS_openat
    SYS_mkdirat SYS_mknodat SYS_fchownat SYS_newfstatat SYS_unlinkat SYS_renameat SYS_linkat
    SYS_symlinkat SYS_readlinkat SYS_fchmodat SYS_faccessat SYS_unshare SYS_splice SYS_fallocate
    SYS_accept4 SYS_eventfd2 SYS_epoll_create1 SYS_dup3 SYS_pipe2 SYS_prlimit64 SYS_syncfs
    SYS_setns SYS_getcpu SYS_renameat2 SYS_seccomp SYS_getrandom SYS_memfd_create SYS_bpf
    SYS_execveat SYS_statx SYS_openat2
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_give_results_and_errors() {
        let mut result = 0;
        let mut call = |words: &[&str]| command("syscall", words, &mut result).expect("a command");
        assert_eq!(call(&["close", "-1"]).expect_err("no file").raw_os_error(), Some(libc::EBADF));
        let error = call(&["openat", "-100", "/nothing/there", "0"]).expect_err("no file");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(call(&["getcwd", "@256", "256"]).is_ok());
        assert!(call(&["uname", "@400"]).is_ok());
        assert!(call(&["nothing"]).is_err());
        assert!(call(&["getpid"]).is_ok());
        assert!(result > 0);
        let mut other = |words: &[&str]| command(words[0], &words[1..], &mut result);
        assert!(other(&["open", "/proc/self/status"]).expect("a command").is_ok());
        assert!(other(&["kill", "-0", &std::process::id().to_string()]).expect("one").is_ok());
        assert!(other(&["kill", "-NONE", "1"]).expect("a command").is_err());
        assert!(other(&["listen", "127.0.0.1:0"]).expect("a command").is_ok());
        assert!(other(&["bind", "localhost"]).expect("a command").is_err());
        assert!(other(&["dance"]).is_none());
    }
}
