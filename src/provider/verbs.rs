//! The verbs of the contract, each written once over [`ResourceKind`]; [`Handler`] is the same without the type, for the
//! registry, the routes and the controllers.

mod action;
mod delete;
pub mod list;
mod read;
mod reconcile;
mod write;

pub use reconcile::erase_children;

use std::marker::PhantomData;

use async_trait::async_trait;
use livedata_arm::{ArmError, ResourceId};
use serde_json::Value;

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, ResourceKind};
use crate::operations::Work;
use crate::request::{Request, Response};

/// How often a request is tried again when others change the same records meanwhile.
const TRIES: usize = 16;

#[async_trait]
pub trait Handler: Send + Sync {
    fn description(&self) -> &'static Description;
    async fn get(&self, core: &Core, id: &ResourceId) -> Outcome<Response>;
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
    /// One step of the controller for the resource with this key.
    async fn reconcile(&self, core: &Core, key: &str, work: &Work) -> Outcome<()>;
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

    async fn get(&self, core: &Core, id: &ResourceId) -> Outcome<Response> {
        read::get::<K>(core, id).await
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

    async fn reconcile(&self, core: &Core, key: &str, work: &Work) -> Outcome<()> {
        reconcile::step::<K>(core, key, work).await
    }

    async fn overtake(&self, core: &Core, key: &str, agent_generation: u64) -> Outcome<()> {
        reconcile::overtake::<K>(core, key, agent_generation).await
    }
}

/// Compare-and-swap: reads, decides and commits again as long as somebody else was faster (rule 109).
async fn repeated<F: Future<Output = Outcome<Response>>>(attempt: impl Fn() -> F) -> Outcome<Response> {
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
async fn envelope<K: ResourceKind>(core: &Core, document: &Document<K::Spec>) -> Outcome<Value> {
    let mut properties = K::write(core, document).await?;
    properties.insert("provisioningState".to_owned(), serde_json::to_value(document.provisioning)?);
    let tracked = K::DESCRIPTION.is_tracked();
    let envelope = livedata_arm::Envelope {
        id: document.id.clone(),
        name: document.name().to_owned(),
        resource_type: format!("{}/{}", core.namespace, K::DESCRIPTION.type_path()),
        location: tracked.then(|| document.location.clone()),
        tags: tracked.then(|| document.tags.clone()),
        etag: Some(document.etag()),
        properties,
        system_data: document.system_data.clone(),
    };
    Ok(serde_json::to_value(envelope)?)
}
