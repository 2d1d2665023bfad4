//! Loading programs through libbpf, one at a time.
//!
//! libbpf loads an object's programs together and stops at the first that is
//! refused. So the object is opened anew for each program, with only that one
//! marked to be loaded. What stands in the way of loading but not of
//! verifying is set right, and every such change is reported.

use super::child::{Desk, Ended, Worker, Workers};
use super::unprivileged::{Unprivileged, may_make};
use super::{extension, kernel_btf, target, test};
use crate::base::{fs, libbpf};
use crate::wire::{
    Entry, Hello, Load, Opened, Outcome, Patch, Program, Ran, Refusal, Reply, Request, Stage,
    Trial, Unattachable, VERSION, frame, gap,
};
use libbpf_sys as sys;
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The size of a verifier log, in bytes. Older kernels refuse a program whose
/// log does not fit; newer ones keep its end.
pub const LOG: usize = 32 << 20;
/// How much of a log's end tells the verdict, in bytes.
const VERDICT: usize = 16 << 10;
/// How many entries a map gets whose user program would say, if nobody is going
/// to use it, and if somebody is.
pub const FEW: u32 = 1;
pub const ROOM: u32 = 10_240;
/// The bytes that an object's tables may have together, and one of them if all
/// have more: the machine has 256 MiB.
const TABLES: u64 = 96 << 20;
const TABLE: u64 = 16 << 20;
/// The bytes of a stack as long as the kernel makes them unless told otherwise
/// (`kernel.perf_event_max_stack`).
const STACK: u32 = 127 * 8;
/// How often a program is tried again that there was no memory for, and how
/// long after.
const PATIENCE: u32 = 2;
const NAP: Duration = Duration::from_millis(100);
/// The verifier's log level for statistics (`BPF_LOG_STATS`).
const STATISTICS: u32 = 4;

/// What the guest says of itself.
pub fn hello() -> Hello {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `uname` fills the struct; zeroes are valid if it does not.
    let release = unsafe {
        libc::uname(name.as_mut_ptr());
        text((*name.as_ptr()).release.as_ptr())
    };
    Hello {
        version: VERSION,
        release,
        // SAFETY: a static string.
        libbpf: unsafe { text(sys::libbpf_version_string()) },
        btf: fs::exists(Path::new(kernel_btf::PATH)),
    }
}

/// What a worker that opened an object is to do with it.
#[derive(Serialize, Deserialize)]
struct Attempt {
    program: Program,
    /// The verifier's log level.
    log_level: u32,
}

/// An object whose programs are being loaded.
struct Job<'j> {
    request: &'j Load,
    bytes: &'j [u8],
    limit: Duration,
    workers: &'j mut Workers,
    /// Has opened the object, and nothing else.
    ready: Option<Worker>,
}

/// Opens an object, asks which of its programs are meant, loads those and
/// reports each.
pub fn object(
    request: &Load,
    bytes: &[u8],
    workers: &mut Workers,
    channel: &mut (impl io::Read + io::Write),
) -> io::Result<()> {
    let limit = Duration::from_millis(request.limit_ms);
    let mut job = Job { request, bytes, limit, workers, ready: None };
    let opened = job.open()?;
    frame::write(channel, &Reply::Opened(opened.clone()), &[])?;
    if opened.error.is_some() {
        return Ok(());
    }
    let (Request::Choose(chosen), _) = frame::read(channel)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no programs are chosen"));
    };
    for index in chosen {
        let Some(entry) = opened.programs.get(index as usize) else { continue };
        frame::write(channel, &Reply::Loading { index }, &[])?;
        let (program, log) = job.program(index, entry)?;
        frame::write(channel, &Reply::Program(Box::new(program)), &log)?;
    }
    Ok(())
}

/// What a worker does: opens an object and lists its programs, then loads one
/// of them; then the next. Reading a hostile object may crash as well as
/// loading it.
pub fn work(desk: &mut Desk) {
    while let Ok((request, bytes)) = desk.receive::<Load>() {
        one(desk, &request, &bytes);
    }
}

