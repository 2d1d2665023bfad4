//! What programs may read and write of their context.
//!
//! `context.tsv` has a row for each field that some type of program may access,
//! from the functions of Linux 6.12 and 7.2 that decide (the last column; the
//! two agree). Its columns: the program type, with `:` and attach types if only
//! those may; the field; where it begins and how long it is, in bytes; by how
//! many bytes at once it is read and written; the release that brought it, `-` if
//! that is 5.10 or older. What kernels refuse of narrow
//! accesses within a field is left out, so that the table refuses nothing that
//! some kernel takes. tests/vm/contexts.rs asks 5.10, 6.1, 6.12 and 7.2
//! themselves.

use super::{AttachType, KernelVersion, ProgramType};
use std::collections::HashMap;
use std::sync::OnceLock;

static TABLE: &str = include_str!("context.tsv");

/// A field of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextField {
    /// Its name, as in include/uapi/linux/bpf.h.
    pub name: &'static str,
    /// Where it begins, in bytes.
    pub offset: i64,
    /// How long it is, in bytes.
    pub bytes: i64,
    /// The attach types whose programs may access it; none for all.
    pub attach_types: Vec<AttachType>,
    /// By how many bytes at once it may be read.
    pub read: Vec<u8>,
    /// By how many bytes at once it may be written.
    pub write: Vec<u8>,
    /// The release that brought it; none for what 5.10 has.
    pub since: Option<KernelVersion>,
    /// The file and function of the kernel that say so.
    pub source: &'static str,
}

impl ContextField {
    /// By how many bytes at once it may be read or written by programs of an
    /// attach type; an attach type that is not known may be any.
    pub fn sizes(&self, attach: Option<AttachType>, is_write: bool) -> &[u8] {
        let may = self.attach_types.is_empty()
            || attach.is_none_or(|attach| self.attach_types.contains(&attach));
        match is_write {
            _ if !may => &[],
            true => &self.write,
            false => &self.read,
        }
    }
}

/// The fields that a place of a context lies in, by its offset in bytes.
pub fn fields_at(
    program: ProgramType,
    place: i64,
) -> Option<impl Iterator<Item = &'static ContextField>> {
    let holds =
        move |field: &&ContextField| (field.offset..field.offset + field.bytes).contains(&place);
    Some(fields(program)?.iter().filter(holds))
}

/// Whether programs of a type may read or write this many bytes at once at a
/// place of their context; none where that is not known by offsets.
pub fn may_access(
    program: ProgramType,
    attach: Option<AttachType>,
    place: i64,
    bytes: u8,
    is_write: bool,
) -> Option<bool> {
    Some(accessed(program, attach, place, bytes, is_write)?.next().is_some())
}

/// The release from which on they may: none where that is 5.10 or older, or
/// where no kernel lets them.
pub fn since(
    program: ProgramType,
    attach: Option<AttachType>,
    place: i64,
    bytes: u8,
    is_write: bool,
) -> Option<(&'static ContextField, KernelVersion)> {
    let all: Vec<_> = accessed(program, attach, place, bytes, is_write)?.collect();
    let dated: Option<Vec<_>> = all.iter().map(|field| Some((*field, field.since?))).collect();
    dated?.into_iter().min_by_key(|(_, since)| *since)
}

/// The same of a field that is called by its name, as CO-RE accesses do.
pub fn since_by_name(
    program: ProgramType,
    attach: Option<AttachType>,
    name: &str,
    is_write: bool,
) -> Option<(&'static ContextField, KernelVersion)> {
    let all = fields(program)?
        .iter()
        .filter(|field| field.name == name && !field.sizes(attach, is_write).is_empty());
    let dated: Option<Vec<_>> = all.map(|field| Some((field, field.since?))).collect();
    dated?.into_iter().min_by_key(|(_, since)| *since)
}

/// The struct that a program of a type sees as its context; only of those
/// that have fields newer than 5.10.
pub fn struct_with_new_fields(program: ProgramType) -> Option<&'static str> {
    if !has_new_fields(program) {
        return None;
    }
    match program {
        ProgramType::SchedCls | ProgramType::SchedAct | ProgramType::CgroupSkb => Some("__sk_buff"),
        ProgramType::SockOps => Some("bpf_sock_ops"),
        ProgramType::SkLookup => Some("bpf_sk_lookup"),
        ProgramType::SkReuseport => Some("sk_reuseport_md"),
        _ => None,
    }
}

/// Whether programs of a type have a field that is newer than 5.10.
pub fn has_new_fields(program: ProgramType) -> bool {
    fields(program).is_some_and(|fields| fields.iter().any(|field| field.since.is_some()))
}

