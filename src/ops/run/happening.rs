//! What programs at work say.

use crate::values::Value;
use crate::vm::Stream;

/// Something that happens while programs are at work.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A program is attached, or it is not.
    Attached {
        /// The program.
        program: String,
        /// Its section.
        section: String,
        /// Where it is attached, or why it is not.
        result: Result<String, String>,
    },
    /// Everything is attached; the kernel's reference and release.
    Ready {
        /// As the user names it.
        kernel: String,
        /// As `uname -r` does.
        release: String,
    },
    /// An event.
    Event {
        /// The map it came through.
        map: String,
        /// What it says.
        value: Value,
    },
    /// Events that nobody was fast enough for.
    Lost {
        /// The map they would have come through.
        map: String,
        /// How many.
        count: u64,
    },
    /// What a program printed.
    Printed {
        /// The task it ran in.
        task: String,
        /// That task's number.
        pid: u32,
        /// The text.
        text: String,
    },
    /// What a map holds.
    Map {
        /// The map.
        name: String,
        /// Keys and values.
        entries: Vec<(Value, Value)>,
        /// There are more.
        is_cut: bool,
        /// It is one of libbpf's, for global variables.
        is_data: bool,
        /// The programs are detached: it will not change any more.
        is_last: bool,
    },
    /// What an iterator shows.
    Iterated {
        /// The program.
        program: String,
        /// The text.
        text: String,
    },
    /// What the workload wrote.
    Output(Stream, Vec<u8>),
    /// What is told next may take its time: whoever collects what was told
    /// shows it now.
    Pause,
    /// Nothing comes any more from this kernel; why, if something failed.
    Over(Option<String>),
}

/// Something that happened, and where.
#[derive(Clone, Copy, Debug)]
pub struct Told<'t> {
    /// The kernels that the programs run on, as the user names them.
    pub kernels: &'t [String],
    /// On which of them it happened, by its place.
    pub side: usize,
    /// What happened.
    pub happening: &'t Happening,
}

impl<'t> Told<'t> {
    /// The kernel it happened on.
    pub fn kernel(&self) -> &'t str {
        self.kernels.get(self.side).map_or("", String::as_str)
    }

    /// The same, if there are several.
    pub fn label(&self) -> Option<&'t str> {
        (self.kernels.len() > 1).then(|| self.kernel())
    }
}
