//! Targets: a container of a storage account that migrations of one migrator write into.

mod admission;
mod look_up;
mod model;
mod mutation;
mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::spec::{Credential, Secret, TargetSpec};
use livedata_store::Change;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{Document, Loaded};
use crate::errors::Outcome;
use crate::kind::{Description, Names, ResourceKind, Settled};
use crate::observed;
use crate::secrets::{self, Context, Sealed};
use crate::view::View;
use crate::wire::{self, Reader};

pub use model::{Finding, Found, Target, TargetInput, Tristate};

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
        public_patch: &["storageAccessKey", "oauthClientId", "oauthClientSecret"],
        names: Names::Usual,
    };

    fn read(view: &View, properties: Reader<'_>, stored: Option<&Target>) -> Option<TargetInput> {
        if view.version.is_public() {
            let findings = properties.findings().clone();
            let wire = v2023_11_01_preview::into_wire(properties.typed()?, stored, findings);
            return validation::check(wire);
        }
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

    async fn write(core: &Core, view: &View, document: &Document<Target>) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(&document.spec));
        }
        let mut conditions = v2026_11_01_preview::conditions(&document.spec);
        for condition in observed::reported(core, &document.key()).await? {
            conditions.push(serde_json::to_value(condition)?);
        }
        Ok(v2026_11_01_preview::write(document, conditions))
    }

    fn sealed<'a>(guid: &'a str, spec: &'a Target) -> Option<(Context<'a>, &'a Sealed)> {
        spec.credential.sealed.as_ref().map(|sealed| (mutation::context(guid), sealed))
    }

    /// Repeating the PUT asks for the account again as long as the last answer was incomplete.
    fn is_settled(spec: &Target) -> bool {
        let is_there =
            |finding: &Option<Finding>| finding.as_ref().is_some_and(|found| found.status == Tristate::True);
        spec.found
            .as_ref()
            .is_some_and(|found| found.hierarchical_namespace == Tristate::True && is_there(&found.container))
    }

    async fn settle(
        core: &Core,
        document: &Document<Target>,
        since: OffsetDateTime,
    ) -> Outcome<Settled<Target>> {
        look_up::settle(core, &document.spec, since).await
    }

    async fn admit_delete(
        core: &Core,
        _view: &View,
        loaded: &Loaded<Target>,
        change: Change,
    ) -> Outcome<Change> {
        admission::check_unused(core, &loaded.document, change).await
    }
}

/// What the agent is told, with the secret in the clear: it goes nowhere but into the session.
pub fn desired(core: &Core, guid: &str, spec: &Target) -> Outcome<TargetSpec> {
    let endpoint =
        match (&spec.storage_endpoint, spec.found.as_ref().and_then(|found| found.dfs_endpoint.as_ref())) {
            (Some(given), _) => given.clone(),
            (None, Some(found)) => found.clone(),
            (None, None) => {
                format!("https://{}.dfs.{}", spec.account_name(), core.storage_accounts.storage_suffix())
            }
        };
    let credential = &spec.credential;
    let secret = match &credential.sealed {
        Some(sealed) => secrets::open(core, mutation::context(guid), sealed)?,
        None => Secret(String::new()),
    };
    Ok(TargetSpec {
        account: spec.account_name().to_owned(),
        container: spec.storage_container.clone(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        credential: Credential {
            kind: credential.kind,
            secret,
            client_id: credential.client_id.clone(),
            tenant_id: credential.tenant_id.clone(),
            authority: credential.authority.clone(),
        },
    })
}
