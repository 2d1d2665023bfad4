//! `skep vmlinux`: BTF from wherever it is, a header from the BTF.

use super::Session;
use crate::base::fs;
use crate::btf::{Btf, Data, Kind, Outline};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::events::Event;
use crate::kernels::{Kernel, Package, Reference, image, looks_like_package, read_package};
use crate::vmlinux::{self, Kfuncs, Scope, Words};
use crate::{analysis, btf, build, elf, kernels};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the kernel lays its own BTF, and beside it that of its modules.
pub const RUNNING: &str = "/sys/kernel/btf";

/// What a header is made of.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the BTF is: a file of any kind that holds some, or a kernel's
    /// reference (`debian/trixie`); the running kernel's if nowhere is said.
    pub from: Option<PathBuf>,
    /// Modules whose types are wanted too: a name below `/sys/kernel/btf`, or
    /// a path.
    pub modules: Vec<String>,
    /// The names of the types that are wanted; all if empty.
    pub types: Vec<String>,
    /// Sources: only what they use is wanted. None if empty.
    pub sources: Vec<PathBuf>,
    /// Where the sources' own headers are looked for.
    pub include: Vec<PathBuf>,
    /// The file to be written.
    pub output: Option<PathBuf>,
}

/// Reads the BTF and writes the header: into the file, or else it is returned.
pub fn run(session: &Session, request: &Request) -> Result<Option<Vec<u8>>, Failure> {
    let output = request.output.as_ref().map(|path| session.absolute(path));
    if !request.sources.is_empty() {
        let include: Vec<_> = request.include.iter().map(|dir| session.absolute(dir)).collect();
        let mut files = BTreeSet::new();
        for source in &request.sources {
            let source = session.absolute(source);
            // What a compiler would look for in vain is the compiler's to
            // say; a source that is not there is ours.
            fs::metadata(&source)?;
            files.extend(build::includes::follow([source], &include).files);
        }
        let text = pruned(session, request, &words(&files, &[])?)?;
        return Ok(match output {
            Some(path) => fs::write_atomic(&path, &text).map(|()| None)?,
            None => Some(text),
        });
    }
    let btf = load(session, request)?;
    let ids = find(&btf, &request.types)?;
    let request = if request.types.is_empty() {
        vmlinux::Request::default()
    } else {
        vmlinux::Request { scope: Scope::Only(&ids), kfuncs: Kfuncs::None }
    };
    let Some(path) = output else { return Ok(Some(vmlinux::header(&btf, &request)?)) };
    let mut file = fs::Pending::new(&path)?;
    let mut written = Ok(());
    vmlinux::header_to(&btf, &request, &mut |part| {
        if written.is_ok() {
            written = file.write(part);
        }
    })?;
    written?;
    file.finish()?;
    Ok(None)
}

/// What some words lead to in the BTF that a request names.
fn pruned(session: &Session, request: &Request, words: &Words) -> Result<Vec<u8>, Failure> {
    if request.modules.is_empty()
        && let Some(outline) = outline(session, request.from.as_deref())
        && let Some(text) = vmlinux::prune_outline(&outline, words)
    {
        return Ok(text);
    }
    Ok(vmlinux::prune(&*load(session, request)?, words)?)
}

/// The words of a project's files and of its definitions (`NAME=VALUE`), with
/// those of libbpf's headers that these use.
pub fn words(files: &BTreeSet<PathBuf>, defines: &[String]) -> Result<Words, Failure> {
    let mut words = Words::new();
    let mut helpers = Vec::new();
    for file in files {
        let text = fs::read(file)?;
        if file.ends_with(HELPER_DEFS) { helpers.push(text) } else { words.add(&text) }
    }
    for define in defines {
        words.add(define.as_bytes());
    }
    for header in build::libbpf::HEADERS {
        match header.name.ends_with(HELPER_DEFS) {
            true => helpers.push(header.text.as_bytes().to_vec()),
            false => words.add_library(header.text.as_bytes()),
        }
    }
    for text in helpers {
        words.add_helpers(&text);
    }
    Ok(words)
}

/// libbpf's list of helpers, one declaration each.
const HELPER_DEFS: &str = "bpf_helper_defs.h";

/// The BTF that a request names, its modules' included.
pub fn load(session: &Session, request: &Request) -> Result<Arc<Btf>, Failure> {
    let base = Arc::new(kernel(session, request.from.as_deref())?);
    let mut parts = Vec::new();
    for module in &request.modules {
        parts.push(file(session, &self::module(session, module), Some(base.clone()))?);
    }
    match parts.is_empty() {
        true => Ok(base),
        false => Ok(Arc::new(Btf::join(&base, &parts)?)),
    }
}

