//! Leases: nobody but the holder writes to a path or deletes it.
//!
//! Asking twice is harmless, as it must be after an answer that was lost: the client proposes the id of a lease, and the
//! service gives the same lease again to who names its id; a lease that is released twice is released.

use std::time::Duration;

use azure_core::http::Method;
use livedata_filesystem::{Error, ErrorKind, Result, TargetPath};

use crate::Filesystem;
use crate::connection::{Call, header};

/// A lease that this client was given on a path. It guards that path only, not what lies below a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    path: TargetPath,
    id: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeaseDuration {
    /// 15 to 60, if it is not renewed.
    Seconds(u8),
    /// Until it is released or broken.
    Infinite,
}

impl Lease {
    pub fn path(&self) -> &TargetPath {
        &self.path
    }

    pub(crate) fn guards(&self, path: &TargetPath) -> bool {
        self.path == *path
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Filesystem {
    /// `Conflict` while somebody else has a lease on the path, `Gone` if there is nothing.
    pub async fn acquire_lease(&self, path: &TargetPath, duration: LeaseDuration) -> Result<Lease> {
        let mut call = self.lease_call("acquire lease", path, "acquire")?;
        let Some(id) = new_id() else {
            let message = "this machine gives no random numbers to name the lease by";
            return Err(Error::new(ErrorKind::Fatal, call.operation, call.subject, message));
        };
        call.header("x-ms-proposed-lease-id", id.clone());
        let seconds = match duration {
            LeaseDuration::Seconds(seconds) => seconds.to_string(),
            LeaseDuration::Infinite => "-1".to_owned(),
        };
        call.header("x-ms-lease-duration", seconds);
        self.send(call).await?;
        Ok(Lease { path: path.clone(), id })
    }

    /// The lease lasts its duration from now on. `Conflict` if it was broken, or ended and somebody has written since.
    pub async fn renew_lease(&self, lease: &Lease) -> Result<()> {
        let mut call = self.lease_call("renew lease", &lease.path, "renew")?;
        call.header("x-ms-lease-id", lease.id.clone());
        self.send(call).await?;
        Ok(())
    }

    /// Anybody may write again, or take a lease. `Conflict` if the lease is not in force any more.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let mut call = self.lease_call("release lease", &lease.path, "release")?;
        call.header("x-ms-lease-id", lease.id.clone());
        match self.send(call).await {
            Ok(_) => Ok(()),
            // An earlier try released it, whoever has taken a lease since.
            Err(failure) if failure.outcome_unknown && failure.error.kind() == ErrorKind::Conflict => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Takes anybody's lease away, after `within` (60 seconds at most) or when it ends, whichever is earlier; without it when it
    /// ends, at once if it has no end. Says how long it still guards. `Conflict` if there is none.
    pub async fn break_lease(&self, path: &TargetPath, within: Option<Duration>) -> Result<Duration> {
        let mut call = self.lease_call("break lease", path, "break")?;
        if let Some(within) = within {
            call.header("x-ms-lease-break-period", within.as_secs().to_string());
        }
        let response = self.send(call).await?;
        let seconds = header(response.headers(), "x-ms-lease-time").and_then(|seconds| seconds.parse().ok());
        Ok(Duration::from_secs(seconds.unwrap_or(0)))
    }

    /// The same container for the holder of a lease: changes of its path name the lease.
    #[must_use]
    pub fn holding(&self, lease: &Lease) -> Self {
        let mut holder = self.clone();
        holder.leases.push(lease.clone());
        holder
    }

    fn lease_call(&self, operation: &'static str, path: &TargetPath, action: &'static str) -> Result<Call> {
        let mut call = self.call(operation, Method::Post, path, &[])?;
        call.header("x-ms-lease-action", action);
        Ok(call)
    }
}

/// A random UUID.
fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    let random = u128::from_be_bytes(bytes);
    // Version 4, variant 1.
    let id = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{id:032x}");
    let parts = [text.get(0..8)?, text.get(8..12)?, text.get(12..16)?, text.get(16..20)?, text.get(20..)?];
    Some(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert_ne!(one, other);
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
