//! Workspaces: packages that belong together, below a `Skep.toml` with
//! `[workspace]` or in a workspace of Cargo's. They are built into one
//! directory, each below its name, because two packages may well have a
//! `src/main.bpf.c`.

use super::manifest::{self, Located, Manifest, Members};
use super::sources::Pattern;
use super::{Error, MANIFEST, Project, cargo, discover, is_project_dir};
use crate::base::fs;
use crate::diagnostics::{Diagnostic, Origin, Span, codes};
use std::path::{Path, PathBuf};

/// A workspace with its packages.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its directory, absolute.
    pub root: PathBuf,
    /// The packages, by their directories' paths; the root's own, if it is
    /// one, comes first.
    pub packages: Vec<Project>,
}

/// A manifest with `[workspace]`.
struct Root {
    dir: PathBuf,
    path: PathBuf,
    text: String,
    manifest: Manifest,
}

impl Workspace {
    /// The workspace that the package in `dir` or the nearest directory above
    /// belongs to, or that `dir` lies in without being a package's.
    ///
    /// # Errors
    /// Mistakes in any of its manifests.
    pub fn find(dir: &Path) -> Result<Option<Self>, Error> {
        for candidate in dir.ancestors() {
            if let Some(root) = Root::at(candidate)? {
                return root.workspace().map(Some);
            }
            if is_project_dir(candidate) {
                return match Root::above(candidate)? {
                    Some(root) => root.workspace().map(Some),
                    None => cargo::workspace(candidate),
                };
            }
            if let Some(workspace) = cargo::workspace_root(candidate)? {
                return Ok(Some(workspace));
            }
        }
        Ok(None)
    }

    /// The package of that name.
    ///
    /// # Errors
    /// [`Error::NoSuchPackage`] if there is none.
    pub fn package(&self, name: &str) -> Result<&Project, Error> {
        self.packages.iter().find(|package| package.name == name).ok_or_else(|| {
            let known = self.packages.iter().map(|package| package.name.clone()).collect();
            Error::NoSuchPackage { name: name.to_owned(), known }
        })
    }
}

/// What a package has of its workspace.
pub(super) struct Shared {
    /// The workspace's directory; none for a package that stands alone.
    pub root: Option<PathBuf>,
    /// What holds where the package's own manifest says nothing, with paths as
    /// the package would write them.
    pub manifest: Manifest,
}

/// What the package in `dir` has of the workspace that counts it among its own.
pub(super) fn shared_with(dir: &Path) -> Result<Shared, Error> {
    let Some(root) = Root::above(dir)? else {
        return Ok(Shared { root: None, manifest: Manifest::default() });
    };
    let mistakes = root.missing_includes();
    if !mistakes.is_empty() {
        return Err(Error::Manifest(mistakes));
    }
    let manifest = root.shared_with(dir);
    Ok(Shared { root: Some(root.dir), manifest })
}

impl Root {
    /// The manifest in this very directory, if it has `[workspace]`.
    fn at(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(MANIFEST);
        if !fs::is_file(&path) {
            return Ok(None);
        }
        let text = discover::read_text(&path)?;
        // Most manifests have none, and need not be read twice.
        if !text.contains("workspace") {
            return Ok(None);
        }
        let manifest = manifest::parse(&path, &text).map_err(Error::Manifest)?;
        let is_root = manifest.workspace.is_some();
        Ok(is_root.then(|| Self { dir: dir.to_owned(), path, text, manifest }))
    }

    /// The manifest above `dir` that names it.
    fn above(dir: &Path) -> Result<Option<Self>, Error> {
        for above in dir.ancestors().skip(1) {
            if let Some(root) = Self::at(above)?
                && root.names(dir)
            {
                return Ok(Some(root));
            }
        }
        Ok(None)
    }

    fn names(&self, dir: &Path) -> bool {
        let Ok(relative) = dir.strip_prefix(&self.dir) else { return false };
        let is_in = |patterns: &[Located<String>]| {
            patterns.iter().any(|text| {
                Pattern::new(&text.value).is_ok_and(|pattern| pattern.matcher.is_match(relative))
            })
        };
        self.manifest
            .workspace
            .as_ref()
            .is_some_and(|Members { members, exclude, .. }| is_in(members) && !is_in(exclude))
    }

