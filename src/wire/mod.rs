//! Floor 2: what host and guest say to each other.
//!
//! A message is a JSON header and one run of raw bytes (an object, a log),
//! see [`frame`]. Messages travel as a byte stream through memory that both
//! sides map, see [`ring`]. Host and guest are always the same build of skep,
//! so nothing here has to be compatible with older versions; [`VERSION`] only
//! catches mistakes.

pub mod frame;
pub mod records;
pub mod ring;

use serde::{Deserialize, Serialize};

/// Changes with every change of a message's meaning.
pub const VERSION: u32 = 9;

/// The guest-physical address of the memory both sides map.
pub const CHANNEL_AT: u64 = 256 << 20;
/// The size of that memory in bytes.
pub const CHANNEL_SIZE: u64 = 64 << 20;
/// The I/O port the guest writes to when it has something to say: QEMU's
/// debug console, a device without state.
pub const DOORBELL: u16 = 0xe9;
/// What a guest says first on its second serial line, if that has to stand
/// for the memory.
pub const SERIAL_READY: u8 = b'S';
/// A word on the kernel's command line: the machine is booted to be saved, so
/// it is worth its while to leave no rubbish in memory.
pub const TO_BE_SAVED: &str = "skep.saved";
/// A file in the guest's root that tells skep that it is `/init` there, and
/// not the first process of some container.
pub const MARK: &str = "/.skep-guest";

/// The first word on the command line of a skep that is started to load programs
/// into the kernel of the machine itself; the numbers of the descriptors that
/// requests come over and replies go over follow.
pub const LOADER: &str = "__load";

/// What the host asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Say whether you are there.
    Wake,
    /// Take what a restored guest lacks, for somebody who looks around:
    /// verdicts depend on neither.
    Refresh {
        /// The wall clock in nanoseconds since 1970: a restored guest's
        /// stands at the time of its snapshot.
        now_ns: u64,
        /// Random bytes: restored guests would draw the same ones.
        seed: [u8; 32],
    },
    /// Open an object, whose bytes are the message's blob. The answer is
    /// [`Reply::Opened`]; if it could be opened, [`Request::Choose`] comes next.
    Load(Load),
    /// Load the programs at these places of the list that was the answer.
    Choose(Vec<u32>),
    /// Ask the kernel about programs given as bare instructions, one after
    /// the other. None stays loaded.
    Probe(Vec<Probe>),
    /// Load modules into the kernel, in this order: their names and sizes;
    /// the ELF files stand one behind the other in the blob.
    Modules(Vec<(String, u64)>),
    /// Lay a file, the message's blob, into the root; nobody may write it.
    Bring {
        /// Where, from the root on, without a slash in front: below
        /// [`BROUGHT`], or where a dynamic linker looks for libraries.
        path: String,
        /// Whether it may be run.
        executable: bool,
    },
    /// Run a command.
    Run(Run),
    /// Load an object as a whole, the message's blob, attach what can be
    /// attached, and tell what comes out until [`Request::Stop`].
    Attach(Attach),
    /// End what [`Request::Attach`] began.
    Stop,
    /// Say what is at some addresses and in some stacks, while programs are
    /// attached, or were until a moment ago.
    Resolve(Resolve),
    /// Nothing more is asked: the answer to [`Reply::Told`].
    Leave,
    /// Start a program, and pass its streams on both ways until it ends. The
    /// answer is [`Reply::Done`] or [`Reply::Failed`], and the last one
    /// [`Reply::Exited`].
    Start(Start),
    /// More for the standard input of the program that was started: the
    /// message's blob. Its end, if the blob is empty.
    Input,
    /// Send a signal of this number to the program that was started and to
    /// what it started.
    Signal(i32),
    /// Load an object as a whole, the message's blob, and run its programs
    /// with given input. The answers are [`Reply::Attached`] or
    /// [`Reply::Refused`], then for each case what comes out of it, ended by
    /// [`Reply::Ran`].
    Test(Test),
}

