//! What registers hold where an instruction stands, as far as the code of one
//! function says it on every way there.
//!
//! A walk to a fixed point: each way into an instruction brings what the
//! registers hold, and what two ways do not agree on is unknown. Nothing is
//! known of what lies in memory, so that a value that was spilled is unknown
//! when it comes back. So what is said is certain, and often nothing is said.

use super::{Context, FunctionView, Slot};
use crate::bpf::{
    AluOp, AttachType, Call, Helper, Imm64, MemSize, Op, Operand, ProgramType, Reg, SectionTarget,
    Width,
};
use crate::elf::Target;
use std::collections::{BTreeMap, HashSet};

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Something that is not known.
    Unknown,
    /// A number.
    Number(i64),
    /// The context, this many bytes behind its beginning.
    Context(i32),
    /// The frame pointer plus this many bytes.
    Frame(i32),
    /// A map, by its index in the object.
    Map(u32),
    /// A function of the object, by its index in [`Context::functions`].
    Function(u32),
    /// An address in global data: the index of the section in the object's
    /// data, and the offset in it in bytes.
    Data(u32, u32),
    /// The beginning of the packet plus this many bytes.
    Packet(i32),
    /// The beginning of an object in the kernel's memory plus this many bytes.
    Kernel(i32),
    /// An argument of a function of its own, by its index from 0, plus this
    /// many bytes.
    Argument(u8, i32),
}

impl Value {
    fn plus(self, more: i64) -> Self {
        let add = |off: i32| i32::try_from(i64::from(off).checked_add(more)?).ok();
        let moved = match self {
            Self::Number(number) => Some(Self::Number(number.wrapping_add(more))),
            Self::Context(off) => add(off).map(Self::Context),
            Self::Frame(off) => add(off).map(Self::Frame),
            Self::Packet(off) => add(off).map(Self::Packet),
            Self::Kernel(off) => add(off).map(Self::Kernel),
            Self::Argument(index, off) => add(off).map(|off| Self::Argument(index, off)),
            Self::Data(index, off) => u32::try_from(i64::from(off).saturating_add(more))
                .ok()
                .map(|off| Self::Data(index, off)),
            _ => None,
        };
        moved.unwrap_or(Self::Unknown)
    }
}

/// The registers `r0` to `r10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers([Value; 11]);

impl Registers {
    /// Nothing is known but the frame pointer.
    fn new() -> Self {
        let mut values = [Value::Unknown; 11];
        values[10] = Value::Frame(0);
        Self(values)
    }

    /// As a function finds them of whose arguments nothing is known.
    pub fn of_arguments() -> Self {
        let mut registers = Self::new();
        for (number, argument) in (1..=5).zip(0..) {
            registers.0[number] = Value::Argument(argument, 0);
        }
        registers
    }

    /// What a register holds.
    pub fn get(&self, reg: Reg) -> Value {
        self.0[usize::from(reg.number())]
    }

    /// What an operand is.
    pub fn operand(&self, operand: Operand) -> Value {
        match operand {
            Operand::Reg(reg) => self.get(reg),
            Operand::Imm(imm) => Value::Number(imm.into()),
        }
    }

    /// The argument of a call, counted from 1 as registers are.
    pub fn argument(&self, number: usize) -> Value {
        self.0.get(number).copied().unwrap_or(Value::Unknown)
    }

    fn set(&mut self, reg: Reg, value: Value) {
        if reg != Reg::R10 {
            self.0[usize::from(reg.number())] = value;
        }
    }

    /// Keeps what another way here agrees on; says whether that is less.
    fn meet(&mut self, other: &Self) -> bool {
        let mut is_less = false;
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            if own != other && *own != Value::Unknown {
                *own = Value::Unknown;
                is_less = true;
            }
        }
        is_less
    }
}

/// An instruction on a walk.
pub struct Step<'s> {
    /// Its slot in its function.
    pub slot: usize,
    /// The instruction.
    pub op: &'s Op,
    /// What the registers hold before it.
    pub before: &'s Registers,
    /// Whether libbpf patches it for the kernel it finds (CO-RE).
    pub is_patched: bool,
}

