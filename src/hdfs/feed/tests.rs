//! The feed against a NameNode of a few lines that keeps an edit log and answers about it as Hadoop's does.

mod recorded;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use livedata_filesystem::{Change, Event};
use prost::Message;

use super::*;
use crate::proto::{
    CreateEvent, EVENT_APPEND, EVENT_CLOSE, EVENT_CREATE, EVENT_METADATA, EVENT_RENAME, EVENT_TRUNCATE,
    EVENT_UNLINK, EventBatch, GetCurrentEditLogTxidResponse, GetEditsFromTxidRequest,
    GetEditsFromTxidResponse, METADATA_TIMES, MetadataEvent, NamespaceInfo, PathEvent, RenameEvent,
    StorageInfo, VersionResponse,
};
use crate::retry::RetryBudget;
use crate::rpc::fake::{FakeNameNode, Reply};

const ACCESS_CONTROL: &str = "org.apache.hadoop.security.AccessControlException";

/// Transactions by id, from the first that was not purged. One without events is of a kind that makes none.
#[derive(Clone, Default)]
struct Log {
    transactions: BTreeMap<i64, Vec<crate::proto::Event>>,
    /// -1: not open for writing.
    written: i64,
    durable: i64,
    /// Changes when the namespace is formatted.
    block_pool: u32,
    /// Closed, as between active and standby: nothing can be read.
    closed: bool,
}

impl Log {
    fn of(transactions: impl IntoIterator<Item = (i64, Vec<crate::proto::Event>)>) -> Self {
        let transactions: BTreeMap<_, _> = transactions.into_iter().collect();
        let last = transactions.keys().next_back().copied().unwrap_or_default();
        Self { transactions, written: last, durable: last, ..Self::default() }
    }

    fn read(&self, from: i64) -> EventsList {
        const MOST_EVENTS: usize = 4;
        let mut list =
            EventsList { first_txid: -1, last_txid: -1, sync_txid: self.durable, ..EventsList::default() };
        if self.closed || from > self.durable {
            return list;
        }
        let mut count = 0;
        for (&txid, events) in self.transactions.range(from..=self.durable) {
            if !events.is_empty() {
                list.batches.push(EventBatch { txid, events: events.clone() });
            }
            count += events.len();
            list.first_txid = if list.first_txid == -1 { txid } else { list.first_txid };
            list.last_txid = txid;
            if count >= MOST_EVENTS {
                break;
            }
        }
        list
    }

    fn answer(&self, method: &str, request: Bytes) -> Reply {
        match method {
            "getCurrentEditLogTxid" => Reply::with(&GetCurrentEditLogTxidResponse { txid: self.written }),
            "getEditsFromTxid" => {
                let from = GetEditsFromTxidRequest::decode(request).unwrap().txid;
                Reply::with(&GetEditsFromTxidResponse { list: self.read(from) })
            }
            "versionRequest" => Reply::with(&VersionResponse {
                info: NamespaceInfo {
                    block_pool_id: format!("BP-{}", self.block_pool + 1),
                    storage: StorageInfo { cluster_id: "CID-1".into() },
                    software_version: "2.7.7".into(),
                },
            }),
            other => panic!("{other}"),
        }
    }
}

type Shared = Arc<Mutex<Log>>;

async fn serve(log: Log) -> (FakeNameNode, HdfsFeed, Shared) {
    let log = Arc::new(Mutex::new(log));
    let shared = log.clone();
    let server =
        FakeNameNode::start(move |method, request| log.lock().unwrap().answer(method, request)).await;
    let feed = feed(&server.address);
    (server, feed, shared)
}

fn feed(address: &str) -> HdfsFeed {
    let budget = RetryBudget {
        tries: 3,
        elapsed: Duration::from_secs(30),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    };
    HdfsFeed::new(NameNode::new(address.to_owned(), "hdfs".into(), budget))
}

fn event(event_type: i32, contents: &impl Message) -> crate::proto::Event {
    crate::proto::Event { event_type, contents: contents.encode_to_vec() }
}

