//! Drawings: events over time, and how numbers are distributed. SVG, with all
//! its text harmless.

use super::super::text;
use crate::values::{Histogram, Notation};
use std::fmt::Write as _;
use std::time::Duration;

/// Bars of a time line; while there are more, two become one.
const BARS: usize = 240;
/// How much time a bar stands for at first, in microseconds.
const FINEST: u64 = 1_000;
/// Sizes, in pixels.
const WIDTH: usize = 720;
const HEIGHT: usize = 70;
const ROW: usize = 16;
const BAR: usize = 200;

/// How many events came when.
#[derive(Debug)]
pub(super) struct Pace {
    /// What a bar stands for, in microseconds.
    step: u64,
    bars: Vec<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { step: FINEST, bars: Vec::new() }
    }
}

impl Pace {
    /// Counts an event.
    pub fn hear(&mut self, at: Duration) {
        let at = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        while at / self.step >= BARS as u64 {
            self.bars = self.bars.chunks(2).map(|two| two.iter().sum()).collect();
            self.step *= 2;
        }
        let place = (at / self.step) as usize;
        if self.bars.len() <= place {
            self.bars.resize(place + 1, 0);
        }
        self.bars[place] += 1;
    }

    /// Events per second, up to `end`.
    pub fn svg(&self, end: Duration) -> String {
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX).max(1);
        let count = usize::try_from(end.div_ceil(self.step)).unwrap_or(BARS).max(self.bars.len());
        let most = self.bars.iter().copied().max().unwrap_or(0).max(1);
        let rate = u128::from(most) * 1_000_000 / u128::from(self.step);
        let mut out = svg(WIDTH, HEIGHT);
        let base = HEIGHT - ROW;
        for (at, bar) in self.bars.iter().enumerate().filter(|(_, bar)| **bar > 0) {
            let left = at as f64 * WIDTH as f64 / count as f64;
            let width = (WIDTH as f64 / count as f64 - 0.5).max(0.5);
            let height = (*bar as f64 / most as f64 * (base - ROW) as f64).max(1.0);
            let _ = writeln!(
                out,
                "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
                base as f64 - height
            );
        }
        let rate = text::count(u64::try_from(rate).unwrap_or(u64::MAX));
        let _ = writeln!(out, "<text x=\"0\" y=\"{}\">{rate}/s</text>", ROW - 5);
        let _ = writeln!(out, "<text x=\"0\" y=\"{}\">0</text>", HEIGHT - 4);
        let _ = writeln!(
            out,
            "<text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            HEIGHT - 4,
            text::micros(end, true)
        );
        out + "</svg>\n"
    }
}

/// How numbers are distributed, by powers of two.
#[derive(Debug)]
pub(super) struct Distribution {
    unit: Option<Notation>,
    slots: Vec<u64>,
    negative: u64,
    count: u64,
    least: i128,
    largest: i128,
    sum: f64,
}

impl Distribution {
    pub fn new(unit: Option<Notation>) -> Self {
        Self {
            unit,
            slots: vec![0; 64],
            negative: 0,
            count: 0,
            least: i128::MAX,
            largest: i128::MIN,
            sum: 0.0,
        }
    }

    /// Counts a number.
    pub fn add(&mut self, number: i128) {
        self.count += 1;
        self.least = self.least.min(number);
        self.largest = self.largest.max(number);
        self.sum += number as f64;
        match u64::try_from(number) {
            Ok(number) => self.slots[number.max(1).ilog2() as usize] += 1,
            Err(_) => self.negative += 1,
        }
    }

    pub fn svg(&self) -> String {
        let mean = (self.sum / self.count.max(1) as f64).round();
        let mut out = format!(
            "<p>{} to {}, {} on average</p>\n",
            self.words(self.least),
            self.words(self.largest),
            self.words(mean as i128)
        );
        let mut rows = Vec::new();
        if self.negative > 0 {
            rows.push(("below 0".to_owned(), self.negative));
        }
        let histogram = Histogram { slots: self.slots.clone() };
        for (least, largest, count) in histogram.rows() {
            let range = match self.unit {
                Some(_) => format!("from {}", self.words(least.into())),
                None => format!("{least} .. {largest}"),
            };
            rows.push((range, count));
        }
        out += &bars(&rows);
        out
    }

    fn words(&self, number: i128) -> String {
        match (u64::try_from(number), self.unit) {
            (Ok(number), Some(Notation::Nanoseconds)) if number < 1_000 => format!("{number} ns"),
            (Ok(number), Some(Notation::Nanoseconds)) => text::micros(number / 1_000, true),
            (Ok(number), Some(Notation::Size)) => text::bytes(number),
            _ => number.to_string(),
        }
    }
}

/// A map's histogram.
pub(super) fn slots(histogram: &Histogram) -> String {
    let rows: Vec<(String, u64)> = histogram
        .rows()
        .into_iter()
        .map(|(least, largest, count)| (format!("{least} .. {largest}"), count))
        .collect();
    bars(&rows)
}

/// A bar each, with its label and its number.
fn bars(rows: &[(String, u64)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    // A letter of the labels' is so wide.
    let label = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0) * 7 + 6;
    let mut out = svg(label + BAR + 80, rows.len() * ROW);
    for (at, (name, count)) in rows.iter().enumerate() {
        let (top, base) = (at * ROW + 2, at * ROW + 12);
        let width =
            (*count as f64 / most as f64 * BAR as f64).max(if *count > 0 { 1.0 } else { 0.0 });
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{label}\" y=\"{top}\" width=\"{width:.1}\" height=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{base}\">{count}</text>",
            label - 6,
            ROW - 4,
            label as f64 + width + 4.0
        );
    }
    out + "</svg>\n"
}

fn svg(width: usize, height: usize) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_line_of_any_length_has_few_bars() {
        let mut pace = Pace::default();
        for at in 0..10_000_u64 {
            pace.hear(Duration::from_millis(at));
        }
        assert!(pace.bars.len() <= BARS);
        assert_eq!(pace.bars.iter().sum::<u64>(), 10_000);
        pace.hear(Duration::MAX);
        assert_eq!(pace.bars.iter().sum::<u64>(), 10_001);
    }

    #[test]
    fn numbers_of_both_signs_are_counted() {
        let mut numbers = Distribution::new(None);
        for number in [-3, 0, 1, 2, 1 << 63] {
            numbers.add(number);
        }
        assert_eq!((numbers.negative, numbers.slots[0], numbers.slots[1]), (1, 2, 1));
        assert_eq!(numbers.slots[63], 1);
        assert!(numbers.svg().contains("below 0"));
    }
}
