//! `skep metadata`: what a project is and what its objects hold. Nothing is
//! built, and nothing is said of objects that are not there.

use super::Session;
use super::build::{Profile, objects_of};
use crate::base::fs;
use crate::diagnostics::Diagnostic;
use crate::elf::Object;
use crate::project::Project;
use std::path::PathBuf;

/// A project and its objects.
#[derive(Clone, Debug)]
pub struct Package {
    /// The project with its manifest.
    pub project: Project,
    /// Its sources, absolute.
    pub sources: Vec<PathBuf>,
    /// What is made of them, for each profile.
    pub objects: Vec<Artifact>,
}

/// An object, which may not be built yet.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its name, without `.bpf.o`.
    pub name: String,
    /// The profile.
    pub profile: Profile,
    /// The file, absolute.
    pub path: PathBuf,
    /// The sources it is made of, absolute.
    pub sources: Vec<PathBuf>,
    /// What is in it; nothing for one that is not built or cannot be read.
    pub contents: Option<Contents>,
}

/// What is in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says of its license.
    pub license: Option<String>,
    /// Its programs.
    pub programs: Vec<Program>,
    /// Its maps.
    pub maps: Vec<Map>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its section, as `SEC()` wrote it.
    pub section: String,
    /// Its type, by libbpf's name; nothing where libbpf knows none.
    pub program_type: Option<&'static str>,
    /// What it is attached to, as far as the section says.
    pub target: Option<String>,
    /// Its instructions, in slots of 8 bytes.
    pub instructions: usize,
}

/// A map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// Its type, by libbpf's name; nothing where skep knows none.
    pub map_type: Option<&'static str>,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// How many elements it has room for.
    pub max_entries: u32,
}

/// Describes the project that the current directory lies in.
///
/// # Errors
/// Every mistake in the manifest, or that there is no project.
pub fn run(session: &Session) -> Result<Package, Vec<Diagnostic>> {
    let project = Project::find(&session.cwd).map_err(|error| error.into_diagnostics())?;
    let sources = project.sources().map_err(|error| error.into_diagnostics())?;
    let absolute = |source: &crate::project::Source| project.root.join(&source.path);
    let mut objects = Vec::new();
    for profile in [Profile::Dev, Profile::Release] {
        for object in objects_of(&project, &sources, &project.target, profile, false) {
            objects.push(Artifact {
                sources: object.sources.iter().map(|&index| absolute(&sources[index])).collect(),
                contents: contents(&object.path),
                name: object.name,
                path: object.path,
                profile,
            });
        }
    }
    Ok(Package { sources: sources.iter().map(absolute).collect(), objects, project })
}

fn contents(path: &std::path::Path) -> Option<Contents> {
    let object = Object::parse(&fs::read(path).ok()?).ok()?;
    let programs = object.programs().map(|program| {
        let target = object.target(program).ok();
        Program {
            name: program.name.clone(),
            section: object.section_name(program).to_owned(),
            program_type: target.map(|target| target.def.program_type.name()),
            target: target.and_then(|target| target.target).map(str::to_owned),
            instructions: program.slots.len(),
        }
    });
    let maps = object.maps.iter().map(|map| Map {
        name: map.name.clone(),
        map_type: map.def.known_type().map(|map_type| map_type.name()),
        key_size: map.def.key_size,
        value_size: map.def.value_size,
        max_entries: map.def.max_entries,
    });
    Some(Contents {
        programs: programs.collect(),
        maps: maps.collect(),
        license: object.license.clone(),
    })
}
