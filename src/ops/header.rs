//! The BTF of a project, and how its `vmlinux.h` is made of it.
//!
//! Where the BTF comes from, the first that says something wins: `vmlinux` in
//! the manifest, if it names BTF; `btf` there; the pin in `Skep.lock`; the
//! running kernel.

use super::{Session, vmlinux};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::btf::{Btf, Outline};
use crate::build::{Arch, Header, PrunedHeader};
use crate::diagnostics::{Diagnostic, Failure, Origin, Span, codes};
use crate::events::Event;
use crate::kernels::Reference;
use crate::project::Project;
use crate::project::lock::{LOCK, Lock};
use crate::project::manifest::{Located, Vmlinux};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Where the BTF of a project comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// What the project calls it: `host`, a kernel's reference, a path
    /// relative to the project.
    pub name: String,
    /// What it must be, if the project is pinned to it.
    pub pinned: Option<Digest>,
    /// The file that says so.
    said_in: PathBuf,
    /// The place in it.
    span: Option<Span>,
    /// The file it is in; none for a kernel's reference.
    file: Option<PathBuf>,
}

impl Source {
    /// Where a project's BTF comes from.
    ///
    /// # Errors
    /// If `Skep.lock` cannot be read.
    pub fn of(project: &Project) -> Result<Self, Failure> {
        if let Some(source) = Self::of_manifest(project) {
            return Ok(source);
        }
        let locked = Lock::read(project)?.btf();
        Ok(locked.map_or_else(
            || Self::host(project),
            |locked| {
                let lock = Lock::path(project);
                Self::new(project, locked.reference, Some(locked.sha256), lock, None)
            },
        ))
    }

    /// [`Source::of`] as if nothing stood in `Skep.lock`.
    pub fn unpinned(project: &Project) -> Self {
        Self::of_manifest(project).unwrap_or_else(|| Self::host(project))
    }

    fn host(project: &Project) -> Self {
        Self::new(project, "host".to_owned(), None, PathBuf::new(), None)
    }

    fn of_manifest(project: &Project) -> Option<Self> {
        let manifest = project.manifest_path.clone().unwrap_or_default();
        let bpf = &project.manifest.bpf;
        if let Vmlinux::Path(path) = &bpf.vmlinux.value
            && !is_header(path)
        {
            let (name, span) = (path.display().to_string(), project.span(&bpf.vmlinux));
            return Some(Self::new(project, name, None, manifest, span));
        }
        let btf = bpf.btf.as_ref()?;
        let (name, span) = (btf.from.value.clone(), project.span(&btf.from));
        Some(Self::new(project, name, btf.sha256, manifest, span))
    }

    fn new(
        project: &Project,
        name: String,
        pinned: Option<Digest>,
        said_in: PathBuf,
        span: Option<Span>,
    ) -> Self {
        let path = project.root.join(&name);
        let file =
            (name != "host" && (fs::exists(&path) || !is_kernel_reference(&name))).then_some(path);
        Self { name, pinned, said_in, span, file }
    }

    /// What [`vmlinux::kernel`] takes for it.
    pub fn from(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| PathBuf::from(&self.name))
    }

    /// Reads it, whatever the project is pinned to.
    pub fn read(&self, session: &Session) -> Result<Btf, Failure> {
        vmlinux::kernel(session, Some(&self.from()))
    }

    /// What is wrong with BTF that was read from there: it is not what the
    /// project is pinned to.
    pub fn check(&self, session: &Session, btf: &[u8]) -> Option<Diagnostic> {
        let (pinned, now) = (self.pinned?, Digest::of(btf));
        if pinned == now {
            return None;
        }
        let name = &self.name;
        let message = format!("the BTF of {name} is not the one the project is pinned to");
        let shown = session.display(&self.said_in).to_owned();
        let by = self.said_in.file_name().map_or(LOCK.into(), |name| name.to_string_lossy());
        let finding = Diagnostic::new(codes::BTF_CHANGED, Origin::Manifest, message);
        let finding = match &self.span {
            Some(span) => finding.at(span.clone()),
            None => finding.in_file(shown),
        };
        let finding = finding.note(format!("{by} pins {pinned}, and it is {now}"));
        Some(match by == LOCK {
            true => finding
                .help(format!("pin what is there now with `skep vmlinux --pin --from {name}`")),
            false => finding.help(
                "look at what is different with `skep vmlinux --check`, and write the new hash",
            ),
        })
    }
}

