//! The custom-provider dialect: requests as a resource `Microsoft.CustomProviders/resourceProviders` makes them at the endpoint
//! that its owner gave for a resource type or an action.
//!
//! What it promises:
//! - Nothing is said to anybody who does not know the secret path ([`PathSecret`]): these callers show no certificate, and no
//!   client's identity reaches us, so whoever knows the path may do everything that this dialect can.
//! - The resources are the same as those of ARM, in the api-version 2026-11-01-preview, under flat types: `targets/t` with
//!   `properties.migratorName` is `migrators/{migratorName}/targets/t`. A custom provider sees only what was made through it, and
//!   a name of a type is one resource of it, whatever its migrator ([`names`]).
//! - Nothing has to be followed at an address of ours, which these callers could not reach: a PUT is over when GET shows a terminal
//!   `provisioningState`; DELETE and actions are waited for, and answer 202 when that takes too long.
//!
//! *Subscriptions.* Nobody tells us here of subscriptions, so one that ARM has not registered is served as if it were: what is
//! registered there is `LiveData.Platform`, which these callers never see. What ARM has said of the subscription itself
//! (warned, suspended, being deleted) holds here too.
//!
//! Start reading at [`answer`].

mod address;
pub mod names;
mod secret;
mod translation;
mod waiting;

use std::sync::Arc;

use livedata_arm::etag::Preconditions;
use livedata_arm::{ArmError, ResourceId};
use livedata_store::Change;
use livedata_telemetry::trace;
use serde_json::{Map, Value, json};
use url::Url;

pub use names::forget;
pub use secret::{PathSecret, WeakSecret};

use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::listener::{Incoming, Service};
use crate::request::{Method, Request, Response};
use crate::routes;
use crate::verbs::{Handler, list};
use crate::view::Version;
use address::{Address, Asked, CustomProvider};

/// The only one that there ever was.
const API_VERSION: &str = "2018-09-01-preview";
pub const REQUEST_PATH: &str = "x-ms-customproviders-requestpath";
/// The service that calls tells no address of its own by which a list could be continued; it lives in the public cloud.
const PUBLIC_CLOUD: &str = "https://management.azure.com";
/// How often a PUT is tried again when others take or give up the same name meanwhile.
const TRIES: usize = 4;

pub fn service(core: &Arc<Core>) -> Service {
    let core = Arc::clone(core);
    Arc::new(move |incoming| {
        let core = Arc::clone(&core);
        Box::pin(async move {
            match answer(&core, incoming).await {
                Ok(response) => response,
                Err(failure) => Response::error(&failure.into()),
            }
        })
    })
}

/// Answers a request that came by the secret path.
async fn answer(core: &Core, incoming: Incoming) -> Outcome<Response> {
    let request = read(core, &incoming)?;
    let path = incoming.header(REQUEST_PATH).ok_or_else(|| {
        errors::INVALID_REQUEST_PATH.error("The header X-MS-CustomProviders-RequestPath is missing.")
    })?;
    let Address { provider, asked } = Address::parse(path)?;
    let call = Call { core, provider, request };
    match (asked, call.request.method) {
        (Asked::Collection(kind), Method::Get | Method::Head) => call.list(kind).await,
        (Asked::Collection(kind), _) => Ok(call.refuse_method(&kind.description().type_path(), "GET")),
        (Asked::Resource(kind, name), Method::Get | Method::Head) => call.get(kind, &name).await,
        (Asked::Resource(kind, name), Method::Put) => call.put(kind, &name).await,
        (Asked::Resource(kind, name), Method::Delete) => call.delete(kind, &name).await,
        (Asked::Resource(_, name), _) => Ok(call.refuse_method(&name, "GET, PUT, DELETE")),
        (Asked::Action(kind, name, action), Method::Post) => call.act(kind, &name, &action).await,
        (Asked::Action(_, _, action), _) => Ok(call.refuse_method(&action, "POST")),
    }
}

/// The part of the request that does not depend on what it is for.
fn read(core: &Core, incoming: &Incoming) -> Result<Request, ArmError> {
    let Some(method) = Method::parse(&incoming.method) else {
        let message = format!("The method {} is not used here.", incoming.method);
        return Err(errors::METHOD_NOT_ALLOWED.error(message));
    };
    let request = Request {
        method,
        view: core.namespaces.view(Arc::clone(&core.namespaces.own), Version::V2026_11_01),
        segments: Vec::new(),
        query: Request::query_of(&incoming.query),
        referer: referer(incoming)?,
        preconditions: Preconditions::default(),
        system_data: None,
        tenant: None,
        content_type: incoming.header("content-type").map(str::to_owned),
        trace: trace::traceparent(&tracing::Span::current(), incoming.header(trace::TRACEPARENT)),
        body: incoming.body.clone(),
        custom_provider: Some(Change::new()),
    };
    match request.parameter("api-version").unwrap_or("") {
        "" => Err(errors::MISSING_API_VERSION
            .error(format!("The api-version query parameter is required; it is {API_VERSION} here."))),
        given if given.eq_ignore_ascii_case(API_VERSION) => Ok(request),
        given => Err(errors::INVALID_API_VERSION
            .error(format!("The api-version '{given}' is not supported here; it is {API_VERSION}."))),
    }
}

