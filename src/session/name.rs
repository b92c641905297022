//! The names that stand in certificates.

use std::fmt;

use crate::Error;

/// The provider's name in its session certificate.
pub const PROVIDER_URI: &str = "urn:livedata:provider";

/// One installation of an agent, for one migrator.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct AgentName {
    migrator_guid: String,
    instance_id: String,
}

impl AgentName {
    /// Both parts: 1 to 64 letters, digits or hyphens, so that the URI reads in one way only.
    pub fn new(migrator_guid: &str, instance_id: &str) -> Result<Self, Error> {
        for part in [migrator_guid, instance_id] {
            let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if part.is_empty() || part.len() > 64 || !plain {
                return Err(Error::Name(part.to_owned()));
            }
        }
        Ok(Self { migrator_guid: migrator_guid.to_owned(), instance_id: instance_id.to_owned() })
    }

    /// Reads what `Display` writes.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let parts = uri.strip_prefix("urn:livedata:migrator:").and_then(|rest| rest.split_once(":agent:"));
        let (migrator_guid, instance_id) = parts.ok_or_else(|| Error::Name(uri.to_owned()))?;
        Self::new(migrator_guid, instance_id)
    }

    pub fn migrator_guid(&self) -> &str {
        &self.migrator_guid
    }

    pub fn instance_id(&self) -> &str {
        &self.instance_id
    }
}

/// The URI in the agent's certificate.
impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:livedata:migrator:{}:agent:{}", self.migrator_guid, self.instance_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_cannot_smuggle_another() {
        let name = AgentName::new("0f-1", "host-7").unwrap();
        assert_eq!(name.to_string(), "urn:livedata:migrator:0f-1:agent:host-7");
        assert_eq!(AgentName::from_uri(&name.to_string()).unwrap(), name);
        for (guid, instance) in
            [("", "i"), ("g", ""), ("g:agent:x", "i"), ("g", "i/j"), ("g", &"i".repeat(65))]
        {
            assert!(AgentName::new(guid, instance).is_err(), "{guid} {instance}");
        }
        assert!(AgentName::from_uri(PROVIDER_URI).is_err());
    }
}
