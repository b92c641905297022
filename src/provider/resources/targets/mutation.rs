//! The new intent of a target. Here its secret is sealed.

use super::model::{Credential, CredentialInput, secret_property};
use super::{Target, TargetInput};
use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::secrets::{self, Context};

pub fn intent(core: &Core, guid: &str, stored: Option<&Target>, input: TargetInput) -> Outcome<Target> {
    let endpoint_kept = stored.is_some_and(|stored| stored.storage_endpoint == input.storage_endpoint);
    Ok(Target {
        storage_account_id: input.storage_account_id,
        storage_container: input.storage_container,
        storage_endpoint: input.storage_endpoint,
        credential: credential(core, guid, stored.map(|stored| &stored.credential), input.credential)?,
        found: stored.filter(|_| endpoint_kept).and_then(|stored| stored.found.clone()),
    })
}

fn credential(
    core: &Core,
    guid: &str,
    stored: Option<&Credential>,
    input: CredentialInput,
) -> Outcome<Credential> {
    let CredentialInput { kind, secret, client_id, tenant_id, authority } = input;
    let sealed = match secret_property(kind) {
        None => None,
        Some(property) => {
            let kept = stored.filter(|stored| stored.kind == kind).and_then(|stored| stored.sealed.as_ref());
            let sealed = secrets::seal(core, context(guid), secret, kept)?;
            let target = format!("properties.credential.{property}");
            let message = format!("The property '{target}' is required: no such secret is stored.");
            Some(sealed.ok_or_else(|| errors::MISSING_REQUIRED_PROPERTY.at(target, message))?)
        }
    };
    Ok(Credential { kind, sealed, client_id, tenant_id, authority })
}

pub fn context(guid: &str) -> Context<'_> {
    // The words are part of what was sealed when there were account keys only.
    Context { what: "account key of target", guid }
}
