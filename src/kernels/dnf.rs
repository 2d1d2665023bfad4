//! Fedora's archive, through the machine's own `dnf`.
//!
//! As with apt, the network, mirrors and the check of what comes from them
//! are dnf's: it compares packages with its repositories' metadata. It gets a
//! cache of our own and needs no root.

use super::Error;
use super::apt::Fetched;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs, process};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest a download may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// The packages that a kernel is spread over: image and configuration, and
/// the modules that are on every machine.
const PACKAGES: [&str; 2] = ["kernel-core", "kernel-modules-core"];

/// Fetches the packages of a Fedora's newest kernel, or of an exact version,
/// into `scratch`, an empty directory that the caller removes.
pub(super) fn fetch(
    programs: &Programs,
    fedora: &str,
    exact: Option<&str>,
    scratch: &Path,
    cancel: &Cancel,
    said: &dyn Fn(String),
) -> Result<Fetched, Error> {
    let dnf = ["dnf", "dnf5"].iter().find_map(|name| programs.find(name));
    let dnf = dnf.ok_or_else(|| Error::NoTool {
        reason: "dnf is not installed, and Fedora's kernels are fetched with it".into(),
    })?;
    let names = PACKAGES.map(|name| match exact {
        Some(version) => format!("{name}-{version}.x86_64"),
        None => format!("{name}.x86_64"),
    });
    let download = scratch.join("download");
    fs::create_dir_all(&download)?;
    let what = names.join(" ");
    said(what.clone());
    let output = process::Command::new(dnf)
        .args(["-y", &format!("--releasever={fedora}"), "--forcearch=x86_64"])
        .arg(format!("--setopt=cachedir={}", scratch.join("cache").display()))
        .args(["--disablerepo=*", "--enablerepo=fedora", "--enablerepo=updates"])
        .args(["download", "--destdir"])
        .arg(&download)
        .args(&names)
        .env("LC_ALL", "C.UTF-8")
        .cwd(scratch)
        .timeout(LIMIT)
        .run(cancel)?;
    let files = fs::read_dir(&download)?;
    let is_rpm = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "rpm");
    let packages: Vec<PathBuf> = files.into_iter().filter(is_rpm).collect();
    if output.success() && !packages.is_empty() {
        return Ok(Fetched { packages });
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), output.stderr_text());
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(6)..].join("\n");
    Err(Error::Download { what, tail })
}
