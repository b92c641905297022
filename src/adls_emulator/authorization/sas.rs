//! Shared access signatures: of the account, of a service resource (with a key, or with a user delegation key), checked as
//! <https://learn.microsoft.com/rest/api/storageservices/delegate-access-with-shared-access-signature> and its pages say.

mod canonical;
mod policy;

use std::net::IpAddr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;

use super::Identity;
use super::delegation::Delegation;
use super::needs::Need;
use super::source::Source;
use crate::account::Account;
use crate::clock;
use crate::operations::Context;
use crate::request::{Call, Query, addressed_path};
use crate::server::Service;
use crate::service_error::ServiceError;
use canonical::Kind;
pub(crate) use policy::{Policies, Policy};

/// What a signature that was found good allows.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    letters: String,
    scope: Scope,
    user: Option<User>,
}

#[derive(Debug, Clone)]
enum Scope {
    /// The letters of `srt`.
    Account {
        resource_types: String,
    },
    /// Everything in a filesystem below a path; the empty one is the filesystem itself, not included.
    Below {
        filesystem: String,
        path: Vec<String>,
    },
    File {
        filesystem: String,
        path: Vec<String>,
    },
}

/// Of a signature made with a user delegation key.
#[derive(Debug, Clone)]
struct User {
    /// Whose key it is.
    delegator: Identity,
    /// `saoid`: whom the delegator vouches for. `suoid`: whom the lists have to let through.
    vouched_for: Option<String>,
    to_be_checked: Option<String>,
}

impl Grant {
    /// The owner of what is made with it.
    pub(crate) fn acts_as(&self) -> Option<&str> {
        let user = self.user.as_ref()?;
        let named = user.vouched_for.as_ref().or(user.to_be_checked.as_ref());
        Some(named.unwrap_or(&user.delegator.object_id))
    }

    /// Whose roles and lists have to allow it, beside the letters: the delegator's, and those of whom it is checked for.
    pub(super) fn checked_as(&self) -> Vec<Identity> {
        let Some(User { delegator, to_be_checked, .. }) = &self.user else { return Vec::new() };
        let checked = to_be_checked
            .iter()
            .map(|object_id| Identity { object_id: object_id.clone(), ..delegator.clone() });
        std::iter::once(delegator.clone()).chain(checked).collect()
    }

    pub(super) fn check(&self, need: &Need) -> Result<(), ServiceError> {
        let has = |letters: &&str| letters.chars().all(|letter| self.letters.contains(letter));
        match &self.scope {
            Scope::Account { resource_types } if !resource_types.contains(need.resource_type.letter()) => {
                return Err(ServiceError::signed_resource_type_mismatch());
            }
            // A resource's signature reaches what is in the filesystem, not the filesystem.
            Scope::Below { .. } | Scope::File { .. } if need.of_whole_filesystem() => {
                return Err(ServiceError::authorization_failure());
            }
            _ => {}
        }
        if !need.letters.iter().any(has) {
            return Err(ServiceError::permission_mismatch());
        }
        Ok(())
    }

    /// The letter `c` is for what is not there yet.
    pub(super) fn may_overwrite(&self) -> bool {
        self.letters.contains('w')
    }

    /// The source of a rename or a copy, which the signature of the request does not name.
    pub(super) fn check_source(&self, source: &Source) -> Result<(), ServiceError> {
        let reached = match &self.scope {
            Scope::Account { .. } => true,
            Scope::Below { filesystem, path } => {
                *filesystem == source.filesystem && source.path.starts_with(path)
            }
            Scope::File { filesystem, path } => *filesystem == source.filesystem && *path == source.path,
        };
        if !reached {
            return Err(ServiceError::authorization_failure());
        }
        let allowed = source.letters.iter().any(|letters| self.letters.contains(letters));
        if allowed { Ok(()) } else { Err(ServiceError::permission_mismatch()) }
    }
}

