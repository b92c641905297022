//! Tells the provider which paths migrations have given up: each list as a whole, in parts well below the limit of a message.
//!
//! A list that grows all the time is told again at most every second, and if it is a long one every ten seconds.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use livedata_model::cbor;
use livedata_model::message::FailedPathsPart;
use livedata_model::report::{FailedPath, FailedPaths, MOST_FAILED_PATHS};
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};

const PART_BYTES: usize = 256 * 1024;
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const LONG_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What the provider has been told in one session.
#[derive(Default)]
pub struct Teller {
    /// By migration: the list that was told last.
    told: HashMap<String, Told>,
    /// What is left of the list that is being told.
    parts: VecDeque<FailedPathsPart>,
}

struct Told {
    incarnation: String,
    revision: u64,
    /// No other list of this life before.
    not_before: Instant,
}

impl Teller {
    /// The next part, when there is one. To be called when the provider has the one before; may be dropped and called again
    /// without losing anything.
    pub async fn next(&mut self, mut lists: watch::Receiver<Arc<Vec<FailedPaths>>>) -> FailedPathsPart {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return part;
            }
            let now = lists.borrow_and_update().clone();
            match self.choose(&now, Instant::now()) {
                Choice::Tell => {}
                Choice::WaitUntil(then) => tokio::select! {
                    () = sleep_until(then) => {}
                    () = changed(&mut lists) => {}
                },
                Choice::Nothing => changed(&mut lists).await,
            }
        }
    }

    fn choose(&mut self, lists: &[FailedPaths], now: Instant) -> Choice {
        let there: BTreeSet<&str> = lists.iter().map(|list| list.migration.as_str()).collect();
        self.told.retain(|migration, _| there.contains(migration.as_str()));
        let mut earliest: Option<Instant> = None;
        for list in lists {
            let due = match self.told.get(&list.migration).filter(|told| told.incarnation == list.incarnation)
            {
                Some(told) if told.revision == list.revision => continue,
                Some(told) => told.not_before,
                None => now,
            };
            if due <= now {
                self.parts = parts(list).into();
                let pause = if self.parts.len() == 1 { AGAIN_AFTER } else { LONG_AGAIN_AFTER };
                let (incarnation, revision) = (list.incarnation.clone(), list.revision);
                let told = Told { incarnation, revision, not_before: now + pause };
                self.told.insert(list.migration.clone(), told);
                return Choice::Tell;
            }
            earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
        }
        earliest.map_or(Choice::Nothing, Choice::WaitUntil)
    }
}

enum Choice {
    Tell,
    WaitUntil(Instant),
    Nothing,
}

async fn changed(lists: &mut watch::Receiver<Arc<Vec<FailedPaths>>>) {
    if lists.changed().await.is_err() {
        // The supervisor is gone: the process is about to end.
        std::future::pending::<()>().await;
    }
}

/// At least one, because an empty list is news, too.
fn parts(list: &FailedPaths) -> Vec<FailedPathsPart> {
    let mut pieces: Vec<Vec<FailedPath>> = vec![Vec::new()];
    let mut bytes = 0;
    for entry in list.entries.iter().take(MOST_FAILED_PATHS) {
        let length = cbor::encode(entry).len();
        if bytes > 0 && bytes + length > PART_BYTES {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += length;
        if let Some(piece) = pieces.last_mut() {
            piece.push(entry.clone());
        }
    }
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let part = |(part, entries)| FailedPathsPart {
        sequence: 0,
        migration: list.migration.clone(),
        incarnation: list.incarnation.clone(),
        start: list.start,
        revision: list.revision,
        part,
        parts: count,
        entries,
        truncated: list.truncated || list.entries.len() > MOST_FAILED_PATHS,
    };
    (0..).zip(pieces).map(part).collect()
}

#[cfg(test)]
mod tests {
    use livedata_model::report::FailureKind;

    use super::*;

    fn list(migration: &str, revision: u64, count: usize, path_bytes: usize) -> FailedPaths {
        let entry = |n: usize| FailedPath {
            path: format!("/{n:08}{}", "x".repeat(path_bytes)),
            kind: FailureKind::Denied,
            reason: "permission denied".into(),
            at_ms: 5,
        };
        FailedPaths {
            migration: migration.into(),
            incarnation: "one".into(),
            start: 1,
            revision,
            entries: (0..count).map(entry).collect(),
            truncated: false,
        }
    }

    #[test]
    fn parts_fit_and_together_are_the_whole_list() {
        let whole = list("/m", 3, 2_000, 1_000);
        let parts = parts(&whole);
        assert!(parts.len() > 3);
        assert!(parts.iter().all(|part| cbor::encode(part).len() < 2 * PART_BYTES));
        assert!((0u32..).zip(&parts).all(|(at, part)| part.part == at && part.parts as usize == parts.len()));
        let entries: Vec<_> = parts.into_iter().flat_map(|part| part.entries).collect();
        assert_eq!(entries, whole.entries);
    }

    #[test]
    fn a_list_beyond_the_limit_is_cut_and_says_so() {
        let parts = parts(&list("/m", 1, MOST_FAILED_PATHS + 1, 0));
        assert_eq!(parts.iter().map(|part| part.entries.len()).sum::<usize>(), MOST_FAILED_PATHS);
        assert!(parts.iter().all(|part| part.truncated));
    }

    #[tokio::test(start_paused = true)]
    async fn lists_are_told_when_they_are_others_and_not_all_the_time() {
        let (sender, lists) = watch::channel(Arc::new(vec![list("/a", 1, 0, 0), list("/b", 1, 2, 0)]));
        let mut teller = Teller::default();
        let began = Instant::now();
        let (a, b) = (teller.next(lists.clone()).await, teller.next(lists.clone()).await);
        assert_eq!((a.migration.as_str(), a.parts, a.entries.len()), ("/a", 1, 0));
        assert_eq!((b.migration.as_str(), b.entries.len(), b.truncated), ("/b", 2, false));
        assert_eq!(began.elapsed(), Duration::ZERO);
        // Another list of a migration that was told just now waits; that of a new one does not, nor does it hold it up.
        sender.send_replace(Arc::new(vec![list("/a", 2, 1, 0), list("/b", 1, 2, 0), list("/c", 1, 1, 0)]));
        assert_eq!(teller.next(lists.clone()).await.migration, "/c");
        assert_eq!(began.elapsed(), Duration::ZERO);
        let again = teller.next(lists.clone()).await;
        assert_eq!((again.migration.as_str(), again.revision, began.elapsed()), ("/a", 2, AGAIN_AFTER));
        // A migration that was made anew is told at once under whatever revision.
        let anew = FailedPaths { incarnation: "two".into(), ..list("/a", 2, 0, 0) };
        sender.send_replace(Arc::new(vec![anew]));
        assert_eq!(teller.next(lists.clone()).await.incarnation, "two");
        assert_eq!(began.elapsed(), AGAIN_AFTER);
        // A long one is told less often.
        let long = |revision| FailedPaths { incarnation: "two".into(), ..list("/a", revision, 300, 1_000) };
        sender.send_replace(Arc::new(vec![long(3)]));
        assert_eq!((teller.next(lists.clone()).await.parts, began.elapsed()), (2, 2 * AGAIN_AFTER));
        sender.send_replace(Arc::new(vec![long(4)]));
        assert_eq!(teller.next(lists.clone()).await.revision, 3);
        assert_eq!(teller.next(lists).await.revision, 4);
        assert_eq!(began.elapsed(), 2 * AGAIN_AFTER + LONG_AGAIN_AFTER);
    }
}