/// One object, and a program of it.
fn one(desk: &mut Desk, request: &Load, bytes: &[u8]) {
    desk.stage().store(Stage::Open as u8, Ordering::Relaxed);
    let object = match Object::open(&request.name, bytes) {
        Ok(object) => object,
        Err(errno) => {
            let error = Refusal { stage: Stage::Open, errno, messages: libbpf::said() };
            return desk.report(&message(&Opened { programs: Vec::new(), error: Some(error) }));
        }
    };
    desk.report(&message(&Opened {
        programs: object.programs().map(entry).collect(),
        error: None,
    }));
    if let Ok((Attempt { mut program, log_level }, _)) = desk.receive::<Attempt>() {
        match load(request, bytes, &object, log_level, desk, &mut program) {
            Ok(()) => {
                program.warnings = libbpf::said();
                program.unattachable = unattachable(request, &program.entry.name);
            }
            Err(refusal) => program.outcome = Outcome::Refused(refusal),
        }
        if goes_on(request, &program) {
            desk.go_on();
        }
        desk.report(&message(&program));
    }
}

/// Whether a process that loaded a program is as good as new afterwards, once
/// the object is closed. What libbpf refused may have gone ways that nothing
/// else goes; for a `freplace` program another one stays loaded; the kernel's
/// BTF may be in use; a long log would hold its memory; and a trial may change
/// the process itself.
fn goes_on(request: &Load, program: &Program) -> bool {
    let is_verdict = match &program.outcome {
        Outcome::Accepted => true,
        Outcome::Refused(refusal) => refusal.stage == Stage::Verifier,
        _ => false,
    };
    is_verdict
        && program.entry.kind != "ext"
        && program.log_level == 0
        && request.trial(&program.entry.name).is_none()
        && kernel_btf::is_there()
}

/// Why an accepted program cannot be attached, if that is to be tried.
fn unattachable(request: &Load, program: &str) -> Option<Unattachable> {
    let target = request.kprobes.iter().find(|target| target.program == program)?;
    let errno = target::try_kprobe(&target.function).filter(|&errno| errno != 0)?;
    Some(Unattachable { function: target.function.clone(), errno })
}

