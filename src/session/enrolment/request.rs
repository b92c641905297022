//! Enrolment: the request, its judgement, the reply.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use livedata_model::spec::Secret;
use livedata_pki as pki;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::enrolment::{InstallKey, Rejection, Verifier};
use crate::{AgentAuthority, AgentName};

/// Agent → provider. Field by field on the wire in camel case.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentRequest {
    pub key_id: String,
    /// PKCS #10, DER, base64url.
    pub csr: String,
    pub instance_id: String,
    pub agent_version: String,
    /// HMAC-SHA256 over all of the above, base64url; its key is [`Verifier`].
    pub mac: String,
}

impl EnrolmentRequest {
    pub fn new(key: &InstallKey, request_der: &[u8], instance_id: &str, agent_version: &str) -> Self {
        let mut request = Self {
            key_id: key.key_id.clone(),
            csr: URL_SAFE_NO_PAD.encode(request_der),
            instance_id: instance_id.to_owned(),
            agent_version: agent_version.to_owned(),
            mac: String::new(),
        };
        request.mac = key.verifier().mac(&request.canonical());
        request
    }

    /// The bytes under the MAC: each field behind its length, so that no two requests have the same bytes.
    fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in ["livedata enrolment 1", &self.key_id, &self.csr, &self.instance_id, &self.agent_version]
        {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        bytes
    }

    fn request_der(&self) -> Result<Vec<u8>, Rejection> {
        URL_SAFE_NO_PAD.decode(&self.csr).map_err(|_| Rejection::BadRequest("csr is not base64url".into()))
    }

    /// Names the agent key and installation that asks. The same for a repeated request, whose signature differs.
    fn applicant(&self) -> Result<String, Rejection> {
        let key = pki::request_fingerprint(&self.request_der()?)
            .map_err(|error| Rejection::BadRequest(error.to_string()))?;
        Ok(format!("{key}/{}", self.instance_id))
    }
}

/// What the provider has stored of an install key. Revoked keys are deleted.
#[derive(Clone, Debug)]
pub struct IssuedKey {
    pub verifier: Verifier,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// Who spent the key: what [`IssuedKey::admit`] returned then.
    pub spent_by: Option<String>,
}

impl IssuedKey {
    /// Judges a request that names this key; `now` in seconds since 1970. On success the caller stores the returned text
    /// as `spent_by`, in one transaction with the check that it was empty or the same, and only then replies.
    ///
    /// The MAC is judged first: who does not know the secret learns nothing about the key.
    pub fn admit(&self, request: &EnrolmentRequest, now: i64) -> Result<String, Rejection> {
        if !self.verifier.accepts(&request.canonical(), &request.mac) {
            return Err(Rejection::InstallKeyInvalid);
        }
        let applicant = request.applicant()?;
        match &self.spent_by {
            Some(spender) if *spender == applicant => Ok(applicant),
            Some(_) => Err(Rejection::InstallKeyUsed),
            None if self.expires_at <= now => Err(Rejection::InstallKeyExpired),
            None => Ok(applicant),
        }
    }
}

/// How an agent reaches the relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayAccess {
    /// `wss`.
    pub url: String,
    /// The authority of the relay's certificate; `None`: a publicly trusted one.
    pub ca_pem: Option<String>,
    /// Where to listen: `agents/<migrator GUID>`.
    pub path: String,
    #[serde(serialize_with = "write_secret", deserialize_with = "read_secret")]
    pub listen_token: Secret,
    /// Seconds since 1970.
    pub listen_token_expires_at: i64,
}

impl RelayAccess {
    /// Whom to trust as the relay.
    pub fn trust(&self) -> Result<rustls::ClientConfig, pki::Error> {
        match &self.ca_pem {
            Some(authority) => pki::trust::only(authority),
            None => pki::trust::system(),
        }
    }
}

fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&secret.0)
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret)
}

/// Provider → agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentReply {
    pub migrator_guid: String,
    pub instance_id: String,
    /// The agent's certificate and its authority.
    pub certificate_chain_pem: String,
    /// The authority of both sides' certificates in sessions.
    pub agent_authority_pem: String,
    pub relay: RelayAccess,
}

