//! Programs at work: an object is loaded as a whole, what can be attached is
//! attached, and everything that comes out goes to the host as it comes, until
//! the host has seen enough or the workload ends.

pub(super) mod attach;
pub(super) mod content;
pub(super) mod iterator;
pub(super) mod net;
mod perf_event;
pub(super) mod streams;
mod symbols;
pub(super) mod trace;

use super::channel::Channel;
use super::load::{self, Object};
use super::network;
use super::run::Piped;
use super::{Owner, own};
use crate::base::{fs, libbpf};
use crate::wire::{
    Attach, Attached, Entry, NOWHERE, Refusal, Reply, Request, Resolve, Stage, Target, frame,
};
use attach::Links;
use iterator::Iterators;
use libbpf_sys as sys;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};
use streams::Streams;
use symbols::Symbols;
use trace::Trace;

/// How long nothing may happen before the host is told that the guest is
/// there, and is listened to.
const TICK: Duration = Duration::from_millis(10);
/// How often that is told.
const SIGN_OF_LIFE: Duration = Duration::from_millis(200);
/// What programs still say after the workload's end.
pub(super) const AFTERMATH: Duration = Duration::from_millis(50);

/// Does what the host asks for; returns when it is over.
pub fn run(request: &Attach, bytes: &[u8], channel: &mut Channel, owner: Owner) -> io::Result<()> {
    let is_guest = owner == Owner::Skep;
    if is_guest {
        net::bring_up("lo");
    }
    let network = request.network.then(network::lay);
    drop(libbpf::said());
    let object = match Object::open(&request.name, bytes) {
        Ok(object) => object,
        Err(errno) => return refuse(Stage::Open, errno, channel),
    };
    let mut fixups = object.fix_up(load::ROOM);
    if is_guest {
        fixups.extend(object.shrink());
    }
    if let Some(Err(error)) = network {
        fixups.push(format!("there is no pair of network devices: {error}"));
    }
    for patch in &request.globals {
        if let Err(message) = object.patch(patch) {
            let refusal =
                Refusal { stage: Stage::Prepare, errno: libc::EINVAL, messages: vec![message] };
            return frame::write(channel, &Reply::Refused(refusal), &[]);
        }
    }
    let wanted = |index: u32| request.only.as_ref().is_none_or(|only| only.contains(&index));
    for (index, program) in (0..).zip(object.programs()) {
        // SAFETY: the program belongs to the object, which is alive.
        unsafe {
            let autoload = wanted(index) && sys::bpf_program__autoload(program);
            sys::bpf_program__set_autoload(program, autoload);
        }
    }
    let mut programs = place_all(&object, &request.targets);
    // SAFETY: a valid object that was not loaded yet.
    let error = unsafe { sys::bpf_object__load(object.raw()) };
    if error != 0 {
        return refuse(Stage::Load, -error, channel);
    }
    let mut streams = Streams::open(&object);
    let mut trace = Trace::open(owner);
    if let Some(reason) = trace.failed() {
        let reason = fs::reason(reason);
        fixups.push(format!("what programs print is not shown: {reason}"));
    }
    let mut links = Links::default();
    (links.owner, links.is_aimed) = (owner, true);
    programs.extend(attach_all(&object, &|_| true, &request.targets, &mut links));
    let iterators = Iterators::new(&links);
    let names = streams.names();
    frame::write(channel, &Reply::Attached { programs, streams: names, fixups }, &[])?;
    let mut live = Live {
        object: &object,
        streams: &mut streams,
        trace: &mut trace,
        iterators: &iterators,
        symbols: Symbols::of(owner),
        channel,
    };
    if is_guest {
        // Until here there was nobody but this process to see.
        live.streams.take();
        live.trace.take();
    }
    let workload = match &request.workload {
        Some(line) => Some(Piped::start(&[], line.as_bytes())?),
        None => None,
    };
    live.watch(workload, request.interval_ms.map(Duration::from_millis))?;
    // Iterators show what there is as long as they are attached.
    live.iterate()?;
    drop(links);
    live.pass_on()?;
    for (stream, count) in live.streams.untold() {
        frame::write(live.channel, &Reply::Lost { stream, count }, &[])?;
    }
    live.tell_maps(true)?;
    live.answer()?;
    frame::write(live.channel, &Reply::Done, &[])
}

