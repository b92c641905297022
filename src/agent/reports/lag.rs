//! How far a migration that follows its source is behind, and since when.
//!
//! The feed's journal drops changes as soon as the engine has taken them up, long before they are at the target, so their
//! age is kept here: when the journal had reached which position. After a restart it is counted from the restart.

use std::collections::VecDeque;

use livedata_engine::Phase;
use livedata_filesystem::Position;
use livedata_model::report::Lag;

use crate::feed::Feed;
use crate::migration::View;

/// More looks than this are thinned out: ages of what is very old get coarse.
const MOST_LOOKS: usize = 512;

/// From then on a live migration lags.
const LAGS_FROM_SECONDS: u64 = 60;
/// And until it is behind less than this: what swings around the limit is not told again and again.
const LAGS_UNTIL_SECONDS: u64 = 30;

#[derive(Debug, Default)]
pub struct Follower {
    /// When, milliseconds since 1970, and how far the source had been read by then, where that grew.
    looks: VecDeque<(i64, u64)>,
    pub now: Option<Lag>,
    pub lags: bool,
    /// It is not where the source was when it was last known to be behind.
    pub catches_up: bool,
    goal: u64,
}

impl Follower {
    /// One look at a migration.
    pub fn look(&mut self, view: &View, feed: Option<&Feed>, now_ms: i64) {
        let Some(feed) = feed.filter(|_| view.phase.is_active()) else {
            *self = Self::default();
            return;
        };
        let status = feed.status();
        let read_to = status.read_to.map_or(view.cursor, |position| position.0);
        let Some(watermark) = view.watermark else {
            // All that changes during the first scan is still to come when it is over.
            *self = Self { goal: read_to, ..Self::default() };
            return;
        };
        let known_from = status.resumed_at.map_or(0, |position| position.0);
        let kept = || feed.first_after_ms(Position(watermark));
        self.measure((read_to, known_from), watermark, kept, now_ms);
        let scans = view.phase == Phase::Running || view.listing;
        self.aim(status.opened_at.map(|position| position.0), read_to, watermark, scans);
    }

    /// Catching up means: to where the source was when it was opened, when a scan was over, when it lagged.
    fn aim(&mut self, opened_at: Option<u64>, read_to: u64, watermark: u64, scans: bool) {
        self.goal = self.goal.max(opened_at.unwrap_or(0));
        if scans || self.lags {
            self.goal = self.goal.max(read_to);
        }
        self.catches_up = !scans && watermark < self.goal;
    }

    /// `kept`: when the first change after the watermark that the journal still has was read.
    /// `known_from`: across a gap positions may jump; nobody knows what happened in it, and it counts as one.
    fn measure(
        &mut self,
        (read_to, known_from): (u64, u64),
        watermark: u64,
        kept: impl FnOnce() -> Option<i64>,
        now_ms: i64,
    ) {
        if self.looks.back().is_none_or(|(_, known)| *known < read_to) {
            self.looks.push_back((now_ms, read_to));
        }
        while self.looks.front().is_some_and(|(_, known)| *known <= watermark) {
            self.looks.pop_front();
        }
        if self.looks.len() > MOST_LOOKS {
            let mut even = false;
            self.looks.retain(|_| {
                even = !even;
                even
            });
        }
        let transactions = if watermark < known_from {
            read_to.saturating_sub(known_from) + 1
        } else {
            read_to.saturating_sub(watermark)
        };
        let since = if transactions > 0 {
            self.looks.front().map(|(since, _)| *since).into_iter().chain(kept()).min()
        } else {
            None
        };
        let age_ms = since.map_or(0, |since| now_ms.saturating_sub(since));
        let seconds = u64::try_from(age_ms / 1_000).unwrap_or(0);
        self.lags = seconds >= if self.lags { LAGS_UNTIL_SECONDS } else { LAGS_FROM_SECONDS };
        self.now = Some(Lag { transactions, seconds, watermark });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_of_a_gap_counts_as_one() {
        let mut follower = Follower::default();
        let mut at = |read_to, watermark| {
            follower.measure((read_to, 1_000_000), watermark, || None, 0);
            follower.now.unwrap().transactions
        };
        assert_eq!([at(1_000_000, 10), at(1_000_007, 10), at(1_000_007, 1_000_005)], [1, 8, 2]);
    }

    #[test]
    fn a_change_ages_from_when_it_was_read_though_the_journal_has_dropped_it() {
        let mut follower = Follower::default();
        let mut at = |seconds: i64, read_to, watermark, kept: Option<i64>| {
            follower.measure((read_to, 0), watermark, || kept, seconds * 1_000);
            let now = follower.now.unwrap();
            (now.transactions, now.seconds, follower.lags)
        };
        assert_eq!(at(0, 10, 10, None), (0, 0, false));
        assert_eq!(at(5, 12, 10, Some(5_000)), (2, 0, false));
        // Taken up, and so dropped; later ones are younger.
        assert_eq!(at(15, 40, 10, None), (30, 10, false));
        assert_eq!(at(64, 41, 10, None), (31, 59, false));
        assert_eq!(at(65, 41, 10, None), (31, 60, true));
        // The first ones have arrived: the next was read at 15, then at 64.
        assert_eq!(at(66, 41, 12, None), (29, 51, true));
        assert_eq!(at(70, 41, 40, None), (1, 6, false));
        assert_eq!(at(123, 41, 40, None), (1, 59, false));
        assert_eq!(at(124, 41, 41, None), (0, 0, false));
    }

    #[test]
    fn catching_up_ends_where_the_source_was_and_new_changes_do_not_prolong_it() {
        let mut follower = Follower::default();
        let mut at = |opened_at, read_to, watermark, scans| {
            follower.aim(opened_at, read_to, watermark, scans);
            follower.catches_up
        };
        // A process that starts does not know yet how much it missed.
        assert!(!at(None, 10, 10, false));
        assert!(at(Some(50), 10, 10, false));
        assert!(at(Some(50), 70, 49, false));
        assert!(!at(Some(50), 90, 50, false), "what came later is everyday life");
        assert!(!at(Some(50), 100, 60, true), "it scans");
        assert!(at(Some(50), 110, 60, false));
        assert!(!at(Some(50), 150, 100, false));
        follower.lags = true;
        follower.aim(Some(50), 200, 100, false);
        follower.lags = false;
        follower.aim(Some(50), 250, 199, false);
        assert!(follower.catches_up);
        follower.aim(Some(50), 250, 200, false);
        assert!(!follower.catches_up);
    }

    #[test]
    fn a_restart_knows_what_the_journal_knows() {
        let mut follower = Follower::default();
        follower.measure((20, 0), 10, || Some(1_000), 91_000);
        assert_eq!(follower.now.map(|lag| lag.seconds), Some(90));
        assert!(follower.lags);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_look_stays() {
        let mut follower = Follower::default();
        for at in 1..5_000_u32 {
            follower.measure((u64::from(at) + 10, 0), 10, || None, i64::from(at) * 1_000);
        }
        assert!(follower.looks.len() <= MOST_LOOKS);
        assert_eq!(follower.now.map(|lag| lag.seconds), Some(4_998));
    }
}
