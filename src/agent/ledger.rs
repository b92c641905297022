//! Desired state on the agent's disk.
//!
//! Two files: `desired.cbor` has everything but secrets, `secrets.cbor` (mode 0600) has those, by item. Each is replaced
//! as a whole. Secrets go first, so that an item never stands there without its own. An item of a lower generation than the one held is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use livedata_model::cbor::{decode, encode};
use livedata_model::message::{Known, Sync};
use livedata_model::spec::{Body, Item, Secret};
use livedata_model::wire_struct;

use crate::durable;

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
    items: BTreeMap<String, Item>,
    session_epoch: u64,
    coordinator_epoch: u64,
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
        Ok(Self {
            folder: folder.to_owned(),
            items,
            session_epoch: desired.session_epoch,
            coordinator_epoch: desired.coordinator_epoch,
        })
    }

    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// What need not be sent again. Of a kind that this version does not know there is no body on disk: it is named with a
    /// generation that makes the provider send it again, to a version that knows it.
    pub fn known(&self) -> Vec<Known> {
        let held = |item: &Item| if item.body == Body::Unknown { 0 } else { item.generation };
        self.items.values().map(|item| Known { id: item.id.clone(), generation: held(item) }).collect()
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
        self.write(&self.items)
    }

    /// Applies changes that came in a session; durable on return, and after an error nothing has changed. Returns what was
    /// refused because a higher generation is held.
    pub fn apply(&mut self, session_epoch: u64, sync: Sync) -> Result<Vec<Known>, Error> {
        self.check_session(session_epoch)?;
        let (mut items, mut stale) = (self.items.clone(), Vec::new());
        for item in sync.upserts {
            match items.get(&item.id) {
                Some(held) if held.generation > item.generation => {
                    stale.push(Known { id: held.id.clone(), generation: held.generation });
                }
                _ => {
                    items.insert(item.id.clone(), item);
                }
            }
        }
        for id in &sync.removals {
            items.remove(id);
        }
        self.write(&items)?;
        self.items = items;
        Ok(stale)
    }

    /// What an older session had begun to do may come late.
    fn check_session(&self, session: u64) -> Result<(), Error> {
        let latest = self.session_epoch;
        if session < latest { Err(Error::OldSession { session, latest }) } else { Ok(()) }
    }

    fn write(&self, items: &BTreeMap<String, Item>) -> Result<(), Error> {
        let mut items: Vec<Item> = items.values().cloned().collect();
        let mut entries = Vec::new();
        for item in &mut items {
            if let Body::Target(target) = &mut item.body {
                let secret = std::mem::replace(&mut target.credential.secret, Secret(String::new()));
                entries.push(SecretEntry { item: item.id.clone(), secret });
            }
        }
        self.replace(SECRETS, &encode(&Secrets { entries }))?;
        let desired =
            Desired { items, session_epoch: self.session_epoch, coordinator_epoch: self.coordinator_epoch };
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

    use livedata_model::spec::{Credential, CredentialKind, TargetSpec};

    use super::*;

    fn target(generation: u64, secret: &str) -> Item {
        Item {
            id: "/t".into(),
            generation,
            body: Body::Target(TargetSpec {
                account: "a".into(),
                container: "c".into(),
                endpoint: "http://127.0.0.1:1/a".into(),
                credential: Credential { kind: CredentialKind::AccountKey, secret: Secret(secret.into()) },
            }),
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
        let unknown = Item { id: "/new".into(), generation: 1, body: Body::Unknown };
        ledger.apply(1, upsert(unknown)).unwrap();
        assert_eq!(ledger.known(), [Known { id: "/new".into(), generation: 0 }]);
    }

    #[test]
    fn a_damaged_file_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(DESIRED), b"\xff\xff").unwrap();
        assert!(matches!(Ledger::open(folder.path()), Err(Error::Damaged { .. })));
    }
}
