//! Programs that are run with given input (`BPF_PROG_TEST_RUN`), or attached
//! while something happens: an object is
//! loaded as a whole, and each case finds its maps as they were then. What
//! comes out goes to the host, which knows what was expected.
//!
//! All of it happens in a child process: what kills it costs no more than the
//! cases that were left.

use super::Owner;
use super::actor::Actor;
use super::channel::Channel;
use super::live::attach::Links;
use super::live::iterator::Iterators;
use super::live::streams::Streams;
use super::live::trace::Trace;
use super::live::{AFTERMATH, attach_all, content, net};
use super::load::{self, Object};
use super::run::{end, lay_out, wait};
use crate::base::libbpf;
use crate::wire::{ACTOR, Case, MapEntry, Patch, Ran, Refusal, Reply, Scene, Stage, Test, frame};
use libbpf_sys as sys;
use std::ffi::CString;
use std::io;
use std::time::{Duration, Instant};

/// An array with more entries is not set back entry by entry.
const MOST_ENTRIES: u32 = 4096;
/// How often one looks whether something happened.
const TICK: Duration = Duration::from_millis(2);
/// How long the host hears nothing while something is done: less than it
/// waits.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Runs the cases; returns when all are told.
pub fn run(request: &Test, bytes: &[u8], channel: &mut Channel) -> io::Result<()> {
    // Only one may read the trace, and what a process that ends has open is
    // not closed at once: so it is opened here, once for each request.
    let mut trace = Trace::open(Owner::Skep);
    // SAFETY: the guest has one thread, so the child may go on as usual.
    match unsafe { libc::fork() } {
        ..0 => return Err(io::Error::last_os_error()),
        0 => {
            let result = cases(request, bytes, &mut trace, channel);
            end(i32::from(result.is_err()))
        }
        child => {
            let code = wait(child);
            if code != 0 {
                let reason = match code {
                    129.. => format!("it died of signal {}", code - 128),
                    _ => "the channel broke".to_owned(),
                };
                let reason = format!("the process that ran the programs is gone: {reason}");
                frame::write(channel, &Reply::Failed(reason), &[])?;
            }
        }
    }
    frame::write(channel, &Reply::Done, &[])
}

fn cases(request: &Test, bytes: &[u8], trace: &mut Trace, channel: &mut Channel) -> io::Result<()> {
    net::bring_up("lo");
    if request.cases.iter().any(|case| case.scene.is_some()) {
        lay_out();
    }
    let mut bench = match Bench::set_up(request, bytes) {
        Ok(bench) => bench,
        Err(refusal) => return frame::write(channel, &Reply::Refused(refusal), &[]),
    };
    let mut fixups = bench.fixups.clone();
    if trace.fd().is_none() {
        fixups.push("the kernel's trace cannot be read: nothing is seen of prints".to_owned());
    }
    let streams = bench.streams.names();
    frame::write(channel, &Reply::Attached { programs: Vec::new(), streams, fixups }, &[])?;
    for (index, case) in (0..).zip(&request.cases) {
        if index > 0 && !bench.clean_up() {
            bench = match Bench::set_up(request, bytes) {
                Ok(bench) => bench,
                Err(refusal) => return frame::write(channel, &Reply::Refused(refusal), &[]),
            };
        }
        // What others printed, or the case before.
        trace.take();
        // This process runs programs by itself, or looks on.
        trace.hears_children = case.scene.is_none();
        let started = Instant::now();
        let mut ran = Ran { case: index, ..Ran::default() };
        let done = match &case.scene {
            None => bench.run(case, &mut ran),
            Some(scene) => bench.play(case, scene, &mut ran, trace, channel)?,
        };
        if let Err(reason) = done {
            ran.failed = Some(reason);
        }
        ran.took_ns = started.elapsed().as_nanos() as u64;
        bench.tell(case, trace, channel)?;
        frame::write(channel, &Reply::Ran(Box::new(ran)), &[])?;
    }
    Ok(())
}

