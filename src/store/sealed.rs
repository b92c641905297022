//! Secrets at rest: AES-256-GCM under a key that lives in a file of its own, apart from the store.
//!
//! A sealed body is bound to a *context* (by convention `collection/key`): moved to another record, changed, or opened with
//! another key, it is [`Error::Damaged`] instead of a wrong secret. Layout: format byte 1, nonce (12 bytes), cipher text, tag (16).
//!
//! The nonce is random, so one key may seal about 2^32 bodies. Losing the key file loses the secrets, not the rest of the store.

mod key_file;
#[cfg(test)]
mod tests;

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::{Error, Result};

const FORMAT: u8 = 1;
const HEADER: usize = 1 + NONCE_LEN;

/// Seals and opens; shows nothing of itself in `Debug`.
pub struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// The key in this file; a missing file is made, mode 0600. A file that others may read is refused.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let bytes = key_file::load_or_create(path.as_ref())?;
        RandomizedNonceKey::new(&AES_256_GCM, &bytes)
            .map(Self)
            .map_err(|_| Error::Damaged(format!("{} does not hold a key", path.as_ref().display())))
    }

    #[expect(
        clippy::expect_used,
        reason = "fails only without a random generator or beyond 64 GiB: never go on unencrypted"
    )]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut text = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut text)
            .expect("the operating system's random generator works");
        let mut sealed = Vec::with_capacity(HEADER + text.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        sealed
    }

    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = |reason: &str| Error::Damaged(format!("the secret of {context} {reason}"));
        let (header, text) = sealed.split_at_checked(HEADER).ok_or_else(|| damaged("is cut short"))?;
        let Some((&FORMAT, nonce)) = header.split_first() else {
            return Err(damaged("is of a format that this program does not know"));
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged("is cut short"))?;
        let mut text = text.to_vec();
        let length = self
            .0
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut text)
            .map_err(|_| damaged("was changed, belongs to another record, or was sealed with another key"))?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}
