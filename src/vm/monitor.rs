//! QEMU's monitor (QMP): one JSON object a line, each way
//! (docs/interop/qmp-spec.rst in QEMU's source).

use super::Error;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest line that makes sense.
const MAX_LINE: u64 = 4 << 20;

/// A monitor.
#[derive(Debug)]
pub(super) struct Monitor {
    stream: BufReader<UnixStream>,
    greeted: bool,
}

impl Monitor {
    /// The monitor at the other end of a socket.
    pub fn new(stream: UnixStream) -> Result<Self, Error> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(Error::System)?;
        Ok(Self { stream: BufReader::new(stream), greeted: false })
    }

    /// Saves the state of devices and processor into a file, and stops the
    /// machine. Memory that lies in a shared file is left out.
    pub fn save(&mut self, file: BorrowedFd<'_>) -> Result<(), Error> {
        self.ignore_shared()?;
        self.send(&json!({"execute": "getfd", "arguments": {"fdname": "state"}}), Some(file))?;
        self.answer()?;
        self.execute("migrate", json!({"uri": "fd:state"}))?;
        let started = Instant::now();
        loop {
            let answer = self.execute("query-migrate", json!({}))?;
            match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    return Err(Error::Snapshot(answer.to_string()));
                }
                _ if started.elapsed() > PATIENCE => {
                    return Err(Error::Snapshot("it does not come to an end".into()));
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Restores what [`Monitor::save`] saved, from a descriptor that QEMU has
    /// under this number, and lets the machine run.
    pub fn restore(&mut self, number: i32) -> Result<(), Error> {
        self.ignore_shared()?;
        self.execute("migrate-incoming", json!({"uri": format!("fd:{number}")})).map(drop)
    }

    /// Waits until a restored machine runs.
    pub fn wait_until_running(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let answer = self.execute("query-status", json!({}))?;
            if answer["running"].as_bool() == Some(true) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::Snapshot("it is not restored".into()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn ignore_shared(&mut self) -> Result<(), Error> {
        let capability = json!([{"capability": "x-ignore-shared", "state": true}]);
        self.execute("migrate-set-capabilities", json!({"capabilities": capability})).map(drop)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        if !self.greeted {
            self.greeted = true;
            self.line()?;
            self.execute("qmp_capabilities", json!({}))?;
        }
        self.send(&json!({"execute": command, "arguments": arguments}), None)?;
        self.answer()
    }

    /// Sends a command, with a descriptor for QEMU if there is one.
    fn send(&mut self, command: &Value, fd: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let mut line = command.to_string();
        line.push('\n');
        let Some(fd) = fd else {
            return self.stream.get_mut().write_all(line.as_bytes()).map_err(Error::System);
        };
        let mut control = [0_u64; 4];
        let mut part = libc::iovec { iov_base: line.as_mut_ptr().cast(), iov_len: line.len() };
        // SAFETY: zeroes are a valid `msghdr`; the pointers lead to the line
        // and to room for one control message with one descriptor, which are
        // alive until `sendmsg` returns.
        let sent = unsafe {
            let mut message = std::mem::zeroed::<libc::msghdr>();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as usize;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as usize;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(fd.as_raw_fd());
            libc::sendmsg(self.stream.get_ref().as_raw_fd(), &message, libc::MSG_NOSIGNAL)
        };
        match usize::try_from(sent) {
            // A line is far shorter than a socket's buffer, which is empty.
            Ok(sent) if sent == line.len() => Ok(()),
            _ => Err(Error::System(io::Error::last_os_error())),
        }
    }

    /// The answer to the last command; events in between are skipped.
    fn answer(&mut self) -> Result<Value, Error> {
        loop {
            let mut line = self.line()?;
            if let Some(error) = line.get("error") {
                return Err(Error::Snapshot(error["desc"].as_str().unwrap_or("unknown").into()));
            }
            if let Some(answer) = line.get_mut("return") {
                return Ok(answer.take());
            }
        }
    }

    fn line(&mut self) -> Result<Value, Error> {
        let mut line = Vec::new();
        let mut stream = self.stream.by_ref().take(MAX_LINE);
        let result = stream.read_until(b'\n', &mut line);
        match result {
            Ok(0) => Err(Error::Snapshot("QEMU closed its monitor".into())),
            Ok(_) => serde_json::from_slice(&line)
                .map_err(|error| Error::Snapshot(format!("QEMU's monitor: {error}"))),
            Err(error) => Err(Error::Snapshot(format!("QEMU's monitor: {error}"))),
        }
    }
}
