//! How long a read is tried again. Every call here only reads, so a call whose answer was lost may simply be repeated.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
pub struct RetryBudget {
    pub tries: u32,
    pub elapsed: Duration,
    /// The pause before the second try is up to this long; each further one up to twice the one before.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            tries: 5,
            elapsed: Duration::from_secs(60),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// One operation's use of its budget.
pub struct Attempts {
    budget: RetryBudget,
    started: Instant,
    pub made: u32,
}

impl Attempts {
    pub fn begin(budget: RetryBudget) -> Self {
        Self { budget, started: Instant::now(), made: 0 }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the operation ends, whatever happens.
    pub fn deadline(&self) -> Instant {
        self.started + self.budget.elapsed
    }

    /// The pause before another try, or `None` when the budget is spent. Anywhere between half and the whole of the
    /// step, so that callers which failed together do not come back together.
    pub fn next_pause(&self) -> Option<Duration> {
        if self.made >= self.budget.tries {
            return None;
        }
        let doublings = self.made.saturating_sub(1).min(16);
        let step = (self.budget.first_pause * 2_u32.pow(doublings)).min(self.budget.longest_pause);
        let random = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        let pause = step.mul_f64(0.5 + 0.5 * random);
        (Instant::now() + pause < self.deadline()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_with_the_budget() {
        let mut attempts = Attempts::begin(RetryBudget::default());
        for step_ms in [200, 400, 800, 1600] {
            attempts.made += 1;
            let pause = attempts.next_pause().unwrap();
            assert!(pause >= Duration::from_millis(step_ms / 2) && pause <= Duration::from_millis(step_ms));
        }
        attempts.made += 1;
        assert_eq!(attempts.next_pause(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn elapsed_time_ends_it_too() {
        let mut attempts = Attempts::begin(RetryBudget::default());
        attempts.made = 1;
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(attempts.next_pause(), None);
    }
}
