//! A new listen token for an agent that was away longer than its old one lived.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livedata_pki::{Identity, inspect};
use serde::{Deserialize, Serialize};

use crate::enrolment::{Rejection, TOKEN_PATH};
use crate::{AgentAuthority, AgentName, Error};

/// How far the agent's clock may be from the provider's; also how long a copied request is of use to its thief, who needs
/// to have broken the TLS connection to copy it.
const ALLOWED_SECONDS: u64 = 300;

/// Agent → provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRequest {
    /// The agent's certificate, PEM.
    pub certificate: String,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// ECDSA P-256 over SHA-256 of the path and `issued_at`, ASN.1, base64url.
    pub signature: String,
}

impl TokenRequest {
    pub fn new(identity: &Identity, now: i64) -> Result<Self, Error> {
        let signature = identity.sign(signed_text(now).as_bytes())?;
        Ok(Self {
            certificate: identity.certificate_chain_pem().to_owned(),
            issued_at: now,
            signature: URL_SAFE_NO_PAD.encode(signature),
        })
    }
}

fn signed_text(issued_at: i64) -> String {
    format!("POST {TOKEN_PATH}\n{issued_at}")
}

/// Which agent asks, if it proves it; `now` in seconds since 1970. Whether that agent is still welcome is for the caller
/// to say.
pub fn check_token_request(
    request: &TokenRequest,
    authority: &AgentAuthority,
    now: i64,
) -> Result<AgentName, Rejection> {
    let certificate = inspect::first_certificate(&request.certificate, "certificate")
        .map_err(|error| Rejection::BadRequest(error.to_string()))?;
    let name = authority.agent_of(&certificate).map_err(|_| Rejection::AgentUnknown)?;
    let signature = URL_SAFE_NO_PAD
        .decode(&request.signature)
        .map_err(|_| Rejection::BadRequest("signature is not base64url".into()))?;
    inspect::check_signature(&certificate, signed_text(request.issued_at).as_bytes(), &signature)
        .map_err(|_| Rejection::AgentUnknown)?;
    let seconds_apart = now.abs_diff(request.issued_at);
    if seconds_apart > ALLOWED_SECONDS {
        return Err(Rejection::ClockSkewed { seconds_apart, allowed: ALLOWED_SECONDS });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use livedata_pki::IdentityRequest;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn authority() -> AgentAuthority {
        AgentAuthority::load_or_create(tempfile::tempdir().unwrap().path()).unwrap()
    }

    fn agent(authority: &AgentAuthority, name: &AgentName) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let request = IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap();
        let chain = authority.certify(request.der(), name).unwrap();
        request.complete(chain).unwrap()
    }

    #[test]
    fn the_signature_tells_who_asks() {
        let (authority, name) = (authority(), AgentName::new("g", "i").unwrap());
        let request = TokenRequest::new(&agent(&authority, &name), NOW).unwrap();
        for now in [NOW - 300, NOW, NOW + 300] {
            assert_eq!(check_token_request(&request, &authority, now), Ok(name.clone()));
        }
    }

    #[test]
    fn another_key_or_another_authority_is_unknown() {
        let (authority, name) = (authority(), AgentName::new("g", "i").unwrap());
        let good = TokenRequest::new(&agent(&authority, &name), NOW).unwrap();
        let other = TokenRequest::new(&agent(&authority, &name), NOW).unwrap();
        let stolen = TokenRequest { signature: other.signature, ..good.clone() };
        assert_eq!(check_token_request(&stolen, &authority, NOW), Err(Rejection::AgentUnknown));
        assert_eq!(check_token_request(&good, &self::authority(), NOW), Err(Rejection::AgentUnknown));
        let junk = TokenRequest { certificate: "junk".into(), ..good };
        assert!(matches!(check_token_request(&junk, &authority, NOW), Err(Rejection::BadRequest(_))));
    }

    #[test]
    fn a_time_that_is_off_or_was_exchanged_is_refused() {
        let (authority, name) = (authority(), AgentName::new("g", "i").unwrap());
        let request = TokenRequest::new(&agent(&authority, &name), NOW).unwrap();
        for now in [NOW - 301, NOW + 301] {
            let refused = Rejection::ClockSkewed { seconds_apart: 301, allowed: 300 };
            assert_eq!(check_token_request(&request, &authority, now), Err(refused));
        }
        let fresh = TokenRequest { issued_at: NOW + 400, ..request };
        assert_eq!(check_token_request(&fresh, &authority, NOW + 400), Err(Rejection::AgentUnknown));
    }
}