fn referer(incoming: &Incoming) -> Result<Url, ArmError> {
    let given = incoming.header(livedata_arm::headers::REFERER).and_then(|text| Url::parse(text).ok());
    if let Some(url) = given.filter(|url| url.scheme() == "https") {
        return Ok(url);
    }
    let path = incoming.header(REQUEST_PATH).unwrap_or("/");
    Url::parse(&format!("{PUBLIC_CLOUD}{path}?api-version={API_VERSION}"))
        .map_err(|_| errors::INVALID_REQUEST_PATH.error(format!("'{path}' is not a path.")))
}

/// A request of one custom provider. What is asked of `routes` is made from `request`.
struct Call<'a> {
    core: &'a Core,
    provider: CustomProvider,
    request: Request,
}

impl Call<'_> {
    async fn get(&self, kind: &'static dyn Handler, name: &str) -> Outcome<Response> {
        let found = self.existing(kind, name).await?;
        let response = self.dispatch(Method::Get, &found, None, Change::new()).await;
        self.shown(response, &found).await
    }

    async fn list(&self, kind: &'static dyn Handler) -> Outcome<Response> {
        let page = list::page_size(&self.request)?;
        let prefix = self.provider.key(kind, "");
        let after =
            self.request.parameter("$skipToken").map(|token| list::key_of(token, &prefix)).transpose()?;
        let mut named = names::list(self.core, &prefix, after.as_deref(), page + 1).await?;
        let mut more = named.len() > page;
        named.truncate(page);
        let (mut value, mut bytes, mut looked_at) = (Vec::with_capacity(named.len()), 0, 0);
        for (_, id) in &named {
            looked_at += 1;
            let response = self.dispatch(Method::Get, id, None, Change::new()).await;
            match response.status {
                200 => {
                    let shown = self.shown(response, id).await?.body.unwrap_or_default();
                    bytes += shown.to_string().len();
                    value.push(shown);
                }
                // It has gone since the names were read.
                404 => {}
                _ => return Ok(response),
            }
            if bytes >= list::FULL_BYTES {
                break;
            }
        }
        more |= looked_at < named.len();
        named.truncate(looked_at);
        let mut body = Map::from_iter([("value".to_owned(), Value::Array(value))]);
        if let Some((last, _)) = named.last().filter(|_| more) {
            body.insert("nextLink".to_owned(), Value::String(list::next_link(&self.request, last)));
        }
        Ok(Response::json(200, Value::Object(body)))
    }

    async fn put(&self, kind: &'static dyn Handler, name: &str) -> Outcome<Response> {
        let mut document = self.request.document()?;
        let id = self.placed(kind, name, &mut document).await?;
        translation::take_references(self.core, &self.provider, &mut document).await?;
        let body = serde_json::to_vec(&document)?.into();
        let call = Call { core: self.core, provider: self.provider.clone(), request: self.with_body(body) };
        let mut response = Response::empty(500);
        for _ in 0..TRIES {
            let change = self.named(kind, name, &id).await?;
            response = call.dispatch(Method::Put, &id, None, change).await;
            if !is_concurrent_change(&response) {
                break;
            }
        }
        self.shown(response, &id).await
    }

    /// Where the resource is, or is to be; what only this dialect has is taken from its document.
    async fn placed(
        &self,
        kind: &'static dyn Handler,
        name: &str,
        document: &mut Map<String, Value>,
    ) -> Outcome<ResourceId> {
        if kind.description().is_tracked() {
            return Ok(self.provider.top_level(&self.core.namespaces.own, kind, name));
        }
        let migrator = translation::take_migrator(document)?;
        let key = self.provider.key_of_migrator(&migrator);
        let Some(found) = names::find(self.core, &key).await? else {
            let message = format!("The custom provider '{}' has no migrator '{migrator}'.", self.provider);
            return Err(errors::PARENT_RESOURCE_NOT_FOUND.at(translation::MIGRATOR_NAME, message).into());
        };
        Ok(found.id.child(address::last_type(kind), name))
    }

    /// What must be true of the name for the resource to be written, and what is written of it with a new one.
    async fn named(&self, kind: &'static dyn Handler, name: &str, id: &ResourceId) -> Outcome<Change> {
        let key = self.provider.key(kind, name);
        let taken = |by: String| {
            let message = format!("The name '{name}' is taken: {by}. Choose another one.");
            errors::CUSTOM_RESOURCE_NAME_IN_USE.error(message)
        };
        match names::find(self.core, &key).await? {
            Some(found) if found.id == *id => {
                Ok(Change::new().expect(names::NAMES, key, Some(found.version)))
            }
            Some(found) => {
                let migrator = translation::migrator_of(&found.id);
                Err(taken(format!("it belongs to the migrator '{migrator}'")).into())
            }
            None => {
                let collection = kind.description().collection;
                if self.core.store.get(collection, &id.key()).await?.is_some() {
                    let by =
                        "its resource group has such a resource that was not made by this custom provider";
                    return Err(taken(by.to_owned()).into());
                }
                Ok(names::take(&key, id)?.expect(collection, id.key(), None))
            }
        }
    }

    async fn delete(&self, kind: &'static dyn Handler, name: &str) -> Outcome<Response> {
        let Some(found) = names::find(self.core, &self.provider.key(kind, name)).await? else {
            return Ok(Response::empty(204));
        };
        let response = self.dispatch(Method::Delete, &found.id, None, Change::new()).await;
        self.ended(response, &found.id).await
    }

    async fn act(&self, kind: &'static dyn Handler, name: &str, action: &str) -> Outcome<Response> {
        let found = self.existing(kind, name).await?;
        let response = self.dispatch(Method::Post, &found, Some(action), Change::new()).await;
        self.ended(response, &found).await
    }

    async fn existing(&self, kind: &'static dyn Handler, name: &str) -> Outcome<ResourceId> {
        let found = names::find(self.core, &self.provider.key(kind, name)).await?;
        let custom = self.provider.id(kind, name);
        found.map(|found| found.id).ok_or_else(|| ArmError::not_found(&custom).into())
    }

    async fn dispatch(
        &self,
        method: Method,
        id: &ResourceId,
        action: Option<&str>,
        change: Change,
    ) -> Response {
        let id = id.to_string();
        let segments = id.split('/').filter(|segment| !segment.is_empty()).chain(action);
        let kept = self.request.query.iter().filter(|(name, _)| name.starts_with('$')).cloned();
        let version = ("api-version".to_owned(), Version::V2026_11_01.as_str().to_owned());
        let request = Request {
            method,
            segments: segments.map(str::to_owned).collect(),
            query: kept.chain([version]).collect(),
            custom_provider: Some(change),
            ..self.request.clone()
        };
        routes::dispatch(self.core, request).await
    }

    fn with_body(&self, body: bytes::Bytes) -> Request {
        Request { body, ..self.request.clone() }
    }

    /// A resource as this custom provider has it.
    async fn shown(&self, response: Response, id: &ResourceId) -> Outcome<Response> {
        let mut response = self.in_its_words(response, id);
        if !matches!(response.status, 200 | 201) {
            return Ok(response);
        }
        let Some(Value::Object(resource)) = &mut response.body else { return Ok(response) };
        translation::show(self.core, &self.provider, id, resource).await?;
        if !translation::is_terminal(resource) {
            response = response.with("retry-after", self.core.retry_after_seconds.to_string());
        }
        Ok(response)
    }

    /// A deletion or an action, when it has ended.
    async fn ended(&self, response: Response, id: &ResourceId) -> Outcome<Response> {
        let ended =
            if response.status == 202 { waiting::for_end(self.core, &response).await? } else { response };
        let ended = self.in_its_words(ended, id);
        // Callers want an object, where ARM has nothing to say.
        Ok(match (ended.status, &ended.body) {
            (200 | 202, None) => Response { body: Some(json!({})), ..ended },
            _ => ended,
        })
    }

    /// Without what leads to addresses or ids that the caller does not know.
    fn in_its_words(&self, mut response: Response, id: &ResourceId) -> Response {
        let unknown = [livedata_arm::headers::ASYNC_OPERATION, "location", "retry-after"];
        response.headers.retain(|(name, _)| response.status >= 400 || !unknown.contains(name));
        if let Some(error) = response.body.as_mut().and_then(|body| body.get_mut("error")) {
            translation::rename(error, &id.to_string(), &self.provider.id_of(id));
        }
        response
    }

    fn refuse_method(&self, what: &str, allowed: &'static str) -> Response {
        let message = format!("'{what}' does not take this method; it takes {allowed}.");
        Response::error(&errors::METHOD_NOT_ALLOWED.error(message)).with("allow", allowed)
    }
}

fn is_concurrent_change(response: &Response) -> bool {
    let code = (livedata_arm::headers::ERROR_CODE, errors::CONCURRENT_CHANGE.name);
    response.headers.iter().any(|(name, value)| (*name, value.as_str()) == code)
}
