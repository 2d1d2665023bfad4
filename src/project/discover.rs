//! Finding the project somebody stands in.

use super::{Error, Kind, MANIFEST, Project, cargo, directory_name, manifest, workspace};
use crate::base::fs;
use crate::diagnostics::Diagnostic;
use crate::diagnostics::{Origin, Span, codes};
use std::path::Path;

impl Project {
    /// The project in `dir` or the nearest directory above it. In one
    /// directory `Skep.toml` outweighs `Cargo.toml`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::NoPackage`] if the
    /// nearest manifest is only a workspace's; [`Error::Manifest`] with every
    /// mistake if its manifest has some.
    pub fn find(dir: &Path) -> Result<Self, Error> {
        for candidate in dir.ancestors() {
            if let Some(project) = Self::at(candidate)? {
                return Ok(project);
            }
        }
        Err(Error::NotFound { from: dir.to_owned() })
    }

    /// The project whose own directory `dir` is, if it is one's.
    pub fn at(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(MANIFEST);
        if fs::is_file(&path) {
            let shared = workspace::shared_with(dir)?;
            let manifest = manifest::parse_member(&path, &read_text(&path)?, &shared.manifest)
                .map_err(Error::Manifest)?;
            if !manifest.is_package {
                return Err(Error::NoPackage { manifest: path });
            }
            let name = manifest.package.name.clone().unwrap_or_else(|| directory_name(dir));
            let workspace = match manifest.workspace {
                Some(_) => Some(dir.to_owned()),
                None => shared.root,
            };
            let target = |root: &Path| root.join("target").join("skep");
            let project = Self {
                kind: Kind::Skep,
                root: dir.to_owned(),
                target: match &workspace {
                    Some(root) => target(root).join(&name),
                    None => target(dir),
                },
                name,
                manifest_path: Some(path),
                manifest,
                workspace,
            };
            return Ok(Some(project));
        }
        let path = dir.join("Cargo.toml");
        if fs::is_file(&path) {
            return cargo::package(dir, &path, &read_text(&path)?);
        }
        Ok(None)
    }
}

/// A manifest's text. That it is not UTF-8 is a mistake in the manifest.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    String::from_utf8(fs::read(path)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let diagnostic =
            Diagnostic::new(codes::MANIFEST_SYNTAX, Origin::Manifest, "the manifest is not UTF-8")
                .at(Span::of_bytes(path, &text, valid..valid));
        Error::Manifest(vec![diagnostic])
    })
}
