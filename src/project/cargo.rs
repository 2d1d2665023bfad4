//! Cargo packages with `[package.metadata.skep]`. The one door to
//! `cargo metadata`.
//!
//! Asking cargo costs a tenth of a second, so the manifest's text is looked
//! at first, and cargo is asked only if skep is spoken of there: for what the
//! text alone does not tell (values inherited from the workspace, the target
//! directory).

use super::{Error, Kind, Manifest, Project, Workspace, manifest};
use crate::base::fs;
use cargo_metadata::Metadata;
use std::path::Path;

/// Whether a `Cargo.toml` has something for skep.
pub(super) fn speaks_of_skep(path: &Path) -> bool {
    let text = fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.is_some_and(|text| !matches!(manifest::parse_cargo(path, &text), Ok(None)))
}

/// The project that a `Cargo.toml` describes, if it speaks of skep.
pub(super) fn package(dir: &Path, path: &Path, text: &str) -> Result<Option<Project>, Error> {
    if !text.contains("skep") {
        return Ok(None);
    }
    let Some(manifest) = manifest::parse_cargo(path, text).map_err(Error::Manifest)? else {
        return Ok(None);
    };
    project(dir, path, manifest, &ask(path)?).map(Some)
}

/// The workspace that the Cargo package in `dir` belongs to, if there are
/// others in it.
pub(super) fn workspace(dir: &Path) -> Result<Option<Workspace>, Error> {
    let path = dir.join("Cargo.toml");
    if !fs::is_file(&path) {
        return Ok(None);
    }
    let metadata = ask(&path)?;
    if metadata.workspace_packages().len() < 2 {
        return Ok(None);
    }
    let mut packages = Vec::new();
    for package in metadata.workspace_packages() {
        let path = package.manifest_path.as_std_path();
        let dir = fs::parent_of(path);
        if fs::is_file(&dir.join(super::MANIFEST)) {
            packages.extend(Project::at(dir)?);
            continue;
        }
        let text = super::discover::read_text(path)?;
        if let Some(manifest) = manifest::parse_cargo(path, &text).map_err(Error::Manifest)? {
            packages.push(project(dir, path, manifest, &metadata)?);
        }
    }
    packages.sort_by(|a, b| a.root.cmp(&b.root));
    let root = metadata.workspace_root.as_std_path().to_owned();
    Ok((!packages.is_empty()).then_some(Workspace { root, packages }))
}

/// The workspace whose own `Cargo.toml` lies in `dir`.
pub(super) fn workspace_root(dir: &Path) -> Result<Option<Workspace>, Error> {
    let bytes = fs::read_if_exists(&dir.join("Cargo.toml"))?.unwrap_or_default();
    match String::from_utf8_lossy(&bytes).contains("[workspace") {
        true => workspace(dir),
        false => Ok(None),
    }
}

fn failed(path: &Path, reason: String) -> Error {
    Error::Cargo { manifest: path.to_owned(), reason }
}

fn ask(path: &Path) -> Result<Metadata, Error> {
    let mut command = cargo_metadata::MetadataCommand::new();
    command.manifest_path(path).no_deps();
    command.exec().map_err(|error| failed(path, last_words(&error)))
}

fn project(
    dir: &Path,
    path: &Path,
    mut manifest: Manifest,
    metadata: &Metadata,
) -> Result<Project, Error> {
    let canonical = fs::canonicalize(path)?;
    let package = metadata
        .packages
        .iter()
        .find(|package| {
            let found = package.manifest_path.as_std_path();
            found == path || fs::canonicalize(found).is_ok_and(|found| found == canonical)
        })
        .ok_or_else(|| failed(path, "cargo does not list this package".to_owned()))?;
    let own = &mut manifest.package;
    let name = own.name.get_or_insert_with(|| package.name.to_string()).clone();
    own.version.get_or_insert_with(|| package.version.to_string());
    if own.license.is_none() {
        own.license.clone_from(&package.license);
    }
    let target = metadata.target_directory.as_std_path().join("skep");
    let is_one_of_several = metadata.workspace_packages().len() > 1;
    Ok(Project {
        kind: Kind::Cargo,
        root: dir.to_owned(),
        manifest_path: Some(path.to_owned()),
        // The target directory is everybody's.
        target: if is_one_of_several { target.join(&name) } else { target },
        workspace: is_one_of_several.then(|| metadata.workspace_root.as_std_path().to_owned()),
        name,
        manifest,
    })
}

/// The line of cargo's complaint that says the most.
fn last_words(error: &cargo_metadata::Error) -> String {
    let text = match error {
        cargo_metadata::Error::CargoMetadata { stderr } => stderr.clone(),
        other => other.to_string(),
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason");
    line.trim_start_matches("error: ").to_owned()
}
