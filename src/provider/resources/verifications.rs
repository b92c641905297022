//! Verifications: comparisons of source and target of one migration. One is a single run: what it compares is fixed.

mod admission;
mod model;
pub mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::verification::VerificationSpec;
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::{Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, Names, ResourceKind};
use crate::observed;
use crate::request::Request;
use crate::view::{Version, View};
use crate::wire::{self, Reader};

pub use model::{Verification, VerificationInput};

pub const COLLECTION: &str = "verifications";

pub struct Verifications;

#[async_trait]
impl ResourceKind for Verifications {
    type Input = VerificationInput;
    type Spec = Verification;
    /// Id of the migration.
    type Admitted = String;

    const DESCRIPTION: Description = Description {
        path: &["migrators", "verifications"],
        collection: COLLECTION,
        display: "verifications of migrations",
        actions: &[Action {
            name: "cancel",
            alias: None,
            description: "Ends a verification before it is complete",
            since: Version::V2023_11_01,
        }],
        public_patch: &[],
        names: Names::Letters3To80,
    };

    fn read(view: &View, properties: Reader<'_>, stored: Option<&Verification>) -> Option<VerificationInput> {
        let findings = properties.findings().clone();
        let given = if view.version.is_public() {
            v2023_11_01_preview::into_given(properties.typed()?, stored)
        } else {
            v2026_11_01_preview::into_given(properties.typed()?)
        };
        validation::check(view, given, &findings)
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<Verification>>,
        input: &VerificationInput,
        change: Change,
    ) -> Outcome<(Change, String)> {
        match stored {
            Some(stored) => {
                admission::check_unchanged(&stored.spec, input)?;
                Ok((change, stored.spec.migration_id.clone()))
            }
            None => Ok((change, admission::find_migration(core, id, input).await?)),
        }
    }

    fn mutate(
        _core: &Core,
        _guid: &str,
        stored: Option<&Verification>,
        input: VerificationInput,
        migration_id: String,
    ) -> Outcome<Verification> {
        Ok(Verification {
            migration_id,
            // As it was named first: clients compare.
            given_migration: stored.map_or(input.migration, |stored| stored.given_migration.clone()),
            what: input.what,
            cancelled: stored.is_some_and(|stored| stored.cancelled),
        })
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<Verification>,
    ) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(view, &document.spec));
        }
        let conditions = observed::conditions(core, document).await?;
        wire::properties(&v2026_11_01_preview::of_model(view, &document.spec, &conditions))
    }

    async fn act(
        _core: &Core,
        loaded: &Loaded<Verification>,
        action: &'static str,
        _request: &Request,
        unchanged: Change,
    ) -> Outcome<Effect<Verification>> {
        let verification = &loaded.document.spec;
        if action != "cancel" {
            return Err(errors::INVALID_RESOURCE_TYPE
                .error(format!("There is no action '{action}'."))
                .into());
        }
        if verification.cancelled {
            let message = format!("The verification '{}' has been cancelled.", loaded.document.id);
            return Err(errors::VERIFICATION_ENDED.error(message).into());
        }
        Ok(Effect::Intent(Verification { cancelled: true, ..verification.clone() }, unchanged))
    }

    async fn acted(_core: &Core, view: &View, document: &Document<Verification>) -> Outcome<Option<Value>> {
        if !view.version.is_public() {
            return Ok(None);
        }
        let verification_status = Some(document.spec.state().into());
        Ok(Some(serde_json::to_value(v2023_11_01_preview::StatusResponse { verification_status })?))
    }
}

/// What the agent is told.
pub fn desired(guid: &str, spec: &Verification) -> VerificationSpec {
    VerificationSpec {
        migration: spec.migration_id.to_lowercase(),
        level: spec.what.level,
        sample_percent: spec.what.sample_percent,
        paths: spec.what.paths.clone(),
        depth: spec.what.depth,
        ignore_after_ms: spec.what.ignore_after.as_ref().map(|(_, ms)| *ms),
        cancelled: spec.cancelled,
        incarnation: guid.to_owned(),
    }
}