/// Programs of an object that are run with given input
/// (`BPF_PROG_TEST_RUN`), one case after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// The object's name, as libbpf is to know it.
    pub name: String,
    /// Only these programs are loaded; all that load by themselves if `None`.
    pub only: Option<Vec<String>>,
    /// Global data that is changed before the object is loaded.
    pub globals: Vec<Patch>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One run of a program. Maps are as they are after the load when it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The program's name.
    pub program: String,
    /// Global data that is changed before the run: not of `.rodata`.
    pub globals: Vec<Patch>,
    /// Map entries that are written before the run.
    pub entries: Vec<MapEntry>,
    /// `data_in`.
    pub packet: Option<Vec<u8>>,
    /// Packets that it is run with after that one, in this order.
    pub more: Vec<Vec<u8>>,
    /// `ctx_in`.
    pub context: Option<Vec<u8>>,
    /// Room for `data_out`, in bytes.
    pub packet_room: u32,
    /// Room for `ctx_out`, in bytes.
    pub context_room: u32,
    /// How often the program runs.
    pub repeat: u32,
    /// The maps whose content is told afterwards.
    pub maps: Vec<String>,
    /// Nothing is run, but programs are attached and something happens.
    pub scene: Option<Scene>,
}

/// The process that does what happens in a [`Scene`].
pub const ACTOR: i32 = 1000;

/// What happens while programs are attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// The programs; all that are loaded if `None`.
    pub programs: Option<Vec<String>>,
    /// Where programs are attached whose section does not tell, or not right.
    pub targets: Vec<Target>,
    /// Lines for the guest's shell, one after the other.
    pub deeds: Vec<String>,
    /// How long all of them may take, in milliseconds.
    pub limit_ms: u64,
}

/// What a deed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The error number with which it failed, positive; 0 if there is none.
    pub errno: i32,
    /// The exit code, as shells have it.
    pub code: i32,
}

/// An entry of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapEntry {
    /// The map.
    pub map: String,
    /// The key.
    pub key: Vec<u8>,
    /// The value; of a map with one for each processor, that of the first.
    pub value: Vec<u8>,
}

/// What came of one [`Case`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// The case, by its place.
    pub case: u32,
    /// Why the program was not run, if something stood in the way.
    pub failed: Option<String>,
    /// With which error number the kernel refused to run it, positive; 0 if it
    /// ran.
    pub errno: i32,
    /// What it returned, at its last run.
    pub retval: u32,
    /// What it returned for each packet that it was run with.
    pub retvals: Vec<u32>,
    /// Nanoseconds of one run, on average.
    pub duration_ns: u32,
    /// Nanoseconds of the whole case.
    pub took_ns: u64,
    /// `data_out`, as far as there was room.
    pub packet: Vec<u8>,
    /// `ctx_out`, likewise.
    pub context: Vec<u8>,
    /// What became of the programs that a [`Scene`] attaches.
    pub attached: Vec<Attached>,
    /// What its deeds came to, as far as they were done.
    pub acts: Vec<Act>,
    /// They were not done in time.
    pub is_late: bool,
    /// What they wrote.
    pub output: String,
}

/// A program without an object, to learn what the kernel says of it: the
/// arguments of `bpf(BPF_PROG_LOAD)`, numbers as in include/uapi/linux/bpf.h.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// `prog_type`.
    pub program_type: u32,
    /// `expected_attach_type`.
    pub attach_type: u32,
    /// `attach_btf_id`, of the kernel's own BTF; 0 for none.
    pub attach_btf_id: u32,
    /// `prog_flags`.
    pub flags: u32,
    /// The instructions, each as its eight bytes.
    pub insns: Vec<[u8; 8]>,
}

/// What the kernel said of a [`Probe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The error number, positive; 0 if the program was accepted.
    pub errno: i32,
    /// The end of the verifier's log, without its statistics.
    pub log: String,
}

