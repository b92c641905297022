//! Long-running operations: their records, and the two addresses under which clients follow them (rules 80–87).
//!
//! An id is random and found only by callers of the same subscription, location and, where the front door tells it, tenant.
//! Records outlive their resource and are removed 7 days after the operation ended.

use livedata_arm::{ArmError, ErrorDetail, OperationStatus};
use livedata_store::{Change, Store};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::clock::rfc3339;
use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::request::Request;
use crate::view::View;

pub const COLLECTION: &str = "operations";
/// Keys `{end, seconds, 20 digits}|{operation key}`: what may be removed, oldest first.
pub const EXPIRY: &str = "operation_expiry";
/// Keys are those of resources: what the controllers have to bring to an end.
pub const WORK: &str = "work";

pub const KEPT: Duration = Duration::days(7);

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Verb {
    Put,
    Patch,
    Delete,
    Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    InProgress,
    Succeeded,
    Failed,
    Canceled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub id: String,
    pub subscription: String,
    pub location: String,
    pub resource_id: String,
    pub verb: Verb,
    /// Of the caller, as the front door names it (rule 86).
    #[serde(default)]
    pub tenant: Option<String>,
    pub state: State,
    /// RFC 3339.
    pub start: String,
    pub end: Option<String>,
    /// HTTP status and body of the failure.
    pub error: Option<(u16, ErrorDetail)>,
}

/// What is pending for one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Type path of the resource, e.g. `migrators/targets`.
    pub resource_type: String,
    pub operation: String,
}

impl Operation {
    pub fn begin(
        resource_id: &str,
        subscription: &str,
        location: &str,
        verb: Verb,
        request: &Request,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            subscription: subscription.to_owned(),
            location: location.to_owned(),
            resource_id: resource_id.to_owned(),
            verb,
            tenant: request.tenant.clone(),
            state: State::InProgress,
            start: rfc3339(now),
            end: None,
            error: None,
        }
    }

    pub fn key(&self) -> String {
        self.id.clone()
    }

    pub fn error(&self) -> Option<ArmError> {
        let (status, detail) = self.error.clone()?;
        Some(ArmError {
            status,
            code: detail.code,
            message: detail.message,
            target: detail.target,
            details: detail.details,
        })
    }

    pub fn status(&self, view: &View) -> OperationStatus {
        let namespace = view.namespace();
        OperationStatus {
            id: self.path(namespace, "operationStatuses"),
            name: self.id.clone(),
            status: format!("{:?}", self.state),
            resource_id: Some(view.show(&self.resource_id)),
            start_time: self.start.clone(),
            end_time: self.end.clone(),
            percent_complete: (self.state == State::Succeeded).then_some(100.0),
            error: self.error().map(|error| view.show_error(error).into_detail()),
        }
    }

    /// `kind` is `operationStatuses` or `operationResults`.
    pub fn path(&self, namespace: &str, kind: &str) -> String {
        let Self { subscription, location, id, .. } = self;
        format!("/subscriptions/{subscription}/providers/{namespace}/locations/{location}/{kind}/{id}")
    }

    /// Records the start: the operation and the work of the resource, in the resource's own transaction.
    pub fn record(&self, change: Change, resource_type: &str) -> Outcome<Change> {
        let work = Work { resource_type: resource_type.to_owned(), operation: self.key() };
        let change = document::put(change, COLLECTION, &self.key(), self)?;
        document::put(change, WORK, &self.resource_id.to_lowercase(), &work)
    }

    /// Records the end. The caller removes or replaces the resource's work.
    pub fn end(
        mut self,
        change: Change,
        state: State,
        error: Option<ArmError>,
        now: OffsetDateTime,
    ) -> Outcome<Change> {
        self.state = state;
        self.end = Some(rfc3339(now));
        self.error = error.map(|error| (error.status, error.into_detail()));
        let key = self.key();
        let change = document::put(change, COLLECTION, &key, &self)?;
        Ok(change.put(EXPIRY, format!("{:020}|{key}", now.unix_timestamp()), Vec::new()))
    }
}

/// Which operation a client asks for.
#[derive(Clone, Debug)]
pub struct Followed {
    /// `None`: the scope of the tenant.
    pub subscription: Option<String>,
    pub location: String,
    pub id: String,
}

impl Followed {
    fn is(&self, operation: &Operation, tenant: Option<&str>) -> bool {
        let same_subscription = self
            .subscription
            .as_ref()
            .is_none_or(|subscription| subscription.eq_ignore_ascii_case(&operation.subscription));
        let same_tenant = match (&operation.tenant, tenant) {
            (Some(owner), Some(caller)) => owner.eq_ignore_ascii_case(caller),
            // Without a subscription in the path, the tenant is what keeps others out.
            (Some(_), None) => self.subscription.is_some(),
            (None, _) => true,
        };
        same_subscription && same_tenant && self.location.eq_ignore_ascii_case(&operation.location)
    }
}

pub async fn read(store: &dyn Store, key: &str) -> Outcome<Option<Operation>> {
    let Some(record) = store.get(COLLECTION, key).await? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&record.body)?))
}

/// An operation that a client asks for.
pub async fn find(core: &Core, request: &Request, at: &Followed) -> Outcome<Operation> {
    let (store, now) = (core.store.as_ref(), core.clock.now());
    let expired = |operation: &Operation| {
        let end = operation.end.as_deref().and_then(crate::clock::parse_rfc3339);
        end.is_some_and(|end| end + KEPT < now)
    };
    match read(store, &at.id.to_lowercase()).await? {
        Some(operation) if !expired(&operation) && at.is(&operation, request.tenant.as_deref()) => {
            Ok(operation)
        }
        _ => Err(errors::OPERATION_NOT_FOUND
            .error("There is no such operation here; operations are kept for 7 days after their end.")
            .into()),
    }
}

/// Removes a batch of records that ended more than 7 days ago; `true`: there may be more.
pub async fn remove_expired(store: &dyn Store, now: OffsetDateTime) -> Outcome<bool> {
    const BATCH: usize = 200;
    let limit = format!("{:020}", (now - KEPT).unix_timestamp());
    let entries = store.list(EXPIRY, "", None, BATCH).await?;
    let expired: Vec<_> = entries.into_iter().filter(|entry| entry.key < limit).collect();
    let mut change = Change::new();
    for entry in &expired {
        if let Some((_, operation)) = entry.key.split_once('|') {
            change = change.remove(COLLECTION, operation);
        }
        change = change.remove(EXPIRY, entry.key.as_str());
    }
    if !expired.is_empty() {
        store.commit(change).await?;
    }
    Ok(expired.len() == BATCH)
}
