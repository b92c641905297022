//! Replacing the key that seals secrets, while providers run.
//!
//! [`rotate`] makes the next key; when every provider on the store has it, it seals, and the data key of every stored secret is put
//! under it, record by record, each by compare-and-swap: who writes a secret meanwhile is never overwritten. Killed anywhere, it goes on
//! when it is called again. [`remove`] takes an old key away once nothing needs it and no provider has sealed with it for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livedata_store::sealed::{KeyId, SealingKeys};
use livedata_store::{Change, Record, Store, lease};

use crate::document::Document;
use crate::errors::{Failure, Outcome};
use crate::install_keys::{self, StoredKey};
use crate::kind::ResourceKind;
use crate::leases::{self, Says};
use crate::registry;

/// A request that sealed a secret with the key that was the newest when it began has ended, one way or the other, when this
/// time has passed.
const LONGEST_REQUEST: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error(
        "the store or a document in it cannot be read or written; what was done stays done, run the same command again to go on"
    )]
    Store(#[source] Box<Failure>),
    #[error("the file of sealing keys cannot be used")]
    Keys(#[source] livedata_store::Error),
    #[error(
        "the file has the next key {key}, and {count} of the providers on this store do not have it yet, so nothing is sealed with it: \
         copy the file to their machines (they notice it by themselves; what one has that cannot use it, its log and /readyz say; one of an \
         older version is brought to this one or stopped), then run the same command again"
    )]
    NotEverywhere { key: KeyId, count: usize },
    #[error(
        "a provider on this store has key {0}, which is not in the file: run the command where that provider's file is, or copy that \
         file here first"
    )]
    OtherFile(KeyId),
    #[error(
        "a provider on this store has sealed with key {key} for less than {} seconds, or not at all: a request that began before may \
         still store a secret under an older key; wait, then run the same command again",
        LONGEST_REQUEST.as_secs()
    )]
    NotLongEnough { key: KeyId },
    #[error(
        "{count} secrets or records cannot be read and were left as they are; the first: {first}. Put the missing key back, or PUT those \
         resources again with their secrets, or use the newest version of this program; then run the same command again"
    )]
    Unreadable { count: usize, first: String },
    #[error(
        "key {key} is still needed by {secrets} secrets: run `livedata store rotate-key` without --remove first"
    )]
    StillNeeded { key: KeyId, secrets: u64 },
    #[error(
        "key {0} is the newest one, which seals: run `livedata store rotate-key` without --remove to have a newer one first"
    )]
    Newest(KeyId),
    #[error("there is no key {0} in the file")]
    NoSuchKey(KeyId),
    #[error(
        "the file of keys was changed less than {} seconds ago: a request that began before may still store a secret under key {key}; \
         wait, then run the same command again",
        LONGEST_REQUEST.as_secs()
    )]
    TooEarly { key: KeyId },
}

impl From<Failure> for RotationError {
    fn from(failure: Failure) -> Self {
        Self::Store(Box::new(failure))
    }
}

/// What a rotation has done.
#[derive(Debug)]
pub struct Rotated {
    /// The newest.
    pub key: KeyId,
    /// It was made by an earlier rotation that had not come to its end.
    pub resumed: bool,
    pub secrets: u64,
    pub rewrapped: u64,
    /// Keys in the file that no secret needs any more.
    pub unneeded: Vec<KeyId>,
}

/// What the secrets in a store need.
#[derive(Debug, Default)]
pub struct Survey {
    by_key: BTreeMap<KeyId, u64>,
    rewrapped: u64,
    /// Why, for each that opens with no key.
    unreadable: Vec<String>,
    /// Records in which no secret can be found, for they are not what this version knows.
    damaged: Vec<String>,
}

impl Survey {
    fn secrets(&self) -> u64 {
        self.by_key.values().sum::<u64>() + self.unreadable.len() as u64
    }

    fn needs(&self, key: KeyId) -> u64 {
        self.by_key.get(&key).copied().unwrap_or(0)
    }

    fn add(&mut self, other: Self) {
        self.rewrapped += other.rewrapped;
        self.unreadable.extend(other.unreadable);
        self.damaged.extend(other.damaged);
        for (id, secrets) in other.by_key {
            *self.by_key.entry(id).or_default() += secrets;
        }
    }
}

