//! Where Azure's services are. Sovereign clouds are clouds of their own, with other names and other accounts.

use url::Url;

/// The addresses of a cloud that a look-up needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cloud {
    /// The resource manager, e.g. `https://management.azure.com`.
    pub endpoint: Url,
    /// Where tokens come from, e.g. `https://login.microsoftonline.com`.
    pub authority: Url,
    /// Audience of the tokens; the scope asked for is `{audience}/.default`.
    pub audience: String,
    /// Storage accounts are reached at `{account}.dfs.{suffix}`.
    pub storage_suffix: String,
}

/// By the names that `az cloud list` has: name, resource manager, authority, suffix of storage.
const KNOWN: [(&str, &str, &str, &str); 3] = [
    ("AzureCloud", "https://management.azure.com", "https://login.microsoftonline.com", "core.windows.net"),
    (
        "AzureUSGovernment",
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "core.usgovcloudapi.net",
    ),
    (
        "AzureChinaCloud",
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "core.chinacloudapi.cn",
    ),
];

impl Cloud {
    /// A cloud by its name, which may be written in any case.
    pub fn named(name: &str) -> Option<Self> {
        let (_, endpoint, authority, suffix) =
            KNOWN.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        Some(Self {
            endpoint: Url::parse(endpoint).ok()?,
            authority: Url::parse(authority).ok()?,
            audience: (*endpoint).to_owned(),
            storage_suffix: (*suffix).to_owned(),
        })
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, ..)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_a_cloud_and_only_those() {
        let clouds: Vec<_> = Cloud::names().map(|name| Cloud::named(name).unwrap()).collect();
        assert_eq!(clouds.len(), 3);
        assert_eq!(Cloud::named("azureusgovernment").unwrap(), clouds[1]);
        assert_eq!(clouds[1].authority.host_str(), Some("login.microsoftonline.us"));
        assert_eq!(Cloud::named("AzureGermanCloud"), None);
    }
}
