//! BTF → how values of a type are read. That is found out once for each type:
//! names, tags and typedefs are looked at here, so that reading a value is
//! nothing but walking along its members.

use super::meaning::{self, Meaning, Tags};
use super::network;
use crate::btf::{Array, Btf, Composite, Endian, Enum, Int, Type, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// Deeper than this, values are bytes.
const DEEPEST: u32 = 16;
/// Elements of an array beyond these are not looked at.
const MOST: u32 = 4096;

/// How the values of a type are read.
#[derive(Clone, Debug)]
pub struct Shape {
    pub(super) node: Arc<Node>,
    pub(super) endian: Endian,
}

impl Shape {
    /// How the values of a map of stacks are read.
    pub fn of_stacks() -> Self {
        Self { node: Arc::new(Node::Stack { count: None }), endian: Endian::Little }
    }
}

/// One step of reading.
#[derive(Debug)]
pub(super) enum Node {
    /// A whole number of so many bytes.
    Number {
        /// Bytes.
        size: usize,
        /// Its highest bit is its sign.
        is_signed: bool,
        /// The network's byte order.
        is_swapped: bool,
        /// What it is.
        read: Read,
    },
    /// Four bytes.
    Ipv4,
    /// Sixteen bytes.
    Ipv6,
    /// Six bytes.
    Mac,
    /// Characters; as many bytes at most.
    Text(usize),
    /// Bytes that stay bytes; all there are without a number.
    Bytes(Option<usize>),
    /// An enumerator of so many bytes; numbers ascend.
    Enumerator { size: usize, is_signed: bool, names: Arc<[(i128, Arc<str>)]> },
    /// A floating-point number.
    Float(usize),
    /// Elements, each of so many bytes; as many as there are without a count.
    List { element: Arc<Node>, size: usize, count: Option<usize> },
    /// Addresses of code; as for a list.
    Stack { count: Option<usize> },
    /// Members.
    Record(Vec<Member>),
}

/// What a whole number is.
#[derive(Clone, Debug)]
pub(super) enum Read {
    /// A number.
    Plain,
    /// A truth value.
    Flag,
    /// A number that is written in another way.
    Noted(super::Notation),
    /// An error's number.
    Errno,
    /// A pointer.
    Pointer,
    /// An address of code, in any case or if it is large enough.
    Code { is_sure: bool },
    /// The number of a stack in a map.
    StackId { map: Option<Arc<str>> },
}

/// A member of a record.
#[derive(Debug)]
pub(super) struct Member {
    pub name: Arc<str>,
    /// Where it begins, in bytes.
    pub offset: usize,
    /// How many bytes its type has.
    pub size: usize,
    /// It may be there in part.
    pub is_array: bool,
    /// It says of which family the record's addresses are.
    pub is_family: bool,
    pub bits: Option<Bits>,
    pub node: Arc<Node>,
}

/// A bit-field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits {
    pub shift: u32,
    pub width: u32,
}

/// Finds out how values are read.
#[derive(Debug)]
pub struct Shapes<'b> {
    btf: &'b Btf,
    tags: &'b Tags,
    known: HashMap<(TypeId, u32), Arc<Node>>,
}

impl<'b> Shapes<'b> {
    /// Of values whose types are in `btf`.
    pub fn new(btf: &'b Btf, tags: &'b Tags) -> Self {
        Self { btf, tags, known: HashMap::new() }
    }

    /// How the values of a type are read. `name` is what they are called where
    /// they stand, which may tell what their numbers mean.
    pub fn shape(&mut self, ty: TypeId, name: &str) -> Shape {
        Shape { node: self.node(ty, name, None, DEEPEST), endian: self.btf.endian() }
    }

    /// The same for a global variable.
    pub fn variable(&mut self, variable: TypeId) -> Option<Shape> {
        let Type::Var(var) = self.btf.ty(variable) else { return None };
        let tag = self.tags.get(variable, None);
        Some(Shape { node: self.node(var.ty, var.name, tag, DEEPEST), endian: self.btf.endian() })
    }