/// Every secret under a new key; or under the newest one, if an earlier call was interrupted.
pub async fn rotate(store: &dyn Store, keys: &SealingKeys) -> Result<Rotated, RotationError> {
    let before = survey(store, keys, Pass::Look).await?;
    let ids = keys.ids();
    let newest = ids.last().copied();
    // A secret whose key is lost does not count: no rotation can help it.
    let left = before.by_key.keys().any(|id| Some(*id) != newest && ids.contains(id));
    let begun = keys.next().or(newest.filter(|_| left));
    let resumed = begun.is_some();
    let key = match begun {
        Some(key) => key,
        None => {
            let said = lease::living(store, leases::TERMS, |_| true).await.map_err(Failure::from)?;
            let others = said.iter().flat_map(|(_, body)| Says::read(body).keys().collect::<Vec<_>>());
            match others.into_iter().find(|key| !ids.contains(key)) {
                Some(key) => return Err(RotationError::OtherFile(key)),
                None => keys.add_next().await.map_err(RotationError::Keys)?,
            }
        }
    };
    let lacking = providers_that(store, |says| !says.keys().any(|id| id == key)).await?;
    if lacking > 0 {
        return Err(RotationError::NotEverywhere { key, count: lacking });
    }
    // Also when an earlier rotation has made it, or another process: it must open here before anything is put under it.
    keys.must_be_open(key).map_err(RotationError::Keys)?;
    keys.promote(key).map_err(RotationError::Keys)?;
    let mut rewrapped = 0;
    // A secret that was stored behind the walk, by a request that began before, is found by the next one.
    let after = loop {
        let pass = survey(store, keys, Pass::Rewrap).await?;
        rewrapped += pass.rewrapped;
        if pass.rewrapped == 0 {
            break pass;
        }
    };
    let closed = after.unreadable.len() + after.damaged.len();
    if let Some(first) = after.unreadable.iter().chain(&after.damaged).next() {
        return Err(RotationError::Unreadable { count: closed, first: first.clone() });
    }
    let unneeded = keys.ids().into_iter().filter(|id| *id != key && after.needs(*id) == 0).collect();
    Ok(Rotated { key, resumed, secrets: after.secrets(), rewrapped, unneeded })
}

/// Takes a key out of the file that no secret needs.
pub async fn remove(store: &dyn Store, keys: &SealingKeys, key: KeyId) -> Result<(), RotationError> {
    let ids = keys.ids();
    if !ids.contains(&key) {
        return Err(RotationError::NoSuchKey(key));
    }
    if ids.last() == Some(&key) {
        return Err(RotationError::Newest(key));
    }
    let changed = std::fs::metadata(keys.path()).and_then(|file| file.modified());
    // A clock that was set back makes it young.
    if changed.is_ok_and(|at| at.elapsed().unwrap_or_default() < LONGEST_REQUEST) {
        return Err(RotationError::TooEarly { key });
    }
    let newest = ids.last().copied().unwrap_or(key);
    if providers_that(store, |says| !says.seals_with(newest, LONGEST_REQUEST)).await? > 0 {
        return Err(RotationError::NotLongEnough { key: newest });
    }
    let needed = survey(store, keys, Pass::Look).await?;
    // What cannot be read may need it.
    let closed = needed.damaged.len() + needed.unreadable.len();
    if let Some(first) = needed.damaged.iter().chain(&needed.unreadable).next() {
        return Err(RotationError::Unreadable { count: closed, first: first.clone() });
    }
    match needed.needs(key) {
        0 => keys.remove(key).map_err(RotationError::Keys),
        secrets => Err(RotationError::StillNeeded { key, secrets }),
    }
}

/// How many of the living.
async fn providers_that(store: &dyn Store, are: impl Fn(&Says) -> bool) -> Outcome<usize> {
    let living = lease::living(store, leases::TERMS, |body| !are(&Says::read(body))).await?;
    Ok(living.iter().filter(|(_, body)| are(&Says::read(body))).count())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    Look,
    Rewrap,
}

async fn survey(store: &dyn Store, keys: &SealingKeys, pass: Pass) -> Outcome<Survey> {
    let mut survey = Survey::default();
    for kind in registry::KINDS {
        kind.survey(store, keys, pass, &mut survey).await?;
    }
    let of_install_key = |record: &Record, visit: &mut Visit<'_>| {
        let key: StoredKey = serde_json::from_slice(&record.body)?;
        let (context, sealed) = key.sealed(&record.key);
        visit.secret(&context, sealed);
        Ok(())
    };
    walk(store, keys, pass, &mut survey, install_keys::COLLECTION, of_install_key).await?;
    Ok(survey)
}

