//! Work side by side: at most so much at once, whoever shares it out.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many pieces of work may be under way at once, over all threads that
/// share this.
#[derive(Debug)]
pub struct Jobs {
    limit: NonZeroUsize,
    free: Mutex<usize>,
    given_back: Condvar,
}

/// The right to do one piece of work; given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Slot<'j>(&'j Jobs);

impl Jobs {
    /// At most `limit` at once.
    pub fn new(limit: NonZeroUsize) -> Self {
        Self { limit, free: Mutex::new(limit.get()), given_back: Condvar::new() }
    }

    /// How many at once.
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Waits for a free slot. Whoever has one must not ask for another.
    pub fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .given_back
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

/// Does something with each of several items, on at most `width` threads; the
/// results are in the order of the items.
pub fn side_by_side<'i, I: Sync, O: Send>(
    items: &'i [I],
    width: usize,
    run: &(dyn Fn(&'i I) -> O + Sync),
) -> Vec<O> {
    if let [only] = items {
        return vec![run(only)];
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<O>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = run(item);
            *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..width.min(items.len()) {
            scope.spawn(work);
        }
    });
    let result = |slot: Mutex<Option<O>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().filter_map(result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_under_way_than_there_are_slots() {
        let jobs = Jobs::new(NonZeroUsize::new(2).unwrap());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<usize> = (0..40).collect();
        let results = side_by_side(&items, 8, &|item| {
            let slot = jobs.take();
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            drop(slot);
            item * 2
        });
        assert_eq!(results, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(most.into_inner() <= 2);
    }
}
