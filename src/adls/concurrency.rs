//! How many requests may be under way at one storage account at the same time: as many as it bears.
//!
//! Nobody knows an account's limits beforehand, and others use them too. So the number grows by one with every round of
//! answers as long as it is used up, and shrinks by a part when the service answers that it is busy: additive increase,
//! multiplicative decrease, which shares a limit fairly among all who do the same (Chiu and Jain, 1989). Requests that were
//! sent before the last decrease say nothing new, so a burst of refusals counts once.
//!
//! [`Window`] is the reckoning, [`Concurrency`] the gate that requests pass, in the order in which they come.

mod window;

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

pub(crate) use window::Outcome;
use window::Window;

/// Until the service is busy for the first time. Well above what 20,000 requests a second need at 20 ms each.
const CEILING: u16 = 1024;

/// One for each storage account; whoever sends to it shares this.
#[derive(Debug)]
pub struct Concurrency {
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// Slots that are free or taken.
    slots: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self::new(NonZeroU32::MIN.saturating_add(u32::from(CEILING) - 1))
    }
}

impl Concurrency {
    /// Never more than `ceiling` at the same time.
    pub fn new(ceiling: NonZeroU32) -> Self {
        let window = Window::new(ceiling);
        let slots = window.limit();
        Self { slots: Semaphore::new(slots), state: Mutex::new(State { window, slots }) }
    }

    /// How many requests may be under way now.
    pub fn limit(&self) -> usize {
        self.lock().window.limit()
    }

    /// Waits until another request may be sent.
    pub(crate) async fn admit(&self) -> Slot<'_> {
        // It fails only when it is closed, which it never is.
        if let Ok(slot) = self.slots.acquire().await {
            slot.forget();
        }
        Slot { gate: self, round: self.lock().window.sent(), outcome: Outcome::Unknown }
    }

    fn settled(&self, round: u64, outcome: Outcome) {
        let mut state = self.lock();
        state.window.settled(round, outcome);
        let limit = state.window.limit();
        // The one that was taken is not given back but counted anew.
        state.slots = state.slots.saturating_sub(1);
        if state.slots < limit {
            self.slots.add_permits(limit - state.slots);
            state.slots = limit;
        } else {
            // Those that are taken go when they are settled.
            state.slots -= self.slots.forget_permits(state.slots - limit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock only means that a holder panicked between plain assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. One that is dropped was given up, which says nothing.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    gate: &'a Concurrency,
    round: u64,
    outcome: Outcome,
}

impl Slot<'_> {
    pub(crate) fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.gate.settled(self.round, self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_are_admitted_than_the_window_holds() {
        let gate = Concurrency::new(NonZeroU32::new(10).unwrap());
        let mut slots = Vec::new();
        for _ in 0..10 {
            slots.push(gate.admit().await);
        }
        assert!(gate.admit().now_or_never().is_none(), "the eleventh waits");
        slots.pop().unwrap().settle(Outcome::Answered);
        slots.push(gate.admit().now_or_never().unwrap());
        slots.pop().unwrap().settle(Outcome::Busy);
        assert_eq!(gate.limit(), 7);
        for left in (7..9).rev() {
            assert!(gate.admit().now_or_never().is_none(), "{left} and more are under way");
            slots.pop().unwrap().settle(Outcome::Unknown);
        }
        assert!(gate.admit().now_or_never().is_none(), "seven are under way");
        drop(slots.pop());
        assert!(gate.admit().now_or_never().is_some(), "one was given up");
        drop(slots);
        let all: Vec<_> = (0..10).map_while(|_| gate.admit().now_or_never()).collect();
        assert_eq!(all.len(), 7, "slots are neither lost nor made");
    }

    #[tokio::test]
    async fn free_slots_go_when_the_window_shrinks() {
        let gate = Concurrency::new(NonZeroU32::new(100).unwrap());
        let slots = [gate.admit().await, gate.admit().await, gate.admit().await, gate.admit().await];
        for slot in slots {
            slot.settle(Outcome::Busy);
        }
        let all: Vec<_> = (0..100).map_while(|_| gate.admit().now_or_never()).collect();
        assert_eq!((all.len(), gate.limit()), (2, 2), "of what was used, not of what was allowed; once");
    }
}
