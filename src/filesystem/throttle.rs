//! Bandwidth: a token bucket whose grants are at most 64 KiB, so that a cap of a few MB/s is smooth within a second.
//! The bucket owns no clock: callers pass the time in and sleep as long as it says.
//!
//! It counts bytes and not moments, so that a cap that changes is a cap for those too that wait already: a stream that was
//! told to wait for an hour goes on as soon as the cap is raised.

use std::sync::Mutex;
use std::time::Duration;

/// Largest single grant in bytes.
pub const GRANT_BYTES: u64 = 64 * 1024;

/// So much unused time may be used later, no more.
const UNUSED: Duration = Duration::from_millis(50);

/// A cap on bytes per second, shared by all streams of a migrator. The rate may change at any time.
#[derive(Debug)]
pub struct Bandwidth {
    state: Mutex<State>,
}

/// A place in the queue: its bytes may go when so many before them could.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ticket(f64);

#[derive(Debug)]
struct State {
    bytes_per_second: Option<f64>,
    /// When the rate was set, on the caller's monotonic clock, and how many bytes could have gone until then.
    since: Duration,
    gone: f64,
    /// Bytes booked, where the next booking begins.
    queued: f64,
    /// Until when somebody waits, and how long somebody has waited by then.
    waits_until: Duration,
    waited: Duration,
}

impl State {
    /// How many bytes could have gone by now.
    fn gone(&self, now: Duration) -> f64 {
        let rate = self.bytes_per_second.unwrap_or(0.0);
        self.gone + rate * now.saturating_sub(self.since).as_secs_f64()
    }

    fn wait(&self, now: Duration, ticket: Ticket) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        Duration::try_from_secs_f64((ticket.0 - self.gone(now)) / rate).unwrap_or(Duration::ZERO)
    }
}

impl Bandwidth {
    /// `None` is no cap.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            state: Mutex::new(State {
                bytes_per_second: rate(bytes_per_second),
                since: Duration::ZERO,
                gone: 0.0,
                queued: 0.0,
                waits_until: Duration::ZERO,
                waited: Duration::ZERO,
            }),
        }
    }

    /// From `now` on, also for what is booked already.
    pub fn set_rate(&self, now: Duration, bytes_per_second: Option<u64>) {
        let mut state = self.lock();
        let (before, after) = (state.bytes_per_second, rate(bytes_per_second));
        if before == after {
            return;
        }
        // Nothing is owed for what went without a cap.
        state.gone = if before.is_none() { state.gone.max(state.queued) } else { state.gone(now) };
        (state.since, state.bytes_per_second) = (now, after);
        let left = state.waits_until.saturating_sub(now);
        let left_now = match (before, after) {
            (Some(before), Some(after)) => left.mul_f64(before / after),
            _ => Duration::ZERO,
        };
        state.waited = (state.waited + left_now).saturating_sub(left);
        state.waits_until = state.waits_until.min(now) + left_now;
    }

    /// Books `bytes` at time `now`. Bookings queue up in call order, so streams share the cap.
    pub fn book(&self, now: Duration, bytes: u64) -> Ticket {
        let mut state = self.lock();
        let Some(rate) = state.bytes_per_second else { return Ticket(f64::NEG_INFINITY) };
        let ticket = Ticket(state.queued.max(state.gone(now) - rate * UNUSED.as_secs_f64()));
        state.queued = ticket.0 + bytes as f64;
        // Those that wait at the same time count once.
        let start = now + state.wait(now, ticket);
        let alone = start.saturating_sub(now.max(state.waits_until));
        state.waited += alone;
        state.waits_until = state.waits_until.max(start);
        ticket
    }

    /// How long, as things stand, until what was booked may go. Whoever waits asks again now and then: the rate may change.
    pub fn wait(&self, now: Duration, ticket: Ticket) -> Duration {
        self.lock().wait(now, ticket)
    }

    /// For how long, up to `now`, somebody has waited for the cap.
    pub fn waited(&self, now: Duration) -> Duration {
        let state = self.lock();
        state.waited.saturating_sub(state.waits_until.saturating_sub(now))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned lock only means that a holder panicked between two plain assignments.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn rate(bytes_per_second: Option<u64>) -> Option<f64> {
    bytes_per_second.filter(|rate| *rate > 0).map(|rate| rate as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_second_of_bookings_is_a_second_of_waiting() {
        let bandwidth = Bandwidth::new(Some(1_000_000));
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            last = bandwidth.wait(at(100_000), bandwidth.book(at(100_000), 10_000));
        }
        assert!(last > at(900) && last <= at(1_000), "{last:?}");
    }

    #[test]
    fn time_in_which_several_wait_counts_once_and_not_before_it_has_passed() {
        let bandwidth = Bandwidth::new(Some(1_000));
        assert_eq!(bandwidth.waited(at(10_000)), Duration::ZERO);
        // The first may go at once, its second is over at 10,950 ms; the others wait for it, and for each other.
        for _ in 0..3 {
            bandwidth.book(at(10_000), 1_000);
        }
        assert_eq!(bandwidth.waited(at(10_000)), Duration::ZERO);
        assert_eq!(bandwidth.waited(at(10_500)), at(500));
        assert_eq!(bandwidth.waited(at(11_950)), at(1_950));
        assert_eq!(bandwidth.waited(at(20_000)), at(1_950));
        bandwidth.book(at(20_000), 1_000);
        assert_eq!(bandwidth.waited(at(30_000)), at(1_950), "nobody was in its way");
    }

    #[test]
    fn who_waits_already_waits_at_the_new_rate() {
        let bandwidth = Bandwidth::new(Some(1_000));
        bandwidth.book(at(10_000), 1_050);
        let ticket = bandwidth.book(at(10_000), 1_000);
        assert_eq!(bandwidth.wait(at(10_000), ticket), at(1_000));
        bandwidth.set_rate(at(10_500), Some(100));
        assert_eq!(
            bandwidth.wait(at(10_500), ticket),
            at(5_000),
            "half of it is left, and ten times as slow"
        );
        assert_eq!(bandwidth.waited(at(20_000)), at(5_500));
        bandwidth.set_rate(at(11_500), Some(1_000));
        assert_eq!(bandwidth.wait(at(11_500), ticket), at(400));
        assert_eq!(bandwidth.waited(at(20_000)), at(1_900));
        bandwidth.set_rate(at(11_600), None);
        assert_eq!(bandwidth.wait(at(11_600), ticket), Duration::ZERO);
        assert_eq!(bandwidth.waited(at(20_000)), at(1_600));
    }

    #[test]
    fn nothing_is_owed_for_what_went_without_a_cap() {
        let bandwidth = Bandwidth::new(Some(1));
        bandwidth.book(at(0), 1_000_000);
        bandwidth.set_rate(at(0), None);
        bandwidth.book(at(0), 1_000_000);
        bandwidth.set_rate(at(1_000), Some(1_000));
        assert_eq!(bandwidth.wait(at(1_000), bandwidth.book(at(1_000), 1)), Duration::ZERO);
    }

    #[test]
    fn no_cap_never_waits() {
        let bandwidth = Bandwidth::new(None);
        assert_eq!(bandwidth.wait(at(0), bandwidth.book(at(0), u64::MAX)), Duration::ZERO);
    }
}
