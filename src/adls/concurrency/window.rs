//! The reckoning behind [`super::Concurrency`]: no clock, no waiting.

use std::num::NonZeroU32;

/// What is left after a refusal. More than the half that TCP keeps: a refused request has cost its sender a pause already.
const KEPT: f64 = 0.7;

#[derive(Debug)]
pub(crate) struct Window {
    /// At least 1.
    limit: f64,
    ceiling: f64,
    in_flight: u32,
    /// Decreases so far.
    round: u64,
    /// Since the limit was last thought about: answers, and the most that were under way.
    answered: usize,
    peak: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answered,
    /// The service asks for a pause.
    Busy,
    Unknown,
}

impl Window {
    pub(crate) fn new(ceiling: NonZeroU32) -> Self {
        let ceiling = f64::from(ceiling.get());
        Self { limit: ceiling, ceiling, in_flight: 0, round: 0, answered: 0, peak: 0 }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request goes; in which round is to be said when it is settled.
    pub(crate) fn sent(&mut self) -> u64 {
        self.in_flight += 1;
        self.peak = self.peak.max(self.in_flight);
        self.round
    }

    pub(crate) fn settled(&mut self, round: u64, outcome: Outcome) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if round != self.round {
            return;
        }
        match outcome {
            Outcome::Answered => {
                self.answered += 1;
                if self.answered >= self.limit() {
                    // A window that nobody filled has not been tried out.
                    let filled = self.peak as usize >= self.limit();
                    self.set(if filled { self.limit + 1.0 } else { self.limit });
                }
            }
            Outcome::Busy => {
                self.round += 1;
                self.set(self.limit.min(f64::from(self.peak)) * KEPT);
            }
            Outcome::Unknown => {}
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(1.0, self.ceiling);
        (self.answered, self.peak) = (0, self.in_flight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(ceiling: u32) -> Window {
        Window::new(NonZeroU32::new(ceiling).unwrap())
    }

    /// Bears so many requests at a time.
    struct Account {
        capacity: usize,
        turn: usize,
    }

    impl Account {
        fn new(capacity: usize) -> Self {
            Self { capacity, turn: 0 }
        }

        /// All send as much as their windows allow and hear of it; how many were refused.
        fn exchange(&mut self, windows: &mut [Window]) -> usize {
            let mut sent = Vec::new();
            for (index, window) in windows.iter_mut().enumerate() {
                let limit = window.limit();
                sent.extend((0..limit).map(|_| (index, window.sent())));
            }
            let (all, refused) = (sent.len(), sent.len().saturating_sub(self.capacity));
            // It does not look at who asks.
            self.turn += 7_919;
            for (at, (index, round)) in sent.into_iter().enumerate() {
                let at = (at + self.turn) % all;
                let busy = at * refused / all != (at + 1) * refused / all;
                windows[index].settled(round, if busy { Outcome::Busy } else { Outcome::Answered });
            }
            refused
        }
    }

    #[test]
    fn it_stays_open_while_nothing_is_refused() {
        let (mut account, mut windows) = (Account::new(64), [window(64)]);
        for _ in 0..100 {
            assert_eq!(account.exchange(&mut windows), 0);
        }
        assert_eq!(windows[0].limit(), 64);
    }

    #[test]
    fn it_finds_what_the_account_bears_and_stays_there() {
        let (mut account, mut windows) = (Account::new(100), [window(1024)]);
        for _ in 0..20 {
            account.exchange(&mut windows);
        }
        let (mut refused, mut carried) = (0, 0);
        for _ in 0..1_000 {
            let sent = windows[0].limit();
            assert!((68..=101).contains(&sent), "{sent}");
            let over = account.exchange(&mut windows);
            (refused, carried) = (refused + over, carried + sent - over);
        }
        assert!(carried >= 80_000, "more than four fifths of what it bears: {carried}");
        assert!(refused * 100 <= carried, "less than one in a hundred is refused: {refused} of {carried}");
    }

    #[test]
    fn who_comes_later_gets_as_much() {
        let (mut account, mut windows) = (Account::new(100), [window(1024), window(1024)]);
        windows[1].limit = 1.0;
        for _ in 0..20 {
            account.exchange(&mut windows[..1]);
        }
        for _ in 0..1_000 {
            account.exchange(&mut windows);
        }
        let (mut first, mut second) = (0, 0);
        for _ in 0..1_000 {
            (first, second) = (first + windows[0].limit(), second + windows[1].limit());
            account.exchange(&mut windows);
        }
        let share = first as f64 / (first + second) as f64;
        assert!((0.4..0.6).contains(&share), "{share}");
    }

    #[test]
    fn a_burst_of_refusals_counts_once_and_one_always_gets_through() {
        let mut window = window(100);
        let rounds: Vec<u64> = (0..100).map(|_| window.sent()).collect();
        for round in rounds {
            window.settled(round, Outcome::Busy);
        }
        assert_eq!(window.limit(), 70);
        for _ in 0..1_000 {
            let round = window.sent();
            window.settled(round, Outcome::Busy);
        }
        assert_eq!(window.limit(), 1);
    }

    #[test]
    fn it_grows_by_one_in_a_round_and_only_when_it_is_full() {
        let mut window = window(1_000);
        window.limit = 10.0;
        for _ in 0..100 {
            let round = window.sent();
            window.settled(round, Outcome::Answered);
        }
        assert_eq!(window.limit(), 10, "one at a time says nothing about ten");
        let (mut account, mut windows) = (Account::new(1_000), [window]);
        for _ in 0..10 {
            account.exchange(&mut windows);
        }
        assert_eq!(windows[0].limit(), 20);
    }
}