/// Certifies an admitted request.
pub fn issue(
    authority: &AgentAuthority,
    request: &EnrolmentRequest,
    migrator_guid: &str,
    relay: RelayAccess,
) -> Result<EnrolmentReply, Rejection> {
    let name = AgentName::new(migrator_guid, &request.instance_id)
        .map_err(|error| Rejection::BadRequest(error.to_string()))?;
    let certificate_chain_pem = authority
        .certify(&request.request_der()?, &name)
        .map_err(|error| Rejection::BadRequest(error.to_string()))?;
    Ok(EnrolmentReply {
        migrator_guid: migrator_guid.to_owned(),
        instance_id: request.instance_id.clone(),
        certificate_chain_pem,
        agent_authority_pem: authority.certificate_pem().to_owned(),
        relay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    fn key() -> InstallKey {
        let (url, relay) =
            ("https://provider.example".parse().unwrap(), "wss://relay.example".parse().unwrap());
        InstallKey::mint(url, "ab".repeat(32), relay, "guid".into()).unwrap()
    }

    fn stored(key: &InstallKey) -> IssuedKey {
        IssuedKey { verifier: key.verifier(), expires_at: NOW + 1, spent_by: None }
    }

    fn csr() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        pki::IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap().der().to_vec()
    }

    #[test]
    fn who_knows_the_secret_is_admitted() {
        let key = key();
        let request = EnrolmentRequest::new(&key, &csr(), "host-1", "0.1.0");
        let spender = stored(&key).admit(&request, NOW).unwrap();
        assert!(spender.ends_with("/host-1"));
    }

    #[test]
    fn a_wrong_secret_or_anything_exchanged_is_refused() {
        let key = key();
        let good = EnrolmentRequest::new(&key, &csr(), "host-1", "0.1.0");
        let swapped = URL_SAFE_NO_PAD.encode(csr());
        for wrong in [
            EnrolmentRequest::new(&self::key(), &csr(), "host-1", "0.1.0"),
            EnrolmentRequest { mac: String::new(), ..good.clone() },
            EnrolmentRequest { csr: swapped, ..good.clone() },
            EnrolmentRequest { instance_id: "host-2".into(), ..good.clone() },
            EnrolmentRequest { agent_version: "0.1.0x".into(), ..good.clone() },
            EnrolmentRequest { key_id: "other".into(), ..good.clone() },
        ] {
            assert_eq!(stored(&key).admit(&wrong, NOW), Err(Rejection::InstallKeyInvalid));
        }
        assert!(stored(&key).admit(&good, NOW).is_ok());
    }

    #[test]
    fn a_key_enrols_one_agent_however_often_it_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        let request = |key: &InstallKey| {
            let der = pki::IdentityRequest::load_or_create(&path).unwrap();
            EnrolmentRequest::new(key, der.der(), "host-1", "0.1.0")
        };
        let key = key();
        let mut stored = stored(&key);
        stored.spent_by = Some(stored.admit(&request(&key), NOW).unwrap());
        // Also after the key's hour: the reply may have been lost in its last minute.
        assert!(stored.admit(&request(&key), NOW + 9).is_ok());
        let other = EnrolmentRequest::new(&key, &csr(), "host-1", "0.1.0");
        assert_eq!(stored.admit(&other, NOW), Err(Rejection::InstallKeyUsed));
    }

    #[test]
    fn an_unspent_key_expires() {
        let key = key();
        let request = EnrolmentRequest::new(&key, &csr(), "host-1", "0.1.0");
        assert_eq!(stored(&key).admit(&request, NOW + 1), Err(Rejection::InstallKeyExpired));
    }

    #[test]
    fn a_request_without_a_good_key_or_name_is_malformed() {
        let key = key();
        let junk = EnrolmentRequest::new(&key, b"junk", "host-1", "0.1.0");
        assert_eq!(stored(&key).admit(&junk, NOW).unwrap_err().http_status(), 400);

        let folder = tempfile::tempdir().unwrap();
        let authority = AgentAuthority::load_or_create(folder.path()).unwrap();
        let relay = RelayAccess {
            url: "wss://relay.example".into(),
            ca_pem: None,
            path: "agents/g".into(),
            listen_token: Secret("hush".into()),
            listen_token_expires_at: NOW,
        };
        assert!(!format!("{relay:?}").contains("hush"));
        let smuggler = EnrolmentRequest::new(&key, &csr(), "x:agent:y", "0.1.0");
        assert!(matches!(issue(&authority, &smuggler, "g", relay), Err(Rejection::BadRequest(_))));
    }

    #[test]
    fn refusals_are_in_the_shape_of_arm() {
        let json = serde_json::to_value(Rejection::InstallKeyUsed.reply()).unwrap();
        assert_eq!(json["error"]["code"], "InstallKeyUsed");
        assert_eq!(Rejection::InstallKeyUsed.http_status(), 409);
        assert_eq!(Rejection::InstallKeyExpired.http_status(), 410);
        assert_eq!(Rejection::InstallKeyInvalid.http_status(), 401);
    }
}
