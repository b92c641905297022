//! Data transfer agents: machines that copy for a migrator's agent.

mod model;
pub mod v2023_11_01_preview;
mod v2026_11_01_preview;
mod validation;

use async_trait::async_trait;
use livedata_arm::ResourceId;
use livedata_model::spec::DataTransferAgentSpec;
use livedata_store::Change;
use serde_json::{Map, Value};

use crate::core::Core;
use crate::document::Document;
use crate::errors::Outcome;
use crate::kind::{Description, Names, ResourceKind};
use crate::observed;
use crate::secrets::{self, Context, Sealed};
use crate::view::View;
use crate::wire::{self, Reader};

pub use model::{DataTransferAgent, DataTransferAgentInput};

pub const COLLECTION: &str = "data_transfer_agents";

pub struct DataTransferAgents;

#[async_trait]
impl ResourceKind for DataTransferAgents {
    type Input = DataTransferAgentInput;
    type Spec = DataTransferAgent;
    type Admitted = ();

    const DESCRIPTION: Description = Description {
        path: &["migrators", "dataTransferAgents"],
        collection: COLLECTION,
        display: "data transfer agents of a migrator",
        actions: &[],
        public_patch: &["bandwidthPolicy"],
        names: Names::Usual,
    };

    fn read(
        view: &View,
        properties: Reader<'_>,
        stored: Option<&DataTransferAgent>,
    ) -> Option<DataTransferAgentInput> {
        let findings = properties.findings().clone();
        let given = if view.version.is_public() {
            v2023_11_01_preview::into_given(properties.typed()?, stored)
        } else {
            v2026_11_01_preview::into_given(properties.typed()?, &findings)
        };
        validation::check(given, &findings)
    }

    async fn admit(
        _core: &Core,
        _id: &ResourceId,
        _stored: Option<&Document<DataTransferAgent>>,
        _input: &DataTransferAgentInput,
        change: Change,
    ) -> Outcome<(Change, ())> {
        Ok((change, ()))
    }

    fn mutate(
        core: &Core,
        guid: &str,
        stored: Option<&DataTransferAgent>,
        input: DataTransferAgentInput,
        (): (),
    ) -> Outcome<DataTransferAgent> {
        let kept = stored.and_then(|stored| stored.sealed_access_token.as_ref());
        Ok(DataTransferAgent {
            host: input.host,
            port: input.port,
            sealed_access_token: secrets::seal(core, context(guid), input.access_token, kept)?,
            max_bytes_per_second: input.max_bytes_per_second,
            capacity: input.capacity,
        })
    }

    fn sealed<'a>(guid: &'a str, spec: &'a DataTransferAgent) -> Option<(Context<'a>, &'a Sealed)> {
        spec.sealed_access_token.as_ref().map(|sealed| (context(guid), sealed))
    }

    async fn write(
        core: &Core,
        view: &View,
        document: &Document<DataTransferAgent>,
    ) -> Outcome<Map<String, Value>> {
        if view.version.is_public() {
            return wire::properties(&v2023_11_01_preview::of_model(&document.spec));
        }
        let conditions = observed::conditions(core, document).await?;
        wire::properties(&v2026_11_01_preview::of_model(&document.spec, &conditions))
    }
}

fn context(guid: &str) -> Context<'_> {
    Context { what: "access token of data transfer agent", guid }
}

/// What the agent is told, with the token in the clear: it goes nowhere but into the session.
pub fn desired(core: &Core, guid: &str, spec: &DataTransferAgent) -> Outcome<DataTransferAgentSpec> {
    let sealed = spec.sealed_access_token.as_ref();
    Ok(DataTransferAgentSpec {
        host: spec.host.clone(),
        port: spec.port,
        access_token: sealed.map(|sealed| secrets::open(core, context(guid), sealed)).transpose()?,
        max_bytes_per_second: spec.max_bytes_per_second,
        capacity: spec.capacity,
    })
}
