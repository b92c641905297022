//! Bearer tokens: JSON Web Tokens of the issuers that the operator has named, checked against their public keys.
//!
//! Nothing is fetched: whoever issues the tokens hands its keys to the admin endpoint (our front door does), or the operator
//! gives them in a file.

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::index::{self, Index};
use crate::service_error::ServiceError;

/// The audience of tokens for storage; clients ask for it with and without the slash, or name the account's own host.
const STORAGE_AUDIENCE: &str = "https://storage.azure.com";

/// Whose tokens are taken: `{"issuer": "https://…/v2.0", "audiences": [], "keys": [a JSON Web Key, …]}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Issuer {
    pub issuer: String,
    /// Beside the public service's own.
    #[serde(default)]
    pub audiences: Vec<String>,
    #[serde(flatten)]
    pub keys: JwkSet,
}

#[derive(Deserialize)]
struct Claims {
    oid: String,
    #[serde(default)]
    tid: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Issuers {
    known: RwLock<Arc<Vec<Issuer>>>,
}

impl Issuers {
    pub(crate) fn new(known: Vec<Issuer>) -> Self {
        Self { known: RwLock::new(Arc::new(known)) }
    }

    pub(crate) fn all(&self) -> Arc<Vec<Issuer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For a 401: where tokens come from.
    pub(crate) fn challenge(&self) -> String {
        match self.all().first() {
            None => "SharedKey".to_owned(),
            Some(Issuer { issuer, .. }) => {
                let authority = issuer.trim_end_matches('/').trim_end_matches("/v2.0");
                format!(
                    "Bearer authorization_uri={authority}/oauth2/authorize resource_id={STORAGE_AUDIENCE}"
                )
            }
        }
    }

    /// Replaces the issuer of the same name; committed before it counts.
    pub(crate) async fn save(&self, index: &Index, issuer: Issuer) -> Result<(), ServiceError> {
        let mut known: Vec<Issuer> = self.all().as_ref().clone();
        known.retain(|other| other.issuer != issuer.issuer);
        known.push(issuer);
        let text = serde_json::to_string(&known).map_err(|error| ServiceError::internal(&error))?;
        index
            .write(move |writing| index::save_setting(writing, index::TOKEN_ISSUERS, text.as_bytes()))
            .await?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    pub(super) fn authenticate(&self, token: &str) -> Result<Identity, ServiceError> {
        let failed = |detail: String| ServiceError::invalid_token(detail);
        let header = jsonwebtoken::decode_header(token).map_err(|error| failed(error.to_string()))?;
        let known = self.all();
        if known.is_empty() {
            return Err(failed(
                "this emulator knows no issuer of tokens; name one at its admin endpoint".to_owned(),
            ));
        }
        let kid = header.kid.unwrap_or_default();
        let (issuer, key) =
            known.iter().find_map(|issuer| issuer.keys.find(&kid).map(|key| (issuer, key))).ok_or_else(
                || failed(format!("no known issuer has the key '{kid}' that signed the token")),
            )?;
        // The key decides, so that a token cannot choose a weaker way than its issuer's.
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(failed("its algorithm is neither RS256 nor ES256".to_owned()));
        }
        let key = DecodingKey::from_jwk(key).map_err(|error| failed(error.to_string()))?;
        let mut validation = Validation::new(header.alg);
        validation.validate_nbf = true;
        let mut audiences = vec![STORAGE_AUDIENCE.to_owned(), format!("{STORAGE_AUDIENCE}/")];
        audiences.extend(issuer.audiences.iter().cloned());
        validation.set_audience(&audiences);
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|error| failed(error.to_string()))?
            .claims;
        Ok(Identity { object_id: claims.oid, tenant_id: claims.tid, groups: claims.groups })
    }
}
