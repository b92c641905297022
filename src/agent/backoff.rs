//! How long something that failed is left alone: longer each time, until it has gone well for a while.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(64);

#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff(Option<Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Backoff {
    pub fn failed(&mut self, now: Instant) {
        let length = self.0.map_or(FIRST, |pause| (pause.length * 2).min(LONGEST));
        self.0 = Some(Pause { length, until: now + length });
    }

    /// It is not to be tried yet.
    pub fn waits(&self, now: Instant) -> bool {
        self.0.is_some_and(|pause| now < pause.until)
    }

    /// It has gone on up to now without failing again: what goes well only for a moment does not count.
    pub fn goes_on(&mut self, now: Instant) {
        self.0 = self.0.filter(|pause| now < pause.until + LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_only_when_it_goes_well_for_a_while() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        assert!(!backoff.waits(now));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            backoff.failed(now);
            let began = now;
            while backoff.waits(now) {
                now += Duration::from_secs(1);
            }
            pauses.push((now - began).as_secs());
            now += Duration::from_secs(3);
            backoff.goes_on(now);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 64]);
        backoff.goes_on(now + LONGEST);
        backoff.failed(now);
        assert!(backoff.waits(now + FIRST / 2) && !backoff.waits(now + FIRST));
    }
}