fn refuse(stage: Stage, errno: i32, channel: &mut Channel) -> io::Result<()> {
    let refusal = Refusal { stage, errno, messages: libbpf::said() };
    frame::write(channel, &Reply::Refused(refusal), &[])
}

/// Leaves programs out that the user does not want, and tells the kernel before
/// it loads the others which functions they are for, where it wants to know
/// then. Those that it has no such function for are left out, too, and
/// returned.
pub(super) fn place_all(object: &Object, targets: &[Target]) -> Vec<Attached> {
    let mut missing = Vec::new();
    for program in object.programs() {
        let entry = load::entry(program);
        let target = targets.iter().find(|target| target.program == entry.name);
        let Some(place) = target.map(|target| target.place.as_str()) else { continue };
        drop(libbpf::said());
        let result = match place == NOWHERE {
            true => Ok(false),
            false => attach::aim(program, place),
        };
        if !matches!(result, Ok(true)) {
            // SAFETY: the program belongs to the object, which is alive.
            unsafe { sys::bpf_program__set_autoload(program, false) };
        }
        if let Err(failed) = result {
            missing.push(Attached { entry, result: Err(of_attaching(failed)) });
        }
    }
    missing
}

/// Attaches the programs that were loaded and are wanted, and `struct_ops`
/// maps.
pub(super) fn attach_all(
    object: &Object,
    is_wanted: &dyn Fn(&str) -> bool,
    targets: &[Target],
    links: &mut Links,
) -> Vec<Attached> {
    let mut all = Vec::new();
    for program in object.programs() {
        // SAFETY: the program belongs to the object, which is alive.
        let (is_loaded, kind) =
            unsafe { (sys::bpf_program__autoload(program), sys::bpf_program__type(program)) };
        // Those are attached with their map.
        if !is_loaded || kind == sys::BPF_PROG_TYPE_STRUCT_OPS {
            continue;
        }
        let entry = load::entry(program);
        if !is_wanted(&entry.name) {
            continue;
        }
        let target = targets.iter().find(|target| target.program == entry.name);
        drop(libbpf::said());
        let result = links.attach(object, program, target.map(|target| target.place.as_str()));
        all.push(Attached { entry, result: result.map_err(of_attaching) });
    }
    for map in object.maps() {
        // SAFETY: the map belongs to the object, which is alive.
        if unsafe { sys::bpf_map__type(map) } == sys::BPF_MAP_TYPE_STRUCT_OPS {
            // SAFETY: as above; the string is copied.
            let name = unsafe { load::text(sys::bpf_map__name(map)) };
            if !is_wanted(&name) {
                continue;
            }
            drop(libbpf::said());
            let result = links.attach_map(map);
            let entry = Entry { name, section: String::new(), kind: "struct_ops".to_owned() };
            all.push(Attached { entry, result: result.map_err(of_attaching) });
        }
    }
    all
}

fn of_attaching(failed: attach::Failed) -> Refusal {
    let messages = match failed.reason {
        Some(reason) => vec![reason],
        None => libbpf::said(),
    };
    Refusal { stage: Stage::AttachTarget, errno: failed.errno, messages }
}

/// What is listened to.
struct Live<'l> {
    object: &'l Object,
    streams: &'l mut Streams,
    trace: &'l mut Trace,
    iterators: &'l Iterators,
    symbols: Symbols,
    channel: &'l mut Channel,
}

