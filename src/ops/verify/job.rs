//! One kernel's part of the work: a machine, and every program of every object
//! in it.

use super::finding::{self, cannot_open, finding};
use super::machines::{OWN, Work};
use super::select::stem;
use super::sets::Set;
use super::{Found, Object, Results, Task, Traced, Verdict, Word, blame, modules, target};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, ObjectPlace};
use crate::events::{Ending, Step};
use crate::kernels::Module;
use crate::ops::machines::{Machines, Wish};
use crate::ops::pins;
use crate::vm::{self, Loaded, Loader, Own, Rights, Runner, Settings};
use crate::wire;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is kept of a rejected program's log if nobody asked for it, in bytes.
const LOG_LIMIT: u64 = 4 << 20;
/// How many logs are kept in a directory; the oldest make way, but none of
/// the run that is under way.
const LOGS_KEPT: usize = 200;

/// What one kernel's job needs.
pub(super) struct Job<'j> {
    pub work: Work<'j>,
    /// When the run began.
    pub begun: SystemTime,
}

/// Where its machine comes from.
pub(super) struct Place<'p> {
    pub machines: &'p Machines<'p>,
    pub wish: &'p Wish,
    pub settings: &'p Settings,
}

/// What an object needs besides itself.
struct Needs {
    modules: Vec<Module>,
    kprobes: Vec<wire::Kprobe>,
}

/// The kernel that a verdict is of.
struct Kernel<'k> {
    reference: &'k str,
    release: &'k str,
}

/// How far it has come.
struct Progress<'p> {
    step: Step<'p>,
    done: Cell<u64>,
    all: u64,
}

impl Progress<'_> {
    /// The next piece of work begins.
    fn advance(&self) {
        self.step.advance(self.done.get(), self.all);
        self.done.set(self.done.get() + 1);
    }
}

