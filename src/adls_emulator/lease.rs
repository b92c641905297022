//! A lease on a path or a filesystem: who may write and delete it, for how long. A state machine that owns no clock.
//!
//! A lease is leased until its end (then expired) or until somebody breaks it (breaking, then broken). Expired and broken
//! leases keep their id, so that they can still be released and an expired one renewed, until something is written without
//! it. Outside contract: the tables of outcomes in "Lease Blob" and "Lease Container", and "Path - Lease".
//!
//! A lease guards its own path only: what lies below a leased directory can be written, and a directory can be renamed or
//! deleted with a leased file in it.

use std::fmt;

use uuid::Uuid;

use crate::service_error::ServiceError;

/// The default is a resource without a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    held: Option<Held>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    id: Uuid,
    term: Term,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    Infinite,
    Fixed {
        seconds: u32,
        ends_ms: i64,
    },
    /// Somebody broke it: it guards until `ends_ms`.
    Breaking {
        ends_ms: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    Available,
    Leased,
    Expired,
    Breaking,
    Broken,
}

impl LeaseState {
    /// The value of `x-ms-lease-state`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Leased => "leased",
            Self::Expired => "expired",
            Self::Breaking => "breaking",
            Self::Broken => "broken",
        }
    }

    /// The value of `x-ms-lease-status`.
    pub(crate) fn status(self) -> &'static str {
        if self.guards() { "locked" } else { "unlocked" }
    }

    fn guards(self) -> bool {
        matches!(self, Self::Leased | Self::Breaking)
    }
}

/// What `acquire` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseDuration {
    Infinite,
    Seconds(u32),
}

impl LeaseDuration {
    /// `-1`, or 15 to 60.
    pub(crate) fn parse(text: &str) -> Result<Self, ServiceError> {
        match text.parse::<i32>() {
            Ok(-1) => Ok(Self::Infinite),
            Ok(seconds @ 15..=60) => Ok(Self::Seconds(seconds.unsigned_abs())),
            _ => Err(ServiceError::invalid_header(
                "x-ms-lease-duration",
                "expected -1 (no end) or 15 to 60 seconds",
            )),
        }
    }
}

impl Lease {
    pub(crate) fn state(&self, now_ms: i64) -> LeaseState {
        match self.held.as_ref().map(|held| held.term) {
            None => LeaseState::Available,
            Some(Term::Infinite) => LeaseState::Leased,
            Some(Term::Fixed { ends_ms, .. }) if now_ms < ends_ms => LeaseState::Leased,
            Some(Term::Fixed { .. }) => LeaseState::Expired,
            Some(Term::Breaking { ends_ms }) if now_ms < ends_ms => LeaseState::Breaking,
            Some(Term::Breaking { .. }) => LeaseState::Broken,
        }
    }