fn about(event_type: i32, path: &str) -> crate::proto::Event {
    event(event_type, &PathEvent { path: path.into() })
}

fn create(path: &str) -> crate::proto::Event {
    event(EVENT_CREATE, &CreateEvent { path: path.into() })
}

fn rename(source: &str, destination: &str) -> crate::proto::Event {
    event(EVENT_RENAME, &RenameEvent { source: source.into(), destination: destination.into() })
}

fn metadata(path: &str, update_type: i32, modification_time: Option<i64>) -> crate::proto::Event {
    event(EVENT_METADATA, &MetadataEvent { path: path.into(), update_type, modification_time })
}

fn touched(at: u64, path: &str) -> Event {
    Event { position: Position(at), change: Change::Touched { path: path.into() } }
}

/// Everything after a position, over as many reads as it takes.
async fn follow(feed: &HdfsFeed, mut after: Position) -> (Vec<Event>, Position) {
    let mut all = Vec::new();
    loop {
        match feed.read(after).await.unwrap() {
            Reading::Events { events, read_to } if read_to > after => {
                all.extend(events);
                after = read_to;
            }
            Reading::Events { events, read_to } => {
                assert_eq!((events, read_to), (Vec::new(), after));
                return (all, after);
            }
            gap @ Reading::Gap { .. } => panic!("{gap:?}"),
        }
    }
}

fn nothing(after: u64) -> Reading {
    Reading::Events { events: Vec::new(), read_to: Position(after) }
}

