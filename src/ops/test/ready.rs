//! Tests with everything they name found: the object and program, and values
//! as bytes.

use super::annotated::Annotation;
use super::context;
use super::suites::{About, Found};
use crate::bpf::action::actions;
use crate::bpf::test_run::{Packet as Takes, TestRun, test_run};
use crate::bpf::{KernelVersion, ProgramType};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use crate::elf::{DataKind, GlobalError};
use crate::ops::verify::Object;
use crate::project::manifest::Located;
use crate::project::suite::{Entry, Packet, Test};
use crate::values::{Given, Part, Written, Wrong, assemble, encode, encode_plain, number};
use crate::wire::{Case, MapEntry, Patch};
use globset::{Glob, GlobMatcher};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Room for a packet that a program makes longer, in bytes.
const GROWTH: usize = 4096;
/// The frame of a program that must have one and whose test gives none.
const NO_PACKET: usize = 64;
/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// A test that can run.
pub(super) struct Ready {
    /// The file it is written in.
    pub file: PathBuf,
    /// What it is called, with the file in front.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The object, by its place.
    pub object: usize,
    pub program: String,
    /// The program's type, if its section tells.
    pub kind: Option<ProgramType>,
    pub kernels: Vec<GlobMatcher>,
    pub since: Option<KernelVersion>,
    pub before: Option<KernelVersion>,
    /// What the kernel must be for what the test asks of it, and why.
    pub needs: Vec<(KernelVersion, String)>,
    /// Why it cannot be run on any kernel.
    pub skip: Option<String>,
    /// Global data that is changed before the load.
    pub constants: Vec<Patch>,
    pub case: Case,
    pub checks: Checks,
    /// What the object itself says of the program, if that is the test.
    pub annotation: Option<Annotation>,
}

/// What is looked at afterwards.
#[derive(Default)]
pub(super) struct Checks {
    pub retval: Option<Check<i32>>,
    /// How often which value is returned, of several packets.
    pub retvals: Option<Check<Vec<(i32, u64)>>>,
    pub packet: Option<Check<Vec<u8>>>,
    /// How many bytes in front of the packet are no part of it.
    pub skipped: usize,
    pub context: Option<Typed>,
    pub entries: Vec<EntryCheck>,
    pub globals: Vec<GlobalCheck>,
    pub prints: Option<Check<Vec<String>>>,
    pub events: Vec<EventCheck>,
    pub rejected: Option<Check<String>>,
    pub messages: Vec<Check<String>>,
}

/// Something that is expected, and where that is written.
pub(super) struct Check<T> {
    pub expected: T,
    pub span: Span,
}

/// Parts of a value, and where they are written.
pub(super) struct Typed {
    pub btf: Option<Arc<Btf>>,
    pub parts: Vec<(Part, Span)>,
}

/// An entry of a map.
pub(super) struct EntryCheck {
    pub map: String,
    pub key: Vec<u8>,
    /// The key as it is written.
    pub shown: String,
    /// None for an entry that is not to be there.
    pub value: Option<Typed>,
    pub span: Span,
}

/// A global variable.
pub(super) struct GlobalCheck {
    pub name: String,
    pub section: String,
    pub offset: usize,
    pub value: Typed,
}

/// What a map carries.
pub(super) struct EventCheck {
    pub map: String,
    /// The events, with their places.
    pub events: Vec<(Given, Span)>,
    pub span: Span,
    /// Places of what is in them start here.
    pub places: Arc<dyn Fn(Range<usize>) -> Span + Send + Sync>,
}

impl Ready {
    /// Whether it asks for the verifier's verdict, and not for a run.
    pub fn is_verdict(&self) -> bool {
        self.annotation.is_some()
            || self.checks.rejected.is_some()
            || !self.checks.messages.is_empty()
    }

    /// What the program type's tests are like.
    pub fn run(&self) -> Option<TestRun> {
        test_run(self.kind?)
    }
}

/// Prepares the tests of a suite. Mistakes go to `mistakes`.
pub(super) fn prepare(
    found: &Found,
    objects: &[Object],
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<Ready> {
    let mut all: Vec<Ready> = Vec::new();
    for test in &found.suite.tests {
        let mut maker = Maker { found, objects, mistakes: Vec::new() };
        let ready = maker.ready(test);
        let mut own = maker.mistakes;
        if let Some(ready) = ready {
            if all.iter().any(|known| known.name == ready.name) {
                let range = test.name.as_ref().and_then(|name| name.range.clone());
                let span = found.suite.span(range.unwrap_or_else(|| test.range.clone()));
                own.push(
                    mistake(span, format!("there is a test `{}` already", ready.name))
                        .help("give each test of a file a `name` of its own"),
                );
            }
            if own.is_empty() {
                all.push(ready);
            }
        }
        mistakes.append(&mut own);
    }
    all
}

fn mistake(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message).at(span)
}

