//! The life of subscriptions, as ARM tells it (rules 110–112).
//!
//! One that was never spoken of is not registered: it has nothing, and nothing can be made in it. One that is warned or suspended
//! keeps what it has, and may be read and emptied; its migrations rest until it is registered again.

use std::collections::HashMap;

use livedata_arm::etag::Preconditions;
use livedata_arm::{ArmError, ResourceId};
use livedata_model::spec::RunState;
use livedata_store::Change;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::registry;
use crate::request::{Method, Request, Response};
use crate::resources::live_data_migrations::{self, Migration};
use crate::resources::migrators::{self, Migrator};

/// By the subscription's id, lower case.
pub const COLLECTION: &str = "subscriptions";

/// The version of this part of the contract.
pub const API_VERSION: &str = "2.0";

const PAGE: usize = 200;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum State {
    Registered,
    Unregistered,
    Warned,
    Suspended,
    Deleted,
}

impl State {
    /// Whether migrations may go on.
    fn lets_run(self) -> bool {
        matches!(self, Self::Registered | Self::Unregistered)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Subscription {
    state: State,
    /// What follows from the state has not all been done.
    pending: bool,
}

/// `PUT /subscriptions/{id}?api-version=2.0`
pub async fn put(core: &Core, request: &Request, id: &str) -> Outcome<Response> {
    let body = request.document()?;
    let state = body.get("state").cloned().unwrap_or(Value::Null);
    let Ok(state) = serde_json::from_value::<State>(state) else {
        let message =
            "The state of a subscription is Registered, Unregistered, Warned, Suspended or Deleted.";
        return Err(errors::INVALID_REQUEST_CONTENT.at("state", message).into());
    };
    let key = id.to_lowercase();
    let before = load(core, &key).await?;
    let known = before.as_ref().map(|(subscription, _)| *subscription);
    if known != Some(Subscription { state, pending: false }) {
        let subscription = Subscription { state, pending: true };
        let change = Change::new().expect(COLLECTION, key.as_str(), before.map(|(_, version)| version));
        core.store.commit(document::put(change, COLLECTION, &key, &subscription)?).await?;
        let resting = known.is_some_and(|known| known.pending || !known.state.lets_run());
        finish(core, request, &key, state, resting || !state.lets_run()).await?;
    }
    Ok(Response::json(200, Value::Object(body)))
}

/// What a provider had begun when it died. What was seen before and has not changed since is nobody's any more; at the first look,
/// after a start, everything is. To finish twice does no harm.
#[derive(Default)]
pub struct Unfinished {
    /// Versions, by key. `None`: nobody has looked yet.
    seen: Option<HashMap<String, u64>>,
}

impl Unfinished {
    /// To be called again and again, with a pause in which a request comes to its end.
    pub async fn finish(&mut self, core: &Core, request: &Request) -> Outcome<()> {
        let mut pending = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = core.store.list(COLLECTION, "", after.as_deref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
            for record in page {
                let subscription: Subscription = serde_json::from_slice(&record.body)?;
                if !subscription.pending {
                    continue;
                }
                pending.insert(record.key, record.version);
            }
            if after.is_none() {
                break;
            }
        }
        let seen = self.seen.replace(pending.clone());
        for (key, version) in pending {
            let is_left = seen.as_ref().is_none_or(|seen| seen.get(&key) == Some(&version));
            // One that fails does not keep the others from their end.
            if is_left && let Err(error) = finish_left(core, request, &key, version).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    subscription = key,
                    error,
                    "what follows from its state has not all been done; that is tried again"
                );
            }
        }
        Ok(())
    }
}

/// Unless somebody has spoken of the subscription meanwhile.
async fn finish_left(core: &Core, request: &Request, key: &str, version: u64) -> Outcome<()> {
    match load(core, key).await? {
        Some((now, found)) if found == version => finish(core, request, key, now.state, true).await,
        _ => Ok(()),
    }
}

