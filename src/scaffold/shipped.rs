//! The templates that skep has: the folders below `templates/`, embedded in
//! the binary.

use super::template::{MANIFEST, Source, Template};
use super::{Error, folder};
use include_dir::{Dir, include_dir};
use std::sync::OnceLock;

static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// Every template that skep has, by topic and name.
pub fn templates() -> &'static [Template] {
    static TEMPLATES: OnceLock<Vec<Template>> = OnceLock::new();
    TEMPLATES.get_or_init(|| {
        let mut templates: Vec<Template> = FOLDERS
            .dirs()
            // A test reads every folder; none of those that are shipped is
            // left out here.
            .filter_map(|folder| read(folder).ok())
            .collect();
        folder::sort(&mut templates);
        templates
    })
}

/// The template of this name among those that skep has.
///
/// # Errors
/// There is none; the nearest name.
pub fn find(name: &str) -> Result<&'static Template, Error> {
    folder::pick(templates(), name, None)
}

fn read(folder: &Dir<'static>) -> Result<Template, Error> {
    let path = folder.path().join(MANIFEST);
    let name = folder.path().to_string_lossy();
    let text = folder
        .get_file(&path)
        .and_then(include_dir::File::contents_utf8)
        .ok_or_else(|| Error::template(&name, format!("{} is missing", path.display())))?;
    let mut files = Vec::new();
    collect(folder, folder, &mut files);
    Template::read(&name, &path, text, files)
}

fn collect(top: &Dir<'static>, dir: &Dir<'static>, files: &mut Vec<Source>) {
    for file in dir.files() {
        let path = file.path().strip_prefix(top.path()).unwrap_or(file.path());
        let path = path.to_string_lossy();
        if path != MANIFEST {
            let bytes = file.contents().into();
            files.push(Source { path, bytes, executable: false });
        }
    }
    dir.dirs().for_each(|dir| collect(top, dir, files));
}

#[cfg(test)]
mod tests {
    use super::super::{Answers, Lang, license};
    use super::*;
    use std::path::Path;

    fn answers(lang: Lang) -> Answers {
        Answers {
            name: "my-probe".to_owned(),
            identifier: "my_probe".to_owned(),
            license: license::DEFAULT.to_owned(),
            lang,
            ..Answers::default()
        }
    }

    #[test]
    fn every_folder_is_a_template_that_renders() {
        for folder in FOLDERS.dirs() {
            let template = read(folder).unwrap();
            let name = &template.name;
            assert_eq!(folder.path().to_str(), Some(name.as_str()));
            assert!(!template.summary.ends_with('.') && template.summary.len() < 70, "{name}");
            for &lang in &template.langs {
                let files = template.render(&answers(lang)).unwrap();
                let mut wanted = vec!["Skep.toml", ".gitignore", "README.md", "src/my_probe.bpf.c"];
                match lang {
                    Lang::C => wanted.push("src/my_probe.c"),
                    Lang::Rust => wanted.extend(["Cargo.toml", "build.rs", "src/main.rs"]),
                    Lang::None => {}
                }
                for wanted in wanted {
                    let there = files.iter().any(|file| file.path == Path::new(wanted));
                    assert!(there, "{name} --lang {lang} has no {wanted}");
                }
                for file in &files {
                    let text = std::str::from_utf8(&file.bytes).unwrap();
                    assert!(!text.contains("@{"), "{}", file.path.display());
                    assert!(text.ends_with('\n'), "{}", file.path.display());
                    let license = format!("SPDX-License-Identifier: {}", license::DEFAULT);
                    let is_source = file.path.starts_with("src");
                    assert!(!is_source || text.contains(&license), "{}", file.path.display());
                }
                let readme = files.iter().find(|file| file.path == Path::new("README.md"));
                let readme = std::str::from_utf8(&readme.unwrap().bytes).unwrap();
                let kernel = format!("Needs Linux {} or newer", template.kernel);
                assert!(readme.contains(&kernel), "{name}: {readme}");
                assert!((9..=16).contains(&readme.lines().count()), "{name}: {readme}");
            }
            let kernel = format!("min = \"{}\"", template.kernel);
            let manifest = template.render(&answers(template.langs[0])).unwrap();
            let manifest = manifest.iter().find(|file| file.path == Path::new("Skep.toml"));
            let manifest = std::str::from_utf8(&manifest.unwrap().bytes).unwrap();
            assert!(manifest.contains(&kernel), "{name}: {manifest}");
        }
        assert_eq!(templates().len(), FOLDERS.dirs().count());
    }

    #[test]
    fn an_answer_that_is_not_asked_for_or_wrong_is_an_error() {
        let template = find("kprobe").unwrap();
        let mut wrong = answers(Lang::None);
        wrong.values.insert("colour".to_owned(), "red".to_owned());
        assert!(matches!(template.render(&wrong), Err(Error::UnknownQuestion { .. })));
        let mut wrong = answers(Lang::None);
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
