//! Whether the bandwidth policy is what holds transfers back.

use std::collections::VecDeque;
use std::time::Duration;

/// Of how much time is judged.
const WINDOW: Duration = Duration::from_secs(10);
/// Shares of it, in percent, in which some transfer waited for its turn: from this on the policy limits.
const LIMITS_FROM: u128 = 50;
/// And until it is less than this.
const LIMITS_UNTIL: u128 = 20;

/// Of all transfers of a migrator, which share the policy.
#[derive(Debug, Default)]
pub struct Squeeze {
    /// Moments, and the time by then in which a transfer had waited.
    looks: VecDeque<(Duration, Duration)>,
    limits: bool,
}

impl Squeeze {
    /// `waited`: the time since `now` began to count in which at least one transfer waited for the policy.
    pub fn look(&mut self, now: Duration, waited: Duration) -> bool {
        self.looks.push_back((now, waited));
        while self.looks.get(1).is_some_and(|(then, _)| now.saturating_sub(*then) >= WINDOW) {
            self.looks.pop_front();
        }
        let Some((then, waited_then)) = self.looks.front().copied() else { return false };
        let elapsed = now.saturating_sub(then);
        // Less is an anecdote.
        if elapsed >= WINDOW / 2 {
            let share = waited.saturating_sub(waited_then).as_micros() * 100 / elapsed.as_micros().max(1);
            self.limits = share >= if self.limits { LIMITS_UNTIL } else { LIMITS_FROM };
        }
        self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_limits_when_transfers_wait_most_of_the_time_and_until_they_hardly_do() {
        let mut squeeze = Squeeze::default();
        let (mut now, mut waited) = (0, 0);
        let mut run = |seconds: u64, waiting_ms: u64| {
            let mut last = false;
            for _ in 0..seconds {
                now += 1_000;
                waited += waiting_ms;
                last = squeeze.look(Duration::from_millis(now), Duration::from_millis(waited));
            }
            last
        };
        assert!(!run(3, 1_000), "three seconds prove nothing");
        assert!(run(7, 1_000));
        assert!(run(20, 300), "still more than a fifth");
        assert!(!run(12, 100));
        assert!(!run(20, 400), "not half of the time");
        assert!(run(12, 600));
    }
}
