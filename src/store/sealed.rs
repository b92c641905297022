//! Secrets at rest, in envelopes: each body is sealed with AES-256-GCM under a random key of its own (its *data key*), and
//! that under a *key-encryption key* that lives in a file apart from the store ([`key_file`]).
//!
//! There may be several key-encryption keys, each with an id: the newest, the last in the file, seals, all of them open. So a key can be replaced
//! without touching bodies: [`SealingKeys::rewrap`] puts a data key under the newest one. One that is made is only the *next* at
//! first: it opens and does not seal until everybody has it ([`SealingKeys::promote`]). Nothing is sealed while the file says
//! something that cannot be read: what the newest key is, is not known then, and the one from before may be about to go.
//!
//! The file may hold keys as they are, or wrapped by a key that is kept elsewhere ([`WrappingKey`]). Those that are wrapped are known
//! when [`SealingKeys::refresh`] has had them unwrapped, and are in the clear in this process's memory only.
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
mod wrapping;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use key::KeyId;
use key::{Key, LENGTH, random};
use key_file::{Line, Lines, Stamp};
pub use wrapping::{Wrapped, WrappingKey};

use crate::{Error, Result};

const BARE: u8 = 1;
const ENVELOPE: u8 = 2;
/// A data key under a key-encryption key.
const WRAPPED: usize = key::OVERHEAD + LENGTH;

/// The key-encryption keys of a file. Another process may add to the file: it is looked at again when something is sealed, or is
/// found sealed with a key that is not known yet.
pub struct SealingKeys {
    path: PathBuf,
    wrapping: Option<Arc<dyn WrappingKey>>,
    known: Mutex<Known>,
}

struct Known {
    keys: Arc<Keys>,
    /// Of the file that they come from.
    stamp: Stamp,
    /// When the newest was first known to be it.
    since: Instant,
    /// Why keys could not be unwrapped when that was last tried.
    trouble: Vec<(KeyId, String)>,
}

/// What the file says, and as much of it as can be used.
struct Keys {
    lines: Lines,
    /// In the order of the file; those that are still wrapped are missing.
    open: Vec<Open>,
}

#[derive(Clone)]
struct Open {
    key: Key,
    /// What it was unwrapped from.
    wrapped: Option<Wrapped>,
}

impl Keys {
    /// A line that is wrapped is open when just that was unwrapped before. A line that says something else now may open no
    /// more at the next start, so nothing may be sealed on the strength of its id.
    fn new(lines: Lines, unwrapped: &[Open]) -> Self {
        let open = |line: &Line| match line {
            Line::Plain(key) => Some(Open { key: key.clone(), wrapped: None }),
            Line::Wrapped(id, wrapped) => unwrapped
                .iter()
                .find(|open| open.key.id() == *id && open.wrapped.as_ref() == Some(wrapped))
                .cloned(),
        };
        let open = lines.all.iter().filter_map(open).collect();
        Self { lines, open }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.open.iter().map(|open| &open.key)
    }

    fn newest_id(&self) -> Option<KeyId> {
        self.lines.all.last().map(Line::id)
    }

    fn get(&self, id: KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id() == id)
    }

    fn wrapped(&self) -> impl Iterator<Item = (KeyId, &Wrapped)> {
        self.lines.all.iter().filter_map(|line| match line {
            Line::Wrapped(id, wrapped) if self.get(*id).is_none() => Some((*id, wrapped)),
            _ => None,
        })
    }
}

