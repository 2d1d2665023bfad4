//! What only the machine knows of addresses and stacks: the kernel's table of
//! symbols, the files that processes have mapped, the stacks in maps. Looked at
//! only when the host asks.
#![expect(clippy::disallowed_methods, reason = "files of the kernel, and not of a directory tree")]

use super::super::Owner;
use super::super::load::{self, Object};
use crate::wire::{Frame, KERNEL_HALF, Located, Resolve};
use libbpf_sys as sys;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;

/// No function is as large as this, in bytes: what lies so far behind a symbol
/// is something else.
const FARTHEST: u64 = 1 << 20;
/// The list of symbols is read in pieces of so many bytes.
const CHUNK: usize = 64 << 10;
/// `BPF_F_STACK_BUILD_ID`: a stack's frames are told otherwise.
const BUILD_ID: u32 = 1 << 5;

/// What was found out so far.
pub struct Symbols {
    owner: Owner,
    kernel: Option<Table<File>>,
}

/// The kernel's functions, by address, as far as they were read: to list them
/// takes an emulated kernel a second.
struct Table<R> {
    /// The list, in which the kernel's own functions stand first and in order;
    /// none when it was read to the end.
    list: Option<R>,
    /// The beginning of a line.
    line: Vec<u8>,
    /// Where a function begins, and where its name does in `names`.
    starts: Vec<(u64, u32)>,
    /// Names, each ended by a line's end.
    names: Vec<u8>,
    /// The last of the kernel's own.
    last: u64,
}

/// A file in a process's memory.
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    name: String,
}

impl Symbols {
    /// Of somebody's machine.
    pub fn of(owner: Owner) -> Self {
        Self { owner, kernel: None }
    }

    /// Answers what the host asks.
    pub fn resolve(&mut self, object: &Object, asked: &Resolve) -> Located {
        let mut tasks = HashMap::new();
        let stacks = asked.stacks.iter().map(|stack| {
            let addresses = stack_of(object, stack.map.as_deref(), stack.id);
            let frame =
                |address| Frame { address, name: self.name(stack.pid, address, &mut tasks) };
            addresses.into_iter().map(frame).collect()
        });
        let stacks = stacks.collect();
        let names =
            asked.addresses.iter().map(|&(pid, address)| self.name(pid, address, &mut tasks));
        Located { names: names.collect(), stacks }
    }

    /// What is at an address, in the kernel or in a process.
    fn name(
        &mut self,
        pid: u32,
        address: u64,
        tasks: &mut HashMap<u32, Vec<Mapping>>,
    ) -> Option<String> {
        if address >= KERNEL_HALF {
            let owner = self.owner;
            return self.kernel.get_or_insert_with(|| Table::open(owner)).name(address);
        }
        if pid == 0 {
            return None;
        }
        let mappings = tasks.entry(pid).or_insert_with(|| mappings(pid));
        let mapping = mappings.iter().find(|one| (one.start..one.end).contains(&address))?;
        Some(format!("{}+{:#x}", mapping.name, address - mapping.start + mapping.offset))
    }
}

impl Table<File> {
    fn open(owner: Owner) -> Self {
        if owner == Owner::Skep {
            // Addresses are hidden, and programs that were compiled not listed,
            // where nobody has said otherwise.
            drop(fs::write("/proc/sys/kernel/kptr_restrict", "0"));
            drop(fs::write("/proc/sys/net/core/bpf_jit_kallsyms", "1"));
        }
        Self::new(File::open("/proc/kallsyms").ok())
    }
}

impl<R: Read> Table<R> {
    fn new(list: Option<R>) -> Self {
        Self { list, line: Vec::new(), starts: Vec::new(), names: Vec::new(), last: 0 }
    }

    /// Reads until it is known which function an address is in.
    fn read_to(&mut self, address: u64) {
        if self.last > address || self.list.is_none() {
            return;
        }
        let mut chunk = vec![0; CHUNK];
        while self.last <= address
            && let Some(list) = &mut self.list
        {
            let Ok(count @ 1..) = list.read(&mut chunk) else {
                self.list = None;
                break;
            };
            let mut rest = &chunk[..count];
            while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.add(&line);
                line.clear();
                self.line = line;
                rest = &rest[end + 1..];
            }
            self.line.extend_from_slice(rest);
        }
        // Modules and programs stand behind the kernel's own.
        self.starts.sort();
    }

    /// Adds a line: `ADDRESS TYPE NAME [MODULE]`.
    fn add(&mut self, line: &[u8]) {
        let Some((digits, rest)) = line.split_at_checked(16) else { return };
        let [b' ', kind, b' ', name @ ..] = rest else { return };
        if !matches!(kind, b't' | b'T' | b'w' | b'W') {
            return;
        }
        let digit = |sum: Option<u64>, byte: &u8| {
            Some(sum? << 4 | u64::from(char::from(*byte).to_digit(16)?))
        };
        let Some(address @ KERNEL_HALF..) = digits.iter().fold(Some(0), digit) else { return };
        self.starts.push((address, self.names.len() as u32));
        self.names.extend_from_slice(name);
        self.names.push(b'\n');
        match name.contains(&b'\t') {
            // Modules stand in no order.
            true => self.last = 0,
            false => self.last = address,
        }
    }

    /// `vfs_read+0x1c`, `nf_hook+0x0 [nf_tables]`.
    fn name(&mut self, address: u64) -> Option<String> {
        self.read_to(address);
        let behind = self.starts.partition_point(|(start, _)| *start <= address);
        let (start, _) = *self.starts.get(behind.checked_sub(1)?)?;
        // Of several names of one place the first of the kernel's list.
        let first = self.starts.partition_point(|(other, _)| *other < start);
        let (_, name) = *self.starts.get(first)?;
        let name = self.names.get(name as usize..)?;
        let end = name.iter().position(|&byte| byte == b'\n')?;
        let name = String::from_utf8_lossy(&name[..end]);
        let offset = address - start;
        if offset >= FARTHEST || name == "_etext" || name == "_einittext" {
            return None;
        }
        Some(match name.split_once('\t') {
            Some((name, module)) => format!("{name}+{offset:#x} {module}"),
            None => format!("{name}+{offset:#x}"),
        })
    }
}

