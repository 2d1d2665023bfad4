//! The headers that skep supplies: libbpf's, and `vmlinux.h`, whole or cut
//! down to what a source uses.
//!
//! Every source that includes `vmlinux.h` has a pruned one of its own, made of
//! the words of the source, of the project's headers it includes and of its
//! definitions. Two small files stand beside each:
//!
//! - `WORDS` has the identity of those words and of the BTF, and the hash of
//!   the header made of them: a source that was touched but has the same words
//!   gets the same header without a look at the BTF;
//! - `REFUSED` has the identity of words whose header clang refused although
//!   it takes the whole one. The source is compiled with the whole one then,
//!   until its words change.
//!
//! The whole header is made only when somebody asks for it.

use super::record::Files;
use super::steps::{Ran, Step, put};
use super::{Error, Header, Source, Workspace, includes, libbpf};
use crate::base::digest::Digest;
use crate::base::fs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The identity of the words that a pruned header was made of, and its hash.
const WORDS: &str = "words";
/// The identity of the words whose header clang refused.
const REFUSED: &str = "refused";

/// What the sources of a build include.
pub(super) struct Headers<'r> {
    /// What has to be done before the sources are compiled. The first step
    /// makes libbpf's headers, which all sources need.
    pub steps: Vec<Step<'r>>,
    /// For each source, its `vmlinux.h`, if it includes one of skep's.
    pub own: Vec<Option<Own>>,
    /// What decides about `vmlinux.h`, if a source includes one of skep's.
    pub identity: Option<String>,
    /// The step that makes the whole header where it is made on demand, and
    /// whether that has been done.
    whole: Option<Mutex<(Step<'r>, bool)>>,
}

/// The `vmlinux.h` of a source.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// The index of the step that makes it.
    pub step: usize,
    /// The file.
    pub path: PathBuf,
    /// If it is pruned: more about that.
    pub pruned: Option<Pruned>,
}

/// A pruned header.
#[derive(Clone, Debug)]
pub(super) struct Pruned {
    /// The directory it lies in, with nothing else.
    pub dir: PathBuf,
    /// [`WORDS`].
    pub words: PathBuf,
    /// [`REFUSED`].
    refused: PathBuf,
}

impl Pruned {
    /// The identity of the words that the header was made of.
    fn words(&self) -> Option<String> {
        let text = fs::read_to_string(&self.words).ok()?;
        text.split_once(' ').map(|(words, _)| words.to_owned())
    }

    /// Whether clang refused it although it takes the whole header.
    pub fn is_refused(&self) -> bool {
        let refused = fs::read_to_string(&self.refused).ok();
        refused.is_some() && refused == self.words()
    }

    /// Remembers that clang refused it.
    pub fn refuse(&self, aside: &Path) -> Result<(), Error> {
        match self.words() {
            Some(words) => Ok(put(&self.refused, words.as_bytes(), aside)?),
            None => Ok(()),
        }
    }
}

impl<'r> Headers<'r> {
    /// The headers that the sources need. `found` says what each includes.
    pub fn new(
        workspace: &Workspace<'_, 'r>,
        sources: &[Source],
        found: &[includes::Found],
    ) -> Result<Self, Error> {
        let mut headers = Self {
            steps: vec![libbpf_step(workspace)],
            own: vec![None; sources.len()],
            identity: None,
            whole: None,
        };
        let is_needed = found.iter().any(|found| found.needs_vmlinux);
        let Some(header_for) = workspace.request.vmlinux.filter(|_| is_needed) else {
            return Ok(headers);
        };
        let header = Arc::new(header_for().map_err(Error::Header)?);
        headers.identity = Some(header.identity());
        let whole = workspace.generated.join(includes::VMLINUX);
        let whole_step = whole_step(workspace, &header, &whole);
        if header.prune.is_none() {
            let own = Own { step: headers.steps.len(), path: whole, pruned: None };
            headers.steps.push(whole_step);
            for (slot, found) in headers.own.iter_mut().zip(found) {
                *slot = found.needs_vmlinux.then(|| own.clone());
            }
            return Ok(headers);
        }
        headers.whole = Some(Mutex::new((whole_step, false)));
        for (index, (source, found)) in sources.iter().zip(found).enumerate() {
            if found.needs_vmlinux {
                let (own, step) =
                    pruned_step(workspace, &header, source, &found.files, headers.steps.len());
                headers.own[index] = Some(own);
                headers.steps.push(step);
            }
        }
        Ok(headers)
    }

