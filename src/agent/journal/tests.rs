use livedata_engine::memory::MemoryState;
use livedata_engine::{
    Cause, Checkpoint, Edge, FailedEdge, Front, InFlight, Intent, Mark, Node, NodeKind, Phase, Staged, State,
};
use livedata_model::node::{ContentVersion, NodeId};

use super::*;

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([7, number])
}

fn edge(directory: u8, name: &str) -> Edge {
    Edge { directory: id(directory), name: name.into() }
}

/// Everything that can be asked of a state, as text.
fn picture<S: State>(state: &mut S) -> Vec<String>
where
    S::Error: std::fmt::Debug,
{
    let mut lines = vec![format!("{:?}", state.run().unwrap())];
    lines.push(format!("{:?}", state.fronts(None, 10).unwrap()));
    lines.push(format!("{:?}", state.fronts(Some(&id(1)), 10).unwrap()));
    lines.push(format!("{:?}", state.marks_after(None, 10).unwrap()));
    lines.push(format!("{:?}", state.marks_after(Some(&(3, edge(2, "c"))), 1).unwrap()));
    lines.push(format!("{:?}", state.marks_up_to(8, None, 10).unwrap()));
    lines.push(format!("{:?}", state.marks_up_to(u64::MAX, Some(&(2, edge(1, "b"))), 10).unwrap()));
    lines.push(format!("{:?} {:?}", state.count_marks().unwrap(), state.lowest_first().unwrap()));
    lines.push(format!("{:?}", state.all_in_flight().unwrap()));
    lines.push(format!("{:?} {:?}", state.all_garbage().unwrap(), state.all_intents().unwrap()));
    lines.push(format!("{:?}", state.failed(None, 10).unwrap()));
    lines.push(format!("{:?}", state.failed(Some(&edge(1, "a")), 1).unwrap()));
    lines.push(format!("{:?}", state.count_nodes().unwrap()));
    for number in 0..6 {
        let id = id(number);
        lines.push(format!("{:?} {:?}", state.node(&id).unwrap(), state.front(&id).unwrap()));
        lines.push(format!("{:?} {:?}", state.in_flight(&id).unwrap(), state.intent(&id).unwrap()));
        lines.push(format!("{:?}", state.children(&id, None, 10).unwrap()));
        lines.push(format!("{:?}", state.children(&id, Some("a"), 1).unwrap()));
    }
    for name in ["a", "b", "ü %#", ""] {
        let edge = edge(1, name);
        lines.push(format!("{:?} {:?}", state.child(&edge).unwrap(), state.mark(&edge).unwrap()));
        lines.push(format!("{:?}", state.failed_at(&edge).unwrap()));
    }
    lines
}

