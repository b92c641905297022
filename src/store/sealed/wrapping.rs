//! Keys that are wrapped by a key which is kept elsewhere: who has the file alone has nothing.

use std::fmt;

use async_trait::async_trait;

use crate::Result;

/// What a wrapping key made of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrapped {
    /// Address of what wrapped it, with its version; without white space.
    pub by: String,
    pub bytes: Vec<u8>,
}

/// A key in a service (Azure Key Vault) that wraps and unwraps the keys of a file. Calls go over the network and are not
/// repeated here; their errors are [`crate::Error::KeyUnavailable`], with what to do.
#[async_trait]
pub trait WrappingKey: fmt::Debug + Send + Sync {
    async fn wrap(&self, key: &[u8]) -> Result<Wrapped>;

    /// What this service has wrapped, also under an earlier version of its key.
    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Vec<u8>>;
}