    fn node(&mut self, ty: TypeId, name: &str, tag: Option<&Meaning>, left: u32) -> Arc<Node> {
        let tag = tag.or_else(|| self.tag_of(ty));
        let typedef = self.typedef(ty);
        let Some(left) = left.checked_sub(1) else { return Arc::new(Node::Bytes(None)) };
        let resolved = self.btf.resolve(ty);
        let node = match self.btf.ty(resolved) {
            Type::Int(int) => self.int(&int, name, typedef, tag),
            Type::Ptr(target) => {
                let target = self.btf.ty(self.btf.resolve(target));
                let is_code = matches!(target, Type::FuncProto(_)) || tag == Some(&Meaning::Code);
                let read = if is_code { Read::Code { is_sure: true } } else { Read::Pointer };
                let size = self.btf.pointer_size() as usize;
                Node::Number { size, is_signed: false, is_swapped: false, read }
            }
            Type::Array(array) => self.array(&array, name, tag, left),
            Type::Struct(of) => match of.size {
                4 if of.name == "in_addr" || tag == Some(&Meaning::Ipv4) => Node::Ipv4,
                16 if of.name == "in6_addr" || tag == Some(&Meaning::Ipv6) => Node::Ipv6,
                _ => return self.record(resolved, &of, left),
            },
            Type::Union(of) => match of.size {
                4 if tag == Some(&Meaning::Ipv4) => Node::Ipv4,
                16 if tag == Some(&Meaning::Ipv6) => Node::Ipv6,
                _ => return self.record(resolved, &of, left),
            },
            Type::Enum(of) => enumerator(&of),
            Type::Float { size, .. } => Node::Float(size as usize),
            _ => Node::Bytes(None),
        };
        Arc::new(node)
    }

