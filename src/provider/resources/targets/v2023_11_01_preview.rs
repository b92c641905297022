//! Wire form of a target in `2023-11-01-preview`: an account key, or the client of a service principal.

use livedata_model::spec::{CredentialKind, Secret};
use serde_json::Value;
use url::Url;

use super::Target;
use super::model::CredentialInput;
use super::v2026_11_01_preview::Wire;
use crate::errors;
use crate::wire::Findings;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: Value,
        storage_account_id: String,
        storage_container: String,
        storage_access_key: String,
        storage_endpoint: String,
        oauth_client_id: String,
        oauth_client_secret: String,
        /// `https://login.microsoftonline.com/{tenant}/oauth2/token`
        oauth_client_endpoint: String,
    }
}

/// What a PUT does not say of the credential is as it is stored.
pub fn into_wire(wire: Properties, stored: Option<&Target>, findings: Findings) -> Wire {
    let kept = stored.map(|stored| &stored.credential);
    if wire.storage_access_key.is_some() && wire.oauth_client_secret.is_some() {
        let target = "properties.oauthClientSecret";
        let message = "A target has an access key or a service principal, not both: leave one out.";
        findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    }
    // A client id that is only shown gives way to a key that is new.
    let principal = wire.storage_access_key.is_none();
    let client_id = wire.oauth_client_id.filter(|_| principal).or_else(|| {
        let kept = kept.filter(|_| wire.oauth_client_secret.is_some())?;
        kept.client_id.clone()
    });
    let credential = if let Some(client_id) = client_id {
        let endpoint = wire.oauth_client_endpoint.as_deref().and_then(|text| {
            let read = endpoint(text);
            if read.is_none() {
                let target = "properties.oauthClientEndpoint";
                let message = format!("'{text}' is not https://HOST/TENANT/oauth2/token.");
                findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
            }
            read
        });
        let kept_place = || {
            let kept = kept.filter(|kept| kept.kind == CredentialKind::ServicePrincipal)?;
            Some((kept.authority.clone(), kept.tenant_id.clone()))
        };
        let (authority, tenant_id) = match endpoint {
            Some((authority, tenant)) => (Some(authority), Some(tenant)),
            None => kept_place().unwrap_or_default(),
        };
        let secret = wire.oauth_client_secret.map(Secret);
        let client_id = Some(client_id);
        CredentialInput { kind: CredentialKind::ServicePrincipal, secret, client_id, tenant_id, authority }
    } else if let (None, Some(kept)) = (&wire.storage_access_key, kept) {
        CredentialInput {
            kind: kept.kind,
            secret: None,
            client_id: kept.client_id.clone(),
            tenant_id: kept.tenant_id.clone(),
            authority: kept.authority.clone(),
        }
    } else {
        let secret = wire.storage_access_key.map(Secret);
        let kind = CredentialKind::AccountKey;
        CredentialInput { kind, secret, client_id: None, tenant_id: None, authority: None }
    };
    Wire {
        storage_account_id: findings.required("properties.storageAccountId", wire.storage_account_id),
        storage_container: findings.required("properties.storageContainer", wire.storage_container),
        storage_endpoint: wire.storage_endpoint,
        credential: Some(credential),
        findings,
    }
}

/// Authority and tenant.
fn endpoint(text: &str) -> Option<(String, String)> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some())?;
    let tenant = url.path_segments()?.next().filter(|tenant| !tenant.is_empty())?.to_owned();
    Some((url.origin().ascii_serialization(), tenant))
}

pub fn of_model(target: &Target) -> Properties {
    let credential = &target.credential;
    let is_client = credential.kind == CredentialKind::ServicePrincipal;
    let endpoint = credential.authority.as_ref().zip(credential.tenant_id.as_ref());
    Properties {
        storage_account_id: Some(target.storage_account_id.clone()),
        storage_container: Some(target.storage_container.clone()),
        storage_endpoint: target.storage_endpoint.clone(),
        oauth_client_id: credential.client_id.clone().filter(|_| is_client),
        oauth_client_endpoint: endpoint
            .filter(|_| is_client)
            .map(|(authority, tenant)| format!("{authority}/{tenant}/oauth2/token")),
        ..Properties::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_name_an_authority_and_a_tenant() {
        let read = endpoint("https://login.microsoftonline.com/contoso/oauth2/token");
        assert_eq!(read, Some(("https://login.microsoftonline.com".to_owned(), "contoso".to_owned())));
        for bad in ["http://a/t", "https://a", "https://a/", "t", ""] {
            assert_eq!(endpoint(bad), None, "{bad}");
        }
    }
}