/// An object that is loaded, and what is needed to set its maps back.
struct Bench {
    object: Object,
    streams: Streams,
    fixups: Vec<String>,
    /// Global data after the load, by the map.
    data: Vec<(*mut u8, Vec<u8>)>,
    /// Every map can be set back.
    is_cleanable: bool,
}

impl Bench {
    fn set_up(request: &Test, bytes: &[u8]) -> Result<Self, Refusal> {
        drop(libbpf::said());
        let refusal = |stage, errno| Refusal { stage, errno, messages: libbpf::said() };
        let object =
            Object::open(&request.name, bytes).map_err(|errno| refusal(Stage::Open, errno))?;
        let fixups = object.fix_up(load::ROOM);
        for patch in &request.globals {
            object.patch(patch).map_err(|message| Refusal {
                stage: Stage::Prepare,
                errno: libc::EINVAL,
                messages: vec![message],
            })?;
        }
        if let Some(only) = &request.only {
            for program in object.programs() {
                // SAFETY: the program belongs to the object, which is alive;
                // the string is copied.
                unsafe {
                    let name = load::text(sys::bpf_program__name(program));
                    sys::bpf_program__set_autoload(program, only.contains(&name));
                }
            }
        }
        // SAFETY: a valid object that was not loaded yet.
        let error = unsafe { sys::bpf_object__load(object.raw()) };
        if error != 0 {
            return Err(refusal(Stage::Load, -error));
        }
        let streams = Streams::open(&object);
        let mut this = Self { object, streams, fixups, data: Vec::new(), is_cleanable: true };
        this.look();
        Ok(this)
    }

    /// Finds out what there is to set back.
    fn look(&mut self) {
        for map in self.object.maps() {
            // SAFETY: the map belongs to the object, which is alive.
            let (kind, entries) =
                unsafe { (sys::bpf_map__type(map), sys::bpf_map__max_entries(map)) };
            let mut size = 0;
            // SAFETY: as above; of a map of global data that is loaded, this
            // is the memory that programs see.
            let data = unsafe { sys::bpf_map__initial_value(map, &mut size).cast::<u8>() };
            if !data.is_null() && kind == sys::BPF_MAP_TYPE_ARRAY {
                if !is_constant(map) {
                    // SAFETY: libbpf says how large it is.
                    let bytes = unsafe { std::slice::from_raw_parts(data, size as usize) };
                    self.data.push((data, bytes.to_vec()));
                }
                continue;
            }
            self.is_cleanable &= match kind {
                sys::BPF_MAP_TYPE_ARRAY | sys::BPF_MAP_TYPE_PERCPU_ARRAY => entries <= MOST_ENTRIES,
                sys::BPF_MAP_TYPE_HASH
                | sys::BPF_MAP_TYPE_PERCPU_HASH
                | sys::BPF_MAP_TYPE_LRU_HASH
                | sys::BPF_MAP_TYPE_LRU_PERCPU_HASH
                | sys::BPF_MAP_TYPE_LPM_TRIE
                // Those that programs cannot change, or that are emptied by
                // reading them.
                | sys::BPF_MAP_TYPE_RINGBUF
                | sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY
                | sys::BPF_MAP_TYPE_PROG_ARRAY
                | sys::BPF_MAP_TYPE_ARRAY_OF_MAPS
                | sys::BPF_MAP_TYPE_HASH_OF_MAPS
                | sys::BPF_MAP_TYPE_DEVMAP
                | sys::BPF_MAP_TYPE_DEVMAP_HASH
                | sys::BPF_MAP_TYPE_CPUMAP
                | sys::BPF_MAP_TYPE_XSKMAP
                | sys::BPF_MAP_TYPE_CGROUP_ARRAY => true,
                _ => false,
            };
        }
    }

