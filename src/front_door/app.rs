//! What every request handler sees.

use std::sync::Arc;

use livedata_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::custom_providers::Endpoints;
use crate::options::ServicePrincipal;
use crate::sign_in::SigningKey;
use crate::storage::Emulator;
use crate::upstream::Upstream;

pub(crate) struct App {
    pub store: Arc<dyn Store>,
    /// Without a trailing slash.
    pub public_url: String,
    pub cloud_name: String,
    pub tenant_id: String,
    pub subscription_id: String,
    pub subscription_name: String,
    pub service_principals: Vec<ServicePrincipal>,
    pub signing_key: SigningKey,
    pub upstreams: Vec<Upstream>,
    pub emulator: Emulator,
    pub endpoints: Endpoints,
    pub retry_after_seconds: u32,
    pub background: Background,
}

/// Where work goes on that outlives its request. Stopping cancels and waits; unfinished work resumes at the next start.
pub(crate) struct Background {
    pub runtime: tokio::runtime::Handle,
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
}

impl App {
    pub fn upstream(&self, namespace: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.namespace.eq_ignore_ascii_case(namespace))
    }
}
