//! The verbs of the contract, each written once over [`ResourceKind`]; [`Handler`] is the same without the type, for the
//! registry, the routes and the controllers.

mod action;
mod beside;
mod delete;
pub mod list;
mod read;
mod reconcile;
mod write;

pub use write::normal_location;

use std::marker::PhantomData;

use async_trait::async_trait;
use livedata_arm::{ArmError, ProvisioningState, ResourceId};
use livedata_store::Store;
use livedata_store::sealed::SealingKeys;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, ResourceKind};
use crate::operations::{Operation, Work};
use crate::request::{Request, Response};
use crate::rotation;
use crate::view::View;

/// How often a request is tried again when others change the same records meanwhile.
const TRIES: usize = 16;

#[async_trait]
pub trait Handler: Send + Sync {
    fn description(&self) -> &'static Description;
    async fn get(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response>;
    async fn list(
        &self,
        core: &Core,
        request: &Request,
        prefix: &str,
        parent: Option<&ResourceId>,
    ) -> Outcome<Response>;
    async fn put(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response>;
    async fn patch(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response>;
    async fn delete(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response>;
    async fn action(
        &self,
        core: &Core,
        request: &Request,
        id: &ResourceId,
        action: &'static Action,
    ) -> Outcome<Response>;
    /// What a PUT of this document would be refused for, as far as the document tells.
    async fn validate(
        &self,
        core: &Core,
        request: &Request,
        id: &ResourceId,
        document: &Map<String, Value>,
    ) -> Outcome<Result<(), ArmError>>;
    /// The outcome of an action that has ended.
    async fn acted(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response>;
    /// Ends an operation before it has become desired state.
    async fn cancel(&self, core: &Core, id: &ResourceId, operation: Operation) -> Outcome<()>;
    /// Removes all resources of this type below a migrator that is being deleted.
    async fn erase_children(&self, core: &Core, migrator: &str) -> Outcome<()>;
    /// One step of the controller for the resource with this key.
    async fn reconcile(&self, core: &Core, key: &str, work: &Work) -> Outcome<()>;
    /// See [`rotation::walk_resources`].
    async fn survey(
        &self,
        store: &dyn Store,
        keys: &SealingKeys,
        pass: rotation::Pass,
        survey: &mut rotation::Survey,
    ) -> Outcome<()>;
    /// See [`reconcile::overtake`].
    async fn overtake(&self, core: &Core, key: &str, agent_generation: u64) -> Outcome<()>;
}

/// The verbs for one resource type.
pub struct Verbs<K>(PhantomData<fn() -> K>);

impl<K: ResourceKind> Verbs<K> {
    pub const NEW: Self = Self(PhantomData);
    const DESCRIPTION: &'static Description = &K::DESCRIPTION;
}

#[async_trait]
impl<K: ResourceKind> Handler for Verbs<K> {
    fn description(&self) -> &'static Description {
        Self::DESCRIPTION
    }

    async fn get(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
        read::get::<K>(core, request, id).await
    }

    async fn list(
        &self,
        core: &Core,
        request: &Request,
        prefix: &str,
        parent: Option<&ResourceId>,
    ) -> Outcome<Response> {
        list::list::<K>(core, request, prefix, parent).await
    }

    async fn put(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
        repeated(|| write::put::<K>(core, request, id)).await
    }

    async fn patch(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
        repeated(|| write::patch::<K>(core, request, id)).await
    }

    async fn delete(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
        repeated(|| delete::delete::<K>(core, request, id)).await
    }

    async fn action(
        &self,
        core: &Core,
        request: &Request,
        id: &ResourceId,
        action: &'static Action,
    ) -> Outcome<Response> {
        repeated(|| action::act::<K>(core, request, id, action)).await
    }

    async fn validate(
        &self,
        core: &Core,
        request: &Request,
        id: &ResourceId,
        document: &Map<String, Value>,
    ) -> Outcome<Result<(), ArmError>> {
        write::validate::<K>(core, request, id, document).await
    }

    async fn acted(&self, core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
        read::acted::<K>(core, request, id).await
    }

    async fn cancel(&self, core: &Core, id: &ResourceId, operation: Operation) -> Outcome<()> {
        let key = id.key();
        repeated(|| reconcile::cancel::<K>(core, &key, operation.clone())).await
    }

    async fn reconcile(&self, core: &Core, key: &str, work: &Work) -> Outcome<()> {
        reconcile::step::<K>(core, key, work).await
    }

    async fn erase_children(&self, core: &Core, migrator: &str) -> Outcome<()> {
        reconcile::erase_children::<K>(core, migrator).await
    }

    async fn survey(
        &self,
        store: &dyn Store,
        keys: &SealingKeys,
        pass: rotation::Pass,
        survey: &mut rotation::Survey,
    ) -> Outcome<()> {
        rotation::walk_resources::<K>(store, keys, pass, survey).await
    }

    async fn overtake(&self, core: &Core, key: &str, agent_generation: u64) -> Outcome<()> {
        repeated(|| reconcile::overtake::<K>(core, key, agent_generation)).await
    }
}

/// Compare-and-swap: reads, decides and commits again as long as somebody else was faster (rule 109).
pub async fn repeated<T, F: Future<Output = Outcome<T>>>(attempt: impl Fn() -> F) -> Outcome<T> {
    for _ in 1..TRIES {
        match attempt().await {
            Err(failure) if failure.is_conflict() => {}
            done => return done,
        }
    }
    attempt().await
}

/// The resource, or 404.
async fn existing<K: ResourceKind>(core: &Core, id: &ResourceId) -> Outcome<Loaded<K::Spec>> {
    let found = document::load(core.store.as_ref(), K::DESCRIPTION.collection, &id.key()).await?;
    found.ok_or_else(|| ArmError::not_found(&id.to_string()).into())
}

fn check_preconditions(request: &Request, etag: Option<&str>) -> Result<(), ArmError> {
    if request.preconditions.hold(etag) {
        return Ok(());
    }
    Err(errors::PRECONDITION_FAILED.error(match etag {
        Some(etag) => format!("The condition of the request does not hold; the resource's etag is {etag}."),
        None => "The condition of the request does not hold; the resource does not exist.".to_owned(),
    }))
}

fn check_idle<S>(document: &Document<S>) -> Result<(), ArmError> {
    if document.provisioning.is_terminal() {
        return Ok(());
    }
    Err(errors::ANOTHER_OPERATION_IN_PROGRESS.error(format!(
        "The resource '{}' is {:?}: wait until its provisioningState is terminal.",
        document.id, document.provisioning
    )))
}

/// The whole resource as it is sent (rules 19–21).
async fn envelope<K: ResourceKind>(core: &Core, view: &View, document: &Document<K::Spec>) -> Outcome<Value> {
    let mut properties = K::write(core, view, document).await?;
    let state = shown_state(view, document.provisioning);
    properties.insert("provisioningState".to_owned(), Value::String(state));
    let located = K::DESCRIPTION.shows_tags(view.version);
    let envelope = livedata_arm::Envelope {
        id: view.show(&document.id),
        name: document.name().to_owned(),
        resource_type: format!("{}/{}", view.namespace(), K::DESCRIPTION.type_path()),
        location: located.then(|| document.location.clone()),
        tags: located.then(|| document.tags.clone()),
        etag: (!view.version.is_public()).then(|| document.etag()),
        plan: document.plan.clone(),
        properties,
        system_data: document.system_data.clone(),
    };
    Ok(serde_json::to_value(envelope)?)
}

/// The public version has no word for what an action does.
fn shown_state(view: &View, state: ProvisioningState) -> String {
    match state {
        ProvisioningState::Updating if view.version.is_public() => "Accepted".to_owned(),
        state => format!("{state:?}"),
    }
}
