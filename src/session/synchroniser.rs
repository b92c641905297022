//! Which items the agent lacks: the provider's side of desired state, without socket or clock.
//!
//! Invariants: at most one delta is under way; an item that the agent holds in the same generation is never sent; an item
//! that the agent holds in a higher generation is never sent but told to the handler as stale; an item that is not
//! desired is removed, unless it is withheld. Nothing is remembered beyond the session: the next one starts from the agent's own list.

use std::collections::{BTreeMap, HashMap};

use livedata_model::cbor;
use livedata_model::message::{Known, MAX_MESSAGE_BYTES, Sync, SyncAck};
use livedata_model::spec::Item;

use crate::Error;

/// A delta ends after this many bytes of items; one item alone may be longer.
const DELTA_BYTES: usize = MAX_MESSAGE_BYTES / 4;

/// What the handler should hear about an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// The agent has this generation, which is the desired one, on its disk.
    Acknowledged { id: String, generation: u64 },
    /// The agent has a generation that is higher than the desired one.
    Stale { id: String, agent_generation: u64 },
}

pub(crate) struct Synchroniser {
    /// What the agent has on its disk.
    known: BTreeMap<String, u64>,
    /// (desired, the agent's) generations that the handler has heard of.
    told: BTreeMap<String, (u64, u64)>,
    under_way: Option<Delta>,
    revision: u64,
}

struct Delta {
    upserts: Vec<Known>,
    removals: Vec<String>,
}

impl Synchroniser {
    pub(crate) fn new(known: Vec<Known>) -> Self {
        let known = known.into_iter().map(|known| (known.id, known.generation)).collect();
        Self { known, told: BTreeMap::new(), under_way: None, revision: 0 }
    }

    /// The next delta; `None` while one is under way or when nothing is missing.
    pub(crate) fn next(&mut self, desired: &[Item], withheld: &[String]) -> Option<Sync> {
        if self.under_way.is_some() {
            return None;
        }
        let wanted: HashMap<&str, u64> =
            desired.iter().map(|item| (item.id.as_str(), item.generation)).collect();
        let mut bytes = 0;
        let mut fits = |length: usize| {
            let first = bytes == 0;
            bytes += length;
            first || bytes <= DELTA_BYTES
        };
        let unwanted =
            self.known.keys().filter(|id| !wanted.contains_key(id.as_str()) && !withheld.contains(id));
        let removals: Vec<String> = unwanted.take_while(|id| fits(id.len() + 8)).cloned().collect();
        let missing = desired
            .iter()
            .filter(|item| self.known.get(&item.id).is_none_or(|known| *known < item.generation));
        let upserts: Vec<Item> =
            missing.take_while(|item| fits(cbor::encode(*item).len())).cloned().collect();
        if removals.is_empty() && upserts.is_empty() {
            return None;
        }
        self.revision += 1;
        let sent = |item: &Item| Known { id: item.id.clone(), generation: item.generation };
        self.under_way =
            Some(Delta { upserts: upserts.iter().map(sent).collect(), removals: removals.clone() });
        Some(Sync { revision: self.revision, upserts, removals })
    }

    /// Whether the agent has everything that [`Synchroniser::next`] was asked for last.
    pub(crate) fn is_settled(&self) -> bool {
        self.under_way.is_none()
    }

    /// The agent has the delta on its disk, except what it refused as stale.
    pub(crate) fn acknowledged(&mut self, ack: SyncAck) -> Result<(), Error> {
        let Some(delta) = self.under_way.take_if(|_| ack.revision == self.revision) else {
            return Err(Error::Unexpected {
                expected: "an acknowledgement of the delta under way",
                received: "one of another revision",
            });
        };
        for id in &delta.removals {
            self.known.remove(id);
            self.told.remove(id);
        }
        self.known.extend(delta.upserts.into_iter().map(|sent| (sent.id, sent.generation)));
        self.known.extend(ack.stale.into_iter().map(|stale| (stale.id, stale.generation)));
        Ok(())
    }

