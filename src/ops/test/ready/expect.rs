//! What is looked at when a program has run, or when what was to happen has.

use super::input::{ETHERNET, is_many};
use super::{Check, EntryCheck, EventCheck, GlobalCheck, Maker, Ready, Typed, mistake};
use crate::bpf::ProgramType;
use crate::bpf::action::actions;
use crate::bpf::test_run::Packet as Takes;
use crate::elf::DataKind;
use crate::ops::verify::Object;
use crate::project::suite::Test;
use crate::values::{Given, Part, Written, encode, number};
use std::sync::Arc;

impl Maker<'_> {
    pub fn expectations(&mut self, test: &Test, object: &Object, ready: &mut Ready) {
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
        for (map, count) in &expect.counts {
            let range = map.range.clone().unwrap_or_default();
            if !object.elf.maps.iter().any(|known| known.name == map.value) {
                self.wrong(range, format!("there is no map `{}`", map.value));
                continue;
            }
            if !ready.case.maps.contains(&map.value) {
                ready.case.maps.push(map.value.clone());
            }
            let span = suite.span(count.range.clone().unwrap_or_default());
            ready.checks.counts.push((map.value.clone(), Check { expected: count.value, span }));
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