/// The signature in the request's own query.
pub(super) async fn authenticate(
    call: &Call,
    account: &Account,
    service: &Service,
) -> Result<Grant, ServiceError> {
    let named = Named { filesystem: call.location.filesystem.clone(), path: addressed_path(call)? };
    read(&call.query, named, call, account, service).await
}

/// A source with a signature of its own.
pub(super) async fn check_signed_source(context: &Context, source: &Source) -> Result<(), ServiceError> {
    let Some(query) = &source.signed else { return Ok(()) };
    let named = Named { filesystem: Some(source.filesystem.clone()), path: source.path.clone() };
    let account = context.service.accounts.get(&source.account);
    let account = account.ok_or_else(ServiceError::cannot_verify_copy_source)?;
    read(query, named, &context.call, &account, &context.service).await?.check_source(source)
}

/// What a request names, which is what has to have been signed.
struct Named {
    filesystem: Option<String>,
    path: Vec<String>,
}

async fn read(
    query: &Query,
    named: Named,
    call: &Call,
    account: &Account,
    service: &Service,
) -> Result<Grant, ServiceError> {
    let kind = Kind::of(query)?;
    let policy = match query.get("si") {
        Some(name) => policy::find(account, named.filesystem.as_deref(), service, name).await?,
        None => Policy::default(),
    };
    let scope = scope(query, kind, named)?;
    let resource = match &scope {
        Scope::Account { .. } => account.name.clone(),
        Scope::Below { filesystem, path } | Scope::File { filesystem, path } => {
            let path: String = path.iter().map(|name| format!("/{name}")).collect();
            format!("/blob/{}/{filesystem}{path}", account.name)
        }
    };
    let text = canonical::string_to_sign(query, kind, &resource)?;
    let keys = match kind {
        Kind::UserDelegation => vec![delegation(query, &account.name).key(&service.delegation_secret)],
        Kind::Account | Kind::Service => account.keys.to_vec(),
    };
    let signature = BASE64.decode(query.get("sig").unwrap_or("")).unwrap_or_default();
    let signed_with = |key: &Vec<u8>| {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes(), &signature).is_ok()
    };
    if !keys.iter().any(signed_with) {
        let detail = format!("Signature did not match. String to sign used was {text}");
        return Err(ServiceError::authentication_failed(detail));
    }
    check_life(query, &policy)?;
    check_origin(query, call)?;
    let letters = query.get("sp").or(policy.letters.as_deref()).unwrap_or("").to_owned();
    let user = match kind {
        Kind::UserDelegation => Some(user(query, call, service)?),
        Kind::Account | Kind::Service => None,
    };
    Ok(Grant { letters, scope, user })
}

fn scope(query: &Query, kind: Kind, named: Named) -> Result<Scope, ServiceError> {
    if kind == Kind::Account {
        if !query.get("ss").unwrap_or("").contains('b') {
            return Err(ServiceError::service_mismatch());
        }
        return Ok(Scope::Account { resource_types: query.get("srt").unwrap_or("").to_owned() });
    }
    let failed = |detail: &str| ServiceError::authentication_failed(detail.to_owned());
    let Named { filesystem, path } = named;
    let filesystem =
        filesystem.ok_or_else(|| failed("The signature is for a resource, the request for the account."))?;
    match query.get("sr") {
        Some("c") => Ok(Scope::Below { filesystem, path: Vec::new() }),
        Some("b") => Ok(Scope::File { filesystem, path }),
        Some("d") => {
            let depth = query.number("sdd")?.and_then(|depth| usize::try_from(depth).ok());
            let depth = depth.ok_or_else(|| failed("sr=d needs sdd, the depth of the directory."))?;
            let top = path
                .get(..depth)
                .ok_or_else(|| failed("The path is above the directory of the signature."))?;
            Ok(Scope::Below { filesystem, path: top.to_vec() })
        }
        other => {
            let other = other.unwrap_or("");
            Err(failed(&format!("sr={other} is not a resource of this emulator; it knows b, c and d.")))
        }
    }
}

