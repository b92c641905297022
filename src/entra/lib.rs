//! Who asks a service of Azure: identities of Microsoft Entra ID, whose tokens go with requests to it.
//!
//! [`credential`] makes of an [`Identity`] what `azure_core`'s clients take; [`Transport`] carries their requests. One call is
//! one try: whoever calls decides about repeating. Secrets are never printed.

mod identity;
mod transport;

pub use identity::{Identity, credential};
pub use transport::Transport;
