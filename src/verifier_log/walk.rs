//! The walk step by step: how often each instruction was met, and what was
//! known of registers and stack after each step.

use super::disasm::{Callee, Operation};
use super::line::Kind;
use super::log::{Instruction, Item, Log};
use super::path::Path;
use super::source::Source;
use super::{Dialect, state};
use std::collections::BTreeMap;

/// A stretch of the walk, step by step: positions in a log, which its methods
/// are given.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The items of the log, in order.
    items: Vec<usize>,
    /// Which of them are instructions.
    steps: Vec<usize>,
}

/// What was known after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment<'t> {
    /// How deep in calls; 0 is the program itself.
    pub depth: usize,
    /// Registers and stack slots of the frame, in order: `R1`, `ctx()`.
    pub state: Vec<(&'t str, &'t str)>,
    /// The names of those that the log mentions here.
    pub changed: Vec<&'t str>,
}

impl Log<'_> {
    /// How often the verifier met each instruction, by its index. A walk that
    /// ends where all is known already counts, as the kernel counts it.
    pub fn visits(&self) -> BTreeMap<u32, u64> {
        let mut visits = BTreeMap::new();
        for item in &self.items {
            let met = match item.kind {
                Kind::Instruction | Kind::Pruned => Some(item.number),
                Kind::Branch if self.state_of(*item) == Some("safe") => self.target_of(*item),
                _ => None,
            };
            if let Some(index) = met {
                *visits.entry(index).or_default() += 1;
            }
        }
        visits
    }
}

impl Walk {
    /// All of it, in the order of the log.
    pub fn whole(log: &Log<'_>) -> Self {
        Self::of(log, (0..log.items.len()).collect())
    }

    /// Only the path that led to the end of the log.
    pub fn last_path(log: &Log<'_>) -> Self {
        Self::of(log, Path::new(log).log_positions().collect())
    }

    fn of(log: &Log<'_>, items: Vec<usize>) -> Self {
        let is_step = |at: &usize| log.items[items[*at]].kind == Kind::Instruction;
        let steps = (0..items.len()).filter(is_step).collect();
        Self { items, steps }
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether the log has no step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The instruction of a step.
    pub fn instruction<'t>(&self, log: &Log<'t>, step: usize) -> Option<Instruction<'t>> {
        let item = log.items[self.items[*self.steps.get(step)?]];
        Some(log.instruction(item))
    }

    /// The source that the log quotes for a step.
    pub fn source<'t>(&self, log: &Log<'t>, step: usize) -> Option<Source<'t>> {
        log.source_before(self.items[*self.steps.get(step)?])
    }

    /// The step of this walk at the place in the log where a step of another
    /// one is, or the nearest before it.
    pub fn same_place(&self, other: &Self, step: usize) -> usize {
        let Some(&at) = other.steps.get(step) else { return 0 };
        let item = other.items[at];
        self.steps.partition_point(|&at| self.items[at] <= item).saturating_sub(1)
    }

    /// What was known after each step, from the first on.
    pub fn moments<'l, 't>(&'l self, log: &'l Log<'t>) -> Moments<'l, 't> {
        Moments { log, walk: self, replay: Replay::new(log.dialect), step: 0, at: 0 }
    }

    /// What was known after one step.
    pub fn moment<'t>(&self, log: &Log<'t>, step: usize) -> Option<Moment<'t>> {
        let mut moments = self.moments(log);
        for _ in 0..step {
            moments.skip_step();
        }
        moments.next()
    }
}

/// See [`Walk::moments`].
#[derive(Debug)]
pub struct Moments<'l, 't> {
    log: &'l Log<'t>,
    walk: &'l Walk,
    replay: Replay<'t>,
    step: usize,
    at: usize,
}

impl Moments<'_, '_> {
    /// Goes on to before the instruction of the next step but one.
    fn skip_step(&mut self) {
        let walk = self.walk;
        self.step += 1;
        let end = walk.steps.get(self.step).copied().unwrap_or(walk.items.len());
        self.replay.changed.clear();
        while self.at < end {
            self.replay.take(self.log, self.log.items[walk.items[self.at]]);
            self.at += 1;
        }
    }
}

