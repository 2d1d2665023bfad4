//! Writing a rendered project: all of it or nothing.

use super::{Error, File};
use crate::base::fs;
use std::path::{Path, PathBuf};

/// Files that a directory often has before it becomes a project; they are
/// left as they are.
const KEPT: &[&str] = &[".gitignore", "README.md"];

/// Makes the directory `dir` with these files in it. It may be there if it is
/// empty.
pub fn write_new(dir: &Path, files: &[File]) -> Result<(), Error> {
    if fs::exists(dir) && !fs::is_dir(dir) {
        return Err(Error::NoDirectory { path: dir.to_owned() });
    }
    if fs::exists(dir)
        && let Some(example) = fs::read_dir(dir)?.into_iter().next()
    {
        let example = example.strip_prefix(dir).unwrap_or(&example).to_owned();
        return Err(Error::NotEmpty { dir: dir.to_owned(), example });
    }
    let parent = fs::parent_of(dir);
    let above = fs::temporary_dir(parent)?;
    // The temporary directory is for its owner alone; the project inside it
    // has the permissions that new directories have.
    let whole = above.path().join("project");
    for file in files {
        write(&whole, file)?;
    }
    fs::rename(&whole, dir)?;
    Ok(())
}

/// Writes the files into a directory that is there, unless one of them is
/// there already. Gives back those that were and were kept.
pub fn write_into(dir: &Path, files: &[File]) -> Result<Vec<PathBuf>, Error> {
    let mut kept = Vec::new();
    let mut missing = Vec::new();
    for file in files {
        let path = dir.join(&file.path);
        if !fs::exists(&path) {
            missing.push(file);
        } else if KEPT.iter().any(|name| file.path == Path::new(name)) {
            kept.push(file.path.clone());
        } else {
            return Err(Error::Exists { path: file.path.clone() });
        }
    }
    let mut written: Vec<PathBuf> = Vec::new();
    for file in missing {
        if let Err(error) = write(dir, file) {
            // What cannot be removed now was writable a moment ago; there is
            // nothing better to say than why the file could not be written.
            for path in written {
                drop(fs::remove_file(&path));
            }
            return Err(error.into());
        }
        written.push(dir.join(&file.path));
    }
    Ok(kept)
}

fn write(dir: &Path, file: &File) -> fs::Result<()> {
    let mode = if file.executable { 0o755 } else { 0o644 };
    fs::write_atomic_with_mode(&dir.join(&file.path), &file.bytes, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<File> {
        [("Skep.toml", "a"), ("src/x.bpf.c", "b"), (".gitignore", "c")]
            .map(|(path, text)| File { path: path.into(), bytes: text.into(), executable: false })
            .into()
    }

    #[test]
    fn a_new_directory_has_all_or_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("p");
        write_new(&project, &files()).unwrap();
        assert_eq!(fs::read_to_string(&project.join("src/x.bpf.c")).unwrap(), "b");
        assert!(matches!(write_new(&project, &files()), Err(Error::NotEmpty { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap(), [project], "nothing is left beside it");
    }

    #[test]
    fn an_empty_directory_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        write_new(dir.path(), &files()).unwrap();
        assert!(fs::is_file(&dir.path().join("Skep.toml")));
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::write_atomic(&dir.path().join("src/x.bpf.c"), b"mine").unwrap();
        assert!(matches!(write_into(dir.path(), &files()), Err(Error::Exists { .. })));
        assert!(!fs::exists(&dir.path().join("Skep.toml")));
        fs::remove_file(&dir.path().join("src/x.bpf.c")).unwrap();
        fs::write_atomic(&dir.path().join(".gitignore"), b"mine").unwrap();
        assert_eq!(write_into(dir.path(), &files()).unwrap(), [PathBuf::from(".gitignore")]);
        assert_eq!(fs::read_to_string(&dir.path().join(".gitignore")).unwrap(), "mine");
    }
}
