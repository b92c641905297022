//! What is better known before a source is followed than found out by losing changes: the agent's rights, how long it may
//! be away, the kernel's limits, the NameNode's version. Looked at when a process begins to follow, and again from time to
//! time; what it finds stops nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use livedata_filesystem::{Error, ErrorKind, Limits};
use livedata_hdfs::Preflight;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What one look at the source shows.
pub enum Facts {
    Hdfs { user: String, found: Result<Preflight, Error> },
    Local(Result<Limits, Error>),
}

/// Takes one look; called again and again.
pub type Look = Box<dyn Fn() -> BoxFuture<'static, Facts> + Send + Sync>;

/// From the first look to the second, which tells how fast the source changes.
const SECOND_LOOK: Duration = Duration::from_secs(60);
/// Between the others: reading a NameNode's whole log is not free.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// An agent's machine that is restarted or upgraded should be back by then.
const SURVIVES_SECONDS: u64 = 3_600;
/// How often a second the feed reads at best while there is much to read.
const READS_PER_SECOND: u64 = 10;
/// Share of the kernel's limit that one source may need before it is said: other programs need watches, and trees grow.
const WATCHES_PERCENT: u64 = 80;
/// The releases that this agent is tested with; all have the same major and minor numbers in this range.
const TESTED: (u32, u32) = (3, 4);
const OLDEST: (u32, u32) = (2, 7);

/// The looks at one source, and what they have found so far.
pub struct Watcher {
    findings: watch::Receiver<Arc<Vec<String>>>,
    cancel: CancellationToken,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Watcher {
    pub fn start(look: Look, cancel: CancellationToken) -> Self {
        let (told, findings) = watch::channel(Arc::default());
        let stop = cancel.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(watch_source(look, told)).await;
        });
        Self { findings, cancel }
    }

    pub fn findings(&self) -> Arc<Vec<String>> {
        Arc::clone(&self.findings.borrow())
    }
}

async fn watch_source(look: Look, told: watch::Sender<Arc<Vec<String>>>) {
    let mut rate = Rate::default();
    loop {
        let facts = look().await;
        // Nothing is known of one that does not answer; the feed says that it does not.
        let silent =
            matches!(&facts, Facts::Hdfs { found: Err(error), .. } if error.kind() != ErrorKind::Denied);
        if !silent {
            let changes = match &facts {
                Facts::Hdfs { found: Ok(found), .. } => rate.update(Instant::now(), found.newest.0),
                _ => None,
            };
            let found = findings(&facts, changes);
            for finding in &found {
                tracing::warn!(finding, "before changes are followed");
            }
            told.send_replace(Arc::new(found));
        }
        tokio::time::sleep(if silent || rate.per_second.is_none() { SECOND_LOOK } else { LOOK_EVERY }).await;
    }
}

/// Transactions per second between looks; the busiest time counts, as far as it was seen.
#[derive(Default)]
struct Rate {
    last: Option<(Instant, u64)>,
    per_second: Option<u64>,
}

impl Rate {
    fn update(&mut self, now: Instant, newest: u64) -> Option<u64> {
        if let Some((then, known)) = self.last {
            let seconds = now.duration_since(then).as_secs().max(1);
            let measured = newest.saturating_sub(known) / seconds;
            self.per_second = Some(self.per_second.map_or(measured, |busiest| busiest.max(measured)));
        }
        self.last = Some((now, newest));
        self.per_second
    }
}

