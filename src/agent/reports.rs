//! From what a migration's engine is doing to what the provider is told.

mod lag;
mod live;
mod rate;
mod squeeze;

use livedata_engine::Phase;
use livedata_filesystem::ErrorKind;
use livedata_model::condition::{self, Condition, Truth};
use livedata_model::report::{FailedPath, FailedPaths, MOST_FAILED_PATHS, MigrationReport, Progress, Sent};
use livedata_model::spec::{MigrationSpec, RunState};
use livedata_model::state::MigrationState;

pub use squeeze::Squeeze;

use crate::feed::{Feed, JournalFault};
use crate::journal;
use crate::migration::{Failures, Fault, View};
use lag::Follower;
use rate::{Flow, Rate};

/// Why a migration that should run does not, apart from what its view says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocked {
    /// `maxRunningMigrations` others are running.
    WaitingForTurn,
    /// The source cannot be set up, or may not be read.
    SourceNotReady(String),
    /// The target is not there yet, or cannot be set up.
    TargetNotReady(String),
    /// This machine has no room for it.
    NoRoom(String),
    /// What it keeps on this machine cannot be read.
    JournalUnusable(String),
    /// A mode that this agent does not know.
    NotSupported(String),
}

/// The reports of one migration over time: conditions keep the moment of their last change, rates need two looks.
#[derive(Debug, Default)]
pub struct Reporter {
    conditions: Vec<Condition>,
    rate: Rate,
    follower: Follower,
    /// As many gaps as there had been when nothing was being listed: what is listed now has another reason.
    gaps_made_up_for: u64,
}

/// What is known of a migration at one moment.
pub struct Situation<'a> {
    pub id: &'a str,
    pub generation: u64,
    pub run_state: RunState,
    pub started: bool,
    /// `None` while no engine runs.
    pub view: Option<&'a View>,
    /// What its journal is of and of nothing else, if that is known: passes are numbered within it.
    pub route: Option<&'a str>,
    /// `None`: not of a migration.
    pub sent: Option<Sent>,
    /// It was stopped, and what was on its way still arrives.
    pub drains: bool,
    /// Of a migration that follows its source.
    pub feed: Option<&'a Feed>,
    pub blocked: Option<&'a Blocked>,
    /// What of its settings this version does not heed.
    pub ignored: Option<String>,
    /// What should be put right at the source before its changes are lost.
    pub preflight: &'a [String],
    /// Bytes per second of the bandwidth policy, if that is what holds transfers back.
    pub bandwidth_limit: Option<u64>,
    /// Why what the provider sends cannot be stored on the agent's disk.
    pub no_room: Option<&'a str>,
    /// Wall clock, milliseconds since 1970.
    pub now_ms: i64,
}

impl Reporter {
    pub fn report(&mut self, situation: &Situation<'_>) -> MigrationReport {
        let state = state_of(situation);
        if let Some(view) = situation.view.filter(|view| !view.listing) {
            self.gaps_made_up_for = view.counters.gaps;
        }
        match situation.view {
            Some(view) => self.follower.look(view, situation.feed, situation.now_ms),
            None => self.follower = Follower::default(),
        }
        self.update_conditions(situation, state);
        let empty = View::default();
        let view = situation.view.unwrap_or(&empty);
        let counters = view.counters;
        let bytes_migrated = counters.bytes_migrated + view.bytes_in_flight;
        let flow = match state {
            MigrationState::Running => Some(Flow::Arriving),
            MigrationState::Live | MigrationState::Stopping => Some(Flow::Sent),
            _ => None,
        };
        let arrived = (bytes_migrated, counters.files_migrated);
        let sent = situation.sent.map_or((0, 0), |sent| (sent.bytes, sent.files));
        let (bytes_per_second, files_per_second) = self.rate.look(situation.now_ms, arrived, sent, flow);
        let remaining = view.found.bytes.saturating_sub(bytes_migrated);
        let estimated_seconds = (state == MigrationState::Running && bytes_per_second > 0)
            .then(|| remaining.div_ceil(bytes_per_second));
        MigrationReport {
            id: situation.id.to_owned(),
            observed_generation: situation.generation,
            state,
            progress: Progress {
                directories_scanned: view.found.directories,
                files_scanned: view.found.files,
                bytes_scanned: view.found.bytes,
                files_migrated: counters.files_migrated,
                bytes_migrated,
                files_excluded: view.found.excluded,
                files_failed: counters.files_failed,
                bytes_per_second,
                files_per_second,
            },
            conditions: self.conditions.clone(),
            last_error: last_error(situation, view),
            estimated_seconds,
            lag: self.follower.now,
            run: run_of(situation),
            sent: situation.sent,
        }
    }

