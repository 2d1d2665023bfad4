//! The image of a program: libbpf's `bpf_object__relocate_calls`.
//!
//! The program comes first. Its instructions are walked in order; the first
//! call of a subprogram (or load of its address) puts that subprogram behind
//! all that is there already, and walks *it* at once, before the walk of the
//! caller goes on. Each subprogram is there once. When all have their place,
//! every call's distance is known.

use crate::bpf::Insn;
use crate::btf::{Kind, Type};
use crate::diagnostics::Span;
use crate::elf::{Function, Object, Target};
use std::collections::HashMap;
use std::{error, fmt};

/// A function's place in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The function's name.
    pub name: String,
    /// The index of its section in the object.
    pub section: usize,
    /// Its first slot in that section.
    pub slot: usize,
    /// Its first instruction in the image.
    pub start: usize,
    /// How many slots it has.
    pub len: usize,
}

/// A program with its subprograms, as the kernel gets it. Calls between them
/// are linked; maps, data and CO-RE accesses are as clang left them.
#[derive(Clone, Debug)]
pub struct Image<'o> {
    /// The instructions.
    pub insns: Vec<Insn>,
    /// The functions, in the order of the image; the program is the first.
    pub parts: Vec<Part>,
    object: &'o Object,
}

/// Why a program has no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// The object has no program of that name.
    NoSuchProgram(String),
    /// A call leads to no function.
    BadCall {
        /// The index of the section of the call.
        section: usize,
        /// The call, as a slot of the section.
        slot: usize,
    },
    /// The program has more instructions than any kernel takes.
    TooLarge,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchProgram(name) => write!(f, "there is no program {name}"),
            Self::BadCall { .. } => f.write_str("a call leads to no function in section .text"),
            Self::TooLarge => f.write_str("the program has too many instructions"),
        }
    }
}

impl error::Error for ImageError {}

/// The most instructions that are put together; kernels take a million
/// (`BPF_COMPLEXITY_LIMIT_INSNS`).
const MAX_INSNS: usize = 4_000_000;

/// The image of a program.
///
/// # Errors
/// Where libbpf could not link it either.
pub fn image<'o>(object: &'o Object, program: &str) -> Result<Image<'o>, ImageError> {
    let function =
        object.program(program).ok_or_else(|| ImageError::NoSuchProgram(program.to_owned()))?;
    image_of(object, function)
}

/// The image of a program that is at hand.
fn image_of<'o>(object: &'o Object, function: &'o Function) -> Result<Image<'o>, ImageError> {
    let mut image = Image { insns: Vec::new(), parts: Vec::new(), object };
    // By section and first slot: where the function begins in the image.
    let mut placed: HashMap<(usize, usize), usize> = HashMap::new();
    // The walks that are on hold, innermost last: a part and how many of its
    // slots are done. Deep recursion would be the object's choice, so there
    // is none.
    let mut walks = vec![(image.append(function)?, 0)];
    loop {
        let Some((part, mut index)) = walks.pop() else {
            // A callback for exceptions is reached by no call.
            let callback = exception_callback(object, function);
            match callback.filter(|callback| !placed.contains_key(&key(callback))) {
                Some(callback) => {
                    let new = image.append(callback)?;
                    placed.insert(key(callback), image.parts[new].start);
                    walks.push((new, 0));
                    continue;
                }
                None => return Ok(image),
            }
        };
        let Part { section, slot, start, len, .. } = image.parts[part];
        while index < len {
            let (here, from) = (start + index, slot + index);
            index += 1;
            let target = object.relocation(section, from).map(|known| known.target);
            let insn = image.insns[here];
            match target {
                Some(Target::Text(_)) if insn.is_wide() => image.insns[here].src = 4,
                Some(Target::Extern(_)) => continue,
                _ if insn.is_subprogram_call() => {}
                _ => continue,
            }
            let callee =
                object.callee(section, from).ok_or(ImageError::BadCall { section, slot: from })?;
            let (target, is_new) = match placed.get(&key(callee)) {
                Some(&target) => (target, false),
                None => {
                    let new = image.append(callee)?;
                    placed.insert(key(callee), image.parts[new].start);
                    walks.push((part, index));
                    walks.push((new, 0));
                    (image.parts[new].start, true)
                }
            };
            // Both are below MAX_INSNS.
            image.insns[here].imm = target as i32 - here as i32 - 1;
            if is_new {
                break;
            }
        }
    }
}

fn key(function: &Function) -> (usize, usize) {
    (function.section, function.slots.start)
}

/// The function that a program names in a declaration tag
/// `exception_callback:NAME`.
fn exception_callback<'o>(object: &'o Object, program: &Function) -> Option<&'o Function> {
    let btf = object.btf.as_deref()?;
    let func = btf.find(Kind::Func, &program.name)?;
    let mut names = btf.ids().filter_map(|id| match btf.ty(id) {
        Type::DeclTag(tag) if tag.target == func && tag.component.is_none() => {
            tag.value.strip_prefix("exception_callback:")
        }
        _ => None,
    });
    // Of several, libbpf takes none.
    let name = names.next().filter(|_| names.next().is_none())?;
    object.functions.iter().find(|function| function.is_subprogram && function.name == name)
}

