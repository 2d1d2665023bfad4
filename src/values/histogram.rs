//! Arrays of counts whose index is the logarithm of what was counted.

use super::Value;

/// The parts of a name that say that something is a histogram.
const NAMES: [&str; 6] = ["hist", "hists", "histogram", "slots", "buckets", "dist"];
/// Fewer slots are hardly one.
const FEWEST: usize = 8;

/// How what a map holds is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'e> {
    /// The map is one histogram.
    Histogram(Histogram),
    /// Each of its values is one, or has one in it: by key.
    Histograms(Vec<(&'e Value, Histogram)>),
    /// Entries, those left out that say nothing.
    Entries(Vec<&'e (Value, Value)>),
}

impl<'e> Content<'e> {
    /// What a map of that name holds.
    pub fn of(name: &str, entries: &'e [(Value, Value)]) -> Self {
        if let Some(histogram) = Histogram::of_entries(name, entries) {
            return Self::Histogram(histogram);
        }
        let told: Vec<&(Value, Value)> =
            entries.iter().filter(|(_, value)| !value.is_nothing()).collect();
        let histogram =
            |(key, value): &&'e (Value, Value)| Some((key, Histogram::of(name, value)?));
        match told.iter().map(histogram).collect::<Option<Vec<_>>>() {
            Some(histograms) if !histograms.is_empty() => Self::Histograms(histograms),
            _ => Self::Entries(told),
        }
    }
}

/// A histogram: slot `n` counts what is at least 2ⁿ and less than 2ⁿ⁺¹; the
/// first has zero, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How many there are in each slot.
    pub slots: Vec<u64>,
}

impl Histogram {
    /// Whether something of this name is a histogram.
    pub fn is_named(name: &str) -> bool {
        name.split('_').any(|part| NAMES.contains(&part))
    }

    /// The histogram that a value called `name` is, or that is its member.
    pub fn of(name: &str, value: &Value) -> Option<Self> {
        match value {
            Value::List(values) if Self::is_named(name) && values.len() >= FEWEST => {
                Some(Self { slots: values.iter().map(Value::as_count).collect::<Option<_>>()? })
            }
            Value::Record(members) => {
                members.iter().find_map(|(name, value)| Self::of(name, value))
            }
            _ => None,
        }
    }

    /// The histogram that a map of that name is, if it is an array whose index
    /// is the slot.
    pub fn of_entries(name: &str, entries: &[(Value, Value)]) -> Option<Self> {
        let is_slot = |(at, (key, _)): (u64, &(Value, Value))| {
            *key == Value::Unsigned(at) || *key == Value::Signed(at as i64)
        };
        let is_one = Self::is_named(name) && (0..).zip(entries).all(is_slot);
        let slots = entries.iter().filter(|_| is_one).map(|(_, value)| value.as_count());
        let slots: Vec<u64> = slots.collect::<Option<_>>()?;
        (!slots.is_empty()).then_some(Self { slots })
    }

    /// The least and the largest value that a slot counts.
    pub fn range(slot: usize) -> (u64, u64) {
        let least = if slot == 0 { 0 } else { 1_u64.checked_shl(slot as u32).unwrap_or(u64::MAX) };
        (least, 1_u64.checked_shl(slot as u32 + 1).unwrap_or(0).wrapping_sub(1))
    }

    /// The slots from the first to the last that has something, each with the
    /// least and the largest value that it counts.
    pub fn rows(&self) -> Vec<(u64, u64, u64)> {
        let has = |count: &u64| *count > 0;
        let Some(first) = self.slots.iter().position(has) else { return Vec::new() };
        let last = self.slots.iter().rposition(has).unwrap_or(first);
        let row = |index: usize| {
            let (least, largest) = Self::range(index);
            (least, largest, self.slots[index])
        };
        (first..=last).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_arrays_of_counts_are_histograms() {
        let counts = |n: u64| Value::List((0..n).map(Value::Unsigned).collect());
        assert!(Histogram::of("slots", &counts(27)).is_some());
        assert!(Histogram::of("args", &counts(27)).is_none());
        assert!(Histogram::of("slots", &counts(4)).is_none());
        let hist = Value::Record(vec![
            ("comm".into(), Value::Text("x".into())),
            ("slots".into(), counts(10)),
        ]);
        let rows = Histogram::of("hists", &hist).map(|hist| hist.rows());
        let rows = rows.expect("a member is one");
        assert_eq!(rows.first(), Some(&(2, 3, 1)));
        assert_eq!(rows.last(), Some(&(512, 1023, 9)));
        let all = Histogram { slots: vec![1; 64] }.rows();
        assert_eq!((all[0], all[63]), ((0, 1, 1), (1 << 63, u64::MAX, 1)));
    }
}
