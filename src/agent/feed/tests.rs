use livedata_filesystem::{Change, Event, Position, Reading};

use super::EventJournal;

fn touched(position: u64, path: &str) -> Event {
    Event { position: Position(position), change: Change::Touched { path: path.into() } }
}

fn events(events: &[Event], read_to: u64) -> Reading {
    Reading::Events { events: events.to_vec(), read_to: Position(read_to) }
}

fn begun(folder: &std::path::Path, at: u64) -> EventJournal {
    let mut journal = EventJournal::open(folder).unwrap();
    journal.begin(Position(at)).unwrap();
    journal
}

#[test]
fn each_consumer_takes_everything_in_order_and_what_all_have_taken_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 10);
    let renamed =
        Event { position: Position(12), change: Change::Renamed { from: "/a".into(), to: "/ü %#".into() } };
    let times =
        Event { position: Position(13), change: Change::TimesSet { path: "/t".into(), modified_ms: -4 } };
    let unwatched = Event { position: Position(14), change: Change::Unwatched { path: "/u".into() } };
    let all = [touched(11, "/a"), renamed, times, unwatched];
    journal.append(&events(&all, 20), 1_000).unwrap();
    drop(journal);
    let mut journal = EventJournal::open(folder.path()).unwrap();
    assert_eq!(journal.read_to(), Some(Position(20)));
    assert_eq!(journal.read("one", Position(10)).unwrap(), Some(events(&all, 20)));
    assert_eq!(journal.read("two", Position(12)).unwrap(), Some(events(&all[2..], 20)));
    assert_eq!(journal.read("one", Position(20)).unwrap(), None);
    // The other one has not taken them yet.
    assert_eq!(journal.read("two", Position(12)).unwrap(), Some(events(&all[2..], 20)));
    assert_eq!(journal.read("two", Position(20)).unwrap(), None);
    assert!(matches!(
        journal.read("late", Position(12)).unwrap(),
        Some(Reading::Gap { resume_at: Position(20), .. })
    ));
}

#[test]
fn a_gap_stands_between_what_was_before_and_what_came_after() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 10);
    journal.append(&events(&[touched(11, "/before")], 11), 0).unwrap();
    let gap = Reading::Gap { resume_at: Position(50), reason: "purged".into() };
    journal.append(&gap, 0).unwrap();
    journal.append(&events(&[touched(51, "/after")], 52), 0).unwrap();
    assert_eq!(journal.read("one", Position(10)).unwrap(), Some(events(&[touched(11, "/before")], 11)));
    assert_eq!(journal.read("one", Position(11)).unwrap(), Some(gap));
    assert_eq!(journal.read("one", Position(50)).unwrap(), Some(events(&[touched(51, "/after")], 52)));
}

fn gap_at(reading: Option<Reading>) -> Position {
    match reading {
        Some(Reading::Gap { resume_at, .. }) => resume_at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_history_is_a_gap_for_everyone_whatever_its_numbers() {
    for now in [5, 5_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = EventJournal::open(folder.path()).unwrap();
        journal.follow("one", Position(1_000)).unwrap();
        assert_eq!((journal.read_to(), journal.history()), (Some(Position(1_000)), Some("one")));
        let before = [touched(1_001, "/a")];
        journal.append(&events(&before, 1_001), 0).unwrap();
        for consumer in ["ahead", "behind"] {
            assert_eq!(journal.read(consumer, Position(1_000)).unwrap(), Some(events(&before, 1_001)));
        }
        // The source was a little ahead when it was asked.
        assert_eq!(journal.read("ahead", Position(1_003)).unwrap(), None);

        journal.follow("other", Position(now)).unwrap();
        let here = journal.of_source(Position(now));
        assert_eq!(journal.read_to(), Some(here));
        assert!(here > Position(1_003));
        journal.append(&events(&[touched(now + 1, "/b")], now + 1), 0).unwrap();
        drop(journal);
        let mut journal = EventJournal::open(folder.path()).unwrap();
        assert_eq!(journal.history(), Some("other"));
        assert_eq!(journal.at_source(journal.read_to().unwrap()), Position(now + 1));
        for (consumer, after) in [("ahead", 1_003), ("behind", 1_001)] {
            assert_eq!(gap_at(journal.read(consumer, Position(after)).unwrap()), here);
            let then = Some(events(&[touched(here.0 + 1, "/b")], here.0 + 1));
            assert_eq!(journal.read(consumer, here).unwrap(), then);
        }
    }
}

#[test]
fn a_log_that_became_shorter_is_a_gap_for_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 1_000);
    assert_eq!(journal.read("one", Position(1_000)).unwrap(), None);
    let gap = Reading::Gap { resume_at: Position(20), reason: "shorter".into() };
    journal.append(&gap, 0).unwrap();
    let here = journal.of_source(Position(20));
    assert_eq!(gap_at(journal.read("one", Position(1_000)).unwrap()), here);
    journal.append(&events(&[touched(21, "/a")], 21), 0).unwrap();
    let then = Some(events(&[touched(here.0 + 1, "/a")], here.0 + 1));
    assert_eq!(journal.read("one", here).unwrap(), then);
}

