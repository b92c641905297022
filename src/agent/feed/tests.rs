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
    let said = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    assert!(said.contains("not a database"), "{said}");
}
