//! Up to where the counters of a migration have been counted, and how far a report takes them.
//!
//! Counters of progress start over with each run, so they are compared within one run only, by the name that the agent gives it. A
//! report that names none says nothing about them: what was counted stays counted until a run is named again. What the agent has
//! sent is of no run but of its process, and goes on through all of them.
//!
//! *Older agents* name no runs and do not tell what they send. A new run of theirs shows in fewer files that arrived: what
//! was scanned goes back within a run, too, when a directory vanishes from the source. What they have sent is taken to be what arrived.

use std::collections::BTreeMap;

use livedata_model::report::{MigrationReport, Progress, Sent};
use livedata_model::state::MigrationState;

use super::catalogue::Quantity;

#[derive(Clone, Debug)]
pub struct Baseline {
    /// `None`: of an older agent, or nothing was told of a run yet.
    run: Option<String>,
    progress: Progress,
    sent: Option<Sent>,
    /// What is sent from here on is of a migration that follows its source.
    live: bool,
}

/// Of a run, in bytes; a longer one is none.
const LONGEST_NAME: usize = 256;

/// How far counters have moved.
pub type Movement = BTreeMap<Quantity, f64>;

impl Baseline {
    /// Everything up to this report.
    pub fn of(report: &MigrationReport) -> Self {
        Self::advance(None, report).0
    }

    /// From where it was counted up to, to what is reported now. What happened before a report happened in the state that the
    /// report before it named.
    pub fn advance(before: Option<Self>, now: &MigrationReport) -> (Self, Movement) {
        let was_live = before.as_ref().is_some_and(|before| before.live);
        let live = match now.state {
            MigrationState::Live => true,
            MigrationState::Stopping => was_live,
            _ => false,
        };
        let (counted, sent_before) = match before {
            Some(Self { run, progress, sent, .. }) => (Some((run, progress)), Some(sent)),
            None => (None, None),
        };
        let (run, progress, mut movement) = match (Word::of(now), counted) {
            (Word::Silent, counted) => {
                let (run, progress) = counted.unwrap_or_default();
                (run, progress, Movement::new())
            }
            (Word::Run(_) | Word::Older, counted) => {
                let from = counted.filter(|(run, progress)| is_same_run(run.as_deref(), progress, now));
                let was_live = was_live && from.is_some();
                let from = from.map(|(_, progress)| progress).unwrap_or_default();
                (now.run.clone(), now.progress.clone(), arrived(&from, &now.progress, was_live))
            }
        };
        let sent = match (sent_before, now.sent) {
            // The first that is heard of it.
            (None, Some(now)) => Some(now.bytes),
            // Another process counts from nothing.
            (Some(Some(then)), Some(now)) if then.since_ms == now.since_ms => {
                Some(now.bytes.saturating_sub(then.bytes))
            }
            (Some(Some(_)), Some(now)) => Some(now.bytes),
            // Nobody has counted what is told now, or it is not told.
            (Some(None), Some(_)) | (_, None) => None,
        };
        if let Some(sent) = sent {
            movement.insert(Quantity::BytesTransferred, sent as f64);
            movement.insert(Quantity::BytesLive, if was_live { sent as f64 } else { 0.0 });
        }
        movement.retain(|_, by| *by != 0.0);
        (Self { run, progress, sent: now.sent, live }, movement)
    }
}

/// What a report says about the counters of its progress.
enum Word<'a> {
    /// They are of this run.
    Run(&'a str),
    /// Nothing.
    Silent,
    /// They are of a run that has no name.
    Older,
}

impl<'a> Word<'a> {
    fn of(report: &'a MigrationReport) -> Self {
        match (&report.run, report.sent) {
            (Some(run), _) if run.len() <= LONGEST_NAME => Self::Run(run),
            (Some(_), _) => Self::Silent,
            (None, Some(_)) => Self::Silent,
            (None, None) => Self::Older,
        }
    }
}

/// Files that arrived never go back within a run: if they do, it is another one of the same name, of a journal that was lost.
fn is_same_run(run: Option<&str>, counted: &Progress, now: &MigrationReport) -> bool {
    let other_name = matches!((run, Word::of(now)), (Some(run), Word::Run(now)) if run != now);
    !other_name && now.progress.files_migrated >= counted.files_migrated
}

/// Migrated bytes go back, too, when a file that was partly uploaded has changed.
fn arrived(then: &Progress, now: &Progress, was_live: bool) -> Movement {
    let up = |then: u64, now: u64| now.saturating_sub(then) as f64;
    let bytes = now.bytes_migrated as f64 - then.bytes_migrated as f64;
    let (initial, live) = if was_live { (0.0, bytes) } else { (bytes, 0.0) };
    Movement::from([
        (Quantity::BytesMigrated, bytes),
        (Quantity::BytesTransferred, bytes.max(0.0)),
        (Quantity::BytesOfInitialScan, initial),
        (Quantity::BytesLive, live),
        (Quantity::FilesMigrated, up(then.files_migrated, now.files_migrated)),
        (Quantity::PathsExcluded, up(then.files_excluded, now.files_excluded)),
        (Quantity::PathsFailed, up(then.files_failed, now.files_failed)),
        (Quantity::DirectoriesScanned, up(then.directories_scanned, now.directories_scanned)),
        (Quantity::FilesScanned, up(then.files_scanned, now.files_scanned)),
        (Quantity::BytesScanned, up(then.bytes_scanned, now.bytes_scanned)),
    ])
}
