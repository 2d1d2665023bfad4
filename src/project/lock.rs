//! `Skep.lock`: what a project is pinned to, written by skep and kept under
//! version control.
//!
//! ```toml
//! version = 1
//!
//! [btf]
//! reference = "debian/bookworm"
//! sha256 = "…"
//!
//! [[kernel]]
//! reference = "debian/bookworm"
//! release = "6.1.0-50-cloud-amd64"
//! package = "linux-image-6.1.0-50-cloud-amd64"
//! version = "6.1.176-1"
//! sha256 = "…"
//! package-sha256 = "…"
//! ```
//! Tables that this version does not know are kept as they are.

use super::Project;
use crate::base::digest::Digest;
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use std::path::PathBuf;
use toml::{Table, Value};

/// Its name, beside the manifest.
pub const LOCK: &str = "Skep.lock";

/// The newest form this version writes and reads.
const VERSION: i64 = 1;

const HEADING: &str = "# Written by skep. It belongs under version control.\n\n";

/// The BTF whose types a project was written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedBtf {
    /// Where it came from: a kernel's reference, or a file relative to the
    /// project.
    pub reference: String,
    /// The hash of its bytes.
    pub sha256: Digest,
}

/// A kernel of the project's matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedKernel {
    /// As the manifest names it, in its shortest form.
    pub reference: String,
    /// As `uname -r` prints it.
    pub release: String,
    /// The package with the image; empty if it came in none.
    pub package: String,
    /// The package's version.
    pub version: String,
    /// The hash of the image.
    pub sha256: Digest,
    /// The hash of the package, if it came in one.
    pub package_sha256: Option<Digest>,
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    table: Table,
}

impl Lock {
    /// Where a project's lock lies.
    pub fn path(project: &Project) -> PathBuf {
        project.root.join(LOCK)
    }

