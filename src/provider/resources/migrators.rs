//! Migrators: one agent beside one source. Tracked resources; everything else hangs below them.

mod admission;
mod model;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::{ProvisioningState, ResourceId};
use livedata_model::spec::MigratorSpec;
use livedata_store::Change;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{Action, Description, Effect, ResourceKind, Settled};
use crate::request::Request;
use crate::resources::{live_data_migrations::LiveDataMigrations, targets::Targets};
use crate::verbs::erase_children;
use crate::wire::Reader;
use crate::{agents, install_keys, observed};

pub use model::{Migrator, Source};

pub const COLLECTION: &str = "migrators";

pub struct Migrators;

#[async_trait]
impl ResourceKind for Migrators {
    type Input = Migrator;
    type Spec = Migrator;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators"],
        collection: COLLECTION,
        display: "migrators",
        actions: &[Action {
            name: "listInstallKey",
            alias: Some("getInstallKey"),
            description: "Mints a key that enrols one agent within one hour",
        }],
    };

    fn read(properties: Reader<'_>) -> Option<Migrator> {
        validation::check(v2026_11_01_preview::read(properties))
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

    async fn write(core: &Core, document: &Document<Migrator>) -> Outcome<Map<String, Value>> {
        let status = observed::migrator_status(core, &document.key()).await?;
        Ok(v2026_11_01_preview::write(&document.spec, &status))
    }

    /// Nothing outside has to be asked.
    async fn settle(
        _core: &Core,
        document: &Document<Migrator>,
        _since: OffsetDateTime,
    ) -> Outcome<Settled<Migrator>> {
        Ok(Settled::Applied(document.spec.clone()))
    }

    /// Migrations first, because they hold their targets.
    async fn erase(core: &Core, document: &Document<Migrator>, change: Change) -> Outcome<Change> {
        let key = document.key();
        erase_children::<LiveDataMigrations>(core, &key).await?;
        erase_children::<Targets>(core, &key).await?;
        Ok(change.remove(agents::COLLECTION, key.as_str()).remove(observed::AGENTS, key.as_str()))
    }

    async fn act(
        core: &Core,
        loaded: &Loaded<Migrator>,
        _action: &'static str,
        _request: &Request,
        _change: Change,
    ) -> Outcome<Effect<Migrator>> {
        let (text, expires_at) = install_keys::mint(core, loaded).await?;
        Ok(Effect::Answer(json!({ "installKey": text, "expiresAt": expires_at })))
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
    MigratorSpec {
        guid: document.guid.clone(),
        source_kind: spec.source.kind,
        source_uri: spec.source.uri.clone(),
        source_user: spec.source.user.clone(),
        max_bytes_per_second: spec.max_bytes_per_second,
        max_running_migrations: spec.max_running_migrations,
    }
}
