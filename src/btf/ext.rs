//! `.BTF.ext`: which instruction comes from which function, line and CO-RE
//! access (kernel, `Documentation/bpf/btf.rst`, "BTF.ext section").

use super::{Btf, Endian, Error, TypeId};

/// The content of a `.BTF.ext` section. Every type and string it refers to is
/// in the [`Btf`] it was read with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ext {
    /// Where functions begin.
    pub func_info: Vec<Section<FuncInfo>>,
    /// Where source lines begin.
    pub line_info: Vec<Section<LineInfo>>,
    /// What the loader has to adapt to the running kernel.
    pub core_relo: Vec<Section<CoreRelo>>,
}

/// The records about one ELF section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<R> {
    /// The section's name, as an offset into the BTF's strings.
    pub name: u32,
    /// The records, in the order of the file.
    pub records: Vec<R>,
}

/// A function begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// The offset of its first instruction in the section, in bytes.
    pub offset: u32,
    /// The function.
    pub ty: TypeId,
}

/// A source line begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// The offset of its first instruction in the section, in bytes.
    pub offset: u32,
    /// The file's name, as an offset into the BTF's strings.
    pub file: u32,
    /// The line's text, as an offset into the BTF's strings
    /// ([`Btf::string_lossy`]: it may be in any encoding).
    pub text: u32,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1; 0 where it is not known.
    pub column: u32,
}

/// An instruction that depends on the kernel's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// The offset of the instruction in the section, in bytes.
    pub offset: u32,
    /// The type the access begins at.
    pub ty: TypeId,
    /// The path of the access (`0:1:2`), as an offset into the BTF's strings.
    pub access: u32,
    /// What is asked, an `enum bpf_core_relo_kind`.
    pub kind: u32,
}

/// One kind of record: how long it is at least, and how it is decoded.
trait Decode: Sized {
    const WORDS: usize;
    const WHAT: &'static str;
    fn decode(words: &[u32], btf: &Btf) -> Result<Self, String>;
}

fn type_id(id: u32, btf: &Btf) -> Result<TypeId, String> {
    match btf.contains(TypeId(id)) {
        true => Ok(TypeId(id)),
        false => Err(format!("type {id} is not there")),
    }
}

fn string(offset: u32, btf: &Btf) -> Result<u32, String> {
    match btf.has_string(offset) {
        true => Ok(offset),
        false => Err(format!("there is no string at {offset}")),
    }
}

impl Decode for FuncInfo {
    const WORDS: usize = 2;
    const WHAT: &'static str = "function info";
    fn decode(words: &[u32], btf: &Btf) -> Result<Self, String> {
        Ok(Self { offset: words[0], ty: type_id(words[1], btf)? })
    }
}

impl Decode for LineInfo {
    const WORDS: usize = 4;
    const WHAT: &'static str = "line info";
    fn decode(words: &[u32], btf: &Btf) -> Result<Self, String> {
        Ok(Self {
            offset: words[0],
            file: string(words[1], btf)?,
            text: string(words[2], btf)?,
            line: words[3] >> 10,
            column: words[3] & 0x3ff,
        })
    }
}

impl Decode for CoreRelo {
    const WORDS: usize = 4;
    const WHAT: &'static str = "CO-RE relocation";
    fn decode(words: &[u32], btf: &Btf) -> Result<Self, String> {
        Ok(Self {
            offset: words[0],
            ty: type_id(words[1], btf)?,
            access: string(words[2], btf)?,
            kind: words[3],
        })
    }
}

impl Ext {
    /// Reads a `.BTF.ext` section that goes with `btf`.
    ///
    /// # Errors
    /// If it is cut off, contradicts itself, or refers to types or strings
    /// that `btf` does not have.
    pub fn parse(bytes: &[u8], btf: &Btf) -> Result<Self, Error> {
        let reader = Reader { endian: Endian::detect(bytes)?, bytes };
        let version = bytes.get(2).copied().unwrap_or(1);
        if version != 1 {
            return Err(Error::Version(version));
        }
        let header = reader.word(4)? as usize;
        if header < 8 + 16 || header > bytes.len() {
            return Err(Error::Ext("its header's length is not possible".into()));
        }
        let core_relo = match header >= 8 + 24 {
            true => reader.section(header, 24, btf)?,
            false => Vec::new(),
        };
        Ok(Self {
            func_info: reader.section(header, 8, btf)?,
            line_info: reader.section(header, 16, btf)?,
            core_relo,
        })
    }
}

struct Reader<'b> {
    endian: Endian,
    bytes: &'b [u8],
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Result<u32, Error> {
        let word = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        word.map(|word| self.endian.u32(*word)).ok_or_else(|| Error::Truncated {
            what: "the .BTF.ext section",
            needed: at as u64 + 4,
            present: self.bytes.len() as u64,
        })
    }

    /// The records that the pair of offset and length at `at` leads to.
    fn section<R: Decode>(
        &self,
        header: usize,
        at: usize,
        btf: &Btf,
    ) -> Result<Vec<Section<R>>, Error> {
        let broken = |what: &str| Error::Ext(format!("{}: {what}", R::WHAT));
        let start = header as u64 + u64::from(self.word(at)?);
        let end = start + u64::from(self.word(at + 4)?);
        if end > self.bytes.len() as u64 {
            return Err(broken("its records go past the end"));
        }
        let (mut at, end) = (start as usize, end as usize);
        let mut sections = Vec::new();
        if at == end {
            return Ok(sections);
        }
        let size = self.word(at)? as usize;
        if size < R::WORDS * 4 || !size.is_multiple_of(4) {
            return Err(broken("the length of a record is not possible"));
        }
        at += 4;
        while at < end {
            let name = string(self.word(at)?, btf).map_err(|what| broken(&what))?;
            let count = self.word(at + 4)? as usize;
            at += 8;
            if count.checked_mul(size).is_none_or(|bytes| bytes > end.saturating_sub(at)) {
                return Err(broken("its records go past the end"));
            }
            let mut records = Vec::with_capacity(count);
            let mut words = [0; 4];
            for _ in 0..count {
                for (index, word) in words[..R::WORDS].iter_mut().enumerate() {
                    *word = self.word(at + index * 4)?;
                }
                records.push(R::decode(&words, btf).map_err(|what| broken(&what))?);
                at += size;
            }
            sections.push(Section { name, records });
        }
        Ok(sections)
    }
}
