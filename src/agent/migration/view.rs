//! What the rest of the agent sees of a running migration: cheap to copy, always whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use livedata_engine::{Counters, Engine, Phase, Run, State as _};

use super::principals::Unmapped;
use crate::journal::{self, Drift, FailedPath, Found, JournalState};

/// Something that keeps the migration from going on, and goes away when its cause does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    SourceUnreachable,
    /// It answers, and does not let the migration's root be read.
    SourceShut,
    TargetUnreachable,
    /// The account or the container as a whole.
    TargetRefuses,
    TargetThrottled,
    DiskFull,
    JournalUnusable,
}

impl Fault {
    fn is_of_a_journal(self) -> bool {
        matches!(self, Self::DiskFull | Self::JournalUnusable)
    }
}

/// Where an engine stands after a step.
pub struct Progress {
    pub run: Run,
    found: Found,
    bytes_in_flight: u64,
    watermark: Option<u64>,
    deletes_held: usize,
    /// Directories wait to be listed.
    listing: bool,
    surveying: bool,
    /// Grows whenever something is given up.
    pub given_up: u64,
}

impl Progress {
    pub fn of(engine: &Engine, state: &mut JournalState<'_>) -> Result<Self, journal::Error> {
        Ok(Self {
            run: state.run()?,
            found: state.found(),
            bytes_in_flight: engine.bytes_in_flight(),
            watermark: engine.watermark(state)?,
            deletes_held: engine.deletes_held(),
            listing: !state.fronts(None, 1)?.is_empty(),
            surveying: engine.is_surveying(),
            given_up: engine.coverage.given_up,
        })
    }

    /// Nothing is going on.
    pub fn resting(run: Run, found: Found) -> Self {
        Self {
            run,
            found,
            bytes_in_flight: 0,
            watermark: None,
            deletes_held: 0,
            listing: false,
            surveying: false,
            given_up: 0,
        }
    }
}

/// The list of paths that are given up may have changed when one of these has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failures {
    /// The operator's start.
    pub start: u64,
    /// Given up at present.
    pub count: u64,
    /// Given up so far in this process.
    pub ever: u64,
    /// Nothing goes on.
    pub settled: bool,
}

#[derive(Clone, Debug, Default)]
pub struct View {
    /// The operator's start that everything here answers; 0 before the first.
    pub start: u64,
    /// The pass that the counters are of; 0 before the first, and while the journal has not been read.
    pub pass: u64,
    pub phase: Phase,
    pub counters: Counters,
    /// What is at the source. (The engine's own counts of that grow with each look.)
    pub found: Found,
    /// Bytes durable in staging beyond the counted ones.
    pub bytes_in_flight: u64,
    /// Follows the source's changes.
    pub live: bool,
    /// Position of the source up to which its changes were taken up.
    pub cursor: u64,
    /// Every change up to here is at the target.
    pub watermark: Option<u64>,
    /// Deletions that wait for the operator.
    pub deletes_held: usize,
    pub listing: bool,
    /// Before the first run: what the target has already is being looked at.
    pub surveying: bool,
    /// Latest first, with whole paths.
    pub failed: Arc<Vec<FailedPath>>,
    /// What `failed` was read for.
    pub failures: Option<Failures>,
    /// Where somebody else changed the target of late: latest first, with whole paths.
    pub drift: Arc<Vec<Drift>>,
    /// Owners, groups and named entries that are left out.
    pub unmapped: Arc<Unmapped>,
    /// With the reason.
    pub faults: BTreeMap<Fault, String>,
}

impl View {
    pub(super) fn progressed(&mut self, now: &Progress) {
        let Progress { run, found, bytes_in_flight, watermark, deletes_held, listing, surveying, .. } = now;
        self.start = run.start;
        self.pass = run.number;
        self.phase = run.phase;
        self.counters = run.counters;
        self.found = *found;
        self.live = run.live;
        self.cursor = run.cursor;
        (self.bytes_in_flight, self.watermark) = (*bytes_in_flight, *watermark);
        (self.deletes_held, self.listing, self.surveying) = (*deletes_held, *listing, *surveying);
    }

    /// Paths of the journal are below the migration's root; people want whole ones.
    pub(super) fn failed(&mut self, root: &str, failed: Vec<FailedPath>, failures: Option<Failures>) {
        let whole = failed.into_iter().map(|failed| FailedPath { path: whole(root, &failed.path), ..failed });
        self.failed = Arc::new(whole.collect());
        self.failures = failures;
    }

    pub(super) fn drifted(&mut self, root: &str, drift: Vec<Drift>) {
        let whole = drift.into_iter().map(|drift| Drift { path: whole(root, &drift.path), ..drift });
        self.drift = Arc::new(whole.collect());
    }

    /// Of the journal at `path`.
    pub(super) fn journal_failed(&mut self, error: &journal::Error, path: &Path) {
        let fault = if error.is_disk_full() { Fault::DiskFull } else { Fault::JournalUnusable };
        self.faults.insert(fault, journal::told(error, path));
    }

    pub(super) fn journals_work(&mut self) {
        self.faults.retain(|fault, _| !fault.is_of_a_journal());
    }

    /// What is left to say when nothing goes on. `failed`: because the journal failed.
    pub fn at_rest(mut self, failed: bool) -> Self {
        self.faults.retain(|fault, _| failed && fault.is_of_a_journal());
        self
    }

    /// Of a migration that was last seen as `resting`, until its engine has something to say: what was wrong with the journal
    /// is so until it has been opened.
    pub fn before_start(resting: Option<Self>) -> Self {
        let resting = resting.unwrap_or_default();
        if resting.phase.is_active() { resting } else { Self { faults: resting.faults, ..Self::default() } }
    }
}

fn whole(root: &str, below: &str) -> String {
    match below {
        "" => root.to_owned(),
        below => format!("{}/{below}", root.trim_end_matches('/')),
    }
}