#[test]
fn a_journal_of_before_histories_had_names_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    begun(folder.path(), 10).append(&events(&[touched(11, "/a")], 11), 0).unwrap();
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "ALTER TABLE feed DROP COLUMN history; ALTER TABLE feed DROP COLUMN distance; PRAGMA user_version = 1",
    )
    .unwrap();
    drop(old);
    let mut journal = EventJournal::open(folder.path()).unwrap();
    journal.follow("one", Position(12)).unwrap();
    assert_eq!(journal.history(), Some("one"));
    assert_eq!(journal.read("one", Position(10)).unwrap(), Some(events(&[touched(11, "/a")], 11)));
}

/// A source whose history is told by a number that a test may change, at the position 10 of it.
struct Source(std::sync::Arc<std::sync::Mutex<u64>>, u64);

#[async_trait::async_trait]
impl livedata_filesystem::ChangeFeed for Source {
    async fn position(&self) -> livedata_filesystem::Result<Position> {
        Ok(Position(10))
    }

    async fn history(&self) -> livedata_filesystem::Result<Option<String>> {
        Ok(Some(self.1.to_string()))
    }

    async fn read(&self, after: Position) -> livedata_filesystem::Result<Reading> {
        assert_eq!(after, Position(10), "positions of the source are asked for");
        if *self.0.lock().unwrap() == self.1 {
            return Ok(events(&[], 10));
        }
        let kind = livedata_filesystem::ErrorKind::Fatal;
        Err(livedata_filesystem::Error::new(kind, "follow", "it", "it is another one"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_became_another_is_opened_anew_and_positions_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::sync::Arc::new(std::sync::Mutex::new(1));
    let source = now.clone();
    let open: super::Open = Box::new(move || {
        let history = *source.lock().unwrap();
        let feed = std::sync::Arc::new(Source(source.clone(), history));
        Box::pin(async move { Ok(feed as std::sync::Arc<dyn livedata_filesystem::ChangeFeed>) })
    });
    let feed = super::Feed::start(open, folder.path(), tokio_util::sync::CancellationToken::new()).unwrap();
    let mut status = feed.status.clone();
    status.wait_for(|status| status.read_to.is_some()).await.unwrap();
    let first = feed.position().await.unwrap();
    assert_eq!(first, Position(10));

    *now.lock().unwrap() = 2;
    let Reading::Gap { resume_at, .. } = feed.after("one", first).await.unwrap() else { panic!() };
    assert!(resume_at > first);
    assert_eq!(feed.position().await.unwrap(), resume_at);
}

#[test]
fn events_of_one_position_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 0);
    let small: Vec<Event> = (0..999).map(|_| touched(1, "/small")).collect();
    let large: Vec<Event> = (0..2_500).map(|_| touched(2, "/large")).collect();
    journal.append(&events(&[small.clone(), large.clone()].concat(), 3), 0).unwrap();
    assert_eq!(journal.read("one", Position(0)).unwrap(), Some(events(&small, 1)));
    assert_eq!(journal.read("one", Position(1)).unwrap(), Some(events(&large, 2)));
    assert_eq!(journal.read("one", Position(2)).unwrap(), Some(events(&[], 3)));
}

#[test]
fn the_age_of_what_waits_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 10);
    journal.append(&events(&[touched(11, "/a"), touched(12, "/b")], 12), 1_000).unwrap();
    journal.append(&events(&[touched(13, "/c")], 15), 2_000).unwrap();
    for (position, ms) in [(10, Some(1_000)), (11, Some(1_000)), (12, Some(2_000)), (13, None)] {
        assert_eq!(journal.first_after_ms(Position(position)).unwrap(), ms);
    }
}

#[test]
fn a_broken_journal_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.db"), vec![7; 8_192]).unwrap();
    let error = EventJournal::open(folder.path()).err().unwrap();
    let said = super::journal::told(&error, folder.path());
    for part in ["events.db", "is damaged", "not a database", "Move it away", "copies nothing that is equal"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn nothing_is_kept_for_who_is_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = begun(folder.path(), 10);
    journal.append(&events(&[touched(11, "/a"), touched(12, "/b")], 12), 0).unwrap();
    assert!(journal.read("removed", Position(10)).unwrap().is_some());
    assert!(journal.read("stays", Position(11)).unwrap().is_some());
    assert_eq!(journal.read("stays", Position(12)).unwrap(), None);
    assert_eq!(journal.read("removed", Position(10)).unwrap().map(|_| ()), Some(()), "it still needs them");
    journal.keep_only(&["stays".to_owned()].into()).unwrap();
    assert!(gap_at(journal.read("removed", Position(10)).unwrap()) >= Position(12), "they are gone");
    assert_eq!(journal.read("stays", Position(12)).unwrap(), None);
}
