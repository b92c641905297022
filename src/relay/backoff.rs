//! When to try again: full-jitter exponential back-off. Owns no clock; randomness is passed in.

use std::time::Duration;

/// Delays for reconnecting to a relay.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// Upper bound of the first delay; doubles with each failure.
    pub first: Duration,
    /// Upper bound of every delay that we choose ourselves.
    pub longest: Duration,
    /// A session that lived this long counts as healthy and resets the count.
    pub healthy_after: Duration,
    /// After a healthy session the first retry is spread over this time. A relay that restarts would otherwise get all
    /// its listeners back in the same second.
    pub spread: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
            healthy_after: Duration::from_secs(60),
            spread: Duration::from_secs(30),
        }
    }
}

/// What ended, as far as it decides the next delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Could not connect, or the session was short.
    Failure,
    /// The relay will say the same again until somebody changes something (denied, not found).
    Refusal,
    /// A session that had been healthy.
    HealthySession,
}

impl Backoff {
    /// The delay after `failures` failures in a row (this one included). `random` is in `0.0..1.0`.
    pub(crate) fn delay(
        &self,
        ending: Ending,
        failures: u32,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Duration {
        let chosen = match ending {
            Ending::HealthySession => self.spread.mul_f64(random),
            // Half of it is fixed: a refusal must never turn into a storm.
            Ending::Refusal => self.longest.mul_f64(0.5 + random / 2.0),
            Ending::Failure => {
                let doublings = failures.saturating_sub(1).min(20);
                self.first.saturating_mul(1 << doublings).min(self.longest).mul_f64(random)
            }
        };
        match retry_after {
            // Jitter comes on top: the relay tells the same time to everybody.
            Some(asked) => asked + self.first.mul_f64(random) + chosen.min(asked),
            None => chosen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let bound = |failures| backoff.delay(Ending::Failure, failures, None, 1.0);
        assert_eq!(bound(1), SECOND / 2);
        assert_eq!(bound(2), SECOND);
        assert_eq!(bound(7), 32 * SECOND);
        assert_eq!(bound(8), 60 * SECOND);
        assert_eq!(bound(u32::MAX), 60 * SECOND);
        assert_eq!(backoff.delay(Ending::Failure, 5, None, 0.0), Duration::ZERO);
    }

    #[test]
    fn a_refusal_is_never_retried_at_once() {
        assert_eq!(Backoff::default().delay(Ending::Refusal, 1, None, 0.0), 30 * SECOND);
    }

    #[test]
    fn a_healthy_session_spreads_its_first_retry() {
        assert_eq!(Backoff::default().delay(Ending::HealthySession, 0, None, 0.5), 15 * SECOND);
    }

    #[test]
    fn retry_after_is_a_lower_bound() {
        for random in [0.0, 0.5, 1.0] {
            let delay = Backoff::default().delay(Ending::Failure, 3, Some(7 * SECOND), random);
            assert!(delay >= 7 * SECOND, "{delay:?}");
        }
    }
}
