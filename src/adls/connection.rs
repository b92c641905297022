//! One container and the way to it: builds requests, sends them until the retry budget is spent.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, Method, Pipeline, PipelineStreamOptions, RawResponse, Request,
    RetryOptions, Transport as CoreTransport,
};
use livedata_filesystem::{Condition, Error, ErrorKind, Etag, TargetPath};
use url::Url;

use crate::concurrency::{Concurrency, Outcome};
use crate::fault::{Code, Fault};
use crate::identity::STORAGE_SCOPE;
use crate::retry::{Failure, Tries};
use crate::sas::SasPolicy;
use crate::shared_key::SharedKeyPolicy;
use crate::transport::Transport;
use crate::{Config, Credential, Lease, RetryBudget, encoding};

/// Said of paths that cannot be encoded.
pub(crate) const UNNAMEABLE: &str =
    "the store cannot hold a name that ends with a dot: rename it at the source";

type Result<T, E = Error> = std::result::Result<T, E>;

/// The service's interface version: the first with paginated delete of large directories and CRC-64 on every append.
const SERVICE_VERSION: &str = "2023-11-03";

/// One container of one storage account with hierarchical namespace. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Filesystem {
    pipeline: Pipeline,
    /// The container's URL, without trailing slash.
    base: Arc<str>,
    name: Arc<str>,
    retry: RetryBudget,
    concurrency: Arc<Concurrency>,
    /// What its user holds.
    pub(crate) leases: Vec<Lease>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilesystemProperties {
    /// Without a hierarchical namespace renames are not atomic and permissions do not exist.
    pub hierarchical_namespace: bool,
    pub etag: Option<Etag>,
}

