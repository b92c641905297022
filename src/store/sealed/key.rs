//! One key of AES-256-GCM and its id.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;

pub const LENGTH: usize = 32;
/// Nonce and tag.
pub const OVERHEAD: usize = NONCE_LEN + 16;

/// The first bytes of a SHA-256 of the key: it cannot be given to two keys, and tells nothing of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a key's id has 16 hexadecimal digits")]
pub struct NoKeyId;

impl FromStr for KeyId {
    type Err = NoKeyId;

    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        let number = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(|number| Self(number.to_be_bytes())).ok_or(NoKeyId)
    }
}

/// Shows nothing of itself.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; LENGTH],
    id: KeyId,
}

impl Key {
    pub fn new(bytes: [u8; LENGTH]) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(b"livedata sealing key\0");
        digest.update(&bytes);
        let digest = digest.finish();
        let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
        Self { bytes, id: KeyId(first) }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    /// Nonce, cipher text, tag.
    #[expect(
        clippy::expect_used,
        reason = "fails only without a random generator or beyond 64 GiB: never go on unencrypted"
    )]
    pub fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Vec<u8> {
        let key =
            RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).expect("the key has the cipher's length");
        let mut text = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(bound_to), &mut text)
            .expect("the operating system's random generator works");
        [&nonce.as_ref()[..], &text[..]].concat()
    }

    /// `None`: it was sealed otherwise, or changed.
    pub fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).ok()?;
        let mut text = text.to_vec();
        let length = key.open_in_place(nonce, Aad::from(bound_to), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

pub fn random() -> std::io::Result<[u8; LENGTH]> {
    let mut key = [0; LENGTH];
    rand::fill(&mut key).map_err(|_| std::io::Error::other("no random bytes"))?;
    Ok(key)
}
