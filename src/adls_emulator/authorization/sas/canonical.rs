//! The texts that signatures sign. Which parts they have depends on the signature's version (`sv`).

use crate::request::Query;
use crate::service_error::ServiceError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// With an account key, for the whole account.
    Account,
    /// With an account key, for one resource.
    Service,
    /// With a user delegation key, for one resource.
    UserDelegation,
}

/// The first that could be for a directory, and could name users.
const WITH_USERS: &str = "2020-02-10";
const WITH_ENCRYPTION_SCOPE: &str = "2020-12-06";
const WITH_BOUND_USER: &str = "2025-07-05";
const WITH_REQUEST_PARTS: &str = "2026-04-06";
/// Before it another text was signed.
const OLDEST: &str = "2018-11-09";

impl Kind {
    pub(super) fn of(query: &Query) -> Result<Self, ServiceError> {
        if query.get("srh").or(query.get("srq")).is_some() {
            return Err(ServiceError::not_implemented(
                "signatures bound to headers or parameters (srh, srq)",
            ));
        }
        Ok(if query.get("skoid").is_some() {
            Self::UserDelegation
        } else if query.get("ss").is_some() || query.get("srt").is_some() {
            Self::Account
        } else {
            Self::Service
        })
    }
}

/// `resource`: the account's name, or `/blob/account/filesystem/path`.
pub(super) fn string_to_sign(query: &Query, kind: Kind, resource: &str) -> Result<String, ServiceError> {
    let version = query.get("sv").unwrap_or("");
    if version < OLDEST {
        let detail = format!(
            "sv={version} is older than {OLDEST}, the oldest version whose signatures are known here."
        );
        return Err(ServiceError::authentication_failed(detail));
    }
    let part = |name: &'static str| query.get(name).unwrap_or("");
    let since = |first: &str, names: &'static [&'static str]| if version >= first { names } else { &[] };
    let scope = since(WITH_ENCRYPTION_SCOPE, &["ses"]);
    let names: Vec<&str> = match kind {
        Kind::Account => {
            let names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"];
            let mut text = format!("{resource}\n");
            for name in names.iter().chain(scope) {
                text.push_str(part(name));
                text.push('\n');
            }
            return Ok(text);
        }
        Kind::Service => vec!["si"],
        Kind::UserDelegation => {
            let mut names = vec!["skoid", "sktid", "skt", "ske", "sks", "skv"];
            names.extend(since(WITH_USERS, &["saoid", "suoid", "scid"]));
            names.extend(since(WITH_BOUND_USER, &["skdutid", "sduoid"]));
            names
        }
    };
    let mut lines = vec![part("sp"), part("st"), part("se"), resource];
    lines.extend(names.into_iter().map(part));
    lines.extend(["sip", "spr", "sv", "sr", "snapshot"].map(part));
    lines.extend(scope.iter().map(|name| part(name)));
    if kind == Kind::UserDelegation {
        lines.extend(since(WITH_REQUEST_PARTS, &["srh", "srq"]).iter().map(|name| part(name)));
    }
    lines.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(part));
    Ok(lines.join("\n"))
}