impl Image<'_> {
    fn append(&mut self, function: &Function) -> Result<usize, ImageError> {
        let start = self.insns.len();
        let insns = self.object.insns(function);
        if start + insns.len() > MAX_INSNS {
            return Err(ImageError::TooLarge);
        }
        self.insns.extend_from_slice(insns);
        self.parts.push(Part {
            name: function.name.clone(),
            section: function.section,
            slot: function.slots.start,
            start,
            len: insns.len(),
        });
        Ok(self.parts.len() - 1)
    }

    /// The function that instruction `n` belongs to.
    pub fn part(&self, n: usize) -> Option<&Part> {
        let end = self.parts.partition_point(|part| part.start <= n);
        let part = &self.parts[end.checked_sub(1)?];
        (n < part.start + part.len).then_some(part)
    }

    /// Where instruction `n` comes from: the index of its section in the
    /// object and its slot there.
    pub fn origin(&self, n: usize) -> Option<(usize, usize)> {
        let part = self.part(n)?;
        Some((part.section, part.slot + (n - part.start)))
    }

    /// The C line that instruction `n` comes from.
    pub fn span(&self, n: usize) -> Option<Span> {
        let (section, slot) = self.origin(n)?;
        self.object.span(section, slot)
    }

    /// The instruction of the image that came from a slot of a section.
    pub fn find(&self, section: usize, slot: usize) -> Option<usize> {
        self.parts.iter().find_map(|part| {
            let within =
                part.section == section && slot >= part.slot && slot < part.slot + part.len;
            within.then(|| part.start + (slot - part.slot))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::{Call, Op};
    use crate::elf::fixture::{compile, object};

    const SOURCE: &str = r#"
        static __noinline int c(int x) { return x * 3 + 1; }
        __noinline int b(int x) { return c(x) ^ 5; }
        static __noinline long each(__u32 i, void *p) { return c(i) > 4; }
        __noinline int a(int x) { bpf_loop(x, each, 0, 0); return b(x) + c(x); }
        SEC("xdp") int one(void *ctx) { return a(1) + b(2); }
        SEC("tc") int two(void *ctx) { return c(7) + b(1); }
    "#;

    fn parts(image: &Image<'_>) -> Vec<String> {
        image.parts.iter().map(|part| part.name.clone()).collect()
    }

    #[test]
    fn subprograms_follow_in_the_order_they_are_first_reached() {
        let object = object(SOURCE);
        let one = image(&object, "one").unwrap();
        assert_eq!(parts(&one), ["one", "a", "each", "c", "b"]);
        assert_eq!(parts(&image(&object, "two").unwrap()), ["two", "c", "b"]);
        assert!(matches!(image(&object, "three"), Err(ImageError::NoSuchProgram(_))));
    }

    #[test]
    fn a_callback_for_exceptions_comes_last_and_must_be_the_only_one() {
        let source = |tags: &str| {
            format!(
                "__noinline int first(__u64 c) {{ return c * 3; }}\n\
                 __noinline int second(__u64 c) {{ return c * 5; }}\n\
                 static __noinline int leaf(int x) {{ return x * 7; }}\n\
                 SEC(\"tc\") {tags} int p(int *c) {{ return leaf(*c); }}"
            )
        };
        let tag =
            |name: &str| format!("__attribute__((btf_decl_tag(\"exception_callback:{name}\")))");
        let one = object(&source(&tag("second")));
        assert_eq!(parts(&image(&one, "p").unwrap()), ["p", "leaf", "second"]);
        let both = object(&source(&format!("{} {}", tag("first"), tag("second"))));
        assert_eq!(parts(&image(&both, "p").unwrap()), ["p", "leaf"]);
    }

    #[test]
    fn calls_are_linked_to_their_functions() {
        let object = object(SOURCE);
        let image = image(&object, "one").unwrap();
        let starts: Vec<_> = image.parts.iter().map(|part| part.start as i64).collect();
        let mut calls = 0;
        for (index, insn) in image.insns.iter().enumerate() {
            if insn.is_subprogram_call() || insn.is_function_address() {
                assert!(starts.contains(&(index as i64 + 1 + i64::from(insn.imm))), "{index}");
                calls += 1;
            } else if let Ok(Op::Call(Call::Subprogram(_))) = Op::decode(&image.insns[index..]) {
                panic!("{index}");
            }
        }
        assert_eq!(calls, 7);
    }

    #[test]
    fn every_instruction_knows_where_it_came_from() {
        let object = object(SOURCE);
        let image = image(&object, "one").unwrap();
        for n in 0..image.insns.len() {
            let (section, slot) = image.origin(n).unwrap();
            assert_eq!(object.sections[section].insns[slot].code, image.insns[n].code);
            assert_eq!(image.find(section, slot), Some(n));
        }
        assert_eq!(image.origin(image.insns.len()), None);
        let part = image.parts.iter().find(|part| part.name == "b").unwrap();
        assert_eq!(image.part(part.start).unwrap().name, "b");
        assert_eq!(image.span(part.start + 1).unwrap().start.line, 3);
    }

    #[test]
    fn no_flipped_bit_makes_linking_fail_otherwise_than_with_an_error() {
        let bytes = compile(SOURCE);
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(object) = Object::parse(&flipped) else { continue };
            for program in object.programs() {
                let _ = image(&object, &program.name);
            }
        }
    }
}
