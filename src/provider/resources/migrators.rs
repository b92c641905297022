//! Migrators: one agent beside one source. Tracked resources; everything else hangs below them.

mod admission;
mod model;
mod schedule;
pub mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::{ArmError, ProvisioningState, ResourceId};
use livedata_model::spec::{self, MigratorSpec};
use livedata_store::Change;
use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, Names, ResourceKind};
use crate::request::Request;
use crate::view::{Version, View};
use crate::wire::{self, Reader};
use crate::{agents, install_keys, observed, registry};

pub use model::{Kerberos, Migrator, Source};

pub const COLLECTION: &str = "migrators";

pub struct Migrators;

#[async_trait]
impl ResourceKind for Migrators {
    type Input = Migrator;
    type Spec = Migrator;
    type Admitted = ();

    const READ_BESIDE: &'static [&'static str] =
        &[agents::COLLECTION, observed::AGENTS, observed::MIGRATIONS];

    const DESCRIPTION: Description = Description {
        path: &["migrators"],
        collection: COLLECTION,
        display: "migrators",
        actions: &[
            Action {
                name: "listInstallKey",
                alias: Some("getInstallKey"),
                description: "Mints a key that enrols one agent within one hour",
                since: Version::V2023_11_01,
            },
            Action {
                name: "rotateInstallKey",
                alias: None,
                description: "Revokes the install keys that have not been used",
                since: Version::V2026_11_01,
            },
        ],
        public_patch: &[
            "metadataAgentMode",
            "bandwidthPolicy",
            "kerberos",
            "metaKerberos",
            "maxRunningMigrations",
        ],
        names: Names::Usual,
    };

    fn read(view: &View, properties: Reader<'_>, stored: Option<&Migrator>) -> Option<Migrator> {
        let findings = properties.findings().clone();
        if view.version.is_public() {
            let wire: v2023_11_01_preview::Properties = properties.typed()?;
            validation::kerberos(wire.kerberos.as_ref(), "properties.kerberos", &findings);
            validation::kerberos(wire.meta_kerberos.as_ref(), "properties.metaKerberos", &findings);
            return Some(v2023_11_01_preview::into_model(wire, stored, &findings));
        }
        let needs_source = stored.is_none_or(|stored| stored.source.is_some());
        let (source, migrator) = v2026_11_01_preview::read(properties, needs_source)?;
        validation::kerberos(migrator.kerberos.as_ref(), "properties.source.kerberos", &findings);
        validation::kerberos(migrator.metadata_kerberos.as_ref(), "properties.metadataKerberos", &findings);
        let source = source.map(|source| validation::source(source, &findings));
        let mut migrator = Migrator { source: source.flatten(), ..migrator };
        if migrator.source.is_none() {
            // In this version it stands in the source.
            migrator.kerberos = stored.and_then(|stored| stored.kerberos.clone());
        }
        Some(migrator)
    }

    /// Without limits it is `null` to a PATCH, and 0 in a document.
    fn public_patch(_stored: &Migrator, properties: &mut Map<String, Value>) -> Result<(), ArmError> {
        for (name, none) in
            [("bandwidthPolicy", json!({ "maxBytesPerSec": 0 })), ("maxRunningMigrations", json!(0))]
        {
            if let Some(value) = properties.get_mut(name).filter(|value| value.is_null()) {
                *value = none;
            }
        }
        Ok(())
    }

    /// The source that the agent has found is shown, and not written down unless the patch says so.
    fn before_patch(stored: &Migrator, shown: &mut Map<String, Value>, patch: &Map<String, Value>) {
        if stored.source.is_none() && !patch.contains_key("source") {
            shown.remove("source");
        }
    }

    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<Migrator>>,
        input: &Migrator,
        change: Change,
    ) -> Outcome<(Change, ())> {
        admission::check(stored.map(|stored| &stored.spec), input)?;
        if stored.is_some() {
            return Ok((change, ()));
        }
        // What is left of the agent of an earlier migrator of this name must not be taken for this one's.
        core.observed.forget(&id.key());
        Ok((change.remove(observed::AGENTS, id.key()), ()))
    }

    /// PUT replaces: what the document leaves out is back at its default (rule 38).
    fn mutate(
        _core: &Core,
        _guid: &str,
        _stored: Option<&Migrator>,
        input: Migrator,
        (): (),
    ) -> Outcome<Migrator> {
        Ok(input)
    }

    async fn write(core: &Core, view: &View, document: &Document<Migrator>) -> Outcome<Map<String, Value>> {
        let status = observed::migrator_status(core, document).await?;
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(&document.spec, &status));
        }
        Ok(v2026_11_01_preview::write(&document.spec, &status))
    }

    /// Migrations first, because they hold their targets and their exclusion templates.
    async fn erase(core: &Core, document: &Document<Migrator>, change: Change) -> Outcome<Change> {
        let key = document.key();
        for kind in registry::children_in_order_of_deletion() {
            kind.erase_children(core, &key).await?;
        }
        Ok(change.remove(agents::COLLECTION, key.as_str()).remove(observed::AGENTS, key.as_str()))
    }

    async fn act(
        core: &Core,
        loaded: &Loaded<Migrator>,
        action: &'static str,
        request: &Request,
        _unchanged: Change,
    ) -> Outcome<Effect<Migrator>> {
        if action == "rotateInstallKey" {
            install_keys::revoke_unused(core, loaded).await?;
            return Ok(Effect::Done);
        }
        let (text, expires_at) = install_keys::mint(core, loaded).await?;
        Ok(Effect::Answer(match request.view.version.is_public() {
            true => json!({ "installKey": text }),
            false => json!({ "installKey": text, "expiresAt": expires_at }),
        }))
    }
}

/// The migrator that a child is to be written under.
pub async fn parent(core: &Core, id: &ResourceId) -> Outcome<Loaded<Migrator>> {
    let found = document::load::<Migrator>(core.store.as_ref(), COLLECTION, &id.key()).await?;
    let found = found.ok_or_else(|| {
        errors::PARENT_RESOURCE_NOT_FOUND.error(format!("The resource '{id}' was not found."))
    })?;
    if found.document.provisioning == ProvisioningState::Deleting {
        return Err(errors::PARENT_BEING_DELETED
            .error(format!("The resource '{id}' is being deleted."))
            .into());
    }
    Ok(found)
}

/// What the agent is told.
pub fn desired(document: &Document<Migrator>, spec: &Migrator) -> MigratorSpec {
    let source = spec.source.as_ref();
    MigratorSpec {
        guid: document.guid.clone(),
        source_kind: source.map_or(spec::SourceKind::Hdfs, |source| source.kind),
        source_uri: source.map(|source| source.uri.clone()).unwrap_or_default(),
        source_user: source.and_then(|source| source.user.clone()),
        max_bytes_per_second: spec.max_bytes_per_second,
        max_running_migrations: spec.max_running_migrations,
        bandwidth_windows: spec.bandwidth_windows.clone(),
        configuration_directory: source.and_then(|source| source.configuration_directory.clone()),
        kerberos: spec.kerberos.as_ref().and_then(kerberos),
        metadata_kerberos: spec.metadata_kerberos.as_ref().and_then(kerberos),
        metadata_mode: spec.metadata_mode,
    }
}

fn kerberos(given: &Kerberos) -> Option<spec::Kerberos> {
    let (Some(true), Some(principal), Some(keytab)) =
        (given.enabled, given.principal.clone(), given.keytab_location.clone())
    else {
        return None;
    };
    Some(spec::Kerberos { principal, keytab })
}
