//! Peers that are known by a URI in their certificate instead of a host name.
//!
//! Both verifiers check the chain to one authority and then that the certificate's URIs are exactly the expected one, all
//! within the handshake, so that a wrong peer never gets a byte of the conversation. TLS 1.3 only.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{inspect, trust};

/// The chain is good but the peer is somebody else. Travels inside [`rustls::CertificateError::Other`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the peer's certificate is for {presented:?}, not for {expected}")]
pub struct WrongPeer {
    pub expected: String,
    pub presented: Vec<String>,
}

impl WrongPeer {
    /// Finds it in a failed handshake.
    pub fn in_error(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => reason.downcast_ref(),
            _ => None,
        }
    }
}

fn check_uri(certificate: &CertificateDer<'_>, expected: &str) -> Result<(), Error> {
    let presented = inspect::uri_sans(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    if presented == [expected] {
        return Ok(());
    }
    let wrong = WrongPeer { expected: expected.to_owned(), presented };
    Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong)))))
}

/// A configuration of ours never offers TLS 1.2.
fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

#[derive(Debug)]
pub(crate) struct ServerByUri {
    roots: RootCertStore,
    expected: String,
    crypto: Arc<CryptoProvider>,
}

impl ServerByUri {
    pub(crate) fn new(authority_pem: &str, expected: &str) -> Result<Self, crate::Error> {
        Ok(Self {
            roots: trust::roots(authority_pem)?,
            expected: expected.to_owned(),
            crypto: trust::crypto(),
        })
    }
}

impl ServerCertVerifier for ServerByUri {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.crypto.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        check_uri(end_entity, &self.expected)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
pub(crate) struct ClientByUri {
    chain: Arc<dyn ClientCertVerifier>,
    expected: String,
}

impl ClientByUri {
    pub(crate) fn new(authority_pem: &str, expected: &str) -> Result<Self, crate::Error> {
        let chain = WebPkiClientVerifier::builder_with_provider(
            Arc::new(trust::roots(authority_pem)?),
            trust::crypto(),
        )
        .build()
        .map_err(|error| crate::Error::Tls(Error::General(error.to_string())))?;
        Ok(Self { chain, expected: expected.to_owned() })
    }
}

impl ClientCertVerifier for ClientByUri {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        check_uri(end_entity, &self.expected)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
