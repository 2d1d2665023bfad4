//! `skep gen skeleton|subskeleton|types OBJECT`.

use super::CommandResult;
use crate::shell::Shell;
use clap::ValueEnum;
use skep::ops::Session;
use skep::ops::generate::{self, Kind, Language, Request};
use std::path::PathBuf;

/// Arguments of `skep gen`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write the skeleton of an object
    Skeleton(OfEither),
    /// Write the subskeleton of an object that is linked into others
    Subskeleton(Of),
    /// Write the types of maps' keys and values and of global variables
    Types(OfEither),
}

#[derive(Debug, clap::Args)]
struct Of {
    /// The object, or a source that is built first
    #[arg(value_name = "OBJECT")]
    path: PathBuf,
    /// The file to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The name that everything begins with [default: made of the file's name]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
struct OfEither {
    #[command(flatten)]
    of: Of,
    /// The language
    #[arg(long, value_enum, default_value_t)]
    lang: LanguageChoice,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LanguageChoice {
    /// C and C++
    #[default]
    C,
    /// Rust; skeletons are those of libbpf-cargo
    Rust,
}

impl From<LanguageChoice> for Language {
    fn from(choice: LanguageChoice) -> Self {
        match choice {
            LanguageChoice::C => Self::C,
            LanguageChoice::Rust => Self::Rust,
        }
    }
}

/// Writes what is asked for to the file or to standard output.
pub fn run(args: Args, session: &Session, shell: &Shell) -> CommandResult {
    let (kind, of, language) = match args.what {
        What::Skeleton(args) => (Kind::Skeleton, args.of, args.lang.into()),
        What::Subskeleton(of) => (Kind::Subskeleton, of, Language::C),
        What::Types(args) => (Kind::Types, args.of, args.lang.into()),
    };
    let Of { path, output, name } = of;
    let outcome = generate::run(session, &Request { kind, path, name, language, output })?;
    shell.diagnostics(&outcome.diagnostics);
    if let Some(text) = &outcome.text {
        shell.raw(text);
    }
    Ok(())
}
