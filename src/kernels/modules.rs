//! A kernel's modules: what they are called, what each needs, and which one
//! has a type or function that the kernel itself has not.
//!
//! The last is asked for with every object that is verified, so it is looked
//! up in an index: a sorted text of lines `NAME MODULE`, made once a kernel of
//! the BTF in its modules. Kernels before 5.11 have no BTF in modules, and
//! nothing to find.

use super::{Error, Kernel, image};
use crate::base::fs;
use crate::btf::{Btf, Kind};
use crate::elf;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No module is larger unpacked.
const MAX_MODULE: u64 = 256 << 20;
/// How a module's file may end.
const ENDINGS: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];

/// A module, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name, as the kernel knows it: with `_`, without an ending.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
}

/// The module in a file of that name, if it is a module's.
pub(super) fn name(file: &str) -> Option<String> {
    let stem = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending))?;
    (!stem.is_empty()).then(|| stem.replace('-', "_"))
}

impl Kernel {
    /// The files of its modules, by name. Empty if it came without.
    pub fn modules(&self) -> Result<BTreeMap<String, PathBuf>, Error> {
        let mut found = BTreeMap::new();
        for path in self.module_dir.iter().flat_map(|dir| fs::files_below(dir)) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(name) = name(&file) {
                // `updates/`, where there is one, comes behind `kernel/`.
                found.insert(name, path);
            }
        }
        Ok(found)
    }

    /// Whether it came with modules.
    pub fn has_modules(&self) -> bool {
        self.module_dir.is_some()
    }

    /// Adds a module with those it needs to `modules`, which stay in the order
    /// they are to be loaded; none that is among them already.
    ///
    /// # Errors
    /// If the kernel came without such a module, or one of them is damaged;
    /// nothing is added then.
    pub fn add_module(&self, name: &str, modules: &mut Vec<Module>) -> Result<(), Error> {
        let files = self.modules()?;
        let mut seen = modules.iter().map(|module| module.name.clone()).collect();
        let mut order = Vec::new();
        self.collect(&name.replace('-', "_"), &files, &mut seen, &mut order)?;
        modules.append(&mut order);
        Ok(())
    }

    /// Adds a module behind those it needs.
    fn collect(
        &self,
        name: &str,
        files: &BTreeMap<String, PathBuf>,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<Module>,
    ) -> Result<(), Error> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let path = files.get(name).ok_or_else(|| Error::NotFound {
            reference: self.reference.clone(),
            reason: format!("it came without a module `{name}`"),
            help: None,
        })?;
        let bytes = read(path)?;
        for needed in needs(&bytes) {
            self.collect(&needed, files, seen, order)?;
        }
        order.push(Module { name: name.to_owned(), bytes });
        Ok(())
    }

    /// The modules that have these types, functions or variables, which the
    /// kernel itself has not. Names that nobody has are left out.
    pub fn modules_with(&self, names: &BTreeSet<&str>) -> Result<BTreeSet<String>, Error> {
        if names.is_empty() || self.module_dir.is_none() {
            return Ok(BTreeSet::new());
        }
        let index = match fs::map(&self.index) {
            Ok(index) => index,
            Err(_) => {
                fs::write_atomic(&self.index, self.make_index()?.as_bytes())?;
                fs::map(&self.index)?
            }
        };
        let mut found = BTreeSet::new();
        for name in names {
            found.extend(look_up(&index, name).map(str::to_owned));
        }
        Ok(found)
    }

    /// The BTF of a module, which continues the kernel's; none if it has none
    /// that can be read.
    pub fn module_btf(&self, name: &str, kernel: &Arc<Btf>) -> Result<Option<Btf>, Error> {
        let files = self.modules()?;
        let Some(path) = files.get(name) else { return Ok(None) };
        Ok(btf(&read(path)?, kernel))
    }

    fn make_index(&self) -> Result<String, Error> {
        let vmlinux = self.vmlinux()?;
        let section = elf::section(&vmlinux, ".BTF").ok().flatten();
        let Some(kernel) = section.and_then(|section| Btf::parse(section).ok()) else {
            return Ok(String::new());
        };
        let kernel = Arc::new(kernel);
        let known: BTreeSet<(&str, Kind)> = own_names(&kernel).collect();
        let mut lines = BTreeSet::new();
        for (module, path) in self.modules()? {
            // A module whose BTF cannot be read provides nothing.
            let Some(btf) = btf(&read(&path)?, &kernel) else { continue };
            for (name, kind) in own_names(&btf) {
                if !known.contains(&(name, kind)) {
                    lines.insert(format!("{name} {module}\n"));
                }
            }
        }
        Ok(lines.into_iter().collect())
    }
}

