//! Constant arguments that helpers always refuse: the verifier takes them, and
//! the call fails each time; or the verifier refuses it without a word.
//!
//! `arguments.tsv` is read off Linux 6.12 and 7.2, which agree (the last column
//! has the file and function). Its columns: the helper; the argument, counted
//! from 1; what must hold of it; for which program types, `-` for all; what the
//! call does else. Flags that only one of the two kernels knows are taken.
//! tests/vm/arguments.rs tries the rows on both.

use super::{Helper, ProgramType};
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

static TABLE: &str = include_str!("arguments.tsv");

/// What must hold of a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It has no other bits than these.
    Mask(u64),
    /// It is one of these.
    OneOf(Vec<u64>),
    /// It is at least this.
    Min(u64),
    /// It is at most this.
    Max(u64),
    /// It is a multiple of this.
    MultipleOf(u64),
}

impl Demand {
    fn read(rule: &str, value: &str) -> Option<Self> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        Some(match rule {
            "mask" => Self::Mask(number(value)?),
            "in" => Self::OneOf(value.split(',').map(number).collect::<Option<_>>()?),
            "min" => Self::Min(number(value)?),
            "max" => Self::Max(number(value)?),
            "multiple" => Self::MultipleOf(number(value).filter(|unit| *unit > 0)?),
            _ => return None,
        })
    }

    /// Whether a constant is as demanded.
    pub fn holds(&self, number: u64) -> bool {
        match self {
            Self::Mask(mask) => number & !mask == 0,
            Self::OneOf(numbers) => numbers.contains(&number),
            Self::Min(least) => number >= *least,
            Self::Max(most) => number <= *most,
            Self::MultipleOf(unit) => number.is_multiple_of(*unit),
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mask(mask) => write!(f, "no bits but {mask:#x}"),
            Self::OneOf(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
                f.write_str(&numbers.join(" or "))
            }
            Self::Min(least) => write!(f, "{least} or more"),
            Self::Max(most) => write!(f, "{most} or less"),
            Self::MultipleOf(unit) => write!(f, "a multiple of {unit}"),
        }
    }
}

/// What a helper demands of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentRule {
    /// The argument, counted from 1.
    pub argument: usize,
    /// What must hold.
    pub demand: Demand,
    /// What the call does else: `fails with -EINVAL`.
    pub outcome: &'static str,
    /// The file and function of the kernel that say so.
    pub source: &'static str,
    programs: Vec<ProgramType>,
}

impl ArgumentRule {
    /// Whether it is the verifier that refuses the call.
    pub fn is_verified(&self) -> bool {
        self.outcome.ends_with("by the verifier")
    }

    /// Whether it is one for programs of a type.
    pub fn is_for(&self, program: ProgramType) -> bool {
        self.programs.is_empty() || self.programs.contains(&program)
    }
}

/// What a helper demands of its arguments.
pub fn rules(helper: Helper) -> &'static [ArgumentRule] {
    table().get(&helper.id()).map_or(&[], Vec::as_slice)
}

fn table() -> &'static HashMap<i32, Vec<ArgumentRule>> {
    static READ: OnceLock<HashMap<i32, Vec<ArgumentRule>>> = OnceLock::new();
    READ.get_or_init(|| {
        let mut rules: HashMap<i32, Vec<ArgumentRule>> = HashMap::new();
        for (helper, rule) in TABLE.lines().skip(1).filter_map(row) {
            rules.entry(helper.id()).or_default().push(rule);
        }
        rules
    })
}

fn row(line: &'static str) -> Option<(Helper, ArgumentRule)> {
    let mut cells = line.split('\t');
    let helper = Helper::by_name(cells.next()?)?;
    let argument = cells.next()?.parse().ok()?;
    let demand = Demand::read(cells.next()?, cells.next()?)?;
    let names = cells.next()?.split(',').filter(|name| *name != "-");
    let programs = names.map(ProgramType::by_name).collect::<Option<_>>()?;
    let (outcome, source) = (cells.next()?, cells.next()?);
    Some((helper, ArgumentRule { argument, demand, outcome, source, programs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        let count: usize = table().values().map(Vec::len).sum();
        assert_eq!(count, TABLE.lines().count() - 1);
        for rule in table().values().flatten() {
            assert!((1..=5).contains(&rule.argument) && rule.source.contains(".c "), "{rule:?}");
        }
    }

    #[test]
    fn demands_hold_or_do_not() {
        let rule = |name: &str| &rules(Helper::by_name(name).unwrap())[0];
        let output = rule("bpf_ringbuf_output");
        assert!(output.demand.holds(2) && !output.demand.holds(0xffff_ffff));
        let lookup = rule("bpf_sk_lookup_tcp");
        assert!(lookup.demand.holds(36) && !lookup.demand.holds(40));
        assert_eq!(lookup.demand.to_string(), "12 or 36");
        let loops = rule("bpf_loop");
        assert!(loops.demand.holds(1 << 23) && !loops.demand.holds((1 << 23) + 1));
        let redirect = rules(Helper::by_name("bpf_redirect").unwrap());
        let for_xdp: Vec<_> =
            redirect.iter().filter(|rule| rule.is_for(ProgramType::Xdp)).collect();
        assert!(for_xdp.len() == 1 && !for_xdp[0].demand.holds(1));
        assert!(rules(Helper::by_id(5).unwrap()).is_empty());
    }
}
