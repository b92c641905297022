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
use crate::errors::{self, Outcome};
use crate::observed;
use crate::request::Request;
use crate::secrets::{Context, Sealed};
use crate::view::{Version, View};
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
    /// What a PATCH of the public version may name besides tags.
    pub public_patch: &'static [&'static str],
    pub names: Names,
}

/// What a resource may be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Names {
    Usual,
    /// Of verifications, whose public contract says so.
    Letters3To80,
}

impl Names {
    pub fn allow(self, name: &str) -> bool {
        let within = |least: usize, most: usize| (least..=most).contains(&name.len());
        let first = |good: fn(&u8) -> bool| name.as_bytes().first().is_some_and(good);
        let all = |also: &[u8]| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte));
        match self {
            Self::Usual => within(1, 64) && first(u8::is_ascii_alphanumeric) && all(b"-_."),
            Self::Letters3To80 => within(3, 80) && first(u8::is_ascii_alphabetic) && all(b"-_"),
        }
    }

    pub const fn rule(self) -> &'static str {
        match self {
            Self::Usual => "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit",
            Self::Letters3To80 => "3 to 80 letters, digits, '-' or '_', beginning with a letter",
        }
    }
}

#[derive(Debug)]
pub struct Action {
    pub name: &'static str,
    /// An older spelling that clients may still use.
    pub alias: Option<&'static str>,
    pub description: &'static str,
    /// The first version that has it.
    pub since: Version,
}

impl Description {
    /// Top-level types are tracked, nested ones are proxies (rule 21).
    pub fn is_tracked(&self) -> bool {
        self.path.len() == 1
    }

    /// Whether a resource shows location and tags: in the public version all do.
    pub fn shows_tags(&self, version: Version) -> bool {
        self.is_tracked() || version.is_public()
    }

    pub fn type_path(&self) -> String {
        self.path.join("/")
    }
}

/// What an action does.
pub enum Effect<S> {
    /// The answer of a synchronous action.
    Answer(Value),
    /// Nothing is to be said.
    Done,
    /// New intent; the operation ends when it has become desired state. The change holds what must be written with it.
    Intent(S, Change),
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

    /// Collections of which [`ResourceKind::write`] reads the records with the resource's own key.
    const READ_BESIDE: &'static [&'static str] = &[observed::MIGRATIONS];

    /// Wire → input. Findings go to the reader; `None` only together with a finding. What the version cannot express is
    /// taken from what is stored, so that an older client never drops what only a newer one knows.
    fn read(view: &View, properties: Reader<'_>, stored: Option<&Self::Spec>) -> Option<Self::Input>;

    /// The public version's PATCH has shapes of its own: it becomes a merge-patch of the document, or is refused.
    fn public_patch(_stored: &Self::Spec, _properties: &mut Map<String, Value>) -> Result<(), ArmError> {
        Ok(())
    }

    /// Takes from what is shown what is not the resource's own, before a PATCH is merged into it.
    fn before_patch(_stored: &Self::Spec, _shown: &mut Map<String, Value>, _patch: &Map<String, Value>) {}

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
    async fn write(core: &Core, view: &View, document: &Document<Self::Spec>) -> Outcome<Map<String, Value>>;

    /// Whether a PUT that changes nothing may be answered without a new operation.
    fn is_settled(_spec: &Self::Spec) -> bool {
        true
    }

    /// The secret that a resource of this type holds, and what it is bound to.
    fn sealed<'a>(_guid: &'a str, _spec: &'a Self::Spec) -> Option<(Context<'a>, &'a Sealed)> {
        None
    }

    /// One step of the controller towards desired state. `since`: when the operation began.
    async fn settle(
        _core: &Core,
        document: &Document<Self::Spec>,
        _since: OffsetDateTime,
    ) -> Outcome<Settled<Self::Spec>> {
        Ok(Settled::Applied(document.spec.clone()))
    }

    /// Admission of a DELETE.
    async fn admit_delete(
        _core: &Core,
        _view: &View,
        _loaded: &Loaded<Self::Spec>,
        change: Change,
    ) -> Outcome<Change> {
        Ok(change)
    }

    /// What goes away together with the resource, in one transaction.
    async fn erase(_core: &Core, _document: &Document<Self::Spec>, change: Change) -> Outcome<Change> {
        Ok(change)
    }

    /// `unchanged` raises the version of the resource's record by one; what an effect writes with it is added to it.
    async fn act(
        _core: &Core,
        loaded: &Loaded<Self::Spec>,
        action: &'static str,
        _request: &Request,
        _unchanged: Change,
    ) -> Outcome<Effect<Self::Spec>> {
        Err(errors::INVALID_RESOURCE_TYPE
            .error(format!("'{}' has no action '{action}'.", loaded.document.id))
            .into())
    }

    /// What an action that has ended answers at its result's address; `None`: nothing (204).
    async fn acted(_core: &Core, _view: &View, _document: &Document<Self::Spec>) -> Outcome<Option<Value>> {
        Ok(None)
    }
}
