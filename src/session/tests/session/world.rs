//! An authority, the identities that it gives, and connected channels.

use livedata_pki::{Identity, IdentityRequest};
use livedata_session::tls::{accept_as_agent, open_as_provider};
use livedata_session::{AgentAuthority, AgentIdentity, AgentName, Channel, ProviderIdentity, Transport};

pub struct World {
    pub authority: AgentAuthority,
    pub provider: ProviderIdentity,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = AgentAuthority::load_or_create(folder.path()).unwrap();
        let provider = authority.provider_identity().unwrap();
        Self { authority, provider }
    }

    /// The bare certificate and key of an agent, for peers that do not play by the rules.
    pub fn agent_certificate(&self, name: &AgentName) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let request = IdentityRequest::load_or_create(&folder.path().join("agent.key")).unwrap();
        let chain = self.authority.certify(request.der(), name).unwrap();
        request.complete(chain).unwrap()
    }

    pub fn agent(&self, name: &AgentName) -> AgentIdentity {
        let authority = self.authority.certificate_pem().to_owned();
        AgentIdentity::new(self.agent_certificate(name), authority, name).unwrap()
    }

    /// The provider's and the agent's channel over a pair of connected streams.
    pub async fn channels(
        &self,
        near: impl Transport + 'static,
        far: impl Transport + 'static,
    ) -> (Channel, Channel) {
        let name = name("one");
        let agent = self.agent(&name);
        let (provider, agent) =
            tokio::join!(open_as_provider(near, &self.provider, &name), accept_as_agent(far, &agent));
        (provider.unwrap(), agent.unwrap())
    }
}

pub fn name(instance_id: &str) -> AgentName {
    AgentName::new("0f8fad5b-d9cb-469f-a165-70867728950e", instance_id).unwrap()
}