/// Whether a path names a header and not BTF.
fn is_header(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "h")
}

/// Whether a text names a kernel and not a file.
fn is_kernel_reference(text: &str) -> bool {
    let reference = Reference::parse(text, |_| false);
    reference.is_ok_and(|reference| !matches!(reference, Reference::File(_)))
}

/// How `vmlinux.h` is made for a project.
pub(super) fn of<'a>(
    session: &'a Session,
    project: &Project,
    arch: Arch,
) -> Result<Header<'a>, Failure> {
    let setting = &project.manifest.bpf.vmlinux;
    if let Vmlinux::Path(path) = &setting.value
        && is_header(path)
    {
        let path = project.root.join(path);
        if !fs::is_file(&path) {
            return Err(no_such_file(session, project, setting, &path).into());
        }
        return Ok(Header {
            from: session.display(&path).display().to_string(),
            key: "a header".to_owned(),
            inputs: vec![path.clone()],
            make: Box::new(move || Ok(fs::read(&path)?)),
            prune: None,
        });
    }
    // Another skep may write another header.
    let executable = fs::metadata(&session.executable).ok();
    let skep = executable.map(|meta| (meta.len(), meta.mtime(), meta.mtime_nsec()));
    let source = Source::of(project)?;
    let pinned = source.pinned.map_or(String::new(), |pinned| pinned.to_string());
    let (from, identity) = match &source.file {
        Some(file) if !fs::is_file(file) => {
            return Err(no_such_file(session, project, setting, file).into());
        }
        Some(file) => (session.display(file).display().to_string(), "BTF".to_owned()),
        None if source.name != "host" => {
            let meant = match source.pinned {
                // Whatever kernel it is, its BTF is this.
                Some(_) => String::new(),
                None => meant(session, &source)?,
            };
            (format!("the BTF of {}", source.name), format!("{} {meant}", source.name))
        }
        None if arch != Arch::host() => return Err(no_foreign_btf(project, arch).into()),
        None if !fs::exists(&Path::new(vmlinux::RUNNING).join("vmlinux")) => {
            return Err(no_running_btf(project).into());
        }
        // Its bytes need not be looked at: the kernel says who it is.
        None => ("the running kernel's BTF".to_owned(), running_kernel()),
    };
    let key = format!("{identity} {pinned} {skep:?}");
    let inputs = source.file.iter().cloned().collect();
    let loader =
        Arc::new(Loader { session, source, outline: OnceLock::new(), loaded: Mutex::default() });
    let pruning = (setting.value != Vmlinux::Full).then(|| {
        let (loader, key) = (Arc::clone(&loader), key.clone());
        let prune = move |files: &_, definitions: &[String], known: Option<&str>| {
            let words = vmlinux::words(files, definitions)?;
            let identity = loader.identity()?;
            let words_key = words.key();
            let parts = [key.as_bytes(), identity.as_bytes(), &words_key];
            let id = Digest::of_parts(parts).to_string();
            if known == Some(&*id) {
                return Ok(None);
            }
            let outline = loader.outline();
            let text = match outline.and_then(|it| crate::vmlinux::prune_outline(it, &words)) {
                Some(text) => text,
                None => crate::vmlinux::prune(&*loader.btf()?, &words)?,
            };
            Ok(Some(PrunedHeader { words: id, text }))
        };
        Box::new(prune) as Box<crate::build::Prune<'a>>
    });
    let make = move || {
        let btf = loader.btf()?;
        Ok(crate::vmlinux::header(&btf, &crate::vmlinux::Request::default())?)
    };
    Ok(Header { from, key, inputs, make: Box::new(make), prune: pruning })
}

/// Reads the BTF once for all headers of a build, and all of it only if a
/// header needs that.
struct Loader<'a> {
    session: &'a Session,
    source: Source,
    /// Nothing if the BTF has to be unpacked, or is not in order.
    outline: OnceLock<Option<Outline>>,
    loaded: Mutex<Option<Arc<Btf>>>,
}