impl Job<'_> {
    /// Lists the object's programs.
    fn open(&mut self) -> io::Result<Opened> {
        let mut worker = self.workers.take()?;
        worker.order(self.request, self.bytes);
        let mut ended = worker.wait(self.limit)?;
        if let (Ended::Died(_), true) = (&ended, worker.is_used()) {
            // It may have been for what it did before.
            worker = self.workers.take()?;
            worker.order(self.request, self.bytes);
            ended = worker.wait(self.limit)?;
        }
        let refused = |message: String| Opened {
            programs: Vec::new(),
            error: Some(Refusal { stage: Stage::Open, errno: 0, messages: vec![message] }),
        };
        Ok(match ended {
            Ended::Reported(report) => {
                self.ready = Some(worker);
                frame::read(&mut &report[..])?.0
            }
            Ended::TimedOut => refused("libbpf did not finish opening the object".into()),
            Ended::Died(signal) => {
                refused(format!("libbpf crashed on the object (signal {signal})"))
            }
        })
    }

    /// Loads one program; a rejected one again, to learn more.
    fn program(&mut self, index: u32, entry: &Entry) -> io::Result<(Program, Vec<u8>)> {
        let (request, limit) = (self.request, self.limit);
        let level = request.trial(&entry.name).map_or(request.level, |trial| trial.level);
        let (mut result, mut log) = self.attempt(index, entry, level, limit)?;
        for _ in 0..PATIENCE {
            if !lacks_memory(&result) {
                break;
            }
            // The kernel gives back the maps of the program before some time
            // after they were closed.
            std::thread::sleep(NAP);
            (result, log) = self.attempt(index, entry, level, limit)?;
        }
        if result.log_truncated && errno_of(&result) == Some(libc::ENOSPC) {
            // Before 6.4 a log that is too small refuses the program: ask again
            // for the verdict alone.
            let head = std::mem::take(&mut log);
            (result, log) = self.attempt(index, entry, 0, limit)?;
            if request.level > 0 {
                result.log_level = request.level;
                result.log_truncated = true;
                log = [head, log].concat();
            }
        }
        let errno = errno_of(&result);
        if request.explain && errno.is_some() && request.level < 2 {
            // Level 2 has the state behind every instruction, level 1 only that
            // of the path that failed. Either may take much longer than the
            // verdict itself, and is worth only so much waiting.
            let took = Duration::from_nanos(result.load_ns);
            let patience = (took * 5).clamp(Duration::from_secs(2), Duration::from_secs(5));
            let reason = result.verdict.lines().next().unwrap_or_default().to_owned();
            for level in [2, 1] {
                let (again, detailed) = self.attempt(index, entry, level, patience.min(limit))?;
                // Only the same refusal explains the first. A log that lost its
                // beginning, and says so with another number, still ends with it.
                let is_cut = errno_of(&again) == Some(libc::ENOSPC);
                if errno_of(&again) == errno || (is_cut && again.verdict.contains(&reason)) {
                    result.log_level = level;
                    result.log_truncated = again.log_truncated;
                    log = detailed;
                    break;
                }
            }
        }
        Ok((result, shorten(log, request.log_limit)))
    }

    /// Has a worker load one program, with this log level and statistics.
    fn attempt(
        &mut self,
        index: u32,
        entry: &Entry,
        level: u32,
        limit: Duration,
    ) -> io::Result<(Program, Vec<u8>)> {
        let mut result = Program {
            index,
            entry: entry.clone(),
            outcome: Outcome::Accepted,
            warnings: Vec::new(),
            fixups: Vec::new(),
            unattachable: None,
            verdict: String::new(),
            log_level: level,
            log_truncated: false,
            instructions: 0,
            load_ns: 0,
            xlated_bytes: 0,
            jited_bytes: 0,
            xlated: Vec::new(),
            ran: None,
            verified_instructions: 0,
        };
        let started = Instant::now();
        let mut ended = Ended::Reported(Vec::new());
        let mut worker = match self.ready.take() {
            Some(worker) => worker,
            None => {
                let mut worker = self.workers.take()?;
                worker.order(self.request, self.bytes);
                ended = worker.wait(limit)?;
                worker
            }
        };
        if let Ended::Reported(_) = ended {
            worker.order(&Attempt { program: result.clone(), log_level: level | STATISTICS }, &[]);
            ended = worker.wait(limit.saturating_sub(started.elapsed()))?;
        }
        let mut stage = Stage::from_number(worker.stage());
        result.load_ns = started.elapsed().as_nanos() as u64;
        match ended {
            Ended::Reported(report) => result = frame::read(&mut &report[..])?.0,
            Ended::TimedOut => {
                // What takes time in the system call that loads is the verifier.
                if stage == Stage::Load {
                    stage = Stage::Verifier;
                }
                result.outcome = Outcome::TimedOut { stage };
            }
            Ended::Died(signal) => result.outcome = Outcome::Crashed { stage, signal },
        }
        let log = worker.log();
        self.workers.give_back(worker);
        result.log_truncated = log.len() >= LOG - 2;
        let verdict = &log[log.len().saturating_sub(VERDICT)..];
        result.verdict = String::from_utf8_lossy(verdict).into_owned();
        Ok((result, log))
    }
}

/// Whether there was not enough memory for a program or its maps.
fn lacks_memory(program: &Program) -> bool {
    matches!(&program.outcome, Outcome::Refused(refusal) if refusal.errno == libc::ENOMEM)
}

/// The error number of a rejection by the verifier.
fn errno_of(program: &Program) -> Option<i32> {
    match &program.outcome {
        Outcome::Refused(refusal) if refusal.stage == Stage::Verifier => Some(refusal.errno),
        _ => None,
    }
}

/// Takes the middle out of a log that is too long, at line ends.
fn shorten(log: Vec<u8>, limit: u64) -> Vec<u8> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if log.len() <= limit {
        return log;
    }
    let line_end = |at: usize| log[at..].iter().position(|&byte| byte == b'\n').map(|n| at + n + 1);
    let head = line_end(limit / 2).unwrap_or(log.len());
    let tail = line_end(log.len() - limit / 2).unwrap_or(log.len()).max(head);
    [&log[..head], gap(tail - head).as_bytes(), &log[tail..]].concat()
}

