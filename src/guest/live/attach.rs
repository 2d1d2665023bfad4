//! Where programs go. What libbpf attaches by a section's name is left to it;
//! the rest needs a place, which is given or is the obvious one of a machine
//! with nothing in it: its only network card (or loopback), its first control group, its
//! only network namespace. On a machine of the user's, where that would be
//! theirs, it has to be given.
#![expect(clippy::disallowed_methods, reason = "files of the kernel, and not of a directory tree")]

use super::super::Owner;
use super::super::calls;
use super::super::load::{self, Object};
use super::super::network;
use super::{net, perf_event};
use crate::base::fs::reason;
use libbpf_sys as sys;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::ptr;

/// The control groups' file system.
const CGROUP: &str = "/sys/fs/cgroup";
/// Netfilter's families and hooks, as include/uapi/linux/netfilter.h numbers
/// them.
const FAMILIES: [(&str, u32); 2] = [("ipv4", 2), ("ipv6", 10)];
const HOOKS: [(&str, u32); 5] =
    [("prerouting", 0), ("input", 1), ("forward", 2), ("output", 3), ("postrouting", 4)];

/// Why a program is not attached.
#[derive(Debug)]
pub struct Failed {
    /// The error number, positive; 0 if there is none.
    pub errno: i32,
    /// The reason, if it is not libbpf that has told it.
    pub reason: Option<String>,
}

impl Failed {
    /// What went wrong last, according to libbpf.
    fn last() -> Self {
        Self { errno: io::Error::last_os_error().raw_os_error().unwrap_or(0), reason: None }
    }

    fn because(reason: impl Into<String>) -> Self {
        Self { errno: 0, reason: Some(reason.into()) }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        Self { errno, reason: Some(error.to_string()) }
    }
}

/// What is attached; detached when dropped.
#[derive(Default)]
pub struct Links {
    /// Whose machine it is.
    pub owner: Owner,
    /// Programs with a place that the kernel has to know when it loads them
    /// were [aimed](aim) at it.
    pub is_aimed: bool,
    links: Vec<*mut sys::bpf_link>,
    iterators: Vec<(String, RawFd)>,
    files: Vec<File>,
    sockets: Vec<RawFd>,
    /// Filters of tc: where, and as what.
    filters: Vec<(sys::bpf_tc_hook, sys::bpf_tc_opts)>,
    /// Queueing disciplines that were made for them.
    hooks: Vec<sys::bpf_tc_hook>,
    /// Programs of maps of sockets: the program, the map, and as what.
    on_maps: Vec<(RawFd, RawFd, u32)>,
}

type Program = *mut sys::bpf_program;

/// Whether the kernel has to know when it loads a program which function or
/// event it is for.
fn is_aimed(kind: u32, attach_type: u32) -> bool {
    match kind {
        sys::BPF_PROG_TYPE_TRACING => attach_type != sys::BPF_TRACE_ITER,
        sys::BPF_PROG_TYPE_LSM => attach_type != sys::BPF_LSM_CGROUP,
        _ => false,
    }
}

/// Names the function that a program is for, if the kernel has to know when it
/// loads it. True: it can be loaded.
pub fn aim(program: Program, place: &str) -> Result<bool, Failed> {
    // SAFETY: the program belongs to a live object; the name outlives the call.
    unsafe {
        let kind = sys::bpf_program__type(program);
        if !is_aimed(kind, sys::bpf_program__expected_attach_type(program)) {
            return Ok(true);
        }
        let name = CString::new(place).map_err(|_| Failed::because("a zero byte"))?;
        match sys::bpf_program__set_attach_target(program, 0, name.as_ptr()) {
            0 => Ok(true),
            error if error == -libc::ESRCH || error == -libc::ENOENT => {
                Err(Failed::because(format!("the kernel has no {place}")))
            }
            error => Err(Failed { errno: -error, reason: None }),
        }
    }
}

impl Links {
    /// The iterators among them: names and the links' descriptors.
    pub fn iterators(&self) -> Vec<(String, RawFd)> {
        self.iterators.clone()
    }