impl Live<'_> {
    /// Hands on what comes, until the host stops it or the workload ends.
    fn watch(&mut self, mut workload: Option<Piped>, interval: Option<Duration>) -> io::Result<()> {
        let mut next = interval.map(|interval| Instant::now() + interval);
        let mut told = Instant::now();
        loop {
            self.wait(workload.as_ref());
            let mut happened = self.pass_on()?;
            if let Some(piped) = &mut workload {
                let channel = &mut *self.channel;
                happened |= piped.pass_on(channel)?;
                if piped.is_silent()
                    && let Some(piped) = workload.take()
                {
                    let code = piped.wait();
                    std::thread::sleep(AFTERMATH);
                    self.pass_on()?;
                    return frame::write(self.channel, &Reply::Exited { code }, &[]);
                }
            }
            if let (Some(interval), Some(at)) = (interval, next)
                && Instant::now() >= at
            {
                self.iterate()?;
                self.tell_maps(false)?;
                next = Some(Instant::now() + interval);
                happened = true;
            }
            if own::is_over() {
                return Ok(());
            }
            if self.channel.is_waiting()? {
                match frame::read::<Request>(self.channel)?.0 {
                    Request::Stop => {
                        if let Some(piped) = workload {
                            piped.kill();
                        }
                        return Ok(());
                    }
                    Request::Resolve(asked) => self.locate(&asked)?,
                    _ => return Err(io::Error::other("the host asks for something else now")),
                }
            }
            if happened {
                told = Instant::now();
            } else if told.elapsed() >= SIGN_OF_LIFE {
                frame::write(self.channel, &Reply::Idle, &[])?;
                told = Instant::now();
            }
        }
    }

    /// Waits until something may have happened.
    fn wait(&self, workload: Option<&Piped>) {
        let fds = self.streams.fds().into_iter().chain(self.trace.fd());
        let fds = fds.chain(workload.into_iter().flat_map(Piped::fds));
        let mut entries: Vec<libc::pollfd> =
            fds.map(|fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        // SAFETY: an array of that many valid entries.
        unsafe {
            libc::poll(entries.as_mut_ptr(), entries.len() as u64, TICK.as_millis() as i32);
        }
    }

    /// Tells what programs wrote since the last time; whether there was
    /// anything.
    fn pass_on(&mut self) -> io::Result<bool> {
        let mut happened = false;
        // A program that writes all the time must not keep the host from
        // being heard.
        let (records, lost) = self.streams.take();
        if !records.is_empty() {
            frame::write(self.channel, &Reply::Records, records)?;
            happened = true;
        }
        for (stream, count) in lost {
            frame::write(self.channel, &Reply::Lost { stream, count }, &[])?;
            happened = true;
        }
        let lines = self.trace.take();
        if !lines.is_empty() {
            frame::write(self.channel, &Reply::Traced, &lines)?;
            happened = true;
        }
        Ok(happened)
    }

    fn iterate(&mut self) -> io::Result<()> {
        self.iterators.each(&mut |program, text| {
            let program = program.to_owned();
            frame::write(self.channel, &Reply::Iterated { program }, text)
        })
    }

    fn locate(&mut self, asked: &Resolve) -> io::Result<()> {
        let located = self.symbols.resolve(self.object, asked);
        frame::write(self.channel, &Reply::Located(located), &[])
    }

    /// Answers what is asked of what was told last.
    fn answer(&mut self) -> io::Result<()> {
        frame::write(self.channel, &Reply::Told, &[])?;
        loop {
            match frame::read::<Request>(self.channel)?.0 {
                Request::Resolve(asked) => self.locate(&asked)?,
                Request::Leave => return Ok(()),
                // It crossed the news that everything had ended by itself.
                _ => {}
            }
        }
    }

    /// Tells what maps hold; stacks at the end, when it is known which of them
    /// were told with what refers to them.
    fn tell_maps(&mut self, is_last: bool) -> io::Result<()> {
        // SAFETY: the map belongs to the object, which is alive.
        let is_of_stacks = |map: &*const sys::bpf_map| unsafe {
            sys::bpf_map__type(*map) == sys::BPF_MAP_TYPE_STACK_TRACE
        };
        let maps = self.object.maps().map(<*mut sys::bpf_map>::cast_const);
        let (stacks, others): (Vec<_>, Vec<_>) = maps.partition(is_of_stacks);
        for map in others.into_iter().chain(stacks.into_iter().filter(|_| is_last)) {
            if let Some((mut content, blob)) = content::of(map) {
                content.is_last = is_last;
                frame::write(self.channel, &Reply::Content(content), &blob)?;
            }
        }
        Ok(())
    }
}