    /// What it says for all packages, as the one in `dir` would write it. Places
    /// in the text are left out: they are not of the package's manifest.
    fn shared_with(&self, dir: &Path) -> Manifest {
        fn forget<T>(value: &mut Located<T>) {
            value.range = None;
        }
        let depth = dir.strip_prefix(&self.dir).map_or(0, |below| below.components().count());
        let up: PathBuf = std::iter::repeat_n("..", depth).collect();
        let seen_from_there = |path: &str| up.join(path).to_string_lossy().into_owned();
        let mut manifest =
            self.manifest.workspace.as_ref().map(|own| (*own.shared).clone()).unwrap_or_default();
        let bpf = &mut manifest.bpf;
        // A default is each package's own.
        for path in bpf.include.iter_mut().filter(|path| path.range.is_some()) {
            path.value = seen_from_there(&path.value);
            forget(path);
        }
        if let manifest::Vmlinux::Path(path) = &mut bpf.vmlinux.value {
            *path = up.join(&*path);
        }
        let kernels =
            bpf.btf.iter_mut().map(|btf| &mut btf.from).chain(&mut manifest.kernels.matrix);
        for kernel in kernels {
            // A reference may be a file.
            if fs::exists(&self.dir.join(&kernel.value)) {
                kernel.value = seen_from_there(&kernel.value);
            }
            forget(kernel);
        }
        // They are of no place in the package's manifest.
        manifest.lint_names.clear();
        let user = &mut manifest.user;
        forget(&mut bpf.vmlinux);
        forget(&mut bpf.mcpu);
        forget(&mut user.kind);
        forget(&mut user.libbpf);
        bpf.clang.iter_mut().chain(&mut bpf.launcher).for_each(forget);
        bpf.sources.iter_mut().chain(&mut user.sources).for_each(forget);
        for own in &mut bpf.overrides {
            own.sources.iter_mut().for_each(forget);
            own.mcpu.iter_mut().for_each(forget);
        }
        manifest
    }

    /// The include directories for all packages that are not there.
    fn missing_includes(&self) -> Vec<Diagnostic> {
        let shared = self.manifest.workspace.as_ref().map(|own| &own.shared.bpf.include);
        let written = shared.into_iter().flatten().filter(|dir| dir.range.is_some());
        let missing = written.filter(|dir| !fs::is_dir(&self.dir.join(&dir.value)));
        missing
            .map(|dir| {
                let message = format!("the include directory `{}` is not there", dir.value);
                self.wrong(dir, message)
            })
            .collect()
    }

    fn workspace(self) -> Result<Workspace, Error> {
        let mut mistakes = Vec::new();
        let mut packages: Vec<Project> = Vec::new();
        if self.manifest.is_package {
            packages.extend(Project::at(&self.dir)?);
        }
        let members = self.manifest.workspace.as_ref().map_or(&[][..], |known| &known.members);
        for text in members {
            // The manifest's reader has refused patterns that are wrong.
            let Ok(pattern) = Pattern::new(&text.value) else { continue };
            let dirs = self.directories(&pattern);
            if dirs.is_empty() {
                mistakes.push(self.nothing_matches(text, &pattern));
            }
            for dir in dirs {
                if packages.iter().any(|known| known.root == dir) {
                    continue;
                }
                if Self::at(&dir)?.is_some() {
                    let name = dir.strip_prefix(&self.dir).unwrap_or(&dir).display();
                    let message = format!("{name} is a workspace itself, and cannot be in another");
                    mistakes.push(self.wrong(text, message));
                    continue;
                }
                let Some(package) = Project::at(&dir)? else { continue };
                if let Some(same) = packages.iter().find(|known| known.name == package.name) {
                    let [one, other] = [same, &package].map(|package| {
                        let root = package.root.strip_prefix(&self.dir).unwrap_or(&package.root);
                        root.join(package.manifest_name()).display().to_string()
                    });
                    let message =
                        format!("two packages are called `{}`: {one} and {other}", package.name);
                    let help = "give one of them another `name` in [package]";
                    mistakes.push(self.wrong(text, message).help(help));
                    continue;
                }
                packages.push(package);
            }
        }
        if !mistakes.is_empty() {
            return Err(Error::Manifest(mistakes));
        }
        let first = usize::from(self.manifest.is_package).min(packages.len());
        packages[first..].sort_by(|a, b| a.root.cmp(&b.root));
        Ok(Workspace { root: self.dir, packages })
    }

