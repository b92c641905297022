//! Exclusion templates: what migrations of a migrator leave out, by name.

mod admission;
mod model;
pub mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::rules::Exclusion;
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::{self, Document, Loaded};
use crate::errors::Outcome;
use crate::kind::{Description, Names, ResourceKind};
use crate::observed;
use crate::resources::live_data_migrations::Migration;
use crate::resources::live_data_migrations::v2023_11_01_preview::Exclusion as PublicExclusion;
use crate::view::View;
use crate::wire::{self, Reader};

pub use admission::{find, hold};
pub use model::{ExclusionTemplate, Rule};

pub const COLLECTION: &str = "exclusion_templates";

pub struct ExclusionTemplates;

#[async_trait]
impl ResourceKind for ExclusionTemplates {
    type Input = ExclusionTemplate;
    type Spec = ExclusionTemplate;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "exclusionTemplates"],
        collection: COLLECTION,
        display: "exclusion templates of a migrator",
        actions: &[],
        public_patch: &[],
        names: Names::Usual,
    };

    fn read(
        view: &View,
        properties: Reader<'_>,
        stored: Option<&ExclusionTemplate>,
    ) -> Option<ExclusionTemplate> {
        let findings = properties.findings().clone();
        let given = if view.version.is_public() {
            v2023_11_01_preview::into_given(properties.typed()?, stored)
        } else {
            v2026_11_01_preview::into_given(properties.typed()?)
        };
        validation::check(given, &findings)
    }

    /// Migrations that use it are told of its new rule in the same moment.
    async fn admit(
        core: &Core,
        id: &ResourceId,
        stored: Option<&Document<ExclusionTemplate>>,
        input: &ExclusionTemplate,
        change: Change,
    ) -> Outcome<(Change, ())> {
        let changed = stored.is_some_and(|stored| stored.spec.rule != input.rule);
        let change = if changed { admission::tell_users(core, id, change).await? } else { change };
        Ok((change, ()))
    }

    fn mutate(
        _core: &Core,
        _guid: &str,
        _stored: Option<&ExclusionTemplate>,
        input: ExclusionTemplate,
        (): (),
    ) -> Outcome<ExclusionTemplate> {
        Ok(input)
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<ExclusionTemplate>,
    ) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(&document.spec));
        }
        let conditions = observed::reported(core, &document.key()).await?;
        wire::properties(&v2026_11_01_preview::of_model(&document.spec, &conditions)?)
    }

    async fn admit_delete(
        core: &Core,
        _view: &View,
        loaded: &Loaded<ExclusionTemplate>,
        change: Change,
    ) -> Outcome<Change> {
        admission::check_unused(core, &loaded.document).await?;
        Ok(change)
    }
}

/// The exclusions of a migration as its agent is told them. `None`: one of them is not there, and so the migration must not
/// run.
pub async fn of_migration(
    core: &Core,
    migrator: &str,
    migration: &Migration,
) -> Outcome<Option<Vec<Exclusion>>> {
    let mut exclusions = Vec::new();
    for (name, template) in named(core, migrator, migration).await? {
        let Some(template) = template else { return Ok(None) };
        exclusions.push(template.rule.exclusion(&name));
    }
    Ok(Some(exclusions))
}

/// The exclusions of a migration as the public version shows them.
pub async fn expanded(core: &Core, migration: &Document<Migration>) -> Outcome<Vec<PublicExclusion>> {
    let migrator = crate::core::migrator_key(&migration.key()).to_owned();
    let named = named(core, &migrator, &migration.spec).await?;
    let exclusions = named.into_iter().map(|(name, template)| PublicExclusion {
        name: Some(name),
        is_default: Some(false),
        is_fs_restriction: Some(false),
        details: template.map(|template| v2023_11_01_preview::details(&template)),
    });
    Ok(exclusions.collect())
}

async fn named(
    core: &Core,
    migrator: &str,
    migration: &Migration,
) -> Outcome<Vec<(String, Option<ExclusionTemplate>)>> {
    let mut named = Vec::new();
    for name in &migration.policies.exclusions {
        let key = admission::key(migrator, name);
        let found = document::load::<ExclusionTemplate>(core.store.as_ref(), COLLECTION, &key).await?;
        named.push((name.clone(), found.map(|found| found.document.spec)));
    }
    Ok(named)
}
