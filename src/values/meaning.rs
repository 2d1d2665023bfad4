//! What a number stands for, where its type does not tell: by a tag on the
//! declaration, `__attribute__((btf_decl_tag("skep:ipv4")))`, else by a name
//! that can hardly mean anything else.

use super::network::has_part;
use crate::btf::{Btf, Type, TypeId};
use std::collections::HashMap;

/// What tags of ours begin with.
const PREFIX: &str = "skep:";

/// The parts of a name that say that numbers are addresses of code.
const STACK: [&str; 5] = ["stack", "kstack", "ustack", "ips", "callchain"];
/// Names of 64-bit numbers that are addresses of the kernel's code, if they
/// are as large as one.
const CODE: [&str; 9] =
    ["ip", "kip", "ksym", "func", "fn", "caller", "callsite", "addr", "function"];

/// What a number, or an array of them, stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address of a network card.
    Mac,
    /// A number in the network's byte order.
    Port,
    /// A number that names something: it is not counted, nor summed.
    Id,
    /// Bytes that are characters.
    Text,
    /// An address of the kernel's code.
    Code,
    /// Addresses of code, or the number of a stack in a map; which map, if
    /// that is said.
    Stack(Option<String>),
    /// A time in nanoseconds.
    Nanoseconds,
    /// An amount of memory or data in bytes.
    Size,
    /// A number that is written in base 16.
    Hexadecimal,
    /// An error's number, of either sign.
    Errno,
}

/// The tags and what they say, in the order of their documentation.
pub const TAGS: [(&str, Meaning); 14] = [
    ("ipv4", Meaning::Ipv4),
    ("ipv6", Meaning::Ipv6),
    ("mac", Meaning::Mac),
    ("port", Meaning::Port),
    ("pid", Meaning::Id),
    ("id", Meaning::Id),
    ("comm", Meaning::Text),
    ("text", Meaning::Text),
    ("ksym", Meaning::Code),
    ("stack", Meaning::Stack(None)),
    ("ns", Meaning::Nanoseconds),
    ("bytes", Meaning::Size),
    ("hex", Meaning::Hexadecimal),
    ("errno", Meaning::Errno),
];

impl Meaning {
    /// What a tag says; without the `skep:` in front.
    pub fn of_tag(tag: &str) -> Option<Self> {
        if let Some(map) = tag.strip_prefix("stack:") {
            return Some(Self::Stack(Some(map.to_owned())));
        }
        TAGS.iter().find(|(known, _)| *known == tag).map(|(_, meaning)| meaning.clone())
    }
}

/// The tags of ours in some BTF.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    known: HashMap<(TypeId, Option<u32>), Meaning>,
    /// Tags that say nothing to us, and what they stand on.
    pub unknown: Vec<(String, String)>,
}

impl Tags {
    /// Collects them.
    pub fn of(btf: &Btf) -> Self {
        let mut tags = Self::default();
        for id in btf.ids() {
            let Type::DeclTag(tag) = btf.ty(id) else { continue };
            let Some(text) = tag.value.strip_prefix(PREFIX) else { continue };
            if let Some(meaning) = Meaning::of_tag(text) {
                tags.known.insert((tag.target, tag.component), meaning);
                continue;
            }
            let member = tag.component.and_then(|index| {
                Some(btf.as_composite(tag.target)?.member(index as usize)?.name.to_owned())
            });
            let place = member.unwrap_or_else(|| btf.name(tag.target).to_owned());
            if !tags.unknown.iter().any(|(known, _)| known == text) {
                tags.unknown.push((text.to_owned(), place));
            }
        }
        tags
    }

    /// What is said of a declaration, or of one of its members.
    pub(super) fn get(&self, id: TypeId, member: Option<u32>) -> Option<&Meaning> {
        self.known.get(&(id, member))
    }
}

/// Whether an array of 64-bit numbers of this name has addresses of code.
pub(super) fn is_stack(name: &str) -> bool {
    has_part(name, &STACK)
}

/// Whether an integer of this name is the number of a stack in a map.
pub(super) fn is_stack_id(name: &str) -> bool {
    let name = name.strip_suffix("_id").or_else(|| name.strip_suffix("id"));
    name.is_some_and(|name| {
        let last = name.rsplit('_').next().unwrap_or(name);
        matches!(last, "stack" | "kstack" | "ustack" | "stk")
    })
}

/// Whether a 64-bit number of this name may be an address of code.
pub(super) fn may_be_code(name: &str) -> bool {
    CODE.contains(&name) || name == "call_site"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_only_what_they_can_hardly_mean_otherwise() {
        for name in ["stack_id", "kern_stack_id", "user_stackid", "kstack_id", "kstackid", "stk_id"]
        {
            assert!(is_stack_id(name), "{name}");
        }
        for name in ["id", "stack", "pid", "haystack_size", "stack_identity", "task_id"] {
            assert!(!is_stack_id(name), "{name}");
        }
        assert!(may_be_code("ip") && may_be_code("call_site") && !may_be_code("saddr"));
        assert!(is_stack("kern_stack") && is_stack("ips") && !is_stack("tips"));
    }

    #[test]
    fn tags_say_what_they_are_called() {
        assert_eq!(Meaning::of_tag("ipv4"), Some(Meaning::Ipv4));
        assert_eq!(Meaning::of_tag("stack:stacks"), Some(Meaning::Stack(Some("stacks".into()))));
        assert_eq!(Meaning::of_tag("ipv5"), None);
    }
}
