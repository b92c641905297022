//! A provider that runs from its folder.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod arm;
mod key_vault;
mod vault;

use livedata_provider_service::{
    Arm, Azure, AzureIdentity, Compat, Enrolment, ProviderConfig, Relay, RelayRule,
};
use url::Url;

/// On free ports, with a relay that is not there.
fn config(certificates_from: Option<Url>) -> ProviderConfig {
    let rule = |name: &str| RelayRule { name: name.to_owned(), key: "key".to_owned() };
    let any = "127.0.0.1:0".parse().unwrap();
    ProviderConfig {
        namespace: "LiveData.Platform".to_owned(),
        compat: Compat::default(),
        store: "provider.db".to_owned(),
        sealing_key: "sealing.key".into(),
        key_vault_key: None,
        former_key_vault_keys: Vec::new(),
        agent_authority: "agents".into(),
        arm: Arm { listen: any, certificates_from },
        enrolment: Enrolment { listen: any, url: "https://localhost:1/".parse().unwrap() },
        custom_providers: None,
        relay: Relay {
            url: "wss://localhost:1".parse().unwrap(),
            send_rule: rule("send"),
            listen_rule: rule("listen"),
        },
        azure: Azure {
            cloud: Some("AzureChinaCloud".to_owned()),
            addresses: None,
            identity: AzureIdentity::ManagedIdentity { client_id: None },
        },
        retry_after_seconds: 10,
        health: None,
        audit_log: "audit.log".into(),
    }
}