    fn update_conditions(&mut self, situation: &Situation<'_>, state: MigrationState) {
        let mut wanted: Vec<(&str, &str, String)> = Vec::new();
        if let Some(view) = situation.view {
            if view.phase == Phase::RootMissing {
                let reason = view.failed.first().map(said_of_it).unwrap_or_default();
                wanted.push(("SourceRootMissing", "NotFound", format!("{reason}. Nothing was removed at the target. Bring the directory back under its name and start the migration again; if it is to be another directory from now on, reset the migration before.")));
            }
            for (fault, message) in &view.faults {
                let (kind, reason) = match fault {
                    Fault::SourceUnreachable => ("SourceUnreachable", "NoAnswer"),
                    Fault::SourceShut => ("SourceUnreachable", "NotReadable"),
                    Fault::TargetUnreachable => ("TargetUnreachable", "NoAnswer"),
                    Fault::TargetRefuses => ("TargetUnreachable", "Refused"),
                    Fault::TargetThrottled => ("TargetThrottled", "ServerBusy"),
                    Fault::DiskFull => ("DiskFull", "JournalCannotGrow"),
                    Fault::JournalUnusable => ("JournalUnusable", "JournalFailed"),
                };
                wanted.push((kind, reason, message.clone()));
            }
        }
        match situation.blocked {
            Some(Blocked::SourceNotReady(message)) => {
                wanted.push(("SourceUnreachable", "NotReady", message.clone()))
            }
            Some(Blocked::TargetNotReady(message)) => {
                wanted.push(("TargetUnreachable", "NotReady", message.clone()))
            }
            Some(Blocked::NoRoom(message)) => wanted.push(("DiskFull", "NoRoom", message.clone())),
            Some(Blocked::JournalUnusable(message)) => {
                wanted.push(("JournalUnusable", "JournalFailed", message.clone()))
            }
            Some(Blocked::NotSupported(message)) => {
                wanted.push(("NotSupportedByAgent", "Unknown", message.clone()))
            }
            Some(Blocked::WaitingForTurn) | None => {}
        }
        if let Some(ignored) = &situation.ignored {
            wanted.push(("NotSupportedByAgent", "Ignored", ignored.clone()));
        }
        if let Some(why) = situation.no_room {
            let message = format!(
                "The agent cannot store what the provider sends: {why}. Make room, or see that the agent's user may write there. \
                 Until then migrations go on as they are; changes and commands wait and are taken by themselves."
            );
            wanted.push(("DiskFull", "StateCannotBeWritten", message));
        }
        let feed = situation.feed.map(Feed::status).unwrap_or_default();
        if let Some(JournalFault { disk_full, message }) = feed.journal {
            let message = format!(
                "{message} The source's changes wait at the source meanwhile, which keeps them for a while only."
            );
            let (kind, reason) = match disk_full {
                true => ("DiskFull", "EventJournalCannotGrow"),
                false => ("JournalUnusable", "EventJournalFailed"),
            };
            wanted.push((kind, reason, message));
        } else if let Some((kind, message)) = feed.fault {
            let reason = if kind == ErrorKind::Denied { "NotSuperuser" } else { "NoChanges" };
            wanted.push((
                "SourceUnreachable",
                reason,
                format!("The source's changes cannot be read: {message}"),
            ));
        }
        if let Some(view) = situation.view {
            let gap = view.counters.gaps > self.gaps_made_up_for;
            wanted.extend(live::conditions(view, state, &self.follower, gap, situation.now_ms));
            wanted.extend(live::of_what_arrives(view, situation.bandwidth_limit, &self.follower));
        }
        if !situation.preflight.is_empty() {
            wanted.push(("PreflightWarning", "SeeMessage", situation.preflight.join(". ")));
        }
        if state == MigrationState::Running {
            wanted.push(if situation.view.is_some_and(|view| view.surveying) {
                let message =
                    "what the target has already is being looked at, before the source is".to_owned();
                ("Scanning", "TargetSurvey", message)
            } else {
                ("Scanning", "InProgress", "the source is being listed and copied".to_owned())
            });
        }
        for known in &self.conditions {
            if known.status == Truth::True && !wanted.iter().any(|(kind, _, _)| *kind == known.kind) {
                wanted.push(("", "", known.kind.clone()));
            }
        }
        for (kind, reason, message) in wanted {
            let new = if kind.is_empty() {
                Condition {
                    kind: message,
                    status: Truth::False,
                    reason: "Resolved".into(),
                    message: String::new(),
                    last_transition_ms: situation.now_ms,
                }
            } else {
                Condition {
                    kind: kind.to_owned(),
                    status: Truth::True,
                    reason: reason.to_owned(),
                    message,
                    last_transition_ms: situation.now_ms,
                }
            };
            condition::set(&mut self.conditions, new);
        }
    }
}

