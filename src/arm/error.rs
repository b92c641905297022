//! The one error shape of the contract: `{"error":{code,message,target?,details?[]}}` (rules 92–94).

use serde::{Deserialize, Serialize};

/// An error that a caller sees. Codes are PascalCase and stable; `docs/errors.md` lists every one with what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ArmError {
    /// HTTP status.
    pub status: u16,
    pub code: String,
    pub message: String,
    /// JSON path of the offending property, e.g. `properties.path`.
    pub target: Option<String>,
    pub details: Vec<ErrorDetail>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ErrorDetail {
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail>,
}

/// The document on the wire.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

impl ArmError {
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), target: None, details: Vec::new() }
    }

    #[must_use]
    pub fn at(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// 400 about one property.
    pub fn invalid(target: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(400, code, message).at(target)
    }

    pub fn not_found(id: &str) -> Self {
        Self::new(404, "ResourceNotFound", format!("The resource '{id}' was not found."))
    }

    /// Several findings about one document become one error with `details[]`; a single one stays itself (rule 93).
    pub fn several(mut findings: Vec<ArmError>) -> Option<Self> {
        match findings.len() {
            0 => None,
            1 => findings.pop(),
            _ => {
                let status = findings.first().map_or(400, |first| first.status);
                let mut all = Self::new(
                    status,
                    "MultipleErrorsOccurred",
                    "Several properties are wrong; details lists each of them.",
                );
                all.details = findings.into_iter().map(ArmError::into_detail).collect();
                Some(all)
            }
        }
    }

    pub fn into_detail(self) -> ErrorDetail {
        ErrorDetail { code: self.code, message: self.message, target: self.target, details: self.details }
    }

    pub fn body(&self) -> ErrorBody {
        ErrorBody { error: self.clone().into_detail() }
    }
}