    /// Makes the whole header, once, unless it is there.
    pub fn make_whole(&self, workspace: &Workspace<'_, 'r>, files: &Files) -> Result<(), Error> {
        let Some(whole) = &self.whole else { return Ok(()) };
        let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
        if !whole.1 {
            workspace.run_within(files, &whole.0)?;
            whole.1 = true;
        }
        Ok(())
    }
}

fn libbpf_step<'a>(workspace: &Workspace<'_, '_>) -> Step<'a> {
    let headers = libbpf::HEADERS;
    let path = |header: &libbpf::Header| workspace.generated.join(header.name);
    let outputs: Vec<PathBuf> = headers.iter().map(path).collect();
    let (paths, aside) = (outputs.clone(), workspace.aside.clone());
    Step {
        name: "include/bpf".to_owned(),
        verb: None,
        subject: "libbpf's headers".to_owned(),
        key: vec![("libbpf's headers", libbpf::HASH.to_owned())],
        inputs: Vec::new(),
        outputs,
        after: Vec::new(),
        run: Box::new(move || {
            for (header, path) in headers.iter().zip(&paths) {
                put(path, header.text.as_bytes(), &aside)?;
            }
            Ok(Ran::default())
        }),
    }
}

fn whole_step<'r>(
    workspace: &Workspace<'_, 'r>,
    header: &Arc<Header<'r>>,
    path: &Path,
) -> Step<'r> {
    let (aside, path, header) = (workspace.aside.clone(), path.to_owned(), Arc::clone(header));
    Step {
        name: format!("include/{}", includes::VMLINUX),
        verb: Some("Generating"),
        subject: format!("vmlinux.h from {}", header.from),
        key: vec![("the source of vmlinux.h", header.key.clone())],
        inputs: header.inputs.clone(),
        outputs: vec![path.clone()],
        after: Vec::new(),
        run: Box::new(move || {
            let text = (header.make)().map_err(Error::Header)?;
            put(&path, &text, &aside)?;
            Ok(Ran::default())
        }),
    }
}

/// The step that makes a source's pruned header; `index` is its own.
fn pruned_step<'r>(
    workspace: &Workspace<'_, 'r>,
    header: &Arc<Header<'r>>,
    source: &Source,
    files: &BTreeSet<PathBuf>,
    index: usize,
) -> (Own, Step<'r>) {
    let request = workspace.request;
    let name = Path::new("vmlinux").join(&source.path);
    let dir = request.target.join(request.profile).join(&name);
    let state = workspace.state.join(request.profile).join(&name);
    let pruned =
        Pruned { words: state.join(WORDS), refused: state.join(REFUSED), dir: dir.clone() };
    let path = dir.join(includes::VMLINUX);
    let mut definitions = source.defines.clone();
    definitions.extend(includes::Flags::of(request.root, &source.cflags).definitions);
    let own = Own { step: index, path: path.clone(), pruned: Some(pruned.clone()) };
    let (aside, header, files) = (workspace.aside.clone(), Arc::clone(header), files.clone());
    let mut inputs: Vec<PathBuf> = files.iter().cloned().collect();
    inputs.extend(header.inputs.iter().cloned());
    let step = Step {
        name: format!("{}/vmlinux/{}", request.profile, source.path.display()),
        verb: None,
        subject: format!("vmlinux.h for {}", source.path.display()),
        key: vec![
            ("the source of vmlinux.h", header.key.clone()),
            ("the definitions", definitions.join(" ")),
        ],
        inputs,
        outputs: vec![path.clone(), pruned.words.clone()],
        after: Vec::new(),
        run: Box::new(move || {
            let known = known_words(&pruned, &path);
            let Some(prune) = &header.prune else { return Ok(Ran::default()) };
            let made = prune(&files, &definitions, known.as_deref()).map_err(Error::Header)?;
            if let Some(made) = made {
                put(&path, &made.text, &aside)?;
                let words = format!("{} {}", made.words, Digest::of(&made.text));
                put(&pruned.words, words.as_bytes(), &aside)?;
            }
            Ok(Ran::default())
        }),
    };
    (own, step)
}

/// The identity of the words that the header was made of, if it is there as
/// it was made.
fn known_words(pruned: &Pruned, path: &Path) -> Option<String> {
    let text = fs::read_to_string(&pruned.words).ok()?;
    let (words, digest) = text.split_once(' ')?;
    let header = fs::read(path).ok()?;
    (Digest::of(&header).to_string() == digest).then(|| words.to_owned())
}
