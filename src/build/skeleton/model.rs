//! What libbpf makes of an object, as far as a skeleton shows it: maps in
//! libbpf's order (`bpf_object__init_maps`: those of `.maps`, then one for
//! each section of global data, then `.kconfig`, then one for each struct in
//! `.struct_ops*`), programs, and the variables that can be reached.

use super::{Error, identifier};
use crate::btf::{Btf, Kind, Linkage, Type, TypeId};
use crate::elf::{ExternKind, Object};
use std::collections::HashMap;
use std::sync::Arc;

/// The map type of an arena (`BPF_MAP_TYPE_ARENA`).
const ARENA: u32 = 33;

/// The section in which LLVM puts the globals of an arena.
const ARENA_SECTION: &str = ".addr_space.1";

/// Where options of the kernel's configuration are declared.
const KCONFIG: &str = ".kconfig";

/// A skeleton's content.
pub struct Model<'o> {
    /// Its name, the prefix of everything.
    pub name: &'o str,
    /// The maps.
    pub maps: Vec<Map<'o>>,
    /// The programs, by name.
    pub programs: Vec<&'o str>,
    /// The object's types.
    pub btf: Option<&'o Arc<Btf>>,
}

/// A map.
pub struct Map<'o> {
    /// Its member in the skeleton.
    pub member: String,
    /// The name by which libbpf finds it.
    pub name: &'o str,
    /// What more the skeleton has of it.
    pub content: Content,
}

/// What a skeleton has of a map besides the map itself.
pub enum Content {
    /// Nothing.
    None,
    /// A pointer to its variables.
    Globals(Globals),
    /// The struct it is made of.
    StructOps(TypeId),
}

/// Variables that lie in the memory of a map.
pub struct Globals {
    /// Their member in the skeleton.
    pub member: String,
    /// Whether `const` and `volatile` are part of the declarations. They are
    /// not where user programs may write before the object is loaded.
    pub qualified: bool,
    /// The variables, by offset.
    pub variables: Vec<Variable>,
}

/// A global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the object.
    pub name: String,
    /// Its member in the skeleton.
    pub member: String,
    /// Its type.
    pub ty: TypeId,
    /// Where it lies, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl<'o> Model<'o> {
    /// Reads an object.
    ///
    /// # Errors
    /// [`Error::Variable`].
    pub fn of(object: &'o Object, name: &'o str) -> Result<Self, Error> {
        let reader = Reader::new(object);
        let mut maps = Vec::new();
        for map in &object.maps {
            let arena = map.def.map_type == ARENA;
            let content = match reader.globals(ARENA_SECTION, "arena".to_owned())? {
                Some(globals) if arena => Content::Globals(globals),
                _ => Content::None,
            };
            maps.push(Map { member: map.name.clone(), name: &map.name, content });
        }
        for data in &object.data {
            let section = object.sections[data.section].name.as_str();
            maps.push(reader.internal(section)?);
        }
        if object.externs.iter().any(|known| known.kind == ExternKind::Kconfig) {
            maps.push(reader.internal(KCONFIG)?);
        }
        for section in &object.sections {
            let name = section.name.strip_prefix('?').unwrap_or(&section.name);
            if matches!(name, ".struct_ops" | ".struct_ops.link") && section.size > 0 {
                maps.extend(reader.struct_ops(&section.name));
            }
        }
        let programs = object.programs().map(|program| program.name.as_str()).collect();
        Ok(Self { name, maps, programs, btf: object.btf.as_ref() })
    }

    /// Sections whose variables can be reached.
    pub fn globals(&self) -> impl Iterator<Item = (&Map<'o>, &Globals)> {
        self.maps.iter().filter_map(|map| match &map.content {
            Content::Globals(globals) => Some((map, globals)),
            _ => None,
        })
    }

    /// The maps that are structs of functions, with the type of each.
    pub fn struct_ops(&self) -> impl Iterator<Item = (&Map<'o>, TypeId)> {
        self.maps.iter().filter_map(|map| match map.content {
            Content::StructOps(ty) => Some((map, ty)),
            _ => None,
        })
    }
}

struct Reader<'o> {
    object: &'o Object,
    btf: Option<&'o Btf>,
    /// Offset and visibility of global variables, which clang writes only
    /// into the symbols.
    symbols: HashMap<&'o str, (u64, bool)>,
}

