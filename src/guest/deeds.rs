//! Commands of the guest's shell that do something for programs to see: files
//! that come and go, time that passes, packets.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the guest is alone in its machine, and its commands print"
)]

use super::network;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

/// How long the other side of a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `help` says of them.
pub const HELP: &str = "\
mkdir, rm, rmdir, touch      make and remove files and directories
mv OLD NEW, ln -s OLD NEW    rename and link
ping ADDRESS                 one echo request, and its answer
play FILE [RATE]             send packets from the far end (see `--send`)
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
        ("play", [file]) => play(file, None),
        ("play", [file, rate]) => play(file, Some(rate)),
        ("mv" | "ln" | "sleep" | "udp" | "tcp" | "ping" | "play", _) => {
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

/// Makes a socket at the other end of the network, if this one cannot have it.
fn elsewhere<T>(make: impl Fn() -> io::Result<T>) -> Option<T> {
    let namespaces = [network::FAR_NAMESPACE, network::NEAR_NAMESPACE];
    namespaces.iter().find_map(|namespace| network::within(namespace, &make).ok())
}

/// Sends a datagram. On this machine's own addresses somebody takes it.
fn udp(to: &str, text: &str) -> io::Result<()> {
    let to = address(to)?;
    // Whoever has the port already takes it as well.
    let taker = UdpSocket::bind(to).ok().or_else(|| elsewhere(|| UdpSocket::bind(to)));
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
    let listener = TcpListener::bind(to).ok().or_else(|| elsewhere(|| TcpListener::bind(to)));
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

/// An echo request (RFC 792, RFC 4443) through the kernel's ping sockets.
fn ping(to: &str) -> io::Result<()> {
    let to: IpAddr = to.parse().map_err(|_| io::Error::other(format!("{to} is no address")))?;
    // Family, protocol, what asks for an echo, and the address as a `struct
    // sockaddr_in` or `sockaddr_in6` without what is zero in front of it.
    let (family, protocol, kind, gap, bytes) = match to {
        IpAddr::V4(to) => (libc::AF_INET, libc::IPPROTO_ICMP, 8, 2, to.octets().to_vec()),
        IpAddr::V6(to) => (libc::AF_INET6, libc::IPPROTO_ICMPV6, 128, 6, to.octets().to_vec()),
    };
    let mut place = (family as u16).to_ne_bytes().to_vec();
    place.resize(2 + gap, 0);
    place.extend(bytes);
    place.resize(if to.is_ipv4() { 16 } else { 28 }, 0);
    // Everybody may use ping sockets.
    drop(fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
    // SAFETY: plain system calls with buffers and addresses of the sizes given.
    unsafe {
        let socket = libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, protocol);
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
        let mut packet = [0_u8; 64];
        packet[0] = kind;
        let sent = libc::sendto(
            socket,
            packet.as_ptr().cast(),
            packet.len(),
            0,
            place.as_ptr().cast(),
            place.len() as u32,
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

/// Sends the packets of a file that the host made into the far device, as fast
/// as it goes, or so many a second, or in the time they were captured in.
fn play(file: &str, rate: Option<&str>) -> io::Result<()> {
    /// How long what was sent may be on its way.
    const ON_THE_WAY: Duration = Duration::from_millis(100);
    let bytes = fs::read(file)?;
    let every = match rate {
        None | Some("recorded") => None,
        Some(rate) => {
            let rate: f64 = rate.parse().map_err(io::Error::other)?;
            Some(Duration::try_from_secs_f64(1.0 / rate).map_err(io::Error::other)?)
        }
    };
    let socket = network::within(network::FAR_NAMESPACE, || {
        let index = super::live::net::index(network::FAR)?;
        super::live::net::packet_socket(index)
    })?;
    let far = || network::within(network::FAR_NAMESPACE, || Ok(network::counts(network::FAR).0));
    let before = (network::counts(network::NEAR), far()?);
    let started = std::time::Instant::now();
    let (mut sent, mut failed) = (0_u64, 0_u64);
    let mut rest = bytes.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let mut time = [0; 8];
        time.copy_from_slice(&head[4..]);
        let Some((packet, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        let due = match (every, rate) {
            (Some(every), _) => every.saturating_mul((sent + failed) as u32),
            (None, Some(_)) => Duration::from_nanos(u64::from_le_bytes(time)),
            (None, None) => Duration::ZERO,
        };
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        // SAFETY: a buffer of that size.
        match unsafe { libc::send(socket, packet.as_ptr().cast(), packet.len(), 0) } {
            ..0 => failed += 1,
            _ => sent += 1,
        }
    }
    std::thread::sleep(ON_THE_WAY);
    let (near, back) = (network::counts(network::NEAR), far()?);
    // SAFETY: ours, closed once.
    unsafe { libc::close(socket) };
    let (received, dropped) = (near.0 - before.0.0, near.1 - before.0.1);
    print!("{sent} packets sent to {}: {received} received", network::NEAR);
    for (count, what) in [(dropped, "dropped"), (back - before.1, "came back"), (failed, "refused")]
    {
        if count > 0 {
            print!(", {count} {what}");
        }
    }
    println!();
    Ok(())
}