/// A command for the guest. The message's blob is its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The command's words; a shell that reads commands if there are none.
    pub words: Vec<String>,
    /// The user's terminal, if they are to talk with the command: it runs on
    /// the console then. Otherwise its output comes in replies.
    pub terminal: Option<Terminal>,
}

/// A program with streams of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Where it is in the guest.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables of its environment, besides the few that all have.
    pub environment: Vec<(String, String)>,
    /// The terminals that its standard output and its standard error end at;
    /// none for those that do not.
    pub terminals: [Option<Terminal>; 2],
    /// A pair of network devices is to be there.
    pub network: bool,
    /// A line for the guest's shell, run when the program has attached what
    /// it attaches.
    pub workload: Option<String>,
}

/// A user's terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// The kind, as `TERM` names it.
    pub kind: String,
}

/// Where files that the user brings are laid in the guest.
pub const BROUGHT: &str = "bring";

/// How to load an object's programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The object's name, as libbpf is to know it.
    pub name: String,
    /// The verifier's log level, 1 or 2, of accepted programs' logs; 0 for
    /// none. Statistics (level 4) are always asked for.
    pub level: u32,
    /// Load a rejected program again at level 2, for its register states.
    pub explain: bool,
    /// A longer log loses its middle, in bytes.
    pub log_limit: u64,
    /// How long one program may take, in milliseconds.
    pub limit_ms: u64,
    /// Global data that is changed before the object is loaded.
    pub globals: Vec<Patch>,
    /// Programs that are loaded as if they stood in another section.
    pub placed: Vec<Placed>,
    /// Programs that are to be attached where nobody knows whether the kernel
    /// lets them: it is tried if they are accepted.
    pub kprobes: Vec<Kprobe>,
    /// Programs that are loaded otherwise than all others.
    pub trials: Vec<Trial>,
}

/// How one program is loaded whose test says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The program's name.
    pub program: String,
    /// The verifier's log level, 1 or 2.
    pub level: u32,
    /// `prog_flags`, besides those that its section asks for.
    pub flags: u32,
    /// Programs that are loaded with it.
    pub with: Vec<String>,
    /// It is loaded without privileges.
    pub is_unprivileged: bool,
    /// With what it is run if it is accepted; only the program's input counts.
    pub case: Option<Case>,
    /// What the verifier made of it is to be told.
    pub listing: bool,
}

/// A program and the function that it is to be attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kprobe {
    /// The program's name.
    pub program: String,
    /// The kernel's function.
    pub function: String,
}

/// A function that the kernel lets no probe be attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattachable {
    /// The function.
    pub function: String,
    /// The error number with which it refuses, positive.
    pub errno: i32,
}

/// Bytes of global data that are changed before an object is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The section: `.rodata`, `.data.mine`.
    pub section: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The bytes that stand there from then on.
    pub bytes: Vec<u8>,
}

/// A program that is loaded as if it stood in another section: one whose own
/// tells libbpf nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The program's name.
    pub program: String,
    /// The section, as `SEC()` would name it.
    pub section: String,
}

/// An object whose programs are to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The object's name, as libbpf is to know it.
    pub name: String,
    /// Only programs at these places of the object's list; all if `None`.
    pub only: Option<Vec<u32>>,
    /// Global data that is changed before the object is loaded.
    pub globals: Vec<Patch>,
    /// Where programs are attached whose section does not tell, or not right.
    pub targets: Vec<Target>,
    /// A pair of network devices is to be there.
    pub network: bool,
    /// A line for the guest's shell, run when everything is attached. It all
    /// ends with it.
    pub workload: Option<String>,
    /// How often maps are told besides at the end, in milliseconds.
    pub interval_ms: Option<u64>,
}

/// The kernel's half of all addresses begins here, on the machines that guests
/// are: what lies below is a process's.
pub const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// Addresses and stacks that somebody wants to know more of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// Addresses of code, each with the process it is of, or 0.
    pub addresses: Vec<(u32, u64)>,
    /// Stacks in maps.
    pub stacks: Vec<AskedStack>,
}

