//! Names for addresses of code, and the stacks that numbers stand for. Only
//! the machine knows them, and it is asked when there is something to name.

use crate::values::{Code, Place, Value};
use crate::wire::{AskedStack, Frame, KERNEL_HALF, Located, Resolve};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names that are remembered.
const MOST: usize = 100_000;

/// What the machine has said so far.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// What is in the kernel.
    names: HashMap<u64, Option<Arc<str>>>,
    /// The numbers of the stacks that were told.
    told: HashSet<u32>,
}

impl Symbols {
    /// What has to be asked before some values can be shown; nothing if all is
    /// known.
    pub fn question<'v>(&self, values: impl Iterator<Item = &'v mut Value>) -> Option<Resolve> {
        let mut asked = Resolve::default();
        let mut addresses = HashSet::new();
        let mut stacks = HashSet::new();
        for value in values {
            let pid = process(value);
            value.each_code(&mut |place| {
                let mut add = |address: u64| {
                    let asked = (if address >= KERNEL_HALF { 0 } else { pid }, address);
                    if !self.names.contains_key(&address) {
                        addresses.insert(asked);
                    }
                };
                match place {
                    Place::Code(code) => add(code.address),
                    Place::Stack(stack) => {
                        stack.frames.iter().for_each(|code| add(code.address));
                        // Errors are no numbers of stacks.
                        let id = stack.id.and_then(|id| u32::try_from(id).ok());
                        if let (Some(id), true) = (id, stack.frames.is_empty()) {
                            let map = stack.map.as_deref().map(str::to_owned);
                            stacks.insert(AskedStack { map, id, pid });
                        }
                    }
                }
            });
        }
        asked.addresses = addresses.into_iter().collect();
        asked.stacks = stacks.into_iter().collect();
        (!asked.addresses.is_empty() || !asked.stacks.is_empty()).then_some(asked)
    }

    /// Puts the machine's answer into the values; without one, what is known
    /// already.
    pub fn fill<'v>(
        &mut self,
        values: impl Iterator<Item = &'v mut Value>,
        answer: Option<(Resolve, Located)>,
    ) {
        let mut stacks: HashMap<AskedStack, Vec<Code>> = HashMap::new();
        let mut names: HashMap<(u32, u64), Option<Arc<str>>> = HashMap::new();
        if self.names.len() > MOST {
            self.names.clear();
        }
        if let Some((asked, located)) = answer {
            for ((pid, address), name) in asked.addresses.into_iter().zip(located.names) {
                let name = name.map(Arc::from);
                if address >= KERNEL_HALF {
                    self.names.insert(address, name);
                } else {
                    names.insert((pid, address), name);
                }
            }
            for (stack, frames) in asked.stacks.into_iter().zip(located.stacks) {
                let frame =
                    |frame: Frame| Code { address: frame.address, name: frame.name.map(Arc::from) };
                stacks.insert(stack, frames.into_iter().map(frame).collect());
            }
        }
        for value in values {
            let pid = process(value);
            value.each_code(&mut |place| {
                let name = |address: u64| match self.names.get(&address) {
                    Some(name) => name.clone(),
                    None => names.get(&(pid, address)).cloned().flatten(),
                };
                match place {
                    Place::Code(code) => code.name = name(code.address),
                    Place::Stack(stack) => {
                        stack.frames.iter_mut().for_each(|code| code.name = name(code.address));
                        let Some(id) = stack.id.and_then(|id| u32::try_from(id).ok()) else {
                            return;
                        };
                        let map = stack.map.as_deref().map(str::to_owned);
                        if let Some(frames) = stacks.get(&AskedStack { map, id, pid }) {
                            stack.frames.clone_from(frames);
                            self.told.insert(id);
                        }
                    }
                }
            });
        }
    }

    /// Whether a stack was told with something that refers to it.
    pub fn was_told(&self, key: &Value) -> bool {
        key.as_count()
            .and_then(|id| u32::try_from(id).ok())
            .is_some_and(|id| self.told.contains(&id))
    }
}

/// The process that a record tells of, or 0.
fn process(value: &Value) -> u32 {
    let Value::Record(members) = value else { return 0 };
    let number = |wanted: &str| {
        let (_, value) = members.iter().find(|(name, _)| &**name == wanted)?;
        let number = match value {
            Value::Unsigned(number) => i128::from(*number),
            Value::Signed(number) => i128::from(*number),
            Value::Noted(_, number) => *number,
            _ => return None,
        };
        u32::try_from(number).ok()
    };
    ["tgid", "pid"].into_iter().find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Stack;

    #[test]
    fn only_what_is_not_known_is_asked() {
        let address = KERNEL_HALF + 16;
        let mut values = [
            Value::Record(vec![
                ("pid".into(), Value::Signed(7)),
                ("ip".into(), Value::Code(Code { address, name: None })),
                (
                    "stack_id".into(),
                    Value::Stack(Box::new(Stack { id: Some(3), map: None, frames: Vec::new() })),
                ),
            ]),
            Value::Stack(Box::new(Stack { id: Some(-14), map: None, frames: Vec::new() })),
        ];
        let mut symbols = Symbols::default();
        let asked = symbols.question(values.iter_mut()).expect("nothing is known yet");
        assert_eq!(asked.addresses, [(0, address)]);
        assert_eq!(asked.stacks, [AskedStack { map: None, id: 3, pid: 7 }]);
        let frames = vec![Frame { address: 16, name: Some("tool+0x10".into()) }];
        let located = Located { names: vec![Some("f+0x10".into())], stacks: vec![frames] };
        symbols.fill(values.iter_mut(), Some((asked, located)));
        assert_eq!(values[0].to_string(), "{pid=7 ip=f+0x10 stack_id=[tool+0x10]}");
        assert_eq!(values[1].to_string(), "-14");
        assert!(symbols.question(values.iter_mut()).is_some_and(|more| more.stacks.is_empty()));
        assert!(symbols.was_told(&Value::Unsigned(3)) && !symbols.was_told(&Value::Unsigned(4)));
    }
}