impl Job<'_> {
    /// Verifies the task's objects; what comes of it goes into `part`, also if
    /// it fails on the way.
    pub fn in_machine(
        &self,
        task: &Task,
        place: &Place<'_>,
        part: &mut Results,
    ) -> Result<(), Failure> {
        let Work { session, objects, .. } = self.work;
        let kernel = pins::kernel(session, &task.reference, task.pin.as_ref())?;
        part.kernel = Some(kernel.stored.clone());
        let name = kernel.reference.clone();
        let blueprint = place.machines.blueprint(place.wish, place.settings, &kernel);
        let touched = self.touched(task.objects.iter().copied());
        // Before there is a machine: it does not wait well.
        let mut needs: Vec<Needs> = touched
            .iter()
            .map(|&index| {
                let elf = &objects[index].elf;
                let mut modules = Vec::new();
                modules::add_needed(session, &kernel, elf, &mut modules);
                Needs { modules, kprobes: target::unknown(session, &kernel, elf) }
            })
            .collect();
        let mut runner = Runner::new(&blueprint, &session.cancel);
        let hello = runner.start()?;
        session.detail(format!("{name}: Linux {}, libbpf {}", hello.release, hello.libbpf));
        let progress = self.begin(format!("on {name}"), &touched);
        let kernel = Kernel { reference: &name, release: &kernel.stored.release };
        for (&index, needs) in touched.iter().zip(&mut needs) {
            let modules = std::mem::take(&mut needs.modules).into_iter();
            runner.provide(modules.map(|module| (module.name, module.bytes)));
            for set in &objects[index].sets {
                progress.advance();
                self.object((index, set, &needs.kprobes), &kernel, &mut runner, part)?;
            }
        }
        progress.step.finish(Ending::Done);
        Ok(())
    }

    /// Verifies all objects on the kernel that skep runs on. It has the modules
    /// that it has, and whether a program could be attached is not tried.
    pub fn on_own_kernel(&self, part: &mut Results) -> Result<(), Failure> {
        let Work { session, request, objects, .. } = self.work;
        let rights = request.sudo.clone().map_or(Rights::Plain, Rights::Sudo);
        let mut own = Own::new(&session.executable, rights, request.limit, &session.cancel);
        let hello = own.start()?;
        let release = hello.release;
        session.detail(format!("{OWN}: Linux {release}, libbpf {}", hello.libbpf));
        let touched = self.touched(0..objects.len());
        let progress =
            self.begin(format!("on this machine's own kernel, Linux {release}"), &touched);
        let kernel = Kernel { reference: OWN, release: &release };
        for &index in &touched {
            for set in &objects[index].sets {
                progress.advance();
                self.object((index, set, &[]), &kernel, &mut own, part)?;
            }
        }
        progress.step.finish(Ending::Done);
        Ok(())
    }

    /// Those of the objects that anything is asked of.
    fn touched(&self, objects: impl Iterator<Item = usize>) -> Vec<usize> {
        objects.filter(|&index| self.work.selection.touches(index)).collect()
    }

    fn begin(&self, place: String, touched: &[usize]) -> Progress<'_> {
        let objects = self.work.objects;
        let all: usize = touched.iter().map(|&index| objects[index].sets.len()).sum();
        let step = Step::start(&*self.work.session.sink, "Verifying", place);
        Progress { step, done: Cell::new(0), all: all as u64 }
    }

    fn object(
        &self,
        (index, set, kprobes): (usize, &Set, &[wire::Kprobe]),
        kernel: &Kernel<'_>,
        loader: &mut dyn Loader,
        part: &mut Results,
    ) -> Result<(), Failure> {
        let Work { session, request, objects, selection, placed } = self.work;
        let object = &objects[index];
        let wanted = |entry: &wire::Entry| selection.takes(index, &entry.name);
        // Whoever asks for the logs gets them whole, and of every program.
        let (level, log_limit) = match (&request.log, request.level) {
            _ if request.blame || request.trace => (2, u64::MAX),
            (Some(_), level) => (level.unwrap_or(1), u64::MAX),
            (None, level) => (level.unwrap_or(0), LOG_LIMIT),
        };
        let globals = &set.patches;
        let options =
            vm::Options { level, explain: true, log_limit, globals, placed, kprobes, trials: &[] };
        let name = stem(&object.path);
        let opened = loader.load(&name, &object.bytes, options, &wanted, &mut |loaded| {
            self.program(object, set, kernel, loaded, part);
        });
        let mut find = |diagnostic: Diagnostic| {
            let diagnostic = diagnostic.kernel(kernel.reference);
            part.findings.push(Found { diagnostic, set: set.label.clone() });
        };
        match opened {
            Ok(wire::Opened { error: Some(refusal), .. }) => find(cannot_open(object, &refusal)),
            Ok(wire::Opened { programs, .. }) if programs.is_empty() => {
                session.note(format!("{} holds no program", object.path.display()));
            }
            Ok(_) => {}
            Err(error) if error.is_loss() => {
                let place = ObjectPlace { object: object.path.clone(), ..ObjectPlace::default() };
                find(Diagnostic::from(error).object_place(place));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes what became of one program.
    fn program(
        &self,
        object: &Object,
        set: &Set,
        kernel: &Kernel<'_>,
        loaded: Loaded,
        part: &mut Results,
    ) {
        let mut find = |diagnostic: Diagnostic| {
            part.findings.push(Found { diagnostic, set: set.label.clone() });
        };
        let verdict = |index: u32, entry: &wire::Entry| Verdict {
            object: object.path.clone(),
            index,
            program: entry.name.clone(),
            section: entry.section.clone(),
            kind: entry.kind.clone(),
            set: set.label.clone(),
            kernel: kernel.reference.to_owned(),
            release: kernel.release.to_owned(),
            ..Verdict::default()
        };
        let verdict = match loaded {
            Loaded::Lost { index, entry, error } => {
                let verdict = verdict(index, &entry);
                find(
                    Diagnostic::from(error)
                        .program(entry.name)
                        .object_place(finding::place(&verdict))
                        .kernel(kernel.reference),
                );
                verdict
            }
            Loaded::Reported { program, log } => {
                let mut verdict = verdict(program.index, &program.entry);
                verdict.take(&program);
                for said in program.fixups.iter().chain(&program.warnings) {
                    let name = &program.entry.name;
                    self.work.session.detail(format!("{name} on {}: {said}", kernel.reference));
                }
                if let Some(refused) = &program.unattachable {
                    find(target::missing(self.work.session, object, &verdict, refused));
                }
                if verdict.word != Word::Accepted {
                    verdict.log = self.keep_log(object, &verdict, &log);
                    let text = String::from_utf8_lossy(&log);
                    let session = self.work.session;
                    let diagnostic = finding(session, object, &program, &text, kernel.reference);
                    find(Diagnostic { raw_log: verdict.log.clone(), ..diagnostic });
                }
                let request = self.work.request;
                if request.blame {
                    let text = String::from_utf8_lossy(&log);
                    part.blames.extend(blame::blame(self.work.session, object, &verdict, &text));
                }
                if request.trace {
                    part.traced.push(Traced::new(self.work.session, object, &verdict, &log));
                }
                if let Some(path) = &request.log {
                    verdict.log = Some(path.clone());
                    part.logs.push((verdict.title(), log));
                }
                verdict
            }
        };
        part.verdicts.push(verdict);
    }

    /// Keeps a rejected program's log, and says where.
    fn keep_log(&self, object: &Object, verdict: &Verdict, log: &[u8]) -> Option<PathBuf> {
        let Work { session, request, .. } = self.work;
        if log.is_empty() {
            return None;
        }
        if let Some(path) = &request.log {
            return Some(path.clone());
        }
        // A log belongs to its project's build directory; what has none, to
        // the cache, where objects of one name must not meet.
        let stem = object.path.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.trim_end_matches(".bpf");
        let set = match verdict.set.as_str() {
            "" => String::new(),
            set => format!(".{}", Digest::of(set.as_bytes()).short()),
        };
        let mut name = format!("{stem}.{}.{}{set}.log", verdict.program, verdict.kernel);
        let dir = match &object.target {
            Some(target) => target.join("logs"),
            None => {
                let object = session.absolute(&object.path);
                let key = Digest::of(object.as_os_str().as_encoded_bytes()).short();
                name.insert_str(0, &format!("{}.", &key[..6]));
                session.cache.join("logs")
            }
        };
        let path = dir.join(name.replace('/', "-"));
        match fs::write_atomic(&path, log).and_then(|()| prune(&dir, self.begun)) {
            Ok(()) => Some(session.display(&path).to_owned()),
            Err(error) => {
                session.note(format!("the verifier's log is not kept: {error}"));
                None
            }
        }
    }
}

/// Removes the oldest logs of a directory, if there are too many; those that
/// a run left since it began stay, for its findings name them.
fn prune(dir: &Path, begun: SystemTime) -> fs::Result<()> {
    let logs = fs::read_dir(dir)?;
    if logs.len() <= LOGS_KEPT {
        return Ok(());
    }
    // Clocks of file systems are coarse.
    let begun = begun.checked_sub(Duration::from_secs(1)).unwrap_or(begun);
    let age =
        |path: &PathBuf| fs::metadata(path).ok().and_then(|metadata| metadata.modified().ok());
    let mut logs: Vec<_> = logs.into_iter().map(|path| (age(&path), path)).collect();
    logs.sort();
    // A few more than needed, so that the next ones need not look again.
    let surplus = logs.len() - LOGS_KEPT * 3 / 4;
    let old = logs.into_iter().take(surplus).filter(|(age, _)| age.is_none_or(|age| age < begun));
    old.map(|(_, path)| path).try_for_each(|path| fs::remove_file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_logs_make_way_and_new_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        for at in 0..LOGS_KEPT + 10 {
            fs::write_atomic(&dir.path().join(format!("{at}.log")), b"x").unwrap();
        }
        let count = || fs::read_dir(dir.path()).unwrap().len();
        let hour = Duration::from_secs(3600);
        prune(dir.path(), SystemTime::now() - hour).unwrap();
        assert_eq!(count(), LOGS_KEPT + 10);
        prune(dir.path(), SystemTime::now() + hour).unwrap();
        assert_eq!(count(), LOGS_KEPT * 3 / 4);
    }
}
