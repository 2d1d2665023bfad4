//! Cargo as the builder of a project's user program: driven, and its messages
//! read (`cargo build --message-format json`).

use super::Error;
use crate::base::Cancel;
use crate::base::process::{self, Command};
use crate::diagnostics::{Diagnostic, Label, Origin, Span, codes};
use cargo_metadata::diagnostic::{Diagnostic as Rustc, DiagnosticLevel, DiagnosticSpan};
use cargo_metadata::{Message, TargetKind};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// How cargo is to build.
pub struct Request<'a> {
    /// The executable.
    pub cargo: &'a Path,
    /// The package's directory.
    pub root: &'a Path,
    /// Whether with the profile `release`.
    pub release: bool,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// Whether `Cargo.lock` must not change.
    pub locked: bool,
    /// How many pieces of work run at once.
    pub jobs: NonZeroUsize,
}

/// An executable that cargo has built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// The target's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Whether nothing had to be done for it.
    pub fresh: bool,
}

/// What cargo did and said.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// Cargo's messages as it wrote them, each a JSON object; without the one
    /// that ends them.
    pub messages: Vec<String>,
    /// The same for people: what the compiler says, and why cargo failed if
    /// it is not the compiler that says it.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether all was built.
    pub success: bool,
    /// The executables.
    pub executables: Vec<Executable>,
}

/// Has cargo build the package in a directory.
///
/// # Errors
/// Cargo cannot be run, or the user asked to stop. That it fails is none.
pub fn build(request: &Request<'_>, cancel: &Cancel) -> Result<Built, Error> {
    let mut command = Command::new(request.cargo)
        .args(["build", "--message-format", "json", "--jobs", &request.jobs.to_string()])
        .cwd(request.root);
    for (flag, wanted) in [
        ("--release", request.release),
        ("--offline", request.offline),
        ("--locked", request.locked),
    ] {
        if wanted {
            command = command.arg(flag);
        }
    }
    let output = command.run(cancel).map_err(Error::Process)?;
    if cancel.is_cancelled() {
        return Err(Error::Process(process::Error::Cancelled));
    }
    let mut built = Built { success: output.success(), ..Built::default() };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match serde_json::from_str(line) {
            Ok(Message::CompilerMessage(message)) => {
                built.diagnostics.extend(diagnostic(&message.message, request.root));
            }
            Ok(Message::CompilerArtifact(artifact)) => {
                let is_program = artifact.target.kind.contains(&TargetKind::Bin);
                if let Some(path) = artifact.executable.filter(|_| is_program) {
                    built.executables.push(Executable {
                        name: artifact.target.name.clone(),
                        path: path.into_std_path_buf(),
                        fresh: artifact.fresh,
                    });
                }
            }
            Ok(Message::BuildFinished(_)) => continue,
            _ => {}
        }
        // What a build script prints may be anything.
        if line.starts_with('{') {
            built.messages.push(line.to_owned());
        }
    }
    if !built.success && !built.diagnostics.iter().any(Diagnostic::is_error) {
        built.diagnostics.push(failed(&output.stderr_text(), request.root));
    }
    Ok(built)
}

/// Why cargo failed, in its own words: from the line that says `error:` on.
fn failed(text: &str, root: &Path) -> Diagnostic {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| line.starts_with("error")).unwrap_or(0);
    let first = lines.get(start).map_or("it did not say why", |line| line.trim());
    let first = first.trim_start_matches("error: ");
    let message = format!("cargo cannot build the user program: {first}");
    let diagnostic = Diagnostic::new(codes::CARGO_FAILED, Origin::Command, message)
        .in_file(root.join("Cargo.toml"));
    let rest = lines.iter().skip(start + 1).filter(|line| !line.trim().is_empty()).take(12);
    let rest: Vec<&str> = rest.copied().collect();
    if rest.is_empty() { diagnostic } else { diagnostic.note(rest.join("\n")) }
}

fn diagnostic(rustc: &Rustc, root: &Path) -> Option<Diagnostic> {
    let code = match rustc.level {
        DiagnosticLevel::Error | DiagnosticLevel::Ice => codes::USER_ERROR,
        DiagnosticLevel::Warning => codes::USER_WARNING,
        _ => return None,
    };
    // What sums up the others says nothing of its own.
    if rustc.spans.is_empty()
        && (rustc.message.starts_with("aborting due to")
            || rustc.message.ends_with("warning emitted")
            || rustc.message.ends_with("warnings emitted"))
    {
        return None;
    }
    let mut diagnostic = Diagnostic::new(code, Origin::Clang, rustc.message.clone());
    for known in &rustc.spans {
        let label =
            Label { span: span(known, root), message: known.label.clone().unwrap_or_default() };
        match known.is_primary && diagnostic.primary.is_none() {
            true => diagnostic.primary = Some(label),
            false => diagnostic.secondary.push(label),
        }
    }
    if let Some(code) = &rustc.code {
        diagnostic = diagnostic.note(format!("rustc calls this {}", code.code));
    }
    for child in &rustc.children {
        diagnostic = match child.level {
            DiagnosticLevel::Help => diagnostic.help(child.message.clone()),
            _ => diagnostic.note(child.message.clone()),
        };
    }
    Some(diagnostic)
}

fn span(known: &DiagnosticSpan, root: &Path) -> Span {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    // Columns count characters there and bytes here.
    let byte = |column: usize, line: usize| {
        let text = known.text.get(line).map_or("", |line| line.text.as_str());
        let end =
            text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        number(if text.is_empty() { column } else { end + 1 })
    };
    let lines = known.line_end.saturating_sub(known.line_start);
    Span::point(root.join(&known.file_name), number(known.line_start), byte(known.column_start, 0))
        .to(number(known.line_end), byte(known.column_end, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_last_words_are_kept() {
        let text = "   Compiling x\nerror: failed to run custom build command for `x`\n\nCaused by:\n  \
                    process didn't exit successfully\n";
        let found = failed(text, Path::new("/p"));
        assert_eq!(
            found.message,
            "cargo cannot build the user program: failed to run custom build command for `x`"
        );
        assert_eq!(found.notes, ["Caused by:\n  process didn't exit successfully"]);
    }
}
