//! What a program is run with, as bytes: packet, context, map entries and
//! global data.

use super::{Maker, Ready};
use crate::bpf::ProgramType;
use crate::bpf::test_run::{Packet as Takes, test_run};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::elf::{DataKind, GlobalError};
use crate::ops::test::context;
use crate::ops::verify::Object;
use crate::project::manifest::Located;
use crate::project::suite::{Entry, Packet, Test};
use crate::values::{Given, Part, Written, assemble, encode, encode_plain};
use crate::wire::{MapEntry, Patch};
use std::ops::Range;
use std::sync::Arc;

/// Room for a packet that a program makes longer, in bytes.
const GROWTH: usize = 4096;
/// The frame of a program that must have one and whose test gives none.
const NO_PACKET: usize = 64;
/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

impl Maker<'_> {
    /// Whether the kernel can run it at all.
    pub fn runnable(&mut self, test: &Test, ready: &mut Ready) -> Option<()> {
        let range = || match &test.program {
            Some(program) => program.range.clone().unwrap_or_default(),
            None => test.range.clone(),
        };
        let Some(kind) = ready.kind else {
            self.wrong(range(), format!("the section of `{}` says no type", ready.program));
            return None;
        };
        let Some(run) = test_run(kind) else {
            let message = format!("BPF_PROG_TEST_RUN runs no programs of type {}", kind.name());
            self.wrong(range(), message);
            let last = self.mistakes.pop()?;
            self.mistakes.push(
                last.help("say what happens while it is attached: do = [\"touch /tmp/a\", …]"),
            );
            return None;
        };
        let what = format!("BPF_PROG_TEST_RUN runs {} programs", kind.name());
        ready.needs.push((run.since, what));
        Some(())
    }

    pub fn global(
        &mut self,
        object: &Object,
        name: &Located<String>,
        given: &Given,
    ) -> Option<(DataKind, Vec<Patch>)> {
        let (section, kind, offset, parts) = self.global_parts(object, name, given)?;
        if let Some(part) = parts.iter().find(|part| part.mask.is_some()) {
            self.wrong(part.range.clone(), "a bit-field cannot be set");
        }
        // Members that are not named are not touched.
        let patch = |part: Part| {
            let offset = (offset + part.offset) as u64;
            Patch { section: section.clone(), offset, bytes: part.bytes }
        };
        Some((kind, parts.into_iter().map(patch).collect()))
    }

    pub fn global_parts(
        &mut self,
        object: &Object,
        name: &Located<String>,
        given: &Given,
    ) -> Option<(String, DataKind, usize, Vec<Part>)> {
        let range = name.range.clone().unwrap_or_default();
        let global = match object.elf.global(&name.value) {
            Ok(global) => global,
            Err(error) => {
                let message = format!("`{}`: {error}", name.value);
                let diagnostic = self.wrong(range, message);
                if let GlobalError::Unknown(known) = &error {
                    diagnostic.notes.push(match known.is_empty() {
                        true => "the object has none".to_owned(),
                        false => format!("there are: {}", known.join(", ")),
                    });
                }
                return None;
            }
        };
        let btf = object.elf.btf.as_deref()?;
        let own = name.value.rsplit('.').next().unwrap_or_default();
        let parts = encode(btf, global.type_id(), own, given);
        let (section, kind) = (global.section.to_owned(), global.kind);
        let offset = usize::try_from(global.offset).ok()?;
        let parts = self.take(parts)?;
        Some((section, kind, offset, parts))
    }

    /// A map's entry: the map's value type, and the key as bytes.
    pub fn key(
        &mut self,
        object: &Object,
        entry: &Entry,
    ) -> Option<(Vec<u8>, Option<TypeId>, usize)> {
        let Some(map) = object.elf.maps.iter().find(|map| map.name == entry.map.value) else {
            let known: Vec<&str> = object.elf.maps.iter().map(|map| map.name.as_str()).collect();
            let known = known.join(", ");
            let range = entry.map.range.clone().unwrap_or_default();
            self.wrong(range, format!("there is no map `{}`", entry.map.value))
                .notes
                .push(format!("there are: {known}"));
            return None;
        };
        let size = map.def.key_size as usize;
        let parts = match (object.elf.btf.as_deref(), map.def.key) {
            (Some(btf), Some(ty)) => encode(btf, ty, "", &entry.key),
            _ => encode_plain(size, &entry.key),
        };
        let parts = self.take(parts)?;
        Some((assemble(&parts, size), map.def.value, map.def.value_size as usize))
    }

    pub fn entry_value(
        &mut self,
        object: &Object,
        map: &str,
        (ty, size): (Option<TypeId>, usize),
        given: &Given,
    ) -> Option<Vec<Part>> {
        let parts = match (object.elf.btf.as_deref(), ty) {
            (Some(btf), Some(ty)) => encode(btf, ty, map, given),
            _ => encode_plain(size, given),
        };
        self.take(parts)
    }

    /// The structure that the program's context is given as.
    pub fn context_type(
        &mut self,
        object: &Object,
        ready: &Ready,
        range: Range<usize>,
    ) -> Option<(Arc<Btf>, TypeId)> {
        let kind = ready.kind?;
        if let Some(context) = test_run(kind).and_then(|run| run.context) {
            return context::type_of(context);
        }
        if kind == ProgramType::Syscall
            && let Some(btf) = &object.elf.btf
            && let Some(ty) = argument(btf, &ready.program)
        {
            return Some((Arc::clone(btf), ty));
        }
        let message = format!("programs of type {} are run without a context", kind.name());
        self.wrong(range, message);
        None
    }

    /// What maps hold at the beginning.
    pub fn entries(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
        for entry in &test.maps {
            let Some((key, ty, size)) = self.key(object, entry) else { continue };
            let Some(given) = &entry.value else { continue };
            let map = entry.map.value.clone();
            if let Some(parts) = self.entry_value(object, &map, (ty, size), given) {
                let value = assemble(&parts, size);
                ready.case.entries.push(MapEntry { map, key, value });
            }
        }
    }

    pub fn input(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
        let Some(run) = ready.run() else { return };
        let mut frames = match &test.packet {
            Some(packet) => self.frames(packet).unwrap_or_default().into_iter(),
            None => Vec::new().into_iter(),
        };
        let mut packet = frames.next();
        let mut more: Vec<Vec<u8>> = frames.collect();
        if is_many(test) {
            let one = [
                (test.context.is_some() || test.expect.context.is_some(), "context"),
                (test.expect.packet.is_some(), "expect.packet"),
            ];
            if let Some((_, what)) = one.iter().find(|(is_there, _)| *is_there) {
                let range = test.packet.as_ref().and_then(|packet| packet.range.clone());
                let message = format!("`{what}` is of one packet: say which with `frame`");
                self.wrong(range.unwrap_or_default(), message);
            }
        }
        match (run.packet, &test.packet) {
            (Takes::None, Some(given)) => {
                let kind = ready.kind.map_or("", ProgramType::name);
                let range = given.range.clone().unwrap_or_default();
                self.wrong(range, format!("programs of type {kind} are run without a packet"));
            }
            (Takes::None, None) => {}
            (_, Some(given))
                if packet.iter().chain(&more).any(|packet| packet.len() < ETHERNET) =>
            {
                let range = given.range.clone().unwrap_or_default();
                self.wrong(range, format!("a packet has at least {ETHERNET} bytes: `eth/…`"));
            }
            (_, Some(_)) => {}
            (_, None) => packet = Some(vec![0; NO_PACKET]),
        }
        ready.case.packet_room = match (&packet, ready.kind) {
            (None, _) | (_, Some(ProgramType::Netfilter)) => 0,
            (Some(packet), _) => {
                let most = more.iter().chain([packet]).map(Vec::len).max();
                (most.unwrap_or(0) + GROWTH) as u32
            }
        };
        let is_seen = test.context.is_some() || test.expect.context.is_some();
        let wants = is_seen || ready.kind == Some(ProgramType::SkLookup);
        let range = test.context.as_ref().or(test.expect.context.as_ref());
        let range = range.map_or_else(|| test.range.clone(), |given| given.range.clone());
        // The kernel asks for the arguments of a raw tracepoint as far as the
        // program reads them.
        let must = ready.kind == Some(ProgramType::RawTracepoint);
        if (wants || must)
            && let Some((btf, ty)) = self.context_type(object, ready, range)
        {
            let size = usize::try_from(btf.size(ty).unwrap_or(0)).unwrap_or(0);
            let mut bytes = vec![0; size];
            if let Some(given) = &test.context {
                if let (Some(context), Written::Table(members)) = (run.context, &given.value) {
                    for (name, member) in members {
                        let is_known = context.members.iter().any(|known| known.name == name);
                        if is_known && !context.settable.contains(&name.as_str()) {
                            let settable = context.settable.join(", ");
                            self.wrong(
                                member.range.clone(),
                                format!("the kernel does not let a test set `{name}`"),
                            )
                            .notes
                            .push(format!("it takes: {settable}"));
                        }
                    }
                }
                let parts = encode(&btf, ty, "", given);
                if let Some(parts) = self.take(parts) {
                    parts.iter().for_each(|part| part.write(&mut bytes));
                }
            }
            if ready.kind == Some(ProgramType::Xdp)
                && let Some(packet) = &packet
            {
                // `data_end` says how much of the packet there is.
                bytes[4..8].copy_from_slice(&(packet.len() as u32).to_le_bytes());
            }
            ready.case.context = Some(bytes);
            let writes_back =
                matches!(ready.kind, Some(ProgramType::Syscall | ProgramType::RawTracepoint));
            ready.case.context_room = if writes_back { 0 } else { size as u32 };
            if let (Some(context), true) = (run.context, is_seen) {
                let what = format!(
                    "BPF_PROG_TEST_RUN takes a context (`{}`) for {} programs",
                    context.name,
                    ready.kind.map_or("", ProgramType::name)
                );
                ready.needs.push((context.since, what));
            }
        }
        if matches!(ready.kind, Some(ProgramType::Syscall | ProgramType::RawTracepoint)) {
            if test.repeat.is_some_and(|repeat| repeat > 1) {
                let kind = ready.kind.map_or("", ProgramType::name);
                let message = format!("the kernel runs programs of type {kind} once");
                self.wrong(test.range.clone(), message);
            }
            ready.case.repeat = 0;
        }
        // What netfilter runs at its default hook, where packets leave, has no
        // Ethernet header.
        if ready.kind == Some(ProgramType::Netfilter) {
            for packet in packet.iter_mut().chain(&mut more) {
                packet.drain(..ETHERNET.min(packet.len()));
            }
        }
        (ready.case.packet, ready.case.more) = (packet, more);
    }

    /// The frames that a packet stands for; a mistake if there are none.
    pub fn frames(&mut self, packet: &Located<Packet>) -> Option<Vec<Vec<u8>>> {
        self.take(self.found.captures.frames(&packet.value))
    }
}

/// Whether a test has all packets of a file.
pub(super) fn is_many(test: &Test) -> bool {
    let packet = test.packet.as_ref().map(|packet| &packet.value);
    matches!(packet, Some(Packet::Captured { frame: None, .. }))
}

/// The structure that a program's first parameter points to.
fn argument(btf: &Btf, program: &str) -> Option<TypeId> {
    let Type::Func { proto, .. } = btf.ty(btf.find(Kind::Func, program)?) else { return None };
    let Type::FuncProto(proto) = btf.ty(proto) else { return None };
    let first = proto.params().next()?;
    let Type::Ptr(target) = btf.ty(btf.resolve(first.ty)) else { return None };
    let target = btf.resolve(target);
    btf.as_composite(target).is_some().then_some(target)
}