impl<'o> Context<'o> {
    /// Looks at every instruction of a function that control can come to,
    /// once, in the order of their slots. Says whether it could: not where
    /// instructions do not decode, or where there are so many jumps that the
    /// walk would cost more than the object is worth.
    pub fn walk_values(&self, index: usize, look: impl FnMut(&Step<'_>)) -> bool {
        self.walk_values_from(index, self.at_entry(index), look)
    }

    /// The same of a function that is entered with these registers.
    pub fn walk_values_from(
        &self,
        index: usize,
        entry: Registers,
        mut look: impl FnMut(&Step<'_>),
    ) -> bool {
        let view = &self.functions[index];
        let slots = view.code.slots();
        if !view.code.is_sound() {
            return false;
        }
        let mut heads: HashSet<usize> = HashSet::from([0]);
        for (slot, op) in view.code.ops() {
            if matches!(op, Op::JumpIndirect { .. }) {
                return false;
            }
            if let Some(Ok(target)) = view.code.destination(slot, op).map(usize::try_from) {
                heads.insert(target);
            }
        }
        // Registers are kept for every head: where there is one for every
        // other instruction, nobody wrote that by hand.
        if heads.len() > 1024 && heads.len() > slots.len() / 3 {
            return false;
        }
        let mut known = BTreeMap::from([(0, entry)]);
        let mut open = vec![0];
        while let Some(head) = open.pop() {
            let Some(mut registers) = known.get(&head).copied() else { continue };
            let mut slot = head;
            let mut go = |to: usize, registers: &Registers| {
                let is_news = match known.get_mut(&to) {
                    Some(there) => there.meet(registers),
                    None => {
                        known.insert(to, *registers);
                        true
                    }
                };
                if is_news {
                    open.push(to);
                }
            };
            while let Some(Slot::Op(op)) = slots.get(slot) {
                self.step(view, slot, op, &mut registers);
                if let Some(Ok(target)) = view.code.destination(slot, op).map(usize::try_from) {
                    go(target, &registers);
                }
                slot += op.slots();
                if op.ends_flow() {
                    break;
                }
                if heads.contains(&slot) {
                    go(slot, &registers);
                    break;
                }
            }
        }
        for (&head, registers) in &known {
            let mut registers = *registers;
            let mut slot = head;
            while let Some(Slot::Op(op)) = slots.get(slot) {
                let is_patched = self.is_patched(view, slot);
                look(&Step { slot, op, before: &registers, is_patched });
                self.step(view, slot, op, &mut registers);
                slot += op.slots();
                if op.ends_flow() || heads.contains(&slot) {
                    break;
                }
            }
        }
        true
    }

    /// Whether libbpf patches the instruction in a slot of a function.
    pub fn is_patched(&self, view: &FunctionView<'o>, slot: usize) -> bool {
        let place = (view.function.section, view.function.slots.start + slot);
        self.patched.get_or_init(|| self.core_slots()).contains(&place)
    }

    fn at_entry(&self, index: usize) -> Registers {
        let view = &self.functions[index];
        let mut registers = Registers::new();
        if !view.function.is_subprogram {
            registers.set(Reg::R1, Value::Context(0));
        } else if view.is_checked_alone() {
            return Registers::of_arguments();
        }
        registers
    }

    fn step(&self, view: &FunctionView<'o>, slot: usize, op: &Op, registers: &mut Registers) {
        let is_patched = self.is_patched(view, slot);
        let value = match *op {
            Op::Load { size, base, off, .. } => {
                self.load(view, registers.get(base), off, size, is_patched)
            }
            _ if is_patched => Value::Unknown,
            Op::Alu { op, width, dst, src } => {
                alu(op, width, registers.get(dst), registers.operand(src))
            }
            Op::LoadImm64 { value, .. } => self.wide(view, slot, value),
            Op::Call(call) => {
                registers.0[..=5].fill(Value::Unknown);
                match call {
                    Call::Helper(id) => returned(id),
                    _ => Value::Unknown,
                }
            }
            _ => Value::Unknown,
        };
        if let Some(reg) = op.writes() {
            registers.set(reg, value);
        }
    }

    /// What an address that stands in the code itself is one of.
    fn wide(&self, view: &FunctionView<'o>, slot: usize, value: Imm64) -> Value {
        let function = view.function;
        let relocation = self.object.relocation(function.section, function.slots.start + slot);
        let Imm64::Value(number) = value else { return Value::Unknown };
        match relocation.map(|known| known.target) {
            None => Value::Number(number.cast_signed()),
            Some(Target::Map(index)) => u32::try_from(index).map_or(Value::Unknown, Value::Map),
            Some(Target::Data { index, offset }) => {
                // The addend is the lower half; the upper one is libbpf's.
                let place = offset.checked_add(number & 0xffff_ffff);
                let place = place.and_then(|place| u32::try_from(place).ok());
                match (u32::try_from(index), place) {
                    (Ok(index), Some(place)) => Value::Data(index, place),
                    _ => Value::Unknown,
                }
            }
            Some(Target::Text(_)) => {
                let function = self.callee(view, slot).map(u32::try_from);
                function.and_then(Result::ok).map_or(Value::Unknown, Value::Function)
            }
            Some(_) => Value::Unknown,
        }
    }

    /// What a load brings: of interest are pointers into packets and into the
    /// kernel's memory.
    fn load(
        &self,
        view: &FunctionView<'o>,
        base: Value,
        off: i16,
        size: MemSize,
        is_patched: bool,
    ) -> Value {
        let Ok(target) = &self.programs[view.program].target else { return Value::Unknown };
        let program = target.def.program_type;
        match base.plus(off.into()) {
            Value::Context(0) if size == MemSize::W && program == ProgramType::Xdp => {
                Value::Packet(0)
            }
            // struct __sk_buff: `data`.
            Value::Context(76) if size == MemSize::W && reads_packets(program) => Value::Packet(0),
            // An iterator's context points to what the iterator goes through, and
            // that may be the program's own map.
            Value::Context(_) if target.def.attach_type == Some(AttachType::TraceIter) => {
                Value::Unknown
            }
            Value::Context(place) if size == MemSize::Dw && !is_patched => match program {
                ProgramType::Tracing
                | ProgramType::Lsm
                | ProgramType::StructOps
                | ProgramType::RawTracepoint
                | ProgramType::RawTracepointWritable => Value::Kernel(0),
                ProgramType::Kprobe if is_argument(target, place) => Value::Kernel(0),
                _ => Value::Unknown,
            },
            // Pointers that the verifier itself follows by the kernel's types.
            Value::Kernel(_) if size == MemSize::Dw => Value::Kernel(0),
            _ => Value::Unknown,
        }
    }
}

/// Whether a probed function of the kernel may have an argument in a register
/// that is saved at this place of `struct pt_regs`: x86-64's are `di` to `r8`
/// from 112 down to 72, arm64's are the first eight. System calls are left
/// out: their one argument is a `struct pt_regs`, which does not change.
fn is_argument(target: &SectionTarget<'_>, place: i32) -> bool {
    let function = target.target.unwrap_or_default();
    target.def.name.starts_with("kprobe")
        && !["__x64_sys_", "__arm64_sys_", "__se_sys_", "sys_"]
            .iter()
            .any(|prefix| function.starts_with(prefix))
        && matches!(place, 112 | 104 | 96 | 88 | 72 | 64 | 0 | 8 | 16 | 24 | 40 | 48 | 56)
}

/// The types whose context is a `struct __sk_buff` with a packet to look at.
fn reads_packets(program: ProgramType) -> bool {
    matches!(
        program,
        ProgramType::SchedCls
            | ProgramType::SchedAct
            | ProgramType::CgroupSkb
            | ProgramType::SkSkb
            | ProgramType::LwtIn
            | ProgramType::LwtOut
            | ProgramType::LwtXmit
            | ProgramType::LwtSeg6local
    )
}

/// What a helper returns: of interest are the kernel's own objects.
fn returned(id: i32) -> Value {
    match Helper::by_id(id).map(Helper::name) {
        Some("bpf_get_current_task" | "bpf_get_current_task_btf") => Value::Kernel(0),
        _ => Value::Unknown,
    }
}

fn alu(op: AluOp, width: Width, dst: Value, src: Value) -> Value {
    let narrow = |number: i64| match width {
        Width::W64 => number,
        // The upper half becomes zero.
        Width::W32 => i64::from(number as u32),
    };
    match (op, width, dst, src) {
        (AluOp::Mov, _, _, Value::Number(number)) => Value::Number(narrow(number)),
        (AluOp::Mov, Width::W64, _, src) => src,
        (AluOp::Add, _, Value::Number(one), Value::Number(other)) => {
            Value::Number(narrow(one.wrapping_add(other)))
        }
        (AluOp::Add, Width::W64, dst, Value::Number(more)) => dst.plus(more),
        (AluOp::Add, Width::W64, Value::Number(more), src) => src.plus(more),
        (AluOp::Sub, Width::W64, dst, Value::Number(less)) => dst.plus(less.wrapping_neg()),
        (AluOp::Or, _, Value::Number(one), Value::Number(other)) => {
            Value::Number(narrow(one | other))
        }
        (AluOp::And, _, Value::Number(one), Value::Number(other)) => {
            Value::Number(narrow(one & other))
        }
        (AluOp::Lsh, Width::W64, Value::Number(one), Value::Number(by @ 0..=63)) => {
            Value::Number(one << by)
        }
        (AluOp::Rsh, Width::W64, Value::Number(one), Value::Number(by @ 0..=63)) => {
            Value::Number((one.cast_unsigned() >> by).cast_signed())
        }
        _ => Value::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Object;
    use crate::elf::fixture::compile;
    use std::path::Path;

    /// What `r1` holds at each call of a helper in the first program.
    fn first_arguments(source: &str) -> Vec<Value> {
        let object = Object::parse(&compile(source)).unwrap();
        let cx = Context::new(&object, Path::new("x.o"), &|_| None);
        let mut found = Vec::new();
        assert!(cx.walk_values(0, |step| {
            if matches!(step.op, Op::Call(_)) {
                found.push(step.before.argument(1));
            }
        }));
        found
    }

    #[test]
    fn values_are_followed_through_branches() {
        let source = |body: &str| {
            format!(
                "struct {{ __uint(type, 1); __uint(max_entries, 1); __type(key, int); __type(value, int); }} m SEC(\".maps\");
                 static long (*call)(long) = (void *)5;
                 int there[4];
                 SEC(\"xdp\") int p(int *ctx) {{ asm volatile({body:?} :: [m] \"i\"(&m), [t] \"i\"(&there) : \"r0\", \"r1\", \"r2\", \"r6\"); return 0; }}"
            )
        };
        let one = |body: &str| first_arguments(&source(body));
        assert_eq!(one("r1 = 1; r1 += 6; call 5"), [Value::Number(7)]);
        assert_eq!(one("r1 = r10; r1 += -8; call 5"), [Value::Frame(-8)]);
        assert_eq!(one("r1 = %[m] ll; call 5"), [Value::Map(0)]);
        assert_eq!(one("r6 = r1; call 5; r1 = r6; call 5"), [Value::Context(0); 2]);
        assert_eq!(one("r6 = *(u32 *)(r1 + 0); r1 = r6; r1 += 14; call 5"), [Value::Packet(14)]);
        assert_eq!(
            one(
                "r6 = r1; r2 = *(u32 *)(r1 + 8); r1 = 1; if r2 == 0 goto +1; r1 = 2; call 5; r1 = r6; call 5"
            ),
            [Value::Unknown, Value::Context(0)]
        );
        assert_eq!(
            one("r1 = 0; r6 = 5; r1 += 1; call 5; r1 = r6; if r0 != 0 goto -4; call 5"),
            [Value::Unknown, Value::Number(5)]
        );
        assert_eq!(one("call 35; r1 = r0; r1 += 24; call 5")[1], Value::Kernel(24));
    }
}
