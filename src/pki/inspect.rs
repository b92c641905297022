//! What a certificate says.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{Error, trust};

/// SHA-256 of the certificate, lower-case hexadecimal.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hexadecimal_digest(certificate)
}

/// The URIs among the subject's alternative names.
pub fn uri_sans(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let parsed = parse(certificate)?;
    let names = parsed.subject_alternative_name().map_err(|error| Error::Untrusted(error.to_string()))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None })
        .collect())
}

/// From when until when it is valid, both included, in seconds since 1970; times before that are 0.
pub fn validity(certificate: &CertificateDer<'_>) -> Result<(u64, u64), Error> {
    let validity = parse(certificate)?.validity().clone();
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    Ok((seconds(validity.not_before), seconds(validity.not_after)))
}

/// The first certificate of a PEM text; `what` names the text in the error.
pub fn first_certificate(pem: &str, what: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::Pem { what: what.to_owned(), reason: error.to_string() })
}

/// What the holder of a certificate may be used as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Server,
    Client,
}

/// Whether the authority issued the certificate for this role, and it is valid now.
pub fn check_issued(certificate: &CertificateDer<'_>, authority_pem: &str, role: Role) -> Result<(), Error> {
    let roots = trust::roots(authority_pem)?;
    let untrusted = |error: rustls::Error| Error::Untrusted(error.to_string());
    match role {
        Role::Server => {
            let parsed = ParsedCertificate::try_from(certificate).map_err(untrusted)?;
            let algorithms = trust::crypto().signature_verification_algorithms;
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], UnixTime::now(), algorithms.all)
                .map_err(untrusted)
        }
        Role::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), trust::crypto())
                .build()
                .map_err(|error| Error::Untrusted(error.to_string()))?;
            verifier.verify_client_cert(certificate, &[], UnixTime::now()).map(|_| ()).map_err(untrusted)
        }
    }
}

/// Checks a signature of [`crate::Identity::sign`] against the key in the certificate.
pub fn check_signature(
    certificate: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key(certificate)?)
        .verify(message, signature)
        .map_err(|_| Error::Untrusted("the signature was not made by the key of the certificate".into()))
}

/// The key as an uncompressed point.
pub(crate) fn public_key(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, Error> {
    Ok(parse(certificate)?.public_key().subject_public_key.data.to_vec())
}

pub(crate) fn hexadecimal_digest(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| Error::Untrusted(error.to_string()))?;
    Ok(parsed)
}
