//! Kernels to verify on: what users call them, where they come from, and the
//! store that keeps them.
//!
//! A [`Reference`] names a kernel; [`Store::get`] turns it into a [`Kernel`],
//! fetching it through the machine's own `apt-get` or `dnf` if it has to. One
//! file a source: [`image`] knows kernel images, `package` and `rpm` packages,
//! `apt` and `dnf` distributions' archives; `modules` knows what a kernel's
//! modules have.

mod apt;
mod configuration;
mod dnf;
pub mod image;
mod lzo;
mod modules;
mod package;
mod reference;
mod rpm;
mod store;

pub use apt::{Apt, Available, DEBIAN_MIRROR, Mirrors, UBUNTU_MIRROR};
pub use modules::Module;
pub use package::{Package, PackageError, looks_like_package, read as read_package};
pub use reference::{Distribution, Reference};
pub use store::{Kernel, Store, Stored};

use crate::base::{fs, process};
use crate::diagnostics::{Diagnostic, Origin, codes};
use std::fmt;
use std::path::PathBuf;

/// Why a kernel cannot be had.
#[derive(Debug)]
pub enum Error {
    /// The reference is not one skep understands.
    Reference {
        /// What was written.
        text: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The reference is understood, but there is no such kernel.
    NotFound {
        /// The reference.
        reference: String,
        /// Why not.
        reason: String,
        /// The way out, if there is one.
        help: Option<String>,
    },
    /// The kernel would have to be fetched, which was forbidden.
    Offline {
        /// The reference.
        reference: String,
    },
    /// The file is not a kernel image, or a damaged one.
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: image::ImageError,
    },
    /// The package holds no kernel.
    NoKernel {
        /// The package or directory.
        path: PathBuf,
        /// The package's name, where it has one.
        package: String,
    },
    /// The package is damaged.
    Package {
        /// The package.
        path: PathBuf,
        /// What is wrong with it.
        source: PackageError,
    },
    /// apt-get or dnf could not fetch it.
    Download {
        /// What was to be fetched.
        what: String,
        /// The last lines that they wrote.
        tail: String,
    },
    /// The program that fetches it cannot be used.
    NoTool {
        /// Why not.
        reason: String,
    },
    /// The machine's sources name no mirror of a distribution.
    NoMirror {
        /// Whose.
        distribution: Distribution,
        /// Where apt's sources are.
        etc: PathBuf,
        /// The variable of the environment that names a mirror.
        variable: &'static str,
    },
    /// The exact kernel that was asked for is not in the archive any more.
    Gone {
        /// The reference.
        reference: String,
        /// The package.
        package: String,
        /// Its version.
        version: String,
    },
    /// What a reference means now is not the kernel it is pinned to.
    Drift {
        /// The reference.
        reference: String,
        /// What it is pinned to.
        pinned: String,
        /// What it is.
        found: String,
    },
    /// A file that was stored is not what was stored.
    Hash {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    File(fs::Error),
    /// The user asked to stop.
    Cancelled,
}

impl From<fs::Error> for Error {
    fn from(error: fs::Error) -> Self {
        Self::File(error)
    }
}

impl From<process::Error> for Error {
    fn from(error: process::Error) -> Self {
        match error {
            process::Error::Cancelled => Self::Cancelled,
            other => Self::Download { what: "a package".into(), tail: other.to_string() },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference { text, .. } => write!(f, "`{text}` does not name a kernel"),
            Self::NotFound { reference, reason, .. } => {
                write!(f, "there is no kernel `{reference}`: {reason}")
            }
            Self::Offline { reference } => {
                write!(
                    f,
                    "the kernel `{reference}` is not stored, and --offline forbids to fetch it"
                )
            }
            Self::Image { path, source } => {
                write!(f, "{} is not a kernel that can be booted: {source}", path.display())
            }
            Self::NoKernel { path, package } if package.is_empty() => {
                write!(f, "there is no kernel in {}", path.display())
            }
            Self::NoKernel { path, package } => {
                write!(f, "there is no kernel in {} (package {package})", path.display())
            }
            Self::Package { path, source } => {
                write!(f, "{} is a damaged package: {source}", path.display())
            }
            Self::Download { what, .. } => write!(f, "{what} could not be fetched"),
            Self::NoTool { reason } => f.write_str(reason),
            Self::NoMirror { distribution, etc, .. } => write!(
                f,
                "the apt sources of this machine ({}) name no mirror of {}",
                etc.display(),
                distribution.title()
            ),
            Self::Gone { reference, package, version } => write!(
                f,
                "{reference} is pinned to {package} {version}, which its archive does not have any more"
            ),
            Self::Drift { reference, pinned, found } => {
                write!(f, "{reference} is pinned to {pinned}, but it is {found}")
            }
            Self::Hash { path } => {
                write!(f, "{} is not what was stored there", path.display())
            }
            Self::File(error) => error.fmt(f),
            Self::Cancelled => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let new = |code| Self::new(code, Origin::Vm, message);
        match error {
            Error::Reference { nearest, .. } => {
                let forms = "a reference is `host`, `debian/SUITE`, `ubuntu/SUITE`, `fedora/N`, a \
                             version like `6.12`, or a path to a kernel image, a .deb, an .rpm or \
                             a directory that holds one";
                let diagnostic = new(codes::KERNEL_REFERENCE);
                match nearest {
                    Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
                    None => diagnostic,
                }
                .note(forms)
            }
            Error::NotFound { help, .. } => {
                let diagnostic = new(codes::KERNEL_NOT_FOUND);
                match help {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
            }
            Error::Offline { reference } => new(codes::KERNEL_NOT_FOUND)
                .help(format!("run `skep kernel add {reference}` once without --offline")),
            Error::Image { path, source: image::ImageError::Truncated { .. } } => {
                new(codes::KERNEL_IMAGE_CORRUPT).in_file(path).help("copy or download it again")
            }
            Error::Image { path, .. } => new(codes::KERNEL_IMAGE_CORRUPT).in_file(path),
            Error::NoKernel { path, .. } => new(codes::PACKAGE_WITHOUT_KERNEL)
                .in_file(path)
                .help("Debian's kernels are in packages named linux-image-VERSION or, from 7.x on, linux-binary-VERSION"),
            Error::Package { path, .. } => {
                new(codes::PACKAGE_CORRUPT).in_file(path).help("copy or download it again")
            }
            Error::Download { tail, .. } => {
                let diagnostic = new(codes::DOWNLOAD_FAILED);
                if tail.is_empty() {
                    diagnostic
                } else {
                    diagnostic.note(format!("the package manager said:\n{tail}"))
                }
                .help("check the network, or name a kernel image or a package by its path")
            }
            Error::NoTool { .. } => new(codes::DOWNLOAD_FAILED)
                .help("name a kernel image or a package by its path, or use `host`"),
            Error::NoMirror { distribution, variable, .. } => {
                let keyring = format!("{}-archive-keyring", distribution.as_str());
                new(codes::DOWNLOAD_FAILED)
                    .help(format!(
                        "set {variable} to a mirror's address (or `[signed-by=KEYRING] ADDRESS`); the \
                         package {keyring} has the keys"
                    ))
                    .help("or name a kernel image or a package by its path, or use `host`")
            }
            Error::Gone { .. } | Error::Drift { .. } => new(codes::KERNEL_DRIFT)
                .help("`skep kernel update` pins the newest one; commit Skep.lock afterwards"),
            Error::Hash { .. } => new(codes::KERNEL_IMAGE_CORRUPT)
                .help("remove the kernel with `skep kernel remove` and add it again"),
            Error::File(error) => error.into(),
            Error::Cancelled => new(codes::INTERRUPTED),
        }
    }
}