    /// What has become known since the last call. Ask after each change of either side.
    pub(crate) fn news(&mut self, desired: &[Item]) -> Vec<News> {
        let mut news = Vec::new();
        for item in desired {
            let Some(&agent_generation) = self.known.get(&item.id) else { continue };
            if agent_generation < item.generation {
                continue;
            }
            let pair = (item.generation, agent_generation);
            if self.told.insert(item.id.clone(), pair) == Some(pair) {
                continue;
            }
            let id = item.id.clone();
            news.push(if agent_generation == item.generation {
                News::Acknowledged { id, generation: agent_generation }
            } else {
                News::Stale { id, agent_generation }
            });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::spec::{Body, MigratorSpec, SourceKind};

    use super::*;

    fn item(id: &str, generation: u64) -> Item {
        sized(id, generation, 1)
    }

    fn sized(id: &str, generation: u64, bytes: usize) -> Item {
        let spec = MigratorSpec::new("g", SourceKind::Hdfs, "x".repeat(bytes));
        Item { id: id.into(), generation, body: Body::Migrator(spec), trace: None }
    }

    fn known(id: &str, generation: u64) -> Known {
        Known { id: id.into(), generation }
    }

    fn ids(sync: &Sync) -> Vec<&str> {
        sync.upserts.iter().map(|item| item.id.as_str()).collect()
    }

    fn ack(revision: u64) -> SyncAck {
        SyncAck { revision, stale: vec![] }
    }

    #[test]
    fn only_what_is_missing_is_sent() {
        let mut synchroniser = Synchroniser::new(vec![known("a", 1), known("b", 1), known("gone", 4)]);
        let sync = synchroniser.next(&[item("a", 1), item("b", 2), item("c", 1)], &[]).unwrap();
        assert_eq!((ids(&sync), sync.removals.as_slice()), (vec!["b", "c"], ["gone".to_owned()].as_slice()));
    }

    #[test]
    fn nothing_is_sent_when_the_agent_is_current() {
        let mut synchroniser = Synchroniser::new(vec![known("a", 1)]);
        assert_eq!(synchroniser.next(&[item("a", 1)], &[]), None);
        let told = News::Acknowledged { id: "a".into(), generation: 1 };
        assert_eq!(synchroniser.news(&[item("a", 1)]), [told]);
        assert_eq!(synchroniser.news(&[item("a", 1)]), []);
    }

    #[test]
    fn a_change_during_a_delta_goes_into_the_next_one() {
        let mut synchroniser = Synchroniser::new(vec![]);
        assert_eq!(synchroniser.next(&[item("a", 1)], &[]).unwrap().revision, 1);
        assert_eq!(synchroniser.next(&[item("a", 2)], &[]), None);
        assert!(synchroniser.acknowledged(ack(2)).is_err());
        synchroniser.acknowledged(ack(1)).unwrap();
        assert_eq!(synchroniser.news(&[item("a", 2)]), []);
        let sync = synchroniser.next(&[item("a", 2)], &[]).unwrap();
        assert_eq!((sync.revision, sync.upserts[0].generation), (2, 2));
        synchroniser.acknowledged(ack(2)).unwrap();
        assert_eq!(synchroniser.next(&[], &[]).unwrap().removals, ["a"]);
    }

    #[test]
    fn an_item_may_be_removed_and_come_back() {
        let mut synchroniser = Synchroniser::new(vec![known("a", 3)]);
        synchroniser.news(&[item("a", 3)]);
        synchroniser.next(&[], &[]).unwrap();
        synchroniser.acknowledged(ack(1)).unwrap();
        assert_eq!(ids(&synchroniser.next(&[item("a", 3)], &[]).unwrap()), ["a"]);
        synchroniser.acknowledged(ack(2)).unwrap();
        assert_eq!(synchroniser.news(&[item("a", 3)]).len(), 1);
    }

    #[test]
    fn what_the_agent_has_newer_is_told_and_not_sent() {
        let stale = |id: &str, agent_generation| News::Stale { id: id.into(), agent_generation };
        let desired = [item("a", 2), item("b", 2)];
        let mut synchroniser = Synchroniser::new(vec![known("a", 9)]);
        assert_eq!(synchroniser.news(&desired), [stale("a", 9)]);
        assert_eq!(ids(&synchroniser.next(&desired, &[]).unwrap()), ["b"]);
        synchroniser.acknowledged(SyncAck { revision: 1, stale: vec![known("b", 5)] }).unwrap();
        assert_eq!(synchroniser.news(&desired), [stale("b", 5)]);
        assert_eq!(synchroniser.next(&desired, &[]), None);
        assert_eq!(ids(&synchroniser.next(&[item("a", 10), item("b", 2)], &[]).unwrap()), ["a"]);
    }

    #[test]
    fn what_is_withheld_is_neither_sent_nor_removed() {
        let mut synchroniser = Synchroniser::new(vec![known("a", 1), known("b", 1)]);
        let withheld = ["a".to_owned(), "c".to_owned()];
        assert_eq!(synchroniser.next(&[item("b", 1)], &withheld), None);
        let sync = synchroniser.next(&[], &withheld).unwrap();
        assert_eq!((ids(&sync), sync.removals.as_slice()), (vec![], ["b".to_owned()].as_slice()));
        synchroniser.acknowledged(ack(1)).unwrap();
        assert_eq!(ids(&synchroniser.next(&[item("a", 2)], &[]).unwrap()), ["a"]);
    }

    #[test]
    fn much_is_cut_into_deltas_that_fit() {
        let desired: Vec<_> = (0..10).map(|n| sized(&format!("i{n}"), 1, DELTA_BYTES / 3)).collect();
        let mut synchroniser = Synchroniser::new(vec![known("old", 1)]);
        let mut sent = Vec::new();
        while let Some(sync) = synchroniser.next(&desired, &[]) {
            assert!(cbor::encode(&sync).len() < MAX_MESSAGE_BYTES);
            sent.extend(sync.upserts.iter().map(|item| item.id.clone()));
            synchroniser.acknowledged(ack(sync.revision)).unwrap();
        }
        assert_eq!(sent, desired.iter().map(|item| item.id.clone()).collect::<Vec<_>>());
        let huge = [sized("huge", 1, DELTA_BYTES * 2)];
        assert_eq!(Synchroniser::new(vec![]).next(&huge, &[]).unwrap().upserts.len(), 1);
    }
}
