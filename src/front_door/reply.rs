//! Answers, before any web framework sees them.

use bytes::Bytes;
use livedata_arm::ArmError;
use serde::Serialize;

pub(crate) struct Reply {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// An ARM error on its way out, with the headers that belong to it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub error: ArmError,
    pub headers: Vec<(String, String)>,
}

pub(crate) type Outcome = Result<Reply, Refusal>;

impl Reply {
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub fn json(status: u16, document: &impl Serialize) -> Self {
        // Our documents have string keys only, so serialising cannot fail.
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self { status, headers: vec![json_content()], body: body.into() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Refusal {
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn into_reply(self) -> Reply {
        let mut reply = Reply::json(self.error.status, &self.error.body());
        reply.headers.push((livedata_arm::headers::ERROR_CODE.to_owned(), self.error.code.clone()));
        reply.headers.extend(self.headers);
        reply
    }
}

fn json_content() -> (String, String) {
    ("content-type".to_owned(), "application/json; charset=utf-8".to_owned())
}

impl From<ArmError> for Refusal {
    fn from(error: ArmError) -> Self {
        Self { error, headers: Vec::new() }
    }
}

impl From<livedata_store::Error> for Refusal {
    fn from(error: livedata_store::Error) -> Self {
        arm_error(error).into()
    }
}

/// The ARM error that a failing store becomes.
pub(crate) fn arm_error(error: livedata_store::Error) -> ArmError {
    match error {
        livedata_store::Error::Conflict { .. } => ArmError::new(
            409,
            "Conflict",
            "Another request changed the same resource at the same time. Read it and send the request again.",
        ),
        other => {
            tracing::error!(error = %other, "the store failed");
            ArmError::new(
                503,
                "ServerUnavailable",
                "The front door cannot reach its store at the moment. Try again.",
            )
        }
    }
}
