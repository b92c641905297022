//! Secrets at rest, in envelopes: each body is sealed with AES-256-GCM under a random key of its own (its *data key*), and
//! that under a *key-encryption key* that lives in a file apart from the store ([`key_file`]).
//!
//! There may be several key-encryption keys, each with an id: the newest, the last in the file, seals, all of them open. So a key can be replaced
//! without touching bodies: [`SealingKeys::rewrap`] puts a data key under the newest one. One that is made is only the *next* at
//! first: it opens and does not seal until everybody has it ([`SealingKeys::promote`]). Nothing is sealed while the file says
//! something that cannot be read: what the newest key is, is not known then, and the one from before may be about to go.
//!
//! A sealed body is bound to a *context* (by convention what it is and whose): moved to another record, changed, or opened with
//! another key, it is [`Error::Damaged`] instead of a wrong secret. Losing the key file loses the secrets, not the rest of
//! the store.
//!
//! | format | bytes |
//! |---|---|
//! | 2 | 2; id of the key-encryption key (8); nonce (12), data key (32), tag (16); nonce (12), cipher text, tag (16) |
//! | 1, opened and no longer made | 1; nonce (12), cipher text under the key-encryption key itself, tag (16) |
//!
//! Nonces are random: a key-encryption key may wrap about 2^32 data keys.

mod key;
mod key_file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use key::KeyId;
use key::{Key, LENGTH, random};
use key_file::{Keys, Stamp};

use crate::{Error, Result};

const BARE: u8 = 1;
const ENVELOPE: u8 = 2;
/// A data key under a key-encryption key.
const WRAPPED: usize = key::OVERHEAD + LENGTH;

/// The key-encryption keys of a file. Another process may add to the file: it is looked at again when something is sealed, or is
/// found sealed with a key that is not known yet.
pub struct SealingKeys {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    keys: Arc<Keys>,
    /// Of the file that they come from.
    stamp: Stamp,
    /// When the newest was first known to be it.
    since: Instant,
}

