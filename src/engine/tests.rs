//! Why a path is given up is for programs to read, too: one run, in which each file fails in a way of its own.

use livedata_model::feed::{Change, Event, Position, Reading};
use livedata_model::node::{ContentVersion, Entry, EntryKind, NodeId};
use livedata_model::spec::{DeletePolicy, DriftPolicy};

use crate::memory::MemoryState;
use crate::{
    Applied, AttributesOutcome, Cause, Effect, Engine, Failure, FailureKind, Input, Limits, MakeOutcome,
    Policy, PublishOutcome, Rules, Staged, State as _, There, UNKNOWN,
};

fn entry(name: &str, kind: EntryKind) -> Entry {
    let extras = Some(Default::default());
    let id = NodeId::from_bytes([&b"id "[..], name.as_bytes()].concat());
    let (owner, group) = ("o".into(), "g".into());
    Entry {
        name: name.into(),
        id,
        kind,
        permissions: 0o644,
        owner,
        group,
        modified_ms: 1,
        has_acl: false,
        extras,
    }
}

fn file(name: &str, open_for_write: bool) -> Entry {
    let version = ContentVersion::from_bytes([1]);
    entry(name, EntryKind::File { length_bytes: 1, version, open_for_write })
}

fn there(is_directory: bool) -> There {
    There { is_directory, etag: "theirs".into(), length_bytes: 9, node: None, version: None }
}

fn failed(kind: FailureKind) -> Failure {
    Failure { kind, reason: "so it is".into() }
}

/// The source has these files in its root; what happens to each is in its name.
struct World {
    engine: Engine,
    state: MemoryState,
    files: Vec<Entry>,
}

impl World {
    fn new(policy: Policy, files: Vec<Entry>) -> Self {
        let mut engine = Engine::new(Limits::default(), policy, Rules::default());
        let mut state = MemoryState::surveyed();
        assert!(engine.recover(&mut state, 1).unwrap().is_empty());
        Self { engine, state, files }
    }

    fn run(&mut self, position: Option<u64>) {
        let root = entry("root", EntryKind::Directory);
        self.tell(Input::Start { start: 1, root, position });
    }

    fn tell(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let effects = self.engine.step(&mut self.state, input).unwrap();
            inputs.extend(effects.into_iter().filter_map(|effect| self.answer(effect)));
        }
    }

    fn answer(&self, effect: Effect) -> Option<Input> {
        let attributes = |entry: &Entry| crate::attributes::digest(entry).unwrap();
        let kept = |entry: &Entry| Staged {
            etag: "ours".into(),
            crc32c: 0,
            attributes: if entry.name == "laden" { UNKNOWN } else { attributes(entry) },
            modified_ms: 1,
        };
        Some(match effect {
            Effect::List { directory, ticket, .. } => {
                Input::Listed { directory, ticket, page: Ok((self.files.clone(), None)), position: 0 }
            }
            Effect::LookUp { edge } if edge.is_root() => {
                let found = Ok(Some(entry("root", EntryKind::Directory)));
                Input::Looked { edge, found, position: 0 }
            }
            Effect::LookUp { edge } => {
                let found = Ok(self.files.iter().find(|file| file.name == edge.name).cloned());
                Input::Looked { edge, found, position: 0 }
            }
            Effect::MakeDirectory { edge, entry, .. } if entry.name == "in the way" => {
                Input::DirectoryMade { edge, entry, outcome: MakeOutcome::Occupied }
            }
            Effect::MakeDirectory { edge, entry, .. } => {
                let outcome = MakeOutcome::Done(Applied { digest: attributes(&entry), left_out: None });
                Input::DirectoryMade { edge, entry, outcome }
            }
            Effect::Copy { edge, entry, .. } => {
                let outcome = match entry.name.as_str() {
                    "locked" => Err(failed(FailureKind::Final(Cause::Denied))),
                    "restless" => Err(failed(FailureKind::Stale)),
                    _ => Ok(kept(&entry)),
                };
                Input::Copied { edge, entry, outcome }
            }
            Effect::Publish { edge, entry, .. } => {
                let outcome = match entry.name.as_str() {
                    "dot." => PublishOutcome::Failed(failed(FailureKind::Final(Cause::NameRefused))),
                    "under a folder" => PublishOutcome::Occupied(there(true)),
                    "theirs" => PublishOutcome::Occupied(there(false)),
                    _ => PublishOutcome::Done,
                };
                Input::Published { edge, entry, outcome }
            }
            Effect::SetAttributes { edge, entry, etag, .. } if entry.name == "laden" => {
                let applied = Applied { digest: UNKNOWN, left_out: Some("so much".into()) };
                let outcome = AttributesOutcome::Done { etag: etag.unwrap(), applied };
                Input::AttributesSet { edge, entry, outcome }
            }
            Effect::SetAttributes { .. }
            | Effect::Survey { .. }
            | Effect::LookCloser { .. }
            | Effect::Resolve { .. }
            | Effect::Move { .. }
            | Effect::SetAside { .. }
            | Effect::Probe { .. }
            | Effect::Purge { .. } => panic!("{effect:?}"),
            Effect::Discard { staging } => Input::Discarded { staging },
            Effect::Flush { .. } | Effect::ReadFeed { .. } | Effect::CaughtUp | Effect::Finished => {
                return None;
            }
        })
    }

    fn cause(&self, name: &str) -> Option<Cause> {
        self.state.given_up().find(|(edge, _)| edge.name == name).map(|(_, failed)| failed.cause)
    }
}

