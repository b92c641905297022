//! What the target has before the first run: listed page by page, each thing asked where it came from.

use futures::{StreamExt as _, TryStreamExt as _};
use livedata_engine::{Place, Survey, There};
use livedata_filesystem::{ErrorKind, NodeId, Result, TargetEntry, TargetPath};
use livedata_model::path::RESERVED;

use super::executor::Context;
use super::origin::{is_of, origin};
use super::patience::{Side, persist};

/// Requests at a time for one page: a listing does not carry properties.
const LOOKS: usize = 16;

impl Context {
    /// One page of a directory that is the copy of `directory`, or of the trash. `None`: there is none, or it is not.
    pub(super) async fn survey(
        &self,
        directory: &NodeId,
        place: &Place,
        after: Option<&str>,
    ) -> Result<Option<Survey>> {
        let at = self.place(place);
        match place {
            Place::Trash(_) => self.page(&at, after, |_, entry| async move { Ok(there(entry, None)) }).await,
            Place::Tree(path) => {
                if path.is_empty() && after.is_none() {
                    self.remove_leftovers().await;
                }
                let Some(namespace) = self.namespace().await? else { return Ok(None) };
                if path.is_empty() && !self.is_root_of(directory, &at, namespace).await? {
                    return Ok(None);
                }
                let look = |path: TargetPath, listed: TargetEntry| async move {
                    let found = self.look_at(&path).await?;
                    // What vanishes between the two requests is of nobody.
                    Ok(there(found.unwrap_or(listed), Some(namespace)))
                };
                self.page(&at, after, look).await
            }
        }
    }

    async fn page<'a, F>(
        &'a self,
        at: &TargetPath,
        after: Option<&str>,
        look: impl Fn(TargetPath, TargetEntry) -> F,
    ) -> Result<Option<Survey>>
    where
        F: Future<Output = Result<There>> + 'a,
    {
        let target = &self.plan.target;
        let page = match persist(&self.views, Side::Target, || target.list(at, after)).await {
            Ok(page) => page,
            Err(error) if error.kind() == ErrorKind::Gone => return Ok(None),
            Err(error) => return Err(error),
        };
        let theirs = page.entries.into_iter().filter(|(name, _)| !at.is_root() || name != RESERVED);
        let looks = theirs.map(|(name, entry)| {
            let look = look(at.join(&name), entry);
            async move { look.await.map(|there| (name, there)) }
        });
        let found = futures::stream::iter(looks).buffered(LOOKS).try_collect().await?;
        Ok(Some(Survey { found, next: page.next }))
    }

    /// The root of a container has no properties of ours: what is in it says whose it is.
    async fn is_root_of(&self, root: &NodeId, at: &TargetPath, namespace: &str) -> Result<bool> {
        if at.is_root() {
            return Ok(true);
        }
        let found = self.look_at(at).await?.filter(|found| found.is_directory);
        Ok(found.is_some_and(|found| there(found, Some(namespace)).node.as_ref() == Some(root)))
    }

    async fn look_at(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        persist(&self.views, Side::Target, || self.plan.target.properties(path)).await
    }

    /// Nothing is half made yet by whom this journal knows.
    async fn remove_leftovers(&self) {
        let _ = self.delete(&self.plan.leftovers, true).await;
    }
}

/// Only what says of which namespace it is, is ours.
fn there(entry: TargetEntry, namespace: Option<&str>) -> There {
    let ours = namespace.is_some_and(|namespace| is_of(&entry.properties, namespace));
    let (node, version) = if ours { origin(&entry.properties, namespace) } else { (None, None) };
    There {
        is_directory: entry.is_directory,
        etag: entry.etag.0,
        length_bytes: entry.length_bytes,
        node,
        version,
    }
}