impl Loader<'_> {
    fn outline(&self) -> Option<&Outline> {
        let outline = self.outline.get_or_init(|| {
            self.detail();
            let outline = vmlinux::outline(self.session, Some(&self.source.from()))?;
            // Reading the whole says what is wrong.
            self.source.check(self.session, outline.bytes()).is_none().then_some(outline)
        });
        outline.as_ref()
    }

    fn detail(&self) {
        let text = format!("reading the BTF of {}", self.source.name);
        self.session.sink.emit(Event::Detail(text));
    }

    fn btf(&self) -> Result<Arc<Btf>, Failure> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(btf) = &*loaded {
            return Ok(Arc::clone(btf));
        }
        if !matches!(self.outline.get(), Some(Some(_))) {
            self.detail();
        }
        let btf = Arc::new(self.source.read(self.session)?);
        if let Some(wrong) = self.source.check(self.session, btf.bytes()) {
            return Err(wrong.into());
        }
        *loaded = Some(Arc::clone(&btf));
        Ok(btf)
    }

    /// Stands for the bytes of a file; what is not one has an identity that
    /// is known before anything is read.
    fn identity(&self) -> Result<String, Failure> {
        match &self.source.file {
            None => Ok(String::new()),
            Some(_) => Ok(match self.outline() {
                Some(outline) => Digest::of(outline.bytes()).to_string(),
                None => Digest::of(self.btf()?.bytes()).to_string(),
            }),
        }
    }
}

/// Which kernel a reference means now: another one after an update, whose
/// headers are other ones too.
fn meant(session: &Session, source: &Source) -> Result<String, Failure> {
    let reference = Reference::parse(&source.name, |_| false)?;
    let kernel = super::kernel::store(session).get(&reference, &session.cancel, &*session.sink)?;
    Ok(kernel.key().to_owned())
}

/// Who the running kernel is: the hash of its ELF notes, which have its build
/// id, else of its version.
fn running_kernel() -> String {
    let said = ["/sys/kernel/notes", "/proc/version"].map(Path::new).map(fs::read);
    let said = said.into_iter().find_map(Result::ok).unwrap_or_default();
    Digest::of(&said).to_string()
}

fn no_such_file(
    session: &Session,
    project: &Project,
    setting: &Located<Vmlinux>,
    path: &Path,
) -> Diagnostic {
    let bpf = &project.manifest.bpf;
    let (key, place) = match (&setting.value, &bpf.btf) {
        (Vmlinux::Path(_), _) | (_, None) => ("vmlinux", project.span(setting)),
        (_, Some(btf)) => ("btf", project.span(&btf.from)),
    };
    let message = format!("`{key}` names {}, which is no file", session.display(path).display());
    let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
    let mistake = match place {
        Some(span) => mistake.at(span),
        None => mistake,
    };
    mistake.help(match key {
        "btf" => {
            "write a kernel such as `debian/trixie`, or the path of BTF or of an ELF file with BTF"
        }
        _ => {
            "write `pruned`, `full`, `none`, a kernel such as `debian/trixie`, or the path of BTF, \
             an ELF file with BTF or a header"
        }
    })
}

fn no_foreign_btf(project: &Project, arch: Arch) -> Diagnostic {
    let message = format!(
        "a source includes vmlinux.h, and for {} it cannot be made from this machine's kernel",
        arch.as_str()
    );
    Diagnostic::new(codes::KERNEL_BTF_MISSING, Origin::Command, message).help(format!(
        "name BTF of such a kernel in {}: `vmlinux = \"PATH\"` in [bpf] takes raw BTF, a vmlinux \
         with BTF, or a header",
        project.manifest_name()
    ))
}

fn no_running_btf(project: &Project) -> Diagnostic {
    let message = "a source includes vmlinux.h, and the running kernel has no BTF to make it from";
    Diagnostic::new(codes::KERNEL_BTF_MISSING, Origin::Command, message)
        .help(format!(
            "name another kernel's in {}: `vmlinux = \"debian/trixie\"` in [bpf] fetches one, a path \
             names raw BTF, a vmlinux with BTF, or a header",
            project.manifest_name()
        ))
        .help("or put a vmlinux.h of your own into an include directory")
}