    /// The name of the typedef next to the declaration, if it is one.
    fn typedef(&self, ty: TypeId) -> &'b str {
        match self.btf.ty(self.btf.skip_modifiers(ty)) {
            Type::Typedef { name, .. } => name,
            _ => "",
        }
    }

    /// What a typedef on the way to the type says.
    fn tag_of(&self, mut ty: TypeId) -> Option<&'b Meaning> {
        loop {
            ty = self.btf.skip_modifiers(ty);
            let Type::Typedef { target, .. } = self.btf.ty(ty) else { return None };
            if let Some(meaning) = self.tags.get(ty, None) {
                return Some(meaning);
            }
            ty = target;
        }
    }

    fn int(&self, int: &Int<'_>, name: &str, typedef: &str, tag: Option<&Meaning>) -> Node {
        use super::Notation;
        let size = int.size as usize;
        let mut is_swapped = network::is_big_endian(typedef);
        let read = match tag {
            Some(Meaning::Ipv4) if size == 4 => return Node::Ipv4,
            Some(Meaning::Ipv6) if size == 16 => return Node::Ipv6,
            Some(Meaning::Text) if size == 1 => return Node::Text(1),
            Some(Meaning::Port) => {
                is_swapped = self.btf.endian() == Endian::Little;
                Read::Plain
            }
            Some(Meaning::Id) => Read::Noted(Notation::Id),
            Some(Meaning::Code) if size <= 8 => Read::Code { is_sure: true },
            Some(Meaning::Stack(map)) if size <= 8 => {
                Read::StackId { map: map.as_deref().map(Arc::from) }
            }
            Some(Meaning::Nanoseconds) => Read::Noted(Notation::Nanoseconds),
            Some(Meaning::Size) => Read::Noted(Notation::Size),
            Some(Meaning::Hexadecimal) => Read::Noted(Notation::Hexadecimal),
            Some(Meaning::Errno) => Read::Errno,
            _ if !int.is_signed && network::is_ipv4(name, typedef, size) => return Node::Ipv4,
            _ if !int.is_signed && network::is_ipv6(name, typedef, size) => return Node::Ipv6,
            _ if int.is_bool => Read::Flag,
            _ if matches!(size, 4 | 8) && meaning::is_stack_id(name) => Read::StackId { map: None },
            _ if size == 8 && !int.is_signed && meaning::may_be_code(name) => {
                Read::Code { is_sure: false }
            }
            _ => Read::Plain,
        };
        Node::Number { size, is_signed: int.is_signed, is_swapped, read }
    }

    fn array(&mut self, array: &Array, name: &str, tag: Option<&Meaning>, left: u32) -> Node {
        let element = self.btf.ty(self.btf.resolve(array.element));
        let size = self.btf.size(array.element).unwrap_or(0) as usize;
        // A flexible array has what is left.
        let count = (array.count > 0).then(|| array.count.min(MOST) as usize);
        if let Type::Int(int) = element
            && int.size == 1
        {
            // `char`, however it is spelled; `u8` is a number.
            let is_text = int.name == "char" || int.is_char || int.name == "signed char";
            return match (tag, count) {
                (Some(Meaning::Ipv4), Some(4)) => Node::Ipv4,
                (Some(Meaning::Ipv6), Some(16)) => Node::Ipv6,
                (Some(Meaning::Mac), Some(6)) => Node::Mac,
                (Some(Meaning::Text), _) => Node::Text(count.unwrap_or(usize::MAX)),
                (Some(Meaning::Hexadecimal), _) => Node::Bytes(count),
                _ if is_text => Node::Text(count.unwrap_or(usize::MAX)),
                (_, Some(16)) if network::is_ipv6(name, "", 16) => Node::Ipv6,
                (_, Some(6)) if network::is_mac(name) => Node::Mac,
                (_, Some(4)) if network::is_ipv4(name, "", 4) => Node::Ipv4,
                _ => Node::Bytes(count),
            };
        }
        let is_stack = matches!(tag, Some(Meaning::Stack(_))) || meaning::is_stack(name);
        if let Type::Int(int) = element
            && int.size == 8
            && (!int.is_signed || tag.is_some())
            && is_stack
        {
            return Node::Stack { count };
        }
        if matches!(element, Type::Ptr(_)) && is_stack && size == 8 {
            return Node::Stack { count };
        }
        if size == 0 {
            return Node::List { element: Arc::new(Node::Bytes(None)), size, count: Some(0) };
        }
        // What is said of an array is said of what is in it.
        let tag = tag.cloned();
        let element = self.node(array.element, "", tag.as_ref(), left);
        Node::List { element, size, count }
    }

    fn record(&mut self, id: TypeId, of: &Composite<'b>, left: u32) -> Arc<Node> {
        if let Some(known) = self.known.get(&(id, left)) {
            return Arc::clone(known);
        }
        let mut members = Vec::new();
        self.members(id, of, 0, left, &mut members);
        let node = Arc::new(Node::Record(members));
        self.known.insert((id, left), Arc::clone(&node));
        node
    }

    /// The members of a struct that begins `base` bytes into another.
    fn members(
        &mut self,
        id: TypeId,
        of: &Composite<'b>,
        base: usize,
        left: u32,
        all: &mut Vec<Member>,
    ) {
        for (index, member) in (0..).zip(of.members()) {
            let offset = base + member.bit_offset as usize / 8;
            if member.name.is_empty() {
                // What an anonymous member has, the struct has.
                let id = self.btf.resolve(member.ty);
                if let (Some(left), Some(of)) = (left.checked_sub(1), self.btf.as_composite(id)) {
                    self.members(id, &of, offset, left, all);
                }
                continue;
            }
            let tags = self.tags;
            let node = self.node(member.ty, member.name, tags.get(id, Some(index)), left);
            let shift = member.bit_offset % 8;
            all.push(Member {
                name: Arc::from(member.name),
                offset,
                size: self.btf.size(member.ty).unwrap_or(0) as usize,
                is_array: matches!(self.btf.ty(self.btf.resolve(member.ty)), Type::Array(_)),
                is_family: network::is_family(member.name),
                bits: member.bit_size.map(|width| Bits { shift, width: width.into() }),
                node,
            });
        }
    }
}

fn enumerator(of: &Enum<'_>) -> Node {
    let mut names: Vec<(i128, Arc<str>)> =
        of.values().map(|known| (known.value, Arc::from(known.name))).collect();
    // Of several with one number the first is meant; the sort keeps their order.
    names.sort_by_key(|(number, _)| *number);
    names.dedup_by_key(|(number, _)| *number);
    Node::Enumerator { size: of.size as usize, is_signed: of.is_signed, names: names.into() }
}
