//! What an agent keeps of its enrolment, in a folder of its own.
//!
//! `agent.key` comes first and stays; `agent.pem` and `enrolment.json` (mode 0600: it holds the listen token) follow the
//! reply. `enrolment.json` is written last: its presence says that the enrolment is complete.

use std::path::{Path, PathBuf};

use livedata_pki::{self as pki, Identity, file};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::enrolment::RelayAccess;
use crate::{AgentIdentity, AgentName, Error};

const IDENTITY: &str = "agent";

/// The enrolment listener, for later requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    pub url: Url,
    /// SHA-256 of its authority's certificate, hexadecimal.
    pub ca_fingerprint: String,
}

/// Everything that a started agent needs to be reachable.
#[derive(Clone, Debug)]
pub struct Enrolled {
    pub name: AgentName,
    pub identity: AgentIdentity,
    pub server: Server,
    pub relay: RelayAccess,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    migrator_guid: String,
    instance_id: String,
    agent_authority_pem: String,
    server: Server,
    relay: RelayAccess,
}

impl Enrolled {
    /// `None`: not enrolled yet.
    pub fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let damaged = |reason: String| Error::EnrolmentDamaged { folder: folder.to_owned(), reason };
        let Some(text) = file::read(&document_path(folder))? else { return Ok(None) };
        let document: Document =
            serde_json::from_str(&text).map_err(|error| damaged(format!("enrolment.json: {error}")))?;
        let identity =
            Identity::load(folder, IDENTITY)?.ok_or_else(|| damaged("agent.pem is missing".into()))?;
        let name = AgentName::new(&document.migrator_guid, &document.instance_id)?;
        let identity = AgentIdentity::new(identity, document.agent_authority_pem, &name)?;
        Ok(Some(Self { name, identity, server: document.server, relay: document.relay }))
    }

    /// GUID of the migrator whose agent this folder is. What cannot be read says nothing: enrolling anew mends it.
    pub(crate) fn migrator_of(folder: &Path) -> Result<Option<String>, pki::Error> {
        let Some(text) = file::read(&document_path(folder))? else { return Ok(None) };
        Ok(serde_json::from_str::<Document>(&text).ok().map(|document| document.migrator_guid))
    }

    /// Writes everything.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        self.identity.identity.save(folder, IDENTITY)?;
        self.save_relay(folder)
    }

    /// When nothing but the relay access changed, by renewal or within a session.
    pub fn save_relay(&self, folder: &Path) -> Result<(), Error> {
        let document = Document {
            migrator_guid: self.name.migrator_guid().to_owned(),
            instance_id: self.name.instance_id().to_owned(),
            agent_authority_pem: self.identity.authority_pem.clone(),
            server: self.server.clone(),
            relay: self.relay.clone(),
        };
        // Strings and numbers always have a JSON form.
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        Ok(file::write(&document_path(folder), &text, file::PRIVATE)?)
    }
}

pub(crate) fn key_path(folder: &Path) -> PathBuf {
    folder.join(format!("{IDENTITY}.key"))
}

fn document_path(folder: &Path) -> PathBuf {
    folder.join("enrolment.json")
}
