use livedata_engine::memory::MemoryState;
use livedata_engine::{Checkpoint, Edge, FailedEdge, InFlight, Mark, Node, NodeKind, Phase, Staged, State};
use livedata_model::node::{ContentVersion, NodeId};

use super::*;

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number])
}

fn edge(directory: u8, name: &str) -> Edge {
    Edge { directory: id(directory), name: name.into() }
}

/// Everything that can be asked of a state, as text.
fn picture<S: State>(state: &mut S) -> Vec<String>
where
    S::Error: std::fmt::Debug,
{
    let mut lines = vec![format!("{:?}", state.run().unwrap()), format!("{:?}", state.fronts(10).unwrap())];
    lines.push(format!("{:?}", state.marks(None, 10).unwrap()));
    lines.push(format!("{:?}", state.marks(Some(&edge(1, "a")), 1).unwrap()));
    lines.push(format!("{:?}", state.all_in_flight().unwrap()));
    lines.push(format!("{:?}", state.move_intent().unwrap()));
    for number in 0..5 {
        lines.push(format!("{:?}", state.node(&id(number)).unwrap()));
    }
    for name in ["a", "b", "ü %#", ""] {
        lines.push(format!(
            "{:?} {:?}",
            state.child(&edge(1, name)).unwrap(),
            state.mark(&edge(1, name)).unwrap()
        ));
        lines.push(format!("{:?}", state.in_flight(&edge(1, name)).unwrap()));
    }
    lines
}

fn write<S: State>(state: &mut S)
where
    S::Error: std::fmt::Debug,
{
    let mut run = state.run().unwrap();
    run.number = 3;
    run.start = 2;
    run.phase = Phase::Running;
    run.counters.bytes_migrated = 1 << 60;
    state.put_run(&run).unwrap();
    let directory = Node {
        parent: edge(1, "a"),
        kind: NodeKind::Directory,
        permissions: 0o1777,
        modified_ms: -5,
        run: 2,
    };
    let file = Node {
        parent: edge(1, "ü %#"),
        kind: NodeKind::File {
            version: ContentVersion::from_bytes([9, 0, 9]),
            length_bytes: 1 << 40,
            crc32c: u32::MAX,
            etag: "\"0x8\"".into(),
        },
        ..directory.clone()
    };
    state.put_node(&id(2), &directory).unwrap();
    state.put_node(&id(3), &file).unwrap();
    // Moved: found at the new edge only.
    state.put_node(&id(2), &Node { parent: edge(1, "b"), ..directory.clone() }).unwrap();
    state.put_node(&id(4), &Node { parent: edge(2, "x"), ..directory }).unwrap();
    state.remove_node(&id(4)).unwrap();
    for (name, generation) in [("b", 2), ("a", 1), ("ü %#", 3)] {
        state.put_mark(&edge(1, name), Mark { generation }).unwrap();
    }
    state.clear_mark(&edge(1, "b")).unwrap();
    state.put_front(&id(2), None).unwrap();
    state.put_front(&id(3), Some("m")).unwrap();
    state.put_front(&id(2), Some("z")).unwrap();
    state.remove_front(&id(3)).unwrap();
    let mut copy = InFlight {
        node: id(3),
        version: ContentVersion::from_bytes([1]),
        length_bytes: 7,
        staging: "03-1".into(),
        checkpoints: vec![Checkpoint { offset: 64, crc32c: 1 }],
        staged: None,
    };
    state.put_in_flight(&edge(1, "a"), &copy).unwrap();
    copy.checkpoints.push(Checkpoint { offset: 128, crc32c: 2 });
    copy.staged = Some(Staged { etag: "e".into(), crc32c: 5, permissions: 0o644, modified_ms: 1 });
    state.put_in_flight(&edge(1, "b"), &copy).unwrap();
    state.put_in_flight(&edge(1, ""), &copy).unwrap();
    state.remove_in_flight(&edge(1, "")).unwrap();
    state.put_move_intent(Some(&(id(2), edge(3, "y")))).unwrap();
}

#[test]
fn answers_as_the_memory_state_does_and_survives_reopening() {
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
    assert_eq!(journal.transaction(|state| Ok(picture(state))).unwrap(), picture(&mut memory));
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.transaction(|state| Ok(picture(state))).unwrap(), picture(&mut memory));
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let before = journal.transaction(|state| Ok(picture(state))).unwrap();
    let refused: Result<(), Error> = journal.transaction(|state| {
        write(state);
        Err(Error::Open { path: String::new(), message: "on purpose".into() })
    });
    assert!(refused.is_err());
    assert_eq!(journal.transaction(|state| Ok(picture(state))).unwrap(), before);
}

#[test]
fn the_last_failed_edge_is_told_and_forgotten_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let failed = |path: &str| FailedEdge { path: path.into(), reason: "denied".into() };
    journal.transaction(|state| state.put_failed(&edge(1, "a"), &failed("x/a"))).unwrap();
    journal.transaction(|state| state.put_failed(&edge(1, "b"), &failed("x/b"))).unwrap();
    assert_eq!(journal.last_failed().unwrap(), Some(failed("x/b")));
    journal.transaction(|state| state.clear_failed()).unwrap();
    assert_eq!(journal.last_failed().unwrap(), None);
}

#[test]
fn a_journal_of_another_version_or_a_damaged_one_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Journal::open(&path).err().unwrap().to_string();
    assert!(error.contains("schema version 99"), "{error}");
    let damaged = folder.path().join("damaged.db");
    std::fs::write(&damaged, vec![0x5a; 8192]).unwrap();
    assert!(Journal::open(&damaged).is_err());
}
