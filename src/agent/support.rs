//! What this version of the agent can act on. What it cannot, it leaves alone and says so (`NotSupportedByAgent`): half a
//! rule kept would be a promise broken.

use livedata_model::rules::{ActionPolicy, Priority};
use livedata_model::spec::{Body, CredentialKind, MigrationSpec, MigratorSpec, Mode, TargetSpec};

/// Of kinds that are held for acting on them; others are named only, so that the provider sends them again to a version
/// that can.
pub fn acts_on(body: &Body) -> bool {
    matches!(body, Body::Migrator(_) | Body::Target(_) | Body::Migration(_))
}

/// A sentence for the operator.
pub fn of_kind(body: &Body) -> String {
    let (what, instead) = match body {
        Body::Migrator(_) | Body::Target(_) | Body::Migration(_) => return String::new(),
        Body::PathMapping(_) => (
            "apply path mappings within a migration",
            "the provider applies them to the path of each migration that is made without a target path",
        ),
        Body::DataTransferAgent(_) => ("share its work with data transfer agents", "it copies by itself"),
        Body::MetadataTarget(_) | Body::MetadataMigration(_) => {
            ("migrate metadata", "nothing is read from a metastore or written to one")
        }
        Body::Verification(_) => ("run verifications", "nothing is compared"),
        Body::Unknown => ("act on this kind of resource, which it does not know", "upgrade it"),
    };
    format!("this agent cannot {what} yet; {instead}")
}

/// What of the migrator's own settings is not heeded.
pub fn of_migrator(spec: &MigratorSpec) -> Option<String> {
    let ignored = [
        (!spec.bandwidth_windows.is_empty(), "bandwidthPolicy.schedule"),
        (spec.configuration_directory.is_some(), "source.configurationDirectory"),
        (spec.kerberos.is_some(), "source.kerberos"),
        (spec.metadata_kerberos.is_some(), "metadataKerberos"),
    ];
    let names: Vec<&str> = ignored.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
    (!names.is_empty()).then(|| format!("this agent does not heed {} yet", names.join(", ")))
}

/// Why a migration is not started: a rule that its copies would break.
pub fn of_migration(spec: &MigrationSpec) -> Option<String> {
    let broken = [
        (!matches!(spec.mode, Mode::OneTime | Mode::Live), "mode Recurring"),
        (!spec.exclusions.is_empty(), "exclusions"),
        (spec.action_policy != ActionPolicy::Overwrite, "an actionPolicy but Overwrite"),
        (spec.max_bytes_per_second.is_some(), "a bandwidthPolicy of its own"),
        (!spec.identities.is_empty(), "identityMapping"),
    ];
    let names: Vec<&str> = broken.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
    (!names.is_empty()).then(|| {
        format!("this agent cannot run a migration with {} yet; take it away to start it", names.join(", "))
    })
}

/// What of a migration is not heeded while it runs: it breaks no promise about data.
pub fn ignored_of_migration(spec: &MigrationSpec) -> Option<String> {
    (spec.priority != Priority::Normal)
        .then(|| "this agent does not heed priority yet: migrations share its threads alike".to_owned())
}

/// Why a target cannot be written to.
pub fn of_target(spec: &TargetSpec) -> Option<String> {
    match spec.credential.kind {
        CredentialKind::AccountKey
        | CredentialKind::SharedAccessSignature
        | CredentialKind::ServicePrincipal
        | CredentialKind::WorkloadIdentity => None,
        CredentialKind::ManagedIdentity | CredentialKind::Unknown => Some(format!(
            "this agent has no way to use the target's credential of kind {}; give it another one",
            spec.credential.kind.as_str()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livedata_model::rules::Exclusion;

    fn plain() -> MigrationSpec {
        MigrationSpec::new("/t", "/a", Mode::Live, "one")
    }

    #[test]
    fn a_priority_is_not_heeded_and_stops_nothing() {
        let urgent = MigrationSpec { priority: Priority::High, ..plain() };
        assert_eq!(of_migration(&urgent), None);
        assert!(ignored_of_migration(&urgent).unwrap().contains("priority"));
        assert_eq!(ignored_of_migration(&plain()), None);
    }

    #[test]
    fn a_plain_migration_is_run_and_each_rule_that_cannot_be_kept_is_named() {
        assert_eq!(of_migration(&plain()), None);
        let exclusion = Exclusion {
            name: "old".into(),
            pattern: None,
            pattern_type: Default::default(),
            modified_before_ms: Some(0),
            max_bytes: None,
            younger_than_seconds: None,
        };
        let named = [
            (MigrationSpec { mode: Mode::Recurring, ..plain() }, "Recurring"),
            (MigrationSpec { exclusions: vec![exclusion], ..plain() }, "exclusions"),
            (MigrationSpec { action_policy: ActionPolicy::SkipIfSizeMatch, ..plain() }, "actionPolicy"),
            (MigrationSpec { max_bytes_per_second: Some(1), ..plain() }, "bandwidthPolicy"),
        ];
        for (spec, name) in named {
            let said = of_migration(&spec).unwrap();
            assert!(said.contains(name), "{said}");
        }
    }
}
