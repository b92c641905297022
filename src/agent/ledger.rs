//! Desired state and commands on the agent's disk.
//!
//! Two files: `desired.cbor` has everything but secrets, `secrets.cbor` (mode 0600) has those, by item. Each is replaced
//! as a whole. Secrets go first, so that an item never stands there without its own. An item of a lower generation than the one held is refused.
//!
//! A command is taken once: it stands in `desired.cbor`, as waiting or as done, for as long as the provider might send it
//! again. Commands of a migration that is removed, made anew or reset go with it, in the same write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use livedata_model::cbor::{decode, encode};
use livedata_model::command::{Command, CommandKind};
use livedata_model::message::{Known, Sync};
use livedata_model::spec::{Body, Item, Secret};
use livedata_model::wire_struct;

use crate::durable;
use crate::support;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} cannot be read or written: {message}")]
    Io { path: String, message: String },
    #[error("{path} is damaged ({message}); move it away, and the provider sends it again")]
    Damaged { path: String, message: String },
    #[error("session {session} is over: session {latest} has begun")]
    OldSession { session: u64, latest: u64 },
}

wire_struct! {
    #[derive(Default)]
    pub struct Desired {
        1 => items: Vec<Item>,
        /// The highest session epoch seen.
        2 => session_epoch: u64,
        /// Names the staging folder; 0 before the first session.
        3 => coordinator_epoch: u64,
        /// In the order of their arrival.
        4 => commands: Vec<Command>,
        /// Ids of commands that need nothing any more and may come again.
        5 => done: Vec<String>,
    }
}

wire_struct! {
    #[derive(Default)]
    pub struct Secrets {
        1 => entries: Vec<SecretEntry>,
    }
}

wire_struct! {
    pub struct SecretEntry {
        1 => item: String,
        2 => secret: Secret,
    }
}

pub struct Ledger {
    folder: PathBuf,
    held: Held,
    /// Why the last thing that was to be written was not.
    trouble: Option<String>,
    session_epoch: u64,
    coordinator_epoch: u64,
}

/// What sessions change.
#[derive(Clone, Default)]
struct Held {
    items: BTreeMap<String, Item>,
    commands: Vec<Command>,
    done: BTreeSet<String>,
}

impl Held {
    /// Whether the command's migration is there, and still the one that it was given for.
    fn concerns(&self, command: &Command) -> bool {
        let item = self.items.get(&command.migration);
        matches!(item.map(|item| &item.body), Some(Body::Migration(spec)) if command.is_for(spec))
    }
}