/// Loads one program of an object that was only opened.
fn load(
    request: &Load,
    bytes: &[u8],
    object: &Object,
    log_level: u32,
    desk: &Desk,
    result: &mut Program,
) -> Result<(), Refusal> {
    let at = |stage: Stage| desk.stage().store(stage as u8, Ordering::Relaxed);
    let refusal = |stage, errno| Refusal { stage, errno, messages: libbpf::said() };
    let Some(chosen) = object.choose(result.index as usize) else {
        return Err(refusal(Stage::Open, libc::ENOENT));
    };
    result.fixups = object.fix_up(FEW);
    let given = request.placed.iter().find(|placed| placed.program == result.entry.name);
    if let Some(given) = given {
        let fixup = object.place(chosen, &given.section);
        result.fixups.push(fixup.map_err(|errno| refusal(Stage::Open, errno))?);
    }
    for patch in &request.globals {
        object.patch(patch).map_err(|message| Refusal {
            stage: Stage::Prepare,
            errno: libc::EINVAL,
            messages: vec![message],
        })?;
    }
    // SAFETY: `chosen` belongs to the object, which is alive.
    if unsafe { sys::bpf_program__type(chosen) } == sys::BPF_PROG_TYPE_EXT {
        at(Stage::Prepare);
        result.fixups.extend(extension::find_target(request, bytes, chosen));
        // Of programs that turned out not to be the one.
        drop(libbpf::said());
    }
    let trial = request.trial(&result.entry.name);
    let mut unprivileged = None;
    if let Some(trial) = trial {
        unprivileged =
            object.take_trial(chosen, trial).map_err(|errno| refusal(Stage::Open, errno))?;
    }
    let log = desk.log().cast::<c_char>();
    // SAFETY: the log's memory outlives the object; `chosen` belongs to it.
    unsafe {
        *log = 0;
        sys::bpf_program__set_log_level(chosen, log_level);
        sys::bpf_program__set_log_buf(chosen, log, LOG as u64);
    }
    at(Stage::Prepare);
    // SAFETY: a valid object that was not loaded yet.
    let error = unsafe { sys::bpf_object__prepare(object.0) };
    if error != 0 {
        return Err(refusal(Stage::Prepare, -error));
    }
    at(Stage::Load);
    let started = Instant::now();
    // SAFETY: as above.
    let error = unsafe { sys::bpf_object__load(object.0) };
    result.load_ns = started.elapsed().as_nanos() as u64;
    // SAFETY: `chosen` is alive; the log ends in a zero byte.
    let has_log = unsafe {
        result.instructions = sys::bpf_program__insn_cnt(chosen) as u32;
        *log != 0
    };
    if error != 0 {
        let messages = libbpf::said();
        let stage = match () {
            () if has_log => Stage::Verifier,
            () if messages.iter().any(|message| names_target(message)) => Stage::AttachTarget,
            () => Stage::Load,
        };
        at(stage);
        return Err(Refusal { stage, errno: -error, messages });
    }
    drop(unprivileged);
    if let Some(trial) = trial {
        try_out(chosen, trial, result);
    }
    // SAFETY: zeroes are a valid `bpf_prog_info`, which asks for no arrays;
    // the descriptor belongs to the program.
    unsafe {
        let mut info = std::mem::zeroed::<sys::bpf_prog_info>();
        let mut size = size_of_val(&info) as u32;
        let fd = sys::bpf_program__fd(chosen);
        if sys::bpf_prog_get_info_by_fd(fd, &mut info, &mut size) == 0 {
            result.xlated_bytes = info.xlated_prog_len;
            result.jited_bytes = info.jited_prog_len;
            result.verified_instructions = info.verified_insns;
        }
    }
    Ok(())
}

/// Runs a program that was accepted, and looks at what became of it.
fn try_out(program: *const sys::bpf_program, trial: &Trial, result: &mut Program) {
    // SAFETY: the program belongs to a live object that is loaded.
    let fd = unsafe { sys::bpf_program__fd(program) };
    if trial.listing {
        result.xlated = xlated(fd).unwrap_or_default();
    }
    if let Some(case) = &trial.case {
        let mut ran = Ran::default();
        test::test_run(fd, case, &mut ran);
        result.ran = Some(ran);
    }
}

/// The instructions of a program after verification.
fn xlated(fd: i32) -> Option<Vec<u8>> {
    // SAFETY: zeroes are a valid `bpf_prog_info`; the second time it has room
    // for as many bytes as the first time were said to be there.
    unsafe {
        let mut info = std::mem::zeroed::<sys::bpf_prog_info>();
        let mut size = size_of_val(&info) as u32;
        if sys::bpf_prog_get_info_by_fd(fd, &mut info, &mut size) != 0 {
            return None;
        }
        let mut bytes = vec![0_u8; info.xlated_prog_len as usize];
        info = std::mem::zeroed();
        info.xlated_prog_len = bytes.len() as u32;
        info.xlated_prog_insns = bytes.as_mut_ptr() as u64;
        let failed = sys::bpf_prog_get_info_by_fd(fd, &mut info, &mut size) != 0;
        (!failed).then_some(bytes)
    }
}