/// All resources of a type.
pub async fn walk_resources<K: ResourceKind>(
    store: &dyn Store,
    keys: &SealingKeys,
    pass: Pass,
    survey: &mut Survey,
) -> Outcome<()> {
    let of_resource = |record: &Record, visit: &mut Visit<'_>| {
        let document: Document<K::Spec> = serde_json::from_slice(&record.body)?;
        let Document { guid, spec, applied, .. } = &document;
        for spec in std::iter::once(spec).chain(applied.as_ref().map(|applied| &applied.spec)) {
            if let Some((context, sealed)) = K::sealed(guid, spec) {
                visit.secret(&context.text(), &sealed.0);
            }
        }
        Ok(())
    };
    walk(store, keys, pass, survey, K::DESCRIPTION.collection, of_resource).await
}

/// One record's secrets.
struct Visit<'a> {
    keys: &'a SealingKeys,
    pass: Pass,
    found: Survey,
    /// What each was and is. A resource's intent and what was applied of it hold the same secret in the same form, or two.
    seen: Vec<(String, String)>,
}

impl Visit<'_> {
    /// Base64, as it is stored. Counts it under the key that it needs, after it was put under the newest one if that is wanted.
    fn secret(&mut self, context: &str, sealed: &str) {
        if self.seen.iter().any(|(before, _)| before == sealed) {
            return;
        }
        match self.renew(context, sealed) {
            Ok((id, now)) => {
                *self.found.by_key.entry(id).or_default() += 1;
                self.seen.push((sealed.to_owned(), now));
            }
            Err(error) => {
                self.found.unreadable.push(error.to_string());
                self.seen.push((sealed.to_owned(), sealed.to_owned()));
            }
        }
    }

    fn renew(&mut self, context: &str, sealed: &str) -> livedata_store::Result<(KeyId, String)> {
        let bytes = STANDARD.decode(sealed).map_err(|_| {
            livedata_store::Error::Damaged(format!("the secret of {context} is not what was stored"))
        })?;
        let rewrapped = match self.pass {
            Pass::Look => None,
            Pass::Rewrap => self.keys.rewrap(context, &bytes)?,
        };
        let needed = self.keys.needed(context, rewrapped.as_ref().unwrap_or(&bytes))?;
        self.found.rewrapped += u64::from(rewrapped.is_some());
        Ok((needed, rewrapped.map_or_else(|| sealed.to_owned(), |rewrapped| STANDARD.encode(rewrapped))))
    }

    /// The record with its secrets as they now are, and everything else as another version may have written it: Base64 stands in
    /// JSON as it is, and no sealed secret is part of another.
    fn renewed(&self, body: Vec<u8>) -> Outcome<Vec<u8>> {
        let text = String::from_utf8(body)
            .map_err(|_| livedata_store::Error::Damaged("a record is not JSON".to_owned()))?;
        Ok(self.seen.iter().fold(text, |text, (was, is)| text.replace(was, is)).into_bytes())
    }
}

/// All records of a collection. `visit` shows the secrets of one and gives its new body.
async fn walk(
    store: &dyn Store,
    keys: &SealingKeys,
    pass: Pass,
    survey: &mut Survey,
    collection: &'static str,
    visit: impl Fn(&Record, &mut Visit<'_>) -> Outcome<()> + Send + Sync,
) -> Outcome<()> {
    const PAGE: usize = 200;
    let mut after: Option<String> = None;
    loop {
        let page = store.list(collection, "", after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|record| record.key.clone());
        for record in page {
            let mut now = Some(record);
            // Read and judged again when somebody else has written it meanwhile.
            while let Some(record) = now.take() {
                let mut one = Visit { keys, pass, found: Survey::default(), seen: Vec::new() };
                if let Err(error) = visit(&record, &mut one) {
                    // One damaged record does not keep all others under the old key.
                    one.found.damaged.push(format!("{} in {collection}: {error}", record.key));
                } else if one.found.rewrapped > 0 {
                    let change = Change::new().expect(collection, record.key.as_str(), Some(record.version));
                    let body = one.renewed(record.body)?;
                    match store.commit(change.put(collection, record.key.as_str(), body)).await {
                        Err(livedata_store::Error::Conflict { .. }) => {
                            now = store.get(collection, &record.key).await?;
                            continue;
                        }
                        done => done?,
                    }
                }
                survey.add(one.found);
            }
        }
        if last {
            return Ok(());
        }
    }
}