fn state_of(situation: &Situation<'_>) -> MigrationState {
    let phase = situation.view.map(|view| view.phase);
    if situation.drains && phase.is_some_and(Phase::is_active) {
        return MigrationState::Stopping;
    }
    match (situation.run_state, phase) {
        (RunState::Running, Some(Phase::Completed)) => MigrationState::Completed,
        (RunState::Running, Some(Phase::Failed | Phase::RootMissing)) => MigrationState::Failed,
        (RunState::Running, Some(Phase::Running)) => MigrationState::Running,
        (RunState::Running, Some(Phase::Idle)) if situation.view.is_some_and(|view| view.surveying) => {
            MigrationState::Running
        }
        (RunState::Running, Some(Phase::Live)) => MigrationState::Live,
        (RunState::Running, Some(Phase::Idle) | None) => MigrationState::Scheduled,
        (RunState::Stopped, Some(Phase::Completed)) => MigrationState::Completed,
        (RunState::Stopped, _) if situation.started => MigrationState::Stopped,
        (RunState::Stopped, _) => MigrationState::NotScheduled,
    }
}

/// Another name for each pass of each journal.
fn run_of(situation: &Situation<'_>) -> Option<String> {
    let pass = situation.view.map(|view| view.pass).filter(|pass| *pass > 0)?;
    Some(format!("{}/{pass}", situation.route?))
}

fn last_error(situation: &Situation<'_>, view: &View) -> Option<String> {
    match situation.blocked {
        Some(
            Blocked::SourceNotReady(message)
            | Blocked::TargetNotReady(message)
            | Blocked::NoRoom(message)
            | Blocked::JournalUnusable(message)
            | Blocked::NotSupported(message),
        ) => return Some(message.clone()),
        Some(Blocked::WaitingForTurn) | None => {}
    }
    if let Some((_, message)) = view.faults.first_key_value() {
        return Some(message.clone());
    }
    let said = said_of_it(view.failed.first()?);
    Some(match view.phase {
        Phase::Failed => {
            format!("{said}. Put that right, then start the migration: it goes on from where it was.")
        }
        _ => said,
    })
}

fn said_of_it(failed: &journal::FailedPath) -> String {
    format!("{}: {}", failed.path, failed.reason)
}

/// The list of paths that one migration has given up, with a number that changes with it.
#[derive(Debug, Default)]
pub struct Lister {
    revision: u64,
    failures: Option<Failures>,
    told: Option<FailedPaths>,
}