/// The file of a module's BTF, which is named by the module's name or a path.
pub(super) fn module(session: &Session, name: &str) -> PathBuf {
    match name.contains(['/', '.']) {
        true => session.absolute(name),
        false => Path::new(RUNNING).join(name),
    }
}

/// What a path or text names that is said to have BTF.
enum Place {
    /// A file of any kind.
    File(PathBuf),
    /// A kernel in the store.
    Stored(Kernel),
}

impl Place {
    /// The running kernel's if none is named.
    fn of(session: &Session, from: Option<&Path>) -> Result<Self, Failure> {
        let from = match from {
            Some(from) if from != Path::new("host") => from,
            _ => return Ok(Self::File(Path::new(RUNNING).join("vmlinux"))),
        };
        let path = session.absolute(from);
        if !fs::exists(&path)
            && let Some(text) = from.to_str()
            && let Ok(reference) = Reference::parse(text, |_| false)
            && !matches!(reference, Reference::File(_))
        {
            return Ok(Self::Stored(super::kernel::named(session, text)?));
        }
        Ok(Self::File(path))
    }
}

/// The BTF that a path or text names: a file of any kind that may hold some, or a
/// kernel's reference; the running kernel's if none is named.
pub fn kernel(session: &Session, from: Option<&Path>) -> Result<Btf, Failure> {
    match Place::of(session, from)? {
        Place::File(path) => file(session, &path, None),
        Place::Stored(kernel) => stored(session, &kernel),
    }
}

/// The outline of the BTF that [`kernel`] reads, if it lies there as it is.
/// Nothing is said about what is wrong: [`kernel`] says it.
pub fn outline(session: &Session, from: Option<&Path>) -> Option<Outline> {
    let data: Data = match Place::of(session, from).ok()? {
        Place::File(path) if path.starts_with(RUNNING) => match fs::map(&path) {
            Ok(mapped) => mapped.into(),
            Err(_) => fs::read(&path).ok()?.into(),
        },
        Place::File(path) => fs::read(&path).ok()?.into(),
        Place::Stored(kernel) => fs::map(&kept(session, &kernel)).ok()?.into(),
    };
    Outline::parse(data).ok()
}

/// Where the cache has the BTF of a kernel in the store.
fn kept(session: &Session, kernel: &Kernel) -> PathBuf {
    session.cache.join("btf").join(format!("{}.btf", kernel.key()))
}

/// The modules that came with a kernel of the store. Of others it is not known
/// what modules there are: of files of BTF, and of the running kernel, whose
/// modules come and go.
pub(super) struct Modules {
    stored: Option<Kernel>,
    kernel: Arc<Btf>,
    /// What was read: a module is unpacked once, however many programs ask.
    read: Mutex<BTreeMap<String, Option<Arc<Btf>>>>,
}

impl Modules {
    /// Those of the kernel that a path or text names, whose BTF is `kernel`.
    pub fn of(session: &Session, from: &Path, kernel: &Arc<Btf>) -> Self {
        let stored = in_store(session, from).filter(Kernel::has_modules);
        Self { stored, kernel: Arc::clone(kernel), read: Mutex::default() }
    }
}

impl analysis::kernel::Modules for Modules {
    fn with(&self, name: &str) -> Option<Vec<Arc<Btf>>> {
        let names = self.stored.as_ref()?.modules_with(&[name].into()).ok()?;
        names.iter().map(|module| self.btf(module)).collect()
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(self.stored.as_ref()?.modules().ok()?.into_keys().collect())
    }

    fn btf(&self, module: &str) -> Option<Arc<Btf>> {
        let stored = self.stored.as_ref()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.get(module) {
            return known.clone();
        }
        let btf = stored.module_btf(module, &self.kernel).ok().flatten().map(Arc::new);
        read.insert(module.to_owned(), btf.clone());
        btf
    }
}

/// The kernel that a path or text names, if it is one of the store's.
fn in_store(session: &Session, from: &Path) -> Option<Kernel> {
    if from == Path::new("host") {
        return None;
    }
    let path = session.absolute(from);
    if !fs::exists(&path) {
        return super::kernel::named(session, from.to_str()?).ok();
    }
    let bytes = fs::map(&path).ok()?;
    if is_elf(&bytes) || !(looks_like_package(&bytes) || image::looks_like_image(&bytes)) {
        return None;
    }
    let reference = Reference::File(path);
    super::kernel::store(session).get(&reference, &session.cancel, &*session.sink).ok()
}

