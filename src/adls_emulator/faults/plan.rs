//! What happens to one request: a layer around its operation.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::bodies::{self, Broken};
use super::connection::Connection;
use super::effect::{Effect, Failure, Latency, Reset};
use super::limits::AccountLimits;
use crate::service_error::ServiceError;

pub(crate) struct Plan {
    limits: Option<Arc<AccountLimits>>,
    delay: Duration,
    failure: Option<Failure>,
    ceilings: Vec<Arc<Effect>>,
    lost_reply: bool,
    reset: Option<Reset>,
    /// The rules that struck.
    struck: Vec<String>,
}

impl Plan {
    pub(super) fn new(limits: Option<Arc<AccountLimits>>) -> Self {
        Self {
            limits,
            delay: Duration::ZERO,
            failure: None,
            ceilings: Vec::new(),
            lost_reply: false,
            reset: None,
            struck: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, id: &str, effect: Arc<Effect>) {
        self.struck.push(id.to_owned());
        match &*effect {
            Effect::Latency(Latency { from_ms, .. }) => self.delay += Duration::from_millis(*from_ms),
            Effect::Bandwidth(_) => self.ceilings.push(effect),
            Effect::Error(failure) => self.failure = self.failure.or(Some(*failure)),
            Effect::LostReply => self.lost_reply = true,
            Effect::Reset(reset) => self.reset = self.reset.or(Some(*reset)),
        }
    }

    /// The rules that struck, for the log.
    pub(crate) fn struck(&self) -> &[String] {
        &self.struck
    }

    pub(crate) async fn around(
        self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        operation: impl AsyncFnOnce(&mut web::Payload) -> Result<HttpResponse, ServiceError>,
    ) -> Result<HttpResponse, ServiceError> {
        if self.limits.is_none() && self.struck.is_empty() {
            return operation(payload).await;
        }
        let connection = Connection::of(request);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if self.reset == Some(Reset::BeforeOperation) {
            connection.iter().for_each(Connection::reset);
            return Err(broken());
        }
        if let Some(failure) = self.failure.filter(|failure| !failure.after_commit) {
            return Err(failure.error());
        }
        let broken_request = match self.reset {
            Some(Reset::RequestBody { after_bytes }) => Some(Broken::new(after_bytes, connection.clone())),
            _ => None,
        };
        if !self.ceilings.is_empty() || broken_request.is_some() {
            bodies::change_request(request, payload, self.ceilings.clone(), broken_request).await;
        }
        let outcome = operation(payload).await;
        if self.lost_reply {
            connection.iter().for_each(Connection::close);
        }
        let response = outcome?;
        if let Some(failure) = self.failure {
            return Err(failure.error());
        }
        self.reply(request, response, connection)
    }

    fn reply(
        self,
        request: &HttpRequest,
        response: HttpResponse,
        connection: Option<Connection>,
    ) -> Result<HttpResponse, ServiceError> {
        let bytes = match response.body().size() {
            BodySize::Sized(bytes) if *request.method() != Method::HEAD => bytes,
            _ => 0,
        };
        if let Some(limits) = &self.limits {
            limits.admit_reply(bytes)?;
        }
        let broken = match self.reset {
            Some(Reset::ResponseBody { after_bytes }) => Some(Broken::new(after_bytes, connection)),
            _ => None,
        };
        if bytes == 0 || (self.ceilings.is_empty() && broken.is_none()) {
            return Ok(response);
        }
        Ok(response.map_body(|_, body: BoxBody| bodies::change_reply(body, bytes, self.ceilings, broken)))
    }
}

/// Nobody reads it: the connection is gone.
fn broken() -> ServiceError {
    let message = "The connection was reset, as a fault that was asked for.";
    ServiceError::new(StatusCode::SERVICE_UNAVAILABLE, "ConnectionReset", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_add_up_and_of_failures_the_first_counts() {
        let mut plan = Plan::new(None);
        for (id, effect) in [
            ("fixed", r#"{"latency":{"fromMs":30}}"#),
            ("more", r#"{"latency":{"fromMs":12}}"#),
            ("busy", r#"{"error":{"kind":"serverBusy","retryAfterSeconds":1}}"#),
            ("late", r#"{"error":{"kind":"internalError"}}"#),
        ] {
            plan.add(id, Arc::new(serde_json::from_str(effect).unwrap()));
        }
        assert_eq!(plan.delay, Duration::from_millis(42));
        assert_eq!(plan.failure.unwrap().retry_after_seconds, Some(1));
        assert_eq!(plan.struck(), ["fixed", "more", "busy", "late"]);
    }
}
