//! Several kernels side by side: one machine each, at most two at once. What
//! one of them says is told as it comes; where one fails, the others go on.

use super::happening::{Happening, Told};
use super::{Outcome, Place, Work};
use crate::diagnostics::{Failure, codes, fold};
use crate::ops::Session;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

/// Machines at once.
const AT_ONCE: usize = 2;

/// How often the user asked for the end. All machines hear of it, whichever
/// looks first.
pub(super) struct Stops<'s> {
    session: &'s Session,
    asked: AtomicU32,
}

impl Stops<'_> {
    /// How often, up to now.
    pub fn asked(&self) -> u32 {
        let more = u32::from(self.session.cancel.take());
        self.asked.fetch_add(more, Ordering::SeqCst) + more
    }
}

/// Runs an object on all kernels.
pub(super) fn all(
    work: &Work<'_>,
    places: &[Place],
    outcome: &mut Outcome,
    tell: &mut (dyn FnMut(&Told<'_>) + Send),
) -> Result<(), Failure> {
    let stops = Stops { session: work.session, asked: AtomicU32::new(0) };
    let names: Vec<String> = places.iter().map(|place| place.name().to_owned()).collect();
    if let [place] = places {
        let mut own = |happening: &Happening| tell(&Told { kernels: &names, side: 0, happening });
        let result = work.on(place, &stops, &mut own, outcome);
        own(&Happening::Over(None));
        return result;
    }
    let next = AtomicUsize::new(0);
    let tell = Mutex::new(tell);
    let results = Mutex::new(Vec::new());
    let one_after_the_other = || {
        loop {
            let side = next.fetch_add(1, Ordering::SeqCst);
            let Some(place) = places.get(side) else { return };
            if stops.asked() > 0 {
                return;
            }
            let own = |happening: &Happening| {
                lock(&tell)(&Told { kernels: &names, side, happening });
            };
            let mut outcome = Outcome::default();
            let result = work.on(place, &stops, &mut { own }, &mut outcome);
            let failed = result.as_ref().err().map(ToString::to_string);
            own(&Happening::Over(failed));
            lock(&results).push((side, outcome, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(places.len()) {
            scope.spawn(one_after_the_other);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|poison| poison.into_inner());
    results.sort_by_key(|(side, ..)| *side);
    // Those that had no turn before the user had seen enough.
    for side in (0..places.len()).filter(|side| results.iter().all(|(known, ..)| known != side)) {
        lock(&tell)(&Told { kernels: &names, side, happening: &Happening::Over(None) });
    }
    let mut interrupted = None;
    for (side, one, result) in results {
        outcome.events += one.events;
        outcome.exit = outcome.exit.max(one.exit);
        let mut found = one.diagnostics;
        match result {
            Err(failure) if failure.diagnostic().code == codes::INTERRUPTED => {
                interrupted = Some(failure);
            }
            Err(failure) => found.push(failure.into_diagnostic()),
            Ok(()) => {}
        }
        for mut diagnostic in found {
            if diagnostic.kernels.is_empty() {
                diagnostic.kernels.push(names[side].clone());
            }
            outcome.diagnostics.push(diagnostic);
        }
    }
    outcome.diagnostics = fold(std::mem::take(&mut outcome.diagnostics));
    interrupted.map_or(Ok(()), Err)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
