//! The client as the migration engine's [`Target`].

mod access;

use std::collections::BTreeMap;

use async_trait::async_trait;
use livedata_filesystem::{
    Attributes, Condition, Error, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPage,
    TargetPath, Upload,
};

use crate::{
    Access, AccessControlChange, AfterAppend, CreateOptions, Filesystem, ListOptions, PathProperties,
    ResourceKind,
};

/// A container as a target.
#[derive(Clone, Debug)]
pub struct AdlsTarget {
    filesystem: Filesystem,
}

impl AdlsTarget {
    pub fn new(filesystem: Filesystem) -> Self {
        Self { filesystem }
    }

    /// For what the engine does not ask of a target: reading, listing, the container itself.
    pub fn filesystem(&self) -> &Filesystem {
        &self.filesystem
    }
}

/// Sets or takes away the sticky bit, of which no list says anything; of a list it changes nothing, for the bits are those of
/// the list.
fn bits(permissions: u16) -> AccessControlChange {
    AccessControlChange { access: Some(Access::Permissions(permissions)), ..Default::default() }
}

/// What is new has no sticky bit.
fn sticky(attributes: &Attributes) -> Option<AccessControlChange> {
    Some(bits(attributes.permissions.filter(|bits| bits & 0o1000 != 0)?))
}

impl AdlsTarget {
    /// One request, and another one for a sticky bit.
    async fn create(
        &self,
        path: &TargetPath,
        kind: ResourceKind,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        let access = attributes.permissions.map(|bits| Access::List(access::list(bits, &attributes.acl)));
        let properties = attributes.properties.clone();
        let options = CreateOptions { access, properties, ..CreateOptions::default() };
        let etag = self.filesystem.create(path, kind, &options, condition).await?;
        match sticky(attributes) {
            Some(change) => self.filesystem.set_access_control(path, &change, &Condition::Any).await,
            None => Ok(etag),
        }
    }
}

#[async_trait]
impl Target for AdlsTarget {
    async fn create_directory(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        self.create(path, ResourceKind::Directory, attributes, condition).await
    }

    async fn create_file(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        self.create(path, ResourceKind::File, attributes, condition).await
    }

    async fn append(&self, path: &TargetPath, upload: Upload, flush: bool) -> Result<Option<Etag>> {
        // An append that flushes is the last one of a file that fits into it, so it closes too.
        let after = if flush { AfterAppend::FlushAndClose } else { AfterAppend::Wait };
        self.filesystem.append(path, upload, after).await
    }

    async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag> {
        self.filesystem.flush(path, length_bytes, flush).await
    }

    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        self.filesystem.rename(from, to, condition, source_etag).await
    }

    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        let entry = |found: PathProperties| TargetEntry {
            is_directory: found.is_directory,
            length_bytes: if found.is_directory { 0 } else { found.length_bytes },
            etag: found.etag,
            properties: found.properties,
        };
        Ok(self.filesystem.properties(path).await?.map(entry))
    }

    async fn list(&self, directory: &TargetPath, after: Option<&str>) -> Result<TargetPage> {
        let (page, next) = self.filesystem.list_page(directory, ListOptions::default(), after).await?;
        let entries = page.into_iter().map(|found| {
            let name = found.path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
            let length_bytes = if found.is_directory { 0 } else { found.length_bytes };
            let (is_directory, properties) = (found.is_directory, BTreeMap::new());
            (name, TargetEntry { is_directory, length_bytes, etag: found.etag, properties })
        });
        Ok(TargetPage { entries: entries.collect(), next })
    }

    async fn set_attributes(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        let mut etag = None;
        // Each request makes another etag, which the next one expects.
        let expected = |etag: &Option<Etag>| match (condition, etag) {
            (Condition::Unchanged(_), Some(etag)) => Condition::Unchanged(etag.clone()),
            (condition, _) => condition.clone(),
        };
        if let Some(permissions) = attributes.permissions {
            let access = Some(Access::List(access::list(permissions, &attributes.acl)));
            let change = AccessControlChange { access, ..AccessControlChange::default() };
            etag = Some(self.filesystem.set_access_control(path, &change, &expected(&etag)).await?);
            let change = bits(permissions);
            etag = Some(self.filesystem.set_access_control(path, &change, &expected(&etag)).await?);
        }
        // An empty header would not clear: in HTTP it says the same as none.
        if !attributes.properties.is_empty() && !path.is_root() {
            etag =
                Some(self.filesystem.set_properties(path, &attributes.properties, &expected(&etag)).await?);
        }
        match etag {
            Some(etag) => Ok(etag),
            None => match self.filesystem.properties(path).await? {
                Some(found) => Ok(found.etag),
                None => {
                    let message = "there is nothing at this path";
                    Err(Error::new(ErrorKind::Gone, "set attributes", self.filesystem.subject(path), message))
                }
            },
        }
    }

    async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()> {
        if path.is_root() {
            let message = "the root of a container is not deleted";
            return Err(Error::new(ErrorKind::Fatal, "delete", self.filesystem.name(), message));
        }
        self.filesystem.delete(path, recursive, condition).await
    }
}
