//! Where programs access fields of their context that older kernels do not
//! have. Which those are is found once, for all kernels.

use super::{Context, Value};
use crate::bpf::{KernelVersion, Op, context};
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
}

impl Context<'_> {
    /// The accesses of fields that are newer than 5.10, each field once for a
    /// function.
    pub(super) fn new_fields(&self) -> &[NewField] {
        self.new_fields.get_or_init(|| {
            let functions = 0..self.functions.len();
            functions.flat_map(|function| self.new_fields_in(function)).collect()
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
                found.push(NewField { function, slot: step.slot, name: field.name, since });
            }
        });
        found
    }
}