/// A stack in a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AskedStack {
    /// The map; the first that has one of that number, if it is not known.
    pub map: Option<String>,
    /// Its number there.
    pub id: u32,
    /// The process that addresses outside of the kernel are of, or 0.
    pub pid: u32,
}

/// What is known of the addresses and stacks of a [`Resolve`], in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// `vfs_read+0x1c`, where that is known.
    pub names: Vec<Option<String>>,
    /// Callees first; empty if there is no such stack.
    pub stacks: Vec<Vec<Frame>>,
}

/// A frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The address.
    pub address: u64,
    /// What is there, if that is known.
    pub name: Option<String>,
}

/// Where a program is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The program's name.
    pub program: String,
    /// An interface, a control group, a function: what its type asks for; or
    /// [`NOWHERE`].
    pub place: String,
}

/// The place of a program that is to be left out.
pub const NOWHERE: &str = "none";

/// What became of the wish to attach a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The program, or the `struct_ops` map.
    pub entry: Entry,
    /// Where it is attached now, in words, or why it is not.
    pub result: Result<String, Refusal>,
}

/// What a map holds. The message's blob is its entries, one behind the other:
/// the key, then the value of each processor that has its own, each in
/// `value_stride` bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The map, as libbpf names it.
    pub map: String,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Bytes from one value to the next.
    pub value_stride: u32,
    /// How many values an entry has.
    pub values: u32,
    /// How many entries there are in the blob.
    pub entries: u32,
    /// The map has more of them.
    pub is_cut: bool,
    /// Nothing comes after it: the programs are detached.
    pub is_last: bool,
}

/// What the guest answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The guest is there.
    Hello(Hello),
    /// The object was opened, or not: what comes next depends on it.
    Opened(Opened),
    /// A program is about to be loaded. If nothing follows, it is to blame.
    Loading {
        /// Its place in the object's list.
        index: u32,
    },
    /// What became of a program; the blob is the verifier's log.
    Program(Box<Program>),
    /// What the kernel said of the probes, in their order.
    Probed(Vec<Probed>),
    /// What a command wrote; the blob.
    Output {
        /// To standard error, and not to standard output.
        error: bool,
    },
    /// The object cannot be loaded as a whole.
    Refused(Refusal),
    /// The object is loaded; what is attached, and the names of the maps that
    /// [`records`] come from.
    Attached {
        /// The programs, in the object's order, and the `struct_ops` maps.
        programs: Vec<Attached>,
        /// The maps.
        streams: Vec<String>,
        /// What was changed so that the object could be loaded.
        fixups: Vec<String>,
    },
    /// What programs wrote into ring and perf buffers; the blob has
    /// [`records`].
    Records,
    /// Records of a perf buffer were lost because nobody was fast enough.
    Lost {
        /// The map, by its place among the streams.
        stream: u32,
        /// How many.
        count: u64,
    },
    /// Lines of the kernel's trace: what programs print; the blob.
    Traced,
    /// What a map holds; the blob.
    Content(Content),
    /// What an iterator shows; the blob.
    Iterated {
        /// The program.
        program: String,
    },
    /// The answer to [`Request::Resolve`].
    Located(Located),
    /// All is told; what is asked now is answered until [`Request::Leave`].
    Told,
    /// What came of a case.
    Ran(Box<Ran>),
    /// The program that was started took so much of its input.
    Took {
        /// In bytes.
        bytes: u64,
    },
    /// The workload beside a program that was started ended, with this exit
    /// code.
    WorkloadEnded {
        /// As of [`Reply::Exited`].
        code: i32,
    },
    /// Nothing happens, but the guest is there.
    Idle,
    /// A command ended, with this exit code.
    Exited {
        /// As shells have it: 127 if there is no such command, 128 and the
        /// number of the signal that ended it.
        code: i32,
    },
    /// The request is done.
    Done,
    /// The request cannot be done; why not.
    Failed(String),
}

