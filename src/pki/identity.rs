//! A certificate chain with its private key, and the TLS configurations that present it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{KeyPair, SigningKey as _};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Clients, Error, file, inspect, peer_uri, trust};

/// What a program shows to prove who it is.
#[derive(Clone)]
pub struct Identity {
    certificate_chain_pem: String,
    key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// The first certificate of the chain must belong to the key.
    pub fn from_pem(certificate_chain_pem: String, key_pem: String) -> Result<Self, Error> {
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|error| Error::Pem { what: "the private key".into(), reason: error.to_string() })?;
        let certificate = inspect::first_certificate(&certificate_chain_pem, "the certificate chain")?;
        if inspect::public_key(&certificate)? != key.public_key_raw() {
            return Err(Error::KeyMismatch { what: "the identity".into() });
        }
        Ok(Self { certificate_chain_pem, key_pem })
    }

    /// Reads `<name>.pem` and `<name>.key`; `None` if there is no certificate.
    pub fn load(folder: &Path, name: &str) -> Result<Option<Self>, Error> {
        let (certificate_path, key_path) = paths(folder, name);
        let Some(certificate_chain_pem) = file::read(&certificate_path)? else { return Ok(None) };
        let Some(key_pem) = file::read(&key_path)? else {
            return Err(Error::KeyMissing { certificate: certificate_path, key: key_path });
        };
        Self::from_pem(certificate_chain_pem, key_pem).map(Some)
    }

    /// Writes `<name>.pem` and `<name>.key` (mode 0600).
    pub fn save(&self, folder: &Path, name: &str) -> Result<(), Error> {
        let (certificate_path, key_path) = paths(folder, name);
        file::write(&key_path, &self.key_pem, file::PRIVATE)?;
        file::write(&certificate_path, &self.certificate_chain_pem, file::PUBLIC)
    }

    pub fn certificate_chain_pem(&self) -> &str {
        &self.certificate_chain_pem
    }

    /// For programs that read the key themselves. Handle it like a password.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub fn certificate(&self) -> Result<CertificateDer<'static>, Error> {
        inspect::first_certificate(&self.certificate_chain_pem, "the certificate chain")
    }

    /// The end of the chain: where it holds its authority's certificate, that one.
    pub fn last_certificate(&self) -> Result<CertificateDer<'static>, Error> {
        let missing = || Error::Pem { what: "the certificate chain".into(), reason: "it is empty".into() };
        self.chain()?.pop().ok_or_else(missing)
    }

    /// ECDSA P-256 over SHA-256, ASN.1; [`inspect::check_signature`] verifies it.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(KeyPair::from_pem(&self.key_pem)?.sign(message)?)
    }

    /// A server. With `client_authority_pem` every client must show a certificate of that authority.
    pub fn server_config(&self, client_authority_pem: Option<&str>) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(trust::crypto())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
        let builder = match client_authority_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(trust::roots(pem)?),
                    trust::crypto(),
                )
                .build()
                .map_err(|error| Error::Tls(rustls::Error::General(error.to_string())))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        Ok(builder.with_single_cert(self.chain()?, self.key()?)?)
    }

    /// A client that trusts servers of one authority.
    pub fn client_config(&self, server_authority_pem: &str) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(trust::crypto())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_root_certificates(trust::roots(server_authority_pem)?);
        Ok(builder.with_client_auth_cert(self.chain()?, self.key()?)?)
    }

    /// A TLS 1.3 server whose only acceptable client is the one that `authority_pem` certified as `client_uri`.
    pub fn server_config_for(&self, authority_pem: &str, client_uri: &str) -> Result<ServerConfig, Error> {
        let verifier = peer_uri::ClientByUri::new(authority_pem, client_uri)?;
        let builder = ServerConfig::builder_with_provider(trust::crypto())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier));
        Ok(builder.with_single_cert(self.chain()?, self.key()?)?)
    }

    /// A server that lets in these clients and nobody else. No session is resumed: that would spare a client the look at
    /// its certificate, which may have been withdrawn meanwhile.
    pub fn server_config_of(&self, clients: Clients) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(trust::crypto())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
            .with_client_cert_verifier(Arc::new(clients));
        let mut config = builder.with_single_cert(self.chain()?, self.key()?)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// A TLS 1.3 client whose only acceptable server is the one that `authority_pem` certified as `server_uri`. The host
    /// name given to the connection does not matter: the peer is known by its URI, wherever it is.
    pub fn client_config_for(&self, authority_pem: &str, server_uri: &str) -> Result<ClientConfig, Error> {
        let verifier = peer_uri::ServerByUri::new(authority_pem, server_uri)?;
        let builder = ClientConfig::builder_with_provider(trust::crypto())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(builder.with_client_auth_cert(self.chain()?, self.key()?)?)
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        trust::certificates(&self.certificate_chain_pem)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|error| Error::Pem { what: "the private key".into(), reason: error.to_string() })
    }
}

fn paths(folder: &Path, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn an_identity_survives_the_disk_and_does_not_print_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
        let identity = authority.issue_client("c", "urn:c").unwrap();
        assert!(Identity::load(folder.path(), "client").unwrap().is_none());
        identity.save(folder.path(), "client").unwrap();
        let again = Identity::load(folder.path(), "client").unwrap().unwrap();
        assert_eq!(again.key_pem(), identity.key_pem());
        assert_eq!(format!("{identity:?}"), "Identity { .. }");
    }

    #[test]
    fn a_signature_is_checked_against_the_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
        let (one, two) =
            (authority.issue_client("1", "urn:1").unwrap(), authority.issue_client("2", "urn:2").unwrap());
        let signature = one.sign(b"message").unwrap();
        inspect::check_signature(&one.certificate().unwrap(), b"message", &signature).unwrap();
        assert!(inspect::check_signature(&two.certificate().unwrap(), b"message", &signature).is_err());
        assert!(inspect::check_signature(&one.certificate().unwrap(), b"massage", &signature).is_err());
    }
}
