//! Templates: what `template.toml` says, and the files of a project that is
//! made of one.

use super::render::{self, File};
use super::{Answers, Error, Lang, Question};
use crate::bpf::KernelVersion;
use crate::diagnostics::Span;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

/// The file that describes a template.
pub(super) const MANIFEST: &str = "template.toml";

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its name, the folder's.
    pub name: String,
    /// One line that says what it does.
    pub summary: String,
    /// What it belongs to: `basics`, `tracing`, `network`.
    pub topic: String,
    /// The oldest kernel that takes its programs.
    pub kernel: KernelVersion,
    /// What that kernel, and any newer one, must be built with: the names of
    /// options that are `y` or `m` (`CONFIG_SCHED_CLASS_EXT`).
    pub config: Vec<String>,
    /// Whether its programs call GPL-only helpers.
    pub gpl: bool,
    /// The front ends it has, the default one first; never empty.
    pub langs: Vec<Lang>,
    /// What it wants to know.
    pub questions: Vec<Question>,
    /// Its files, without the manifest, sorted by path.
    files: Vec<Source>,
}

/// A file of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// Its path in the template's folder, with placeholders.
    pub(super) path: Cow<'static, str>,
    /// Its content, with placeholders if it is text.
    pub(super) bytes: Cow<'static, [u8]>,
    /// Whether it can be run.
    pub(super) executable: bool,
}

/// `template.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(default)]
    name: Option<String>,
    summary: String,
    #[serde(default)]
    topic: Option<String>,
    kernel: toml::Spanned<String>,
    #[serde(default)]
    config: Vec<String>,
    #[serde(default)]
    gpl: bool,
    #[serde(default)]
    langs: Vec<toml::Spanned<String>>,
    #[serde(default, rename = "question")]
    questions: Vec<Question>,
}

/// Names that every template has as placeholders, so that no question can.
const PLACEHOLDERS: &[&str] =
    &["name", "identifier", "type_name", "license", "kernel_license", "user_kind"];

impl Template {
    /// A template of its folder: the text of `template.toml`, which stands at
    /// `path`, and all other files. `folder` is its name if the manifest says
    /// no other.
    ///
    /// # Errors
    /// What is wrong with the manifest.
    pub(super) fn read(
        folder: &str,
        path: &Path,
        text: &str,
        mut files: Vec<Source>,
    ) -> Result<Self, Error> {
        let wrong = |reason: String, range: Option<std::ops::Range<usize>>| Error::Template {
            name: folder.to_owned(),
            reason,
            span: Some(match range {
                Some(range) => Span::of_bytes(path, text, range),
                None => Span::file(path),
            }),
        };
        let description: Description = toml::from_str(text)
            .map_err(|error| wrong(error.message().to_owned(), error.span()))?;
        let kernel = description.kernel.get_ref().parse().map_err(|_| {
            let reason = "`kernel` is the oldest version that takes its programs, as \"5.10\"";
            wrong(reason.to_owned(), Some(description.kernel.span()))
        })?;
        let mut langs = Vec::new();
        for name in &description.langs {
            match Lang::find(name.get_ref()) {
                Some(lang) if !langs.contains(&lang) => langs.push(lang),
                Some(_) => {}
                None => {
                    let reason = "`langs` has the front ends c, rust and none";
                    return Err(wrong(reason.to_owned(), Some(name.span())));
                }
            }
        }
        // Going without is always possible.
        if !langs.contains(&Lang::None) {
            langs.push(Lang::None);
        }
        for question in &description.questions {
            if PLACEHOLDERS.contains(&question.name.as_str()) {
                let reason = format!("`{}` cannot be a question's name", question.name);
                return Err(wrong(reason, None));
            }
            if let Err(reason) = question.check(&question.default) {
                let reason = format!("the default of `{}` is wrong: {reason}", question.name);
                return Err(wrong(reason, None));
            }
        }
        files.sort_unstable();
        Ok(Self {
            name: description.name.unwrap_or_else(|| folder.to_owned()),
            summary: description.summary,
            topic: description.topic.unwrap_or_else(|| "own".to_owned()),
            kernel,
            config: description.config,
            gpl: description.gpl,
            langs,
            questions: description.questions,
            files,
        })
    }

    /// The front end that was asked for, or the default one.
    ///
    /// # Errors
    /// The template does not have it.
    pub fn lang(&self, wanted: Option<Lang>) -> Result<Lang, Error> {
        match wanted {
            // `read` sees to it that there is one.
            None => Ok(self.langs.first().copied().unwrap_or_default()),
            Some(lang) if self.langs.contains(&lang) => Ok(lang),
            Some(lang) => {
                Err(Error::NoLang { template: self.name.clone(), lang, known: self.langs.clone() })
            }
        }
    }