fn write<S: State>(state: &mut S)
where
    S::Error: std::fmt::Debug,
{
    let mut run = state.run().unwrap();
    (run.number, run.start, run.phase, run.live, run.surveyed) = (3, 2, Phase::Live, true, true);
    (run.cursor, run.scan_from) = (1 << 40, 7);
    run.counters.bytes_migrated = 1 << 60;
    (run.counters.gaps, run.deletes.approved, run.deletes.window_began_ms) = (1, 9, -1);
    state.put_run(&run).unwrap();
    let node = |parent: Edge, kind| Node {
        parent,
        kind,
        attributes: u64::MAX - 3,
        modified_ms: -5,
        run: 2,
        seen: 11,
    };
    let file = NodeKind::File {
        version: ContentVersion::from_bytes([9, 0, 9]),
        length_bytes: 1 << 40,
        crc32c: Some(u32::MAX),
        etag: "\"0x8\"".into(),
    };
    state.put_node(&id(1), &node(Edge::root(), NodeKind::Directory)).unwrap();
    state.put_node(&id(2), &node(edge(1, "a"), NodeKind::Directory)).unwrap();
    state.put_node(&id(3), &node(edge(1, "ü %#"), file.clone())).unwrap();
    state.put_node(&id(4), &node(edge(2, "below"), file.clone())).unwrap();
    state.put_node(&id(5), &node(edge(4, "never"), file)).unwrap();
    // It moves: its old edge is free.
    state.put_node(&id(2), &node(edge(1, "b"), NodeKind::Directory)).unwrap();
    let mark = |generation, first| Mark {
        generation,
        queued: 9 - generation,
        first,
        last: 20,
        deep: generation == 4,
    };
    state.put_mark(&edge(1, "a"), mark(5, 9)).unwrap();
    state.put_mark(&edge(1, "a"), mark(4, 8)).unwrap();
    state.put_mark(&edge(1, "b"), mark(4, 2)).unwrap();
    state.put_mark(&edge(2, "c"), mark(6, 3)).unwrap();
    state.put_mark(&edge(2, "d"), mark(7, 0)).unwrap();
    state.clear_mark(&edge(2, "d")).unwrap();
    state.put_front(&id(1), &Front { after: None, first: 5 }).unwrap();
    state.put_front(&id(2), &Front { after: Some("m".into()), first: 6 }).unwrap();
    state.put_front(&id(4), &Front { after: None, first: 1 }).unwrap();
    state.remove_front(&id(4)).unwrap();
    let copy = InFlight {
        edge: edge(1, "a"),
        version: ContentVersion::from_bytes([1]),
        length_bytes: 77,
        staging: "s-1".into(),
        checkpoints: vec![Checkpoint { offset: 64, crc32c: 5 }],
        staged: None,
    };
    let staged = Staged { etag: "e".into(), crc32c: 6, attributes: u64::MAX, modified_ms: 8 };
    state.put_in_flight(&id(3), &copy).unwrap();
    state.put_in_flight(&id(4), &InFlight { staged: Some(staged), ..copy.clone() }).unwrap();
    state.put_in_flight(&id(5), &copy).unwrap();
    state.remove_in_flight(&id(5)).unwrap();
    state.put_garbage("s-0").unwrap();
    state.put_garbage("s-2").unwrap();
    state.remove_garbage("s-2").unwrap();
    state.put_intent(&id(2), &Intent::Move { to: Edge::trash("t".into()) }).unwrap();
    state.put_intent(&id(4), &Intent::Make { at: edge(1, "z") }).unwrap();
    state.put_intent(&id(5), &Intent::Make { at: edge(1, "y") }).unwrap();
    state.remove_intent(&id(5)).unwrap();
    let failed = |path: &str| FailedEdge {
        path: path.into(),
        cause: Cause::VouchesForFailed,
        reason: "r".into(),
        first: 3,
        deep: true,
    };
    assert!(state.put_failed(&edge(1, "a"), &failed("x/a")).unwrap());
    assert!(!state.put_failed(&edge(1, "a"), &failed("y/a")).unwrap());
    assert!(state.put_failed(&edge(1, "b"), &failed("x/b")).unwrap());
    assert!(state.put_failed(&edge(2, "b"), &failed("x/c")).unwrap());
    assert!(state.remove_failed(&edge(2, "b")).unwrap());
    assert!(!state.remove_failed(&edge(2, "b")).unwrap());
    assert_eq!((state.count_subtree(&id(1), 100).unwrap(), state.count_subtree(&id(1), 3).unwrap()), (5, 3));
}

