//! `skep diagnose`: someone else's log of the verifier, explained.

use super::Session;
use super::places::{ProgramPlaces, SourceFinder};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::elf::Object;
use crate::relocate;
use crate::verdict::errno::Stage;
use crate::verifier_log::{self, Framed, Log, Rejection};
use std::path::{Path, PathBuf};

/// A log larger than this is refused; kernels write at most a quarter.
const MAX_LOG: u64 = 4 << 30;

/// What to explain.
#[derive(Clone, Debug)]
pub struct Request {
    /// The text, and where it came from.
    pub log: Input,
    /// The object that was loaded.
    pub object: Option<PathBuf>,
    /// The program the log is about.
    pub program: Option<String>,
}

/// Where a log comes from.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input, already read.
    Text(Vec<u8>),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One for each rejection in the text.
    pub diagnostics: Vec<Diagnostic>,
    /// How many logs in the text end well.
    pub accepted: usize,
}

/// Explains every rejection in a text.
///
/// # Errors
/// A file that cannot be read, an object that is none, text without any log.
pub fn diagnose(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    let (bytes, path) = match &request.log {
        Input::File(path) => {
            let absolute = session.absolute(path);
            if fs::metadata(&absolute)?.len() > MAX_LOG {
                let message = format!("{} is too large for a log", path.display());
                return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message).into());
            }
            (fs::read(&absolute)?, Some(path.as_path()))
        }
        Input::Text(bytes) => (bytes.clone(), None),
    };
    let text = String::from_utf8_lossy(&bytes);
    let object = match &request.object {
        Some(path) => Some(
            Object::parse(&fs::read(&session.absolute(path))?)
                .map_err(|error| Failure::from(Diagnostic::from(error).in_file(path)))?,
        ),
        None => None,
    };
    if let (Some(object), Some(name)) = (&object, &request.program)
        && object.program(name).is_none()
    {
        return Err(no_such_program(object, name).into());
    }
    let mut outcome = Outcome::default();
    for framed in verifier_log::extract(&text) {
        explain(session, request, object.as_ref(), path, &framed, &mut outcome);
    }
    if outcome.diagnostics.is_empty() && outcome.accepted == 0 {
        let name = path.map_or("standard input".into(), |path| path.display().to_string());
        let message = format!("there is no verifier's log in {name}");
        return Err(Diagnostic::new(codes::WRONG_INPUT, Origin::Command, message)
            .help("give what the loader printed when the program was rejected, whole")
            .into());
    }
    Ok(outcome)
}

/// Explains one log.
fn explain(
    session: &Session,
    request: &Request,
    object: Option<&Object>,
    path: Option<&Path>,
    framed: &Framed<'_>,
    outcome: &mut Outcome,
) {
    let log = Log::parse(&framed.log);
    let is_log = log.summary.is_some() || log.instructions().next().is_some();
    if log.error.is_empty() && log.summary.is_some() {
        outcome.accepted += 1;
        return;
    }
    let says_error = !framed.loader.is_empty() && framed.errno.is_some();
    let known_words =
        log.error.iter().any(|line| crate::verdict::messages::reason_of_line(line).is_some());
    if !is_log && !says_error && !known_words {
        return;
    }
    let program = request.program.clone().or_else(|| framed.program.clone());
    let program = program.or_else(|| guess_program(object?, &log));
    let object_path = request.object.as_deref().or(framed.object.as_deref());
    let root = object_path.and_then(Path::parent).unwrap_or(Path::new(""));
    let finder = SourceFinder::new(session, root);
    let section = object.zip(program.as_deref()).and_then(|(object, program)| {
        Some(object.section_name(object.program(program)?).to_owned())
    });
    outcome.diagnostics.push(verifier_log::explain(&Rejection {
        log: if is_log || known_words { &framed.log } else { "" },
        errno: framed.errno.unwrap_or(0),
        stage: if is_log { Stage::Verifier } else { Stage::Load },
        libbpf: &framed.loader,
        program: program.as_deref(),
        object: object_path,
        section: section.as_deref(),
        kernel: framed.kernel.as_deref(),
        raw_log: path.map(Path::to_owned),
        places: &ProgramPlaces::new(object, program.as_deref(), finder),
    }));
}

/// The program of an object that a log is about: the one whose first line is
/// the first the log quotes.
fn guess_program(object: &Object, log: &Log<'_>) -> Option<String> {
    let mut programs = object.programs();
    let first = programs.next()?;
    if programs.next().is_none() {
        return Some(first.name.clone());
    }
    let quoted = log.sources().next()?.text;
    let begins_so = |name: &str| {
        let image = relocate::image(object, name).ok();
        let text = image.and_then(|image| image.span(0)).and_then(|span| span.line_text);
        text.is_some_and(|text| text.trim() == quoted)
    };
    let mut fitting = object.programs().filter(|program| begins_so(&program.name));
    let found = fitting.next()?;
    fitting.next().is_none().then(|| found.name.clone())
}

fn no_such_program(object: &Object, name: &str) -> Diagnostic {
    let names: Vec<&str> = object.programs().map(|program| program.name.as_str()).collect();
    let diagnostic = Diagnostic::new(
        codes::WRONG_INPUT,
        Origin::Command,
        format!("the object has no program `{name}`"),
    );
    match names[..] {
        [] => diagnostic,
        _ => diagnostic.help(format!("it has {}", names.join(", "))),
    }
}