impl Load {
    /// How a program is loaded, if otherwise than all others.
    fn trial(&self, program: &str) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.program == program)
    }
}

/// Whether a message of libbpf 1.7 is about finding what to attach to
/// (`libbpf_find_attach_btf_id`, `libbpf_prepare_prog_load`).
fn names_target(message: &str) -> bool {
    [
        "failed to find kernel BTF type ID of",
        "attach program FD is not set",
        "no BTF-based attach target",
        "failed to find BPF program",
    ]
    .iter()
    .any(|text| message.contains(text))
}

/// An object that libbpf opened.
pub(super) struct Object(*mut sys::bpf_object);

impl Object {
    /// Opens an object, or says with which error number libbpf refused.
    pub(super) fn open(name: &str, bytes: &[u8]) -> Result<Self, i32> {
        libbpf::listen();
        let name = CString::new(name.replace('\0', "")).unwrap_or_default();
        let options = sys::bpf_object_open_opts {
            sz: size_of::<sys::bpf_object_open_opts>() as u64,
            object_name: name.as_ptr(),
            ..Default::default()
        };
        // SAFETY: libbpf copies the name and keeps pointers into the bytes,
        // which outlive the object.
        let object = unsafe {
            sys::bpf_object__open_mem(bytes.as_ptr().cast(), bytes.len() as u64, &options)
        };
        if object.is_null() {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
        }
        Ok(Self(object))
    }

    /// What libbpf calls it.
    pub(super) fn raw(&self) -> *mut sys::bpf_object {
        self.0
    }

    /// Marks one program to be loaded, and no other.
    pub(super) fn choose(&self, index: usize) -> Option<*mut sys::bpf_program> {
        for (place, program) in self.programs().enumerate() {
            // SAFETY: the program belongs to the object, which is alive.
            unsafe { sys::bpf_program__set_autoload(program, place == index) };
        }
        let chosen = self.programs().nth(index)?;
        self.leave_out_members(chosen);
        Some(chosen)
    }

    /// Takes all programs but one out of the `struct_ops` maps: libbpf loads
    /// what a map names, whatever was asked for, and the rejection of one
    /// member would hide what the kernel says of the others.
    fn leave_out_members(&self, chosen: *mut sys::bpf_program) {
        let others: Vec<usize> =
            self.programs().filter(|one| *one != chosen).map(|one| one as usize).collect();
        for map in self.maps() {
            // SAFETY: the map belongs to the object, which is alive. Before
            // the load, libbpf keeps the structure of such a map with
            // pointers to its programs in the members they implement, and
            // takes NULL for a member that nothing implements.
            unsafe {
                if sys::bpf_map__type(map) != sys::BPF_MAP_TYPE_STRUCT_OPS {
                    continue;
                }
                let mut size = 0;
                let data = sys::bpf_map__initial_value(map, &mut size).cast::<usize>();
                if data.is_null() {
                    continue;
                }
                for at in 0..size as usize / size_of::<usize>() {
                    let member = data.add(at);
                    if others.contains(&member.read_unaligned()) {
                        member.write_unaligned(0);
                    }
                }
            }
        }
    }

    pub(super) fn programs(&self) -> impl Iterator<Item = *mut sys::bpf_program> {
        let mut program = std::ptr::null_mut();
        std::iter::from_fn(move || {
            // SAFETY: the object is alive, the program belongs to it.
            program = unsafe { sys::bpf_object__next_program(self.0, program) };
            (!program.is_null()).then_some(program)
        })
    }

    pub(super) fn maps(&self) -> impl Iterator<Item = *mut sys::bpf_map> {
        let mut map = std::ptr::null_mut();
        std::iter::from_fn(move || {
            // SAFETY: the object is alive, the map belongs to it.
            map = unsafe { sys::bpf_object__next_map(self.0, map) };
            (!map.is_null()).then_some(map)
        })
    }