impl<'t> Iterator for Moments<'_, 't> {
    type Item = Moment<'t>;

    fn next(&mut self) -> Option<Moment<'t>> {
        if self.step >= self.walk.steps.len() {
            return None;
        }
        self.skip_step();
        Some(self.replay.moment())
    }
}

/// The state as the log's lines tell it: some in full, some only what is new.
#[derive(Debug)]
struct Replay<'t> {
    dialect: Dialect,
    /// From the program itself to the innermost call.
    frames: Vec<BTreeMap<Rank, (&'t str, &'t str)>>,
    depth: usize,
    changed: Vec<&'t str>,
    /// The next state belongs to the function that is called.
    enters: bool,
}

/// Registers by number, then the stack downwards, then the rest.
type Rank = (u8, i64);

fn rank(name: &str) -> Rank {
    let number = |text: &str| text.parse::<i64>().ok();
    if let Some(register) = name.strip_prefix('R').and_then(number) {
        (0, register)
    } else if let Some(slot) = name.strip_prefix("fp").and_then(number) {
        (1, slot.saturating_neg())
    } else {
        (2, name.bytes().next().map_or(0, i64::from))
    }
}

impl<'t> Replay<'t> {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            frames: vec![BTreeMap::new()],
            depth: 0,
            changed: Vec::new(),
            enters: false,
        }
    }

    fn take(&mut self, log: &Log<'t>, item: Item) {
        match item.kind {
            Kind::Instruction => {
                let instruction = log.instruction(item);
                // What was known before it is no news.
                self.changed.clear();
                self.execute(instruction.operation());
                if let Some(state) = instruction.state {
                    self.merge(state, false, true);
                }
            }
            Kind::CallMarker => {
                let marker = log.text_of(item);
                self.enters = marker == "callee:" || marker.starts_with("to caller");
            }
            Kind::State | Kind::StateBefore | Kind::Branch => {
                let Some(state) = log.state_of(item).filter(|state| *state != "safe") else {
                    return;
                };
                let depth = state::frame_of(state) as usize;
                if item.kind != Kind::State || std::mem::take(&mut self.enters) {
                    self.depth = depth;
                }
                // Old kernels print all they know, every time.
                let is_whole = item.kind == Kind::Branch || self.dialect == Dialect::V5_10;
                self.merge(state, is_whole, item.kind != Kind::Branch);
            }
            Kind::Source | Kind::Pruned => {}
        }
    }

    /// What an instruction writes is not what it was.
    fn execute(&mut self, operation: Operation<'t>) {
        match operation {
            Operation::Call(Callee::Own(_)) => self.depth += 1,
            Operation::Exit => self.depth = self.depth.saturating_sub(1),
            operation => {
                let frame = self.frame(self.depth);
                frame.retain(|&(class, number), _| {
                    let register = u8::try_from(number).ok().filter(|_| class == 0);
                    !register.is_some_and(|register| operation.writes(register))
                });
            }
        }
    }

    fn merge(&mut self, state: &'t str, is_whole: bool, is_news: bool) {
        let depth = state::frame_of(state) as usize;
        let frame = self.frame(depth);
        let old = if is_whole { std::mem::take(frame) } else { BTreeMap::new() };
        let mut changed = Vec::new();
        for (name, value) in state::pairs(state) {
            frame.insert(rank(name), (name, value));
            if old.get(&rank(name)).is_none_or(|(_, known)| *known != value) {
                changed.push(name);
            }
        }
        if depth == self.depth && is_news {
            self.changed.extend(changed);
        }
    }

    fn frame(&mut self, depth: usize) -> &mut BTreeMap<Rank, (&'t str, &'t str)> {
        if self.frames.len() <= depth {
            self.frames.resize_with(depth + 1, BTreeMap::new);
        }
        &mut self.frames[depth]
    }

    fn moment(&self) -> Moment<'t> {
        let frame = self.frames.get(self.depth);
        let state: Vec<(&str, &str)> =
            frame.into_iter().flat_map(BTreeMap::values).copied().collect();
        let known = |name: &&str| state.iter().any(|(known, _)| known == name);
        let mut changed: Vec<&str> =
            self.changed.iter().filter(|name| known(name)).copied().collect();
        changed.sort_by_key(|name| rank(name));
        changed.dedup();
        Moment { depth: self.depth, changed, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V6_12: &str = "\
0: R1=ctx() R10=fp0
; u32 key = 0; @ a.bpf.c:4
0: (b7) r6 = 0                        ; R6_w=0
1: (63) *(u32 *)(r10 -4) = r6         ; R6_w=0 R10=fp0 fp-8=0000????
2: (85) call bpf_get_prandom_u32#7    ; R0_w=scalar()
; if (x) @ a.bpf.c:6
3: (55) if r0 != 0x0 goto pc+2        ; R0_w=0
4: (b7) r0 = 0                        ; R0_w=0
5: (95) exit

from 3 to 6: R0_w=scalar(umin=1) R6_w=0 R10=fp0 fp-8=0000????
6: (b7) r0 = 1                        ; R0_w=1
7: (95) exit
processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";

    fn shown(moment: &Moment<'_>) -> String {
        let state: Vec<String> =
            moment.state.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} [{}]", state.join(" "), moment.changed.join(" "))
    }

    #[test]
    fn what_is_known_after_each_step() {
        let log = Log::parse(V6_12);
        let walk = Walk::whole(&log);
        let moments: Vec<String> = walk.moments(&log).map(|moment| shown(&moment)).collect();
        assert_eq!(walk.len(), 8);
        assert_eq!(moments[0], "R1=ctx() R6=0 R10=fp0 [R6]");
        assert_eq!(moments[1], "R1=ctx() R6=0 R10=fp0 fp-8=0000???? [R6 R10 fp-8]");
        // The call takes away what the arguments were.
        assert_eq!(moments[2], "R0=scalar() R6=0 R10=fp0 fp-8=0000???? [R0]");
        assert_eq!(moments[6], "R0=1 R6=0 R10=fp0 fp-8=0000???? [R0]");
        assert_eq!(walk.moment(&log, 2).map(|moment| shown(&moment)), Some(moments[2].clone()));

        let path = Walk::last_path(&log);
        let indices: Vec<u32> =
            (0..path.len()).filter_map(|step| Some(path.instruction(&log, step)?.index)).collect();
        assert_eq!(indices, [0, 1, 2, 3, 6, 7]);
        assert_eq!(walk.same_place(&path, 4), 6);
        assert_eq!(path.same_place(&walk, 4), 3);
        assert_eq!(walk.source(&log, 3).and_then(|source| source.place), Some(("a.bpf.c", 6)));
    }

    #[test]
    fn old_kernels_print_everything_every_time() {
        let log = Log::parse(
            "0: R1=ctx(id=0,off=0,imm=0) R10=fp0\n0: (b7) r6 = 0\n\
             1: R1=ctx(id=0,off=0,imm=0) R6_w=inv0 R10=fp0\n1: (bf) r1 = r6\n\
             2: R1_w=inv0 R6_w=inv0 R10=fp0\n2: (95) exit\n",
        );
        assert_eq!(log.dialect, Dialect::V5_10);
        let walk = Walk::whole(&log);
        let moments: Vec<String> = walk.moments(&log).map(|moment| shown(&moment)).collect();
        assert_eq!(moments[0], "R1=ctx(id=0,off=0,imm=0) R6=inv0 R10=fp0 [R6]");
        assert_eq!(moments[1], "R1=inv0 R6=inv0 R10=fp0 [R1]");
    }

    #[test]
    fn visits_are_counted_as_the_kernel_counts_them() {
        let text = V6_12.replace("6: (b7)", "6: safe\n6: (b7)");
        let log = Log::parse(&text);
        let visits = log.visits();
        assert_eq!(visits.values().sum::<u64>(), 9);
        assert_eq!(visits[&6], 2);
        let pruned = Log::parse("0: (95) exit\n\nfrom 3 to 6: safe\n");
        assert_eq!(pruned.visits(), BTreeMap::from([(0, 1), (6, 1)]));
    }
}
