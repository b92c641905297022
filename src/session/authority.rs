//! Who is who in a session: the authority over agents and the identities it gives.

use std::path::Path;

use livedata_pki as pki;
use rustls_pki_types::CertificateDer;

use crate::{AgentName, Error, PROVIDER_URI};

/// The provider's authority: the only one whose certificates open a session, on both sides.
pub struct AgentAuthority {
    authority: pki::Authority,
}

impl AgentAuthority {
    /// Loads the authority of `folder`, or makes one.
    pub fn load_or_create(folder: &Path) -> Result<Self, Error> {
        Ok(Self { authority: pki::Authority::load_or_create(folder, "livedata agents")? })
    }

    pub fn certificate_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// A fresh identity for a provider process; cheap, made at each start.
    pub fn provider_identity(&self) -> Result<ProviderIdentity, Error> {
        let identity = self.authority.issue_client("livedata provider", PROVIDER_URI)?;
        Ok(ProviderIdentity { identity, authority_pem: self.certificate_pem().to_owned() })
    }

    /// The certificate chain (PEM) for the key in a certificate request (PKCS #10 DER).
    pub fn certify(&self, request_der: &[u8], name: &AgentName) -> Result<String, pki::Error> {
        self.authority.sign_request(request_der, name.instance_id(), &name.to_string())
    }

    /// Which agent a certificate belongs to; an error unless this authority issued it and it is valid now.
    pub fn agent_of(&self, certificate: &CertificateDer<'_>) -> Result<AgentName, Error> {
        pki::inspect::check_issued(certificate, self.certificate_pem(), pki::inspect::Role::Server)?;
        match pki::inspect::uri_sans(certificate)?.as_slice() {
            [uri] => AgentName::from_uri(uri),
            other => Err(Error::Name(other.join(", "))),
        }
    }
}

/// What the provider shows to agents, and whom it trusts.
#[derive(Clone, Debug)]
pub struct ProviderIdentity {
    pub(crate) identity: pki::Identity,
    pub(crate) authority_pem: String,
}

/// What an agent shows to the provider, and whom it trusts.
#[derive(Clone, Debug)]
pub struct AgentIdentity {
    pub(crate) identity: pki::Identity,
    pub(crate) authority_pem: String,
}

impl AgentIdentity {
    /// An error unless the authority issued the identity's certificate for `name`.
    pub fn new(identity: pki::Identity, authority_pem: String, name: &AgentName) -> Result<Self, Error> {
        let certificate = identity.certificate()?;
        pki::inspect::check_issued(&certificate, &authority_pem, pki::inspect::Role::Server)?;
        let presented = pki::inspect::uri_sans(&certificate)?;
        if presented != [name.to_string()] {
            return Err(Error::WrongAgent { expected: name.to_string(), presented });
        }
        Ok(Self { identity, authority_pem })
    }
}