/// The BTF in a module's file.
fn btf(module: &[u8], kernel: &Arc<Btf>) -> Option<Btf> {
    let section = elf::section(module, ".BTF").ok()??;
    let btf = match elf::section(module, ".BTF.base") {
        Ok(Some(distilled)) => Btf::parse_distilled(section, distilled, Some(kernel)),
        _ => Btf::parse_split(section, Arc::clone(kernel)),
    };
    btf.ok()
}

/// The names that BTF adds to its base, of what programs may ask for.
fn own_names(btf: &Btf) -> impl Iterator<Item = (&str, Kind)> {
    let first = btf.first_own();
    btf.ids().filter(move |id| *id >= first).filter_map(|id| {
        let (name, kind) = (btf.name(id), btf.kind(id));
        let is_wanted = matches!(
            kind,
            Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Typedef
                | Kind::Func
                | Kind::Var
        );
        (is_wanted && !name.is_empty() && !name.contains([' ', '\n'])).then_some((name, kind))
    })
}

/// The module of the first line for a name.
fn look_up<'i>(index: &'i [u8], name: &str) -> Option<&'i str> {
    let prefix = format!("{name} ");
    let (mut low, mut high) = (0, index.len());
    while low < high {
        // The line that the middle lies in.
        let middle = low + (high - low) / 2;
        let start = index[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end = index[middle..].iter().position(|&byte| byte == b'\n');
        let end = end.map_or(index.len(), |at| middle + at);
        let line = &index[start..end];
        match line[..line.len().min(prefix.len())].cmp(prefix.as_bytes()) {
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return std::str::from_utf8(&line[prefix.len()..]).ok(),
        }
    }
    None
}

/// A module's ELF file, unpacked.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = fs::read(path)?;
    unpack(&bytes).map_err(|error| Error::Image {
        path: path.to_owned(),
        source: image::ImageError::Payload(error.to_string()),
    })
}

fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let reader: Box<dyn Read + '_> = match bytes {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::GzDecoder::new(bytes)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Box::new(liblzma::read::XzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(bytes)?),
        _ => return Ok(bytes.to_vec()),
    };
    let mut unpacked = Vec::new();
    match reader.take(MAX_MODULE + 1).read_to_end(&mut unpacked)? as u64 {
        ..=MAX_MODULE => Ok(unpacked),
        _ => Err(io::Error::other("it unpacks to too much")),
    }
}

/// A module as it is stored: packed, if it came as it is loaded.
pub(super) fn pack(file: String, bytes: Vec<u8>) -> io::Result<(String, Vec<u8>)> {
    match file.ends_with(".ko") {
        true => Ok((format!("{file}.zst"), zstd::encode_all(&bytes[..], 3)?)),
        false => Ok((file, bytes)),
    }
}

/// The modules that a module says it needs (`depends=a,b` in `.modinfo`).
fn needs(module: &[u8]) -> Vec<String> {
    let section = elf::section(module, ".modinfo").ok().flatten().unwrap_or_default();
    let depends =
        section.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(b"depends="));
    let depends = String::from_utf8_lossy(depends.unwrap_or_default()).replace('-', "_");
    depends.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_the_kernels_names() {
        assert_eq!(name("nf-nat_x.ko.xz").as_deref(), Some("nf_nat_x"));
        assert_eq!(name("a.ko").as_deref(), Some("a"));
        assert_eq!(name("modules.dep"), None);
        assert_eq!(name(".ko"), None);
    }

    #[test]
    fn every_line_of_an_index_is_found_and_nothing_else() {
        let index = b"a one\nab two\nb three\nlong_name four\nz five\n";
        for (name, module) in
            [("a", "one"), ("ab", "two"), ("b", "three"), ("long_name", "four"), ("z", "five")]
        {
            assert_eq!(look_up(index, name), Some(module));
        }
        for name in ["", "aa", "abc", "long", "long_name_x", "zz", "0"] {
            assert_eq!(look_up(index, name), None, "{name}");
        }
        assert_eq!(look_up(b"", "a"), None);
    }

    #[test]
    fn packed_modules_come_back() {
        let (file, packed) = pack("x.ko".into(), b"module".to_vec()).unwrap();
        assert_eq!(file, "x.ko.zst");
        assert_eq!(unpack(&packed).unwrap(), b"module");
        assert_eq!(pack("x.ko.xz".into(), b"as it is".to_vec()).unwrap().1, b"as it is");
    }
}