impl<'o> Reader<'o> {
    fn new(object: &'o Object) -> Self {
        let variables = object.data.iter().flat_map(|data| &data.variables).chain(&object.arena);
        let symbols = variables.map(|known| (known.name.as_str(), (known.offset, known.hidden)));
        Self { object, btf: object.btf.as_deref(), symbols: symbols.collect() }
    }

    /// The map of a section of global data.
    fn internal(&self, section: &'o str) -> Result<Map<'o>, Error> {
        let member = identifier(section.trim_start_matches('.'));
        let content = match self.globals(section, member.clone())? {
            Some(globals) => Content::Globals(globals),
            None => Content::None,
        };
        Ok(Map { member, name: section, content })
    }

    /// The variables of a section, if the BTF speaks of one that is not
    /// static: only then is the map's memory mapped (`map_is_mmapable`).
    fn globals(&self, section: &str, member: String) -> Result<Option<Globals>, Error> {
        let Some((btf, Type::Datasec(list))) = self.datasec(section) else { return Ok(None) };
        let is_kconfig = section == KCONFIG;
        let mut variables = Vec::new();
        for item in list.items() {
            let Type::Var(var) = btf.ty(item.ty) else { continue };
            let symbol = self.symbols.get(var.name);
            let hidden = symbol.is_some_and(|(_, hidden)| *hidden);
            if var.linkage == Linkage::Static || hidden {
                continue;
            }
            let size = btf.size(var.ty).ok_or_else(|| Error::Variable {
                section: section.to_owned(),
                variable: var.name.to_owned(),
                what: "has no size",
            })?;
            // A linker has filled the offsets in; clang leaves them zero.
            let offset = match symbol {
                Some((offset, _)) if list.size == 0 => *offset,
                _ => u64::from(item.offset),
            };
            let (name, member) = (var.name.to_owned(), identifier(var.name));
            variables.push(Variable { name, member, ty: var.ty, offset, size });
        }
        if variables.is_empty() {
            return Ok(None);
        }
        if is_kconfig {
            place_kconfig(btf, &mut variables);
        }
        variables.sort_by_key(|variable| variable.offset);
        for pair in variables.windows(2) {
            if pair[0].offset.saturating_add(pair[0].size) > pair[1].offset {
                return Err(Error::Variable {
                    section: section.to_owned(),
                    variable: pair[1].name.clone(),
                    what: "begins within another one",
                });
            }
        }
        Ok(Some(Globals { member, qualified: is_kconfig, variables }))
    }

    /// The maps of a section of structs of functions.
    fn struct_ops(&self, section: &str) -> Vec<Map<'o>> {
        let Some((btf, Type::Datasec(list))) = self.datasec(section) else { return Vec::new() };
        let mut maps: Vec<(u32, Map<'o>)> = Vec::new();
        for item in list.items() {
            let Type::Var(var) = btf.ty(item.ty) else { continue };
            let ty = btf.resolve(var.ty);
            if matches!(btf.ty(ty), Type::Struct(known) if !known.name.is_empty()) {
                let (member, content) = (identifier(var.name), Content::StructOps(ty));
                maps.push((item.offset, Map { member, name: var.name, content }));
            }
        }
        maps.sort_by_key(|(offset, _)| *offset);
        maps.into_iter().map(|(_, map)| map).collect()
    }

    fn datasec(&self, name: &str) -> Option<(&'o Btf, Type<'o>)> {
        let exists = self.object.sections.iter().any(|known| known.name == name && known.size > 0);
        // What is declared extern has no section of its own.
        let btf = self.btf.filter(|_| exists || name == KCONFIG)?;
        Some((btf, btf.ty(btf.find(Kind::Datasec, name)?)))
    }
}

/// Places the options of the kernel's configuration as libbpf does
/// (`bpf_object__collect_externs`): the strictest alignment first, then the
/// smallest, then by name.
fn place_kconfig(btf: &Btf, variables: &mut [Variable]) {
    let align = |variable: &Variable| btf.align(variable.ty);
    variables.sort_by(|a, b| {
        align(b).cmp(&align(a)).then(a.size.cmp(&b.size)).then_with(|| a.name.cmp(&b.name))
    });
    let mut at = 0_u64;
    for variable in variables {
        variable.offset = at.next_multiple_of(btf.align(variable.ty));
        at = variable.offset.saturating_add(variable.size);
    }
}
