//! A resource as it is stored: intent, what of it has become desired state, and where its last operation stands.

use livedata_arm::{Plan, ProvisioningState, SystemData, Tags};
use livedata_store::{Change, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::errors::Outcome;

/// `S` is the internal model of the resource type.
///
/// `revision` grows with what the user may write and makes the etag; `generation` grows with every change of `spec` and
/// is what agents are told. What an agent observed is not in here, so reports never disturb a user's compare-and-swap.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document<S> {
    /// With the casing that the user gave last (rule 12).
    pub id: String,
    /// Made with the resource: tells a resource from an earlier one of the same name.
    pub guid: String,
    /// Proxy resources: that of their parent.
    pub location: String,
    pub tags: Tags,
    /// Of a purchase in the marketplace: kept, and without effect here.
    #[serde(default)]
    pub plan: Option<Plan>,
    pub revision: u64,
    pub generation: u64,
    pub spec: S,
    /// The part of the intent that agents are told; `None` until the first operation has succeeded.
    pub applied: Option<Applied<S>>,
    pub provisioning: ProvisioningState,
    /// Key of the operation that is going on.
    pub operation: Option<String>,
    pub system_data: Option<SystemData>,
    /// W3C `traceparent` of the request that changed it last.
    #[serde(default)]
    pub trace: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Applied<S> {
    pub generation: u64,
    pub spec: S,
}

impl<S> Document<S> {
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.guid, self.revision)
    }

    pub fn key(&self) -> String {
        self.id.to_lowercase()
    }

    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or("")
    }

    /// The intent, as it now is, is what agents are told from now on.
    pub fn apply(&mut self, spec: S)
    where
        S: Clone + PartialEq,
    {
        if let Some(applied) = &self.applied
            && applied.spec != spec
            && applied.generation >= self.generation
        {
            self.generation = applied.generation + 1;
        }
        self.spec = spec.clone();
        self.applied = Some(Applied { generation: self.generation, spec });
    }
}

/// A document together with the version that a write must still find.
#[derive(Clone, Debug)]
pub struct Loaded<S> {
    pub document: Document<S>,
    pub version: u64,
}

pub async fn load<S: DeserializeOwned>(
    store: &dyn Store,
    collection: &str,
    key: &str,
) -> Outcome<Option<Loaded<S>>> {
    let Some(record) = store.get(collection, key).await? else { return Ok(None) };
    Ok(Some(Loaded { document: serde_json::from_slice(&record.body)?, version: record.version }))
}

/// A page of documents whose keys begin with `prefix`.
pub async fn list<S: DeserializeOwned>(
    store: &dyn Store,
    collection: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Vec<Loaded<S>>> {
    let records = store.list(collection, prefix, after, limit).await?;
    records
        .into_iter()
        .map(|record| Ok(Loaded { document: serde_json::from_slice(&record.body)?, version: record.version }))
        .collect()
}

/// All documents whose keys begin with `prefix`, read page by page; for what hangs below one migrator.
pub async fn all<S: DeserializeOwned>(
    store: &dyn Store,
    collection: &str,
    prefix: &str,
) -> Outcome<Vec<Loaded<S>>> {
    const PAGE: usize = 500;
    let mut all: Vec<Loaded<S>> = Vec::new();
    loop {
        let after = all.last().map(|last| last.document.key());
        let page = list::<S>(store, collection, prefix, after.as_deref(), PAGE).await?;
        let ended = page.len() < PAGE;
        all.extend(page);
        if ended {
            return Ok(all);
        }
    }
}

/// Puts a record of JSON into a change.
pub fn put<T: Serialize>(change: Change, collection: &'static str, key: &str, body: &T) -> Outcome<Change> {
    Ok(change.put(collection, key, serde_json::to_vec(body)?))
}
