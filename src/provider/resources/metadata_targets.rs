//! Metadata targets: where metadata of tables goes.

mod admission;
mod model;
mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::{ArmError, ResourceId};
use livedata_model::metadata::{MetadataTargetSpec, SecretSetting, Setting};
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::Document;
use crate::errors::Outcome;
use crate::kind::{Description, Names, ResourceKind};
use crate::observed;
use crate::secrets::{self, Context, Sealed};
use crate::view::View;
use crate::wire::{self, Reader};

pub use model::{MetadataTarget, MetadataTargetInput};

pub const COLLECTION: &str = "metadata_targets";

pub struct MetadataTargets;

#[async_trait]
impl ResourceKind for MetadataTargets {
    type Input = MetadataTargetInput;
    type Spec = MetadataTarget;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "metadataTargets"],
        collection: COLLECTION,
        display: "metadata targets of a migrator",
        actions: &[],
        public_patch: &[
            "sqlUser",
            "sqlPassword",
            "accessToken",
            "snowflakeAuthKind",
            "user",
            "password",
            "privateKeyFile",
        ],
        names: Names::Usual,
    };

    fn read(
        view: &View,
        properties: Reader<'_>,
        stored: Option<&MetadataTarget>,
    ) -> Option<MetadataTargetInput> {
        let findings = properties.findings().clone();
        let wire = if view.version.is_public() {
            properties.typed::<v2023_11_01_preview::Properties>()?
        } else {
            properties.typed_but(&["status"])?
        };
        validation::check(view, wire, stored, &findings)
    }

    fn public_patch(stored: &MetadataTarget, properties: &mut Map<String, Value>) -> Result<(), ArmError> {
        v2023_11_01_preview::patch(stored, properties)
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<MetadataTarget>>,
        input: &MetadataTargetInput,
        change: Change,
    ) -> Outcome<(Change, ())> {
        admission::check(core, id, stored.map(|stored| &stored.spec), input).await?;
        Ok((change, ()))
    }

    fn mutate(
        core: &Core,
        guid: &str,
        stored: Option<&MetadataTarget>,
        input: MetadataTargetInput,
        (): (),
    ) -> Outcome<MetadataTarget> {
        let kept = stored.filter(|_| input.keeps_secret).and_then(|stored| stored.sealed.as_ref());
        let sealed = secrets::seal(core, context(guid), input.secret, kept)?;
        Ok(MetadataTarget { sealed, ..input.target })
    }

    fn sealed<'a>(guid: &'a str, spec: &'a MetadataTarget) -> Option<(Context<'a>, &'a Sealed)> {
        spec.sealed.as_ref().map(|sealed| (context(guid), sealed))
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<MetadataTarget>,
    ) -> Outcome<Map<String, Value>> {
        let public = v2023_11_01_preview::of_model(view, &document.spec);
        if view.version.is_public() {
            return wire::properties(&public);
        }
        let conditions = observed::conditions(core, document).await?;
        wire::properties(&v2026_11_01_preview::of_public(public, &conditions))
    }
}

fn context(guid: &str) -> Context<'_> {
    Context { what: "secret of metadata target", guid }
}

/// What the agent is told, with the secret in the clear: it goes nowhere but into the session.
pub fn desired(core: &Core, guid: &str, spec: &MetadataTarget) -> Outcome<MetadataTargetSpec> {
    let mut secrets = Vec::new();
    if let Some(sealed) = &spec.sealed {
        let value = secrets::open(core, context(guid), sealed)?;
        secrets.push(SecretSetting { name: spec.kind.secret().to_owned(), value });
    }
    let settings = spec.settings.iter();
    Ok(MetadataTargetSpec {
        kind: spec.kind.into(),
        data_target: spec.data_target_id.as_ref().map(|id| id.to_lowercase()),
        settings: settings
            .map(|(name, value)| Setting { name: name.clone(), value: value.clone() })
            .collect(),
        secrets,
    })
}
