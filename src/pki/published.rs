//! Clients that are known by certificates which their party publishes: each is trusted as it stands, byte by byte, and no
//! chain is built. So Azure Resource Manager is known to its resource providers.
//!
//! The list is trusted for a limited time after it was last fetched: a certificate that was withdrawn while nobody could
//! fetch must not open doors for ever.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::{inspect, peer_uri, trust};

/// The list as it was last fetched. Empty, and therefore trusting nobody, until then.
#[derive(Debug)]
pub struct PublishedCertificates {
    max_age: Duration,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    certificates: Vec<CertificateDer<'static>>,
    /// Seconds since 1970.
    fetched: Option<u64>,
}

/// The list is too old to be believed, or was never there. Travels inside [`rustls::CertificateError::Other`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the list of published client certificates was last fetched {}", match .age {
    Some(age) => format!("{} minutes ago", age.as_secs() / 60),
    None => "never".to_owned(),
})]
pub struct Stale {
    pub age: Option<Duration>,
}

impl Stale {
    /// Finds it in a failed handshake.
    pub fn in_error(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) => reason.downcast_ref(),
            _ => None,
        }
    }
}

impl PublishedCertificates {
    /// `max_age`: how long a list is believed after it was fetched.
    pub fn new(max_age: Duration) -> Self {
        Self { max_age, known: RwLock::default() }
    }

    /// What is published at `now` (seconds since 1970), whole: what is not in it any more is not trusted any more.
    pub fn replace(&self, certificates: Vec<CertificateDer<'static>>, now: u64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Known { certificates, fetched: Some(now) };
    }

    /// Whether the list is believed at `now` (seconds since 1970).
    pub fn check_current(&self, now: u64) -> Result<(), Stale> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back says nothing about the list's age.
        let age = known.fetched.map(|fetched| Duration::from_secs(now.saturating_sub(fetched)));
        if age.is_some_and(|age| age <= self.max_age) { Ok(()) } else { Err(Stale { age }) }
    }

    fn check(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        let invalid = |reason| Err(Error::InvalidCertificate(reason));
        let is_known = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.certificates.iter().any(|known| known.as_ref() == certificate.as_ref())
        };
        if let Err(stale) = self.check_current(now.as_secs()) {
            return invalid(CertificateError::Other(OtherError(Arc::new(stale))));
        }
        if !is_known {
            return invalid(CertificateError::UnknownIssuer);
        }
        check_validity(certificate, now)
    }
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let invalid = |reason| Err(Error::InvalidCertificate(reason));
    match inspect::validity(certificate) {
        Err(_) => invalid(CertificateError::BadEncoding),
        Ok((from, _)) if now.as_secs() < from => invalid(CertificateError::NotValidYet),
        Ok((_, to)) if now.as_secs() > to => invalid(CertificateError::Expired),
        Ok(_) => Ok(()),
    }
}

/// Whom a server lets in.
#[derive(Clone, Debug)]
pub struct Clients {
    certified: Option<Arc<peer_uri::ClientByUri>>,
    published: Option<Arc<PublishedCertificates>>,
}

impl Clients {
    /// Clients that `authority_pem` certified as `uri`.
    pub fn certified(authority_pem: &str, uri: &str) -> Result<Self, crate::Error> {
        let verifier = peer_uri::ClientByUri::new(authority_pem, uri)?;
        Ok(Self { certified: Some(Arc::new(verifier)), published: None })
    }

    pub fn published(certificates: Arc<PublishedCertificates>) -> Self {
        Self { certified: None, published: Some(certificates) }
    }

    /// These and `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { certified: self.certified.or(other.certified), published: self.published.or(other.published) }
    }
}

/// That a client was let in, and whether it still would be: connections outlive certificates, and lists.
#[derive(Clone, Debug)]
pub struct Admission {
    certificate: CertificateDer<'static>,
    /// In whose list it is. `None`: it was certified.
    published: Option<Arc<PublishedCertificates>>,
}

impl Admission {
    pub fn check(&self, now: UnixTime) -> Result<(), Error> {
        match &self.published {
            Some(published) => published.check(&self.certificate, now),
            None => check_validity(&self.certificate, now),
        }
    }
}

impl Clients {
    /// Of a client that the handshake has just let in.
    pub fn admission(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Admission {
        let published = self.published.clone().filter(|list| list.check(certificate, now).is_ok());
        Admission { certificate: certificate.clone().into_owned(), published }
    }
}

impl ClientCertVerifier for Clients {
    /// None: a client that knows only its own certificate must be free to show it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut refused = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        if let Some(certified) = &self.certified {
            match certified.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => refused = error,
            }
        }
        match &self.published {
            Some(published) => {
                published.check(end_entity, now).map(|()| ClientCertVerified::assertion()).map_err(|error| {
                    // The more telling reason: an unknown certificate is unknown to both.
                    if matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
                        refused
                    } else {
                        error
                    }
                })
            }
            None => Err(refused),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = trust::crypto().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = trust::crypto().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        trust::crypto().signature_verification_algorithms.supported_schemes()
    }
}
