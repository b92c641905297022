//! Bandwidth: a token bucket whose grants are at most 64 KiB, so that a cap of a few MB/s is smooth within a second.
//! The bucket owns no clock: callers pass the time in and sleep as long as it says.

use std::sync::Mutex;
use std::time::Duration;

/// Largest single grant in bytes.
pub const GRANT_BYTES: u64 = 64 * 1024;

/// A cap on bytes per second, shared by all streams of a migrator. The rate may change at any time.
#[derive(Debug)]
pub struct Bandwidth {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes_per_second: Option<u64>,
    /// When the next byte may go, on the caller's monotonic clock.
    free_at: Duration,
    /// Until when somebody waits, and how long somebody has waited by then.
    waits_until: Duration,
    waited: Duration,
}

impl Bandwidth {
    /// `None` is no cap.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self {
            state: Mutex::new(State {
                bytes_per_second,
                free_at: Duration::ZERO,
                waits_until: Duration::ZERO,
                waited: Duration::ZERO,
            }),
        }
    }

    pub fn set_rate(&self, bytes_per_second: Option<u64>) {
        self.lock().bytes_per_second = bytes_per_second.filter(|rate| *rate > 0);
    }

    /// Books `bytes` at time `now` and says how long to wait before sending them. Bookings queue up in call order, so
    /// streams share the cap; up to 50 ms of unused time may be used later, no more.
    pub fn book(&self, now: Duration, bytes: u64) -> Duration {
        let mut state = self.lock();
        let Some(rate) = state.bytes_per_second.filter(|rate| *rate > 0) else { return Duration::ZERO };
        let start = state.free_at.max(now.saturating_sub(Duration::from_millis(50)));
        state.free_at = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
        // Those that wait at the same time count once.
        let alone = start.saturating_sub(now.max(state.waits_until));
        state.waited += alone;
        state.waits_until = state.waits_until.max(start);
        start.saturating_sub(now)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_bookings_is_a_second_of_waiting() {
        let bandwidth = Bandwidth::new(Some(1_000_000));
        let now = Duration::from_secs(100);
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            last = bandwidth.book(now, 10_000);
        }
        assert!(last > Duration::from_millis(900) && last <= Duration::from_millis(1_000), "{last:?}");
    }

    #[test]
    fn time_in_which_several_wait_counts_once_and_not_before_it_has_passed() {
        let bandwidth = Bandwidth::new(Some(1_000));
        let at = |ms| Duration::from_millis(ms);
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
    fn no_cap_never_waits() {
        let bandwidth = Bandwidth::new(None);
        assert_eq!(bandwidth.book(Duration::ZERO, u64::MAX), Duration::ZERO);
    }
}
