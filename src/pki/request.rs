//! Certificate requests: how a key that never leaves its owner gets a certificate.

use std::path::Path;

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
};
use rustls_pki_types::CertificateSigningRequestDer;

use crate::{Error, Identity, file, inspect};

/// A key that waits for its certificate.
pub struct IdentityRequest {
    key: KeyPair,
    der: Vec<u8>,
}

impl IdentityRequest {
    /// Takes the key at `path`, or makes one there. Keeping the key on disk before it is first shown to anyone lets a
    /// repeated request (after a crash, or a lost reply) ask for the same identity.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let key = match file::read(path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|error| Error::Pem {
                what: path.display().to_string(),
                reason: error.to_string(),
            })?,
            None => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                file::write(path, &key.serialize_pem(), file::PRIVATE)?;
                key
            }
        };
        let der = CertificateParams::default().serialize_request(&key)?.der().to_vec();
        Ok(Self { key, der })
    }

    /// The request, PKCS #10 DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Joins the key with the certificate that was issued for it.
    pub fn complete(self, certificate_chain_pem: String) -> Result<Identity, Error> {
        Identity::from_pem(certificate_chain_pem, self.key.serialize_pem())
    }
}

/// SHA-256 (hexadecimal) of the public key in a request. Two requests of the same key have the same one, although their
/// signatures differ.
pub fn request_fingerprint(request_der: &[u8]) -> Result<String, Error> {
    Ok(inspect::hexadecimal_digest(&verified(request_der)?.public_key.subject_public_key_info()))
}

/// Checks the request's own signature and that its key is of the kind we use.
pub(crate) fn verified(request_der: &[u8]) -> Result<CertificateSigningRequestParams, Error> {
    let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request_der))
        .map_err(|error| Error::Request(error.to_string()))?;
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(Error::Request("the key must be ECDSA P-256".into()));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn a_requested_identity_has_our_names_and_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
        let request = IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap();
        let repeated = IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap();
        assert_eq!(request_fingerprint(request.der()).unwrap(), request_fingerprint(repeated.der()).unwrap());

        let chain = authority.sign_request(request.der(), "agent", "urn:agent").unwrap();
        let identity = request.complete(chain.clone()).unwrap();
        assert_eq!(inspect::uri_sans(&identity.certificate().unwrap()).unwrap(), ["urn:agent"]);

        let other = IdentityRequest::load_or_create(&folder.path().join("other.key")).unwrap();
        assert!(matches!(other.complete(chain), Err(Error::KeyMismatch { .. })));
    }

    #[test]
    fn a_request_that_was_altered_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
        let mut der =
            IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap().der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        assert!(matches!(authority.sign_request(&der, "agent", "urn:agent"), Err(Error::Request(_))));
        assert!(matches!(authority.sign_request(b"junk", "agent", "urn:agent"), Err(Error::Request(_))));
    }
}