/// The files that a process has mapped to be run.
fn mappings(pid: u32) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    text.lines().filter_map(mapping).collect()
}

/// A line of `/proc/PID/maps`.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    words.next().filter(|rights| rights.contains('x'))?;
    let offset = words.next()?;
    // A path may have spaces in it, and is the sixth column.
    let path = line.get(line.find(['/', '['])?..)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        start: number(start)?,
        end: number(end)?,
        offset: number(offset)?,
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
    })
}

/// The addresses of a stack in the map of that name, or in the first that has
/// one of that number.
fn stack_of(object: &Object, map: Option<&str>, id: u32) -> Vec<u64> {
    for candidate in object.maps() {
        // SAFETY: the map belongs to the object, which is alive; the string is
        // copied.
        let (kind, name, fd, size, flags) = unsafe {
            (
                sys::bpf_map__type(candidate),
                load::text(sys::bpf_map__name(candidate)),
                sys::bpf_map__fd(candidate),
                sys::bpf_map__value_size(candidate),
                sys::bpf_map__map_flags(candidate),
            )
        };
        let is_meant = map.is_none_or(|map| map == name);
        if kind != sys::BPF_MAP_TYPE_STACK_TRACE || !is_meant || flags & BUILD_ID != 0 || fd < 0 {
            continue;
        }
        let mut addresses = vec![0_u64; size as usize / 8];
        // SAFETY: a key of four bytes, and room for a value.
        let error = unsafe {
            sys::bpf_map_lookup_elem(fd, (&raw const id).cast(), addresses.as_mut_ptr().cast())
        };
        if error == 0 {
            let end = addresses.iter().position(|&address| address == 0);
            addresses.truncate(end.unwrap_or(addresses.len()));
            return addresses;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_name_of_the_function_they_are_in() {
        let text = b"0000000000000000 A fixed_percpu_data\n\
            ffffffff81000000 T _stext\nffffffff81000000 t again\nffffffff81000100 t vfs_read\n\
            ffffffff81000200 D data\nffffffff81002000 T _etext\n\
            ffffffffc0000100 t nf_hook\t[nf_tables]\nffffffffc0000000 t bpf_prog_1_x\t[bpf]\n";
        let mut table = Table::new(Some(&text[..]));
        let mut name = |address| table.name(address).unwrap_or_default();
        assert_eq!(name(0xffff_ffff_8100_0000), "_stext+0x0");
        assert_eq!(name(0xffff_ffff_8100_0210), "vfs_read+0x110");
        assert_eq!(name(0xffff_ffff_8100_2010), "");
        assert_eq!(name(0xffff_ffff_c000_0110), "nf_hook+0x10 [nf_tables]");
        assert_eq!(name(0xffff_ffff_c000_0010), "bpf_prog_1_x+0x10 [bpf]");
        assert_eq!(name(0xffff_ffff_d000_0000), "");
        assert_eq!(name(0xffff_8880_0000_0000), "");
    }

    #[test]
    fn the_list_is_read_as_far_as_it_is_needed() {
        let mut text = String::new();
        for at in 0..10_000_u64 {
            text += &format!("{:x} t f{at}\n", 0xffff_ffff_8100_0000 + at * 16);
        }
        text += "ffffffffc0000100 t late\t[one]\nffffffffc0000000 t early\t[two]\n";
        let mut table = Table::new(Some(text.as_bytes()));
        assert_eq!(table.name(0xffff_ffff_8100_0028).as_deref(), Some("f2+0x8"));
        assert!(table.list.is_some() && table.starts.len() < 10_000);
        assert_eq!(table.name(0xffff_ffff_8100_0018).as_deref(), Some("f1+0x8"));
        assert_eq!(table.name(0xffff_ffff_c000_0010).as_deref(), Some("early+0x10 [two]"));
        assert!(table.list.is_none());
        assert_eq!(table.name(0xffff_ffff_c000_0110).as_deref(), Some("late+0x10 [one]"));
    }

    #[test]
    fn a_process_has_files_mapped() {
        let line = "55d0c0a00000-55d0c0b00000 r-xp 00002000 fe:00 1234    /bring/a tool";
        let one = mapping(line).expect("it is one that runs");
        assert_eq!((one.start, one.offset), (0x55d0_c0a0_0000, 0x2000));
        assert_eq!(one.name, "a tool");
        assert!(mapping("7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0 [stack]").is_none());
        assert!(mapping("").is_none());
    }
}
