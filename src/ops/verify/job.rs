//! One kernel's part of the work: a machine, and every program of every object
//! in it.

use super::finding::{cannot_open, finding};
use super::{Object, Part, Request, Statistics, Task, Verdict, Word};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, ObjectPlace};
use crate::events::{Ending, Step};
use crate::ops::Session;
use crate::ops::kernel::store;
use crate::vm::{self, Blueprint, Initramfs, Loaded, Runner, Settings};
use crate::wire;
use globset::GlobMatcher;
use std::path::{Path, PathBuf};

/// What is kept of a rejected program's log if nobody asked for it, in bytes.
const LOG_LIMIT: u64 = 4 << 20;
/// How many logs are kept in a directory; the oldest make way.
const LOGS_KEPT: usize = 200;

/// What one kernel's job needs.
pub(super) struct Job<'j> {
    pub session: &'j Session,
    pub request: &'j Request,
    pub settings: &'j Settings,
    pub initramfs: &'j Initramfs,
    pub objects: &'j [Object],
    pub globs: &'j [GlobMatcher],
}

impl Job<'_> {
    /// Verifies the task's objects; what comes of it goes into `part`, also if
    /// it fails on the way.
    pub fn run(&self, task: &Task, part: &mut Part) -> Result<(), Failure> {
        let Self { session, .. } = self;
        let sink = &*session.sink;
        let kernel = store(session).get(&task.reference, &session.cancel, sink)?;
        let name = kernel.reference.clone();
        let snapshots = session.cache.join("snapshots");
        let blueprint = Blueprint {
            settings: self.settings,
            initramfs: self.initramfs,
            name: format!("{name} ({})", kernel.stored.release),
            key: kernel.key().to_owned(),
            image: &|| Ok(kernel.bootable()?),
            snapshots: (!self.request.cold).then_some(snapshots.as_path()),
            sink,
        };
        let mut runner = Runner::new(&blueprint, &session.cancel);
        let hello = runner.start()?;
        session.detail(format!("{name}: Linux {}, libbpf {}", hello.release, hello.libbpf));
        let step = Step::start(sink, "Verifying", format!("on {name}"));
        for (done, &index) in task.objects.iter().enumerate() {
            step.advance(done as u64, task.objects.len() as u64);
            self.object(&self.objects[index], &kernel.stored.release, &name, &mut runner, part)?;
        }
        step.finish(Ending::Done);
        Ok(())
    }

    fn object(
        &self,
        object: &Object,
        release: &str,
        kernel: &str,
        runner: &mut Runner<'_>,
        part: &mut Part,
    ) -> Result<(), Failure> {
        let wanted = |entry: &wire::Entry| {
            self.globs.is_empty() || self.globs.iter().any(|glob| glob.is_match(&entry.name))
        };
        // Whoever asks for the logs gets them whole, and of every program.
        let (level, log_limit) = match (&self.request.log, self.request.level) {
            (Some(_), level) => (level.unwrap_or(1), u64::MAX),
            (None, level) => (level.unwrap_or(0), LOG_LIMIT),
        };
        let options = vm::Options { level, explain: true, log_limit };
        let name = object.path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".o").trim_end_matches(".bpf");
        let opened = runner.load(name, &object.bytes, options, &wanted, &mut |loaded| {
            self.program(object, release, kernel, loaded, part);
        });
        match opened {
            Ok(wire::Opened { error: Some(refusal), .. }) => {
                part.diagnostics.push(cannot_open(object, &refusal).kernel(kernel));
            }
            Ok(wire::Opened { programs, .. }) if programs.is_empty() => {
                self.session.note(format!("{} holds no program", object.path.display()));
            }
            Ok(_) => {}
            Err(error @ vm::Error::Lost { .. }) => {
                let place = ObjectPlace { object: object.path.clone(), ..ObjectPlace::default() };
                part.diagnostics.push(Diagnostic::from(error).object_place(place).kernel(kernel));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes what became of one program.
    fn program(
        &self,
        object: &Object,
        release: &str,
        kernel: &str,
        loaded: Loaded,
        part: &mut Part,
    ) {
        let mut verdict = Verdict {
            object: object.path.clone(),
            index: 0,
            program: String::new(),
            section: String::new(),
            kind: String::new(),
            kernel: kernel.to_owned(),
            release: release.to_owned(),
            word: Word::None,
            statistics: Statistics::default(),
            size: None,
            micros: None,
            xlated: None,
            jited: None,
            fixups: Vec::new(),
        };
        let of = |verdict: &mut Verdict, index: u32, entry: wire::Entry| {
            verdict.index = index;
            verdict.program = entry.name;
            verdict.section = entry.section;
            verdict.kind = entry.kind;
        };
        match loaded {
            Loaded::Lost { index, entry, error } => {
                let place = ObjectPlace {
                    object: object.path.clone(),
                    section: Some(entry.section.clone()),
                    instruction: None,
                };
                part.diagnostics.push(
                    Diagnostic::from(error)
                        .program(entry.name.clone())
                        .object_place(place)
                        .kernel(kernel),
                );
                of(&mut verdict, index, entry);
            }
            Loaded::Reported { program, log } => {
                let text = String::from_utf8_lossy(&log);
                verdict.statistics = Statistics::of_log(&program.verdict);
                verdict.size = Some(program.instructions).filter(|&count| count > 0);
                verdict.micros = Some(program.load_ns / 1000).filter(|&micros| micros > 0);
                verdict.fixups.clone_from(&program.fixups);
                verdict.word = match &program.outcome {
                    wire::Outcome::Accepted => Word::Accepted,
                    wire::Outcome::Refused(refusal) if refusal.stage == wire::Stage::Verifier => {
                        Word::Rejected
                    }
                    wire::Outcome::Refused(refusal) => Word::NotLoaded(refusal.stage),
                    wire::Outcome::TimedOut { .. } | wire::Outcome::Crashed { .. } => Word::None,
                };
                verdict.xlated = Some(program.xlated_bytes).filter(|&bytes| bytes > 0);
                verdict.jited = Some(program.jited_bytes).filter(|&bytes| bytes > 0);
                for said in program.fixups.iter().chain(&program.warnings) {
                    self.session.detail(format!("{} on {kernel}: {said}", program.entry.name));
                }
                if verdict.word != Word::Accepted {
                    let raw_log = self.keep_log(object, &program, kernel, &log);
                    let diagnostic = finding(self.session, object, &program, &text, kernel);
                    part.diagnostics.push(Diagnostic { raw_log, ..diagnostic });
                }
                if self.request.log.is_some() {
                    let title = format!(
                        "{} {} on {kernel} ({release}): {}",
                        object.path.display(),
                        program.entry.name,
                        verdict.word.text()
                    );
                    part.logs.push((title, log));
                }
                of(&mut verdict, program.index, program.entry);
            }
        }
        part.verdicts.push(verdict);
    }

    /// Keeps a rejected program's log, and says where.
    fn keep_log(
        &self,
        object: &Object,
        program: &wire::Program,
        kernel: &str,
        log: &[u8],
    ) -> Option<PathBuf> {
        if log.is_empty() {
            return None;
        }
        if let Some(path) = &self.request.log {
            return Some(path.clone());
        }
        // A log belongs to its project's build directory; what has none, to
        // the cache, where objects of one name must not meet.
        let stem = object.path.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.trim_end_matches(".bpf");
        let mut name = format!("{stem}.{}.{kernel}.log", program.entry.name);
        let dir = match &object.target {
            Some(target) => target.join("logs"),
            None => {
                let object = self.session.absolute(&object.path);
                let key = Digest::of(object.as_os_str().as_encoded_bytes()).short();
                name.insert_str(0, &format!("{}.", &key[..6]));
                self.session.cache.join("logs")
            }
        };
        let path = dir.join(name.replace('/', "-"));
        match fs::write_atomic(&path, log).and_then(|()| prune(&dir)) {
            Ok(()) => Some(self.session.display(&path).to_owned()),
            Err(error) => {
                self.session.note(format!("the verifier's log is not kept: {error}"));
                None
            }
        }
    }
}

/// Removes the oldest logs of a directory, if there are too many.
fn prune(dir: &Path) -> fs::Result<()> {
    let logs = fs::read_dir(dir)?;
    if logs.len() <= LOGS_KEPT {
        return Ok(());
    }
    let age =
        |path: &PathBuf| fs::metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let mut logs: Vec<_> = logs.into_iter().map(|path| (age(&path), path)).collect();
    logs.sort();
    // A few more than needed, so that the next ones need not look again.
    let surplus = logs.len() - LOGS_KEPT * 3 / 4;
    logs.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(&path))
}
