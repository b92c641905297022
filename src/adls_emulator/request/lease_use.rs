//! What a request says about the lease on the path that it works on: `x-ms-lease-id`, and with appends and flushes
//! `x-ms-lease-action`.

use uuid::Uuid;

use super::Call;
use crate::lease::{Lease, LeaseDuration};
use crate::service_error::ServiceError;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LeaseUse {
    id: Option<Uuid>,
    action: Option<Action>,
}

/// What happens to the lease together with the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Acquire { proposed: Uuid, duration: LeaseDuration },
    AutoRenew,
    Release,
    AcquireRelease { proposed: Uuid },
}

impl LeaseUse {
    pub(crate) fn of(call: &Call) -> Result<Self, ServiceError> {
        Ok(Self { id: lease_id(call, "x-ms-lease-id")?, action: None })
    }

    pub(crate) fn of_rename_source(call: &Call) -> Result<Self, ServiceError> {
        Ok(Self { id: lease_id(call, "x-ms-source-lease-id")?, action: None })
    }

    /// `flushes`: a lease can be given up only with the request that commits the data.
    pub(crate) fn of_append(call: &Call, flushes: bool) -> Result<Self, ServiceError> {
        let id = lease_id(call, "x-ms-lease-id")?;
        let required = |name: &str| lease_id(call, name)?.ok_or_else(|| ServiceError::missing_header(name));
        let action = match call.header("x-ms-lease-action") {
            None => None,
            Some("acquire") => Some(Action::Acquire {
                proposed: required("x-ms-proposed-lease-id")?,
                duration: duration(call)?,
            }),
            Some("auto-renew") => required("x-ms-lease-id").map(|_| Some(Action::AutoRenew))?,
            Some("release" | "acquire-release") if !flushes => {
                let reason = "a lease is released only by a flush or an append with flush=true";
                return Err(ServiceError::invalid_header("x-ms-lease-action", reason));
            }
            Some("release") => required("x-ms-lease-id").map(|_| Some(Action::Release))?,
            Some("acquire-release") => {
                Some(Action::AcquireRelease { proposed: required("x-ms-proposed-lease-id")? })
            }
            Some(_) => {
                let reason = "expected acquire, auto-renew, release or acquire-release";
                return Err(ServiceError::invalid_header("x-ms-lease-action", reason));
            }
        };
        Ok(Self { id, action })
    }

    /// For something that is only read, whatever else the request does.
    pub(crate) fn reading(id: Option<Uuid>) -> Self {
        Self { id, action: None }
    }

    pub(crate) fn check_read(&self, lease: &Lease, now_ms: i64) -> Result<(), ServiceError> {
        lease.check_read(self.id, now_ms)
    }

    /// Refuses a write that the lease forbids, without changing the lease.
    pub(crate) fn check_write(&self, lease: &Lease, now_ms: i64) -> Result<(), ServiceError> {
        self.begin(&mut lease.clone(), now_ms)
    }

    /// Before a write that is refused if there is nothing yet: a lease that is named must exist.
    pub(crate) fn check_absent(&self) -> Result<(), ServiceError> {
        if self.id.is_some() { Err(ServiceError::lease_not_present()) } else { Ok(()) }
    }

    pub(crate) fn begin(&self, lease: &mut Lease, now_ms: i64) -> Result<(), ServiceError> {
        match self.action {
            Some(Action::Acquire { proposed, duration }) => {
                lease.acquire(Some(proposed), duration, now_ms)?;
            }
            Some(Action::AcquireRelease { proposed }) => {
                lease.acquire(Some(proposed), LeaseDuration::Infinite, now_ms)?;
            }
            None | Some(Action::AutoRenew | Action::Release) => {
                lease.check_write(self.id, now_ms)?;
                lease.forget_ended(now_ms);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&self, lease: &mut Lease, now_ms: i64) -> Result<(), ServiceError> {
        match (self.action, self.id) {
            (Some(Action::AutoRenew), Some(id)) => lease.renew(id, now_ms),
            (Some(Action::Release), Some(id)) => lease.release(id),
            (Some(Action::AcquireRelease { proposed }), _) => lease.release(proposed),
            _ => Ok(()),
        }
    }

    /// Whether the reply says `x-ms-lease-renewed`.
    pub(crate) fn renews(&self) -> bool {
        self.action == Some(Action::AutoRenew)
    }
}

/// A lease id, which is a GUID in any of its usual forms.
pub(crate) fn lease_id(call: &Call, name: &str) -> Result<Option<Uuid>, ServiceError> {
    let parse = |text: &str| {
        let bare = text.trim_matches(|c| "{}()".contains(c));
        Uuid::parse_str(bare).map_err(|_| ServiceError::invalid_header(name, "a lease id is a GUID"))
    };
    call.header(name).map(parse).transpose()
}

pub(crate) fn duration(call: &Call) -> Result<LeaseDuration, ServiceError> {
    let name = "x-ms-lease-duration";
    LeaseDuration::parse(call.header(name).ok_or_else(|| ServiceError::missing_header(name))?)
}
