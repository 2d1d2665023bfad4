//! Cargo packages with `[package.metadata.skep]`. The one door to
//! `cargo metadata`.
//!
//! Asking cargo costs a tenth of a second, so the manifest's text is looked
//! at first, and cargo is asked only if skep is spoken of there: for what the
//! text alone does not tell (values inherited from the workspace, the target
//! directory).

use super::{Error, Kind, Project, manifest};
use crate::base::fs;
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
    let Some(mut manifest) = manifest::parse_cargo(path, text).map_err(Error::Manifest)? else {
        return Ok(None);
    };
    let failed = |reason: String| Error::Cargo { manifest: path.to_owned(), reason };
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(path)
        .no_deps()
        .exec()
        .map_err(|error| failed(last_words(&error)))?;
    let canonical = fs::canonicalize(path)?;
    let package = metadata
        .packages
        .iter()
        .find(|package| {
            let found = package.manifest_path.as_std_path();
            found == path || fs::canonicalize(found).is_ok_and(|found| found == canonical)
        })
        .ok_or_else(|| failed("cargo does not list this package".to_owned()))?;
    let own = &mut manifest.package;
    let name = own.name.get_or_insert_with(|| package.name.to_string()).clone();
    own.version.get_or_insert_with(|| package.version.to_string());
    if own.license.is_none() {
        own.license.clone_from(&package.license);
    }
    Ok(Some(Project {
        kind: Kind::Cargo,
        root: dir.to_owned(),
        manifest_path: Some(path.to_owned()),
        name,
        manifest,
        target: metadata.target_directory.as_std_path().join("skep"),
    }))
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
