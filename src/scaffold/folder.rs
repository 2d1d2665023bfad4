//! Someone's own templates: a directory that is one, or whose folders (or
//! those of its folder `templates`) are. The layout is that of skep's own.

use super::Error;
use super::template::{MANIFEST, Source, Template};
use crate::base::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Directories that are no part of a template.
const LEFT_OUT: &[&str] = &[".git", "target"];
/// A template with more files than this is none.
const MAX_FILES: usize = 1000;
/// Nor is one with more bytes than this.
const MAX_BYTES: usize = 16 << 20;

/// The templates in a directory, by topic and name. `shown` is what the user
/// calls it; `below`, a path in it, is where to look.
///
/// # Errors
/// There is none, or what is wrong with one.
pub fn read(dir: &Path, shown: &str, below: Option<&str>) -> Result<Vec<Template>, Error> {
    let missing = || Error::NoTemplates { place: shown.to_owned() };
    let mut dir = fs::canonicalize(dir)?;
    let mut shown_path = PathBuf::from(shown);
    if let Some(below) = below {
        let plain = Path::new(below)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let inside = fs::canonicalize(&dir.join(below)).ok();
        match inside.filter(|inside| plain && inside.starts_with(&dir)) {
            Some(inside) => dir = inside,
            None => return Err(missing()),
        }
        shown_path.push(below);
    }
    let is_template = |dir: &Path| fs::is_file(&dir.join(MANIFEST));
    if is_template(&dir) {
        return Ok(vec![template(&dir, &shown_path)?]);
    }
    for (dir, shown) in
        [(dir.clone(), shown_path.clone()), (dir.join("templates"), shown_path.join("templates"))]
    {
        if !fs::is_dir(&dir) {
            continue;
        }
        let mut templates = Vec::new();
        for folder in fs::read_dir(&dir)? {
            if is_template(&folder) {
                let name = folder.file_name().unwrap_or_default();
                templates.push(template(&folder, &shown.join(name))?);
            }
        }
        if !templates.is_empty() {
            sort(&mut templates);
            return Ok(templates);
        }
    }
    Err(missing())
}

/// The template of this name; without a name, the only one there is.
///
/// # Errors
/// There is none of this name; or there are several to choose from.
pub fn choose(
    templates: Vec<Template>,
    place: &str,
    name: Option<&str>,
) -> Result<Template, Error> {
    match name {
        Some(name) => pick(&templates, name, Some(place)).cloned(),
        None => match <[Template; 1]>::try_from(templates) {
            Ok([template]) => Ok(template),
            Err(several) => Err(Error::SeveralTemplates {
                place: place.to_owned(),
                names: several.into_iter().map(|template| template.name).collect(),
            }),
        },
    }
}

/// The template of this name among these.
///
/// # Errors
/// There is none; the nearest name.
pub(super) fn pick<'t>(
    templates: &'t [Template],
    name: &str,
    place: Option<&str>,
) -> Result<&'t Template, Error> {
    templates.iter().find(|template| template.name == name).ok_or_else(|| {
        let nearest = templates
            .iter()
            .map(|template| (strsim::jaro_winkler(name, &template.name), template))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, template)| template.name.clone());
        Error::UnknownTemplate { name: name.to_owned(), nearest, place: place.map(str::to_owned) }
    })
}

/// Puts templates in the order they are listed in: the basics first, then by
/// topic and name.
pub(super) fn sort(templates: &mut [Template]) {
    templates.sort_by(|a, b| {
        let rank = |t: &Template| (t.topic != "basics", t.topic.clone(), t.name.clone());
        rank(a).cmp(&rank(b))
    });
}

fn template(dir: &Path, shown: &Path) -> Result<Template, Error> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let wrong = |reason: String| Error::template(&name, reason);
    let manifest = fs::read(&dir.join(MANIFEST))?;
    let text =
        std::str::from_utf8(&manifest).map_err(|_| wrong(format!("{MANIFEST} is not UTF-8")))?;
    let (mut files, mut bytes) = (Vec::new(), 0);
    let walk = walkdir::WalkDir::new(dir).min_depth(1).into_iter().filter_entry(|entry| {
        !(entry.file_type().is_dir() && LEFT_OUT.iter().any(|name| entry.file_name() == *name))
    });
    for entry in walk {
        let entry = entry.map_err(|error| wrong(error.to_string()))?;
        let path = entry.path().strip_prefix(dir).unwrap_or(entry.path());
        let Some(path) = path.to_str() else {
            return Err(wrong(format!("the name {} is not UTF-8", path.display())));
        };
        if entry.file_type().is_dir() || path == MANIFEST {
            continue;
        }
        // What a link leads to may lie outside of the template.
        if !entry.file_type().is_file() {
            return Err(wrong(format!("{path} is no regular file; a template has files only")));
        }
        let metadata = fs::metadata(entry.path())?;
        bytes += usize::try_from(metadata.len()).unwrap_or(usize::MAX).min(MAX_BYTES + 1);
        if files.len() == MAX_FILES || bytes > MAX_BYTES {
            let size = MAX_BYTES >> 20;
            let reason = format!("it has more than {MAX_FILES} files or {size} MiB");
            return Err(wrong(reason));
        }
        files.push(Source {
            path: path.to_owned().into(),
            bytes: fs::read(entry.path())?.into(),
            executable: metadata.permissions().mode() & 0o100 != 0,
        });
    }
    Template::read(&name, &shown.join(MANIFEST), text, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST_TEXT: &[u8] = b"summary = \"s\"\nkernel = \"5.10\"\n";

    #[test]
    fn one_template_or_several() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            fs::write_atomic(&dir.path().join(path), bytes).unwrap();
        };
        assert!(matches!(read(dir.path(), "d", None), Err(Error::NoTemplates { .. })));
        for name in ["templates/bees/template.toml", "templates/wasps/template.toml"] {
            write(name, MANIFEST_TEXT);
        }
        let names = |templates: Vec<Template>| -> Vec<String> {
            templates.into_iter().map(|template| template.name).collect()
        };
        let both = read(dir.path(), "d", None).unwrap();
        assert_eq!(choose(both.clone(), "d", Some("wasps")).unwrap().name, "wasps");
        assert!(matches!(choose(both.clone(), "d", None), Err(Error::SeveralTemplates { .. })));
        assert_eq!(names(both), ["bees", "wasps"]);
        assert_eq!(names(read(dir.path(), "d", Some("templates/bees")).unwrap()), ["bees"]);
        for outside in ["../x", "/etc", "nowhere"] {
            assert!(read(dir.path(), "d", Some(outside)).is_err(), "{outside}");
        }
        write("template.toml", b"name = \"hive\"\nsummary = \"s\"\nkernel = \"6.1\"\n");
        assert_eq!(names(read(dir.path(), "d", None).unwrap()), ["hive"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write_atomic(&dir.path().join("template.toml"), MANIFEST_TEXT).unwrap();
        fs::write_atomic(&dir.path().join(".git/config"), b"").unwrap();
        assert!(read(dir.path(), "d", None).is_ok());
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("x")).unwrap();
        let Err(Error::Template { reason, .. }) = read(dir.path(), "d", None) else { panic!() };
        assert!(reason.contains("x is no regular file"), "{reason}");
    }
}
