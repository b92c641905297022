//! The RSA key that signs access tokens, made on first start and kept in a file that only this user can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::Claims;
use crate::error::Error;

pub(crate) struct SigningKey {
    private: EncodingKey,
    public: DecodingKey,
    document: Jwk,
    key_id: String,
}

impl SigningKey {
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let file = |source| Error::File { path: path.to_owned(), source };
        let pem = match fs::read(path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let pem = generate()?;
                write_private(path, &pem).map_err(file)?;
                pem
            }
            Err(error) => return Err(file(error)),
        };
        Self::from_pem(&pem).map_err(|_| Error::SigningKey { path: path.to_owned() })
    }

    fn from_pem(pem: &[u8]) -> jsonwebtoken::errors::Result<Self> {
        let private = EncodingKey::from_rsa_pem(pem)?;
        let mut document = Jwk::from_encoding_key(&private, Algorithm::RS256)?;
        let key_id = document.thumbprint(ThumbprintHash::SHA256)?;
        document.common.key_id = Some(key_id.clone());
        document.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { public: DecodingKey::from_jwk(&document)?, private, document, key_id })
    }

    /// The public half, as a JSON Web Key.
    pub fn public_key(&self) -> &Jwk {
        &self.document
    }

    pub fn sign(&self, claims: &Claims) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, claims, &self.private)
    }

    /// Signature, life, audience and issuer; nothing but RS256 is taken.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[String],
        issuer: &str,
    ) -> jsonwebtoken::errors::Result<Claims> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_nbf = true;
        validation.set_audience(audiences);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
        jsonwebtoken::decode::<Claims>(token, &self.public, &validation).map(|data| data.claims)
    }
}

fn generate() -> Result<Vec<u8>, Error> {
    let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::KeyGeneration)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| Error::KeyGeneration)?;
    let text = STANDARD.encode(der.as_ref());
    let mut pem = b"-----BEGIN PRIVATE KEY-----\n".to_vec();
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    Ok(pem)
}

/// Whole or not at all: a crash between creating and writing must not leave half a key behind.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let unfinished = path.with_extension("unfinished");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
