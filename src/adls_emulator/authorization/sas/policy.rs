//! Stored access policies: limits of signatures that are kept with the filesystem and named by them (`si`).

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::index;
use crate::server::Service;
use crate::service_error::ServiceError;

const MAX_POLICIES: usize = 5;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letters: Option<String>,
}

/// All of a filesystem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Policies(Vec<Policy>);

pub(super) async fn find(
    account: &Account,
    filesystem: Option<&str>,
    service: &Service,
    name: &str,
) -> Result<Policy, ServiceError> {
    let filesystem = filesystem.ok_or_else(ServiceError::filesystem_not_found)?.to_owned();
    let account = account.name.clone();
    let read = move |connection: &_| {
        let root = index::filesystem(connection, &account, &filesystem)?.root;
        index::policies(connection, root)
    };
    let policies = Policies::stored(&service.index.read(read).await?);
    let found = policies.0.into_iter().find(|policy| policy.id == name);
    found.ok_or_else(|| {
        ServiceError::authentication_failed(format!("The filesystem has no access policy '{name}' (si)."))
    })
}

impl Policies {
    /// From the column, which `to_text` wrote.
    pub(crate) fn stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The body of Set Container ACL.
    pub(crate) fn parse(xml: &str) -> Result<Self, ServiceError> {
        let mut reader = Reader::from_str(xml);
        let (mut policies, mut open): (Vec<Policy>, Vec<String>) = (Vec::new(), Vec::new());
        if xml.trim().is_empty() {
            return Ok(Self::default());
        }
        loop {
            match reader.read_event().map_err(|_| ServiceError::invalid_xml())? {
                Event::Start(element) => {
                    let name = element.name().as_ref().to_owned();
                    if name == "SignedIdentifier" {
                        policies.push(Policy::default());
                    }
                    open.push(name);
                }
                Event::End(_) => drop(open.pop()),
                Event::Text(text) if !text.trim().is_empty() => {
                    let policy = policies.last_mut().ok_or_else(ServiceError::invalid_xml)?;
                    let text = text.trim().to_owned();
                    match open.last().map(String::as_str) {
                        Some("Id") => policy.id = text,
                        Some("Start") => policy.start = Some(text),
                        Some("Expiry") => policy.expiry = Some(text),
                        Some("Permission") => policy.letters = Some(text),
                        _ => return Err(ServiceError::invalid_xml()),
                    }
                }
                Event::Eof if open.is_empty() => break,
                Event::Eof => return Err(ServiceError::invalid_xml()),
                _ => {}
            }
        }
        if policies.len() > MAX_POLICIES
            || policies.iter().any(|policy| policy.id.is_empty() || policy.id.len() > 64)
        {
            return Err(ServiceError::invalid_xml_value(
                "SignedIdentifiers",
                "at most 5, with ids of 1 to 64 characters",
            ));
        }
        Ok(Self(policies))
    }

    /// The body of Get Container ACL.
    pub(crate) fn to_xml(&self) -> String {
        let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>".to_owned();
        for policy in &self.0 {
            xml.push_str(&format!("<SignedIdentifier><Id>{}</Id><AccessPolicy>", escape(policy.id.as_str())));
            for (element, text) in
                [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.letters)]
            {
                if let Some(text) = text {
                    xml.push_str(&format!("<{element}>{}</{element}>", escape(text.as_str())));
                }
            }
            xml.push_str("</AccessPolicy></SignedIdentifier>");
        }
        xml.push_str("</SignedIdentifiers>");
        xml
    }
}
