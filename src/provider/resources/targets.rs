//! Targets: a container of a storage account that migrations of one migrator write into.

mod admission;
mod look_up;
mod model;
mod mutation;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::spec::{Credential, CredentialKind, Secret, TargetSpec};
use livedata_store::Change;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Description, Effect, ResourceKind, Settled};
use crate::request::Request;
use crate::wire::Reader;

pub use model::{Found, Target, TargetInput, Tristate};

pub const COLLECTION: &str = "targets";

pub struct Targets;

#[async_trait]
impl ResourceKind for Targets {
    type Input = TargetInput;
    type Spec = Target;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "targets"],
        collection: COLLECTION,
        display: "targets of a migrator",
        actions: &[],
    };

    fn read(properties: Reader<'_>) -> Option<TargetInput> {
        validation::check(v2026_11_01_preview::read(properties))
    }

    async fn admit(
        _core: &Core,
        _id: &ResourceId,
        stored: Option<&Document<Target>>,
        input: &TargetInput,
        change: Change,
    ) -> Outcome<(Change, ())> {
        admission::check(stored.map(|stored| &stored.spec), input)?;
        Ok((change, ()))
    }

    fn mutate(
        core: &Core,
        guid: &str,
        stored: Option<&Target>,
        input: TargetInput,
        (): (),
    ) -> Outcome<Target> {
        mutation::intent(core, guid, stored, input)
    }

    async fn write(_core: &Core, document: &Document<Target>) -> Outcome<Map<String, Value>> {
        Ok(v2026_11_01_preview::write(document))
    }

    /// Repeating the PUT asks for the account again as long as the last answer was incomplete.
    fn is_settled(spec: &Target) -> bool {
        spec.found.as_ref().is_some_and(|found| found.hierarchical_namespace == Tristate::True)
    }

    async fn settle(
        core: &Core,
        document: &Document<Target>,
        since: OffsetDateTime,
    ) -> Outcome<Settled<Target>> {
        look_up::settle(core, &document.spec, since).await
    }

    async fn admit_delete(core: &Core, loaded: &Loaded<Target>, change: Change) -> Outcome<Change> {
        admission::check_unused(core, &loaded.document, change).await
    }

    async fn erase(_core: &Core, _document: &Document<Target>, change: Change) -> Outcome<Change> {
        Ok(change)
    }

    async fn act(
        _core: &Core,
        loaded: &Loaded<Target>,
        action: &'static str,
        _request: &Request,
        _change: Change,
    ) -> Outcome<Effect<Target>> {
        Err(errors::INVALID_RESOURCE_TYPE
            .error(format!("'{}' has no action '{action}'.", loaded.document.id))
            .into())
    }
}

/// What the agent is told, with the account key in the clear: it goes nowhere but into the session.
pub fn desired(core: &Core, guid: &str, spec: &Target) -> Outcome<TargetSpec> {
    let endpoint =
        match (&spec.storage_endpoint, spec.found.as_ref().and_then(|found| found.dfs_endpoint.as_ref())) {
            (Some(given), _) => given.clone(),
            (None, Some(found)) => found.clone(),
            (None, None) => format!("https://{}.dfs.core.windows.net", spec.account_name()),
        };
    Ok(TargetSpec {
        account: spec.account_name().to_owned(),
        container: spec.storage_container.clone(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        credential: Credential {
            kind: CredentialKind::AccountKey,
            secret: Secret(mutation::open(core, guid, &spec.sealed_account_key)?),
        },
    })
}