    /// The value of `x-ms-lease-duration` in replies; only while leased.
    pub(crate) fn duration_text(&self, now_ms: i64) -> Option<&'static str> {
        match (self.state(now_ms), self.held.as_ref()?.term) {
            (LeaseState::Leased, Term::Infinite) => Some("infinite"),
            (LeaseState::Leased, _) => Some("fixed"),
            _ => None,
        }
    }

    /// Answers the id of the lease.
    pub(crate) fn acquire(
        &mut self,
        proposed: Option<Uuid>,
        duration: LeaseDuration,
        now_ms: i64,
    ) -> Result<Uuid, ServiceError> {
        let same = self.held.as_ref().is_some_and(|held| Some(held.id) == proposed);
        match self.state(now_ms) {
            LeaseState::Breaking if same => return Err(ServiceError::lease_is_breaking_not_acquired()),
            LeaseState::Leased if same => {}
            LeaseState::Leased | LeaseState::Breaking => return Err(ServiceError::lease_already_present()),
            LeaseState::Available | LeaseState::Expired | LeaseState::Broken => {}
        }
        let id = proposed.unwrap_or_else(Uuid::new_v4);
        let term = match duration {
            LeaseDuration::Infinite => Term::Infinite,
            LeaseDuration::Seconds(seconds) => Term::Fixed { seconds, ends_ms: later(now_ms, seconds) },
        };
        self.held = Some(Held { id, term });
        Ok(id)
    }

    pub(crate) fn renew(&mut self, id: Uuid, now_ms: i64) -> Result<(), ServiceError> {
        let held = self.with_id(id)?;
        match &mut held.term {
            Term::Infinite => {}
            Term::Fixed { seconds, ends_ms } => *ends_ms = later(now_ms, *seconds),
            Term::Breaking { .. } => return Err(ServiceError::lease_is_broken_not_renewed()),
        }
        Ok(())
    }

    /// Repeating a change that was done already succeeds.
    pub(crate) fn change(&mut self, id: Uuid, proposed: Uuid, now_ms: i64) -> Result<(), ServiceError> {
        let state = self.state(now_ms);
        let held = self.held.as_mut().ok_or_else(ServiceError::lease_not_present_for_operation)?;
        match state {
            LeaseState::Leased if held.id == id || held.id == proposed => held.id = proposed,
            LeaseState::Breaking if held.id == id => {
                return Err(ServiceError::lease_is_breaking_not_changed());
            }
            LeaseState::Leased | LeaseState::Breaking => {
                return Err(ServiceError::lease_id_mismatch_for_operation());
            }
            LeaseState::Available | LeaseState::Expired | LeaseState::Broken => {
                return Err(ServiceError::lease_not_present_for_operation());
            }
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, id: Uuid) -> Result<(), ServiceError> {
        self.with_id(id)?;
        self.held = None;
        Ok(())
    }

    /// Answers how many seconds the resource stays guarded. A period only ever shortens what is left.
    pub(crate) fn break_within(&mut self, period: Option<u32>, now_ms: i64) -> Result<u32, ServiceError> {
        let held = self.held.as_mut().ok_or_else(ServiceError::lease_not_present_for_operation)?;
        let asked = period.map(|seconds| later(now_ms, seconds));
        let ends_ms = match held.term {
            Term::Infinite => asked.unwrap_or(now_ms),
            Term::Fixed { ends_ms, .. } | Term::Breaking { ends_ms } => asked.unwrap_or(ends_ms).min(ends_ms),
        };
        held.term = Term::Breaking { ends_ms };
        let left_ms = ends_ms.saturating_sub(now_ms).max(0).unsigned_abs();
        Ok(u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX))
    }

    /// For a request that changes nothing: a lease that it names must be the active one.
    pub(crate) fn check_read(&self, id: Option<Uuid>, now_ms: i64) -> Result<(), ServiceError> {
        let Some(id) = id else {
            return Ok(());
        };
        match (self.state(now_ms), &self.held) {
            (LeaseState::Available, _) | (_, None) => Err(ServiceError::lease_not_present()),
            (LeaseState::Expired | LeaseState::Broken, _) => Err(ServiceError::lease_lost()),
            (_, Some(held)) if held.id != id => Err(ServiceError::lease_id_mismatch()),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_write(&self, id: Option<Uuid>, now_ms: i64) -> Result<(), ServiceError> {
        if id.is_none() && self.state(now_ms).guards() {
            return Err(ServiceError::lease_id_missing());
        }
        self.check_read(id, now_ms)
    }

    /// A write without a lease was done: a lease that guards no more cannot come back after it.
    pub(crate) fn forget_ended(&mut self, now_ms: i64) {
        if !self.state(now_ms).guards() {
            self.held = None;
        }
    }

    fn with_id(&mut self, id: Uuid) -> Result<&mut Held, ServiceError> {
        match &mut self.held {
            None => Err(ServiceError::lease_not_present_for_operation()),
            Some(held) if held.id != id => Err(ServiceError::lease_id_mismatch_for_operation()),
            Some(held) => Ok(held),
        }
    }

    /// The stored form; `None` without a lease.
    pub(crate) fn to_text(&self) -> Option<String> {
        self.held.as_ref().map(ToString::to_string)
    }

    /// From the stored form, which `to_text` wrote.
    pub(crate) fn stored(text: Option<&str>) -> Self {
        Self { held: text.and_then(Held::parse) }
    }
}

fn later(now_ms: i64, seconds: u32) -> i64 {
    now_ms.saturating_add(i64::from(seconds) * 1000)
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.term {
            Term::Infinite => write!(f, "{} infinite", self.id),
            Term::Fixed { seconds, ends_ms } => write!(f, "{} fixed {seconds} {ends_ms}", self.id),
            Term::Breaking { ends_ms } => write!(f, "{} breaking {ends_ms}", self.id),
        }
    }
}

