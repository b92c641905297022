//! What a resource type says about itself; the verbs in [`crate::verbs`] are written once over it.

use async_trait::async_trait;
use livedata_arm::{ArmError, ResourceId};
use livedata_store::Change;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{Document, Loaded};
use crate::errors::Outcome;
use crate::request::Request;
use crate::wire::Reader;

/// The declarative part of a registration.
#[derive(Debug)]
pub struct Description {
    /// Type path below the namespace, e.g. `["migrators", "targets"]`.
    pub path: &'static [&'static str],
    /// Where the store keeps its documents.
    pub collection: &'static str,
    /// For `GET …/operations`.
    pub display: &'static str,
    pub actions: &'static [Action],
}

#[derive(Debug)]
pub struct Action {
    pub name: &'static str,
    /// An older spelling that clients may still use.
    pub alias: Option<&'static str>,
    pub description: &'static str,
}

impl Description {
    /// Top-level types are tracked, nested ones are proxies (rule 21).
    pub fn is_tracked(&self) -> bool {
        self.path.len() == 1
    }

    pub fn type_path(&self) -> String {
        self.path.join("/")
    }
}

/// What an action does.
pub enum Effect<S> {
    /// The answer of a synchronous action.
    Answer(Value),
    /// New intent; the operation ends when it has become desired state.
    Intent(S),
    /// Something that an agent is to do once, stored by what the change writes; the operation ends with it.
    Command(Change),
}

/// What a controller made of an intent.
pub enum Settled<S> {
    /// This becomes desired state.
    Applied(S),
    /// Wait: look again at the next nudge or tick.
    NotYet,
    Failed(ArmError),
}

#[async_trait]
pub trait ResourceKind: Send + Sync + 'static {
    /// The wire document of any version, read and with what it alone can tell checked; secrets in it are plain.
    type Input: Send + Sync;
    /// The internal model as stored; secrets in it are sealed.
    type Spec: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync;

    /// What admission found out and mutation needs.
    type Admitted: Send;

    const DESCRIPTION: Description;

    /// Wire → input. Findings go to the reader; `None` only together with a finding.
    fn read(properties: Reader<'_>) -> Option<Self::Input>;

    /// *Admission*: the input against stored state. What must stay true until the commit goes into `change`.
    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<Self::Spec>>,
        input: &Self::Input,
        change: Change,
    ) -> Outcome<(Change, Self::Admitted)>;

    /// *Mutation*: the new intent of the resource with this GUID.
    fn mutate(
        core: &Core,
        guid: &str,
        stored: Option<&Self::Spec>,
        input: Self::Input,
        admitted: Self::Admitted,
    ) -> Outcome<Self::Spec>;

    /// Model and observed state → wire.
    async fn write(core: &Core, document: &Document<Self::Spec>) -> Outcome<Map<String, Value>>;

    /// Whether a PUT that changes nothing may be answered without a new operation.
    fn is_settled(_spec: &Self::Spec) -> bool {
        true
    }

    /// One step of the controller towards desired state. `since`: when the operation began.
    async fn settle(
        core: &Core,
        document: &Document<Self::Spec>,
        since: OffsetDateTime,
    ) -> Outcome<Settled<Self::Spec>>;

    /// Admission of a DELETE.
    async fn admit_delete(_core: &Core, _loaded: &Loaded<Self::Spec>, change: Change) -> Outcome<Change> {
        Ok(change)
    }

    /// What goes away together with the resource, in one transaction.
    async fn erase(core: &Core, document: &Document<Self::Spec>, change: Change) -> Outcome<Change>;

    /// `change` raises the version of the resource's record by one, if the effect is a command.
    async fn act(
        core: &Core,
        loaded: &Loaded<Self::Spec>,
        action: &'static str,
        request: &Request,
        change: Change,
    ) -> Outcome<Effect<Self::Spec>>;
}
