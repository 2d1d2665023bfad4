//! What became of a program, as a finding.

use super::{Object, Verdict};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, ObjectPlace, Origin, Span, codes};
use crate::ops::Session;
use crate::ops::places::{ProgramPlaces, SourceFinder};
use crate::verdict::errno;
use crate::{verifier_log, wire};

/// An object that libbpf refuses as a whole.
pub(in crate::ops) fn cannot_open(object: &Object, refusal: &wire::Refusal) -> Diagnostic {
    let path = object.path.display();
    let message = format!("libbpf cannot open {path}: {}", reason(refusal));
    let place = ObjectPlace { object: object.path.clone(), ..ObjectPlace::default() };
    with_messages(Diagnostic::new(codes::LOAD_REFUSED, Origin::Vm, message), &refusal.messages)
        .object_place(place)
}

/// The one place that turns what became of a program into a finding.
pub(in crate::ops) fn finding(
    session: &Session,
    object: &Object,
    program: &wire::Program,
    log: &str,
    kernel: &str,
) -> Diagnostic {
    let name = &program.entry.name;
    let diagnostic = match &program.outcome {
        wire::Outcome::Refused(refusal) => {
            let finder = SourceFinder::new(session, &object.root);
            let diagnostic = verifier_log::explain(&verifier_log::Rejection {
                log,
                errno: refusal.errno,
                stage: stage(refusal.stage),
                libbpf: &refusal.messages.join("\n"),
                program: Some(name),
                object: Some(&object.path),
                section: Some(&program.entry.section),
                kernel: Some(kernel),
                raw_log: None,
                places: &ProgramPlaces::new(Some(&object.elf), Some(name), finder),
            });
            return if program.log_truncated {
                diagnostic.note("the kernel had more to say than a log can hold")
            } else {
                diagnostic
            };
        }
        wire::Outcome::TimedOut { stage } => Diagnostic::new(
            codes::NO_VERDICT,
            Origin::Vm,
            "the kernel did not come to a verdict in time",
        )
        .note(format!("it was at the stage `{}`", stage.as_str()))
        .help("give it more time with `--time-limit SECONDS`"),
        wire::Outcome::Crashed { stage, signal } => Diagnostic::new(
            codes::NO_VERDICT,
            Origin::Vm,
            format!("loading the program crashed (signal {signal})"),
        )
        .note(format!("it was at the stage `{}`", stage.as_str())),
        wire::Outcome::Accepted => {
            Diagnostic::new(codes::NO_VERDICT, Origin::Vm, "the program was accepted")
        }
    };
    let place = ObjectPlace {
        object: object.path.clone(),
        section: Some(program.entry.section.clone()),
        instruction: None,
    };
    diagnostic.program(name.clone()).object_place(place).kernel(kernel)
}

/// Where a program begins in C.
pub(in crate::ops) fn begin(session: &Session, object: &Object, program: &str) -> Option<Span> {
    let span = object.elf.span_of(object.elf.program(program)?)?;
    Some(SourceFinder::new(session, &object.root).settle(span))
}

/// Where a program lies in its object.
pub(super) fn place(verdict: &Verdict) -> ObjectPlace {
    ObjectPlace {
        object: verdict.object.clone(),
        section: Some(verdict.section.clone()),
        instruction: None,
    }
}

/// The guest's word for how far a load got, in the words of verdicts.
fn stage(stage: wire::Stage) -> errno::Stage {
    match stage {
        wire::Stage::Open => errno::Stage::Open,
        wire::Stage::Prepare => errno::Stage::Prepare,
        wire::Stage::AttachTarget => errno::Stage::AttachTarget,
        wire::Stage::Load => errno::Stage::Load,
        wire::Stage::Verifier => errno::Stage::Verifier,
    }
}

/// The first thing libbpf said, which is the cause of the rest; else what the
/// error number means.
fn reason(refusal: &wire::Refusal) -> String {
    match refusal.messages.first() {
        Some(message) => message.clone(),
        None => errno_text(refusal.errno),
    }
}

fn with_messages(diagnostic: Diagnostic, messages: &[String]) -> Diagnostic {
    match messages {
        [] => diagnostic,
        messages => diagnostic.note(format!("libbpf said:\n{}", messages.join("\n"))),
    }
}

fn errno_text(errno: i32) -> String {
    let text = fs::reason(&std::io::Error::from_raw_os_error(errno));
    format!("{text} (error {errno})")
}