impl Held {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let (id, term) = match words.as_slice() {
            [id, "infinite"] => (id, Term::Infinite),
            [id, "fixed", seconds, ends_ms] => {
                (id, Term::Fixed { seconds: seconds.parse().ok()?, ends_ms: ends_ms.parse().ok()? })
            }
            [id, "breaking", ends_ms] => (id, Term::Breaking { ends_ms: ends_ms.parse().ok()? }),
            _ => return None,
        };
        Some(Self { id: id.parse().ok()?, term })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(0xa);
    const B: Uuid = Uuid::from_u128(0xb);
    const NOW: i64 = 1_000_000;

    fn lease(state: LeaseState) -> Lease {
        let mut lease = Lease::default();
        let (duration, at) = match state {
            LeaseState::Expired => (LeaseDuration::Seconds(15), NOW - 15_000),
            _ => (LeaseDuration::Seconds(60), NOW),
        };
        if state != LeaseState::Available {
            lease.acquire(Some(A), duration, at).unwrap();
        }
        match state {
            LeaseState::Breaking => assert_eq!(lease.break_within(Some(10), NOW).unwrap(), 10),
            LeaseState::Broken => assert_eq!(lease.break_within(Some(0), NOW).unwrap(), 0),
            _ => {}
        }
        assert_eq!(lease.state(NOW), state);
        lease
    }

    type Outcome = Result<LeaseState, &'static str>;

    fn outcome(state: LeaseState, act: impl FnOnce(&mut Lease) -> Result<(), ServiceError>) -> Outcome {
        let mut lease = lease(state);
        act(&mut lease).map_err(|error| error.code)?;
        assert_eq!(Lease::stored(lease.to_text().as_deref()), lease);
        Ok(lease.state(NOW))
    }

    const STATES: [LeaseState; 5] = [
        LeaseState::Available,
        LeaseState::Leased,
        LeaseState::Breaking,
        LeaseState::Broken,
        LeaseState::Expired,
    ];

    #[test]
    fn outcomes_are_those_of_the_documentation() {
        use LeaseState::{Available, Breaking, Broken, Leased};
        const PRESENT: Outcome = Err("LeaseAlreadyPresent");
        const NONE: Outcome = Err("LeaseNotPresentWithLeaseOperation");
        const MISMATCH: Outcome = Err("LeaseIdMismatchWithLeaseOperation");
        type Act = fn(&mut Lease) -> Result<(), ServiceError>;
        let table: [(&str, Act, [Outcome; 5]); 11] = [
            (
                "acquire",
                |lease| lease.acquire(None, LeaseDuration::Seconds(20), NOW).map(drop),
                [Ok(Leased), PRESENT, PRESENT, Ok(Leased), Ok(Leased)],
            ),
            (
                "acquire A",
                |lease| lease.acquire(Some(A), LeaseDuration::Infinite, NOW).map(drop),
                [Ok(Leased), Ok(Leased), Err("LeaseIsBreakingAndCannotBeAcquired"), Ok(Leased), Ok(Leased)],
            ),
            (
                "acquire B",
                |lease| lease.acquire(Some(B), LeaseDuration::Infinite, NOW).map(drop),
                [Ok(Leased), PRESENT, PRESENT, Ok(Leased), Ok(Leased)],
            ),
            (
                "break, period 0",
                |lease| lease.break_within(Some(0), NOW).map(drop),
                [NONE, Ok(Broken), Ok(Broken), Ok(Broken), Ok(Broken)],
            ),
            (
                "break, period 5",
                |lease| lease.break_within(Some(5), NOW).map(drop),
                [NONE, Ok(Breaking), Ok(Breaking), Ok(Broken), Ok(Broken)],
            ),
            (
                "change A to B",
                |lease| lease.change(A, B, NOW),
                [NONE, Ok(Leased), Err("LeaseIsBreakingAndCannotBeChanged"), NONE, NONE],
            ),
            ("change B to A", |lease| lease.change(B, A, NOW), [NONE, Ok(Leased), MISMATCH, NONE, NONE]),
            (
                "renew A",
                |lease| lease.renew(A, NOW),
                [
                    NONE,
                    Ok(Leased),
                    Err("LeaseIsBrokenAndCannotBeRenewed"),
                    Err("LeaseIsBrokenAndCannotBeRenewed"),
                    Ok(Leased),
                ],
            ),
            ("renew B", |lease| lease.renew(B, NOW), [NONE, MISMATCH, MISMATCH, MISMATCH, MISMATCH]),
            (
                "release A",
                |lease| lease.release(A),
                [NONE, Ok(Available), Ok(Available), Ok(Available), Ok(Available)],
            ),
            ("release B", |lease| lease.release(B), [NONE, MISMATCH, MISMATCH, MISMATCH, MISMATCH]),
        ];
        for (name, act, expected) in table {
            for (state, expected) in STATES.into_iter().zip(expected) {
                assert_eq!(outcome(state, act), expected, "{name} when {state:?}");
            }
        }
    }