impl Lister {
    pub fn list(&mut self, id: &str, spec: &MigrationSpec, view: Option<&View>) -> FailedPaths {
        let failures = view.and_then(|view| view.failures);
        let life = (spec.incarnation.as_str(), spec.start_count);
        if let Some(told) = self
            .told
            .as_ref()
            .filter(|told| self.failures == failures && (told.incarnation.as_str(), told.start) == life)
        {
            return told.clone();
        }
        self.revision += 1;
        self.failures = failures;
        let failed = view.map(|view| view.failed.as_slice()).unwrap_or_default();
        let entries = failed.iter().take(MOST_FAILED_PATHS).map(|failed| FailedPath {
            path: failed.path.clone(),
            kind: failed.cause,
            reason: failed.reason.clone(),
            at_ms: failed.at_ms,
        });
        let list = FailedPaths {
            migration: id.to_owned(),
            incarnation: spec.incarnation.clone(),
            start: spec.start_count,
            revision: self.revision,
            entries: entries.collect(),
            truncated: failed.len() > MOST_FAILED_PATHS,
        };
        self.told = Some(list.clone());
        list
    }
}

#[cfg(test)]
mod tests {
    use livedata_engine::Counters;

    use super::*;

    fn view(phase: Phase, bytes_migrated: u64) -> View {
        View {
            phase,
            counters: Counters { bytes_migrated, ..Counters::default() },
            found: crate::journal::Found { bytes: 1_000, ..Default::default() },
            ..View::default()
        }
    }