/// The BTF of a kernel in the store, kept in the cache because unpacking an
/// image takes longer than all the rest.
pub fn stored(session: &Session, kernel: &Kernel) -> Result<Btf, Failure> {
    let path = kept(session, kernel);
    // A damaged file in the cache is replaced.
    if fs::exists(&path)
        && let Ok(btf) = Btf::parse(fs::map(&path)?)
    {
        return Ok(btf);
    }
    let vmlinux = kernel.vmlinux()?;
    let section = in_kernel(&vmlinux).map_err(|what| *what)?;
    fs::write_atomic(&path, section)?;
    Ok(Btf::parse(section)?)
}

/// The BTF in a kernel: its section, or where there are no sections, what
/// looks like a kernel's BTF.
fn in_kernel(kernel: &[u8]) -> Result<&[u8], Box<Diagnostic>> {
    let by_section = if is_elf(kernel) { section(kernel) } else { Err(Box::new(no_kernel_btf())) };
    by_section.or_else(|error| {
        // Every kernel has it, and none of the BPF programs in one.
        let is_kernels = |btf: &Btf| btf.find(Kind::Struct, "task_struct").is_some();
        Btf::search(kernel, is_kernels).map(|place| &kernel[place]).ok_or(error)
    })
}

fn no_kernel_btf() -> Diagnostic {
    let message = "there is no BTF in the kernel image";
    Diagnostic::new(codes::BTF_MISSING, Origin::Object, message)
        .help("take a kernel built with CONFIG_DEBUG_INFO_BTF")
}

/// The BTF in a kernel image of any machine.
fn in_image(session: &Session, path: &Path, image: &[u8]) -> Result<Btf, Failure> {
    let place = |diagnostic: Diagnostic| diagnostic.in_file(session.display(path));
    let kernel = image::unpacked(image).map_err(|error| {
        let message = format!("the kernel image cannot be unpacked: {error}");
        place(Diagnostic::new(codes::BTF_CORRUPT, Origin::Object, message))
    })?;
    let btf = in_kernel(&kernel).map_err(|diagnostic| place(*diagnostic))?;
    Btf::parse(btf).map_err(|error| place(error.into()).into())
}

/// Reads BTF from a file of any kind that may hold some; `base` is what split
/// BTF continues.
pub fn file(session: &Session, path: &Path, base: Option<Arc<Btf>>) -> Result<Btf, Failure> {
    if fs::is_dir(path) {
        let message = format!("{} is a directory", session.display(path).display());
        return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
            .help(WHAT_TO_NAME)
            .into());
    }
    // The kernel's own is as it is until the next boot, and need not be copied.
    // Kernels before 6.16 have it read.
    if path.starts_with(RUNNING)
        && let Ok(mapped) = fs::map(path)
    {
        return parse(mapped.into(), base)
            .map_err(|diagnostic| diagnostic.in_file(session.display(path)).into());
    }
    let bytes = match fs::read(path) {
        Err(error)
            if error.source.kind() == std::io::ErrorKind::NotFound && path.starts_with(RUNNING) =>
        {
            return Err(no_running_btf(path).into());
        }
        result => result?,
    };
    if looks_like_package(&bytes) || (image::looks_like_image(&bytes) && !is_elf(&bytes)) {
        let reference = Reference::File(path.to_owned());
        let kernel = super::kernel::store(session).get(&reference, &session.cancel, &*session.sink);
        // A kernel of another machine cannot be booted, but has BTF.
        if is_foreign(&kernel)
            && let Ok(Package { image: Some(image), .. }) = read_package(&bytes)
        {
            return in_image(session, path, &image);
        }
        return stored(session, &kernel?);
    }
    // Distributions compress modules and debug files.
    let unpacked = image::decompressed(&bytes).map_err(|error| {
        let message = format!("the file cannot be unpacked: {error}");
        Diagnostic::new(codes::BTF_CORRUPT, Origin::Object, message).in_file(session.display(path))
    })?;
    let bytes = unpacked.unwrap_or(bytes);
    if image::foreign(&bytes).is_some() {
        return in_image(session, path, &bytes);
    }
    let bytes = match is_elf(&bytes).then(|| detached(path, &bytes)).flatten() {
        Some(beside) => fs::read(&beside)?,
        None => bytes,
    };
    if base.is_none() && is_distilled(&bytes) {
        let message = "the BTF is a module's, and what it has of the kernel's types is little more \
                       than their names; name the kernel's BTF and the file with `--module`";
        session.sink.emit(Event::Note(message.to_owned()));
    }
    parse(bytes.into(), base).map_err(|diagnostic| diagnostic.in_file(session.display(path)).into())
}

/// Whether an ELF file comes with a distilled base of its BTF.
fn is_distilled(bytes: &[u8]) -> bool {
    is_elf(bytes) && matches!(elf::section(bytes, DISTILLED), Ok(Some(_)))
}

