//! `POST …/checkNameAvailability` (rule 115): whether a migrator can be called so. Names are unique within a resource group; the
//! answer is for the whole subscription, because that is what it is asked for.

use livedata_arm::ArmError;
use serde_json::json;

use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::registry;
use crate::request::{Request, Response};
use crate::wire::{Findings, Reader};

const PAGE: usize = 500;

pub async fn check(core: &Core, request: &Request, subscription: &str) -> Outcome<Response> {
    let (name, path) = input(request)?;
    let Some(kind) = registry::find(&[path.as_str()]).map(|kind| kind.description()) else {
        let message = format!("'{path}' is not a type of which names are checked; migrators are.");
        return Err(errors::INVALID_PROPERTY_VALUE.at("type", message).into());
    };
    if !kind.names.allow(&name) {
        let message = format!("'{name}' cannot be a name: use {}.", kind.names.rule());
        return Ok(answer(Some(("Invalid", message))));
    }
    let prefix = format!("/subscriptions/{subscription}/resourcegroups/").to_lowercase();
    let last = format!("/{}/{}", path.to_lowercase(), name.to_lowercase());
    let mut after: Option<String> = None;
    loop {
        let page = core.store.list(kind.collection, &prefix, after.as_deref(), PAGE).await?;
        if page.iter().any(|record| record.key.ends_with(&last)) {
            let message = format!("There is a resource '{name}' of this type in the subscription.");
            return Ok(answer(Some(("AlreadyExists", message))));
        }
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        if after.is_none() {
            return Ok(answer(None));
        }
    }
}

/// Name, and type below the namespace.
fn input(request: &Request) -> Result<(String, String), ArmError> {
    let body = request.document()?;
    let findings = Findings::default();
    let mut reader = Reader::new("", &body, &findings);
    let (name, given) = (reader.required_text("name"), reader.required_text("type"));
    reader.finish();
    findings.verdict()?;
    let given = given.unwrap_or_default();
    let path = given
        .split_once('/')
        .filter(|(namespace, _)| namespace.eq_ignore_ascii_case(request.view.namespace()));
    let Some((_, path)) = path else {
        let message = format!("'{given}' is not a type of {}.", request.view.namespace());
        return Err(errors::INVALID_PROPERTY_VALUE.at("type", message));
    };
    Ok((name.unwrap_or_default(), path.to_owned()))
}

fn answer(refusal: Option<(&str, String)>) -> Response {
    Response::json(
        200,
        match refusal {
            None => json!({ "nameAvailable": true }),
            Some((reason, message)) => {
                json!({ "nameAvailable": false, "reason": reason, "message": message })
            }
        },
    )
}