#[test]
fn it_answers_like_the_state_in_memory_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut memory = MemoryState::default();
    write(&mut memory);
    let mut journal = Journal::open(&path).unwrap();
    journal
        .transaction(|state| {
            write(state);
            Ok(())
        })
        .unwrap();
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    let now = journal.transaction(|state| Ok(picture(state))).unwrap();
    assert_eq!(now, picture(&mut memory));
    memory.remove_subtree(&id(2)).unwrap();
    journal.transaction(|state| state.remove_subtree(&id(2))).unwrap();
    let now = journal.transaction(|state| Ok(picture(state))).unwrap();
    assert_eq!(now, picture(&mut memory));
    memory.clear_failed().unwrap();
    journal.transaction(|state| state.clear_failed()).unwrap();
    let now = journal.transaction(|state| Ok(picture(state))).unwrap();
    assert_eq!(now, picture(&mut memory));
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let before = journal.transaction(|state| Ok(picture(state))).unwrap();
    let failed = journal.transaction(|state| {
        write(state);
        Err::<(), _>(Error::Database(rusqlite::Error::InvalidQuery))
    });
    assert!(failed.is_err());
    assert_eq!(journal.transaction(|state| Ok(picture(state))).unwrap(), before);
}

fn found(kind: livedata_model::node::EntryKind) -> livedata_model::node::Entry {
    livedata_model::node::Entry {
        name: "e".into(),
        id: id(100),
        kind,
        permissions: 0o644,
        owner: String::new(),
        group: String::new(),
        modified_ms: 0,
        has_acl: false,
        extras: None,
    }
}

#[test]
fn what_listings_find_is_counted_once_however_often_they_look() {
    use livedata_model::node::EntryKind;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    let file = |length_bytes| {
        let version = ContentVersion::from_bytes([1]);
        found(EntryKind::File { length_bytes, version, open_for_write: false })
    };
    let directory =
        |parent| Node { parent, kind: NodeKind::Directory, attributes: 1, modified_ms: 0, run: 1, seen: 0 };
    let list = |journal: &mut Journal, of: u8, after: Option<&str>, entries: &[_], is_last| {
        let front = Front { after: after.map(str::to_owned), first: 0 };
        journal
            .transaction(|state| {
                state.put_front(&id(of), &front)?;
                state.listed(&id(of), entries, is_last)?;
                Ok(state.found())
            })
            .unwrap()
    };
    let sums = |found: Found| (found.directories, found.files, found.bytes, found.excluded);
    journal
        .transaction(|state| {
            state.put_node(&id(1), &directory(Edge::root()))?;
            state.put_node(&id(2), &directory(edge(1, "sub")))
        })
        .unwrap();
    for _ in 0..2 {
        let first = list(&mut journal, 1, None, &[file(10), found(EntryKind::Directory)], false);
        assert!(
            first.files == 1 || first.files == 3,
            "of the first time, and then of the time before: {first:?}"
        );
        let both = list(&mut journal, 1, Some("m"), &[file(5), found(EntryKind::Symlink)], true);
        assert_eq!(sums(both), (1, 3, 15, 1));
        // Another process goes on.
        drop(journal);
        journal = Journal::open(&path).unwrap();
    }
    assert_eq!(sums(list(&mut journal, 2, None, &[file(100)], false)), (1, 4, 115, 1), "as far as it is");
    assert_eq!(sums(list(&mut journal, 2, None, &[file(90)], true)), (2, 4, 105, 1), "begun anew");
    // While it is listed again, what the last one found counts.
    assert_eq!(sums(list(&mut journal, 1, None, &[], false)), (2, 4, 105, 1));
    assert_eq!(sums(list(&mut journal, 1, Some("m"), &[file(1)], true)), (2, 2, 91, 0));
    let gone = |state: &mut JournalState<'_>| {
        state.put_node(&id(2), &directory(Edge::trash("t".into())))?;
        Ok(state.found())
    };
    assert_eq!(sums(journal.transaction(gone).unwrap()), (1, 1, 1, 0));
    let gone = |state: &mut JournalState<'_>| {
        state.remove_subtree(&id(1))?;
        Ok(state.found())
    };
    assert_eq!(sums(journal.transaction(gone).unwrap()), (0, 0, 0, 0));
}

