//! Asking an endpoint.
//!
//! It gets the method, the body, `X-MS-CustomProviders-RequestPath` with the id of what is asked for, and headers by which its log
//! and ours can be brought together. The client's `Authorization` stays here: an endpoint knows ARM by its own address alone, which
//! is secret, so that address stands in no log and in no answer but that of the custom provider itself.

use livedata_arm::{ArmError, headers};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::record::{CustomProvider, Route};
use super::{API_VERSION, NAMESPACE, RESOURCE_TYPE};
use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::error::Error;
use crate::reply::{Outcome, Refusal, Reply};
use crate::request::{Incoming, Method};
use crate::upstream::{self, Answer};

const REQUEST_PATH: &str = "x-ms-customproviders-requestpath";
/// In an endpoint it stands for what that header says.
const PLACEHOLDER: &str = "{requestPath}";
/// What the answer of an endpoint has to be called.
const JSON: &str = "application/json; charset=utf-8";
/// An address at which the endpoint wants to be asked again is not for the client, who would show its token there.
const PASSED_TO_CLIENT: [&str; 3] = ["content-type", "retry-after", "etag"];
const NOT_IN_SEGMENTS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) struct Endpoints {
    client: reqwest::Client,
}

impl Endpoints {
    pub fn new(tls: rustls::ClientConfig) -> Result<Self, Error> {
        let client = upstream::client(tls)
            .map_err(|source| Error::ProviderClient { namespace: NAMESPACE.to_owned(), source })?;
        Ok(Self { client })
    }

    /// `path` is what follows the provider's name.
    pub(super) async fn ask(
        &self,
        app: &App,
        request: &Incoming,
        provider: &CustomProvider,
        route: &Route,
        path: &[String],
    ) -> Outcome {
        let who = format!("{NAMESPACE}/{RESOURCE_TYPE}/{}", provider.name);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
            Method::Head | Method::Patch | Method::Other => return Err(method_not_allowed(request)),
        };
        let mut about = provider.id(app);
        for segment in path {
            about.push('/');
            about.extend(utf8_percent_encode(segment, NOT_IN_SEGMENTS));
        }
        let mut sent = self
            .client
            .request(method, address(route, &about, request)?)
            .header(REQUEST_PATH, &about)
            .header(headers::REFERER, format!("{}{}", app.public_url, request.target))
            .header(headers::CORRELATION_REQUEST_ID, &request.correlation_id)
            .header(headers::CLIENT_REQUEST_ID, &request.client_request_id)
            .header("accept", "application/json");
        if !request.body.is_empty() {
            sent = sent.header("content-type", "application/json").body(request.body.clone());
        }
        let answer = upstream::exchange(&who, sent).await.map_err(|error| {
            let again = app.retry_after_seconds.to_string();
            if error.status == 503 { Refusal::from(error).with("retry-after", again) } else { error.into() }
        })?;
        let is_list = request.method == Method::Get && path.len() == 1;
        Ok(checked(answer, &about, is_list)?)
    }
}

fn address(route: &Route, about: &str, request: &Incoming) -> Result<Url, ArmError> {
    let filled = route.endpoint.replace(PLACEHOLDER, about.trim_start_matches('/'));
    let mut url = Url::parse(&filled).map_err(|_| {
        let message =
            format!("The endpoint of '{}' is no address together with the request's path.", route.name);
        ArmError::new(502, "ResourceProviderUnavailable", message)
    })?;
    let given = url::form_urlencoded::parse(request.query.as_bytes());
    let others = given.filter(|(name, _)| !name.eq_ignore_ascii_case("api-version"));
    url.query_pairs_mut().append_pair("api-version", API_VERSION).extend_pairs(others);
    Ok(url)
}

/// What may go back to the client: an ARM error, nothing, or an object.
fn checked(answer: Answer, about: &str, is_list: bool) -> Result<Reply, ArmError> {
    if !(200..300).contains(&answer.status) {
        let refused = (400..600).contains(&answer.status) && upstream::is_error(&answer.body);
        return if refused { Ok(passed(answer)) } else { Err(answer.into_error(about)) };
    }
    if answer.body.is_empty() && !is_list {
        return Ok(passed(answer));
    }
    let content = answer.headers.iter().find(|(name, _)| name == "content-type");
    let named = content.is_some_and(|(_, value)| value.eq_ignore_ascii_case(JSON));
    let document = serde_json::from_slice::<Value>(&answer.body).ok().filter(Value::is_object);
    let wanted = match &document {
        _ if !named => format!("content of the type '{JSON}'"),
        None => "a JSON object".to_owned(),
        Some(list) if is_list && !list["value"].is_array() => "a list under 'value'".to_owned(),
        Some(_) => return Ok(passed(answer)),
    };
    let message = format!("The endpoint answered {} for '{about}' without {wanted}.", answer.status);
    Err(ArmError::new(502, "ResourceProviderAnswerUnreadable", message))
}

fn passed(answer: Answer) -> Reply {
    let passed = |name: &str| {
        PASSED_TO_CLIENT.contains(&name) || name == headers::ERROR_CODE || name == headers::REQUEST_ID
    };
    let headers = answer.headers.into_iter().filter(|(name, _)| passed(name)).collect();
    Reply { status: answer.status, headers, body: answer.body }
}