    /// The directories that match and have a manifest; of a pattern without
    /// wildcards, whether it has one or not is the user's affair.
    fn directories(&self, pattern: &Pattern) -> Vec<PathBuf> {
        let depth = |path: &Path| path.components().count();
        let most = depth(&self.dir) + depth(Path::new(pattern.matcher.glob().glob()));
        let deep = if pattern.matcher.glob().glob().contains("**") { 64 } else { most };
        let start = self.dir.join(&pattern.base);
        let walk = walkdir::WalkDir::new(&start)
            .follow_links(true)
            .max_depth(deep.saturating_sub(depth(&start)))
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| {
                let name = entry.file_name().to_string_lossy();
                let passed_over = name.starts_with('.') || name == "target";
                entry.file_type().is_dir() && (entry.depth() == 0 || !passed_over)
            });
        walk.filter_map(Result::ok)
            .map(walkdir::DirEntry::into_path)
            .filter(|dir| *dir != self.dir && self.names(dir))
            .filter(|dir| {
                let relative = dir.strip_prefix(&self.dir).unwrap_or(dir);
                pattern.matcher.is_match(relative) && is_project_dir(dir)
            })
            .collect()
    }

    fn nothing_matches(&self, text: &Located<String>, pattern: &Pattern) -> Diagnostic {
        let shown = text.value.escape_debug();
        let dir = self.dir.join(&text.value);
        if !pattern.literal {
            let message = format!("no directory with a package matches `{shown}`");
            return self.wrong(text, message).help("make one with `skep new`");
        }
        let message = match fs::is_dir(&dir) {
            true => format!("{shown} is no package: it has no {MANIFEST}"),
            false => format!("there is no directory {shown}"),
        };
        self.wrong(text, message).help(format!("make a package of it: `skep new {shown}`"))
    }

    fn wrong(&self, text: &Located<String>, message: String) -> Diagnostic {
        let mistake = Diagnostic::new(codes::MANIFEST_VALUE, Origin::Manifest, message);
        match text.range.clone() {
            Some(range) => mistake.at(Span::of_bytes(&self.path, &self.text, range)),
            None => mistake.in_file(&self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            fs::write_atomic(&dir.path().join(path), text.as_bytes()).unwrap();
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let workspace = Workspace::find(dir).unwrap().unwrap();
        workspace.packages.into_iter().map(|package| package.name).collect()
    }

    #[test]
    fn members_are_found_from_anywhere_and_share_a_directory() {
        let root = "[workspace]\nmembers = [\"net/*\", \"deep/er/last\"]\nexclude = [\"net/x*\"]\n";
        let dir = place(&[
            ("Skep.toml", root),
            ("net/b/Skep.toml", ""),
            ("net/a/Skep.toml", "[package]\nname = \"ant\"\n"),
            ("net/a/src/deep/x", ""),
            ("net/xdp/Skep.toml", ""),
            ("net/none/README", ""),
            ("deep/er/last/Skep.toml", ""),
            ("apart/Skep.toml", ""),
        ]);
        for from in ["", "net", "net/a/src/deep", "net/b"] {
            assert_eq!(names(&dir.path().join(from)), ["last", "ant", "b"], "{from}");
        }
        let ant = Project::find(&dir.path().join("net/a/src")).unwrap();
        assert_eq!(ant.target, dir.path().join("target/skep/ant"));
        for apart in ["apart", "net/xdp"] {
            let apart = dir.path().join(apart);
            assert!(Workspace::find(&apart).unwrap().is_none());
            assert_eq!(Project::find(&apart).unwrap().target, apart.join("target/skep"));
        }
        assert!(matches!(Project::find(dir.path()), Err(Error::NoPackage { .. })));
    }

    #[test]
    fn a_root_may_be_a_package_itself() {
        let root =
            "[package]\nname = \"root\"\n[workspace]\nmembers = [\"*\"]\n[bpf]\nlink = true\n";
        let dir = place(&[("Skep.toml", root), ("a/Skep.toml", ""), ("src/x", "")]);
        assert_eq!(names(dir.path()), ["root", "a"]);
        assert!(Project::find(dir.path()).unwrap().manifest.bpf.link);
    }

    #[test]
    fn packages_have_what_the_workspace_says_for_all() {
        let root = "[package]\nname = \"root\"\n[workspace]\nmembers = [\"net/*\"]\n\
                    [workspace.package]\nversion = \"1.2\"\n[workspace.bpf]\nmcpu = \"v2\"\n\
                    include = [\"common\"]\nbtf = \"kernels/a.btf\"\ndefines = [\"A\"]\n\
                    [workspace.kernels]\nmin = \"5.10\"\nmatrix = [\"debian/sid\"]\n\
                    [workspace.lints]\n\"large-stack\" = \"deny\"\n\"dead-code\" = \"allow\"\n";
        let own = "[package]\nversion = \"2\"\n[bpf]\ndefines = [\"B\"]\n[lints]\n\
                   \"large-stack\" = \"warn\"\n";
        let dir = place(&[
            ("Skep.toml", root),
            ("common/x.h", ""),
            ("kernels/a.btf", ""),
            ("net/a/Skep.toml", own),
            ("net/b/Skep.toml", ""),
        ]);
        let packages = Workspace::find(dir.path()).unwrap().unwrap().packages;
        let [root, a, b] = [0, 1, 2].map(|index| &packages[index].manifest);
        let versions = [root, a, b].map(|manifest| manifest.package.version.clone().unwrap());
        assert_eq!(versions, ["1.2", "2", "1.2"]);
        assert_eq!([&a.bpf.defines[0], &b.bpf.defines[0]], ["B", "A"]);
        for manifest in [a, b] {
            assert_eq!(manifest.bpf.mcpu.value, manifest::Mcpu::V2);
            assert_eq!(manifest.bpf.include, [Located::default_value("../../common".to_owned())]);
            assert_eq!(manifest.bpf.btf.as_ref().unwrap().from.value, "../../kernels/a.btf");
            assert_eq!(manifest.kernels.matrix[0].value, "debian/sid");
            assert_eq!(manifest.kernels.matrix[0].range, None);
        }
        assert_eq!(root.bpf.include[0].value, "common");
        use crate::diagnostics::Level;
        assert_eq!([a.lints["large-stack"], a.lints["dead-code"]], [Level::Warn, Level::Allow]);
    }

    #[test]
    fn mistakes_are_said_where_they_stand() {
        let root = "[workspace]\nmembers = [\"a\", \"b\", \"c*\", \"inner\", \"d\", \"e\"]\n";
        let dir = place(&[
            ("Skep.toml", root),
            ("b/README", ""),
            ("inner/Skep.toml", "[workspace]\nmembers = []\n"),
            ("d/Skep.toml", "[package]\nname = \"twin\"\n"),
            ("e/Skep.toml", "[package]\nname = \"twin\"\n"),
        ]);
        let Err(Error::Manifest(mistakes)) = Workspace::find(dir.path()) else { panic!() };
        let said: Vec<_> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        let expected = [
            "there is no directory a",
            "b is no package: it has no Skep.toml",
            "no directory with a package matches `c*`",
            "inner is a workspace itself, and cannot be in another",
            "two packages are called `twin`: d/Skep.toml and e/Skep.toml",
        ];
        assert_eq!(said, expected);
        assert_eq!(mistakes[2].primary.as_ref().unwrap().span.start.column, 22);
    }
}