    /// Sets everything back to how it was after the load; whether that can be
    /// done.
    fn clean_up(&mut self) -> bool {
        self.streams.take();
        if !self.is_cleanable {
            return false;
        }
        for (data, bytes) in &self.data {
            // SAFETY: the memory is as large as it was, and programs run only
            // when this process has them run.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), *data, bytes.len()) };
        }
        self.object.maps().all(clear)
    }

    /// Gives maps and global data what the case wants them to begin with.
    fn prepare(&self, case: &Case) -> Result<(), String> {
        for patch in &case.globals {
            self.patch(patch)?;
        }
        case.entries.iter().try_for_each(|entry| self.write(entry))
    }

    /// Attaches programs, has something happen, and detaches them; why that
    /// could not be, if it could not.
    fn play(
        &mut self,
        case: &Case,
        scene: &Scene,
        ran: &mut Ran,
        trace: &mut Trace,
        channel: &mut Channel,
    ) -> io::Result<Result<(), String>> {
        if let Err(reason) = self.prepare(case) {
            return Ok(Err(reason));
        }
        let mut actor = match Actor::start(&scene.deeds) {
            Ok(actor) => actor,
            Err(error) => return Ok(Err(format!("no process can be started: {error}"))),
        };
        let mut links = Links::default();
        let is_wanted = |name: &str| {
            scene.programs.as_ref().is_none_or(|known| known.iter().any(|n| n == name))
        };
        ran.attached = attach_all(&self.object, &is_wanted, &scene.targets, &mut links);
        let iterators = Iterators::new(&links);
        // Until here there was nobody but this process to see.
        self.streams.take();
        trace.take();
        let started = Instant::now();
        let limit = Duration::from_millis(scene.limit_ms);
        let mut told = started;
        actor.begin();
        while !actor.has_ended() && started.elapsed() < limit {
            std::thread::sleep(TICK);
            self.pass_on(trace, channel)?;
            if told.elapsed() >= SIGN_OF_LIFE {
                frame::write(channel, &Reply::Idle, &[])?;
                told = Instant::now();
            }
        }
        ran.is_late = !actor.has_ended();
        (ran.acts, ran.output) = actor.acts();
        let is_numbered = actor.is_numbered();
        std::thread::sleep(AFTERMATH);
        iterators.each(&mut |program, text| {
            let program = program.to_owned();
            frame::write(channel, &Reply::Iterated { program }, text)
        })?;
        drop(links);
        // Nobody is to see how what it left behind is ended.
        drop(actor);
        Ok(match is_numbered {
            false => Err(format!("the kernel does not let a process be number {ACTOR}")),
            true => Ok(()),
        })
    }