impl Ledger {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let desired: Desired = read(&folder.join(DESIRED))?.unwrap_or_default();
        let secrets: Secrets = read(&folder.join(SECRETS))?.unwrap_or_default();
        let secrets: BTreeMap<String, Secret> =
            secrets.entries.into_iter().map(|entry| (entry.item, entry.secret)).collect();
        let mut items = BTreeMap::new();
        for mut item in desired.items {
            if let Body::Target(target) = &mut item.body {
                // Without its secret it is of no use. It is not claimed to be held, so the provider sends it again.
                let Some(secret) = secrets.get(&item.id) else { continue };
                target.credential.secret = secret.clone();
            }
            items.insert(item.id.clone(), item);
        }
        let done = desired.done.into_iter().collect();
        Ok(Self {
            folder: folder.to_owned(),
            held: Held { items, commands: desired.commands, done },
            trouble: None,
            session_epoch: desired.session_epoch,
            coordinator_epoch: desired.coordinator_epoch,
        })
    }

    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.held.items.values()
    }

    /// What need not be sent again. Of a kind that this version cannot act on there is no body on disk: it is named with a
    /// generation that makes the provider send it again, to a version that can.
    pub fn known(&self) -> Vec<Known> {
        let held = |item: &Item| if support::acts_on(&item.body) { item.generation } else { 0 };
        self.held.items.values().map(|item| Known { id: item.id.clone(), generation: held(item) }).collect()
    }

    pub fn session_epoch(&self) -> u64 {
        self.session_epoch
    }

    pub fn coordinator_epoch(&self) -> u64 {
        self.coordinator_epoch
    }

    /// Begins a session; durable on return. After an error of the disk it has begun all the same: the provider never gives
    /// the number of a session twice.
    pub fn welcome(&mut self, session_epoch: u64, coordinator_epoch: u64) -> Result<(), Error> {
        self.check_session(session_epoch)?;
        (self.session_epoch, self.coordinator_epoch) = (session_epoch, coordinator_epoch);
        self.write_again()
    }

    /// Why the disk does not take what is to be written, as of the last time.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Writes what is held, which shows whether the disk takes it.
    pub fn write_again(&mut self) -> Result<(), Error> {
        let held = std::mem::take(&mut self.held);
        let written = self.write(&held);
        self.held = held;
        written
    }

    /// Applies changes that came in a session; durable on return, and after an error nothing has changed. Returns what was
    /// refused because a higher generation is held.
    pub fn apply(&mut self, session_epoch: u64, sync: Sync) -> Result<Vec<Known>, Error> {
        self.check_session(session_epoch)?;
        let (mut held, mut stale) = (self.held.clone(), Vec::new());
        for item in sync.upserts {
            match held.items.get(&item.id) {
                Some(newer) if newer.generation > item.generation => {
                    stale.push(Known { id: newer.id.clone(), generation: newer.generation });
                }
                _ => {
                    held.items.insert(item.id.clone(), item);
                }
            }
        }
        for id in &sync.removals {
            held.items.remove(id);
        }
        let (commands, void) =
            std::mem::take(&mut held.commands).into_iter().partition(|command| held.concerns(command));
        held.commands = commands;
        held.done.extend(Vec::<Command>::into_iter(void).map(|command| command.id));
        self.write(&held)?;
        self.held = held;
        Ok(stale)
    }

    /// Takes commands that came in a session: `list` is everything that the provider has not heard of as taken. Durable on
    /// return, and after an error nothing has changed. Returns the ids to acknowledge: all but those of an unknown kind.
    pub fn take(&mut self, session_epoch: u64, list: Vec<Command>) -> Result<Vec<String>, Error> {
        self.check_session(session_epoch)?;
        let mut held = self.held.clone();
        // What is not in the list has been acknowledged for good, and never comes again.
        held.done.retain(|id| list.iter().any(|command| command.id == *id));
        let mut taken = Vec::new();
        for command in list.into_iter().filter(|command| command.kind != CommandKind::Unknown) {
            taken.push(command.id.clone());
            if held.done.contains(&command.id) || held.commands.iter().any(|known| known.id == command.id) {
                continue;
            }
            if held.concerns(&command) {
                held.commands.push(command);
            } else {
                held.done.insert(command.id);
            }
        }
        self.write(&held)?;
        self.held = held;
        Ok(taken)
    }

    /// What is to be done once, in the order in which it came. A command stands here until [`Ledger::command_done`].
    pub fn commands(&self) -> Vec<Command> {
        self.held.commands.clone()
    }

    /// What the command asks for is durable elsewhere, or needs nothing. Durable on return; of no effect for a command that is
    /// not there any more.
    pub fn command_done(&mut self, id: &str) -> Result<(), Error> {
        let mut held = self.held.clone();
        let before = held.commands.len();
        held.commands.retain(|command| command.id != id);
        if held.commands.len() == before {
            return Ok(());
        }
        held.done.insert(id.to_owned());
        self.write(&held)?;
        self.held = held;
        Ok(())
    }

    /// What an older session had begun to do may come late.
    fn check_session(&self, session: u64) -> Result<(), Error> {
        let latest = self.session_epoch;
        if session < latest { Err(Error::OldSession { session, latest }) } else { Ok(()) }
    }

    fn write(&mut self, held: &Held) -> Result<(), Error> {
        let written = self.try_to_write(held);
        self.trouble = written.as_ref().err().map(ToString::to_string);
        written
    }

    fn try_to_write(&self, held: &Held) -> Result<(), Error> {
        let mut items: Vec<Item> = held.items.values().cloned().collect();
        let mut entries = Vec::new();
        for item in &mut items {
            if !support::acts_on(&item.body) {
                // Nor are the secrets in it kept.
                item.body = Body::Unknown;
            }
            if let Body::Target(target) = &mut item.body {
                let secret = std::mem::replace(&mut target.credential.secret, Secret(String::new()));
                entries.push(SecretEntry { item: item.id.clone(), secret });
            }
        }
        self.replace(SECRETS, &encode(&Secrets { entries }))?;
        let desired = Desired {
            items,
            session_epoch: self.session_epoch,
            coordinator_epoch: self.coordinator_epoch,
            commands: held.commands.clone(),
            done: held.done.iter().cloned().collect(),
        };
        self.replace(DESIRED, &encode(&desired))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(name);
        durable::replace(&path, bytes).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::Io { path: path.display().to_string(), message: error.to_string() }
}

const DESIRED: &str = "desired.cbor";
const SECRETS: &str = "secrets.cbor";