/// What a guest says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the guest.
    pub version: u32,
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// libbpf's version.
    pub libbpf: String,
    /// Whether the kernel has BTF of itself.
    pub btf: bool,
}

/// What libbpf found in an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The programs, in libbpf's order; empty if there is an error.
    pub programs: Vec<Entry>,
    /// Why libbpf refused the object as a whole.
    pub error: Option<Refusal>,
}

/// A program of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The C function's name.
    pub name: String,
    /// The ELF section, as `SEC()` named it.
    pub section: String,
    /// The program type in libbpf's words: `xdp`, `kprobe`, `sched_cls`;
    /// `unspec` if the section's name does not tell.
    pub kind: String,
}

/// How far an attempt to load a program got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// libbpf reads the object.
    Open,
    /// libbpf resolves relocations and externs, and makes the maps.
    Prepare,
    /// libbpf looks for the kernel function, type or program to attach to.
    AttachTarget,
    /// The kernel checks the system call before it verifies anything.
    Load,
    /// The kernel's verifier looks at the instructions.
    Verifier,
}

impl Stage {
    /// The stable name: `attach-target`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Prepare => "prepare",
            Self::AttachTarget => "attach-target",
            Self::Load => "load",
            Self::Verifier => "verifier",
        }
    }

    /// The stage of a small number, for shared memory.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Prepare,
            2 => Self::AttachTarget,
            3 => Self::Load,
            _ => Self::Verifier,
        }
    }
}

/// The line that stands in a log where its middle was left out.
pub fn gap(bytes: usize) -> String {
    format!("[skep: {bytes} bytes of the log left out]\n")
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// How far it got.
    pub stage: Stage,
    /// The error number, positive; 0 if there is none.
    pub errno: i32,
    /// What libbpf said, one message a line.
    pub messages: Vec<String>,
}

/// How an attempt to load a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The kernel took it.
    Accepted,
    /// libbpf or the kernel refused it.
    Refused(Refusal),
    /// It took longer than it may.
    TimedOut {
        /// Where it was.
        stage: Stage,
    },
    /// The process that loaded it died: libbpf crashed on the object, or the
    /// guest ran out of memory.
    Crashed {
        /// Where it was.
        stage: Stage,
        /// The signal that ended it; 0 if it ended by itself.
        signal: i32,
    },
}

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its place in the object's list.
    pub index: u32,
    /// What it is.
    pub entry: Entry,
    /// How it ended.
    pub outcome: Outcome,
    /// What libbpf warned of although the program was accepted.
    pub warnings: Vec<String>,
    /// What was changed so that it could be loaded at all.
    pub fixups: Vec<String>,
    /// Why it cannot be attached, of an accepted one of [`Load::kprobes`].
    pub unattachable: Option<Unattachable>,
    /// What the verifier wrote when it came to its verdict: its statistics
    /// and, of a rejected program, at least the reason.
    pub verdict: String,
    /// The level the log (the message's blob) was written at, without the
    /// statistics' 4: 0, 1 or 2.
    pub log_level: u32,
    /// The kernel had more to say than the log holds.
    pub log_truncated: bool,
    /// Instructions in the program as libbpf handed it to the kernel.
    pub instructions: u32,
    /// The time the load took, in nanoseconds, without explaining a refusal.
    pub load_ns: u64,
    /// Bytes of the program after verification, if accepted.
    pub xlated_bytes: u32,
    /// Bytes of machine code, if accepted and compiled.
    pub jited_bytes: u32,
    /// What the verifier made of it, if a [`Trial`] asks for that.
    pub xlated: Vec<u8>,
    /// What came of running it, if a [`Trial`] asks for that.
    pub ran: Option<Ran>,
    /// Instructions the verifier walked, if accepted and the kernel counts
    /// them (5.16).
    pub verified_instructions: u32,
}
