//! How a client finds this cloud, gets a token and shows it.

mod bearer;
mod discovery;
mod metadata;
mod signing_key;
mod token;

pub(crate) use bearer::{Caller, authenticate};
pub(crate) use discovery::{discovery, signing_keys, token_issuer};
pub(crate) use metadata::{CloudDescription, KEY_VAULT_SUFFIX, SQL_SUFFIX, STORAGE_SUFFIX, metadata};
pub(crate) use signing_key::SigningKey;
pub(crate) use token::token;

/// What is in an access token. `aud`, `exp`, `nbf` and `iss` are checked when one is presented.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Claims {
    pub aud: String,
    pub iss: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// Client id of the service principal.
    pub appid: String,
    pub idtyp: String,
    pub oid: String,
    pub sub: String,
    pub tid: String,
    pub uti: String,
    pub ver: String,
}
