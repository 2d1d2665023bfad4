//! Source files: patterns, the files that match them, and the objects they
//! are compiled to.

use super::manifest::{Located, Mcpu, Override, Profile};
use super::{Error, Project};
use globset::{GlobBuilder, GlobMatcher};
use std::path::{Component, Path, PathBuf};

/// A BPF source and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, relative to the project.
    pub path: PathBuf,
    /// What the object is called, without `.bpf.o`: `opens`, or `net/drop`
    /// for a source in a directory below the pattern's own.
    pub name: String,
}

/// How a source is compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Further arguments of clang.
    pub cflags: Vec<String>,
    /// Macros.
    pub defines: Vec<String>,
    /// The instruction set.
    pub mcpu: Located<Mcpu>,
}

/// A pattern split into the directory it begins in and what must match.
pub(super) struct Pattern {
    pub base: PathBuf,
    pub matcher: GlobMatcher,
    /// Whether it names one file, without any wildcard.
    pub literal: bool,
}

/// Says what is wrong with a pattern.
pub(super) fn check_pattern(text: &str) -> Result<(), String> {
    Pattern::new(text).map(drop)
}

impl Pattern {
    pub fn new(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let inside = Path::new(text)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if text.is_empty() || !inside {
            return Err(format!("the pattern `{shown}` does not stay inside the project"));
        }
        let text = text.strip_prefix("./").unwrap_or(text);
        // A `*` must not match `/`: `src/*.bpf.c` is the directory itself.
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("the pattern `{shown}` is wrong: {}", error.kind()))?;
        let literal = !text.contains(['*', '?', '[', '{']);
        let mut base = PathBuf::new();
        for part in Path::new(text).parent().unwrap_or(Path::new("")).components() {
            if part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']) {
                break;
            }
            base.push(part);
        }
        Ok(Self { base, matcher: glob.compile_matcher(), literal })
    }
}

