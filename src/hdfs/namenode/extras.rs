//! Access control lists and extended attributes.

use livedata_filesystem::{Error, ErrorKind, Result};

use super::NameNode;
use crate::error::RpcError;
use crate::proto::{
    AclStatus, GetAclStatusRequest, GetAclStatusResponse, GetXAttrsRequest, GetXAttrsResponse, XAttr,
};

const SHOW: &str = "show the attributes of";

impl NameNode {
    /// All extended attributes that the user may see: for `trusted.` ones that must be a superuser. None where the
    /// cluster has them switched off.
    pub async fn xattrs(&self, path: &str) -> Result<Vec<XAttr>> {
        let request = GetXAttrsRequest { source: path.to_owned() };
        match self.ask::<GetXAttrsResponse>("getXAttrs", &request).await {
            Ok(answer) => Ok(answer.xattrs),
            Err(failure) => match &failure.error {
                RpcError::Remote { message, .. } if message.contains("dfs.namenode.xattrs.enabled") => {
                    Ok(Vec::new())
                }
                _ => Err(failure.about(SHOW, path)),
            },
        }
    }

    /// Entries beyond the permission bits. Switched off on the cluster, they are refused, though they still apply.
    pub async fn acl(&self, path: &str) -> Result<AclStatus> {
        let request = GetAclStatusRequest { source: path.to_owned() };
        match self.ask::<GetAclStatusResponse>("getAclStatus", &request).await {
            Ok(answer) => Ok(answer.status),
            Err(failure) => match &failure.error {
                RpcError::Remote { class, .. } if class.ends_with("AclException") => {
                    Err(Error::new(ErrorKind::Denied, SHOW, path, failure.message()))
                }
                _ => Err(failure.about(SHOW, path)),
            },
        }
    }
}