fn delegation<'a>(query: &'a Query, account: &'a str) -> Delegation<'a> {
    let part = |name: &'static str| query.get(name).unwrap_or("");
    Delegation {
        account,
        object_id: part("skoid"),
        tenant_id: part("sktid"),
        start: part("skt"),
        expiry: part("ske"),
        service: part("sks"),
        version: part("skv"),
        user_tenant_id: part("skdutid"),
    }
}

fn user(query: &Query, call: &Call, service: &Service) -> Result<User, ServiceError> {
    let part = |name: &'static str| query.get(name).map(str::to_owned);
    within("The user delegation key is", query.get("skt"), query.get("ske"))?;
    let (vouched_for, to_be_checked) = (part("saoid"), part("suoid"));
    if vouched_for.is_some() && to_be_checked.is_some() {
        return Err(ServiceError::authentication_failed("saoid and suoid exclude each other.".to_owned()));
    }
    // Bound to one user, who shows a token beside it.
    if let Some(bound) = query.get("sduoid") {
        let token = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let shown = token.map(|token| service.issuers.authenticate(token)).transpose()?;
        let is_bound = |identity: Identity| {
            let of_tenant = |tenant: &str| identity.tenant_id.eq_ignore_ascii_case(tenant);
            identity.object_id.eq_ignore_ascii_case(bound) && query.get("skdutid").is_none_or(of_tenant)
        };
        if !shown.is_some_and(is_bound) {
            let detail = "The signature is bound to a user (sduoid, skdutid), whose token has to come with the request.";
            return Err(ServiceError::authentication_failed(detail.to_owned()));
        }
    }
    let delegator = Identity {
        object_id: part("skoid").unwrap_or_default(),
        tenant_id: part("sktid").unwrap_or_default(),
        groups: Vec::new(),
    };
    Ok(User { delegator, vouched_for, to_be_checked })
}

fn check_life(query: &Query, policy: &Policy) -> Result<(), ServiceError> {
    let start = query.get("st").or(policy.start.as_deref());
    let expiry = query.get("se").or(policy.expiry.as_deref());
    if expiry.is_none() {
        return Err(ServiceError::authentication_failed("The signature has no end (se).".to_owned()));
    }
    within("Signature", start, expiry)
}

fn within(what: &str, start: Option<&str>, expiry: Option<&str>) -> Result<(), ServiceError> {
    let time = |text: &str| {
        let invalid =
            || ServiceError::authentication_failed(format!("'{text}' is not a time as signatures write it."));
        clock::parse_iso(text).ok_or_else(invalid)
    };
    let (starts, ends) = (start.map(time).transpose()?, expiry.map(time).transpose()?);
    let now = OffsetDateTime::from(clock::now());
    if starts.is_some_and(|start| now < start) || ends.is_some_and(|end| now >= end) {
        let detail = format!(
            "{what} not valid in the specified time frame: Start [{}] - Expiry [{}] - Current [{}]",
            start.unwrap_or(""),
            expiry.unwrap_or(""),
            clock::iso_now()
        );
        return Err(ServiceError::authentication_failed(detail));
    }
    Ok(())
}

/// `sip` and `spr`: from where and by which protocol.
fn check_origin(query: &Query, call: &Call) -> Result<(), ServiceError> {
    if query.get("spr") == Some("https") && !call.secure {
        return Err(ServiceError::protocol_mismatch());
    }
    let Some(range) = query.get("sip") else { return Ok(()) };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let parse = |text: &str| {
        let invalid = || ServiceError::invalid_query("sip", "expected an IP address or a range of them");
        text.trim().parse::<IpAddr>().map_err(|_| invalid())
    };
    let (first, last) = (parse(first)?, parse(last)?);
    let inside =
        call.peer.is_some_and(|peer| peer.is_ipv4() == first.is_ipv4() && (first..=last).contains(&peer));
    if inside { Ok(()) } else { Err(ServiceError::source_ip_mismatch()) }
}