/// The releases that brought fields.
pub fn releases() -> impl Iterator<Item = KernelVersion> {
    table().values().flatten().filter_map(|field| field.since)
}

/// The fields as part of which this many bytes are accessed.
fn accessed(
    program: ProgramType,
    attach: Option<AttachType>,
    place: i64,
    bytes: u8,
    is_write: bool,
) -> Option<impl Iterator<Item = &'static ContextField>> {
    let end = place + i64::from(bytes);
    let is_aligned = place % i64::from(bytes) == 0;
    Some(fields_at(program, place)?.filter(move |field| {
        is_aligned
            && end <= field.offset + field.bytes
            && field.sizes(attach, is_write).contains(&bytes)
    }))
}

/// What the programs of a type may access of their context; none where that
/// is not known by offsets.
pub fn fields(program: ProgramType) -> Option<&'static [ContextField]> {
    table().get(&program).map(Vec::as_slice)
}

fn table() -> &'static HashMap<ProgramType, Vec<ContextField>> {
    static READ: OnceLock<HashMap<ProgramType, Vec<ContextField>>> = OnceLock::new();
    READ.get_or_init(|| {
        let mut fields: HashMap<ProgramType, Vec<ContextField>> = HashMap::new();
        for (program, field) in TABLE.lines().skip(1).filter_map(row) {
            fields.entry(program).or_default().push(field);
        }
        fields
    })
}

fn row(line: &'static str) -> Option<(ProgramType, ContextField)> {
    let mut cells = line.split('\t');
    let who = cells.next()?;
    let (program, attach_types) = who.split_once(':').unwrap_or((who, ""));
    let sizes = |cell: &str| match cell {
        "-" => Some(Vec::new()),
        cell => cell.split(',').map(|size| size.parse().ok()).collect(),
    };
    let program = ProgramType::by_name(program)?;
    let names = attach_types.split(',').filter(|name| !name.is_empty());
    let field = ContextField {
        attach_types: names.map(AttachType::by_name).collect::<Option<_>>()?,
        name: cells.next()?,
        offset: cells.next()?.parse().ok()?,
        bytes: cells.next()?.parse().ok()?,
        read: sizes(cells.next()?)?,
        write: sizes(cells.next()?)?,
        since: match cells.next()? {
            "-" => None,
            release => Some(release.parse().ok()?),
        },
        source: cells.next()?,
    };
    Some((program, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        let count: usize = table().values().map(Vec::len).sum();
        assert_eq!(count, TABLE.lines().count() - 1);
        for field in table().values().flatten() {
            assert!(!field.read.is_empty() && field.source.contains("_is_valid_access"));
            assert!(field.bytes > 0 && field.offset >= 0, "{}", field.name);
        }
    }

    #[test]
    fn well_known_facts_hold() {
        let field = |program, name| {
            fields(program).unwrap().iter().find(|field| field.name == name).unwrap()
        };
        let data = field(ProgramType::Xdp, "data");
        assert_eq!(
            (data.offset, data.sizes(None, false), data.sizes(None, true)),
            (0, &[4][..], &[][..])
        );
        let mark = field(ProgramType::SchedCls, "mark");
        assert_eq!((mark.sizes(None, false), mark.sizes(None, true)), (&[1, 2, 4][..], &[4][..]));
        let source = field(ProgramType::CgroupSock, "src_ip4");
        assert_eq!(source.sizes(Some(AttachType::CgroupInet4PostBind), false), [1, 2, 4]);
        assert_eq!(source.sizes(Some(AttachType::CgroupInetSockCreate), false), [0; 0]);
        assert!(fields(ProgramType::Syscall).is_none());
        let read = |place, bytes| {
            since(ProgramType::SchedCls, None, place, bytes, false).map(|(field, since)| {
                assert!(has_new_fields(ProgramType::SchedCls) && releases().any(|r| r == since));
                (field.name, since)
            })
        };
        assert_eq!(read(184, 8), Some(("hwtstamp", KernelVersion::new(5, 16))));
        assert_eq!((read(8, 4), read(184, 4)), (None, None));
        for (program, fields) in table() {
            for field in fields.iter().filter(|field| field.since.is_some()) {
                assert!(struct_with_new_fields(*program).is_some());
                let attach = field.attach_types.first().copied();
                let found = since_by_name(*program, attach, field.name, field.read.is_empty());
                assert_eq!(found.map(|(_, since)| since), field.since);
            }
        }
    }
}
