//! The Azure Resource Manager contract, without any product word and without a web framework.
//!
//! What a resource provider and a front door must agree on: [`ResourceId`] (case-insensitive, casing kept),
//! [`ApiVersion`], the resource [`Envelope`] with [`SystemData`], [`ArmError`] (the only error shape that leaves a
//! listener), [`ProvisioningState`] and long-running [`OperationStatus`], header names, entity tags, JSON merge-patch.
//! Rule numbers in comments are those of the public resource provider contract as listed in `docs/arm-contract.md`.
//!
//! It may call nothing of ours. Start reading at [`ResourceId`], then [`ArmError`].

mod api_version;
mod envelope;
mod error;
pub mod etag;
pub mod headers;
pub mod merge_patch;
mod operation;
mod resource_id;

pub use api_version::ApiVersion;
pub use envelope::{Envelope, Plan, SystemData, Tags};
pub use error::{ArmError, ErrorBody, ErrorDetail};
pub use operation::{OperationStatus, ProvisioningState};
pub use resource_id::{ParseResourceIdError, ResourceId, ResourceType};