    fn run(&self, case: &Case, ran: &mut Ran) -> Result<(), String> {
        self.prepare(case)?;
        let name = CString::new(case.program.as_str()).unwrap_or_default();
        // SAFETY: the object is alive; a name that it does not have gives
        // null, which is no descriptor.
        let fd = unsafe {
            let program = sys::bpf_object__find_program_by_name(self.object.raw(), name.as_ptr());
            if program.is_null() { -1 } else { sys::bpf_program__fd(program) }
        };
        if fd < 0 {
            return Err(format!("program `{}` is not loaded", case.program));
        }
        test_run(fd, case, ran);
        let mut whole = u64::from(ran.duration_ns);
        for packet in &case.more {
            if ran.errno != 0 {
                break;
            }
            let next = Case {
                packet: Some(packet.clone()),
                packet_room: case.packet_room,
                repeat: case.repeat,
                ..Case::default()
            };
            test_run(fd, &next, ran);
            whole += u64::from(ran.duration_ns);
        }
        ran.duration_ns = u32::try_from(whole / (1 + case.more.len() as u64)).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Changes global data of a loaded object.
    fn patch(&self, patch: &Patch) -> Result<(), String> {
        let map = self.map(&patch.section)?;
        let mut size = 0;
        // SAFETY: the map belongs to the object, which is alive; libbpf says
        // how large its memory is.
        let data = unsafe {
            let data = sys::bpf_map__initial_value(map, &mut size).cast::<u8>();
            if data.is_null() || is_constant(map) {
                return Err(format!("section `{}` cannot be written", patch.section));
            }
            std::slice::from_raw_parts_mut(data, size as usize)
        };
        let start = usize::try_from(patch.offset).unwrap_or(usize::MAX);
        let room = data.get_mut(start..).and_then(|rest| rest.get_mut(..patch.bytes.len()));
        match room {
            Some(room) => room.copy_from_slice(&patch.bytes),
            None => return Err(format!("a value lies beyond section `{}`", patch.section)),
        }
        Ok(())
    }

    fn map(&self, name: &str) -> Result<*mut sys::bpf_map, String> {
        let text = CString::new(name).unwrap_or_default();
        // SAFETY: the object is alive.
        let map = unsafe { sys::bpf_object__find_map_by_name(self.object.raw(), text.as_ptr()) };
        if map.is_null() { Err(format!("there is no map `{name}`")) } else { Ok(map) }
    }

    fn write(&self, entry: &MapEntry) -> Result<(), String> {
        let map = self.map(&entry.map)?;
        let Shape { fd, key_size, values, stride, .. } = Shape::of(map);
        let mut value = entry.value.clone();
        value.resize(values * stride, 0);
        if entry.key.len() != key_size {
            return Err(format!("a key of map `{}` has {key_size} bytes", entry.map));
        }
        // SAFETY: the key and the values have the sizes of the map's.
        let error = unsafe {
            sys::bpf_map_update_elem(fd, entry.key.as_ptr().cast(), value.as_ptr().cast(), 0)
        };
        match error {
            0 => Ok(()),
            error => {
                let error = io::Error::from_raw_os_error(-error);
                Err(format!("map `{}` does not take an entry: {error}", entry.map))
            }
        }
    }

    /// Tells what came out.
    fn tell(&mut self, case: &Case, trace: &mut Trace, channel: &mut Channel) -> io::Result<()> {
        self.pass_on(trace, channel)?;
        for name in &case.maps {
            if let Ok(map) = self.map(name)
                && let Some((mut content, blob)) = content::of(map)
            {
                content.map.clone_from(name);
                frame::write(channel, &Reply::Content(content), &blob)?;
            }
        }
        Ok(())
    }

    /// Tells what programs wrote since the last time.
    fn pass_on(&mut self, trace: &mut Trace, channel: &mut Channel) -> io::Result<()> {
        let (records, lost) = self.streams.take();
        if !records.is_empty() {
            frame::write(channel, &Reply::Records, records)?;
        }
        for (stream, count) in lost {
            frame::write(channel, &Reply::Lost { stream, count }, &[])?;
        }
        let lines = trace.take();
        if !lines.is_empty() {
            frame::write(channel, &Reply::Traced, &lines)?;
        }
        Ok(())
    }
}

/// Runs a program with the case's input.
pub(super) fn test_run(fd: i32, case: &Case, ran: &mut Ran) {
    let mut packet = vec![0; case.packet_room as usize];
    let mut context = vec![0; case.context_room as usize];
    // Of some program types the kernel writes back what it was given.
    let mut given = case.context.clone();
    let pointer = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map_or(std::ptr::null(), |bytes| bytes.as_ptr().cast())
    };
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u32);
    let room = |bytes: &mut Vec<u8>| match bytes.is_empty() {
        true => std::ptr::null_mut(),
        false => bytes.as_mut_ptr().cast(),
    };
    let mut options = sys::bpf_test_run_opts {
        sz: size_of::<sys::bpf_test_run_opts>() as u64,
        data_in: pointer(&case.packet),
        data_out: room(&mut packet),
        data_size_in: length(&case.packet),
        data_size_out: packet.len() as u32,
        ctx_in: given
            .as_mut()
            .map_or(std::ptr::null(), |bytes| bytes.as_mut_ptr().cast_const().cast()),
        ctx_out: room(&mut context),
        ctx_size_in: length(&case.context),
        ctx_size_out: context.len() as u32,
        repeat: case.repeat.cast_signed(),
        ..Default::default()
    };
    // SAFETY: the buffers have the sizes that are given and live through the
    // call.
    ran.errno = -unsafe { sys::bpf_prog_test_run_opts(fd, &raw mut options) };
    ran.retval = options.retval;
    if ran.errno == 0 {
        ran.retvals.push(options.retval);
    }
    ran.duration_ns = options.duration;
    packet.truncate(options.data_size_out as usize);
    context.truncate(options.ctx_size_out as usize);
    if context.is_empty() {
        context = given.unwrap_or_default();
    }
    (ran.packet, ran.context) = (packet, context);
}