    /// Attaches a program to a place, or to where its section or its type
    /// says; says where that is.
    pub fn attach(
        &mut self,
        object: &Object,
        program: Program,
        place: Option<&str>,
    ) -> Result<String, Failed> {
        // SAFETY: the program belongs to the object, which is alive.
        let (kind, attach_type) = unsafe {
            (sys::bpf_program__type(program), sys::bpf_program__expected_attach_type(program))
        };
        match kind {
            sys::BPF_PROG_TYPE_XDP => {
                let name = self.place(program, place, obvious())?;
                let index = self.interface(name)?;
                if name == network::NEAR && self.owner == Owner::Skep {
                    // Without, what it sends back is lost.
                    drop(network::take_back());
                }
                // SAFETY: as above.
                self.keep(unsafe { sys::bpf_program__attach_xdp(program, index) })?;
                Ok(name.to_owned())
            }
            sys::BPF_PROG_TYPE_SCHED_CLS => self.traffic(program, attach_type, place),
            sys::BPF_PROG_TYPE_CGROUP_SKB
            | sys::BPF_PROG_TYPE_CGROUP_SOCK
            | sys::BPF_PROG_TYPE_CGROUP_DEVICE
            | sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR
            | sys::BPF_PROG_TYPE_CGROUP_SYSCTL
            | sys::BPF_PROG_TYPE_CGROUP_SOCKOPT
            | sys::BPF_PROG_TYPE_SOCK_OPS => self.cgroup(program, place),
            sys::BPF_PROG_TYPE_LSM if attach_type == sys::BPF_LSM_CGROUP => {
                self.cgroup(program, place)
            }
            sys::BPF_PROG_TYPE_SK_LOOKUP | sys::BPF_PROG_TYPE_FLOW_DISSECTOR => {
                let file = self.open(self.place(program, place, "/proc/self/ns/net")?)?;
                // SAFETY: as above, with an open descriptor.
                self.keep(unsafe { sys::bpf_program__attach_netns(program, file) })?;
                Ok("this network namespace".to_owned())
            }
            sys::BPF_PROG_TYPE_SOCKET_FILTER => {
                let name = self.place(program, place, obvious())?;
                self.socket(program, name)
            }
            sys::BPF_PROG_TYPE_PERF_EVENT => {
                self.perf_event(program, place.unwrap_or("cpu-clock:99"))
            }
            sys::BPF_PROG_TYPE_NETFILTER => {
                let hook = self.place(program, place, "ipv4:input")?;
                self.netfilter(program, hook)
            }
            sys::BPF_PROG_TYPE_SK_MSG | sys::BPF_PROG_TYPE_SK_SKB => {
                self.socket_map(object, program, attach_type, place)
            }
            sys::BPF_PROG_TYPE_SYSCALL => {
                Err(Failed::because("a program of this type is called, not attached"))
            }
            _ => match place {
                Some(place) if self.is_aimed && is_aimed(kind, attach_type) => {
                    self.by_section(program, kind)?;
                    Ok(place.to_owned())
                }
                Some(place) => self.probe(program, kind, place),
                None => self.by_section(program, kind),
            },
        }
    }

    /// Attaches a `struct_ops` map.
    pub fn attach_map(&mut self, map: *mut sys::bpf_map) -> Result<String, Failed> {
        // SAFETY: the map belongs to a live object.
        self.keep(unsafe { sys::bpf_map__attach_struct_ops(map) })?;
        Ok("the kernel".to_owned())
    }

    /// The number of an interface, which is up from now on if that is for us to
    /// say.
    fn interface(&self, name: &str) -> Result<i32, Failed> {
        if self.owner == Owner::Skep {
            net::bring_up(name);
        }
        net::index(name).map_err(|_| Failed::because(format!("there is no interface `{name}`")))
    }

