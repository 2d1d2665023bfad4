//! Templates: the folders below `templates/`, embedded in the binary.

use super::render::{self, File};
use super::{Answers, Error, Question};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::OnceLock;

static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The file that describes a template.
const MANIFEST: &str = "template.toml";

/// A template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name, the folder's.
    pub name: String,
    /// One line that says what it does.
    pub summary: String,
    /// What it belongs to: `basics`, `tracing`, `network`.
    pub topic: String,
    /// The oldest kernel that takes its programs: `5.10`.
    pub kernel: String,
    /// Whether its programs call GPL-only helpers.
    #[serde(default)]
    pub gpl: bool,
    /// What it wants to know.
    #[serde(default, rename = "question")]
    pub questions: Vec<Question>,
    /// Its files as they are embedded, without the manifest, sorted.
    #[serde(skip)]
    files: Vec<(&'static str, &'static str)>,
}

/// Every template, by topic and name.
pub fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut templates: Vec<Template> = FOLDERS
            .dirs()
            // A test reads every folder; none of those that are shipped is
            // left out here.
            .filter_map(|folder| read(folder).ok())
            .collect();
        templates.sort_by(|a, b| (&a.topic, &a.name).cmp(&(&b.topic, &b.name)));
        templates
    })
}

/// The template of this name.
///
/// # Errors
/// There is none; the nearest name.
pub fn find(name: &str) -> Result<&'static Template, Error> {
    templates().iter().find(|template| template.name == name).ok_or_else(|| {
        let nearest = templates()
            .iter()
            .map(|template| (strsim::jaro_winkler(name, &template.name), template))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, template)| template.name.clone());
        Error::UnknownTemplate { name: name.to_owned(), nearest }
    })
}

fn read(folder: &Dir<'static>) -> Result<Template, String> {
    let path = folder.path().join(MANIFEST);
    let text = folder
        .get_file(&path)
        .and_then(include_dir::File::contents_utf8)
        .ok_or_else(|| format!("{} is missing", path.display()))?;
    let mut template: Template =
        toml::from_str(text).map_err(|error| format!("{}: {error}", path.display()))?;
    collect(folder, folder, &mut template.files)?;
    template.files.sort_unstable();
    Ok(template)
}

fn collect(
    top: &Dir<'static>,
    dir: &Dir<'static>,
    files: &mut Vec<(&'static str, &'static str)>,
) -> Result<(), String> {
    for file in dir.files() {
        let path = file.path().strip_prefix(top.path()).unwrap_or(file.path());
        let (Some(path), Some(text)) = (path.to_str(), file.contents_utf8()) else {
            return Err(format!("{} is not UTF-8", file.path().display()));
        };
        if path != MANIFEST {
            files.push((path, text));
        }
    }
    dir.dirs().try_for_each(|dir| collect(top, dir, files))
}

impl Template {
    /// The files of a project made of this template. A name beginning with
    /// `dot.` stands for one that begins with a dot, which packaging tools
    /// would leave out.
    ///
    /// # Errors
    /// An answer that cannot be used.
    pub fn render(&self, answers: &Answers) -> Result<Vec<File>, Error> {
        let values = answers.placeholders(&self.name, &self.questions)?;
        let wrong = |path: &str, reason: String| Error::Template {
            name: self.name.clone(),
            reason: format!("{path}: {reason}"),
        };
        self.files
            .iter()
            .map(|(path, text)| {
                let name = render::render(path, &values).map_err(|reason| wrong(path, reason))?;
                let name = match name.strip_prefix("dot.") {
                    Some(rest) => format!(".{rest}"),
                    None => name,
                };
                let text = render::render(text, &values).map_err(|reason| wrong(path, reason))?;
                Ok(File { path: PathBuf::from(name), text })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            name: "my-probe".to_owned(),
            identifier: "my_probe".to_owned(),
            license: super::super::license::DEFAULT.to_owned(),
            ..Answers::default()
        }
    }

    #[test]
    fn every_folder_is_a_template_that_renders() {
        for folder in FOLDERS.dirs() {
            let template = read(folder).unwrap();
            assert_eq!(folder.path().to_str(), Some(template.name.as_str()));
            assert!(!template.summary.ends_with('.') && template.summary.len() < 70);
            let files = template.render(&answers()).unwrap();
            let paths: Vec<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
            for wanted in ["Skep.toml", ".gitignore", "README.md", "src/my_probe.bpf.c"] {
                assert!(paths.contains(&wanted), "{}: {wanted} in {paths:?}", template.name);
            }
            for file in &files {
                assert!(!file.text.contains("@{"), "{}", file.path.display());
                assert!(file.text.ends_with('\n'), "{}", file.path.display());
            }
            for question in &template.questions {
                assert_eq!(question.check(&question.default), Ok(()), "{}", question.name);
            }
        }
        assert_eq!(templates().len(), FOLDERS.dirs().count());
    }

    #[test]
    fn an_answer_that_is_not_asked_for_or_wrong_is_an_error() {
        let template = find("kprobe").unwrap();
        let mut wrong = answers();
        wrong.values.insert("colour".to_owned(), "red".to_owned());
        assert!(matches!(template.render(&wrong), Err(Error::UnknownQuestion { .. })));
        let mut wrong = answers();
        wrong.values.insert("ring_kib".to_owned(), "100".to_owned());
        assert!(matches!(template.render(&wrong), Err(Error::BadAnswer { .. })));
    }

    #[test]
    fn the_nearest_template_is_offered() {
        let Err(Error::UnknownTemplate { nearest, .. }) = find("krpobe") else { panic!() };
        assert_eq!(nearest.as_deref(), Some("kprobe"));
        let Err(Error::UnknownTemplate { nearest, .. }) = find("zzz") else { panic!() };
        assert_eq!(nearest, None);
    }
}
