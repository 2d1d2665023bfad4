//! Network interfaces, as far as programs are attached to them.

use std::ffi::CString;
use std::io;

/// The number of an interface.
pub fn index(name: &str) -> io::Result<i32> {
    let name = CString::new(name).map_err(io::Error::other)?;
    // SAFETY: a string that ends in a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index.cast_signed()),
    }
}

/// Brings an interface up. What cannot be brought up sees no packets, which
/// is no reason to do nothing else.
pub fn bring_up(name: &str) {
    // SAFETY: a socket of our own, and a request that is valid when zero and
    // whose name ends in a zero byte.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return;
        }
        let mut request = std::mem::zeroed::<libc::ifreq>();
        for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
            *to = from.cast_signed();
        }
        if libc::ioctl(socket, libc::SIOCGIFFLAGS, &raw mut request) == 0 {
            request.ifr_ifru.ifru_flags |= libc::IFF_UP as i16;
            libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request);
        }
        libc::close(socket);
    }
}

/// A socket that sees all packets of an interface.
pub fn packet_socket(interface: i32) -> io::Result<i32> {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: plain system calls with a valid address of that size.
    unsafe {
        let socket =
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol.into());
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut address = std::mem::zeroed::<libc::sockaddr_ll>();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = interface;
        let size = size_of_val(&address) as u32;
        if libc::bind(socket, (&raw const address).cast(), size) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    }
}
