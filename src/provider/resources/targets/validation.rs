//! What a target's document must satisfy by itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livedata_arm::ResourceId;
use livedata_model::spec::CredentialKind;
use url::Url;

use super::TargetInput;
use super::model::CredentialInput;
use super::v2026_11_01_preview::Wire;
use crate::errors;
use crate::wire::Findings;

pub fn check(wire: Wire) -> Option<TargetInput> {
    let wrong =
        |target: &str, message: String| wire.findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    if let Some(id) = &wire.storage_account_id
        && !is_storage_account(id)
    {
        wrong(
            "properties.storageAccountId",
            format!(
                "'{id}' is not the full id of a storage account: /subscriptions/…/resourceGroups/…/providers/Microsoft.Storage/storageAccounts/{{3 to 24 lower-case letters and digits}}."
            ),
        );
    }
    if let Some(name) = &wire.storage_container
        && !is_container(name)
    {
        wrong(
            "properties.storageContainer",
            format!(
                "'{name}' is not a container name: 3 to 63 lower-case letters, digits and single hyphens, beginning and ending with a letter or digit."
            ),
        );
    }
    if let Some(endpoint) = &wire.storage_endpoint
        && !is_endpoint(endpoint)
    {
        wrong(
            "properties.storageEndpoint",
            format!("'{endpoint}' is not an http or https address without query."),
        );
    }
    let credential = wire.credential?;
    check_credential(&credential, &wire.findings);
    Some(TargetInput {
        storage_account_id: wire.storage_account_id?,
        storage_container: wire.storage_container?,
        storage_endpoint: wire.storage_endpoint,
        credential,
    })
}

/// The value of a secret is never repeated, not even when it is wrong.
fn check_credential(credential: &CredentialInput, findings: &Findings) {
    let at = |name: &str| format!("properties.credential.{name}");
    let wrong = |name: &str, message: &str| {
        findings.add(&errors::INVALID_PROPERTY_VALUE, at(name), message);
    };
    match (credential.kind, &credential.secret) {
        (CredentialKind::AccountKey, Some(key))
            if STANDARD.decode(&key.0).map_or(true, |bytes| bytes.is_empty()) =>
        {
            wrong("accountKey", "The account key must be base64, as the storage account lists it.");
        }
        (CredentialKind::SharedAccessSignature, Some(signature)) => {
            let query = signature.0.trim_start_matches('?');
            if !query.split('&').any(|pair| pair.strip_prefix("sig=").is_some_and(|value| !value.is_empty()))
            {
                wrong("sharedAccessSignature", "A shared access signature is a query with 'sig='.");
            }
        }
        (CredentialKind::ServicePrincipal, _) => {
            findings.required(&at("clientId"), credential.client_id.as_ref());
            findings.required(&at("tenantId"), credential.tenant_id.as_ref());
        }
        _ => {}
    }
    let is_authority = |text: &String| Url::parse(text).is_ok_and(|url| url.scheme() == "https");
    if credential.authority.as_ref().is_some_and(|text| !is_authority(text)) {
        wrong("authorityHost", "The authority is an https address, as https://login.microsoftonline.com is.");
    }
}

fn is_storage_account(id: &str) -> bool {
    id.starts_with('/')
        && id.parse::<ResourceId>().is_ok_and(|id| {
            id.resource_type.full().eq_ignore_ascii_case("Microsoft.Storage/storageAccounts")
                && (3..=24).contains(&id.name().len())
                && id.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn is_container(name: &str) -> bool {
    let letter_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| letter_or_digit(byte) || byte == b'-')
        && name.bytes().next().is_some_and(letter_or_digit)
        && name.bytes().last().is_some_and(letter_or_digit)
        && !name.contains("--")
}

fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids() {
        let id =
            |kind: &str, name: &str| format!("/subscriptions/s/resourceGroups/g/providers/{kind}/{name}");
        assert!(is_storage_account(&id("microsoft.storage/StorageAccounts", "lake01")));
        assert!(!is_storage_account(&id("Microsoft.Compute/disks", "lake01")));
        assert!(!is_storage_account(&id("Microsoft.Storage/storageAccounts", "Lake-01")));
        assert!(!is_storage_account("lake01"));
        for good in ["abc", "a-b-c", "0x0"] {
            assert!(is_container(good), "{good}");
        }
        for bad in ["ab", "-abc", "abc-", "a--b", "Abc", "$root", "a_b"] {
            assert!(!is_container(bad), "{bad}");
        }
        assert!(
            is_endpoint("http://127.0.0.1:10000/account") && is_endpoint("https://a.dfs.core.windows.net")
        );
        assert!(!is_endpoint("ftp://a") && !is_endpoint("https://a/?sig=x") && !is_endpoint("a"));
    }
}