impl Filesystem {
    /// Opens no connection yet. `Fatal` if the configuration cannot work.
    pub fn new(config: Config) -> Result<Self> {
        let invalid = |message: &str| {
            let subject = format!("{} in {}", config.filesystem, config.endpoint);
            Error::new(ErrorKind::Fatal, "open container", subject, message)
        };
        if !matches!(config.endpoint.scheme(), "http" | "https") || config.endpoint.cannot_be_a_base() {
            return Err(invalid("the endpoint must be an http or https URL"));
        }
        if config.filesystem.is_empty() || config.account.is_empty() {
            return Err(invalid("account and container must be named"));
        }
        if config.user_agent.is_empty()
            || !config.user_agent.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        {
            return Err(invalid("the user agent must be visible ASCII"));
        }
        config.network.check(&config.endpoint).map_err(invalid)?;
        if matches!(config.credential, Credential::Token(_)) && config.endpoint.scheme() != "https" {
            return Err(invalid("an access token is only sent over https"));
        }
        let transport = Transport::new(&config.network, config.throttle.clone()).map_err(|error| {
            invalid(&format!("the HTTP client cannot be set up: check proxy and authorities: {error}"))
        })?;
        let mut base = config.endpoint.clone();
        base.set_query(None);
        base.set_fragment(None);
        let base =
            format!("{}/{}", base.as_str().trim_end_matches('/'), encoding::component(&config.filesystem));
        let signing: Arc<dyn Policy> = match config.credential {
            Credential::SharedKey(key) => Arc::new(SharedKeyPolicy::new(config.account, key)),
            Credential::Sas(sas) => Arc::new(SasPolicy::new(sas)),
            Credential::Token(credential) => {
                Arc::new(BearerTokenAuthorizationPolicy::new(credential, [STORAGE_SCOPE]))
            }
        };
        let options = ClientOptions {
            // Tries are counted outside the pipeline, where it is known what a lost answer means.
            retry: RetryOptions::none(),
            transport: Some(CoreTransport::new(Arc::new(transport))),
            ..ClientOptions::default()
        };
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            Vec::new(),
            vec![Arc::new(UserAgent(config.user_agent)), signing],
            None,
        );
        Ok(Self {
            pipeline,
            base: base.into(),
            name: config.filesystem.into(),
            retry: config.retry,
            concurrency: config.concurrency,
            leases: Vec::new(),
        })
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the container. `Conflict` if it exists.
    pub async fn create_filesystem(&self) -> Result<()> {
        let call = self.container_call("create container", Method::Put, &[("resource", "filesystem")])?;
        match self.send(call).await {
            Ok(_) => Ok(()),
            // Our own earlier try may have made it: a container is the same whoever made it.
            Err(failure) if failure.outcome_unknown && failure.error.kind() == ErrorKind::Conflict => {
                match self.filesystem_properties().await {
                    Ok(Some(_)) => Ok(()),
                    Ok(None) => Err(failure.into()),
                    Err(look) => Err(failure.unresolved("create container", self.name.to_string(), look)),
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// What the container is; `None` if there is none of this name.
    pub async fn filesystem_properties(&self) -> Result<Option<FilesystemProperties>> {
        let call = self.container_call("look at container", Method::Head, &[("resource", "filesystem")])?;
        match self.send(call).await {
            Ok(response) => Ok(Some(FilesystemProperties {
                hierarchical_namespace: header(response.headers(), "x-ms-namespace-enabled") == Some("true"),
                etag: etag(response.headers()),
            })),
            Err(failure)
                if failure.code == Code::FilesystemNotFound || failure.error.kind() == ErrorKind::Gone =>
            {
                Ok(None)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// How messages name a path.
    pub(crate) fn subject(&self, path: &TargetPath) -> String {
        format!("{}/{}", self.name, path.as_str())
    }

    /// A request about the container itself.
    pub(crate) fn container_call(
        &self,
        operation: &'static str,
        method: Method,
        query: &[(&str, &str)],
    ) -> Result<Call> {
        self.build(operation, method, self.name.to_string(), self.base.to_string(), query)
    }

    /// A request about a path in it. The root is the container's URL with a trailing slash.
    pub(crate) fn call(
        &self,
        operation: &'static str,
        method: Method,
        path: &TargetPath,
        query: &[(&str, &str)],
    ) -> Result<Call> {
        let subject = self.subject(path);
        let Some(encoded) = encoding::path(path.as_str()) else {
            let message = UNNAMEABLE;
            return Err(Error::new(ErrorKind::NameRefused, operation, subject, message));
        };
        let mut call = self.build(operation, method, subject, format!("{}/{encoded}", self.base), query)?;
        if matches!(method, Method::Put | Method::Patch | Method::Delete)
            && let Some(lease) = self.lease_on(path)
        {
            call.header("x-ms-lease-id", lease.id());
        }
        Ok(call)
    }

    pub(crate) fn lease_on(&self, path: &TargetPath) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.guards(path))
    }

    fn build(
        &self,
        operation: &'static str,
        method: Method,
        subject: String,
        mut url: String,
        query: &[(&str, &str)],
    ) -> Result<Call> {
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoding::component(value));
        }
        match Url::parse(&url) {
            Ok(url) => {
                let mut request = Request::new(url, method);
                request.insert_header("x-ms-version", SERVICE_VERSION);
                Ok(Call { operation, subject, request })
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Fatal, operation, subject, "the path does not make a URL")
                    .with_source(error))
            }
        }
    }

    /// Sends until there is an answer that is not worth another try; the whole reply is read.
    pub(crate) async fn send(&self, mut call: Call) -> Result<RawResponse, Failure> {
        let mut tries = Tries::new(self.retry, call.operation, call.subject);
        loop {
            match self.one_try(&mut call.request).await {
                Ok(response) => match response.try_into_raw_response().await {
                    Ok(response) => return Ok(response),
                    Err(error) => tries.after(Fault::unanswered(error)).await?,
                },
                Err(fault) => tries.after(fault).await?,
            }
        }
    }

    /// As [`Self::send`], but the reply's body is left to the caller.
    pub(crate) async fn open(&self, mut call: Call) -> Result<AsyncRawResponse, Failure> {
        let mut tries = Tries::new(self.retry, call.operation, call.subject);
        loop {
            match self.one_try(&mut call.request).await {
                Ok(response) => return Ok(response),
                Err(fault) => tries.after(fault).await?,
            }
        }
    }

    /// Waits for a slot first: a pause between tries holds none.
    async fn one_try(&self, request: &mut Request) -> Result<AsyncRawResponse, Fault> {
        let slot = self.concurrency.admit().await;
        let answer = self.exchange(request).await;
        slot.settle(match &answer {
            Err(fault) if matches!(fault.kind, ErrorKind::Throttled { .. }) => Outcome::Busy,
            // What was not answered, or by something in between, says nothing about the account's limits.
            Err(fault) if fault.outcome_unknown || fault.kind == ErrorKind::Unreachable => Outcome::Unknown,
            _ => Outcome::Answered,
        });
        answer
    }

    async fn exchange(&self, request: &mut Request) -> Result<AsyncRawResponse, Fault> {
        let options = PipelineStreamOptions { skip_checks: true, ..PipelineStreamOptions::default() };
        let response =
            self.pipeline.stream(&Context::new(), request, Some(options)).await.map_err(Fault::unanswered)?;
        if response.status().is_success() {
            return Ok(response);
        }
        // An error whose explanation broke off still has its status and its code header.
        let (status, headers, body) = response.deconstruct();
        let body = body.collect().await.unwrap_or_default();
        Err(Fault::answered(status.into(), &headers, &body))
    }
}

/// One operation about to be sent.
#[derive(Debug)]
pub(crate) struct Call {
    pub operation: &'static str,
    /// What the operation is about, for messages.
    pub subject: String,
    pub request: Request,
}

impl Call {
    pub(crate) fn header(&mut self, name: &'static str, value: impl Into<String>) {
        self.request.insert_header(HeaderName::from_static(name), value.into());
    }

    pub(crate) fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Absent => self.header("if-none-match", "*"),
            Condition::Unchanged(etag) => self.header("if-match", etag.0.clone()),
            Condition::Any => {}
        }
    }
}

pub(crate) fn header<'a>(headers: &'a Headers, name: &'static str) -> Option<&'a str> {
    headers.get_optional_str(&HeaderName::from_static(name))
}

pub(crate) fn etag(headers: &Headers) -> Option<Etag> {
    header(headers, "etag").map(|etag| Etag(etag.to_owned()))
}

/// Overrides the pipeline's own user agent with the one that the caller chose.
#[derive(Debug)]
struct UserAgent(String);

#[async_trait]
impl Policy for UserAgent {
    #[expect(
        elided_lifetimes_in_paths,
        reason = "the trait declares it so, and the expansion of async_trait must match"
    )]
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("user-agent", self.0.clone());
        match next {
            [policy, rest @ ..] => policy.send(context, request, rest).await,
            [] => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the user agent policy needs a transport behind it",
            )),
        }
    }
}