impl SealingKeys {
    /// The keys in this file; a missing file is made with one, mode 0600. A file that others may read is refused.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        key_file::create_if_missing(path)?;
        Self::load(path)
    }

    /// The keys in this file, which must be there.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let (keys, stamp) = read(&path)?;
        let known = Mutex::new(Known { keys, stamp, since: Instant::now() });
        Ok(Self { path, known })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one that seals is the last.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().all.iter().map(Key::id).collect()
    }

    /// The one that shall seal when everybody has it.
    pub fn next(&self) -> Option<KeyId> {
        self.keys().next
    }

    /// The key that seals, and how long this process has known that, as the file says now.
    pub fn newest(&self) -> Result<(KeyId, Duration)> {
        self.look_again()?;
        let known = self.known();
        let newest = known.keys.all.last().ok_or_else(|| key_file::empty(&self.path))?;
        Ok((newest.id(), known.since.elapsed()))
    }

    /// [`Error::Unavailable`] while the file cannot be read.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        self.look_again()?;
        let keys = self.keys();
        let newest = keys.all.last().ok_or_else(|| key_file::empty(&self.path))?;
        let data_key = random().map_err(|error| Error::Unavailable(error.to_string()))?;
        let data_key = Key::new(data_key);
        let mut sealed = wrap(newest, &data_key);
        sealed.extend(data_key.seal(context.as_bytes(), plain));
        Ok(sealed)
    }

    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = |reason: &str| Error::Damaged(format!("the secret of {context} {reason}"));
        let other = || damaged("was changed, belongs to another record, or was sealed with another key");
        match Sealed::of(context, sealed)? {
            Sealed::Bare(text) => {
                let keys = self.keys();
                keys.all.iter().find_map(|key| key.open(context.as_bytes(), text)).ok_or_else(other)
            }
            Sealed::Envelope { id, wrapped, text } => {
                let key = self.find(context, id)?;
                unwrap(&key, wrapped)
                    .and_then(|data_key| data_key.open(context.as_bytes(), text))
                    .ok_or_else(other)
            }
        }
    }

    /// The same secret under the newest key; `None`: it is already.
    pub fn rewrap(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let keys = self.keys();
        let newest = keys.all.last().ok_or_else(|| key_file::empty(&self.path))?;
        match Sealed::of(context, sealed)? {
            Sealed::Bare(_) => self.seal(context, &self.open(context, sealed)?).map(Some),
            Sealed::Envelope { id, .. } if id == newest.id() => Ok(None),
            Sealed::Envelope { id, wrapped, text } => {
                let data_key = unwrap(&self.find(context, id)?, wrapped);
                let data_key = data_key.ok_or_else(|| {
                    Error::Damaged(format!("the secret of {context} has a data key that was changed"))
                })?;
                Ok(Some([wrap(newest, &data_key), text.to_vec()].concat()))
            }
        }
    }

    /// Which key a secret needs to be opened.
    pub fn needed(&self, context: &str, sealed: &[u8]) -> Result<KeyId> {
        match Sealed::of(context, sealed)? {
            Sealed::Envelope { id, .. } => Ok(id),
            Sealed::Bare(text) => {
                let keys = &self.keys().all;
                let key = keys.iter().find(|key| key.open(context.as_bytes(), text).is_some());
                let known = || keys.iter().map(|key| key.id().to_string()).collect::<Vec<_>>().join(", ");
                key.map(Key::id).ok_or_else(|| {
                    Error::Damaged(format!(
                        "the secret of {context} opens with none of the keys in {} ({})",
                        self.path.display(),
                        known()
                    ))
                })
            }
        }
    }

    /// Makes the next key, in the file first; if there is one already, that is it.
    pub fn add_next(&self) -> Result<KeyId> {
        let key = Key::new(random().map_err(|error| key_file::unavailable(&self.path, "add to", &error))?);
        key_file::change(&self.path, |keys| {
            if keys.next.is_none() {
                keys.next = Some(key.id());
                keys.all.insert(0, key);
            }
        })?;
        self.reload()?;
        self.next().ok_or_else(|| key_file::empty(&self.path))
    }

    /// The next key seals from now on. That everybody has it, the caller has made sure of.
    pub fn promote(&self, id: KeyId) -> Result<()> {
        key_file::change(&self.path, |keys| {
            if keys.next.take_if(|next| *next == id).is_some() {
                let (next, mut all): (Vec<Key>, Vec<Key>) =
                    keys.all.drain(..).partition(|key| key.id() == id);
                all.extend(next);
                keys.all = all;
            }
        })?;
        self.reload()
    }

    /// Takes a key out of the file. That nothing needs it, the caller has made sure of.
    pub fn remove(&self, id: KeyId) -> Result<()> {
        key_file::change(&self.path, |keys| {
            keys.all.retain(|key| key.id() != id);
            keys.next.take_if(|next| *next == id);
        })?;
        self.reload()
    }

    fn find(&self, context: &str, id: KeyId) -> Result<Key> {
        let of = |keys: &Keys| keys.all.iter().find(|key| key.id() == id).cloned();
        if let Some(key) = of(&self.keys()) {
            return Ok(key);
        }
        self.look_again()?;
        of(&self.keys()).ok_or_else(|| {
            Error::Damaged(format!(
                "the secret of {context} is sealed with key {id}, which is not in {}: put that key back into the file, above the last \
                 line (the last key seals), from where it was made or from a copy of the file",
                self.path.display()
            ))
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.known().keys)
    }

    /// A file that cannot be read now leaves the keys that are known.
    fn look_again(&self) -> Result<()> {
        let now = Stamp::of(&self.path).map_err(|error| key_file::unavailable(&self.path, "read", &error))?;
        if now == self.known().stamp { Ok(()) } else { self.reload() }
    }

    fn reload(&self) -> Result<()> {
        let (keys, stamp) = read(&self.path)?;
        let mut known = self.known();
        if known.keys.all.last().map(Key::id) != keys.all.last().map(Key::id) {
            known.since = Instant::now();
        }
        (known.keys, known.stamp) = (keys, stamp);
        Ok(())
    }
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKeys").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The stamp is that of before: what changes while it is read is read again.
fn read(path: &Path) -> Result<(Arc<Keys>, Stamp)> {
    let stamp = Stamp::of(path).map_err(|error| key_file::unavailable(path, "read", &error))?;
    Ok((Arc::new(key_file::load(path)?), stamp))
}

/// The parts of what is stored.
enum Sealed<'a> {
    Bare(&'a [u8]),
    Envelope { id: KeyId, wrapped: &'a [u8], text: &'a [u8] },
}

impl<'a> Sealed<'a> {
    fn of(context: &str, sealed: &'a [u8]) -> Result<Self> {
        let damaged = |reason: &str| Error::Damaged(format!("the secret of {context} {reason}"));
        match sealed.split_first() {
            Some((&BARE, text)) => Ok(Self::Bare(text)),
            Some((&ENVELOPE, rest)) => {
                let split = || {
                    let (id, rest) = rest.split_first_chunk()?;
                    let (wrapped, text) = rest.split_at_checked(WRAPPED)?;
                    Some(Self::Envelope { id: KeyId(*id), wrapped, text })
                };
                split().ok_or_else(|| damaged("is cut short"))
            }
            Some(_) => Err(damaged("is of a format that this program does not know")),
            None => Err(damaged("is cut short")),
        }
    }
}

/// Format, id, data key: what comes before the body.
fn wrap(key: &Key, data_key: &Key) -> Vec<u8> {
    let mut head = vec![ENVELOPE];
    head.extend(key.id().0);
    let wrapped = key.seal(&head, data_key.bytes());
    head.extend(wrapped);
    head
}

fn unwrap(key: &Key, wrapped: &[u8]) -> Option<Key> {
    let mut head = vec![ENVELOPE];
    head.extend(key.id().0);
    key.open(&head, wrapped)?.try_into().ok().map(Key::new)
}
