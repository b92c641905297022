//! Whom a client trusts when it shows no certificate of its own.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::Error;
use crate::pinned::PinnedAuthority;

/// A client that trusts servers of the authorities in `authority_pem` and nobody else.
pub fn only(authority_pem: &str) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_root_certificates(roots(authority_pem)?)
        .with_no_client_auth())
}

/// A client that trusts whom this machine's operating system trusts: for public services.
pub fn system() -> Result<ClientConfig, Error> {
    let verifier = rustls_platform_verifier::Verifier::new(crypto())?;
    Ok(ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// A client that trusts whom this machine's operating system trusts, and servers of the authorities in `authority_pem`.
pub fn system_and(authority_pem: &str) -> Result<ClientConfig, Error> {
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(certificates(authority_pem)?, crypto())?;
    Ok(ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// A client that trusts servers of the one authority whose certificate has this fingerprint
/// ([`crate::Authority::fingerprint`]); the server must send that certificate in its chain. Host names are checked.
pub fn pinned(fingerprint: &str) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority::new(fingerprint)))
        .with_no_client_auth())
}

pub(crate) fn roots(authority_pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority_pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// At least one.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |reason: String| Error::Pem { what: "the certificate list".into(), reason };
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() { Err(failed("it holds no certificate".into())) } else { Ok(certificates) }
}

pub(crate) fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