fn read<T: livedata_model::cbor::Wire>(path: &Path) -> Result<Option<T>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => decode(&bytes)
            .map(Some)
            .map_err(|error| Error::Damaged { path: path.display().to_string(), message: error.to_string() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use livedata_model::spec::{
        Credential, DataTransferAgentSpec, MigrationSpec, Mode, RunState, TargetSpec,
    };

    use super::*;

    fn target(generation: u64, secret: &str) -> Item {
        Item {
            id: "/t".into(),
            generation,
            body: Body::Target(TargetSpec {
                account: "a".into(),
                container: "c".into(),
                endpoint: "http://127.0.0.1:1/a".into(),
                credential: Credential::account_key(secret),
            }),
            trace: None,
        }
    }

    fn upsert(item: Item) -> Sync {
        Sync { revision: 1, upserts: vec![item], removals: vec![] }
    }

    #[test]
    fn what_was_applied_is_there_after_reopening_and_secrets_are_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.welcome(4, 2).unwrap();
        assert!(ledger.apply(4, upsert(target(3, "hush-hush"))).unwrap().is_empty());
        let again = Ledger::open(folder.path()).unwrap();
        assert_eq!(again.items().cloned().collect::<Vec<_>>(), [target(3, "hush-hush")]);
        assert_eq!((again.session_epoch(), again.coordinator_epoch()), (4, 2));
        let plain = std::fs::read(folder.path().join(DESIRED)).unwrap();
        assert!(!plain.windows(9).any(|window| window == b"hush-hush"));
        let mode = std::fs::metadata(folder.path().join(SECRETS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lower_generation_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(target(3, "new"))).unwrap();
        let stale = ledger.apply(1, upsert(target(2, "old"))).unwrap();
        assert_eq!(stale, [Known { id: "/t".into(), generation: 3 }]);
        assert_eq!(ledger.items().next(), Some(&target(3, "new")));
        ledger.apply(1, Sync { revision: 2, upserts: vec![], removals: vec!["/t".into()] }).unwrap();
        assert_eq!(Ledger::open(folder.path()).unwrap().items().count(), 0);
    }

    #[test]
    fn what_comes_late_from_an_older_session_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.welcome(4, 1).unwrap();
        ledger.apply(4, upsert(target(3, "new"))).unwrap();
        ledger.welcome(5, 1).unwrap();
        let removal = Sync { revision: 2, upserts: vec![], removals: vec!["/t".into()] };
        assert!(matches!(ledger.apply(4, removal), Err(Error::OldSession { session: 4, latest: 5 })));
        assert!(ledger.welcome(4, 1).is_err());
        assert_eq!(ledger.known().len(), 1);
    }

    #[test]
    fn what_cannot_be_written_has_not_happened() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(target(3, "new"))).unwrap();
        // Where the file is to be written beside stands a folder.
        std::fs::create_dir_all(folder.path().join("desired.cbor.new").join("full")).unwrap();
        let removal = Sync { revision: 2, upserts: vec![], removals: vec!["/t".into()] };
        assert!(matches!(ledger.apply(1, removal), Err(Error::Io { .. })));
        assert_eq!(ledger.items().next(), Some(&target(3, "new")));
    }

    #[test]
    fn a_target_without_its_secret_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        Ledger::open(folder.path()).unwrap().apply(1, upsert(target(3, "new"))).unwrap();
        std::fs::remove_file(folder.path().join(SECRETS)).unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!((ledger.items().count(), ledger.known()), (0, vec![]));
    }

    #[test]
    fn a_kind_that_is_not_known_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        let unknown = Item { id: "/new".into(), generation: 1, body: Body::Unknown, trace: None };
        ledger.apply(1, upsert(unknown)).unwrap();
        assert_eq!(ledger.known(), [Known { id: "/new".into(), generation: 0 }]);
    }

    #[test]
    fn the_secret_of_what_cannot_be_acted_on_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let body = Body::DataTransferAgent(DataTransferAgentSpec {
            host: Some("copier".into()),
            port: Some(1433),
            access_token: Some(Secret("sesame-sesame".into())),
            max_bytes_per_second: None,
            capacity: None,
        });
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(Item { id: "/d".into(), generation: 4, body, trace: None })).unwrap();
        assert_eq!(ledger.known(), [Known { id: "/d".into(), generation: 0 }]);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(13).any(|part| part == b"sesame-sesame"));
        }
        assert_eq!(Ledger::open(folder.path()).unwrap().known(), ledger.known());
    }

    #[test]
    fn a_damaged_file_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(DESIRED), b"\xff\xff").unwrap();
        assert!(matches!(Ledger::open(folder.path()), Err(Error::Damaged { .. })));
    }

    fn migration(generation: u64, incarnation: &str, reset_count: u64) -> Item {
        let spec = MigrationSpec {
            run: RunState::Running,
            start_count: 1,
            reset_count,
            ..MigrationSpec::new("/t", "/data", Mode::Live, incarnation)
        };
        Item { id: "/m".into(), generation, body: Body::Migration(spec), trace: None }
    }

    fn command(id: &str) -> Command {
        Command {
            id: id.into(),
            migration: "/m".into(),
            incarnation: "one".into(),
            reset_count: 0,
            kind: CommandKind::RetryFailed,
            trace: None,
        }
    }

    fn waiting(ledger: &Ledger) -> Vec<String> {
        ledger.commands().into_iter().map(|command| command.id).collect()
    }

    #[test]
    fn a_command_is_taken_once_however_often_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(migration(1, "one", 0))).unwrap();
        assert_eq!(ledger.take(1, vec![command("b"), command("a")]).unwrap(), ["b", "a"]);
        assert_eq!(waiting(&ledger), ["b", "a"]);
        // The agent dies before the acknowledgement leaves: the provider sends them again.
        let mut ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(waiting(&ledger), ["b", "a"]);
        assert_eq!(ledger.take(2, vec![command("b"), command("a"), command("c")]).unwrap(), ["b", "a", "c"]);
        assert_eq!(waiting(&ledger), ["b", "a", "c"]);
        ledger.command_done("b").unwrap();
        // The acknowledgement was lost, the command done, the agent dead again.
        let mut ledger = Ledger::open(folder.path()).unwrap();
        assert_eq!(ledger.take(3, vec![command("b"), command("a")]).unwrap(), ["b", "a"]);
        assert_eq!(waiting(&ledger), ["a", "c"]);
        ledger.command_done("a").unwrap();
        ledger.command_done("never heard of").unwrap();
        // The provider has heard: what is done is forgotten.
        ledger.take(3, vec![command("d")]).unwrap();
        assert_eq!((waiting(&ledger), ledger.held.done.len()), (vec!["c".to_owned(), "d".to_owned()], 0));
    }

    #[test]
    fn commands_go_with_the_life_of_the_migration_that_they_are_for() {
        for end in [
            Sync { revision: 2, upserts: vec![], removals: vec!["/m".into()] },
            upsert(migration(2, "two", 0)),
            upsert(migration(2, "one", 2)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut ledger = Ledger::open(folder.path()).unwrap();
            ledger.apply(1, upsert(migration(1, "one", 0))).unwrap();
            ledger.take(1, vec![command("a")]).unwrap();
            // Another generation of the same life keeps them.
            ledger.apply(1, upsert(migration(2, "one", 0))).unwrap();
            assert_eq!(waiting(&ledger), ["a"]);
            ledger.apply(1, end).unwrap();
            let mut ledger = Ledger::open(folder.path()).unwrap();
            assert_eq!(waiting(&ledger), Vec::<String>::new());
            // Late ones are acknowledged, so that the provider forgets them, and do nothing.
            assert_eq!(ledger.take(2, vec![command("a"), command("late")]).unwrap(), ["a", "late"]);
            assert_eq!(waiting(&ledger), Vec::<String>::new());
        }
    }

    #[test]
    fn a_command_of_an_unknown_kind_is_left_with_the_provider() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(migration(1, "one", 0))).unwrap();
        let newer = Command { kind: CommandKind::Unknown, ..command("newer") };
        assert_eq!(ledger.take(1, vec![newer, command("a")]).unwrap(), ["a"]);
        assert_eq!(waiting(&ledger), ["a"]);
    }

    #[test]
    fn a_command_that_cannot_be_written_is_not_taken_and_one_that_is_done_stays_until_that_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(migration(1, "one", 0))).unwrap();
        ledger.take(1, vec![command("a")]).unwrap();
        // Where the file is to be written beside stands a folder.
        std::fs::create_dir_all(folder.path().join("desired.cbor.new").join("full")).unwrap();
        assert!(matches!(ledger.take(1, vec![command("b")]), Err(Error::Io { .. })));
        assert!(matches!(ledger.command_done("a"), Err(Error::Io { .. })));
        assert_eq!(waiting(&ledger), ["a"]);
    }

    #[test]
    fn commands_of_an_older_session_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path()).unwrap();
        ledger.apply(1, upsert(migration(1, "one", 0))).unwrap();
        ledger.welcome(5, 1).unwrap();
        assert!(matches!(ledger.take(4, vec![command("a")]), Err(Error::OldSession { .. })));
        assert_eq!(waiting(&ledger), Vec::<String>::new());
    }
}
