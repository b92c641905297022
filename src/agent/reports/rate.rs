//! Bytes and files per second over about the last five seconds.

use std::collections::VecDeque;

const WINDOW_MS: i64 = 5_000;

/// What is told of a migration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// What comes to be equal, each file once in a run, whether it had to be sent or not: the time that is left follows from it.
    Arriving,
    /// What goes to the target, of a file that changes again once more.
    Sent,
}

/// Bytes and files.
type Counted = (u64, u64);

/// Both flows are looked at all the time, so that neither begins with a gap.
#[derive(Debug, Default)]
pub struct Rate {
    /// When, milliseconds since 1970; what had arrived, and what was sent by then.
    looks: VecDeque<(i64, Counted, Counted)>,
}

impl Rate {
    /// `flow`: `None` of what does not go on, which has no rate.
    pub fn look(&mut self, now_ms: i64, arrived: Counted, sent: Counted, flow: Option<Flow>) -> Counted {
        let Some(flow) = flow else {
            self.looks.clear();
            return (0, 0);
        };
        // A clock that was set back makes what was seen before useless.
        if self.looks.back().is_some_and(|(then_ms, ..)| *then_ms > now_ms) {
            self.looks.clear();
        }
        self.looks.push_back((now_ms, arrived, sent));
        while self.looks.len() > 2
            && self.looks.get(1).is_some_and(|(then_ms, ..)| now_ms - then_ms >= WINDOW_MS)
        {
            self.looks.pop_front();
        }
        let Some((then_ms, arrived_then, sent_then)) = self.looks.front().copied() else { return (0, 0) };
        let (now, then) = match flow {
            Flow::Arriving => (arrived, arrived_then),
            Flow::Sent => (sent, sent_then),
        };
        // The first look has nothing to compare with.
        let elapsed_ms = u64::try_from(now_ms - then_ms).unwrap_or(0);
        if elapsed_ms == 0 {
            return (0, 0);
        }
        let thousandths = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1_000);
        // Bytes that flow have a rate, be they ever so few. Less than one file in a second is none.
        (thousandths(now.0, then.0).div_ceil(elapsed_ms), thousandths(now.1, then.1) / elapsed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut rate = Rate::default();
        let mut look = |now_ms, bytes| rate.look(now_ms, (bytes, 0), (0, 0), Some(Flow::Arriving)).0;
        assert_eq!((look(10_000, 0), look(11_000, 1_000), look(11_000, 2_000)), (0, 1_000, 2_000));
        assert_eq!((look(9_000, 3_000), look(9_000, 4_000), look(10_000, 5_000)), (0, 0, 2_000));
    }
}
