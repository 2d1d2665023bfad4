//! Where programs access fields of their context that older kernels do not
//! have. Which those are is found once, for all kernels.

use super::{Context, Value};
use crate::bpf::{KernelVersion, Op, context};
use crate::relocate::core::{Question, Spec, essential_name};
use std::collections::HashSet;

/// An access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewField {
    /// The function, as an index into the context's.
    pub function: usize,
    /// The instruction.
    pub slot: usize,
    /// What the field is called.
    pub name: &'static str,
    /// The release that brought it.
    pub since: KernelVersion,
    /// Whether libbpf looks it up in the kernel's BTF.
    pub is_core: bool,
}

impl Context<'_> {
    /// The accesses of fields that are newer than 5.10, each field once for a
    /// function.
    pub(super) fn new_fields(&self) -> &[NewField] {
        self.new_fields.get_or_init(|| {
            let functions = 0..self.functions.len();
            let mut found: Vec<_> =
                functions.flat_map(|function| self.new_fields_in(function)).collect();
            found.extend(self.new_fields_by_name());
            found
        })
    }

    fn new_fields_in(&self, function: usize) -> Vec<NewField> {
        let mut found = Vec::new();
        let program = &self.programs[self.functions[function].program];
        let Ok(target) = &program.target else { return found };
        let (program, attach) = (target.def.program_type, target.def.attach_type);
        if !context::has_new_fields(program) {
            return found;
        }
        let mut said = HashSet::new();
        self.walk_values(function, |step| {
            let (size, base, off, is_write) = match *step.op {
                Op::Load { size, base, off, .. } => (size, base, off, false),
                Op::Store { size, base, off, .. } => (size, base, off, true),
                _ => return,
            };
            let Value::Context(start) = step.before.get(base) else { return };
            let place = i64::from(start) + i64::from(off);
            if step.is_patched {
                return;
            }
            if let Some((field, since)) =
                context::since(program, attach, place, size.bytes(), is_write)
                && said.insert(field.name)
            {
                found.push(NewField {
                    function,
                    slot: step.slot,
                    name: field.name,
                    since,
                    is_core: false,
                });
            }
        });
        found
    }

    /// Those that CO-RE relocations name, as all accesses through a
    /// `vmlinux.h` do.
    fn new_fields_by_name(&self) -> Vec<NewField> {
        let mut found = Vec::new();
        let is_of_interest = |program: &super::ProgramView<'_>| match program.target.as_ref().ok() {
            Some(target) => context::has_new_fields(target.def.program_type),
            None => false,
        };
        let Some(btf) = self.object.btf.as_deref() else { return found };
        if !self.programs.iter().any(is_of_interest) {
            return found;
        }
        let mut said = HashSet::new();
        for (section, slot, relocation) in self.object.core_relocations() {
            if Question::from_number(relocation.kind) != Some(Question::FieldByteOffset) {
                continue;
            }
            let Some(function) = self.function_index(section, slot) else { continue };
            let view = &self.functions[function];
            let Ok(target) = &self.programs[view.program].target else { continue };
            let (program, attach) = (target.def.program_type, target.def.attach_type);
            let root = essential_name(btf.name(btf.resolve(relocation.ty)));
            if context::struct_with_new_fields(program) != Some(root) {
                continue;
            }
            let question = Question::FieldByteOffset;
            let Ok(spec) = Spec::parse(btf, relocation.ty, relocation.access, question) else {
                continue;
            };
            let Some(field) = spec.accessors.iter().find(|accessor| accessor.is_named) else {
                continue;
            };
            let slot = slot - view.function.slots.start;
            let is_write = matches!(view.code.op(slot), Some(Op::Store { .. }));
            let member =
                btf.as_composite(field.ty).and_then(|all| all.member(field.index as usize));
            if let Some(member) = member
                && let Some((field, since)) =
                    context::since_by_name(program, attach, member.name, is_write)
                && said.insert((function, field.name))
            {
                found.push(NewField { function, slot, name: field.name, since, is_core: true });
            }
        }
        found
    }
}
