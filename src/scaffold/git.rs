//! Templates from a git repository: a shallow copy of it, in a directory that
//! is removed when its value is dropped.

use super::Error;
use crate::base::programs::Programs;
use crate::base::{Cancel, fs, process};
use std::path::Path;
use std::time::Duration;

/// How long a repository may take to arrive.
const LIMIT: Duration = Duration::from_secs(300);
/// How much of what git said last is repeated.
const LAST_LINES: usize = 6;

/// Copies the newest commit of the repository at `url` into a new directory
/// below `parent`.
///
/// Nothing is asked for on the way: where git or ssh would, the copy fails.
///
/// # Errors
/// git is not installed, or could not copy it; cancelled.
pub fn fetch(
    url: &str,
    parent: &Path,
    programs: &Programs,
    cancel: &Cancel,
) -> Result<tempfile::TempDir, Error> {
    let failed =
        |reason: String, said: Vec<String>| Error::Git { url: without_password(url), reason, said };
    let git = programs.find("git").ok_or_else(|| Error::NoGit { url: without_password(url) })?;
    let dir = fs::temporary_dir(parent)?;
    let command = process::Command::new(git)
        // ssh asks on the terminal, whatever git is told.
        .args(["-c", "core.sshCommand=ssh -oBatchMode=yes"])
        .args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30"])
        .args(["-c", "advice.detachedHead=false", "-c", "core.hooksPath=/dev/null"])
        .args(["clone", "--quiet", "--depth=1", "--single-branch", "--no-tags"])
        .args(["--no-recurse-submodules", "--template=", "--"])
        .arg(url)
        .arg(dir.path())
        .env("GIT_TERMINAL_PROMPT", "0")
        // Answers every question with nothing, so that no window is opened.
        .env("GIT_ASKPASS", "true")
        .env("GCM_INTERACTIVE", "never")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C")
        .timeout(LIMIT);
    match command.run(cancel) {
        Ok(output) if output.success() => Ok(dir),
        Ok(output) => {
            let text = output.stderr_text();
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
            let said = last.map(|line| line.replace(url, &without_password(url))).collect();
            Err(failed(format!("git ended with {}", output.ending()), said))
        }
        Err(process::Error::Cancelled) => Err(Error::Cancelled),
        Err(error) => Err(failed(error.to_string(), Vec::new())),
    }
}

/// An address as it may be shown: `https://user:secret@host/` without the
/// secret.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("https://me:secret@host/x", "https://me@host/x"),
            ("https://host/a:b@c", "https://host/a:b@c"),
            ("git@host:x", "git@host:x"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
