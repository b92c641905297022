//! Whether the peer is still there, told by echoes through the whole path. Times are milliseconds of a monotonic clock.

use std::time::Duration;

/// How often the provider sends an echo.
pub(crate) const ECHO_EVERY: Duration = Duration::from_secs(5);
/// After so many echoes without any word the peer is taken for dead.
const MISSED_ECHOES: u32 = 3;
/// The agent's patience: one echo longer than the provider's, so that the provider, who can tell the path from the
/// peer, decides first.
pub(crate) const SILENCE: Duration = Duration::from_secs(5 * (MISSED_ECHOES as u64 + 1));

/// What to do when it is time for an echo.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Tick {
    Send { sent_ms: u64 },
    Dead,
}

#[derive(Default)]
pub(crate) struct Liveness {
    unanswered: Vec<u64>,
}

impl Liveness {
    pub(crate) fn tick(&mut self, now_ms: u64) -> Tick {
        if self.unanswered.len() >= MISSED_ECHOES as usize {
            return Tick::Dead;
        }
        self.unanswered.push(now_ms);
        Tick::Send { sent_ms: now_ms }
    }

    /// An answer. Gives the round trip if it answers an echo that waits; anything else is no measurement.
    pub(crate) fn answered(&mut self, sent_ms: u64, now_ms: u64) -> Option<u64> {
        let waiting = self.unanswered.contains(&sent_ms);
        self.heard();
        waiting.then(|| now_ms.saturating_sub(sent_ms))
    }

    /// Any message proves the peer alive.
    pub(crate) fn heard(&mut self) {
        self.unanswered.clear();
    }
}

/// How far the peer's wall clock is ahead of ours, when it wrote its time about half a round trip ago.
pub(crate) fn clock_skew_ms(peer_clock_ms: i64, our_clock_ms: i64, round_trip_ms: u64) -> i64 {
    let half = i64::try_from(round_trip_ms / 2).unwrap_or(i64::MAX);
    peer_clock_ms.saturating_sub(our_clock_ms.saturating_sub(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_unanswered_echoes_are_death() {
        let mut liveness = Liveness::default();
        for now in [0, 5, 10] {
            assert_eq!(liveness.tick(now), Tick::Send { sent_ms: now });
        }
        assert_eq!(liveness.tick(15), Tick::Dead);
    }

    #[test]
    fn any_word_starts_the_count_again() {
        let mut liveness = Liveness::default();
        liveness.tick(0);
        liveness.tick(5);
        liveness.heard();
        for now in [10, 15, 20] {
            assert_eq!(liveness.tick(now), Tick::Send { sent_ms: now });
        }
    }

    #[test]
    fn only_an_answer_to_an_echo_of_ours_is_measured() {
        let mut liveness = Liveness::default();
        liveness.tick(100);
        assert_eq!(liveness.answered(100, 130), Some(30));
        assert_eq!(liveness.answered(100, 140), None);
        assert_eq!(liveness.answered(7, 140), None);
    }

    #[test]
    fn skew_counts_half_the_way() {
        assert_eq!(clock_skew_ms(1_000, 1_020, 40), 0);
        assert_eq!(clock_skew_ms(6_000, 1_020, 40), 5_000);
        assert_eq!(clock_skew_ms(-4_000, 1_020, 40), -5_000);
    }
}
