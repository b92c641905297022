//! What is: an agent's account of its resources.

use crate::condition::Condition;
use crate::state::MigrationState;
use crate::{wire_struct, wire_words};

wire_struct! {
    /// `status.progress` of a migration. Counters start over with each run; `bytes_migrated` may go back when a file that
    /// was partly uploaded turns out to have changed.
    #[derive(Default)]
    pub struct Progress {
        1 => directories_scanned: u64,
        2 => files_scanned: u64,
        3 => bytes_scanned: u64,
        4 => files_migrated: u64,
        /// Published bytes, plus what is already durable (flushed) of files still in the staging area.
        5 => bytes_migrated: u64,
        6 => files_excluded: u64,
        7 => files_failed: u64,
        8 => bytes_per_second: u64,
        9 => files_per_second: u64,
    }
}

wire_struct! {
    /// `status.lag`: how far the target is behind the source. Of migrations with a change feed only.
    #[derive(Copy)]
    pub struct Lag {
        /// Of the source, that were read and are not all at the target yet.
        1 => transactions: u64,
        /// How long ago the oldest change happened that is not at the target yet; 0: none is known.
        2 => seconds: u64,
        /// Every change up to this position of the source is at the target.
        3 => watermark: u64,
    }
}

wire_struct! {
    /// One migration as the agent sees it.
    pub struct MigrationReport {
        1 => id: String,
        /// The generation of desired state that this answers.
        2 => observed_generation: u64,
        3 => state: MigrationState,
        4 => progress: Progress,
        5 => conditions: Vec<Condition>,
        /// The last thing that went wrong: path and reason.
        6 => last_error: Option<String>,
        /// Seconds until the copy is complete at the present rate, if that can be said.
        7 => estimated_seconds: Option<u64>,
        8 => lag: Option<Lag>,
        /// Names the run that the counters of `progress` are of; they can be compared with those of the same name only. `None`:
        /// with those of none, because nothing has begun yet or what the agent keeps of it cannot be read.
        9 => run: Option<String>,
        /// Of a migration always, except by older agents, which name no runs either.
        10 => sent: Option<Sent>,
    }
}

wire_struct! {
    /// What has gone to the target, whatever run it was for, and each time that it was sent.
    #[derive(Copy)]
    pub struct Sent {
        /// When the agent began to count, milliseconds since 1970. Another one: it has begun anew.
        1 => since_ms: i64,
        /// Contents of files that the target accepted.
        2 => bytes: u64,
        /// Files that became visible, one that changes again each time.
        3 => files: u64,
    }
}

/// The paths that one migration has given up: the whole list, as the agent holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedPaths {
    /// Id of the migration.
    pub migration: String,
    /// Of [`crate::spec::MigrationSpec`]: another one's list is of another migration.
    pub incarnation: String,
    /// The start ([`crate::spec::MigrationSpec::start_count`]) whose run has given them up.
    pub start: u64,
    /// Another number whenever the list is another.
    pub revision: u64,
    pub entries: Vec<FailedPath>,
    /// There are more than `entries` has.
    pub truncated: bool,
}

/// How many failed paths of a migration are told and kept.
pub const MOST_FAILED_PATHS: usize = 10_000;

wire_struct! {
    pub struct FailedPath {
        /// At the source, absolute.
        1 => path: String,
        2 => kind: FailureKind,
        /// A sentence for the operator.
        3 => reason: String,
        /// When it was given up, milliseconds since 1970.
        4 => at_ms: i64,
    }
}

wire_words! {
    /// Why a path was given up; `docs/errors.md` says what to do.
    pub enum FailureKind unknown Other {
        1 => Other,
        /// The source does not let the agent read it, or the target does not let it write there.
        2 => Denied,
        /// Somebody has it open for writing.
        3 => OpenForWrite,
        /// It changed each time it was copied.
        4 => ChangedWhileCopied,
        /// At the target something is in the way that this migration did not make.
        5 => Obstructed,
        /// It was replaced, or renamed and its copy could not follow.
        6 => Replaced,
        /// The target does not take its name.
        7 => NameRefused,
        /// What it is cannot be copied: a pipe, a socket, a device.
        8 => NotSupported,
        /// Somebody else wrote there, and the policy is not to overwrite it.
        9 => Drifted,
        /// Its extended attributes are larger than the target keeps.
        10 => AttributesTooLarge,
        /// It vouches for another path (as `_SUCCESS` does), and that one was given up.
        11 => VouchesForFailed,
    }
}

wire_struct! {
    /// The agent about itself.
    pub struct AgentReport {
        1 => version: String,
        2 => conditions: Vec<Condition>,
        /// The file system that the Hadoop configuration beside the agent names.
        3 => source: Option<String>,
        4 => load: Option<Load>,
    }
}

wire_struct! {
    /// Shares of the time of all processors of the agent's machine, in thousandths, since the report before.
    #[derive(Copy)]
    pub struct Load {
        1 => process_permille: u32,
        2 => machine_permille: u32,
    }
}