    /// The place that was given for a program, or the obvious one of a machine
    /// with nothing in it. On the user's nothing is obvious.
    fn place<'p>(
        &self,
        program: Program,
        given: Option<&'p str>,
        obvious: &'p str,
    ) -> Result<&'p str, Failed> {
        if given.is_none() && self.owner == Owner::User {
            // SAFETY: the program belongs to a live object; the string is copied.
            let name = unsafe { load::text(sys::bpf_program__name(program)) };
            return Err(Failed::because(format!(
                "nothing of this machine is taken for it unless `--attach {name}=PLACE` says so"
            )));
        }
        Ok(given.unwrap_or(obvious))
    }

    /// Takes a link, if it is one.
    fn keep(&mut self, link: *mut sys::bpf_link) -> Result<(), Failed> {
        if link.is_null() {
            return Err(Failed::last());
        }
        self.links.push(link);
        Ok(())
    }

    fn open(&mut self, path: &str) -> Result<RawFd, Failed> {
        let file = File::open(path)
            .map_err(|error| Failed::because(format!("{path}: {}", reason(&error))))?;
        let fd = file.as_raw_fd();
        self.files.push(file);
        Ok(fd)
    }

    /// As libbpf does it by the section's name.
    fn by_section(&mut self, program: Program, kind: u32) -> Result<String, Failed> {
        // SAFETY: the program belongs to a live object; strings are copied.
        let (link, section, name, attach_type) = unsafe {
            (
                sys::bpf_program__attach(program),
                load::text(sys::bpf_program__section_name(program)),
                load::text(sys::bpf_program__name(program)),
                sys::bpf_program__expected_attach_type(program),
            )
        };
        if link.is_null() && io::Error::last_os_error().raw_os_error() == Some(libc::EOPNOTSUPP) {
            return Err(Failed::because(format!(
                "section `{section}` does not say where; `--attach {name}=PLACE` does"
            )));
        }
        self.keep(link)?;
        if kind == sys::BPF_PROG_TYPE_TRACING && attach_type == sys::BPF_TRACE_ITER {
            // SAFETY: the link is one of ours.
            self.iterators.push((name, unsafe { sys::bpf_link__fd(link) }));
        }
        Ok(section)
    }

    /// Probes at a given place: a function, `CATEGORY:NAME`, `PATH:FUNCTION`.
    fn probe(&mut self, program: Program, kind: u32, place: &str) -> Result<String, Failed> {
        let text = |text: &str| CString::new(text).map_err(|_| Failed::because("a zero byte"));
        // SAFETY: the program belongs to a live object; the string is copied.
        let section = unsafe { load::text(sys::bpf_program__section_name(program)) };
        let word = section.split('/').next().unwrap_or_default();
        let retprobe = word.contains("ret");
        let link = match kind {
            sys::BPF_PROG_TYPE_KPROBE if word.starts_with("usdt") => {
                let mut parts = place.rsplitn(3, ':');
                let (Some(name), Some(provider), Some(path)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    return Err(Failed::because("a USDT's place is PATH:PROVIDER:NAME"));
                };
                let (path, provider, name) = (text(path)?, text(provider)?, text(name)?);
                // SAFETY: strings outlive the call; no options are given.
                unsafe {
                    sys::bpf_program__attach_usdt(
                        program,
                        -1,
                        path.as_ptr(),
                        provider.as_ptr(),
                        name.as_ptr(),
                        ptr::null(),
                    )
                }
            }
            sys::BPF_PROG_TYPE_KPROBE if word.starts_with('u') => {
                let Some((path, function)) = place.rsplit_once(':') else {
                    return Err(Failed::because("a uprobe's place is PATH:FUNCTION"));
                };
                // This program has no symbols that libbpf could read.
                let is_ours = self.owner == Owner::Skep && path == calls::PATH;
                let own = if is_ours { calls::offset_of(function) } else { None };
                let (path, function) = (text(path)?, text(function)?);
                match word.ends_with(".multi") {
                    true => uprobe_multi(program, &path, &function, own, retprobe),
                    false => {
                        let options = sys::bpf_uprobe_opts {
                            sz: size_of::<sys::bpf_uprobe_opts>() as u64,
                            retprobe,
                            func_name: own.map_or(function.as_ptr(), |_| ptr::null()),
                            ..Default::default()
                        };
                        let offset = own.unwrap_or(0);
                        let path = path.as_ptr();
                        // SAFETY: strings and options outlive the call.
                        unsafe {
                            sys::bpf_program__attach_uprobe_opts(
                                program, -1, path, offset, &options,
                            )
                        }
                    }
                }
            }
            sys::BPF_PROG_TYPE_KPROBE if word.ends_with(".multi") => {
                let pattern = text(place)?;
                let options = sys::bpf_kprobe_multi_opts {
                    sz: size_of::<sys::bpf_kprobe_multi_opts>() as u64,
                    retprobe,
                    ..Default::default()
                };
                // SAFETY: as above.
                unsafe {
                    sys::bpf_program__attach_kprobe_multi_opts(program, pattern.as_ptr(), &options)
                }
            }
            sys::BPF_PROG_TYPE_KPROBE => {
                let options = sys::bpf_kprobe_opts {
                    sz: size_of::<sys::bpf_kprobe_opts>() as u64,
                    retprobe,
                    ..Default::default()
                };
                let function = text(place)?;
                // SAFETY: as above.
                unsafe {
                    sys::bpf_program__attach_kprobe_opts(program, function.as_ptr(), &options)
                }
            }
            sys::BPF_PROG_TYPE_TRACEPOINT => {
                let Some((category, name)) = place.split_once([':', '/']) else {
                    return Err(Failed::because("a tracepoint's place is CATEGORY:NAME"));
                };
                let (category, name) = (text(category)?, text(name)?);
                // SAFETY: as above.
                unsafe {
                    sys::bpf_program__attach_tracepoint(program, category.as_ptr(), name.as_ptr())
                }
            }
            sys::BPF_PROG_TYPE_RAW_TRACEPOINT | sys::BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE => {
                let name = text(place)?;
                // SAFETY: as above.
                unsafe { sys::bpf_program__attach_raw_tracepoint(program, name.as_ptr()) }
            }
            _ => {
                return Err(Failed::because(format!(
                    "section `{section}` says where it is attached, and that cannot be changed"
                )));
            }
        };
        self.keep(link)?;
        Ok(place.to_owned())
    }

    /// `INTERFACE[:ingress|:egress]` for tc and tcx, an interface for netkit.
    fn traffic(
        &mut self,
        program: Program,
        attach_type: u32,
        place: Option<&str>,
    ) -> Result<String, Failed> {
        let place = self.place(program, place, obvious())?;
        let (name, direction) = place.split_once(':').unwrap_or((place, ""));
        let index = self.interface(name)?;
        // SAFETY: the program belongs to a live object; no options are given.
        unsafe {
            match attach_type {
                sys::BPF_TCX_INGRESS | sys::BPF_TCX_EGRESS => {
                    self.keep(sys::bpf_program__attach_tcx(program, index, ptr::null()))?;
                    return Ok(name.to_owned());
                }
                sys::BPF_NETKIT_PRIMARY | sys::BPF_NETKIT_PEER => {
                    self.keep(sys::bpf_program__attach_netkit(program, index, ptr::null()))?;
                    return Ok(name.to_owned());
                }
                _ => {}
            }
        }
        let (point, direction) = match direction {
            "" | "ingress" => (sys::BPF_TC_INGRESS, "ingress"),
            "egress" => (sys::BPF_TC_EGRESS, "egress"),
            other => return Err(Failed::because(format!("`{other}` is no direction"))),
        };
        let mut hook = sys::bpf_tc_hook {
            sz: size_of::<sys::bpf_tc_hook>() as u64,
            ifindex: index,
            attach_point: point,
            ..Default::default()
        };
        let mut options = sys::bpf_tc_opts {
            sz: size_of::<sys::bpf_tc_opts>() as u64,
            // SAFETY: as above.
            prog_fd: unsafe { sys::bpf_program__fd(program) },
            ..Default::default()
        };
        // SAFETY: both have the size they give.
        let error = unsafe {
            let error = sys::bpf_tc_hook_create(&mut hook);
            if error == 0 && self.owner == Owner::User {
                self.hooks.push(hook);
            }
            // The other direction may have made it.
            match error == 0 || error == -libc::EEXIST {
                true => sys::bpf_tc_attach(&hook, &mut options),
                false => error,
            }
        };
        match error {
            0 => {
                self.filters.push((hook, options));
                Ok(format!("{name} {direction}"))
            }
            error => Err(Failed { errno: -error, reason: None }),
        }
    }

    fn cgroup(&mut self, program: Program, place: Option<&str>) -> Result<String, Failed> {
        let path = match self.place(program, place, CGROUP)? {
            path if path.starts_with('/') => path.to_owned(),
            name => {
                let path = format!("{CGROUP}/{name}");
                if self.owner == Owner::Skep {
                    drop(std::fs::create_dir(&path));
                }
                path
            }
        };
        let file = self.open(&path)?;
        // SAFETY: the program belongs to a live object.
        self.keep(unsafe { sys::bpf_program__attach_cgroup(program, file) })?;
        Ok(path)
    }

    fn socket(&mut self, program: Program, name: &str) -> Result<String, Failed> {
        let socket = net::packet_socket(self.interface(name)?)?;
        self.sockets.push(socket);
        // SAFETY: the program belongs to a live object; the option is an int.
        let error = unsafe {
            let fd = sys::bpf_program__fd(program);
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                libc::SO_ATTACH_BPF,
                (&raw const fd).cast(),
                size_of_val(&fd) as u32,
            )
        };
        if error != 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(format!("a socket on {name}"))
    }

    fn perf_event(&mut self, program: Program, place: &str) -> Result<String, Failed> {
        let (event, rate) = perf_event::parse(place).map_err(Failed::because)?;
        // SAFETY: a plain call.
        let processors = unsafe { sys::libbpf_num_possible_cpus() };
        let mut opened = 0;
        for processor in 0..processors {
            // One that is not online has no events.
            let Ok(fd) = perf_event::open(event, rate, processor) else { continue };
            // SAFETY: the program belongs to a live object; the link closes
            // the descriptor.
            self.keep(unsafe { sys::bpf_program__attach_perf_event(program, fd) })?;
            opened += 1;
        }
        match opened {
            0 => Err(Failed::because(format!("the kernel has no event {place}"))),
            _ => Ok(place.to_owned()),
        }
    }

    /// `FAMILY:HOOK[:PRIORITY]`.
    fn netfilter(&mut self, program: Program, place: &str) -> Result<String, Failed> {
        let mut parts = place.split(':');
        let number = |table: &[(&str, u32)], word: Option<&str>| {
            let known = table.iter().find(|(name, _)| Some(*name) == word);
            known.map(|(_, number)| *number).ok_or_else(|| {
                Failed::because(format!(
                    "`{place}` is not FAMILY:HOOK[:PRIORITY], such as ipv4:input:0"
                ))
            })
        };
        let options = sys::bpf_netfilter_opts {
            sz: size_of::<sys::bpf_netfilter_opts>() as u64,
            pf: number(&FAMILIES, parts.next())?,
            hooknum: number(&HOOKS, parts.next())?,
            priority: parts.next().and_then(|text| text.parse().ok()).unwrap_or(0),
            ..Default::default()
        };
        // SAFETY: the program belongs to a live object; the options outlive
        // the call.
        self.keep(unsafe { sys::bpf_program__attach_netfilter(program, &options) })?;
        Ok(place.to_owned())
    }

    /// Programs of sockets that are in a map: the map that is named, or the only
    /// one.
    fn socket_map(
        &mut self,
        object: &Object,
        program: Program,
        attach_type: u32,
        place: Option<&str>,
    ) -> Result<String, Failed> {
        // SAFETY: maps and program belong to the object, which is alive; strings
        // are copied.
        unsafe {
            let maps = object.maps().filter(|&map| {
                matches!(
                    sys::bpf_map__type(map),
                    sys::BPF_MAP_TYPE_SOCKMAP | sys::BPF_MAP_TYPE_SOCKHASH
                )
            });
            let mut maps = maps.map(|map| (load::text(sys::bpf_map__name(map)), map));
            let map = maps.find(|(name, _)| place.is_none_or(|place| place == name));
            let Some((name, map)) = map else {
                return Err(Failed::because("there is no such map of sockets"));
            };
            let (program, map) = (sys::bpf_program__fd(program), sys::bpf_map__fd(map));
            match sys::bpf_prog_attach(program, map, attach_type, 0) {
                0 => {
                    self.on_maps.push((program, map, attach_type));
                    Ok(format!("the sockets in {name}"))
                }
                error => Err(Failed { errno: -error, reason: None }),
            }
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // SAFETY: ours, each detached and closed once; programs and maps are
        // of an object that lives longer.
        unsafe {
            for &link in &self.links {
                sys::bpf_link__destroy(link);
            }
            for (hook, options) in &mut self.filters {
                (options.flags, options.prog_fd, options.prog_id) = (0, 0, 0);
                sys::bpf_tc_detach(hook, options);
            }
            for hook in &mut self.hooks {
                // Both together stand for what they are part of.
                hook.attach_point = sys::BPF_TC_INGRESS | sys::BPF_TC_EGRESS;
                sys::bpf_tc_hook_destroy(hook);
            }
            for &(program, map, kind) in &self.on_maps {
                sys::bpf_prog_detach2(program, map, kind);
            }
            for &socket in &self.sockets {
                libc::close(socket);
            }
        }
    }
}

/// Attaches to all functions of a pattern, or to a place in the file.
fn uprobe_multi(
    program: Program,
    path: &CStr,
    pattern: &CStr,
    offset: Option<u64>,
    retprobe: bool,
) -> *mut sys::bpf_link {
    let offsets = [offset.unwrap_or(0)];
    let mut options = sys::bpf_uprobe_multi_opts {
        sz: size_of::<sys::bpf_uprobe_multi_opts>() as u64,
        retprobe,
        ..Default::default()
    };
    let mut pattern = pattern.as_ptr();
    if offset.is_some() {
        (pattern, options.offsets, options.cnt) = (ptr::null(), offsets.as_ptr(), 1);
    }
    // SAFETY: the program belongs to a live object; what is pointed to
    // outlives the call.
    unsafe { sys::bpf_program__attach_uprobe_multi(program, -1, path.as_ptr(), pattern, &options) }
}

/// The interface that programs get which name none.
fn obvious() -> &'static str {
    if network::is_laid() { network::NEAR } else { "lo" }
}
