//! Commands of the guest's shell that do something for programs to see: files
//! that come and go, time that passes, packets.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the guest is alone in its machine, and its commands print"
)]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

/// How long the other side of a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `help` says of them.
pub const HELP: &str = "\
mkdir, rm, rmdir, touch      make and remove files and directories
mv OLD NEW, ln -s OLD NEW    rename and link
ping ADDRESS                 one echo request, and its answer
run [WORD...]                start a program: skep itself, as a process of its own
sleep SECONDS                let time pass
tcp ADDRESS:PORT [TEXT]      connect, say something, listen to the echo
udp ADDRESS:PORT [TEXT]      send a datagram
";

/// Does what a command is for; nothing if there is no such command.
pub fn command(name: &str, arguments: &[&str]) -> Option<io::Result<()>> {
    Some(match (name, arguments) {
        ("mkdir", paths) => paths.iter().try_for_each(fs::create_dir),
        ("rmdir", paths) => paths.iter().try_for_each(fs::remove_dir),
        ("rm", ["-r", paths @ ..]) => paths.iter().try_for_each(fs::remove_dir_all),
        ("rm", paths) => paths.iter().try_for_each(fs::remove_file),
        ("touch", paths) => paths
            .iter()
            .try_for_each(|path| File::options().create(true).append(true).open(path).map(drop)),
        ("mv", [old, new]) => fs::rename(old, new),
        ("ln", ["-s", old, new]) => std::os::unix::fs::symlink(old, new),
        ("ln", [old, new]) => fs::hard_link(old, new),
        ("sleep", [seconds]) => sleep(seconds),
        ("run", words) => run(words),
        ("udp", [address, text @ ..]) => udp(address, &text.join(" ")),
        ("tcp", [address, text @ ..]) => tcp(address, &text.join(" ")),
        ("ping", [address]) => ping(address),
        ("mv" | "ln" | "sleep" | "udp" | "tcp" | "ping", _) => {
            let usage = HELP.lines().find(|line| line.contains(name)).unwrap_or_default();
            Err(io::Error::other(format!("it is used as in: {}", usage.trim())))
        }
        _ => return None,
    })
}

fn sleep(seconds: &str) -> io::Result<()> {
    let seconds: f64 = seconds.parse().map_err(io::Error::other)?;
    let time = Duration::try_from_secs_f64(seconds).map_err(io::Error::other)?;
    std::thread::sleep(time);
    Ok(())
}

/// Starts a process that does nothing but be one: the only program that is
/// always here is skep.
fn run(words: &[&str]) -> io::Result<()> {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0(words.first().copied().unwrap_or("skep")).arg("--version").args(words);
    command.stdout(std::process::Stdio::null()).status().map(drop)
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not ADDRESS:PORT")))
}

/// Sends a datagram. On this machine's own addresses somebody takes it.
fn udp(to: &str, text: &str) -> io::Result<()> {
    let to = address(to)?;
    // Whoever has the port already takes it as well.
    let taker = UdpSocket::bind(to).ok();
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(any)?.send_to(text.as_bytes(), to)?;
    if let Some(taker) = taker {
        taker.set_read_timeout(Some(PATIENCE))?;
        taker.recv(&mut [0; 2048])?;
    }
    Ok(())
}

/// Connects and says something. On this machine's own addresses somebody
/// accepts and says it back.
fn tcp(to: &str, text: &str) -> io::Result<()> {
    let to = address(to)?;
    let listener = TcpListener::bind(to).ok();
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(text.as_bytes())?;
    if let Some(listener) = listener {
        let (mut other, _) = listener.accept()?;
        other.set_read_timeout(Some(PATIENCE))?;
        let mut heard = vec![0; text.len()];
        other.read_exact(&mut heard)?;
        other.write_all(&heard)?;
        stream.read_exact(&mut heard)?;
    }
    Ok(())
}

/// An echo request (RFC 792) through the kernel's ping sockets.
fn ping(to: &str) -> io::Result<()> {
    let to: std::net::Ipv4Addr =
        to.parse().map_err(|_| io::Error::other(format!("{to} is no IPv4 address")))?;
    // Everybody may use ping sockets.
    drop(fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
    // SAFETY: plain system calls with buffers and addresses of the sizes given.
    unsafe {
        let socket =
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP);
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        let limit = libc::timeval { tv_sec: PATIENCE.as_secs() as i64, tv_usec: 0 };
        let size = size_of_val(&limit) as u32;
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const limit).cast(),
            size,
        );
        let mut place = std::mem::zeroed::<libc::sockaddr_in>();
        place.sin_family = libc::AF_INET as u16;
        place.sin_addr.s_addr = u32::from(to).to_be();
        let mut packet = [0_u8; 64];
        packet[0] = 8;
        let sent = libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const place).cast(),
            size_of_val(&place) as u32,
        );
        let result = match sent {
            ..0 => Err(io::Error::last_os_error()),
            _ => match libc::recv(socket, packet.as_mut_ptr().cast(), packet.len(), 0) {
                ..0 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            },
        };
        libc::close(socket);
        result?;
    }
    println!("{to} answers");
    Ok(())
}