    /// Sets right what keeps maps from being made here, and says what.
    pub(super) fn fix_up(&self, entries: u32) -> Vec<String> {
        let mut fixups = Vec::new();
        for map in self.maps() {
            // SAFETY: the map belongs to the object, which is alive.
            unsafe {
                let name = text(sys::bpf_map__name(map));
                if !sys::bpf_map__pin_path(map).is_null()
                    && sys::bpf_map__set_pin_path(map, std::ptr::null()) == 0
                {
                    fixups.push(format!("map `{name}`: pinning ignored"));
                }
                if sys::bpf_map__max_entries(map) == 0
                    && needs_entries(sys::bpf_map__type(map))
                    && sys::bpf_map__set_max_entries(map, entries) == 0
                {
                    fixups.push(format!("map `{name}`: max_entries set from 0 to {entries}"));
                }
                if sys::bpf_map__type(map) == sys::BPF_MAP_TYPE_STACK_TRACE
                    && sys::bpf_map__value_size(map) == 0
                    && sys::bpf_map__set_value_size(map, STACK) == 0
                {
                    fixups.push(format!("map `{name}`: value_size set from 0 to {STACK}"));
                }
            }
        }
        fixups
    }

    /// Makes the largest maps smaller if all of them together would not leave
    /// the machine enough memory, and says what.
    pub(super) fn shrink(&self) -> Vec<String> {
        let size = |map: *mut sys::bpf_map| {
            // SAFETY: the map belongs to the object, which is alive.
            unsafe {
                let entry = sys::bpf_map__key_size(map) + sys::bpf_map__value_size(map);
                (u64::from(entry), u64::from(sys::bpf_map__max_entries(map)))
            }
        };
        // SAFETY: as above.
        let is_table = |map: &*mut sys::bpf_map| unsafe { is_table(sys::bpf_map__type(*map)) };
        let tables: Vec<_> = self.maps().filter(is_table).collect();
        let all: u64 = tables.iter().map(|&map| size(map).0.saturating_mul(size(map).1)).sum();
        if all <= TABLES {
            return Vec::new();
        }
        let mut fixups = Vec::new();
        for map in tables {
            let (entry, entries) = size(map);
            let few = (TABLE / entry.max(1)).max(1);
            // SAFETY: as above; the string is copied.
            unsafe {
                if few < entries && sys::bpf_map__set_max_entries(map, few as u32) == 0 {
                    let name = text(sys::bpf_map__name(map));
                    fixups.push(format!(
                        "map `{name}`: max_entries set from {entries} to {few}, \
                         for want of memory"
                    ));
                }
            }
        }
        fixups
    }
}

/// Whether maps of a type take all their memory when they are made, and can be
/// of any size.
fn is_table(kind: u32) -> bool {
    matches!(
        kind,
        sys::BPF_MAP_TYPE_HASH
            | sys::BPF_MAP_TYPE_PERCPU_HASH
            | sys::BPF_MAP_TYPE_LRU_HASH
            | sys::BPF_MAP_TYPE_LRU_PERCPU_HASH
            | sys::BPF_MAP_TYPE_STACK_TRACE
    )
}

impl Object {
    /// Prepares the load of a program whose test says how; gives up privileges
    /// if it is to be loaded without.
    fn take_trial(
        &self,
        chosen: *mut sys::bpf_program,
        trial: &Trial,
    ) -> Result<Option<Unprivileged>, i32> {
        for program in self.programs() {
            // SAFETY: the program belongs to the object, which is alive; the
            // string is copied.
            unsafe {
                let name = text(sys::bpf_program__name(program));
                if trial.with.contains(&name) {
                    sys::bpf_program__set_autoload(program, true);
                }
            }
        }
        // SAFETY: as above.
        unsafe {
            let flags = sys::bpf_program__flags(chosen) | trial.flags;
            sys::bpf_program__set_flags(chosen, flags);
        }
        if !trial.is_unprivileged {
            return Ok(None);
        }
        for map in self.maps().filter(|map| !may_make(*map)) {
            // SAFETY: the map belongs to the object, which is alive.
            unsafe { sys::bpf_map__set_autocreate(map, false) };
        }
        let unprivileged = Unprivileged::new();
        unprivileged.map(Some).map_err(|error| error.raw_os_error().unwrap_or(libc::EPERM))
    }

