//! The install key: one text that tells a new agent whom to call, whom to believe and how to prove that it was invited.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::Url;

const PREFIX: &str = "ldk1_";
const SECRET_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "this is not an install key: {0}; copy the whole text that listInstallKey returned, beginning with {PREFIX}"
    )]
    Unreadable(&'static str),
    #[error("the system's random number generator failed")]
    Random,
}

/// Printed by `listInstallKey` once, as `ldk1_` and base64url JSON ([`InstallKey::to_text`]); never stored by the provider.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallKey {
    /// Base URL of the enrolment listener, `https`.
    pub url: Url,
    /// SHA-256 of the listener's authority certificate, hexadecimal.
    pub ca_fingerprint: String,
    /// The relay, `wss`: what a firewall beside Hadoop has to let out besides `url`.
    pub relay_url: Url,
    /// Whose agent the key makes: an agent of another migrator does not spend it.
    pub migrator_guid: String,
    /// Which stored [`Verifier`] this key belongs to.
    pub key_id: String,
    /// Base64url of random bytes.
    secret: String,
}

impl fmt::Debug for InstallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallKey")
            .field("url", &self.url.as_str())
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl InstallKey {
    /// A fresh key with a random id and secret.
    pub fn mint(
        url: Url,
        ca_fingerprint: String,
        relay_url: Url,
        migrator_guid: String,
    ) -> Result<Self, KeyError> {
        let mut random = [0; 16 + SECRET_BYTES];
        rand::fill(&mut random).map_err(|_| KeyError::Random)?;
        let (id, secret) = random.split_at(16);
        let key_id = URL_SAFE_NO_PAD.encode(id);
        let secret = URL_SAFE_NO_PAD.encode(secret);
        Ok(Self { url, ca_fingerprint, relay_url, migrator_guid, key_id, secret })
    }

    /// The text for the operator.
    pub fn to_text(&self) -> String {
        // Strings always have a JSON form.
        PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads what [`InstallKey::to_text`] wrote; blanks and line breaks around it, as a terminal makes them, do no harm.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let text: String = text.split_whitespace().collect();
        let body = text.strip_prefix(PREFIX).ok_or(KeyError::Unreadable("the beginning is missing"))?;
        let json = URL_SAFE_NO_PAD.decode(body).map_err(|_| KeyError::Unreadable("it is damaged"))?;
        let key: Self =
            serde_json::from_slice(&json).map_err(|_| KeyError::Unreadable("it is cut off or damaged"))?;
        if key.url.scheme() != "https" {
            return Err(KeyError::Unreadable("its URL is not https"));
        }
        Ok(key)
    }

    /// What the provider keeps of the key.
    pub fn verifier(&self) -> Verifier {
        Verifier::of(&self.secret)
    }
}

/// SHA-256 of the secret: the key of the MAC. Whoever has it can enrol, so it is stored sealed.
#[derive(Clone, Eq, PartialEq)]
pub struct Verifier([u8; 32]);

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Verifier {
    fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// For sealing.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA256, base64url.
    pub(crate) fn mac(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message))
    }

    /// In constant time.
    pub(crate) fn accepts(&self, message: &[u8], mac: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        URL_SAFE_NO_PAD.decode(mac).is_ok_and(|mac| hmac::verify(&key, message, &mac).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> InstallKey {
        let (url, relay) =
            ("https://provider.example:8443/".parse().unwrap(), "wss://relay.example".parse().unwrap());
        InstallKey::mint(url, "ab".repeat(32), relay, "guid".into()).unwrap()
    }

    #[test]
    fn the_text_reads_back_also_when_a_terminal_broke_it() {
        let key = key();
        let text = key.to_text();
        assert!(text.starts_with("ldk1_"));
        let (first, second) = text.split_at(40);
        let again = InstallKey::from_text(&format!(" {first}\n{second}\n")).unwrap();
        assert_eq!(
            (&again.url, &again.ca_fingerprint, &again.key_id),
            (&key.url, &key.ca_fingerprint, &key.key_id)
        );
        assert_eq!(again.verifier(), key.verifier());
    }

    #[test]
    fn what_is_no_key_says_so() {
        let text = key().to_text();
        for wrong in ["", "hello", &text[5..], &text[..text.len() - 9], "ldk1_e30"] {
            assert!(matches!(InstallKey::from_text(wrong), Err(KeyError::Unreadable(_))), "{wrong}");
        }
        let plain = InstallKey { url: "http://provider.example".parse().unwrap(), ..key() };
        assert!(InstallKey::from_text(&plain.to_text()).is_err());
    }

    #[test]
    fn no_two_keys_are_alike_and_none_prints_its_secret() {
        let (one, two) = (key(), key());
        assert_ne!(one.key_id, two.key_id);
        assert_ne!(one.verifier(), two.verifier());
        assert!(!format!("{one:?} {:?}", one.verifier()).contains(&one.secret));
    }
}