/// How a map's entries look.
struct Shape {
    fd: i32,
    kind: sys::bpf_map_type,
    key_size: usize,
    /// How many values an entry has.
    values: usize,
    /// Bytes from one value to the next.
    stride: usize,
}

impl Shape {
    fn of(map: *const sys::bpf_map) -> Self {
        // SAFETY: the map belongs to a live object.
        let (fd, kind, key_size, value_size) = unsafe {
            (
                sys::bpf_map__fd(map),
                sys::bpf_map__type(map),
                sys::bpf_map__key_size(map) as usize,
                sys::bpf_map__value_size(map) as usize,
            )
        };
        let has_many = matches!(
            kind,
            sys::BPF_MAP_TYPE_PERCPU_ARRAY
                | sys::BPF_MAP_TYPE_PERCPU_HASH
                | sys::BPF_MAP_TYPE_LRU_PERCPU_HASH
        );
        let (values, stride) = match has_many {
            // SAFETY: a plain call.
            true => {
                let processors = unsafe { sys::libbpf_num_possible_cpus() };
                (usize::try_from(processors).unwrap_or(1), value_size.next_multiple_of(8))
            }
            false => (1, value_size),
        };
        Self { fd, kind, key_size, values, stride }
    }
}

fn is_constant(map: *const sys::bpf_map) -> bool {
    // SAFETY: the map belongs to a live object; the string is copied.
    let name = unsafe { load::text(sys::bpf_map__name(map)) };
    name.contains(".rodata") || name.ends_with(".kconfig")
}

/// Empties a map, or fills an array with zeros; whether that worked.
fn clear(map: *mut sys::bpf_map) -> bool {
    let Shape { fd, kind, key_size, values, stride } = Shape::of(map);
    let mut size = 0;
    // SAFETY: the map belongs to a live object.
    let is_data = unsafe { !sys::bpf_map__initial_value(map, &mut size).is_null() };
    if is_data {
        return true;
    }
    match kind {
        sys::BPF_MAP_TYPE_ARRAY | sys::BPF_MAP_TYPE_PERCPU_ARRAY => {
            // SAFETY: as above.
            let entries = unsafe { sys::bpf_map__max_entries(map) };
            let zero = vec![0_u8; values * stride];
            (0..entries).all(|key: u32| {
                // SAFETY: the key is an array's, the values have its size.
                unsafe {
                    sys::bpf_map_update_elem(fd, (&raw const key).cast(), zero.as_ptr().cast(), 0)
                        == 0
                }
            })
        }
        sys::BPF_MAP_TYPE_HASH
        | sys::BPF_MAP_TYPE_PERCPU_HASH
        | sys::BPF_MAP_TYPE_LRU_HASH
        | sys::BPF_MAP_TYPE_LRU_PERCPU_HASH
        | sys::BPF_MAP_TYPE_LPM_TRIE => {
            let mut key = vec![0_u8; key_size];
            // SAFETY: room for a key; without one before it, the first is
            // given.
            unsafe {
                while sys::bpf_map_get_next_key(fd, std::ptr::null(), key.as_mut_ptr().cast()) == 0
                {
                    if sys::bpf_map_delete_elem(fd, key.as_ptr().cast()) != 0 {
                        return false;
                    }
                }
            }
            true
        }
        _ => true,
    }
}
