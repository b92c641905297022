//! What `az cloud register` and the Terraform providers read to learn where everything is.

use livedata_arm::ArmError;
use serde_json::{Value, json};

use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};

/// Host suffixes of services that this cloud does not have. `localhost` names never leave the machine (RFC 6761), so a
/// tool that builds an address from them cannot reach a stranger.
pub(crate) const STORAGE_SUFFIX: &str = "storage.localhost";
pub(crate) const KEY_VAULT_SUFFIX: &str = "vault.localhost";
pub(crate) const SQL_SUFFIX: &str = "database.localhost";

/// The addresses of this cloud, all derived from its public one.
pub(crate) struct CloudDescription<'a> {
    pub name: &'a str,
    /// Without a trailing slash.
    pub public_url: &'a str,
}

impl CloudDescription<'_> {
    /// The audience that clients ask tokens for. The slash is deliberate: `az` appends `/.default` to it.
    pub fn audience(&self) -> String {
        format!("{}/", self.public_url)
    }

    fn document(&self) -> Value {
        let audience = self.audience();
        let url = self.public_url;
        json!({
            "name": self.name,
            "portal": url,
            "authentication": {
                "loginEndpoint": url,
                "audiences": [audience, url],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "graph": audience,
            "graphAudience": audience,
            "microsoftGraphResourceId": audience,
            "resourceManager": url,
            "gallery": url,
            "media": url,
            "batch": url,
            "sqlManagement": url,
            "activeDirectoryDataLake": url,
            "logAnalyticsResourceId": url,
            "vmImageAliasDoc": url,
            "suffixes": {
                "storage": STORAGE_SUFFIX,
                "keyVaultDns": KEY_VAULT_SUFFIX,
                "sqlServerHostname": SQL_SUFFIX,
            },
        })
    }
}

/// One object from 2020 on; the version of 2019 is a list of clouds.
pub(crate) fn metadata(app: &App, request: &Incoming) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    let version = request.api_version()?;
    let document = CloudDescription { name: &app.cloud_name, public_url: &app.public_url }.document();
    if version.as_str() >= "2020" {
        Ok(Reply::json(200, &document))
    } else if version.as_str() == "2019-05-01" {
        Ok(Reply::json(200, &json!([document])))
    } else {
        let message =
            format!("The metadata version '{version}' is not served. Use 2022-09-01 or 2019-05-01.");
        Err(ArmError::new(400, "InvalidApiVersionParameter", message).into())
    }
}