#[test]
fn what_was_given_up_is_told_latest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let failed = |path: &str| FailedEdge {
        path: path.into(),
        cause: Cause::Denied,
        reason: "denied".into(),
        first: 0,
        deep: false,
    };
    journal.transaction(|state| state.put_failed(&edge(1, "a"), &failed("x/a"))).unwrap();
    journal.transaction(|state| state.put_failed(&edge(1, "b"), &failed("x/b"))).unwrap();
    journal.transaction(|state| state.put_failed(&edge(1, "a"), &failed("y/a"))).unwrap();
    let paths = |limit| {
        journal.failed_paths(limit).unwrap().into_iter().map(|failed| failed.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(10), ["y/a", "x/b"]);
    assert_eq!(paths(1), ["y/a"]);
}

#[test]
fn a_journal_of_another_version_or_a_damaged_one_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = told(&Journal::open(&path).err().unwrap(), &path);
    assert!(error.contains("schema version 99") && error.contains("journal.db"), "{error}");
    let damaged = folder.path().join("damaged.db");
    let whole = || {
        let _ = std::fs::remove_file(&damaged);
        let mut journal = Journal::open(&damaged).unwrap();
        journal
            .transaction(|state| {
                write(state);
                Ok(())
            })
            .unwrap();
        drop(journal);
        std::fs::read(&damaged).unwrap()
    };
    let (mut header, mut shorter) = (whole(), whole());
    header[..16].fill(0x5a);
    shorter.truncate(shorter.len() / 2);
    for bytes in [header, shorter, vec![0x5a; 8192]] {
        std::fs::write(&damaged, bytes).unwrap();
        let error = told(&Journal::open(&damaged).err().unwrap(), &damaged);
        for part in ["damaged.db", "is damaged", "Move it away", "starts over"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn a_disk_that_is_full_is_not_a_journal_to_be_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    // As large as it is, and no larger.
    let pages: i64 = journal.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    journal.connection.pragma_update(None, "max_page_count", pages).unwrap();
    let full = journal.transaction(|state| {
        (0..1_000).try_for_each(|number| state.put_garbage(&format!("{number}{}", "x".repeat(200))))
    });
    let error = full.unwrap_err();
    let said = told(&error, &path);
    assert!(error.is_disk_full() && said.contains("Make room") && said.contains("journal.db"), "{said}");
    assert!(!said.contains("move"), "{said}");
}

/// As the release before wrote it.
#[test]
fn a_journal_of_the_version_before_keeps_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    journal
        .transaction(|state| {
            write(state);
            Ok(())
        })
        .unwrap();
    let now = journal.transaction(|state| Ok(picture(state))).unwrap();
    drop(journal);
    let old = Connection::open(&path).unwrap();
    let older = "ALTER TABLE failed DROP COLUMN cause; DROP TABLE principal; DROP TABLE drift; DROP TABLE listing; \
                 ALTER TABLE run DROP COLUMN surveyed; PRAGMA user_version = 2";
    old.execute_batch(older).unwrap();
    drop(old);
    let mut journal = Journal::open(&path).unwrap();
    let then = journal.transaction(|state| Ok(picture(state))).unwrap();
    let forgotten: Vec<_> = now.iter().map(|line| line.replace("VouchesForFailed", "Other")).collect();
    assert_eq!(then, forgotten);
    assert!(then.iter().any(|line| line.contains("Other")));
    // Once is enough, and new rows have theirs.
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    let failed = FailedEdge {
        path: "z".into(),
        cause: Cause::AttributesTooLarge,
        reason: "r".into(),
        first: 0,
        deep: false,
    };
    journal.transaction(|state| state.put_failed(&edge(1, "z"), &failed)).unwrap();
    let ann = || Principal { is_group: true, name: "ann".into() };
    for _ in 0..2 {
        journal.transaction(|state| state.put_principal(&ann())).unwrap();
    }
    assert_eq!(journal.principals().unwrap(), [ann()]);
    assert_eq!(journal.failed_paths(1).unwrap()[0].cause, Cause::AttributesTooLarge);
}