/// What follows from a state. It is done only if the state is still this one: otherwise somebody else finishes.
async fn finish(core: &Core, request: &Request, key: &str, state: State, tell: bool) -> Outcome<()> {
    if state == State::Deleted {
        delete_migrators(core, request, key).await?;
    } else if tell {
        tell_agents(core, key).await?;
    }
    match load(core, key).await? {
        Some((now, version)) if now.state == state => {
            let change = Change::new().expect(COLLECTION, key, Some(version));
            let done = Subscription { state, pending: false };
            core.store.commit(document::put(change, COLLECTION, key, &done)?).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn load(core: &Core, key: &str) -> Outcome<Option<(Subscription, u64)>> {
    let Some(record) = core.store.get(COLLECTION, key).await? else { return Ok(None) };
    Ok(Some((serde_json::from_slice(&record.body)?, record.version)))
}

/// Every migration gets another generation, so that its agent hears whether it may run.
async fn tell_agents(core: &Core, key: &str) -> Outcome<()> {
    let prefix = format!("/subscriptions/{key}/");
    let kind = registry::find(&["migrators", "liveDataMigrations"]);
    let mut after: Option<String> = None;
    loop {
        let collection = live_data_migrations::COLLECTION;
        let page =
            document::list::<Migration>(core.store.as_ref(), collection, &prefix, after.as_deref(), PAGE)
                .await?;
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.document.key());
        for one in page {
            let applied = one.document.applied.as_ref();
            let running = applied.filter(|applied| applied.spec.run == RunState::Running);
            if let (Some(kind), Some(applied)) = (kind, running) {
                kind.overtake(core, &one.document.key(), applied.generation).await?;
            }
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn delete_migrators(core: &Core, request: &Request, key: &str) -> Outcome<()> {
    let Some(kind) = registry::find(&["migrators"]) else { return Ok(()) };
    let request = Request { preconditions: Preconditions::default(), ..request.clone() };
    let prefix = format!("/subscriptions/{key}/");
    let mut after: Option<String> = None;
    loop {
        let collection = migrators::COLLECTION;
        let page =
            document::list::<Migrator>(core.store.as_ref(), collection, &prefix, after.as_deref(), PAGE)
                .await?;
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.document.key());
        for one in page {
            if let Ok(id) = one.document.id.parse::<ResourceId>() {
                kind.delete(core, &request, &id).await?;
            }
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn state(core: &Core, id: &str) -> Outcome<Option<State>> {
    Ok(load(core, &id.to_lowercase()).await?.map(|(subscription, _)| subscription.state))
}

/// Whether the subscription's state allows the request.
pub async fn check(core: &Core, subscription: &str, request: &Request) -> Outcome<()> {
    if matches!(request.method, Method::Get | Method::Head) {
        return Ok(());
    }
    let state = state(core, subscription).await?;
    let refused = |status: u16, said: &str| -> Outcome<()> {
        let message = format!("The subscription '{subscription}' {said}.");
        let error = errors::INVALID_SUBSCRIPTION_STATE.error(message);
        Err(ArmError { status, ..error }.into())
    };
    match (state, request.method) {
        // Nobody tells of a registration there: see `custom_provider`.
        (None | Some(State::Unregistered), _) if request.custom_provider.is_some() => Ok(()),
        (Some(State::Registered), _) | (Some(State::Warned | State::Suspended), Method::Delete) => Ok(()),
        (None | Some(State::Unregistered), _) => {
            refused(400, "is not registered for this namespace; register it first")
        }
        (Some(State::Warned), _) => refused(409, "is warned: it can be read and emptied only"),
        (Some(State::Suspended), _) => refused(409, "is suspended: it can be read and emptied only"),
        (Some(State::Deleted), _) => refused(409, "is being deleted"),
    }
}

/// What was read of the subscription's state holds until the commit.
pub async fn unchanged(core: &Core, subscription: &str, change: Change) -> Outcome<Change> {
    let key = subscription.to_lowercase();
    let version = load(core, &key).await?.map(|(_, version)| version);
    Ok(change.expect(COLLECTION, key, version))
}

/// Whether migrations of the migrator with this key may go on.
pub async fn lets_run(core: &Core, migrator: &str) -> Outcome<bool> {
    let subscription = migrator.split('/').nth(2).unwrap_or_default();
    Ok(state(core, subscription).await?.is_none_or(State::lets_run))
}