    /// Reads a project's lock; an empty one if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is not one that this version understands.
    pub fn read(project: &Project) -> Result<Self, Failure> {
        let path = Self::path(project);
        let Some(bytes) = fs::read_if_exists(&path)? else { return Ok(Self::default()) };
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text).map_err(|what| {
            let message = format!("{LOCK} cannot be used: {what}");
            Diagnostic::new(codes::LOCK, Origin::Manifest, message)
                .in_file(&path)
                .help("take it from version control again, or remove it")
                .into()
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            error.message().lines().next().unwrap_or_default().to_owned()
        })?;
        match table.get("version").map(Value::as_integer) {
            Some(Some(VERSION)) => {}
            Some(Some(version)) => return Err(format!("it has version {version}")),
            _ => return Err("it has no version".to_owned()),
        }
        let lock = Self { table };
        if lock.table.contains_key("btf") && lock.btf().is_none() {
            return Err("`[btf]` needs `reference` and `sha256`".to_owned());
        }
        if lock.kernels().is_none() {
            return Err("each `[[kernel]]` needs `reference`, `release` and `sha256`".to_owned());
        }
        Ok(lock)
    }

    /// The pinned kernels; nothing if the file has some that make no sense,
    /// which [`Lock::read`] does not let through.
    fn kernels(&self) -> Option<Vec<PinnedKernel>> {
        let Some(kernels) = self.table.get("kernel") else { return Some(Vec::new()) };
        let read = |kernel: &Value| {
            let text = |key: &str| kernel.get(key).and_then(Value::as_str);
            let owned = |key: &str| text(key).unwrap_or_default().to_owned();
            Some(PinnedKernel {
                reference: text("reference")?.to_owned(),
                release: text("release")?.to_owned(),
                package: owned("package"),
                version: owned("version"),
                sha256: text("sha256")?.parse().ok()?,
                package_sha256: match text("package-sha256") {
                    Some(digest) => Some(digest.parse().ok()?),
                    None => None,
                },
            })
        };
        kernels.as_array()?.iter().map(read).collect()
    }

    /// What a reference of the matrix is pinned to.
    pub fn kernel(&self, reference: &str) -> Option<PinnedKernel> {
        let kernels = self.kernels().unwrap_or_default();
        kernels.into_iter().find(|kernel| kernel.reference == reference)
    }

    /// Pins the kernels of a matrix, in its order, and no others.
    pub fn set_kernels(&mut self, kernels: &[PinnedKernel]) {
        let row = |kernel: &PinnedKernel| {
            let mut row = Table::new();
            let mut set = |key: &str, value: &str| {
                if !value.is_empty() {
                    row.insert(key.to_owned(), Value::String(value.to_owned()));
                }
            };
            set("reference", &kernel.reference);
            set("release", &kernel.release);
            set("package", &kernel.package);
            set("version", &kernel.version);
            set("sha256", &kernel.sha256.to_string());
            if let Some(digest) = kernel.package_sha256 {
                set("package-sha256", &digest.to_string());
            }
            Value::Table(row)
        };
        match kernels {
            [] => self.table.remove("kernel"),
            kernels => self
                .table
                .insert("kernel".to_owned(), Value::Array(kernels.iter().map(row).collect())),
        };
    }

    /// The pinned BTF.
    pub fn btf(&self) -> Option<PinnedBtf> {
        let btf = self.table.get("btf")?;
        let text = |key: &str| btf.get(key).and_then(Value::as_str);
        let sha256 = text("sha256")?.parse().ok()?;
        Some(PinnedBtf { reference: text("reference")?.to_owned(), sha256 })
    }

    /// Pins BTF.
    pub fn set_btf(&mut self, pinned: &PinnedBtf) {
        let mut btf = Table::new();
        btf.insert("reference".to_owned(), Value::String(pinned.reference.clone()));
        btf.insert("sha256".to_owned(), Value::String(pinned.sha256.to_string()));
        self.table.insert("btf".to_owned(), Value::Table(btf));
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut table = self.table.clone();
        table.insert("version".to_owned(), Value::Integer(VERSION));
        format!("{HEADING}{table}")
    }

    /// Writes it beside the project's manifest; says whether it changed.
    ///
    /// # Errors
    /// If it cannot be written, or must not change (`locked`).
    pub fn write(&self, project: &Project, locked: bool) -> Result<bool, Failure> {
        let path = Self::path(project);
        let text = self.text();
        if locked && fs::read_if_exists(&path)?.as_deref() != Some(text.as_bytes()) {
            let message = format!("{LOCK} would have to change, and --locked forbids it");
            let finding = Diagnostic::new(codes::LOCK, Origin::Manifest, message);
            return Err(finding
                .help("run the command without --locked, and commit the file")
                .into());
        }
        Ok(fs::write_if_changed(&path, text.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_rest_is_kept() {
        let mut lock = Lock::parse("version = 1\n[other.six]\nname = \"6.12\"\n").unwrap();
        assert_eq!(lock.btf(), None);
        let pinned = PinnedBtf { reference: "debian/sid".into(), sha256: Digest::of(b"x") };
        lock.set_btf(&pinned);
        let again = Lock::parse(&lock.text()).unwrap();
        assert_eq!(again.btf(), Some(pinned));
        assert!(again.text().contains("[other.six]\nname = \"6.12\"\n"), "{}", again.text());
        assert_eq!(again, lock);
    }

    #[test]
    fn kernels_are_pinned_in_order_and_forgotten() {
        let mut lock = Lock::default();
        let kernel = |reference: &str, version: &str| PinnedKernel {
            reference: reference.into(),
            release: "6.1.0-50".into(),
            package: if version.is_empty() { String::new() } else { "linux-image".into() },
            version: version.into(),
            sha256: Digest::of(reference.as_bytes()),
            package_sha256: (!version.is_empty()).then(|| Digest::of(b"package")),
        };
        let kernels = [kernel("debian/sid", "7.2-1"), kernel("boot/vmlinuz", "")];
        lock.set_kernels(&kernels);
        let mut again = Lock::parse(&lock.text()).unwrap();
        assert_eq!(again.kernels().unwrap(), kernels);
        assert_eq!(again.kernel("boot/vmlinuz").as_ref(), Some(&kernels[1]));
        assert_eq!(again.kernel("debian/trixie"), None);
        again.set_kernels(&[]);
        assert!(!again.text().contains("kernel"), "{}", again.text());
    }

    #[test]
    fn what_it_does_not_understand_is_said() {
        let said = |text: &str| Lock::parse(text).unwrap_err();
        assert_eq!(said("version = 2"), "it has version 2");
        assert_eq!(said("[btf]"), "it has no version");
        assert_eq!(
            said("version = 1\n[btf]\nreference = \"a\"\nsha256 = \"12\""),
            "`[btf]` needs `reference` and `sha256`"
        );
        let kernels = "each `[[kernel]]` needs `reference`, `release` and `sha256`";
        assert_eq!(said("version = 1\n[[kernel]]\nreference = \"6.1\""), kernels);
        assert_eq!(said("version = 1\nkernel = 3"), kernels);
        assert!(!said("version = ").is_empty());
    }
}
