//! GET of a collection, in pages (rules 60–66).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livedata_arm::{ArmError, ResourceId};
use serde_json::{Map, Value};

use super::beside::Beside;
use super::envelope;
use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::kind::ResourceKind;
use crate::request::{Request, Response};

const DEFAULT_PAGE: usize = LARGEST_PAGE;
const LARGEST_PAGE: usize = 100;
/// A page that has grown to this is the last of it: one more document stays below the 8 MB that ARM lets through (rule 100).
pub const FULL_BYTES: usize = 4 * 1024 * 1024;

pub async fn list<K: ResourceKind>(
    core: &Core,
    request: &Request,
    prefix: &str,
    parent: Option<&ResourceId>,
) -> Outcome<Response> {
    let page = page_size(request)?;
    let after = request.parameter("$skipToken").map(|token| key_of(token, prefix)).transpose()?;
    if let Some(parent) = parent {
        let collection = crate::resources::migrators::COLLECTION;
        if core.store.get(collection, &parent.key()).await?.is_none() {
            return Err(errors::PARENT_RESOURCE_NOT_FOUND
                .error(format!("The resource '{parent}' was not found."))
                .into());
        }
    }
    let collection = K::DESCRIPTION.collection;
    let mut found =
        document::list::<K::Spec>(core.store.as_ref(), collection, prefix, after.as_deref(), page + 1)
            .await?;
    let mut more = found.len() > page;
    found.truncate(page);
    let beside = Beside::read(&core.store, K::READ_BESIDE, prefix, after.as_deref(), page + 1).await?;
    let core = core.reading(Arc::new(beside));
    let (mut value, mut bytes) = (Vec::with_capacity(found.len()), 0);
    for one in &found {
        let shown = envelope::<K>(&core, &request.view, &one.document).await?;
        bytes += shown.to_string().len();
        value.push(shown);
        if bytes >= FULL_BYTES {
            break;
        }
    }
    more |= value.len() < found.len();
    found.truncate(value.len());
    let mut body = Map::new();
    body.insert("value".to_owned(), Value::Array(value));
    if let Some(last) = found.last().filter(|_| more) {
        body.insert("nextLink".to_owned(), Value::String(next_link(request, &last.document.key())));
    }
    Ok(Response::json(200, Value::Object(body)))
}

pub fn page_size(request: &Request) -> Result<usize, ArmError> {
    let Some(text) = request.parameter("$top") else { return Ok(DEFAULT_PAGE) };
    match text.parse::<usize>() {
        Ok(top) if top > 0 => Ok(top.min(LARGEST_PAGE)),
        _ => Err(errors::INVALID_QUERY_PARAMETER
            .at("$top", format!("'$top' must be a positive number, not '{text}'."))),
    }
}

/// The key behind a token; one that was made for another list is refused.
pub fn key_of(token: &str, prefix: &str) -> Result<String, ArmError> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.filter(|key| key.starts_with(prefix)).ok_or_else(|| {
        errors::INVALID_QUERY_PARAMETER.at("$skipToken", "'$skipToken' is not from a nextLink of this list.")
    })
}

/// The address that the client used, continued after `key` (rule 63).
pub fn next_link(request: &Request, key: &str) -> String {
    let mut link = request.referer.clone();
    let kept: Vec<(String, String)> = link
        .query_pairs()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("$skipToken"))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    link.query_pairs_mut().clear().extend_pairs(kept).append_pair("$skipToken", &URL_SAFE_NO_PAD.encode(key));
    link.into()
}
