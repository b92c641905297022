//! Who sends a request, and whether it may do what it asks for.
//!
//! Three ways in, as at the service: an account key signs the request (`shared_key`), a shared access signature stands in
//! its query (`sas`), or an identity shows a token (`token`). `authenticate` tells who it is; `needs` says what each
//! operation takes; `authorise` compares the two. Keys may do everything. A signature may do what its letters say, within
//! its scope. An identity may do what its role on the account says, and beyond that what the access control lists on the
//! way to the path grant it (`access`).
//!
//! Outside contract: "Authorize requests to Azure Storage" and "Access control model in Azure Data Lake Storage Gen2".

mod access;
mod delegation;
mod needs;
mod sas;
mod shared_key;
mod source;
mod token;

use crate::account::Account;
use crate::operations::{Context, Operation};
use crate::request::Call;
use crate::server::Service;
use crate::service_error::ServiceError;
pub(crate) use access::{Authority, allowed_bits};
pub(crate) use delegation::user_delegation_key;
use needs::Access;
pub(crate) use needs::Role;
pub(crate) use sas::{Grant, Policies};
use source::Source;
pub(crate) use token::{Issuer, Issuers};

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Holds an account key: the account's superuser.
    Key,
    Signature(Grant),
    Identity(Identity),
}

/// A user, group member or service principal, as its token describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Object id, which ACL entries and owners name.
    pub object_id: String,
    pub tenant_id: String,
    /// Object ids of the groups that it belongs to.
    pub groups: Vec<String>,
}

impl Identity {
    /// Object ids that a role may be given to so that this identity has it.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.object_id.as_str()).chain(self.groups.iter().map(String::as_str))
    }

    pub(crate) fn is_member_of(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known.eq_ignore_ascii_case(group))
    }
}

impl Caller {
    /// Who owns what this caller makes; `None`: the superuser.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Self::Key => None,
            Self::Signature(grant) => grant.acts_as(),
            Self::Identity(identity) => Some(&identity.object_id),
        }
    }
}

pub(crate) async fn authenticate(
    call: &Call,
    account: &Account,
    service: &Service,
) -> Result<Caller, ServiceError> {
    let authorization = call.header("authorization");
    // A signature that is bound to a user comes with that user's token.
    let bound = call.query.get("sduoid").is_some();
    if call.query.get("sig").is_some() && (authorization.is_none() || bound) {
        return Ok(Caller::Signature(sas::authenticate(call, account, service).await?));
    }
    match authorization {
        None => Err(ServiceError::no_authentication_information()),
        Some(authorization) => {
            let (scheme, credential) = authorization.split_once(' ').unwrap_or((authorization, ""));
            if scheme.eq_ignore_ascii_case("SharedKey") {
                shared_key::authenticate(call, account, credential)?;
                return Ok(Caller::Key);
            }
            if scheme.eq_ignore_ascii_case("Bearer") {
                return Ok(Caller::Identity(service.issuers.authenticate(credential)?));
            }
            let detail = format!("The scheme {scheme} is not accepted here; send SharedKey or Bearer.");
            Err(ServiceError::malformed_authorization(detail))
        }
    }
}

/// Before the operation begins. What changes between this look and the operation is not looked at again.
pub(crate) async fn authorise(context: &Context, operation: Operation) -> Result<(), ServiceError> {
    let other_account = source::of_another_account(context, operation)?;
    if let Some(source) = &other_account {
        sas::check_signed_source(context, source).await?;
    }
    let need = match &context.caller {
        Caller::Key if operation != Operation::UserDelegationKey => return Ok(()),
        _ => match needs::of(operation, &context.call)? {
            Some(need) => need,
            None => return Ok(()),
        },
    };
    let source = if other_account.is_some() { None } else { Source::of(context, operation)? };
    if let Some(source) = source.as_ref().filter(|source| source.signed.is_some()) {
        sas::check_signed_source(context, source).await?;
    }
    // What has a signature of its own has been looked at.
    let source = source.filter(|source| source.signed.is_none());
    match &context.caller {
        Caller::Key => {
            let detail = "Only the authentication scheme Bearer is supported by this operation.";
            Err(ServiceError::authentication_failed(detail.to_owned()))
        }
        Caller::Signature(grant) => {
            grant.check(&need)?;
            if need.access == (Access::Create { overwrites: true }) && !grant.may_overwrite() {
                access::check_absent(context).await?;
            }
            if let Some(source) = &source {
                grant.check_source(source)?;
            }
            for identity in grant.checked_as() {
                access::check(context, &identity, &need, source.as_ref()).await?;
            }
            Ok(())
        }
        Caller::Identity(identity) => access::check(context, identity, &need, source.as_ref()).await,
    }
}
