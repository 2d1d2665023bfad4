//! What an instruction does, read from the kernel's disassembly
//! (kernel/bpf/disasm.c): `r3 += 8`, `if r3 > r2 goto pc+6`,
//! `r0 = *(u32 *)(r1 +4)`, `call bpf_map_lookup_elem#1`.

/// One of R0 to R10 (R11 is where stack arguments go).
pub type Register = u8;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A register.
    Register(Register),
    /// A number.
    Number(i64),
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee<'t> {
    /// A helper or kernel function, by name.
    Kernel(&'t str),
    /// A function of the program, so many instructions away.
    Own(i32),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant shows its fields in the kernel's own notation")]
pub enum Operation<'t> {
    /// `r1 = r2`, `w0 = 1`
    Move { to: Register, from: Operand },
    /// `r1 = map[…]`, `r1 = 0x…ll`: an address or a 64-bit number.
    Address { to: Register, what: &'t str },
    /// `r1 += r2`
    Compute { to: Register, operator: &'t str, with: Operand },
    /// `r1 = *(u32 *)(r2 +4)`
    Load { to: Register, size: u8, base: Register, offset: i32 },
    /// `*(u32 *)(r2 +4) = r1`
    Store { base: Register, offset: i32, size: u8, from: Operand },
    /// `lock *(u64 *)(r0 +0) += r1`
    Atomic { base: Register, offset: i32, size: u8 },
    /// `call …`
    Call(Callee<'t>),
    /// `if r1 > r2 goto pc+6`
    Branch { left: Register, operator: &'t str, right: Operand, offset: i32 },
    /// `goto pc+6`
    Jump { offset: i32 },
    /// `exit`
    Exit,
    /// Something else.
    Other,
}

impl<'t> Operation<'t> {
    /// Reads disassembly, without the `7: (79)` before it.
    pub fn parse(text: &'t str) -> Self {
        parse(text.trim()).unwrap_or(Self::Other)
    }

    /// Whether it leaves a new value in a register. A call leaves one in R0
    /// and takes R1 to R5 away.
    pub fn writes(&self, register: Register) -> bool {
        match *self {
            Self::Move { to, .. }
            | Self::Address { to, .. }
            | Self::Compute { to, .. }
            | Self::Load { to, .. } => to == register,
            Self::Call(_) => register <= 5,
            _ => false,
        }
    }

    /// The address it reads or writes: register, offset and size.
    pub fn access(&self) -> Option<(Register, i32, u8)> {
        match *self {
            Self::Load { base, offset, size, .. }
            | Self::Store { base, offset, size, .. }
            | Self::Atomic { base, offset, size } => Some((base, offset, size)),
            _ => None,
        }
    }
}

fn parse(text: &str) -> Option<Operation<'_>> {
    if text == "exit" {
        return Some(Operation::Exit);
    }
    if let Some(callee) = text.strip_prefix("call ") {
        return Some(Operation::Call(match callee.strip_prefix("pc") {
            Some(offset) => Callee::Own(offset.parse().ok()?),
            None => Callee::Kernel(callee.split('#').next()?),
        }));
    }
    if let Some(offset) = text.strip_prefix("goto pc").or(text.strip_prefix("gotol pc")) {
        return Some(Operation::Jump { offset: jump_offset(offset)? });
    }
    if let Some(condition) = text.strip_prefix("if ") {
        let mut words = condition.split(' ');
        let left = register(words.next()?)?;
        let mut operator = words.next()?;
        let mut right = words.next()?;
        if operator == "s" {
            // `if r1 s> r2` is one word in all kernels; be lenient.
            operator = right;
            right = words.next()?;
        }
        let offset = words.find_map(|word| word.strip_prefix("pc")).and_then(jump_offset)?;
        return Some(Operation::Branch { left, operator, right: operand(right)?, offset });
    }
    if let Some(rest) = text.strip_prefix("lock ") {
        let (size, base, offset, _) = memory(rest)?;
        return Some(Operation::Atomic { base, offset, size });
    }
    if text.starts_with("*(") {
        let (size, base, offset, rest) = memory(text)?;
        let from = operand(rest.trim_start().strip_prefix("= ")?)?;
        return Some(Operation::Store { base, offset, size, from });
    }
    let (to, rest) = text.split_once(' ')?;
    let to = register(to)?;
    let (operator, value) = rest.split_once(' ')?;
    if operator != "=" {
        return Some(Operation::Compute { to, operator, with: operand(value)? });
    }
    if value.starts_with("*(") {
        if value.contains("skb[") {
            return None;
        }
        let (size, base, offset, _) = memory(value)?;
        return Some(Operation::Load { to, size, base, offset });
    }
    if let Some(fetch) = value.strip_prefix("atomic") {
        let (size, base, offset, _) = memory(&fetch[fetch.find("((")? + 1..])?;
        return Some(Operation::Atomic { base, offset, size });
    }
    if value.starts_with(['r', 'w']) && register(value.split(' ').next()?).is_some() {
        return Some(Operation::Move { to, from: operand(value)? });
    }
    if value.starts_with("0x") || value.starts_with("map[") || value.ends_with("ll") {
        return Some(Operation::Address { to, what: value });
    }
    match operand(value) {
        Some(from) => Some(Operation::Move { to, from }),
        // `r1 = -r1`, `r1 = be16 r1`, `r1 = (s8)r1`, `r1 = subprog[+3]`.
        None if value.contains(['r', 'w']) => {
            Some(Operation::Compute { to, operator, with: Operand::Register(to) })
        }
        None => Some(Operation::Address { to, what: value }),
    }
}

/// `+6`, `-4`; what the kernel prints right behind it is not ours.
fn jump_offset(text: &str) -> Option<i32> {
    text.split(' ').next()?.parse().ok()
}

/// `r1`, `w10`
fn register(text: &str) -> Option<Register> {
    let digits = text.strip_prefix(['r', 'w'])?;
    digits.parse().ok().filter(|&number| number <= 11)
}

fn operand(text: &str) -> Option<Operand> {
    let text = text.trim_end();
    register(text).map(Operand::Register).or_else(|| {
        let number = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?.cast_signed(),
            None => text.parse().ok()?,
        };
        Some(Operand::Number(number))
    })
}

/// `*(u32 *)(r1 +4) rest` → 4, r1, 4, rest
fn memory(text: &str) -> Option<(u8, Register, i32, &str)> {
    let open = text.find("(")?;
    let inside = &text[open + 1..];
    let size = match inside.split(' ').next()? {
        "u8" | "s8" => 1,
        "u16" | "s16" => 2,
        "u32" | "s32" => 4,
        _ => 8,
    };
    let address = &inside[inside.find(")(")? + 2..];
    let (address, rest) = address.split_once(')')?;
    let (base, offset) = address.split_once(' ')?;
    Some((size, register(base)?, offset.trim().parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operand::{Number, Register as Reg};
    use Operation::*;

    #[test]
    fn the_kernels_disassembly() {
        let cases = [
            ("r3 = r1", Move { to: 3, from: Reg(1) }),
            ("w0 = 1", Move { to: 0, from: Number(1) }),
            ("r3 += 8", Compute { to: 3, operator: "+=", with: Number(8) }),
            ("w1 &= 255", Compute { to: 1, operator: "&=", with: Number(255) }),
            ("r2 = *(u32 *)(r1 +4)", Load { to: 2, size: 4, base: 1, offset: 4 }),
            ("*(u8 *)(r2 -1) = r1", Store { base: 2, offset: -1, size: 1, from: Reg(1) }),
            ("*(u64 *)(r10 -8) = 0", Store { base: 10, offset: -8, size: 8, from: Number(0) }),
            ("lock *(u64 *)(r0 +0) += r1", Atomic { base: 0, offset: 0, size: 8 }),
            ("if r3 > r2 goto pc+6", Branch { left: 3, operator: ">", right: Reg(2), offset: 6 }),
            (
                "if w1 s< 0x10 goto pc-4 11: R0=1",
                Branch { left: 1, operator: "s<", right: Number(16), offset: -4 },
            ),
            ("call bpf_map_lookup_elem#1", Call(Callee::Kernel("bpf_map_lookup_elem"))),
            ("call pc+5", Call(Callee::Own(5))),
            ("goto pc-3", Jump { offset: -3 }),
            ("r1 = 0xffff888003a0c800", Address { to: 1, what: "0xffff888003a0c800" }),
            ("r1 = be16 r1", Compute { to: 1, operator: "=", with: Reg(1) }),
            ("exit", Exit),
            ("r1 = atomic64_fetch_add((u64 *)(r2 +8), r1)", Atomic { base: 2, offset: 8, size: 8 }),
            ("something new", Other),
            ("", Other),
        ];
        for (text, operation) in cases {
            assert_eq!(Operation::parse(text), operation, "{text}");
        }
    }
}