    /// Gives a program the type that libbpf derives from a section's name;
    /// says so, or with which error number libbpf refused.
    fn place(&self, program: *mut sys::bpf_program, section: &str) -> Result<String, i32> {
        let name = CString::new(section).map_err(|_| libc::EINVAL)?;
        let (mut kind, mut attach) = (0, 0);
        // SAFETY: the program belongs to the object, which is alive; the
        // strings end in a zero byte and are copied.
        unsafe {
            let error = sys::libbpf_prog_type_by_name(name.as_ptr(), &mut kind, &mut attach);
            if error != 0 {
                return Err(-error);
            }
            sys::bpf_program__set_type(program, kind);
            sys::bpf_program__set_expected_attach_type(program, attach);
            // `fentry.s/…`: what may sleep says so in the program's flags.
            if section.split('/').next().is_some_and(|kind| kind.ends_with(".s")) {
                let flags = sys::bpf_program__flags(program) | sys::BPF_F_SLEEPABLE;
                sys::bpf_program__set_flags(program, flags);
            }
            let target = section.split_once('/').map(|(_, target)| target);
            let by_btf = matches!(kind, sys::BPF_PROG_TYPE_TRACING | sys::BPF_PROG_TYPE_LSM);
            if let Some(target) = target.filter(|_| by_btf) {
                let target = CString::new(target).unwrap_or_default();
                let error = sys::bpf_program__set_attach_target(program, 0, target.as_ptr());
                if error != 0 {
                    return Err(-error);
                }
            }
        }
        Ok(format!("loaded as if it stood in section `{section}`"))
    }

    /// Changes initial values of global data.
    pub(super) fn patch(&self, patch: &Patch) -> Result<(), String> {
        let Patch { section, offset, bytes } = patch;
        let name = CString::new(section.as_str()).unwrap_or_default();
        let mut size = 0;
        // SAFETY: the map, if there is one, belongs to the object, which is
        // alive; libbpf says how large its initial value is.
        let data = unsafe {
            let map = sys::bpf_object__find_map_by_name(self.0, name.as_ptr());
            if map.is_null() {
                return Err(format!("libbpf makes no map of section `{section}`"));
            }
            let data = sys::bpf_map__initial_value(map, &mut size).cast::<u8>();
            if data.is_null() {
                return Err(format!("section `{section}` has no initial value"));
            }
            std::slice::from_raw_parts_mut(data, size as usize)
        };
        let start = usize::try_from(*offset).unwrap_or(usize::MAX);
        let room = data.get_mut(start..).and_then(|rest| rest.get_mut(..bytes.len()));
        match room {
            Some(room) => room.copy_from_slice(bytes),
            None => return Err(format!("a value lies beyond the end of section `{section}`")),
        }
        Ok(())
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once.
        unsafe { sys::bpf_object__close(self.0) };
    }
}

/// Whether a map of this type cannot be made with room for no entry. Storage
/// maps must have none, and libbpf sizes perf event arrays itself.
fn needs_entries(kind: sys::bpf_map_type) -> bool {
    !matches!(
        kind,
        sys::BPF_MAP_TYPE_UNSPEC
            | sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY
            | sys::BPF_MAP_TYPE_CGROUP_STORAGE
            | sys::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
            | sys::BPF_MAP_TYPE_SK_STORAGE
            | sys::BPF_MAP_TYPE_INODE_STORAGE
            | sys::BPF_MAP_TYPE_TASK_STORAGE
            | sys::BPF_MAP_TYPE_CGRP_STORAGE
            | sys::BPF_MAP_TYPE_STRUCT_OPS
    )
}

/// What a program is.
pub(super) fn entry(program: *mut sys::bpf_program) -> Entry {
    // SAFETY: the program belongs to a live object; the strings are copied.
    unsafe {
        Entry {
            name: text(sys::bpf_program__name(program)),
            section: text(sys::bpf_program__section_name(program)),
            kind: text(sys::libbpf_bpf_prog_type_str(sys::bpf_program__type(program))),
        }
    }
}

/// Copies a C string; none gives an empty one.
///
/// # Safety
/// A pointer that is not null must lead to a string ending in a zero byte.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A child's report is a message without a blob.
fn message(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory fails only for a message that is too large; then
    // there is no report, which the parent notices.
    match frame::write(&mut bytes, value, &[]) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