impl SealingKeys {
    /// The keys in this file; a missing file is made with one, mode 0600. A file that others may read is refused.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if key_file::is_missing(path)? {
            key_file::create(path, &Line::Plain(new_key(path)?))?;
        }
        Self::load(path)
    }

    /// The keys in this file, which must be there and not be wrapped.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let keys = Self::new(path.as_ref(), None)?;
        match keys.keys().wrapped().next() {
            None => Ok(keys),
            Some((id, _)) => Err(keys.still_wrapped(id)),
        }
    }

    /// As [`Self::load_or_create`], with keys that are or will be wrapped. Only a file that must be made needs the wrapping key
    /// now; what is in one comes with [`Self::refresh`].
    pub async fn load_or_create_wrapped(
        path: impl AsRef<Path>,
        wrapping: Arc<dyn WrappingKey>,
    ) -> Result<Self> {
        let path = path.as_ref();
        if key_file::is_missing(path)? {
            let (line, _) = wrap_with(wrapping.as_ref(), &new_key(path)?).await?;
            key_file::create(path, &line)?;
        }
        Self::load_wrapped(path, wrapping)
    }

    /// As [`Self::load`]; what is wrapped comes with [`Self::refresh`].
    pub fn load_wrapped(path: impl AsRef<Path>, wrapping: Arc<dyn WrappingKey>) -> Result<Self> {
        Self::new(path.as_ref(), Some(wrapping))
    }

    fn new(path: &Path, wrapping: Option<Arc<dyn WrappingKey>>) -> Result<Self> {
        let (lines, stamp) = read(path)?;
        let keys = Arc::new(Keys::new(lines, &[]));
        let known = Mutex::new(Known { keys, stamp, since: Instant::now(), trouble: Vec::new() });
        Ok(Self { path: path.to_owned(), wrapping, known })
    }

    /// Looks at the file again and has unwrapped what is in it and is not known yet. [`Error::KeyUnavailable`] if some could not be
    /// unwrapped; the others are known then all the same.
    pub async fn refresh(&self) -> Result<()> {
        self.look_again()?;
        let keys = self.keys();
        let (mut unwrapped, mut trouble) = (Vec::new(), Vec::new());
        for (id, wrapped) in keys.wrapped() {
            match self.unwrap(id, wrapped).await {
                Ok(key) => unwrapped.push(Open { key, wrapped: Some(wrapped.clone()) }),
                Err(error) => trouble.push((id, error)),
            }
        }
        self.add(unwrapped);
        let first = trouble.first().map(|(_, error)| error.clone());
        self.known().trouble = trouble.into_iter().map(|(id, error)| (id, reason(error))).collect();
        first.map_or(Ok(()), Err)
    }

    fn add(&self, mut unwrapped: Vec<Open>) {
        let mut known = self.known();
        unwrapped.extend(known.keys.open.iter().cloned());
        known.keys = Arc::new(Keys::new(known.keys.lines.clone(), &unwrapped));
    }

    async fn unwrap(&self, id: KeyId, wrapped: &Wrapped) -> Result<Key> {
        let wrapping = self.wrapping.as_ref().ok_or_else(|| self.still_wrapped(id))?;
        unwrap_with(wrapping.as_ref(), id, wrapped).await
    }

    fn still_wrapped(&self, id: KeyId) -> Error {
        let path = self.path.display();
        let trouble = self.known().trouble.iter().find(|(of, _)| *of == id).map(|(_, why)| why.clone());
        Error::KeyUnavailable(match (&self.wrapping, trouble) {
            (None, _) => format!(
                "key {id} in {path} is wrapped by a key of Azure Key Vault, and this program was started without one: set `keyVaultKey` in \
                 provider.json and restart the provider; `livedata store rotate-key` reads it with --data"
            ),
            (Some(_), Some(why)) => format!("key {id} in {path} could not be unwrapped: {why}"),
            (Some(_), None) => format!("key {id} in {path} is being unwrapped"),
        })
    }

    /// Why a key of the file cannot be used.
    pub fn must_be_open(&self, id: KeyId) -> Result<()> {
        self.keys().get(id).map(drop).ok_or_else(|| self.still_wrapped(id))
    }

    /// Those that are still wrapped.
    pub fn closed_ids(&self) -> Vec<KeyId> {
        self.keys().wrapped().map(|(id, _)| id).collect()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of the file. The one that seals is the last.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().lines.all.iter().map(Line::id).collect()
    }

    /// Those that are not still wrapped.
    pub fn open_ids(&self) -> Vec<KeyId> {
        self.keys().keys().map(Key::id).collect()
    }

    /// Keys that lie in the file as they are, although there is a key to wrap them.
    pub fn unwrapped_in_file(&self) -> Vec<KeyId> {
        let keys = self.keys();
        let plain = keys.lines.all.iter().filter(|line| matches!(line, Line::Plain(_)));
        plain.filter(|_| self.wrapping.is_some()).map(Line::id).collect()
    }

    /// The one that shall seal when everybody has it.
    pub fn next(&self) -> Option<KeyId> {
        self.keys().lines.next
    }

    /// The key that seals, and how long this process has known that, as the file says now. [`Error::KeyUnavailable`] while it
    /// cannot be used.
    pub fn newest(&self) -> Result<(KeyId, Duration)> {
        self.look_again()?;
        let id = self.newest_key()?.id();
        Ok((id, self.known().since.elapsed()))
    }

    fn newest_key(&self) -> Result<Key> {
        let keys = self.keys();
        let id = keys.newest_id().ok_or_else(|| key_file::empty(&self.path))?;
        keys.get(id).cloned().ok_or_else(|| self.still_wrapped(id))
    }

    /// [`Error::KeyUnavailable`] while the file cannot be read, or its newest key is still wrapped.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        self.look_again()?;
        let newest = self.newest_key()?;
        let data_key = random().map_err(|error| Error::KeyUnavailable(error.to_string()))?;
        let data_key = Key::new(data_key);
        let mut sealed = wrap(&newest, &data_key);
        sealed.extend(data_key.seal(context.as_bytes(), plain));
        Ok(sealed)
    }

    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = |reason: &str| Error::Damaged(format!("the secret of {context} {reason}"));
        let other = || damaged("was changed, belongs to another record, or was sealed with another key");
        match Sealed::of(context, sealed)? {
            Sealed::Bare(text) => {
                let keys = self.keys();
                keys.keys().find_map(|key| key.open(context.as_bytes(), text)).ok_or_else(other)
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
        let newest = self.newest_key()?;
        match Sealed::of(context, sealed)? {
            Sealed::Bare(_) => self.seal(context, &self.open(context, sealed)?).map(Some),
            Sealed::Envelope { id, .. } if id == newest.id() => Ok(None),
            Sealed::Envelope { id, wrapped, text } => {
                let data_key = unwrap(&self.find(context, id)?, wrapped);
                let data_key = data_key.ok_or_else(|| {
                    Error::Damaged(format!("the secret of {context} has a data key that was changed"))
                })?;
                Ok(Some([wrap(&newest, &data_key), text.to_vec()].concat()))
            }
        }
    }

    /// Which key a secret needs to be opened.
    pub fn needed(&self, context: &str, sealed: &[u8]) -> Result<KeyId> {
        match Sealed::of(context, sealed)? {
            Sealed::Envelope { id, .. } => Ok(id),
            Sealed::Bare(text) => {
                let keys = self.keys();
                let key = keys.keys().find(|key| key.open(context.as_bytes(), text).is_some());
                let known = || keys.keys().map(|key| key.id().to_string()).collect::<Vec<_>>().join(", ");
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

    /// Makes the next key, in the file first; if there is one already, that is it. It is wrapped if there is a key for that, and
    /// then it was seen to open again.
    pub async fn add_next(&self) -> Result<KeyId> {
        let key = new_key(&self.path)?;
        let (line, made) = match &self.wrapping {
            Some(wrapping) => {
                let (line, open) = wrap_with(wrapping.as_ref(), &key).await?;
                (line, vec![open])
            }
            None => (Line::Plain(key), Vec::new()),
        };
        key_file::change(&self.path, |lines| {
            if lines.next.is_none() {
                lines.next = Some(line.id());
                lines.all.insert(0, line);
            }
        })?;
        self.reload()?;
        self.add(made);
        self.next().ok_or_else(|| key_file::empty(&self.path))
    }

    /// The next key seals from now on. That everybody has it, the caller has made sure of.
    pub fn promote(&self, id: KeyId) -> Result<()> {
        key_file::change(&self.path, |lines| {
            if lines.next.take_if(|next| *next == id).is_some() {
                let (next, mut all): (Vec<Line>, Vec<Line>) =
                    lines.all.drain(..).partition(|line| line.id() == id);
                all.extend(next);
                lines.all = all;
            }
        })?;
        self.reload()
    }

    /// Takes a key out of the file. That nothing needs it, the caller has made sure of.
    pub fn remove(&self, id: KeyId) -> Result<()> {
        key_file::change(&self.path, |lines| {
            lines.all.retain(|line| line.id() != id);
            lines.next.take_if(|next| *next == id);
        })?;
        self.reload()
    }

    fn find(&self, context: &str, id: KeyId) -> Result<Key> {
        if let Some(key) = self.keys().get(id) {
            return Ok(key.clone());
        }
        self.look_again()?;
        let keys = self.keys();
        match keys.get(id) {
            Some(key) => Ok(key.clone()),
            None if keys.lines.all.iter().any(|line| line.id() == id) => Err(self.still_wrapped(id)),
            None => Err(Error::Damaged(format!(
                "the secret of {context} is sealed with key {id}, which is not in {}: put that key back into the file, above the last \
                 line (the last key seals), from where it was made or from a copy of the file",
                self.path.display()
            ))),
        }
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
        let (lines, stamp) = read(&self.path)?;
        let mut known = self.known();
        let keys = Keys::new(lines, &known.keys.open);
        if known.keys.newest_id() != keys.newest_id() {
            known.since = Instant::now();
        }
        (known.keys, known.stamp) = (Arc::new(keys), stamp);
        Ok(())
    }
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealingKeys").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The stamp is that of before: what changes while it is read is read again.
fn read(path: &Path) -> Result<(Lines, Stamp)> {
    let stamp = Stamp::of(path).map_err(|error| key_file::unavailable(path, "read", &error))?;
    Ok((key_file::load(path)?, stamp))
}

fn new_key(path: &Path) -> Result<Key> {
    random().map(Key::new).map_err(|error| key_file::unavailable(path, "make a key for", &error))
}

/// A key that does not open again is none: nothing is written before that is known.
async fn wrap_with(wrapping: &dyn WrappingKey, key: &Key) -> Result<(Line, Open)> {
    let wrapped = wrapping.wrap(key.bytes()).await?;
    let key = unwrap_with(wrapping, key.id(), &wrapped).await?;
    Ok((Line::Wrapped(key.id(), wrapped.clone()), Open { key, wrapped: Some(wrapped) }))
}

async fn unwrap_with(wrapping: &dyn WrappingKey, id: KeyId, wrapped: &Wrapped) -> Result<Key> {
    let key = wrapping.unwrap(wrapped).await?.try_into().ok().map(Key::new);
    key.filter(|key| key.id() == id).ok_or_else(|| {
        let told = format!(
            "what {} has unwrapped is not key {id}: restore the file of keys from a backup",
            wrapped.by
        );
        Error::KeyUnavailable(told)
    })
}

/// Without what an outer message says again.
fn reason(error: Error) -> String {
    match error {
        Error::KeyUnavailable(reason) => reason,
        error => error.to_string(),
    }
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