impl Project {
    /// The project's sources in the order of their paths, which is the same
    /// on every machine. Files in hidden directories and in the target
    /// directory are not looked at.
    pub fn sources(&self) -> Result<Vec<Source>, Error> {
        let mut sources: Vec<Source> = Vec::new();
        for text in &self.manifest.bpf.sources {
            // The manifest's reader has refused patterns that are wrong.
            let Ok(pattern) = Pattern::new(&text.value) else { continue };
            for path in self.matches(&pattern) {
                if !sources.iter().any(|source| source.path == path) {
                    let name = object_name(path.strip_prefix(&pattern.base).unwrap_or(&path));
                    sources.push(Source { path, name });
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = || self.manifest_path.clone().unwrap_or_else(|| self.root.clone());
        if sources.is_empty() {
            let patterns = self.manifest.bpf.sources.iter().map(|text| text.value.clone());
            return Err(Error::NoSources { manifest: manifest(), patterns: patterns.collect() });
        }
        for (index, source) in sources.iter().enumerate() {
            if let Some(same) = sources[..index].iter().find(|other| other.name == source.name) {
                return Err(Error::SameObject {
                    manifest: manifest(),
                    sources: [same.path.clone(), source.path.clone()],
                });
            }
        }
        Ok(sources)
    }

    /// The C sources of the user program, relative to the project, in the
    /// order of their paths: what matches `[user]`'s patterns and is none of
    /// the project's BPF sources `bpf`.
    pub fn user_sources(&self, bpf: &[Source]) -> Result<Vec<PathBuf>, Error> {
        let mut found: Vec<PathBuf> = Vec::new();
        for text in &self.manifest.user.sources {
            let Ok(pattern) = Pattern::new(&text.value) else { continue };
            found.extend(self.matches(&pattern).into_iter().filter(|path| {
                let is_bpf = path.to_string_lossy().ends_with(".bpf.c");
                !is_bpf && !bpf.iter().any(|source| source.path == *path)
            }));
        }
        found.sort();
        found.dedup();
        if found.is_empty() {
            let manifest = self.manifest_path.clone().unwrap_or_else(|| self.root.clone());
            let patterns = self.manifest.user.sources.iter().map(|text| text.value.clone());
            return Err(Error::NoUserSources { manifest, patterns: patterns.collect() });
        }
        Ok(found)
    }

    /// What the manifest says of how a source is compiled, all in all.
    pub fn options(&self, source: &Path, profile: &Profile) -> Options {
        let bpf = &self.manifest.bpf;
        let mut options = Options {
            cflags: bpf.cflags.clone(),
            defines: bpf.defines.clone(),
            mcpu: bpf.mcpu.clone(),
        };
        for own in bpf.overrides.iter().filter(|own| own.is_for(source)) {
            options.cflags.extend_from_slice(&own.cflags);
            options.defines.extend_from_slice(&own.defines);
            if let Some(mcpu) = &own.mcpu {
                options.mcpu = mcpu.clone();
            }
        }
        options.cflags.extend_from_slice(&profile.cflags);
        options.defines.extend_from_slice(&profile.defines);
        options
    }

    fn matches(&self, pattern: &Pattern) -> Vec<PathBuf> {
        let start = self.root.join(&pattern.base);
        let walk = walkdir::WalkDir::new(&start)
            .follow_links(true)
            .max_depth(if pattern.literal { 1 } else { 64 })
            .into_iter()
            .filter_entry(|entry| {
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                let generated = entry.path().ends_with("target") && entry.file_type().is_dir();
                entry.depth() == 0 || !(hidden || generated)
            });
        // What cannot be read (a link to nowhere, a closed directory) has no
        // sources; clang will complain about a file that is meant.
        walk.filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .filter_map(|entry| entry.path().strip_prefix(&self.root).ok().map(Path::to_owned))
            .filter(|path| pattern.matcher.is_match(path))
            .collect()
    }
}

/// The object's name: the path without `.bpf.c` or `.c`.
pub(super) fn object_name(path: &Path) -> String {
    let text = path.to_string_lossy();
    let name = text.strip_suffix(".bpf.c").or_else(|| text.strip_suffix(".c"));
    name.unwrap_or(&text).to_owned()
}

impl Override {
    /// Whether it is for a source, given relative to the project.
    pub fn is_for(&self, source: &Path) -> bool {
        let matches =
            |text: &str| Pattern::new(text).is_ok_and(|pattern| pattern.matcher.is_match(source));
        self.sources.iter().any(|text| matches(&text.value))
    }
}

impl Source {
    /// A source that was named on the command line, relative to the project.
    pub fn named(path: &Path) -> Self {
        let file = path.file_name().map_or(path, Path::new);
        Self { path: path.to_owned(), name: object_name(file) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;

    fn project(files: &[&str], patterns: &[&str]) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::write_atomic(&dir.path().join(file), b"").unwrap();
        }
        let mut project = Project::ad_hoc(dir.path(), dir.path().join("target/skep"));
        project.manifest.bpf.sources =
            patterns.iter().map(|text| Located::default_value((*text).to_owned())).collect();
        (dir, project)
    }

    #[test]
    fn order_is_by_path_and_generated_files_are_left_out() {
        let files = ["src/b.bpf.c", "src/a/z.bpf.c", "src/.x/h.bpf.c", "target/t.bpf.c", "m.bpf.c"];
        let (_dir, project) = project(&files, &["**/*.bpf.c"]);
        let names: Vec<_> = project.sources().unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["m", "src/a/z", "src/b"]);
    }

    #[test]
    fn names_are_relative_to_the_patterns_directory() {
        let (_dir, project) = project(&["src/b.bpf.c", "src/a/z.bpf.c"], &["src/**/*.bpf.c"]);
        let names: Vec<_> = project.sources().unwrap().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["a/z", "b"]);
    }

    #[test]
    fn nothing_and_twice_the_same_are_errors() {
        let (_dir, empty) = project(&["src/x.c"], &["src/**/*.bpf.c"]);
        assert!(matches!(empty.sources(), Err(Error::NoSources { .. })));
        let (_dir, twice) = project(&["a/x.bpf.c", "b/x.bpf.c"], &["a/*.bpf.c", "b/*.bpf.c"]);
        assert!(matches!(twice.sources(), Err(Error::SameObject { .. })));
    }

    #[test]
    fn options_add_up() {
        let manifest = "[bpf]\ncflags = [\"-A\"]\ndefines = [\"X\"]\n[[bpf.override]]\n\
            sources = [\"src/b*.bpf.c\"]\ncflags = [\"-B\"]\nmcpu = \"v2\"\n\
            [profile.release]\ncflags = [\"-C\"]\n";
        let mut project = Project::ad_hoc("/p", "/p/target");
        project.manifest = super::super::manifest::parse(Path::new("Skep.toml"), manifest).unwrap();
        let release = project.manifest.release.clone();
        let options = project.options(Path::new("src/bee.bpf.c"), &release);
        assert_eq!(
            (options.cflags, options.mcpu.value),
            (vec!["-A".into(), "-B".into(), "-C".into()], Mcpu::V2)
        );
        let options = project.options(Path::new("src/ant.bpf.c"), &Profile::default());
        assert_eq!((options.cflags, options.mcpu.value), (vec!["-A".to_owned()], Mcpu::V3));
    }

    #[test]
    fn patterns_stay_inside() {
        for text in ["../x.bpf.c", "/etc/*.bpf.c", "", "src/[a"] {
            assert!(check_pattern(text).is_err(), "{text}");
        }
        assert!(check_pattern("./src/{a,b}.bpf.c").is_ok());
    }
}
