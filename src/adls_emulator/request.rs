//! One storage request, taken apart: which account, filesystem and path it names, on which endpoint, with which query and
//! headers.

mod conditions;
mod lease_use;
mod location;
mod query;

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, Uri};

use crate::service_error::ServiceError;
pub(crate) use conditions::Conditions;
pub(crate) use lease_use::{LeaseUse, duration as lease_duration, lease_id};
pub(crate) use location::{Location, decode_path, split_path};
pub(crate) use query::Query;

/// Which of the two endpoints a request is for; it decides the form of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Dfs,
    Blob,
}

pub(crate) struct Call {
    /// As sent, which is what is signed.
    pub sent_method: Method,
    /// After `X-HTTP-Method-Override`, with which the Hadoop driver sends PATCH as PUT.
    pub method: Method,
    pub raw_path: String,
    pub query: Query,
    pub headers: HeaderMap,
    pub location: Location,
    pub api: Api,
    /// As the client calls this endpoint, with the port.
    host: String,
    /// Whose socket it is.
    pub peer: Option<IpAddr>,
    /// Came over TLS.
    pub secure: bool,
    /// How the client reaches this endpoint: scheme and host, and the account in path style.
    pub base_url: String,
}

/// How a request came here.
struct Way {
    host: String,
    peer: Option<IpAddr>,
    secure: bool,
}

impl Call {
    /// `is_account` tells whether an account of that name exists; a host name only counts as one then.
    pub(crate) fn parse(
        request: &HttpRequest,
        is_account: impl Fn(&str) -> bool,
    ) -> Result<Self, ServiceError> {
        let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
        let host =
            authority.or_else(|| text(request.headers(), "host").map(str::to_owned)).unwrap_or_default();
        let way = Way {
            host,
            peer: request.peer_addr().map(|address| address.ip()),
            secure: request.app_config().secure(),
        };
        Self::of(request.method().clone(), request.uri(), request.headers().clone(), way, is_account)
    }

    /// A request that stands in the body of this one, a batch of blobs, and so came the same way.
    pub(crate) fn inside(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        is_account: impl Fn(&str) -> bool,
    ) -> Result<Self, ServiceError> {
        let uri: Uri = target.parse().map_err(|_| ServiceError::invalid_input())?;
        let host = uri.authority().map_or(self.host.as_str(), |authority| authority.as_str());
        let way = Way { host: host.to_owned(), peer: self.peer, secure: self.secure };
        let call = Self::of(method, &uri, headers, way, is_account)?;
        Ok(Self { api: Api::Blob, ..call })
    }

    fn of(
        sent_method: Method,
        uri: &Uri,
        headers: HeaderMap,
        way: Way,
        is_account: impl Fn(&str) -> bool,
    ) -> Result<Self, ServiceError> {
        let method = match text(&headers, "x-http-method-override") {
            Some(name) if sent_method == Method::PUT || sent_method == Method::POST => {
                Method::from_bytes(name.as_bytes())
                    .map_err(|_| ServiceError::invalid_header("X-HTTP-Method-Override", "not a method"))?
            }
            _ => sent_method.clone(),
        };
        let raw_path = uri.path().to_owned();
        let query = Query::parse(uri.query().unwrap_or(""))?;
        let Way { host, peer, secure } = way;
        let (location, host_api) = Location::parse(&host, &raw_path, is_account)?;
        let api = host_api.unwrap_or_else(|| guess_api(&method, &query, &headers));
        let scheme = if secure { "https" } else { "http" };
        let base_url = match host_api {
            Some(_) => format!("{scheme}://{host}"),
            None => format!("{scheme}://{host}/{}", location.account),
        };
        Ok(Self {
            sent_method,
            method,
            raw_path,
            query,
            headers,
            location,
            api,
            host,
            peer,
            secure,
            base_url,
        })
    }

    /// A header's value; one that is empty counts as absent (AzCopy sends an empty MD5).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }
}

/// The path that a request is about: that of its URI, or for a listing the directory in its query.
pub(crate) fn addressed_path(call: &Call) -> Result<Vec<String>, ServiceError> {
    if !call.location.path.is_empty() {
        return Ok(call.location.path.clone());
    }
    let listed =
        call.query.get("prefix").and_then(|prefix| prefix.rsplit_once('/')).map(|(directory, _)| directory);
    let directory = match call.api {
        Api::Dfs => call.query.get("directory"),
        Api::Blob => listed,
    };
    directory.map_or(Ok(Vec::new()), split_path)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// In path style both endpoints share host and port. `comp`, `restype`, `x-ms-blob-type` and `x-ms-copy-source` exist only on Blob, `resource` and `action` only on DFS;
/// the calls without any of them differ by what the generated clients accept.
fn guess_api(method: &Method, query: &Query, headers: &HeaderMap) -> Api {
    if query.get("resource").is_some() || query.get("action").is_some() {
        return Api::Dfs;
    }
    let named = query.get("comp").is_some()
        || query.get("restype").is_some()
        || text(headers, "x-ms-blob-type").is_some()
        || text(headers, "x-ms-copy-source").is_some();
    let accepts = |form: &str| text(headers, "accept").is_some_and(|accept| accept.contains(form));
    // On DFS a delete says whether it is recursive, or is sent by an SDK that wants JSON; some Blob clients say nothing.
    let bare_delete =
        *method == Method::DELETE && query.get("recursive").is_none() && !accepts("application/json");
    if named || bare_delete || accepts("application/xml") { Api::Blob } else { Api::Dfs }
}
