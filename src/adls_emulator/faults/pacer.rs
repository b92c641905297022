//! Lets bytes through at a rate: no more than the rate allows in any stretch of time, but for the chunk that is under way.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much of the past may be made up for. A sleep ends a little late; without this each of them would cost throughput.
const CATCH_UP: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// When all that was let through so far has had its time.
    free_at: Mutex<Option<Instant>>,
}

impl Pacer {
    /// When `bytes` that ask now may pass, behind all that asked before.
    fn reserve(&self, now: Instant, bytes: usize, rate: NonZeroU64) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let begin = free_at.map_or(now, |free_at| free_at.max(earliest));
        let passes = begin + Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        *free_at = Some(passes);
        passes
    }

    pub(super) async fn pass(&self, bytes: usize, rate: NonZeroU64) {
        tokio::time::sleep_until(self.reserve(crate::clock::instant(), bytes, rate)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_by_all_who_share_it_and_idle_time_is_not_saved_up() {
        let (pacer, rate) = (Pacer::default(), NonZeroU64::new(1000).unwrap());
        let start = crate::clock::instant();
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(pacer.reserve(start, 100, rate), after(100));
        assert_eq!(pacer.reserve(start, 100, rate), after(200));
        // A little late: made up for.
        assert_eq!(pacer.reserve(after(203), 100, rate), after(300));
        // Idle since 300: only the catch-up.
        assert_eq!(pacer.reserve(after(10_000), 100, rate), after(10_090));
    }
}
