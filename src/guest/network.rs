//! A network in the guest: a pair of veth devices. The near one, `veth0`, is
//! where programs are attached; the far one, `veth1`, stands in a namespace of
//! its own, so that what is sent there arrives like anything from outside.
//!
//! Addresses are those that packets of tests have if they name none: they go
//! from the far end, 10.0.0.1 and fd00::1, to the near one, 10.0.0.2 and
//! fd00::2.
#![expect(clippy::disallowed_methods, reason = "the guest is alone in its machine")]

use super::live::net;
use libbpf_sys as sys;
use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::ptr;

/// The device in the namespace of everything else.
pub const NEAR: &str = "veth0";
/// The device in the other one.
pub const FAR: &str = "veth1";
/// The other namespace, as ip-netns(8) has it.
pub const FAR_NAMESPACE: &str = "/run/netns/far";
/// The namespace of everything else.
pub const NEAR_NAMESPACE: &str = "/proc/1/ns/net";

/// Of include/uapi/linux/veth.h and if_link.h.
const VETH_INFO_PEER: u16 = 1;
const IFLA_NET_NS_FD: u16 = 28;
/// No duplicates are looked for: an address is there at once.
const IFA_F_NODAD: u8 = 2;

/// Whether the pair is there.
pub fn is_laid() -> bool {
    Path::new(FAR_NAMESPACE).exists()
}

/// Makes the pair, if it is not there yet.
///
/// # Errors
/// The kernel has no such devices, or no namespaces.
pub fn lay() -> io::Result<()> {
    if is_laid() {
        return Ok(());
    }
    let near = File::open("/proc/self/ns/net")?;
    // SAFETY: a plain system call; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let made = keep_namespace();
    enter(&near)?;
    let far = made?;
    pair(&far)?;
    configure(NEAR, 2)?;
    within(FAR_NAMESPACE, || {
        net::bring_up("lo");
        configure(FAR, 1)
    })
}

/// Gives this process's namespace a name.
fn keep_namespace() -> io::Result<File> {
    fs::create_dir_all("/run/netns")?;
    File::create(FAR_NAMESPACE)?;
    // SAFETY: strings that end in a zero byte.
    let result = unsafe {
        libc::mount(
            c"/proc/self/ns/net".as_ptr(),
            c"/run/netns/far".as_ptr(),
            ptr::null(),
            libc::MS_BIND,
            ptr::null(),
        )
    };
    match result {
        0 => File::open(FAR_NAMESPACE),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a network namespace this process's own.
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: an open descriptor.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Does something in a network namespace; sockets that are made there stay
/// there.
///
/// # Errors
/// There is no such namespace, or the way back is lost; or what `act` says.
pub fn within<T>(namespace: &str, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let back = File::open("/proc/self/ns/net")?;
    enter(&File::open(namespace)?)?;
    let result = act();
    enter(&back)?;
    result
}

/// Makes both devices, the far one in its namespace.
fn pair(far: &File) -> io::Result<()> {
    let mut message = Message::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL);
    // `struct ifinfomsg`, of sixteen bytes.
    message.bytes.extend([0; 16]);
    message.text(libc::IFLA_IFNAME, NEAR);
    message.attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 2]);
    message.nest(libc::IFLA_LINKINFO, |info| {
        info.text(libc::IFLA_INFO_KIND, "veth");
        info.nest(libc::IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.bytes.extend([0; 16]);
                peer.text(libc::IFLA_IFNAME, FAR);
                peer.attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]);
                peer.attribute(IFLA_NET_NS_FD, &far.as_raw_fd().to_ne_bytes());
            });
        });
    });
    message.send()
}

/// Gives a device its addresses and brings it up.
fn configure(name: &str, host: u8) -> io::Result<()> {
    let index = net::index(name)?.cast_unsigned();
    // An interface that asks for routers would be heard by programs.
    for option in
        ["accept_ra", "router_solicitations", "accept_dad", "mldv1_unsolicited_report_interval"]
    {
        drop(fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{option}"), "0"));
    }
    let mut v6 = [0; 16];
    v6[0] = 0xfd;
    v6[15] = host;
    let addresses: [(i32, u8, &[u8]); 2] =
        [(libc::AF_INET, 24, &[10, 0, 0, host]), (libc::AF_INET6, 64, &v6)];
    for (family, prefix, address) in addresses {
        let mut message = Message::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE);
        // `struct ifaddrmsg`.
        message.bytes.extend([family as u8, prefix, IFA_F_NODAD, 0]);
        message.bytes.extend(index.to_ne_bytes());
        message.attribute(libc::IFA_LOCAL, address);
        message.attribute(libc::IFA_ADDRESS, address);
        match message.send() {
            // A kernel without IPv6 is one.
            Err(error) if family == libc::AF_INET => return Err(error),
            _ => {}
        }
    }
    net::bring_up(name);
    Ok(())
}

/// Lets the far device take what XDP programs of the near one send back: it
/// does only while a program of that kind is attached there, too.
///
/// # Errors
/// The kernel refuses the program.
pub fn take_back() -> io::Result<()> {
    const NAME: &CStr = c"far";
    let insn = |code: u8, imm: i32| sys::bpf_insn { code, imm, ..Default::default() };
    // r0 = XDP_PASS; exit
    let insns = [insn(0xb7, 2), insn(0x95, 0)];
    // SAFETY: strings and instructions outlive the call, which takes no
    // options; the descriptor is ours.
    let program = unsafe {
        let fd = sys::bpf_prog_load(
            sys::BPF_PROG_TYPE_XDP,
            NAME.as_ptr(),
            c"GPL".as_ptr(),
            insns.as_ptr(),
            insns.len() as u64,
            ptr::null_mut(),
        );
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    within(FAR_NAMESPACE, || {
        let index = net::index(FAR)?;
        // SAFETY: an open descriptor and no options.
        match unsafe { sys::bpf_xdp_attach(index, program.as_raw_fd(), 0, ptr::null()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    })
}

/// How many packets a device of this namespace received, and how many were
/// dropped there.
pub fn counts(name: &str) -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    let number = |at: usize| -> u64 {
        line.and_then(|line| line.split_whitespace().nth(at)?.parse().ok()).unwrap_or(0)
    };
    // bytes, packets, errors, dropped.
    (number(1), number(3))
}

/// A message to the kernel (rtnetlink(7)).
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: i32) -> Self {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self { bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend((4 + value.len() as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, text: &str) {
        self.attribute(kind, &[text.as_bytes(), &[0]].concat());
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.attribute(kind, &[]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn send(mut self) -> io::Result<()> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        // SAFETY: plain system calls on a socket of our own with buffers of
        // the sizes given.
        unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            let socket = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE);
            if socket < 0 {
                return Err(io::Error::last_os_error());
            }
            let socket = OwnedFd::from_raw_fd(socket);
            let fd = socket.as_raw_fd();
            if libc::send(fd, self.bytes.as_ptr().cast(), self.bytes.len(), 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            let mut answer = [0_u8; 4096];
            let count = libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0);
            if count < 20 {
                return Err(io::Error::last_os_error());
            }
            // `struct nlmsgerr` behind the header.
            match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
                0 => Ok(()),
                error => Err(io::Error::from_raw_os_error(-error)),
            }
        }
    }
}