/// The section in which a module that was built apart from its kernel has what
/// it needs of the kernel's BTF.
const DISTILLED: &str = ".BTF.base";

/// Whether a kernel was refused for its machine.
pub(super) fn is_foreign(kernel: &Result<Kernel, kernels::Error>) -> bool {
    matches!(kernel, Err(kernels::Error::Image { source: image::ImageError::Architecture(_), .. }))
}

/// The file with the BTF of an ELF file that has none in it, if one lies
/// beside it: `vmlinux.btf` or `vmlinux.BTF`.
fn detached(path: &Path, bytes: &[u8]) -> Option<PathBuf> {
    if !matches!(elf::section(bytes, ".BTF"), Ok(None)) {
        return None;
    }
    let name = path.file_name()?.to_string_lossy().into_owned();
    let beside = |ending: &str| path.with_file_name(format!("{name}.{ending}"));
    ["btf", "BTF"].map(beside).into_iter().find(|path| fs::is_file(path))
}

const WHAT_TO_NAME: &str = "name raw BTF such as /sys/kernel/btf/vmlinux, an ELF file, a kernel image or its package (.deb, .rpm)";

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The `.BTF` section of an ELF file.
fn section(bytes: &[u8]) -> Result<&[u8], Box<Diagnostic>> {
    match elf::section(bytes, ".BTF").map_err(|error| Box::new(Diagnostic::from(error)))? {
        Some(section) => Ok(section),
        None => {
            let message = "the ELF file has no .BTF section";
            Err(Box::new(
                Diagnostic::new(codes::BTF_MISSING, Origin::Object, message)
                    .help("compile with `-g`, or take a kernel built with CONFIG_DEBUG_INFO_BTF"),
            ))
        }
    }
}

/// Reads BTF from the bytes of an ELF file or of raw BTF.
fn parse(bytes: Data, base: Option<Arc<Btf>>) -> Result<Btf, Box<Diagnostic>> {
    let result = match is_elf(&bytes).then(|| elf::section(&bytes, DISTILLED)) {
        Some(Ok(Some(distilled))) => {
            Btf::parse_distilled(section(&bytes)?, distilled, base.as_ref())
        }
        is_elf => {
            let data = if is_elf.is_some() { section(&bytes)?.into() } else { bytes };
            match base {
                Some(base) => Btf::parse_split(data, base),
                None => Btf::parse(data),
            }
        }
    };
    result.map_err(|error| {
        Box::new(match error {
            btf::Error::Empty => Diagnostic::from(error).help(WHAT_TO_NAME),
            btf::Error::NotBtf => {
                let message = "the file is no BTF, no ELF file and no kernel image";
                Diagnostic::new(codes::NOT_BTF, Origin::Object, message).help(WHAT_TO_NAME)
            }
            error => error.into(),
        })
    })
}

fn no_running_btf(path: &Path) -> Diagnostic {
    let is_kernel = path.ends_with("vmlinux");
    let message = match is_kernel {
        true => "the running kernel has no BTF".to_owned(),
        false => format!("the running kernel has no BTF at {}", path.display()),
    };
    Diagnostic::new(codes::BTF_MISSING, Origin::Object, message).help(match is_kernel {
        true => "name another kernel's with `--from`",
        false => "load the module first, or name its file",
    })
}

/// The types with these names, each name with all its types.
fn find(btf: &Btf, names: &[String]) -> Result<Vec<btf::TypeId>, Failure> {
    let mut ids = Vec::new();
    for name in names {
        let name = name
            .trim_start_matches("struct ")
            .trim_start_matches("union ")
            .trim_start_matches("enum ")
            .trim();
        let before = ids.len();
        ids.extend(btf.named(name).filter(|id| is_written(btf.kind(*id))));
        if ids.len() == before {
            return Err(no_such_type(btf, name).into());
        }
    }
    Ok(ids)
}

/// Whether a header has types of a kind.
fn is_written(kind: Kind) -> bool {
    kind.is_composite() || kind.is_enum() || kind == Kind::Typedef
}

pub(super) fn no_such_type(btf: &Btf, name: &str) -> Diagnostic {
    let message = format!("there is no type `{name}` in the BTF");
    let diagnostic = Diagnostic::new(codes::NO_SUCH_TYPE, Origin::Object, message);
    let nearest = btf
        .ids()
        .filter(|id| is_written(btf.kind(*id)))
        .map(|id| btf.name(id))
        .filter(|known| !known.is_empty() && known.len().abs_diff(name.len()) <= 3)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min();
    match nearest {
        Some((distance, known)) if distance <= 3 => {
            diagnostic.help(format!("did you mean `{known}`?"))
        }
        _ => diagnostic,
    }
}