    fn situation<'a>(view: Option<&'a View>, now_ms: i64) -> Situation<'a> {
        Situation {
            id: "/m",
            generation: 1,
            run_state: RunState::Running,
            started: true,
            view,
            route: Some("route"),
            sent: None,
            drains: false,
            feed: None,
            blocked: None,
            ignored: None,
            preflight: &[],
            bandwidth_limit: None,
            no_room: None,
            now_ms,
        }
    }

    #[test]
    fn rate_and_estimate_come_from_two_looks() {
        let mut reporter = Reporter::default();
        assert_eq!(reporter.report(&situation(Some(&view(Phase::Running, 0)), 0)).estimated_seconds, None);
        let report = reporter.report(&situation(Some(&view(Phase::Running, 200)), 2_000));
        assert_eq!((report.progress.bytes_per_second, report.estimated_seconds), (100, Some(8)));
    }

    #[test]
    fn what_is_live_has_the_rate_of_what_is_sent_though_the_run_counts_nothing_again() {
        let mut reporter = Reporter::default();
        let running = view(Phase::Running, 1_000);
        let mut at = |view: &View, seconds: i64, bytes: u64, files: u64| {
            let sent = Some(Sent { since_ms: 7, bytes, files });
            let report = reporter.report(&Situation { sent, ..situation(Some(view), seconds * 1_000) });
            assert_eq!(report.sent, sent);
            (report.progress.bytes_per_second, report.progress.files_per_second)
        };
        assert_eq!(at(&running, 0, 1_000, 1), (0, 0));
        assert_eq!(at(&running, 1, 5_000, 5), (0, 0), "nothing more has arrived");
        let live = view(Phase::Live, 1_000);
        assert_eq!(at(&live, 2, 9_000, 9), (4_000, 4), "at the first look, too");
        assert_eq!(at(&live, 4, 9_000, 9), (2_000, 2));
        assert_eq!(at(&live, 10, 9_000, 9), (0, 0));
        assert_eq!(at(&view(Phase::Completed, 1_000), 11, 19_000, 19), (0, 0));
    }

    #[test]
    fn a_report_names_its_run_while_the_journal_can_be_read() {
        let mut reporter = Reporter::default();
        let mut run = |view: Option<&View>, route: Option<&str>| {
            reporter.report(&Situation { route, ..situation(view, 0) }).run
        };
        let second = View { pass: 2, ..view(Phase::Live, 0) };
        assert_eq!(run(Some(&second), Some("route")).as_deref(), Some("route/2"));
        assert_eq!(run(None, Some("route")), None);
        assert_eq!(run(Some(&second), None), None);
        assert_eq!(run(Some(&View::default()), Some("route")), None, "of a journal that says nothing");
    }

    #[test]
    fn a_condition_comes_and_goes_with_its_cause() {
        let mut reporter = Reporter::default();
        let mut away = view(Phase::Running, 0);
        away.faults.insert(Fault::SourceUnreachable, "connection refused".into());
        let report = reporter.report(&situation(Some(&away), 5));
        let unreachable = report.conditions.iter().find(|known| known.kind == "SourceUnreachable").unwrap();
        assert_eq!((unreachable.status, unreachable.last_transition_ms), (Truth::True, 5));
        assert_eq!(report.last_error.as_deref(), Some("connection refused"));
        let report = reporter.report(&situation(Some(&view(Phase::Running, 0)), 9));
        let resolved = report.conditions.iter().find(|known| known.kind == "SourceUnreachable").unwrap();
        assert_eq!((resolved.status, resolved.last_transition_ms), (Truth::False, 9));
    }

    #[test]
    fn a_missing_root_fails_the_migration_with_its_condition() {
        let mut failed = view(Phase::RootMissing, 0);
        failed.failed = std::sync::Arc::new(vec![crate::journal::FailedPath {
            path: "/x/".into(),
            cause: livedata_model::report::FailureKind::Other,
            reason: "does not exist".into(),
            at_ms: 0,
        }]);
        let report = Reporter::default().report(&situation(Some(&failed), 1));
        assert_eq!(report.state, MigrationState::Failed);
        assert!(
            report
                .conditions
                .iter()
                .any(|known| known.kind == "SourceRootMissing" && known.status == Truth::True)
        );
        assert_eq!(report.last_error.as_deref(), Some("/x/: does not exist"));
    }

    fn holding(report: &MigrationReport, kind: &str) -> Option<Condition> {
        report.conditions.iter().find(|known| known.kind == kind && known.status == Truth::True).cloned()
    }

    #[test]
    fn principals_without_an_identity_are_one_condition_that_counts_them() {
        let mut seen = view(Phase::Completed, 0);
        seen.unmapped = std::sync::Arc::new(crate::migration::Unmapped {
            users: 3,
            groups: 2,
            examples: vec!["user 'ann'".into(), "group 'staff'".into()],
            more: false,
        });
        let report = Reporter::default().report(&situation(Some(&seen), 1));
        let unmapped = holding(&report, "OwnerUnmapped").unwrap();
        assert!(unmapped.message.contains("3 users and 2 groups"), "{unmapped:?}");
        assert!(unmapped.message.contains("user 'ann', group 'staff'"), "{unmapped:?}");
        let report = Reporter::default().report(&situation(Some(&view(Phase::Running, 0)), 1));
        assert_eq!(holding(&report, "OwnerUnmapped"), None);
    }

    #[test]
    fn the_bandwidth_policy_is_said_only_of_what_has_something_to_transfer() {
        let (running, live) = (view(Phase::Running, 0), view(Phase::Live, 0));
        let mut reporter = Reporter::default();
        let limited = Situation { bandwidth_limit: Some(65_536), ..situation(Some(&running), 1) };
        let said = holding(&reporter.report(&limited), "BandwidthLimited").unwrap();
        assert!(said.message.contains("65536 bytes"), "{said:?}");
        let idle = Situation { bandwidth_limit: Some(65_536), ..situation(Some(&live), 2) };
        let report = reporter.report(&idle);
        let over = report.conditions.iter().find(|known| known.kind == "BandwidthLimited").unwrap();
        assert_eq!((over.status, over.last_transition_ms), (Truth::False, 2));
    }

    #[test]
    fn findings_of_the_preflight_are_one_condition_that_names_each() {
        let findings = ["the log is short".to_owned(), "the version is old".to_owned()];
        let running = view(Phase::Running, 0);
        let mut reporter = Reporter::default();
        let found = Situation { preflight: &findings, ..situation(Some(&running), 1) };
        let said = holding(&reporter.report(&found), "PreflightWarning").unwrap();
        assert_eq!(said.message, "the log is short. the version is old");
        let report = reporter.report(&situation(Some(&running), 2));
        assert_eq!(holding(&report, "PreflightWarning"), None);
    }

    #[test]
    fn what_is_behind_says_why_and_catches_up_only_when_nothing_is_in_its_way() {
        let mut behind = view(Phase::Live, 0);
        behind.live = true;
        let mut follower = Follower::default();
        (follower.lags, follower.catches_up) = (true, true);
        follower.now = Some(livedata_model::report::Lag { transactions: 5, seconds: 200, watermark: 1 });
        let kinds = |view: &View, follower: &Follower| {
            live::conditions(view, MigrationState::Live, follower, false, 9)
        };
        let all = kinds(&behind, &follower);
        assert_eq!((all[0].0, all[1].0, all[1].1), ("CatchingUp", "Lagging", "TooSlow"));
        assert!(all[1].2.contains("3 minutes"), "{all:?}");
        behind.deletes_held = 4;
        let all = kinds(&behind, &follower);
        assert_eq!((all[0].0, all[1].0, all[1].1), ("DeletesHeld", "Lagging", "DeletesHeld"));
        behind.faults.insert(Fault::TargetUnreachable, "connection refused".into());
        let all = kinds(&behind, &follower);
        assert_eq!((all[1].0, all[1].1), ("Lagging", "Blocked"));
        assert!(all[1].2.contains("connection refused"), "{all:?}");
        // While it scans it has not been live yet.
        let all = live::conditions(&behind, MigrationState::Running, &follower, false, 9);
        assert!(all.iter().all(|(kind, _, _)| *kind != "Lagging"), "{all:?}");
        follower = Follower::default();
        (behind.deletes_held, behind.phase) = (0, Phase::Failed);
        assert!(kinds(&behind, &follower).is_empty());
        let drift = |path: &str| crate::journal::Drift { path: path.into(), at_ms: 5 };
        behind.drift = std::sync::Arc::new(vec![drift("/lake/latest"), drift("/lake/before")]);
        let all = kinds(&behind, &follower);
        assert_eq!(all[0].0, "TargetDrift", "also of one that it has ended");
        assert!(all[0].2.contains("latest /lake/latest, /lake/before"), "{all:?}");
        let hour = 5 + 3_600_000;
        let at = |now_ms| live::conditions(&behind, MigrationState::Live, &follower, false, now_ms).len();
        assert_eq!((at(hour - 1), at(hour)), (1, 0));
    }

    /// Each kind that stands in the source of the reports, and each kind of path that was given up.
    #[test]
    fn the_document_of_errors_has_every_condition_and_every_kind() {
        let text = include_str!("../../docs/errors.md");
        let sources = [include_str!("reports.rs"), include_str!("reports/live.rs")];
        let mut kinds = std::collections::BTreeSet::new();
        for source in sources {
            let product = source.split("#[cfg(test)]").next().unwrap();
            for start in ["wanted.push((\"", "=> (\""] {
                for (at, _) in product.match_indices(start) {
                    kinds.insert(product[at + start.len()..].split('"').next().unwrap());
                }
            }
        }
        assert!(kinds.len() >= 14 && kinds.contains("CatchingUp"), "{kinds:?}");
        for kind in kinds.iter().filter(|kind| !kind.is_empty()) {
            assert!(text.contains(&format!("\n| `{kind}`")), "docs/errors.md does not explain {kind}");
        }
        for number in 1.. {
            let kind = livedata_model::report::FailureKind::from_number(number);
            if kind.number() != number {
                break;
            }
            let row = format!("\n| `{}` |", kind.as_str());
            assert!(text.contains(&row), "docs/errors.md does not explain {kind:?}");
        }
    }
}