    #[test]
    fn uses_are_judged_by_state_and_id() {
        type Judged = Result<(), &'static str>;
        let judge = |state, id, write| {
            let lease = lease(state);
            let judged = if write { lease.check_write(id, NOW) } else { lease.check_read(id, NOW) };
            judged.map_err(|error| error.code)
        };
        let none: Judged = Err("LeaseNotPresent");
        let lost: Judged = Err("LeaseLost");
        let missing: Judged = Err("LeaseIdMissing");
        let other: Judged = Err("LeaseIdMismatch");
        for (id, write, expected) in [
            (None, false, [Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
            (None, true, [Ok(()), missing, missing, Ok(()), Ok(())]),
            (Some(A), true, [none, Ok(()), Ok(()), lost, lost]),
            (Some(A), false, [none, Ok(()), Ok(()), lost, lost]),
            (Some(B), true, [none, other, other, lost, lost]),
        ] {
            for (state, expected) in STATES.into_iter().zip(expected) {
                assert_eq!(judge(state, id, write), expected, "{id:?} {write} when {state:?}");
            }
        }
    }

    #[test]
    fn breaking_only_shortens_and_reports_what_is_left() {
        let mut fixed = lease(LeaseState::Leased);
        assert_eq!(fixed.break_within(None, NOW + 500).unwrap(), 60);
        assert_eq!(fixed.break_within(Some(70), NOW + 30_000).unwrap(), 30);
        assert_eq!(fixed.break_within(Some(1), NOW + 31_000).unwrap(), 1);
        assert_eq!(fixed.state(NOW + 32_000), LeaseState::Broken);
        let mut endless = Lease::default();
        endless.acquire(Some(A), LeaseDuration::Infinite, NOW).unwrap();
        assert_eq!(endless.duration_text(NOW), Some("infinite"));
        assert_eq!(endless.break_within(None, NOW).unwrap(), 0);
        assert_eq!((endless.state(NOW), endless.duration_text(NOW)), (LeaseState::Broken, None));
    }

    #[test]
    fn an_ended_lease_is_forgotten_by_a_write_without_it() {
        for state in [LeaseState::Expired, LeaseState::Broken] {
            let mut lease = lease(state);
            lease.forget_ended(NOW);
            assert_eq!(lease.to_text(), None);
        }
        let mut active = lease(LeaseState::Leased);
        active.forget_ended(NOW);
        assert_eq!(active.state(NOW), LeaseState::Leased);
    }

    #[test]
    fn durations() {
        assert_eq!(LeaseDuration::parse("-1").unwrap(), LeaseDuration::Infinite);
        assert_eq!(LeaseDuration::parse("15").unwrap(), LeaseDuration::Seconds(15));
        for text in ["14", "61", "0", "-2", "", "long"] {
            assert!(LeaseDuration::parse(text).is_err(), "{text}");
        }
    }
}