/// A sentence for each; none: all is well. `changes_per_second`: as measured, if it was.
fn findings(facts: &Facts, changes_per_second: Option<u64>) -> Vec<String> {
    match facts {
        Facts::Hdfs { user, found: Err(error) } if error.kind() == ErrorKind::Denied => vec![format!(
            "the user '{user}' may not read the NameNode's changes ({}): make it an HDFS superuser \
             (dfs.permissions.superusergroup) or give the migrator's source another user",
            error.message()
        )],
        Facts::Hdfs { found: Ok(found), .. } => [
            version(&found.software_version),
            changes_per_second.and_then(|rate| retention(found, rate)),
            changes_per_second.and_then(|rate| events_per_read(found, rate)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Facts::Local(Ok(limits)) => watches(limits).into_iter().collect(),
        // The feed meets the same and says so.
        Facts::Hdfs { found: Err(_), .. } | Facts::Local(Err(_)) => Vec::new(),
    }
}

fn version(software_version: &str) -> Option<String> {
    let mut numbers = software_version.split(['.', '-']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Some(format!(
            "the NameNode's version '{software_version}' is not one that this agent knows (2.7 to 3.4): try the \
             migration with a small path first"
        ));
    };
    match (major, minor) {
        known if known < OLDEST => Some(format!(
            "the NameNode has Hadoop {software_version}; older than 2.7 it does not tell all changes: upgrade it, or use \
             mode OneTime"
        )),
        known if known > TESTED => Some(format!(
            "the NameNode has Hadoop {software_version}, which is newer than what this agent is tested with (2.7 to 3.4): \
             see whether there is a newer agent"
        )),
        _ => None,
    }
}

/// How long the agent may be away before the NameNode purges what it has not read.
fn retention(found: &Preflight, changes_per_second: u64) -> Option<String> {
    // Nothing was ever purged: how much is kept cannot be seen yet.
    let oldest = found.oldest.filter(|oldest| oldest.0 > 0)?;
    let kept = found.newest.0.saturating_sub(oldest.0);
    let seconds = kept.checked_div(changes_per_second)?;
    (seconds < SURVIVES_SECONDS).then(|| {
        format!(
            "the NameNode keeps {kept} transactions of its log and makes {changes_per_second} a second: an agent that is \
             away for more than {} minutes loses changes and looks at everything again; raise \
             dfs.namenode.num.extra.edits.retained (and dfs.namenode.max.extra.edits.segments.retained) there",
            seconds / 60
        )
    })
}

/// Whether reading keeps up with writing.
fn events_per_read(found: &Preflight, changes_per_second: u64) -> Option<String> {
    let most = u64::try_from(found.events_per_read?).unwrap_or(u64::MAX);
    let readable = most.saturating_mul(READS_PER_SECOND);
    // Half of it, so that it also catches up.
    (changes_per_second > readable / 2).then(|| {
        format!(
            "the NameNode tells about {most} changes in one answer, about {readable} a second, and makes \
             {changes_per_second}: raise dfs.namenode.inotify.max.events.per.rpc there"
        )
    })
}

fn watches(limits: &Limits) -> Option<String> {
    let allowed = limits.max_user_watches?;
    let needed = limits.directories;
    let advised = needed.saturating_mul(2).next_power_of_two().max(65_536);
    (needed.saturating_mul(100) > allowed.saturating_mul(WATCHES_PERCENT)).then(|| {
        format!(
            "the source has {needed} directories, each needs a watch, and fs.inotify.max_user_watches is {allowed} for all \
             programs of this user: raise it (as root: sysctl -w fs.inotify.max_user_watches={advised})"
        )
    })
}

#[cfg(test)]
mod tests {
    use livedata_filesystem::Position;

    use super::*;

    fn hdfs(oldest: Option<u64>, newest: u64, events_per_read: Option<usize>) -> Preflight {
        Preflight {
            software_version: "3.4.1".into(),
            cluster_id: "CID-1".into(),
            block_pool_id: "BP-1".into(),
            oldest: oldest.map(Position),
            newest: Position(newest),
            events_per_read,
        }
    }

    fn of_hdfs(found: Preflight, rate: Option<u64>) -> Vec<String> {
        findings(&Facts::Hdfs { user: "mover".into(), found: Ok(found) }, rate)
    }

    #[test]
    fn a_log_that_survives_an_absence_is_no_finding_and_a_short_one_says_how_long_it_is() {
        let million = || hdfs(Some(5_000), 1_005_000, None);
        assert!(of_hdfs(million(), None).is_empty(), "not measured yet");
        assert!(of_hdfs(million(), Some(0)).is_empty());
        assert!(of_hdfs(million(), Some(277)).is_empty(), "a little more than an hour");
        let found = of_hdfs(million(), Some(1_000));
        assert!(found.len() == 1 && found[0].contains("more than 16 minutes"), "{found:?}");
        assert!(found[0].contains("dfs.namenode.num.extra.edits.retained"), "{found:?}");
        assert!(of_hdfs(hdfs(Some(0), 1_000, None), Some(1_000)).is_empty(), "nothing was purged yet");
        assert!(of_hdfs(hdfs(None, 1_000, None), Some(1_000)).is_empty());
    }

    #[test]
    fn a_reader_that_cannot_keep_up_is_told_before_it_falls_behind() {
        let busy = || hdfs(Some(1), 1_000_000_000, Some(1_000));
        assert!(of_hdfs(busy(), Some(5_000)).is_empty());
        let found = of_hdfs(busy(), Some(6_000));
        assert!(found.len() == 1 && found[0].contains("inotify.max.events.per.rpc"), "{found:?}");
    }

    #[test]
    fn versions_are_known_too_old_too_new_or_unknown() {
        for (named, word) in [
            ("2.7.0", None),
            ("2.10.2", None),
            ("3.3.6-cloudera-1", None),
            ("3.4.1", None),
            ("2.6.5", Some("upgrade it")),
            ("3.5.0", Some("newer")),
            ("trunk", Some("not one that this agent knows")),
        ] {
            let found = of_hdfs(Preflight { software_version: named.into(), ..hdfs(None, 1, None) }, None);
            match word {
                None => assert!(found.is_empty(), "{found:?}"),
                Some(word) => assert!(found.len() == 1 && found[0].contains(word), "{named}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_user_who_may_not_read_changes_is_named() {
        let denied = Error::new(ErrorKind::Denied, "follow", "nn:8020", "Access denied for user mover");
        let found = findings(&Facts::Hdfs { user: "mover".into(), found: Err(denied) }, None);
        assert!(
            found.len() == 1 && found[0].contains("'mover'") && found[0].contains("superuser"),
            "{found:?}"
        );
    }

    #[test]
    fn directories_that_need_most_of_the_watches_are_a_finding() {
        let limits = |directories, max_user_watches| {
            let (max_user_instances, max_queued_events) = (Some(128), Some(16_384));
            Facts::Local(Ok(Limits { directories, max_user_watches, max_user_instances, max_queued_events }))
        };
        assert!(findings(&limits(80_000, Some(100_000)), None).is_empty());
        assert!(findings(&limits(80_000, None), None).is_empty());
        let found = findings(&limits(80_001, Some(100_000)), None);
        assert!(found.len() == 1 && found[0].contains("max_user_watches=262144"), "{found:?}");
    }

    #[test]
    fn the_busiest_time_counts() {
        let (mut rate, now) = (Rate::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(rate.update(at(0), 1_000), None);
        assert_eq!(rate.update(at(60), 61_000), Some(1_000));
        assert_eq!(rate.update(at(3_660), 61_000), Some(1_000));
        assert_eq!(rate.update(at(3_720), 181_000), Some(2_000));
    }

    /// Findings come, change and go with what each look shows.
    #[tokio::test(start_paused = true)]
    async fn each_look_replaces_what_the_last_one_found() {
        let newest = Arc::new(std::sync::atomic::AtomicU64::new(1_000_000));
        let now = Arc::clone(&newest);
        let look: Look = Box::new(move || {
            let newest = now.fetch_add(600_000, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async move {
                let found = Ok(hdfs(Some(500_000), newest, None));
                Facts::Hdfs { user: "mover".into(), found }
            })
        });
        let watcher = Watcher::start(look, CancellationToken::new());
        let mut findings = watcher.findings.clone();
        findings.changed().await.unwrap();
        assert!(watcher.findings().is_empty(), "nothing is measured by one look");
        findings.changed().await.unwrap();
        assert!(watcher.findings()[0].contains("10000 a second"), "{:?}", watcher.findings());
    }
}
