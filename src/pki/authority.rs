//! A self-signed certificate authority that lives in a folder.

use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use crate::{Error, Identity, file, inspect, request};

const AUTHORITY_LIFE: Duration = Duration::days(10 * 365);

/// Servers and clients are issued anew by the program that owns the authority, at the latest when it starts.
/// 397 days is the longest life that common TLS clients accept of a server.
const ISSUED_LIFE: Duration = Duration::days(397);

/// A certificate is valid from a little before its making, so that a peer whose clock is behind accepts it.
const CLOCK_TOLERANCE: Duration = Duration::hours(1);

/// Issues certificates. `ca.pem` may be handed to anyone who shall trust them; `ca.key` never leaves the folder.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl Authority {
    /// Loads the authority of `folder`, or makes one called `common_name` if there is none.
    pub fn load_or_create(folder: &Path, common_name: &str) -> Result<Self, Error> {
        let (certificate_path, key_path) = (folder.join("ca.pem"), folder.join("ca.key"));
        if let Some(certificate_pem) = file::read(&certificate_path)? {
            let Some(key_pem) = file::read(&key_path)? else {
                return Err(Error::KeyMissing { certificate: certificate_path, key: key_path });
            };
            let what = || certificate_path.display().to_string();
            let key = KeyPair::from_pem(&key_pem).map_err(|error| Error::Pem {
                what: key_path.display().to_string(),
                reason: error.to_string(),
            })?;
            return Self::assemble(certificate_pem, key, what);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        set_life(&mut params, AUTHORITY_LIFE)?;
        let certificate_pem = params.self_signed(&key)?.pem();
        // The certificate goes last: its presence says that the authority is complete.
        file::write(&key_path, &key.serialize_pem(), file::PRIVATE)?;
        file::write(&certificate_path, &certificate_pem, file::PUBLIC)?;
        Self::assemble(certificate_pem, key, || certificate_path.display().to_string())
    }

    fn assemble(certificate_pem: String, key: KeyPair, what: impl Fn() -> String) -> Result<Self, Error> {
        let certificate = inspect::first_certificate(&certificate_pem, &what())?;
        if inspect::public_key(&certificate)? != key.public_key_raw() {
            return Err(Error::KeyMismatch { what: what() });
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { issuer, certificate, certificate_pem })
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the certificate, lower-case hexadecimal: what [`crate::trust::pinned`] takes.
    pub fn fingerprint(&self) -> String {
        inspect::fingerprint(&self.certificate)
    }

    /// A TLS server that answers to these host names and addresses.
    pub fn issue_server(&self, dns_names: &[&str], addresses: &[IpAddr]) -> Result<Identity, Error> {
        let mut names = Vec::new();
        for dns_name in dns_names {
            names.push(SanType::DnsName(
                (*dns_name).try_into().map_err(|_| Error::Name((*dns_name).to_owned()))?,
            ));
        }
        names.extend(addresses.iter().copied().map(SanType::IpAddress));
        let common_name = dns_names.first().map_or_else(|| "server".to_owned(), |name| (*name).to_owned());
        let params = leaf(&common_name, names, &[ExtendedKeyUsagePurpose::ServerAuth], ISSUED_LIFE)?;
        self.issue(params)
    }

    /// A TLS client known by `uri`.
    pub fn issue_client(&self, common_name: &str, uri: &str) -> Result<Identity, Error> {
        let params =
            leaf(common_name, vec![uri_name(uri)?], &[ExtendedKeyUsagePurpose::ClientAuth], ISSUED_LIFE)?;
        self.issue(params)
    }

    /// Certifies the key of a PKCS #10 request (DER) under names of *our* choosing: of the request only the key and its
    /// proof of possession count. Returns the certificate and this authority's own, PEM.
    ///
    /// The holder may act as server and client. The certificate lives as long as a new authority would: the holder is
    /// far away and has no way to renew; it is shut out by refusing its name.
    pub fn sign_request(&self, request_der: &[u8], common_name: &str, uri: &str) -> Result<String, Error> {
        let CertificateSigningRequestParams { public_key, .. } = request::verified(request_der)?;
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let params = leaf(common_name, vec![uri_name(uri)?], &usages, AUTHORITY_LIFE)?;
        self.certify(&params, &public_key)
    }

    fn issue(&self, params: CertificateParams) -> Result<Identity, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let chain = self.certify(&params, &key)?;
        Identity::from_pem(chain, key.serialize_pem())
    }

    /// The chain includes the authority itself: a client that pins the authority by fingerprint needs to see it.
    fn certify(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Result<String, Error> {
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(certificate.pem() + &self.certificate_pem)
    }
}

fn leaf(
    common_name: &str,
    names: Vec<SanType>,
    usages: &[ExtendedKeyUsagePurpose],
    life: Duration,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common_name);
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages.to_vec();
    // OpenSSL in its strict mode (Python 3.13 and later) refuses a certificate without it.
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, life)?;
    Ok(params)
}

fn set_life(params: &mut CertificateParams, life: Duration) -> Result<(), Error> {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - CLOCK_TOLERANCE;
    params.not_after = now + life - CLOCK_TOLERANCE;
    // Random, because the default (a digest of the key) repeats when a key is certified twice.
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Random)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn uri_name(uri: &str) -> Result<SanType, Error> {
    uri.try_into().map(SanType::URI).map_err(|_| Error::Name(uri.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_authority_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::load_or_create(&folder.path().join("new"), "Test").unwrap();
        let again = Authority::load_or_create(&folder.path().join("new"), "ignored").unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 64);
        let issued = again.issue_client("c", "urn:c").unwrap();
        inspect::check_issued(&issued.certificate().unwrap(), first.certificate_pem(), inspect::Role::Client)
            .unwrap();
        let mode = std::fs::metadata(folder.path().join("new/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_or_foreign_key_is_not_papered_over() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        Authority::load_or_create(&one, "One").unwrap();
        Authority::load_or_create(&two, "Two").unwrap();
        std::fs::copy(two.join("ca.key"), one.join("ca.key")).unwrap();
        assert!(matches!(Authority::load_or_create(&one, "One"), Err(Error::KeyMismatch { .. })));
        std::fs::remove_file(one.join("ca.key")).unwrap();
        assert!(matches!(Authority::load_or_create(&one, "One"), Err(Error::KeyMissing { .. })));
    }

    #[test]
    fn names_that_cannot_stand_in_a_certificate_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
        assert!(matches!(authority.issue_client("c", "urn:ü"), Err(Error::Name(_))));
        assert!(matches!(authority.issue_server(&["hôte"], &[]), Err(Error::Name(_))));
    }
}