fn resume_at(reading: Reading, because: &str) -> Position {
    match reading {
        Reading::Gap { resume_at, reason } if reason.contains(because) => resume_at,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_event_becomes_a_change() {
    let log = Log::of([
        (1, Vec::new()),
        (2, vec![create("/a/größe 100%")]),
        (3, vec![about(EVENT_CLOSE, "/a/größe 100%")]),
        (4, vec![about(EVENT_APPEND, "/b")]),
        (5, vec![about(EVENT_TRUNCATE, "/c")]),
        (6, vec![about(EVENT_UNLINK, "/d")]),
        (7, vec![rename("/e", "/f/g")]),
        (8, vec![rename("/e", "/e")]),
        (9, vec![metadata("/h", METADATA_TIMES, Some(1_600_000_000_123))]),
        (10, vec![metadata("/h", METADATA_TIMES, Some(0))]),
        (11, vec![metadata("/h", METADATA_TIMES, Some(-1))]),
        (12, vec![metadata("/i", METADATA_TIMES, None)]),
    ]);
    let (_server, feed, _) = serve(log).await;
    let (events, read_to) = follow(&feed, Position(0)).await;
    let expected = [
        touched(2, "/a/größe 100%"),
        touched(3, "/a/größe 100%"),
        touched(4, "/b"),
        touched(5, "/c"),
        touched(6, "/d"),
        Event { position: Position(7), change: Change::Renamed { from: "/e".into(), to: "/f/g".into() } },
        touched(8, "/e"),
        Event {
            position: Position(9),
            change: Change::TimesSet { path: "/h".into(), modified_ms: 1_600_000_000_123 },
        },
        Event { position: Position(10), change: Change::TimesSet { path: "/h".into(), modified_ms: 0 } },
        touched(12, "/i"),
    ];
    assert_eq!(events, expected);
    assert_eq!(read_to, Position(12));
}

#[tokio::test]
async fn every_kind_of_metadata_but_times_touches() {
    // 6 is of no Hadoop yet. The server fills in times that were not set.
    let (_server, feed, _) =
        serve(Log::of((1..=6).map(|kind| (i64::from(kind), vec![metadata("/a", kind, Some(-1))])))).await;
    let (events, _) = follow(&feed, Position(0)).await;
    assert_eq!(events, (1..=6).map(|at| touched(at, "/a")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_concatenation_shares_one_position_and_one_answer() {
    let concat = vec![
        about(EVENT_APPEND, "/all"),
        about(EVENT_UNLINK, "/1"),
        about(EVENT_UNLINK, "/2"),
        about(EVENT_UNLINK, "/3"),
        about(EVENT_UNLINK, "/4"),
        about(EVENT_CLOSE, "/all"),
    ];
    let (_server, feed, _) =
        serve(Log::of([(1, vec![create("/x")]), (2, concat), (3, vec![create("/y")])])).await;
    let Reading::Events { events, read_to } = feed.read(Position(0)).await.unwrap() else { panic!() };
    let paths = ["/all", "/1", "/2", "/3", "/4", "/all"];
    let expected: Vec<_> = [touched(1, "/x")].into_iter().chain(paths.map(|path| touched(2, path))).collect();
    assert_eq!((events, read_to), (expected, Position(2)));
}

#[tokio::test]
async fn an_unknown_event_leaves_nothing_unwatched() {
    let unknown = crate::proto::Event { event_type: 7, contents: b"whatever".to_vec() };
    let (_server, feed, _) = serve(Log::of([(1, vec![create("/a")]), (2, vec![unknown])])).await;
    let (events, read_to) = follow(&feed, Position(0)).await;
    let unwatched = Event { position: Position(2), change: Change::Unwatched { path: "/".into() } };
    assert_eq!((events, read_to), (vec![touched(1, "/a"), unwatched], Position(2)));
}

#[tokio::test]
async fn broken_events_are_an_error_and_not_left_out() {
    let broken = [
        crate::proto::Event { event_type: EVENT_CLOSE, contents: b"\xff".to_vec() },
        crate::proto::Event { event_type: EVENT_CLOSE, contents: Vec::new() },
        about(EVENT_UNLINK, "relative"),
        rename("/a", ""),
    ];
    for event in broken {
        let (_server, feed, _) = serve(Log::of([(1, vec![event])])).await;
        assert_eq!(feed.read(Position(0)).await.unwrap_err().kind(), ErrorKind::Fatal);
    }
    let mut list = Log::of([(1, Vec::new())]).read(1);
    list.events_without_txid = vec![create("/a")];
    let server =
        FakeNameNode::start(move |_, _| Reply::with(&GetEditsFromTxidResponse { list: list.clone() })).await;
    let error = feed(&server.address).read(Position(0)).await.unwrap_err();
    assert!(error.to_string().contains("2.7"), "{error}");
}

#[tokio::test]
async fn positions_advance_without_events() {
    let (_server, feed, log) = serve(Log::of((1..=9).map(|txid| (txid, Vec::new())))).await;
    assert_eq!(feed.read(Position(4)).await.unwrap(), nothing(9));
    assert_eq!(feed.read(Position(9)).await.unwrap(), nothing(9));
    *log.lock().unwrap() = Log::of((1..=9).map(|txid| (txid, Vec::new())).chain([(10, vec![create("/a")])]));
    assert_eq!(follow(&feed, Position(9)).await, (vec![touched(10, "/a")], Position(10)));
}

#[tokio::test]
async fn purged_transactions_are_a_gap_that_ends_now() {
    let (_server, feed, _) = serve(Log::of((50..=60).map(|txid| (txid, vec![create("/a")])))).await;
    for after in [0, 48] {
        let reading = feed.read(Position(after)).await.unwrap();
        assert_eq!(resume_at(reading, "purged its edit log"), Position(60));
    }
    assert_eq!(follow(&feed, Position(49)).await.0.len(), 11);
}

#[tokio::test]
async fn a_log_that_ends_before_the_position_is_a_gap() {
    let (_server, feed, _) = serve(Log::of((1..=5).map(|txid| (txid, vec![create("/a")])))).await;
    for after in [6, 1_000_000, u64::MAX] {
        let reading = feed.read(Position(after)).await.unwrap();
        assert_eq!(resume_at(reading, "ends at transaction 5"), Position(5));
    }
    assert_eq!(feed.read(Position(5)).await.unwrap(), nothing(5));
}

#[tokio::test]
async fn a_position_beyond_what_is_durable_is_no_gap_as_long_as_it_was_written() {
    let mut log = Log::of([(1, vec![create("/a")]), (2, vec![create("/b")])]);
    log.durable = 1;
    let (_server, feed, log) = serve(log).await;
    assert_eq!(feed.read(Position(2)).await.unwrap(), nothing(2));
    assert_eq!(
        feed.read(Position(0)).await.unwrap(),
        Reading::Events { events: vec![touched(1, "/a")], read_to: Position(1) }
    );
    log.lock().unwrap().durable = 2;
    assert_eq!(follow(&feed, Position(1)).await, (vec![touched(2, "/b")], Position(2)));
}

#[tokio::test]
async fn a_position_is_given_out_once_it_is_durable() {
    let mut log = Log::of((1..=3).map(|txid| (txid, Vec::new())));
    log.durable = 1;
    // Each answer about edits finds one transaction more synced.
    let server = FakeNameNode::start(move |method, request| {
        let reply = log.answer(method, request);
        if method == "getEditsFromTxid" {
            log.durable += 1;
        }
        reply
    })
    .await;
    assert_eq!(feed(&server.address).position().await.unwrap(), Position(3));
    let looks = server.take_calls();
    assert_eq!(looks, ["getCurrentEditLogTxid", "getEditsFromTxid", "getEditsFromTxid", "getEditsFromTxid"]);
}

#[tokio::test]
async fn a_position_that_nobody_syncs_is_given_out_in_the_end() {
    let mut log = Log::of([(1, Vec::new()), (2, Vec::new())]);
    log.durable = 1;
    let (server, feed, _) = serve(log).await;
    assert_eq!(feed.position().await.unwrap(), Position(2));
    assert_eq!(server.take_calls().len(), 1 + DURABLE_LOOKS as usize);
}

#[tokio::test]
async fn a_namenode_between_active_and_standby_is_asked_again() {
    let (_server, feed, log) = serve(Log::of((1..=5).map(|txid| (txid, vec![create("/a")])))).await;
    log.lock().unwrap().written = -1;
    log.lock().unwrap().closed = true;
    assert_eq!(feed.read(Position(3)).await.unwrap(), nothing(3));
    assert_eq!(feed.read(Position(9)).await.unwrap(), nothing(9));
    assert!(feed.position().await.unwrap_err().kind().is_retryable());
    // Active, and nothing synced by it yet.
    *log.lock().unwrap() = Log { written: 5, ..Log::default() };
    assert_eq!(feed.read(Position(5)).await.unwrap(), nothing(5));
    assert_eq!(feed.read(Position(9)).await.unwrap(), nothing(9));
    // A gap that cannot say yet where to go on comes later.
    *log.lock().unwrap() = Log { written: -1, ..Log::of([(7, vec![create("/b")])]) };
    assert!(feed.read(Position(5)).await.unwrap_err().kind().is_retryable());
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    let (server, feed, log) = serve(Log::of([(1, vec![create("/a")])])).await;
    assert_eq!(follow(&feed, Position(0)).await, (vec![touched(1, "/a")], Position(1)));
    let address = server.stop().await;
    let error = feed.read(Position(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("3 tries"), "{error}");
    let log = Log::of([
        (1, log.lock().unwrap().transactions[&1].clone()),
        (2, Vec::new()),
        (3, vec![create("/b")]),
    ]);
    let _server = FakeNameNode::start_at(&address, move |method, request| log.answer(method, request)).await;
    assert_eq!(follow(&feed, Position(1)).await, (vec![touched(3, "/b")], Position(3)));
}

#[tokio::test]
async fn another_namespace_at_the_same_address_is_another_history() {
    let (server, feed, log) = serve(Log::of([(1, vec![create("/a")])])).await;
    assert_eq!(feed.history().await.unwrap().as_deref(), Some("CID-1 BP-1"));
    assert_eq!(follow(&feed, Position(0)).await.1, Position(1));
    server.take_calls();
    feed.position().await.unwrap();
    assert!(!server.take_calls().contains(&"versionRequest".into()), "one connection is asked once");

    // The same one again.
    let address = server.stop().await;
    let same = log.lock().unwrap().clone();
    let server = FakeNameNode::start_at(&address, move |method, request| same.answer(method, request)).await;
    assert_eq!(feed.read(Position(1)).await.unwrap(), nothing(1));
    let address = server.stop().await;

    // Another one, whose log is longer.
    let mut other = Log::of((1..=9).map(|txid| (txid, vec![create("/b")])));
    other.block_pool = 1;
    let _server =
        FakeNameNode::start_at(&address, move |method, request| other.answer(method, request)).await;
    for error in [feed.read(Position(1)).await.unwrap_err(), feed.position().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Fatal);
        assert!(error.message().contains("this is CID-1 BP-2 and was CID-1 BP-1"), "{error}");
    }
    let opened_anew = self::feed(&address);
    assert_eq!(opened_anew.history().await.unwrap().as_deref(), Some("CID-1 BP-2"));
}

#[tokio::test]
async fn a_standby_is_asked_until_it_is_active() {
    let log = Log::of([(1, vec![create("/a")])]);
    let standby = Arc::new(Mutex::new(true));
    let shared = standby.clone();
    let server = FakeNameNode::start(move |method, request| match *shared.lock().unwrap() {
        true => Reply::Exception {
            class: "org.apache.hadoop.ipc.StandbyException",
            message: "Operation category READ is not supported in state standby",
        },
        false => log.answer(method, request),
    })
    .await;
    let feed = feed(&server.address);
    for error in [feed.read(Position(0)).await.unwrap_err(), feed.position().await.unwrap_err()] {
        assert!(error.kind().is_retryable());
        assert!(error.message().contains("the active NameNode alone"), "{error}");
    }
    *standby.lock().unwrap() = false;
    assert_eq!(follow(&feed, Position(0)).await, (vec![touched(1, "/a")], Position(1)));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let cases = [
        (
            ACCESS_CONTROL,
            "Access denied for user hdfs. Superuser privilege is required",
            ErrorKind::Denied,
            "superusergroup",
        ),
        (
            "org.apache.hadoop.ipc.StandbyException",
            "Operation category READ is not supported in state standby",
            ErrorKind::Unreachable,
            "standby",
        ),
        (
            "org.apache.hadoop.ipc.RetriableException",
            "NameNode still not started",
            ErrorKind::Unreachable,
            "3 tries",
        ),
        ("java.lang.NullPointerException", "", ErrorKind::Fatal, "router"),
        ("org.apache.hadoop.ipc.RpcNoSuchMethodException", "Unknown method", ErrorKind::Fatal, "2.7"),
        (
            "java.io.IOException",
            "Timed out waiting 20000ms for a quorum of nodes",
            ErrorKind::Unreachable,
            "quorum",
        ),
    ];
    for (class, message, kind, says) in cases {
        let server = FakeNameNode::start(move |_, _| Reply::Exception { class, message }).await;
        let feed = feed(&server.address);
        for error in [feed.read(Position(1)).await.unwrap_err(), feed.position().await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[tokio::test]
async fn preflight_tells_how_far_back_the_log_goes() {
    let (_server, feed, log) = serve(Log::of((50..=60).map(|txid| (txid, Vec::new())))).await;
    let expected = Preflight {
        software_version: "2.7.7".into(),
        cluster_id: "CID-1".into(),
        block_pool_id: "BP-1".into(),
        oldest: Some(Position(49)),
        newest: Position(60),
        events_per_read: None,
    };
    assert_eq!(feed.preflight().await.unwrap(), expected);
    assert!(matches!(feed.read(Position(49)).await.unwrap(), Reading::Events { .. }));
    assert!(matches!(feed.read(Position(48)).await.unwrap(), Reading::Gap { .. }));
    log.lock().unwrap().closed = true;
    assert_eq!(feed.preflight().await.unwrap(), Preflight { oldest: None, ..expected });
    *log.lock().unwrap() = Log::of((1..=5).map(|txid| (txid, vec![create("/a")])));
    assert_eq!(feed.preflight().await.unwrap().events_per_read, Some(4));
}
