//! The new intent of a target. Here the account key is sealed; an equal key keeps its sealed form, so that a repeated PUT
//! changes nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Target, TargetInput};
use crate::core::Core;
use crate::errors::{self, Outcome};

pub fn intent(core: &Core, guid: &str, stored: Option<&Target>, input: TargetInput) -> Outcome<Target> {
    let kept = stored.map(|stored| stored.sealed_account_key.clone());
    let sealed_account_key = match (input.account_key, kept) {
        (Some(given), Some(kept)) if open(core, guid, &kept)? == given.0 => kept,
        (Some(given), _) => STANDARD.encode(core.sealing_key.seal(&context(guid), given.0.as_bytes())),
        (None, Some(kept)) => kept,
        (None, None) => {
            let target = "properties.credential.accountKey";
            return Err(errors::MISSING_REQUIRED_PROPERTY.at(target, "The account key is required.").into());
        }
    };
    let endpoint_kept = stored.is_some_and(|stored| stored.storage_endpoint == input.storage_endpoint);
    Ok(Target {
        storage_account_id: input.storage_account_id,
        storage_container: input.storage_container,
        storage_endpoint: input.storage_endpoint,
        sealed_account_key,
        found: stored.filter(|_| endpoint_kept).and_then(|stored| stored.found.clone()),
    })
}

/// The account key in the clear.
pub fn open(core: &Core, guid: &str, sealed: &str) -> Outcome<String> {
    let damaged =
        || livedata_store::Error::Damaged("the sealed account key is not what was stored".to_owned());
    let sealed = STANDARD.decode(sealed).map_err(|_| damaged())?;
    let plain = core.sealing_key.open(&context(guid), &sealed)?;
    Ok(String::from_utf8(plain).map_err(|_| damaged())?)
}

/// Binds a sealed key to its target: moved to another record it does not open.
fn context(guid: &str) -> String {
    format!("account key of target {guid}")
}