#[test]
fn every_way_to_fail_in_a_run_that_ends_has_its_kind() {
    let pipe =
        EntryKind::Unsupported { kind: Cause::NotSupported, reason: "it is a pipe, so to speak".into() };
    let mut world = World::new(
        Policy::new("/root"),
        vec![
            file("locked", false),
            file("laden", false),
            file("restless", false),
            file("dot.", false),
            file("under a folder", false),
            file("being written", true),
            entry("pipe", pipe),
            entry("in the way", EntryKind::Directory),
            file("plain", false),
        ],
    );
    world.run(None);
    for (name, cause) in [
        ("locked", Some(Cause::Denied)),
        ("laden", Some(Cause::AttributesTooLarge)),
        ("restless", Some(Cause::ChangedWhileCopied)),
        ("dot.", Some(Cause::NameRefused)),
        ("under a folder", Some(Cause::Obstructed)),
        ("being written", Some(Cause::OpenForWrite)),
        ("pipe", Some(Cause::NotSupported)),
        ("in the way", Some(Cause::Obstructed)),
        ("plain", None),
    ] {
        assert_eq!(world.cause(name), cause, "{name}");
    }
    let run = world.state.run().unwrap();
    assert_eq!((run.phase, run.counters.files_failed), (crate::Phase::Completed, 8));
    // All of it is there but its attributes.
    assert_eq!(run.counters.files_migrated, 2, "plain and laden");
}

#[test]
fn what_vouches_for_a_path_that_was_given_up_says_so() {
    let files = vec![file("_SUCCESS", false), file("locked", false)];
    let mut world = World::new(Policy::new("/root"), files);
    world.run(None);
    assert_eq!(world.cause("_SUCCESS"), Some(Cause::VouchesForFailed));
}

#[test]
fn attributes_that_were_left_out_keep_nobody_waiting() {
    let mut world = World::new(Policy::new("/root"), vec![file("_SUCCESS", false), file("laden", false)]);
    world.run(None);
    assert_eq!((world.cause("_SUCCESS"), world.cause("laden")), (None, Some(Cause::AttributesTooLarge)));
    assert_eq!(world.state.run().unwrap().counters.files_migrated, 2);
}

#[test]
fn what_may_not_be_replaced_while_live_is_replaced_or_drifted() {
    let policy = Policy { deletes: DeletePolicy::Keep, drift: DriftPolicy::Keep, ..Policy::new("/root") };
    let files = vec![file("under a folder", false), file("changes kind", false), file("theirs", false)];
    let mut world = World::new(policy, files);
    world.run(Some(1));
    for name in ["under a folder", "theirs"] {
        assert_eq!(world.cause(name), Some(Cause::Drifted), "{name}");
    }
    assert_eq!(world.cause("changes kind"), None);
    // Now it is a directory.
    world.files[1] = Entry { id: NodeId::from_bytes([9, 9]), ..entry("changes kind", EntryKind::Directory) };
    let event =
        Event { position: Position(2), change: Change::Touched { path: "/root/changes kind".into() } };
    world.tell(Input::Fed(Reading::Events { events: vec![event], read_to: Position(2) }));
    assert_eq!(world.cause("changes kind"), Some(Cause::Replaced));
}