    /// The files of a project made of this template. A name beginning with
    /// `dot.` stands for one that begins with a dot, which packaging tools
    /// would leave out. What lies in the folder `@c`, `@rust` or `@none` is
    /// laid over the others if that front end is chosen, and left out else.
    ///
    /// # Errors
    /// An answer that cannot be used; a fault of the template.
    pub fn render(&self, answers: &Answers) -> Result<Vec<File>, Error> {
        let lang = self.lang(Some(answers.lang))?;
        let values = answers.placeholders(&self.name, &self.questions)?;
        let mut files: Vec<(bool, File)> = Vec::new();
        for source in &self.files {
            let wrong = |reason: String| Error::Template {
                name: self.name.clone(),
                reason: format!("{}: {reason}", source.path.escape_debug()),
                span: None,
            };
            let Some((path, over)) = of_lang(&source.path, lang).map_err(wrong)? else { continue };
            let path = render::render(path, lang, &values).map_err(wrong)?;
            let path = undotted(&path);
            if !stays_inside(&path) {
                let reason = format!("`{}` is no path inside a project", path.display());
                return Err(wrong(reason));
            }
            let bytes = match std::str::from_utf8(&source.bytes) {
                Ok(text) => render::render(text, lang, &values).map_err(wrong)?.into_bytes(),
                // No text, so there are no placeholders in it.
                Err(_) => source.bytes.to_vec(),
            };
            let file = File { path, bytes, executable: source.executable };
            match files.iter_mut().find(|(_, other)| other.path == file.path) {
                None => files.push((over, file)),
                Some(other) if over != other.0 => {
                    if over {
                        *other = (over, file);
                    }
                }
                Some(_) => return Err(wrong("another file gets the same name".to_owned())),
            }
        }
        let mut files: Vec<File> = files.into_iter().map(|(_, file)| file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

/// A path without the folder of the front end it is for, and whether it had
/// one; nothing for another front end's.
fn of_lang(path: &str, lang: Lang) -> Result<Option<(&str, bool)>, String> {
    let folder = path.split_once('/').filter(|(first, _)| {
        // `@{identifier}/x` begins with a placeholder.
        first.starts_with('@') && !first.starts_with("@{")
    });
    match folder {
        None => Ok(Some((path, false))),
        Some((first, rest)) => match Lang::find(&first[1..]) {
            Some(named) => Ok((named == lang).then_some((rest, true))),
            None => Err("the folders of front ends are @c, @rust and @none".to_owned()),
        },
    }
}

/// The path with `dot.` at the beginning of names made a dot.
fn undotted(path: &str) -> PathBuf {
    path.split('/')
        .map(|name| match name.strip_prefix("dot.") {
            Some(rest) => format!(".{rest}"),
            None => name.to_owned(),
        })
        .collect()
}

fn stays_inside(path: &Path) -> bool {
    path.file_name().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(manifest: &str, files: &[(&'static str, &'static str)]) -> Result<Template, Error> {
        let files = files.iter().map(|&(path, text)| Source {
            path: path.into(),
            bytes: text.as_bytes().into(),
            executable: false,
        });
        Template::read("bees", Path::new("bees/template.toml"), manifest, files.collect())
    }

    const MINIMAL: &str = "summary = \"s\"\nkernel = \"5.10\"\nlangs = [\"c\"]\n";

    fn rendered(lang: Lang, files: &[(&'static str, &'static str)]) -> Result<String, Error> {
        let answers = Answers {
            name: "a".into(),
            identifier: "a".into(),
            license: "MIT".into(),
            lang,
            ..Answers::default()
        };
        let files = template(MINIMAL, files)?.render(&answers)?;
        let show = |file: &File| {
            format!("{}={};", file.path.display(), String::from_utf8_lossy(&file.bytes))
        };
        Ok(files.iter().map(show).collect())
    }

    #[test]
    fn what_a_front_end_has_is_laid_over_the_rest() {
        let files =
            [("@c/src/@{name}.c", "x"), ("@c/y", "c"), ("@none/z", "n"), ("y", "@{user_kind}")];
        assert_eq!(rendered(Lang::C, &files).unwrap(), "src/a.c=x;y=c;");
        assert_eq!(rendered(Lang::None, &files).unwrap(), "y=none;z=n;");
        assert!(matches!(rendered(Lang::Rust, &files), Err(Error::NoLang { .. })));
        let dots = [("dot.github/dot.x", ""), ("@{name}/y", "")];
        assert_eq!(rendered(Lang::C, &dots).unwrap(), ".github/.x=;a/y=;");
    }

    #[test]
    fn no_file_leaves_the_project_or_meets_another() {
        for files in [
            &[("dot../x", "")][..],
            &[("@perl/x", "")],
            &[("@{what}", "")],
            &[("@{name}", ""), ("a", "")],
            &[("@c/@{name}", ""), ("@c/a", "")],
        ] {
            assert!(matches!(rendered(Lang::C, files), Err(Error::Template { .. })), "{files:?}");
        }
    }

    #[test]
    fn a_manifest_is_wrong_on_its_line() {
        for (manifest, line) in [
            ("summary = \"s\"\nkernel = \"new\"\n", 2),
            ("summary = \"s\"\nkernel = \"5.10\"\nlangs = [\"perl\"]\n", 3),
            ("summary = \"s\"\nkernel = \"5.10\"\n\ncolour = 1\n", 4),
            ("summary = \n", 1),
        ] {
            let Err(Error::Template { span: Some(span), .. }) = template(manifest, &[]) else {
                panic!("{manifest}");
            };
            assert_eq!(span.start.line, line, "{manifest}");
        }
        let question = "[[question]]\nname = \"name\"\nprompt = \"p\"\ndefault = \"d\"\n";
        assert!(template(&format!("{MINIMAL}{question}"), &[]).is_err());
    }
}