struct Maker<'m> {
    found: &'m Found,
    objects: &'m [Object],
    mistakes: Vec<Diagnostic>,
}

impl Maker<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        self.found.suite.span(range)
    }

    fn wrong(&mut self, range: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = mistake(self.span(range), message);
        self.mistakes.push(diagnostic);
        let last = self.mistakes.len() - 1;
        &mut self.mistakes[last]
    }

    /// What an encoding came to; a mistake if it did not.
    fn take<T>(&mut self, result: Result<T, Wrong>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Wrong { message, range }) => {
                self.wrong(range, message);
                None
            }
        }
    }

    fn ready(&mut self, test: &Test) -> Option<Ready> {
        let (index, program) = self.program(test)?;
        let object = &self.objects[index];
        let function = object.elf.program(&program)?;
        let kind = object.elf.target(function).ok().map(|target| target.def.program_type);
        let own = test.name.as_ref().map_or_else(|| program.clone(), |name| name.value.clone());
        let mut ready = Ready {
            file: self.found.suite.path.clone(),
            name: format!("{}::{own}", self.found.stem),
            span: self.span(test.range.clone()),
            object: index,
            program: program.clone(),
            kind,
            kernels: Vec::new(),
            since: test.since,
            before: test.before,
            needs: Vec::new(),
            skip: None,
            constants: Vec::new(),
            case: Case { program, repeat: test.repeat.unwrap_or(1), ..Case::default() },
            checks: Checks::default(),
            annotation: None,
        };
        for pattern in &test.kernels {
            match Glob::new(&pattern.value) {
                Ok(glob) => ready.kernels.push(glob.compile_matcher()),
                Err(error) => {
                    let range = pattern.range.clone().unwrap_or_default();
                    self.wrong(range, format!("it is no pattern: {}", error.kind()));
                }
            }
        }
        for (name, given) in &test.globals {
            if let Some((kind, patches)) = self.global(object, name, given) {
                match kind {
                    DataKind::Rodata => ready.constants.extend(patches),
                    DataKind::Data | DataKind::Bss => ready.case.globals.extend(patches),
                }
            }
        }
        let expect = &test.expect;
        if let Some(code) = &expect.rejected {
            let span = self.span(code.range.clone().unwrap_or_default());
            ready.checks.rejected = Some(Check { expected: code.value.clone(), span });
        }
        for text in &expect.messages {
            let span = self.span(text.range.clone().unwrap_or_default());
            ready.checks.messages.push(Check { expected: text.value.clone(), span });
        }
        if ready.is_verdict() {
            let runs = [
                (test.packet.is_some() || test.context.is_some(), "input"),
                (expect.retval.is_some() || !expect.retvals.is_empty(), "`retval`"),
                (!expect.maps.is_empty() || !expect.globals.is_empty(), "maps and globals"),
                (expect.packet.is_some() || expect.context.is_some(), "a result"),
                (expect.prints.is_some() || !expect.events.is_empty(), "output"),
            ];
            if let Some((_, what)) = runs.iter().find(|(is_there, _)| *is_there) {
                let message = format!("a test of the verdict runs nothing, so it has no {what}");
                self.wrong(test.range.clone(), message);
            }
            return Some(ready);
        }
        self.runnable(test, &mut ready)?;
        self.input(test, object, &mut ready);
        self.expectations(test, object, &mut ready);
        Some(ready)
    }

    /// The object and program that a test is about.
    fn program(&mut self, test: &Test) -> Option<(usize, String)> {
        let stem = |object: &Object| {
            let file = object.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            file.trim_end_matches(".o").trim_end_matches(".bpf").to_owned()
        };
        let mut candidates: Vec<usize> = (0..self.objects.len())
            .filter(|&index| match self.found.about {
                About::Project(of) => self.objects[index].project == Some(of),
                About::Artifact(of) => index == of,
                About::Any => true,
            })
            .collect();
        if let Some(name) = &test.object {
            let all: Vec<String> =
                candidates.iter().map(|&index| stem(&self.objects[index])).collect();
            candidates.retain(|&index| stem(&self.objects[index]) == name.value);
            if candidates.is_empty() {
                let range = name.range.clone().unwrap_or_default();
                self.wrong(range, format!("there is no object `{}`", name.value))
                    .notes
                    .push(format!("there are: {}", all.join(", ")));
                return None;
            }
        }
        let programs: Vec<(usize, &str)> = candidates
            .iter()
            .flat_map(|&index| {
                let programs = self.objects[index].elf.programs();
                programs.map(move |program| (index, program.name.as_str()))
            })
            .collect();
        let listed = programs.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let Some(name) = &test.program else {
            // The program that a block in a source stands in front of.
            if let About::Artifact(index) = self.found.about
                && let Some(name) = self.behind(index, test.range.start)
            {
                return Some((index, name));
            }
            if let [(index, name)] = programs.as_slice() {
                return Some((*index, (*name).to_owned()));
            }
            self.wrong(test.range.clone(), "the test names no `program`")
                .notes
                .push(format!("there are: {listed}"));
            return None;
        };
        let named: Vec<usize> = programs
            .iter()
            .filter(|(_, known)| *known == name.value)
            .map(|(index, _)| *index)
            .collect();
        let range = name.range.clone().unwrap_or_default();
        match named.as_slice() {
            [one] => Some((*one, name.value.clone())),
            [] => {
                self.wrong(range, format!("there is no program `{}`", name.value))
                    .notes
                    .push(format!("there are: {listed}"));
                None
            }
            _ => {
                self.wrong(range, format!("several objects have a program `{}`", name.value));
                let last = self.mistakes.pop()?;
                self.mistakes.push(last.help("say which with `object`"));
                None
            }
        }
    }

    /// The first program that begins behind a place of its source.
    fn behind(&self, artifact: usize, at: usize) -> Option<String> {
        let elf = &self.objects.get(artifact)?.elf;
        let line = self.span(at..at).start.line;
        let starts = elf.programs().filter_map(|program| {
            let span = elf.span_of(program)?;
            let is_here = span.file.file_name() == self.found.suite.path.file_name();
            (is_here && span.start.line > line).then(|| (span.start.line, program.name.clone()))
        });
        starts.min().map(|(_, name)| name)
    }

    /// Whether the kernel can run it at all.
    fn runnable(&mut self, test: &Test, ready: &mut Ready) -> Option<()> {
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
            self.mistakes.push(last.help(
                "test what it shares with others in a program that can be run, or watch it at \
                 work with `skep run --exec`",
            ));
            return None;
        };
        let what = format!("BPF_PROG_TEST_RUN runs {} programs", kind.name());
        ready.needs.push((run.since, what));
        Some(())
    }

    fn global(
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

    fn global_parts(
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
    fn key(&mut self, object: &Object, entry: &Entry) -> Option<(Vec<u8>, Option<TypeId>, usize)> {
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

    fn entry_value(
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
    fn context_type(
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

    fn input(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
        let Some(run) = ready.run() else { return };
        for entry in &test.maps {
            let Some((key, ty, size)) = self.key(object, entry) else { continue };
            let Some(given) = &entry.value else { continue };
            let map = entry.map.value.clone();
            if let Some(parts) = self.entry_value(object, &map, (ty, size), given) {
                let value = assemble(&parts, size);
                ready.case.entries.push(MapEntry { map, key, value });
            }
        }
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

    fn expectations(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
        let expect = &test.expect;
        let places = |suite: &crate::project::suite::Suite, parts: Vec<Part>| {
            let place = |part: Part| {
                let span = suite.span(part.range.clone());
                (part, span)
            };
            parts.into_iter().map(place).collect::<Vec<_>>()
        };
        let suite = &self.found.suite;
        if let Some(given) = &expect.retval {
            ready.checks.retval = self.retval(ready.kind, given);
        }
        ready.checks.retvals = self.retvals(test, ready.kind);
        if let Some(packet) = &expect.packet {
            let expected = self.frames(packet).and_then(|frames| frames.into_iter().next());
            let is_link = ready.run().is_some_and(|run| run.packet == Takes::Link);
            ready.checks.skipped = if is_link { 0 } else { ETHERNET };
            let span = suite.span(packet.range.clone().unwrap_or_default());
            if ready.kind == Some(ProgramType::Netfilter) || ready.case.packet_room == 0 {
                let message = "the kernel does not give back the packet of such a program";
                self.mistakes.push(mistake(span, message));
            } else {
                ready.checks.packet = expected.map(|expected| Check { expected, span });
            }
        }
        if let Some(given) = &expect.context
            && let Some((btf, ty)) = self.context_type(object, ready, given.range.clone())
        {
            let parts = encode(&btf, ty, "", given);
            if let Some(parts) = self.take(parts) {
                let parts = places(suite, parts);
                ready.checks.context = Some(Typed { btf: Some(btf), parts });
            }
        }
        for entry in &expect.maps {
            let Some((key, ty, size)) = self.key(object, entry) else { continue };
            let value = match &entry.value {
                Some(given) => {
                    let map = entry.map.value.clone();
                    let parts = self.entry_value(object, &map, (ty, size), given);
                    let Some(parts) = parts else { continue };
                    Some(Typed { btf: object.elf.btf.clone(), parts: places(suite, parts) })
                }
                None => None,
            };
            let map = entry.map.value.clone();
            if !ready.case.maps.contains(&map) {
                ready.case.maps.push(map.clone());
            }
            let shown = suite.text.get(entry.key.range.clone()).unwrap_or_default().to_owned();
            let span = suite.span(entry.range.clone());
            ready.checks.entries.push(EntryCheck { map, key, shown, value, span });
        }
        for (name, given) in &expect.globals {
            let found = self.global_parts(object, name, given);
            let Some((section, kind, offset, parts)) = found else { continue };
            if kind == DataKind::Rodata {
                let range = name.range.clone().unwrap_or_default();
                self.wrong(range, format!("`{}` is constant", name.value));
                continue;
            }
            if !ready.case.maps.contains(&section) {
                ready.case.maps.push(section.clone());
            }
            let value = Typed { btf: object.elf.btf.clone(), parts: places(suite, parts) };
            let name = name.value.clone();
            ready.checks.globals.push(GlobalCheck { name, section, offset, value });
        }
        if let Some(prints) = &expect.prints {
            let span = suite.span(prints.range.clone().unwrap_or_default());
            ready.checks.prints = Some(Check { expected: prints.value.clone(), span });
        }
        for events in &expect.events {
            if !object.elf.maps.iter().any(|map| map.name == events.map.value) {
                let range = events.map.range.clone().unwrap_or_default();
                self.wrong(range, format!("there is no map `{}`", events.map.value));
                continue;
            }
            let own = suite.clone();
            ready.checks.events.push(EventCheck {
                map: events.map.value.clone(),
                events: events
                    .events
                    .iter()
                    .map(|event| (event.clone(), suite.span(event.range.clone())))
                    .collect(),
                span: suite.span(events.range.clone()),
                places: Arc::new(move |range| own.span(range)),
            });
        }
    }

    /// The frames that a packet stands for; a mistake if there are none.
    fn frames(&mut self, packet: &Located<Packet>) -> Option<Vec<Vec<u8>>> {
        self.take(self.found.captures.frames(&packet.value))
    }

    /// How often which value is to be returned.
    fn retvals(
        &mut self,
        test: &Test,
        kind: Option<ProgramType>,
    ) -> Option<Check<Vec<(i32, u64)>>> {
        let first = test.expect.retvals.first()?.0.range.clone()?;
        let mut expected = Vec::new();
        for (name, count) in &test.expect.retvals {
            let range = name.range.clone().unwrap_or_default();
            let given = Given { value: Written::Text(name.value.clone()), range };
            let value = self.retval(kind, &given)?;
            expected.push((value.expected, count.value));
        }
        if !is_many(test) {
            let message = "`retvals` counts what several packets come to: use `retval`";
            self.wrong(first.clone(), message);
        }
        Some(Check { expected, span: self.span(first) })
    }

    fn retval(&mut self, kind: Option<ProgramType>, given: &Given) -> Option<Check<i32>> {
        let span = self.span(given.range.clone());
        let names = kind.map(actions).unwrap_or_default();
        let named = match &given.value {
            Written::Text(text) => names.iter().find(|(name, _)| name == text),
            _ => None,
        };
        let value = named.map(|(_, value)| i128::from(*value)).or_else(|| number(given));
        // What the kernel returns has 32 bits; the sign is the reader's.
        let fitting = value.filter(|value| (-(1 << 31)..1 << 32).contains(value));
        if let Some(value) = fitting {
            return Some(Check { expected: value as u32 as i32, span });
        }
        let diagnostic = self.wrong(
            given.range.clone(),
            match (&given.value, value) {
                (_, Some(_)) => "a program returns 32 bits".to_owned(),
                (Written::Text(text), _) => {
                    format!("`{text}` is no value that this program returns")
                }
                _ => "it is a number, or its name".to_owned(),
            },
        );
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            diagnostic.notes.push(format!("there are: {}", names.join(", ")));
        }
        None
    }
}

/// Whether a test has all packets of a file.
fn is_many(test: &Test) -> bool {
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
