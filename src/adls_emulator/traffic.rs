//! Body bytes of an account by the second, and the most that any second saw: what bandwidth limits of clients are held against.
//!
//! Bytes count when they are taken from the socket, or given to it.

use std::collections::VecDeque;

use serde::Serialize;

use crate::clock;

/// Seconds that are remembered.
const KEPT: usize = 3600;
const SLOTS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Ingress,
    Egress,
}

#[derive(Default)]
pub(crate) struct Traffic {
    seconds: VecDeque<Second>,
    ingress: Window,
    egress: Window,
}

struct Second {
    unix_seconds: i64,
    ingress_bytes: u64,
    egress_bytes: u64,
}

/// `seconds` has no entry for a second in which nothing came or went.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrafficReply {
    /// The most that any 1000 ms in a row saw.
    peak_ingress_bytes_per_second: u64,
    peak_egress_bytes_per_second: u64,
    seconds: Vec<SecondReply>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecondReply {
    time: String,
    ingress_bytes: u64,
    egress_bytes: u64,
}

impl Traffic {
    pub(crate) fn add(&mut self, way: Way, now_ms: i64, bytes: u64) {
        let unix_seconds = now_ms.div_euclid(1000);
        // A clock that was set back goes on in the second that it was in.
        if self.seconds.back().is_none_or(|last| last.unix_seconds < unix_seconds) {
            if self.seconds.len() == KEPT {
                self.seconds.pop_front();
            }
            self.seconds.push_back(Second { unix_seconds, ingress_bytes: 0, egress_bytes: 0 });
        }
        let Some(second) = self.seconds.back_mut() else { return };
        let (total, window) = match way {
            Way::Ingress => (&mut second.ingress_bytes, &mut self.ingress),
            Way::Egress => (&mut second.egress_bytes, &mut self.egress),
        };
        *total += bytes;
        window.add(now_ms, bytes);
    }

    pub(crate) fn describe(&self) -> TrafficReply {
        let second = |second: &Second| SecondReply {
            time: clock::iso(second.unix_seconds.saturating_mul(1000)),
            ingress_bytes: second.ingress_bytes,
            egress_bytes: second.egress_bytes,
        };
        TrafficReply {
            peak_ingress_bytes_per_second: self.ingress.peak,
            peak_egress_bytes_per_second: self.egress.peak,
            seconds: self.seconds.iter().map(second).collect(),
        }
    }
}

/// The bytes of the last 1000 milliseconds, one slot each.
struct Window {
    slots: Box<[u64; SLOTS]>,
    at_ms: i64,
    sum: u64,
    peak: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { slots: Box::new([0; SLOTS]), at_ms: 0, sum: 0, peak: 0 }
    }
}

impl Window {
    fn slot(&mut self, ms: i64) -> &mut u64 {
        let at = usize::try_from(ms.rem_euclid(1000)).unwrap_or(0);
        // In bounds: a remainder by the number of slots.
        &mut self.slots[at % SLOTS]
    }

    fn add(&mut self, now_ms: i64, bytes: u64) {
        let passed = now_ms.saturating_sub(self.at_ms).clamp(0, 1000);
        for ago in 0..passed {
            let gone = std::mem::take(self.slot(now_ms - ago));
            self.sum -= gone;
        }
        self.at_ms = self.at_ms.max(now_ms);
        *self.slot(self.at_ms) += bytes;
        self.sum += bytes;
        self.peak = self.peak.max(self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_any_second_and_not_of_those_of_the_clock() {
        let mut traffic = Traffic::default();
        let start = 1_700_000_000_000;
        for (ms, bytes) in [(0, 10), (600, 10), (999, 10), (1000, 7), (1500, 10), (1599, 10), (5000, 1)] {
            traffic.add(Way::Ingress, start + ms, bytes);
        }
        // From 600 to 1599.
        let told = traffic.describe();
        assert_eq!(told.peak_ingress_bytes_per_second, 47);
        let seconds: Vec<u64> = told.seconds.iter().map(|second| second.ingress_bytes).collect();
        assert_eq!(seconds, [30, 27, 1]);
        assert_eq!(told.seconds[1].time, "2023-11-14T22:13:21Z");
        assert_eq!(told.peak_egress_bytes_per_second, 0);
    }

    #[test]
    fn a_clock_set_back_loses_nothing() {
        let mut traffic = Traffic::default();
        traffic.add(Way::Egress, 1_700_000_005_000, 5);
        traffic.add(Way::Egress, 1_700_000_000_000, 5);
        let told = traffic.describe();
        assert_eq!((told.seconds.len(), told.seconds[0].egress_bytes), (1, 10));
        assert_eq!(told.peak_egress_bytes_per_second, 10);
    }
}
