//! Conditions of a migration that follows its source, and of what arrives at the target.

use livedata_engine::Phase;
use livedata_model::state::MigrationState;

use super::lag::Follower;
use crate::migration::{Unmapped, View};

const DRIFT_IS_SAID_FOR_MS: i64 = 3_600_000;

/// Kind, reason and message of each that holds.
type Wanted = (&'static str, &'static str, String);

pub(super) fn conditions(
    view: &View,
    state: MigrationState,
    follower: &Follower,
    gap: bool,
    now_ms: i64,
) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    if !view.live {
        return wanted;
    }
    if let Some(latest) = view.drift.first()
        && now_ms.saturating_sub(latest.at_ms) < DRIFT_IS_SAID_FOR_MS
    {
        let paths: Vec<&str> = view.drift.iter().map(|drift| drift.path.as_str()).collect();
        let message = format!(
            "Somebody else changes what this migration has at the target, latest {}: {} so far. Find out who writes there and \
             have them stop. This is said for an hour after the last time, or until rescan looks there anew.",
            paths.join(", "),
            counted(view.counters.drifted, "change")
        );
        wanted.push(("TargetDrift", "ChangedByOthers", message));
    }
    if !view.phase.is_active() {
        return wanted;
    }
    if view.deletes_held > 0 {
        let message = format!(
            "{} held, each with everything below it: more than massDeleteLimit allows. See what vanished at the source; then approveDeletes lets \
             deletions go ahead.",
            match view.deletes_held {
                1 => "1 deletion is".to_owned(),
                many => format!("{many} deletions are"),
            }
        );
        wanted.push(("DeletesHeld", "MassDeleteLimit", message));
    }
    if gap && view.listing {
        let message = "Changes of the source were lost before the agent could read them. Everything is looked at again; what \
                       is equal is not copied again."
            .to_owned();
        wanted.push(("EventsLost", "Gap", message));
    }
    if view.listing && state == MigrationState::Live {
        wanted.push(("Rescanning", "InProgress", "known directories are being listed again".to_owned()));
    }
    // What does not go on does not catch up: why is said already.
    if follower.catches_up && view.faults.is_empty() && view.deletes_held == 0 {
        let message = "Changes that came in before this moment (while the agent was away, while everything was looked at, or \
                       faster than they could be copied) are on their way to the target. Nothing to do: lag tells how far it \
                       is."
            .to_owned();
        wanted.push(("CatchingUp", "Backlog", message));
    }
    if follower.lags && state == MigrationState::Live {
        let (reason, message) = lagging(view, follower);
        wanted.push(("Lagging", reason, message));
    }
    wanted
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Reason and message.
fn lagging(view: &View, follower: &Follower) -> (&'static str, String) {
    let minutes = follower.now.map_or(0, |lag| lag.seconds / 60).max(1);
    let (reason, advice) = if let Some((_, fault)) = view.faults.first_key_value() {
        ("Blocked", format!("it waits for this to end: {fault}"))
    } else if view.deletes_held > 0 {
        (
            "DeletesHeld",
            "deletions wait for approveDeletes, and what stands in their place with them".to_owned(),
        )
    } else {
        (
            "TooSlow",
            "more changes than can be copied: see whether BandwidthLimited or TargetThrottled hold, and whether this \
             machine's processor and network are busy"
                .to_owned(),
        )
    };
    // In whole minutes, so that not every report is another one.
    let since = if minutes == 1 { "a minute".to_owned() } else { format!("{minutes} minutes") };
    let message =
        format!("A change of the source that is older than {since} is not at the target: {advice}.");
    (reason, message)
}

/// Of every mode.
pub(super) fn of_what_arrives(view: &View, bandwidth_limit: Option<u64>, follower: &Follower) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let Unmapped { users, groups, examples, more } = view.unmapped.as_ref();
    if users + groups > 0 {
        let message = format!(
            "The source has {}{} and {} as owners or in access control lists, such as {}. Who they are at the target is not \
             known: owner, group and named entries are left out there and in comparisons; all else is kept. Set them at the \
             target where readers need them.",
            if *more { "more than " } else { "" },
            counted(*users as u64, "user"),
            counted(*groups as u64, "group"),
            examples.join(", ")
        );
        wanted.push(("OwnerUnmapped", "NoIdentityMapping", message));
    }
    let transfers = view.phase == Phase::Running
        || (view.phase == Phase::Live && follower.now.is_some_and(|lag| lag.transactions > 0));
    if let Some(limit) = bandwidth_limit.filter(|_| transfers) {
        let message = format!(
            "Transfers of this migrator wait for its bandwidthPolicy of {limit} bytes per second most of the time. To go \
             faster raise maxBytesPerSecond."
        );
        wanted.push(("BandwidthLimited", "BandwidthPolicy", message));
    }
    wanted
}
