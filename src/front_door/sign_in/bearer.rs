//! The check of the access token that every ARM route demands.

use jsonwebtoken::errors::ErrorKind;
use livedata_arm::ArmError;

use super::CloudDescription;
use super::discovery::issuer;
use crate::app::App;
use crate::reply::Refusal;
use crate::request::Incoming;

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Client id of the service principal.
    pub app_id: String,
}

pub(crate) fn authenticate(app: &App, request: &Incoming) -> Result<Caller, Refusal> {
    let token = request
        .header("authorization")
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(token) = token else {
        let text = "Authentication failed. The 'Authorization' header is missing or is not a bearer token.";
        return Err(unauthorized(app, "AuthenticationFailed", text));
    };
    let cloud = CloudDescription { name: &app.cloud_name, public_url: &app.public_url };
    let audiences = [cloud.audience(), app.public_url.clone()];
    match app.signing_key.verify(token, &audiences, &issuer(app)) {
        Ok(claims) => Ok(Caller { app_id: claims.appid }),
        Err(error) => Err(match error.kind() {
            ErrorKind::ExpiredSignature => unauthorized(
                app,
                "ExpiredAuthenticationToken",
                "The access token has expired. Sign in again.",
            ),
            ErrorKind::InvalidAudience => unauthorized(
                app,
                "InvalidAuthenticationTokenAudience",
                "The access token was issued for another audience. Ask for one for this cloud.",
            ),
            ErrorKind::InvalidIssuer => unauthorized(
                app,
                "InvalidAuthenticationTokenTenant",
                "The access token is from another issuer. Sign in to this cloud.",
            ),
            _ => {
                unauthorized(app, "InvalidAuthenticationToken", "The access token is invalid. Sign in again.")
            }
        }),
    }
}

fn unauthorized(app: &App, code: &str, message: &str) -> Refusal {
    let challenge = format!(
        "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
        app.public_url, app.tenant_id
    );
    Refusal::from(ArmError::new(401, code, message)).with("www-authenticate", challenge)
}
