//! What the records of all steps come to, in one file: a build with nothing to
//! do reads this one, looks at each file once, and need not read a record for
//! every step.
//!
//! A run that found every step fresh writes it, of steps and records. It holds
//! all that made them fresh: what determines each step, and the stamps of the
//! files that were read and written. So it is as good as the records whatever
//! became of those since, and where anything does not fit, the records decide
//! as if it were not there. It is written only if every stamp can be trusted
//! (see [`super::record`]).

use super::record::{self, Record, STAMP_LEN, Stamp};
use super::steps::{Step, put};
use crate::base::fs;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What each step's tool said, if every step is fresh as the summary in a file
/// has it. Paths of files are relative to `root`.
pub fn read(path: &Path, root: &Path, steps: &[Step<'_>]) -> Option<Vec<String>> {
    let bytes = fs::read_if_exists(path).ok()??;
    let mut rest = Reader(bytes.strip_prefix(&*description(steps))?);
    let logs: Option<Vec<String>> = steps.iter().map(|_| rest.text()).collect();
    for _ in 0..rest.count()? {
        let path = Path::new(OsStr::from_bytes(rest.bytes()?));
        let then = rest.stamp()?;
        if record::stamp_of(&root.join(path)) != Some(then) {
            return None;
        }
    }
    logs
}

/// Writes a summary of steps whose records have just been found to hold,
/// unless one of them says nothing certain about a file.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    path: &Path,
    steps: &[Step<'_>],
    records: &[&Record],
    aside: &Path,
) -> Result<(), fs::Error> {
    let mut files: BTreeMap<&Path, Stamp> = BTreeMap::new();
    for (file, stamp) in records.iter().flat_map(|record| record.files()) {
        let Some(stamp) = stamp else { return Ok(()) };
        // Two records of one file differ where its bytes were hashed again.
        if files.insert(file, stamp).is_some_and(|other| other != stamp) {
            return Ok(());
        }
    }
    let mut out = description(steps);
    for record in records {
        add(&mut out, record.log.as_bytes());
    }
    add_count(&mut out, files.len());
    for (file, stamp) in files {
        add(&mut out, file.as_os_str().as_bytes());
        for number in stamp {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    put(path, &out, aside)
}

/// What determines the steps besides the bytes of files; with it begins the
/// summary.
fn description(steps: &[Step<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(steps.len() * 1024);
    add(&mut out, format!("skep {}", record::FORMAT).as_bytes());
    add_count(&mut out, steps.len());
    for step in steps {
        add(&mut out, step.name.as_bytes());
        add_count(&mut out, step.key.len());
        for (name, value) in &step.key {
            add(&mut out, name.as_bytes());
            add(&mut out, value.as_bytes());
        }
        for paths in [&step.inputs, &step.outputs] {
            add_count(&mut out, paths.len());
            for path in paths {
                add(&mut out, path.as_os_str().as_bytes());
            }
        }
    }
    out
}

fn add(out: &mut Vec<u8>, bytes: &[u8]) {
    add_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn add_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

/// What is not read yet. Nothing comes of a file that was cut.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn word(&mut self) -> Option<[u8; 8]> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*word)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.word()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let mut stamp = [0; STAMP_LEN];
        for number in &mut stamp {
            *number = i64::from_le_bytes(self.word()?);
        }
        Some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Files, next_tick};
    use super::super::steps::Ran;
    use super::*;

    fn step(dir: &Path, flags: &str) -> Step<'static> {
        Step {
            name: "dev/compile/a".to_owned(),
            verb: None,
            subject: "a".to_owned(),
            key: vec![("the flags", flags.to_owned())],
            inputs: vec![dir.join("in")],
            outputs: vec![dir.join("out")],
            after: Vec::new(),
            run: Box::new(|| Ok(Ran::default())),
        }
    }

    /// A summary of one step, and the step.
    fn summary(dir: &Path) -> [Step<'static>; 1] {
        for name in ["in", "header", "out"] {
            fs::write_atomic(&dir.join(name), name.as_bytes()).unwrap();
        }
        let began = next_tick();
        let steps = [step(dir, "-O2")];
        let Step { key, outputs, .. } = &steps[0];
        let inputs = [dir.join("in"), dir.join("header")];
        let log = "a warning".to_owned();
        let record = Record::of_step(&Files::new(dir), key, &inputs, outputs, began, log);
        write(&dir.join("summary"), &steps, &[&record], &dir.join("aside")).unwrap();
        steps
    }

    #[test]
    fn it_holds_as_long_as_everything_is_as_it_was() {
        for name in ["in", "header", "out"] {
            let place = tempfile::tempdir().unwrap();
            let (dir, path) = (place.path(), place.path().join("summary"));
            let steps = summary(dir);
            assert_eq!(read(&path, dir, &steps), Some(vec!["a warning".to_owned()]));
            assert_eq!(read(&path, dir, &[step(dir, "-O1")]), None, "other flags");
            assert_eq!(read(&path, dir, &[]), None, "no step");
            fs::write_atomic(&dir.join(name), name.as_bytes()).unwrap();
            assert_eq!(read(&path, dir, &steps), None, "{name} is another file");
        }
    }

    #[test]
    fn what_was_cut_says_nothing() {
        let place = tempfile::tempdir().unwrap();
        let (dir, path) = (place.path(), place.path().join("summary"));
        let steps = summary(dir);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write_atomic(&path, &whole[..length]).unwrap();
            assert_eq!(read(&path, dir, &steps), None, "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_cannot_be_trusted_keeps_it_from_being_written() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path();
        fs::write_atomic(&dir.join("in"), b"1").unwrap();
        fs::write_atomic(&dir.join("out"), b"2").unwrap();
        let steps = [step(dir, "-O2")];
        // It changed after the step began: nobody knows which bytes were read.
        let Step { key, inputs, outputs, .. } = &steps[0];
        let record = Record::of_step(&Files::new(dir), key, inputs, outputs, (0, 0), String::new());
        let path = dir.join("summary");
        write(&path, &steps, &[&record], &dir.join("aside")).unwrap();
        assert!(!fs::exists(&path));
    }
}
