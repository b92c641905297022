//! A small Azure Resource Manager of our own, so that real `az`, SDKs and templates drive a resource provider on a
//! laptop, in CI or on a site without Azure.
//!
//! What it promises:
//! - every ARM route needs a bearer token that this front door signed for a configured service principal, for its own
//!   audience, and that has not expired;
//! - paths are taken as ARM takes them: any casing, doubled and trailing slashes collapsed;
//! - whatever goes wrong is answered with an ARM error body;
//! - a registered provider is called over mutual TLS with the headers that ARM adds; what a client sends in those
//!   headers never reaches it;
//! - there is no index of a provider's resources: lists ask the provider;
//! - deleting a resource group survives a crash: it goes on when the front door starts again.
//!
//! Not here: role assignments (every service principal may do everything), locks, tags, deployments.
//!
//! Start reading at [`FrontDoor::start`], then `route` (which paths exist), `dispatch` (who answers them). `sign_in` holds
//! metadata and tokens, `groups` resource groups, `forward` the way to a provider, `storage` the `Microsoft.Storage`
//! accounts, which live in the storage emulator, `custom_providers` resource types of `Microsoft.CustomProviders`.

mod app;
mod az_config;
mod clock;
mod custom_providers;
mod dispatch;
mod error;
mod forward;
mod groups;
mod moves;
mod options;
mod registration;
mod reply;
mod request;
mod resources;
mod route;
mod running;
mod server;
mod sign_in;
mod storage;
mod subscriptions;
mod upstream;

pub use az_config::{AzConfig, write_az_config};
pub use error::{Error, ErrorKind};
pub use options::{EmulatorAdmin, Options, ProvidedType, RegisteredProvider, ServicePrincipal};
pub use running::{FrontDoor, Running};
